"""What was understood of an export: which column plays which role, rows beside what they became, what looks wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from eventabs.ingest.candidates import filled
from eventabs.ingest.formats import Format, SampledRow
from eventabs.ingest.plausibility import implausible
from eventabs.records import Behavior, InputWarning

_ROWS: Final = 3


@dataclass(frozen=True, slots=True)
class FileMapping:
    """How files with the same columns in the same roles were understood.

    `columns` by role; `filled`: how many of the first `sampled` rows of the first of the files have it.
    `unused`: its columns that play no role.
    """

    files: tuple[str, ...]
    columns: dict[str, str]
    filled: dict[str, int]
    sampled: int
    unused: tuple[str, ...]


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
    """What was understood of an export. `schema`: the name of the known tool that it comes from, "" for none."""

    mappings: tuple[FileMapping, ...]
    rows: tuple[ReadRow, ...]
    warnings: tuple[InputWarning, ...]
    schema: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """The column of each role; where files differ, that of the first file with the role."""
        return {role: name for each in reversed(self.mappings) for role, name in each.columns.items()}


def describe(
    connection: duckdb.DuckDBPyConnection,
    sources: Sequence[Format],
    roles: Sequence[Mapping[str, str]],
    warnings: Iterable[InputWarning],
    *,
    zone: str,
) -> Description:
    """Describe files that have been read, beside the `warnings` about their columns. `zone`: as --timezone names it."""
    sample = tuple(sources[0].sample())
    mappings = _mappings(sources, roles, sample)
    played = {role for each in mappings for role in each.columns}
    found = [*warnings, *implausible(connection, played, mappings[0].unused, zone)]
    return Description(mappings, _read_rows(connection, sources[0], sample), tuple(dict.fromkeys(found)))


def _mappings(
    sources: Sequence[Format], roles: Sequence[Mapping[str, str]], first: Sequence[SampledRow]
) -> tuple[FileMapping, ...]:
    """Sum up the columns of the files; those with the same roles stand together. `first`: of the first file."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for position, found in enumerate(roles):
        alike.setdefault(tuple(found.items()), []).append(position)
    return tuple(
        _mapping(
            [sources[each] for each in same],
            roles[same[0]],
            tuple(sources[same[0]].sample()) if same[0] else first,
        )
        for same in alike.values()
    )


def _mapping(
    sources: Sequence[Format], columns: Mapping[str, str], sample: Sequence[SampledRow]
) -> FileMapping:
    first = sources[0]
    columns = {role: column for role, column in columns.items() if column}  # a user may be known without one
    return FileMapping(
        files=tuple(each.file.path for each in sources),
        columns=dict(columns),
        filled={role: filled(column, sample) for role, column in columns.items()},
        sampled=len(sample),
        unused=tuple(each for each in first.columns if each not in columns.values()),
    )


def _read_rows(
    connection: duckdb.DuckDBPyConnection, source: Format, sample: Sequence[SampledRow]
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
    rows = (
        ReadRow(source.file.path, row[6], texts[row[6]], str(row[0]), Behavior(*row[1:6])) for row in found
    )
    return tuple(sorted(rows, key=lambda row: row.line))
