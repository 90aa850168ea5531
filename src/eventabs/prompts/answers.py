"""The forms in which an answer is asked for: how events are written, and the schema of structured outputs."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from eventabs.records import AnswerForm, JsonSchemaFormat


class AnsweredEvent(NamedTuple):
    """An event of a model answer, such as the worked example shows. `mark` is that of its category."""

    start: datetime
    end: datetime
    type: str
    category: str
    mark: str
    summary: str


class _User(BaseModel):
    model_config = ConfigDict(extra="forbid")

    u: str = Field(description="alias, such as U1")
    events: list[list[str]] = Field(description="[start, end, type, category, summary] each")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    users: list[_User]


def response_format(answer: AnswerForm) -> JsonSchemaFormat | None:
    """Return the `response_format` of the form; None where it has none."""
    if answer != "schema":
        return None
    schema = {"name": "events", "strict": True, "schema": _Answer.model_json_schema()}
    return {"type": "json_schema", "json_schema": schema}


def written(users: Sequence[tuple[str, Sequence[AnsweredEvent]]], answer: AnswerForm) -> str:
    """Write the answer about (alias, events) pairs in the asked form."""
    if answer == "lines":
        return "\n".join([line for alias, events in users for line in _lines(alias, events)] + ["##"])
    objects = [_compact_json({"u": alias, "events": list(map(_row, events))}) for alias, events in users]
    if answer == "json":
        return "\n".join(objects)
    return '{"users":[' + ",".join(objects) + "]}"


def _lines(alias: str, events: Sequence[AnsweredEvent]) -> list[str]:
    lines = [f"## {alias}"]
    day = None
    for event in events:
        today = event.start.date()
        if today != day:
            is_first_of_year = day is None or day.year != today.year
            lines.append(f"# {today:%Y-%m-%d}" if is_first_of_year else f"# {today:%m-%d}")
            day = today
        lines.append(f"{_span(event)} {event.type}{event.mark} | {event.summary}")
    return lines


def _span(event: AnsweredEvent) -> str:
    """Write start and end; the end's day where it is not the first time of that name after the start."""
    start = f"{event.start:%H:%M}"
    if event.end == event.start:
        return start
    if event.end - event.start < timedelta(days=1):
        return f"{start}-{event.end:%H:%M}"
    return f"{start}-{event.end:%m-%d %H:%M}"


def _row(event: AnsweredEvent) -> list[str]:
    return [
        f"{event.start:%m-%d %H:%M}",
        f"{event.end:%m-%d %H:%M}",
        event.type,
        event.category,
        event.summary,
    ]


def _compact_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
