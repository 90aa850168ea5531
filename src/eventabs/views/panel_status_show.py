"""A run, for people and as JSON: observers of it (the live panel, plain lines, run.log), its state, its end, its users and calls."""

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from io import FileIO
from itertools import groupby, islice
from math import ceil
from pathlib import Path
from typing import Any, Literal

from rich import table as grid
from rich.console import Console, ConsoleRenderable, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.text import Text

from eventabs import runs
from eventabs.inspection import Line, StoredCall, Table, UserView, batch_tables
from eventabs.interface_language import gettext as _, ngettext
from eventabs.runs import Progress, RunState
from eventabs.shared_records import STANDARD_TIER, ColumnsFound, Copying, InputWarning
from eventabs.store import UserRow
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, one_line, picked, print_command, print_line, rounded
from eventabs.views.words_and_figures import clock, count, counted, drawn, duration, joined, labelled, listed

WIDTH = 120  # a wider bar says no more
REFRESHES_PER_SECOND = 8


@dataclass
class ProgressPanel:
    """Draws the latest facts of a run."""

    currency: str
    now: float = 0.0  # this and the next three are seconds of one clock
    began: float = 0.0
    counted_at: float = 0.0  # when `progress` came: from then on its remaining time runs down
    cooling_until: float = 0.0
    title: str = ""
    phase: str = ""
    progress: Progress = field(default_factory=Progress)
    trouble: str = ""
    ended: bool = False

    def __rich__(self) -> Panel:
        return Panel(
            Group(*self._rows()),
            title=Text(one_line(self.title), style="bold"),
            title_align="left",
            border_style="dim",
            width=WIDTH,
        )

    def _rows(self) -> Iterator[RenderableType]:
        progress, finished = self.progress, self.progress.done + self.progress.failed
        template = _("{time} in all") if self.ended else _("{time} so far")
        elapsed = template.format(time=clock(self.now - self.began))
        if not progress.users:
            yield Text(listed((self.phase, elapsed)))
            return
        bar = grid.Table.grid(expand=True, padding=(0, 2, 0, 0))
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True, justify="right")
        bar.add_column(no_wrap=True, justify="right")
        cooling = max(0.0, self.cooling_until - self.now)
        remaining = "" if progress.batches_done else self.phase
        if progress.batches_done and progress.eta_seconds is not None:
            left = progress.eta_seconds - (self.now - self.counted_at) + cooling
            if left >= 0:  # else the estimate has run out: nothing is better than "0s" for minutes
                remaining = _("{time} left").format(time=clock(left))
        part = messages.share(finished, progress.users)
        bar.add_row(ProgressBar(progress.users, finished), part, remaining)
        yield bar
        (label, done, failed), *others = messages.figures(progress, self.currency)
        yield _row(label, done, Text(failed, style="red" if progress.failed else ""), elapsed)
        yield from (_row(*each) for each in others)
        if cooling:
            wait = _("cooling down, {time} left").format(time=clock(cooling))
            yield _row("", Text(wait, style="bold yellow"))
        if self.trouble:
            yield _row(_("last"), Text(one_line(self.trouble), style="yellow"))


