"""What each of two runs did and took, and how far the second has moved from the first."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from rich.table import Table

from eventabs.language import gettext as _
from eventabs.quality import ComparedRun, Comparison
from eventabs.records import Counts
from eventabs.views.console import one_line
from eventabs.views.messages import count, money
from eventabs.views.quality.answers import answer_fields
from eventabs.views.quality.figures import decimals, figure_table

RUN_NAMES: Final = ("A", "B")
_COUNTS: Final = "users done failed pending events calls retries prompt_tokens completion_tokens"

_LEAST_MOVED: Final = 0.05  # percent, that are shown

_Figure = Callable[[ComparedRun], float | None]


def compared_counts(comparison: Comparison) -> dict[str, Counts]:
    """Return the counts of the runs that called a model, by their names: the built-in rules do not see who else is in a batch."""
    both = zip(RUN_NAMES, (comparison.first, comparison.second), strict=True)
    return {name: run.counts for name, run in both if run.model}


def run_table(comparison: Comparison) -> Table:
    """Return the figures of both runs."""
    table = figure_table(_("Each run"), *RUN_NAMES, _("change"))
    for name, *shown in run_rows(comparison):
        table.add_row(name, *map(one_line, shown))
    return table


def run_rows(comparison: Comparison) -> Iterator[tuple[str, str, str, str]]:
    """Yield each figure: its name, what it is in A and in B, and by what share B is above A or below."""
    both = comparison.first, comparison.second
    for name, (figure, written) in _counted(comparison).items():
        before, after = map(figure, both)
        yield name, _shown(before, written), _shown(after, written), _change(before, after)
    if both[0].model or both[1].model:
        costs = [_shown(run.cost, partial(money, currency=run.currency)) for run in both]
        is_one_currency = both[0].currency == both[1].currency
        yield _("cost"), costs[0], costs[1], _change(both[0].cost, both[1].cost) if is_one_currency else ""


def _shown(value: float | None, written: Callable[[Any], str]) -> str:
    return "-" if value is None else written(value)


def _change(before: float | None, after: float | None) -> str:
    """Return by how many percent a figure has moved, "" where it has not or where that says nothing."""
    if not before or after is None:
        return ""
    moved = 100 * (after / before - 1)
    return f"{moved:+,.1f} %" if abs(moved) >= _LEAST_MOVED else ""


def _counted(comparison: Comparison) -> dict[str, tuple[_Figure, Callable[[Any], str]]]:
    """Return what is counted in each run by its name, and how it is written."""
    figures: dict[str, tuple[_Figure, Callable[[Any], str]]] = {
        _("users done"): (lambda run: run.counts.done, count),
        _("events"): (lambda run: run.counts.events, count),
        _("events a user-day"): (lambda run: _ratio(run.events, run.user_days), _hundredths),
        _("behaviors in an event"): (lambda run: _ratio(run.covered, run.behaviors), decimals),
    }
    for name, figure in _faults().items():
        if figure(comparison.first) or figure(comparison.second):
            figures[name] = figure, count
    figures[_("calls")] = (lambda run: run.counts.calls, count)
    return figures | (_token_figures() if comparison.first.model or comparison.second.model else {})


def _faults() -> dict[str, _Figure]:
    """Return what is only told where there is some."""
    return {
        _("events that match no behavior"): lambda run: run.counts.ungrounded,
        _("events repeated and dropped"): lambda run: run.counts.repeated,
        _("events with types outside the vocabulary"): lambda run: run.counts.outside,
        _("missed events added by your rules"): lambda run: run.counts.missed,
    }


def _token_figures() -> dict[str, tuple[_Figure, Callable[[Any], str]]]:
    return {
        _("prompt tokens"): (lambda run: run.counts.prompt_tokens, count),
        _("prompt tokens a user"): (lambda run: _ratio(run.counts.prompt_tokens, run.counts.done), _tenths),
        _("prompt tokens an event"): (
            lambda run: _ratio(run.counts.prompt_tokens, run.counts.events),
            _tenths,
        ),
        _("completion tokens"): (lambda run: run.counts.completion_tokens, count),
        _("completion tokens a user"): (
            lambda run: _ratio(run.counts.completion_tokens, run.counts.done),
            _tenths,
        ),
        _("completion tokens an event"): (
            lambda run: _ratio(run.counts.completion_tokens, run.counts.events),
            _tenths,
        ),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _tenths(value: float) -> str:
    return f"{value:,.1f}"


def _hundredths(value: float) -> str:
    return f"{value:,.2f}"


def run_fields(run: ComparedRun) -> dict[str, Any]:
    """Return a run as JSON has it."""
    counts = run.counts
    return {
        **{key: getattr(run, key) for key in ("out", "provider", "model", "host", "cost", "currency")},
        "settings": run.settings,
        **{key: getattr(counts, key) for key in _COUNTS.split()},
        "prompt_tokens_per_user": _ratio(counts.prompt_tokens, counts.done),
        "prompt_tokens_per_event": _ratio(counts.prompt_tokens, counts.events),
        "completion_tokens_per_user": _ratio(counts.completion_tokens, counts.done),
        "completion_tokens_per_event": _ratio(counts.completion_tokens, counts.events),
        "event_counts": counts.event_counts,
        "answers": answer_fields(counts),
        "compared": {
            **{key: getattr(run, key) for key in ("events", "behaviors", "covered", "user_days")},
            "coverage": _ratio(run.covered, run.behaviors),
            "events_per_user_day": _ratio(run.events, run.user_days),
        },
    }
