"""Standard input as a file, so that it can be read twice."""

import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from eventabs.runs.directory import storage_error

STDIN = "-"
_HEAD = 4096


def spool(directory: Path, stream: BinaryIO | None = None) -> str:
    """Copy a stream (standard input) into `directory`, named by what it looks like; return the path.

    Raises StorageError where the disk refuses.
    """
    stream = stream or sys.stdin.buffer
    head = stream.read(_HEAD)
    looks_like_json = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
    path = directory / ("stdin.jsonl" if looks_like_json else "stdin.csv")
    try:
        with path.open("wb") as file:
            file.write(head)
            shutil.copyfileobj(stream, file)
    except OSError as error:
        raise storage_error(path, error) from error
    return str(path.absolute())
