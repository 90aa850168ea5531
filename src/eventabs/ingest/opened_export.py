"""An opened export: its files and their roles, its counts, its users' logs, sums over them, the rows that cannot be read, and what a model is shown of it."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import timedelta, timezone
from functools import cache, partial
from itertools import chain, cycle, groupby, islice, pairwise
from operator import itemgetter
from os.path import commonprefix
from pathlib import Path
from typing import Any, Final

import duckdb

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import files_archives_encodings as files, roles_of_columns as roles, sort_and_pair
from eventabs.ingest.columns_by_their_values import ALIKE, SURE, Profile, profiles
from eventabs.ingest.columns_rows_and_warnings_shown import Description, broken_texts, describe
from eventabs.ingest.files_archives_encodings import FileStamp
from eventabs.ingest.formats import open_file
from eventabs.ingest.formats.base import Format
from eventabs.ingest.input_settings import InputSettings
from eventabs.ingest.normal_form import check_zone, define_words, errors_named, fetched, scratch_database, sql
from eventabs.ingest.object_and_table_copies import Copies, OnCopy, copied
from eventabs.ingest.roles_and_known_schemas import Reading, SchemaChoice
from eventabs.interface_language import gettext as _
from eventabs.shared_records import THING, ActivityName, Behavior, GroupUser, RejectedRow, Shard, UserLog
from eventabs.stop_request import Stop


def _readings(sources: Sequence[Format], schemas: SchemaChoice, copies: Copies) -> list[Reading]:
    """Return how each file is read, and define the words of all. Raises InputError and ConfigError."""
    settings = sources[0].file.settings
    for source in sources:
        if any(set(source.columns) >= made for made in files.MADE_COLUMNS):
            message = _(
                "{path} holds events that eventabs has made, not behaviors; name the export that they were made from,"
                " or look at them with eventabs show"
            )
            raise InputError(message.format(path=source.file.path))
        roles.refuse_unnamed(source)
        roles.refuse_absent_columns(source)
    of_tools = {source: schemas.of_file(source, copies) for source in sources}
    chosen = roles.choices(source for source, reading in of_tools.items() if not reading)
    found = [reading or Reading(source, copies, chosen[source]) for source, reading in of_tools.items()]
    for each in found if settings.user else ():
        roles.refuse_one_user(each.source, each.user_columns if each.schema.name else None)
    known_roles = {role for each in found for role in each.known_roles}
    define_words(sources[0].file.connection, known_roles, settings.names)
    return found


# DuckDB sums up a group of users at a time, so that memory holds one group, whatever the size of the export. It sums
# costs of what recurs: names, durations, times of day and days, each known to Python once a group, not once a behavior.
_BEHAVIORS: Final = 300_000  # of a group, and those of its last user
# behaviors have whole seconds; the rest has sorted them
_FACTS: Final = "date_trunc('second', start), action, coalesce(item, text), place, duration, file, line, coalesce(text, '')"


_Logs = Callable[..., Iterator[UserLog]]  # of users, by a condition


class UserGroup:
    """Users that follow one another, numbered from 0. Good until the next group is taken. What recurs in it is named once."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, users: Sequence[GroupUser], logs: _Logs) -> None:
        self._cursor = cursor
        self._logs = logs
        self.users = users
        self._rows = f"rowid BETWEEN {users[0].first_row} AND {users[-1].last_row}"
        cursor.execute(sql("groups.sql", first=users[0].first_row, last=users[-1].last_row))
        # words that say their action themselves are written as a thing
        names = self._fetched(f"""
            SELECT CASE WHEN item IS NULL AND action <> '' THEN '{THING}' ELSE action END,
                coalesce(item, free_text), place, timed FROM group_names ORDER BY name""")
        self.names = list(map(ActivityName._make, names))  # known by their positions
        durations = "SELECT DISTINCT duration FROM group_rows WHERE duration IS NOT NULL"
        self.durations = [seconds for (seconds,) in self._fetched(durations)]
        # as in date.toordinal, with whether the user's active day before is of another year
        days = "SELECT day - DATE '0001-01-01' + 1, starts_year FROM day_kinds ORDER BY kind"
        self.days: list[tuple[int, bool]] = [(day, starts_year) for day, starts_year in self._fetched(days)]

    def logs(self, numbers: Collection[int]) -> Iterator[UserLog]:
        """Yield the logs of some users, in order."""
        wanted = [self.users[number] for number in sorted(numbers)]
        condition, values = self._rows, []
        if len(wanted) < len(self.users):
            condition += " AND user_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY rowid"
            values = [[user.user_id for user in wanted]]
        return self._logs(wanted, condition, *values)

    def costs(self, **pieces: list[int]) -> list[int]:
        """Add up what each user's days and behaviors cost, given what names (`bodies`), durations (`lasting`), `clocks` and `days` do."""
        costs = dict(self._fetched(sql("costs.sql"), {"durations": self.durations, **pieces}))
        return [int(costs.get(user, 0)) for user in range(len(self.users))]

    def users_of(self, names: Collection[int]) -> set[int]:
        """Return the users who have one of `names`."""
        query = "SELECT DISTINCT user_number FROM group_rows WHERE name IN (SELECT unnest(?::BIGINT[]))"
        return {user for (user,) in self._fetched(query, [list(names)])}

    def users_named(self, keys: Sequence[str | None]) -> set[int]:
        """Return the users whose key (by user, in lower case) occurs in a text of theirs, whatever its ASCII case."""
        common = commonprefix([key for key in keys if key is not None])  # noqa: RUF071  no paths; mostly no text has even that
        query = """SELECT DISTINCT user_number FROM group_rows JOIN group_names USING (name)
            JOIN (SELECT unnest(range(len($keys))) AS user_number, unnest($keys::VARCHAR[]) AS key) USING (user_number)
            WHERE contains(folded, $common) AND contains(folded, key)"""
        return {user for (user,) in self._fetched(query, {"keys": list(keys), "common": common})}

    def _fetched(self, query: str, values: object = None) -> list[tuple[Any, ...]]:
        return self._cursor.execute(query, values).fetchall()


