"""Tiny requests that show what an endpoint takes. Each costs a few dozen tokens, more where a model thinks."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx

from eventabs.errors import RejectedRequestError, TransientError
from eventabs.language import gettext as _
from eventabs.providers.openai.chat import OpenAIProvider
from eventabs.providers.openai.endpoint import (
    Address,
    CallLimits,
    Endpoint,
    Sampling,
    one_line,
    parse_address,
)
from eventabs.providers.openai.errors import Origin, explain, explain_refusal, find_fault
from eventabs.providers.openai.transport import BROKEN, Channel, pieces, translate
from eventabs.providers.openai.wire import PayloadReader, parse_json
from eventabs.records import JsonSchemaFormat, Message, Reply, Request, Usage

# how servers name a model's context: vLLM and SGLang, Moonshot and OpenRouter, Groq, LM Studio
_CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
_COMPLETIONS = "/chat/completions"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model by its name at the endpoint. `context_tokens`: as the server runs it; None: it does not say."""

    name: str
    context_tokens: int | None = None


async def list_models(endpoint: Endpoint, limits: CallLimits) -> tuple[ListedModel, ...]:
    """Ask for the list of models. Raises ConfigError and the subclasses of EndpointError; many have no list."""
    address = parse_address(endpoint)
    url = address.url.copy_with(path=address.url.path.removesuffix(_COMPLETIONS) + "/models")
    async with aclosing(Channel(endpoint, address, limits)) as channel:
        try:
            async with asyncio.timeout(limits.call_timeout):
                response = await channel.send("GET", url)
                body = await _read(response, limits.reply_bytes)
        except TimeoutError:
            message = _("{host} sends no list of models in time; it may pass")
            raise TransientError(message.format(host=address.host)) from None
        except BROKEN as error:
            raise translate(error, address) from None
    return _understand(body, response, address, limits)


async def _read(response: httpx.Response, limit: int) -> bytes:
    reader = PayloadReader(encoding=response.headers.get("content-encoding", "").strip().lower(), limit=limit)
    try:
        async for raw in pieces(response):
            reader.feed(raw)
    finally:
        await response.aclose()
    return b"".join(reader.finish()) or reader.head


def _understand(
    body: bytes, response: httpx.Response, address: Address, limits: CallLimits
) -> tuple[ListedModel, ...]:
    origin = Origin(
        response.status_code,
        response.headers,
        time.time(),
        address.host,
        address.secrets,
        limits.longest_wait,
    )
    if not response.is_success:
        raise explain_refusal(body, origin)
    payload = parse_json(body)
    entries = payload.get("data", payload.get("models")) if isinstance(payload, dict) else payload
    if isinstance(entries, list):
        return tuple(_models(entries, address.secrets))
    if fault := find_fault(payload):
        raise explain(fault, origin)
    said = one_line(body[:1024].decode("utf-8", "replace"), address.secrets)
    message = _("{host} did not answer with a list of models: {said}; check llm.base_url")
    raise TransientError(
        message.format(host=address.host, said=said or _("nothing")), status=response.status_code
    )


def _models(entries: list[Any], secrets: tuple[str, ...]) -> Iterator[ListedModel]:
    for entry in entries:
        name = entry.get("id") or entry.get("name") if isinstance(entry, dict) else entry
        if isinstance(name, str) and name:
            yield ListedModel(one_line(name, secrets), _context(entry) if isinstance(entry, dict) else None)


def _context(entry: Mapping[str, Any]) -> int | None:
    found = [entry.get(field) for field in _CONTEXT_FIELDS]
    meta = entry.get("meta")
    if isinstance(meta, dict):  # llama.cpp, where n_ctx_train is not what is in force
        found.append(meta.get("n_ctx"))
    return next((tokens for tokens in found if type(tokens) is int and tokens > 0), None)


Support = Literal["yes", "ignored", "no", "unknown"]
LimitName = Literal["max_tokens", "max_completion_tokens"]

