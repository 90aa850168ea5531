"""An opened export: its counts, its users' logs and the rows that could not be read."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import archives, encodings, files, tables
from eventabs.ingest.candidates import ColumnChoice, profile_warnings
from eventabs.ingest.column_names import ROLES
from eventabs.ingest.columns import (
    marker_columns,
    profile_columns as find_profile_columns,
    user_of_file,
    with_marker,
)
from eventabs.ingest.database import as_glob, errors_named, fetched, give_back_memory, scratch_database
from eventabs.ingest.description import Description, describe
from eventabs.ingest.files import FileStamp
from eventabs.ingest.formats import Format, InputFile, Query, open_file
from eventabs.ingest.groups import UserGroup, behaviors_of, grouped, prefetched
from eventabs.language import gettext as _
from eventabs.records import DurationUnit, GroupUser, RejectedRow, UserLog
from eventabs.stop import Stop


@dataclass(frozen=True, slots=True)
class Export:
    """Files that have been read to their end. Good only inside `open_export`.

    `fingerprint` is the sha256 of the files' contents; `stamps` tell of each, the profiles too, whether it changes
    later. `roles` tells for each file which column was taken for which role, `description` the same in short, with what looks wrong; `reasons` counts the rejected rows by reason, the most frequent first.
    Duplicates are equal in the columns `compared`; `not_compared` are those of the files that were left out.
    Rows in = behaviors + rejected_rows + duplicates + paired_ends. `unpaired` are behaviors: begins without an end,
    ends without a begin; and so are `shortened`: they have a text of which prompts hold the first 200 characters.
    `skipped_lines` are titles and sums, above and below the rows.
    """

    files: tuple[str, ...]
    fingerprint: str
    stamps: tuple[FileStamp, ...]
    roles: dict[str, dict[str, str]]
    description: Description
    users: int
    behaviors: int
    reasons: dict[str, int]
    duplicates: int
    compared: tuple[str, ...]
    not_compared: tuple[str, ...]
    paired_ends: int
    unpaired: int
    shortened: int
    skipped_lines: int
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
        choice: ColumnChoice,
        *,
        technical: Collection[str],
        user: str,
    ) -> None:
        self._opened = opened
        self._users = [user_of_file(path, user) for path in paths]
        self._columns = columns
        self._choice = choice
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
        user, columns = self._users[index], [names.get(column, "") for column in compared]

        def insert_rows(query: Query) -> int:
            return insert(index, query.of_user(user), compared=columns, strict=source if strict else None)

        tables.load(source, wanted, insert_rows, strict=strict)

    def compared(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the columns of all files that tell rows apart, and those that do not."""
        columns = dict.fromkeys(column for source in self.sources for column in source.columns)
        return (
            tuple(column for column in columns if column not in self._technical),
            tuple(column for column in columns if column in self._technical),
        )

    def contents(self) -> list[files.Content]:
        """Return what was read, each file with the user that its name gives it."""
        contents = [each.file.content for each in self.sources]
        return [each.of_user(user) for each, user in zip(contents, self._users, strict=True)]

    def _find_roles(self, sources: Sequence[Format]) -> list[dict[str, str]]:
        found = [self._choice.roles(each) for each in sources]
        named = self._columns.get("marker", "")
        self._markers |= marker_columns(list(zip(sources, found, strict=True)), named)
        return [with_marker(each, self._markers) for each in found]


