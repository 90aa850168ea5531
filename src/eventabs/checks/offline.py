"""What `eventabs check` finds of a run with these settings, without a request."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from eventabs.checks.findings import EndpointFacts, Finding, State
from eventabs.config import Settings
from eventabs.errors import ConfigError, UsageError
from eventabs.ingest import check_zone, expand, scratch_database
from eventabs.language import Language, active, gettext as _, ngettext
from eventabs.providers import load_preset
from eventabs.providers.rules import load_rules
from eventabs.runs import (
    STDIN,
    batch_limits,
    endpoint_of,
    lacks_key,
    make_builder,
    no_model_message,
    rules_text,
    start_command,
    template_text,
)


def settings_findings(
    settings: Settings, config_file: str, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Say which settings are in force and whether an endpoint could be asked with them."""
    if config_file:
        yield Finding("settings", "config", "ok", config_file)
    else:
        said = _("no file; the defaults, EVENTABS_ variables and flags are in force")
        step = _("write eventabs.toml, or name a file with --config; config.example.toml has all settings")
        yield Finding("settings", "config", "note", said, step if settings.provider == "rules" else "")
    if settings.provider == "rules":
        said = _("rules: built in, no endpoint is needed and nothing leaves this machine")
        yield Finding("settings", "provider", "ok", said)
        return
    yield Finding("settings", "provider", "ok", _("openai: a model at an OpenAI-compatible endpoint"))
    if settings.llm.preset:
        read = load_preset(settings.llm.preset).read.isoformat()
        said = _("{preset}, as its documentation was on {date}").format(preset=settings.llm.preset, date=read)
        yield Finding("settings", "preset", "ok", said)
    yield _model(settings)
    yield _address(settings, environment)
    yield _key(settings, environment)


def _model(settings: Settings) -> Finding:
    if settings.llm.model:
        return Finding("settings", "model", "ok", settings.llm.model)
    return Finding("settings", "model", "fault", no_model_message(settings.llm.preset))


def _address(settings: Settings, environment: Mapping[str, str]) -> Finding:
    from eventabs.providers.openai import parse_address  # noqa: PLC0415  the HTTP stack takes long to load

    try:
        address = parse_address(endpoint_of(settings.llm, environment))
    except ConfigError as error:
        return Finding("settings", "address", "fault", str(error))
    return Finding("settings", "address", "ok", str(address.url.copy_with(query=None)))


def _key(settings: Settings, environment: Mapping[str, str]) -> Finding:
    variable = settings.llm.api_key_env
    if environment.get(variable):
        return Finding("settings", "key", "ok", _("{variable} is set").format(variable=variable))
    said = _("{variable} is not set: no key is sent").format(variable=variable)
    if lacks_key(settings.llm, environment):
        step = _("put your key into {variable}, or name another variable in llm.api_key_env")
        return Finding("settings", "key", "fault", said, step.format(variable=variable))
    return Finding("settings", "key", "note", said)


_LEAST_INPUT_TOKENS = 2_000  # less is not worth advising


def run_findings(settings: Settings, facts: EndpointFacts) -> Iterator[Finding]:
    """Say what a run would do with these settings."""
    yield from _prompt(settings)
    yield _limits(settings)
    if settings.provider == "openai":
        yield from _context(settings, facts)
        yield from _longest_answer(settings)
        yield _price(settings)
    yield _input(settings)


def _prompt(settings: Settings) -> Iterator[Finding]:
    answer, detail = settings.prompt.answer, settings.prompt.detail
    try:
        builder = make_builder(settings, _language(settings), template_text(settings))
        limits = batch_limits(settings, builder)
        limits.room  # noqa: B018  raises where the instructions leave none
        if settings.provider == "rules":
            load_rules(rules_text(settings), _language(settings))
    except UsageError as error:
        yield Finding("run", "prompt", "fault", str(error))
        return
    said = _("answers as {answer}, level of detail {detail}; the instructions take {tokens} tokens")
    yield Finding(
        "run",
        "prompt",
        "ok",
        said.format(answer=answer, detail=detail, tokens=f"{limits.instructions_tokens:,}"),
    )


