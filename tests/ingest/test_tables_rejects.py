"""The rows that cannot be read have the line and the text of the file, whatever stands before them."""

import json
from pathlib import Path

import duckdb
import pytest

from input_files import opened, write

GOOD = "u{n},2026-01-15 10:00:00,item {n}"
SOON = "u{n},soon,item {n}"
SHORT = "u{n}"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([GOOD, SOON, SHORT], [(3, "bad_time"), (4, "bad_csv")]),
        ([GOOD, SHORT, SOON], [(3, "bad_csv"), (4, "bad_time")]),
        (['u,2026-01-15,"two\nlines"', "", GOOD, SOON], [(6, "bad_time")]),
        (['u,2026-01-15,"two\nlines"', "", GOOD, SHORT], [(6, "bad_csv")]),
    ],
)
def test_a_row_of_a_csv_has_its_line_and_text(
    tmp_path: Path, rows: list[str], found: list[tuple[int, str]]
) -> None:
    text = "\n".join(["uid,time,item", *(row.format(n=n) for n, row in enumerate(rows))]) + "\n"
    with opened(tmp_path, write(tmp_path, "a.csv", text)) as export:
        assert [(row.line, row.reason) for row in export.rejects()] == found
        assert [row.text for row in export.rejects()] == [text.splitlines()[line - 1] for line, _ in found]


def test_elements_rows_of_parquet_and_rows_without_a_header_are_counted_from_1(tmp_path: Path) -> None:
    rows = [{"uid": "u", "time": "2026-01-15", "item": "x"}, {"uid": "u", "time": "soon", "item": "x"}]
    array = write(tmp_path, "a.json", json.dumps(rows, indent=1))
    parquet = tmp_path / "b.parquet"
    duckdb.execute(f"COPY (SELECT 'u' AS uid, 'soon' AS time, 'x' AS item) TO '{parquet}'")
    headless = write(tmp_path, "c.csv", "1,2,3,pv,1511544070\n" * 9 + ",2,3,pv,1511544070\n")
    with opened(tmp_path, array, parquet) as export:
        assert [(row.file, row.line) for row in export.rejects()] == [(str(array), 2), (str(parquet), 1)]
    with opened(tmp_path, headless) as export:
        assert [(row.line, row.reason) for row in export.rejects()] == [(10, "no_user")]


def test_broken_rows_of_profiles_are_no_matter(tmp_path: Path) -> None:
    profiles = write(tmp_path, "p.csv", "uid,age\nu0,40\nu1\n")
    path = write(tmp_path, "a.csv", f"uid,time,item\n{GOOD.format(n=0)}\n")
    with opened(tmp_path, path, profiles=str(profiles), profile_columns=("age",)) as export:
        assert [log.profile for log in export.user_logs()] == [(("age", "40"),)]
        assert export.rejected_rows == 0
