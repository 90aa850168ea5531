"""Events and journeys judged by people: a random sample with an exact bound, the doubtful first, days as a whole, two people."""

import hashlib
import heapq
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain, groupby, zip_longest
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from eventabs import store
from eventabs.errors_and_exit_codes import InputError, UsageError
from eventabs.interface_language import gettext as _
from eventabs.measures import Compared, cohen_kappa, least_share, mean_of, wholes_of
from eventabs.quality.evaluation_and_comparison import Pair, lines_of, rows_of_table
from eventabs.shared_records import UserLog
from eventabs.store import Ledger, RunDirectory

_AROUND: Final = 8  # lines shown before and after an event
_MOST_LINES: Final = 160  # of an event; the middle of a longer one is left out
_WEIGHT: Final = {"moved": 4, "unsure": 2, "unplaced": 1}  # of doubts


@dataclass(frozen=True, slots=True)
class SampledEvent:
    """What is to be judged."""

    item: str  # E1 (event), J1 (journey: its type is the kind, its summary the name), U1 (rows in no event)
    user_id: str
    type: str
    category: str
    start: str
    end: str
    summary: str
    behaviors: tuple[int, ...]
    drawn: bool  # of the random sample; others are doubtful, or lie on a day that is reviewed
    doubts: tuple[str, ...]  # an audit has moved it, the model is not sure, its rows are in no event


@dataclass(frozen=True, slots=True)
class SampledDay:
    """A day of a user, whose missing events are looked for."""

    item: str  # D1, D2, ...
    user_id: str
    day: str  # ISO 8601
    first: int  # behavior
    last: int  # included
    events: tuple[str, ...]  # the items of all events that start on it


@dataclass(frozen=True, slots=True)
class Review:
    """What is to be judged."""

    id: str
    seed: int
    by: str  # "type" for as many events of each type, "" for a simple random sample
    events_in_run: int  # what was drawn from: those of users that are done
    journeys_in_run: int
    days_in_run: int
    types: tuple[str, ...]  # of the run, the most frequent first
    events: tuple[SampledEvent, ...]
    days: tuple[SampledDay, ...]


# A behavior as it stands around an event: its index in the user's log, day, text, and the type and position (among the user's events)
# of the one that has it, "" and -1 where none has.
ContextLine = tuple[int, str, str, str, int]


class Sheet(NamedTuple):
    """A review with the lines that people need to judge each of its items; `folder` is its own in the run directory `out`."""

    review: Review
    out: Path
    folder: Path
    lines: dict[str, list[ContextLine]]
    profiles: dict[str, str]  # by user
    timezone: str  # of the run's settings, "" for the times of the export
    offsets: set[str]  # from UTC, of the users' behaviors


