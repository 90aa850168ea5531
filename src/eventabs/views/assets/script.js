"use strict";
// The list of users. Text from data only ever becomes text: textContent and attributes, never markup.
(() => {
  const PAGE = 40, DAY = 1440, SHORT = 1, SVG = "http://www.w3.org/2000/svg";
  const data = JSON.parse(document.getElementById("data").textContent);
  const { behaviors: names, texts, words } = data;
  const list = document.getElementById("list"), more = document.getElementById("more");
  const query = document.getElementById("query"), state = document.getElementById("state");
  const found = document.getElementById("found");
  const number = new Intl.NumberFormat("en-US").format;

  // a record's columns, in the order in which they were written
  const [ID, STATE, REASON, PROFILE, BASE, TIMES, NAMES, MINUTES, OPEN, STARTS, LENGTHS, TYPES, CATEGORIES, SUMMARIES, UNGROUNDED] = Array(15).keys();

  const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => name in values ? values[name] : whole);
  const summed = (differences, base) => differences.map((step) => (base += step));
  const two = (value) => String(value).padStart(2, "0");
  const clock = (minute) => two(Math.floor((minute % DAY) / 60)) + ":" + two(minute % 60);
  const date = (day) => new Date(day * DAY * 60000);

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  function drawn(name, attributes, title) {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (title) {
      const label = document.createElementNS(SVG, "title");
      label.textContent = title;
      made.append(label);
    }
    return made;
  }
  function isolated(text) { return element("bdi", "", text); }

  // the most frequent category is the quiet one; all others are marked
  const tally = new Map();
  for (const user of data.users) for (const kind of user[CATEGORIES]) tally.set(kind, (tally.get(kind) || 0) + 1);
  const usual = [...tally].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0]?.[0];

  function opened(user) {
    const times = summed(user[TIMES], user[BASE]), starts = summed(user[STARTS], user[BASE]);
    const open = new Set(summed(user[OPEN], 0)), ungrounded = new Set(user[UNGROUNDED]);
    const behaviors = times.map((at, i) => ({ at, name: names[user[NAMES][i]], minutes: user[MINUTES][i], open: open.has(i) }));
    const events = starts.map((from, i) => ({
      from, to: from + user[LENGTHS][i], type: texts[user[TYPES][i]], category: texts[user[CATEGORIES][i]],
      summary: texts[user[SUMMARIES][i]], marked: user[CATEGORIES][i] !== usual, ungrounded: ungrounded.has(i),
    }));
    return { behaviors, events };
  }

  const span = (event) => event.from === event.to ? clock(event.from) : clock(event.from) + "–" + clock(event.to);

  function track(day, behaviors, events) {
    const svg = drawn("svg", { class: "track", width: "100%", height: 30, "aria-hidden": "true" });
    const percent = (minute) => (100 * (minute - day * DAY) / DAY).toFixed(2) + "%";
    for (const hour of [6, 12, 18]) svg.append(drawn("line", { class: "hour", x1: percent(day * DAY + hour * 60), x2: percent(day * DAY + hour * 60), y1: 0, y2: 30 }));
    for (const event of events) {
      const from = Math.max(event.from, day * DAY), to = Math.min(event.to, (day + 1) * DAY), width = 100 * (to - from) / DAY;
      svg.append(drawn("rect", {
        class: "event" + (event.marked ? " marked" : "") + (event.ungrounded ? " ungrounded" : "") + (width < SHORT ? " short" : ""),
        x: percent(from), y: 3, width: Math.max(0.5, width).toFixed(2) + "%", height: 15, rx: width < SHORT ? 1 : 3,
      }, span(event) + " " + event.type + (event.summary ? " · " + event.summary : "")));
    }
    for (const one of behaviors) {
      const title = clock(one.at) + " " + one.name;
      svg.append(one.open
        ? drawn("circle", { class: "mark open", cx: percent(one.at), cy: 24, r: 2.8 }, title)
        : drawn("rect", { class: "mark", x: percent(one.at), y: 20, width: 1.6, height: 8 }, title));
    }
    return svg;
  }

  function described(event) {
    const item = element("li"), time = element("time", "", span(event) + " ");
    item.append(time, element("strong", "", event.type));
    item.lastChild.dir = "auto";
    if (event.summary) item.append(" ", isolated(event.summary));
    if (event.ungrounded) item.append(" ", element("span", "dim", "(" + words.ungrounded + ")"));
    item.title = event.category;
    return item;
  }

  function dayRow(day, behaviors, events) {
    const row = element("div", "day"), heading = element("h4"), at = date(day);
    heading.append(two(at.getUTCMonth() + 1) + "-" + two(at.getUTCDate()) + " ", element("small", "", words.weekdays[(at.getUTCDay() + 6) % 7]));
    heading.title = at.toISOString().slice(0, 10);
    const hours = element("div", "hours");
    hours.setAttribute("aria-hidden", "true");
    for (const hour of [0, 6, 12, 18, 24]) hours.append(element("span", "", hour));
    const items = element("ul", "events");
    for (const event of events) if (Math.floor(event.from / DAY) === day) items.append(described(event));
    row.append(heading, track(day, behaviors, events), hours, items);
    return row;
  }

  function timeline(user) {
    const { behaviors, events } = opened(user), box = element("div", "days"), days = new Set();
    for (const one of behaviors) days.add(Math.floor(one.at / DAY));
    for (const event of events) {
      const last = Math.floor(Math.max(event.from, event.to - 1) / DAY);
      for (let day = Math.floor(event.from / DAY); day <= last && days.size < 800; day++) days.add(day);
    }
    if (user[REASON] >= 0) box.append(element("p", "note", texts[user[REASON]]));
    if (!events.length) box.append(element("p", "note", words.noEvents));
    for (const day of [...days].sort((a, b) => a - b)) {
      const from = day * DAY, to = from + DAY;
      box.append(dayRow(day,
        behaviors.filter((one) => one.at >= from && one.at < to),
        events.filter((event) => event.from < to && (event.to > from || event.from >= from))));
    }
    const whole = element("details"), text = element("ul", "text");
    whole.append(element("summary", "", words.allBehaviors), text);
    whole.addEventListener("toggle", () => {
      if (text.firstChild) return;
      for (const one of behaviors) {
        const item = element("li", one.open ? "open" : "");
        item.append(element("time", "", new Date(one.at * 60000).toISOString().slice(5, 16).replace("T", " ")), isolated(one.name));
        if (one.minutes) item.append(" ", element("span", "quiet", fill(words.minutes, { count: number(one.minutes) })));
        text.append(item);
      }
    });
    if (behaviors.length) box.append(whole);
    return box;
  }

  let serial = 0;
  function row(user) {
    const box = element("div", "user"), button = element("button");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    const id = element("span");
    id.append(isolated(user[ID]));
    const counts = [fill(words.events, { count: number(user[STARTS].length) }), fill(words.behaviors, { count: number(user[TIMES].length) })];
    if (user[OPEN].length) counts.push(fill(words.uncovered, { count: number(user[OPEN].length) }));
    const profile = element("span", "profile");
    profile.append(isolated(user[PROFILE]));
    const chevron = element("span", "chevron", "›");
    chevron.setAttribute("aria-hidden", "true");
    button.append(chevron, id, element("span", "counts", counts.join(" · ")), profile, element("span", "state " + user[STATE], words.states[user[STATE]]));
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) { box.lastChild.remove(); return; }
      const panel = timeline(user);
      panel.id = "timeline-" + ++serial;
      panel.setAttribute("role", "region");
      panel.setAttribute("aria-label", user[ID]);
      button.setAttribute("aria-controls", panel.id);
      box.append(panel);
    });
    box.append(button);
    return box;
  }

  const haystacks = new Map();
  function haystack(user) {
    if (!haystacks.has(user)) {
      const kinds = new Set([...user[TYPES], ...user[CATEGORIES], ...user[SUMMARIES]]);
      haystacks.set(user, [user[ID], user[PROFILE], ...[...kinds].map((i) => texts[i]), ...[...new Set(user[NAMES])].map((i) => names[i])].join("\n").toLowerCase());
    }
    return haystacks.get(user);
  }

  let matching = [], shown = 0;
  function extend() {
    const next = matching.slice(shown, shown + PAGE);
    shown += next.length;
    list.append(...next.map(row));
    more.hidden = shown >= matching.length;
    found.textContent = matching.length ? fill(words.shown, { shown: number(shown), found: number(matching.length) }) : words.none;
  }
  function search() {
    const wanted = query.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    matching = data.users.filter((user) => (!state.value || user[STATE] === state.value) && wanted.every((word) => haystack(user).includes(word)));
    shown = 0;
    list.replaceChildren();
    extend();
  }

  let waiting = 0;
  query.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
  state.addEventListener("change", search);
  document.getElementById("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  more.addEventListener("click", () => {
    const first = list.childElementCount;
    extend();
    list.children[first]?.firstChild.focus();
  });
  list.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const here = event.target.closest(".user > button")?.parentElement;
    const next = event.key === "ArrowDown" ? here?.nextElementSibling : here?.previousElementSibling;
    if (!next) return;
    event.preventDefault();
    next.firstChild.focus();
  });
  search();
})();
