"""A sample of a run's events and user-days for people to judge: drawn by a seed, written down, found again by its id."""

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from eventabs.errors import UsageError
from eventabs.language import Language, gettext as _
from eventabs.prompts import Compactor
from eventabs.records import UserLog
from eventabs.store import (
    Ledger,
    RunDirectory,
    events_of,
    read_head,
    replace_file,
    states_by_user,
    storage_error,
)

_AROUND: Final = 8  # lines shown before and after an event
_MOST_LINES: Final = 160  # of an event; the middle of a longer one is left out
_LARGEST: Final = 64_000_000  # bytes of a stored sample
_ID: Final = re.compile("r[0-9a-f]{12}")

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SampledEvent:
    """An event to judge. `item`: E1, E2, ... in random order. `drawn`: of the sample, not only of a day that is reviewed."""

    item: str
    user_id: str
    type: str
    category: str
    start: str
    end: str
    summary: str
    behaviors: tuple[int, ...]
    drawn: bool


@dataclass(frozen=True, slots=True)
class SampledDay:
    """A day of a user, whose missing events are looked for. `item`: D1, D2, ...; behaviors `first`..`last`, both included.

    `events`: the items of all events that start on it.
    """

    item: str
    user_id: str
    day: str  # ISO 8601
    first: int
    last: int
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """What is to be judged. `by`: "type" for as many events of each type, "" for a simple random sample.

    `events_in_run` and `days_in_run` are what was drawn from: events and user-days of users that are done. `types`: those
    of the run, the most frequent first, `language` is its `lang` setting.
    """

    id: str
    seed: int
    by: str
    events_in_run: int
    days_in_run: int
    types: tuple[str, ...]
    events: tuple[SampledEvent, ...]
    days: tuple[SampledDay, ...]
    language: str


class ContextLine(NamedTuple):
    """A behavior as it stands around an event. `type` and `event` (position among the user's): of the one that has it; "" and -1: none."""

    number: int  # its index in the user's log
    day: str
    text: str
    type: str
    event: int


class Sheet(NamedTuple):
    """A review with the lines that people need to judge each of its items; `folder` is its own in the run directory `out`."""

    review: Review
    out: Path
    folder: Path
    lines: dict[str, tuple[ContextLine, ...]]
    profiles: dict[str, str]  # by user
    timezone: str  # of the run's settings, "" for the times of the export
    offsets: set[str]  # from UTC, of the users' behaviors


def draw_review(named: Path, *, sample: int, days: int, by: str = "", seed: int = 0) -> Sheet:
    """Draw events and user-days of a run, also while somebody works on it, and write down which.

    The same run and seed give the same review. Raises UsageError where no user is done, RunDirectoryError where there is
    no run, StorageError where the sample cannot be written.
    """
    directory = RunDirectory.find(named)
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        whole = _Population.of(ledger)
        if not sum(whole.types.values()):
            message = _("no event of {path} can be reviewed yet; go on with eventabs resume")
            raise UsageError(message.format(path=directory.path))
        random_numbers = random.Random(seed)  # noqa: S311  no secret
        drawn = _Drawing(whole, sample, days, by, random_numbers).items(ledger)
        review = _review(facts, whole, drawn, by=by, seed=seed)
        sheet = _sheet(directory, ledger, review)
    _write(sheet)
    return sheet


