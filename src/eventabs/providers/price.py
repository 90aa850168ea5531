"""What tokens cost, by their kind and by the tier that a call was served in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from eventabs.records import Counts

_MILLION: Final = 1_000_000
_TIERS: Final = ("flex", "batch")  # those that have a factor of their own


@dataclass(frozen=True, slots=True)
class Price:
    """Price of a million tokens at the ordinary tier; None where it is not known.

    Without `cached_input` cached tokens cost what others do. `factors`: of tiers by name; one that is not here costs what
    the ordinary one does. So a cost is too high rather than too low where something is not known.
    """

    input: float | None
    output: float | None
    cached_input: float | None = None
    factors: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        """Return the price that the table [llm.price] has."""
        factors = {tier: table[tier] for tier in _TIERS if table.get(tier) is not None}
        return cls(table["input"], table["output"], table.get("cached_input"), factors)

    def cost(
        self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0, tier: str = ""
    ) -> float | None:
        """Return what tokens cost, None where a price is missing. Cached tokens are part of the prompt's."""
        if self.input is None or self.output is None:
            return None
        cached_input = self.input if self.cached_input is None else self.cached_input
        prompt = (prompt_tokens - cached_tokens) * self.input + cached_tokens * cached_input
        return self.factors.get(tier, 1.0) * (prompt + completion_tokens * self.output) / _MILLION

    def total(self, counts: Counts) -> float | None:
        """Return what all calls of a run cost, each at its tier; None where a price is missing."""
        costs = [cost for cost in self.by_tier(counts).values() if cost is not None]
        return sum(costs) if costs else None

    def by_tier(self, counts: Counts) -> dict[str, float | None]:
        """Return what the calls of each tier cost."""
        return {
            tier: self.cost(use["prompt_tokens"], use["completion_tokens"], use["cached_tokens"], tier)
            for tier, use in counts.by_tier.items()
        }
