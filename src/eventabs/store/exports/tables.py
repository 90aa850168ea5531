"""CSV and Parquet, written by DuckDB, and SQLite."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from eventabs.ingest import as_glob, errors_named, quoted
from eventabs.store.directory import open_private
from eventabs.store.exports.rows import COLUMNS, TEXTS, Row, behaviors_text, times_of

_BOM: Final = "\ufeff"
# with a quote before what a spreadsheet would run
_HARMLESS: Final = (
    """CASE WHEN regexp_matches("{0}", '^[=+\\-@\\t\\r]') THEN chr(39) || "{0}" ELSE "{0}" END AS "{0}\""""
)
_STORED: Final = {
    **dict.fromkeys(TEXTS, "VARCHAR"),
    "behaviors": "INTEGER[]",
    "grounded": "BOOLEAN",
}
_TYPED: Final = _STORED | {
    "start": "TIMESTAMP",
    "end": "TIMESTAMP",
    "start_offset": "INTEGER",
    "end_offset": "INTEGER",
}


def write_csv(rows: Iterable[Row], target: Path, *, bom: bool) -> None:
    """Write events as CSV, behaviors as a JSON array; `bom`: mark it as UTF-8, which Excel needs.

    Raises InputError where DuckDB cannot.
    """
    names = dict(zip(TEXTS, TEXTS, strict=True))
    if bom:
        names["user_id"] = _BOM + "user_id"  # the header's first name begins the file
    texts = ", ".join(f'"{names[name]}"' for name in TEXTS)
    harmless = ", ".join(map(_HARMLESS.format, TEXTS))
    select = f"SELECT {harmless}, CAST(to_json(behaviors) AS VARCHAR) AS behaviors, grounded FROM events"
    header = f"SELECT * FROM ({select}) AS written({texts}, behaviors, grounded)"
    _copy(rows, _STORED, header, target, "FORMAT csv, HEADER")


def write_parquet(rows: Iterable[Row], target: Path) -> None:
    """Write events as Parquet: start and end as wall times, behind the known columns their offsets from UTC.

    Offsets are seconds, null where the run knew no zone. Raises InputError where DuckDB cannot.
    """
    columns = ", ".join(f'"{name}"' for name in (*COLUMNS, "start_offset", "end_offset"))
    _copy(map(_typed, rows), _TYPED, f"SELECT {columns} FROM events", target, "FORMAT parquet")


def write_sqlite(rows: Iterable[Row], target: Path) -> None:
    """Write events into the table `events` of a new SQLite database, behaviors as a JSON array."""
    stored = ({**row, "behaviors": behaviors_text(row)} for row in rows)
    with closing(sqlite3.connect(target)) as database, database:
        texts = ", ".join(f'"{name}" TEXT' for name in TEXTS)
        database.execute(f"CREATE TABLE events ({texts}, behaviors TEXT, grounded INTEGER)")
        database.executemany(
            f"INSERT INTO events VALUES ({', '.join(f':{name}' for name in COLUMNS)})", stored
        )


def _typed(row: Row) -> Row:
    start, end = times_of(row)
    times = {"start": _wall_time(start), "end": _wall_time(end)}
    return {**row, **times, "start_offset": _offset(start), "end_offset": _offset(end)}


def _wall_time(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat()


def _offset(moment: datetime) -> int | None:
    offset = moment.utcoffset()
    return None if offset is None else round(offset.total_seconds())


def _copy(rows: Iterable[Row], types: dict[str, str], select: str, target: Path, options: str) -> None:
    """Write what `select` makes of the table `events`, which goes over the disk: DuckDB takes no rows one by one."""
    lines = target.with_name("events.jsonl")
    with open(lines, "wb", opener=open_private) as file:
        file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    events = (
        f"read_json({quoted(as_glob(str(lines)))}, format = 'newline_delimited', columns = {{{columns}}})"
    )
    with errors_named(str(lines)), duckdb.connect(config=_CONFIG) as connection:
        connection.execute(
            f"COPY (WITH events AS (FROM {events}) {select}) TO {quoted(str(target))} ({options})"
        )
    lines.unlink()


_CONFIG: Final[dict[str, Any]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "256MB",
    "threads": 2,  # each holds the rows that it writes next
}
