"""JSON that is not one flat object a line -> a copy that is: arrays, and users with a list of behaviors inside."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from eventabs.errors import InputError
from eventabs.exports.actions import plain
from eventabs.exports.files import LONGEST_LINE
from eventabs.exports.json_values import NotOneObjectError, TooLongError, elements, records_inside
from eventabs.exports.roles import USUAL_NAMES
from eventabs.language import gettext as _

_NEWLINES: Final = re.compile(r"[\r\n]+")
_LOOK: Final = 1 << 16  # characters
_DEEPEST: Final = 4  # lists within lists that are followed


def is_spread(lines: Sequence[str]) -> bool:
    """Whether a text that begins with these lines is a JSON array, or an object that is spread over lines."""
    first, second = [*(line.strip() for line in lines if line.strip()), "", ""][:2]
    if first.startswith("[") or first == "{":
        return True
    opens_more = first.startswith("{") and first.endswith(("[", "{", ","))
    return opens_more and _loaded(first) is None and not isinstance(_loaded(second), dict)


def is_nested(lines: Iterable[str], time_column: str) -> bool:
    """Whether the first readable record has its times only inside a list."""
    for line in lines:
        record = _loaded(line)
        if isinstance(record, dict):
            found = list(_flat(record, {}, time_column, 0))
            return found != [record] and any(_has_time(each, time_column) for each in found)
    return False


def split(path: str, copy: Path) -> dict[str, Any]:
    """Copy the elements of a top-level array (or values one after the other), one a line.

    Of one object that is too large to be held, the records in its lists are copied, and the fields around them returned.
    An element that is no JSON stays as it is, on its line. Raises InputError where one is too long.
    """
    with (
        Path(path).open(encoding="utf-8-sig", newline="") as file,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        try:
            if Path(path).stat().st_size > LONGEST_LINE:
                try:
                    return _split_object(file, target)
                except NotOneObjectError:
                    target.seek(0)
                    target.truncate()
            file.seek(0)
            _write(target, elements(file, LONGEST_LINE))
        except TooLongError:
            message = _(
                "{path} has a JSON value longer than {limit} MB that is no list of records; write one record a line"
            )
            raise InputError(message.format(path=path, limit=LONGEST_LINE >> 20)) from None
    return {}


def _split_object(file: TextIO, target: TextIO) -> dict[str, Any]:
    """Copy the records inside the file's one object, and return its other fields. Raises NotOneObjectError."""
    if not file.read(_LOOK).lstrip().startswith("{"):
        raise NotOneObjectError
    file.seek(0)
    around: list[str] = []
    _write(target, records_inside(file, around, LONGEST_LINE))
    fields = _loaded("".join(around))
    if not isinstance(fields, dict):
        return {}
    return {key: value for key, value in fields.items() if value != []}


def _write(target: TextIO, elements: Iterable[str]) -> None:
    target.writelines(_on_one_line(element) + "\n" for element in elements)


def _on_one_line(text: str) -> str:
    return " ".join(map(str.strip, _NEWLINES.split(text.strip()))) if _NEWLINES.search(text) else text.strip()


def flatten(path: str, copy: Path, time_column: str, around: Mapping[str, Any]) -> None:
    """Copy JSON lines so that each behavior inside a record is a line of its own, with its user's fields and those `around` all."""
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
            for flat in _flat(record, around, time_column, 0):
                target.write(json.dumps(flat, ensure_ascii=False) + "\n")


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
