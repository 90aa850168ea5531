"""The two languages that people see: English in the code, Chinese from a gettext catalogue."""

import gettext as _gettext
import locale
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

gettext = _gettext.gettext
ngettext = _gettext.ngettext


def activate(language: Language) -> None:
    """Make gettext speak `language`, also for what typer itself says.

    The standard library's process-wide domain is used because typer looks its own words up there.
    """
    domain = "eventabs"
    _gettext.bindtextdomain(domain, str(Path(__file__).parent / "locales"))
    _gettext.textdomain(domain)
    os.environ["LANGUAGE"] = language


def active() -> Language:
    """Return the language that `activate` chose, English before."""
    return "zh" if os.environ.get("LANGUAGE", "").startswith("zh") else "en"


def requested(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """Find the language before the command line is parsed: --lang, EVENTABS_LANG, then the locale."""
    named = _flag_value(arguments) or environment.get("EVENTABS_LANG", "")
    if named in LANGUAGES:
        return named
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(variable):
            return "zh" if locale.normalize(value).startswith("zh") else "en"
    return "en"


def _flag_value(arguments: Sequence[str]) -> str:
    for position, argument in enumerate(arguments):
        if argument == "--lang":
            return "".join(arguments[position + 1 : position + 2])
        if argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
    return ""
