"""The report as a file: what stands in it, that nothing breaks out of it, and what it leaves out."""

import html
import math
import os
import re
import stat
from collections.abc import Iterable
from contextlib import closing
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from eventabs.errors_and_exit_codes import UsageError
from eventabs.inspection import Table, stored_calls
from eventabs.runs.run_state import inspect_run, state_of
from eventabs.store.ledger import Ledger
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from eventabs.views import report
from eventabs.views.report import MOST_COLORS, colors_of, write_report
from house import eventabs, ran
from report_kit import EVIL, make_crowd, make_evil_run, make_run, packed_data, rendered


def _page(path: Path, *quality: Table) -> str:
    return b"".join(rendered(path, *quality)[0]).decode()


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


def test_the_headline_counts_what_the_ledger_holds_and_every_user_is_in_the_page(tmp_path: Path) -> None:
    make_run(tmp_path)
    directory = RunDirectory(tmp_path)
    with Ledger.watch(directory.ledger) as ledger:
        run = state_of(directory, ledger)
    assert (run.users, run.done, run.failed, run.events, run.journeys, run.minor) == (3, 1, 1, 2, 1, 1)
    assert (run.calls, run.retries) == (2, 4)
    assert run.cost == pytest.approx((200 * 2 + 80 * 8) / 1e6)
    assert run.endpoint[:3] == ("openai", "deepseek-chat", "api.example.com")
    index = packed_data(_page(tmp_path))["index"]
    users = index["users"]
    assert (users["id"], users["state"]) == (["ann", "bob", "cy"], [0, 1, 2])
    assert (index["name"], index["reasons"][users["reason"][1]]) == (
        "behaviors",
        "the reply was cut off before the user's end",
    )
    assert (users["events"], users["journeys"], users["minor"]) == ([2, 0, 0], [1, 0, 0], [1, 0, 0])
    assert users["behaviors"] == [3, 3, 3]


def test_the_time_is_that_of_status_however_long_a_run_stood_still(tmp_path: Path) -> None:
    make_run(tmp_path)
    with closing(Ledger.open(tmp_path / "ledger.sqlite")) as ledger:
        ledger.set_meta({"progress": {"seconds": 18.3}})
    assert inspect_run(tmp_path, now=lambda: 5_000.0).seconds == 18.3
    assert "18s" in _page(tmp_path)


def test_paths_lead_to_the_first_marked_category(tmp_path: Path) -> None:
    make_run(tmp_path)
    assert packed_data(_page(tmp_path))["index"]["goal"] == "conversion"
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    settings = ledger.meta()["settings"]
    categories = [{"name": "plain", "mark": ""}, {"name": "sale", "mark": "$"}]
    ledger.set_meta({"settings": settings | {"vocabulary": {"categories": categories}}})
    ledger.close()
    assert packed_data(_page(tmp_path))["index"]["goal"] == "sale"


@pytest.mark.parametrize(
    ("timezone", "times", "sent"),
    [
        ("", "times: as in the export, which names no zone", (0, "UTC")),
        ("Asia/Shanghai", "times: Asia/Shanghai", (8 * 3600, "Asia/Shanghai")),
        ("Nowhere/Else", "times: Nowhere/Else", (0, "UTC")),
    ],
)
def test_events_and_calls_name_their_zone(
    tmp_path: Path, timezone: str, times: str, sent: tuple[int, str]
) -> None:
    make_run(tmp_path)
    with closing(Ledger.open(tmp_path / "ledger.sqlite")) as ledger:
        settings = ledger.meta()["settings"] | {"input": {"timezone": timezone}}
        ledger.set_meta({"settings": settings})
    page = _page(tmp_path)
    data = packed_data(page)
    shift, label = sent
    assert f"<span>{times}</span>" in page
    assert data["calls"]["sent"] == [1_000 + shift] * 2
    assert data["index"]["zone"] == label


def test_the_page_tells_what_was_sent_again_and_why(tmp_path: Path) -> None:
    make_run(tmp_path)
    page = _page(tmp_path)
    assert '<th scope="row">rate limit</th><td>3</td><td>2.0s</td>' in page
    assert '<th scope="row">HTTP 503</th><td>1</td><td>1.0s</td>' in page
    assert [wait for _at, wait, is_limit in packed_data(page)["calls"]["retries"] if is_limit] == [2.0] * 3


