"""The sequence of `eventabs check`: settings, endpoint, abilities, run; each gives findings of one line with a next step."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from http import HTTPStatus
from itertools import count, islice
from typing import Any, Literal
from urllib.parse import urlsplit

from eventabs import providers, runs  # providers load the HTTP stack when first looked up
from eventabs.config import Settings, overlay
from eventabs.errors_and_exit_codes import CapacityError, EndpointError, NoContentError, UsageError
from eventabs.ingest import check_zone, expand, find_objects
from eventabs.interface_language import Language, active, gettext as _, ngettext
from eventabs.prompts import made_up_day
from eventabs.providers import GrammarField, hosts_with_keys, load_preset
from eventabs.shared_records import STANDARD_TIER, AskedUser, Part, Reply, Usage, UserLog
from eventabs.store import host_of, public_url

Section = Literal["settings", "endpoint", "abilities", "run"]
# ok: as it should be. note: worth knowing. warning: a run works, but worse or dearer. fault: a run would fail.
State = Literal["ok", "note", "warning", "fault", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is stable, for programs; `message` and `next_step` ("" for none) are one line each."""

    section: Section
    name: str
    state: State
    message: str
    next_step: str = ""


OnFinding = Callable[[Finding], None]

REQUEST_SECONDS = 60.0  # a limit for each request of a check: shorter than in a run


@dataclass(slots=True)
class EndpointFacts:
    """What is known of the endpoint so far. None: not known."""

    is_reached: bool = False
    models: dict[str, int | None] | None = None  # with their contexts, as the endpoint lists them
    context_tokens: int | None = None  # as the server runs the model, else as its preset has it
    context_is_reported: bool = False  # by the server
    abilities: dict[str, str] = field(default_factory=dict)
    spent: Usage = Usage()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings, and the settings that they are about. Cost is None without prices."""

    config_file: str
    provider: str
    preset: str
    model: str
    host: str
    key_variable: str
    key_is_set: bool
    findings: tuple[Finding, ...]
    facts: EndpointFacts
    cost: float | None
    currency: str
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: sound; 2: the settings have to be corrected; 1: only the endpoint fails."""
        faulty = {finding.section for finding in self.findings if finding.state == "fault"}
        if faulty & {"settings", "run"}:
            return 2
        return 1 if faulty else 0


async def check(
    settings: Settings, config_file: str, environment: Mapping[str, str], on_finding: OnFinding
) -> CheckReport:
    """Check the settings, the endpoint and what a run would do; `on_finding` gets each finding at once."""
    started, llm, findings, facts = time.monotonic(), settings.llm, list[Finding](), EndpointFacts()
    is_remote = settings.is_remote

    def add(*found: Finding) -> None:
        findings.extend(found)
        for finding in found:
            on_finding(finding)

    add(*_settings_findings(settings, config_file, environment))
    if is_remote and not any(found.name == "address" and found.state == "fault" for found in findings):
        facts = await EndpointCheck(settings, environment, add).run()
    add(_prompt(settings), _limits(settings))
    if is_remote:
        add(*_context(settings, facts), *_of_model(settings), _price(settings))
    add(_input(settings))
    spent = facts.spent
    return CheckReport(
        config_file=config_file,
        provider=settings.provider,
        preset=llm.preset if is_remote else "",
        model=llm.model if is_remote else "",
        host=host_of(llm.base_url) if is_remote else "",
        key_variable=llm.api_key_env if is_remote else "",
        key_is_set=is_remote and bool(environment.get(llm.api_key_env)),
        findings=tuple(findings),
        facts=facts,
        cost=llm.price.cost(spent.prompt_tokens, spent.completion_tokens, spent.cached_tokens, llm.tier),
        currency=llm.price.currency,
        seconds=time.monotonic() - started,
    )


