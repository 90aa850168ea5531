// A review: screens of items, one of them open, by keyboard. Text from data only ever becomes text nodes and attributes, never markup.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").dataset.json);
  const { words, items } = data;
  const KEPT = "eventabs-review:" + data.review;
  const VERDICTS = ["right", "type", "span", "none"], MARKS = { right: "✓", type: "T", span: "↔", none: "✗" };
  const SCREEN = 40;
  const COLUMNS = ["review", "item", "user_id", "start", "end", "type", "summary", "verdict", "correct_type", "behaviors"];
  const byId = (id) => document.getElementById(id);
  const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }
  const textsOf = (item, behaviors) => item.lines.filter(([number]) => behaviors.includes(number)).map((line) => line[2]).join(", ");
  const isolated = (text) => element("bdi", "", text);

  // a type with its color
  function typed(type) {
    if (!type) return [isolated(words.nothing)];
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg"), rect = document.createElementNS(made.namespaceURI, "rect");
    for (const [name, value] of [["class", "key"], ["width", 12], ["height", 12], ["aria-hidden", true]]) made.setAttribute(name, value);
    for (const [name, value] of [["class", data.colors[type] || "kx"], ["width", 12], ["height", 12], ["rx", 3]]) rect.setAttribute(name, value);
    made.append(rect);
    return [made, isolated(type)];
  }

  // what was said: verdicts and right types by item, days looked at, missing events by day, and the item that is shown
  const nothing = () => ({ verdicts: {}, types: {}, days: {}, missing: {}, at: 0 });
  let said = nothing();
  let cursor = 0, picked = new Set(), named = null, before = [];
  // screens: none holds items of two parts
  const screens = [];
  let end = 0;
  for (const [name, note, length] of data.sections) {
    for (let first = end; first < end + length; first += SCREEN) screens.push({ name, note, first, last: Math.min(first + SCREEN, end + length), begin: end, length });
    end += length;
  }
  const screenOf = (place) => screens.find((each) => place < each.last);
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT));
    if (kept && typeof kept === "object") said = Object.assign(said, kept);
    localStorage.setItem(KEPT, JSON.stringify(said));
  } catch {
    byId("unkept").hidden = false;
  }
  function keep() {
    try {
      localStorage.setItem(KEPT, JSON.stringify(said));
    } catch {
      byId("unkept").hidden = false;
    }
  }

  const isDay = (item) => item.item[0] === "D";
  const isJudged = (item) => (isDay(item) ? item.item in said.days : item.item in said.verdicts);
  const shown = () => items[said.at];

  function go(place) {
    said.at = Math.max(0, Math.min(items.length, place));
    cursor = 0;
    picked = new Set();
    named = null;
    keep();
    show();
    const row = document.querySelector(".row.current");
    if (row) row.scrollIntoView({ block: "nearest" });
    else byId("end").focus();
  }
  function goOn() {
    const order = [...items.keys()];
    const open = [...order.slice(said.at + 1), ...order.slice(0, said.at)].find((place) => !isJudged(items[place]));
    go(open === undefined ? items.length : open);
  }
  function turn(step) {
    const at = shown() ? screens.indexOf(screenOf(said.at)) : screens.length;
    const next = screens[Math.max(0, at + step)];
    go(next ? next.first : items.length);
  }
  // the rest of the screen, but for days, which need a look at each
  function judgeAll(verdict) {
    const screen = shown() && screenOf(said.at);
    if (!screen) return;
    change();
    for (const item of items.slice(screen.first, screen.last)) if (!isDay(item) && !isJudged(item)) said.verdicts[item.item] = verdict;
    goOn();
  }
  const change = () => before.push(JSON.stringify(said));
  function undo() {
    if (!before.length) return;
    said = JSON.parse(before.pop());
    go(said.at);
  }

  function judge(item, verdict) {
    change();
    if (isDay(item)) {
      said.days[item.item] = true;
      goOn();
      return;
    }
    said.verdicts[item.item] = verdict;
    if (verdict !== "type") {
      delete said.types[item.item];
      goOn();
      return;
    }
    keep();
    name(item, said.types[item.item] || "", (text) => {
      if (text) said.types[item.item] = text;
      else delete said.types[item.item];
      goOn();
    });
  }
  // ask for a type; `take` gets what was written
  function name(item, text, take) {
    named = take;
    show();
    const input = document.querySelector(".naming input");
    input.value = text;
    input.focus();
  }
  function addMissing(item) {
    if (!picked.size) return;
    change();
    const event = { behaviors: [...picked].sort((one, other) => one - other), type: "" };
    picked = new Set();
    (said.missing[item.item] ||= []).push(event);
    delete said.days[item.item];
    keep();
    name(item, "", (text) => {
      event.type = text;
      named = null;
      keep();
      show();
    });
  }
  function clear(item) {
    change();
    delete said.verdicts[item.item];
    delete said.types[item.item];
    delete said.days[item.item];
    named = null;
    keep();
    show();
  }

  function show() {
    const done = items.filter(isJudged).length, item = shown();
    byId("progress").value = done / items.length;
    byId("count").textContent = fill(words.count, { done, of: items.length });
    byId("screen").hidden = !item;
    byId("end").hidden = Boolean(item);
    byId("ended").textContent = done < items.length ? fill(words.left, { count: items.length - done }) : words.ended;
    if (!item) return;
    const screen = screenOf(said.at);
    const first = screen.first - screen.begin + 1, last = screen.last - screen.begin;
    byId("where").textContent = fill(words.place, { section: screen.name, first, last, of: screen.length });
    byId("note").textContent = screen.note;
    byId("rows").replaceChildren(...items.slice(screen.first, screen.last).map((each, place) => row(each, screen.first + place)));
    const own = document.querySelector(".lines .own");
    if (own) own.parentNode.scrollTop = own.offsetTop - 60;
  }
  function row(item, place) {
    const verdict = isDay(item) ? (said.days[item.item] ? "right" : "") : said.verdicts[item.item] || "";
    const button = element("button", "", element("span", "mark is-" + verdict, MARKS[verdict] || "·"),
      element("span", "when", isolated(isDay(item) ? item.day : item.when)),
      element("span", "type", ...(isDay(item) ? [isolated(item.user)] : typed(item.type))),
      element("span", "said", isolated(isDay(item) ? words.missing : item.summary || textsOf(item, item.behaviors))),
      element("span", "doubts", (item.doubts || []).join(" · ")));
    button.type = "button";
    button.title = verdict ? (isDay(item) ? words.done : words[verdict]) : "";
    button.addEventListener("click", () => go(place));
    const made = element("div", "row" + (place === said.at ? " current" : ""), button);
    if (place === said.at) {
      button.setAttribute("aria-current", "true");
      made.append(detail(item));
    }
    return made;
  }
  function detail(item) {
    const made = element("div", "detail", element("p", "quiet", isolated(item.user), item.profile ? " · " : "", isolated(item.profile), item.category ? " · " : "", isolated(item.category || "")));
    if (isDay(item)) made.append(element("p", "note", words.pick));
    const group = element("div", "choices", ...choices(item));
    group.setAttribute("role", "group");
    made.append(group);
    if (named !== null) {
      const form = byId("naming").content.firstElementChild.cloneNode(true);
      form.querySelector("label").textContent = isDay(item) ? words.missingType : words.rightType;
      form.querySelector("input").setAttribute("aria-label", isDay(item) ? words.missingType : words.rightType);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (named) named(form.querySelector("input").value.trim());
      });
      made.append(form);
    }
    if (isDay(item)) made.append(element("ul", "missing", ...(said.missing[item.item] || []).map((event, place) => missingRow(item, event, place))));
    const list = element("div", "lines", ...lines(item));
    list.setAttribute("role", isDay(item) ? "listbox" : "group");
    list.setAttribute("aria-label", words.behaviors);
    if (isDay(item)) {
      list.setAttribute("aria-multiselectable", "true");
      list.tabIndex = 0;
      list.setAttribute("aria-activedescendant", "line" + cursor);
    }
    made.append(list);
    return made;
  }
  function choices(item) {
    const named = isDay(item) ? [["1", words.done, said.days[item.item], () => judge(item)], ["Enter", words.add, false, () => addMissing(item)]]
      : VERDICTS.map((verdict, place) => [String(place + 1), words[verdict], said.verdicts[item.item] === verdict, () => judge(item, verdict)]);
    return named.map(([key, text, pressed, act]) => {
      const button = element("button", "", element("kbd", "", key), text);
      button.type = "button";
      button.setAttribute("aria-pressed", String(Boolean(pressed)));
      button.addEventListener("click", act);
      return button;
    });
  }
  function missingRow(item, event, place) {
    const remove = element("button", "", words.remove);
    remove.type = "button";
    remove.addEventListener("click", () => {
      change();
      said.missing[item.item].splice(place, 1);
      named = null;
      keep();
      show();
    });
    return element("li", "", isolated((event.type ? event.type + ": " : "") + textsOf(item, event.behaviors)), remove);
  }
  function lines(item) {
    const made = [];
    let day = "", before = null, owner = -1;
    item.lines.forEach(([number, date, text, type, event], place) => {
      if (before !== null && number !== before + 1) made.push(element("div", "gap", "…"));
      before = number;
      if (date !== day) made.push(element("h3", "", (day = date)));
      const own = !isDay(item) && item.behaviors.includes(number);
      const line = element("div", "line" + (own ? " own" : event >= 0 ? " taken" : "") + (event !== owner ? " first" : ""), isolated(text));
      if (event >= 0 && !own && event !== owner) line.append(element("span", "of", ...typed(type)));
      owner = event;
      if (isDay(item)) pickable(line, number, place);
      made.push(line);
    });
    return made;
  }
  function pickable(line, number, place) {
    line.id = "line" + place;
    line.setAttribute("role", "option");
    line.setAttribute("aria-selected", String(picked.has(number)));
    if (place === cursor) line.classList.add("cursor");
    line.addEventListener("click", () => {
      cursor = place;
      toggle(number);
    });
  }
  function toggle(number) {
    if (!picked.delete(number)) picked.add(number);
    show();
  }
  function move(item, step) {
    if (!item.lines[cursor + step]) return go(said.at + step);
    cursor += step;
    show();
    byId("line" + cursor).scrollIntoView({ block: "nearest" });
  }

  // a text that a spreadsheet would run as a formula begins with '
  function field(value) {
    const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
    return /[",;\t\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  }
  function csv() {
    const rows = [COLUMNS];
    for (const item of items) {
      const id = [data.review, item.item, item.id];
      if (!isDay(item)) {
        rows.push([...id, item.start, item.end, item.type, item.summary, said.verdicts[item.item] || "", said.types[item.item] || "", ""]);
        continue;
      }
      rows.push([...id, item.day, "", "", "", said.days[item.item] ? "done" : "", "", ""]);
      for (const event of said.missing[item.item] || []) rows.push([...id, item.day, "", "", "", "missing", event.type, event.behaviors.map((number) => "b" + number).join(" ")]);
    }
    return "\ufeff" + rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
  }
  function save() {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = data.review + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const keys = {
    ArrowLeft: () => turn(-1),
    ArrowRight: () => turn(1),
    ArrowUp: () => go(said.at - 1),
    ArrowDown: () => go(said.at + 1),
    a: () => judgeAll("right"),
    x: () => judgeAll("none"),
    z: undo,
    n: goOn,
    s: save,
    Backspace: () => shown() && clear(shown()),
  };
  function press(key) {
    const item = shown();
    const ofDay = item && isDay(item) && { 1: () => judge(item), ArrowUp: () => move(item, -1), ArrowDown: () => move(item, 1), " ": () => toggle(item.lines[cursor][0]), Enter: () => addMissing(item) }[key];
    const verdict = item && !isDay(item) && VERDICTS[Number(key) - 1];
    return ofDay || (verdict ? () => judge(item, verdict) : keys[key] || null);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input")) {
      if (event.key === "Escape") event.target.form.requestSubmit();
      return;
    }
    if (event.target.closest("button, summary") && [" ", "Enter"].includes(event.key)) return;
    const act = press(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (act) {
      event.preventDefault();
      act();
    }
  });
  for (const [id, key] of [["before", "ArrowLeft"], ["after", "ArrowRight"], ["open", "n"], ["all", "a"], ["none", "x"], ["undo", "z"], ["clear", "Backspace"], ["save", "s"]]) byId(id).addEventListener("click", () => keys[key]());
  byId("reset").addEventListener("click", () => {
    if (!window.confirm(words.reset)) return;
    change();
    said = nothing();
    go(0);
  });
  byId("types").append(...data.types.map((type) => {
    const option = element("option");
    option.value = type;
    return option;
  }));
  go(said.at);
})();
