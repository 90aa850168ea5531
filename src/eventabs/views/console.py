"""The one place for standard output and standard error: text from data can never style or tear them."""

import io
import os
import re
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from eventabs.errors import UsageError
from eventabs.language import gettext as _

# C0 and C1 controls, bidi marks and overrides, line separators, BOM, and bytes of undecodable file names.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_USUAL_WIDTH = 80


class LastingConsole(Console):
    """A console that falls silent when nobody reads any more, instead of ending a paid run."""

    def on_broken_pipe(self) -> None:
        """Drop what is still to come."""
        self.quiet = True
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, self.file.fileno())
        os.close(devnull)


def stdout_console() -> Console:
    """Make the console for results."""
    return _console(sys.stdout, stderr=False)


def stderr_console() -> Console:
    """Make the console for progress, messages and errors."""
    return _console(sys.stderr, stderr=True)


def one_line(text: str) -> str:
    """Return `text` with every control, bidi and line-breaking character escaped, as in a string literal."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print `text` without markup or highlighting; folded between words on a terminal, else one line."""
    console.print(Text(one_line(text), style=style), soft_wrap=not console.is_terminal)


def print_command(console: Console, label: str, command: str) -> None:
    """Print a command or path to copy: never folded, so that no line break gets into what is pasted."""
    line = Text.assemble(one_line(label), (one_line(command), "bold"))
    console.print(line, soft_wrap=True)


def print_error(console: Console, error: BaseException | str) -> None:
    """Print `eventabs: ...` as one line."""
    line = Text("eventabs: ", style="bold red").append(one_line(str(error)), style="not bold default")
    console.print(line, soft_wrap=True)


def _console(stream: TextIO, *, stderr: bool) -> Console:
    if isinstance(stream, io.TextIOWrapper):
        # A locale that lacks a character must not end a run.
        stream.reconfigure(errors="replace")
    console = LastingConsole(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.width:  # COLUMNS=0: some terminals say so before they know
        console.width = _USUAL_WIDTH
    return console


def print_bytes(data: bytes) -> None:
    """Write to standard output, where there is one. Raises UsageError where it takes nothing more."""
    if sys.stdout is None:  # closed by whoever started us
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return
    except OSError as error:
        message = _("standard output cannot be written ({error})")
        raise UsageError(message.format(error=error.strerror)) from None