class Export(sort_and_pair.RowCounts, kw_only=True):
    """Files that were read to their end. Valid only inside `open_export`."""

    files: tuple[str, ...]
    fingerprint: str  # the sha256 of the contents of files and objects
    stamps: tuple[FileStamp, ...]  # whether a file, or the profiles, changes later
    roles: dict[str, dict[str, str]]  # for each file the column of each role
    description: Description  # that in short, with what looks wrong
    compared: tuple[str, ...]  # columns, all but a schema's technical ones; duplicates are equal in them
    not_compared: tuple[str, ...]
    profile_left: tuple[str, ...]  # the profiles' columns that are not taken
    skipped_lines: int  # that are no rows: titles above, sums below, notices of a chat
    shard: Shard | None
    encodings: dict[str, str]
    _connection: duckdb.DuckDBPyConnection
    _profile_names: tuple[str, ...]
    _sources: tuple[Format, ...]

    @property
    def rejected_rows(self) -> int:
        """Number of rows that could not be read."""
        return sum(self.reasons.values())

    @property
    def non_behaviors(self) -> int:
        """Number of rows that are no behaviors by their schema."""
        return sum(self.left_out.values())

    @property
    def rows(self) -> int:
        """Number of rows in the files, without blank lines."""
        return self.behaviors + self.rejected_rows + self.duplicates + self.paired_ends + self.non_behaviors

    def user_logs(self) -> Iterator[UserLog]:
        """Yield every user's log, by user_id, also an empty one; behaviors are in order of time, file and line."""
        return self._logs(self._users())

    def groups(self, most_users: int = 0) -> Iterator[UserGroup]:
        """Yield all users, or the first N, in the same order, as groups that are summed up without logs."""
        with (
            errors_named("the export"),
            closing(self._connection.cursor()) as one,
            closing(self._connection.cursor()) as other,
            ThreadPoolExecutor(1) as thread,
        ):
            users = islice(self._users(), most_users or None)
            # a group are those whose rows begin in one block of some hundred thousand
            blocks = groupby(users, key=lambda user: user.first_row // _BEHAVIORS)
            made = (  # the next, while one is in use; a group's tables belong to its cursor
                thread.submit(UserGroup, cursor, list(group), self._logs)
                for cursor, (_block, group) in zip(cycle((one, other)), blocks)
            )
            for ready, _following in pairwise(chain(made, [Future()])):
                yield ready.result()

    def actions(self) -> Iterator[tuple[str, int]]:
        """Yield every action with its number of behaviors, the most frequent first."""
        return self._rows("""SELECT CAST(action AS VARCHAR), count(*) FROM behaviors WHERE reason IS NULL
            GROUP BY ALL ORDER BY 2 DESC, 1""")

    def user_ids(self) -> Iterator[str]:
        """Yield the ids of all users, in the order of `user_logs`."""
        return (user_id for (user_id,) in self._rows("SELECT user_id FROM users"))

    def span(self) -> tuple[int, int] | None:
        """Return the starts of the first and the last behavior in seconds since 1970 (wall time if times have no offset), None without behaviors."""
        at = sort_and_pair.INSTANT
        query = f"SELECT min({at}) // 1000000, max({at}) // 1000000 FROM behaviors WHERE reason IS NULL"
        ((first, last),) = self._rows(query)
        return None if first is None else (first, last)

    def _logs(self, users: Iterable[GroupUser], where: str = "TRUE", *values: object) -> Iterator[UserLog]:
        """Yield the logs of users, whose readable behaviors are those for which the SQL `where` holds."""
        offset = ", shift" if self.with_offset else ""
        query = f"SELECT {_FACTS}{offset} FROM behaviors WHERE reason IS NULL AND {where}"
        rows = self._rows(query, *values)
        behaviors: Iterator[Behavior] = map(Behavior._make, rows)
        if self.with_offset:
            zone = cache(lambda seconds: timezone(timedelta(seconds=seconds)))
            behaviors = (Behavior(row[0].replace(tzinfo=zone(row[8])), *row[1:8]) for row in rows)
        for user in users:
            yield UserLog(user.user_id, tuple(islice(behaviors, user.behaviors)), user.profile)

    def _rows(self, query: str, *values: object) -> Iterator[Any]:
        with errors_named("the export"), closing(self._connection.cursor()) as cursor:
            yield from fetched(cursor.execute(query, list(values)))

    def _users(self) -> Iterator[GroupUser]:
        for user_id, readable, first_row, last_row, *values in self._rows("FROM users"):
            pairs = zip(self._profile_names, values, strict=True)
            profile = tuple(pair for pair in pairs if pair[1] is not None)
            yield GroupUser(user_id, readable, first_row, last_row, profile)

    def rejects(self) -> Iterator[RejectedRow]:
        """Yield the rejected rows by file and line, with their text."""
        facts = "file, line, reason, coalesce(CAST(user_id AS VARCHAR), '')"
        query = f"SELECT {facts} FROM behaviors WHERE reason <> '{sort_and_pair.DUPLICATE}' ORDER BY 1, 2"
        with errors_named("the export"):
            for index, rows in groupby(self._rows(query), key=itemgetter(0)):
                texts = self._sources[index].texts()
                for _file, line, reason, user_id in rows:
                    text = next(text for number, text in texts if number == line)
                    yield RejectedRow(self.files[index], line, reason, text, user_id)


@contextmanager
def open_export(
    paths: Sequence[str],
    settings: InputSettings,
    profile_columns: Sequence[str] = (),
    *,
    work_dir: Path,
    stop: Stop = Stop(),
    on_copy: OnCopy = lambda _copying: None,
) -> Iterator[Export]:
    """Read the files, globs and addresses `paths` to their end by `settings`, and their profiles if these are named.

    Scratch files and copies of objects live in `work_dir` while the export is open; `on_copy` hears how far these are.
    Raises InputError, ConfigError for zone and encoding, and StopRequested at a requested `stop`.
    """
    profiles = settings.profiles
    shard = Shard.parse(settings.shard) if settings.shard else None
    folder = work_dir / "reading.tmp"
    with ExitStack() as stack:
        copies = stack.enter_context(copied(paths, profiles, work_dir / "objects.tmp", stop, on_copy))
        if len(copies.profiles) > 1:
            message = _("{path} names {count} files; the profiles are one file with a row for each user")
            raise InputError(message.format(path=profiles, count=len(copies.profiles)))
        connection = stack.enter_context(scratch_database(folder, (*copies.paths, *copies.profiles), stop))
        check_zone(settings.timezone, connection)
        files.check_codec(settings.encoding)  # before anything is unpacked
        schemas = SchemaChoice(settings)
        opened = partial(
            open_file, connection, folder=folder, headers=schemas.headers, times=schemas.times, stop=stop
        )
        # sheet, table and header are those of the rows
        of_people = InputSettings(encoding=settings.encoding, columns=settings.columns)
        profile = opened(*copies.profiles, settings=of_people) if copies.profiles else None
        profile_user, shown = roles.profile_columns(profile, profile_columns) if profile else ("", [])
        sort_and_pair.prepare(connection)
        sources = tuple(opened(path, settings=settings) for path in copies.paths)
        behaviors = _readings(sources, schemas, copies)
        technical = {column for each in behaviors for column in each.schema.technical}
        all_columns = dict.fromkeys(column for each in sources for column in each.columns)
        compared = tuple(column for column in all_columns if column not in technical)
        for index, each in enumerate(behaviors):
            sort_and_pair.load_behaviors(index, each, sorted(compared))
        if profile:
            wanted = [("user", profile_user), *((f"p{n}", column) for n, (_name, column) in enumerate(shown))]
            insert = partial(sort_and_pair.insert_profiles, connection, len(shown))
            sort_and_pair.load(profile, wanted, insert)
        with errors_named("the export"):
            counts = sort_and_pair.finish(connection, keep_duplicates=settings.keep_duplicates)
            warnings = [warning for each in behaviors for warning in each.choice.warnings]
            warnings += roles.profile_warnings(profile, profile_columns) if profile else ()
            read = [source.file for source in (*sources, profile) if source]
            warnings += broken_texts((copies.name(each.path), each) for each in read)
            description = describe(behaviors, counts, warnings)
            # rows are sorted: DuckDB would fill what it may with pages that are read once
            connection.execute("SET memory_limit = '250MB'; SET lock_configuration = true")
        on_disk = {  # one for each archive
            files.archive_and_member(each.path)[0]: each.content.sha256 if each.text == each.path else None
            for each in read
            if each.path == copies.name(each.path)
        }
        taken = (profile_user, *dict(shown).values())
        contents = [(each.source.file.content.sha256, each.user) for each in behaviors]
        contents += [(profile.file.content.sha256, "")] if profile else []
        yield Export(
            **asdict(counts),
            files=tuple(each.name for each in behaviors),
            fingerprint=files.fingerprint(contents),
            stamps=tuple(files.stamp(path, sha256) for path, sha256 in on_disk.items()),
            roles={each.name: each.roles for each in behaviors},
            description=description,
            compared=compared,
            not_compared=tuple(column for column in all_columns if column in technical),
            profile_left=tuple(each for each in (profile.columns if profile else ()) if each not in taken),
            # they are nobody's, as rows without a user are
            skipped_lines=0 if shard and shard.index else sum(each.skipped_lines for each in sources),
            shard=shard,
            encodings={each.name: each.source.file.encoding for each in behaviors},
            _connection=connection,
            _profile_names=tuple(name for name, _column in shown),
            _sources=sources,
        )


SHOWN_ROWS: Final = 20  # of these, spread evenly
_MOST: Final = 150  # columns and paths, those that are filled most
_LONGEST: Final = 80  # characters of a value
_INSIDE: Final = 4  # characters of an id that is masked inside other values too: "1" is everywhere
_KINDS: Final = {"stamp": "times", "day": "days", "clock": "times of day"}


def masked_sample(
    paths: Sequence[str], folder: Path, settings: InputSettings
) -> tuple[str, list[str], list[str]]:
    """Return the first file's columns and 20 rows as a text, the names given to columns without any, and other tables. Raises InputError."""
    path = files.expand(paths)[0]
    with scratch_database(folder / "reading.tmp", [path]) as connection:
        sort_and_pair.prepare(connection)
        headers = SchemaChoice(InputSettings()).headers
        source = open_file(connection, path, folder / "reading.tmp", settings, headers=headers)
        sample = list(islice(source.sample(), 1000))
        found = [each for each in profiles(source.inventory, sample, connection) if each.filled]
    often = sorted((each.filled for each in found), reverse=True)[:_MOST]
    shown = [each for each in found if each.filled >= often[-1]][:_MOST]
    texts = [json.dumps(row, ensure_ascii=False) for row in _masked_rows(found, shown)]
    others = [f"{name}: {', '.join(columns)}" for name, columns in source.left_tables.items()]
    other_tables = ["Other tables:", *others, ""] if others else []
    text = "\n".join([*other_tables, "Columns:", *map(_described, shown), "", "Rows:", *texts])
    return text, list(source.columns) if source.is_unnamed else [], list(source.left_tables)


def _described(each: Profile) -> str:
    kind = _KINDS[each.kind] if each.read > ALIKE else "text"
    if each.codes > ALIKE:
        kind = "numbers that may be times" if each.read > ALIKE else "numbers or codes"
    return f"{json.dumps(each.column, ensure_ascii=False)}: {kind}, {each.distinct} different, {each.filled:.0%} filled"


def _masked_rows(found: Sequence[Profile], shown: Sequence[Profile]) -> Iterator[dict[str, str]]:
    """Yield rows of the columns `shown`, spread evenly, with values cut; ids and names of users are [id1], [id2], ... in all columns."""
    choice = roles.choose(found, {})
    proposed = {choice.roles.get("user"), choice.unsure.get("user"), choice.near.get("user")}
    others = {*choice.roles.values()} - proposed
    users = proposed | {each.column for each in found if each.named("user") >= SURE} - others
    ids = dict.fromkeys(value for each in found if each.column in users for value in each.values if value)
    aliases = {value: f"[id{number}]" for number, value in enumerate(ids, 1)}
    long = sorted((each for each in ids if len(each) >= _INSIDE), key=len, reverse=True)
    inside = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, long)) or '(?!)'})(?!\w)")
    count = len(found[0].values) if found else 0  # of the sample, without broken rows
    for row in sorted({count * number // SHOWN_ROWS for number in range(SHOWN_ROWS)} if count else ()):
        held = {}
        for each in shown:
            text = each.values[row]
            if each.column in users:
                text = aliases.get(text, "")
            elif not each.read > ALIKE >= each.codes:  # of a time no part is somebody: 2024 is a year
                text = inside.sub(lambda hit: aliases[hit[0]], text)
            if text := " ".join(text.split()):
                held[each.column] = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        yield held
