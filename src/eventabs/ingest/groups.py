"""Sums over users' behaviors, made by DuckDB a stretch of users at a time.

Memory holds one stretch, whatever the size of the export. What is summed are costs of what recurs: names,
durations, times of day and days, each known to Python once a stretch and not once a behavior.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import chain, cycle, islice
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final

import duckdb

from eventabs.records import ActivityName, Behavior, DayKind, GroupUser, PieceCosts, SentenceUse, UserLog

_FETCHED: Final = 10_000  # rows held in Python at a time
_FACTS: Final = "start, action, coalesce(item, text), place, duration, file, line, coalesce(text, '')"


def behaviors_of(
    cursor: duckdb.DuckDBPyConnection, condition: str, values: Sequence[object] = (), *, with_offset: bool
) -> Iterator[Behavior]:
    """Yield the readable behaviors for which the SQL `condition` holds."""
    offset = ", shift" if with_offset else ""
    cursor.execute(
        f"SELECT {_FACTS}{offset} FROM behaviors WHERE reason IS NULL AND {condition}", list(values)
    )
    return map(_aware_behavior if with_offset else Behavior._make, fetched(cursor))


def fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a result, some thousand in memory at a time."""
    return chain.from_iterable(iter(lambda: cursor.fetchmany(_FETCHED), []))


def _aware_behavior(row: tuple[Any, ...]) -> Behavior:
    start: datetime = row[0]
    return Behavior(start.replace(tzinfo=_offset(row[8])), *row[1:8])


@cache
def _offset(seconds: int) -> timezone:
    return timezone(timedelta(seconds=seconds))


_MINUTES: Final = 24 * 60
_BEHAVIORS: Final = 300_000  # of a stretch
_SAID: Final = (
    "CASE WHEN item IS NULL THEN text END"  # apart from items, which are mostly numbers (see `store`)
)
_FOLDED: Final = f"translate(concat_ws('|', action, coalesce(item, said), place), '{ascii_uppercase}', '{ascii_lowercase}')"


def grouped(users: Iterable[GroupUser]) -> Iterator[list[GroupUser]]:
    """Yield users together that have some hundred thousand behaviors."""
    stretch: list[GroupUser] = []
    behaviors = 0
    for user in users:
        stretch.append(user)
        behaviors += user.behaviors
        if behaviors >= _BEHAVIORS:
            yield stretch
            stretch, behaviors = [], 0
    if stretch:
        yield stretch


