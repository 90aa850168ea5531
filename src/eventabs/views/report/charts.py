"""Charts and pictures of the report as its templates draw them: words, tables, and geometry in percent of a frame.

A frame stretches, so that a picture fits a phone and a sheet of paper without a script.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from eventabs.inspection import CallFacts, ReportFacts, TokenUse
from eventabs.language import gettext as _
from eventabs.providers import kind_of
from eventabs.store import Retry
from eventabs.views import messages
from eventabs.views.messages import average, count, duration, money, share
from eventabs.views.report.records import STEPS, EventCounts, Step, shown, weekdays

TIME_BINS = 120
_TABLE_ROWS = 24  # of the calls over time
_MOST_BINS = 24
_STEPS = (1, 2, 5)
_SHORTEST_PAUSE = 5.0  # seconds with no call in flight that are cut out of the time axis
_PAUSE_SHARE = 0.03  # or so much of the time with calls, if that is longer


def sections(facts: ReportFacts) -> dict[str, Any]:
    """Return everything that the template needs, by name."""
    line = timeline(facts.calls, facts.retries)
    waits: dict[str, list[float]] = defaultdict(list)  # by cause
    for retry in facts.retries:
        waits[retry.cause].append(retry.wait_seconds)
    return {
        "state": messages.status_name(facts.status),  # type: ignore[arg-type]
        "tiles": _tiles(facts),
        "line": None if line is None else _drawn_timeline(line),
        "retries": [
            (messages.cause(code), count(number), duration(max(waits[code])))
            for code, number in messages.most_frequent({code: len(found) for code, found in waits.items()})
        ],
        "distributions": list(_distributions(facts)),
        "slices": _slices(facts),
    }


def _tiles(facts: ReportFacts) -> list[tuple[str, str, str]]:
    """Return label, value and note of each headline figure."""
    totals = facts.counts
    ended = totals.done + totals.failed
    per_user = average(totals.events / totals.done) if totals.done else "-"
    done = _("of {users}; {failed} failed, {pending} still to do").format(
        users=count(totals.users), failed=count(totals.failed), pending=count(totals.users - ended)
    )
    a_user = _("{average} a user").format(average=per_user)
    tiles = [
        (_("Users done"), count(totals.done), done),
        (_("Success"), share(totals.done, ended), _("of the users that were worked on")),
        (_("Events"), count(totals.events), messages.listed([a_user, *messages.event_facts(totals)])),
        (_("Behaviors"), count(totals.behaviors), messages.rows(totals)),
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
            *messages.tiers(totals, by_tier, facts.endpoint.currency),
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
    waits = _merged((one.at, one.at + one.wait_seconds) for one in retries if one.cause == "rate_limit")
    placed = ((axis.place(start), min(axis.place(end), axis.seconds)) for start, end in waits)
    cooldowns = tuple((start, end) for start, end in placed if start < end)
    return Timeline(bins, axis.seconds, axis.pauses, cooldowns)


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
    title = _("{time}: {working} at work, {waiting} waiting, {bad} with a bad reply, {retries} sent again")

    def row(bins: Sequence[TimeBin]) -> tuple[str, ...]:
        columns = list(zip(*bins, strict=True))
        means = (f"{sum(column) / len(bins):.1f}" for column in columns[1:3])
        return duration(bins[0].start), *means, *(count(int(sum(column))) for column in columns[3:])

    return {
        "width": width,
        "columns": [
            (
                n * width,
                100 * bin_.working / top,
                100 * bin_.waiting / top,
                100 * bin_.bad / bad,
                title.format(
                    time=duration(bin_.start),
                    working=f"{bin_.working:.1f}",
                    waiting=f"{bin_.waiting:.1f}",
                    bad=bin_.bad,
                    retries=bin_.retries,
                ),
            )
            for n, bin_ in enumerate(line.bins)
        ],
        "pauses": [scale * pause for pause in line.pauses if line.seconds],
        "cooldowns": [(scale * start, scale * (end - start)) for start, end in line.cooldowns],
        "ticks": ["0", *(duration(line.seconds * place / 4) for place in range(1, 5))],
        "top": f"{top:.1f}".removesuffix(".0"),
        "rows": [row(line.bins[at : at + step]) for at in range(0, len(line.bins), step)],
    }


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


COLORS: Final = 10  # of the most frequent types; the others share one
ARROW: Final = " → "
_MOST_BARS: Final = 14
_MOST_PLACES: Final = 14
_MOST_TRANSITIONS: Final = 14
_MOST_PATHS: Final = 5
_SHARED_BY: Final = 3  # users
_LEAST_SHARE: Final = 0.1  # percent; what is less is said to be
_MOST_COLUMNS: Final = 124
_BINS: Final = (1, 7, 28, 91, 364)  # days a column
_FILLED: Final = 0.84  # of the room of a column is its bar
_WIDEST: Final = 10.0  # percent that a bar takes
_MOST_TICKS, _MOST_FULL_TICKS = 5, 3  # dates below the columns: without and with their year
_YEAR: Final = 4  # characters
# percent of a column at either end for a date below its middle, on a phone too
_LEAST_ROOM, _LEAST_FULL_ROOM = 4.0, 12.0
_TRIMMED: Final = (
    0.001  # of the events at either end, where they stretch the axis to more than twice its length
)
_SHADES: Final = 6  # of the heat map
_FLOW: Final = 300.0  # height of all ribbons
_LEAST_NODE, _GAP = 17.0, 5.0


class CountBar(NamedTuple):
    """A thing with its number; `width` is percent of the longest, `color` that of a type or "" for none."""

    label: str
    href: str
    number: str
    share: str
    users: str
    unit: str  # of users
    width: float
    color: str
    marked: bool = False


def pictures(counts: EventCounts) -> dict[str, Any]:
    """Return everything that the template of the events needs, by name."""
    order = [kind for kind, _number in messages.most_frequent(counts.types)]
    colors = {kind: f"k{place}" for place, kind in enumerate(order[:COLORS])}
    places = messages.most_frequent(counts.places)[:_MOST_PLACES]
    most, busiest = max((users for _place, users in places), default=1), max(counts.hours.values(), default=1)
    return {
        "types": _bars(counts.types, counts.type_users, "type", colors),
        "more_types": max(0, len(counts.types) - _MOST_BARS),
        "categories": _bars(counts.categories, counts.category_users, "category", {}, marked=counts.goal),
        "journeys": _bars(counts.kinds, counts.kind_users, "journey", {}),
        "places": [
            CountBar(
                shown(place), address(place=shown(place)), "", "", count(users), "", 100 * users / most, ""
            )
            for place, users in places
        ],
        "days": _days(counts.days, colors),
        "transitions": _transitions(counts, colors),
        "paths": list(_paths(counts, colors)),
        "hours": {
            "most": busiest,
            "shades": range(_SHADES + 1),
            "rows": [
                (name, [(n := counts.hours[day, hour], -(-n * _SHADES // busiest)) for hour in range(24)])
                for day, name in enumerate(weekdays())
            ],
        },
    }


def type_order(counts: EventCounts) -> list[str]:
    """Return the types that have a color of their own, in its order."""
    return [shown(kind) for kind, _number in messages.most_frequent(counts.types)[:COLORS]]


def facets(counts: EventCounts) -> Iterator[tuple[str, str, object]]:
    """Yield what users can be filtered by apart from types and categories: its kind, its name in an address, itself."""
    for place, _number in messages.most_frequent(counts.places)[:_MOST_PLACES]:
        yield "place", shown(place), place
    for pair, _number in messages.most_frequent(counts.transitions)[:_MOST_TRANSITIONS]:
        yield "transition", path_name(pair), pair
    for path, _number in _frequent_paths(counts):
        yield "path", path_name(path), path
    for kind, _number in messages.most_frequent(counts.kinds)[:_MOST_BARS]:
        yield "journey", shown(kind), kind


def address(**values: str) -> str:
    """Return the fragment of an address that sets a filter."""
    return "#" + "&".join(
        f"{name}={quote(value, safe='', errors='replace')}" for name, value in values.items()
    )


def path_name(steps: Sequence[str]) -> str:
    """Name types that follow each other."""
    return ARROW.join(map(shown, steps))


def _bars(
    numbers: Counter[str], users: Counter[str], name: str, colors: Mapping[str, str], *, marked: str = ""
) -> list[CountBar]:
    rows = messages.most_frequent(numbers)[:_MOST_BARS]
    total, most = numbers.total(), max(numbers.values(), default=1)
    return [
        CountBar(
            shown(messages.category(key) if name == "category" else key),
            address(**{name: shown(key)}),
            count(number),
            _percent(number, total),
            count(users[key]),
            messages.users(users[key]).removeprefix(count(users[key])),
            100 * number / most,
            colors.get(key, "kx") if colors else "",
            bool(marked) and key == marked,
        )
        for key, number in rows
    ]


def _percent(part: int, whole: int) -> str:
    value = 100 * part / whole
    if 0 < value < _LEAST_SHARE:
        return f"< {_LEAST_SHARE} %"
    return f"{value:.1f} %" if 0 < value < messages.TENTHS_BELOW else share(part, whole)


def _days(days: Counter[tuple[int, str]], colors: Mapping[str, str]) -> dict[str, Any] | None:
    """Stack the types of each day, or of some days at a time, in columns."""
    kept, left_out = _trimmed(days)
    if not kept:
        return None
    first, last = min(day for day, _kind in kept), max(day for day, _kind in kept)
    span = last - first + 1
    size = next((size for size in _BINS if span <= size * _MOST_COLUMNS), -(-span // _MOST_COLUMNS))
    columns = -(-span // size)
    if columns == 1:  # one column says nothing that the bars do not say
        return None
    stacks: list[Counter[str]] = [Counter() for _column in range(columns)]
    for (day, kind), number in kept.items():
        stacks[(day - first) // size][colors.get(kind, "kx")] += number
    labels = [date.fromordinal(first + size * column).isoformat() for column in range(columns)]
    top = max(stack.total() for stack in stacks)
    names = {color: shown(kind) for kind, color in colors.items()} | {"kx": _("other types")}
    used = [color for color in names if any(stack[color] for stack in stacks)]
    segments = _segments(stacks, used, top, labels, names)
    unit = {1: _("by day"), 7: _("by week")}.get(size) or _("by {count} days").format(count=size)
    return {
        "unit": messages.listed(filter(None, (unit, _common_year(labels)))),
        "top": top,
        "groups": [(color, names[color], segments[color]) for color in used],
        "legend": [
            (color, names[color], address(type=names[color]) if color != "kx" else "") for color in used
        ],
        "ticks": list(_ticks(labels)),
        "rows": [(label, count(stack.total())) for label, stack in zip(labels, stacks, strict=True)],
        "left_out": left_out,
    }


def _segments(
    stacks: Sequence[Counter[str]],
    order: Sequence[str],
    top: int,
    labels: Sequence[str],
    names: Mapping[str, str],
) -> dict[str, list[tuple[float, float, float, float, str]]]:
    """Return left, top, width, height (in percent) and title of each type's part of the columns."""
    room = 100 / len(stacks)
    width = min(room * _FILLED, _WIDEST)
    segments: dict[str, list[tuple[float, float, float, float, str]]] = {color: [] for color in order}
    for column, stack in enumerate(stacks):
        under = 0
        for color in order:
            if number := stack[color]:
                under += number
                title = f"{labels[column]} · {names[color]}: {count(number)}"
                left = room * (column + 0.5) - width / 2
                box = left, 100 - 100 * under / top, width, 100 * number / top
                segments[color].append((*box, title))
    return segments


