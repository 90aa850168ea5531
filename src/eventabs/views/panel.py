"""How far a run is, as one calm panel of at most 80 columns."""

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from eventabs.language import gettext as _
from eventabs.runs.observer import Progress
from eventabs.views import sentences
from eventabs.views.console import one_line
from eventabs.views.figures import clock, count, listed, money, share

WIDTH = 80  # wider lines are no calmer
NARROW = 60  # below this the frame and the columns go


class ProgressPanel:
    """Draws the facts of a run that it has been given last."""

    def __init__(self, currency: str) -> None:
        self.title = ""
        self.phase = _("reading the input")
        self.progress = Progress()
        self.trouble = ""
        self.elapsed_seconds = 0.0
        self.drawn = (0, 0)  # columns and rows of the frame drawn last, zeros without a frame
        self._currency = currency

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < NARROW:
            self.drawn = (0, 0)
            yield from self._stacked()
            return
        frame = Panel(
            Group(*self._rows()),
            box=ROUNDED,
            title=Text(one_line(self.title), style="bold") if self.title else None,
            title_align="left",
            border_style="dim",
            width=min(options.max_width, WIDTH),
        )
        lines = console.render_lines(frame, options, pad=False)
        self.drawn = (min(options.max_width, WIDTH), len(lines))
        for line in lines:
            yield from line
            yield Segment.line()

    def _rows(self) -> list[RenderableType]:
        if not self.progress.users:
            return [self._waiting()]
        rows: list[RenderableType] = [self._bar(), self._grid()]
        return [*rows, self._last()] if self.trouble else rows

    def _waiting(self) -> Text:
        return Text(listed((self.phase, self._elapsed())))

    def _elapsed(self) -> str:
        return _("{time} so far").format(time=clock(self.elapsed_seconds))

    def _bar(self) -> Table:
        progress = self.progress
        finished = progress.done + progress.failed
        row = Table.grid(expand=True, padding=(0, 2, 0, 0))
        row.add_column(ratio=1)
        row.add_column(no_wrap=True, justify="right")
        row.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=progress.users, completed=finished)
        row.add_row(bar, share(finished, progress.users), self._remaining())
        return row

    def _grid(self) -> Table:
        grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
        grid.add_column(style="dim", ratio=2, no_wrap=True)
        for _column in range(3):
            grid.add_column(ratio=4, no_wrap=True, overflow="ellipsis")
        for label, cells in self._facts():
            grid.add_row(label, *cells)
        return grid

    def _last(self) -> Table:
        row = Table.grid(expand=True, padding=(0, 1, 0, 0))
        row.add_column(style="dim", ratio=2, no_wrap=True)
        row.add_column(style="yellow", ratio=12, no_wrap=True, overflow="ellipsis")
        row.add_row(_("last"), Text(one_line(self.trouble)))
        return row

    def _stacked(self) -> list[Text]:
        """Return one short line a group of facts, for terminals too narrow for columns."""
        if not self.progress.users:
            return [self._waiting()]
        finished = share(self.progress.done + self.progress.failed, self.progress.users)
        lines = [Text(f"{finished}  {self._remaining()}")]
        for label, cells in self._facts():
            lines.append(Text.assemble((f"{label} ", "dim"), listed(cell.plain for cell in cells if cell)))
        if self.trouble:
            lines.append(Text(one_line(self.trouble), style="yellow", no_wrap=True, overflow="ellipsis"))
        return lines

    def _facts(self) -> list[tuple[str, tuple[Text, ...]]]:
        progress = self.progress
        of = _("{done} of {total} done")
        cost = ""
        if progress.cost is not None:
            cost = _("cost {cost}").format(cost=money(progress.cost, self._currency))
        users = (
            Text(of.format(done=count(progress.done), total=count(progress.users))),
            Text(
                _("{count} failed").format(count=count(progress.failed)),
                style="red" if progress.failed else "",
            ),
            Text(self._elapsed()),
        )
        batches = (
            Text(of.format(done=count(progress.batches_done), total=count(progress.batches_total))),
            Text(_("{count} in flight").format(count=count(progress.in_flight))),
            Text(sentences.retries(progress.retries)),
        )
        tokens = (
            Text(_("{count} in").format(count=count(progress.prompt_tokens))),
            Text(_("{count} out").format(count=count(progress.completion_tokens))),
            Text(cost),
        )
        return [(_("users"), users), (_("batches"), batches), (_("tokens"), tokens)]

    def _remaining(self) -> str:
        if not self.progress.batches_done:
            return self.phase
        if self.progress.eta_seconds is None:
            return ""
        return _("{time} left").format(time=clock(self.progress.eta_seconds))
