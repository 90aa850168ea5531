"""The ways of a run through files: requests written and replies read, and jobs of a batch service, wave by wave."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from eventabs.errors import InputError, StoppedError
from eventabs.language import gettext as _
from eventabs.providers import ReplyLines
from eventabs.records import PlannedPart, RunStatus
from eventabs.runs.batches.session import Session
from eventabs.runs.endpoint import endpoint_of
from eventabs.runs.observer import RequestsWritten
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settlement import Settlement
from eventabs.stop import Stop
from eventabs.store import awaited_tokens, stored_jobs

Call = Callable[[list[PlannedPart]], Awaitable[RunStatus]]  # asks about parts call by call

_MOST_WAVES = 3  # of jobs; what is left then is asked about live, so that every run ends


async def read_replies(session: Session, settlement: Settlement, replies: Sequence[Path]) -> None:
    """Store what files hold, then settle it. Raises InputError for a file without any reply."""
    reader = session.reply_reader(settlement)
    endpoint = endpoint_of(session.run.settings.llm, session.run.environment)
    for path in replies:
        found = await reader.take(path, ReplyLines(endpoint, path.name))
        if not found.total() - found["unreadable"]:
            message = _(
                '{path} holds no replies; name the output or error file of a batch, with lines like {{"custom_id": ..., "response": ...}}'
            )
            raise InputError(message.format(path=path))
    await reader.settle()


async def write_requests(session: Session, pending: Sequence[PlannedPart], stop: Stop) -> RunStatus:
    """Write what is pending, and what is still awaited, as lines of requests.jsonl."""
    run = session.run
    scheduler = session.scheduler(pending, probe=False)
    if pending:
        session.announce(scheduler, pending)
    requests = session.request_writer(scheduler, stop)
    spending = session.spending()
    spending.hold(*await session.writer.write(awaited_tokens))
    await requests.open_job("written", spending)
    count = await session.writer.write(requests.write_lines)
    if not count:
        run.directory.requests.unlink(missing_ok=True)
        return "completed"
    run.observer.noted(RequestsWritten(str(run.directory.requests), count, requests.batches_left))
    return "waiting"


async def run_jobs(session: Session, pending: list[PlannedPart], stop: Stop, call: Call) -> RunStatus:
    """Ask about what is pending through the batch service, wave by wave, and about the last of it live."""
    batch = session.run.settings.batch
    has_jobs = any(job.is_out for job in await session.writer.write(stored_jobs))
    if not has_jobs and not session.learner.has_learned and batch.live_calls:
        if await _call_some(session, pending, call) == "interrupted":
            return "interrupted"
        pending = await session.pending()
    scheduler = session.scheduler(pending, probe=False)
    if pending:
        session.announce(scheduler, pending)
    async with session.jobs(scheduler, stop) as jobs:
        for _wave in range(_MOST_WAVES):
            if _is_worth_a_job(session, scheduler) or has_jobs:
                await jobs.run()
            has_jobs = False
            if jobs.asks_rest_live:
                break
    return await call(await session.pending())


def _is_worth_a_job(session: Session, scheduler: Scheduler) -> bool:
    """Whether more batches are left than are asked about live."""
    batch, total = session.run.settings.batch, session.tracker.counts.batches_done + scheduler.batches
    return scheduler.batches > max(batch.live_calls, batch.live_share * total)


async def _call_some(session: Session, pending: Sequence[PlannedPart], call: Call) -> RunStatus:
    """Make a few calls, so that the length of answers is known when jobs are planned."""
    scheduler = session.scheduler(pending, probe=True)
    first = [scheduler.next() for _call in range(session.run.settings.batch.live_calls)]
    parts = [planned for each in first if each is not None for planned in each.parts]
    return await call(parts)


async def cancel_jobs(session: Session, stop: Stop) -> None:
    """Cancel all jobs of the batch service. Raises StoppedError when that is done: nothing else was asked for."""
    scheduler = session.scheduler([], probe=False)
    async with session.jobs(scheduler, stop) as jobs:
        await jobs.cancel()
    message = _(
        "no job of the batch service is left; what they had done is kept. Ask about the rest with: eventabs resume,"
        " or with --mode live"
    )
    raise StoppedError(message)
