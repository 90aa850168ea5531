"""From settings to the endpoint: whether it can be asked, whether a run may name it, how, and what opens it."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_state_path

from eventabs.config import LlmSettings, Settings, environment_values, with_preset
from eventabs.errors import ConfigError, RunDirectoryError, StoppedError
from eventabs.language import Language, activate, active, gettext as _
from eventabs.providers import (
    BatchProfile,
    CallLimits,
    Cluster,
    Complete,
    Endpoint,
    OpenAIProvider,
    ProviderConfig,
    Sampling,
    UnreachableError,
    UnreachableReason,
    check_endpoint,
    connected,
    find_route,
    find_tier,
    hosts_with_keys,
    is_loopback,
    kind_of,
    load_preset,
    open_provider as open_provider_of,
    tier_base_url,
)
from eventabs.runs.components import (
    max_calls,
    vocabulary_of,
)
from eventabs.runs.observer import AwaitingEndpoint, CoolingDown, MachinesChanged, Observer
from eventabs.stop import Stop
from eventabs.store import host_of, open_private, public_settings, public_url

CONNECT_SECONDS = 10.0  # for the first connection
WAIT_SECONDS = 2.0  # between two tries of an endpoint that is waited for
_CONNECTION = ("base_url", "proxy", "ca_file", "api_key_env")  # each can lead a key or the users' rows astray


def require_usable_provider(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise ConfigError where the settings name no provider that could be asked."""
    is_elsewhere = settings.cluster.engine != "local"
    if kind_of(settings.provider).is_remote:
        if not settings.llm.model:
            raise ConfigError(no_model_message(settings.llm.preset))
        if is_elsewhere:
            _refuse_secrets(settings.llm, environment)
        check_endpoint(endpoint_of(settings.llm, {} if is_elsewhere else environment))
        if settings.run.mode != "files" and not is_elsewhere and lacks_key(settings.llm, environment):
            message = _(
                "{host} wants a key, and {variable} is not set; export it, or name another in llm.api_key_env"
            )
            variable, host = settings.llm.api_key_env, host_of(settings.llm.base_url)
            raise ConfigError(message.format(host=host, variable=variable))
    elif is_elsewhere:
        message = _(
            "--engine ray is for calls to a model, and the built-in rules answer here; set llm.model or --model"
        )
        raise ConfigError(message)
    elif settings.run.mode != "live":
        message = _(
            "--mode {mode} is for a model, and the built-in rules answer here; set llm.model or --model"
        )
        raise ConfigError(message.format(mode=settings.run.mode))
    if settings.run.max_cost and settings.llm.price.of_tokens().cost(1, 1) is None:
        message = _("--max-cost needs prices; set input and output under [llm.price] in the config")
        raise ConfigError(message)


def _refuse_secrets(llm: LlmSettings, environment: Mapping[str, str]) -> None:
    """Raise ConfigError where the settings hold what other machines need and are not sent."""
    public = {"base_url": public_url(llm.base_url), "proxy": public_url(llm.proxy), "extra_headers": {}}
    for key, value in public.items():
        variable = f"EVENTABS_LLM__{key.upper()}"
        if getattr(llm, key) != value and variable not in environment:
            message = _(
                "llm.{key} may hold a secret, which is not sent to other machines; export {variable} here and where Ray is started"
            )
            raise ConfigError(message.format(key=key, variable=variable))


def endpoint_of(llm: LlmSettings, environment: Mapping[str, str]) -> Endpoint:
    """Return where requests go, with the key that the environment holds. Raises ConfigError for a tier that is not there."""
    return Endpoint(
        model=llm.model,
        base_url=tier_base_url(find_tier(llm.tier, llm.preset), llm.preset, llm.base_url),
        api_key=environment.get(llm.api_key_env) or None,
        extra_headers={name: value.get_secret_value() for name, value in llm.extra_headers.items()},
        proxy=llm.proxy,
        ca_file=llm.ca_file,
        key_variable=llm.api_key_env,
    )


