"""Events and journeys: times, minutes, names and how pieces of a user become one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from eventabs.replies.reader import Reader, joined
from eventabs.shared_records import (
    Behavior,
    Category,
    EventType,
    JourneyKind,
    Outcome,
    Part,
    Reply,
    UserLog,
    Vocabulary,
    as_row,
)
from reply_cases import FIRST, READER, VOCABULARY, asked, behaviors, read

NEW_YORK = ZoneInfo("America/New_York")


def outcome_of(lines: str, *log: Behavior) -> tuple[tuple[object, ...], ...]:
    outcome = read(f"## U1\n{lines}\n##", asked=asked(log)).outcomes["U1"]
    return tuple((event.start, event.end, event.minutes) for event in outcome.events)


def test_an_event_lasts_from_its_first_row_to_the_end_of_the_latest_and_its_minutes_are_those_of_the_rows() -> (
    None
):
    log = behaviors("2087-03-03 10:00+60", "2087-03-03 10:30+10", "2087-03-03 10:50+20", "2087-03-03 12:00+5")
    assert outcome_of("工作 1-4", *log) == (("2087-03-03T10:00:00", "2087-03-03T12:05:00", 75),)
    assert outcome_of("工作 1 3\n用餐 2,4", *log) == (
        ("2087-03-03T10:00:00", "2087-03-03T11:00:00", 60),
        ("2087-03-03T10:30:00", "2087-03-03T12:05:00", 15),
        ("2087-03-03T10:50:00", "2087-03-03T11:10:00", 20),
    )


def test_minutes_are_whole_and_rows_without_a_duration_have_none() -> None:
    start = datetime.fromisoformat("2087-03-03 10:00:30")
    log = [
        Behavior(start + timedelta(minutes=number), "", "x", "", seconds)
        for number, seconds in enumerate((59, 30, None))
    ]
    assert outcome_of("工作 1-3", *log) == (("2087-03-03T10:00:30", "2087-03-03T10:02:30", 1),)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        (datetime(2026, 11, 1, 0, 30, tzinfo=NEW_YORK), 3, "2026-11-01T03:30:00-04:00"),  # an hour repeats
        (datetime(2026, 3, 8, 1, 30, tzinfo=NEW_YORK), 2, "2026-03-08T03:30:00-05:00"),  # an hour is left out
        (datetime(2026, 1, 1, 10, 0, tzinfo=UTC), 2, "2026-01-01T12:00:00+00:00"),
    ],
)
def test_start_and_end_have_one_offset_so_that_their_difference_is_the_time_between(
    start: datetime, hours: int, end: str
) -> None:
    (event,) = outcome_of("工作 1", Behavior(start, "", "x", "", hours * 3600))
    assert event == (start.isoformat(), end, hours * 60)


def test_the_first_and_the_last_day_of_the_calendar_are_days() -> None:
    log = behaviors("0001-01-01 00:10", "0001-01-01 06:00", "9999-12-31 23:00")
    outcome = read("## U1\n> 旅行 湖边：工作 1-3\n##", asked=asked(log)).outcomes["U1"]
    assert [event.behaviors for event in outcome.events] == [(0,), (1,), (2,)]
    assert outcome.journeys[0].days == 3


def test_events_are_in_order_of_time_with_ids_that_name_their_first_row() -> None:
    outcome = read("## U1\n用餐 3\n工作 2,4 1\n##", asked=asked(FIRST[:4])).outcomes["U1"]
    assert [event.id for event in outcome.events] == ["user1/0", "user1/1", "user1/2"]
    assert [event.behaviors for event in outcome.events] == [(0,), (1, 3), (2,)]


def test_a_journey_is_made_of_its_events() -> None:
    outcome = read(
        "## U1\n> 购买 帐篷：搜索 5；浏览 6,8；加购! 10\n工作 1-4 7,9 11-12\n##", asked=asked(FIRST)
    ).outcomes["U1"]
    (journey,) = outcome.journeys
    assert as_row(journey) == {
        "id": "user1/j4",
        "user_id": "user1",
        "kind": "购买",
        "name": "帐篷",
        "start": "2087-03-03T19:20:00",
        "end": "2087-03-05T12:41:00",
        "days": 2,
        "minutes": 34,  # two rows share six
        "converted": True,
        "types": ("搜索", "浏览", "加购"),
        "events": ("user1/4", "user1/5", "user1/9"),
        "behaviors": (4, 5, 7, 9),
    }
    assert {event.id for event in outcome.events if event.journey == journey.id} == set(journey.events)


def test_each_event_has_a_summary_of_its_behaviors_from_what_writes_those_of_the_user() -> None:
    users = []

    def summarize(of_user: Sequence[Behavior]) -> Callable[[Sequence[Behavior]], str]:
        users.append(of_user)
        return lambda rows: "+".join(row.item for row in rows)

    reader = Reader(VOCABULARY, detail="day", source="rules", summarize=summarize)
    outcome = reader.read(Reply("## U1\n工作 1,3 2\n##"), asked(FIRST[:3])).outcomes["U1"]
    assert [(event.summary, event.source) for event in outcome.events] == [
        ("x0+x2", "rules"),
        ("x1", "rules"),
    ]
    assert users == [FIRST[:3]]


def pieces(first: str, second: str) -> list[Outcome]:
    """Read two pieces of a user, of six rows each."""
    whole = asked(FIRST)["U1"]
    outcomes = []
    for text, start, end in ((first, 0, 6), (second, 6, 12)):
        log = UserLog("user1", FIRST[start:end])
        piece = whole._replace(part=Part("user1", start, end - 1), log=log, rows=range(start, end))
        outcomes.append(READER.read(Reply(f"## U1\n{text}\n##"), {"U1": piece}).outcomes["U1"])
    return outcomes


def test_journeys_of_several_pieces_with_one_kind_and_name_are_one() -> None:
    outcomes = pieces(
        "工作 1-4\n> 购买 帐篷：搜索 5；浏览 6",
        "> 购买 帐篷：浏览 2；加购! 4\n> 旅行 湖边：住宿 5；旅行 6\n零碎 1 3",
    )
    assert [len(outcome.journeys) for outcome in outcomes] == [1, 2]
    events, journeys = joined(outcomes, "conversion")
    assert [(journey.id, journey.behaviors, journey.minutes) for journey in journeys] == [
        ("user1/j4", (4, 5, 7, 9), 34),
        ("user1/j10", (10, 11), 2640),
    ]
    assert journeys[0].converted
    assert journeys[0].types == ("搜索", "浏览", "加购")
    named = {event.journey for event in events}
    assert named == {None, "user1/j4", "user1/j10"}
    assert [event.id for event in events if event.journey == "user1/j4"] == list(journeys[0].events)
    assert joined(outcomes[:1], "conversion") == (outcomes[0].events, outcomes[0].journeys)
    assert joined([], "conversion") == ((), ())


def test_a_journey_is_converted_by_the_first_category_with_a_mark_whatever_its_name() -> None:
    own = Vocabulary(
        types=(EventType("试用", "wins"), EventType("退订", "losses"), EventType("浏览", "rest")),
        categories=(Category("rest"), Category("wins", "*"), Category("losses", "!")),
        journeys=(JourneyKind("订阅"),),
        minor="零碎",
    )
    reader = Reader(own, detail="day", source="llm", summarize=lambda _log: lambda _rows: "")
    log = behaviors(*(f"2087-03-03 1{hour}:00" for hour in range(6)))
    reply = "## U1\n> 订阅 周刊：浏览 1；试用 2\n> 订阅 月刊：浏览 3；退订 4\n浏览 5 6\n##"
    outcome = reader.read(Reply(reply), asked(log)).outcomes["U1"]
    assert [(journey.name, journey.converted) for journey in outcome.journeys] == [
        ("周刊", True),
        ("月刊", False),
    ]
    assert joined([outcome], own.goal)[1] == outcome.journeys
