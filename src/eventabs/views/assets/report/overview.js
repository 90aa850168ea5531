// What the report begins with: the answer in figures, the journeys across users, and what people do, of one group or of two.
const MOST_BARS = 14, MOST_NAMED = 3, MOST_STEPS = 20, MOST_COLUMNS = 124, MOST_PATHS = 6;
const LEAST_FUNNEL = 10; // users, that a funnel of full height has at least
const address = (change) => addressOf(change);

// The figures of a group, in the form of the sums over all users.
function figuresOf(group) {
  if (group.figures) return group.figures;
  const { users } = index, ofUsers = (things, userOf, nameOf_) => tallied([...new Set(things.map((one) => userOf(one) + "\n" + nameOf_(one)))].map((pair) => pair.slice(pair.indexOf("\n") + 1)));
  const typeUsers = new Map(ofUsers(group.events, (event) => all.user[event], typeAt)), kindUsers = new Map(ofUsers(group.journeys, (one) => one.user, (one) => one.kind));
  const unsure = group.events.filter((event) => all.flags[event] & UNSURE), goal = group.events.filter((event) => categoryAt(event) === index.goal);
  const converted = group.journeys.filter((one) => one.converted), ofKind = new Map(tallied(converted.map((one) => one.kind)));
  group.figures = {
    users: group.users.length,
    failed: group.users.filter((user) => STATES[users.state[user]] === "failed").length,
    unplaced: group.users.reduce((sum, user) => sum + users.unplaced[user], 0),
    events: group.events.length,
    unsure: unsure.length,
    journeys: group.journeys.length,
    converted: converted.length,
    reached: new Set(goal.map((event) => all.user[event])).size,
    behaviors: group.users.reduce((sum, user) => sum + users.behaviors[user], 0),
    types: tallied(group.events.map(typeAt)).map(([type, count]) => [type, count, typeUsers.get(type)]),
    kinds: tallied(group.journeys.map((one) => one.kind)).map(([kind, count]) => [kind, count, kindUsers.get(kind), ofKind.get(kind) || 0]),
  };
  return group.figures;
}
// Those of all users, also of the ones that the page does not keep, where nothing is filtered.
const summedUp = (group) => (Object.keys(group.filters).length ? figuresOf(group) : { ...index.sums });
const isSample = () => index.drawn < index.sums.users;
const sampled = () => (isSample() ? quiet(fill(_("of {count} users, a sample of {kept}"), { count: number(index.sums.users), kept: number(index.drawn) })) : "");

