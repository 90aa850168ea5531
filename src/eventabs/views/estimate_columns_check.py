"""What is shown before a run: an estimate, what was understood of an input, the findings of `eventabs check`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import get_args

from rich.console import Console
from rich.text import Text

from eventabs.check_before_run import REQUEST_SECONDS, CheckReport, Finding, OnFinding, Section, State
from eventabs.inspection import Table
from eventabs.interface_language import gettext as _, ngettext
from eventabs.runs import AskedColumns, Estimate, ExtensionEstimate, InputDescription, Use
from eventabs.shared_records import STANDARD_TIER, InputWarning, Request
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import cut, encode, one_line, picked, print_line, rounded
from eventabs.views.words_and_figures import count, drawn, duration, joined, labelled, money, share


def render_estimate(console: Console, estimate: Estimate) -> None:
    """Print what was understood of the input, what it holds, its tokens, the batches and what the run would cost."""
    notes = [*estimate.described.notes(), *filter(None, [estimate.repriced])]
    warnings = [each for each in notes if isinstance(each, InputWarning)]
    print_line(console, *(messages.noted(each) for each in notes if each not in warnings), style="dim")
    print_line(console, "")
    for table in _tables(estimate):
        # figures are never cut: in a narrower terminal the rows fold
        console.print(drawn(table, least=(26, 12)), "", sep="\n", width=max(console.width, 80), crop=False)
    print_line(console, *_said(estimate))
    print_line(console, *map(messages.noted, warnings), style="yellow")
    if estimate.batches:
        users_a_batch = estimate.users / estimate.batches
        print_line(console, messages.plan_line(estimate.batches, users_a_batch), style="bold")


def render_extension(console: Console, estimate: ExtensionEstimate) -> None:
    """Print what an extension would take in and cost."""
    print_line(console, *map(messages.noted, estimate.described.notes()), style="dim")
    print_line(console, "", *messages.news(estimate))
    if estimate.too_late_behaviors:
        print_line(console, messages.too_late(estimate), style="yellow")
    if estimate.changed_behaviors or estimate.gone_behaviors:
        template = _("{changed}: extend refuses that without --accept-changes; counted here as accepted")
        print_line(console, template.format(changed=messages.changed_and_gone(estimate)), style="yellow")
    taken = _taken(estimate, estimate.currency)
    taken.setdefault(_("cost"), _("unknown; set input and output prices under [llm.price] of the config"))
    console.print("", labelled(taken.items()), "", sep="\n")
    users_a_batch = estimate.users / max(1, estimate.batches)
    print_line(console, messages.plan_line(estimate.batches, users_a_batch), style="bold")


def extension_json(estimate: ExtensionEstimate) -> str:
    """Return the object that `estimate --extend` prints with --json."""
    fields = asdict(estimate) | estimate.described.facts()
    del fields["described"]
    return encode(fields | {"seconds": round(estimate.seconds, 1)})


def estimate_json(estimate: Estimate) -> str:
    """Return the object that estimate prints with --json."""
    use, described, settings = estimate.unpacked, estimate.described.facts(), estimate.settings
    of_use = "calls prompt_tokens expected_output_tokens seconds cost"
    fields = {
        "users_in_input": estimate.described.read.users,
        "warnings": described["warnings"] + ([estimate.repriced._asdict()] if estimate.repriced else []),
        "tokens": {
            "long": estimate.tokens_long,
            "compact": estimate.tokens_compact,
            "prompt_total": estimate.prompt_tokens,
        },
        "seconds": round(estimate.seconds, 1),
        "case": {str(budget): batches for budget, batches in estimate.case_batches.items()},
        "unpacked": picked(of_use, {"calls": use.batches, "seconds": round(use.seconds, 1)}, use),
    }
    keys = """users behaviors rejected_rows duplicates tokens batches lower_bound binds expected_output_tokens seconds cost
        case currency dense larger_output sampled concurrency tokens_per_second max_input_tokens max_output_tokens
        users_in_input paired_ends unpaired shortened skipped_lines non_behaviors unpacked compared not_compared
        schemas columns warnings tier prefix_tokens cost_cached linking_calls"""
    sources = fields, described, estimate, estimate.described.read
    return encode(picked(keys, *sources, settings.run, settings.llm, settings.budget))


def print_prompt(console: Console, request: Request) -> None:
    """Print the messages, each under its role; what they hold is printed to the letter."""
    for message in request.messages:
        console.print(Text(f"[{message['role']}]", style="bold"), soft_wrap=True)
        console.print(Text(message["content"]), soft_wrap=True)


def prompt_json(request: Request) -> str:
    """Return the messages, and what is asked of the answer, as the endpoint gets them."""
    body = {"messages": request.messages, "max_tokens": request.max_output_tokens}
    asked = {"response_format": request.response_format, "grammar": request.grammar or None}
    return encode(body | {name: value for name, value in asked.items() if value is not None})


def _tables(estimate: Estimate) -> Iterator[Table]:
    read = estimate.described.read
    has_ends = read.paired_ends or read.unpaired or None
    held: tuple[tuple[str | int | None, ...], ...] = (
        (_("users"), estimate.users),
        (_("without --limit"), read.users if estimate.users < read.users else None),
        (_("behaviors"), estimate.behaviors, _mean(estimate.behaviors, estimate.users)),
        (_("rejected rows"), read.rejected_rows),
        (_("duplicates dropped"), read.duplicates),
        (_("ends joined to begins"), has_ends and read.paired_ends),
        (_("without a partner"), has_ends and read.unpaired),
        (_("texts cut to 200 characters"), read.shortened or None),
        (_("lines left out that are no rows"), read.skipped_lines or None),
        (_("no behaviors"), read.non_behaviors or None),
    )
    yield Table(_("Input"), ("", _("total"), _("a user")), [row for row in held if row[1] is not None])
    long = estimate.tokens_long
    tokens = (
        (_("long lines, about") if estimate.sampled else _("long lines"), long),
        (_("numbered lines"), estimate.tokens_compact),
        (_("all that is sent"), estimate.prompt_tokens),
    )
    rows = [
        (label, number, _mean(number, estimate.behaviors), f"{number / long:.2f}" if long else "-")
        for label, number in tokens
    ]
    yield Table(_("Input tokens"), ("", _("total"), _("a behavior"), _("ratio")), rows)
    plans = (_("this plan"), estimate.batches), (_("lower bound"), estimate.lower_bound)
    means = [(label, batches, _mean(estimate.users, batches)) for label, batches in plans]
    yield Table(_("Batches"), ("", _("batches"), _("users a batch")), means)
    if estimate.batches:  # both follow from the input, neither was run
        plan, other = (_taken(each, estimate.currency) for each in (estimate, estimate.unpacked))
        beside = [(label, other[label], value) for label, value in plan.items() if label in other]
        yield Table(_("Computed, not measured"), ("", _("without packing"), _("this plan")), beside)


def _taken(use: Use, currency: str) -> dict[str, str]:
    """Return what a plan takes, by label; its cost where it is known."""
    taken = {
        _("calls"): count(use.batches),
        _("input tokens"): count(use.prompt_tokens),
        _("expected output tokens"): count(use.expected_output_tokens),
        _("time"): duration(use.seconds),
    }
    return taken if use.cost is None else taken | {_("cost"): money(use.cost, currency)}


def _mean(total: int, number: int) -> str:
    return f"{total / number:.1f}" if number else "-"


def _said(estimate: Estimate) -> Iterator[str]:
    """Yield what is said below the tables: of answers, other settings, time and cost."""
    if (read := estimate.described.read).duplicates:
        yield _("Duplicates dropped: {equal}").format(equal=messages.equal_columns(read))
    if estimate.batches:
        limits = {
            "input": _("input tokens"),
            "output": _("output tokens"),
            "users": _("users"),
            "rows": _("rows"),
        }
        yield _("Without packing: one user a call, long lines")
        yield _("Answers: about {tokens} tokens, {number} a behavior; what binds: {limit}").format(
            tokens=count(estimate.expected_output_tokens),
            number=_mean(estimate.expected_output_tokens, estimate.behaviors),
            limit=limits[estimate.binds],
        )
    if dense := estimate.dense:
        line = _("--compaction dense: {batches}, {tokens} input tokens")
        line = messages.filled(line, dense["batches"], tokens=count(dense["prompt_total"]))
        about = _("{line}; about, scaled up from {users} users evenly spread")
        yield about.format(line=line, users=count(estimate.sampled)) if estimate.sampled else line
    if larger := estimate.larger_output:
        line = _("--max-output-tokens {limit} instead of {present}: {batches} instead of {now}")
        facts = {"present": estimate.settings.budget.max_output_tokens, "now": count(estimate.batches)}
        yield messages.filled(line, larger["batches"], limit=larger["limit"], **facts)
    calls, speed = estimate.settings.run.concurrency, f"{estimate.settings.llm.tokens_per_second:g}"
    line = _("Time: about {time}, with {calls} calls at once and {speed} output tokens a second each")
    yield line.format(time=duration(estimate.seconds), calls=calls, speed=speed)
    cost = _("Cost: unknown; set input and output prices under [llm.price] of the config")
    if estimate.cost is not None:
        is_usual = estimate.tier == STANDARD_TIER
        template = _("Cost: about {cost}") if is_usual else _("Cost: about {cost} at tier {tier}")
        cost = template.format(cost=money(estimate.cost, estimate.currency), tier=estimate.tier)
        if estimate.cost_cached is not None:
            cached = _(
                "{cost}; {less} if the endpoint has the {tokens} tokens in its cache that every prompt begins with"
            )
            less = money(estimate.cost_cached, estimate.currency)
            cost = cached.format(cost=cost, less=less, tokens=count(estimate.prefix_tokens))
    yield cost
    if linking := estimate.linking_calls:
        yield ngettext(
            "{count} user is too large for a call: one more call says which journeys of its pieces are one; the figures leave it out",
            "{count} users are too large for a call: at most one more call for each says which journeys of its pieces are one; the figures leave them out",
            linking,
        )


def render_columns(console: Console, described: InputDescription) -> None:
    """Print the roles with their columns, rows beside the lines that they become, warnings, and TOML to copy."""
    print_line(console, messages.noted(described.read))
    for mapping in described.found.mappings:
        of = ngettext("Of the first {count} row", "Of the first {count} rows", mapping.sampled)
        rows = [
            (role, name, mapping.filled[role], share(mapping.filled[role], mapping.sampled))
            for role, name in mapping.columns.items()
        ]
        print_line(console, "")
        if mapping.schema:
            print_line(console, _("Schema: {schema}").format(schema=mapping.schema))
        if len(described.found.mappings) > 1:
            print_line(console, _("Files: {files}").format(files=_listed(mapping.files)))
        console.print(drawn(Table("", (_("Role"), _("Column"), of, ""), rows, words=[_("Column")])))
        if mapping.unused:
            unused = _("Without a role: {columns}").format(columns=_listed(mapping.unused))
            print_line(console, unused, style="dim")
    if described.rows:
        heads = _("Line"), _("In the file"), _("What it becomes")
        lines = [(row.line, cut(row.text, 1000), row.becomes) for row in described.rows]
        console.print("", drawn(Table("", heads, lines, words=heads[1:])), sep="\n")
    if described.warnings:
        print_line(console, "", *map(messages.noted, described.warnings), style="yellow")
    print_line(console, "", _("To take other columns, copy this to eventabs.toml and change it:"))
    console.print(Text(described.found.proposal), soft_wrap=True)  # never folded: it is copied


def render_asked(console: Console, asked: AskedColumns, *, written: bool = False) -> None:
    """Print the columns by a model and by values, whether both read the same, and what speaks against the model's."""
    titles = _("By the model"), _("By values")
    for title, read in zip(titles, (asked.model, asked.values), strict=True):
        print_line(console, title, style="bold")
        console.print(Text(read.proposal), soft_wrap=True)
        if read.described:
            print_line(console, messages.noted(read.described.read))
            warnings = (each for each in read.described.warnings if each.message not in read.doubts)
            print_line(console, *map(messages.noted, warnings), style="yellow")
        if read.refused:
            print_line(console, read.refused, style="yellow")
        print_line(console, "")
    if asked.agree:
        print_line(console, _("Both read the same users, times, durations and actions."), style="green")
    elif asked.differences:
        columns = (_("They differ in"), _("rows"), _("first line"), *titles)
        console.print(drawn(Table("", columns, asked.differences, words=titles)))
    left_out, unsound = _("Left out of the model's answer: {what}"), _("Not sound by the model: {doubt}")
    print_line(console, *(left_out.format(what=each) for each in asked.left_out), style="yellow")
    print_line(console, *(unsound.format(doubt=each) for each in asked.model.doubts), style="yellow")
    sound = [f"--write {name}" for name in ("model", "values") if not getattr(asked, name).doubts]
    if sound and not written:
        print_line(console, _("To write one to the config file: {flags}").format(flags=", ".join(sound)))


