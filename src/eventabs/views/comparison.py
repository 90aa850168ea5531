"""Two runs held against each other: in the terminal, as JSON, and as a page; users that differ stand side by side."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.text import Text

from eventabs.inspection import Table, batch_tables
from eventabs.interface_language import gettext as _
from eventabs.measures import GROUPS, SHAPE_FIGURES, share
from eventabs.quality import ComparedRun, Comparison, Side, UserPair
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, one_line, picked, print_line
from eventabs.views.quality import answer_fields, score_tables, shape_fields, shape_names
from eventabs.views.report_page import colors_of, render_page
from eventabs.views.sections import Section, beside, decimals, print_section
from eventabs.views.status_and_summary import event_text
from eventabs.views.words_and_figures import count, money

RUN_NAMES: Final = ("A", "B")
DIFFERS: Final = "≠"
_MOST_TYPES: Final = 8  # in the terminal
_MOST_SHOWN: Final = 160  # characters of a setting, in the terminal
_MOST_ON_PAGE: Final = 800  # the same, on a page
_MOST_LINES: Final = 40  # of a user, in the terminal
_MOST_ROWS: Final = 300  # of a user, on a page


def render_comparison(console: Console, comparison: Comparison, *, most: int) -> None:
    """Print what differs in the settings, the figures, and `most` users side by side."""
    section = _section(comparison, _MOST_SHOWN)
    print_section(console, section._replace(notes=()))
    for pair in comparison.most_different[:most]:
        _print_user(console, pair)
    notes = [_legend()] if comparison.most_different[:most] else []
    print_section(console, Section((), [*notes, *section.notes]))


def _section(comparison: Comparison, most: int) -> Section:
    """Return all but the users. `most`: characters of a setting that are shown."""
    both = tuple(zip(RUN_NAMES, (comparison.a.run, comparison.b.run), strict=True))
    headlines = [
        _("{run}: {model}, {out}").format(run=name, model=run.endpoint.title, out=run.out)
        for name, run in both
    ]
    kept = {"rows": _("rows, with event or journey and its type"), "journeys": _("journeys found whole")}
    settings = [(each["key"], _cut(each["a"], most), _cut(each["b"], most)) for each in comparison.settings]
    types = [tuple(each.values()) for each in comparison.types[:_MOST_TYPES]]
    stays = [
        (kept[key], decimals(figure.value), messages.at_least(figure.low))
        for key, figure in comparison.kept.items()
    ]
    other = _("in B, of the same behaviors")
    # the built-in rules do not see who else is in a batch
    by_model = {name: run.progress for name, run in both if run.endpoint.model}
    return Section(
        [
            Table(_("Setting"), ("", *RUN_NAMES), settings, words=RUN_NAMES),
            Table(_("Stays, of a user's"), ("", _("value"), _("exact bound, 95 %")), stays),
            *score_tables(comparison.scores),
            Table(_("Each run"), ("", *RUN_NAMES, _("change")), list(_run_rows(comparison))),
            Table(_("Type in A"), ("", other, _("behaviors")), types, words=[other]),
            *batch_tables(by_model),
        ],
        list(_notes(comparison)),
        headlines,
    )


_KEYS: Final = "users shared_users other_rows same_input a b settings figures wholes journeys kept drawn types most_different"


def comparison_json(comparison: Comparison) -> str:
    """Return the comparison as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    runs = {"a": _run_fields(comparison.a), "b": _run_fields(comparison.b)}
    scores = {"figures": comparison.scores["groups"], "wholes": {}, "journeys": {}, **comparison.scores}
    return encode(picked(_KEYS, runs, {"drawn": _drawn(comparison)}, scores, comparison))


def render_comparison_page(comparison: Comparison) -> str:
    """Return a page with the figures, and the users that differ most side by side."""
    pairs = [(pair, _lines(pair)[:_MOST_ROWS]) for pair in comparison.most_different]
    types = Counter(kind for _pair, lines in pairs for line in lines for kind in line.types if kind)
    names = [name for name, _uses in messages.most_frequent(types)]
    return render_page(
        "comparison.html.j2",
        ["pages.css"],
        ["chosen.js"],
        section=_section(comparison, _MOST_ON_PAGE),
        mark=_legend(),
        users=[(pair.user_id, _user_line(pair), lines) for pair, lines in pairs],
        types=names,
        colors=dict.fromkeys(names, "") | colors_of(names),
    )


