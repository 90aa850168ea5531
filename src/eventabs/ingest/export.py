"""An opened export: its counts, its users' logs and the rows that could not be read."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import archives, encodings, files, tables
from eventabs.ingest.column_names import ROLES
from eventabs.ingest.columns import (
    behavior_columns,
    marker_columns,
    profile_columns as find_profile_columns,
    user_of_file,
    with_marker,
)
from eventabs.ingest.database import as_glob, errors_named, fetched, give_back_memory, scratch_database
from eventabs.ingest.files import FileStamp
from eventabs.ingest.formats import Format, InputFile, Query, Wanted, open_file
from eventabs.ingest.groups import UserGroup, behaviors_of, grouped, prefetched
from eventabs.ingest.object_copies import Copies, copied, plan_copies
from eventabs.ingest.schema import FileSchema, SchemaChoice
from eventabs.language import gettext as _
from eventabs.records import Copying, GroupUser, RejectedRow, UserLog
from eventabs.stop import Stop


@dataclass(frozen=True, slots=True)
class Export:
    """Files that have been read to their end. Good only inside `open_export`.

    `fingerprint` is the sha256 of the files' contents, of objects in stores that of their ETags and sizes; `stamps` tell of
    each file, the profiles too, whether it changes later. `roles` tells for each file which column was taken for which
    role, `schemas` which tool's export it is ("" for none); `reasons` counts the rejected rows by reason, the most frequent first.
    Duplicates are equal in the columns `compared`; `not_compared` are those of the files that were left out.
    Rows in = behaviors + rejected_rows + duplicates + paired_ends + non_behaviors. `unpaired` are behaviors: begins
    without an end, ends without a begin; and so are `shortened`: they have a text of which prompts hold the first 200 characters.
    `skipped_lines` are titles and sums, above and below the rows.
    """

    files: tuple[str, ...]
    fingerprint: str
    stamps: tuple[FileStamp, ...]
    roles: dict[str, dict[str, str]]
    schemas: dict[str, str]
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
    non_behaviors: int
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
        return self.behaviors + self.rejected_rows + self.duplicates + self.paired_ends + self.non_behaviors

    @property
    def schema_names(self) -> tuple[str, ...]:
        """The names of the files' schemas, each once."""
        return tuple(dict.fromkeys(name for name in self.schemas.values() if name))

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
        choice: SchemaChoice,
        *,
        technical: Collection[str],
        users: Sequence[str],
    ) -> None:
        self._opened = opened
        self._users = users
        self._columns = columns
        self._technical = technical
        self._choice = choice
        self._markers: set[str] = set()
        self._schemas: dict[str, FileSchema] = {}
        self.sources = [opened(path) for path in paths]
        self.roles = self._find_roles(self.sources)

    def schema_name(self, path: str) -> str:
        """Return the name of a file's schema, "" without one."""
        return self._schemas[path].schema.name if path in self._schemas else ""

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
        compared = [column if column in source.columns else "" for column in sorted(self.compared()[0])]
        others = {column: f"other{number}" for number, column in enumerate(compared) if column}
        schema = self._schemas.get(source.file.path)
        wanted: Wanted
        if schema:
            names = others
            wanted = [*schema.wanted, *((name, column) for column, name in others.items())]
        else:
            names = {**others, **{column: role for role, column in self.roles[index].items()}}
            wanted = [(role, self.roles[index].get(role, "")) for role in ROLES]
            wanted += [(name, column) for column, name in others.items() if names[column] == name]
        user, columns = self._users[index], [names.get(column, "") for column in compared]

        def insert_rows(query: Query) -> int:
            rows = schema.select(query, list(others.values())) if schema else query
            return insert(index, rows.of_user(user), compared=columns, strict=source if strict else None)

        tables.load(source, wanted, insert_rows, strict=strict)

    def compared(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the columns of all files that tell rows apart, and those that do not."""
        columns = dict.fromkeys(column for source in self.sources for column in source.columns)
        known = (column for each in self._schemas.values() for column in each.schema.technical)
        technical = {*self._technical, *known}
        return (
            tuple(column for column in columns if column not in technical),
            tuple(column for column in columns if column in technical),
        )

    def digests(self, copies: Copies) -> list[bytes]:
        """Return what identifies each file that was read, with the user that its name gives it."""
        contents = (copies.content(each.file) for each in self.sources)
        return [each.of_user(user).sha256 for each, user in zip(contents, self._users, strict=True)]

    def _find_roles(self, sources: Sequence[Format]) -> list[dict[str, str]]:
        named = self._columns.get("marker", "")
        found: dict[str, dict[str, str]] = {}
        for source in sources:
            path = source.file.path
            has_user = source.file.has_user
            if schema := self._choice.of_file(path, source.inventory, self._columns, has_user=has_user):
                self._schemas[path] = schema
                found[path] = schema.roles
            else:
                found[path] = behavior_columns(path, source.inventory, self._columns, has_user=has_user)
        others = [(each, found[each.file.path]) for each in sources if each.file.path not in self._schemas]
        self._markers |= marker_columns(others, named)
        return [
            roles if path in self._schemas else with_marker(roles, self._markers)
            for path, roles in found.items()
        ]


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
    header: Sequence[str] = (),
    technical: Collection[str] = (),
    user: str = "",
    sheet: str = "",
    table: str = "",
    strict: bool = False,
    schema: str = "",
    stop: Stop = Stop(),
    on_copy: Callable[[Copying], object] = lambda _copying: None,
) -> Iterator[Export]:
    """Read the files, globs and addresses `paths` to their end, and `profiles` if it is not "".

    `encoding` is a codec of Python's ("" finds it), `header` names the columns of CSV files that have none.
    Rows that differ in a column other than those `technical`, and those of the schema, are no duplicates.
    `user` is whose files they are ("": a column says it), `sheet` and `table` what is read of workbooks and databases.
    `columns` maps roles to columns or paths ("" finds them), `schema` is a tool's name, "none", a TOML file of the user's own,
    or "" (found by the fields); `timezone` is a name or "". `strict`: the first row that
    cannot be read is an InputError, raised soon after it is reached. Scratch files live in
    `work_dir`/reading.tmp while the export is open, copies of objects in `work_dir`/objects.tmp; `on_copy` hears how
    far these are. Raises InputError, ConfigError for zone and encoding, and StopRequested at a requested `stop`.
    """
    copies = plan_copies(paths, profiles, work_dir / "objects.tmp")
    local_profiles = files.expand([profiles] if profiles else [])
    local = files.expand(paths, local_profiles)
    folder = work_dir / "reading.tmp"
    with ExitStack() as stack:
        stack.enter_context(copied(copies, stop=stop, on_copy=on_copy))
        named = (*local, *copies.unpacked(copies.paths))
        profile_paths = (*local_profiles, *copies.unpacked(copies.profiles))
        if len(profile_paths) > 1:
            message = _("{path} names {count} files; the profiles are one file with a row for each user")
            raise InputError(message.format(path=profiles, count=len(profile_paths)))
        # a name that is read as a glob is checked as the glob and as the file that it matches
        readable = {form for path in [*named, *profile_paths] for form in (path, as_glob(path))}
        connection = stack.enter_context(scratch_database(folder, sorted(readable), stop))
        tables.check_zone(connection, timezone)
        encodings.check_codec(encoding)
        choice = SchemaChoice(schema)
        times = choice.times | ({columns["time"]} if columns.get("time") else set())
        opened = partial(
            open_file, connection, folder=folder, encoding=encoding, columns=columns, times=times, stop=stop
        )
        parts = {"header": header, "sheet": sheet, "table": table, "has_user": bool(user)}
        parts["headers"] = choice.headers
        behaviors = _Behaviors(
            named,
            partial(opened, **parts),
            columns,
            choice,
            technical=technical,
            users=[user_of_file(copies.name(path).partition("?")[0], user) for path in named],
        )
        profile = opened(*profile_paths) if profile_paths else None
        key, shown = "", list[tuple[str, str]]()
        if profile:
            key, shown = find_profile_columns(
                profile.file.path, profile.columns, columns.get("user", ""), profile_columns
            )
        tables.prepare(connection, len(shown))
        insert = partial(tables.insert_behaviors, connection, zone=timezone, dayfirst=dayfirst)
        behaviors.load(insert, encoding=encoding, strict=strict)
        if profile:
            wanted = [("user", key), *((f"p{n}", column) for n, (_name, column) in enumerate(shown))]
            tables.load(profile, wanted, partial(tables.insert_profiles, connection, len(shown)))
        with errors_named("the export"):
            counts = tables.finish(connection, len(shown), keep_duplicates=keep_duplicates)
            give_back_memory(connection)
        read = [each.file for each in (*behaviors.sources, profile) if each]
        compared, not_compared = behaviors.compared()
        names = tuple(map(copies.name, named))
        yield Export(
            files=names,
            fingerprint=files.fingerprint(
                [*behaviors.digests(copies), *([copies.content(profile.file).sha256] if profile else [])]
            ),
            stamps=_stamps([file for file in read if not copies.holds(file.path)]),
            roles=dict(zip(names, behaviors.roles, strict=True)),
            schemas={name: behaviors.schema_name(path) for name, path in zip(names, named, strict=True)},
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
            non_behaviors=counts.non_behaviors,
            encodings={name: each.file.encoding for name, each in zip(names, behaviors.sources, strict=True)},
            _connection=connection,
            _with_offset=counts.with_offset,
            _profile_names=tuple(name for name, _column in shown),
            _sources=tuple(behaviors.sources),
        )
