"""The figures of the report as its template draws them: labels, values and percent of the frame."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from eventabs.inspection import ReportFacts
from eventabs.language import gettext as _
from eventabs.providers import kind_of
from eventabs.store import Retry
from eventabs.views import wording
from eventabs.views.console import one_line
from eventabs.views.report.charts import Bin, Histogram, Timeline, drawn_timeline, histogram, timeline
from eventabs.views.report.people import People
from eventabs.views.summary import CASE
from eventabs.views.wording import average, count, duration, money, share, weekdays

_MOST_BARS = 16
_MOST_TRANSITIONS = 10
_SHADES = 6  # of the heat map


class Tile(NamedTuple):
    """A headline figure with what explains it."""

    label: str
    value: str
    note: str


class Bar(NamedTuple):
    """A row of a bar chart; `width` is in percent of the longest."""

    label: str
    value: str
    width: float
    note: str = ""
    marked: bool = False


class Column(NamedTuple):
    """A bar of a histogram, in percent of the frame."""

    left: float
    width: float
    height: float
    label: str
    value: str


class Distribution(NamedTuple):
    """A histogram with its words. `summary` says in a sentence what the picture shows."""

    title: str
    columns: tuple[Column, ...]
    low: str
    high: str
    median: str
    p90: str
    largest: str


class Slice(NamedTuple):
    """A stretch of the bar that shows where tokens went."""

    label: str
    value: str
    share: str
    left: float
    width: float
    kind: str


def sections(facts: ReportFacts, people: People) -> dict[str, Any]:
    """Return everything that the template needs, by name."""
    line = timeline(facts.calls, facts.retries)
    return {
        "state": wording.status(facts.status),  # type: ignore[arg-type]
        "tiles": _tiles(facts, people, line),
        "beside": _beside_the_case(facts, line),
        "line": None if line is None else drawn_timeline(line),
        "retries": [(wording.cause(code), *row) for code, *row in _retried(facts.retries)],
        "distributions": _distributions(facts),
        "slices": _slices(facts),
        "types": _bars(people.types, lambda name: name, _marked_types(people)),
        "more_types": max(0, len(people.types) - _MOST_BARS),
        "categories": _bars(people.categories, lambda name: name, set()),
        "transitions": _bars(
            people.transitions, lambda pair: f"{pair[0]} → {pair[1]}", set(), _MOST_TRANSITIONS
        ),
        "hours": _hours(people),
    }


def _tiles(facts: ReportFacts, people: People, line: Timeline | None) -> list[Tile]:
    totals = facts.counts
    ended = totals.done + totals.failed
    per_user = average(totals.events / totals.done) if totals.done else "-"
    tiles = [
        Tile(
            _("Users done"),
            count(totals.done),
            _("of {users}; {failed} failed, {pending} still to do").format(
                users=count(totals.users), failed=count(totals.failed), pending=count(totals.users - ended)
            ),
        ),
        Tile(_("Success"), share(totals.done, ended), _("of the users that were worked on")),
        Tile(_("Events"), count(totals.events), _("{average} a user").format(average=per_user)),
        Tile(
            _("Behaviors"),
            count(totals.behaviors),
            _("{share} stand in an event").format(share=share(people.covered, people.behaviors)),
        ),
        Tile(
            _("Calls"),
            count(totals.calls),
            _("and {retries} retries; the case took {case}").format(
                retries=count(totals.retries), case=count(CASE.calls)
            ),
        ),
        Tile(_("Time"), duration(line.seconds) if line else "-", _("with calls under way")),
    ]
    if not kind_of(facts.provider).is_remote:
        return [*tiles, Tile(_("Tokens"), "0", _("built-in rules: no model was called"))]
    tokens = _("{prompt} in, {completion} out").format(
        prompt=count(totals.prompt_tokens), completion=count(totals.completion_tokens)
    )
    cost = Tile(_("Cost"), "-", _("no prices are set"))
    if facts.cost is not None:
        each = money(facts.cost / totals.done, facts.currency) if totals.done else "-"
        cost = Tile(_("Cost"), money(facts.cost, facts.currency), _("{cost} a user").format(cost=each))
    return [*tiles, Tile(_("Tokens"), _short(totals.prompt_tokens + totals.completion_tokens), tokens), cost]


def _beside_the_case(facts: ReportFacts, line: Timeline | None) -> list[tuple[str, str, str]]:
    totals = facts.counts
    ended = totals.done + totals.failed
    first, last = CASE.hours
    return [
        (_("users"), count(CASE.users), count(totals.users)),
        (_("calls"), count(CASE.calls), count(totals.calls)),
        (
            _("users a call"),
            average(CASE.users_per_batch),
            average(ended / totals.calls) if totals.calls else "-",
        ),
        (
            _("time"),
            _("{first}-{last} h").format(first=first, last=last),
            duration(line.seconds) if line else "-",
        ),
        (_("users that end well"), f"{CASE.success_percent} %", share(totals.done, ended)),
    ]


def _retried(retries: Sequence[Retry]) -> Iterator[tuple[str, str, str]]:
    """Yield causes with how often they made a call wait and the longest wait, the most frequent first."""
    by_cause = Counter(retry.cause for retry in retries)
    for cause, number in sorted(by_cause.items(), key=lambda item: (-item[1], item[0])):
        longest = max(retry.wait_seconds for retry in retries if retry.cause == cause)
        yield cause, count(number), duration(longest)


def _distributions(facts: ReportFacts) -> list[Distribution]:
    answered = [call for call in facts.calls if call.seconds is not None]
    found = [
        (_("Users a call"), [float(call.users) for call in facts.calls], count),
        (_("Tokens in, a call"), [float(call.prompt_tokens) for call in answered], count),
        (_("Tokens out, a call"), [float(call.completion_tokens) for call in answered], count),
        (_("Seconds of an answer"), [call.seconds or 0.0 for call in answered], _seconds),
    ]
    return [
        _distribution(title, drawn, written)
        for title, values, written in found
        if (drawn := histogram(values)) is not None
    ]


def _distribution(title: str, drawn: Histogram, written: Callable[[Any], str]) -> Distribution:
    most = max(bin_.number for bin_ in drawn.bins)
    width = 100 / len(drawn.bins)
    whole = written is count

    def label(bin_: Bin) -> str:
        high = bin_.high - 1 if whole else bin_.high
        return written(_number(bin_.low, whole)) + (
            "" if high == bin_.low else f"–{written(_number(high, whole))}"
        )

    return Distribution(
        title,
        tuple(
            Column(place * width, width, 100 * bin_.number / most, label(bin_), count(bin_.number))
            for place, bin_ in enumerate(drawn.bins)
        ),
        label(drawn.bins[0]),
        label(drawn.bins[-1]) if len(drawn.bins) > 1 else "",
        *(written(_number(value, whole)) for value in (drawn.median, drawn.p90, drawn.largest)),
    )


def _slices(facts: ReportFacts) -> list[Slice]:
    sums = [sum(call.use[place] for call in facts.calls) for place in range(5)]
    total = sum(sums)
    labels = (
        ("instructions", _("instructions")),
        ("behaviors", _("behaviors")),
        ("reasoning", _("reasoning")),
        ("answers", _("answers")),
        ("wasted", _("without use")),
    )
    slices, left = [], 0.0
    for (kind, label), tokens in zip(labels, sums, strict=True):
        width = 100 * tokens / total if total else 0.0
        slices.append(Slice(label, count(round(tokens)), share(tokens, total), left, width, kind))
        left += width
    return slices if total else []


def _bars(
    numbers: Counter[Any], label: Callable[[Any], str], marked: set[Any], most_bars: int = _MOST_BARS
) -> list[Bar]:
    """Return the most frequent ones, ties in order of their names."""
    rows = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))[:most_bars]
    total, most = numbers.total(), max(numbers.values(), default=1)
    return [
        Bar(
            one_line(label(key))[:120],
            count(number),
            round(100 * number / most, 2),
            _percent(number, total),
            key in marked,
        )
        for key, number in rows
    ]


def _marked_types(people: People) -> set[str]:
    """Return types whose events are mostly of another category than the most frequent one."""
    if not people.categories:
        return set()
    usual = max(people.categories, key=lambda name: (people.categories[name], name))
    return {name for name, number in people.types.items() if 2 * people.kinds[name, usual] < number}


def _hours(people: People) -> dict[str, Any]:
    most = max(people.hours.values(), default=1)
    by_day = [[people.hours[day, hour] for hour in range(24)] for day in range(7)]
    return {
        "most": most,
        "shades": range(_SHADES + 1),
        "rows": [
            (day, [(number, -(-number * _SHADES // most)) for number in row])
            for day, row in zip(weekdays(), by_day, strict=True)
        ],
    }


def _percent(part: int, whole: int) -> str:
    value = 100 * part / whole
    return f"{value:.1f} %" if 0 < value < 10 else share(part, whole)  # noqa: PLR2004  tenths below ten


def _number(value: float, whole: bool) -> float | int:
    return int(value) if whole else value


def _seconds(value: float) -> str:
    return duration(value)


def _short(number: int) -> str:
    """Return 2774382 as 2.77 M."""
    for size, sign in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if number >= size:
            return f"{number / (1_000 if sign == 'k' else size):.3g} {sign}"
    return count(number)
