"""The gate before a provider: once it is closed no request leaves, and nobody waits for leaving one day."""

import asyncio
from contextlib import suppress

from eventabs.errors import TransientError
from eventabs.llm.provider import Provider
from eventabs.records import Reply, Request


class CalledOffError(Exception):
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
            raise CalledOffError
