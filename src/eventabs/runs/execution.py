"""A run from start to stop: what is done in which order, and in which state it is left."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path

from eventabs.errors import DiskFullError, InputError, StoppedError, UsageError
from eventabs.language import gettext as _
from eventabs.prompts import BatchLimits, PromptBuilder, TokenCounter, shuffled
from eventabs.providers import ReplyLines, kind_of
from eventabs.records import Batch, Outcome, Part, PartSize, PlannedPart, Request, RunStatus, Usage, UserLog
from eventabs.runs.batches import ReplyReader, RequestWriter
from eventabs.runs.components import (
    RunContext,
    batch_limits,
    make_reader,
    max_calls,
    probes,
)
from eventabs.runs.endpoint import (
    batch_profile,
    endpoint_of,
    open_provider,
    require_connection,
    sampling_of,
)
from eventabs.runs.engine import Engine
from eventabs.runs.extension import extension_facts, is_extended, is_extending, spent_before, take_in
from eventabs.runs.intake import halves, read_input, tell_gone_input
from eventabs.runs.limits import (
    BudgetLearner,
    ConcurrencyLimit,
    FailureLimit,
    Permits,
    SpendingLimit,
    most_tokens,
)
from eventabs.runs.must_rules import rules_in_force
from eventabs.runs.observer import Planned, RequestsWritten, Started, StateChanged, Summary
from eventabs.runs.progress import ProgressTracker
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settlement import Settlement
from eventabs.stop import Stop, StopRequested
from eventabs.store import (
    EventsFile,
    Ledger,
    LedgerWriter,
    awaited_tokens,
    count_standing_events,
    failure_reasons,
    give_up,
    host_of,
    kept_answer,
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
    permits: Permits | None = None,
) -> Summary:
    """Read what is not read yet, call for what is not answered yet, and leave everything in order.

    `replies` are files with answers to requests.jsonl; `permits` stand in the place of the run's own limits on requests,
    tokens and cost. A requested `stop` ends it early with the status `interrupted`; in mode
    `files` it ends with `waiting`. Reading and saving happen in a thread.
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
        if is_extending(run.facts):
            await _settle_earlier(run)
            for note in await asyncio.to_thread(take_in, run, stop):
                run.observer.noted(note)
        run.save(run.tracker(), status="running")
        status = await _call_model(run, stop, tracker, replies, permits)
    except StopRequested:
        status = "interrupted"
    except StoppedError as error:
        status, cause = "stopped", str(error)
        if isinstance(error, DiskFullError):
            run.reserve.mark()
    except UsageError:
        # where an extension was refused, the run is what it was
        refused: RunStatus = "completed" if run.facts.get("status") == "completed" else "stopped"
        save_stopped(run, refused, tracker.seconds)
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
    learner: BudgetLearner
    writer: LedgerWriter
    events: EventsFile | None
    tracker: ProgressTracker

    def compose(self, logs: Sequence[UserLog]) -> Request:
        return self.builder.request(logs, max_output_tokens=self.limits.max_output_tokens)

    def scheduler(self, pending: Sequence[PlannedPart], *, probe: bool) -> Scheduler:
        workers = self.run.settings.run.concurrency
        pending = _in_order(self.run, pending)
        return Scheduler(pending, self.learner.limits, probe=probe, workers=workers)

    def spending(self) -> SpendingLimit:
        return SpendingLimit(
            max_cost=self.run.settings.run.max_cost,
            max_total_tokens=self.run.settings.run.max_total_tokens,
            instructions_tokens=self.builder.instructions_tokens,
            max_output_tokens=self.limits.max_output_tokens,
            **spent_before(self.run.facts),
        )

    def most_tokens(self, batch: Batch) -> Usage:
        return most_tokens(
            batch,
            instructions_tokens=self.builder.instructions_tokens,
            max_output_tokens=self.limits.max_output_tokens,
        )

    def request_writer(self, scheduler: Scheduler, stop: Stop) -> RequestWriter:
        settings = self.run.settings
        return RequestWriter(
            run_id=self.run.facts["run_id"],
            directory=self.run.directory,
            profile=batch_profile(settings.llm),
            model=settings.llm.model,
            sampling=sampling_of(settings.llm),
            compose=self.compose,
            instructions_tokens=self.builder.instructions_tokens,
            settings_fingerprint=self.run.facts["settings_fingerprint"],
            wall_clock=time.time,
            writer=self.writer,
            scheduler=scheduler,
            settlement=self.settlement(scheduler),
            tracker=self.tracker,
            stop=stop,
        )

    def reply_reader(self, settlement: Settlement) -> ReplyReader:
        return ReplyReader(
            run_id=self.run.facts["run_id"],
            writer=self.writer,
            settlement=settlement,
            count_tokens=TokenCounter(self.run.settings.prompt.tokenizer).count,
            observer=self.run.observer,
        )

    def settlement(self, scheduler: Scheduler) -> Settlement:
        return Settlement(
            read=make_reader(self.run.settings, self.run.prompt_language, self.builder.compactor),
            rules=rules_in_force(self.run, self.builder),
            split=self._split,
            attempts=self.run.settings.run.attempts,
            max_output_tokens=self.limits.max_output_tokens,
            learner=self.learner,
            writer=self.writer,
            scheduler=scheduler,
            tracker=self.tracker,
            events=self.events,
            observer=self.run.observer,
        )

    async def _split(self, part: Part) -> list[tuple[Part, PartSize]]:
        (log,) = await self.writer.write(lambda ledger: ledger.logs([part]))
        return halves(log, self.builder, start=part.first)


