"""The words and figures for the facts of a run, the same in the terminal, in plain lines and in run.log; and tables, as a terminal shows them.

A page shows the same tables by assets/tables.html.j2.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from textwrap import shorten
from typing import Any

from rich import table as grid
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text

from eventabs import runs
from eventabs.inspection import Table
from eventabs.interface_language import gettext as _, ngettext
from eventabs.prompts import CONVERSION, ENGAGEMENT
from eventabs.shared_records import BATCH_TIER, STANDARD_TIER, ColumnsFound, Copying, Counts, InputWarning
from eventabs.views.output_streams import one_line, print_line

_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "KB"))
TENTHS_BELOW = 10  # above it they are noise
NARROW = 60  # columns of a terminal, below which long texts do not stand side by side
_SHOWN = 100  # characters of a row, or of the names of columns


def count(number: int) -> str:
    """Return 44847 as 44,847."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, tenths below ten seconds."""
    return _("{seconds:.1f}s").format(seconds=seconds) if seconds < TENTHS_BELOW else clock(seconds)


def clock(seconds: float) -> str:
    """Return a time in its two largest units, whole seconds: what a running clock shows."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return _("{days}d {hours:02d}h").format(days=days, hours=hours)
    if hours:
        return _("{hours}h {minutes:02d}m").format(hours=hours, minutes=minutes)
    if minutes:
        return _("{minutes}m {seconds:02d}s").format(minutes=minutes, seconds=rest)
    return _("{seconds}s").format(seconds=rest)


def listed(parts: Iterable[str]) -> str:
    """Join small facts in a row."""
    return _(", ").join(parts)


def joined(clauses: Iterable[str]) -> str:
    """Join clauses that may hold rows of facts themselves."""
    return _("; ").join(clauses)


def average(number: float) -> str:
    """Return a mean rounded to a whole number, below ten to one decimal."""
    return f"{number:.1f}".removesuffix(".0") if number < TENTHS_BELOW else f"{number:,.0f}"


def size(number: int) -> str:
    """Return a number of bytes as 12 KB, 3.4 MB or 56 GB."""
    unit, name = next((each for each in _UNITS if number >= each[0]), _UNITS[-1])
    return f"{average(number / unit)} {name}"


def most_frequent(numbers: Mapping[Any, int]) -> list[tuple[Any, int]]:
    """Return what is counted, the most frequent first, ties in order of their names."""
    return sorted(numbers.items(), key=lambda item: (-item[1], item[0]))


def share(part: float, whole: float) -> str:
    """Return a percentage, never rounded up to 100; "-" of nothing."""
    return f"{min(round(100 * part / whole), 99 if part < whole else 100)} %" if whole else "-"


def at_least(share: float | None) -> str:
    """Return an exact bound as people read it; "" where there is none."""
    return "" if share is None else _("at least {share}").format(share=f"{100 * share:.1f} %")


def money(amount: float, currency: str) -> str:
    """Return an amount with enough digits to be more than zero where it is."""
    digits = 2 if amount >= 1 or not amount else 4
    return f"{amount:,.{digits}f} {one_line(currency)}"


def noted(note: runs.Note) -> str:  # noqa: C901, PLR0911, PLR0912, PLR0915  each kind has its line
    """Return a note as one line."""
    match note:
        case runs.BatchDone():  # first, since there is one for each call
            template = _("Call {call}: {usable} of {users} usable in {time}")
            usable, time = count(note.usable), duration(note.seconds)
            clauses = [template.format(call=note.call, usable=usable, users=users(note.users), time=time)]
            for code, number in note.unusable.items():
                clauses.append(filled(_("{reason} ({count})"), number, reason=in_words(code)))
            if note.ignored or note.missed:
                ignored = ngettext("{count} block ignored", "{count} blocks ignored", note.ignored)
                clauses += counted((ignored, note.ignored), (_added_by_rules(note.missed), note.missed))
            if note.unplaced or note.misfiled or note.repeated:
                of_rows = counted((_("{count} unplaced"), note.unplaced)) + _slips(note)
                clauses.append(_("{state}: {facts}").format(state=_("rows"), facts=listed(of_rows)))
            return joined(clauses)
        case runs.Started():
            config = note.config_file or _("none, defaults in force")
            provider = _("provider {provider}, model {model}, host {host}")
            if note.provider == "rules":
                provider = _("provider rules (built in: no model is called, nothing leaves this machine)")
            provider = provider.format(provider=note.provider, model=note.model, host=note.host)
            template = _("Config {config}; {provider}; run directory {out}")
            if note.resumed:
                template = _("Going on: config {config}; {provider}; run directory {out}")
            return template.format(config=config, provider=provider, out=note.out)
        case Copying():
            if note.done:
                return _("Copied {done} of {size}").format(done=size(note.done), size=size(note.size))
            line = ngettext("Copying {count} object", "Copying {count} objects", note.objects)
            return listed((line, size(note.size))) if note.size else line
        case runs.InputRead():
            return _input_read(note)
        case runs.InputGone():
            return ngettext(
                "{paths} is gone; it has been read and is not needed any more",
                "{paths} are gone; they have been read and are not needed any more",
                len(note.paths),
            ).format(paths=listed(note.paths))
        case ColumnsFound():
            # a column that some of the rows lack with the share of those that have it
            held = {role: share(note.filled[role], note.sampled) for role in note.columns}
            columns = listed(
                f"{role} = {shorten(name, 60, placeholder=' ...')}"
                + (f" ({held[role]})" if note.filled[role] != note.sampled else "")
                for role, name in note.columns.items()
            )
            template = _("Schema: {schema}; columns: {columns}") if note.schema else _("Columns: {columns}")
            return template.format(schema=note.schema, columns=columns)
        case runs.RowShown():
            text = shorten(note.text, _SHOWN, placeholder=" ...")
            template = _("Line {line}: {text} becomes {becomes}")
            return template.format(line=count(note.line), text=text, becomes=note.becomes)
        case InputWarning():
            return _("Warning: {message}").format(message=note.message)
        case runs.Extended():
            facts = news(note)
            if not note.new_behaviors and not note.gone_behaviors:
                facts = [_("the run knows all of it"), *facts[3:]]
            if note.changed_behaviors or note.gone_behaviors:
                facts.append(changed_and_gone(note))
            line = listed(facts)
            if note.too_late_behaviors:
                line = joined((line, too_late(note), _("listed in {path}").format(path=note.listed)))
            return _("Extension: {facts}").format(facts=line)
        case runs.Planned():
            rest = _("{pending} of {users} still to do")
            rest = filled(rest, note.users, pending=count(note.pending_users))
            plan = plan_line(note.batches, note.users_per_batch)
            return plan if note.pending_users == note.users else joined((plan, rest))
        case runs.Retrying():
            template = _("Call {call}: {cause}; again in {wait}")
            return template.format(call=note.call, cause=note.cause, wait=duration(note.wait_seconds))
        case runs.CallFailed():
            template = _("Call {call} for {users} failed: {error}")
            return filled(template, note.users, call=note.call, error=note.error)
        case runs.RequestsWritten():
            written = filled(_("{requests} to be answered: {path}"), note.requests, path=note.path)
            return written + (_("; more could pass --max-cost or --max-total-tokens") if note.left else "")
        case runs.RepliesRead():
            read = listed(_LINES[kind](number) for kind, number in note.lines.items())
            return _("Read {path}: {facts}").format(path=note.path, facts=read or _("nothing"))
        case runs.JobChanged():
            template = _("Job {job} ({batch_id}): {status}, {done} of {requests} requests done")
            counts = {"done": count(note.done), "requests": count(note.requests)}
            return template.format(job=note.job, batch_id=note.batch_id, status=note.status, **counts)
        case runs.AwaitingEndpoint():
            return _("{cause}; again in {wait}").format(cause=note.cause, wait=duration(note.wait_seconds))
        case runs.SettingsTaken():
            return _(
                "Settings have changed since this run began ({changes}): they hold for users not done yet"
            ).format(changes=note.changes)
        case runs.Serving():
            return _("Progress is also at {address}").format(address=note.address)
        case runs.CoolingDown():
            template = _("The endpoint asks for fewer requests: all calls wait {wait}")
            return template.format(wait=duration(note.seconds))
        case runs.MachinesChanged():
            now = ngettext(
                "{count} machine of the Ray cluster makes calls",
                "{count} machines of the Ray cluster make calls",
                note.count,
            )
            template = _("Machine {lost} is lost ({cause}); {now}") if note.lost else "{now}"
            return template.format(lost=note.lost, cause=note.cause, now=now)
        case runs.Stopping():
            template = _("Stopping: calls on their way have {time} to end; a second time stops at once")
            return template.format(time=duration(note.seconds))
        case runs.StateChanged():
            state = in_words(note.status)
            return _("{state}: {cause}").format(state=state, cause=note.cause) if note.cause else state
        case _:
            raise TypeError(note)  # a kind that has no line here


def plan_line(batches: int, users_per_batch: float) -> str:
    """Count the batches of a plan and the users in each."""
    template = _("Split into {batches}, {average} users a batch on average")
    if users_per_batch == 1:
        template = _("Split into {batches} of 1 user")
    return filled(template, batches, average=average(users_per_batch))


def limited(asked: int, of: int) -> list[str]:
    """Say that --limit left users of an input out; nothing where `of` is 0."""
    return [_("limited: {count} of {users}").format(count=count(asked), users=users(of))] if of else []


def causes(numbers: Mapping[str, int]) -> Iterator[str]:
    """Name causes or reasons, each with its number, the most frequent first."""
    for code, number in most_frequent(numbers):
        yield f"{in_words(code)} ×{count(number)}"


def _things(singular: str, plural: str) -> Callable[[int], str]:
    """Make what counts things of a kind."""
    return partial(ngettext, singular, plural)


events = _things("{count} event", "{count} events")
journeys = _things("{count} journey", "{count} journeys")
users = _things("{count} user", "{count} users")
behaviors = _things("{count} behavior", "{count} behaviors")
calls = _things("{count} call", "{count} calls")
batches = _things("{count} batch", "{count} batches")
requests = _things("{count} request", "{count} requests")
lines = _things("{count} line", "{count} lines")
_NAMED = {"events": events, "users": users, "behaviors": behaviors, "batches": batches}
_NAMED |= {"requests": requests, "lines": lines}
_LINES = {  # of a file of replies, by kind
    "replies": _things("{count} reply", "{count} replies"),
    "errors": _things("{count} error", "{count} errors"),
    "not_reached": _things("{count} request was not carried out", "{count} requests were not carried out"),
    "repeated": _things("{count} line is known already", "{count} lines are known already"),
    "late": _things("{count} reply came too late", "{count} replies came too late"),
    "unknown": _things("{count} line is of another run", "{count} lines are of another run"),
    "unreadable": _things("{count} line is no reply", "{count} lines are no replies"),
}


def filled(message: str, number: int, **more: object) -> str:
    """Fill in a number, which the message has as {count}, or with its noun: {events}, {users} or another of those named."""
    told = {name: of(number) for name, of in _NAMED.items() if f"{{{name}}}" in message}
    return message.format(**{"count": count(number)} | told | more)


def counted(*said: tuple[str, int], **more: object) -> list[str]:
    """Fill in numbers, each in its message; what there is none of is left out."""
    return [filled(message, number, **more) for message, number in said if number]


def category(name: str) -> str:
    """Return how a category is shown; only the built-in ones have words in other languages."""
    return {CONVERSION: _("conversion"), ENGAGEMENT: _("engagement")}.get(name, name)


def in_words(code: str) -> str:
    """Name a state of a run or user, why a user has no events, what made a call be repeated; an unknown code is its own name."""
    return {
        "killed": _("Not running: the process was killed or has crashed, state saved"),
        "running": _("Running"),
        "interrupted": _("Interrupted, state saved"),
        "stopped": _("Stopped, state saved"),
        "waiting": _("Waiting for replies, state saved"),
        "completed": _("Completed"),
        "pending": _("pending"),
        "done": _("done"),
        "failed": _("failed"),
        "empty": _("the reply was empty or held no events"),
        "unparsable": _("the reply could not be read"),
        "cut": _("the reply was cut off before the user's end"),
        "missing": _("the reply left the user out"),
        "renumbered": _("the reply numbers the rows of each user anew"),
        "unplaced": _("the reply left out too many of the user's rows"),
        "minor": _("the reply called most of the user's rows minor"),
        "refused": _("the model refused to answer"),
        "content_filter": _("the endpoint's moderation refused the content"),
        "too_long": _("too long for the model's context even alone"),
        "endpoint": _("the endpoint gave no readable answer"),
        "no_readable_rows": _("no row of the user could be read"),
        "rate_limit": _("rate limit"),
        "capacity": _("no capacity"),
        "connection": _("connection"),
        "timeout": _("timeout"),
    }.get(code, f"HTTP {code}" if code.isdecimal() else code)


def failures(numbers: Mapping[str, int]) -> list[str]:
    """List failed users by reason with what helps, the most frequent first, under a title; nothing where there are none."""
    form = _('llm.constrain, prompt.answer = "schema" or another model')
    helps = dict.fromkeys(("empty", "unparsable", "renumbered"), form) | {"minor": _("another model")}
    helps |= dict.fromkeys(("cut", "missing", "unplaced"), _("a smaller budget.max_rows or another model"))
    width = len(count(max(numbers.values(), default=0)))
    lines = []
    for code, number in most_frequent(numbers):
        step = [_("try {help}").format(help=helps[code])] if code in helps else []
        lines.append(f"  {count(number):>{width}}  {joined((in_words(code), *step))}")
    return [_("Failed users by reason:"), *lines] if lines else []


def reject_counts(reasons: Mapping[str, int]) -> str:
    """Name the reasons for rejected rows, with their counts; the names are those of rejects.jsonl."""
    return ", ".join(f"{reason} {count(rows)}" for reason, rows in reasons.items())


def resume_command(out: str) -> str:
    """Return the command that goes on with the run in `out`, ready to paste."""
    return f"eventabs resume {shlex.quote(out)}"


def equal_columns(read: runs.InputRead) -> str:
    """Say in which columns the rows that were dropped as duplicates are equal."""
    names = shorten(one_line(", ".join(read.not_compared or read.compared)), _SHOWN, placeholder=" ...")
    if read.not_compared:
        return _("equal in all columns but {columns}").format(columns=names)
    return _("equal in all columns: {columns}").format(columns=names)


def _input_read(note: runs.InputRead) -> str:
    files = ngettext("{count} file", "{count} files", note.files)
    parts = [files, users(note.users), behaviors(note.behaviors)]
    if note.encodings:
        parts.append(_("read as {encodings}").format(encodings=", ".join(note.encodings)))
    if note.rejected_rows:
        rejected = ngettext("{count} row rejected", "{count} rows rejected", note.rejected_rows)
        parts.append(f"{rejected} ({reject_counts(note.reasons)})" if note.reasons else rejected)
    if note.duplicates:
        dropped = ngettext("{count} duplicate dropped", "{count} duplicates dropped", note.duplicates)
        parts.append(f"{dropped} ({equal_columns(note)})")
    if note.paired_ends or note.unpaired:
        template = ngettext(
            "{count} end joined to its begin ({alone} without a partner)",
            "{count} ends joined to their begins ({alone} without a partner)",
            note.paired_ends,
        )
        parts.append(template.format(alone=count(note.unpaired)))
    shortened = _("{behaviors} with a text cut to 200 characters")
    skipped = _("{lines} left out that are no rows (titles, sums, notices of a chat)")
    no_behavior = ngettext("{count} row is no behavior", "{count} rows are no behaviors", note.non_behaviors)
    foreign = ngettext("{count} row of other shards", "{count} rows of other shards", note.other_rows)
    parts += counted((shortened, note.shortened), (skipped, note.skipped_lines))
    parts += counted((no_behavior, note.non_behaviors), (foreign, note.other_rows))
    return _("Input: {facts}").format(facts=listed(parts))


def _slips(of: runs.BatchDone | Counts) -> list[str]:
    """Count the rows of answers with which something was wrong, for which nobody was asked again."""
    misfiled, repeated = _("{count} under another user's header"), _("{count} repeated")
    return counted((misfiled, of.misfiled), (repeated, of.repeated))


def _added_by_rules(number: int) -> str:
    return ngettext("{count} missed event added by rule", "{count} missed events added by rule", number)


def rows(counts: Counts) -> str:
    """Say what became of the rows of accepted answers; "" before the first."""
    if not counts.answered:
        return ""
    placed = _("{count} in {events} ({journeys})").format(
        count=count(counts.placed), events=events(counts.events), journeys=journeys(counts.journeys)
    )
    minor = counted((_("{count} minor ({share})"), counts.minor), share=share(counts.minor, counts.answered))
    unplaced = filled(_("{count} unplaced"), counts.unplaced)
    unasked = counted((_("{count} not asked for"), counts.unasked))
    return listed((placed, *minor, unplaced, *unasked, *_slips(counts)))


def event_facts(counts: Counts) -> list[str]:
    """Say how many events there are for a day of a user, and what is remarkable about them."""
    a_day = counts.event_counts["events_per_user_day"]
    facts = [] if a_day is None else [_("{number} a user-day").format(number=f"{a_day:,.2f}")]
    outside = ngettext(
        "{count} with a type outside the vocabulary",
        "{count} with types outside the vocabulary",
        counts.outside,
    )
    unlinked = ngettext(
        "journeys of {count} large user not linked",
        "journeys of {count} large users not linked",
        counts.unlinked,
    )
    return facts + counted(
        (_("{count} of which the model was not sure"), counts.unsure),
        (outside, counts.outside),
        (_added_by_rules(counts.missed), counts.missed),
        (unlinked, counts.unlinked),
    )


def figures(progress: runs.Progress, currency: str) -> Iterator[tuple[str, ...]]:
    """Yield how far a run is and what it has used, a label with its facts, some ""."""
    of = _("{done} of {total} done")
    done = of.format(done=count(progress.done), total=count(progress.users))
    yield _("users"), done, _("{count} failed").format(count=count(progress.failed))
    batches = of.format(done=count(progress.batches_done), total=count(progress.batches_total))
    template = _("{count} of {limit} in flight") if progress.in_flight_limit else _("{count} in flight")
    flying = template.format(count=count(progress.in_flight), limit=count(progress.in_flight_limit))
    flying = flying if progress.in_flight_limit or progress.in_flight else ""
    yield _("batches"), batches, flying, calls(progress.calls)
    speed, projected = progress.tokens_per_second, progress.cost_projected
    sent = filled(_("{count} in"), progress.prompt_tokens)
    pace = "" if speed is None else _("{count} tokens/s").format(count=average(speed))
    yield _("tokens"), sent, filled(_("{count} out"), progress.completion_tokens), pace
    if progress.cached_tokens:
        cached = _("{count} in").format(count=count(progress.cached_tokens))
        yield _("cached"), cached, share(progress.cached_tokens, progress.prompt_tokens), ""
    if progress.cost is not None:
        about = "" if projected is None else _("of about {cost}").format(cost=money(projected, currency))
        yield _("cost"), money(progress.cost, currency), about, ""
    for number, line in enumerate(tiers(progress, progress.tier_costs, currency)):
        yield "" if number else _("of that"), line
    if progress.retries:
        yield _("retries"), listed(causes(progress.retry_causes)) or count(progress.retries)


def progress_line(progress: runs.Progress, currency: str) -> str:
    """Return the counts of a run as one line."""
    parts = [
        f"{label} {listed(filter(None, facts))}".strip() for label, *facts in figures(progress, currency)
    ]
    if progress.eta_seconds:
        parts.append(_("{time} left").format(time=clock(progress.eta_seconds)))
    return joined(parts)


def asked_again(numbers: Mapping[str, int]) -> str:
    """Count the users that are asked again after a bad answer, with the reasons; "" where there are none."""
    reasons = causes(numbers) if len(numbers) > 1 else map(in_words, numbers)
    return filled(_("{users} ({reasons})"), sum(numbers.values()), reasons=listed(reasons)) if numbers else ""


def tokens(prompt: int, completion: int, cached: int = 0) -> str:
    """Count tokens in and out, and those in that the endpoint had in its cache, where it had some."""
    template = _("tokens {prompt} in, {completion} out")
    if cached:
        template = _("tokens {prompt} in ({cached} cached), {completion} out")
    return template.format(prompt=count(prompt), cached=count(cached), completion=count(completion))


def tiers(counts: Counts, costs: Mapping[str, float | None], currency: str) -> Iterator[str]:
    """Tell the calls and the cost of each tier, where another than the ordinary one served some."""
    for tier, use in counts.tiers.items():
        if counts.tiers.keys() - {STANDARD_TIER} and use["calls"]:
            cost, made = costs.get(tier), calls(use["calls"])
            template = _("tier {tier}: {calls}") if cost is None else _("tier {tier}: {calls}, {cost}")
            if cost is not None and tier not in {STANDARD_TIER, "flex", BATCH_TIER}:
                template = _("tier {tier}: {calls}, {cost} at the ordinary price, since its own is not known")
            yield template.format(tier=one_line(tier), calls=made, cost=money(cost or 0.0, currency))


def news(counts: "runs.Extended | runs.ExtensionEstimate") -> list[str]:
    """Return what is new in an export, a fact a text."""
    facts = [
        ngettext("{count} new user", "{count} new users", counts.new_users),
        ngettext("{count} known user with news", "{count} known users with news", counts.extended_users),
        ngettext("{count} new behavior", "{count} new behaviors", counts.new_behaviors),
        *counted((_("{count} of them late"), counts.late_behaviors)),
    ]
    again = ngettext(
        "{behaviors} asked about again on {count} day of a user",
        "{behaviors} asked about again on {count} days of users",
        counts.reopened_days,
    )
    return facts + counted((again, counts.reopened_behaviors), behaviors=behaviors(counts.reopened_behaviors))


def changed_and_gone(counts: "runs.Extended | runs.ExtensionEstimate") -> str:
    """Return how many behaviors have changed and are gone."""
    changed, gone = count(counts.changed_behaviors), count(counts.gone_behaviors)
    return _("{changed} changed, {gone} gone").format(changed=changed, gone=gone)


def too_late(counts: "runs.Extended | runs.ExtensionEstimate") -> str:
    """Return how many behaviors are left out."""
    return ngettext(
        "{count} behavior lies more than {lateness} back and is left out; raise extend.lateness to take it",
        "{count} behaviors lie more than {lateness} back and are left out; raise extend.lateness to take them",
        counts.too_late_behaviors,
    ).format(lateness=counts.lateness)


def print_tables(console: Console, tables: Iterable[Table], notes: Iterable[str] = ()) -> None:
    """Print the tables that have rows, an empty line behind each, and the notes."""
    for table in tables:
        if table.rows:
            console.print(drawn(table), "", sep="\n")
    print_line(console, *notes)


def drawn(table: Table, *, least: tuple[int | None, int | None] = (None, None)) -> grid.Table:
    """Make a table of names with figures beside them, under the title where names have no head; `least`: width of names, of figures."""
    made = grid.Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    made.add_column(table.columns[0] or table.title, style="bold", overflow="fold", min_width=least[0])
    for column in table.columns[1:]:
        if column in table.words:
            made.add_column(column, overflow="fold")
        else:
            made.add_column(column, justify="right", min_width=least[1])
    for row in table.rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(written(cell)) for cell in row))
    return made


def labelled(rows: Iterable[tuple[str, str]], style: str = "") -> grid.Table:
    """Make a table of labels, each with what it names beside it."""
    made = grid.Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style=style, no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def beside(columns: Sequence[str]) -> grid.Table:
    """Make a table of long texts side by side, behind a column of marks."""
    made = grid.Table.grid(padding=(0, 1, 0, 0), expand=True)
    made.add_column(width=1, style="bold yellow")
    for name in columns:
        made.add_column(Text(name, style="dim"), ratio=1, overflow="fold")
    made.show_header = any(columns)
    return made


def written(value: str | float | None) -> str:
    """Return a cell as text: figures with three decimals, whole numbers as counts."""
    if isinstance(value, str):
        return one_line(value)
    return count(value) if isinstance(value, int) else decimals(value)


def decimals(value: float | None) -> str:
    """Return a share with three decimals, "-" where it is not defined."""
    return "-" if value is None else f"{value:.3f}"
