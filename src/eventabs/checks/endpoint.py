"""What `eventabs check` finds by asking the endpoint: connection, list of models, a tiny request, abilities."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from http import HTTPStatus
from urllib.parse import urlsplit

from eventabs.checks.abilities import AbilityCheck
from eventabs.checks.findings import (
    CONNECT_SECONDS,
    LIST_SECONDS,
    REQUEST_SECONDS,
    EndpointFacts,
    Finding,
    OnFinding,
    State,
)
from eventabs.config import LlmSettings, Settings
from eventabs.errors import EndpointError, RejectedRequestError
from eventabs.language import gettext as _, ngettext
from eventabs.providers import load_preset
from eventabs.providers.openai import (
    CallLimits,
    Endpoint,
    ListedModel,
    Obstacle,
    Prober,
    ProbeReply,
    Sampling,
    UnreachableError,
    find_route,
    is_loopback,
    list_models,
    parse_address,
)
from eventabs.runs import start_command
from eventabs.store import public_url

_NEAREST = 3
_SHOWN_NAMES = 8
_LIKENESS = 0.4


def after_no_connection(error: UnreachableError, settings: Settings) -> str:
    """Say what to do where nobody could be connected to."""
    if error.through_proxy:
        return _("check llm.proxy and the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
    if error.obstacle in {"refused", "silent"} and _is_here(settings.llm):
        return _start(settings)
    steps: dict[Obstacle, str] = {
        "name": _("check the host in llm.base_url, and the network"),
        "refused": _("check host and port in llm.base_url, and whether the server runs"),
        "untrusted": _("set llm.ca_file to the PEM file of your authority, or check this machine's clock"),
        "no_tls": _("if the server speaks plain http, begin llm.base_url with http://"),
    }
    other = _("check the network and a firewall; where only a proxy leads out, set llm.proxy")
    return steps.get(error.obstacle, other)


def after_refusal(
    error: EndpointError, llm: LlmSettings, *, key_is_set: bool, models: Sequence[ListedModel] | None
) -> str:
    """Say what to do where the endpoint refused a request; "" where its error says it all."""
    match error.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return _after_refused_key(llm, key_is_set=key_is_set)
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return _after_not_found(llm, models)
        case None:
            return ""
    if isinstance(error, RejectedRequestError):
        return _("leave out what it does not take: llm.omit, llm.extra_body")
    return ""


def nearest(model: str, models: Sequence[ListedModel]) -> list[str]:
    """Return the listed names that are most like the model's, the likest first."""
    by_lower = {listed.name.lower(): listed.name for listed in models}
    found = get_close_matches(model.lower(), by_lower, n=_NEAREST, cutoff=_LIKENESS)
    return [by_lower[name] for name in found]


def some_names(models: Sequence[ListedModel]) -> str:
    """Name the first of the models."""
    names = ", ".join(listed.name for listed in models[:_SHOWN_NAMES])
    return f"{names}, …" if len(models) > _SHOWN_NAMES else names


def _after_refused_key(llm: LlmSettings, *, key_is_set: bool) -> str:
    if not key_is_set:
        return _("put your key into {variable}, or name another variable in llm.api_key_env").format(
            variable=llm.api_key_env
        )
    others = load_preset(llm.preset).other_base_urls if llm.preset else ()
    if others:
        step = _("check the key in {variable}; one of another region belongs to llm.base_url = {addresses}")
        return step.format(variable=llm.api_key_env, addresses=", ".join(others))
    return _("check the key in {variable}").format(variable=llm.api_key_env)


def _after_not_found(llm: LlmSettings, models: Sequence[ListedModel] | None) -> str:
    if models and llm.model not in {listed.name for listed in models}:
        alike = nearest(llm.model, models)
        if alike:
            return _("set llm.model to one that it lists, such as {names}").format(names=", ".join(alike))
        return _("set llm.model to one that it lists: {names}").format(names=some_names(models))
    if not urlsplit(llm.base_url).path.strip("/"):
        return _("try llm.base_url = {address}/v1").format(address=public_url(llm.base_url).rstrip("/"))
    return _(
        "llm.base_url is what stands before /chat/completions; llm.model is spelled as the endpoint does"
    )


def _is_here(llm: LlmSettings) -> bool:
    return is_loopback(urlsplit(llm.base_url).hostname or "")


def _start(settings: Settings) -> str:
    command = start_command(settings)
    if command:
        return _("start the server: {command}").format(command=command)
    return _("start the server, or correct the port in llm.base_url")


