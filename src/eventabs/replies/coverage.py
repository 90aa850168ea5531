"""Which behaviors an event covers.

An event covers the behaviors whose start minute lies in [start, end]; one that starts at the end minute
belongs to a later event that starts there, if there is one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from eventabs.records import Behavior

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cover(NamedTuple):
    """The behaviors of an event as positions in the log, none where nothing supports it; ISO times."""

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
        self._ends = [_end(behaviors[position]) for position in self._positions]

    def ground(self, spans: Sequence[tuple[datetime, datetime]]) -> Iterator[Cover]:
        """Yield the cover of each span of local minutes, in their order."""
        starts = {start for start, _ in spans}
        return (self._cover(start, end, end in starts) for start, end in spans)

    def _cover(self, start: datetime, end: datetime, another_starts_at_end: bool) -> Cover:
        low = bisect_left(self._minutes, start)
        bisect = bisect_left if another_starts_at_end and start < end else bisect_right
        high = bisect(self._minutes, end)
        if low >= high:
            return Cover((), start.isoformat(timespec="seconds"), end.isoformat(timespec="seconds"))
        covered = tuple(sorted(self._positions[low:high]))
        first = self._behaviors[covered[0]].start
        last = _EPOCH + timedelta(seconds=max(self._ends[low:high]))
        return Cover(covered, *_local(first, last))


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
