import io
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clock import Clock
from eventabs.errors_and_exit_codes import StorageError
from eventabs.runs.observer import (
    BatchDone,
    CallFailed,
    CoolingDown,
    InputGone,
    InputRead,
    JsonLines,
    Note,
    Planned,
    Progress,
    Retrying,
    Started,
    StateChanged,
)
from eventabs.store import open_to_append
from eventabs.views.output_streams import print_line
from eventabs.views.panel_status_show import (
    ALL,
    PLAIN,
    QUIET,
    PlainObserver,
    RichObserver,
    display,
    log_to,
)

NOON = datetime(2026, 1, 15, 12, 0, 0)  # noqa: DTZ001  local wall time, as people read it
UTC_NOON = NOON.replace(tzinfo=UTC)
MODEL_START = Started("", "openai", "m", "[host]", "x.eventabs", resumed=False)
COUNTS = Progress(users=486, batches_total=25)

# the choice, and several at once


@pytest.mark.parametrize(
    ("terminal", "environment", "options", "kind"),
    [
        (True, {}, {}, RichObserver),
        (True, {"NO_COLOR": "1"}, {}, RichObserver),
        (True, {"TERM": "dumb"}, {}, PlainObserver),
        (False, {}, {}, PlainObserver),
        (True, {}, {"form": "plain"}, PlainObserver),
        (True, {}, {"form": "json"}, JsonLines),
        (False, {}, {"form": "json", "quiet": True}, JsonLines),
        (True, {}, {"quiet": True}, PlainObserver),
        (True, {}, {"verbose": True}, RichObserver),
    ],
)
def test_the_display_fits_the_terminal_and_the_flags(
    terminal: bool, environment: dict[str, str], options: dict[str, Any], kind: type
) -> None:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, _environ={"TERM": "xterm-256color", **environment}
    )
    usual: dict[str, Any] = {"form": "auto", "quiet": False, "verbose": False, "currency": "USD"}
    assert type(display(console, **usual | options)) is kind


# plain lines


def _plain(*, verbose: bool = False) -> tuple[PlainObserver, io.StringIO]:
    pipe = io.StringIO()
    write = partial(print_line, Console(file=pipe, width=80))
    return PlainObserver(write, level=ALL if verbose else PLAIN, now=lambda: NOON), pipe


def test_a_line_comes_with_every_tenth_batch_and_no_other() -> None:
    observer, pipe = _plain()
    for done in range(26):
        observer.noted(replace(COUNTS, batches_done=done))
        observer.noted(replace(COUNTS, batches_done=done, in_flight=1))
    lines = pipe.getvalue().splitlines()
    assert [line.split(" done, 0 calls;")[0] for line in lines] == [
        "2026-01-15 12:00:00 users 0 of 486 done, 0 failed; batches 10 of 25",
        "2026-01-15 12:00:00 users 0 of 486 done, 0 failed; batches 20 of 25",
    ]


def test_a_resumed_run_counts_its_tens_from_where_it_is() -> None:
    observer, pipe = _plain()
    observer.noted(replace(COUNTS, batches_done=17))
    assert pipe.getvalue() == ""
    observer.noted(replace(COUNTS, batches_done=21))
    assert "batches 21 of 25" in pipe.getvalue()


def test_every_change_of_state_is_a_line_and_a_stop_brings_the_counts() -> None:
    observer, pipe = _plain()
    observer.noted(StateChanged("running"))
    observer.noted(replace(COUNTS, batches_done=3))
    observer.noted(StateChanged("interrupted"))
    texts = [line[20:] for line in pipe.getvalue().splitlines()]
    assert texts[:2] == ["Running", "Interrupted, state saved"]
    assert texts[2].startswith("users 0 of 486 done, 0 failed; batches 3 of 25")


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


def test_quiet_says_only_what_went_wrong() -> None:
    pipe = io.StringIO()
    observer = PlainObserver(partial(print_line, Console(file=pipe, width=80)), level=QUIET)
    observer.noted(MODEL_START)
    observer.noted(COUNTS)
    for note in (StateChanged("running"), Planned(1, 2, 2, 2.0), StateChanged("completed")):
        observer.noted(note)
    assert pipe.getvalue() == ""
    observer.noted(CallFailed(2, 2, "HTTP 500"))
    observer.noted(StateChanged("stopped", "no quota"))
    assert pipe.getvalue() == "Call 2 for 2 users failed: HTTP 500\nStopped, state saved: no quota\n"


def test_a_cooldown_is_one_line_until_it_is_over() -> None:
    moments = [NOON, NOON, NOON + timedelta(seconds=9), NOON + timedelta(seconds=40)]
    pipe, clock = io.StringIO(), [NOON]
    observer = PlainObserver(partial(print_line, Console(file=pipe, width=80)), now=lambda: clock[0])
    for moment in moments:
        clock[0] = moment
        observer.noted(CoolingDown(10.0))
    assert pipe.getvalue().count("all calls wait 10s") == 2


