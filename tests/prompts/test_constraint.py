"""What an answer may say: everything that a good one says, nothing that cannot be read, and never without end."""

import json
import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from eventabs.choices import Detail
from eventabs.prompts.builder import MOST_CHARACTERS, MOST_LETTERS, grammar, most_events, schema
from eventabs.prompts.lines import AnsweredEvent, Expectation, default_vocabulary, written
from eventabs.records import Behavior, Category, EventType, Part, Reply, UserLog, Vocabulary
from eventabs.replies.forms import Aliases, is_strict, read_lines
from eventabs.replies.reader import Labels, read_reply
from gbnf import Gbnf, accepts

CATEGORIES = (Category("sold", "!"), Category("lost", "?"), Category("other"))
OWN = Vocabulary((EventType("去 店"), EventType('a "b\\c'), EventType("nap", "lost")), CATEGORIES, open=False)
OPEN = Vocabulary(OWN.types, CATEGORIES, open=True)
BARE = Vocabulary((), CATEGORIES, open=True)
DAYS = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 4)]
MARKS = {category.name: category.mark for category in CATEGORIES}

USERS = st.lists(
    st.dictionaries(st.sampled_from(DAYS), st.integers(1, 4), min_size=1), min_size=1, max_size=3
)
FREE = st.from_regex(
    rf"[a-zé看车и]{{1,{MOST_LETTERS}}}( [a-zé看车и]{{1,{MOST_LETTERS}}}){{0,2}}", fullmatch=True
)
SUMMARIES = st.from_regex(
    rf"[a-z看,#.!-]( ?[a-z看,#.:0-9\"\\😀-]){{0,{MOST_CHARACTERS // 2}}}", fullmatch=True
)


def bounds(users: list[dict[date, int]]) -> dict[str, dict[date, int]]:
    return {f"U{number}": dict(sorted(days.items())) for number, days in enumerate(users, 1)}


@st.composite
def answers(draw: st.DrawFn, vocabulary: Vocabulary) -> tuple[dict[str, dict[date, int]], list[Any]]:
    """Draw bounds, and an answer within them: (alias, events) pairs."""
    users = bounds(draw(USERS))
    names = st.sampled_from([kind.name for kind in vocabulary.types]) if vocabulary.types else FREE
    kinds = names | FREE if vocabulary.open else names
    told = []
    for alias, days in users.items():
        some = draw(st.lists(st.sampled_from(list(days)), min_size=1, unique=True).map(sorted))
        events = []
        for day in some:
            for _each in range(draw(st.integers(1, days[day]))):
                start = datetime.combine(day, datetime.min.time()) + timedelta(
                    minutes=draw(st.integers(0, 1439))
                )
                end = start + timedelta(minutes=draw(st.sampled_from([0, 1, 600, 5000])))
                category = draw(st.sampled_from(list(MARKS)))
                summary = draw(st.just("") | SUMMARIES)
                events.append(AnsweredEvent(start, end, draw(kinds), category, MARKS[category], summary))
        told.append((alias, events))
    return users, told


every_vocabulary = pytest.mark.parametrize("vocabulary", [OWN, OPEN, BARE], ids=["closed", "open", "bare"])
# digits and letters, and what a careless reader trips over
ALPHABET = '0123456789abcnpez看车到至é -:|#!?"\\_*`.,;()[]{}<>/😀｜\u202e\u3000'
slow = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@every_vocabulary
@pytest.mark.parametrize("with_summaries", [True, False])
@given(data=st.data())
@slow
def test_a_good_answer_is_in_the_grammar(
    vocabulary: Vocabulary, with_summaries: bool, data: st.DataObject
) -> None:
    users, told = data.draw(answers(vocabulary))
    text = written(told, "lines", with_summaries=with_summaries)
    assert accepts(grammar(users, vocabulary, with_summaries=with_summaries), text)


@every_vocabulary
@given(data=st.data())
@slow
def test_whatever_the_grammar_allows_is_read_without_loss(
    vocabulary: Vocabulary, data: st.DataObject
) -> None:
    users = bounds(data.draw(USERS))
    allowed = Gbnf(grammar(users, vocabulary))
    text = allowed.draw(data.draw(st.randoms(use_true_random=False)), ALPHABET)
    assert allowed.accepts(text)
    assert is_strict(text)
    blocks = list(read_lines(text, Aliases(dict.fromkeys(users, 100))))
    assert [block.alias for block in blocks] == list(users)
    assert all(block.closed and block.claims for block in blocks)
    claims = [claim for block in blocks for claim in block.claims]
    lines = [line for line in text.splitlines() if line[0] != "#"]
    assert len(claims) == len(lines)
    for claim, line in zip(claims, lines, strict=True):
        body, _bar, summary = line.partition(" | ")
        assert (f"{claim.start.minute // 60:02}:{claim.start.minute % 60:02}", claim.summary) == (
            line[:5],
            summary,
        )
        assert body.endswith(f" {claim.type}")
        kind, _category, _summary = Labels(vocabulary).describe(claim)
        assert vocabulary.open or kind in {known.name for known in vocabulary.types}


