"""Checks that send requests: connection, list of models, a tiny request, and the abilities of the endpoint."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from eventabs.checks.findings import LIST_SECONDS, REQUEST_SECONDS, EndpointFacts, Finding, OnFinding, State
from eventabs.config import Settings, overlay
from eventabs.errors import CapacityError, EndpointError, NoContentError, RejectedRequestError
from eventabs.language import gettext as _, ngettext
from eventabs.providers import (
    CallLimits,
    GrammarField,
    ListedModel,
    Prober,
    Support,
    UnreachableError,
    find_route,
    hosts_with_keys,
    list_models,
    load_preset,
)
from eventabs.records import STANDARD_TIER, Reply
from eventabs.runs import CONNECT_SECONDS, endpoint_of, lacks_key, no_connection_step, sampling_of
from eventabs.store import public_url

_SHOWN_CHARACTERS = 40  # of an answer
_SHOWN_MODELS = 8
_SIMILAR_MODELS = 3
_SIMILARITY = 0.4
_NO_THINKING: tuple[Mapping[str, object], ...] = (  # the fields of known vendors that switch thinking off
    {"thinking": {"type": "disabled"}},
    {"enable_thinking": False},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "none"},
)


class EndpointCheck:
    """Checks step by step; where one fails, those that depend on it are left out."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], on_finding: OnFinding) -> None:
        llm = settings.llm
        self._settings = settings
        self._llm = llm
        self._endpoint = endpoint_of(llm, environment)
        self._may_request = bool(llm.model) and not lacks_key(llm, environment)
        self._on_finding = on_finding
        self._limits = CallLimits(
            min(llm.connect_timeout, CONNECT_SECONDS),
            min(llm.idle_timeout, REQUEST_SECONDS),
            min(llm.call_timeout, REQUEST_SECONDS),
            llm.longest_wait,
        )
        self._prober = Prober(self._endpoint, sampling_of(llm), self._limits)
        self._facts = EndpointFacts()

    async def run(self) -> EndpointFacts:
        """Check everything that can be checked."""
        facts = self._facts
        if not await self._check_connection():
            return facts
        await self._check_models()
        self._find_context()
        if not self._may_request:
            return facts
        reply = await self._check_request()
        if reply is not None:
            await self._check_abilities(reply)
        facts.spent = self._prober.spent
        return facts

    async def _check_connection(self) -> bool:
        try:
            route = await find_route(self._endpoint, seconds=self._limits.connect_timeout)
        except UnreachableError as error:
            self._report("connection", "fault", str(error), no_connection_step(error, self._settings))
            return False
        self._facts.is_reached = True
        message = _("{ip} answers").format(ip=route.ip)
        if route.proxy:
            message = _("the proxy {proxy} answers").format(proxy=route.proxy)
        self._report("connection", "ok", f"{message}, {route.tls}" if route.tls else message)
        return True

    async def _check_models(self) -> None:
        limits = replace(self._limits, call_timeout=min(self._limits.call_timeout, LIST_SECONDS))
        try:
            models = await list_models(self._endpoint, limits)
        except EndpointError as error:
            # no fault yet: many endpoints have no list, and the request that follows shows whether it matters
            message = _("no list of models (HTTP {status})").format(status=error.status)
            self._report("models", "note", message if error.status else _("no list of models came"))
            return
        self._facts.models = models
        model = self._llm.model
        listed = ngettext("{count} model listed", "{count} models listed", len(models))
        listed = listed.format(count=len(models))
        if not model:
            step = _("set llm.model: {names}").format(names=_some_names(models)) if models else ""
            self._report("models", "note", listed, step)
        elif not models:
            self._report("models", "note", listed)
        elif _find_model(model, models):
            message = _("{listed}, {model} among them").format(listed=listed, model=model)
            self._report("models", "ok", message)
        else:
            # no fault: gateways list less than they serve, and a server of one model answers with it to any name
            message = _("{listed}, but not {model}").format(listed=listed, model=model)
            self._report("models", "warning", message, _name_step(model, models))

    def _find_context(self) -> None:
        models = self._facts.models or ()
        # a server that runs one model answers with it to any name
        listed = models[0] if len(models) == 1 else _find_model(self._llm.model, models)
        if listed and listed.context_tokens:
            self._facts.context_tokens = listed.context_tokens
            self._facts.context_is_reported = True
        elif self._llm.preset:
            known = load_preset(self._llm.preset).known_model(self._llm.model)
            self._facts.context_tokens = known.context_tokens

    async def _check_request(self) -> Reply | None:
        try:
            reply = await self._prober.greet()
        except EndpointError as error:
            state: State = "fault"
            if self._llm.tier != STANDARD_TIER and isinstance(error, CapacityError | NoContentError):
                state = "warning"  # a run waits for it
            self._report("request", state, str(error), self._after_refusal(error))
            return None
        text = self._prober.printable(reply.text, _SHOWN_CHARACTERS)
        if not text:
            self._report("request", "warning", _("answered nothing"), _after_silence(reply))
            return reply
        message = _("answered “{text}” after {seconds:.1f} s")
        self._report("request", "ok", message.format(text=text, seconds=reply.seconds))
        asked, served = self._llm.tier, reply.tier or STANDARD_TIER
        if served != asked:
            message = _("tier {asked} was asked for, and {served} answered: its price holds")
            self._report("tier", "warning", message.format(asked=asked, served=served))
        return reply

    async def _check_abilities(self, reply: Reply) -> None:
        """Judge the answer, then send a few tiny requests more."""
        extra = self._llm.extra_body
        if self._llm.stream:
            self._judge_stream(reply)
        self._judge_usage(reply)
        self._judge_temperature()
        self._judge_thinking(reply)
        if not self._llm.stream:
            await self._try("streaming", self._probe_stream)
        if {"max_tokens", "max_completion_tokens"} & extra.keys():
            self._judge("output_limit", "unknown", _("set in llm.extra_body"), state="skipped")
        else:
            await self._try("output_limit", self._probe_output_limit)
        if "response_format" in extra:
            self._judge("json_schema", "unknown", _("set in llm.extra_body"), state="skipped")
            return
        await self._try("json_schema", self._probe_json_schema)
        await self._try("json_object", self._probe_json_object)
        if fields := self._grammar_fields():
            await self._try("grammar", partial(self._probe_grammar, fields))

    def _judge_stream(self, reply: Reply) -> None:
        if reply.streamed:
            self._judge("streaming", "yes", _("answers come in pieces"))
        else:
            message = _("a stream was asked for, and the answer came whole")
            step = _("set llm.stream = false: then only llm.call_timeout counts for long answers")
            self._judge("streaming", "no", message, step, state="warning")

    def _judge_usage(self, reply: Reply) -> None:
        if reply.usage_reported:
            self._judge("usage", "yes", _("token counts come with the answer"))
        else:
            message = _("no token counts come; costs and limits go by our own")
            self._judge("usage", "no", message, state="warning")

    def _judge_temperature(self) -> None:
        temperature = self._llm.temperature
        if temperature is None:
            self._judge("temperature", "unknown", _("not set: the endpoint decides"), state="skipped")
        elif "temperature" not in self._prober.dropped:
            self._judge("temperature", "yes", _("{value} is taken").format(value=temperature))
        elif "temperature" in self._llm.omit:
            self._judge("temperature", "no", _("not sent: it stands in llm.omit"), state="note")
        else:
            message = _("{value} is refused; runs leave it out").format(value=temperature)
            self._judge("temperature", "no", message, _('set llm.omit = ["temperature"]'), state="warning")

    def _judge_thinking(self, reply: Reply) -> None:
        extra_body = self._llm.extra_body
        has_mark = "<think" in reply.text or "</think" in reply.text  # some servers swallow the first
        if not (reply.reasoning or reply.usage.reasoning_tokens or has_mark):
            self._judge("thinking", "no", _("the model answers without thinking first"))
            return
        if any(overlay(extra_body, fields) == extra_body for fields in _NO_THINKING):
            message = _("the model thinks although it is told not to")
            step = _(
                "name a model that can be told, or raise budget.max_output_tokens: thinking counts as output"
            )
        else:
            message = _("the model thinks first; that costs output tokens and time")
            step = _("switch it off in llm.extra_body, as the endpoint documents it, or with llm.preset")
        self._judge("thinking", "yes", message, step, state="warning")

    async def _try(self, name: str, probe: Callable[[], Awaitable[None]]) -> None:
        try:
            await probe()
        except EndpointError as error:
            self._judge(name, "unknown", str(error), state="warning")

    async def _probe_stream(self) -> None:
        if (await self._prober.greet(stream=True)).streamed:
            message = _("answers can come in pieces, and llm.stream is false")
            step = _(
                "set llm.stream = true: a stalled answer is noticed sooner, and a broken one is kept as far as it came"
            )
            self._judge("streaming", "yes", message, step, state="note")
        else:
            self._judge("streaming", "no", _("answers come whole; llm.stream is false"))

    async def _probe_output_limit(self) -> None:
        limit = await self._prober.probe_output_limit()
        if limit.support == "ignored":
            message = _("answers have no limit: {tokens} tokens came where {most} were allowed")
            message = message.format(tokens=limit.tokens, most=limit.allowed)
            step = _("let fewer users go into a call (budget.max_users): costs can pass run.max_cost")
            self._judge("output_limit", limit.support, message, step, state="warning")
        elif limit.support != "yes":
            message = _("not known: no answer came as far as its limit")
            self._judge("output_limit", limit.support, message, state="note")
        elif limit.name == "max_tokens" or "max_tokens" in self._llm.omit:
            self._judge("output_limit", limit.name, _("{name} limits answers").format(name=limit.name))
        else:
            message, step = _("only max_completion_tokens limits answers"), _('set llm.omit = ["max_tokens"]')
            self._judge("output_limit", limit.name, message, step, state="warning")

    async def _probe_json_schema(self) -> None:
        support = await self._prober.probe_json_schema()
        is_needed = self._settings.prompt.answer == "schema"
        if "response_format" in self._llm.omit and is_needed and support == "yes":
            message = _("kept, but llm.omit holds response_format: it is not sent")
            self._judge("json_schema", support, message, _("set llm.omit without it"), state="warning")
            return
        self._report_json("json_schema", support, is_needed=is_needed)

    async def _probe_json_object(self) -> None:
        self._report_json("json_object", await self._prober.probe_json_object(), is_needed=False)

    def _grammar_fields(self) -> tuple[GrammarField, ...]:
        """Return where a grammar may stand: as set, else, at a server that is no known vendor's, everywhere."""
        if field := sampling_of(self._llm).grammar_field:
            return (field,)
        is_own = not self._llm.preset and urlsplit(self._llm.base_url).netloc not in hosts_with_keys()
        return ("grammar", "structured_outputs", "ebnf") if is_own else ()

    async def _probe_grammar(self, fields: Sequence[GrammarField]) -> None:
        is_needed = self._llm.constrain == "grammar"
        support: Support = "no"
        for field in fields:
            support = await self._prober.probe_grammar(field)
            if support == "yes" and not sampling_of(self._llm).grammar_field:
                step = _('set llm.grammar_field = "{field}": answers are then bound to a grammar').format(
                    field=field
                )
                self._judge("grammar", support, _("supported"), step, state="note")
                return
            if support == "yes":
                break
        self._report_json("grammar", support, is_needed=is_needed, step=_('set llm.constrain = "none"'))

    def _report_json(self, name: str, support: Support, *, is_needed: bool, step: str = "") -> None:
        messages: dict[Support, str] = {
            "yes": _("supported"),
            "ignored": _("taken, but the answer does not keep to it"),
            "no": _("not supported"),
            "unknown": _("not known: the answer was cut"),
        }
        state: State = "ok" if support == "yes" else "warning" if is_needed else "note"
        is_missed = is_needed and support in {"no", "ignored"}
        step = step or _('set prompt.answer = "lines" or "json"')
        self._judge(name, support, messages[support], step if is_missed else "", state=state)

    def _judge(self, name: str, ability: str, message: str, step: str = "", *, state: State = "ok") -> None:
        self._facts.abilities[name] = ability
        self._on_finding(Finding("abilities", name, state, message, step))

    def _report(self, name: str, state: State, message: str, next_step: str = "") -> None:
        self._on_finding(Finding("endpoint", name, state, message, next_step))

    def _after_refusal(self, error: EndpointError) -> str:
        """Return the next step after a refused request; "" where the error has it."""
        match error.status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                return self._after_refused_key()
            case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
                return self._after_not_found()
            case None:
                return ""
        if isinstance(error, RejectedRequestError) and self._llm.tier == STANDARD_TIER:
            return _("leave out what it does not take: llm.omit, llm.extra_body")
        return ""

    def _after_refused_key(self) -> str:
        llm = self._llm
        others = load_preset(llm.preset).other_base_urls if llm.preset else ()
        if not self._endpoint.api_key:
            step = _("put your key into {variable}, or name another variable in llm.api_key_env")
        elif others:
            step = _(
                "check the key in {variable}; one of another region belongs to llm.base_url = {addresses}"
            )
        else:
            step = _("check the key in {variable}")
        return step.format(variable=llm.api_key_env, addresses=", ".join(others))

    def _after_not_found(self) -> str:
        llm, models = self._llm, self._facts.models
        if models and llm.model not in {listed.name for listed in models}:
            return _name_step(llm.model, models)
        if not urlsplit(llm.base_url).path.strip("/"):
            return _("try llm.base_url = {address}/v1").format(address=public_url(llm.base_url).rstrip("/"))
        return _(
            "llm.base_url is what stands before /chat/completions; llm.model is spelled as the endpoint does"
        )


