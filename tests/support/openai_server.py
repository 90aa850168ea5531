"""A small OpenAI-compatible server on loopback, in a thread of its own, for tests.

    with OpenAIServer(answer()) as server:
        ... server.base_url, server.requests ...

What it does with a request is a behavior: an async function of the Exchange. The functions below make
behaviors, and some take others: `script(status(429), slowly(0.1, answer()))`.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """A request as it came. `time` is monotonic, in seconds; header names are in lower case."""

    number: int
    time: float
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    method: str = "POST"

    @property
    def user_message(self) -> str:
        return str(self.body["messages"][-1]["content"]) if "messages" in self.body else ""

    @property
    def blocks(self) -> dict[str, tuple[str, ...]]:
        """The users' blocks by alias, without the header line."""
        return read_blocks(self.user_message)


@dataclass
class Exchange:
    """One request and the way to answer it."""

    received: Received
    writer: asyncio.StreamWriter
    keep: bool = True  # whether the connection serves another request afterwards

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def respond(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        lines = {"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})
        await self.send(_head(code, lines) + body)

    async def start_stream(self, headers: dict[str, str] | None = None) -> None:
        lines = {"Transfer-Encoding": "chunked", "Content-Type": "text/event-stream"} | (headers or {})
        await self.send(_head(200, lines))

    async def send_piece(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def end_stream(self) -> None:
        await self.send(b"0\r\n\r\n")


Behavior = Callable[[Exchange], Awaitable[None]]


def read_blocks(user_message: str) -> dict[str, tuple[str, ...]]:
    """Cut a user message into the lines of each user, by alias, without row numbers; a legend above the first is left out."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in user_message.splitlines():
        if line.startswith("## "):
            lines = blocks.setdefault(line.split()[1], [])
        elif line and not line.startswith(">"):  # journeys that are known
            lines.append(line if line.startswith("# ") else line.partition(" ")[2])
    return {alias: tuple(found) for alias, found in blocks.items()}


def answer_by_day(user_message: str, *, keeps: int = sys.maxsize) -> str:
    """Answer in the lines form: the rows of a user's day, of all rows the first `keeps`, are one event."""
    answer, row = list[str](), 0
    for alias, lines in read_blocks(user_message).items():
        days = list[list[int]]()
        for line in lines:
            if line.startswith("# "):
                days.append([])
            elif (row := row + 1) <= keeps:
                days[-1].append(row)
        groups = [f"{rows[0]}-{rows[-1]}" if len(rows) > 1 else f"{rows[0]}" for rows in days if rows]
        answer += [f"## {alias}", *([f"浏览 {' '.join(groups)}"] if groups else [])]
    return "\n".join([*answer, "##"])


def answer(
    write: Callable[[str], str] = answer_by_day,
    *,
    pieces: int = 5,
    gap: float = 0.0,
    gate: threading.Event | None = None,
    finish_reason: str | None = "stop",
    usage: bool = True,
) -> Behavior:
    """Answer well: as a stream in so many pieces if one is asked for, else as one JSON document. The last waits for the gate."""

    async def behave(exchange: Exchange) -> None:
        message = exchange.received.user_message
        text = write(message)
        counts = count_usage(exchange.received, text) if usage else None
        if not exchange.received.body.get("stream"):
            await exchange.respond(200, completion(text, finish_reason, counts))
            return
        await exchange.start_stream()
        size = max(1, -(-len(text) // pieces))
        for start in range(0, len(text), size):
            while gate and start + size >= len(text) and not gate.is_set():  # noqa: ASYNC110  another thread opens it
                await asyncio.sleep(0.01)
            await exchange.send_piece(event(delta(text[start : start + size])))
            if gap:
                await asyncio.sleep(gap)
        await exchange.send_piece(event(delta("", finish_reason=finish_reason)))
        if counts and exchange.received.body.get("stream_options", {}).get("include_usage"):
            await exchange.send_piece(event({"choices": [], "usage": counts}))
        await exchange.send_piece(b"data: [DONE]\n\n")
        await exchange.end_stream()

    return behave


def slowly(delay: float, then: Behavior) -> Behavior:
    """Wait so many seconds first."""

    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(delay)
        await then(exchange)

    return behave


def held(gate: threading.Event, then: Behavior, *, free: int = 0) -> Behavior:
    """Wait until the gate is open; the first `free` requests do not."""

    async def behave(exchange: Exchange) -> None:
        while exchange.received.number >= free and not gate.is_set():  # noqa: ASYNC110  another thread opens it
            await asyncio.sleep(0.01)
        await then(exchange)

    return behave


def status(code: int, body: object = b"", headers: dict[str, str] | None = None) -> Behavior:
    """Answer with a status, and a body of bytes or of what becomes JSON."""

    async def behave(exchange: Exchange) -> None:
        await exchange.respond(code, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)

    return behave


def stream(
    *pieces: bytes, headers: dict[str, str] | None = None, end: bool = True, stall: bool = False
) -> Behavior:
    """Stream these bytes, one write each; without `end` the connection breaks, or stalls."""

    async def behave(exchange: Exchange) -> None:
        await exchange.start_stream(headers)
        for piece in pieces:
            await exchange.send_piece(piece)
            await asyncio.sleep(0.002)  # so that each arrives by itself
        if stall:
            await asyncio.Event().wait()
        if end:
            await exchange.end_stream()
        exchange.keep = end

    return behave


def raw(data: bytes) -> Behavior:
    """Send these bytes instead of an answer and close the connection."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(data)
        exchange.keep = False

    return behave


def stall() -> Behavior:
    """Never answer."""

    async def behave(exchange: Exchange) -> None:
        await asyncio.Event().wait()

    return behave


def keep_alive(piece: bytes = b": keep-alive\n\n", interval: float = 0.02) -> Behavior:
    """Stream the same piece for ever."""

    async def behave(exchange: Exchange) -> None:
        await exchange.start_stream()
        while True:
            await exchange.send_piece(piece)
            await asyncio.sleep(interval)

    return behave


def listing(*models: str | dict[str, Any]) -> Behavior:
    """Answer GET /models with these: names, or entries as the server has them."""
    data = [{"id": model, "object": "model"} if isinstance(model, str) else model for model in models]
    return status(200, {"object": "list", "data": data})


def script(*behaviors: Behavior, then: Behavior | None = None) -> Behavior:
    """Behave as listed, request by request; afterwards as `then`, by default as the last one."""
    rest = iter(behaviors)
    last = then or behaviors[-1]

    async def behave(exchange: Exchange) -> None:
        await next(rest, last)(exchange)

    return behave


def event(payload: object) -> bytes:
    """Write one server-sent event."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def delta(content: object, *, finish_reason: str | None = None, **fields: object) -> dict[str, Any]:
    """Make the payload of one piece of a stream."""
    choice = {"index": 0, "delta": {"content": content} | fields, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}


def completion(
    content: object, finish_reason: str | None = "stop", usage: object = None, **fields: object
) -> bytes:
    """Write a plain JSON answer."""
    message = {"role": "assistant", "content": content} | fields
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def count_usage(received: Received, text: str) -> dict[str, int]:
    """Count roughly: one token for two characters."""
    prompt = sum(len(str(message["content"])) for message in received.body["messages"]) // 2
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(text) // 2,
        "total_tokens": prompt + len(text) // 2,
    }


@dataclass
class OpenAIServer:
    """Serves on loopback from entering to leaving the context. `behavior` may be replaced in between."""

    behavior: Behavior = field(default_factory=answer)
    models: Behavior = field(default_factory=lambda: listing("m"))  # what GET is answered with
    port: int = 0
    log: Path | None = None
    requests: list[Received] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._numbers = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._connections: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (received := await self._receive(reader)) is not None:
                exchange = Exchange(received, writer)
                await self._answer(exchange)
                if not exchange.keep:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, exchange: Exchange) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._note("received", exchange.received)
        try:
            await (self.models if exchange.received.method == "GET" else self.behavior)(exchange)
            self._note("answered", exchange.received)
        finally:
            self.in_flight -= 1

    async def _receive(self, reader: asyncio.StreamReader) -> Received | None:
        head = await reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(
            number=next(self._numbers),
            time=time.monotonic(),
            path=request_line.split()[1],
            headers=headers,
            body=json.loads(body or b"{}"),
            method=request_line.split()[0],
        )
        self.requests.append(received)
        return received

    def _note(self, what: str, received: Received) -> None:
        if self.log is not None:
            users = list(received.blocks.values())
            line = {"event": what, "number": received.number, "time": time.monotonic(), "users": users}
            with self.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line, ensure_ascii=False) + "\n")


def _head(code: int, headers: dict[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {code} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
