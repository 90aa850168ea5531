"""The part of a run that has an event loop: from what is pending in the ledger to nothing."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from eventabs import interrupts
from eventabs.prompts.builder import PromptBuilder
from eventabs.prompts.packing import Limits
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import Batch, Part, PartSize, PlannedPart, UserLog
from eventabs.runs.asking import open_asker
from eventabs.runs.engine import Calling, Engine
from eventabs.runs.fruitless import Fruitless
from eventabs.runs.intake import halves
from eventabs.runs.job import Job
from eventabs.runs.journal import Journal
from eventabs.runs.learning import Learner
from eventabs.runs.ledger import Ledger, StoredReply
from eventabs.runs.limits import SpendingLimit
from eventabs.runs.observer import Planned
from eventabs.runs.results import EventsFile, write_results
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settling import Reader, Settler
from eventabs.runs.tally import Tally
from eventabs.runs.width import Width
from eventabs.runs.wiring import batch_limits, make_reader, most_workers, probes

_NEW_OBJECTS = 10_000  # until the youngest are looked through


@dataclass(frozen=True, slots=True)
class _Desk:
    """What everybody at work shares."""

    job: Job
    builder: PromptBuilder
    limits: Limits
    journal: Journal
    events: EventsFile
    tally: Tally

    def settler(self, scheduler: Scheduler) -> Settler:
        return Settler(
            reader=Reader(
                read=make_reader(self.job.settings, self.job.prompt_language),
                split=self._split,
                attempts=self.job.settings.run.attempts,
                max_output_tokens=self.limits.max_output_tokens,
                learner=Learner(self.limits),
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


async def call_everybody(job: Job) -> bool:
    """Ask about everything that is pending. Return whether somebody interrupted it."""
    write_results(job.directory, job.ledger)  # an earlier process may have left a torn line
    builder = job.builder()
    limits = batch_limits(job.settings, builder)
    # the journal writes the events too, so that it closes first
    with EventsFile(job.directory.events) as events, Journal(job.ledger) as journal:
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
    fruitless = Fruitless(
        job.facts, remember=lambda facts: desk.journal.post(lambda ledger: ledger.set_meta(facts))
    )
    async with open_asker(job, hurry) as ask:
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
                width=Width(job.settings.run.concurrency, job.settings.run.max_concurrency, time.monotonic),
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

    def __init__(self, job: Job, tally: Tally, scheduler: Scheduler) -> None:
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
    for number in interrupts.NUMBERS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in interrupts.NUMBERS:
            loop.remove_signal_handler(number)
        interrupts.ignore()
