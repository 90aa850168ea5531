"""The sequence of `eventabs check`: settings, endpoint, abilities, run; and the checks that need no request."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from eventabs.checks.findings import CheckReport, EndpointFacts, Finding, OnFinding, State
from eventabs.config import Settings
from eventabs.errors import ConfigError, UsageError
from eventabs.ingest import check_zone, expand, find_objects, scratch_database
from eventabs.language import active, gettext as _, ngettext
from eventabs.providers import KnownPrice, kind_of, load_preset, load_rules, parse_address
from eventabs.records import STANDARD_TIER
from eventabs.runs import (
    STDIN,
    batch_limits,
    endpoint_of,
    lacks_key,
    make_builder,
    no_model_message,
    repriced_above,
    rules_text,
    start_command,
    template_text,
    unset_key,
)
from eventabs.store import host_of


async def check(
    settings: Settings, config_file: str, environment: Mapping[str, str], on_finding: OnFinding
) -> CheckReport:
    """Check the settings, the endpoint and what a run would do; `on_finding` gets each finding at once."""
    started = time.monotonic()
    llm = settings.llm
    findings: list[Finding] = []

    def add(finding: Finding) -> None:
        findings.append(finding)
        on_finding(finding)

    for finding in _settings_findings(settings, config_file, environment):
        add(finding)
    is_remote = kind_of(settings.provider).is_remote
    facts = EndpointFacts()
    if is_remote and not any(found.name == "address" and found.state == "fault" for found in findings):
        from eventabs.checks.endpoint import EndpointCheck  # noqa: PLC0415  the HTTP stack takes long to load

        facts = await EndpointCheck(settings, environment, add).run()
    for finding in _run_findings(settings, facts):
        add(finding)
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
        cost=llm.price.of_tokens().cost(
            spent.prompt_tokens, spent.completion_tokens, spent.cached_tokens, llm.tier
        ),
        currency=llm.price.currency,
        seconds=time.monotonic() - started,
    )


def _settings_findings(
    settings: Settings, config_file: str, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield which settings are in force, and whether requests could be sent with them."""
    is_remote = kind_of(settings.provider).is_remote
    model, preset = settings.llm.model, settings.llm.preset
    if config_file:
        yield Finding("settings", "config", "ok", config_file)
    else:
        message = _("no file; the defaults, EVENTABS_ variables and flags are in force")
        step = _("`eventabs init` writes one; or name a file with --config")
        yield Finding("settings", "config", "note", message, "" if is_remote else step)
    if not is_remote:
        message = _("rules: built in, no endpoint is needed and nothing leaves this machine")
        yield Finding("settings", "provider", "ok", message)
        return
    yield Finding("settings", "provider", "ok", _("openai: a model at an OpenAI-compatible endpoint"))
    if preset:
        date = load_preset(preset).read.isoformat()
        message = _("{preset}, as its documentation was on {date}").format(preset=preset, date=date)
        yield Finding("settings", "preset", "ok", message)
    message = model or no_model_message(preset)
    yield Finding("settings", "model", "ok" if model else "fault", message)
    yield _address(settings, environment)
    yield from _tier(settings)
    yield _key(settings, environment)


def _address(settings: Settings, environment: Mapping[str, str]) -> Finding:
    try:
        address = parse_address(endpoint_of(settings.llm, environment))
    except ConfigError as error:
        return Finding("settings", "address", "fault", str(error))
    return Finding("settings", "address", "ok", str(address.url.copy_with(query=None)))


def _key(settings: Settings, environment: Mapping[str, str]) -> Finding:
    variable = settings.llm.api_key_env
    if environment.get(variable):
        return Finding("settings", "key", "ok", _("{variable} is set").format(variable=variable))
    message = _("{variable} is not set: no key is sent").format(variable=variable)
    if lacks_key(settings.llm, environment):
        step = _("put your key into {variable}, or name another variable in llm.api_key_env")
        return Finding("settings", "key", "fault", message, step.format(variable=variable))
    if unset_key(settings.llm, environment):
        step = _("export {variable}, or leave out llm.api_key_env if the server needs no key")
        return Finding("settings", "key", "warning", message, step.format(variable=variable))
    return Finding("settings", "key", "note", message)


_MIN_INPUT_TOKENS = 2_000  # less is not worth advising


def _run_findings(settings: Settings, facts: EndpointFacts) -> Iterator[Finding]:
    """Yield what a run would do with these settings."""
    yield _prompt(settings)
    yield _limits(settings)
    if kind_of(settings.provider).is_remote:
        yield from _context(settings, facts)
        yield from _longest_answer(settings)
        yield _price(settings)
        yield from _repricing(settings)
    yield _input(settings)


def _prompt(settings: Settings) -> Finding:
    answer, detail = settings.prompt.answer, settings.prompt.detail
    language = active() if settings.prompt.language == "auto" else settings.prompt.language
    try:
        builder = make_builder(settings, language, template_text(settings))
        limits = batch_limits(settings, builder)
        limits.room  # noqa: B018  raises where the instructions leave none
        if not kind_of(settings.provider).is_remote:
            load_rules(rules_text(settings), language)
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
    at_a_time = ngettext("{count} call at a time", "{count} calls at a time", run.concurrency)
    parts = [per_call, at_a_time.format(count=run.concurrency)]
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
        command = start_command(settings)
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
        yield Finding("run", "context", state, message, _smaller_budget(context, output))


