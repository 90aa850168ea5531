"""The command line's application: shared arguments, and standard streams that may be gone."""

import errno
import io
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TextIO

import typer

from eventabs import __version__
from eventabs.cli.help_and_usage_errors import Command, Group
from eventabs.cli.shared_options import LANG, Lang, flag
from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import gettext as _

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

app = typer.Typer(
    name="eventabs",
    help=_("Turn exports of user behavior into high-level events with an LLM."),
    cls=Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
command = partial(app.command, cls=Command)

INPUTS = typer.Argument(
    None,
    metavar="INPUT",
    help=_("Exports: files, folders, globs or addresses (s3, gs, az, https); - is standard input."),
)
CHECKPOINT = typer.Argument(..., metavar="CHECKPOINT", help=_("A run directory or its checkpoint.json."))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eventabs {__version__}")
        raise typer.Exit


@app.callback()
def common(
    lang: Lang = LANG,  # settled before this was loaded
    version: bool = flag(
        _("Show the version and exit."), "--version", is_eager=True, callback=_print_version
    ),
) -> None:
    """Take options before the command."""


class OutputGoneError(Exception):
    """Nobody reads standard output any more, as behind `| head`."""


def replace_streams() -> None:
    """Replace standard output and standard error, where open, by streams of ours.

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
