"""Audits, calibrations, answers by batch and figures with intervals: in the terminal, as JSON and as sections of the report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.inspection import AuditFacts, BatchRow, batch_tables, by_batch_users, by_position
from eventabs.language import gettext as _, ngettext
from eventabs.measures import Figure, StabilityRow
from eventabs.quality import Arm, ArmFacts, AuditPlan, Calibration, CalibrationPlan, ComparedRun, Comparison
from eventabs.records import Counts
from eventabs.runs import PlannedUse
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count, money


def figure_names() -> dict[str, str]:
    """Name the figures of two groupings, in the order in which they are shown."""
    return {
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
        "same_type": _("same type"),
        "grouped_recall": _("grouped here too"),
        "loose_f1": _("ungrouped rows, F1"),
    }


def figure_table(title: str, *columns: str) -> Table:
    """Make a table of names with figures beside them."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title, style="bold", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def decimals(value: float | None) -> str:
    """Return a share with three decimals, "-" where it is not defined."""
    return "-" if value is None else f"{value:.3f}"


def cells(figure: Figure) -> tuple[str, str]:
    """Return a figure and its interval, "" where it has none."""
    if figure.low is None or figure.high is None:
        return decimals(figure.value), ""
    return decimals(figure.value), f"{figure.low:.3f} – {figure.high:.3f}"


_MOST_TYPES: Final = 12  # in the terminal and on the page
_MOST_USERS: Final = 10
_MOST_LOST: Final = 2  # events of such a user
_MOST_CONFUSED: Final = 8
_FIGURES: Final = ("stable", "same_behaviors", "only_second", "confused", "by_chance", "confusion")


def announcement(plan: AuditPlan) -> str:
    """Say in one line what is going to be asked, and what it takes."""
    template = _("Audit: {users} of {all} asked again, at most {size} a prompt, by {model}: {facts}")
    return template.format(
        users=count(plan.use.users),
        all=messages.users(plan.users_in_run),
        size=plan.users_a_prompt,
        model=_("{model} at {host}").format(model=plan.model, host=plan.host)
        if plan.model
        else _("the built-in rules"),
        facts=messages.listed(use_facts(plan.use, plan.cost, plan.currency)),
    )


def use_facts(use: PlannedUse, cost: float | None, currency: str) -> list[str]:
    """Say what calls are planned: how many, their tokens, and the cost where it is known."""
    facts = [
        ngettext("{count} call", "{count} calls", use.calls).format(count=count(use.calls)),
        _("about {prompt} tokens in and {completion} out").format(
            prompt=count(use.prompt_tokens), completion=count(use.completion_tokens)
        ),
    ]
    if cost is not None:
        facts.append(_("about {cost}").format(cost=messages.money(cost, currency)))
    return facts


def render_audit(console: Console, audit: AuditFacts) -> None:
    """Print the figures, what is less stable than the rest, and the users whose events hold least."""
    console.print(_audit_figures(audit))
    if said := _no_intervals(audit):
        print_line(console, said)
    console.print()
    for table in (*_tables(audit), _users(audit), _confused(audit)):
        if table.row_count:
            console.print(table, "", sep="\n")
    for line in _audit_notes(audit):
        print_line(console, line)


def audit_json(audit: AuditFacts) -> str:
    """Return the audit as one line of JSON: shares from 0 to 1, None where a figure is not defined."""
    found, counts = audit.stability, audit.counts
    return encode(
        {
            "status": audit.status,
            "out": audit.out,
            "seed": audit.seed,
            "users_in_run": audit.users_in_run,
            **{key: getattr(counts, key) for key in ("users", "done", "failed", "pending")},
            "compared": audit.compared,
            "changed": audit.changed,
            "users_a_prompt": audit.users_a_prompt,
            "kept_neighbors": audit.kept_neighbors,
            **{
                key: getattr(counts, key)
                for key in ("calls", "retries", "prompt_tokens", "completion_tokens")
            },
            "cost": audit.cost,
            "currency": audit.endpoint.currency,
            "seconds": round(audit.seconds, 3),
            "events": found.events,
            "second_events": found.second_events,
            "figures": {
                name: figure._asdict()
                for name, figure in ({key: getattr(found, key) for key in _FIGURES} | found.shared).items()
            },
            "by_type": list(map(_stability_fields, found.by_type)),
            "by_position": list(map(_stability_fields, found.by_position)),
            "by_batch_users": list(map(_stability_fields, found.by_batch_users)),
            "least_stable": audit.least_stable,
            "unstable": [user._asdict() for user in audit.unstable],
            "confused": [event._asdict() for event in audit.confused],
        }
    )


