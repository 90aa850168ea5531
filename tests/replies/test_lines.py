import pytest

from eventabs.replies.forms import (
    Aliases,
    Claim,
    NamedDay,
    NamedTime,
    is_strict,
    read_cells,
    read_line,
    read_lines,
    read_rows,
    split_bars,
    split_labels,
)

JAN_1 = NamedDay(None, 1, 1)
TEN, ELEVEN = NamedTime(JAN_1, 600), NamedTime(None, 660)
BOTH = Aliases(dict.fromkeys(["U1", "U2"], 100))


@pytest.mark.parametrize(
    ("line", "claim"),
    [
        ("10:00-11:00 用餐 | 西餐厅", Claim(TEN, ELEVEN, "用餐", "", "西餐厅")),
        ("10:00-11:00 用餐", Claim(TEN, ELEVEN, "用餐")),
        ("10:00 用餐", Claim(TEN, None, "用餐")),
        ("10:00-11:00 用餐 |", Claim(TEN, ELEVEN, "用餐")),
        ("10:00-11:00用餐|a|b", Claim(TEN, ELEVEN, "用餐", "", "a|b")),
        ("１０：００—１１：００ 到店！｜好，吃！", Claim(TEN, ELEVEN, "到店！", "", "好，吃！")),
        ("* `10:00-11:00` **用餐** | 好", Claim(TEN, ELEVEN, "用餐**", "", "好")),
        ("[10:00-11:00] 用餐", Claim(TEN, ELEVEN, "用餐")),
        ("【10:00 - 11:00】：用餐", Claim(TEN, ELEVEN, "用餐")),
        ("3) 10:00-11:00: 用餐", Claim(TEN, ELEVEN, "用餐")),
        ("10:00-11:00 | 用餐 | engagement | 好", Claim(TEN, ELEVEN, "用餐", "engagement", "好")),
        ("10:00到店", Claim(TEN, None, "到店")),
        ("01-01 10:00 用餐", Claim(TEN, None, "用餐")),
        ("10:00 " + "x" * 3000, Claim(TEN, None, "x" * 1994)),
    ],
)
def test_an_event_is_read_from_its_line(line: str, claim: Claim) -> None:
    assert read_line(line, JAN_1) == claim


@pytest.mark.parametrize(
    "line",
    ["", "10:00", "10:00-11:00", "10:00-11:00 |", "用餐 10:00", "25:00 x", "10:0 x", "# 01-01", '"10:00 x"'],
)
def test_a_line_without_time_or_type_is_no_event(line: str) -> None:
    assert read_line(line, JAN_1) is None


def shape(text: str, aliases: Aliases = BOTH) -> list[tuple[str, bool, list[str]]]:
    return [(b.alias, b.closed, [claim.type for claim in b.claims]) for b in read_lines(text, aliases)]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("## U1\n10:00 a\n## U2\n10:00 b\n##", [("U1", True, ["a"]), ("U2", True, ["b"])]),
        ("## U1\n10:00 a\n## U2\n10:00 b", [("U1", True, ["a"]), ("U2", False, ["b"])]),
        ("## U1\n10:00 a\n## U3\n10:00 c\n", [("", False, []), ("U1", False, ["a"])]),
        (
            "## U1\n10:00 a\n## U3\n10:00 c\n## U2\n",
            [("", False, []), ("U1", True, ["a"]), ("U2", False, [])],
        ),
        ("## U1\n10:00 a\n##\n10:00 b", [("U1", True, ["a"])]),
        ("## U1\n## Morning\nprose\n10:00 a\n## end", [("U1", True, ["a"])]),
        ("10:00 a\n##", []),
        ("", []),
    ],
)
def test_a_block_is_closed_by_the_next_known_header_or_the_end(
    text: str, blocks: list[tuple[str, bool, list[str]]]
) -> None:
    assert shape(text) == blocks


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("# 01-01\n10:00 a\n##", [("U1", True, ["a"])]),
        ("# 01-01\n10:00 a", [("U1", False, ["a"])]),
        ("10:00 a\n## U1\n10:00 b\n##", [("U1", True, ["b"])]),
        ("nothing\n##\n", []),
    ],
)
def test_events_without_a_header_belong_to_a_user_alone(
    text: str, blocks: list[tuple[str, bool, list[str]]]
) -> None:
    assert shape(text, Aliases(dict.fromkeys(["U1"], 100))) == blocks


