// The address says what is shown: #user=ID, #call=NUMBER, #type=NAME and so on. Links in the page are such addresses; a
// filter is added to those in force.
const FILTERS = ["type", "category", "place", "transition", "path", "journey", "state", "q"];
let shown = {};

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
  return state.call ? "calls" : "timeline";
}

// What a link adds to what is shown: a user or a call opens its own tab, a filter stays on the tab that is open.
function merged(change) {
  const next = { ...shown, ...change };
  if (change.user || change.call) delete next.tab;
  if (change.user) delete next.call;
  if (change.tab) delete next.call;
  if (FILTERS.some((name) => name in change)) delete next.user;
  if (next.tab === "timeline") delete next.tab;
  return next;
}
function go(change, { replace = false } = {}) {
  if (typing) change = { q: typed(), ...change };
  const address = addressOf(merged(change));
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
