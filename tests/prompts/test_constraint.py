"""What an answer may say: everything that a good one says, no rows of others, and never without end."""

import json
import re
from itertools import accumulate, pairwise, starmap
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from eventabs.prompts.compact_lines import default_vocabulary
from eventabs.prompts.instructions_and_requests import (
    MOST_CHARACTERS,
    MOST_LETTERS,
    AnsweredUser,
    Instructions,
    grammar,
    response_format,
    schema,
)
from eventabs.setting_choices import Detail
from eventabs.shared_records import Category, EventType, JourneyKind, Vocabulary
from gbnf import Gbnf, accepts

CATEGORIES = (Category("sold", "!"), Category("lost", "*"), Category("other"))
OWN = Vocabulary(
    (EventType("去 店"), EventType('a "b\\c'), EventType("nap", "lost"), EventType("5G(+)")),
    CATEGORIES,
    open=False,
    journeys=(JourneyKind("trip"), JourneyKind("big buy", "a car or a home")),
    open_journeys=False,
    minor="minor",
)
OPEN = Vocabulary(OWN.types, CATEGORIES, journeys=OWN.journeys, minor="零碎")
BARE = Vocabulary((), (Category("other"),), minor="minor")
DETAILS: tuple[Detail, ...] = ("day", "fine", "journeys")

FREE = st.from_regex(
    rf"[a-zé看车и]{{1,{MOST_LETTERS}}}( [a-zé看车и]{{1,{MOST_LETTERS}}}){{0,2}}", fullmatch=True
)
NAMES = st.from_regex(r"[a-z看,#.!>-]( ?[a-z看,#.0-9\"\\😀-]){0,19}", fullmatch=True)


def ranges(counts: list[int]) -> dict[str, range]:
    """Return the rows of users by alias, numbered through from 1."""
    ends = accumulate(counts, initial=1)
    return {f"U{number}": rows for number, rows in enumerate(starmap(range, pairwise(ends)), 1)}


@st.composite
def answers(
    draw: st.DrawFn, vocabulary: Vocabulary, detail: Detail
) -> tuple[dict[str, range], list[AnsweredUser]]:
    """Draw users with rows, and an answer that has each row once (of journeys: some)."""
    users = ranges(draw(st.lists(st.integers(2, 14), min_size=1, max_size=3)))
    names = st.sampled_from([kind.name for kind in vocabulary.types]) if vocabulary.types else FREE
    marks = st.sampled_from([category.mark for category in vocabulary.categories])
    types = st.builds(str.__add__, names | FREE if vocabulary.open else names, marks)
    kinds = st.sampled_from([kind.name for kind in vocabulary.journeys] or ["trip"])
    told, more = [], st.booleans()
    for alias, rows in users.items():
        left = draw(st.permutations(rows))

        def groups(most: int, left: list[int] = left) -> str:
            taken = sorted(left.pop() for _ in range(draw(st.integers(1, max(1, most)))) if left)
            joined = "".join(f"{draw(st.sampled_from(', '))}{row}" for row in taken)[1:]
            return joined + draw(st.sampled_from(["", "?"]))

        journeys, events, minor = [], [], ""
        while bool(left) and draw(more):
            steps = [(draw(types), groups(3))]
            while bool(left) and draw(more):
                steps.append((draw(types), groups(3)))
            journeys.append((draw(kinds), draw(NAMES), steps))
        if detail == "day" and left and draw(more):
            minor = groups(5).removesuffix("?")
        while left and detail != "journeys":
            events.append((draw(types), groups(4)))
        told.append(AnsweredUser(alias, journeys, events, minor))
    return users, told


every_vocabulary = pytest.mark.parametrize("vocabulary", [OWN, OPEN, BARE], ids=["closed", "open", "bare"])
every_detail = pytest.mark.parametrize("detail", DETAILS)
slow = settings(max_examples=24, deadline=None, suppress_health_check=list(HealthCheck))


@every_vocabulary
@every_detail
@given(data=st.data())
@slow
def test_a_good_answer_is_in_the_grammar(vocabulary: Vocabulary, detail: Detail, data: st.DataObject) -> None:
    users, told = data.draw(answers(vocabulary, detail))
    form = Instructions(language="zh" if vocabulary is OPEN else "en", vocabulary=vocabulary, detail=detail)
    assert accepts(grammar(users, vocabulary, detail), form.written(told))


@every_vocabulary
@every_detail
@given(data=st.data())
@slow
def test_whatever_the_grammar_allows_names_rows_of_its_user_and_ends(
    vocabulary: Vocabulary, detail: Detail, data: st.DataObject
) -> None:
    users = ranges(data.draw(st.lists(st.integers(1, 120), min_size=1, max_size=3)))
    allowed = Gbnf(grammar(users, vocabulary, detail))
    text = allowed.draw(data.draw(st.randoms(use_true_random=False)), '0123456789abcnpez看车到é -!"\\')
    blocks = re.split(r"^## (U\d+)$", text.strip().removesuffix("##"), flags=re.MULTILINE)
    assert blocks[1::2] == list(users)
    for rows, block in zip(users.values(), blocks[2::2], strict=True):
        for line in block.strip().splitlines():
            steps = re.split(": |：", line, maxsplit=1)[-1] if line.startswith("> ") else line
            for step in re.split("; |；", steps):
                numbers = re.search(r"(?: [\d,?-]+)+$", step)
                assert numbers
                assert all(int(row) in rows for row in re.findall(r"\d+", numbers[0]))


