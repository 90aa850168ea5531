"""The report in a real browser: looked at, clicked through, sorted, downloaded."""

import asyncio
import csv
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import chromium
from eventabs import interface_language as language
from eventabs.inspection import view_user
from eventabs.store.counts_users_jobs_extensions import made_of
from eventabs.store.ledger import Ledger
from report_kit import CROWD, READY, make_crowd, make_evil_run, make_run, open_page, write_page

pytestmark = chromium.needed

WHO = "document.querySelector('#who')?.textContent"
FOUND = "document.getElementById('found').textContent"
ROWS = "[...document.querySelectorAll('.tab:not([hidden]) .grid-table tbody tr')].map((row) => row.cells[0].textContent)"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of a run of twelve users."""
    run = tmp_path_factory.mktemp("crowd")
    make_crowd(run)
    return write_page(run)


@pytest.fixture
def chinese() -> Iterator[None]:
    language.activate("zh")
    yield
    language.activate("en")


async def _click(page: chromium.Page, selector: str) -> None:
    await page.until(
        f"{READY} && document.querySelector({json.dumps(selector)})"
    )  # what is still being drawn would move it
    await page.click(selector)


async def _after(page: chromium.Page, script: str, expected: object) -> None:
    """Wait until a script gives what is expected."""
    wanted = json.dumps(json.dumps(expected, ensure_ascii=False, separators=(",", ":")))
    try:
        await page.until(f"JSON.stringify({script}) === {wanted}")
    except TimeoutError:
        assert await page.run(script) == expected
        raise


async def test_one_users_timeline_stands_on_top_with_events_beside_their_behaviors(crowd: Path) -> None:
    async with chromium.browser() as page:
        await page.size(1280, 900)
        await open_page(page, crowd, "#tab=timeline")
        assert await page.run(WHO) in CROWD
        assert await page.run("document.querySelectorAll('.raster .event').length") == 3
        events, behaviors = [
            await page.run(f"document.querySelector('.pane.{name}').getBoundingClientRect().toJSON()")
            for name in ("events", "behaviors")
        ]
        assert events["right"] < behaviors["left"]
        assert events["top"] == behaviors["top"]
        assert page.complaints() == []
        asked = {request.partition("#")[0] for request in page.requests() if not request.startswith("data:")}
        assert asked == {crowd.as_uri()}


async def test_an_event_lights_its_behaviors_and_a_behavior_its_event(crowd: Path) -> None:
    lit = "[...document.querySelectorAll('.{name} .item.lit')].map((one) => Number(one.dataset.place))"
    async with chromium.browser() as page:
        await page.size(1280, 1200)
        await open_page(page, crowd, f"#user={quote(CROWD[0])}")
        await _click(page, ".events .item[data-place='1']")
        await _after(page, lit.format(name="behaviors"), [4, 5, 6])
        assert await page.run("document.querySelectorAll('.links path').length") == 3
        assert await page.run("document.querySelector('.raster .event.lit').dataset.event") == "1"
        await _click(page, ".behaviors .item[data-place='9']")
        await _after(page, lit.format(name="events"), [2])
        assert await page.run(lit.format(name="behaviors")) == [8, 9, 10]
        await _click(page, ".behaviors .item[data-place='3']")
        await _after(page, lit.format(name="events"), [])
        await _click(page, ".raster .event[data-event='0'] .body")
        await _after(page, lit.format(name="behaviors"), [0, 1, 2])


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [58, 76 * 60 + 57])
async def test_behaviors_read_as_eventabs_show_writes_them(tmp_path: Path, seconds: int) -> None:
    make_crowd(tmp_path, seconds=seconds)
    with Ledger.watch(tmp_path / "ledger.sqlite") as ledger:
        lines = [line.text for line in view_user(ledger, CROWD[0], tmp_path).lines]
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path), "#user=" + quote(CROWD[0]))
        shown = await page.run(
            "[...document.querySelectorAll('.behaviors .item')].map((item) => [...item.children].slice(0, 3).map((one) => one.textContent).join(' '))"
        )
    assert shown == lines


@pytest.mark.slow
async def test_the_lists_are_walked_with_the_keys(crowd: Path) -> None:
    here = "[document.activeElement.closest('.pane').className, document.activeElement.dataset.place]"
    async with chromium.browser() as page:
        await open_page(page, crowd, f"#user={quote(CROWD[0])}")
        await page.run("document.querySelector('.events .item[tabindex=\"0\"]').focus()")
        await page.press("ArrowDown", 40)
        assert await page.run(here) == ["pane events", "1"]
        await page.press("ArrowRight", 39)
        assert await page.run(here) == ["pane behaviors", "4"]
        await page.press("ArrowDown", 40)
        await page.press("ArrowLeft", 37)
        assert await page.run(here) == ["pane events", "1"]
        await page.press("End", 35)
        assert await page.run(here) == ["pane events", "2"]
        assert await page.run("document.querySelectorAll('.events .item[tabindex=\"0\"]').length") == 1
        assert await page.run("document.activeElement.getAttribute('aria-selected')") == "true"
        await page.press("Enter", 13, "\r")
        await _after(page, "decodeURIComponent(location.hash)", "#tab=timeline&type=到店")


LINKS = (  # on the overview, the filters that a click sets, and the users that it leaves
    ("#charts .figures a[href='#type=%E6%B5%8F%E8%A7%88']", ["type"], 12),
    (".legend a[href='#type=%E5%88%B0%E5%BA%97']", ["type"], 4),
    ("a[href='#category=conversion']", ["category"], 8),
    ("a[href='#place=%E6%B9%96%E6%BB%A8%E9%A4%90%E5%8E%85']", ["place"], 8),
    (".flow a[href*='%E5%88%B0%E5%BA%97']", ["transition"], 4),
    (".funnels [data-path='· → 浏览 → 对比 → 到店'] .whole", ["path"], 4),
    (".columns g[data-href='#type=%E8%B4%AD%E4%B9%B0'] rect", ["type"], 4),
    ("#across a[href*='ends=%E8%B4%AD%E4%B9%B0']", ["journey", "ends"], 4),
    ("#answer [data-key=converted] a", ["outcome"], 8),
)


async def test_a_click_on_the_overview_filters_the_users(crowd: Path) -> None:
    names = "new URLSearchParams(location.hash.slice(1)).keys().filter((name) => !['tab', 'kind'].includes(name)).toArray()"
    async with chromium.browser() as page:
        await page.size(1280, 900)
        for link, filters, users in LINKS:
            await open_page(page, crowd)
            await _click(page, link)
            await _after(page, FOUND, "12 users" if users == len(CROWD) else f"{users} of 12 users")
            await _after(page, names, filters)
            await _click(page, ".tabs a[href='#tab=users']")
            await _after(page, "location.hash.includes('tab=users')", True)
            await _after(page, f"({ROWS}).length", users)
            await _click(page, ".clear")
            await _after(page, "location.hash", "#tab=users")
            await _after(page, FOUND, "12 users")
        assert page.complaints() == []


@pytest.mark.slow
async def test_the_first_user_says_why(crowd: Path) -> None:
    why = "document.querySelector('.user-facts').textContent"
    async with chromium.browser() as page:
        await open_page(page, crowd, "#tab=timeline")
        assert "shown first: no user has more types of events" in await page.run(why)
        await open_page(page, crowd, f"#tab=timeline&type={quote('浏览')}")
        assert "shown first" not in await page.run(why)
        await page.run("location.hash = '#tab=timeline&type=' + encodeURIComponent('没有')")
        await page.until("document.querySelector('#user .empty')")
        await open_page(page, crowd, "#user=" + quote(CROWD[1]))
        assert "shown first" not in await page.run(why)


@pytest.mark.slow
async def test_filters_add_up_and_are_cleared_at_once(crowd: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, "#tab=users&category=conversion&type=用餐&state=done")
        await _after(page, ROWS, ["Nothing to list."])
        await open_page(page, crowd, "#tab=users&transition=浏览 → 对比&place=湖滨餐厅")
        await page.until("document.querySelectorAll('[data-filter]').length === 2")
        await _after(page, FOUND, "4 of 12 users")
        await _click(page, ".clear")
        await _after(page, FOUND, "12 users")


async def test_a_journey_stands_above_the_days_and_lights_its_events(crowd: Path) -> None:
    said = "[...document.querySelectorAll('.journeys li')].map((one) => one.textContent)"
    lit = "[...document.querySelectorAll('.events .item.lit')].map((one) => Number(one.dataset.place))"
    async with chromium.browser() as page:
        await page.size(1280, 900)
        await open_page(page, crowd, f"#user={quote(CROWD[0])}")
        assert await page.run(said) == ["购车 星瀚M5 3 days · converted 浏览 → 对比 → 到店"]
        facts = await page.run("document.querySelector('.user-facts').textContent")
        assert "1 journey" in facts
        assert "3 minor" in facts
        await _click(page, ".journeys li strong")
        await _after(page, lit, [0, 1, 2])
        assert await page.run("document.querySelectorAll('.raster .event.lit').length") == 3
        assert await page.run(
            "document.querySelector('.raster .event title').textContent.endsWith(' · 星瀚M5')"
        )
        await open_page(page, crowd, f"#user={quote(CROWD[1])}")
        assert await page.run(said) == []
        assert page.complaints() == []


async def test_text_is_found_and_marked_wherever_it_stands(crowd: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, "#tab=timeline")
        await page.run("document.getElementById('query').focus()")
        await page.do("Input.insertText", text="4S店2")
        await _after(page, FOUND, "8 of 12 users")
        await page.until("document.querySelectorAll('.behaviors mark').length === 1")
        assert await page.run("document.querySelector('.behaviors mark').textContent") == "4S店2"
        await _click(page, ".tabs a[href='#tab=events']")
        await _after(page, f"({ROWS}).length", 8)
        await page.run(
            "document.getElementById('query').value = 'USER 3'; document.getElementById('filters').requestSubmit()"
        )
        await _after(page, f"[...new Set({ROWS})]", ["user 3"])
        assert await page.run("document.querySelector('.tab:not([hidden]) mark').textContent") == "user"
        await page.run(
            "document.getElementById('query').value = 'nobody'; document.getElementById('filters').requestSubmit()"
        )
        await _after(page, FOUND, "No user matches. Remove a filter, or search for something else.")


@pytest.mark.slow
async def test_every_column_of_a_table_sorts_in_both_directions(crowd: Path) -> None:
    async with chromium.browser() as page:
        await page.size(1400, 900)
        for tab in ("users", "journeys", "events", "calls"):
            await open_page(page, crowd, f"#tab={tab}")
            await _sort_by_each_column(page)
        assert page.complaints() == []


async def _sort_by_each_column(page: chromium.Page) -> None:
    head = ".tab:not([hidden]) .grid-table th[data-column"
    names = await page.run(
        f"[...document.querySelectorAll({json.dumps(head)} + ']')].map((one) => one.dataset.column)"
    )
    rows = await page.run(f"({ROWS}).length")
    for name in names:
        place = names.index(name)
        seen = []
        for _time in range(2):
            await _click(page, f"{head}='{name}'] button")
            cells = await page.run(
                "[...document.querySelectorAll('.tab:not([hidden]) .grid-table tbody tr')]"
                f".map((row) => row.cells[{place}].textContent)"
            )
            seen.append(
                await page.run(f"document.querySelector(\"{head}='{name}']\").getAttribute('aria-sort')")
            )
            assert len(cells) == rows
            order = [_key(cell) for cell in cells if cell != "–"]
            assert order == sorted(order, reverse=seen[-1] == "descending") or name in (
                "type",
                "category",
                "source",
                "steps",
            )
        assert set(seen) == {"ascending", "descending"}


def _key(cell: str) -> tuple[float, str]:
    """Order numbers and users by number, other texts as they are."""
    number = re.fullmatch(r"(?:user )?([\d,.]+)", cell)
    return (float(number[1].replace(",", "")), "") if number else (0.0, cell)


async def _download(page: chromium.Page, folder: Path) -> tuple[str, bytes]:
    await page.do("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    await _click(page, ".tab:not([hidden]) .download")
    file = await asyncio.to_thread(_only_csv, folder)
    data = file.read_bytes()
    file.unlink()
    return file.name, data


def _only_csv(folder: Path) -> Path:
    """Wait for a file that is whole: until then it has another name."""
    for _look in range(1_000):
        if found := [file for file in folder.glob("*.csv") if file.stat().st_size]:
            return found[0]
        time.sleep(0.02)
    message = "nothing was downloaded"
    raise AssertionError(message)


async def test_the_csv_of_events_says_what_the_ledger_holds(crowd: Path, tmp_path: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, "#tab=events")
        await page.until(f"({ROWS}).length")
        name, data = await _download(page, tmp_path)
    assert name == "behaviors-events.csv"
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    ledger = Ledger.open(crowd.parent / "ledger.sqlite")
    stored = [
        event
        for user in sorted(CROWD, key=lambda one: int(one[5:]))
        for event in made_of(ledger, user).events
    ]
    ledger.close()
    assert rows == [
        {
            "user_id": event["user_id"],
            "start": event["start"].replace("T", " "),
            "end": event["end"].replace("T", " "),
            "type": event["type"],
            "category": event["category"],
            "summary": event["summary"],
            "behaviors": str(len(event["behaviors"])),
            "journey": "星瀚M5" if event["journey"] else "",
            "sure": "true",
            "source": event["source"],
        }
        for event in stored
    ]


@pytest.mark.slow
async def test_a_csv_holds_what_the_filters_leave(crowd: Path, tmp_path: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, "#tab=events&type=到店")
        await page.until(f"({ROWS}).length")
        _name, data = await _download(page, tmp_path)
        assert {row["type"] for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig")))} == {"到店"}
        await open_page(page, crowd, "#tab=users&q=购买")
        await page.until(f"({ROWS}).length === 4")
        name, data = await _download(page, tmp_path)
    assert name == "behaviors-users.csv"
    assert len(data.decode().splitlines()) == 5


async def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    ids = ("=1+1", "@sum(a)", "-2+3\t")
    make_run(tmp_path, user_ids=ids, kind="+cmd|' /C calc'!A0", summary='＝HYPERLINK("x")')
    path = write_page(tmp_path)
    folder = tmp_path / "downloads"
    folder.mkdir()
    async with chromium.browser() as page:
        for tab in ("users", "events", "calls"):
            await open_page(page, path, f"#tab={tab}")
            await page.until(f"({ROWS}).length")
            _name, data = await _download(page, folder)
            cells = [cell for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))) for cell in row]
            assert not [cell for cell in cells if cell[:1] and cell[0] in "=+-@＝＋－＠\t\r"], cells
            if tab == "users":
                assert {"'=1+1", "'@sum(a)"} <= set(cells)


async def test_a_link_to_a_user_a_type_and_a_call_survives_a_reload_and_the_way_back(crowd: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, f"#user={quote(CROWD[6])}")
        assert await page.run(WHO) == "user 7"
        await page.do("Page.reload")
        await page.until(READY)
        await _after(page, WHO, "user 7")
        await _click(page, ".user-facts a[href^='#call=']")
        await _after(page, "document.querySelector('#call-title')?.textContent", "Call 2")
        await _click(page, "#call .asked a")
        await _after(page, WHO, "user 5")
        await page.run("history.back()")
        await _after(page, "document.querySelector('[data-tab=calls]').hidden", False)
        await page.run("history.back()")
        await _after(page, WHO, "user 7")
        await open_page(page, crowd, f"#type={quote('购买')}")
        await _after(page, FOUND, "4 of 12 users")
        await page.run("history.back()")
        await _after(page, FOUND, "12 users")
        assert page.complaints() == []


@pytest.mark.slow
async def test_a_link_to_nobody_says_so(crowd: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, "#user=nobody")
        assert await page.run(WHO) == "This page has no user nobody."
        await open_page(page, crowd, "#call=99")
        await _after(page, "document.querySelector('#call').textContent", "This page has no call 99.")


@pytest.mark.slow
async def test_users_are_stepped_through_in_the_order_that_the_filters_leave(crowd: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, "#tab=timeline&type=购买")
        await _after(page, WHO, "user 3")
        await _click(page, ".stepper button:last-child")
        await _after(page, WHO, "user 6")
        assert await page.run("document.querySelector('.stepper span').textContent") == "2 of 4"


async def test_a_call_shows_prompt_reply_tokens_and_cost(tmp_path: Path) -> None:
    make_run(tmp_path)
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path), "#call=1")
        text = await page.run("document.getElementById('call').innerText")
        counts = ("tokens in\n200", "cached\n50", "tokens out\n80", "reasoning\n20")
        for said in (*counts, "0.0010", "ann\nbob", "<think>hm</think>"):
            assert said in text
        assert "the reply was cut off before the user's end" in text
        await _click(page, "#call .call-head button:last-child")
        await _after(page, "document.querySelector('#call-title')?.textContent", "Call 2")
        assert "HTTP 503" in await page.run("document.getElementById('call').innerText")


@pytest.mark.slow
async def test_what_the_model_was_not_sure_of_and_what_a_rule_added_say_so(
    tmp_path: Path, crowd: Path
) -> None:
    make_run(tmp_path)
    badges = "[...document.querySelectorAll('.events .badge')].map((one) => one.textContent)"
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path), "#user=ann")
        assert await page.run(badges) == ["西餐厅用餐", "conversion", "not sure", "西餐厅用餐"]
        await open_page(page, crowd, f"#user={quote(CROWD[2])}")
        await _after(page, badges, ["星瀚M5", "星瀚M5", "conversion", "星瀚M5", "your rule"])


async def test_text_from_data_stays_text(tmp_path: Path) -> None:
    make_evil_run(tmp_path)
    path = write_page(tmp_path)
    async with chromium.browser() as page:
        await open_page(page, path)
        for box in ("answer", "across", "charts"):
            assert "<script>alert('x')</script>" in await page.run(
                f"document.getElementById('{box}').textContent"
            )
        for tab in ("timeline", "users", "journeys", "events", "calls", "run", "overview"):
            await page.run(f"location.hash = '#tab={tab}'")
            await page.until(f"!document.querySelector('[data-tab={tab}]').hidden")
        await page.run("location.hash = '#call=1&q=script'")
        await page.until("document.querySelector('#call pre')")
        for link in await page.run(
            "[...document.querySelectorAll('main a[href^=\"#\"]')].map((one) => one.getAttribute('href'))"
        ):
            await page.run(f"location.hash = {json.dumps(link)}")
        await page.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert await page.run("document.querySelectorAll('img, main script').length") == 0
        assert page.complaints() == []


@pytest.mark.usefixtures("chinese")
async def test_the_script_speaks_chinese(tmp_path: Path) -> None:
    make_crowd(tmp_path)
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path), "#tab=users")
        head = await page.run("document.querySelector('.grid-table thead').textContent")
        await open_page(page, tmp_path / "report.html", "#tab=events")
        await page.until("document.querySelector('.tab:not([hidden]) tbody tr')")
        events = await page.run("document.querySelector('.tab:not([hidden]) tbody').textContent")
        header = await page.run("document.querySelector('header').textContent")
        kept = await page.run(
            "document.querySelector('.tab:not([hidden]) tbody a[href*=category]').getAttribute('href')"
        )
    assert not re.search("behaviors|events|state", head)
    assert not re.search("engagement|conversion", events + header)
    assert kept == "#category=engagement"


async def test_what_an_address_says_and_the_page_does_not_know_is_named(crowd: Path) -> None:
    note = "[document.getElementById('unknown').hidden, document.getElementById('unknown').textContent]"
    wrong = "#since=2026-01-05&tab=event&is.town=x&b.user=user 1"
    right = "#tab=events&from=2026-01-05&q=M5&is.city=上海&b.is.city=上海&compare=1&kind=购车"
    async with chromium.browser() as page:
        await open_page(page, crowd, wrong)
        hidden, said = await page.run(note)
        assert not hidden
        named = "since=2026-01-05, tab=event, is.town=x, b.user=user 1. It knows tab, user, call,"
        assert said.startswith(f"This page does not know what the address says: {named}")
        assert await page.run(FOUND) == "12 users"  # it is not applied
        await open_page(page, crowd, right)
        assert (await page.run(note))[0]


@pytest.mark.parametrize(
    "address",
    ["type=没有", "is.city=北京", "state=odd", "outcome=maybe", "from=soon", "place=无", "kind=x", "not=x"],
)
async def test_a_value_of_an_address_that_nothing_has_is_named(crowd: Path, address: str) -> None:
    async with chromium.browser() as page:
        await open_page(page, crowd, "#" + address)
        assert await page.run("document.getElementById('unknown').textContent") == (
            f"Nothing on this page has what the address asks for: {address}."
        )
        assert (await page.run(FOUND)).startswith(
            "12 users" if address[:4] in ("kind", "not=") else "No user"
        )


async def test_users_who_have_not_reached_the_goal_are_chosen(crowd: Path) -> None:
    select = "document.querySelector('#sides select[data-name=not]')"
    async with chromium.browser() as page:
        await open_page(page, crowd)
        assert await page.run(f"{select}.options[1].textContent") == "not reached: conversion"
        await page.run(f"{select}.value = 'conversion', {select}.dispatchEvent(new Event('change'))")
        await _after(page, FOUND, "4 of 12 users")
        await _click(page, ".tabs a[href='#tab=users']")
        await _after(page, ROWS, [user for place, user in enumerate(CROWD) if place % 3 == 1])
        await open_page(page, crowd, "#compare=1&not=购买&b.not=conversion&b.from=2026-01-06")
        assert await page.run(FOUND) == "A: 8 of 12 users · B: 4 of 12 users"
        assert await page.run(f"{select}.selectedOptions[0].textContent") == "without 购买"


async def test_a_long_list_has_the_types_of_the_goal_and_a_button_that_shows_all(tmp_path: Path) -> None:
    usual = tuple(f"type {number}" for number in range(15))
    make_crowd(tmp_path, stories=(*[usual] * 11, ("购买",)))
    rows = "[...document.querySelectorAll('#charts table')].find((table) => table.caption?.innerText === 'Types').querySelectorAll('tbody tr').length"
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path))
        assert await page.run(rows) == 15
        assert await page.run("document.querySelector('#charts [data-row=购买]') !== null")
        assert await page.run("document.querySelector('.further').textContent") == "Show 1 more"
        await _click(page, "#charts .further")
        await _after(page, rows, 16)
        assert await page.run("document.querySelector('#charts .further')") is None


async def test_filters_by_events_say_that_they_choose_users(crowd: Path) -> None:
    shown = "!document.getElementById('chosen').hidden"
    async with chromium.browser() as page:
        for address, is_said in (
            ("#type=用餐", True),
            ("#compare=1&is.city=上海&b.outcome=yes", True),
            ("#state=done&from=2026-01-05", False),
        ):
            await open_page(page, crowd, address)
            assert await page.run(shown) == is_said, address
        assert "that begin in the period" not in await page.run("document.body.innerText")
        await open_page(page, crowd, "#type=用餐&from=2026-01-06")
        assert "count all events of theirs that begin in the period;" in await page.run(
            "document.body.innerText"
        )


async def test_without_journeys_events_come_first_and_a_line_says_why(tmp_path: Path) -> None:
    make_crowd(tmp_path, stories=(("用餐", "浏览"), ("浏览", "用餐"), ("用餐", "浏览")))
    last = "[...document.querySelectorAll('#charts table')].find((table) => table.caption?.innerText.startsWith('Where users stop')).innerText"
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path))
        said = await page.run("document.getElementById('tab-overview').innerText")
        assert "journeys with " not in said
        assert "Commonest journeys" not in said
        assert said.index("What people do") < said.index("There are no journeys: the model found none.")
        assert re.findall(r"(\S+)\s+(\d+) (\d+) %", await page.run(last)) == [
            ("浏览", "8", "67"),
            ("用餐", "4", "33"),
        ]
        await open_page(page, tmp_path / "report.html", "#outcome=no&ends=用餐")
        assert await page.run("document.getElementById('unknown').innerText") == (
            "Not applied, for it needs journeys and this run has none: outcome=no, ends=用餐."
        )
        assert await page.run(FOUND) == "12 users"
        await open_page(page, tmp_path / "report.html", "#not=conversion")  # a goal that nobody reached
        assert await page.run("document.getElementById('unknown').hidden")


async def test_users_whose_shown_ids_are_the_same_have_addresses_of_their_own(tmp_path: Path) -> None:
    same = "t" * 300
    make_crowd(tmp_path, user_ids=(f"{same}A", f"{same}B"), calls=1)
    days = "document.querySelector('#user').innerText.includes('{}第2天')"
    async with chromium.browser() as page:
        await open_page(page, write_page(tmp_path), "#tab=users")
        assert await page.run(ROWS) == [same, f"{same}~2"]
        for user, kind in ((same, "到店"), (f"{same}~2", "用餐")):
            await open_page(page, tmp_path / "report.html", f"#user={user}")
            assert await page.run(days.format(kind))
        await open_page(page, tmp_path / "report.html", "#call=1")
        linked = "[...document.querySelectorAll('.tab:not([hidden]) a[href*=\"user=ttt\"]')].map((link) => link.textContent)"
        assert await page.run(linked) == [same, f"{same}~2"]
