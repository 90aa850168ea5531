"""Two event lists agree to the same degree whichever comes first; the counts are those of a hand."""

from itertools import permutations

from hypothesis import given, strategies as st

from eventabs.measures import Agreement, Occurrence, agreement_of, equal_events, same_starts

BEHAVIORS = 8


def event(
    minute: int | None, kind: str = "eat", behaviors: tuple[int, ...] = (), mark: str = ""
) -> Occurrence:
    return Occurrence(minute, kind, mark, frozenset(behaviors))


@st.composite
def events(draw: st.DrawFn) -> list[Occurrence]:
    """Make events that share no behavior; some cover none, some have no readable time."""
    owners = draw(st.lists(st.integers(0, 4), min_size=BEHAVIORS, max_size=BEHAVIORS))
    return [
        Occurrence(
            draw(st.none() | st.integers(0, 3)),
            draw(st.sampled_from(("eat", "work"))),
            draw(st.sampled_from(("", "conversion"))),
            frozenset(index for index, owner in enumerate(owners) if owner == number),
        )
        for number in range(draw(st.integers(0, 4)))
    ]


anything = st.lists(
    st.builds(
        Occurrence,
        st.none() | st.integers(0, 3),
        st.sampled_from(("eat", "work")),
        st.sampled_from(("", "conversion")),
        st.frozensets(st.integers(0, 5)),
    ),
    max_size=5,
)


def swapped(found: Agreement) -> Agreement:
    return found._replace(
        first=found.second,
        second=found.first,
        first_covered=found.second_covered,
        second_covered=found.first_covered,
    )


@given(anything, anything, st.integers(0, 3))
def test_it_does_not_matter_which_list_comes_first(
    first: list[Occurrence], second: list[Occurrence], within: int
) -> None:
    assert agreement_of(second, first, within) == swapped(agreement_of(first, second, within))


@given(events())
def test_events_agree_with_themselves_in_everything(found: list[Occurrence]) -> None:
    counts = agreement_of(found, found, 0)
    timed = sum(each.minute is not None for each in found)
    grounded = sum(bool(each.behaviors) for each in found)
    assert counts.equal == counts.first == counts.second == len(found)
    assert counts.starts == counts.near == counts.types == counts.categories == timed
    assert counts.behaviors == counts.halves == grounded


@given(events(), events(), st.integers(0, 3))
def test_a_looser_condition_never_holds_less_often(
    first: list[Occurrence], second: list[Occurrence], within: int
) -> None:
    found = agreement_of(first, second, within)
    assert found.types <= found.starts <= found.near <= min(len(first), len(second))
    assert found.categories <= found.starts
    assert found.behaviors <= found.halves


@given(events(), events())
def test_no_other_pairing_shares_half_of_the_behaviors_more_often(
    first: list[Occurrence], second: list[Occurrence]
) -> None:
    small, large = sorted((first, second), key=len)
    most = max(
        sum(
            2 * len(one.behaviors & other.behaviors) >= len(one.behaviors | other.behaviors) > 0
            for one, other in pairs
        )
        for chosen in permutations(large, len(small))
        if (pairs := list(zip(small, chosen, strict=True))) is not None
    )
    assert agreement_of(first, second, 0).halves == most


@given(events(), events())
def test_pairs_of_equal_starts_have_as_many_equal_types_as_there_can_be(
    first: list[Occurrence], second: list[Occurrence]
) -> None:
    pairs = same_starts(first, second)
    small, large = sorted((first, second), key=len)
    chosen = [list(zip(small, each, strict=True)) for each in permutations(large, len(small))]
    timed = [[pair for pair in each if pair[0].minute == pair[1].minute is not None] for each in chosen]
    assert len(pairs) == max(map(len, timed))
    equal = sum(first[one].type == second[other].type for one, other in pairs)
    assert equal == max(sum(one.type == other.type for one, other in each) for each in timed)


def test_the_counts_by_hand() -> None:
    first = [
        event(600, "eat", (0,)),
        event(660, "work", (1, 2, 3)),
        event(780, "shop", (4,), "conversion"),
        event(900, "rest", (5, 6)),
        event(None, "dream"),
    ]
    second = [
        event(600, "eat", (0,)),  # equal
        event(660, "study", (1, 2)),  # same start, two of three behaviors, another type
        event(781, "shop", (4,), "conversion"),  # a minute later
        event(900, "rest", (7,), "conversion"),  # same start and type, other behaviors, another category
    ]
    assert agreement_of(first, second, 1) == Agreement(
        first=5,
        second=4,
        first_covered=7,
        second_covered=5,
        starts=3,
        near=4,
        types=2,
        categories=2,
        behaviors=2,
        halves=3,
        equal=2,
    )
    assert equal_events(first, second) == [(0, 0), (2, 2)]


def test_of_events_in_one_minute_those_with_equal_labels_are_pairs() -> None:
    first = [event(600, "eat"), event(600, "shop", mark="conversion"), event(600, "shop")]
    second = [event(600, "shop"), event(600, "eat"), event(600, "shop", mark="conversion")]
    assert sorted(same_starts(first, second)) == [(0, 1), (1, 2), (2, 0)]


def test_half_of_the_behaviors_is_enough_and_one_event_has_one_partner() -> None:
    whole, halves = [event(0, behaviors=(0, 1))], [event(0, behaviors=(0,)), event(1, behaviors=(1,))]
    assert agreement_of(whole, halves, 0).halves == 1
    assert agreement_of([event(0, behaviors=(0, 1, 2))], [event(0, behaviors=(0,))], 0).halves == 0


def test_events_without_behaviors_are_equal_where_their_starts_and_labels_are() -> None:
    assert equal_events([event(5), event(6)], [event(6), event(7)]) == [(1, 0)]
    assert agreement_of([event(5)], [event(5)], 0).behaviors == 0