def sampling_of(llm: LlmSettings) -> Sampling:
    """Return what is asked of the model beside the messages."""
    field = llm.grammar_field or ("grammar" if llm.constrain == "grammar" else "")
    tier = find_tier(llm.tier, llm.preset)
    return Sampling(llm.stream, llm.temperature, llm.seed, llm.extra_body, frozenset(llm.omit), field, tier)


def batch_profile(settings: Settings) -> BatchProfile:
    """Return how the batch service is spoken to: as the preset says, else as OpenAI's; with what is set in [batch]."""
    preset, batch = settings.llm.preset, settings.batch
    known = (load_preset(preset).batch if preset else None) or BatchProfile()
    named = {"window": batch.window, "max_requests": batch.max_requests}
    return known.model_copy(update={key: value for key, value in named.items() if value})


def no_model_message(preset: str) -> str:
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
    return load_preset(settings.llm.preset).start_command_for(settings.llm.model, call_tokens=call_tokens)


async def require_connection(
    settings: Settings, environment: Mapping[str, str], observer: Observer, stop: Stop
) -> None:
    """Connect once before the first call, or until that works with `run.wait`. Raises StoppedError, StopRequested."""
    seconds = min(settings.llm.connect_timeout, CONNECT_SECONDS)
    while True:
        try:
            await find_route(endpoint_of(settings.llm, environment), seconds=seconds)
        except UnreachableError as error:
            if not settings.run.wait:
                message = _("{cause}; {step}")
                message = message.format(cause=error, step=no_connection_step(error, settings))
                raise StoppedError(message) from None
            observer.noted(AwaitingEndpoint(str(error), WAIT_SECONDS))
            await asyncio.sleep(WAIT_SECONDS)
            stop.check()
        else:
            return


