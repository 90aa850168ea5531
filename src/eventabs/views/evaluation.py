"""Events against labels: in the terminal, as JSON, and as a page with both as lanes of one timeline."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rich.console import Console

from eventabs.inspection import Table
from eventabs.interface_language import gettext as _
from eventabs.measures import SHAPE_FIGURES, Segment, Sums
from eventabs.quality import Evaluation
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, one_line, picked
from eventabs.views.quality import score_tables, shape_fields, shape_names
from eventabs.views.report_page import colors_of, render_page
from eventabs.views.sections import Section, decimals, print_section
from eventabs.views.words_and_figures import count

DAY: Final = 86_400
_MOST_LABELS: Final = 12  # in the terminal
_MOST_CONFUSED: Final = 8
_MOST_DAYS: Final = 2_000  # on a page
_LANE: Final = 960  # pixels of a day, at least
_WIDE, _NARROW, _GAP = 12.5, 7.0, 6.0  # pixels of a Chinese character, of another one, after a name
_LONGEST: Final = 18  # characters of a name on a lane


def render_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print the figures, what trivial programs score, and what is told apart badly."""
    print_section(console, _section(evaluation))


def _section(evaluation: Evaluation) -> Section:
    unit = _("minutes") if evaluation.unit == "minutes" else _("rows")
    shapes = [
        (name, *(SHAPE_FIGURES[key](shape) for shape in evaluation.shapes.values()))
        for key, name in shape_names().items()
        if evaluation.shapes
    ]
    labels = [
        (row.label, round(row.amount), row.precision, row.recall, row.f1)
        for row in evaluation.by_label[:_MOST_LABELS]
    ]
    wrong = [(pair, amount) for pair, amount in evaluation.confusion.items() if pair[0] != pair[1]]
    confused = [
        (label or _("no label"), found or _("no event"), round(amount))
        for (label, found), amount in sorted(wrong, key=lambda each: -each[1])[:_MOST_CONFUSED]
    ]
    tables = (
        *score_tables(evaluation.scores),
        Table(_("Shape"), ("", _("events"), _("labels"))[: 1 + len(evaluation.shapes)], shapes),
        Table(_("Label"), ("", unit, _("precision"), _("recall"), _("F1")), labels),
        Table(_("Most confused"), ("", _("taken for"), unit), confused),
    )
    return Section(tables, list(_notes(evaluation)))


