"""The engine: workers that send batches, as results come, until nothing is left or the run is stopped."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from eventabs import providers  # they load the HTTP stack when first looked up
from eventabs.errors_and_exit_codes import EndpointError, LimitReachedError, StoppedError, UnavailableError
from eventabs.interface_language import gettext as _
from eventabs.providers import Complete
from eventabs.runs.built_from_settings import no_connection_step, opened_provider
from eventabs.runs.observer import AwaitingEndpoint, Progress, Retrying, Stopping
from eventabs.runs.progress_and_stop_conditions import ConcurrencyLimit, FailureLimit, SpendingLimit, snapshot
from eventabs.runs.schedule_and_settlement import LONG_REPLY, Session
from eventabs.shared_records import Batch, PlannedPart, Reply, Request, RunStatus
from eventabs.stop_request import StopRequested
from eventabs.store import EVERY_BATCHES, Ledger, Retry

_MANY = 32  # calls at a time, whose batches are chosen before much is learnt anyway
_WAIT_SECONDS = 2.0  # between two tries of an endpoint that is waited for


@dataclass(eq=False)
class Engine:
    """Sends what the scheduler has. A call is written before it is sent, its reply before it is read.

    When the session is `closing`, `complete` raises StopRequested for what has not been sent.
    """

    session: Session
    complete: Complete

    def __post_init__(self) -> None:
        run, remember = self.session.run, self.session.remember
        limits, well = run.settings.run, self.session.tracker.counts.done
        self.spending = SpendingLimit(run.facts, run.settings, self.session.limits)
        self.failures = FailureLimit(run.facts, run.settings, remember, well)
        self.concurrency = ConcurrencyLimit(limits.concurrency, limits.max_concurrency, time.monotonic)
        self.stopped = False  # on request
        self._tracker, self._observer = self.session.tracker, run.observer
        self.changed = asyncio.Event()
        self._taking, self._entering = asyncio.Lock(), asyncio.Lock()
        self._workers = list[asyncio.Task[None]]()
        self._error: Exception | None = None
        self._replies = 0
        self._cause: EndpointError | None = None  # why the latest call without an answer has none
        self._keeping: asyncio.TimerHandle | None = None
        self._reporting: asyncio.TimerHandle | None = None
        self._is_awaiting = False
        # under limits, what is next depends on the calls before
        self._opens_ahead = not (limits.rpm or limits.tpm or limits.max_cost or limits.max_total_tokens)

    async def run(self) -> None:
        """Work until all is done or the run is stopped. Raises the error that ended it early; a requested stop raises nothing."""
        # more than calls in flight: a worker also waits until what its answer means is on disk
        self._workers += [asyncio.create_task(self._work()) for _worker in range(2 * self.concurrency.most)]
        self._report_now()  # before any answer, how many there are
        await asyncio.wait(self._workers)
        self._report_now()
        if self._keeping is not None:
            self._keeping.cancel()
        if self._error is not None:
            raise self._error
        if not (self.stopped or self._replies) and self._cause:  # without one reply nothing is completed
            raise StoppedError(str(self._cause))

    def stop(self) -> None:
        """Send no more calls; a second time, wait for none either."""
        seconds = 0.0 if self.stopped else self.session.stop.grace_seconds
        if not self.stopped and self._tracker.in_flight:
            self._observer.noted(Stopping(seconds))
        self.stopped = True
        self._close(seconds)

    def _close(self, seconds: float) -> None:
        """Send nothing more, and cancel the workers after some seconds: an answer not read by then is in the ledger."""
        self.session.closing.set()
        self.changed.set()
        for worker in self._workers:
            asyncio.get_running_loop().call_later(seconds, worker.cancel)

    async def _work(self) -> None:
        try:
            while (batch := await self._take()) is not None:
                await self._serve(batch)
        except Exception as error:  # noqa: BLE001  any error ends the run, once calls in flight are in
            self._error = self._error or error
            self.changed.set()
            # within a limit, what is paid for is waited for
            if not isinstance(error, LimitReachedError) and not self.session.closing.is_set():
                self._close(self.session.stop.grace_seconds)

    async def _take(self) -> Batch | None:
        """Wait for a batch and a place for its call; None: there is nothing more to send.

        To wait for the disk with every answer and every row leaves the wire empty for that long; to wait with none would
        choose batches before anything was learnt. So a few answers may be unread and a few rows ahead, none beside few calls, and
        as many as there are places beside many.
        """
        tracker, scheduler = self._tracker, self.session.scheduler
        async with self._taking:  # one looks at each change, not all
            while not self.stopped and self._error is None:
                calls, limit = tracker.in_flight + tracker.opened, self.concurrency.now
                spare = limit if limit >= _MANY else 2 * (limit // 4)
                ahead = spare if self._opens_ahead else 0
                has_room = calls < limit + ahead and calls + tracker.unread < limit + spare
                if has_room and (batch := scheduler.next(links=not tracker.under_way)) is not None:
                    if self.spending.reserve(batch, tracker):
                        tracker.opened += 1
                        return batch
                    scheduler.queue.appendleft(batch)  # until calls in flight have shown what they took
                if not tracker.under_way:
                    return None
                self.changed.clear()
                await self.changed.wait()
        return None

    async def _enter_wire(self) -> None:
        """Wait until a call that is opened may be sent. Raises StopRequested where the run ends before."""
        async with self._entering:
            while self._tracker.in_flight >= self.concurrency.now:
                if self.stopped or self._error is not None:
                    raise StopRequested
                self.changed.clear()
                await self.changed.wait()

    async def _serve(self, batch: Batch) -> None:
        """Open a call, make it, store its reply, read and settle it, in this order."""
        place = _Place(self)
        try:
            opened = partial(self.session.open_call, batch=batch, in_flight_limit=self.concurrency.now)
            call, request = await self.session.writer.submit(opened)
            self._tracker.add(calls=1)
            try:
                if self._entering.locked() or self._tracker.in_flight >= self.concurrency.now:
                    await self._enter_wire()
                place.enter("in_flight")
                reply = await self._ask(call.id, request, place)
            except StopRequested:
                return
            except EndpointError as error:
                self._cause = error
                self.concurrency.trouble(error)
                is_queued = self._tracker.is_queued(error)
                place.enter("unread")
                await self.session.settle_error(call, error)
                judge = partial(self.failures.count_no_answer, error, queued=is_queued)
            else:
                self.concurrency.answered()
                characters = len(reply.text) + len(reply.reasoning)
                if characters < LONG_REPLY:
                    reply = self.session.counted(reply, request.input_tokens)
                else:
                    reply = await asyncio.to_thread(self.session.counted, reply, request.input_tokens)
                # before anything is awaited, so that nothing comes between what is paid for and the ledger
                stored = self.session.writer.submit(partial(Ledger.store_reply, call_id=call.id, reply=reply))
                place.enter("unread")
                await stored
                place.receive(0)
                self._tracker.count_reply(reply.usage, reply.seconds, characters, reply.tier)
                usable, reasons, committed = await self.session.settle_reply(call, reply)
                if usable:
                    place.enter("unsettled")
                await committed
                judge = partial(self.failures.count_answer, usable=usable, reasons=reasons)
                self._replies += 1
            ended = self._tracker.count_batch()
            judge()
        finally:
            self.spending.release(batch)
            place.receive(0)
            place.enter("ended")
        if ended % EVERY_BATCHES == 0:
            await self.session.save()

    async def _ask(self, call_id: int, request: Request, place: "_Place") -> Reply:
        """Make a call; while the run waits for its endpoint, again and again."""
        while True:
            try:
                reply = await self.complete(request, partial(self._note_retry, call_id), place.receive)
            except UnavailableError as error:
                if not self.failures.awaits(error):
                    raise
                if not self._is_awaiting:
                    self._is_awaiting = True
                    self._observer.noted(AwaitingEndpoint(str(error), _WAIT_SECONDS))
                self._note_retry(call_id, error, _WAIT_SECONDS)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.session.closing.wait(), _WAIT_SECONDS)
            else:
                self._is_awaiting = False
                return reply

    def _note_retry(self, call_id: int, cause: EndpointError, wait_seconds: float) -> None:
        name = self._tracker.count_retry(cause)
        retry = Retry(call_id, self.session.wall_clock(), name, str(cause), wait_seconds)
        self.session.writer.post(lambda ledger: ledger.note_retry(retry))
        self.concurrency.trouble(cause)
        self.failures.count_retry(cause, queued=self._tracker.is_queued(cause))
        self._observer.noted(Retrying(call_id, str(cause), wait_seconds))
        self.report()

    def report(self) -> None:
        """Report the counts soon, once for all that changes until then."""
        if self._reporting is None:
            self._reporting = asyncio.get_running_loop().call_later(0.05, self._report_now)

    def _report_now(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
            self._reporting = None
        self._observer.noted(self._progress())
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().call_later(0.5, self._keep_progress)

    def _keep_progress(self) -> None:
        self._keeping = None
        self.session.remember({"progress": snapshot(self._progress(), self.session.wall_clock())})

    def _progress(self) -> Progress:
        return self._tracker.progress(waiting=self.session.scheduler.batches, workers=self.concurrency.now)


class _Place:
    """The place of a batch: opened, in flight until its call has ended, unread until the answer is judged, unsettled, then ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._tracker = engine, engine.session.tracker
        self._count = "opened"  # of the tracker, that it is in
        self._characters = 0

    def receive(self, characters: int) -> None:
        """Take how much of the answer has come; 0: its tokens are counted, or there is no answer."""
        self._tracker.receiving += characters - self._characters
        self._characters = characters
        self._engine.report()

    def enter(self, count: str) -> None:
        """Leave the count that it is in for another."""
        tracker, before, self._count = self._tracker, self._count, count
        setattr(tracker, before, getattr(tracker, before) - 1)
        setattr(tracker, count, getattr(tracker, count) + 1)
        self._engine.report()
        self._engine.changed.set()


async def call_live(session: Session, pending: list[PlannedPart]) -> RunStatus:
    """Ask about parts call by call, once there is a connection. Raises StoppedError, StopRequested."""
    if not pending:
        return "completed"
    run, settings = session.run, session.run.settings
    session.plan(pending, probe=settings.is_remote)
    is_connected = not settings.is_remote or run.cluster is not None
    while not is_connected:
        try:
            await providers.find_route(providers.endpoint_of(settings.llm, run.environment))
            is_connected = True
        except providers.UnreachableError as error:
            if not settings.run.wait:
                step = no_connection_step(error, settings)
                raise StoppedError(_("{cause}; {step}").format(cause=error, step=step)) from None
            run.observer.noted(AwaitingEndpoint(str(error), _WAIT_SECONDS))
            await asyncio.sleep(_WAIT_SECONDS)
            session.stop.check()
    async with opened_provider(run, session.closing, session.leave_out) as complete:
        engine, loop = Engine(session, complete), asyncio.get_running_loop()
        with session.stop.calling(lambda: loop.call_soon_threadsafe(engine.stop)):
            await engine.run()
        return "interrupted" if engine.stopped else "completed"
