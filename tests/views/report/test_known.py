"""The report of 400 users whose journeys are known says what is known, of all and of segments, beside each other too."""

import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import chromium
from eventabs import interface_language as language
from eventabs.views import report as page_module
from known_run import Known, known_users, run_known, truth
from report_kit import open_page, write_page

pytestmark = chromium.needed

# the cells of a table, by the name of the row: what is written in each but for links and spaces
BY_KIND, STEPS = (f"#across .scroll:nth-of-type({place}) .figures" for place in (1, 2))
CELLS = """
(() => Object.fromEntries([...document.querySelectorAll('{table} tbody tr')].map((row) =>
  [row.dataset.row, [...row.querySelectorAll('td:not(.bar-cell)')].map((cell) => cell.innerText.replaceAll(',', '').trim().split(/\\s+/))])))()
"""
TILES = """
(() => Object.fromEntries([...document.querySelectorAll('#answer [data-key]')].map((one) =>
  [one.dataset.key, Number((one.querySelector('.figure a') ?? one.lastElementChild.firstChild).textContent.replaceAll(',', ''))])))()
"""
SEGMENTS = {
    "all": ("", lambda _user: True),
    "a city": ("is.city=上海", lambda user: user.profile["city"] == "上海"),
    "two columns": (
        "is.city=成都&is.gender=女",
        lambda user: (user.profile["city"], user.profile["gender"]) == ("成都", "女"),
    ),
}


@pytest.fixture(scope="module")
def users() -> list[Known]:
    return known_users()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, users: list[Known]) -> Path:
    return write_page(run_known(tmp_path_factory.mktemp("known"), users))


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _waits(cell: list[str]) -> Any:  # noqa: ANN401  what approx gives
    """Return a written time in seconds, as precisely as it is written."""
    if cell == ["–"]:
        return None
    unit = {"min": 60, "h": 3600, "d": 86_400}[cell[1]]
    return pytest.approx(float(cell[0]) * unit, abs=unit * (0.051 if float(cell[0]) < 10 else 0.51))


def _holds(cell: list[str], count: int, whole: int) -> None:
    """Check a number and the share behind it."""
    assert int(cell[0]) == count
    assert float(cell[1]) == pytest.approx(_share(count, whole), abs=0.51)


@pytest.mark.parametrize("segment", SEGMENTS)
async def test_the_figures_of_users_journeys_and_steps_are_the_known_ones(
    report: Path, users: list[Known], segment: str
) -> None:
    address, keep = SEGMENTS[segment]
    known = truth(users, keep)
    async with chromium.browser() as page:
        await page.size(1280, 800)
        await open_page(page, report, "#" + address)
        tiles = await page.run(TILES)
        assert await page.run("document.querySelector('#answer').getBoundingClientRect().bottom") < 800
        assert {key: tiles[key] for key in ("users", "events", "journeys", "converted")} == {
            key: known[key] for key in ("users", "events", "journeys", "converted")
        }
        assert tiles["unsure"] == known["unsure"]
        assert tiles["unplaced"] == known["unplaced"]
        assert tiles["failed"] == known["failed"]
        for kind, of_kind in known["kinds"].items():
            assert tiles[kind] == of_kind["journeys"]
            await open_page(page, report, f"#kind={quote(kind)}&{address}")
            found = await _cells(page, BY_KIND)
            journeys, whose, converted, days = found[kind]
            _holds(journeys, of_kind["journeys"], known["journeys"])
            _holds(whose, of_kind["users"], known["users"])
            _holds(converted, of_kind["converted"], of_kind["journeys"])
            assert float(days[0]) == pytest.approx(of_kind["days"], abs=0.051)
            _check_steps(await _cells(page, STEPS), of_kind)
        assert page.complaints() == []


async def _cells(page: chromium.Page, table: str) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = await page.run(CELLS.replace("{table}", table))
    return found


def _check_steps(steps: dict[str, list[list[str]]], known: dict[str, Any]) -> None:
    assert list(steps) == list(known["steps"])
    for name, (having, waited, ends, converted, others) in steps.items():
        step = known["steps"][name]
        _holds(having, step["journeys"], known["journeys"])
        _holds(ends, step["ends"], known["journeys"])
        _holds(converted, step["converted"], known["converted"])
        _holds(others, step["journeys"] - step["converted"], known["journeys"] - known["converted"])
        assert step["wait"] == _waits(waited)


async def test_two_groups_stand_beside_each_other_with_the_difference_of_their_shares(
    report: Path, users: list[Known]
) -> None:
    wholes = [truth([user for user in users if user.profile["city"] == city]) for city in ("上海", "北京")]
    first, second = (whole["kinds"]["购买"] for whole in wholes)
    async with chromium.browser() as page:
        await page.size(1280, 800)
        await open_page(page, report, "#compare=1&is.city=上海&b.is.city=北京&kind=购买")
        found = await _cells(page, BY_KIND)
        ours, theirs, apart = found["购买"][6:9]
        _holds(ours, first["converted"], first["journeys"])
        _holds(theirs, second["converted"], second["journeys"])
        points = _share(first["converted"], first["journeys"]) - _share(
            second["converted"], second["journeys"]
        )
        assert float(apart[0].replace("−", "-")) == pytest.approx(points, abs=0.051)
        steps = await _cells(page, STEPS)
        for name, cells in steps.items():
            _holds(cells[0], first["steps"][name]["journeys"], first["journeys"])
            _holds(cells[1], second["steps"][name]["journeys"], second["journeys"])
        answered = await _cells(page, "#answer .figures")
        assert [int(cell[0]) for cell in answered["users"][:2]] == [100, 100]
        assert [int(cell[0]) for cell in answered["converted"][:2]] == [one["converted"] for one in wholes]
        names = await page.run("[...document.querySelectorAll('#answer .group')].map((one) => one.innerText)")
        assert names == ["A city 上海", "B city 北京"]
        assert await page.run("document.querySelectorAll('#charts .sides').length") == 4
        assert page.complaints() == []


