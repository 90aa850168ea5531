"""What is wrong with settings, in our own words. Values are never repeated: one may be a key in the wrong place."""

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import ValidationError

from eventabs.errors import SettingFault
from eventabs.language import gettext as _

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


Step = int | str
_CHOICE = re.compile(r"'([^']*)'")


def described(
    error: ValidationError, origin_of: Callable[[tuple[Step, ...]], str], names: Sequence[str], passed: str
) -> Iterator[SettingFault]:
    """Yield each fault.

    `origin_of` names where a setting, as the steps to it, was set; `names`: all settings, as `llm.model`. `passed`: the
    origin of what the caller passed.
    """
    for fault in error.errors(include_url=False):
        key = ".".join(str(step) for step in fault["loc"])
        nearest = _nearest(key, names)
        message = _("{origin}: {key}: {fault}; `eventabs init --output -` explains every setting")
        if fault["type"] == "extra_forbidden":
            message = _("{origin}: there is no setting {key}; `eventabs init --output -` lists them all")
            if nearest:
                message = _("{origin}: there is no setting {key}; the nearest in name is {nearest}")
        origin, what = origin_of(fault["loc"]), _words(fault)
        line = message.format(origin=origin, key=key, fault=what, nearest=nearest)
        yield SettingFault(key, what, line, passed=origin == passed)


def _nearest(key: str, names: Sequence[str]) -> str:
    """Return the setting with the nearest name, first of those in the same table; "" where none is near."""
    table, _dot, last = key.rpartition(".")
    level = [name for name in names if name.count(".") == key.count(".")]
    for those in ([name for name in level if name.rpartition(".")[0] == table], level):
        by_last = {name.rpartition(".")[2]: name for name in reversed(those)}
        if found := get_close_matches(last, by_last, 1):
            return by_last[found[0]]
    return ""


def _words(fault: "ErrorDetails") -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":  # ours
        return str(context["error"])
    if kind == "literal_error":
        choices = ", ".join(_CHOICE.findall(context["expected"]))
        return _("it takes one of: {choices}").format(choices=choices)
    if kind == "string_pattern_mismatch":
        patterns = {
            "mark": _("it takes one character, but no space and no bar"),
            "api_key_env": _("it takes the name of an environment variable, not the key itself"),
        }
        a_name = _("it takes a name: one line without bars, that does not begin with a space or #")
        return patterns.get(str(fault["loc"][-1]), a_name)
    bounds = {
        "greater_than": _("it must be greater than {gt}"),
        "greater_than_equal": _("it must be at least {ge}"),
        "less_than": _("it must be less than {lt}"),
        "less_than_equal": _("it must be at most {le}"),
    }
    if kind in bounds:
        return bounds[kind].format(**context)
    kinds = {
        "missing": _("it is missing"),
        "int": _("it takes a whole number"),
        "float": _("it takes a number"),
        "finite": _("it takes a number"),
        "bool": _("it takes true or false"),
        "string": _("it takes a text"),
        "tuple": _("it takes a list"),
        "list": _("it takes a list"),
        "dict": _("it takes a table"),
        "mapping": _("it takes a table"),
        "model": _("it takes a table"),
    }
    return kinds.get(kind.partition("_")[0], fault["msg"])
