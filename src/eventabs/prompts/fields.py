"""Text from data before it is sent: one clean line, the user's id masked, filler marks removed."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from eventabs.records import MAX_CHARACTERS

MASK = "[id]"

_CUT = "…"
_JOINER = "\u200d"  # joins compound emoji
_SHORTEST_NUMBER = 5  # shorter numbers identify nobody and are in texts for other reasons


def clean(text: str) -> str:
    """Return `text` as one line: white space as single spaces, no control, bidi and other invisible characters.

    Lone surrogates become U+FFFD.
    """
    if text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " ":
        return text
    return " ".join("".join(map(_visible, " ".join(text.split()))).split())


def shorten(text: str) -> str:
    """Cut `text` to 200 characters; the last is then an ellipsis."""
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + _CUT


def without_marks(name: str, marks: Sequence[str]) -> str:
    """Return a clean `name` without filler marks; never empty.

    A mark stays if it is part of a Latin word or number: `XX` in `XXL`.
    """
    for mark in marks:
        if mark and mark in name:
            name = clean(_whole(mark).sub("", name)) or name
    return name


def colliding(names: Iterable[str], marks: Sequence[str]) -> frozenset[str]:
    """Return the clean names that would equal another name without their marks."""
    origins: dict[str, set[str]] = {}
    for name in names:
        origins.setdefault(without_marks(name, marks), set()).add(name)
    return frozenset(name for same in origins.values() if len(same) > 1 for name in same)


def id_pattern(user_id: str) -> re.Pattern[str] | None:
    """Return the pattern of the user's id as a whole word in clean text, in any case; None if it identifies nobody."""
    name = clean(user_id)
    return _whole(name, re.IGNORECASE) if identifies(name) else None


def identifies(name: str) -> bool:
    """Whether a clean user id identifies a user: single characters and numbers of fewer than five digits do not."""
    return len(name) >= (_SHORTEST_NUMBER if name.isdecimal() else 2)


def _whole(text: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """Match `text` if neither end continues a Latin word or a number."""
    before = r"(?<![0-9A-Za-z])" if _is_latin(text[0]) else ""
    after = r"(?![0-9A-Za-z])" if _is_latin(text[-1]) else ""
    return re.compile(before + re.escape(text) + after, flags)


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    return "" if category in {"Cc", "Cf"} and character != _JOINER else character
