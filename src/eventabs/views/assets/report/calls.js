// The calls: a table of their figures, and for each what was sent and what came back.
const callFacts = () => block("calls", (calls) => {
  calls.size = (calls.id || []).length;
  calls.places = new Map((calls.id || []).map((id, place) => [String(id), place]));
  calls.ofUser = new Map();
  (calls.who || []).forEach((users, place) => users.forEach((user) => calls.ofUser.set(user, [...(calls.ofUser.get(user) || []), calls.id[place]])));
  return calls;
});
const callsOf = async (user) => (await callFacts()).ofUser.get(user) || [];

const money = (amount) => (amount === null || amount === undefined ? "–" : amount.toLocaleString("en-US", { minimumFractionDigits: amount >= 1 ? 2 : 4, maximumFractionDigits: amount >= 1 ? 2 : 4 }));

const CALL_STATES = { sent: _("in flight"), answered: _("answered, not read yet"), read: _("answered"), failed: _("no answer"), lost: _("lost in flight") };
function callColumns(calls) {
  const column = (name) => (call) => calls[name][call], has = (name) => calls[name].some(Boolean);
  return [
    { name: "call", label: _("call"), value: column("id"), number: true, show: (call) => element("a", { href: "#call=" + calls.id[call] }, String(calls.id[call])) },
    { name: "sent", label: fill(_("sent ({zone})"), { zone: index.zone }), value: column("sent"), plain: (call) => stamp(calls.sent[call]), show: (call) => stamp(calls.sent[call]), tight: true },
    { name: "status", label: _("status"), value: column("status"), show: (call) => CALL_STATES[calls.status[call]] || calls.status[call], tight: true },
    { name: "attempt", label: _("attempt"), value: column("attempt"), number: true, minor: true },
    { name: "users", label: _("users"), value: column("users"), number: true },
    { name: "usable", label: _("usable"), value: column("usable"), number: true, show: (call) => element("span", { class: calls.usable[call] < calls.users[call] ? "failed" : null }, number(calls.usable[call])) },
    { name: "prompt_tokens", label: _("tokens in"), value: column("prompt_tokens"), number: true },
    { name: "cached_tokens", label: _("cached"), value: column("cached_tokens"), number: true, shown: has("cached_tokens") },
    { name: "completion_tokens", label: _("tokens out"), value: column("completion_tokens"), number: true },
    { name: "reasoning_tokens", label: _("reasoning"), value: column("reasoning_tokens"), number: true, shown: has("reasoning_tokens") },
    { name: "tier", label: _("tier"), value: column("tier"), tight: true, shown: has("tier") },
    { name: "cost", label: _("cost") + " " + index.currency, value: column("cost"), number: true, show: (call) => money(calls.cost[call]), shown: Boolean(index.currency) },
    { name: "seconds", label: _("seconds"), value: column("seconds"), number: true, show: (call) => calls.seconds[call]?.toFixed(1) ?? "–" },
    { name: "finish_reason", label: _("finish reason"), value: column("finish"), tight: true, minor: true },
  ].filter((one) => one.shown !== false);
}

async function showCalls(state, isWanted) {
  const calls = await callFacts();
  if (!isWanted()) return;
  if (!byId("run-charts").childElementCount) byId("run-charts").append(...runCharts(calls));
  if (!tables.calls && calls.size) {
    tables.calls = makeTable(byId("calls-table"), { name: _("calls"), columns: callColumns(calls), sort: { column: "call", down: false }, file: () => fileName("calls") });
    tables.calls([...Array(calls.size).keys()]);
  }
  const section = byId("call"), place = calls.places.get(state.call);
  section.hidden = !state.call;
  if (!state.call) return;
  if (place === undefined) return void section.replaceChildren(element("p", { class: "empty", id: "call-title" }, fill(_("This page has no call {call}."), { call: state.call })));
  const texts = calls.chunk[place] < 0 ? null : await block("texts-" + calls.chunk[place]);
  if (isWanted()) drawCall(section, calls, place, texts);
}

const BINS = 120, SHORTEST_PAUSE = 5, PAUSE_SHARE = 0.03; // seconds without a call that are cut out of the time axis, or that share of the time with calls

