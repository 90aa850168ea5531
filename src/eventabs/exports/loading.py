"""Files -> staged rows: the fast way for regular files, by way of a tidied copy for all others."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from eventabs.errors import StorageError
from eventabs.exports.database import errors_named
from eventabs.exports.files import check_utf8
from eventabs.exports.sources import Query, Source, rows, tidied_rows
from eventabs.exports.tidy import tidy_csv, tidy_json
from eventabs.language import gettext as _

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
