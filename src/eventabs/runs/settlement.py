"""From the end of a call to the ledger: what it means for each part, what is asked again, and which batch goes next."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from eventabs.errors import (
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
)
from eventabs.prompts import BatchLimits, plan, shuffled
from eventabs.records import (
    AnswerCells,
    Batch,
    FailureReason,
    FinishReason,
    Outcome,
    Part,
    PartSize,
    PlannedPart,
    Reply,
    UserLog,
)
from eventabs.replies import Reading
from eventabs.runs.components import RulesInForce, logs_of
from eventabs.runs.limits import BudgetLearner
from eventabs.runs.observer import BatchDone, CallFailed, Observer
from eventabs.runs.progress import ProgressTracker
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


class Scheduler:
    """A queue of batches. Parts that are put back are packed anew once the plan has been sent.

    They wait so that they can share calls: each call pays for the instructions once more.
    """

    def __init__(
        self, pending: Iterable[PlannedPart], limits: BatchLimits, *, probe: bool = False, workers: int = 1
    ) -> None:
        self._limits = limits
        self._workers = workers
        self._again: dict[int, list[PlannedPart]] = {}  # by the most parts that their batch may have
        fresh = []
        for planned in pending:
            if planned.max_peers:
                self.put_back([planned])
            else:
                fresh.append(planned)
        self._queue = deque(plan(fresh, limits, probe=probe, workers=workers))

    def next(self) -> Batch | None:
        """Take the next batch; None while there is nothing to send."""
        if not self._queue:
            self.plan_again()
        return self._queue.popleft() if self._queue else None

    def put_back(self, parts: Iterable[PlannedPart]) -> None:
        """Take parts that have to be asked again."""
        for planned in parts:
            peers = min(planned.max_peers, self._limits.max_users)
            self._again.setdefault(peers, []).append(planned)

    def replan(self, limits: BatchLimits) -> None:
        """Pack all that has not been sent under other limits."""
        self._limits = limits
        for batch in self._queue:
            self.put_back(batch.parts)
        self._queue.clear()
        self.plan_again()

    @property
    def planned(self) -> int:
        """How many batches wait that are packed."""
        return len(self._queue)

    @property
    def batches(self) -> int:
        """How many batches wait; an estimate where parts still have to be packed."""
        again = (-(-len(parts) // (peers or self._limits.max_users)) for peers, parts in self._again.items())
        return len(self._queue) + sum(again)

    def plan_again(self) -> None:
        """Pack what has to be asked again."""
        for peers in sorted(self._again, key=lambda peers: (peers != 0, -peers)):
            limits = replace(self._limits, max_users=peers) if peers else self._limits
            self._queue += plan(shuffled(self._again[peers]), limits, workers=1 if peers else self._workers)
        self._again.clear()


# What an answer, or the lack of one, does to the parts that were asked about.
#
# An attempt is charged only when a delivered answer was bad for that user. Everything else makes the
# next batch smaller until the part stands alone, so every path ends.


MOST_BROKEN_CALLS = 8  # calls a part may see end without an answer


def after_reply(
    batch: Batch,
    outcomes: Mapping[Part, Outcome],
    finish_reason: FinishReason,
    *,
    attempts: int,
    at_the_cap: bool,
) -> list[PartChange]:
    """Judge each part by its outcome.

    `at_the_cap`: the answer broke off because it was as long as it may be, not by accident. A change
    that is `too_large` must be cut in pieces, or fails where it cannot.
    """
    empty = all(outcomes[planned.part].reason == "empty" for planned in batch.parts)
    changes = []
    for planned in batch.parts:
        outcome = outcomes[planned.part]
        if outcome.reason is None:
            change = PartChange(planned.part, "done", attempts=planned.attempts, events=len(outcome.events))
        elif empty:
            change = _broken(planned, batch, "empty")
        elif outcome.reason == "content_filter":
            change = _smaller(planned, batch, "content_filter")
        elif outcome.reason in ("cut", "missing") and (
            at_the_cap or finish_reason in ("length", "interrupted")
        ):
            change = _cut_short(planned, batch, attempts, at_the_cap=at_the_cap)
        else:
            change = _charged(planned, batch, outcome.reason, attempts)
        changes.append(change)
    return changes


def after_error(batch: Batch, error: EndpointError) -> list[PartChange]:
    """Judge the parts of a call that brought no answer."""
    if isinstance(error, ModeratedError):
        return [_smaller(planned, batch, "content_filter") for planned in batch.parts]
    if isinstance(error, ContextTooLongError):
        return [_shorter(planned, batch, "too_long") for planned in batch.parts]
    return [_unanswered(planned, batch, error) for planned in batch.parts]


def halved(batch: Batch) -> list[PartChange]:
    """Ask again in two halves, without a charge."""
    return [_smaller(planned, batch, "endpoint") for planned in batch.parts]


def _charged(planned: PlannedPart, batch: Batch, reason: FailureReason, limit: int) -> PartChange:
    used = planned.attempts + 1
    if used >= limit:
        return PartChange(planned.part, "failed", used, planned.broken_calls, reason=reason)
    peers = 1 if used == limit - 1 else _half(batch)
    return PartChange(planned.part, "pending", used, planned.broken_calls, peers, reason)


def _broken(planned: PlannedPart, batch: Batch, reason: FailureReason) -> PartChange:
    broken = planned.broken_calls + 1
    if broken >= MOST_BROKEN_CALLS:
        return PartChange(planned.part, "failed", planned.attempts, broken, reason=reason)
    return PartChange(planned.part, "pending", planned.attempts, broken, _half(batch), reason)


def _unanswered(planned: PlannedPart, batch: Batch, error: EndpointError) -> PartChange:
    """Ask again; in a smaller batch only when it may have been the batch's size that broke it twice."""
    change = _broken(planned, batch, "endpoint")
    innocent = isinstance(error, RateLimitedError) or not planned.broken_calls
    return change._replace(max_peers=planned.max_peers) if innocent and change.state == "pending" else change


def _smaller(planned: PlannedPart, batch: Batch, reason: FailureReason) -> PartChange:
    if len(batch.parts) == 1:
        return PartChange(planned.part, "failed", planned.attempts, planned.broken_calls, reason=reason)
    return PartChange(planned.part, "pending", planned.attempts, planned.broken_calls, _half(batch), reason)


def _shorter(planned: PlannedPart, batch: Batch, reason: FailureReason) -> PartChange:
    change = _smaller(planned, batch, reason)
    return change._replace(too_large=True) if change.state == "failed" else change


def _cut_short(planned: PlannedPart, batch: Batch, limit: int, *, at_the_cap: bool) -> PartChange:
    """Ask about fewer users; a user alone again, or in pieces where the answer has no room.

    Pieces are charged for, so that cutting ends.
    """
    if len(batch.parts) > 1:
        return _smaller(planned, batch, "cut")
    if not at_the_cap:
        return _broken(planned, batch, "cut")
    used = planned.attempts + 1
    return PartChange(
        planned.part, "failed", used, planned.broken_calls, reason="cut", too_large=used < limit
    )


def _half(batch: Batch) -> int:
    return (len(batch.parts) + 1) // 2


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
