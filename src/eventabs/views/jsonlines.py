"""Progress as JSON lines, for programs."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from types import TracebackType
from typing import Self

import orjson
from rich.console import Console

from eventabs.runs.observer import Note, Progress, Started

SECONDS_BETWEEN_COUNTS = 0.2


def encode(fields: Mapping[str, object]) -> str:
    """Return `fields` as JSON on one line."""
    try:
        return orjson.dumps(fields).decode()
    except TypeError:
        # Undecodable bytes of a file name: the standard library escapes what orjson refuses.
        return json.dumps(fields)


class JsonObserver:
    """Writes one object a fact: `event` names it (started, planned, progress, ...), `time` is ISO 8601.

    Counts come at most five times a second, the last ones always. A context manager: its end writes
    counts that are still held back.
    """

    def __init__(
        self,
        console: Console,
        *,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._now = now
        self._clock = clock
        self._held: Progress | None = None
        self._last_counts = -SECONDS_BETWEEN_COUNTS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write_held()

    def started(self, facts: Started) -> None:
        """Write the facts of the start."""
        self._write("started", asdict(facts))

    def noted(self, note: Note) -> None:
        """Write a note, after the counts that led to it."""
        self._write_held()
        self._write(event_name(type(note)), asdict(note))

    def progressed(self, progress: Progress) -> None:
        """Write the counts, or hold them back until some time has passed."""
        self._held = progress
        if self._clock() - self._last_counts >= SECONDS_BETWEEN_COUNTS:
            self._write_held()

    def _write_held(self) -> None:
        if self._held is not None:
            self._write("progress", asdict(self._held))
            self._held = None
            self._last_counts = self._clock()

    def _write(self, event: str, facts: Mapping[str, object]) -> None:
        stamp = self._now().astimezone().isoformat(timespec="milliseconds")
        self._console.out(encode({"event": event, "time": stamp, **facts}), highlight=False)


def event_name(kind: type) -> str:
    """Return `batch_done` for BatchDone."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
