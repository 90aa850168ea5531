"""Segments of a log: neighboring behaviors of one theme, joined until the level of detail is reached.

A segment covers whole minutes, since a reply names times by the minute: behaviors that share a minute share
a segment. Segments follow each other without overlap, so each behavior is in exactly one.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from eventabs.choices import Detail
from eventabs.providers.rules.rules_file import DetailLimits, EventKind, Rules
from eventabs.records import Behavior

_ALONE_COST = 1_000.0  # of joining what should stand alone: only `brief` does it
_WITHIN_THEME = 0.25  # the share of the weight that is lost where only the kind differs
_DOUBLING_SECONDS = 7_200  # they weigh as much as the behavior itself
_MAX_SECONDS = 28_800  # more do not add weight
_VISIT = timedelta(hours=4)  # a longer stay is the frame of other events rather than one with them
_DAY_COST = 2.0  # of joining over a change of days, in the unit of weights


@dataclass(slots=True, eq=False)
class Segment:
    """Neighboring behaviors that become one event. Times are wall time; `first` and `last` whole minutes."""

    first: datetime
    last: datetime  # the last minute in which a behavior starts
    end: datetime  # when the longest of the behaviors ends
    behaviors: list[tuple[Behavior, EventKind]]
    weights: dict[EventKind, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def kind(self) -> EventKind:
        """The heaviest kind."""
        return max(self.weights, key=self.rank)

    def rank(self, kind: EventKind) -> tuple[bool, float]:
        """Order kinds by weight, after those that stand alone."""
        return kind.alone, self.weights[kind]

    @property
    def weight(self) -> float:
        """The importance of the segment in its day."""
        return sum(self.weights.values())

    def absorb(self, later: "Segment") -> None:
        """Add the segment that follows."""
        self.last = later.last
        self.end = max(self.end, later.end)
        self.behaviors += later.behaviors
        for kind, weight in later.weights.items():
            self.weights[kind] += weight


def find_segments(behaviors: Iterable[Behavior], rules: Rules, detail: Detail) -> list[Segment]:
    """Divide a log into the segments that become its events, in time order."""
    limits = rules.limits
    sessions = _sessions(_minutes(behaviors, rules), timedelta(minutes=limits.session_minutes))
    if detail == "fine":
        return sessions
    condensed = _condense_days(sessions, limits)
    if detail == "brief":
        return _condense(condensed, limits.most_brief, may_join=lambda _one, _other: True)
    return condensed


def _condense_days(sessions: list[Segment], limits: DetailLimits) -> list[Segment]:
    days = [list(day) for _day, day in groupby(sessions, key=lambda segment: segment.first.date())]
    condensed: list[Segment] = []
    for day in days:
        alone = sum(segment.kind.alone for segment in day)
        condensed += _condense(day, limits.per_day + alone, may_join=_neither_stands_alone)
    if limits.most is None or len(condensed) <= limits.most:
        return condensed
    return _condense(condensed, max(limits.most, len(days)), may_join=_neither_stands_alone)


def _neither_stands_alone(one: Segment, other: Segment) -> bool:
    return not (one.kind.alone or other.kind.alone)


def _minutes(behaviors: Iterable[Behavior], rules: Rules) -> list[Segment]:
    """Group behaviors by wall-clock minute, in order: a clock set back repeats its minutes."""
    by_minute: dict[datetime, Segment] = {}
    for behavior in behaviors:
        start = behavior.start.replace(tzinfo=None)
        minute = start.replace(second=0, microsecond=0)
        kind = rules.classify(behavior.action, behavior.item, behavior.place)
        segment = by_minute.setdefault(minute, Segment(minute, minute, minute, []))
        segment.end = max(segment.end, start)
        with suppress(OverflowError):  # an absurd duration does not count
            segment.end = max(segment.end, start + timedelta(seconds=behavior.duration or 0))
        segment.behaviors.append((behavior, kind))
        segment.weights[kind] += kind.weight * (
            1 + min(behavior.duration or 0, _MAX_SECONDS) / _DOUBLING_SECONDS
        )
    return [by_minute[minute] for minute in sorted(by_minute)]


def _sessions(minutes: list[Segment], pause: timedelta) -> list[Segment]:
    sessions: list[Segment] = []
    for minute in minutes:
        earlier = sessions[-1] if sessions else None
        if (
            earlier
            and _neither_stands_alone(earlier, minute)
            and earlier.kind.theme == minute.kind.theme
            and minute.first - earlier.end <= pause
        ):
            earlier.absorb(minute)
        else:
            sessions.append(minute)
    return sessions


def _cost(earlier: Segment, later: Segment) -> float:
    """Return the cost of joining two neighbors: the lower weight, and more for a change of days.

    Within a theme it is less, on the same day nothing. What begins during a visit is a part of it.
    """
    days_between = (later.first.date() - earlier.last.date()).days
    cost = min(earlier.weight, later.weight)
    if earlier.kind.theme == later.kind.theme:
        cost *= _WITHIN_THEME if days_between and earlier.kind is not later.kind else 0
    elif later.first < earlier.end <= earlier.first + _VISIT:
        cost = 0
    if earlier.kind.alone or later.kind.alone:
        cost += _ALONE_COST
    return cost + days_between * _DAY_COST


def _condense(
    parts: list[Segment], most: int, *, may_join: Callable[[Segment, Segment], bool]
) -> list[Segment]:
    """Join the cheapest neighbors until `most` are left and no join is free any more. Modifies the parts."""
    following: list[int | None] = [*range(1, len(parts)), None]
    preceding: list[int | None] = [None, *range(len(parts) - 1)]
    version = [0] * len(parts)  # -1: absorbed
    heap: list[tuple[float, float, int, int, int]] = []

    def offer(left: int | None) -> None:
        right = None if left is None else following[left]
        if left is not None and right is not None and may_join(parts[left], parts[right]):
            cost = _cost(parts[left], parts[right])
            size = parts[left].weight + parts[right].weight  # at equal cost the smallest, for even phases
            heapq.heappush(heap, (cost, size, left, version[left], version[right]))

    for position in range(len(parts)):
        offer(position)
    remaining = len(parts)
    while heap:
        cost, _size, left, *seen = heapq.heappop(heap)
        right = following[left]
        if right is None or seen != [version[left], version[right]]:
            continue
        if remaining <= most and cost > 0:
            break
        parts[left].absorb(parts[right])
        remaining -= 1
        version[left] += 1
        version[right] = -1
        following[left] = after = following[right]
        if after is not None:
            preceding[after] = left
        offer(preceding[left])
        offer(left)
    return [part for part, versions in zip(parts, version, strict=True) if versions >= 0]
