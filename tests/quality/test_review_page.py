"""The page of a review in a browser: by keyboard alone, offline, kept, and its CSV is read back."""
# ruff: noqa: ASYNC110  one tab, one test: nothing else waits for the event loop

import asyncio
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import chromium
from eventabs import interface_language as language
from eventabs.measures import least_share
from eventabs.quality.review import Sheet, draw_review, read_review
from eventabs.views import render_review_page, write_report
from house import eventabs, ran, write_users
from openai_server import OpenAIServer, answer, read_blocks
from runs_jobs import Place, finish


def told(message: str) -> str:
    """Answer with a journey of each user's first two rows, doubtful events, and a row left out; what hangs on how many users there are."""
    answer, row = list[str](), 0
    blocks = read_blocks(message)
    for alias, block in blocks.items():
        first, row = row + 1, row + sum(not line.startswith("# ") for line in block)
        odd = len(blocks) % 2
        rest = [f"{each}{'?' if each % 8 == 0 else ''}" for each in range(first + 2 + 3 * odd, row)]
        start = [f"{first + 2}", f"{first + 3},{first + 4}"] if odd else []
        answer += [
            f"## {alias}",
            f"> 购买 帐篷：搜索 {first}；浏览 {first + 1}",
            "工作 " + " ".join([*start, *rest]),
        ]
    return "\n".join([*answer, "##"])


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with an audit whose answers differ."""
    folder = tmp_path_factory.mktemp("doubtful")
    write_users(folder / "input.jsonl", users=22, behaviors=24)
    with OpenAIServer(answer(told)) as server:
        flags = ("--model", "m", "--base-url", server.base_url, "-q")
        assert (
            eventabs("run", "input.jsonl", "--out", "out", "--max-users", 4, *flags, cwd=folder).returncode
            == 0
        )
        ran("audit", "out", "--share", "50%", "--max-users", 3, "--yes", "-q", cwd=folder)
    return folder / "out"


EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>[/bold]{{7*7}}</title><!--\u2028\u202e"
in_a_browser = pytest.mark.skipif(
    not chromium.BINARY, reason="there is no Chromium here: apt-get install chromium"
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Place(tmp_path_factory.mktemp("review"), users=30)
    with place.begin() as run:
        finish(run)
    return place.out


def page_of(sheet: Sheet, path: Path) -> Path:
    write_report(render_review_page(sheet), path)
    return path


async def key(page: chromium.Page, *keys: str) -> None:
    codes = {"Enter": 13, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "Backspace": 8, "Escape": 27}
    for each in keys:
        text = "\r" if each == "Enter" else each if len(each) == 1 else ""
        await page.press(each, codes.get(each, ord(each[0].upper())), text)


async def write(page: chromium.Page, text: str) -> None:
    await page.do("Input.insertText", text=text)


async def saved(page: chromium.Page, folder: Path, name: str) -> Path:
    """Save the CSV by its key, and wait for it."""
    await page.do("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    await key(page, "s")
    path = folder / f"{name}.csv"
    async with asyncio.timeout(30):
        while not (path.exists() and path.stat().st_size):
            await asyncio.sleep(0.05)
    return path


@pytest.mark.slow
@in_a_browser
async def test_200_events_are_reviewed_by_keyboard_alone(out: Path, tmp_path: Path) -> None:
    sheet = draw_review(out, sample=200, days=3)
    path = page_of(sheet, tmp_path / "review.html")
    async with chromium.browser() as page:
        await page.open(path)
        for number in range(1, 201):
            match number:
                case 5:
                    await key(page, "2")
                    await write(page, "看车")
                    await key(page, "Enter")
                case 50:
                    await key(page, "1", "ArrowUp", "3")  # thought better of
                case 120:
                    await key(page, "4")
                case _:
                    await key(page, "1")
        await page.open(path)  # closed and opened again
        days = 0
        while not await page.run("document.getElementById('screen').hidden"):
            if await page.run("document.querySelector('[role=listbox]') !== null"):
                if not days:
                    await key(page, "ArrowDown", " ", "ArrowDown", " ", "ArrowUp", " ", "Enter")
                    await write(page, "散步")
                    await key(page, "Enter")
                days += 1
            await key(page, "1")
        assert days == 3
        assert page.complaints() == []
        assert set(page.requests()) == {path.as_uri()}
        csv = await saved(page, tmp_path, sheet.review.id)
    (reviewer,) = read_review(out, [csv])[1]["reviewers"]
    assert tuple(reviewer.values())[1:7] == (200, 0, 197, 1, 1, 1)
    assert f"{100 * reviewer['at_least']:.1f}" == "96.2"
    assert (reviewer["confused"][0]["meant"], reviewer["confused"][0]["events"]) == ("看车", 1)
    assert (reviewer["reviewed_days"]["days"], reviewer["reviewed_days"]["missing"]) == (3, 1)
    missing = [line for line in csv.read_text("utf-8-sig").splitlines() if ",missing,散步," in line]
    assert [line.rpartition(",")[2].count("b") for line in missing] == [1]


@in_a_browser
async def test_the_head_names_all_that_is_counted(out: Path, tmp_path: Path) -> None:
    sheet = draw_review(out, sample=30, days=12)
    drawn, beside = 30, len(sheet.review.events) - 30
    assert beside
    async with chromium.browser() as page:
        await page.open(page_of(sheet, tmp_path / "review.html"))
        facts = await page.run("[...document.querySelectorAll('.facts span')].map((one) => one.textContent)")
        counted = await page.run("document.getElementById('count').textContent")
    assert counted == f"0 of {drawn + beside + 12} judged"
    assert facts[0].startswith("30 events of ")
    assert facts[2:4] == [
        f"in all {drawn + beside + 12} to judge",
        "times: as in the export, which names no zone",
    ]


@in_a_browser
async def test_the_doubtful_come_first_and_a_screen_is_judged_at_once(doubtful: Path, tmp_path: Path) -> None:
    sheet = draw_review(doubtful, sample=45, days=0, doubtful=500)
    more = [each for each in sheet.review.events if each.doubts and not each.drawn]
    assert 40 < len(more) <= 80
    assert {name for each in more for name in each.doubts} == {"moved", "unsure", "unplaced"}
    weights = [("moved" in each.doubts, "unsure" in each.doubts) for each in more]
    assert weights == sorted(weights, reverse=True)
    where = "document.getElementById('where').textContent"
    async with chromium.browser() as page:
        await page.open(page_of(sheet, tmp_path / "review.html"))
        assert await page.run(where) == f"The most doubtful first: 1 to 40 of {len(more)}"
        assert "gives no bound" in await page.run("document.getElementById('note').textContent")
        assert await page.run("document.querySelectorAll('.row').length") == 40
        await key(page, "4", "a", "x", "z")
        assert (await page.run("document.getElementById('count').textContent")).startswith("40 of ")
        await key(page, "x")
        assert (await page.run(where)).startswith("Events, a simple random sample: 1 to 40 of 45")
        await key(page, "3", "a", "a")
        assert (await page.run(where)).startswith("Journeys, a simple random sample: 1 to ")
        await key(page, "2", "Enter", "a")
        assert page.complaints() == []
        csv = await saved(page, tmp_path, sheet.review.id)
    (reviewer,) = read_review(doubtful, [csv])[1]["reviewers"]
    assert (reviewer["right"], reviewer["wrong_span"]) == (44, 1)
    assert reviewer["at_least"] == least_share(44, 45)
    journeys = sheet.review.journeys_in_run
    assert (reviewer["journeys"]["right"], reviewer["journeys"]["at_least"]) == (
        journeys - 1,
        least_share(journeys - 1, journeys),
    )
    assert (
        reviewer["doubtful"]["judged"],
        reviewer["doubtful"]["right"],
        reviewer["doubtful"]["at_least"],
    ) == (
        len(more),
        39,
        None,
    )


@in_a_browser
async def test_the_end_says_what_has_no_verdict(out: Path, tmp_path: Path) -> None:
    path = page_of(draw_review(out, sample=5, days=0), tmp_path / "review.html")
    ended = "document.getElementById('ended').textContent"
    async with chromium.browser() as page:
        await page.open(path)
        await key(page, "1", "1")
        await page.run("document.getElementById('after').click()")
        assert await page.run(ended) == "The end; without a verdict: 3. N goes to the next of them."
        await key(page, "n", "1", "1", "1")
        assert await page.run(ended) == "Everything is judged"


@in_a_browser
async def test_a_verdict_can_be_cleared_and_a_name_left_out(out: Path, tmp_path: Path) -> None:
    sheet = draw_review(out, sample=5, days=0)
    async with chromium.browser() as page:
        await page.open(page_of(sheet, tmp_path / "review.html"))
        await key(page, "1", "2", "Enter", "4", "ArrowUp", "Backspace")
        assert await page.run("document.getElementById('count').textContent") == "2 of 5 judged"
        csv = await saved(page, tmp_path, sheet.review.id)
    (reviewer,) = read_review(out, [csv])[1]["reviewers"]
    assert (reviewer["right"], reviewer["wrong_type"], reviewer["left"]) == (1, 1, 3)


@in_a_browser
async def test_text_from_data_stays_text_and_is_no_formula(out: Path, tmp_path: Path) -> None:
    sheet = draw_review(out, sample=3, days=1)
    evil = [
        replace(event, type=EVIL, summary=f"={EVIL}", category=EVIL, user_id=f"+{event.user_id}")
        for event in sheet.review.events
    ]
    review = replace(sheet.review, events=tuple(evil), types=(EVIL,))
    sheet = sheet._replace(
        review=review, profiles={**dict.fromkeys((e.user_id for e in evil), EVIL), **sheet.profiles}
    )
    sheet = sheet._replace(
        lines={
            item: [(number, day, EVIL, EVIL, event) for number, day, _text, _type, event in lines]
            for item, lines in sheet.lines.items()
        }
    )
    path = page_of(sheet, tmp_path / "review.html")
    async with chromium.browser() as page:
        await page.open(path)
        assert "<script>alert('x')</script>" in await page.run(
            "document.getElementById('screen').textContent"
        )
        await key(page, "1", "1", "1")
        assert await page.run("document.querySelectorAll('img, main script').length") == 0
        assert page.complaints() == []
        csv = await saved(page, tmp_path, review.id)
    text = csv.read_text("utf-8-sig")
    assert f",'+{sheet.review.events[0].user_id[1:]}," in text
    assert "\"'=<script>" in text


@in_a_browser
@pytest.mark.parametrize("spoken", ["en", "zh"])
async def test_it_fits_a_phone_and_says_so_where_nothing_is_kept(
    out: Path, tmp_path: Path, spoken: language.Language
) -> None:
    language.activate(spoken)
    path = page_of(draw_review(out, sample=5, days=1), tmp_path / "review.html")
    async with chromium.browser() as page:
        await page.size(390, 844, phone=True)
        await page.open(path)
        assert await page.run("document.documentElement.scrollWidth") <= 390
        assert await page.run("document.getElementById('unkept').hidden")
        await page.do(
            "Page.addScriptToEvaluateOnNewDocument",
            source="Storage.prototype.setItem = () => { throw new Error('full'); }",
        )
        await page.open(path)
        assert not await page.run("document.getElementById('unkept').hidden")
        await key(page, "1")
        assert (await page.run("document.getElementById('progress').value")) > 0


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.found += [
            f"{tag} {name}"
            for name, value in attrs
            if name.startswith("on")
            or (
                name in ("src", "href", "srcset", "action", "style")
                and not (value or "").startswith(("#", "data:"))
            )
        ]
        self.policy = named.get("content") or self.policy if named.get("http-equiv") else self.policy


def test_the_page_refers_to_nothing_outside_and_runs_only_its_own_script(out: Path) -> None:
    page = render_review_page(draw_review(out, sample=5, days=1))
    parser = _References()
    parser.feed(page)
    assert parser.found == []
    assert parser.policy.startswith("default-src 'none'")
    assert "unsafe" not in parser.policy
    assert "innerHTML" not in page
