// Charts of one group or two. Their geometry is in percent of a frame, which stretches, so that a picture fits a phone and a sheet of paper.
const MOST_APART = 3, SHADES = 6, FLOW = 300, LEAST_NODE = 19, GAP = 6;

// Round ticks from 0 to above the top.
function ticksOf(top, most = 4) {
  const power = 10 ** Math.floor(Math.log10(top / most || 1)), step = [1, 2, 5, 10].map((one) => one * power).find((one) => one * most >= top);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_tick, place) => Number((place * step).toPrecision(12)));
}

// A picture for each group; two stand side by side under their names.
function sides(groups, draw) {
  return element("div", { class: groups.length > 1 ? "sides" : null }, ...groups.map((group, place) =>
    element("figure", {}, groups.length > 1 ? nameTag(group, place) : null, draw(group, place))));
}
const nameTag = (group, place) => element("figcaption", { class: "group" }, element("strong", { class: "letter s" + place }, "AB"[place]), " ", marked(group.name));

// Columns of stacked values above each other's, from the first series up. series: { color, name, values, href }; below them `labels`: place (of the
// columns) and text. `title` says what a column holds, `least` how much the frame has room for at least, such as what a group beside it needs.
const topOf = (series) => Math.max(...series[0].values.map((_value, at) => series.reduce((sum, one) => sum + one.values[at], 0)));
function columns({ series, labels, title, name, height = 200, least = 1 }) {
  const bins = series[0].values.length, top = Math.max(topOf(series), least);
  const ticks = ticksOf(top, height < 60 ? 1 : 4), high = ticks.at(-1), width = 100 / bins, under = new Float64Array(bins), y = (value) => 100 - (100 * value) / high;
  const frame = drawn("svg", { class: "columns", width: "100%", height, role: "img", "aria-label": name });
  for (const tick of ticks) frame.append(drawn("line", { class: "grid", x2: "100%", y1: y(tick) + "%", y2: y(tick) + "%" }));
  for (const { color, name: label, values, href } of series) {
    const group = drawn("g", { class: color, "data-href": href });
    values.forEach((value, at) => {
      if (!value) return;
      under[at] += value;
      const wide = Math.min(width * (bins > 124 ? 1.02 : 0.84), 10); // no seams between many
      group.append(drawn("rect", { x: width * (at + 0.5) - wide / 2 + "%", width: wide + "%", y: y(under[at]) + "%", height: (100 * value) / high + "%" }, titled(title(at, label, value))));
    });
    frame.append(group);
  }
  const axis = drawn("svg", { class: "ticks-of", width: 44, height, "aria-hidden": "true" }, ...ticks.map((tick) => drawn("text", { x: 38, y: y(tick) + "%", "text-anchor": "end" }, number(tick))));
  const below = drawn("svg", { class: "dates", width: "100%", height: 20, "aria-hidden": "true" }, ...labels.map(([at, text]) => drawn("text", { x: width * (at + 0.5) + "%", y: 14, "text-anchor": "middle" }, text)));
  return element("div", { class: "plot" }, axis, frame, element("span"), below);
}

const share = ({ count, of }) => (of === undefined ? null : of ? count / of : 0);
// Rows of two groups in the order of the difference of their shares, the largest first; get(row, group) as below.
function ranked(groups, rows, get) {
  const apart = (row) => Math.abs(share(get(row, groups[0])) - share(get(row, groups.at(-1))));
  return groups.length > 1 ? [...rows].sort((one, other) => apart(other) - apart(one)) : rows;
}
// The most frequent rows, and of two groups also those whose shares are furthest apart.
function picked(groups, rows, get, most) {
  const kept = new Set([...rows.slice(0, most), ...(groups.length > 1 ? ranked(groups, rows, get).slice(0, MOST_APART) : [])]);
  return rows.filter((row) => kept.has(row));
}