// The run from its first call to its last, without pauses: calls at work and waiting on average in each bin, bad replies, calls sent again. An answered
// call works for its last try and waits before, any other only waits.
function callTimes(calls) {
  const busy = joinedSpans(calls.from.map((from, place) => [from, calls.to[place]])), total = busy.reduce((sum, [start, end]) => sum + end - start, 0), longest = Math.max(SHORTEST_PAUSE, total * PAUSE_SHARE);
  const cuts = [[busy[0][0], busy[0][0]]]; // from when on, and how much is cut out before
  for (let at = 1; at < busy.length; at++) if (busy[at][0] - busy[at - 1][1] > longest) cuts.push([busy[at][0], cuts.at(-1)[1] + busy[at][0] - busy[at - 1][1]]);
  const placeOf = (moment) => Math.max(0, moment - (cuts.findLast(([start]) => start <= moment) || cuts[0])[1]), seconds = placeOf(busy.at(-1)[1]), width = seconds / BINS || 1;
  const made = { seconds, pauses: cuts.slice(1).map(([start]) => placeOf(start)) }, binOf = (moment) => Math.min(BINS - 1, Math.floor(placeOf(moment) / width));
  for (const name of ["working", "waiting", "bad", "again", "cooling"]) made[name] = new Array(BINS).fill(0);
  const spread = (bins, from, to) => {
    const [start, end] = [placeOf(from), placeOf(to)];
    for (let at = Math.floor(start / width); at <= Math.min(BINS - 1, Math.floor(end / width)); at++) bins[at] += Math.max(0, Math.min(end, (at + 1) * width) - Math.max(start, at * width)) / width;
  };
  calls.from.forEach((from, place) => {
    const to = calls.to[place], turn = calls.seconds[place] === null ? to : Math.max(from, to - calls.seconds[place]);
    spread(made.waiting, from, turn);
    spread(made.working, turn, to);
    if (calls.usable[place] < calls.users[place]) made.bad[binOf(to)]++;
  });
  for (const [at] of calls.retries) made.again[binOf(at)]++;
  for (const [at, end] of joinedSpans(calls.retries.filter(([, , isLimit]) => isLimit).map(([at, wait]) => [at, at + wait]))) spread(made.cooling, at, end);
  return made;
}

// At most two dozen bins of a round width.
function histogram(values) {
  const ordered = Float64Array.from(values).sort(), [low, high] = [ordered[0], ordered.at(-1)], isWhole = ordered.every(Number.isInteger);
  const rough = (high - low) / 23, power = 10 ** Math.floor(Math.log10(rough || 1)), width = isWhole && rough <= 1 ? 1 : [1, 2, 5, 10].map((step) => step * power).find((step) => step >= rough);
  const first = Math.floor(low / width), bins = new Array(Math.floor(high / width) - first + 1).fill(0), at = (share) => ordered[Math.min(ordered.length - 1, Math.floor(share * ordered.length))];
  for (const value of ordered) bins[Math.floor(value / width) - first]++;
  return { first, width, bins, median: median(values), p90: at(0.9), largest: high };
}

