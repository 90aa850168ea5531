"""The provider that needs no model: segments of a log, by the rules file (TOML), become events with a summary.

A segment covers whole minutes, since a reply names times by the minute: behaviors that share a minute share
a segment. Segments follow each other without overlap, so each behavior is in exactly one.
"""

import asyncio
import heapq
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import groupby, zip_longest
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from eventabs.choices import Detail
from eventabs.errors import ConfigError, toml_fault
from eventabs.language import Language, gettext as _
from eventabs.records import MAX_CHARACTERS, THING, Behavior, OnContent, Reply, Request, UserLog, Vocabulary


def _check_name(name: str) -> str:
    if re.search(r"[|｜\r\n]", name) or not (name[0].isalnum() and name[-1].isalnum()):
        message = _("must begin and end with a letter or digit, and hold no | and no line break")
        raise ValueError(message)
    return name


def _check_phrase(phrase: str) -> str:
    if phrase.count("{}") != 1:
        message = _("must hold {} once, where the names go").format("{}")
        raise ValueError(message)
    return phrase


class RulesTable(BaseModel):
    """A table of the file. Unknown keys are errors: a typo must not pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DetailLimits(RulesTable):
    """How far events are abstracted; see [detail] of the shipped rules file."""

    session_minutes: Annotated[int, Field(ge=0)]
    per_day: Annotated[int, Field(gt=0)]
    most: Annotated[int, Field(gt=0)] | None = None
    most_brief: Annotated[int, Field(gt=0)]


class Replacement(RulesTable):
    """A regular expression, and what replaces its matches."""

    pattern: str
    replacement: str = Field(alias="with")

    @model_validator(mode="after")
    def _can_be_applied(self) -> Self:
        try:
            re.compile(self.pattern).sub(self.replacement, "")
        except (re.error, IndexError) as error:
            message = _("pattern and with cannot be applied: {error}").format(error=error)
            raise ValueError(message) from None
        return self


class NamesTable(RulesTable):
    """How names are cleaned up and split."""

    separators: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    replace: tuple[Replacement, ...] = ()


class Translations(RulesTable):
    """A text in each language; a missing one is replaced by the other."""

    zh: str = ""
    en: str = ""

    @model_validator(mode="after")
    def _has_a_language(self) -> Self:
        if not (self.zh or self.en):
            message = _("needs zh, en or both")
            raise ValueError(message)
        return self

    def in_language(self, language: Language) -> str:
        """Return the text in `language`, or in the other one."""
        return (self.zh or self.en) if language == "zh" else (self.en or self.zh)


class Phrase(Translations):
    """Words around the names of places."""

    zh: Annotated[str, AfterValidator(_check_phrase)] = ""
    en: Annotated[str, AfterValidator(_check_phrase)] = ""


class TypeTable(Translations):
    """A type of event, its name in each language."""

    zh: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_check_name)] = ""
    en: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_check_name)] = ""
    category: str = ""
    theme: str = ""
    weight: Annotated[float, Field(gt=0)] = 1.0
    alone: bool = False
    phrase: Phrase = Phrase(zh="{}", en="{}")


class Rule(RulesTable):
    """The type of the behaviors that match."""

    type: str
    actions: tuple[str, ...] = ()
    words: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @cached_property
    def _words(self) -> re.Pattern[str]:
        """Matches any of the words; a Latin edge must not continue as a longer Latin word."""
        alternatives = (
            ("(?<![A-Za-z])" if word[0].isascii() and word[0].isalpha() else "")
            + re.escape(word)
            + ("(?![A-Za-z])" if word[-1].isascii() and word[-1].isalpha() else "")
            for word in self.words
        )
        return re.compile("|".join(alternatives), re.IGNORECASE)

    def matches(self, action: str, item: str, place: str) -> bool:
        """Whether the rule matches a behavior: one of the actions, and one of the words or names."""
        if self.actions and action not in self.actions:
            return False
        if not (self.words or self.names):
            return True
        if self.words and self._words.search(f"{item}\n{place}"):
            return True
        return not {item.casefold(), place.casefold()}.isdisjoint(map(str.casefold, self.names))


class RulesFile(RulesTable):
    """The whole file."""

    detail: DetailLimits
    names: NamesTable = NamesTable()
    verbs: dict[str, Translations] = {}
    types: dict[str, TypeTable]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rules_are_complete(self) -> Self:
        for position, rule in enumerate(self.rules):
            if rule.type not in self.types:
                message = _("rules.{position}.type: there is no type {name} under [types]")
                raise ValueError(message.format(position=position, name=rule.type))
        last = self.rules[-1]
        if last.actions or last.words or last.names:
            message = _("the last of the rules must fit everything: give it a type and nothing else")
            raise ValueError(message)
        return self


def _parse(text: str) -> RulesFile:
    try:
        return RulesFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        message = _("the rules file is not TOML: {error}; mend it or remove [rules] file from the config")
        raise ConfigError(message.format(error=toml_fault(error))) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(step) for step in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        message = _("the rules file does not hold: {fault}; compare it with the one that ships with eventabs")
        raise ConfigError(message.format(fault=f"{key}: {text}" if key else text)) from None


_JOINERS = "\u200c\u200d"  # they join emoji and letters of some scripts
_CACHED = 50_000  # classified behaviors and cleaned names: most exports repeat theirs


@dataclass(frozen=True, slots=True, eq=False)
class EventKind:
    """A type of event in the language of the run. `phrase` has one {} for the names."""

    key: str
    name: str
    category: str
    theme: str
    weight: float
    alone: bool
    phrase: str


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A rules file, ready to use."""

    language: Language
    limits: DetailLimits
    kinds: Mapping[str, EventKind]
    verbs: Mapping[str, str]
    separators: re.Pattern[str] | None
    clean: Callable[[str], str]  # a name as summaries show it: one line without marks and suffixes
    classify: Callable[[str, str, str], EventKind]  # by action, item and place: the first rule that matches


