"""One-to-one matching of event starts and of segments, and the F1 that follows from it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from eventabs.measures.timeline import Segment


class Hits(NamedTuple):
    """How many of `found` items, or seconds, match one of `wanted`, each at most one."""

    hits: float
    found: float
    wanted: float

    @property
    def precision(self) -> float | None:
        """Hits / found; None without any found."""
        return self.hits / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Hits / wanted; None without any wanted."""
        return self.hits / self.wanted if self.wanted else None

    @property
    def f1(self) -> float | None:
        """2 hits / (found + wanted), the harmonic mean of both; None without either."""
        both = self.found + self.wanted
        return 2 * self.hits / both if both else None


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


def matched_segments(
    found: Sequence[Segment], wanted: Sequence[Segment], overlap: float = 0.5
) -> list[tuple[int, int]]:
    """Match segments of equal label that share at least `overlap` of their union (IoU); return positions in both.

    The segmental F1@k of Lea et al. 2017 (Temporal Convolutional Networks for Action Segmentation and Detection).
    With an overlap above one half no segment has two partners; at one half the best one is taken first.
    """
    by_label: dict[str, list[int]] = {}
    for position, segment in enumerate(wanted):
        by_label.setdefault(segment.label, []).append(position)
    pairs = [
        (-_union_share(segment, wanted[position]), ours, position)
        for ours, segment in enumerate(found)
        for position in by_label.get(segment.label, ())
        if segment.start <= wanted[position].end and wanted[position].start <= segment.end
    ]
    return best_first(pair for pair in pairs if -pair[0] >= overlap)


def best_first(ranked: Iterable[tuple[Any, int, int]]) -> list[tuple[int, int]]:
    """Match one to one, in order of rank; each is (rank, position, position)."""
    partner_of: dict[int, int] = {}
    taken: set[int] = set()
    for _rank, ours, theirs in sorted(ranked):
        if ours not in partner_of and theirs not in taken:
            partner_of[ours] = theirs
            taken.add(theirs)
    return list(partner_of.items())


def _union_share(one: Segment, other: Segment) -> float:
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = max(one.end, other.end) - min(one.start, other.start)
    return shared / union if union else 1.0  # both are the same moment
