"""The findings of `eventabs check`: line by line as they come, and as JSON."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import get_args

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventabs.checks import REQUEST_SECONDS, CheckReport, Finding, OnFinding, Section, State
from eventabs.language import gettext as _, ngettext
from eventabs.views.console import encode, one_line, print_line
from eventabs.views.messages import count, duration, joined, money

_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "warning": ("!", "bold yellow"),
    "fault": ("✗", "bold red"),
    "skipped": ("–", "dim"),
}
_ARROW = "→ "


@contextmanager
def showing_findings(console: Console, *, quiet: bool) -> Iterator[OnFinding]:
    """Yield what prints findings as they come, under their section's title; `quiet`: only what is wrong."""
    names = _("Settings"), _("Endpoint"), _("What it can do"), _("A run with these settings")
    titles = dict(zip(get_args(Section), names, strict=True))
    titled: set[Section] = set()

    def show(finding: Finding) -> None:
        if quiet and finding.state not in {"warning", "fault"}:
            return
        if finding.section not in titled:
            titled.add(finding.section)
            print_line(console, titles[finding.section], style="bold")
        _print(console, finding)

    waiting = _("Waiting for answers: {seconds:.0f} seconds at most for each").format(seconds=REQUEST_SECONDS)
    with console.status(Text(waiting)) if console.is_terminal else nullcontext():
        yield show


def _print(console: Console, finding: Finding) -> None:
    mark, style = _MARKS[finding.state]
    names = _names()
    name = names.get(finding.name, finding.name)
    if not console.is_terminal:
        print_line(console, f"  {mark} {name}: {finding.message}")
        if finding.next_step:
            print_line(console, f"    {_ARROW}{finding.next_step}")
        return
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=3, justify="right", style=style)
    row.add_column(width=max(map(cell_len, names.values())))
    row.add_column(overflow="fold")
    row.add_row(
        mark, name, Text(one_line(finding.message), style="dim" if finding.state == "skipped" else "")
    )
    if finding.next_step:
        row.add_row("", "", Text(_ARROW + one_line(finding.next_step), style="cyan"))
    console.print(row)


def render_verdict(console: Console, report: CheckReport) -> None:
    """Print the verdict, and what the check itself cost."""
    warnings = sum(finding.state == "warning" for finding in report.findings)
    if report.exit_code:
        style = "bold red"
        verdict = {
            1: _("The endpoint fails: see what is marked ✗"),
            2: _("The settings have to be corrected: see what is marked ✗"),
        }[report.exit_code]
    elif warnings:
        style = "bold yellow"
        template = ngettext(
            "Checks passed with {count} warning", "Checks passed with {count} warnings", warnings
        )
        verdict = template.format(count=count(warnings))
    else:
        style = "bold green"
        verdict = _("All checks passed")
    print_line(console, joined((verdict, *_spent(report))), style=style)


def check_json(report: CheckReport) -> bytes:
    """Return the object that check prints with --json, and a line end."""
    facts = report.facts
    fields = {
        "sound": not report.exit_code,
        "config": report.config_file or None,
        "provider": report.provider,
        "preset": report.preset,
        "model": report.model,
        "host": report.host,
        "key_variable": report.key_variable,
        "key_set": report.key_is_set,
        "models": None if facts.models is None else [model.name for model in facts.models],
        "context_tokens": facts.context_tokens,
        "abilities": facts.abilities,
        "prompt_tokens": facts.spent.prompt_tokens,
        "completion_tokens": facts.spent.completion_tokens,
        "cached_tokens": facts.spent.cached_tokens,
        "cost": None if report.cost is None else round(report.cost, 6),
        "currency": report.currency,
        "seconds": round(report.seconds, 3),
        "findings": [
            {"section": f.section, "name": f.name, "state": f.state, "said": f.message, "step": f.next_step}
            for f in report.findings
        ],
    }
    return f"{encode(fields)}\n".encode()


def _spent(report: CheckReport) -> list[str]:
    spent = report.facts.spent
    if not any(spent):
        return []
    took = _("the check took {prompt} tokens in and {completion} out in {time}").format(
        prompt=count(spent.prompt_tokens),
        completion=count(spent.completion_tokens),
        time=duration(report.seconds),
    )
    if report.cost is None:
        return [took]
    return [took, _("cost {cost}").format(cost=money(report.cost, report.currency))]


def _names() -> dict[str, str]:
    return {
        "config": _("config"),
        "provider": _("provider"),
        "preset": _("preset"),
        "model": _("model"),
        "address": _("address"),
        "key": _("key"),
        "connection": _("connection"),
        "models": _("models"),
        "request": _("request"),
        "streaming": _("streaming"),
        "usage": _("token counts"),
        "temperature": _("temperature"),
        "thinking": _("thinking"),
        "output_limit": _("answer limit"),
        "json_schema": "json_schema",
        "json_object": "json_object",
        "grammar": _("grammar"),
        "prompt": _("prompt"),
        "limits": _("limits"),
        "context": _("context"),
        "answer_length": _("longest answer"),
        "price": _("price"),
        "repricing": _("long prompts"),
        "tier": _("tier"),
        "input": _("input"),
    }
