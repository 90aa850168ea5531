"""Two lists of labelled stretches of time held against each other, where labels are intervals."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import fsum
from typing import Final, NamedTuple

from eventabs.measures.grouping import Figures, Sums, f1_of, share

_MINUTE: Final = 60
_HALF: Final = 0.5


class Segment(NamedTuple):
    """A labelled stretch of time, in seconds."""

    start: float
    end: float
    label: str


def _matched(hits: str) -> Callable[[Sums], float | None]:
    return lambda sums: f1_of(sums[hits], sums["found"], sums["wanted"])


# starts at most 0, 1 and 5 minutes apart; 1 minute, with the same label; half of what either covers is shared
SPAN_FIGURES: Final[Figures] = {
    "start_f1_0": _matched("starts_0"),
    "start_f1_1": _matched("starts_1"),
    "start_f1_5": _matched("starts_5"),
    "labelled_start_f1": _matched("labelled"),
    "overlap_f1": _matched("overlapping"),
    "minutes_f1": lambda sums: f1_of(sums["seconds"], sums["seconds_found"], sums["seconds_wanted"]),
    "minutes_right": lambda sums: share(sums["right"], sums["seconds_wanted"]),
}


def compare_spans(found: Sequence[Segment], wanted: Sequence[Segment]) -> Sums:
    """Return what the figures of one user are made of: spans found and wanted, those matched one to one, and seconds."""
    starts = [segment.start for segment in found]
    labelled = defaultdict[str, tuple[list[float], list[float]]](lambda: ([], []))
    for number, side in enumerate((found, wanted)):
        for segment in side:
            labelled[segment.label][number].append(segment.start)
    begin = [segment.start for segment in wanted]
    seconds = label_seconds(found, wanted)
    return {
        "found": len(found),
        "wanted": len(wanted),
        **{f"starts_{most}": len(matched_times(starts, begin, most * _MINUTE)) for most in (0, 1, 5)},
        "labelled": sum(len(matched_times(ours, theirs, _MINUTE)) for ours, theirs in labelled.values()),
        "overlapping": len(matched_spans(found, wanted)),
        "seconds_found": fsum(each for (_theirs, ours), each in seconds.items() if ours is not None),
        "seconds_wanted": fsum(each for (theirs, _ours), each in seconds.items() if theirs is not None),
        "seconds": fsum(each for pair, each in seconds.items() if None not in pair),
        "right": fsum(each for (theirs, ours), each in seconds.items() if theirs == ours),
    }


def matched_times(found: Sequence[float], wanted: Sequence[float], within: float) -> list[tuple[int, int]]:
    """Match times that lie at most `within` apart, as many as possible; return positions in both.

    All windows are equally wide, so taking the earliest that fits is a maximum matching. The hit rate of boundaries
    in mir_eval.segment.detection (Raffel et al. 2014) is the same.
    """
    ours = sorted(range(len(found)), key=found.__getitem__)
    theirs = sorted(range(len(wanted)), key=wanted.__getitem__)
    pairs, i, j = [], 0, 0
    while i < len(ours) and j < len(theirs):
        apart = found[ours[i]] - wanted[theirs[j]]
        if abs(apart) <= within:
            pairs.append((ours[i], theirs[j]))
        i += apart <= within
        j += apart >= -within
    return pairs


def matched_spans(found: Sequence[Segment], wanted: Sequence[Segment]) -> dict[int, int]:
    """Match spans that share at least half of what either covers (IoU), as many as possible: {found: wanted} by position.

    The segmental F1@50 of Lea et al. 2017, without the label. Such spans lie within one length of each other, so few are tried; paths are
    augmented (Kuhn 1955), which no other matching beats.
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place].start)
    starts = [wanted[place].start for place in order]
    fitting = {
        ours: [
            order[near]
            for near in range(
                bisect_left(starts, 2 * segment.start - segment.end), bisect_right(starts, segment.end)
            )
            if _union_share(segment, wanted[order[near]]) >= _HALF
        ]
        for ours, segment in enumerate(found)
    }
    return _augmented(fitting)


def _augmented(fitting: Mapping[int, Sequence[int]]) -> dict[int, int]:
    partners: dict[int, int] = {}  # of wanted ones
    matched: dict[int, int] = {}
    for first in fitting:
        end = _free_end(first, fitting, partners)
        while end:
            ours, theirs, came_from = end
            before = matched.get(ours)
            matched[ours], partners[theirs] = theirs, ours
            end = None if before is None else (came_from[before], before, came_from)
    return matched


def _free_end(
    first: int, fitting: Mapping[int, Sequence[int]], partners: Mapping[int, int]
) -> tuple[int, int, dict[int, int]] | None:
    """Return the last step of a path to a wanted one without a partner, and from which found one each was reached."""
    waiting, came_from = [first], dict[int, int]()
    for ours in waiting:
        for theirs in fitting[ours]:
            if theirs not in came_from:
                came_from[theirs] = ours
                if theirs not in partners:
                    return ours, theirs, came_from
                waiting.append(partners[theirs])
    return None


def _union_share(one: Segment, other: Segment) -> float:
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = max(one.end, other.end) - min(one.start, other.start)
    return shared / union if union else 1.0  # both are the same moment


def label_seconds(
    found: Sequence[Segment], wanted: Sequence[Segment]
) -> dict[tuple[str | None, str | None], float]:
    """Return seconds by the labels (wanted, found) of the spans that own them; None: no span does.

    Where spans of one kind lie over each other, the narrowest owns the time. Time before the first wanted span and after the last is
    left out.
    """
    first, last = min(each.start for each in wanted), max(each.end for each in wanted)
    edges = sorted({edge for segment in (*found, *wanted) for edge in segment[:2]} | {first, last})
    edges = [edge for edge in edges if first <= edge <= last]
    seconds: defaultdict[tuple[str | None, str | None], float] = defaultdict(float)
    for (before, after), ours, theirs in zip(
        pairwise(edges), _owners(found, edges), _owners(wanted, edges), strict=True
    ):
        if (theirs, ours) != (None, None):
            seconds[theirs, ours] += after - before
    return dict(seconds)


def _owners(segments: Sequence[Segment], edges: Sequence[float]) -> list[str | None]:
    """Return for each stretch between edges the label that owns it: of the narrowest span that covers it."""
    owners: list[str | None] = [None] * max(0, len(edges) - 1)
    for segment in sorted(segments, key=lambda each: each.start - each.end):
        first = bisect_left(edges, segment.start)
        last = min(bisect_left(edges, segment.end), len(owners))
        owners[first:last] = [segment.label] * (last - first)
    return owners


def rows_in(spans: Sequence[Segment], times: Sequence[float]) -> list[list[int]]:
    """Return for each span the positions of the sorted times that it owns: the narrowest does, and of two in turn the one that begins."""
    owners: list[int | None] = [None] * len(times)
    widest_first = sorted(range(len(spans)), key=lambda place: spans[place].start - spans[place].end)
    for find_end in (bisect_right, bisect_left):  # a row at the end is its, unless another has it
        for place in widest_first:
            first, last = bisect_left(times, spans[place].start), find_end(times, spans[place].end)
            last = max(last, bisect_right(times, spans[place].start))
            owners[first:last] = [place] * (last - first)
    rows: list[list[int]] = [[] for _span in spans]
    for row, owner in enumerate(owners):
        if owner is not None:
            rows[owner].append(row)
    return rows
