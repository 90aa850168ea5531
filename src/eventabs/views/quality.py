"""Figures and their names, answers by batch, what is going to be asked again, and what sizes of calls brought."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.inspection import batch_tables, by_batch_users, by_position
from eventabs.interface_language import gettext as _, ngettext
from eventabs.measures import SHAPE_FIGURES, Figure, Score, Sums
from eventabs.quality import AskingPlan, Calibration
from eventabs.shared_records import Counts
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, one_line, picked, print_line
from eventabs.views.words_and_figures import count, money


def _named_scores() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the kinds of scores: kind, title, names of the figures in the order in which they are shown."""
    groups = {
        "pair_f1": _("pairs of rows, F1"),
        "pair_macro_f1": _("pairs, mean of groups"),
        "bcubed_f1": _("B-cubed, F1"),
        "bcubed_precision": _("B-cubed precision"),
        "bcubed_recall": _("B-cubed recall"),
        "bcubed_macro_f1": _("B-cubed, mean of groups"),
        "whole_f1": _("found whole, F1"),
        "exact_f1": _("found exactly, F1"),
        "best_dice": _("best Dice, mean"),
        "boundary_f1": _("boundaries, F1"),
        "same_place": _("rows placed the same"),
        "same_type": _("same type"),
        "grouped_recall": _("grouped here too"),
        "loose_f1": _("ungrouped rows, F1"),
    }
    yield "groups", _("Events as groups of rows"), groups
    yield "wholes", _("Each journey as one group"), groups
    journeys = {
        "whole": _("found whole"),
        "exact": _("found exactly"),
        "best_dice": _("best Dice, mean"),
        "false": _("false ones of those found"),
        "same_kind": _("same kind"),
    }
    yield "journeys", _("Journeys"), journeys
    spans = {
        "start_f1_0": _("starts, 0 min, F1"),
        "start_f1_1": _("starts, 1 min, F1"),
        "start_f1_5": _("starts, 5 min, F1"),
        "labelled_start_f1": _("1 min and label, F1"),
        "overlap_f1": _("overlap by half, F1"),
        "minutes_f1": _("minutes, F1"),
        "minutes_right": _("minutes with the label"),
    }
    yield "spans", _("Events as spans of time"), spans


def score_tables(
    scores: Mapping[str, Mapping[str, Score]],
) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Yield for each kind of scores its title, the columns, and the rows: value, interval, skill, and each baseline."""
    baselines = {
        "rows": _("each row"),
        "action": _("action a day"),
        "object": _("object a day"),
        "pause": _("best pause"),
        "rules": _("rules"),
    }
    for kind, title, names in _named_scores():
        if found := scores.get(kind):
            reached = {
                key: name
                for key, name in baselines.items()
                if any(key in each.baselines for each in found.values())
            }
            rows = [
                [
                    names[key],
                    *cells(score.figure),
                    "" if score.skill is None else f"{score.skill:+.3f}",
                    *(decimals(score.baselines.get(each)) for each in reached),
                ]
                for key, score in found.items()
                if key in names
            ]
            yield title, [title, _("value"), _("95 % interval"), _("skill"), *reached.values()], rows


def print_scores(console: Console, scores: Mapping[str, Mapping[str, Score]]) -> None:
    """Print figures with their skill, and what the baselines reach."""
    for _title, columns, rows in score_tables(scores):
        print_tables(console, figure_table(columns[:4], (row[:4] for row in rows)))
        if reached := columns[4:]:
            beside = ((row[0], *row[4:]) for row in rows)
            print_tables(console, figure_table((_("Baselines"), *reached), beside))


def score_fields(scores: Mapping[str, Mapping[str, Score]], *kinds: str) -> dict[str, dict[str, Any]]:
    """Return the scores of some kinds together, as JSON has them."""
    return {
        name: {
            **score.figure._asdict(),
            "baselines": score.baselines,
            "pause_minutes": score.pause,
            "skill": score.skill,
        }
        for kind in kinds
        for name, score in scores.get(kind, {}).items()
    }


def shape_names() -> dict[str, str]:
    """Name the figures that say how coarse events are."""
    return {
        "rows_placed": _("rows in an event"),
        "rows_per_event": _("rows an event"),
        "one_row_events": _("events of one row"),
        "doubtful": _("doubtful events"),
        "events_per_user_day": _("events a user-day"),
        "days_without_event": _("user-days without an event"),
        "minutes_covered": _("minutes of the rows in an event"),
    }


def shape_fields(shape: Sums) -> dict[str, float | None]:
    """Return a shape as JSON has it: what is counted, and the figures of it."""
    return {**shape, **{name: figure(shape) for name, figure in SHAPE_FIGURES.items()}}


# of a table; figures are written with three decimals, whole numbers as counts
Cell = str | float | Text | None


def figure_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    words: Collection[str] = (),
    least: tuple[int, int] | None = None,
) -> Table:
    """Make a table of names with figures beside them. `words`: the columns that hold no figures; `least`: width of names, of figures."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    of_names, of_figures = least or (None, None)
    table.add_column(columns[0], style="bold", overflow="fold", min_width=of_names)
    for column in columns[1:]:
        if column in words:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", min_width=of_figures)
    for row in rows:
        table.add_row(*map(_written, row))
    return table


