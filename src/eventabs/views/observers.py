"""Observers of a run: plain lines, run.log, JSON lines, several at once, and the choice between them."""

import contextlib
import io
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self, TextIO

from rich.console import Console

from eventabs.runs import (
    BatchDone,
    CallFailed,
    CoolingDown,
    Note,
    Observer,
    Progress,
    Retrying,
    Serving,
    Started,
    StateChanged,
)
from eventabs.store import open_private, storage_error
from eventabs.views import wording
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.panel import RichObserver

BATCHES_A_LINE = 10
SECONDS_BETWEEN_COUNTS = 0.2

ProgressForm = Literal["auto", "plain", "json"]


def display(
    console: Console,
    *,
    form: ProgressForm = "auto",
    quiet: bool = False,
    verbose: bool = False,
    currency: str = "USD",
) -> Observer:
    """Choose how standard error shows the run. `auto`: a live panel on a terminal, else plain lines."""
    if form == "json":
        return JsonObserver(console)
    if quiet:
        return QuietObserver(console)
    if form == "auto" and console.is_terminal and not console.is_dumb_terminal:
        return RichObserver(console, verbose=verbose, currency=currency)
    return PlainObserver(console, verbose=verbose, currency=currency)


class _LineObserver:
    """Writes notes as lines, and the counts after every tenth batch and at each stop."""

    def __init__(self, currency: str, now: Callable[[], datetime]) -> None:
        self._currency = currency
        self._now = now
        self._latest: Progress | None = None

    def started(self, facts: Started) -> None:
        """Write the first line."""
        self.line(wording.started(facts))

    def noted(self, note: Note) -> None:
        """Write a note; at a stop also the counts."""
        self.line(wording.noted(note))
        if isinstance(note, StateChanged) and note.status != "running" and self._latest is not None:
            self.line(wording.progressed(self._latest, self._currency))

    def progressed(self, progress: Progress) -> None:
        """Write the counts after every tenth batch; a resumed run counts from where it is."""
        before, self._latest = self._latest or progress, progress
        if progress.batches_done // BATCHES_A_LINE > before.batches_done // BATCHES_A_LINE:
            self.line(wording.progressed(progress, self._currency))

    def line(self, text: str) -> None:
        """Write a line of any text, such as an error that ended the run."""
        raise NotImplementedError


class PlainObserver(_LineObserver):
    """Prints lines with the time of day; notes of single calls only if they failed, or on --verbose."""

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool = False,
        currency: str = "USD",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(currency, now)
        self._console = console
        self._verbose = verbose
        self._cooling_until: datetime | None = None

    def noted(self, note: Note) -> None:
        """Print a note if it concerns more than one call."""
        if self._verbose or self._deserves_a_line(note):
            super().noted(note)

    def line(self, text: str) -> None:
        """Print a line."""
        print_line(self._console, f"{self._now():%Y-%m-%d %H:%M:%S} {text}")

    def _deserves_a_line(self, note: Note) -> bool:
        """Whether a note concerns more than one call; a cooldown that is only extended is printed already."""
        if not isinstance(note, CoolingDown):
            return not isinstance(note, Retrying | BatchDone)
        now, before = self._now(), self._cooling_until
        self._cooling_until = now + timedelta(seconds=note.seconds)
        return before is None or now >= before


class QuietObserver:
    """Prints calls that failed, a run that stopped, and the address of the progress.

    The summary that follows shows that a run was interrupted.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, facts: Started) -> None:
        """Print nothing."""

    def noted(self, note: Note) -> None:
        """Print failed calls, a stop and the address of the progress."""
        match note:
            case CallFailed() | Serving() | StateChanged(status="stopped"):
                print_line(self._console, wording.noted(note))

    def progressed(self, progress: Progress) -> None:
        """Print nothing."""


def open_log(path: Path) -> TextIO:
    """Open a log to append to, readable by its owner only; each line is written as it comes. Raises StorageError."""
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        raise storage_error(path, error) from error
    # Unbuffered: what a full disk refuses must not be tried again, and fail, when the log is closed.
    raw = os.fdopen(descriptor, "ab", buffering=0)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class LogObserver(_LineObserver):
    """Appends every note, and the counts after every tenth batch, to a log. `redact` takes out secrets."""

    def __init__(
        self,
        file: TextIO,
        *,
        redact: Callable[[str], str] = str,
        currency: str = "USD",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(currency, now)
        self._file = file
        self._redact = redact
        self._unwritten: list[str] = []

    def noted(self, note: Note) -> None:
        """Log a note, and the counts at a stop.

        Of hundreds of replies a second each would wait for the disk: they are written with the counts
        that follow.
        """
        if isinstance(note, BatchDone):
            self._add(wording.noted(note))
        else:
            super().noted(note)

    def progressed(self, progress: Progress) -> None:
        """Log the latest replies, and the counts after every tenth batch."""
        super().progressed(progress)
        if self._unwritten:
            self._write()

    def line(self, text: str) -> None:
        """Append a line."""
        self._add(text)
        self._write()

    def _add(self, text: str) -> None:
        stamp = self._now().astimezone().isoformat(timespec="seconds")
        self._unwritten.append(f"{stamp} {one_line(self._redact(text))}\n")

    def _write(self) -> None:
        lines, self._unwritten = self._unwritten, []
        # A full disk is the ledger's to report: it stops the run cleanly.
        with contextlib.suppress(OSError):
            self._file.write("".join(lines))


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

    def __exit__(self, *_error: object) -> None:
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


class Observers:
    """Passes every fact on to several observers, and `opening` notes after the start.

    A context manager that enters and leaves those of them that are one.
    """

    def __init__(self, observers: Iterable[Observer], *, opening: Iterable[Note] = ()) -> None:
        self._observers = tuple(observers)
        self._opening = tuple(opening)
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        for observer in self._observers:
            if isinstance(observer, AbstractContextManager):
                self._entered.enter_context(observer)
        return self

    def __exit__(self, *_error: object) -> None:
        self._entered.close()

    def started(self, facts: Started) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.started(facts)
        for note in self._opening:
            self.noted(note)

    def noted(self, note: Note) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.noted(note)

    def progressed(self, progress: Progress) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.progressed(progress)
