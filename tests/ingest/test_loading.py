"""Regular files are read directly, irregular ones through a copy, with the same rows."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventabs.errors import InputError, StorageError
from eventabs.ingest.files import inspect
from eventabs.ingest.loading import load
from eventabs.ingest.sources import Query, open_source


def read(folder: Path, name: str, data: str | bytes) -> tuple[bool, list[tuple[Any, ...]]]:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source = open_source(str(path), inspect(str(path)))
    found: list[tuple[Any, ...]] = []
    with duckdb.connect() as connection:

        def insert(query: Query) -> int:
            connection.execute(f"CREATE TABLE t AS {query.sql}", list(query.values))
            line = f"coalesce(line, rowid - (SELECT min(rowid) FROM t) + {query.first_line})"
            found[:] = connection.execute(f'SELECT {line}, problem, "user", b FROM t').fetchall()
            return len(found)

        tidied = load(connection, source, [("user", "user"), ("b", "b")], insert, folder)
    assert not (folder / "tidied.txt").exists()
    return tidied, found


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_regular_csv_is_read_directly(tmp_path: Path, newline: str) -> None:
    assert read(tmp_path, "a.csv", newline.join(["user,b", "1,x", "2,"])) == (
        False,
        [(2, None, "1", "x"), (3, None, "2", None)],
    )


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("user,b\n\n1,x\n", [(3, None, "1", "x")]),
        ('user,b\n1,"x\ny"\n2,z\n', [(2, None, "1", "x\ny"), (4, None, "2", "z")]),
        ("user,b\n1\n2,z\n", [(2, "bad_csv", None, None), (3, None, "2", "z")]),
        ("user,b\r\n1,x\n2,y\r\n", [(2, None, "1", "x"), (3, None, "2", "y")]),
        ('user,b\n1,"x\n2,y\n', [(2, "bad_csv", "1", None), (3, None, "2", "y")]),
    ],
)
def test_an_irregular_csv_keeps_its_line_numbers(
    tmp_path: Path, text: str, rows: list[tuple[Any, ...]]
) -> None:
    assert read(tmp_path, "a.csv", text) == (True, rows)


def test_json_lines_with_mixed_line_endings_keep_their_line_numbers(tmp_path: Path) -> None:
    text = '{"user": 1, "b": 2}\r\n{"user": 2}\n\r\n{"user": 3}\r\n'
    assert read(tmp_path, "a.jsonl", text) == (
        False,
        [(1, None, "1", "2"), (2, None, "2", None), (3, "blank", None, None), (4, None, "3", None)],
    )


@pytest.mark.parametrize(
    ("name", "start", "line"),
    [
        ("a.csv", b"user,b\n" + b"1,2\n" * 100_000, 100_001),
        ("a.jsonl", b'{"user": 1, "b": 2}\n' * 50_000, 50_000),
    ],
)
def test_another_encoding_deep_in_the_file_is_named_with_its_line(
    tmp_path: Path, name: str, start: bytes, line: int
) -> None:
    with pytest.raises(InputError, match=rf"is not UTF-8 \(line {line + 1}\)"):
        read(tmp_path, name, start + b"\xc4\xe3,2\n")


def test_no_room_for_the_copy_is_an_error_of_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eventabs.ingest.loading.tidy_csv", full)
    with pytest.raises(StorageError, match="No space left on device; make room"):
        read(tmp_path, "a.csv", "user,b\n\n1,2\n")


def test_any_other_error_of_duckdb_is_one_line_about_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"user": 1}\n')
    source = open_source(str(path), inspect(str(path)))
    with duckdb.connect() as connection:

        def insert(_query: Query) -> int:
            connection.execute("SELECT error('out of everything')")
            return 0

        with pytest.raises(InputError, match=r"a\.jsonl cannot be read: .*out of everything"):
            load(connection, source, [("user", "user")], insert, tmp_path)
