"""What `eventabs check` finds in the settings, without a request."""

from collections.abc import Iterator, Mapping

from eventabs.config import Settings
from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.llm.preset import load_preset
from eventabs.runs.asking import endpoint_of, lacks_key, no_model
from eventabs.runs.findings import Finding


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
    return Finding("settings", "model", "fault", no_model(settings.llm.preset))


def _address(settings: Settings, environment: Mapping[str, str]) -> Finding:
    from eventabs.llm.endpoint import parse_address  # noqa: PLC0415  the HTTP stack takes long to load

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
