"""A run from start to stop: what is done in which order, and in which state it is left."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from eventabs.cli import signals
from eventabs.errors import RunDirectoryError, StoppedError, UsageError
from eventabs.ingest import Export
from eventabs.language import gettext as _
from eventabs.prompts import BatchLimits, PromptBuilder, TokenCounter, measure_logs
from eventabs.records import Batch, Part, PartSize, PlannedPart, RunStatus, UserLog
from eventabs.runs.components import (
    batch_limits,
    legend_of,
    make_reader,
    most_workers,
    open_input,
    open_provider,
    probes,
    prompt_language_of,
    sampled,
)
from eventabs.runs.context import RunContext
from eventabs.runs.engine import Calling, Engine
from eventabs.runs.intake import STDIN, halves, refuse_unreadable, stdin_copy, take_in
from eventabs.runs.limits import BudgetLearner, ConcurrencyLimit, FailureLimit, SpendingLimit
from eventabs.runs.observer import InputRead, Planned, Started, StateChanged, Summary
from eventabs.runs.progress import ProgressTracker
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settlement import Reader, Settlement
from eventabs.store import (
    EventsFile,
    Ledger,
    LedgerWriter,
    StoredReply,
    failure_reasons,
    host_of,
    write_rejects,
    write_results,
)

_NEW_OBJECTS = 10_000  # until the youngest are looked through


@dataclass(frozen=True, slots=True)
class _Desk:
    """What everybody at work shares."""

    job: RunContext
    builder: PromptBuilder
    limits: BatchLimits
    journal: LedgerWriter
    events: EventsFile
    tally: ProgressTracker

    def settler(self, scheduler: Scheduler) -> Settlement:
        return Settlement(
            reader=Reader(
                read=make_reader(self.job.settings, self.job.prompt_language),
                split=self._split,
                attempts=self.job.settings.run.attempts,
                max_output_tokens=self.limits.max_output_tokens,
                learner=BudgetLearner(self.limits),
            ),
            journal=self.journal,
            scheduler=scheduler,
            tally=self.tally,
            events=self.events,
            observer=self.job.observer,
        )

    async def _split(self, part: Part) -> list[tuple[Part, PartSize]]:
        (log,) = await self.journal.write(lambda ledger: ledger.logs([part]))
        return halves(log, self.builder, start=part.first)


async def call_model(job: RunContext) -> bool:
    """Ask about everything that is pending. Return whether somebody interrupted it."""
    write_results(job.directory, job.ledger)  # an earlier process may have left a torn line
    builder = job.builder()
    limits = batch_limits(job.settings, builder)
    # the journal writes the events too, so that it closes first
    with EventsFile(job.directory.events) as events, LedgerWriter(job.ledger) as journal:
        desk = _Desk(job, builder, limits, journal, events, job.tally())
        await _read_leftovers(desk)
        pending = await journal.write(Ledger.pending_parts)
        if not pending:
            return False
        return await _call(desk, pending)


async def _read_leftovers(desk: _Desk) -> None:
    """Settle replies that were committed but not read when an earlier process died."""
    settler = desk.settler(Scheduler([], desk.limits))
    for call_id in await desk.journal.write(Ledger.unread_calls):
        stored = await desk.journal.write(partial(Ledger.stored_reply, call_id=call_id))
        batch, logs = await desk.journal.write(partial(_asked_about, stored))
        settlement = await settler.take_reply(
            call_id, batch, dict(zip(stored.users, logs, strict=True)), stored.reply
        )
        await settlement.kept
        desk.tally.batches_done += 1


def _asked_about(stored: StoredReply, ledger: Ledger) -> tuple[Batch, list[UserLog]]:
    parts = list(stored.users.values())
    planned = {known.part: known for known in ledger.pending_parts()}
    return Batch(tuple(planned[part] for part in parts)), ledger.logs(parts)


async def _call(desk: _Desk, pending: list[PlannedPart]) -> bool:
    job = desk.job
    scheduler = Scheduler(
        pending, desk.limits, probe=probes(job.settings), workers=job.settings.run.concurrency
    )
    _announce(desk, scheduler, pending)
    hurry = asyncio.Event()
    fruitless = FailureLimit(
        job.facts, remember=lambda facts: desk.journal.post(lambda ledger: ledger.set_meta(facts))
    )
    async with open_provider(
        job.settings,
        job.environment,
        rules=job.facts["rules"],
        language=job.prompt_language,
        observer=job.observer,
        closing=hurry,
    ) as ask:
        engine = Engine(
            calling=Calling(
                compose=lambda logs: desk.builder.request(
                    logs, max_output_tokens=desk.limits.max_output_tokens
                ),
                ask=ask,
                hurry=hurry,
                spending=SpendingLimit(
                    max_cost=job.settings.run.max_cost,
                    max_total_tokens=job.settings.run.max_total_tokens,
                    instructions_tokens=desk.builder.instructions_tokens,
                    max_output_tokens=desk.limits.max_output_tokens,
                ),
                settings_fingerprint=job.facts["settings_fingerprint"],
                fruitless=fruitless,
                width=ConcurrencyLimit(
                    job.settings.run.concurrency, job.settings.run.max_concurrency, time.monotonic
                ),
                most_workers=most_workers(job.settings),
                count=TokenCounter(job.settings.prompt.tokenizer).count,
                save=_Saver(job, desk.tally, scheduler),
                wall_clock=time.time,
            ),
            settler=desk.settler(scheduler),
            journal=desk.journal,
            scheduler=scheduler,
            tally=desk.tally,
            observer=job.observer,
        )
        with _interrupts(engine.stop), _seldom_collected():
            await engine.run()
        return engine.stopped


class _Saver:
    """Writes the checkpoint of a running run beside the event loop, one at a time.

    Who comes while another waits for its turn need not wait too: that one will write the newest counts.
    """

    def __init__(self, job: RunContext, tally: ProgressTracker, scheduler: Scheduler) -> None:
        self._job = job
        self._tally = tally
        self._scheduler = scheduler
        self._turn = asyncio.Lock()
        self._waiting = False

    async def __call__(self) -> None:
        if self._waiting:
            return
        self._waiting = True
        async with self._turn:
            self._waiting = False
            counted = replace(self._tally)
            waiting = self._scheduler.batches
            await asyncio.to_thread(self._job.save, counted, status="running", batches_waiting=waiting)


def _announce(desk: _Desk, scheduler: Scheduler, pending: list[PlannedPart]) -> None:
    users = len({planned.part.user_id for planned in pending})
    batches = scheduler.batches
    desk.job.observer.noted(Planned(batches, users, desk.tally.users, len(pending) / batches))
    desk.job.save(desk.tally, status="running", batches_waiting=batches)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Have Python look for garbage in cycles less often: a call makes hundreds of objects, the plan holds millions.

    At hundreds of calls a second the looking takes a twentieth of the time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Hear Ctrl-C and SIGTERM in the event loop; nobody need hear them afterwards: all that is left is saving."""
    loop = asyncio.get_running_loop()
    for number in signals.NUMBERS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals.NUMBERS:
            loop.remove_signal_handler(number)
        signals.ignore()


