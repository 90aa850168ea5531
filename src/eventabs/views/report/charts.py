"""The operator's figures and charts of the report as its template draws them: words, tables and percent of a frame."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from eventabs.inspection import CallFacts, ReportFacts, TokenUse
from eventabs.language import gettext as _
from eventabs.providers import kind_of
from eventabs.store import Retry
from eventabs.views import messages, usage
from eventabs.views.messages import average, count, duration, money, share
from eventabs.views.quality.answers import event_figures
from eventabs.views.report.counts import EventCounts

TIME_BINS = 120
_TABLE_ROWS = 24  # of the calls over time
_MOST_BINS = 24
_STEPS = (1, 2, 5)
_SHORTEST_PAUSE = 5.0  # seconds with no call in flight that are cut out of the time axis
_PAUSE_SHARE = 0.03  # or so much of the time with calls, if that is longer


def sections(facts: ReportFacts, counts: EventCounts) -> dict[str, Any]:
    """Return everything that the template needs, by name."""
    line = timeline(facts.calls, facts.retries)
    return {
        "state": messages.status(facts.status),  # type: ignore[arg-type]
        "tiles": _tiles(facts, counts),
        "line": None if line is None else _drawn_timeline(line),
        "retries": [(messages.cause(code), *row) for code, *row in _retried(facts.retries)],
        "distributions": list(_distributions(facts)),
        "slices": _slices(facts),
    }


def _tiles(facts: ReportFacts, counts: EventCounts) -> list[tuple[str, str, str]]:
    """Return label, value and note of each headline figure."""
    totals = facts.counts
    ended = totals.done + totals.failed
    per_user = average(totals.events / totals.done) if totals.done else "-"
    done = _("of {users}; {failed} failed, {pending} still to do").format(
        users=count(totals.users), failed=count(totals.failed), pending=count(totals.users - ended)
    )
    a_user = _("{average} a user").format(average=per_user)
    covered = _("{share} stand in an event").format(share=share(counts.covered, counts.behaviors))
    tiles = [
        (_("Users done"), count(totals.done), done),
        (_("Success"), share(totals.done, ended), _("of the users that were worked on")),
        (_("Events"), count(totals.events), messages.listed([a_user, *event_figures(totals)])),
        (_("Behaviors"), count(totals.behaviors), covered),
        (_("Calls"), count(totals.calls), messages.retries(totals.retries)),
        (
            _("Time"),
            duration(facts.seconds) if facts.seconds else "-",
            _("at work; pauses between stop and resume do not count"),
        ),
    ]
    if not kind_of(facts.endpoint.provider).is_remote:
        return [*tiles, (_("Tokens"), "0", _("built-in rules: no model was called"))]
    tokens = _("{prompt} in, {completion} out").format(
        prompt=count(totals.prompt_tokens), completion=count(totals.completion_tokens)
    )
    if totals.cached_tokens:
        tokens = _("{tokens}, {cached} cached").format(tokens=tokens, cached=count(totals.cached_tokens))
    cost = (_("Cost"), "-", _("no prices are set"))
    if facts.cost is not None:
        each = money(facts.cost / totals.done, facts.endpoint.currency) if totals.done else "-"
        by_tier = facts.endpoint.price.by_tier(totals)
        shown = [
            _("{cost} a user").format(cost=each),
            *usage.tiers(totals, by_tier, facts.endpoint.currency),
        ]
        cost = (_("Cost"), money(facts.cost, facts.endpoint.currency), messages.listed(shown))
    return [*tiles, (_("Tokens"), _short(totals.prompt_tokens + totals.completion_tokens), tokens), cost]


def _short(number: int) -> str:
    """Return 2774382 as 2.77 M."""
    for size, unit, sign in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if number >= size:
            return f"{number / unit:.3g} {sign}"
    return count(number)


class TimeBin(NamedTuple):
    """A slice of the run's time: calls at work and waiting in it on average, bad replies, repeated calls."""

    start: float  # seconds since the first call, pauses left out
    working: float
    waiting: float
    bad: int
    retries: int


class Timeline(NamedTuple):
    """The run from its first call to its last. `pauses`: where time with no call in flight was cut out.

    `cooldowns`: from when to when no call was sent, because the endpoint asked for fewer requests.
    """

    bins: tuple[TimeBin, ...]
    seconds: float
    pauses: tuple[float, ...]
    cooldowns: tuple[tuple[float, float], ...]


_Span = tuple[float, float, float]  # of a call: its start, the start of its last try, its end


def timeline(calls: Sequence[CallFacts], retries: Sequence[Retry]) -> Timeline | None:
    """Spread the calls and the repeated ones over time; None without calls."""
    spans = [_span(call) for call in calls]
    if not spans:
        return None
    axis = _Axis(spans)
    width = (axis.seconds / TIME_BINS) or 1.0
    working, waiting = [0.0] * TIME_BINS, [0.0] * TIME_BINS
    bad, again = [0] * TIME_BINS, [0] * TIME_BINS
    for call, span in zip(calls, spans, strict=True):
        start, turn, end = map(axis.place, span)
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
        busy = _merged((start, end) for start, _turn, end in spans)
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


