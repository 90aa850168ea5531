"""JSON that is not one flat object a line -> a copy that is: arrays, and users with a list of behaviors inside."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from eventabs.exports.actions import plain
from eventabs.exports.roles import USUAL_NAMES

_CHUNK: Final = 1 << 20
_TOKEN: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\[\]{},]|"')
_DEEPEST: Final = 4  # lists within lists that are followed


def is_array(first_line: str) -> bool:
    """Whether a text that begins so is a JSON array, or an object that is spread over lines."""
    start = first_line.strip()
    return start.startswith("[") or start == "{"


def is_nested(lines: Iterable[str], time_column: str) -> bool:
    """Whether the first readable record has its times only inside a list."""
    for line in lines:
        record = _loaded(line)
        if isinstance(record, dict):
            found = list(_flat(record, {}, time_column, 0))
            return found != [record] and any(_has_time(each, time_column) for each in found)
    return False


def split_array(path: str, copy: Path) -> None:
    """Copy the elements of a top-level array (or values one after the other), one a line.

    An element that is no JSON stays as it is, on its line.
    """
    with (
        Path(path).open(encoding="utf-8-sig", newline="") as file,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        for element in _elements(file):
            target.write(re.sub(r"\s*[\r\n]+\s*", " ", element).strip() + "\n")


def flatten(path: str, copy: Path, time_column: str) -> None:
    """Copy JSON lines so that each behavior inside a record is a line of its own, with its user's fields."""
    with (
        Path(path).open(encoding="utf-8-sig", newline="") as file,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        for line in file:
            record = _loaded(line)
            if not isinstance(record, dict):
                if line.strip():
                    target.write(line.strip("\r\n").replace("\r", " ") + "\n")
                continue
            for flat in _flat(record, {}, time_column, 0):
                target.write(json.dumps(flat, ensure_ascii=False) + "\n")


def _elements(file: TextIO) -> Iterator[str]:  # noqa: C901  one automaton reads better in one piece
    """Yield the texts of the elements by counting brackets outside strings."""
    text = ""
    depth = base = start = position = 0
    opened = False
    while True:
        chunk = file.read(_CHUNK)
        text = text[start:] + chunk
        position -= start
        start = 0
        for token in _TOKEN.finditer(text, position):
            mark = token.group()
            if mark == '"' and chunk and text.find("\n", token.end()) < 0:
                break  # a string that goes on in the next chunk; one never ends on another line
            position = token.end()
            if mark in "[{":
                if not opened:
                    opened = True
                    base = 1 if mark == "[" else 0
                    start = token.end() if base else token.start()
                depth += 1
            elif mark in "]}":
                depth -= 1
                if depth < base or (base == 0 and depth == 0):
                    end = token.start() if base else token.end()
                    if text[start:end].strip():
                        yield text[start:end]
                    start = token.end()
                    depth = max(depth, 0)
            elif mark == "," and depth == base == 1:
                yield text[start : token.start()]
                start = token.end()
        if not chunk:
            break
    rest = text[start:].strip()
    if rest:
        yield rest


def _flat(
    record: Mapping[str, Any], outer: Mapping[str, Any], time: str, depth: int
) -> Iterator[dict[str, Any]]:
    own = {key: value for key, value in record.items() if not _is_list_of_records(value)}
    inner = [value for value in record.values() if _is_list_of_records(value)]
    if not inner or depth == _DEEPEST or _has_time(record, time):
        yield {**outer, **record}
        return
    merged = {**outer, **own}
    for records in inner:
        for each in records:
            yield from _flat(each, merged, time, depth + 1) if isinstance(each, dict) else [merged]


def _is_list_of_records(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, dict) for each in value)


def _has_time(record: Mapping[str, Any], time_column: str) -> bool:
    return any(key == time_column or plain(key) in USUAL_NAMES["time"] for key in record)


def _loaded(line: str) -> object:
    try:
        loaded: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return loaded
