"""What tokens cost."""

from pydantic import BaseModel, Field

from eventabs.shared_records import Counts


class Price(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Price of a million tokens at the ordinary tier, and what a tier costs against it; None where it is not known.

    Without `cached_input` cached tokens cost what others do, and a tier without a factor what the ordinary one does. So a cost is
    too high rather than too low where something is not known.
    """

    input: float | None = Field(default=None, ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    output: float | None = Field(default=None, ge=0)
    currency: str = "USD"
    flex: float | None = Field(default=None, ge=0)
    batch: float | None = Field(default=None, ge=0)

    def factor(self, tier: str) -> float | None:
        """Return what a tier costs against the ordinary one."""
        return {"flex": self.flex, "batch": self.batch}.get(tier)

    def cost(
        self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0, tier: str = ""
    ) -> float | None:
        """Return what tokens cost, None where a price is missing. Cached tokens are part of the prompt's."""
        if self.input is None or self.output is None:
            return None
        cached_input = self.input if self.cached_input is None else self.cached_input
        prompt = (prompt_tokens - cached_tokens) * self.input + cached_tokens * cached_input
        factor = self.factor(tier)
        return (1.0 if factor is None else factor) * (prompt + completion_tokens * self.output) / 1e6

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
