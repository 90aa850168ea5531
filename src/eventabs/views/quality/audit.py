"""An audit: what it will ask, what it has found, in the terminal, as JSON, and as a section of the report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.inspection import AuditFacts
from eventabs.language import gettext as _, ngettext
from eventabs.measures import Figure, StabilityRow
from eventabs.quality import AuditPlan
from eventabs.runs import PlannedUse
from eventabs.views import messages
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count
from eventabs.views.quality.figures import cells, decimals, figure_names, figure_table

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
    console.print(_figures(audit))
    if said := _no_intervals(audit):
        print_line(console, said)
    console.print()
    for table in (*_tables(audit), _users(audit), _confused(audit)):
        if table.row_count:
            console.print(table, "", sep="\n")
    for line in _notes(audit):
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
            "by_type": list(map(_row_fields, found.by_type)),
            "by_position": list(map(_row_fields, found.by_position)),
            "by_batch_users": list(map(_row_fields, found.by_batch_users)),
            "least_stable": audit.least_stable,
            "unstable": [user._asdict() for user in audit.unstable],
            "confused": [event._asdict() for event in audit.confused],
        }
    )


def _row_fields(row: StabilityRow) -> dict[str, Any]:
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
        notes=tuple(_notes(audit)),
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


def _figures(audit: AuditFacts) -> Table:
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


def _notes(audit: AuditFacts) -> Iterator[str]:
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
