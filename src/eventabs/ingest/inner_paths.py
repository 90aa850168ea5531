"""Paths to values inside a row, and the SQL that reads them.

    properties.distinct_id                           a key of an object
    items[0].item_name, products[*].name             an element of a list; those of all elements, joined
    event_params[page_title].value.string_value      the record of a list whose `key`, `name` or `schema` is that
    contexts[iglu:com.acme/product/*].data.name      the same, with * for any characters
    event_properties["[Amplitude] Page Title"]       a key that holds dots or brackets

A step leads into an object or a list, also into JSON inside a text.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import count, takewhile
from typing import Any, Final, NamedTuple

from eventabs.ingest.normal_form import quoted, quoted_list

_STEP: Final = re.compile(r'\.([^.\[\]]+)|\[(\d+)\]|\["((?:[^"]|"(?!\]))+)"\]|\[([^\[\]"]+)\]')
_KEYS: Final = ("key", "name", "schema")  # keys that name a record in a list
_VALUES: Final = re.compile(r"value|\w+_value")  # keys of such a record's value
_DEEPEST: Final = 6
_MOST: Final = 2000  # paths kept for a file
_LONGEST_TEXT: Final = 1 << 20  # characters of a text that is parsed as JSON
OBJECT: Final = "inner_0_0"
decoded, encoded = json.JSONDecoder().raw_decode, json.JSONEncoder(ensure_ascii=False).encode


class Lookup(NamedTuple):
    """A step to the record of a list with this name."""

    key: str


EVERY: Final = Lookup("*")  # a step to all elements of a list
Step = str | int | Lookup
Steps = tuple[Step, ...]


class InnerPath(NamedTuple):
    """A column, and the steps from its value to one inside."""

    column: str
    steps: Steps = ()

    def __str__(self) -> str:
        """Write the path as it is named in settings."""
        return self.column + "".join(map(_written, self.steps))

    def of_all(self) -> "InnerPath":
        """Return the path to all elements of a list of plain values, where this leads to one of them."""
        is_element = bool(self.steps) and isinstance(self.steps[-1], int)
        return self._replace(steps=(*self.steps[:-1], EVERY)) if is_element else self

    @property
    def names(self) -> tuple[str, ...]:
        """The names on the way to it, without those that every record's value has."""
        steps = [step for step in self.steps if step != EVERY]
        keys = (step.key if isinstance(step, Lookup) else step for step in steps)
        names = [self.column, *(key for key in keys if isinstance(key, str))]
        if any(isinstance(step, Lookup) for step in steps):
            while len(names) > 1 and _VALUES.fullmatch(names[-1]):
                names.pop()
        return tuple(names)


def _written(step: Step) -> str:
    if isinstance(step, str):
        return f".{step}" if _STEP.fullmatch(f".{step}") else f'["{step}"]'
    return f"[{step.key if isinstance(step, Lookup) else step}]"


def parse_path(text: str, columns: Collection[str]) -> InnerPath | None:
    """Return the path that `text` names in a file with `columns`, None if it names none. A literal column name wins."""
    if text in columns:
        return InnerPath(text)
    fitting = (column for column in columns if text.startswith((f"{column}.", f"{column}[")))
    if not (column := max(fitting, key=len, default="")):
        return None
    steps: list[Step] = []
    position = len(column)
    while match := _STEP.match(text, position):
        name, index, key, lookup = match.groups()
        steps.append(int(index) if index else Lookup(lookup) if lookup else str(name or key))
        position = match.end()
    return InnerPath(column, tuple(steps)) if position == len(text) else None


