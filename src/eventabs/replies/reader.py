"""Turns a reply into an outcome for every part that was asked about: which rows are which event, and what may be trusted."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone

from eventabs.choices import Detail
from eventabs.records import (
    AskedUser,
    Behavior,
    Event,
    EventSource,
    FailureReason,
    Journey,
    Outcome,
    Reply,
    UserLog,
    Vocabulary,
    lasting_id,
)
from eventabs.replies.forms import Answer, Entry, JourneyName, Labels, one_line, without_reasoning
from eventabs.replies.must_rules import MustRules

Summarize = Callable[[UserLog], Callable[[Sequence[Behavior]], str]]

_DAY_BEGINS = timedelta(hours=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_NAME = 60  # of a journey, characters
_UNPLACED_PERCENT = 5  # of a user's rows that an answer may leave out
_FEWEST_ROWS = 20  # of a user whose share of minor rows says something
_MOST_MINOR = 0.6
_CONVERSION = "conversion"  # the category by which a journey is converted
_KEEPING: tuple[FailureReason, ...] = ("unplaced", "minor")  # reasons of outcomes that keep what was placed

_REFUSAL = re.compile(
    r"\W*(?:(?:我)?(?:很|非常|十分)?(?:抱歉|对不起|遗憾)|我?(?:无法|不能|没有办法|拒绝)"
    r"|作为(?:一[个名])?(?:AI|人工智能|语言模型)"
    r"|(?:i[’']?m|i am)(?: (?:very|so|really))? sorry|sorry\b|i apologi[sz]e|unfortunately,? i"
    r"|i (?:cannot|can[’']?t|can not|won[’']?t|will not|must decline)|(?:i[’']?m|i am) (?:unable|not able)"
    r"|as an? (?:ai|artificial|language)|i refuse)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a reply: an outcome for every alias that was asked about, and counts of what was ignored."""

    outcomes: dict[str, Outcome]
    unknown_aliases: int = 0  # blocks of users that are not in the batch
    repeated_users: int = 0  # further blocks of users that had one


@dataclass(slots=True)
class _Placed:
    """An event in the making. `rows`: positions in the log that was asked about, in order."""

    rows: list[int]
    type: str
    category: str
    sure: bool
    journey: tuple[str, str] | None
    source: EventSource
    outside: bool = False


@dataclass(slots=True)
class _User:
    """What a reply says about one user: entries with whether they stand under the user's header."""

    asked: AskedUser
    numbers: range
    is_named: bool = False
    entries: list[tuple[Entry, bool]] = field(default_factory=list)

    @property
    def counts_anew(self) -> bool:
        """Whether rows under the user's header are counted from 1, not through the request."""
        spans = [
            span for entry, named in self.entries if named for group in entry.groups for span in group.spans
        ]
        if self.numbers.start == 1 or not spans:
            return False
        rows, last = len(self.numbers), max(last for _first, last in spans)
        named = sum(min(rows, last - first + 1) for first, last in spans)
        return min(spans)[0] == 1 and last <= rows and last < self.numbers[-1] and 2 * named >= rows