def _limits(settings: Settings) -> Finding:
    budget, run = settings.budget, settings.run
    said = [
        _("{input} tokens in, {output} out, {users} users a call").format(
            input=f"{budget.max_input_tokens:,}",
            output=f"{budget.max_output_tokens:,}",
            users=budget.max_users,
        ),
        ngettext("{count} call at a time", "{count} calls at a time", run.concurrency).format(
            count=run.concurrency
        ),
    ]
    if run.max_concurrency > run.concurrency:
        said.append(_("up to {count} where that helps").format(count=run.max_concurrency))
    limits = {
        "rpm": run.rpm,
        "tpm": run.tpm,
        "max_cost": run.max_cost,
        "max_total_tokens": run.max_total_tokens,
    }
    said += [f"{name} {limit:,}" for name, limit in limits.items() if limit]
    return Finding("run", "limits", "ok", _("; ").join(said))


def _context(settings: Settings, facts: EndpointFacts) -> Iterator[Finding]:
    """Compare the model's context with what one call may hold."""
    context = facts.context_tokens
    output = settings.budget.max_output_tokens
    needed = settings.budget.max_input_tokens + output
    if context is None:
        if not facts.is_reached:
            return
        said = _("not known; a call takes up to {needed} tokens").format(needed=f"{needed:,}")
        command = start_command(settings)
        step = _("start the server with room for them: {command}").format(command=command) if command else ""
        yield Finding("run", "context", "note", said, step)
    elif needed <= context:
        said = _("{context} tokens hold the {needed} of a call")
        yield Finding("run", "context", "ok", said.format(context=f"{context:,}", needed=f"{needed:,}"))
    else:
        said = _("{context} tokens do not hold a call of {input} in and {output} out").format(
            context=f"{context:,}", input=f"{settings.budget.max_input_tokens:,}", output=f"{output:,}"
        )
        state: State = "fault" if facts.context_is_told else "warning"
        yield Finding("run", "context", state, said, _smaller(context, output))


def _smaller(context: int, output: int) -> str:
    room = context - output
    if room >= _LEAST_INPUT_TOKENS:
        return _("set budget.max_input_tokens = {tokens}, or give the model a larger context").format(
            tokens=room
        )
    return _("set budget.max_input_tokens = {input} and budget.max_output_tokens = {output}").format(
        input=context * 3 // 4, output=context // 4
    )


def _longest_answer(settings: Settings) -> Iterator[Finding]:
    """Compare the limit of an answer with what the preset knows of the model."""
    if not settings.llm.preset:
        return
    most = load_preset(settings.llm.preset).known_model(settings.llm.model).max_output_tokens
    asked = settings.budget.max_output_tokens
    if most is None or asked == most:
        return
    if asked > most:
        said = _("answers of {model} have at most {most} tokens, budget.max_output_tokens is {asked}")
        step = _("set budget.max_output_tokens = {most}").format(most=most)
        state: State = "warning"
    else:
        said = _("{model} can answer with up to {most} tokens; budget.max_output_tokens is {asked}")
        step = _("see what more would save: eventabs estimate")
        state = "note"
    said = said.format(model=settings.llm.model, most=f"{most:,}", asked=f"{asked:,}")
    yield Finding("run", "answer_length", state, said, step)


def _price(settings: Settings) -> Finding:
    price = settings.llm.price
    if price.input is None or price.output is None:
        step = _("set input and output under [llm.price], as your contract has them")
        if settings.run.max_cost:
            said = _("not set, but run.max_cost needs them")
            return Finding("run", "price", "fault", said, step)
        return Finding("run", "price", "note", _("not set: no costs are shown"), step)
    said = _("{input} in, {output} out, {currency} a million tokens")
    return Finding(
        "run", "price", "ok", said.format(input=price.input, output=price.output, currency=price.currency)
    )


def _input(settings: Settings) -> Finding:
    paths = [path for path in settings.input.paths if path != STDIN]
    profiles = [settings.input.profiles] if settings.input.profiles else []
    try:
        _refuse_unknown_zone(settings.input.timezone)
        expand(profiles)
        found = expand(paths, profiles)
    except UsageError as error:
        return Finding("run", "input", "fault", str(error))
    if not paths:
        return Finding("run", "input", "skipped", _("no input.paths: name the export on the command line"))
    said = ngettext("{count} file is there", "{count} files are there", len(found))
    return Finding(
        "run",
        "input",
        "ok",
        said.format(count=f"{len(found):,}"),
        _("see what a run would take: eventabs estimate"),
    )


def _refuse_unknown_zone(zone: str) -> None:
    if zone:
        with (
            tempfile.TemporaryDirectory(prefix="eventabs-") as folder,
            scratch_database(Path(folder) / "reading.tmp", []) as connection,
        ):
            check_zone(connection, zone)


def _language(settings: Settings) -> Language:
    return settings.prompt.language if settings.prompt.language != "auto" else active()
