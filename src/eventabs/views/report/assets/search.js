// Which users and events are asked for, by the filters in the address and by text.
const searched = { text: null, users: null, events: null };
const wordsOf = (text) => (text || "").toLowerCase().split(/\s+/).filter(Boolean).slice(0, 8);
const isFiltered = (state) => FILTERS.some((name) => state[name]);

// A bit for each word that stands in a text.
function bitsOf(text, wanted) {
  const lower = text.toLowerCase();
  return wanted.reduce((bits, word, place) => bits | (lower.includes(word) ? 1 << place : 0), 0);
}

// Go through all users once; keep for each, and for each event, whether all words stand in what belongs to it.
async function searchText(text, isWanted, progress) {
  const wanted = wordsOf(text), all = (1 << wanted.length) - 1;
  const users = new Uint8Array(index.size), events = new Uint8Array(index.offsets[index.size]);
  const ofKinds = index.kinds.map(([type, category]) => bitsOf(type + "\n" + category + "\n" + categoryName(category), wanted));
  const ofReasons = index.reasons.map((reason) => bitsOf(reason, wanted));
  for (let number = 0; number < index.firsts.length; number++) {
    const chunk = await chunkOf(number);
    if (!isWanted()) return false;
    const ofNames = chunk.names.map((name) => bitsOf(name, wanted)), ofTexts = chunk.texts.map((one) => bitsOf(one, wanted));
    chunk.users.forEach((record, place) => {
      const user = index.firsts[number] + place, columns = index.users;
      const own = bitsOf(columns.id[user] + "\n" + columns.profile[user], wanted) | ofReasons[columns.reason[user]];
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
        events[index.offsets[user] + at] = bits === all;
      });
      users[user] = any === all;
    });
    if (number % 8 === 7) {
      progress((number + 1) / index.firsts.length);
      await new Promise((resume) => setTimeout(resume));
    }
  }
  Object.assign(searched, { text, users, events });
  return true;
}

function kindsAsked(state) {
  if (!state.type && !state.category) return null;
  return new Set([...index.kinds.keys()].filter((kind) => isAsked(index.kinds[kind], state)));
}
const isAsked = ([type, category], state) => (!state.type || type === state.type) && (!state.category || category === state.category);

// The users that all filters leave, in order of their ids; null where a later question has come meanwhile.
async function usersAsked(state, isWanted, progress) {
  if (wordsOf(state.q).length && searched.text !== state.q && !(await searchText(state.q, isWanted, progress))) return null;
  const tests = [], { users } = index;
  if (state.q && wordsOf(state.q).length) tests.push((user) => searched.users[user]);
  if (state.state) tests.push((user) => users.state[user] === STATES.indexOf(state.state));
  const kinds = kindsAsked(state);
  if (kinds) tests.push((user) => users.kinds[user].some((kind) => kinds.has(kind)));
  for (const facet of ["place", "transition", "path", "journey"]) {
    if (!state[facet]) continue;
    const held = new Set(summed(index.facets[facet][state[facet]] || [], 0));
    tests.push((user) => held.has(user));
  }
  const found = [];
  for (let user = 0; user < index.size; user++) if (tests.every((test) => test(user))) found.push(user);
  return found.sort((a, b) => index.rank[a] - index.rank[b]);
}

// The events of the users asked for; type, category and text choose among these.
function eventsAsked(state, users, events) {
  const kinds = kindsAsked(state), byText = wordsOf(state.q).length > 0, found = [];
  for (const user of users) {
    for (let at = index.offsets[user]; at < index.offsets[user + 1]; at++) {
      if ((!kinds || kinds.has(events.kind[at])) && (!byText || searched.events[at])) found.push(at);
    }
  }
  return Uint32Array.from(found);
}

// the bar of filters

const query = byId("query"), stateChoice = byId("state"), chips = byId("chips"), tally = byId("found");

function drawFilters(state) {
  if (document.activeElement !== query) query.value = state.q || "";
  stateChoice.value = state.state || "";
  const named = FILTERS.filter((name) => state[name] && name !== "q" && name !== "state");
  chips.replaceChildren(...named.map((name) => {
    const value = name === "category" ? categoryName(state[name]) : state[name], label = fill(words.remove, { name: words[name], value });
    return element("li", {}, element("button", { type: "button", "aria-label": label, title: value, "data-filter": name, onclick: () => removeFilter(name) },
      element("small", {}, words[name] + " "), marked(value), " ×"));
  }));
  if (isFiltered(state)) {
    chips.append(element("li", {}, element("button", { type: "button", class: "clear", onclick: () => go(Object.fromEntries(FILTERS.map((name) => [name, ""]))) }, words.clear)));
  }
}
function removeFilter(name) {
  go({ [name]: "" });
  query.focus();
}
function drawTally(found) {
  const every = number(index.size);
  if (!found.length && index.size) tally.textContent = words.none;
  else if (found.length === index.size) tally.textContent = counted(index.size, "allOne", "all");
  else tally.textContent = fill(words.found, { found: number(found.length), count: every });
}

let typing = 0; // what is typed is searched for after a moment, or with the next click
function typed() {
  clearTimeout(typing);
  typing = 0;
  return query.value.trim();
}
const search = () => go({ q: typed() }, { replace: true });
query.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 180); });
stateChoice.addEventListener("change", () => go({ state: stateChoice.value }));
byId("filters").addEventListener("submit", (event) => { event.preventDefault(); search(); });
