"""Answers of an extension: rows that are shown again, journeys that are known, ids that last."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from eventabs.replies.reader import MustRule, MustRules, Reader, TextCondition
from eventabs.setting_choices import Detail
from eventabs.shared_records import AskedUser, Behavior, Outcome, Part, Reply, UserLog
from reply_cases import READER, VOCABULARY, behaviors, short

# three days; the last one is new
DAYS = behaviors(*(f"2087-03-0{day} {hour:02}:00" for day in (3, 4, 5) for hour in (9, 12, 15, 20)))
FORMER = "> 购买 帐篷：搜索 1；浏览 5\n工作 2,3 6-7\n搜索 4\n零碎 8"


def whole(rows: Sequence[Behavior], text: str, reader: Reader = READER) -> Outcome:
    """Read an answer about a user that is asked about whole."""
    asked = AskedUser(Part("u", 0, len(rows) - 1), UserLog("u", tuple(rows)), range(len(rows)))
    return reader.read(Reply(f"## U1\n{text}\n##"), {"U1": asked}).outcomes["U1"]


KEPT = replace(whole(DAYS[:8], FORMER), part=Part("u", 0, 11))


def asked_again(rows: Sequence[int], kept: Outcome = KEPT, ordinals: Sequence[int] = ()) -> AskedUser:
    log = UserLog("u", tuple(DAYS[row] for row in rows))
    return AskedUser(kept.part, log, rows, kept, past=kept.rows, ordinals=ordinals, history=DAYS)


def again(text: str, rows: Sequence[int] = (3, 4, 7, 8, 9, 10, 11), reader: Reader = READER) -> Outcome:
    """Read an answer about the last day; row 3 is a lone search, 4 of a journey, 7 minor."""
    return reader.read(Reply(f"## U1\n{text}\n##"), {"U1": asked_again(rows)}).outcomes["U1"]


def test_new_rows_join_a_known_journey_which_keeps_its_id() -> None:
    outcome = again("> 购买 帐篷：加购! 4\n工作 5-6\n用餐 7")
    assert short(outcome).events == [
        "搜索 0 <购买 帐篷>",
        "工作 1,2",
        "搜索 3",
        "浏览 4 <购买 帐篷>",
        "工作 5,6",
        "加购! 8 <购买 帐篷>",
        "工作 9,10",
        "用餐 11",
    ]
    (journey,), (before,) = outcome.journeys, KEPT.journeys
    assert (journey.id, journey.behaviors, journey.converted) == (before.id, (0, 4, 8), True)
    assert (outcome.reason, outcome.minor, outcome.repeated) == (None, (7,), 0)


def test_a_row_by_itself_leaves_its_event_for_a_journey_and_for_nothing_else() -> None:
    outcome = again("> 旅行 海边：搜索 1；旅行 3,4\n工作 5-6\n用餐 7")
    assert "搜索 3 <旅行 海边>" in short(outcome).events
    assert "旅行 7 <旅行 海边>" in short(outcome).events
    assert outcome.minor == ()
    assert sum(3 in event.behaviors for event in outcome.events) == 1
    same = again("工作 1,5-6\n用餐 7 4\n零碎 3")
    assert "搜索 3" in short(same).events
    assert (short(same).events[-2], short(same).events[-3]) == ("工作 9,10", "用餐 8")
    assert (same.minor, same.repeated) == ((7,), 0)


def test_a_journey_of_a_single_row_that_was_by_itself_is_none() -> None:
    outcome = again("> 旅行 海边：搜索 1\n工作 4-7")
    assert short(outcome).events == [*short(KEPT).events, "工作 8,9,10,11"]
    assert outcome.journeys == KEPT.journeys


def test_rows_of_a_known_journey_never_leave_it() -> None:
    outcome = again("> 旅行 海边：浏览 2；旅行 4,5\n工作 6-7 2")
    assert "浏览 4 <购买 帐篷>" in short(outcome).events
    assert [journey.behaviors for journey in outcome.journeys] == [(0, 4), (8, 9)]


def test_rows_that_are_shown_for_context_need_no_answer_and_a_long_past_excuses_nothing() -> None:
    assert again("工作 4-7").reason is None
    outcome = again("工作 4-6")
    assert (outcome.reason, outcome.unplaced) == ("unplaced", (11,))
    assert short(outcome).events[-1] == "工作 8,9,10"
    kept = replace(KEPT, minor=(*KEPT.minor, *range(100, 900)))
    asked = asked_again((3, 4, 7, 8, 9, 10, 11), kept)
    for earlier in (kept, replace(outcome, minor=kept.minor)):
        repeated = READER.read(Reply("## U1\n工作 4-6\n##"), {"U1": asked._replace(earlier=earlier)})
        assert repeated.outcomes["U1"].reason == "unplaced"


def test_what_was_left_out_is_added_to_all_that_stays() -> None:
    first = again("> 购买 帐篷：加购! 4\n工作 5")
    assert first.reason == "unplaced"
    rows = (3, 4, 7, 8, 9, 10, 11)
    asked = asked_again(rows)._replace(earlier=first)
    outcome = READER.read(Reply("## U1\n> 购买 帐篷：浏览 6\n用餐 5,7\n##"), {"U1": asked}).outcomes["U1"]
    assert outcome.reason is None
    assert [journey.behaviors for journey in outcome.journeys] == [(0, 4, 8, 10)]
    assert short(outcome).events[-2:] == ["浏览 10 <购买 帐篷>", "用餐 11"]
    assert sorted(row for event in outcome.events for row in event.behaviors) == [*range(7), 8, 9, 10, 11]


def test_an_answer_that_was_refused_for_its_minor_rows_leaves_what_stays() -> None:
    long = behaviors(*(f"2087-03-0{5 + row // 20} {row % 20 + 4:02}:00" for row in range(24)))
    rows = range(8, 32)
    asked = AskedUser(
        Part("u", 0, 31),
        UserLog("u", long),
        rows,
        replace(KEPT, part=Part("u", 0, 31)),
        past=KEPT.rows,
        history=(*DAYS[:8], *long),
    )
    refused = READER.read(Reply("## U1\n零碎 1-20\n工作 21-24\n##"), {"U1": asked}).outcomes["U1"]
    assert refused.reason == "minor"
    once_more = asked._replace(earlier=refused, stays=asked.earlier)
    outcome = READER.read(Reply("## U1\n零碎 1-19\n工作 20-24\n##"), {"U1": once_more}).outcomes["U1"]
    assert outcome.reason is None
    assert short(outcome).events[: len(KEPT.events)] == short(KEPT).events
    assert len(outcome.minor) == 1 + 19


def test_ids_are_those_of_lasting_numbers_and_no_two_journeys_share_one() -> None:
    kept = whole(DAYS[:8], "> 购买 帐篷：搜索 1；浏览 5；浏览 6\n工作 2,3 7-8\n搜索 4")
    (old,) = kept.journeys
    # the first row of the journey is asked about anew, and belongs to another one now
    left = replace(
        kept,
        part=Part("u", 0, 11),
        events=tuple(event for event in kept.events if event.behaviors[0] > 3),
        journeys=(old._replace(behaviors=(4, 5), events=old.events[1:]),),
    )
    asked = asked_again((0, 1, 2, 3), left, ordinals=(0, 9, 2, 3))
    outcome = READER.read(Reply("## U1\n> 旅行 海边：搜索 1；旅行 2\n工作 3-4\n##"), {"U1": asked}).outcomes[
        "U1"
    ]
    ids = {journey.name: journey.id for journey in outcome.journeys}
    assert ids == {"帐篷": "u/j0", "海边": "u/j9"}
    assert [event.id for event in outcome.events][:3] == ["u/0", "u/9", "u/2"]


def test_minutes_of_a_journey_are_those_of_all_its_rows() -> None:
    rows = tuple(each._replace(duration=100) for each in DAYS)
    kept = replace(whole(rows[:8], FORMER), part=Part("u", 0, 11))
    log = UserLog("u", rows[8:])
    asked = AskedUser(kept.part, log, range(8, 12), kept, past=kept.rows, history=rows)
    outcome = READER.read(Reply("## U1\n> 购买 帐篷：加购! 1\n工作 2-4\n##"), {"U1": asked}).outcomes["U1"]
    assert outcome.journeys[0].minutes == 5
    assert kept.journeys[0].minutes == 3


def test_rules_that_must_hold_take_a_row_out_that_joins_a_journey() -> None:
    rule = MustRule({"item": TextCondition(("x3", "x8"))}, "", "conversion", ("加购", "conversion"))
    reader = Reader(
        VOCABULARY,
        detail="day",
        source="llm",
        summarize=lambda _log: lambda _behaviors: "",
        must=MustRules((rule,)),
    )
    outcome = again("> 旅行 海边：旅行 1,4\n工作 5-7", reader=reader)
    assert [event for event in short(outcome).events if "海边" in event] == [
        "加购! 3 <旅行 海边>",
        "加购! 8 <旅行 海边>",
    ]


@pytest.mark.parametrize("detail", ["day", "fine", "journeys"])
@given(
    text=st.lists(
        st.sampled_from(
            [
                "> 购买 帐篷：浏览 1,4",
                "> 购买 帐篷：加购! 5",
                "> 旅行 海边：旅行 1,6 3",
                "> 看病 牙：看病 2-7",
                "工作 1-7",
                "工作 4,5",
                "用餐 6 7 2",
                "零碎 3,7",
                "零碎 4-7",
                "## U2",
                "> 购买 帐篷：浏览 2；旅行 3",
            ]
        )
    )
)
def test_whatever_is_answered_every_row_has_one_place_and_what_stays_stays(
    detail: Detail, text: list[str]
) -> None:
    reader = Reader(
        VOCABULARY,
        detail=detail,
        source="llm",
        summarize=lambda _log: lambda _behaviors: "",
    )
    kept = replace(whole(DAYS[:8], FORMER, reader), part=Part("u", 0, 11))
    rows = (3, 4, 7, 8, 9, 10, 11)
    reply = Reply("\n".join(["## U1", *text, "##"]))
    outcome = reader.read(reply, {"U1": asked_again(rows, kept)}).outcomes["U1"]
    if outcome.reason not in (None, "unplaced", "minor"):
        return
    placed = [row for event in outcome.events for row in event.behaviors]
    assert sorted([*placed, *outcome.minor, *outcome.unplaced, *outcome.unasked]) == list(range(12))
    assert all(len(journey.behaviors) > 1 for journey in outcome.journeys)
    in_journeys = {row: event.journey for event in outcome.events for row in event.behaviors if event.journey}
    of_journeys = {row: journey.id for journey in outcome.journeys for row in journey.behaviors}
    assert in_journeys == of_journeys
    assert {event.id for event in kept.events if len(event.behaviors) > 1} <= {
        each.id for each in outcome.events
    }
    assert {journey.id for journey in kept.journeys} <= {journey.id for journey in outcome.journeys}
    assert len({event.id for event in outcome.events}) == len(outcome.events)