class Reader:
    """Reads replies to one run's requests.

    `summarize`: of a user, what writes the summary of an event's behaviors.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        detail: Detail,
        source: EventSource,
        summarize: Summarize,
        must: MustRules | None = None,
    ) -> None:
        self._labels = Labels(vocabulary)
        self._detail = detail
        self._source = source
        self._summarize = summarize
        self._must = must or MustRules()

    def read(self, reply: Reply, asked: Mapping[str, AskedUser]) -> Reading:
        """Read a reply about users, by alias in the order of the request. Never raises."""
        numbers, first = {}, 1
        for alias, user in asked.items():
            numbers[alias] = range(first, first + len(user.rows))
            first += len(user.rows)
        text, unclosed = without_reasoning(reply.text)
        answer = Answer(self._labels, numbers)
        answer.read(text)
        ends_well = unclosed.rstrip("` \r\n").endswith(("##", "}", "]"))
        if not answer.has_entries and reply.finish_reason == "stop" and ends_well:
            answer = Answer(self._labels, numbers)
            answer.read(unclosed)
            answer.keep_last_blocks()
        users = self._users(answer, asked, numbers)
        anew = [alias for alias, user in users.items() if user.counts_anew]
        later = [
            alias
            for alias, user in users.items()
            if user.is_named and user.entries and numbers[alias].start > 1
        ]
        is_anew = bool(anew) and 2 * len(anew) >= len(later)
        without = self._reason_without_rows(reply, text, answer)
        outcomes = {}
        for alias, user in users.items():
            if is_anew or alias in anew:
                outcomes[alias] = Outcome(user.asked.part, "renumbered")
                continue
            may_be_cut = not answer.ended and alias == answer.reached
            outcome = self._outcome(
                user, without, may_be_cut=may_be_cut, stopped=reply.finish_reason == "stop"
            )
            if reply.finish_reason == "content_filter" and outcome.reason not in (None, *_KEEPING):
                outcome = Outcome(user.asked.part, "content_filter")
            outcomes[alias] = outcome
        return Reading(outcomes, answer.unknown, answer.repeated)

    def _users(
        self, answer: Answer, asked: Mapping[str, AskedUser], numbers: Mapping[str, range]
    ) -> dict[str, _User]:
        """Return what the blocks of an answer say by user. Without a header the number decides."""
        users = {alias: _User(user, numbers[alias]) for alias, user in asked.items()}
        has_headers = len(answer.blocks) > 1
        for block in answer.blocks:
            if block.alias:
                users[block.alias].is_named = True
                users[block.alias].entries += [(entry, True) for entry in block.entries]
            elif block.alias is None:
                for entry in block.entries:
                    if has_headers and not entry.label.known:
                        continue  # prose before the answer
                    owners = (answer.owners(*span) for group in entry.groups for span in group.spans)
                    for alias in dict.fromkeys(alias for each in owners for alias in each):
                        users[alias].entries.append((entry, False))
        return users

    @staticmethod
    def _reason_without_rows(reply: Reply, text: str, answer: Answer) -> FailureReason:
        has_blocks = answer.has_entries or len(answer.blocks) > 1
        if reply.finish_reason in ("length", "interrupted") or (has_blocks and not answer.ended):
            return "cut"
        if has_blocks:
            return "missing"
        if not text.strip():
            return "empty"
        return "refused" if _REFUSAL.match(text[:200]) else "unparsable"

    def _outcome(self, user: _User, without: FailureReason, *, may_be_cut: bool, stopped: bool) -> Outcome:
        asked = user.asked
        earlier = asked.earlier if asked.earlier and asked.earlier.reason == "unplaced" else None
        had = (
            {*earlier.minor, *earlier.unasked, *(row for event in earlier.events for row in event.behaviors)}
            if earlier
            else set()
        )
        is_open = {position for position, row in enumerate(asked.rows) if row not in had}
        if not user.is_named and not user.entries:
            return Outcome(asked.part, without)
        placed, minor, misfiled, repeated = self._placed(user, is_open)
        found = {*minor, *(row for event in placed for row in event.rows)}
        if may_be_cut and not (stopped and found >= is_open):
            return Outcome(asked.part, "cut")
        kept = (
            {(each.kind.casefold(), each.name.casefold()) for each in earlier.journeys} if earlier else set()
        )
        placed = self._with_journeys_of_several(placed, kept)
        placed = self._with_must(asked.log, placed, is_open)
        found = {row for event in placed for row in event.rows}
        minor -= found
        left = sorted(is_open - found - minor)
        rows = asked.rows
        events, journeys = self._made(asked, placed)
        fresh = Outcome(
            asked.part,
            None,
            events,
            journeys,
            tuple(rows[row] for row in sorted(minor)),
            () if self._detail == "journeys" else tuple(rows[row] for row in left),
            tuple(rows[row] for row in left) if self._detail == "journeys" else (),
            misfiled,
            repeated,
        )
        return self._judged(fresh, earlier, asked)

    def _placed(self, user: _User, is_open: set[int]) -> tuple[list[_Placed], set[int], int, int]:
        """Return events, minor rows, and how many rows were misfiled and repeated. A row stays where it was first."""
        numbers = user.numbers
        behaviors = user.asked.log.behaviors
        placed: list[_Placed] = []
        minor: set[int] = set()
        taken: set[int] = set()
        misfiled = repeated = 0
        for entry, is_named in sorted(user.entries, key=lambda each: each[0].journey is None):
            label, journey = entry.label, entry.journey
            if journey is None and self._detail == "journeys":
                continue
            name = journey and (journey.kind, _clean_name(journey, user.asked.log.user_id))
            for group in entry.groups:
                rows = []
                for first, last in group.spans:
                    if not first <= last < first + len(numbers):
                        continue
                    inside = range(max(first, numbers.start), min(last + 1, numbers.stop))
                    misfiled += last + 1 - first - len(inside) if is_named else 0
                    for number in inside:
                        row = number - numbers.start
                        if row in taken:
                            repeated += 1
                        elif row in is_open:
                            taken.add(row)
                            rows.append(row)
                if label.minor:
                    minor.update(rows)
                    continue
                category = label.category
                if group.mark and not label.has_category:
                    category = self._labels.category(group.mark) or category
                sure = label.sure and "?" not in group.mark and (journey is None or journey.sure)
                for day in _by_day(sorted(rows), behaviors):
                    outside = self._labels.is_outside(label.type)
                    placed.append(_Placed(day, label.type, category, sure, name, self._source, outside))
        return placed, minor, misfiled, repeated

    def _with_journeys_of_several(
        self, placed: Iterable[_Placed], kept: Collection[tuple[str, str]]
    ) -> list[_Placed]:
        """Make a journey of one row a plain event, unless an earlier answer knows the journey. Two of one name are one."""
        rows: Counter[tuple[str, str]] = Counter()
        for event in placed:
            if event.journey:
                rows[_folded(event.journey)] += len(event.rows)
        several = []
        for event in placed:
            if event.journey and rows[_folded(event.journey)] < 2 and _folded(event.journey) not in kept:  # noqa: PLR2004
                event.journey = None
            if event.journey or self._detail != "journeys":
                several.append(event)
        return several

    def _with_must(self, log: UserLog, placed: list[_Placed], is_open: Collection[int]) -> list[_Placed]:
        """Make an event of each behavior that is in none that its rule wants; it stays in its journey."""
        owners = {row: event for event in placed for row in event.rows}
        added = []
        for row, rule in self._must.required(log.behaviors).items():
            owner = owners.get(row)
            if row not in is_open or (owner and rule.is_kept_by(owner.type, owner.category)):
                continue
            if owner:
                owner.rows.remove(row)
            added.append(_Placed([row], *rule.added, True, owner.journey if owner else None, "must"))
        return [event for event in placed if event.rows] + added

    def _made(
        self, asked: AskedUser, placed: Sequence[_Placed]
    ) -> tuple[tuple[Event, ...], tuple[Journey, ...]]:
        log = asked.log
        summary = self._summarize(log) if placed else None
        events: list[tuple[Event, tuple[str, str] | None]] = []
        intervals: dict[tuple[str, str], list[Behavior]] = {}
        for each in placed:
            behaviors = [log.behaviors[row] for row in each.rows]
            indices = tuple(asked.rows[row] for row in each.rows)
            start, end = covered_times(behaviors)
            event = Event(
                id=lasting_id(log.user_id, indices[0]),
                user_id=log.user_id,
                type=each.type,
                category=each.category,
                start=start,
                end=end,
                minutes=_minutes(behaviors),
                summary=summary(behaviors) if summary else "",
                behaviors=indices,
                sure=each.sure,
                source=each.source,
                outside=each.outside,
            )
            events.append((event, each.journey))
            if each.journey:
                intervals.setdefault(_folded(each.journey), []).extend(behaviors)
        return _journeys(events, {name: _minutes(behaviors) for name, behaviors in intervals.items()})

    def _judged(self, fresh: Outcome, earlier: Outcome | None, asked: AskedUser) -> Outcome:
        """Return the outcome, with what an earlier answer had placed, and with the reason why it is not yet usable."""
        whole = fresh
        if earlier:
            events, journeys = joined([earlier, fresh])
            placed = {
                *fresh.minor,
                *fresh.unasked,
                *(row for event in fresh.events for row in event.behaviors),
            }
            whole = replace(
                fresh,
                events=events,
                journeys=journeys,
                minor=tuple(sorted({*earlier.minor, *fresh.minor})),
                unplaced=tuple(sorted({*earlier.unplaced, *fresh.unplaced} - placed)),
                unasked=tuple(sorted({*earlier.unasked, *fresh.unasked})),
                misfiled=earlier.misfiled + fresh.misfiled,
                repeated=earlier.repeated + fresh.repeated,
            )
        in_events = sum(len(event.behaviors) for event in whole.events)
        rows = in_events + len(whole.minor) + len(whole.unplaced) + len(whole.unasked)
        reason: FailureReason | None = None
        if 100 * len(whole.unplaced) > _UNPLACED_PERCENT * rows or (
            whole.unplaced and not (in_events or whole.minor)
        ):
            reason = "unplaced"
        elif (
            self._detail == "day"
            and rows >= _FEWEST_ROWS
            and len(whole.minor) > _MOST_MINOR * rows
            and not (asked.earlier and asked.earlier.reason == "minor")
        ):
            reason = "minor"
        return replace(whole, reason=reason)


def joined(outcomes: Iterable[Outcome]) -> tuple[tuple[Event, ...], tuple[Journey, ...]]:
    """Return the events and journeys of a user's outcomes, in order. Journeys of one kind and name are one."""
    events: list[tuple[Event, tuple[str, str] | None]] = []
    minutes: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        names = {journey.id: (journey.kind, journey.name) for journey in outcome.journeys}
        events += [(event, names.get(event.journey or "")) for event in outcome.events]
        for journey in outcome.journeys:
            minutes[_folded((journey.kind, journey.name))] += journey.minutes
    return _journeys(events, minutes)