async def _call_model(
    run: RunContext, stop: Stop, so_far: ProgressTracker, replies: Sequence[Path], permits: Permits | None
) -> RunStatus:
    """Ask about everything that is pending. Return how that ended."""
    if not is_extended(run.facts):
        write_results(run.directory, run.ledger)  # an earlier process may have left a torn line
    with _opened_session(run, so_far) as session:
        # what it puts back stands in the ledger too
        settlement = session.settlement(Scheduler([], session.limits))
        await settlement.settle_unread()
        if replies:
            await _read_replies(session, settlement, replies)
        if run.settings.run.mode != "files":  # what is out in a file is asked about here now
            await session.writer.write(give_up)
        pending = await session.writer.write(Ledger.pending_parts) + await settlement.take_kept()
        if run.settings.run.mode == "files":
            return await _write_requests(session, pending, stop)
        return await _call_pending(session, pending, stop, permits) if pending else "completed"


async def _settle_earlier(run: RunContext) -> None:
    """Settle replies that were committed but not read, before the parts that they are about become other ones."""
    if run.ledger.unread_calls():
        with _opened_session(run, run.tracker()) as session:
            await session.settlement(Scheduler([], session.limits)).settle_unread()


@contextmanager
def _opened_session(run: RunContext, so_far: ProgressTracker) -> Iterator[_Session]:
    builder = run.builder()
    limits = batch_limits(run.settings, builder)
    # events.jsonl of an extended run is whole, and stays so until it is replaced
    file = nullcontext() if is_extended(run.facts) else EventsFile(run.directory.events)
    # the writer appends the events too, so it closes first
    with file as events, LedgerWriter(run.ledger) as writer:
        learner, tracker = BudgetLearner(limits), run.tracker(so_far.seconds)
        yield _Session(run, builder, limits, learner, writer, events, tracker)


async def _read_replies(session: _Session, settlement: Settlement, replies: Sequence[Path]) -> None:
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


async def _write_requests(session: _Session, pending: Sequence[PlannedPart], stop: Stop) -> RunStatus:
    """Write what is pending, and what is still awaited, as lines of requests.jsonl."""
    run = session.run
    scheduler = session.scheduler(pending, probe=False)
    if pending:
        _announce(session, scheduler, pending)
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


async def _call_pending(
    session: _Session, pending: list[PlannedPart], stop: Stop, permits: Permits | None
) -> RunStatus:
    run = session.run
    scheduler = session.scheduler(pending, probe=probes(run.settings))
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
        make_pace=permits.make_pace if permits else None,
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
            keep=run.reserve.keep,
            save=_CheckpointWriter(run, session.tracker, scheduler).save,
            wall_clock=time.time,
            spending=permits.make_spending(session.most_tokens) if permits else session.spending(),
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


def _announce(session: _Session, scheduler: Scheduler, pending: Sequence[PlannedPart]) -> None:
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
    if is_extended(run.facts):
        run.remember(event_changes=write_changes(run.directory, run.ledger))
    tracker, waiting = run.tracker(seconds), _batches_waiting(run)
    run.remember_progress(tracker.progress(waiting=waiting, workers=1), status=status)
    run.save(tracker, status=status, batches_waiting=waiting)


def _batches_waiting(run: RunContext) -> int:
    """Count the batches that are awaited, and those that the pending parts make, as the plan of a resumed run does."""
    awaited = len(unanswered(run.ledger))
    pending, kept = run.ledger.pending_parts(), run.ledger.pending_parts(kept=True)
    if not pending and not kept:
        return awaited
    builder = run.builder()
    in_force = rules_in_force(run, builder)
    for planned in kept:
        answer = kept_answer(run.ledger, planned.part)
        outcome = Outcome(planned.part, None, answer.events)
        pending += filter(None, [in_force.question(planned, answer.log, outcome)])
    limits, workers = batch_limits(run.settings, builder), run.settings.run.concurrency
    scheduler = Scheduler(_in_order(run, pending), limits, probe=probes(run.settings), workers=workers)
    return awaited + scheduler.batches


def _in_order(run: RunContext, pending: Sequence[PlannedPart]) -> Sequence[PlannedPart]:
    """Return parts as they are taken: of an audit's run in another order, with other neighbors, than in the run that it audits."""
    order = run.facts.get("order")
    return shuffled(pending, order) if order else pending


def _start_facts(run: RunContext, *, resumed: bool) -> Started:
    settings = run.settings
    is_remote = kind_of(settings.provider).is_remote
    return Started(
        config_file=run.facts["config_file"],
        provider=settings.provider,
        model=settings.llm.model if is_remote else "",
        host=host_of(endpoint_of(settings.llm, {}).base_url) if is_remote else "",
        out=str(run.directory.path),
        resumed=resumed,
    )


def summarize(run: RunContext, status: RunStatus, cause: str = "") -> Summary:
    """Return how a run stands that has been saved."""
    tracker = run.tracker()
    counted = run.facts.get("input", {})
    counts = asdict(tracker.counts) | {"behaviors": counted.get("behaviors", 0)}
    counts["events"] += count_standing_events(run.ledger)
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
        extension=extension_facts(run),
        failures=failure_reasons(run.ledger),
        currency=run.settings.llm.price.currency,
        tier_costs=tracker.tier_costs,
    )