@pytest.mark.parametrize(
    ("header", "day"),
    [
        ("# 01-02", NamedDay(None, 1, 2)),
        ("# 2026-01-02 周五", NamedDay(2026, 1, 2)),
        ("## 2026-01-02", NamedDay(2026, 1, 2)),
        ("# 01-02 a busy day", NamedDay(None, 1, 2)),
        ("**2026/01/02**", NamedDay(2026, 1, 2)),
        ("1月2日（周五）：", NamedDay(None, 1, 2)),
        ("2026.1.2 Friday", NamedDay(2026, 1, 2)),
        ("01-02 was a busy day", None),
    ],
)
def test_a_day_header_holds_for_the_lines_below(header: str, day: NamedDay | None) -> None:
    (block,) = read_lines(f"## U1\n{header}\n10:00 a\n##", BOTH)
    assert block.claims[0].start.day == day


def test_a_day_does_not_reach_into_the_next_user() -> None:
    assert (
        next(reversed(list(read_lines("## U1\n# 01-02\n## U2\n10:00 a\n##", BOTH)))).claims[0].start.day
        is None
    )


def test_absurdly_many_events_are_not_kept_and_the_block_says_so() -> None:
    full, overfull = read_lines("## U1\n" + "10:00 a\n" * 100 + "## U2\n" + "10:00 a\n" * 500 + "##", BOTH)
    assert (len(full.claims), full.overfull) == (100, False)
    assert (len(overfull.claims), overfull.overfull) == (100, True)


@pytest.mark.parametrize(
    "text", ["## U1\n# 01-01\n10:00 a\n##", "## U1\n# 2026-01-01\n10:00-01-02 11:00 a b! | c | d\n##\n"]
)
def test_a_text_to_the_letter_is_strict(text: str) -> None:
    assert is_strict(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "##",
        "## U1\n##",
        "## U1\n10:00 a\n##",
        "## U1\n# 01-01\n10:00 a\n",
        "\n## U1\n# 01-01\n10:00 a\n##",
        "## U1\n# 01-01\n10:00  a\n##",
        "## U1\n# 01-01\n10:00 a\n##\n\n",
    ],
)
def test_a_text_that_is_only_nearly_so_is_not(text: str) -> None:
    assert not is_strict(text)


# rows

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
    assert split_labels([]) == ("", "", "")


def shape_of_rows(text: str) -> list[tuple[str, bool, list[str]]]:
    blocks = read_rows(text, Aliases(dict.fromkeys(["U1", "U2"], 100)))
    return [(b.alias, b.closed, [claim.type for claim in b.claims]) for b in blocks]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("U1|01-01 10:00|a\nU1|01-01 11:00|b\n##", [("U1", True, ["a", "b"])]),
        ("U1|01-01 10:00|a\nU2|01-01 11:00|b\n", [("U1", True, ["a"]), ("U2", False, ["b"])]),
        (
            "| u1 | 01-01 10:00 | a |\n|---|---|---|\n- U2｜01-01 11:00｜b\n##\n",
            [("U1", True, ["a"]), ("U2", True, ["b"])],
        ),
        (
            "U1|01-01 10:00|a\nU2|01-01 11:00|b\nU1|01-01 12:00|c\n",
            [("U1", False, ["a", "c"]), ("U2", False, ["b"])],
        ),
        ("U9|01-01 10:00|a\n##", [("", True, [])]),
        ("U1|whenever|a\n##", [("U1", True, [])]),
        ("10:00-11:00 | a | b\nplain\n##", []),
    ],
)
def test_rows_are_gathered_by_user(text: str, blocks: list[tuple[str, bool, list[str]]]) -> None:
    assert shape_of_rows(text) == blocks
