// Elements and figures. Text from data only ever becomes text: text nodes and attributes, never markup.
const SVG = "http://www.w3.org/2000/svg", DAY = 86400;
const number = new Intl.NumberFormat("en-US").format;
const natural = new Intl.Collator("zh-Hans-CN", { numeric: true }).compare;

const byId = (id) => document.getElementById(id);
const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
const counted = (count, one, many) => (count === 1 ? one : fill(many, { count: number(count) }));

function given(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}
const element = (name, attributes, ...children) => given(document.createElement(name), attributes, children);
const drawn = (name, attributes, ...children) => given(document.createElementNS(SVG, name), attributes, children);
const titled = (text) => drawn("title", {}, text);
const quiet = (text) => element("span", { class: "quiet" }, text);
const swatch = (color) => drawn("svg", { class: "key", width: 12, height: 12, "aria-hidden": "true" }, drawn("rect", { class: color, width: 12, height: 12, rx: 3 }));

// Text with what is searched for marked in it; bdi keeps its direction from touching its neighbors.
function marked(text, wanted = []) {
  const whole = element("bdi"), lower = text.toLowerCase();
  if (!wanted.length || lower.length !== text.length) return given(whole, {}, [text]);
  let at = 0;
  while (at < text.length) {
    let next = text.length, length = 0;
    for (const word of wanted) {
      const found = lower.indexOf(word, at);
      if (found >= 0 && (found < next || (found === next && word.length > length))) [next, length] = [found, word.length];
    }
    if (next > at) whole.append(text.slice(at, next));
    if (length) whole.append(element("mark", {}, text.slice(next, next + length)));
    at = next + Math.max(length, 1);
  }
  return whole;
}

// moments are seconds of wall time since 1970
const two = (value) => String(value).padStart(2, "0");
const dayOf = (at) => Math.floor(at / DAY);
const clock = (at) => two(Math.floor((at % DAY + DAY) % DAY / 3600)) + ":" + two(Math.floor((at % 3600 + 3600) % 3600 / 60));
function stamp(at) {
  const moment = new Date(at * 1000);
  return Number.isNaN(moment.getTime()) ? "" : moment.toISOString().slice(0, 19).replace("T", " ");
}
const dateOf = (day) => stamp(day * DAY).slice(0, 10);
const WEEKDAYS = [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")];
const weekday = (day) => WEEKDAYS[(((day + 3) % 7) + 7) % 7];

// A duration as compact lines have it: minutes, floored, from 60 s, seconds below.
function lasting(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (!minutes) return seconds + "s";
  return (hours ? hours + "h" : "") + (minutes % 60 ? (minutes % 60) + "m" : "");
}
// How long something took, in the unit that says it in few digits.
function long(seconds) {
  const [unit, size] = seconds < 5400 ? [_("{count} min"), 60] : seconds < 172800 ? [_("{count} h"), 3600] : [_("{count} d"), DAY];
  return fill(unit, { count: brief(seconds / size) });
}
const brief = (value) => number(Number(value.toFixed(value < 10 ? 1 : 0)));
function percent(part, whole) {
  const value = whole ? (100 * part) / whole : 0;
  return value > 0 && value < 0.1 ? "< 0.1 %" : (value < 10 || value > 99 && value < 100 ? Number(Math.min(value, value < 100 ? 99.9 : 100).toFixed(1)) : Math.round(value)) + " %";
}
function median(values) {
  if (!values.length) return null;
  const ordered = Float64Array.from(values).sort(), middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}
// How often each thing comes, the most frequent first.
function tallied(things) {
  const counts = new Map();
  for (const thing of things) counts.set(thing, (counts.get(thing) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || natural(a[0], b[0]));
}
// Spans of a start and an end, those that overlap as one.
function joinedSpans(spans) {
  const made = [];
  for (const [start, end] of spans.sort((a, b) => a[0] - b[0])) {
    if (made.length && start <= made.at(-1)[1]) made.at(-1)[1] = Math.max(made.at(-1)[1], end);
    else made.push([start, end]);
  }
  return made;
}

// Text that a spreadsheet would take for a formula gets an apostrophe in front.
const harmless = (text) => (/^\s*[=+\-@＝＋－＠\t\r]/.test(text) ? "'" + text : text);
function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  return typeof value === "number" ? String(value) : '"' + harmless(String(value)).replaceAll('"', '""') + '"';
}
function save(blob, name) {
  const address = URL.createObjectURL(blob), link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
