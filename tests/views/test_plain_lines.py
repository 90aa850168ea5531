import io
from dataclasses import replace
from datetime import datetime, timedelta

from rich.console import Console

from eventabs.runs.observer import (
    BatchDone,
    CallFailed,
    CoolingDown,
    InputRead,
    Note,
    Planned,
    Progress,
    Retrying,
    Started,
    StateChanged,
)
from eventabs.views.observers import PlainObserver, QuietObserver

NOON = datetime(2026, 1, 15, 12, 0, 0)  # noqa: DTZ001  local wall time, as people read it
START = Started("", "openai", "m", "[host]", "x.eventabs", resumed=False)
COUNTS = Progress(users=486, batches_total=25)


def _plain(*, verbose: bool = False) -> tuple[PlainObserver, io.StringIO]:
    pipe = io.StringIO()
    return PlainObserver(Console(file=pipe, width=80), verbose=verbose, now=lambda: NOON), pipe


def test_a_line_comes_with_every_tenth_batch_and_no_other() -> None:
    observer, pipe = _plain()
    for done in range(26):
        observer.progressed(replace(COUNTS, batches_done=done))
        observer.progressed(replace(COUNTS, batches_done=done, in_flight=1))
    lines = pipe.getvalue().splitlines()
    assert [line.split(";")[0] for line in lines] == [
        "2026-01-15 12:00:00 batches 10 of 25",
        "2026-01-15 12:00:00 batches 20 of 25",
    ]


def test_a_resumed_run_counts_its_tens_from_where_it_is() -> None:
    observer, pipe = _plain()
    observer.progressed(replace(COUNTS, batches_done=17))
    assert pipe.getvalue() == ""
    observer.progressed(replace(COUNTS, batches_done=21))
    assert "batches 21 of 25" in pipe.getvalue()


def test_every_change_of_state_is_a_line_and_a_stop_brings_the_counts() -> None:
    observer, pipe = _plain()
    observer.noted(StateChanged("running"))
    observer.progressed(replace(COUNTS, batches_done=3))
    observer.noted(StateChanged("interrupted"))
    texts = [line[20:] for line in pipe.getvalue().splitlines()]
    assert texts[:2] == ["Running", "Interrupted, state saved"]
    assert texts[2].startswith("batches 3 of 25")


def test_a_stop_before_any_count_is_one_line() -> None:
    observer, pipe = _plain()
    observer.noted(StateChanged("stopped", "HTTP 401"))
    assert pipe.getvalue() == "2026-01-15 12:00:00 Stopped, state saved: HTTP 401\n"


def test_single_calls_are_told_only_on_verbose_or_when_they_failed() -> None:
    notes: list[Note] = [
        InputRead(1, 2, 3, 0, 0),
        Planned(1, 2, 2, 2.0),
        Retrying(1, "HTTP 429", 3.0),
        BatchDone(1, 2, 2, {}, 3.0),
        CallFailed(2, 2, "HTTP 500"),
    ]
    calm, calm_pipe = _plain()
    verbose, verbose_pipe = _plain(verbose=True)
    for note in notes:
        calm.noted(note)
        verbose.noted(note)
    assert calm_pipe.getvalue().count("\n") == 3
    assert "HTTP 500" in calm_pipe.getvalue()
    assert verbose_pipe.getvalue().count("\n") == 5


def test_a_long_line_with_markup_stays_whole() -> None:
    observer, pipe = _plain()
    observer.started(replace(START, out="[red]" + "x" * 200))
    assert pipe.getvalue().count("\n") == 1
    assert "host [host]; run directory [red]" + "x" * 200 in pipe.getvalue()


def test_quiet_says_only_what_went_wrong() -> None:
    pipe = io.StringIO()
    observer = QuietObserver(Console(file=pipe, width=80))
    observer.started(START)
    observer.progressed(COUNTS)
    for note in (StateChanged("running"), Planned(1, 2, 2, 2.0), StateChanged("completed")):
        observer.noted(note)
    assert pipe.getvalue() == ""
    observer.noted(CallFailed(2, 2, "HTTP 500"))
    observer.noted(StateChanged("stopped", "no quota"))
    assert pipe.getvalue() == "Call 2 for 2 users failed: HTTP 500\nStopped, state saved: no quota\n"


def test_a_cooldown_is_one_line_until_it_is_over() -> None:
    moments = [NOON, NOON, NOON + timedelta(seconds=9), NOON + timedelta(seconds=40)]
    pipe, clock = io.StringIO(), [NOON]
    observer = PlainObserver(Console(file=pipe, width=80), now=lambda: clock[0])
    for moment in moments:
        clock[0] = moment
        observer.noted(CoolingDown(10.0))
    assert pipe.getvalue().count("all calls wait 10s") == 2
