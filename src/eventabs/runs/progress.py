"""The counts of a run while it goes on, and what follows from them: speed, cost and remaining time."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from eventabs.errors import CapacityError, EndpointError, NoContentError, RateLimitedError
from eventabs.providers import Price
from eventabs.records import STANDARD_TIER, TIER_COUNTS, AnswerCells, Counts, Usage
from eventabs.runs.observer import Progress
from eventabs.store import summed

_NUMBERS = [field.name for field in fields(Counts) if field.name not in {"retry_causes", "tiers", "answers"}]
_RECENT_CALLS = 50  # the remaining time follows the latest calls
_SHORTEST_WINDOW = 60.0  # seconds over which tokens a second are counted
_CALLS_A_WINDOW = 2  # mean calls in a window at least, or the speed would jump with each reply
_TOKENS_A_CHARACTER = 0.5  # before a reply has shown how many; between English and Chinese
_ENDS_TO_TRUST = 2  # ends for each worker, until their pace says something


class _Reply(NamedTuple):
    """A reply: when it came by the tracker's clock, how long it took, its tokens and its cost."""

    at: float
    seconds: float
    completion_tokens: int
    characters: int
    cost: float | None


def retry_cause(error: EndpointError) -> str:
    """Name what made a repeated call necessary: `rate_limit`, `capacity`, an HTTP status, `timeout` or `connection`."""
    if isinstance(error, RateLimitedError):
        return "rate_limit"
    if isinstance(error, CapacityError):
        return "capacity"
    if isinstance(error, NoContentError):
        return "timeout"
    return str(error.status) if error.status else "connection"


def snapshot(progress: Progress, at: float) -> dict[str, Any]:
    """Return the counts as they are kept in the ledger; `at`: when they were counted, in seconds since 1970."""
    return {"at": at, **asdict(progress)}


