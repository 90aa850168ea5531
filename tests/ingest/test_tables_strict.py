"""A strict reading names the first row that cannot be read."""

import json
from pathlib import Path

import duckdb
import pytest

from eventabs.errors_and_exit_codes import InputError
from input_files import opened

HEADER = "uid,time,item"
GOOD = "u{n},2026-01-15 10:00:00,item {n}"
SOON = "u{n},soon,item {n}"
SHORT = "u{n}"


def refusal(folder: Path, *paths: Path) -> str:
    with pytest.raises(InputError) as caught, opened(folder, *paths, strict=True):
        pass
    assert not list((folder / "work").iterdir())
    return str(caught.value)


def csv_file(folder: Path, *rows: str, name: str = "a.csv", header: str = HEADER) -> Path:
    path = folder / name
    path.write_text("\n".join([header, *(row.format(n=n) for n, row in enumerate(rows))]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        ([GOOD, SOON, GOOD], 3, "bad_time"),
        ([GOOD, SHORT, GOOD], 3, "bad_csv"),
        ([GOOD, SOON, SHORT], 3, "bad_time"),
        ([GOOD, SHORT, SOON], 3, "bad_csv"),
        (['u,2026-01-15,"two\nlines"', "", GOOD, SOON], 6, "bad_time"),
        (['u,2026-01-15,"two\nlines"', "", GOOD, SHORT], 6, "bad_csv"),
        ([GOOD] * 30_000 + [SOON] + [GOOD] * 30_000 + [SHORT, SOON] * 9, 30_002, "bad_time"),
        ([GOOD] * 30_000 + [SHORT] + [GOOD] * 30_000 + [SHORT, SOON] * 9, 30_002, "bad_csv"),
    ],
)
def test_the_first_row_of_a_csv_that_cannot_be_read_is_named_with_its_text(
    tmp_path: Path, rows: list[str], line: int, reason: str
) -> None:
    path = csv_file(tmp_path, *rows)
    text = path.read_text("utf-8").splitlines()[line - 1]
    assert refusal(tmp_path, path) == (
        f"{path}, line {line} cannot be read ({reason}): {text}; mend it, or go without --strict"
    )


@pytest.mark.parametrize("bad", ["{oops", "[1]", '{"uid": "u", "item": "x"}'])
@pytest.mark.parametrize("beginning", [1, 25_000])
def test_the_first_line_of_json_that_cannot_be_read_is_named(
    tmp_path: Path, bad: str, beginning: int
) -> None:
    good = json.dumps({"uid": "u", "time": "2026-01-15", "item": "x"}) + "\n"
    path = tmp_path / "a.jsonl"
    path.write_text(f"{good * beginning}\n{bad}\n{good * 30_000}{bad}\n")
    assert f"a.jsonl, line {beginning + 2} cannot be read" in refusal(tmp_path, path)


def test_elements_and_rows_of_parquet_are_named_by_their_number(tmp_path: Path) -> None:
    rows = [{"uid": "u", "time": "2026-01-15", "item": "x"}, {"uid": "u", "time": "soon", "item": "x"}]
    array = tmp_path / "a.json"
    array.write_text(json.dumps(rows, indent=1))
    parquet = tmp_path / "a.parquet"
    duckdb.execute(f"COPY (SELECT 'u' AS uid, 'soon' AS time, 'x' AS item) TO '{parquet}'")
    assert "a.json, line 2 cannot be read (bad_time): {" in refusal(tmp_path, array)
    assert "a.parquet, line 1 cannot be read (bad_time): {" in refusal(tmp_path, parquet)


def test_good_files_are_read_and_the_one_with_the_bad_row_is_named(tmp_path: Path) -> None:
    good = csv_file(tmp_path, GOOD, "", GOOD, name="a.csv")
    with opened(tmp_path, good, strict=True) as export:
        assert (export.behaviors, export.rows) == (2, 2)
    bad = csv_file(tmp_path, GOOD, SOON, name="b.csv")
    assert refusal(tmp_path, good, bad).startswith(f"{bad}, line 3 ")


def test_the_first_row_of_a_csv_without_a_header_is_on_line_1(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2,3,pv,1511544070\n" * 9 + ",2,3,pv,1511544070\n")
    assert f"{path}, line 10 cannot be read (no_user)" in refusal(tmp_path, path)


def test_broken_rows_of_profiles_are_no_matter(tmp_path: Path) -> None:
    profiles = csv_file(tmp_path, "u0,40", "u1", name="p.csv", header="uid,age")
    wanted = {"profiles": str(profiles), "profile_columns": ("age",), "strict": True}
    with opened(tmp_path, csv_file(tmp_path, GOOD), **wanted) as export:
        assert [log.profile for log in export.user_logs()] == [(("age", "40"),)]