_USUAL_ENCODINGS = ("utf-8", "")  # "": Parquet has none


def execute(job: RunContext, *, resumed: bool) -> Summary:
    """Read what is not read yet, call for what is not answered yet, and leave everything in order."""
    began = time.monotonic()
    status: RunStatus = "completed"
    cause = ""
    with signals.restored():
        signals.interrupt()
        try:
            job.observer.started(_start_facts(job, resumed=resumed))
            job.remember(status="running", began_at=time.time())
            if not job.facts.get("input_complete"):
                _read_input(job)
            job.save(job.tally(), status="running")
            if asyncio.run(call_model(job)):
                status = "interrupted"
        except StoppedError as error:
            status, cause = "stopped", str(error)
        except KeyboardInterrupt:
            status = "interrupted"
        except UsageError:
            save_stopped(job, "stopped")
            raise
        signals.ignore()  # it is only moments until everything is saved
        save_stopped(job, status)
        job.remember(ended_at=time.time())
        job.observer.noted(StateChanged(status, cause))
        return summarize(job, status, time.monotonic() - began)


def _read_input(job: RunContext) -> None:
    settings = job.settings
    # what came by standard input lies in the run directory, wherever that has been moved to
    paths = [stdin_copy(job.directory.path) if path == STDIN else path for path in job.facts["paths"]]
    with open_input(settings, paths, job.directory.work) as export:
        _refuse_other_input(job, export)
        refuse_unreadable(export, max_rejects=settings.input.max_rejects)
        first = sampled(export.user_logs())
        language = job.facts.get("prompt_language") or prompt_language_of(settings, first)
        legend = job.facts.get("legend")
        if legend is None:
            legend = legend_of(settings, language, job.facts["template"], first)
        job.remember(
            prompt_language=language,
            legend=legend,
            input={
                "paths": job.facts["paths"],
                "fingerprint": export.fingerprint,
                "users": export.users,
                "behaviors": export.behaviors,
                "rejected_rows": export.rejected_rows,
                "duplicates": export.duplicates,
                "paired_ends": export.paired_ends,
                "unpaired": export.unpaired,
                "rows": export.rows,
                "rejects": export.reasons,
            },
        )
        write_rejects(job.directory, export.rejects())
        builder = job.builder()
        limits = batch_limits(settings, builder)
        users = measure_logs(export.groups(), builder, limits)
        take_in(job.ledger, users, most_users=job.most_users)
        job.remember(input_complete=not 0 < job.most_users < export.users)
    with suppress(OSError):
        job.directory.work.rmdir()
    job.observer.noted(
        InputRead(
            len(export.files),
            export.users,
            export.behaviors,
            export.rejected_rows,
            export.duplicates,
            export.reasons,
            tuple(sorted({name for name in export.encodings.values() if name not in _USUAL_ENCODINGS})),
            export.paired_ends,
            export.unpaired,
        )
    )


