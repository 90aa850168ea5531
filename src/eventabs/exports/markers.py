"""Columns that say whether a row begins or ends something: which they are, and their words in SQL."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import duckdb

from eventabs.exports import files
from eventabs.exports.actions import plain
from eventabs.exports.sources import Source, as_glob, quoted
from eventabs.exports.tidy import records

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
