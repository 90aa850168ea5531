"""An OpenAI-compatible endpoint as the settings describe it, its prices, and presets of known vendors; and the bodies of /chat/completions, secrets masked.

https://platform.openai.com/docs/api-reference/chat, and what compatible servers make of it.
"""

import ipaddress
import json
import re
import tomllib
import unicodedata
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import quote, urlsplit

import orjson
from pydantic import BaseModel, Field, SecretStr, field_validator

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import gettext as _
from eventabs.setting_choices import ProviderChoice, TierName
from eventabs.shared_records import Counts, FinishReason, Record, Reply, Request, TomlTable, Usage

# where a request carries a grammar: llama.cpp, vLLM, vLLM before 0.12, SGLang; "": nowhere
GrammarField = Literal["", "grammar", "structured_outputs", "guided_grammar", "ebnf"]


class Price(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Price of a million tokens at the ordinary tier, and the factors of others; None: unknown, so that a cost is too high rather than too low."""

    input: float | None = Field(default=None, ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    output: float | None = Field(default=None, ge=0)
    currency: str = "USD"
    flex: float | None = Field(default=None, ge=0)
    batch: float | None = Field(default=None, ge=0)

    def factor(self, tier: str) -> float | None:
        """Return what a tier costs against the ordinary one."""
        return {"flex": self.flex, "batch": self.batch}.get(tier)

    def cost(
        self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0, tier: str = ""
    ) -> float | None:
        """Return what tokens cost, None where a price is missing. Cached tokens are part of the prompt's."""
        if self.input is None or self.output is None:
            return None
        cached_input = self.input if self.cached_input is None else self.cached_input
        prompt = (prompt_tokens - cached_tokens) * self.input + cached_tokens * cached_input
        factor = self.factor(tier)
        return (1.0 if factor is None else factor) * (prompt + completion_tokens * self.output) / 1e6

    def total(self, counts: Counts) -> float | None:
        """Return what all calls of a run cost, each at its tier; None where a price is missing."""
        costs = [cost for cost in self.by_tier(counts).values() if cost is not None]
        return sum(costs) if costs else None

    def by_tier(self, counts: Counts) -> dict[str, float | None]:
        """Return what the calls of each tier cost."""
        return {
            tier: self.cost(use["prompt_tokens"], use["completion_tokens"], use["cached_tokens"], tier)
            for tier, use in counts.by_tier.items()
        }


class Tier(BaseModel, frozen=True, extra="forbid"):
    """How a tier is asked for, "" the ordinary one: fields of a request, what it sets in [llm], and its address for each ordinary one, if it has another."""

    name: str = ""
    body: dict[str, Any] = {}
    llm: dict[str, Any] = {}
    base_urls: dict[str, str] = {}


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]  # a key in its place is refused unseen
Seconds = Annotated[float, Field(gt=0)]
Omittable = Literal["response_format", "stream_options", "temperature", "seed", "max_tokens"]