def _after_silence(reply: Reply) -> str:
    """Return the next step after an answer without text."""
    if reply.reasoning or reply.usage.reasoning_tokens:
        return _("the model only thought: switch that off in llm.extra_body, as the endpoint documents it")
    return _("check once more; if it stays so, name another llm.model, or look at the server's log")


def _find_model(model: str, models: Sequence[ListedModel]) -> ListedModel | None:
    """Find a model in the list; Ollama's `name` is its `name:latest`."""
    return next((listed for listed in models if model and listed.name in {model, f"{model}:latest"}), None)


def _similar_names(model: str, models: Sequence[ListedModel]) -> list[str]:
    """Return the listed names that are most similar to the model's, the most similar first."""
    by_lower = {listed.name.lower(): listed.name for listed in models}
    found = get_close_matches(model.lower(), by_lower, n=_SIMILAR_MODELS, cutoff=_SIMILARITY)
    return [by_lower[name] for name in found]


def _name_step(model: str, models: Sequence[ListedModel]) -> str:
    """Return the next step where the list lacks the model."""
    if similar := _similar_names(model, models):
        return _("set llm.model to one that it lists, such as {names}").format(names=", ".join(similar))
    return _("set llm.model to one that it lists: {names}").format(names=_some_names(models))


def _some_names(models: Sequence[ListedModel]) -> str:
    names = ", ".join(listed.name for listed in models[:_SHOWN_MODELS])
    return f"{names}, …" if len(models) > _SHOWN_MODELS else names
