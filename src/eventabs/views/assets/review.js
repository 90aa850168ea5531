// A review: one item after the other, by keyboard. Text from data only ever becomes text nodes and attributes, never markup.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").dataset.json);
  const { words, items } = data;
  const KEPT = "eventabs-review:" + data.review;
  const VERDICTS = ["right", "type", "span", "none"];
  const COLUMNS = ["review", "item", "user_id", "start", "end", "type", "summary", "verdict", "correct_type", "behaviors"];
  const byId = (id) => document.getElementById(id);
  const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }
  const isolated = (text) => element("bdi", "", text);

  // what was said: verdicts and right types by item, days looked at, missing events by day, and the item that is shown
  const nothing = () => ({ verdicts: {}, types: {}, days: {}, missing: {}, at: 0 });
  let said = nothing();
  let cursor = 0, picked = new Set(), named = null;
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT));
    if (kept && typeof kept === "object") said = Object.assign(said, kept);
    localStorage.setItem(KEPT, JSON.stringify(said));
  } catch {
    byId("unkept").hidden = false;
  }
  function keep() {
    try {
      localStorage.setItem(KEPT, JSON.stringify(said));
    } catch {
      byId("unkept").hidden = false;
    }
  }

  const isDay = (item) => item.item[0] === "D";
  const isJudged = (item) => (isDay(item) ? item.item in said.days : item.item in said.verdicts);
  const shown = () => items[said.at];

  function go(place) {
    said.at = Math.max(0, Math.min(items.length, place));
    cursor = 0;
    picked = new Set();
    named = null;
    keep();
    show();
    window.scrollTo(0, 0);
    byId(said.at < items.length ? "item" : "end").focus({ preventScroll: true });
  }
  function goOn() {
    const order = [...items.keys()];
    const open = [...order.slice(said.at + 1), ...order.slice(0, said.at)].find((place) => !isJudged(items[place]));
    go(open === undefined ? items.length : open);
  }

  function judge(item, verdict) {
    if (isDay(item)) {
      said.days[item.item] = true;
      goOn();
      return;
    }
    said.verdicts[item.item] = verdict;
    if (verdict !== "type") {
      delete said.types[item.item];
      goOn();
      return;
    }
    keep();
    name(item, said.types[item.item] || "", (text) => {
      if (text) said.types[item.item] = text;
      else delete said.types[item.item];
      goOn();
    });
  }
  // ask for a type; `take` gets what was written
  function name(item, text, take) {
    named = take;
    show();
    const input = byId("type");
    input.value = text;
    input.focus();
  }
  function addMissing(item) {
    if (!picked.size) return;
    const event = { behaviors: [...picked].sort((one, other) => one - other), type: "" };
    picked = new Set();
    (said.missing[item.item] ||= []).push(event);
    delete said.days[item.item];
    keep();
    name(item, "", (text) => {
      event.type = text;
      named = null;
      keep();
      show();
      byId("item").focus({ preventScroll: true });
    });
  }
  function clear(item) {
    delete said.verdicts[item.item];
    delete said.types[item.item];
    delete said.days[item.item];
    named = null;
    keep();
    show();
  }

  function show() {
    const done = items.filter(isJudged).length, item = shown();
    byId("progress").value = done / items.length;
    byId("count").textContent = fill(words.count, { done, of: items.length });
    byId("item").hidden = !item;
    byId("end").hidden = Boolean(item);
    if (item) showItem(item);
  }
  function showItem(item) {
    byId("where").replaceChildren(fill(words.place, { place: said.at + 1, of: items.length }) + " · ", isolated(item.user), item.profile ? " · " : "", isolated(item.profile));
    byId("title").replaceChildren(isolated(isDay(item) ? item.day : item.type));
    if (!isDay(item) && item.category) byId("title").append(element("small", "", isolated(item.category)));
    byId("said").replaceChildren(isolated(isDay(item) ? words.missing : item.when + (item.summary ? "  " + item.summary : "")));
    byId("note").textContent = isDay(item) ? words.pick : "";
    byId("choices").replaceChildren(...choices(item));
    byId("naming").hidden = named === null;
    document.querySelector("#naming label").textContent = isDay(item) ? words.missingType : words.rightType;
    byId("missing").replaceChildren(...(isDay(item) ? (said.missing[item.item] || []).map((event, place) => missingRow(item, event, place)) : []));
    byId("lines").replaceChildren(...lines(item));
    byId("lines").setAttribute("role", isDay(item) ? "listbox" : "group");
    byId("lines").setAttribute("aria-label", words.behaviors);
    if (isDay(item)) {
      byId("lines").setAttribute("aria-multiselectable", "true");
      byId("lines").tabIndex = 0;
      byId("lines").setAttribute("aria-activedescendant", "line" + cursor);
    } else {
      for (const each of ["aria-multiselectable", "tabindex", "aria-activedescendant"]) byId("lines").removeAttribute(each);
    }
  }
  function choices(item) {
    const named = isDay(item) ? [["1", words.done, said.days[item.item], () => judge(item)], ["Enter", words.add, false, () => addMissing(item)]]
      : VERDICTS.map((verdict, place) => [String(place + 1), words[verdict], said.verdicts[item.item] === verdict, () => judge(item, verdict)]);
    return named.map(([key, text, pressed, act]) => {
      const button = element("button", "", element("kbd", "", key), text);
      button.type = "button";
      button.setAttribute("aria-pressed", String(Boolean(pressed)));
      button.addEventListener("click", act);
      return button;
    });
  }
  function missingRow(item, event, place) {
    const texts = item.lines.filter(([number]) => event.behaviors.includes(number)).map((line) => line[2]);
    const remove = element("button", "", words.remove);
    remove.type = "button";
    remove.addEventListener("click", () => {
      said.missing[item.item].splice(place, 1);
      named = null;
      keep();
      show();
    });
    return element("li", "", isolated((event.type ? event.type + ": " : "") + texts.join(", ")), remove);
  }
  function lines(item) {
    const made = [];
    let day = "", before = null, owner = -1;
    item.lines.forEach(([number, date, text, type, event], place) => {
      if (before !== null && number !== before + 1) made.push(element("div", "gap", "…"));
      before = number;
      if (date !== day) made.push(element("h3", "", (day = date)));
      const own = !isDay(item) && item.behaviors.includes(number);
      const line = element("div", "line" + (own ? " own" : event >= 0 ? " taken" : "") + (event !== owner ? " first" : ""), isolated(text));
      if (event >= 0 && !own && event !== owner) line.append(element("span", "of", isolated(type)));
      owner = event;
      if (isDay(item)) pickable(line, number, place);
      made.push(line);
    });
    return made;
  }
  function pickable(line, number, place) {
    line.id = "line" + place;
    line.setAttribute("role", "option");
    line.setAttribute("aria-selected", String(picked.has(number)));
    if (place === cursor) line.classList.add("cursor");
    line.addEventListener("click", () => {
      cursor = place;
      toggle(number);
    });
  }
  function toggle(number) {
    if (!picked.delete(number)) picked.add(number);
    show();
  }
  function move(item, step) {
    cursor = Math.max(0, Math.min(item.lines.length - 1, cursor + step));
    show();
    byId("line" + cursor).scrollIntoView({ block: "nearest" });
  }

  // a text that a spreadsheet would run as a formula begins with '
  function field(value) {
    const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
    return /[",;\t\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  }
  function csv() {
    const rows = [COLUMNS];
    for (const item of items) {
      const id = [data.review, item.item, item.id];
      if (!isDay(item)) {
        rows.push([...id, item.start, item.end, item.type, item.summary, said.verdicts[item.item] || "", said.types[item.item] || "", ""]);
        continue;
      }
      rows.push([...id, item.day, "", "", "", said.days[item.item] ? "done" : "", "", ""]);
      for (const event of said.missing[item.item] || []) rows.push([...id, item.day, "", "", "", "missing", event.type, event.behaviors.map((number) => "b" + number).join(" ")]);
    }
    return "\ufeff" + rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
  }
  function save() {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = data.review + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const keys = {
    ArrowLeft: () => go(said.at - 1),
    ArrowRight: () => go(said.at + 1),
    n: goOn,
    s: save,
    Backspace: () => shown() && clear(shown()),
  };
  function press(key) {
    const item = shown();
    if (key in keys) return keys[key];
    if (!item) return null;
    if (!isDay(item)) return VERDICTS[Number(key) - 1] ? () => judge(item, VERDICTS[Number(key) - 1]) : null;
    return { 1: () => judge(item), ArrowUp: () => move(item, -1), ArrowDown: () => move(item, 1), " ": () => toggle(item.lines[cursor][0]), Enter: () => addMissing(item) }[key] || null;
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target === byId("type")) {
      if (event.key === "Escape") byId("naming").requestSubmit();
      return;
    }
    if (event.target.closest("button, summary") && [" ", "Enter"].includes(event.key)) return;
    const act = press(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (act) {
      event.preventDefault();
      act();
    }
  });
  byId("naming").addEventListener("submit", (event) => {
    event.preventDefault();
    const take = named;
    if (take) take(byId("type").value.trim());
  });
  for (const [id, key] of [["before", "ArrowLeft"], ["next", "ArrowRight"], ["open", "n"], ["clear", "Backspace"], ["save", "s"]]) byId(id).addEventListener("click", () => keys[key]());
  byId("reset").addEventListener("click", () => {
    if (!window.confirm(words.reset)) return;
    said = nothing();
    go(0);
  });
  byId("types").append(...data.types.map((type) => {
    const option = element("option");
    option.value = type;
    return option;
  }));
  go(said.at);
})();
