"""A run from start to stop: what is done in which order, and in which state it is left."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from eventabs.errors import StoppedError, UsageError
from eventabs.prompts import TokenCounter
from eventabs.providers import kind_of
from eventabs.records import PlannedPart, RunStatus
from eventabs.runs.batches import (
    Session,
    cancel_jobs,
    going_on,
    in_order,
    read_replies,
    refuse_other_mode,
    run_jobs,
    write_requests,
)
from eventabs.runs.components import (
    RunContext,
    batch_limits,
    max_calls,
    probes,
)
from eventabs.runs.endpoint import (
    endpoint_of,
    joined,
    open_provider,
    require_connection,
    unset_key,
)
from eventabs.runs.engine import Engine
from eventabs.runs.extension import extension_facts, is_extended, is_extending, take_in
from eventabs.runs.intake import read_input, tell_gone_input
from eventabs.runs.limits import (
    BudgetLearner,
    ConcurrencyLimit,
    FailureLimit,
)
from eventabs.runs.observer import KeyUnset, Note, Progress, Started, StateChanged, Summary
from eventabs.runs.progress import ProgressTracker
from eventabs.runs.scheduler import Scheduler
from eventabs.stop import Stop, StopRequested
from eventabs.store import (
    EventsFile,
    Ledger,
    LedgerWriter,
    asked_again,
    count_standing_events,
    failure_reasons,
    give_up_written,
    host_of,
    stored_jobs,
    unanswered,
    write_changes,
    write_results,
)


async def execute(
    run: RunContext,
    stop: Stop,
    *,
    resumed: bool,
    replies: Sequence[Path] = (),
    cancel: bool = False,
) -> Summary:
    """Read what is not read yet, call for what is not answered yet, and leave everything in order.

    `replies` are files with answers to requests.jsonl. `cancel`: cancel the jobs of the batch service, keep what they did, and
    stop. A requested `stop` ends it early with the status `interrupted`; in mode `files` it ends with `waiting`. Reading and
    saving happen in a thread. Raises ConfigError where a cluster shall make the calls and is not there.
    """
    async with joined(run.settings) as cluster:
        return await _execute(
            replace(run, cluster=cluster), stop, resumed=resumed, replies=replies, cancel=cancel
        )


async def _execute(
    run: RunContext, stop: Stop, *, resumed: bool, replies: Sequence[Path], cancel: bool
) -> Summary:
    earlier = run.earlier_seconds
    tracker = run.tracker(earlier)  # for the time that the run takes
    status: RunStatus = "completed"
    cause = ""
    try:
        _tell_start(run, resumed=resumed)
        run.remember_progress(tracker.progress(waiting=0, workers=1), status="running", began_at=time.time())
        if run.facts.get("input_complete"):
            tell_gone_input(run)
        else:
            for note in await asyncio.to_thread(read_input, run, stop):
                run.observer.noted(note)
        if is_extending(run.facts):
            await _settle_earlier(run)
            for note in await asyncio.to_thread(take_in, run, stop):
                run.observer.noted(note)
        run.save(run.tracker(), status="running")
        status = await _call_model(run, stop, tracker, replies, cancel=cancel)
    except StopRequested:
        status = "interrupted"
    except StoppedError as error:
        status, cause = "stopped", str(error)
    except UsageError:
        # where an extension was refused, the run is what it was
        refused: RunStatus = "completed" if run.facts.get("status") == "completed" else "stopped"
        save_stopped(run, refused, _seconds(run, tracker, earlier))
        raise
    if status != "completed":
        cause = "; ".join(filter(None, (cause, going_on(stored_jobs(run.ledger)))))
    await _end(run, status, cause, _seconds(run, tracker, earlier))
    return summarize(run, status, cause)


async def _end(run: RunContext, status: RunStatus, cause: str, seconds: float) -> None:
    progress = await asyncio.to_thread(save_stopped, run, status, seconds)
    if status != "completed":  # calls that were cut off are pending again
        run.observer.progressed(progress)
    run.observer.noted(StateChanged(status, cause))


async def _call_model(
    run: RunContext,
    stop: Stop,
    so_far: ProgressTracker,
    replies: Sequence[Path],
    *,
    cancel: bool,
) -> RunStatus:
    """Ask about everything that is pending. Return how that ended."""
    if not is_extended(run.facts):
        write_results(run.directory, run.ledger)  # an earlier process may have left a torn line
    with _opened_session(run, so_far) as session:
        settlement = session.settlement(
            Scheduler([], session.limits)
        )  # what it puts back is in the ledger too
        await settlement.settle_unread()
        if replies:
            await read_replies(session, settlement, replies)
        if cancel:
            await cancel_jobs(session, stop)
        refuse_other_mode(await session.writer.write(stored_jobs), run.settings.run.mode)
        if run.settings.run.mode != "files":  # what is out in a file is asked about here now
            await session.writer.write(give_up_written)
        pending = await session.writer.write(Ledger.pending_parts)
        call = partial(_call_pending, session, stop=stop)
        match run.settings.run.mode:
            case "files":
                return await write_requests(session, pending, stop)
            case "batch":
                return await run_jobs(session, pending, stop, call)
        return await call(pending)


async def _settle_earlier(run: RunContext) -> None:
    """Settle replies that were committed but not read, before the parts that they are about become other ones."""
    if run.ledger.unread_calls():
        with _opened_session(run, run.tracker()) as session:
            await session.settlement(Scheduler([], session.limits)).settle_unread()


@contextmanager
def _opened_session(run: RunContext, so_far: ProgressTracker) -> Iterator[Session]:
    builder = run.builder()
    limits = batch_limits(run.settings, builder)
    # events.jsonl of an extended run is whole, and stays so until it is replaced
    file = nullcontext() if is_extended(run.facts) else EventsFile(run.directory.events)
    # the writer appends the events too, so it closes first
    with file as events, LedgerWriter(run.ledger) as writer:
        learner, tracker = BudgetLearner(limits), run.tracker(so_far.seconds)
        yield Session(run, builder, limits, learner, writer, events, tracker)


async def _call_pending(session: Session, pending: list[PlannedPart], stop: Stop) -> RunStatus:
    if not pending:
        return "completed"
    run = session.run
    scheduler = session.scheduler(pending, probe=probes(run.settings))
    session.announce(scheduler, pending)
    if kind_of(run.settings.provider).is_remote and run.cluster is None:
        await require_connection(run.settings, run.environment, run.observer, stop)
    closing = asyncio.Event()
    provider = open_provider(
        run.settings,
        run.environment,
        rules=run.facts["rules"],
        language=run.prompt_language,
        observer=run.observer,
        closing=closing,
        cluster=run.cluster,
        on_refused=session.leave_out,
    )
    limits = run.settings.run
    async with provider as complete:
        engine = Engine(
            compose=session.compose,
            complete=complete,
            closing=closing,
            max_calls=max_calls(run.settings),
            grace_seconds=stop.grace_seconds,
            settings_fingerprint=run.facts["settings_fingerprint"],
            count_tokens=TokenCounter(run.settings.prompt.tokenizer).count,
            save=_CheckpointWriter(run, session.tracker, scheduler).save,
            wall_clock=time.time,
            spending=session.spending(),
            failures=FailureLimit(
                run.facts,
                remember=lambda facts: session.writer.post(lambda ledger: ledger.set_meta(facts)),
                attempts=limits.attempts,
                well=session.tracker.counts.done,
                wait=limits.wait,
                longest_wait=run.settings.llm.longest_wait,
            ),
            concurrency=ConcurrencyLimit(limits.concurrency, limits.max_concurrency, time.monotonic),
            settlement=session.settlement(scheduler),
            writer=session.writer,
            scheduler=scheduler,
            tracker=session.tracker,
            observer=run.observer,
        )
        loop = asyncio.get_running_loop()
        with stop.calling(lambda: loop.call_soon_threadsafe(engine.stop)):
            await engine.run()
        return "interrupted" if engine.stopped else "completed"


class _CheckpointWriter:
    """Writes the checkpoint of a running run beside the event loop, one at a time.

    A caller that comes while another waits for its turn need not wait too: that one writes the newest counts.
    """

    def __init__(self, run: RunContext, tracker: ProgressTracker, scheduler: Scheduler) -> None:
        self._run = run
        self._tracker = tracker
        self._scheduler = scheduler
        self._turn = asyncio.Lock()
        self._waiting = False

    async def save(self) -> None:
        if self._waiting:
            return
        self._waiting = True
        async with self._turn:
            self._waiting = False
            counted = copy(self._tracker)
            waiting = self._scheduler.batches
            await asyncio.to_thread(self._run.save, counted, status="running", batches_waiting=waiting)


def _seconds(run: RunContext, so_far: ProgressTracker, earlier: float) -> float:
    """Return the time that all processes have worked; one that has found nothing to do adds none."""
    return so_far.seconds if run.tracker().counts != so_far.counts else earlier


def save_stopped(run: RunContext, status: RunStatus, seconds: float) -> Progress:
    """Write the results and the checkpoint of a run that stops here, after `seconds` of work by all processes.

    Return how far it is.
    """
    with run.ledger.transaction():
        run.ledger.lose_open_calls()
    write_results(run.directory, run.ledger)
    if is_extended(run.facts):
        run.remember(event_changes=write_changes(run.directory, run.ledger))
    tracker, waiting = run.tracker(seconds), _batches_waiting(run)
    progress = replace(tracker.progress(waiting=waiting, workers=1), seconds=seconds, in_flight_limit=0)
    run.remember_progress(progress, status=status)
    run.save(tracker, status=status, batches_waiting=waiting)
    return progress


def _batches_waiting(run: RunContext) -> int:
    """Count the batches that are awaited, and those that the pending parts make, as the plan of a resumed run does."""
    awaited = len(unanswered(run.ledger))
    if not (pending := run.ledger.pending_parts()):
        return awaited
    limits, workers = batch_limits(run.settings, run.builder()), run.settings.run.concurrency
    scheduler = Scheduler(in_order(run, pending), limits, probe=probes(run.settings), workers=workers)
    return awaited + scheduler.batches


def _tell_start(run: RunContext, *, resumed: bool) -> None:
    run.observer.started(_start_facts(run, resumed=resumed))
    for note in (*run.opening, *_key_notes(run)):
        run.observer.noted(note)


def _start_facts(run: RunContext, *, resumed: bool) -> Started:
    settings = run.settings
    is_remote = kind_of(settings.provider).is_remote
    return Started(
        config_file=run.facts["config_file"],
        provider=settings.provider,
        model=settings.llm.model if is_remote else "",
        host=host_of(endpoint_of(settings.llm, {}).base_url) if is_remote else "",
        out=str(run.directory.path),
        resumed=resumed and not ("copied_from" in run.facts and "status" not in run.facts),
    )


def _key_notes(run: RunContext) -> list[Note]:
    is_called = (
        kind_of(run.settings.provider).is_remote and run.settings.run.mode != "files" and not run.cluster
    )
    variable = unset_key(run.settings.llm, run.environment) if is_called else ""
    return [KeyUnset(variable)] if variable else []


def summarize(run: RunContext, status: RunStatus, cause: str = "") -> Summary:
    """Return how a run stands that has been saved."""
    tracker = run.tracker()
    counts, standing = tracker.counts, count_standing_events(run.ledger)
    counted = run.facts.get("input", {})
    numbers = asdict(replace(counts, events=counts.events + standing))
    return Summary(
        **numbers | {"behaviors": counted.get("behaviors", 0)},
        standing_events=standing,
        extension=extension_facts(run),
        status=status,
        cause=cause,
        provider=run.settings.provider,
        cost=tracker.cost,
        seconds=run.earlier_seconds,
        out=str(run.directory.path),
        failures=failure_reasons(run.ledger),
        asked_again=asked_again(run.ledger),
        currency=run.settings.llm.price.currency,
        tier_costs=tracker.tier_costs,
        rejected_rows=counted.get("rejected_rows", 0),
        rejects=counted.get("rejects", {}),
        duplicates=counted.get("duplicates", 0),
        paired_ends=counted.get("paired_ends", 0),
        columns=counted.get("columns", {}),
        warnings=counted.get("warnings", []),
        unpaired=counted.get("unpaired", 0),
        non_behaviors=counted.get("non_behaviors", 0),
        schemas=tuple(counted.get("schemas", ())),
        users_in_input=counted.get("users", 0),
    )
