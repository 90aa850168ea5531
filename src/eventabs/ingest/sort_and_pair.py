"""The tables of an opened export: staged rows, sorted behaviors, users."""

from collections.abc import Sequence
from dataclasses import field
from typing import Final

import duckdb

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.files_archives_encodings import copies_written
from eventabs.ingest.formats.base import BLANK, Format, Insert, Query, Wanted
from eventabs.ingest.normal_form import BEGINS, ENDS, define_macros, errors_named, normal_form, number
from eventabs.ingest.roles_and_known_schemas import NON_BEHAVIOR, Reading
from eventabs.ingest.roles_of_columns import input_table
from eventabs.interface_language import gettext as _
from eventabs.shared_records import MAX_CHARACTERS, Record, Shard

# Makes instants comparable, with or without an offset.
INSTANT: Final = "epoch_us(start) - coalesce(shift, 0)::BIGINT * 1000000"
# Compression costs more than it saves in a table that is read once and whose values mostly differ.
_PLAIN_TEXT: Final = "VARCHAR USING COMPRESSION uncompressed"
DUPLICATE: Final = "duplicate"  # the reason of repeated rows
_LEFT_OUT: Final = f"'{BLANK}', '{NON_BEHAVIOR}'"  # reasons of rows that are neither behaviors nor unreadable
PAIRED_END: Final = "paired_end"  # the reason of rows that only end another behavior
_FACTS: Final = "user_id, start, shift, action, item, place, duration, text"
_OBJECT: Final = "user_id, action, item, place, text"
_LINE: Final = "coalesce(line, first_line + staged.rowid - first_row) AS line"
_STAGED: Final = """staged JOIN first_lines USING (file)
    JOIN (SELECT file, min(rowid) AS first_row FROM staged GROUP BY file) USING (file)"""
# Bytes first: counting characters is slow.
_IS_LONG: Final = " OR ".join(
    f"(strlen(CAST({text} AS VARCHAR)) > {MAX_CHARACTERS} AND length(CAST({text} AS VARCHAR)) > {MAX_CHARACTERS})"
    for text in ("action", "coalesce(CAST(item AS VARCHAR), text)", "place")
)


class RowCounts(Record):
    """Counts of an export's rows.

    `reasons` counts the rejected rows by reason, the most frequent first. `paired_ends` are the ends that belong to a
    begin, `unpaired` the behaviors of either kind without a partner, `non_behaviors` the rows that its schema says are
    none, `left_out` these by action, the most frequent first. `with_offset`: its times have an offset from UTC.
    Rows in = behaviors + rejected_rows + duplicates + paired_ends + non_behaviors.
    """

    users: int
    behaviors: int
    reasons: dict[str, int]
    duplicates: int
    with_offset: bool
    paired_ends: int = 0
    unpaired: int = 0
    shortened: int = 0  # behaviors with a text of more characters than a prompt takes
    left_out: dict[str, int] = field(default_factory=dict)
    other_rows: int = 0  # of other shards
    rows_without_user: int = 0  # of all shards; not counted without shards


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the empty tables and the functions that fill them."""
    connection.begin()  # one commit for each function would take most of the time
    define_macros(connection)
    connection.execute(f"""
        CREATE TABLE first_lines (file INTEGER, first_line BIGINT);
        CREATE TABLE left_out (other_rows BIGINT, rows_without_user BIGINT);
        CREATE TABLE profiles (user_id VARCHAR);
        CREATE TABLE staged (user_id {_PLAIN_TEXT}, start TIMESTAMP, shift INTEGER, action VARCHAR, item VARCHAR,
            place VARCHAR, duration INTEGER, file INTEGER, line BIGINT, text {_PLAIN_TEXT}, reason VARCHAR, mark TINYINT,
            digest UBIGINT)""")
    connection.commit()


def load(source: Format, wanted: Wanted, insert: Insert) -> None:
    """Read a file through `insert`. Raises InputError, and StorageError without room for a copy."""
    with copies_written(source.file.copy.parent), errors_named(source.file.path):
        source.load(wanted, insert)


def load_behaviors(index: int, reading: Reading, compared: Sequence[str]) -> None:
    """Stage the rows of a file, the run's number `index`, or those of a shard. Rows that differ in one of the columns `compared` are no duplicates.

    Where the unit of durations is "s", as by default, the one that their column's name states wins. Raises InputError where dates
    are day-first or month-first, and neither the settings nor the data say which.
    """
    file, settings = reading.source.file, reading.source.file.settings
    file.stop.check()
    others = {column: f"other{n}" for n, column in enumerate(compared) if column in reading.source.columns}
    values = [f'"{others[column]}"' if column in others else "NULL::VARCHAR" for column in compared]
    unit = settings.duration_unit if settings.duration_unit != "s" else reading.unit or "s"

    def insert(query: Query) -> int:
        rows = reading.select(query, f"hash({', '.join(values)})")
        order = _date_order(file.connection, rows) if settings.dayfirst is None else settings.dayfirst
        kept = _own_rows(file.connection, rows, Shard.parse(settings.shard)) if settings.shard else rows
        raw = f"SELECT {index} AS file, * FROM ({kept.sql})"
        selected = normal_form(raw, settings.timezone, order, unit, reading.known_roles)
        staged = number(file.connection, f"INSERT INTO staged BY NAME {selected}")
        file.connection.execute("INSERT INTO first_lines VALUES (?, ?)", [index, rows.first_line])
        return number(file.connection, "SELECT count(*) FROM shard_rows") if settings.shard else staged

    load(reading.source, [*reading.wanted, *((name, column) for column, name in others.items())], insert)


def _is_own(user: str, shard: Shard) -> str:
    """Return the SQL of whether a row is the shard's. The first one has the rows without a user."""
    return f"coalesce(CAST('0x' || md5({user})[1:8] AS UBIGINT) % {shard.count}, 0) = {shard.index}"


