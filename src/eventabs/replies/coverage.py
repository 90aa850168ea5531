"""Which behaviors an event covers. A behavior belongs to at most one event of its user.

An event covers the behaviors whose start minute lies in [start, end]; one that starts at the end minute belongs to a
later event that starts there, if there is one. Where several events cover a behavior, the narrowest has it: a stay of three
days does not own the walks inside it. Of equally narrow ones the later has what starts from its start on, and
those with the same times share in order, each at least one while they last.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import NamedTuple

from eventabs.records import Behavior

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[datetime, datetime]


class Cover(NamedTuple):
    """The behaviors that an event owns as positions in the log; ISO times, its own where it owns none."""

    behaviors: tuple[int, ...]
    start: str
    end: str


class LogIndex:
    """One user's behaviors by the minute of their local start."""

    def __init__(self, behaviors: Sequence[Behavior]) -> None:
        # Local minutes need not follow the log's order: an hour comes twice when summer time ends.
        by_minute = sorted(
            (behavior.start.replace(second=0, microsecond=0, tzinfo=None), position)
            for position, behavior in enumerate(behaviors)
        )
        self._behaviors = behaviors
        self._minutes = [minute for minute, _ in by_minute]
        self._positions = [position for _, position in by_minute]

    def reach(self, spans: Sequence[Span]) -> list[range]:
        """Return the behaviors that start within each span of local minutes, in the order of these minutes."""
        starts = {start for start, _ in spans}
        return [self._reach(start, end, end in starts) for start, end in spans]

    def ground(self, spans: Sequence[Span], reaches: Sequence[range]) -> list[Cover]:
        """Return the cover of each span, given what each reaches."""
        sharing: dict[Span, list[int]] = {}
        for number, span in enumerate(spans):
            sharing.setdefault(span, []).append(number)
        owners: list[Span | None] = [None] * len(self._minutes)
        for span in sorted(sharing, key=lambda each: (each[0] - each[1], each[0])):  # the widest first
            reached = reaches[sharing[span][0]]
            owners[reached.start : reached.stop] = [span] * len(reached)
        owned: dict[Span, list[int]] = {}
        for position, owner in zip(self._positions, owners, strict=True):
            if owner is not None:
                owned.setdefault(owner, []).append(position)
        covers: dict[int, Cover] = {}
        for span, numbers in sharing.items():
            shares = _shared(sorted(owned.get(span, ())), len(numbers))
            for number, share in zip(numbers, shares, strict=True):
                covers[number] = self._cover(span, share)
        return [covers[number] for number in range(len(spans))]

    def _reach(self, start: datetime, end: datetime, another_starts_at_end: bool) -> range:
        low = bisect_left(self._minutes, start)
        bisect = bisect_left if another_starts_at_end and start < end else bisect_right
        return range(low, max(low, bisect(self._minutes, end)))

    def _cover(self, span: Span, owned: Sequence[int]) -> Cover:
        if not owned:
            start, end = span
            return Cover((), start.isoformat(timespec="seconds"), end.isoformat(timespec="seconds"))
        return Cover(tuple(owned), *covered_times([self._behaviors[position] for position in owned]))


def covered_times(behaviors: Sequence[Behavior]) -> tuple[str, str]:
    """Return when the first of some behaviors, in the order of their log, starts, and when the last one ends; in ISO 8601."""
    last = _EPOCH + timedelta(seconds=max(map(_end, behaviors)))
    return _local(behaviors[0].start, last)


def _shared(positions: Sequence[int], events: int) -> list[Sequence[int]]:
    """Deal positions out in order, to each event one at least while they last."""
    count = max(len(positions), events)
    edges = [min(len(positions), number * count // events) for number in range(events + 1)]
    return [positions[first:last] for first, last in pairwise(edges)]


def _end(behavior: Behavior) -> float:
    start = behavior.start if behavior.start.tzinfo else behavior.start.replace(tzinfo=UTC)
    return (start - _EPOCH).total_seconds() + (behavior.duration or 0)


def _local(first: datetime, last: datetime) -> tuple[str, str]:
    offset = first.utcoffset()
    if offset is None:
        last = last.replace(tzinfo=None)
    else:  # one offset for both ends, so that their difference is the time that really passed
        first, last = (moment.astimezone(timezone(offset)) for moment in (first, last))
    return first.isoformat(timespec="seconds"), last.isoformat(timespec="seconds")
