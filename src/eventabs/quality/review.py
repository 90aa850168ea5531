"""Events judged by people: the sample, the verdicts, precision with an exact bound, recall by days, agreement of two."""

import csv
import hashlib
import io
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from eventabs.errors import InputError, UsageError
from eventabs.language import Language, gettext as _
from eventabs.measures import Figure, cohen_kappa, least_share, share_of
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
    """Return how many of each stratum are drawn: as many of each, as far as it has them."""
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
            lines[item.item] = _around(item, own)
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


def _around(item: SampledEvent | SampledDay, lines: Sequence[ContextLine]) -> tuple[ContextLine, ...]:
    if isinstance(item, SampledDay):
        return tuple(lines[item.first : item.last + 1])
    first, last = min(item.behaviors), max(item.behaviors)
    shown = lines[max(0, first - _AROUND) : last + 1 + _AROUND]
    if len(shown) <= _MOST_LINES:
        return tuple(shown)
    return (*shown[: _MOST_LINES // 2], *shown[-_MOST_LINES // 2 :])


def _write(sheet: Sheet) -> None:
    try:
        for folder in (sheet.folder.parent, sheet.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise storage_error(sheet.folder, error) from None
    replace_file(sheet.folder / "sample.json", [orjson.dumps(sheet.review)])


VERDICTS: Final = ("right", "type", "span", "none")
DONE, MISSING = "done", "missing"  # of a day: all of it was looked at; an event that nobody made
_NEEDED: Final = ("review", "item", "verdict")
_ROUNDED: Final = 1e-5  # of a long number that a spreadsheet has shown as 1.23457E+15


@dataclass(slots=True)
class Verdicts:
    """What one reviewer said: a verdict by event, the days looked at, and how many events are missing on each day.

    `types`: what an event should have been called, where it was said. `renamed`: rows whose user a spreadsheet has changed,
    such as by leading zeros.
    """

    path: Path
    review: Review
    events: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    days: set[str] = field(default_factory=set)
    missing: dict[str, int] = field(default_factory=dict)
    renamed: int = 0


class _Row:
    """A row by its columns, whatever their order and case."""

    def __init__(self, path: Path, number: int, values: Mapping[str, str]) -> None:
        self.path, self.number = path, number
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, "")

    def fault(self, message: str, **facts: object) -> InputError:
        """Return an error that names the row."""
        where = _("{path}, row {row}: {fault}")
        return InputError(where.format(path=self.path, row=self.number, fault=message.format(**facts)))


def read_verdicts(directory: RunDirectory, path: Path) -> Verdicts:
    """Read a reviewer's CSV. Raises InputError for rows of another review, unknown verdicts and items, and rows torn apart."""
    rows = list(_rows(path))
    if not rows:
        message = _("{path} holds no verdicts; save the CSV from the page of eventabs review")
        raise InputError(message.format(path=path))
    review = stored_review(directory, rows[0]["review"])
    if review is None:
        message = _("the review {review} is not one of {path}; its page was made by eventabs review there")
        raise rows[0].fault(message, review=rows[0]["review"] or "-", path=directory.path)
    items: dict[str, SampledEvent | SampledDay] = {event.item: event for event in review.events}
    items |= {day.item: day for day in review.days}
    read = Verdicts(path, review)
    for row in rows:
        if row["review"] != review.id:
            message = _(
                "it is of review {other}, the rows above are of {review}; give each review its own file"
            )
            raise row.fault(message, other=row["review"] or "-", review=review.id)
        item = items.get(row["item"].upper())
        if item is None:
            raise row.fault(_("the review has no item {item}"), item=row["item"] or "-")
        read.renamed += _is_renamed(row, item)
        _take(read, row, item)
    return read


def _take(read: Verdicts, row: _Row, item: SampledEvent | SampledDay) -> None:
    verdict = row["verdict"].lower()
    known = VERDICTS if isinstance(item, SampledEvent) else (DONE, MISSING)
    if verdict not in ("", *known):
        message = _("the verdict {verdict} is unknown; of {item} it is {known}, or nothing")
        raise row.fault(message, verdict=row["verdict"], item=item.item, known=", ".join(known))
    if verdict == DONE:
        read.days.add(item.item)
    elif verdict == MISSING:
        read.missing[item.item] = read.missing.get(item.item, 0) + 1
    elif verdict:
        before = read.events.setdefault(item.item, verdict)
        if before != verdict:
            message = _("{item} is {verdict} here and {before} in a row above; leave one of them")
            raise row.fault(message, item=item.item, verdict=verdict, before=before)
        if verdict == "type" and row["correct_type"]:
            read.types[item.item] = row["correct_type"]


def _is_renamed(row: _Row, item: SampledEvent | SampledDay) -> bool:
    """Whether a spreadsheet has changed the user of a row. Raises InputError where it is another user."""
    said, user = row["user_id"], item.user_id.strip()
    if said in ("", user):
        return False
    if said.removeprefix("'") == user:  # so that it is no formula
        return False
    try:
        number, known = float(said), float(user)
    except ValueError:
        number, known = 0.0, 1.0
    if abs(number - known) <= _ROUNDED * abs(known):
        return True
    message = _("{item} is about user {user}, the row about {other}; sort whole rows, or save the CSV again")
    raise row.fault(message, item=item.item, user=user, other=said)


def _rows(path: Path) -> Iterator[_Row]:
    try:
        text = _decoded(path.read_bytes())
        head = text.partition("\n")[0]
        if head.lower().startswith("sep="):  # which Excel itself leaves out
            text = text.partition("\n")[2]
            head = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
        names = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            message = _("{path} has no column {name}; save the CSV from the page of eventabs review")
            raise InputError(message.format(path=path, name=missing[0]))
        for values in reader:
            if any(value.strip() for value in values):
                found = dict(zip(names, (value.strip() for value in values), strict=False))
                yield _Row(path, reader.line_num, found)
    except (OSError, ValueError, csv.Error) as error:
        message = _("{path} cannot be read ({error}); save the CSV from the page of eventabs review")
        raise InputError(message.format(path=path, error=error)) from None


def _decoded(data: bytes) -> str:
    """Decode what spreadsheets write: UTF-8, UTF-16 as "Unicode text", and the code page of Chinese Windows."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030")


_MOST_REVIEWERS: Final = 2


class Judged(NamedTuple):
    """Verdicts on some events of the sample. `name`: their type, "" for all.

    `skipped`: without a verdict, though one that came later in the random order has one. `precision` is of those with a
    verdict; for `at_least`, the exact one-sided 95 % bound, those skipped are wrong. Both are None where they mean nothing.
    """

    name: str
    judged: int
    skipped: int
    right: int
    wrong_type: int
    wrong_span: int
    nothing: int
    precision: float | None
    at_least: float | None


class ReviewedDays(NamedTuple):
    """Days that were looked at as a whole, every event of theirs judged; `unfinished` ones are left out.

    `real`: events that were there, found or missing. `recall`: of these the share found with the right type and span,
    `found`: the share found at all; 95 % intervals draw days.
    """

    days: int
    unfinished: int
    real: int
    right: int
    missing: int
    recall: Figure
    found: Figure


class Reviewer(NamedTuple):
    """What one person says. `left`: events of the sample after the last one with a verdict; `confused`: (type, type meant, how often).

    `renamed`: rows whose user a spreadsheet has changed, such as by leading zeros.
    """

    file: str
    all: Judged
    left: int
    by_type: tuple[Judged, ...]
    days: ReviewedDays
    confused: tuple[tuple[str, str, int], ...]
    renamed: int


class Difference(NamedTuple):
    """An event on which two reviewers differ."""

    event: SampledEvent
    first: str
    second: str


class PairAgreement(NamedTuple):
    """How far two reviewers agree on the events that both judged; `kappa` is None where it is not defined."""

    judged: int
    same: int
    kappa: float | None
    differ: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class ReviewResult:
    """A review that was read back; `drawn` events are its sample. `agreement` is None for a single reviewer."""

    review: Review
    out: str
    drawn: int
    reviewers: tuple[Reviewer, ...]
    agreement: PairAgreement | None


def read_review(named: Path, files: Sequence[Path]) -> ReviewResult:
    """Read what one or two reviewers have saved.

    Raises InputError for a file that cannot be read or is of another review, UsageError for more than two files.
    """
    if len(files) > _MOST_REVIEWERS:
        raise UsageError(_("--read takes the files of one or two reviewers"))
    directory = RunDirectory.find(named)
    read = [read_verdicts(directory, path) for path in files]
    review = read[0].review
    for each in read[1:]:
        if each.review.id != review.id:
            message = _(
                "{second} is of review {other}, {first} of {review}; two reviewers judge the same one"
            )
            raise UsageError(
                message.format(second=each.path, other=each.review.id, first=read[0].path, review=review.id)
            )
    return ReviewResult(
        review=review,
        out=str(directory.path),
        drawn=sum(event.drawn for event in review.events),
        reviewers=tuple(map(_reviewer, read)),
        agreement=_agreement(*read) if len(read) > 1 else None,
    )


def keep_result(result: ReviewResult, figures: str) -> None:
    """Keep the figures, as JSON, beside the sample, for the report of the run. Raises StorageError."""
    folder = RunDirectory(Path(result.out)).reviews / result.review.id
    replace_file(folder / "result.json", [figures.encode()])


def _reviewer(read: Verdicts) -> Reviewer:
    drawn = [event for event in read.review.events if event.drawn]
    judged = [place for place, event in enumerate(drawn) if event.item in read.events]
    reached = drawn[: judged[-1] + 1] if judged else []
    types = Counter(event.type for event in reached)
    whole = _judged("", reached, read)
    confused = Counter(
        (event.type, read.types[event.item]) for event in read.review.events if event.item in read.types
    )
    return Reviewer(
        file=str(read.path),
        # types that are as frequent in the sample, and not in the run, say nothing of all events
        all=whole._replace(precision=None, at_least=None) if read.review.by else whole,
        left=len(drawn) - len(reached),
        by_type=tuple(
            _judged(name, [event for event in reached if event.type == name], read)
            for name, _count in types.most_common()
        ),
        days=_reviewed_days(read),
        confused=tuple((*types, count) for types, count in confused.most_common()),
        renamed=read.renamed,
    )


def _judged(name: str, events: Iterable[SampledEvent], read: Verdicts) -> Judged:
    said = Counter(read.events.get(event.item, "") for event in events)
    judged = said.total() - said[""]
    return Judged(
        name=name,
        judged=judged,
        skipped=said[""],
        right=said["right"],
        wrong_type=said["type"],
        wrong_span=said["span"],
        nothing=said["none"],
        precision=said["right"] / judged if judged else None,
        at_least=least_share(said["right"], said.total()) if judged else None,
    )


def _reviewed_days(read: Verdicts) -> ReviewedDays:
    looked_at = [day for day in read.review.days if day.item in read.days]
    whole = [day for day in looked_at if all(event in read.events for event in day.events)]
    counts = [(*_found(day, read), read.missing.get(day.item, 0)) for day in whole]
    return ReviewedDays(
        days=len(whole),
        unfinished=len(looked_at) - len(whole),
        real=sum(found + missing for _right, found, missing in counts),
        right=sum(right for right, _found, _missing in counts),
        missing=sum(missing for _right, _found, missing in counts),
        recall=share_of([(right, found + missing) for right, found, missing in counts]),
        found=share_of([(found, found + missing) for _right, found, missing in counts]),
    )


def _found(day: SampledDay, read: Verdicts) -> tuple[int, int]:
    said = Counter(read.events[item] for item in day.events)
    return said["right"], said.total() - said["none"]


def _agreement(first: Verdicts, second: Verdicts) -> PairAgreement:
    both = [
        event for event in first.review.events if event.item in first.events and event.item in second.events
    ]
    pairs = [(first.events[event.item], second.events[event.item]) for event in both]
    differ = tuple(
        Difference(event, *pair) for event, pair in zip(both, pairs, strict=True) if pair[0] != pair[1]
    )
    return PairAgreement(len(pairs), len(pairs) - len(differ), cohen_kappa(pairs), differ)
