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

_Facts = list[tuple[str, tuple[Text, ...]]]  # label, up to three cells


class ProgressPanel:
    """Draws the facts of a run that it has been given last.

    `began`, `now`, `told_at` (when the counts came) and `cooling_until` are seconds of one clock; between
    two counts the remaining time runs down with it, and is gone when it has run out.
    """

    def __init__(self, currency: str, *, began: float = 0.0) -> None:
        self.title = ""
        self.phase = _("reading the input")
        self.progress = Progress()
        self.trouble = ""
        self.began = self.now = self.told_at = began
        self.cooling_until = began
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
        if any(retries := self._retries()):
            rows.append(_row(_("retries"), *zip((7, 5), retries, strict=True)))
        if self.trouble:
            rows.append(_row(_("last"), (12, Text(one_line(self.trouble), style="yellow"))))
        return rows

    def _waiting(self) -> Text:
        return Text(listed((self.phase, self._elapsed())))

    def _elapsed(self) -> str:
        return _("{time} so far").format(time=clock(self.now - self.began))

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

    def _stacked(self) -> list[Text]:
        """Return one short line a group of facts, for terminals too narrow for columns."""
        if not self.progress.users:
            return [self._waiting()]
        finished = share(self.progress.done + self.progress.failed, self.progress.users)
        lines = [Text(f"{finished}  {self._remaining()}")]
        for label, cells in [*self._facts(), (_("retries"), self._retries())]:
            if any(cells):
                lines.append(
                    Text.assemble((f"{label} ", "dim"), listed(cell.plain for cell in cells if cell))
                )
        if self.trouble:
            lines.append(Text(one_line(self.trouble), style="yellow", no_wrap=True, overflow="ellipsis"))
        return lines

    def _facts(self) -> _Facts:
        progress = self.progress
        of = _("{done} of {total} done")
        failed = _("{count} failed").format(count=count(progress.failed))
        users = (
            Text(of.format(done=count(progress.done), total=count(progress.users))),
            Text(failed, style="red" if progress.failed else ""),
            Text(self._elapsed()),
        )
        batches = (
            Text(of.format(done=count(progress.batches_done), total=count(progress.batches_total))),
            Text(sentences.in_flight(progress)),
            Text(sentences.calls(progress.calls)),
        )
        speed = "" if progress.tokens_per_second is None else sentences.speed(progress.tokens_per_second)
        tokens = (
            Text(_("{count} in").format(count=count(progress.prompt_tokens))),
            Text(_("{count} out").format(count=count(progress.completion_tokens))),
            Text(speed),
        )
        facts = [(_("users"), users), (_("batches"), batches), (_("tokens"), tokens)]
        return [*facts, *self._cost()]

    def _cost(self) -> _Facts:
        progress = self.progress
        if progress.cost is None:
            return []
        projected = ""
        if progress.cost_projected is not None:
            projected = _("of about {cost}").format(cost=money(progress.cost_projected, self._currency))
        spent = money(progress.cost, self._currency)
        return [(_("cost"), (Text(spent), Text(projected), Text()))]

    def _retries(self) -> tuple[Text, Text]:
        """Say what was tried again and why, and how long everybody waits; empty where there is nothing to say."""
        progress = self.progress
        said = listed(sentences.causes(progress.retry_causes))
        if progress.retries and not said:
            said = count(progress.retries)
        cooling = max(0.0, self.cooling_until - self.now)
        left = sentences.cooling(cooling) if cooling else ""
        return Text(said), Text(left, style="bold yellow")

    def _remaining(self) -> str:
        if not self.progress.batches_done:
            return self.phase
        if self.progress.eta_seconds is None:
            return ""
        cooling = max(0.0, self.cooling_until - self.now)
        left = self.progress.eta_seconds - (self.now - self.told_at) + cooling
        if left < 0:  # the estimate has run out: nothing is better than "0s" for minutes
            return ""
        return _("{time} left").format(time=clock(left))


def _row(label: str, *cells: tuple[int, Text]) -> Table:
    """Return a row of its own under the grid: cells with their shares of its width, which sum up to 12."""
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(style="dim", ratio=2, no_wrap=True)
    for ratio, _cell in cells:
        row.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
    row.add_row(label, *(cell for _ratio, cell in cells))
    return row