_SHOWN = 40  # characters of an answer


class EndpointCheck:
    """Asks step by step; where one fails, what depends on it is left out. `facts` gathers what is learnt."""

    def __init__(self, settings: Settings, endpoint: Endpoint, sampling: Sampling, tell: OnFinding) -> None:
        llm = settings.llm
        self._settings = settings
        self._llm = llm
        self._endpoint = endpoint
        self._tell = tell
        self._connect_seconds = min(llm.connect_timeout, CONNECT_SECONDS)
        self._limits = CallLimits(
            self._connect_seconds,
            min(llm.idle_timeout, REQUEST_SECONDS),
            min(llm.call_timeout, REQUEST_SECONDS),
            llm.longest_wait,
        )
        self._prober = Prober(endpoint, sampling, self._limits)
        self.facts = EndpointFacts()

    async def run(self, *, key_is_missing: bool) -> None:
        """Check everything that can be checked."""
        if not await self._connect():
            return
        await self._list()
        self._find_context()
        if not self._llm.model or key_is_missing:
            return
        answer = await self._greet()
        if answer is not None:
            abilities = AbilityCheck(self._settings, self._prober, self.facts.abilities, self._tell)
            abilities.judge(answer)
            await abilities.find()
        self.facts.spent = self._prober.spent

    async def _connect(self) -> bool:
        try:
            way = await find_route(
                self._endpoint, parse_address(self._endpoint), seconds=self._connect_seconds
            )
        except UnreachableError as error:
            step = after_no_connection(error, self._settings)
            self._found("connection", "fault", str(error), step)
            return False
        self.facts.is_reached = True
        said = _("{ip} answers").format(ip=way.ip)
        if way.proxy:
            said = _("the proxy {proxy} answers").format(proxy=way.proxy)
        self._found("connection", "ok", f"{said}, {way.tls}" if way.tls else said)
        return True

    async def _list(self) -> None:
        limits = replace(self._limits, call_timeout=min(self._limits.call_timeout, LIST_SECONDS))
        try:
            models = await list_models(self._endpoint, limits)
        except EndpointError as error:
            # whether that matters shows the request that follows: many endpoints have no list
            told = _("no list of models (HTTP {status})").format(status=error.status)
            self._found("models", "note", told if error.status else _("no list of models came"))
            return
        self.facts.models = models
        listed = ngettext("{count} model listed", "{count} models listed", len(models)).format(
            count=len(models)
        )
        if not self._llm.model:
            step = _("set llm.model: {names}").format(names=some_names(models))
            self._found("models", "note", listed, step if models else "")
        elif _find(self._llm.model, models):
            self._found(
                "models", "ok", _("{listed}, {model} among them").format(listed=listed, model=self._llm.model)
            )
        else:
            alike = ", ".join(nearest(self._llm.model, models))
            step = _("nearest in name: {names}").format(names=alike) if alike else ""
            said = _("{listed}, but not {model}").format(listed=listed, model=self._llm.model)
            self._found("models", "note", said, step)

    def _find_context(self) -> None:
        listed = _find(self._llm.model, self.facts.models or ())
        if listed and listed.context_tokens:
            self.facts.context_tokens = listed.context_tokens
            self.facts.context_is_told = True
        elif self._llm.preset:
            known = load_preset(self._llm.preset).known_model(self._llm.model)
            self.facts.context_tokens = known.context_tokens

    async def _greet(self) -> ProbeReply | None:
        try:
            answer = await self._prober.say_hello()
        except EndpointError as error:
            step = after_refusal(
                error, self._llm, key_is_set=bool(self._endpoint.api_key), models=self.facts.models
            )
            self._found("request", "fault", str(error), step)
            return None
        text = self._prober.shown(answer.reply.text)
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        said = _("answered “{text}” after {seconds:.1f} s").format(text=shown, seconds=answer.reply.seconds)
        self._found("request", "ok" if text else "warning", said if text else _("answered nothing"))
        return answer

    def _found(self, name: str, state: State, said: str, step: str = "") -> None:
        self._tell(Finding("endpoint", name, state, said, step))


def _find(model: str, models: tuple[ListedModel, ...]) -> ListedModel | None:
    """Find a model in the list; Ollama's `name` is its `name:latest`."""
    return next((listed for listed in models if model and listed.name in {model, f"{model}:latest"}), None)
