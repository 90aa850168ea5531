"""The models that an endpoint says it has: GET {base_url}/models."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from eventabs.errors import TransientError
from eventabs.language import gettext as _
from eventabs.llm.endpoint import Address, CallLimits, Endpoint, parse_address
from eventabs.llm.failures import Origin, explain, explain_refusal
from eventabs.llm.faults import find_fault
from eventabs.llm.payloads import PayloadReader
from eventabs.llm.redaction import one_line
from eventabs.llm.transport import BROKEN, Channel, pieces, translate
from eventabs.llm.wire import parse_json

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
