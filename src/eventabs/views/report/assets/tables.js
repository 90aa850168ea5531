// The tables of users and of events.
let wanted = []; // words that are searched for
const tables = {};
const fileName = (kind) => (index.name ? index.name + "-" : "") + kind + ".csv";
const typesOf = (user) => [...new Set(index.users.kinds[user].map((kind) => index.kinds[kind][0]))];
const reachesGoal = (user) => index.users.kinds[user].some((kind) => index.kinds[kind][1] === index.goal);
const stampOr = (at) => (at === null ? null : stamp(at));
const shortStamp = (at) => (at === null ? "–" : stamp(at).slice(0, 16));

function userColumns() {
  const { users } = index, column = (name) => (user) => users[name][user];
  return [
    { name: "user_id", label: words.id, value: column("id"), key: (user) => index.rank[user], show: (user) => element("a", { href: addressOf({ user: users.id[user] }) }, marked(users.id[user], wanted)) },
    { name: "profile", label: words.profile, value: column("profile"), show: (user) => marked(users.profile[user], wanted), minor: true },
    { name: "state", label: words.state, value: (user) => STATES[users.state[user]], show: (user) => element("span", { class: STATES[users.state[user]] }, words.states[users.state[user]]), tight: true },
    { name: "reason", label: words.reason, value: (user) => index.reasons[users.reason[user]], minor: true },
    { name: "behaviors", label: words.behaviors, value: column("behaviors"), number: true },
    { name: "events", label: words.events, value: column("events"), number: true },
    { name: "journeys", label: words.journeys, value: column("journeys"), number: true, shown: users.journeys.some(Boolean) },
    { name: "behaviors_minor", label: words.minor, value: column("minor"), number: true, shown: users.minor.some(Boolean) },
    { name: "behaviors_unplaced", label: words.unplaced, value: column("unplaced"), number: true, shown: users.unplaced.some(Boolean) },
    { name: "types", label: words.types, value: (user) => typesOf(user).length, plain: (user) => typesOf(user).join("; "), number: true },
    { name: "reached_" + index.goal, label: fill(words.goal, { goal: categoryName(index.goal) }), value: (user) => (reachesGoal(user) ? 1 : 0), show: (user) => (reachesGoal(user) ? words.yes : "–"), tight: true },
    { name: "first_behavior", label: words.first, value: column("first"), plain: (user) => stampOr(users.first[user]), show: (user) => shortStamp(users.first[user]), tight: true, minor: true },
    { name: "last_behavior", label: words.last, value: column("last"), plain: (user) => stampOr(users.last[user]), show: (user) => shortStamp(users.last[user]), tight: true, minor: true },
  ].filter((one) => one.name !== "reached_" && (one.name !== "reason" || index.reasons.length > 1) && (one.name !== "profile" || users.profile.some(Boolean)) && one.shown !== false);
}

function eventColumns(events) {
  const { users } = index, kind = (at) => index.kinds[events.kind[at]], source = (at) => Math.floor(events.flags[at] / ABOVE_FLAGS);
  const typeRank = ranks(index.kinds.map(([type]) => type)), categoryRank = ranks(index.kinds.map(([, category]) => category));
  return [
    { name: "user_id", label: words.id, value: (at) => users.id[events.user[at]], key: (at) => index.rank[events.user[at]], show: (at) => element("a", { href: addressOf({ user: users.id[events.user[at]] }) }, marked(users.id[events.user[at]], wanted)) },
    { name: "start", label: words.start, value: (at) => events.from[at], plain: (at) => stampOr(events.from[at]), show: (at) => shortStamp(events.from[at]), tight: true },
    { name: "end", label: words.end, value: (at) => events.to[at], plain: (at) => stampOr(events.to[at]), show: (at) => shortStamp(events.to[at]), tight: true, minor: true },
    { name: "type", label: words.type, value: (at) => kind(at)[0], key: (at) => typeRank[events.kind[at]], show: (at) => element("a", { href: addressOf({ type: kind(at)[0] }) }, swatch(colorOf(kind(at)[0])), marked(kind(at)[0], wanted)) },
    { name: "category", label: words.category, value: (at) => kind(at)[1], key: (at) => categoryRank[events.kind[at]], show: (at) => element("a", { href: addressOf({ category: kind(at)[1] }) }, marked(categoryName(kind(at)[1]), wanted)), minor: true },
    { name: "summary", label: words.summary, value: (at) => events.summary[at], show: (at) => marked(events.summary[at], wanted), long: true },
    { name: "behaviors", label: words.covered, value: (at) => events.covered[at], number: true },
    { name: "journey", label: words.journey, value: (at) => events.journey[at], show: (at) => marked(events.journey[at] || "–", wanted), shown: users.journeys.some(Boolean) },
    { name: "sure", label: words.sure, value: (at) => 1 - (events.flags[at] & UNSURE), plain: (at) => String(!(events.flags[at] & UNSURE)), show: (at) => (events.flags[at] & UNSURE ? element("span", { class: "badge" }, words.unsure) : words.yes), minor: true },
    { name: "source", label: words.source, value: (at) => SOURCES[source(at)], show: (at) => words.sources[source(at)], minor: true },
  ].filter((one) => one.shown !== false);
}
function ranks(texts) {
  const ordered = [...new Set(texts)].sort(natural), places = new Map(ordered.map((text, place) => [text, place]));
  return texts.map((text) => places.get(text));
}

function showUsers(found) {
  tables.users ??= makeTable(byId("users-table"), { name: words.users, columns: userColumns(), sort: { column: "user_id", down: false }, file: () => fileName("users") });
  tables.users.show(found);
}

async function showEvents(state, found, isWanted, progress) {
  const events = await allEvents(progress);
  if (!isWanted()) return;
  tables.events ??= makeTable(byId("events-table"), { name: words.events, columns: eventColumns(events), sort: { column: "user_id", down: false }, file: () => fileName("events") });
  const asked = eventsAsked(state, found, events);
  byId("events-tally").textContent = number(asked.length);
  tables.events.show(asked);
}
