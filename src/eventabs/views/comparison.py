"""Two runs held against each other: in the terminal, as JSON, and as a page; users that differ stand side by side."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.inspection import batch_tables
from eventabs.language import gettext as _
from eventabs.quality import Comparison, Side, UserPair
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count
from eventabs.views.observers import NARROW
from eventabs.views.quality import (
    RUN_NAMES,
    answer_tables,
    cells,
    compared_counts,
    figure_names,
    figure_table,
    run_fields,
    run_rows,
    run_table,
)
from eventabs.views.report.page import render_page
from eventabs.views.run import event_text

DIFFERS: Final = "≠"
_MOST_TYPES: Final = 8  # in the terminal
_MOST_SHOWN: Final = 160  # characters of a setting, in the terminal
_MOST_ON_PAGE: Final = 800  # the same, on a page
_MOST_LINES: Final = 40  # of a user, in the terminal
_MOST_ROWS: Final = 300  # of a user, on a page
_DATE: Final = 10  # characters of an ISO date


def render_comparison(console: Console, comparison: Comparison, *, most: int) -> None:
    """Print what differs in the settings, the figures, and `most` users side by side."""
    for line in _headlines(comparison):
        print_line(console, line, style="bold")
    console.print()
    for table in (_settings(comparison), *_figures(comparison), run_table(comparison), _types(comparison)):
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
            "users": comparison.users,
            "shared_users": comparison.shared,
            "other_rows": comparison.other_rows,
            "same_input": comparison.same_input,
            "a": run_fields(comparison.first),
            "b": run_fields(comparison.second),
            "settings": [{"key": key, "a": ours, "b": theirs} for key, ours, theirs in comparison.settings],
            "figures": {name: figure._asdict() for name, figure in comparison.figures.items()},
            "journeys": {name: figure._asdict() for name, figure in comparison.journeys.items()},
            "drawn": _drawn(comparison),
            "types": [
                {"a": ours, "b": theirs, "behaviors": number} for ours, theirs, number in comparison.types
            ],
            "most_different": [_user_fields(pair) for pair in comparison.most_different],
        }
    )


def render_comparison_page(comparison: Comparison) -> str:
    """Return a page with the figures, and the users that differ most side by side."""
    return render_page(
        "comparison.html.j2",
        ["comparison.css"],
        headlines=list(_headlines(comparison)),
        settings=[
            (key, *(_cut(value, _MOST_ON_PAGE) for value in values)) for key, *values in comparison.settings
        ],
        figures=list(_agreement(comparison)),
        runs=list(run_rows(comparison)),
        answers=batch_tables(compared_counts(comparison)),
        types=comparison.types[:_MOST_TYPES],
        mark=_legend(),
        users=[(_user_line(pair), _lines(pair)[:_MOST_ROWS]) for pair in comparison.most_different],
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


def _agreement(comparison: Comparison) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield titles with their figures: name, value, interval."""
    title = _("Agreement, {users}").format(users=messages.users(comparison.users))
    for name, figures in ((title, comparison.figures), (_("Each journey as one group"), comparison.journeys)):
        if figures:
            yield name, [(words, *cells(figures[key])) for key, words in figure_names().items()]


def _figures(comparison: Comparison) -> Iterator[Table]:
    for title, rows in _agreement(comparison):
        table = figure_table(title, _("value"), _("95 % interval"))
        for row in rows:
            table.add_row(*row)
        yield table


def _types(comparison: Comparison) -> Table:
    table = figure_table(_("Type in A"))
    table.add_column(_("in B, of the same behaviors"), overflow="fold")
    table.add_column(_("behaviors"), justify="right")
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


class _Line(NamedTuple):
    """A behavior, or a stretch of equal ones, with the events of A and B that begin there. `differs`: one has no equal one."""

    day: str
    text: str
    events: tuple[str, str]
    differs: bool = False


