"""What a reply claims, before any of it is checked against a user's log."""

from dataclasses import dataclass, field
from typing import NamedTuple

MAX_CLAIMS = 5_000  # in one block; a hostile reply holds a million, an honest one some hundreds


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
    """What a reply says about one user. `alias` is "" where the batch holds no such user."""

    alias: str
    closed: bool = False
    claims: list[Claim] = field(default_factory=list)

    def add(self, claim: Claim | None) -> None:
        """Keep a claim, as long as there are not absurdly many."""
        if claim is not None and len(self.claims) < MAX_CLAIMS:
            self.claims.append(claim)
