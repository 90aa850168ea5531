"""Two runs held against each other: in the terminal, as JSON, and as a page; users that differ stand side by side."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.inspection import batch_tables
from eventabs.language import gettext as _
from eventabs.measures import Segment
from eventabs.quality import Comparison, Side, UserPair, wall_seconds
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count
from eventabs.views.observers import NARROW
from eventabs.views.quality.answers import answer_tables
from eventabs.views.quality.evaluation import COLORS, DAY, bars
from eventabs.views.quality.figures import cells, figure_table
from eventabs.views.quality.run_figures import RUN_NAMES, compared_counts, run_fields, run_rows, run_table
from eventabs.views.report.page import render_page
from eventabs.views.run import event_text

DIFFERS: Final = "≠"
_MOST_TYPES: Final = 8  # in the terminal
_MOST_SHOWN: Final = 160  # characters of a setting, in the terminal
_MOST_ON_PAGE: Final = 800  # the same, on a page
_MOST_LINES: Final = 40  # of a user, in the terminal
_MOST_ROWS: Final = 300  # of a user, on a page
_MOST_DAYS: Final = 31  # of a user, on a page
_AROUND: Final = 1  # rows shown before and after those that differ
_STYLES: Final = ("", "yellow")  # of an event that is equal in both, and of one that is not
_DATE: Final = 10  # characters of an ISO date


def render_comparison(console: Console, comparison: Comparison, *, most: int) -> None:
    """Print what differs in the settings, the figures, and `most` users side by side."""
    for line in _headlines(comparison):
        print_line(console, line, style="bold")
    console.print()
    for table in (make(comparison) for make in (_settings, _agreement, run_table, _types)):
        if table.row_count:
            console.print(table, "", sep="\n")
    for table in answer_tables(compared_counts(comparison)):
        console.print(table, "", sep="\n")
    for pair in comparison.most_different[:most]:
        _print_user(console, pair)
    if comparison.most_different[:most]:
        print_line(console, _legend())
    for line in _notes(comparison):
        print_line(console, line)


def comparison_json(comparison: Comparison) -> str:
    """Return the comparison as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    return encode(
        {
            "within": comparison.within,
            "users": comparison.users,
            "shared_users": comparison.shared,
            "other_rows": comparison.other_rows,
            "same_input": comparison.same_input,
            "a": run_fields(comparison.first),
            "b": run_fields(comparison.second),
            "settings": [{"key": key, "a": ours, "b": theirs} for key, ours, theirs in comparison.settings],
            "figures": {name: figure._asdict() for name, figure in comparison.figures.items()},
            "drawn": _drawn(comparison),
            "types": [
                {"a": ours, "b": theirs, "starts": number} for ours, theirs, number in comparison.types
            ],
            "most_different": [_user_fields(pair) for pair in comparison.most_different],
        }
    )


def render_comparison_page(comparison: Comparison) -> str:
    """Return a page with the figures, and the users that differ most as lanes and side by side."""
    types = Counter(
        event["type"]
        for pair in comparison.most_different
        for side in (pair.first, pair.second)
        for event in side.events
    )
    names = [name for name, _uses in messages.most_frequent(types)[:COLORS]]
    colors = {name: position for position, name in enumerate(names)}
    return render_page(
        "comparison.html.j2",
        ["evaluation.css", "comparison.css"],
        headlines=list(_headlines(comparison)),
        settings=[
            (key, _cut(ours, _MOST_ON_PAGE), _cut(theirs, _MOST_ON_PAGE))
            for key, ours, theirs in comparison.settings
        ],
        figures=[(name, *cells(comparison.figures[key])) for key, name in _figure_names(comparison).items()],
        runs=list(run_rows(comparison)),
        answers=batch_tables(compared_counts(comparison)),
        types=comparison.types[:_MOST_TYPES],
        legend=list(colors.items()),
        mark=_legend(),
        users=[_user_on_page(pair, colors) for pair in comparison.most_different],
        notes=list(_notes(comparison)),
    )


def _headlines(comparison: Comparison) -> Iterator[str]:
    for name, run in zip(RUN_NAMES, (comparison.first, comparison.second), strict=True):
        what = f"{run.model} @ {run.host}" if run.model else run.provider
        yield _("{run}: {model}, {out}").format(run=name, model=what, out=run.out)


def _settings(comparison: Comparison) -> Table:
    table = figure_table(_("Setting"))
    for name in RUN_NAMES:
        table.add_column(name, overflow="fold")
    for key, *values in comparison.settings:
        table.add_row(Text(key), *(Text(_cut(value, _MOST_SHOWN)) for value in values))
    return table


def _cut(value: str, most: int) -> str:
    return one_line(value if len(value) <= most else f"{value[:most]} …") or "-"


