"""The provider that needs no model: the rows of a log, by the rules file (TOML), become events; and the summaries of all events.

At level `day` the rows of a theme on a day are one event, whatever lies between them; at `fine`, a session of a theme.
A day begins at 05:00. Each row is in exactly one event.
"""

import asyncio
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, ValidationError, model_validator

from eventabs.errors_and_exit_codes import ConfigError, toml_fault
from eventabs.interface_language import Language, gettext as _
from eventabs.setting_choices import Detail
from eventabs.shared_records import (
    EPOCH,
    MAX_CHARACTERS,
    THING,
    Behavior,
    Record,
    Reply,
    Request,
    TomlTable,
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


class DetailLimits(TomlTable):
    """What ends an event; see [detail] of the shipped rules file."""

    session_minutes: Annotated[int, Field(ge=0)]


class Replacement(TomlTable):
    """A regular expression, and what replaces its matches."""

    pattern: str
    replacement: str = Field(alias="with")

    @model_validator(mode="after")
    def _can_be_applied(self) -> Self:
        try:
            re.compile(self.pattern).sub(self.replacement, "")
        except (re.error, IndexError) as error:
            raise ValueError(_("pattern and with cannot be applied: {error}").format(error=error)) from None
        return self


class NamesTable(TomlTable):
    """How names are cleaned up and split."""

    separators: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    replace: tuple[Replacement, ...] = ()


_LANGUAGES = AliasChoices("zh", "en")  # of which a table has one when it is read


class Text(TomlTable):
    """A text in the language of the run."""

    text: str = Field(validation_alias=_LANGUAGES)


def _check_phrase(phrase: Text) -> Text:
    if phrase.text.count("{}") != 1:
        raise ValueError(_("must hold {} once, where the names go").format("{}"))
    return phrase


class EventKind(Record, eq=False):
    """A type of event. `theme` "": its own; `phrase` has one {} for the names of places."""

    name: Annotated[
        str, Field(validation_alias=_LANGUAGES, min_length=1, max_length=40), AfterValidator(_check_name)
    ]
    category: str = ""
    theme: str = ""
    weight: Annotated[float, Field(gt=0)] = 1.0
    alone: bool = False
    phrase: Annotated[Text, AfterValidator(_check_phrase)] = Text.model_validate({"zh": "{}"})

    __pydantic_config__ = ConfigDict(extra="forbid")


Word = Annotated[str, Field(pattern=r"\S")]


def _any_of(words: Iterable[str], written: Callable[[str], str] = re.escape) -> str:
    """Match any of the words in a text in small letters; a Latin edge must not continue as a longer Latin word."""
    return "|".join(
        # its edge stands behind the first letter: a search then only looks where one of the letters is, three times as fast
        re.sub("^[a-z]", r"\g<0>(?<![a-z]\g<0>)", written(word))
        + ("(?![a-z])" if word[-1].isascii() and word[-1].isalpha() else "")
        for word in map(str.lower, words)
    )


def _forms(verb: str) -> str:
    """Match the forms of an English verb: order, orders, ordered, ordering; of several words, those of each."""
    return " ".join(
        re.escape(word[:-1]) + "(?:es?|ed|ing)"
        if word[1:].endswith("e")
        else re.escape(word) + f"(?:e?s|{re.escape(word[-1])}?(?:ed|ing))?"
        for word in verb.split()
    )


class Rule(TomlTable):
    """The type of the behaviors that match."""

    type: str
    actions: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    names: tuple[Word, ...] = ()

    @cached_property
    def texts(self) -> re.Pattern[str]:
        """What is found in lines in small letters of which one has one of the words, or is one of the names."""
        wanted = (_any_of(self.words), *(f"^{re.escape(name.lower())}$" for name in self.names))
        return re.compile("|".join(filter(None, wanted)), re.MULTILINE)


class RulesFile(TomlTable):
    """The whole file."""

    detail: DetailLimits
    names: NamesTable = NamesTable()
    verbs: dict[str, Text] = {}
    actions: dict[str, tuple[Word, ...]] = {}
    types: dict[str, EventKind]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rules_are_complete(self) -> Self:
        for position, rule in enumerate(self.rules):
            if rule.type not in self.types:
                message = _("rules.{position}.type: there is no type {name} under [types]")
                raise ValueError(message.format(position=position, name=rule.type))
        last = self.rules[-1]
        if last.actions or last.words or last.names:
            raise ValueError(_("the last of the rules must fit everything: give it a type and nothing else"))
        return self


_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400  # seconds
_NAME_WIDTH = 40  # columns of one name in a summary


class Wording(Record):
    """The phrases of one language, here English. `max_width`: columns of a summary; `units`: days to seconds."""

    max_width: int = 96
    list_separator: str = ", "
    clause_separator: str = ", "
    theme_separator: str = "; "
    word_separator: str = " "
    names_of_many: str = "{names} (of {count})"
    place_of_many: str = "{} etc."
    times: str = "{}x"
    total: str = ", {}"
    units: tuple[str, str, str, str] = ("{} d", "{} h", "{} min", "{} s")

    def action(self, verb: str, noun: str) -> str:
        """Join a verb and its object; either may be missing."""
        gap = " " if verb.isascii() else self.word_separator
        return f"{verb}{gap}{noun}" if verb and noun else verb + noun

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
    "en": Wording(),
}

