"""Files -> staged rows: the fast way for regular files, by way of a tidied copy for all others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Final

import duckdb

from eventabs.errors import InputError, StorageError
from eventabs.ingest.csv_records import records, tidy_csv, tidy_json
from eventabs.ingest.database import errors_named
from eventabs.ingest.files import check_utf8
from eventabs.ingest.groups import fetched
from eventabs.ingest.sources import BLANK, Query, Source, as_glob, rows, tidied_rows
from eventabs.language import gettext as _


def texts_by_line(
    connection: duckdb.DuckDBPyConnection, source: Source, *, tidied: bool
) -> Iterator[tuple[int, str]]:
    """Yield each line's number and text; where records were tidied, a record's first line stands for all of it."""
    if tidied:
        return ((record.line, record.text) for record in records(source))
    return _parquet_texts(connection, source) if source.format == "parquet" else _lines(source.text)


def nth_row(connection: duckdb.DuckDBPyConnection, source: Source, number: int) -> tuple[int, str]:
    """Return line and text of a file's row, counted from 1; the header is none."""
    if source.format == "csv":
        wanted = number - 1 + int(source.header)
        return next((record.line, record.text) for record in islice(records(source), wanted, None))
    return next(islice(texts_by_line(connection, source, tidied=False), number - 1, None))


def _parquet_texts(connection: duckdb.DuckDBPyConnection, source: Source) -> Iterator[tuple[int, str]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute("SELECT to_json(r)::VARCHAR FROM read_parquet(?) AS r", [as_glob(source.text)])
        for number, (text,) in enumerate(fetched(cursor), start=1):
            yield number, text


def _lines(path: str) -> Iterator[tuple[int, str]]:
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.decode("utf-8-sig", errors="replace").rstrip("\r\n")


_REFUSED: Final = "refused row: "  # how DuckDB is told to stop, and how that is known again
_SHOWN: Final = 200  # characters
_LIMITS: Final = (" LIMIT 10000", " LIMIT 1000000", "")  # DuckDB reads far beyond a row that it looks for
_UNREADABLE: Final = f"reason IS NOT NULL AND reason <> '{BLANK}'"


class UnreadableRowError(Exception):
    """The first row that cannot be read: its number in the file, its line where that is known, and the reason."""

    def __init__(self, number: int, line: int | None, reason: str) -> None:
        super().__init__(number, line, reason)
        self.number = number
        self.line = line
        self.reason = reason


def refusing(select: str) -> str:
    """Return the SELECT of rows in normal form, which DuckDB breaks off soon after a row that cannot be read."""
    return (
        f"SELECT * REPLACE (CASE WHEN {_UNREADABLE} THEN error('{_REFUSED}' || reason) ELSE reason END AS reason)"
        f" FROM ({select})"
    )


@contextmanager
def first_reject_found(
    connection: duckdb.DuckDBPyConnection, select: Callable[[str], str], values: Sequence[object]
) -> Iterator[None]:
    """Raise UnreadableRowError where a refusing SELECT broke off; `select` makes it anew, of rows under a LIMIT.

    Rows are read by several threads, so the one that DuckDB met need not be the first one.
    """
    try:
        yield
    except duckdb.InvalidInputException as error:
        if _REFUSED not in str(error):
            raise
        with closing(connection.cursor()) as cursor:  # the transaction of the other one has failed
            for limit in _LIMITS:
                found = cursor.execute(
                    f"""SELECT number, line, reason
                    FROM (SELECT row_number() OVER () AS number, line, reason FROM ({select(limit)}))
                    WHERE {_UNREADABLE} LIMIT 1""",
                    list(values),
                ).fetchone()
                if found:
                    raise UnreadableRowError(*found) from None
        raise


def refusal(connection: duckdb.DuckDBPyConnection, source: Source, row: UnreadableRowError) -> InputError:
    """Return the error that names the row with its text."""
    if row.line is None:
        line, text = nth_row(connection, source, row.number)
    else:
        line, text = next(
            each for each in texts_by_line(connection, source, tidied=True) if each[0] == row.line
        )
    message = _("{file}, line {line} cannot be read ({reason}): {text}; mend it, or go without --strict")
    return InputError(
        message.format(
            file=source.path, line=line, reason=row.reason, text=shorten(text, _SHOWN, placeholder=" ...")
        )
    )


Insert = Callable[[Query], int]  # puts the rows into a table, returns how many they are


def load(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    wanted: Sequence[tuple[str, str]],
    insert: Insert,
    folder: Path,
    *,
    strict: bool = False,
) -> bool:
    """Read a file through `insert`; copies go to `folder`. Returns whether its records had to be tidied.

    `strict`: nothing behind the first broken record is read, and `insert` raises where it gets one.
    `wanted` pairs names with columns, as in `sources.rows`. Raises InputError, and StorageError
    where there is no room for a copy.
    """
    copy = folder / "tidied.txt"
    try:
        if source.format == "jsonl":
            _load_json(source, wanted, insert, copy)
            return False
        if source.format == "parquet":
            with errors_named(source.path):
                insert(rows(source, wanted))
            return False
        if source.content.one_newline and _load_csv(connection, source, wanted, insert):
            return False
        longest = tidy_csv(source, copy, dict(wanted)["user"], strict=strict)
        with errors_named(source.path):
            insert(tidied_rows(source, copy, longest, wanted))
    except OSError as error:
        message = _("{folder} cannot be written: {cause}; make room and start again")
        raise StorageError(message.format(folder=folder, cause=error.strerror)) from None
    else:
        return True
    finally:
        copy.unlink(missing_ok=True)


def _load_json(source: Source, wanted: Sequence[tuple[str, str]], insert: Insert, copy: Path) -> None:
    regular = source
    if not source.content.one_newline:
        tidy_json(source, copy)
        regular = replace(source, text=str(copy))
    with errors_named(source.path):
        try:
            insert(rows(regular, wanted))
        except duckdb.Error:
            check_utf8(source.path, source.text)
            raise


def _load_csv(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    wanted: Sequence[tuple[str, str]],
    insert: Insert,
) -> bool:
    """Try the fast way: it holds only if every line after the header is one good record."""
    connection.begin()
    with errors_named(source.path):
        try:
            regular = insert(rows(source, wanted)) == source.content.lines - source.header
        except duckdb.InvalidInputException:
            regular = False
    if regular:
        connection.commit()
    else:
        connection.rollback()
    return regular
