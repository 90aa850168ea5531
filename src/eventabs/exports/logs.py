"""Rows of the sorted table -> users and their behaviors."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple

import duckdb

from eventabs.records import Behavior

_FETCHED: Final = 10_000  # rows held in Python at a time
_FACTS: Final = "start, action, coalesce(item, text), place, duration, file, line, coalesce(text, '')"


class User(NamedTuple):
    """A user with the number of readable behaviors, which lie between two rows, both included."""

    user_id: str
    behaviors: int
    first_row: int
    last_row: int
    profile: tuple[tuple[str, str], ...]


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
