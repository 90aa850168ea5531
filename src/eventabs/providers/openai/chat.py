"""The provider for an OpenAI-compatible endpoint over HTTP: one request to /chat/completions, one reply."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

import httpx
import orjson

from eventabs.errors import EndpointError, ModeratedError, NoContentError, TransientError
from eventabs.language import gettext as _
from eventabs.providers.openai.endpoint import CallLimits, Endpoint, Sampling
from eventabs.providers.openai.errors import (
    ErrorContext,
    UnsupportedParameterError,
    find_error,
    make_error,
    make_status_error,
)
from eventabs.providers.openai.redaction import ReplyMask, one_line
from eventabs.providers.openai.transport import WIRE_ERRORS, Channel, raw_chunks, translate_error
from eventabs.providers.openai.wire import (
    DROPPABLE,
    GRAMMAR_FIELDS,
    PayloadReader,
    ReplyAssembler,
    UnreadableBodyError,
    build_body,
    parse_json,
)
from eventabs.records import FinishReason, OnContent, Reply, Request

_DONE = b"[DONE]"
_ERROR_BYTES = 65_536  # of the body of an error; the rest is not read
_ERROR_SECONDS = 10.0
_GRACE = 1.0  # seconds for the last bytes after [DONE]; with them the connection can be used again


class OpenAIProvider:
    """Completes requests through POST {base_url}/chat/completions.

    Parameters that the endpoint refuses (of wire.DROPPABLE, or the grammar) are left out from then on. Raises
    ConfigError when it is made with settings that cannot work. `on_refused` hears of all that is not sent, when that grows. `clock` (monotonic) measures calls,
    `wall_clock` (Unix time) is what dates in headers are compared with.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        sampling: Sampling = Sampling(),
        limits: CallLimits = CallLimits(),
        *,
        on_refused: Callable[[frozenset[str]], object] = lambda _parameters: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._channel = Channel(endpoint, limits, sampling.tier.name)
        self._address = self._channel.address
        self._model = endpoint.model
        self._sampling = sampling
        self._limits = limits
        self._on_refused = on_refused
        self._clock = clock
        self._wall_clock = wall_clock
        self._mask = ReplyMask(self._address.keys, self._address.secrets)
        self.dropped = sampling.omit  # what is not sent: omitted from the start, or refused since

    async def complete(self, request: Request, on_content: OnContent | None = None, /) -> Reply:
        """Complete a request; what arrived of a broken answer comes back as `interrupted`.

        `on_content` hears of each piece with content. Raises the subclasses of EndpointError.
        """
        while True:
            body = build_body(request, self._model, self._sampling, self.dropped)
            try:
                return await self._call(body, on_content or _unheard)
            except UnsupportedParameterError as error:
                own = body.keys() - self._sampling.extra_body.keys()
                refused = _with_constraints(error.parameters) & (DROPPABLE | GRAMMAR_FIELDS) & own
                if not refused:
                    raise
                self.dropped |= refused
                self._on_refused(self.dropped)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._channel.aclose()

    async def _call(self, body: dict[str, Any], on_content: OnContent) -> Reply:
        started = self._clock()
        assembler = ReplyAssembler()
        broken_by: FinishReason = "interrupted"
        try:
            await self._exchange(body, assembler, on_content)
        except EndpointError as error:
            if not assembler.characters:
                raise
            if isinstance(error, ModeratedError):
                broken_by = "content_filter"
        reply = assembler.build(
            broken_by=broken_by, seconds=self._clock() - started, tier=self._sampling.tier.name
        )
        if reply.finish_reason == "interrupted" and not assembler.characters:
            message = _("{host} broke off before any content; it may pass: resume later")
            raise TransientError(message.format(host=self._address.host))
        return self._mask.masked(reply)

    async def _exchange(self, body: dict[str, Any], assembler: ReplyAssembler, on_content: OnContent) -> None:
        """Send the body and read the answer into the assembler, under the limits of time and size."""
        limits = self._limits
        idle_timeout = limits.idle_timeout if body.get("stream") else limits.call_timeout
        try:
            async with asyncio.timeout(limits.call_timeout), asyncio.timeout(idle_timeout) as idle:
                response = await self._channel.send("POST", self._address.url, orjson.dumps(body))
                async with aclosing(response):
                    await self._receive(response, assembler, on_content, idle, idle_timeout)
        except TimeoutError:
            if assembler.finish_reason:
                return
            message = _(
                "{host} took the call and sent no content within {seconds:g} s;"
                " if it queues calls, lower run.concurrency, else raise {setting}"
            )
            setting = "llm.idle_timeout" if idle_timeout < limits.call_timeout else "llm.call_timeout"
            seconds = min(idle_timeout, limits.call_timeout)
            raise NoContentError(
                message.format(host=self._address.host, seconds=seconds, setting=setting)
            ) from None
        except WIRE_ERRORS as error:
            raise translate_error(error, self._address) from None

    async def _receive(
        self,
        response: httpx.Response,
        assembler: ReplyAssembler,
        on_content: OnContent,
        idle: asyncio.Timeout,
        idle_timeout: float,
    ) -> None:
        now = asyncio.get_running_loop().time
        context = self._channel.error_context(response, self._wall_clock())
        if not response.is_success:
            raise make_status_error(await _read_error_body(response), context)
        encoding = response.headers.get("content-encoding", "")
        reader = PayloadReader(encoding=encoding, limit=self._limits.reply_characters)
        async for chunk in raw_chunks(response):
            payloads = reader.feed(chunk)
            assembler.is_streamed = not reader.is_document
            if self._add(payloads, assembler, context):
                on_content(assembler.characters)
                idle.reschedule(now() + idle_timeout)
            elif reader.is_document and not chunk.isspace():
                idle.reschedule(now() + idle_timeout)
            if payloads and payloads[-1] == _DONE:
                idle.reschedule(now() + _GRACE)
        self._add(reader.finish(), assembler, context)
        if reader.is_document:
            assembler.end()
        if not assembler.is_recognized:
            text = one_line(reader.head.decode("utf-8", "replace"), self._address.secrets)
            message = _("{host} did not answer with a chat completion: {said}; check llm.base_url")
            raise TransientError(message.format(host=self._address.host, said=text or _("nothing")))

    def _add(self, payloads: list[bytes], assembler: ReplyAssembler, context: ErrorContext) -> bool:
        """Add the payloads to the assembler; return whether they had content."""
        before = assembler.characters
        for data in payloads:
            if data == _DONE:
                assembler.end()
                continue
            payload = parse_json(data)
            if error := find_error(payload):
                raise make_error(error, context)
            if isinstance(payload, dict):
                assembler.add(payload)
        if assembler.characters > self._limits.reply_characters:
            raise UnreadableBodyError
        return assembler.characters > before


def _with_constraints(parameters: frozenset[str]) -> frozenset[str]:
    """Add every name of a grammar where one is refused; llama.cpp makes a grammar of a schema too."""
    return parameters | GRAMMAR_FIELDS | {"response_format"} if parameters & GRAMMAR_FIELDS else parameters


def _unheard(_characters: int) -> None:
    """Take a piece that nobody asked to hear of."""


async def _read_error_body(response: httpx.Response) -> bytes:
    """Read the body of an error as far as it comes: the status counts even if the body breaks."""
    payloads: list[bytes] = []
    head = b""
    with suppress(*WIRE_ERRORS, TimeoutError):
        reader = PayloadReader(encoding=response.headers.get("content-encoding", ""), limit=_ERROR_BYTES)
        async with asyncio.timeout(_ERROR_SECONDS):
            async for chunk in raw_chunks(response):
                payloads += reader.feed(chunk)
                head = reader.head
        payloads += reader.finish()
    return next((data for data in payloads if data.startswith(b"{")), head)
