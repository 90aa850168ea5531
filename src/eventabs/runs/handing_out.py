"""The events of a run in other formats, from its ledger."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import orjson

from eventabs.errors import UsageError
from eventabs.exports.event_tables import write_table
from eventabs.language import gettext as _
from eventabs.runs.damage import blamed
from eventabs.runs.directory import RunDirectory
from eventabs.runs.ledger import Ledger
from eventabs.runs.ledger_results import done_users, events_of

OutputFormat = Literal["csv", "parquet", "sqlite"]
_TABLE = (
    'CREATE TABLE events (user_id TEXT, type TEXT, category TEXT, start TEXT, "end" TEXT, summary TEXT,'
    " source TEXT, behaviors TEXT, grounded INTEGER)"
)


def export_events(named: Path, form: OutputFormat, output: Path | None) -> Path:
    """Write the events of all users that are done; return the file.

    Without `output` the file stands beside events.jsonl and is replaced as a whole. Raises
    RunDirectoryError where there is no run, and UsageError where `output` is there already or cannot be
    written.
    """
    directory = RunDirectory.find(named)
    if output is not None and (output.exists() or output.is_symlink()):
        message = _("{path} exists; name another file with --output")
        raise UsageError(message.format(path=output))
    target = output or directory.path / f"events.{form}"
    try:
        with (
            blamed(directory.ledger),
            Ledger.watch(directory.ledger) as ledger,
            TemporaryDirectory(prefix=".eventabs-", dir=target.parent) as folder,
        ):
            fresh = Path(folder) / "events"
            if form == "sqlite":
                _write_sqlite(ledger, fresh)
            else:
                lines = Path(folder) / "events.jsonl"
                _write_lines(ledger, lines)
                write_table(lines, fresh, form)
            fresh.chmod(0o600)
            fresh.replace(target)
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=target, error=error.strerror or error)) from error
    return target


def _events(ledger: Ledger) -> Iterator[dict[str, Any]]:
    for user_id in done_users(ledger):
        yield from events_of(ledger, user_id)


def _write_lines(ledger: Ledger, path: Path) -> None:
    with path.open("wb") as file:
        for event in _events(ledger):
            file.write(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))


def _write_sqlite(ledger: Ledger, path: Path) -> None:
    rows = ({**event, "behaviors": orjson.dumps(event["behaviors"]).decode()} for event in _events(ledger))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_TABLE)
        database.executemany(
            "INSERT INTO events VALUES (:user_id, :type, :category, :start, :end, :summary, :source, :behaviors,"
            " :grounded)",
            rows,
        )
