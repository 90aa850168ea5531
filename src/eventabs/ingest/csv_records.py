"""Copies of irregular files that DuckDB reads row by row, with the original's line numbers.

Most files never come here: only CSV files with blank lines, quoted newlines or broken records, and files
that mix line endings.
"""

import csv
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from eventabs.ingest.files import not_utf8
from eventabs.ingest.sources import Source

# A quote that is never closed must not swallow the file: a record ends within this many lines.
_LONGEST_RECORD: Final = 1000


class Record(NamedTuple):
    """A record of a CSV file: its first line (1-based), its text, its fields or None where it is broken."""

    line: int
    text: str
    fields: list[str] | None


def tidy_json(source: Source, target: Path) -> None:
    """Copy a JSON-lines file with LF as its only line ending."""
    with Path(source.text).open("rb") as original, target.open("wb") as copy:
        for line in original:
            copy.write(line.rstrip(b"\r\n").replace(b"\r", b" ") + b"\n")


def tidy_csv(source: Source, target: Path, user_column: str, *, strict: bool = False) -> int:
    """Copy a CSV file without its header; a line number and a problem stand before each row's fields.

    A line that is no record of as many fields as the header keeps only its user, if that can be read. `strict`: the
    copy ends with the first such line.
    Returns the length of the longest row in bytes, an upper bound. Raises InputError where the file is not
    UTF-8.
    """
    user = source.columns.index(user_column)
    longest = 0
    with target.open("w", encoding="utf-8", newline="") as copy:
        writer = csv.writer(copy, lineterminator="\n")
        for record in islice(records(source), int(source.header), None):
            fields = record.fields
            if fields is None:
                fields = [""] * len(source.columns)
                fields[user] = _field(record.text, user, source.delimiter, source.quote)
                written = writer.writerow((record.line, "bad_csv", *fields))
            else:
                written = writer.writerow((record.line, "", *fields))
            longest = max(longest, written)
            if strict and record.fields is None:
                break
    return longest * 4  # a character takes at most four bytes


def records(source: Source) -> Iterator[Record]:
    """Yield the records of a CSV file, the header first; blank lines are none.

    Raises InputError where the file is not UTF-8.
    """
    width = len(source.columns)
    with Path(source.text).open("rb") as file:
        lines = _Lines(file, source.path)
        while (text := lines.take()) is not None:
            if not text.strip():
                continue
            line = lines.number
            fields = _split(text, source.delimiter, source.quote, width)
            if fields is None and text.count(source.quote) % 2:
                joined, following = _joined(text, source.quote, lines)
                if fields := _split(joined, source.delimiter, source.quote, width):
                    text = joined
                    lines.skip(following)
            yield Record(line, text, fields)


class _Lines:
    """The lines of a file, one after the other, with a look ahead."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._ahead: deque[str] = deque()
        self.number = 0

    def take(self) -> str | None:
        """Return the next line, None at the end."""
        line = self._ahead.popleft() if self._ahead else self._read(self.number + 1)
        if line is not None:
            self.number += 1
        return line

    def ahead(self) -> Iterator[str]:
        """Yield the lines that come next without taking them."""
        for position in range(_LONGEST_RECORD):
            if position == len(self._ahead):
                line = self._read(self.number + position + 1)
                if line is None:
                    return
                self._ahead.append(line)
            yield self._ahead[position]

    def skip(self, count: int) -> None:
        """Take `count` lines."""
        for _ in range(count):
            self.take()

    def _read(self, number: int) -> str | None:
        raw = self._file.readline()
        if not raw:
            return None
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise not_utf8(self._path, number) from None
        return text.rstrip("\r\n").replace("\r", " ")


def _joined(text: str, quote: str, lines: _Lines) -> tuple[str, int]:
    """Join a line that opens a quote with those up to the one that closes it; also return how many."""
    parts = [text]
    for line in lines.ahead():
        parts.append(line)
        if line.count(quote) % 2:
            break
    return "\n".join(parts), len(parts) - 1


def _split(text: str, delimiter: str, quote: str, width: int) -> list[str] | None:
    if quote in text:
        try:
            fields = next(csv.reader([text], delimiter=delimiter, quotechar=quote, strict=True))
        except csv.Error:
            return None
    else:
        fields = text.split(delimiter)
    if len(fields) < width or any(fields[width:]):
        return None
    return fields[:width]


def _field(text: str, position: int, delimiter: str, quote: str) -> str:
    """Return one field of a broken line, "" where it may be cut off or a quote makes it uncertain."""
    fields = text.split(delimiter)
    certain = position + 1 < len(fields) and quote not in "".join(fields[: position + 1])
    return fields[position] if certain else ""
