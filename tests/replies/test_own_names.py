"""Whatever types, marks and kinds the settings accept: an answer that uses them is read back as it was meant."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from eventabs.config.settings import load_settings
from eventabs.errors_and_exit_codes import ConfigError
from eventabs.prompts.instructions_and_requests import AnsweredUser, Instructions
from eventabs.replies.reader import Reader
from eventabs.setting_choices import AnswerForm
from eventabs.shared_records import Reply, Vocabulary
from reply_cases import asked, behaviors

ROWS = behaviors(*(f"2087-03-03 {6 + number:02}:00" for number in range(9)))
ODD = [
    "购买",
    "5G套餐",
    "3D打印",
    "24小时店",
    "level 2b",
    "a:b",
    "餐饮：早餐",
    "1.",
    "1) a",
    "① b",
    "2、c",
    "- d",
    "* e",
    "(f)",
    "[g]",
    "U1",
    "用户2",
    "u 3",
    "users",
    "## h",
    "Minor",
    "零碎",
    "ｍｉｎｏｒ",
    "minor rows",
    "ＡＰＰ",
    "app",
    "App ",
    "rows",
    "row 1",
    "类型",
    "type: x",
    "购买!",
    "!购买",
    "a!b",
    "a,b",
    "a-b",
    "a>b",
    "x > y",
    "a#1",
    "a ?",
    "a? b",
    "no?",
    "到",
    "至",
    "和",
    "and",
    "to",
    "第5行",
    "5 to",
    "a 3-",
    "a 3,",
    "work 3 4",
    "work 3.",
    "4-6 pm",
    "12 work",
    "12:30",
    "12：30 午饭",
    "a (b)",
    "a [b]",
    "a(",
    ")",
    "'a'",
    "`c`",
    "_d_",
    "a_b",
    "//",
    "a // b",
    "a #b",
    "é",
    "İ",
    "ß",
    "ﬁ",
    "a\u200bb",
    "a\xa0b",
    "\u3000a",
    "a\tb",
    "😀",
    "null",
    "true",
    "{",
    "}",
    '{"a"',
    '"b"',
    "[",
    "<think>",
    "```",
    "end",
    "结束",
    "…",
]
NAME = (
    st.sampled_from(ODD)
    | st.text("ab买 ！!?*:：;,-.()[]1２>#|'\"_/", min_size=1, max_size=6)
    | st.text(min_size=1, max_size=6)
)
MARK = st.sampled_from(
    ("!", "*", "+", "★", "！", "a", "买", "(", ".", "'", "/", "、", "。", "😀", "_", "`", "=", "&", "~")
)


def accepted(flags: Mapping[str, Any]) -> Vocabulary:
    try:
        return load_settings(None, {"vocabulary": flags}, isolated=True).vocabulary.in_force("zh")
    except ConfigError:
        assume(False)
        raise


@st.composite
def vocabularies(draw: st.DrawFn) -> Vocabulary:
    marks = draw(st.lists(MARK, max_size=2, unique=True))
    categories = [{"name": f"c{at}", "mark": mark} for at, mark in enumerate(["", *marks])]
    types = draw(st.lists(NAME, min_size=1, max_size=4))
    own = st.sampled_from(["", *(f"c{at}" for at in range(len(categories)))])
    kinds = draw(st.lists(NAME, max_size=2))
    return accepted(
        {
            "categories": categories,
            "types": [{"name": name, "category": draw(own)} for name in types],
            "open": draw(st.booleans()),
            "journeys": [{"name": name} for name in kinds],
        }
    )


@pytest.mark.parametrize("form", ["lines", "schema"])
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(vocabulary=vocabularies(), data=st.data())
def test_an_answer_with_the_names_in_force_is_read_back_exactly(
    form: AnswerForm, vocabulary: Vocabulary, data: st.DataObject
) -> None:
    marks = {each.mark: each.name for each in vocabulary.categories}
    types = data.draw(st.lists(st.sampled_from(vocabulary.types), min_size=4, max_size=4))
    signs = data.draw(st.lists(st.sampled_from(sorted(marks)), min_size=4, max_size=4))
    first, second, third, fourth = (kind.name + sign for kind, sign in zip(types, signs, strict=True))
    kind = data.draw(st.sampled_from(vocabulary.journeys)).name
    user = AnsweredUser(
        "U1",
        [(kind, "一个 name", [(first, "1"), (second, "3,5")])],
        [(third, "2 4"), (fourth, "6-7?")],
        "8-9",
    )
    asking = Instructions(
        language=data.draw(st.sampled_from(["zh", "en"])), vocabulary=vocabulary, answer=form
    )
    reader = Reader(vocabulary, detail="day", source="llm", summarize=lambda _log: lambda _rows: "")
    outcome = reader.read(Reply(asking.written([user])), asked(ROWS)).outcomes["U1"]
    groups: list[list[tuple[int, ...]]] = [[(0,)], [(2, 4)], [(1,), (3,)], [(5, 6)]]
    meant = [
        (rows, each.name, each.category or marks[sign], rows != (5, 6))
        for each, sign, own in zip(types, signs, groups, strict=True)
        for rows in own
    ]
    assert sorted((e.behaviors, e.type, e.category, e.sure) for e in outcome.events) == sorted(meant)
    assert [(each.kind, each.name, each.behaviors) for each in outcome.journeys] == [
        (kind, "一个 name", (0, 2, 4))
    ]
    assert (outcome.reason, outcome.minor, outcome.misfiled, outcome.repeated) == (None, (7, 8), 0, 0)


def test_a_thousand_types_are_told_apart() -> None:
    types = [f"类型 {number}x" for number in range(1_000)]
    vocabulary = accepted({"types": [{"name": name} for name in types], "open": False})
    reader = Reader(vocabulary, detail="day", source="llm", summarize=lambda _log: lambda _rows: "")
    text = "\n".join(["## U1", *(f"{name} {row}" for row, name in enumerate(types, 1)), "##"])
    outcome = reader.read(Reply(text), asked(behaviors(*["2087-03-03 10:00"] * 1_000))).outcomes["U1"]
    assert {event.behaviors[0]: event.type for event in outcome.events} == dict(enumerate(types))