def shipped_rules() -> str:
    """Return the text of the rules file that ships with the package."""
    return files("eventabs.providers").joinpath("rules.toml").read_text(encoding="utf-8")


def load_rules(text: str, language: Language) -> Rules:
    """Load a rules file. Raises ConfigError that names the key of an error."""
    file = _parse(text)
    kinds: dict[str, EventKind] = {}
    for key, table in file.types.items():
        name, phrase = table.in_language(language), table.phrase.in_language(language)
        theme = table.theme or name
        kinds[key] = EventKind(key, name, table.category, theme, table.weight, table.alone, phrase)
    separators = "|".join(map(re.escape, file.names.separators))

    @lru_cache(maxsize=_CACHED)
    def classify(action: str, item: str, place: str) -> EventKind:
        return next(kinds[rule.type] for rule in file.rules if rule.matches(action, item, place))

    @lru_cache(maxsize=_CACHED)
    def clean(name: str) -> str:
        one_line = " ".join("".join(c if c.isprintable() or c in _JOINERS else " " for c in name).split())
        cleaned = one_line
        for step in file.names.replace:
            cleaned = re.sub(step.pattern, step.replacement, cleaned)
        return cleaned.strip() or one_line

    return Rules(
        language=language,
        limits=file.detail,
        kinds=kinds,
        verbs={action: words.in_language(language) for action, words in file.verbs.items()},
        separators=re.compile(separators) if separators else None,
        clean=clean,
        classify=classify,
    )


_ALONE_COST = 1_000.0  # of joining what should stand alone: only `brief` does it
_WITHIN_THEME = 0.25  # the share of the weight that is lost where only the kind differs
_DOUBLING_SECONDS = 7_200  # they weigh as much as the behavior itself
_MAX_SECONDS = 28_800  # more do not add weight
_VISIT = timedelta(hours=4)  # a longer stay is the frame of other events rather than one with them
_DAY_COST = 2.0  # of joining over a change of days, in the unit of weights


