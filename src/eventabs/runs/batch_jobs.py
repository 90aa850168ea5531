"""Calls through files: requests written and replies read, and jobs of a batch service, wave by wave.

What is about to be created is in the ledger before, and its id after. So a process that was killed in between leaves a doubt, and
the next one looks through the service's listing before it creates anything again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from eventabs import providers, store  # providers load the HTTP stack when first looked up
from eventabs.errors_and_exit_codes import (
    EndpointError,
    InputError,
    RateLimitedError,
    RejectedRequestError,
    StoppedError,
    TransientError,
)
from eventabs.interface_language import gettext as _, ngettext
from eventabs.runs.built_from_settings import (
    batch_profile,
    call_limits,
    endpoint_of,
)
from eventabs.runs.engine import open_call
from eventabs.runs.observer import JobChanged, JobTrouble, RepliesRead, RequestsWritten
from eventabs.runs.progress_and_limits import SpendingLimit, snapshot
from eventabs.runs.schedule_and_settlement import Call, Session, scheduler_of
from eventabs.shared_records import (
    BATCH_TIER,
    STANDARD_TIER,
    Batch,
    Message,
    PlannedPart,
    Reply,
    RunStatus,
)
from eventabs.stop_request import StopRequested
from eventabs.store import Job, JobState, Ledger

_CALLS_A_COMMIT = 20
_SPREAD = 2  # a line is seldom longer than this many times the longest before it


@dataclass(slots=True)
class JobRoom:
    """What one more file may hold: requests, bytes, and tokens of prompts; what it has taken is subtracted.

    `has_to_fit`: also the first prompt; otherwise a file has at least one. `longest`: bytes of a line so far.
    """

    requests: float = inf
    bytes: float = inf
    tokens: float = inf
    has_to_fit: bool = False
    longest: int = 0

    @property
    def lines(self) -> int:
        """How many more lines fit, if none is much longer than the longest so far."""
        by_bytes = _CALLS_A_COMMIT if self.bytes == inf else 1
        if self.longest and self.bytes < inf:
            by_bytes = int(self.bytes // (_SPREAD * self.longest))
        return int(min(_CALLS_A_COMMIT, self.requests, by_bytes))


class RequestWriter:
    """Opens calls for what the scheduler has, as requests of a job, and writes requests as lines."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._url = batch_profile(session.run.settings).url
        self._sampling = session.sampling()

    async def open_job(
        self, state: JobState, spending: SpendingLimit, room: JobRoom | None = None
    ) -> int | None:
        """Open calls as one job until it is full; return its number, None where nothing is left or `spending` holds it back.

        Raises LimitReachedError where not even one more call keeps the limits and none is out, and StopRequested.
        """
        room = room or JobRoom()
        job_id: int | None = None
        while group := self._take(room, spending):
            self._session.stop.check()
            job_id, opened = await self._session.writer.write(self._open, state, job_id, group)
            for line in opened:
                room.bytes -= line
                room.longest = max(room.longest, line)
                self._session.tracker.add(calls=1)
        return job_id

    def _take(self, room: JobRoom, spending: SpendingLimit) -> list[Batch]:
        """Take the next batches that still fit."""
        group = list[Batch]()
        lines = room.lines
        while len(group) < lines and (batch := self._session.scheduler.next()) is not None:
            tokens = spending.input_tokens(batch)
            fits = tokens <= room.tokens or not room.has_to_fit
            if not fits or not spending.reserve(batch, self._session.tracker):
                self._session.scheduler.put_first(batch)
                break
            room.requests, room.tokens, room.has_to_fit = room.requests - 1, room.tokens - tokens, True
            group.append(batch)
        return group

    def _open(
        self, ledger: Ledger, state: JobState, job_id: int | None, group: Sequence[Batch]
    ) -> tuple[int, list[int]]:
        """Write calls down as part of a job, which begins with its first one: none is ever empty.

        Return the job, and the bytes of each call's line.
        """
        job_id = job_id or store.open_job(ledger, state)
        lines = []
        for batch in group:
            call, request = open_call(ledger, self._session, batch)
            fields = providers.request_fields(request, self._session.run.settings.llm.model, self._sampling)
            store.add_to_job(ledger, job_id, call.id, fields)
            lines.append(len(self._line(call.id, fields, request.messages)))
        return job_id, lines

    def write_lines(self, ledger: Ledger, job_id: int | None = None) -> int:
        """Write requests.jsonl: the requests of a job, or of all, that have no answer; return how many.

        The file is a copy of what the ledger holds, so a lost one is made again.
        """
        written = 0

        def lines() -> Iterator[bytes]:
            nonlocal written
            for request in store.job_requests(ledger, job_id):
                written += 1
                yield self._line(*request)

        store.replace_file(self._session.run.directory.requests, lines())
        return written

    def _line(self, call_id: int, fields: dict[str, Any], messages: tuple[Message, ...]) -> bytes:
        # unique among all runs, at most 64 characters
        named = f"{self._session.run.facts['run_id']}-{call_id}"
        return providers.request_line(named, self._url, fields, messages)


