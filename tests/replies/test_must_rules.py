import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from eventabs.records import Behavior, Event, Part, UserLog
from eventabs.replies.must_rules import MustRule, MustRules, TextCondition

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
WHOLE = Part("anna", 0, 5)


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


def event(*behaviors: int, kind: str = "购物", category: str = "engagement") -> Event:
    return Event(
        user_id="anna",
        type=kind,
        category=category,
        start="2026-01-01T10:00:07",
        end="2026-01-01T10:00:07",
        behaviors=behaviors,
    )


def enforced(rules: Sequence[MustRule], events: Sequence[Event], log: UserLog = LOG) -> tuple[Event, ...]:
    part = Part(log.user_id, 0, len(log.behaviors) - 1)
    return MustRules(rules, search).enforced(log, part, events)


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
    added = enforced([rule(**conditions)], [])
    assert [event.behaviors for event in added] == [(index,) for index in met]


def test_of_a_text_the_beginning_counts_that_prompts_can_hold() -> None:
    log = UserLog("anna", (row(0, "browse", "x" * 200 + "end"),))
    assert enforced([rule(item="~end")], [], log) == ()
    assert len(enforced([rule(item="x" * 200 + "fin")], [], log)) == 1


@pytest.mark.parametrize(
    ("wanted", "kind", "category", "is_covered"),
    [
        (("", "conversion"), "看帐篷", "conversion", True),
        (("", "conversion"), "购买", "engagement", False),
        (("Buy", ""), "BUY", "engagement", True),
        (("购买", ""), "加购", "conversion", False),
        (("购买", "conversion"), "购买", "conversion", True),
        (("购买", "conversion"), "购买", "engagement", False),
    ],
)
def test_a_behavior_is_covered_by_an_event_of_the_type_and_category_that_are_given(
    wanted: tuple[str, str], kind: str, category: str, is_covered: bool
) -> None:
    events = (event(1, 2, 3, kind=kind, category=category),)
    assert (enforced([rule(wanted, action="purchase")], events) == events) is is_covered


def test_an_added_event_has_the_behaviors_own_times_and_words_and_says_who_made_it() -> None:
    (added,) = enforced([rule(("到店", ""), item="~4S店")], [])
    assert added.model_dump() == {
        "user_id": "anna",
        "type": "到店",
        "category": "conversion",
        "start": "2026-01-01T10:00:07",
        "end": "2026-01-01T11:35:32",
        "summary": "启程4S店",
        "summary_source": "behaviors",
        "behaviors": (0,),
        "grounded": True,
        "source": "must",
    }
    assert enforced([rule(action="cart")], [])[0].summary == "炉子 淘宝"


def test_the_event_that_had_the_behavior_gives_it_up_and_ends_where_its_own_end() -> None:
    left, cart = enforced([rule(action="cart")], [event(1, 2, 3)])
    assert (left.behaviors, left.start, left.end) == ((1, 2), "2026-01-01T11:40:07", "2026-01-01T11:41:07")
    assert (cart.behaviors, cart.start, cart.source) == ((3,), "2026-01-01T11:40:27", "must")


def test_a_summary_made_of_names_names_only_what_is_left() -> None:
    named = event(1, 2, 3).model_copy(update={"summary": "帐篷, 炉子", "summary_source": "behaviors"})
    assert enforced([rule(action="cart")], [named])[0].summary == "帐篷"
    told = event(1, 2, 3).model_copy(update={"summary": "帐篷, 炉子"})
    assert enforced([rule(action="cart")], [told])[0].summary == "帐篷, 炉子"


def test_an_event_that_had_only_that_behavior_is_kept_without_and_not_grounded() -> None:
    left, added = enforced([rule(item="~4S店")], [event(0, kind="闲逛")])
    assert (left.type, left.behaviors, left.grounded, left.source) == ("闲逛", (), False, "llm")
    assert added.behaviors == (0,)


def test_of_several_rules_the_first_that_a_behavior_meets_holds() -> None:
    rules = [rule(("购买", ""), action="purchase"), rule(("消费", ""), place="淘宝")]
    added = sorted((event.behaviors, event.type) for event in enforced(rules, []))
    assert added == [((1,), "消费"), ((2,), "购买"), ((3,), "消费")]


def test_indices_are_those_of_the_whole_log_where_a_part_begins_later() -> None:
    log = UserLog("anna", LOG.behaviors[2:4])
    rules = MustRules([rule(action="cart")], search)
    part = Part("anna", 2, 3)
    assert [e.behaviors for e in rules.enforced(log, part, [event(2, 3)])] == [(2,), (3,)]


def test_without_rules_nothing_happens() -> None:
    events = (event(0), event(1, 2, 3))
    assert MustRules().enforced(LOG, WHOLE, events) == events


@st.composite
def users(draw: st.DrawFn) -> tuple[UserLog, list[Event]]:
    seconds = sorted(
        draw(st.lists(st.sampled_from([0, 1, 30, 59, 60, 4000, 90_000]), min_size=1, max_size=12))
    )
    behaviors = [
        row(at, draw(st.sampled_from(ACTIONS)), "x", "", draw(st.sampled_from([None, 60]))) for at in seconds
    ]
    owners = draw(st.lists(st.integers(0, 3), min_size=len(behaviors), max_size=len(behaviors)))
    events = [
        event(
            *(index for index, owner in enumerate(owners) if owner == number),
            kind=draw(st.sampled_from(["购买", "购物"])),
            category=draw(st.sampled_from(["conversion", "engagement"])),
        )
        for number in sorted(set(owners) - {0})
    ]
    return UserLog("anna", tuple(behaviors)), events


@given(users(), st.sampled_from([("", "conversion"), ("购买", ""), ("购买", "conversion")]))
def test_afterwards_every_behavior_is_covered_as_its_rule_wants_and_belongs_to_one_event_at_most(
    user: tuple[UserLog, list[Event]], wanted: tuple[str, str]
) -> None:
    log, before = user
    rules = [rule(wanted, action="purchase|cart")]
    after = enforced(rules, before, log)
    owned = [index for event in after for index in event.behaviors]
    assert len(owned) == len(set(owned))
    assert {index for event in before for index in event.behaviors} <= set(owned)
    owners = {index: event for event in after for index in event.behaviors}
    for index, behavior in enumerate(log.behaviors):
        if behavior.action in ("purchase", "cart"):
            assert rules[0].is_kept_by(owners[index])
    assert enforced(rules, after, log) == after, "once is enough"
    assert [e.start for e in after] == sorted(e.start for e in after)
