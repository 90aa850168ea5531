"""The frozen records that travel between the rooms."""

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    NamedTuple,
    Self,
    TypedDict,
    TypeVar,
    dataclass_transform,
)

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from eventabs.interface_language import Language, gettext as _

FinishReason = Literal["stop", "length", "content_filter", "interrupted"]
FailureReason = Literal[
    "empty",
    "unparsable",
    "cut",
    "missing",
    "renumbered",
    "unplaced",
    "minor",
    "refused",
    "content_filter",
    "too_long",
    "endpoint",
    "no_readable_rows",
]
# what a linking call answers of journeys that are one
SAME: Final[dict[Language, str]] = {"zh": "同一", "en": "same"}
THING: Final = "thing"  # the action of a row with a thing and no action
MAX_CHARACTERS: Final = 200  # of a text in a prompt
DAY_BEGINS: Final = 5  # o'clock
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH: Final = EPOCH.replace(tzinfo=None)  # of wall times
RunStatus = Literal["running", "interrupted", "stopped", "waiting", "completed"]
EventSource = Literal["llm", "rules", "must"]
DurationUnit = Literal["ms", "s", "min", "h"]
TIER_COUNTS: Final = ("calls", "prompt_tokens", "completion_tokens", "cached_tokens")
STANDARD_TIER: Final = "standard"  # the ordinary tier of an endpoint
BATCH_TIER: Final = "batch"  # what a batch service answers
AnyPath = str | os.PathLike[str]
OnContent = Callable[[int], None]  # hears how many characters of an answer have come so far


class TomlTable(BaseModel):
    """A table of a TOML file. Unknown keys are errors, in dataclasses inside it too: a typo must not pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """A record that cannot be a named tuple, since it inherits fields, keeps what it has worked out, or must not look like a list.

    A dataclass, frozen for the type checker alone: to freeze it takes as long as to make it, at each start.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **options: bool) -> None:
        dataclass(**options)(cls)


class Behavior(NamedTuple):
    """One row of the export, in normal form; a tuple because there are millions of them."""

    start: datetime  # whole seconds; local wall time, aware only if the input or --timezone names a zone
    action: str  # canonical, THING or the export's own word; "" for free text
    item: str  # what: the place of a visit, the app used, the thing browsed, or the free text
    place: str = ""  # where else: site, app or shop; "" if none
    duration: int | None = None  # seconds
    file: int = 0  # index into the run's list of input files
    line: int = 0  # 1-based line in that file (record number where a file has no lines)
    text: str = ""  # the export's own sentence, for counting its tokens; "" for structured rows; the item: see in_own_words

    @property
    def day(self) -> int:
        """Its day, which begins at 05:00, as in `date.toordinal`."""
        return self.start.toordinal() - (self.start.hour < DAY_BEGINS)

    @property
    def span(self) -> tuple[int, int]:
        """When it starts and ends, in seconds; of wall times as if they were UTC."""
        since = self.start - (EPOCH if self.start.tzinfo else _WALL_EPOCH)
        seconds = since.days * 86_400 + since.seconds
        return seconds, seconds + (self.duration or 0)

    @property
    def instant(self) -> int:
        """When it starts, in seconds since 1970; without an offset by the user's clock."""
        return self.span[0]

    @property
    def in_own_words(self) -> bool:
        """Whether the item is the export's own sentence, which needs no verb: it says the action itself."""
        return self.text != "" and self.text == self.item


def seconds_covered(spans: Iterable[tuple[int, int]]) -> int:
    """Return the seconds that at least one of some spans covers."""
    seconds, reached = 0, -sys.maxsize
    for start, end in sorted(spans):
        if end > reached:
            seconds += end - start if start >= reached else end - reached
            reached = end
    return seconds


class KnownJourney(NamedTuple):
    """A journey that earlier answers have found; without kind and name: rows that are each by itself."""

    kind: str
    name: str
    rows: tuple[int, ...]  # of it that are shown again: positions in the log that shows them


