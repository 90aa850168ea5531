"""The JSON forms of an answer, as text: whole, between prose, an object a line, and what is no longer JSON.

The last is cut into one piece a user and one an event, each mended by json-repair alone. Small pieces because one fault then costs one event, and because json-repair takes quadratic time on some texts.
"""

import json
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice

import json_repair
import orjson

from eventabs.replies.claims import Aliases, Block
from eventabs.replies.objects import blocks_of, names_user
from eventabs.replies.text import fold

_MOST_CHUNKS = 10_000
_LONGEST_PIECE = 2_000  # characters
_ALLOWANCE = 100_000_000  # cost of what one reply may give to json-repair; at worst some 3 s
_COST_OF_A_PIECE = 5_000  # beside its squared length

_DECODER = json.JSONDecoder(strict=False)  # raw line breaks inside strings are fine
_STRING_OR_WIDE = re.compile(r'"(?:[^"\\\n]++|\\.)*+"?|[：，；｛｝［］【】（）“”‘’]++')
_USER = re.compile(
    r"""\{\s*+["']?(?:user_?id|user|uid|u|alias|id|name|用户)["']?\s*+:\s*+["']?(?P<value>[^"',:\[\]{}\n]{1,20}+)["']?\s*+,"""
    r"""|["'](?P<key>[^"'\n]{1,20}+)["']\s*+:\s*+(?=[\[{])""",
    re.IGNORECASE,
)
_EVENT = re.compile(r"""[\[(]\s*+["']?\d{1,4}[-/.年月:]|\{\s*+["']?\w{1,20}+["']?\s*+:""")
_BRACKET = re.compile(r"[\[\](){}]")
_CLOSED = re.compile(r"[\])]\s*+,?\s*+\}[\s\]},;]*$")


def read_chunks(text: str, aliases: Aliases, *, stopped: bool) -> Iterator[Block]:
    """Read users from text in which JSON objects begin, valid or not.

    What a user's part became is trusted where it is valid, where the next user of the batch begins behind
    it, or where its brackets are closed at the end of a reply that `stopped` by itself.
    """
    open_blocks: list[Block] = []
    yield from blocks_of(_values(straightened(text), aliases, open_blocks, stopped), aliases, closed=False)
    yield from open_blocks


def straightened(text: str) -> str:
    """Write full-width punctuation outside of strings as ASCII."""
    if text.isascii():
        return text
    return _STRING_OR_WIDE.sub(lambda match: match[0] if match[0][0] == '"' else fold(match[0]), text)


def _values(text: str, aliases: Aliases, open_blocks: list[Block], stopped: bool) -> Iterator[object]:
    chunks = list(_chunks(text, aliases))
    last_known = max((at for at, (alias, *_) in enumerate(chunks) if alias), default=-1)
    mender = _Mender()
    for at, (alias, start, inside, end) in enumerate(chunks):
        valid = _prefix(text[start:end])
        if valid is not None:
            keyed = inside == start
            yield {alias or "U0": valid} if keyed else valid
        elif not alias:
            continue
        elif at < last_known or (stopped and _ends_closed(text[start:end])):
            yield mender.mend(alias, text[start:end], inside - start)
        else:
            open_blocks.append(aliases.block(alias))


def _chunks(text: str, aliases: Aliases) -> Iterator[tuple[str, int, int, int]]:
    """Yield alias ("" if unknown), start of the value, start of what the user holds, end."""
    before: tuple[str, int, int] | None = None
    marks = (
        match for match in _USER.finditer(text) if aliases.find(match["value"] or match["key"]) is not None
    )
    for match in islice(marks, _MOST_CHUNKS):
        if before:
            yield (*before, match.start())
        alias = aliases.find(match["value"] or match["key"]) or ""
        before = (alias, match.end() if match["key"] else match.start(), match.end())
    if before:
        yield (*before, len(text))


def _prefix(text: str) -> object:
    try:
        value, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _ends_closed(chunk: str) -> bool:
    brackets = [match.end() for match in _BRACKET.finditer(chunk, max(0, len(chunk) - _LONGEST_PIECE))]
    return bool(brackets) and _CLOSED.search(chunk[max(0, brackets[-1] - 100) : brackets[-1]]) is not None


def _listed(piece: str) -> str:
    """Write a Python tuple as a list."""
    return f"[{piece[1:].rstrip(')]},; ')}]" if piece.startswith("(") else piece


class _Mender:
    """Hands single events to json-repair until the allowance of a reply is used up."""

    def __init__(self) -> None:
        self._left = _ALLOWANCE

    def mend(self, alias: str, chunk: str, inside: int) -> object:
        """Return the value of a user: their events one by one, or where none begins, what the chunk is."""
        starts = [match.start() for match in _EVENT.finditer(chunk, inside)]
        if not starts:
            return self._repaired(chunk)
        pieces = (chunk[start:end] for start, end in zip(starts, [*starts[1:], len(chunk)], strict=True))
        return {alias: [self._event(_listed(piece.rstrip(" \t\r\n,;"))) for piece in pieces]}

    def _event(self, piece: str) -> object:
        valid = _prefix(piece)
        return valid if valid is not None else self._repaired(piece)

    def _repaired(self, piece: str) -> object:
        cost = _COST_OF_A_PIECE + len(piece) ** 2
        if len(piece) > _LONGEST_PIECE or cost > self._left:
            return None
        self._left -= cost
        try:
            return json_repair.loads(piece, skip_json_loads=True)
        except (ValueError, RecursionError):
            return None


def is_json(text: str) -> bool:
    """Whether `text` is one JSON object or array and nothing else."""
    return _loads(text) is not None


def read_json(text: str, aliases: Aliases, *, stopped: bool) -> Iterator[Block]:
    """Read users out of JSON, from the strictest way to the most lenient.

    `stopped`: the model ended of its own accord, so that a mended end may be one.
    """
    if "{" not in text and "[" not in text:
        return
    whole = _loads(text) or _loads(_between_brackets(text))
    if whole is not None:
        yield from blocks_of([whole], aliases, closed=True)
        return
    left: list[str] = []
    yield from blocks_of(_objects_by_line(text, aliases, left), aliases, closed=False)
    yield from read_chunks("".join(left), aliases, stopped=stopped)


def _objects_by_line(text: str, aliases: Aliases, left: list[str]) -> Iterator[object]:
    """Yield the objects that stand on a line of their own and name a user; put other lines into `left`."""
    for line in StringIO(text, newline=None):
        candidate = line.strip().rstrip(",")
        value = _loads(candidate) if candidate.startswith("{") else None
        if value is not None and names_user(value, aliases):
            yield value
        else:
            left.append(line)


def _loads(text: str) -> object:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict | list) and value else None


def _between_brackets(text: str) -> str:
    """Leave out prose before and behind; "" where the last bracket opens something that never ends."""
    starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    end = max(text.rfind("}"), text.rfind("]"))
    if not starts or end < max(text.rfind("{"), text.rfind("[")):
        return ""
    return text[min(starts) : end + 1]
