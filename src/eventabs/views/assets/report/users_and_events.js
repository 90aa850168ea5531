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
    { name: "user_id", label: _("user"), value: column("id"), key: (user) => index.rank[user], show: (user) => element("a", { href: addressOf({ user: users.id[user] }) }, marked(users.id[user], wanted)) },
    { name: "profile", label: _("profile"), value: profileOf, show: (user) => marked(profileOf(user), wanted), minor: true, shown: index.columns.length > 0 },
    { name: "state", label: _("state"), value: (user) => STATES[users.state[user]], show: (user) => element("span", { class: STATES[users.state[user]] }, STATE_NAMES[users.state[user]]), tight: true },
    { name: "reason", label: _("reason"), value: (user) => index.reasons[users.reason[user]], minor: true },
    { name: "behaviors", label: _("behaviors"), value: column("behaviors"), number: true },
    { name: "events", label: _("events"), value: column("events"), number: true },
    { name: "journeys", label: _("journeys"), value: column("journeys"), number: true, shown: users.journeys.some(Boolean) },
    { name: "behaviors_minor", label: _("minor"), value: column("minor"), number: true, shown: users.minor.some(Boolean) },
    { name: "behaviors_unplaced", label: _("unplaced"), value: column("unplaced"), number: true, shown: users.unplaced.some(Boolean) },
    { name: "types", label: _("types"), value: (user) => typesOf(user).length, plain: (user) => typesOf(user).join("; "), number: true },
    { name: "reached_" + index.goal, label: fill(_("reached {goal}"), { goal: categoryName(index.goal) }), value: (user) => (reachesGoal(user) ? 1 : 0), show: (user) => (reachesGoal(user) ? _("yes") : "–"), tight: true },
    { name: "first_behavior", label: _("first behavior"), value: column("first"), plain: (user) => stampOr(users.first[user]), show: (user) => shortStamp(users.first[user]), tight: true, minor: true },
    { name: "last_behavior", label: _("last behavior"), value: column("last"), plain: (user) => stampOr(users.last[user]), show: (user) => shortStamp(users.last[user]), tight: true, minor: true },
  ].filter((one) => one.name !== "reached_" && (one.name !== "reason" || index.reasons.length > 1) && one.shown !== false);
}

function eventColumns(events) {
  const journeyName = (at) => events.journeys[events.journey[at]]?.name ?? "", { users } = index, kind = (at) => index.kinds[events.kind[at]], source = (at) => Math.floor(events.flags[at] / ABOVE_FLAGS);
  const typeRank = ranks(index.kinds.map(([type]) => type)), categoryRank = ranks(index.kinds.map(([, category]) => category));
  return [
    { name: "user_id", label: _("user"), value: (at) => users.id[events.user[at]], key: (at) => index.rank[events.user[at]], show: (at) => element("a", { href: addressOf({ user: users.id[events.user[at]] }) }, marked(users.id[events.user[at]], wanted)) },
    { name: "start", label: _("start"), value: (at) => events.from[at], plain: (at) => stampOr(events.from[at]), show: (at) => shortStamp(events.from[at]), tight: true },
    { name: "end", label: _("end"), value: (at) => events.to[at], plain: (at) => stampOr(events.to[at]), show: (at) => shortStamp(events.to[at]), tight: true, minor: true },
    { name: "type", label: _("type"), value: (at) => kind(at)[0], key: (at) => typeRank[events.kind[at]], show: (at) => element("a", { href: addressOf({ type: kind(at)[0] }) }, swatch(colorOf(kind(at)[0])), marked(kind(at)[0], wanted)) },
    { name: "category", label: _("category"), value: (at) => kind(at)[1], key: (at) => categoryRank[events.kind[at]], show: (at) => element("a", { href: addressOf({ category: kind(at)[1] }) }, marked(categoryName(kind(at)[1]), wanted)), minor: true },
    { name: "summary", label: _("summary"), value: (at) => events.summary[at], show: (at) => marked(events.summary[at], wanted), long: true },
    { name: "behaviors", label: _("behaviors"), value: (at) => events.covered[at], number: true },
    { name: "journey", label: _("journey"), value: (at) => journeyName(at), show: (at) => marked(journeyName(at) || "–", wanted), shown: users.journeys.some(Boolean) },
    { name: "sure", label: _("sure"), value: (at) => 1 - (events.flags[at] & UNSURE), plain: (at) => String(!(events.flags[at] & UNSURE)), show: (at) => (events.flags[at] & UNSURE ? element("span", { class: "badge" }, _("not sure")) : _("yes")), minor: true },
    { name: "source", label: _("source"), value: (at) => SOURCES[source(at)], show: (at) => SOURCE_NAMES[source(at)], minor: true },
  ].filter((one) => one.shown !== false);
}
function ranks(texts) {
  const ordered = [...new Set(texts)].sort(natural), places = new Map(ordered.map((text, place) => [text, place]));
  return texts.map((text) => places.get(text));
}

