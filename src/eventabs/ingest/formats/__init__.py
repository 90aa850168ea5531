"""Formats of input files. Another format is a class, and its name in `FORMATS`."""

from pathlib import Path
from typing import Any, Final

import duckdb

from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.formats.base import BLANK, CONSTANT, Format, InputFile, Insert, Query, SampledRow, Wanted
from eventabs.ingest.formats.binary import DuckDb, Excel, Parquet, Sqlite
from eventabs.ingest.formats.csv_logs_chats import Csv, Lines
from eventabs.ingest.formats.json import Json
from eventabs.stop_request import Stop

__all__ = [
    "BLANK",
    "CONSTANT",
    "FORMATS",
    "Format",
    "InputFile",
    "Insert",
    "Query",
    "SampledRow",
    "Wanted",
    "open_file",
]

# In the order of trial: a file that no other format recognizes is CSV.
FORMATS: Final[tuple[type[Format], ...]] = (Parquet, Excel, Sqlite, DuckDb, Lines, Json, Csv)


def open_file(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    folder: Path,
    *,
    encoding: str = "",
    stop: Stop = Stop(),
    **settings: Any,  # noqa: ANN401  other fields of InputFile
) -> Format:
    """Return the file in its format. Copies are made in `folder`.

    `encoding` is a codec or ""; `settings`: the other fields of InputFile. Raises InputError, and StorageError without room for a copy.
    """
    copy = folder / f"copy-{len(list(folder.glob('copy-*')))}"
    with files.copies_written(folder):
        unpacked = files.unpacked(path, copy, stop)
        start = files.first_bytes(unpacked)
        is_text = not any(each.sniff(path, start) for each in FORMATS if not each.is_text)
        text, found, content = (
            files.readable_text(path, unpacked, copy.with_name(f"{copy.name}-text"), encoding, stop)
            if is_text
            else (unpacked, "", files.inspect(unpacked, path, binary=True))
        )
        start = files.first_bytes(text)
        file = InputFile(connection, path, text, content, found, copy, stop, **settings)
        return next(each(file) for each in FORMATS if each.is_text == is_text and each.sniff(path, start))
