"""The texts of JSON values that stand in a file one after the other, without holding the file."""

import json
import re
from collections.abc import Iterator
from typing import Final, TextIO

_CHUNK: Final = 1 << 20
_TOKEN: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\[\]{},]|"')
_decoded: Final = json.JSONDecoder().raw_decode


class TooLongError(Exception):
    """A value is longer than what may be held."""


class NotOneObjectError(Exception):
    """Something follows the object."""


def elements(file: TextIO, longest: int) -> Iterator[str]:  # noqa: C901, PLR0912  one automaton reads better in one piece
    """Yield the texts of the elements of an array, or of values that follow each other. Raises TooLongError.

    They are told apart by counting brackets outside strings, so that one that is no JSON costs no other. `longest`
    is in characters.
    """
    text = ""
    depth = base = start = position = 0
    opened = False
    while True:
        chunk = file.read(_CHUNK)
        text = text[start:] + chunk
        position -= start
        start = 0
        if len(text) > longest:
            raise TooLongError
        while token := _TOKEN.search(text, position):
            mark = token.group()
            if mark == '"' and chunk and text.find("\n", token.end()) < 0:
                break  # a string that goes on in the next chunk; one never ends on another line
            if mark == "{" and depth == base == 1 and (end := _end_of_object(text, token.start())):
                position = end
                continue
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


def records_inside(file: TextIO, around: list[str], longest: int) -> Iterator[str]:  # noqa: C901, PLR0912  as above
    """Yield the texts of what stands in the lists of records of one object; its other text goes to `around`.

    Raises NotOneObjectError where something follows it, and TooLongError.
    """
    text = ""
    depth = start = position = 0
    in_records = False
    list_start = -1  # where a list begins whose first element has not been seen
    while True:
        chunk = file.read(_CHUNK)
        text = text[start:] + chunk
        position -= start
        list_start -= start
        start = 0
        if len(text) > longest:
            raise TooLongError
        while token := _TOKEN.search(text, position):
            mark = token.group()
            if mark == '"' and chunk and text.find("\n", token.end()) < 0:
                break
            if mark == "{" and depth == 2 and not in_records and not text[list_start : token.start()].strip():  # noqa: PLR2004
                in_records = True
                around.append(text[start:list_start])
                start = list_start
            if mark == "{" and depth == 2 and in_records and (end := _end_of_object(text, token.start())):  # noqa: PLR2004
                position = end
                continue
            position = token.end()
            if mark in "[{":
                depth += 1
                list_start = token.end()
            elif mark in "]}":
                depth -= 1
                if in_records and depth == 1:
                    if text[start : token.start()].strip():
                        yield text[start : token.start()]
                    start = token.start()
                    in_records = False
                elif depth == 0:
                    around.append(text[start:position])
                    rest = iter(lambda: file.read(_CHUNK), "")
                    if text[position:].strip() or any(more.strip() for more in rest):
                        raise NotOneObjectError
                    return
            elif mark == "," and in_records and depth == 2:  # noqa: PLR2004
                yield text[start : token.start()]
                start = token.end()
        if not chunk:
            break
    if text[start:].strip():
        yield text[start:]


def _end_of_object(text: str, start: int) -> int:
    """Return where the object that starts there ends, 0 where it is broken or goes on behind the text."""
    try:
        return _decoded(text, start)[1]
    except (ValueError, RecursionError):
        return 0
