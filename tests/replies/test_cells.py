import pytest

from eventabs.replies.claims import Claim, NamedDay, NamedTime
from eventabs.replies.lines import read_cells, split_bars, told

JAN_1 = NamedDay(None, 1, 1)
TEN, ELEVEN = NamedTime(JAN_1, 600), NamedTime(JAN_1, 660)


@pytest.mark.parametrize(
    ("cells", "claim"),
    [
        (
            ["01-01 10:00", "01-01 11:00", "用餐", "engagement", "好"],
            Claim(TEN, ELEVEN, "用餐", "engagement", "好"),
        ),
        (["01-01 10:00", "11:00", "用餐", "好"], Claim(TEN, ELEVEN, "用餐", "", "好")),
        (["01-01 10:00", "用餐"], Claim(TEN, None, "用餐")),
        (["01-01 10:00", None, "用餐", None, "好"], Claim(TEN, None, "用餐", "", "好")),
        (["01-01 10:00-11:00", "用餐"], Claim(TEN, NamedTime(None, 660), "用餐")),
        (["01-01", "10:00", "11:00", "用餐"], Claim(TEN, ELEVEN, "用餐")),
        (
            ["01-01", "10:00", "01-02", "11:00", "用餐"],
            Claim(TEN, NamedTime(NamedDay(None, 1, 2), 660), "用餐"),
        ),
        (["01-01 10:00", "11:00", "用餐", "", "好", "吃"], Claim(TEN, ELEVEN, "用餐", "", "好 吃")),
        (["01-01 10:00", "11:00", "用餐", 7, "好"], Claim(TEN, ELEVEN, "用餐", "", "好")),
        (["01-01 10:00", "11:00", "12:00"], Claim(TEN, ELEVEN, "12:00")),
    ],
)
def test_a_row_is_times_and_then_words(cells: list[object], claim: Claim) -> None:
    assert read_cells(cells, None) == claim


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["用餐"],
        ["01-01 10:00"],
        ["01-01", "用餐"],
        ["01-01 10:00", ""],
        ["01-01 10:00", ["x"]],
        [None, "10:00", "x"],
    ],
)
def test_a_row_without_time_or_type_is_no_event(cells: list[object]) -> None:
    assert read_cells(cells, None) is None


def test_a_row_without_day_is_on_the_day_above_it() -> None:
    assert read_cells(["10:00", "x"], JAN_1) == Claim(TEN, None, "x")


def test_bars_split_also_when_full_width() -> None:
    assert split_bars("a | b｜c") == ["a", "b", "c"]
    assert told([]) == ("", "", "")