def _own_rows(connection: duckdb.DuckDBPyConnection, rows: Query, shard: Shard) -> Query:
    """Copy the rows of a shard, and return the query of the copy.

    Others leave an empty row, which takes no room: rows are numbered by their places, for which DuckDB would otherwise
    read the file on a single thread.
    """
    connection.execute(f"""CREATE OR REPLACE TABLE shard_rows AS
        SELECT CASE WHEN is_own THEN COLUMNS(* EXCLUDE (problem, is_own, has_user)) END AS "\\0", problem, is_own, has_user
        FROM (
            SELECT *, {_is_own("shard_user", shard)} AS is_own, shard_user IS NOT NULL AS has_user
            FROM (SELECT *, readable_user(trimmed("user")) AS shard_user FROM ({rows.sql})))""")
    connection.execute(f"""INSERT INTO left_out
        SELECT count(*) FILTER (NOT is_own AND problem IS DISTINCT FROM '{BLANK}'),
            count(*) FILTER (NOT has_user AND coalesce(problem, '') NOT IN ({_LEFT_OUT}))
        FROM shard_rows""")
    own = f"""SELECT * EXCLUDE (is_own, has_user, shard_user) REPLACE (
            coalesce(line, {rows.first_line} + rowid - (SELECT min(rowid) FROM shard_rows)) AS line)
        FROM shard_rows WHERE is_own"""
    return Query(own, rows.first_line)


def _date_order(connection: duckdb.DuckDBPyConnection, rows: Query) -> bool | None:
    """Return whether dates such as 13/04/2026 are day-first: a number above 12 decides; None if the first rows have no such dates."""
    date = f'SELECT day_before_clock(trim(coalesce("date", "time"))) AS day FROM ({rows.sql})'
    short = "regexp_matches(day, short_date())"
    if not number(connection, f"SELECT count(*) FROM ({date} LIMIT 2000) WHERE {short}"):
        return None
    first, second = (f"CAST(regexp_extract(day, short_date(), {group}) AS INTEGER)" for group in (1, 2))
    ((day_first, month_first, differs),) = connection.execute(
        f"SELECT bool_or({first} > 12), bool_or({second} > 12), bool_or({first} <> {second}) FROM ({date}) WHERE {short}"
    ).fetchall()
    if differs and day_first == month_first:  # 01/01/2026 is a day in any order
        message = _(
            "dates such as 03/04/2026 can be day-first or month-first, and the data does not decide;"
            " say which: [input] dayfirst = true or false"
        )
        raise InputError(message)
    return bool(day_first)


