// The calls: a table of their figures, and for each what was sent and what came back.
let callIndex = null;
async function callFacts() {
  callIndex ??= block("calls", (calls) => {
    calls.size = (calls.id || []).length;
    calls.places = new Map((calls.id || []).map((id, place) => [String(id), place]));
    calls.ofUser = new Map();
    (calls.who || []).forEach((users, place) => users.forEach((user) => calls.ofUser.set(user, [...(calls.ofUser.get(user) || []), calls.id[place]])));
    return calls;
  });
  return callIndex;
}
async function callsOf(user) {
  return (await callFacts()).ofUser.get(user) || [];
}

const money = (amount) => (amount === null || amount === undefined ? "–" : amount.toLocaleString("en-US", { minimumFractionDigits: amount >= 1 ? 2 : 4, maximumFractionDigits: amount >= 1 ? 2 : 4 }));

function callColumns(calls) {
  const column = (name) => (call) => calls[name][call], has = (name) => calls[name].some(Boolean);
  return [
    { name: "call", label: words.call, value: column("id"), number: true, show: (call) => element("a", { href: "#call=" + calls.id[call] }, String(calls.id[call])) },
    { name: "sent", label: words.sent, value: column("sent"), plain: (call) => stamp(calls.sent[call]), show: (call) => stamp(calls.sent[call]), tight: true },
    { name: "status", label: words.status, value: column("status"), show: (call) => words.statuses[calls.status[call]] || calls.status[call], tight: true },
    { name: "attempt", label: words.attempt, value: column("attempt"), number: true, minor: true },
    { name: "users", label: words.users, value: column("users"), number: true },
    { name: "usable", label: words.usable, value: column("usable"), number: true, show: (call) => element("span", { class: calls.usable[call] < calls.users[call] ? "failed" : null }, number(calls.usable[call])) },
    { name: "prompt_tokens", label: words.prompt, value: column("prompt"), number: true },
    { name: "cached_tokens", label: words.cached, value: column("cached"), number: true, shown: has("cached") },
    { name: "completion_tokens", label: words.completion, value: column("completion"), number: true },
    { name: "reasoning_tokens", label: words.reasoning, value: column("reasoning"), number: true, shown: has("reasoning") },
    { name: "tier", label: words.tier, value: column("tier"), tight: true, shown: has("tier") },
    { name: "cost", label: words.cost + " " + index.currency, value: column("cost"), number: true, show: (call) => money(calls.cost[call]), shown: Boolean(index.currency) },
    { name: "seconds", label: words.time, value: column("seconds"), number: true, show: (call) => calls.seconds[call]?.toFixed(1) ?? "–" },
    { name: "finish_reason", label: words.finish, value: column("finish"), tight: true, minor: true },
  ].filter((one) => one.shown !== false);
}

async function showCalls(state, isWanted) {
  const calls = await callFacts();
  if (!isWanted()) return;
  if (!tables.calls && calls.size) {
    tables.calls = makeTable(byId("calls-table"), { name: words.calls, columns: callColumns(calls), sort: { column: "call", down: false }, file: () => fileName("calls") });
    tables.calls.show([...Array(calls.size).keys()]);
  }
  const section = byId("call"), place = calls.places.get(state.call);
  section.hidden = !state.call;
  if (!state.call) return;
  if (place === undefined) return void section.replaceChildren(element("p", { class: "empty", id: "call-title" }, fill(words.missingCall, { call: state.call })));
  const texts = calls.chunk[place] < 0 ? null : await block("texts-" + calls.chunk[place]);
  if (isWanted()) drawCall(section, calls, place, texts);
}

function drawCall(section, calls, place, chunk) {
  const facts = callColumns(calls).slice(1).map((column) => element("div", {}, element("dt", {}, column.label), element("dd", {}, column.show ? column.show(place) : shownValue(column.value(place)))));
  const step = (text, label, by) => element("button", { type: "button", "aria-label": label, disabled: !calls.id[place + by], onclick: () => go({ call: String(calls.id[place + by]) }) }, text);
  section.replaceChildren(
    element("div", { class: "call-head" }, element("h2", { id: "call-title", tabindex: -1 }, fill(words.callTitle, { number: number(calls.id[place]) })), step("‹", words.previousCall, -1), step("›", words.nextCall, 1)),
    element("dl", { class: "call-facts" }, ...facts));
  if (!chunk) return void section.append(element("p", { class: "note" }, words.textsElsewhere));
  const [sent, reply, reasoning, error, asked] = chunk.calls[calls.place[place]], text = (at) => chunk.texts[at];
  section.append(element("h3", {}, words.usersOfCall), element("ul", { class: "asked" }, ...asked.map(askedUser)));
  const prompts = sent.map(([role, at], order) => quoted(words["role:" + role] || role, text(at), role === "user" || sent.length === 1));
  const answers = [text(error) && quoted(words.error, text(error), true), text(reasoning) && quoted(words.thoughts, text(reasoning), false),
    text(reply) ? quoted(words.reply, text(reply), true) : text(error) ? null : element("p", { class: "empty" }, words.emptyReply)];
  section.append(element("div", { class: "texts" }, element("div", {}, ...prompts), element("div", {}, ...answers.filter(Boolean))));
}

function askedUser([alias, id, user, outcome]) {
  const name = user < 0 ? marked(id) : element("a", { href: addressOf({ user: id }) }, marked(id));
  const note = outcome === "usable" ? "" : outcome || words.unread;
  return element("li", {}, element("small", {}, alias + " "), name, note ? element("small", { class: "failed" }, " " + note) : null);
}
function quoted(title, text, open) {
  return element("details", { open }, element("summary", {}, title, element("small", {}, fill(words.characters, { count: number(text.length) }))), element("pre", { tabindex: 0 }, text));
}