def _cut(value: str, most: int) -> str:
    return one_line(value if len(value) <= most else f"{value[:most]} …") or "-"


def _notes(comparison: Comparison) -> Iterator[str]:
    both = comparison.a, comparison.b
    counted = [each.run.progress for each in both]
    if not comparison.same_input:
        message = _("The files of both inputs are not the same: {a} in A, {b} in B, {both} in both")
        users = (*(counts.users for counts in counted), comparison.shared_users)
        yield message.format(**dict(zip(("a", "b", "both"), map(messages.users, users), strict=True)))
    if comparison.other_rows:
        message = _("{users} with other behaviors in A than in B: matched by time and content")
        yield messages.filled(message, comparison.other_rows)
    for name, run, counts in zip(RUN_NAMES, both, counted, strict=True):
        if left_out := counts.done - comparison.users:
            yield messages.filled(_("{users} that only {run} has done are left out"), left_out, run=name)
        if counts.pending:
            message = _("{run} is not complete: {users} still to do")
            yield messages.filled(message, counts.pending, run=name)
        if run.settings > 1:
            message = _("{run} was done under {number} different settings; shown are the last ones")
            yield message.format(run=name, number=run.settings)
    if not comparison.settings:
        yield _("The settings that answers depend on are the same")
    if _drawn(comparison) is None:
        yield _("No intervals: fewer than ten users were compared")
    elif _drawn(comparison) == "groups":
        yield _("The intervals draw 500 groups of users")


def _drawn(comparison: Comparison) -> str | None:
    if all(score.low is None for score in comparison.scores["groups"].values()):
        return None
    return "groups" if comparison.users > GROUPS else "users"


# runs side by side


_NUMBERS: Final = ("rows_per_event", "events_per_user_day")
_RUN_KEYS: Final = (
    "out provider model host cost currency settings users done failed pending events journeys calls retries"
    " prompt_tokens completion_tokens"
)
_LEAST_MOVED: Final = 0.05  # percent, that are shown


