"""Whatever comes: every user has an outcome, no row is in two events, and none is lost without being counted."""

import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.replies.forms_of_answers import one_line
from eventabs.replies.reader import Reader
from eventabs.setting_choices import Detail
from eventabs.shared_records import AskedUser, FinishReason, Outcome, Reply
from reply_cases import ASKED, FIRST, GOOD, LONG, SCHEMA, VOCABULARY, asked, dumped, read

LONGEST = 524_288
THREE = asked(FIRST, FIRST[:5], FIRST[3:])
DETAILS: tuple[Detail, ...] = ("day", "fine", "journeys")
READERS = {
    detail: Reader(VOCABULARY, detail=detail, source="llm", summarize=lambda _log: lambda _behaviors: "")
    for detail in DETAILS
}


def check(outcomes: Mapping[str, Outcome], request: Mapping[str, AskedUser]) -> None:
    """Every row of an outcome that has something is accounted for once."""
    assert outcomes.keys() == request.keys()
    for alias, outcome in outcomes.items():
        assert outcome.part == request[alias].part
        rows = [row for event in outcome.events for row in event.behaviors]
        rows += [*outcome.minor, *outcome.unplaced, *outcome.unasked]
        assert len(rows) == len(set(rows))
        if outcome.reason in (None, "unplaced", "minor"):
            assert sorted(rows) == [*request[alias].rows]
        else:
            assert not rows
        by_id = {event.id: event for event in outcome.events}
        assert len(by_id) == len(outcome.events)
        for journey in outcome.journeys:
            assert len(journey.behaviors) > 1
            assert {event.id for event in outcome.events if event.journey == journey.id} == set(
                journey.events
            )
        assert {event.journey for event in outcome.events} - {None} == {
            journey.id for journey in outcome.journeys
        }


GROUP = st.builds(
    lambda numbers, sign, end: sign.join(map(str, numbers)) + end,
    st.lists(st.integers(0, 26), min_size=1, max_size=4),
    st.sampled_from([",", "-", " ", "、", " to ", ", "]),
    st.sampled_from(["", "?", "!"]),
)
LABEL = st.sampled_from(
    ["工作", "用餐 ", "加购! ", "零碎 ", "minor: ", "攀岩 ", "> 购买 帐篷：浏览 ", "> 旅行：", "- 工作：", ""]
)
LINE = st.builds(str.__add__, LABEL, st.lists(GROUP, max_size=4).map(" ".join))
HEADER = st.sampled_from(["## U1", "## U2", "## U3", "## U4", "U2:", "##", "", "## 1", "```", "{", '"U1": {'])
ANSWER = st.lists(HEADER | LINE, max_size=14).map("\n".join)
FINISH = st.sampled_from(["stop", "length", "interrupted", "content_filter"])


@settings(max_examples=400)
@given(ANSWER, FINISH, st.sampled_from(DETAILS))
def test_every_row_is_in_one_event_or_minor_or_left_out_and_counted(
    text: str, finish: FinishReason, detail: Detail
) -> None:
    reading = READERS[detail].read(Reply(text, finish), THREE)
    check(reading.outcomes, THREE)
    if detail != "journeys":
        assert all(not outcome.unasked for outcome in reading.outcomes.values())


@settings(max_examples=200)
@given(ANSWER, ANSWER, FINISH)
def test_also_where_an_earlier_answer_placed_a_part_of_them(
    first: str, second: str, finish: FinishReason
) -> None:
    reader = READERS["day"]
    earlier = reader.read(Reply(first), THREE).outcomes
    again = {
        alias: user._replace(
            earlier=earlier[alias] if earlier[alias].reason in ("unplaced", "minor") else None
        )
        for alias, user in THREE.items()
    }
    outcomes = reader.read(Reply(second, finish), again).outcomes
    check(outcomes, THREE)
    for alias, user in again.items():
        if user.earlier and user.earlier.reason == "unplaced" and outcomes[alias].events:
            placed = {event.behaviors for event in outcomes[alias].events}
            assert {event.behaviors for event in user.earlier.events} <= placed


