import io
import json
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from eventabs.inspection import Line, StoredCall, UserView
from eventabs.shared_records import Part
from eventabs.store.counts_users_jobs_extensions import UserRow
from eventabs.views.panel_status_show import (
    render_calls,
    render_user,
    render_users,
    user_json,
    users_json,
)

NASTY = "[red]a\x1b[31m\u202eb"
ROW = UserRow(NASTY, "done", 3, 2, None, 0)
EVENTS: list[dict[str, Any]] = [
    {
        "type": "看车",
        "category": "conversion",
        "start": "2026-01-01T09:15:00",
        "end": "2026-01-02T00:45:00",
        "summary": NASTY,
        "behaviors": [0, 2, 3],
        "journey": "u/j0",
        "sure": False,
    },
    {
        "type": "梦游",
        "category": "other",
        "start": "2026-01-01T10:00:00",
        "end": "2026-01-01T11:00:00",
        "summary": "",
        "behaviors": [1],
        "journey": None,
        "sure": True,
    },
]
JOURNEY = {
    "id": "u/j0",
    "kind": "购买",
    "name": NASTY,
    "start": "2026-01-01T09:15:00",
    "end": "2026-01-03T00:45:00",
    "days": 2,
    "converted": True,
    "types": ["搜索", "看车"],
}
VIEW = UserView(
    ROW,
    (("city", "上海"),),
    (
        Line(0, "2026-01-01", "09:15 宝马4S店" + "很长" * 30, "placed", 0, begins=True),
        Line(1, "2026-01-01", f"10:00 {NASTY}", "placed", 1, begins=True),
        Line(2, "2026-01-01", "11:00 宝马4S店", "placed", 0),
        Line(3, "2026-01-01", "00:15 宝马4S店", "placed", 0),
        Line(4, "2026-01-02", "08:00 地铁 1h", "minor"),
        Line(5, "2026-01-02", "09:00 家 1h", "unplaced"),
    ),
    EVENTS,
    {"u/j0": JOURNEY},
)
CALL = StoredCall(
    3,
    {"U1": Part("u", 0, 2)},
    {"U1": "usable"},
    ({"role": "system", "content": "do [b]\nwell"}, {"role": "user", "content": "## U1"}),
    "hm",
    f"## U1\n{NASTY}",
    "read",
    0.0,
    2.0,
    2.0,
    1,
    "stop",
    None,
    10,
    10,
    20,
    0,
    0,
    None,
)


def _console(width: int = 80) -> tuple[Console, io.StringIO]:
    pipe = io.StringIO()
    return Console(file=pipe, width=width, markup=False, highlight=False, emoji=False), pipe


@pytest.mark.parametrize("width", [30, 80])
def test_no_line_of_a_user_is_wider_than_the_terminal(width: int) -> None:
    console, pipe = _console(width)
    render_user(console, VIEW)
    table = [line for line in pipe.getvalue().splitlines() if not line.startswith(("[", "·", "!", ">"))]
    assert max(cell_len(line) for line in table) <= width


@pytest.mark.parametrize("width", [40, 100])
def test_rows_without_an_event_are_marked_without_colors_and_counted(width: int) -> None:
    console, pipe = _console(width)
    render_user(console, VIEW)
    lines = pipe.getvalue().splitlines()
    assert [line.split()[:2] for line in lines if line[0] in "·!"] == [
        ["·", "08:00"],
        ["!", "09:00"],
        ["·", "minor"],
        ["!", "unplaced"],
    ]


def test_an_event_stands_beside_its_first_row_and_its_type_beside_those_after_another_event() -> None:
    console, pipe = _console(120)
    render_user(console, VIEW)
    lines = pipe.getvalue().splitlines()
    (first,) = [line for line in lines if line.startswith("  09:15")]
    assert "09:15-01-02 00:45 看车? (conversion)" in first
    assert any("10:00-11:00 梦游 (other)" in line for line in lines)
    (again,) = [line for line in lines if line.startswith("  11:00")]
    assert again.endswith("│ 看车".ljust(len(again) - again.index("│")))
    (below,) = [line for line in lines if line.startswith("  00:15")]
    assert below.rstrip().endswith("│")


def test_in_a_narrow_terminal_an_event_stands_below_its_first_row() -> None:
    console, pipe = _console(46)
    render_user(console, VIEW)
    lines = pipe.getvalue().splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("  10:00"))
    assert lines[place + 1].startswith("    10:00-11:00 梦游 (other)")
    assert "│" not in pipe.getvalue()


def test_journeys_stand_above_the_days_and_their_name_beside_their_events() -> None:
    console, pipe = _console(200)
    render_user(console, VIEW)
    head, journey, day, first, *_rest = pipe.getvalue().splitlines()
    assert head.endswith("2 events, 1 journey")
    assert journey.startswith("> 购买 [red]a")
    assert journey.endswith("2026-01-01 – 2026-01-03, 2 days, converted, 搜索 → 看车")
    assert day.strip() == "2026-01-01"
    assert "> [red]a" in first


def test_text_from_data_can_neither_style_nor_tear_the_terminal() -> None:
    console, pipe = _console()
    render_user(console, VIEW)
    render_users(console, [ROW], total=1, skip=0)
    render_calls(console, [CALL])
    assert "\x1b" not in pipe.getvalue()
    assert "\u202e" not in pipe.getvalue()
    assert "[red]a" in pipe.getvalue()


def test_instructions_are_printed_once_and_other_texts_every_time() -> None:
    console, pipe = _console()
    render_calls(console, [CALL, CALL._replace(id=4, reply="", reasoning="", seconds=None, error="HTTP 500")])
    assert pipe.getvalue().count("do [b]\nwell\n") == 1
    assert "(as in call 3)" in pipe.getvalue()
    assert pipe.getvalue().count("--- user\n## U1\n") == 2
    assert "HTTP 500" in pipe.getvalue()


def test_a_page_of_users_says_how_to_see_more() -> None:
    rows = [UserRow("u1", "failed", 3, 0, "cut", 3), UserRow("u2", "pending", 3, 0, None, 0)]
    console, pipe = _console()
    render_users(console, rows, total=5, skip=2)
    assert "3-4 of 5 users; more with --offset 4" in pipe.getvalue()
    assert "the reply was cut off" in pipe.getvalue()
    console, pipe = _console()
    render_users(console, [], total=0, skip=0)
    render_users(console, [], total=24, skip=999)
    assert pipe.getvalue() == "No users of this kind.\n--offset 999 leaves out all of 24 users.\n"
    render_user(console, VIEW._replace(row=ROW._replace(state="failed", reason="cut")))
    assert "the reply was cut off" in pipe.getvalue()


def test_json_holds_all_that_is_shown() -> None:
    shown = json.loads(user_json(VIEW, [CALL]))
    assert (shown["user_id"], shown["minor"], shown["unplaced"], shown["unasked"]) == (NASTY, [4], [5], [])
    assert (shown["events"], shown["journeys"]) == (EVENTS, [JOURNEY])
    assert shown["lines"][2]["event"] == 0
    assert shown["calls"][0]["reply"] == CALL.reply
    assert "calls" not in json.loads(user_json(VIEW, None))
    assert json.loads(users_json([ROW], total=9, skip=0))["users"][0]["behaviors"] == 3
