// One user: the days, and below them events and behaviors side by side. What belongs together is lit together.
const ITEMS = 600; // of a list, before it is asked for more
let looked = null; // the user that is shown: its picture, its lists, what is lit

function factsOf(user, calls) {
  const { users } = index, at = user.number, facts = [
    counted(user.events.length, _("1 event"), _("{count} events")),
    counted(user.behaviors.length, _("1 behavior"), _("{count} behaviors")),
    user.journeys.length ? counted(user.journeys.length, _("1 journey"), _("{count} journeys")) : "",
    users.minor[at] ? fill(_("{count} minor"), { count: number(users.minor[at]) }) : "",
    users.unplaced[at] ? fill(_("{count} unplaced"), { count: number(users.unplaced[at]) }) : "",
    users.first[at] === null ? "" : [...new Set([users.first[at], users.last[at]].map((moment) => dateOf(dayOf(moment))))].join(" – "),
  ].filter(Boolean).map((text) => element("span", {}, text));
  if (users.state[at]) facts.unshift(element("span", { class: STATES[users.state[at]] }, STATE_NAMES[users.state[at]] + (users.reason[at] ? ": " + index.reasons[users.reason[at]] : "")));
  if (calls.length) facts.push(element("span", {}, _("calls") + " ", ...calls.flatMap((call, place) => [place ? ", " : "", element("a", { href: "#call=" + call }, String(call))])));
  return facts;
}

// Whether a filter is about this event.
const isMeant = (event) => Boolean(shown.type || shown.category) && isAsked([event.type, event.category], shown);

function eventItem(event, place) {
  const type = element("a", { href: addressOf({ type: event.type }), tabindex: -1 }, marked(event.type, wanted));
  const what = element("span", { class: "what" }, element("strong", {}, type), " ", marked(event.summary, wanted));
  if (event.goal) what.append(" ", element("span", { class: "badge goal" }, marked(categoryName(event.category))));
  if (event.unsure) what.append(" ", element("span", { class: "badge" }, _("not sure")));
  if (event.journey) what.append(" ", element("span", { class: "badge" }, marked(event.journey.name, wanted)));
  if (event.outside) what.append(" ", element("span", { class: "badge" }, _("outside the vocabulary")));
  if (event.source === SOURCES.indexOf("must")) what.append(" ", element("span", { class: "badge" }, SOURCE_NAMES[event.source]));
  const covers = counted(event.behaviors.length, _("covers 1 behavior"), _("covers {count} behaviors"));
  const kind = "item " + event.color + (event.unsure ? " unsure" : "") + (isMeant(event) ? " meant" : "");
  return element("div", { class: kind, role: "option", "aria-selected": "false", tabindex: -1, "data-place": place, title: [categoryName(event.category), covers].filter(Boolean).join(" · ") }, element("time", {}, spanOf(event)), what);
}

// Whether a behavior should have an event and has none: it is neither minor nor was it left out on purpose.
const isOpen = ({ event }) => event === -1 || event === -3;

function behaviorItem(behavior, place, events) {
  const event = events[behavior.event], kind = event ? event.color : isOpen(behavior) ? "open" : "minor-row";
  const length = behavior.length ? lasting(behavior.length) : "", row = `${behavior.file}:${behavior.line}`;
  return element("div", { class: "item " + kind, role: "option", "aria-selected": "false", tabindex: -1, "data-place": place, title: [event ? fill(_("in: {event}"), { event: spanOf(event) + " " + event.type }) : [_("in no event"), _("minor"), _("unplaced"), _("not asked for")][-1 - behavior.event], row].join(" · ") },
    element("time", {}, clock(behavior.at)), element("span", { class: "what" }, marked(behavior.name, wanted)), element("span", { class: "meta" }, length),
    element("small", { class: "row-of" }, marked(row), behavior.text ? " " : "", behavior.text ? marked(behavior.text) : ""));
}

// A list with a heading for each day, made as far as it is needed.
function listOf(kind, things, at, make, empty) {
  const list = element("div", { class: "list", role: "listbox", "aria-label": { events: _("events"), behaviors: _("behaviors") }[kind] });
  let made = 0, day = null, group = null;
  const items = [], button = element("button", { type: "button", class: "further", tabindex: -1, onclick: () => extend(made + ITEMS) });
  function extend(wanted) {
    button.remove();
    for (; made < Math.min(wanted, things.length); made++) {
      const next = dayOf(at(things[made]));
      if (next !== day) {
        day = next;
        const name = dateOf(day) + " " + weekday(day);
        group = element("div", { role: "group", "aria-label": name }, element("h4", { role: "presentation" }, name));
        list.append(group);
      }
      items.push(make(things[made], made));
      group.append(items[made]);
    }
    if (made < things.length) {
      button.textContent = fill(_("Show {count} more"), { count: number(Math.min(ITEMS, things.length - made)) });
      list.append(button);
    }
  }
  if (!things.length) list.append(element("p", { class: "empty item" }, empty));
  extend(ITEMS);
  if (items.length) items[0].tabIndex = 0;
  return { kind, list, items, item(place) { if (place >= made) extend(place + 50); return items[place]; } };
}