_LINES_A_COMMIT = 50

# What a line is: `late`: its users have been asked about again meanwhile; `unknown`: it is of another run
Kind = Literal["replies", "errors", "not_reached", "repeated", "late", "unknown", "unreadable"]


class ReplyReader:
    """Takes lines of output and error files into the ledger, then settles them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._errors: dict[int, EndpointError] = {}
        self._replies = 0

    async def take(self, path: Path, lines: "providers.ReplyLines") -> Counter[Kind]:
        """Store what a file holds; return how many lines of each kind it has. Raises InputError where it cannot be read."""
        found = Counter[Kind]()
        try:
            with path.open("rb") as file:
                while chunk := list(islice(file, _LINES_A_COMMIT)):
                    read = [lines.read(line) for line in chunk if not line.isspace()]
                    found["unreadable"] += read.count(None)
                    named = [(self._call_of(line), line.result) for line in read if line is not None]
                    kinds, stored = await self._session.writer.write(self._stored, named)
                    found += Counter(kinds)
                    for (call_id, result), kind in zip(named, kinds, strict=True):
                        if call_id is not None and isinstance(result, EndpointError) and kind == "errors":
                            self._errors[call_id] = result
                    for reply in stored:
                        characters = len(reply.text)
                        self._session.tracker.count_reply(reply.usage, reply.seconds, characters, reply.tier)
        except OSError as error:
            message = _("{path} cannot be read ({error}); name a file of replies")
            raise InputError(message.format(path=path, error=error.strerror or error)) from None
        self._replies += found["replies"]
        self._session.run.observer.noted(
            RepliesRead(str(path), {kind: found[kind] for kind in get_args(Kind) if found[kind]})
        )
        return found

    def _call_of(self, line: "providers.ReplyLine") -> int | None:
        """Return the call that a line is about, None if it is not one of this run."""
        run, _hyphen, number = line.custom_id.rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) < len(run)
        return int(number) if is_number and run == self._session.run.facts["run_id"] else None

    def _stored(
        self, ledger: Ledger, named: Sequence[tuple[int | None, Reply | EndpointError | None]]
    ) -> tuple[list[Kind], list[Reply]]:
        """Store the replies among some lines. Return what each line is, and the replies that were stored."""
        kinds, stored = list[Kind](), list[Reply]()
        for call_id, result in named:
            kinds.append(_kind(ledger, call_id, result))
            if kinds[-1] == "replies" and call_id is not None and isinstance(result, Reply):
                ((input_tokens,),) = ledger.rows("SELECT input_tokens FROM calls WHERE id = ?", call_id)
                stored.append(self._session.counted(result, input_tokens))
                ledger.store_reply(call_id, stored[-1])
        return kinds, stored

    async def settle(self) -> None:
        """Settle all that was taken: replies first, since an error beside a reply to the same request says nothing.

        Raises the first error that no other request could fare better with, once everything else is settled.
        """
        await self._session.settle_unread()
        errors, self._errors = self._errors, {}
        refused = [error for error in errors.values() if isinstance(error, RejectedRequestError)]
        if refused and len(refused) == len(errors) and not self._replies:

            def fail_all(ledger: Ledger) -> None:
                for call_id, error in errors.items():
                    ledger.fail_call(call_id, str(error), [])

            await self._session.writer.write(fail_all)
            raise refused[0]  # of all requests alike: smaller ones would be refused too
        fatal: EndpointError | None = None
        for call_id, error in errors.items():
            if await self._session.writer.write(store.call_status, call_id) == "sent":
                batch = await self._session.writer.write(store.batch_of_call, call_id)
                try:
                    await self._session.settle_error(Call(call_id, batch, {}), error)
                except EndpointError as raised:
                    fatal = fatal or raised
                self._session.tracker.add(batches_done=1)
        if fatal is not None:
            raise fatal


def _kind(ledger: Ledger, call_id: int | None, result: Reply | EndpointError | None) -> Kind:
    status = None if call_id is None else store.call_status(ledger, call_id)
    if call_id is None or status is None:
        return "unknown"
    if status in {"answered", "read", "failed"}:
        return "repeated"
    if status == "lost":  # given up, and its reply is still good if nobody was asked again
        parts = store.parts_of_call(ledger, call_id).values()
        if len(ledger.planned_parts(parts)) < len(parts) or store.busy_parts(ledger) & set(parts):
            return "late"
    if isinstance(result, Reply):
        return "replies"
    if result is None or status == "lost":
        return "not_reached"
    return "errors"


T = TypeVar("T")

_SLOWER = 1.5  # factor by which a look that finds nothing new makes the next wait longer
_SLOWEST = 10.0  # times poll_seconds
_LAGGING_LOOKS = 5  # at a job that has ended and names no file of replies yet
_LONGEST_BACKOFF = 60.0  # seconds between two tries of one request
_MOST_REFUSALS = 10  # of jobs in a row because the queue is full, while none of ours is in it
_SECOND_LOOK = 5.0  # seconds after which a listing that lags has what was created before a kill


class JobRunner:
    """Submits what the scheduler has as jobs, waits for them, and settles what they bring.

    The session's `closing` ends all waiting. Once a job took too long and was cancelled, `asks_rest_live` is set.
    """

    def __init__(
        self, session: Session, service: "providers.BatchService", lines: "providers.ReplyLines"
    ) -> None:
        self.asks_rest_live = False
        self._session = session
        self._service = service
        self._requests = RequestWriter(session)
        self._reader = ReplyReader(session)
        self._lines = lines
        run = session.run
        self._run_id, self._observer, self._settings = run.facts["run_id"], run.observer, run.settings.batch
        self._profile = batch_profile(run.settings)
        self._queue_tokens = self._settings.max_enqueued_tokens  # of all prompts that wait, 0: not known
        self._open: dict[int, Job] = {}
        self._looks_in_vain = Counter[int]()  # at jobs that have ended, and their files are not there
        self._interval = self._settings.poll_seconds
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
        self._session.scheduler.plan_again()
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
            # which an earlier process may have created
            remote = await self._find(job.file_id, self._metadata(job)) if job.file_id else None
            if remote is None:
                await self._close(job)
            else:
                await self._change(job, state="submitted", batch_id=remote.id, status=remote.status)
        for job in list(self._open.values()):
            await self._ask_to_cancel(job)
        while self._open:
            await self._look_at_all()
            if self._open:
                await self._pause(self._interval)

    async def _take_up(self) -> list[Job]:
        """Take up the jobs that an earlier process left open; return those of which it is not known how far they came."""
        for job in await self._session.writer.write(store.stored_jobs):
            if job.is_out and job.id not in self._open:
                self._open[job.id] = job
        self._show()
        return [job for job in self._open.values() if job.batch_id is None]

    async def _fill(self) -> None:
        """Open and submit jobs as long as something is planned in this wave and the queue has room."""
        while True:
            planned = self._session.scheduler.planned
            self._is_filling = self._is_filling and planned > 0  # what comes back later is the next wave's
            waiting = sum(job.input_tokens for job in self._open.values())
            if not self._is_filling or (self._queue_tokens and waiting >= self._queue_tokens):
                return
            requests = min(self._profile.max_requests or planned, planned)
            tokens = self._queue_tokens - waiting if self._queue_tokens else inf
            room = JobRoom(requests, self._profile.max_bytes or inf, tokens, has_to_fit=waiting > 0)
            spending = self._session.spending(BATCH_TIER)
            spending.hold(*await self._session.writer.write(store.awaited_tokens))
            job_id = await self._requests.open_job("planned", spending, room)
            if job_id is None:
                return
            (job,) = [job for job in await self._session.writer.write(store.stored_jobs) if job.id == job_id]
            self._open[job_id] = job
            self._show()
            if not await self._submit(job) and self._open:
                return

    async def _submit(self, job: Job, *, in_doubt: bool = False) -> bool:
        """Upload a job's requests and create it, unless that was done before. False: the queue is full."""
        name = f"eventabs-{self._run_id}-{job.id}.jsonl"
        metadata = self._metadata(job)
        if job.file_id is None:
            file_id = await self._tried(partial(self._service.find_file, name)) if in_doubt else None
            if file_id is None:
                path = self._session.run.directory.requests
                await self._session.writer.write(self._requests.write_lines, job.id)
                try:
                    file_id = await self._tried(partial(self._service.upload, path, name))
                finally:
                    path.unlink(missing_ok=True)
            job = await self._change(job, state="uploaded", file_id=file_id)
        file_id = job.file_id or ""
        remote = await self._find(file_id, metadata) if in_doubt else None
        while remote is None:
            try:
                remote = await self._unless_stopped(self._service.create_job(file_id, metadata))
            except providers.QueueFullError as error:
                await self._close(job, str(error))
                await self._make_room(job, str(error))
                return False
            except TransientError as error:
                self._doubts += 1  # it may have been created all the same
                if self._doubts >= _MOST_REFUSALS:
                    raise
                wait = max(_backoff(self._doubts), getattr(error, "wait_seconds", None) or 0.0)
                self._observer.noted(JobTrouble(str(error), wait))
                await self._pause(wait)
                remote = await self._find(file_id, metadata)
        self._doubts = 0
        await self._change(
            job,
            state="submitted",
            batch_id=remote.id,
            status=remote.status,
            submitted_at=self._session.wall_clock(),
        )
        self._observer.noted(JobChanged(job.id, remote.id, remote.status, job.requests))
        return True

    def _metadata(self, job: Job) -> dict[str, str]:
        return {"eventabs_run": self._run_id, "eventabs_chunk": str(job.id)}

    async def _find(self, file_id: str, metadata: dict[str, str]) -> "providers.RemoteJob | None":
        """Look for a job that may have been created, twice: a listing may lag behind."""
        find = partial(self._service.find_job, file_id, metadata)
        if (found := await self._tried(find)) is not None:
            return found
        await self._pause(min(self._settings.poll_seconds, _SECOND_LOOK))
        return await self._tried(find)

    async def _look_at_all(self) -> None:
        before = dict(self._open)
        for job in list(self._open.values()):
            await self._look(job)
        changed = before != self._open
        self._interval = (
            self._settings.poll_seconds
            if changed
            else min(self._interval * _SLOWER, self._settings.poll_seconds * _SLOWEST)
        )
        self._show()

    async def _look(self, job: Job) -> None:
        """Ask for a job's status; collect it when it has ended, cancel it when it takes too long."""
        remote = await self._tried(partial(self._service.retrieve, job.batch_id or ""))
        if remote.status != job.status:
            job = await self._change(job, status=remote.status)
            self._observer.noted(
                JobChanged(job.id, remote.id, remote.status, remote.total or job.requests, remote.done)
            )
        if remote.is_final:
            has_errors_alone = remote.error_file_id and remote.status != "completed"
            if not (remote.output_file_id or remote.status == "failed" or has_errors_alone):
                self._looks_in_vain[job.id] += 1
                if self._looks_in_vain[job.id] < _LAGGING_LOOKS:
                    return  # its replies may still come
            await self._collect(job, remote)
        elif (
            self._settings.cancel_after
            and self._session.wall_clock() - (job.submitted_at or 0.0) > self._settings.cancel_after
        ):
            self.asks_rest_live = True
            if remote.status != "cancelling":
                await self._ask_to_cancel(job)

    async def _collect(self, job: Job, remote: "providers.RemoteJob") -> None:
        """Read both files of a job that has ended, whatever its state; then nothing is awaited from it any more."""
        for file_id in filter(None, (remote.output_file_id, remote.error_file_id)):
            await self._take(file_id)
        fatal: EndpointError | None = None
        try:
            await self._reader.settle()
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
                message.format(host=self._service.host, job=remote.id, said=said or _("no reason given"))
            )
        if fatal is not None:
            raise fatal

    async def _take(self, file_id: str) -> None:
        path = self._session.run.directory.path / "replies.tmp"
        path.unlink(missing_ok=True)
        with store.open_to_append(path) as file:

            def write(chunk: bytes) -> None:
                try:
                    file.write(chunk)
                except OSError as error:
                    raise store.storage_error(path, error) from error

            def begin() -> Awaitable[None]:
                file.truncate(0)
                return self._service.download(file_id, write)

            await self._tried(begin)
        await self._reader.take(path, self._lines)
        path.unlink()

    async def _close(self, job: Job, error: str = "") -> int:
        """Await nothing from a job any more; give what it has no answers for back to the scheduler. Return how many requests those are."""
        ended_at, said = self._session.wall_clock(), error or None
        missing = await self._session.writer.write(store.close_job, job.id, ended_at=ended_at, error=said)
        del self._open[job.id]
        for batch in missing:
            self._session.scheduler.put_back(batch.parts)
        waiting = self._session.scheduler.batches
        self._session.run.save(self._session.tracker, status="running", batches_waiting=waiting)
        return len(missing)

    async def _make_room(self, job: Job, said: str) -> None:
        """Let the next job be half as large as one that the queue had no room for, and wait for others."""
        self._queue_tokens = max(1, job.input_tokens // 2)
        self._session.scheduler.plan_again()
        self._is_filling = True
        self._refusals += 1
        if self._refusals >= _MOST_REFUSALS:
            message = _(
                "{said}: no job got into the queue; wait for other jobs of the account, or lower batch.max_enqueued_tokens"
            )
            raise StoppedError(message.format(said=said))
        wait = max(self._settings.poll_seconds, _backoff(max(1, self._refusals)))
        self._observer.noted(JobTrouble(said, wait))
        if not self._open:
            await self._pause(wait)

    async def _ask_to_cancel(self, job: Job) -> None:
        """Cancel a job. One that has ended meanwhile refuses that, and is collected; one that is gone is closed."""
        try:
            await self._tried(partial(self._service.cancel, job.batch_id or ""))
        except EndpointError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                await self._close(job, str(error))
            elif error.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:
                raise

    async def _change(self, job: Job, **values: Any) -> Job:  # noqa: ANN401  columns of jobs
        await self._session.writer.write(store.change_job, job.id, **values)
        changed = job._replace(**values)
        self._open[job.id] = changed
        return changed

    def _show(self) -> None:
        """Show how far the run is, here and in `eventabs status`."""
        tracker = self._session.tracker
        tracker.in_flight = sum(job.requests for job in self._open.values())
        progress = tracker.progress(waiting=self._session.scheduler.batches, workers=1)
        self._observer.progressed(progress)
        self._session.remember({"progress": snapshot(progress, self._session.wall_clock())})

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
                if waited > self._session.run.settings.llm.longest_wait:
                    raise
                self._observer.noted(JobTrouble(str(error), wait))
                await self._pause(wait)

    async def _unless_stopped(self, asking: Awaitable[T]) -> T:
        """Await an answer; once `closing` is set, only some seconds more. Raises StopRequested then."""
        task = asyncio.ensure_future(asking)
        closed = asyncio.ensure_future(self._session.closing.wait())
        try:
            await asyncio.wait({task, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait({task}, timeout=self._session.stop.grace_seconds)
            if not task.done():
                raise StopRequested
            return task.result()
        finally:
            for each in (task, closed):
                each.cancel()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._session.closing.wait(), seconds)
        if self._session.closing.is_set():
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


def _backoff(tries: int) -> float:
    return min(2.0 ** (tries - 1), _LONGEST_BACKOFF)


@asynccontextmanager
async def opened_jobs(session: Session) -> AsyncIterator[JobRunner]:
    """Open the runner of the batch service's jobs; a requested stop ends its waiting."""
    settings, loop = session.run.settings, asyncio.get_running_loop()
    # another tier may have an address of its own
    ordinary = settings.llm.model_copy(update={"tier": STANDARD_TIER})
    endpoint = endpoint_of(ordinary, session.run.environment)
    service = providers.BatchService(endpoint, batch_profile(settings), call_limits(settings))
    async with aclosing(service):
        runner = JobRunner(session, service, providers.ReplyLines(endpoint, service.host, BATCH_TIER))
        with session.stop.calling(lambda: loop.call_soon_threadsafe(session.closing.set)):
            yield runner
    session.tracker.in_flight = 0


Ask = Callable[[list[PlannedPart]], Awaitable[RunStatus]]  # asks about parts call by call

_MOST_WAVES = 3  # of jobs; what is left then is asked about live, so that every run ends


async def read_replies(session: Session, replies: Sequence[Path]) -> None:
    """Store what files hold, then settle it. Raises InputError for a file without any reply."""
    reader = ReplyReader(session)
    endpoint = endpoint_of(session.run.settings.llm, session.run.environment)
    for path in replies:
        found = await reader.take(path, providers.ReplyLines(endpoint, path.name))
        if not found.total() - found["unreadable"]:
            message = _(
                '{path} holds no replies; name the output or error file of a batch, with lines like {{"custom_id": ..., "response": ...}}'
            )
            raise InputError(message.format(path=path))
    await reader.settle()


async def write_requests(session: Session, pending: Sequence[PlannedPart]) -> RunStatus:
    """Write what is pending, and what is still awaited, as lines of requests.jsonl."""
    run = session.run
    session.plan(pending)
    requests, spending = RequestWriter(session), session.spending()
    spending.hold(*await session.writer.write(store.awaited_tokens))
    await requests.open_job("written", spending)
    count = await session.writer.write(requests.write_lines)
    if not count:
        run.directory.requests.unlink(missing_ok=True)
        return "completed"
    run.observer.noted(RequestsWritten(str(run.directory.requests), count, session.scheduler.batches))
    return "waiting"


async def run_jobs(session: Session, pending: list[PlannedPart], call: Ask) -> RunStatus:
    """Ask about what is pending through the batch service, wave by wave, and about the last of it live."""
    batch = session.run.settings.batch
    has_jobs = any(job.is_out for job in await session.writer.write(store.stored_jobs))
    if not has_jobs and not session.learner.has_learned and batch.live_calls:
        # a few calls, so that the length of answers is known when jobs are planned
        scheduler = scheduler_of(session.run, pending, session.learner.limits, probe=True)
        first = [scheduler.next() for _call in range(batch.live_calls)]
        parts = [planned for each in first if each is not None for planned in each.parts]
        if await call(parts) == "interrupted":
            return "interrupted"
        pending = await session.writer.write(Ledger.pending_parts)
    session.plan(pending)
    async with opened_jobs(session) as jobs:
        for _wave in range(_MOST_WAVES):
            waiting = session.scheduler.batches
            total = session.tracker.counts.batches_done + waiting
            if has_jobs or waiting > max(batch.live_calls, batch.live_share * total):
                await jobs.run()
            has_jobs = False
            if jobs.asks_rest_live:
                break
    return await call(await session.writer.write(Ledger.pending_parts))


async def cancel_jobs(session: Session) -> None:
    """Cancel all jobs of the batch service. Raises StoppedError when that is done: nothing else was asked for."""
    async with opened_jobs(session) as jobs:
        await jobs.cancel()
    message = _(
        "no job of the batch service is left; what they had done is kept. Ask about the rest with: eventabs resume,"
        " or with --mode live"
    )
    raise StoppedError(message)
