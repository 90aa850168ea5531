import asyncio
from collections.abc import Awaitable, Callable

import pytest

from eventabs.errors_and_exit_codes import EndpointError, FatalEndpointError, RateLimitedError, TransientError
from eventabs.providers.retries_and_rate_limits import Pacer
from eventabs.shared_records import Reply, Request
from eventabs.stop_request import StopRequested

# retry


REQUEST = Request(messages=(), users={}, input_tokens=30, max_output_tokens=12)
ANSWER = Reply(text="done")


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class TimedPacer(Pacer):
    """A pacer that sleeps as the test wants it."""

    pause: Callable[[float], Awaitable[None]]

    async def sleep(self, seconds: float) -> None:
        await self.pause(seconds)


class Scripted:
    """A provider that fails as listed and then answers."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def complete(self, _request: Request) -> Reply:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return ANSWER


class Setting:
    def __init__(self, *, tries: int = 6, jitter: Callable[[], float] = lambda: 1.0) -> None:
        self.clock = FakeClock()
        self.pacer = TimedPacer(tries=tries, clock=self.clock, jitter=jitter)
        self.pacer.pause = self.clock.sleep
        self.noted: list[tuple[str, float]] = []

    async def complete(self, provider: Scripted) -> Reply:
        return await self.pacer.complete(
            provider.complete, REQUEST, lambda cause, wait: self.noted.append((str(cause), wait))
        )


async def test_waits_grow_and_every_retry_is_told() -> None:
    setting = Setting()
    assert await setting.complete(Scripted(*(TransientError(f"e{n}") for n in range(5)))) is ANSWER
    assert setting.clock.sleeps == [1, 2, 4, 8, 16]
    assert setting.noted == [("e0", 1), ("e1", 2), ("e2", 4), ("e3", 8), ("e4", 16)]


async def test_jitter_takes_up_to_half_of_a_wait_and_none_is_longer_than_a_minute() -> None:
    setting = Setting(tries=10, jitter=lambda: 0.0)
    await setting.complete(Scripted(*(TransientError("e") for _ in range(9))))
    assert setting.clock.sleeps == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_the_last_error_is_raised_when_no_try_is_left() -> None:
    setting = Setting(tries=3)
    provider = Scripted(*(TransientError(f"e{n}") for n in range(9)))
    with pytest.raises(TransientError, match="e2"):
        await setting.complete(provider)
    assert provider.calls == 3


@pytest.mark.parametrize("error", [FatalEndpointError("no"), EndpointError("no"), asyncio.CancelledError()])
async def test_nothing_else_is_tried_again(error: BaseException) -> None:
    setting = Setting()
    provider = Scripted(error)
    with pytest.raises(type(error)):
        await setting.complete(provider)
    assert (provider.calls, setting.noted) == (1, [])


async def test_the_servers_wait_is_a_floor() -> None:
    setting = Setting()
    failures = RateLimitedError("a", wait_seconds=30.0), RateLimitedError("b", wait_seconds=0.1)
    await setting.complete(Scripted(*failures))
    assert setting.noted == [("a", 30.0), ("b", 2.0)]


@pytest.mark.parametrize(("wait", "held"), [(30.0, 30.0), (None, 1.0)])
async def test_a_rate_limit_cools_everybody_down(wait: float | None, held: float) -> None:
    setting = Setting(tries=2)
    asked_again = asyncio.Event()

    async def never(_seconds: float) -> None:
        await asked_again.wait()

    setting.pacer.pause = never
    limited = asyncio.create_task(setting.complete(Scripted(RateLimitedError("a", wait_seconds=wait))))
    await asyncio.sleep(0)
    setting.pacer.pause = setting.clock.sleep
    await setting.pacer.admit(1)
    assert setting.clock.now == held
    asked_again.set()
    assert await limited is ANSWER


@pytest.mark.parametrize(("wait", "held"), [(30.0, 30.0), (None, 0.0)])
async def test_a_rate_limit_on_the_last_try_holds_everybody_as_long_as_the_server_says(
    wait: float | None, held: float
) -> None:
    setting = Setting(tries=1)
    with pytest.raises(RateLimitedError):
        await setting.complete(Scripted(RateLimitedError("a", wait_seconds=wait)))
    await setting.pacer.admit(1)
    assert setting.clock.now == held


async def test_every_try_is_admitted_with_the_tokens_that_it_may_take() -> None:
    setting = Setting()
    setting.pacer = TimedPacer(tpm=42, clock=setting.clock)
    setting.pacer.pause = setting.clock.sleep
    await setting.complete(Scripted(TransientError("e")))
    assert setting.clock.now > 60  # two tries of 42 tokens do not fit into one minute


# a run that is closing


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


async def sent(provider: Held, closing: asyncio.Event) -> Reply:
    def unexpected(cause: EndpointError, _wait: float) -> None:
        pytest.fail(f"tried again: {cause}")

    return await Pacer(closing=closing).complete(provider.complete, REQUEST, unexpected)


async def test_who_sleeps_is_called_off_when_the_run_is_closing() -> None:
    closing = asyncio.Event()
    sleeping = asyncio.create_task(Pacer(closing=closing).sleep(3600))
    await asyncio.sleep(0)
    closing.set()
    with pytest.raises(StopRequested):
        await sleeping


async def test_nothing_leaves_once_the_run_is_closing() -> None:
    closing, provider = asyncio.Event(), Held()
    closing.set()
    with pytest.raises(StopRequested):
        await sent(provider, closing)
    assert not provider.asked.is_set()


async def test_what_is_on_the_wire_when_the_run_is_closing_is_answered() -> None:
    closing, provider = asyncio.Event(), Held()
    asking = asyncio.create_task(sent(provider, closing))
    await provider.asked.wait()
    closing.set()
    provider.let_go.set()
    assert await asking == ANSWER


async def test_what_fails_while_the_run_is_closing_would_have_to_leave_again_and_is_called_off() -> None:
    closing, provider = asyncio.Event(), Held(BUSY)
    asking = asyncio.create_task(sent(provider, closing))
    await provider.asked.wait()
    closing.set()
    provider.let_go.set()
    with pytest.raises(StopRequested):
        await asking