def stored_review(directory: RunDirectory, review_id: str) -> Review | None:
    """Return the review of an id, None where the run directory has none or it cannot be read."""
    if not _ID.fullmatch(review_id):
        return None
    try:
        stored = orjson.loads(read_head(directory.reviews / review_id / "sample.json", _LARGEST))
        events = (each | {"behaviors": tuple(each["behaviors"])} for each in stored["events"])
        days = (each | {"events": tuple(each["events"])} for each in stored["days"])
        return Review(
            **stored
            | {
                "types": tuple(stored["types"]),
                "events": tuple(SampledEvent(**each) for each in events),
                "days": tuple(SampledDay(**each) for each in days),
            }
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


class _Population(NamedTuple):
    """What can be drawn: how many events of each type, and user-days."""

    types: Counter[str]
    days: int

    @classmethod
    def of(cls, ledger: Ledger) -> "_Population":
        types, days = Counter[str](), 0
        for user_id in _done(ledger):
            types.update(event["type"] for event in events_of(ledger, user_id))
            days += sum(1 for _day in _days(ledger.log(user_id)))
        return cls(types, days)


def _done(ledger: Ledger) -> Iterator[str]:
    return (user_id for user_id, state in states_by_user(ledger) if state == "done")


def _days(log: UserLog) -> Iterator[tuple[str, int, int]]:
    """Yield the days of a log with the indices of their first and last behaviors."""
    index = 0
    for day, behaviors in groupby(log.behaviors, key=lambda behavior: behavior.start.date()):
        first, index = index, index + sum(1 for _each in behaviors)
        yield day.isoformat(), first, index - 1


class _Drawn(NamedTuple):
    events: list[tuple[str, int, Event]]  # user, position among the user's, event; in random order
    days: list[tuple[str, tuple[str, int, int], list[tuple[int, Event]]]]  # user, day, its events


class _Drawing:
    """Which numbers of the events of each stratum, and of the user-days, are drawn without replacement."""

    def __init__(
        self, whole: _Population, sample: int, days: int, by: str, random_numbers: random.Random
    ) -> None:
        self._by = by
        strata = whole.types if by else Counter({"": sum(whole.types.values())})
        self._places: dict[str, dict[int, int]] = {}
        for name, quota in sorted(_quotas(strata, sample).items()):
            numbers = random_numbers.sample(range(strata[name]), quota)
            self._places[name] = {number: place for place, number in enumerate(numbers)}
        numbers = random_numbers.sample(range(whole.days), min(days, whole.days))
        self._days = {number: place for place, number in enumerate(numbers)}

    def items(self, ledger: Ledger) -> _Drawn:
        """Go through the run once more, and take what was drawn."""
        seen, day_number = Counter[str](), 0
        events: list[tuple[int, str, tuple[str, int, Event]]] = []
        days = []
        for user_id in _done(ledger):
            own = list(enumerate(events_of(ledger, user_id)))
            for position, event in own:
                stratum = event["type"] if self._by else ""
                place = self._places.get(stratum, {}).get(seen[stratum])
                seen[stratum] += 1
                if place is not None:
                    events.append((place, stratum, (user_id, position, event)))
            for day in _days(ledger.log(user_id)) if self._days else ():
                if day_number in self._days:
                    started = [pair for pair in own if str(pair[1]["start"]).startswith(day[0])]
                    days.append((self._days[day_number], (user_id, day, started)))
                day_number += 1
        # by place, so that what is judged first is a random sample too
        in_order = [drawn for _place, _stratum, drawn in sorted(events, key=lambda each: each[:2])]
        return _Drawn(in_order, [drawn for _place, drawn in sorted(days, key=lambda each: each[0])])


def _quotas(strata: Mapping[str, int], sample: int) -> dict[str, int]:
    """Return how many of each stratum are drawn: as many of each, as far as there are so many."""
    quotas = dict.fromkeys(strata, 0)
    left = min(sample, sum(strata.values()))
    while left:
        waiting = [
            name for name in sorted(strata, key=lambda name: -strata[name]) if quotas[name] < strata[name]
        ]
        for name in waiting[:left]:
            room = strata[name] - quotas[name]
            quotas[name] += min(room, max(1, left // len(waiting)))
        left = min(sample, sum(strata.values())) - sum(quotas.values())
    return quotas


def _review(facts: Mapping[str, Any], whole: _Population, drawn: _Drawn, *, by: str, seed: int) -> Review:
    items: dict[tuple[str, int], SampledEvent] = {}
    found = (
        *((True, each) for each in drawn.events),
        *((False, (user_id, *pair)) for user_id, _day, started in drawn.days for pair in started),
    )
    for is_drawn, (user_id, position, event) in found:
        if (user_id, position) not in items:
            item = f"E{len(items) + 1}"
            items[user_id, position] = _sampled(item, user_id, event, drawn=is_drawn)
    days = tuple(
        SampledDay(
            f"D{number}", user_id, *day, tuple(items[user_id, position].item for position, _event in started)
        )
        for number, (user_id, day, started) in enumerate(drawn.days, start=1)
    )
    events = tuple(items.values())
    what = orjson.dumps([facts["run_id"], seed, by, events, days])
    return Review(
        id=f"r{hashlib.sha256(what).hexdigest()[:12]}",
        seed=seed,
        by=by,
        events_in_run=sum(whole.types.values()),
        days_in_run=whole.days,
        types=tuple(name for name, _count in whole.types.most_common()),
        events=events,
        days=days,
        language=facts["settings"]["lang"],
    )


def _sampled(item: str, user_id: str, event: Mapping[str, Any], *, drawn: bool) -> SampledEvent:
    return SampledEvent(
        item=item,
        user_id=user_id,
        **{name: str(event[name]) for name in ("type", "category", "start", "end", "summary")},
        behaviors=tuple(event["behaviors"]),
        drawn=drawn,
    )


def _sheet(directory: RunDirectory, ledger: Ledger, review: Review) -> Sheet:
    by_user: defaultdict[str, list[SampledEvent | SampledDay]] = defaultdict(list)
    for event in review.events:
        by_user[event.user_id].append(event)
    for day in review.days:
        by_user[day.user_id].append(day)
    facts = ledger.meta()
    language: Language = "zh" if facts.get("prompt_language") == "zh" else "en"
    compactor = Compactor(language, facts["settings"]["compaction"]["strip"])
    lines: dict[str, tuple[ContextLine, ...]] = {}
    profiles: dict[str, str] = {}
    offsets: set[str] = set()
    for user_id, items in by_user.items():
        log = ledger.log(user_id)
        offsets |= log.offsets
        profiles[user_id] = " ".join(value for _column, value in log.profile)
        own = _lines(log, events_of(ledger, user_id), compactor)
        for item in items:
            lines[item.item] = _around(item, own, log)
    timezone = facts["settings"].get("input", {}).get("timezone", "")
    return Sheet(review, directory.path, directory.reviews / review.id, lines, profiles, timezone, offsets)


def _lines(log: UserLog, events: Sequence[Event], compactor: Compactor) -> list[ContextLine]:
    owners = {
        index: (event["type"], position)
        for position, event in enumerate(events)
        for index in event["behaviors"]
    }
    return [
        ContextLine(index, behavior.start.date().isoformat(), text, *owners.get(index, ("", -1)))
        for index, (behavior, text) in enumerate(zip(log.behaviors, compactor.lines(log), strict=True))
    ]


def _around(
    item: SampledEvent | SampledDay, lines: Sequence[ContextLine], log: UserLog
) -> tuple[ContextLine, ...]:
    if isinstance(item, SampledDay):
        return tuple(lines[item.first : item.last + 1])
    first, last = (min(item.behaviors), max(item.behaviors)) if item.behaviors else _span(item, log)
    shown = lines[max(0, first - _AROUND) : last + 1 + _AROUND]
    if len(shown) <= _MOST_LINES:
        return tuple(shown)
    return (*shown[: _MOST_LINES // 2], *shown[-_MOST_LINES // 2 :])


def _span(event: SampledEvent, log: UserLog) -> tuple[int, int]:
    """Return where in a log an event lies that covers no behavior, by the times that the model gave it."""
    try:
        start, end = (datetime.fromisoformat(time).replace(tzinfo=None) for time in (event.start, event.end))
    except ValueError:
        return 0, 0
    times = [behavior.start.replace(tzinfo=None) for behavior in log.behaviors]
    before = sum(time < start for time in times)
    return before, max(before, sum(time <= end for time in times) - 1)


def _write(sheet: Sheet) -> None:
    try:
        for folder in (sheet.folder.parent, sheet.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise storage_error(sheet.folder, error) from None
    replace_file(sheet.folder / "sample.json", [orjson.dumps(sheet.review)])
