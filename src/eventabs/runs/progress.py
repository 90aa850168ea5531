"""The counts of a run while it goes on, and what follows from them: speed, cost and remaining time."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from eventabs.errors import EndpointError, RateLimitedError
from eventabs.records import Usage
from eventabs.runs.observer import Progress
from eventabs.store import Totals

_RECENT_CALLS = 50  # the remaining time follows the latest calls
_SHORTEST_WINDOW = 60.0  # seconds over which tokens a second are counted
_CALLS_A_WINDOW = 2  # and at least so many mean calls long, or the speed would jump with each reply
_ENDS_TO_TRUST = 2  # ends for each worker, until their pace says something


@dataclass(frozen=True, slots=True)
class Price:
    """Price of a million tokens; None where it is not known."""

    input: float | None
    output: float | None

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return what the tokens cost, None where a price is missing."""
        if self.input is None or self.output is None:
            return None
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1_000_000


class _Bought(NamedTuple):
    """A reply: when it came by the tally's clock, how long it took, and its tokens."""

    at: float
    seconds: float
    prompt_tokens: int
    completion_tokens: int


def retry_cause(error: EndpointError) -> str:
    """Name what made a repeated call necessary: `rate_limit`, an HTTP status, or `connection`."""
    if isinstance(error, RateLimitedError):
        return "rate_limit"
    return str(error.status) if error.status else "connection"


@dataclass(slots=True)
class ProgressTracker:
    """Starts from the ledger's totals, so that a resumed run counts on. `clock` counts seconds, from anywhere."""

    price: Price
    users: int = 0
    done: int = 0
    failed: int = 0
    events: int = 0
    calls: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    batches_done: int = 0
    in_flight: int = 0
    settling: int = 0  # answered, but not yet written down as done
    retry_causes: dict[str, int] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _bought: deque[_Bought] = field(default_factory=lambda: deque(maxlen=_RECENT_CALLS))
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT_CALLS))

    @classmethod
    def of(
        cls, totals: Totals, price: Price, clock: Callable[[], float] = time.monotonic
    ) -> "ProgressTracker":
        """Go on from what the ledger holds."""
        return cls(
            price,
            users=totals.users,
            done=totals.done,
            failed=totals.failed,
            events=totals.events,
            calls=totals.calls,
            retries=totals.retries,
            prompt_tokens=totals.prompt_tokens,
            completion_tokens=totals.completion_tokens,
            batches_done=totals.calls_ended,
            retry_causes=dict(totals.retry_causes),
            clock=clock,
        )

    @property
    def under_way(self) -> int:
        """How many batches have been sent and have not ended."""
        return self.in_flight + self.settling

    def bought(self, usage: Usage, seconds: float) -> None:
        """Count a reply."""
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.remember(usage, seconds, self.clock())

    def remember(self, usage: Usage, seconds: float, at: float) -> None:
        """Learn speed and price from a reply that is counted already; it came when the clock said `at`."""
        self._bought.append(_Bought(at, seconds, usage.prompt_tokens, usage.completion_tokens))

    def ended(self) -> None:
        """Count a batch whose call has ended, well or not."""
        self.batches_done += 1
        self.ended_at(self.clock())

    def ended_at(self, at: float) -> None:
        """Learn the pace from a batch that is counted already; it ended when the clock said `at`."""
        self._ends.append(at)

    def retried(self, cause: EndpointError) -> None:
        """Count a repeated call."""
        self.retries += 1
        code = retry_cause(cause)
        self.retry_causes[code] = self.retry_causes.get(code, 0) + 1

    @property
    def cost(self) -> float | None:
        """What all replies cost so far, None without prices."""
        return self.price.cost(self.prompt_tokens, self.completion_tokens)

    def progress(self, *, waiting: int, workers: int) -> Progress:
        """Return the counts.

        `waiting`: batches not sent yet; `workers`: calls that may be in flight now.
        """
        remaining = waiting + self.under_way
        return Progress(
            users=self.users,
            done=self.done,
            failed=self.failed,
            batches_total=self.batches_done + remaining,
            batches_done=self.batches_done,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            in_flight=self.in_flight,
            calls=self.calls,
            retries=self.retries,
            cost=self.cost,
            eta_seconds=self._eta(remaining, workers),
            in_flight_limit=workers,
            retry_causes=dict(self.retry_causes),
            tokens_per_second=self._speed(),
            cost_projected=self._projected(remaining),
        )

    def _eta(self, remaining: int, workers: int) -> float | None:
        """Return how long the rest takes: by the time that a call takes, or by the pace of late if that is slower.

        Waits between calls (cooldowns, limits on requests) show in the pace only; the first pace is no
        pace: that many workers end their first calls all at once.
        """
        if not self._bought:
            return None
        if not remaining:
            return 0.0
        by_calls = max(remaining / workers, 1.0) * self._mean_seconds()
        if len(self._ends) < max(_ENDS_TO_TRUST * workers, _ENDS_TO_TRUST + 1):
            return by_calls
        by_pace = remaining * (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        return max(by_calls, by_pace)

    def _mean_seconds(self) -> float:
        return sum(bought.seconds for bought in self._bought) / len(self._bought)

    def _speed(self) -> float | None:
        if not self._bought:
            return None
        now = self.clock()
        window = max(_SHORTEST_WINDOW, _CALLS_A_WINDOW * self._mean_seconds())
        if len(self._bought) == _RECENT_CALLS:  # before the first of them came others, which are forgotten
            known_since = self._bought[0].at
        else:
            known_since = min(bought.at - bought.seconds for bought in self._bought)
        since = max(known_since, now - window)
        recent = [bought for bought in self._bought if bought.at > since]
        span = now - since
        return sum(bought.completion_tokens for bought in recent) / span if span > 0 else None

    def _projected(self, remaining: int) -> float | None:
        if self.cost is None or not self._bought or not remaining:
            return None
        known = len(self._bought)
        prompt = remaining * sum(bought.prompt_tokens for bought in self._bought) // known
        completion = remaining * sum(bought.completion_tokens for bought in self._bought) // known
        rest = self.price.cost(prompt, completion)
        return None if rest is None else self.cost + rest