@dataclass(slots=True, eq=False)
class EventSegment:
    """Neighboring behaviors that become one event. Times are wall time; `first` and `last` whole minutes."""

    first: datetime
    last: datetime  # the last minute in which a behavior starts
    end: datetime  # when the longest of the behaviors ends
    behaviors: list[tuple[Behavior, EventKind]]
    weights: dict[EventKind, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def kind(self) -> EventKind:
        """The heaviest kind."""
        return max(self.weights, key=self.rank)

    def rank(self, kind: EventKind) -> tuple[bool, float]:
        """Order kinds by weight, after those that stand alone."""
        return kind.alone, self.weights[kind]

    @property
    def weight(self) -> float:
        """The importance of the segment in its day."""
        return sum(self.weights.values())

    def absorb(self, later: "EventSegment") -> None:
        """Add the segment that follows."""
        self.last = later.last
        self.end = max(self.end, later.end)
        self.behaviors += later.behaviors
        for kind, weight in later.weights.items():
            self.weights[kind] += weight


def find_segments(behaviors: Iterable[Behavior], rules: Rules, detail: Detail) -> list[EventSegment]:
    """Divide a log into the segments that become its events, in time order."""
    limits = rules.limits
    sessions = _sessions(_minutes(behaviors, rules), timedelta(minutes=limits.session_minutes))
    if detail == "fine":
        return sessions
    condensed = _condense_days(sessions, limits)
    if detail == "brief":
        return _condense(condensed, limits.most_brief, may_join=lambda _one, _other: True)
    return condensed


def _condense_days(sessions: list[EventSegment], limits: DetailLimits) -> list[EventSegment]:
    days = [list(day) for _day, day in groupby(sessions, key=lambda segment: segment.first.date())]
    condensed: list[EventSegment] = []
    for day in days:
        alone = sum(segment.kind.alone for segment in day)
        condensed += _condense(day, limits.per_day + alone, may_join=_neither_stands_alone)
    if limits.most is None or len(condensed) <= limits.most:
        return condensed
    return _condense(condensed, max(limits.most, len(days)), may_join=_neither_stands_alone)


def _neither_stands_alone(one: EventSegment, other: EventSegment) -> bool:
    return not (one.kind.alone or other.kind.alone)


def _minutes(behaviors: Iterable[Behavior], rules: Rules) -> list[EventSegment]:
    """Group behaviors by wall-clock minute, in order: a clock set back repeats its minutes."""
    by_minute: dict[datetime, EventSegment] = {}
    for behavior in behaviors:
        start = behavior.start.replace(tzinfo=None)
        minute = start.replace(second=0, microsecond=0)
        kind = rules.classify(behavior.action, behavior.item, behavior.place)
        segment = by_minute.setdefault(minute, EventSegment(minute, minute, minute, []))
        segment.end = max(segment.end, start)
        with suppress(OverflowError):  # an absurd duration does not count
            segment.end = max(segment.end, start + timedelta(seconds=behavior.duration or 0))
        segment.behaviors.append((behavior, kind))
        segment.weights[kind] += kind.weight * (
            1 + min(behavior.duration or 0, _MAX_SECONDS) / _DOUBLING_SECONDS
        )
    return [by_minute[minute] for minute in sorted(by_minute)]


def _sessions(minutes: list[EventSegment], pause: timedelta) -> list[EventSegment]:
    sessions: list[EventSegment] = []
    for minute in minutes:
        earlier = sessions[-1] if sessions else None
        if (
            earlier
            and _neither_stands_alone(earlier, minute)
            and earlier.kind.theme == minute.kind.theme
            and minute.first - earlier.end <= pause
        ):
            earlier.absorb(minute)
        else:
            sessions.append(minute)
    return sessions


def _cost(earlier: EventSegment, later: EventSegment) -> float:
    """Return the cost of joining two neighbors: the lower weight, and more for a change of days.

    Within a theme it is less, on the same day nothing. What begins during a visit is a part of it.
    """
    days_between = (later.first.date() - earlier.last.date()).days
    cost = min(earlier.weight, later.weight)
    if earlier.kind.theme == later.kind.theme:
        cost *= _WITHIN_THEME if days_between and earlier.kind is not later.kind else 0
    elif later.first < earlier.end <= earlier.first + _VISIT:
        cost = 0
    if earlier.kind.alone or later.kind.alone:
        cost += _ALONE_COST
    return cost + days_between * _DAY_COST


def _condense(
    parts: list[EventSegment], most: int, *, may_join: Callable[[EventSegment, EventSegment], bool]
) -> list[EventSegment]:
    """Join the cheapest neighbors until `most` are left and no join is free any more. Modifies the parts."""
    following: list[int | None] = [*range(1, len(parts)), None]
    preceding: list[int | None] = [None, *range(len(parts) - 1)]
    version = [0] * len(parts)  # -1: absorbed
    heap: list[tuple[float, float, int, int, int]] = []

    def offer(left: int | None) -> None:
        right = None if left is None else following[left]
        if left is not None and right is not None and may_join(parts[left], parts[right]):
            cost = _cost(parts[left], parts[right])
            size = parts[left].weight + parts[right].weight  # at equal cost the smallest, for even phases
            heapq.heappush(heap, (cost, size, left, version[left], version[right]))

    for position in range(len(parts)):
        offer(position)
    remaining = len(parts)
    while heap:
        cost, _size, left, *seen = heapq.heappop(heap)
        right = following[left]
        if right is None or seen != [version[left], version[right]]:
            continue
        if remaining <= most and cost > 0:
            break
        parts[left].absorb(parts[right])
        remaining -= 1
        version[left] += 1
        version[right] = -1
        following[left] = after = following[right]
        if after is not None:
            preceding[after] = left
        offer(preceding[left])
        offer(left)
    return [part for part, versions in zip(parts, version, strict=True) if versions >= 0]


_HALF_YEAR = 180  # days; a reader of replies looks no further ahead for a day without its year


class RulesProvider:
    """Completes requests from the behaviors of their users. Its replies use no tokens."""

    def __init__(self, rules: Rules, vocabulary: Vocabulary, detail: Detail = "day") -> None:
        """Raise ConfigError where a type of the rules has a category that the vocabulary lacks."""
        self._rules = rules
        self._detail = detail
        known = {"": ""} | {category.name: category.mark for category in vocabulary.categories}
        for kind in rules.kinds.values():
            if kind.category not in known:
                message = _(
                    "the rules file does not hold: types.{key}.category: there is no category {name}; "
                    "add it to [[vocabulary.categories]] or change it in a rules file of your own"
                )
                raise ConfigError(message.format(key=kind.key, name=kind.category))
        self._marks = {kind.key: known[kind.category] for kind in rules.kinds.values()}

    async def complete(self, request: Request, _on_content: OnContent | None = None, /) -> Reply:
        """Return the events of every user in the request, in the `lines` form, all at once."""
        lines: list[str] = []
        for alias, log in request.users.items():
            lines.append(f"## {alias}")
            lines.extend(self._lines(log))
            await asyncio.sleep(0)  # a user takes milliseconds; a whole batch would stall the progress bar
        lines.append("##")
        return Reply("\n".join(lines))

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    def _lines(self, log: UserLog) -> Iterator[str]:
        behaviors = [_shortened(behavior) for behavior in log.behaviors]
        summarizer = Summarizer(behaviors, self._rules)
        segments = find_segments(behaviors, self._rules, self._detail)
        day = None
        for segment, following in zip_longest(segments, segments[1:]):
            if segment.first.date() != day:
                is_new_year = day is None or segment.first.year != day.year
                day = segment.first.date()
                yield f"# {day:%Y-%m-%d}" if is_new_year else f"# {day:%m-%d}"
            line = f"{_span(segment, following)} {segment.kind.name}{self._marks[segment.kind.key]}"
            summary = summarizer.summary(segment)
            yield f"{line} | {summary}" if summary else line


def rule_events(log: UserLog, rules: Rules, detail: Detail) -> list[tuple[list[int], str]]:
    """Return the events of a log as the rules make them: the positions of their behaviors, and their type."""
    places = defaultdict[Behavior, list[int]](list)
    behaviors = [_shortened(behavior) for behavior in log.behaviors]
    for place in reversed(range(len(behaviors))):
        places[behaviors[place]].append(place)
    return [
        ([places[behavior].pop() for behavior, _kind in segment.behaviors], segment.kind.name)
        for segment in find_segments(behaviors, rules, detail)
    ]


def _shortened(behavior: Behavior) -> Behavior:
    """Return the behavior as rules take it: its texts as short as in a prompt, and a thing as free text."""
    texts = behavior.action, behavior.item, behavior.place
    action, item, place = (
        text if len(text) <= MAX_CHARACTERS else " ".join(text.split())[:MAX_CHARACTERS] for text in texts
    )
    return behavior._replace(action="" if action == THING else action, item=item, place=place)


def _span(segment: EventSegment, following: EventSegment | None) -> str:
    """Return the times of an event, to the minute.

    It ends no later than the minute in which the next event starts: what starts there belongs to
    that one, so every behavior is covered once.
    """
    start = segment.first
    end = segment.end.replace(second=0, microsecond=0)
    end = max(segment.last, min(end, following.first) if following else end)
    if end == start:
        return f"{start:%H:%M}"
    days = (end.date() - start.date()).days
    if days == 0 or (days == 1 and end.time() < start.time()):
        return f"{start:%H:%M}-{end:%H:%M}"
    if end.year == start.year or days < _HALF_YEAR:
        return f"{start:%H:%M}-{end:%m-%d %H:%M}"
    return f"{start:%H:%M}-{end:%Y-%m-%d %H:%M}"


_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400  # seconds
_NAME_WIDTH = 40  # columns of one name in a summary


@dataclass(frozen=True, slots=True)
class Wording:
    """The phrases of one language. `max_width`: columns of a summary."""

    max_width: int
    list_separator: str
    clause_separator: str
    theme_separator: str
    word_separator: str
    names_of_many: str
    place_of_many: str
    times: str
    total: str
    units: tuple[str, str, str, str]  # days, hours, minutes, seconds

    def action(self, verb: str, noun: str) -> str:
        """Join a verb and its object."""
        return f"{verb}{self.word_separator}{noun}"

    def duration(self, seconds: int) -> str:
        """Format a duration in its two largest units; "" for none."""
        days, rest = divmod(seconds, _DAY)
        amounts = (days, rest // _HOUR, rest % _HOUR // _MINUTE, seconds if seconds < _MINUTE else 0)
        parts = [unit.format(amount) for unit, amount in zip(self.units, amounts, strict=True) if amount > 0]
        return self.word_separator.join(parts[:2])

    def names(self, names: Sequence[str], *, most: int, room: int) -> str:
        """Join the first names, `most` at most and as many as fit in `room` columns, with the count of all."""
        if len(names) == 1:
            return clip(names[0], max(room, _NAME_WIDTH))
        joined = ""
        for shown in range(min(most, len(names)), 0, -1):
            joined = self.list_separator.join(clip(name, _NAME_WIDTH) for name in names[:shown])
            if shown < len(names):
                joined = self.names_of_many.format(names=joined, count=len(names))
            if width(joined) <= room:
                break
        return joined


def width(text: str) -> int:
    """Count columns as a terminal does, nearly: a Chinese character takes two."""
    return (len(text) + len(text.encode("utf-8", "surrogatepass"))) // 2


def clip(name: str, max_width: int) -> str:
    """Clip a name that is wider than `max_width` columns, with an ellipsis."""
    if width(name) <= max_width:
        return name
    kept = name[:max_width]
    while width(kept + "…") > max_width:
        kept = kept[:-1]
    return kept + "…"


WORDING: dict[Language, Wording] = {
    "zh": Wording(
        max_width=88,
        list_separator="、",
        clause_separator="，",
        theme_separator="；",
        word_separator="",
        names_of_many="{names}等{count}项",
        place_of_many="{}等",
        times="{}次",
        total="共{}",
        units=("{}天", "{}小时", "{}分钟", "{}秒"),
    ),
    "en": Wording(
        max_width=96,
        list_separator=", ",
        clause_separator=", ",
        theme_separator="; ",
        word_separator=" ",
        names_of_many="{names} (of {count})",
        place_of_many="{} etc.",
        times="{}x",
        total=", {}",
        units=("{} d", "{} h", "{} min", "{} s"),
    ),
}


# Actions that deal with a thing somewhere, rather than with the place itself. The first ones say the most.
_LEAD_ACTIONS = ("purchase", "cart", "favorite", "compare")
_ITEM_ACTIONS = frozenset((*_LEAD_ACTIONS, "browse", "click", "search"))
_MENTION_SECONDS = 60  # one mention of a name counts as much, beside the time spent on it

Classified = Sequence[tuple[Behavior, EventKind]]


class Summarizer:
    """Writes the summaries of one user's events."""

    def __init__(self, behaviors: Iterable[Behavior], rules: Rules) -> None:
        self._rules = rules
        self._wording = WORDING[rules.language]
        handled = (b for b in behaviors if b.action in _ITEM_ACTIONS and b.action != "search")
        known = {name for behavior in handled for name in self._item_names(behavior)}
        self._known = sorted(known, key=lambda name: (-len(name), name))  # the longest is the most exact

    def summary(self, segment: EventSegment) -> str:
        """Summarize the heaviest theme: what, how often and how long; then other themes, as room allows."""
        themes = _by_theme(segment)
        text = ""
        for kind, behaviors in themes:
            deals_with_items = any(behavior.action in _ITEM_ACTIONS for behavior, _kind in behaviors)
            make_clause = self._item_clause if deals_with_items else self._stay_clause
            clause = make_clause(kind, behaviors, brief=len(themes) > 1)
            joined = text + self._wording.theme_separator + clause if text else clause
            if not text or width(joined) <= self._wording.max_width:
                text = joined
        return text.strip()

    def _stay_clause(self, kind: EventKind, behaviors: Classified, *, brief: bool) -> str:
        """Name places, used apps, or the free text."""
        plain = [behavior for behavior, _kind in behaviors]
        extent = self._extent(plain, [self._wording.times.format(len(plain))])
        are_places = all(behavior.action == "visit" and not behavior.in_own_words for behavior in plain)
        phrase = kind.phrase if are_places else "{}"
        room = self._wording.max_width - width(phrase.replace("{}", "") + extent)
        return phrase.replace("{}", self._top_names(plain, most=2 if brief else 3, room=room)) + extent

    def _item_clause(self, kind: EventKind, behaviors: Classified, *, brief: bool) -> str:
        """Name items, how often with which action, how long, and where."""
        wording = self._wording
        plain = [behavior for behavior, _kind in behaviors]
        lead = _lead_action(kind, behaviors)
        extent = self._extent(plain, self._action_counts(plain, lead))
        about = [behavior for behavior in plain if behavior.action == lead] if lead else plain
        room = wording.max_width - width(wording.action(self._verb(lead), extent))
        text = self._top_names(about, most=2 if brief else 3, room=room)
        if lead and not any(behavior.in_own_words for behavior in about):
            text = wording.action(self._verb(lead), text)
        text += extent
        sites = _ranked(
            (self._rules.clean(_site(behavior)), behavior) for behavior in plain if _site(behavior)
        )
        place = wording.place_of_many if len(sites) > 1 else "{}"
        where = wording.clause_separator + place.format(sites[0]) if sites else ""
        return text if brief or width(text + where) > wording.max_width else text + where

    def _extent(self, behaviors: Sequence[Behavior], counts: Sequence[str]) -> str:
        """Return how often and how long something was done, as a clause."""
        wording = self._wording
        duration = wording.duration(sum(behavior.duration or 0 for behavior in behaviors))
        if len(behaviors) == 1:
            return f" {duration}" if duration else ""
        total = wording.total.format(duration) if duration else ""
        return wording.clause_separator + wording.list_separator.join(counts) + total

    def _action_counts(self, behaviors: Sequence[Behavior], lead: str) -> list[str]:
        times = self._wording.times
        actions = Counter(behavior.action for behavior in behaviors)
        if len(actions) == 1:
            return [times.format(len(behaviors))]
        return [
            self._wording.action(self._verb(action), times.format(count))
            for action, count in actions.most_common()
            if count > 1 or action != lead
        ]

    def _verb(self, action: str) -> str:
        return self._rules.verbs.get(action, action)

    def _top_names(self, behaviors: Sequence[Behavior], *, most: int, room: int) -> str:
        """Return what most behaviors deal with. Used apps count only where no item does."""
        with_items = [behavior for behavior in behaviors if behavior.action in _ITEM_ACTIONS] or behaviors
        names = _ranked((name, behavior) for behavior in with_items for name in self._item_names(behavior))
        return self._wording.names(names, most=most, room=room) if names else ""

    def _item_names(self, behavior: Behavior) -> list[str]:
        """Return the cleaned names that a behavior deals with; of a bare query, a known name in it, if any."""
        parts = [behavior.item or behavior.place]
        if behavior.action == "compare" and self._rules.separators:
            parts = self._rules.separators.split(behavior.item)
        names = [name for part in parts if (name := self._rules.clean(part))]
        if behavior.action == "search" and not behavior.in_own_words:
            return [next((known for known in self._known if known in name), name) for name in names]
        return names


def _by_theme(segment: EventSegment) -> list[tuple[EventKind, Classified]]:
    """Group a segment by theme, each under its heaviest kind: what stands alone first, then by weight."""
    grouped: dict[str, list[tuple[Behavior, EventKind]]] = {}
    for behavior, kind in segment.behaviors:
        grouped.setdefault(kind.theme, []).append((behavior, kind))
    heaviest: dict[str, EventKind] = {}
    weights = dict.fromkeys(grouped, 0.0)
    for kind in sorted(segment.weights, key=segment.rank, reverse=True):
        heaviest.setdefault(kind.theme, kind)
        weights[kind.theme] += segment.weights[kind]
    themes = sorted(grouped, key=lambda theme: (heaviest[theme].alone, weights[theme]), reverse=True)
    return [(heaviest[theme], grouped[theme]) for theme in themes]


def _lead_action(kind: EventKind, behaviors: Classified) -> str:
    """Return the action that a clause begins with: the only one, or the first of those that give the kind."""
    actions = {behavior.action for behavior, _kind in behaviors}
    if len(actions) == 1:
        return actions.pop()
    of_kind = {behavior.action for behavior, its_kind in behaviors if its_kind is kind}
    return next((action for action in _LEAD_ACTIONS if action in of_kind), "")


def _site(behavior: Behavior) -> str:
    return behavior.item if behavior.action == "use" else behavior.place


def _ranked(mentions: Iterable[tuple[str, Behavior]]) -> list[str]:
    """Order names by mentions and time; the first mentioned wins a tie."""
    weights: Counter[str] = Counter()
    for name, behavior in mentions:
        weights[name] += _MENTION_SECONDS + (behavior.duration or 0)
    return [name for name, _weight in weights.most_common()]
