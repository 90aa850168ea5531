"""From a call's end to the ledger: what it means for each part, kept before anybody hears of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Reader:
    """How replies are read.

    `attempts`: bad answers a user may get; `split` cuts a part in smaller ones, none if it is a single
    behavior; `learner` hears what replies took.
    """

    read: Read
    split: Split
    attempts: int
    max_output_tokens: int
    learner: BudgetLearner


@dataclass(frozen=True, slots=True)
class SettledReply:
    """What came of a reply. `fruitful`: any of its users is well; `kept` is to be awaited: it then is on disk.

    Whoever made the call need not wait: the next one goes into the ledger behind this, if not with it.
    """

    fruitful: bool
    kept: Awaitable[None]


class Settlement:
    """Takes replies and errors; hands what must be asked again to the scheduler."""

    def __init__(
        self,
        *,
        reader: Reader,
        journal: LedgerWriter,
        scheduler: Scheduler,
        tracker: ProgressTracker,
        events: EventsFile,
        observer: Observer,
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._scheduler = scheduler
        self._tracker = tracker
        self._events = events
        self._observer = observer
        self._rejected: set[Part] = set()
        self._reading_long = asyncio.Lock()

    async def take_reply(
        self, call_id: int, batch: Batch, users: Mapping[str, UserLog], reply: Reply
    ) -> SettledReply:
        """Read a reply that is already committed, and have written down what it means."""
        parts = {alias: planned.part for alias, planned in zip(users, batch.parts, strict=True)}
        if len(reply.text) < LONG_REPLY:
            reading = self._reader.read(reply, users, parts)
        else:  # a hostile reply takes seconds, in which other calls want to be served, and memory: one at a time
            async with self._reading_long:
                reading = await asyncio.to_thread(self._reader.read, reply, users, parts)
        outcomes = {outcome.part: outcome for outcome in reading.outcomes.values()}
        at_the_cap = self._is_at_the_cap(reply)
        changes = after_reply(
            batch,
            outcomes,
            reply.finish_reason,
            attempts=self._reader.attempts,
            at_the_cap=at_the_cap,
        )
        changes = [await self._cut(change) for change in changes]
        kept = self._journal.submit(
            lambda ledger: _settle_reply(ledger, call_id, batch, outcomes, changes),
            then=self._publish,
        )
        self._learn(batch, reply, whole=all(o.usable for o in outcomes.values()), capped=at_the_cap)
        usable = sum(outcome.usable for outcome in outcomes.values())
        done = BatchDone(
            call_id,
            len(batch.parts),
            usable,
            _reasons(outcomes.values()),
            reply.seconds,
            ignored=reading.unknown_aliases + reading.repeated_users,
        )
        return SettledReply(fruitful=usable > 0, kept=self._finish(kept, batch, changes, done))

    async def _finish(
        self,
        kept: Awaitable[Mapping[str, SettledUser]],
        batch: Batch,
        changes: Sequence[PartChange],
        done: BatchDone,
    ) -> None:
        self._apply(batch, changes, await kept)
        self._observer.noted(done)

    def _is_at_the_cap(self, reply: Reply) -> bool:
        if reply.usage.completion_tokens >= self._reader.max_output_tokens:
            return True
        return reply.finish_reason == "length" and self._reader.learner.at_the_cap(reply.usage)

    def _learn(self, batch: Batch, reply: Reply, *, whole: bool, capped: bool) -> None:
        sent = [planned.size for planned in batch.parts]
        limits = self._reader.learner.hear(sent, reply.usage, whole=whole, capped=capped)
        if limits is not None:
            self._scheduler.replan(limits)

    async def take_error(self, call_id: int, batch: Batch, error: EndpointError) -> None:
        """Close a call without an answer. Raises `error` where no other call could fare better."""
        changes = [] if self._is_final(batch, error) else self._changes_after(batch, error)
        changes = [await self._cut(change) for change in changes]
        settled = await self._journal.submit(
            lambda ledger: _settle_error(ledger, call_id, str(error), changes),
            then=self._publish,
        )
        self._observer.noted(CallFailed(call_id, len(batch.parts), str(error)))
        if not changes:
            raise error
        self._apply(batch, changes, settled)

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
        pieces = await self._reader.split(change.part)
        return change._replace(state="pending", replaced_by=tuple(pieces)) if pieces else change

    def _publish(self, settled: Mapping[str, SettledUser]) -> None:
        if events := [event for user in settled.values() for event in user.events]:
            self._events.append(events)

    def _apply(self, batch: Batch, changes: Sequence[PartChange], settled: Mapping[str, SettledUser]) -> None:
        asked = {planned.part: planned for planned in batch.parts}
        for change in changes:
            if change.replaced_by:
                self._scheduler.put_back(
                    PlannedPart(part, size, change.attempts, max_peers=PEERS_OF_PIECES)
                    for part, size in change.replaced_by
                )
            elif change.state == "pending":
                again = asked[change.part]._replace(
                    attempts=change.attempts, broken_calls=change.broken_calls, max_peers=change.max_peers
                )
                self._scheduler.put_back([again])
        for user in settled.values():
            if user.state == "done":
                self._tracker.add(done=1)
                self._tracker.add(events=len(user.events))
            elif user.state == "failed":
                self._tracker.add(failed=1)


def _settle_reply(
    ledger: Ledger,
    call_id: int,
    batch: Batch,
    outcomes: Mapping[Part, Outcome],
    changes: Sequence[PartChange],
) -> dict[str, SettledUser]:
    """Write down what a reply means; return what has become of its users.

    Whose one part was asked about is settled by it alone; of others the ledger knows the other parts.
    """
    ledger.settle(call_id, outcomes.values(), changes)
    whole = {planned.part for planned in batch.parts if planned.is_whole}
    alone = [change for change in changes if change.part in whole and not change.replaced_by]
    settled = {
        change.part.user_id: settled_by(change.state, outcomes[change.part].events) for change in alone
    }
    return settled | _settled(ledger, [change for change in changes if change.part.user_id not in settled])


def _settle_error(
    ledger: Ledger, call_id: int, error: str, changes: Sequence[PartChange]
) -> dict[str, SettledUser]:
    ledger.fail_call(call_id, error, changes)
    return _settled(ledger, changes)


def _settled(ledger: Ledger, changes: Iterable[PartChange]) -> dict[str, SettledUser]:
    users = dict.fromkeys(change.part.user_id for change in changes)
    return {user_id: settled_user(ledger, user_id) for user_id in users}


def _reasons(outcomes: Iterable[Outcome]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.reason is not None:
            counts[outcome.reason] = counts.get(outcome.reason, 0) + 1
    return counts
