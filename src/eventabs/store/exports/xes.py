"""XES, the format of process mining (IEEE 1849): a trace for each user, a start and a complete event for each event."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr
from zoneinfo import ZoneInfo

from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.store.directory import open_private
from eventabs.store.exports.rows import Row, behaviors_text, times_of

# without a namespace, as the schema of the standard has it
_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xes.features="">
<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
<global scope="trace">
<string key="concept:name" value=""/>
</global>
<global scope="event">
<string key="concept:name" value=""/>
<string key="concept:instance" value=""/>
<string key="lifecycle:transition" value="complete"/>
<date key="time:timestamp" value="1970-01-01T00:00:00+00:00"/>
</global>
<classifier name="Type" scope="event" keys="concept:name"/>
<classifier name="TypeAndTransition" scope="event" keys="concept:name lifecycle:transition"/>
<string key="lifecycle:model" value="standard"/>
"""
_FOREIGN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # to XML 1.0


def write_xes(users: Iterable[tuple[str, Sequence[Row]]], target: Path, zone: str) -> None:
    """Write the events of users as traces. Times without an offset are those of `zone`, a name or "".

    Raises UsageError for an unknown zone, and where one is needed.
    """
    known = _zone(zone)
    with open(target, "w", encoding="utf-8", opener=open_private) as file:
        file.write(_HEAD)
        for user_id, events in users:
            file.writelines(_trace(user_id, events, known))
        file.write("</log>\n")


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, OSError, ValueError):
        message = _("there is no time zone {zone}; take a name such as Asia/Shanghai or Europe/Berlin")
        raise UsageError(message.format(zone=name)) from None


def _trace(user_id: str, events: Sequence[Row], zone: tzinfo | None) -> Iterator[str]:
    transitions = []
    for number, (row, (start, end)) in enumerate(zip(events, _moments(events, zone), strict=True)):
        transitions.append((start, "start", number, row))
        transitions.append((max(start, end), "complete", number, row))
    transitions.sort(key=lambda each: each[0])  # stable: a start stays before its own end
    yield f"<trace>\n{_string('concept:name', user_id)}"
    for moment, transition, number, row in transitions:
        yield from _event(moment, transition, number, row)
    yield "</trace>\n"


def _event(moment: datetime, transition: str, number: int, row: Row) -> Iterator[str]:
    yield "<event>\n"
    yield _string("concept:name", row["type"])
    yield _string("concept:instance", str(number))
    yield _string("lifecycle:transition", transition)
    yield f'<date key="time:timestamp" value="{_date(moment)}"/>\n'
    if transition == "complete":
        for key in ("category", "summary", "source"):
            yield _string(key, row[key])
        yield _string("behaviors", behaviors_text(row))
        yield f'<boolean key="grounded" value="{str(bool(row["grounded"])).lower()}"/>\n'
    yield "</event>\n"


def _moments(events: Sequence[Row], zone: tzinfo | None) -> list[tuple[datetime, datetime]]:
    """Return the times of a user's events with offsets: their own, else the zone's, else that of an event beside them."""
    times = [times_of(row) for row in events]
    beside = zone or next((start.tzinfo for start, _end in times if start.tzinfo), None)
    return [(_aware(start, beside), _aware(end, beside)) for start, end in times]


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo:
        return moment
    if zone is None:
        message = _(
            "XES needs times with a zone, and the run knows none; say what zone people lived in: --timezone Asia/Shanghai"
        )
        raise UsageError(message)
    return moment.replace(tzinfo=zone)


def _date(moment: datetime) -> str:
    if moment.strftime("%z")[5:]:  # seconds in an offset, as before zones were made, are none of XML's
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="seconds")


def _string(key: str, value: str) -> str:
    text = _FOREIGN.sub("\ufffd", value)
    return f"<string key={quoteattr(key)} value={quoteattr(text)}/>\n"
