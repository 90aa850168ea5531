"""Two segmentations of the same time: how much of it each pair of segments shares."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Segment(NamedTuple):
    """A labelled stretch of time, in seconds."""

    start: float
    end: float
    label: str


def overlaps(found: Sequence[Segment], wanted: Sequence[Segment]) -> list[dict[int | None, float]]:
    """Return for each wanted segment the seconds that each found one owns of it, by position; None: no segment.

    Where segments of one kind lie over each other, the narrowest owns the time. From this follow coverage (the largest part
    of each wanted segment), purity (the same, from the found one; both: pyannote.metrics, Bredin 2017) and the
    confusion of labels. Time outside of all wanted segments is left out: what was found there is not known to be wrong.
    """
    parts: list[defaultdict[int | None, float]] = [defaultdict(float) for _segment in wanted]
    for seconds, ours, theirs in _stretches(found, wanted):
        if theirs is not None:
            parts[theirs][ours] += seconds
    return [dict(each) for each in parts]


def _stretches(
    found: Sequence[Segment], wanted: Sequence[Segment]
) -> list[tuple[float, int | None, int | None]]:
    """Return stretches between neighboring edges: seconds, and the segment of either kind that owns it, or None."""
    edges = sorted({edge for segment in (*found, *wanted) for edge in segment[:2]})
    ours, theirs = _owners(found, edges), _owners(wanted, edges)
    return [
        (after - before, one, other)
        for (before, after), one, other in zip(pairwise(edges), ours, theirs, strict=True)
        if not (one is None and other is None)
    ]


def _owners(segments: Sequence[Segment], edges: Sequence[float]) -> list[int | None]:
    """Return for each stretch between edges the segment that owns it: the narrowest of those that cover it."""
    place = {edge: position for position, edge in enumerate(edges)}
    owners: list[int | None] = [None] * max(0, len(edges) - 1)
    widest_first = sorted(
        range(len(segments)), key=lambda position: segments[position].start - segments[position].end
    )
    for position in widest_first:
        segment = segments[position]
        first, last = place[segment.start], place[segment.end]
        owners[first:last] = [position] * (last - first)
    return owners