def _journeys(
    events: Iterable[tuple[Event, tuple[str, str] | None]], minutes: Mapping[tuple[str, str], int]
) -> tuple[tuple[Event, ...], tuple[Journey, ...]]:
    """Return events in order of time, with the journeys that they name; `minutes`: what the rows of each journey last."""
    # Both are ISO times of equal precision, so text order is time order; offsets do not matter.
    in_order = sorted(events, key=lambda each: (each[0].start[:19], each[0].end[:19], each[0].behaviors))
    steps: dict[tuple[str, str], list[Event]] = {}
    names: dict[tuple[str, str], tuple[str, str]] = {}
    for event, name in in_order:
        if name:
            steps.setdefault(_folded(name), []).append(event)
            names.setdefault(_folded(name), name)
    journeys = []
    for key, own in steps.items():
        behaviors = tuple(sorted(row for event in own for row in event.behaviors))
        days = {(datetime.fromisoformat(event.start) - _DAY_BEGINS).date() for event in own}
        types = [event.type for event in own]
        journeys.append(
            Journey(
                id=lasting_id(own[0].user_id, behaviors[0], "j"),
                user_id=own[0].user_id,
                kind=names[key][0],
                name=names[key][1],
                start=own[0].start,
                end=max((event.end for event in own), key=lambda end: end[:19]),
                days=len(days),
                minutes=minutes[key],
                converted=any(event.category == _CONVERSION for event in own),
                types=tuple(kind for at, kind in enumerate(types) if not at or kind != types[at - 1]),
                events=tuple(event.id for event in own),
                behaviors=behaviors,
            )
        )
    ids = {
        event.id: journey.id for journey in journeys for event in steps[_folded((journey.kind, journey.name))]
    }
    return (
        tuple(event.model_copy(update={"journey": ids.get(event.id)}) for event, _name in in_order),
        tuple(journeys),
    )


