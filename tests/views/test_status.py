import io
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, repeat

import pytest
from rich.cells import cell_len
from rich.console import Console

from eventabs.inspection.status import Endpoint, RunState
from eventabs.providers import Price
from eventabs.runs.observer import CallFailed, Progress
from eventabs.views.status import render_status, status_json, watch_status

RUNNING = RunState(
    "running", "r", "x.eventabs", "2026-01-01T00:00:00+00:00",
    Endpoint("openai", "[m]", "h", Price(None, None), "USD"),
    Progress(users=486, done=304, failed=4, batches_total=25, batches_done=16, prompt_tokens=672_000, completion_tokens=96_000, in_flight=3, calls=19, retries=3, events=2_000, seconds=181.0, cost=0.3744, eta_seconds=140, in_flight_limit=4,
        retry_causes={"rate_limit": 2, "503": 1}, tokens_per_second=312.4, cost_projected=0.5922),
    {"cut": 4}, CallFailed(14, 19, "HTTP 500"), "auto", cooling_seconds=12.5,
)  # fmt: skip
KILLED = replace(
    RUNNING, status="killed", progress=replace(RUNNING.progress, eta_seconds=None), cooling_seconds=0.0
)
COMPLETED = replace(KILLED, status="completed")


def _console(*, terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    pipe = io.StringIO()
    return Console(file=pipe, width=width, force_terminal=terminal, color_system=None, highlight=False), pipe


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("state", [RUNNING, KILLED, COMPLETED, replace(RUNNING, progress=Progress())])
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
    if state.progress.users:
        assert "304" in text
        assert "HTTP 500" in text
        assert "rate limit ×2, HTTP 503 ×1" in text
        assert ("cooling down, 12s left" in text) == (state is RUNNING)


def test_programs_get_one_object() -> None:
    shown = json.loads(status_json(RUNNING))
    assert (shown["status"], shown["total_users"], shown["pending"]) == ("running", 486, 178)
    assert (shown["current_batch"], shown["estimated_remaining_seconds"]) == (19, 140)
    assert (shown["failures"], shown["cost"]) == ({"cut": 4}, 0.3744)
    assert "HTTP 500" in shown["last_failure"]
    assert (shown["retry_causes"], shown["cooling_seconds"]) == ({"rate_limit": 2, "503": 1}, 12.5)
    assert (shown["in_flight"], shown["in_flight_limit"]) == (3, 4)
    assert json.loads(status_json(replace(RUNNING, last_failure=None)))["last_failure"] is None


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
