"""What the report draws is what was counted: sizes are read from the browser and compared with known counts."""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import chromium
from eventabs.inspection import stored_calls
from eventabs.store import Retry
from eventabs.store.ledger import Ledger
from eventabs.views import report
from house import ran
from known_run import Known, known_users, run_known
from report_kit import make_crowd, open_page, write_page

pytestmark = pytest.mark.skipif(
    not chromium.BINARY, reason="there is no Chromium here: apt-get install chromium"
)


@pytest.fixture(scope="module")
def users() -> list[Known]:
    return known_users()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, users: list[Known]) -> Path:
    return write_page(run_known(tmp_path_factory.mktemp("known"), users))


FIGURES = """
(() => Object.fromEntries([...document.querySelectorAll('table.figures')].filter((table) => table.caption?.innerText === {caption})
  .flatMap((table) => [...table.tBodies[0].rows]).map((row) => [row.dataset.row, [...row.querySelectorAll('td:not(.bar-cell)')].map((cell) => cell.innerText)])))()
"""


def _export(folder: Path, *rows: tuple[str, str, str, dict[str, object]]) -> Path:
    """Write an export of user, time, action and what else a row has; return the report of its run by the built-in rules."""
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for user, time, action, rest in rows:
            row = {"user_id": user, "timestamp": f"2026-03-02 {time}", "action": action, **rest}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    ran("run", "rows.jsonl", "--provider", "rules", "--out", "run", cwd=folder)
    return write_page(folder / "run")


FUNNELS = """
(() => [...document.querySelectorAll('.funnels [data-path]')].map((one) => ({
  path: one.dataset.path, said: one.querySelector('p').innerText, labels: [...one.querySelectorAll('li a')].map((label) => label.innerText), counts: [...one.querySelectorAll('li strong')].map((count) => Number(count.innerText)),
  heights: [...one.querySelectorAll('svg path:not(.soft)')].map((step) => step.getBBox().height), lefts: [...one.querySelectorAll('svg path:not(.soft)')].map((step) => step.getBBox().x) })))()
"""


async def test_paths_begin_with_the_most_frequent_and_read_from_the_first_step_to_the_goal(
    tmp_path: Path,
) -> None:
    looked = ("浏览", "对比", "用餐")
    make_crowd(
        tmp_path,
        stories=(
            *[("购买",)] * 5,
            *[(*looked, "购买")] * 3,
            *[("浏览", "购买")] * 2,
            ("用餐", *looked, "购买"),
            (*looked, "浏览"),
        ),
    )
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path))
        found = await page.run(FUNNELS)
        assert [(one["path"], one["labels"], one["counts"]) for one in found] == [
            ("· → 购买", ["购买"], [5]),
            ("浏览 → 对比 → 用餐 → 购买", [*looked, "购买"], [7, 5, 5, 4]),
            ("· → 浏览 → 购买", ["浏览", "购买"], [6, 2]),
        ]
        assert found[0]["said"] == "5 users 45 % of those who got there · as the first event"
        assert found[2]["said"].endswith("· nothing before")
        for one in found:  # of ten users the full height
            assert one["heights"] == pytest.approx([10 * count for count in one["counts"]])
            assert one["lefts"] == pytest.approx([25 * place for place in range(len(one["counts"]))])
        for one in found:
            await open_page(page, tmp_path / "report.html", f"#tab=users&path={quote(one['path'])}")
            assert (
                await page.run("document.querySelectorAll('#users-table tbody tr').length")
                == one["counts"][-1]
            )


