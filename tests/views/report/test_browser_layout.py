"""The report in a real browser, measured: on a desktop, on a phone, in the dark, on paper, and without a script."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import chromium
from report_kit import make_crowd, make_evil_run, make_run, open_page, write_page

pytestmark = chromium.needed

DAYS = """
(() => {
  const box = (one) => { const { left, right } = one.getBoundingClientRect(); return [left, right]; };
  const bars = [...document.querySelectorAll('#charts svg.columns g rect')].map((bar) => [bar.textContent.split(' ')[0], ...box(bar)]);
  const dates = [...document.querySelectorAll('.dates text')].map((date) => [date.textContent, ...box(date)]);
  return { frame: box(document.querySelector('#charts svg.columns')), bars, dates };
})()
"""
STORIES = {
    "of three days": ("浏览", "对比", "到店"),
    "of nine days, some without events": ("浏览", "", "对比", "浏览", "", "", "浏览", "对比", "到店"),
    "of fourteen days": ("浏览",) * 13 + ("到店",),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("story", "width", "phone"), [*zip(STORIES, (1440, 1440, 390), (False, False, True), strict=True)]
)
async def test_dates_stand_under_their_bars(tmp_path: Path, story: str, width: int, phone: bool) -> None:
    make_crowd(tmp_path, stories=(STORIES[story],))
    async with chromium.browser() as page:
        await page.size(width, 844, phone=phone)
        await open_page(page, write_page(tmp_path))
        drawn = await page.run(DAYS)
    bars = {day: (left, right) for day, left, right in drawn["bars"]}
    left, right = drawn["frame"]
    room = (right - left) / len(STORIES[story])
    first, last = min(bars), max(bars)
    assert bars[first][0] - left < room, "the first bar stands at the beginning of the frame"
    assert right - bars[last][1] < room, "the last bar stands at its end"
    dates = [(text, left, right) for text, left, right in drawn["dates"]]
    assert dates[0][0] == first[5:]
    for text, begin, end in dates:
        if bar := bars.get(f"2026-{text}"):
            assert begin < sum(bar) / 2 < end, f"the middle of the bar of {text} is above its date"
    assert all(one[2] < other[1] for one, other in pairwise(dates)), "no date touches another"


@pytest.mark.parametrize(("width", "phone"), [pytest.param(1440, False, marks=pytest.mark.slow), (390, True)])
async def test_nothing_is_wider_than_the_window(tmp_path: Path, width: int, phone: bool) -> None:
    make_run(tmp_path / "long", user_ids=("u" * 200, "v" * 200, "w" * 200), kind="长" * 80, error="x" * 400)
    make_evil_run(tmp_path / "evil")
    paths = [write_page(tmp_path / name) for name in ("long", "evil")]
    async with chromium.browser() as page:
        await page.size(width, 844, phone=phone)
        for fragment in (
            "",
            "#tab=users",
            "#tab=journeys",
            "#tab=timeline",
            "#compare=1&state=done",
            "#tab=events",
            "#tab=calls",
            "#call=1",
            "#tab=run",
            "#type=" + quote("长" * 80),
        ):
            for path in paths:
                await open_page(page, path, fragment)
                await page.run("for (const one of document.querySelectorAll('details')) one.open = true")
                assert await page.run("document.documentElement.scrollWidth") <= width, (path, fragment)


@pytest.mark.slow
async def test_a_moment_is_seen_on_a_phone(tmp_path: Path) -> None:
    make_run(tmp_path)
    async with chromium.browser() as page:
        await page.size(390, 844, phone=True)
        await open_page(page, write_page(tmp_path), "#user=ann")
        widths = "[...document.querySelectorAll('.raster .event .body')].map((one) => one.getBoundingClientRect().width)"
        assert min(await page.run(widths)) >= 3


@pytest.mark.slow
async def test_on_paper_the_open_tab_is_whole_and_no_heading_stands_over_nothing(tmp_path: Path) -> None:
    make_run(tmp_path)
    async with chromium.browser() as page:
        await page.do("Emulation.setEmulatedMedia", media="print")
        await open_page(page, write_page(tmp_path), "#tab=timeline")
        for hidden in (".tabs", "#query", ".stepper"):
            assert await page.run(f"getComputedStyle(document.querySelector('{hidden}')).display") == "none"
        overflow = "getComputedStyle(document.querySelector('{name}')).overflowY"
        for whole in (".raster", ".events .list", ".behaviors .list"):
            assert await page.run(overflow.format(name=whole)) == "visible"
        shown = "getComputedStyle(document.querySelector('.examples')).display"
        assert await page.run(shown) == "none"
        await page.run("document.querySelector('.example').open = true")
        assert await page.run(shown) == "block"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_more_events_an_hour_has_the_more_it_stands_out(tmp_path: Path, scheme: str) -> None:
    make_run(tmp_path)
    path = write_page(tmp_path)
    async with chromium.browser() as page:
        await page.do(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        await open_page(page, path)
        colors = await page.run(
            "[...document.querySelectorAll('.scale .swatch')].map((one) => getComputedStyle(one).backgroundColor)"
        )
    brightness = [sum(map(int, re.findall(r"\d+", color))) for color in colors]
    assert len(set(brightness)) == 7
    assert brightness == sorted(brightness, reverse=scheme == "light")


async def test_every_control_has_a_name_and_every_heading_its_level(tmp_path: Path) -> None:
    make_crowd(tmp_path)
    async with chromium.browser() as page:
        nodes = []
        for tab in ("overview", "timeline", "journeys", "run"):
            await open_page(page, write_page(tmp_path), f"#tab={tab}")
            tree: dict[str, Any] = await page.do("Accessibility.getFullAXTree")
            nodes += [node for node in tree["nodes"] if not node.get("ignored")]
        controls = {"button", "link", "textbox", "searchbox", "combobox", "option", "listbox", "region"}
        for node in nodes:
            if node["role"]["value"] in controls:
                assert node["name"]["value"].strip(), node
        assert {"navigation", "main", "search", "listbox", "option"} <= {
            node["role"]["value"] for node in nodes
        }


@pytest.mark.slow
async def test_the_sums_stand_without_a_script(tmp_path: Path) -> None:
    make_crowd(tmp_path)
    async with chromium.browser() as page:
        await page.do("Emulation.setScriptExecutionDisabled", value=True)
        await page.open(write_page(tmp_path))
        said = await page.run("document.querySelector('noscript').innerText")
        assert "journeys converted\n8" in said
        assert "users with conversion, also outside journeys\n8" in said
        assert "购车\t8\t8\t8 (100 %)" in said
        assert await page.run("document.querySelector('.tabs').hidden")
        assert not await page.run("document.querySelector('[data-tab=run]').hidden")
        make_crowd(tmp_path / "none", stories=(("用餐",),))
        await page.open(write_page(tmp_path / "none"))
        said = await page.run("document.querySelector('noscript').innerText")
        assert "journeys\n" not in said.replace("outside journeys\n0", "")
        assert "users with conversion, also outside journeys\n0" in said
