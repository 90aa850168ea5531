"""How the layers of settings lie over each other, and where a preset lies among them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventabs import providers  # loads presets, and with them pydantic, when they are first looked up
from eventabs.errors import ConfigError, toml_fault
from eventabs.language import gettext as _

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
    except tomllib.TOMLDecodeError as error:
        fault = toml_fault(error)
    except UnicodeDecodeError:
        fault = _("it is not UTF-8")
    except OSError as error:
        fault = error.strerror or str(error)
    message = _("config file {path} cannot be read: {error}; mend it or name another with --config")
    raise ConfigError(message.format(path=path, error=fault))


_SET_BY_PRESETS = ("base_url", "api_key_env", "omit", "grammar_field", "extra_body", "price")
_SET_BY_TIERS = ("idle_timeout", "call_timeout", "stream")
_AMOUNTS = ("input", "cached_input", "output", "currency")  # of a price; its factors hold at any address


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested tables over each other: what stands above wins, key by key."""
    tables = (key for key, value in above.items() if isinstance(value, Mapping))
    both = [key for key in tables if isinstance(below.get(key), Mapping)]
    return {**below, **above, **{key: overlay(below[key], above[key]) for key in both}}


def with_preset(named: Mapping[str, Any]) -> dict[str, Any]:
    """Lay named values (nested, as in the TOML) over the values of the preset and the tier that they name.

    Raises ConfigError for a preset that does not exist, and a tier that it does not have.
    """
    preset, model, tier = _choice(named)
    below = providers.find_tier(tier, preset).settings()
    if preset:
        below |= providers.load_preset(preset).settings(model)
        below["price"] = _price_below(below, named["llm"])
    return overlay({"llm": below}, named) if below else dict(named)


def _price_below(known: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preset's price under what is named: of its amounts none beside others, or for another address."""
    price = named.get("price")
    own = isinstance(price, Mapping) and {"input", "output", "currency"} & price.keys()
    elsewhere = named.get("base_url", known["base_url"]) != known["base_url"]
    left_out = _AMOUNTS if own or elsewhere else ()
    return {key: value for key, value in known["price"].items() if key not in left_out}


def over_stored(stored: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what is named today over the settings that a run began with.

    Under the same preset, model and tier these stay, also where the preset itself has changed since. Under
    another, what the one before has set holds no more. Raises ConfigError as `with_preset`.
    """
    values = overlay(stored, named)
    *before, tier_before = _choice(stored)
    *now, tier = _choice(values)
    other_preset = before != now and (before[0] or now[0])
    if not other_preset and tier == tier_before:
        return values
    gone = (_SET_BY_PRESETS if other_preset else ()) + (_SET_BY_TIERS if tier != tier_before else ())
    kept = {key: value for key, value in stored.get("llm", {}).items() if key not in gone}
    return with_preset(overlay({**stored, "llm": kept}, named))


def _choice(values: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return preset, model and tier; what they are by default for what is missing or no name, which validation reports."""
    llm = values.get("llm")
    chosen = {"preset": "", "model": "", "tier": "standard"}
    if isinstance(llm, Mapping):
        chosen |= {key: llm[key] for key in chosen if isinstance(llm.get(key), str)}
    return chosen["preset"], chosen["model"], chosen["tier"]
