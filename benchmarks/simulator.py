"""An OpenAI-compatible endpoint that costs nothing: latency, rate limits, failures, and a log of what it served.

    python benchmarks/simulator.py --port 8000 --scale 20 --failures "empty=0.10,malformed=0.15" --log served.jsonl
    eventabs run behaviors.csv --model simulated --base-url http://127.0.0.1:8000/v1

It answers each user from that user's block alone, so that runs can be compared byte by byte. What goes wrong is
drawn from the seed, the request's text and how often that text has come: the same in every run, whatever the
order. `--scale` divides the times of the model; limits a minute and Retry-After stay in real seconds.
"""

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import json
import math
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TextIO

from eventabs.shared_records import FinishReason
from simulated_model import CASE_FAILURES, Model, Options, RateLimits, Speed, Weight, parse_failures
from simulated_replies import Answered, Block, Wanted, read_blocks

_REQUEST_BYTES = 2**26
_MINOR = ("零碎", "minor")
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"Cache-Control: no-cache\r\n\r\n"
)


@dataclass(slots=True)
class Served:
    """A line of the log. `seconds`: from the request's last byte to the answer's last one."""

    number: int
    time: float  # of the request, seconds since 1970
    message: str  # SHA-256 of the user message
    users: dict[str, Block]  # by alias
    prompt_tokens: int = 0
    kind: str = "well"
    detail: str = ""
    status: int = 200
    forbidden: bool = False  # came while a Retry-After was running
    text: str = ""  # SHA-256 of the content that was sent
    completion_tokens: int = 0
    answered: dict[str, int] = field(default_factory=dict)  # tokens sent about each user, by alias
    finish_reason: str = ""
    finished: bool = False  # whether the exchange went to its end
    seconds: float = 0.0


