"""A shard's side of the permits: what its engine takes them from, and the talk with the limiter behind it."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from eventabs.errors import LimitReachedError
from eventabs.providers import OnCooldown, Pace, Price, Sleep
from eventabs.records import BATCH_TIER, Batch, Usage
from eventabs.runs import (
    JobPermits,
    Note,
    Progress,
    ProgressTracker,
    Spending,
    cost_refusal,
    tokens_refusal,
)
from eventabs.shards.cluster.limiter import Answer, LimiterClient, Recent, Report, ShardOpened
from eventabs.shards.cluster.permits import Account, Amount, SharedLimits, SupersededError

SECONDS_A_REPORT = 1.0
_BLOCKS = 8  # calls to have leave for at a time
_ASKED_AT_ONCE = 256  # requests

Clock = Callable[[], float]


class SharedPermits:
    """The permits of the process that works on a shard, under the `generation` of its claim.

    `spent` is what the shard's ledger says at the beginning, `out` what the jobs may take that are out by then. `on_stop` hears how often a stop was requested for all shards;
    `secure` has the ledger copied, and says whether that was possible.
    """

    def __init__(
        self,
        limiter: LimiterClient,
        limits: SharedLimits,
        *,
        shard: str,
        generation: int,
        spent: Amount,
        out: Amount = Amount(),
        on_stop: Callable[[int], None],
        secure: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._limiter = limiter
        self._limits = limits
        self._secure = secure
        self._shard = shard
        self._generation = generation
        self._on_stop = on_stop
        self._clock = clock
        self._wake = asyncio.Event()
        self._recent = Recent(clock)
        self._pace: _LeasedPace | None = None
        self._spending = _LeasedSpending(limits, spent, out, self._wake.set)
        self._progress: Progress | None = None
        self._notes: list[Note | ShardOpened] = []

    def make_pace(self, sleep: Sleep, on_cooldown: OnCooldown) -> Pace:
        """Make what lets requests pass as the limiter does."""
        self._pace = _LeasedPace(
            self._limiter, self._shard, self._generation, self._recent, sleep, on_cooldown, self._clock
        )
        return self._pace

    def make_spending(self, most_tokens: Callable[[Batch], Usage]) -> Spending:
        """Make what lets batches be paid for within the shard's allowance."""
        self._spending.most_tokens = most_tokens
        return self._spending

    def make_job_permits(self, most_tokens: Callable[[Batch], Usage], max_output_tokens: int) -> JobPermits:
        """Make what lets requests leave in jobs within the shard's allowance."""
        self._spending.most_tokens = most_tokens
        return _LeasedJobs(self._spending, self._limits, max_output_tokens, self._secure)

    @property
    def is_refused(self) -> bool:
        """Whether nothing is left for the shard within the limits on spending."""
        return self._spending.is_refused

    def tell(self, fact: Progress | Note | ShardOpened) -> None:
        """Have the driver hear of progress, and of notes, with the next report."""
        if isinstance(fact, Progress):
            self._progress = fact
        else:
            self._notes.append(fact)

    async def talk(self) -> None:
        """Report every second, or at once where a call waits for leave, until cancelled. Raises SupersededError."""
        while True:
            await self.report()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), SECONDS_A_REPORT)

    async def report(self) -> None:
        """Report once. Raises SupersededError."""
        self._wake.clear()
        notes, self._notes = tuple(self._notes), []
        need = self._spending.need
        report = Report(
            self._shard,
            Account(
                self._generation,
                self._spending.spent,
                self._spending.in_flight,
                self._spending.allowance,
                self._recent.ages(),
            ),
            need,
            self._spending.blocks,
            self._spending.in_bulk,
            self._progress,
            notes,
        )
        self._take(await self._limiter.exchange(report), wanted=need is not None)

    async def report_end(self) -> None:
        """Report for the last time, and give back all leave that is not used. Raises SupersededError."""
        self._spending.give_back()
        await self.report()

    def _take(self, answer: Answer, *, wanted: bool) -> None:
        self._spending.take(answer, wanted=wanted)
        if self._pace is not None and answer.cooling_seconds:
            self._pace.hold(answer.cooling_seconds)
        self._on_stop(answer.stop)


