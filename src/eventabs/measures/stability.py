"""How stable events are: those of a first answer beside a second one about the same users, and whose they are if they are not."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from eventabs.measures.confidence import Figure, figure_of, share_of
from eventabs.measures.grouping import FIGURES, Compared, Group, Sums, figures_of

THIRDS: Final = 3


def users_band(users: int) -> str:
    """Name a number of users in a batch by powers of two: `1`, `2-3`, `4-7`, `8-15`; "" for none."""
    least = 1 << (users.bit_length() - 1) if users > 0 else 0
    return f"{least}-{2 * least - 1}" if least > 1 else str(least or "")


def place_third(place: int, users: int) -> str:
    """Name the third of a batch in which a place from 1 on lies, `1` to `3`; "" where that says nothing."""
    return str(1 + (place - 1) * THIRDS // users) if place and users >= THIRDS else ""


_TYPES: Final = 50  # most frequent
_SHARED_FIGURES: Final = ("pair_f1", "bcubed_f1", "whole_f1", "boundary_f1", "loose_f1")


def same_events(first: Sequence[Group], second: Sequence[Group]) -> list[tuple[int, int]]:
    """Pair events that are found again: the same group with a Dice coefficient of at least 0.8, and the same type."""
    pairs = Compared(first, second).pairs()
    return [(ours, theirs) for ours, theirs in pairs if first[ours].type == second[theirs].type]


class Repeat(NamedTuple):
    """A user's events in both answers, and of the first one: the user's position in the batch (0: in pieces), and its users.

    `rows`: how many the user has. `confused` are positions of unstable events that fit a neighbor in the batch better than the user, `by_chance`
    the same with users of another batch in the neighbors' place.
    """

    user_id: str
    first: Sequence[Group]
    second: Sequence[Group]
    rows: int
    position: int
    batch_users: int
    confused: frozenset[int] = frozenset()
    by_chance: frozenset[int] = frozenset()

    @property
    def unstable(self) -> tuple[int, ...]:
        """Return the positions of events in the first answer that the second one does not have too."""
        stable = {ours for ours, _theirs in same_events(self.first, self.second)}
        return tuple(place for place in range(len(self.first)) if place not in stable)

    @property
    def stable(self) -> float:
        """The share of stable events, 0 where only the second answer has any."""
        return 1 - len(self.unstable) / len(self.first) if self.first else 0.0


class StabilityRow(NamedTuple):
    """Some events of the first answers: how many, of how many users, and the shares that the second answers have."""

    name: str
    users: int
    events: int
    stable: Figure
    same_behaviors: Figure


@dataclass(frozen=True, slots=True)
class Stability:
    """Shares of events. `stable`: the second answer has the event too, as `same_events` says.

    `same_behaviors`: one with the very same rows; `only_second`: of the second answers' events, those that the first ones lack.
    `confused`, `by_chance`: see Repeat; `confusion` is their difference. `shared`: figures of both answers as groupings.
    Positions are thirds of batches of three users and more, named 1 to 3, numbers of users in a batch are in bands such as 8-15.
    """

    users: int
    events: int
    second_events: int
    stable: Figure
    same_behaviors: Figure
    only_second: Figure
    confused: Figure
    by_chance: Figure
    confusion: Figure
    shared: dict[str, Figure]
    by_type: tuple[StabilityRow, ...]
    by_position: tuple[StabilityRow, ...]
    by_batch_users: tuple[StabilityRow, ...]


class _Judged(NamedTuple):
    """A user's events, and the positions of those that the second answer has too."""

    repeat: Repeat
    stable: frozenset[int]
    same: frozenset[int]
    agreement: Sums

    @classmethod
    def of(cls, repeat: Repeat) -> "_Judged":
        compared = Compared(repeat.second, repeat.first, range(repeat.rows))
        same = frozenset(ours for _theirs, ours in compared.pairs(1.0))
        stable = frozenset(range(len(repeat.first))) - frozenset(repeat.unstable)
        return cls(repeat, stable, same, compared.agreement())


def stability_of(repeats: Iterable[Repeat], *, seed: int = 0) -> Stability:
    """Return how stable the events are; intervals draw users, and `seed` draws them."""
    judged = [_Judged.of(repeat) for repeat in repeats]

    def of_events(part: Callable[[_Judged], int]) -> Figure:
        return share_of([(part(each), len(each.repeat.first)) for each in judged], seed)

    by_place = _rows(
        judged, lambda each, _place: place_third(each.repeat.position, each.repeat.batch_users), seed
    )
    by_band = _rows(judged, lambda each, _place: users_band(each.repeat.batch_users), seed)
    by_type = _rows(judged, lambda each, place: each.repeat.first[place].type, seed)
    confusions = [
        (len(each.repeat.confused) - len(each.repeat.by_chance), len(each.repeat.first)) for each in judged
    ]
    return Stability(
        users=len(judged),
        events=sum(len(each.repeat.first) for each in judged),
        second_events=sum(len(each.repeat.second) for each in judged),
        stable=of_events(lambda each: len(each.stable)),
        same_behaviors=of_events(lambda each: len(each.same)),
        only_second=share_of(
            [(len(each.repeat.second) - len(each.stable), len(each.repeat.second)) for each in judged], seed
        ),
        confused=of_events(lambda each: len(each.repeat.confused)),
        by_chance=of_events(lambda each: len(each.repeat.by_chance)),
        confusion=figure_of(confusions, lambda sums: sums[0] / sums[1] if sums[1] else None, seed),
        shared=figures_of(
            [each.agreement for each in judged], {name: FIGURES[name] for name in _SHARED_FIGURES}, seed
        ),
        by_type=tuple(sorted(by_type, key=lambda row: (-row.events, row.name))[:_TYPES]),
        by_position=tuple(sorted(by_place, key=lambda row: row.name)),
        by_batch_users=tuple(sorted(by_band, key=lambda row: int(row.name.partition("-")[0]))),
    )


def _rows(
    judged: Iterable[_Judged], name_of: Callable[[_Judged, int], str], seed: int
) -> Iterator[StabilityRow]:
    """Yield a row for each name that events have, but for the name ""."""
    counts: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)  # by user: events, stable, same
    for each in judged:
        named: defaultdict[str, list[int]] = defaultdict(list)
        for position in range(len(each.repeat.first)):
            named[name_of(each, position)].append(position)
        for name, positions in named.items():
            places = set(positions)
            counts[name].append((len(places), len(places & each.stable), len(places & each.same)))
    counts.pop("", None)
    for name, users in counts.items():
        yield StabilityRow(
            name,
            len(users),
            sum(events for events, _stable, _same in users),
            share_of([(stable, events) for events, stable, _same in users], seed),
            share_of([(same, events) for events, _stable, same in users], seed),
        )


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
