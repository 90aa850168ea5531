"""CSV files with any of the usual delimiters and quotes, with and without a header.

DuckDB reads a regular file directly. A file with blank lines, quoted newlines, broken records or mixed line endings
is copied record by record first, with the line numbers of the original.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import files
from eventabs.ingest.database import as_glob
from eventabs.ingest.formats.base import Format, InputFile, Insert, Query, Wanted, text_reader
from eventabs.language import gettext as _

_SAMPLE: Final = 1 << 18  # bytes looked at for columns and dialect
_TRIED: Final = 20  # lines
_SHARE: Final = 0.8
_DELIMITERS: Final = ",\t;|"
# A quote that is never closed must not swallow the file: a record ends within this many lines.
_LONGEST_RECORD: Final = 1000


class Record(NamedTuple):
    """A record of a CSV file: its first line (1-based), its text, its fields or None where it is broken."""

    line: int
    text: str
    fields: list[str] | None


class Csv(Format):
    """A CSV file."""

    def __init__(self, file: InputFile) -> None:
        self.delimiter, self.quote = ",", '"'
        self.has_header = True
        self.is_regular = False  # known to have one good record a line
        super().__init__(file)

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  any text may be one
        """Whether a text is CSV: any that is nothing else."""
        return True

    def find_columns(self) -> tuple[str, ...]:
        """Return the names in the header, or those of a file without one."""
        path = self.file.path
        lines = files.head(self.file.text, _SAMPLE)
        self.delimiter, self.quote = find_dialect(lines)
        first = next((line for line in lines if line.strip()), "").replace("\r", " ")
        try:
            fields = next(csv.reader([first], delimiter=self.delimiter, quotechar=self.quote), [])
        except csv.Error as error:
            message = _(
                "{path}: the first line is no header ({error}); export the behaviors as JSON lines or CSV"
            )
            raise InputError(message.format(path=path, error=error)) from None
        named = tuple(self.file.header) or known_columns(lines, self.file.headers)
        if named and len(named) != len(fields):
            message = _("{path} has {found} fields in its first line, but --columns names {named}")
            raise InputError(message.format(path=path, found=len(fields), named=len(named)))
        self.has_header = not named
        return named or tuple(name.strip() for name in fields)

    def query(self, wanted: Wanted) -> Query:
        """Return the rows. DuckDB raises an error where a record has too few or too many fields."""
        reader = text_reader(
            self._field_names,
            self.file.content.longest,
            delimiter=self.delimiter,
            quote=self.quote,
            header=self.has_header,
        )
        fields, relation = self._fields(reader, wanted)
        select = f"SELECT NULL::BIGINT AS line, NULL::VARCHAR AS problem, {fields} FROM {relation}"
        return Query(select, (as_glob(self.file.text),), first_line=1 + self.has_header)

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each record's first line and its text; blank lines are none."""
        lines = files.lines(self.file.text) if self.is_regular else (each[:2] for each in self.records())
        return islice(lines, int(self.has_header), None)

    def fields(self, text: str) -> Mapping[str, str]:
        """Return the fields of a record by column."""
        return dict(zip(self.columns, self._split(text) or (), strict=False))

    def load(self, wanted: Wanted, insert: Insert, *, strict: bool = False) -> None:
        """Read a regular file directly, any other by way of a copy. Raises InputError where it is not UTF-8."""
        self.is_regular = self.file.content.one_newline and self._is_loaded_directly(wanted, insert)
        if self.is_regular:
            return
        copy = self.file.copy_named("tidy")
        try:
            longest = self.tidy(copy, dict(wanted)["user"], strict=strict)
            reader = text_reader(["line", "problem", *self._field_names], longest, delimiter=",", quote='"')
            fields, relation = self._fields(reader, wanted)
            select = f"SELECT CAST(line AS BIGINT) AS line, problem, {fields} FROM {relation}"
            insert(Query(select, (as_glob(str(copy)),)))
        finally:
            copy.unlink(missing_ok=True)

    def _is_loaded_directly(self, wanted: Wanted, insert: Insert) -> bool:
        """Try the fast way: it holds only if every line after the header is one good record."""
        connection = self.file.connection
        connection.begin()
        try:
            is_regular = insert(self.query(wanted)) == self.file.content.lines - self.has_header
        except duckdb.InvalidInputException:
            is_regular = False
        if is_regular:
            connection.commit()
        else:
            connection.rollback()
        return is_regular

    def tidy(self, target: Path, user_column: str, *, strict: bool = False) -> int:
        """Copy the file without its header; a line number and a problem stand before each row's fields.

        A line that is no record of as many fields as the header keeps only its user, if that can be read. `strict`:
        the copy ends with the first such line. Returns the length of the longest row in bytes, an upper bound.
        """
        user = self.columns.index(user_column) if user_column in self.columns else None
        longest = 0
        with target.open("w", encoding="utf-8", newline="") as copy:
            writer = csv.writer(copy, lineterminator="\n")
            for line, text, fields in self.file.stop.until(
                islice(self.records(), int(self.has_header), None)
            ):
                row = fields
                if row is None:
                    row = [""] * len(self.columns)
                    if user is not None:
                        row[user] = self._field_of_broken(text, user)
                longest = max(longest, writer.writerow((line, "bad_csv" if fields is None else "", *row)))
                if strict and fields is None:
                    break
        return longest * 4  # a character takes at most four bytes

    def records(self) -> Iterator[Record]:
        """Yield the records, the header first; blank lines are none. Raises InputError where the file is not UTF-8."""
        lines = self._lines()
        ahead = deque[tuple[int, str]]()  # read in search of a closing quote, but not yet taken
        while following := ahead.popleft() if ahead else next(lines, None):
            line, text = following
            if not text.strip():
                continue
            fields = self._split(text)
            if fields is None and text.count(self.quote) % 2:
                inside = deque[tuple[int, str]]()
                for each in islice(chain(ahead, lines), _LONGEST_RECORD):
                    inside.append(each)
                    if each[1].count(self.quote) % 2:
                        break
                behind = islice(ahead, len(inside), None)
                joined = "\n".join([text, *(part for _line, part in inside)])
                if fields := self._split(joined):
                    text, ahead = joined, deque(behind)
                else:
                    ahead = deque([*inside, *behind])
            yield Record(line, text, fields)

    def _lines(self) -> Iterator[tuple[int, str]]:
        with Path(self.file.text).open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise files.not_utf8(self.file.path, number) from None
                yield number, text.rstrip("\r\n").replace("\r", " ")

    def _split(self, text: str) -> list[str] | None:
        width = len(self.columns)
        if self.quote in text:
            try:
                fields = next(csv.reader([text], delimiter=self.delimiter, quotechar=self.quote, strict=True))
            except csv.Error:
                return None
        else:
            fields = text.split(self.delimiter)
        if len(fields) < width or any(fields[width:]):
            return None
        return fields[:width]

    def _field_of_broken(self, text: str, position: int) -> str:
        """Return one field of a broken line, "" where it may be cut off or a quote makes it uncertain."""
        fields = text.split(self.delimiter)
        certain = position + 1 < len(fields) and self.quote not in "".join(fields[: position + 1])
        return fields[position] if certain else ""

    @property
    def _field_names(self) -> list[str]:
        return [f"c{position}" for position in range(len(self.columns))]

    def _fields(self, reader: str, wanted: Wanted) -> tuple[str, str]:
        return self.nested(reader, wanted, lambda column: f"c{self.columns.index(column)}")


