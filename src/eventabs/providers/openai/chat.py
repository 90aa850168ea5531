"""The provider that talks to an OpenAI-compatible endpoint over HTTP."""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson

from eventabs.errors import EndpointError, ModeratedError, TransientError
from eventabs.language import gettext as _
from eventabs.providers.openai.endpoint import CallLimits, Endpoint, Sampling, one_line, parse_address, redact
from eventabs.providers.openai.errors import (
    Origin,
    UnsupportedParameterError,
    explain,
    explain_refusal,
    find_fault,
)
from eventabs.providers.openai.transport import BROKEN, Channel, Deadline, pieces, translate
from eventabs.providers.openai.wire import (
    DROPPABLE,
    PayloadReader,
    ReplyAssembler,
    UnreadableBodyError,
    build_body,
    parse_json,
)
from eventabs.records import FinishReason, Reply, Request

_DONE = b"[DONE]"
_REFUSAL_BYTES = 65_536  # a longer refusal is not read to its end
_REFUSAL_SECONDS = 10.0
_ECHO_LENGTH = 16  # a secret from this length on is masked in replies too; a shorter one may be a word


class OpenAIProvider:
    """Answers requests through POST {base_url}/chat/completions.

    Parameters that the endpoint refuses (of wire.DROPPABLE) are left out from then on. Raises
    ConfigError when it is made with settings that cannot work. `clock` (monotonic) measures calls,
    `wall_clock` (Unix time) is what dates in headers are compared with.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        sampling: Sampling = Sampling(),
        limits: CallLimits = CallLimits(),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._address = parse_address(endpoint)
        self._model = endpoint.model
        self._sampling = sampling
        self._limits = limits
        self._clock = clock
        self._wall_clock = wall_clock
        self._dropped = sampling.omit
        self._echoes = tuple(secret for secret in self._address.secrets if len(secret) >= _ECHO_LENGTH)
        self._channel = Channel(endpoint, self._address, limits)

    async def complete(self, request: Request) -> Reply:
        """Answer one request; what arrived of a broken answer comes back as `interrupted`.

        Raises the subclasses of EndpointError.
        """
        while True:
            body = build_body(request, self._model, self._sampling, self._dropped)
            try:
                return await self._call(body)
            except UnsupportedParameterError as error:
                ours = body.keys() - self._sampling.extra_body.keys()
                refused = error.parameters & DROPPABLE & ours
                if not refused:
                    raise
                self._dropped |= refused

    @property
    def dropped(self) -> frozenset[str]:
        """The parameters that are not sent: omitted from the start, or refused by the endpoint since."""
        return self._dropped

    async def aclose(self) -> None:
        """Close all connections."""
        await self._channel.aclose()

    async def _call(self, body: dict[str, Any]) -> Reply:
        started = self._clock()
        assembler = ReplyAssembler()
        broken_by: FinishReason = "interrupted"
        try:
            await self._exchange(body, assembler)
        except EndpointError as error:
            if not assembler.has_content:
                raise
            if isinstance(error, ModeratedError):
                broken_by = "content_filter"
        reply = assembler.build(broken_by=broken_by, seconds=self._clock() - started)
        if reply.finish_reason == "interrupted" and not assembler.has_content:
            message = _("{host} broke off before any content; it may pass: resume later")
            raise TransientError(message.format(host=self._address.host))
        return dataclasses.replace(
            reply, text=redact(reply.text, self._echoes), reasoning=redact(reply.reasoning, self._echoes)
        )

    async def _exchange(self, body: dict[str, Any], assembler: ReplyAssembler) -> None:
        """Send the body and read the answer into the assembler, under the limits of time and size."""
        limits = self._limits
        idle_timeout = limits.idle_timeout if body.get("stream") else limits.call_timeout
        try:
            async with asyncio.timeout(None) as deadline:
                patience = Deadline(deadline, idle_timeout=idle_timeout, call_timeout=limits.call_timeout)
                response = await self._channel.send("POST", self._address.url, orjson.dumps(body))
                try:
                    await self._receive(response, assembler, patience)
                finally:
                    await response.aclose()
        except TimeoutError:
            if assembler.is_finished:
                return
            message = _(
                "{host} sent no content in time; it may pass, or raise llm.idle_timeout or call_timeout"
            )
            raise TransientError(message.format(host=self._address.host)) from None
        except BROKEN as error:
            raise translate(error, self._address) from None

    async def _receive(self, response: httpx.Response, assembler: ReplyAssembler, patience: Deadline) -> None:
        origin = self._origin(response)
        if not response.is_success:
            raise explain_refusal(await _read_refusal(response), origin)
        reader = PayloadReader(encoding=_encoding(response), limit=self._limits.reply_bytes)
        async for raw in pieces(response):
            payloads = reader.feed(raw)
            assembler.is_streamed = not reader.is_document
            if self._add(payloads, assembler, origin) or (reader.is_document and not raw.isspace()):
                patience.renew()
            if payloads and payloads[-1] == _DONE:
                patience.hurry()
        self._add(reader.finish(), assembler, origin)
        if reader.is_document:
            assembler.end()
        if not assembler.is_recognized:
            said = one_line(reader.head.decode("utf-8", "replace"), self._address.secrets)
            message = _("{host} did not answer with a chat completion: {said}; check llm.base_url")
            raise TransientError(message.format(host=self._address.host, said=said or _("nothing")))

    def _add(self, payloads: list[bytes], assembler: ReplyAssembler, origin: Origin) -> bool:
        """Give the payloads to the assembler; return whether they brought content."""
        before = assembler.characters
        for data in payloads:
            if data == _DONE:
                assembler.end()
                continue
            payload = parse_json(data)
            if fault := find_fault(payload):
                raise explain(fault, origin)
            if isinstance(payload, dict):
                assembler.add(payload)
        if assembler.characters > self._limits.reply_bytes:
            raise UnreadableBodyError
        return assembler.characters > before

    def _origin(self, response: httpx.Response) -> Origin:
        return Origin(
            status=response.status_code,
            headers=response.headers,
            now=self._wall_clock(),
            host=self._address.host,
            secrets=self._address.secrets,
            longest_wait=self._limits.longest_wait,
        )


def _encoding(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding", "")).strip().lower()


async def _read_refusal(response: httpx.Response) -> bytes:
    """Read what a refusal says, as far as it comes: its status counts even if its body breaks."""
    payloads: list[bytes] = []
    head = b""
    try:
        reader = PayloadReader(encoding=_encoding(response), limit=_REFUSAL_BYTES)
        async with asyncio.timeout(_REFUSAL_SECONDS):
            async for raw in pieces(response):
                payloads += reader.feed(raw)
                head = reader.head
        payloads += reader.finish()
    except (*BROKEN, TimeoutError):
        pass
    return next((data for data in payloads if data.startswith(b"{")), head)
