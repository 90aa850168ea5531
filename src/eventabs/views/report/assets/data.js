// What the page holds compressed. The index is opened at once, everything else when it is looked at.
const index = {}; // users by column, kinds of events, facets
const SOURCES = ["llm", "rules", "must"], STATES = ["done", "failed", "pending"];
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
  Object.assign(words, index.words);
  const { users } = index, firsts = [];
  index.size = users.id.length;
  index.numbers = new Map(users.id.map((id, number) => [id, number]));
  users.chunk.forEach((chunk, number) => (firsts[chunk] ??= number));
  index.firsts = firsts; // the first user of each chunk
  index.offsets = new Uint32Array(index.size + 1); // of each user's events among all
  users.events.forEach((count, number) => (index.offsets[number + 1] = index.offsets[number] + count));
  index.color = new Map(index.colors.map((type, place) => [type, "k" + place]));
  const order = Array.from(users.id.keys()).sort((a, b) => natural(users.id[a], users.id[b]));
  index.rank = new Uint32Array(index.size);
  order.forEach((number, rank) => (index.rank[number] = rank));
}
const categoryName = (name) => index.categories[name] ?? name; // as it is shown; addresses and files have the name itself
const colorOf = (type) => index.color.get(type) || "kx";

// A user's types have their own colors; one that has none takes a color that the user does not need otherwise.
function colorsOf(types) {
  const seen = new Map(), free = new Set([...index.color.values()]);
  for (const type of types) seen.set(type, (seen.get(type) || 0) + 1);
  for (const type of seen.keys()) free.delete(index.color.get(type));
  const colors = new Map(index.color), left = [...free];
  for (const [type] of [...seen].sort((a, b) => b[1] - a[1])) if (!colors.has(type)) colors.set(type, left.shift() || "kx");
  return colors;
}

const summed = (differences, base) => differences.map((step) => (base += step));

// A text that is new in its chunk stands as -1: it is the next one.
function numberTexts(chunk) {
  let next = 1;
  for (const record of chunk.users) record[6] = record[6].map((text) => (text < 0 ? next++ : text));
  return chunk;
}
const chunkOf = (number) => block("users-" + number, numberTexts);

async function recordOf(user) {
  const number = index.users.chunk[user], chunk = await chunkOf(number);
  return { chunk, record: chunk.users[user - index.firsts[number]] };
}

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
  const { chunk, record } = await recordOf(user), [base, differences, names, lengths, owners, kinds, texts, flags, journeyOf, made] = record;
  const covered = coverOf(record), times = timesOf(record, covered), owner = summed(owners, 0);
  const behaviors = summed(differences, base).map((at, place) => ({ at, name: chunk.names[names[place]], length: lengths[place], event: owner[place] - 1 }));
  const journeys = made.map(([kind, name, days, converted, steps], place) => ({ kind, name, days, converted, steps, events: [...kinds.keys()].filter((event) => journeyOf[event] === place + 1) }));
  const colors = colorsOf(kinds.map((kind) => index.kinds[kind][0]));
  const events = kinds.map((kind, place) => {
    const [type, category] = index.kinds[kind], flag = flags[place], [from, to] = times[place];
    return {
      from, to, type, category, color: colors.get(type), summary: chunk.texts[texts[place]], behaviors: covered[place],
      journey: journeys[journeyOf[place] - 1], unsure: Boolean(flag & UNSURE), outside: Boolean(flag & OUTSIDE), source: Math.floor(flag / ABOVE_FLAGS), goal: category === index.goal,
    };
  });
  return { number: user, id: index.users.id[user], behaviors, events, journeys };
}

// All events, a column for each fact, in the order of users and of their events.
let everyEvent = null;
function allEvents(progress) {
  everyEvent ??= (async () => {
    const total = index.offsets[index.size], column = (Kind) => new Kind(total);
    const events = { total, user: column(Uint32Array), from: column(Float64Array), to: column(Float64Array), kind: column(Uint32Array), covered: column(Uint32Array), flags: column(Uint8Array), summary: new Array(total), journey: new Array(total) };
    for (let number = 0; number < index.firsts.length; number++) {
      const chunk = await chunkOf(number);
      chunk.users.forEach((record, place) => addEvents(events, chunk, record, index.firsts[number] + place));
      progress((number + 1) / index.firsts.length);
    }
    return events;
  })();
  return everyEvent;
}
function addEvents(events, chunk, record, user) {
  const covered = coverOf(record), times = timesOf(record, covered), kinds = record[5];
  for (let at = index.offsets[user], place = 0; place < kinds.length; at++, place++) {
    events.user[at] = user;
    [events.from[at], events.to[at]] = times[place];
    events.kind[at] = kinds[place];
    events.covered[at] = covered[place].length;
    events.flags[at] = record[7][place];
    events.summary[at] = chunk.texts[record[6][place]];
    events.journey[at] = record[8][place] ? record[9][record[8][place] - 1][1] : "";
  }
}