_Named = Callable[[Behavior], Sequence[str]]  # the names that a behavior deals with
# a place or an app says what was done there; all else is done with something
_STAYS = frozenset({"", "visit", "use"})
_NOTHING_HANDLED = _STAYS | {"search"}
_LEAD_ACTIONS = ("purchase", "cart", "favorite", "compare")  # the first ones say the most
_JOINERS = "\u200c\u200d"  # they join emoji and letters of some scripts
_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")  # between the words of orderPaid and order_paid
_CACHED = 50_000  # words, behaviors and names: most exports repeat theirs


class Rules:
    """A rules file, ready to use in a language. `known`: the actions that mean something; `meaning`: the one that an export's own word means.

    `classify` returns the kind of a behavior by action, item and place, `clean` a name as `summaries` show it, without marks and suffixes.
    """

    def __init__(self, file: RulesFile, language: Language) -> None:
        self.pause = _MINUTE * file.detail.session_minutes  # seconds that end an event
        self.kinds = {key: replace(kind, theme=kind.theme or kind.name) for key, kind in file.types.items()}
        self._verbs = {action: verb.text for action, verb in file.verbs.items()}
        self._replaced = [(re.compile(each.pattern), each.replacement) for each in file.names.replace]
        self._separators = re.compile("|".join(map(re.escape, file.names.separators)) or "(?!)")
        self._file = file
        self._named = {"", THING, *file.verbs, *(action for rule in file.rules for action in rule.actions)}
        self.known = self._named | file.actions.keys()
        self.meaning = lru_cache(_CACHED)(self._meaning)
        self.classify = lru_cache(_CACHED)(self._classify)
        self.clean = lru_cache(_CACHED)(self._clean)
        self._wording = WORDING[language]
        self._item_names = lru_cache(_CACHED)(self._names_in)
        self._duration = lru_cache(_CACHED)(lambda seconds: f" {self._wording.duration(seconds)}".rstrip())
        self._of_one = lru_cache(_CACHED)(self._clause_of_one)

    @cached_property
    def _meanings(self) -> dict[str, re.Pattern[str]]:
        return {action: re.compile(_any_of(words, _forms)) for action, words in self._file.actions.items()}

    def _meaning(self, word: str) -> str:
        if word in self._named:
            return word
        parts = _PARTS.sub(" ", word).lower()
        return next((action for action, words in self._meanings.items() if words.search(parts)), word)

    def _classify(self, action: str, item: str, place: str) -> EventKind:
        action, texts = self.meaning(action), f"{item}\n{place}".lower()
        fitting = (rule for rule in self._file.rules if not rule.actions or action in rule.actions)
        return next(self.kinds[rule.type] for rule in fitting if rule.texts.search(texts))

    def _clean(self, name: str) -> str:
        if not name.isprintable():  # few
            name = "".join(c if c.isprintable() or c in _JOINERS else " " for c in name)
        cleaned = one_line = " ".join(name.split())
        for pattern, instead in self._replaced:
            cleaned = pattern.sub(instead, cleaned)
        return cleaned.strip() or one_line

    def summaries(self, all_behaviors: Sequence[Behavior]) -> Callable[[Sequence[Behavior]], str]:
        """Return what writes the summary of some behaviors of a user."""
        known: list[str] | None = None

        def named(behavior: Behavior) -> Sequence[str]:
            """Return the names that a behavior deals with; of a bare query, a known name in it, if any."""
            nonlocal known
            names = self._item_names(*behavior[1:4])
            if behavior.action != "search" or behavior.in_own_words:
                return names
            known = self._handled(all_behaviors) if known is None else known
            return tuple([next(filter(name.__contains__, known), name) for name in names])

        return partial(self._summary, named)

    def _handled(self, behaviors: Iterable[Behavior]) -> list[str]:
        """Return the names of things that a user dealt with; the longest, the most exact, come first."""
        handled = {b[1:4]: b for b in behaviors if b[1] not in _NOTHING_HANDLED}
        shown = {b[1:4] for b in map(_shortened, handled.values()) if b[1] not in _NOTHING_HANDLED}
        names = {name for texts in shown for name in self._item_names(*texts)}
        return sorted(names, key=lambda name: (-len(name), name))

    def _summary(self, named: _Named, behaviors: Sequence[Behavior]) -> str:
        """Summarize the heaviest theme: what, how often and how long; then other themes, as room allows."""
        if len(behaviors) == 1:  # most events
            one = _shortened(behaviors[0])
            names = named(one) if one.action == "search" else None
            seconds = one.duration or 0
            extent = self._duration(seconds // _MINUTE * _MINUTE or seconds)  # as it is shown
            text, _room, where = self._of_one(one[1:4], one.in_own_words, names, width(extent))
            return self._joined(text, extent, where).strip()
        themes = _themes(list(map(_shortened, behaviors)), self)
        text = ""
        for kind, theirs in themes:
            clause = self._joined(*self._clause(kind, theirs, named, "", brief=len(themes) > 1))
            joined = text + self._wording.theme_separator + clause if text else clause
            if not text or width(joined) <= self._wording.max_width:
                text = joined
        return text.strip()

    def _joined(self, text: str, extent: str, where: str) -> str:
        return (text + extent).removeprefix(self._wording.clause_separator) + where

    def _clause_of_one(
        self, texts: tuple[str, str, str], in_own_words: bool, names: Sequence[str] | None, extent: int
    ) -> tuple[str, str, str]:
        one = Behavior(EPOCH, *texts, text=texts[1] if in_own_words else "")
        named = self._item_names(*texts) if names is None else names
        kind = self.classify(*texts) if one.action == "visit" else None  # only that has a phrase
        return self._clause(kind, [one], lambda _one: named, " " * extent, brief=False)

    def _clause(
        self, kind: EventKind | None, behaviors: Sequence[Behavior], named: _Named, extent: str, brief: bool
    ) -> tuple[str, str, str]:
        """Name things, how often with which action and how long, and where; of stays the places, apps or free text."""
        wording, phrase, verb = self._wording, "{}", ""
        actions = [behavior.action for behavior in behaviors]
        are_stays = _STAYS.issuperset(actions)
        about = with_items = behaviors
        if actions.count(lead := actions[0]) < len(actions):
            theirs = (each.action for each in behaviors if self.classify(*each[1:4]) is kind)
            of_kind = {self.meaning(action): action for action in theirs}
            lead = next((of_kind[action] for action in _LEAD_ACTIONS if action in of_kind), "")
            about = [b for b in behaviors if b.action == lead] if lead else behaviors
            # used apps count only where no item does
            with_items = [behavior for behavior in about if behavior.action not in _STAYS] or about
        names = _ranked((name, behavior) for behavior in with_items for name in named(behavior))
        if not any(behavior.in_own_words for behavior in about):
            if names and are_stays:
                phrase = kind.phrase.text if kind and lead == "visit" else "{}"
            else:
                verb = self._verb(lead)
        extent = extent or self._extent(behaviors, actions, lead)
        room = wording.max_width - width(wording.action(verb, phrase.replace("{}", "") + extent))
        text = wording.names(names, most=2 if brief else 3, room=room)
        text = wording.action(verb, text and phrase.replace("{}", text))
        if brief or are_stays:
            return text, extent, ""
        # the site, app or shop with the most of what was done
        sites = _ranked(
            (self.clean(site), behavior)
            for behavior in behaviors
            if (site := behavior.item if behavior.action == "use" else behavior.item and behavior.place)
        )
        place = wording.place_of_many if len(sites) > 1 else "{}"
        where = wording.clause_separator + place.format(sites[0]) if sites else ""
        return text, extent, where if width(self._joined(text, extent, where)) <= wording.max_width else ""

    def _verb(self, action: str) -> str:
        return self._verbs.get(action) or clip(self.clean(action), _NAME_WIDTH)

    def _extent(self, behaviors: Sequence[Behavior], actions: Sequence[str], lead: str) -> str:
        """Return how often, with which action beside the `lead`, and how long something was done, as a clause."""
        wording = self._wording
        if len(behaviors) == 1:
            return self._duration(behaviors[0].duration or 0)
        duration = self._duration(seconds_covered([behavior.span for behavior in behaviors])).lstrip()
        if actions.count(actions[0]) == len(actions) or _STAYS.issuperset(actions):
            counts = [wording.times.format(len(behaviors))]
        else:
            counts = [
                wording.action(self._verb(action), wording.times.format(count))
                for action, count in Counter(actions).most_common()
                if count > 1 or action != lead
            ]
        total = wording.total.format(duration) if duration else ""
        return wording.clause_separator + wording.names(counts, most=4, room=wording.max_width // 2) + total

    def _names_in(self, action: str, item: str, place: str) -> Sequence[str]:
        parts = self._separators.split(item) if action == "compare" else [item or place]
        return tuple(name for part in parts if (name := self.clean(part)))


def shipped_rules() -> str:
    """Return the text of the rules file that ships with the package."""
    return Path(__file__).with_name("rules.toml").read_text(encoding="utf-8")


def _in_language(table: dict[str, Any], language: Language) -> dict[str, Any]:
    """Return a table with each text in one language; where that is missing, in the other."""
    left_out = ({"zh", "en"} - {language}) if isinstance(table.get(language), str) else set[str]()
    return {
        key: _in_language(value, language) if isinstance(value, dict) else value
        for key, value in table.items()
        if key not in left_out
    }


@cache
def load_rules(text: str, language: Language) -> Rules:
    """Load a rules file. Raises ConfigError that names the key of an error."""
    try:
        return Rules(RulesFile.model_validate(_in_language(tomllib.loads(text), language)), language)
    except tomllib.TOMLDecodeError as error:
        message = _("the rules file is not TOML: {error}; mend it or remove [rules] file from the config")
        raise ConfigError(message.format(error=toml_fault(error))) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(step) for step in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        message = _("the rules file does not hold: {fault}; compare it with the one that ships with eventabs")
        raise ConfigError(message.format(fault=f"{key}: {text}" if key else text)) from None


def rule_events(log: UserLog, rules: Rules, detail: Detail) -> Iterator[tuple[list[int], EventKind]]:
    """Return the events of a log in order of their first rows: the positions of their behaviors, and their heaviest kind."""
    behaviors = list(map(_shortened, log.behaviors))
    events: list[list[int]] = []
    ongoing: dict[str, list[int]] = {}  # by theme
    ends: dict[str, int] = {}  # of the longest of their rows
    for row, behavior in enumerate(behaviors):
        kind = rules.classify(*behavior[1:4])
        start, end = behavior.span
        rows = [] if kind.alone else ongoing.get(kind.theme, [])
        is_over = rows and (
            behaviors[rows[0]].day != behavior.day
            or (detail == "fine" and start - ends[kind.theme] > rules.pause)
        )
        if is_over or not rows:
            rows, ends[kind.theme] = [], start
            events.append(rows)
            if detail == "fine":  # another activity ends it
                ongoing.clear()
            if not kind.alone:
                ongoing[kind.theme] = rows
        rows.append(row)
        ends[kind.theme] = max(ends[kind.theme], end)
    return ((rows, _themes([behaviors[row] for row in rows], rules)[0][0]) for rows in events)


def _themes(behaviors: list[Behavior], rules: Rules) -> list[tuple[EventKind, list[Behavior]]]:
    """Group behaviors by theme, each under its heaviest kind: what stands alone first, then by weight."""
    kinds_of_each = [rules.classify(*behavior[1:4]) for behavior in behaviors]
    if kinds_of_each.count(kinds_of_each[0]) == len(behaviors):  # most events
        return [(kinds_of_each[0], behaviors)]
    grouped = defaultdict[str, list[Behavior]](list)
    weights = defaultdict[str, defaultdict[EventKind, float]](lambda: defaultdict(float))
    for behavior, kind in zip(behaviors, kinds_of_each, strict=True):
        hours = min((behavior.duration or 0) / _HOUR, 8)  # more do not add weight
        grouped[kind.theme].append(behavior)
        weights[kind.theme][kind] += kind.weight * (1 + hours / 2)  # two weigh as much as the row itself
    heaviest = {
        theme: max(kinds, key=lambda kind: (kind.alone, kinds[kind])) for theme, kinds in weights.items()
    }
    in_order = sorted(grouped, key=lambda each: (not heaviest[each].alone, -sum(weights[each].values())))
    return [(heaviest[theme], grouped[theme]) for theme in in_order]


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
        for key, kind in rules.kinds.items():
            if kind.category not in known:
                message = _(
                    "the rules file does not hold: types.{key}.category: there is no category {name}; "
                    "add it to [[vocabulary.categories]] or change it in a rules file of your own"
                )
                raise ConfigError(message.format(key=key, name=kind.category))
            if kind.name == vocabulary.minor or kind.name[-1] in known.values():
                message = _(
                    "the rules file does not hold: types.{key}: answers cannot name a type {name}; "
                    "rename it in a rules file of your own, or change the mark in [[vocabulary.categories]]"
                )
                raise ConfigError(message.format(key=key, name=kind.name))
        self._names = {kind: kind.name + known[kind.category] for kind in rules.kinds.values()}

    async def complete(self, request: Request, *_listeners: object) -> Reply:
        """Return the events of every user in the request, in the `lines` form, all at once; no journeys, nothing minor."""
        lines: list[str] = []
        number = 1
        for alias, log in request.users.items():
            lines.append(f"## {alias}")
            groups = defaultdict[str, list[str]](list)
            for rows, kind in rule_events(log, self._rules, self._detail):
                groups[self._names[kind]].append(row_ranges(number + row for row in rows).replace(" ", ","))
            lines += (f"{name} {' '.join(theirs)}" for name, theirs in groups.items())
            number += len(log.behaviors)
            await asyncio.sleep(0)  # a user takes milliseconds; a whole batch would stall the progress bar
        lines.append("##")
        return Reply("\n".join(lines))


def _shortened(behavior: Behavior) -> Behavior:
    """Return the behavior as rules take it: its texts as short as in a prompt, and a thing as free text."""
    texts = behavior[1:4]
    if texts[0] != THING and len("".join(texts)) <= MAX_CHARACTERS:  # most
        return behavior
    action, item, place = (
        text if len(text) <= MAX_CHARACTERS else " ".join(text.split())[:MAX_CHARACTERS] for text in texts
    )
    return behavior._replace(action="" if action == THING else action, item=item, place=place)


def _ranked(mentions: Iterable[tuple[str, Behavior]]) -> list[str]:
    """Order names by time, of which each mention counts as a minute more; the first mentioned wins a tie."""
    weights: dict[str, int] = {}
    for name, behavior in mentions:
        weights[name] = weights.get(name, 0) + _MINUTE + (behavior.duration or 0)
    return sorted(weights, key=weights.__getitem__, reverse=True)
