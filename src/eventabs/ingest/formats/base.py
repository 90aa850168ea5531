"""What every input format can do, and the SQL that formats share."""

import csv
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.inner_paths import Base, InnerPath, Inventory, loaded, read_paths
from eventabs.ingest.input_settings import InputSettings
from eventabs.ingest.normal_form import as_glob, errors_named, quoted
from eventabs.interface_language import gettext as _
from eventabs.stop_request import Stop

CONSTANT: Final = "="  # begins a word that stands for a column
BLANK: Final = "blank"  # the problem of a blank line, which is no row
_USUAL_LINE: Final = 2 << 20  # bytes

Wanted = Sequence[tuple[str, str]]  # (name in the result, column or path of the file, "" for none)


class InputFile(NamedTuple):
    """A file before its format is known."""

    connection: duckdb.DuckDBPyConnection
    path: str
    text: str  # the path to read: `path` itself, or a copy in plain UTF-8
    content: files.Content
    encoding: str  # "" for a binary file
    copy: Path
    stop: Stop
    settings: InputSettings
    # the columns of known CSV files without a header, with patterns of their lines
    headers: Mapping[tuple[str, ...], re.Pattern[str]] = {}
    times: frozenset[str] = frozenset()  # the paths where records of known tools may have their time

    @property
    def named(self) -> dict[str, str]:
        """The columns that settings name, by role."""
        return dict(self.settings.columns)

    def of_copy(self, copy: Path, *, is_same: bool = True, binary: bool = False) -> "InputFile":
        """Return the file with another text, that of a copy. It stays the same file, or is the same if its rows are."""
        content = files.inspect(str(copy), self.path, binary=binary)
        sha256 = self.content.sha256 if is_same else content.sha256
        return self._replace(text=str(copy), content=content._replace(sha256=sha256))

    def as_csv(self, rows: Iterable[Iterable[object]], *, is_same: bool = True) -> "InputFile":
        """Return the file as a copy of its rows in CSV."""
        copy = self.copy.with_suffix(".rows")
        with copy.open("w", encoding="utf-8", newline="") as target:
            csv.writer(target, lineterminator="\n").writerows(self.stop.until(rows))
        return self.of_copy(copy, is_same=is_same)


class Query(NamedTuple):
    """A SELECT, and the line number of its first row. Its column `line` is NULL if each line is a row."""

    sql: str
    first_line: int = 1


_PLACES: Final = 10  # of a file, from which rows are taken
_GOOD: Final = 0.75  # of these rows, at least
Insert = Callable[[Query], int]  # inserts the rows into a table, returns their number


class SampledRow(NamedTuple):
    """A row from a file's start: its first line, its text and its values by column, none if it is broken."""

    line: int
    text: str
    values: Mapping[str, Any]


class Format(ABC):
    """An input file in one format."""

    is_unnamed = False  # rows without a header, whose columns are called c1, c2, ...
    skipped_lines = 0  # that are no rows: titles above, sums below, notices of a chat
    left_tables: Mapping[str, Collection[str]] = {}  # columns of others of the file with a user and a time
    left_sheets: Sequence[str] = ()  # the same of a workbook
    joined_sheets: Sequence[str] = ()  # that are read as one table
    unwrapped = ""  # the list in the file's one object that holds the rows

    def __init__(self, file: InputFile) -> None:
        if file.encoding and file.content.longest > files.LONGEST_LINE:  # a row of a database may be longer
            message = _("{path} has a line longer than {limit} MB; export one row a line")
            raise InputError(message.format(path=file.path, limit=files.LONGEST_LINE >> 20))
        self.file = file
        self.columns = self.find_columns()

    @abstractmethod
    def find_columns(self) -> tuple[str, ...]:
        """Return the names of the columns. Raises InputError if there are none."""

    @abstractmethod
    def query(self, wanted: Wanted) -> Query:
        """Return the rows of a regular file in order: line, problem (NULL for good rows) and `wanted`."""

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each row's first line and its text, in order: all lines of a text."""
        return files.lines(self.file.text)

    def fields(self, text: str) -> Mapping[str, Any]:
        """Return the values by column of a row's text, which is JSON, none if it is broken."""
        return json_object(text) or {}

    def sample(self) -> Iterator[SampledRow]:
        """Yield the first rows."""
        room = 4 << 20  # characters
        with errors_named(self.file.path):
            for line, text in islice(self.texts(), 2000):
                yield SampledRow(line, text, self.fields(text))
                room -= len(text)
                if room <= 0:
                    return

    def spread(self, count: int, sample: Sequence[SampledRow]) -> Sequence[SampledRow]:
        """Return `count` rows from places all over the file; those of `sample`, the first ones, where it is short, or cannot be read in between."""
        first = sample[:count]
        if len(first) == count:
            size = sum(len(row.text.encode()) + 1 for row in first) * 6 // 5 // _PLACES
            lines = files.spread_lines(self.file.text, size, _PLACES - 1)
            texts = dropwhile(lambda text: text != first[0].text, filter(str.strip, lines))
            known = {row.text: row.values for row in sample}
            rows = [SampledRow(0, text, known.get(text) or self.fields(text)) for text in texts]
            good = [row for row in rows if row.values][:count]
            if len(good) == count > len(rows) * _GOOD:
                return good
        return first

    @cached_property
    def inventory(self) -> Inventory:
        """The paths of the first rows."""
        return Inventory(self.columns, (row.values for row in self.sample()))

    def load(self, wanted: Wanted, insert: Insert) -> None:
        """Read the file through `insert`; an irregular file is tidied in a copy first."""
        insert(self.query(wanted))

    def select(self, table: str, wanted: Wanted, base: Base, problem: str, line: str = "NULL::BIGINT") -> str:
        """Return the SELECT of line, problem and the wanted values of a table's rows, whose `base` are texts."""
        paths = {name: self.inventory.find(name) or InnerPath(name) for _alias, name in wanted if name}
        # few files have any, and the search for JSON in texts takes time
        texts = self.inventory.texts if any(path.steps for path in paths.values()) else ()
        relation, found = read_paths(f"SELECT * FROM {table}", base, paths.values(), texts)
        values = {name: found[path] for name, path in paths.items()}
        fields = (f', {values.get(column, "NULL::VARCHAR")} AS "{name}"' for name, column in wanted)
        return f"SELECT {line} AS line, {problem} AS problem{''.join(fields)} FROM ({relation})"


def json_object(text: str) -> dict[str, Any] | None:
    """Return the object that a text is, None if it is anything else."""
    found = loaded(text, len(text))
    return found if isinstance(found, dict) else None


def text_reader(
    path: str, names: Iterable[str], longest: int, delimiter: str, quote: str, *, header: bool = False
) -> str:
    """Return the SQL table function that reads delimited text with lines of at most `longest` bytes; without a `quote`, any text."""
    # DuckDB's own buffers are eight times larger: a file of 30 MB fits into one, which a single thread reads
    line = max(longest, _USUAL_LINE)
    room = f"max_line_size = {line}, buffer_size = {2 * line}"
    if longest > _USUAL_LINE:  # buffers for such lines take so much memory that a single thread reads
        room += ", parallel = false"
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    return (
        f"read_csv({quoted(as_glob(path))}, auto_detect = false, header = {header}, delim = {quoted(delimiter)}, quote = {quoted(quote)},"
        f" escape = {quoted(quote)}, columns = {{{columns}}}, nullstr = ['', '\\N'], strict_mode = {bool(quote)}, compression = 'none', {room})"
    )
