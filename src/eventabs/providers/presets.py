"""What is known of vendors and servers: where they answer and what they take. One TOML file each, in presets/."""

import shlex
import tomllib
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from eventabs.errors import ConfigError
from eventabs.language import gettext as _

_SUFFIX = ".toml"
_STEP = 1_024  # tokens; a context is given in round numbers


class KnownModel(BaseModel):
    """What is known of the models whose names fit one of the patterns. None: as the preset has it, or unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = ()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    omit: tuple[str, ...] | None = None
    extra_body: dict[str, Any] | None = None


class Preset(BaseModel):
    """One file of presets/. `source` and `read`: where and when its facts were looked up, none of them tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: tuple[str, ...]
    read: date
    base_url: str
    other_base_urls: tuple[str, ...] = ()  # of other regions, with keys of their own
    api_key_env: str
    needs_key: bool = True
    suggested_model: str = ""  # to be named in messages, never set
    start_command: str = ""  # of a server that people run themselves, with {model} and {tokens} of context
    omit: tuple[str, ...] = ()
    extra_body: dict[str, Any] = {}
    models: tuple[KnownModel, ...] = ()

    def known_model(self, model: str) -> KnownModel:
        """Return what is known of a model; the first pattern that its name fits counts."""
        for known in self.models:
            if any(fnmatchcase(model.lower(), pattern.lower()) for pattern in known.names):
                return known
        return KnownModel()

    def started(self, model: str, *, call_tokens: int) -> str:
        """Return the command that starts the server for calls of so many tokens; "" where people run none."""
        tokens = -(-call_tokens // _STEP) * _STEP
        return self.start_command.format(model=shlex.quote(model) if model else "MODEL", tokens=tokens)

    def settings(self, model: str) -> dict[str, Any]:
        """Return the values of [llm] that the preset sets for a model."""
        known = self.known_model(model)
        return {
            "base_url": self.base_url,
            "api_key_env": self.api_key_env,
            "omit": self.omit if known.omit is None else known.omit,
            "extra_body": self.extra_body if known.extra_body is None else known.extra_body,
        }


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, in order."""
    folder = files("eventabs.providers") / "presets"
    return tuple(
        sorted(entry.name.removesuffix(_SUFFIX) for entry in folder.iterdir() if entry.name.endswith(_SUFFIX))
    )


@cache
def load_preset(name: str) -> Preset:
    """Return a preset by its name. Raises ConfigError where there is none."""
    if name not in preset_names():
        message = _("there is no preset {name}; llm.preset is one of: {known}")
        raise ConfigError(message.format(name=name, known=", ".join(preset_names())))
    text = (files("eventabs.providers") / "presets" / f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    return Preset(name=name, **tomllib.loads(text))
