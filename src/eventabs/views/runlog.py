"""run.log: everything that was seen of a run, in plain lines."""

import contextlib
import io
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TextIO

from eventabs.runs.directory import open_private, storage_error
from eventabs.runs.observer import BatchDone, Note, Progress, Started, StateChanged
from eventabs.views import sentences
from eventabs.views.console import one_line
from eventabs.views.plain import TenthBatch


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
        self.line(sentences.started(facts))

    def noted(self, note: Note) -> None:
        """Log a note, and the counts at a stop.

        Of hundreds of replies a second each would wait for the disk: they are written with the counts
        that follow.
        """
        if isinstance(note, BatchDone):
            self._unwritten.append(self._stamped(sentences.noted(note)))
            return
        self.line(sentences.noted(note))
        if isinstance(note, StateChanged) and note.status != "running" and self._latest is not None:
            self.line(sentences.progressed(self._latest, self._currency))

    def progressed(self, progress: Progress) -> None:
        """Log the replies of late, and the counts after every tenth batch."""
        self._latest = progress
        if self._tenth.passed(progress):
            self._unwritten.append(self._stamped(sentences.progressed(progress, self._currency)))
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
