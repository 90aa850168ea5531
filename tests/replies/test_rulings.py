"""What a reply may do: where a row goes, and when a user is not done."""

from collections.abc import Sequence
from typing import Any

import pytest

from eventabs.replies.reader import Reader
from eventabs.setting_choices import Detail
from eventabs.shared_records import Behavior, Category, EventType, Outcome, Reply, row_ranges
from reply_cases import (
    ASKED,
    FIRST,
    GOOD,
    LONG,
    READER,
    VOCABULARY,
    Short,
    asked,
    behaviors,
    dumped,
    one,
    read,
    short,
    told,
)

HOURS = behaviors(*(f"2087-03-03 {hour:02}:00" for hour in range(8, 18)))
THREE = asked(HOURS, HOURS, HOURS)


def of(detail: Detail = "day", **vocabulary: Any) -> Reader:  # noqa: ANN401  fields of Vocabulary
    known = VOCABULARY._replace(**vocabulary)
    return Reader(known, detail=detail, source="llm", summarize=lambda _log: lambda _behaviors: "")


def long(text: str, earlier: Outcome | None = None) -> Outcome:
    """Read lines about a user of forty rows."""
    request = {"U1": LONG["U1"]._replace(earlier=earlier)}
    return read(f"## U1\n{text}\n##\n", asked=request).outcomes["U1"]


def test_rows_under_another_users_header_are_dropped_and_counted() -> None:
    found = told(GOOD.replace("工作 2,4 9", "工作 2,4,13 9 13").replace("运动 13", "运动 13,2 5"))
    assert found["U1"] == told(GOOD)["U1"]._replace(misfiled=2)
    assert found["U2"] == Short(None, ["运动 0"], misfiled=2)


def test_swapped_headers_give_nobody_anothers_rows() -> None:
    swapped = GOOD.replace("## U1", "## U9").replace("## U2", "## U1").replace("## U9", "## U2")
    found = told(swapped)
    assert (found["U1"].reason, found["U1"].events) == ("unplaced", [])
    assert (found["U2"].reason, found["U2"].events) == ("unplaced", [])


def test_without_a_readable_header_the_number_decides() -> None:
    lines = [line for line in GOOD.splitlines(keepends=True) if not line.startswith("## ")]
    assert told("".join(lines)) == told(GOOD)
    assert told("工作 1-12,13\n##") == {
        "U1": Short(None, ["工作 0,1,2,3,4,5,6,7", "工作 8,9", "工作 10,11"]),
        "U2": Short(None, ["工作 0"]),
    }


def test_an_answer_that_counts_anew_for_each_user_is_refused_whole() -> None:
    anew = "".join(f"## U{number}\n工作 1-6\n用餐 7-10\n" for number in (1, 2, 3)) + "##"
    assert {outcome.reason for outcome in told(anew, asked=THREE).values()} == {"renumbered"}
    rows = {f"U{number}": {"工作": "1-6", "用餐": "7-10"} for number in (1, 2, 3)}
    assert {outcome.reason for outcome in told(dumped(rows), asked=THREE).values()} == {"renumbered"}


@pytest.mark.parametrize("by", [1, -1])
def test_an_answer_whose_rows_are_shifted_for_every_user_is_refused_whole(by: int) -> None:
    rows = [(first + by, first + 9 + by) for first in (11, 21)]
    text = (
        f"## U1\n工作 1-10\n## U2\n工作 {rows[0][0]}-{rows[0][1]}\n## U3\n工作 {rows[1][0]}-{rows[1][1]}\n##"
    )
    assert {outcome.reason for outcome in told(text, asked=THREE).values()} == {"renumbered"}


def test_one_user_that_counts_anew_among_others_is_refused_alone() -> None:
    four = asked(HOURS, HOURS, HOURS, HOURS)
    text = "## U1\n工作 1-10\n## U2\n工作 11-20\n## U3\n工作 1-10\n## U4\n工作 31-40\n##"
    assert [outcome.reason for outcome in told(text, asked=four).values()] == [None, None, "renumbered", None]