function drawAnswer(groups) {
  const goal = categoryName(index.goal), main = [
    { key: "users", label: _("users"), get: (f) => ({ count: f.users }), href: { tab: "users" } },
    { key: "events", label: _("events"), get: (f) => ({ count: f.events }), href: { tab: "events" } },
    index.sums.journeys && { key: "journeys", label: _("journeys"), get: (f) => ({ count: f.journeys }), href: { tab: "journeys" } },
    index.sums.journeys && { key: "converted", label: fill(_("journeys with {goal}"), { goal }), get: (f) => ({ count: f.converted, of: f.journeys }), href: { tab: "journeys", outcome: "yes" } },
    { key: "reached", label: fill(_("users with {goal}, also outside journeys"), { goal }), get: (f) => ({ count: f.reached, of: f.users }), href: { tab: "users", category: index.goal } },
  ].filter((one) => one && (!["reached", "converted"].includes(one.key) || index.goal));
  const isTwo = groups.length > 1, figures = groups.map(isTwo ? figuresOf : summedUp), named = (name, place, linkOf) => { // two groups: by users, who may have a thing many times
    const totals = new Map(), countOf = ([, count, users]) => (isTwo ? users : count), whole = isTwo ? "users" : place, tab = isTwo ? "users" : place;
    for (const each of figures) for (const row of each[name]) totals.set(row[0], (totals.get(row[0]) || 0) + countOf(row));
    const rows = [...totals].sort((a, b) => b[1] - a[1]).map(([thing]) => ({ key: thing, label: thing, color: name === "types" ? colorOf(thing) : "", href: { tab, ...linkOf(thing) }, get: (f) => ({ count: countOf(f[name].find(([each]) => each === thing) || [thing, 0, 0]), of: f[whole] }) }));
    return picked(figures, rows, (row, each) => row.get(each), MOST_NAMED);
  };
  const doubtful = [
    { key: "unsure", label: _("events marked ?"), get: (f) => ({ count: f.unsure, of: f.events }), href: { tab: "events", state: "unsure" } },
    { key: "unplaced", label: _("unplaced behaviors"), get: (f) => ({ count: f.unplaced, of: f.behaviors }), href: { tab: "users", state: "unplaced" } },
    { key: "failed", label: _("failed users"), get: (f) => ({ count: f.failed, of: f.users }), href: { tab: "users", state: "failed" } },
  ];
  const lists = [[_("Commonest journeys"), named("kinds", "journeys", (journey) => ({ journey }))], [_("Commonest types"), named("types", "events", (type) => ({ type }))], [_("Doubtful"), doubtful]].slice(index.sums.journeys ? 0 : 1);
  const of = (row) => ({ ...row, href: address(row.href), get: undefined, figure: row.get });
  const head = element("h2", { id: "answer-title" }, _("Overview"), groups.length > 1 || Object.keys(groups[0].filters).length ? sampled() : "");
  if (isTwo) {
    const rows = [...main, ...lists.flatMap(([title, found]) => found.map((row) => (title === _("Doubtful") ? row : { ...row, label: (title === _("Commonest types") ? _("type") : _("journey")) + " " + row.label })))].map(of);
    return byId("answer").replaceChildren(head, element("div", { class: "names" }, ...groups.map(nameTag)),
      groupTable(figures, { first: _("figure"), rows, columns: [{ label: _("number"), get: (row, group) => row.figure(group), link: (row) => row.href }], bar: (row, group) => share(row.figure(group)), wide: true }), element("p", { class: "note" }, _("Of journeys and types: how many users have them; the three with most users, and the three whose shares of users differ most.")));
  }
  const tile = (row) => {
    const { count, of: whole } = row.get(figures[0]);
    return element("div", { "data-key": row.key }, element("dt", {}, row.label), element("dd", { class: "figure" }, element("a", { href: address(row.href) }, number(count)), whole === undefined ? "" : element("small", {}, " " + percent(count, whole))));
  };
  const item = (row) => {
    const { count, of: whole } = row.get(figures[0]);
    return element("li", { "data-key": row.key }, element("a", { href: address(row.href) }, row.color ? swatch(row.color) : null, marked(row.label)), element("span", {}, number(count), element("small", {}, percent(count, whole))));
  };
  byId("answer").replaceChildren(head, element("dl", { class: "tiles" }, ...main.map(tile)),
    element("div", { class: "thirds" }, ...lists.map(([title, rows]) => element("div", {}, element("h3", {}, title), rows.length ? element("ol", {}, ...rows.map(item)) : element("p", { class: "empty" }, _("Nothing to list."))))));
}
// What journeys of a kind have in common: how many, whose, how they end and how long they take.
function kindOf(group, kind) {
  group.kinds ??= new Map();
  if (!group.kinds.has(kind)) {
    const journeys = group.journeys.filter((one) => one.kind === kind), steps = new Map();
    for (const one of journeys) {
      let before = null, place = 0;
      for (const [type, at] of stepsOf(one)) {
        if (!steps.has(type)) steps.set(type, { places: [], waits: [], count: 0, converted: 0, ends: 0 });
        const step = steps.get(type);
        step.places.push(place++);
        step.count++;
        step.converted += one.converted;
        if (before !== null) step.waits.push(at - before);
        before = at;
      }
      steps.get(typeAt(lastOf(one))).ends++;
    }
    group.kinds.set(kind, { journeys, steps, users: new Set(journeys.map((one) => one.user)).size, converted: journeys.filter((one) => one.converted).length, days: median(journeys.map((one) => (all.from[lastOf(one)] - beginOf(one)) / DAY)) });
  }
  return group.kinds.get(kind);
}

