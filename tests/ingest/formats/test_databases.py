"""Tables and views of database files are read, and nothing is written to them."""

import sqlite3  # noqa: TID251  the file of a user, not ours
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from eventabs.errors_and_exit_codes import InputError
from input_files import facts, opened, write

TABLES = """
    CREATE TABLE users (user_id INTEGER, name VARCHAR);
    CREATE TABLE log (user_id {id}, ts {time}, item VARCHAR, picture BLOB);
    INSERT INTO log VALUES (7, '2026-01-15 10:00:00', 'line' || chr(10) || 'break', NULL), (7, '2026-01-15 10:00:01', 'x', NULL);
    CREATE VIEW names AS SELECT name FROM users"""
FOUND = ["7|2026-01-15T10:00:00|thing|line break||", "7|2026-01-15T10:00:01|thing|x||"]

Maker = Callable[..., Path]


def sqlite_file(path: Path, more: str = "") -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            TABLES.format(id="INTEGER", time="TEXT").replace("chr(", "char(") + ";" + more
        )
    return path


def duckdb_file(path: Path, more: str = "") -> Path:
    with duckdb.connect(path) as connection:
        connection.execute(TABLES.format(id="HUGEINT", time="TIMESTAMP") + ";" + more)
    return path


MAKERS = pytest.mark.parametrize(("make", "name"), [(sqlite_file, "a.sqlite"), (duckdb_file, "a.duckdb")])


@MAKERS
def test_the_only_table_with_a_user_and_a_time_is_read(tmp_path: Path, make: Maker, name: str) -> None:
    path = make(tmp_path / name)
    before = path.read_bytes()
    assert [fact.replace("\n", " ") for fact in facts(tmp_path, path)] == FOUND
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == [name]


@MAKERS
def test_of_several_tables_one_is_named_and_a_view_may_be(tmp_path: Path, make: Maker, name: str) -> None:
    path = make(tmp_path / name, "CREATE VIEW late AS SELECT * FROM log WHERE item = 'x'")
    with (
        pytest.raises(InputError, match=r"several tables .*\[input\] table; it has: log, late"),
        opened(tmp_path, path),
    ):
        pass
    assert facts(tmp_path, path, table="late") == FOUND[1:]
    with (
        pytest.raises(InputError, match=r"no table logs \(\[input\] table\)"),
        opened(tmp_path, path, table="logs"),
    ):
        pass


@MAKERS
def test_of_several_tables_the_one_that_says_most_is_read_and_the_others_are_named(
    tmp_path: Path, make: Maker, name: str
) -> None:
    path = make(tmp_path / name, "CREATE TABLE logins (user_id INTEGER, time VARCHAR)")
    with opened(tmp_path, path) as export:
        assert export.behaviors == len(FOUND)
        (said,) = [each.message for each in export.description.warnings if each.code == "other_tables"]
    assert "logins" in said


@MAKERS
def test_a_table_without_users_is_found_where_the_user_is_known(
    tmp_path: Path, make: Maker, name: str
) -> None:
    path = make(tmp_path / name, "ALTER TABLE log RENAME COLUMN user_id TO n")
    assert facts(tmp_path, path, user="me")[1] == "me|2026-01-15T10:00:01|thing|x||"


def test_pictures_are_left_out_and_blank_rows_are_none(tmp_path: Path) -> None:
    more = "INSERT INTO log VALUES (7, '2026-01-15 10:00:02', 'y', x'00ff'), (NULL, NULL, NULL, NULL)"
    with opened(tmp_path, sqlite_file(tmp_path / "a.db", more)) as export:
        assert (export.rows, export.behaviors) == (3, 3)


def test_a_view_reads_no_other_file(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.csv", "user,time,item\nu1,2026-01-15,x\n")
    path = duckdb_file(tmp_path / "a.duckdb", f"CREATE VIEW other AS FROM read_csv('{secret}')")
    with pytest.raises(InputError, match="Permission Error"), opened(tmp_path, path, table="other"):
        pass


def test_a_broken_file_is_refused_in_one_line(tmp_path: Path) -> None:
    for name, data in {
        "a.sqlite": b"SQLite format 3\0" + bytes(200),
        "a.duckdb": bytes(8) + b"DUCK" + bytes(200),
    }.items():
        with (
            pytest.raises(InputError, match="cannot be read") as caught,
            opened(tmp_path, write(tmp_path, name, data)),
        ):
            pass
        assert "\n" not in str(caught.value)


@MAKERS
def test_where_no_table_has_a_user_the_widest_with_a_time_is_one_persons(
    tmp_path: Path, make: Maker, name: str
) -> None:
    pages = "CREATE TABLE pages (id_book INTEGER, page INTEGER, start_time INTEGER, duration INTEGER);"
    rows = "INSERT INTO pages VALUES (1, 2, 1768471200, 30), (1, 3, 1768471230, 40);"
    gone = "DROP VIEW names; DROP TABLE log; DROP TABLE users;"
    view = "CREATE VIEW per_page AS SELECT page, start_time, duration FROM pages"
    path = make(tmp_path / name, gone + pages + rows + view)
    with pytest.raises(InputError, match="no user column that is sure") as refused, opened(tmp_path, path):
        pass
    assert 'user = "me"' in refused.value.proposal
    with opened(tmp_path, path, user="me") as export:
        assert (export.users, export.behaviors) == (1, 2)
        assert [behavior.duration for log in export.user_logs() for behavior in log.behaviors] == [30, 40]


@MAKERS
def test_of_several_tables_the_one_whose_users_come_back_at_hours_is_read(
    tmp_path: Path, make: Maker, name: str
) -> None:
    rows = [
        f"INSERT INTO checkins VALUES ({n}, 'p{n % 3}', '2026-01-{n + 1:02} 10:00:0{n % 10}');"
        f"INSERT INTO days VALUES ({n}, 'p{n % 3}', '2026-01-{n + 1:02}')"
        for n in range(24)
    ]
    people = "CREATE TABLE people (person_id VARCHAR, user_name VARCHAR, created_at VARCHAR)"
    logs = "CREATE TABLE checkins (id INTEGER, person_id VARCHAR, time VARCHAR)"
    days = "CREATE TABLE days (id INTEGER, person_id VARCHAR, date VARCHAR)"
    path = make(tmp_path / name, ";".join(["DROP TABLE log", people, logs, days, *rows]))
    with opened(tmp_path, path) as export:
        assert (export.users, export.behaviors) == (3, 24)
        (said,) = [each.message for each in export.description.warnings if each.code == "other_tables"]
    assert "days" in said


@MAKERS
def test_where_no_table_has_a_user_one_of_few_rows_gives_way(tmp_path: Path, make: Maker, name: str) -> None:
    orders = "CREATE TABLE orders (session_id VARCHAR, order_id VARCHAR, status VARCHAR, price REAL, created_at VARCHAR)"
    pages = "CREATE TABLE pages (session_id VARCHAR, event_name VARCHAR, created_at VARCHAR)"
    rows = [f"INSERT INTO pages VALUES ('s{n % 4}', 'view', '2026-01-15 10:00:{n}')" for n in range(10, 40)]
    gone = "DROP VIEW names; DROP TABLE log; DROP TABLE users"
    order = "INSERT INTO orders VALUES (NULL, 'A-1', 'won', 7.5, '2026-01-15 10:00:00')"
    path = make(tmp_path / name, ";".join([gone, orders, pages, order, *rows]))
    with opened(tmp_path, path) as export:
        assert (export.users, export.behaviors) == (4, 30)
