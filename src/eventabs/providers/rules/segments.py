"""Cutting a log into stretches of one theme, and joining them until the level of detail is reached.

A stretch covers whole minutes, since a reply names times by the minute: behaviors that share a minute are
never told apart. Stretches follow each other without overlap, so each behavior is in exactly one.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from eventabs.providers.rules.book import DetailLimits, Kind, Rules
from eventabs.records import Behavior, Detail

ALONE = 1_000.0  # added to the cost of joining what should stand alone: only `brief` ever pays it
WITHIN_THEME = 0.25  # the share of the weight that is lost where only the type differs
DOUBLING = 7_200  # seconds that count as much as the behavior itself
LONG = 28_800  # seconds; more of them do not mark a day any further
A_VISIT = timedelta(hours=4)  # a longer stay is the frame of other events rather than one with them
DAY_BETWEEN = 2.0  # what joining over a change of days costs, in the unit of weights


@dataclass(slots=True, eq=False)
class Segment:
    """Neighboring behaviors that become one event. Times are wall time; `first` and `last` whole minutes."""

    first: datetime
    last: datetime  # the last minute in which a behavior starts
    end: datetime  # when the longest of the behaviors ends
    behaviors: list[tuple[Behavior, Kind]]
    weights: dict[Kind, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def kind(self) -> Kind:
        """What the stretch mostly is."""
        return max(self.weights, key=self.importance)

    def importance(self, kind: Kind) -> tuple[bool, float]:
        """Order the kinds of a stretch: what stands alone goes before everything else."""
        return kind.alone, self.weights[kind]

    @property
    def weight(self) -> float:
        """How much the stretch marks its day."""
        return sum(self.weights.values())

    def absorb(self, later: "Segment") -> None:
        """Take in the stretch that follows."""
        self.last = later.last
        self.end = max(self.end, later.end)
        self.behaviors += later.behaviors
        for kind, weight in later.weights.items():
            self.weights[kind] += weight


def segments(behaviors: Iterable[Behavior], rules: Rules, detail: Detail) -> list[Segment]:
    """Cut a log into the stretches that become its events, in time order."""
    limits = rules.limits
    sessions = _sessions(_minutes(behaviors, rules), timedelta(minutes=limits.session_minutes))
    if detail == "fine":
        return sessions
    days = _by_day(sessions, limits)
    if detail == "brief":
        return _condense(days, limits.most_brief, may_join=lambda _one, _other: True)
    return days


def _by_day(sessions: list[Segment], limits: DetailLimits) -> list[Segment]:
    days = [list(day) for _day, day in groupby(sessions, key=lambda stretch: stretch.first.date())]
    condensed: list[Segment] = []
    for day in days:
        alone = sum(stretch.kind.alone for stretch in day)
        condensed += _condense(day, limits.per_day + alone, may_join=_neither_stands_alone)
    if len(condensed) <= limits.most:
        return condensed
    return _condense(condensed, max(limits.most, len(days)), may_join=_neither_stands_alone)


def _neither_stands_alone(one: Segment, other: Segment) -> bool:
    return not (one.kind.alone or other.kind.alone)


def _minutes(behaviors: Iterable[Behavior], rules: Rules) -> list[Segment]:
    """Gather the behaviors of each wall-clock minute, ordered by it: a clock set back repeats its minutes."""
    by_minute: dict[datetime, Segment] = {}
    for behavior in behaviors:
        start = behavior.start.replace(tzinfo=None)
        minute = start.replace(second=0, microsecond=0)
        kind = rules.kind_of(behavior)
        stretch = by_minute.setdefault(minute, Segment(minute, minute, minute, []))
        stretch.end = max(stretch.end, _end(start, behavior.duration))
        stretch.behaviors.append((behavior, kind))
        stretch.weights[kind] += kind.weight * (1 + min(behavior.duration or 0, LONG) / DOUBLING)
    return [by_minute[minute] for minute in sorted(by_minute)]


def _end(start: datetime, duration: int | None) -> datetime:
    try:
        return start + timedelta(seconds=duration or 0)
    except OverflowError:  # an absurd duration; the event ends where the behaviors do
        return start


def _sessions(minutes: list[Segment], pause: timedelta) -> list[Segment]:
    sessions: list[Segment] = []
    for minute in minutes:
        if sessions and _same_session(sessions[-1], minute, pause):
            sessions[-1].absorb(minute)
        else:
            sessions.append(minute)
    return sessions


def _same_session(earlier: Segment, later: Segment, pause: timedelta) -> bool:
    return (
        _neither_stands_alone(earlier, later)
        and earlier.kind.theme == later.kind.theme
        and later.first - earlier.end <= pause
    )


def _cost(earlier: Segment, later: Segment) -> float:
    """Return what is lost by joining two neighbors: the lesser one's weight, and something for a change of days.

    Within a theme less is lost, on the same day nothing. What begins during a visit is a part of it.
    """
    days_between = (later.first.date() - earlier.last.date()).days
    lost = min(earlier.weight, later.weight)
    if earlier.kind.theme == later.kind.theme:
        lost *= WITHIN_THEME if days_between and earlier.kind is not later.kind else 0
    elif later.first < earlier.end <= earlier.first + A_VISIT:
        lost = 0
    if earlier.kind.alone or later.kind.alone:
        lost += ALONE
    return lost + days_between * DAY_BETWEEN


def _condense(
    parts: list[Segment], most: int, *, may_join: Callable[[Segment, Segment], bool]
) -> list[Segment]:
    """Join the cheapest neighbors until `most` are left and no join is free any more. Changes the parts."""
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
    left_over = len(parts)
    while heap:
        cost, _size, left, *seen = heapq.heappop(heap)
        right = following[left]
        if right is None or seen != [version[left], version[right]]:
            continue
        if left_over <= most and cost > 0:
            break
        parts[left].absorb(parts[right])
        left_over -= 1
        version[left] += 1
        version[right] = -1
        following[left] = after = following[right]
        if after is not None:
            preceding[after] = left
        offer(preceding[left])
        offer(left)
    return [part for part, versions in zip(parts, version, strict=True) if versions >= 0]
