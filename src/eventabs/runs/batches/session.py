"""What the calls of a process share, whichever way they go."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from eventabs.prompts import BatchLimits, PromptBuilder, TokenCounter, shuffled
from eventabs.providers import BatchService, ReplyLines, Sampling
from eventabs.records import (
    BATCH_TIER,
    STANDARD_TIER,
    Part,
    PartSize,
    PlannedPart,
    Request,
    UserLog,
)
from eventabs.runs.batches.jobs import JobRunner
from eventabs.runs.batches.replies import ReplyReader
from eventabs.runs.batches.requests import JobRoom, RequestWriter
from eventabs.runs.components import RunContext, make_reader
from eventabs.runs.endpoint import batch_profile, call_limits, endpoint_of, sampling_of
from eventabs.runs.extension import spent_before
from eventabs.runs.intake import halves
from eventabs.runs.limits import BudgetLearner, SpendingLimit
from eventabs.runs.must_rules import rules_in_force
from eventabs.runs.observer import Planned
from eventabs.runs.progress import ProgressTracker, snapshot
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settlement import Settlement
from eventabs.stop import Stop
from eventabs.store import EventsFile, Ledger, LedgerWriter

_REFUSED = "refused_parameters"  # in meta


@dataclass(frozen=True, slots=True)
class Session:
    """What the calls of a process share."""

    run: RunContext
    builder: PromptBuilder
    limits: BatchLimits
    learner: BudgetLearner
    writer: LedgerWriter
    events: EventsFile | None
    tracker: ProgressTracker

    def leave_out(self, parameters: frozenset[str]) -> None:
        """Keep which parameters the endpoint does not take: a job would be refused for them as a whole."""
        kept = {_REFUSED: {"settings_fingerprint": self._fingerprint, "parameters": sorted(parameters)}}
        self.run.facts.update(kept)
        self.writer.post(lambda ledger: ledger.set_meta(kept))

    def _sampling(self) -> Sampling:
        sampling, kept = sampling_of(self.run.settings.llm), self.run.facts.get(_REFUSED) or {}
        if kept.get("settings_fingerprint") != self._fingerprint:
            return sampling
        return replace(sampling, omit=sampling.omit | set(kept["parameters"]))

    @property
    def _fingerprint(self) -> str:
        return str(self.run.facts["settings_fingerprint"])

    def compose(self, logs: Sequence[UserLog]) -> Request:
        """Make the request about some logs."""
        return self.builder.request(logs, max_output_tokens=self.limits.max_output_tokens)

    def scheduler(self, pending: Sequence[PlannedPart], *, probe: bool) -> Scheduler:
        """Plan what is pending, under the limits that replies have shown to hold."""
        workers = self.run.settings.run.concurrency
        pending = in_order(self.run, pending)
        return Scheduler(pending, self.learner.limits, probe=probe, workers=workers)

    def spending(self, tier: str = "") -> SpendingLimit:
        """Keep the limits on spending, with nothing reserved."""
        return SpendingLimit(
            max_cost=self.run.settings.run.max_cost,
            max_total_tokens=self.run.settings.run.max_total_tokens,
            instructions_tokens=self.builder.instructions_tokens,
            max_output_tokens=self.limits.max_output_tokens,
            tier=tier,
            **spent_before(self.run.facts),
        )

    def request_writer(self, scheduler: Scheduler, stop: Stop) -> RequestWriter:
        """Make what writes requests of the scheduler's into files."""
        settings = self.run.settings
        return RequestWriter(
            run_id=self.run.facts["run_id"],
            directory=self.run.directory,
            profile=batch_profile(settings),
            model=settings.llm.model,
            sampling=self._sampling(),
            compose=self.compose,
            instructions_tokens=self.builder.instructions_tokens,
            settings_fingerprint=self._fingerprint,
            wall_clock=time.time,
            writer=self.writer,
            scheduler=scheduler,
            settlement=self.settlement(scheduler),
            tracker=self.tracker,
            stop=stop,
        )

    def reply_reader(self, settlement: Settlement) -> ReplyReader:
        """Make what reads replies out of files."""
        return ReplyReader(
            run_id=self.run.facts["run_id"],
            writer=self.writer,
            settlement=settlement,
            count_tokens=TokenCounter(self.run.settings.prompt.tokenizer).count,
            observer=self.run.observer,
        )

    @asynccontextmanager
    async def jobs(self, scheduler: Scheduler, stop: Stop) -> AsyncIterator[JobRunner]:
        """Open what drives the jobs of the batch service; a requested stop ends its waiting."""
        run, llm, batch = self.run, self.run.settings.llm, self.run.settings.batch
        profile, requests = batch_profile(run.settings), self.request_writer(scheduler, stop)
        ordinary = llm.model_copy(update={"tier": STANDARD_TIER})  # another may have an address of its own
        endpoint, closing = endpoint_of(ordinary, run.environment), asyncio.Event()
        loop = asyncio.get_running_loop()
        async with aclosing(BatchService(endpoint, profile, call_limits(run.settings))) as service:
            runner = JobRunner(
                run_id=run.facts["run_id"],
                service=service,
                requests=requests,
                reader=self.reply_reader(requests.settlement),
                lines=ReplyLines(endpoint, service.host, BATCH_TIER),
                writer=self.writer,
                directory=run.directory,
                make_spending=partial(self.spending, BATCH_TIER),
                room=JobRoom(profile.max_requests, profile.max_bytes),
                queue_tokens=batch.max_enqueued_tokens,
                poll_seconds=batch.poll_seconds,
                cancel_after=batch.cancel_after,
                longest_wait=llm.longest_wait,
                grace_seconds=stop.grace_seconds,
                closing=closing,
                wall_clock=time.time,
                report=partial(self.report, requests),
                save=lambda: run.save(self.tracker, status="running", batches_waiting=requests.batches_left),
                observer=run.observer,
            )
            with stop.calling(lambda: loop.call_soon_threadsafe(closing.set)):
                yield runner
        self.tracker.in_flight = 0

    def report(self, requests: RequestWriter) -> None:
        """Show how far the run is, here and in `eventabs status`."""
        progress = self.tracker.progress(waiting=requests.batches_left, workers=1)
        self.run.observer.progressed(progress)
        kept = {"progress": snapshot(progress, time.time())}
        self.writer.post(lambda ledger: ledger.set_meta(kept))

    def announce(self, scheduler: Scheduler, pending: Sequence[PlannedPart]) -> None:
        """Show the plan."""
        users = len({planned.part.user_id for planned in pending})
        batches, total = scheduler.batches, self.tracker.counts.users
        self.run.observer.noted(Planned(batches, users, total, len(pending) / batches))
        self.run.save(self.tracker, status="running", batches_waiting=batches)

    async def pending(self) -> list[PlannedPart]:
        """Return what is to be asked about now, as the ledger has it."""
        return await self.writer.write(Ledger.pending_parts)

    def settlement(self, scheduler: Scheduler) -> Settlement:
        """Make what settles replies and errors; what has to be asked again goes to the scheduler."""
        return Settlement(
            read=make_reader(self.run.settings, self.run.prompt_language, self.builder.compactor),
            rules=rules_in_force(self.run),
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


def in_order(run: RunContext, pending: Sequence[PlannedPart]) -> Sequence[PlannedPart]:
    """Return parts as they are taken: of an audit's run in another order, with other neighbors, than in the run that it audits."""
    order = run.facts.get("order")
    return shuffled(pending, order) if order else pending
