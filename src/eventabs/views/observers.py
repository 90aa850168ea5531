"""Who watches a run: the choice of a display, and several at once."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Literal, Self

from rich.console import Console

from eventabs.runs.observer import Note, Observer, Progress, Started
from eventabs.views.jsonlines import JsonObserver
from eventabs.views.plain import PlainObserver, QuietObserver
from eventabs.views.progress import RichObserver

ProgressForm = Literal["auto", "plain", "json"]


def display(
    console: Console,
    *,
    form: ProgressForm = "auto",
    quiet: bool = False,
    verbose: bool = False,
    currency: str = "USD",
) -> Observer:
    """Choose who shows the run on standard error. `auto`: a live panel on a terminal, else plain lines."""
    if form == "json":
        return JsonObserver(console)
    if quiet:
        return QuietObserver(console)
    if form == "auto" and console.is_terminal and not console.is_dumb_terminal:
        return RichObserver(console, verbose=verbose, currency=currency)
    return PlainObserver(console, verbose=verbose, currency=currency)


class Observers:
    """Tells every fact to several observers. A context manager that enters and leaves those that are one.

    `opening` are notes that follow the start.
    """

    def __init__(self, observers: Iterable[Observer], *, opening: Iterable[Note] = ()) -> None:
        self._observers = tuple(observers)
        self._opening = tuple(opening)
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        for observer in self._observers:
            if isinstance(observer, AbstractContextManager):
                self._entered.enter_context(observer)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.close()

    def started(self, facts: Started) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.started(facts)
        for note in self._opening:
            self.noted(note)

    def noted(self, note: Note) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.noted(note)

    def progressed(self, progress: Progress) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.progressed(progress)
