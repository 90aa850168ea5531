"""Which column of a file has which role, which of several candidates, and what is missing."""

import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import duckdb

from eventabs.errors import ConfigError, InputError
from eventabs.ingest.column_names import MARKERS, PROFILE_NAMES, ROLES, USUAL_NAMES, plain, stated_unit
from eventabs.ingest.formats import Format, SampledRow
from eventabs.ingest.inner_paths import InnerPath, Inventory, value_at
from eventabs.ingest.normal_form import normal_form, number
from eventabs.language import gettext as _, ngettext
from eventabs.records import DurationUnit, InputWarning

NO_COLUMN: Final = "-"  # as the column of a role: no column has the role
_NEAR: Final = 0.85  # similarity above which a user's name is taken for a column's
_LISTED: Final = 300  # characters
_PACKED: Final = re.compile(r"\.(?:gz|zst)$", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")
_ACTIVITY: Final = ("text", "action", "item", "place", "app", "media", "category")
# Inside a context or a device these names mean something else.
_ONLY_OUTSIDE: Final = {"media", "marker", "date", "offset"}
_KNOWN_MARKERS: Final = {word for family in MARKERS for words in family for word in words}
_SHARE: Final = 0.9  # share of a column's values that are markers
_BALANCE: Final = 4  # at most this many times more begins than ends, or ends than begins


def user_of_file(path: str, named: str) -> str:
    """Return the user of a file by `[input] user`: {stem} is the file's name without its endings, {parent} its folder's.

    Raises ConfigError for any other word in braces.
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100  a link to a file has a name of its own
    words = {"stem": Path(_PACKED.sub("", file.name)).stem, "parent": file.parent.name}
    if unknown := next((word for word in _PLACEHOLDER.findall(named) if word not in words), None):
        message = _("[input] user: {word} is not known; write {stem}, {parent}, or a user's id")
        raise ConfigError(message.format(word=f"{{{unknown}}}", stem="{stem}", parent="{parent}"))
    return _PLACEHOLDER.sub(lambda found: words[found[1]], named)


def behavior_columns(
    path: str,
    inventory: Inventory,
    named: Mapping[str, str],
    refused: Collection[tuple[str, str]] = (),
    *,
    has_user: bool = False,
) -> dict[str, str]:
    """Return the column or path of each role in an export's file, without the (role, column) pairs in `refused`.

    `has_user`: the user is known without a column. Raises InputError for a missing role.
    """
    columns = [*inventory.columns, *(spelled for _names, spelled in inventory.names())]
    refuse_absent_columns(path, inventory, named)
    found = find_roles(inventory, named, refused)
    if has_user:
        found["user"] = ""
    if not {"user", "time"} & found.keys():
        message = _(
            "{path} has neither a user nor a time column that is known by its name; if it is a table of behaviors at all, name"
            ' them in eventabs.toml: [input.columns] user = "...", time = "..."; it has: {columns}'
        )
    elif "user" not in found:
        message = _(
            '{path} has no user column; name it in eventabs.toml: [input.columns] user = "...";'
            ' or say whose file it is: --user me, --user "{{stem}}" for its name; it has: {columns}'
        )
    elif "time" not in found:
        message = _(
            '{path} has no time column; name it in eventabs.toml: [input.columns] time = "..."; it has: {columns}'
        )
    elif not any(role in found for role in _ACTIVITY):
        message = _(
            "{path} has no column that says what was done; name it in eventabs.toml:"
            ' [input.columns] text = "..." or action = "..." and item = "..."; it has: {columns}'
        )
    else:
        return {role: column for role, column in found.items() if column}
    raise _refusal(message, path, columns)


def refuse_one_user(source: Format, user_columns: Iterable[str]) -> None:
    """Raise InputError if the user that the settings name for the file is rather the name of a column.

    `user_columns` name the users: if one has several users, all would become one log.
    """
    user, path = source.file.user, source.file.path
    if merged := next((column for column in user_columns if _has_several(source, column)), None):
        message = _(
            "{path} has the column {column} with several users, who would all become the one user {user}; leave out"
            ' --user ([input] user), or name the column: {setting}; if all rows are of one person: [input.columns] user = "-" as well'
        )
        raise InputError(
            message.format(path=path, column=merged, user=user, setting=column_setting("user", merged))
        )
    known = {name: spelled for names, spelled in source.inventory.names() for name in map(plain, names)}
    known |= {plain(column): column for column in source.columns}
    if source.file.named.get("user") != NO_COLUMN and (
        near := get_close_matches(plain(user), known, 1, _NEAR)
    ):
        message = _(
            "--user ([input] user) is the id of the one user whose rows they are, and {path} has a column {column}; name"
            ' a column of users so: {setting}; if {user} is an id: [input.columns] user = "-" as well'
        )
        column = known[near[0]]
        raise InputError(
            message.format(path=path, column=column, user=user, setting=column_setting("user", column))
        )


def _has_several(source: Format, column: str) -> bool:
    path = source.inventory.find(column) or InnerPath(column)
    found = {str(value) for row in source.sample() if (value := value_at(row.values, path)) not in (None, "")}
    return len(found) > 1


def refuse_absent_columns(path: str, inventory: Inventory, named: Mapping[str, str]) -> None:
    """Raise InputError if a file lacks a column or path that the user named."""
    for role, name in named.items():
        if name not in ("", NO_COLUMN) and inventory.find(name) is None:
            columns = [*inventory.columns, *(spelled for _names, spelled in inventory.names())]
            message = _('{path} has no column {name} ([input.columns] {role} = "{name}"); it has: {columns}')
            raise _refusal(message, path, columns, name=name, role=role)


def find_roles(
    inventory: Inventory, named: Mapping[str, str], refused: Collection[tuple[str, str]] = ()
) -> dict[str, str]:
    """Return the column or path of each role that was found.

    `named` maps a role to its column, "" to find it, NO_COLUMN if it has none.
    """
    found: dict[str, str] = {}
    for role, usual in candidates(inventory, named).items():
        left = (column for column in usual if (role, column) not in refused)
        column = named.get(role) or next(left, "")
        if column not in ("", NO_COLUMN) and not (role in ("date", "end") and column == found.get("time")):
            found[role] = column
    return found


def candidates(inventory: Inventory, named: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the columns with usual names for each role, the preferred one first.

    Nested paths count only if no column has such a name.
    """
    # a marker's words may be actions too
    taken = {name for role, name in named.items() if name and role != "marker"}
    without = taken | inventory.objects
    free = {plain(column): column for column in reversed(inventory.columns) if column not in without}
    inside: dict[str, str] = {}  # by the names that identify them, shallow ones first
    for names, spelled in inventory.names():
        for name in names if spelled not in taken else ():
            inside.setdefault(plain(name), spelled)
    found: dict[str, list[str]] = {}
    for role in ROLES:
        usual = _usual(role, free)
        if not usual and role not in _ONLY_OUTSIDE:
            usual = _usual(role, inside)
        found[role] = list(dict.fromkeys(usual))
    return found


def _usual(role: str, columns: Mapping[str, str]) -> list[str]:
    """Return those of `columns` (by plain name) that have a usual name for a role."""
    usual = [columns[name] for name in USUAL_NAMES[role] if name in columns]
    if role == "duration":
        usual += [column for name, column in columns.items() if stated_unit(name)]
    return usual


def unit_of_column(inventory: Inventory, column: str) -> DurationUnit | None:
    """Return the unit in the name of a column or path of durations, None if it has none."""
    names = next((names for names, spelled in inventory.names() if spelled == column), (column,))
    return next(filter(None, map(stated_unit, names)), None)


def column_setting(role: str, name: str = "...") -> str:
    """Return the setting that names the column of a role."""
    return f'[input.columns] {role} = "{name}"'


def profile_columns(
    path: str, columns: Sequence[str], named_user: str, wanted: Sequence[str]
) -> tuple[str, list[tuple[str, str]]]:
    """Return the user column of the profiles' file, and (name to show, column) for each `wanted` column.

    Raises InputError without a user column, and for a missing `wanted` column that is not one of the usual ones.
    """
    user = named_user if named_user in columns else find_roles(Inventory(columns), {}).get("user")
    if user is None:
        message = _("profiles file {path} has no user column; call it user_id; it has: {columns}")
        raise _refusal(message, path, columns)
    known = {*map(plain, columns), *(name for names in PROFILE_NAMES.values() for name in names)}
    if missing := [name for name in wanted if plain(name) not in known]:
        message = _("profiles file {path} has no column {name} ([profiles] columns); it has: {columns}")
        raise _refusal(message, path, columns, name=missing[0])
    return user, find_profile_columns(columns, wanted)


def find_profile_columns(columns: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name to show, column) for each `wanted` column that exists, in that order.

    Age, gender, occupation and city are also found by their usual names, and shown in English.
    """
    by_plain_name = {plain(column): column for column in reversed(columns)}
    found: dict[str, str] = {}
    for name in wanted:
        shown = next((key for key, names in PROFILE_NAMES.items() if plain(name) in names), name)
        candidates = (plain(name), *PROFILE_NAMES.get(shown, ()))
        column = next((by_plain_name[each] for each in candidates if each in by_plain_name), None)
        if column is not None:
            found.setdefault(shown, column)
    return list(found.items())


def _refusal(message: str, path: str, columns: Sequence[str], **values: str) -> InputError:
    listed = textwrap.shorten(", ".join(columns), _LISTED, placeholder=" ...")
    return InputError(message.format(path=path, columns=listed, **values))


def marker_columns(found: Sequence[tuple[Format, Mapping[str, str]]], named: str) -> set[str]:
    """Return the columns with the role `marker` or `action` whose values, in all files, mark begins and ends.

    `named`: the column that the user named, NO_COLUMN for none, "" to find it.
    """
    if named:
        return {named} - {NO_COLUMN}
    seen: dict[str, Counter[str]] = {}
    for source, roles in found:
        columns = {roles[role] for role in ("marker", "action") if role in roles}
        for row in source.sample() if columns else ():
            for column in columns:
                if word := plain(str(row.values.get(column) or "").strip()):
                    seen.setdefault(column, Counter())[word] += 1
    return {column for column, words in seen.items() if _are_markers(words)}


def with_marker(roles: Mapping[str, str], markers: Collection[str]) -> dict[str, str]:
    """Return the roles; the marker stays only if its column is one of `markers`, which the column of actions may be."""
    others = {role: column for role, column in roles.items() if role != "marker"}
    for role in ("marker", "action"):
        if roles.get(role) in markers:
            return {**others, "marker": roles[role]}
    return others


def _are_markers(words: Counter[str]) -> bool:
    known = sum(count for each, count in words.items() if each in _KNOWN_MARKERS)
    if known < _SHARE * words.total():
        return False
    kinds = [[sum(words[each] for each in kind) for kind in family] for family in MARKERS]
    return any(min(family) * _BALANCE >= max(family) > 0 for family in kinds)


_NEARLY_NONE: Final = 0.05  # of the rows
_FEW: Final = 0.05  # of the rows: places with fewer different values, such as cities, are no place of each
_AS_MUCH: Final = 0.8  # of the different values of the column that was taken
_MORE: Final = 0.1  # of the rows: what another column holds beyond the one that was taken
_LEAST: Final = 20  # rows, of which a share says something
_NAMES: Final = ("item", "place", "app", "media", "category", "brand")  # roles whose values should be words
_CODE: Final = re.compile(r"[\d.\-]+|[0-9a-fA-F\-]{16,}")  # numbers, and ids of hexadecimal digits
# most times begin so, and need no trial, which takes a tenth of a second
_USUAL_TIME: Final = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d|\d{9,16}(?:\.\d+)?$")
_PARTS_OF_TIME: Final = ("time", "date", "offset")


class ColumnChoice:
    """Finds the columns of an export's files, alike for files with the same names. `warnings` say what was odd."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, named: Mapping[str, str]) -> None:
        self._connection = connection
        self.named = named
        self._known: dict[tuple[object, ...], dict[str, str]] = {}
        self.warnings: list[InputWarning] = []

    def roles(self, source: Format) -> dict[str, str]:
        """Return the column of each role. Raises InputError where one is missing."""
        key = (source.columns, frozenset(source.inventory.leaves))
        if key not in self._known:
            found = behavior_columns(
                source.file.path, source.inventory, self.named, has_user=source.file.has_user
            )
            usual = candidates(source.inventory, self.named)
            in_doubt = [
                role
                for role, name in found.items()
                if name and (self.named.get(role) or len(usual[role]) > 1)
            ]
            sample = tuple(source.sample()) if in_doubt else ()
            if len(sample) >= _LEAST:
                trial = _Trial(self._connection, source, sample, named=self.named, first=found, usual=usual)
                found = trial.roles(in_doubt)
                self.warnings += trial.warnings(in_doubt, found)
            self._known[key] = found
        return dict(self._known[key])

    def users(self, source: Format) -> list[str]:
        """Return the columns that say whose rows they are, unless the user of the tool says that none does."""
        usual = candidates(source.inventory, self.named)["user"]
        named = self.named.get("user")
        return [named] if named else usual


class _Trial:
    """Tries the columns of a file that could play a role on the rows of its start."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: Format,
        sample: Sequence[SampledRow],
        *,
        named: Mapping[str, str],
        first: Mapping[str, str],
        usual: Mapping[str, Sequence[str]],
    ) -> None:
        self._connection = connection
        self._source = source
        self._named = named
        self._first = first
        self._usual = usual
        self._sample = sample
        self._held: dict[tuple[str, str], int] = {}
        self._texts: dict[str, list[str]] = {}

    def roles(self, in_doubt: Sequence[str]) -> dict[str, str]:
        """Return the column of each role: the first that holds more than nearly nothing, the usual one if none does."""
        refused: set[tuple[str, str]] = set()
        for role in in_doubt:
            usual = self._usual[role]
            good = [column for column in usual if not self._fails(role, column)]
            if good:
                refused.update((role, column) for column in usual[: usual.index(good[0])])
        return behavior_columns(
            self._source.file.path,
            self._source.inventory,
            self._named,
            refused,
            has_user=self._source.file.has_user,
        )

    def warnings(self, in_doubt: Sequence[str], roles: Mapping[str, str]) -> list[InputWarning]:
        """Say which columns gave way, which named ones hold nothing, and which of the others hold more."""
        found: list[InputWarning] = []
        for role in in_doubt:
            column = roles[role]
            if self._named.get(role):
                if self._fails(role, column):
                    message = _(
                        "[input.columns] {role} names the column {column}, which can be read in {held:,} {of};"
                        " name another"
                    )
                    found.append(self._warning("named_column_fails", message, role, column))
                continue
            if column != self._first[role]:
                message = _(
                    "the column {column} has the role {role}, since {other} can be read in {more:,} {of};"
                    " to take that: {setting}"
                )
                found.append(self._warning("gave_way", message, role, column, self._first[role]))
            others = [each for each in self._usual[role] if each not in roles.values()]
            if more := next((each for each in others if self._is_fuller(role, each, column)), ""):
                message = _(
                    "the column {column} (role {role}) is filled in {held:,} {of}, {other} in {more:,};"
                    " to take that: {setting}"
                )
                found.append(self._warning("fuller_column", message, role, column, more))
            elif words := next((each for each in others if self._is_plainer(role, each, column)), ""):
                message = _(
                    "the column {column} (role {role}) holds numbers or codes, {other} holds words;"
                    " to take that: {setting}"
                )
                found.append(self._warning("plainer_column", message, role, column, words))
        return found

    def _warning(self, code: str, message: str, role: str, column: str, other: str = "") -> InputWarning:
        rows = len(self._sample)
        of = ngettext("of the first {count:,} row", "of the first {count:,} rows", rows).format(count=rows)
        held = self._readable(role, column)
        more = self._readable(role, other) if other else 0
        setting = column_setting(role, other)
        text = message.format(
            role=role, column=column, other=other, held=held, more=more, of=of, setting=setting
        )
        return InputWarning(code, text)

    def _fails(self, role: str, column: str) -> bool:
        return self._readable(role, column) <= _NEARLY_NONE * len(self._sample)

    def _is_fuller(self, role: str, other: str, column: str) -> bool:
        if role == "time":  # rows without a time are rejected, and counted there
            return False
        if role in _NAMES and self._holds_codes(other) and not self._holds_codes(column):
            return False
        if role == "place" and self._variety(other) <= max(self._variety(column), _FEW * len(self._sample)):
            return False
        return self._readable(role, other) > self._readable(role, column) + _MORE * len(self._sample)

    def _is_plainer(self, role: str, other: str, column: str) -> bool:
        if role not in _NAMES or self._readable(role, other) < self._readable(role, column):
            return False
        if self._variety(other) < _AS_MUCH * self._variety(column):  # a kind or a city, and no name
            return False
        return self._holds_codes(column) and not self._holds_codes(other)

    def _variety(self, column: str) -> int:
        return len({value for value in self._values(column) if value})

    def _holds_codes(self, column: str) -> bool:
        values = [value for value in self._values(column) if value]
        return sum(bool(_CODE.fullmatch(value)) for value in values) > (1 - _MORE) * len(values)

    def _readable(self, role: str, column: str) -> int:
        """Count the rows whose value in the column can be read in the role."""
        if (role, column) not in self._held:
            self._held[role, column] = (
                self._times(column) if role == "time" else sum(map(bool, self._values(column)))
            )
        return self._held[role, column]

    def _values(self, column: str) -> list[str]:
        """Return what the rows hold in a column or at a path, "" for nothing."""
        if column not in self._texts:
            path = self._source.inventory.find(column) or InnerPath(column)
            self._texts[column] = [value_of(row, path) for row in self._sample]
        return self._texts[column]

    def _times(self, column: str) -> int:
        usual = sum(bool(_USUAL_TIME.match(value)) for value in self._values(column))
        if usual > _NEARLY_NONE * len(self._sample):
            return usual
        roles = {**self._first, "time": column}
        taken = [role for role in ROLES if role in _PARTS_OF_TIME and role in roles]
        values = [self._values(roles[role]) for role in taken]
        fields = dict.fromkeys(taken, "unnest(?::VARCHAR[])")
        listed = ", ".join(f'{fields.get(role, "NULL::VARCHAR")} AS "{role}"' for role in ROLES)
        raw = f"SELECT 1 AS file, 1 AS line, NULL::VARCHAR AS problem, {listed}"
        counts = (
            f"SELECT count(start) FROM ({normal_form(raw, '', dayfirst)})" for dayfirst in (True, False)
        )
        return max(number(self._connection, each, values) for each in counts)


def value_of(row: SampledRow, path: InnerPath) -> str:
    """Return what a row holds at a path, as text; "" for nothing."""
    value = value_at(row.values, path)
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def profile_warnings(
    connection: duckdb.DuckDBPyConnection,
    source: Format,
    wanted: Sequence[str],
    shown: Sequence[tuple[str, str]],
) -> list[InputWarning]:
    """Say which of the `wanted` columns the profiles' file lacks, and whether it is about other users.

    `shown`: (name to show, column) of those that it has.
    """
    path = source.file.path
    absent = [name for name in wanted if not find_profile_columns(source.columns, [name])]
    found = []
    if absent:
        message = _(
            "profiles file {path} has no column {absent}, which no user's header shows then; it has: {columns};"
            " name what may be sent: [profiles] columns"
        )
        values = {"absent": ", ".join(absent), "columns": ", ".join(source.columns)}
        found.append(InputWarning("absent_profile_column", message.format(path=path, **values)))
    known = number(connection, "SELECT count(*) FROM profiles SEMI JOIN users USING (user_id)")
    if shown and not known:
        message = _(
            "profiles file {path} has a profile of no user of the export; its user column has to hold the same ids:"
            " {setting}"
        )
        setting = column_setting("user")
        found.append(InputWarning("foreign_profiles", message.format(path=path, setting=setting)))
    return found
