"""How far a run is, with speed, cost and remaining time, and what limits it: tokens and cost, calls without a usable answer, calls at a time."""

import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from operator import sub
from typing import Any, NamedTuple

from eventabs.config import Settings
from eventabs.errors_and_exit_codes import (
    CapacityError,
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    LimitReachedError,
    MachineLostError,
    ModeratedError,
    NoContentError,
    RateLimitedError,
    StoppedError,
    UnavailableError,
)
from eventabs.interface_language import gettext as _
from eventabs.prompts import BatchLimits
from eventabs.providers import Price
from eventabs.runs.observer import Progress
from eventabs.shared_records import COUNT_NAMES, STANDARD_TIER, TIER_COUNTS, Batch, Counts, Usage

_RECENT_CALLS = 50  # the remaining time follows the latest calls


class _Reply(NamedTuple):
    """A reply: when it came by the tracker's clock, how long it took, its tokens and its cost."""

    at: float
    seconds: float
    completion_tokens: int
    characters: int
    cost: float | None


def snapshot(progress: Progress, at: float) -> dict[str, Any]:
    """Return the counts as they are kept in the ledger; `at`: when they were counted, in seconds since 1970."""
    return {"at": at, **{each.name: getattr(progress, each.name) for each in fields(progress)}}


class ProgressTracker:
    """Counts a run on from the ledger, after `earlier_seconds` of work, and measures its pace. `clock` counts seconds, from anywhere."""

    def __init__(
        self,
        price: Price,
        counts: Counts = Counts(),
        clock: Callable[[], float] = time.monotonic,
        earlier_seconds: float = 0.0,
    ) -> None:
        self.price = price
        self._clock = clock
        self._began = clock() - earlier_seconds
        self._causes = Counter(counts.retry_causes)
        self._tiers = {tier: dict(use) for tier, use in counts.by_tier.items()}
        self._numbers = {name: getattr(counts, name) for name in COUNT_NAMES}
        self.opened = 0  # calls that are written down, or about to be, and not sent yet
        self.in_flight = 0
        self.unread = 0  # answers that are not read yet, or were bad and are not judged yet
        self.unsettled = 0  # batches whose answer is read, and which are not yet written down as done
        self.ended = 0  # batches that nothing is to be done for any more, in this process
        self.receiving = 0  # characters of the answers that are coming in
        self._replies: deque[_Reply] = deque(maxlen=_RECENT_CALLS)
        self._ends: deque[float] = deque(maxlen=_RECENT_CALLS)

    @property
    def counts(self) -> Counts:
        """All counts as they are now; what answers held by their place, the ledger alone counts."""
        tiers = {tier: dict(use) for tier, use in self._tiers.items()}
        return Counts(**self._numbers, retry_causes=dict(self._causes), tiers=tiers)

    @property
    def under_way(self) -> int:
        """Batches that have been taken and have not ended."""
        return self.opened + self.in_flight + self.unread + self.unsettled

    @property
    def seconds(self) -> float:
        """How long all processes have worked on the run."""
        return self._clock() - self._began

    def add(self, **numbers: int) -> None:
        """Add to counts, by their names."""
        for name, number in numbers.items():
            if number:  # most are 0
                self._numbers[name] += number

    def count_reply(self, usage: Usage, seconds: float, characters: int, tier: str = "") -> None:
        """Count a reply that has just come; `tier` "": the ordinary one served it."""
        use = self._tiers.setdefault(tier or STANDARD_TIER, dict.fromkeys(TIER_COUNTS, 0))
        use["calls"] += 1
        for counts in (self._numbers, use):
            counts["prompt_tokens"] += usage.prompt_tokens
            counts["completion_tokens"] += usage.completion_tokens
            counts["cached_tokens"] += usage.cached_tokens
        cost = self.price.cost(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, tier)
        self._replies.append(_Reply(self._clock(), seconds, usage.completion_tokens, characters, cost))

    def count_batch(self) -> int:
        """Count a batch that has just ended, well or not; return how many have."""
        self._numbers["batches_done"] += 1
        self._ends.append(self._clock())
        return int(self._numbers["batches_done"])

    def count_retry(self, error: EndpointError) -> str:
        """Count a repeated call; return its cause: `rate_limit`, `capacity`, an HTTP status, `timeout` or `connection`."""
        names: Any = {RateLimitedError: "rate_limit", CapacityError: "capacity", NoContentError: "timeout"}
        cause: str = names.get(type(error)) or str(error.status or "connection")
        self._causes[cause] += 1
        self.add(retries=1)
        return cause

    def is_queued(self, error: EndpointError) -> bool:
        """Whether a call waited in vain while the endpoint answered another one."""
        return isinstance(error, NoContentError) and self.receiving > 0

    def progress(self, *, waiting: int, workers: int) -> Progress:
        """Return the counts and what the pace says. `waiting`: batches not sent yet; `workers`: calls that may be in flight now.

        The rest takes the time of a call for each, or the pace of late if that is slower. Waits between calls (cooldowns, limits on
        requests) show in the pace only; the first pace is no pace: that many workers end their first calls all at once.
        """
        remaining, counts = waiting + self.under_way, self.counts
        facts = self._numbers | {"retry_causes": counts.retry_causes, "tiers": counts.tiers}
        ends, cost = self._ends, self.price.total(counts)
        at, seconds, tokens, characters, costs = list(zip(*self._replies, strict=True)) or [()] * 5
        if self.receiving:  # by the characters that a token had in the answers before
            # before a reply has shown how many: between English and Chinese
            ratio = sum(tokens) / sum(characters) if any(characters) else 0.5
            facts["completion_tokens"] += int(self.receiving * ratio)
        eta = speed = projected = None
        if at:
            mean = sum(seconds) / len(at)
            eta = max(remaining / workers, 1.0) * mean if remaining else 0.0
            if len(ends) >= max(2 * workers, 3):
                eta = max(eta, remaining * (ends[-1] - ends[0]) / (len(ends) - 1))
            now, known_since = self._clock(), at[0]
            if len(at) < _RECENT_CALLS:  # else others came before, which are forgotten
                known_since = min(map(sub, at, seconds))
            # a minute, and two calls at least, or the speed would jump with each reply
            since = max(known_since, now - max(60.0, 2 * mean))
            speed = sum(tokens[bisect_right(at, since) :]) / (now - since) if now > since else None
            if cost is not None and remaining:
                projected = cost + remaining * sum(each or 0.0 for each in costs) / len(at)
        return Progress(
            **facts,
            batches_total=self._numbers["batches_done"] + remaining,
            in_flight=self.in_flight,
            in_flight_limit=workers,
            cost=cost,
            tier_costs=self.price.by_tier(counts) if self._tiers.keys() - {STANDARD_TIER} else {},
            eta_seconds=eta,
            tokens_per_second=speed,
            cost_projected=projected,
            seconds=self.seconds,
        )


