"""The screen of what was understood, and its TOML and JSON."""

import io
import tomllib

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len
from rich.console import Console

from eventabs.ingest import Description
from eventabs.ingest.roles_of_columns import input_table
from eventabs.interface_language import Language, activate
from eventabs.runs import InputDescription, InputRead, RowShown
from eventabs.shared_records import ColumnsFound, InputWarning
from eventabs.views.estimate_columns_check import render_columns

COLUMNS = {"user": "uid", "time": "event\x1b[31m time", "item": "properties.$product_name"}
MAPPING = ColumnsFound(("a.csv",), COLUMNS, {"user": 2000, "time": 2000, "item": 17}, 2000, ("extra",))
DESCRIBED = InputDescription(
    Description((MAPPING,), (), (), input_table({}, COLUMNS)),
    rows=(RowShown("a.csv", 2, "u1,2026-01-15 10:00:42,\x1b[2JA", "2026-01-15 10:00 看 A"),),
    warnings=(InputWarning("one_action", "the action \x1b is always the same"),),
    read=InputRead(1, 4, 4321, 3, 0, {"bad_time": 3}),
)


def screen(described: InputDescription = DESCRIBED, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    render_columns(console, described)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_text_from_the_data_is_escaped() -> None:
    assert "\x1b" not in screen()
    assert "\\x1b[2JA" in screen()


def test_a_row_of_a_document_is_cut_and_what_it_becomes_is_not() -> None:
    row = RowShown("a.json", 1, '{"board": "' + "x" * 90_000 + '"}', "2026-01-15 10:00 move " + "y" * 50)
    shown = screen(DESCRIBED._replace(rows=(row,)))
    assert 900 < shown.count("x") < 1100
    assert "…" in shown
    assert shown.count("y") == screen(DESCRIBED._replace(rows=(row._replace(becomes=""),))).count("y") + 50


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_but_what_is_copied_is_wider_than_the_terminal(language: Language) -> None:
    activate(language)
    try:
        shown = screen().split("[input]")[0]
    finally:
        activate("en")
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_the_toml_at_the_end_of_the_screen_is_the_mapping() -> None:
    toml = "[input.columns]" + screen(width=20).split("[input.columns]")[1]
    assert tomllib.loads(toml)["input"]["columns"] == COLUMNS


@given(st.dictionaries(st.sampled_from(["user", "time", "item", "place"]), st.text(min_size=1)))
def test_the_toml_is_valid_and_says_the_same_whatever_columns_are_called(columns: dict[str, str]) -> None:
    text = input_table({"user": "me", "header": ["a"]}, columns)
    assert tomllib.loads(text)["input"].get("columns", {}) == columns
    assert text.replace("\n", "").isprintable() or not any(
        character < " " or "\x7f" <= character < "\xa0" for character in text.replace("\n", "")
    )


def test_files_with_other_columns_have_a_table_of_their_own() -> None:
    other = ColumnsFound(("b.csv",), {"user": "member"}, {"user": 5}, 5, ())
    both = DESCRIBED._replace(found=DESCRIBED.found._replace(mappings=(MAPPING, other)))
    shown = screen(both)
    assert "b.csv" in shown
    assert "member" in shown
