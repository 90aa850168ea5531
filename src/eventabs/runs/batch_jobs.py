"""Calls through files: requests written and replies read, and jobs of a batch service, wave by wave.

What is about to be created is in the ledger before, and its id after. So a process that was killed in between leaves a doubt about a
job, and the next one looks through the service's listing before it creates that again. A file that is uploaded twice costs nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from eventabs import providers, store  # providers load the HTTP stack when first looked up
from eventabs.errors_and_exit_codes import (
    EndpointError,
    InputError,
    RejectedRequestError,
    RunDirectoryError,
    StoppedError,
    TransientError,
)
from eventabs.interface_language import gettext as _
from eventabs.runs.built_from_settings import batch_profile
from eventabs.runs.engine import call_live
from eventabs.runs.observer import AwaitingEndpoint, JobChanged, RepliesRead, RequestsWritten
from eventabs.runs.progress_and_stop_conditions import REFUSED_FACT, SpendingLimit, snapshot
from eventabs.runs.schedule_and_settlement import Call, Session, scheduler_of
from eventabs.shared_records import BATCH_TIER, STANDARD_TIER, Message, PlannedPart, Reply, RunStatus
from eventabs.stop_request import StopRequested
from eventabs.store import Job, JobState, Ledger


def open_job(
    ledger: Ledger, session: Session, state: JobState, tier: str = "", most: Sequence[float] = (inf, inf, inf)
) -> Job | None:
    """Open calls for what waits in the scheduler's queue as one job, of N requests, bytes and tokens of prompts at `most`; None: not one fits.

    Where nothing else is awaited the first request fits whatever its tokens are. `tier`: whose price limits count. A requested stop
    ends the job early. Raises LimitReachedError where not even one more call keeps the limits and none is out.
    """
    (awaited,) = ledger.rows("SELECT count(*), coalesce(sum(input_tokens), 0) FROM awaited_calls")
    run = session.run
    spending = SpendingLimit(run.facts, run.settings, session.limits, tier, *awaited)
    endpoint = providers.endpoint_of(run.settings.llm, run.environment)
    refused = run.facts.get(REFUSED_FACT) or {"parameters": ()}
    endpoint = endpoint.changed(omit=(*endpoint.llm.omit, *refused["parameters"]))
    job_id, longest, queue = 0, 0, session.scheduler.queue
    requests, size, tokens = most
    # a line is seldom twice as long as the longest before it
    while queue and requests >= 1 and size >= 2 * longest and not session.stop.requests:
        used = spending.input_tokens(queue[0])
        fits = used <= tokens or not (any(awaited) or job_id)
        if not fits or not spending.reserve(queue[0], session.tracker):
            break
        call, request = session.open_call(ledger, queue.popleft())
        fields = providers.request_fields(request, endpoint)
        job_id = store.add_to_job(ledger, job_id, call.id, fields, state)
        line = len(_line(session, call.id, fields, request.messages))
        requests, size, tokens, longest = requests - 1, size - line, tokens - used, max(longest, line)
        session.tracker.add(calls=1)
    return store.stored_jobs(ledger)[-1] if job_id else None


def write_lines(ledger: Ledger, session: Session, job_id: int | None = None) -> int:
    """Write requests.jsonl, a copy of what the ledger holds: requests of a job, or of all, without an answer; return how many."""
    awaited = store.unanswered(ledger, job_id)
    lines = (_line(session, call_id, *store.job_request(ledger, call_id)) for call_id in awaited)
    store.replace_file(session.run.directory.requests, lines)
    return len(awaited)


def _line(session: Session, call_id: int, fields: dict[str, Any], messages: tuple[Message, ...]) -> bytes:
    # unique among all runs, at most 64 characters
    named = f"{session.run.facts['run_id']}-{call_id}"
    return providers.request_line(named, batch_profile(session.run.settings).url, fields, messages)


# What a line is: `late`: its users have been asked about again meanwhile; `unknown`: it is of another run
Kind = Literal["replies", "errors", "not_reached", "repeated", "late", "unknown", "unreadable"]
Result = Reply | EndpointError | None
_DIGITS = 19  # of the greatest number that a ledger takes


class ReplyReader:
    """Takes lines of output and error files into the ledger, then settles them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._errors: dict[int, EndpointError] = {}
        self._replies = 0

    async def take(self, path: Path, lines: "providers.ReplyLines") -> set[Kind]:
        """Store what a file holds; return the kinds of its lines. Raises InputError where it cannot be read."""
        found, tracker = Counter[Kind](), self._session.tracker

        def stored(ledger: Ledger, chunk: Iterable[bytes]) -> list[tuple[Kind, int, Result]]:
            return [self._store(ledger, lines.read(line)) for line in chunk if not line.isspace()]

        try:
            with path.open("rb") as file:
                while chunk := list(islice(file, 50)):
                    for kind, call_id, result in await self._session.writer.write(stored, chunk):
                        found[kind] += 1
                        if kind == "replies" and isinstance(result, Reply):
                            tracker.count_reply(result.usage, result.seconds, len(result.text), result.tier)
                        elif kind == "errors" and isinstance(result, EndpointError):
                            self._errors[call_id] = result
        except OSError as error:
            message = _("{path} cannot be read ({error}); name a file of replies")
            raise InputError(message.format(path=path, error=error.strerror or error)) from None
        self._replies += found["replies"]
        told = {kind: found[kind] for kind in get_args(Kind) if found[kind]}
        self._session.run.observer.noted(RepliesRead(str(path), told))
        return set(told)

    def _store(self, ledger: Ledger, line: tuple[str, Result] | None) -> tuple[Kind, int, Result]:
        """Store a reply; return what the line is, its call (0: none of this run) and what came back."""
        if line is None:
            return "unreadable", 0, None
        run, _hyphen, number = line[0].rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) < _DIGITS
        call_id = int(number) if is_number and run == self._session.run.facts["run_id"] else 0
        (state, input_tokens), result = store.call_of_job(ledger, call_id), line[1]
        if state in ("unknown", "late", "repeated"):
            return state, call_id, None
        if isinstance(result, Reply):
            result = self._session.counted(result, input_tokens)
            ledger.store_reply(call_id, result)
            return "replies", call_id, result
        return "not_reached" if result is None or state == "lost" else "errors", call_id, result

    async def settle(self) -> None:
        """Settle all that was taken: replies first, since an error beside a reply to the same request says nothing.

        Raises the first error that no other request could fare better with, once everything else is settled.
        """
        await self._session.settle_unread()
        write, fatal = self._session.writer.write, list[EndpointError]()
        errors, self._errors = self._errors, {}
        refused = [error for error in errors.values() if isinstance(error, RejectedRequestError)]
        if refused and len(refused) == len(errors) and not self._replies:
            for call_id, error in errors.items():
                await write(Ledger.fail_call, call_id, str(error), [])
            raise refused[0]  # of all requests alike: smaller ones would be refused too
        for call_id, error in errors.items():
            if (await write(store.call_of_job, call_id))[0] == "sent":
                call = Call(call_id, await write(store.batch_of_call, call_id), {})
                try:
                    await self._session.settle_error(call, error)
                except EndpointError as raised:
                    fatal.append(raised)
                self._session.tracker.add(batches_done=1)
        if fatal:
            raise fatal[0]


