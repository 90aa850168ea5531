"""Workbooks, read back by calamine."""

import re
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from python_calamine import load_workbook

from eventabs.errors_and_exit_codes import UsageError
from eventabs.shared_records import Event
from eventabs.store import result_files as exports
from exports_kit import HOSTILE, export_file, make_event, make_journey, make_run

AT = datetime(2026, 1, 1, 9, 15, 7)  # noqa: DTZ001  wall time
MARKUP = ("<r><t>x</t></r>", "<r>", "</r>", "<r><evil></r>", "\ufffe", "&lt;", "{=1+1}", "https://a.b", "007")


def exported(folder: Path, *events: Event) -> Path:
    """Export events as a workbook."""
    return export_file(make_run(folder, events), "xlsx")


def rows_of(path: Path) -> list[list[object]]:
    """Return the rows of the first sheet, without the header."""
    header, *rows = load_workbook(path).get_sheet_by_index(0).to_python()
    assert header == [
        "id", "user_id", "type", "category", "start", "end", "minutes", "summary", "journey", "sure", "source", "behaviors"
    ]  # fmt: skip
    return [list(row) for row in rows]


def test_times_are_times_and_behaviors_a_list(tmp_path: Path) -> None:
    event = make_event("anna", "2026-01-01T09:15:07+08:00", behaviors=(1, 2), sure=False)
    assert rows_of(exported(tmp_path, event)) == [
        ["anna/1", "anna", "用餐", "engagement", AT, AT, 30, "", "", False, "llm", "[1,2]"]
    ]


def test_journeys_and_rows_have_sheets_of_their_own(tmp_path: Path) -> None:
    event = make_event("anna")
    run = make_run(tmp_path, [event], journeys=[make_journey("anna", [event])])
    book = load_workbook(export_file(run, "xlsx", rows=True))
    assert book.sheet_names == ["events", "journeys", "rows"]
    (journey,) = book.get_sheet_by_name("journeys").to_python()[1:]
    assert journey == [
        *("anna/j0", "anna", "购买", "露营帐篷", AT, AT, 1, 30, False, '["用餐"]', '["anna/0"]', "[0]")
    ]
    rows = book.get_sheet_by_name("rows").to_python()[1:]
    assert [row[:5] for row in rows] == [
        ["anna/0", "", "anna", 0, "placed"], ["", "", "anna", 1, "unplaced"], ["", "", "anna", 2, "unplaced"]
    ]  # fmt: skip


def test_text_is_text_and_never_a_formula_markup_or_link(tmp_path: Path) -> None:
    texts = (*HOSTILE, *MARKUP)
    written = exported(tmp_path, *(make_event("anna", type=text, summary=text) for text in texts))
    expected = [re.sub("[\ufffe\uffff]", "\ufffd", text).strip() for text in texts]
    rows = rows_of(written)
    assert [str(row[2]).strip() for row in rows] == expected
    assert [str(row[7]).strip() for row in rows] == expected
    with zipfile.ZipFile(written) as file:
        sheet = file.read("xl/worksheets/sheet1.xml").decode()
    assert not re.search("<f[ >]", sheet)
    assert "hyperlink" not in sheet
    assert "<evil>" not in sheet


def test_a_text_longer_than_a_cell_is_cut_visibly(tmp_path: Path) -> None:
    rows = rows_of(
        exported(
            tmp_path,
            make_event("anna", summary="长" * 32_767),
            make_event("anna", summary="😀" * 16_384),
            make_event("bert", behaviors=tuple(range(20_000))),
        )
    )
    assert [rows[0][7], rows[1][7]] == ["长" * 32_767, "😀" * 16_383 + "…"]
    assert str(rows[2][11]).endswith("…")
    assert len(str(rows[2][11])) == 32_767


def test_events_that_a_sheet_has_no_room_for_stand_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_ROWS", 3)
    events = [make_event("anna", f"2026-01-0{day}T00:00:00", summary=str(day)) for day in range(1, 8)]
    book = load_workbook(exported(tmp_path, *events))
    assert book.sheet_names == ["events", "events 2", "events 3", "journeys"]
    read = [[row[7] for row in book.get_sheet_by_name(name).to_python()[1:]] for name in book.sheet_names[:3]]
    assert read == [["1", "2", "3"], ["4", "5", "6"], ["7"]]


def test_a_year_that_excel_does_not_know_is_text(tmp_path: Path) -> None:
    (row,) = rows_of(exported(tmp_path, make_event("anna", "1899-12-31T10:00:00")))
    assert row[4] == "1899-12-31T10:00:00"


def test_without_the_package_the_next_step_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(UsageError, match=r"eventabs\[excel\]"):
        exported(tmp_path, make_event("anna"))
    assert not (tmp_path / "events.xlsx").exists()
