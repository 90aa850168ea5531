"""An opened export: its counts, its users' logs and the rows that could not be read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import duckdb

from eventabs.exports import files, markers, store
from eventabs.exports.columns import behavior_columns
from eventabs.exports.columns import profile_columns as find_profile
from eventabs.exports.database import errors_named, give_back_memory, scratch_database
from eventabs.exports.loading import load
from eventabs.exports.logs import User, behaviors_of, fetched
from eventabs.exports.opening import Opened, open_file
from eventabs.exports.roles import ROLES
from eventabs.exports.row_texts import texts_by_line
from eventabs.exports.sources import Source, as_glob
from eventabs.exports.stretches import Stretch, in_stretches, made_ahead
from eventabs.exports.strictness import UnreadableRowError, refusal
from eventabs.records import RejectedRow, UserLog


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

    def stretches(self, most_users: int = 0) -> Iterator[Stretch]:
        """Yield all users, or the first so many, in the same order, some at a time.

        For what can be summed up without making their logs.
        """
        with errors_named("the export"), closing(self._connection.cursor()) as user_cursor:
            users = islice(self._users(user_cursor), most_users or None)
            yield from made_ahead(self._connection, in_stretches(users), with_offset=self._with_offset)

    def _users(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[User]:
        names = self._profile_names
        columns = "".join(f", p{position}" for position in range(len(names)))
        cursor.execute(f"SELECT user_id, readable, first_row, last_row{columns} FROM users")
        for user_id, readable, first_row, last_row, *values in fetched(cursor):
            profile = tuple(pair for pair in zip(names, values, strict=True) if pair[1] is not None)
            yield User(user_id, readable, first_row, last_row, profile)

    def rejects(self) -> Iterator[RejectedRow]:
        """Yield the rows that could not be read, ordered by file and line, with the rows' own text."""
        query = (
            "SELECT file, line, reason, coalesce(CAST(user_id AS VARCHAR), '') FROM behaviors"
            f" WHERE reason <> '{store.DUPLICATE}' ORDER BY 1, 2"
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
        store.check_zone(connection, timezone)
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
        store.prepare(connection, len(names))
        tidied: set[int] = set()

        def read(index: int, source: Source) -> None:
            insert = partial(store.load_behaviors, connection, index, timezone, dayfirst, strict=strict)
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
            insert = partial(store.load_profiles, connection, len(names))
            load(connection, profile.opened.source, [("user", profile.user), *shown], insert, folder)
        every_content = [each.content for each in [*opened, *([profile.opened] if profile else [])]]
        with errors_named("the export"):
            counts = store.finish(connection, len(names), keep_duplicates=keep_duplicates)
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
