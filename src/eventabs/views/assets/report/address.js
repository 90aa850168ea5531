// The address says what is shown: #user=ID, #call=NUMBER, #type=NAME and so on. Links in the page are such addresses; a
// filter is added to those in force.
// Filters of the second group that is compared, where `compare` is set, have "b." before their names; those of a profile's column "is.".
const FILTER_NAMES = {
  type: _("type"), category: _("category"), not: _("without"), journey: _("journey"), outcome: _("outcome"), state: _("state"), from: _("since"), to: _("until"),
  step: _("step"), ends: _("ends with"), place: _("place"), transition: _("transition"), path: _("path"), q: _("text"),
};
const STATES_ASKED = { done: _("done"), failed: _("failed"), pending: _("still to do"), unsure: _("with events marked ?"), unplaced: _("with unplaced behaviors") };
const FILTERS = Object.keys(FILTER_NAMES);
const OF_JOURNEYS = ["journey", "outcome", "step", "ends", "kind"]; // not applied where there are none
const isOfJourneys = (name) => OF_JOURNEYS.includes(name) && !index.sums.journeys;
const isFilter = (name) => (name.startsWith("is.") ? index.columns.includes(name.slice(3)) : FILTERS.includes(name) && !isOfJourneys(name));
const SIDES = ["", "b."];
const KEYS = ["tab", "user", "call", "kind", "compare", ...FILTERS];
let shown = {};

// What the address says in vain, as it stands there: keys that nothing listens to, keys that need journeys, and values that nothing has.
function drawUnknown(state) {
  const named = (parts) => parts.map(([name, value]) => name + "=" + value).join(", "), ownOf = (name) => (name.startsWith("b.") ? name.slice(2) : name);
  const isKnown = ([name, value]) => {
    const own = ownOf(name);
    if (name === "tab") return tabs.some((tab) => tab.dataset.tab === value);
    return own.startsWith("is.") ? index.columns.includes(own.slice(3)) : (own === name ? KEYS : FILTERS).includes(own);
  };
  const parts = Object.entries(state), known = parts.filter(isKnown), unknown = parts.filter((part) => !isKnown(part));
  const idle = known.filter(([name]) => isOfJourneys(ownOf(name))), missing = known.filter(([name, value]) => value && !isOfJourneys(ownOf(name)) && !hasValue(ownOf(name), value));
  const lines = [
    unknown.length && fill(_("This page does not know what the address says: {keys}. It knows {known}, is.COLUMN of a profile, and each filter with b. before it."), { keys: named(unknown), known: KEYS.join(", ") }),
    idle.length && fill(_("Not applied, for it needs journeys and this run has none: {keys}."), { keys: named(idle) }),
    missing.length && fill(_("Nothing on this page has what the address asks for: {values}."), { values: named(missing) }),
  ].filter(Boolean);
  byId("unknown").hidden = !lines.length;
  byId("unknown").replaceChildren(lines.join(" "));
}
// Whether there is something with a filter's value. Users, calls and texts that are not there are said where they would stand.
function hasValue(name, value) {
  const types = () => [...index.sums.types, ...index.kinds].map(([type]) => type), categories = () => index.kinds.map(([, category]) => category);
  if (name.startsWith("is.")) return index.users.profile.some((profile) => profile[index.columns.indexOf(name.slice(3))] === value);
  if (["type", "step", "ends"].includes(name)) return types().includes(value);
  if (name === "category") return categories().includes(value);
  if (name === "not") return value === index.goal || [...types(), ...categories()].includes(value);
  if (["journey", "kind"].includes(name)) return [...index.sums.kinds.map(([kind]) => kind), ...all.journeys.map(({ kind }) => kind)].includes(value);
  if (name === "outcome") return ["yes", "no"].includes(value);
  if (name === "state") return Object.hasOwn(STATES_ASKED, value);
  if (["from", "to"].includes(name)) return !Number.isNaN(dayNumber(value));
  if (name === "place") return all.places.some((places) => places.includes(value));
  return !["transition", "path"].includes(name) || value.split(ARROW).every((type) => type === START || types().includes(type));
}

// What a side of the comparison is filtered by.
function filtersOf(state, side) {
  const named = Object.entries(state).filter(([name, value]) => value && name.startsWith(side) && isFilter(name.slice(side.length)));
  return Object.fromEntries(named.map(([name, value]) => [name.slice(side.length), value]));
}
const isFiltered = (state) => Object.keys(filtersOf(state, "")).length > 0;

function addressed(text) {
  const found = {};
  for (const [name, value] of new URLSearchParams(text.replace(/^#/, "").replaceAll("+", "%2B"))) found[name] = value;
  return found;
}
function addressOf(state) {
  const parts = Object.entries(state).filter(([, value]) => value).map(([name, value]) => name + "=" + encodeURIComponent(value));
  return "#" + parts.join("&");
}
function tabOf(state) {
  if (state.tab) return state.tab;
  return state.call ? "calls" : state.user ? "timeline" : "overview";
}

// What a link adds to what is shown: a user or a call opens its own tab, a filter stays on the tab that is open. `side`: whose filters
// it changes, both groups' unless it is said.
function merged(change, side) {
  const next = { ...shown, tab: tabOf(shown) };
  if (change.user || change.call) delete next.tab;
  if (change.user || change.tab) delete next.call;
  if (change.tab) delete next.user;
  for (const [name, value] of Object.entries(change)) {
    if (isFilter(name)) {
      delete next.user;
      for (const each of shown.compare ? SIDES : [""]) if (side === undefined || side === each) next[each + name] = value;
    } else next[name] = value;
  }
  if (!next.compare) for (const name of Object.keys(next)) if (name.startsWith("b.")) delete next[name];
  if (next.tab === "overview" && !next.user && !next.call) delete next.tab;
  return next;
}
function go(change, { replace = false, side } = {}) {
  if (typing) change = { q: typed(), ...change };
  const address = addressOf(merged(change, side));
  if (address === (location.hash || "#")) return;
  if (!replace) return void (location.hash = address);
  history.replaceState(null, "", address);
  show();
}

addEventListener("hashchange", () => show());
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#'], [data-href]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const address = link.getAttribute("href") || link.dataset.href;
  if (!address.includes("=")) return;
  event.preventDefault();
  go(addressed(address));
});
