"""Irregular files are copied row by row, and nothing but the broken line is lost."""

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import StorageError
from eventabs.ingest.formats.csv_logs_chats import Csv
from input_files import loaded, open_input_file, queried


def source(folder: Path, text: str | bytes) -> Csv:
    """Return a CSV file with two columns, whatever is in its first line."""
    opened = open_input_file(folder, "a.csv", "user,b\n")
    assert isinstance(opened, Csv)
    Path(opened.file.text).write_bytes(text if isinstance(text, bytes) else text.encode())
    return opened


def fields(folder: Path, text: str) -> list[tuple[int, list[str] | None]]:
    return [(line, fields) for line, _text, fields in source(folder, text).records()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user,b\n1,2\n", [(1, ["user", "b"]), (2, ["1", "2"])]),
        ("\ufeffuser,b\r\n\r\n  \n1,2", [(1, ["user", "b"]), (4, ["1", "2"])]),
        ('1,"x\ny\nz"\n2,w\n', [(1, ["1", "x\ny\nz"]), (4, ["2", "w"])]),
        ('1,2"x\n3,4\n', [(1, ["1", '2"x']), (2, ["3", "4"])]),
        ("1\n1,2,3\n1,2,,\n", [(1, None), (2, None), (3, ["1", "2"])]),
        ('1,"open\n2,x\n3,y\n', [(1, None), (2, ["2", "x"]), (3, ["3", "y"])]),
        ('1,"open\n2,x\n3,"again\n4,y\n', [(1, None), (2, ["2", "x"]), (3, None), (4, ["4", "y"])]),
        ('1,"x"y\n2,z\n', [(1, None), (2, ["2", "z"])]),
        ('""Ann" <105>",x\n1,"y "z""\n', [(1, ['"Ann" <105>', "x"]), (2, ["1", 'y "z"'])]),
        ('1,"said "a", and "b""\n2,z\n', [(1, None), (2, ["2", "z"])]),
    ],
)
def test_each_record_stands_at_its_line_and_a_broken_one_alone_is_lost(
    tmp_path: Path, text: str, found: list[tuple[int, list[str] | None]]
) -> None:
    assert fields(tmp_path, text) == found


def test_the_text_of_a_record_is_all_its_lines(tmp_path: Path) -> None:
    assert [text for _line, text, _fields in source(tmp_path, '1,"x\ny"\n').records()] == ['1,"x\ny"']


def test_a_quote_left_open_looks_no_further_than_a_thousand_lines(tmp_path: Path) -> None:
    text = '0,"open\n' + "1,x\n" * 1500 + '2,close"\n'
    found = fields(tmp_path, text)
    assert found[0] == (1, None)
    assert len(found) == 1502


def test_the_copy_has_line_problem_and_fields_and_keeps_the_user_of_a_broken_row(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    text = 'user,b\n1,2\n\n7,,x\n"8,\n9,"x\ny"\n12\n'
    longest = source(tmp_path, text).tidy(target, "user")
    with target.open(encoding="utf-8", newline="") as copy:
        assert list(csv.reader(copy)) == [
            ["2", "", "1", "2"],
            ["4", "bad_csv", "7", ""],
            ["5", "bad_csv", "", ""],
            ["6", "", "9", "x\ny"],
            ["8", "bad_csv", "", ""],  # 12 may be the start of a longer id
        ]
    assert longest >= len('6,,9,"x\ny"')


CELL = st.text('ab,"\n 好', max_size=5).filter(lambda cell: cell.strip())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=8))
def test_what_a_csv_writer_wrote_comes_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("user", "b"), *table])
    found = source(folder, (folder / "a.csv").read_bytes()).records()
    assert [tuple(fields or ()) for _line, _text, fields in found] == [("user", "b"), *table]


@pytest.mark.parametrize(
    ("name", "text", "delimiter", "columns"),
    [
        ("a.csv", '\ufeffa, b ,"c,d"\r\n1,2,3\r\n', ",", ("a", "b", "c,d")),
        ("a.tsv", "a\tb\n", "\t", ("a", "b")),
        ("a.csv", "a;b;c\n", ";", ("a", "b", "c")),
        ("spool", "a,b\n1,2\n", ",", ("a", "b")),
    ],
)
def test_delimiter_and_columns_are_found(
    tmp_path: Path, name: str, text: str, delimiter: str, columns: tuple[str, ...]
) -> None:
    opened = open_input_file(tmp_path, name, text)
    assert isinstance(opened, Csv)
    assert (opened.layout.dialect.delimiter, opened.columns) == (delimiter, columns)


def test_csv_rows_are_counted_behind_the_header(tmp_path: Path) -> None:
    opened = open_input_file(tmp_path, "[a]*.csv", 'a,b\n1,"x, ""y"""\n,NULL\n')
    assert queried(opened, "b", "a", "") == [(2, None, 'x, "y"', "1", None), (3, None, "NULL", None, None)]


@pytest.mark.parametrize("text", ["user,b\n1,x\n2,", "user,b\r\n1,x\r\n2,", "user,b\r1,x\r2,"])
def test_a_regular_csv_is_read_directly_whatever_its_line_ends(tmp_path: Path, text: str) -> None:
    opened = open_input_file(tmp_path, "a.csv", text)
    assert loaded(opened) == [(2, None, "1", "x"), (3, None, "2", None)]
    assert isinstance(opened, Csv)
    assert opened.is_regular


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
    opened = open_input_file(tmp_path, "a.csv", text)
    assert loaded(opened) == rows
    assert isinstance(opened, Csv)
    assert not opened.is_regular


def test_no_room_for_the_copy_is_an_error_of_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Csv, "tidy", full)
    with pytest.raises(StorageError, match="No space left on device; make room"):
        loaded(open_input_file(tmp_path, "a.csv", "user,b\n\n1,2\n"))
