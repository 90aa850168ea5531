"""A run whose events are made up, to be exported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventabs.records import Event, Part
from eventabs.store.exports import ExportFormat, export_events
from eventabs.store.ledger import Ledger, PartChange
from runs_kit import make_log, new_ledger, well

HOSTILE = (
    "=1+1",
    "+看车",
    "-",
    "@x",
    "\tz",
    '\rw, "q"',
    "<r>&amp;\n</r>",
    "a\x01\x0b\uffff b ",
    "_x0041_",
    "😀'",
)


def make_event(user_id: str, start: str = "2026-01-01T09:15:07", end: str = "", **values: object) -> Event:
    """Return an event of a user."""
    known = {"type": "用餐", "category": "engagement", "summary": "", "behaviors": (0,)}
    return Event.model_validate({"user_id": user_id, "start": start, "end": end or start, **known, **values})


def make_run(folder: Path, events: Sequence[Event], timezone: str = "") -> Path:
    """Make a run directory whose users are done, with these events."""
    users = list(dict.fromkeys(event.user_id for event in events))
    ledger = new_ledger(folder, map(make_log, users))
    with ledger.transaction():
        ledger.set_meta({"settings": {"lang": "en", "input": {"timezone": timezone}}})
        for number, user in enumerate(users, 1):
            own = [event for event in events if event.user_id == user]
            part = Part(user, 0, 2)
            ledger.settle(number, [well(part, *own)], [PartChange(part, "done", events=len(own))])
    ledger.close()
    return folder


def open_run(folder: Path) -> Ledger:
    """Open the ledger of a run that was made."""
    return Ledger.open(folder / "ledger.sqlite")


def export_file(run: Path, form: ExportFormat, output: Path | None = None, **options: Any) -> Path:  # noqa: ANN401  as they are
    """Export events into a file; return it."""
    return Path(export_events(run, form, "" if output is None else str(output), **options).place)
