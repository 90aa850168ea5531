"""What `eventabs check` finds by asking the endpoint: connection, list of models, a tiny request, abilities."""

from dataclasses import replace

from eventabs.config import Settings
from eventabs.errors import EndpointError
from eventabs.language import gettext as _
from eventabs.language import ngettext
from eventabs.llm.connecting import UnreachableError, find_way
from eventabs.llm.endpoint import CallLimits, Endpoint, Sampling, parse_address
from eventabs.llm.listing import ListedModel, list_models
from eventabs.llm.preset import load_preset
from eventabs.llm.probing import Answer, Prober
from eventabs.runs import checking_steps
from eventabs.runs.checking_abilities import AbilityCheck
from eventabs.runs.findings import (
    CONNECT_SECONDS,
    LIST_SECONDS,
    REQUEST_SECONDS,
    EndpointFacts,
    Finding,
    State,
    Tell,
)

_SHOWN = 40  # characters of an answer


class EndpointCheck:
    """Asks step by step; where one fails, what depends on it is left out. `facts` gathers what is learnt."""

    def __init__(self, settings: Settings, endpoint: Endpoint, sampling: Sampling, tell: Tell) -> None:
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
            way = await find_way(self._endpoint, parse_address(self._endpoint), seconds=self._connect_seconds)
        except UnreachableError as error:
            step = checking_steps.after_no_connection(error, self._settings)
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
            step = _("set llm.model: {names}").format(names=checking_steps.some_names(models))
            self._found("models", "note", listed, step if models else "")
        elif _find(self._llm.model, models):
            self._found(
                "models", "ok", _("{listed}, {model} among them").format(listed=listed, model=self._llm.model)
            )
        else:
            alike = ", ".join(checking_steps.nearest(self._llm.model, models))
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

    async def _greet(self) -> Answer | None:
        try:
            answer = await self._prober.say_hello()
        except EndpointError as error:
            step = checking_steps.after_refusal(
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
