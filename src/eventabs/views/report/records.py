"""The users of the report as the browser reads them: compressed chunks of records, and an index over all of them.

A record is a row of columns; times are seconds, coded as differences, so that they deflate to little. A chunk names
its texts by number and stands for itself, so that a page of any size is written with one chunk in memory.
"""

import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import pairwise
from typing import Any, Final

import orjson

from eventabs.inspection import UserFacts
from eventabs.views import messages
from eventabs.views.console import one_line
from eventabs.views.report.counts import paths_to, places_of, steps_before, wall_time

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_CHUNK_BEHAVIORS: Final = 20_000  # after which a chunk is closed
_LONGEST: Final = 300  # characters of a text
_LEVEL: Final = 6  # of deflate: higher ones cost twice the time for 1 %
_SOURCES: Final = ("llm", "rules", "must")
_GROUNDED, _OUTSIDE = 1, 2  # flags of an event; its source stands above them
_ABOVE_FLAGS: Final = 4
_NEXT: Final = -1  # in the place of the number of a text that has not been named before


class _Texts:
    """Texts by number: each is written once, in the order of their first use. Number 0 is the empty text."""

    def __init__(self) -> None:
        self.all: list[str] = [""]
        self._numbers: dict[object, int] = {"": 0}

    def number(self, key: object, text: Callable[[], str]) -> int:
        """Return the number of the text that a key stands for; it is made once."""
        if (number := self._numbers.get(key)) is None:
            number = self._numbers[key] = len(self.all)
            self.all.append(text())
        return number


@dataclass(slots=True)
class PackedUsers:
    """Users that are kept for the page. `users` is the index, a column for each fact."""

    goal: str
    chunks: list[bytes] = field(default_factory=list)
    bytes: int = 0  # of all chunks
    numbers: dict[str, int] = field(default_factory=dict)  # of users, by id
    users: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    kinds: list[tuple[str, str]] = field(default_factory=list)  # (type, category) by number
    _kinds: dict[tuple[str, str], int] = field(default_factory=dict)
    _postings: dict[tuple[str, object], "array[int]"] = field(
        default_factory=lambda: defaultdict(lambda: array("I"))
    )
    _reasons: _Texts = field(default_factory=_Texts)
    _chunk: "_Chunk" = field(default_factory=lambda: _Chunk())  # noqa: PLW0108  the class stands below

    def add(self, user: UserFacts) -> None:
        """Keep a user."""
        number = self.numbers[user.row.user_id] = len(self.numbers)
        kinds = [self._kind(event) for event in user.events]
        self._chunk.add(user, kinds)
        self._index(user, kinds)
        for where in places_of(user.log.behaviors):
            self._postings["place", where].append(number)
        for pair in {(before["type"], after["type"]) for before, after in pairwise(user.events)}:
            self._postings["transition", pair].append(number)
        for path in paths_to(*steps_before(user.events, self.goal)):
            self._postings["path", path].append(number)
        if self._chunk.behaviors > _CHUNK_BEHAVIORS:
            self.close_chunk()

    def close_chunk(self) -> None:
        """Compress what has been added since the last time."""
        if self._chunk.records:
            self.chunks.append(packed(self._chunk.value()))
            self.bytes += len(self.chunks[-1])
            self._chunk = _Chunk()

    def users_of(self, kind: str, thing: object) -> list[int]:
        """Return the numbers of the users with a place, transition or path, as differences."""
        return differences(self._postings.get((kind, thing), ()), 0)

    def index(self) -> dict[str, Any]:
        """Return what is known of the users without opening a chunk."""
        return {"users": self.users, "reasons": self._reasons.all, "kinds": self.kinds}

    def _kind(self, event: dict[str, Any]) -> int:
        pair = event["type"], event["category"]
        if (number := self._kinds.get(pair)) is None:
            number = self._kinds[pair] = len(self.kinds)
            self.kinds.append((shown(pair[0]), shown(pair[1])))
        return number

    def _index(self, user: UserFacts, kinds: Sequence[int]) -> None:
        row, behaviors = user.row, user.log.behaviors
        covered = {index for event in user.events for index in event["behaviors"]}
        values = {
            "id": shown(row.user_id),
            "state": ("done", "failed", "pending").index(row.state),
            "reason": self._reasons.number(row.reason or "", lambda: messages.reason(row.reason or "")),
            "profile": shown(" ".join(value for _column, value in user.log.profile)),
            "behaviors": len(behaviors),
            "events": len(user.events),
            "open": len(behaviors) - len(covered),
            "first": seconds_of(behaviors[0].start) if behaviors else None,
            "last": seconds_of(behaviors[-1].start) if behaviors else None,
            "kinds": sorted(set(kinds)),
            "chunk": len(self.chunks),
        }
        for name, value in values.items():
            self.users[name].append(value)


