"""The report: what stands in it, that nothing breaks out of it, and that it works in a browser."""

import json
import os
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest

import chromium
from eventabs import language
from eventabs.errors import UsageError
from eventabs.inspection.report import open_report_facts
from eventabs.views.report.page import embedded_json, render_report, write_report
from house import eventabs
from report_kit import make_run

EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>[/bold]{{7*7}}</title><!--\u2028\u202e"
in_a_browser = pytest.mark.skipif(
    not chromium.BINARY, reason="there is no Chromium here: apt-get install chromium"
)


def _page(path: Path) -> str:
    with open_report_facts(path) as facts:
        return render_report(facts)


def _evil_run(path: Path) -> None:
    make_run(
        path,
        user_ids=(f"a{EVIL}", f"b{EVIL}", f"c{EVIL}"),
        item=EVIL,
        kind=EVIL,
        summary=EVIL,
        reply=f"## U1\n{EVIL}\x00\x1b[31m",
        error=EVIL,
    )


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _value in attrs if name.startswith("on") or name == "style"]


def test_the_page_shows_the_run(tmp_path: Path) -> None:
    make_run(tmp_path)
    page = _page(tmp_path)
    for shown in ("behaviors.csv", "deepseek-chat", "api.example.com", "用餐", "HTTP 503", "0.0010 CNY"):
        assert shown in page
    assert "406" not in page, "figures of another job"


def test_the_page_tells_what_was_sent_again_and_why(tmp_path: Path) -> None:
    make_run(tmp_path)
    page = _page(tmp_path)
    assert '<th scope="row">rate limit</th><td>3</td><td>2.0s</td>' in page
    assert '<th scope="row">HTTP 503</th><td>1</td><td>1.0s</td>' in page
    assert page.count("plain cooldown") == 1


def test_the_page_speaks_chinese(tmp_path: Path) -> None:
    make_run(tmp_path)
    language.activate("zh")
    try:
        page = _page(tmp_path)
    finally:
        language.activate("en")
    assert '<html lang="zh-Hans">' in page
    assert "token 的去向" in page
    assert "Where the tokens went" not in page


def test_nothing_from_data_becomes_markup(tmp_path: Path) -> None:
    _evil_run(tmp_path)
    elements = _Elements()
    elements.feed(_page(tmp_path))
    assert elements.tags.count("script") == 2
    assert "img" not in elements.tags
    assert not elements.handlers


def test_controls_and_bidi_characters_are_made_visible(tmp_path: Path) -> None:
    _evil_run(tmp_path)
    page = _page(tmp_path)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2028]", page)
    assert "\\u202e" in page


