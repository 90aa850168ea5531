"""Observers of a run: the live panel, plain lines, run.log, and the choice between them."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from io import FileIO
from math import ceil
from typing import Literal

from rich.console import Console, ConsoleRenderable, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from eventabs import runs
from eventabs.interface_language import gettext as _
from eventabs.shared_records import ColumnsFound, Copying, InputWarning
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import one_line, print_line
from eventabs.views.words_and_figures import clock, listed, share

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
    progress: runs.Progress = field(default_factory=runs.Progress)
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
        bar = Table.grid(expand=True, padding=(0, 2, 0, 0))
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True, justify="right")
        bar.add_column(no_wrap=True, justify="right")
        cooling = max(0.0, self.cooling_until - self.now)
        remaining = "" if progress.batches_done else self.phase
        if progress.batches_done and progress.eta_seconds is not None:
            left = progress.eta_seconds - (self.now - self.counted_at) + cooling
            if left >= 0:  # else the estimate has run out: nothing is better than "0s" for minutes
                remaining = _("{time} left").format(time=clock(left))
        bar.add_row(ProgressBar(progress.users, finished), share(finished, progress.users), remaining)
        yield bar
        (label, done, failed), *others = messages.figures(progress, self.currency)
        yield _row(label, done, Text(failed, style="red" if progress.failed else ""), elapsed)
        yield from (_row(*each) for each in others)
        if cooling:
            wait = _("cooling down, {time} left").format(time=clock(cooling))
            yield _row("", Text(wait, style="bold yellow"))
        if self.trouble:
            yield _row(_("last"), Text(one_line(self.trouble), style="yellow"))


def _row(label: str, *cells: str | Text) -> Table:
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
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
        moment = clock()
        self._panel = ProgressPanel(currency, moment, moment, moment, moment, phase=_("reading the input"))
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
            case runs.Progress():
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


def _look(fact: runs.Started | runs.Note) -> tuple[int, str]:
    match fact:
        case runs.StateChanged(status="stopped"):
            return QUIET, "bold yellow"
        case runs.StateChanged(status="interrupted"):
            return BESIDE_PANEL, "bold yellow"
        case runs.MachinesChanged() if fact.lost:
            return BESIDE_PANEL, "yellow"
    return _LOOKS.get(type(fact), (BESIDE_PANEL, ""))


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
    _latest: runs.Progress | None = None
    _cooling_until: datetime | None = None

    def noted(self, fact: runs.Fact) -> None:
        """Write a note, and the counts at a stop and after every tenth batch."""
        if isinstance(fact, runs.Progress):
            before, self._latest = self._latest or fact, fact
            if fact.batches_done // 10 > before.batches_done // 10:
                self._count()
            return
        if _look(fact)[0] > self.level:
            return
        if isinstance(fact, runs.CoolingDown) and self.level < ALL:
            now, before_then = self.now(), self._cooling_until
            self._cooling_until = now + timedelta(seconds=fact.seconds)
            if before_then is not None and now < before_then:  # it is only extended, and told already
                return
        self._line(messages.noted(fact))
        if isinstance(fact, runs.StateChanged) and fact.status != "running":
            self._count()

    def _count(self) -> None:
        if self.level > QUIET and self._latest is not None:
            self._line(messages.progress_line(self._latest, self.currency))

    def _line(self, text: str) -> None:
        stamp = f"{self.stamp(self.now())} " if self.level > QUIET else ""
        self.write(f"{stamp}{text}")


def log_to(file: FileIO, *, currency: str, now: Callable[[], datetime] = datetime.now) -> PlainObserver:
    """Make the observer that appends every note, and the counts after every tenth batch, to a log."""

    def write(line: str) -> None:
        # A full disk is the ledger's to report: it stops the run cleanly.
        with contextlib.suppress(OSError):
            file.write(f"{one_line(line)}\n".encode())

    stamp = partial(datetime.isoformat, timespec="seconds")
    return PlainObserver(write, level=ALL, currency=currency, now=lambda: now().astimezone(), stamp=stamp)