def draw_review(
    named: Path, *, sample: int, days: int, doubtful: int = 0, by: str = "", seed: int = 0
) -> Sheet:
    """Draw events, journeys and user-days of a run, and N of the most doubtful; write down which. Raises UsageError."""
    directory = RunDirectory.find(named)
    lots = _Lots(sample, days, doubtful, by, random.Random(seed))  # noqa: S311  no secret
    path = RunDirectory(directory.audit).ledger
    opened = Ledger.watch(path) if doubtful and path.exists() else nullcontext()
    with Ledger.watch(directory.ledger) as ledger, opened as other:
        rules = [store.binding_in_force(each.meta()) for each in (ledger, other) if each]
        is_old = other and any(key != "budget.max_users" for key, *_values in store.changes(*rules))
        audit = None if is_old else other  # of before a reparse
        for user_id, state in store.states_by_user(ledger):
            if state == "done":
                log, made = ledger.log(user_id), store.made_of(ledger, user_id)
                lots.offer(log, list(_items(ledger, audit, log, made)))
        if not lots.types:
            message = _("no event of {path} can be reviewed yet; go on with eventabs resume")
            raise UsageError(message.format(path=directory.path))
        events_drawn, days_drawn = lots.drawn(sample, doubtful)
        what = orjson.dumps([ledger.meta()["run_id"], seed, by, events_drawn, days_drawn])
        review = Review(
            id=f"r{hashlib.sha256(what).hexdigest()[:12]}",
            seed=seed,
            by=by,
            events_in_run=lots.types.total(),
            journeys_in_run=lots.offered["J"],
            days_in_run=lots.offered["D"],
            types=tuple(name for name, _count in lots.types.most_common()),
            events=events_drawn,
            days=days_drawn,
        )
        sheet = _sheet(directory, ledger, review)
    try:
        for folder in (sheet.folder.parent, sheet.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise store.storage_error(sheet.folder, error) from None
    store.replace_file(sheet.folder / "sample.json", [orjson.dumps(review)])
    return sheet


class _Lots:
    """Draws without replacement while the run is gone through once: events, journeys and days by lot, and the most doubtful."""

    def __init__(self, sample: int, days: int, doubtful: int, by: str, numbers: random.Random) -> None:
        # how many events each type has, and how much each draw was offered
        self.types, self.offered = Counter[str](), Counter[str]()
        self._most = defaultdict(lambda: sample, D=days, doubtful=doubtful + 2 * sample)
        self._heaps = defaultdict[str, list[tuple[float, int, Any]]](list)
        self._by, self._numbers = by, numbers

    def _offer(self, draw: str, lot: float, thing: object) -> None:
        """Keep of what a draw is offered that with the highest lots, however much it is."""
        self.offered[draw] += 1
        heapq.heappush(self._heaps[draw], (lot, self.offered[draw], thing))
        if len(self._heaps[draw]) > self._most[draw]:
            heapq.heappop(self._heaps[draw])

    def _taken(self, draw: str) -> list[Any]:
        return [thing for _lot, _number, thing in sorted(self._heaps[draw], reverse=True)]

    def offer(self, log: UserLog, found: Sequence[SampledEvent]) -> None:
        for item in found:
            lot = self._numbers.random()
            if item.item == "E":
                self.types[item.type] += 1
                self._offer(f"E {item.type}" if self._by else "E", lot, item)
            elif item.item == "J":
                self._offer("J", lot, item)
            if item.doubts:
                self._offer("doubtful", sum(map(_WEIGHT.__getitem__, item.doubts)) + lot, item)
        behind = 0  # the index of the first behavior of the day after
        for date, behaviors in groupby(log.behaviors, key=lambda each: each.start.date()):
            day, first, behind = date.isoformat(), behind, behind + sum(1 for _each in behaviors)
            started = [item for item in found if item.item == "E" and item.start.startswith(day)]
            drawn = SampledDay("", log.user_id, day, first, behind - 1, ())
            self._offer("D", self._numbers.random(), (drawn, started))

    def drawn(self, sample: int, doubtful: int) -> tuple[tuple[SampledEvent, ...], tuple[SampledDay, ...]]:
        """Return the items, numbered: the sample in random order, what is doubtful, and what else lies on the days; and the days."""
        in_turn = zip_longest(*(self._taken(draw) for draw in sorted(self._heaps) if draw.startswith("E")))
        sampled = [item for item in chain.from_iterable(in_turn) if item][:sample] + self._taken("J")
        known = set(sampled)
        more = [item for item in self._taken("doubtful") if item not in known][:doubtful]
        days = self._taken("D")
        beside = (item for _day, started in days for item in started)
        numbers, items = Counter[str](), dict[SampledEvent, SampledEvent]()
        for item in (*sampled, *more, *beside):
            if item not in items:
                numbers[item.item] += 1
                items[item] = replace(item, item=f"{item.item}{numbers[item.item]}", drawn=item in known)
        return tuple(items.values()), tuple(
            replace(day, item=f"D{number}", events=tuple(items[item].item for item in started))
            for number, (day, started) in enumerate(days, start=1)
        )


def _items(ledger: Ledger, audit: Ledger | None, log: UserLog, made: store.Made) -> Iterator[SampledEvent]:
    """Yield what can be judged of a user, not numbered yet, with what is doubtful of it."""
    user_id, (events, journeys, *_rows) = log.user_id, made
    moved, lost = set[int](), set[str]()
    if audit and (row := store.user_row(audit, user_id)) and (row.state, audit.log(user_id)) == ("done", log):
        pair = Pair.of(ledger, audit, user_id)
        moved.update(pair.unequal()[0])
        before, after = map(wholes_of, pair.groups)
        stays = {theirs for _ours, theirs in Compared(after, before, range(len(pair.log.behaviors))).pairs()}
        lost = {group.parent for place, group in enumerate(before) if place not in stays}
    unsure = {event["journey"] for event in events if not event["sure"]}

    def item(kind: str, found: Mapping[str, Any], **doubts: bool) -> SampledEvent:
        texts = {name: str(found[name]) for name in ("type", "category", "start", "end", "summary")}
        behaviors, doubted = tuple(found["behaviors"]), tuple(name for name in _WEIGHT if doubts.get(name))
        return SampledEvent(kind, user_id, **texts, behaviors=behaviors, drawn=False, doubts=doubted)

    for place, event in enumerate(events):
        yield item("E", event, moved=place in moved, unsure=not event["sure"])
    for each in journeys:
        told = each | {"type": each["kind"], "category": "", "summary": each["name"]}
        yield item("J", told, moved=each["id"] in lost, unsure=each["id"] in unsure)
    by_day: defaultdict[str, list[int]] = defaultdict(list)
    for index in made.unplaced:
        by_day[log.behaviors[index].start.date().isoformat()].append(index)
    for rows in by_day.values():
        first, last = (log.behaviors[index].start.isoformat() for index in (min(rows), max(rows)))
        nothing = {"type": "", "category": "", "start": first, "end": last, "summary": "", "behaviors": rows}
        yield item("U", nothing, unplaced=True)


def _sheet(directory: RunDirectory, ledger: Ledger, review: Review) -> Sheet:
    facts, user_of = ledger.meta(), attrgetter("user_id")
    timezone = facts["settings"].get("input", {}).get("timezone", "")
    sheet = Sheet(review, directory.path, directory.reviews / review.id, {}, {}, timezone, set())
    everything: list[SampledEvent | SampledDay] = [*review.events, *review.days]
    for user_id, items in groupby(sorted(everything, key=user_of), key=user_of):
        log = ledger.log(user_id)
        sheet.offsets.update(log.offsets)
        sheet.profiles[user_id] = " ".join(value for _column, value in log.profile)
        owners = {
            row: (event["type"], position)
            for position, event in enumerate(store.made_of(ledger, user_id).events)
            for row in event["behaviors"]
        }
        own = [(row, *line, *owners.get(row, ("", -1))) for row, line in enumerate(lines_of(log, facts))]
        for item in items:
            if isinstance(item, SampledDay):
                shown = own[item.first : item.last + 1]
            else:  # what lies far from all rows of an event is left out
                near = {row + step for row in item.behaviors for step in range(-_AROUND, _AROUND + 1)}
                shown = [line for line in own if line[0] in near]
                if len(shown) > _MOST_LINES:
                    shown = shown[: _MOST_LINES // 2] + shown[-_MOST_LINES // 2 :]
            sheet.lines[item.item] = shown
    return sheet


@dataclass(slots=True)
class Verdicts:
    """What one reviewer said."""

    path: Path
    review: Review
    events: dict[str, str] = field(default_factory=dict)  # a verdict by event
    types: dict[str, str] = field(default_factory=dict)  # what an event should have been called, where said
    days: set[str] = field(default_factory=set)  # that were looked at
    missing: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # events by day
    renamed: int = 0  # rows whose user a spreadsheet has changed, such as by leading zeros


def read_verdicts(directory: RunDirectory, path: Path) -> Verdicts:
    """Read a reviewer's CSV. Raises InputError for rows of another review, unknown verdicts and items, and rows torn apart."""
    unread = _("{path} cannot be read ({error}); save the CSV from the page of eventabs review")
    rows = list(rows_of_table(path, unread))
    if not rows:
        message = _("{path} holds no verdicts; save the CSV from the page of eventabs review")
        raise InputError(message.format(path=path))
    if missing := [name for name in ("review", "item", "verdict") if name not in rows[0][1]]:
        message = _("{path} has no column {name}; save the CSV from the page of eventabs review")
        raise InputError(message.format(path=path, name=missing[0]))
    number, named = rows[0][0], rows[0][1]["review"]
    where = _("{path}, row {row}: {fault}")
    try:
        folder = directory.reviews / (named if re.fullmatch("r[0-9a-f]{12}", named) else "-")
        review = TypeAdapter(Review).validate_json(store.read_head(folder / "sample.json", 64_000_000))
    except (OSError, ValueError):
        message = _("the review {review} is not one of {path}; its page was made by eventabs review there")
        fault = message.format(review=named or "-", path=directory.path)
        raise InputError(where.format(path=path, row=number, fault=fault)) from None
    items: dict[str, SampledEvent | SampledDay] = {event.item: event for event in review.events}
    items |= {day.item: day for day in review.days}
    read = Verdicts(path, review)
    for number, row in rows:
        try:
            _take(read, row, items)
        except ValueError as error:
            raise InputError(where.format(path=path, row=number, fault=error)) from None
    return read


def _take(read: Verdicts, row: Mapping[str, str], items: Mapping[str, SampledEvent | SampledDay]) -> None:
    if row["review"] != read.review.id:
        message = _("it is of review {other}, the rows above are of {review}; give each review its own file")
        raise ValueError(message.format(other=row["review"] or "-", review=read.review.id))
    item = items.get(row["item"].upper())
    if item is None:
        raise ValueError(_("the review has no item {item}").format(item=row["item"] or "-"))
    read.renamed += _is_renamed(row.get("user_id", ""), item)
    verdict = row["verdict"].lower()
    # of a day: all of it was looked at, or it lacks an event
    known = ("right", "type", "span", "none") if isinstance(item, SampledEvent) else ("done", "missing")
    if verdict not in ("", *known):
        message = _("the verdict {verdict} is unknown; of {item} it is {known}, or an empty cell")
        raise ValueError(message.format(verdict=row["verdict"], item=item.item, known=", ".join(known)))
    if verdict == "done":
        read.days.add(item.item)
    elif verdict == "missing":
        read.missing[item.item].add(row.get("behaviors") or f"-{len(read.missing[item.item])}")
    elif verdict:
        before = read.events.setdefault(item.item, verdict)
        if before != verdict:
            message = _("{item} is {verdict} here and {before} in a row above; leave one of them")
            raise ValueError(message.format(item=item.item, verdict=verdict, before=before))
        if verdict == "type" and row.get("correct_type"):
            read.types[item.item] = row["correct_type"]


def _is_renamed(said: str, item: SampledEvent | SampledDay) -> bool:
    """Whether a spreadsheet has changed the user of a row. Raises ValueError where it is another user."""
    user = item.user_id.strip()
    if {said, said.removeprefix("'")} & {"", user}:  # with it, it is no formula
        return False
    with suppress(ArithmeticError):  # no numbers
        number, known = Decimal(said), Decimal(user)
        # shown with an exponent (1.23457E+15), or as a number, of which digits behind the fifteenth are lost
        within = abs(known) / 100_000 if "E" in said.upper() else Decimal(10) ** (known.adjusted() - 14)
        if number == known or abs(number - known) < within:
            return True
    message = _("{item} is about user {user}, the row about {other}; sort whole rows, or save the CSV again")
    raise ValueError(message.format(item=item.item, user=user, other=said))


def read_review(named: Path, files: Sequence[Path]) -> tuple[Review, dict[str, Any]]:
    """Read what one or two reviewers have saved; return the review, and the figures as JSON has them (see docs/quality.md).

    Raises InputError for a file that cannot be read, UsageError for other files.
    """
    if len(files) not in (1, 2):
        raise UsageError(_("--read takes the files of one or two reviewers"))
    directory = RunDirectory.find(named)
    read = [read_verdicts(directory, path) for path in files]
    first, second = read[0], read[-1]  # the same where there is one
    review, other = first.review.id, second.review.id
    if other != review:
        message = _("{second} is of review {other}, {first} of {review}; two reviewers judge the same one")
        raise UsageError(message.format(second=second.path, other=other, first=first.path, review=review))
    agreement = None
    if len(read) > 1:
        judged = first.events.keys() & second.events.keys()
        both = [event for event in first.review.events if event.item in judged]
        pairs = [(first.events[event.item], second.events[event.item]) for event in both]
        told = ("item", "user_id", "type", "start", "end")
        differ = [
            {name: getattr(event, name) for name in told} | {"first": one, "second": other}
            for event, (one, other) in zip(both, pairs, strict=True)
            if one != other
        ]
        same, kappa = len(pairs) - len(differ), cohen_kappa(pairs)
        agreement = {"judged": len(pairs), "same": same, "kappa": kappa, "differ": differ}
    reviewers = list(map(_reviewer, read))
    return first.review, {"out": str(directory.path), "reviewers": reviewers, "agreement": agreement}


def _reviewer(read: Verdicts) -> dict[str, Any]:
    """Return what one person says of the random samples of events and journeys, of the doubtful, and of days as a whole."""
    events, reached = read.review.events, _reached("E", read)
    types = Counter(event.type for event in reached)
    doubtful = [each for each in events if each.doubts and not each.drawn and each.item in read.events]
    confused = Counter((each.type, read.types[each.item]) for each in events if each.item in read.types)
    meaningless = {"precision": None, "at_least": None}
    # of the days that were looked at, those of which every event is judged; real: found or missing
    days = Counter(days=0, unfinished=0, real=0, right=0, missing=0)
    # days by the share of what is real that has the right type and span, and by that found at all
    recall, found = Counter[float](), Counter[float]()
    for day in (each for each in read.review.days if each.item in read.days):
        said, missing = Counter(map(read.events.get, day.events)), len(read.missing[day.item])
        if None in said:
            days["unfinished"] += 1
            continue
        real = said.total() - said["none"] + missing
        days.update(days=1, real=real, right=said["right"], missing=missing)
        if real:
            recall[said["right"] / real] += 1
            found[(real - missing) / real] += 1
    return {
        "file": str(read.path),
        # types that are as frequent in the sample, and not in the run, say nothing of all events
        **(_judged(reached, read) | (meaningless if read.review.by else {})),
        "journeys": _judged(_reached("J", read), read),
        # a choice, not a sample: there is no figure of the others
        "doubtful": _judged(doubtful, read) | meaningless,
        # after the last one with a verdict
        "left": sum(each.drawn and each.item.startswith("E") for each in events) - len(reached),
        "renamed": read.renamed,
        "by_type": [
            {"type": name, **_judged((event for event in reached if event.type == name), read)}
            for name, _count in types.most_common()
        ],
        "reviewed_days": {**days, "recall": mean_of(recall), "found": mean_of(found)},
        "confused": [
            {"type": kind, "meant": meant, "events": count} for (kind, meant), count in confused.most_common()
        ],
    }


def _reached(kind: str, read: Verdicts) -> list[SampledEvent]:
    """Return what was drawn of a kind, up to the last with a verdict: in random order, a random sample too."""
    drawn = [event for event in read.review.events if event.drawn and event.item.startswith(kind)]
    while drawn and drawn[-1].item not in read.events:
        drawn.pop()
    return drawn


def _judged(events: Iterable[SampledEvent], read: Verdicts) -> dict[str, float | None]:
    said = Counter(read.events.get(event.item, "") for event in events)
    judged = said.total() - said[""]
    return {
        "judged": judged,
        "skipped": said[""],  # though one that came later in the random order has a verdict
        "right": said["right"],
        "wrong_type": said["type"],
        "wrong_span": said["span"],
        "nothing": said["none"],
        "precision": said["right"] / judged if judged else None,
        "at_least": least_share(said["right"], said.total()) if judged else None,  # those skipped are wrong
    }