class ProgressTracker:
    """Counts a run on from what the ledger has, and measures its pace. `clock` counts seconds, from anywhere.

    `earlier_seconds`: the work of earlier processes.
    """

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
        self._causes = dict(counts.retry_causes)
        self._tiers = {tier: dict(use) for tier, use in counts.by_tier.items()}
        self._numbers = {name: getattr(counts, name) for name in _NUMBERS}
        self._answers: tuple[AnswerCells, ...] = (
            counts.answers,
        )  # of which the sum counts, made when it is asked for
        self.opened = 0  # calls that are written down, or about to be, and not sent yet
        self.in_flight = 0
        self.unsettled = 0  # batches that are answered, and not yet written down as done
        self.receiving = 0  # characters of the answers that are coming in
        self.unread = 0  # of these, answers that are not read yet, or were bad and are not judged yet
        self._replies: deque[_Reply] = deque(maxlen=_RECENT_CALLS)
        self._ends: deque[float] = deque(maxlen=_RECENT_CALLS)

    @property
    def counts(self) -> Counts:
        """What the run has and has used so far."""
        return Counts(**self._facts())

    def _facts(self) -> dict[str, Any]:
        """Return all counts, as they are now: a checkpoint that is being written keeps what it has."""
        if len(self._answers) > 1:
            self._answers = (summed(self._answers),)
        tiers = {tier: dict(use) for tier, use in self._tiers.items()}
        return {
            **self._numbers,
            "answers": self._answers[0],
            "retry_causes": dict(self._causes),
            "tiers": tiers,
        }

    @property
    def under_way(self) -> int:
        """Batches that have been taken and have not ended."""
        return self.opened + self.in_flight + self.unsettled

    @property
    def cost(self) -> float | None:
        """The cost of all replies so far, None without prices."""
        return self.price.total(self.counts)

    @property
    def tier_costs(self) -> dict[str, float | None]:
        """The cost of the replies of each tier; empty where all are the ordinary one's."""
        return self.price.by_tier(self.counts) if self._tiers.keys() - {STANDARD_TIER} else {}

    @property
    def seconds(self) -> float:
        """How long all processes have worked on the run."""
        return self._clock() - self._began

    def add(self, **numbers: int) -> None:
        """Add to counts, by their names."""
        for name, number in numbers.items():
            self._numbers[name] += number

    def add_answers(self, cells: AnswerCells) -> None:
        """Add to the counts of answers."""
        self._answers += (cells,)

    def count_reply(self, usage: Usage, seconds: float, characters: int, tier: str = "") -> None:
        """Count a reply that has just come; `tier` "": the ordinary one served it."""
        tokens = {name: getattr(usage, name) for name in TIER_COUNTS if name != "calls"}
        self.add(**tokens)
        use = self._tiers.setdefault(tier or STANDARD_TIER, dict.fromkeys(TIER_COUNTS, 0))
        for name, number in {"calls": 1, **tokens}.items():
            use[name] += number
        cost = self.price.cost(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, tier)
        self._replies.append(_Reply(self._clock(), seconds, usage.completion_tokens, characters, cost))

    def count_batch(self) -> int:
        """Count a batch that has just ended, well or not; return how many have."""
        self.add(batches_done=1)
        self._ends.append(self._clock())
        return int(self._numbers["batches_done"])

    def count_retry(self, cause: EndpointError) -> None:
        """Count a repeated call."""
        code = retry_cause(cause)
        self._causes[code] = self._causes.get(code, 0) + 1
        self.add(retries=1)

    def progress(self, *, waiting: int, workers: int) -> Progress:
        """Return the counts with what follows from the pace.

        `waiting`: batches not sent yet; `workers`: calls that may be in flight now.
        """
        remaining = waiting + self.under_way
        completion_tokens = self._numbers["completion_tokens"] + self._tokens_under_way()
        return Progress(
            **self._facts() | {"completion_tokens": completion_tokens},
            batches_total=self._numbers["batches_done"] + remaining,
            in_flight=self.in_flight,
            in_flight_limit=workers,
            cost=self.cost,
            tier_costs=self.tier_costs,
            eta_seconds=self._eta(remaining, workers),
            tokens_per_second=self._speed(),
            cost_projected=self._projected(remaining),
            seconds=self.seconds,
        )

    def _tokens_under_way(self) -> int:
        """Estimate the tokens of the answers that are coming in, by the characters a token had in those before."""
        if not self.receiving:
            return 0
        characters = sum(reply.characters for reply in self._replies)
        tokens = sum(reply.completion_tokens for reply in self._replies)
        return int(self.receiving * (tokens / characters if characters else _TOKENS_A_CHARACTER))

    def _eta(self, remaining: int, workers: int) -> float | None:
        """Return how long the rest takes: by the time that a call takes, or by the pace of late if that is slower.

        Waits between calls (cooldowns, limits on requests) show in the pace only; the first pace is no
        pace: that many workers end their first calls all at once.
        """
        if not self._replies:
            return None
        if not remaining:
            return 0.0
        by_calls = max(remaining / workers, 1.0) * self._mean_seconds()
        if len(self._ends) < max(_ENDS_TO_TRUST * workers, _ENDS_TO_TRUST + 1):
            return by_calls
        by_pace = remaining * (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        return max(by_calls, by_pace)

    def _mean_seconds(self) -> float:
        return sum(reply.seconds for reply in self._replies) / len(self._replies)

    def _speed(self) -> float | None:
        if not self._replies:
            return None
        now = self._clock()
        window = max(_SHORTEST_WINDOW, _CALLS_A_WINDOW * self._mean_seconds())
        if len(self._replies) == _RECENT_CALLS:  # before the first of them came others, which are forgotten
            known_since = self._replies[0].at
        else:
            known_since = min(reply.at - reply.seconds for reply in self._replies)
        since = max(known_since, now - window)
        recent = [reply for reply in self._replies if reply.at > since]
        span = now - since
        return sum(reply.completion_tokens for reply in recent) / span if span > 0 else None

    def _projected(self, remaining: int) -> float | None:
        if self.cost is None or not self._replies or not remaining:
            return None
        recent = sum(reply.cost or 0.0 for reply in self._replies)
        return self.cost + remaining * recent / len(self._replies)
