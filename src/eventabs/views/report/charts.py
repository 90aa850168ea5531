"""The calls over time as the report's template draws them: percent of the frame, words and a table."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from eventabs.inspection import CallFacts
from eventabs.language import gettext as _
from eventabs.store import Retry
from eventabs.views.wording import count, duration

TIME_BINS = 120
_MOST_BINS = 24
_STEPS = (1, 2, 5)
_SHORTEST_PAUSE = 30.0  # seconds with no call in flight that are cut out of the time axis
_PAUSE_SHARE = 0.03  # or so much of the time with calls, if that is longer


class Bin(NamedTuple):
    """A bar: from where to where its values lie, and how many there are."""

    low: float
    high: float
    number: int


class Histogram(NamedTuple):
    """A distribution. `bins` are equally wide and follow each other."""

    bins: tuple[Bin, ...]
    median: float
    p90: float
    largest: float


class TimeBin(NamedTuple):
    """A stretch of the run: calls at work and waiting in it on average; calls that ended badly or were sent again."""

    start: float  # seconds since the first call, pauses left out
    working: float
    waiting: float
    bad: int
    retries: int


class Timeline(NamedTuple):
    """The run from its first call to its last. `pauses`: where time with no call in flight was cut out.

    `cooldowns`: from when to when nobody sent anything, because the endpoint asked for fewer requests.
    """

    bins: tuple[TimeBin, ...]
    seconds: float
    pauses: tuple[float, ...]
    cooldowns: tuple[tuple[float, float], ...]


class _Span(NamedTuple):
    start: float
    turn: float  # when its last try began
    end: float


def histogram(values: Sequence[float]) -> Histogram | None:
    """Sort values into at most two dozen bins of a round width; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    whole = all(float(value).is_integer() for value in ordered)
    width = _round_up((high - low) / (_MOST_BINS - 1), least=1.0 if whole else 0.0)
    first = math.floor(low / width)
    counts = [0] * (math.floor(high / width) - first + 1)
    for value in ordered:
        counts[math.floor(value / width) - first] += 1
    bins = tuple(
        Bin((first + place) * width, (first + place + 1) * width, count) for place, count in enumerate(counts)
    )
    return Histogram(bins, _quantile(ordered, 0.5), _quantile(ordered, 0.9), high)


def timeline(calls: Sequence[CallFacts], retries: Sequence[Retry]) -> Timeline | None:
    """Spread the calls and what was sent again over time; None without calls."""
    spans = [_span(call) for call in calls]
    if not spans:
        return None
    axis = _Axis(spans)
    width = (axis.seconds / TIME_BINS) or 1.0
    working, waiting = [0.0] * TIME_BINS, [0.0] * TIME_BINS
    bad, again = [0] * TIME_BINS, [0] * TIME_BINS
    for call, span in zip(calls, spans, strict=True):
        start, turn, end = (axis.place(moment) for moment in span)
        _spread(waiting, start, turn, width)
        _spread(working, turn, end, width)
        bad[min(TIME_BINS - 1, int(end / width))] += call.usable < call.users
    for retry in retries:
        again[min(TIME_BINS - 1, int(axis.place(retry.at) / width))] += 1
    rows = zip(working, waiting, bad, again, strict=True)
    bins = tuple(TimeBin(place * width, *row) for place, row in enumerate(rows))
    return Timeline(bins, axis.seconds, axis.pauses, _cooldowns(retries, axis))


class _Axis:
    """Time without the pauses."""

    def __init__(self, spans: Sequence[_Span]) -> None:
        busy = _merged((span.start, span.end) for span in spans)
        total = sum(end - start for start, end in busy)
        longest = max(_SHORTEST_PAUSE, total * _PAUSE_SHARE)
        self._starts, self._shifts = [busy[0][0]], [busy[0][0]]
        for (_before, end), (start, _after) in pairwise(busy):
            if start - end > longest:
                self._starts.append(start)
                self._shifts.append(self._shifts[-1] + start - end)
        self.seconds = self.place(busy[-1][1])
        self.pauses = tuple(self.place(start) for start in self._starts[1:])

    def place(self, moment: float) -> float:
        """Return seconds since the first call."""
        return max(0.0, moment - self._shifts[max(0, bisect_right(self._starts, moment) - 1)])


