// The address says what is shown: #user=ID, #call=NUMBER, #type=NAME and so on. Links in the page are such addresses; a
// filter is added to those in force.
// Filters of the second group that is compared, where `compare` is set, have "b." before their names; those of a profile's column "is.".
const FILTERS = ["type", "category", "journey", "outcome", "state", "from", "to", "step", "ends", "place", "transition", "path", "q"];
const isFilter = (name) => FILTERS.includes(name) || name.startsWith("is.");
const SIDES = ["", "b."];
const KEYS = ["tab", "user", "call", "kind", "compare", ...FILTERS];
let shown = {};

// What the address says and nothing listens to, as it stands there.
function unknownOf(state) {
  const isKnown = (name, value) => {
    const own = name.startsWith("b.") ? name.slice(2) : name;
    if (name === "tab") return tabs.some((tab) => tab.dataset.tab === value);
    return own.startsWith("is.") ? index.columns.includes(own.slice(3)) : (own === name ? KEYS : FILTERS).includes(own);
  };
  return Object.entries(state).filter(([name, value]) => !isKnown(name, value)).map(([name, value]) => name + "=" + value);
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