def known_columns(
    lines: Sequence[str], headers: Mapping[tuple[str, ...], re.Pattern[str]]
) -> tuple[str, ...]:
    """Return the columns of a well-known export that has no header, () for any other."""
    tried = [line.strip("\r\n") for line in lines if line.strip()][:_TRIED]
    for columns, shape in headers.items():
        if tried and shape.fullmatch(tried[0]):
            fitting = sum(bool(shape.fullmatch(line)) for line in tried)
            if fitting >= _SHARE * len(tried):
                return columns
    return ()


def find_dialect(lines: Sequence[str]) -> tuple[str, str]:
    """Return the delimiter and the quote that fit the first lines best."""
    tried = [line.replace("\r", " ").rstrip() for line in lines if line.strip()][:_TRIED]
    first = tried[0] if tried else ""
    best = max(_DELIMITERS, key=lambda delimiter: _fit(tried, delimiter))
    fields = first.split(best)
    single = [len(field) > 1 and field[0] == field[-1] == "'" for field in fields]
    return best, "'" if any(single) and '"' not in first else '"'


def _fit(lines: Sequence[str], delimiter: str) -> tuple[int, float, int]:
    """Rank a delimiter: whether it splits the first line, how many lines alike, in how many fields."""
    widths = [len(next(csv.reader([line], delimiter=delimiter), [])) for line in lines]
    width = widths[0] if widths else 0
    return (int(width > 1), widths.count(width) / max(1, len(widths)), width)
