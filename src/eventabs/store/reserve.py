"""Room on the disk for answers that are on their way, and the mark that the disk was full.

A disk that is full takes nothing new, but what has been allocated can still be overwritten. So the room is
allocated before the first call, and an answer that the ledger cannot take is written there until the next process.
"""

import errno
import os
from base64 import b85decode, b85encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from eventabs.errors import DiskFullError
from eventabs.records import Reply, Usage
from eventabs.store.codec import decoding, pack_text, unpack_text
from eventabs.store.directory import open_private, storage_error

_MARK: Final = b"disk full\n"
_MARK_BYTES: Final = 4096  # the mark needs a block of its own
_BYTES_A_TOKEN: Final = 4  # of an answer, deflated and in base 85: more than any language takes


def reserve_bytes(calls: int, max_output_tokens: int) -> int:
    """Return the room for the mark and for so many answers of the largest size."""
    return _MARK_BYTES + calls * max_output_tokens * _BYTES_A_TOKEN


class Reserve:
    """The file of a run directory that holds the room: the mark, then a kept answer a line, then zeros."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Allocate `size` bytes while a process works; what the next process needs stays.

        Raises DiskFullError where there is no room, or what is raised inside.
        """
        try:
            self._allocate(size)
            yield
        except DiskFullError:
            self.mark()
            raise
        finally:
            if not self.is_marked():
                with suppress(OSError):
                    self._path.unlink()

    def mark(self) -> None:
        """Note that the disk was full, and give back the room that no answer needs: saving takes some."""
        with suppress(OSError), self._opened() as file:
            content = _content(file) or _MARK
            os.pwrite(file, content, 0)
            os.ftruncate(file, max(len(content), _MARK_BYTES))
            os.fsync(file)

    def is_marked(self) -> bool:
        """Whether the disk was full when the last process ended."""
        with suppress(OSError), self._opened(os.O_RDONLY) as file:
            return os.pread(file, len(_MARK), 0) == _MARK
        return False

    def keep(self, call_id: int, reply: Reply) -> None:
        """Write down the answer to a call. Raises DiskFullError where it is longer than the room that is left."""
        with self._errors_named(), self._opened() as file:
            kept = (_content(file) or _MARK) + _line(call_id, reply)
            if len(kept) > os.fstat(file).st_size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.pwrite(file, kept, 0)
            os.fsync(file)

    def kept(self) -> list[tuple[int, Reply]]:
        """Return the answers that were kept, each with the number of its call. Raises StoredValueError."""
        with suppress(OSError), self._opened(os.O_RDONLY) as file:
            lines = _content(file).removeprefix(_MARK).splitlines(keepends=True)
            return [
                _reply(line) for line in lines if line.endswith(b"\n")
            ]  # a power cut may leave half a line
        return []

    def clear(self) -> None:
        """Forget mark and answers, once the ledger has them."""
        with suppress(OSError), self._opened() as file:
            os.pwrite(file, bytes(os.fstat(file).st_size), 0)
            os.fsync(file)

    def _allocate(self, size: int) -> None:
        with self._errors_named(), self._opened(os.O_RDWR | os.O_CREAT) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, size)
            else:  # macOS
                os.pwrite(file, bytes(max(0, size - (have := os.fstat(file).st_size))), have)
            os.fsync(file)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(self._path, error) from error

    @contextmanager
    def _opened(self, flags: int = os.O_RDWR) -> Iterator[int]:
        file = open_private(self._path, flags)
        try:
            yield file
        finally:
            os.close(file)


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0).partition(b"\0")[0]


def _line(call_id: int, reply: Reply) -> bytes:
    texts = [b85encode(pack_text(text)).decode() for text in (reply.text, reply.reasoning)]
    known = reply.finish_reason, list(reply.usage), reply.usage_reported, reply.seconds, reply.tier
    return orjson.dumps([call_id, *texts, *known], option=orjson.OPT_APPEND_NEWLINE)


@decoding()
def _reply(line: bytes) -> tuple[int, Reply]:
    call_id, text, reasoning, finish_reason, usage, reported, seconds, *later = orjson.loads(line)
    text, reasoning = (unpack_text(b85decode(packed)) for packed in (text, reasoning))
    reply = Reply(text, finish_reason, reasoning, Usage(*usage), bool(reported), float(seconds))
    return int(call_id), replace(reply, tier=str(later[0])) if later else reply