@every_vocabulary
@given(data=st.data())
@slow
def test_a_good_answer_by_schema_is_one_that_the_schema_allows(
    vocabulary: Vocabulary, data: st.DataObject
) -> None:
    users, told = data.draw(answers(vocabulary))
    form = schema(users, vocabulary)["json_schema"]["schema"]
    assert is_valid(json.loads(written(told, "schema")), form, form)


def is_valid(value: Any, form: Any, root: Any) -> bool:  # noqa: ANN401  any JSON
    """Whether a value keeps to a schema, as far as ours go."""
    if "$ref" in form:
        return is_valid(value, root["$defs"][form["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in form:
        return any(is_valid(value, each, root) for each in form["anyOf"])
    if "enum" in form:
        return value in form["enum"]
    if form["type"] == "object":
        inside = form["properties"]
        return value.keys() == inside.keys() and all(
            is_valid(value[key], inside[key], root) for key in inside
        )
    if form["type"] == "array":
        forms = form.get("prefixItems") or [form["items"]] * len(value)
        count = form["minItems"] <= len(value) <= form["maxItems"]
        return count and all(is_valid(*pair, root) for pair in zip(value, forms, strict=True))
    fits = re.fullmatch(form.get("pattern", "(?s).*"), value) is not None
    return fits and len(value) <= form.get("maxLength", len(value))


ONE = {"U1": {DAYS[1]: 2}}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "##",
        "## U1\n##",
        "## U1\n# 2026-01-01\n##",
        "## U2\n# 2026-01-01\n10:00 nap\n##",
        "## U1\n# 2026-01-02\n10:00 nap\n##",
        "## U1\n# 01-01\n10:00 nap\n##",
        "## U1\n# 2026-01-01\n10:00 sleep\n##",
        "## U1\n# 2026-01-01\n25:00 nap\n##",
        "## U1\n# 2026-01-01\n10:00 nap*\n##",
        "## U1\n# 2026-01-01\n10:00 nap\n",
        "## U1\n# 2026-01-01\n10:00 nap\n10:01 nap\n10:02 nap\n##",
        "## U1\n# 2026-01-01\n10:00 nap\n##\n## U1",
        f"## U1\n# 2026-01-01\n10:00 nap | {'x' * (MOST_CHARACTERS + 1)}\n##",
    ],
)
def test_other_users_days_types_marks_and_more_events_are_not_in_the_grammar(wrong: str) -> None:
    allowed = grammar(ONE, OWN)
    assert accepts(allowed, "## U1\n# 2026-01-01\n10:00 nap\n11:59-01-02 10:00 nap! | x\n##")
    assert not accepts(allowed, wrong)


def test_without_summaries_there_is_no_room_for_one() -> None:
    assert not accepts(grammar(ONE, OWN, with_summaries=False), "## U1\n# 2026-01-01\n10:00 nap | x\n##")


def test_times_need_not_be_those_of_the_log() -> None:
    """Otherwise grounding would prove nothing."""
    log = UserLog("a", (Behavior(datetime.fromisoformat("2026-01-01T10:00"), "visit", "home"),))
    users = {"U1": most_events(log.behaviors, Expectation("lines"), "day")}
    text = "## U1\n# 2026-01-01\n23:59 nap\n##"
    assert accepts(grammar(users, OWN), text)
    reading = read_reply(
        Reply(text),
        {"U1": log},
        {"U1": Part("a", 0, 0)},
        labels=Labels(OWN),
        min_grounded=0.5,
        source="llm",
        lines=lambda _log: [],
    )
    assert reading.outcomes["U1"].reason == "ungrounded"


@pytest.mark.parametrize("detail", ["brief", "day", "fine"])
@given(minutes=st.lists(st.integers(0, 5_000), min_size=1, max_size=300).map(sorted))
@settings(max_examples=40, deadline=None)
def test_every_day_may_hold_a_few_times_what_is_expected_and_never_more_events_than_behaviors(
    detail: Detail, minutes: list[int]
) -> None:
    first = datetime.fromisoformat("2026-01-01T10:00")
    behaviors = [Behavior(first + timedelta(minutes=minute), "use", "x") for minute in minutes]
    expected = Expectation("lines")
    days = most_events(behaviors, expected, detail)
    assert list(days) == sorted({behavior.start.date() for behavior in behaviors})
    assert expected.events(behaviors, detail) <= sum(days.values()) <= len(behaviors)
    for day, most in days.items():
        count = sum(behavior.start.date() == day for behavior in behaviors)
        assert min(count, 12) <= most <= count


def test_a_grammar_of_thirty_users_with_a_month_each_stays_smaller_than_their_prompt() -> None:
    month = {date(2026, 1, 1) + timedelta(days=n): 12 for n in range(31)}
    text = grammar({f"U{number}": month for number in range(1, 31)}, default_vocabulary("en"))
    assert len(text.encode()) < 150_000