def _common_year(labels: Sequence[str]) -> str:
    """Return the year of all dates, "" where they have several."""
    return labels[0][:_YEAR] if labels[0][:_YEAR] == labels[-1][:_YEAR] else ""


def _ticks(labels: Sequence[str]) -> Iterator[tuple[float, str, str]]:
    """Yield place, anchor and text of some dates below their columns: without the year where all have the same.

    A date is below the middle of its column; at either end, where that leaves it no room, it begins or ends there.
    """
    room, last = 100 / len(labels), len(labels) - 1
    number, least, begin = _MOST_FULL_TICKS, _LEAST_FULL_ROOM, 0
    if _common_year(labels):
        number, least, begin = _MOST_TICKS, _LEAST_ROOM, _YEAR + 1
    number = min(len(labels), number)
    for column in (round(last * place / (number - 1)) for place in range(number)):
        place, anchor = room * (column + 0.5), "middle"
        if room < least and column in (0, last):
            shift = min(room * _FILLED, _WIDEST) / 2
            place, anchor = (place - shift, "start") if column == 0 else (place + shift, "end")
        yield place, anchor, labels[column][begin:]


def _trimmed(days: Counter[tuple[int, str]]) -> tuple[dict[tuple[int, str], int], int]:
    """Leave out the few events that stretch the axis, such as those of clocks that were never set; count them."""
    by_day: Counter[int] = Counter()
    for (day, _kind), number in days.items():
        by_day[day] += number
    rest = int(by_day.total() * _TRIMMED)
    low, high = _end(sorted(by_day), by_day, rest), _end(sorted(by_day, reverse=True), by_day, rest)
    if not by_day or 2 * (high - low + 1) >= max(by_day) - min(by_day) + 1:
        return dict(days), 0
    kept = {key: number for key, number in days.items() if low <= key[0] <= high}
    return kept, by_day.total() - sum(kept.values())


