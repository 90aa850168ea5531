"""Answers of the built-in rules, read as answers are read: the same events, and every row in one of them."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.interface_language import Language
from eventabs.prompts import default_vocabulary
from eventabs.providers.rules import RulesProvider, load_rules, rule_events, shipped_rules
from eventabs.replies import Reader
from eventabs.setting_choices import Detail
from eventabs.shared_records import AskedUser, Behavior, Part, Request, UserLog

RULES = {language: load_rules(shipped_rules(), language) for language in ("zh", "en")}

JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))  # they stay: emoji and some scripts need them

names = st.one_of(
    st.sampled_from(
        ["XX西餐厅", "微信", "星瀚4S店", "对比_星瀚_M5,云驰_K3", "公司", "家", "12 10:00", "## U2", "> 购买"]
    ),
    st.text(max_size=30),
)
actions = st.sampled_from(
    ["visit", "use", "browse", "search", "compare", "cart", "purchase", "", "thing", "赞"]
)
durations = st.one_of(st.none(), st.integers(0, 7_200), st.integers(80_000, 400_000))
moments = st.one_of(st.integers(0, 3_600), st.integers(0, 3_600 * 72), st.integers(0, 86_400 * 500))


@st.composite
def logs(draw: st.DrawFn) -> UserLog:
    rows = draw(st.lists(st.tuples(moments, actions, names, names, durations), max_size=25))
    first = datetime.fromisoformat("2025-12-30 22:00")
    behaviors = [
        Behavior(first + timedelta(seconds=second), action, item, place, duration)
        for second, action, item, place, duration in rows
    ]
    return UserLog("someone", tuple(sorted(behaviors, key=lambda row: row.start)))


def stands_alone(row: Behavior) -> bool:
    return row.action in {"purchase", "cart"} or (row.action == "visit" and "4S" in row.item + row.place)


@pytest.mark.parametrize("detail", ["day", "fine"])
@settings(max_examples=100, deadline=None)
@given(users=st.lists(logs(), min_size=1, max_size=3), language=st.sampled_from(["zh", "en"]))
async def test_any_logs_are_read_back_as_the_events_that_the_rules_made(
    users: list[UserLog], language: Language, detail: Detail
) -> None:
    rules, vocabulary = RULES[language], default_vocabulary(language)
    asked = {
        f"U{number}": AskedUser(Part("someone", 0, len(log.behaviors) - 1), log, range(len(log.behaviors)))
        for number, log in enumerate(users, 1)
        if log.behaviors
    }
    request = Request((), {alias: user.log for alias, user in asked.items()}, 0, 0)
    reply = await RulesProvider(rules, vocabulary, detail).complete(request)
    reader = Reader(vocabulary, detail=detail, source="rules", summarize=rules.summaries)
    for alias, outcome in reader.read(reply, asked).outcomes.items():
        log = asked[alias].log
        assert (outcome.reason, outcome.minor, outcome.unplaced, outcome.unasked) == (None, (), (), ())
        assert (outcome.misfiled, outcome.repeated, outcome.journeys) == (0, 0, ())
        made = [(rows, kind.name) for rows, kind in rule_events(log, rules, detail)]
        assert sorted((list(event.behaviors), event.type) for event in outcome.events) == sorted(made)
        assert sorted(row for rows, _kind in made for row in rows) == list(range(len(log.behaviors)))
        for event in outcome.events:
            theirs = [log.behaviors[row] for row in event.behaviors]
            assert len({row.day for row in theirs}) == 1
            is_conversion = any(map(stands_alone, theirs))
            assert (event.category == "conversion") == is_conversion
            assert len(theirs) == 1 or not is_conversion
            assert len(event.summary) <= 200
            assert event.summary.translate(JOINERS).isprintable()
            assert event.source == "rules"
