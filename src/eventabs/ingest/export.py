"""An opened export: its counts, its users' logs and the rows that could not be read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import duckdb

from eventabs.errors import StorageError
from eventabs.ingest import files, json_records, markers, staging
from eventabs.ingest.columns import ROLES, behavior_columns, profile_columns as find_profile
from eventabs.ingest.database import errors_named, give_back_memory, scratch_database
from eventabs.ingest.encodings import Plain, plain_file, transcode
from eventabs.ingest.groups import UserGroup, behaviors_of, fetched, grouped, prefetched
from eventabs.ingest.loading import UnreadableRowError, load, refusal, texts_by_line
from eventabs.ingest.sources import Source, as_glob, is_json, open_source
from eventabs.language import gettext as _
from eventabs.records import GroupUser, RejectedRow, UserLog

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


@dataclass(frozen=True, slots=True)
class Export:
    """Files that have been read to their end. Good only inside `open_export`.

    `fingerprint` is the sha256 of the files' contents. `roles` tells for each file which column was taken
    for which role; `reasons` counts the rejected rows by reason, the most frequent first.
    Rows in = behaviors + rejected_rows + duplicates + paired_ends. `unpaired` are behaviors: begins without an end,
    ends without a begin.
    """

    files: tuple[str, ...]
    fingerprint: str
    roles: dict[str, dict[str, str]]
    users: int
    behaviors: int
    reasons: dict[str, int]
    duplicates: int
    paired_ends: int
    unpaired: int
    encodings: dict[str, str]
    _connection: duckdb.DuckDBPyConnection
    _with_offset: bool
    _profile_names: tuple[str, ...]
    _sources: tuple[Source, ...]
    _tidied: frozenset[int]

    @property
    def rejected_rows(self) -> int:
        """How many rows could not be read."""
        return sum(self.reasons.values())

    @property
    def rows(self) -> int:
        """How many rows the files hold; blank lines are none."""
        return self.behaviors + self.rejected_rows + self.duplicates + self.paired_ends

    def user_logs(self) -> Iterator[UserLog]:
        """Yield every user's log, ordered by user_id; behaviors ordered by time, file and line.

        A user none of whose rows was readable has a log without behaviors.
        """
        with (
            errors_named("the export"),
            closing(self._connection.cursor()) as user_cursor,
            closing(self._connection.cursor()) as cursor,
        ):
            behaviors = behaviors_of(cursor, "TRUE", with_offset=self._with_offset)
            for user in self._users(user_cursor):
                yield UserLog(user.user_id, tuple(islice(behaviors, user.behaviors)), user.profile)

    def stretches(self, most_users: int = 0) -> Iterator[UserGroup]:
        """Yield all users, or the first so many, in the same order, some at a time.

        For what can be summed up without making their logs.
        """
        with errors_named("the export"), closing(self._connection.cursor()) as user_cursor:
            users = islice(self._users(user_cursor), most_users or None)
            yield from prefetched(self._connection, grouped(users), with_offset=self._with_offset)

    def _users(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[GroupUser]:
        names = self._profile_names
        columns = "".join(f", p{position}" for position in range(len(names)))
        cursor.execute(f"SELECT user_id, readable, first_row, last_row{columns} FROM users")
        for user_id, readable, first_row, last_row, *values in fetched(cursor):
            profile = tuple(pair for pair in zip(names, values, strict=True) if pair[1] is not None)
            yield GroupUser(user_id, readable, first_row, last_row, profile)

    def rejects(self) -> Iterator[RejectedRow]:
        """Yield the rows that could not be read, ordered by file and line, with the rows' own text."""
        query = (
            "SELECT file, line, reason, coalesce(CAST(user_id AS VARCHAR), '') FROM behaviors"
            f" WHERE reason <> '{staging.DUPLICATE}' ORDER BY 1, 2"
        )
        with errors_named("the export"), closing(self._connection.cursor()) as cursor:
            cursor.execute(query)
            for index, rows in groupby(fetched(cursor), key=lambda row: row[0]):
                texts = texts_by_line(self._connection, self._sources[index], tidied=index in self._tidied)
                for _file, line, reason, user_id in rows:
                    text = next(text for number, text in texts if number == line)
                    yield RejectedRow(self.files[index], line, reason, text, user_id)


