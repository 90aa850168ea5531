"""Which language the tool speaks: --lang, EVENTABS_LANG, the config file, the run itself, the locale."""

import os
import sys
from pathlib import Path

from eventabs import language
from eventabs.config import find_config, read_toml
from eventabs.errors import ConfigError
from eventabs.language import gettext as _

_NAMES = ("auto", *language.LANGUAGES)


def settle(of_the_run: str = "") -> None:
    """Speak the language that this process was asked for; `of_the_run`: the one that a run was begun with.

    A config file that cannot be read names none; who loads it will say so.
    """
    language.activate(
        language.requested(sys.argv[1:], os.environ, configured=_configured(), remembered=of_the_run)
    )


def refuse_unknown() -> None:
    """Raise ConfigError where EVENTABS_LANG names a language that there is not."""
    named = os.environ.get("EVENTABS_LANG", "")
    if named and named not in _NAMES:
        message = _("EVENTABS_LANG takes one of: {choices}")
        raise ConfigError(message.format(choices=", ".join(_NAMES)))


def _configured() -> str:
    named = language.flag_value("--config", sys.argv[1:])
    path = find_config(Path(named) if named else None, os.environ)
    try:
        return str(read_toml(path).get("lang", "")) if path else ""
    except ConfigError:
        return ""