@pytest.mark.parametrize("group", ["8-5", "1-13", "1-999999999", "5-99999999999999999999", "12-1"])
def test_a_range_from_high_to_low_or_longer_than_the_user_is_refused(group: str) -> None:
    assert one(f"工作 {group} 9") == Short("unplaced", ["工作 8"], (), (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11))


def test_a_row_stays_where_it_was_first_and_in_a_journey_rather_than_in_a_line() -> None:
    assert one("用餐 1-3\n工作 2,4") == Short(
        "unplaced", ["用餐 0,1,2", "工作 3"], (), tuple(range(4, 12)), 0, 1
    )
    found = one("搜索 5\n> 购买 帐篷：搜索 5；浏览 6,8\n> 旅行 湖边：浏览 8；住宿 11；旅行 12\n零碎 6 6")
    assert found.events == [
        "搜索 4 <购买 帐篷>",
        "浏览 5,7 <购买 帐篷>",
        "住宿 10 <旅行 湖边>",
        "旅行 11 <旅行 湖边>",
    ]
    assert (found.minor, found.repeated) == ((), 4)


def test_journeys_of_one_kind_and_name_are_one() -> None:
    outcome = read(
        "## U1\n> 购买 Tent：搜索 5；浏览 6\n> 购买 tent：浏览 8\n##", asked=asked(FIRST)
    ).outcomes["U1"]
    (journey,) = outcome.journeys
    assert (journey.name, journey.behaviors, journey.events) == (
        "Tent",
        (4, 5, 7),
        ("user1/4", "user1/5", "user1/7"),
    )


def test_a_journey_of_one_row_is_a_plain_event() -> None:
    assert one("> 购买 帐篷：搜索 5").events == ["搜索 4"]
    assert one("> 购买 帐篷：浏览 6,8").events == ["浏览 5,7 <购买 帐篷>"]


@pytest.mark.parametrize(
    ("times", "groups"),
    [
        (("03-03 23:00", "03-04 04:59"), ["工作 0,1"]),
        (("03-03 23:00", "03-04 05:00"), ["工作 0", "工作 1"]),
        (("03-03 23:00+360", "03-04 06:00"), ["工作 0", "工作 1"]),  # it ends at 05:00
        (("03-03 23:00+361", "03-04 06:00"), ["工作 0,1"]),
        (
            ("03-03 14:00+2640", "03-04 10:00", "03-05 09:00", "03-05 20:00", "03-06 08:00"),
            ["工作 0,1,2,3", "工作 4"],
        ),
        (("03-03 10:00", "03-04 10:00", "03-05 10:00"), ["工作 0", "工作 1", "工作 2"]),
    ],
)
def test_a_group_is_cut_where_a_day_begins_unless_a_row_of_it_lasts_until_then(
    times: Sequence[str], groups: list[str]
) -> None:
    log = behaviors(*(f"2087-{time}" for time in times))
    assert one(f"工作 1-{len(log)}", log=log).events == groups
    in_journey = one(f"> 旅行 湖边：工作 1-{len(log)}", log=log).events
    assert in_journey == [f"{group} <旅行 湖边>" for group in groups]


@pytest.mark.parametrize(
    ("placed", "reason"),
    [("1-40", None), ("1-38", None), ("1-37", "unplaced"), ("", "unplaced")],
)
def test_five_percent_of_the_rows_may_be_left_out(placed: str, reason: str | None) -> None:
    outcome = long(f"工作 {placed}")
    assert outcome.reason == reason
    assert sorted({*outcome.unplaced, *(row for event in outcome.events for row in event.behaviors)}) == [
        *range(40)
    ]


def test_below_twenty_rows_none_may_be_left_out() -> None:
    nineteen = asked(behaviors(*(f"2087-03-03 {hour:02}:00" for hour in range(5, 24))))
    assert told("## U1\n工作 1-18\n##", asked=nineteen)["U1"].reason == "unplaced"
    twenty = asked(behaviors(*(f"2087-03-03 {hour:02}:00" for hour in range(5, 24)), "2087-03-03 23:30"))
    assert told("## U1\n工作 1-19\n##", asked=twenty)["U1"] == Short(
        None, [f"工作 {','.join(map(str, range(19)))}"], (), (19,)
    )


