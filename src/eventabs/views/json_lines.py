"""The first request as it would be sent."""

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
from rich.text import Text

from eventabs.records import Request
from eventabs.runs import Note, Progress, Started

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


def progress_fields(status: str, progress: Progress, eta_seconds: float | None) -> dict[str, object]:
    """Return the fields of GET /progress; `current_batch` is the number of batches sent so far."""
    processed = progress.done + progress.failed
    return {
        "status": status,
        "total_users": progress.users,
        "processed_users": processed,
        "success_count": progress.done,
        "failed_count": progress.failed,
        "current_batch": progress.batches_done + progress.in_flight,
        "total_batches": progress.batches_total,
        "progress_percent": _percent(processed, progress.users),
        "estimated_remaining_seconds": None if eta_seconds is None else round(max(0.0, eta_seconds), 1),
    }


def _percent(part: int, whole: int) -> float:
    """One decimal, 100 only where nothing is left."""
    if not whole:
        return 0.0
    return 100.0 if part >= whole else min(round(100 * part / whole, 1), 99.9)


def print_prompt(console: Console, request: Request) -> None:
    """Print the messages, each under its role; what they hold is printed to the letter."""
    for message in request.messages:
        console.print(Text(f"[{message['role']}]", style="bold"), soft_wrap=True)
        console.print(Text(message["content"]), soft_wrap=True)


def prompt_json(request: Request) -> bytes:
    """Return the messages, and what is asked of the answer, as the endpoint gets them."""
    body = {"messages": list(request.messages), "max_tokens": request.max_output_tokens}
    if request.response_format is not None:
        body["response_format"] = request.response_format
    return f"{encode(body)}\n".encode()