class UserLog(NamedTuple):
    """One user's behaviors ordered by time, file and line. No behaviors: no row was readable."""

    user_id: str
    behaviors: tuple[Behavior, ...]
    profile: tuple[tuple[str, str], ...] = ()  # (column, value), only columns that may be sent
    known: tuple[KnownJourney, ...] = ()  # what earlier answers have found, in an extension

    @property
    def offsets(self) -> set[str]:
        """The offsets from UTC of the first and the last behavior, such as UTC+08:00; "" of times without one."""
        return {behavior.start.tzname() or "" for behavior in (*self.behaviors[:1], *self.behaviors[-1:])}


class GroupUser(NamedTuple):
    """A user of a group with the number of readable behaviors, which lie between two rows, both included."""

    user_id: str
    behaviors: int
    first_row: int
    last_row: int
    profile: tuple[tuple[str, str], ...]


class InputWarning(NamedTuple):
    """What in the input looks wrong. `code` is for scripts, `message` one line that names what mends it."""

    code: str
    message: str


class ColumnsFound(NamedTuple):
    """How files with the same columns in the same roles were understood; what is counted is of the first of them."""

    files: tuple[str, ...]
    columns: dict[str, str]  # by role
    filled: dict[str, int]  # how many of the first `sampled` rows have the column
    sampled: int
    unused: tuple[str, ...]  # columns that play no role
    schema: str = ""  # the known tool that the files come from


class ActivityName(NamedTuple):
    """What some behaviors have in common."""

    action: str
    item: str
    place: str
    timed: bool = True  # they have a duration


class Part(NamedTuple):
    """A user, or the stretch of a user too large for one batch: log indices first..last, both included.

    A link has no behaviors, and a `first` below 0: in it the journeys of all stretches of a user are asked about, which are one.
    """

    user_id: str
    first: int
    last: int

    @classmethod
    def link(cls, user_id: str, number: int = 0) -> Self:
        """Return one of a user's links."""
        return cls(user_id, -1 - number, -2 - number)

    @property
    def is_link(self) -> bool:
        """Whether journeys are asked about."""
        return self.first < 0


class PartSize(NamedTuple):
    """What a part costs: input tokens of its block without row numbers, expected output tokens of its answer, its rows."""

    input_tokens: int
    output_tokens: int
    rows: int


class PlannedPart(NamedTuple):
    """A part still to be asked about, and what earlier calls have shown."""

    part: Part
    size: PartSize
    attempts: int = 0  # delivered answers that were bad for it
    broken_calls: int = 0  # calls that brought no answer at all
    max_peers: int = 0  # most parts in its next batch; 0: as the plan has it
    is_whole: bool = False  # known to be all that its user did
    rows: str = ""  # the log indices to ask about, as `row_ranges` writes them; "": all of the part; of a link: which journeys


class Batch(NamedTuple):
    """The parts sent in one prompt: links, or others."""

    parts: tuple[PlannedPart, ...]

    @property
    def links(self) -> bool:
        """Whether its call asks which journeys are one."""
        return self.parts[0].part.is_link

    @property
    def attempt(self) -> int:
        """1 for parts that no answer has been bad for yet."""
        return 1 + max([planned.attempts for planned in self.parts])


class Message(TypedDict):
    """One chat message as the endpoint takes it."""

    role: Literal["system", "user"]
    content: str


class Request(NamedTuple):
    """One call to make. Rows are numbered from 1 through all users."""

    messages: tuple[Message, ...]
    users: dict[str, UserLog]  # by alias (U1, U2, ...), with only the behaviors that are asked about
    input_tokens: int
    max_output_tokens: int
    response_format: dict[str, Any] | None = None  # of structured outputs; None: the answer is text
    grammar: str = ""  # GBNF of the answer; "": it is free


