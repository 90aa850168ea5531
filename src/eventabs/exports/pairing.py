"""Staged rows that begin and end something -> one row with its duration, by DuckDB on disk."""

from typing import Final, NamedTuple

import duckdb

from eventabs.exports.durations import believable
from eventabs.exports.markers import BEGINS, ENDS

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
                THEN {believable("(until - instant) // 1000000")} ELSE duration END AS duration,
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
