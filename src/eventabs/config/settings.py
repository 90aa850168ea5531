"""One frozen Settings from a TOML file, the environment and flags, each layer over the one before; faults in our own words."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails

# these load DuckDB, presets and the reader when they are first looked up
from eventabs import ingest, prompts, providers, replies
from eventabs.config.config_files import read_toml
from eventabs.errors_and_exit_codes import ConfigError, SettingFault
from eventabs.interface_language import Language, gettext as _
from eventabs.object_stores import is_address
from eventabs.setting_choices import AnswerForm, Compaction, Detail, Engine, RunMode
from eventabs.shared_records import (
    Category,
    EventType,
    Example,
    JourneyKind,
    Name,
    OptionalName,
    TomlTable,
    Vocabulary,
)


class VocabularySettings(TomlTable):
    """Event types, categories and kinds of journeys. No types or kinds: those that ship with the prompt's language."""

    types: tuple[EventType, ...] = ()
    open: bool = True
    journeys: tuple[JourneyKind, ...] = ()
    open_journeys: bool = True
    other: OptionalName = ""
    aliases: dict[str, Name] = {}
    categories: tuple[Category, ...] = (Category("conversion", "!"), Category("engagement"))

    @model_validator(mode="after")
    def _without_faults(self) -> Self:
        marks = [category.mark for category in self.categories]
        categories = {category.name for category in self.categories}
        if marks.count("") != 1 or len(set(marks)) != len(marks) or len(categories) != len(marks):
            raise ValueError(_("give every category its own mark, and exactly one of them none"))
        if unknown := sorted({kind.category for kind in self.types} - categories - {""}):
            raise ValueError(_("unknown category: {names}").format(names=", ".join(unknown)))
        minor = {*map(replies.read_as, prompts.MINOR.values())}
        names = [kind.name for kind in self.types]
        for name in filter(lambda name: replies.read_as(name) in minor, (*names, self.other, *self.aliases)):
            message = _("{name} is the word for rows that no event is made of; give the type another name")
            raise ValueError(message.format(name=name))
        for name in replies.unreadable(self.in_force("zh")) if self.model_fields_set else ():
            message = _("an answer that has {name} would be read as something else; give it another name")
            if names.count(name) > 1:
                message = _("{name} stands twice; leave one of both out")
            raise ValueError(message.format(name=name))
        if names and not self.open and (unknown := sorted({*self.aliases.values()} - {*names, self.other})):
            raise ValueError(_("unknown type: {names}").format(names=", ".join(unknown)))
        return self

    def in_force(self, language: Language) -> Vocabulary:
        """Return the configured vocabulary, with the shipped types and kinds of journeys where none are named."""
        shipped = prompts.default_vocabulary(language, self.categories, open_types=self.open)
        types = self.types or shipped.types
        return shipped._replace(
            types=(*types, EventType(self.other)) if self.other and not self.open else types,
            aliases=tuple(self.aliases.items()),
            journeys=self.journeys or shipped.journeys,
            open_journeys=self.open_journeys,
        )


class TextsSettings(TomlTable):
    """What a text must be: one of `texts`, or one in which `regex` is found."""

    texts: tuple[str, ...] = ()
    regex: str = ""

    @model_validator(mode="before")
    @classmethod
    def _as_table(cls, value: object) -> object:
        """Take a text, or several, as `{texts = [...]}`; "" is none."""
        if isinstance(value, str):
            value = [value] if value else []
        if isinstance(value, list | tuple):
            return {"texts": value}
        if isinstance(value, dict | TextsSettings):
            return value
        raise ValueError(_("it takes a text, a list of texts, or a regular expression as { regex = ... }"))

    @field_validator("regex")
    @classmethod
    def _is_regular_expression(cls, regex: str) -> str:
        if regex:
            ingest.check_pattern(regex)
        return regex


