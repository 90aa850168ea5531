"""Starts and spans are matched one to one, as many as there can be; time is owned by one span of each kind, the narrowest."""

from itertools import permutations

import pytest
from hypothesis import given, strategies as st

from eventabs.measures import (
    SPAN_FIGURES,
    Segment,
    compare_spans,
    label_seconds,
    matched_spans,
    matched_times,
    owners_of,
)

TIMES = st.lists(st.integers(0, 30).map(float), max_size=6)
SPANS = st.lists(
    st.builds(
        lambda start, length, label: Segment(start, start + length, label),
        st.integers(0, 30).map(float),
        st.integers(0, 12).map(float),
        st.sampled_from("abc"),
    ),
    max_size=6,
)


@given(TIMES, TIMES, st.integers(0, 6).map(float))
def test_no_other_matching_of_starts_has_more_pairs(
    found: list[float], wanted: list[float], within: float
) -> None:
    small, large = sorted((found, wanted), key=len)
    assert matched_times(found, wanted, within) == max(
        sum(abs(one - other) <= within for one, other in zip(small, chosen, strict=False))
        for chosen in permutations(large, len(small))
    )


def is_half(one: Segment, other: Segment) -> bool:
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = max(one.end, other.end) - min(one.start, other.start)
    return 2 * shared >= union


def apart(spans: list[Segment]) -> list[Segment]:
    """Return those spans that begin when the one before has ended."""
    kept: list[Segment] = []
    for span in sorted(spans):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def most_pairs(found: list[Segment], wanted: list[Segment]) -> int:
    small, large = sorted((found, wanted), key=len)
    return max(
        sum(is_half(one, other) for one, other in zip(small, chosen, strict=False))
        for chosen in permutations(large, len(small))
    )


@given(SPANS, SPANS)
def test_where_the_spans_of_one_side_lie_apart_no_other_matching_has_more_pairs(
    some: list[Segment], others: list[Segment]
) -> None:
    assert matched_spans(apart(some), others) == most_pairs(apart(some), others)
    assert matched_spans(some, apart(others)) == most_pairs(some, apart(others))


@given(SPANS, SPANS)
def test_spans_are_matched_one_to_one_until_nothing_fits(found: list[Segment], wanted: list[Segment]) -> None:
    most = most_pairs(found, wanted)
    assert most / 2 <= matched_spans(found, wanted) <= most
    assert matched_spans(found, found) == len(found)


def test_a_long_chain_of_spans_is_matched_whole() -> None:
    spans = [Segment(place, place + 2.0, "") for place in range(3_000)]
    assert matched_spans(spans, [*spans[1:], spans[0]]) == 3_000


def owner(spans: list[Segment], moment: float) -> str | None:
    """Return the label of the narrowest span around a moment, of equally narrow ones the later."""
    around = [place for place, each in enumerate(spans) if each.start <= moment < each.end]
    best = min(around, key=lambda place: (spans[place].end - spans[place].start, -place), default=None)
    return None if best is None else spans[best].label


@given(SPANS, SPANS.filter(len))
def test_every_second_is_counted_where_its_owners_are(found: list[Segment], wanted: list[Segment]) -> None:
    slow: dict[tuple[str | None, str | None], float] = {}
    for second in range(int(min(each.start for each in wanted)), int(max(each.end for each in wanted))):
        key = owner(wanted, second + 0.5), owner(found, second + 0.5)
        if key != (None, None):
            slow[key] = slow.get(key, 0) + 1
    assert {key: seconds for key, seconds in label_seconds(found, wanted).items() if seconds} == slow


def test_the_figures_by_hand() -> None:
    wanted = [Segment(0, 3600, "work"), Segment(7200, 10800, "eat"), Segment(14400, 21600, "sleep")]
    found = [
        Segment(60, 3600, "work"),  # a hit: one minute off
        Segment(7200, 10800, "sleep"),  # a start, but another label
        Segment(18000, 21600, "sleep"),  # half of its label, no start
    ]
    sums = compare_spans(found, wanted)
    assert {name: figure(sums) for name, figure in SPAN_FIGURES.items()} == {
        "start_f1_0": pytest.approx(2 / 6),
        "start_f1_1": pytest.approx(4 / 6),
        "start_f1_5": pytest.approx(4 / 6),
        "labelled_start_f1": pytest.approx(2 / 6),
        "overlap_f1": 1.0,
        "minutes_f1": pytest.approx(2 * 179 / (179 + 240)),
        "minutes_right": pytest.approx((59 + 60) / 240),
    }


def test_a_row_belongs_to_the_narrowest_span_and_at_its_end_to_whoever_else_has_it() -> None:
    spans = [
        Segment(0, 100, "stay"),
        Segment(40, 50, "walk"),
        Segment(100, 120, "eat"),
        Segment(130, 130, "look"),
    ]
    assert owners_of(spans, [0, 40, 50, 60, 100, 120, 125, 130]) == [0, 1, 0, 0, 2, 2, None, 3]
