"""Who answers: the provider that the settings name, with its pacing and its retries."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from eventabs.config import LlmSettings, Settings
from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.llm.preset import load_preset
from eventabs.llm.rules import RulesProvider
from eventabs.llm.rules_book import load_rules
from eventabs.records import Reply, Request
from eventabs.runs.engine import Ask, OnRetry
from eventabs.runs.job import Job
from eventabs.runs.observer import CoolingDown
from eventabs.runs.tally import Price
from eventabs.runs.wiring import most_workers, vocabulary_of

if TYPE_CHECKING:
    from eventabs.llm.endpoint import Endpoint, Sampling


def refuse_unusable(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise ConfigError where the settings name no provider that could be asked."""
    if settings.provider == "openai":
        from eventabs.llm.endpoint import parse_address  # noqa: PLC0415  as below
        from eventabs.llm.proxies import proxy_of  # noqa: PLC0415

        if not settings.llm.model:
            raise ConfigError(no_model(settings.llm.preset))
        endpoint = endpoint_of(settings.llm, environment)
        proxy_of(endpoint, parse_address(endpoint))
        _refuse_missing_key(settings.llm, environment)
    price = settings.llm.price
    if settings.run.max_cost and Price(price.input, price.output).cost(1, 1) is None:
        message = _("--max-cost needs prices; set input and output under [llm.price] in the config")
        raise ConfigError(message)


def endpoint_of(llm: LlmSettings, environment: Mapping[str, str]) -> "Endpoint":
    """Return where requests go, with the key that the environment holds."""
    from eventabs.llm.endpoint import Endpoint  # noqa: PLC0415  as below

    return Endpoint(
        model=llm.model,
        base_url=llm.base_url,
        api_key=environment.get(llm.api_key_env) or None,
        extra_headers={name: value.get_secret_value() for name, value in llm.extra_headers.items()},
        proxy=llm.proxy,
        ca_file=llm.ca_file,
    )


def sampling_of(llm: LlmSettings) -> "Sampling":
    """Return what is asked of the model beside the messages."""
    from eventabs.llm.endpoint import Sampling  # noqa: PLC0415  as below

    return Sampling(llm.stream, llm.temperature, llm.seed, llm.extra_body, frozenset(llm.omit))


def no_model(preset: str) -> str:
    """Say that a model has to be named, such as the one that the preset suggests."""
    suggested = load_preset(preset).suggested_model if preset else ""
    if suggested:
        message = _("no model is named, and a preset chooses none; set llm.model or --model, such as {model}")
        return message.format(model=suggested)
    return _("no model is named; set llm.model or --model, or use --provider rules")


def start_command(settings: Settings) -> str:
    """Return the command that starts a server of one's own with room for a call; "" where there is none."""
    if not settings.llm.preset:
        return ""
    call_tokens = settings.budget.max_input_tokens + settings.budget.max_output_tokens
    return load_preset(settings.llm.preset).started(settings.llm.model, call_tokens=call_tokens)


def lacks_key(llm: LlmSettings, environment: Mapping[str, str]) -> bool:
    """Whether the endpoint is known to want a key, and none would be sent."""
    if not llm.preset or environment.get(llm.api_key_env) or llm.extra_headers:
        return False
    preset = load_preset(llm.preset)
    return preset.needs_key and llm.base_url in {preset.base_url, *preset.other_base_urls}


def _refuse_missing_key(llm: LlmSettings, environment: Mapping[str, str]) -> None:
    if lacks_key(llm, environment):
        message = _(
            "{preset} wants a key, and {variable} is not set; export it, or name another in llm.api_key_env"
        )
        raise ConfigError(message.format(preset=llm.preset, variable=llm.api_key_env))


@asynccontextmanager
async def open_asker(job: Job, closing: asyncio.Event) -> AsyncIterator[Ask]:
    """Make what answers requests; none leaves any more once `closing` is set.

    Raises ConfigError where the settings cannot work.
    """
    asker = _rules(job) if job.settings.provider == "rules" else _openai(job, closing)
    async with asker as ask:
        yield ask


@asynccontextmanager
async def _rules(job: Job) -> AsyncIterator[Ask]:
    rules = load_rules(job.facts["rules"], job.prompt_language)
    vocabulary = vocabulary_of(job.settings, job.prompt_language)
    provider = RulesProvider(rules, vocabulary, job.settings.prompt.detail)

    async def ask(request: Request, _on_retry: OnRetry) -> Reply:
        return await provider.complete(request)

    yield ask


@asynccontextmanager
async def _openai(job: Job, closing: asyncio.Event) -> AsyncIterator[Ask]:
    # the HTTP stack takes half a second to load; runs that call nobody need not wait for it
    from eventabs.llm.endpoint import CallLimits  # noqa: PLC0415
    from eventabs.llm.gate import Gate  # noqa: PLC0415
    from eventabs.llm.openai import OpenAIProvider  # noqa: PLC0415
    from eventabs.llm.pacing import Pacer  # noqa: PLC0415
    from eventabs.llm.retry import RetryPolicy, complete_with_retries  # noqa: PLC0415

    llm, run = job.settings.llm, job.settings.run
    provider = OpenAIProvider(
        endpoint_of(llm, job.environment),
        sampling_of(llm),
        CallLimits(
            llm.connect_timeout,
            llm.idle_timeout,
            llm.call_timeout,
            llm.longest_wait,
            most_workers(job.settings) + 1,
        ),
    )
    gate = Gate(provider, closing)
    pacer = Pacer(
        run.rpm,
        run.tpm,
        sleep=gate.sleep,
        on_cooldown=lambda seconds: job.observer.noted(CoolingDown(seconds)),
    )
    policy = RetryPolicy(run.call_tries, sleep=gate.sleep)

    async def ask(request: Request, on_retry: OnRetry) -> Reply:
        return await complete_with_retries(gate, request, pacer=pacer, policy=policy, on_retry=on_retry)

    try:
        yield ask
    finally:
        await provider.aclose()
