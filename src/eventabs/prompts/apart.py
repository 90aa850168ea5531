"""Which users' logs cannot be counted by what recurs: something in them may be masked, or keep its marks.

All of this may name a user too many, whose log is then written out and counted. It never names one too few.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from eventabs.prompts.fields import clean, identifies, without_marks
from eventabs.records import Name


def unusual(names: Sequence[Name]) -> list[int]:
    """Return the positions of names that have a text which cleaning changes, or whose case is more than ASCII's."""
    texts = [f"|{name.action}|{name.item}|{name.place}|" for name in names]
    if _is_usual("".join(texts)):  # mostly all are, and that is soon found out
        return []
    return [position for position, text in enumerate(texts) if not _is_usual(text)]


def _is_usual(texts: str) -> bool:
    is_clean = texts.isprintable() and not any(sign in texts for sign in ("  ", "| ", " |"))
    return is_clean and (texts.isascii() or texts.casefold().encode() == texts.encode().lower())


def id_key(user_id: str) -> str | None:
    """Return what a log holds in lower case if the user's id is to be masked in it; None: no id needs that."""
    name = clean(user_id)
    if not identifies(name):
        return None
    return "" if "|" in name else name.casefold()  # every text holds ""


def kin(names: Sequence[Name], marks: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Group the texts that would become one without their marks: (position in `names`, group, member)."""
    if not marks:
        return
    members: dict[str, list[tuple[int, int]]] = {}
    for group, texts in enumerate(_becoming_one({text for name in names for text in name[1:3]}, marks)):
        for member, text in enumerate(texts):
            members.setdefault(text, []).append((group, member))
    if not members:
        return
    for position, name in enumerate(names):
        for text in name[1:3]:
            for group, member in members.get(text, ()):
                yield position, group, member


def _becoming_one(texts: AbstractSet[str], marks: Sequence[str]) -> Iterator[list[str]]:
    groups: dict[str, list[str]] = {}
    for text in texts:
        if any(mark in text for mark in marks):
            groups.setdefault(without_marks(clean(text), marks), []).append(text)
    for bare, those in groups.items():
        if bare in texts and bare not in those:
            those.append(bare)
        if len(those) > 1:
            yield those
