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
    not_utf8: bool = False,
    **settings: Any,  # noqa: ANN401  other fields of InputFile
) -> Format:
    """Return the file in its format. Copies are made in `folder`.

    `encoding` is a codec or ""; `not_utf8`: the file is known not to be UTF-8; `settings`: the other fields of InputFile.
    Raises InputError, and StorageError without room for a copy.
    """
    copy = folder / f"copy-{len(list(folder.glob('copy-*')))}"
    start = files.first_bytes(path)

    def opened(text: str, encoding: str) -> Format:
        content = files.inspect(text, binary=not encoding)
        head = files.first_bytes(text)
        file = InputFile(connection, path, text, content, encoding, copy, stop, **settings)
        return next(
            each(file) for each in FORMATS if each.is_text == bool(encoding) and each.sniff(path, head)
        )

    if any(each.sniff(path, start) for each in FORMATS if not each.is_text):
        return opened(files.stored_file(path, copy, stop), "")
    with files.copies_written(folder):
        if not_utf8:
            return opened(*files.transcode(path, copy, stop))
        try:
            return opened(*files.plain_file(path, copy, encoding, stop))
        except files.NotUtf8Error:
            if encoding:
                raise
            return opened(*files.transcode(path, copy, stop))
