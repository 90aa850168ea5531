"""The session of a process: which batch goes next, what replies teach about budgets, and what a reply or an error means for each part."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from typing import Any, NamedTuple

from eventabs import store
from eventabs.errors_and_exit_codes import (
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
)
from eventabs.prompts import BatchLimits, PromptBuilder, measure_parts, overlapping_parts, plan, shuffled
from eventabs.runs.built_from_settings import RunContext, make_reader
from eventabs.runs.observer import BatchDone, CallFailed, Planned
from eventabs.runs.progress_and_stop_conditions import REFUSED_FACT, ProgressTracker
from eventabs.shared_records import (
    AskedUser,
    Batch,
    FailureReason,
    Outcome,
    Part,
    PartSize,
    PlannedPart,
    Reply,
    Request,
    Usage,
    row_ranges,
)
from eventabs.stop_request import Stop
from eventabs.store import Ledger, LedgerWriter, PartChange, SettledUser


class Scheduler:
    """A `queue` of batches. Parts that are put back are packed anew once the plan has been sent.

    They wait so that they can share calls: each call pays for the instructions once more. Links are in calls of their own.
    """

    def __init__(
        self, pending: Sequence[PlannedPart], limits: BatchLimits, *, probe: bool = False, workers: int = 1
    ) -> None:
        self._limits = limits
        self._workers = workers
        # by whether they are links, and the most parts that their batch may have
        self._again: dict[tuple[bool, int], list[PlannedPart]] = {}
        fresh = [each for each in pending if not (each.max_peers or each.part.is_link)]
        self.put_back(each for each in pending if each.max_peers or each.part.is_link)
        self.queue = deque(plan(fresh, limits, probe=probe, workers=workers))

    def next(self, *, links: bool = True) -> Batch | None:
        """Take the next batch; None while there is nothing to send. Without `links` they go on waiting, for those of other users."""
        if not self.queue:
            self.plan_again(links=links)
        return self.queue.popleft() if self.queue else None

    def put_back(self, parts: Iterable[PlannedPart]) -> None:
        """Take parts that have to be asked again."""
        for planned in parts:
            peers = min(planned.max_peers, self._limits.max_users)
            self._again.setdefault((planned.part.is_link, peers), []).append(planned)

    def replan(self, limits: BatchLimits) -> None:
        """Pack all that has not been sent under other limits; of one user a call there is nothing to pack."""
        before, self._limits = self._limits, limits
        if before.max_users == limits.max_users == 1:
            return
        for batch in self.queue:
            self.put_back(batch.parts)
        self.queue.clear()
        self.plan_again(links=False)

    @property
    def batches(self) -> int:
        """How many batches wait; an estimate where parts still have to be packed."""
        most = self._limits.max_users
        again = (-(-len(parts) // (peers or most)) for (_links, peers), parts in self._again.items())
        return len(self.queue) + sum(again)

    def plan_again(self, *, links: bool = True) -> None:
        """Pack what has to be asked again, and links."""
        for key in sorted(self._again, key=lambda key: (key[0], key[1] != 0, -key[1])):
            if not key[0] or links:
                limits = self._limits._replace(max_users=key[1]) if key[1] else self._limits
                workers = 1 if any(key) else self._workers
                self.queue += plan(shuffled(self._again.pop(key)), limits, workers=workers)


_ENOUGH_FOR_THE_TAIL = 20  # replies
_WORTH_PLANNING = 0.05  # a change of a factor by less than this is not worth a new plan
_LOST = 0.05  # share of its rows that an answer lost, from which on it is bad
_BAD_ANSWERS = 2  # one may be bad luck
_LITTLE = 0.02  # share that answers may have lost before calls get more rows again


class BudgetLearner:
    """Turns usage into `limits` to plan with, other ones where replies have shown enough.

    The limits are the user's, divided by how many tokens came for each that was expected. The input
    limit is only ever lowered: the user set it in tokens of the tokenizer that counts.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._inputs: deque[float] = deque(maxlen=100)
        self._outputs: deque[float] = deque(maxlen=100)
        self.replies = 0  # that have shown how long answers are
        self._longest = 0  # tokens of an answer
        self._next_lesson = 3  # replies
        self._input_factor = self._output_factor = 1.0
        self._anew = 0  # answers in a row that numbered anew for each user
        self._largest = self._most_rows = limits.max_rows  # of a call
        self._fewest_rows = 50  # of a call, whatever is lost
        # the shares of rows that answers of this size lost, and those of twice the rows; None after calls grew
        self._shares: deque[float] = deque(maxlen=8)
        self._twice_lost: float | None = None
        self._answers = 0  # of this size
        self._needed = 4  # before calls get more rows again, doubled each time that those were too many
        self.limits = self._planned()

    def _planned(self, **changes: Any) -> BatchLimits:  # noqa: ANN401  fields of it
        self._limits = self._limits._replace(**changes)
        least, most = self._limits.instructions_tokens + 1, self._limits.max_input_tokens
        return self._limits._replace(
            max_input_tokens=max(least, int(most / self._input_factor)),
            max_output_tokens=max(1, int(self._limits.max_output_tokens / self._output_factor)),
        )

    def at_the_cap(self, usage: Usage) -> bool:
        """Whether an answer broke off for its length: the endpoint's cap may be lower than ours; one far shorter than others did by accident."""
        cap = min(self._limits.max_output_tokens, self._longest or self._limits.max_output_tokens)
        return not self._longest or usage.completion_tokens >= 0.9 * cap

    def number_anew(self, *, did: bool) -> None:
        """Take whether an answer about several users numbered anew for each: where answers do, calls get one user from now on."""
        self._anew = self._anew + 1 if did else 0
        if self._limits.max_users > 1 and self._anew >= (_BAD_ANSWERS if self.replies else 1):
            self.limits = self._planned(max_users=1)

    def lose(self, sent: Iterable[PartSize], lost: int) -> None:
        """Take how many rows of a call its answer lost; calls may get half or twice the rows from now on.

        Calls of twice the rows come back after good answers, and for good where half of them did not help.
        """
        rows = sum(size.rows for size in sent)
        size = self._limits.max_rows or max(rows, self._largest)
        if not size / 2 < rows <= size:
            return  # a small rest, or sent before calls got fewer rows
        self._largest = max(self._largest, size)
        self._answers += 1
        self._shares.append(lost / rows)
        share, bad = sum(self._shares) / len(self._shares), sum(each > _LOST for each in self._shares)
        twice, twice_lost = min(2 * size, self._most_rows or self._largest), None
        if bad >= _BAD_ANSWERS and 2 * bad > len(self._shares):
            if self._twice_lost and share > 0.75 * self._twice_lost:  # their size is not the reason
                size = self._fewest_rows = twice
            else:
                self._needed *= 1 if self._twice_lost else 2
                size, twice_lost = max(self._fewest_rows, size // 2), share
        elif self._answers >= self._needed and share <= _LITTLE:
            size = twice
        if size != (self._limits.max_rows or self._largest):
            self.limits = self._planned(max_rows=size)
            self._twice_lost, self._answers = twice_lost, 0
            self._shares.clear()

    def learn(self, sent: Sequence[PartSize], usage: Usage, *, whole: bool, capped: bool = False) -> None:
        """Take a reply's usage. `whole`: every part came out well; `capped`: it broke off at the cap."""
        if not usage.completion_tokens or not (whole or capped):
            return
        self.replies += 1
        self._longest = max(self._longest, usage.completion_tokens)
        self._inputs.append(usage.prompt_tokens / self._limits.input_tokens(sent))
        ratio = usage.completion_tokens / sum(size.output_tokens for size in sent)
        # an answer that was cut would have been at least so much longer
        self._outputs.append(ratio if whole else 1.25 * max(ratio, self._output_factor))
        if self.replies < self._next_lesson and not capped:
            return
        self._next_lesson = max(self._next_lesson, 2 * self.replies)
        # nearly all answers must fit, not the average one, or batches would be cut; of few answers the tail is only
        # the one longest, and the longest users go first
        at = int((0.95 if self.replies >= _ENOUGH_FOR_THE_TAIL else 0.6) * len(self._outputs))
        output_factor = min(max(sorted(self._outputs)[at], 0.5), 8.0)
        input_factor = min(max(sorted(self._inputs)[at], 1.0), 2.0)
        changes = (output_factor / self._output_factor, input_factor / self._input_factor)
        if any(abs(change - 1) >= _WORTH_PLANNING for change in changes):
            self._output_factor, self._input_factor = output_factor, input_factor
            self.limits = self._planned()


class Call(NamedTuple):
    """A call that is in the ledger: its number, the batch, and what it asks about, by alias."""

    id: int
    batch: Batch
    users: Mapping[str, AskedUser]


# What an answer, or the lack of one, does to the parts that were asked about.
#
# An attempt is charged only when a delivered answer was bad for that user. Everything else makes the
# next batch smaller until the part is alone, so every path ends.


MOST_BROKEN_CALLS = 8  # calls a part may see end without an answer


def after_reply(
    call: Call, reply: Reply, outcomes: Mapping[Part, Outcome], *, attempts: int, at_the_cap: bool
) -> list[PartChange]:
    """Judge each part by its outcome. `at_the_cap`: the answer broke off because it was as long as it may be, not by accident."""
    parts, changes = call.batch.parts, list[PartChange]()
    empty = all(outcomes[planned.part].reason == "empty" for planned in parts)
    breaks_off = at_the_cap or reply.finish_reason in ("length", "interrupted")
    half = (len(parts) + 1) // 2
    smaller = half if len(parts) > 1 else 0
    for planned, asked in zip(parts, call.users.values(), strict=True):
        outcome = outcomes[planned.part]
        if outcome.reason is None:
            change = PartChange(planned.part, "done", attempts=planned.attempts, accepted=outcome)
        elif empty:
            change = _judged(planned, "empty", broken=1, peers=half)
        elif outcome.reason == "content_filter":
            change = _judged(planned, "content_filter", peers=smaller)
        elif breaks_off and outcome.reason in ("cut", "missing"):
            if smaller or not at_the_cap:
                change = _judged(planned, "cut", broken=int(not smaller), peers=half)
            else:  # in pieces, since the answer has no room; they are charged for, so that cutting ends
                change = _judged(planned, "cut", attempts=1)
                change = change._replace(too_large=change.attempts < attempts)
        else:
            left = attempts - planned.attempts - 1
            change = _judged(planned, outcome.reason, attempts=1, peers=half if left > 1 else max(0, left))
        if change.state == "failed" and (best := acceptable(asked, outcome)):
            change = PartChange(planned.part, "done", change.attempts, change.broken_calls, accepted=best)
        changes.append(change)
    return changes


def acceptable(asked: AskedUser, outcome: Outcome) -> Outcome | None:
    """Return the outcome, or the one before, if it placed 80 % of the rows: a part can be done with it where nothing better comes any more."""
    for each in (outcome, asked.earlier):
        if each and each.reason in ("unplaced", "minor"):
            rows = each.part.last - each.part.first + 1 - len(asked.past)
            if len({*each.unplaced} - asked.past) <= 0.2 * rows:
                return replace(each, reason=None)
    return None


def after_error(batch: Batch, error: EndpointError) -> list[PartChange]:
    """Judge the parts of a call that brought no answer. A refused request is asked again in two halves, without a charge."""
    half, changes = (len(batch.parts) + 1) // 2, []
    smaller = half if len(batch.parts) > 1 else 0
    for planned in batch.parts:
        if isinstance(error, RejectedRequestError):
            change = _judged(planned, "endpoint", peers=smaller)
        elif isinstance(error, ModeratedError):
            change = _judged(planned, "content_filter", peers=smaller)
        elif isinstance(error, ContextTooLongError):
            change = _judged(planned, "too_long", peers=smaller)._replace(too_large=not smaller)
        else:
            change = _judged(planned, "endpoint", broken=1, peers=half)
            # the size of the batch may have broken it only if it breaks twice
            is_innocent = isinstance(error, RateLimitedError) or not planned.broken_calls
            if is_innocent and change.state == "pending":
                change = change._replace(max_peers=planned.max_peers)
        changes.append(change)
    return changes


def _judged(
    planned: PlannedPart, reason: FailureReason, *, attempts: int = 0, broken: int = 0, peers: int = 0
) -> PartChange:
    """Ask again with at most `peers` parts; 0, or too many broken calls: it has failed. `attempts` and `broken` calls are added."""
    counts = planned.attempts + attempts, planned.broken_calls + broken
    if broken and planned.broken_calls + broken >= MOST_BROKEN_CALLS:
        peers = 0
    return PartChange(planned.part, "pending" if peers else "failed", *counts, peers, reason)


LONG_REPLY = 200_000  # characters; far beyond what a model says
# what has become of users, what to add to the counts, and what has to be asked, again or as links
_Settled = tuple[Collection[SettledUser], Mapping[str, int], Iterable[PlannedPart]]


@dataclass(eq=False)
class Session:
    """The calls of a process: the plan of what is left, and what replies and errors mean, in the ledger and for the plan.

    `results` are the open events.jsonl and journeys.jsonl. `closing` is set where nothing more may be sent. `wall_clock` gives seconds since 1970.
    """

    run: RunContext
    stop: Stop
    builder: PromptBuilder
    limits: BatchLimits
    writer: LedgerWriter
    results: Sequence[FileIO]
    tracker: ProgressTracker
    wall_clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self.learner = BudgetLearner(self.limits)
        self.scheduler = Scheduler([], self.limits)
        self.closing = asyncio.Event()
        self.count_tokens: Callable[[str], int] = self.builder.counter.count
        self._reader = make_reader(self.run.settings, self.run.facts)
        self._rejected = set[Part]()
        self._reading_long = asyncio.Lock()
        self._saving, self._is_save_awaited = asyncio.Lock(), False

    def plan(self, pending: Sequence[PlannedPart], *, probe: bool = False) -> None:
        """Plan what is pending, under the limits that replies have shown, and show the plan."""
        self.scheduler = scheduler_of(self.run, pending, self.learner.limits, probe=probe)
        if pending:
            batches, users = self.scheduler.batches, len({planned.part.user_id for planned in pending})
            note = Planned(batches, users, self.tracker.counts.users, len(pending) / batches)
            self.run.observer.noted(note)
            self.run.save(self.tracker.counts, status="running", batches_left=batches)

    async def save(self) -> None:
        """Write the checkpoint beside the event loop, once at a time: who waits for that writes the newest counts for all who came since."""
        if not self._is_save_awaited:
            self._is_save_awaited = True
            async with self._saving:
                self._is_save_awaited = False
                counts, left = self.tracker.counts, self.tracker.under_way + self.scheduler.batches
                await asyncio.to_thread(self.run.save, counts, status="running", batches_left=left)

    def remember(self, facts: dict[str, Any]) -> None:
        """Keep facts in the ledger, soon."""
        self.writer.post(lambda ledger: ledger.set_meta(facts))

    def leave_out(self, parameters: frozenset[str]) -> None:
        """Remember which parameters the endpoint refuses: one of them would fail a whole job."""
        kept = {REFUSED_FACT: {"parameters": sorted(parameters)}}
        self.run.facts.update(kept)
        self.remember(kept)

    def open_call(self, ledger: Ledger, batch: Batch, *, in_flight_limit: int = 0) -> tuple[Call, Request]:
        """Compose a call and write it down, in one visit to the writer's thread."""
        asked = [ledger.asked(each.part, each.rows, attempt=batch.attempt) for each in batch.parts]
        builder, logs = self.builder.linking if batch.links else self.builder, [user.log for user in asked]
        request = builder.request(logs, max_output_tokens=self.limits.max_output_tokens)
        call_id = ledger.open_call(
            batch,
            request,
            settings_fingerprint=self.run.facts["settings_fingerprint"],
            sent_at=self.wall_clock(),
            in_flight=in_flight_limit,
        )
        return Call(call_id, batch, dict(zip(request.users, asked, strict=True))), request

    def counted(self, reply: Reply, input_tokens: int) -> Reply:
        """Count tokens here where the endpoint reports none of the prompt or the answer, as for a broken stream."""
        text, told = reply.text + reply.reasoning, reply.usage
        if reply.usage_reported and (told.completion_tokens or not (told.prompt_tokens and text)):
            return reply
        # in pieces of N characters: the tokens of one endless word take a hundred times its memory
        step = 10_000 if len(text) >= LONG_REPLY else LONG_REPLY
        tokens = sum(self.count_tokens(text[start : start + step]) for start in range(0, len(text), step))
        prompt, completion = told.prompt_tokens or input_tokens, max(tokens, told.completion_tokens)
        return reply._replace(usage=told._replace(prompt_tokens=prompt, completion_tokens=completion))

    async def settle_unread(self) -> None:
        """Settle replies that are committed and not read: the process died in between, or they came in a file."""

        def unread(ledger: Ledger, call_id: int) -> tuple[Call, Reply]:
            stored = ledger.stored_reply(call_id)
            return Call(call_id, store.batch_of_call(ledger, call_id), stored.users), stored.reply

        for call_id in await self.writer.write(Ledger.unread_calls):
            _usable, _reasons, committed = await self.settle_reply(*await self.writer.write(unread, call_id))
            await committed
            self.tracker.add(batches_done=1)

    async def settle_reply(self, call: Call, reply: Reply) -> tuple[int, Iterable[str], Awaitable[None]]:
        """Read a reply that is already committed, and submit what it means.

        Return for how many users it would do, the reasons why not, and what is awaited for all that to be on disk.
        """
        if len(reply.text) < LONG_REPLY:
            reading = self._reader.read(reply, call.users)
        else:  # a hostile one takes seconds, in which other calls want to be served, and memory: one at a time
            async with self._reading_long:
                reading = await asyncio.to_thread(self._reader.read, reply, call.users)
        outcomes = {outcome.part: outcome for outcome in reading.outcomes.values()}
        at_the_cap = reply.usage.completion_tokens >= self.limits.max_output_tokens or (
            reply.finish_reason == "length" and self.learner.at_the_cap(reply.usage)
        )
        asked = {user.part: user for user in call.users.values()}
        attempts = self.run.settings.run.attempts
        changes = after_reply(call, reply, outcomes, attempts=attempts, at_the_cap=at_the_cap)
        for at, change in enumerate(changes):
            if change.accepted:
                outcomes[change.part] = change.accepted
            else:
                narrowed = self._narrowed(change, asked[change.part], outcomes[change.part])
                changes[at] = await self._cut(narrowed)

        def settle(ledger: Ledger) -> _Settled:
            store.store_answers(ledger, call.id, call.users.values(), reading.outcomes.values())
            ledger.settle(call.id, outcomes.values(), changes)
            return self._settled(ledger, call.batch.parts, changes)

        written = self.writer.submit(settle)
        if not call.batch.links:
            before, sent = self.learner.limits, [planned.size for planned in call.batch.parts]
            whole = not any(outcome.reason for outcome in reading.outcomes.values())
            self.learner.learn(sent, reply.usage, whole=whole, capped=at_the_cap)
            if len(outcomes) > 1:
                self.learner.number_anew(did=all(each.reason == "renumbered" for each in outcomes.values()))
            if reply.finish_reason == "stop":
                placeless = ("renumbered", "missing")  # reasons of outcomes that place no row
                lost = [
                    asked[each.part].rows if each.reason in placeless else each.unplaced
                    for each in reading.outcomes.values()
                ]
                self.learner.lose(sent, sum(map(len, lost)))
            if self.learner.limits != before:
                self.scheduler.replan(self.learner.limits)
        bad = [outcome for outcome in outcomes.values() if outcome.reason]
        reasons, usable = [str(outcome.reason) for outcome in bad], len(outcomes) - len(bad)
        unusable = {reason: reasons.count(reason) for reason in reasons}
        ignored = reading.unknown_aliases + reading.repeated_users
        names = ("misfiled", "repeated", "unplaced", "missed")
        rows = {name: sum([outcome.figures[name] for outcome in outcomes.values()]) for name in names}
        done = BatchDone(call.id, len(outcomes), usable, unusable, reply.seconds, ignored, **rows)

        async def commit() -> None:
            self._apply(await written)
            self.run.observer.noted(done)

        return usable + sum(bool(acceptable(asked[each.part], each)) for each in bad), unusable, commit()

    def _narrowed(self, change: PartChange, asked: AskedUser, outcome: Outcome) -> PartChange:
        """Ask next only about the days that have unplaced rows; what is placed stays. An extension shows what it showed."""
        if change.state != "pending" or outcome.reason != "unplaced" or asked.log.known:
            return change
        rows = dict(enumerate(asked.history, change.part.first))
        days = {rows[row].day for row in {*outcome.unplaced} - asked.past}
        kept = {row: behavior for row, behavior in rows.items() if behavior.day in days}
        log = asked.log._replace(behaviors=tuple(kept.values()))
        return change._replace(asked=(row_ranges(kept), self.builder.measure(log)))

    async def settle_error(self, call: Call, error: EndpointError) -> None:
        """Close a call without an answer. Raises `error` where no other call could fare better."""
        parts = {planned.part for planned in call.batch.parts}
        is_final = isinstance(error, FatalEndpointError)
        if isinstance(error, RejectedRequestError):  # a refused request is split once only
            is_final = len(parts) == 1 or bool(parts & self._rejected)
            self._rejected |= parts
        judged = [] if is_final else after_error(call.batch, error)
        changes = [await self._cut(change) for change in judged]

        def settle(ledger: Ledger) -> _Settled:
            ledger.fail_call(call.id, str(error), changes)
            return self._settled(ledger, (), changes)

        self._apply(await self.writer.submit(settle))
        self.run.observer.noted(CallFailed(call.id, len(call.batch.parts), str(error)))
        if is_final:
            raise error

    async def _cut(self, change: PartChange) -> PartChange:
        """Cut a part that is too large for an answer in halves; one row cannot be cut. A link that fails is done, with its reason."""
        if change.part.is_link:
            return change._replace(state="done" if change.state == "failed" else change.state)
        if not change.too_large:
            return change
        log, start = await self.writer.write(Ledger.log, *change.part), change.part.first
        halves = self.limits._replace(max_rows=(len(log.behaviors) + 1) // 2)
        pieces = tuple(measure_parts(log, self.builder, halves, start=start))
        return change._replace(state="pending", replaced_by=pieces) if len(pieces) > 1 else change

    def _settled(self, ledger: Ledger, asked: Iterable[PlannedPart], changes: list[PartChange]) -> _Settled:
        """Return what changes that are written down have made of their users."""
        whole = {planned.part for planned in asked if planned.is_whole}
        users, counts, again = dict[str, SettledUser](), defaultdict[str, int](int), list[Part]()
        for change in changes:
            user_id, first, last = change.part
            if change.accepted:
                for name, number in change.accepted.figures.items():
                    counts[name] += number
                counts["answered"] += last - first + 1
            elif change.part.is_link and change.state == "done":
                counts["unlinked"] += 1
            if change.replaced_by:
                again += (part for part, _size in change.replaced_by)
            elif change.state == "pending":
                again.append(change.part)
            # a user's only part settles the user; of others the ledger knows the other parts
            if change.part in whole and not change.replaced_by:
                users[user_id] = store.settled_user(ledger, user_id, change)
            elif user_id not in users:
                if not change.part.is_link:
                    again += self._links(ledger, user_id)
                users[user_id] = store.settled_user(ledger, user_id)
        states, events, journeys, days = zip(*users.values(), strict=True) if users else [()] * 4
        counts["done"], counts["failed"] = states.count("done"), states.count("failed")
        # of users that are done
        counts["events"], counts["journeys"] = sum(map(len, events)), sum(map(len, journeys))
        counts["user_days"] = sum(days)
        return users.values(), counts, ledger.planned_parts(again).values()

    def _links(self, ledger: Ledger, user_id: str) -> list[Part]:
        """Plan to ask which journeys are one, once all parts of a user are done and several have some."""
        of_user = "FROM parts WHERE user_id = ? AND first >= 0"
        ((state, having),) = ledger.rows(f"SELECT max(state), sum(journeys > 0) {of_user}", user_id)
        log = ledger.asked(Part.link(user_id), "").log if state == "done" and having > 1 else None
        if not log or len(log.behaviors) < 2:  # noqa: PLR2004  one journey
            return []
        ledger.rows("DELETE FROM parts WHERE user_id = ? AND first < 0", user_id)
        links = []
        for number, (part, size) in enumerate(overlapping_parts(log, self.builder.linking, self.limits)):
            rows = row_ranges(range(part.first, part.last + 1))
            links.append(Part.link(user_id, number))
            ledger.add_parts([(links[-1], size)], rows=rows)
        return links

    def _apply(self, settled: _Settled) -> None:
        """Append results to their files, give what must be asked again to the scheduler, and count the rest."""
        users, counts, again = settled
        store.append_results(self.results, users)
        self.scheduler.put_back(again)
        self.tracker.add(**counts)


def scheduler_of(
    run: RunContext, pending: Sequence[PlannedPart], limits: BatchLimits, *, probe: bool
) -> Scheduler:
    """Plan parts: those of an audit's run in another order, with other neighbors, than in the run that it audits."""
    order = run.facts.get("order")
    parts = shuffled(pending, order) if order else pending
    return Scheduler(parts, limits, probe=probe, workers=run.settings.run.concurrency)
