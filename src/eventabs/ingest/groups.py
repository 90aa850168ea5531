"""Sums over users' behaviors, made by DuckDB a group of users at a time.

Memory holds one group, whatever the size of the export. What is summed are costs of what recurs: names,
durations, times of day and days, each known to Python once a group and not once a behavior.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import cycle, islice
from typing import Any, Final

import duckdb

from eventabs.ingest.database import fetched, sql
from eventabs.records import (
    THING,
    ActivityName,
    Behavior,
    DayKind,
    GroupUser,
    PieceCosts,
    SentenceUse,
    UserLog,
)

_BEHAVIORS: Final = 300_000  # of a group
_START: Final = (
    "date_trunc('second', start)"  # behaviors have whole seconds; the rest of the time has sorted them
)
_FACTS: Final = f"{_START}, action, coalesce(item, text), place, duration, file, line, coalesce(text, '')"


def behaviors_of(
    cursor: duckdb.DuckDBPyConnection, condition: str, values: Sequence[object] = (), *, with_offset: bool
) -> Iterator[Behavior]:
    """Yield the readable behaviors for which the SQL `condition` holds."""
    offset = ", shift" if with_offset else ""
    cursor.execute(
        f"SELECT {_FACTS}{offset} FROM behaviors WHERE reason IS NULL AND {condition}", list(values)
    )
    return map(_aware_behavior if with_offset else Behavior._make, fetched(cursor))


def _aware_behavior(row: tuple[Any, ...]) -> Behavior:
    start: datetime = row[0]
    return Behavior(start.replace(tzinfo=_offset(row[8])), *row[1:8])


@cache
def _offset(seconds: int) -> timezone:
    return timezone(timedelta(seconds=seconds))


def grouped(users: Iterable[GroupUser]) -> Iterator[list[GroupUser]]:
    """Yield users together that have some hundred thousand behaviors."""
    group: list[GroupUser] = []
    behaviors = 0
    for user in users:
        group.append(user)
        behaviors += user.behaviors
        if behaviors >= _BEHAVIORS:
            yield group
            group, behaviors = [], 0
    if group:
        yield group


def prefetched(
    connection: duckdb.DuckDBPyConnection, groups: Iterable[list[GroupUser]], *, with_offset: bool
) -> Iterator["UserGroup"]:
    """Yield the groups with their tables. While one is in use, a thread makes the next."""
    with (
        closing(connection.cursor()) as one,
        closing(connection.cursor()) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        ready: Future[UserGroup] | None = None
        for cursor, users in zip(cycle((one, other)), groups):  # a group's tables belong to its cursor
            following = thread.submit(UserGroup, cursor, users, with_offset=with_offset)
            if ready is not None:
                yield ready.result()
            ready = following
        if ready is not None:
            yield ready.result()


class UserGroup:
    """Users that follow one another, numbered from 0. Good until the next group is taken.

    `names`, `durations` and `days` hold each different one that occurs. A name is known by its position.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, users: Sequence[GroupUser], *, with_offset: bool
    ) -> None:
        self._cursor = cursor
        self._with_offset = with_offset
        self.users = users
        self._rows = f"rowid BETWEEN {users[0].first_row} AND {users[-1].last_row}"
        cursor.execute(sql("groups.sql", first=users[0].first_row, last=users[-1].last_row))
        # words that say their action themselves are written as a thing
        names = self._fetched(f"""
            SELECT CASE WHEN item IS NULL AND action <> '' THEN '{THING}' ELSE action END,
                coalesce(item, free_text), place, timed, user_number FROM group_names
            LEFT JOIN group_rows ON group_rows.name = group_names.name AND uses = 1 ORDER BY group_names.name""")
        self.names = list(map(ActivityName._make, names))
        durations = "SELECT DISTINCT duration FROM group_rows WHERE duration IS NOT NULL"
        self.durations = [seconds for (seconds,) in self._fetched(durations)]
        days = "SELECT day - DATE '0001-01-01' + 1, starts_year, starts_month FROM day_kinds ORDER BY kind"
        self.days = list(map(DayKind._make, self._fetched(days)))

    def logs(self, numbers: Collection[int]) -> Iterator[UserLog]:
        """Yield the logs of some users, in order."""
        wanted = [self.users[number] for number in sorted(numbers)]
        condition, values = self._rows, []
        if len(wanted) < len(self.users):
            condition += " AND user_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY rowid"
            values = [[user.user_id for user in wanted]]
        with closing(self._cursor.cursor()) as cursor:
            behaviors = behaviors_of(cursor, condition, values, with_offset=self._with_offset)
            for user in wanted:
                yield UserLog(user.user_id, tuple(islice(behaviors, user.behaviors)), user.profile)

    def sentences(self) -> Iterator[SentenceUse]:
        """Yield the different long forms of the behaviors, with their counts."""
        with closing(self._cursor.cursor()) as cursor:
            cursor.execute(f"""
                SELECT count(*), count(*) FILTER (is_last), any_value({_START}), action, what, place, duration, 0, 0, sentence
                FROM (
                    SELECT start, action, coalesce(item, text) AS what, place, duration, coalesce(text, '') AS sentence,
                        user_id IS DISTINCT FROM lead(user_id) OVER (ORDER BY rowid) AS is_last
                    FROM behaviors WHERE {self._rows} AND reason IS NULL)
                GROUP BY action, what, place, duration, sentence""")
            for count, last, *behavior in fetched(cursor):
                yield SentenceUse(Behavior(*behavior), count, last)

    def stamps(self) -> list[tuple[str, int]]:
        """Return the pieces of the behaviors' stamps `YYYY-MM-DD HH:MM:SS` (day, minute, seconds), each once with its count."""
        pieces = (
            f"SELECT strftime(start, '{form}'), count(*) FROM behaviors WHERE {self._rows} AND reason IS NULL GROUP BY 1"
            for form in ("%Y-%m-%d", " %H:%M", ":%S")
        )
        return [(piece, count) for piece, count in self._fetched(" UNION ALL ".join(pieces))]

    def costs(self, pieces: PieceCosts) -> list[int]:
        """Add up what each user's days and behaviors cost."""
        if pieces.lines_are_days:
            per_behavior = "sum(clock + body + coalesce(lasting, 0))"
            at_the_end = "CASE WHEN duration IS NULL THEN body_end - body ELSE lasting_end - lasting END"
            a_day = f"{per_behavior} + arg_max({at_the_end}, row)"
        else:
            a_day = "sum(clock + CASE WHEN duration IS NULL THEN body_end ELSE body + lasting_end END)"
        costs = self._by_user(
            sql("costs.sql", a_day=a_day),
            {
                "body": [within for within, _end in pieces.bodies],
                "body_end": [end for _within, end in pieces.bodies],
                "durations": self.durations,
                "lasting": [within for within, _end in pieces.durations],
                "lasting_end": [end for _within, end in pieces.durations],
                "clocks": pieces.clocks,
                "days": pieces.days,
            },
        )
        for user, tokens in pieces.single.items():
            costs[user] += tokens
        return costs

    def active_days(self) -> list[int]:
        """Count the days on which each user did something."""
        return self._by_user("SELECT user_number, count(*) FROM group_days GROUP BY user_number")

    def day_chunks(self, size: int, most: int) -> list[int]:
        """Count the chunks of at most `size` behaviors that each user's days make, `most` of a day."""
        chunks = f"least({most}, (behaviors + {size - 1}) // {size})"
        return self._by_user(f"SELECT user_number, sum({chunks}) FROM group_days GROUP BY user_number")

    def sessions(self, gap: int) -> list[int]:
        """Count each user's sessions: one ends where for more than `gap` seconds nothing is done."""
        return self._by_user(f"""
            SELECT user_number, count(*) FILTER (ended IS NULL OR instant - ended > {gap}) FROM (
                SELECT user_number, instant, max(instant + coalesce(duration, 0)) OVER (
                    PARTITION BY user_number ORDER BY row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ended
                FROM group_rows) GROUP BY user_number""")

    def users_of(self, names: Collection[int]) -> set[int]:
        """Return the users who have one of `names`."""
        return self._users(
            "SELECT DISTINCT user_number FROM group_rows JOIN (SELECT unnest(?::BIGINT[]) AS name) USING (name)",
            [list(names)],
        )

    def users_named(self, keys: Sequence[str | None]) -> set[int]:
        """Return the users whose key (by user, in lower case) occurs in a text of theirs, whatever its ASCII case."""
        return self._users(
            """SELECT DISTINCT user_number FROM (SELECT DISTINCT user_number, name FROM group_rows)
            JOIN (SELECT unnest(range(len($keys))) AS user_number, unnest($keys::VARCHAR[]) AS key) USING (user_number)
            JOIN group_names USING (name) WHERE contains(folded, key)""",
            {"keys": list(keys)},
        )

    def users_of_several(self, members: Iterable[tuple[int, int, int]]) -> set[int]:
        """Return the users who have several members of a group; `members` are (name, group, member)."""
        return self._users(
            """SELECT DISTINCT user_number FROM (
                SELECT user_number FROM group_rows
                JOIN (SELECT row[1] AS name, row[2] AS family, row[3] AS member
                    FROM unnest(?::BIGINT[][]) AS _(row))
                USING (name) GROUP BY user_number, family HAVING count(DISTINCT member) > 1)""",
            [list(map(list, members))],
        )

    def users_back_in_time(self) -> set[int]:
        """Return the users whose wall time falls back to the day before, as it may where their offset changes."""
        if not self._with_offset:
            return set()
        return self._users("""
            SELECT DISTINCT user_number FROM (
                SELECT user_number, day < lag(day) OVER (PARTITION BY user_number ORDER BY row) AS is_back FROM group_rows)
            WHERE is_back""")

    def _by_user(self, query: str, values: dict[str, Any] | None = None) -> list[int]:
        """Return a number for each user, 0 for those that the query does not return."""
        numbers = dict(self._fetched(query, values))
        return [int(numbers.get(user, 0)) for user in range(len(self.users))]

    def _users(self, query: str, values: object = None) -> set[int]:
        return {user for (user,) in self._fetched(query, values)}

    def _fetched(self, query: str, values: object = None) -> list[tuple[Any, ...]]:
        return self._cursor.execute(query, values).fetchall()