def _figure_names(comparison: Comparison) -> dict[str, str]:
    return {
        "same_minute_f1": _("starts in the same minute, F1"),
        "start_f1": _("starts within {minutes} min, F1").format(minutes=f"{comparison.within:g}"),
        "starts_of_a": _("of the starts in A, those also in B"),
        "starts_of_b": _("of the starts in B, those also in A"),
        "same_behaviors": _("events with the very same behaviors"),
        "half_behaviors": _("events that share half of their behaviors"),
        "same_type": _("same type where the starts agree"),
        "same_category": _("same category where the starts agree"),
    }


def _agreement(comparison: Comparison) -> Table:
    title = _("Agreement, {users}").format(users=messages.users(comparison.users))
    table = figure_table(title, _("value"), _("95 % interval"))
    for key, name in _figure_names(comparison).items():
        table.add_row(name, *cells(comparison.figures[key]))
    return table


def _types(comparison: Comparison) -> Table:
    table = figure_table(_("Type in A"))
    table.add_column(_("in B, in the same minute"), overflow="fold")
    table.add_column(_("events"), justify="right")
    for ours, theirs, number in comparison.types[:_MOST_TYPES]:
        table.add_row(Text(one_line(ours)), Text(one_line(theirs)), count(number))
    return table


def _notes(comparison: Comparison) -> Iterator[str]:
    first, second = comparison.first, comparison.second
    if not comparison.same_input:
        message = _("The files of both inputs are not the same: {a} in A, {b} in B, {both} in both")
        users = (first.counts.users, second.counts.users, comparison.shared)
        yield message.format(**dict(zip(("a", "b", "both"), map(messages.users, users), strict=True)))
    if comparison.other_rows:
        message = _("{users} with other behaviors in A than in B: matched by time and content")
        yield message.format(users=messages.users(comparison.other_rows))
    for name, run in zip(RUN_NAMES, (first, second), strict=True):
        if left_out := run.counts.done - comparison.users:
            message = _("{users} that only {run} has done are left out")
            yield message.format(users=messages.users(left_out), run=name)
        if run.counts.pending:
            message = _("{run} is not complete: {users} still to do")
            yield message.format(users=messages.users(run.counts.pending), run=name)
        if run.settings > 1:
            message = _("{run} was done under {number} different settings; shown are the last ones")
            yield message.format(run=name, number=run.settings)
    if not comparison.settings:
        yield _("The settings that answers depend on are the same")
    if _drawn(comparison) is None:
        yield _("No intervals: fewer than ten users were compared")
    elif comparison.grouped:
        yield _("The intervals draw 500 groups of users")


def _drawn(comparison: Comparison) -> str | None:
    if all(figure.low is None for figure in comparison.figures.values()):
        return None
    return "groups" if comparison.grouped else "users"


# users side by side


class _Cell(NamedTuple):
    """An event. `differs`: the other run has no equal one."""

    text: str
    summary: str
    differs: bool


class _Row(NamedTuple):
    """A behavior ("" for an event that covers none) and the events of A and B that begin with it.

    `lasts`: whether an earlier event of A, and of B, covers it. `differs`: an event that does, or begins here, has no equal.
    """

    day: str
    text: str
    cells: tuple[tuple[_Cell, ...], tuple[_Cell, ...]]
    lasts: tuple[bool, bool]
    differs: bool


class _Gap(NamedTuple):
    """Rows in which both runs agree."""

    rows: int


def _print_user(console: Console, pair: UserPair) -> None:
    print_line(console, _user_line(pair), style="bold")
    side_by_side = console.width >= NARROW
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1, style="bold yellow")
    for _column in range(3 if side_by_side else 1):
        table.add_column(ratio=1, overflow="fold")
    if side_by_side:
        table.add_row("", *(Text(name, style="dim") for name in (_("behaviors"), *RUN_NAMES)))
    rows = list(_shown_rows(pair))
    shown = rows[:_MOST_LINES]
    for day, of_day in groupby(shown, key=lambda row: row.day if isinstance(row, _Row) else None):
        if day is not None:
            table.add_row("", Text(one_line(day), style="bold"))
        for row in of_day:
            if isinstance(row, _Gap):
                table.add_row("", Text(_gap(row), style="dim"))
            else:
                _add_row(table, row, side_by_side=side_by_side)
    console.print(table)
    if left_out := len(rows) - len(shown):
        print_line(console, _("{count} more rows; --output writes a page with them").format(count=left_out))
    console.print()


def _add_row(table: Table, row: _Row, *, side_by_side: bool) -> None:
    mark = DIFFERS if row.differs else ""
    if side_by_side:
        table.add_row(mark, Text(one_line(row.text)), *map(_events, row.cells, row.lasts))
        return
    table.add_row(mark, Text(one_line(row.text)))
    for name, begun in zip(RUN_NAMES, row.cells, strict=True):
        for cell in begun:
            table.add_row("", Text.assemble(f"  {name} ", (cell.text, _STYLES[cell.differs])))


def _events(begun: Iterable[_Cell], lasts: bool) -> Text:
    lines = [Text(cell.text, style=_STYLES[cell.differs]) for cell in begun]
    return Text("\n").join(lines) if lines else Text("│" if lasts else "", style="dim")


