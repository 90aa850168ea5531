"""The files with results: events.jsonl, events.new.jsonl, failures.jsonl and rejects.jsonl."""

import errno
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import orjson

from eventabs.records import RejectedRow
from eventabs.store.directory import RunDirectory, open_to_append, replace_file, storage_error
from eventabs.store.extensions import changed_events, users_with_events
from eventabs.store.ledger import Ledger
from eventabs.store.queries import failed_users


class EventsFile:
    """Appends the events of users as they are done. Only whole lines ever stand in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_to_append(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def append(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write events with one system call. Raises StorageError."""
        lines, end = _lines(events), self._file.tell()
        try:
            written = self._file.write(lines)
        except OSError as error:
            raise storage_error(self._path, error) from error
        if written != len(lines):
            self._file.truncate(end)
            raise storage_error(self._path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def write_results(directory: RunDirectory, ledger: Ledger) -> None:
    """Write events.jsonl and failures.jsonl anew from the ledger, in order of user and time."""
    replace_file(directory.events, _events_lines(ledger))
    replace_file(directory.failures, (_lines([user]) for user in failed_users(ledger)))


def write_changes(directory: RunDirectory, ledger: Ledger) -> dict[str, int]:
    """Write events.new.jsonl, what the last extension changed in the events; return how many lines of each kind."""
    counts = Counter[str]()

    def lines() -> Iterator[bytes]:
        for change in changed_events(ledger):
            counts[change["change"]] += 1
            yield _lines([change])

    replace_file(directory.new_events, lines())
    return dict(counts)


def write_rejects(directory: RunDirectory, rejects: Iterable[RejectedRow]) -> None:
    """Write rejects.jsonl."""
    rows = ({"file": row.file, "line": row.line, "reason": row.reason, "text": row.text} for row in rejects)
    replace_file(directory.rejects, (_lines([row]) for row in rows))


def _events_lines(ledger: Ledger) -> Iterator[bytes]:
    return (_lines(events) for _user_id, events in users_with_events(ledger))


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