function drawAcross(groups, chosen) {
  const kinds = tallied(groups.flatMap((group) => group.journeys.map((one) => one.kind))).map(([kind]) => kind), section = byId("across");
  const head = element("h2", { id: "across-title" }, _("Journeys across users"), sampled());
  if (!kinds.length) return section.replaceChildren(head, element("p", { class: "empty" }, index.sums.journeys ? _("Nothing to list.") : index.provider === "rules" ? _("There are no journeys: the built-in rules make none. A model finds them: eventabs init --preset NAME, then a new run.") : _("There are no journeys: the model found none. Kinds of journeys are named by [vocabulary] journeys.")));
  const kind = kinds.includes(chosen) ? chosen : kinds[0], list = (change) => address({ tab: "journeys", ...change });
  const table = foldedTable(groups, {
    caption: _("By kind"), first: _("journey"), wide: true, isShown: (row, place) => place < MOST_BARS || row.chosen,
    rows: ranked(groups, kinds.map((each) => ({ key: each, label: each, chosen: each === kind, href: address({ kind: each }) })), ({ key }, group) => ({ count: kindOf(group, key).users, of: group.users.length })),
    bar: ({ key }, group) => share({ count: kindOf(group, key).journeys.length, of: group.journeys.length }),
    columns: [
      { label: _("journeys"), get: ({ key }, group) => ({ count: kindOf(group, key).journeys.length, of: group.journeys.length }), link: ({ key }) => list({ journey: key }) },
      { label: _("users"), get: ({ key }, group) => ({ count: kindOf(group, key).users, of: group.users.length }), link: ({ key }) => address({ tab: "users", journey: key }), minor: true },
      { label: _("converted"), get: ({ key }, group) => ({ count: kindOf(group, key).converted, of: kindOf(group, key).journeys.length }), link: ({ key }) => list({ journey: key, outcome: "yes" }) },
      { label: _("median days"), get: ({ key }, group) => ({ text: kindOf(group, key).days === null ? "–" : brief(kindOf(group, key).days) }) },
    ],
  });
  const whole = kindOf({ journeys: groups.length > 1 ? [...new Set(groups.flatMap((group) => group.journeys))] : groups[0].journeys }, kind).steps;
  const order = [...whole].sort(([a, one], [b, other]) => median(one.places) - median(other.places) || other.count - one.count || natural(a, b)), common = new Set([...order].sort(([, a], [, b]) => b.count - a.count).slice(0, MOST_STEPS).map(([type]) => type));
  const none = { count: 0, converted: 0, ends: 0, waits: [] }, step = (row, group) => kindOf(group, kind).steps.get(row.key) || none, of = (group) => kindOf(group, kind);
  const steps = foldedTable(groups, {
    caption: fill(_("{kind}: the usual order of steps"), { kind: cut(kind, 260) }), first: _("step"), wide: true, isShown: ({ key }) => common.has(key),
    rows: order.map(([type]) => ({ key: type, label: type, color: colorOf(type), href: list({ journey: kind, step: type }) })),
    bar: (row, group) => share({ count: step(row, group).count, of: of(group).journeys.length }),
    columns: [
      { label: _("journeys with it"), get: (row, group) => ({ count: step(row, group).count, of: of(group).journeys.length }), link: (row) => list({ journey: kind, step: row.key }) },
      { label: _("median time after the step before"), get: (row, group) => ({ text: step(row, group).waits.length ? long(median(step(row, group).waits)) : "–" }) },
      { label: _("end here"), get: (row, group) => ({ count: step(row, group).ends, of: of(group).journeys.length }), link: (row) => list({ journey: kind, ends: row.key }) },
      { label: _("of the converted"), get: (row, group) => ({ count: step(row, group).converted, of: of(group).converted }), link: (row) => list({ journey: kind, step: row.key, outcome: "yes" }), minor: true },
      { label: _("of the others"), get: (row, group) => ({ count: step(row, group).count - step(row, group).converted, of: of(group).journeys.length - of(group).converted }), link: (row) => list({ journey: kind, step: row.key, outcome: "no" }), minor: true },
    ],
  });
  section.replaceChildren(head, table, steps, element("p", { class: "note" }, _("Steps are types of events, by the median of their place in the journeys that have them. The median time is that since the first event of the step before it in the same journey, the median days are from the first event of a journey to its last. Choose another kind with a click on its name.")));
}