def _end(ordered: Sequence[int], numbers: Mapping[int, int], rest: int) -> int:
    for day in ordered:
        rest -= numbers[day]
        if rest < 0:
            return day
    return 0


def _transitions(counts: EventCounts, colors: Mapping[str, str]) -> dict[str, Any] | None:
    """Draw what follows what as ribbons from types at the left to types at the right."""
    rows = messages.most_frequent(counts.transitions)[:_MOST_TRANSITIONS]
    if not rows:
        return None
    scale = _FLOW / sum(number for _pair, number in rows)
    left = _Side(rows, lambda pair: pair[0], scale)
    right = _Side(rows, lambda pair: pair[1], scale)
    ribbons = []
    for pair, number in rows:
        start, end, high = left.take(pair, number), right.take(pair, number), number * scale
        title = f"{path_name(pair)}: {count(number)}"
        color = colors.get(pair[0], "kx")
        ribbons.append((_ribbon(start, end, high), color, address(transition=path_name(pair)), title))
    total = counts.transitions.total()
    return {
        "height": max(left.height, right.height),
        "ribbons": ribbons,
        "left": left.labels(colors),
        "right": right.labels(colors),
        "share": share(sum(number for _pair, number in rows), total),
        "rows": [
            (path_name(pair), address(transition=path_name(pair)), count(number), _percent(number, total))
            for pair, number in rows
        ],
    }


