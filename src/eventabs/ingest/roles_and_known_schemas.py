"""How the rows of a file are read: by the columns of its roles, or by the schema of a known tool.

A schema is a TOML file that maps fields to roles, by the name of the event. Both become SQL over the values at their
paths; everything behind the rows is shared.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, ValidationError, model_validator

from eventabs.errors_and_exit_codes import ConfigError, InputError, toml_fault
from eventabs.ingest.column_names import ROLES, UNSUCCESSFUL, StatedUnit, fit, plain, stated_unit, words_of
from eventabs.ingest.formats.base import CONSTANT, Format, Query, Wanted
from eventabs.ingest.inner_paths import InnerPath, Inventory, value_at
from eventabs.ingest.input_settings import InputSettings
from eventabs.ingest.normal_form import quoted, quoted_list
from eventabs.ingest.object_and_table_copies import Copies
from eventabs.ingest.roles_of_columns import BEHIND, Choice, alternatives, input_table, parts_of
from eventabs.interface_language import gettext as _
from eventabs.shared_records import TomlTable

NO_SCHEMA: Final = "none"  # as the schema: columns are found by name
NON_BEHAVIOR: Final = "non_behavior"  # the problem of a row that is not a behavior
_EVENT: Final = "event"  # the role of the event's name
_MILLISECONDS: Final = "milliseconds"  # the role of a duration, by its unit
_ROLES: Final = (*ROLES, _EVENT, _MILLISECONDS)
_ANY: Final = "*"
_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")
_NAMED: Final = 0.7  # how well a column's name fits a role

Texts = Annotated[tuple[str, ...], BeforeValidator(lambda it: (it,) if isinstance(it, str) else it)]


class EventRule(TomlTable):
    """A rule for events with some names (`*` matches any characters): their action, and paths by role."""

    names: Texts
    action: str = ""
    columns: dict[str, Texts] = {}


class Schema(TomlTable):
    """What the rows of a tool's export mean. Of several paths the first with a value counts.

    `recognized_by`: sets of paths; a file has all paths of one set. `non_behaviors`: values by path (or `event`) of rows
    that are no behaviors. `technical`: columns that say nothing of the behavior. `one_user`: the user
    if no column names one; `action`: the action if there is no event's name. `utc`: times without a zone are in UTC. `absent`: values that mean none.
    """

    name: str = ""
    title: str
    source: Texts = ()
    read: Any = None
    recognized_by: tuple[Texts, ...]
    columns: dict[str, Texts]
    events: tuple[EventRule, ...] = ()
    non_behaviors: dict[str, Texts] = {}
    technical: Texts = ()
    absent: Texts = ()
    action: str = ""
    one_user: str = ""
    utc: bool = False
    header: Texts = ()
    header_pattern: re.Pattern[str] = re.compile("")

    @model_validator(mode="after")
    def _has_known_roles(self) -> Self:
        for columns in (self.columns, *(rule.columns for rule in self.events)):
            if unknown := [role for role in columns if role not in _ROLES]:
                message = _("there is no role {role}; the roles are {roles}")
                raise ValueError(message.format(role=unknown[0], roles=", ".join(_ROLES)))
        return self

    def fits(self, inventory: Inventory) -> int:
        """Return the number of fields that recognize the file, 0 if it is not from this tool."""
        sets = (each for each in self.recognized_by if all(map(inventory.has, each)))
        return max(map(len, sets), default=0)


_NO_TOOL: Final = Schema(title="", recognized_by=(), columns={})


class Reading:
    """How the rows of one file are read: the columns and paths of each role, by the rules of a schema if it has one.

    Made of the choice of columns by role, with a schema of those that settings name. `name`: the file's, as it is shown;
    `user`: whose it is by that, "" if a column says it. `roles`: the paths by role in order of trial, such as
    `userId | anonymousId`, or `"me"`: a constant; `places`: the same as paths, none for a constant. `known_roles`: those that a
    row may have, and `described` if both text and action; what a schema calls an event is its action. `user_columns`: the
    paths that name the user. `unused`: the columns that have no role and are not technical. `wanted`: what to read from the file.
    """

    def __init__(self, source: Format, copies: Copies, choice: Choice, schema: Schema = _NO_TOOL) -> None:
        self.source, self.choice, self.schema = source, choice, schema
        self.name = copies.name(source.file.path)
        self.user = _user_of_file(self.name.partition("?")[0], source.file.settings.user)
        self._inventory = inventory = source.inventory
        self._kept = tuple(source.file.settings.names)  # they are behaviors whatever the schema says
        named = {role: path for role, path in choice.roles.items() if path}
        self._named = {role: tuple(alternatives(path, inventory)) for role, path in named.items()}
        columns = {role: self._here(paths) for role, paths in {**schema.columns, **self._named}.items()}
        self._columns = {role: paths for role, paths in columns.items() if paths}
        self.user_columns = self._columns.get("user", ())
        tables = (self._columns, *map(self._of_rule, schema.events))
        by_role = [(role, paths) for table in tables for role, paths in table.items() if paths]
        excluding = self._here(path for path in schema.non_behaviors if path != _EVENT)
        wanted = (path for paths in (*(paths for _role, paths in by_role), excluding) for path in paths)
        parts = dict.fromkeys(part for path in wanted for part in self._parts(path))
        self._aliases = {part: f"v{number}" for number, part in enumerate(parts)}
        shown: dict[str, dict[str, None]] = {}
        for role, paths in by_role:
            name = {_EVENT: "action", _MILLISECONDS: "duration"}.get(role, role)
            shown.setdefault(name, {}).update(dict.fromkeys(paths))
        if schema.name and source.file.settings.user:
            shown.pop("user", None)
        elif not shown.get("user") and schema.one_user:
            shown["user"] = {}
        if not shown.get("time") and "end" in shown:
            shown["time"] = shown["end"]
        ordered = {role: shown[role] for role in ROLES if role in shown}
        self.roles = {role: BEHIND.join(paths) or f'"{schema.one_user}"' for role, paths in ordered.items()}
        self.places = {
            role: tuple(self._place(part) for path in paths for part in self._parts(path))
            for role, paths in ordered.items()
        }
        self.known_roles = {*ordered, *self._columns, *(("action",) if schema.name else ())}
        self.known_roles |= {"described"} if ordered.keys() >= {"text", "action"} else set()
        used = {self._place(path).column for path in self._aliases} | set(schema.technical)
        self.unused = tuple(column for column in inventory.columns if column not in used)
        # a broken row keeps the first column of the user
        first = next((path for path in self.user_columns if path in self._aliases), "")
        self.wanted: Wanted = [*((alias, path) for path, alias in self._aliases.items()), ("user", first)]

    @property
    def unit(self) -> StatedUnit | None:
        """The unit that the name of the duration's column states, None without one and with a schema."""
        names = self._place(self._columns["duration"][0]).names if "duration" in self._columns else ()
        if self.schema.name or not names:
            return None
        return stated_unit(" ".join(names[-2:])) or stated_unit(names[-1])

    def _place(self, path: str) -> InnerPath:
        return self._inventory.find(path) or InnerPath(path)

    def select(self, query: Query, digest: str) -> Query:
        """Return the query of the roles, and of the SQL `digest`, over a query of `wanted` and what that needs."""
        values = {role: self._role(role) for role in ROLES}
        if self.user:
            values["user"] = quoted(self.user)
        roles = ", ".join(f'{value} AS "{role}"' for role, value in values.items())
        if not self.schema.name:
            return query._replace(sql=f"SELECT line, problem, {roles}, {digest} AS digest FROM ({query.sql})")
        absent = quoted_list(self.schema.absent)
        trimmed = ", ".join(
            f"CASE WHEN trimmed({alias}) NOT IN ({absent}) THEN trimmed({alias}) END AS {alias}"
            if absent
            else f"trimmed({alias}) AS {alias}"
            for alias in self._aliases.values()
        )
        event = self._first(self._columns.get(_EVENT, ()))
        if self.schema.action:
            event = f"coalesce({event}, {quoted(self.schema.action)})"
        words = {path: f"plain_word({alias})" for path, alias in self._aliases.items()} | {_EVENT: "word"}
        excluded = self.schema.non_behaviors.items()
        conditions = [_is_named(words[path], names) for path, names in excluded if path in words]
        is_none = " OR ".join(conditions) or "false"
        if self._kept and _EVENT in self.schema.non_behaviors:
            is_none = f"({is_none}) AND NOT coalesce({_is_named('word', self._kept)}, false)"
        problem = f"CASE WHEN problem IS NULL AND ({is_none}) THEN '{NON_BEHAVIOR}' ELSE problem END"
        named = f"""SELECT *, plain_word({_EVENT}) AS word FROM (
            SELECT *, {event} AS {_EVENT} FROM (SELECT * REPLACE ({trimmed}), {digest} AS digest FROM ({query.sql})))"""
        return query._replace(sql=f"SELECT line, {problem} AS problem, {roles}, digest FROM ({named})")

    def _here(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return the paths that the file has, and words for all rows."""
        return tuple(path for path in paths if all(map(self._inventory.find, self._parts(path))))

    def _parts(self, path: str) -> list[str]:
        """Return the columns of a path, none for a word that stands for one."""
        return [] if path[0] == CONSTANT else parts_of(path, self._inventory)

    def _of_rule(self, rule: EventRule) -> dict[str, tuple[str, ...]]:
        return {role: self._here(paths) for role, paths in rule.columns.items() if role not in self._named}

    def _first(self, paths: Sequence[str], mark: str = " ") -> str:
        """Return the SQL of the first path with a value; `mark` stands between columns that are one together."""

        def value(path: str) -> str:
            if path[0] == CONSTANT:
                return quoted(path[1:])
            if not (parts := ", ".join(self._aliases[part] for part in self._parts(path))).count(","):
                return parts
            between = f"'{mark}'"
            if mark == "-":  # a day and a clock are no three numbers
                between = f"CASE WHEN contains(concat({parts}), ':') THEN ' ' ELSE '-' END"
            return f"nullif(concat_ws({between}, {parts}), '')"

        values = list(map(value, paths))
        if len(values) > 1:
            return f"coalesce({', '.join(f'trimmed({value})' for value in values)})"
        return values[0] if values else "NULL::VARCHAR"

    def _role(self, role: str) -> str:
        value, has_time = self._by_event(role), "time" in self._columns
        seconds = f"try_cast({self._by_event(_MILLISECONDS)} AS DOUBLE) / 1000"
        match role:
            case "action" if self.schema.name and role not in self._named:
                value = self._cases(lambda rule: quoted(rule.action) if rule.action else _EVENT, _EVENT)
            case "user" if self.schema.one_user:
                value = f"coalesce({value}, {quoted(self.schema.one_user)})"
            case "duration":
                value = f"coalesce({value}, CAST({seconds} AS VARCHAR))"
            case "time":
                if not has_time:  # only ends, from which the duration is subtracted
                    ended = f"try_cast({self._by_event('end')} AS TIMESTAMP)"
                    lasted = f"to_microseconds(CAST(coalesce({seconds}, 0) * 1000000 AS BIGINT))"
                    value = f"strftime({ended} - {lasted}, '%Y-%m-%d %H:%M:%S.%f')"
                if self.schema.utc:
                    value = f"""CASE WHEN regexp_full_match({value}, '\\d{{4}}-\\d\\d?-\\d\\d?(?:[ T][\\d:.]+)?') THEN {value} || 'Z' ELSE {value} END"""
            case "end" if not has_time:
                value = "NULL::VARCHAR"
            case "result" if {"success", "是否成功"} & {*words_of(" ".join(self._columns.get(role, ())))}:
                value = f"CASE WHEN lower(trimmed({value})) IN ({quoted_list(UNSUCCESSFUL)}) THEN 'false' ELSE {value} END"
        return value

    def _by_event(self, role: str) -> str:
        """Return the SQL of a role: first the paths of the event's rule, then those of all events."""
        usual = self._columns.get(role, ())
        is_day = role == "date" or (role == "time" and "date" not in self._columns)
        mark = "-" if is_day else ":" if role == "time" else " "

        def value(rule: EventRule) -> str:
            if rule.columns.get(role) == () and role not in self._named:
                return "NULL::VARCHAR"  # the rule says that there is none
            return self._first((*self._of_rule(rule).get(role, ()), *usual), mark)

        return self._cases(value, self._first(usual, mark))

    def _cases(self, value: Callable[[EventRule], str], otherwise: str) -> str:
        values = [(rule.names, value(rule)) for rule in self.schema.events]
        if all(each == otherwise for _names, each in values):
            return otherwise
        cases = " ".join(f"WHEN {_is_named('word', names)} THEN {each}" for names, each in values)
        return f"CASE {cases} ELSE {otherwise} END"


def _user_of_file(path: str, named: str) -> str:
    """Return the user of a file by `[input] user`: {stem} is the file's name without its endings, {parent} its folder's.

    Raises ConfigError for any other word in braces.
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100  a link to a file has a name of its own
    words = {"stem": Path(re.sub(r"(?i)\.(?:gz|zst)$", "", file.name)).stem, "parent": file.parent.name}
    if unknown := [word for word in _PLACEHOLDER.findall(named) if word not in words]:
        message = _("[input] user: {word} is not known; write {stem}, {parent}, or a user's id")
        raise ConfigError(message.format(word=f"{{{unknown[0]}}}", stem="{stem}", parent="{parent}"))
    return _PLACEHOLDER.sub(lambda found: words[found[1]], named)


def _is_named(word: str, names: Sequence[str]) -> str:
    """Return the SQL condition that a plain word matches one of `names`."""
    if _ANY in names:
        return f"{word} IS NOT NULL"
    literal = [quoted(plain(name)) for name in names if _ANY not in name]
    patterns = [quoted(plain(name).replace("[", "[[]")) for name in names if _ANY in name]
    conditions = [f"{word} IN ({', '.join(literal)})"] if literal else []
    return "(" + " OR ".join([*conditions, *(f"{word} GLOB {pattern}" for pattern in patterns)]) + ")"


@cache
def shipped() -> tuple[Schema, ...]:
    """Return the schemas that ship, by name."""
    files = sorted(Path(__file__).with_name("schemas").glob("*.toml"))
    return tuple(_read(file.stem, file.read_text("utf-8")) for file in files)


def _read(name: str, text: str) -> Schema:
    return Schema.model_validate({**tomllib.loads(text), "name": name})


class SchemaChoice:
    """Which schemas files may have: the shipped one that fits, the named one, or none.

    By `[input] schema`: "" (find it), NO_SCHEMA, a name or the path of a TOML file. Raises ConfigError. `headers`: the columns of
    tools' CSV files without a header, each with a pattern of the lines; `times`: the paths where records have their time.
    """

    def __init__(self, settings: InputSettings) -> None:
        wanted = settings.schema
        self._named = _named(wanted) if wanted and wanted != NO_SCHEMA else None
        self._schemas = () if wanted == NO_SCHEMA else (self._named,) if self._named else shipped()
        known = (*self._schemas, *shipped())  # their columns have names even without a schema
        self.headers = {each.header: each.header_pattern for each in known if each.header}
        named: dict[str, str] = dict(settings.columns)
        columns = [each.columns.get(role, ()) for each in self._schemas for role in ("time", "end")]
        self.times = frozenset(path for paths in (*columns, (named["time"],)) for path in paths if path)

    def of_file(self, source: Format, copies: Copies) -> Reading | None:
        """Return how a file is read by its schema, None if it is from no known tool.

        Raises InputError if the file lacks the user or time of a named schema.
        """
        path, inventory, has_user = source.file.path, source.inventory, bool(source.file.settings.user)
        best = self._named or max(self._schemas, key=lambda schema: schema.fits(inventory), default=None)
        if best is None or not (self._named or best.fits(inventory)):
            return None
        found = Reading(source, copies, Choice(source.file.named), best)
        # a column has an object where the schema finds none, or a user where it takes all rows as one person's
        columns = (best.columns, *(rule.columns for rule in best.events))
        lacks_things = "item" not in found.roles and any("item" in each for each in columns)
        is_of_one = best.one_user and not (has_user or found.user_columns)
        lacking = [role for role, lacks in (("item", lacks_things), ("user", is_of_one)) if lacks]
        if not self._named and any(fit(name, role) > _NAMED for role in lacking for name in found.unused):
            return None
        users = found.places.get("user", ())
        held = (value_at(row.values, place) for row in source.sample() for place in users)
        if not self._named and best.one_user and users and not any(held):
            message = _("{path} names nobody in its column {column}; say whose file it is: --user me")
            error = InputError(message.format(path=path, column=found.user_columns[0]))
            error.proposal = input_table({"user": best.one_user}, {})
            raise error
        for role in ("time",) if has_user else ("user", "time"):
            if role not in found.roles:
                message = _(
                    "{path} has no {role} column of the schema {schema} ({columns});"
                    ' set [input] schema = "none", or name the column in [input.columns]'
                )
                looked_for = ", ".join(best.columns.get(role, ()))
                raise InputError(message.format(path=path, role=role, schema=best.name, columns=looked_for))
        return found


def _named(wanted: str) -> Schema:
    """Return the schema with a name, or the one in a TOML file."""
    if found := [schema for schema in shipped() if schema.name == wanted]:
        return found[0]
    path = Path(wanted)
    if path.suffix != ".toml":
        message = _("there is no schema {name}; take one of {names}, none, or the path of a TOML file")
        names = ", ".join(schema.name for schema in shipped())
        raise ConfigError(message.format(name=wanted, names=names))
    try:
        return _read(path.stem, path.read_text("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        fault = toml_fault(error)
    except (OSError, UnicodeDecodeError) as error:
        fault = str(error)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    message = _("the schema {path} cannot be read: {fault}; docs/schemas.md shows its form")
    raise ConfigError(message.format(path=wanted, fault=fault)) from None
