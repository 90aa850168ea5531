"""Observers of a run: plain lines, run.log, JSON lines, several at once, and the choice between them."""

import contextlib
import io
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self, TextIO

from rich.console import Console

from eventabs import runs
from eventabs.store import open_to_append
from eventabs.views import messages, usage
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.panel import RichObserver

BATCHES_A_LINE = 10
SECONDS_BETWEEN_COUNTS = 0.2


def display(
    console: Console,
    *,
    form: Literal["auto", "plain", "json"] = "auto",
    quiet: bool = False,
    verbose: bool = False,
    currency: str = "USD",
) -> runs.Observer:
    """Choose how standard error shows the run. `auto`: a live panel on a terminal, else plain lines."""
    if form == "json":
        return JsonObserver(console)
    if quiet:
        return QuietObserver(console)
    if form == "auto" and console.is_terminal and not console.is_dumb_terminal:
        return RichObserver(console, verbose=verbose, currency=currency)
    return PlainObserver(console, verbose=verbose, currency=currency)


class _LineObserver:
    """Writes notes as lines, and the counts at each stop and after every tenth batch, also of a resumed run."""

    def __init__(self, currency: str, now: Callable[[], datetime]) -> None:
        self._currency = currency
        self._now = now
        self._latest: runs.Progress | None = None

    def started(self, facts: runs.Started) -> None:
        self.line(messages.started(facts))

    def noted(self, note: runs.Note) -> None:
        self.line(messages.noted(note))
        if isinstance(note, runs.StateChanged) and note.status != "running" and self._latest is not None:
            self.line(usage.progress_line(self._latest, self._currency))

    def progressed(self, progress: runs.Progress) -> None:
        before, self._latest = self._latest or progress, progress
        if progress.batches_done // BATCHES_A_LINE > before.batches_done // BATCHES_A_LINE:
            self.line(usage.progress_line(progress, self._currency))

    def line(self, text: str) -> None:
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

    def noted(self, note: runs.Note) -> None:
        """Print a note if it concerns more than one call."""
        if self._verbose or self._deserves_a_line(note):
            super().noted(note)

    def line(self, text: str) -> None:
        """Print a line."""
        print_line(self._console, f"{self._now():%Y-%m-%d %H:%M:%S} {text}")

    def _deserves_a_line(self, note: runs.Note) -> bool:
        """Whether a note concerns more than one call; a cooldown that is only extended is printed already."""
        if not isinstance(note, runs.CoolingDown):
            return not isinstance(note, runs.Retrying | runs.BatchDone)
        now, before = self._now(), self._cooling_until
        self._cooling_until = now + timedelta(seconds=note.seconds)
        return before is None or now >= before


class QuietObserver:
    """Prints failed calls, a run that stopped, and the address of the progress; the summary shows the rest."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, facts: runs.Started) -> None:
        """Print nothing."""

    def noted(self, note: runs.Note) -> None:
        """Print a note if it is one of these."""
        match note:
            case runs.CallFailed() | runs.Serving() | runs.StateChanged(status="stopped"):
                print_line(self._console, messages.noted(note))

    def progressed(self, progress: runs.Progress) -> None:
        """Print nothing."""


def open_log(path: Path) -> TextIO:
    """Open a log to append to, readable by its owner only; each line is written as it comes. Raises StorageError."""
    return io.TextIOWrapper(
        open_to_append(path), encoding="utf-8", errors="backslashreplace", write_through=True
    )


class LogObserver(_LineObserver):
    """Appends every note, and the counts after every tenth batch, to a log."""

    def __init__(
        self, file: TextIO, *, currency: str = "USD", now: Callable[[], datetime] = datetime.now
    ) -> None:
        super().__init__(currency, now)
        self._file = file
        self._unwritten: list[str] = []

    def noted(self, note: runs.Note) -> None:
        """Log a note, and the counts at a stop; replies with the counts that follow them."""
        if isinstance(note, runs.BatchDone):  # of hundreds a second each would wait for the disk
            self._add(messages.noted(note))
        else:
            super().noted(note)

    def progressed(self, progress: runs.Progress) -> None:
        """Log the latest replies, and the counts after every tenth batch."""
        super().progressed(progress)
        if self._unwritten:
            self._write()

    def line(self, text: str) -> None:
        """Append a line of any text, such as an error that ended the run."""
        self._add(text)
        self._write()

    def _add(self, text: str) -> None:
        stamp = self._now().astimezone().isoformat(timespec="seconds")
        self._unwritten.append(f"{stamp} {one_line(text)}\n")

    def _write(self) -> None:
        lines, self._unwritten = self._unwritten, []
        # A full disk is the ledger's to report: it stops the run cleanly.
        with contextlib.suppress(OSError):
            self._file.write("".join(lines))


class JsonObserver:
    """Writes one object a fact: `event` names it (started, planned, progress, ...), `time` is ISO 8601.

    Counts come at most five times a second, the last ones always, at the end of its context at the latest.
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
        self._held: runs.Progress | None = None
        self._last_counts = -SECONDS_BETWEEN_COUNTS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._write_held()

    def started(self, facts: runs.Started) -> None:
        """Write the facts of the start."""
        self._write("started", asdict(facts))

    def noted(self, note: runs.Note) -> None:
        """Write a note, after the counts that led to it."""
        self._write_held()
        self._write(event_name(type(note)), asdict(note))

    def progressed(self, progress: runs.Progress) -> None:
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
    """Passes facts on to several observers, `opening` notes after the start; enters and leaves their contexts."""

    def __init__(self, observers: Iterable[runs.Observer], *, opening: Iterable[runs.Note] = ()) -> None:
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

    def started(self, facts: runs.Started) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.started(facts)
        for note in self._opening:
            self.noted(note)

    def noted(self, note: runs.Note) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.noted(note)

    def progressed(self, progress: runs.Progress) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.progressed(progress)
