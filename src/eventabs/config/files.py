"""The commented config file that `eventabs init` writes, and edits of a config file that keep comments and order."""

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

from eventabs.config.settings import load_settings
from eventabs.errors import ConfigError
from eventabs.language import Language, gettext as _

_FIRST: Final = "\nlang = "  # what stands above is about the example itself
_AS_IT_IS: Final = re.compile(r"\[.*\]$|#|$")  # a table's header, a comment, a blank line
_COMMENT: Final = re.compile(r"\s+#")  # goes on below its setting, which moves by one


def example_config(language: Language, *, preset: str = "", model: str = "") -> str:
    """Return a TOML file with every setting, its default and what it is for; only `preset` and `model` are set."""
    text = resources.files(__package__).joinpath(f"example.{language}.toml").read_text("utf-8")
    settings = text[text.index(_FIRST) :].splitlines()
    head = _(
        "# Settings of eventabs with their defaults. To change one, take away the # right before its name."
    )
    written = "\n".join([head, *map(_commented_out, settings)])
    for key, value in (("preset", preset), ("model", model)):
        if value:
            written = _with(written, key, value)
    return written + "\n"


def _commented_out(line: str) -> str:
    if _AS_IT_IS.match(line):
        return line
    if _COMMENT.match(line):
        return f" {line}"
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}#{line.lstrip()}"


def _with(text: str, key: str, value: str) -> str:
    def chosen(line: re.Match[str]) -> str:
        return f"{key} = {json.dumps(value, ensure_ascii=False)} ".ljust(len(line[0]))

    return re.sub(rf'^#{key} = "" +', chosen, text, count=1, flags=re.MULTILINE)


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