class _Side:
    """The types at one side, the most frequent above, with room for their names."""

    def __init__(
        self,
        rows: Sequence[tuple[tuple[str, str], int]],
        side: Callable[[tuple[str, str]], str],
        scale: float,
    ) -> None:
        self._side, self._scale = side, scale
        sums: Counter[str] = Counter()
        for pair, number in rows:
            sums[side(pair)] += number
        self._tops: dict[str, tuple[float, float]] = {}
        self.height = 0.0
        for kind, number in messages.most_frequent(sums):
            high = number * scale
            self._tops[kind] = self.height + max(0.0, _LEAST_NODE - high) / 2, high
            self.height += max(high, _LEAST_NODE) + _GAP
        self._taken: Counter[str] = Counter()

    def take(self, pair: tuple[str, str], number: int) -> float:
        """Return where the ribbon of a pair begins."""
        kind = self._side(pair)
        top = self._tops[kind][0] + self._taken[kind] * self._scale
        self._taken[kind] += number
        return top

    def labels(self, colors: Mapping[str, str]) -> list[tuple[float, float, str, str, str]]:
        """Return top, height, name, color and address of each type."""
        return [
            (top, high, shown(kind), colors.get(kind, "kx"), address(type=shown(kind)))
            for kind, (top, high) in self._tops.items()
        ]