async def test_a_step_leads_to_its_journeys_and_these_to_their_users(
    report: Path, users: list[Known]
) -> None:
    ending = [
        journey for user in users for journey in user.journeys
        if not user.fails and journey.kind == "购买" and journey.events[-1].type == "对比"
    ]  # fmt: skip
    rows = "[...document.querySelectorAll('#journeys-table tbody tr')].map((row) => row.cells[2].textContent)"
    async with chromium.browser() as page:
        await page.size(1280, 2000)
        await open_page(page, report, "#kind=购买")
        await page.click("#across a[href*='ends=%E5%AF%B9%E6%AF%94']")
        await page.until("document.querySelector('#journeys-table tbody tr')")
        assert len(await page.run(rows)) == min(50, len(ending))
        assert set(await page.run(rows)) <= {journey.name for journey in ending}
        await page.click("#journeys-table tbody tr:first-child td a[href^='#user=']")
        await page.until("document.querySelector('#who')?.textContent.startsWith('k')")
        await page.click(".events .item")
        await page.until("document.querySelector('.behaviors .item.lit .row-of')")
        row = await page.run("document.querySelector('.behaviors .item.lit .row-of').innerText")
        name, line = row.split()[0].split(":")
        written = (report.parent.parent / name).read_text("utf-8").splitlines()[int(line) - 1]
        shown = await page.run("document.querySelector('.behaviors .item.lit .what').innerText")
        assert shown in written


async def test_a_period_and_an_outcome_leave_what_begins_in_it_and_ended_so(
    report: Path, users: list[Known]
) -> None:
    inside = [
        event.start for user in users if not user.fails
        for event in (*user.lone, *(step for journey in user.journeys for step in journey.events))
        if "2026-03-05" <= f"{event.start:%Y-%m-%d}" <= "2026-03-08"
    ]  # fmt: skip
    begun = [
        journey for user in users if not user.fails for journey in user.journeys
        if "2026-03-05" <= f"{journey.events[0].start:%Y-%m-%d}" <= "2026-03-08"
    ]  # fmt: skip
    async with chromium.browser() as page:
        await open_page(page, report, "#from=2026-03-05&to=2026-03-08")
        tiles = await page.run(TILES)
        assert (tiles["events"], tiles["journeys"]) == (len(inside), len(begun))
        await open_page(page, report, "#from=2026-03-05&to=2026-03-08&outcome=no")
        assert (await page.run(TILES))["journeys"] == sum(not journey.converted for journey in begun)


async def test_the_heads_of_two_periods_say_how_many_days_they_have(report: Path) -> None:
    heads = "[...document.querySelectorAll('#answer .group')].map((one) => one.innerText)"
    async with chromium.browser() as page:
        await open_page(
            page, report, "#compare=1&from=2026-03-02&to=2026-03-08&b.from=2026-03-09&b.to=2026-03-22"
        )
        assert await page.run(heads) == [
            "A since 2026-03-02 · until 2026-03-08 · 7 days",
            "B since 2026-03-09 · until 2026-03-22 · 14 days",
        ]


async def test_a_column_of_many_values_has_no_filter_and_a_note(report: Path) -> None:
    note = "document.getElementById('many-values').innerText"
    async with chromium.browser() as page:
        await page.size(1280, 800)
        await open_page(page, report)
        assert await page.run("document.querySelector(\"#sides [data-name='is.age']\")") is None
        assert await page.run(note) == (
            "Columns without a filter, for they have more than 12 values: age. The address chooses one: is.age=VALUE."
        )


async def test_a_sample_counts_whom_it_draws_and_lists_all_that_failed(
    report: Path, users: list[Known], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MOST_USERS", 100)
    write_page(report.parent, tmp_path / "sample.html")
    drawn = truth(users, lambda user: zlib.crc32(user.id.encode()) < 2**30 and user.profile["gender"] == "女")
    found = "document.getElementById('found').textContent"
    async with chromium.browser() as page:
        await open_page(page, tmp_path / "sample.html", "#is.gender=女")
        tiles = await page.run(TILES)
        assert {key: tiles[key] for key in ("users", "events", "failed")} == {
            key: drawn[key] for key in ("users", "events", "failed")
        }
        assert "(of 400 users, a sample of " in await page.run(found)
        await open_page(page, tmp_path / "sample.html", "#tab=users&state=failed")
        listed = await page.run(
            "[...document.querySelectorAll('#users-table tbody th')].map((one) => one.innerText)"
        )
        assert listed == ["k099", "k199", "k299", "k399"]
        assert await page.run(found) == "4 of 400 users"


async def test_the_filters_of_usual_profile_columns_are_named_in_chinese(
    report: Path, tmp_path: Path
) -> None:
    language.activate("zh")
    try:
        write_page(report.parent, tmp_path / "report.html")
    finally:
        language.activate("en")
    async with chromium.browser() as page:
        await open_page(page, tmp_path / "report.html", "#is.city=上海")
        names = await page.run("[...document.querySelectorAll('#sides select')].map((one) => one.ariaLabel)")
        assert names == ["类型", "类别", "旅程", "结果", "没有", "状态", "性别", "城市"]