def _refuse_other_input(job: RunContext, export: Export) -> None:
    before = job.facts.get("input", {}).get("fingerprint", export.fingerprint)
    if before != export.fingerprint and not job.facts.get("other_input_accepted"):
        message = _(
            "the input is not the one that this run began with; restore it, or take it with --accept-changes"
        )
        raise RunDirectoryError(message)


def save_stopped(job: RunContext, status: RunStatus) -> None:
    """Write the results and the checkpoint of a run that stops here."""
    with job.ledger.transaction():
        job.ledger.lose_open_calls()
    write_results(job.directory, job.ledger)
    job.remember(status=status)
    job.save(job.tally(), status=status, batches_waiting=_batches_waiting(job))


def _batches_waiting(job: RunContext) -> int:
    """Count the batches that the pending parts make: the plan of whoever resumes."""
    pending = job.ledger.pending_parts()
    if not pending:
        return 0
    builder = job.builder()
    return Scheduler(
        pending, batch_limits(job.settings, builder), workers=job.settings.run.concurrency
    ).batches


def _start_facts(job: RunContext, *, resumed: bool) -> Started:
    settings = job.settings
    calls = settings.provider == "openai"
    return Started(
        config_file=job.facts["config_file"],
        provider=settings.provider,
        model=settings.llm.model if calls else "",
        host=host_of(settings.llm.base_url) if calls else "",
        out=str(job.directory.path),
        resumed=resumed,
    )


def summarize(job: RunContext, status: RunStatus, seconds: float) -> Summary:
    """Say how the run stands. `seconds` is how long this process worked on it."""
    tally = job.tally()
    counted = job.facts.get("input", {})
    return Summary(
        status=status,
        provider=job.settings.provider,
        users=tally.users,
        success_count=tally.done,
        failed_count=tally.failed,
        pending=tally.users - tally.done - tally.failed,
        events=tally.events,
        calls=tally.calls,
        retries=tally.retries,
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost=tally.cost,
        seconds=seconds,
        out=str(job.directory.path),
        rejected_rows=counted.get("rejected_rows", 0),
        rejects=counted.get("rejects", {}),
        duplicates=counted.get("duplicates", 0),
        paired_ends=counted.get("paired_ends", 0),
        unpaired=counted.get("unpaired", 0),
        behaviors=counted.get("behaviors", 0),
        users_in_input=counted.get("users", 0),
        failures=failure_reasons(job.ledger),
        currency=job.settings.llm.price.currency,
    )
