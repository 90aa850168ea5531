"""The jobs of a batch service: submitted once, watched, collected, settled.

What is about to be created stands in the ledger before, and its id after. So a process that was killed in between leaves a doubt, and
the next one looks through the service's listing before it creates anything again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from eventabs.choices import RunMode
from eventabs.errors import (
    EndpointError,
    RateLimitedError,
    RunDirectoryError,
    StoppedError,
    TransientError,
)
from eventabs.language import gettext as _, ngettext
from eventabs.providers import BatchService, QueueFullError, RemoteJob, ReplyLines
from eventabs.records import Batch
from eventabs.runs.batches.replies import ReplyReader
from eventabs.runs.batches.requests import JobRoom, RequestWriter
from eventabs.runs.limits import SpendingLimit
from eventabs.runs.observer import JobChanged, JobTrouble, Observer
from eventabs.stop import StopRequested
from eventabs.store import (
    Job,
    Ledger,
    LedgerWriter,
    RunDirectory,
    awaited_tokens,
    batch_of_call,
    change_job,
    give_up,
    open_to_append,
    storage_error,
    stored_jobs,
    unanswered,
)

T = TypeVar("T")

_SLOWER = 1.5  # each look that finds nothing new makes the next wait so many times as long
_SLOWEST = 10.0  # times poll_seconds
_LAGGING_LOOKS = 5  # at a job that has ended and names no file of replies yet
_LONGEST_BACKOFF = 60.0  # seconds between two tries of one request
_MOST_REFUSALS = 10  # of jobs in a row because the queue is full, while none of ours is in it
_SECOND_LOOK = 5.0  # seconds after which a listing that lags has what was created before a kill


@dataclass(eq=False, kw_only=True)
class JobRunner:
    """Submits what the scheduler has as jobs, waits for them, and settles what they bring.

    `room`: of one file; `queue_tokens`: of prompts that may wait at the service in all, 0: not known. `cancel_after`: seconds after
    which a job is cancelled, 0: never; what it did not reach is then to be asked about live (`asks_rest_live`). `longest_wait`: seconds
    that the service may be away. `report` is called when counts have changed, `save` when a job is closed. Setting `closing` ends all waiting.
    """

    run_id: str
    service: BatchService
    requests: RequestWriter
    reader: ReplyReader
    lines: ReplyLines
    writer: LedgerWriter
    directory: RunDirectory
    make_spending: Callable[[], SpendingLimit]
    room: JobRoom
    queue_tokens: int
    poll_seconds: float
    cancel_after: float
    longest_wait: float
    grace_seconds: float
    closing: asyncio.Event
    wall_clock: Callable[[], float]
    report: Callable[[], None]
    save: Callable[[], None]
    observer: Observer

    def __post_init__(self) -> None:
        self.asks_rest_live = False
        self._open: dict[int, Job] = {}
        self._looks_in_vain = Counter[int]()  # at jobs that have ended, and their files are not there
        self._interval = self.poll_seconds
        self._is_filling = False
        self._doubts = 0  # creations in a row that had no clear answer
        self._refusals = 0  # of jobs in a row that the queue had no room for

    async def run(self) -> None:
        """Submit all that is planned, and work until no job is open; what has to be asked again is in the scheduler then.

        Raises StopRequested when `closing` is set: the jobs go on at the service. Raises StoppedError where the service refuses
        the requests, or is away too long.
        """
        for job in await self._take_up():
            await self._submit(job, in_doubt=True)
        self.requests.scheduler.plan_again()
        self._is_filling = True
        while True:
            await self._fill()
            if not self._open:
                return
            await self._pause(self._interval)
            await self._look_at_all()

    async def cancel(self) -> None:
        """Cancel all open jobs, and keep what they had done. One that the service does not know is closed."""
        for job in await self._take_up():
            if not await self._was_created(job):
                await self._close(job)
        for job in list(self._open.values()):
            await self._ask_to_cancel(job)
        while self._open:
            await self._look_at_all()
            if self._open:
                await self._pause(self._interval)

    async def _take_up(self) -> list[Job]:
        """Take up the jobs that an earlier process left open; return those of which it is not known how far they came."""
        for job in await self.writer.write(stored_jobs):
            if job.is_out and job.id not in self._open:
                self._open[job.id] = job
        self._show()
        return [job for job in self._open.values() if job.batch_id is None]

    async def _was_created(self, job: Job) -> bool:
        """Find a job that an earlier process may have created, and take its id down."""
        remote = await self._find(job.file_id, self._metadata(job)) if job.file_id else None
        if remote is not None:
            await self._change(job, state="submitted", batch_id=remote.id, status=remote.status)
        return remote is not None

    async def _fill(self) -> None:
        """Open and submit jobs as long as something is planned and the queue has room."""
        while (room := self._room_now()) is not None:
            spending = self.make_spending()
            spending.hold(*await self.writer.write(awaited_tokens))
            job_id = await self.requests.open_job("planned", spending, room)
            if job_id is None:
                return
            (job,) = [job for job in await self.writer.write(stored_jobs) if job.id == job_id]
            self._open[job_id] = job
            self._show()
            if not await self._submit(job) and self._open:
                return

    def _room_now(self) -> JobRoom | None:
        """Return what the next job may hold; None: nothing is planned in this wave, or it has to wait for others."""
        planned = self.requests.batches_planned
        self._is_filling = self._is_filling and planned > 0  # what comes back later is the next wave's
        waiting = sum(job.input_tokens for job in self._open.values())
        if not self._is_filling or (self.queue_tokens and waiting >= self.queue_tokens):
            return None
        requests = min(self.room.requests or planned, planned)
        tokens = self.queue_tokens - waiting if self.queue_tokens else 0
        return JobRoom(requests, self.room.bytes, tokens, has_to_fit=waiting > 0)

    async def _submit(self, job: Job, *, in_doubt: bool = False) -> bool:
        """Upload a job's requests and create it, unless that was done before. False: the queue is full."""
        name = f"eventabs-{self.run_id}-{job.id}.jsonl"
        metadata = self._metadata(job)
        if job.file_id is None:
            file_id = await self._tried(partial(self.service.find_file, name)) if in_doubt else None
            job = await self._change(job, state="uploaded", file_id=file_id or await self._upload(job, name))
        file_id = job.file_id or ""
        remote = await self._find(file_id, metadata) if in_doubt else None
        while remote is None:
            try:
                remote = await self._unless_stopped(self.service.create_job(file_id, metadata))
            except QueueFullError as error:
                await self._close(job, str(error))
                await self._make_room(job, str(error))
                return False
            except TransientError as error:
                remote = await self._find_after(error, file_id, metadata)
        self._doubts = 0
        await self._change(
            job,
            state="submitted",
            batch_id=remote.id,
            status=remote.status,
            submitted_at=self.wall_clock(),
        )
        self.observer.noted(JobChanged(job.id, remote.id, remote.status, job.requests))
        return True

    def _metadata(self, job: Job) -> dict[str, str]:
        return {"eventabs_run": self.run_id, "eventabs_chunk": str(job.id)}

    async def _upload(self, job: Job, name: str) -> str:
        await self.writer.write(partial(self.requests.write_lines, job_id=job.id))
        try:
            return await self._tried(partial(self.service.upload, self.directory.requests, name))
        finally:
            self.directory.requests.unlink(missing_ok=True)

    async def _find(self, file_id: str, metadata: dict[str, str]) -> RemoteJob | None:
        """Look for a job that may have been created, twice: a listing may lag behind."""
        find = partial(self.service.find_job, file_id, metadata)
        if (found := await self._tried(find)) is not None:
            return found
        await self._pause(min(self.poll_seconds, _SECOND_LOOK))
        return await self._tried(find)

    async def _find_after(
        self, error: TransientError, file_id: str, metadata: dict[str, str]
    ) -> RemoteJob | None:
        """Look for a job whose creation had no clear answer."""
        self._doubts += 1
        if self._doubts >= _MOST_REFUSALS:
            raise error
        wait = max(_backoff(self._doubts), getattr(error, "wait_seconds", None) or 0.0)
        self.observer.noted(JobTrouble(str(error), wait))
        await self._pause(wait)
        return await self._find(file_id, metadata)

    async def _look_at_all(self) -> None:
        before = dict(self._open)
        for job in list(self._open.values()):
            await self._look(job)
        changed = before != self._open
        self._interval = (
            self.poll_seconds if changed else min(self._interval * _SLOWER, self.poll_seconds * _SLOWEST)
        )
        self._show()

    async def _look(self, job: Job) -> None:
        """Ask how a job stands; collect it when it has ended, cancel it when it takes too long."""
        remote = await self._tried(partial(self.service.retrieve, job.batch_id or ""))
        if remote.status != job.status:
            job = await self._change(job, status=remote.status)
            self.observer.noted(
                JobChanged(job.id, remote.id, remote.status, remote.total or job.requests, remote.done)
            )
        if remote.is_final:
            if not self._lags(job, remote):
                await self._collect(job, remote)
        elif self.cancel_after and self.wall_clock() - (job.submitted_at or 0.0) > self.cancel_after:
            self.asks_rest_live = True
            if remote.status != "cancelling":
                await self._ask_to_cancel(job)

    def _lags(self, job: Job, remote: RemoteJob) -> bool:
        """Whether the replies of a job that has ended are still to come, as far as that is believed."""
        if remote.output_file_id or remote.status == "failed":
            return False
        if remote.error_file_id and remote.status != "completed":
            return False
        self._looks_in_vain[job.id] += 1
        return self._looks_in_vain[job.id] < _LAGGING_LOOKS

    async def _collect(self, job: Job, remote: RemoteJob) -> None:
        """Read both files of a job that has ended, whatever its state; then nothing is awaited from it any more."""
        for file_id in filter(None, (remote.output_file_id, remote.error_file_id)):
            await self._take(file_id)
        fatal: EndpointError | None = None
        try:
            await self.reader.settle()
        except EndpointError as error:
            fatal = error
        said = "; ".join(text for _code, text in remote.errors)
        missing = await self._close(job, said)
        if missing < job.requests:
            self._refusals = 0
        if remote.queue_was_full:
            await self._make_room(job, said)
        elif remote.status == "failed" and missing == job.requests:
            message = _(
                "{host} did not carry out job {job}: {said}; mend that, then: eventabs resume, or with --mode live"
            )
            raise StoppedError(
                message.format(host=self.service.host, job=remote.id, said=said or _("no reason given"))
            )
        if fatal is not None:
            raise fatal

    async def _take(self, file_id: str) -> None:
        path = self.directory.path / "replies.tmp"
        path.unlink(missing_ok=True)
        with open_to_append(path) as file:

            def write(chunk: bytes) -> None:
                try:
                    file.write(chunk)
                except OSError as error:
                    raise storage_error(path, error) from error

            def begin() -> Awaitable[None]:
                file.truncate(0)
                return self.service.download(file_id, write)

            await self._tried(begin)
        await self.reader.take(path, self.lines)
        path.unlink()

    async def _close(self, job: Job, error: str = "") -> int:
        """Await nothing from a job any more; give what it has no answers for back to the scheduler. Return how many requests those are."""
        missing = await self.writer.write(
            partial(_close, job_id=job.id, ended_at=self.wall_clock(), error=error or None)
        )
        del self._open[job.id]
        for batch in missing:
            self.requests.scheduler.put_back(batch.parts)
        self.save()
        return len(missing)

    async def _make_room(self, job: Job, said: str) -> None:
        """Let the next job be half as large as one that the queue had no room for, and wait for others."""
        self.queue_tokens = max(1, job.input_tokens // 2)
        self.requests.scheduler.plan_again()
        self._is_filling = True
        self._refusals += 1
        if self._refusals >= _MOST_REFUSALS:
            message = _(
                "{said}: no job got into the queue; wait for other jobs of the account, or lower batch.max_enqueued_tokens"
            )
            raise StoppedError(message.format(said=said))
        wait = max(self.poll_seconds, _backoff(max(1, self._refusals)))
        self.observer.noted(JobTrouble(said, wait))
        if not self._open:
            await self._pause(wait)

    async def _ask_to_cancel(self, job: Job) -> None:
        """Cancel a job. One that has ended meanwhile refuses that, and is collected; one that is gone is closed."""
        try:
            await self._tried(partial(self.service.cancel, job.batch_id or ""))
        except EndpointError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                await self._close(job, str(error))
            elif error.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:
                raise

    async def _change(self, job: Job, **values: Any) -> Job:  # noqa: ANN401  columns of jobs
        await self.writer.write(partial(change_job, job_id=job.id, **values))
        changed = job._replace(**values)
        self._open[job.id] = changed
        return changed

    def _show(self) -> None:
        self.requests.tracker.in_flight = sum(job.requests for job in self._open.values())
        self.report()

    async def _tried(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask something that may be asked again, until the service has been away for `longest_wait`."""
        waited, tries = 0.0, 0
        while True:
            try:
                return await self._unless_stopped(ask())
            except TransientError as error:
                tries += 1
                wait = _backoff(tries)
                if isinstance(error, RateLimitedError):
                    wait = max(wait, error.wait_seconds or 0.0)
                waited += wait
                if waited > self.longest_wait:
                    raise
                self.observer.noted(JobTrouble(str(error), wait))
                await self._pause(wait)

    async def _unless_stopped(self, asking: Awaitable[T]) -> T:
        """Await an answer; once `closing` is set, only some seconds more. Raises StopRequested then."""
        task = asyncio.ensure_future(asking)
        closed = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({task, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait({task}, timeout=self.grace_seconds)
            if not task.done():
                raise StopRequested
            return task.result()
        finally:
            for each in (task, closed):
                each.cancel()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)
        if self.closing.is_set():
            raise StopRequested


def going_on(jobs: Sequence[Job]) -> str:
    """Say how many jobs go on at the batch service, "" where none does."""
    count = sum(job.is_out for job in jobs)
    message = ngettext(
        "{count} job goes on at the batch service; eventabs resume waits for it, eventabs resume --cancel ends it",
        "{count} jobs go on at the batch service; eventabs resume waits for them, eventabs resume --cancel ends them",
        count,
    )
    return message.format(count=count) if count else ""


def refuse_other_mode(jobs: Sequence[Job], mode: RunMode) -> None:
    """Raise RunDirectoryError where jobs go on at a batch service, and another mode would ask about their users again."""
    if mode != "batch" and (said := going_on(jobs)):
        message = _("{said}; go on with --mode batch")
        raise RunDirectoryError(message.format(said=said))


def _close(ledger: Ledger, job_id: int, ended_at: float, error: str | None) -> Sequence[Batch]:
    missing = [batch_of_call(ledger, call_id) for call_id in unanswered(ledger, job_id)]
    give_up(ledger, job_id)
    change_job(ledger, job_id, state="closed", ended_at=ended_at, error=error)
    return missing


def _backoff(tries: int) -> float:
    return min(2.0 ** (tries - 1), _LONGEST_BACKOFF)
