// A table of any length: sorted by a click on a heading, a page at a time, and as a file.
// A column: name, label, value(row) for order and file, and show(row) for the cell where it is more than the value.
// Made is what shows rows in it.
const ROWS = 50;

function makeTable(box, { name, columns, sort, file }) {
  const state = { rows: [], sort: sort.column, down: sort.down, first: 0 };
  const head = element("tr"), body = element("tbody"), count = element("span", { class: "rows", role: "status" });
  const step = (text, label, by) => element("button", { type: "button", "aria-label": label, onclick: () => { state.first += by; draw(); } }, text);
  const before = step("‹", _("Previous page"), -ROWS), after = step("›", _("Next page"), ROWS);
  const download = element("button", { type: "button", class: "download", onclick: () => save(csv(columns, state.rows), file()) }, _("Download CSV"));
  const table = element("table", { class: "grid-table" }, element("thead", {}, head), body);
  box.replaceChildren(element("div", { class: "tools" }, count, element("span", { class: "pager" }, before, after), download),
    element("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": name }, table));
  for (const column of columns) {
    const button = element("button", { type: "button", title: fill(_("Sort by {column}"), { column: column.label }), onclick: () => order(column) }, column.label);
    column.heading = element("th", { scope: "col", class: classOf(column), "data-column": column.name }, button);
    head.append(column.heading);
  }

  function order(column) {
    state.down = state.sort === column.name ? !state.down : Boolean(column.number);
    state.sort = column.name;
    reorder();
  }
  function reorder() {
    const column = columns.find((one) => one.name === state.sort);
    state.rows = sorted(state.rows, column.key || column.value, state.down);
    state.first = 0;
    draw();
  }
  function draw() {
    const { rows } = state, shownRows = rows.slice(state.first, state.first + ROWS);
    for (const column of columns) {
      if (column.name === state.sort) column.heading.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else column.heading.removeAttribute("aria-sort");
    }
    body.replaceChildren(...Array.from(shownRows, (row) => element("tr", {}, ...columns.map((column, place) =>
      element(place ? "td" : "th", { class: classOf(column), scope: place ? null : "row" }, column.show ? column.show(row) : shownValue(column.value(row)))))));
    if (!rows.length) body.append(element("tr", {}, element("td", { class: "words", colspan: columns.length }, _("Nothing to list."))));
    count.textContent = rows.length ? fill(_("{first}–{last} of {count}"), { first: number(state.first + 1), last: number(state.first + shownRows.length), count: number(rows.length) }) : "";
    before.disabled = state.first <= 0;
    after.disabled = state.first + ROWS >= rows.length;
    download.disabled = !rows.length;
  }
  return (rows) => {
    state.rows = rows;
    reorder();
  };
}

const classOf = (column) => [column.number ? "" : "words", column.tight ? "tight" : "", column.minor ? "minor" : "", column.long ? "long" : ""].filter(Boolean).join(" ") || null;
const shownValue = (value) => (value === null || value === undefined ? "–" : typeof value === "number" ? number(value) : String(value));

// Stable, with what is missing at the end in either direction.
function sorted(rows, key, down) {
  const keys = Array.from(rows, key), sign = down ? -1 : 1;
  const isMissing = (value) => value === null || value === undefined || Number.isNaN(value);
  const places = Uint32Array.from(keys.keys()), missing = Uint8Array.from(keys, isMissing);
  places.sort((a, b) => missing[a] - missing[b] || (keys[a] < keys[b] ? -sign : keys[a] > keys[b] ? sign : a - b));
  return Uint32Array.from(places, (place) => rows[place]);
}

function csv(columns, rows) {
  const parts = ["\ufeff" + columns.map((column) => cell(column.file || column.name)).join(",") + "\r\n"];
  for (let at = 0; at < rows.length; at += 5000) {
    parts.push(Array.from(rows.slice(at, at + 5000), (row) => columns.map((column) => cell((column.plain || column.value)(row))).join(",") + "\r\n").join(""));
  }
  return new Blob(parts, { type: "text/csv;charset=utf-8" });
}
