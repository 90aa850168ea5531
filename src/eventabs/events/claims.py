"""What a reply claims, before any of it is checked against a user's log."""

from dataclasses import dataclass, field
from typing import NamedTuple

_SPARE = 100


def most_claims(behaviors: int) -> int:
    """Return how many events a user may be said to have. An honest answer has fewer events than behaviors.

    Far more than that: a small user whose visit becomes three events is no reason to ask again.
    """
    return 2 * behaviors + _SPARE


class Day(NamedTuple):
    """A day as a reply names it: `year` is None where it says only month and day."""

    year: int | None
    month: int
    day: int


class Moment(NamedTuple):
    """A minute as a reply names it."""

    day: Day | None  # None: the day that stands above it
    minute: int  # of the day; 1440 is midnight at its end
    later: int = 0  # days after the start, where a reply says so in words


class Claim(NamedTuple):
    """One event as the reply words it. `end` is None where only one time is named."""

    start: Moment
    end: Moment | None
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
