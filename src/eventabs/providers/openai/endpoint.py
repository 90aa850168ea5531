"""An OpenAI-compatible endpoint as the settings describe it, and the presets of known vendors and servers."""

import ipaddress
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import gettext as _

# where a request carries a grammar: llama.cpp, vLLM, vLLM before 0.12, SGLang; "": nowhere
GrammarField = Literal["", "grammar", "structured_outputs", "guided_grammar", "ebnf"]


class Tier(BaseModel, frozen=True, extra="forbid"):
    """How a tier of an endpoint is asked for. `name` is "" for the ordinary one.

    `body`: fields of a request; `base_urls`: its address for each ordinary one, where it has another. `timeout`: seconds that
    a call may take, queue included.
    """

    name: str = ""
    body: dict[str, Any] = {}
    base_urls: dict[str, str] = {}
    stream: bool = True
    timeout: float | None = None

    def settings(self) -> dict[str, Any]:
        """Return the values of [llm] that the tier sets."""
        limits = {} if self.timeout is None else dict.fromkeys(("idle_timeout", "call_timeout"), self.timeout)
        return limits if self.stream else {**limits, "stream": False}


@dataclass(frozen=True, slots=True)
class Sampling:
    """The parameters of a request beside the messages. None: the endpoint's own default.

    Fields of `extra_body` take the place of ours and the tier's. `omit`: parameters that are never sent (of wire.DROPPABLE).
    """

    stream: bool = True
    temperature: float | None = None
    seed: int | None = None
    extra_body: Mapping[str, object] = field(default_factory=dict)
    omit: frozenset[str] = frozenset()
    grammar_field: GrammarField = ""
    tier: Tier = Tier()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint, and what calls to it may take, times in seconds. `repr` shows nothing that may hold a secret.

    `base_url` is the address before /chat/completions; `proxy` "" means the environment's;
    `ca_file` "" means the usual authorities. `key_variable`: of the environment, that holds the key.
    `longest_wait`: a server that asks to wait longer before the next request ends the run.
    `reply_characters`: of text and reasoning, what comes after is not read.
    """

    model: str
    base_url: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str = field(default="", repr=False)
    ca_file: str = ""
    key_variable: str = "OPENAI_API_KEY"
    sampling: Sampling = field(default=Sampling(), repr=False)
    connect_timeout: float = 10.0
    idle_timeout: float = 120.0  # between pieces of content of a stream
    call_timeout: float = 900.0  # wall clock from sending to the last byte
    longest_wait: float = 900.0
    connections: int = 100
    reply_characters: int = 512 * 1024  # some 120,000 tokens


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its name or number; names are not looked up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_PRESETS = files("eventabs.providers") / "presets"  # one TOML file each
_SUFFIX = ".toml"
_CONTEXT_STEP = 1_024  # tokens; a context is given in round numbers


class KnownPrice(BaseModel, frozen=True, extra="forbid"):
    """Price of a million tokens at the preset's own address, as `source` had it when it was read."""

    input: float
    cached_input: float | None = None
    output: float
    currency: str = "USD"
    source: str
    read: date


class KnownModel(BaseModel, frozen=True, extra="forbid"):
    """Facts of the models whose names match one of the patterns. None: as the preset has it, or unknown.

    `repriced_above`: tokens of a prompt, beyond which all of a call has a higher price.
    """

    names: tuple[str, ...] = ()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: KnownPrice | None = None
    repriced_above: int | None = None
    omit: tuple[str, ...] | None = None
    extra_body: dict[str, Any] | None = None


class BatchProfile(BaseModel, frozen=True, extra="forbid"):
    """How a batch service is spoken to, and what one file may hold; OpenAI's own, where a preset says nothing else.

    `url` is in each line; paths follow the base URL. `window` "": the service takes none. `statuses`: OpenAI's names of
    states by the service's own, in lower case.
    """

    url: str = "/v1/chat/completions"
    upload_path: str = "/files"
    purpose: str = "batch"
    needs_file_name: bool = False  # as a field of its own
    takes_metadata: bool = True
    window: str = "24h"
    max_requests: int = 50_000
    max_bytes: int = 200_000_000
    statuses: dict[str, str] = {}