def _stability_fields(row: StabilityRow) -> dict[str, Any]:
    figures = {"stable": row.stable._asdict(), "same_behaviors": row.same_behaviors._asdict()}
    return {"name": row.name, "users": row.users, "events": row.events, **figures}


@dataclass(frozen=True, slots=True)
class AuditSection:
    """The audit as the report shows it: every text is written. `no_intervals`: why none stand beside the figures, or ""."""

    headline: str
    no_intervals: str
    figures: tuple[tuple[str, str, str], ...]
    tables: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...]
    users_title: str
    users: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def audit_section(audit: AuditFacts) -> AuditSection:
    """Return what the report's template writes."""
    listed = audit.unstable[:_MOST_USERS]
    return AuditSection(
        headline=_headline(audit),
        no_intervals=_no_intervals(audit),
        figures=tuple((name, *cells(figure)) for name, figure in _named_figures(audit)),
        tables=tuple((title, tuple(map(_row_cells, rows))) for title, rows in _sections(audit) if rows),
        users_title=_users_title(audit),
        users=tuple((user.user_id, decimals(user.stable), messages.events(user.events)) for user in listed),
        notes=tuple(_audit_notes(audit)),
    )


def _named_figures(audit: AuditFacts) -> Iterator[tuple[str, Figure]]:
    found = audit.stability
    yield _("stable: same type, same rows (Dice 0.8)"), found.stable
    yield _("the very same behaviors"), found.same_behaviors
    yield _("only in the second answers"), found.only_second
    for name, words in figure_names().items():
        if name in found.shared:
            yield words, found.shared[name]
    if audit.users_a_prompt > 1 or any(row.name != "1" for row in found.by_batch_users):
        yield _("fit a neighbor in the batch better"), found.confused
        yield _("fit a user of another batch better: chance"), found.by_chance
        yield _("so confused between neighbors"), found.confusion


def _headline(audit: AuditFacts) -> str:
    return _("Audit, {users} and {events}").format(
        users=messages.users(audit.compared), events=messages.events(audit.stability.events)
    )


def _no_intervals(audit: AuditFacts) -> str:
    if audit.stability.stable.low is None and audit.compared:
        return _("No intervals: fewer than ten users were compared")
    return ""


def _table(audit: AuditFacts, *columns: str) -> Table:
    """Make a table of figures with their intervals, where there are any."""
    return figure_table(*columns, *([] if _no_intervals(audit) else [_("95 % interval")]))


def _audit_figures(audit: AuditFacts) -> Table:
    table = _table(audit, _headline(audit), _("value"))
    for name, figure in _named_figures(audit):
        table.add_row(name, *cells(figure)[: len(table.columns) - 1])
    return table


def _sections(audit: AuditFacts) -> Iterator[tuple[str, Sequence[StabilityRow]]]:
    found = audit.stability
    thirds = {"1": _("first third"), "2": _("middle third"), "3": _("last third")}
    yield _("Type"), found.by_type[:_MOST_TYPES]
    yield _("Place in the batch"), [row._replace(name=thirds[row.name]) for row in found.by_position]
    yield _("Users in the batch"), found.by_batch_users


def _tables(audit: AuditFacts) -> Iterator[Table]:
    for title, rows in _sections(audit):
        table = _table(audit, title, _("events"), _("stable"))
        for row in rows:
            name, *figures = _row_cells(row)
            table.add_row(Text(one_line(name)), *figures[: len(table.columns) - 1])
        yield table


def _row_cells(row: StabilityRow) -> tuple[str, str, str, str]:
    return row.name, count(row.events), *cells(row.stable)


