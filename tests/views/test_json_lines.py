import io
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from eventabs.runs.observer import BatchDone, Progress, Started, StateChanged
from eventabs.views.json_lines import JsonObserver

NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _observer() -> tuple[JsonObserver, io.StringIO, Clock]:
    pipe, clock = io.StringIO(), Clock()
    return JsonObserver(Console(file=pipe, width=20), now=lambda: NOON, clock=clock), pipe, clock


def _objects(pipe: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pipe.getvalue().splitlines()]


def test_every_fact_is_one_object_with_its_name_and_time() -> None:
    observer, pipe, _clock = _observer()
    start = Started("[c].toml", "openai", "m", "h", "看车\n" * 9, resumed=False)
    observer.started(start)
    observer.noted(BatchDone(1, 2, 1, {"cut": 1}, 3.5))
    observer.progressed(Progress(users=2, done=1))
    first, second, third = _objects(pipe)
    assert first["event"] == "started"
    assert datetime.fromisoformat(first["time"]) == NOON
    assert first.items() >= asdict(start).items()
    assert (second["event"], second["unusable"]) == ("batch_done", {"cut": 1})
    assert (third["event"], third["done"]) == ("progress", 1)


def test_thousands_of_counts_a_second_become_a_few_lines_and_the_last_is_among_them() -> None:
    observer, pipe, clock = _observer()
    with observer:
        for done in range(2001):
            clock.seconds = done / 1000
            observer.progressed(Progress(users=2001, done=done))
    counts = [line["done"] for line in _objects(pipe)]
    assert len(counts) <= 12
    assert counts[-1] == 2000


def test_the_counts_that_led_to_a_note_stand_before_it() -> None:
    observer, pipe, _clock = _observer()
    counts = Progress(users=9)
    observer.progressed(counts)
    observer.progressed(replace(counts, done=9))
    observer.noted(StateChanged("completed"))
    assert [line["event"] for line in _objects(pipe)] == ["progress", "progress", "state_changed"]


def test_an_undecodable_file_name_still_makes_valid_json() -> None:
    observer, pipe, _clock = _observer()
    observer.started(Started("", "rules", "", "", "x\udce4", resumed=False))
    assert _objects(pipe)[0]["out"] == "x\udce4"