// Days a column: as few as leave room for all; events far from all others, such as those of clocks that were never set, are left out.
function daysFrame(groups) {
  const days = groups.flatMap((group) => group.events.map((event) => dayOf(all.from[event]))).sort((a, b) => a - b), rest = Math.floor(days.length / 1000);
  if (!days.length) return null;
  let [first, last] = [days[0], days.at(-1)];
  const [low, high] = [days[rest], days[days.length - 1 - rest]];
  if (2 * (high - low + 1) < last - first + 1) [first, last] = [low, high];
  const span = last - first + 1, size = [1, 7, 28, 91, 364].find((each) => span <= each * MOST_COLUMNS) || Math.ceil(span / MOST_COLUMNS), bins = Math.ceil(span / size);
  if (bins < 2) return null; // one column says nothing that the bars do not say
  const isOneYear = dateOf(first).slice(0, 4) === dateOf(last).slice(0, 4), most = innerWidth < 560 || groups.length > 1 ? 4 : 8;
  const step = [1, 2, 7, 14, 28, 56].find((each) => bins <= each * (isOneYear ? most : most / 2)) || Math.ceil((2 * bins) / most);
  const labels = Array.from({ length: Math.ceil(bins / step) }, (_label, place) => place * step).filter((at) => (at + 0.5) / bins < 0.96).map((at) => [at, dateOf(first + at * size).slice(isOneYear ? 5 : 0)]);
  return { first, last, size, bins, labels, isOneYear, leftOut: days.filter((day) => day < first || day > last).length };
}
function daysOfTypes(group, frame, colored) {
  const { first, last, size, bins } = frame, values = new Map([...colored, "kx"].map((type) => [type, new Array(bins).fill(0)]));
  for (const event of group.events) {
    const day = dayOf(all.from[event]);
    if (day >= first && day <= last) values.get(colored.includes(typeAt(event)) ? typeAt(event) : "kx")[Math.floor((day - first) / size)]++;
  }
  return [...values].map(([type, found]) => (type === "kx" ? { color: "kx", name: _("other types"), values: found } : { color: colorOf(type), name: type, values: found, href: address({ type }) }));
}

