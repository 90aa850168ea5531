"""One frozen Settings from a TOML file, the environment and flags; each layer over the one before."""

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from eventabs.choices import AnswerForm, Compaction, Detail, ProviderChoice, RunMode, TierName
from eventabs.config.event_settings import EventSettings, VocabularySettings
from eventabs.config.faults import Step, described
from eventabs.config.fields import Section
from eventabs.config.layers import over_stored, overlay, read_toml
from eventabs.errors import ConfigError, WrongSettingsError
from eventabs.language import gettext as _
from eventabs.objects import is_address
from eventabs.providers import GrammarField, Price, ProviderName, kind_of
from eventabs.records import DurationUnit, Shard


def _storable(number: int) -> int:
    if number.bit_length() >= 64:  # noqa: PLR2004  bits, one of them the sign's
        message = _("it takes whole numbers of 64 bits at most")
        raise ValueError(message)
    return number


def _shard(text: str) -> str:
    return text and str(Shard.parse(text))


_UNITS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}  # seconds


def _time(text: str) -> str:
    if not re.fullmatch(rf"\d{{1,6}} ({'|'.join(_UNITS)})s?", text):
        message = _("it takes whole minutes, hours, days or weeks, such as 2 days")
        raise ValueError(message)
    return text


Amount = Annotated[int, Field(gt=0), AfterValidator(_storable)]
Limit = Annotated[int, Field(ge=0), AfterValidator(_storable)]  # 0: none
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]  # a key in its place is refused unseen
Seconds = Annotated[float, Field(gt=0)]
Omittable = Literal["response_format", "stream_options", "temperature", "seed", "max_tokens"]


class InputColumns(Section):
    """Column names by role, where the usual names do not find them. "" means: find it."""

    user: str = ""
    time: str = ""
    action: str = ""
    text: str = ""
    item: str = ""
    place: str = ""
    app: str = ""
    media: str = ""
    duration: str = ""
    end: str = ""
    date: str = ""
    offset: str = ""
    category: str = ""
    brand: str = ""
    price: str = ""
    marker: str = ""
    result: str = ""


with warnings.catch_warnings():
    # `schema` was a method of pydantic's first version, which still warns of fields called so
    warnings.filterwarnings("ignore", 'Field name "schema"', UserWarning)

    class InputSettings(Section):
        """What to read."""

        paths: tuple[str, ...] = ()
        user: str = ""
        profiles: str = ""
        timezone: str = ""
        encoding: str = ""
        sheet: str = ""
        table: str = ""
        dayfirst: bool | None = None
        duration_unit: DurationUnit = "s"
        header: tuple[str, ...] = ()
        schema: str = ""  # type: ignore[assignment]  # hides that method
        keep_duplicates: bool = False
        strict: bool = False
        shard: Annotated[str, AfterValidator(_shard)] = ""
        max_rejects: Annotated[float, Field(ge=0, le=1)] = 0.05
        columns: InputColumns = InputColumns()


class ProfileSettings(Section):
    """Which columns of the profiles may leave the machine."""

    columns: tuple[str, ...] = ("age", "gender", "occupation", "city")


