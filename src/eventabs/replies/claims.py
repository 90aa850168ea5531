"""The events that a reply claims in any form: in blocks of users, with aliases such as U1, 用户U1, **U1**."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_SPARE = 100  # a small user whose visit becomes three events is not asked again

# Each character becomes one, so that positions are the same in both texts.
_FOLDED: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "–—―−‐‑‒〜～"), "-"),
    **dict.fromkeys(map(ord, "“”„‟"), '"'),
    **dict.fromkeys(map(ord, "‘’"), "'"),
    **str.maketrans("∶、。【】│¦", ":,.[]||"),
}


def fold(text: str) -> str:
    """Write full-width digits, letters and punctuation as ASCII; positions stay the same."""
    return text if text.isascii() else text.translate(_FOLDED)


_BAR = re.compile(r"[|｜│¦]")


def split_bars(text: str) -> list[str]:
    """Split at bars, ASCII or full-width."""
    return [cell.strip() for cell in _BAR.split(text)]


def most_claims(behaviors: int) -> int:
    """Return the most events that an answer may claim for a user. A good answer has fewer events than behaviors."""
    return 2 * behaviors + _SPARE


class NamedDay(NamedTuple):
    """A day as a reply names it: `year` is None if it has only month and day."""

    year: int | None
    month: int
    day: int


class NamedTime(NamedTuple):
    """A minute as a reply names it."""

    day: NamedDay | None  # None: the day in the line above
    minute: int  # of the day; 1440 is midnight at its end
    later: int = 0  # days after the start, if a reply says so in words


class Claim(NamedTuple):
    """One event as in the reply. `end` is None if it has only one time."""

    start: NamedTime
    end: NamedTime | None
    type: str
    category: str = ""
    summary: str = ""


@dataclass(slots=True)
class Block:
    """The events that a reply claims for one user. `alias` is "" if the batch has no such user.

    `at_end`: nothing closes the block, and the reply ends in one of its events. `overfull`: there were more claims than
    `most`; the others are dropped: a hostile reply may have a million.
    """

    alias: str
    closed: bool = False
    claims: list[Claim] = field(default_factory=list)
    most: int = most_claims(0)
    overfull: bool = False
    at_end: bool = False

    def extend(self, claims: Iterable[Claim]) -> None:
        """Keep claims, up to `most`."""
        for claim in claims:
            if len(self.claims) < self.most:
                self.claims.append(claim)
            else:
                self.overfull = True


NAME = r"(?:(?:用户|users?)[\s_:#-]{0,3}+(?:u[\s_-]{0,2}+)?|u[\s_-]{0,2}+)(?P<number>[1-9]\d{0,6})"
_DECORATION = " \t\r\n-•*_`#:<>[]()\"'.,"
_NAME = re.compile(NAME, re.IGNORECASE)
_LONGEST = 40


class Aliases:
    """The users of a batch, as a reply may write them; at most `most_claims` of each are kept."""

    def __init__(self, most_claims: Mapping[str, int]) -> None:
        self._most_claims = most_claims
        self._known = {alias.casefold(): alias for alias in most_claims}
        self.only = next(iter(self._known.values())) if len(self._known) == 1 else None

    def find(self, text: object) -> str | None:
        """Return the alias that `text` names, "" if the batch has no such user, None if it names no user."""
        if isinstance(text, int) and not isinstance(text, bool):
            return self._known.get(f"u{text}", "")
        if not isinstance(text, str) or len(text) > _LONGEST:
            return None
        name = fold(text).strip(_DECORATION)
        match = _NAME.fullmatch(name)
        return self.numbered(match["number"]) if match else None

    def numbered(self, number: str) -> str:
        """Return the alias with that number, "" if the batch has none."""
        return self._known.get(f"u{number}", "")

    def block(self, alias: str, claims: Iterable[Claim] = (), *, closed: bool = False) -> Block:
        """Return a new block for a user; for "", a user outside the batch, it keeps nothing."""
        block = Block(alias, closed, most=self._most_claims.get(alias, 0))
        block.extend(claims)
        return block
