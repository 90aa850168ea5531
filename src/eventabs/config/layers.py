"""How the layers of settings lie over each other, and where a preset lies among them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.providers import load_preset

DEFAULT_CONFIG = Path("eventabs.toml")


def find_config(named: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return the config file in force: --config, $EVENTABS_CONFIG, ./eventabs.toml, or None."""
    if named is not None:
        return named
    if from_environment := environment.get("EVENTABS_CONFIG"):
        return Path(from_environment)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises ConfigError where it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        message = _("config file {path} does not exist; name another with --config")
        raise ConfigError(message.format(path=path)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = _("config file {path} cannot be read: {error}; mend it or name another with --config")
        raise ConfigError(message.format(path=path, error=error)) from None


_SET_BY_PRESETS = ("base_url", "api_key_env", "omit", "grammar_field", "extra_body")


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested tables over each other: what stands above wins, key by key."""
    tables = (key for key, value in above.items() if isinstance(value, Mapping))
    both = [key for key in tables if isinstance(below.get(key), Mapping)]
    return {**below, **above, **{key: overlay(below[key], above[key]) for key in both}}


def with_preset(named: Mapping[str, Any]) -> dict[str, Any]:
    """Lay named values (nested, as in the TOML) over the values of the preset that it names.

    Raises ConfigError for a preset that does not exist.
    """
    preset, model = _choice(named)
    return overlay({"llm": load_preset(preset).settings(model)}, named) if preset else dict(named)


def over_stored(stored: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what is named today over the settings that a run began with.

    Under the same preset and model these stay, also where the preset itself has changed since. Under
    another, what the one before has set holds no more. Raises ConfigError as `with_preset`.
    """
    values = overlay(stored, named)
    before, now = _choice(stored), _choice(values)
    if before == now or not (before[0] or now[0]):
        return values
    kept = {key: value for key, value in stored.get("llm", {}).items() if key not in _SET_BY_PRESETS}
    return with_preset(overlay({**stored, "llm": kept}, named))


def _choice(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of preset and model; "" for what is missing or no name, which validation reports."""
    llm = values.get("llm")
    if not isinstance(llm, Mapping):
        return "", ""
    preset, model = llm.get("preset"), llm.get("model")
    return (preset if isinstance(preset, str) else "", model if isinstance(model, str) else "")
