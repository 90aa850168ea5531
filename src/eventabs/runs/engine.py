"""The engine: workers that send batches, as results come, until nothing is left or somebody says stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from eventabs.errors import EndpointError, LimitReachedError
from eventabs.providers import CallCancelledError
from eventabs.records import Batch, Reply, Request, Usage, UserLog
from eventabs.runs.limits import ConcurrencyLimit, FailureLimit, SpendingLimit
from eventabs.runs.observer import Observer, Retrying, Stopping
from eventabs.runs.progress import ProgressTracker, retry_cause
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settlement import LONG_REPLY, Settlement
from eventabs.store import EVERY_BATCHES, Ledger, LedgerWriter, Retry

OnRetry = Callable[[EndpointError, float], None]  # cause, seconds to wait
Ask = Callable[[Request, OnRetry], Awaitable[Reply]]

GRACE_SECONDS = 10.0  # what calls in flight get when the run is asked to stop
_CALLS_AN_UNREAD_ANSWER = 4  # with fewer calls at a time, every answer is read before the next call


@dataclass(frozen=True, slots=True)
class Calling:
    """How calls are made.

    `hurry` is set when the run is to stop: `ask` then raises CalledOffError for what is not on the wire.
    `save` writes the checkpoint; `wall_clock` gives seconds since 1970; `count` counts the tokens of a
    text, for endpoints that report no usage.
    """

    compose: Callable[[Sequence[UserLog]], Request]
    ask: Ask
    hurry: asyncio.Event
    spending: SpendingLimit
    settings_fingerprint: str
    fruitless: FailureLimit
    width: ConcurrencyLimit
    most_workers: int
    count: Callable[[str], int]
    save: Callable[[], Awaitable[None]]
    wall_clock: Callable[[], float]


class _Ending(NamedTuple):
    """What came of a call: `kept` is awaited until that is written down, `judge` then hears what it was worth."""

    fruitful: bool
    kept: Awaitable[None]
    judge: Callable[[], None]


class _Answered(NamedTuple):
    """A call that has left the wire; `read` finds out what came of it. `failed`: with an error instead of a reply."""

    failed: bool
    read: Callable[[], Awaitable[_Ending]]


class Engine:
    """Sends what the scheduler has. A reply is committed before it is read."""

    def __init__(
        self,
        *,
        calling: Calling,
        settler: Settlement,
        journal: LedgerWriter,
        scheduler: Scheduler,
        tracker: ProgressTracker,
        observer: Observer,
    ) -> None:
        self._calling = calling
        self._settler = settler
        self._journal = journal
        self._scheduler = scheduler
        self._tracker = tracker
        self._observer = observer
        self._changed = asyncio.Event()
        self._stopped = False
        self._abandon = asyncio.Event()
        self._error: Exception | None = None
        self._held: Batch | None = None
        self._is_telling = False
        self._endings: set[asyncio.Task[None]] = set()
        self._unread = 0  # answers that are not read yet, or were bad and are not judged yet
        self._fruitless = calling.fruitless

    async def run(self) -> None:
        """Work until done or stopped.

        Raises the error that ended the run early; a stop that was asked for raises nothing.
        """
        workers = [asyncio.create_task(self._work()) for _worker in range(self._calling.most_workers)]
        patience = asyncio.create_task(self._lose_patience(workers))
        await asyncio.wait(workers)
        await asyncio.gather(*self._endings, return_exceptions=True)
        patience.cancel()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Send no more calls; said a second time, wait for none either."""
        if self._stopped:
            self._abandon.set()
        elif self._tracker.in_flight:
            self._observer.noted(Stopping(GRACE_SECONDS))
        self._stopped = True
        self._calling.hurry.set()
        self._changed.set()

    @property
    def stopped(self) -> bool:
        """Whether the run was asked to stop."""
        return self._stopped

    async def _lose_patience(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Once there is a hurry, give calls in flight some seconds, or none, and cancel them and what comes of others.

        An answer that nobody reads to its end is in the ledger, and read when the run is resumed.
        """
        await self._calling.hurry.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._abandon.wait(), GRACE_SECONDS)
        for task in (*workers, *self._endings):
            task.cancel()

    async def _work(self) -> None:
        try:
            while (batch := await self._take()) is not None:
                await self._send(batch)
        except Exception as error:  # noqa: BLE001  whatever it is ends the run, once calls in flight are in
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._error = self._error or error
        self._changed.set()
        if not isinstance(error, LimitReachedError):  # within a limit, what is paid for is waited for
            self._calling.hurry.set()

    async def _take(self) -> Batch | None:
        while not self._stopped and self._error is None:
            if self._has_room() and (batch := self._next()) is not None:
                return batch
            if not self._tracker.under_way:
                return None
            self._changed.clear()
            await self._changed.wait()
        return None

    def _has_room(self) -> bool:
        """Whether another call may be made.

        To wait for the disk with every answer leaves the wire empty for that long; to wait with none would
        choose batches before anything was learnt. So a few answers may be unread, none beside few calls.
        """
        calls, width = self._tracker.in_flight, self._calling.width.now
        return calls < width and calls + self._unread < width + width // _CALLS_AN_UNREAD_ANSWER

    def _next(self) -> Batch | None:
        """Take a batch that the limits on spending allow now; None: there is none, or not yet."""
        batch = self._held or self._scheduler.next()
        self._held = None
        if batch is not None and not self._calling.spending.reserve(batch, self._tracker):
            self._held, batch = batch, None
        if batch is not None:
            self._tracker.in_flight += 1
        return batch

    async def _send(self, batch: Batch) -> None:
        """Make a call. Its answer is seen to beside the next call; what went wrong comes before it."""
        answered: _Answered | None = None
        try:
            answered = await self._call(batch)
        finally:
            self._tracker.in_flight -= 1
            if answered is None:
                self._release(batch)
        if answered is not None:
            self._tracker.unsettled += 1
            self._unread += 1
            self._changed.set()
            ending = asyncio.create_task(self._end(batch, answered))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            if answered.failed:
                await asyncio.wait([ending])

    async def _call(self, batch: Batch) -> _Answered | None:
        """Ask about a batch. None: it was called off."""
        call_id, request = await self._journal.write(lambda ledger: self._open(ledger, batch))
        self._tracker.add(calls=1)
        self._report()
        try:
            reply = await self._calling.ask(request, partial(self._note_retry, call_id))
        except CallCancelledError:
            return None
        except EndpointError as error:
            self._calling.width.trouble()
            return _Answered(failed=True, read=partial(self._read_error, batch, call_id, error))
        self._calling.width.answered()
        reply = await self._counted(request, reply)
        # now, so that nothing can come between what is paid for and the ledger
        stored = self._journal.submit(lambda ledger: ledger.store_reply(call_id, reply))
        read = partial(self._read_reply, batch, call_id, request.users, reply, stored)
        return _Answered(failed=False, read=read)

    async def _end(self, batch: Batch, answered: _Answered) -> None:
        """Write down what came of a call. Its place is free when its answer is read, after a bad one when it is judged."""
        try:
            with ExitStack() as place:
                place.callback(self._free_place)
                try:
                    ending = await answered.read()
                    if ending.fruitful:
                        place.close()
                    await ending.kept
                finally:
                    self._tracker.unsettled -= 1
                    self._release(batch)
                self._tracker.count_batch()
                ending.judge()
            if self._tracker.counts.batches_done % EVERY_BATCHES == 0:
                await self._calling.save()
        except Exception as error:  # noqa: BLE001  as above
            self._give_up(error)

    async def _read_error(self, batch: Batch, call_id: int, error: EndpointError) -> _Ending:
        kept = self._settler.take_error(call_id, batch, error)
        return _Ending(fruitful=False, kept=kept, judge=partial(self._fruitless.no_answer, error))

    async def _read_reply(
        self, batch: Batch, call_id: int, users: Mapping[str, UserLog], reply: Reply, stored: Awaitable[None]
    ) -> _Ending:
        await stored
        self._tracker.count_reply(reply.usage, reply.seconds)
        settlement = await self._settler.take_reply(call_id, batch, users, reply)
        fruitless = self._fruitless
        judge = fruitless.succeeded if settlement.fruitful else partial(fruitless.bad_answer, batch)
        return _Ending(settlement.fruitful, settlement.kept, judge)

    def _free_place(self) -> None:
        self._unread -= 1
        self._changed.set()

    def _release(self, batch: Batch) -> None:
        self._calling.spending.release(batch)
        self._report()
        self._changed.set()

    def _note_retry(self, call_id: int, cause: EndpointError, wait_seconds: float) -> None:
        self._tracker.count_retry(cause)
        retry = Retry(call_id, self._calling.wall_clock(), retry_cause(cause), str(cause), wait_seconds)
        self._journal.post(lambda ledger: ledger.note_retry(retry))
        self._calling.width.trouble()
        self._observer.noted(Retrying(call_id, str(cause), wait_seconds))
        self._report()

    def _open(self, ledger: Ledger, batch: Batch) -> tuple[int, Request]:
        """Compose a call and write it down; one errand to the ledger's thread instead of two."""
        request = self._calling.compose(ledger.logs([planned.part for planned in batch.parts]))
        call_id = ledger.open_call(
            batch,
            request,
            settings_fingerprint=self._calling.settings_fingerprint,
            sent_at=self._calling.wall_clock(),
            in_flight_limit=self._calling.width.now,
        )
        return call_id, request

    async def _counted(self, request: Request, reply: Reply) -> Reply:
        """Count ourselves where the endpoint reports no usage, as it does for a broken stream."""
        if reply.usage_reported:
            return reply
        text = reply.text + reply.reasoning
        if len(text) < LONG_REPLY:
            tokens = self._calling.count(text)
        else:
            tokens = await asyncio.to_thread(self._calling.count, text)
        return replace(reply, usage=Usage(request.input_tokens, tokens))

    def _report(self) -> None:
        """Tell the counts; once for all that changes in this turn of the event loop."""
        if not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._is_telling = False
        self._observer.progressed(
            self._tracker.progress(
                waiting=self._scheduler.batches + (self._held is not None), workers=self._calling.width.now
            )
        )