def _settings_findings(
    settings: Settings, config_file: str, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield which settings are in force, and whether requests could be sent with them."""
    model, preset, tell = settings.llm.model, settings.llm.preset, partial(Finding, "settings")
    if config_file:
        yield tell("config", "ok", config_file)
    else:
        message = _("no file; the defaults, EVENTABS_ variables and flags are in force")
        step = _("`eventabs init` writes one; or name a file with --config")
        yield tell("config", "note", message, "" if settings.is_remote else step)
    if not settings.is_remote:
        message = _("rules: built in, no endpoint is needed and nothing leaves this machine")
        yield tell("provider", "ok", message)
        return
    yield tell("provider", "ok", _("openai: a model at an OpenAI-compatible endpoint"))
    if preset:
        date = load_preset(preset).read.isoformat()
        message = _("{preset}, as its documentation was on {date}").format(preset=preset, date=date)
        yield tell("preset", "ok", message)
    yield tell("model", "ok" if model else "fault", model or runs.no_model_message(preset))
    try:
        address = providers.parse_address(providers.endpoint_of(settings.llm, environment))
        yield tell("address", "ok", str(address.url.copy_with(query=None)))
    except UsageError as error:
        yield tell("address", "fault", str(error))
    yield from _tier(settings)
    variable = settings.llm.api_key_env
    message = _("{variable} is not set: no key is sent").format(variable=variable)
    if environment.get(variable):
        yield tell("key", "ok", _("{variable} is set").format(variable=variable))
    elif runs.lacks_key(settings.llm, environment):
        step = _("put your key into {variable}, or name another variable in llm.api_key_env")
        yield tell("key", "fault", message, step.format(variable=variable))
    elif runs.unset_key(settings.llm, environment):
        step = _("export {variable}, or leave out llm.api_key_env if the server needs no key")
        yield tell("key", "warning", message, step.format(variable=variable))
    else:
        yield tell("key", "note", message)


def _facts(settings: Settings) -> dict[str, Any]:
    """Return what a run would remember of its prompts."""
    language = active() if settings.prompt.language == "auto" else settings.prompt.language
    return {"prompt_language": language, **runs.named_texts(settings)}


def _prompt(settings: Settings) -> Finding:
    answer, detail = settings.prompt.answer, settings.prompt.detail
    try:
        facts = _facts(settings)
        _builder, limits = runs.builder_and_limits(settings, facts)
        limits.room  # noqa: B018  raises where the instructions leave none
        runs.make_reader(settings, facts)
    except UsageError as error:
        return Finding("run", "prompt", "fault", str(error))
    message = _("answers as {answer}, level of detail {detail}; the instructions take {tokens} tokens")
    tokens = f"{limits.instructions_tokens:,}"
    return Finding("run", "prompt", "ok", message.format(answer=answer, detail=detail, tokens=tokens))


def _limits(settings: Settings) -> Finding:
    budget, run = settings.budget, settings.run
    per_call = _("{input} tokens in, {output} out, {users} users a call").format(
        input=f"{budget.max_input_tokens:,}", output=f"{budget.max_output_tokens:,}", users=budget.max_users
    )
    parts = [per_call, ngettext("{count} call at a time", "{count} calls at a time", run.concurrency)]
    if run.max_concurrency > run.concurrency:
        parts.append(_("up to {count} where that helps").format(count=run.max_concurrency))
    limits = run.model_dump(include={"rpm", "tpm", "max_cost", "max_total_tokens"})
    parts += [f"{name} {limit:,}" for name, limit in limits.items() if limit]
    return Finding("run", "limits", "ok", _("; ").join(parts))


def _context(settings: Settings, facts: EndpointFacts) -> Iterator[Finding]:
    """Compare the model's context with what one call may hold."""
    context = facts.context_tokens
    output = settings.budget.max_output_tokens
    needed = settings.budget.max_input_tokens + output
    if context is None:
        if not facts.is_reached:
            return
        message = _("not known; a call takes up to {needed} tokens").format(needed=f"{needed:,}")
        command = runs.start_command(settings)
        step = _("start the server with room for them: {command}").format(command=command) if command else ""
        yield Finding("run", "context", "note", message, step)
    elif needed <= context:
        message = _("{context} tokens hold the {needed} of a call")
        yield Finding("run", "context", "ok", message.format(context=f"{context:,}", needed=f"{needed:,}"))
    else:
        message = _("{context} tokens do not hold a call of {input} in and {output} out").format(
            context=f"{context:,}", input=f"{settings.budget.max_input_tokens:,}", output=f"{output:,}"
        )
        state: State = "fault" if facts.context_is_reported else "warning"
        step = _("set budget.max_input_tokens = {tokens}, or give the model a larger context")
        least = 2_000  # of input: less is not worth advising
        if context - output < least:
            step = _("set budget.max_input_tokens = {input} and budget.max_output_tokens = {output}")
        sizes = {"tokens": context - output, "input": context * 3 // 4, "output": context // 4}
        yield Finding("run", "context", state, message, step.format(**sizes))


def _of_model(settings: Settings) -> Iterator[Finding]:
    """Compare the limits of an answer and of a prompt with what the preset knows of the model."""
    known, budget = load_preset(settings.llm.preset).known_model(settings.llm.model), settings.budget
    most, limit = known.max_output_tokens or budget.max_output_tokens, budget.max_output_tokens
    facts = {"model": settings.llm.model, "most": f"{most:,}", "asked": f"{limit:,}"}
    if limit > most:
        message = _("answers of {model} have at most {most} tokens, budget.max_output_tokens is {asked}")
        step = _("set budget.max_output_tokens = {most}").format(most=most)
        yield Finding("run", "answer_length", "warning", message.format(**facts), step)
    elif limit < most:
        message = _("{model} can answer with up to {most} tokens; budget.max_output_tokens is {asked}")
        step = _("see what more would save: eventabs estimate")
        yield Finding("run", "answer_length", "note", message.format(**facts), step)
    if known.repriced_above and budget.max_input_tokens > known.repriced_above:
        message = _(
            "above {limit} tokens a prompt of {model} makes the whole call dearer; one may have {most}"
        )
        facts |= {"limit": f"{known.repriced_above:,}", "most": f"{budget.max_input_tokens:,}"}
        step = _("set budget.max_input_tokens = {tokens}").format(tokens=known.repriced_above)
        yield Finding("run", "repricing", "warning", message.format(**facts), step)


def _price(settings: Settings) -> Finding:
    llm, price = settings.llm, settings.llm.price
    if price.input is None or price.output is None:
        step = _("set input and output under [llm.price], as your contract has them")
        if settings.run.max_cost:
            return Finding("run", "price", "fault", _("not set, but run.max_cost needs them"), step)
        return Finding("run", "price", "note", _("not set: no costs are shown"), step)
    cached = price.input if price.cached_input is None else price.cached_input
    message = _("{input} in, {cached} in from the cache, {output} out, {currency} a million tokens").format(
        input=price.input, cached=cached, output=price.output, currency=price.currency
    )
    known = load_preset(llm.preset).known_model(llm.model).price
    if known and (price.input, price.output, price.currency) == (known.input, known.output, known.currency):
        template = _("{price}; as {source} had it on {date}")
        message = template.format(price=message, source=known.source, date=known.read.isoformat())
    return Finding("run", "price", "ok", message)


def _tier(settings: Settings) -> Iterator[Finding]:
    """Yield what a tier other than the ordinary one means for calls."""
    llm = settings.llm
    if llm.tier == STANDARD_TIER:
        return
    factor = llm.price.factor(llm.tier)
    if factor is None:
        message = _("{tier}; its price is not known, so calls are counted at the ordinary one")
        step = _("set llm.price.{tier}, such as 0.5").format(tier=llm.tier)
        yield Finding("settings", "tier", "note", message.format(tier=llm.tier), step)
        return
    message = _("{tier}: {factor} of the ordinary price; a call may wait {seconds:g} s for its answer")
    message = message.format(tier=llm.tier, factor=f"{factor:.0%}", seconds=llm.call_timeout)
    yield Finding("settings", "tier", "ok", message)


def _input(settings: Settings) -> Finding:
    paths = [path for path in settings.input.paths if path != runs.STDIN]
    profiles = [settings.input.profiles] if settings.input.profiles else []
    try:
        check_zone(settings.input.timezone)
        expand(profiles)
        found = [*expand(paths, profiles), *find_objects(paths, profiles)]
        find_objects(profiles)
    except UsageError as error:
        return Finding("run", "input", "fault", str(error))
    if not paths:
        return Finding("run", "input", "skipped", _("no input.paths: name the export on the command line"))
    message = ngettext("{count} file is there", "{count} files are there", len(found))
    return Finding("run", "input", "ok", message, _("see what a run would take: eventabs estimate"))


_SHOWN_MODELS = 8
_NO_THINKING: tuple[Mapping[str, object], ...] = (  # the fields of known vendors that switch thinking off
    {"thinking": {"type": "disabled"}},
    {"enable_thinking": False},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "none"},
)

_ROWS_A_USER = 50


def _made_up_users(rows: int, language: Language) -> list[UserLog]:
    """Return users who do much the same every day, each a little later than the one before."""
    day, users = made_up_day(language), []
    for number in range(rows // _ROWS_A_USER):
        later = (timedelta(days=days, minutes=number) for days in count())
        behaviors = (each._replace(start=each.start + by) for by in later for each in day)
        users.append(UserLog(f"made-up {number}", tuple(islice(behaviors, _ROWS_A_USER))))
    return users


class EndpointCheck:
    """Checks step by step; where one fails, those that depend on it are left out."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], on_finding: OnFinding) -> None:
        llm = settings.llm
        self._settings = settings
        self._llm = llm
        self._of_runs = providers.endpoint_of(llm, environment)
        times = {key: min(getattr(llm, key), REQUEST_SECONDS) for key in ("idle_timeout", "call_timeout")}
        self._endpoint = self._of_runs.changed(**times)
        self._may_request = bool(llm.model) and not runs.lacks_key(llm, environment)
        self._on_finding = on_finding
        self._prober = providers.Prober(self._endpoint)
        self._facts = EndpointFacts()

    async def run(self) -> EndpointFacts:
        """Check everything that can be checked."""
        facts = self._facts
        try:
            ip, proxy, tls = await providers.find_route(self._endpoint)
        except providers.UnreachableError as error:
            self._report("connection", "fault", str(error), runs.no_connection_step(error, self._settings))
            return facts
        facts.is_reached = True
        message = _("the proxy {proxy} answers") if proxy else _("{ip} answers")
        message = message.format(ip=ip, proxy=proxy)
        self._report("connection", "ok", f"{message}, {tls}" if tls else message)
        facts.context_tokens = load_preset(self._llm.preset).known_model(self._llm.model).context_tokens
        await self._check_models()
        if self._may_request and (reply := await self._check_request()):
            await self._check_abilities(reply)
        facts.spent = self._prober.spent
        return facts

    async def _check_models(self) -> None:
        seconds = min(self._endpoint.llm.call_timeout, 20.0)  # a list comes sooner than an answer
        try:
            models = await providers.list_models(self._endpoint.changed(call_timeout=seconds))
        except EndpointError as error:
            # no fault yet: many endpoints have no list, and the request that follows shows whether it matters
            message = _("no list of models (HTTP {status})").format(status=error.status)
            self._report("models", "note", message if error.status else _("no list of models came"))
            return
        facts, model = self._facts, self._llm.model
        facts.models = models
        # Ollama's `name` is its `name:latest`
        found = next((name for name in models if model and name in {model, f"{model}:latest"}), "")
        # a server that runs one model answers with it to any name
        reported = models.get(next(iter(models)) if len(models) == 1 else found)
        if reported is not None:
            facts.context_tokens, facts.context_is_reported = reported, True
        listed = ngettext("{count} model listed", "{count} models listed", len(models))
        if not (model and models):
            step = _("set llm.model: {names}").format(names=_some_names(models)) if models else ""
            self._report("models", "note", listed, step)
        elif found:
            message = _("{listed}, {model} among them").format(listed=listed, model=model)
            self._report("models", "ok", message)
        else:
            # no fault: gateways list less than they serve, and a server of one model answers with it to any name
            message = _("{listed}, but not {model}").format(listed=listed, model=model)
            self._report("models", "warning", message, _name_step(model, models))

    async def _check_request(self) -> Reply | None:
        try:
            reply = await self._prober.greet()
        except EndpointError as error:
            state: State = "fault"
            if self._llm.tier != STANDARD_TIER and isinstance(error, CapacityError | NoContentError):
                state = "warning"  # a run waits for it
            self._report("request", state, str(error), self._after_refusal(error))
            return None
        secrets = providers.parse_address(self._endpoint).secrets
        text = providers.redacted_line(reply.text, secrets, 40)
        if not text:
            step = _("check once more; if it stays so, name another llm.model, or look at the server's log")
            if reply.reasoning or reply.usage.reasoning_tokens:
                step = _(
                    "the model only thought: switch that off in llm.extra_body, as the endpoint documents it"
                )
            self._report("request", "warning", _("answered nothing"), step)
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
        if self._llm.stream and reply.streamed:
            self._judge("streaming", "yes", _("answers come in pieces"))
        elif self._llm.stream:
            message = _("a stream was asked for, and the answer came whole")
            step = _("set llm.stream = false: then only llm.call_timeout counts for long answers")
            self._judge("streaming", "no", message, step, state="warning")
        if reply.usage_reported:
            self._judge("usage", "yes", _("token counts come with the answer"))
        else:
            message = _("no token counts come; costs and limits go by our own")
            self._judge("usage", "no", message, state="warning")
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
        await self._try("json_schema", self._probe_schema)
        await self._try("grammar", self._probe_grammar)
        if _prompt(self._settings).state == "ok":
            await self._try("rows", self._probe_rows)

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
        parameter, support, tokens = await self._prober.probe_output_limit()
        if support == "ignored":
            message = _("answers have no limit: {tokens} tokens came where {most} were allowed")
            message = message.format(tokens=tokens, most=providers.COUNTING_TOKENS)
            step = _("let fewer users go into a call (budget.max_users): costs can pass run.max_cost")
            self._judge("output_limit", support, message, step, state="warning")
        elif support != "yes":
            message = _("not known: no answer came as far as its limit")
            self._judge("output_limit", support, message, state="note")
        elif parameter == "max_tokens" or "max_tokens" in self._llm.omit:
            self._judge("output_limit", parameter, _("{name} limits answers").format(name=parameter))
        else:
            message, step = _("only max_completion_tokens limits answers"), _('set llm.omit = ["max_tokens"]')
            self._judge("output_limit", parameter, message, step, state="warning")

    async def _probe_schema(self) -> None:
        support, is_needed = await self._prober.probe(), self._settings.prompt.answer == "schema"
        if "response_format" in self._llm.omit and is_needed and support == "yes":
            message = _("kept, but llm.omit holds response_format: it is not sent")
            self._judge("json_schema", support, message, _("set llm.omit without it"), state="warning")
        else:
            self._report_form("json_schema", support, _('set prompt.answer = "lines"'), is_needed=is_needed)

    async def _probe_grammar(self) -> None:
        """Try the field that is set; else, at an unknown server, all that may take a grammar."""
        field = self._endpoint.llm.grammar_field
        fields: Sequence[GrammarField] = [field] if field else []
        if not (field or self._llm.preset or urlsplit(self._llm.base_url).netloc in hosts_with_keys()):
            fields = ("grammar", "structured_outputs", "ebnf")
        support: providers.Support | None = None
        for name in fields:
            support = await self._prober.probe(name)
            if support == "yes" and not field:
                step = _('set llm.grammar_field = "{field}": answers are then bound to a grammar')
                self._judge("grammar", support, _("supported"), step.format(field=name), state="note")
                return
        if support:
            step, is_needed = _('set llm.constrain = "none"'), self._llm.constrain == "grammar"
            self._report_form("grammar", support, step, is_needed=is_needed)

    async def _probe_rows(self) -> None:
        """Ask about made-up users, more and more, until rows get lost."""
        settings, facts = self._settings, _facts(self._settings)
        builder, limits = runs.builder_and_limits(settings, facts)
        reader = runs.make_reader(settings, facts)
        kept, lost, causes = 0, 0, list[str]()
        for size in (50, 300, 1_000):
            logs = _made_up_users(size, facts["prompt_language"])
            if not limits.holds([builder.measure(log) for log in logs]):
                break
            request = builder.request(logs, max_output_tokens=limits.max_output_tokens)
            try:
                # an answer about a thousand rows takes a minute and more
                reply = await self._prober.ask(request, self._of_runs)
            except EndpointError as error:
                if not kept:
                    raise
                lost, causes = size, [str(error)]
            else:
                asked = {
                    alias: AskedUser(Part(log.user_id, 0, _ROWS_A_USER - 1), log, range(_ROWS_A_USER))
                    for alias, log in request.users.items()
                }
                outcomes = reader.read(reply, asked).outcomes.values()
                lost = sum(len(each.unplaced) if each.rows else _ROWS_A_USER for each in outcomes)
            if lost:
                message = _("{lost} of {size} rows of made-up users did not come back; up to {kept} all did")
                message = message.format(lost=f"{lost:,}", size=f"{size:,}", kept=kept)
                step = _(
                    'set prompt.answer = "schema", llm.constrain = "grammar" on your own server, or name another model'
                )
                if kept:
                    step = _(
                        'set budget.max_rows = {kept}; prompt.answer = "schema" or another model may keep more'
                    ).format(kept=kept)
                self._judge("rows", str(kept), message, "; ".join([*causes, step]), state="warning")
                return
            kept = size
        if kept:
            message = _("all {count} rows of made-up users came back in one answer")
            self._judge("rows", str(kept), message.format(count=f"{kept:,}"))

    def _report_form(self, name: str, support: "providers.Support", step: str, *, is_needed: bool) -> None:
        messages: dict[providers.Support, str] = {
            "yes": _("supported"),
            "ignored": _("taken, but the answer does not keep to it"),
            "no": _("not supported"),
            "unknown": _("not known: the answer was cut"),
        }
        state: State = "ok" if support == "yes" else "warning" if is_needed else "note"
        is_missed = is_needed and support in {"no", "ignored"}
        self._judge(name, support, messages[support], step if is_missed else "", state=state)

    def _judge(self, name: str, ability: str, message: str, step: str = "", *, state: State = "ok") -> None:
        self._facts.abilities[name] = ability
        self._on_finding(Finding("abilities", name, state, message, step))

    def _report(self, name: str, state: State, message: str, next_step: str = "") -> None:
        self._on_finding(Finding("endpoint", name, state, message, next_step))

    def _after_refusal(self, error: EndpointError) -> str:
        """Return what is known beside the next step that the error of a refused request names; "" for nothing."""
        llm, models = self._llm, self._facts.models
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            if self._endpoint.api_key and (others := load_preset(llm.preset).other_base_urls):
                step = _(
                    "check the key in {variable}; one of another region belongs to llm.base_url = {addresses}"
                )
                return step.format(variable=llm.api_key_env, addresses=", ".join(others))
        elif error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            if models and llm.model not in models:
                return _name_step(llm.model, models)
            if not urlsplit(llm.base_url).path.strip("/"):
                address = public_url(llm.base_url).rstrip("/")
                return _("try llm.base_url = {address}/v1").format(address=address)
        return ""


def _name_step(model: str, models: Collection[str]) -> str:
    """Return the next step where the list lacks the model."""
    by_lower = {name.lower(): name for name in models}
    if similar := get_close_matches(model.lower(), by_lower, n=3, cutoff=0.4):
        names = ", ".join(by_lower[name] for name in similar)
        return _("set llm.model to one that it lists, such as {names}").format(names=names)
    return _("set llm.model to one that it lists: {names}").format(names=_some_names(models))


def _some_names(models: Collection[str]) -> str:
    names = ", ".join(islice(models, _SHOWN_MODELS))
    return f"{names}, …" if len(models) > _SHOWN_MODELS else names