function drawCharts(groups) {
  const box = byId("charts"), sections = [], add = (title, note, ...content) => sections.push(element("section", {}, element("h2", {}, title, note && quiet(note), sampled()), ...content));
  if (!groups.some((group) => group.events.length)) return box.replaceChildren(element("section", {}, element("p", { class: "empty" }, _("No events."))));
  const union = (of) => tallied(groups.flatMap(of)).map(([name]) => name), facts = (group) => figuresOf(group), types = union((group) => group.events.map(typeAt));
  const legend = (names) => element("ul", { class: "legend" }, ...names.map((type) => element("li", {}, element("a", { href: address({ type }) }, swatch(colorOf(type)), marked(type)))));
  const listed = (name, first, rows, columns_) => { // the last column is that of users
    const { get } = columns_.at(groups.length > 1 ? -1 : 0);
    return foldedTable(groups, { caption: name, first, rows: ranked(groups, rows, get), isShown: ({ key, color }, place) => place < MOST_BARS || color && isGoal(key), columns: columns_, wide: true, bar: (row, group) => share(get(row, group)) });
  };
  const counted_ = (label, name, total) => ({ label, get: ({ key }, group) => ({ count: group.tallies[name].get(key) || 0, of: total(group) }), link: ({ href }) => href });
  for (const group of groups) {
    const users = (name, thingOf) => new Map(tallied([...new Set(group.events.map((event) => all.user[event] + "\n" + thingOf(event)))].map((pair) => pair.slice(pair.indexOf("\n") + 1))));
    group.tallies ??= {
      types: new Map(tallied(group.events.map(typeAt))), typeUsers: users("type", typeAt), categories: new Map(tallied(group.events.map(categoryAt))), categoryUsers: users("category", categoryAt),
      lastTypes: new Map(tallied([...byUser(group).values()].filter((events) => events.length).map((events) => typeAt(events.at(-1))))), places: new Map(tallied(group.users.flatMap((user) => all.places[user]))), pairs: pairsOf(group),
    };
  }
  const events = (group) => group.events.length, users = (group) => group.users.length, colored = types.filter((type) => colorOf(type) !== "kx").filter((type, place) => place < 16 || isGoal(type)), frame = daysFrame(groups), series = frame && groups.map((group) => daysOfTypes(group, frame, colored));
  if (frame) add(_("Types over time"), ({ 1: _("by day"), 7: _("by week") }[frame.size] || fill(_("by {count} days"), { count: number(frame.size) })) + (frame.isOneYear ? " · " + dateOf(frame.first).slice(0, 4) : ""), legend(colored), sides(groups, (_group, place) => columns({ series: series[place], least: Math.max(...series.map(topOf)), labels: frame.labels, name: _("Events of each type over time"), title: (at, type, count) => `${dateOf(frame.first + at * frame.size)} · ${type}: ${number(count)}` })),
    frame.leftOut ? element("p", { class: "note" }, fill(_("{count} events far from all others are not drawn."), { count: number(frame.leftOut) })) : "");
  const places = union((group) => [...group.tallies.places].flatMap(([place, count]) => Array(count).fill(place)));
  const ofTypes = (names, linkOf = (type) => address({ type })) => names.map((type) => ({ key: type, label: type, color: colorOf(type), href: linkOf(type) }));
  const lastTypes = union((group) => [...group.tallies.lastTypes].flatMap(([type, count]) => Array(count).fill(type)));
  add(_("What people do"), "", groups.length > 1 ? element("p", { class: "note lead" }, _("In the order of the difference of the shares of users, the largest first; bars are shares of users.")) : "", element("div", { class: groups.length > 1 ? "one" : "two" },
    element("div", {}, listed(_("Types"), _("type"), ofTypes(types), [counted_(_("events"), "types", events), counted_(_("users"), "typeUsers", users)]),
      index.sums.journeys ? "" : listed(_("Where users stop: the type of each user's last event"), _("type"), ofTypes(lastTypes), [{ ...counted_(_("users"), "lastTypes", users), link: undefined }])),
    element("div", {}, listed(_("Categories"), _("category"), union((group) => group.events.map(categoryAt)).map((category) => ({ key: category, label: categoryName(category), href: address({ category }) })), [counted_(_("events"), "categories", events), counted_(_("users"), "categoryUsers", users)]),
      places.length ? listed(_("Places, sites and apps, by users"), _("place"), places.map((place) => ({ key: place, label: place, href: address({ place }) })), [counted_(_("users"), "places", users)]) : "")));
  const { steps, paths, left } = pathsShown(groups), most = Math.max(LEAST_FUNNEL, ...groups.flatMap((group) => paths.flatMap((path) => stepsOn(group, path).map(({ count }) => count))));
  if (paths.length) add(fill(_("Paths to {goal}"), { goal: categoryName(index.goal) }), "", element("p", { class: "note lead" }, fill(_("Each user who got there has one path: the last steps before the first event of this category, {steps} at most, read from left to right; the most frequent path comes first. Below each step: how many users went so far, each step directly after the one before, and which share of them turned elsewhere. All heights have one scale."), { steps: number(steps) })), sides(groups, (group) => element("div", { class: "funnels" }, ...paths.map((path) => {
    const count = group.paths.get(joined(path)) || 0, name = valueOf("path", joined(path));
    return element("div", { "data-path": joined(path) }, element("p", {}, element("a", { class: "whole", href: address({ path: joined(path) }), "aria-label": fill(_("Users with the path {path}"), { path: name }) }, element("strong", {}, counted(count, _("1 user"), _("{count} users")))),
      quiet(" " + fill(_("{share} of those who got there"), { share: percent(count, figuresOf(group).reached) })), path[0] === START ? quiet(" · " + (path.length > 2 ? _("nothing before") : _("as the first event"))) : ""), funnel(stepsOn(group, path), most, steps + 1));
  }))), left ? element("p", { class: "note" }, fill(_("{count} users took other paths, which are not drawn."), { count: number(left) })) : "");
  const pairs = groups.map((group) => [...group.tallies.pairs].slice(0, MOST_BARS));
  if (pairs.some((found) => found.length)) add(_("What follows what"), "", sides(groups, (group, place) => {
    const rows = [...group.tallies.pairs].map(([name, count]) => [...partsOf.get(name), count]), sum = (some) => some.reduce((total, [, , count]) => total + count, 0);
    const said = { drawn: number(pairs[place].length), pairs: number(rows.length), share: percent(sum(rows.slice(0, MOST_BARS)), sum(rows)), count: number(sum(rows)) };
    return rows.length ? element("div", {}, element("p", { class: "note" }, fill(said.drawn === said.pairs ? _("An event comes directly after another of the same user {count} times; all {pairs} pairs of types are drawn.") : _("An event comes directly after another of the same user {count} times. Drawn as bands: the {drawn} most frequent of {pairs} pairs of types, {share} of these times. The numbers beside the bars count all pairs; the light part of a bar has no band."), said)), sankey(rows, { name: _("What follows what"), most: MOST_BARS, hrefOf: (from, to) => address({ transition: joined([from, to]) }) })) : element("p", { class: "empty" }, _("Nothing to list."));
  }), element("details", {}, element("summary", {}, _("As a table")), groupTable(groups, { first: _("transition"), rows: [...new Set(pairs.flat().map(([name]) => name))].map((name) => ({ key: name, label: name, href: address({ transition: name }) })),
    columns: [{ label: _("number"), get: ({ key }, group) => ({ count: group.tallies.pairs.get(key) || 0, of: [...group.tallies.pairs.values()].reduce((sum, count) => sum + count, 0) }) }] })));
  const weeks = groups.map((group) => {
    const counts = new Array(168).fill(0);
    for (const event of group.events) counts[(((dayOf(all.from[event]) + 3) % 7) + 7) % 7 * 24 + Math.floor((all.from[event] % DAY + DAY) % DAY / 3600)]++;
    return counts;
  }), darkest = Math.max(...weeks.map((counts, place) => Math.max(...counts) / (groups[place].events.length || 1)));
  add(_("When events begin"), "", sides(groups, (_group, place) => heat(weeks[place], darkest, groups[place].events.length)), scaleOf(groups.length > 1 ? percent(darkest, 1) : counted(Math.max(...weeks[0]), _("1 event"), _("{count} events"))));
  box.replaceChildren(...sections);
}