def prefetched(
    connection: duckdb.DuckDBPyConnection, groups: Iterable[list[GroupUser]], *, with_offset: bool
) -> Iterator["UserGroup"]:
    """Yield a stretch for each group of users. While one is in use, a thread makes the next."""
    with (
        closing(connection.cursor()) as one,
        closing(connection.cursor()) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        ready: Future[UserGroup] | None = None
        for cursor, users in zip(cycle((one, other)), groups):  # a stretch's tables belong to its cursor
            following = thread.submit(UserGroup, cursor, users, with_offset=with_offset)
            if ready is not None:
                yield ready.result()
            ready = following
        if ready is not None:
            yield ready.result()


class UserGroup:
    """Users that follow one another, numbered from 0. Good until the next stretch is taken.

    `names`, `durations` and `days` hold each different one that occurs. A name is known by its position.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, users: Sequence[GroupUser], *, with_offset: bool
    ) -> None:
        self._cursor = cursor
        self._with_offset = with_offset
        self.users = users
        self._rows = f"rowid BETWEEN {users[0].first_row} AND {users[-1].last_row}"
        self._number()
        names = self._fetched("""
            SELECT action, coalesce(item, said), place, timed, user_number FROM names_here
            LEFT JOIN here ON here.name = names_here.name AND uses = 1 ORDER BY names_here.name""")
        self.names = list(map(ActivityName._make, names))
        self.durations = [
            seconds
            for (seconds,) in self._fetched("SELECT DISTINCT duration FROM here WHERE duration IS NOT NULL")
        ]
        kinds = self._fetched(
            "SELECT kind, day - DATE '0001-01-01' + 1, starts_year, starts_month FROM day_kinds ORDER BY kind"
        )
        self.days = [DayKind(*row[1:]) for row in kinds]

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
        """Yield what the behaviors say in their long form, each once."""
        with closing(self._cursor.cursor()) as cursor:
            cursor.execute(f"""
                SELECT count(*), count(*) FILTER (is_last), any_value(start), action, what, place, duration, 0, 0, said
                FROM (
                    SELECT start, action, coalesce(item, text) AS what, place, duration, coalesce(text, '') AS said,
                        user_id IS DISTINCT FROM lead(user_id) OVER (ORDER BY rowid) AS is_last
                    FROM behaviors WHERE {self._rows} AND reason IS NULL)
                GROUP BY action, what, place, duration, said""")
            for count, last, *behavior in fetched(cursor):
                yield SentenceUse(Behavior(*behavior), count, last)

    def stamps(self) -> list[tuple[str, int]]:
        """Return the pieces of the behaviors' stamps `YYYY-MM-DD HH:MM:SS` (day, minute, seconds), each once with its count."""
        pieces = (
            f"SELECT strftime(start, '{form}'), count(*) FROM behaviors WHERE {self._rows} AND reason IS NULL GROUP BY 1"
            for form in ("%Y-%m-%d", " %H:%M", ":%S")
        )
        return [(piece, count) for piece, count in self._fetched(" UNION ALL ".join(pieces))]

    def _number(self) -> None:
        """Put numbers in the place of texts, for joins and groups."""
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE users_here AS"
            " SELECT unnest(range(?)) AS user_number, unnest(?::VARCHAR[]) AS user_id",
            [len(self.users), [user.user_id for user in self.users]],
        )
        rows_here = f"FROM behaviors WHERE {self._rows} AND reason IS NULL"
        self._cursor.execute(f"""
            CREATE OR REPLACE TEMP TABLE names_here AS
            SELECT row_number() OVER () - 1 AS name, *, {_FOLDED} AS folded FROM (
                SELECT action, item, {_SAID} AS said, place, count(*) AS uses,
                    bool_or(duration IS NOT NULL) AS timed
                {rows_here} GROUP BY ALL)""")
        self._cursor.execute(f"""
            CREATE OR REPLACE TEMP TABLE here AS
            SELECT row, user_number, name, duration, CAST(start AS DATE) AS day,
                hour(start) * 60 + minute(start) AS minute,
                CAST(epoch(start) AS BIGINT) - coalesce(shift, 0) AS instant
            FROM (SELECT rowid AS row, user_id, start, shift, action, item, {_SAID} AS said, place, duration {rows_here}) b
            JOIN names_here n ON n.action = b.action AND n.place = b.place
                AND n.item IS NOT DISTINCT FROM b.item AND n.said IS NOT DISTINCT FROM b.said
            JOIN users_here USING (user_id)""")
        self._cursor.execute("""
            CREATE OR REPLACE TEMP TABLE days_here AS
            SELECT *, year(day) IS DISTINCT FROM year(before) AS starts_year,
                month(day) IS DISTINCT FROM month(before) AS starts_month
            FROM (
                SELECT user_number, day, count(*) AS behaviors,
                    lag(day) OVER (PARTITION BY user_number ORDER BY day) AS before
                FROM here GROUP BY user_number, day)""")
        self._cursor.execute("""
            CREATE OR REPLACE TEMP TABLE day_kinds AS
            SELECT row_number() OVER () - 1 AS kind, *
            FROM (SELECT DISTINCT day, starts_year, starts_month FROM days_here)""")

    def costs(self, pieces: PieceCosts) -> list[int]:
        """Add up what each user's days and behaviors cost."""
        if pieces.lines_are_days:
            per_behavior = "sum(clock + body + coalesce(lasting, 0))"
            at_the_end = "CASE WHEN duration IS NULL THEN body_end - body ELSE lasting_end - lasting END"
            a_day = f"{per_behavior} + arg_max({at_the_end}, row)"
        else:
            a_day = "sum(clock + CASE WHEN duration IS NULL THEN body_end ELSE body + lasting_end END)"
        costs = self._by_user(
            f"""
            WITH body_costs AS (
                SELECT unnest(range(len($body))) AS name, unnest($body) AS body, unnest($body_end) AS body_end),
            lasting_costs AS (
                SELECT unnest($durations) AS duration, unnest($lasting) AS lasting, unnest($lasting_end) AS lasting_end),
            clock_costs AS (SELECT unnest(range({_MINUTES})) AS minute, unnest($clocks) AS clock),
            day_costs AS (SELECT unnest(range(len($days))) AS kind, unnest($days) AS header)
            SELECT user_number, sum(cost + header) FROM (
                SELECT user_number, day, {a_day} AS cost
                FROM here JOIN body_costs USING (name) JOIN clock_costs USING (minute)
                LEFT JOIN lasting_costs USING (duration) GROUP BY user_number, day)
            JOIN days_here USING (user_number, day)
            JOIN day_kinds USING (day, starts_year, starts_month) JOIN day_costs USING (kind)
            GROUP BY user_number""",
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
        return self._by_user("SELECT user_number, count(*) FROM days_here GROUP BY user_number")

    def groups(self, size: int) -> list[int]:
        """Count the groups of at most `size` behaviors that each user's days make."""
        return self._by_user(
            f"SELECT user_number, sum((behaviors + {size - 1}) // {size}) FROM days_here GROUP BY user_number"
        )

    def sessions(self, gap: int) -> list[int]:
        """Count each user's sessions: one ends where for more than `gap` seconds nothing is done."""
        return self._by_user(f"""
            SELECT user_number, count(*) FILTER (ended IS NULL OR instant - ended > {gap}) FROM (
                SELECT user_number, instant, max(instant + coalesce(duration, 0)) OVER (
                    PARTITION BY user_number ORDER BY row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ended
                FROM here) GROUP BY user_number""")

    def users_of(self, names: Collection[int]) -> set[int]:
        """Return the users who have one of `names`."""
        return self._users(
            "SELECT DISTINCT user_number FROM here JOIN (SELECT unnest(?::BIGINT[]) AS name) USING (name)",
            [list(names)],
        )

    def users_named(self, keys: Sequence[str | None]) -> set[int]:
        """Return the users whose key (by user, in lower case) occurs in a text of theirs, whatever its ASCII case."""
        return self._users(
            """SELECT DISTINCT user_number FROM (SELECT DISTINCT user_number, name FROM here)
            JOIN (SELECT unnest(range(len($keys))) AS user_number, unnest($keys::VARCHAR[]) AS key) USING (user_number)
            JOIN names_here USING (name) WHERE contains(folded, key)""",
            {"keys": list(keys)},
        )

    def users_of_several(self, members: Iterable[tuple[int, int, int]]) -> set[int]:
        """Return the users who have several members of a group; `members` are (name, group, member)."""
        rows = list(zip(*members, strict=True))
        if not rows:
            return set()
        return self._users(
            """SELECT DISTINCT user_number FROM (
                SELECT user_number, kin FROM here
                JOIN (SELECT unnest(?::BIGINT[]) AS name, unnest(?::BIGINT[]) AS kin, unnest(?::BIGINT[]) AS member)
                USING (name) GROUP BY user_number, kin HAVING count(DISTINCT member) > 1)""",
            [list(values) for values in rows],
        )

    def users_back_in_time(self) -> set[int]:
        """Return the users whose wall time falls back to the day before, as it may where their offset changes."""
        if not self._with_offset:
            return set()
        return self._users("""
            SELECT DISTINCT user_number FROM (
                SELECT user_number, day < lag(day) OVER (PARTITION BY user_number ORDER BY row) AS is_back FROM here)
            WHERE is_back""")

    def _by_user(self, query: str, values: dict[str, Any] | None = None) -> list[int]:
        """Return a number for each user, 0 for those that the query does not return."""
        numbers = [0] * len(self.users)
        for user, number in self._fetched(query, values):
            numbers[user] = int(number)
        return numbers

    def _users(self, query: str, values: object = None) -> set[int]:
        return {user for (user,) in self._fetched(query, values)}

    def _fetched(self, query: str, values: object = None) -> list[tuple[Any, ...]]:
        return self._cursor.execute(query, values).fetchall()
