"""A calibration: what it will ask, what each setting brought, and which is recommended; in the terminal and as JSON."""

from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.language import gettext as _
from eventabs.quality import Arm, ArmFacts, Calibration, CalibrationPlan
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count
from eventabs.views.quality.audit import use_facts
from eventabs.views.quality.figures import decimals

_COUNTS: Final = "users done failed pending calls retries prompt_tokens completion_tokens"


def calibration_announcement(plan: CalibrationPlan) -> str:
    """Say in one line what is going to be asked, and what it takes at most."""
    template = _("Calibration: {users} of {all}, {arms} runs by {model}, at most: {facts}")
    return template.format(
        users=count(plan.users),
        all=messages.users(plan.users_in_input),
        arms=count(plan.arms),
        model=_("{model} at {host}").format(model=plan.model, host=plan.host)
        if plan.model
        else _("the built-in rules"),
        facts=messages.listed(use_facts(plan.use, plan.cost, plan.currency)),
    )


def arm_line(arm: Arm) -> str:
    """Name a setting in words."""
    facts = [
        _("{users} a prompt").format(users=messages.users(arm.users)),
        _("level {level}").format(level=arm.level),
        _("with summaries") if arm.summary == "short" else _("without summaries"),
    ]
    if arm.model:
        facts.append(_("model {model}").format(model=one_line(arm.model)))
    if arm.again:
        facts.append(_("once more"))
    return messages.listed(facts)


def render_calibration(console: Console, calibration: Calibration) -> None:
    """Print what each setting brought, and the recommended one."""
    console.print(_arms(calibration), "", sep="\n")
    for line in _notes(calibration):
        print_line(console, line)


def calibration_json(calibration: Calibration) -> str:
    """Return the calibration as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    plan, best = calibration.plan, calibration.recommended
    return encode(
        {
            "out": str(plan.folder),
            "seed": plan.choice.seed,
            "users_in_input": plan.users_in_input,
            "users": plan.users,
            "margin": plan.choice.margin,
            "questions": plan.questions,
            "complete": best is not None,
            "arms": [_fields(facts) for facts in calibration.arms],
            "recommended": None if best is None else best.arm.name,
            "changes": calibration.changes,
        }
    )


def config_diff(path: Path, before: str, after: str) -> str:
    """Return what changes in a config file, as a unified diff."""
    lines = unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), str(path), n=1
    )
    return "".join(lines)


def _fields(facts: ArmFacts) -> dict[str, Any]:
    arm, counts = facts.arm, facts.counts
    return {
        "name": arm.name,
        "users_a_prompt": arm.users,
        "level": arm.level,
        "summary": arm.summary,
        "model": arm.model or None,
        "again": arm.again,
        "status": facts.status,
        **{key: getattr(counts, key) for key in _COUNTS.split()},
        "success": _success(facts),
        "cost": facts.cost,
        "currency": facts.currency,
        "seconds": round(facts.seconds, 3),
        "coverage": facts.coverage,
        "agreement": facts.agreement._asdict(),
        "same_behaviors": facts.same_behaviors._asdict(),
        "shortfall": facts.shortfall,
        "within": facts.within,
    }


def _success(facts: ArmFacts) -> float | None:
    return facts.counts.done / facts.counts.users if facts.counts.users else None


def _arms(calibration: Calibration) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(_("users"), style="bold", justify="right")
    table.add_column(_("setting"), overflow="fold")
    has_cost = any(facts.cost is not None for facts in calibration.arms)
    names = (
        _("done"),
        _("cost") if has_cost else _("tokens"),
        _("time"),
        _("covered"),
        _("agrees"),
        _("lacks"),
    )
    for name in names:
        table.add_column(name, justify="right")
    best = calibration.recommended
    for facts in calibration.arms:
        table.add_row(*_cells(facts), style="green" if best and facts.arm == best.arm else "")
    return table


def _cells(facts: ArmFacts) -> Iterator[Text | str]:
    arm, counts = facts.arm, facts.counts
    names = [arm.level, "" if arm.summary == "short" else _("no summary"), one_line(arm.model)]
    if arm.again:
        names.append(_("once more"))
    yield count(arm.users)
    yield Text(messages.listed(filter(None, names)))
    yield messages.share(counts.done, counts.users)
    tokens = count(counts.prompt_tokens + counts.completion_tokens)
    yield tokens if facts.cost is None else messages.money(facts.cost, facts.currency)
    yield messages.duration(facts.seconds)
    yield decimals(facts.coverage)
    yield decimals(facts.agreement.value)
    yield decimals(facts.shortfall)


def _notes(calibration: Calibration) -> Iterator[str]:
    plan, best = calibration.plan, calibration.recommended
    yield _(
        "{users} of {all}; users: how many a prompt; agrees: the same events as one user a prompt (same type, Dice of the rows at"
        " least 0.8), F1"
    ).format(users=count(plan.users), all=messages.users(plan.users_in_input))
    template = _("lacks: so far below the model's agreement with itself at most, where {margin} is allowed")
    yield template.format(margin=f"{plan.choice.margin:g}")
    if best is None:
        yield _("The calibration is not complete: nothing is recommended yet")
        return
    yield _("Recommended: {setting}").format(setting=arm_line(best.arm))
    if best.arm.users == 1 and plan.sizes:
        yield _("More users a prompt are not shown to be within the margin; more users would tell (--users)")
