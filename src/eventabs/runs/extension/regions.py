"""Which stretches of a log that has grown are asked about, and what is kept of the answers about the rest.

A stretch holds what is new and, where less than a pause lies between, the event beside it: what was done may go on over the
seam. It ends only where no event that is kept has behaviors on both sides, since a behavior belongs to one event. Where an
answer chooses among the activities of a day, a stretch holds whole days: a day that is answered in pieces keeps more.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from typing import Any

from eventabs.records import Behavior
from eventabs.runs.extension.comparison import GONE, MergedLog, is_append, new_places
from eventabs.store import KnownPart, MovedPart, instant

EventRow = dict[str, Any]
Region = tuple[int, int]  # log indices, both included
_DAY = len("2026-01-01")
_MINUTE = len("2026-01-01T10:00")


@dataclass(slots=True)
class _Event:
    """An event of an answer, and the places of its behaviors in the new log."""

    part: int
    row: EventRow
    places: list[int]
    is_dropped: bool = False

    def renumbered(self) -> EventRow:
        return {**self.row, "behaviors": self.places}


@dataclass(frozen=True, slots=True)
class Regions:
    """What becomes of a user's parts.

    `regions` are asked about. `gone` are parts that are not as they were, `moved` their kept pieces. Of the events, `discarded` are not
    kept, as they were, `dropped` the same under their new indices; `renumbered` are kept with other behaviors, as they were.
    `reopened`: log indices that are asked about although they were answered. `moved_from`: see `ExtendedUser`.
    """

    regions: list[Region]
    gone: list[KnownPart] = field(default_factory=list)
    moved: list[MovedPart] = field(default_factory=list)
    discarded: list[tuple[KnownPart, EventRow]] = field(default_factory=list)
    dropped: list[tuple[KnownPart, EventRow]] = field(default_factory=list)
    renumbered: list[tuple[KnownPart, EventRow]] = field(default_factory=list)
    reopened: list[int] = field(default_factory=list)
    moved_from: int | None = None


def plan_regions(
    log: MergedLog, parts: Sequence[KnownPart], pause: int, *, whole_days: bool = False
) -> Regions:
    """Plan what to ask about a log that has grown; `pause`: seconds after which what is done is another event.

    `parts` are those of the old log, with the events of the settled ones under its indices. `whole_days`: all events that
    begin on a day are asked about together.
    """
    return _Planner(log, parts, pause, whole_days=whole_days).plan()


class _Planner:
    def __init__(self, log: MergedLog, parts: Sequence[KnownPart], pause: int, *, whole_days: bool) -> None:
        self._log = log
        self._parts = parts
        self._pause = pause
        self._starts = list(map(instant, log.behaviors))
        self._new = set(new_places(log))
        self._events = list(self._known_events())
        self._owner = {place: event for event in self._events for place in event.places}
        self._spans = list(map(self._span, parts))
        self._days = self._spans_of_days() if whole_days else {}

    def plan(self) -> Regions:
        regions = self._closed(_joined([*self._new_stretches(), *self._disturbed()]))
        for event in self._events:
            event.is_dropped = self._is_asked_again(event, regions)
        first = self._first_change(regions)
        gone = [number for number, part in enumerate(self._parts) if part.last >= first or part.last < 0]
        affected = [event for event in self._events if event.part in gone]
        moved_from = self._moved_from()
        dropped = [event for event in affected if event.is_dropped]
        asked = set(_indices(regions))
        return Regions(
            regions=regions,
            gone=[self._parts[number] for number in gone],
            moved=[piece for number in gone for piece in self._pieces(number, asked, affected)],
            discarded=[(self._parts[event.part], event.row) for event in dropped],
            dropped=[
                (self._parts[event.part], event.renumbered())
                for event in dropped
                if event.places or not event.row["behaviors"]
            ],
            renumbered=[
                (self._parts[event.part], event.row)
                for event in affected
                if not event.is_dropped
                and moved_from is not None
                and max(event.places, default=GONE) >= moved_from
            ],
            reopened=sorted(self._answered(asked)),
            moved_from=moved_from,
        )

    def _known_events(self) -> Iterator[_Event]:
        for number, part in enumerate(self._parts):
            if part.is_settled:
                for row in part.events:
                    places = [self._log.places[index] for index in row["behaviors"]]
                    yield _Event(number, row, [place for place in places if place != GONE])

    def _span(self, part: KnownPart) -> Region | None:
        """Return between which places a part lies, None where nothing of it is left."""
        places = [place for place in self._log.places[part.first : part.last + 1] if place != GONE]
        return (places[0], places[-1]) if places else None

    def _spans_of_days(self) -> dict[date, Region]:
        """Return for each day between which places that lies which begins on it: what goes on over midnight is of its first day."""
        spans: dict[date, Region] = {}
        for place in range(len(self._starts)):
            first, last = spans.setdefault(self._day(place), (place, place))
            spans[self._day(place)] = min(first, place), max(last, place)
        return spans

    def _day(self, place: int) -> date:
        event = self._owner.get(place)
        return self._log.behaviors[min(event.places) if event else place].start.date()

    def _new_stretches(self) -> Iterator[Region]:
        """Yield what is new, with the events beside it that may go on in it."""
        known_ends = self._ends(lambda place: place not in self._new)
        ends = self._ends(lambda _place: True)
        for place in sorted(self._new):
            yield place, place
            yield from self._before(place, ends)
            yield from self._behind(place, ends, known_ends)

    def _ends(self, counts: Callable[[int], bool]) -> list[int]:
        """Return for each place when the last of what stands up to it has ended."""
        own = (
            _end(behavior) if counts(place) else self._starts[0]
            for place, behavior in enumerate(self._log.behaviors)
        )
        return list(accumulate(own, max))

    def _before(self, place: int, ends: Sequence[int]) -> Iterator[Region]:
        for before in range(place - 1, GONE, -1):
            if before in self._new or self._starts[before + 1] - ends[before] > self._pause:
                return
            yield self._stretch(before)
            if before in self._owner:
                return

    def _behind(self, place: int, ends: Sequence[int], known_ends: Sequence[int]) -> Iterator[Region]:
        """Yield the event behind, and those that followed after a pause and do not any more."""
        reach = _end(self._log.behaviors[place]) + self._pause
        is_next = True
        for behind in range(place + 1, len(self._starts)):
            start = self._starts[behind]
            if is_next and behind not in self._new:
                if start - ends[behind - 1] > self._pause:
                    return
                yield self._stretch(behind)
                is_next = behind not in self._owner
            elif start > reach:
                return
            elif behind in self._new:
                is_next = False
            elif start - known_ends[behind - 1] > self._pause:
                yield self._stretch(behind)

    def _stretch(self, place: int) -> Region:
        event = self._owner.get(place)
        return (min(event.places), max(event.places)) if event else (place, place)

    def _disturbed(self) -> Iterator[Region]:
        """Yield events that have lost a behavior, and parts without an answer of which that is true."""
        if is_append(self._log.places):
            return
        for event in self._events:
            if len(event.places) < len(event.row["behaviors"]):
                if event.places:
                    yield min(event.places), max(event.places)
                span_of_day = self._days.get(date.fromisoformat(str(event.row["start"])[:_DAY]))
                if span_of_day:
                    yield span_of_day
        for part, span in zip(self._parts, self._spans, strict=True):
            places = self._log.places[part.first : part.last + 1]
            if span and not part.is_settled and GONE in places:
                yield span

    def _closed(self, regions: list[Region]) -> list[Region]:
        """Widen regions until none cuts an event or a part without an answer."""
        while True:
            wider = _joined(self._widened(region) for region in regions)
            if wider == regions:
                return regions
            regions = wider

    def _widened(self, region: Region) -> Region:
        first, last = region
        for place in range(region[0], region[1] + 1):
            if place in self._owner:
                places = self._owner[place].places
                first, last = min(first, *places), max(last, *places)
            # what is asked about again may end before midnight now, and leave the rest of it to the day that it went on in
            for day in {self._day(place), self._log.behaviors[place].start.date()} & self._days.keys():
                first, last = min(first, self._days[day][0]), max(last, self._days[day][1])
        for part, span in zip(self._parts, self._spans, strict=True):
            if span and not part.is_settled:
                near = part.state == "pending"  # it has cost nothing yet, and one call for both is enough
                if first <= span[1] + near and span[0] - near <= last:
                    first, last = min(first, span[0]), max(last, span[1])
        return first, last

    def _is_asked_again(self, event: _Event, regions: Sequence[Region]) -> bool:
        if event.row["behaviors"]:
            return not event.places or any(first <= event.places[0] <= last for first, last in regions)
        minute = str(event.row["start"])[:_MINUTE]
        return any(
            _minute(self._log.behaviors[first]) <= minute <= _minute(self._log.behaviors[last])
            for first, last in regions
            if not self._new.issuperset(range(first, last + 1))
        )

    def _first_change(self, regions: Sequence[Region]) -> int:
        """Return the first index of the old log whose behavior is asked about or has another place."""
        asked = set(_indices(regions))
        return next(
            (index for index, place in enumerate(self._log.places) if index != place or place in asked),
            len(self._log.places),
        )

    def _moved_from(self) -> int | None:
        return next(
            (place for index, place in enumerate(self._log.places) if place not in (GONE, index)), None
        )

    def _pieces(self, number: int, asked: set[int], affected: Sequence[_Event]) -> list[MovedPart]:
        """Return what is kept of a part: its stretches between what is asked about."""
        part = self._parts[number]
        kept = [
            place
            for place in self._log.places[part.first : part.last + 1]
            if place != GONE and place not in asked
        ]
        runs = _runs(kept)
        rows: list[list[EventRow]] = [[] for _run in runs]
        for event in affected:
            if event.part == number and not event.is_dropped and runs:
                rows[self._run_of(event, runs)].append(event.renumbered())
        return [MovedPart(part, first, last, tuple(rows[run])) for run, (first, last) in enumerate(runs)]

    def _run_of(self, event: _Event, runs: Sequence[Region]) -> int:
        if event.places:
            return next(number for number, run in enumerate(runs) if event.places[0] <= run[1])
        minute = str(event.row["start"])[:_MINUTE]
        before = [number for number, run in enumerate(runs) if _minute(self._log.behaviors[run[0]]) <= minute]
        return before[-1] if before else 0

    def _answered(self, asked: set[int]) -> Iterator[int]:
        for part in self._parts:
            if part.is_settled:
                places = self._log.places[part.first : part.last + 1]
                yield from (place for place in places if place in asked)


def _end(behavior: Behavior) -> int:
    return instant(behavior) + (behavior.duration or 0)


def _minute(behavior: Behavior) -> str:
    return behavior.start.isoformat()[:_MINUTE]


def _indices(regions: Iterable[Region]) -> Iterator[int]:
    for first, last in regions:
        yield from range(first, last + 1)


def _joined(regions: Iterable[Region]) -> list[Region]:
    """Return regions in order, those as one that overlap or follow each other."""
    found: list[Region] = []
    for first, last in sorted(regions):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _runs(places: Iterable[int]) -> list[Region]:
    """Return stretches of indices that follow each other."""
    return _joined((place, place) for place in places)