class MustSettings(TomlTable):
    """Which behaviors an event has to cover, and what kind of event; durations in seconds."""

    action: TextsSettings = TextsSettings()
    item: TextsSettings = TextsSettings()
    place: TextsSettings = TextsSettings()
    text: TextsSettings = TextsSettings()
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
    def _without_faults(self) -> Self:
        if not self.conditions and self.min_duration is None and self.max_duration is None:
            raise ValueError(
                _("give it a condition: action, item, place, text, min_duration or max_duration")
            )
        if not self.type and not self.category:
            raise ValueError(_("say what must cover the behaviors: give type, category or both"))
        if self.type and self.added_type:
            raise ValueError(_("added_type is for a rule without type; leave one of them out"))
        return self


class EventSettings(TomlTable):
    """What must be true of the events, whatever the model answers."""

    must: tuple[MustSettings, ...] = ()


_SET_BY_PRESETS = ("base_url", "api_key_env", "omit", "grammar_field", "extra_body", "price")
_SET_BY_TIERS = ("idle_timeout", "call_timeout", "stream")
_AMOUNTS = ("input", "cached_input", "output", "currency")  # of a price; its factors apply at any address


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested tables over each other: `above` wins, key by key."""
    tables = (key for key, value in above.items() if isinstance(value, Mapping))
    both = [key for key in tables if isinstance(below.get(key), Mapping)]
    return {**below, **above, **{key: overlay(below[key], above[key]) for key in both}}


def with_preset(named: Mapping[str, Any], stored: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Lay named values (nested, as in the TOML) over the settings that a run began with, and both over their preset and tier. Raises ConfigError for unknown ones."""
    *before, tier_before = _choice(stored)
    values = overlay(stored, named)
    preset, model, tier = _choice(values)
    other_preset = before != [preset, model] and (before[0] or preset)
    if not other_preset and tier == tier_before:
        return values  # also where the preset itself has changed since
    # what the preset or tier before has set no longer counts
    gone = (_SET_BY_PRESETS if other_preset else ()) + (_SET_BY_TIERS if tier != tier_before else ())
    kept = {key: value for key, value in stored.get("llm", {}).items() if key not in gone}
    values = overlay({**stored, "llm": kept}, named)
    below = dict(providers.load_preset(preset).find_tier(tier).llm)
    if preset:
        known, llm = providers.load_preset(preset).settings(model), values["llm"]
        own = isinstance(llm.get("price"), Mapping) and {"input", "output", "currency"} & llm["price"].keys()
        # of a preset's amounts none is right beside others, or for another address
        gone = _AMOUNTS if own or llm.get("base_url", known["base_url"]) != known["base_url"] else ()
        price = {key: value for key, value in known["price"].items() if key not in gone}
        below |= known | {"price": price}
    return overlay({"llm": below}, values)


