import io
from typing import Any, Self

import pytest
from rich.console import Console

from eventabs.runs.observer import Note, Progress, Started, StateChanged
from eventabs.views.json_lines import JsonObserver
from eventabs.views.observers import Observers, PlainObserver, QuietObserver, display
from eventabs.views.panel import RichObserver

START = Started("", "rules", "", "", "x", resumed=False)


@pytest.mark.parametrize(
    ("terminal", "environment", "options", "kind"),
    [
        (True, {}, {}, RichObserver),
        (True, {"NO_COLOR": "1"}, {}, RichObserver),
        (True, {"TERM": "dumb"}, {}, PlainObserver),
        (False, {}, {}, PlainObserver),
        (True, {}, {"form": "plain"}, PlainObserver),
        (True, {}, {"form": "json"}, JsonObserver),
        (False, {}, {"form": "json", "quiet": True}, JsonObserver),
        (True, {}, {"quiet": True}, QuietObserver),
        (True, {}, {"verbose": True}, RichObserver),
    ],
)
def test_the_display_fits_the_terminal_and_the_flags(
    terminal: bool, environment: dict[str, str], options: dict[str, Any], kind: type
) -> None:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, _environ={"TERM": "xterm-256color", **environment}
    )
    assert type(display(console, **options)) is kind


class Recorder:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def started(self, facts: Started) -> None:
        self.heard.append(facts)

    def noted(self, note: Note) -> None:
        self.heard.append(note)

    def progressed(self, progress: Progress) -> None:
        self.heard.append(progress)


class Managed(Recorder):
    def __enter__(self) -> Self:
        self.heard.append("entered")
        return self

    def __exit__(self, *error: object) -> None:
        self.heard.append("left")


def test_every_observer_hears_everything_and_displays_are_opened_and_closed() -> None:
    plain, managed = Recorder(), Managed()
    with Observers([plain, managed]) as observers:
        observers.started(START)
        observers.noted(StateChanged("running"))
        observers.progressed(Progress())
    assert plain.heard == [START, StateChanged("running"), Progress()]
    assert managed.heard == ["entered", *plain.heard, "left"]
