"""Observers of a run: the live panel, plain lines, run.log, JSON lines, several at once, and the choice between them."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from io import FileIO
from math import ceil
from typing import Literal, Self

from rich.box import ROUNDED
from rich.console import Console, ConsoleRenderable, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from eventabs import runs
from eventabs.interface_language import gettext as _, ngettext
from eventabs.shared_records import ColumnsFound, Copying, InputWarning
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import encode, one_line, print_line
from eventabs.views.words_and_figures import clock, count, listed, share

WIDTH = 120  # a wider bar says no more


@dataclass
class ProgressPanel:
    """Draws the latest facts of a run.

    `began`, `now`, `counted_at` (when the counts came) and `cooling_until` are seconds of one clock; between
    two counts the remaining time runs down with it, and is gone when it has run out.
    """

    currency: str
    now: float = 0.0
    began: float = 0.0
    counted_at: float = 0.0
    cooling_until: float = 0.0
    title: str = ""
    phase: str = ""
    progress: runs.Progress = field(default_factory=runs.Progress)
    trouble: str = ""
    ended: bool = False

    def __rich__(self) -> Panel:
        return Panel(
            Group(*self._rows()),
            box=ROUNDED,
            title=Text(one_line(self.title), style="bold") if self.title else None,
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
        bar = Table.grid(expand=True, padding=(0, 2, 0, 0))
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True, justify="right")
        bar.add_column(no_wrap=True, justify="right")
        drawn = ProgressBar(total=progress.users, completed=finished)
        bar.add_row(drawn, share(finished, progress.users), self._remaining())
        yield bar
        of = _("{done} of {total} done")
        users = of.format(done=count(progress.done), total=count(progress.users))
        failed = _("{count} failed").format(count=count(progress.failed))
        yield _row(_("users"), users, Text(failed, style="red" if progress.failed else ""), elapsed)
        batches = of.format(done=count(progress.batches_done), total=count(progress.batches_total))
        calls = ngettext("{count} call", "{count} calls", progress.calls)
        yield _row(_("batches"), batches, messages.in_flight(progress), calls)
        for label, *cells in messages.spent(progress, self.currency):
            yield _row(label, *cells)
        if progress.retries or self._cooling:
            causes = listed(messages.causes(progress.retry_causes)) or count(progress.retries)
            left = _("cooling down, {time} left").format(time=clock(self._cooling)) if self._cooling else ""
            yield _row(_("retries"), causes if progress.retries else "", Text(left, style="bold yellow"))
        if self.trouble:
            yield _row(_("last"), Text(one_line(self.trouble), style="yellow"))

    @property
    def _cooling(self) -> float:
        return max(0.0, self.cooling_until - self.now)

    def _remaining(self) -> str:
        if not self.progress.batches_done:
            return self.phase
        if self.progress.eta_seconds is None:
            return ""
        left = self.progress.eta_seconds - (self.now - self.counted_at) + self._cooling
        if left < 0:  # the estimate has run out: nothing is better than "0s" for minutes
            return ""
        return _("{time} left").format(time=clock(left))


def _row(label: str, *cells: str | Text) -> Table:
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(style="dim", ratio=2, no_wrap=True, width=8)
    for _cell in cells:
        row.add_column(ratio=12 // len(cells), overflow="fold")
    row.add_row(label, *cells)
    return row


REFRESHES_PER_SECOND = 8


class _FoldingLive(Live):
    """Erases the whole of a frame that a terminal folded when it became narrower: rich knows only the rows it drew."""

    columns = WIDTH  # of the frame drawn last

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Go up over the frame once for each fold, and then as ever."""
        columns, self.columns = self.columns, min(self.console.width, WIDTH)
        folds = ceil(columns / self.columns) - 1
        return [*[self._live_render.position_cursor()] * folds, *super().process_renderables(renderables)]


