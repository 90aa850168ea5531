"""The files with results: events.jsonl, failures.jsonl, rejects.jsonl."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from eventabs.records import RejectedRow
from eventabs.store.directory import RunDirectory, open_private, replace_file, storage_error
from eventabs.store.ledger import Ledger
from eventabs.store.queries import done_users, events_of, failed_users


class EventsFile:
    """Appends the events of users as they are done. Only whole lines ever stand in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            self._end = os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise storage_error(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def append(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write events with one call to the system. Raises StorageError."""
        lines = _lines(events)
        try:
            written = os.write(self._descriptor, lines)
        except OSError as error:
            raise storage_error(self._path, error) from error
        if written != len(lines):
            os.ftruncate(self._descriptor, self._end)
            raise storage_error(self._path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        self._end += written


def write_results(directory: RunDirectory, ledger: Ledger) -> None:
    """Write events.jsonl and failures.jsonl anew from the ledger, in order of user and time."""
    replace_file(directory.events, (_lines(events_of(ledger, user_id)) for user_id in done_users(ledger)))
    replace_file(directory.failures, (_lines([user._asdict()]) for user in failed_users(ledger)))


def write_rejects(directory: RunDirectory, rejects: Iterable[RejectedRow]) -> None:
    """Write rejects.jsonl."""
    replace_file(directory.rejects, _rejects(rejects))


def _rejects(rejects: Iterable[RejectedRow]) -> Iterator[bytes]:
    for row in rejects:
        yield _lines([{"file": row.file, "line": row.line, "reason": row.reason, "text": row.text}])


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
