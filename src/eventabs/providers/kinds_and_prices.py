"""The kinds of provider, and what tokens cost. Importing this loads no provider."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self

from eventabs.shared_records import Counts

if TYPE_CHECKING:
    import asyncio

    from eventabs.interface_language import Language
    from eventabs.providers.openai.endpoint import CallLimits, Endpoint, Sampling
    from eventabs.providers.ray import RayProvider
    from eventabs.providers.retries_and_rate_limits import Complete, OnCooldown
    from eventabs.setting_choices import Detail
    from eventabs.shared_records import EventSource, OnContent, Reply, Request, Vocabulary

_LOOK_SECONDS = 0.1  # between looks whether a machine elsewhere can make a call

# A new kind of provider is one folder or module beside `openai` and `rules`, one name and one line here.
ProviderName = Literal["openai", "rules"]


class Provider(Protocol):
    """Safe to use from many tasks at once."""

    async def complete(self, request: "Request", on_content: "OnContent | None" = None, /) -> "Reply":
        """Complete a request. Raises the subclasses of EndpointError, nothing else."""
        ...

    async def aclose(self) -> None:
        """Close connections and the like."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """What a provider is opened with; each kind takes what it needs. `rules`: the text of a rules file."""

    endpoint: "Endpoint"
    sampling: "Sampling"
    limits: "CallLimits"
    rules: str
    language: "Language"
    vocabulary: "Vocabulary"
    detail: "Detail"
    on_refused: Callable[[frozenset[str]], object] = lambda _: None  # hears what the endpoint does not take


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """What the rest of eventabs needs to know of a kind of provider.

    `is_remote`: it sends requests to a model at an endpoint. So model, host, key and prices matter, calls are
    paced and retried, and a first batch probes how long answers are. `fingerprint_keys`: settings that its
    answers depend on.
    """

    name: ProviderName
    is_remote: bool
    event_source: "EventSource"
    fingerprint_keys: tuple[str, ...]
    create: Callable[[ProviderConfig], Provider]


def _create_openai(config: ProviderConfig) -> Provider:
    from eventabs.providers.openai.client import OpenAIProvider  # noqa: PLC0415  loaded when one is opened

    return OpenAIProvider(config.endpoint, config.sampling, config.limits, on_refused=config.on_refused)


def _create_rules(config: ProviderConfig) -> Provider:
    from eventabs.providers.rules import RulesProvider, load_rules  # noqa: PLC0415  as above

    return RulesProvider(load_rules(config.rules, config.language), config.vocabulary, config.detail)


_OPENAI_KEYS = (
    *("llm.model", "llm.base_url", "llm.temperature", "llm.seed", "llm.omit", "llm.extra_body"),
    *("llm.constrain", "llm.grammar_field"),
)
_OPENAI = ProviderKind("openai", True, "llm", _OPENAI_KEYS, _create_openai)
_RULES = ProviderKind("rules", False, "rules", ("rules.file",), _create_rules)
KINDS: dict[str, ProviderKind] = {kind.name: kind for kind in (_OPENAI, _RULES)}


def kind_of(choice: str, *, model: str = "", preset: str = "") -> ProviderKind:
    """Return a kind by its name; for any other choice, as `auto`, a model or preset decides: without one, rules."""
    return KINDS.get(choice, _OPENAI if model or preset else _RULES)


@asynccontextmanager
async def open_provider(
    name: str,
    config: ProviderConfig,
    *,
    closing: "asyncio.Event",
    on_cooldown: "OnCooldown",
    elsewhere: "RayProvider | None" = None,
) -> AsyncIterator["Complete"]:
    """Open the provider of a kind, or `elsewhere` in its place; yield what completes a request. No try starts once `closing` is set.

    `on_cooldown` gets the seconds of each cooldown after a rate limit. Raises ConfigError where the config cannot work; a
    call raises CallCancelledError or the subclasses of EndpointError.
    """
    from eventabs.providers.retries_and_rate_limits import Gate, Pacer, complete_with_retries  # noqa: PLC0415  as above

    kind = kind_of(name)
    async with aclosing(elsewhere or kind.create(config)) as opened:
        if not kind.is_remote:
            yield lambda request, _on_retry, _on_content: opened.complete(request)
            return
        gate = Gate(opened.complete, closing)
        limits = config.limits

        async def ready() -> None:
            while elsewhere and not elsewhere.is_ready():
                await gate.sleep(_LOOK_SECONDS)

        pace = Pacer(limits.rpm, limits.tpm, sleep=gate.sleep, on_cooldown=on_cooldown)
        yield lambda request, on_retry, on_content: complete_with_retries(
            Gate(lambda sent: opened.complete(sent, on_content), closing).send,
            request,
            ready=ready,
            pace=pace,
            tries=limits.tries,
            on_retry=on_retry,
            sleep=gate.sleep,
        )


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