class Simulator:
    """Serves on loopback, in a thread of its own, from entering to leaving the context."""

    def __init__(
        self,
        options: Options = Options(),
        *,
        port: int = 0,
        log: Path | None = None,
        model: Model | None = None,
    ) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()  # requests by kind, and `forbidden` ones
        self._options = options
        self._model = model or Model(options.failures, options.seed)
        self._limits = RateLimits(options.rpm, options.tpm)
        self._log_path = log
        self._log: TextIO | None = None
        self._numbers = itertools.count(1)
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """What `--base-url` takes."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        if self._log_path is not None:
            self._log = self._log_path.open("a", encoding="utf-8", buffering=1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._log is not None:
            self._log.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=_REQUEST_BYTES, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._hear(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = await _receive(reader)
        if body is not None and body.get("messages"):
            return await self._exchange(body, reader, writer)
        if body is not None:
            error = {"message": "messages is empty", "type": "invalid_request_error"}
            await _respond(writer, HTTPStatus.BAD_REQUEST, {"error": error})
            return True
        models = {"object": "list", "data": [{"id": "simulated", "object": "model"}]}
        await _respond(writer, HTTPStatus.OK, models)
        return True

    async def _exchange(
        self, body: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Serve one request; return whether the connection may be used again. Whatever happens is logged."""
        message = str(body["messages"][-1]["content"])
        served = Served(next(self._numbers), time.time(), digest(message), read_blocks(message))
        began = time.monotonic()
        served.forbidden = self._limits.is_forbidden(began)
        try:
            keep = await self._answer(served, body, began, reader, writer)
            served.finished = keep
            return keep
        finally:
            served.seconds = time.monotonic() - began
            self.counts[served.kind] += 1
            self.counts["forbidden"] += served.forbidden
            if self._log is not None:
                self._log.write(json.dumps(asdict(served), ensure_ascii=False) + "\n")

    async def _answer(
        self,
        served: Served,
        body: Mapping[str, Any],
        began: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        most_tokens = int(body.get("max_tokens") or body.get("max_completion_tokens") or sys.maxsize)
        served.prompt_tokens = self._model.prompt_tokens(body["messages"])
        if wait := self._limits.admit(began, served.prompt_tokens + most_tokens):
            return await self._refuse(served, writer, float(math.ceil(wait)), "limit")
        served.kind, rng = self._model.draw(served.message)
        if served.kind == "rate_limited":
            return await self._refuse(served, writer, self._options.retry_after, "drawn")
        if served.kind == "unavailable":
            served.status = HTTPStatus.SERVICE_UNAVAILABLE
            await _respond(writer, served.status, {"error": {"message": "the server is overloaded"}})
            return True
        if served.kind == "stalled":
            writer.write(_STREAM_HEAD)
            await reader.read(1)  # until the client has had enough
            return False
        answered, served.detail = self._model.answer(
            served.users, served.kind, wanted_of(body), most_tokens, rng
        )
        if body.get("stream"):
            with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return await self._stream(served, answered, began, writer, with_usage=with_usage)
        return await self._whole(served, answered, began, writer)

    async def _refuse(
        self, served: Served, writer: asyncio.StreamWriter, seconds: float, detail: str
    ) -> bool:
        served.kind, served.detail, served.status = "rate_limited", detail, HTTPStatus.TOO_MANY_REQUESTS
        wait = (
            f"Retry-After: {seconds:.0f}" if seconds.is_integer() else f"retry-after-ms: {seconds * 1000:.0f}"
        )
        self._limits.forbid(time.monotonic(), seconds)
        await _respond(writer, served.status, {"error": {"message": "too many requests"}}, wait)
        return True

    async def _whole(
        self, served: Served, answered: Answered, began: float, writer: asyncio.StreamWriter
    ) -> bool:
        speed = self._options.speed
        weight = self._model.weigh(answered)
        await _sleep_until(began + speed.reading(served.prompt_tokens) + speed.writing(weight.total))
        _put_down(served, answered, weight)
        message = {"role": "assistant", "content": None if served.detail == "null" else answered.text}
        if answered.reasoning:
            message["reasoning_content"] = answered.reasoning
        choice = {"index": 0, "message": message, "finish_reason": answered.finish_reason}
        await _respond(writer, 200, {"choices": [choice], "usage": _usage(served, weight)})
        return True

    async def _stream(
        self,
        served: Served,
        answered: Answered,
        began: float,
        writer: asyncio.StreamWriter,
        *,
        with_usage: bool,
    ) -> bool:
        speed = self._options.speed
        weight = self._model.weigh(answered)
        begin = began + speed.reading(served.prompt_tokens)
        thought = sent = 0
        stream = _Stream(writer)
        try:
            for tokens, piece in _pieces(answered.reasoning, weight.reasoning, speed.piece):
                await stream.send(begin + speed.writing(tokens), _delta({"reasoning_content": piece}))
                thought += len(piece)
            for tokens, piece in _pieces(answered.text, weight.content, speed.piece):
                due = begin + speed.writing(weight.reasoning + tokens)
                await stream.send(due, _delta({"content": piece}))
                sent += len(piece)
        finally:
            if thought < len(answered.reasoning) or sent < len(answered.text):
                answered = Answered(
                    answered.first(sent).segments, "interrupted", answered.reasoning[:thought]
                )
                weight = self._model.weigh(answered)
            _put_down(served, answered, weight)
        if served.kind == "broken":
            await stream.flush()
            return False
        last = _delta({"content": None if served.detail == "null" else ""}, answered.finish_reason)
        await stream.send(begin, last)
        if with_usage:
            await stream.send(begin, {"choices": [], "usage": _usage(served, weight)})
        await stream.end()
        return True


class _Stream:
    """Server-sent events, each at its moment; what is due together leaves together."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._held = bytearray(_STREAM_HEAD)

    async def send(self, moment: float, payload: Mapping[str, object]) -> None:
        if moment > time.monotonic():
            await self.flush()
            await _sleep_until(moment)
        self._held += _chunk(b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n")

    async def end(self) -> None:
        self._held += _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        await self.flush()

    async def flush(self) -> None:
        self._writer.write(bytes(self._held))
        self._held.clear()
        await self._writer.drain()


def digest(text: str) -> str:
    """Return the name that the log gives to a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def wanted_of(body: Mapping[str, Any]) -> Wanted:
    """Return what a request wants its answer to be like."""
    instructions = "".join(str(message["content"]) for message in body["messages"][:-1])
    is_schema = body.get("response_format") or '{"users":' in instructions
    minor_word = next((word for word in _MINOR if word in instructions), "")
    return Wanted("schema" if is_schema else "lines", minor_word)


async def _receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return what a call asks; None: the list of models is wanted."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if head.startswith(b"get "):
        return None
    _, _, behind = head.partition(b"content-length:")
    body: dict[str, Any] = json.loads(await reader.readexactly(int(behind.split(b"\r\n")[0])))
    return body


def _put_down(served: Served, answered: Answered, weight: Weight) -> None:
    served.finish_reason = answered.finish_reason
    served.text = digest(answered.text)
    served.completion_tokens = weight.total
    served.answered = weight.by_user


def _usage(served: Served, weight: Weight) -> dict[str, object]:
    return {
        "prompt_tokens": served.prompt_tokens,
        "completion_tokens": weight.total,
        "total_tokens": served.prompt_tokens + weight.total,
        "completion_tokens_details": {"reasoning_tokens": weight.reasoning},
    }


def _pieces(text: str, tokens: int, piece: int) -> Iterator[tuple[int, str]]:
    """Cut a text into pieces of about so many tokens; yield each with the tokens up to its end."""
    parts = max(1, -(-tokens // piece)) if text else 0
    bounds = [len(text) * part // parts for part in range(parts + 1)] if parts else []
    for part, (low, high) in enumerate(itertools.pairwise(bounds), 1):
        yield tokens * part // parts, text[low:high]


async def _sleep_until(moment: float) -> None:
    wait = moment - time.monotonic()
    if wait > 0:
        await asyncio.sleep(wait)


async def _respond(
    writer: asyncio.StreamWriter, status: int, payload: Mapping[str, object], *headers: str
) -> None:
    body = json.dumps(payload, ensure_ascii=False).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


def _delta(delta: Mapping[str, object], finish_reason: FinishReason | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve a simulated model at an OpenAI-compatible endpoint.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the address is printed")
    parser.add_argument("--first-token", type=float, default=1.0, help="seconds")
    parser.add_argument("--prefill", type=float, default=5000.0, help="tokens read a second, 0: at once")
    parser.add_argument("--decode", type=float, default=60.0, help="tokens written a second, 0: at once")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times faster than that")
    parser.add_argument("--failures", type=parse_failures, default={}, help=f"such as {CASE_FAILURES}")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rpm", type=int, default=0, help="requests in any 60 real seconds, 0: no limit")
    parser.add_argument("--tpm", type=int, default=0, help="tokens in any 60 real seconds, 0: no limit")
    parser.add_argument("--retry-after", type=float, default=1.0, help="real seconds, of drawn 429s")
    parser.add_argument("--log", type=Path, help="JSON lines of what was served; appended to")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted, then say on standard error what was served."""
    given = _options(arguments)
    options = Options(
        Speed(given.first_token, given.prefill, given.decode, given.scale),
        given.failures,
        given.seed,
        given.rpm,
        given.tpm,
        given.retry_after,
    )
    stopping = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)  # before there are other threads
    with Simulator(options, port=given.port, log=given.log) as simulator:
        print(simulator.base_url, flush=True)
        signal.sigwait(stopping)
    print(json.dumps(simulator.counts), file=sys.stderr)


if __name__ == "__main__":
    main()
