"""Config files as they lie on the disk: which one is in force, its TOML, and the commented one that `eventabs init` writes."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventabs.errors_and_exit_codes import ConfigError, toml_fault
from eventabs.interface_language import Language, gettext as _

DEFAULT_CONFIG = Path("eventabs.toml")


def find_config(named: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return the config file in force: --config, $EVENTABS_CONFIG, ./eventabs.toml, or None."""
    if chosen := named or environment.get("EVENTABS_CONFIG"):
        return Path(chosen)
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


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Set settings in a config file, in place: its comments, its rights and a link to it stay. Raises ConfigError."""
    import tomlkit  # noqa: PLC0415  nothing else needs it

    if path.exists():
        read_toml(path)  # says what is wrong
    try:
        document = tomlkit.parse(path.read_bytes() if path.exists() else "")
        _set(document, settings)
        path.write_bytes(tomlkit.dumps(document).encode())
    except OSError as error:
        message = _("config file {path} cannot be written: {error}; name another with --config")
        raise ConfigError(message.format(path=path, error=error.strerror)) from None


def _set(table: Any, settings: Mapping[str, Any]) -> None:  # noqa: ANN401  of tomlkit
    for key, value in settings.items():
        if isinstance(value, Mapping) and isinstance(table.get(key), Mapping):
            _set(table[key], value)
        else:
            table[key] = value


def explained_settings(language: Language, *, all_of_them: bool) -> str:
    """Return a TOML file with settings at their defaults and what each is for: all, or without those rarely changed."""
    text = Path(__file__).with_name(f"settings.{language}.toml").read_text("utf-8")
    usual = re.sub(r"\n## (?:.+\n)+", "", text)  # without the paragraphs of those rarely changed
    return text if all_of_them else re.sub(r"\n{4,}", "\n\n\n", usual).rstrip() + "\n"


def own_config(language: Language, *, all_settings: bool, preset: str = "", model: str = "") -> str:
    """Return a TOML file of the user's own, in which only `preset` and `model` are set."""
    text = explained_settings(language, all_of_them=all_settings)
    text = text[text.index("\nlang = ") :]  # what is above is about the example itself
    text = re.sub(r"(?m)^(?=[ ]+#)", " ", text)  # a comment below its setting, which moves by one
    text = re.sub(r"(?m)^(?!\[.*\]$|#|$|[ ]+#)([ ]*)", r"\1#", text)
    head = _(
        "# Settings of eventabs with their defaults. To change one, take away the # right before its name."
    )
    written = head + "\n" + text
    for key, value in (("preset", preset), ("model", model)):
        if value:
            said = f"{key} = {json.dumps(value, ensure_ascii=False)} "
            (setting,) = re.findall(rf'^#{key} = "" +', written, re.MULTILINE)
            written = written.replace(setting, said.ljust(len(setting)), 1)
    return written
