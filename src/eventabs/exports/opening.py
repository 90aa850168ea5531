"""A named file -> a source that can be read row by row; copies in plain form where it needs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from eventabs.errors import StorageError
from eventabs.exports import files, json_records
from eventabs.exports.database import errors_named
from eventabs.exports.plain import Plain, plain_file, transcode
from eventabs.exports.sources import Source, as_glob, is_json, open_source
from eventabs.language import gettext as _

_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Opened:
    """A source, the digest of its content (before records were taken apart) and its encoding, "" for Parquet."""

    source: Source
    content: files.Content
    encoding: str


def open_file(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    folder: Path,
    *,
    encoding: str,
    header: Sequence[str],
    columns: Mapping[str, str],
    surely_other: bool = False,
) -> Opened:
    """Find out what a file is. Copies go to `folder` and are read there.

    `encoding` is a codec or "", `header` names the columns of a CSV that has no header. `surely_other`: it has turned
    out not to be UTF-8. Raises InputError, and StorageError where there is no room for a copy.
    """
    copy = folder / f"copy-{len(list(folder.glob('copy-*')))}"
    opened = partial(_opened, connection, path, copy=copy, header=header, time=columns.get("time", ""))
    try:
        if surely_other:
            return opened(transcode(path, copy, ""))
        try:
            return opened(plain_file(path, copy, encoding))
        except files.NotUtf8Error:
            if encoding:
                raise
            return opened(transcode(path, copy, ""))
    except OSError as error:
        message = _("{folder} cannot be written: {cause}; make room and start again")
        raise StorageError(message.format(folder=folder, cause=error.strerror)) from None


def _opened(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    plain: Plain,
    *,
    copy: Path,
    header: Sequence[str],
    time: str,
) -> Opened:
    if not plain.encoding:
        content = files.inspect(path, binary=True)
        source = Source(path, "parquet", "", _parquet_columns(connection, path), content, path)
        return Opened(source, content, "")
    content = files.inspect(plain.path)
    text = plain.path
    lines = files.head(text, _HEAD)
    first = next((line for line in lines if line.strip()), "")
    if is_json(path, first):
        around: dict[str, Any] = {}
        if json_records.is_spread(lines) or (content.longest > files.LONGEST_LINE and content.lines == 1):
            around = json_records.split(text, copy.with_name(copy.name + "-array"))
            text = str(copy.with_name(copy.name + "-array"))
        if around or json_records.is_nested(files.head(text, _HEAD), time):
            json_records.flatten(text, copy.with_name(copy.name + "-flat"), time, around)
            text = str(copy.with_name(copy.name + "-flat"))
    rows = content if text == plain.path else files.inspect(text)
    files.refuse_endless_lines(path, rows)
    return Opened(open_source(path, rows, text=text, names=header), content, plain.encoding)


def _parquet_columns(connection: duckdb.DuckDBPyConnection, path: str) -> tuple[str, ...]:
    with errors_named(path):
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [as_glob(path)]).fetchall()
    return tuple(row[0] for row in described)
