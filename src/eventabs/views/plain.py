"""Progress as plain lines, for logs, pipes and --quiet."""

from collections.abc import Callable
from datetime import datetime, timedelta

from rich.console import Console

from eventabs.runs.observer import (
    BatchDone,
    CallFailed,
    CoolingDown,
    Note,
    Progress,
    Retrying,
    Serving,
    Started,
    StateChanged,
)
from eventabs.views import sentences
from eventabs.views.console import print_line

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
        self._write(sentences.started(facts))

    def noted(self, note: Note) -> None:
        """Write a note; single calls only when they failed or on --verbose; at a stop also the counts."""
        if self._verbose or self._deserves_a_line(note):
            self._write(sentences.noted(note))
        if isinstance(note, StateChanged) and note.status != "running" and self._latest is not None:
            self._write(sentences.progressed(self._latest, self._currency))

    def progressed(self, progress: Progress) -> None:
        """Write the counts after every tenth batch."""
        self._latest = progress
        if self._tenth.passed(progress):
            self._write(sentences.progressed(progress, self._currency))

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
                print_line(self._console, sentences.noted(note))

    def progressed(self, progress: Progress) -> None:
        """Say nothing."""