class _Chunk:
    """Records of some users, with the texts that they name by number."""

    def __init__(self) -> None:
        self.records: list[list[Any]] = []
        self.behaviors = 0
        self._names, self._summaries = _Texts(), _Texts()

    def value(self) -> dict[str, Any]:
        return {"names": self._names.all, "texts": self._summaries.all, "users": self.records}

    def add(self, user: UserFacts, kinds: Sequence[int]) -> None:
        behaviors, events = user.log.behaviors, user.events
        times = [seconds_of(behavior.start) for behavior in behaviors]
        lengths = [behavior.duration or 0 for behavior in behaviors]
        base = times[0] if times else 0
        self.behaviors += len(behaviors) + len(events)
        self.records.append(
            [
                base,
                differences(times, base),
                [self._name(phrase) for phrase in user.phrases],
                lengths,
                differences(_owners(len(times), events), 0),
                *_shifts(events, times, lengths),
                list(kinds),
                [self._summary(event["summary"]) for event in events],
                list(map(_flags, events)),
            ]
        )

    def _name(self, phrase: str) -> int:
        return self._names.number(phrase, partial(shown, phrase))

    def _summary(self, text: str) -> int:
        """Return the number of a summary, _NEXT for one that is new: most are."""
        known = len(self._summaries.all)
        number = self._summaries.number(text, partial(shown, text))
        return _NEXT if number == known else number


def _owners(behaviors: int, events: Sequence[dict[str, Any]]) -> list[int]:
    """Return for each behavior the number of its event from 1, 0 without."""
    owners = [0] * behaviors
    for number, event in enumerate(events, 1):
        for index in event["behaviors"]:
            owners[index] = number
    return owners


def _shifts(
    events: Sequence[dict[str, Any]], times: Sequence[int], lengths: Sequence[int]
) -> tuple[list[int | None], list[int | None]]:
    """Return how far starts and ends lie from those of the behaviors, mostly 0; None for what is no time.

    Without behaviors they are counted from the start of the event before, the first from that of the log.
    """
    starts: list[int | None] = []
    ends: list[int | None] = []
    before = times[0] if times else 0
    for event in events:
        covered = event["behaviors"]
        first = times[min(covered)] if covered else before
        last = max((times[index] + lengths[index] for index in covered), default=first)
        start, end = wall_time(event["start"]), wall_time(event["end"])
        starts.append(None if start is None else seconds_of(start) - first)
        ends.append(None if start is None or end is None else max(seconds_of(end), seconds_of(start)) - last)
        before = first
    return starts, ends


def _flags(event: dict[str, Any]) -> int:
    source = event.get("source", "llm")
    said = _GROUNDED * bool(event["grounded"]) + _OUTSIDE * bool(event.get("outside"))
    return said + _ABOVE_FLAGS * (_SOURCES.index(source) if source in _SOURCES else 0)


def packed(value: object) -> bytes:
    """Return JSON, deflated; the browser inflates it. Lone surrogates cannot occur: texts are escaped."""
    return zlib.compress(orjson.dumps(value), _LEVEL)


def seconds_of(moment: datetime) -> int:
    """Return seconds of wall time since 1970."""
    days = moment.toordinal() - _EPOCH_DAY
    return days * 86_400 + moment.hour * 3_600 + moment.minute * 60 + moment.second


def differences(numbers: Iterable[int], base: int) -> list[int]:
    """Return each number less the one before it, the first less `base`."""
    return [after - before for before, after in pairwise((base, *numbers))]


def shown(text: str) -> str:
    """Make control and bidi characters visible, and cut what no page can show."""
    return one_line(text[:_LONGEST])
