"""Two groupings are compared: each kind of mistake is found by its own figures, which are those of a hand."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, strategies as st

from eventabs.measures import (
    FIGURES,
    JOURNEY_FIGURES,
    PAUSES,
    SHAPE_FIGURES,
    Compared,
    Group,
    Sums,
    added,
    baselines,
    groups_of,
    scores_of,
    shape_of,
    wholes_of,
)
from eventabs.shared_records import Behavior

ROWS = 40
# ten events of four rows, which lie in one another as a day's do; every row counts the same
TRUTH = [
    Group(
        frozenset(20 * half + lane + 5 * step for step in range(4)),
        "ab"[lane % 2],
        parent=f"j{half}" if lane < 3 else "",
        kind="trip" if lane < 3 else "",
    )
    for half in range(2)
    for lane in range(5)
]


def values(found: Sequence[Group], wanted: Sequence[Group] = TRUTH) -> dict[str, float | None]:
    """Return the figures of events, and those of journeys with `journeys ` in front."""
    events = Compared(found, wanted, range(ROWS)).agreement()
    wholes = Compared(wholes_of(found), wholes_of(wanted), range(ROWS)).agreement()
    return {name: figure(events) for name, figure in FIGURES.items()} | {
        f"journeys {name}": figure(wholes) for name, figure in JOURNEY_FIGURES.items()
    }


def changed(found: Sequence[Group]) -> set[str]:
    """Return the figures that are not those of the truth beside itself."""
    right = values(TRUTH)
    return {name for name, value in values(found).items() if value != right[name]}


def test_what_is_right_is_right_in_every_figure() -> None:
    right = values(TRUTH)
    assert right.pop("journeys false") == 0
    assert right.pop("loose_f1") is None, "every row is in a group"
    assert set(right.values()) == {1.0}


def test_events_that_are_split_lose_recall_and_no_precision() -> None:
    # each second event in halves
    found = [
        Group(frozenset(rows), group.type, parent=group.parent)
        for place, group in enumerate(TRUTH)
        for rows in ((sorted(group.rows)[:2], sorted(group.rows)[2:]) if place % 2 else (group.rows,))
    ]
    said = values(found)
    assert said["pair_precision"] == said["bcubed_precision"] == 1
    assert said["pair_recall"] == pytest.approx((5 * 6 + 5 * 2) / 60)
    assert said["bcubed_recall"] == pytest.approx((5 * 1 + 5 * 0.5) / 10)
    assert said["whole_recall"] == 0.5
    assert said["whole_precision"] == pytest.approx(5 / 15)
    assert said["best_dice"] == pytest.approx((5 * 1 + 5 * 2 / 3) / 10)
    assert said["same_type"] == said["grouped_recall"] == said["journeys whole"] == 1


def test_events_that_are_merged_lose_precision_and_no_recall() -> None:
    # the first two of each half are one
    merged = [
        Group(TRUTH[first].rows | TRUTH[first + 1].rows, TRUTH[first].type, parent=TRUTH[first].parent)
        for first in (0, 5)
    ]
    said = values([*merged, *TRUTH[2:5], *TRUTH[7:]])
    assert said["pair_recall"] == said["bcubed_recall"] == 1
    assert said["pair_precision"] == pytest.approx(60 / (2 * 28 + 6 * 6))
    assert said["bcubed_precision"] == pytest.approx((2 * 8 * 0.5 + 24) / 40)
    assert said["whole_recall"] == pytest.approx(0.6)
    assert said["same_type"] == pytest.approx(1 - 8 / 40), "the second's type is lost"
    assert said["grouped_recall"] == said["journeys whole"] == 1


def test_rows_that_are_moved_lose_both_and_leave_the_events_whole_that_keep_four_fifths() -> None:
    # a row of the first event is in the second
    moved = min(TRUTH[0].rows)
    found = [
        TRUTH[0]._replace(rows=TRUTH[0].rows - {moved}),
        TRUTH[1]._replace(rows=TRUTH[1].rows | {moved}),
        *TRUTH[2:],
    ]
    said = values(found)
    assert said["pair_recall"] == pytest.approx((8 * 6 + 3 + 6) / 60)
    assert said["pair_precision"] == pytest.approx((8 * 6 + 3 + 6) / (8 * 6 + 3 + 10))
    assert said["bcubed_recall"] == pytest.approx((36 + 3 * 3 / 4 + 1 / 4) / 40)
    assert said["bcubed_precision"] == pytest.approx((32 + 3 + 4 * 4 / 5 + 1 / 5) / 40)
    assert said["exact_f1"] == pytest.approx(0.8)
    assert said["whole_f1"] == 1, "Dice of three of four rows is 0.86, of four and one more 0.89"
    assert said["grouped_recall"] == 1
    assert said["same_type"] == pytest.approx(39 / 40)
    assert said["journeys exact"] == 1, "it is in the same journey"


def test_journeys_that_are_broken_are_seen_in_journeys_alone() -> None:
    found = [
        group._replace(parent=f"{group.parent} {place}") if group.parent == "j0" else group
        for place, group in enumerate(TRUTH)
    ]
    assert changed(found) == {"journeys whole", "journeys exact", "journeys best_dice", "journeys false"}
    said = values(found)
    assert said["journeys whole"] == 0.5
    assert said["journeys same_kind"] == 1, "of those that are one on both sides"
    assert said["journeys false"] == pytest.approx(3 / 4)
    assert said["journeys best_dice"] == pytest.approx((1 + 8 / 16) / 2)
    none = [group._replace(parent="") for group in TRUTH]
    assert values(none)["journeys whole"] == 0
    assert values(none)["journeys false"] is None, "none is told"


def test_kinds_that_are_changed_are_seen_in_kinds_alone_and_unknown_ones_are_not_judged() -> None:
    found = [group._replace(kind="work") if group.parent == "j1" else group for group in TRUTH]
    assert changed(found) == {"journeys same_kind"}
    assert values(found)["journeys same_kind"] == 0.5
    unknown = [group._replace(kind="") for group in TRUTH]
    assert values(TRUTH, unknown)["journeys same_kind"] is None
    assert values(TRUTH, unknown)["journeys whole"] == 1


def test_events_of_a_ledger_are_groups_and_their_journeys_say_the_kind() -> None:
    event = {
        "type": "search",
        "category": "engagement",
        "behaviors": [4, 6],
        "journey": "u/j4",
        "sure": False,
    }
    alone = event | {"behaviors": [5], "journey": None, "sure": True}
    search, other = groups_of([event, alone], [{"id": "u/j4", "kind": "purchase"}])
    assert search == Group(frozenset({4, 6}), "search", "engagement", "u/j4", "purchase", sure=False)
    assert (other.parent, other.kind, other.sure) == ("", "", True)
    assert [whole.type for whole in wholes_of([search, other])] == ["purchase", "search"]


def test_a_journey_that_is_one_event_is_found() -> None:
    (whole, _other) = (group for group in wholes_of(TRUTH) if group.parent)
    found = [whole._replace(parent=""), *(group for group in TRUTH if group.parent != "j0")]
    assert values(found)["journeys whole"] == 1


def test_types_that_are_changed_are_seen_in_types_alone() -> None:
    found = [group._replace(type="c") if place < 3 else group for place, group in enumerate(TRUTH)]
    assert changed(found) == {"same_type"}
    assert values(found)["same_type"] == pytest.approx(0.7)


def test_rows_that_are_left_out_are_told_by_their_share_and_what_is_left_stays_precise() -> None:
    found = [group._replace(rows=group.rows - {min(group.rows)}) for group in TRUTH]
    said = values(found)
    assert said["grouped_recall"] == pytest.approx(0.75)
    assert said["grouped_precision"] == said["pair_precision"] == said["bcubed_precision"] == 1
    assert said["pair_recall"] == pytest.approx(0.5)
    assert said["loose_f1"] == 0
    assert values(found, found)["loose_f1"] == 1
    gone = values(TRUTH[:-1])
    assert gone["whole_precision"] == 1
    assert gone["whole_recall"] == pytest.approx(0.9)


def test_boundaries_are_where_neighboring_rows_part() -> None:
    wanted = [
        Group(frozenset({0, 1, 2}), ""),
        Group(frozenset({3, 4}), ""),
    ]  # one boundary; two more at the loose 5
    found = [Group(frozenset({0, 1}), ""), Group(frozenset({2, 3, 4}), "")]
    sums = Compared(found, wanted, range(6)).agreement()
    assert (sums["boundaries_found"], sums["boundaries_wanted"], sums["boundaries"]) == (2, 2, 1)


def test_four_large_groups_do_not_hide_the_small_ones_in_the_mean_of_groups() -> None:
    large = [Group(frozenset(range(20 * place, 20 * place + 20)), "") for place in range(4)]
    small = [Group(frozenset({80 + 2 * place, 81 + 2 * place}), "") for place in range(16)]
    alone = [Group(frozenset({row}), "") for row in range(80, 112)]
    sums = Compared([*large, *alone], [*large, *small], range(112)).agreement()
    said = {name: figure(sums) for name, figure in FIGURES.items()}
    assert said["pair_f1"] == pytest.approx(2 * 760 / (760 + 776))
    assert said["pair_macro_f1"] == pytest.approx(2 * 0.2 / 1.2)


GROUPING = st.lists(st.integers(-1, 4), min_size=9, max_size=9).map(
    lambda owners: [
        Group(frozenset(row for row, owner in enumerate(owners) if owner == place), "ab"[place % 2])
        for place in sorted({*owners} - {-1})
    ]
)


@given(GROUPING, GROUPING)
def test_the_sums_are_those_of_every_row_and_pair(found: list[Group], wanted: list[Group]) -> None:
    rows = range(9)
    sums = Compared(found, wanted, rows).agreement()

    def together(groups: list[Group], one: int, other: int) -> bool:
        return any({one, other} <= group.rows for group in groups)

    def group_of(groups: list[Group], row: int) -> frozenset[int]:
        return next((group.rows for group in groups if row in group.rows), frozenset({row}))

    pairs = list(combinations(rows, 2))
    assert sums["pairs"] == sum(together(found, *pair) and together(wanted, *pair) for pair in pairs)
    assert sums["pairs_found"] == sum(together(found, *pair) for pair in pairs)
    shared = {row: len(group_of(found, row) & group_of(wanted, row)) for row in rows}
    precision = sum(Fraction(shared[row], len(group_of(found, row))) for row in rows)
    recall = sum(Fraction(shared[row], len(group_of(wanted, row))) for row in rows)
    assert sums["rows_found"] == pytest.approx(float(precision))
    assert sums["rows_wanted"] == pytest.approx(float(recall))
    dice = [
        [2 * len(ours.rows & theirs.rows) / (len(ours.rows) + len(theirs.rows)) for ours in found]
        for theirs in wanted
    ]
    assert sums["best_dice"] == pytest.approx(sum(max(each, default=0) for each in dice))
    assert sums["whole"] == sum(max(each, default=0) >= 0.8 for each in dice)


@given(GROUPING, GROUPING)
def test_precision_one_way_is_recall_the_other(found: list[Group], wanted: list[Group]) -> None:
    one, other = (
        {name: figure(Compared(*both, range(9)).agreement()) for name, figure in FIGURES.items()}
        for both in ((found, wanted), (wanted, found))
    )
    for name in ("pair", "bcubed", "whole", "grouped"):
        assert one[f"{name}_precision"] == other[f"{name}_recall"]
    for name in ("pair_f1", "bcubed_f1", "pair_macro_f1", "exact_f1", "boundary_f1", "same_type", "loose_f1"):
        assert one[name] == pytest.approx(other[name])


def test_a_row_in_two_events_is_the_smaller_ones() -> None:
    stay, walk = Group(frozenset(range(10)), "stay"), Group(frozenset({4, 5}), "walk")
    sums = Compared([stay, walk], [walk, stay], range(10)).agreement()
    assert (sums["exact"], sums["rows"], sums["pairs"]) == (2, 10, 28 + 1)


def test_ten_users_have_intervals_that_hold_the_figure_and_nine_have_none() -> None:
    mixed = [Compared(TRUTH[: 5 + place % 6], TRUTH, range(ROWS)).agreement() for place in range(30)]
    figure = scores_of(mixed, FIGURES, {})["bcubed_f1"]
    assert figure.value is not None
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.value < figure.high
    assert scores_of(mixed[:9], FIGURES, {})["bcubed_f1"].low is None


# baselines

DAY = [  # a day begins at 05:00, so the last row is of the next
    Behavior(datetime.fromisoformat(f"2026-03-{start}"), action, item, duration=seconds)
    for start, action, item, seconds in (
        ("07T08:00", "visit", "park", 3_600),
        ("07T09:01", "visit", "bakery", None),
        ("07T12:00", "search", "park", None),
        ("08T04:00", "search", "bread", None),
        ("08T05:00", "search", "bread", None),
    )
]


def grouped(name: str | int) -> list[list[int]]:
    return sorted(sorted(group.rows) for group in baselines(DAY, range(5))[name])


def test_trivial_programs_group_by_row_action_and_object_of_a_day_that_begins_at_five() -> None:
    assert {name: grouped(name) for name in ("rows", "action", "object")} == {
        "rows": [[0], [1], [2], [3], [4]],
        "action": [[0, 1], [2, 3], [4]],
        "object": [[0, 2], [1], [3], [4]],
    }


def test_a_pause_is_counted_from_the_end_of_what_was_done() -> None:
    assert grouped(1) == [[0, 1], [2], [3], [4]]
    assert grouped(180) == [[0, 1, 2], [3, 4]]


def test_skill_is_what_is_left_above_the_best_baseline_and_nothing_where_that_is_nearly_all() -> None:
    user = Compared(TRUTH, TRUTH, range(ROWS)).agreement()
    half = Compared(TRUTH[:5], TRUTH, range(ROWS)).agreement()
    worse = Compared([], TRUTH, range(ROWS)).agreement()
    reached: dict[str | int, Sums] = {"rows": worse, **dict.fromkeys(PAUSES, worse), 15: half}
    score = scores_of([half], FIGURES, reached)["whole_recall"]
    assert (score.value, score.baselines, score.pause_minutes) == (0.5, {"rows": 0, "pause": 0.5}, 15)
    assert score.skill == 0
    assert scores_of([user], FIGURES, {"rows": half})["whole_recall"].skill == 1
    assert scores_of([worse], FIGURES, {"rows": half})["whole_recall"].skill == -1
    assert scores_of([user], FIGURES, {"rows": user})["whole_recall"].skill is None


def test_the_shape_of_a_grouping_by_hand() -> None:
    groups = [Group(frozenset({0, 1}), "", parent="j"), Group(frozenset({2}), "", sure=False)]
    shape = shape_of(groups, DAY, range(5))
    assert shape["journeys"] == 1
    said = {name: figure(added([shape, shape])) for name, figure in SHAPE_FIGURES.items()}
    assert said == {
        "rows_placed": 0.6,
        "rows_per_event": 1.5,
        "one_row_events": 0.5,
        "doubtful": 0.5,
        "events_per_user_day": 1.0,
        "days_without_event": 0.5,
        "minutes_covered": 1.0,
    }
