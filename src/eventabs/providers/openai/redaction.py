"""Keys and other secrets in what an endpoint sends back: they are masked in whatever form they come.

Forms: upper or lower case, percent-encoded, escaped as in JSON, broken by white space, base64 (RFC 4648, both alphabets) at
any place of what was encoded; and, without escapes, cut off at an end of the text, as by a stream that breaks.
"""

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

from eventabs.records import Reply

MASK = "[redacted]"
WORD_LENGTH = 6  # a shorter secret is masked only where it stands alone: "1" is everywhere
LONG = (
    200_000  # characters, far beyond what a model says: such a text with a secret in it is masked as a whole
)
_MASKED_LENGTH = (
    16  # another secret than a key is masked in replies from this length on; a shorter one may be a word
)
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_BASE64 = "[a-z0-9+/_-]?"  # the neighbor that holds the first or last bits of a secret


class _Forms(NamedTuple):
    """A secret as it may stand in a text: what finds it, the plain texts to look for first, and those that may be cut."""

    pattern: re.Pattern[str]
    needles: tuple[str, ...]
    whole: tuple[str, ...]


def redact(text: str, secrets: Iterable[str], *, cut: bool = True) -> str:
    """Mask every secret in the text, in any of the forms above; without `cut`, only where it is whole."""
    longest_first = sorted(secrets, key=len, reverse=True)
    forms = [_forms(secret) for secret in longest_first if len(secret) >= WORD_LENGTH]
    plain = _plain(text) if forms else ""
    found = [form for form in forms if any(needle in plain for needle in form.needles)]
    if found:
        if len(text) > LONG:
            return MASK
        for form in found:
            text = form.pattern.sub(MASK, text)
        plain = _plain(text)
        if any(needle in plain for form in found for needle in form.needles):
            return MASK  # in a mixture of forms that the patterns do not know
    for form in forms if cut else ():
        for whole in form.whole:
            text = _without_cut(text, whole)
    for secret in longest_first:
        if len(secret) < WORD_LENGTH:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return text


class ReplyMask:
    """Masks in replies what is a secret for certain: keys, and other secrets that are too long to be words."""

    def __init__(self, keys: Iterable[str], secrets: Iterable[str]) -> None:
        self._keys = [key for key in keys if len(key) >= WORD_LENGTH]
        others = set(secrets) - set(self._keys)
        self._others = [secret for secret in others if len(secret) >= _MASKED_LENGTH]

    def masked(self, reply: Reply) -> Reply:
        """Return the reply without them."""
        text, reasoning = (
            redact(redact(text, self._keys), self._others, cut=False)
            for text in (reply.text, reply.reasoning)
        )
        return replace(reply, text=text, reasoning=reasoning)


def one_line(text: str, secrets: Iterable[str], most: int = 300) -> str:
    """Return foreign text as one redacted line of at most so many characters, without control characters."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    line = redact(" ".join(visible.split()), secrets)
    return line if len(line) <= most else line[: most - 1] + "…"


def _plain(text: str) -> str:
    """Return a text in lower case, without escapes and white space, where all forms but base64 look the same."""
    text = _folded(text)
    if "%" in text:
        text = _folded(unquote(text))
    if "\\" in text:
        text = _folded(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)).replace("\\", "")
    return "".join(text.split())


def _folded(text: str) -> str:
    """Return a text in lower case and in one alphabet of base64."""
    return text.lower().replace("-", "+").replace("_", "/")


@cache
def _forms(secret: str) -> _Forms:
    encoded = list(_encoded(secret.encode()))
    patterns = [_pattern(secret), *(f"{_BASE64}{_pattern(text)}{_BASE64}={{0,2}}" for text in encoded)]
    whole = tuple(map(_folded, (secret, *encoded)))
    # a secret may look as if parts of it were escapes
    needles = {*map(_plain, whole), *(text.replace("\\", "") for text in whole)}
    return _Forms(re.compile("|".join(patterns), re.IGNORECASE), tuple(needles), whole)


def _encoded(secret: bytes) -> Iterator[str]:
    """Yield the characters of base64 that hold nothing but the secret, for each of its three places in a group."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret).decode()
        yield text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]


def _pattern(text: str) -> str:
    """Return the pattern of a text whose characters may each be escaped, with white space between them."""
    return r"\s*".join(map(_character, text))


def _character(character: str) -> str:
    twins = {"+": "[+-]", "-": "[+-]", "/": "[/_]", "_": "[/_]"}  # of the two alphabets of base64
    percent = "".join(f"%{byte:02x}" for byte in character.encode())
    return rf"\\*(?:{twins.get(character, re.escape(character))}|{percent}|(?<=\\)u{ord(character):04x})"


def _without_cut(text: str, whole: str) -> str:
    """Mask the beginning of a secret at the end of a text, and its end at the beginning."""
    begin, end = _folded(text[: len(whole)]), _folded(text[-len(whole) :])
    for length in range(len(whole) - 1, WORD_LENGTH - 1, -1):
        if end.endswith(whole[:length]):
            text = text[:-length] + MASK
            break
    for length in range(len(whole) - 1, WORD_LENGTH - 1, -1):
        if begin.startswith(whole[-length:]):
            return MASK + text[length:]
    return text
