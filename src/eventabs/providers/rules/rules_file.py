"""The rules file (TOML): which behaviors belong to which kind of event, and how names are cleaned up."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from eventabs.errors import ConfigError, toml_fault
from eventabs.language import Language, gettext as _


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


class Table(BaseModel):
    """A table of the file. Unknown keys are errors: a typo must not pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DetailLimits(Table):
    """How far events are abstracted; see [detail] of the shipped rules file."""

    session_minutes: Annotated[int, Field(ge=0)]
    per_day: Annotated[int, Field(gt=0)]
    most: Annotated[int, Field(gt=0)] | None = None
    most_brief: Annotated[int, Field(gt=0)]


class Replacement(Table):
    """A regular expression, and what stands in place of its matches."""

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


class NamesTable(Table):
    """How names are cleaned up and split."""

    separators: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    replace: tuple[Replacement, ...] = ()


class Translations(Table):
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


class Rule(Table):
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
        """Whether the rule holds for a behavior: one of the actions, and one of the words or names."""
        if self.actions and action not in self.actions:
            return False
        if not (self.words or self.names):
            return True
        if self.words and self._words.search(f"{item}\n{place}"):
            return True
        return not {item.casefold(), place.casefold()}.isdisjoint(map(str.casefold, self.names))


class RulesFile(Table):
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
    return files("eventabs.providers.rules").joinpath("rules.toml").read_text(encoding="utf-8")


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
