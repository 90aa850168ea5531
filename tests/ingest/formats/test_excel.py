"""Workbooks are read as their sheets show them."""

import builtins
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from eventabs.errors_and_exit_codes import InputError
from input_files import facts, facts_of, opened, write
from paths import ROOT

START = datetime(2026, 1, 15, 10, 0, 42)  # noqa: DTZ001  sheets have no zones
ROWS: list[list[Any]] = [
    ["Activity report"],
    [],
    ["user_id", "timestamp", "action", "item", "duration"],
    [1001, START, "click", "line\nbreak", 90],
    [None] * 5,
    [1002, START + timedelta(seconds=1), "buy", 5.5, timedelta(minutes=1)],
    ["合计", None, None, None, 150],
]
FOUND = ["1001|2026-01-15T10:00:42|click|line break||90", "1002|2026-01-15T10:00:43|purchase|5.5||60"]


def workbook(path: Path, sheets: dict[str, Sequence[Sequence[Any]]], **options: Any) -> Path:  # noqa: ANN401  as xlsxwriter takes them
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss", **options}) as book:
        formats = {date: "yyyy-mm-dd", time: "hh:mm:ss", timedelta: "[h]:mm:ss"}
        made = {kind: book.add_format({"num_format": text}) for kind, text in formats.items()}
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, cell in enumerate(cells):
                    sheet.write(row, column, cell, *([made[type(cell)]] if type(cell) in made else []))
    return path


@pytest.mark.parametrize("epoch", [False, True], ids=["1900", "1904"])
@pytest.mark.parametrize("name", ["a.xlsx", "a.csv"])
def test_the_first_sheet_with_rows_is_read_between_its_titles_and_sums(
    tmp_path: Path, name: str, *, epoch: bool
) -> None:
    book = workbook(tmp_path / name, {"cover": [], "log": ROWS}, date_1904=epoch)
    assert facts(tmp_path, book) == FOUND
    with opened(tmp_path, book) as export:
        assert [b.line for log in export.user_logs() for b in log.behaviors] == [4, 6]
        assert (export.rows, export.skipped_lines) == (2, 2)


def test_a_sheet_is_named_and_a_wrong_name_answered_with_those_there_are(tmp_path: Path) -> None:
    book = workbook(
        tmp_path / "a.xlsx", {"一月": [["user", "time", "item"], ["u1", START, "x"]], "二月": ROWS}
    )
    assert facts(tmp_path, book, sheet="二月") == FOUND
    with (
        pytest.raises(InputError, match=r"no sheet March \(\[input\] sheet\); it has: 一月, 二月"),
        opened(tmp_path, book, sheet="March"),
    ):
        pass


def test_sheets_that_are_not_read_are_named_and_a_cover_or_a_hidden_one_is_not_the_first(
    tmp_path: Path,
) -> None:
    cover: list[list[Any]] = [["本表由系统导出"], [START, 3]]
    rows: list[list[Any]] = [["user", "time", "item"], ["u1", START, "x"]]
    book = workbook(
        tmp_path / "a.xlsx",
        {"说明": cover, "一月": ROWS, "二月": rows, "三月": rows, "people": [["user"], ["u1"]]},
    )
    with opened(tmp_path, book) as export:
        assert facts_of(export) == FOUND
        (told,) = export.description.warnings
    assert (told.code, told.message.endswith(": 二月, 三月; to read one: [input] sheet")) == (
        "other_tables",
        True,
    )
    assert facts(tmp_path, book, sheet="二月") == ["u1|2026-01-15T10:00:42|thing|x||"]
    with xlsxwriter.Workbook(tmp_path / "b.xlsx") as hidden:
        for name, cell in (("old", "a"), ("new", "b")):
            sheet = hidden.add_worksheet(name)
            for row, cells in enumerate((("user", "time", "item"), ("u1", "2026-01-15", cell))):
                sheet.write_row(row, 0, cells)
        hidden.get_worksheet_by_name("new").activate()
        hidden.get_worksheet_by_name("old").hide()
    assert facts(tmp_path, tmp_path / "b.xlsx") == ["u1|2026-01-15T00:00:00|thing|b||"]
    people: list[list[Any]] = [["user", "time", "city"], ["u1", START, "x"]]
    foreign: list[list[Any]] = [["kto", "kogda", "chto"], *(["u1", START, f"x{n}"] for n in range(20))]
    book = workbook(tmp_path / "c.xlsx", {"rows": foreign, "people": people})
    with pytest.raises(InputError, match="kogda"), opened(tmp_path, book):
        pass
    many = [
        *rows,
        *(["u1", START, f"x{n}"] for n in range(20)),
    ]  # as long as the first sheet, and it says who and when
    assert len(facts(tmp_path, workbook(tmp_path / "e.xlsx", {"rows": foreign, "orders": many}))) == 21
    assert facts(tmp_path, workbook(tmp_path / "d.xlsx", {"people": [["user"], ["u1"]], "rows": rows}))


