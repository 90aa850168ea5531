"""The sequence of `eventabs check`: settings, endpoint, abilities, run; each gives findings of one line with a next step."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
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
from eventabs.interface_language import active, gettext as _, ngettext
from eventabs.prompts import made_up_day
from eventabs.providers import GrammarField, hosts_with_keys, load_preset
from eventabs.shared_records import STANDARD_TIER, AskedUser, Behavior, Part, Reply, Usage, UserLog
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
class CheckReport:
    """The settings that are checked, all findings about them, and what is known of the endpoint so far (None: not known)."""

    config_file: str
    provider: str
    currency: str
    # without a model these are empty
    preset: str = ""
    model: str = ""
    host: str = ""
    key_variable: str = ""
    key_is_set: bool = False
    findings: list[Finding] = field(default_factory=list)
    models: dict[str, int | None] | None = None  # with their contexts, as the endpoint lists them
    context_tokens: int | None = None  # as the server runs the model, else as its preset has it
    abilities: dict[str, str] = field(default_factory=dict)
    spent: Usage = Usage()
    cost: float | None = None  # None without prices
    seconds: float = 0.0

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
    started, llm = time.monotonic(), settings.llm
    report = CheckReport(config_file, settings.provider, llm.price.currency)
    if settings.is_remote:
        report.preset, report.model, report.host = llm.preset, llm.model, host_of(llm.base_url)
        report.key_variable, report.key_is_set = llm.api_key_env, bool(environment.get(llm.api_key_env))
    await _Check(settings, environment, on_finding, report).run()
    spent, report.seconds = report.spent, time.monotonic() - started
    report.cost = llm.price.cost(spent.prompt_tokens, spent.completion_tokens, spent.cached_tokens, llm.tier)
    return report


_SHOWN_MODELS = 8
_NO_THINKING: tuple[Mapping[str, object], ...] = (  # the fields of known vendors that switch thinking off
    {"thinking": {"type": "disabled"}},
    {"enable_thinking": False},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "none"},
)
_ROWS_A_USER = 50


class _Check:
    """Checks step by step, and tells of each finding; where a step fails, those that depend on it are left out."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], on_finding: OnFinding, report: CheckReport
    ) -> None:
        self._settings, self._llm, self._environment = settings, settings.llm, environment
        self._on_finding, self._report = on_finding, report
        self._is_reached = False
        self._context_is_reported = False  # by the server

    async def run(self) -> None:
        """Check everything that can be checked."""
        is_remote, findings = self._settings.is_remote, self._report.findings
        self._tell_settings()
        if is_remote and not any(each.name == "address" and each.state == "fault" for each in findings):
            await self._check_endpoint()
        self._tell_prompt()
        self._tell_limits()
        if is_remote:
            self._tell_context()
            self._tell_model()
            self._tell_price()
        self._tell_input()

    def _tell(
        self, section: Section, name: str, state: State, message: str, step: str = "", **values: object
    ) -> None:
        """Tell of a finding; `values` stand in its message and its step."""
        if values:
            message, step = message.format(**values), step.format(**values)
        self._report.findings.append(Finding(section, name, state, message, step))
        self._on_finding(self._report.findings[-1])

    def _judge(
        self, name: str, ability: str, message: str, step: str = "", state: State = "ok", **values: object
    ) -> None:
        """Tell whether the endpoint has an ability."""
        self._report.abilities[name] = ability
        self._tell("abilities", name, state, message, step, **values)

    def _tell_settings(self) -> None:
        """Tell which settings are in force, and whether requests could be sent with them."""
        llm, tell = self._llm, partial(self._tell, "settings")
        if self._report.config_file:
            tell("config", "ok", self._report.config_file)
        else:
            message = _("no file; the defaults, EVENTABS_ variables and flags are in force")
            step = _("`eventabs init` writes one; or name a file with --config")
            tell("config", "note", message, "" if self._settings.is_remote else step)
        if not self._settings.is_remote:
            message = _("rules: built in, no endpoint is needed and nothing leaves this machine")
            tell("provider", "ok", message)
            return
        tell("provider", "ok", _("openai: a model at an OpenAI-compatible endpoint"))
        if llm.preset:
            message = _("{preset}, as its documentation was on {date}")
            tell("preset", "ok", message, preset=llm.preset, date=load_preset(llm.preset).read.isoformat())
        tell("model", "ok" if llm.model else "fault", llm.model or runs.no_model_message(llm.preset))
        try:
            address = providers.parse_address(providers.endpoint_of(llm, self._environment))
            tell("address", "ok", str(address.url.copy_with(query=None)))
        except UsageError as error:
            tell("address", "fault", str(error))
        if llm.tier != STANDARD_TIER and (factor := llm.price.factor(llm.tier)) is None:
            message = _("{tier}; its price is not known, so calls are counted at the ordinary one")
            tell("tier", "note", message, _("set llm.price.{tier}, such as 0.5"), tier=llm.tier)
        elif llm.tier != STANDARD_TIER:
            message = _(
                "{tier}: {factor} of the ordinary price; a call may wait {seconds:g} s for its answer"
            )
            tell("tier", "ok", message, tier=llm.tier, factor=f"{factor:.0%}", seconds=llm.call_timeout)
        state: State = "note"
        message, step = _("{variable} is not set: no key is sent"), ""
        if self._environment.get(llm.api_key_env):
            state, message = "ok", _("{variable} is set")
        elif runs.lacks_key(llm, self._environment):
            state = "fault"
            step = _("put your key into {variable}, or name another variable in llm.api_key_env")
        elif runs.unset_key(llm, self._environment):
            state = "warning"
            step = _("export {variable}, or leave out llm.api_key_env if the server needs no key")
        tell("key", state, message, step, variable=llm.api_key_env)

    async def _check_endpoint(self) -> None:
        llm, report, tell = self._llm, self._report, partial(self._tell, "endpoint")
        self._of_runs = providers.endpoint_of(llm, self._environment)
        times = {key: min(getattr(llm, key), REQUEST_SECONDS) for key in ("idle_timeout", "call_timeout")}
        self._endpoint = self._of_runs.changed(**times)
        self._prober = providers.Prober(self._endpoint)
        try:
            ip, proxy, tls = await providers.find_route(self._endpoint)
        except providers.UnreachableError as error:
            tell("connection", "fault", str(error), runs.no_connection_step(error, self._settings))
            return
        self._is_reached = True
        message = _("the proxy {proxy} answers") if proxy else _("{ip} answers")
        tell("connection", "ok", message + (", {tls}" if tls else ""), ip=ip, proxy=proxy, tls=tls)
        report.context_tokens = load_preset(llm.preset).known_model(llm.model).context_tokens
        await self._check_models()
        if llm.model and not runs.lacks_key(llm, self._environment):
            await self._check_request()
        report.spent = self._prober.spent

    async def _check_models(self) -> None:
        report, model, tell = self._report, self._llm.model, partial(self._tell, "endpoint", "models")
        seconds = min(self._endpoint.llm.call_timeout, 20.0)  # a list comes sooner than an answer
        try:
            report.models = models = await providers.list_models(self._endpoint.changed(call_timeout=seconds))
        except EndpointError as error:
            # no fault yet: many endpoints have no list, and the request that follows shows whether it matters
            message = _("no list of models (HTTP {status})") if error.status else _("no list of models came")
            tell("note", message, status=error.status)
            return
        # Ollama's `name` is its `name:latest`
        found = next((name for name in models if model and name in {model, f"{model}:latest"}), "")
        # a server that runs one model answers with it to any name
        reported = models.get(next(iter(models)) if len(models) == 1 else found)
        if reported is not None:
            report.context_tokens, self._context_is_reported = reported, True
        listed = ngettext("{count} model listed", "{count} models listed", len(models))
        if found:
            tell("ok", _("{listed}, {model} among them"), listed=listed, model=model)
        elif model and models:
            # no fault: gateways list less than they serve, and a server of one model answers with it to any name
            message = _("{listed}, but not {model}").format(listed=listed, model=model)
            tell("warning", message, _name_step(model, models))
        else:
            tell("note", listed, _name_step(model, models) if models else "")

    async def _check_request(self) -> None:
        llm, models, tell = self._llm, self._report.models, partial(self._tell, "endpoint")
        try:
            reply = await self._prober.greet()
        except EndpointError as error:
            # what is known beside the next step that the error itself names
            step, addresses = "", ", ".join(load_preset(llm.preset).other_base_urls)
            is_unknown = error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
            if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                if self._endpoint.api_key and addresses:
                    step = _(
                        "check the key in {variable}; one of another region belongs to llm.base_url = {addresses}"
                    ).format(variable=llm.api_key_env, addresses=addresses)
            elif is_unknown and models and llm.model not in models:
                step = _name_step(llm.model, models)
            elif is_unknown and not urlsplit(llm.base_url).path.strip("/"):
                address = public_url(llm.base_url).rstrip("/")
                step = _("try llm.base_url = {address}/v1").format(address=address)
            # a run waits for a tier
            waits = llm.tier != STANDARD_TIER and isinstance(error, CapacityError | NoContentError)
            tell("request", "warning" if waits else "fault", str(error), step)
            return
        secrets = providers.parse_address(self._endpoint).secrets
        if text := providers.redacted_line(reply.text, secrets, 40):
            message = _("answered “{text}” after {seconds:.1f} s")
            tell("request", "ok", message, text=text, seconds=reply.seconds)
            asked, served = llm.tier, reply.tier or STANDARD_TIER
            if served != asked:
                message = _("tier {asked} was asked for, and {served} answered: its price holds")
                tell("tier", "warning", message, asked=asked, served=served)
        else:
            step = _("check once more; if it stays so, name another llm.model, or look at the server's log")
            if reply.reasoning or reply.usage.reasoning_tokens:
                step = _(
                    "the model only thought: switch that off in llm.extra_body, as the endpoint documents it"
                )
            tell("request", "warning", _("answered nothing"), step)
        await self._check_abilities(reply)

    async def _check_abilities(self, reply: Reply) -> None:
        """Judge the answer, then send a few tiny requests more."""
        extra, value = self._llm.extra_body, self._llm.temperature
        await self._try("streaming", partial(self._probe_stream, reply))
        if reply.usage_reported:
            self._judge("usage", "yes", _("token counts come with the answer"))
        else:
            message = _("no token counts come; costs and limits go by our own")
            self._judge("usage", "no", message, state="warning")
        if value is None:
            self._judge("temperature", "unknown", _("not set: the endpoint decides"), state="skipped")
        elif "temperature" not in self._prober.dropped:
            self._judge("temperature", "yes", _("{value} is taken"), value=value)
        elif "temperature" in self._llm.omit:
            self._judge("temperature", "no", _("not sent: it stands in llm.omit"), state="note")
        else:
            message, step = _("{value} is refused; runs leave it out"), _('set llm.omit = ["temperature"]')
            self._judge("temperature", "no", message, step, state="warning", value=value)
        has_mark = "<think" in reply.text or "</think" in reply.text  # some servers swallow the first
        if not (reply.reasoning or reply.usage.reasoning_tokens or has_mark):
            self._judge("thinking", "no", _("the model answers without thinking first"))
        elif any(overlay(extra, fields) == extra for fields in _NO_THINKING):
            message = _("the model thinks although it is told not to")
            step = _(
                "name a model that can be told, or raise budget.max_output_tokens: thinking counts as output"
            )
            self._judge("thinking", "yes", message, step, state="warning")
        else:
            message = _("the model thinks first; that costs output tokens and time")
            step = _("switch it off in llm.extra_body, as the endpoint documents it, or with llm.preset")
            self._judge("thinking", "yes", message, step, state="warning")
        await self._try("output_limit", self._probe_output_limit, "max_tokens", "max_completion_tokens")
        await self._try("json_schema", self._probe_schema, "response_format")
        if "response_format" in extra:
            return
        await self._try("grammar", self._probe_grammar)
        with suppress(UsageError):  # there can be no prompt, as is told below
            await self._try("rows", self._probe_rows)

    async def _try(self, name: str, probe: Callable[[], Awaitable[None]], *fields: str) -> None:
        """Judge an ability by requests, unless one of their `fields` is set already."""
        if not self._llm.extra_body.keys().isdisjoint(fields):
            self._judge(name, "unknown", _("set in llm.extra_body"), state="skipped")
            return
        try:
            await probe()
        except EndpointError as error:
            self._judge(name, "unknown", str(error), state="warning")

    async def _probe_stream(self, reply: Reply) -> None:
        judge, is_wanted = partial(self._judge, "streaming"), self._llm.stream
        streamed = (reply if is_wanted else await self._prober.greet(stream=True)).streamed
        if is_wanted and streamed:
            judge("yes", _("answers come in pieces"))
        elif is_wanted:
            message = _("a stream was asked for, and the answer came whole")
            step = _("set llm.stream = false: then only llm.call_timeout counts for long answers")
            judge("no", message, step, state="warning")
        elif streamed:
            message = _("answers can come in pieces, and llm.stream is false")
            step = _(
                "set llm.stream = true: a stalled answer is noticed sooner, and a broken one is kept as far as it came"
            )
            judge("yes", message, step, state="note")
        else:
            judge("no", _("answers come whole; llm.stream is false"))

    async def _probe_output_limit(self) -> None:
        parameter, support, tokens = await self._prober.probe_output_limit()
        judge = partial(self._judge, "output_limit")
        if support == "ignored":
            message = _("answers have no limit: {tokens} tokens came where {most} were allowed")
            step = _("let fewer users go into a call (budget.max_users): costs can pass run.max_cost")
            judge(support, message, step, state="warning", tokens=tokens, most=providers.COUNTING_TOKENS)
        elif support != "yes":
            judge(support, _("not known: no answer came as far as its limit"), state="note")
        elif parameter == "max_tokens" or "max_tokens" in self._llm.omit:
            judge(parameter, _("{name} limits answers").format(name=parameter))
        else:
            message, step = _("only max_completion_tokens limits answers"), _('set llm.omit = ["max_tokens"]')
            judge(parameter, message, step, state="warning")

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
                self._judge("grammar", support, _("supported"), step, state="note", field=name)
                return
        if support:
            step, is_needed = _('set llm.constrain = "none"'), self._llm.constrain == "grammar"
            self._report_form("grammar", support, step, is_needed=is_needed)

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

    async def _probe_rows(self) -> None:
        """Ask about made-up users, more and more, until rows get lost."""
        facts = self._prompt_facts()
        builder, limits = runs.builder_and_limits(self._settings, facts)
        reader = runs.make_reader(self._settings, facts)
        day, judge = made_up_day(facts["prompt_language"]), partial(self._judge, "rows")
        kept, lost, causes = 0, 0, list[str]()
        for size in (50, 300, 1_000):
            logs = [_made_up_user(number, day) for number in range(size // _ROWS_A_USER)]
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
                judge(str(kept), message, "; ".join([*causes, step]), state="warning")
                return
            kept = size
        if kept:
            message = _("all {count} rows of made-up users came back in one answer")
            judge(str(kept), message, count=f"{kept:,}")

    def _prompt_facts(self) -> dict[str, Any]:
        """Return what a run would remember of its prompts."""
        language = self._settings.prompt.language
        language = active() if language == "auto" else language
        return {"prompt_language": language, **runs.named_texts(self._settings)}

    def _tell_prompt(self) -> None:
        tell, prompt = partial(self._tell, "run", "prompt"), self._settings.prompt
        try:
            facts = self._prompt_facts()
            _builder, limits = runs.builder_and_limits(self._settings, facts)
            limits.room  # noqa: B018  raises where the instructions leave none
            runs.make_reader(self._settings, facts)
        except UsageError as error:
            tell("fault", str(error))
            return
        message = _("answers as {answer}, level of detail {detail}; the instructions take {tokens} tokens")
        tokens = f"{limits.instructions_tokens:,}"
        tell("ok", message, answer=prompt.answer, detail=prompt.detail, tokens=tokens)

    def _tell_limits(self) -> None:
        budget, run = self._settings.budget, self._settings.run
        tokens = {"input": f"{budget.max_input_tokens:,}", "output": f"{budget.max_output_tokens:,}"}
        per_call = _("{input} tokens in, {output} out, {users} users a call")
        per_call = per_call.format(users=budget.max_users, **tokens)
        parts = [per_call, ngettext("{count} call at a time", "{count} calls at a time", run.concurrency)]
        if run.max_concurrency > run.concurrency:
            parts.append(_("up to {count} where that helps").format(count=run.max_concurrency))
        limits = run.model_dump(include={"rpm", "tpm", "max_cost", "max_total_tokens"})
        parts += [f"{name} {limit:,}" for name, limit in limits.items() if limit]
        self._tell("run", "limits", "ok", _("; ").join(parts))

    def _tell_context(self) -> None:
        """Compare the model's context with what one call may hold."""
        budget, tell = self._settings.budget, partial(self._tell, "run", "context")
        context, output = self._report.context_tokens, budget.max_output_tokens
        needed = f"{budget.max_input_tokens + output:,}"
        if context is None and self._is_reached:
            command = runs.start_command(self._settings)
            step = _("start the server with room for them: {command}") if command else ""
            message = _("not known; a call takes up to {needed} tokens")
            tell("note", message, step, needed=needed, command=command)
        elif context is not None and budget.max_input_tokens + output <= context:
            message = _("{context} tokens hold the {needed} of a call")
            tell("ok", message, context=f"{context:,}", needed=needed)
        elif context is not None:
            message = _("{context} tokens do not hold a call of {input} in and {output} out").format(
                context=f"{context:,}", input=f"{budget.max_input_tokens:,}", output=f"{output:,}"
            )
            step = _("set budget.max_input_tokens = {tokens}, or give the model a larger context")
            least = 2_000  # of input: less is not worth advising
            if context - output < least:
                step = _("set budget.max_input_tokens = {input} and budget.max_output_tokens = {output}")
            step = step.format(tokens=context - output, input=context * 3 // 4, output=context // 4)
            tell("fault" if self._context_is_reported else "warning", message, step)

    def _tell_model(self) -> None:
        """Compare the limits of an answer and of a prompt with what the preset knows of the model."""
        llm, budget, tell = self._llm, self._settings.budget, partial(self._tell, "run")
        known = load_preset(llm.preset).known_model(llm.model)
        most, limit = known.max_output_tokens or budget.max_output_tokens, budget.max_output_tokens
        facts = {"model": llm.model, "most": f"{most:,}", "asked": f"{limit:,}"}
        if limit > most:
            message = _("answers of {model} have at most {most} tokens, budget.max_output_tokens is {asked}")
            step = _("set budget.max_output_tokens = {most}").format(most=most)
            tell("answer_length", "warning", message, step, **facts)
        elif limit < most:
            message = _("{model} can answer with up to {most} tokens; budget.max_output_tokens is {asked}")
            tell("answer_length", "note", message, _("see what more would save: eventabs estimate"), **facts)
        if known.repriced_above and budget.max_input_tokens > known.repriced_above:
            message = _(
                "above {limit} tokens a prompt of {model} makes the whole call dearer; one may have {most}"
            )
            facts |= {"limit": f"{known.repriced_above:,}", "most": f"{budget.max_input_tokens:,}"}
            step = _("set budget.max_input_tokens = {tokens}")
            tell("repricing", "warning", message, step, tokens=known.repriced_above, **facts)

    def _tell_price(self) -> None:
        llm, price, tell = self._llm, self._llm.price, partial(self._tell, "run", "price")
        if price.input is None or price.output is None:
            step = _("set input and output under [llm.price], as your contract has them")
            if self._settings.run.max_cost:
                tell("fault", _("not set, but run.max_cost needs them"), step)
            else:
                tell("note", _("not set: no costs are shown"), step)
            return
        cached = price.input if price.cached_input is None else price.cached_input
        message = _("{input} in, {cached} in from the cache, {output} out, {currency} a million tokens")
        message = message.format(cached=cached, **dict(price))
        known = load_preset(llm.preset).known_model(llm.model).price
        prices = (price.input, price.output, price.currency)
        if known and prices == (known.input, known.output, known.currency):
            template = _("{price}; as {source} had it on {date}")
            message = template.format(price=message, source=known.source, date=known.read.isoformat())
        tell("ok", message)

    def _tell_input(self) -> None:
        given, tell = self._settings.input, partial(self._tell, "run", "input")
        paths = [path for path in given.paths if path != runs.STDIN]
        profiles = [given.profiles] if given.profiles else []
        try:
            check_zone(given.timezone)
            expand(profiles)
            found = [*expand(paths, profiles), *find_objects(paths, profiles)]
            find_objects(profiles)
        except UsageError as error:
            tell("fault", str(error))
            return
        if paths:
            message = ngettext("{count} file is there", "{count} files are there", len(found))
            tell("ok", message, _("see what a run would take: eventabs estimate"))
        else:
            tell("skipped", _("no input.paths: name the export on the command line"))


def _made_up_user(number: int, day: Sequence[Behavior]) -> UserLog:
    """Return a user who does much the same every day, a little later than the one before."""
    later = (timedelta(days=days, minutes=number) for days in count())
    behaviors = (each._replace(start=each.start + by) for by in later for each in day)
    return UserLog(f"made-up {number}", tuple(islice(behaviors, _ROWS_A_USER)))


def _name_step(model: str, models: Collection[str]) -> str:
    """Return the next step where the list lacks the model, or none is named."""
    by_lower = {name.lower(): name for name in models}
    if similar := get_close_matches(model.lower(), by_lower, n=3, cutoff=0.4):
        names = ", ".join(by_lower[name] for name in similar)
        return _("set llm.model to one that it lists, such as {names}").format(names=names)
    shown = [*islice(models, _SHOWN_MODELS), *(["…"] if len(models) > _SHOWN_MODELS else [])]
    return _("set llm.model to one that it lists: {names}").format(names=", ".join(shown))
