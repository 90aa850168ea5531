"""Ledger work from the event loop: one thread, and one commit for all that waits at that moment."""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Self, TypeVar

from eventabs.store.ledger import Ledger

T = TypeVar("T")

_MOST_TOGETHER = 256


class _Work(NamedTuple):
    task: Callable[[Ledger], Any]
    then: Callable[[Any], None] | None
    future: asyncio.Future[Any]


class LedgerWriter:
    """Owns the ledger while it is open; use as a context manager inside a running event loop.

    A commit waits for the disk. Sixty-four calls in flight must not wait sixty-four times, so the
    thread commits together whatever has gathered while the last commit was on its way.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: queue.SimpleQueue[list[_Work] | None] = queue.SimpleQueue()
        self._submitted: list[_Work] = []  # in this turn of the loop
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="ledger")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._hand_over()
        self._queue.put(None)
        self._thread.join()

    async def write(self, task: Callable[[Ledger], T]) -> T:
        """Run `task` in a transaction; return its result once that is on disk.

        It is not undone when the caller is cancelled. Raises what it raises, and StorageError where the
        disk refuses.
        """
        return await self.submit(task)

    def submit(
        self, task: Callable[[Ledger], T], *, then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Have `task` run in a transaction after all that was handed in before; the future is what `write` returns.

        `then` hears the result first, also in the ledger's thread: what else has to be written once the
        commit holds.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._submitted.append(_Work(task, then, future))
        if len(self._submitted) == 1:  # to wake the thread costs both threads time: once a turn
            self._loop.call_soon(self._hand_over)
        return future

    def post(self, task: Callable[[Ledger], None]) -> None:
        """Run `task` in a transaction soon. What the disk refuses, the next `write` hears."""
        self.submit(task).add_done_callback(_overheard)

    def _hand_over(self) -> None:
        submitted, self._submitted = self._submitted, []
        if submitted:
            self._queue.put(submitted)

    def _serve(self) -> None:
        while (works := self._queue.get()) is not None:
            self._commit(self._gather(works))

    def _gather(self, first: list[_Work]) -> list[_Work]:
        gathered = first
        with suppress(queue.Empty):
            while len(gathered) < _MOST_TOGETHER:
                works = self._queue.get_nowait()
                if works is None:
                    self._queue.put(None)
                    break
                gathered += works
        return gathered

    def _commit(self, gathered: list[_Work]) -> None:
        try:
            with self._ledger.transaction():
                results = [work.task(self._ledger) for work in gathered]
        except Exception as error:  # noqa: BLE001  whatever it is belongs to those who wait
            if len(gathered) > 1:  # a reply that is paid for must not be lost for a neighbor's fault
                for work in gathered:
                    self._commit([work])
            else:
                self._loop.call_soon_threadsafe(_fail, gathered[0].future, error)
        else:
            self._fulfil(zip(gathered, results, strict=True))

    def _fulfil(self, results: Iterable[tuple[_Work, Any]]) -> None:
        """Tell the loop, whose waking costs a system call: once of all that needs no more than the commit, and once of the rest."""
        simple: list[tuple[_Work, Any, Exception | None]] = []
        followed: list[tuple[_Work, Any]] = []
        for work, result in results:
            if work.then is None:
                simple.append((work, result, None))
            else:
                followed.append((work, result))
        if simple:
            self._loop.call_soon_threadsafe(_resolve, simple)
        if followed:
            done = [(work, result, _follow_up(work, result)) for work, result in followed]
            self._loop.call_soon_threadsafe(_resolve, done)


def _overheard(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()  # asyncio complains of exceptions that nobody looks at


def _follow_up(work: _Work, result: object) -> Exception | None:
    if work.then is not None:
        try:
            work.then(result)
        except Exception as error:  # noqa: BLE001  as above
            return error
    return None


def _resolve(done: Iterable[tuple[_Work, Any, Exception | None]]) -> None:
    for work, result, error in done:
        if error is not None:
            _fail(work.future, error)
        elif not work.future.done():
            work.future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
