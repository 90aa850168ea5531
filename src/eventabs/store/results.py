"""The files with results: events.jsonl, failures.jsonl, rejects.jsonl, and the events as CSV, Parquet or SQLite."""

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, Self

import duckdb
import orjson

from eventabs.errors import UsageError
from eventabs.ingest import as_glob, errors_named, quoted
from eventabs.language import gettext as _
from eventabs.records import RejectedRow
from eventabs.store.directory import RunDirectory, open_private, open_to_append, replace_file, storage_error
from eventabs.store.ledger import Ledger
from eventabs.store.queries import done_users, events_of, failed_users

TableFormat = Literal["csv", "parquet", "sqlite"]
_TEXTS: Final = ("user_id", "type", "category", "start", "end", "summary", "source")
# with a quote before what a spreadsheet would run
_HARMLESS: Final = (
    """CASE WHEN regexp_matches("{0}", '^[=+\\-@\\t\\r]') THEN chr(39) || "{0}" ELSE "{0}" END AS "{0}\""""
)


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


def write_rejects(directory: RunDirectory, rejects: Iterable[RejectedRow]) -> None:
    """Write rejects.jsonl."""
    rows = ({"file": row.file, "line": row.line, "reason": row.reason, "text": row.text} for row in rejects)
    replace_file(directory.rejects, (_lines([row]) for row in rows))


def export_events(named: Path, form: TableFormat, output: Path | None) -> Path:
    """Write the events of all users that are done; return the file.

    Without `output` the file stands beside events.jsonl and is replaced as a whole. Raises RunDirectoryError
    where there is no run, and UsageError where `output` is there already or cannot be written.
    """
    directory = RunDirectory.find(named)
    if output is not None and (output.exists() or output.is_symlink()):
        message = _("{path} exists; name another file with --output")
        raise UsageError(message.format(path=output))
    target = output or directory.path / f"events.{form}"
    try:
        with (
            Ledger.watch(directory.ledger) as ledger,
            TemporaryDirectory(prefix=".eventabs-", dir=target.parent) as folder,  # for its owner only
        ):
            fresh = Path(folder) / "events"
            if form == "sqlite":
                _write_sqlite(ledger, fresh)
            else:
                lines = Path(folder) / "events.jsonl"
                with open(lines, "wb", opener=open_private) as file:
                    file.writelines(_events_lines(ledger))
                write_table(lines, fresh, form)
            fresh.chmod(0o600)
            fresh.replace(target)
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=target, error=error.strerror or error)) from error
    return target


def write_table(events: Path, target: Path, form: Literal["csv", "parquet"]) -> None:
    """Write the events of a JSON-lines file to `target`. Raises InputError where DuckDB cannot.

    Behaviors are a list of integers in Parquet, a JSON array in CSV.
    """
    is_csv = form == "csv"
    texts = ", ".join((_HARMLESS if is_csv else '"{0}"').format(name) for name in _TEXTS)
    behaviors = "CAST(to_json(behaviors) AS VARCHAR)" if is_csv else "behaviors"
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in _TEXTS)
    select = (
        f"SELECT {texts}, {behaviors} AS behaviors, grounded FROM read_json(?, format = 'newline_delimited',"
        f" columns = {{{columns}, 'behaviors': 'BIGINT[]', 'grounded': 'BOOLEAN'}})"
    )
    options = "FORMAT csv, HEADER" if is_csv else "FORMAT parquet"
    with errors_named(str(events)), duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute(f"COPY ({select}) TO {quoted(str(target))} ({options})", [as_glob(str(events))])


def _write_sqlite(ledger: Ledger, path: Path) -> None:
    rows = (
        {**event, "behaviors": orjson.dumps(event["behaviors"]).decode()}
        for user_id in done_users(ledger)
        for event in events_of(ledger, user_id)
    )
    with closing(sqlite3.connect(path)) as database, database:
        texts = ", ".join(f'"{name}" TEXT' for name in _TEXTS)
        database.execute(f"CREATE TABLE events ({texts}, behaviors TEXT, grounded INTEGER)")
        values = ", ".join(f":{name}" for name in (*_TEXTS, "behaviors", "grounded"))
        database.executemany(f"INSERT INTO events VALUES ({values})", rows)


def _events_lines(ledger: Ledger) -> Iterator[bytes]:
    return (_lines(events_of(ledger, user_id)) for user_id in done_users(ledger))


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