class Usage(NamedTuple):
    """Tokens as the endpoint counted them. Reasoning tokens are part of the completion tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0


class Reply(NamedTuple):
    """What the model answered, whole or as far as it came (`interrupted`)."""

    text: str
    finish_reason: FinishReason = "stop"
    reasoning: str = ""
    usage: Usage = Usage()
    usage_reported: bool = True  # False: the endpoint sent none of the prompt
    seconds: float = 0.0
    streamed: bool = False  # whether it came as a stream of events, whatever was asked for
    tier: str = ""  # that it was served in, such as "flex" or "batch"; "": the ordinary one


class Event(NamedTuple):
    """The behaviors of a user that serve one thing. Times are ISO 8601."""

    id: str  # the user, / and the ordinal of the first behavior; see `lasting_id`
    user_id: str
    type: str
    category: str
    start: str  # of the first behavior
    end: str  # when the last of the behaviors ends
    minutes: int  # that the behaviors themselves last
    summary: str
    behaviors: tuple[int, ...]  # 0-based indices into the user's log
    journey: str | None = None
    sure: bool = True  # False: the model marked it with ?
    source: EventSource = "llm"
    outside: bool = False  # whether a closed vocabulary lacks the type, or any the mark


class Journey(NamedTuple):
    """All that a user did for one goal, over any time: at least two behaviors. Times are ISO 8601."""

    id: str  # the user, /j and the ordinal of the first behavior; see `lasting_id`
    user_id: str
    kind: str  # such as purchase or trip: journeys are counted by it across users
    name: str
    start: str
    end: str
    days: int  # on how many days, which begin at 05:00, its events begin
    minutes: int  # that the behaviors themselves last
    converted: bool  # whether an event of it has the first category with a mark
    types: tuple[str, ...]  # of its events, in their order, each at every change
    events: tuple[str, ...]  # their ids, in order of start
    behaviors: tuple[int, ...]  # 0-based indices into the user's log


EventOrJourney = TypeVar("EventOrJourney", Event, Journey)


def caseless(text: str) -> str:
    """Return a text as it is looked for where a pattern ignores case, for which I, i, İ and ı are one."""
    return text.casefold().replace("i\u0307", "i").replace("ı", "i")


def as_row(made: Event | Journey) -> dict[str, Any]:
    """Return an event or a journey as in events.jsonl and journeys.jsonl, where `outside` stands only if it is true."""
    fields = made._fields if made[-1] is not False else made._fields[:-1]  # `outside` is the last
    return dict(zip(fields, made, strict=False))


def of_row(kind: type[EventOrJourney], row: Mapping[str, Any]) -> EventOrJourney:
    """Return what `as_row` was given. Raises TypeError where a field is missing; further ones are left out."""
    known = ((name, row[name]) for name in kind._fields if name in row)
    values: Any = {name: tuple(each) if isinstance(each, list) else each for name, each in known}
    return kind(**values)


def lasting_id(user_id: str, ordinal: int | str, prefix: str = "") -> str:
    """Return the id of an event, or with prefix `j` of a journey: the number that its first behavior got when it was first read."""
    return f"{user_id.replace('%', '%25').replace('/', '%2F')}/{prefix}{ordinal}"


def row_ranges(rows: Iterable[int]) -> str:
    """Write ascending row numbers as `3-5 9`."""
    if not rows:  # most of what is left over
        return ""
    ranges: list[list[int]] = []
    for row in rows:
        if not ranges or row != ranges[-1][1] + 1:
            ranges.append([row, row])
        ranges[-1][1] = row
    return " ".join([str(first) if first == last else f"{first}-{last}" for first, last in ranges])


def rows_in(ranges: str) -> list[int]:
    """Return the row numbers that `row_ranges` has written."""
    bounds = [each.partition("-") for each in ranges.split()]
    return [row for first, _hyphen, last in bounds for row in range(int(first), int(last or first) + 1)]


def ratio(part: int, whole: int) -> float | None:
    """Return `part / whole` to four decimals; None if `whole` is 0."""
    return round(part / whole, 4) if whole else None


# Counts of answers as they were read, `by_batch_users` and `by_position`, as JSON has them: see docs/quality.md.
AnswerFigures = dict[str, list[dict[str, Any]]]


class Counts(Record, kw_only=True):
    """What a run has and has used so far; tokens are those of all replies."""

    users: int = 0
    behaviors: int = 0
    done: int = 0
    failed: int = 0
    events: int = 0  # of users that are done, as the journeys
    journeys: int = 0
    calls: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0  # those of the prompt tokens that the endpoint had in its cache
    batches_done: int = 0
    # of the accepted answers: behaviors asked about, each of which is in an event, `minor`, `unplaced` or `unasked`
    answered: int = 0
    placed: int = 0
    minor: int = 0
    unplaced: int = 0
    unasked: int = 0  # outside journeys where only these were asked for
    misfiled: int = 0  # rows under the header of another user
    repeated: int = 0  # rows that stood twice
    unsure: int = 0  # events with a `?`
    outside: int = 0  # events with a type that a closed vocabulary lacks, or a mark that is none
    missed: int = 0  # events added by [[events.must]]
    unlinked: int = 0  # calls that should say which journeys of large users are one, and brought no answer
    user_days: int = 0  # days, by the wall clock, on which users that are done did something
    answers: AnswerFigures = field(default_factory=lambda: {"by_batch_users": [], "by_position": []})
    # repeated calls by `rate_limit`, `capacity`, an HTTP status such as `503`, `timeout` or `connection`
    retry_causes: dict[str, int] = field(default_factory=dict)
    tiers: dict[str, dict[str, int]] = field(default_factory=dict)  # TIER_COUNTS by the tier that served

    @property
    def by_tier(self) -> dict[str, dict[str, int]]:
        """The calls and tokens of each tier; where none is known, all are the ordinary one's."""
        return self.tiers or {STANDARD_TIER: {name: getattr(self, name) for name in TIER_COUNTS}}

    @property
    def events_per_user_day(self) -> float | None:
        """The events for each day on which a user did something; None before the first answer."""
        return ratio(self.events, self.user_days)

    @property
    def event_counts(self) -> dict[str, float | None]:
        """The counts of accepted answers and of users that are done, by the names in JSON; None before the first answer."""
        return {
            "behaviors_answered": self.answered,
            **{f"behaviors_{name}": getattr(self, name) for name in ROW_COUNTS},
            "user_days": self.user_days,
            "events_per_user_day": self.events_per_user_day,
            "unsure_events": self.unsure,
            "outside_labels": self.outside,
            "must_misses": self.missed,
            "unlinked": self.unlinked,
        }

    @property
    def pending(self) -> int:
        """Users that are neither done nor failed."""
        return self.users - self.done - self.failed


