"""The events of a run in other formats, from its ledger."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import duckdb
import orjson

from eventabs.errors import UsageError
from eventabs.ingest import as_glob, errors_named, quoted
from eventabs.language import gettext as _
from eventabs.store.damage import damage_reported
from eventabs.store.directory import RunDirectory
from eventabs.store.ledger import Ledger
from eventabs.store.queries import done_users, events_of

TableFormat = Literal["csv", "parquet"]
_TEXTS: Final = ("user_id", "type", "category", "start", "end", "summary", "source")
_FORMULA: Final = r"^[=+\-@\t\r]"  # what a spreadsheet would run
_OPTIONS: Final[dict[TableFormat, str]] = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet"}


def write_table(events: Path, target: Path, form: TableFormat) -> None:
    """Write the events of a JSON-lines file to `target`. Raises InputError where DuckDB cannot.

    Behaviors are a list of integers in Parquet, a JSON array in CSV.
    """
    texts = ", ".join(f'{_harmless(name) if form == "csv" else _name(name)} AS "{name}"' for name in _TEXTS)
    behaviors = "CAST(to_json(behaviors) AS VARCHAR)" if form == "csv" else "behaviors"
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in _TEXTS)
    select = (
        f"SELECT {texts}, {behaviors} AS behaviors, grounded FROM read_json(?, format = 'newline_delimited',"
        f" columns = {{{columns}, 'behaviors': 'BIGINT[]', 'grounded': 'BOOLEAN'}})"
    )
    with errors_named(str(events)), duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute(
            f"COPY ({select}) TO {quoted(str(target))} ({_OPTIONS[form]})", [as_glob(str(events))]
        )


def _name(column: str) -> str:
    return f'"{column}"'


def _harmless(column: str) -> str:
    """Return SQL for a text that no spreadsheet takes for a formula."""
    text = _name(column)
    return f"CASE WHEN regexp_matches({text}, '{_FORMULA}') THEN chr(39) || {text} ELSE {text} END"


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
            damage_reported(directory.ledger),
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
