"""A run directory may come from anywhere: its endpoint is called only when the user named it.

Runs that were begun by this user on this machine are known by a digest of where their key goes.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from eventabs.config import LlmSettings, Settings, with_preset
from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.providers import kind_of
from eventabs.store import host_of, open_private

_CONNECTION = ("base_url", "proxy", "ca_file", "api_key_env")  # each can lead a key or the users' rows astray


def remember_run(run_id: str, settings: Settings) -> None:
    """Note that this user began the run. Where that cannot be noted, resume asks for --yes."""
    with suppress(OSError):
        folder = user_state_path("eventabs")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(folder / "runs", "a", encoding="ascii", opener=open_private) as known:
            known.write(_digest(run_id, settings) + "\n")


def refuse_unknown_endpoint(run_id: str, settings: Settings, named_today: Mapping[str, Any]) -> None:
    """Raise RunDirectoryError where keys and users' rows would go where only the run directory says.

    What counts is `named_today` (by the config file, variables and flags), the preset that it names, the defaults,
    and runs that were begun here.
    """
    if not kind_of(settings.provider).is_remote or _is_known(run_id, settings):
        return
    named = with_preset(named_today).get("llm", {})
    if named.get("ca_file"):
        named["ca_file"] = str(Path.cwd() / named["ca_file"])
    for key in _CONNECTION:
        value = getattr(settings.llm, key)
        if value not in (LlmSettings.model_fields[key].default, named.get(key)):
            message = _(
                "this run was not begun here, and it alone says that {host} is to be called (llm.{key});"
                " confirm with --yes"
            )
            raise RunDirectoryError(message.format(host=host_of(settings.llm.base_url), key=key))


def _is_known(run_id: str, settings: Settings) -> bool:
    try:
        known = (user_state_path("eventabs") / "runs").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return _digest(run_id, settings) in known.splitlines()


def _digest(run_id: str, settings: Settings) -> str:
    where = [str(getattr(settings.llm, key)) for key in _CONNECTION]
    return hashlib.sha256("\n".join([run_id, *where]).encode()).hexdigest()