class LlmSettings(TomlTable):
    """[llm] of the settings: the endpoint, and how to talk to it. Fields of `extra_body` take the place of ours and the tier's."""

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
    idle_timeout: Seconds = 120.0
    call_timeout: Seconds = 900.0
    longest_wait: Seconds = 900.0
    tokens_per_second: Annotated[float, Field(gt=0)] = 60.0
    price: Price = Price()

    @field_validator("extra_body")
    @classmethod
    def _can_be_sent(cls, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            orjson.dumps(fields)
        except TypeError:
            message = _("it takes values that JSON has, and whole numbers of 64 bits at most")
            raise ValueError(message) from None
        return fields


class Endpoint(Record):
    """An OpenAI-compatible endpoint: [llm], with the address of its tier, and the key. `repr` shows nothing that may hold a secret."""

    llm: LlmSettings = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tier: Tier = field(default=Tier(), repr=False)
    connect_timeout: float = 10.0
    connections: int = 100
    reply_characters: int = 512 * 1024  # of text and reasoning, some 120,000 tokens; more is not read

    def changed(self, **llm: Any) -> "Endpoint":  # noqa: ANN401  of LlmSettings
        """Return the same with other values of [llm]."""
        return replace(self, llm=self.llm.model_copy(update=llm))


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its name or number; names are not looked up."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


_PRESETS = Path(__file__).parents[1] / "presets"  # one TOML file each


class KnownPrice(Price, frozen=True, extra="forbid", defer_build=True):
    """Price at the preset's own address, as `source` had it when it was read."""

    input: float
    output: float
    source: str
    read: date


class KnownModel(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Facts of the models whose names match one of the patterns. None: as the preset has it, or unknown."""

    names: tuple[str, ...] = ()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: KnownPrice | None = None
    repriced_above: int | None = None  # tokens of a prompt, beyond which all of a call has a higher price
    omit: tuple[str, ...] | None = None
    extra_body: dict[str, Any] | None = None


class BatchProfile(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """How a batch service is spoken to, and what one file may hold; OpenAI's own, where a preset says nothing else. Paths follow the base URL."""

    url: str = "/v1/chat/completions"  # in each line
    upload_path: str = "/files"
    purpose: str = "batch"
    needs_file_name: bool = False  # as a field of its own
    takes_metadata: bool = True
    window: str = "24h"  # "": the service takes none
    max_requests: int = 50_000
    max_bytes: int = 200_000_000
    statuses: dict[str, str] = {}  # OpenAI's names of states by the service's own, in lower case


class Preset(BaseModel, frozen=True, extra="forbid", defer_build=True):
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

    def find_tier(self, name: str) -> Tier:
        """Return how a tier is asked for. Raises ConfigError where the preset has none."""
        if name != "flex":
            return Tier()
        if self.flex is None:
            message = _("{preset} has no tier flex that is known; take the ordinary one: --tier standard")
            raise ConfigError(message.format(preset=self.name))
        return self.flex.model_copy(update={"name": name})

    def settings(self, model: str) -> dict[str, Any]:
        """Return the values of [llm] that the preset sets for a model."""
        known = self.known_model(model)
        price = known.price.model_dump(exclude={"source", "read", "flex", "batch"}) if known.price else {}
        told = self.model_dump(include={"base_url", "api_key_env", "omit", "grammar_field", "extra_body"})
        told |= known.model_dump(include={"omit", "extra_body"}, exclude_none=True)
        return {**told, "price": {**self.price_factors, **price}}


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, in order."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _PRESETS.iterdir()))


# OpenAI's, which Azure and others have taken over:
# https://developers.openai.com/api/docs/guides/flex-processing, read on 2026-11-25
_USUAL_FLEX = Tier(body={"service_tier": "flex"}, llm={"idle_timeout": 900.0, "call_timeout": 900.0})
_NO_PRESET = Preset.model_construct(
    name="", source=(), read=date.min, base_url="", api_key_env="OPENAI_API_KEY", flex=_USUAL_FLEX
)


def endpoint_of(llm: LlmSettings, environment: Mapping[str, str], connections: int = 1) -> Endpoint:
    """Return where requests go, by N connections, with the key of the environment. Raises ConfigError where the preset has no such tier there."""
    known = load_preset(llm.preset)
    tier = known.find_tier(llm.tier)
    base_url = tier.base_urls.get(llm.base_url, llm.base_url)
    # an address that the preset does not know is taken as the tier's
    if tier.base_urls and base_url in (known.base_url, *known.other_base_urls):
        message = _(
            "{host} has no tier {tier}; set llm.base_url = {addresses}, or take the ordinary one: --tier standard"
        )
        addresses = ", ".join(tier.base_urls)
        raise ConfigError(message.format(host=urlsplit(base_url).netloc, tier=tier.name, addresses=addresses))
    field = llm.grammar_field or ("grammar" if llm.constrain == "grammar" else "")
    llm = llm.model_copy(update={"base_url": base_url, "grammar_field": field})
    headers = {name: value.get_secret_value() for name, value in llm.extra_headers.items()}
    return Endpoint(llm, environment.get(llm.api_key_env) or None, headers, tier, connections=connections)


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
    text = (_PRESETS / f"{name}.toml").read_text(encoding="utf-8")
    return Preset(name=name, **tomllib.loads(text))


# Parameters that a request can do without; max_completion_tokens takes the place of max_tokens.
DROPPABLE = frozenset(get_args(Omittable))
GRAMMAR_FIELDS = frozenset(get_args(GrammarField)) - {""}


def grammar_parameter(grammar: str, field: GrammarField) -> dict[str, Any]:
    """Return the part of a body that binds the answer to a grammar; {} without grammar or field."""
    if not grammar or not field:
        return {}
    return {field: {"grammar": grammar} if field == "structured_outputs" else grammar}


def build_body(request: Request, endpoint: Endpoint, dropped: Collection[str]) -> dict[str, Any]:
    """Build the JSON body of a request, without the dropped parameters."""
    parameters: dict[str, Any] = {
        "model": endpoint.llm.model,
        "messages": list(request.messages),
        "stream": endpoint.llm.stream,
        "temperature": endpoint.llm.temperature,
        "seed": endpoint.llm.seed,
        "response_format": request.response_format,
        "max_tokens": request.max_output_tokens,
        "stream_options": {"include_usage": True} if endpoint.llm.stream else None,
        **grammar_parameter(request.grammar, endpoint.llm.grammar_field),
    }
    body = {name: value for name, value in parameters.items() if value is not None and name not in dropped}
    if "max_tokens" in dropped or "max_completion_tokens" in endpoint.llm.extra_body:
        body.pop("max_tokens", None)
        body["max_completion_tokens"] = request.max_output_tokens
    return body | endpoint.tier.body | endpoint.llm.extra_body


def parse_json(data: bytes) -> object:
    """Parse JSON, also with broken UTF-8 or half surrogate pairs in its strings. None: not JSON."""
    try:  # for every piece of a stream
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        with suppress(ValueError, RecursionError):
            return json.loads(data.decode("utf-8-sig", "replace"))
        return None


class UnreadableBodyError(Exception):
    """The answer is larger than allowed, or compressed in an encoding that was not requested."""


_USUAL_EVENTS = re.compile(rb"(?:data: [^\r\n]*\n\n)++")  # each of one line


class PayloadReader:
    """Splits an answer into the data of its events, or takes it as one document, as its first byte says: headers are often wrong.

    Works on bytes, so a character split between two chunks stays whole. `limit`: characters of a document, or of an event.
    """

    def __init__(self, headers: Mapping[str, str], *, limit: int) -> None:
        self.head = b""  # the first bytes that are not blank, to describe an answer without payloads
        self.is_document = False  # one document, JSON or not; else events
        is_plain = headers.get("content-encoding", "").strip().lower() in {"", "identity"}
        # 32: gzip or zlib by its header; what is packed in another way has neither
        self._inflater = None if is_plain else zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._limit = limit * 6  # bytes: JSON may escape each character
        self._size = 0  # bytes since the last payload
        self._unfinished: list[bytes] = []  # pieces of the document, or of the line that has not ended yet
        self._data: list[bytes] = []  # of the event that has not ended yet

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add the next bytes; return the payloads that they complete. Raises UnreadableBodyError."""
        if self._inflater:
            try:
                chunk = self._inflater.decompress(chunk, self._limit + 1)  # one more is too many
            except zlib.error:
                raise UnreadableBodyError from None
        self._size += len(chunk)
        if not self.head:
            chunk = chunk.lstrip(b"\xef\xbb\xbf \t\r\n")
            self.head = chunk[:1024]
            self.is_document = self.head.startswith((b"{", b"[", b"<"))
        if self._size > self._limit:
            raise UnreadableBodyError
        self._unfinished.append(chunk)
        if self.is_document or not (b"\n" in chunk or b"\r" in chunk):
            return []
        whole = b"".join(self._unfinished)
        end = 1 + max(whole.rfind(b"\n"), whole.rfind(b"\r", 0, -1))  # a \r at the end may be half of \r\n
        self._unfinished = [whole[end:]]
        if payloads := self._events(whole[:end]):
            self._size = 0
        return payloads

    def finish(self) -> list[bytes]:
        """Return the payloads that the end of the answer completes."""
        whole = b"".join(self._unfinished)
        if not (whole or self._data):
            return []
        return [whole] if self.is_document else self._events(whole + b"\n\n")

    def _events(self, lines: bytes) -> list[bytes]:
        if not self._data and _USUAL_EVENTS.fullmatch(lines):
            return lines[6:-2].split(b"\n\ndata: ")
        events = []
        for line in lines.splitlines():
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events


_FINISH_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",  # Mistral
    "model_context_window_exceeded": "length",  # GLM
    "content_filter": "content_filter",
    "sensitive": "content_filter",  # GLM
    "network_error": "interrupted",  # GLM
    "insufficient_system_resource": "interrupted",  # DeepSeek
    "error": "interrupted",  # OpenRouter
    "abort": "interrupted",  # vLLM, SGLang
}
_THOUGHTS = frozenset({"reasoning_content", "reasoning", "thinking"})
_ORDINARY_TIERS = frozenset({"auto", "default", "standard", "on_demand"})  # OpenAI, Gemini, Groq
_TIER_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_MAX_TOKENS = 10**9  # no call has more; a server's false count must not spoil the sums


class ReplyAssembler:
    """Assembles a reply from the payloads of a stream, or from the one payload of a document."""

    def __init__(self) -> None:
        self._text = bytearray()  # UTF-8: strings of one or two characters would take thirty times as much
        self._reasoning = bytearray()
        self.finish_reason: FinishReason | None = None  # also `stop` after [DONE]
        self._usage = Usage()
        self._cached_apart = 0  # tokens, as servers count them that leave them out of their usage
        self._tier = ""
        self.characters = 0  # of text and reasoning
        self.is_recognized = False  # whether any payload was one of a chat completion
        self.is_streamed = False  # whether the payloads come as events

    def add(self, payload: Mapping[str, Any]) -> None:
        """Add one payload. Never raises, whatever the payload holds."""
        usage = payload.get("usage")
        choices = payload.get("choices")
        if isinstance(choices, list):
            self.is_recognized = True
            if choices and isinstance(choice := choices[0], dict):
                self._add_choice(choice)
                usage = usage or choice.get("usage")  # Moonshot
        if usage and isinstance(usage, dict):
            prompt, completion = count_in(usage, "prompt_tokens"), count_in(usage, "completion_tokens")
            reasoning = count_in(usage.get("completion_tokens_details"), "reasoning_tokens")
            # OpenAI, Qwen, GLM, vLLM and llama.cpp have it in the details; Moonshot and DeepSeek have fields of their own
            cached = count_in(usage.get("prompt_tokens_details"), "cached_tokens")
            cached = cached or count_in(usage, "cached_tokens") or count_in(usage, "prompt_cache_hit_tokens")
            # xAI and Gemini count reasoning beside the completion, but in the total:
            # https://docs.x.ai/docs/key-information/consumption-and-rate-limits
            beside = max(0, count_in(usage, "total_tokens") - prompt - completion) if prompt else 0
            # some gateways end with zeros, or send each count in a payload of its own
            if prompt:
                had = self._usage.completion_tokens
                self._usage = Usage(prompt, completion + beside or had, max(reasoning, beside), cached)
            elif completion:
                self._usage = self._usage._replace(completion_tokens=completion)
        # llama.cpp before February 2026: https://github.com/ggml-org/llama.cpp/pull/15827, #19361
        if "timings" in payload and isinstance(timings := payload["timings"], dict):
            self._cached_apart = count_in(timings, "cache_n")
        if "service_tier" in payload and isinstance(tier := payload["service_tier"], str):
            self._tier = tier

    def end(self) -> None:
        """Mark the answer as whole, also if no finish_reason came: after [DONE], or a document."""
        self.finish_reason = self.finish_reason or "stop"

    def build(self, *, seconds: float, tier: str = "") -> Reply:
        """Return the reply as far as it came; `tier` served it, if the server names none."""
        usage = self._usage
        cached = min(usage.cached_tokens or self._cached_apart, usage.prompt_tokens)
        if _TIER_NAME.fullmatch(self._tier):
            tier = "" if self._tier in _ORDINARY_TIERS else self._tier
        return Reply(
            text=_whole(self._text),
            finish_reason=self.finish_reason or "interrupted",
            reasoning=_whole(self._reasoning),
            usage=usage._replace(cached_tokens=cached),
            usage_reported=usage.prompt_tokens > 0,  # no prompt has none
            seconds=seconds,
            streamed=self.is_streamed,
            tier=tier,
        )

    def _add_choice(self, choice: dict[str, Any]) -> None:
        if choice.get("index"):
            return
        # MiniMax repeats the whole message after the last delta
        message = choice.get("delta") or (None if self.characters else choice.get("message"))
        if isinstance(message, dict):
            get = message.get
            if content := get("content") or get("refusal"):
                self._add_content(content, self._text)
            if not _THOUGHTS.isdisjoint(message):
                thought = get("reasoning_content") or get("reasoning") or get("thinking")
                self._add_content(thought, self._reasoning)
        if (reason := choice.get("finish_reason")) and isinstance(reason, str):
            self.finish_reason = _FINISH_REASONS.get(reason, "stop")

    def _add_content(self, content: object, into: bytearray) -> None:
        """Add a string, or a list of parts as Mistral and others send them."""
        if isinstance(content, str):
            into += content.encode("utf-8", "surrogatepass")
            self.characters += len(content)
        elif isinstance(content, list):
            for part in content:
                if isinstance(part, dict):
                    self._add_content(part.get("text"), into)
                    self._add_content(part.get("thinking"), self._reasoning)


def _whole(pieces: bytearray) -> str:
    try:
        return pieces.decode()
    except UnicodeDecodeError:  # a surrogate pair that came in two halves becomes one character again
        text = pieces.decode("utf-8", "surrogatepass")
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def count_in(document: object, name: str) -> int:
    """Return the number under a name, as far as it is one."""
    value = document.get(name) if isinstance(document, dict) else None
    try:
        return max(0, min(int(value), _MAX_TOKENS)) if value else 0  # also 12.0 and "12"
    except (TypeError, ValueError, OverflowError):
        return 0


MASK = "[redacted]"
WORD_LENGTH = 6  # a shorter secret is masked only where it stands alone: "1" is everywhere
LONG_LENGTH = 16  # a shorter secret that is no key may be a word, and is not masked in replies


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask every secret in the text."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < WORD_LENGTH:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
        else:
            for form in _forms(secret):
                text = text.replace(form, MASK)
    return text


@cache
def _forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may be written; in base64 also behind `Bearer`."""
    escaped = json.dumps(secret)[1:-1]
    percent = quote(secret, safe="")
    lower = re.sub("%..", lambda found: found[0].lower(), percent)
    texts = (text.encode() for text in (secret, f"Bearer {secret}"))
    packed = [pack(text).decode().rstrip("=") for text in texts for pack in (b64encode, urlsafe_b64encode)]
    forms = {secret, escaped, escaped.replace("/", "\\/"), percent, lower, quote(secret), *packed}
    return tuple(sorted(forms, key=len, reverse=True))


def redacted_line(text: str, secrets: Iterable[str], most: int = 300) -> str:
    """Return foreign text as one redacted line of at most `most` characters, without control characters."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    line = redact(" ".join(visible.split()), secrets)
    return line if len(line) <= most else line[: most - 1] + "…"
