"""The rows of each shard in a folder of its own, so that the processes of one machine read an input once between them.

The first process divides the rows that it has brought into normal form; one that comes meanwhile waits. What is divided is what a shard that
reads the input by itself would have staged, so all that follows is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from eventabs.errors import DiskFullError
from eventabs.ingest import tables
from eventabs.ingest.database import errors_named, fetched, quoted, scratch_database
from eventabs.ingest.description import Understanding
from eventabs.ingest.files import FileStamp, copies_written
from eventabs.records import InputWarning, Shard
from eventabs.stop import Stop

Texts = Callable[[int], Iterator[tuple[int, str]]]  # line and text of rows of a file, by its number, in order

_LOOK_SECONDS: Final = 0.2  # between looks at a requested stop
_TEXTS_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class FilesRead:
    """What is known of files that have been read, beside their rows; see `Export`.

    `profiles` is the profiles' file, `profile_columns` all that it has, `shown` (name to show, column) of those that are wanted. `warnings` are about columns.
    """

    names: tuple[str, ...]
    fingerprint: str
    stamps: tuple[FileStamp, ...]
    roles: dict[str, dict[str, str]]
    schemas: dict[str, str]
    encodings: dict[str, str]
    compared: tuple[str, ...]
    not_compared: tuple[str, ...]
    skipped_lines: int
    profiles: str
    profile_columns: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]
    understood: Understanding
    warnings: tuple[InputWarning, ...]


@dataclass(frozen=True, slots=True)
class _Facts:
    files: FilesRead
    counts: tables.PartCounts


_FACTS: Final = TypeAdapter(_Facts)


class Staged(NamedTuple):
    """A database whose staged table holds the rows that were read; `texts` has at least the rows that cannot be read."""

    connection: duckdb.DuckDBPyConnection
    files: FilesRead
    texts: Texts


Read = Callable[[Path, Shard | None], AbstractContextManager[Staged]]  # with a folder for scratch files


@contextmanager
def staged_part(folder: Path, shard: Shard, work_dir: Path, read: Read, stop: Stop) -> Iterator[Staged]:
    """Return the rows of a shard, out of an input that is divided in `folder`, by `read` if it is not yet.

    Where the disk has no room for the rows of all shards, each shard reads the input for itself. Raises what `read` raises.
    """
    parts = _Parts(folder)
    with _turn(folder, stop):
        is_divided = parts.are_there or parts.make(shard.count, read)
    with parts.opened(shard, work_dir, stop) if is_divided else read(work_dir, shard) as staged:
        yield staged


@contextmanager
def _turn(folder: Path, stop: Stop) -> Iterator[None]:
    """Wait until no other process divides the input. Raises StopRequested."""
    with copies_written(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
    while not lock.is_locked:
        stop.check()
        try:
            lock.acquire(timeout=_LOOK_SECONDS)
        except Timeout:
            continue
    try:
        yield
    finally:
        lock.release()


class _Parts:
    """The divided input in a folder: `parts`, which appears as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts = folder / "parts"
        self._no_room = folder / "no-room"

    @property
    def are_there(self) -> bool:
        return self._parts.is_dir()

    def make(self, count: int, read: Read) -> bool:
        """Read the input and divide it into so many shards; False where there is no room for it."""
        if self._no_room.exists():
            return False
        try:
            with read(self._folder, None) as staged:
                self._divide(staged, count)
        except DiskFullError:
            self._no_room.touch()
            return False
        return True

    def _divide(self, staged: Staged, count: int) -> None:
        connection, files, texts = staged
        made = self._folder / "reading.tmp" / "parts"  # where the database may write
        with copies_written(self._folder):
            made.mkdir()
        with errors_named("the export"):
            counts = tables.write_parts(connection, made / "rows", count)
            _write_texts(connection, made / "texts", texts, tables.refused_rows(connection, count))
            connection.execute(f"COPY profiles TO {quoted(str(made / 'profiles'))} (FORMAT parquet)")
        facts = _FACTS.dump_json(_Facts(files, counts))
        with copies_written(self._folder):
            (made / "facts.json").write_bytes(facts)
            made.rename(self._parts)

    @contextmanager
    def opened(self, shard: Shard, work_dir: Path, stop: Stop) -> Iterator[Staged]:
        facts = _FACTS.validate_json((self._parts / "facts.json").read_bytes())
        files = facts.files
        pieces, texts = (self._pieces(name, shard) for name in ("rows", "texts"))
        profiles = str(self._parts / "profiles")
        readable = [*pieces, *texts, profiles]
        with scratch_database(work_dir / "reading.tmp", readable, stop) as connection:
            tables.prepare(connection, len(files.shown))
            with errors_named("the export"):
                tables.read_part(connection, pieces, facts.counts, shard, len(files.names))
                connection.execute("INSERT INTO profiles SELECT * FROM read_parquet(?)", [profiles])
            yield Staged(connection, files, lambda index: _texts(connection, texts, index))

    def _pieces(self, name: str, shard: Shard) -> list[str]:
        return sorted(map(str, (self._parts / name / f"shard={shard.index}").glob("*")))


def _write_texts(
    connection: duckdb.DuckDBPyConnection, folder: Path, texts: Texts, rows: Iterator[tuple[int, int, int]]
) -> None:
    """Write the texts of rows (file, line, shard), which come in order."""
    connection.execute("CREATE TABLE texts (file INTEGER, line BIGINT, shard BIGINT, text VARCHAR)")
    found = _with_texts(texts, rows)
    while some := list(islice(found, _TEXTS_AT_ONCE)):
        connection.execute(
            "INSERT INTO texts SELECT unnest(?::INTEGER[]), unnest(?::BIGINT[]), unnest(?::BIGINT[]), unnest(?::VARCHAR[])",
            [list(column) for column in zip(*some, strict=True)],
        )
    connection.execute(f"COPY texts TO {quoted(str(folder))} (FORMAT parquet, PARTITION_BY (shard))")


def _with_texts(texts: Texts, rows: Iterator[tuple[int, int, int]]) -> Iterator[tuple[int, int, int, str]]:
    for index, refused in groupby(rows, key=lambda row: row[0]):
        known = texts(index)
        for file, line, shard in refused:
            yield file, line, shard, next(text for number, text in known if number == line)


def _texts(
    connection: duckdb.DuckDBPyConnection, pieces: Sequence[str], index: int
) -> Iterator[tuple[int, str]]:
    query = "SELECT line, text FROM read_parquet(?, hive_partitioning = false) WHERE file = ? ORDER BY line"
    with closing(connection.cursor()) as cursor:
        cursor.execute(query, [pieces, index])
        yield from fetched(cursor)
