"""Events against labels: in the terminal, as JSON, and as a page with both as lanes of one timeline."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.language import gettext as _
from eventabs.measures import Segment
from eventabs.quality import Baseline, Evaluation
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count
from eventabs.views.quality.figures import cells, decimals, figure_table
from eventabs.views.report.page import render_page

DAY: Final = 86_400
_MOST_LABELS: Final = 12  # in the terminal
_MOST_CONFUSED: Final = 8
_MOST_DAYS: Final = 400  # on a page
COLORS: Final = 10  # of labels


def render_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print the figures, the baselines, and what is told apart badly."""
    for table in (_figures(evaluation), _labels(evaluation), _confused(evaluation)):
        if table.row_count:
            console.print(table, "", sep="\n")
    for line in _notes(evaluation):
        print_line(console, line)


def evaluation_json(evaluation: Evaluation) -> str:
    """Return the figures as one line of JSON: shares from 0 to 1, minutes, None where a figure is not defined."""
    found = sum(map(len, evaluation.found.values()))
    wanted = sum(map(len, evaluation.wanted.values()))
    confusion = [
        {"label": label, "found": found or None, "minutes": round(minutes, 2)}
        for (label, found), minutes in evaluation.confusion.items()
    ]
    return encode(
        {
            "within": evaluation.within,
            "users": len(evaluation.wanted),
            "events": found,
            "labels": wanted,
            "without_labels": evaluation.without_labels,
            "outside": evaluation.outside,
            "drawn": evaluation.drawn,
            "figures": {name: figure._asdict() for name, figure in evaluation.figures.items()},
            "baselines": [baseline._asdict() for baseline in evaluation.baselines],
            "by_label": [row._asdict() for row in evaluation.by_label],
            "by_user": [row._asdict() for row in evaluation.by_user],
            "confusion": confusion,
        }
    )


def render_evaluation_page(evaluation: Evaluation) -> str:
    """Return a page with the figures and, for each user and day, labels and events as two lanes."""
    names = [row.label for row in evaluation.by_label]
    days = list(_days(evaluation, {name: position % COLORS for position, name in enumerate(names)}))
    figures = [(name, *cells(evaluation.figures[key])) for key, name in _names(evaluation).items()]
    figures += [(_baseline(each), decimals(each.start_f1), "") for each in evaluation.baselines]
    return render_page(
        "evaluation.html.j2",
        ["evaluation.css"],
        days=days[:_MOST_DAYS],
        more_days=max(0, len(days) - _MOST_DAYS),
        legend=[(name, position % COLORS) for position, name in enumerate(names)],
        figures=figures,
        notes=list(_notes(evaluation)),
    )


def _names(evaluation: Evaluation) -> dict[str, str]:
    return {
        "start_f1": _("starts within {minutes} min, F1").format(minutes=f"{evaluation.within:g}"),
        "start_precision": _("precision of these starts"),
        "start_recall": _("recall of these starts"),
        "labelled_start_f1": _("starts with the right label, F1"),
        "segment_f1": _("segments that overlap by half, with the label, F1"),
        "purity": _("purity"),
        "coverage": _("coverage"),
        "minutes_right": _("minutes with the right label"),
        "label_macro_f1": _("F1 of minutes, mean of the labels"),
    }


def _figures(evaluation: Evaluation) -> Table:
    table = figure_table(_("Events against labels"), _("value"), _("95 % interval"))
    for key, name in _names(evaluation).items():
        table.add_row(name, *cells(evaluation.figures[key]))
    for baseline in evaluation.baselines:
        table.add_row(Text(_baseline(baseline), style="dim"), decimals(baseline.start_f1), "")
    return table


def _baseline(baseline: Baseline) -> str:
    if baseline.kind == "gaps":
        return _("starts after pauses over {gap} min, the best: F1").format(gap=baseline.gap)
    return _("starts at random, as many as events: F1")


def _labels(evaluation: Evaluation) -> Table:
    columns = (_("minutes"), _("precision"), _("recall"), _("F1"), _("starts, F1"))
    table = figure_table(_("Label"), *columns)
    for row in evaluation.by_label[:_MOST_LABELS]:
        figures = (row.precision, row.recall, row.f1, row.start_f1)
        table.add_row(Text(one_line(row.label)), count(round(row.minutes)), *map(decimals, figures))
    return table


def _confused(evaluation: Evaluation) -> Table:
    table = figure_table(_("Most confused"), _("taken for"), _("minutes"))
    wrong = [(pair, minutes) for pair, minutes in evaluation.confusion.items() if pair[0] != pair[1]]
    for (label, found), minutes in sorted(wrong, key=lambda each: -each[1])[:_MOST_CONFUSED]:
        shown = Text(one_line(found)) if found else Text(_("no event"), style="dim")
        table.add_row(Text(one_line(label)), shown, count(round(minutes)))
    return table


def _notes(evaluation: Evaluation) -> Iterator[str]:
    found, wanted = (sum(map(len, side.values())) for side in (evaluation.found, evaluation.wanted))
    message = _("{users}, {events} against {labels} labels")
    yield message.format(
        users=messages.users(len(evaluation.wanted)), events=messages.events(found), labels=count(wanted)
    )
    if evaluation.outside:
        message = _("{events} before the first label or after the last are left out")
        yield message.format(events=messages.events(evaluation.outside))
    if evaluation.without_labels:
        message = _("{users} without labels are left out")
        yield message.format(users=messages.users(evaluation.without_labels))
    if not evaluation.baselines:
        yield _("No baselines: they need the behaviors; name the run directory instead of events.jsonl")
    if evaluation.drawn == "days":
        yield _(
            "The intervals draw days, not users: there are fewer than ten users, so they hold for these alone"
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """A segment on a day's lane; `left` and `width` in percent of the day, `color` None: a label without one of its own."""

    left: float
    width: float
    color: int | None
    title: str
    soft: bool = False


def _days(evaluation: Evaluation, colors: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield each user's days, the users with the worst starts first."""
    worst_first = sorted(evaluation.by_user, key=lambda row: (row.start_f1 or 0, row.user_id))
    for row in worst_first:
        lanes = evaluation.wanted[row.user_id], evaluation.found[row.user_id]
        days = {
            day
            for segment in (*lanes[0], *lanes[1])
            for day in range(int(segment.start // DAY), int(segment.end // DAY) + 1)
        }
        for day in sorted(days):
            wanted, found = ([*bars(lane, day, colors)] for lane in lanes)
            if wanted or found:
                name = datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
                yield {"user": row.user_id, "day": name, "wanted": wanted, "found": found}


def bars(
    segments: Iterable[Segment], day: int, colors: Mapping[str, int], *, soft: bool = False
) -> Iterator[Bar]:
    """Yield what lies on a day, counted from 1970-01-01."""
    begin, end = day * DAY, (day + 1) * DAY
    for segment in segments:
        first, last = max(segment.start, begin), min(segment.end, end)
        if segment.start < end and segment.end >= begin and first < end:
            times = "–".join(
                datetime.fromtimestamp(moment, UTC).strftime("%H:%M")
                for moment in (segment.start, segment.end)
            )
            width = max(0.15, 100 * (last - first) / DAY)
            title = f"{times} {one_line(segment.label)}"
            yield Bar(100 * (first - begin) / DAY, width, colors.get(segment.label), title, soft)