class _LeasedSpending:
    """Lets batches be paid for within an allowance, and asks for more where that is used up."""

    def __init__(self, limits: SharedLimits, spent: Amount, out: Amount, wake: Callable[[], None]) -> None:
        self.most_tokens: Callable[[Batch], Usage] = lambda _batch: Usage()
        self.in_flight = out
        self.allowance = spent.plus(out)
        self.need: Amount | None = None
        self.blocks = _BLOCKS
        self.in_bulk = False
        self.is_refused = False
        self.queued_elsewhere = False
        self._limits = limits
        self._at_first = spent
        self._tracker: ProgressTracker | None = None
        self._wake = wake
        self._later: Callable[[], None] = lambda: None

    @property
    def spent(self) -> Amount:
        """What the calls of the shard have taken, also those of earlier processes."""
        if self._tracker is None:
            return self._at_first
        counts = self._tracker.counts
        return Amount(counts.prompt_tokens + counts.completion_tokens, self._tracker.cost or 0.0)

    def reserve(self, batch: Batch, tracker: ProgressTracker, later: Callable[[], None]) -> bool:
        """See `Spending`."""
        self._tracker = tracker
        need = self._most(batch, tracker)
        if not self._limits.on_spending or self._takes(need):
            self.in_flight = self.in_flight.plus(need)
            return True
        if self.is_refused:
            raise self._refusal()
        self._ask(need, later, _BLOCKS)
        return False

    def reserve_in_job(self, batch: Batch, tracker: ProgressTracker, *, wanted: int) -> bool:
        """Reserve what a request of a job may take, one of so many `wanted`; see `JobPermits`."""
        self._tracker = tracker
        need = self._most(batch, tracker, BATCH_TIER)
        queued = self.most_tokens(batch).prompt_tokens
        limit = self._limits.max_enqueued_tokens
        need = need._replace(queued=min(queued, limit) if limit else queued)
        if not (self._limits.on_spending or limit) or self._takes(need):
            self.in_flight = self.in_flight.plus(need)
            return True
        if self.is_refused and not self.in_flight.tokens:  # else what is out is collected first
            raise self._refusal()
        self._ask(need, lambda: None, wanted, in_bulk=True)
        return False

    def hold(self, calls: int, prompt_tokens: int, completion_tokens: int, tracker: ProgressTracker) -> None:
        """Count what the jobs may take that are out, as the only thing in flight."""
        self._tracker = tracker
        self.in_flight = out_amount(tracker.price, prompt_tokens, completion_tokens) if calls else Amount()

    def _takes(self, need: Amount) -> bool:
        is_within = self.allowance.holds(self._used().plus(need))
        if is_within:
            self.need = None
        return is_within

    def _ask(self, need: Amount, later: Callable[[], None], blocks: int, *, in_bulk: bool = False) -> None:
        self.need, self._later, self.blocks, self.in_bulk = need, later, blocks, in_bulk
        self._wake()

    def release(self, batch: Batch) -> None:
        """See `Spending`."""
        if self._tracker is not None:
            self.in_flight = self.in_flight.plus(self._most(batch, self._tracker), -1)

    def give_back(self) -> None:
        """Need no more than what is used."""
        self.need, self.allowance = None, self._used()

    def take(self, answer: Answer, *, wanted: bool) -> None:
        """Take what the limiter says; `wanted`: it was asked for more."""
        self.queued_elsewhere = answer.queued_elsewhere
        if wanted:
            self.allowance = self.allowance.at_least(answer.allowance)
            self.is_refused = answer.refused
        is_served = self.need is not None and self.allowance.holds(self._used().plus(self.need))
        if answer.is_scarce and not is_served:  # others wait for what is not needed here
            self.allowance = self._used()
        if is_served or self.is_refused:
            self._later()

    def _used(self) -> Amount:
        return self.spent.plus(self.in_flight)

    def _most(self, batch: Batch, tracker: ProgressTracker, tier: str = "") -> Amount:
        prompt, completion = self.most_tokens(batch)[:2]
        # none of it cached, and but for jobs at the ordinary price: no answer may be dearer
        return Amount(prompt + completion, tracker.price.cost(prompt, completion, tier=tier) or 0.0)

    def _refusal(self) -> LimitReachedError:
        if self._limits.max_cost:
            return cost_refusal(self._limits.max_cost)
        return tokens_refusal(self._limits.max_total_tokens)