def _merged(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _span(call: CallFacts) -> _Span:
    """Place a call in time: an answered one works for its last try and waits before, any other only waits."""
    end = max(call.sent_at, call.ended_at or call.sent_at)
    turn = end if call.seconds is None else max(call.sent_at, end - call.seconds)
    return call.sent_at, turn, end


def _spread(bins: list[float], start: float, end: float, width: float) -> None:
    for place in range(int(start / width), min(len(bins), int(end / width) + 1)):
        bins[place] += max(0.0, min(end, (place + 1) * width) - max(start, place * width)) / width


def _drawn_timeline(line: Timeline) -> dict[str, Any]:
    """Scale the calls over time to their frame, and thin them out for the table."""
    top = max(1.0, *(bin_.working + bin_.waiting for bin_ in line.bins))
    bad = max(1, *(bin_.bad for bin_ in line.bins))
    width, scale = 100 / len(line.bins), 100 / (line.seconds or 1.0)
    step = max(1, len(line.bins) // _TABLE_ROWS)
    return {
        "width": width,
        "columns": [
            (
                n * width,
                100 * bin_.working / top,
                100 * bin_.waiting / top,
                100 * bin_.bad / bad,
                _title(bin_),
            )
            for n, bin_ in enumerate(line.bins)
        ],
        "pauses": [scale * pause for pause in line.pauses if line.seconds],
        "cooldowns": [(scale * start, scale * (end - start)) for start, end in line.cooldowns],
        "ticks": ["0", *(duration(line.seconds * place / 4) for place in range(1, 5))],
        "top": f"{top:.1f}".removesuffix(".0"),
        "rows": [_time_row(line.bins[at : at + step]) for at in range(0, len(line.bins), step)],
    }


def _title(bin_: TimeBin) -> str:
    title = _("{time}: {working} at work, {waiting} waiting, {bad} with a bad reply, {retries} sent again")
    return title.format(
        time=duration(bin_.start),
        working=f"{bin_.working:.1f}",
        waiting=f"{bin_.waiting:.1f}",
        bad=bin_.bad,
        retries=bin_.retries,
    )


def _time_row(bins: tuple[TimeBin, ...]) -> tuple[str, str, str, str, str]:
    return (
        duration(bins[0].start),
        f"{sum(bin_.working for bin_ in bins) / len(bins):.1f}",
        f"{sum(bin_.waiting for bin_ in bins) / len(bins):.1f}",
        count(sum(bin_.bad for bin_ in bins)),
        count(sum(bin_.retries for bin_ in bins)),
    )


def _retried(retries: Sequence[Retry]) -> Iterator[tuple[str, str, str]]:
    """Yield causes with how often they made a call wait and the longest wait, the most frequent first."""
    by_cause = Counter(retry.cause for retry in retries)
    for cause, number in messages.most_frequent(by_cause):
        longest = max(retry.wait_seconds for retry in retries if retry.cause == cause)
        yield cause, count(number), duration(longest)


class Histogram(NamedTuple):
    """A distribution: how many values are in each of some bins, which follow each other from `first * width` on."""

    first: int
    width: float
    numbers: tuple[int, ...]
    median: float
    p90: float
    largest: float


def histogram(values: Sequence[float]) -> Histogram | None:
    """Sort values into at most two dozen bins of a round width; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    whole = all(float(value).is_integer() for value in ordered)
    width = _round_up((high - low) / (_MOST_BINS - 1), least=1.0 if whole else 0.0)
    counted = Counter(math.floor(value / width) for value in ordered)
    numbers = tuple(counted[place] for place in range(min(counted), max(counted) + 1))
    return Histogram(min(counted), width, numbers, _quantile(ordered, 0.5), _quantile(ordered, 0.9), high)


def _round_up(width: float, *, least: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, ... times a power of ten."""
    if width <= least:
        return least or 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next((step * power for step in _STEPS if step * power >= width), 10 * power)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _distributions(facts: ReportFacts) -> Iterator[dict[str, object]]:
    answered = [call for call in facts.calls if call.seconds is not None]
    for title, values, whole in (
        (_("Users a call"), [float(call.users) for call in facts.calls], True),
        (_("Tokens in, a call"), [float(call.prompt_tokens) for call in answered], True),
        (_("Tokens out, a call"), [float(call.completion_tokens) for call in answered], True),
        (_("Seconds of an answer"), [call.seconds or 0.0 for call in answered], False),
    ):
        if (drawn := histogram(values)) is not None:
            yield _distribution(title, drawn, whole=whole)


def _distribution(title: str, drawn: Histogram, *, whole: bool) -> dict[str, object]:
    most, last = max(drawn.numbers), len(drawn.numbers) - 1
    width = 100 / len(drawn.numbers)

    def written(value: float) -> str:
        return count(int(value)) if whole else duration(value)

    def label(place: int) -> str:
        low, high = (drawn.first + place) * drawn.width, (drawn.first + place + 1) * drawn.width - int(whole)
        return written(low) + ("" if high == low else f"–{written(high)}")

    return {
        "title": title,
        "columns": [
            (place * width, width, 100 * number / most, label(place), count(number))
            for place, number in enumerate(drawn.numbers)
        ],
        "low": label(0),
        "high": label(last) if last else "",
        "median": written(drawn.median),
        "p90": written(drawn.p90),
        "largest": written(drawn.largest),
    }


def _slices(facts: ReportFacts) -> list[tuple[str, str, str, str, float, float]]:
    """Return the parts of the bar that shows where tokens went."""
    total = sum(sum(call.use) for call in facts.calls)
    if not total:
        return []
    labels = _("instructions"), _("behaviors"), _("reasoning"), _("answers"), _("without use")
    slices, left = [], 0.0
    for place, (kind, label) in enumerate(zip(TokenUse._fields, labels, strict=True)):
        tokens = sum(call.use[place] for call in facts.calls)
        width = 100 * tokens / total
        slices.append((kind, label, count(round(tokens)), share(tokens, total), left, width))
        left += width
    return slices
