"""Scores and shapes by their names, what is going to be asked again, and what sizes of calls brought."""

from collections.abc import Iterator, Mapping

from rich.console import Console

from eventabs.inspection import Table, by_batch_users, by_position
from eventabs.interface_language import gettext as _, ngettext
from eventabs.measures import SHAPE_FIGURES, Score, Sums
from eventabs.quality import AskingPlan, Calibration
from eventabs.shared_records import Counts
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, picked
from eventabs.views.sections import Section, decimals, print_section
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


def score_tables(scores: Mapping[str, Mapping[str, Score]]) -> Iterator[Table]:
    """Yield for each kind of scores the figures with interval and skill, and what the baselines reach."""
    baselines = {
        "rows": _("each row"),
        "action": _("action a day"),
        "object": _("object a day"),
        "pause": _("best pause"),
        "rules": _("rules"),
    }
    for kind, title, names in _named_scores():
        found = {names[key]: score for key, score in scores.get(kind, {}).items() if key in names}
        figures = [
            (
                name,
                decimals(score.value),
                "" if score.low is None else f"{score.low:.3f} – {score.high:.3f}",
                "" if score.skill is None else f"{score.skill:+.3f}",
            )
            for name, score in found.items()
        ]
        yield Table(title, ("", _("value"), _("95 % interval"), _("skill")), figures)
        reached = {
            key: name
            for key, name in baselines.items()
            if any(key in each.baselines for each in found.values())
        }
        beside = [(name, *map(score.baselines.get, reached)) for name, score in found.items()]
        yield Table(_("Baselines"), ("", *reached.values()), beside if reached else ())


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


def announcement(plan: AskingPlan) -> str:
    """Say in one line what is going to be asked, and what it takes."""
    facts = [
        ngettext("{count} call", "{count} calls", plan.use.calls),
        _("about {prompt} tokens in and {completion} out").format(
            prompt=count(plan.use.prompt_tokens), completion=count(plan.use.completion_tokens)
        ),
    ]
    if plan.cost is not None:
        facts.append(_("about {cost}").format(cost=money(plan.cost, plan.endpoint.currency)))
    template = _("{users} of {all} asked again, at most {sizes} a prompt, by {model}: {facts}")
    return template.format(
        users=count(plan.use.users),
        all=messages.users(plan.users_in_run),
        sizes=", ".join(count(arm.users) for arm in plan.arms),
        model=_("{model} at {host}").format(model=plan.endpoint.model, host=plan.endpoint.host)
        if plan.endpoint.model
        else _("the built-in rules"),
        facts=messages.listed(facts),
    )


def render_calibration(console: Console, calibration: Calibration) -> None:
    """Print what each size brought, and the lines of the config file that set the recommended one."""
    plan, best = calibration.plan, calibration.recommended
    columns = (_("users a prompt"), _("rows a call"), _("done"), _("calls"), _("tokens"), _("cost"))
    rows = [
        (
            facts.arm.path.name,
            facts.rows,
            messages.share(facts.counts.done, facts.counts.users),
            facts.counts.calls,
            facts.counts.prompt_tokens + facts.counts.completion_tokens,
            "-" if facts.cost is None else money(facts.cost, plan.endpoint.currency),
            facts.kept,
            facts.lacks,
        )
        for facts in calibration.arms
    ]
    template = _(
        "Allowed: {margin}, below what two answers with one user a prompt have in common, as one exact bound for all sizes"
    )
    notes = [template.format(margin=f"{plan.margin:g}")]
    if best is None:
        notes.append(_("The calibration is not complete: nothing is recommended yet"))
    elif not calibration.changes:
        notes.append(_("The settings have the best size: nothing is to be changed"))
    else:
        notes.append(_("Recommended, for eventabs.toml:"))
        for section, values in calibration.changes.items():
            notes += (f"[{section}]", *(f"{key} = {value}" for key, value in values.items()))
        if best.arm.users == 1:
            notes.append(
                _("No more users a prompt are shown to be within it; more users would tell (--users)")
            )
    table = Table("", (*columns, _("as one user a prompt"), _("lacks at most")), rows)
    print_section(console, Section([table], notes))


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
            "currency": plan.endpoint.currency,
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
    return {"by_batch_users": by_batch_users(counts), "by_position": by_position(counts)}
