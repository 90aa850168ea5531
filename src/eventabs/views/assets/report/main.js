// What the address asks for is shown: filters, the open tab, and in it a user, a table or a call.
let round = 0;
const tabs = [...document.querySelectorAll(".tab")], links = [...document.querySelectorAll(".tabs a")];

function openTab(name) {
  const known = tabs.some((tab) => tab.dataset.tab === name) ? name : "overview";
  for (const tab of tabs) tab.hidden = tab.dataset.tab !== known;
  for (const link of links) {
    const isOpen = (addressed(link.getAttribute("href")).tab || "overview") === known;
    if (!isOpen) link.removeAttribute("aria-current");
    else if (link.ariaCurrent !== "page") {
      link.setAttribute("aria-current", "page");
      link.parentNode.scrollLeft = link.offsetLeft - link.parentNode.offsetLeft - 24; // on a phone not all have room
    }
  }
  byId("filters").hidden = !["overview", "journeys", "timeline", "users", "events"].includes(known);
  return known;
}

// The user to begin with: one of those with the most types, with the goal where one of them has it, and not the one with most events.
function richest(found) {
  const { users } = index, types = (user) => 2 * typesOf(user).length + (reachesGoal(user) ? 1 : 0);
  const best = found.reduce((most, user) => Math.max(most, types(user)), 0);
  const rich = found.filter((user) => types(user) === best).sort((a, b) => users.events[a] - users.events[b]);
  return rich[Math.floor(rich.length / 2)];
}

async function show() {
  byId("main").setAttribute("aria-busy", "true");
  const own = ++round, isWanted = () => own === round, before = shown, progress = (share) => isWanted() && share < 1 && (tally.textContent = fill(_("searching: {percent} %"), { percent: Math.round(100 * share) }));
  shown = addressed(location.hash);
  wanted = wordsOf(shown.q);
  const tab = openTab(tabOf(shown));
  drawFilters(shown);
  if (tab === "calls" || tab === "run") await showCalls(shown, isWanted);
  if (tab === "overview" && !shown.compare && !isFiltered(shown) && !all) drawAnswer([{ filters: {} }]); // the sums are there at once
  const groups = await groupsAsked(shown, isWanted, progress);
  if (!groups) return;
  drawUnknown(shown);
  for (const [name, rowsOf] of [["users", "users"], ["journeys", "journeys"], ["events", "asked"]]) byId(name + "-tally").textContent = groups.map((group) => number(group[rowsOf].length)).join(" / ");
  if (tab === "overview") drawOverview(groups, shown.kind);
  if (tab === "journeys") showJourneys(groups);
  if (tab === "users") showUsers(groups);
  if (tab === "events") showEvents(groups);
  if (tab === "timeline") await showTimeline(groups, isWanted);
  if (!isWanted()) return;
  drawTally(groups);
  const moved = ["tab", "user", "call"].some((name) => shown[name] !== before[name]);
  if (moved && before !== nowhere) scrollTo({ top: Math.min(scrollY, document.querySelector(".tabs").offsetTop), behavior: "instant" });
  byId("main").setAttribute("aria-busy", "false");
}
const nowhere = shown;

async function showTimeline(groups, isWanted) {
  const found = [...new Set(groups.flatMap((group) => group.users))];
  const asked = shown.user === undefined ? undefined : index.numbers.get(shown.user);
  if (shown.user !== undefined && asked === undefined) {
    byId("user").hidden = false;
    byId("user").replaceChildren(element("p", { class: "empty", id: "who" }, fill(_("This page has no user {user}."), { user: shown.user })));
    return;
  }
  const at = asked ?? (isFiltered(shown) ? found[0] : richest(found));
  byId("user").hidden = !index.size;
  if (at === undefined) return void byId("user").replaceChildren(element("p", { class: "empty", id: "who" }, _("No user matches. Remove a filter, or search for something else.")));
  await showUser(at, found, isWanted, asked === undefined && !isFiltered(shown) && found.length > 1 ? _("shown first: no user has more types of events") : "");
}

openIndex().then(() => {
  document.querySelector(".tabs").hidden = false;
  return show();
}).catch((error) => {
  const note = element("p", { class: "note leaves-out" }, _("This browser cannot open the data in this page; open it in a current one."));
  byId("main").prepend(note);
  byId("user").hidden = true;
  throw error;
});
