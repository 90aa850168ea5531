import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.replies.reader import MustRule, MustRules, Reader, TextCondition
from eventabs.shared_records import AskedUser, Behavior, Outcome, Part, Reply, UserLog, as_row
from reply_cases import VOCABULARY

FIRST = datetime(2026, 1, 1, 10, 0, 7)  # noqa: DTZ001  exports hold wall times
ACTIONS = ("visit", "browse", "purchase", "cart")


def row(seconds: int, action: str, item: str, place: str = "", duration: int | None = None) -> Behavior:
    return Behavior(FIRST + timedelta(seconds=seconds), action, item, place, duration)


LOG = UserLog(
    "anna",
    (
        row(0, "visit", "启程4S店", "", 5725),
        row(6000, "browse", "帐篷", "淘宝", 60),
        row(6000, "purchase", "帐篷", "淘宝"),  # in the same second
        row(6020, "cart", "炉子", "淘宝"),  # in the same minute
        row(9000, "visit", "公司"),
        row(9600, "", "买了一张球票"),
    ),
)


def search(regex: str, texts: Collection[str]) -> set[str]:
    return {text for text in texts if re.search(regex, text)}


def rule(
    wanted: tuple[str, str] = ("", "conversion"),
    *,
    lasts: tuple[float | None, float | None] = (None, None),
    **conditions: str,
) -> MustRule:
    """Return a rule; a condition that begins with ~ is a regular expression, else texts between bars."""
    named = {
        name: TextCondition((), value[1:])
        if value.startswith("~")
        else TextCondition(tuple(value.split("|")))
        for name, value in conditions.items()
    }
    return MustRule(named, *wanted, (wanted[0] or "购买", wanted[1] or "conversion"), *lasts)


def outcome(rules: Sequence[MustRule], lines: str, log: UserLog = LOG, *, first: int = 0) -> Outcome:
    """Read lines about rows of a user whose first one has the index `first`."""
    reader = Reader(
        VOCABULARY,
        detail="day",
        source="llm",
        summarize=lambda _log: lambda rows: " ".join(row.item for row in rows),
        must=MustRules(rules, search),
    )
    rows = range(first, first + len(log.behaviors))
    asked = AskedUser(Part(log.user_id, first, rows[-1]), log, rows)
    return reader.read(Reply(f"## U1\n{lines}\n##"), {"U1": asked}).outcomes["U1"]


def told(rules: Sequence[MustRule], lines: str) -> list[str]:
    return [
        f"{event.type}{'!' * (event.category == 'conversion')} {','.join(map(str, event.behaviors))} {event.source}"
        for event in outcome(rules, lines).events
    ]


@pytest.mark.parametrize(
    ("conditions", "met"),
    [
        ({"action": "purchase"}, [2]),
        ({"action": "PURCHASE|cart"}, [2, 3]),
        ({"item": "启程4s店"}, [0]),
        ({"item": "4S店"}, []),
        ({"item": "~4S店$"}, [0]),
        ({"item": "~4s店"}, []),
        ({"item": "~(?i)4s店"}, [0]),
        ({"place": "淘宝", "action": "purchase"}, [2]),
        ({"place": "淘宝", "action": "visit"}, []),
        ({"text": "~球票|visit 公司"}, [4, 5]),
        ({"text": "买了一张球票"}, [5]),
        ({"text": "purchase 帐篷 淘宝"}, [2]),
        ({"lasts": (60, None)}, [0, 1]),
        ({"lasts": (None, 60)}, [1]),
        ({"action": "visit", "lasts": (5726, None)}, []),
        ({"action": "visit", "lasts": (5725, 5725)}, [0]),
    ],
)
def test_a_behavior_meets_a_rule_where_it_meets_every_condition(
    conditions: dict[str, Any], met: list[int]
) -> None:
    assert list(MustRules([rule(**conditions)], search).required(LOG.behaviors)) == met


def test_of_a_text_the_beginning_counts_that_prompts_can_hold() -> None:
    log = [row(0, "browse", "x" * 200 + "end")]
    assert MustRules([rule(item="~end")], search).required(log) == {}
    assert len(MustRules([rule(item="x" * 200 + "fin")], search).required(log)) == 1


