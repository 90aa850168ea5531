"""Turns a reply into an outcome for every part that was asked about: which rows are which event, what may be trusted, and which rules must hold."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from itertools import accumulate, chain, count, groupby, pairwise, starmap
from math import inf
from operator import itemgetter
from typing import NamedTuple

from eventabs.replies import forms_of_answers as forms
from eventabs.replies.forms_of_answers import Answer, Entry, JourneyName, Label, Labels
from eventabs.setting_choices import Detail
from eventabs.shared_records import (
    DAY_BEGINS,
    MAX_CHARACTERS,
    SAME,
    AskedUser,
    Behavior,
    Event,
    EventSource,
    EventType,
    FailureReason,
    Journey,
    Outcome,
    Record,
    Reply,
    UserLog,
    Vocabulary,
    caseless,
    lasting_id,
    seconds_covered,
)

# Returns the texts that match a regular expression anywhere.
Search = Callable[[str, Collection[str]], Collection[str]]


class TextCondition(Record):
    """A text meets it if it equals one of `texts` regardless of case, or matches `regex` anywhere."""

    texts: tuple[str, ...] = ()
    regex: str = ""

    @cached_property
    def _wanted(self) -> set[str]:
        return {text[:MAX_CHARACTERS].casefold() for text in self.texts}

    def met(self, values: Collection[str], search: Search) -> set[str]:
        """Return the values that meet the condition. Only the beginning that prompts have counts."""
        right = {value for value in values if value[:MAX_CHARACTERS].casefold() in self._wanted}
        if self.regex and values:  # the condition before may have left none
            found = search(self.regex, {value[:MAX_CHARACTERS] for value in values})
            right.update(value for value in values if value[:MAX_CHARACTERS] in found)
        return right


class MustRule(NamedTuple):
    """A behavior that meets all conditions must be in an event of `type` and `category`, "" any; else `added` is added.

    `conditions` are named action, item, place and text (these three as one), durations in seconds. `no_sentences`: what a sentence says is a guess.
    """

    conditions: Mapping[str, TextCondition]
    type: str
    category: str
    added: tuple[str, str]
    min_duration: float | None = None
    max_duration: float | None = None
    no_sentences: bool = False

    def is_kept_by(self, kind: str, category: str) -> bool:
        """Whether an event of a type and category is what the rule wants."""
        return self.type.casefold() in ("", kind.casefold()) and self.category in ("", category)


class MustRules:
    """All rules of a run. `search` matches regular expressions in bounded time."""

    def __init__(self, rules: Sequence[MustRule] = (), search: Search = lambda _regex, _texts: ()) -> None:
        self._rules = tuple(rules)
        self._search = search

    def naming(self, action: str) -> MustRule | None:
        """Return the first rule with a condition on actions that this one meets."""
        conditions = ((rule, rule.conditions.get("action", TextCondition())) for rule in self._rules)
        return next((rule for rule, each in conditions if each.met([action], self._search)), None)

    def required(self, behaviors: Sequence[Behavior]) -> dict[int, MustRule]:
        """Return the positions of behaviors that a rule is about, in order, each with the first rule that it meets."""
        required: dict[int, MustRule] = {}
        for rule in self._rules:
            places: Sequence[int] = range(len(behaviors))
            for name, condition in rule.conditions.items():
                value = _VALUES[name]
                right = condition.met(set(map(value, map(behaviors.__getitem__, places))), self._search)
                places = [place for place in places if value(behaviors[place]) in right] if right else ()
            if places and (rule.min_duration is not None or rule.max_duration is not None):
                least, most = rule.min_duration or 0, inf if rule.max_duration is None else rule.max_duration
                lasting = ((place, behaviors[place].duration) for place in places)
                places = [at for at, seconds in lasting if seconds is not None and least <= seconds <= most]
            for place in places:
                if not (rule.no_sentences and behaviors[place].text):
                    required.setdefault(place, rule)
        return dict(sorted(required.items()))


_VALUES: Mapping[str, Callable[[Behavior], str]] = {
    "action": itemgetter(1),
    "item": itemgetter(2),
    "place": itemgetter(3),
    "text": lambda behavior: " ".join(filter(None, behavior[1:4])),
}

Summarize = Callable[[Sequence[Behavior]], Callable[[Sequence[Behavior]], str]]
_Name = tuple[str, str]  # kind and name of a journey

_MOST_UNPLACED = 5  # percent of a user's rows that an answer may leave out
_FEWEST_ROWS = 20  # of a user whose share of minor rows says something
_MOST_MINOR = 0.6

_REFUSAL = (
    r"(?i)\W*(?:(?:我)?(?:很|非常|十分)?(?:抱歉|对不起|遗憾)|我?(?:无法|不能|没有办法|拒绝)"
    r"|作为(?:一[个名])?(?:AI|人工智能|语言模型)"
    r"|(?:i[’']?m|i am)(?: (?:very|so|really))? sorry|sorry\b|i apologi[sz]e|unfortunately,? i"
    r"|i (?:cannot|can[’']?t|can not|won[’']?t|will not|must decline)|(?:i[’']?m|i am) (?:unable|not able)"
    r"|as an? (?:ai|artificial|language)|i refuse)"
)


class Reading(NamedTuple):
    """The result of a reply: an outcome for every alias that was asked about, and counts of what was ignored."""

    outcomes: dict[str, Outcome]
    unknown_aliases: int = 0  # blocks of users that are not in the batch
    repeated_users: int = 0  # further blocks of users that had one


class _Placed(NamedTuple):
    """An event in the making. `journey`: its kind and name, as written; `rows`: positions in the log that was asked about, in order."""

    label: Label
    journey: _Name | None
    source: EventSource
    rows: list[int]


_Results = tuple[tuple[Event, ...], tuple[Journey, ...]]


@dataclass(slots=True)
class _User:
    """What a reply says about one user: entries with whether they stand under the user's header."""

    asked: AskedUser
    numbers: range
    is_named: bool = False
    entries: list[tuple[Entry, bool]] = field(default_factory=list)

    @property
    def is_numbered_otherwise(self) -> tuple[bool, bool]:
        """Whether the rows under the user's header are counted from 1, and whether each is named by the number behind or before it."""
        named = [entry.groups for entry, is_named in self.entries if is_named]
        spans = [span for groups in named for spans, _mark in groups for span in spans]
        if not spans:
            return False, False
        rows, start, stop = len(self.numbers), self.numbers.start, self.numbers.stop
        first, last = min(spans)[0], max(map(itemgetter(1), spans))
        is_shifted = (first, last) in ((start + 1, stop), (start - 1, stop - 2))
        if start == 1 or first != 1 or last > rows or last >= stop - 1:
            return False, is_shifted
        return 2 * sum(min(rows, last - first + 1) for first, last in spans) >= rows, is_shifted


