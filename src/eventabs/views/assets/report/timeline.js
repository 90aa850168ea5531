// The days of a user as rows, from midnight to midnight: events as light bars from their first behavior to the end of the last, in which
// a solid strip says when these go on; behaviors as ticks below them.
const LANE = 22, MOST_LANES = 4, TICKS = 9, LONG_PAUSE = 7, MOST_DAYS = 1500;

// about as wide as a text of 12 pixels is
const widthOf = (text) => [...text].reduce((width, sign) => width + (sign > "\u2e7f" ? 12.2 : 6.9), 0);

function daysOf({ behaviors, events }) {
  const days = new Map();
  const add = (day) => days.get(day) || (days.size < MOST_DAYS && days.set(day, { day, behaviors: [], pieces: [] }).get(day));
  behaviors.forEach((one, place) => add(dayOf(one.at))?.behaviors?.push(place));
  events.forEach((event, place) => {
    const last = dayOf(Math.max(event.from, event.to - 1));
    for (let day = dayOf(event.from); day <= last && day - dayOf(event.from) < 62; day++) {
      const inDay = (at) => Math.min(Math.max(at - day * DAY, 0), DAY), busy = event.behaviors.map((one) => [inDay(behaviors[one].at), inDay(behaviors[one].at + behaviors[one].length), dayOf(behaviors[one].at)]);
      add(day)?.pieces?.push({ place, event, from: inDay(event.from), to: inDay(event.to), busy: busy.filter(([from, to, begun]) => to > from || begun === day) });
    }
  });
  return [...days.values()].sort((a, b) => a.day - b.day);
}

// Hours that are shown: all of them, or for one or two days those in which something happens.
function hoursOf(days, behaviors) {
  if (days.length > 2) return [0, 24];
  const moments = days.flatMap((day) => [...day.pieces.flatMap((piece) => [piece.from, piece.to]), ...day.behaviors.map((place) => behaviors[place].at - day.day * DAY)]);
  const low = Math.floor(Math.min(DAY, ...moments) / 3600), high = Math.ceil(Math.max(0, ...moments) / 3600);
  return high > low ? [low, Math.max(high, low + 1)] : [0, 24];
}

// Lanes, so that events at the same time lie below each other; each piece gets its place and its label's.
function arrange(pieces, xOf) {
  const ends = [];
  for (const piece of [...pieces].sort((a, b) => a.from - b.from || b.to - a.to)) {
    piece.x = xOf(piece.from);
    piece.width = Math.max(4, xOf(piece.to) - piece.x);
    piece.strips = joinedSpans(piece.busy.map(([from, to]) => [xOf(from), Math.max(xOf(to), xOf(from) + 2)]));
    let lane = ends.findIndex((end) => end <= piece.x + 0.5);
    if (lane < 0) lane = Math.min(ends.length, MOST_LANES - 1);
    piece.lane = lane;
    ends[lane] = piece.x + piece.width;
  }
  for (const piece of pieces) {
    const after = pieces.filter((other) => other.lane === piece.lane && other.x > piece.x).map((other) => other.x);
    const label = widthOf(piece.event.type) + 12;
    if (label <= piece.width) piece.label = "inside";
    else if (piece.x + piece.width + label < Math.min(xOf(Infinity), ...after)) piece.label = "beside";
  }
  return Math.max(1, ends.length);
}

const STRIP = 4, NARROW = 9; // pixels; a narrow bar is solid
function piece({ event, place, x, width, lane, label, strips }, top, high) {
  const y = top + lane * (high + 2), middle = y + (high - STRIP) / 2;
  const tall = width > NARROW ? STRIP : high;
  const title = [spanOf(event), event.type, event.summary, event.journey?.name].filter(Boolean).join(" · ");
  const kind = "event " + event.color + (event.goal ? " goal" : "") + (event.unsure ? " unsure" : "") + (isMeant(event) ? " meant" : "");
  return drawn("g", { class: kind, "data-event": place },
    titled(title),
    drawn("rect", { class: "body", x, y, width, height: high, rx: Math.min(4, width / 2) }),
    ...strips.map(([from, to]) => drawn("rect", { class: "busy", x: from, y: y + high - tall, width: Math.min(to, x + width) - from, height: tall })),
    label ? drawn("text", { x: label === "inside" ? x + 6 : x + width + 4, y: middle, class: label }, event.type) : null);
}
function spanOf(event) {
  const start = clock(event.from);
  if (event.to === event.from || clock(event.to) === start && event.to - event.from < DAY) return start;
  return start + "–" + clock(event.to);
}

