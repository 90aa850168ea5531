"""Whether an event fits another user's log better than its own: times that are there, and words of its lines."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

_CLEARLY: Final = 0.3  # better: by so much of the summary's words
_PAIR: Final = 2  # characters


class Claim(NamedTuple):
    """What an event says of itself: the wall minutes in which it starts and ends, and words about what was done.

    `end` is None where it is no time of a behavior, and `start` where it is none at all.
    """

    start: int | None
    end: int | None
    last: int | None
    summary: str


class LogText:
    """A user's log as wall minutes, each with what was done then."""

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        self._lines = sorted(lines)
        self._minutes = [minute for minute, _text in self._lines]

    def fit(self, claim: Claim) -> float:
        """Return 0 where a time of the claim is not in the log, else 1 and the share of the summary's words there."""
        if claim.start is None or not (
            self._has(claim.start) and (claim.end is None or self._has(claim.end))
        ):
            return 0.0
        last = claim.start if claim.last is None else claim.last
        places = range(bisect_left(self._minutes, claim.start), bisect_right(self._minutes, last))
        said = _word_pairs(claim.summary)
        there = set[str]().union(*(_word_pairs(self._lines[place][1]) for place in places))
        return 1 + (len(said & there) / len(said) if said else 0.0)

    def _has(self, minute: int) -> bool:
        place = bisect_left(self._minutes, minute)
        return place < len(self._minutes) and self._minutes[place] == minute


def fits_better(claim: Claim, own: LogText, others: Iterable[LogText]) -> int | None:
    """Return which of the others, by position, a claim fits clearly better than its own user; None: none does."""
    at_home = own.fit(claim)
    ranked = [(other.fit(claim), -position) for position, other in enumerate(others)]
    best, place = max(ranked, default=(0.0, 0))
    return -place if best >= at_home + _CLEARLY else None


def _word_pairs(text: str) -> set[str]:
    """Return the pairs of neighboring letters and digits: they serve languages with and without blanks between words."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return {letters[place : place + _PAIR] for place in range(len(letters) - 1)}
