"""The texts of JSON values that stand in a file one after the other, without holding the file."""

import json
import re
from collections.abc import Iterator
from typing import Final, TextIO

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
