"""What `eventabs check` finds of an endpoint's abilities: in the answer to a first request, and by a few more."""

from collections.abc import Awaitable, Callable, Mapping

from eventabs.checks.findings import Finding, OnFinding, State
from eventabs.config import Settings
from eventabs.errors import EndpointError
from eventabs.language import gettext as _
from eventabs.providers.openai import OutputLimit, Prober, ProbeReply, Support

_OFF: tuple[Mapping[str, object], ...] = (  # how models are told not to think
    {"thinking": {"type": "disabled"}},
    {"enable_thinking": False},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "none"},
)


class AbilityCheck:
    """Judges one answer and asks for more. `abilities` gets a word for each, for programs."""

    def __init__(
        self, settings: Settings, prober: Prober, abilities: dict[str, str], tell: OnFinding
    ) -> None:
        self._settings = settings
        self._llm = settings.llm
        self._prober = prober
        self._abilities = abilities
        self._tell = tell

    def judge(self, answer: ProbeReply) -> None:
        """Say what the answer shows of streams, counts, parameters and thinking."""
        self._judge_stream(answer)
        if answer.reply.usage_reported:
            self._able("usage", "yes", _("token counts come with the answer"))
        else:
            said = _("no token counts come; costs and limits go by our own")
            self._able("usage", "no", said, state="warning")
        self._judge_temperature(answer)
        self._judge_thinking(answer)

    def _judge_stream(self, answer: ProbeReply) -> None:
        if not self._llm.stream:
            return  # asked for by itself, later
        if answer.reply.streamed:
            self._able("streaming", "yes", _("answers come in pieces"))
        else:
            said = _("a stream was asked for, and the answer came whole")
            step = _("set llm.stream = false: then only llm.call_timeout counts for long answers")
            self._able("streaming", "no", said, step, state="warning")

    def _judge_temperature(self, answer: ProbeReply) -> None:
        temperature = self._llm.temperature
        if temperature is None:
            self._able("temperature", "unknown", _("not set: the endpoint decides"), state="skipped")
        elif "temperature" not in answer.left_out:
            self._able("temperature", "yes", _("{value} is taken").format(value=temperature))
        elif "temperature" in self._llm.omit:
            self._able("temperature", "no", _("not sent: it stands in llm.omit"), state="note")
        else:
            said = _("{value} is refused; runs leave it out").format(value=temperature)
            self._able("temperature", "no", said, _('set llm.omit = ["temperature"]'), state="warning")

    def _judge_thinking(self, answer: ProbeReply) -> None:
        reply = answer.reply
        thinks = bool(reply.reasoning or reply.usage.reasoning_tokens or "<think" in reply.text)
        is_off = any(_holds(self._llm.extra_body, switch) for switch in _OFF)
        if not thinks:
            self._able("thinking", "no", _("the model answers without thinking first"))
            return
        if is_off:
            said = _("the model thinks although it is told not to")
            step = _(
                "name a model that can be told, or raise budget.max_output_tokens: thinking counts as output"
            )
        else:
            said = _("the model thinks first; that costs output tokens and time")
            step = _("switch it off in llm.extra_body, as the endpoint documents it, or with llm.preset")
        self._able("thinking", "yes", said, step, state="warning")

    async def find(self) -> None:
        """Ask a few tiny questions more."""
        extra = self._llm.extra_body
        if not self._llm.stream:
            await self._try("streaming", self._find_stream)
        if {"max_tokens", "max_completion_tokens"} & extra.keys():
            self._able("output_limit", "unknown", _("set in llm.extra_body"), state="skipped")
        else:
            await self._try("output_limit", self._find_output_limit)
        if "response_format" in extra:
            self._able("json_schema", "unknown", _("set in llm.extra_body"), state="skipped")
            return
        await self._try("json_schema", self._find_schema)
        await self._try("json_object", self._find_json)

    async def _try(self, name: str, find: Callable[[], Awaitable[None]]) -> None:
        try:
            await find()
        except EndpointError as error:
            self._able(name, "unknown", str(error), state="warning")

    async def _find_stream(self) -> None:
        if (await self._prober.say_hello(stream=True)).reply.streamed:
            said = _("answers can come in pieces, and llm.stream is false")
            step = _(
                "set llm.stream = true: a stalled answer is noticed sooner, and a broken one is kept as far as it came"
            )
            self._able("streaming", "yes", said, step, state="note")
        else:
            self._able("streaming", "no", _("answers come whole; llm.stream is false"))

    async def _find_output_limit(self) -> None:
        limit = await self._prober.find_output_limit()
        said, step, state = _told_limit(limit, omitted="max_tokens" in self._llm.omit)
        ability = limit.name if limit.support == "yes" else limit.support
        self._able("output_limit", ability, said, step, state=state)

    async def _find_schema(self) -> None:
        support = await self._prober.keeps_schema()
        needed = self._settings.prompt.answer == "schema"
        if "response_format" in self._llm.omit and needed and support == "yes":
            said = _("kept, but llm.omit holds response_format: it is not sent")
            self._able("json_schema", support, said, _("set llm.omit without it"), state="warning")
            return
        step = _('set prompt.answer = "lines" or "json"') if needed and support in {"no", "ignored"} else ""
        self._able("json_schema", support, _told_json(support), step, state=_state(support, needed=needed))

    async def _find_json(self) -> None:
        support = await self._prober.keeps_json()
        self._able("json_object", support, _told_json(support), state=_state(support, needed=False))

    def _able(self, name: str, ability: str, said: str, step: str = "", *, state: State = "ok") -> None:
        self._abilities[name] = ability
        self._tell(Finding("abilities", name, state, said, step))


def _holds(body: Mapping[str, object], switch: Mapping[str, object]) -> bool:
    """Whether the body has all that the switch has."""
    return all(
        _holds(found, value) if isinstance(value, Mapping) and isinstance(found, Mapping) else found == value
        for key, value in switch.items()
        for found in [body.get(key)]
    )


def _told_limit(limit: OutputLimit, *, omitted: bool) -> tuple[str, str, State]:
    """Return what is said of the limit, the next step and the state."""
    match limit.support:
        case "yes" if limit.name == "max_tokens" or omitted:
            return _("{name} limits answers").format(name=limit.name), "", "ok"
        case "yes":
            return (
                _("only max_completion_tokens limits answers"),
                _('set llm.omit = ["max_tokens"]'),
                "warning",
            )
        case "ignored":
            said = _("answers have no limit: {tokens} tokens came where {most} were allowed")
            step = _("let fewer users go into a call (budget.max_users): costs can pass run.max_cost")
            return said.format(tokens=limit.tokens, most=limit.asked), step, "warning"
    return _("not known: no answer came as far as its limit"), "", "note"


def _told_json(support: Support) -> str:
    return {
        "yes": _("supported"),
        "ignored": _("taken, but the answer does not keep to it"),
        "no": _("not supported"),
        "unknown": _("not known: the answer was cut"),
    }[support]


def _state(support: Support, *, needed: bool) -> State:
    if support == "yes":
        return "ok"
    return "warning" if needed else "note"
