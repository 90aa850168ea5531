"""Tables and views of SQLite and DuckDB files, opened read-only and copied: SQLite as CSV, DuckDB as Parquet."""

import csv
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import ClassVar, Final

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import files
from eventabs.ingest.column_names import USUAL_NAMES, plain
from eventabs.ingest.formats.base import InputFile
from eventabs.ingest.formats.csv import Csv, Dialect, Layout
from eventabs.ingest.formats.parquet import Parquet
from eventabs.ingest.normal_form import MEMORY_LIMIT, errors_named, quoted
from eventabs.language import gettext as _

_SQLITE: Final = b"SQLite format 3\0"
_DUCKDB: Final = b"DUCK"
_DUCKDB_AT: Final = 8  # bytes before the mark
_BREAKS: Final = re.compile(r"[\r\n\0]+")
_LISTED: Final = 300  # characters
_AS_TEXT: Final = (
    "HUGEINT",
    "UHUGEINT",
    "BIT",
    "TIME WITH TIME ZONE",
)  # types that Parquet rounds or lacks


class Sqlite(Csv):
    """A table or view of a SQLite file. A row's number is its line in the copy, which has a header."""

    is_text: ClassVar[bool] = False

    def __init__(self, file: InputFile) -> None:
        copy = file.copy_named("table")
        with _sqlite(file) as connection:
            rows = connection.execute(f"SELECT * FROM {_identifier(_sqlite_table(file, connection))}")
            self._names = tuple(name for name, *_rest in rows.description)
            with copy.open("w", encoding="utf-8", newline="") as target:
                writer = csv.writer(target, lineterminator="\n")
                writer.writerow(self._names)
                writer.writerows(map(_texts, file.stop.until(rows)))
        super().__init__(replace(file, text=str(copy), content=files.inspect(str(copy))))

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  the content alone decides
        """Whether the file begins as all SQLite files do."""
        return start.startswith(_SQLITE)

    def find_columns(self) -> tuple[str, ...]:
        """Return the names of the table's columns."""
        self.layout = Layout(Dialect(), self._names, len(self._names))
        return self._names


class DuckDb(Parquet):
    """A table or view of a DuckDB file."""

    def __init__(self, file: InputFile) -> None:
        copy = file.copy_named("table")
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": MEMORY_LIMIT,
        }
        with (
            errors_named(file.path),
            duckdb.connect(file.text, read_only=True, config=config) as connection,
        ):
            # a view may read files that the user did not name
            connection.execute("SET allowed_directories = ?", [[str(copy.parent.absolute())]])
            connection.execute("SET enable_external_access = false")
            with file.stop.calling(connection.interrupt):
                connection.execute(
                    f"COPY ({_duckdb_select(file, connection)}) TO {quoted(str(copy))} (FORMAT parquet)"
                )
        super().__init__(replace(file, text=str(copy), content=files.inspect(str(copy), binary=True)))

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  the content alone decides
        """Whether the file begins as all DuckDB files do."""
        return start[_DUCKDB_AT:].startswith(_DUCKDB)


def chosen_table(file: InputFile, tables: Mapping[str, Sequence[str]]) -> str:
    """Return the table that the user named, or the only one with a user and a time. Raises InputError.

    `tables`: columns by table.
    """
    listed = shorten(", ".join(tables), _LISTED, placeholder=" ...")
    if file.table:
        if file.table not in tables:
            message = _("{path} has no table {table} ([input] table); it has: {tables}")
            raise InputError(message.format(path=file.path, table=file.table, tables=listed))
        return file.table
    fitting = [name for name, columns in tables.items() if _is_export(file, columns)]
    if len(fitting) == 1:
        return fitting[0]
    if len(tables) == 1:
        return next(iter(tables))
    if fitting:
        message = _(
            "{path} has several tables with a user and a time; name one: [input] table; it has: {tables}"
        )
        raise InputError(message.format(path=file.path, tables=", ".join(fitting)))
    message = _("{path} has no table with a user and a time; name one: [input] table; it has: {tables}")
    raise InputError(message.format(path=file.path, tables=listed or _("none")))


def _is_export(file: InputFile, columns: Sequence[str]) -> bool:
    roles = ("time",) if file.has_user else ("user", "time")
    return all(
        any(column == file.named.get(role) or plain(column) in USUAL_NAMES[role] for column in columns)
        for role in roles
    )


@contextmanager
def _sqlite(file: InputFile) -> Iterator[sqlite3.Connection]:
    address = Path(file.text).absolute().as_uri()
    try:
        with closing(sqlite3.connect(f"{address}?mode=ro", uri=True)) as connection:
            connection.text_factory = lambda raw: raw.decode(errors="replace")
            yield connection
    except sqlite3.Error as error:
        message = _("{path} cannot be read ({error}); close the program that uses it, or copy the file")
        raise InputError(message.format(path=file.path, error=error)) from None


def _sqlite_table(file: InputFile, connection: sqlite3.Connection) -> str:
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    columns = "SELECT name FROM pragma_table_info(?)"
    return chosen_table(
        file, {name: [column for (column,) in connection.execute(columns, [name])] for (name,) in found}
    )


def _duckdb_select(file: InputFile, connection: duckdb.DuckDBPyConnection) -> str:
    columns: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    found = connection.execute(
        """SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()
        WHERE NOT internal AND database_name = current_database() ORDER BY table_oid, column_index"""
    ).fetchall()
    for schema, table, column, kind in found:
        name = table if schema == "main" else f"{schema}.{table}"
        columns.setdefault(name, {})[column] = kind
        sources[name] = f"{_identifier(schema)}.{_identifier(table)}"
    name = chosen_table(file, {table: list(kinds) for table, kinds in columns.items()})
    fields = (
        f"CAST({_identifier(column)} AS VARCHAR) AS {_identifier(column)}"
        if kind in _AS_TEXT
        else _identifier(column)
        for column, kind in columns[name].items()
    )
    return f"SELECT {', '.join(fields)} FROM {sources[name]}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _texts(row: Sequence[object]) -> list[object]:
    return [_value_text(value) for value in row]


def _value_text(value: object) -> object:
    if isinstance(value, bytes):
        return None  # a picture, for example
    return _BREAKS.sub(" ", value) if isinstance(value, str) else value
