"""An opened export: its counts, its users' logs and the rows that could not be read."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import encodings, files, tables
from eventabs.ingest.column_names import ROLES
from eventabs.ingest.columns import (
    behavior_columns,
    marker_columns,
    profile_columns as find_profile_columns,
    with_marker,
)
from eventabs.ingest.database import as_glob, errors_named, fetched, give_back_memory, scratch_database
from eventabs.ingest.files import FileStamp
from eventabs.ingest.formats import Format, open_file
from eventabs.ingest.groups import UserGroup, behaviors_of, grouped, prefetched
from eventabs.ingest.object_copies import copied, plan_copies
from eventabs.language import gettext as _
from eventabs.records import Copying, GroupUser, RejectedRow, UserLog
from eventabs.stop import Stop


@dataclass(frozen=True, slots=True)
class Export:
    """Files that have been read to their end. Good only inside `open_export`.

    `fingerprint` is the sha256 of the files' contents, of objects in stores that of their ETags and sizes; `stamps` tell of
    each file, the profiles too, whether it changes later. `roles` tells for each file which column was taken for which
    role; `reasons` counts the rejected rows by reason, the most frequent first.
    Duplicates are equal in the columns `compared`; `not_compared` are those of the files that were left out.
    Rows in = behaviors + rejected_rows + duplicates + paired_ends. `unpaired` are behaviors: begins without an end,
    ends without a begin; and so are `shortened`: they have a text of which prompts hold the first 200 characters.
    """

    files: tuple[str, ...]
    fingerprint: str
    stamps: tuple[FileStamp, ...]
    roles: dict[str, dict[str, str]]
    users: int
    behaviors: int
    reasons: dict[str, int]
    duplicates: int
    compared: tuple[str, ...]
    not_compared: tuple[str, ...]
    paired_ends: int
    unpaired: int
    shortened: int
    encodings: dict[str, str]
    _connection: duckdb.DuckDBPyConnection
    _with_offset: bool
    _profile_names: tuple[str, ...]
    _sources: tuple[Format, ...]

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

    def groups(self, most_users: int = 0) -> Iterator[UserGroup]:
        """Yield all users, or the first so many, in the same order, as groups that can be summed up without logs."""
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
            f" WHERE reason <> '{tables.DUPLICATE}' ORDER BY 1, 2"
        )
        with errors_named("the export"), closing(self._connection.cursor()) as cursor:
            cursor.execute(query)
            for index, rows in groupby(fetched(cursor), key=lambda row: row[0]):
                texts = self._sources[index].texts()
                for _file, line, reason, user_id in rows:
                    text = next(text for number, text in texts if number == line)
                    yield RejectedRow(self.files[index], line, reason, text, user_id)


class _Behaviors:
    """The files of behaviors, and which of their columns has which role."""

    def __init__(
        self,
        paths: Sequence[str],
        opened: Callable[..., Format],
        columns: Mapping[str, str],
        technical: Collection[str],
    ) -> None:
        self._opened = opened
        self._columns = columns
        self._technical = technical
        self._markers: set[str] = set()
        self.sources = [opened(path) for path in paths]
        self.roles = self._find_roles(self.sources)

    def load(self, insert: Callable[..., int], *, encoding: str, strict: bool) -> None:
        """Read all files through `insert`, which takes the number of the file and the query of its rows."""
        for index, source in enumerate(self.sources):
            try:
                self._load(index, insert, strict=strict)
            except files.NotUtf8Error:
                if encoding:
                    raise
                self.sources[index] = self._opened(source.file.path, not_utf8=True)
                (self.roles[index],) = self._find_roles([self.sources[index]])
                self._load(index, insert, strict=strict)

    def _load(self, index: int, insert: Callable[..., int], *, strict: bool) -> None:
        source = self.sources[index]
        source.file.stop.check()
        names = {column: role for role, column in self.roles[index].items()}
        compared = [column if column in source.columns else "" for column in sorted(self.compared()[0])]
        others = {column: f"other{number}" for number, column in enumerate(compared) if column}
        names = {**others, **names}
        wanted = [(role, self.roles[index].get(role, "")) for role in ROLES]
        wanted += [(name, column) for column, name in others.items() if names[column] == name]
        inserted = partial(
            insert,
            index,
            compared=[names.get(column, "") for column in compared],
            strict=source if strict else None,
        )
        tables.load(source, wanted, inserted, strict=strict)

    def compared(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the columns of all files that tell rows apart, and those that do not."""
        columns = dict.fromkeys(column for source in self.sources for column in source.columns)
        return (
            tuple(column for column in columns if column not in self._technical),
            tuple(column for column in columns if column in self._technical),
        )

    def _find_roles(self, sources: Sequence[Format]) -> list[dict[str, str]]:
        found = [behavior_columns(each.file.path, each.columns, self._columns) for each in sources]
        named = self._columns.get("marker", "")
        self._markers |= marker_columns(list(zip(sources, found, strict=True)), named)
        return [with_marker(each, self._markers) for each in found]


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
    technical: Collection[str] = (),
    strict: bool = False,
    stop: Stop = Stop(),
    on_copy: Callable[[Copying], object] = lambda _copying: None,
) -> Iterator[Export]:
    """Read the files, globs and addresses `paths` to their end, and `profiles` if it is not "".

    `encoding` is a codec of Python's ("" finds it), `header` names the columns of CSV files that have none.
    Rows that differ in a column other than those `technical` are no duplicates.
    `columns` maps roles to column names ("" finds them); `timezone` is a name or "". `strict`: the first row that
    cannot be read is an InputError, raised soon after it is reached. Scratch files live in
    `work_dir`/reading.tmp while the export is open, copies of objects in `work_dir`/objects.tmp; `on_copy` hears how
    far these are. Raises InputError, ConfigError for zone and encoding, and StopRequested at a requested `stop`.
    """
    copies = plan_copies(paths, profiles, work_dir / "objects.tmp")
    profile_paths = (*files.expand([profiles] if profiles else []), *copies.profiles)
    if len(profile_paths) > 1:
        message = _("{path} names {count} files; the profiles are one file with a row for each user")
        raise InputError(message.format(path=profiles, count=len(profile_paths)))
    named = (*files.expand(paths, profile_paths), *copies.paths)
    folder = work_dir / "reading.tmp"
    # a name that is read as a glob is checked as the glob and as the file that it matches
    readable = {form for path in [*named, *profile_paths] for form in (path, as_glob(path))}
    with (
        copied(copies, stop=stop, on_copy=on_copy),
        scratch_database(folder, sorted(readable), stop) as connection,
    ):
        tables.check_zone(connection, timezone)
        encodings.check_codec(encoding)
        opened = partial(open_file, connection, folder=folder, encoding=encoding, columns=columns, stop=stop)
        behaviors = _Behaviors(named, partial(opened, header=header), columns, technical)
        profile = opened(*profile_paths) if profile_paths else None
        user, shown = "", list[tuple[str, str]]()
        if profile:
            user, shown = find_profile_columns(
                profile.file.path, profile.columns, columns.get("user", ""), profile_columns
            )
        tables.prepare(connection, len(shown))
        insert = partial(tables.insert_behaviors, connection, zone=timezone, dayfirst=dayfirst)
        behaviors.load(insert, encoding=encoding, strict=strict)
        if profile:
            wanted = [("user", user), *((f"p{n}", column) for n, (_name, column) in enumerate(shown))]
            tables.load(profile, wanted, partial(tables.insert_profiles, connection, len(shown)))
        with errors_named("the export"):
            counts = tables.finish(connection, len(shown), keep_duplicates=keep_duplicates)
            give_back_memory(connection)
        read = [each.file for each in (*behaviors.sources, profile) if each]
        compared, not_compared = behaviors.compared()
        names = tuple(map(copies.name, named))
        yield Export(
            files=names,
            fingerprint=files.fingerprint(copies.identity(file.path) or file.content.sha256 for file in read),
            stamps=tuple(
                files.stamp(file.path, file.content.sha256 if file.text == file.path else None)
                for file in read
                if file.path not in copies.objects
            ),
            roles=dict(zip(names, behaviors.roles, strict=True)),
            users=counts.users,
            behaviors=counts.behaviors,
            reasons=counts.rejects,
            duplicates=counts.duplicates,
            compared=compared,
            not_compared=not_compared,
            paired_ends=counts.paired_ends,
            unpaired=counts.unpaired,
            shortened=counts.shortened,
            encodings={name: each.file.encoding for name, each in zip(names, behaviors.sources, strict=True)},
            _connection=connection,
            _with_offset=counts.with_offset,
            _profile_names=tuple(name for name, _column in shown),
            _sources=tuple(behaviors.sources),
        )