def _folded(name: tuple[str, str]) -> tuple[str, str]:
    return name[0].casefold(), name[1].casefold()


def _clean_name(journey: JourneyName, user_id: str) -> str:
    """Return the name of a journey as one line that does not say who the user is."""
    masked = re.sub(rf"(?<!\w){re.escape(user_id)}(?!\w)", "[id]", journey.name, flags=re.IGNORECASE)
    return one_line(masked, _LONGEST_NAME)


def _by_day(rows: Sequence[int], behaviors: Sequence[Behavior]) -> list[list[int]]:
    """Cut ascending rows where a day begins, at 05:00, unless one of them lasts until then."""
    days: list[list[int]] = []
    reached = date.min
    for row in rows:
        behavior = behaviors[row]
        start = behavior.start.replace(tzinfo=None)
        if days and (start - _DAY_BEGINS).date() <= reached:
            days[-1].append(row)
        else:
            days.append([row])
        end = start + timedelta(seconds=max((behavior.duration or 0) - 1, 0))
        reached = max(reached, (end - _DAY_BEGINS).date())
    return days


def _minutes(behaviors: Iterable[Behavior]) -> int:
    """Return the whole minutes in which at least one of some behaviors lasts."""
    seconds, reached = 0.0, 0.0
    for start, end in sorted(
        (_at(behavior), _at(behavior) + (behavior.duration or 0)) for behavior in behaviors
    ):
        seconds += max(0.0, end - max(start, reached)) if seconds or reached else end - start
        reached = max(reached, end)
    return int(seconds // 60)


def covered_times(behaviors: Sequence[Behavior]) -> tuple[str, str]:
    """Return the start of the first and the end of the last behavior (in log order), in ISO 8601."""
    first = behaviors[0].start
    last = _EPOCH + timedelta(seconds=max(_at(behavior) + (behavior.duration or 0) for behavior in behaviors))
    offset = first.utcoffset()
    if offset is None:
        last = last.replace(tzinfo=None)
    else:  # one offset for both, so that their difference is the elapsed time
        first, last = (moment.astimezone(timezone(offset)) for moment in (first, last))
    return first.isoformat(timespec="seconds"), last.isoformat(timespec="seconds")


def _at(behavior: Behavior) -> float:
    start = behavior.start if behavior.start.tzinfo else behavior.start.replace(tzinfo=UTC)
    return (start - _EPOCH).total_seconds()
