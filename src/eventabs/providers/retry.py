"""Retries of a call: after connection errors, timeouts, 429 and 5xx, with growing waits.

Which HTTP statuses and codes are transient stands in openai/errors.py.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import tenacity

from eventabs.errors import RateLimitedError, TransientError
from eventabs.providers.rate_limit import Pacer, Sleep
from eventabs.records import OnContent, Reply, Request

Send = Callable[[Request], Awaitable[Reply]]  # one try; raises the subclasses of EndpointError
OnRetry = Callable[[TransientError, float], None]  # the cause and the seconds until the next try
Complete = Callable[[Request, OnRetry, OnContent], Awaitable[Reply]]  # a whole call, with its retries

_BACKOFF = tenacity.wait_exponential(multiplier=1.0, max=60.0)  # seconds


class CallCancelledError(Exception):
    """The run was closing while this request was not on the wire."""


class Gate:
    """Lets requests pass until `closing` is set. Requests on the wire then end; waits end at once."""

    def __init__(self, send: Send, closing: asyncio.Event) -> None:
        self._send = send
        self._closing = closing

    async def send(self, request: Request) -> Reply:
        """Send a request. Raises CallCancelledError where it may not be sent, or would have to be sent again."""
        self._check()
        try:
            return await self._send(request)
        except TransientError:
            self._check()
            raise

    async def sleep(self, seconds: float) -> None:
        """Sleep. Raises CallCancelledError as soon as the gate is closed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        self._check()

    def _check(self) -> None:
        if self._closing.is_set():
            raise CallCancelledError


async def complete_with_retries(
    send: Send,
    request: Request,
    *,
    pace: Pacer,
    tries: int,
    ready: Callable[[], Awaitable[None]] | None = None,
    on_retry: OnRetry,
    sleep: Sleep,
    jitter: Callable[[], float] = random.random,
) -> Reply:
    """Complete a request in as many `tries`, each admitted by the pace once it can be sent, for which `ready` waits.

    Waits grow exponentially (1 s, 2 s, 4 s ... 60 s) with `jitter` (of 0 to 1) from half to the whole, but are
    never shorter than the server asks for. A rate limit cools down all calls that share the pace. Raises
    the last TransientError when no try is left, and every other error at once.
    """

    async def try_once() -> Reply:
        if ready:  # what is admitted has to leave then: else a limit a minute would be passed later
            await ready()
        await pace.admit(request.input_tokens + request.max_output_tokens)
        try:
            return await send(request)
        except RateLimitedError as error:
            pace.cool_down(error.wait_seconds or 0.0)
            raise

    def choose_wait(state: tenacity.RetryCallState) -> float:
        backoff = _BACKOFF(state) * (1 + jitter()) / 2
        return max(backoff, getattr(_error(state), "wait_seconds", None) or 0.0)

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error, wait = _error(state), state.upcoming_sleep
        if isinstance(error, RateLimitedError):
            pace.cool_down(wait)
        on_retry(error, wait)

    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(tries),
        wait=choose_wait,
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return await retrying(try_once)


def _error(state: tenacity.RetryCallState) -> TransientError:
    outcome = cast("tenacity.Future", state.outcome)  # there is one after every try
    return cast("TransientError", outcome.exception())  # nothing else is tried again
