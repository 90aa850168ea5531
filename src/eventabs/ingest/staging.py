"""The tables between reading and handing out: staged rows, sorted behaviors, users."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import duckdb

from eventabs.errors import ConfigError, InputError
from eventabs.ingest.loading import first_reject_found, refusing
from eventabs.ingest.markers import PAIRED_END, Paired, pair
from eventabs.ingest.normal_form import normal_form
from eventabs.ingest.sources import BLANK, Query, quoted, trimmed
from eventabs.ingest.times import SHORT_DATE
from eventabs.language import gettext as _

# What makes an instant comparable, whether the wall time has an offset or not.
_INSTANT: Final = "epoch_us(start) - coalesce(shift, 0)::BIGINT * 1000000"
_TRIED_ROWS: Final = 2000  # in which a file with day-first or month-first dates shows one
_FEW: Final = 100_000  # different texts, which are kept in memory once and stand in rows as numbers
# Where most values of a block differ, trying how they compress costs more than it saves in a table that is read once.
_PLAIN_TEXT: Final = "VARCHAR USING COMPRESSION uncompressed"
DUPLICATE: Final = "duplicate"  # the reason of rows that count once only
_FACTS: Final = "user_id, start, shift, action, item, place, duration, text"


class Counts(NamedTuple):
    """What an export holds; `rejects` by reason. `with_offset`: its times carry an offset from UTC."""

    users: int
    behaviors: int
    rejects: dict[str, int]
    duplicates: int
    with_offset: bool
    paired: Paired = Paired(0, 0)


def prepare(connection: duckdb.DuckDBPyConnection, profile_width: int) -> None:
    """Make the empty tables."""
    profile = "".join(f", p{position} VARCHAR" for position in range(profile_width))
    connection.execute(f"""
        CREATE TABLE first_lines (file INTEGER, first_line BIGINT);
        CREATE TABLE profiles (user_id VARCHAR{profile});
        CREATE TABLE staged (user_id {_PLAIN_TEXT}, start TIMESTAMP, shift INTEGER, action VARCHAR, item VARCHAR,
            place VARCHAR, duration INTEGER, file INTEGER, line BIGINT, text {_PLAIN_TEXT}, reason VARCHAR, mark TINYINT)""")


def check_zone(connection: duckdb.DuckDBPyConnection, zone: str) -> None:
    """Raise ConfigError unless `zone` is a time zone's name or ""."""
    known = connection.execute("SELECT count(*) FROM pg_timezone_names() WHERE name = ?", [zone]).fetchone()
    if zone and known == (0,):
        message = _("there is no time zone {zone}; take a name such as Asia/Shanghai or Europe/Berlin")
        raise ConfigError(message.format(zone=zone))


def load_behaviors(
    connection: duckdb.DuckDBPyConnection,
    index: int,
    zone: str,
    dayfirst: bool | None,
    rows: Query,
    *,
    strict: bool = False,
) -> int:
    """Stage the rows of an export's file, the run's file number `index`. Returns how many they are.

    Raises InputError where dates are day-first or month-first, and neither `dayfirst` nor the data says which, and, if
    `strict`, UnreadableRowError where a row cannot be read.
    """
    order = _date_order(connection, rows) if dayfirst is None else dayfirst

    def normal(limit: str = "") -> str:
        raw = f"SELECT {index} AS file, * FROM ({rows.sql}{limit})"
        return normal_form(raw, quoted(zone) if zone else "", order)

    wanted = refusing(normal()) if strict else normal()
    with first_reject_found(connection, normal, rows.values):
        staged = _changed(connection, f"INSERT INTO staged BY NAME {wanted}", rows.values)
    connection.execute("INSERT INTO first_lines VALUES (?, ?)", [index, rows.first_line])
    return staged


def _date_order(connection: duckdb.DuckDBPyConnection, rows: Query) -> bool | None:
    """Return whether dates such as 13/04/2026 are day-first; None where the first rows hold none such.

    All rows are looked at: the first number above 12 decides.
    """
    date = f'SELECT coalesce("date", "time") AS day FROM ({rows.sql})'
    short = f"regexp_matches(trim(day), '{SHORT_DATE}')"
    (found,) = connection.execute(
        f"SELECT count(*) FROM ({date} LIMIT {_TRIED_ROWS}) WHERE {short}", list(rows.values)
    ).fetchall()
    if found == (0,):
        return None
    first, second = (
        f"CAST(regexp_extract(trim(day), '{SHORT_DATE}', {group}) AS INTEGER)" for group in (1, 2)
    )
    ((day_first, month_first),) = connection.execute(
        f"SELECT bool_or({first} > 12), bool_or({second} > 12) FROM ({date}) WHERE {short}", list(rows.values)
    ).fetchall()
    if day_first == month_first:
        message = _(
            "dates such as 03/04/2026 can be day-first or month-first, and the data does not decide;"
            " say which: [input] dayfirst = true or false"
        )
        raise InputError(message)
    return bool(day_first)


