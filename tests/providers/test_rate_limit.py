import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.providers.retries_and_rate_limits import Pacer


class FakeClock:
    """A clock that only sleeping moves, and each sleep ends a little late, as timers do."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 1000.0
        self.late = late

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds + self.late
        await asyncio.sleep(0)


class TimedPacer(Pacer):
    """A pacer that sleeps as the test wants it."""

    pause: Callable[[float], Awaitable[None]]

    async def sleep(self, seconds: float) -> None:
        await self.pause(seconds)


def make_pacer(clock: FakeClock, rpm: int = 0, tpm: int = 0) -> TimedPacer:
    pacer = TimedPacer(rpm, tpm, clock=clock)
    pacer.pause = clock.sleep
    return pacer


async def admit_all(pacer: Pacer, clock: FakeClock, amounts: list[int]) -> list[float]:
    times = []
    for tokens in amounts:
        await pacer.admit(tokens)
        times.append(clock.now)
    return times


def most_in_a_minute(times: list[float], amounts: list[int]) -> int:
    """Count every minute that starts at an admission: slow and obvious.

    1.8 seconds more, because a server may see the first of them so much later than they left.
    """
    return max(
        sum(amount for at, amount in zip(times, amounts, strict=True) if start <= at <= start + 61.8)
        for start in times
    )


@given(rpm=st.integers(1, 200), count=st.integers(1, 300), late=st.sampled_from([0.0, 0.001, 0.3]))
@settings(max_examples=40, deadline=None)
async def test_no_minute_holds_more_requests_than_allowed(rpm: int, count: int, late: float) -> None:
    clock = FakeClock(late)
    times = await admit_all(make_pacer(clock, rpm=rpm), clock, [1] * count)
    assert most_in_a_minute(times, [1] * count) <= rpm


@given(amounts=st.lists(st.integers(1, 900), min_size=1, max_size=80), late=st.sampled_from([0.0, 0.2]))
@settings(max_examples=40, deadline=None)
async def test_no_minute_holds_more_tokens_than_allowed(amounts: list[int], late: float) -> None:
    clock = FakeClock(late)
    times = await admit_all(make_pacer(clock, tpm=1000), clock, amounts)
    assert most_in_a_minute(times, amounts) <= 1000


@pytest.mark.parametrize(
    ("rpm", "tpm", "tokens"), [(60, 0, 0), (6000, 0, 0), (7, 0, 0), (0, 1_000_000, 997), (60, 1_000_000, 100)]
)
async def test_at_least_95_percent_of_a_limit_are_used(rpm: int, tpm: int, tokens: int) -> None:
    clock = FakeClock(late=0.001)
    started = clock.now
    limit = rpm or tpm // tokens
    count = limit * 5
    await admit_all(make_pacer(clock, rpm=rpm, tpm=tpm), clock, [tokens] * count)
    assert count / ((clock.now - started) / 60) >= 0.95 * limit


async def test_requests_are_spread_over_the_minute() -> None:
    clock = FakeClock()
    times = await admit_all(make_pacer(clock, rpm=60), clock, [0] * 30)
    assert all(0.5 < later - earlier < 1.6 for earlier, later in pairwise(times))


async def test_a_request_larger_than_the_limit_has_a_minute_for_itself() -> None:
    clock = FakeClock()
    times = await admit_all(make_pacer(clock, tpm=1000), clock, [10, 5000, 10])
    assert all(later - earlier > 60 for earlier, later in pairwise(times))


async def test_a_cooldown_holds_everybody_and_then_starts_slowly() -> None:
    clock = FakeClock()
    pacer = make_pacer(clock)
    pacer.cool_down(30)
    pacer.cool_down(10)
    times = await admit_all(pacer, clock, [0] * 15)
    waits = [round(at - 1030, 3) for at in times]
    assert waits[:7] == [0, 1, 1.5, 2, 2.25, 2.5, 2.75]
    assert [sum(second <= wait < second + 1 for wait in waits) for second in range(4)] == [1, 2, 4, 8]


async def test_the_slow_start_ends() -> None:
    clock = FakeClock()
    pacer = make_pacer(clock)
    pacer.cool_down(1)
    await admit_all(pacer, clock, [0] * 1500)
    ended = clock.now
    await admit_all(pacer, clock, [0] * 500)
    assert clock.now == ended
    assert ended < 1015


async def test_a_cooldown_that_comes_while_others_wait_holds_them_too() -> None:
    clock = FakeClock()
    pacer = make_pacer(clock, rpm=60)
    await pacer.admit(0)
    waiting = asyncio.create_task(pacer.admit(0))
    await asyncio.sleep(0)
    pacer.cool_down(100)
    until = clock.now + 100
    await waiting
    assert clock.now >= until


async def test_waiters_leave_in_the_order_in_which_they_came() -> None:
    clock = FakeClock()
    pacer = make_pacer(clock, rpm=600)
    left: list[int] = []

    async def leave(number: int) -> None:
        await pacer.admit(0)
        left.append(number)

    await asyncio.gather(*(leave(number) for number in range(20)))
    assert left == list(range(20))


async def test_a_cancelled_waiter_takes_nothing_and_holds_nobody_up() -> None:
    clock = FakeClock()
    pacer = make_pacer(clock, 60)
    pacer.pause = lambda _seconds: asyncio.sleep(3600)
    await pacer.admit(0)
    at_the_head = asyncio.create_task(pacer.admit(0))
    behind = asyncio.create_task(pacer.admit(0))
    await asyncio.sleep(0)
    at_the_head.cancel()
    clock.now += 1.04  # room for one
    await asyncio.wait_for(behind, 1)
    assert at_the_head.cancelled()


async def test_a_cooldown_is_told_only_when_it_ends_later_than_those_before() -> None:
    clock, told = FakeClock(), list[float]()
    pacer = make_pacer(clock)
    pacer.on_cooldown = told.append
    pacer.cool_down(0.0)
    pacer.cool_down(20.0)
    pacer.cool_down(5.0)
    clock.now += 10
    pacer.cool_down(20.0)
    assert told == [20.0, 20.0]
