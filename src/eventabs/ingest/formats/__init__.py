"""Formats of input files. Another format is a class in this folder, and a line in `open_file` or `text_format`."""

import re
from pathlib import Path
from typing import Any

import duckdb

from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.formats.base import Format, InputFile
from eventabs.ingest.formats.binary import DuckDb, Excel, Parquet, Sqlite
from eventabs.ingest.formats.csv_logs_chats import Csv, Lines, line_form
from eventabs.ingest.formats.json import Json
from eventabs.ingest.input_settings import InputSettings
from eventabs.stop_request import Stop


def text_format(path: str, start: bytes) -> type[Format]:
    """Return the format of a text by its first lines (UTF-8), else by its name; what is nothing else is CSV."""
    if line_form(start).columns:
        return Lines
    name = Path(path).name.lower().removesuffix(".gz").removesuffix(".zst")
    text = start.decode("utf-8-sig", errors="replace")
    begins_so = re.match(r"\s*(?:\{|\[(?!\d{1,4}[-/.]\d))", text)  # not as a chat: `[6/8/22, 9:20]`
    return Json if begins_so or name.endswith((".jsonl", ".ndjson", ".json")) else Csv


def open_file(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    folder: Path,
    settings: InputSettings = InputSettings(),
    *,
    stop: Stop = Stop(),
    **known: Any,  # noqa: ANN401  what InputFile has of known tools
) -> Format:
    """Return the file in its format. Copies are made in `folder`. Raises InputError, and StorageError without room for a copy."""
    copy = folder / f"copy-{len(list(folder.glob('copy-*')))}"
    with files.copies_written(folder):
        text, found = files.unpacked(path, copy, stop), ""
        start = files.first_bytes(text)
        is_ole = start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # .xls, and .xlsx with a password
        kinds: dict[type[Format], bool] = {  # of binary files
            Parquet: start.startswith(b"PAR1"),
            Sqlite: start.startswith(b"SQLite format 3\0"),
            DuckDb: start[8:].startswith(b"DUCK"),
            Excel: is_ole or files.is_workbook(start),
        }
        if kind := next((kind for kind, is_one in kinds.items() if is_one), None):
            content = files.inspect(text, path, binary=True)
        else:
            target = copy.with_suffix(".text")
            text, found, content = files.readable_text(path, text, target, settings.encoding, stop)
            if text == str(target):
                copy.unlink(missing_ok=True)  # it was unpacked for this alone
            kind = text_format(path, files.first_bytes(text))
        return kind(InputFile(connection, path, text, content, found, copy, stop, settings, **known))
