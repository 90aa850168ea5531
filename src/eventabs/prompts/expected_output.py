"""The forms of answers and how long they are expected to get; and the schema of structured outputs."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

import orjson
from pydantic import BaseModel, Field

from eventabs.records import AnswerForm, Behavior, Detail, JsonSchemaFormat

MOST_BRIEF = 12  # events a user
BEHAVIORS_AN_EVENT = 5  # detail `day`: one event for every five behaviors begun on a day
SESSION_GAP = timedelta(minutes=30)  # from the end of what was done to the next start
TOKENS_A_USER = 8
TOKENS_AN_EVENT: dict[AnswerForm, int] = {"lines": 32, "json": 40, "schema": 40}


def expected_events(behaviors: Sequence[Behavior], detail: Detail) -> int:
    """Return the number of events to expect of behaviors in time order; more at the end never lower it."""
    if detail == "fine":
        return _sessions(behaviors)
    days = Counter(behavior.start.toordinal() for behavior in behaviors)
    if detail == "brief":
        return min(MOST_BRIEF, len(days))
    return sum(-(-count // BEHAVIORS_AN_EVENT) for count in days.values())


def expected_output_tokens(behaviors: Sequence[Behavior], detail: Detail, answer: AnswerForm) -> int:
    """Return what the answer about behaviors in time order is expected to have."""
    return answer_tokens(expected_events(behaviors, detail), answer)


def answer_tokens(events: int, answer: AnswerForm) -> int:
    """Return 8 + 32 tokens an event (40 as JSON)."""
    return TOKENS_A_USER + TOKENS_AN_EVENT[answer] * events


def _sessions(behaviors: Sequence[Behavior]) -> int:
    done = (behavior.start + timedelta(seconds=behavior.duration or 0) for behavior in behaviors)
    gaps = (later.start - end for later, end in zip(behaviors[1:], accumulate(done, max), strict=False))
    return min(1, len(behaviors)) + sum(gap > SESSION_GAP for gap in gaps)


class AnsweredEvent(NamedTuple):
    """An event of a model answer, such as the worked example shows. `mark` is that of its category."""

    start: datetime
    end: datetime
    type: str
    category: str
    mark: str
    summary: str


class _User(BaseModel, extra="forbid"):
    u: str = Field(description="alias, such as U1")
    events: list[list[str]] = Field(description="[start, end, type, category, summary] each")


class _Answer(BaseModel, extra="forbid"):
    users: list[_User]


def response_format(answer: AnswerForm) -> JsonSchemaFormat | None:
    """Return the `response_format` of the form; None where it has none."""
    if answer != "schema":
        return None
    schema = {"name": "events", "strict": True, "schema": _Answer.model_json_schema()}
    return {"type": "json_schema", "json_schema": schema}


def written(users: Sequence[tuple[str, Sequence[AnsweredEvent]]], answer: AnswerForm) -> str:
    """Write the answer about (alias, events) pairs in the form."""
    if answer == "lines":
        return "\n".join([line for alias, events in users for line in _lines(alias, events)] + ["##"])
    objects = [
        orjson.dumps({"u": alias, "events": list(map(_row, events))}).decode() for alias, events in users
    ]
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
    start, end = (f"{time:%m-%d %H:%M}" for time in event[:2])
    return [start, end, event.type, event.category, event.summary]