def _cooldowns(retries: Iterable[Retry], axis: _Axis) -> tuple[tuple[float, float], ...]:
    waits = _merged((one.at, one.at + one.wait_seconds) for one in retries if one.cause == "rate_limit")
    placed = ((axis.place(start), min(axis.place(end), axis.seconds)) for start, end in waits)
    return tuple((start, end) for start, end in placed if start < end)


def _merged(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _span(call: CallFacts) -> _Span:
    """Place a call in time: an answered one works for its last try and waits before, any other only waits."""
    end = max(call.sent_at, call.ended_at or call.sent_at)
    turn = end if call.seconds is None else max(call.sent_at, end - call.seconds)
    return _Span(call.sent_at, turn, end)


def _spread(bins: list[float], start: float, end: float, width: float) -> None:
    for place in range(int(start / width), min(len(bins), int(end / width) + 1)):
        bins[place] += max(0.0, min(end, (place + 1) * width) - max(start, place * width)) / width


def _round_up(width: float, *, least: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, ... times a power of ten."""
    if width <= least:
        return least or 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next((step * power for step in _STEPS if step * power >= width), 10 * power)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


_TABLE_ROWS = 24


def drawn_timeline(line: Timeline) -> dict[str, Any]:
    """Scale the calls over time to their frame, and thin them out for the table."""
    top = max(1.0, *(bin_.working + bin_.waiting for bin_ in line.bins))
    bad = max(1, *(bin_.bad for bin_ in line.bins))
    width = 100 / len(line.bins)
    step = max(1, len(line.bins) // _TABLE_ROWS)
    return {
        "columns": [_column(bin_, place * width, width, top, bad) for place, bin_ in enumerate(line.bins)],
        "pauses": [f"{100 * pause / line.seconds:.3f}" for pause in line.pauses if line.seconds],
        "cooldowns": [
            (f"{100 * start / line.seconds:.3f}", f"{100 * (end - start) / line.seconds:.3f}")
            for start, end in line.cooldowns
        ],
        "ticks": ["0", *(duration(line.seconds * place / 4) for place in range(1, 5))],
        "top": f"{top:.1f}".removesuffix(".0"),
        "rows": [_row(line.bins[at : at + step]) for at in range(0, len(line.bins), step)],
    }


def _column(bin_: TimeBin, left: float, width: float, top: float, bad: int) -> dict[str, str]:
    title = _("{time}: {working} at work, {waiting} waiting, {bad} with a bad reply, {retries} sent again")
    return {
        "left": f"{left:.3f}",
        "width": f"{width + 0.05:.3f}",  # no seams between neighbors
        "working": f"{100 * bin_.working / top:.2f}",
        "working_top": f"{100 - 100 * bin_.working / top:.2f}",
        "waiting": f"{100 * bin_.waiting / top:.2f}",
        "waiting_top": f"{100 - 100 * (bin_.working + bin_.waiting) / top:.2f}",
        "bad": f"{100 * bin_.bad / bad:.1f}",
        "title": title.format(
            time=duration(bin_.start),
            working=f"{bin_.working:.1f}",
            waiting=f"{bin_.waiting:.1f}",
            bad=bin_.bad,
            retries=bin_.retries,
        ),
    }


def _row(bins: tuple[TimeBin, ...]) -> tuple[str, str, str, str, str]:
    return (
        duration(bins[0].start),
        f"{sum(bin_.working for bin_ in bins) / len(bins):.1f}",
        f"{sum(bin_.waiting for bin_ in bins) / len(bins):.1f}",
        count(sum(bin_.bad for bin_ in bins)),
        count(sum(bin_.retries for bin_ in bins)),
    )
