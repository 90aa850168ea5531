"""Standard output and standard error, which may be gone: text from data can neither style nor break them. JSON on one line."""

import errno
import io
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.text import Text

from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import gettext as _

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# C0 and C1 controls, bidi marks and overrides, line separators, BOM, and bytes of undecodable file names.
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"


def one_line(text: str) -> str:
    """Return `text` with every control, bidi and line-breaking character escaped, as in a string literal."""
    return text if text.isprintable() else re.sub(_UNSAFE, lambda match: ascii(match[0])[1:-1], text)


def cut(text: str, most: int) -> str:
    """Return so much of `text`, on one line; "-" for nothing."""
    return one_line(text if len(text) <= most else f"{text[:most]} …") or "-"


def encode(value: object) -> str:
    """Return `value` as JSON on one line; records are objects."""
    try:
        return orjson.dumps(value, default=_plain).decode()
    except TypeError:  # undecodable bytes of a file name: the standard library escapes what orjson refuses
        return json.dumps(_plain(value))


def picked(names: str, *sources: object) -> dict[str, Any]:
    """Return what the first of some records or mappings has by each of the names, in their order."""

    def find(name: str) -> object:
        for each in sources:
            found = each.get(name, find) if isinstance(each, Mapping) else getattr(each, name, find)
            if found is not find:
                return found
        raise KeyError(name)

    return {name: find(name) for name in names.split()}


def rounded(number: float | None, digits: int) -> float | None:
    """Round a number for JSON, where there is one."""
    return None if number is None else round(number, digits)


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def print_line(console: Console, *texts: str, style: str = "") -> None:
    """Print each text on a line of its own, without markup or highlighting; folded between words on a terminal, else one line."""
    for text in texts:
        console.print(Text(one_line(text), style=style), soft_wrap=not console.is_terminal)


def print_command(console: Console, label: str, command: str) -> None:
    """Print a command or path to copy: never folded, so that no line break gets into what is pasted."""
    console.print(Text.assemble(one_line(label), (one_line(command), "bold")), soft_wrap=True)


def print_proposal(console: Console, tables: str) -> None:
    """Print tables of the config file, as they can be copied."""
    said = _("What may be right, to copy to eventabs.toml; or let a model say: eventabs columns FILE --ask")
    console.print(Text(f"{said}\n{tables}"), soft_wrap=True)


def print_error(console: Console, error: BaseException | str) -> None:
    """Print `eventabs: ...` as one line."""
    line = Text("eventabs: ", style="bold red").append(one_line(str(error)), style="not bold default")
    console.print(line, soft_wrap=True)


def stdout_console(*, stderr: bool = False) -> Console:
    """Make the console for results."""
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.width:  # COLUMNS=0, as some terminals start
        console.width = 80
    return console


stderr_console = partial(stdout_console, stderr=True)  # for progress, messages and errors


def print_json(line: str) -> None:
    """Print one line of JSON, in UTF-8 whatever the locale."""
    print_bytes(f"{line}\n".encode())


def print_bytes(data: bytes) -> None:
    """Write to standard output, where there is one."""
    if sys.stdout is not None:  # closed by the parent process
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class OutputGoneError(Exception):
    """Nobody reads standard output any more, as behind `| head`."""


def replace_streams() -> None:
    """Replace standard output and standard error, where open, by streams of ours.

    What standard error does not take (a full disk, a closed pipe or terminal) is dropped: messages must not
    end a paid run. Standard output raises OutputGoneError or UsageError, once.
    """
    for name in ("stdout", "stderr"):
        if stream := getattr(sys, name):  # else closed by the parent process
            replaced = io.TextIOWrapper(
                io.BufferedWriter(_Stream(stream.fileno(), tells=name == "stdout")),
                encoding=stream.encoding,
                errors="replace",  # a locale that lacks a character must not end a run
                line_buffering=name == "stderr" or stream.isatty(),  # lines of libraries too are never lost
            )
            setattr(sys, name, replaced)


class _Stream(io.FileIO):
    """A file that drops everything from its first error on; one that `tells` raises it in our words."""

    def __init__(self, descriptor: int, *, tells: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._tells = tells
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
                if self._tells and isinstance(error, BrokenPipeError):
                    raise OutputGoneError from None
                if self._tells:
                    message = _("standard output cannot be written ({error}); lead it somewhere else")
                    raise UsageError(message.format(error=error.strerror)) from None
            else:
                return written
        return memoryview(data).nbytes