def insert_profiles(connection: duckdb.DuckDBPyConnection, width: int, rows: Query) -> int:
    """Keep the readable rows of the profiles' file in order: user and `width` columns p0, p1, ..."""
    values = "".join(f", regexp_replace(p{n}, '\\s+', ' ', 'g') AS p{n}" for n in range(width))
    select = f'SELECT trimmed(COLUMNS(*)) AS "\\0" FROM (SELECT "user" AS user_id{values} FROM ({rows.sql}))'
    return number(connection, f"CREATE OR REPLACE TABLE profiles AS {select}")


def finish(connection: duckdb.DuckDBPyConnection, *, keep_duplicates: bool) -> RowCounts:
    """Join begins and ends, sort, mark duplicates, and list the users. Raises InputError for mixed zones."""
    none = f"SELECT coalesce(action, ''), count(*) AS rows FROM staged WHERE reason = '{NON_BEHAVIOR}' GROUP BY 1 ORDER BY rows DESC, 1"
    non_behaviors = dict(connection.execute(none).fetchall())
    paired_ends, unpaired = _pair(connection, keep_duplicates=keep_duplicates)
    _sort(connection)
    if not keep_duplicates:
        _mark_duplicates(connection)
    # the table of users, each with the range of its behaviors' rows; one with several profiles has the first value of each column
    connection.execute("""
        CREATE TABLE users AS SELECT CAST(b.user_id AS VARCHAR) AS user_id, b.* EXCLUDE (user_id), p.* EXCLUDE (user_id)
        FROM (SELECT user_id, count(*) FILTER (reason IS NULL) AS readable,
                min(rowid) AS first_row, max(rowid) AS last_row
            FROM behaviors WHERE user_id IS NOT NULL GROUP BY user_id) b
        LEFT JOIN (SELECT arg_min(COLUMNS(*), rowid) AS "\\0" FROM profiles GROUP BY profiles.user_id) p
            ON p.user_id = b.user_id
        ORDER BY b.user_id""")
    by_reason = "SELECT reason, count(*) AS rows FROM behaviors GROUP BY 1 ORDER BY rows DESC, 1"
    rejects = dict(connection.execute(by_reason).fetchall())
    behaviors, duplicates = rejects.pop(None, 0), rejects.pop(DUPLICATE, 0)
    ((with_offset, is_utc, shortened),) = connection.execute(f"""
        SELECT count(shift), avg(CAST(shift = 0 AS INTEGER)) > 0.9, count(*) FILTER ({_IS_LONG})
        FROM behaviors WHERE reason IS NULL""").fetchall()
    if 0 < with_offset < behaviors:
        message = _(
            "{some:,} times name their offset from UTC and {others:,} do not; say what zone the others are in, and people lived by:"
            " --timezone {zone}, or [input] timezone"
        )
        zone = "UTC" if is_utc else "Asia/Shanghai"
        error = InputError(message.format(some=with_offset, others=behaviors - with_offset, zone=zone))
        error.proposal = input_table({"timezone": zone}, {})
        raise error
    connection.execute("DROP TABLE IF EXISTS shard_rows")
    ((users, *left_out),) = connection.execute("""
        SELECT (SELECT count(*) FROM users), coalesce(sum(other_rows), 0), coalesce(sum(rows_without_user), 0)
        FROM left_out""").fetchall()
    pairs = (paired_ends, unpaired, shortened, non_behaviors)
    return RowCounts(users, behaviors, rejects, duplicates, with_offset > 0, *pairs, *left_out)


