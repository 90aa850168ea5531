"""Which behaviors an event covers. A behavior belongs to at most one event of its user.

An event covers the behaviors whose start minute is in [start, end]; a behavior that starts at the end minute belongs to a
later event that starts there, if there is one. If several events cover a behavior, the narrowest owns it: a stay of three
days does not own the walks inside it. Of equally narrow events, the later owns what starts from its start on, and
events with equal times share in order, each at least one behavior while there are some.
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
    """The behaviors that an event owns, as positions in the log; ISO times, the event's own if it owns none."""

    behaviors: tuple[int, ...]
    start: str
    end: str


class LogIndex:
    """One user's behaviors by the minute of their local start."""

    def __init__(self, behaviors: Sequence[Behavior]) -> None:
        # Local minutes may differ from the log's order: an hour repeats when summer time ends.
        by_minute = sorted(
            (behavior.start.replace(second=0, microsecond=0, tzinfo=None), position)
            for position, behavior in enumerate(behaviors)
        )
        self._behaviors = behaviors
        self._minutes = [minute for minute, _ in by_minute]
        self._positions = [position for _, position in by_minute]

    def reach(self, spans: Sequence[Span]) -> list[range]:
        """Return the behaviors that start within each span of local minutes, ordered by minute."""
        starts = {start for start, _ in spans}
        return [self._reach(start, end, end in starts) for start, end in spans]

    def ground(self, spans: Sequence[Span], reaches: Sequence[range]) -> list[Cover]:
        """Return the cover of each span, from the behaviors that each reaches."""
        sharing: dict[Span, list[int]] = {}
        for number, span in enumerate(spans):
            sharing.setdefault(span, []).append(number)
        owners: list[Span | None] = [None] * len(self._minutes)
        for span in sorted(sharing, key=lambda each: (each[0] - each[1], each[0])):  # widest first
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
    """Return the start of the first and the end of the last behavior (in log order), in ISO 8601."""
    last = _EPOCH + timedelta(seconds=max(map(_end, behaviors)))
    return _local(behaviors[0].start, last)


def _shared(positions: Sequence[int], events: int) -> list[Sequence[int]]:
    """Deal positions out in order, at least one to each event while there are some."""
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
    else:  # one offset for both, so that their difference is the elapsed time
        first, last = (moment.astimezone(timezone(offset)) for moment in (first, last))
    return first.isoformat(timespec="seconds"), last.isoformat(timespec="seconds")
