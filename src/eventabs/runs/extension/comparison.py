"""What a new export says of a user beside what the run knows of that user, behavior by behavior."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from eventabs.records import Behavior
from eventabs.store import instant

SECONDS_A_DAY = 86_400
GONE = -1  # the place of a behavior that is not in the log any more


@dataclass(frozen=True, slots=True)
class Window:
    """The time that an export is about, in seconds since 1970, both ends included.

    `days`: those (in days since 1970) that it holds as a whole, so that a known behavior that it lacks is gone; None: all.
    """

    first: int
    last: int
    days: frozenset[int] | None = None

    def covers(self, behavior: Behavior) -> bool:
        """Whether the export would have a behavior that lies within its time."""
        return self.days is None or day_of(behavior) in self.days


def day_of(behavior: Behavior) -> int:
    """Return the day of a behavior, counted from 1970."""
    return instant(behavior) // SECONDS_A_DAY


class Comparison(NamedTuple):
    """What an export and a log do not share.

    `new`: behaviors that the log lacks; `missing`: indices of those that the export lacks; `known`: indices of all that lie
    in the time of the export.
    """

    new: tuple[Behavior, ...]
    missing: tuple[int, ...]
    known: range


def compare(log: Sequence[Behavior], export: Sequence[Behavior], window: Window) -> Comparison:
    """Hold the behaviors of an export against a log, both in order of time.

    Equal behaviors are one as often as both have them; of those that the export has less often, the last ones are missing.
    """
    known = range(bisect_left(log, window.first, key=instant), bisect_right(log, window.last, key=instant))
    identities = list(map(_identity, log[known.start : known.stop]))
    found = list(map(_identity, export))
    if identities == found:
        return Comparison((), (), known)
    unmatched = Counter(identities)
    new = []
    for behavior, identity in zip(export, found, strict=True):
        if unmatched[identity]:
            unmatched[identity] -= 1
        else:
            new.append(behavior)
    missing = []
    for index in reversed(known):
        identity = identities[index - known.start]
        if unmatched[identity]:
            unmatched[identity] -= 1
            if window.covers(log[index]):
                missing.append(index)
    return Comparison(tuple(new), tuple(reversed(missing)), known)


def _identity(behavior: Behavior) -> Hashable:
    # the moment, what, where and how long: not the file, which every export has anew
    offset = behavior.start.utcoffset()
    return behavior[:5] if offset is None else (offset, *behavior[:5])


class Difference(NamedTuple):
    """What an export changes in a log.

    `added` come into the log, among them `late` ones, which lie before its last behavior; `too_late` do not. `removed` are
    log indices; `replaced` of these have another behavior of the same moment in their place.
    """

    added: tuple[Behavior, ...] = ()
    late: int = 0
    too_late: tuple[Behavior, ...] = ()
    removed: tuple[int, ...] = ()
    replaced: int = 0

    @property
    def changes_log(self) -> bool:
        """Whether the log becomes another one."""
        return bool(self.added or self.removed)


def difference(log: Sequence[Behavior], comparison: Comparison, lateness: int) -> Difference:
    """Sort out what an export and a log do not share.

    A new behavior is too late if it lies more than `lateness` seconds before the log's last one and replaces no other.
    """
    latest = instant(log[-1]) if log else None
    missing = Counter(instant(log[index]) for index in comparison.missing)
    added, too_late = [], []
    late = replaced = 0
    for behavior in comparison.new:
        at = instant(behavior)
        if missing[at]:
            missing[at] -= 1
            replaced += 1
        elif latest is not None and at < latest:
            if latest - at > lateness:
                too_late.append(behavior)
                continue
            late += 1
        added.append(behavior)
    return Difference(tuple(added), late, tuple(too_late), comparison.missing, replaced)


class MergedLog(NamedTuple):
    """A log with what was added to it. `places`: the index of each behavior of the old log, or GONE."""

    behaviors: tuple[Behavior, ...]
    places: Sequence[int]


def merged(log: Sequence[Behavior], found: Difference, export: Sequence[Behavior]) -> MergedLog:
    """Put behaviors into a log and take others out.

    Of one moment they stand as in the export where it has them all, else what was known stands first.
    """
    if not found.removed and (not log or not found.added or instant(log[-1]) < instant(found.added[0])):
        return MergedLog((*log, *found.added), range(len(log)))
    removed = set(found.removed)
    kept = ((behavior, index) for index, behavior in enumerate(log) if index not in removed)
    added = ((behavior, GONE) for behavior in found.added)
    moments = groupby(merge(kept, added, key=_moment), key=_moment)
    places = [GONE] * len(log)
    behaviors: list[Behavior] = []
    for moment, pairs in moments:
        for behavior, index in _ordered(list(pairs), moment, export):
            if index != GONE:
                places[index] = len(behaviors)
            behaviors.append(behavior)
    return MergedLog(tuple(behaviors), places)


def _moment(pair: tuple[Behavior, int]) -> int:
    return instant(pair[0])


def _ordered(
    pairs: list[tuple[Behavior, int]], moment: int, export: Sequence[Behavior]
) -> list[tuple[Behavior, int]]:
    """Return behaviors of one moment, with their old indices, in the order of the export if it has them all.

    What was known keeps its order among itself: another one is no news.
    """
    if len({index == GONE for _behavior, index in pairs}) == 1:
        return pairs
    left = list(pairs)
    ordered = []
    for at in range(bisect_left(export, moment, key=instant), bisect_right(export, moment, key=instant)):
        identity = _identity(export[at])
        pair = next((pair for pair in left if _identity(pair[0]) == identity), None)
        if pair is not None:
            left.remove(pair)
            ordered.append(pair)
    known = [index for _behavior, index in ordered if index != GONE]
    return pairs if left or known != sorted(known) else ordered


def is_append(places: Sequence[int]) -> bool:
    """Whether every behavior of a log has the index that it had."""
    return isinstance(places, range)


def new_places(log: MergedLog) -> Iterator[int]:
    """Yield the indices of what was added, in order."""
    if isinstance(log.places, range):
        yield from range(len(log.places), len(log.behaviors))
        return
    known = set(log.places)
    yield from (place for place in range(len(log.behaviors)) if place not in known)