def _row(label: str, *cells: str | Text) -> grid.Table:
    row = grid.Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(style="dim", ratio=2, no_wrap=True, width=8)
    for _cell in cells:
        row.add_column(ratio=12 // len(cells), overflow="fold")
    row.add_row(label, *cells)
    return row


class RichObserver(Live):
    """Shows the run on a terminal, inside `with`: one live panel, and above it the notes that concern more than one call."""

    def __init__(
        self, console: Console, *, verbose: bool, currency: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._verbose = verbose
        self._clock = clock
        self._panel = ProgressPanel(currency, began=clock(), phase=_("reading the input"))
        self._columns = WIDTH  # of the frame drawn last
        super().__init__(
            console=console,
            get_renderable=self.picture,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,  # results on standard output go on to where it leads
        )

    def noted(self, fact: runs.Fact) -> None:
        """Keep what the panel shows at its next refresh, and print above it what deserves a line."""
        match fact:
            case Progress():
                self._panel.progress, self._panel.counted_at = fact, self._clock()
                return
            case runs.Started():
                self._panel.title = f"{fact.model} @ {fact.host}" if fact.model else fact.provider
            case runs.InputRead():
                self._panel.phase = _("counting and packing")
            case runs.Planned():
                self._panel.phase = _("waiting for the first reply")
            case runs.CoolingDown():
                self._panel.cooling_until = self._clock() + fact.seconds
            case runs.Retrying() | runs.CallFailed() | runs.AwaitingEndpoint():
                self._panel.trouble = messages.noted(fact)
            case runs.BatchDone() if fact.unusable:
                self._panel.trouble = messages.noted(fact)
        level, style = _look(fact)
        # the closing summary names the state itself
        is_told = level <= BESIDE_PANEL and not (isinstance(fact, runs.StateChanged) and not fact.cause)
        if self._verbose or is_told:
            print_line(self.console, messages.noted(fact), style=style)

    def picture(self) -> RenderableType:
        """Return what the live panel shows now."""
        self._panel.now = self._clock()
        # the cursor rests in a row of its own, where the terminal echoes Ctrl-C: elsewhere that would shift the frame
        return Group(self._panel, Text())

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Draw as ever, but from the top of a frame that the terminal folded when it became narrower: rich knows only the rows it drew."""
        columns, self._columns = self._columns, min(self.console.width, WIDTH)
        folds = ceil(columns / self._columns) - 1
        return [*[self._live_render.position_cursor()] * folds, *super().process_renderables(renderables)]


# how much is told: what went wrong, what stands above a panel, what concerns more than one call, all
QUIET, BESIDE_PANEL, PLAIN, ALL = range(4)

_LOOKS: dict[type, tuple[int, str]] = {  # from which level on a note is told, and in which style
    runs.CallFailed: (QUIET, "yellow"),
    runs.Serving: (QUIET, ""),
    **dict.fromkeys((runs.Started, ColumnsFound, runs.RowShown), (BESIDE_PANEL, "dim")),
    InputWarning: (BESIDE_PANEL, "yellow"),
    runs.Planned: (BESIDE_PANEL, "bold"),
    runs.Stopping: (BESIDE_PANEL, "bold yellow"),
    **dict.fromkeys((Copying, runs.AwaitingEndpoint, runs.CoolingDown), (PLAIN, "")),
    **dict.fromkeys((runs.Extended, runs.InputGone), (PLAIN, "")),
    runs.Retrying: (ALL, "yellow"),
    runs.BatchDone: (ALL, ""),
}


def _look(fact: runs.Note) -> tuple[int, str]:
    if look := _LOOKS.get(type(fact)):
        return look
    match fact:
        case runs.StateChanged(status="stopped"):
            return QUIET, "bold yellow"
        case runs.StateChanged(status="interrupted"):
            return BESIDE_PANEL, "bold yellow"
        case runs.MachinesChanged() if fact.lost:
            return BESIDE_PANEL, "yellow"
    return BESIDE_PANEL, ""


def display(
    console: Console, *, form: Literal["auto", "plain", "json"], quiet: bool, verbose: bool, currency: str
) -> runs.Observer:
    """Choose how standard error shows the run. `auto`: a live panel on a terminal, else plain lines."""
    if form == "json":
        return runs.JsonLines(lambda line: console.out(line.decode(), end="", highlight=False))
    if form == "auto" and not quiet and console.is_terminal and not console.is_dumb_terminal:
        return RichObserver(console, verbose=verbose, currency=currency)
    level = QUIET if quiet else ALL if verbose else PLAIN
    return PlainObserver(partial(print_line, console), level=level, currency=currency)


@dataclass(eq=False)
class PlainObserver:
    """Writes notes up to a level, and the counts at each stop and after every tenth batch, each as a line with the time of day unless quiet."""

    write: Callable[[str], object]
    _: KW_ONLY
    level: int = PLAIN
    currency: str = "USD"
    now: Callable[[], datetime] = datetime.now
    stamp: Callable[[datetime], str] = "{:%Y-%m-%d %H:%M:%S}".format
    _latest: Progress | None = None
    _cooling_until: datetime | None = None

    def noted(self, fact: runs.Fact) -> None:
        """Write a note, and the counts at a stop and after every tenth batch."""
        is_counted = isinstance(fact, runs.StateChanged) and fact.status != "running"
        if isinstance(fact, Progress):
            before, self._latest = self._latest or fact, fact
            is_counted = fact.batches_done // 10 > before.batches_done // 10
        else:
            if _look(fact)[0] > self.level:
                return
            if isinstance(fact, runs.CoolingDown) and self.level < ALL:
                now, before_then = self.now(), self._cooling_until
                self._cooling_until = now + timedelta(seconds=fact.seconds)
                if before_then is not None and now < before_then:  # it is only extended, and told already
                    return
            self._line(messages.noted(fact))
        if is_counted and self._latest is not None and self.level > QUIET:
            self._line(messages.progress_line(self._latest, self.currency))

    def _line(self, text: str) -> None:
        self.write(f"{self.stamp(self.now())} {text}" if self.level > QUIET else text)


def log_to(file: FileIO, *, currency: str, now: Callable[[], datetime] = datetime.now) -> PlainObserver:
    """Make the observer that appends every note, and the counts after every tenth batch, to a log."""

    def write(line: str) -> None:
        # A full disk is the ledger's to report: it stops the run cleanly.
        with suppress(OSError):
            file.write(f"{one_line(line)}\n".encode())

    stamp = partial(datetime.isoformat, timespec="seconds")
    return PlainObserver(write, level=ALL, currency=currency, now=lambda: now().astimezone(), stamp=stamp)


_STATUS_KEYS = """pending in_flight in_flight_limit events calls retries retry_causes cooling_seconds prompt_tokens
    completion_tokens tokens_per_second cost cost_projected currency seconds failures last_failure provider model
    host run_id created_at out event_counts answers cached_tokens tiers jobs asked_again journeys limited"""
_SHARD_KEYS = "shard out status users success_count failed_count"
_AT_REST = ("interrupted", "stopped", "killed")


def progress_fields(status: str, progress: Progress, left: float | None) -> dict[str, object]:
    """Return the fields of GET /progress; `current_batch` is the number of batches sent so far. `left`: seconds, below 0 past the estimate."""
    processed, users = progress.done + progress.failed, progress.users
    percent = round(100 * processed / users, 1) if users else 0.0
    return {
        "status": status,
        "total_users": users,
        "processed_users": processed,
        "success_count": progress.done,
        "failed_count": progress.failed,
        "current_batch": progress.batches_done + progress.in_flight,
        "total_batches": progress.batches_total,
        "progress_percent": percent if processed >= users else min(percent, 99.9),
        "estimated_remaining_seconds": None if left is None or left < 0 else round(left, 1),
    }


def status_json(state: RunState, **more: object) -> str:
    """Return the state of a run as one line of JSON, with what else is to be said."""
    shown = progress_fields(state.status, state, state.eta_seconds)
    if state.shards:
        shards = [
            picked(_SHARD_KEYS, shard, {"success_count": shard.done, "failed_count": shard.failed})
            for shard in state.shards
        ]
        more |= {"shards": shards, **picked("missing_shards merged_at", state)}
    return encode(shown | picked(_STATUS_KEYS, _fields(state), state.endpoint, state) | more)


def _fields(state: RunState) -> dict[str, object]:
    """Return the figures of which JSON has another form than the record."""
    return {
        "users": state.users,
        "success_count": state.done,
        "failed_count": state.failed,
        "cost": rounded(state.cost, 6),
        "seconds": round(state.seconds, 3),
        "tiers": {
            tier: use | {"cost": rounded(state.tier_costs.get(tier), 6)}
            for tier, use in state.tiers.items()
            if state.tiers.keys() - {STANDARD_TIER}  # else the ordinary one served all
        },
        "limited": {"users": state.users, "of": state.limited_of} if state.limited_of else None,
        "last_failure": state.last_failure and messages.noted(state.last_failure),
        "cooling_seconds": round(state.cooling_seconds, 1),
        "tokens_per_second": rounded(state.tokens_per_second, 1),
        "cost_projected": rounded(state.cost_projected, 6),
    }


def render_status(console: Console, state: RunState) -> None:
    """Print the state of a run, and what to do next."""
    if console.is_terminal:
        console.print(_picture(state))
    else:
        headline, *facts = _lines(state)
        print_line(console, headline, messages.progress_line(state, state.endpoint.currency), *facts)
        if state.cooling_seconds:
            print_line(console, _("cooling down, {time} left").format(time=clock(state.cooling_seconds)))
        if state.last_failure:
            print_line(console, messages.noted(state.last_failure))
        time = _("{time} in all") if state.status == "completed" else _("{time} so far")
        print_line(console, time.format(time=duration(state.seconds)))
    # the built-in rules do not see who else is in a batch
    for table in batch_tables({"": state}) if state.endpoint.model else ():
        console.print("", drawn(table), sep="\n")
    _print_steps(console, state)


def _print_steps(console: Console, run: RunState, files: Iterable[tuple[str, str]] = ()) -> None:
    """Show how an answer begins of which nothing could be used, `files` to look at, and what to do."""
    if run.bad_answer:
        template = _("Nothing could be used of an answer that begins: {text}")
        print_line(console, template.format(text=run.bad_answer))
        command = f"eventabs report {shlex.quote(run.out)}"
        print_command(console, _("All bad answers, as they came: "), command)
    for label, path in files:
        print_command(console, label, path)
    for shard in (each for each in run.shards if each.status in _AT_REST):
        label = _("Shard {shard}, {done} of {users} done; go on with: ")
        label = messages.filled(label, shard.users, shard=shard.shard, done=count(shard.done))
        print_command(console, label, messages.resume_command(shard.out))
    retry = " --retry-failed" if run.failures.get("endpoint") and not run.pending else ""
    if run.shards:
        time = f"{datetime.fromisoformat(run.merged_at).astimezone():%Y-%m-%d %H:%M:%S}"
        label = _("As merged at {time}; bring it up to date with: ").format(time=time)
        print_command(console, label, f"eventabs merge DIR... --out {shlex.quote(run.out)}")
    elif run.status in _AT_REST or retry:
        print_command(console, _("Go on with: "), messages.resume_command(run.out) + retry)
    if run.status == "waiting":
        command = f"{messages.resume_command(run.out)} --replies FILE"
        print_command(console, _("Then read the replies: "), command)


def watch_status(
    console: Console, look: Callable[[], RunState], *, as_json: bool, sleep: Callable[[float], None]
) -> None:
    """Show the state of a run until it is completed, also past a kill and a resume."""
    drawn = console.is_terminal and not as_json
    before = ""
    with Live(console=console, auto_refresh=False, redirect_stderr=False) if drawn else nullcontext() as live:
        while True:
            state = look()
            counts = messages.progress_line(state, state.endpoint.currency)
            line = status_json(state) if as_json else one_line(joined((_name(state), counts)))
            if live:
                live.update(_picture(state), refresh=True)
            elif line != before:
                console.out(line, highlight=False)
                before = line
            if state.status == "completed":
                return
            sleep(1.0)


def _picture(state: RunState) -> Group:
    phase = _("waiting for the first reply") if state.users else _("reading the input")
    panel = ProgressPanel(
        state.endpoint.currency,
        began=-state.seconds,  # the clock begins now
        cooling_until=state.cooling_seconds,
        title=state.endpoint.title,
        phase=phase if state.status == "running" else "",
        progress=state,
        trouble=messages.noted(state.last_failure) if state.last_failure else "",
        ended=state.status == "completed",
    )
    style = {"completed": "bold green", "running": "bold"}.get(state.status, "bold yellow")
    headline, *facts = map(one_line, _lines(state))
    return Group(Text(headline, style=style), panel, *map(Text, facts))


def _name(state: RunState) -> str:
    if state.shards:
        total = len(state.shards) + state.missing_shards
        completed = sum(shard.status == "completed" for shard in state.shards)
        of_all = messages.filled(_("{count} of {total} shards completed"), completed, total=count(total))
        return listed((of_all, *counted((_("{count} missing"), state.missing_shards))))
    return messages.in_words(state.status)


def _events(counts: Progress) -> list[tuple[str, str]]:
    """Say what became of the rows and what is known of the events, with a label; nothing before there are any."""
    found = ((_("rows"), messages.rows(counts)), (_("events"), listed(messages.event_facts(counts))))
    return [(label, said) for label, said in found if said]


def _lines(state: RunState) -> list[str]:
    """Name the state, and say what is known of events, users that were asked again, failures, and jobs, a line each."""
    run = state.out, *messages.limited(state.users, state.limited_of)
    told = (_name(state), listed(run)), *_events(state)
    lines = [_("{state}: {facts}").format(state=label, facts=said) for label, said in told]
    if again := messages.asked_again(state.asked_again):
        lines.append(_("Asked again: {users}").format(users=again))
    lines += messages.failures(state.failures)
    for job in filter(lambda job: job.is_out, state.jobs):
        facts = {"job": job.id, "batch_id": job.batch_id or "-", "status": job.status or job.state}
        line = _("Job {job} ({batch_id}): {status}, {requests}")
        lines.append(messages.filled(line, job.requests, **facts))
    return lines


_CHANGES = ("added", "replaced", "removed")  # kinds of lines in events.new.jsonl and journeys.new.jsonl
_SUMMARY_KEYS = """status provider users success_count failed_count pending events journeys calls retries prompt_tokens
    completion_tokens cost seconds out failures behaviors rejected_rows rejects duplicates paired_ends unpaired
    non_behaviors schemas columns warnings unknown_actions conversion_actions event_counts answers cached_tokens tiers extension asked_again"""


def render_summary(console: Console, summary: RunState, *, quiet: bool = False) -> None:
    """Print how the run ended, what failed and what to do next; `quiet`: without figures."""
    well = summary.status == "completed" and not summary.failed
    facts = [
        messages.filled(_("{done} of {users} done"), summary.users, done=count(summary.done)),
        *counted((_("{count} failed"), summary.failed)),
        *messages.limited(summary.users, summary.limited_of),
        *counted((_("{count} still to do"), summary.pending)),
        messages.events(summary.events),
        *counted((messages.journeys(summary.journeys), summary.journeys)),
    ]
    headline = _("{state}: {facts}").format(state=messages.in_words(summary.status), facts=listed(facts))
    print_line(console, headline, style="bold green" if well else "bold yellow")
    if not quiet:
        console.print("", Padding.indent(labelled(_figures(summary), "dim"), 2), "", sep="\n")
    if summary.endpoint.provider == "rules":
        label = _("No model was called: built-in rules made the events. To name a model: ")
        print_command(console, label, "eventabs init --preset NAME")
        if conversions := summary.input["conversion_actions"]:
            label = _("Words for actions that count as conversion: {words}")
            print_line(console, label.format(words=_most_frequent(conversions)))
        if unknown := summary.input["unknown_actions"]:
            label = _(
                "Words for actions that these rules do not know, so that no row with one is a purchase: {words}"
            )
            print_line(console, label.format(words=_most_frequent(unknown)), style="yellow")
            rule = 'events.must = [{ action = "ACTION", category = "conversion", type = "NAME" }]'
            print_command(console, _("Where ACTION is one of them, at the head of eventabs.toml: "), rule)
            reparse = f"eventabs reparse {shlex.quote(summary.out)}"
            print_command(console, _("Then, without a call: "), reparse)
            print_command(console, _("To tell the rules what they mean: "), "eventabs init --rules")
    print_line(console, *messages.failures(summary.failures))
    _print_steps(console, summary, _files(summary))


def _most_frequent(rows: Mapping[str, int]) -> str:
    words = [f'"{word[:40]}" {count(each)}' for word, each in rows.items()]
    return listed(words[:8] + [_("others")] * bool(words[8:]))  # eight, since a goal is often rare


def summary_json(summary: RunState) -> str:
    """Return the object that run and resume print with --json."""
    return encode(picked(_SUMMARY_KEYS, _fields(summary), summary.input, summary.endpoint, summary))


def _figures(summary: RunState) -> Iterator[tuple[str, str]]:
    is_remote = summary.endpoint.provider != "rules"
    shown = messages.figures(summary, summary.endpoint.currency)
    for label, *facts in shown if is_remote else islice(shown, 1):
        yield label, listed(filter(None, facts))
    if again := messages.asked_again(summary.asked_again):
        yield _("asked again"), again
    yield _("time"), duration(summary.seconds)
    if (taken := summary.extension) is not None:
        users = messages.users(taken["new_users"] + taken["extended_users"])
        facts = [users, messages.behaviors(taken["new_behaviors"]), messages.calls(taken["calls"])]
        if is_remote:
            facts.append(messages.tokens(taken["prompt_tokens"], taken["completion_tokens"]))
        yield _("new"), listed(facts)
        for label, of in ((_("events changed"), "events"), (_("journeys changed"), "journeys")):
            told = {change: count(taken[f"{of}_{change}"]) for change in _CHANGES}
            if of == "events" or any(taken[f"{of}_{change}"] for change in _CHANGES):
                yield label, _("{added} added, {replaced} replaced, {removed} removed").format(**told)
    yield from _events(summary)


def _files(summary: RunState) -> Iterator[tuple[str, str]]:
    """Yield what to look at, each with its file, and how to go on with users that were left out."""
    out = Path(summary.out)
    yield _("Events: "), str(out / "events.jsonl")
    if summary.journeys:
        yield _("Journeys: "), str(out / "journeys.jsonl")
    for of in ("events", "journeys"):
        # an extension without news leaves the files as the one before wrote them
        if summary.extension and any(summary.extension[f"{of}_{change}"] for change in _CHANGES):
            yield _("What has changed in them: "), str(out / f"{of}.new.jsonl")
    if rows := summary.input["rejected_rows"]:
        template = _("Unreadable rows ({count}), each with its line number: ")
        rejected = messages.reject_counts(summary.input["rejects"]) or count(rows)
        yield template.format(count=rejected), str(out / "rejects.jsonl")
    if summary.limited_of and summary.status == "completed":
        yield _("Go on with the users that --limit left out: "), messages.resume_command(summary.out)
    if summary.failed:
        yield _("Failed users, each with its reason: "), str(out / "failures.jsonl")
    if summary.status == "waiting":
        yield _("Have them answered: "), str(out / "requests.jsonl")


_MARKS = {"placed": "", "minor": "·", "unplaced": "!", "unasked": "–", "": "○"}


def render_users(console: Console, rows: Sequence[UserRow], *, total: int, skip: int) -> None:
    """Print a page of users."""
    if not rows:
        message = _("--offset {offset} leaves out all of {total}.") if total else _("No users of this kind.")
        print_line(console, message.format(offset=skip, total=messages.users(total)))
        return
    words = _("state"), _("reason")
    columns = _("user"), words[0], _("behaviors"), _("events"), words[1]
    told = [
        (
            row.user_id,
            Text(messages.in_words(row.state), {"failed": "red", "pending": "yellow"}.get(row.state, "")),
            row.behaviors,
            row.events,
            messages.in_words(row.reason) if row.state == "failed" and row.reason else "",
        )
        for row in rows
    ]
    console.print(drawn(Table("", columns, told, words=words)))
    shown = skip + len(rows)
    page = _("{first}-{last} of {total}").format(
        first=count(skip + 1), last=count(shown), total=messages.users(total)
    )
    if shown < total:
        page = joined((page, _("more with --offset {offset}").format(offset=shown)))
    print_line(console, page)


def users_json(rows: Iterable[UserRow], *, total: int, skip: int) -> str:
    """Return a page of users as one line of JSON."""
    return encode({"total": total, "offset": skip, "users": list(rows)})


def render_user(console: Console, view: UserView) -> None:
    """Print a user's journeys, and each day's behaviors on the left, on the right the events that they are part of."""
    row = view.row
    facts = [
        messages.in_words(row.state),
        messages.behaviors(row.behaviors),
        messages.events(len(view.events)),
    ]
    facts += counted((messages.journeys(len(view.journeys)), len(view.journeys)))
    if row.state == "failed" and row.reason:
        facts.append(messages.in_words(row.reason))
    named = " ".join((row.user_id, *(value for _column, value in view.profile)))
    print_line(console, _("{state}: {facts}").format(state=named, facts=listed(facts)), style="bold")
    for journey in view.journeys.values():
        first, last = journey["start"][:10], journey["end"][:10]
        days = ngettext("{count} day", "{count} days", journey["days"])
        facts = [first if first == last else f"{first} – {last}", days]
        if journey["converted"]:
            facts.append(_("converted"))
        facts.append(" → ".join(journey["types"]))
        named = f"> {journey['kind']} {journey['name']}"
        print_line(console, _("{state}: {facts}").format(state=named, facts=listed(facts)), style="cyan")
    side_by_side = console.width >= messages.NARROW  # else events follow the behaviors that they begin with
    table = messages.beside([""] * (1 + side_by_side))
    for day, lines in groupby(view.lines, lambda line: line.day):
        table.add_row("", Text(one_line(day), style="bold"))
        for line in lines:
            text = Text(one_line(line.text), style="dim" if line.state == "minor" else "")
            said = _of_event(view, line)
            table.add_row(_MARKS[line.state], text, *[said] * side_by_side)
            if line.begins and not side_by_side:
                table.add_row("", Text.assemble("  ", said, style="cyan"))
    console.print(table)
    states = Counter(line.state for line in view.lines)
    legend = {
        "minor": _("{mark} minor ({count})"),
        "unplaced": _("{mark} unplaced ({count})"),
        "unasked": _("{mark} not asked for ({count})"),
    }
    for state in filter(states.get, legend):
        print_line(console, messages.filled(legend[state], states[state], mark=_MARKS[state]))


def _of_event(view: UserView, line: Line) -> Text:
    """Return the event that begins with a line whole, later only its type, and a stroke right below another line of it."""
    if line.event is None:
        return Text()
    event = view.events[line.event]
    if line.begins:
        journey = view.journeys.get(event["journey"])
        return Text(event_text(event) + (f" > {one_line(journey['name'])}" if journey else ""))
    before = view.lines[line.index - 1]
    follows = before.event == line.event and before.day == line.day
    return Text("│" if follows else f"│ {one_line(event['type'])}", style="dim")


def user_json(view: UserView, calls: Iterable[StoredCall] | None) -> str:
    """Return a user as one line of JSON; with the stored calls where they are asked for."""
    fields: dict[str, object] = view.row._asdict() | {
        "profile": dict(view.profile),
        "lines": view.lines,
        "events": view.events,
        "journeys": list(view.journeys.values()),
        **{
            state: [line.index for line in view.lines if line.state == state]
            for state in ("minor", "unplaced", "unasked")
        },
    }
    if calls is not None:
        fields["calls"] = list(calls)
    return encode(fields)


def render_calls(console: Console, calls: Iterable[StoredCall]) -> None:
    """Print the stored prompts and replies; instructions that are those of an earlier call are not repeated."""
    printed: dict[str, int] = {}  # texts by the first call that has them
    for call in calls:
        sent = datetime.fromtimestamp(call.sent_at).astimezone()
        head = _("Call {call}, sent {time}, this user is {aliases}").format(
            call=call.id, time=f"{sent:%Y-%m-%d %H:%M:%S}", aliases=listed(call.asked)
        )
        facts = [head, call.status]
        if call.seconds is not None:
            tokens = messages.tokens(call.prompt_tokens, call.completion_tokens, call.cached_tokens)
            facts += [call.finish_reason or "", tokens, duration(call.seconds)]
        console.print()
        print_line(console, joined([*facts, call.error] if call.error else facts), style="bold")
        for message in call.messages:
            text = message["content"]
            if (first := printed.setdefault(text, call.id)) != call.id and message["role"] == "system":
                text = _("(as in call {call})").format(call=first)
            _print_text(console, message["role"], text)
        if call.reasoning:
            _print_text(console, _("reasoning"), call.reasoning)
        _print_text(console, _("reply"), call.reply or _("none"))


def _print_text(console: Console, title: str, text: str) -> None:
    print_line(console, f"--- {title}", style="dim")
    for line in text.split("\n"):
        console.print(Text(one_line(line)), soft_wrap=True)


def event_text(event: Mapping[str, Any]) -> str:
    """Return an event on one line; one that ends on another day with that day."""
    start, end = str(event["start"])[:16], str(event["end"])[:16]  # to the minute
    begin, until = start[11:], end[11:] if end[:10] == start[:10] else end[5:].replace("T", " ")
    span = begin if until == begin else f"{begin}-{until}"
    category = f"({messages.category(event['category'])})" if event["category"] else ""
    kind = str(event["type"]) + ("" if event["sure"] else "?")
    return one_line(" ".join(filter(None, (span, kind, category, str(event["summary"])))))
