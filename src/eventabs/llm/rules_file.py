"""What a rules file may say: its tables, and the first fault named by its key."""

import re
import tomllib
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from eventabs.errors import ConfigError
from eventabs.language import Language
from eventabs.language import gettext as _


def _checked_name(name: str) -> str:
    if re.search(r"[|｜\r\n]", name) or not (name[0].isalnum() and name[-1].isalnum()):
        message = _("must begin and end with a letter or digit, and hold no | and no line break")
        raise ValueError(message)
    return name


def _checked_phrase(phrase: str) -> str:
    if phrase.count("{}") != 1:
        message = _("must hold {} once, where the names go").format("{}")
        raise ValueError(message)
    return phrase


class Table(BaseModel):
    """A table of the file. Unknown keys are errors: a typo must not pass for a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DetailTable(Table):
    """How far events are abstracted."""

    session_minutes: Annotated[int, Field(ge=0)]
    per_day: Annotated[int, Field(gt=0)]
    most: Annotated[int, Field(gt=0)]
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
    """How names are cleaned up and taken apart."""

    separators: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    replace: tuple[Replacement, ...] = ()


class Words(Table):
    """The same in each language; a language that is missing takes the other's words."""

    zh: str = ""
    en: str = ""

    @model_validator(mode="after")
    def _one_language_at_least(self) -> Self:
        if not (self.zh or self.en):
            message = _("needs zh, en or both")
            raise ValueError(message)
        return self

    def in_language(self, language: Language) -> str:
        """Return the words of `language`, or of the other one."""
        return (self.zh or self.en) if language == "zh" else (self.en or self.zh)


class Phrase(Words):
    """Words around the names of places."""

    zh: Annotated[str, AfterValidator(_checked_phrase)] = ""
    en: Annotated[str, AfterValidator(_checked_phrase)] = ""


class TypeTable(Words):
    """A type of event, its name in each language."""

    zh: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_checked_name)] = ""
    en: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_checked_name)] = ""
    category: str = ""
    theme: str = ""
    weight: Annotated[float, Field(gt=0)] = 1.0
    alone: bool = False
    phrase: Phrase = Phrase(zh="{}", en="{}")


class Rule(Table):
    """Which behaviors have a type."""

    type: str
    actions: tuple[str, ...] = ()
    words: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @property
    def fits_everything(self) -> bool:
        """Whether there is no behavior that it does not fit."""
        return not (self.actions or self.words or self.names)


class RulesFile(Table):
    """The whole file."""

    detail: DetailTable
    names: NamesTable = NamesTable()
    verbs: dict[str, Words] = {}
    types: dict[str, TypeTable]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rules_hold_together(self) -> Self:
        for position, rule in enumerate(self.rules):
            if rule.type not in self.types:
                message = _("rules.{position}.type: there is no type {name} under [types]")
                raise ValueError(message.format(position=position, name=rule.type))
        if not self.rules[-1].fits_everything:
            message = _("the last of the rules must fit everything: give it a type and nothing else")
            raise ValueError(message)
        return self


def read_rules_file(text: str) -> RulesFile:
    """Read a rules file. Raises ConfigError that names the key where the text does not hold."""
    try:
        return RulesFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        message = _("the rules file is not TOML: {error}; mend it or remove [rules] file from the config")
        raise ConfigError(message.format(error=error)) from None
    except ValidationError as error:
        raise ConfigError(_describe(error)) from None


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(step) for step in first["loc"])
    fault = first["msg"].removeprefix("Value error, ")
    message = _("the rules file does not hold: {fault}; compare it with the one that ships with eventabs")
    return message.format(fault=f"{key}: {fault}" if key else fault)
