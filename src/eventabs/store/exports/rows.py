"""The events as all formats have them: the order of columns, times, and a user at a time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import orjson

from eventabs.store.extensions import users_with_events
from eventabs.store.ledger import Ledger

TEXTS: Final = ("user_id", "type", "category", "start", "end", "summary", "source")
COLUMNS: Final = (*TEXTS, "behaviors", "grounded")

Row = dict[str, Any]


def rows_of(ledger: Ledger) -> Iterator[Row]:
    """Yield all events in the order of events.jsonl."""
    return (event for _user_id, events in users_with_events(ledger) for event in events)


def behaviors_text(row: Row) -> str:
    """Return the behaviors of an event as a JSON array, for formats without lists."""
    return orjson.dumps(row["behaviors"]).decode()


def times_of(row: Row) -> tuple[datetime, datetime]:
    """Return start and end, aware where they have an offset."""
    return datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"])
