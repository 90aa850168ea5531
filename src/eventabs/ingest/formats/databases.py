"""Parquet files; tables and views of SQLite and DuckDB files, opened read-only and copied: SQLite as CSV, DuckDB as Parquet."""

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar, Final

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import files
from eventabs.ingest.column_names import USUAL_NAMES, plain
from eventabs.ingest.formats.base import BREAKS, Format, InputFile, Query, Wanted
from eventabs.ingest.formats.csv import Csv, Dialect, Layout
from eventabs.ingest.normal_form import MEMORY_LIMIT, as_glob, errors_named, fetched, quoted
from eventabs.language import gettext as _

_PARQUET: Final = b"PAR1"
_SQLITE: Final = b"SQLite format 3\0"
_DUCKDB: Final = b"DUCK"
_DUCKDB_AT: Final = 8  # bytes before the mark
_LISTED: Final = 300  # characters
_AS_TEXT: Final = ("HUGEINT", "UHUGEINT", "BIT", "TIME WITH TIME ZONE")  # Parquet rounds or lacks these


class Parquet(Format):
    """A Parquet file. Row numbers replace line numbers, and JSON replaces text."""

    is_text: ClassVar[bool] = False

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  the content alone decides
        """Whether the file begins as all Parquet files do."""
        return start.startswith(_PARQUET)

    def find_columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        with errors_named(self.file.path):
            described = self.file.connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [self._glob])
            self._types = {name: kind for name, kind, *_rest in described.fetchall()}
        return tuple(self._types)

    def query(self, wanted: Wanted) -> Query:
        """Return the rows, all values as text."""
        fields, relation = self.nested("read_parquet(?)", wanted, self._text)
        return Query(
            f"SELECT NULL::BIGINT AS line, NULL::VARCHAR AS problem, {fields} FROM {relation}",
            (self._glob,),
        )

    def _text(self, column: str) -> str:
        """Return the SQL of a column as text; structs, lists and maps as JSON."""
        name = _identifier(column)
        is_nested = self._types[column].startswith(("STRUCT", "MAP")) or self._types[column].endswith("]")
        return f"CAST({f'to_json({name})' if is_nested else name} AS VARCHAR)"

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each row's number and the row as JSON."""
        with closing(self.file.connection.cursor()) as cursor:
            cursor.execute("SELECT to_json(r)::VARCHAR FROM read_parquet(?) AS r", [self._glob])
            for number, (text,) in enumerate(fetched(cursor), start=1):
                yield number, text

    def fields(self, text: str) -> Mapping[str, Any]:
        """Return the values of a row by column."""
        values: dict[str, Any] = json.loads(text)
        return values

    @property
    def _glob(self) -> str:
        return as_glob(self.file.text)


class Sqlite(Csv):
    """A table or view of a SQLite file. A row's number is its line in the copy, which has a header."""

    is_text: ClassVar[bool] = False

    def __init__(self, file: InputFile) -> None:
        copy = file.copy_named("table")
        address = Path(file.text).absolute().as_uri()
        try:
            with closing(sqlite3.connect(f"{address}?mode=ro", uri=True)) as connection:
                connection.text_factory = lambda raw: raw.decode(errors="replace")
                rows = connection.execute(f"SELECT * FROM {_identifier(_sqlite_table(file, connection))}")
                self._names = tuple(name for name, *_rest in rows.description)
                with copy.open("w", encoding="utf-8", newline="") as target:
                    writer = csv.writer(target, lineterminator="\n")
                    writer.writerow(self._names)
                    writer.writerows(list(map(_text, row)) for row in file.stop.until(rows))
        except sqlite3.Error as error:
            message = _("{path} cannot be read ({error}); close the program that uses it, or copy the file")
            raise InputError(message.format(path=file.path, error=error)) from None
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


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return None  # a picture, for example
    return BREAKS.sub(" ", value) if isinstance(value, str) else value
