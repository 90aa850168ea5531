import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import chain, repeat
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from eventabs.providers import Price
from eventabs.runs.observer import CallFailed, Progress
from eventabs.runs.run_state import Endpoint, RunState
from eventabs.views.panel_status_show import render_status, status_json, watch_status

RUNNING = RunState(
    status="running", run_id="r", out="x.eventabs", created_at="2026-01-01T00:00:00+00:00",
    endpoint=Endpoint("openai", "[m]", "h", Price(), "USD"),
    users=486, done=304, failed=4, batches_total=25, batches_done=16, prompt_tokens=672_000, completion_tokens=96_000, in_flight=3, calls=19, retries=3, events=2_000, seconds=181.0, cost=0.3744, eta_seconds=140, in_flight_limit=4,
        retry_causes={"rate_limit": 2, "503": 1}, tokens_per_second=312.4, cost_projected=0.5922,
    failures={"cut": 4}, last_failure=CallFailed(14, 19, "HTTP 500"), cooling_seconds=12.5,
)  # fmt: skip
KILLED = replace(RUNNING, status="killed", eta_seconds=None, cooling_seconds=0.0)
COMPLETED = replace(KILLED, status="completed")


def _console(*, terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    pipe = io.StringIO()
    return Console(file=pipe, width=width, force_terminal=terminal, color_system=None, highlight=False), pipe


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("state", [RUNNING, KILLED, COMPLETED, replace(RUNNING, **asdict(Progress()))])
def test_people_see_state_counts_failures_and_the_next_step(state: RunState, *, terminal: bool) -> None:
    console, pipe = _console(terminal=terminal)
    render_status(console, state)
    text = pipe.getvalue()
    name = {"running": "Running", "killed": "Not running", "completed": "Completed"}[state.status]
    assert text.startswith(name)
    assert "the reply was cut off" in text
    assert ("eventabs resume x.eventabs" in text) == (state.status == "killed")
    if terminal:
        assert max(map(cell_len, text.splitlines())) <= 80
        assert ("2m 32s left" in text) == (state is RUNNING)
        assert ("3m 01s" in text) == bool(state.users)
    if state.users:
        assert "304" in text
        assert "HTTP 500" in text
        assert "rate limit ×2, HTTP 503 ×1" in text
        assert ("cooling down, 12s left" in text) == (state is RUNNING)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_trial_says_of_how_many_users_it_is(*, terminal: bool) -> None:
    console, pipe = _console(terminal=terminal)
    render_status(console, replace(COMPLETED, limited_of=600))
    assert pipe.getvalue().startswith("Completed: x.eventabs, limited: 486 of 600 users\n")


def test_programs_get_one_object() -> None:
    shown = json.loads(status_json(RUNNING))
    assert (shown["status"], shown["total_users"], shown["pending"]) == ("running", 486, 178)
    assert (shown["current_batch"], shown["estimated_remaining_seconds"]) == (19, 140)
    assert (shown["failures"], shown["cost"]) == ({"cut": 4}, 0.3744)
    assert "HTTP 500" in shown["last_failure"]
    assert (shown["retry_causes"], shown["cooling_seconds"]) == ({"rate_limit": 2, "503": 1}, 12.5)
    assert (shown["in_flight"], shown["in_flight_limit"]) == (3, 4)
    assert json.loads(status_json(replace(RUNNING, last_failure=None)))["last_failure"] is None


CELL = {"asked": 10, "usable": 9, "behaviors": 90, "events": 27, "journeys": 3, "placed": 54, "minor": 27, "unplaced": 9,
    "unasked": 0, "misfiled": 0, "repeated": 0, "unsure": 0, "outside": 0, "missed": 0}  # fmt: skip
WORSE = CELL | {"usable": 5, "minor": 0, "unplaced": 36, "outside": 3}
ONE = {"by_batch_users": [{"name": "1", **CELL}], "by_position": []}


def named(cells: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    return [{"name": name, **cell} for name, cell in cells.items()]


@pytest.mark.parametrize("terminal", [True, False])
def test_what_falls_with_the_size_of_a_batch_and_towards_its_end_is_seen(*, terminal: bool) -> None:
    console, pipe = _console(terminal=terminal, width=120)
    thirds = {"1": CELL, "2": CELL, "3": WORSE}
    larger = {name: sum(cell[name] for cell in thirds.values()) for name in CELL}
    answers = {"by_batch_users": named({"1": CELL, "4-7": larger}), "by_position": named(thirds)}
    state = replace(RUNNING, answers=answers, user_days=1_000, answered=200, placed=150, minor=49, unplaced=1)
    render_status(console, state)
    text = pipe.getvalue()
    assert (
        "rows: 150 in 2,000 events (0 journeys), 49 minor (24 %), 1 unplaced\nevents: 2.00 a user-day\n"
        in text
    )
    assert "outside" in text, "a column that is only there where a row has some"
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "10", "0.900", "2.000", "0.300", "0.100", "0.000"] in rows
    assert ["4-7", "30", "0.767", "2.000", "0.200", "0.200", "0.037"] in rows
    assert ["last", "third", "10", "0.500", "2.000", "0.000", "0.400", "0.111"] in rows


@pytest.mark.parametrize(
    "state",
    [
        replace(RUNNING, answers=ONE),
        replace(RUNNING, answers=Progress().answers, user_days=0),
        replace(RUNNING, endpoint=RUNNING.endpoint._replace(model=""),
            answers={"by_batch_users": named({"4-7": CELL}), "by_position": named({"1": CELL, "3": WORSE})}),
    ],
)  # fmt: skip
def test_where_batches_say_nothing_there_is_no_table(state: RunState) -> None:
    console, pipe = _console(terminal=False)
    render_status(console, state)
    assert "in the batch" not in pipe.getvalue()
    assert "a user-day" not in pipe.getvalue()


def test_a_run_that_stopped_shows_how_an_answer_began_and_where_the_others_are() -> None:
    console, pipe = _console(terminal=False)
    render_status(console, replace(RUNNING, status="stopped", bad_answer="Sure!\n", cooling_seconds=0.0))
    assert (
        "an answer that begins: Sure!\\n\nAll bad answers, as they came: eventabs report x.eventabs\n"
        in pipe.getvalue()
    )


def _looks(*states: RunState) -> tuple[Callable[[], RunState], list[float]]:
    coming = chain(states, repeat(COMPLETED))
    return lambda: next(coming), []


@pytest.mark.parametrize("as_json", [True, False])
def test_watching_writes_a_line_for_every_change_and_ends_with_the_run(*, as_json: bool) -> None:
    console, pipe = _console(terminal=False)
    look, slept = _looks(RUNNING, RUNNING, KILLED, RUNNING)
    watch_status(console, look, as_json=as_json, sleep=slept.append)
    assert len(pipe.getvalue().splitlines()) == 4
    assert slept == [1.0] * 4


def test_watching_on_a_terminal_redraws_past_a_kill_and_leaves_the_end() -> None:
    console, pipe = _console(terminal=True)
    look, slept = _looks(RUNNING, KILLED, RUNNING)
    watch_status(console, look, as_json=False, sleep=slept.append)
    text = pipe.getvalue()
    assert text.index("Running") < text.index("Not running") < text.index("Completed")
    assert len(slept) == 3