@contextmanager
def open_export(
    paths: Sequence[str],
    *,
    columns: Mapping[str, str],
    profiles: str,
    profile_columns: Sequence[str],
    timezone: str,
    work_dir: Path,
    keep_duplicates: bool = False,
    encoding: str = "",
    dayfirst: bool | None = None,
    header: Sequence[str] = (),
    strict: bool = False,
) -> Iterator[Export]:
    """Read the files and globs `paths` to their end, and the file `profiles` if it is not "".

    `encoding` is a codec of Python's ("" finds it), `header` names the columns of CSV files that have none.
    `columns` maps roles to column names ("" finds them); `timezone` is a name or "". `strict`: the first row that
    cannot be read is an InputError, raised soon after it is reached. Scratch files live in
    `work_dir`/reading.tmp while the export is open. Raises InputError, and ConfigError for the zone.
    """
    named = files.expand(paths, [profiles] if profiles else [])
    folder = work_dir / "reading.tmp"
    files_read = [*named, *([profiles] if profiles else [])]
    # a name that is read as a glob is checked as the glob and as the file that it matches
    readable = {form for path in files_read for form in (path, as_glob(path))}
    with scratch_database(folder, sorted(readable)) as connection:
        staging.check_zone(connection, timezone)
        open_named = partial(
            open_file, connection, folder=folder, encoding=encoding, header=header, columns=columns
        )
        opened = [open_named(path) for path in named]
        every_role = [(each.source, behavior_columns(each.source, columns)) for each in opened]
        paired = markers.paired_columns(connection, every_role, columns.get("marker", ""))
        roles = {source.path: markers.with_marker(found, paired) for source, found in every_role}
        profile = None
        if profiles:
            (profile_path,) = files.expand([profiles])
            table = open_named(profile_path, header=())
            profile = _Profile(table, *find_profile(table.source, columns.get("user", ""), profile_columns))
        names = tuple(name for name, _column in profile.shown) if profile else ()
        staging.prepare(connection, len(names))
        tidied: set[int] = set()

        def read(index: int, source: Source) -> None:
            insert = partial(staging.load_behaviors, connection, index, timezone, dayfirst, strict=strict)
            try:
                if load(connection, source, _wanted(roles[source.path]), insert, folder, strict=strict):
                    tidied.add(index)
            except UnreadableRowError as row:
                raise refusal(connection, source, row) from None

        for index, each in enumerate(opened):
            try:
                read(index, each.source)
            except files.NotUtf8Error:
                if encoding:
                    raise
                opened[index] = other = open_named(each.source.path, surely_other=True)
                found = behavior_columns(other.source, columns)
                paired |= markers.paired_columns(
                    connection, [(other.source, found)], columns.get("marker", "")
                )
                roles[each.source.path] = markers.with_marker(found, paired)
                read(index, other.source)
        if profile:
            shown = [(f"p{position}", column) for position, (_name, column) in enumerate(profile.shown)]
            insert = partial(staging.load_profiles, connection, len(names))
            load(connection, profile.opened.source, [("user", profile.user), *shown], insert, folder)
        every_content = [each.content for each in [*opened, *([profile.opened] if profile else [])]]
        with errors_named("the export"):
            counts = staging.finish(connection, len(names), keep_duplicates=keep_duplicates)
            give_back_memory(connection)
        yield Export(
            files=named,
            fingerprint=files.fingerprint(every_content),
            roles=roles,
            users=counts.users,
            behaviors=counts.behaviors,
            reasons=counts.rejects,
            duplicates=counts.duplicates,
            paired_ends=counts.paired.ends,
            unpaired=counts.paired.alone,
            _connection=connection,
            _with_offset=counts.with_offset,
            _profile_names=names,
            encodings={each.source.path: each.encoding for each in opened},
            _sources=tuple(each.source for each in opened),
            _tidied=frozenset(tidied),
        )


@dataclass(frozen=True, slots=True)
class _Profile:
    opened: Opened
    user: str
    shown: list[tuple[str, str]]


def _wanted(roles: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(role, roles.get(role, "")) for role in ROLES]