@dataclass(eq=False)
class SpendingLimit:
    """Keeps a run under its limits even if every call in flight answers as long as it may.

    Tokens are counted as `limits` of the batches count them. `facts` of the run say what was spent before an extension, which has the
    limits for itself. `tier`: whose price applies. `in_flight`: calls that are out, with `reserved_input` tokens in their prompts.
    """

    facts: Mapping[str, Any]
    settings: Settings
    limits: BatchLimits
    tier: str = ""
    in_flight: int = 0
    reserved_input: int = 0

    def reserve(self, batch: Batch, tracker: ProgressTracker) -> bool:
        """Reserve what a batch may take. False: calls in flight have to show first what they took. Raises LimitReachedError where none is."""
        most_cost, most_tokens = self.settings.run.max_cost, self.settings.run.max_total_tokens
        if not (most_cost or most_tokens):
            return True
        counts, reserved_in = tracker.counts, self.reserved_input + self.input_tokens(batch)
        reserved_out = (self.in_flight + 1) * self.limits.max_output_tokens
        # none of it cached, and at the ordinary price where a tier may be served as that: no answer may be dearer
        rest = tracker.price.cost(reserved_in, reserved_out, tier=self.tier)
        before = self.facts.get("extension", {}).get("spent_before", {"tokens_before": 0, "cost_before": 0.0})
        cost = (tracker.price.total(counts) or 0.0) - before["cost_before"]
        used = counts.prompt_tokens + counts.completion_tokens - before["tokens_before"]
        if most_cost and rest is not None and cost + rest > most_cost:
            passed = f"--max-cost {most_cost}"
        elif most_tokens and used + reserved_in + reserved_out > most_tokens:
            passed = f"--max-total-tokens {most_tokens}"
        else:
            self.in_flight, self.reserved_input = self.in_flight + 1, reserved_in
            return True
        if self.in_flight:
            return False
        message = _("{limit} could be passed by the next call; go on with more: eventabs resume")
        raise LimitReachedError(message.format(limit=passed))

    def release(self, batch: Batch) -> None:
        """Give back what `reserve` took: the call has ended and its real tokens are counted."""
        if self.in_flight:  # without limits nothing is taken
            self.in_flight -= 1
            self.reserved_input -= self.input_tokens(batch)

    def input_tokens(self, batch: Batch) -> int:
        """Count the tokens of a batch's prompt."""
        return self.limits.input_tokens(planned.size for planned in batch.parts)


