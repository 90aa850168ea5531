"""Staged rows become sorted behaviors, users and honest counts."""

from collections.abc import Iterator

import duckdb
import pytest

from eventabs.errors_and_exit_codes import ConfigError, InputError
from eventabs.ingest import sort_and_pair
from eventabs.ingest.formats.base import Query
from eventabs.ingest.normal_form import check_zone


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        sort_and_pair.prepare(opened)
        yield opened


def stage(connection: duckdb.DuckDBPyConnection, *rows: tuple[object, ...]) -> None:
    connection.execute("INSERT INTO first_lines SELECT unnest(range(3)), 1")
    connection.executemany(
        "INSERT INTO staged (user_id, start, shift, item, file, line, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [[*row] for row in rows],
    )


def lines(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    return connection.execute(
        "SELECT file, line FROM behaviors WHERE reason IS DISTINCT FROM 'duplicate'"
    ).fetchall()


EARLY, LATE = "2026-01-01 10:00:00", "2026-01-01 11:00:00"


def test_behaviors_are_ordered_by_user_instant_file_and_line(connection: duckdb.DuckDBPyConnection) -> None:
    stage(
        connection,
        ("b", EARLY, None, "x", 0, 1, None),
        ("a", LATE, None, "x", 0, 2, None),
        ("a", EARLY, None, "y", 1, 3, None),
        ("a", EARLY, None, "x", 0, 4, None),
    )
    sort_and_pair.finish(connection, keep_duplicates=False)
    assert lines(connection) == [(0, 4), (1, 3), (0, 2), (0, 1)]


def test_instants_decide_not_wall_times(connection: duckdb.DuckDBPyConnection) -> None:
    stage(connection, ("a", LATE, 8 * 3600, "x", 0, 1, None), ("a", EARLY, 0, "x", 0, 2, None))
    counts = sort_and_pair.finish(connection, keep_duplicates=False)
    assert lines(connection) == [(0, 1), (0, 2)]
    assert counts.with_offset


def test_the_first_of_equal_rows_stays_also_when_others_lie_between(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stage(
        connection,
        ("a", EARLY, None, "x", 0, 1, None),
        ("a", EARLY, None, "y", 0, 2, None),
        ("a", EARLY, None, "x", 0, 3, None),
        ("a", LATE, None, "x", 0, 4, None),
        ("b", EARLY, None, "x", 0, 5, None),
        ("a", EARLY, None, "x", 1, 1, None),
        ("a", EARLY, None, "x", 1, 2, "bad_duration"),
    )
    counts = sort_and_pair.finish(connection, keep_duplicates=False)
    assert counts == sort_and_pair.RowCounts(
        users=2, behaviors=4, reasons={"bad_duration": 1}, duplicates=2, with_offset=False
    )
    assert lines(connection) == [(0, 1), (0, 2), (1, 2), (0, 4), (0, 5)]


def test_rows_without_a_line_are_counted_from_their_files_first_one(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("INSERT INTO first_lines VALUES (0, 1), (1, 2)")
    for file, line in ((0, None), (0, None), (1, None), (1, None), (1, 77)):
        connection.execute("INSERT INTO staged (user_id, file, line) VALUES ('a', ?, ?)", [file, line])
    connection.execute("UPDATE staged SET start = TIMESTAMP '2026-01-01' + to_hours(rowid)")
    sort_and_pair.finish(connection, keep_duplicates=False)
    assert lines(connection) == [(0, 1), (0, 2), (1, 2), (1, 3), (1, 77)]


def test_blank_lines_are_no_rows_and_rejected_rows_keep_their_users(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    stage(
        connection,
        (None, None, None, None, 0, 1, "blank"),
        (None, None, None, None, 0, 2, "bad_json"),
        ("a", None, None, "x", 0, 3, "bad_time"),
    )
    assert sort_and_pair.finish(connection, keep_duplicates=False) == sort_and_pair.RowCounts(
        1, 0, {"bad_json": 1, "bad_time": 1}, 0, with_offset=False
    )
    assert connection.execute("FROM users").fetchall() == [("a", 0, 0, 0)]


def test_times_with_and_without_offset_do_not_mix(connection: duckdb.DuckDBPyConnection) -> None:
    stage(connection, ("a", EARLY, None, "x", 0, 1, None), ("a", LATE, 0, "x", 0, 2, None))
    with pytest.raises(InputError, match="--timezone"):
        sort_and_pair.finish(connection, keep_duplicates=False)


def test_the_first_profile_value_of_a_user_counts_on_one_line(connection: duckdb.DuckDBPyConnection) -> None:
    values = "(' a ', E' \\n'), ('a', E' two\\n words '), ('a', 'late')"
    query = Query(f'SELECT * FROM (VALUES {values}) AS t("user", p0)')
    assert sort_and_pair.insert_profiles(connection, 1, query) == 3
    stage(connection, ("a", EARLY, None, "x", 0, 1, None))
    sort_and_pair.finish(connection, keep_duplicates=False)
    assert connection.execute("FROM users").fetchall() == [("a", 1, 0, 0, "two words")]


def test_a_time_zone_must_exist(connection: duckdb.DuckDBPyConnection) -> None:
    check_zone("", connection)
    check_zone("Asia/Shanghai", connection)
    with pytest.raises(ConfigError, match="there is no time zone Mars/Base; take a name such as"):
        check_zone("Mars/Base", connection)