def test_sheets_of_a_series_with_the_same_header_are_one_table_without_its_sums_and_said(
    tmp_path: Path,
) -> None:
    def month(item: str, header: Sequence[str] = ("user", "time", "item")) -> list[list[Any]]:
        return [[*header], ["u1", START, item], ["Total Bob", START, item], ["合计", None, 1]]

    sheets: dict[str, Sequence[Sequence[Any]]] = {
        "一月": month("a"),
        "二月": [["title"], *month("b")],
        "三月": month("c", ["user", "time", "", "item"]),  # its columns stand elsewhere
        "raw": month("d"),
        "other": [["user", "time"], ["u1", START]],
    }
    book = workbook(tmp_path / "a.xlsx", sheets)
    with opened(tmp_path, book) as export:
        assert facts_of(export) == [
            f"{user}|2026-01-15T10:00:42|thing|{item}||" for user in ("Total Bob", "u1") for item in "ab"
        ]
        assert export.skipped_lines == 3  # a title and two sums
        told = {each.code: each.message for each in export.description.warnings}
    assert "一月, 二月; " in told["joined_sheets"]
    assert "三月, raw, other; " in told["other_tables"]
    assert len(facts(tmp_path, book, sheet="二月")) == 2
    persons = workbook(tmp_path / "c.xlsx", {name: month("x") for name in ("Mark", "Maria")})
    assert len(facts(tmp_path, persons)) == 2
    with xlsxwriter.Workbook(tmp_path / "b.xlsx") as hidden:
        for name in ("1", "2"):
            for row, cells in enumerate((("user", "time", "item"), ("u1", "2026-01-15", name))):
                (hidden.get_worksheet_by_name(name) or hidden.add_worksheet(name)).write_row(row, 0, cells)
        hidden.get_worksheet_by_name("2").hide()
    assert facts(tmp_path, tmp_path / "b.xlsx") == ["u1|2026-01-15T00:00:00|thing|1||"]


def test_a_grid_of_days_is_not_read_before_a_sheet_with_times(tmp_path: Path) -> None:
    grid: list[list[Any]] = [["姓名", "打卡时间"], *([f"张{n}", None, "08:30"] for n in range(30))]
    rows: list[list[Any]] = [
        ["姓名", "打卡时间", "地址"],
        *([f"张{n % 5}", START, "杭州"] for n in range(30)),
    ]
    with opened(tmp_path, workbook(tmp_path / "a.xlsx", {"打卡": grid, "原始记录": rows})) as export:
        assert export.description.columns["place"] == "地址"
    sparse: list[list[Any]] = [
        ["user", "date", "time", "item"],
        *([f"u{n}", START, None, "x"] for n in range(30)),
    ]
    book = workbook(tmp_path / "b.xlsx", {"log": sparse, "people": [["user", "time"], ["u1", START]]})
    with opened(tmp_path, book) as export:
        assert export.description.columns["item"] == "item"