// A table with a row for each thing and its figures, those of two groups side by side with their difference.
// columns: label, get(row, group), which gives { count, of } (a number and its share), { count } or { text }, and link(row).
// bar(row, group) gives a share, which is drawn where there is one; all bars of a table have the scale that its head names.
function groupTable(groups, { caption, first, rows, columns, bar, wide }) {
  const isTwo = groups.length > 1, largest = bar && Math.max(...rows.flatMap((row) => groups.map((group) => bar(row, group)))), most = [0.1, 0.2, 0.5].find((each) => largest <= each) || 1;
  const shares = columns.map((column) => rows.some((row) => column.get(row, groups[0]).of !== undefined)), small = (column) => (column.minor ? "minor" : null);
  const head = [element("tr", {}, element("th", { scope: "col", rowspan: isTwo ? 2 : 1 }, first), bar ? element("td", { class: "bar-cell scale-of", rowspan: isTwo ? 2 : 1, "aria-hidden": "true" }, element("span", {}, "0"), element("span", {}, percent(most, 1))) : null,
    ...columns.map((column, at) => element("th", { scope: isTwo ? "colgroup" : "col", class: small(column), colspan: isTwo ? 2 + shares[at] : 1 }, column.label)))];
  if (isTwo) head.push(element("tr", {}, ...columns.flatMap((column, at) => [
    ...groups.map((group, place) => element("th", { scope: "col", class: small(column), title: group.name }, element("strong", { class: "letter s" + place }, "AB"[place]))),
    shares[at] ? element("th", { scope: "col", class: small(column), title: _("difference in percentage points") }, "A − B") : null])));
  const figure = ({ count, of, text }, href) => {
    const said = text ?? number(count), value = href && count ? element("a", { href }, said) : said;
    return of === undefined ? [value] : [value, " ", element("small", {}, percent(count, of))];
  };
  const cells = (row, column, at) => {
    const got = groups.map((group) => column.get(row, group)), href = column.link?.(row);
    const made = got.map((one) => element("td", { class: small(column) }, ...figure(one, href)));
    if (isTwo && shares[at]) {
      const [one, other] = got.map(({ count, of }) => (of ? (100 * count) / of : NaN)), points = one - other;
      made.push(element("td", { class: ["difference", small(column)].filter(Boolean).join(" ") }, Number.isNaN(points) ? "–" : (points > 0 ? "+" : points < 0 ? "−" : "±") + Math.abs(points).toFixed(1)));
    }
    return made;
  };
  const bars = (row) => element("td", { class: "bar-cell", "aria-hidden": "true" }, ...groups.filter((group) => bar(row, group) !== null).map((group) =>
    drawn("svg", { class: "bar", width: "100%", height: isTwo ? 7 : 11 }, drawn("rect", { class: "frame", width: "100%", height: "100%", rx: 2 }),
      drawn("rect", { class: (row.color || "accent") + (group === groups[1] ? " second" : ""), width: (100 * bar(row, group)) / most + "%", height: "100%", rx: 2 }))));
  const table = element("table", { class: "figures" + (wide ? " wide" : "") + (isTwo ? " two-groups" : "") }, caption ? element("caption", {}, caption) : null, element("thead", {}, ...head), element("tbody", {}, ...rows.map((row) =>
    element("tr", { "data-row": row.key, class: row.chosen ? "chosen" : null }, element("th", { scope: "row" }, row.href ? element("a", { href: row.href }, row.color ? swatch(row.color) : null, marked(row.label)) : marked(row.label)), bar ? bars(row) : null,
      ...columns.flatMap((column, at) => cells(row, column, at))))));
  return element("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": caption || first }, table);
}
// Such a table of the rows that isShown(row, place) leaves, and a button that shows all.
function foldedTable(groups, { rows, isShown, ...facts }) {
  const few = rows.filter(isShown), box = groupTable(groups, { ...facts, rows: few });
  const unfold = () => {
    const whole = groupTable(groups, { ...facts, rows });
    box.replaceWith(whole);
    whole.focus({ preventScroll: true });
  };
  if (few.length < rows.length) box.append(element("button", { type: "button", class: "further", onclick: unfold }, fill(_("Show {count} more"), { count: number(rows.length - few.length) })));
  return box;
}

