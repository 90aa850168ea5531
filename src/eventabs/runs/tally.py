"""The counts of a run while it goes on, and what follows from them: cost and remaining time."""

from collections import deque
from dataclasses import dataclass, field

from eventabs.records import Usage
from eventabs.runs.ledger_results import Totals
from eventabs.runs.observer import Progress

_RECENT_CALLS = 50  # the remaining time follows the latest calls


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


@dataclass(slots=True)
class Tally:
    """Starts from the ledger's totals, so that a resumed run counts on."""

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
    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT_CALLS))

    @classmethod
    def of(cls, totals: Totals, price: Price) -> "Tally":
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
        )

    def bought(self, usage: Usage, seconds: float) -> None:
        """Count a reply."""
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self._seconds.append(seconds)

    @property
    def cost(self) -> float | None:
        """What all replies cost so far, None without prices."""
        return self.price.cost(self.prompt_tokens, self.completion_tokens)

    def progress(self, *, waiting: int, workers: int) -> Progress:
        """Return the counts; `waiting` is the number of batches not sent yet."""
        mean = sum(self._seconds) / len(self._seconds) if self._seconds else None
        remaining = waiting + self.in_flight
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
            eta_seconds=None if mean is None else remaining * mean / workers,
        )