@pytest.mark.parametrize(("first", "last"), [(1, 1), (7, 123), (95, 1010), (99, 100)])
def test_the_numbers_of_a_user_are_all_that_the_grammar_allows(first: int, last: int) -> None:
    allowed = Gbnf(grammar({"U1": range(first, last + 1)}, OWN, "fine"))
    found = [n for n in range(1_200) if allowed.accepts(f"## U1\nnap {n}\n##")]
    assert found == list(range(first, last + 1))


@every_vocabulary
@every_detail
@given(data=st.data())
@slow
def test_a_good_answer_by_schema_is_one_that_both_schemas_allow(
    vocabulary: Vocabulary, detail: Detail, data: st.DataObject
) -> None:
    users, told = data.draw(answers(vocabulary, detail))
    asked = Instructions(language="en", vocabulary=vocabulary, answer="schema", detail=detail)
    answer = json.loads(asked.written(told))
    free = response_format("schema", detail)
    assert free is not None
    for form in (schema(users, vocabulary, detail), free):
        root: Any = form["json_schema"]["schema"]
        assert form["json_schema"]["strict"] is True
        assert is_valid(answer, root, root)


def is_valid(value: Any, form: Any, root: Any) -> bool:  # noqa: ANN401  any JSON
    """Whether a value keeps to a schema, as far as ours go."""
    if "$ref" in form:
        return is_valid(value, root["$defs"][form["$ref"].removeprefix("#/$defs/")], root)
    if "enum" in form:
        return value in form["enum"]
    if form["type"] == "object":
        inside = form["properties"]
        return value.keys() == inside.keys() and all(
            is_valid(value[key], inside[key], root) for key in inside
        )
    if form["type"] == "array":
        forms = form.get("prefixItems") or [form["items"]] * len(value)
        count = form.get("minItems", 0) <= len(value) <= form.get("maxItems", len(value))
        return count and all(is_valid(*pair, root) for pair in zip(value, forms, strict=True))
    fits = re.fullmatch(form.get("pattern", "(?s).*"), value) is not None
    return fits and form.get("minLength", 0) <= len(value) <= form.get("maxLength", len(value))


TWO = {"U1": range(1, 5), "U2": range(5, 7)}
GOOD = "## U1\n> trip to the sea: nap 1; 去 店! 2?\nnap 3\nminor 4\n## U2\n去 店 5,6\n##"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "##",
        "## U1\nnap 1-4\n##",
        "## U2\nnap 5\n## U1\nnap 1\n##",
        GOOD.replace("5,6", "4,6"),
        GOOD.replace("5,6", "5,7"),
        GOOD.replace("5,6", "5-6-6"),
        GOOD.replace("nap 3", "sleep 3"),
        GOOD.replace("nap 3", "nap+ 3"),
        GOOD.replace("nap 3\nminor 4", "minor 4\nnap 3"),
        GOOD.replace("trip", "tour"),
        GOOD.replace("to the sea", "x" * (MOST_CHARACTERS + 1)),
        GOOD.replace("5,6", "5,6,5,6,5,6"),
        GOOD.removesuffix("##"),
        GOOD + "\n## U1",
    ],
)
def test_other_users_rows_types_kinds_marks_and_orders_are_not_in_the_grammar(wrong: str) -> None:
    allowed = grammar(TWO, OWN, "day")
    assert accepts(allowed, GOOD)
    assert not accepts(allowed, wrong)


def test_a_schema_has_no_rows_of_others_no_foreign_names_and_no_endless_lists() -> None:
    root: Any = schema(TWO, OWN, "day")["json_schema"]["schema"]
    first: Any = {"user": "U1", "journeys": [], "events": [{"type": "nap", "rows": "1-4"}], "minor": ""}
    second: Any = {"user": "U2", "journeys": [], "events": [{"type": "5G(+)!", "rows": "5 6?"}], "minor": ""}
    assert is_valid({"users": [first, second]}, root, root)
    for wrong in (
        [second, first],
        [first],
        [{**first, "minor": "5"}, second],
        [{**first, "events": [{"type": "sleep", "rows": "1"}]}, second],
        [{**first, "events": [{"type": "nap", "rows": "1"}] * 49}, second],
        [{**first, "events": [{"type": "nap", "rows": "1 2 3 4 1"}]}, second],
    ):
        assert not is_valid({"users": wrong}, root, root)


def test_patterns_escape_only_what_every_dialect_lets_them_escape() -> None:
    r"""`\ ` and `\-` are errors in the patterns of ECMAScript."""
    text = json.dumps(schema(TWO, OWN, "day"))
    assert set(re.findall(r"\\\\(.)", text)) <= set("^$.*+?()[]{}|") | {"\\"}


def test_a_grammar_of_thirty_users_with_a_month_each_stays_smaller_than_their_prompt() -> None:
    text = grammar(ranges([31 * 4] * 30), default_vocabulary("en"), "day")
    assert len(text.encode()) < 30_000