# run.log


def test_everything_that_happens_is_appended_as_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    for _process in range(2):
        with open_to_append(path) as file:
            log = log_to(file, currency="USD", now=lambda: UTC_NOON)
            log.noted(Started("", "rules", "", "", "x", resumed=False))
            log.noted(Retrying(1, "HTTP 429\r\n\x1b[2J", 3.0))
            for done in range(11):
                log.noted(Progress(users=9, batches_total=11, batches_done=done))
            log.noted(StateChanged("completed"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10
    assert lines[:5] == lines[5:]
    assert all(datetime.fromisoformat(line.split(" ")[0]) == UTC_NOON for line in lines)
    assert [line.split(" ", 1)[1].split("; ")[-2:][0] for line in lines[1:5]] == [
        "Call 1: HTTP 429\\r\\n\\x1b[2J",
        "batches 10 of 11 done, 0 calls",
        "Completed",
        "batches 10 of 11 done, 0 calls",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_ends_neither_the_run_nor_the_closing_of_the_log() -> None:
    with open_to_append(Path("/dev/full")) as file:
        log_to(file, currency="USD").noted(StateChanged("completed"))


def test_a_log_that_cannot_be_opened_is_one_error_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run.log").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        open_to_append(tmp_path / "run.log")
    (tmp_path / "link").symlink_to(tmp_path / "profile")
    with pytest.raises(StorageError, match="cannot be written"):
        open_to_append(tmp_path / "link")
    assert not (tmp_path / "profile").exists()


# JSON lines


def _json_observer() -> tuple[JsonLines, io.BytesIO, Clock]:
    pipe, clock = io.BytesIO(), Clock()
    return JsonLines(pipe.write, now=lambda: UTC_NOON, clock=clock), pipe, clock


def _objects(pipe: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pipe.getvalue().decode().splitlines()]


def test_every_fact_is_one_object_with_its_name_and_time() -> None:
    observer, pipe, _clock = _json_observer()
    start = Started("[c].toml", "openai", "m", "h", "看车\n" * 9, resumed=False)
    observer.noted(start)
    observer.noted(BatchDone(1, 2, 1, {"cut": 1}, 3.5))
    observer.noted(Progress(users=2, done=1))
    first, second, third = _objects(pipe)
    assert first["event"] == "started"
    assert datetime.fromisoformat(first["time"]) == UTC_NOON
    assert first.items() >= start._asdict().items()
    assert "看车" in pipe.getvalue().decode()
    assert (second["event"], second["unusable"]) == ("batch_done", {"cut": 1})
    assert (third["event"], third["done"]) == ("progress", 1)
    assert "answers" not in third, "which the ledger alone counts"


def test_thousands_of_counts_a_second_become_a_few_lines_and_the_last_is_among_them() -> None:
    observer, pipe, clock = _json_observer()
    for done in range(2001):
        clock.seconds = done / 1000
        observer.noted(Progress(users=2001, done=done))
    observer.noted(StateChanged("completed"))
    counts = [line["done"] for line in _objects(pipe) if line["event"] == "progress"]
    assert len(counts) <= 12
    assert counts[-1] == 2000


def test_the_counts_that_led_to_a_note_stand_before_it() -> None:
    observer, pipe, _clock = _json_observer()
    counts = Progress(users=9)
    observer.noted(counts)
    observer.noted(replace(counts, done=9))
    observer.noted(StateChanged("completed"))
    assert [line["event"] for line in _objects(pipe)] == ["progress", "progress", "state_changed"]


def test_lines_on_standard_error_are_whole_however_narrow_it_is() -> None:
    pipe = io.StringIO()
    shown = display(Console(file=pipe, width=20), form="json", quiet=False, verbose=False, currency="USD")
    shown.noted(BatchDone(1, 2, 1, {"cut": 1}, 3.5))
    (line,) = pipe.getvalue().splitlines()
    assert json.loads(line)["unusable"] == {"cut": 1}


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.csv"), "a\u202eb\x9b\x1b[2J\u2028\ufeff.csv"])
def test_a_name_that_no_text_holds_or_that_hides_a_line_still_makes_valid_json(name: str) -> None:
    observer, pipe, _clock = _json_observer()
    observer.noted(InputGone((name, "看车.csv")))
    assert _objects(pipe)[0]["paths"] == [name, "看车.csv"]
    assert re.sub("[看车\n]", "", pipe.getvalue().decode()).isascii()


def test_a_log_has_no_counts_and_a_full_disk_ends_nothing() -> None:
    lines: list[bytes] = []
    JsonLines(lines.append, counts=False).noted(Progress(users=2))
    assert not lines

    def refuse(_line: bytes) -> None:
        raise OSError(ENOSPC, "full")

    JsonLines(refuse).noted(StateChanged("completed"))
