"""Which user a reply means: U1, u1, 用户U1, **U1**, User 1."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from eventabs.replies.text import fold

_SPARE = 100


def most_claims(behaviors: int) -> int:
    """Return how many events a user may be said to have. An honest answer has fewer events than behaviors.

    Far more than that: a small user whose visit becomes three events is no reason to ask again.
    """
    return 2 * behaviors + _SPARE


class NamedDay(NamedTuple):
    """A day as a reply names it: `year` is None where it says only month and day."""

    year: int | None
    month: int
    day: int


class NamedTime(NamedTuple):
    """A minute as a reply names it."""

    day: NamedDay | None  # None: the day that stands above it
    minute: int  # of the day; 1440 is midnight at its end
    later: int = 0  # days after the start, where a reply says so in words


class Claim(NamedTuple):
    """One event as the reply words it. `end` is None where only one time is named."""

    start: NamedTime
    end: NamedTime | None
    type: str
    category: str = ""
    summary: str = ""


@dataclass(slots=True)
class Block:
    """What a reply says about one user. `alias` is "" where the batch holds no such user.

    `overfull`: there were more claims than `most`, and those are not kept: a hostile reply has a million.
    """

    alias: str
    closed: bool = False
    claims: list[Claim] = field(default_factory=list)
    most: int = most_claims(0)
    overfull: bool = False

    def add(self, claim: Claim | None) -> None:
        """Keep a claim, as long as there are not absurdly many."""
        if claim is None:
            return
        if len(self.claims) < self.most:
            self.claims.append(claim)
        else:
            self.overfull = True


NAME = r"(?:(?:用户|users?)[\s_:#-]{0,3}+(?:u[\s_-]{0,2}+)?|u[\s_-]{0,2}+)(?P<number>[1-9]\d{0,6})"
_DECORATION = " \t\r\n-•*_`#:<>[]()\"'.,"
_NAME = re.compile(NAME, re.IGNORECASE)
_LONGEST = 40


class Aliases:
    """The users of a batch as a reply may write them; `most_claims` of each are kept."""

    def __init__(self, most_claims: Mapping[str, int]) -> None:
        self._most_claims = most_claims
        self._known = {alias.casefold(): alias for alias in most_claims}
        self.only = next(iter(self._known.values())) if len(self._known) == 1 else None

    def find(self, text: object) -> str | None:
        """Return the alias that `text` means, "" if the batch has no such user, None if it names nobody."""
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

    def block(self, alias: str, *, closed: bool = False) -> Block:
        """Return a new block for a user, "" for one that the batch does not have: of those nothing is kept."""
        return Block(alias, closed, most=self._most_claims.get(alias, 0))
