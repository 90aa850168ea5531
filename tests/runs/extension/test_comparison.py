"""A log held against a new export, behavior by behavior."""

import tracemalloc
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from eventabs.runs.extension import UserChange, Window, compared, grown
from eventabs.shared_records import Behavior, UserLog, row_ranges, rows_in
from eventabs.store import ExtendedUser

START = datetime(2026, 3, 1)  # noqa: DTZ001  exports hold wall times
EPOCH = int((START - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
DAY = 86_400
DAYS = frozenset(range(EPOCH // DAY, EPOCH // DAY + 9))


def row(seconds: int, item: str = "a", duration: int | None = None, line: int = 1) -> Behavior:
    return Behavior(START + timedelta(seconds=seconds), "visit", item, "", duration, 0, line)


# many rows share a second, and look alike
rows = st.lists(
    st.builds(row, st.integers(0, 12).map(lambda hours: hours * 7200), st.sampled_from("ab")), max_size=14
)
logs = rows.map(lambda found: sorted(found, key=lambda behavior: behavior.start))


def found(
    log: Sequence[Behavior],
    export: Sequence[Behavior],
    *,
    lateness: int = 10**9,
    window: Window = Window(EPOCH, EPOCH + 9 * DAY, DAYS),
) -> UserChange:
    return compared(UserLog("u", tuple(log)), None, UserLog("u", tuple(export)), window, lateness)


def put_together(
    log: Sequence[Behavior], export: Sequence[Behavior], change: UserChange, ordinals: str | None = None
) -> tuple[ExtendedUser, Sequence[int]]:
    seen = UserLog("u", tuple(export))
    return grown(change._replace(known=UserLog("u", tuple(log)), ordinals=ordinals, seen=seen))


def without_file(behaviors: Sequence[Behavior]) -> list[tuple[object, ...]]:
    return [behavior[:5] for behavior in behaviors]


@given(logs, logs)
def test_what_both_have_is_taken_as_one_as_often_as_both_have_it(
    log: list[Behavior], export: list[Behavior]
) -> None:
    known, seen = Counter(without_file(log)), Counter(without_file(export))
    change = found(log, export)
    assert Counter(without_file(change.added)) == seen - known
    assert Counter(without_file([log[index] for index in change.removed])) == known - seen


@given(logs, logs, st.integers(0, 6), st.integers(6, 12))
def test_a_behavior_is_gone_only_within_the_time_of_the_export(
    log: list[Behavior], export: list[Behavior], first: int, last: int
) -> None:
    hours = timedelta(hours=2 * first), timedelta(hours=2 * last)
    inside = [each for each in export if hours[0] <= each.start - START <= hours[1]]
    window = Window(EPOCH + first * 7200, EPOCH + last * 7200, DAYS)
    for index in found(log, inside, window=window).removed:
        assert hours[0] <= log[index].start - START <= hours[1]


def test_on_a_day_that_the_export_does_not_hold_as_a_whole_nothing_is_gone() -> None:
    log = [row(0), row(DAY)]
    assert found(log, []).removed == (0, 1)
    window = Window(EPOCH, EPOCH + DAY, frozenset({EPOCH // DAY + 1}))
    assert found(log, [], window=window).removed == (1,)


@given(logs, logs)
def test_a_log_and_what_differs_make_the_export_where_nothing_is_too_late(
    log: list[Behavior], export: list[Behavior]
) -> None:
    made = put_together(log, export, found(log, export))[0].log.behaviors
    assert Counter(without_file(made)) == Counter(without_file(export))
    assert [each.start for each in made] == [each.start for each in export]


def test_of_one_moment_what_was_known_stands_first() -> None:
    log, export = [row(0, "a"), row(0, "c")], [row(0, "a"), row(0, "b"), row(0, "c"), row(0, "d")]
    made, _places = put_together(log, export, found(log, export))
    assert [each.item for each in made.log.behaviors] == ["a", "c", "b", "d"]


@given(logs, logs, st.integers(0, 100_000))
def test_places_and_ordinals_say_which_behavior_is_which(
    log: list[Behavior], export: list[Behavior], lateness: int
) -> None:
    numbers = [7 * index % 31 for index in range(len(log))]
    change = found(log, export, lateness=lateness)
    made, places = put_together(log, export, change, row_ranges([*numbers, 40]))
    kept = {index: place for index, place in enumerate(places) if place >= 0}
    assert set(range(len(log))) - set(kept) == set(change.removed)
    assert all(log[index] == made.log.behaviors[place] for index, place in kept.items())
    ordinals = rows_in(made.ordinals or "")
    assert all(numbers[index] == ordinals[place] for index, place in kept.items())
    new = [place for place in range(len(made.log.behaviors)) if place not in kept.values()]
    assert [ordinals[place] for place in new] == list(range(40, 40 + len(new)))
    assert ordinals[-1] == 40 + len(new)
    assert [each.start for each in made.log.behaviors] == sorted(each.start for each in made.log.behaviors)
    assert list(kept.values()) == sorted(kept.values())


def test_a_number_that_a_gone_behavior_had_is_not_given_again() -> None:
    log, export = [row(0), row(60, "b")], [row(0)]
    made, _places = put_together(log, export, found(log, export))
    assert made.ordinals == "0 2"
    more = [row(0), row(120, "c")]
    later, _places = put_together(made.log.behaviors, more, found(made.log.behaviors, more), made.ordinals)
    assert later.ordinals == "0 2-3"


def test_a_log_that_only_grows_needs_no_ordinals() -> None:
    log, export = [row(0)], [row(0), row(60, "b")]
    assert put_together(log, export, found(log, export))[0].ordinals is None


def test_a_behavior_that_lies_too_far_back_is_left_out_unless_it_replaces_another() -> None:
    log = [row(0), row(3 * DAY)]
    export = [row(0, "b"), row(60, "c"), row(3 * DAY)]
    change = found(log, export, lateness=DAY)
    assert change.replaced == {0}
    assert [each.item for each in change.added] == ["b"]
    assert [each.item for each in change.too_late] == ["c"]
    assert change.removed == (0,)


@pytest.mark.parametrize(("hours", "late"), [(1, 1), (30, 0)])
def test_what_lies_before_the_last_known_behavior_is_late(hours: int, late: int) -> None:
    log = [row(0), row(DAY)]
    change = found(log, sorted([*log, row(hours * 3600, "b")], key=lambda each: each.start))
    assert (change.late, len(change.added)) == (late, 1)


def test_the_file_and_line_of_a_behavior_do_not_matter() -> None:
    log = [row(0, line=1)]
    export = [row(0, line=77)._replace(file=3, text="said")]
    assert found(log, export) == UserChange(UserLog("u", tuple(log)), None, UserLog("u", tuple(export)))


def test_a_long_run_of_rows_is_written_without_a_list_of_it() -> None:
    tracemalloc.start()
    assert row_ranges(range(3, 100_000)) == "3-99999"
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000  # a byte a row
