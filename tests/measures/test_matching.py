"""Starts and segments are matched one to one, as many as there can be."""

from itertools import permutations

import pytest
from hypothesis import given, strategies as st

from eventabs.measures import Hits, Segment, matched_segments, matched_times

TIMES = st.lists(st.integers(0, 30).map(float), max_size=6)


def most_pairs(found: list[float], wanted: list[float], within: float) -> int:
    """Return the size of the largest matching, by trying all."""
    small, large = sorted((found, wanted), key=len)
    return max(
        sum(abs(one - other) <= within for one, other in zip(small, chosen, strict=False))
        for chosen in permutations(large, len(small))
    )


@given(TIMES, TIMES, st.integers(0, 6).map(float))
def test_no_other_matching_has_more_pairs(found: list[float], wanted: list[float], within: float) -> None:
    pairs = matched_times(found, wanted, within)
    assert len(pairs) == most_pairs(found, wanted, within)
    assert all(abs(found[ours] - wanted[theirs]) <= within for ours, theirs in pairs)
    assert len({ours for ours, _theirs in pairs}) == len({theirs for _ours, theirs in pairs}) == len(pairs)


def test_f1_by_hand() -> None:
    # starts at 0, 10, 30 against 0, 11, 20, 50: 0 and 10 are hits
    assert len(matched_times([0, 10, 30], [0, 11, 20, 50], 1)) == 2
    hits = Hits(2, 3, 4)
    assert hits.precision == pytest.approx(2 / 3)
    assert hits.recall == pytest.approx(0.5)
    assert hits.f1 == pytest.approx(4 / 7)
    assert Hits(0, 0, 0).f1 is None
    assert Hits(0, 0, 3).precision is None


def test_a_segment_is_a_hit_with_half_of_the_union_and_the_label() -> None:
    wanted = [Segment(0, 10, "a"), Segment(20, 30, "b")]
    assert matched_segments([Segment(0, 5, "a"), Segment(24, 40, "b")], wanted) == [(0, 0)]  # 0.5 and 0.3
    assert matched_segments([Segment(0, 10, "b")], wanted) == []
    assert matched_segments([Segment(0, 10, "a"), Segment(0, 9, "a")], wanted) == [(0, 0)]
    assert matched_segments([Segment(20, 20, "c")], [Segment(20, 20, "c")]) == [(0, 0)]