def test_a_user_with_a_header_and_nothing_below_is_unplaced_and_one_without_is_missing() -> None:
    assert told("## U1\n工作 1-12\n##")["U2"].reason == "missing"
    assert told("## U1\n工作 1-12\n## U2\n##")["U2"] == Short("unplaced", [], (), (0,))


def test_the_last_user_of_a_reply_without_its_end_is_cut_unless_it_stopped_with_all_rows_placed() -> None:
    text = "## U1\n工作 1-10\n## U2\n工作 11-20\n## U3\n工作 21-"
    assert [outcome.reason for outcome in told(text + "30", asked=THREE).values()] == [None, None, None]
    assert [outcome.reason for outcome in told(text + "3", asked=THREE).values()] == [None, None, "cut"]
    for finish in ("length", "interrupted"):
        assert [o.reason for o in told(text + "30", finish, asked=THREE).values()] == [None, None, "cut"]
    assert [o.reason for o in told(text[: text.index("## U3")], "length", asked=THREE).values()] == [
        None,
        "cut",
        "cut",
    ]


def test_a_header_that_is_cut_to_another_users_costs_that_user_nothing() -> None:
    many = asked(*[behaviors("2087-03-03 10:00")] * 12)
    whole = "".join(f"## U{number}\n工作 {number}\n" for number in range(1, 12))
    reasons = [outcome.reason for outcome in told(whole + "## U1", "length", asked=many).values()]
    assert reasons == [None] * 11 + ["cut"]


def test_rows_that_are_mostly_minor_are_asked_about_once_more() -> None:
    assert long("工作 1-16\n零碎 17-40").reason is None
    outcome = long("工作 1-15\n零碎 16-40")
    assert (outcome.reason, len(outcome.minor), len(outcome.events)) == ("minor", 25, 1)
    again = long("工作 1-14\n零碎 15-40", earlier=outcome)
    assert (again.reason, len(again.minor)) == (None, 26)


def test_only_where_minor_rows_are_asked_for_and_the_user_has_twenty_rows() -> None:
    assert read("## U1\n零碎 1-40\n##", asked=LONG, reader=of("fine")).outcomes["U1"].reason is None
    assert one("零碎 1-12") == Short(None, [], tuple(range(12)))


def test_what_an_earlier_answer_placed_stays_and_the_new_one_adds_to_it() -> None:
    earlier = long("> 购买 帐篷：搜索 1；浏览 2\n工作 3-20\n零碎 21 22")
    assert (earlier.reason, row_ranges(earlier.unplaced)) == ("unplaced", "22-39")
    fresh = long("> 购买 帐篷：浏览 23\n用餐 1-20\n零碎 21-22,24-39", earlier=earlier)
    assert fresh.reason is None
    assert short(fresh).events == [
        "搜索 0 <购买 帐篷>",
        "浏览 1 <购买 帐篷>",
        f"工作 {','.join(map(str, range(2, 20)))}",
        "浏览 22 <购买 帐篷>",
    ]
    assert row_ranges(fresh.minor) == "20-21 23-38"
    assert (row_ranges(fresh.unplaced), fresh.repeated) == ("39", 0)
    assert [journey.behaviors for journey in fresh.journeys] == [(0, 1, 22)]


def test_rows_that_were_not_asked_about_again_stay_unplaced_and_indices_are_those_of_the_log() -> None:
    earlier = long("工作 1-20")
    rows = [*range(15, 30)]
    again = LONG["U1"]._replace(
        log=LONG["U1"].log._replace(behaviors=LONG["U1"].log.behaviors[15:30]), rows=rows, earlier=earlier
    )
    outcome = READER.read(Reply("## U1\n用餐 1-15\n##"), {"U1": again}).outcomes["U1"]
    assert (outcome.reason, row_ranges(outcome.unplaced)) == ("unplaced", "30-39")
    assert [event.behaviors for event in outcome.events] == [tuple(range(20)), tuple(range(20, 30))]
    assert [event.id for event in outcome.events] == ["user1/0", "user1/20"]


