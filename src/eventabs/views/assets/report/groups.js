// Which users, events and journeys the filters leave, for one group or for two that are compared; and the bar of filters.
const searched = new Map(); // by text
const wordsOf = (text) => (text || "").toLowerCase().split(/\s+/).filter(Boolean).slice(0, 8);

// A bit for each word that stands in a text.
function bitsOf(text, wanted) {
  const lower = text.toLowerCase();
  return wanted.reduce((bits, word, place) => bits | (lower.includes(word) ? 1 << place : 0), 0);
}

// Go through all users once; keep for each, and for each event, whether all words stand in what belongs to it.
async function searchText(text, isWanted, progress) {
  const wanted = wordsOf(text), whole = (1 << wanted.length) - 1;
  const users = new Uint8Array(index.size), events = new Uint8Array(index.offsets[index.size]);
  const ofKinds = index.kinds.map(([type, category]) => bitsOf(type + "\n" + category + "\n" + categoryName(category), wanted));
  const ofReasons = index.reasons.map((reason) => bitsOf(reason, wanted));
  for (let number = 0; number < index.firsts.length; number++) {
    const chunk = await chunkOf(number);
    if (!isWanted()) return null;
    const ofNames = chunk.names.map((name) => bitsOf(name, wanted)), ofTexts = chunk.texts.map((one) => bitsOf(one, wanted));
    chunk.users.forEach((record, place) => {
      const user = index.firsts[number] + place, columns = index.users;
      const own = bitsOf(columns.id[user] + "\n" + profileOf(user), wanted) | ofReasons[columns.reason[user]];
      const ofJourneys = [0, ...record[9].map(([kind, name]) => bitsOf(kind + "\n" + name, wanted))];
      const hits = record[5].map((kind, at) => own | ofKinds[kind] | ofTexts[record[6][at]] | ofJourneys[record[8][at]]);
      let any = own, owner = 0;
      record[2].forEach((name, at) => {
        owner += record[4][at];
        any |= ofNames[name];
        if (owner > 0) hits[owner - 1] |= ofNames[name];
      });
      hits.forEach((bits, at) => {
        any |= bits;
        events[index.offsets[user] + at] = bits === whole;
      });
      users[user] = any === whole;
    });
    if (number % 8 === 7) {
      progress((number + 1) / index.firsts.length);
      await new Promise((resume) => setTimeout(resume));
    }
  }
  if (searched.size > 3) searched.clear();
  searched.set(text, { users, events });
  return searched.get(text);
}

// The types before a user's first event of the goal, equal neighbors once, and the type of that event, "" without one.
function pathOf(events) {
  const path = [];
  for (const event of events) {
    if (categoryAt(event) === index.goal) return [path, typeAt(event)];
    if (path.at(-1) !== typeAt(event)) path.push(typeAt(event));
  }
  return [path, ""];
}
const ARROW = " → ", STEPS = 3;
const hasPair = (events, name) => events.some((event, place) => place && typeAt(events[place - 1]) + ARROW + typeAt(event) === name);
const START = "·"; // before a path that is all that a user did before the goal
function hasPath(events, name) {
  const [path, goal] = pathOf(events), whole = [START, ...path, goal].join(ARROW);
  return goal !== "" && (name.startsWith(START + ARROW) ? whole === name : whole.endsWith(ARROW + name));
}

const isAsked = ([type, category], filters) => (!filters.type || type === filters.type) && (!filters.category || category === filters.category);
const dayNumber = (date) => Math.floor(Date.parse(date) / 86400000);