function axis(hours, xOf, width) {
  const [low, high] = hours, step = [0.25, 0.5, 1, 2, 3, 6].find((size) => (high - low) / size * 46 <= xOf(Infinity) - xOf(0)) || 6;
  const svg = drawn("svg", { class: "hours-of-day", viewBox: `0 0 ${width} 20`, "aria-hidden": "true" });
  for (let hour = Math.ceil(low / step) * step; hour <= high; hour += step) {
    svg.append(drawn("text", { x: xOf(hour * 3600), y: 11, "text-anchor": hour === low ? "start" : hour === high ? "end" : "middle" }, hour === 24 ? "24:00" : clock(hour * 3600)));
  }
  return [svg, step];
}

// A day by month, day and weekday; where years change, by its full date.
function dayName(day, before, manyYears, isWide, y) {
  const date = dateOf(day), isNew = manyYears && isWide && (before === null || dateOf(before).slice(0, 4) !== date.slice(0, 4));
  const rest = isWide && !isNew ? drawn("tspan", { class: "weekday", dx: 7, "font-weight": 400 }, weekday(day)) : null;
  return drawn("text", { class: "date", x: 4, y }, isNew ? date : date.slice(5), rest, titled(date + " " + weekday(day)));
}

// Draw a user; return the picture, and how to light events and behaviors in it.
function drawTimeline(user, width) {
  const days = daysOf(user), hours = hoursOf(days, user.behaviors), left = width < 560 ? 52 : 96, right = width - 6;
  const [low, high] = hours.map((hour) => hour * 3600), lane = days.length > 2 ? LANE - 2 : 30;
  const xOf = (second) => left + (right - left) * (Math.max(low, Math.min(second, high)) - low) / (high - low);
  const svg = drawn("svg", { class: "days-of-user", role: "img" }), [head, step] = axis(hours, xOf, width);
  const ticks = new Map(), lit = drawn("g", {});
  const years = new Set(days.map((one) => dateOf(one.day).slice(0, 4))).size;
  let y = 0;
  days.forEach((day, place) => {
    const pause = place ? day.day - days[place - 1].day - 1 : 0;
    if (pause >= LONG_PAUSE) {
      svg.append(drawn("text", { class: "pause", x: left, y: y + 9 }, counted(pause, _("1 day without anything"), _("{count} days without anything"))));
      y += 18;
    }
    const lanes = arrange(day.pieces, xOf), tall = 5 + lanes * (lane + 2) + TICKS + 4, top = y + 4;
    svg.append(drawn("rect", { class: "row" + (place % 2 ? " odd" : ""), x: 0, y, width, height: tall }));
    for (let hour = Math.ceil(hours[0] / step) * step; hour <= hours[1]; hour += step) svg.append(drawn("line", { class: "hour", x1: xOf(hour * 3600), x2: xOf(hour * 3600), y1: y, y2: y + tall }));
    svg.append(dayName(day.day, place ? days[place - 1].day : null, years > 1, left > 60, top + lane / 2));
    const floor = y + tall - 3, lines = { "": "", " open": "" };
    for (const one of day.behaviors) {
      const behavior = user.behaviors[one], x = xOf(behavior.at - day.day * DAY).toFixed(1);
      lines[isOpen(behavior) ? " open" : ""] += `M${x} ${floor - TICKS + 2}V${floor}`;
      ticks.set(one, [x, floor]);
    }
    for (const kind in lines) if (lines[kind]) svg.append(drawn("path", { class: "ticks" + kind, d: lines[kind] }));
    for (const one of day.pieces) svg.append(piece(one, top, lane));
    y += tall;
  });
  svg.append(lit);
  svg.setAttribute("viewBox", `0 0 ${width} ${y}`);
  svg.setAttribute("aria-label", fill(_("Timeline of {user}: {events} on {days} days, listed below"), { user: user.id, events: counted(user.events.length, _("1 event"), _("{count} events")), days: number(days.length) }));
  return {
    head,
    svg,
    isCut: days.length >= MOST_DAYS,
    light(events, behaviors) {
      svg.parentNode?.classList.toggle("focused", events.size > 0);
      for (const group of svg.querySelectorAll(".event")) group.classList.toggle("lit", events.has(Number(group.dataset.event)));
      lit.replaceChildren(...[...behaviors].filter((one) => ticks.has(one)).map((one) => drawn("path", { class: "lit-tick", d: `M${ticks.get(one)[0]} ${ticks.get(one)[1] - TICKS}V${ticks.get(one)[1]}` })));
    },
  };
}
