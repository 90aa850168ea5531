"""Users, calls and counts of the report as the browser reads them, and the words of its script.

A record is a row of columns; times are seconds, coded as differences, so that they deflate to little. A chunk numbers
its own texts, so that a page of any size is written with one chunk in memory.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from math import fsum
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from eventabs.inspection import LogFacts, ReportFacts, StoredCall, TokenUse, UserFacts, stored_calls
from eventabs.interface_language import gettext as _
from eventabs.prompts import TokenCounter
from eventabs.shared_records import Behavior, Counts
from eventabs.views import words_and_figures as messages
from eventabs.views.output_streams import one_line, picked, rounded

_Thing = TypeVar("_Thing")


@dataclass(slots=True)
class Sums:
    """What all users have, also those that the page does not keep. Those by user count a user once for each thing."""

    goal: str
    types: Counter[str] = field(default_factory=Counter)
    type_users: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)  # of journeys
    kind_users: Counter[str] = field(default_factory=Counter)
    kind_converted: Counter[str] = field(default_factory=Counter)
    categories: set[str] = field(default_factory=set)
    goal_types: set[str] = field(default_factory=set)
    reached: int = 0  # users with an event of the goal

    def add(self, user: UserFacts) -> None:
        """Count a user."""
        self.types.update(event["type"] for event in user.events)
        self.type_users.update({event["type"] for event in user.events})
        categories = {event["category"] for event in user.events}
        self.categories |= categories
        self.goal_types.update(event["type"] for event in user.events if event["category"] == self.goal)
        self.reached += self.goal in categories
        self.kinds.update(journey["kind"] for journey in user.journeys)
        self.kind_users.update({journey["kind"] for journey in user.journeys})
        self.kind_converted.update(each["kind"] for each in user.journeys if each["converted"])

    def figures(self, counts: Counts) -> dict[str, Any]:
        """Return the sums as the page shows them."""
        types = messages.most_frequent(self.types)
        names = types[:MOST_SUMMED] + [each for each in types[MOST_SUMMED:] if each[0] in self.goal_types]
        kinds = messages.most_frequent(self.kinds)[:MOST_SUMMED]
        return {
            **picked("users failed behaviors unplaced events unsure journeys", counts),
            "converted": self.kind_converted.total(),
            "reached": self.reached,
            "types": [(shown(name), number, self.type_users[name]) for name, number in names],
            "kinds": [
                (shown(kind), number, self.kind_users[kind], self.kind_converted[kind])
                for kind, number in kinds
            ],
        }


MOST_SUMMED: Final = 40  # types, and kinds of journeys


def places_of(behaviors: Iterable[Behavior]) -> tuple[set[str], set[str]]:
    """Return where a user was: what is visited or used, or named as the place of something; and what may be a place.

    A row whose only object is a place has it as its thing: it is one if another row, of any user, says so.
    """
    where = {b.item if b.action in ("visit", "use") else b.place for b in behaviors} - {""}
    things = {b.item for b in behaviors if not (b.place or b.in_own_words or b.action == "search")}
    return where, things - where - {""}


_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_CHUNK_BEHAVIORS: Final = 20_000  # after which a chunk is closed
_LONGEST_TEXT: Final = 300  # characters of a text
_LEVEL: Final = 6  # of deflate: higher ones cost twice the time for 1 %
_SOURCES: Final = ("llm", "rules", "must")
_UNSURE, _OUTSIDE = 1, 2  # flags of an event; its source is above them
_ABOVE_FLAGS: Final = 4
_NEXT: Final = -1  # in the place of the number of a text that has not been named before


def _number(known: dict[_Thing, int], thing: _Thing) -> int:
    """Return the number of a thing, in the order of their first use."""
    return known.setdefault(thing, len(known))


class PackedUsers:
    """Users that are kept for the page. `users` is the index, a column for each fact."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.bytes = 0  # of all chunks
        self.numbers: dict[str, int] = {}  # of users, by id
        self.users: dict[str, list[Any]] = defaultdict(list)
        self.offsets: set[str] = set()  # from UTC, as the logs have them
        self._kinds: dict[tuple[str, str], int] = {}  # numbers, by type and category
        self._reasons: dict[str, int] = {"": 0}
        self._columns: dict[str, int] = {}  # of profiles
        self._begin_chunk()

    def _begin_chunk(self) -> None:
        self._records: list[list[Any]] = []
        self._size = 0  # behaviors and events
        self._names, self._summaries = {"": 0}, {"": 0}  # numbers of texts

    def add(self, user: UserFacts, log: LogFacts, *, is_drawn: bool = True) -> None:
        """Keep a user; one that is not drawn is beside the sample, and counted nowhere."""
        row, behaviors = user.row, log.log.behaviors
        self.numbers[row.user_id] = len(self.numbers)
        self.offsets |= log.log.offsets
        kinds = [_number(self._kinds, (event["type"], event["category"])) for event in user.events]
        values = {
            "beside": int(not is_drawn),
            "id": shown(row.user_id),
            "state": ("done", "failed", "pending").index(row.state),
            "reason": _number(self._reasons, row.reason or ""),
            "profile": {_number(self._columns, column): shown(value) for column, value in log.log.profile},
            "behaviors": len(behaviors),
            "events": len(user.events),
            "journeys": len(user.journeys),
            "minor": len(log.rows.minor),
            "unplaced": len(log.rows.unplaced),
            "first": seconds_of(behaviors[0].start) if behaviors else None,
            "last": seconds_of(behaviors[-1].start) if behaviors else None,
            "kinds": sorted(set(kinds)),
            "chunk": len(self.chunks),
        }
        for name, value in values.items():
            self.users[name].append(value)
        self._records.append(self._record(user, log, kinds))
        self._size += len(behaviors) + len(user.events)
        if self._size > _CHUNK_BEHAVIORS:
            self.close_chunk()

    def _record(self, user: UserFacts, log: LogFacts, kinds: list[int]) -> list[Any]:
        behaviors, events = log.log.behaviors, user.events
        times = [seconds_of(behavior.start) for behavior in behaviors]
        base = times[0] if times else 0
        # the number of each behavior's event from 1; below: why it has none
        owners = [0] * len(times)
        for state, indices in enumerate(log.rows, 1):
            for index in indices:
                owners[index] = -state
        for number, event in enumerate(events, 1):
            for index in event["behaviors"]:
                owners[index] = number
        numbers = {journey["id"]: number for number, journey in enumerate(user.journeys, 1)}
        flags = [
            _UNSURE * (not event["sure"])
            + _OUTSIDE * bool(event.get("outside"))
            + _ABOVE_FLAGS * _SOURCES.index(event["source"])
            for event in events
        ]
        return [
            base,
            differences(times, base),
            [_number(self._names, phrase) for phrase in log.phrases],
            [behavior.duration or 0 for behavior in behaviors],
            differences(owners, 0),
            kinds,
            [self._summary(event["summary"]) for event in events],
            flags,
            [numbers.get(event["journey"], 0) for event in events],
            [(shown(j["kind"]), shown(j["name"]), j["days"], int(j["converted"])) for j in user.journeys],
            differences((behavior.line for behavior in behaviors), 0),
            [behavior.file for behavior in behaviors] if any(b.file for b in behaviors) else [],
            *([_number(self._names, place) for place in places] for places in places_of(behaviors)),
            {at: shown(one.text) for at, one in enumerate(behaviors) if one.text not in ("", one.item)},
        ]

    def _summary(self, text: str) -> int:
        """Return the number of a summary, _NEXT for one that is new: most are."""
        known = len(self._summaries)
        number = _number(self._summaries, text)
        return _NEXT if number == known else number

    def close_chunk(self) -> None:
        """Compress what has been added since the last time."""
        if self._records:
            names, summaries = list(map(shown, self._names)), list(map(shown, self._summaries))
            self.chunks.append(packed({"names": names, "texts": summaries, "users": self._records}))
            self.bytes += len(self.chunks[-1])
            self._begin_chunk()

    def index(self) -> dict[str, Any]:
        """Return what is known of the users without opening a chunk."""
        return {
            "users": self.users,
            "reasons": list(map(messages.reason, self._reasons)),
            "kinds": [(shown(kind), shown(category)) for kind, category in self._kinds],
            "columns": list(map(shown, self._columns)),
        }