T = TypeVar("T")

_LAGGING_LOOKS = 5  # at a job that has ended and names no file of replies yet
_MOST_REFUSALS = 10  # of jobs in a row because the queue is full, while none of ours is in it


class JobRunner:
    """Submits what the scheduler has as jobs, waits for them, and settles what they bring. Which are out, the ledger knows.

    The session's `closing` ends all waiting. Once a job took too long and was cancelled, `asks_rest_live` is set.
    """

    def __init__(self, session: Session) -> None:
        run, self._session, self.asks_rest_live = session.run, session, False
        self._write, self._observer = session.writer.write, run.observer
        self._reader, self._settings = ReplyReader(session), run.settings.batch
        self._profile = batch_profile(run.settings)
        # another tier may have an address of its own
        ordinary = run.settings.llm.model_copy(update={"tier": STANDARD_TIER})
        endpoint = providers.endpoint_of(ordinary, run.environment)
        self.service = providers.BatchService(endpoint, self._profile)
        self._lines = providers.ReplyLines(endpoint, self.service.host, BATCH_TIER)
        self._queue_tokens = self._settings.max_enqueued_tokens  # of all prompts that wait, 0: not known
        self._looks = Counter[int]()  # at jobs that have ended
        self._is_filling = self._gives_up = False
        self._refusals = 0  # of jobs in a row that the queue had no room for

    async def run(self, *, gives_up: bool = False) -> None:
        """Submit all that is planned, and look at the jobs until none is open, less often while nothing changes.

        What has to be asked again is in the scheduler then. `gives_up`: none is submitted, all are cancelled, what they had done is
        kept, and what is gone is given up. Raises StopRequested when `closing` is set: the jobs go on at the service. Raises
        StoppedError where the service refuses the requests, or is away too long.
        """
        self._session.scheduler.plan_again()
        self._gives_up, self._is_filling = gives_up, not gives_up
        usual = wait = self._settings.poll_seconds
        while before := await self._filled():
            stuck: StoppedError | None = None
            for job in before:
                try:
                    await self._look(job)
                except TransientError:
                    raise
                except StoppedError as error:  # what has ended beside it is read first
                    stuck = stuck or error
            if stuck:
                raise stuck
            after = await self._out()
            wait = usual if before != after else min(wait * 1.5, usual * 10)
            if after:
                await self._pause(wait)

    async def _out(self) -> list[Job]:
        """Return the jobs that are out, and show how far the run is, here and in `eventabs status`."""
        out = [job for job in await self._write(store.stored_jobs) if job.is_out]
        tracker = self._session.tracker
        tracker.in_flight = sum(job.requests for job in out)
        progress = tracker.progress(waiting=self._session.scheduler.batches, workers=1)
        self._observer.noted(progress)
        self._session.remember({"progress": snapshot(progress, self._session.wall_clock())})
        return out

    async def _filled(self) -> list[Job]:
        """Open and submit jobs as long as something is planned in this wave and the queue has room; return all that are out."""
        while True:
            out, queue = await self._out(), self._session.scheduler.queue
            self._is_filling = self._is_filling and len(queue) > 0  # what comes back later is the next wave's
            tokens = self._queue_tokens - sum(job.input_tokens for job in out) if self._queue_tokens else inf
            if not self._is_filling or tokens <= 0:
                return out
            most = self._profile.max_requests or inf, self._profile.max_bytes or inf, tokens
            job = await self._write(open_job, self._session, "planned", BATCH_TIER, most)
            self._session.stop.check()
            if job is None or (not await self._submit(job) and out):
                return out

    async def _submit(self, job: Job) -> bool:
        """Upload a job's requests and create it, unless that was done before. False: it is closed, mostly since the queue is full."""
        # before its file was written down, nobody can have created it
        file_id, in_doubt = job.file_id or "", job.file_id is not None
        metadata = {"eventabs_run": self._session.run.facts["run_id"], "eventabs_chunk": str(job.id)}
        if not in_doubt and not self._gives_up:
            path = self._session.run.directory.requests
            name = f"eventabs-{self._session.run.facts['run_id']}-{job.id}.jsonl"
            await self._write(write_lines, self._session, job.id)
            try:
                file_id = await self._tried(partial(self.service.upload, path, name))
            finally:
                path.unlink(missing_ok=True)
            await self._write(Ledger.change, "jobs", job.id, state="uploaded", file_id=file_id)

        async def create() -> "providers.RemoteJob | None":
            nonlocal in_doubt
            found = None
            if in_doubt and not (found := await self.service.find_job(file_id, metadata)):
                # by then a listing that lags has what was created before a kill
                await self._pause(min(self._settings.poll_seconds, 5.0))
                found = await self.service.find_job(file_id, metadata)
            if found or self._gives_up:
                return found
            in_doubt = True  # without a clear answer it may have been created all the same
            return await self.service.create_job(file_id, metadata)

        try:
            remote = await self._tried(create)
        except providers.QueueFullError as error:
            await self._close(job, str(error))
            await self._make_room(job, str(error))
            return False
        if remote is None:
            await self._close(job)
            return False
        await self._tell(job, remote, state="submitted", submitted_at=self._session.wall_clock())
        return True

    async def _tell(self, job: Job, remote: "providers.RemoteJob", **values: object) -> None:
        """Write down and show what the service says of a job."""
        told = {"batch_id": remote.id, "status": remote.status} | values
        await self._write(Ledger.change, "jobs", job.id, **told)
        requests = remote.total or job.requests
        self._observer.noted(JobChanged(job.id, remote.id, remote.status, requests, remote.done))

    async def _look(self, job: Job) -> None:
        """Ask for a job's status, or submit it; collect it when it has ended, cancel it when it takes too long."""
        try:
            if job.batch_id is None:
                await self._submit(job)
                return
            remote = await self._tried(partial(self.service.retrieve, job.batch_id))
            if remote.status != job.status:
                await self._tell(job, remote)
            has_ended = remote.status in providers.FINAL
            most, taken = self._settings.cancel_after, self._session.wall_clock() - (job.submitted_at or 0.0)
            if not has_ended and (self._gives_up or 0 < most < taken):
                self.asks_rest_live = True
                if remote.status != "cancelling":
                    await self._tried(partial(self.service.cancel, remote.id))
        except EndpointError as error:
            if not self._gives_up or error.status not in providers.GONE:
                raise
            await self._close(job, str(error))
            return
        if has_ended:
            self._looks[job.id] += 1
            may_lag = self._looks[job.id] < _LAGGING_LOOKS
            if remote.output_file_id or remote.status == "failed" or not may_lag:
                await self._collect(job, remote, may_lag=may_lag)

    async def _collect(self, job: Job, remote: "providers.RemoteJob", *, may_lag: bool) -> None:
        """Read both files of a job that has ended, whatever its state; then nothing is awaited from it any more.

        Where they lack all that was carried out the job stays open: for the next look if it `may_lag`, else until it is cancelled.
        """
        files = list(filter(None, (remote.output_file_id, remote.error_file_id)))
        kinds = [await self._read(file_id, may_lag=may_lag) for file_id in files]
        has_none = not set().union(*kinds) - {"unreadable"} and (remote.done or remote.status == "completed")
        if files and remote.status != "failed" and ({"unreadable"} in kinds or has_none):
            if may_lag:
                return
            if not self._gives_up:
                message = _("{host} has no reply in the files of job {job}, which carried out requests")
                raise StoppedError(message.format(host=self.service.host, job=remote.id))
        try:
            await self._reader.settle()
        except EndpointError:
            await self._close(job, remote.error)
            raise
        missing = await self._close(job, remote.error)
        if missing < job.requests:
            self._refusals = 0
        if remote.queue_was_full:
            if not self._gives_up:
                await self._make_room(job, remote.error)
        elif remote.status == "failed" and missing == job.requests:
            message = _(
                "{host} did not carry out job {job}: {said}; mend that, then: eventabs resume, or with --mode live"
            )
            said = remote.error or _("no reason given")
            raise StoppedError(message.format(host=self.service.host, job=remote.id, said=said))

    async def _read(self, file_id: str, *, may_lag: bool) -> set[Kind]:
        """Store what a file of a job holds; return the kinds of its lines. Raises EndpointError where it is gone, and neither may lag nor is given up."""
        path = self._session.run.directory.path / "replies.tmp"
        try:
            with store.open_to_append(path) as file:
                await self._tried(partial(self.service.download, file_id, file))
            return await self._reader.take(path, self._lines) - {"unknown"}
        except OSError as error:
            raise store.storage_error(path, error) from error
        except EndpointError as error:
            if error.status not in providers.GONE or not (may_lag or self._gives_up):
                await self._session.settle_unread()
                raise
            return {"unreadable"}
        finally:
            path.unlink(missing_ok=True)

    async def _close(self, job: Job, error: str = "") -> int:
        """Await nothing from a job any more; give what it has no answers for back to the scheduler. Return how many requests those are."""
        ended_at, said = self._session.wall_clock(), error or None
        missing = await self._write(store.close_job, job.id, ended_at=ended_at, error=said)
        for batch in missing:
            self._session.scheduler.put_back(batch.parts)
        await self._session.save()
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
        wait = max(self._settings.poll_seconds, min(2.0 ** (self._refusals - 1), 60.0))
        self._observer.noted(AwaitingEndpoint(said, wait))
        if not await self._out():
            await self._pause(wait)

    async def _tried(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask something that may be asked again, until the service has been away for `longest_wait`."""
        waited, tries = 0.0, 0
        while True:
            try:
                return await ask()
            except TransientError as error:
                wait = max(min(2.0**tries, 60.0), error.wait_seconds or 0.0)
                tries, waited = tries + 1, waited + wait
                if waited > self._session.run.settings.llm.longest_wait:
                    raise
                self._observer.noted(AwaitingEndpoint(str(error), wait))
                await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._session.closing.wait(), seconds)
        if self._session.closing.is_set():  # also in the moment in which the time was over
            raise StopRequested


def going_on(jobs: Sequence[Job]) -> str:
    """Say how many jobs the batch service may have that are not read yet, "" where there is none."""
    count = sum(job.is_out and job.file_id is not None for job in jobs)
    message = _("jobs open at the batch service: {count}; eventabs resume reads, resume --cancel ends them")
    return message.format(count=count) if count else ""


@asynccontextmanager
async def opened_jobs(session: Session) -> AsyncIterator[JobRunner]:
    """Open the runner of the batch service's jobs. A requested stop ends its waiting, and some seconds later what it asks. Raises StopRequested."""
    jobs, loop = JobRunner(session), asyncio.get_running_loop()
    try:
        async with aclosing(jobs.service), asyncio.timeout(None) as time:

            def close() -> None:
                with suppress(RuntimeError):  # it has ended meanwhile
                    time.reschedule(loop.time() + session.stop.grace_seconds * (session.stop.requests == 1))
                session.closing.set()

            with session.stop.calling(lambda: loop.call_soon_threadsafe(close)):
                yield jobs
    except TimeoutError:
        raise StopRequested from None
    session.tracker.in_flight = 0


async def run_jobs(session: Session, pending: list[PlannedPart]) -> RunStatus:
    """Ask about what is pending through the batch service, wave by wave, and about the last of it live."""
    batch = session.run.settings.batch
    has_jobs = any(job.is_out for job in await session.writer.write(store.stored_jobs))
    if not has_jobs and not session.learner.replies and batch.live_calls:
        # a few calls, so that the length of answers is known when jobs are planned
        scheduler = scheduler_of(session.run, pending, session.learner.limits, probe=True)
        first = [scheduler.next() for _call in range(batch.live_calls)]
        parts = [planned for each in first if each is not None for planned in each.parts]
        if await call_live(session, parts) == "interrupted":
            return "interrupted"
        pending = await session.writer.write(Ledger.pending_parts)
    session.plan(pending)
    async with opened_jobs(session) as jobs:
        for _wave in range(3):  # what is left then is asked about live, so that every run ends
            waiting = session.scheduler.batches
            total = session.tracker.counts.batches_done + waiting
            if has_jobs or waiting > max(batch.live_calls, batch.live_share * total):
                await jobs.run()
            has_jobs = False
            if jobs.asks_rest_live:
                break
    return await call_live(session, await session.writer.write(Ledger.pending_parts))


async def cancel_jobs(session: Session) -> None:
    """Cancel all jobs of the batch service. Raises StoppedError when that is done, unless nobody is left to ask about."""
    async with opened_jobs(session) as jobs:
        await jobs.run(gives_up=True)
    if not await session.writer.write(lambda ledger: ledger.pending_parts() or store.unanswered(ledger)):
        return
    message = _(
        "no job of the batch service is left; what they had done is kept. Ask about the rest with: eventabs resume,"
        " or with --mode live"
    )
    raise StoppedError(message)


async def call_model(session: Session, replies: Sequence[Path], *, cancel: bool) -> RunStatus:
    """Ask about everything that is pending, once the files of `replies` are read. Return how that ended. Raises InputError for a file without any reply."""
    run, write = session.run, session.writer.write
    mode = run.settings.run.mode
    await session.settle_unread()  # what it puts back is in the ledger too
    if replies:
        reader, endpoint = ReplyReader(session), providers.endpoint_of(run.settings.llm, run.environment)
        for path in replies:
            if not await reader.take(path, providers.ReplyLines(endpoint, path.name)) - {"unreadable"}:
                message = _(
                    '{path} holds no replies; name the output or error file of a batch, with lines like {{"custom_id": ..., "response": ...}}'
                )
                raise InputError(message.format(path=path))
        await reader.settle()
    if cancel:
        await cancel_jobs(session)
    if mode != "batch" and (said := going_on(await write(store.stored_jobs))):
        raise RunDirectoryError(_("{said}; go on with --mode batch").format(said=said))
    if mode != "files":  # what is out in a file is asked about here now
        await write(store.give_up, "written")
    if mode != "batch":  # what was never uploaded
        await write(store.give_up, "planned")
    pending = await write(Ledger.pending_parts)
    if mode != "files":
        return await (run_jobs if mode == "batch" else call_live)(session, pending)
    # what is pending, and what is still awaited, becomes lines of requests.jsonl
    session.plan(pending)
    session.scheduler.plan_again()
    await write(open_job, session, "written")
    session.stop.check()
    if not (count := await write(write_lines, session)):
        run.directory.requests.unlink(missing_ok=True)
        return "completed"
    run.observer.noted(RequestsWritten(str(run.directory.requests), count, session.scheduler.batches))
    return "waiting"