def _pair(connection: duckdb.DuckDBPyConnection, *, keep_duplicates: bool) -> tuple[int, int]:
    """Give each begin the time until the next end of the same user and object, and mark that end.

    Copies of a row do not separate a begin from its end, unless duplicates are kept. Other rows stay unchanged.
    Returns the number of paired ends, and of begins and ends without a partner.
    """
    marked = "SELECT count(*) FROM staged WHERE mark IS NOT NULL AND reason IS NULL"
    if number(connection, marked) == 0:
        return 0, 0
    repeated = f"row_number() OVER (PARTITION BY {_OBJECT}, instant, mark, digest ORDER BY file, line) > 1"
    connection.execute(f"""
        CREATE TABLE paired AS
        WITH numbered AS (SELECT staged.* REPLACE ({_LINE}) FROM {_STAGED}),
        marked AS (
            SELECT *, {"false" if keep_duplicates else repeated} AS repeated
            FROM (SELECT *, {INSTANT} AS instant FROM numbered WHERE mark IS NOT NULL AND reason IS NULL)),
        neighbors AS (
            SELECT *, lead(mark) OVER near AS following, lead(instant) OVER near AS until, lag(mark) OVER near AS before
            FROM marked WINDOW near AS (PARTITION BY {_OBJECT}, repeated ORDER BY instant, file, line))
        SELECT * EXCLUDE (instant, repeated, following, until, before) REPLACE (
            CASE WHEN mark = {BEGINS} AND following = {ENDS} AND NOT repeated
                THEN believable_duration((until - instant) // 1000000) ELSE duration END AS duration,
            CASE WHEN repeated THEN '{DUPLICATE}'
                WHEN mark = {ENDS} AND before = {BEGINS} THEN '{PAIRED_END}' END AS reason,
            CASE WHEN repeated OR (mark = {BEGINS} AND following = {ENDS}) THEN NULL ELSE mark END AS mark)
        FROM neighbors
        UNION ALL BY NAME SELECT * FROM numbered WHERE mark IS NULL OR reason IS NOT NULL;
        DROP TABLE staged;
        ALTER TABLE paired RENAME TO staged""")
    ends = number(connection, f"SELECT count(*) FROM staged WHERE reason = '{PAIRED_END}'")
    return ends, number(connection, marked)


def _sort(connection: duckdb.DuckDBPyConnection) -> None:
    """Sort the staged table. Recurring texts are kept as numbers, which takes far less room."""
    columns = ("user_id", "action", "item", "place")
    counts = ", ".join(f"approx_count_distinct({column})" for column in columns)
    ((rows, *found),) = connection.execute(f"SELECT count(*), {counts} FROM staged").fetchall()
    # different texts lie in memory once; with fewer rows for each, numbers cost more than they save
    most = min(100_000, rows // 8)
    few = [column for column, count in zip(columns, found, strict=True) if 0 < count <= most]
    for column in few:
        texts = f"SELECT DISTINCT {column} FROM staged WHERE {column} IS NOT NULL ORDER BY {column}"
        connection.execute(f"CREATE TYPE few_{column} AS ENUM ({texts})")
    numbers = "".join(f", CAST({column} AS few_{column}) AS {column}" for column in few)
    connection.execute(f"""
        CREATE TABLE behaviors AS
        SELECT staged.* EXCLUDE (mark) REPLACE ({_LINE}{numbers}) FROM {_STAGED}
        WHERE coalesce(reason, '') NOT IN ({_LEFT_OUT}, '{PAIRED_END}') ORDER BY user_id, {INSTANT}, file, line;
        DROP TABLE staged""")


def _mark_duplicates(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark all but the first of rows that are equal in the compared columns. They are not deleted: rowids must stay."""
    # they share user and instant, so they are close together
    neighbor = "row_user IS NOT DISTINCT FROM {side}(row_user) OVER () AND instant = {side}(instant) OVER ()"
    connection.execute(f"""
        UPDATE behaviors SET reason = '{DUPLICATE}' WHERE rowid IN (
            SELECT rowid FROM behaviors
            WHERE reason IS NULL AND rowid IN (
                SELECT id FROM (SELECT rowid AS id, user_id AS row_user, {INSTANT} AS instant FROM behaviors)
                QUALIFY ({neighbor.format(side="lag")}) OR ({neighbor.format(side="lead")}))
            QUALIFY row_number() OVER (PARTITION BY {_FACTS}, digest ORDER BY file, line) > 1)""")
