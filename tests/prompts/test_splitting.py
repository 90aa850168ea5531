"""A user too large for one batch is cut between days, and within a day where least is going on."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.prompts.user_costs import split
from eventabs.shared_records import Behavior, Part, UserLog

START = datetime.fromisoformat("2026-01-01T00:00")


def log(minutes: list[int], durations: Sequence[int | None] = ()) -> UserLog:
    durations = [*durations, *[None] * len(minutes)]
    return UserLog(
        "u",
        tuple(
            Behavior(START + timedelta(minutes=minute), "use", "x", duration=seconds)
            for minute, seconds in zip(minutes, durations, strict=False)
        ),
    )


def at_most(count: int) -> Callable[[int, int], bool]:
    return lambda first, last: last - first < count


def ranges(parts: list[Part]) -> list[tuple[int, int]]:
    return [(part.first, part.last) for part in parts]


def test_days_are_kept_whole_and_joined_as_long_as_they_fit() -> None:
    minutes = [0, 1, 1440, 1441, 2880, 4320]
    assert ranges(split(log(minutes), at_most(4))) == [(0, 3), (4, 5)]
    assert ranges(split(log(minutes), at_most(3))) == [(0, 1), (2, 4), (5, 5)]


def test_a_day_too_large_is_cut_at_its_widest_gap() -> None:
    assert ranges(split(log([0, 1, 2, 60, 61, 62]), at_most(4))) == [(0, 2), (3, 5)]


def test_a_gap_begins_when_what_was_done_has_ended() -> None:
    durations = [3_600 * 5, 60, 60, 60]
    assert ranges(split(log([0, 280, 310, 400], durations), at_most(3))) == [(0, 2), (3, 3)]
    assert ranges(split(log([0, 10, 290, 310], [3_600 * 5, 60]), at_most(3))) == [(0, 2), (3, 3)]


def test_of_equal_gaps_the_most_central_is_taken() -> None:
    assert ranges(split(log(list(range(8))), at_most(4))) == [(0, 3), (4, 7)]


def test_what_is_left_of_a_cut_day_joins_the_days_beside_it() -> None:
    minutes = [0, 1440, 1441, 1600, 1601, 2880]
    assert ranges(split(log(minutes), at_most(3))) == [(0, 2), (3, 5)]


def test_a_behavior_that_never_fits_is_a_part_by_itself() -> None:
    assert ranges(split(log([0, 1, 1440]), at_most(0))) == [(0, 0), (1, 1), (2, 2)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 6_000), min_size=1, max_size=60).map(sorted), st.integers(1, 20))
def test_parts_cover_the_log_in_order_and_fit(minutes: list[int], most: int) -> None:
    whole = log(minutes)
    parts = split(whole, at_most(most))
    assert [index for part in parts for index in range(part.first, part.last + 1)] == list(
        range(len(minutes))
    )
    assert all(part.last - part.first < most for part in parts)
    assert split(whole, at_most(most)) == parts


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(6, 20))
def test_where_every_day_fits_parts_are_as_few_as_whole_days_allow(days: list[int], most: int) -> None:
    minutes = [1440 * day + minute for day, count in enumerate(days) for minute in range(count)]
    parts = split(log(minutes), at_most(most))
    fewest = [0]
    for end in range(1, len(days) + 1):
        fewest.append(1 + min(fewest[begin] for begin in range(end) if sum(days[begin:end]) <= most))
    assert len(parts) == fewest[-1]
    assert all(minutes[part.first] % 1440 == 0 for part in parts)


@pytest.mark.parametrize("minutes_apart", [0, 1, 30])
def test_work_is_in_proportion_to_the_log_however_large_a_user_is(minutes_apart: int) -> None:
    whole = log([minutes_apart * number for number in range(40_000)])
    asked = 0

    def fits(first: int, last: int) -> bool:
        nonlocal asked
        asked += last - first + 1
        return last - first < 100

    split(whole, fits)
    assert asked < 12 * len(whole.behaviors)