COUNT_NAMES: Final = tuple(each.name for each in fields(Counts) if each.type is int)
# what became of the rows of accepted answers; a row that is misfiled or repeated also has one of the others
ROW_COUNTS: Final = ("placed", "minor", "unplaced", "unasked", "misfiled", "repeated")


class Outcome(Record):
    """What became of one part in one reply: every behavior that was asked about is in an event, or a log index below."""

    part: Part
    # None: usable; `unplaced` and `minor` keep what was placed, the rest is asked again
    reason: FailureReason | None
    events: tuple[Event, ...] = ()
    journeys: tuple[Journey, ...] = ()
    minor: tuple[int, ...] = ()
    unplaced: tuple[int, ...] = ()
    unasked: tuple[int, ...] = ()
    misfiled: int = 0  # rows of the reply, as `repeated`
    repeated: int = 0
    same: tuple[tuple[str, ...], ...] = ()  # of a link, the ids of journeys that are one

    @property
    def rows(self) -> set[int]:
        """All rows that it says something of, be it that they are unplaced."""
        rows = {row for event in self.events for row in event.behaviors}
        return rows.union(self.minor, self.unplaced, self.unasked)

    @cached_property
    def as_rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Its events and journeys as in their files, made once for these and the ledger."""
        return list(map(as_row, self.events)), list(map(as_row, self.journeys))

    @property
    def usable(self) -> bool:
        """Whether the part is done with this outcome."""
        return self.reason is None

    @cached_property
    def figures(self) -> Mapping[str, int]:
        """What it holds, by the names in `Counts`."""
        placed = unsure = outside = missed = 0
        for event in self.events:
            placed += len(event.behaviors)
            unsure += not event.sure
            outside += event.outside
            missed += event.source == "must"
        return {
            "events": len(self.events),
            "journeys": len(self.journeys),
            "placed": placed,
            "minor": len(self.minor),
            "unplaced": len(self.unplaced),
            "unasked": len(self.unasked),
            "misfiled": self.misfiled,
            "repeated": self.repeated,
            "unsure": unsure,
            "outside": outside,
            "missed": missed,
        }


class AskedUser(NamedTuple):
    """A user in a request."""

    part: Part
    log: UserLog  # with the behaviors that are shown
    rows: Sequence[int]  # their log indices, ascending
    # what an answer before made of the part, with the reason `unplaced` or `minor`, or without a reason what an extension
    # has kept of it; of a link, the journeys that it shows in place of behaviors; None: nothing
    earlier: Outcome | None = None
    stays: Outcome | None = None  # of one refused for its minor rows: what holds beside the new answer
    past: AbstractSet[int] = frozenset()  # log indices that an extension has kept, which are only shown
    ordinals: Sequence[int] = ()  # the lasting numbers of the rows; empty: their log indices
    history: Sequence[Behavior] = ()  # all behaviors of the part


def _no_rows_behind(name: str) -> str:
    """Refuse a type that ends like row numbers, which stand behind types in an answer: `work 3-4`."""
    last = name.rpartition(" ")[2]
    if name.endswith(("?", "？")) or re.fullmatch(r"[\d,-]*\d", last):
        message = _("in an answer {end} at its end would read as row numbers; give the type another name")
        raise ValueError(message.format(end=last))
    return name


# what a type in a line of an answer may be: none of the grammar's own characters
_NAME = r"[^\s|｜#>;；\u202a-\u202e\u2066-\u2069][^|｜;；\n\r\t\u202a-\u202e\u2066-\u2069]*"
Label = Annotated[str, Field(pattern=rf"^{_NAME}$")]
Name = Annotated[Label, AfterValidator(_no_rows_behind)]
_MARK = r"^[^\s\w)\]{}|｜?？>＞#＃,，;；:：\-－\u202a-\u202e\u2066-\u2069]?$"  # none of the signs beside it in an answer
OptionalName = Annotated[str, Field(pattern=rf"^(?:{_NAME})?$"), AfterValidator(_no_rows_behind)]


class Category(Record):
    """A kind of event. `mark` is the one character behind a type, "" for the default category."""

    name: Label
    mark: Annotated[str, Field(pattern=_MARK)] = ""
    meaning: str = ""


class EventType(Record):
    """A name for events, with the category that it has when a reply does not mark it."""

    name: Name
    category: str = ""


class Copying(NamedTuple):
    """How many objects are being copied, and `done` of `size` bytes so far; `size` 0: not known yet."""

    objects: int
    size: int
    done: int


class JourneyKind(Record):
    """A kind of journey. `meaning`: in the prompt, in brackets behind the name; "" for none."""

    name: Label
    meaning: str = ""


class Example(Record):
    """A worked example of the user's own: lines of a log under `# date`, as at level `line`, and the wanted answer, by their numbers."""

    log: str
    events: str


