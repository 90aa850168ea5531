"""Expected events follow the level of detail, and never shrink while a log grows."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.choices import AnswerForm, Detail
from eventabs.prompts.lines import Expectation
from eventabs.records import Behavior

EXPECTED = Expectation("lines")
START = datetime.fromisoformat("2026-01-01T00:00")


def log(*minutes: int, duration: int | None = None) -> list[Behavior]:
    return [Behavior(START + timedelta(minutes=minute), "use", "x", duration=duration) for minute in minutes]


def test_brief_is_one_event_a_day_and_at_most_twelve() -> None:
    assert EXPECTED.events(log(0, 1, 1440), "brief") == 2
    assert EXPECTED.events(log(*range(0, 1440 * 20, 1440)), "brief") == 12


def test_day_is_one_event_for_every_four_behaviors_of_a_day_and_at_most_eight() -> None:
    assert EXPECTED.events(log(0, 1, 2, 3), "day") == 1
    assert EXPECTED.events(log(0, 1, 2, 3, 4, 1440), "day") == 3
    assert EXPECTED.events(log(*range(100)), "day") == 8


def test_fine_is_one_event_a_session_where_pauses_count_from_the_end_of_what_was_done() -> None:
    assert EXPECTED.events(log(0, 30, 61), "fine") == 2
    assert EXPECTED.events(log(0, 30, 61, duration=60), "fine") == 1
    assert EXPECTED.events([*log(0, duration=7200), *log(10, 140)], "fine") == 1


@pytest.mark.parametrize(("answer", "tokens"), [("lines", 30), ("json", 44), ("schema", 44)])
def test_an_event_costs_what_its_form_costs(answer: AnswerForm, tokens: int) -> None:
    assert Expectation(answer).tokens(log(0), "day") == tokens


def test_without_summaries_an_event_costs_less_and_another_pause_makes_other_sessions() -> None:
    assert Expectation("lines", with_summaries=False).tokens(log(0), "day") < EXPECTED.tokens(log(0), "day")
    assert Expectation("lines", pause=120).events(log(0, 30, 61, 200), "fine") == 2
    assert Expectation("lines", pause=0).events(log(0, 30, 61), "fine") == EXPECTED.events(
        log(0, 30, 61), "fine"
    )


def test_no_behaviors_are_no_events() -> None:
    assert [EXPECTED.events([], detail) for detail in ("brief", "day", "fine")] == [0, 0, 0]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.none() | st.integers(0, 90_000)), max_size=40),
    st.sampled_from(["brief", "day", "fine"]),
)
def test_behaviors_added_at_the_end_never_lower_the_expectation(
    rows: list[tuple[int, int | None]], detail: Detail
) -> None:
    behaviors = [log(minute, duration=seconds)[0] for minute, seconds in sorted(rows, key=lambda row: row[0])]
    events = [EXPECTED.events(behaviors[:length], detail) for length in range(len(behaviors) + 1)]
    assert events == sorted(events)
    assert events[-1] <= len(behaviors)
