"""The provider that needs no model: the rows of a log, by the rules file (TOML), become events; and the summaries of all events.

At level `day` the rows of a theme on a day are one event, whatever lies between them; at `fine`, a session of a theme.
A day begins at 05:00. Each row is in exactly one event.
"""

import asyncio
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from eventabs.choices import Detail
from eventabs.errors import ConfigError, toml_fault
from eventabs.language import Language, gettext as _
from eventabs.records import (
    MAX_CHARACTERS,
    THING,
    Behavior,
    OnContent,
    Reply,
    Request,
    UserLog,
    Vocabulary,
    row_ranges,
    seconds_covered,
)

# what a reader of answers could take for marks or for rows
_GRAMMAR = re.compile(r"[^\w .&/+'\u2019-]|(?:^| )第?[\d-]+行?(?![^ ])")


def _check_name(name: str) -> str:
    if _GRAMMAR.search(name) or not (name[0].isalnum() and name[-1].isalpha()):
        message = _(
            "must begin with a letter or digit, end with a letter, and hold no marks and no word that is a number"
        )
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
    """What ends an event; see [detail] of the shipped rules file."""

    session_minutes: Annotated[int, Field(ge=0)]


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
    pause: timedelta  # that ends an event
    kinds: Mapping[str, EventKind]
    verbs: Mapping[str, str]
    separators: re.Pattern[str] | None
    clean: Callable[[str], str]  # a name as summaries show it: one line without marks and suffixes
    classify: Callable[[str, str, str], EventKind]  # by action, item and place: the first rule that matches


def shipped_rules() -> str:
    """Return the text of the rules file that ships with the package."""
    return files("eventabs.providers").joinpath("rules.toml").read_text(encoding="utf-8")


@cache
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
        pause=timedelta(minutes=file.detail.session_minutes),
        kinds=kinds,
        verbs={action: words.in_language(language) for action, words in file.verbs.items()},
        separators=re.compile(separators) if separators else None,
        clean=clean,
        classify=classify,
    )


_DOUBLING_SECONDS = 7_200  # they weigh as much as the row itself
_MAX_SECONDS = 28_800  # more do not add weight


def _weight(kind: EventKind, behavior: Behavior) -> float:
    return kind.weight * (1 + min(behavior.duration or 0, _MAX_SECONDS) / _DOUBLING_SECONDS)


@dataclass(slots=True, eq=False)
class _Event:
    """Rows that become one event. Times are wall time."""

    day: int
    end: datetime  # when the longest of the rows ends
    rows: list[int] = field(default_factory=list)
    weights: defaultdict[EventKind, float] = field(default_factory=lambda: defaultdict(float))


def _find_events(log: UserLog, rules: Rules, detail: Detail) -> Iterator[tuple[list[int], EventKind]]:
    """Return the events of a log in order of their first rows, each with its heaviest kind."""
    events: list[_Event] = []
    ongoing: dict[str, _Event] = {}  # by theme
    for row, behavior in enumerate(map(_shortened, log.behaviors)):
        kind = rules.classify(behavior.action, behavior.item, behavior.place)
        start = behavior.start.replace(tzinfo=None)
        event = None if kind.alone else ongoing.get(kind.theme)
        if (
            event is None
            or event.day != behavior.day
            or (detail == "fine" and start - event.end > rules.pause)
        ):
            event = _Event(behavior.day, start)
            events.append(event)
            if detail == "fine":  # another activity ends it
                ongoing.clear()
            if not kind.alone:
                ongoing[kind.theme] = event
        event.rows.append(row)
        event.weights[kind] += _weight(kind, behavior)
        with suppress(OverflowError):  # an absurd duration does not count
            event.end = max(event.end, start + timedelta(seconds=behavior.duration or 0))
    return ((event.rows, max(event.weights, key=event.weights.__getitem__)) for event in events)


def rule_events(log: UserLog, rules: Rules, detail: Detail) -> list[tuple[list[int], str]]:
    """Return the events of a log as the rules make them: the positions of their behaviors, and their type."""
    return [(rows, kind.name) for rows, kind in _find_events(log, rules, detail)]