def _choice(values: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return preset, model and tier; what they are by default for what is missing or no name, which validation reports."""
    llm = values.get("llm")
    chosen = {"preset": "", "model": "", "tier": "standard"}
    if isinstance(llm, Mapping):
        chosen |= {key: llm[key] for key in chosen if isinstance(llm.get(key), str)}
    return chosen["preset"], chosen["model"], chosen["tier"]


Layers = Mapping[str, Mapping[str, Any]]  # by where they were set, the later over the earlier


def _told(fault: ErrorDetails, layers: Layers) -> SettingFault:
    """Say what is wrong with a setting, and where it was set: in the uppermost of the layers that know most of the steps to it."""
    key, what = ".".join(map(str, fault["loc"])), _words(fault)
    origin = max(reversed(list(layers)), key=lambda name: _known(layers[name], fault["loc"]))
    nearest = _nearest(key)
    message = _("{origin}: {key}: {fault}; `eventabs init --all --output -` explains every setting")
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        message = _("{origin}: there is no setting {key}; `eventabs init --all --output -` lists them all")
        if nearest:
            message = _("{origin}: there is no setting {key}; the nearest in name is {nearest}")
        if nearest == key:
            message = _("{origin}: {key} is one name there, dot and all; let what is before a dot be a table")
    line = message.format(origin=origin, key=key, fault=what, nearest=nearest)
    return SettingFault(key, what, line, passed=origin == _("settings"))


def _known(layer: Any, steps: Sequence[int | str]) -> int:  # noqa: ANN401  whatever stands in a TOML
    if steps and isinstance(layer, Mapping) and steps[0] in layer:
        return 1 + _known(layer[steps[0]], steps[1:])
    return 0


def _nearest(key: str) -> str:
    """Return the setting with the nearest name, first of those in the same table; "" where none is near."""
    table, _dot, last = key.rpartition(".")
    level = [name for name in _names(Settings) if name.count(".") == key.count(".")]
    for those in ([name for name in level if name.rpartition(".")[0] == table], level):
        by_last = {name.rpartition(".")[2]: name for name in reversed(those)}
        if found := get_close_matches(last, by_last, 1):
            return by_last[found[0]]
    return ""


def _words(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":  # ours
        return str(context["error"])
    if kind == "literal_error":
        choices = ", ".join(re.findall(r"'([^']*)'", context["expected"]))
        return _("it takes one of: {choices}").format(choices=choices)
    if kind == "string_pattern_mismatch":
        patterns = {
            "mark": _("it takes one sign, as +: no space, letter, digit or bracket, none of ? > # , - ; : |"),
            "api_key_env": _("it takes the name of an environment variable, not the key itself"),
            "lateness": _("it takes whole minutes, hours, days or weeks, such as 2 days"),
        }
        a_name = _(
            "it takes a name: one line without bars and semicolons, that does not begin with a space, # or >"
        )
        return patterns.get(str(fault["loc"][-1]), a_name)
    told = {
        "greater_than": _("it must be greater than {gt}"),
        "greater_than_equal": _("it must be at least {ge}"),
        "less_than": _("it must be less than {lt}"),
        "less_than_equal": _("it must be at most {le}"),
        "missing": _("it is missing"),
        "int": _("it takes a whole number"),
        **dict.fromkeys(("float", "finite"), _("it takes a number")),
        "bool": _("it takes true or false"),
        "string": _("it takes a text"),
        **dict.fromkeys(("tuple", "list"), _("it takes a list")),
        **dict.fromkeys(("dict", "mapping", "model", "dataclass"), _("it takes a table")),
    }
    words = told.get(kind) or told.get(kind.partition("_")[0])
    return words.format(**context) if words else fault["msg"]


_UNITS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}  # seconds

Amount = Annotated[int, Field(gt=0, lt=2**63)]
Limit = Annotated[int, Field(ge=0, lt=2**63)]  # 0: none


class ProfileSettings(TomlTable):
    """Which columns of the profiles may leave the machine."""

    columns: tuple[str, ...] = ("age", "gender", "occupation", "city")


class PromptSettings(TomlTable):
    """What is asked, and in which form the answer is wanted."""

    template: str = ""
    language: Literal["auto", "zh", "en"] = "auto"
    answer: AnswerForm = "lines"
    detail: Detail = "day"
    pause: Annotated[int, Field(ge=0, le=1440)] = 30
    guidance: str = ""
    examples: tuple[Example, ...] = ()
    tokenizer: str = "cl100k_base"


class CompactionSettings(TomlTable):
    """How behaviors become short lines."""

    level: Compaction = "line"
    strip: tuple[str, ...] = ("XX",)


class BudgetSettings(TomlTable):
    """What one call may hold."""

    max_input_tokens: Amount = 40_000
    max_output_tokens: Amount = 8_192
    max_users: Amount = 30
    max_rows: Limit = 0


class RunSettings(TomlTable):
    """How the run is driven. 0 or None: no limit."""

    mode: RunMode = "live"
    concurrency: Annotated[int, Field(gt=0, le=1000)] = 3
    max_concurrency: Annotated[int, Field(ge=0, le=1000)] = 0
    rpm: Limit = 0
    tpm: Limit = 0
    max_cost: Annotated[float, Field(ge=0)] = 0.0
    max_total_tokens: Limit = 0
    limit: Limit = 0
    wait: bool = False
    attempts: Annotated[int, Field(gt=0, le=10)] = 5
    call_tries: Annotated[int, Field(gt=0, le=20)] = 6


class ExtendSettings(TomlTable):
    """What an extension of a run takes in."""

    lateness: Annotated[str, Field(pattern=rf"^[0-9]{{1,6}} ({'|'.join(_UNITS)})s?$")] = "2 days"
    journey_days: Annotated[int, Field(ge=0)] = 30

    @property
    def lateness_seconds(self) -> int:
        """How far before a user's last known behavior a new one may lie."""
        number, unit = self.lateness.split()
        return int(number) * _UNITS[unit.removesuffix("s")]


class BatchSettings(TomlTable):
    """How the jobs of a batch service are driven. 0 or "": no limit, or as the preset has it."""

    window: str = ""
    max_enqueued_tokens: Limit = 0
    max_requests: Limit = 0
    poll_seconds: Annotated[float, Field(gt=0)] = 30.0
    cancel_after: Annotated[float, Field(ge=0)] = 0.0
    live_calls: Annotated[int, Field(ge=0, le=100)] = 3
    live_share: Annotated[float, Field(ge=0, le=1)] = 0.05


class ClusterSettings(TomlTable):
    """Where calls are made. `ray_address`: "" starts a cluster of this machine alone."""

    engine: Engine = "local"
    ray_address: str = ""


class RulesSettings(TomlTable):
    """The built-in rules provider. "": the mapping that ships with the package."""

    file: str = ""


class Settings(TomlTable):
    """Everything that can be set. Read with `load_settings`."""

    lang: Literal["auto", "en", "zh"] = "auto"
    input: ingest.InputSettings = ingest.InputSettings()
    profiles: ProfileSettings = ProfileSettings()
    llm: providers.LlmSettings = providers.LlmSettings()
    prompt: PromptSettings = PromptSettings()
    compaction: CompactionSettings = CompactionSettings()
    budget: BudgetSettings = BudgetSettings()
    run: RunSettings = RunSettings()
    extend: ExtendSettings = ExtendSettings()
    batch: BatchSettings = BatchSettings()
    vocabulary: VocabularySettings = VocabularySettings()
    events: EventSettings = EventSettings()
    rules: RulesSettings = RulesSettings()
    cluster: ClusterSettings = ClusterSettings()

    @field_validator("vocabulary")
    @classmethod
    def _has_room_for_all(cls, vocabulary: VocabularySettings, info: ValidationInfo) -> VocabularySettings:
        prompt = info.data.get("prompt")
        if prompt and prompt.detail == "fine" and not vocabulary.open and not vocabulary.other:
            raise ValueError(
                _('detail "fine" has an event for every row: name a type for the rest in vocabulary.other')
            )
        return vocabulary

    @field_validator("events")
    @classmethod
    def _in_vocabulary(cls, events: EventSettings, info: ValidationInfo) -> EventSettings:
        vocabulary = info.data.get("vocabulary")
        if vocabulary is None:  # wrong itself
            return events
        categories = {category.name for category in vocabulary.categories}
        types = {kind.name for kind in vocabulary.types}
        for number, rule in enumerate(events.must, 1):
            if rule.category and rule.category not in categories:
                message = _("rule {number} of must: unknown category: {names}")
                raise ValueError(message.format(number=number, names=rule.category))
            unknown = {rule.type, rule.added_type} - types - {vocabulary.other, ""}
            if types and not vocabulary.open and unknown:
                message = _("rule {number} of must: unknown type: {names}")
                raise ValueError(message.format(number=number, names=", ".join(unknown)))
        return events

    @property
    def provider(self) -> Literal["openai", "rules"]:
        """The provider in force: without a choice a model or preset decides, and without one the rules answer."""
        if self.llm.provider == "auto":
            return "openai" if self.llm.model or self.llm.preset else "rules"
        return self.llm.provider

    @property
    def is_remote(self) -> bool:
        """Whether a model at an endpoint answers. So model, host, key and prices matter, and calls are paced and retried."""
        return self.provider != "rules"


def load_settings(
    config: Path | None, flags: Mapping[str, Any], *, base: Mapping[str, Any] = {}, isolated: bool = False
) -> Settings:
    """Lay TOML, EVENTABS_* (not if `isolated`) and flags, nested as in the TOML, over their preset, `base` and the defaults.

    Raises ConfigError with all faults, each named by its key and where it was set.
    """
    layers = _layers(config, flags, isolated=isolated)
    values = with_preset(reduce(overlay, layers.values(), {}), base)
    layers = {_("the run directory"): base, **layers}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(*(_told(fault, layers) for fault in error.errors(include_url=False))) from None


def _names(table: Any) -> Iterator[str]:  # noqa: ANN401  any model of pydantic
    """Yield the dotted names of a table's keys, those of the tables inside too."""
    for key, field in table.model_fields.items():
        yield key
        if hasattr(field.annotation, "model_fields"):
            yield from (f"{key}.{inner}" for inner in _names(field.annotation))


def named_values(config: Path | None, flags: Mapping[str, Any], *, isolated: bool = False) -> dict[str, Any]:
    """Return what TOML, EVENTABS_* and flags name, the later over the earlier. Raises ConfigError."""
    return reduce(overlay, _layers(config, flags, isolated=isolated).values(), {})


def _layers(config: Path | None, flags: Mapping[str, Any], *, isolated: bool) -> Layers:
    return {
        str(config): read_toml(config) if config else {},
        _("environment"): {} if isolated else environment_values(),
        _("settings"): flags,
    }


def environment_values() -> dict[str, Any]:
    """Return what EVENTABS_* variables set, nested: EVENTABS_LLM__MODEL is llm.model. Raises ConfigError for an unknown one or its value."""
    ours = filter(re.compile("eventabs_", re.IGNORECASE).match, os.environ)
    if not (variables := sorted(ours, key=str.lower)):  # a table before what is in it
        return {}
    import pydantic_settings as library  # noqa: PLC0415  it takes 40 ms

    look = {"env_prefix": "EVENTABS_", "env_nested_delimiter": "__"}
    values, source = dict[str, Any](), library.EnvSettingsSource(Settings, **look)  # type: ignore[arg-type]
    for variable in variables:
        name = variable.lower()
        if name.removeprefix("eventabs_").partition("__")[0] not in {"config", *Settings.model_fields}:
            message = _("there is no setting for {variable}; one looks like EVENTABS_LLM__MODEL")
            raise ConfigError(message.format(variable=variable))
        source.env_vars = {name: os.environ[variable]}
        try:
            values = overlay(values, source())
        except library.SettingsError:
            message = _('{variable} takes JSON, a list such as ["a", "b"] or a table')
            raise ConfigError(message.format(variable=variable)) from None
    if not values.get("lang"):  # an empty EVENTABS_LANG unsets the variable, as with LANG
        values.pop("lang", None)
    return values


_FILES = {"input": ["profiles"], "llm": ["ca_file"], "prompt": ["template", "tokenizer"], "rules": ["file"]}


def with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    """Return the settings with every file named from `folder`, so that another folder can use them."""
    changed: dict[str, TomlTable] = {}
    for name, keys in _FILES.items():
        section = getattr(settings, name)
        paths = {key: path for key in keys if (path := getattr(section, key))}
        if not paths.get("tokenizer", ".json").endswith(".json"):  # a name, no file
            del paths["tokenizer"]
        absolute = {key: path if is_address(path) else str(folder / path) for key, path in paths.items()}
        changed[name] = section.model_copy(update=absolute)
    return settings.model_copy(update=changed)
