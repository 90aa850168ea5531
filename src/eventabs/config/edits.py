"""Changes to a config file that leave the rest of it as it is: comments, order, blank lines. Only here is tomlkit known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from eventabs.config.settings import load_settings
from eventabs.errors import ConfigError
from eventabs.language import gettext as _


def edited_config(path: Path, values: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Return the text of a config file as it is ("" where there is none), and with some settings, nested as in the TOML.

    Raises ConfigError where the file cannot be read, or would not hold afterwards.
    """
    before = path.read_text("utf-8-sig") if path.exists() else ""
    try:
        document = tomlkit.parse(before)
        for section, settings in values.items():
            table = document.setdefault(section, tomlkit.table())
            for key, value in settings.items():
                if table.get(key) != value:
                    table[key] = value
        after = tomlkit.dumps(document)
    except (TOMLKitError, AttributeError, TypeError) as error:
        message = _("config file {path} cannot be changed: {error}; set {settings} by hand")
        names = ", ".join(f"{section}.{key}" for section, each in values.items() for key in each)
        raise ConfigError(message.format(path=path, error=error, settings=names)) from None
    load_settings(None, tomlkit.parse(after).unwrap(), isolated=True)
    return before, after
