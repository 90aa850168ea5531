"""Stability: events of a first answer that a second one has too; every figure is one that a hand can compute."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from eventabs.measures import Claim, Group, LogText, Repeat, fits_better, same_events, stability_of


def event(kind: str, *behaviors: int) -> Group:
    return Group(frozenset(behaviors), kind)


def repeat(
    first: Sequence[Group],
    second: Sequence[Group],
    *,
    at: int = 1,
    users: int = 3,
    user: str = "ann",
) -> Repeat:
    return Repeat(user, first, second, 20, at, users)


def test_an_event_is_stable_where_its_type_and_four_fifths_of_its_rows_come_again() -> None:
    first = [event("eat", 0, 1), event("eat", 2, 3, 4), event("work", 5), event("work", 6, 7), event("walk")]
    second = [event("eat", 1, 0), event("eat", 2, 3), event("rest", 5), event("work", 6), event("walk")]
    found = stability_of([repeat(first, second)])
    # eat 0 1 is the same; of 2 3 4 Dice is 0.8; rest is another type; of 6 7 Dice is 0.67; walk covers nothing
    assert repeat(first, second).unstable == (2, 3, 4)
    assert found.stable.value == pytest.approx(2 / 5)
    assert found.same_behaviors.value == pytest.approx(2 / 5)  # eat 0 1 and, of another type, 5
    assert found.only_second.value == pytest.approx(3 / 5)
    assert repeat(first, second).stable == pytest.approx(2 / 5)
    assert found.shared["loose_f1"].value == pytest.approx(2 * 12 / (12 + 14))


def test_rows_tell_types_places_and_sizes_apart() -> None:
    well, ill = [event("eat", 0)], [event("eat", 1)]
    found = stability_of(
        [
            repeat(well, well, at=1, users=9),
            repeat(well, well, at=4, users=9),
            repeat(well, ill, at=9, users=9),
            repeat(well, ill, at=2, users=2),
            repeat(well, well, at=0, users=16),
            repeat([event("work", 0)], well, at=1, users=1),
        ]
    )
    assert [(row.name, row.events, row.stable.value) for row in found.by_position] == [
        ("1", 1, 1.0),
        ("2", 1, 1.0),
        ("3", 1, 0.0),
    ]
    assert [(row.name, row.events, row.stable.value) for row in found.by_batch_users] == [
        ("1", 1, 0.0),
        ("2-3", 1, 0.0),
        ("8-15", 3, pytest.approx(2 / 3)),
        ("16-31", 1, 1.0),
    ]
    assert [(row.name, row.users, row.events) for row in found.by_type] == [("eat", 5, 5), ("work", 1, 1)]


def test_confusion_is_what_neighbors_have_over_strangers() -> None:
    told = [event("eat", 0), event("eat", 1), event("eat", 2), event("eat", 3)]
    first = repeat(told, [])._replace(confused=frozenset({0, 1}), by_chance=frozenset({2}))
    found = stability_of([first] * 12)
    assert (found.confused.value, found.by_chance.value) == (0.5, 0.25)
    assert found.confusion == (0.25, 0.25, 0.25)


def test_where_nothing_moved_the_bound_is_that_of_so_many_users() -> None:
    events = [event("eat", 0)] * 3
    found = stability_of([repeat(events[:1], events[:1])] * 40)
    bound = 0.025 ** (1 / 40)
    assert tuple(found.stable) == pytest.approx((1.0, bound, 1.0))
    assert tuple(found.only_second) == pytest.approx((0.0, 0.0, 1 - bound))


def test_few_users_have_no_intervals_and_none_no_figures() -> None:
    events = [event("eat", 0)]
    assert stability_of([repeat(events, events)] * 9).stable == (1.0, None, None)
    nothing = stability_of([])
    assert nothing.stable == nothing.confusion == (None, None, None)
    assert repeat([], events).stable == 0.0


ANSWERS = st.lists(st.integers(0, 4), min_size=9, max_size=9).map(
    lambda owners: [
        event("ab"[owner % 2], *(row for row, each in enumerate(owners) if each == owner))
        for owner in sorted({*owners})
    ]
)


@given(ANSWERS, ANSWERS)
def test_as_many_events_of_either_answer_are_stable_whichever_comes_first(
    one: list[Group], other: list[Group]
) -> None:
    assert len(same_events(one, other)) == len(same_events(other, one))
    assert repeat(one, one).unstable == ()


OWN = LogText([(100, "西餐厅"), (130, "健身房"), (130, "公司")])
OTHER = LogText([(100, "公司"), (200, "宝马4S店"), (230, "宝马4S店")])


@pytest.mark.parametrize(
    ("claim", "fits"),
    [
        (Claim(200, 230, 230, "宝马4S店看车"), 1),  # its times are the neighbor's
        (Claim(200, 999, 999, "宝马4S店看车"), None),  # of nobody
        (Claim(100, None, 100, "西餐厅用餐"), None),  # both have the minute, the words are its own
        (Claim(100, None, 100, "公司上班"), 1),  # both have the minute, the words are the neighbor's
        (Claim(100, None, 100, ""), None),
        (Claim(None, None, None, "宝马4S店"), None),
        (Claim(130, 130, 130, "宝马4S店"), None),  # at home in time, whatever it says
    ],
)
def test_an_event_fits_another_user_by_its_times_and_its_words(claim: Claim, fits: int | None) -> None:
    assert fits_better(claim, OWN, [OWN, OTHER, OTHER]) == fits
    assert fits_better(claim, OWN, []) is None
