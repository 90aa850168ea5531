"""The JSON forms of an answer, as text: whole, between prose, an object a line, and what is left of it."""

from collections.abc import Iterator
from io import StringIO

import orjson

from eventabs.events.aliases import Aliases
from eventabs.events.claims import Block
from eventabs.events.objects import blocks_of, names_user
from eventabs.events.repair import read_chunks


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
