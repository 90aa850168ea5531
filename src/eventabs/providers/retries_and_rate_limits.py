"""Retries and rate limits of calls: growing waits after transient errors, requests and tokens a minute, one cooldown for all."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol

from eventabs.errors_and_exit_codes import RateLimitedError, TransientError
from eventabs.shared_records import OnContent, Reply, Request
from eventabs.stop_request import StopRequested

# A server counts a minute by its own clock, behind a network that delays some requests. A minute that
# is 3 % longer here leaves 1.8 seconds for that and still reaches 97 % of the limit.
WINDOW = 60.0 / 0.97
_SLOW_ADMISSIONS = 1024  # after N of them the gaps are too short to matter

Send = Callable[[Request], Awaitable[Reply]]  # one try; raises the subclasses of EndpointError
OnRetry = Callable[[TransientError, float], None]  # the cause and the seconds until the next try
Complete = Callable[[Request, OnRetry, OnContent], Awaitable[Reply]]  # a whole call, with its retries


class Provider(Protocol):
    """Safe to use from many tasks at once."""

    async def complete(self, request: Request, on_content: OnContent | None = None, /) -> Reply:
        """Complete a request. Raises the subclasses of EndpointError, nothing else."""

    async def aclose(self) -> None:
        """Close connections and the like."""


@dataclass(eq=False)
class Pacer:
    """Admits calls one by one, in the order of their requests, once `is_ready` says that one can be made, and repeats those that fail.

    Once `closing` is set, waits end at once; requests on the wire then end, and none is sent.
    No 60 seconds at the server have more than `rpm` requests or `tpm` tokens (0: no limit), and both
    are spread over the minute. A request larger than `tpm` leaves when it has a minute for itself.
    `on_cooldown` gets the seconds of every cooldown that ends later than those before it.
    """

    rpm: int = 0
    tpm: int = 0
    _: KW_ONLY
    tries: int = 6  # of a call
    on_cooldown: Callable[[float], None] | None = None
    is_ready: Callable[[], bool] = lambda: True
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        self._requests, self._tokens = _Meter(self.rpm), _Meter(self.tpm)
        self._free_at = float("-inf")  # as far as cooldowns count
        self._admitted = _SLOW_ADMISSIONS  # since the last cooldown
        self._turn = asyncio.Lock()  # first in, first out, also past cancelled waiters

    async def admit(self, tokens: int) -> None:
        """Wait until a request of N tokens may be sent."""
        async with self._turn:
            while True:
                now = self.clock()
                within = self._requests.free_at(1, now), self._tokens.free_at(tokens, now)
                free_at = max(self._free_at, *within)
                if free_at <= now:
                    break
                await self.sleep(free_at - now)
            if self._admitted < _SLOW_ADMISSIONS:  # one in the first second, two in the next, four ...
                self._admitted += 1
                self._free_at = now + 1.0 / 2 ** (self._admitted.bit_length() - 1)
            self._requests.take(1, now)
            self._tokens.take(tokens, now)

    async def sleep(self, seconds: float) -> None:
        """Sleep. Raises StopRequested as soon as the run is closing."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)
        self._check()

    def _check(self) -> None:
        if self.closing.is_set():
            raise StopRequested

    def cool_down(self, seconds: float) -> None:
        """Hold every admission for `seconds` from now; then admit one by one, doubling the rate."""
        until = self.clock() + seconds
        if self.on_cooldown and seconds > 0 and until > self._free_at:
            self.on_cooldown(seconds)
        self._free_at = max(self._free_at, until)
        self._admitted = 0

    async def _try(self, send: Send, request: Request) -> Reply:
        # what is admitted has to leave then: else a limit a minute would be passed later
        while not self.is_ready():
            await self.sleep(0.1)
        await self.admit(request.input_tokens + request.max_output_tokens)
        self._check()
        try:
            return await send(request)
        except TransientError:
            self._check()  # it would have to be sent again
            raise

    async def complete(self, send: Send, request: Request, on_retry: OnRetry) -> Reply:
        """Complete a request. Raises the last TransientError when no try is left, and every other error, and StopRequested, at once.

        Waits grow exponentially (1 s, 2 s, 4 s ... 60 s) with `jitter` (of 0 to 1) from half to the whole, but are
        never shorter than the server asks for. A rate limit cools down all calls.
        """
        try:
            return await self._try(send, request)
        except TransientError as error:
            first = [error]

        def choose_wait(state: Any) -> float:  # noqa: ANN401  of tenacity, after every try
            error: TransientError = state.outcome.exception()  # nothing else is tried again
            asked, is_last = error.wait_seconds or 0.0, state.attempt_number >= self.tries
            wait = max(growing(state) * (1 + self.jitter()) / 2, asked)
            if isinstance(error, RateLimitedError):  # after the last try only as long as the server says
                self.cool_down(asked if is_last else wait)
            if not is_last:
                on_retry(error, wait)
            return wait

        async def try_again() -> Reply:
            if first:
                raise first.pop()
            return await self._try(send, request)

        import tenacity  # noqa: PLC0415  few runs need it

        # Nearly every call ends at its first try. To make this for each costs more than to send it, so it is told of that try later.
        growing = tenacity.wait_exponential(multiplier=1.0, max=60.0)  # seconds
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.tries),
            wait=choose_wait,
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=self.sleep,
            reraise=True,
        )
        return await retrying(try_again)


class _Meter:
    """A limit a minute, 0 for none: an even schedule (GCRA), and a sliding window that it cannot break."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._due = float("-inf")  # when the schedule has room again
        self._taken: deque[tuple[float, float]] = deque()  # (time, amount) of the last window
        self._sum = 0.0

    def free_at(self, amount: int, now: float) -> float:
        """Return the earliest time at which `amount` may be taken."""
        if not self._limit:
            return self._due
        while self._taken and self._taken[0][0] + WINDOW <= now:
            self._sum -= self._taken.popleft()[1]
        over = self._sum + min(amount, self._limit) - self._limit
        free = self._due - 0.5  # seconds that may be made good, so that late timers cost nothing
        for taken_at, taken in self._taken:
            if over <= 0:
                break
            over -= taken
            free = max(free, taken_at + WINDOW)
        return free

    def take(self, amount: int, now: float) -> None:
        if counted := min(amount, self._limit):
            self._due = max(self._due, now) + counted * WINDOW / self._limit
            self._taken.append((now, counted))
            self._sum += counted


@asynccontextmanager
async def open_provider(provider: Provider, pace: Pacer) -> AsyncIterator[Complete]:
    """Open a provider; yield what completes a request at a pace. It raises StopRequested or the subclasses of EndpointError."""
    async with aclosing(provider):
        yield lambda request, on_retry, on_content: pace.complete(
            lambda sent: provider.complete(sent, on_content), request, on_retry
        )
