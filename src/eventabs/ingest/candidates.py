"""Which of several columns plays a role: one that holds nearly nothing gives way to the next, and it is said."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

import duckdb

from eventabs.ingest.column_names import ROLES
from eventabs.ingest.columns import (
    behavior_columns,
    candidates,
    column_setting,
    find_profile_columns,
)
from eventabs.ingest.database import number
from eventabs.ingest.formats import Format, SampledRow
from eventabs.ingest.normal_form import normal_form
from eventabs.ingest.paths import InnerPath, value_at
from eventabs.language import gettext as _, ngettext
from eventabs.records import InputWarning

_NEARLY_NONE: Final = 0.05  # of the rows
_FEW: Final = (
    0.05  # of the rows: a column of places with fewer different values, such as a city, is no place of each
)
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