@dataclass(eq=False)
class Reader:
    """Reads replies to one run's requests. `summarize` makes, of a user, what writes the summary of an event's behaviors."""

    vocabulary: Vocabulary
    _: KW_ONLY
    detail: Detail
    source: EventSource
    summarize: Summarize
    must: MustRules = MustRules()

    def __post_init__(self) -> None:
        self._labels, self._goal = Labels(self.vocabulary), self.vocabulary.goal

    @cached_property
    def _same(self) -> Labels:  # of linking calls, which few runs have
        return Labels(self.vocabulary._replace(types=tuple(map(EventType, SAME.values())), aliases=()))

    def read(self, reply: Reply, asked: Mapping[str, AskedUser]) -> Reading:
        """Read a reply about users, or about journeys of theirs, by alias in the order of the request. Never raises."""
        ends = accumulate([len(user.rows) for user in asked.values()], initial=1)
        numbers = dict(zip(asked, starmap(range, pairwise(ends)), strict=True))
        text, unclosed = forms.without_reasoning(reply.text)
        links = any(user.part.is_link for user in asked.values())
        form = (self._same, numbers, SAME["en"]) if links else (self._labels, numbers)
        answer = Answer(*form).read(text)
        stopped = reply.finish_reason == "stop"
        is_whole = stopped and unclosed.rstrip("` \r\n").endswith(("##", "}", "]"))
        if is_whole and not any(block.entries for block in answer.blocks):
            answer = Answer(*form).read(unclosed)
            answer.blocks = [*{block.alias: block for block in answer.blocks}.values()]  # earlier are drafts
        users = _users(answer, asked)
        last = "" if answer.ended else answer.reached
        anew = _numbered_anew(users, last) if len(users) > 1 else ()
        outcomes = {}
        for alias, user in users.items():
            if len(user.asked.log.behaviors) < len(user.asked.rows):  # an extension has removed some since
                outcome = Outcome(user.asked.part, "missing")
            elif alias in anew:
                outcome = Outcome(user.asked.part, "renumbered")
            elif user.is_named or user.entries:
                outcome = (_linked if links else self._outcome)(user, is_last=alias == last, stopped=stopped)
            else:
                outcome = Outcome(user.asked.part, _reason_without_rows(reply, text, answer))
            if reply.finish_reason == "content_filter" and outcome.reason not in (None, "unplaced", "minor"):
                outcome = Outcome(user.asked.part, "content_filter")
            outcomes[alias] = outcome
        headers = [block.alias for block in answer.blocks]
        named = list(filter(None, headers))
        return Reading(outcomes, headers.count(""), len(named) - len({*named}))

    def _outcome(self, user: _User, *, is_last: bool, stopped: bool) -> Outcome:
        asked, rows = user.asked, user.asked.rows
        earlier = asked.stays if asked.earlier and asked.earlier.reason == "minor" else asked.earlier
        settled = asked.past | earlier.rows.difference(earlier.unplaced) if earlier else asked.past
        is_open = {row for row, index in enumerate(rows) if index not in settled}
        lone: set[int] = set()  # rows by themselves, which may join a journey
        if earlier and asked.past:
            ones = {own.behaviors[0] for own in earlier.events if len(own.behaviors) == 1 and not own.journey}
            single = asked.past & {*earlier.minor, *earlier.unplaced, *earlier.unasked, *ones}
            lone = {row for row, index in enumerate(rows) if index in single}
        free = is_open | lone
        events, of_journeys, minor, misfiled, repeated = self._placed(user, is_open, lone, free)
        if is_last and not (stopped and free.isdisjoint(is_open)):
            return Outcome(asked.part, "cut")
        known = {_folded(journey.kind, journey.name) for journey in earlier.journeys} if earlier else ()
        # one of a single row is a plain event, unless an earlier answer knows the journey
        several = {name: own for name, own in of_journeys.items() if len(own) > (name not in known)}
        if self.detail == "journeys" or lone:  # which stay where they were, unless they are in a journey
            stays = set() if self.detail == "journeys" else is_open
            for event in events:
                if not (event.journey and _folded(*event.journey) in several):
                    event.rows[:] = sorted(stays.intersection(event.rows))
            events = [event for event in events if event.rows]
        events = self._with_must(asked.log, events, is_open | (lone - free))
        in_events = {row for event in events for row in event.rows}
        minor -= in_events
        left = {rows[row] for row in is_open - in_events - minor}
        if earlier is None and len(rows) <= asked.part.last - asked.part.first:
            # only some rows were asked about, and what was placed of the others does not hold any more
            left |= set(range(asked.part.first, asked.part.last + 1)).difference(rows)
        taken = {each.id for each in earlier.journeys} if earlier else set()
        made, journeys = self._made(asked, events, several, taken)
        of_minor, rest = tuple([rows[row] for row in sorted(minor)]), tuple(sorted(left))
        unplaced, unasked = ((), rest) if self.detail == "journeys" else (rest, ())
        fresh = Outcome(asked.part, None, made, journeys, of_minor, unplaced, unasked, misfiled, repeated)
        merged = _merged(earlier, fresh, asked, self._goal) if earlier else fresh
        if self.detail == "journeys":  # the rows of events that have lost their journey are not asked for
            lost = [event for event in merged.events if not event.journey and event.source != "must"]
            rows_left = {*merged.unasked, *(row for event in lost for row in event.behaviors)}
            events_left = tuple(event for event in merged.events if event not in lost)
            merged = replace(merged, events=events_left, unasked=tuple(sorted(rows_left)))
        reason = self._reason(merged, asked)
        return replace(merged, reason=reason) if reason else merged

    def _placed(
        self, user: _User, is_open: set[int], lone: set[int], free: set[int]
    ) -> tuple[list[_Placed], dict[_Name, list[int]], set[int], int, int]:
        """Take what is placed out of `free`; return events, rows of journeys, minor rows, misfiled and repeated ones. Lone rows are in journeys only."""
        start, stop, size = user.numbers.start, user.numbers.stop, len(user.numbers)
        events: list[_Placed] = []
        of_journeys: dict[_Name, list[int]] = {}
        minor: set[int] = set()
        misfiled = repeated = 0
        for entry, is_named in sorted(user.entries, key=lambda each: each[0].journey is None):
            label, groups, journey = entry
            if journey is None and self.detail == "journeys":
                break  # those without a journey come last
            name = _name_of(journey, user.asked.log.user_id) if journey else None
            label = label if journey is None or journey.sure else label._replace(sure=False)
            placed = of_journeys.setdefault(_folded(*name), []) if name else []
            for spans, mark in groups:
                rows = []
                for first, last in spans:
                    inside = range(first - start, last + 1 - start)
                    if not start <= first <= last < stop:  # others' rows too, or no range
                        if not first <= last < first + size:
                            continue
                        inside = range(max(first - start, 0), min(last + 1 - start, size))
                        misfiled += last + 1 - first - len(inside) if is_named else 0
                    for row in inside:
                        if row in free and (journey or row not in lone):
                            free.remove(row)
                            rows.append(row)
                        else:
                            repeated += row in is_open
                if label.minor:
                    minor.update(rows)
                    continue
                placed += rows
                marked = self._marked(label, mark) if mark else label
                days = [rows] if len(rows) == 1 else _by_day(sorted(rows), user.asked.log.behaviors)
                events += [_Placed(marked, name, self.source, day) for day in days]
        return events, of_journeys, minor, misfiled, repeated

    def _marked(self, label: Label, mark: str) -> Label:
        """Return what the marks behind a group make of its label."""
        category, odd = self._labels.meant(mark)
        category = label.category if label.has_category else category or label.category
        return label._replace(category=category, sure=label.sure and "?" not in mark, odd=label.odd or odd)

    def _with_must(self, log: UserLog, events: list[_Placed], may_be: set[int]) -> list[_Placed]:
        """Make an event of each behavior that is in none that its rule wants; it stays in its journey."""
        if not (required := self.must.required(log.behaviors)):
            return events
        owners = {row: event for event in events for row in event.rows}
        added: list[_Placed] = []
        for row, rule in required.items():
            owner = owners.get(row)
            if row in may_be and not (owner and rule.is_kept_by(owner.label.type, owner.label.category)):
                if owner:
                    owner.rows.remove(row)
                added.append(_Placed(Label(*rule.added), owner and owner.journey, "must", [row]))
        return [event for event in events if event.rows] + added

    def _made(
        self, asked: AskedUser, events: list[_Placed], of_journeys: dict[_Name, list[int]], taken: set[str]
    ) -> _Results:
        user_id, behaviors, rows = asked.log.user_id, asked.log.behaviors, asked.rows
        summary = self.summarize(asked.history or behaviors)
        ordinals = asked.ordinals or rows
        beyond = max(ordinals, default=0) + 1
        ids: dict[_Name, str] = {}
        for folded, own in of_journeys.items():  # the first row of one may have been the first of another
            numbers = chain((ordinals[row] for row in sorted(own)), count(beyond))
            candidates = (lasting_id(user_id, number, "j") for number in numbers)
            ids[folded] = next(each for each in candidates if each not in taken)
            taken.add(ids[folded])
        front, made = lasting_id(user_id, ""), []
        row_of, log_row_of, lacks = behaviors.__getitem__, rows.__getitem__, self._labels.lacks
        for label, named, source, own in events:
            journey_id = ids.get(_folded(*named)) if named else None
            theirs = tuple(map(row_of, own))
            seconds, covered = _lasting(theirs)
            first = theirs[0].start
            if first.tzinfo:  # one offset for both, so that their difference is the time between
                first = first.replace(tzinfo=timezone(first.utcoffset() or timedelta(0)))
            start = first.isoformat()
            end = (first + timedelta(0, seconds)).isoformat() if seconds else start
            outside = label.odd or bool(named and journey_id and source != "must" and lacks(named[0]))
            what = f"{front}{ordinals[own[0]]}", user_id, label.type, label.category, start, end
            how = covered // 60, summary(theirs), tuple(map(log_row_of, own)), journey_id, label.sure
            event = tuple.__new__(Event, (*what, *how, source, outside))  # twice as fast as Event(...)
            made.append((event, named if journey_id else None))
        minutes = {name: _lasting([*map(row_of, own)])[1] // 60 for name, own in of_journeys.items()}
        return _journeys(made, minutes, ids, self._goal)

    def _reason(self, outcome: Outcome, asked: AskedUser) -> FailureReason | None:
        """Return why an outcome is not usable yet, if it is not: a long past that was kept excuses nothing."""
        if not (outcome.unplaced or outcome.minor):  # mostly
            return None
        rows = len(outcome.rows - asked.past)
        unplaced, minor = ({*of} - asked.past for of in (outcome.unplaced, outcome.minor))
        if unplaced and (100 * len(unplaced) > _MOST_UNPLACED * rows or len(unplaced) == rows):
            return "unplaced"
        is_first = asked.earlier is None or asked.earlier.reason is None
        is_minor = self.detail == "day" and rows >= _FEWEST_ROWS and len(minor) > _MOST_MINOR * rows
        return "minor" if is_minor and is_first else None  # to be asked once more, but not for ever


def _linked(user: _User, *, is_last: bool, stopped: bool) -> Outcome:
    """Return which of the journeys that were shown are one. A number stays where it was first."""
    asked, numbers = user.asked, user.numbers
    journeys = asked.earlier.journeys if asked.earlier else ()
    same: list[tuple[str, ...]] = []
    taken: set[int] = set()
    misfiled = repeated = 0
    for entry, _is_named in user.entries:
        for written, mark in entry.groups:
            spans = [range(max(first, numbers.start), min(last + 1, numbers.stop)) for first, last in written]
            named = {number - numbers.start for span in spans for number in span}
            misfiled += sum(not span for span in spans)
            repeated += len(named & taken)
            own = sorted(named - taken)
            if len(own) > 1 and "?" not in mark and entry.label.sure:
                taken.update(own)
                same.append(tuple(journeys[place].id for place in own))
    is_cut = is_last and not stopped
    reason: FailureReason | None = "cut" if is_cut else "renumbered" if misfiled and not same else None
    return Outcome(asked.part, reason, misfiled=misfiled, repeated=repeated, same=tuple(same))


def unreadable(vocabulary: Vocabulary) -> Iterator[str]:
    """Yield the types and kinds of journeys that are read as something else where an answer in lines has them."""
    labels, marks = Labels(vocabulary), {each.mark: each.name for each in vocabulary.categories}
    types = [(each.name, mark, each.category or marks[mark]) for each in vocabulary.types for mark in marks]
    groups, last = forms.groups_in("1,3-4 5?"), forms.groups_in("6")
    of_types = ((each, "kind", each[0]) for each in types)
    of_kinds = ((types[0], kind.name, kind.name) for kind in vocabulary.journeys)
    for (name, mark, category), kind, tried in chain(of_types, of_kinds):
        told = f"{name}{mark} 1,3-4 5?"
        text, _reasoning = forms.without_reasoning(f"## U1\n{told}\n> {kind} a b: {told}; {name}{mark} 6\n##")
        entries = Answer(labels, {"U1": range(1, 7)}).read(text).blocks[-1].entries
        journey, label = JourneyName(kind, "a b"), (name, category, True)
        wanted = [(label, groups, None), (label, groups, journey), (label, last, journey)]
        found = [(each.label[:3], each.groups, each.journey) for each in entries]
        if found != wanted or re.search(forms.LOOKS_LIKE_JSON, text):
            yield tried


def _users(answer: Answer, asked: Mapping[str, AskedUser]) -> dict[str, _User]:
    """Return what the blocks of an answer say by user. Without a header the number decides."""
    users = {alias: _User(each, answer.numbers[alias]) for alias, each in asked.items()}
    for block in answer.blocks:
        if block.alias:
            users[block.alias].is_named = True
            users[block.alias].entries += [(entry, True) for entry in block.entries]
        elif block.alias is None:
            for entry in block.entries:
                if entry.label.known or entry.journey or len(answer.blocks) == 1:  # else it may be prose
                    owners = (answer.owners(*span) for spans, _mark in entry.groups for span in spans)
                    for alias in {alias for each in owners for alias in each}:
                        users[alias].entries.append((entry, False))
    return users


def _numbered_anew(users: Mapping[str, _User], last: str | None) -> Collection[str]:
    """Return the users whose rows are numbered otherwise: all, where that holds for at least half of those behind the first."""
    odd = {alias: user.is_numbered_otherwise for alias, user in users.items()}
    anew = {alias for alias, (counts_anew, _shifted) in odd.items() if counts_anew and alias != last}
    later = sum(user.is_named and bool(user.entries) and user.numbers.start > 1 for user in users.values())
    shifted = sum(is_shifted for _anew, is_shifted in odd.values())
    return users if (anew and 2 * len(anew) >= later) or (shifted > 1 and 2 * shifted >= later) else anew


def _reason_without_rows(reply: Reply, text: str, answer: Answer) -> FailureReason:
    """Return why there is no outcome of users of whom an answer says nothing."""
    if reply.finish_reason in ("length", "interrupted") or not (answer.is_empty or answer.ended):
        return "cut"
    if not answer.is_empty:
        return "missing"
    if not text.strip():
        return "empty"
    return "refused" if re.match(_REFUSAL, text[:200]) else "unparsable"


def _name_of(journey: JourneyName, user_id: str) -> _Name:
    """Return kind and name of a journey; no name says who the user is."""
    named = journey.name
    # to compile a pattern takes longer than all else of most users
    if caseless(user_id) in caseless(named):
        named = re.sub(rf"(?<!\w){re.escape(user_id)}(?!\w)", "[id]", named, flags=re.IGNORECASE)
    return journey.kind, forms.one_line(named, 60)


def _merged(earlier: Outcome, fresh: Outcome, asked: AskedUser, goal: str) -> Outcome:
    """Return what two answers about a part have placed together. A row that the new one has placed is in none of its old places."""
    moved = fresh.rows.difference(fresh.unplaced)
    stays = tuple(event for event in earlier.events if moved.isdisjoint(event.behaviors))
    events, journeys = joined([replace(earlier, events=stays), fresh], goal)
    if asked.history:
        first, history = asked.part.first, asked.history
        journeys = tuple(
            each._replace(minutes=_lasting([history[row - first] for row in each.behaviors])[1] // 60)
            for each in journeys
        )
    minor = tuple(sorted({*earlier.minor} - moved | {*fresh.minor}))
    unplaced = tuple(sorted({*earlier.unplaced, *fresh.unplaced} - moved))
    unasked = tuple(sorted({*earlier.unasked} - moved | {*fresh.unasked}))
    misfiled, repeated = earlier.misfiled + fresh.misfiled, earlier.repeated + fresh.repeated
    return Outcome(asked.part, None, events, journeys, minor, unplaced, unasked, misfiled, repeated)


def joined(outcomes: Iterable[Outcome], goal: str) -> _Results:
    """Return the events and journeys of a user's outcomes; `goal`: the category by which a journey is converted.

    Journeys of one kind and name are one, with the id of the first, and so are those that a link has found to be one: these have kind
    and name of the one with most rows. One that has a single row left makes its event a plain one.
    """
    outcomes = list(outcomes)
    events: list[tuple[Event, _Name | None]] = []
    minutes: Counter[_Name] = Counter()
    ids: dict[_Name, str] = {}
    for outcome in outcomes:
        names = {journey.id: (journey.kind, journey.name) for journey in outcome.journeys}
        events += [(event, names.get(event.journey or "")) for event in outcome.events]
        for journey in outcome.journeys:
            minutes[_folded(journey.kind, journey.name)] += journey.minutes
            ids.setdefault(_folded(journey.kind, journey.name), journey.id)
    rows = Counter(_folded(*name) for event, name in events if name for _row in event.behaviors)
    if same := [group for outcome in outcomes for group in outcome.same]:
        written = {_folded(*name): name for _event, name in reversed(events) if name}
        chosen: dict[_Name, _Name | None] = {}
        for own in _groups(ids, same):
            most = max(own, key=rows.__getitem__)
            ids[most], minutes[most] = ids[own[0]], sum(minutes[each] for each in own)
            rows[most] = sum(rows[each] for each in own)
            chosen |= dict.fromkeys(own, written.get(most))
        events = [(event, name and chosen.get(_folded(*name), name)) for event, name in events]
    named = [(event, name if name and rows[_folded(*name)] > 1 else None) for event, name in events]
    return _journeys(named, minutes, ids, goal)


def _groups(ids: Mapping[_Name, str], same: Iterable[Sequence[str]]) -> list[list[_Name]]:
    """Return which names are one, each group in the order of `ids`. Groups that share one are one."""
    names = {journey: name for name, journey in ids.items()}
    group_of: dict[_Name, set[_Name]] = {}
    for group in same:
        own = {names[journey] for journey in group if journey in names}
        own = own.union(*(group_of[name] for name in own if name in group_of))
        group_of.update(dict.fromkeys(own, own))
    firsts = {id(group_of[name]): group_of[name] for name in ids if name in group_of}
    return [[name for name in ids if name in own] for own in firsts.values()]


def _journeys(
    events: Iterable[tuple[Event, _Name | None]], minutes: dict[_Name, int], ids: dict[_Name, str], goal: str
) -> _Results:
    """Return events in order of time and the journeys that they name, with minutes and ids by name."""
    in_order = sorted(events, key=lambda each: (each[0].start[:19], each[0].end[:19], each[0].behaviors))
    placed: list[Event] = []
    steps: dict[_Name, tuple[_Name, list[Event]]] = {}  # with the name as it was first written
    for event, name in in_order:
        journey_id = None
        if name:
            journey_id = ids[_folded(*name)]
            steps.setdefault(_folded(*name), (name, []))[1].append(event)
        placed.append(event if event.journey == journey_id else event._replace(journey=journey_id))
    journeys = []
    for folded, (written, own) in steps.items():
        journey = Journey(
            id=ids[folded],
            user_id=own[0].user_id,
            kind=written[0],
            name=written[1],
            start=own[0].start,
            end=max([event.end for event in own], key=itemgetter(slice(19))),  # the wall time
            days=len({_day_of(event.start[:13]) for event in own}),
            minutes=minutes[folded],
            converted=goal in [event.category for event in own],
            types=tuple([kind for kind, _same in groupby([event.type for event in own])]),
            events=tuple([event.id for event in own]),
            behaviors=tuple(sorted(chain.from_iterable([event.behaviors for event in own]))),
        )
        journeys.append(journey)
    return tuple(placed), tuple(journeys)


@lru_cache(maxsize=1024)  # of each journey, for each of its events
def _folded(kind: str, name: str) -> _Name:
    return kind.casefold(), name.casefold()


def _by_day(rows: Sequence[int], behaviors: Sequence[Behavior]) -> list[list[int]]:
    """Cut ascending rows where a day begins, at 05:00, unless one of them lasts until then."""
    days: list[list[int]] = []
    reached = 0
    for row in rows:
        start, seconds = behaviors[row].start, max((behaviors[row].duration or 0) - 1, 0)
        if not days or behaviors[row].day > reached:
            days.append([])
        days[-1].append(row)
        seconds += 3600 * (start.hour - DAY_BEGINS) + 60 * start.minute + start.second
        reached = max(reached, start.toordinal() + seconds // 86_400)
    return days


_day_of = lru_cache(1 << 14)(lambda hour: Behavior(datetime.fromisoformat(hour), "", "").day)


def _lasting(behaviors: Sequence[Behavior]) -> tuple[int, int]:
    """Return the seconds from the start of the first behavior to the last end, and those that the behaviors cover."""
    if len(behaviors) == 1:  # most events
        seconds = behaviors[0].duration or 0
        return seconds, seconds
    spans = [behavior.span for behavior in behaviors]
    return max([end for _start, end in spans]) - spans[0][0], seconds_covered(spans)