def _users_title(audit: AuditFacts) -> str:
    return _("Users below {share}").format(share=f"{audit.least_stable:g}")


def _users(audit: AuditFacts) -> Table:
    table = figure_table(_users_title(audit), _("stable"), _("events"))
    table.add_column(_("not stable"), overflow="fold")
    for user in audit.unstable[:_MOST_USERS]:
        named = (f"{event['type']} {str(event['start'])[5:16]}" for event in user.lost[:_MOST_LOST])
        lost = messages.listed(named)
        more = " …" if len(user.lost) > _MOST_LOST else ""
        shown = Text(one_line(lost.replace("T", " ")) + more)
        table.add_row(Text(one_line(user.user_id)), decimals(user.stable), count(user.events), shown)
    return table


def _confused(audit: AuditFacts) -> Table:
    table = figure_table(_("Fits a neighbor better"))
    for name in (_("event"), _("neighbor")):
        table.add_column(name, overflow="fold")
    for event in audit.confused[:_MOST_CONFUSED]:
        told = f"{event.start[:16].replace('T', ' ')} {event.type} {event.summary}".strip()
        table.add_row(*map(Text, map(one_line, (event.user_id, told, event.fits))))
    return table


def _audit_notes(audit: AuditFacts) -> Iterator[str]:
    counts = audit.counts
    message = _(
        "{done} of {users} asked again are done, at most {size} a prompt; {events} in the second answers"
    )
    yield message.format(
        done=count(counts.done),
        users=messages.users(counts.users),
        size=audit.users_a_prompt,
        events=messages.events(audit.stability.second_events),
    )
    if len(audit.unstable) > _MOST_USERS:
        message = _("{users} more below {share}; --json has all")
        left = messages.users(len(audit.unstable) - _MOST_USERS)
        yield message.format(users=left, share=f"{audit.least_stable:g}")
    if counts.pending:
        yield _("The audit is not complete: {users} still to do").format(users=messages.users(counts.pending))
    if counts.failed:
        yield _("{users} failed when asked again, and are left out").format(
            users=messages.users(counts.failed)
        )
    if audit.changed:
        message = _("{users} with other behaviors in the run by now are left out")
        yield message.format(users=messages.users(audit.changed))
    if audit.kept_neighbors:
        message = _("{share} of the neighbors in the audit were neighbors in the run")
        yield message.format(share=messages.share(audit.kept_neighbors, 1))


_ARM_COUNTS: Final = "users done failed pending calls retries prompt_tokens completion_tokens"


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
    for line in _calibration_notes(calibration):
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
        **{key: getattr(counts, key) for key in _ARM_COUNTS.split()},
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


def _calibration_notes(calibration: Calibration) -> Iterator[str]:
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


def event_figures(counts: Counts) -> list[str]:
    """Say how many events there are for a day of a user and how many behaviors they cover; then what is remarkable."""
    figures = []
    if counts.events_per_user_day is not None:
        figures.append(_("{number} a user-day").format(number=f"{counts.events_per_user_day:,.2f}"))
    if counts.coverage is not None:
        covered = messages.share(counts.covered, counts.answered)
        figures.append(_("{share} of the behaviors covered").format(share=covered))
    return figures + messages.event_findings(counts)


def answer_fields(counts: Counts) -> dict[str, list[dict[str, object]]]:
    """Return what answers held as JSON has it."""
    return {
        "by_batch_users": list(map(_row_fields, by_batch_users(counts))),
        "by_position": list(map(_row_fields, by_position(counts))),
    }


def _row_fields(row: BatchRow) -> dict[str, object]:
    return row._asdict() | {"coverage": row.coverage, "events_per_user_day": row.events_per_user_day}


def answer_tables(runs: Mapping[str, Counts]) -> Iterator[Table]:
    """Yield a table for each way in which answers can be compared, with the rows of all runs."""
    for found in batch_tables(runs):
        table = figure_table(found.title, *found.columns[1:])
        for row in found.rows:
            table.add_row(*(Text(_written(value)) for value in row))
        yield table


def _written(value: str | float | None) -> str:
    if isinstance(value, str):
        return value
    return count(value) if isinstance(value, int) else decimals(value)


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