MAX_FAILURES = 10
# what is known of an endpoint under the settings of a run, by its names in ledgers: forgotten where these change
FAILURES_FACT, REFUSED_FACT = "fruitless", "refused_parameters"


@dataclass(eq=False)
class FailureLimit:
    """Raises StoppedError after ten tries without a usable answer from the start on, or ten calls without an answer since the last one.

    A process may make `run.attempts` calls without a usable answer for each user who has one, and ten more: `well` users have one at its start.
    A wait that the endpoint asks for (429, or 503 with Retry-After) and a lost machine are no failure before the first usable answer. The
    count goes on in the next process under the same settings, so that restarting buys no ten calls each time; `remember`
    gets what that process has to know at each change, since a killed process keeps nothing at its end.

    An endpoint that has answered usably in this run and is unavailable now is waited for, as long as `llm.longest_wait`
    seconds, and so is one whose tier has no capacity, from the start; with `run.wait` any is, without end. `clock` counts seconds, from anywhere.
    """

    facts: Mapping[str, Any]
    settings: Settings
    remember: Callable[[dict[str, Any]], None]
    well: int = 0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._fruitless = Counter[str]()  # calls of this process by what was wrong
        self._away_since: float | None = None
        counted = self.facts.get(FAILURES_FACT) or {"calls": 0, "succeeded": False}
        self._failures: int = counted["calls"]
        self._succeeded: bool = counted["succeeded"]

    def count_retry(self, error: EndpointError, *, queued: bool = False) -> None:
        """Count a try that is repeated, unless `queued`: another call was answered meanwhile. Raises FatalEndpointError, which ends its call."""
        harmless = queued or isinstance(error, RateLimitedError | MachineLostError) or self.awaits(error)
        if not self._succeeded and not harmless:
            self._count(error, FatalEndpointError)

    def awaits(self, error: EndpointError) -> bool:
        """Whether the run waits for the endpoint rather than count this error."""
        if not isinstance(error, UnavailableError):
            return False
        if self._away_since is None:
            self._away_since = self.clock()
        within = self.clock() - self._away_since < self.settings.llm.longest_wait
        return self.settings.run.wait or (within and (self._succeeded or isinstance(error, CapacityError)))

    def count_answer(self, *, usable: int, reasons: Iterable[str] = ()) -> None:
        """Count an answer; `usable`: for how many users. After a first usable one, some others are the tail of every run."""
        self._away_since = None
        self.well += usable
        if usable:
            if not self._succeeded or self._failures:
                self._keep(0, succeeded=True)
            return
        cause = _("no answer could be used: {reasons}").format(reasons=", ".join(sorted(reasons)))
        if not self._succeeded:
            self._count(cause)
        self._count_fruitless(cause)

    def count_no_answer(self, error: EndpointError, *, queued: bool = False) -> None:
        """Count a call without an answer, unless `queued`. A refusal of content shows an endpoint that works."""
        harmless = ModeratedError | ContextTooLongError if self._succeeded else RateLimitedError
        if not queued and not isinstance(error, harmless):
            self._count(error)
            self._count_fruitless(str(error))

    def _count(self, cause: object, raised: type[StoppedError] = StoppedError) -> None:
        self._keep(self._failures + 1, succeeded=self._succeeded)
        if self._failures >= MAX_FAILURES:
            message = _(
                "{count} tries without a usable answer ({cause}); find out more with: eventabs check, go on with: eventabs resume"
            )
            raise raised(message.format(count=self._failures, cause=cause))

    def _count_fruitless(self, cause: str) -> None:
        self._fruitless[cause] += 1
        if (count := self._fruitless.total()) >= MAX_FAILURES + self.settings.run.attempts * self.well:
            message = _(
                "{count} calls without a usable answer, while {users} users have one; most often: {cause}. Look at answers with: eventabs"
                " report; try another model, or fewer users a call (--max-users), then: eventabs resume"
            )
            ((often, _times),) = self._fruitless.most_common(1)
            raise StoppedError(message.format(count=count, users=self.well, cause=often))

    def _keep(self, failures: int, *, succeeded: bool) -> None:
        self._failures, self._succeeded = failures, succeeded
        self.remember({FAILURES_FACT: {"calls": failures, "succeeded": succeeded}})