def evaluation_json(evaluation: Evaluation) -> str:
    """Return the figures as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    return encode(
        {
            "users": len(evaluation.by_user),
            "events": sum(row.events for row in evaluation.by_user),
            "labels": sum(row.labels for row in evaluation.by_user),
            "unused": evaluation.unused,
            "figures": evaluation.scores.get("groups", {}) | evaluation.scores.get("spans", {}),
            **{kind: evaluation.scores.get(kind, {}) for kind in ("wholes", "journeys")},
            "counts": evaluation.totals,
            "shapes": {kind: shape_fields(shape) for kind, shape in evaluation.shapes.items()},
            "unit": evaluation.unit,
            "by_label": evaluation.by_label,
            "by_user": [picked("user_id events labels", row) | row.figures for row in evaluation.by_user],
            "confusion": [
                {"label": label or None, "found": found or None, evaluation.unit: round(amount, 2)}
                for (label, found), amount in evaluation.confusion.items()
            ],
        }
    )


def render_evaluation_page(evaluation: Evaluation) -> str:
    """Return a page with the figures and, for each user and day, labels, events and journeys as lanes."""
    drawn = Counter(segment.label for row in evaluation.by_user for lane in row.lanes for segment in lane)
    names = [name for name, _uses in messages.most_frequent(drawn)]
    colors = colors_of(names)
    days = list(_days(evaluation, colors))
    section = _section(evaluation)
    return render_page(
        "evaluation.html.j2",
        ["pages.css"],
        ["chosen.js"],
        facts=section.notes[0],
        section=section._replace(notes=section.notes[1:]),
        days=days[:_MOST_DAYS],
        more_days=max(0, len(days) - _MOST_DAYS),
        users=[
            (row.user_id, f"{row.user_id} · {decimals(row.worth)} · {messages.events(row.events)}")
            for row in evaluation.by_user
        ],
        types=names,
        legend=list(colors.items()),
    )


def _notes(evaluation: Evaluation) -> Iterator[str]:
    rows = evaluation.by_user
    yield _("{users}, {events} against {labels} labels").format(
        users=messages.users(len(rows)),
        events=messages.events(sum(row.events for row in rows)),
        labels=count(sum(row.labels for row in rows)),
    )
    if sums := evaluation.totals.get("groups"):
        template = _(
            "{whole} of {wanted} labelled groups are found whole, {exact} exactly; {false} of {events} match none"
        )
        false, events = count(int(sums["found"] - sums["whole"])), messages.events(int(sums["found"]))
        yield template.format(false=false, events=events, **_counted(sums))
        yield _(
            "Skill: (value - best baseline) / (1 - best baseline). The best pause is fitted on these labels: no pause does better"
        )
    if sums and "journeys" in evaluation.scores:
        wholes = _counted(evaluation.totals["wholes"], "journeys_")
        yield _("{whole} of {wanted} labelled journeys are found whole, {exact} exactly").format(**wholes)
        if wholes["found"] != "0":
            yield _("{false} of {found} journeys match none").format(**wholes)
    left_out = {
        "unknown_users": _("{users} with labels are not in the run: compare the ids of both"),
        "without_row": _(
            "Labels of rows that match no row: {count}; compare their times and lines with the input"
        ),
        "without_rows": _("Labels without a row in their time: {count}; compare their times with the input"),
        "doubled": _(
            "Labels that are there twice: {count}; the first counts, take the others out of the file"
        ),
        "outside": _("{events} before the first label or after the last are left out"),
        "without_labels": _("{users} without labels are left out"),
    }
    for name in filter(evaluation.unused.get, left_out):
        yield messages.filled(left_out[name], evaluation.unused[name])
    if not sums:
        yield _("No baselines: they need the behaviors; name the run directory instead of events.jsonl")
    elif "same_type" not in evaluation.scores["groups"]:
        yield _(
            "Most labels are no type of an event, so types are not compared: name labels as in [vocabulary] types"
        )
    if all(score.low is None for scores in evaluation.scores.values() for score in scores.values()):
        yield _("No intervals: fewer than ten users have labels")


def _counted(sums: Sums, kind: str = "") -> dict[str, str]:
    names = ("whole", "wanted", "exact", "false", "found")
    return {name: count(int(sums[kind + name])) for name in names if kind + name in sums}


class Bar(NamedTuple):
    """A segment on a day's lane; `left`, `width` and `name_left` in percent of the day, `row`: of several, where names need room.

    `color`: its class; a type without one of its own is told by its name.
    """

    left: float
    width: float
    row: int
    color: str
    type: str
    name: str
    name_left: float
    title: str


def _days(evaluation: Evaluation, colors: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield each user's days, in the order of the users."""
    names = (_("labels"), _("events"), _("labels, journeys"), _("events, journeys"))
    for row in evaluation.by_user:
        every = [segment for lane in row.lanes for segment in lane]
        first = min((int(segment.start // DAY) for segment in every), default=0)
        last = max((int(segment.end // DAY) for segment in every), default=-1)
        for day in range(first, last + 1):
            drawn = [bars(lane, day, colors) for lane in row.lanes]
            if any(drawn):
                date = datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
                lanes = [lane for lane in zip(names, drawn, strict=False) if lane[1] or lane[0] in names[:2]]
                yield {"user": row.user_id, "day": date, "lanes": lanes}


def bars(segments: Iterable[Segment], day: int, colors: Mapping[str, str]) -> list[Bar]:
    """Return what lies on a day, counted from 1970-01-01. No name lies over another."""
    begin, end = day * DAY, (day + 1) * DAY
    drawn: list[Bar] = []
    free: list[float] = []  # pixels from which on each row is
    for segment in sorted(segments):
        if not (segment.start < end and segment.end >= begin):
            continue
        first, last = max(segment.start, begin), min(segment.end, end)
        left, width = 100 * (first - begin) / DAY, max(0.4, 100 * (last - first) / DAY)
        label = one_line(segment.label)
        name = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
        needs = sum(_NARROW if character.isascii() else _WIDE for character in name) + _GAP
        pixels = min(left / 100 * _LANE, _LANE - needs)  # the name's; it does not run over the end of the day
        row = next((place for place, there in enumerate(free) if there <= pixels), len(free))
        free[row:] = [max((left + width) / 100 * _LANE, pixels + needs), *free[row + 1 :]]
        times = "–".join(f"{datetime.fromtimestamp(at, UTC):%H:%M}" for at in segment[:2])
        color = colors.get(segment.label, "kx")
        drawn.append(Bar(left, width, row, color, label, name, 100 * pixels / _LANE, f"{times} {label}"))
    return drawn
