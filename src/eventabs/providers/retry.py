"""Asking again where it may help: connection errors, timeouts, 429 and 5xx."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import tenacity

from eventabs.errors import RateLimitedError, TransientError
from eventabs.providers.provider import Provider
from eventabs.providers.rate_limit import Pacer
from eventabs.records import Reply, Request


class CallCancelledError(Exception):
    """The gate was closed while this request was not on the wire."""


class Gate:
    """A provider behind a gate that is closed when `closing` is set. Requests on the wire go on.

    Whatever waits for its turn or its next try sleeps here, so that it hears of the closing at once.
    """

    def __init__(self, provider: Provider, closing: asyncio.Event) -> None:
        self._provider = provider
        self._closing = closing

    async def complete(self, request: Request) -> Reply:
        """Answer one request. Raises CalledOffError where it may not leave, or would have to leave again."""
        self._refuse()
        try:
            return await self._provider.complete(request)
        except TransientError:
            self._refuse()
            raise

    async def aclose(self) -> None:
        """Close what is behind the gate."""
        await self._provider.aclose()

    async def sleep(self, seconds: float) -> None:
        """Sleep. Raises CalledOffError as soon as the gate is closed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        self._refuse()

    def _refuse(self) -> None:
        if self._closing.is_set():
            raise CallCancelledError


OnRetry = Callable[[TransientError, float], None]  # the cause and the seconds until the next try

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried. `jitter` returns numbers in [0, 1)."""

    tries: int = 6
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def complete_with_retries(
    provider: Provider, request: Request, *, pacer: Pacer, policy: RetryPolicy, on_retry: OnRetry
) -> Reply:
    """Answer a request in as many tries as the policy allows, each admitted by the pacer.

    Waits grow exponentially (1 s, 2 s, 4 s ... 60 s) with jitter from half to the whole, but never
    below what the server asks for. A rate limit cools down everybody who shares the pacer. Raises the
    last TransientError when no try is left, and every other error at once.
    """

    async def ask() -> Reply:
        await pacer.admit(request.input_tokens + request.max_output_tokens)
        try:
            return await provider.complete(request)
        except RateLimitedError as error:
            pacer.cool_down(error.wait_seconds or 0.0)
            raise

    try:
        return await ask()
    except TransientError as error:
        first = [error]

    async def ask_again() -> Reply:
        if first:  # nearly every call ends well at once: tenacity comes in, and counts, where one does not
            raise first.pop()
        return await ask()

    def note(state: tenacity.RetryCallState) -> None:
        error = _error_of(state)
        wait = state.upcoming_sleep
        if isinstance(error, RateLimitedError):
            pacer.cool_down(wait)
        on_retry(error, wait)

    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(policy.tries),
        wait=lambda state: _choose_wait(state, policy.jitter()),
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=policy.sleep,
        before_sleep=note,
        reraise=True,
    )
    return await retrying(ask_again)


_exponential = tenacity.wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)


def _choose_wait(state: tenacity.RetryCallState, jitter: float) -> float:
    error = _error_of(state)
    backoff = _exponential(state) * (1 + jitter) / 2
    floor = error.wait_seconds if isinstance(error, RateLimitedError) else None
    return max(backoff, floor or 0.0)


def _error_of(state: tenacity.RetryCallState) -> TransientError:
    outcome = cast("tenacity.Future", state.outcome)  # there is one after every try
    return cast("TransientError", outcome.exception())  # nothing else is tried again
