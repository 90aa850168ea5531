"""Time is owned by one segment of each kind, the narrowest."""

import pytest
from hypothesis import given, strategies as st

from eventabs.measures import Segment, overlaps

SEGMENTS = st.lists(
    st.builds(
        lambda start, length, label: Segment(start, start + length, label),
        st.integers(0, 50).map(float),
        st.integers(0, 20).map(float),
        st.sampled_from("abc"),
    ),
    max_size=6,
)


def owner(segments: list[Segment], moment: float) -> int | None:
    """Return the narrowest segment around a moment, of equally narrow ones the later."""
    around = [position for position, each in enumerate(segments) if each.start <= moment < each.end]
    return min(
        around,
        key=lambda position: (segments[position].end - segments[position].start, -position),
        default=None,
    )


@given(SEGMENTS, SEGMENTS)
def test_every_second_is_counted_where_its_owners_are(found: list[Segment], wanted: list[Segment]) -> None:
    parts = overlaps(found, wanted)
    counted = {
        (theirs, ours): seconds
        for theirs, each in enumerate(parts)
        for ours, seconds in each.items()
        if seconds
    }
    slow: dict[tuple[int, int | None], float] = {}
    for second in range(80):
        if (theirs := owner(wanted, second + 0.5)) is not None:
            key = theirs, owner(found, second + 0.5)
            slow[key] = slow.get(key, 0) + 1
    assert counted == slow


def test_a_walk_inside_a_stay_owns_its_time() -> None:
    stay, walk = Segment(0, 100, "stay"), Segment(40, 50, "walk")
    assert overlaps([stay, walk], [Segment(0, 100, "home")]) == [{0: 90, 1: 10}]
    assert overlaps([], [stay]) == [{None: pytest.approx(100)}]