_HELLO = "Answer with one word: ready"
_HELLO_TOKENS = 512  # enough for a model that thinks a little first
_COUNT = "Count from 1 to 200, separated by spaces. Write nothing else."
_COUNT_TOKENS = 16
_SLACK = 2  # times the limit that an answer may have before it counts as unlimited
_CHARACTERS_A_TOKEN = 8  # at most, in such an answer
_JSON = "Answer in JSON: are you ready?"
_KEY = "ready_to_read_exports"  # no model would choose it by itself
_SCHEMA: JsonSchemaFormat = {
    "type": "json_schema",
    "json_schema": {
        "name": "readiness",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {_KEY: {"type": "boolean"}},
            "required": [_KEY],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """A reply, and the parameters that were not sent: omitted, or refused by the endpoint."""

    reply: Reply
    left_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class OutputLimit:
    """The parameter that limits an answer's length, and whether it does. `tokens` came where `asked` were allowed."""

    name: LimitName
    support: Support
    tokens: int
    asked: int = _COUNT_TOKENS


class Prober:
    """Asks an endpoint as a run would ask it. Raises ConfigError when made with settings that cannot work.

    Every question raises the subclasses of EndpointError. What the endpoint has refused is not sent again.
    `spent`: the tokens of all answers so far.
    """

    def __init__(self, endpoint: Endpoint, sampling: Sampling, limits: CallLimits) -> None:
        self._secrets = parse_address(endpoint).secrets
        self._endpoint = endpoint
        self._sampling = sampling
        self._limits = limits
        self.spent = Usage()

    async def say_hello(self, *, stream: bool | None = None) -> ProbeReply:
        """Ask for one word, with everything that the settings send; `stream` as they have it unless it is given."""
        stream = self._sampling.stream if stream is None else stream
        return await self._ask(_HELLO, _HELLO_TOKENS, replace(self._sampling, stream=stream))

    async def find_output_limit(self) -> OutputLimit:
        """Ask for more than the limit allows, by the other of the two parameters where the first is ignored."""
        first = await self._count_up(self._sampling)
        if first.support == "ignored" and first.name == "max_tokens":
            omit = self._sampling.omit | {"max_tokens"}
            second = await self._count_up(replace(self._sampling, omit=omit))
            if second.support == "yes":
                return second
        return first

    async def keeps_schema(self) -> Support:
        """Ask under a json_schema with a key that only the schema names."""
        return await self._in_json(self._sampling, _SCHEMA, key=_KEY)

    async def keeps_json(self) -> Support:
        """Ask under json_object."""
        extra_body = {**self._sampling.extra_body, "response_format": {"type": "json_object"}}
        return await self._in_json(replace(self._sampling, extra_body=extra_body), None, key="")

    def shown(self, text: str) -> str:
        """Return foreign text as one line without secrets."""
        return one_line(text, self._secrets)

    async def _in_json(
        self, sampling: Sampling, response_format: JsonSchemaFormat | None, *, key: str
    ) -> Support:
        sampling = replace(sampling, omit=sampling.omit - {"response_format"})
        try:
            answer = await self._ask(_JSON, _HELLO_TOKENS, sampling, response_format)
        except RejectedRequestError:
            return "no"
        if "response_format" in answer.left_out:
            return "no"
        if answer.reply.finish_reason != "stop":
            return "unknown"
        value = parse_json(answer.reply.text.strip().encode())
        return "yes" if isinstance(value, dict) and (not key or key in value) else "ignored"

    async def _count_up(self, sampling: Sampling) -> OutputLimit:
        try:
            answer = await self._ask(_COUNT, _COUNT_TOKENS, sampling)
        except RejectedRequestError:  # so say models that cannot think in so few tokens
            return OutputLimit(
                "max_completion_tokens" if "max_tokens" in sampling.omit else "max_tokens", "unknown", 0
            )
        reply = answer.reply
        tokens = reply.usage.completion_tokens or len(reply.text) // _CHARACTERS_A_TOKEN
        unlimited = tokens - reply.usage.reasoning_tokens > _COUNT_TOKENS * _SLACK
        support: Support = "ignored" if unlimited else "yes" if reply.finish_reason == "length" else "unknown"
        name: LimitName = "max_completion_tokens" if "max_tokens" in answer.left_out else "max_tokens"
        return OutputLimit(name, support, tokens)

    async def _ask(
        self, text: str, most_tokens: int, sampling: Sampling, response_format: JsonSchemaFormat | None = None
    ) -> ProbeReply:
        provider = OpenAIProvider(self._endpoint, sampling, self._limits)
        message: Message = {"role": "user", "content": text}
        request = Request((message,), {}, 0, most_tokens, response_format)
        try:
            reply = await provider.complete(request)
        finally:
            await provider.aclose()
        self.spent = Usage(*(sum(pair) for pair in zip(self.spent, reply.usage, strict=True)))
        refused = provider.dropped - sampling.omit - {"response_format"}
        self._sampling = replace(self._sampling, omit=self._sampling.omit | refused)
        return ProbeReply(reply, provider.dropped)
