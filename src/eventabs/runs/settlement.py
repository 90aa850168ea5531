"""From the end of a call to the ledger: what it means for each part, committed before anything shows it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from eventabs.errors import EndpointError, FatalEndpointError, RejectedRequestError
from eventabs.records import AnswerCells, Batch, Outcome, Part, PartSize, PlannedPart, Reply, UserLog
from eventabs.replies import Reading
from eventabs.runs.limits import BudgetLearner
from eventabs.runs.must_rules import RulesInForce, logs_of
from eventabs.runs.observer import BatchDone, CallFailed, Observer
from eventabs.runs.policy import after_error, after_reply, halved
from eventabs.runs.progress import ProgressTracker
from eventabs.runs.scheduler import Scheduler
from eventabs.store import (
    PEERS_OF_PIECES,
    EventsFile,
    Ledger,
    LedgerWriter,
    PartChange,
    PlacedAnswer,
    SettledUser,
    StoredReply,
    add_answer_counts,
    answer_counts,
    batch_of_call,
    cells_of,
    settled_by,
    settled_user,
    store_answers,
)

LONG_REPLY = 200_000  # characters; far beyond what a model says

Split = Callable[[Part], Awaitable[Sequence[tuple[Part, PartSize]]]]
Read = Callable[[Reply, Mapping[str, UserLog], Mapping[str, Part]], Reading]


class Call(NamedTuple):
    """A call that is in the ledger: its number, the batch, and the logs that it asks about, by alias."""

    id: int
    batch: Batch
    users: Mapping[str, UserLog]


class SettledReply(NamedTuple):
    """What came of a reply. `usable`: for how many users; `reasons` why not for others; `committed` is awaited for what it means to be on disk."""

    usable: int
    reasons: Iterable[str]
    committed: Awaitable[None]


@dataclass(eq=False, kw_only=True)
class Settlement:
    """Reads replies and errors into the ledger; gives what must be asked again to the scheduler.

    `rules`: what usable answers must keep; `attempts`: bad answers a user may get; `split` cuts a part in smaller
    ones, none if it is a single behavior; `learner` takes the tokens of replies.
    """

    read: Read
    rules: RulesInForce
    split: Split
    attempts: int
    max_output_tokens: int
    learner: BudgetLearner
    writer: LedgerWriter
    scheduler: Scheduler
    tracker: ProgressTracker
    events: EventsFile | None  # None: none is written as long as the run goes on
    observer: Observer

    def __post_init__(self) -> None:
        self._rejected: set[Part] = set()
        self._reading_long = asyncio.Lock()

    async def settle_unread(self) -> None:
        """Settle replies that are committed and not read: the process died in between, or they came in a file."""
        for call_id in await self.writer.write(Ledger.unread_calls):
            stored, batch, users = await self.writer.write(partial(_unread, call_id=call_id))
            settled = await self.settle_reply(Call(call_id, batch, users), stored.reply)
            await settled.committed
            self.tracker.add(batches_done=1)

    async def settle_reply(self, call: Call, reply: Reply) -> SettledReply:
        """Read a reply that is already committed, and submit what it means."""
        reading = await self._read(call, reply)
        outcomes = self._enforced(call, reading)
        at_the_cap = reply.usage.completion_tokens >= self.max_output_tokens or (
            reply.finish_reason == "length" and self.learner.at_the_cap(reply.usage)
        )
        changes = after_reply(
            call.batch,
            outcomes,
            reply.finish_reason,
            attempts=self.attempts,
            at_the_cap=at_the_cap,
        )
        changes = [await self._cut(change) for change in changes]
        answers = self._answers(call, reading)

        def settle(ledger: Ledger) -> _Settled:
            store_answers(ledger, call.id, answers)
            settled = _settle_outcomes(ledger, call.id, call.batch.parts, outcomes, changes)
            return settled._replace(answers=cells_of(answers))

        written = self.writer.submit(settle, then=self._publish)
        whole = all(outcome.usable for outcome in reading.outcomes.values())
        self._learn(call.batch, reply, whole=whole, capped=at_the_cap)
        usable = sum(outcome.usable for outcome in outcomes.values())
        done = BatchDone(
            call.id,
            len(call.batch.parts),
            usable,
            dict(Counter(outcome.reason for outcome in outcomes.values() if outcome.reason is not None)),
            reply.seconds,
            ignored=reading.unknown_aliases + reading.repeated_users,
            duplicates=reading.duplicates,
            missed=answer_counts(list(outcomes.values()))["missed"],
            copied=reading.copied,
        )
        return SettledReply(usable, done.unusable, self._commit(written, call.batch, changes, done))

    def _enforced(self, call: Call, reading: Reading) -> dict[Part, Outcome]:
        """Return outcomes that keep the rules."""
        return {
            planned.part: self.rules.enforced(log, reading.outcomes[alias])
            for (alias, log), planned in zip(call.users.items(), call.batch.parts, strict=True)
        }

    def _answers(self, call: Call, reading: Reading) -> list[PlacedAnswer]:
        """Return what the answers held."""
        return [
            self.rules.placed(place, len(call.users), log, reading.outcomes[alias])
            for place, (alias, log) in enumerate(call.users.items(), 1)
        ]

    async def _read(self, call: Call, reply: Reply) -> Reading:
        parts = {alias: planned.part for alias, planned in zip(call.users, call.batch.parts, strict=True)}
        if len(reply.text) < LONG_REPLY:
            return self.read(reply, call.users, parts)
        # a hostile reply takes seconds, in which other calls want to be served, and memory: one at a time
        async with self._reading_long:
            return await asyncio.to_thread(self.read, reply, call.users, parts)

    async def _commit(
        self,
        written: Awaitable["_Settled"],
        batch: Batch,
        changes: Sequence[PartChange],
        done: BatchDone,
    ) -> None:
        self._apply(batch, changes, await written)
        self.observer.noted(done)

    def _learn(self, batch: Batch, reply: Reply, *, whole: bool, capped: bool) -> None:
        sent = [planned.size for planned in batch.parts]
        limits = self.learner.learn(sent, reply.usage, whole=whole, capped=capped)
        if limits is not None:
            self.scheduler.replan(limits)

    async def settle_error(self, call: Call, error: EndpointError) -> None:
        """Close a call without an answer. Raises `error` where no other call could fare better."""
        is_final = self._is_final(call.batch, error)
        changes = [] if is_final else self._changes_after(call.batch, error)
        changes = [await self._cut(change) for change in changes]
        settled = await self.writer.submit(
            lambda ledger: _settle_error(ledger, call.id, str(error), changes), then=self._publish
        )
        self.observer.noted(CallFailed(call.id, len(call.batch.parts), str(error)))
        if is_final:
            raise error
        self._apply(call.batch, changes, settled)

    def _is_final(self, batch: Batch, error: EndpointError) -> bool:
        """Whether nothing can be won by asking differently: a refused request is split once only."""
        if isinstance(error, RejectedRequestError):
            parts = {planned.part for planned in batch.parts}
            return len(parts) == 1 or bool(parts & self._rejected)
        return isinstance(error, FatalEndpointError)

    def _changes_after(self, batch: Batch, error: EndpointError) -> list[PartChange]:
        if isinstance(error, RejectedRequestError):
            self._rejected |= {planned.part for planned in batch.parts}
            return halved(batch)
        return after_error(batch, error)

    async def _cut(self, change: PartChange) -> PartChange:
        """Cut a part that is too large for an answer; it fails where it cannot be cut."""
        if not change.too_large:
            return change
        pieces = await self.split(change.part)
        return change._replace(state="pending", replaced_by=tuple(pieces)) if pieces else change

    def _publish(self, settled: "_Settled") -> None:
        events = [event for user in settled.users.values() for event in user.events]
        if events and self.events is not None:
            self.events.append(events)

    def _apply(self, batch: Batch, changes: Sequence[PartChange], settled: "_Settled") -> None:
        asked = {planned.part: planned for planned in batch.parts}
        for change in changes:
            if change.replaced_by:
                self.scheduler.put_back(
                    PlannedPart(part, size, change.attempts, max_peers=PEERS_OF_PIECES)
                    for part, size in change.replaced_by
                )
            elif change.state == "pending":
                again = asked[change.part]._replace(
                    attempts=change.attempts, broken_calls=change.broken_calls, max_peers=change.max_peers
                )
                self.scheduler.put_back([again])
        self._count(settled)

    def _count(self, settled: "_Settled") -> None:
        self.tracker.add(**settled.counts)
        self.tracker.add_answers(settled.answers)
        for user in settled.users.values():
            if user.state == "done":
                self.tracker.add(done=1, events=len(user.events), user_days=user.days)
            elif user.state == "failed":
                self.tracker.add(failed=1)


class _Settled(NamedTuple):
    """What has become of users, and what is to be added to the counts of answers and of what they held."""

    users: Mapping[str, SettledUser]
    counts: Mapping[str, int]
    answers: AnswerCells = {}


def _unread(ledger: Ledger, call_id: int) -> tuple[StoredReply, Batch, Mapping[str, UserLog]]:
    stored = ledger.stored_reply(call_id)
    return stored, batch_of_call(ledger, call_id), logs_of(stored, ledger)


def _settle_outcomes(
    ledger: Ledger,
    call_id: int,
    asked: Iterable[PlannedPart],
    outcomes: Mapping[Part, Outcome],
    changes: Sequence[PartChange],
) -> _Settled:
    """Write down what a reply means; return what has become of its users.

    A user whose only part was asked about is settled by it alone; of others the ledger knows the other parts.
    """
    ledger.settle(call_id, outcomes.values(), changes)
    done = [change.part for change in changes if change.state == "done"]
    counts = answer_counts([outcomes[part] for part in done])
    add_answer_counts(ledger, counts)
    answered = sum(part.last - part.first + 1 for part in done)
    whole = {planned.part for planned in asked if planned.is_whole}
    alone = [change for change in changes if change.part in whole and not change.replaced_by]
    settled = {
        change.part.user_id: settled_by(
            ledger, change.part.user_id, change.state, outcomes[change.part].events
        )
        for change in alone
    }
    others = [change.part for change in changes if change.part.user_id not in settled]
    return _Settled(settled | _settled(ledger, others), counts | {"answered": answered})


def _settle_error(ledger: Ledger, call_id: int, error: str, changes: Sequence[PartChange]) -> _Settled:
    ledger.fail_call(call_id, error, changes)
    return _Settled(_settled(ledger, [change.part for change in changes]), {})


def _settled(ledger: Ledger, parts: Iterable[Part]) -> dict[str, SettledUser]:
    return {
        user_id: settled_user(ledger, user_id) for user_id in dict.fromkeys(part.user_id for part in parts)
    }