def _ribbon(start: float, end: float, high: float) -> str:
    above = f"M0 {start:.1f}C50 {start:.1f} 50 {end:.1f} 100 {end:.1f}"
    below = f"V{end + high:.1f}C50 {end + high:.1f} 50 {start + high:.1f} 0 {start + high:.1f}Z"
    return above + below


def _paths(counts: EventCounts, colors: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Draw the most frequent paths to a goal as funnels: how many users went each step, and how many of these the next."""
    for path, reached in _frequent_paths(counts):
        *steps, goal = path
        numbers = [counts.steps[tuple(steps[: place + 1])] for place in range(len(steps))] + [reached]
        # a rare run may have been forgotten: there are at least as many as went on from it
        for place in range(len(numbers) - 2, -1, -1):
            numbers[place] = max(numbers[place], numbers[place + 1])
        width, most = 100 / len(numbers), numbers[0]
        heights = [100 * number / most for number in numbers]
        yield {
            "href": address(path=path_name(path)),
            "title": path_name(path),
            "steps": [
                (
                    shown(kind),
                    colors.get(kind, "kx"),
                    address(type=shown(kind)),
                    count(number),
                    f"−{_percent(before - number, before)}" if before > number else "",
                )
                for kind, number, before in zip((*steps, goal), numbers, (most, *numbers), strict=False)
            ],
            "goal": shown(goal),
            "shapes": [
                (colors.get(kind, "kx"), _step(width, place, high), _narrowing(width, place, high, heights))
                for place, (kind, high) in enumerate(zip(path, heights, strict=True))
            ],
        }


def _frequent_paths(counts: EventCounts) -> list[tuple[Step, int]]:
    """Return the most frequent paths of the most steps that some users share; few users share long ones."""
    for steps in range(STEPS, 0, -1):
        paths = {path: users for path, users in counts.paths.items() if len(path) == steps + 1}
        if max(paths.values(), default=0) >= _SHARED_BY or steps == 1:
            return messages.most_frequent(paths)[:_MOST_PATHS]
    return []


def _step(width: float, place: int, high: float) -> str:
    left, right = width * place, width * (place + 0.3)
    return f"M{left:.2f} {50 - high / 2:.2f}H{right:.2f}V{50 + high / 2:.2f}H{left:.2f}Z"


def _narrowing(width: float, place: int, high: float, heights: Sequence[float]) -> str:
    """Join a step to the next; "" behind the last."""
    if place + 1 == len(heights):
        return ""
    left, middle, right = (f"{width * (place + part):.2f}" for part in (0.3, 0.65, 1))
    over, under = f"{50 - high / 2:.2f}", f"{50 + high / 2:.2f}"
    low = heights[place + 1]
    next_over, next_under = f"{50 - low / 2:.2f}", f"{50 + low / 2:.2f}"
    above = f"M{left} {over}C{middle} {over} {middle} {next_over} {right} {next_over}"
    return above + f"V{next_under}C{middle} {next_under} {middle} {under} {left} {under}Z"