function journeyColumns() {
  const { users } = index, one = (at) => all.journeys[at], user = (at) => users.id[one(at).user];
  return [
    { name: "user_id", label: _("user"), value: user, key: (at) => index.rank[one(at).user], show: (at) => element("a", { href: addressOf({ user: user(at) }) }, marked(user(at), wanted)) },
    { name: "kind", label: _("journey"), value: (at) => one(at).kind, show: (at) => element("a", { href: addressOf({ journey: one(at).kind }) }, marked(one(at).kind, wanted)) },
    { name: "name", label: _("name"), value: (at) => one(at).name, show: (at) => element("a", { href: addressOf({ user: user(at) }) }, marked(one(at).name, wanted)) },
    { name: "start", label: _("start"), value: (at) => beginOf(one(at)), plain: (at) => stampOr(beginOf(one(at))), show: (at) => shortStamp(beginOf(one(at))), tight: true },
    { name: "last_event", label: _("last event"), value: (at) => all.from[lastOf(one(at))], plain: (at) => stampOr(all.from[lastOf(one(at))]), show: (at) => shortStamp(all.from[lastOf(one(at))]), tight: true, minor: true },
    { name: "events", label: _("events"), value: (at) => one(at).events.length, number: true },
    { name: "converted", label: _("converted"), value: (at) => Number(one(at).converted), show: (at) => (one(at).converted ? _("yes") : "–"), tight: true },
    { name: "steps", label: _("steps"), value: (at) => [...stepsOf(one(at)).keys()].join(ARROW), show: (at) => element("span", { class: "steps" }, ...[...stepsOf(one(at)).keys()].flatMap((type, place) => [place ? " → " : "", swatch(colorOf(type)), marked(type, wanted)])), long: true },
  ];
}

// The rows of both groups, each once, with a column that says whose they are.
function showTable(name, groups, rowsOf, columns, label) {
  const sets = groups.map((group) => new Set(rowsOf(group))), letters = (row) => sets.map((set, place) => (set.has(row) ? "AB"[place] : "")).join("");
  const kind = name + sets.length;
  if (tables[name]?.kind !== kind) {
    const whose = { name: "group", label: _("group"), value: (row) => tables[name].letters(row), show: (row) => element("span", {}, ...[...tables[name].letters(row)].map((letter) => element("strong", { class: "letter s" + "AB".indexOf(letter) }, letter))), tight: true };
    tables[name] = { kind, show: makeTable(byId(name + "-table"), { name: label, columns: sets.length > 1 ? [whose, ...columns()] : columns(), sort: { column: "user_id", down: false }, file: () => fileName(name) }) };
  }
  const [first, ...others] = groups.map(rowsOf);
  tables[name].letters = letters;
  tables[name].show([...first, ...others.flat().filter((row) => !sets[0].has(row))]);
}
const showUsers = (groups) => showTable("users", groups, (group) => group.users, userColumns, _("users"));
const showEvents = (groups) => showTable("events", groups, (group) => group.asked, () => eventColumns(all), _("events"));
const showJourneys = (groups) => showTable("journeys", groups, (group) => group.journeys.map((one) => one.number), journeyColumns, _("journeys"));