def test_dates_times_formulas_and_errors_are_what_the_sheet_shows(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["user", "date", "time", "item", "duration"],
        [True, START.date(), time(9, 5), "=1/0", timedelta(hours=30)],
    ]
    path = tmp_path / "a.xlsx"
    workbook(path, {"log": rows})
    with opened(tmp_path, path) as export:
        (log,) = export.user_logs()
        assert [(log.user_id, b.start.isoformat(), b.duration) for b in log.behaviors] == [
            ("true", "2026-01-15T09:05:00", 108000)
        ]


def test_numbers_of_days_are_times_and_a_column_with_other_numbers_keeps_them(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["user", "time", "item", "session time (ms)"],
        ["u1", 46037.5, "x", 35_000],
        ["u1", 46038.25, "y", 120_000],
    ]
    book = workbook(tmp_path / "a.xlsx", {"log": rows})
    found = facts(tmp_path, book, columns={"duration": "session time (ms)"})
    assert found == ["u1|2026-01-15T12:00:00|thing|x||35", "u1|2026-01-16T06:00:00|thing|y||120"]


def test_masked_users_of_two_columns_are_no_rules_between_joined_sheets(tmp_path: Path) -> None:
    days = range(1, 21)
    sheets: dict[str, Sequence[Sequence[Any]]] = {
        month: [["user_id", "time"], *([f"****{day % 7}", f"{month}-{day:02} 09:00:00"] for day in days)]
        for month in ("2026-01", "2026-02")
    }
    with opened(tmp_path, workbook(tmp_path / "a.xlsx", sheets)) as export:
        assert (export.rows, export.users, export.skipped_lines) == (40, 7, 0)


def test_an_old_workbook_is_read(tmp_path: Path) -> None:
    found = facts(tmp_path, ROOT / "tests" / "data" / "behaviors.xls")
    assert found == [f"7|2026-01-15T10:00:0{second}|thing|商品{second - 1}||60" for second in (1, 2, 3)]


def test_an_old_workbook_with_the_code_page_that_time_clocks_write_is_read(tmp_path: Path) -> None:
    data = (ROOT / "tests" / "data" / "behaviors.xls").read_bytes()
    utf_16, western = (b"\x42\0\x02\0" + page.to_bytes(2, "little") for page in (1200, 1252))
    assert data.count(utf_16) == 1
    (tmp_path / "a.xls").write_bytes(data.replace(utf_16, western))
    assert facts(tmp_path, tmp_path / "a.xls") == facts(tmp_path, ROOT / "tests" / "data" / "behaviors.xls")


def test_a_csv_by_the_name_of_a_workbook_is_a_csv(tmp_path: Path) -> None:
    path = write(tmp_path, "a.xlsx", "user,time,item\nu1,2026-01-15 10:00:00,x\n")
    assert facts(tmp_path, path) == ["u1|2026-01-15T10:00:00|thing|x||"]


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "a.xlsx", {"log": ROWS}).read_bytes()
    sheet_at = whole.index(b"sheet1.xml") + len("sheet1.xml")
    far = workbook(tmp_path / "far.xlsx", {"log": [["a"]]})
    with xlsxwriter.Workbook(far) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "a")
        sheet.write(1_048_575, 16_383, "b")
    for path, said in {
        workbook(tmp_path / "empty.xlsx", {"log": []}): "no sheet with rows",
        write(tmp_path, "cut.xlsx", whole[:3000]): "no workbook that can be read",
        write(
            tmp_path, "bad.xlsx", whole[:sheet_at] + b"\xff" * 20 + whole[sheet_at + 20 :]
        ): "no workbook that can be read",
        write(
            tmp_path, "old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
        ): "no workbook that can be read",
        far: "a sheet of 17179 million cells; save it as CSV",
    }.items():
        with pytest.raises(InputError, match=said) as caught, opened(tmp_path, path):
            pass
        assert "\n" not in str(caught.value)


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as modules are imported
        if name == "python_calamine":
            raise ImportError
        return imported(name, *args, **kwargs)

    book = workbook(tmp_path / "a.xlsx", {"log": ROWS})
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'eventabs\[excel\]'"), opened(tmp_path, book):
        pass
