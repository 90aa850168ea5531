"""A run whose events and journeys are made up, to be exported."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eventabs.setting_choices import ExportFormat
from eventabs.shared_records import Event, Journey, Outcome, Part, lasting_id, of_row
from eventabs.store.ledger import Ledger, PartChange
from eventabs.store.result_files import export_events
from runs_kit import make_log, new_ledger

HOSTILE = (
    *("=1+1", "+看车", "-", "@x", "\tz", '\rw, "q"', "<r>&amp;\n</r>", "a\x01\x0b\uffff b ", "_x0041_"),
    *("😀'", "{=1+1}"),
)


def make_event(
    user_id: str,
    start: str = "2026-01-01T09:15:07",
    end: str = "",
    behaviors: tuple[int, ...] = (0,),
    **values: object,
) -> Event:
    """Return an event of a user."""
    known = {"id": lasting_id(user_id, behaviors[0]), "type": "用餐", "category": "engagement", "minutes": 30}
    fixed = {"user_id": user_id, "start": start, "end": end or start, "behaviors": behaviors}
    return of_row(Event, {"summary": ""} | known | fixed | values)


def make_journey(user_id: str, events: Sequence[Event], **values: object) -> Journey:
    """Return a journey of some events of a user."""
    known = {
        "id": lasting_id(user_id, events[0].behaviors[0], "j"),
        "user_id": user_id,
        "kind": "购买",
        "name": "露营帐篷",
        "start": events[0].start,
        "end": events[-1].end,
        "days": 1,
        "minutes": sum(event.minutes for event in events),
        "converted": False,
        "types": [event.type for event in events],
        "events": [event.id for event in events],
        "behaviors": [index for event in events for index in event.behaviors],
    }
    return of_row(Journey, known | values)


def make_run(
    folder: Path,
    events: Sequence[Event],
    timezone: str = "",
    journeys: Sequence[Journey] = (),
    **rows: Any,  # noqa: ANN401  as they are
) -> Path:
    """Make a run directory whose users, of three behaviors each, are done with these; `rows`: see Outcome, alike for each user."""
    users = list(dict.fromkeys(event.user_id for event in events))
    ledger = new_ledger(folder, map(make_log, users))
    with ledger.transaction():
        settings = {"lang": "en", "input": {"timezone": timezone}}
        ledger.set_meta({"settings": settings, "files": ["in/export.csv"]})
        for number, user in enumerate(users, 1):
            part = Part(user, 0, 2)
            own = tuple(event for event in events if event.user_id == user)
            whole = tuple(journey for journey in journeys if journey.user_id == user)
            outcome = replace(Outcome(part, None, own, whole), **rows)
            ledger.settle(number, [outcome], [PartChange(part, "done", accepted=outcome)])
    ledger.close()
    return folder


def open_run(folder: Path) -> Ledger:
    """Open the ledger of a run that was made."""
    return Ledger.open(folder / "ledger.sqlite")


def export_files(run: Path, form: ExportFormat, output: Path | None = None, **options: Any) -> list[Path]:  # noqa: ANN401  as they are
    """Export a run; return the files."""
    return list(map(Path, export_events(run, form, "" if output is None else str(output), **options)[0]))


def export_file(run: Path, form: ExportFormat, output: Path | None = None, **options: Any) -> Path:  # noqa: ANN401  as they are
    """Export a run; return the file of its events."""
    return export_files(run, form, output, **options)[0]
