"""A run from start to stop: what is done in which order, and in which state it is left."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import partial

from eventabs.errors import DiskFullError, StoppedError, UsageError
from eventabs.prompts import BatchLimits, PromptBuilder, TokenCounter, shuffled
from eventabs.providers import kind_of
from eventabs.records import Batch, Outcome, Part, PartSize, PlannedPart, RunStatus, UserLog
from eventabs.runs.components import (
    RunContext,
    batch_limits,
    make_reader,
    max_calls,
    open_provider,
    probes,
    require_connection,
)
from eventabs.runs.engine import Engine
from eventabs.runs.intake import halves, read_input, tell_gone_input
from eventabs.runs.limits import BudgetLearner, ConcurrencyLimit, FailureLimit, SpendingLimit
from eventabs.runs.must_rules import logs_of, rules_in_force
from eventabs.runs.observer import Planned, Started, StateChanged, Summary
from eventabs.runs.progress import ProgressTracker
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settlement import Call, Settlement
from eventabs.stop import Stop, StopRequested
from eventabs.store import (
    EventsFile,
    Ledger,
    LedgerWriter,
    StoredReply,
    failure_reasons,
    host_of,
    kept_answer,
    write_results,
)


async def execute(run: RunContext, stop: Stop, *, resumed: bool) -> Summary:
    """Read what is not read yet, call for what is not answered yet, and leave everything in order.

    A requested `stop` ends it early with the status `interrupted`. Reading and saving happen in a thread.
    """
    tracker = run.tracker(run.earlier_seconds)  # for the time that the run takes
    status: RunStatus = "completed"
    cause = ""
    try:
        run.observer.started(_start_facts(run, resumed=resumed))
        run.remember_progress(tracker.progress(waiting=0, workers=1), status="running", began_at=time.time())
        if run.facts.get("input_complete"):
            tell_gone_input(run)
        else:
            for note in await asyncio.to_thread(read_input, run, stop):
                run.observer.noted(note)
        run.save(run.tracker(), status="running")
        if await _call_model(run, stop, tracker):
            status = "interrupted"
    except StopRequested:
        status = "interrupted"
    except StoppedError as error:
        status, cause = "stopped", str(error)
        if isinstance(error, DiskFullError):
            run.reserve.mark()
    except UsageError:
        save_stopped(run, "stopped", tracker.seconds)
        raise
    await asyncio.to_thread(save_stopped, run, status, tracker.seconds)
    run.observer.noted(StateChanged(status, cause))
    return summarize(run, status, cause)


@dataclass(frozen=True, slots=True)
class _Session:
    """What the calls of a process share."""

    run: RunContext
    builder: PromptBuilder
    limits: BatchLimits
    writer: LedgerWriter
    events: EventsFile
    tracker: ProgressTracker

    def settlement(self, scheduler: Scheduler) -> Settlement:
        return Settlement(
            read=make_reader(self.run.settings, self.run.prompt_language, self.builder.compactor),
            rules=rules_in_force(self.run, self.builder),
            split=self._split,
            attempts=self.run.settings.run.attempts,
            max_output_tokens=self.limits.max_output_tokens,
            learner=BudgetLearner(self.limits),
            writer=self.writer,
            scheduler=scheduler,
            tracker=self.tracker,
            events=self.events,
            observer=self.run.observer,
        )

    async def _split(self, part: Part) -> list[tuple[Part, PartSize]]:
        (log,) = await self.writer.write(lambda ledger: ledger.logs([part]))
        return halves(log, self.builder, start=part.first)


async def _call_model(run: RunContext, stop: Stop, so_far: ProgressTracker) -> bool:
    """Ask about everything that is pending. Return whether a stop was requested before the end."""
    write_results(run.directory, run.ledger)  # an earlier process may have left a torn line
    builder = run.builder()
    limits = batch_limits(run.settings, builder)
    # the writer appends the events too, so it closes first
    with EventsFile(run.directory.events) as events, LedgerWriter(run.ledger) as writer:
        session = _Session(run, builder, limits, writer, events, run.tracker(so_far.seconds))
        await _settle_unread(session)
        pending = await writer.write(Ledger.pending_parts)
        pending += await session.settlement(Scheduler([], limits)).take_kept()
        return bool(pending) and await _call_pending(session, pending, stop)


async def _settle_unread(session: _Session) -> None:
    """Settle replies that were committed but not read when an earlier process died."""
    settlement = session.settlement(Scheduler([], session.limits))
    for call_id in await session.writer.write(Ledger.unread_calls):
        stored = await session.writer.write(partial(Ledger.stored_reply, call_id=call_id))
        batch, users = await session.writer.write(partial(_asked_about, stored))
        settled = await settlement.settle_reply(Call(call_id, batch, users), stored.reply)
        await settled.committed
        session.tracker.add(batches_done=1)


def _asked_about(stored: StoredReply, ledger: Ledger) -> tuple[Batch, Mapping[str, UserLog]]:
    planned = {known.part: known for kept in (False, True) for known in ledger.pending_parts(kept=kept)}
    asked = {
        alias: planned[part]._replace(missed=stored.missed.get(alias, ()))
        for alias, part in stored.users.items()
    }
    return Batch(tuple(asked.values())), logs_of(stored, ledger)


async def _call_pending(session: _Session, pending: list[PlannedPart], stop: Stop) -> bool:
    run = session.run
    scheduler = _scheduler(run, pending, session.limits)
    _announce(session, scheduler, pending)
    if kind_of(run.settings.provider).is_remote:
        await require_connection(run.settings, run.environment, run.observer, stop)
    closing = asyncio.Event()
    provider = open_provider(
        run.settings,
        run.environment,
        rules=run.facts["rules"],
        language=run.prompt_language,
        observer=run.observer,
        closing=closing,
    )
    limits = run.settings.run
    async with provider as complete:
        engine = Engine(
            compose=partial(session.builder.request, max_output_tokens=session.limits.max_output_tokens),
            complete=complete,
            closing=closing,
            max_calls=max_calls(run.settings),
            grace_seconds=stop.grace_seconds,
            settings_fingerprint=run.facts["settings_fingerprint"],
            count_tokens=TokenCounter(run.settings.prompt.tokenizer).count,
            keep=run.reserve.keep,
            save=_CheckpointWriter(run, session.tracker, scheduler).save,
            wall_clock=time.time,
            spending=SpendingLimit(
                max_cost=limits.max_cost,
                max_total_tokens=limits.max_total_tokens,
                instructions_tokens=session.builder.instructions_tokens,
                max_output_tokens=session.limits.max_output_tokens,
            ),
            failures=FailureLimit(
                run.facts,
                remember=lambda facts: session.writer.post(lambda ledger: ledger.set_meta(facts)),
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
        return engine.stopped


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


def _announce(session: _Session, scheduler: Scheduler, pending: list[PlannedPart]) -> None:
    users = len({planned.part.user_id for planned in pending})
    batches = scheduler.batches
    total = session.tracker.counts.users
    session.run.observer.noted(Planned(batches, users, total, len(pending) / batches))
    session.run.save(session.tracker, status="running", batches_waiting=batches)


def save_stopped(run: RunContext, status: RunStatus, seconds: float) -> None:
    """Write the results and the checkpoint of a run that stops here, after `seconds` of work by all processes."""
    with run.ledger.transaction():
        run.ledger.lose_open_calls()
    write_results(run.directory, run.ledger)
    tracker, waiting = run.tracker(seconds), _batches_waiting(run)
    run.remember_progress(tracker.progress(waiting=waiting, workers=1), status=status)
    run.save(tracker, status=status, batches_waiting=waiting)


def _batches_waiting(run: RunContext) -> int:
    """Count the batches that the pending parts make, as the plan of a resumed run does."""
    pending, kept = run.ledger.pending_parts(), run.ledger.pending_parts(kept=True)
    if not pending and not kept:
        return 0
    builder = run.builder()
    in_force = rules_in_force(run, builder)
    for planned in kept:
        answer = kept_answer(run.ledger, planned.part)
        outcome = Outcome(planned.part, None, answer.events)
        pending += filter(None, [in_force.question(planned, answer.log, outcome)])
    return _scheduler(run, pending, batch_limits(run.settings, builder)).batches


def _scheduler(run: RunContext, pending: Sequence[PlannedPart], limits: BatchLimits) -> Scheduler:
    if order := run.facts.get(
        "order"
    ):  # other neighbors, in another order, than in the run that it was made of
        pending = shuffled(pending, order)
    return Scheduler(pending, limits, probe=probes(run.settings), workers=run.settings.run.concurrency)


def _start_facts(run: RunContext, *, resumed: bool) -> Started:
    settings = run.settings
    is_remote = kind_of(settings.provider).is_remote
    return Started(
        config_file=run.facts["config_file"],
        provider=settings.provider,
        model=settings.llm.model if is_remote else "",
        host=host_of(settings.llm.base_url) if is_remote else "",
        out=str(run.directory.path),
        resumed=resumed,
    )


def summarize(run: RunContext, status: RunStatus, cause: str = "") -> Summary:
    """Return how a run stands that has been saved."""
    tracker = run.tracker()
    counted = run.facts.get("input", {})
    counts = asdict(tracker.counts) | {"behaviors": counted.get("behaviors", 0)}
    return Summary(
        **counts,
        status=status,
        cause=cause,
        provider=run.settings.provider,
        cost=tracker.cost,
        seconds=run.earlier_seconds,
        out=str(run.directory.path),
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
        failures=failure_reasons(run.ledger),
        currency=run.settings.llm.price.currency,
    )
