"""A run directory may come from anywhere: its endpoint gets a key only when somebody here named it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventabs.config import LlmSettings, Settings, environment_values, find_config, overlay, read_toml
from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.runs.binding import host_of

_CONNECTION = ("base_url", "proxy", "ca_file", "api_key_env")  # each can lead a key astray


def refuse_unknown_endpoint(
    settings: Settings, *, config: Path | None, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> None:
    """Raise RunDirectoryError where a key would go where only the run directory says.

    `config` is the file named on the command line; what counts is it, the config found here, the
    environment, the flags and the defaults.
    """
    if settings.provider != "openai" or not environment.get(settings.llm.api_key_env):
        return
    here = find_config(config, environment)
    named: dict[str, Any] = {}
    for layer in (read_toml(here) if here else {}, environment_values(), flags):
        named = overlay(named, layer.get("llm", {}))
    for key in _CONNECTION:
        value = getattr(settings.llm, key)
        if value not in (LlmSettings.model_fields[key].default, named.get(key)):
            message = _(
                "the run directory alone says that {host} gets your API key (llm.{key}); confirm with --yes"
            )
            raise RunDirectoryError(message.format(host=host_of(settings.llm.base_url), key=key))