BANDS = """
(() => {
  const box = (one) => { const { x, y, width, height } = one.getBBox(); return { x, y, width, height }; };
  const nodes = (side) => Object.fromEntries([...side.querySelectorAll('text')].map((text, place) => [text.querySelector('title').textContent, {
    count: Number(text.querySelector('.count').textContent.replaceAll(',', '')), whole: box(side.querySelectorAll('rect')[2 * place]), drawn: box(side.querySelectorAll('rect')[2 * place + 1]) }]));
  const [left, right] = [...document.querySelectorAll('.flow > svg')].map(nodes);
  return { left, right, said: document.querySelector('.flow').previousSibling.innerText, bands: [...document.querySelectorAll('.flow .ribbon')].map((band) => {
    const [, a, end, b, low] = band.getAttribute('d').match(/^M0 ([\\d.]+)C.* 100 ([\\d.]+)V([\\d.]+)C.* 0 ([\\d.]+)Z$/).map(Number);
    return { name: band.textContent, left: low - a, right: b - end }; }) };
})()
"""


async def test_bands_are_as_high_as_their_pairs_are_frequent_and_the_sides_count_all(
    known: Path, users: list[Known]
) -> None:
    pairs = Counter[tuple[str, str]]()
    for user in users:
        events = [*user.lone, *(event for journey in user.journeys for event in journey.events)]
        # events of one moment are ordered by their ends, which are as the times of day are
        types = [event.type for event in sorted(events, key=lambda event: event.start)]
        pairs.update(pairwise(types if not user.fails else []))
    async with chromium.browser() as page:
        await page.size(1280, 900)
        await open_page(page, known)
        found = await page.run(BANDS)
    assert f"{pairs.total():,} times" in found["said"]
    assert f"the 14 most frequent of {len(pairs)} pairs" in found["said"]
    drawn = {
        tuple(name.rpartition(": ")[0].split(" → ")): int(name.rpartition(": ")[2])
        for name in (b["name"] for b in found["bands"])
    }
    assert sorted(drawn.values()) == sorted(count for _pair, count in pairs.most_common(14))
    assert drawn.items() <= pairs.items()
    scale = found["bands"][0]["left"] / next(iter(drawn.values()))
    for band, count in zip(found["bands"], drawn.values(), strict=True):
        assert (band["left"], band["right"]) == (pytest.approx(scale * count), pytest.approx(scale * count))
    for place, side in enumerate(("left", "right")):
        for kind, node in found[side].items():
            assert node["count"] == sum(count for pair, count in pairs.items() if pair[place] == kind)
            assert node["whole"]["height"] == pytest.approx(scale * node["count"], abs=0.01)
            bands = sum(count for pair, count in drawn.items() if pair[place] == kind)
            assert node["drawn"]["height"] == pytest.approx(scale * bands, abs=0.01)
            assert node["drawn"]["y"] == node["whole"]["y"]


COLUMNS = """
(() => [...document.querySelectorAll({selector})].map((plot) => {
  const frame = plot.querySelector('svg.columns').getBoundingClientRect();
  return { ticks: [...plot.querySelectorAll('.ticks-of text')].map((tick) => Number(tick.textContent.replaceAll(',', ''))), bars: [...plot.querySelectorAll('.columns rect')].map((bar) => {
    const box = bar.getBoundingClientRect();
    return { said: bar.textContent, color: bar.parentNode.getAttribute('class'), left: (box.x - frame.x) / frame.width, high: box.height / frame.height, top: (box.y - frame.y) / frame.height }; }) };
}))()
"""


