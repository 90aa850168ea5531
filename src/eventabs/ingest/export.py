"""An opened export: its counts, its users' logs and its rejected rows."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import duckdb

from eventabs.errors import InputError
from eventabs.ingest import archives, encodings, files, tables
from eventabs.ingest.behavior_files import BehaviorFiles
from eventabs.ingest.candidates import ColumnChoice, profile_warnings
from eventabs.ingest.columns import (
    profile_columns as find_profile_columns,
    user_of_file,
)
from eventabs.ingest.database import as_glob, errors_named, fetched, give_back_memory, scratch_database
from eventabs.ingest.description import Description, describe
from eventabs.ingest.files import FileStamp
from eventabs.ingest.formats import Format, InputFile, open_file
from eventabs.ingest.groups import UserGroup, behaviors_of, grouped, prefetched
from eventabs.ingest.objects import copied, plan_copies
from eventabs.ingest.schemas import SchemaChoice
from eventabs.language import gettext as _
from eventabs.records import Copying, DurationUnit, GroupUser, RejectedRow, Shard, UserLog
from eventabs.stop import Stop


@dataclass(frozen=True, slots=True)
class Export:
    """Files that were read to their end. Valid only inside `open_export`.

    `fingerprint` is the sha256 of the files' contents (for objects in stores, of their ETags and sizes); `stamps` show
    whether a file, or the profiles, changes later. `roles` has for each file the column of each role,
    `schemas` the tool that exported it ("" for none), `description` both in short, with what looks wrong;
    `reasons` counts the rejected rows by reason, the most frequent first.
    Duplicates are equal in the columns `compared`; `not_compared` are the other columns.
    Rows in = behaviors + rejected_rows + duplicates + paired_ends + non_behaviors. `unpaired` are behaviors: begins
    without an end, ends without a begin. So are `shortened`: prompts have the first 200 characters of their text.
    `skipped_lines` are titles above and sums below the rows. Of a shard, `other_rows` are those of other shards, and
    `rows_without_user` those of the whole input, which the first shard has.
    """

    files: tuple[str, ...]
    fingerprint: str
    stamps: tuple[FileStamp, ...]
    roles: dict[str, dict[str, str]]
    schemas: dict[str, str]
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
    non_behaviors: int
    shard: Shard | None
    other_rows: int
    rows_without_user: int
    encodings: dict[str, str]
    _connection: duckdb.DuckDBPyConnection
    _with_offset: bool
    _profile_names: tuple[str, ...]
    _sources: tuple[Format, ...]

    @property
    def rejected_rows(self) -> int:
        """Number of rows that could not be read."""
        return sum(self.reasons.values())

    @property
    def rows(self) -> int:
        """Number of rows in the files, without blank lines."""
        return self.behaviors + self.rejected_rows + self.duplicates + self.paired_ends + self.non_behaviors

    def user_logs(self) -> Iterator[UserLog]:
        """Yield every user's log, ordered by user_id; behaviors ordered by time, file and line.

        A user without a readable row has a log without behaviors.
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
        """Yield all users, or the first N, in the same order, as groups that are summed up without logs."""
        with errors_named("the export"), closing(self._connection.cursor()) as user_cursor:
            users = islice(self._users(user_cursor), most_users or None)
            yield from prefetched(self._connection, grouped(users), with_offset=self._with_offset)

    def user_ids(self) -> Iterator[str]:
        """Yield the ids of all users, in the order of `user_logs`."""
        with errors_named("the export"), closing(self._connection.cursor()) as cursor:
            cursor.execute("SELECT user_id FROM users")
            yield from (user_id for (user_id,) in fetched(cursor))

    def span(self) -> tuple[int, int] | None:
        """Return the starts of the first and the last behavior in seconds since 1970 (wall time if times have no offset), None without behaviors."""
        with errors_named("the export"), closing(self._connection.cursor()) as cursor:
            return tables.span(cursor)

    def _users(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[GroupUser]:
        names = self._profile_names
        columns = "".join(f", p{position}" for position in range(len(names)))
        cursor.execute(f"SELECT user_id, readable, first_row, last_row{columns} FROM users")
        for user_id, readable, first_row, last_row, *values in fetched(cursor):
            profile = tuple(pair for pair in zip(names, values, strict=True) if pair[1] is not None)
            yield GroupUser(user_id, readable, first_row, last_row, profile)

    def rejects(self) -> Iterator[RejectedRow]:
        """Yield the rejected rows by file and line, with their text."""
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


def _stamps(read: Sequence[InputFile]) -> tuple[FileStamp, ...]:
    """Return the stamps of the files that were read, one for each archive."""
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
    schema: str = "",
    shard: Shard | None = None,
    stop: Stop = Stop(),
    on_copy: Callable[[Copying], object] = lambda _copying: None,
) -> Iterator[Export]:
    """Read the files, globs and addresses `paths` to their end, and `profiles` if it is not "".

    `encoding` is a codec of Python's ("" finds it), `header` names the columns of CSV files that have none.
    Rows that differ in a column other than those `technical`, and those of the schema, are no duplicates.
    `user` is whose files they are ("": a column says it), `sheet` and `table` what is read of workbooks and databases.
    `columns` maps roles to columns or paths ("" finds them), `schema` is a tool's name, "none", a TOML file of the user's own,
    or "" (found by the fields); `timezone` is a name or ""; `duration_unit` is that of durations that are plain numbers. `strict`: the first row that
    cannot be read is an InputError, raised soon after it is reached. `shard`: only the rows of its users are kept, and
    with the first one those without a user. Scratch files live in
    `work_dir`/reading.tmp while the export is open, copies of objects in `work_dir`/objects.tmp; `on_copy` hears how
    far these are. Raises InputError, ConfigError for zone and encoding, and StopRequested at a requested `stop`.
    """
    local_profiles = files.expand([profiles] if profiles else [])
    local = files.expand(paths, local_profiles)
    copies = plan_copies(paths, profiles, work_dir / "objects.tmp")
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
        schema_choice = SchemaChoice(schema)
        times = schema_choice.times | ({columns["time"]} if columns.get("time") else set())
        opened = partial(
            open_file, connection, folder=folder, encoding=encoding, columns=columns, times=times, stop=stop
        )
        profile = opened(*profile_paths) if profile_paths else None
        profile_user, shown = "", list[tuple[str, str]]()
        if profile:
            profile_user, shown = find_profile_columns(
                profile.file.path, profile.columns, columns.get("user", ""), profile_columns
            )
        tables.prepare(connection, len(shown))
        choice = ColumnChoice(connection, columns)
        parts = {"header": header, "sheet": sheet, "table": table, "user": user}
        behaviors = BehaviorFiles(
            named,
            partial(opened, headers=schema_choice.headers, **parts),
            schema_choice,
            choice,
            technical=technical,
            users=[user_of_file(copies.name(path).partition("?")[0], user) for path in named],
        )
        insert = partial(
            tables.insert_behaviors,
            connection,
            zone=timezone,
            dayfirst=dayfirst,
            duration_unit=duration_unit,
            shard=shard,
        )
        behaviors.load(insert, encoding=encoding, strict=strict)
        if profile:
            wanted = [("user", profile_user), *((f"p{n}", column) for n, (_name, column) in enumerate(shown))]
            tables.load(profile, wanted, partial(tables.insert_profiles, connection, len(shown)))
        names = tuple(copies.name(each.file.path) for each in behaviors.sources)
        with errors_named("the export"):
            counts = tables.finish(connection, len(shown), keep_duplicates=keep_duplicates)
            if profile:
                choice.warnings += profile_warnings(connection, profile, profile_columns, shown)
            mapped = behaviors.mapped(names)
            description = describe(connection, mapped, choice.warnings, zone=timezone)
            give_back_memory(connection)
        read = [each.file for each in (*behaviors.sources, profile) if each]
        compared, not_compared = behaviors.compared()
        yield Export(
            files=names,
            fingerprint=files.fingerprint(
                [*behaviors.digests(copies), *([copies.content(profile.file).sha256] if profile else [])]
            ),
            stamps=_stamps([file for file in read if not copies.holds(file.path)]),
            roles=dict(zip(names, behaviors.roles, strict=True)),
            schemas={each.name: each.schema for each in mapped},
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
            # they are nobody's, as rows without a user are
            skipped_lines=0
            if shard and shard.index
            else sum(each.skipped_lines for each in behaviors.sources),
            non_behaviors=counts.non_behaviors,
            shard=shard,
            other_rows=counts.other_rows,
            rows_without_user=counts.rows_without_user,
            encodings={name: each.file.encoding for name, each in zip(names, behaviors.sources, strict=True)},
            _connection=connection,
            _with_offset=counts.with_offset,
            _profile_names=tuple(name for name, _column in shown),
            _sources=tuple(behaviors.sources),
        )
