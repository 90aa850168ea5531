"""Standard output and standard error as they are to fail: the one with one line, the other not at all."""

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from eventabs.errors import UsageError
from eventabs.language import gettext as _

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputGoneError(Exception):
    """Nobody reads standard output any more, as behind `| head`."""


def replace_streams() -> None:
    """Put streams of ours in the place of standard output and standard error, where there are such.

    What standard error does not take (a full disk, a closed pipe or terminal) is dropped: messages must not
    end a paid run. Standard output raises OutputGoneError or UsageError, once.
    """
    sys.stdout = _replaced(sys.stdout, _refuse)
    sys.stderr = _replaced(sys.stderr, lambda _error: None)


class _Stream(io.FileIO):
    """A file that hands the first error to `fail`, and takes and drops everything from then on."""

    def __init__(self, descriptor: int, fail: Callable[[OSError], None]) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._fail = fail
        self._failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or drop."""
        if not self._failed:
            try:
                written = super().write(data)
                if written is None:  # a pipe that is full and does not block
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            except OSError as error:
                self._failed = True
                self._fail(error)
            else:
                return written
        return memoryview(data).nbytes


def _refuse(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise OutputGoneError from None
    message = _("standard output cannot be written ({error}); lead it somewhere else")
    raise UsageError(message.format(error=error.strerror)) from None


def _replaced(stream: TextIO, fail: Callable[[OSError], None]) -> TextIO:
    if stream is None:  # closed by the parent process
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(stream.fileno(), fail)),
        encoding=stream.encoding,
        errors="replace",  # a locale that lacks a character must not end a run
        line_buffering=stream.isatty(),
    )