class PriceSettings(Section):
    """Price of a million tokens, and what a tier costs against the ordinary one; None: unknown."""

    input: float | None = Field(default=None, ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    output: float | None = Field(default=None, ge=0)
    currency: str = "USD"
    flex: float | None = Field(default=None, ge=0)
    batch: float | None = Field(default=None, ge=0)

    def of_tokens(self) -> Price:
        """Return what calls are priced with."""
        return Price.of(self.model_dump())


class LlmSettings(Section):
    """The endpoint and how to talk to it. `omit`: parameters that are never sent."""

    preset: str = ""
    provider: ProviderChoice = "auto"
    model: str = ""
    tier: TierName = "standard"
    base_url: str = "https://api.openai.com/v1"
    api_key_env: Variable = "OPENAI_API_KEY"
    stream: bool = True
    temperature: float | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    omit: tuple[Omittable, ...] = ()
    constrain: Literal["auto", "none", "grammar", "schema"] = "auto"
    grammar_field: GrammarField = ""
    extra_body: dict[str, Any] = {}
    extra_headers: dict[str, SecretStr] = {}
    proxy: str = ""
    ca_file: str = ""
    connect_timeout: Seconds = 10.0
    idle_timeout: Seconds = 120.0
    call_timeout: Seconds = 900.0
    longest_wait: Seconds = 900.0
    tokens_per_second: Annotated[float, Field(gt=0)] = 60.0
    price: PriceSettings = PriceSettings()

    @field_validator("extra_body")
    @classmethod
    def _can_be_sent(cls, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            orjson.dumps(fields)
        except TypeError:
            message = _("it takes values that JSON has, and whole numbers of 64 bits at most")
            raise ValueError(message) from None
        return fields


class ExampleSettings(Section):
    """A worked example of the user's own: lines of a log, and the events that are wanted, under `# date` both."""

    log: str
    events: str


class PromptSettings(Section):
    """What is asked, and in which form the answer is wanted."""

    template: str = ""
    language: Literal["auto", "zh", "en"] = "auto"
    answer: AnswerForm = "lines"
    detail: Detail = "day"
    pause: Annotated[int, Field(ge=0, le=1440)] = 30
    summary: Literal["short", "none"] = "short"
    guidance: str = ""
    examples: tuple[ExampleSettings, ...] = ()
    tokenizer: str = "cl100k_base"


class CompactionSettings(Section):
    """How behaviors become short lines."""

    level: Compaction = "line"
    strip: tuple[str, ...] = ("XX",)


class BudgetSettings(Section):
    """What one call may hold."""

    max_input_tokens: Amount = 40_000
    max_output_tokens: Amount = 8_192
    max_users: Amount = 30


class RunSettings(Section):
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
    min_grounded: Annotated[float, Field(ge=0, le=1)] = 0.5


class ExtendSettings(Section):
    """What an extension of a run takes in."""

    lateness: Annotated[str, AfterValidator(_time)] = "2 days"

    @property
    def lateness_seconds(self) -> int:
        """How far before a user's last known behavior a new one may lie."""
        number, unit = self.lateness.split()
        return int(number) * _UNITS[unit.removesuffix("s")]


class BatchSettings(Section):
    """How the jobs of a batch service are driven. 0 or "": no limit, or as the preset has it."""

    window: str = ""
    max_enqueued_tokens: Limit = 0
    max_requests: Limit = 0
    poll_seconds: Seconds = 30.0
    cancel_after: Annotated[float, Field(ge=0)] = 0.0
    live_calls: Annotated[int, Field(ge=0, le=100)] = 3
    live_share: Annotated[float, Field(ge=0, le=1)] = 0.05


class ClusterSettings(Section):
    """Where calls are made. `ray_address`: "" starts a cluster of this machine alone."""

    engine: Literal["local", "ray"] = "local"
    ray_address: str = ""


class RulesSettings(Section):
    """The built-in rules provider. "": the mapping that ships with the package."""

    file: str = ""


class Settings(Section):
    """Everything that can be set. Read with `load_settings`."""

    lang: Literal["auto", "en", "zh"] = "auto"
    input: InputSettings = InputSettings()
    profiles: ProfileSettings = ProfileSettings()
    llm: LlmSettings = LlmSettings()
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

    @field_validator("events")
    @classmethod
    def _in_vocabulary(cls, events: EventSettings, info: ValidationInfo) -> EventSettings:
        vocabulary = info.data.get("vocabulary")
        if vocabulary is None:  # wrong itself
            return events
        categories = {category.name for category in vocabulary.categories}
        types = {kind.name for kind in vocabulary.types}
        types_hold = types and not vocabulary.open
        for number, rule in enumerate(events.must, 1):
            if rule.category and rule.category not in categories:
                message = _("rule {number} of must: unknown category: {names}")
                raise ValueError(message.format(number=number, names=rule.category))
            unknown = {rule.type, rule.added_type} - types - {vocabulary.other, ""}
            if types_hold and unknown:
                message = _("rule {number} of must: unknown type: {names}")
                raise ValueError(message.format(number=number, names=", ".join(unknown)))
        return events

    @property
    def provider(self) -> ProviderName:
        """The name of the provider in force."""
        return kind_of(self.llm.provider, model=self.llm.model, preset=self.llm.preset).name


class _Environment(BaseSettings, Settings):
    """The settings as pydantic-settings looks for them in the environment."""

    model_config = SettingsConfigDict(env_prefix="EVENTABS_", env_nested_delimiter="__")


def load_settings(
    config: Path | None,
    flags: Mapping[str, Any],
    *,
    base: Mapping[str, Any] | None = None,
    isolated: bool = False,
) -> Settings:
    """Lay TOML, EVENTABS_* and flags (nested, as in the TOML) over the preset that they name, `base` and the defaults.

    `isolated`: without EVENTABS_* variables.

    Raises WrongSettingsError with all faults, each named by its key and where it was set.
    """
    layers = _layers(config, flags, isolated=isolated)
    values = over_stored(base or {}, reduce(overlay, layers.values(), {}))
    layers = {_("the run directory"): base or {}, **layers}
    try:
        return Settings(**values)
    except ValidationError as error:
        faults = described(error, partial(_origin, layers), _names(), _("settings"))
        raise WrongSettingsError(list(faults)) from None


def _names() -> list[str]:
    return list(_names_in(Settings))


def _names_in(model: type[BaseModel]) -> Iterator[str]:
    """Yield the dotted names of a table's keys, those of the tables inside too."""
    for key, field in model.model_fields.items():
        yield key
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{key}.{inner}" for inner in _names_in(field.annotation))


def named_values(config: Path | None, flags: Mapping[str, Any], *, isolated: bool = False) -> dict[str, Any]:
    """Return what TOML, EVENTABS_* and flags name, the later over the earlier. Raises ConfigError."""
    return reduce(overlay, _layers(config, flags, isolated=isolated).values(), {})


def _layers(config: Path | None, flags: Mapping[str, Any], *, isolated: bool) -> dict[str, Mapping[str, Any]]:
    return {
        str(config): read_toml(config) if config else {},
        _("environment"): {} if isolated else environment_values(),
        _("settings"): flags,
    }


def _origin(layers: Mapping[str, Mapping[str, Any]], steps: Sequence[Step]) -> str:
    """Name the uppermost of the layers that know most of the steps to a setting."""
    return max(reversed(list(layers)), key=lambda name: _known(layers[name], steps))


def _known(layer: Any, steps: Sequence[Step]) -> int:  # noqa: ANN401  whatever stands in a TOML
    if steps and isinstance(layer, Mapping) and steps[0] in layer:
        return 1 + _known(layer[steps[0]], steps[1:])
    return 0


def environment_values() -> dict[str, Any]:
    """Return what EVENTABS_* variables set, nested: EVENTABS_LLM__MODEL is llm.model.

    Raises ConfigError for a variable that no setting has, or a value that cannot be parsed.
    """
    known = {"config", *Settings.model_fields}
    for variable in os.environ:
        name = variable.lower()
        if name.startswith("eventabs_") and name.removeprefix("eventabs_").partition("__")[0] not in known:
            message = _("there is no setting for {variable}; one looks like EVENTABS_LLM__MODEL")
            raise ConfigError(message.format(variable=variable))
    try:
        values = EnvSettingsSource(_Environment)()
    except SettingsError as error:
        message = _("an EVENTABS_ variable cannot be read ({error}); lists and tables are written as JSON")
        raise ConfigError(message.format(error=error)) from None
    if not values.get("lang"):  # an empty EVENTABS_LANG unsets the variable, as with LANG
        values.pop("lang", None)
    return values


_FILES = {"input": ["profiles"], "llm": ["ca_file"], "prompt": ["template", "tokenizer"], "rules": ["file"]}


def with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    """Return the settings with every file named from `folder`, so that another folder can use them."""
    changed: dict[str, Section] = {}
    for name, keys in _FILES.items():
        section = getattr(settings, name)
        paths = {key: path for key in keys if (path := getattr(section, key))}
        if not paths.get("tokenizer", ".json").endswith(".json"):  # a name, no file
            del paths["tokenizer"]
        absolute = {key: path if is_address(path) else str(folder / path) for key, path in paths.items()}
        changed[name] = section.model_copy(update=absolute)
    return settings.model_copy(update=changed)