def _print_user(console: Console, pair: UserPair) -> None:
    print_line(console, _user_line(pair), style="bold")
    lines = _lines(pair)
    side_by_side = console.width >= NARROW
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1, style="bold yellow")
    for name in (_("behaviors"), *RUN_NAMES) if side_by_side else ("",):
        table.add_column(Text(name, style="dim"), ratio=1, overflow="fold")
    table.show_header = side_by_side
    for day, of_day in groupby(lines[:_MOST_LINES], key=lambda line: line.day):
        table.add_row("", Text(one_line(day), style="bold"))
        for line in of_day:
            cells_shown = [Text(line.text), *map(Text, line.events)]
            if not side_by_side:
                told = (f"  {name} {text}" for name, text in zip(RUN_NAMES, line.events, strict=True) if text)
                cells_shown = [Text("\n".join((line.text, *told)))]
            table.add_row(DIFFERS if line.differs else "", *cells_shown)
    console.print(table)
    if (left_out := len(lines) - _MOST_LINES) > 0:
        print_line(console, _("{count} more rows; --output writes a page with them").format(count=left_out))
    console.print()


def _user_line(pair: UserPair) -> str:
    equal = len(pair.first.events) - len(pair.first.unequal)
    facts = (
        messages.behaviors(len(pair.lines)),
        _("{events} in A").format(events=messages.events(len(pair.first.events))),
        _("{events} in B").format(events=messages.events(len(pair.second.events))),
        _("{number} equal").format(number=count(equal)),
    )
    return _("{state}: {facts}").format(state=pair.user_id, facts=messages.listed(facts))


def _legend() -> str:
    message = _("{mark} an event without an equal one in the other run: the same labels and behaviors")
    return message.format(mark=DIFFERS)


def _lines(pair: UserPair) -> list[_Line]:
    """Return the lines that differ with those around them, and for each stretch between how long it is."""
    both = (*pair.first.events, *pair.second.events)
    ((usual, _uses),) = Counter(event["category"] for event in both).most_common(1)
    sides = [_told(side, usual) for side in (pair.first, pair.second)]
    lines = [
        _Line(
            day,
            one_line(text),
            (sides[0].get(place, ("", False))[0], sides[1].get(place, ("", False))[0]),
            any(side.get(place, ("", False))[1] for side in sides),
        )
        for place, (day, text) in enumerate(pair.lines)
    ]
    for number, side in enumerate((pair.first, pair.second)):
        for place, event in enumerate(side.events):
            if not event["behaviors"]:
                text = event_text(event | {"summary": ""})
                told = ("", text) if number else (text, "")
                lines.append(_Line(str(event["start"])[:_DATE], "", told, place in side.unequal))
    lines.sort(key=lambda line: line.day)
    near = {place + step for place, line in enumerate(lines) if line.differs for step in (-1, 0, 1)}
    shown: list[_Line] = []
    for is_near, places in groupby(range(len(lines)), key=near.__contains__):
        stretch = [lines[place] for place in places]
        gap = _Line(stretch[0].day, _("⋮ {count} alike").format(count=count(len(stretch))), ("", ""))
        shown += stretch if is_near or len(stretch) == 1 else [gap]
    return shown


def _told(side: Side, usual: str) -> dict[int, tuple[str, bool]]:
    """Return by behavior the events that begin with it, or that one goes on, and whether one of its events has no equal.

    The category that most events have is not named.
    """
    told: dict[int, tuple[str, bool]] = {}
    for place, event in enumerate(side.events):
        named = event_text(event | {"summary": "", "category": event["category"].replace(usual, "", 1)})
        for row in sorted(event["behaviors"]):
            text, differs = told.get(row, ("", False))
            begins = row == min(event["behaviors"])
            text = "\n".join(filter(None, (text.strip("│"), named))) if begins else text or "│"
            told[row] = text, differs or place in side.unequal
    return told


def _user_fields(pair: UserPair) -> dict[str, Any]:
    return {
        "user_id": pair.user_id,
        "figures": pair.figures,
        "behaviors": [text for _day, text in pair.lines],
        "a": {"events": pair.first.events, "unequal": sorted(pair.first.unequal)},
        "b": {"events": pair.second.events, "unequal": sorted(pair.second.unequal)},
    }