def columns_json(found: InputDescription | AskedColumns) -> str:
    """Return the object that columns prints with --json; with --ask `described` is what it prints without."""

    def told(described: InputDescription) -> dict[str, object]:
        keys = """schemas columns warnings unknown_actions users behaviors rejected_rows rejects duplicates paired_ends
            unpaired skipped_lines non_behaviors files rows proposal"""
        fields = described.facts() | {"rejects": described.read.reasons, "files": described.found.mappings}
        return picked(keys, fields, described.read, described, described.found)

    if isinstance(found, InputDescription):
        return encode(told(found))
    both = found._asdict()
    for name, read in (("model", found.model), ("values", found.values)):
        both[name] = read._asdict() | ({"described": told(read.described)} if read.described else {})
    return encode(both)


def _listed(names: tuple[str, ...]) -> str:
    listed, others = ", ".join(names[:20]), len(names[20:])
    return _("{names} and {count} more").format(names=listed, count=count(others)) if others else listed


_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "warning": ("!", "bold yellow"),
    "fault": ("✗", "bold red"),
    "skipped": ("–", "dim"),
}


@contextmanager
def showing_findings(console: Console, *, quiet: bool) -> Iterator[OnFinding]:
    """Yield what prints findings as they come, under their section's title; `quiet`: only what is wrong."""
    sections = _("Settings"), _("Endpoint"), _("What it can do"), _("A run with these settings")
    titles = dict(zip(get_args(Section), sections, strict=True))
    names = {
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

    def show(finding: Finding) -> None:
        if quiet and finding.state not in {"warning", "fault"}:
            return
        if title := titles.pop(finding.section, ""):  # before the first of its findings
            print_line(console, title, style="bold")
        mark, style = _MARKS[finding.state]
        said = one_line(f" {names.get(finding.name, finding.name)}: {finding.message}")
        line = Text.assemble("  ", (mark, style), (said, "dim" if finding.state == "skipped" else ""))
        console.print(line, soft_wrap=not console.is_terminal)
        if finding.next_step:
            print_line(console, f"    → {finding.next_step}", style="cyan")

    waiting = _("Waiting for answers: {seconds:.0f} seconds at most for each").format(seconds=REQUEST_SECONDS)
    with console.status(Text(waiting)) if console.is_terminal else nullcontext():
        yield show


def render_verdict(console: Console, report: CheckReport) -> None:
    """Print the verdict, and what the check itself cost."""
    style, verdict = "bold green", _("All checks passed")
    if warnings := sum(finding.state == "warning" for finding in report.findings):
        style = "bold yellow"
        verdict = ngettext(
            "Checks passed with {count} warning", "Checks passed with {count} warnings", warnings
        )
    if report.exit_code:
        style, verdict = "bold red", _("The settings have to be corrected: see what is marked ✗")
    if report.exit_code == 1:
        verdict = _("The endpoint fails: see what is marked ✗")
    facts = [verdict]
    if any(spent := report.spent):
        template = _("the check took {prompt} tokens in and {completion} out in {time}")
        sent, received = count(spent.prompt_tokens), count(spent.completion_tokens)
        facts.append(template.format(prompt=sent, completion=received, time=duration(report.seconds)))
        if report.cost is not None:
            facts.append(_("cost {cost}").format(cost=money(report.cost, report.currency)))
    print_line(console, joined(facts), style=style)


def check_json(report: CheckReport) -> str:
    """Return the object that check prints with --json."""
    fields = {
        "sound": not report.exit_code,
        "config": report.config_file or None,
        "key_set": report.key_is_set,
        "models": None if report.models is None else list(report.models),
        "cost": rounded(report.cost, 6),
        "seconds": round(report.seconds, 3),
        "findings": [
            {"section": f.section, "name": f.name, "state": f.state, "said": f.message, "step": f.next_step}
            for f in report.findings
        ],
    }
    keys = """sound config provider preset model host key_variable key_set models context_tokens abilities prompt_tokens
        completion_tokens cached_tokens cost currency seconds findings"""
    return encode(picked(keys, fields, report, report.spent))
