"""Standard input as a file, so that it can be read twice."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from eventabs.config import Settings
from eventabs.errors import InputError, UsageError
from eventabs.language import gettext as _
from eventabs.runs.directory import storage_error

STDIN = "-"
_NAMES = ("stdin.csv", "stdin.jsonl")
_HEAD = 4096


def named_inputs(paths: Sequence[str], settings: Settings) -> list[str]:
    """Return what to read, each once: what the command line names, else the config.

    Raises UsageError where nothing is named, or a name could not be stored as text.
    """
    named = list(dict.fromkeys(paths or settings.input.paths))
    if not named:
        message = _("no input is named; give files, or set input.paths in the config")
        raise UsageError(message)
    for path in named:
        if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
            message = _("the file name {path} is not valid text; rename the file")
            raise UsageError(message.format(path=ascii(path)))
    return named


def spool(directory: Path, stream: BinaryIO | None = None) -> str:
    """Copy a stream (standard input) into `directory`, named by what it looks like; return the path.

    Raises StorageError where the disk refuses.
    """
    stream = stream or sys.stdin.buffer
    head = stream.read(_HEAD)
    looks_like_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    path = directory / _NAMES[looks_like_json]
    try:
        with path.open("wb") as file:
            file.write(head)
            shutil.copyfileobj(stream, file)
    except OSError as error:
        raise storage_error(path, error) from error
    return str(path.absolute())


def spooled(directory: Path) -> str:
    """Return where `spool` put the stream. Raises InputError where it is gone."""
    for name in _NAMES:
        if (directory / name).is_file():
            return str((directory / name).absolute())
    message = _("{path} no longer holds what came by standard input; begin a new run")
    raise InputError(message.format(path=directory))