def out_amount(price: Price, prompt_tokens: int, completion_tokens: int) -> Amount:
    """Return what jobs may take that are out, with all their prompts, and answers as long as they may be."""
    cost = price.cost(prompt_tokens, completion_tokens, tier=BATCH_TIER) or 0.0
    return Amount(prompt_tokens + completion_tokens, cost, prompt_tokens)


class _LeasedJobs:
    """Lets requests leave in jobs; see `JobPermits`."""

    is_shared = True

    def __init__(
        self,
        spending: _LeasedSpending,
        limits: SharedLimits,
        max_output_tokens: int,
        secure: Callable[[], bool],
    ) -> None:
        self._spending = spending
        self._limits = limits
        self._max_output_tokens = max_output_tokens
        self._secure = secure
        self._wanted = 1

    @property
    def is_waiting(self) -> bool:
        """Whether the limiter has been asked, and may still answer."""
        return self._spending.need is not None

    @property
    def queued_elsewhere(self) -> bool:
        """Whether prompts of other shards wait at the service."""
        return self._spending.queued_elsewhere

    def hold(self, calls: int, input_tokens: int, tracker: ProgressTracker, *, wanted: int) -> None:
        """Count what is out."""
        self._wanted = wanted
        if not wanted:
            self._spending.need = None
        self._spending.hold(calls, input_tokens, calls * self._max_output_tokens, tracker)

    def reserve(self, batch: Batch, tracker: ProgressTracker) -> bool:
        """Reserve what a request may take."""
        return self._spending.reserve_in_job(batch, tracker, wanted=self._wanted)

    async def secure(self) -> bool:
        """Have the ledger copied to where another machine finds it."""
        return await asyncio.to_thread(self._secure)


class _LeasedPace:
    """Asks the limiter for all requests that wait at that moment, so that one question serves many."""

    def __init__(  # noqa: PLR0917  made in one place
        self,
        limiter: LimiterClient,
        shard: str,
        generation: int,
        recent: Recent,
        sleep: Sleep,
        on_cooldown: OnCooldown,
        clock: Clock,
    ) -> None:
        self._limiter = limiter
        self._shard = shard
        self._generation = generation
        self._recent = recent
        self._sleep = sleep
        self._on_cooldown = on_cooldown
        self._clock = clock
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._cooling: set[asyncio.Task[None]] = set()
        self._free_until = -math.inf
        self._cool_until = -math.inf

    async def admit(self, tokens: int) -> None:
        """Wait until a request of so many tokens may be sent."""
        if self._clock() < self._free_until:
            return
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, admitted))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        closing = asyncio.ensure_future(self._sleep(math.inf))  # it ends, with an error, when the run closes
        try:
            await asyncio.wait({admitted, closing}, return_when=asyncio.FIRST_COMPLETED)
            await (admitted if admitted.done() else closing)
        finally:
            closing.cancel()
            admitted.cancel()

    def cool_down(self, seconds: float) -> None:
        """Hold the requests of all shards for so many seconds from now."""
        until = self._clock() + seconds
        if seconds > 0 and until > self._cool_until:
            self._on_cooldown(seconds)
        self.hold(seconds)
        telling = asyncio.create_task(self._limiter.cool_down(seconds))
        self._cooling.add(telling)
        telling.add_done_callback(self._cooling.discard)

    def hold(self, seconds: float) -> None:
        """Ask again before anything is sent."""
        self._cool_until = max(self._cool_until, self._clock() + seconds)
        self._free_until = -math.inf

    async def _ask(self) -> None:
        while waiting := self._still_waiting():
            asked = [tokens for tokens, _admitted in waiting]
            try:
                admission = await self._limiter.admit(self._shard, self._generation, asked)
            except SupersededError:  # the talk hears it too, and ends the run
                return
            if admission.free_seconds:
                self._free_until = self._clock() + admission.free_seconds
            self._recent.add(admission.requests, sum(asked[: admission.requests]))
            for _tokens, admitted in waiting[: admission.requests]:
                if not admitted.done():
                    admitted.set_result(None)

    def _still_waiting(self) -> list[tuple[int, asyncio.Future[None]]]:
        self._waiting = deque(each for each in self._waiting if not each[1].done())
        return list(self._waiting)[:_ASKED_AT_ONCE]