def test_embedded_json_cannot_end_its_element_and_says_the_same() -> None:
    value = {"</script>": ["<!--", "&amp;", "\u2028\u2029"]}
    text = str(embedded_json(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_the_page_connects_to_nothing(tmp_path: Path) -> None:
    make_run(tmp_path)
    page = _page(tmp_path)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "unsafe" not in page.split("</head>")[0].split("<style>")[0]
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "url(" not in page


def test_a_page_is_readable_by_its_owner_only_and_replaces_a_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report("<!doctype html>1", path)
    write_report("<!doctype html>2", path)
    assert path.read_text("utf-8").endswith("2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_pipe_in_the_place_of_the_page_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.html")
    with pytest.raises(UsageError, match="--output"):
        write_report("<!doctype html>", tmp_path / "report.html")


def test_a_file_that_is_no_page_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("{}\n", "utf-8")
    with pytest.raises(UsageError, match="--output"):
        write_report("<!doctype html>", path)
    assert path.read_text("utf-8") == "{}\n"


@pytest.mark.parametrize("name", ["missing/report.html", "."])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--output"):
        write_report("<!doctype html>", tmp_path / name)


def test_the_command_writes_into_the_run_directory_and_names_the_file(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    done = eventabs("--lang", "zh", "report", "run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "run/report.html"
    assert "事件" in (tmp_path / "run" / "report.html").read_text("utf-8")


@in_a_browser
async def test_search_timeline_and_keys_work_in_a_browser_without_a_complaint(tmp_path: Path) -> None:
    make_run(tmp_path)
    path = tmp_path / "report.html"
    write_report(_page(tmp_path), path)
    async with chromium.browser() as page:
        await page.open(path)
        assert await page.run("document.querySelectorAll('.user').length") == 3
        await page.run("document.querySelector('.user > button').focus()")
        await page.press("ArrowDown", 40)
        await page.press("ArrowDown", 40)
        await page.press("Enter", 13, "\r")
        assert await page.run("document.activeElement.getAttribute('aria-expanded')") == "true"
        opened = "document.querySelector('.user:nth-child(3) .days')"
        assert await page.run(f"{opened}.querySelectorAll('.event').length") == 2
        assert await page.run(f"{opened}.querySelectorAll('.mark').length") == 3
        assert await page.run(f"{opened}.querySelectorAll('.mark.open').length") == 1
        assert "西餐厅用餐" in await page.run(f"{opened}.textContent")
        await page.run("query.value = '西餐厅'; document.getElementById('search').requestSubmit()")
        assert await page.run("list.textContent.includes('ann') && list.children.length") == 1
        await page.run("query.value = 'nobody'; document.getElementById('search').requestSubmit()")
        assert (
            await page.run("found.textContent")
            == "No user matches. Clear the search or choose another state."
        )
        assert page.complaints() == []
        assert page.requests() == [path.as_uri()]


@in_a_browser
async def test_text_from_data_stays_text_in_a_browser(tmp_path: Path) -> None:
    _evil_run(tmp_path)
    path = tmp_path / "report.html"
    write_report(_page(tmp_path), path)
    async with chromium.browser() as page:
        await page.open(path)
        await page.run("for (const one of document.querySelectorAll('.user > button')) one.click()")
        await page.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert await page.run("document.querySelectorAll('img, main script').length") == 0
        assert "<script>alert('x')</script>" in await page.run("list.textContent")
        assert page.complaints() == []


@in_a_browser
async def test_a_moment_is_seen_on_a_phone(tmp_path: Path) -> None:
    make_run(tmp_path)
    path = tmp_path / "report.html"
    write_report(_page(tmp_path), path)
    async with chromium.browser() as page:
        await page.size(390, 844, phone=True)
        await page.open(path)
        await page.run("for (const one of document.querySelectorAll('.user > button')) one.click()")
        assert await page.run("document.querySelector('.event.short').getBoundingClientRect().width") >= 3


@in_a_browser
async def test_on_paper_no_heading_stands_over_nothing(tmp_path: Path) -> None:
    make_run(tmp_path)
    path = tmp_path / "report.html"
    write_report(_page(tmp_path), path)
    async with chromium.browser() as page:
        await page.do("Emulation.setEmulatedMedia", media="print")
        await page.open(path)
        shown = "getComputedStyle(document.querySelector('.examples')).display"
        assert await page.run(shown) == "none"
        await page.run("document.querySelector('.example').open = true")
        assert await page.run(shown) == "block"


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_more_events_an_hour_has_the_more_it_stands_out(tmp_path: Path, scheme: str) -> None:
    make_run(tmp_path)
    path = tmp_path / "report.html"
    write_report(_page(tmp_path), path)
    async with chromium.browser() as page:
        await page.do(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        await page.open(path)
        colors = await page.run(
            "[...document.querySelectorAll('.scale .swatch')].map((one) => getComputedStyle(one).backgroundColor)"
        )
    brightness = [sum(map(int, re.findall(r"\d+", color))) for color in colors]
    assert len(set(brightness)) == 7
    assert brightness == sorted(brightness, reverse=scheme == "light")


@in_a_browser
@pytest.mark.parametrize(("width", "phone"), [(1280, False), (390, True)])
async def test_nothing_is_wider_than_the_window(tmp_path: Path, width: int, phone: bool) -> None:
    make_run(tmp_path, user_ids=("u" * 200, "v" * 200, "w" * 200), kind="长" * 80, error="x" * 400)
    path = tmp_path / "report.html"
    write_report(_page(tmp_path), path)
    async with chromium.browser() as page:
        await page.size(width, 844, phone=phone)
        await page.open(path)
        await page.run("for (const one of document.querySelectorAll('.user > button')) one.click()")
        await page.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert await page.run("document.documentElement.scrollWidth") <= width
