"""Who watches a run: the choice of a display, and several at once."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
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
from eventabs.views.console import one_line, print_line
from eventabs.views.json_lines import JsonObserver
from eventabs.views.panel import RichObserver

BATCHES_A_LINE = 10


class TenthBatch:
    """Tells when another ten batches are done."""

    def __init__(self) -> None:
        self._tens: int | None = None

    def passed(self, progress: Progress) -> bool:
        """Whether ten more batches are done than at the last yes; a resumed run counts from where it is."""
        tens = progress.batches_done // BATCHES_A_LINE
        before, self._tens = self._tens, tens
        return before is not None and tens > before


class PlainObserver:
    """Writes one line every ten batches and at every change of state, with the time of day."""

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool = False,
        currency: str = "USD",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._console = console
        self._verbose = verbose
        self._currency = currency
        self._now = now
        self._tenth = TenthBatch()
        self._latest: Progress | None = None
        self._cooling_until: datetime | None = None

    def started(self, facts: Started) -> None:
        """Write the first line."""
        self._write(wording.started(facts))

    def noted(self, note: Note) -> None:
        """Write a note; single calls only when they failed or on --verbose; at a stop also the counts."""
        if self._verbose or self._deserves_a_line(note):
            self._write(wording.noted(note))
        if isinstance(note, StateChanged) and note.status != "running" and self._latest is not None:
            self._write(wording.progressed(self._latest, self._currency))

    def progressed(self, progress: Progress) -> None:
        """Write the counts after every tenth batch."""
        self._latest = progress
        if self._tenth.passed(progress):
            self._write(wording.progressed(progress, self._currency))

    def _deserves_a_line(self, note: Note) -> bool:
        """Whether a note tells of more than one call; a cooldown that only grows was told of already."""
        if not isinstance(note, CoolingDown):
            return not isinstance(note, Retrying | BatchDone)
        now, before = self._now(), self._cooling_until
        self._cooling_until = now + timedelta(seconds=note.seconds)
        return before is None or now >= before

    def _write(self, text: str) -> None:
        print_line(self._console, f"{self._now():%Y-%m-%d %H:%M:%S} {text}")


class QuietObserver:
    """Says only what went wrong, calls that failed and a run that stopped, and an address that was asked for.

    The summary that follows says that a run was interrupted.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, facts: Started) -> None:
        """Say nothing."""

    def noted(self, note: Note) -> None:
        """Write failed calls, a stop and the address of the progress."""
        match note:
            case CallFailed() | Serving() | StateChanged(status="stopped"):
                print_line(self._console, wording.noted(note))

    def progressed(self, progress: Progress) -> None:
        """Say nothing."""


def open_log(path: Path) -> TextIO:
    """Open a log to append to, for the owner's eyes only; each line is written as it comes. Raises StorageError."""
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        raise storage_error(path, error) from error
    # Unbuffered: what a full disk refuses must not be tried again, and fail, when the log is closed.
    raw = os.fdopen(descriptor, "ab", buffering=0)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class LogObserver:
    """Appends every note, and the counts after every tenth batch, to a log. `redact` takes out secrets."""

    def __init__(
        self,
        file: TextIO,
        *,
        redact: Callable[[str], str] = str,
        currency: str = "USD",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._file = file
        self._redact = redact
        self._currency = currency
        self._now = now
        self._tenth = TenthBatch()
        self._latest: Progress | None = None
        self._unwritten: list[str] = []

    def started(self, facts: Started) -> None:
        """Log the start."""
        self.line(wording.started(facts))

    def noted(self, note: Note) -> None:
        """Log a note, and the counts at a stop.

        Of hundreds of replies a second each would wait for the disk: they are written with the counts
        that follow.
        """
        if isinstance(note, BatchDone):
            self._unwritten.append(self._stamped(wording.noted(note)))
            return
        self.line(wording.noted(note))
        if isinstance(note, StateChanged) and note.status != "running" and self._latest is not None:
            self.line(wording.progressed(self._latest, self._currency))

    def progressed(self, progress: Progress) -> None:
        """Log the replies of late, and the counts after every tenth batch."""
        self._latest = progress
        if self._tenth.passed(progress):
            self._unwritten.append(self._stamped(wording.progressed(progress, self._currency)))
        if self._unwritten:
            self._write()

    def line(self, text: str) -> None:
        """Append a line of any text, such as an error that ended the run."""
        self._unwritten.append(self._stamped(text))
        self._write()

    def _stamped(self, text: str) -> str:
        stamp = self._now().astimezone().isoformat(timespec="seconds")
        return f"{stamp} {one_line(self._redact(text))}\n"

    def _write(self) -> None:
        lines, self._unwritten = self._unwritten, []
        # A full disk is the ledger's to report: it stops the run cleanly.
        with contextlib.suppress(OSError):
            self._file.write("".join(lines))


ProgressForm = Literal["auto", "plain", "json"]


def display(
    console: Console,
    *,
    form: ProgressForm = "auto",
    quiet: bool = False,
    verbose: bool = False,
    currency: str = "USD",
) -> Observer:
    """Choose who shows the run on standard error. `auto`: a live panel on a terminal, else plain lines."""
    if form == "json":
        return JsonObserver(console)
    if quiet:
        return QuietObserver(console)
    if form == "auto" and console.is_terminal and not console.is_dumb_terminal:
        return RichObserver(console, verbose=verbose, currency=currency)
    return PlainObserver(console, verbose=verbose, currency=currency)


class Observers:
    """Tells every fact to several observers. A context manager that enters and leaves those that are one.

    `opening` are notes that follow the start.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