def _user_line(pair: UserPair) -> str:
    found = pair.agreement
    facts = (
        messages.behaviors(len(pair.lines)),
        _("{events} in A").format(events=messages.events(found.first)),
        _("{events} in B").format(events=messages.events(found.second)),
        _("{number} equal").format(number=count(found.equal)),
    )
    return _("{state}: {facts}").format(state=pair.user_id, facts=messages.listed(facts))


def _legend() -> str:
    message = _("{mark} an event without an equal one in the other run: the same labels and behaviors")
    return message.format(mark=DIFFERS)


def _gap(gap: _Gap) -> str:
    return _("⋮ {count} alike").format(count=count(gap.rows))


def _shown_rows(pair: UserPair) -> Iterator[_Row | _Gap]:
    """Yield the rows that differ with those around them, and for each stretch between how long it is."""
    rows = _rows(pair)
    near = {
        place + step for place, row in enumerate(rows) if row.differs for step in range(-_AROUND, _AROUND + 1)
    }
    for is_near, places in groupby(range(len(rows)), key=near.__contains__):
        stretch = list(places)
        if is_near or len(stretch) == 1:
            yield from (rows[place] for place in stretch)
        else:
            yield _Gap(len(stretch))


def _rows(pair: UserPair) -> list[_Row]:
    both = (*pair.first.events, *pair.second.events)
    ((usual, _uses),) = Counter(event["category"] for event in both).most_common(1)
    sides = [_Placed.of(side, usual) for side in (pair.first, pair.second)]
    rows = [
        _Row(
            day,
            text,
            (sides[0].begin.get(index, ()), sides[1].begin.get(index, ())),
            (index in sides[0].covered, index in sides[1].covered),
            any(side.covered.get(index) for side in sides),
        )
        for index, (day, text) in enumerate(pair.lines)
    ]
    for number, side in enumerate(sides):
        for day, cell in side.ungrounded:
            found = ((), (cell,)) if number else ((cell,), ())
            rows.append(_Row(day, "", found, (False, False), cell.differs))
    return sorted(rows, key=lambda row: row.day)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A side's events by the behavior that they begin with, behaviors covered (by one that differs), and the rest by day.

    The category that most events have is not named.
    """

    begin: dict[int, tuple[_Cell, ...]]
    covered: dict[int, bool]
    ungrounded: list[tuple[str, _Cell]]

    @classmethod
    def of(cls, side: Side, usual: str) -> "_Placed":
        placed = cls({}, {}, [])
        for position, event in enumerate(side.events):
            differs = position in side.unequal
            shown = event | {
                "summary": "",
                "category": "" if event["category"] == usual else event["category"],
            }
            cell = _Cell(event_text(shown), one_line(str(event["summary"])), differs)
            if not event["behaviors"]:
                placed.ungrounded.append((str(event["start"])[:_DATE], cell))
                continue
            first = min(event["behaviors"])
            placed.begin[first] = (*placed.begin.get(first, ()), cell)
            for index in event["behaviors"]:
                placed.covered[index] = placed.covered.get(index, False) or differs
        return placed


def _user_on_page(pair: UserPair, colors: Mapping[str, int]) -> dict[str, Any]:
    shown = list(_shown_rows(pair))
    days = list(_days(pair, colors))
    return {
        "title": _user_line(pair),
        "days": days[:_MOST_DAYS],
        "more_days": max(0, len(days) - _MOST_DAYS),
        "rows": [_gap(row) if isinstance(row, _Gap) else row for row in shown[:_MOST_ROWS]],
        "more_rows": max(0, len(shown) - _MOST_ROWS),
    }


def _days(pair: UserPair, colors: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the days on which an event differs, with a lane for each run; what is equal is drawn soft."""
    sides = pair.first, pair.second
    differing = [[*_segments(side, side.unequal)] for side in sides]
    equal = [[*_segments(side, frozenset(range(len(side.events))) - side.unequal)] for side in sides]
    for day in sorted({int(segment.start // DAY) for each in differing for segment in each}):
        lanes = [
            [*bars(same, day, colors, soft=True), *bars(other, day, colors)]
            for same, other in zip(equal, differing, strict=True)
        ]
        name = datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
        yield {"day": name, "lanes": list(zip(RUN_NAMES, lanes, strict=True))}


def _segments(side: Side, positions: Iterable[int]) -> Iterator[Segment]:
    for position in positions:
        event = side.events[position]
        try:
            start, end = (wall_seconds(datetime.fromisoformat(event[key])) for key in ("start", "end"))
        except ValueError:  # a model's own, ungrounded one
            continue
        yield Segment(start, max(start, end), event["type"])


# JSON


def _user_fields(pair: UserPair) -> dict[str, Any]:
    return {
        "user_id": pair.user_id,
        "agreement": pair.agreement._asdict(),
        "behaviors": [text for _day, text in pair.lines],
        "a": {"events": pair.first.events, "unequal": sorted(pair.first.unequal)},
        "b": {"events": pair.second.events, "unequal": sorted(pair.second.unequal)},
    }
