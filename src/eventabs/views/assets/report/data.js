// What the page holds compressed. The index is opened at once, everything else when it is looked at.
const index = {}; // users by column, kinds of events, facets
const SOURCES = ["llm", "rules", "must"], SOURCE_NAMES = [_("model"), _("built-in rules"), _("your rule")];
const STATES = ["done", "failed", "pending"], STATE_NAMES = [_("done"), _("failed"), _("still to do")];
const UNSURE = 1, OUTSIDE = 2, ABOVE_FLAGS = 4;

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
async function inflated(name) {
  const block = byId("data-" + name);
  const stream = new Blob([bytesOf(block.textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const opened = new Map();
function block(name, prepare = (value) => value) {
  if (!opened.has(name)) opened.set(name, inflated(name).then(prepare));
  return opened.get(name);
}

async function openIndex() {
  Object.assign(index, await inflated("index"));
  const { users } = index, firsts = [];
  index.size = users.id.length;
  index.drawn = index.size - users.beside.reduce((sum, one) => sum + one, 0); // the others are listed where the state is failed, and counted nowhere
  index.numbers = new Map();
  users.id.forEach((id, number) => {
    for (let same = 2, own = id; index.numbers.has(id); same++) id = own + "~" + same; // ids may be the same where they are cut or escaped
    index.numbers.set((users.id[number] = id), number);
  });
  users.chunk.forEach((chunk, number) => (firsts[chunk] ??= number));
  index.firsts = firsts; // the first user of each chunk
  index.offsets = new Uint32Array(index.size + 1); // of each user's events among all
  users.events.forEach((count, number) => (index.offsets[number + 1] = index.offsets[number] + count));
  const order = Array.from(users.id.keys()).sort((a, b) => natural(users.id[a], users.id[b]));
  index.rank = new Uint32Array(index.size);
  order.forEach((number, rank) => (index.rank[number] = rank));
}
const categoryName = (name) => index.categories[name] ?? name; // as it is shown; addresses and files have the name itself
const isGoal = (type) => index.kinds.some(([name, category]) => name === type && category === index.goal);
const colorOf = (type) => (Object.hasOwn(index.colors, type) ? index.colors[type] : "kx");

const summed = (differences, base) => differences.map((step) => (base += step));

// A text that is new in its chunk stands as -1: it is the next one.
function numberTexts(chunk) {
  let next = 1;
  for (const record of chunk.users) record[6] = record[6].map((text) => (text < 0 ? next++ : text));
  return chunk;
}
const chunkOf = (number) => block("users-" + number, numberTexts);

// The behaviors that each event covers, as indices.
function coverOf(record) {
  const [, , , , owners, kinds] = record, covered = kinds.map(() => []);
  summed(owners, 0).forEach((owner, at) => owner > 0 && covered[owner - 1].push(at));
  return covered;
}

// Starts and ends of events: from the first of the behaviors until the last of them ends.
function timesOf([base, differences, , lengths], covered) {
  const times = summed(differences, base);
  return covered.map((indices) => [times[indices[0]], indices.reduce((end, one) => Math.max(end, times[one] + lengths[one]), 0)]);
}

async function userOf(user) {
  const part = index.users.chunk[user], chunk = await chunkOf(part), record = chunk.users[user - index.firsts[part]];
  const [base, differences, names, lengths, owners, kinds, texts, flags, journeyOf, made, lines, files, , , said] = record;
  const covered = coverOf(record), times = timesOf(record, covered), owner = summed(owners, 0), line = summed(lines, 0);
  const behaviors = summed(differences, base).map((at, place) => ({
    at, name: chunk.names[names[place]], length: lengths[place], event: owner[place] - 1, file: index.files[files[place] || 0], line: line[place], text: said[place],
  }));
  const journeys = made.map(([kind, name, days, converted], place) => {
    const events = [...kinds.keys()].filter((event) => journeyOf[event] === place + 1);
    return { kind, name, days, converted, events, steps: [...new Set(events.map((event) => index.kinds[kinds[event]][0]))].join(" → ") };
  });
  const events = kinds.map((kind, place) => {
    const [type, category] = index.kinds[kind], flag = flags[place], [from, to] = times[place];
    return {
      from, to, type, category, color: colorOf(type), summary: chunk.texts[texts[place]], behaviors: covered[place],
      journey: journeys[journeyOf[place] - 1], unsure: Boolean(flag & UNSURE), outside: Boolean(flag & OUTSIDE), source: Math.floor(flag / ABOVE_FLAGS), goal: category === index.goal,
    };
  });
  return { number: user, id: index.users.id[user], behaviors, events, journeys };
}

// All events, a column for each fact, in the order of users and of their events; the journeys, with the numbers of their events;
// and where each user was.
let every = null, all = null;
function everything(progress) {
  every ??= (async () => {
    const total = index.offsets[index.size], column = (Kind) => new Kind(total);
    const made = { total, user: column(Uint32Array), from: column(Float64Array), to: column(Float64Array), kind: column(Uint32Array), covered: column(Uint32Array), flags: column(Uint8Array), summary: new Array(total), journey: column(Int32Array), journeys: [], firsts: new Uint32Array(index.size + 1), places: [], things: [] };
    for (let number = 0; number < index.firsts.length; number++) {
      const chunk = await chunkOf(number);
      chunk.users.forEach((record, place) => addUser(made, chunk, record, index.firsts[number] + place));
      progress((number + 1) / index.firsts.length);
    }
    const known = new Set(made.places.flat()); // what one row names as a place is one where it is the object of another
    made.places = made.places.map((places, user) => [...places, ...made.things[user].filter((thing) => known.has(thing))]);
    return (all = made);
  })();
  return every;
}
function addUser(made, chunk, record, user) {
  const covered = coverOf(record), times = timesOf(record, covered), kinds = record[5], first = made.journeys.length;
  for (const [kept, names] of [[made.places, record[12]], [made.things, record[13]]]) kept.push(names.map((name) => chunk.names[name]));
  for (const [kind, name, , converted] of record[9]) made.journeys.push({ number: made.journeys.length, user, kind, name, converted: Boolean(converted), events: [] });
  made.firsts[user + 1] = made.journeys.length;
  for (let at = index.offsets[user], place = 0; place < kinds.length; at++, place++) {
    made.user[at] = user;
    [made.from[at], made.to[at]] = times[place];
    made.kind[at] = kinds[place];
    made.covered[at] = covered[place].length;
    made.flags[at] = record[7][place];
    made.summary[at] = chunk.texts[record[6][place]];
    made.journey[at] = record[8][place] ? first + record[8][place] - 1 : -1;
    if (record[8][place]) made.journeys[made.journey[at]].events.push(at);
  }
}
const typeAt = (event) => index.kinds[all.kind[event]][0];
const categoryAt = (event) => index.kinds[all.kind[event]][1];
// The types of a journey in the order of their first events, with when these begin.
function stepsOf(journey) {
  if (!journey.steps) {
    journey.steps = new Map();
    for (const event of journey.events) if (!journey.steps.has(typeAt(event))) journey.steps.set(typeAt(event), all.from[event]);
  }
  return journey.steps;
}
const beginOf = (journey) => all.from[journey.events[0]], lastOf = (journey) => journey.events.at(-1);