_ROUNDS_TO_HOLD = 8  # after a step that did not help


class ConcurrencyLimit:
    """Additive increase, multiplicative decrease, between two limits.

    A round is as many answers as calls may be in flight. `clock` counts seconds, from anywhere. A step
    up is taken back when the round after it brings hardly more answers a second: then the endpoint, not
    this number, is what limits. An endpoint that queues calls until their time is over gets fewer, down to one.
    """

    def __init__(self, low: int, high: int, clock: Callable[[], float]) -> None:
        self._low = low
        self.most = max(low, high)
        self._clock = clock
        self._answers, self._began = 0, clock()  # of this round
        self._rate_before: float | None = None
        self._hold = 0
        self.now = low

    def answered(self) -> None:
        """Count a good answer."""
        self._answers += 1
        if self._answers < self.now:  # the round goes on
            return
        rate = self._answers / max(self._clock() - self._began, 1e-9)
        before, self._rate_before = self._rate_before, None
        if self._hold:
            self._hold -= 1
        # a quarter at least of what one more call would bring at the same speed
        elif before is not None and rate < before * (1 + 0.25 / (self.now - 1)):
            self.now -= 1
            self._hold = _ROUNDS_TO_HOLD
        elif self.now < self.most:
            self.now += 1
            self._rate_before = rate
        self._answers, self._began = 0, self._clock()

    def trouble(self, error: EndpointError) -> None:
        """Take one less for each call that waited in vain, or halve where the endpoint asked for less or broke."""
        if isinstance(error, CapacityError):  # it takes or refuses a call at once, whatever else is in flight
            return
        if isinstance(error, NoContentError):
            self.now = max(1, self.now - 1)
            self._hold = _ROUNDS_TO_HOLD
        else:
            self.now = min(self.now, max(self._low, self.now // 2))
        self._rate_before = None
        self._answers, self._began = 0, self._clock()