def test_where_only_journeys_are_asked_for_the_other_rows_are_unasked() -> None:
    reader = of("journeys")
    found = told(GOOD, reader=reader)
    assert found["U1"] == Short(
        None,
        [
            "搜索 4 <购买 露营帐篷>",
            "浏览 5,7 <购买 露营帐篷>",
            "加购! 9 <购买 露营帐篷>",
            "住宿 10 <旅行 湖边度假>",
            "旅行 11 <旅行 湖边度假>",
        ],
        (),
        (0, 1, 2, 3, 6, 8),
    )
    outcome = read("## U1\n## U2\n##", reader=reader).outcomes["U2"]
    assert (outcome.reason, outcome.unplaced, outcome.unasked) == (None, (), (0,))
    assert told("## U1\n> 购买 帐篷：搜索 5\n## U2\n##", reader=reader)["U1"].events == []


def test_types_in_another_language_are_kept_and_outside_where_the_vocabulary_is_closed() -> None:
    text = "## U1\ngardening 1-6\nwork 7-8\n工作 9-12\n##"
    outcome = read(text, asked=asked(FIRST), reader=of(open=False)).outcomes["U1"]
    assert [(event.type, event.outside) for event in outcome.events if event.behaviors[0] < 8] == [
        ("gardening", True),
        ("工作", False),
    ]
    free = read("## U1\ngardening 1-12\n##", asked=asked(FIRST)).outcomes["U1"]
    assert not any(event.outside for event in free.events)


@pytest.mark.parametrize(("is_open", "outside"), [(True, []), (False, ["露营", "trek"])])
def test_a_kind_of_journey_outside_the_list_is_kept_and_counted_where_the_list_is_closed(
    is_open: bool, outside: list[str]
) -> None:
    text = "> 露营：搜索 5；浏览 6\n> trek Alps: 浏览 8; 住宿 11\n> 旅行 湖边: 旅行 12; 工作 9\n零碎 1-4,7,10"
    outcome = read(f"## U1\n{text}\n##", asked=asked(FIRST), reader=of(open_journeys=is_open)).outcomes["U1"]
    assert [f"{each.kind} {each.name}" for each in outcome.journeys] == [
        "露营 露营",
        "trek Alps",
        "旅行 湖边",
    ]
    odd = {event.journey for event in outcome.events if event.outside}
    assert [each.kind for each in outcome.journeys if each.id in odd] == outside


def test_a_mark_that_no_category_has_is_counted() -> None:
    plain = of(categories=(Category("engagement"),), types=(EventType("工作"),))
    found = read("## U1\n工作! 1-6\n工作 7!\n工作 8-12\n##", asked=asked(FIRST), reader=plain).outcomes["U1"]
    assert {(event.category, event.outside) for event in found.events if event.behaviors[0] < 7} == {
        ("engagement", True)
    }
    assert not any(event.outside for event in found.events if event.behaviors[0] >= 7)


def test_rows_in_any_order_and_doubled_are_placed_once() -> None:
    rows = [*range(1, 41), 7, 7, 12]
    rows.sort(key=lambda row: row * 7 % 41)
    outcome = long(f"工作 {','.join(map(str, rows))}")
    assert [event.behaviors for event in outcome.events] == [tuple(range(40))]
    assert outcome.repeated == 3


def test_every_alias_of_the_request_has_an_outcome_with_its_part() -> None:
    reading = read("## U2\n工作 13\n##")
    assert {alias: outcome.part for alias, outcome in reading.outcomes.items()} == {
        alias: user.part for alias, user in ASKED.items()
    }


def test_a_log_without_rows_is_no_trouble() -> None:
    nobody: tuple[Behavior, ...] = ()
    assert told("## U1\n## U2\n工作 1\n##", asked=asked(nobody, HOURS[:1]))["U2"] == Short(None, ["工作 0"])