// Ribbons from things at the left to things at the right, as high as they are frequent. rows: [from, to, number]; the first `most` are drawn, and the
// things that these join, as high as all of their rows; what has no ribbon is light.
function sankey(rows, { name, hrefOf, most }) {
  const shownRows = rows.slice(0, most), sumOf = (which, thing) => rows.reduce((sum, row) => sum + (row[which] === thing ? row[2] : 0), 0);
  const sums = [0, 1].map((which) => [...new Set(shownRows.map((row) => row[which]))].map((thing) => [thing, sumOf(which, thing)]).sort((a, b) => b[1] - a[1]));
  const scale = FLOW / Math.max(...sums.map((side) => side.reduce((sum, [, count]) => sum + count, 0)));
  const side = (which) => {
    const nodes = new Map();
    let below = 0;
    for (const [kind, count] of sums[which]) {
      const high = count * scale;
      nodes.set(kind, { count, high, top: below + Math.max(0, LEAST_NODE - high) / 2, taken: 0 });
      below += Math.max(high, LEAST_NODE) + GAP;
    }
    return [nodes, below];
  };
  const [left, deep] = side(0), [right, low] = side(1), height = Math.max(deep, low), ribbons = [], numbers = [];
  for (const [from, to, count] of shownRows) {
    const start = left.get(from), end = right.get(to), high = count * scale, [a, b] = [start, end].map((node) => {
      const top = node.top + node.taken * scale;
      node.taken += count;
      return top;
    });
    const d = `M0 ${a}C50 ${a} 50 ${b} 100 ${b}V${b + high}C50 ${b + high} 50 ${a + high} 0 ${a + high}Z`, title = `${from}${ARROW}${to}: ${number(count)}`;
    ribbons.push(drawn("a", { href: hrefOf(from, to), "aria-label": title }, drawn("path", { class: "ribbon " + colorOf(from), d }, titled(title))));
    if (high > 11) numbers.push(drawn("text", { x: "8%", y: a + high / 2 + (b - a) * 0.02 }, number(count)));
  }
  const names = (nodes, isLeft) => drawn("svg", { width: "100%", height, "aria-hidden": "true" }, ...[...nodes].flatMap(([kind, { top, high, count, taken }]) => [
    ...[[" soft", high], ["", taken * scale]].map(([soft, tall]) => drawn("rect", { class: colorOf(kind) + soft, x: isLeft ? "100%" : 0, transform: isLeft ? "translate(-10)" : null, width: 10, y: top, height: Math.max(tall, 1.5) })),
    drawn("text", { x: isLeft ? "100%" : 0, y: top + high / 2, transform: `translate(${isLeft ? -16 : 16})`, "text-anchor": isLeft ? "end" : "start" }, titled(kind), cut(kind, 74) + " ", drawn("tspan", { class: "count" }, number(count)))]));
  return element("div", { class: "flow", role: "group", "aria-label": name }, names(left, true),
    element("div", {}, drawn("svg", { width: "100%", height, viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none" }, ...ribbons), drawn("svg", { class: "numbers", width: "100%", height, "aria-hidden": "true" }, ...numbers)), names(right, false));
}
// As much of a text as has room, in pixels.
function cut(text, room) {
  let kept = [...text];
  if (widthOf(text) <= room) return text;
  while (kept.length && widthOf(kept.join("")) > room - 8) kept = kept.slice(0, -1);
  return kept.join("").trimEnd() + "…";
}

// Steps that fewer and fewer go, as high as they are frequent among `most`, each in one of some `slots`. steps: { label, color, href, count }.
function funnel(steps, most, slots) {
  const width = 100 / slots, high = ({ count }) => Math.max((100 * count) / most, 1.5), svg = drawn("svg", { width: "100%", height: 56, viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  steps.forEach((step, place) => {
    const left = width * place, right = left + width * 0.3, half = high(step) / 2, next = steps[place + 1] && high(steps[place + 1]) / 2, end = left + width;
    if (next) svg.append(drawn("path", { class: step.color + " soft", d: `M${right} ${50 - half}C${(right + end) / 2} ${50 - half} ${(right + end) / 2} ${50 - next} ${end} ${50 - next}V${50 + next}C${(right + end) / 2} ${50 + next} ${(right + end) / 2} ${50 + half} ${right} ${50 + half}Z` }));
    svg.append(drawn("path", { class: step.color, d: `M${left} ${50 - half}H${right}V${50 + half}H${left}Z` }));
  });
  return element("div", { class: "funnel" }, svg, element("ol", { class: "slots" + slots }, ...steps.map((step, place) => element("li", {}, element("a", { href: step.href }, marked(step.label)), " ", element("strong", {}, number(step.count)),
    place && step.count < steps[place - 1].count ? element("small", {}, " −" + percent(steps[place - 1].count - step.count, steps[place - 1].count)) : null))));
}

// A week of hours; `most` is the darkest shade.
function heat(counts, most, total) {
  const shade = (count) => Math.ceil(((count / (total || 1)) * SHADES) / (most || 1) - 1e-9);
  return element("table", { class: "heat" }, element("thead", {}, element("tr", {}, element("td"), ...Array.from({ length: 24 }, (_hour, hour) => element("th", { scope: "col" }, element("span", {}, String(hour)))))),
    element("tbody", {}, ...WEEKDAYS.map((day, row) => element("tr", {}, element("th", { scope: "row" }, day), ...Array.from({ length: 24 }, (_hour, hour) => {
      const count = counts[row * 24 + hour];
      return element("td", { class: "h" + shade(count), title: `${day} ${two(hour)}:00 · ${number(count)}` }, element("span", {}, number(count)));
    })))));
}
const scaleOf = (text) => element("p", { class: "legend scale" }, element("span", {}, _("none")), ...Array.from({ length: SHADES + 1 }, (_shade, shade) => element("span", { class: "swatch h" + shade })), element("span", {}, text));