async def _columns(page: chromium.Page, selector: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await page.run(COLUMNS.replace("{selector}", json.dumps(selector)))
    return found


def _check_heights(chart: dict[str, Any]) -> dict[str, list[float]]:
    """Check that each bar is as high as what it says, on the scale of the frame; return the heights in its unit, by color and in order."""
    found: dict[str, list[float]] = {}
    for bar in chart["bars"]:
        value = bar["high"] * chart["ticks"][-1]
        assert value == pytest.approx(float(bar["said"].rpartition(": ")[2].replace(",", "")), abs=0.06), bar
        found.setdefault(bar["color"], []).append(value)
    return found


@pytest.fixture
def calls_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the report of four calls whose times, tokens and seconds are known."""
    make_crowd(tmp_path, calls=4)
    times = ((0, 60, 60), (0, 30, 30), (30, 60, 20), (60, 120, 60))  # sent, ended, seconds of the last try
    with Ledger.watch(tmp_path / "ledger.sqlite") as ledger:
        calls = tuple(
            call._replace(
                sent_at=1_000.0 + sent,
                ended_at=1_000.0 + ended,
                seconds=float(seconds),
                prompt_tokens=tokens,
                brought={} if place == 3 else call.brought,
            )
            for place, (call, (sent, ended, seconds), tokens) in enumerate(
                zip(stored_calls(ledger), times, (100, 130, 190, 1_010), strict=True)
            )
        )
    monkeypatch.setattr(report, "stored_calls", lambda *of: stored_calls(*of) if of[1:] else calls)
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    with ledger.transaction():
        ledger.rows("DELETE FROM retries")
        ledger.note_retry(Retry(calls[2].id, 1_040.0, "rate_limit", "HTTP 429", 10.0))
    ledger.close()
    return write_page(tmp_path)


async def test_the_times_of_calls_are_drawn_to_scale(calls_page: Path) -> None:
    async with chromium.browser() as page:
        await page.size(1280, 900)
        await open_page(page, calls_page, "#tab=run")
        flight, bad, again, cooling = await _columns(page, "#run-charts > figure .plot")
    heights = _check_heights(flight)  # 120 columns of a second
    assert heights["accent"] == pytest.approx([2] * 30 + [1] * 10 + [2] * 20 + [1] * 60, abs=0.01)
    assert heights["tint"] == pytest.approx([1] * 10, abs=0.01)
    waiting = [bar for bar in flight["bars"] if bar["color"] == "tint"]
    assert waiting[0]["left"] == pytest.approx(30.08 / 120, abs=0.002)
    for bar in waiting:  # on top of what works
        assert bar["top"] + bar["high"] == pytest.approx(1 - 1 / flight["ticks"][-1], abs=0.002)
    for chart, color, place in ((bad, "ink", 119), (again, "plain", 40)):
        assert _check_heights(chart) == {color: [pytest.approx(1, abs=0.01)]}
        assert chart["bars"][0]["left"] == pytest.approx((place + 0.08) / 120, abs=0.002)
    assert _check_heights(cooling)["plain"] == pytest.approx([1] * 10, abs=0.01)


async def test_a_histogram_has_a_bar_for_each_class_as_high_as_its_count(calls_page: Path) -> None:
    async with chromium.browser() as page:
        await page.size(1280, 900)
        await open_page(page, calls_page, "#tab=run")
        of_users, tokens, _out, seconds = await _columns(page, "#run-charts .four .plot")
        quantiles = await page.run(
            "[...document.querySelectorAll('.quantiles')].map((one) => one.innerText.split('\\n'))"
        )
    for chart, classes in (
        (of_users, {0: ("3", 4)}),
        (tokens, {0: ("100–150", 2), 1: ("150–200", 1), 18: ("1,000–1,050", 1)}),
        (seconds, {0: ("20–22", 1), 5: ("30–32", 1), 20: ("60–62", 2)}),
    ):
        _check_heights(chart)
        bins = max(classes) + 1
        wide = min(84 / bins, 10) / 100
        assert [(bar["said"], bar["left"]) for bar in chart["bars"]] == [
            (f"{label}: {count}", pytest.approx((place + 0.5) / bins - wide / 2, abs=0.003))
            for place, (label, count) in classes.items()
        ]
    assert [one[1::2] for one in (quantiles[0], quantiles[1], quantiles[3])] == [
        ["3", "3", "3"],
        ["160", "1,010", "1,010"],
        ["45", "60", "60"],
    ]


async def test_an_event_is_solid_where_its_rows_go_on(tmp_path: Path) -> None:
    path = _export(
        tmp_path,
        ("a", "08:00", "visit", {"poi": "公司", "duration": 3_600}),
        ("a", "12:00", "visit", {"poi": "面馆", "duration": 60}),
        ("a", "17:00", "visit", {"poi": "公司", "duration": 3_600}),
    )
    async with chromium.browser() as page:
        await page.size(1280, 900)
        await open_page(page, path, "#user=a")
        body, *busy = await page.run(
            "[...document.querySelectorAll('.raster .event[data-event=\"0\"] rect')].map((one) => [one.x.baseVal.value, one.width.baseVal.value])"
        )
    hour = body[1] / 10
    assert busy == [pytest.approx([body[0], hour]), pytest.approx([body[0] + 9 * hour, hour])]


async def test_two_groups_have_one_scale_and_the_type_that_differs_most_is_named(
    known: Path, users: list[Known]
) -> None:
    async with chromium.browser() as page:
        await page.size(1280, 900)
        await open_page(page, known, "#compare=1&is.city=上海&b.is.city=北京&b.to=2026-03-08")
        charts = await _columns(page, "#charts .sides .plot")
        assert charts[0]["ticks"] == charts[1]["ticks"]
        for chart in charts:
            top = chart["ticks"][-1]
            for bar in chart["bars"]:
                count = int(bar["said"].rpartition(": ")[2].replace(",", ""))
                assert bar["high"] == pytest.approx(count / top, abs=0.002), bar
        scales = await page.run("[...document.querySelectorAll('.scale-of')].map((one) => one.innerText)")
        shares = await page.run(
            "[...document.querySelectorAll('#answer tbody tr')].map((row) => [row.innerText, [...row.querySelectorAll('.bar')]"
            ".map((bar) => bar.lastElementChild.getBoundingClientRect().width / bar.getBoundingClientRect().width)])"
        )
        assert scales[0].split() == ["0", "100", "%"]
        for said, widths in shares:
            percents = [float(one) for one in re.findall(r"([\d.]+) %", said)]
            assert widths == pytest.approx([one / 100 for one in percents[: len(widths)]], abs=0.006), said
        named = [said.split()[1] for said, _widths in shares if said.startswith("type ")]
        listed = await page.run(FIGURES.replace("{caption}", '"Types"'))
    kinds = [
        [
            {
                event.type
                for event in (*user.lone, *(step for journey in user.journeys for step in journey.events))
                if not user.fails and f"{event.start:%Y-%m-%d}" <= last
            }
            for user in users
            if user.profile["city"] == city
        ]
        for city, last in (("上海", "2026-12-31"), ("北京", "2026-03-08"))
    ]
    kinds[1] = [found for found in kinds[1] if found]  # a period leaves who has events in it
    shares_of = [Counter(kind for found in group for kind in found) for group in kinds]
    apart = {
        kind: abs(shares_of[0][kind] / len(kinds[0]) - shares_of[1][kind] / len(kinds[1]))
        for kind in shares_of[0]
    }
    assert set(sorted(apart, key=apart.__getitem__)[-3:]) <= set(named)
    assert [apart[kind] for kind in listed] == sorted(apart.values(), reverse=True)[: len(listed)]


async def test_a_place_is_counted_also_where_it_is_all_that_a_row_names(tmp_path: Path) -> None:
    path = _export(
        tmp_path,
        ("a", "12:00", "visit", {"poi": "海底捞"}),
        ("b", "12:10", "order", {"poi": "海底捞"}),
        ("c", "12:20", "order", {"item": "毛肚", "poi": "海底捞"}),
        ("d", "12:30", "search", {"item": "海底捞"}),
        ("e", "12:40", "order", {"item": "毛肚"}),
        ("e", "12:50", "use", {"app": "微聊"}),
    )
    async with chromium.browser() as page:
        await open_page(page, path)
        found = await page.run(FIGURES.replace("{caption}", json.dumps("Places, sites and apps, by users")))
        assert found == {"海底捞": ["3 60 %"], "微聊": ["1 20 %"]}
        await open_page(page, path, "#tab=users&place=海底捞")
        users = await page.run(
            "[...document.querySelectorAll('#users-table tbody th')].map((one) => one.textContent)"
        )
        assert users == ["a", "b", "c"]
