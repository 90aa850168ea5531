"""The forms of answers, their expected length, and the schema of structured outputs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

import orjson
from pydantic import BaseModel, Field

from eventabs.choices import AnswerForm, Detail
from eventabs.records import Behavior, JsonSchemaFormat

MOST_BRIEF = 12  # events a user
BEHAVIORS_AN_EVENT = 4  # detail `day`: one event for each four behaviors of a day (or part of four), at most
MOST_A_DAY = 8
USUAL_PAUSE = 30  # minutes
TOKENS_A_USER = 8
# a large model takes 17 to 18 as lines and 30 as JSON (docs/prompts.md); others take more
_TOKENS_AN_EVENT: dict[AnswerForm, int] = {"lines": 22, "json": 36, "schema": 36}
_TOKENS_A_SUMMARY = 8


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected length of answers. `pause`: minutes between sessions, 0 for the default."""

    answer: AnswerForm
    pause: int = USUAL_PAUSE
    with_summaries: bool = True

    @property
    def session_gap(self) -> timedelta:
        """Time between sessions, from the end of a behavior to the next start."""
        return timedelta(minutes=self.pause or USUAL_PAUSE)

    @property
    def tokens_an_event(self) -> int:
        """Tokens of an event."""
        return _TOKENS_AN_EVENT[self.answer] - (0 if self.with_summaries else _TOKENS_A_SUMMARY)

    def events(self, behaviors: Sequence[Behavior], detail: Detail) -> int:
        """Return the expected number of events of behaviors in time order; further behaviors never lower it."""
        if detail == "fine":
            return _sessions(behaviors, self.session_gap)
        days = Counter(behavior.start.toordinal() for behavior in behaviors)
        if detail == "brief":
            return min(MOST_BRIEF, len(days))
        return sum(min(MOST_A_DAY, -(-count // BEHAVIORS_AN_EVENT)) for count in days.values())

    def tokens(self, behaviors: Sequence[Behavior], detail: Detail) -> int:
        """Return the expected tokens of the answer about behaviors in time order."""
        return self.tokens_for(self.events(behaviors, detail))

    def tokens_for(self, events: int) -> int:
        """Return the expected tokens of an answer with N events."""
        return TOKENS_A_USER + self.tokens_an_event * events


def _sessions(behaviors: Sequence[Behavior], gap: timedelta) -> int:
    done = (behavior.start + timedelta(seconds=behavior.duration or 0) for behavior in behaviors)
    gaps = (later.start - end for later, end in zip(behaviors[1:], accumulate(done, max), strict=False))
    return min(1, len(behaviors)) + sum(each > gap for each in gaps)


class AnsweredEvent(NamedTuple):
    """An event of a model answer, as in the worked example. `mark` is the mark of its category."""

    start: datetime
    end: datetime
    type: str
    category: str
    mark: str
    summary: str


class _User(BaseModel, extra="forbid"):
    u: str = Field(description="alias, such as U1")
    events: list[list[str]] = Field(description="[first time, last time, type, category, summary] each")


class _UserWithoutSummaries(_User):
    events: list[list[str]] = Field(description="[first time, last time, type, category] each")


class _Answer(BaseModel, extra="forbid"):
    users: list[_User]


class _AnswerWithoutSummaries(BaseModel, extra="forbid"):
    users: list[_UserWithoutSummaries]


def response_format(answer: AnswerForm, with_summaries: bool = True) -> JsonSchemaFormat | None:
    """Return the `response_format` of the form, None if it has none."""
    if answer != "schema":
        return None
    model = _Answer if with_summaries else _AnswerWithoutSummaries
    schema = {"name": "events", "strict": True, "schema": model.model_json_schema()}
    return {"type": "json_schema", "json_schema": schema}


def written(
    users: Sequence[tuple[str, Sequence[AnsweredEvent]]], answer: AnswerForm, *, with_summaries: bool = True
) -> str:
    """Write the answer about (alias, events) pairs in the form."""
    if not with_summaries:
        users = [(alias, [event._replace(summary="") for event in events]) for alias, events in users]
    if answer == "lines":
        return "\n".join([line for alias, events in users for line in _lines(alias, events)] + ["##"])
    objects = [
        orjson.dumps({"u": alias, "events": [_row(event, with_summaries) for event in events]}).decode()
        for alias, events in users
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
        summary = f" | {event.summary}" if event.summary else ""
        lines.append(f"{_span(event)} {event.type}{event.mark}{summary}")
    return lines


def _span(event: AnsweredEvent) -> str:
    """Write start and end, with the end's day if it is not the next such time after the start."""
    start = f"{event.start:%H:%M}"
    if event.end == event.start:
        return start
    if event.end - event.start < timedelta(days=1):
        return f"{start}-{event.end:%H:%M}"
    return f"{start}-{event.end:%m-%d %H:%M}"


def _row(event: AnsweredEvent, with_summaries: bool) -> list[str]:
    start, end = (f"{time:%m-%d %H:%M}" for time in event[:2])
    row = [start, end, event.type, event.category]
    return [*row, event.summary] if with_summaries else row
