"""The columns that a file must have, and what to say where it does not."""

import textwrap
from collections.abc import Mapping, Sequence

from eventabs.errors import InputError
from eventabs.exports.markers import NONE
from eventabs.exports.roles import (
    UnknownColumnError,
    find_profile_columns,
    find_roles,
    missing_profile_columns,
)
from eventabs.exports.sources import Source
from eventabs.language import gettext as _

_LISTED = 300  # characters
_WHAT_HAPPENED = ("text", "action", "item", "place", "app", "media", "category")


def behavior_columns(source: Source, named: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each role in an export's file. Raises InputError where one is missing."""
    try:
        found = find_roles(
            source.columns, {role: name for role, name in named.items() if (role, name) != ("marker", NONE)}
        )
    except UnknownColumnError as error:
        message = _('{path} has no column {name} ([input.columns] {role} = "{name}"); it has: {columns}')
        raise InputError(
            message.format(path=source.path, name=error.name, role=error.role, columns=_listed(source))
        ) from None
    if "user" not in found:
        message = _(
            '{path} has no user column; name it in eventabs.toml: [input.columns] user = "..."; it has: {columns}'
        )
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    if "time" not in found:
        message = _(
            '{path} has no time column; name it in eventabs.toml: [input.columns] time = "..."; it has: {columns}'
        )
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    if not any(role in found for role in _WHAT_HAPPENED):
        message = _(
            "{path} has no column that says what was done; name it in eventabs.toml:"
            ' [input.columns] text = "..." or action = "..." and item = "..."; it has: {columns}'
        )
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    return found


def profile_columns(
    source: Source, named_user: str, wanted: Sequence[str]
) -> tuple[str, list[tuple[str, str]]]:
    """Return the user column of the profiles' file, and (name to show, column) for what may be shown.

    Raises InputError without a user column, and where there is no such column as one of `wanted`.
    """
    user = named_user if named_user in source.columns else find_roles(source.columns, {}).get("user")
    if user is None:
        message = _("profiles file {path} has no user column; call it user_id; it has: {columns}")
        raise InputError(message.format(path=source.path, columns=_listed(source)))
    if missing := missing_profile_columns(source.columns, wanted):
        message = _("profiles file {path} has no column {name} ([profiles] columns); it has: {columns}")
        raise InputError(message.format(path=source.path, name=missing[0], columns=_listed(source)))
    return user, find_profile_columns(source.columns, wanted)


def _listed(source: Source) -> str:
    return textwrap.shorten(", ".join(source.columns), _LISTED, placeholder=" ...")