def _written(value: Cell) -> Text:
    if isinstance(value, Text):
        return value
    if isinstance(value, str):
        return Text(one_line(value))
    return Text(count(value) if isinstance(value, int) else decimals(value))


def print_tables(console: Console, *tables: Table) -> None:
    """Print tables, an empty line behind each; nothing of one without rows."""
    for table in tables:
        if table.row_count:
            console.print(table, "", sep="\n")


def decimals(value: float | None) -> str:
    """Return a share with three decimals, "-" where it is not defined."""
    return "-" if value is None else f"{value:.3f}"


def cells(figure: Figure) -> tuple[str, str]:
    """Return a figure and its interval, "" where it has none."""
    if figure.low is None or figure.high is None:
        return decimals(figure.value), ""
    return decimals(figure.value), f"{figure.low:.3f} – {figure.high:.3f}"


def announcement(plan: AskingPlan) -> str:
    """Say in one line what is going to be asked, and what it takes."""
    facts = [
        ngettext("{count} call", "{count} calls", plan.use.calls),
        _("about {prompt} tokens in and {completion} out").format(
            prompt=count(plan.use.prompt_tokens), completion=count(plan.use.completion_tokens)
        ),
    ]
    if plan.cost is not None:
        facts.append(_("about {cost}").format(cost=money(plan.cost, plan.currency)))
    template = _("{users} of {all} asked again, at most {sizes} a prompt, by {model}: {facts}")
    return template.format(
        users=count(plan.use.users),
        all=messages.users(plan.users_in_run),
        sizes=", ".join(count(arm.users) for arm in plan.arms),
        model=_("{model} at {host}").format(model=plan.model, host=plan.host)
        if plan.model
        else _("the built-in rules"),
        facts=messages.listed(facts),
    )


def render_calibration(console: Console, calibration: Calibration) -> None:
    """Print what each size brought, and the lines of the config file that set the recommended one."""
    plan, best = calibration.plan, calibration.recommended
    columns = (
        _("users a prompt"),
        _("rows a call"),
        _("done"),
        _("calls"),
        _("tokens"),
        _("cost"),
        _("as one user a prompt"),
        _("lacks at most"),
    )
    rows = (
        (
            facts.arm.path.name,
            facts.rows,
            messages.share(facts.counts.done, facts.counts.users),
            facts.counts.calls,
            facts.counts.prompt_tokens + facts.counts.completion_tokens,
            "-" if facts.cost is None else money(facts.cost, plan.currency),
            facts.kept,
            facts.lacks,
        )
        for facts in calibration.arms
    )
    print_tables(console, figure_table(columns, rows))
    template = _(
        "Allowed: {margin}, below what two answers with one user a prompt have in common, as one exact bound for all sizes"
    )
    print_line(console, template.format(margin=f"{plan.margin:g}"))
    if best is None:
        print_line(console, _("The calibration is not complete: nothing is recommended yet"))
    elif not calibration.changes:
        print_line(console, _("The settings have the best size: nothing is to be changed"))
    else:
        print_line(console, _("Recommended, for eventabs.toml:"))
        for section, values in calibration.changes.items():
            for line in (f"[{section}]", *(f"{key} = {value}" for key, value in values.items())):
                print_line(console, line)
        if best.arm.users == 1:
            print_line(
                console,
                _("No more users a prompt are shown to be within it; more users would tell (--users)"),
            )


_ARM_KEYS = "done failed pending calls retries prompt_tokens completion_tokens cost kept lacks"


def calibration_json(calibration: Calibration) -> str:
    """Return the calibration as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    plan, best = calibration.plan, calibration.recommended
    return encode(
        {
            "users_in_run": plan.users_in_run,
            "users": calibration.arms[0].counts.users,
            "margin": plan.margin,
            "complete": best is not None,
            "currency": plan.currency,
            "arms": [
                {
                    "name": facts.arm.path.name,
                    "out": str(facts.arm.path),
                    "users_a_prompt": facts.arm.users,
                    "rows_a_call": facts.rows,
                    **picked(_ARM_KEYS, facts.counts, facts),
                }
                for facts in calibration.arms
            ],
            "recommended": best and best.arm.path.name,
            "changes": calibration.changes,
        }
    )


def answer_fields(counts: Counts) -> dict[str, list[dict[str, object]]]:
    """Return what answers held as JSON has it."""
    return {
        "by_batch_users": by_batch_users(counts),
        "by_position": by_position(counts),
    }


def answer_tables(runs: Mapping[str, Counts]) -> Iterator[Table]:
    """Yield a table for each way in which answers can be compared, with the rows of all runs."""
    for found in batch_tables(runs):
        yield figure_table((found.title, *found.columns[1:]), found.rows)
