"""How a run ended: its own figures, what failed and what to do next; and as JSON."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from eventabs.language import gettext as _
from eventabs.providers import kind_of
from eventabs.runs import Summary
from eventabs.views import messages, usage
from eventabs.views.console import encode, print_command, print_line
from eventabs.views.extension import EVENT_CHANGES, extension_rows
from eventabs.views.messages import count, duration, events, listed, money, share
from eventabs.views.quality.answers import answer_fields, event_figures

_JSON_KEYS = (
    "status provider users success_count failed_count pending events calls retries prompt_tokens completion_tokens"
    " cost seconds out failures behaviors rejected_rows rejects duplicates paired_ends unpaired non_behaviors"
    " schemas columns warnings event_counts answers cached_tokens tiers extension asked_again"
)


def render_summary(console: Console, summary: Summary, *, quiet: bool = False) -> None:
    """Print how the run ended, what failed and what to do next; `quiet`: only the first line and failures."""
    well = summary.status == "completed" and not summary.failed
    print_line(console, _headline(summary), style="bold green" if well else "bold yellow")
    if not quiet:
        console.print("", Padding(_figures(summary), (0, 0, 0, 2), expand=False), "", sep="\n")
        if not kind_of(summary.provider).is_remote:
            print_line(console, _("No model was called: the built-in rules made the events."))
    for line in messages.failures(summary.failures):
        print_line(console, line)
    for label, step in _next_steps(summary):
        print_command(console, label, step)


def summary_json(summary: Summary) -> bytes:
    """Return the object that run and resume print with --json, and a line end."""
    fields = asdict(summary) | {
        "success_count": summary.done,
        "failed_count": summary.failed,
        "pending": summary.pending,
        "event_counts": summary.event_counts,
        "answers": answer_fields(summary),
        "cost": None if summary.cost is None else round(summary.cost, 6),
        "seconds": round(summary.seconds, 3),
        "tiers": usage.tier_fields(summary, summary.tier_costs),
    }
    return f"{encode({key: fields[key] for key in _JSON_KEYS.split()})}\n".encode()


def _headline(summary: Summary) -> str:
    parts = [
        _("{done} of {users} done").format(done=count(summary.done), users=messages.users(summary.users))
    ]
    if summary.failed:
        parts.append(_("{count} failed").format(count=count(summary.failed)))
    if left_out := _left_out(summary):
        parts.append(_("{count} left out by --limit").format(count=count(left_out)))
    if summary.pending:
        parts.append(_("{count} still to do").format(count=count(summary.pending)))
    parts.append(events(summary.events))
    return _("{state}: {facts}").format(state=messages.status(summary.status), facts=listed(parts))


def _left_out(summary: Summary) -> int:
    return max(0, summary.users_in_input - summary.users) if summary.status == "completed" else 0


def _figures(summary: Summary) -> Table:
    calls = count(summary.calls)
    if summary.retries:
        calls = _("{calls} + {retries}").format(calls=calls, retries=messages.retries(summary.retries))
    rows = [
        (_("users"), count(summary.users)),
        (_("calls"), calls),
        (_("time"), duration(summary.seconds)),
    ]
    if again := usage.asked_again(summary.asked_again):
        rows.insert(2, (_("asked again"), again))
    if kind_of(summary.provider).is_remote:
        tokens = _("{prompt} in, {completion} out").format(
            prompt=count(summary.prompt_tokens), completion=count(summary.completion_tokens)
        )
        rows.append((_("tokens"), tokens))
        if summary.cached_tokens:
            cached = share(summary.cached_tokens, summary.prompt_tokens)
            rows.append(
                (_("cached"), listed((_("{count} in").format(count=count(summary.cached_tokens)), cached)))
            )
        if summary.cost is not None:
            rows.append((_("cost"), money(summary.cost, summary.currency)))
        tiers = usage.tiers(summary, summary.tier_costs, summary.currency)
        rows += [("" if number else _("of that"), line) for number, line in enumerate(tiers)]
    if summary.extension is not None:
        rows += extension_rows(summary.extension, is_remote=kind_of(summary.provider).is_remote)
    if found := event_figures(summary):
        rows.append((_("events"), listed(found)))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    for label, figure in rows:
        table.add_row(label, figure)
    return table


def _next_steps(summary: Summary) -> list[tuple[str, str]]:
    """Return what to look at and what to do, each with the file or command for it."""
    out = Path(summary.out)
    steps = [(_("Events: "), str(out / "events.jsonl"))]
    # an extension without news leaves the file as the one before wrote it
    if summary.extension and any(summary.extension[f"events_{change}"] for change in EVENT_CHANGES):
        steps.append((_("What has changed in them: "), str(out / "events.new.jsonl")))
    if summary.rejected_rows:
        template = _("Unreadable rows ({count}), each with its line number: ")
        rejected = messages.reject_counts(summary.rejects) or count(summary.rejected_rows)
        steps.append((template.format(count=rejected), str(out / "rejects.jsonl")))
    if left_out := _left_out(summary):
        template = _("{count} users were left out by --limit; go on with them: ")
        steps.append((template.format(count=count(left_out)), messages.resume_command(summary.out)))
    if summary.failed:
        steps.append((_("Failed users, each with its reason: "), str(out / "failures.jsonl")))
    if summary.status == "waiting":
        steps.append((_("Have them answered: "), str(out / "requests.jsonl")))
        steps.append((_("Then read the replies: "), f"{messages.resume_command(summary.out)} --replies FILE"))
    if summary.status in {"interrupted", "stopped"}:
        steps.append((_("Go on with: "), messages.resume_command(summary.out)))
    return steps
