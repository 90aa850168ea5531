import asyncio

import pytest

from eventabs.errors import TransientError
from eventabs.providers.retry import CallCancelledError, Gate
from eventabs.records import Reply, Request

REQUEST = Request(messages=(), users={}, input_tokens=30, max_output_tokens=12)
ANSWER = Reply(text="done")
BUSY = TransientError("HTTP 503", status=503)


class Held:
    """A provider that answers, or fails, when it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()

    async def complete(self, _request: Request) -> Reply:
        self.asked.set()
        await self.let_go.wait()
        if self.error:
            raise self.error
        return ANSWER

    async def aclose(self) -> None:
        pass


async def test_who_sleeps_is_called_off_when_the_gate_is_closed() -> None:
    closing = asyncio.Event()
    sleeping = asyncio.create_task(Gate(Held(), closing).sleep(3600))
    await asyncio.sleep(0)
    closing.set()
    with pytest.raises(CallCancelledError):
        await sleeping


async def test_an_open_gate_lets_sleep_and_answer() -> None:
    provider = Held()
    provider.let_go.set()
    gate = Gate(provider, asyncio.Event())
    await gate.sleep(0.001)
    assert await gate.complete(REQUEST) == ANSWER


async def test_nothing_leaves_through_a_closed_gate() -> None:
    closing, provider = asyncio.Event(), Held()
    closing.set()
    with pytest.raises(CallCancelledError):
        await Gate(provider, closing).complete(REQUEST)
    assert not provider.asked.is_set()


async def test_what_is_on_the_wire_when_the_gate_is_closed_is_answered() -> None:
    closing, provider = asyncio.Event(), Held()
    asking = asyncio.create_task(Gate(provider, closing).complete(REQUEST))
    await provider.asked.wait()
    closing.set()
    provider.let_go.set()
    assert await asking == ANSWER


async def test_what_fails_behind_a_closed_gate_would_have_to_leave_again_and_is_called_off() -> None:
    closing, provider = asyncio.Event(), Held(BUSY)
    asking = asyncio.create_task(Gate(provider, closing).complete(REQUEST))
    await provider.asked.wait()
    closing.set()
    provider.let_go.set()
    with pytest.raises(CallCancelledError):
        await asking
