"""The two languages that people see: English in the code, Chinese from a gettext catalogue."""

import gettext as _gettext
import locale
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

_DOMAIN = "eventabs"
_LOCALES = str(Path(__file__).parent / "locales")


def gettext(message: str) -> str:
    """Return the message in the active language."""
    return _catalogue(active()).gettext(message)


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the message for a number in the active language."""
    return _catalogue(active()).ngettext(singular, plural, number)


def activate(language: Language) -> None:
    """Speak `language`, also where typer itself does.

    typer looks its own words up in the standard library's process-wide domain.
    """
    _gettext.bindtextdomain(_DOMAIN, _LOCALES)
    _gettext.textdomain(_DOMAIN)
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


@cache
def _catalogue(language: Language) -> _gettext.NullTranslations:
    """Open a catalogue once: the standard library looks for it on disk at every message."""
    return _gettext.translation(_DOMAIN, _LOCALES, languages=[language], fallback=True)


def _flag_value(arguments: Sequence[str]) -> str:
    for position, argument in enumerate(arguments):
        if argument == "--lang":
            return "".join(arguments[position + 1 : position + 2])
        if argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
    return ""