function pane(list, count) {
  return element("div", { class: "pane " + list.kind }, element("h3", {}, { events: _("Events"), behaviors: _("Behaviors") }[list.kind], element("small", {}, number(count))), list.list);
}

// What belongs to a journey, an event or a behavior: the events, and all behaviors of these.
function belonging(kind, place) {
  const { user } = looked, event = kind === "behaviors" ? user.behaviors[place].event : place;
  const events = new Set(kind === "journeys" ? user.journeys[place].events : event < 0 ? [] : [event]);
  const behaviors = new Set(kind === "behaviors" ? [place] : []);
  for (const event of events) for (const one of user.events[event].behaviors) behaviors.add(one);
  return { events, behaviors };
}

function light(kind, place, { follow = true } = {}) {
  const { events, behaviors } = kind ? belonging(kind, place) : { events: new Set(), behaviors: new Set() };
  const own = { events, behaviors };
  for (const name of ["events", "behaviors"]) {
    for (const item of looked[name].lit || []) item.classList.remove("lit");
    looked[name].lit = [...own[name]].slice(0, 400).map((one) => looked[name].item(one));
    for (const item of looked[name].lit) item.classList.add("lit");
  }
  looked.picture.light(events, behaviors);
  looked.pairs = [...events].flatMap((event) => looked.user.events[event].behaviors.slice(0, 60).map((one) => [event, one]));
  if (kind && follow) {
    if (kind !== "events" || looked.fromPicture) reveal(looked.events);
    if (kind !== "behaviors") reveal(looked.behaviors);
  }
  drawLinks();
}

// Bring the first lit item of a list into its window, where none of them is there.
function reveal(list) {
  const window_ = list.list.getBoundingClientRect();
  const isSeen = (item) => item.getBoundingClientRect().bottom > window_.top + 30 && item.getBoundingClientRect().top < window_.bottom - 10;
  if (!list.lit.length || list.lit.some(isSeen)) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  list.list.scrollBy({ top: list.lit[0].getBoundingClientRect().top - window_.top - 60, behavior: isCalm ? "instant" : "smooth" });
}

function drawLinks() {
  const { gutter, links } = looked, frame = gutter.getBoundingClientRect();
  links.replaceChildren();
  if (!frame.width || !looked.pairs.length) return;
  const edge = looked.events.list.getBoundingClientRect();
  const inside = (y) => Math.min(Math.max(y, edge.top + 4), edge.bottom - 4) - frame.top;
  const middle = (item) => { const box = item.getBoundingClientRect(); return inside(box.top + box.height / 2); };
  for (const [event, behavior] of looked.pairs) {
    const from = middle(looked.events.item(event)), to = middle(looked.behaviors.item(behavior)), half = frame.width / 2;
    links.append(drawn("path", { class: looked.user.events[event].color, d: `M0 ${from}C${half} ${from} ${half} ${to} ${frame.width} ${to}` }));
  }
}

function pointed(event) {
  const item = event.target.closest(".item[data-place]"), group = event.target.closest(".event[data-event]"), journey = event.target.closest("[data-journey]");
  if (journey) return ["journeys", Number(journey.dataset.journey)];
  if (item) return [item.closest(".pane").classList.contains("events") ? "events" : "behaviors", Number(item.dataset.place)];
  return group ? ["events", Number(group.dataset.event)] : null;
}

function listen(box) {
  box.addEventListener("pointerover", (event) => {
    const found = event.pointerType === "mouse" && pointed(event);
    if (!found || looked.focused) return;
    looked.fromPicture = !event.target.closest(".item");
    light(...found);
  });
  box.addEventListener("pointerleave", () => looked.focused || light(null));
  box.addEventListener("focusin", (event) => {
    const found = pointed(event);
    if (!found || found[0] === "journeys") return;
    looked.focused = true;
    looked.fromPicture = false;
    event.target.closest(".list").querySelectorAll("[tabindex='0'], [aria-selected='true']").forEach((one) => { one.tabIndex = -1; one.setAttribute("aria-selected", "false"); });
    event.target.tabIndex = 0;
    event.target.setAttribute("aria-selected", "true");
    light(...found);
  });
  box.addEventListener("focusout", () => (looked.focused = false));
  box.addEventListener("click", (event) => {
    const found = pointed(event);
    if (!found || event.target.closest("a")) return;
    looked.fromPicture = !event.target.closest(".item");
    light(...found);
    looked[found[0]]?.item(found[1]).focus({ preventScroll: true });
  });
  box.addEventListener("keydown", press);
}