// What the filters leave: users in order of their ids, all of their events in the period, the journeys that fit, and of the events those
// that are `asked` for by themselves. null where a later question has come meanwhile.
async function groupOf(filters, side, isWanted, progress) {
  const { users } = index, hits = wordsOf(filters.q).length ? searched.get(filters.q) || (await searchText(filters.q, isWanted, progress)) : null;
  if (wordsOf(filters.q).length && !hits) return null;
  const from = filters.from ? dayNumber(filters.from) * DAY : -Infinity, end = filters.to ? (dayNumber(filters.to) + 1) * DAY : Infinity;
  const isPeriod = Boolean(filters.from || filters.to), isInside = (at) => at >= from && at < end;
  const profile = Object.entries(filters).filter(([name]) => name.startsWith("is.")).map(([name, value]) => [index.columns.indexOf(name.slice(3)), value]);
  const state = STATES.indexOf(filters.state), byKind = filters.type || filters.category || filters.state === "unsure", byJourney = filters.journey || filters.outcome || filters.step || filters.ends;
  const isMeantEvent = (event) => isAsked(index.kinds[all.kind[event]], filters) && (filters.state !== "unsure" || all.flags[event] & UNSURE);
  const isMeantJourney = (one) => one.events.length > 0 && isInside(beginOf(one)) && (!filters.journey || one.kind === filters.journey) && (!filters.outcome || one.converted === { yes: true, no: false }[filters.outcome])
    && (!filters.step || stepsOf(one).has(filters.step)) && (!filters.ends || typeAt(lastOf(one)) === filters.ends) && (!byKind || one.events.some(isMeantEvent));
  const group = { side, filters, name: nameOf(filters), users: [], events: [], journeys: [], asked: [], converted: 0 };
  for (let user = 0; user < index.size; user++) {
    if (users.beside[user] && filters.state !== "failed" || hits && !hits.users[user] || state >= 0 && users.state[user] !== state || filters.state && !STATES_ASKED[filters.state] || filters.state === "unplaced" && !users.unplaced[user]) continue;
    if (!profile.every(([column, value]) => (users.profile[user][column] ?? "") === value) || filters.place && !all.places[user].includes(filters.place)) continue;
    const events = [];
    for (let at = index.offsets[user]; at < index.offsets[user + 1]; at++) if (isInside(all.from[at])) events.push(at);
    if (isPeriod && !events.length || filters.transition && !hasPair(events, filters.transition) || filters.path && !hasPath(events, filters.path)) continue;
    if (filters.not && events.some((at) => index.kinds[all.kind[at]].includes(filters.not))) continue;
    const asked = byKind ? events.filter(isMeantEvent) : events;
    const journeys = all.journeys.slice(all.firsts[user], all.firsts[user + 1]).filter(isMeantJourney);
    if (byKind && !asked.length || byJourney && !journeys.length) continue;
    const meant = byJourney && new Set(journeys);
    group.users.push(user);
    for (const event of events) group.events.push(event);
    for (const event of asked) if ((!hits || hits.events[event]) && (!meant || meant.has(all.journeys[all.journey[event]]))) group.asked.push(event);
    group.journeys.push(...journeys);
  }
  group.users.sort((a, b) => index.rank[a] - index.rank[b]);
  return group;
}

// One group, or two where they are compared.
async function groupsAsked(state, isWanted, progress) {
  await everything(progress);
  const groups = [];
  for (const side of state.compare ? SIDES : [""]) {
    const group = await groupOf(filtersOf(state, side), side, isWanted, progress);
    if (!group || !isWanted()) return null;
    groups.push(group);
  }
  if (groups.some(({ filters }) => filters.from || filters.to)) for (const group of groups) group.name += " · " + counted(periodDays(group), _("1 day"), _("{count} days"));
  return groups;
}
// How many days the period of a group has; one without a begin or an end has that of all events.
function periodDays({ filters }) {
  let [first, last] = [Infinity, -Infinity];
  for (const at of all.from) [first, last] = [Math.min(first, dayOf(at)), Math.max(last, dayOf(at))];
  return Math.max(0, (filters.to ? dayNumber(filters.to) : last) - (filters.from ? dayNumber(filters.from) : first) + 1) || 0;
}

// the bar of filters

const query = byId("query"), tally = byId("found"), bars = byId("sides");
const MOST_VALUES = 12; // of a profile's column that can be chosen by
const profileOf = (user) => index.columns.map((_name, column) => index.users.profile[user][column]).filter(Boolean).join(" ");

// The most frequent types first, those of the goal always.
function typeNames() {
  return [...new Set([...index.sums.types, ...index.kinds].map(([type]) => type))].filter((type, place) => place < 300 || isGoal(type));
}
// What can be chosen: a filter's name, and its values with what is shown of them.
let offered = null;
function valuesOf(column) {
  const values = new Set();
  for (const profile of index.users.profile) if (profile[column] && values.size <= MOST_VALUES) values.add(profile[column]);
  return values;
}
function choices() {
  const named = (values, show = (value) => value) => values.map((value) => [value, show(value)]);
  offered ??= [
    ["type", named(typeNames())],
    ["category", named([...new Set(index.kinds.map(([, category]) => category))], categoryName)],
    ["journey", named(index.sums.kinds.map(([kind]) => kind))],
    ["outcome", index.sums.journeys ? [["yes", _("converted")], ["no", _("not converted")]] : []],
    ["not", [...new Set([...index.kinds.map(([, category]) => category).sort((a, b) => (b === index.goal) - (a === index.goal)), ...typeNames()])].map((name) => [name, withoutOf(name)])],
    ["state", Object.entries(STATES_ASKED)],
    ...index.columns.map((column, place) => {
      const values = valuesOf(place);
      return ["is." + column, values.size > 1 && values.size <= MOST_VALUES ? named([...values].sort(natural)) : []];
    }),
  ].filter(([, values]) => values.length);
  return offered;
}
const COLUMN_NAMES = { age: _("age"), gender: _("gender"), occupation: _("occupation"), city: _("city") };
const labelOf = (name) => (name.startsWith("is.") ? COLUMN_NAMES[name.slice(3)] ?? name.slice(3) : FILTER_NAMES[name]);
const withoutOf = (name) => (name === index.goal ? fill(_("not reached: {goal}"), { goal: categoryName(name) }) : _("without") + " " + categoryName(name));
function valueOf(name, value) {
  if (name === "not") return withoutOf(value);
  if (name === "path") return value.replace(START + ARROW, _("from the first event on:") + " ");
  return choices().find(([each]) => each === name)?.[1].find(([each]) => each === value)?.[1] ?? value;
}
function nameOf(filters) {
  const parts = Object.entries(filters).map(([name, value]) => (["outcome", "not"].includes(name) ? valueOf(name, value) : labelOf(name) + " " + valueOf(name, value)));
  return parts.join(" · ") || _("all users");
}

