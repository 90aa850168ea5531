"""From the end of a call to the ledger: what it means for each part, committed before anything shows it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eventabs.errors import EndpointError, FatalEndpointError, RejectedRequestError
from eventabs.records import Batch, Outcome, Part, PartSize, PlannedPart, Reply, UserLog
from eventabs.replies import Reading
from eventabs.runs.limits import BudgetLearner
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
    SettledUser,
    settled_by,
    settled_user,
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
    """What came of a reply. `usable`: for some user; `committed` is awaited for what it means to be on disk."""

    usable: bool
    committed: Awaitable[None]


@dataclass(eq=False, kw_only=True)
class Settlement:
    """Reads replies and errors into the ledger; gives what must be asked again to the scheduler.

    `attempts`: bad answers a user may get; `split` cuts a part in smaller ones, none if it is a single
    behavior; `learner` takes the tokens of replies.
    """

    read: Read
    split: Split
    attempts: int
    max_output_tokens: int
    learner: BudgetLearner
    writer: LedgerWriter
    scheduler: Scheduler
    tracker: ProgressTracker
    events: EventsFile
    observer: Observer

    def __post_init__(self) -> None:
        self._rejected: set[Part] = set()
        self._reading_long = asyncio.Lock()

    async def settle_reply(self, call: Call, reply: Reply) -> SettledReply:
        """Read a reply that is already committed, and submit what it means."""
        reading = await self._read(call, reply)
        outcomes = {outcome.part: outcome for outcome in reading.outcomes.values()}
        at_the_cap = reply.usage.completion_tokens >= self.max_output_tokens or (
            reply.finish_reason == "length" and self.learner.at_the_cap(reply.usage)
        )
        changes = after_reply(
            call.batch, outcomes, reply.finish_reason, attempts=self.attempts, at_the_cap=at_the_cap
        )
        changes = [await self._cut(change) for change in changes]
        written = self.writer.submit(
            lambda ledger: _settle_reply(ledger, call, outcomes, changes), then=self._publish
        )
        self._learn(call.batch, reply, whole=all(o.usable for o in outcomes.values()), capped=at_the_cap)
        usable = sum(outcome.usable for outcome in outcomes.values())
        done = BatchDone(
            call.id,
            len(call.batch.parts),
            usable,
            dict(Counter(outcome.reason for outcome in outcomes.values() if outcome.reason is not None)),
            reply.seconds,
            ignored=reading.unknown_aliases + reading.repeated_users,
            duplicates=reading.duplicates,
            copied=reading.copied,
        )
        return SettledReply(usable > 0, self._commit(written, call.batch, changes, done))

    async def _read(self, call: Call, reply: Reply) -> Reading:
        parts = {alias: planned.part for alias, planned in zip(call.users, call.batch.parts, strict=True)}
        if len(reply.text) < LONG_REPLY:
            return self.read(reply, call.users, parts)
        # a hostile reply takes seconds, in which other calls want to be served, and memory: one at a time
        async with self._reading_long:
            return await asyncio.to_thread(self.read, reply, call.users, parts)

    async def _commit(
        self,
        written: Awaitable[Mapping[str, SettledUser]],
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

    async def settle_damaged(self, batch: Batch, damaged: Sequence[Part]) -> None:
        """Fail users whose stored log cannot be read; nothing was asked, so the others go into other batches."""
        settled = await self.writer.submit(
            lambda ledger: _settle_damaged(ledger, damaged), then=self._publish
        )
        self._count(settled)
        self.scheduler.put_back(planned for planned in batch.parts if planned.part not in damaged)

    async def settle_error(self, call: Call, error: EndpointError) -> None:
        """Close a call without an answer. Raises `error` where no other call could fare better."""
        changes = [] if self._is_final(call.batch, error) else self._changes_after(call.batch, error)
        changes = [await self._cut(change) for change in changes]
        settled = await self.writer.submit(
            lambda ledger: _settle_error(ledger, call.id, str(error), changes), then=self._publish
        )
        self.observer.noted(CallFailed(call.id, len(call.batch.parts), str(error)))
        if not changes:
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

    def _publish(self, settled: Mapping[str, SettledUser]) -> None:
        if events := [event for user in settled.values() for event in user.events]:
            self.events.append(events)

    def _apply(self, batch: Batch, changes: Sequence[PartChange], settled: Mapping[str, SettledUser]) -> None:
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

    def _count(self, settled: Mapping[str, SettledUser]) -> None:
        for user in settled.values():
            if user.state == "done":
                self.tracker.add(done=1, events=len(user.events))
            elif user.state == "failed":
                self.tracker.add(failed=1)


def _settle_reply(
    ledger: Ledger, call: Call, outcomes: Mapping[Part, Outcome], changes: Sequence[PartChange]
) -> dict[str, SettledUser]:
    """Write down what a reply means; return what has become of its users.

    A user whose only part was asked about is settled by it alone; of others the ledger knows the other parts.
    """
    ledger.settle(call.id, outcomes.values(), changes)
    whole = {planned.part for planned in call.batch.parts if planned.is_whole}
    alone = [change for change in changes if change.part in whole and not change.replaced_by]
    settled = {
        change.part.user_id: settled_by(change.state, outcomes[change.part].events) for change in alone
    }
    return settled | _settled(
        ledger, [change.part for change in changes if change.part.user_id not in settled]
    )


def _settle_error(
    ledger: Ledger, call_id: int, error: str, changes: Sequence[PartChange]
) -> dict[str, SettledUser]:
    ledger.fail_call(call_id, error, changes)
    return _settled(ledger, [change.part for change in changes])


def _settle_damaged(ledger: Ledger, parts: Sequence[Part]) -> dict[str, SettledUser]:
    ledger.fail_parts(dict.fromkeys(parts, "damaged"), state="pending")
    return _settled(ledger, parts)


def _settled(ledger: Ledger, parts: Iterable[Part]) -> dict[str, SettledUser]:
    return {
        user_id: settled_user(ledger, user_id) for user_id in dict.fromkeys(part.user_id for part in parts)
    }
