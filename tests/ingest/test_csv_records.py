"""Irregular files are copied row by row, and nothing but the broken line is lost."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors import InputError
from eventabs.ingest.csv_records import records, tidy_csv, tidy_json
from eventabs.ingest.files import Content
from eventabs.ingest.sources import Source

CONTENT = Content(b"", 0, one_newline=True, longest=0)


def source(folder: Path, text: str | bytes, columns: tuple[str, ...] = ("user", "b")) -> Source:
    path = folder / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source(str(path), "csv", ",", columns, CONTENT, str(path))


def fields(folder: Path, text: str) -> list[tuple[int, list[str] | None]]:
    return [(record.line, record.fields) for record in records(source(folder, text))]


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
    ],
)
def test_each_record_stands_at_its_line_and_a_broken_one_alone_is_lost(
    tmp_path: Path, text: str, found: list[tuple[int, list[str] | None]]
) -> None:
    assert fields(tmp_path, text) == found


def test_the_text_of_a_record_is_all_its_lines(tmp_path: Path) -> None:
    assert [record.text for record in records(source(tmp_path, '1,"x\ny"\n'))] == ['1,"x\ny"']


def test_a_quote_left_open_looks_no_further_than_a_thousand_lines(tmp_path: Path) -> None:
    text = '0,"open\n' + "1,x\n" * 1500 + '2,close"\n'
    found = fields(tmp_path, text)
    assert found[0] == (1, None)
    assert len(found) == 1502


def test_the_copy_has_line_problem_and_fields_and_keeps_the_user_of_a_broken_row(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    text = 'user,b\n1,2\n\n7,,x\n"8,\n9,"x\ny"\n12\n'
    longest = tidy_csv(source(tmp_path, text), target, "user")
    with target.open(encoding="utf-8", newline="") as copy:
        assert list(csv.reader(copy)) == [
            ["2", "", "1", "2"],
            ["4", "bad_csv", "7", ""],
            ["5", "bad_csv", "", ""],
            ["6", "", "9", "x\ny"],
            ["8", "bad_csv", "", ""],  # 12 may be the start of a longer id
        ]
    assert longest >= len('6,,9,"x\ny"')


def test_a_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not UTF-8 \(line 3\)"):
        list(records(source(tmp_path, b"user,b\n1,2\n3,\xff\n")))


def test_a_copy_of_json_lines_has_one_kind_of_line_ending_and_as_many_lines(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    tidy_json(source(tmp_path, b"a\r\nb\n\r\nc\rd\ne"), target)
    assert target.read_bytes() == b"a\nb\n\nc d\ne\n"


CELL = st.text('ab,"\n 好', max_size=5).filter(lambda cell: cell.strip())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=8))
def test_what_a_csv_writer_wrote_comes_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("user", "b"), *table])
    found = records(Source(str(folder / "a.csv"), "csv", ",", ("user", "b"), CONTENT, str(folder / "a.csv")))
    assert [tuple(record.fields or ()) for record in found] == [("user", "b"), *table]