@pytest.mark.parametrize(
    ("wanted", "line", "is_kept"),
    [
        (("", "conversion"), "看帐篷! 2-4", True),
        (("", "conversion"), "购物 2-4", False),
        (("Buy", ""), "BUY 2-4", True),
        (("购买", ""), "加购! 2-4", False),
        (("购买", "conversion"), "购买! 2-4", True),
        (("购买", "conversion"), "购买 2-4", False),
    ],
)
def test_a_behavior_is_kept_by_an_event_of_the_type_and_category_that_are_given(
    wanted: tuple[str, str], line: str, is_kept: bool
) -> None:
    events = outcome([rule(wanted, action="purchase")], f"{line}\n居家 1 5 6").events
    assert ("must" in {event.source for event in events}) is not is_kept


def test_an_added_event_has_the_behaviors_own_times_and_words_and_says_who_made_it() -> None:
    added = outcome([rule(("到店", ""), item="~4S店")], "购物 2-6").events[0]
    assert as_row(added) == {
        "id": "anna/0",
        "user_id": "anna",
        "type": "到店",
        "category": "conversion",
        "start": "2026-01-01T10:00:07",
        "end": "2026-01-01T11:35:32",
        "minutes": 95,
        "summary": "启程4S店",
        "behaviors": (0,),
        "journey": None,
        "sure": True,
        "source": "must",
    }


def test_the_event_that_had_the_behavior_gives_it_up_and_ends_where_its_own_end() -> None:
    _home, left, cart = outcome([rule(action="cart")], "购物 2,3,4\n居家 1,5,6").events
    assert (left.behaviors, left.start, left.end) == ((1, 2), "2026-01-01T11:40:07", "2026-01-01T11:41:07")
    assert left.summary == "帐篷 帐篷"
    assert (cart.behaviors, cart.start, cart.source) == ((3,), "2026-01-01T11:40:27", "must")


def test_a_behavior_that_was_minor_or_left_out_becomes_an_event_and_is_not_asked_about_again() -> None:
    found = outcome([rule(action="purchase|cart")], "居家 1,2,5,6\n零碎 3")
    assert [(event.behaviors, event.source) for event in found.events][1:] == [((2,), "must"), ((3,), "must")]
    assert (found.reason, found.minor, found.unplaced) == (None, (), ())


def test_an_event_that_had_only_that_behavior_is_the_rules() -> None:
    assert told([rule(item="~4S店")], "闲逛 1\n居家 2-6") == ["购买! 0 must", "居家 1,2,3,4,5 llm"]


def test_what_is_taken_out_of_a_journey_stays_in_the_journey() -> None:
    found = outcome([rule(action="cart")], "> 购买 帐篷：浏览 2-4\n居家 1 5 6")
    (journey,) = found.journeys
    assert journey.behaviors == (1, 2, 3)
    assert journey.converted
    assert [event.source for event in found.events if event.journey == journey.id] == ["llm", "must"]


def test_of_several_rules_the_first_that_a_behavior_meets_holds() -> None:
    rules = [rule(("购买", ""), action="purchase"), rule(("消费", ""), place="淘宝")]
    assert told(rules, "居家 1-6") == ["居家 0,4,5 llm", "购买! 2 must", "消费! 1 must", "消费! 3 must"]


def test_indices_are_those_of_the_whole_log_where_a_part_begins_later() -> None:
    log = UserLog("anna", LOG.behaviors[2:4])
    events = outcome([rule(action="cart")], "购物 1,2", log, first=2).events
    assert [(event.id, event.behaviors) for event in events] == [("anna/2", (2,)), ("anna/3", (3,))]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=12),
    st.lists(
        st.sampled_from(["购买! ", "购买 ", "购物 ", "零碎 ", "> 购买 帐篷：浏览 "]), min_size=12, max_size=12
    ),
    st.sampled_from([("", "conversion"), ("购买", ""), ("购买", "conversion")]),
)
def test_afterwards_every_behavior_is_in_one_event_that_its_rule_wants(
    actions: list[str], labels: list[str], wanted: tuple[str, str]
) -> None:
    log = UserLog("anna", tuple(row(60 * at, action, "x") for at, action in enumerate(actions)))
    must = rule(wanted, action="purchase|cart")
    lines = "\n".join(f"{label}{at}" for at, label in enumerate(labels[: len(actions)], 1))
    found = outcome([must], lines, log)
    rows = [*found.minor, *(index for event in found.events for index in event.behaviors)]
    assert sorted(rows) == [*range(len(actions))]
    owners = {index: event for event in found.events for index in event.behaviors}
    for index, action in enumerate(actions):
        assert action not in ("purchase", "cart") or must.is_kept_by(
            owners[index].type, owners[index].category
        )
