"""What was understood of an export: which column plays which role, rows beside what they became, what looks wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import duckdb

from eventabs.ingest.candidates import value_of
from eventabs.ingest.description.plausibility import implausible
from eventabs.ingest.description.unused_columns import column_of_words, unused_columns
from eventabs.ingest.formats import Format, SampledRow
from eventabs.ingest.paths import InnerPath
from eventabs.records import Behavior, InputWarning

_ROWS: Final = 3


class MappedFile(NamedTuple):
    """A file that has been read. `name`: as it is shown; `roles`: the column or the paths of each role, as a text.

    `places`: the same as paths, none for what holds for all rows. `unused`: its columns that play no role. `schema`: its
    name, "" for none.
    """

    name: str
    source: Format
    roles: Mapping[str, str]
    places: Mapping[str, tuple[InnerPath, ...]]
    unused: tuple[str, ...]
    schema: str


@dataclass(frozen=True, slots=True)
class FileMapping:
    """How files with the same columns in the same roles were understood.

    `columns` by role; `filled`: how many of the first `sampled` rows of the first of the files have it.
    `unused`: its columns that play no role. `schema`: the known tool that the files come from, "" for none.
    """

    files: tuple[str, ...]
    columns: dict[str, str]
    filled: dict[str, int]
    sampled: int
    unused: tuple[str, ...]
    schema: str = ""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row of a file as it stands there, and the behavior that it became."""

    file: str
    line: int
    text: str
    user_id: str
    behavior: Behavior


@dataclass(frozen=True, slots=True)
class Description:
    """What was understood of an export."""

    mappings: tuple[FileMapping, ...]
    rows: tuple[ReadRow, ...]
    warnings: tuple[InputWarning, ...]

    @property
    def columns(self) -> dict[str, str]:
        """The column of each role; where files differ, that of the first file with the role."""
        return {role: name for each in reversed(self.mappings) for role, name in each.columns.items()}

    @property
    def schemas(self) -> tuple[str, ...]:
        """The known tools that the files come from, each once."""
        return tuple(dict.fromkeys(each.schema for each in self.mappings if each.schema))


def describe(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[MappedFile],
    warnings: Iterable[InputWarning],
    *,
    zone: str,
) -> Description:
    """Describe files that have been read, beside the `warnings` about their columns. `zone`: as --timezone names it."""
    sample = tuple(files[0].source.sample())
    kinds = _kinds(files, sample)
    mappings = tuple(_mapping(same, rows) for same, rows in kinds)
    unused = (
        each
        for (first, *_others), rows in kinds
        if not first.schema
        for each in unused_columns(first.source.inventory, first.places, rows)
    )
    # of a known tool, which column says what was done is no question
    played = {role for each in mappings for role in each.columns if role != "action" or not each.schema}
    first = files[0]
    words = "" if first.schema else column_of_words(first.source.inventory, first.places, sample)
    found = [*warnings, *unused, *implausible(connection, played, mappings[0].unused, words, zone)]
    return Description(mappings, _read_rows(connection, first, sample), tuple(dict.fromkeys(found)))


def _kinds(
    files: Sequence[MappedFile], first: Sequence[SampledRow]
) -> list[tuple[list[MappedFile], Sequence[SampledRow]]]:
    """Return the files with the same roles together, with the first rows of the first of them. `first`: of the first file."""
    alike: dict[tuple[object, ...], list[MappedFile]] = {}
    for each in files:
        alike.setdefault((each.schema, *each.roles.items()), []).append(each)
    return [
        (same, first if same[0] is files[0] else tuple(same[0].source.sample())) for same in alike.values()
    ]


def _mapping(files: Sequence[MappedFile], sample: Sequence[SampledRow]) -> FileMapping:
    first = files[0]
    return FileMapping(
        files=tuple(each.name for each in files),
        columns=dict(first.roles),
        filled={role: _filled(first.places[role], sample) for role in first.roles},
        sampled=len(sample),
        unused=first.unused,
        schema=first.schema,
    )


def _filled(places: Sequence[InnerPath], sample: Sequence[SampledRow]) -> int:
    """Count the rows that hold a value at one of the places; all rows where what holds for all has none."""
    if not places:
        return len(sample)
    return sum(any(value_of(row, place) for place in places) for row in sample)


def _read_rows(
    connection: duckdb.DuckDBPyConnection, file: MappedFile, sample: Sequence[SampledRow]
) -> tuple[ReadRow, ...]:
    """Return some rows of the first file, of different actions where there are several, with what they became."""
    texts = {row.line: row.text for row in sample}
    # the first row of each action, then the others
    found = connection.execute(
        f"""SELECT user_id, start, action, coalesce(item, text) AS item, place, duration, line
        FROM behaviors WHERE file = 0 AND reason IS NULL AND line <= ?
        ORDER BY row_number() OVER (PARTITION BY action ORDER BY line), line LIMIT {_ROWS}""",
        [max(texts, default=0)],
    ).fetchall()
    rows = (ReadRow(file.name, row[6], texts[row[6]], str(row[0]), Behavior(*row[1:6])) for row in found)
    return tuple(sorted(rows, key=lambda row: row.line))
