"""The tables about events: the names that they get, and the rules that they must keep."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from eventabs.config.fields import Name, OptionalName, Section
from eventabs.language import gettext as _


class CategorySettings(Section):
    """A kind of event; `mark` is one character behind the type, "" for the default category."""

    name: Name
    mark: Annotated[str, Field(pattern=r"^[^\s|｜\u202a-\u202e\u2066-\u2069]?$")] = ""
    meaning: str = ""


class TypeSettings(Section):
    """A name for events; `category` is the one it has when the reply gives no mark."""

    name: Name
    category: str = ""


class VocabularySettings(Section):
    """Event types and categories. No types: the list that ships with the prompt's language."""

    types: tuple[TypeSettings, ...] = ()
    open: bool = True
    other: OptionalName = ""
    aliases: dict[str, Name] = {}
    categories: tuple[CategorySettings, ...] = (
        CategorySettings(name="conversion", mark="!"),
        CategorySettings(name="engagement"),
    )

    @model_validator(mode="after")
    def _one_default_category(self) -> Self:
        marks = [category.mark for category in self.categories]
        names = {category.name for category in self.categories}
        if marks.count("") != 1 or len(set(marks)) != len(marks) or len(names) != len(marks):
            message = _("give every category its own mark, and exactly one of them none")
            raise ValueError(message)
        unknown = {kind.category for kind in self.types} - {c.name for c in self.categories} - {""}
        if unknown:
            message = _("unknown category: {names}").format(names=", ".join(sorted(unknown)))
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _known_types(self) -> Self:
        named = {kind.name for kind in self.types}
        unknown = sorted({*self.aliases.values()} - named - {self.other}) if named and not self.open else []
        if unknown:
            message = _("unknown type: {names}").format(names=", ".join(unknown))
            raise ValueError(message)
        return self


def _as_texts(value: object) -> object:
    """Take a text, or several, as `{texts = [...]}`; "" is none."""
    if isinstance(value, str):
        return {"texts": [value] if value else []}
    if isinstance(value, list | tuple):
        return {"texts": value}
    if isinstance(value, dict | TextsSettings):
        return value
    message = _("it takes a text, a list of texts, or a regular expression as { regex = ... }")
    raise ValueError(message)


class TextsSettings(Section):
    """What a text must be: one of `texts`, or one in which `regex` is found."""

    texts: tuple[str, ...] = ()
    regex: str = ""

    @field_validator("regex")
    @classmethod
    def _is_regular_expression(cls, regex: str) -> str:
        from eventabs.ingest import check_pattern  # noqa: PLC0415  DuckDB is loaded only where it is needed

        if regex:
            check_pattern(regex)
        return regex


TextsOf = Annotated[TextsSettings, BeforeValidator(_as_texts)]


class MustSettings(Section):
    """Which behaviors an event has to cover, and what kind of event; durations in seconds."""

    action: TextsOf = TextsSettings()
    item: TextsOf = TextsSettings()
    place: TextsOf = TextsSettings()
    text: TextsOf = TextsSettings()
    min_duration: Annotated[float, Field(ge=0)] | None = None
    max_duration: Annotated[float, Field(ge=0)] | None = None
    type: OptionalName = ""
    category: str = ""
    added_type: OptionalName = ""

    @property
    def conditions(self) -> dict[str, TextsSettings]:
        """The conditions on texts, by what they are about."""
        named = {"action": self.action, "item": self.item, "place": self.place, "text": self.text}
        return {name: texts for name, texts in named.items() if texts.texts or texts.regex}

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.conditions and self.min_duration is None and self.max_duration is None:
            message = _("give it a condition: action, item, place, text, min_duration or max_duration")
            raise ValueError(message)
        if not self.type and not self.category:
            message = _("say what must cover the behaviors: give type, category or both")
            raise ValueError(message)
        if self.type and self.added_type:
            message = _("added_type is for a rule without type; leave one of them out")
            raise ValueError(message)
        return self


class EventSettings(Section):
    """What must be true of the events, whatever the model answers."""

    must: tuple[MustSettings, ...] = ()
