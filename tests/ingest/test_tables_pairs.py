"""Begins get the time until their ends, and every row is accounted for."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.ingest import sort_and_pair

START = datetime.fromisoformat("2026-01-15 23:50:00")
Row = tuple[str, int, str, int | None, str | None]  # user, minute, item, mark, reason
Kept = tuple[str, int, str, int | None]  # user, minute, item, seconds


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def finish(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[Row], *, keep_duplicates: bool = False
) -> tuple[sort_and_pair.RowCounts, list[Kept]]:
    sort_and_pair.prepare(connection)
    connection.execute("INSERT INTO first_lines VALUES (0, 1)")
    if rows:
        connection.executemany(
            "INSERT INTO staged (user_id, start, action, item, place, file, mark, reason) VALUES (?, ?, '', ?, '', 0, ?, ?)",
            [[user, START + timedelta(minutes=at), item, mark, why] for user, at, item, mark, why in rows],
        )
    counts = sort_and_pair.finish(connection, keep_duplicates=keep_duplicates)
    kept = connection.execute(
        "SELECT user_id, start, item, duration FROM behaviors WHERE reason IS NULL"
    ).fetchall()
    return counts, [(user, (at - START) // timedelta(minutes=1), item, took) for user, at, item, took in kept]


BEGIN, END, NEITHER = 1, -1, None


@pytest.mark.parametrize(
    ("rows", "kept", "ends", "alone"),
    [
        ([("u", 0, "a", BEGIN), ("u", 25, "a", END)], [("u", 0, "a", 1500)], 1, 0),
        # rows out of order
        ([("u", 25, "a", END), ("u", 0, "a", BEGIN)], [("u", 0, "a", 1500)], 1, 0),
        # other users and objects lie between, overlap and nest
        (
            [("u", 0, "a", BEGIN), ("u", 1, "b", BEGIN), ("v", 2, "a", BEGIN), ("u", 3, "a", END), ("u", 4, "b", END)],
            [("u", 0, "a", 180), ("u", 1, "b", 180), ("v", 2, "a", None)],
            2,
            1,
        ),
        # two begins, then two ends: the inner ones belong together
        (
            [("u", 0, "a", BEGIN), ("u", 1, "a", BEGIN), ("u", 2, "a", END), ("u", 3, "a", END)],
            [("u", 0, "a", None), ("u", 1, "a", 60), ("u", 3, "a", None)],
            1,
            2,
        ),
        # a row that does neither is not in the way
        (
            [("u", 0, "a", BEGIN), ("u", 1, "a", NEITHER), ("u", 2, "a", END)],
            [("u", 0, "a", 120), ("u", 1, "a", None)],
            1,
            0,
        ),
        # begin and end in the same second
        ([("u", 0, "a", BEGIN), ("u", 0, "a", END)], [("u", 0, "a", 0)], 1, 0),
    ],
)  # fmt: skip
def test_an_end_belongs_to_the_begin_right_before_it(
    connection: duckdb.DuckDBPyConnection,
    rows: list[tuple[str, int, str, int | None]],
    kept: list[Kept],
    ends: int,
    alone: int,
) -> None:
    counts, found = finish(connection, [(*row, None) for row in rows])
    assert found == kept
    assert (counts.paired_ends, counts.unpaired) == (ends, alone)
    assert counts.behaviors == len(kept) == len(rows) - ends


def test_repeated_rows_are_duplicates_and_part_no_pair(connection: duckdb.DuckDBPyConnection) -> None:
    rows: list[Row] = [
        ("u", minute, "a", mark, None) for minute, mark in ((0, BEGIN), (5, END)) for _copy in "123"
    ]
    counts, found = finish(connection, rows)
    assert found == [("u", 0, "a", 300)]
    assert (counts.duplicates, counts.paired_ends, counts.reasons) == (4, 1, {})


def test_the_partner_of_a_rejected_row_stays_without_a_duration(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows: list[Row] = [
        ("u", 0, "a", BEGIN, None),
        ("u", 1, "a", END, "bad_duration"),
        ("v", 0, "a", BEGIN, "bad_duration"),
        ("v", 1, "a", END, None),
    ]
    counts, found = finish(connection, rows)
    assert found == [("u", 0, "a", None), ("v", 1, "a", None)]
    assert (counts.reasons, counts.paired_ends, counts.unpaired) == ({"bad_duration": 2}, 0, 2)


def test_offsets_from_utc_count(connection: duckdb.DuckDBPyConnection) -> None:
    sort_and_pair.prepare(connection)
    connection.execute("INSERT INTO first_lines VALUES (0, 1)")
    connection.executemany(
        "INSERT INTO staged (user_id, start, shift, action, item, place, file, mark) VALUES ('u', ?, ?, '', 'a', '', 0, ?)",
        [["2026-03-29 01:30:00", 3600, BEGIN], ["2026-03-29 03:30:00", 7200, END]],
    )
    sort_and_pair.finish(connection, keep_duplicates=False)
    assert connection.execute("SELECT duration FROM behaviors").fetchall() == [(3600,)]


ROWS = st.lists(
    st.tuples(
        st.sampled_from("uv"), st.integers(0, 6), st.sampled_from("ab"),
        st.sampled_from([BEGIN, END, NEITHER]), st.sampled_from([None, None, None, "bad_duration"]),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ROWS, st.booleans())
def test_it_is_what_a_walk_over_each_object_gives_and_the_counts_add_up(rows: list[Row], keep: bool) -> None:
    with duckdb.connect() as connection:
        counts, found = finish(connection, rows, keep_duplicates=keep)
    assert counts.behaviors + sum(counts.reasons.values()) + counts.duplicates + counts.paired_ends == len(
        rows
    )
    kept, ends, alone = _walked(rows, keep=keep)
    assert (counts.paired_ends, counts.unpaired) == (ends, alone)
    assert sorted(found, key=str) == sorted(kept if keep else set(kept), key=str)


def _walked(rows: Sequence[Row], *, keep: bool) -> tuple[list[Kept], int, int]:
    kept: list[Kept] = [(*row[:3], None) for row in rows if row[3] is NEITHER and row[4] is None]
    ends = alone = 0
    marked = sorted(
        (row for row in rows if row[3] is not NEITHER and row[4] is None),
        key=lambda row: (row[0], row[2], row[1]),
    )
    for (user, item), those in groupby(marked, key=lambda row: (row[0], row[2])):
        open_since: int | None = None
        seen: set[tuple[int, int | None]] = set()
        for _user, at, _item, mark, _why in those:
            if (at, mark) in seen and not keep:
                continue
            seen.add((at, mark))
            if mark == END and open_since is not None:
                kept.append((user, open_since, item, 60 * (at - open_since)))
                ends += 1
                open_since = None
                continue
            if open_since is not None:
                kept.append((user, open_since, item, None))
                alone += 1
            open_since = at if mark == BEGIN else None
            if mark == END:
                kept.append((user, at, item, None))
                alone += 1
        if open_since is not None:
            kept.append((user, open_since, item, None))
            alone += 1
    return kept, ends, alone