class RulesProvider:
    """Completes requests from the behaviors of their users. Its replies use no tokens."""

    def __init__(self, rules: Rules, vocabulary: Vocabulary, detail: Detail = "day") -> None:
        """Raise ConfigError where journeys are asked for, or the vocabulary cannot say a type of the rules."""
        if detail == "journeys":
            message = _(
                "the built-in rules find no journeys: set [prompt] detail to day or fine, or name a model in [llm]"
            )
            raise ConfigError(message)
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
            if kind.name == vocabulary.minor or kind.name[-1] in known.values():
                message = _(
                    "the rules file does not hold: types.{key}: answers cannot name a type {name}; "
                    "rename it in a rules file of your own, or change the mark in [[vocabulary.categories]]"
                )
                raise ConfigError(message.format(key=kind.key, name=kind.name))
        self._names = {kind: kind.name + known[kind.category] for kind in rules.kinds.values()}

    async def complete(self, request: Request, _on_content: OnContent | None = None, /) -> Reply:
        """Return the events of every user in the request, in the `lines` form, all at once; no journeys, nothing minor."""
        lines: list[str] = []
        number = 1
        for alias, log in request.users.items():
            lines.append(f"## {alias}")
            groups = defaultdict[str, list[str]](list)
            for rows, kind in _find_events(log, self._rules, self._detail):
                group = row_ranges(number + row for row in rows).replace(" ", ",")
                groups[self._names[kind]].append(group)
            lines += (f"{name} {' '.join(theirs)}" for name, theirs in groups.items())
            number += len(log.behaviors)
            await asyncio.sleep(0)  # a user takes milliseconds; a whole batch would stall the progress bar
        lines.append("##")
        return Reply("\n".join(lines))

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


def _shortened(behavior: Behavior) -> Behavior:
    """Return the behavior as rules take it: its texts as short as in a prompt, and a thing as free text."""
    texts = action, item, place = behavior[1:4]
    if action != THING and max(map(len, texts)) <= MAX_CHARACTERS:
        return behavior
    action, item, place = (
        text if len(text) <= MAX_CHARACTERS else " ".join(text.split())[:MAX_CHARACTERS] for text in texts
    )
    return behavior._replace(action="" if action == THING else action, item=item, place=place)


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


def summaries(rules: Rules) -> Callable[[UserLog], Callable[[Sequence[Behavior]], str]]:
    """Return what takes a user's log and returns what writes the summary of some of its behaviors."""
    return lambda log: _Summarizer(log, rules).summary


