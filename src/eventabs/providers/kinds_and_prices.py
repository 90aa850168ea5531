"""The kinds of provider, and what tokens cost. Importing this loads no provider."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from pydantic import BaseModel, Field

from eventabs.shared_records import Counts, EventSource, OnContent, Reply, Request

# A new kind of provider is one folder or module beside `openai` and `rules`, one name and one line here, and opened by runs.
ProviderName = Literal["openai", "rules"]


class Provider(Protocol):
    """Safe to use from many tasks at once."""

    async def complete(self, request: Request, on_content: OnContent | None = None, /) -> Reply:
        """Complete a request. Raises the subclasses of EndpointError, nothing else."""
        ...

    async def aclose(self) -> None:
        """Close connections and the like."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """What the rest of eventabs needs to know of a kind of provider.

    `is_remote`: it sends requests to a model at an endpoint. So model, host, key and prices matter, calls are
    paced and retried, and a first batch probes how long answers are. `fingerprint_keys`: settings that its
    answers depend on.
    """

    name: ProviderName
    is_remote: bool
    event_source: EventSource
    fingerprint_keys: tuple[str, ...]


_OPENAI_KEYS = (
    *("llm.model", "llm.base_url", "llm.temperature", "llm.seed", "llm.omit", "llm.extra_body"),
    *("llm.constrain", "llm.grammar_field"),
)
_OPENAI = ProviderKind("openai", True, "llm", _OPENAI_KEYS)
_RULES = ProviderKind("rules", False, "rules", ("rules.file",))
KINDS: dict[str, ProviderKind] = {kind.name: kind for kind in (_OPENAI, _RULES)}


def kind_of(choice: str, *, model: str = "", preset: str = "") -> ProviderKind:
    """Return a kind by its name; for any other choice, as `auto`, a model or preset decides: without one, rules."""
    return KINDS.get(choice, _OPENAI if model or preset else _RULES)


_MILLION: Final = 1_000_000


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
        return (1.0 if factor is None else factor) * (prompt + completion_tokens * self.output) / _MILLION

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
