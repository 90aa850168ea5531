// A review: screens of items, one of them open, by keyboard. Text from data only ever becomes text nodes and attributes, never markup.
const data = JSON.parse(byId("data").dataset.json);
const { items } = data;
const KEPT = "eventabs-review:" + data.review;
const VERDICTS = { right: _("right"), type: _("wrong type"), span: _("wrong span"), none: _("nothing there") }, MARKS = { right: "✓", type: "T", span: "↔", none: "✗" };
const DOUBTS = { moved: _("moved in the audit"), unsure: _("not sure"), unplaced: _("in no event") };
const SCREEN = 40;
const COLUMNS = ["review", "item", "user_id", "start", "end", "type", "summary", "verdict", "correct_type", "behaviors"];
const textsOf = (item, behaviors) => item.lines.filter(([number]) => behaviors.includes(number)).map((line) => line[2]).join(", ");
const typed = (type) => (type ? [swatch(data.colors[type] || "kx"), marked(type)] : [marked(_("in no event"))]);

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
// the page says where the browser keeps nothing
function kept(use) {
  try {
    use();
  } catch {
    byId("unkept").hidden = false;
  }
}
const keep = () => kept(() => localStorage.setItem(KEPT, JSON.stringify(said)));
kept(() => Object.assign(said, JSON.parse(localStorage.getItem(KEPT))));

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
  byId("count").textContent = fill(_("{done} of {of} judged"), { done, of: items.length });
  byId("screen").hidden = !item;
  byId("end").hidden = Boolean(item);
  byId("ended").textContent = done < items.length ? fill(_("The end; without a verdict: {count}. N goes to the next of them."), { count: items.length - done }) : _("Everything is judged");
  if (!item) return;
  const screen = screenOf(said.at);
  const first = screen.first - screen.begin + 1, last = screen.last - screen.begin;
  byId("where").textContent = fill(_("{section}: {first} to {last} of {of}"), { section: screen.name, first, last, of: screen.length });
  byId("note").textContent = screen.note;
  byId("rows").replaceChildren(...items.slice(screen.first, screen.last).map((each, place) => row(each, screen.first + place)));
  const own = document.querySelector(".lines .own");
  if (own) own.parentNode.scrollTop = own.offsetTop - 60;
}
function row(item, place) {
  const verdict = isDay(item) ? (said.days[item.item] ? "right" : "") : said.verdicts[item.item] || "";
  const attributes = { type: "button", title: verdict && (isDay(item) ? _("nothing more is missing") : VERDICTS[verdict]), "aria-current": place === said.at && "true", onclick: () => go(place) };
  const button = element("button", attributes, element("span", { class: "mark is-" + verdict }, MARKS[verdict] || "·"),
    element("span", { class: "when" }, marked(isDay(item) ? item.day : item.when)),
    element("span", { class: "type" }, ...(isDay(item) ? [marked(item.user)] : typed(item.type))),
    element("span", { class: "said" }, marked(isDay(item) ? _("Is an event missing on this day?") : item.summary || textsOf(item, item.behaviors))),
    element("span", { class: "doubts" }, (item.doubts || []).map((name) => DOUBTS[name]).join(" · ")));
  return element("div", { class: "row" + (place === said.at ? " current" : "") }, button, place === said.at ? detail(item) : null);
}
function detail(item) {
  const made = element("div", { class: "detail" }, element("p", { class: "quiet" }, marked(item.user), item.profile ? " · " : "", marked(item.profile), item.category ? " · " : "", marked(item.category || "")));
  if (isDay(item)) made.append(element("p", { class: "note" }, _("Move with ↑ and ↓, pick its behaviors with the space bar, add it with Enter. 1: nothing more is missing.")));
  made.append(element("div", { class: "choices", role: "group" }, ...choices(item)));
  if (named !== null) {
    const form = byId("naming").content.firstElementChild.cloneNode(true);
    const question = isDay(item) ? _("What should the missing event be called?") : _("What should it be called?");
    form.querySelector("label").textContent = question;
    form.querySelector("input").setAttribute("aria-label", question);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (named) named(form.querySelector("input").value.trim());
    });
    made.append(form);
  }
  if (isDay(item)) made.append(element("ul", { class: "missing" }, ...(said.missing[item.item] || []).map((event, place) => missingRow(item, event, place))));
  const ofList = isDay(item) ? { role: "listbox", "aria-multiselectable": "true", tabindex: 0, "aria-activedescendant": "line" + cursor } : { role: "group" };
  made.append(element("div", { class: "lines", "aria-label": _("behaviors"), ...ofList }, ...lines(item)));
  return made;
}
function choices(item) {
  const named = isDay(item) ? [["1", _("nothing more is missing"), said.days[item.item], () => judge(item)], ["Enter", _("add a missing event"), false, () => addMissing(item)]]
    : Object.entries(VERDICTS).map(([verdict, text], place) => [String(place + 1), text, said.verdicts[item.item] === verdict, () => judge(item, verdict)]);
  return named.map(([key, text, pressed, act]) => element("button", { type: "button", "aria-pressed": String(Boolean(pressed)), onclick: act }, element("kbd", {}, key), text));
}
function missingRow(item, event, place) {
  const remove = () => {
    change();
    said.missing[item.item].splice(place, 1);
    named = null;
    keep();
    show();
  };
  return element("li", {}, marked((event.type ? event.type + ": " : "") + textsOf(item, event.behaviors)), element("button", { type: "button", onclick: remove }, _("remove")));
}
function lines(item) {
  const made = [];
  let day = "", before = null, owner = -1;
  item.lines.forEach(([number, date, text, type, event], place) => {
    if (before !== null && number !== before + 1) made.push(element("div", { class: "gap" }, "…"));
    before = number;
    if (date !== day) made.push(element("h3", {}, (day = date)));
    const own = !isDay(item) && item.behaviors.includes(number);
    const line = element("div", { class: "line" + (own ? " own" : event >= 0 ? " taken" : "") + (event !== owner ? " first" : "") }, marked(text));
    if (event >= 0 && !own && event !== owner) line.append(element("span", { class: "of" }, ...typed(type)));
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
  line.onclick = () => {
    cursor = place;
    toggle(number);
  };
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

const field = (value) => (/[",;\t\r\n]/.test(value) ? cell(value) : harmless(value));
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
  return new Blob(["\ufeff", ...rows.map((row) => row.map(field).join(",") + "\r\n")], { type: "text/csv" });
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
  s: () => save(csv(), data.review + ".csv"),
  Backspace: () => shown() && clear(shown()),
};
function press(key) {
  const item = shown();
  const ofDay = item && isDay(item) && { 1: () => judge(item), ArrowUp: () => move(item, -1), ArrowDown: () => move(item, 1), " ": () => toggle(item.lines[cursor][0]), Enter: () => addMissing(item) }[key];
  const verdict = item && !isDay(item) && Object.keys(VERDICTS)[Number(key) - 1];
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
  if (!window.confirm(_("Forget all verdicts of this review in this browser?"))) return;
  change();
  said = nothing();
  go(0);
});
byId("types").append(...data.types.map((value) => element("option", { value })));
go(said.at);
