"""The kinds of provider. A new kind is one folder beside `openai` and `rules`, one name and one line here.

Importing this loads no provider: the folders load their modules when a provider is opened.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from eventabs.providers import openai, rules

if TYPE_CHECKING:
    import asyncio

    from eventabs.language import Language
    from eventabs.providers.openai import CallLimits, Endpoint, Sampling
    from eventabs.providers.rate_limit import OnCooldown
    from eventabs.providers.ray import RayProvider
    from eventabs.providers.retry import Complete
    from eventabs.records import Detail, EventSource, OnContent, Reply, Request, Vocabulary

_LOOK_SECONDS = 0.1  # between looks whether a machine elsewhere can make a call

ProviderName = Literal["openai", "rules"]
ProviderChoice = Literal["auto", "openai", "rules"]


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
    on_refused: Callable[[frozenset[str]], object] = lambda _parameters: (
        None
    )  # hears which parameters the endpoint does not take


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
    return openai.OpenAIProvider(
        config.endpoint, config.sampling, config.limits, on_refused=config.on_refused
    )


def _create_rules(config: ProviderConfig) -> Provider:
    book = rules.load_rules(config.rules, config.language)
    return rules.RulesProvider(book, config.vocabulary, config.detail)


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
    from eventabs.providers.rate_limit import Pacer  # noqa: PLC0415  the command line loads kinds without asyncio
    from eventabs.providers.retry import Gate, complete_with_retries  # noqa: PLC0415  as above

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
