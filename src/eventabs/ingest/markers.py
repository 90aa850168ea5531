"""Staged rows that begin and end something -> one row with its duration, by DuckDB on disk."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final, NamedTuple

import duckdb

from eventabs.ingest import files
from eventabs.ingest.actions import plain
from eventabs.ingest.csv_records import records
from eventabs.ingest.sources import Source, as_glob, quoted
from eventabs.ingest.times import believable_duration

NONE: Final = "-"  # named as the column: rows are not paired
BEGINS: Final = 1
ENDS: Final = -1

# What begins beside what ends it. The first word of each stands for both where nothing else says what was done.
_FAMILIES: Final = (
    ("begin start began begun started", "end stop finish ended stopped finished"),
    ("open opened open_app app_open", "close closed close_app app_close"),
    ("enter entered entry", "exit exited leave"),
    (
        "foreground move_to_foreground to_foreground activity_resumed",
        "background move_to_background to_background activity_paused",
    ),
    ("on turn_on turned_on switch_on screen_on", "off turn_off turned_off switch_off screen_off"),
    ("开始 起始", "结束 终止 停止"),
    ("打开 开启 打开应用", "关闭 关掉 关闭应用"),
    ("进入", "离开 退出"),
    ("前台 进入前台 切换到前台 切到前台", "后台 进入后台 切换到后台 切到后台"),
    ("开", "关"),
)
WORDS: Final = tuple(tuple(tuple(map(plain, words.split())) for words in family) for family in _FAMILIES)
_KNOWN: Final = {word for family in WORDS for words in family for word in words}

_SAMPLE: Final = 1 << 18  # bytes of JSON lines
_ROWS: Final = 1000  # looked at in each file
_SHARE: Final = 0.9  # of a column's values, those that are such words
_BALANCE: Final = 4  # times as many of one kind as of the other, at most


def paired_columns(
    connection: duckdb.DuckDBPyConnection, found: Sequence[tuple[Source, Mapping[str, str]]], named: str
) -> set[str]:
    """Return those columns with the role `marker` or `action` whose values, in all files, are words of both kinds.

    `named`: the column that was named instead, NONE: no column, "": find it.
    """
    if named:
        return {named} - {NONE}
    seen: dict[str, Counter[str]] = {}
    for source, roles in found:
        columns = {roles[role] for role in ("marker", "action") if role in roles}
        if not columns:
            continue
        for row in islice(_sample(connection, source), _ROWS):
            for column in columns:
                if word := plain(str(row.get(column) or "").strip()):
                    seen.setdefault(column, Counter())[word] += 1
    return {column for column, words in seen.items() if _is_marker(words)}


def with_marker(roles: Mapping[str, str], paired: Collection[str]) -> dict[str, str]:
    """Return the roles with a marker only where its column is `paired`; the column of the actions may be one too."""
    settled = {role: column for role, column in roles.items() if role != "marker"}
    for role in ("marker", "action"):
        if roles.get(role) in paired:
            return {**settled, "marker": roles[role]}
    return settled


def mark(of: str) -> str:
    """Return SQL for the kind of a word (SQL): BEGINS, ENDS or NULL."""
    begins, ends = (", ".join(quoted(each) for family in WORDS for each in family[kind]) for kind in (0, 1))
    return f"CASE WHEN {of} IN ({begins}) THEN {BEGINS} WHEN {of} IN ({ends}) THEN {ENDS} END"


def opening(of: str) -> str:
    """Return SQL for the word that stands for a word (SQL) and for what ends or begins it."""
    cases = " ".join(
        f"WHEN {of} IN ({', '.join(map(quoted, begins + ends))}) THEN {quoted(begins[0])}"
        for begins, ends in WORDS
    )
    return f"CASE {cases} END"


def _is_marker(words: Counter[str]) -> bool:
    known = sum(count for each, count in words.items() if each in _KNOWN)
    if known < _SHARE * words.total():
        return False
    kinds = [[sum(words[each] for each in kind) for kind in family] for family in WORDS]
    return any(min(family) * _BALANCE >= max(family) > 0 for family in kinds)


def _sample(connection: duckdb.DuckDBPyConnection, source: Source) -> Iterator[Mapping[str, Any]]:
    """Yield the first rows of a file."""
    if source.format == "parquet":
        cursor = connection.execute(
            f"SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?) LIMIT {_ROWS}", [as_glob(source.text)]
        )
        for values in cursor.fetchall():
            yield dict(zip(source.columns, values, strict=True))
    elif source.format == "jsonl":
        for line in files.head(source.text, _SAMPLE):
            with suppress(ValueError, RecursionError):
                if isinstance(record := json.loads(line), dict):
                    yield record
    else:
        with suppress(files.NotUtf8Error):  # whoever reads on will find out what it is
            for row in islice(records(source), int(source.header), None):
                yield dict(zip(source.columns, row.fields or (), strict=False))


PAIRED_END: Final = "paired_end"  # the reason of rows that only say how long another one lasted
_OBJECT: Final = "user_id, action, item, place, text"


class Paired(NamedTuple):
    """How many ends belong to a begin, and how many rows of either kind have no partner."""

    ends: int
    alone: int


def pair(connection: duckdb.DuckDBPyConnection, instant: str, duplicate: str | None) -> Paired:
    """Give each begin the time until the end that follows it, of the same user and object, and mark that end.

    `instant` is SQL for a row's microseconds. `duplicate` is the reason that repeated rows get, None where they
    are kept: they must not come between a begin and its end. Rows without a mark stay as they are.
    """
    if _count(connection, "mark IS NOT NULL AND reason IS NULL") == 0:
        return Paired(0, 0)
    again = "coalesce(lag(instant) OVER near = instant AND lag(mark) OVER near = mark, false)"
    connection.execute(f"""
        CREATE TABLE paired AS
        WITH numbered AS (
            SELECT staged.* REPLACE (coalesce(line, first_line + staged.rowid - first_row) AS line)
            FROM staged JOIN first_lines USING (file)
            JOIN (SELECT file, min(rowid) AS first_row FROM staged GROUP BY file) USING (file)),
        marked AS (
            SELECT *, {again if duplicate else "false"} AS again
            FROM (SELECT *, {instant} AS instant FROM numbered WHERE mark IS NOT NULL AND reason IS NULL)
            WINDOW near AS (PARTITION BY {_OBJECT} ORDER BY instant, file, line)),
        beside AS (
            SELECT *, lead(mark) OVER near AS following, lead(instant) OVER near AS until, lag(mark) OVER near AS before
            FROM marked WINDOW near AS (PARTITION BY {_OBJECT}, again ORDER BY instant, file, line))
        SELECT * EXCLUDE (instant, again, following, until, before) REPLACE (
            CASE WHEN mark = {BEGINS} AND following = {ENDS} AND NOT again
                THEN {believable_duration("(until - instant) // 1000000")} ELSE duration END AS duration,
            CASE WHEN again THEN '{duplicate}' WHEN mark = {ENDS} AND before = {BEGINS} THEN '{PAIRED_END}' END AS reason,
            CASE WHEN again OR (mark = {BEGINS} AND following = {ENDS}) THEN NULL ELSE mark END AS mark)
        FROM beside
        UNION ALL BY NAME SELECT * FROM numbered WHERE mark IS NULL OR reason IS NOT NULL""")
    connection.execute("DROP TABLE staged")
    connection.execute("ALTER TABLE paired RENAME TO staged")
    return Paired(
        _count(connection, f"reason = '{PAIRED_END}'"),
        _count(connection, "mark IS NOT NULL AND reason IS NULL"),
    )


def _count(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    ((count,),) = connection.execute(f"SELECT count(*) FROM staged WHERE {condition}").fetchall()
    return int(count)
