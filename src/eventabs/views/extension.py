"""What an extension takes in, would take in and has changed, in words, as a table and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.table import Table

from eventabs.language import gettext as _, ngettext
from eventabs.runs import Extended, ExtensionEstimate
from eventabs.views import messages, usage
from eventabs.views.console import encode, print_line

EVENT_CHANGES: Final = ("added", "replaced", "removed")  # kinds of lines in events.new.jsonl


def taken_in(note: Extended) -> str:
    """Return what an extension has taken in as one line."""
    facts = [*_news(note.new_users, note.extended_users, note.new_behaviors)]
    if not note.new_behaviors and not note.gone_behaviors:
        facts = [_("the run knows all of it")]
    if note.late_behaviors:
        facts.append(_("{count} of them late").format(count=messages.count(note.late_behaviors)))
    if note.changed_behaviors or note.gone_behaviors:
        facts.append(_changed(note.changed_behaviors, note.gone_behaviors))
    if note.reopened_behaviors:
        facts.append(_asked_again(note.reopened_behaviors, note.reopened_days))
    line = messages.listed(facts)
    if note.too_late_behaviors:
        left_out = _too_late(note.too_late_behaviors, note.lateness)
        where = _("listed in {path}").format(path=note.listed)
        line = messages.joined((line, left_out, where))
    return _("Extension: {facts}").format(facts=line)


def extension_rows(extension: Mapping[str, int], *, is_remote: bool) -> list[tuple[str, str]]:
    """Return rows of a table: what the last extension took, and what it changed in the events."""
    calls = extension["calls"]
    taken = [
        messages.users(extension["new_users"] + extension["extended_users"]),
        messages.behaviors(extension["new_behaviors"]),
        ngettext("{count} call", "{count} calls", calls).format(count=messages.count(calls)),
    ]
    if is_remote:
        taken.append(usage.tokens(extension["prompt_tokens"], extension["completion_tokens"]))
    kinds = {kind: messages.count(extension[f"events_{kind}"]) for kind in EVENT_CHANGES}
    changed = _("{added} added, {replaced} replaced, {removed} removed").format(**kinds)
    return [(_("new"), messages.listed(taken)), (_("events changed"), changed)]


def render_extension(console: Console, estimate: ExtensionEstimate) -> None:
    """Print what an extension would take in and cost."""
    for note in estimate.described.notes():
        print_line(console, messages.noted(note), style="dim")
    print_line(console, "")
    for fact in _news(estimate.new_users, estimate.extended_users, estimate.new_behaviors):
        print_line(console, fact)
    if estimate.late_behaviors:
        print_line(console, _("{count} of them late").format(count=messages.count(estimate.late_behaviors)))
    if estimate.reopened_behaviors:
        print_line(console, _asked_again(estimate.reopened_behaviors, estimate.reopened_days))
    if estimate.too_late_behaviors:
        print_line(console, _too_late(estimate.too_late_behaviors, estimate.lateness), style="yellow")
    if estimate.changed_behaviors or estimate.gone_behaviors:
        changed = _changed(estimate.changed_behaviors, estimate.gone_behaviors)
        template = _("{changed}: extend refuses that without --accept-changes; counted here as accepted")
        print_line(console, template.format(changed=changed), style="yellow")
    table = Table.grid(padding=(0, 2, 0, 0))
    for label, figure in _figures(estimate):
        table.add_row(label, figure)
    console.print("", table, "", sep="\n")
    print_line(
        console, messages.plan(estimate.batches, estimate.users / max(1, estimate.batches)), style="bold"
    )


def extension_json(estimate: ExtensionEstimate) -> bytes:
    """Return the object that `estimate --extend` prints with --json, and a line end."""
    fields = asdict(estimate) | estimate.described.facts()
    del fields["described"]
    return f"{encode(fields | {'seconds': round(estimate.seconds, 1)})}\n".encode()


def _figures(estimate: ExtensionEstimate) -> list[tuple[str, str]]:
    cost = _("unknown; set input and output prices under [llm.price] of the config")
    if estimate.cost is not None:
        cost = messages.money(estimate.cost, estimate.currency)
    return [
        (_("calls"), messages.count(estimate.batches)),
        (_("input tokens"), messages.count(estimate.prompt_tokens)),
        (_("expected output tokens"), messages.count(estimate.expected_output_tokens)),
        (_("time"), messages.duration(estimate.seconds)),
        (_("cost"), cost),
    ]


def _news(new_users: int, extended_users: int, new_behaviors: int) -> list[str]:
    templates = (
        (ngettext("{count} new user", "{count} new users", new_users), new_users),
        (
            ngettext("{count} known user with news", "{count} known users with news", extended_users),
            extended_users,
        ),
        (ngettext("{count} new behavior", "{count} new behaviors", new_behaviors), new_behaviors),
    )
    return [template.format(count=messages.count(number)) for template, number in templates]


def _changed(changed: int, gone: int) -> str:
    template = _("{changed} changed, {gone} gone")
    return template.format(changed=messages.count(changed), gone=messages.count(gone))


def _asked_again(number: int, days: int) -> str:
    template = ngettext(
        "{behaviors} asked about again on {count} day of a user",
        "{behaviors} asked about again on {count} days of users",
        days,
    )
    return template.format(behaviors=messages.behaviors(number), count=messages.count(days))


def _too_late(behaviors: int, lateness: str) -> str:
    template = ngettext(
        "{count} behavior lies more than {lateness} back and is left out; raise extend.lateness to take it",
        "{count} behaviors lie more than {lateness} back and are left out; raise extend.lateness to take them",
        behaviors,
    )
    return template.format(count=messages.count(behaviors), lateness=lateness)