def test_users_events_and_calls_stand_in_it_compressed(tmp_path: Path) -> None:
    make_run(tmp_path)
    data = packed_data(_page(tmp_path))
    assert data["index"]["users"]["id"] == ["ann", "bob", "cy"]
    assert data["users-0"]["texts"] == ["", "西餐厅用餐"]
    assert data["calls"]["prompt_tokens"] == [200, 0]
    assert data["calls"]["cached_tokens"] == [50, 0]
    assert data["calls"]["who"] == [[0, 1], [2]]
    (answered,) = [call for call in data["texts-0"]["calls"] if call[4][0][1] == "ann"]
    assert data["texts-0"]["texts"][answered[1]] == "<think>hm</think>## U1\n10:0"


def test_nothing_from_data_becomes_markup(tmp_path: Path) -> None:
    make_evil_run(tmp_path)
    page = _page(tmp_path)
    elements = _Elements()
    elements.feed(page)
    assert elements.tags.count("script") == 1 + len(packed_data(page))
    assert "img" not in elements.tags
    assert not elements.handlers
    assert EVIL not in page


def test_controls_and_bidi_characters_are_made_visible(tmp_path: Path) -> None:
    make_evil_run(tmp_path)
    page = _page(tmp_path)
    for text in (page, orjson.dumps(packed_data(page)).decode()):
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2028]", text)
        assert "\\u202e" in text


def test_the_page_connects_to_nothing(tmp_path: Path) -> None:
    make_run(tmp_path)
    page = _page(tmp_path)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "unsafe" not in page.split("</head>")[0].split("<style>")[0]
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page.split("<script>")[0])
    assert not re.search(r"url\((?!#p\d)", page)


def test_tables_of_quality_are_shown_as_they_are(tmp_path: Path) -> None:
    make_run(tmp_path)
    table = Table(f"Audit {EVIL}", ("type", "right"), (("用餐", 1234), (EVIL, None)))
    page = _page(tmp_path, table)
    elements = _Elements()
    elements.feed(page)
    assert '<a href="#tab=quality">Quality</a>' in page
    assert '<th scope="row"><bdi>用餐</bdi></th><td><bdi>1,234</bdi></td>' in page
    assert "img" not in elements.tags


def test_more_users_than_a_page_holds_are_drawn_by_their_ids_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_crowd(tmp_path, user_ids=tuple(f"user{number}" for number in range(60)))
    monkeypatch.setattr(report, "MOST_USERS", 20)
    pieces, notes = rendered(tmp_path)
    page = b"".join(pieces).decode()
    kept = packed_data(page)["index"]["users"]["id"]
    assert 5 < len(kept) < 35
    (note,) = notes
    assert note.startswith(f"{len(kept)} of 60 users are in the page, drawn by their ids")
    assert note in page
    sums = packed_data(page)["index"]["sums"]
    assert (sums["users"], sums["events"], sums["reached"], sums["converted"]) == (60, 180, 40, 40)


def test_failed_users_are_beside_every_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path)
    monkeypatch.setattr(report, "MOST_USERS", 0)
    page = _page(tmp_path)
    users = packed_data(page)["index"]["users"]
    assert (users["id"], users["beside"]) == (["bob"], [1])
    assert "0 of 3 users are in the page" in page
    assert "1 more that failed" in page


def test_prompts_beyond_what_a_page_holds_are_kept_of_bad_replies_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_crowd(tmp_path, calls=4)
    monkeypatch.setattr(report, "_CHUNK_CHARACTERS", 1)
    monkeypatch.setattr(report, "MOST_TEXT_BYTES", 1)
    directory = RunDirectory(tmp_path)
    with Ledger.watch(directory.ledger) as ledger:
        of_run: Any = ledger, state_of(directory, ledger), {}, ZoneInfo("UTC")
        packed = report.PackedCalls(*of_run)
        assert (packed.left_out, packed.index["chunk"]) == (3, [0, -1, -1, -1])
        first, second, third, last = stored_calls(ledger)
        broken = (first, second, third._replace(brought={}), last)
        monkeypatch.setattr(report, "stored_calls", lambda *of: stored_calls(*of) if of[1:] else broken)
        assert report.PackedCalls(*of_run).index["chunk"] == [-1, -1, 0, -1]


