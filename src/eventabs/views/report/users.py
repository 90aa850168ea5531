"""The users of the report: counts over all of them, and a compact record of as many as fit the page."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson

from eventabs import language
from eventabs.inspection import UserFacts
from eventabs.prompts import sentence
from eventabs.records import Behavior
from eventabs.views import messages
from eventabs.views.console import one_line

MOST_BYTES = 1_400_000  # of all records; what surrounds them takes a tenth of that
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall times are counted from a naive epoch
_MINUTE = timedelta(minutes=1)


class _Texts:
    """Texts by number: each is written once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[object, int] = {}
        self.bytes = 0

    def number(self, key: object, text: str) -> int:
        """Return the number of what `key` names."""
        if key not in self._numbers:
            self._numbers[key] = len(self.all)
            self.all.append(text)
            self.bytes += len(text.encode("utf-8", "replace")) + 3
        return self._numbers[key]


@dataclass(slots=True)
class ReportUsers:
    """Counts over all users, and records of the first ones, which are the failed.

    A record is a row of columns; times are minutes, coded as differences.
    """

    types: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)  # (type, category)
    hours: Counter[tuple[int, int]] = field(default_factory=Counter)  # (weekday from Monday, hour)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    covered: int = 0
    behaviors: int = 0
    left_out: int = 0
    records: list[list[Any]] = field(default_factory=list)
    _bytes: int = 0
    _behaviors: _Texts = field(default_factory=_Texts)
    _words: _Texts = field(default_factory=_Texts)

    @classmethod
    def of(cls, users: Iterable[UserFacts], *, most_bytes: int = MOST_BYTES) -> "ReportUsers":
        """Go through all users once."""
        counted = cls()
        for user in users:
            counted._count(user)
            counted._keep(user, most_bytes)
        return counted

    def data(self) -> dict[str, Any]:
        """Return the records with the texts that they name by number."""
        return {"behaviors": self._behaviors.all, "texts": self._words.all, "users": self.records}

    def _count(self, user: UserFacts) -> None:
        self.behaviors += len(user.log.behaviors)
        self.covered += len(_covered(user))
        for event in user.events:
            self.types[event["type"]] += 1
            self.categories[event["category"]] += 1
            self.kinds[event["type"], event["category"]] += 1
            if (start := _wall(event["start"])) is not None:
                self.hours[start.weekday(), start.hour] += 1
        for before, after in pairwise(user.events):
            self.transitions[before["type"], after["type"]] += 1

    def _keep(self, user: UserFacts, most_bytes: int) -> None:
        if self.left_out:
            self.left_out += 1
            return
        record = self._record(user)
        size = len(orjson.dumps(record)) + 1
        if self._bytes + size + self._behaviors.bytes + self._words.bytes > most_bytes:
            self.left_out = 1
            return
        self._bytes += size
        self.records.append(record)

    def _record(self, user: UserFacts) -> list[Any]:
        """Return id, state, reason, profile; base minute; behavior times, names, minutes; uncovered indices.

        Then event starts, minutes, types, categories, summaries.
        """
        times = [_minutes(behavior.start) for behavior in user.log.behaviors]
        known = [(event, *bounds) for event in user.events if (bounds := _bounds(event))]
        base = min([*times, *(start for _event, start, _end in known)], default=0)
        uncovered = sorted(set(range(len(times))) - _covered(user))
        return [
            _text(user.row.user_id),
            user.row.state,
            self._name(messages.reason(user.row.reason)) if user.row.reason else -1,
            _text(" ".join(value for _column, value in user.log.profile)),
            base,
            _differences(times, base),
            [self._behavior(behavior) for behavior in user.log.behaviors],
            [(behavior.duration or 0) // 60 for behavior in user.log.behaviors],
            _differences(uncovered, 0),
            _differences([start for _event, start, _end in known], base),
            [end - start for _event, start, end in known],
            [self._name(event["type"]) for event, _start, _end in known],
            [self._name(event["category"]) for event, _start, _end in known],
            [self._name(event["summary"]) for event, _start, _end in known],
            [place for place, (event, _start, _end) in enumerate(known) if not event["grounded"]],
        ]

    def _behavior(self, behavior: Behavior) -> int:
        key = behavior.action, behavior.item, behavior.place
        text = sentence(behavior._replace(duration=None, text=""), language.active())
        return self._behaviors.number(key, _text(text))

    def _name(self, text: str) -> int:
        return self._words.number(text, _text(text))


def _covered(user: UserFacts) -> set[int]:
    return {index for event in user.events for index in event["behaviors"]}


def _bounds(event: dict[str, Any]) -> tuple[int, int] | None:
    start, end = _wall(event["start"]), _wall(event["end"])
    return (_minutes(start), _minutes(max(start, end))) if start and end else None


def _wall(text: str) -> datetime | None:
    """Read a time of an event; a model's own, ungrounded one may be none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _minutes(moment: datetime) -> int:
    return (moment.replace(tzinfo=None) - _EPOCH) // _MINUTE


def _differences(numbers: Iterable[int], base: int) -> list[int]:
    return [after - before for before, after in pairwise((base, *numbers))]


def _text(text: str) -> str:
    """Make control and bidi characters visible, and cut what no page can show."""
    return one_line(text[:300])