def _smaller_budget(context: int, output: int) -> str:
    room = context - output
    if room >= _MIN_INPUT_TOKENS:
        message = _("set budget.max_input_tokens = {tokens}, or give the model a larger context")
        return message.format(tokens=room)
    message = _("set budget.max_input_tokens = {input} and budget.max_output_tokens = {output}")
    return message.format(input=context * 3 // 4, output=context // 4)


def _longest_answer(settings: Settings) -> Iterator[Finding]:
    """Compare the limit of an answer with the model's, where the preset has one."""
    if not settings.llm.preset:
        return
    most = load_preset(settings.llm.preset).known_model(settings.llm.model).max_output_tokens
    limit = settings.budget.max_output_tokens
    if most is None or limit == most:
        return
    if limit > most:
        message = _("answers of {model} have at most {most} tokens, budget.max_output_tokens is {asked}")
        step = _("set budget.max_output_tokens = {most}").format(most=most)
        state: State = "warning"
    else:
        message = _("{model} can answer with up to {most} tokens; budget.max_output_tokens is {asked}")
        step = _("see what more would save: eventabs estimate")
        state = "note"
    message = message.format(model=settings.llm.model, most=f"{most:,}", asked=f"{limit:,}")
    yield Finding("run", "answer_length", state, message, step)


def _price(settings: Settings) -> Finding:
    price = settings.llm.price
    if price.input is None or price.output is None:
        step = _("set input and output under [llm.price], as your contract has them")
        if settings.run.max_cost:
            return Finding("run", "price", "fault", _("not set, but run.max_cost needs them"), step)
        return Finding("run", "price", "note", _("not set: no costs are shown"), step)
    cached = price.input if price.cached_input is None else price.cached_input
    message = _("{input} in, {cached} in from the cache, {output} out, {currency} a million tokens").format(
        input=price.input, cached=cached, output=price.output, currency=price.currency
    )
    if (known := _known_price(settings)) is not None:
        template = _("{price}; as {source} had it on {date}")
        message = template.format(price=message, source=known.source, date=known.read.isoformat())
    return Finding("run", "price", "ok", message)


def _known_price(settings: Settings) -> KnownPrice | None:
    """Return the preset's price where that is the one in force."""
    llm = settings.llm
    known = load_preset(llm.preset).known_model(llm.model).price if llm.preset else None
    amounts = llm.price.input, llm.price.output, llm.price.currency
    in_force = known is not None and amounts == (known.input, known.output, known.currency)
    return known if in_force else None


def _tier(settings: Settings) -> Iterator[Finding]:
    """Yield what a tier other than the ordinary one means for calls."""
    llm = settings.llm
    if llm.tier == STANDARD_TIER:
        return
    factor = llm.price.of_tokens().factors.get(llm.tier)
    if factor is None:
        message = _("{tier}; its price is not known, so calls are counted at the ordinary one")
        step = _("set llm.price.{tier}, such as 0.5").format(tier=llm.tier)
        yield Finding("settings", "tier", "note", message.format(tier=llm.tier), step)
        return
    message = _("{tier}: {factor} of the ordinary price; a call may wait {seconds:g} s for its answer")
    message = message.format(tier=llm.tier, factor=f"{factor:.0%}", seconds=llm.call_timeout)
    yield Finding("settings", "tier", "ok", message)


def _repricing(settings: Settings) -> Iterator[Finding]:
    """Compare the longest prompt with the length from which on a vendor has a higher price."""
    limit, most = repriced_above(settings.llm), settings.budget.max_input_tokens
    if limit is None or most <= limit:
        return
    message = _("above {limit} tokens a prompt of {model} makes the whole call dearer; one may have {most}")
    message = message.format(limit=f"{limit:,}", model=settings.llm.model, most=f"{most:,}")
    step = _("set budget.max_input_tokens = {tokens}").format(tokens=limit)
    yield Finding("run", "repricing", "warning", message, step)


def _input(settings: Settings) -> Finding:
    paths = [path for path in settings.input.paths if path != STDIN]
    profiles = [settings.input.profiles] if settings.input.profiles else []
    try:
        if settings.input.timezone:
            with (
                tempfile.TemporaryDirectory(prefix="eventabs-") as folder,
                scratch_database(Path(folder) / "reading.tmp", []) as connection,
            ):
                check_zone(connection, settings.input.timezone)
        expand(profiles)
        found = [*expand(paths, profiles), *find_objects(paths, profiles)]
        find_objects(profiles)
    except UsageError as error:
        return Finding("run", "input", "fault", str(error))
    if not paths:
        return Finding("run", "input", "skipped", _("no input.paths: name the export on the command line"))
    message = ngettext("{count} file is there", "{count} files are there", len(found))
    step = _("see what a run would take: eventabs estimate")
    return Finding("run", "input", "ok", message.format(count=f"{len(found):,}"), step)
