"""A request to stop: Ctrl-C, SIGTERM and SIGHUP while a process loads, works and ends; another thread; a cancelled caller."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class StopRequested(Exception):  # noqa: N818  it ends work in order, and is no error
    """Work was broken off because a stop was requested."""


class Stop:
    """Stops a run in order: a first request gives calls in flight `grace_seconds`, a second one waits for none.

    `request` may be called from any thread and from signal handlers, so it takes no lock. `requests` counts them.
    """

    def __init__(self, grace_seconds: float = 10.0) -> None:
        self.grace_seconds = grace_seconds
        self.requests = 0
        self._callbacks: list[Callable[[], object]] = []

    def request(self) -> None:
        """Ask for a stop."""
        self.requests += 1
        for callback in tuple(self._callbacks):
            callback()

    def check(self) -> None:
        """Raise StopRequested where a stop was requested."""
        if self.requests:
            raise StopRequested

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; raise StopRequested before the next one where a stop was requested."""
        for item in items:
            self.check()
            yield item

    @contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call `callback` at each request, also at those that came before."""
        self._callbacks.append(callback)
        try:
            for _request in range(self.requests):
                callback()
            yield
        finally:
            self._callbacks.remove(callback)


INTERRUPTED = 130


def handle_signals(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    """Let each signal do something else from now on; an ignored SIGHUP stays ignored, as nohup wants it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