class Inventory:
    """The paths of a file's first rows. `texts`: the paths of texts that look like JSON."""

    def __init__(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.columns = columns
        self.leaves: dict[InnerPath, None] = {}
        self.texts = set[InnerPath]()
        self._plain = set[str]()  # columns with a scalar value
        self._holding = set[str]()
        for row in rows:
            for column, value in row.items():  # most are plain texts
                if column not in self._plain or not isinstance(value, str) or value[:1] in ("{", "["):
                    self._note(InnerPath(column), value)
        self.objects = self._holding - self._plain  # the columns with objects and lists only
        self.every = [*columns, *map(str, self.leaves)]  # all columns and paths

    def _note(self, path: InnerPath, value: object) -> None:
        if isinstance(value, str) and value[:1] in ("{", "[") and value[-1] in ("}", "]"):
            value = loaded(value)
            self.texts.add(path)
        if isinstance(value, dict | list):
            self._holding.add(path.column)
            if len(path.steps) < _DEEPEST and len(self.leaves) < _MOST:
                for step, inner in _inside(value):
                    self._note(path._replace(steps=(*path.steps, step)), inner)
        elif path.steps and value is not None:
            self.leaves[path] = None
        elif value not in (None, ""):
            self._plain.add(path.column)

    def find(self, text: str) -> InnerPath | None:
        """Return the path that `text` names, None if the file has none. A key with a dot wins over a path of the same spelling."""
        if not (path := parse_path(text, self.columns)) or not path.steps:
            return path
        for leaf in self.leaves:
            spelled = (f".{step}" if isinstance(step, str) else _written(step) for step in leaf.steps)
            if leaf != path and leaf.column + "".join(spelled) == text:
                return leaf
        return path if path.column in self._holding else None

    def has(self, text: str) -> bool:
        """Whether one of the rows has a value, an object or a list at the path `text`."""
        if not (path := parse_path(text, self.columns)):
            return False
        ways = (leaf for leaf in self.leaves if leaf.column == path.column)
        return not path.steps or any(way.steps[: len(path.steps)] == path.steps for way in ways)


def value_at(row: Mapping[str, Any], path: InnerPath) -> object:
    """Return the value of a row at a path, None if it has none."""
    value: object = row.get(path.column)
    for done, step in enumerate(path.steps, 1):
        found = loaded(value) if isinstance(value, str) else value
        match step, found:
            case Lookup("*"), list():
                rest = path._replace(steps=path.steps[done:])
                each = (value_at({path.column: element}, rest) for element in found)
                return ", ".join(str(one) for one in each if one not in (None, "")) or None
            case Lookup(key), dict() if key != "*":
                value = next((found[name] for name in found if fnmatchcase(name, key)), None)
            case Lookup(key), list():
                records = [each for each in found if isinstance(each, dict)]
                names = (next((each[k] for k in _KEYS if each.get(k) is not None), "") for each in records)
                named = zip(names, records, strict=True)
                value = next((each for name, each in named if fnmatchcase(str(name), key)), None)
            case int(), list():
                value = found[step] if step < len(found) else None
            case str(), dict():
                value = found.get(step)
            case _:
                return None
    return value


def loaded(text: str, longest: int = _LONGEST_TEXT) -> object:
    """Return what a text of at most `longest` characters says as JSON, else the text itself."""
    bare = text.strip(" \t\r\n") if len(text) <= longest else ""
    try:
        found, end = decoded(bare)  # json.loads takes nearly twice as long for a short text
    except (ValueError, RecursionError):
        return text
    return found if end == len(bare) else text


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[tuple[Step, Any]]:
    if isinstance(value, dict):
        return value.items()
    named = [(each[_KEYS[0]], each) for each in value if isinstance(each, dict) and _KEYS[0] in each]
    if named and all(isinstance(name, str) for name, _each in named):
        return [
            (Lookup(name), {key: inner for key, inner in each.items() if key != _KEYS[0]})
            for name, each in named
        ]
    return list(enumerate(value[:1]))


def pointer(steps: Steps) -> str:
    """Return the JSON pointer (RFC 6901) of keys and indices."""
    keys = (_written(step) if isinstance(step, Lookup) else str(step) for step in steps)
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


# What gives the SQL of a column. Or the SQL of an object whose keys are the columns: OBJECT is then the list of their
# values, NULL where the text is no JSON.
Base = Callable[[str], str] | str


def read_paths(
    relation: str, base: Base, paths: Iterable[InnerPath], texts: Collection[InnerPath]
) -> tuple[str, dict[InnerPath, str]]:
    """Return a SELECT over the SELECT `relation` that parses each JSON text once (`texts`: their paths), and an SQL expression for each path."""
    # the SQL of a text, and the number of steps that lead to it, the column as well
    reached = {path: (base, 0) if isinstance(base, str) else (base(path.column), 1) for path in paths}
    for layer in count():
        if not (rest := {path: each for path, each in reached.items() if each[1] <= len(path.steps)}):
            break
        # the pointers into each text, with the name of the list of their values; the name of the list of its records
        pointers: dict[str, tuple[str, dict[str, int]]] = {}
        lists: dict[str, str] = {}
        for path, (text, done) in rest.items():
            # one JSON pointer leads up to a list of records, or a text that contains JSON
            steps = tuple(
                takewhile(lambda step: not isinstance(step, Lookup), (path.column, *path.steps)[done:])
            )
            ways = (path._replace(steps=path.steps[: done + number]) for number in range(len(steps)))
            if steps := steps[: next((number for number, way in enumerate(ways, 1) if way in texts), None)]:
                name, places = pointers.setdefault(text, (f"inner_{layer}_{len(pointers)}", {}))
                place = places.setdefault(pointer(steps), len(places) + 1)
                reached[path] = f"{name}[{place}]", done + len(steps)
                continue
            records = lists.setdefault(text, f"records_{layer}_{len(lists)}")
            if (step := path.steps[done - 1]) != EVERY and isinstance(step, Lookup):
                # the record with this name; in an object, the value under that key
                at = f"list_position({records}_names, {quoted(step.key)})"
                if "*" in step.key:
                    fits = f"list_transform({records}_names, lambda name: name GLOB {quoted(step.key)})"
                    at = f"list_position({fits}, true)"
                value = f"try(json_extract_string({text}, {quoted(pointer((step.key,)))}))"
                reached[path] = f"coalesce(CAST({records}[{at}] AS VARCHAR), {value})", done + 1
            else:
                inner = f"list_transform({records}, lambda r: r->>{quoted(pointer(path.steps[done:]))})"
                filled = f"list_filter({inner}, lambda value: value <> '')"
                reached[path] = f"nullif(array_to_string({filled}, ', '), '')", len(path.steps) + 1
        columns = [
            f"try(json_extract_string({text}, [{quoted_list(places)}])) AS {name}"
            for text, (name, places) in pointers.items()
        ]
        columns += [f"""try(from_json({text}, '["JSON"]')) AS {name}""" for text, name in lists.items()]
        name_of = "lambda r: coalesce(" + ", ".join(f"r->>'/{key}'" for key in _KEYS) + ")"
        names = "".join(f", list_transform({each}, {name_of}) AS {each}_names" for each in lists.values())
        relation = f"SELECT *{names} FROM (SELECT *, {', '.join(columns)} FROM ({relation}))"
    return relation, {path: text for path, (text, _done) in reached.items()}