class _Summarizer:
    """Writes the summaries of one user's events."""

    def __init__(self, log: UserLog, rules: Rules) -> None:
        self._log = log
        self._rules = rules
        self._wording = WORDING[rules.language]

    @cached_property
    def _known(self) -> list[str]:
        """The names of things that the user dealt with; the longest, the most exact, come first."""
        handled = (b for b in self._log.behaviors if b.action in _ITEM_ACTIONS and b.action != "search")
        known = {name for behavior in handled for name in self._item_names(_shortened(behavior))}
        return sorted(known, key=lambda name: (-len(name), name))

    def summary(self, behaviors: Sequence[Behavior]) -> str:
        """Summarize the heaviest theme: what, how often and how long; then other themes, as room allows."""
        themes = self._by_theme(list(map(_shortened, behaviors)))
        text = ""
        for kind, theirs in themes:
            deals_with_items = any(behavior.action in _ITEM_ACTIONS for behavior in theirs)
            make_clause = self._item_clause if deals_with_items else self._stay_clause
            clause = make_clause(kind, theirs, brief=len(themes) > 1)
            joined = text + self._wording.theme_separator + clause if text else clause
            if not text or width(joined) <= self._wording.max_width:
                text = joined
        return text.strip()

    def _by_theme(self, behaviors: list[Behavior]) -> list[tuple[EventKind, list[Behavior]]]:
        """Group behaviors by theme, each under its heaviest kind: what stands alone first, then by weight."""
        if len(behaviors) == 1:  # most events
            return [(self._kind(behaviors[0]), behaviors)]
        grouped = defaultdict[str, list[Behavior]](list)
        weights = defaultdict[EventKind, float](float)
        for behavior in behaviors:
            kind = self._kind(behavior)
            grouped[kind.theme].append(behavior)
            weights[kind] += _weight(kind, behavior)
        heaviest: dict[str, EventKind] = {}
        totals = defaultdict[str, float](float)
        for kind in sorted(weights, key=lambda kind: (kind.alone, weights[kind]), reverse=True):
            heaviest.setdefault(kind.theme, kind)
            totals[kind.theme] += weights[kind]
        themes = sorted(grouped, key=lambda theme: (heaviest[theme].alone, totals[theme]), reverse=True)
        return [(heaviest[theme], grouped[theme]) for theme in themes]

    def _kind(self, behavior: Behavior) -> EventKind:
        return self._rules.classify(behavior.action, behavior.item, behavior.place)

    def _stay_clause(self, kind: EventKind, behaviors: Sequence[Behavior], *, brief: bool) -> str:
        """Name places, used apps, or the free text."""
        extent = self._extent(behaviors, [self._wording.times.format(len(behaviors))])
        are_places = all(behavior.action == "visit" and not behavior.in_own_words for behavior in behaviors)
        phrase = kind.phrase if are_places else "{}"
        room = self._wording.max_width - width(phrase.replace("{}", "") + extent)
        return phrase.replace("{}", self._top_names(behaviors, most=2 if brief else 3, room=room)) + extent

    def _item_clause(self, kind: EventKind, behaviors: Sequence[Behavior], *, brief: bool) -> str:
        """Name items, how often with which action, how long, and where."""
        wording = self._wording
        lead = self._lead_action(kind, behaviors)
        verb = self._rules.verbs.get(lead, lead)
        counts = self._action_counts(behaviors, lead) if len(behaviors) > 1 else ()
        extent = self._extent(behaviors, counts)
        about = [behavior for behavior in behaviors if behavior.action == lead] if lead else behaviors
        room = wording.max_width - width(wording.action(verb, extent))
        text = self._top_names(about, most=2 if brief else 3, room=room)
        if lead and not any(behavior.in_own_words for behavior in about):
            text = wording.action(verb, text)
        text += extent
        sites = _ranked(
            (self._rules.clean(site), behavior)
            for behavior in behaviors
            if (site := behavior.item if behavior.action == "use" else behavior.place)
        )
        place = wording.place_of_many if len(sites) > 1 else "{}"
        where = wording.clause_separator + place.format(sites[0]) if sites else ""
        return text if brief or width(text + where) > wording.max_width else text + where

    def _lead_action(self, kind: EventKind, behaviors: Sequence[Behavior]) -> str:
        """Return the action that a clause begins with: the only one, or the first of those that give the kind."""
        actions = {behavior.action for behavior in behaviors}
        if len(actions) == 1:
            return actions.pop()
        of_kind = {behavior.action for behavior in behaviors if self._kind(behavior) is kind}
        return next((action for action in _LEAD_ACTIONS if action in of_kind), "")

    def _extent(self, behaviors: Sequence[Behavior], counts: Sequence[str]) -> str:
        """Return how often and how long something was done, as a clause."""
        wording = self._wording
        duration = wording.duration(seconds_covered(behavior.span for behavior in behaviors))
        if len(behaviors) == 1:
            return f" {duration}" if duration else ""
        total = wording.total.format(duration) if duration else ""
        return wording.clause_separator + wording.list_separator.join(counts) + total

    def _action_counts(self, behaviors: Sequence[Behavior], lead: str) -> list[str]:
        times = self._wording.times
        actions = Counter([behavior.action for behavior in behaviors])
        if len(actions) == 1:
            return [times.format(len(behaviors))]
        return [
            self._wording.action(self._rules.verbs.get(action, action), times.format(count))
            for action, count in actions.most_common()
            if count > 1 or action != lead
        ]

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


def _ranked(mentions: Iterable[tuple[str, Behavior]]) -> list[str]:
    """Order names by mentions and time; the first mentioned wins a tie."""
    weights: dict[str, int] = {}
    for name, behavior in mentions:
        weights[name] = weights.get(name, 0) + _MENTION_SECONDS + (behavior.duration or 0)
    return sorted(weights, key=weights.__getitem__, reverse=True)