function press(event) {
  const found = pointed(event);
  if (!found || found[0] === "journeys") return;
  const [kind, place] = found, list = looked[kind], { events, behaviors } = belonging(kind, place);
  const across = kind === "events" ? ["ArrowRight", "behaviors", behaviors] : ["ArrowLeft", "events", events];
  let next = null;
  if (event.key === "ArrowDown") next = list.item(Math.min(place + 1, looked.user[kind].length - 1));
  else if (event.key === "ArrowUp") next = list.item(Math.max(place - 1, 0));
  else if (event.key === "Home") next = list.item(0);
  else if (event.key === "End") next = list.item(looked.user[kind].length - 1);
  else if (event.key === across[0] && across[2].size) next = looked[across[1]].item(Math.min(...across[2]));
  else if (event.key === "Enter" && kind === "events") return go({ type: looked.user.events[place].type });
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function stepper(found, at) {
  const place = found.indexOf(at), button = (text, label, to) => element("button", { type: "button", "aria-label": label, disabled: to === undefined, onclick: () => go({ user: index.users.id[to] }) }, text);
  return element("div", { class: "stepper" },
    element("span", {}, place < 0 ? "" : fill(_("{place} of {count}"), { place: number(place + 1), count: number(found.length) })),
    button("‹", _("Previous user"), place < 0 ? undefined : found[place - 1]), button("›", _("Next user"), place < 0 ? found[0] : found[place + 1]));
}

// A row for each journey: what for, on how many days, its steps.
function journeysOf(user) {
  return element("ul", { class: "journeys", "aria-label": _("journeys") }, ...user.journeys.map((journey, place) =>
    element("li", { "data-journey": place }, element("a", { href: addressOf({ journey: journey.kind }) }, marked(journey.kind, wanted)), " ", element("strong", {}, marked(journey.name, wanted)),
      element("small", {}, " " + counted(journey.days, _("1 day"), _("{count} days")) + " · "), journey.converted ? element("span", { class: "badge" }, _("converted")) : null, element("small", {}, " ", marked(journey.steps)))));
}

function legendOf(user) {
  const seen = new Map(), colors = new Map();
  for (const { type, color } of user.events) {
    seen.set(type, (seen.get(type) || 0) + 1);
    colors.set(type, color);
  }
  return element("ul", { class: "legend user-legend" }, ...[...seen].sort((a, b) => b[1] - a[1]).map(([type, count]) =>
    element("li", {}, element("a", { href: addressOf({ type }) }, swatch(colors.get(type)), marked(type), element("span", {}, number(count))))));
}

// Show a user in its section; `found` are those that the filters leave, `note` says why it is this one.
async function showUser(at, found, isWanted, note = "") {
  const user = await userOf(at), calls = (await callsOf(at)).slice(0, 12), section = byId("user");
  if (!isWanted()) return;
  const links = drawn("svg", { class: "links", "aria-hidden": "true" }), gutter = element("div", { class: "gutter" }, links), raster = element("div", { class: "raster", tabindex: -1 });
  const events = listOf("events", user.events, (event) => event.from, (event, place) => eventItem(event, place), _("No events."));
  const behaviors = listOf("behaviors", user.behaviors, (one) => one.at, (one, place) => behaviorItem(one, place, user.events), _("No behaviors."));
  const head = element("div", { class: "who" }, element("h2", { id: "who", tabindex: -1 }, marked(user.id, wanted)), element("span", { class: "profile" }, marked(profileOf(at), wanted)), stepper(found, at));
  const body = element("div", { class: "of-user" }, user.journeys.length ? journeysOf(user) : null, raster, legendOf(user), element("div", { class: "pair" }, pane(events, user.events.length), gutter, pane(behaviors, user.behaviors.length)));
  section.hidden = false;
  section.replaceChildren(head, element("p", { class: "user-facts" }, ...factsOf(user, calls), note && element("span", {}, note)), body);
  looked = { user, events, behaviors, gutter, links, raster, pairs: [], focused: false, width: 0 };
  redraw();
  listen(body);
  for (const list of [events, behaviors]) list.list.addEventListener("scroll", drawLinks, { passive: true });
  for (const [list, meant] of [[events, ".meant, .item:has(mark)"], [behaviors, ".item:has(mark)"], [{ list: raster }, ".meant"]]) bringIntoView(list.list, meant);
}

// Scroll a list to the first of what is asked for, and nothing around it.
function bringIntoView(list, meant) {
  const first = list.querySelector(meant);
  if (first) list.scrollTop = first.getBoundingClientRect().top - list.getBoundingClientRect().top - 60;
}

function redraw() {
  const width = Math.floor(looked.raster.clientWidth);
  if (!width || width === looked.width) return;
  looked.width = width;
  looked.picture = drawTimeline(looked.user, width);
  const note = looked.picture.isCut ? [element("p", { class: "note" }, fill(_("{count} days are drawn; the lists have all."), { count: number(MOST_DAYS) }))] : [];
  looked.raster.replaceChildren(looked.picture.head, looked.picture.svg, ...note);
  looked.raster.classList.toggle("focused", false);
}
addEventListener("resize", () => looked && redraw());