def packed(value: object) -> bytes:
    """Return JSON, deflated; the browser inflates it. Lone surrogates cannot occur: texts are escaped."""
    return zlib.compress(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS), _LEVEL)


def seconds_of(moment: datetime) -> int:
    """Return seconds of wall time since 1970."""
    days = moment.toordinal() - _EPOCH_DAY
    return days * 86_400 + moment.hour * 3_600 + moment.minute * 60 + moment.second


def differences(numbers: Iterable[int], base: int) -> list[int]:
    """Return each number less the one before it, the first less `base`."""
    return [after - before for before, after in pairwise((base, *numbers))]


def shown(text: str) -> str:
    """Make control and bidi characters visible, and cut what no page can show."""
    return one_line(text[:_LONGEST_TEXT])


MOST_BYTES: Final = 4_000_000  # of all texts, compressed
_CHUNK_CHARACTERS: Final = 600_000
_LONGEST_CALL: Final = 400_000  # characters of one text


def sent_zone(name: str) -> ZoneInfo:
    """Return the zone in which the times of calls are told: that of the run, UTC where it names none that this machine knows."""
    try:
        return ZoneInfo(name) if name else ZoneInfo("UTC")
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return ZoneInfo("UTC")


class PackedCalls:
    """The calls of a run. Texts are kept of as many as fit, of those with bad replies first.

    `use`: what the tokens of all of them were for; `size`: how many they are; `left_out`: of how many the texts are left out.
    """

    def __init__(
        self, facts: ReportFacts, numbers: Mapping[str, int], zone: ZoneInfo, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self.chunks: list[bytes] = []
        self._facts, self._numbers, self._zone = facts, numbers, zone
        self._figures: dict[int, dict[str, Any]] = {}
        self._calls: list[list[Any]] = []
        self._texts: dict[str, int] = {}  # numbers; the instructions, equal in all calls, are written once
        self._characters = 0
        # most calls have the instructions of the last one
        count = lru_cache(maxsize=1)(TokenCounter(facts.tokenizer).count)
        uses = []
        for call in facts.calls:
            self._figures[call.id] = self._figures_of(call)
            uses.append(call.use(count))
        self.use = TokenUse(*map(fsum, zip(*uses, strict=True)))
        self.size = self.left_out = len(uses)
        for each in sorted(
            self._figures.values(), key=lambda each: (each["usable"] >= each["users"], each["id"])
        ):
            if sum(map(len, self.chunks)) > most_bytes:
                break
            each |= {"chunk": len(self.chunks), "place": len(self._calls)}
            self.left_out -= 1
            self._add(*stored_calls(facts.ledger, "id = ?", each["id"]))
            if self._characters > _CHUNK_CHARACTERS:
                self._close_chunk()
        self._close_chunk()

    def index(self) -> dict[str, Any]:
        """Return the figures of all calls, a column for each, and those that were sent again."""
        columns: dict[str, Any] = defaultdict(list)
        begin = min((each["from"] for each in self._figures.values()), default=0.0)
        columns["retries"] = [
            (round(each.at - begin, 2), each.wait_seconds, each.cause == "rate_limit")
            for each in self._facts.retries
        ]
        for figures in self._figures.values():
            moments = {name: round(figures[name] - begin, 2) for name in ("from", "to")}
            for name, value in (figures | moments).items():
                columns[name].append(value)
        return columns

    def _figures_of(self, call: StoredCall) -> dict[str, Any]:
        asked = (self._numbers.get(part.user_id, -1) for part in call.asked.values())
        tokens = call.prompt_tokens, call.completion_tokens, call.cached_tokens
        return {
            **picked("id attempt status usable", call),
            "users": len(call.asked),
            "cost": self._facts.run.endpoint.price.cost(*tokens, call.tier or ""),
            "finish": shown(call.finish_reason or ""),
            "prompt": call.prompt_tokens,
            "cached": call.cached_tokens,
            "completion": call.completion_tokens,
            "reasoning": call.reasoning_tokens,
            "tier": shown(call.tier or ""),
            "seconds": rounded(call.seconds, 1),
            "sent": seconds_of(datetime.fromtimestamp(round(call.sent_at), self._zone)),
            "from": call.sent_at,
            "to": call.ended_at or call.sent_at,
            "who": sorted({number for number in asked if number >= 0}),
            "chunk": -1,
            "place": 0,
        }

    def _add(self, call: StoredCall) -> None:
        users = []
        for alias, part in call.asked.items():
            outcome = call.brought.get(alias, "")
            told = outcome if outcome in ("usable", "") else messages.reason(outcome)
            users.append((alias, shown(part.user_id), self._numbers.get(part.user_id, -1), told))
        ends = (call.reply, call.reasoning, call.error or "")
        texts = {*(message["content"] for message in call.messages), *ends}
        self._characters += sum(map(len, texts - self._texts.keys()))
        sent = [(message["role"], _number(self._texts, message["content"])) for message in call.messages]
        self._calls.append([sent, *(_number(self._texts, text) for text in ends), users])

    def _close_chunk(self) -> None:
        if self._calls:
            texts = [visible_lines(text[:_LONGEST_CALL]) for text in self._texts]
            self.chunks.append(packed({"texts": texts, "calls": self._calls}))
            self._calls, self._texts, self._characters = [], {}, 0


def visible_lines(text: str) -> str:
    """Return a text of many lines with every control and bidi character made visible."""
    return "\n".join(one_line(line.rstrip("\r").replace("\t", "    ")) for line in text.split("\n"))


def zone_note(timezone: str, offsets: Collection[str]) -> str:
    """Say of which zone the times of behaviors and events are: the one of the settings, or what the export has."""
    offset = next(iter(offsets), "") if len(offsets) <= 1 else None
    if zone := timezone or offset:
        return _("times: {zone}").format(zone=one_line(zone))
    if offset is None:
        return _("times: as in the export, each with its own offset from UTC")
    return _("times: as in the export, which names no zone")
