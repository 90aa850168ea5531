"""What a new export changes in a run: compared with what is known, surveyed, and which stretches of a log are asked about anew."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from heapq import merge
from itertools import accumulate, groupby
from typing import Any, Final, NamedTuple

from eventabs.config import Settings
from eventabs.errors import InputError
from eventabs.ingest import Export
from eventabs.language import gettext as _
from eventabs.prompts import BatchLimits, PromptBuilder, log_of_part, measure_parts
from eventabs.records import Behavior, Part, PartSize, UserLog
from eventabs.runs.components import RunContext
from eventabs.runs.observer import ExtensionCounts
from eventabs.stop import Stop
from eventabs.store import (
    ExtendedUser,
    KnownPart,
    Ledger,
    MovedPart,
    StandingEvents,
    find_log,
    instant,
    known_parts,
    standing_events,
    users_between,
)

SECONDS_A_DAY = 86_400
GONE = -1  # the place of a behavior that is not in the log any more


@dataclass(frozen=True, slots=True)
class Window:
    """The time that an export is about, in seconds since 1970, both ends included.

    `days`: those (in days since 1970) that it holds as a whole, so that a known behavior that it lacks is gone; None: all.
    """

    first: int
    last: int
    days: frozenset[int] | None = None

    def covers(self, behavior: Behavior) -> bool:
        """Whether the export would have a behavior that lies within its time."""
        return self.days is None or epoch_day(behavior) in self.days


def epoch_day(behavior: Behavior) -> int:
    """Return the day of a behavior, counted from 1970."""
    return instant(behavior) // SECONDS_A_DAY


class Unshared(NamedTuple):
    """What an export and a log do not share.

    `new`: behaviors that the log lacks; `missing`: indices of those that the export lacks; `known`: indices of all that lie
    in the time of the export.
    """

    new: tuple[Behavior, ...]
    missing: tuple[int, ...]
    known: range


def unshared_with(log: Sequence[Behavior], export: Sequence[Behavior], window: Window) -> Unshared:
    """Compare the behaviors of an export with a log, both in order of time.

    Equal behaviors are one as often as both have them; of those that the export has less often, the last ones are missing.
    """
    known = range(bisect_left(log, window.first, key=instant), bisect_right(log, window.last, key=instant))
    identities = list(map(_identity, log[known.start : known.stop]))
    found = list(map(_identity, export))
    if identities == found:
        return Unshared((), (), known)
    unmatched = Counter(identities)
    new = []
    for behavior, identity in zip(export, found, strict=True):
        if unmatched[identity]:
            unmatched[identity] -= 1
        else:
            new.append(behavior)
    missing = []
    for index in reversed(known):
        identity = identities[index - known.start]
        if unmatched[identity]:
            unmatched[identity] -= 1
            if window.covers(log[index]):
                missing.append(index)
    return Unshared(tuple(new), tuple(reversed(missing)), known)


def _identity(behavior: Behavior) -> Hashable:
    # the moment, what, where and how long: not the file, which every export has anew
    offset = behavior.start.utcoffset()
    return behavior[:5] if offset is None else (offset, *behavior[:5])


class LogChange(NamedTuple):
    """What an export changes in a log.

    `added` come into the log, among them `late` ones, which lie before its last behavior; `too_late` do not. `removed` are
    log indices; `replaced` of these have another behavior of the same moment in their place.
    """

    added: tuple[Behavior, ...] = ()
    late: int = 0
    too_late: tuple[Behavior, ...] = ()
    removed: tuple[int, ...] = ()
    replaced: int = 0

    @property
    def changes_log(self) -> bool:
        """Whether the log becomes another one."""
        return bool(self.added or self.removed)


def log_change(log: Sequence[Behavior], unshared: Unshared, lateness: int) -> LogChange:
    """Sort out what an export and a log do not share.

    A new behavior is too late if it lies more than `lateness` seconds before the log's last one and replaces no other.
    """
    latest = instant(log[-1]) if log else None
    missing = Counter(instant(log[index]) for index in unshared.missing)
    added, too_late = [], []
    late = replaced = 0
    for behavior in unshared.new:
        at = instant(behavior)
        if missing[at]:
            missing[at] -= 1
            replaced += 1
        elif latest is not None and at < latest:
            if latest - at > lateness:
                too_late.append(behavior)
                continue
            late += 1
        added.append(behavior)
    return LogChange(tuple(added), late, tuple(too_late), unshared.missing, replaced)


class MergedLog(NamedTuple):
    """A log with what was added to it. `places`: the index of each behavior of the old log, or GONE."""

    behaviors: tuple[Behavior, ...]
    places: Sequence[int]


def merged(log: Sequence[Behavior], found: LogChange, export: Sequence[Behavior]) -> MergedLog:
    """Put behaviors into a log and take others out.

    Behaviors of one moment have the order of the export if it has them all; otherwise known ones come first.
    """
    if not found.removed and (not log or not found.added or instant(log[-1]) < instant(found.added[0])):
        return MergedLog((*log, *found.added), range(len(log)))
    removed = set(found.removed)
    kept = ((behavior, index) for index, behavior in enumerate(log) if index not in removed)
    added = ((behavior, GONE) for behavior in found.added)
    moments = groupby(merge(kept, added, key=_moment), key=_moment)
    places = [GONE] * len(log)
    behaviors: list[Behavior] = []
    for moment, pairs in moments:
        for behavior, index in _ordered(list(pairs), moment, export):
            if index != GONE:
                places[index] = len(behaviors)
            behaviors.append(behavior)
    return MergedLog(tuple(behaviors), places)


def _moment(pair: tuple[Behavior, int]) -> int:
    return instant(pair[0])


def _ordered(
    pairs: list[tuple[Behavior, int]], moment: int, export: Sequence[Behavior]
) -> list[tuple[Behavior, int]]:
    """Return behaviors of one moment, with their old indices, in the order of the export if it has them all.

    What was known keeps its order among itself: another one is no news.
    """
    if len({index == GONE for _behavior, index in pairs}) == 1:
        return pairs
    left = list(pairs)
    ordered = []
    for at in range(bisect_left(export, moment, key=instant), bisect_right(export, moment, key=instant)):
        identity = _identity(export[at])
        pair = next((pair for pair in left if _identity(pair[0]) == identity), None)
        if pair is not None:
            left.remove(pair)
            ordered.append(pair)
    known = [index for _behavior, index in ordered if index != GONE]
    return pairs if left or known != sorted(known) else ordered


def is_append(places: Sequence[int]) -> bool:
    """Whether every behavior of a log has the index that it had."""
    return isinstance(places, range)


def new_places(log: MergedLog) -> Iterator[int]:
    """Yield the indices of what was added, in order."""
    if isinstance(log.places, range):
        yield from range(len(log.places), len(log.behaviors))
        return
    known = set(log.places)
    yield from (place for place in range(len(log.behaviors)) if place not in known)


# Which stretches of a log that has grown are asked about, and what is kept of the answers about the rest.
#
# A stretch has what is new and, where less than a pause lies between, the event beside it: what was done may go on over the
# seam. It ends only where no event that is kept has behaviors on both sides, since a behavior belongs to one event. Where an
# answer chooses among the activities of a day, a stretch has whole days: a day that is answered in pieces keeps more.


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
        """Return for each place the latest end of all behaviors up to it."""
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


_USERS_A_LOOK: Final = 500  # between looks at a requested stop
_NOTHING: Final = Window(0, -1, frozenset())


@dataclass(frozen=True, slots=True)
class Survey:
    """What a new export is beside a run, in short.

    `touched`: the users that it says something new about. `missing`: known behaviors that are gone or have changed,
    `too_late`: new ones that may lie too far back. The days of the `window` are those that the export holds as a whole.
    """

    window: Window
    touched: frozenset[str] = frozenset()
    missing: int = 0
    too_late: int = 0

    @property
    def finds_nothing(self) -> bool:
        """Whether the run knows all of the export."""
        return not self.touched and not self.missing


@dataclass(slots=True)
class _Tally:
    known: Counter[int] = field(default_factory=Counter)  # by day
    missing: Counter[int] = field(default_factory=Counter)
    too_late: int = 0

    def add(self, log: UserLog, compared: Unshared, lateness: int) -> None:
        if compared.known:
            self.known.update(epoch_day(log.behaviors[index]) for index in compared.known)
            self.missing.update(epoch_day(log.behaviors[index]) for index in compared.missing)
        if compared.new and log.behaviors:
            latest = instant(log.behaviors[-1])
            self.too_late += sum(latest - instant(behavior) > lateness for behavior in compared.new)

    def whole_days(self) -> frozenset[int]:
        """Return the days of which the export holds at least half of what is known: it is no mere addition to them."""
        return frozenset(day for day, known in self.known.items() if 2 * self.missing[day] <= known)


def survey(
    export: Export, ledger: Ledger, *, lateness: int, stop: Stop, days: Collection[int] | None = None
) -> Survey:
    """Compare an export with a run. Raises InputError where their times cannot be compared.

    `days`: those that the export holds as a whole, where an earlier survey, before some of it was taken in, has found them.
    """
    span = export.span()
    if span is None:
        return Survey(_NOTHING)
    window, tally, touched = Window(*span), _Tally(), set[str]()
    for log in _looking(export.user_logs(), stop):
        known = find_log(ledger, log.user_id)
        if known is None:
            touched.add(log.user_id)
            continue
        _refuse_other_clock(known, log)
        compared = unshared_with(known.behaviors, log.behaviors, window)
        tally.add(known, compared, lateness)
        if compared.new or compared.missing:
            touched.add(log.user_id)
    if days is None:
        _count_absent(export, ledger, window, tally)
        days = tally.whole_days()
    window = replace(window, days=frozenset(days))
    missing = sum(number for day, number in tally.missing.items() if day in days)
    return Survey(window, frozenset(touched), missing, tally.too_late)


def _count_absent(export: Export, ledger: Ledger, window: Window, tally: _Tally) -> None:
    """Count what users did whom the export lacks, until no day is left that the export may hold as a whole."""
    candidates = tally.whole_days()
    for known in _absent(export, ledger, replace(window, days=candidates)):
        tally.add(known, unshared_with(known.behaviors, (), window), 0)
        if candidates.isdisjoint(tally.whole_days()):
            return


class UserChange(NamedTuple):
    """What an export changes for a user. `known` is None for a new one, `seen` what the export has."""

    known: UserLog | None
    seen: UserLog
    found: LogChange


def user_changes(
    export: Export, ledger: Ledger, surveyed: Survey, *, lateness: int, stop: Stop
) -> Iterator[UserChange]:
    """Yield what changes, user by user: in order those in the export, then those whom it lacks."""
    for log in _looking(export.user_logs(), stop):
        if log.user_id in surveyed.touched:
            known = find_log(ledger, log.user_id)
            yield UserChange(known, log, _found(known, log, surveyed.window, lateness))
    for known in _absent(export, ledger, surveyed.window):
        seen = UserLog(known.user_id, ())
        yield UserChange(known, seen, _found(known, seen, surveyed.window, lateness))


def _found(known: UserLog | None, seen: UserLog, window: Window, lateness: int) -> LogChange:
    if known is None:
        return LogChange(seen.behaviors)
    compared = unshared_with(known.behaviors, seen.behaviors, window)
    return log_change(known.behaviors, compared, lateness)


def _absent(export: Export, ledger: Ledger, window: Window) -> Iterator[UserLog]:
    """Yield the logs of users who may have done something on the whole days of an export and are not in it."""
    if not window.days:
        return
    first = max(window.first, min(window.days) * SECONDS_A_DAY)
    last = min(window.last, (max(window.days) + 1) * SECONDS_A_DAY - 1)
    present = export.user_ids()
    at = next(present, None)
    for user_id in users_between(ledger, first, last):
        while at is not None and at.encode() < user_id.encode():
            at = next(present, None)
        if at != user_id:
            yield ledger.log(user_id)


def _looking(logs: Iterable[UserLog], stop: Stop) -> Iterator[UserLog]:
    for number, log in enumerate(logs):
        if number % _USERS_A_LOOK == 0:
            stop.check()
        yield log


def _refuse_other_clock(known: UserLog, log: UserLog) -> None:
    if not known.behaviors or not log.behaviors:
        return
    before, now = (each.behaviors[0].start.tzinfo is not None for each in (known, log))
    if before != now:
        message = _(
            "times with an offset cannot be held against times without one: the run has {before}, this export {now};"
            " export as you did before, or begin a new run"
        )
        kinds = {True: _("times with an offset"), False: _("times without one")}
        raise InputError(message.format(before=kinds[before], now=kinds[now]))


def listed_changes(changes: Iterable[UserChange]) -> Iterator[dict[str, Any]]:
    """Yield the behaviors that have changed, are gone or come too late, each as a row with `change`."""
    for known, seen, found in changes:
        for behavior in found.too_late:
            yield _row("too_late", seen.user_id, behavior)
        if known is None or not found.removed:
            continue
        added = Counter(map(instant, found.added))
        for index in found.removed:
            behavior = known.behaviors[index]
            is_replaced = added[instant(behavior)] > 0
            added[instant(behavior)] -= is_replaced
            yield _row("changed" if is_replaced else "gone", known.user_id, behavior)


def _row(change: str, user_id: str, behavior: Behavior) -> dict[str, Any]:
    return {
        "change": change,
        "user_id": user_id,
        "start": behavior.start.isoformat(),
        "action": behavior.action,
        "item": behavior.item,
        "place": behavior.place,
        "duration": behavior.duration,
        "line": behavior.line,
    }


_IDLE_SECONDS = 7_200  # after which level `day` asks for another event


class PlannedUser(NamedTuple):
    """A user as an extension leaves it, and what that counts for."""

    user: ExtendedUser | None  # None: nothing about it changes
    counts: ExtensionCounts


class Planner:
    """Plans what an extension of a run asks about, user by user. `since`: the last call before the extension."""

    def __init__(
        self, ledger: Ledger, settings: Settings, builder: PromptBuilder, limits: BatchLimits, since: int
    ) -> None:
        prompt = settings.prompt
        self.ledger = ledger
        self.since = since
        self._builder, self._limits = builder, limits
        # as the instructions ask for it
        self._pause = prompt.pause * 60 if prompt.detail == "fine" and prompt.pause else _IDLE_SECONDS
        self._whole_days = prompt.detail == "day"

    def plan(self, change: UserChange) -> PlannedUser:
        """Plan what an export changes for a user."""
        known, seen, found = change
        counts = ExtensionCounts(
            new_users=known is None,
            extended_users=known is not None and found.changes_log,
            new_behaviors=len(found.added),
            late_behaviors=found.late,
            changed_behaviors=found.replaced,
            gone_behaviors=len(found.removed) - found.replaced,
            too_late_behaviors=len(found.too_late),
        )
        if known is None:
            whole = [(0, len(seen.behaviors) - 1)] if seen.behaviors else []
            return PlannedUser(ExtendedUser(log=seen, fresh=self._parts(seen, whole)), counts)
        if not found.changes_log:
            return PlannedUser(None, counts)
        return self._extended(known, change, counts)

    def _extended(self, known: UserLog, change: UserChange, counts: ExtensionCounts) -> PlannedUser:
        user_id = known.user_id
        log = merged(known.behaviors, change.found, change.seen.behaviors)
        grown = UserLog(user_id, log.behaviors, change.seen.profile or known.profile)
        plan = plan_regions(log, known_parts(self.ledger, user_id), self._pause, whole_days=self._whole_days)
        standing = standing_events(self.ledger, user_id) or StandingEvents(self.since)
        reopened_days = {log.behaviors[place].start.date() for place in plan.reopened}
        user = ExtendedUser(
            log=grown,
            gone=plan.gone,
            moved=plan.moved,
            fresh=self._parts(grown, plan.regions),
            discarded=[row for _part, row in plan.discarded],
            before=list(_untold(_held([*plan.discarded, *plan.renumbered], standing), standing)),
            dropped=[*_renumbered(standing.dropped, log.places), *_held(plan.dropped, standing)],
            moved_from=plan.moved_from,
        )
        reopened = {"reopened_behaviors": len(plan.reopened), "reopened_days": len(reopened_days)}
        return PlannedUser(user, replace(counts, **reopened))

    def _parts(self, log: UserLog, regions: Iterable[tuple[int, int]]) -> list[tuple[Part, PartSize]]:
        return [
            part
            for first, last in regions
            for part in measure_parts(
                log_of_part(log, Part(log.user_id, first, last)), self._builder, self._limits, start=first
            )
        ]


def _held(events: Iterable[tuple[KnownPart, EventRow]], standing: StandingEvents) -> Iterator[EventRow]:
    """Yield the events that were current before the extension, without answers that came since."""
    return (row for part, row in events if (part.call_id or 0) <= standing.since)


def _untold(events: Iterable[EventRow], standing: StandingEvents) -> Iterator[EventRow]:
    """Yield those events of which the run does not know yet what they were."""
    moved_from = standing.moved_from
    return (row for row in events if moved_from is None or max(row["behaviors"], default=GONE) < moved_from)


def _renumbered(events: Iterable[EventRow], places: Sequence[int]) -> Iterator[EventRow]:
    """Yield events under new indices, but for those of which no behavior is left."""
    for event in events:
        kept = [places[index] for index in event["behaviors"] if places[index] != GONE]
        if kept or not event["behaviors"]:
            yield {**event, "behaviors": kept}


COMPARING: Final = "comparing"  # nothing of the run has changed yet
TAKING: Final = "taking"
TAKEN: Final = "taken"
NOTHING_NEW: Final = "nothing_new"  # of this process alone: the run knew all of the export
_USED = "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM calls WHERE id > ?"


def is_extending(facts: Mapping[str, Any]) -> bool:
    """Whether an export is still to be taken in."""
    return _last(facts).get("state") in {COMPARING, TAKING}


def is_extended(facts: Mapping[str, Any]) -> bool:
    """Whether a run has been extended: its events.jsonl is whole then, also while calls are made."""
    return bool(_last_taken(facts))


def tokens_so_far(ledger: Ledger) -> list[int]:
    """Return the tokens of all calls, in and out."""
    ((_calls, *tokens),) = ledger.rows(_USED, 0)
    return tokens


def spent_before(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tokens and the cost of a run before its last extension, which has the limits on spending for itself."""
    spent: dict[str, Any] = _last_taken(facts).get("spent_before", {})
    return spent


def extension_facts(run: RunContext) -> dict[str, int] | None:
    """Return what the last extension took in, what its calls took, and how many events it changed; None: there is none."""
    extension = _last_taken(run.facts)
    if not extension:
        return None
    (used,) = run.ledger.rows(_USED, extension["since"])
    changes = run.facts.get("event_changes", {})
    facts = {
        **extension["counts"],
        **dict(zip(("calls", "prompt_tokens", "completion_tokens"), used, strict=True)),
        **{f"events_{change}": changes.get(change, 0) for change in ("added", "replaced", "removed")},
    }
    return dict.fromkeys(facts, 0) if run.facts.get(NOTHING_NEW) else facts


def _last(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    extension: Mapping[str, Any] = facts.get("extension", {})
    return extension


def _last_taken(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last extension that has changed the run."""
    extension = _last(facts)
    earlier: Mapping[str, Any] = extension.get("before", {})
    return earlier if extension.get("state") == COMPARING else extension