def test_columns_of_the_profiles_that_were_not_taken_are_named_with_what_takes_them(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "user_id,timestamp,action,item\na,2026-03-02 10:00,browse,tent\n", "utf-8"
    )
    (tmp_path / "profiles.csv").write_text('user_id,gender,level,"a ""b"""\na,f,7,x\n', "utf-8")
    ran("run", "rows.csv", "--profiles", "profiles.csv", "--provider", "rules", "--out", "run", cwd=tmp_path)
    page = html.unescape(_page(tmp_path / "run"))
    assert 'Profile columns without a filter: level, a "b"' in page
    (lines,) = re.findall(r"<pre tabindex=\"0\">(\[profiles\]\n.*)</pre>", page)
    (tmp_path / "eventabs.toml").write_text(lines, "utf-8")
    ran("run", "rows.csv", "--profiles", "profiles.csv", "--provider", "rules", "--out", "next", cwd=tmp_path)
    page = _page(tmp_path / "next")
    assert packed_data(page)["index"]["columns"] == ["gender", "level", 'a "b"']
    assert "Profile columns without a filter" not in page


def test_a_page_is_readable_by_its_owner_only_and_replaces_a_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    ours = '<!doctype html><meta name="generator" content="eventabs 0.1.0">'
    write_report(f"{ours}1", path)
    write_report([ours.encode(), b"2"], path)
    assert path.read_text("utf-8").endswith("2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_pipe_in_the_place_of_the_page_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.html")
    with pytest.raises(UsageError, match="--output"):
        write_report("<!doctype html>", tmp_path / "report.html")


@pytest.mark.parametrize("text", ["{}\n", "<!doctype html><p>my own page"])
def test_a_file_that_is_no_page_of_ours_is_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match="exists and is no report"):
        write_report("<!doctype html>", path)
    assert path.read_text("utf-8") == text


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


def test_the_same_run_gives_the_same_page_in_every_process(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    pages = set()
    for seed in ("1", "2"):
        eventabs("report", "run", "--output", "page.html", cwd=tmp_path, PYTHONHASHSEED=seed)
        pages.add((tmp_path / "page.html").read_bytes())
    assert len(pages) == 1


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_color_is_told_from_what_lies_behind_it(tmp_path: Path, scheme: int) -> None:
    make_run(tmp_path)
    style = _page(tmp_path).split("</style>")[0]
    colors: dict[str, list[str]] = {}
    for name, color in re.findall(r"--(\w+): (#\w+);", style):
        colors.setdefault(name, []).append(
            color if len(color) == 7 else "#" + "".join(2 * c for c in color[1:])
        )
    now = {name: values[min(scheme, len(values) - 1)] for name, values in colors.items()}
    for number in "0123456789x":  # patterns have the same colors
        assert _contrast(now[f"k{number}"], now["card"]) >= 4.5, f"text of a goal on k{number}"
        assert _contrast(now["ink"], now[f"f{number}"]) >= 7, f"text on f{number}"
    for text in ("ink", "quiet", "accent"):
        for behind in ("card", "page", "frame"):
            assert _contrast(now[text], now[behind]) >= 4.5, f"{text} on {behind}"
    assert _contrast(now["ink"], now["found"]) >= 4.5


def test_a_type_has_one_hue_on_every_page_and_no_two_look_alike() -> None:
    names = [f"type {number}" for number in range(40)]
    colors = colors_of(names)
    assert len(set(colors.values())) == len(colors) == MOST_COLORS
    hues = {name: int(colors_of([name])[name][1:]) for name in names}
    for name, color in colors_of(names[:8]).items():
        assert int(color[1:]) % 10 == hues[name] < 10


_BLIND = {  # Machado, Oliveira and Fernandes 2009, severity 1
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.01182, 0.04294, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.3039),
    ),
}
_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LAB = (
    (0.2104542553, 0.793617785, -0.0040720468),
    (1.9779984951, -2.428592205, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.808675766),
)


def _seen(color: str, sight: str) -> list[float]:
    """Return a color in OKLab as somebody of that sight sees it."""

    def times(matrix: Iterable[tuple[float, ...]], values: list[float]) -> list[float]:
        return [sum(a * b for a, b in zip(row, values, strict=True)) for row in matrix]

    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    seen = [min(1.0, max(0.0, value)) for value in times(_BLIND[sight], linear)]
    return times(_LAB, [value ** (1 / 3) for value in times(_LMS, seen)])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("sight", _BLIND)
def test_colors_of_types_are_told_apart_also_by_the_color_blind(
    tmp_path: Path, scheme: int, sight: str
) -> None:
    make_run(tmp_path)
    style = _page(tmp_path).split("</style>")[0]
    found = [re.findall(rf"--k{number}: (#\w+);", style)[scheme] for number in range(10)]
    for one, other in combinations([_seen(color, sight) for color in found], 2):
        assert math.dist(one, other) > 0.07