function drawFilters(state) {
  if (document.activeElement !== query) query.value = state.q || "";
  const isOfUsers = document.activeElement?.closest?.("#sides") && document.activeElement.dataset.name;
  bars.replaceChildren(...(state.compare ? SIDES : [""]).map((side, place) => {
    const filters = filtersOf(state, side), set = (name, value) => go({ [name]: value }, { side });
    const selects = choices().map(([name, values]) => {
      const known = values.some(([value]) => value === filters[name]) || !filters[name] ? values : [...values, [filters[name], valueOf(name, filters[name])]];
      const select = element("select", { "aria-label": labelOf(name), "data-name": side + name, class: filters[name] ? "set" : null, onchange: () => set(name, select.value) },
        element("option", { value: "" }, labelOf(name)), ...known.map(([value, text]) => element("option", { value, selected: value === filters[name] }, text)));
      return select;
    });
    const dates = ["from", "to"].map((name) => element("label", { class: "date" }, FILTER_NAMES[name] + " ", element("input", { type: "date", "data-name": side + name, value: filters[name], onchange: (event) => set(name, event.target.value) })));
    const chips = Object.keys(filters).filter((name) => name !== "q" && !["from", "to"].includes(name) && !choices().some(([each]) => each === name)).map((name) => element("button",
      { type: "button", class: "chip", "data-filter": side + name, title: filters[name], "aria-label": fill(_("Remove the filter {name}: {value}"), { name: labelOf(name), value: valueOf(name, filters[name]) }), onclick: () => set(name, "") },
      element("small", {}, labelOf(name) + " "), marked(valueOf(name, filters[name])), " ×"));
    const clear = Object.keys(filters).length ? element("button", { type: "button", class: "clear", onclick: () => go(Object.fromEntries(Object.keys(filters).map((name) => [name, ""])), { side }) }, _("Clear all")) : null;
    return element("div", { class: "side" }, state.compare ? element("strong", { class: "letter s" + place }, "AB"[place]) : null, ...selects, ...dates, ...chips, clear);
  }));
  if (isOfUsers) bars.querySelector(`[data-name="${CSS.escape(isOfUsers)}"]`)?.focus();
  const filters = (state.compare ? SIDES : [""]).map((side) => filtersOf(state, side));
  byId("chosen").hidden = !filters.some((each) => each.state === "unsure" || ["type", "category", "journey", "outcome", "step", "ends"].some((name) => each[name]));
  byId("chosen").textContent = filters.some((each) => each.from || each.to) ? _("These filters choose users: figures and charts of events count all events of theirs that begin in the period; the table of events has only those asked for.") : _("These filters choose users: figures and charts of events count all events of theirs; the table of events has only those asked for.");
  const many = index.columns.filter((_column, place) => valuesOf(place).size > MOST_VALUES);
  byId("many-values").hidden = !many.length;
  byId("many-values").textContent = many.length ? fill(_("Columns without a filter, for they have more than {most} values: {columns}. The address chooses one: is.{column}=VALUE."), { columns: many.map((column) => labelOf("is." + column)).join(", "), most: MOST_VALUES, column: many[0] }) : "";
  byId("compare").textContent = state.compare ? _("One group") : _("Compare two groups");
  byId("fold").textContent = _("Filters") + (filters.some((each) => Object.keys(each).length) ? ` (${filters.reduce((sum, each) => sum + Object.keys(each).length, 0)})` : "");
}
function drawTally(groups) {
  const areFailed = ({ filters }) => isSample() && filters.state === "failed", wholeOf = (group) => (areFailed(group) ? index.sums.users : index.drawn); // of all that failed, not of a sample
  const said = (group) => (group.users.length === wholeOf(group) ? counted(wholeOf(group), _("1 user"), _("{count} users")) : group.users.length ? fill(_("{found} of {count} users"), { found: number(group.users.length), count: number(wholeOf(group)) }) : _("No user matches. Remove a filter, or search for something else."));
  tally.textContent = groups.length > 1 ? groups.map((group, place) => "AB"[place] + ": " + said(group)).join(" · ") : said(groups[0]);
  if (isSample() && !groups.every(areFailed)) tally.textContent += " (" + fill(_("of {count} users, a sample of {kept}"), { count: number(index.sums.users), kept: number(index.drawn) }) + ")";
}

let typing = 0; // what is typed is searched for after a moment, or with the next click
function typed() {
  clearTimeout(typing);
  typing = 0;
  return query.value.trim();
}
const search = () => go({ q: typed() }, { replace: true });
query.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 180); });
byId("filters").addEventListener("submit", (event) => { event.preventDefault(); search(); });
byId("compare").addEventListener("click", () => go({ compare: shown.compare ? "" : "1" }));
byId("fold").addEventListener("click", () => byId("filters").classList.toggle("open"));
