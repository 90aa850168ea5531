"""The two languages that people see: English in the code, Chinese from a gettext catalogue."""

import gettext as _gettext
import locale
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

DOMAIN = "eventabs"
LOCALES = str(Path(__file__).parent / "locales")


def gettext(message: str) -> str:
    """Return the message in the active language."""
    return _Active.catalogue.gettext(message)


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the message for a number in the active language; `{count}` in it is the number."""
    return _Active.catalogue.ngettext(singular, plural, number).replace("{count}", f"{number:,}")


class _Active:
    language: Language = "en"
    catalogue = _gettext.NullTranslations()


def activate(language: Language) -> None:
    """Choose the language of messages, for the whole process."""
    _Active.language = language
    _Active.catalogue = _gettext.translation(DOMAIN, LOCALES, languages=[language], fallback=True)


def active() -> Language:
    """Return the language that `activate` chose, English before."""
    return _Active.language


def requested(arguments: Sequence[str], environment: Mapping[str, str], *, configured: str = "") -> Language:
    """Find the language before the command line is parsed: --lang, EVENTABS_LANG, the `configured` one; with "auto", or none, the locale."""
    asked_for = flag_value("--lang", arguments) or environment.get("EVENTABS_LANG", "")
    named = asked_for if asked_for in (*LANGUAGES, "auto") else configured
    if named in LANGUAGES:
        return named
    value = next(filter(None, map(environment.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "zh" if locale.normalize(value).startswith("zh") else "en"


def flag_value(flag: str, arguments: Sequence[str]) -> str:
    """Return what a flag is set to on a command line that is not parsed yet, "" where it is not there."""
    for position, argument in enumerate(arguments):
        if argument == flag:
            return "".join(arguments[position + 1 : position + 2])
        if argument.startswith(f"{flag}="):
            return argument.removeprefix(f"{flag}=")
    return ""