def no_connection_step(error: UnreachableError, settings: Settings) -> str:
    """Return the next step where there is no connection."""
    if error.through_proxy:
        return _("check llm.proxy and the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
    is_local = is_loopback(urlsplit(settings.llm.base_url).hostname or "")
    if is_local and error.reason in {"refused", "timeout"}:
        command = start_command(settings)
        if command:
            return _("start the server: {command}").format(command=command)
        return _("start the server, or correct the port in llm.base_url")
    steps: dict[UnreachableReason, str] = {
        "dns": _("check the host in llm.base_url, and the network"),
        "refused": _("check host and port in llm.base_url, and whether the server runs"),
        "untrusted": _("set llm.ca_file to the PEM file of your authority, or check this machine's clock"),
        "no_tls": _("if the server speaks plain http, begin llm.base_url with http://"),
    }
    other = _("check the network and a firewall; where only a proxy leads out, set llm.proxy")
    return steps.get(error.reason, other)


def lacks_key(llm: LlmSettings, environment: Mapping[str, str]) -> bool:
    """Whether the endpoint is known to want a key, with a preset or without, and none would be sent."""
    has_one = environment.get(llm.api_key_env) or llm.extra_headers or {"@", "?"} & set(llm.base_url)
    return not has_one and host_of(llm.base_url).lower() in hosts_with_keys()


def unset_key(llm: LlmSettings, environment: Mapping[str, str]) -> str:
    """Return the variable that the user chose for the key where it is unset or empty; "" where all is well.

    One that only the defaults or a preset name may be unset: a server of one's own often wants no key.
    """
    usual = load_preset(llm.preset).api_key_env if llm.preset else LlmSettings().api_key_env
    is_chosen = llm.api_key_env != usual
    return llm.api_key_env if is_chosen and not environment.get(llm.api_key_env) else ""


def call_limits(settings: Settings) -> CallLimits:
    """Return what calls may take."""
    llm, run = settings.llm, settings.run
    times = llm.connect_timeout, llm.idle_timeout, llm.call_timeout, llm.longest_wait
    return CallLimits(*times, max_calls(settings) + 1, rpm=run.rpm, tpm=run.tpm, tries=run.call_tries)


def open_provider(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    rules: str,
    language: Language,
    observer: Observer,
    closing: asyncio.Event,
    cluster: Cluster | None = None,
    on_refused: Callable[[frozenset[str]], object] = lambda _parameters: None,
) -> AbstractAsyncContextManager[Complete]:
    """Open what answers requests, on the machines of a cluster where there is one; none leaves any more once `closing` is set.

    `on_refused` hears which parameters are not sent any more.

    Raises ConfigError where the settings cannot work.
    """
    llm = settings.llm
    config = ProviderConfig(
        endpoint=endpoint_of(llm, environment),
        sampling=sampling_of(llm),
        limits=call_limits(settings),
        rules=rules,
        language=language,
        vocabulary=vocabulary_of(settings, language),
        detail=settings.prompt.detail,
        on_refused=on_refused,
    )
    elsewhere = None
    if cluster is not None:
        public = public_settings(settings)["llm"]
        elsewhere = cluster.provider(
            partial(
                _provider_on_machine,
                public,
                config.sampling,
                config.limits,
                active(),
                own=not cluster.is_local,
            ),
            connections=config.limits.max_connections,
            call_seconds=llm.call_timeout,
            on_refused=on_refused,
            on_machines=lambda count, lost, cause: observer.noted(MachinesChanged(count, lost, cause)),
        )
    return open_provider_of(
        settings.provider,
        config,
        closing=closing,
        elsewhere=elsewhere,
        on_cooldown=lambda seconds: observer.noted(CoolingDown(seconds)),
    )


def _provider_on_machine(
    llm: Mapping[str, Any], sampling: Sampling, limits: CallLimits, language: Language, *, own: bool
) -> OpenAIProvider:
    """Make what a machine of a cluster makes calls with: what runs there. Its environment holds key and headers.

    `own`: and says where it reaches the model, if that is not where all others do.
    """
    activate(language)
    keys = ("extra_headers", *(_CONNECTION if own else ()))
    here = {key: value for key, value in environment_values().get("llm", {}).items() if key in keys}
    return OpenAIProvider(endpoint_of(LlmSettings(**{**llm, **here}), os.environ), sampling, limits)


@asynccontextmanager
async def joined(settings: Settings) -> AsyncIterator[Cluster | None]:
    """Be connected to the cluster whose machines make the calls; None: this process makes them. Raises ConfigError."""
    if settings.cluster.engine == "local" or settings.run.mode == "files":
        yield None
        return
    async with connected(settings.cluster.ray_address) as cluster:
        yield cluster


def remember_run(run_id: str, settings: Settings) -> None:
    """Note that this user began the run. Where that cannot be noted, resume asks for --yes."""
    with suppress(OSError):
        folder = user_state_path("eventabs")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(folder / "runs", "a", encoding="ascii", opener=open_private) as known:
            known.write(_digest(run_id, settings) + "\n")


def refuse_unknown_endpoint(run_id: str, settings: Settings, named_today: Mapping[str, Any]) -> None:
    """Raise RunDirectoryError where keys and users' rows would go where only the run directory says.

    What counts is `named_today` (by the config file, variables and flags), the preset that it names, the defaults,
    and runs that were begun here.
    """
    is_called = kind_of(settings.provider).is_remote and settings.run.mode != "files"
    if not is_called or _is_known(run_id, settings):
        return
    named = with_preset(named_today).get("llm", {})
    if named.get("ca_file"):
        named["ca_file"] = str(Path.cwd() / named["ca_file"])
    for key in _CONNECTION:
        value = getattr(settings.llm, key)
        if value not in (LlmSettings.model_fields[key].default, named.get(key)):
            message = _(
                "this run was not begun here, and it alone says that {host} is to be called (llm.{key});"
                " confirm with --yes"
            )
            raise RunDirectoryError(message.format(host=host_of(settings.llm.base_url), key=key))


def _is_known(run_id: str, settings: Settings) -> bool:
    try:
        known = (user_state_path("eventabs") / "runs").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return _digest(run_id, settings) in known.splitlines()


def _digest(run_id: str, settings: Settings) -> str:
    where = [str(getattr(settings.llm, key)) for key in _CONNECTION]
    return hashlib.sha256("\n".join([run_id, *where]).encode()).hexdigest()