def _run_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield each figure: its name, what it is in A and in B, and by what share B is above A or below."""
    both = comparison.a, comparison.b
    endpoints, paid = [each.run.endpoint for each in both], [each.run.progress.cost for each in both]
    for (name, before, written, always), (_name, after, *_same) in zip(*map(_figures, both), strict=True):
        if always or before or after:
            shown = ("-" if value is None else written(value) for value in (before, after))
            yield name, *shown, _change(before, after)
    if any(each.model for each in endpoints):
        costs = (
            "-" if cost is None else money(cost, each.currency)
            for cost, each in zip(paid, endpoints, strict=True)
        )
        is_one_currency = endpoints[0].currency == endpoints[1].currency
        yield _("cost"), *costs, _change(*paid) if is_one_currency else ""


def _change(before: float | None, after: float | None) -> str:
    """Return by how many percent a figure has moved, "" where it has not or where that says nothing."""
    if not before or after is None:
        return ""
    moved = 100 * (after / before - 1)
    return f"{moved:+,.1f} %" if abs(moved) >= _LEAST_MOVED else ""


def _figures(run: ComparedRun) -> Iterator[tuple[str, float | None, Callable[[Any], str], bool]]:
    """Yield what is counted in a run, how it is written, and whether it is shown where neither run has some."""
    counts = run.run.progress
    yield _("users done"), counts.done, count, True
    yield _("events"), counts.events, count, True
    yield _("journeys"), counts.journeys, count, True
    for key, name in shape_names().items():
        yield name, SHAPE_FIGURES[key](run.shape), "{:,.2f}".format if key in _NUMBERS else decimals, True
    yield _("minor rows"), share(counts.minor, counts.answered), decimals, True
    yield _("unplaced rows"), share(counts.unplaced, counts.answered), decimals, True
    yield _("rows under another user's header"), counts.misfiled, count, False
    yield _("rows named twice"), counts.repeated, count, False
    yield _("events with types outside the vocabulary"), counts.outside, count, False
    yield _("missed events added by rule"), counts.missed, count, False
    yield _("calls"), counts.calls, count, True
    prompt = _("prompt tokens"), _("prompt tokens a user"), _("prompt tokens an event")
    completion = _("completion tokens"), _("completion tokens a user"), _("completion tokens an event")
    for names, tokens in ((prompt, counts.prompt_tokens), (completion, counts.completion_tokens)):
        yield names[0], tokens, count, False
        yield names[1], share(tokens, counts.done), "{:,.1f}".format, False
        yield names[2], share(tokens, counts.events), "{:,.1f}".format, False


def _run_fields(run: ComparedRun) -> dict[str, Any]:
    state, counts = run.run, run.run.progress
    return {
        **picked(_RUN_KEYS, {"settings": run.settings}, state.endpoint, counts, state),
        **{
            f"{tokens}_per_{name}": share(getattr(counts, tokens), getattr(counts, of))
            for tokens in ("prompt_tokens", "completion_tokens")
            for name, of in (("user", "done"), ("event", "events"))
        },
        "event_counts": counts.event_counts,
        "answers": answer_fields(counts),
        "compared": shape_fields(run.shape),
    }


# users side by side


class _Line(NamedTuple):
    """A behavior, or a stretch of equal ones, with the events of A and B that it is in. `differs`: one has no equal one."""

    day: str
    text: str
    events: tuple[str, str]
    types: tuple[str, str] = ("", "")
    differs: bool = False


def _print_user(console: Console, pair: UserPair) -> None:
    print_line(console, _user_line(pair), style="bold")
    lines = _lines(pair)
    table = beside([_("behaviors"), *RUN_NAMES])
    for day, of_day in groupby(lines[:_MOST_LINES], key=lambda line: line.day):
        table.add_row("", Text(one_line(day), style="bold"))
        for line in of_day:
            table.add_row(DIFFERS if line.differs else "", *map(Text, (line.text, *line.events)))
    console.print(table)
    if (left_out := len(lines) - _MOST_LINES) > 0:
        print_line(console, _("{count} more rows; the page of --output has them").format(count=left_out))
    console.print()


def _user_line(pair: UserPair) -> str:
    equal = len(pair.a.events) - len(pair.a.unequal)
    facts = [messages.behaviors(len(pair.behaviors))]
    for name, side in zip(RUN_NAMES, (pair.a, pair.b), strict=True):
        facts.append(messages.filled(_("{events} in {run}"), len(side.events), run=name))
    facts.append(_("{number} equal").format(number=count(equal)))
    return _("{state}: {facts}").format(state=pair.user_id, facts=messages.listed(facts))


def _legend() -> str:
    message = _("{mark} an event without an equal one in the other run: the same labels and behaviors")
    return message.format(mark=DIFFERS)


def _lines(pair: UserPair) -> list[_Line]:
    """Return the lines that differ with those around them, and for each stretch between how long it is."""
    both = (*pair.a.events, *pair.b.events)
    ((usual, _uses),) = Counter(event["category"] for event in both).most_common(1)
    sides = [_told(side, usual) for side in (pair.a, pair.b)]
    lines = []
    for place, (day, text) in enumerate(zip(pair.days, pair.behaviors, strict=True)):
        (ours, own, is_ours), (theirs, other, is_theirs) = (
            side.get(place, ("", "", False)) for side in sides
        )
        lines.append(_Line(day, one_line(text), (ours, theirs), (own, other), is_ours or is_theirs))
    near = {place + step for place, line in enumerate(lines) if line.differs for step in (-1, 0, 1)}
    shown: list[_Line] = []
    for is_near, places in groupby(range(len(lines)), key=near.__contains__):
        stretch = [lines[place] for place in places]
        gap = _Line(stretch[0].day, _("⋮ {count} alike").format(count=count(len(stretch))), ("", ""))
        shown += stretch if is_near or len(stretch) == 1 else [gap]
    return shown


def _told(side: Side, usual: str) -> dict[int, tuple[str, str, bool]]:
    """Return by behavior the event that begins with it, or which one goes on, its type, and whether it has no equal.

    The category that most events have is not named. A journey stands behind each of its events.
    """
    told: dict[int, tuple[str, str, bool]] = {}
    journeys = {journey["id"]: f"> {journey['kind']} {journey['name']}" for journey in side.journeys}
    for place, event in enumerate(side.events):
        summary = journeys.get(event["journey"], "")
        named = event_text(event | {"summary": summary, "category": event["category"].replace(usual, "", 1)})
        first, *others = sorted(event["behaviors"])
        told[first] = named, event["type"], place in side.unequal
        told |= dict.fromkeys(others, (f"│ {one_line(event['type'])}", event["type"], place in side.unequal))
    return told
