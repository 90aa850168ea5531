"""What every format of input can do, and the SQL that formats share."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import duckdb

from eventabs.ingest import files
from eventabs.ingest.database import errors_named, quoted
from eventabs.ingest.paths import Inventory, Path as InnerPath, Reading
from eventabs.stop import Stop

BLANK: Final = "blank"  # the problem of a line of white space, which is no row at all
_SAMPLED: Final = 2000  # rows
_SAMPLED_TEXT: Final = 4 << 20  # characters of them
_USUAL_LINE: Final = 2 << 20  # bytes

Wanted = Sequence[tuple[str, str]]  # a name in the result beside the file's column or path, "" for none


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file before its format is known. `text`: where it is read, at `path` or from a copy as plain UTF-8.

    `encoding` is "" for a binary file. `header`, `named` (columns by role), `sheet` and `table` are what the user named;
    `user` is whose rows they are, "" where a column says it. `headers` are the columns of known CSV files that have
    none, with what their lines look like; `times` are the paths at which records of known tools may have their time.
    """

    connection: duckdb.DuckDBPyConnection
    path: str
    text: str
    content: files.Content
    encoding: str
    copy: Path
    stop: Stop
    header: Sequence[str] = ()
    headers: Mapping[tuple[str, ...], re.Pattern[str]] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    times: frozenset[str] = frozenset()
    sheet: str = ""
    table: str = ""
    user: str = ""

    @property
    def has_user(self) -> bool:
        """Whether it is known without a column whose rows they are."""
        return bool(self.user)

    @property
    def time_column(self) -> str:
        """The column of times that the user named."""
        return self.named.get("time", "")

    def copy_named(self, name: str) -> Path:
        """Return where to write another copy."""
        return self.copy.with_name(f"{self.copy.name}-{name}")


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT, the values bound to it, and the number of the line that its first row stands on.

    Its column `line` is NULL where row and line number go up together.
    """

    sql: str
    values: tuple[object, ...]
    first_line: int = 1

    def of_user(self, user: str) -> "Query":
        """Return the rows as those of a user whom they do not name, as they are for ""."""
        sql = f'SELECT * REPLACE ({quoted(user)} AS "user") FROM ({self.sql})'
        return replace(self, sql=sql) if user else self


Insert = Callable[[Query], int]  # puts the rows into a table, returns how many they are


class SampledRow(NamedTuple):
    """A row of a file's start: its first line, its text and its values by column, none where it is broken."""

    line: int
    text: str
    values: Mapping[str, Any]


class Format(ABC):
    """An input file in one format."""

    is_text: ClassVar[bool] = True  # read as UTF-8 without compression
    skipped_lines = 0  # titles and sums, above and below the rows

    def __init__(self, file: InputFile) -> None:
        if self.is_text:
            files.refuse_endless_lines(file.path, file.content)
        self.file = file
        self.columns = self.find_columns()

    @staticmethod
    @abstractmethod
    def sniff(path: str, start: bytes) -> bool:
        """Whether a file is in this format, by its name and its first bytes, which are UTF-8 for a text."""

    @abstractmethod
    def find_columns(self) -> tuple[str, ...]:
        """Return the names of the columns. Raises InputError where none are found."""

    @abstractmethod
    def query(self, wanted: Wanted) -> Query:
        """Return the rows of a regular file, in its order: line, problem (NULL for good rows) and `wanted`."""

    @abstractmethod
    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each row's first line and its text, in order."""

    @abstractmethod
    def fields(self, text: str) -> Mapping[str, Any]:
        """Return the values by column in the text of a row, none where it is broken."""

    def sample(self) -> Iterator[SampledRow]:
        """Yield the first rows, as far as they are UTF-8."""
        room = _SAMPLED_TEXT
        with errors_named(self.file.path), suppress(files.NotUtf8Error):
            for line, text in islice(self.texts(), _SAMPLED):
                yield SampledRow(line, text, self.fields(text))
                room -= len(text)
                if room <= 0:
                    return

    @cached_property
    def inventory(self) -> Inventory:
        """The paths that the first rows have."""
        found = Inventory(self.columns)
        for row in self.sample():
            found.add(row.values)
        return found

    def load(self, wanted: Wanted, insert: Insert, *, strict: bool = False) -> None:  # noqa: ARG002  for formats with records that can break
        """Read the file through `insert`, an irregular one by way of a tidy copy.

        `strict`: nothing behind the first broken record is read, and `insert` raises where it gets one.
        """
        insert(self.query(wanted))

    def paths(self, wanted: Wanted) -> dict[str, InnerPath]:
        """Return the path of each column and path that is wanted."""
        names = dict.fromkeys(name for _alias, name in wanted if name)
        return {
            name: InnerPath(name) if name in self.columns else self.inventory.find(name) or InnerPath(name)
            for name in names
        }

    def nested(self, relation: str, wanted: Wanted, base: Callable[[str], str]) -> tuple[str, str]:
        """Return the list of a SELECT with what is wanted, and the relation that it selects from.

        `base` gives the SQL of a column of `relation` as a text.
        """
        paths = self.paths(wanted)
        if not any(
            path.steps for path in paths.values()
        ):  # few files have any, and a look for texts of JSON takes time
            return selected(wanted, base), relation
        reading = Reading(f"SELECT * FROM {relation}", self.inventory.texts)
        values = reading.read(base, set(paths.values()))
        return selected(wanted, lambda name: values[paths[name]]), f"({reading.relation})"


def selected(wanted: Wanted, expression: Callable[[str], str]) -> str:
    """Return the list of a SELECT: the SQL expression of each wanted column under its name."""
    return ", ".join(
        f'{expression(column) if column else "NULL::VARCHAR"} AS "{name}"' for name, column in wanted
    )


def text_reader(
    names: Sequence[str],
    longest: int,
    *,
    delimiter: str,
    quote: str,
    header: bool = False,
    strict: bool = True,
) -> str:
    """Return the SQL table function that reads a text of rows with fields, none of its lines beyond `longest` bytes."""
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    return (
        f"read_csv(?, auto_detect = false, header = {header}, delim = {quoted(delimiter)}, quote = {quoted(quote)},"
        f" escape = {quoted(quote)}, columns = {{{columns}}}, nullstr = ['', '\\N'], strict_mode = {strict}, compression = 'none'{_buffers(longest)})"
    )


def _buffers(longest: int) -> str:
    """Make room for the longest line. Beyond the usual that costs so much memory that one thread reads.

    Of DuckDB's own, eight times larger buffers a file of 30 MB is one, which a single thread reads.
    """
    line = max(longest, _USUAL_LINE)
    room = f", max_line_size = {line}, buffer_size = {2 * line}"
    return room if longest <= _USUAL_LINE else f"{room}, parallel = false"
