"""A log held against a new export, behavior by behavior."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from eventabs.records import Behavior
from eventabs.runs.changes import GONE, Unshared, Window, log_change, merged, new_places, unshared_with

START = datetime(2026, 3, 1)  # noqa: DTZ001  exports hold wall times
EPOCH = int((START - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
DAY = 86_400


def row(seconds: int, item: str = "a", duration: int | None = None, line: int = 1) -> Behavior:
    return Behavior(START + timedelta(seconds=seconds), "visit", item, "", duration, 0, line)


# many rows share a second, and look alike
rows = st.lists(
    st.builds(row, st.integers(0, 12).map(lambda hours: hours * 7200), st.sampled_from("ab")), max_size=14
)
logs = rows.map(lambda found: sorted(found, key=lambda behavior: behavior.start))


def window(first: int = 0, last: int = 13 * 7200, days: frozenset[int] | None = None) -> Window:
    return Window(EPOCH + first, EPOCH + last, days)


def without_file(behaviors: object) -> list[tuple[object, ...]]:
    return [behavior[:5] for behavior in behaviors]  # type: ignore[attr-defined]


@given(logs, logs)
def test_what_both_have_is_taken_as_one_as_often_as_both_have_it(
    log: list[Behavior], export: list[Behavior]
) -> None:
    known, seen = Counter(without_file(log)), Counter(without_file(export))
    found = unshared_with(log, export, window())
    assert Counter(without_file(found.new)) == seen - known
    assert Counter(without_file([log[index] for index in found.missing])) == known - seen


@given(logs, logs, st.integers(0, 6), st.integers(6, 12))
def test_a_behavior_is_missing_only_within_the_time_of_the_export(
    log: list[Behavior], export: list[Behavior], first: int, last: int
) -> None:
    held = window(first * 7200, last * 7200)
    inside = [
        each
        for each in export
        if START + timedelta(hours=2 * first) <= each.start <= START + timedelta(hours=2 * last)
    ]
    found = unshared_with(log, inside, held)
    for index in found.missing:
        assert timedelta(hours=2 * first) <= log[index].start - START <= timedelta(hours=2 * last)


def test_on_a_day_that_the_export_does_not_hold_as_a_whole_nothing_is_missing() -> None:
    log = [row(0), row(DAY)]
    assert unshared_with(log, [], window(last=DAY)).missing == (0, 1)
    assert unshared_with(log, [], window(last=DAY, days=frozenset({(EPOCH + DAY) // DAY}))).missing == (1,)


@given(logs, logs)
def test_a_log_and_what_differs_make_the_export_where_nothing_is_too_late(
    log: list[Behavior], export: list[Behavior]
) -> None:
    found = log_change(log, unshared_with(log, export, window()), lateness=10**9)
    grown = merged(log, found, export)
    assert Counter(without_file(grown.behaviors)) == Counter(without_file(export))
    assert [each.start for each in grown.behaviors] == [each.start for each in export]


def test_of_one_moment_what_is_new_stands_as_in_an_export_that_has_all_of_it() -> None:
    log, export = [row(0, "a"), row(0, "c")], [row(0, "a"), row(0, "b"), row(0, "c"), row(0, "d")]
    found = log_change(log, unshared_with(log, export, window()), lateness=0)
    assert [each.item for each in merged(log, found, export).behaviors] == ["a", "b", "c", "d"]
    part = export[1::2]
    added = log_change(log, unshared_with(log, part, window(days=frozenset())), lateness=0)
    assert [each.item for each in merged(log, added, part).behaviors] == ["a", "c", "b", "d"]


@given(logs, logs, st.integers(0, 100_000))
def test_places_say_where_each_behavior_of_the_log_is_now(
    log: list[Behavior], export: list[Behavior], lateness: int
) -> None:
    found = log_change(log, unshared_with(log, export, window()), lateness)
    grown = merged(log, found, export)
    kept = {index: place for index, place in enumerate(grown.places) if place != GONE}
    assert set(range(len(log))) - set(kept) == set(found.removed)
    assert all(log[index] == grown.behaviors[place] for index, place in kept.items())
    added = list(new_places(grown))
    assert sorted([*kept.values(), *added]) == list(range(len(grown.behaviors)))
    assert Counter(without_file(grown.behaviors[place] for place in added)) == Counter(
        without_file(found.added)
    )
    assert [each.start for each in grown.behaviors] == sorted(each.start for each in grown.behaviors)
    assert list(kept.values()) == sorted(kept.values())


def test_a_behavior_that_lies_too_far_back_is_left_out_unless_it_replaces_another() -> None:
    log = [row(0), row(3 * DAY)]
    export = [row(0, "b"), row(60, "c"), row(3 * DAY)]
    found = log_change(log, unshared_with(log, export, window(last=3 * DAY)), lateness=DAY)
    assert found.replaced == 1
    assert [each.item for each in found.added] == ["b"]
    assert [each.item for each in found.too_late] == ["c"]
    assert found.removed == (0,)


@pytest.mark.parametrize(("hours", "late"), [(1, 1), (30, 0)])
def test_what_lies_before_the_last_known_behavior_is_late(hours: int, late: int) -> None:
    log = [row(0), row(DAY)]
    found = log_change(log, Unshared((row(hours * 3600, "b"),), (), range(2)), lateness=2 * DAY)
    assert found.late == late
    assert len(found.added) == 1


def test_the_file_and_line_of_a_behavior_do_not_matter() -> None:
    log = [row(0, line=1)]
    assert unshared_with(log, [row(0, line=77)._replace(file=3, text="said")], window()) == Unshared(
        (), (), range(1)
    )