// Types that follow each other as one text, and the types that a text was made of.
const partsOf = new Map();
function joined(types) {
  const name = types.join(ARROW);
  partsOf.set(name, types);
  return name;
}
// How often a type comes directly after another of the same user.
function pairsOf(group) {
  const names = [];
  for (let place = 1; place < group.events.length; place++) {
    const [before, event] = [group.events[place - 1], group.events[place]];
    if (all.user[before] === all.user[event]) names.push(joined([typeAt(before), typeAt(event)]));
  }
  return new Map(tallied(names));
}
function byUser(group) {
  const users = new Map(group.users.map((user) => [user, []]));
  for (const event of group.events) users.get(all.user[event]).push(event);
  return users;
}
// The path of each user who reached the goal: the last steps before its first event and the type of that, with START before them where there were fewer.
// `runs`: how many users went a run of steps before the goal, one after the other.
function pathsOf(group, steps) {
  const paths = [];
  group.runs = new Map();
  for (const events of byUser(group).values()) {
    const [path, goal] = pathOf(events), line = [START, ...path], own = new Set();
    for (let at = 0; at < line.length; at++) for (let length = 1; length <= steps + !at && at + length <= line.length; length++) own.add(joined(line.slice(at, at + length)));
    for (const run of own) group.runs.set(run, (group.runs.get(run) || 0) + 1);
    if (goal) paths.push(joined([...line.slice(path.length < steps ? 0 : -steps), goal]));
  }
  return (group.paths = new Map(tallied(paths)));
}
// The most frequent paths, of the most steps with which users share them and they are those of half of the users who reached the goal.
// `left`: users on all others.
function pathsShown(groups) {
  for (let steps = STEPS; ; steps--) {
    const counts = new Map();
    for (const group of groups) for (const [path, count] of pathsOf(group, steps)) counts.set(path, (counts.get(path) || 0) + count);
    const found = [...counts].sort((a, b) => b[1] - a[1] || natural(a[0], b[0])), users = (some) => some.reduce((sum, [, count]) => sum + count, 0), left = users(found.slice(MOST_PATHS));
    const isShared = found[0]?.[1] > 1 && 2 * left <= users(found);
    if (isShared || steps === 1) return { steps, left, paths: found.slice(0, MOST_PATHS).map(([path]) => partsOf.get(path)) };
  }
}
// What a funnel of a path draws: each step with the users that went so far, the last one with those who took the path.
function stepsOn(group, path) {
  const count = (place) => (place === path.length - 1 ? group.paths : group.runs).get(joined(path.slice(0, place + 1))) || 0;
  return [...path.entries()].filter(([, type]) => type !== START).map(([place, type]) => ({ label: type, color: colorOf(type), href: address({ type }), count: count(place) }));
}

function drawOverview(groups, chosen) {
  drawAnswer(groups);
  drawAcross(groups, chosen);
  drawCharts(groups);
  if (!index.sums.journeys) byId("tab-overview").append(byId("across")); // why there are none stands below what there is
}