@settings(max_examples=200)
@given(
    st.sampled_from([GOOD, dumped(SCHEMA), str(SCHEMA)]),
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 6),
            st.sampled_from(
                [
                    "##",
                    "## U1\n",
                    "\n",
                    "|",
                    '"',
                    "'",
                    "[",
                    "]",
                    "{",
                    "}",
                    ",",
                    ":",
                    "-",
                    ">",
                    "；",
                    "<think>",
                ]
            )
            | st.text(max_size=3),
        ),
        max_size=5,
    ),
    FINISH,
)
def test_any_damage_leaves_an_outcome_for_each_user(
    text: str, damages: list[tuple[int, int, str]], finish: FinishReason
) -> None:
    for at, length, put in damages:
        text = text[:at] + put + text[at + length :]
    check(read(text, finish).outcomes, ASKED)


@settings(max_examples=200)
@given(st.text(max_size=200) | st.text("U12## 工作>：；:;,-?![]{}\"'\n", max_size=80), FINISH)
def test_any_text_leaves_an_outcome_for_each_user(text: str, finish: FinishReason) -> None:
    check(read(text, finish).outcomes, ASKED)


@settings(max_examples=100)
@given(st.sampled_from([GOOD, dumped(SCHEMA)]), st.data())
def test_a_cut_answer_gives_whole_users_or_a_reason(text: str, data: st.DataObject) -> None:
    whole = read(text).outcomes
    cut = text[: data.draw(st.integers(0, len(text)))]
    for alias, outcome in read(cut, "length").outcomes.items():
        assert outcome.reason or outcome == whole[alias]


def filled(piece: str, head: str = "## U1\n") -> str:
    return head + piece * (LONGEST // 4 // len(piece))  # whoever takes a square of it, takes minutes


HOSTILE = {
    "a line of a number": filled("1"),
    "a row again and again": filled("工作 1 1 1 1\n"),
    "a row again and again in a line": filled("1 ", "## U1\n工作 "),
    "huge ranges": filled("工作 1-999999999\n"),
    "all rows again and again": filled("工作 1-40 "),
    "commas": filled("1,", "## U1\n工作 "),
    "colons": filled(":", "## U1\n> "),
    "names with colons": filled("：搜索 5；", "## U1\n> a"),
    "spaces": filled(" ", "## U1\n工作") + "1",
    "brackets": filled("["),
    "brackets around nothing": filled("(a", "## U1\n工作 1 "),
    "objects": filled('{"u":', ""),
    "closed brackets": '{"u":"U1","events":' + "[" * 200_000 + "]" * 200_000 + "}",
    "closers": filled("]}", "[{"),
    "quotes": filled('["', '{"u":"U1","events":['),
    "pieces of strings": filled("['01-" + "'a" * 100, '{"u":"U1","events":['),
    "strings in curly quotes": filled("“”", '{"u":"U1","events":[a'),
    "escapes": filled('\\"', '{"u":"U1","events":["'),
    "a cut escape": filled('"\\', '{"u":"U1","events":['),
    "headers": filled("## U1\n## U2\n"),
    "headers of nobody": filled("## U99\n"),
    "names behind names": filled("U3: "),
    "names behind names in quotes": filled('"U1":'),
    "tags": filled("\n<think>"),
    "closing tags": filled("> </think>\n"),
    "rows first": filled("1 攀岩\n"),
    "no header": filled("工作 1\n", ""),
    "bullets": filled("- "),
    "bars": filled("| a "),
    "marks": filled("!") + "工作 1",
    "a huge user": filled("1", "## U"),
    "numbers in JSON": '{"U1":{"工作":[-5,0,99999999999999999999,1e300,true,1]}}',
    "lists in JSON": '{"U1":{"工作":[' + ",".join(["[1]"] * 100_000) + "]}}",
    "surrogates": "## U1\n> 购买 \ud83d帐：搜索 5；浏览 6\n\udc00 3\n##",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_survived(text: str) -> None:
    check(read(text).outcomes, ASKED)


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["工作 1-40\n", "工作 1-40 ", "1 攀岩\n", "> 购买 a：搜索 1\n"])
def test_a_flood_about_one_user_takes_little_memory(piece: str) -> None:
    text = filled(piece)[: LONGEST // 8]
    tracemalloc.start()
    read(text, asked=LONG)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60 * len(text)


def test_blanks_take_nothing_of_the_length_of_a_name() -> None:
    assert one_line("new" + 20 * " " + "\u202ecar, and more", 7) == "new car"
