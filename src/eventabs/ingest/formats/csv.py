"""CSV files with any of the usual delimiters and quotes, with and without a header, titles above and sums below.

DuckDB reads a regular file directly. A file with blank lines, quoted newlines, broken records or mixed line endings
is copied record by record first, with the line numbers of the original.
"""

import csv
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from textwrap import shorten
from typing import Final, NamedTuple

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import files
from eventabs.ingest.database import WHITE, as_glob
from eventabs.ingest.formats.base import BLANK, Format, InputFile, Insert, Query, Wanted, text_reader
from eventabs.ingest.formats.csv_layout import Dialect, Layout, find_layout, footer_length, proposal
from eventabs.language import gettext as _

_SAMPLE: Final = 1 << 18  # bytes that are read for columns and dialect
_TAIL: Final = 1 << 16  # bytes that are read for sums and remarks at the end
# A quote that is never closed must not swallow the file: a record ends within this many lines.
_LONGEST_RECORD: Final = 1000
_SHOWN: Final = 100  # characters of a first row


class Record(NamedTuple):
    """A record of a CSV file: its first line (1-based), its text, its fields or None where it is broken."""

    line: int
    text: str
    fields: list[str] | None


class Csv(Format):
    """A CSV file."""

    def __init__(self, file: InputFile) -> None:
        self.layout = Layout(Dialect(), (), 0)
        self.is_regular = False  # whether each line is known to be one good record
        super().__init__(file)
        self.skipped_lines = self._skipped_lines()

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  any text may be one
        """Whether a text is CSV: any that is nothing else."""
        return True

    def find_columns(self) -> tuple[str, ...]:
        """Return the names in the header, or the names for a file without one."""
        path = self.file.path
        lines = files.head(self.file.text, _SAMPLE)
        try:
            layout = find_layout(lines, self.file.header, self.file.time_column, self.file.headers)
        except csv.Error as error:
            message = _(
                "{path}: the first line is no header ({error}); export the behaviors as JSON lines or CSV"
            )
            raise InputError(message.format(path=path, error=error)) from None
        if layout is None:
            raise _no_header(path, lines)
        named = self.file.header
        if named and len(named) != len(layout.columns):
            message = _("{path} has {found} fields in its first line, but --columns names {named}")
            raise InputError(message.format(path=path, found=len(layout.columns), named=len(named)))
        self.layout = layout._replace(below=self._footer_length(layout))
        return layout.columns

    def query(self, wanted: Wanted) -> Query:
        """Return the rows. DuckDB raises an error for a record with too few or too many fields."""
        dialect, has_header = self.layout.dialect, self.layout.has_header
        reader = text_reader(
            self._field_names,
            self.file.content.longest,
            delimiter=dialect.delimiter,
            quote=dialect.quote,
            header=has_header,
        )
        # it is slow to join a row's cells: only for rows that may be empty
        all_blank = f"trim(concat({', '.join(self._field_names)}), {WHITE}) = ''"
        problem = f"CASE WHEN coalesce(c0, '') < '!' THEN CASE WHEN {all_blank} THEN '{BLANK}' END END"
        fields, relation = self._fields(reader, wanted)
        select = f"SELECT NULL::BIGINT AS line, {problem} AS problem, {fields} FROM {relation}"
        return Query(select, (as_glob(self.file.text),), first_line=1 + has_header)

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each record's first line and its text; blank lines are none."""
        lines = files.lines(self.file.text) if self.is_regular else (each[:2] for each in self.records())
        return islice(lines, int(self.layout.has_header), None)

    def fields(self, text: str) -> Mapping[str, str]:
        """Return the fields of a record by column."""
        return dict(zip(self.columns, self._split(text) or (), strict=False))

    def load(self, wanted: Wanted, insert: Insert, *, strict: bool = False) -> None:
        """Read a regular file directly, any other from a copy. Raises InputError if it is not UTF-8."""
        outside = self.layout.above or self.layout.below
        may_be = self.file.content.one_newline and not outside and not self.layout.dialect.is_blank
        self.is_regular = may_be and self._is_loaded_directly(wanted, insert)
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
        """Try the fast way, which needs every line below the header to be one good record."""
        connection = self.file.connection
        connection.begin()
        try:
            is_regular = insert(self.query(wanted)) == self.file.content.lines - self.layout.has_header
        except duckdb.InvalidInputException:
            is_regular = False
        if is_regular:
            connection.commit()
        else:
            connection.rollback()
        return is_regular

    def tidy(self, target: Path, user_column: str, *, strict: bool = False) -> int:
        """Copy the file without its header; each row begins with its line number and problem.

        A line whose number of fields differs from the header's keeps only its user, if that is readable. `strict`:
        the copy ends with the first such line. Returns an upper bound of the longest row in bytes.
        """
        user = self.columns.index(user_column) if user_column in self.columns else None
        longest = 0
        with target.open("w", encoding="utf-8", newline="") as copy:
            writer = csv.writer(copy, lineterminator="\n")
            for line, text, fields in self.file.stop.until(
                islice(self.records(), int(self.layout.has_header), None)
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
        """Yield the records without blank lines, the header first. Raises InputError if the file is not UTF-8."""
        lines = self._lines()
        ahead = deque[tuple[int, str]]()  # lines that were read to find a closing quote, not yet used
        while following := ahead.popleft() if ahead else next(lines, None):
            line, text = following
            fields = self._split(text)
            if fields is None and text.count(self.layout.dialect.quote) % 2:
                inside = deque[tuple[int, str]]()
                for each in islice(chain(ahead, lines), _LONGEST_RECORD):
                    inside.append(each)
                    if each[1].count(self.layout.dialect.quote) % 2:
                        break
                behind = islice(ahead, len(inside), None)
                joined = [text, *(part for _line, part in inside)]
                if (found := self._split("\n".join(joined))) and not self._are_rows(joined):
                    text, fields, ahead = "\n".join(joined), found, deque(behind)
                else:
                    ahead = deque([*inside, *behind])
            if "".join(fields or text).strip():
                yield Record(line, text, fields)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines of the table, beginning with its header."""
        with Path(self.file.text).open("rb") as file:
            for number, raw in enumerate(islice(file, self._last_line), start=1):
                if number <= self.layout.above:
                    continue
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise files.not_utf8(self.file.path, number) from None
                yield number, text.rstrip("\r\n").replace("\r", " ")

    def _split(self, text: str) -> list[str] | None:
        fields = self.layout.dialect.fields(text)
        width = len(self.columns)
        if fields is None or len(fields) < self.layout.needed or any(fields[width:]):
            return None
        return [*fields, *[""] * (width - len(fields))][:width]

    def _are_rows(self, lines: Sequence[str]) -> bool:
        """Whether each of several lines is a row by itself when quotes count as plain characters."""
        width, delimiter = len(self.columns), self.layout.dialect.delimiter
        return width > 2 and all(line.count(delimiter) == width - 1 for line in lines)  # noqa: PLR2004  two are a text's

    def _field_of_broken(self, text: str, position: int) -> str:
        """Return one field of a broken line, "" if it may be cut off or a quote makes it uncertain."""
        dialect = self.layout.dialect
        fields = text.split() if dialect.is_blank else text.split(dialect.delimiter)
        certain = position + 1 < len(fields) and dialect.quote not in "".join(fields[: position + 1])
        return fields[position] if certain else ""

    @property
    def _last_line(self) -> int | None:
        return self.file.content.lines - self.layout.below if self.layout.below else None

    def _footer_length(self, layout: Layout) -> int:
        with Path(self.file.text).open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
            file.seek(start)
            lines = file.read().decode("utf-8-sig", errors="replace").removesuffix("\n").split("\n")
        return footer_length(lines[1:] if start else lines[layout.above + 1 :], layout)

    def _skipped_lines(self) -> int:
        """Count the nonblank lines above and below the table."""
        if not self.layout.above and not self.layout.below:
            return 0
        outside = (
            text
            for number, text in files.lines(self.file.text)
            if number <= self.layout.above or number > (self._last_line or number)
        )
        return sum(bool(text.strip(' \t"' + self.layout.dialect.delimiter)) for text in outside)

    @property
    def _field_names(self) -> list[str]:
        return [f"c{position}" for position in range(len(self.columns))]

    def _fields(self, reader: str, wanted: Wanted) -> tuple[str, str]:
        return self.nested(reader, wanted, lambda column: f"c{self.columns.index(column)}")


def _no_header(path: str, lines: Sequence[str]) -> InputError:
    """Return the error for rows without a header, with proposed columns to copy."""
    names, rows = proposal(lines)
    options = f"--columns {','.join(names)}" + ("" if "user_id" in names else " --user me")
    message = _(
        "{path} has no header; name its columns, by their values: {options} (a column such as c3 is left out). First row: {row}"
    )
    first = shorten(rows[0], _SHOWN, placeholder=" ...")
    return InputError(message.format(path=path, options=options, row=first))
