"""A file's format and columns are found, and its rows come with their line numbers."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors import InputError
from eventabs.ingest.files import inspect
from eventabs.ingest.sources import Source, open_source, quoted, rows, trimmed

CONNECTION = duckdb.connect()


def source(folder: Path, name: str, text: str) -> Source:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return open_source(str(path), inspect(str(path)))


def read(opened: Source, *columns: str) -> list[tuple[Any, ...]]:
    query = rows(opened, [(f"v{position}", column) for position, column in enumerate(columns)])
    names = ", ".join(f"v{position}" for position in range(len(columns)))
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS {query.sql}", list(query.values))
        numbered = f"coalesce(line, rowid + {query.first_line})"
        return connection.execute(f"SELECT {numbered}, problem, {names} FROM t").fetchall()


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.jsonl", '{"a": 1, "b": 2}\n{"c": 3}\n', ("jsonl", "", ("a", "b", "c"))),
        ("a.json", 'bad\n{"a": 1}\n', ("jsonl", "", ("a",))),
        ("spool", '\n{"a": 1}\n', ("jsonl", "", ("a",))),
        ("a.csv", '\ufeffa, b ,"c,d"\r\n1,2,3\r\n', ("csv", ",", ("a", "b", "c,d"))),
        ("a.tsv", "a\tb\n", ("csv", "\t", ("a", "b"))),
        ("a.csv", "a;b;c\n", ("csv", ";", ("a", "b", "c"))),
        ("spool", "a,b\n1,2\n", ("csv", ",", ("a", "b"))),
    ],
)
def test_format_and_columns_are_found(
    tmp_path: Path, name: str, text: str, found: tuple[str, str, tuple[str, ...]]
) -> None:
    opened = source(tmp_path, name, text)
    assert (opened.format, opened.delimiter, opened.columns) == found


def test_keys_that_come_late_are_found(tmp_path: Path) -> None:
    text = '{"a": 1}\n' * 60_000 + '{"late": 1}\n' * 60_000
    assert source(tmp_path, "a.jsonl", text).columns == ("a", "late")


@pytest.mark.parametrize(
    ("text", "part"), [("[1]\n", "no line that is a JSON object"), ("\n\n", "no line that is a JSON object")]
)
def test_json_of_another_shape_is_refused(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        source(tmp_path, "a.json", text)


def test_json_lines_keep_their_numbers_and_name_their_problems(tmp_path: Path) -> None:
    opened = source(
        tmp_path, "a.jsonl", '{"a": 1, "b": null}\n\n   \n{"a"\n[1]\n"x"\n{"b": 1.50}\n{"a": {"k": [1]}}'
    )
    assert read(opened, "a", "b", "") == [
        (1, None, "1", None, None),
        (2, "blank", None, None, None),
        (3, "blank", None, None, None),
        (4, "bad_json", None, None, None),
        (5, "not_an_object", None, None, None),
        (6, "not_an_object", None, None, None),
        (7, None, None, "1.5", None),
        (8, None, '{"k":[1]}', None, None),
    ]


def test_json_keys_with_odd_characters_are_found(tmp_path: Path) -> None:
    opened = source(tmp_path, "a.jsonl", '{"a/b": 1, "c~d": 2, "e\'f": 3, "g\\"h": 4, "用户 ID": 5}\n')
    assert read(opened, *opened.columns) == [(1, None, "1", "2", "3", "4", "5")]


def test_json_numbers_beyond_64_bits_keep_their_digits(tmp_path: Path) -> None:
    opened = source(tmp_path, "a.jsonl", '{"a": 123456789012345678901234567890}\n')
    assert read(opened, "a") == [(1, None, "123456789012345678901234567890")]


def test_csv_rows_are_counted_behind_the_header(tmp_path: Path) -> None:
    opened = source(tmp_path, "[a]*.csv", 'a,b\n1,"x, ""y"""\n,NULL\n')
    assert read(opened, "b", "a", "") == [(2, None, 'x, "y"', "1", None), (3, None, "NULL", None, None)]


def test_a_line_of_many_megabytes_is_read(tmp_path: Path) -> None:
    opened = source(tmp_path, "a.jsonl", '{"a": "1"}\n{"a": "' + "x" * (17 << 20) + '"}\n{"a": "3"}\n')
    assert [(line, len(value)) for line, _problem, value in read(opened, "a")] == [
        (1, 1),
        (2, 17 << 20),
        (3, 1),
    ]


@pytest.mark.parametrize(("name", "row"), [("a.jsonl", '{{"n": {n}, "p": "{p}"}}\n'), ("a.csv", "{n},{p}\n")])
def test_line_numbers_hold_through_a_file_larger_than_duckdbs_buffers(
    tmp_path: Path, name: str, row: str
) -> None:
    body = "".join(row.format(n=number, p="x" * (number % 400)) for number in range(1, 250_001))
    header = "n,p\n" if name.endswith("csv") else ""
    found = read(source(tmp_path, name, header + body), "n")
    shift = 1 if header else 0
    assert len(found) == 250_000
    assert all(line == int(number) + shift for line, _problem, number in found)


@settings(max_examples=60, deadline=None)
@given(st.text("a好 \t\r\n\u3000\u00a0\ufeff'", max_size=6))
def test_trimming_takes_what_python_would_and_the_byte_order_mark(text: str) -> None:
    found = CONNECTION.execute(f"SELECT {trimmed('t')} FROM (SELECT ?::VARCHAR AS t)", [text]).fetchone()
    assert found == (text.strip(" \t\r\n\u3000\u00a0\ufeff") or None,)


def test_a_quoted_literal_is_itself() -> None:
    with duckdb.connect() as connection:
        assert connection.execute("SELECT " + quoted("it's ''")).fetchone() == ("it's ''",)