class RichObserver:
    """Shows the run on a terminal: one live panel, with the notes that concern more than one call above it.

    A context manager: the panel lives inside it. `clock` counts seconds, from anywhere.
    """

    def __init__(
        self, console: Console, *, verbose: bool, currency: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._verbose = verbose
        self._clock = clock
        moment = clock()
        self._panel = ProgressPanel(currency, moment, moment, moment, moment, phase=_("reading the input"))
        self._live = _FoldingLive(
            console=console,
            get_renderable=self.picture,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,  # results on standard output go on to where it leads
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def started(self, facts: runs.Started) -> None:
        """Print the first line and name the model in the panel's title."""
        self._panel.title = f"{facts.model} @ {facts.host}" if facts.model else facts.provider
        print_line(self._console, messages.started(facts), style="dim")

    def noted(self, note: runs.Note) -> None:
        """Print a note above the panel if it deserves a line, or keep it as the last trouble."""
        match note:
            case runs.InputRead():
                self._panel.phase = _("counting and packing")
            case runs.Planned():
                self._panel.phase = _("waiting for the first reply")
            case runs.CoolingDown():
                self._panel.cooling_until = self._clock() + note.seconds
            case runs.Retrying() | runs.CallFailed():
                self._panel.trouble = messages.noted(note)
            case runs.BatchDone() if note.unusable:
                self._panel.trouble = messages.noted(note)
        level, style = _look(note)
        # the closing summary names the state itself
        is_told = level <= BESIDE_PANEL and not (isinstance(note, runs.StateChanged) and not note.cause)
        if self._verbose or is_told:
            print_line(self._console, messages.noted(note), style=style)

    def progressed(self, progress: runs.Progress) -> None:
        """Keep the counts; the panel takes them at its next refresh."""
        self._panel.progress = progress
        self._panel.counted_at = self._clock()

    def picture(self) -> RenderableType:
        """Return what the live panel shows now."""
        self._panel.now = self._clock()
        # the cursor rests in a row of its own, where the terminal echoes Ctrl-C: elsewhere that would shift the frame
        return Group(self._panel, Text())


# how much is told: what went wrong, what stands above a panel, what concerns more than one call, all
QUIET, BESIDE_PANEL, PLAIN, ALL = range(4)

_LOOKS: dict[type, tuple[int, str]] = {  # from which level on a note is told, and in which style
    runs.CallFailed: (QUIET, "yellow"),
    runs.Serving: (QUIET, ""),
    ColumnsFound: (BESIDE_PANEL, "dim"),
    runs.RowShown: (BESIDE_PANEL, "dim"),
    runs.KeyUnset: (BESIDE_PANEL, "yellow"),
    InputWarning: (BESIDE_PANEL, "yellow"),
    runs.Planned: (BESIDE_PANEL, "bold"),
    runs.Stopping: (BESIDE_PANEL, "bold yellow"),
    **dict.fromkeys((Copying, runs.AwaitingEndpoint, runs.CoolingDown), (PLAIN, "")),
    **dict.fromkeys((runs.Extended, runs.InputGone), (PLAIN, "")),
    runs.Retrying: (ALL, "yellow"),
    runs.BatchDone: (ALL, ""),
}


def _look(note: runs.Note) -> tuple[int, str]:
    match note:
        case runs.StateChanged(status="stopped"):
            return QUIET, "bold yellow"
        case runs.StateChanged(status="interrupted"):
            return BESIDE_PANEL, "bold yellow"
        case runs.MachinesChanged() if note.lost:
            return BESIDE_PANEL, "yellow"
    return _LOOKS.get(type(note), (BESIDE_PANEL, ""))


BATCHES_A_LINE = 10
SECONDS_BETWEEN_COUNTS = 0.2


def display(
    console: Console,
    *,
    form: Literal["auto", "plain", "json"] = "auto",
    quiet: bool = False,
    verbose: bool = False,
    currency: str = "USD",
) -> runs.Observer:
    """Choose how standard error shows the run. `auto`: a live panel on a terminal, else plain lines."""
    if form == "json":
        return JsonObserver(console)
    if form == "auto" and not quiet and console.is_terminal and not console.is_dumb_terminal:
        return RichObserver(console, verbose=verbose, currency=currency)
    level = QUIET if quiet else ALL if verbose else PLAIN
    return PlainObserver(partial(print_line, console), level=level, currency=currency)


class PlainObserver:
    """Writes notes up to a level as lines, and the counts at each stop and after every tenth batch, also of a resumed run.

    Each with the time of day unless it is quiet: then it tells what went wrong, and the summary shows the rest.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        level: int = PLAIN,
        currency: str = "USD",
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._write = write
        self._level = level
        self._currency = currency
        self._now = now
        self._latest: runs.Progress | None = None
        self._cooling_until: datetime | None = None

    def started(self, facts: runs.Started) -> None:
        """Write the first line."""
        if self._level > QUIET:
            self.line(messages.started(facts))

    def noted(self, note: runs.Note) -> None:
        """Write a note, and the counts at a stop."""
        if _look(note)[0] > self._level:
            return
        if isinstance(note, runs.CoolingDown) and self._level < ALL:
            now, before = self._now(), self._cooling_until
            self._cooling_until = now + timedelta(seconds=note.seconds)
            if before is not None and now < before:  # it is only extended, and told already
                return
        self.line(messages.noted(note))
        if isinstance(note, runs.StateChanged) and note.status != "running" and self._latest is not None:
            self.line(messages.progress_line(self._latest, self._currency))

    def progressed(self, progress: runs.Progress) -> None:
        """Write the counts after every tenth batch."""
        if self._level == QUIET:
            return
        before, self._latest = self._latest or progress, progress
        if progress.batches_done // BATCHES_A_LINE > before.batches_done // BATCHES_A_LINE:
            self.line(messages.progress_line(progress, self._currency))

    def line(self, text: str) -> None:
        """Write a line."""
        stamp = f"{self._now():%Y-%m-%d %H:%M:%S} " if self._level > QUIET else ""
        self._write(f"{stamp}{text}")


class LogObserver(PlainObserver):
    """Appends every note, and the counts after every tenth batch, to a log."""

    def __init__(self, file: FileIO, *, currency: str, now: Callable[[], datetime] = datetime.now) -> None:
        super().__init__(lambda lines: file.write(lines.encode()), level=ALL, currency=currency, now=now)
        self._unwritten: list[str] = []

    def noted(self, note: runs.Note) -> None:
        """Log a note, and the counts at a stop; replies with the counts that follow them."""
        if isinstance(note, runs.BatchDone):  # of hundreds a second each would wait for the disk
            self._add(messages.noted(note))
        else:
            super().noted(note)

    def progressed(self, progress: runs.Progress) -> None:
        """Log the latest replies, and the counts after every tenth batch."""
        super().progressed(progress)
        if self._unwritten:
            self._flush()

    def line(self, text: str) -> None:
        """Append a line of any text, such as an error that ended the run."""
        self._add(text)
        self._flush()

    def _add(self, text: str) -> None:
        stamp = self._now().astimezone().isoformat(timespec="seconds")
        self._unwritten.append(f"{stamp} {one_line(text)}\n")

    def _flush(self) -> None:
        lines, self._unwritten = self._unwritten, []
        # A full disk is the ledger's to report: it stops the run cleanly.
        with contextlib.suppress(OSError):
            self._write("".join(lines))


class JsonObserver(AbstractContextManager["JsonObserver"]):
    """Writes one object a fact: `event` names it (started, planned, progress, ...), `time` is ISO 8601.

    Counts come at most five times a second, the last ones always, at the end of its context at the latest.
    """

    def __init__(
        self,
        console: Console,
        *,
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._now = now
        self._clock = clock
        self._held: runs.Progress | None = None
        self._last_counts = -SECONDS_BETWEEN_COUNTS

    def __exit__(self, *_error: object) -> None:
        self._write_held()

    def started(self, facts: runs.Started) -> None:
        """Write the facts of the start."""
        self._write("started", asdict(facts))

    def noted(self, note: runs.Note) -> None:
        """Write a note, after the counts that led to it."""
        self._write_held()
        self._write(event_name(type(note)), asdict(note))

    def progressed(self, progress: runs.Progress) -> None:
        """Write the counts, or hold them back until some time has passed."""
        self._held = progress
        if self._clock() - self._last_counts >= SECONDS_BETWEEN_COUNTS:
            self._write_held()

    def _write_held(self) -> None:
        if self._held is not None:
            facts = asdict(self._held)
            del facts["answers"]  # which the ledger alone counts
            self._write("progress", facts)
            self._held = None
            self._last_counts = self._clock()

    def _write(self, event: str, facts: Mapping[str, object]) -> None:
        stamp = self._now().astimezone().isoformat(timespec="milliseconds")
        self._console.out(encode({"event": event, "time": stamp, **facts}), highlight=False)


def event_name(kind: type) -> str:
    """Return `batch_done` for BatchDone."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


class Observers:
    """Passes facts on to several observers, `opening` notes after the start."""

    def __init__(self, observers: Sequence[runs.Observer], opening: Sequence[runs.Note]) -> None:
        self._observers, self._opening = observers, opening

    def started(self, facts: runs.Started) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.started(facts)
        for note in self._opening:
            self.noted(note)

    def noted(self, note: runs.Note) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.noted(note)

    def progressed(self, progress: runs.Progress) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.progressed(progress)
