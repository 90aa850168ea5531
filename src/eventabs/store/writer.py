"""Ledger work from the event loop: one thread, and one commit for all tasks that wait at that moment."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self, TypeVar

from eventabs.store.ledger import Ledger

T = TypeVar("T")


class _Write(NamedTuple):
    task: Callable[[Ledger], Any]
    then: Callable[[Any], None] | None
    future: asyncio.Future[Any]


_Result = tuple[_Write, Any, Exception | None]


class LedgerWriter:
    """Owns the ledger while it is open; use as a context manager inside a running event loop.

    Sixty-four calls in flight must not wait for the disk sixty-four times, so the thread commits together
    all tasks that were submitted during the last commit.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: queue.SimpleQueue[list[_Write] | None] = queue.SimpleQueue()
        self._submitted: list[_Write] = []  # in this turn of the loop
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="ledger")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._flush()
        self._queue.put(None)
        self._thread.join()

    async def write(self, task: Callable[[Ledger], T]) -> T:
        """Run `task` in a transaction; return its result once that is on disk.

        It is not undone when the caller is cancelled. Raises what it raises, and StorageError where the
        disk refuses.
        """
        return await self.submit(task)

    def submit(
        self,
        task: Callable[[Ledger], T],
        *,
        then: Callable[[T], None] | None = None,
    ) -> asyncio.Future[T]:
        """Run `task` in a transaction, after all tasks submitted before; return the future of its result.

        `then` gets the result first, in the ledger's thread and after the commit: for what else has to be
        written once the commit holds.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._submitted.append(_Write(task, then, future))
        if len(self._submitted) == 1:  # to wake the thread costs both threads time: once a turn
            self._loop.call_soon(self._flush)
        return future

    def post(self, task: Callable[[Ledger], None]) -> None:
        """Run `task` in a transaction soon. Its error is dropped: a disk that refuses fails the next `write` too."""
        self.submit(task).add_done_callback(_drop_error)

    def _flush(self) -> None:
        submitted, self._submitted = self._submitted, []
        if submitted:
            self._queue.put(submitted)

    def _serve(self) -> None:
        while (writes := self._queue.get()) is not None:
            with suppress(queue.Empty):  # everything that was submitted meanwhile
                while (more := self._queue.get_nowait()) is not None:
                    writes += more
                self._queue.put(None)
            self._commit(writes)

    def _commit(self, gathered: list[_Write]) -> None:
        try:
            with self._ledger.transaction():
                results = [write.task(self._ledger) for write in gathered]
        except Exception as error:  # noqa: BLE001  every error belongs to the caller that waits
            if len(gathered) > 1:  # a paid reply must not be lost through the fault of another task
                for write in gathered:
                    self._commit([write])
            else:
                self._loop.call_soon_threadsafe(_resolve, [(gathered[0], None, error)])
        else:  # waking the loop costs a system call: one for all tasks without `then`, one for the rest
            pairs = list(zip(gathered, results, strict=True))
            for followed in (False, True):
                done = [_follow_up(*pair) for pair in pairs if (pair[0].then is not None) == followed]
                if done:
                    self._loop.call_soon_threadsafe(_resolve, done)


def _drop_error(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()  # asyncio warns of exceptions that are never retrieved


def _follow_up(write: _Write, result: object) -> _Result:
    try:
        if write.then is not None:
            write.then(result)
    except Exception as error:  # noqa: BLE001  as above
        return write, None, error
    return write, result, None


def _resolve(results: Sequence[_Result]) -> None:
    for write, result, error in results:
        if write.future.done():  # its caller was cancelled
            continue
        if error is not None:
            write.future.set_exception(error)
        else:
            write.future.set_result(result)
