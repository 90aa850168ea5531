"""Retries of a call: after connection errors, timeouts, 429 and 5xx, with growing waits.

Which HTTP statuses and codes are transient stands in openai/errors.py.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import tenacity

from eventabs.errors import RateLimitedError, TransientError
from eventabs.providers.rate_limit import Pacer
from eventabs.records import Reply, Request

Send = Callable[[Request], Awaitable[Reply]]  # one try; raises the subclasses of EndpointError
OnRetry = Callable[[TransientError, float], None]  # the cause and the seconds until the next try
Complete = Callable[[Request, OnRetry], Awaitable[Reply]]  # a whole call, with its retries

_FIRST_WAIT = 1.0  # seconds
_LONGEST_WAIT = 60.0


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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried. `jitter` returns numbers in [0, 1)."""

    tries: int = 6
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def complete_with_retries(
    send: Send, request: Request, *, pacer: Pacer, policy: RetryPolicy, on_retry: OnRetry
) -> Reply:
    """Complete a request in as many tries as the policy allows, each admitted by the pacer.

    Waits grow exponentially (1 s, 2 s, 4 s ... 60 s) with jitter from half to the whole, but are never
    shorter than the server asks for. A rate limit cools down all calls that share the pacer. Raises the
    last TransientError when no try is left, and every other error at once.
    """

    async def try_once() -> Reply:
        await pacer.admit(request.input_tokens + request.max_output_tokens)
        try:
            return await send(request)
        except RateLimitedError as error:
            pacer.cool_down(error.wait_seconds or 0.0)
            raise

    try:
        return await try_once()
    except TransientError as error:
        first_errors = [error]

    async def try_again() -> Reply:
        if (
            first_errors
        ):  # tenacity is slow and nearly every call ends at the first try: it counts that try later
            raise first_errors.pop()
        return await try_once()

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error, wait = _error(state), state.upcoming_sleep
        if isinstance(error, RateLimitedError):
            pacer.cool_down(wait)
        on_retry(error, wait)

    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(policy.tries),
        wait=lambda state: _choose_wait(state, policy.jitter()),
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=policy.sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return await retrying(try_again)


_exponential = tenacity.wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)


def _choose_wait(state: tenacity.RetryCallState, jitter: float) -> float:
    error = _error(state)
    backoff = _exponential(state) * (1 + jitter) / 2
    demanded = error.wait_seconds if isinstance(error, RateLimitedError) else None
    return max(backoff, demanded or 0.0)


def _error(state: tenacity.RetryCallState) -> TransientError:
    outcome = cast("tenacity.Future", state.outcome)  # there is one after every try
    return cast("TransientError", outcome.exception())  # nothing else is tried again
