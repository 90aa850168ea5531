"""The rows of a file as they stand there, by number."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import duckdb

from eventabs.exports.logs import fetched
from eventabs.exports.sources import Source, as_glob
from eventabs.exports.tidy import records


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