class Preset(BaseModel, frozen=True, extra="forbid"):
    """A known vendor or server. `source` and `read`: where and when its facts were looked up, none of them tried."""

    name: str
    source: tuple[str, ...]
    read: date
    base_url: str
    other_base_urls: tuple[str, ...] = ()  # of other regions, with keys of their own
    api_key_env: str
    needs_key: bool = True
    suggested_model: str = ""  # named in messages, never set
    start_command: str = ""  # of a server that users run themselves, with {model} and {tokens} of context
    omit: tuple[str, ...] = ()
    grammar_field: GrammarField = ""
    extra_body: dict[str, Any] = {}
    price_factors: dict[Literal["flex", "batch"], float] = {}  # what a tier costs against the ordinary one
    least_cached_tokens: int = 0  # a shorter common beginning of prompts is not cached
    flex: Tier | None = None
    models: tuple[KnownModel, ...] = ()
    batch: BatchProfile | None = None  # None: it has no batch service that speaks OpenAI's protocol

    def known_model(self, model: str) -> KnownModel:
        """Return the facts of a model; the first pattern that its name matches counts."""
        for known in self.models:
            if any(fnmatchcase(model.lower(), pattern.lower()) for pattern in known.names):
                return known
        return KnownModel()

    def start_command_for(self, model: str, *, call_tokens: int) -> str:
        """Return the command that starts the server with room for a call; "" for a hosted endpoint."""
        tokens = -(-call_tokens // _CONTEXT_STEP) * _CONTEXT_STEP
        return self.start_command.format(model=shlex.quote(model) if model else "MODEL", tokens=tokens)

    def settings(self, model: str) -> dict[str, Any]:
        """Return the values of [llm] that the preset sets for a model."""
        known = self.known_model(model)
        price = known.price.model_dump(exclude={"source", "read"}) if known.price else {}
        return {
            "base_url": self.base_url,
            "api_key_env": self.api_key_env,
            "omit": self.omit if known.omit is None else known.omit,
            "grammar_field": self.grammar_field,
            "extra_body": self.extra_body if known.extra_body is None else known.extra_body,
            "price": {**self.price_factors, **price},
        }


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, in order."""
    names = (entry.name for entry in _PRESETS.iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


# OpenAI's, which Azure and others have taken over:
# https://developers.openai.com/api/docs/guides/flex-processing, read on 2026-11-25
_USUAL_FLEX = Tier(name="flex", body={"service_tier": "flex"}, timeout=900.0)
_NO_PRESET = Preset(
    name="", source=(), read=date.min, base_url="", api_key_env="OPENAI_API_KEY", flex=_USUAL_FLEX
)


def find_tier(name: str, preset: str) -> Tier:
    """Return how a tier is asked for, by the preset, "" without. Raises ConfigError where the preset has none."""
    if name != "flex":
        return Tier()
    known = load_preset(preset)
    if known.flex is None:
        message = _("{preset} has no tier flex that is known; take the ordinary one: --tier standard")
        raise ConfigError(message.format(preset=preset))
    return known.flex.model_copy(update={"name": name})


def tier_base_url(tier: Tier, preset: str, base_url: str) -> str:
    """Return the address of a tier, for the ordinary one that is set; another that the user named is taken as the tier's.

    Raises ConfigError where the preset knows the address as one without the tier.
    """
    if base_url in tier.base_urls or not tier.base_urls:
        return tier.base_urls.get(base_url, base_url)
    known = load_preset(preset)
    if base_url in (known.base_url, *known.other_base_urls):
        message = _(
            "{host} has no tier {tier}; set llm.base_url = {addresses}, or take the ordinary one: --tier standard"
        )
        addresses = ", ".join(tier.base_urls)
        raise ConfigError(message.format(host=urlsplit(base_url).netloc, tier=tier.name, addresses=addresses))
    return base_url


@cache
def hosts_with_keys() -> frozenset[str]:
    """Return the hosts of all vendors that are known to answer nobody without a key."""
    known = (load_preset(name) for name in preset_names())
    urls = (url for preset in known if preset.needs_key for url in (preset.base_url, *preset.other_base_urls))
    return frozenset(urlsplit(url).netloc for url in urls)


@cache
def load_preset(name: str) -> Preset:
    """Return a preset by its name; "": none, and no facts are known. Raises ConfigError for a name that no preset has."""
    if not name:
        return _NO_PRESET
    if name not in preset_names():
        message = _("there is no preset {name}; llm.preset is one of: {known}")
        raise ConfigError(message.format(name=name, known=", ".join(preset_names())))
    text = (_PRESETS / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    return Preset(name=name, **tomllib.loads(text))
