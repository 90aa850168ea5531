"""JSON that is not one flat object a line -> a copy that is: arrays, and users with a list of behaviors inside."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from eventabs.errors import InputError
from eventabs.ingest.actions import plain
from eventabs.ingest.columns import USUAL_NAMES
from eventabs.ingest.files import LONGEST_LINE
from eventabs.language import gettext as _

_CHUNK: Final = 1 << 20
_TOKEN: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\[\]{},]|"')
_IN_LIST: Final = 2  # depth of brackets: the object's, and the list's
_decoded: Final = json.JSONDecoder().raw_decode


class TooLongError(Exception):
    """A value is longer than what may be held."""


class NotOneObjectError(Exception):
    """Something follows the object."""


class _Scanner:
    """Finds the strings, brackets and commas of a file, a chunk at a time.

    `start`: where the text begins that has not been taken; no more than `longest` characters of it are held.
    """

    def __init__(self, file: TextIO, longest: int) -> None:
        self._file = file
        self._longest = longest
        self._text = ""
        self._position = 0
        self._before = 0  # where the token before ended
        self.start = 0

    def tokens(self) -> Iterator[re.Match[str]]:
        """Yield the tokens. Raises TooLongError."""
        more = True
        while more:
            more = self._read_on()
            while token := _TOKEN.search(self._text, self._position):
                if token.group() == '"' and more and self._text.find("\n", token.end()) < 0:
                    break  # a string that goes on in the next chunk; one never ends on another line
                self._before, self._position = self._position, token.end()
                yield token

    def take(self, end: int | None = None) -> str:
        """Return the text up to `end`, None: all there is, and go on behind it."""
        end = len(self._text) if end is None else end
        text = self._text[self.start : end]
        self.start = end
        return text

    def take_before(self, token: re.Match[str]) -> str | None:
        """Return the text up to the token before; None where there is more than white space in between."""
        return None if self._text[self._before : token.start()].strip() else self.take(self._before)

    def skip_object(self, token: re.Match[str]) -> bool:
        """Go on behind the object that begins there; False where it is broken or goes on behind the text."""
        try:
            self._position = _decoded(self._text, token.start())[1]
        except (ValueError, RecursionError):
            return False
        return True

    def is_at_the_end(self) -> bool:
        """Whether nothing but white space follows."""
        rest = iter(lambda: self._file.read(_CHUNK), "")
        return not self._text[self.start :].strip() and not any(chunk.strip() for chunk in rest)

    def _read_on(self) -> bool:
        chunk = self._file.read(_CHUNK)
        self._text = self._text[self.start :] + chunk
        self._position -= self.start
        self.start = 0
        if len(self._text) > self._longest:
            raise TooLongError
        return bool(chunk)


def elements(file: TextIO, longest: int) -> Iterator[str]:
    """Yield the texts of the elements of an array, or of values that follow each other. Raises TooLongError.

    They are told apart by counting brackets outside strings, so that one that is no JSON costs no other. `longest`
    is in characters.
    """
    scanner = _Scanner(file, longest)
    depth = base = 0
    opened = False
    for token in scanner.tokens():
        mark = token.group()
        if mark == "{" and depth == base == 1 and scanner.skip_object(token):
            continue
        if mark in "[{":
            if not opened:
                opened = True
                base = 1 if mark == "[" else 0
                scanner.start = token.end() if base else token.start()
            depth += 1
        elif mark in "]}":
            depth -= 1
            if depth < base or base == depth == 0:
                yield from _unless_blank(scanner.take(token.start() if base else token.end()))
                scanner.start = token.end()
                depth = max(depth, 0)
        elif mark == "," and depth == base == 1:
            yield scanner.take(token.start())
            scanner.start = token.end()
    yield from _unless_blank(scanner.take().strip())


def records_inside(file: TextIO, around: list[str], longest: int) -> Iterator[str]:  # noqa: C901  one automaton reads better in one piece
    """Yield the texts of what stands in the lists of records of one object; its other text goes to `around`.

    Raises NotOneObjectError where something follows it, and TooLongError.
    """
    scanner = _Scanner(file, longest)
    depth = 0
    in_records = was_opening = False
    for token in scanner.tokens():
        mark = token.group()
        if mark == "{" and depth == _IN_LIST:
            if not in_records and was_opening and (text := scanner.take_before(token)) is not None:
                in_records = True
                around.append(text)
            if in_records and scanner.skip_object(token):
                was_opening = False
                continue
        was_opening = mark in "[{"
        if was_opening:
            depth += 1
        elif mark in "]}":
            depth -= 1
            if in_records and depth < _IN_LIST:
                yield from _unless_blank(scanner.take(token.start()))
                in_records = False
            elif depth == 0:
                around.append(scanner.take(token.end()))
                if not scanner.is_at_the_end():
                    raise NotOneObjectError
                return
        elif mark == "," and in_records and depth == _IN_LIST:
            yield scanner.take(token.start())
            scanner.start = token.end()
    yield from _unless_blank(scanner.take())


def _unless_blank(text: str) -> Iterator[str]:
    if text.strip():
        yield text


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
