// What is compared, such as days, by user and by type, as many at a time as keep the page below MOST pixels.
const MOST = 2900;
const find = (id) => document.getElementById(id);
const [user, type, back, next, at] = ["user", "type", "back", "next", "at"].map(find);
const days = [...document.querySelectorAll(".compared")];
const lanes = days[0]?.closest(".sideways"), NAMES = 120; // on a phone a day does not fit: it begins where its first bar is, beside the names
const bars = () => days.filter((day) => !day.hidden).flatMap((day) => [...day.querySelectorAll("[data-type]:not([hidden]) rect")]);
let screens = [[]], shown = 0;

const show = (screen) => {
  shown = Math.min(Math.max(screen, 0), screens.length - 1);
  const on = new Set(screens[shown]);
  for (const day of days) day.hidden = !on.has(day);
  at.textContent = `${shown + 1} / ${screens.length}`;
  back.disabled = shown === 0;
  next.disabled = shown === screens.length - 1;
  if (lanes) lanes.scrollLeft += Math.min(...bars().map((bar) => bar.getBoundingClientRect().left)) - lanes.getBoundingClientRect().left - NAMES;
};

const choose = () => {
  for (const bar of document.querySelectorAll("[data-type]")) {
    bar.toggleAttribute("hidden", type.value !== "" && bar.dataset.type !== type.value);
  }
  const wanted = days.filter((day) => {
    day.hidden = !((user.value === "" || day.dataset.user === user.value) && day.querySelector("[data-type]:not([hidden])"));
    return !day.hidden;
  });
  const heights = wanted.map((day) => day.offsetHeight + 10);
  const room = Math.max(400, MOST - (document.documentElement.scrollHeight - heights.reduce((sum, height) => sum + height, 0)));
  screens = [[]];
  let used = 0;
  wanted.forEach((day, place) => {
    if (used + heights[place] > room && used) {
      screens.push([]);
      used = 0;
    }
    screens.at(-1).push(day);
    used += heights[place];
  });
  show(0);
};

if (!days.length) return;
find("filters").hidden = false;
user.addEventListener("change", choose);
type.addEventListener("change", choose);
back.addEventListener("click", () => show(shown - 1));
next.addEventListener("click", () => show(shown + 1));
choose();