def load_profiles(connection: duckdb.DuckDBPyConnection, width: int, rows: Query) -> int:
    """Keep the readable rows of the profiles' file: in order: user and `width` columns p0, p1, ..."""
    on_one_line = (f"regexp_replace(p{position}, '\\s+', ' ', 'g')" for position in range(width))
    values = "".join(f", {trimmed(value)}" for value in on_one_line)
    user = trimmed('"user"')
    select = f"SELECT {user}{values} FROM ({rows.sql})"
    return _changed(connection, f"INSERT INTO profiles {select}", rows.values)


def finish(connection: duckdb.DuckDBPyConnection, profile_width: int, *, keep_duplicates: bool) -> Counts:
    """Join ends with their begins, sort, mark duplicates, and list the users. Raises InputError for a mix of zones."""
    paired = pair(connection, _INSTANT, None if keep_duplicates else DUPLICATE)
    _sort(connection)
    if not keep_duplicates:
        _mark_duplicates(connection)
    profile = "".join(f", p.p{n}" for n in range(profile_width))
    # arg_min: a user with several profiles has the first value of each column
    first = "".join(f", arg_min(p{n}, rowid) AS p{n}" for n in range(profile_width))
    connection.execute(f"""
        CREATE TABLE users AS SELECT CAST(b.user_id AS VARCHAR) AS user_id, b.readable, b.first_row, b.last_row{profile}
        FROM (SELECT user_id, count(*) FILTER (reason IS NULL) AS readable,
                min(rowid) AS first_row, max(rowid) AS last_row
            FROM behaviors WHERE user_id IS NOT NULL GROUP BY user_id) b
        LEFT JOIN (SELECT user_id{first} FROM profiles GROUP BY user_id) p ON p.user_id = b.user_id
        ORDER BY b.user_id""")
    users = _number(connection, "SELECT count(*) FROM users")
    behaviors = _number(connection, "SELECT count(*) FROM behaviors WHERE reason IS NULL")
    rejects = dict(
        connection.execute(
            "SELECT reason, count(*) AS rows FROM behaviors WHERE reason IS NOT NULL GROUP BY 1 ORDER BY rows DESC, 1"
        ).fetchall()
    )
    duplicates = rejects.pop(DUPLICATE, 0)
    with_offset = _number(connection, "SELECT count(shift) FROM behaviors WHERE reason IS NULL")
    if 0 < with_offset < behaviors:
        message = _(
            "some times name their offset from UTC and some do not;"
            " say what zone people lived in: --timezone Asia/Shanghai"
        )
        raise InputError(message)
    return Counts(users, behaviors, rejects, duplicates, with_offset > 0, paired)


def _sort(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the sorted table out of the staged one. Texts that recur are kept as numbers, which takes far less room."""
    few = _columns_of_few(connection)
    for column in few:
        connection.execute(
            f"CREATE TYPE few_{column} AS ENUM"
            f" (SELECT DISTINCT {column} FROM staged WHERE {column} IS NOT NULL ORDER BY {column})"
        )
    numbers = "".join(f", CAST({column} AS few_{column}) AS {column}" for column in few)
    connection.execute(f"""
        CREATE TABLE behaviors AS
        SELECT staged.* EXCLUDE (mark) REPLACE (coalesce(line, first_line + staged.rowid - first_row) AS line{numbers})
        FROM staged JOIN first_lines USING (file)
        JOIN (SELECT file, min(rowid) AS first_row FROM staged GROUP BY file) USING (file)
        WHERE coalesce(reason, '') NOT IN ('{BLANK}', '{PAIRED_END}') ORDER BY user_id, {_INSTANT}, file, line;
        DROP TABLE staged""")


def _columns_of_few(connection: duckdb.DuckDBPyConnection) -> list[str]:
    columns = ("user_id", "action", "item", "place")
    counts = ", ".join(f"approx_count_distinct({column})" for column in columns)
    (found,) = connection.execute(f"SELECT {counts} FROM staged").fetchall()
    return [column for column, count in zip(columns, found, strict=True) if 0 < count <= _FEW]


def _mark_duplicates(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark all but the first of equal rows. They share user and instant, so they lie near each other.

    They are not deleted: rowids have to stay.
    """
    neighbor = "row_user IS NOT DISTINCT FROM {side}(row_user) OVER () AND instant = {side}(instant) OVER ()"
    connection.execute(f"""
        UPDATE behaviors SET reason = '{DUPLICATE}' WHERE rowid IN (
            SELECT id FROM (
                SELECT rowid AS id, row_number() OVER (PARTITION BY {_FACTS} ORDER BY file, line) AS copy
                FROM behaviors
                WHERE reason IS NULL AND rowid IN (
                    SELECT id FROM (
                        SELECT id, ({neighbor.format(side="lag")}) OR ({neighbor.format(side="lead")}) AS close
                        FROM (SELECT rowid AS id, user_id AS row_user, {_INSTANT} AS instant FROM behaviors)
                    ) WHERE close
                )
            ) WHERE copy > 1
        )""")


def _changed(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()) -> int:
    return _number(connection, sql, values)


def _number(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()) -> int:
    row = connection.execute(sql, list(values)).fetchone()
    return int(row[0]) if row else 0
