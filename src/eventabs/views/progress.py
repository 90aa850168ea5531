"""The live display of a run for terminals."""

import time
from collections.abc import Callable
from math import ceil
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType

from eventabs.language import gettext as _
from eventabs.runs.observer import (
    BatchDone,
    CallFailed,
    CoolingDown,
    InputRead,
    Note,
    Planned,
    Progress,
    Retrying,
    Serving,
    Started,
    StateChanged,
    Stopping,
)
from eventabs.views import sentences
from eventabs.views.console import print_line
from eventabs.views.panel import ProgressPanel

REFRESHES_PER_SECOND = 8


class RichObserver:
    """Shows the run on a terminal: one live panel, with the notes that deserve a line above it.

    A context manager: the panel lives inside it. `clock` counts seconds, from anywhere.
    """

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool = False,
        currency: str = "USD",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._verbose = verbose
        self._clock = clock
        self._panel = ProgressPanel(currency, began=clock())
        self._live = Live(
            console=console,
            get_renderable=self.picture,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,  # results on standard output go on to where it leads
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def started(self, facts: Started) -> None:
        """Print the first line and name the model in the panel's title."""
        self._panel.title = f"{facts.model} @ {facts.host}" if facts.model else facts.provider
        print_line(self._console, sentences.started(facts), style="dim")

    def noted(self, note: Note) -> None:
        """Print a note above the panel if it deserves a line, or keep it as the last trouble."""
        match note:
            case InputRead():
                self._panel.phase = _("counting and packing")
            case Planned():
                self._panel.phase = _("waiting for the first reply")
            case CoolingDown():
                self._panel.cooling_until = self._clock() + note.seconds
            case Retrying() | CallFailed():
                self._panel.trouble = sentences.noted(note)
            case BatchDone() if note.unusable:
                self._panel.trouble = sentences.noted(note)
        if self._verbose or _deserves_a_line(note):
            print_line(self._console, sentences.noted(note), style=_style(note))

    def progressed(self, progress: Progress) -> None:
        """Keep the counts; the panel takes them at its next refresh."""
        self._panel.progress = progress
        self._panel.told_at = self._clock()

    def picture(self) -> RenderableType:
        """Return what the live panel shows now."""
        self._panel.now = self._clock()
        self._unfold()
        return self._panel

    def _unfold(self) -> None:
        """Erase the rows that a terminal made of a frame when it became narrower than that."""
        width, height = self._panel.drawn
        folded = height * (ceil(width / self._console.width) - 1)
        if folded > 0:
            step = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
            self._console.control(Control(*step * folded))
            self._panel.drawn = (0, 0)


def _deserves_a_line(note: Note) -> bool:
    match note:
        case InputRead() | Planned() | Serving() | CallFailed() | Stopping():
            return True
        case StateChanged():
            return bool(note.cause)  # the closing summary names the state itself
        case _:
            return False


def _style(note: Note) -> str:
    match note:
        case CallFailed() | Retrying():
            return "yellow"
        case Stopping() | StateChanged(status="interrupted" | "stopped"):
            return "bold yellow"
        case Planned():
            return "bold"
        case _:
            return ""