def _stamps(read: Sequence[InputFile]) -> tuple[FileStamp, ...]:
    """Return the stamps of the files that were read, of an archive once."""
    known = {
        archives.file_of(each.path): each.content.sha256 if each.text == each.path else None for each in read
    }
    return tuple(files.stamp(path, sha256) for path, sha256 in known.items())


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
    duration_unit: DurationUnit = "s",
    header: Sequence[str] = (),
    technical: Collection[str] = (),
    user: str = "",
    sheet: str = "",
    table: str = "",
    strict: bool = False,
    stop: Stop = Stop(),
) -> Iterator[Export]:
    """Read the files and globs `paths` to their end, and the file `profiles` if it is not "".

    `encoding` is a codec of Python's ("" finds it), `header` names the columns of CSV files that have none.
    Rows that differ in a column other than those `technical` are no duplicates.
    `user` is whose files they are ("": a column says it), `sheet` and `table` what is read of workbooks and databases.
    `columns` maps roles to column names ("" finds them); `timezone` is a name or ""; `duration_unit` is that of
    durations that are plain numbers. `strict`: the first row that
    cannot be read is an InputError, raised soon after it is reached. Scratch files live in
    `work_dir`/reading.tmp while the export is open. Raises InputError, ConfigError for zone and encoding, and
    StopRequested at a requested `stop`.
    """
    profile_paths = files.expand([profiles]) if profiles else ()
    if len(profile_paths) > 1:
        message = _("{path} names {count} files; the profiles are one file with a row for each user")
        raise InputError(message.format(path=profiles, count=len(profile_paths)))
    named = files.expand(paths, profile_paths)
    folder = work_dir / "reading.tmp"
    # a name that is read as a glob is checked as the glob and as the file that it matches
    readable = {form for path in [*named, *profile_paths] for form in (path, as_glob(path))}
    with scratch_database(folder, sorted(readable), stop) as connection:
        tables.check_zone(connection, timezone)
        encodings.check_codec(encoding)
        opened = partial(open_file, connection, folder=folder, encoding=encoding, columns=columns, stop=stop)
        profile = opened(*profile_paths) if profile_paths else None
        profile_user, shown = "", list[tuple[str, str]]()
        if profile:
            profile_user, shown = find_profile_columns(
                profile.file.path, profile.columns, columns.get("user", ""), profile_columns
            )
        tables.prepare(connection, len(shown))
        choice = ColumnChoice(connection, columns)
        parts = {"header": header, "sheet": sheet, "table": table, "has_user": bool(user)}
        behaviors = _Behaviors(
            named, partial(opened, **parts), columns, choice, technical=technical, user=user
        )
        insert = partial(
            tables.insert_behaviors, connection, zone=timezone, dayfirst=dayfirst, duration_unit=duration_unit
        )
        behaviors.load(insert, encoding=encoding, strict=strict)
        if profile:
            wanted = [("user", profile_user), *((f"p{n}", column) for n, (_name, column) in enumerate(shown))]
            tables.load(profile, wanted, partial(tables.insert_profiles, connection, len(shown)))
        with errors_named("the export"):
            counts = tables.finish(connection, len(shown), keep_duplicates=keep_duplicates)
            if profile:
                choice.warnings += profile_warnings(connection, profile, profile_columns, shown)
            description = describe(
                connection, behaviors.sources, behaviors.roles, choice.warnings, zone=timezone
            )
            give_back_memory(connection)
        read = [each.file for each in (*behaviors.sources, profile) if each]
        compared, not_compared = behaviors.compared()
        yield Export(
            files=named,
            fingerprint=files.fingerprint(
                [*behaviors.contents(), *([profile.file.content] if profile else [])]
            ),
            stamps=_stamps(read),
            roles=dict(zip(named, behaviors.roles, strict=True)),
            description=description,
            users=counts.users,
            behaviors=counts.behaviors,
            reasons=counts.rejects,
            duplicates=counts.duplicates,
            compared=compared,
            not_compared=not_compared,
            paired_ends=counts.paired_ends,
            unpaired=counts.unpaired,
            shortened=counts.shortened,
            skipped_lines=sum(each.skipped_lines for each in behaviors.sources),
            encodings={each.file.path: each.file.encoding for each in behaviors.sources},
            _connection=connection,
            _with_offset=counts.with_offset,
            _profile_names=tuple(name for name, _column in shown),
            _sources=tuple(behaviors.sources),
        )