class Vocabulary(NamedTuple):
    """Event types, categories and kinds of journeys as the user configured them. Exactly one category has no mark."""

    types: tuple[EventType, ...]
    categories: tuple[Category, ...]
    open: bool = True  # whether types outside the list are welcome
    aliases: tuple[tuple[str, str], ...] = ()  # (another name, the type that it stands for)
    journeys: tuple[JourneyKind, ...] = ()
    open_journeys: bool = True  # whether kinds outside the list are welcome
    minor: str = ""  # the reserved word of the prompt's language for rows that no event is made of

    @property
    def default_category(self) -> str:
        """The category of an event without a mark."""
        return next(category.name for category in self.categories if not category.mark)

    @property
    def goal(self) -> str:
        """The first category with a mark: what people mark is what they are after."""
        return next((category.name for category in self.categories if category.mark), "")


class RejectedRow(NamedTuple):
    """An input row that could not be read. `user_id` is "" where not even that was readable."""

    file: str
    line: int
    reason: str
    text: str
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of an input, numbered from 0: the users whose ids hash to `index`.

    The number of an id is the first 8 hex digits of the MD5 of its UTF-8 bytes, modulo `count`: most databases and
    `md5sum` compute the same.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `3/16`. Raises ValueError."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if not found or int(found[1]) >= int(found[2]):
            raise ValueError(_("it takes i/N with i from 0 to N-1, such as 0/16"))
        return cls(int(found[1]), int(found[2]))

    def holds(self, user_id: str) -> bool:
        """Whether the user is one of the shard's."""
        digest = hashlib.md5(user_id.encode(), usedforsecurity=False).hexdigest()
        return int(digest[:8], 16) % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