function runCharts(calls) {
  if (!calls.size) return [element("p", { class: "empty" }, _("No call has been made yet."))];
  const line = callTimes(calls), told = (seconds) => (seconds < 60 ? brief(seconds) + "s" : lasting(Math.round(seconds))), at = (bin) => told((line.seconds * bin) / BINS), key = (color, text) => element("li", {}, swatch(color), text);
  const step = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400].find((each) => line.seconds <= each * 6) || line.seconds / 4;
  const ends = Array.from({ length: Math.floor(line.seconds / step) + 1 }, (_tick, place) => [(BINS * place * step) / (line.seconds || 1) - 0.5, told(place * step)]);
  const strip = (name, color, text) => (line[name].some((value) => value > 0) ? [element("h4", {}, text), columns({ series: [{ color, name: text, values: line[name] }], labels: [], name: text, height: 34, title: (bin, label, value) => `${at(bin)} · ${label}: ${brief(value)}`, least: name === "cooling" ? 0.1 : 1 })] : []);
  const time = element("figure", {}, element("figcaption", {}, element("h3", {}, _("Calls in flight over time")), element("ul", { class: "legend" }, key("accent", _("the model is answering")), key("tint", _("waiting: pace, cooldowns, retries")))),
    columns({ series: [{ color: "accent", name: _("the model is answering"), values: line.working }, { color: "tint", name: _("waiting: pace, cooldowns, retries"), values: line.waiting }], labels: ends, name: _("Calls in flight over time"), height: 150, least: 0.1, title: (bin, label, value) => `${at(bin)} · ${label}: ${brief(value)}` }),
    ...strip("bad", "ink", _("calls with a bad reply")), ...strip("again", "plain", _("calls sent again")), ...strip("cooling", "plain", _("cooldowns: the endpoint asked for fewer requests")), line.pauses.length ? element("p", { class: "note" }, fill(_("{count} pauses without calls are cut out."), { count: number(line.pauses.length) })) : "");
  const answered = [...calls.id.keys()].filter((call) => calls.seconds[call] !== null), of = (name, which) => which.map((call) => calls[name][call]);
  const distributions = [[_("Users a call"), of("users", [...calls.id.keys()])], [_("Tokens in, a call"), of("prompt_tokens", answered)], [_("Tokens out, a call"), of("completion_tokens", answered)], [_("Seconds of an answer"), of("seconds", answered)]].filter(([, values]) => values.length).map(([title, values]) => {
    const { first, width, bins, ...facts } = histogram(values), label = (bin) => brief((first + bin) * width) + (width === 1 ? "" : "–" + brief((first + bin + 1) * width)), last = bins.length - 1;
    return element("figure", {}, element("figcaption", {}, element("h3", {}, title)),
      columns({ series: [{ color: "accent", name: _("calls"), values: bins }], labels: last ? [[0, brief(first * width)], [last, brief((first + last) * width)]] : [[0, label(0)]], name: title, height: 84, title: (bin, unit, count) => `${label(bin)}: ${number(count)}` }),
      element("dl", { class: "quantiles" }, ...[[_("median"), facts.median], [_("90 %"), facts.p90], [_("largest"), facts.largest]].map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, brief(value))))));
  });
  return [time, element("div", { class: "four" }, ...distributions)];
}

function drawCall(section, calls, place, chunk) {
  const facts = callColumns(calls).slice(1).map((column) => element("div", {}, element("dt", {}, column.label), element("dd", {}, column.show ? column.show(place) : shownValue(column.value(place)))));
  const step = (text, label, by) => element("button", { type: "button", "aria-label": label, disabled: !calls.id[place + by], onclick: () => go({ call: String(calls.id[place + by]) }) }, text);
  section.replaceChildren(
    element("div", { class: "call-head" }, element("h2", { id: "call-title", tabindex: -1 }, fill(_("Call {number}"), { number: number(calls.id[place]) })), step("‹", _("Previous call"), -1), step("›", _("Next call"), 1)),
    element("dl", { class: "call-facts" }, ...facts));
  if (!chunk) return void section.append(element("p", { class: "note" }, _("The texts of this call are not in the page; the ledger has them.")));
  const [sent, reply, reasoning, error, asked] = chunk.calls[calls.place[place]], text = (at) => chunk.texts[at];
  section.append(element("h3", {}, _("Users in the prompt")), element("ul", { class: "asked" }, ...asked.map(askedUser)));
  const prompts = sent.map(([role, at], order) => quoted({ system: _("Instructions"), user: _("Prompt") }[role] || role, text(at), role === "user" || sent.length === 1));
  const answers = [text(error) && quoted(_("Error"), text(error), true), text(reasoning) && quoted(_("Reasoning"), text(reasoning), false),
    text(reply) ? quoted(_("Reply"), text(reply), true) : text(error) ? null : element("p", { class: "empty" }, _("The reply was empty."))];
  section.append(element("div", { class: "texts" }, element("div", {}, ...prompts), element("div", {}, ...answers.filter(Boolean))));
}

function askedUser([alias, id, user, outcome]) {
  const known = index.users.id[user], name = user < 0 ? marked(id) : element("a", { href: addressOf({ user: known }) }, marked(known));
  const note = outcome === "usable" ? "" : outcome || _("not read");
  return element("li", {}, element("small", {}, alias + " "), name, note ? element("small", { class: "failed" }, " " + note) : null);
}
function quoted(title, text, open) {
  return element("details", { open }, element("summary", {}, title, element("small", {}, fill(_("{count} characters"), { count: number(text.length) }))), element("pre", { tabindex: 0 }, text));
}
