"""The config file: which one is in force, and what stands in it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventabs.errors import ConfigError
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
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = _("config file {path} cannot be read: {error}; mend it or name another with --config")
        raise ConfigError(message.format(path=path, error=error)) from None
