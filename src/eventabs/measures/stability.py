"""How stable events are: those of a first answer held against a second one about the same users.

Where there are no labels, what a model says of a user in one company and not in another is not known to be so.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from eventabs.measures.agreement import Occurrence, same_behaviors, stable_events
from eventabs.measures.batch_classes import place_third, users_band
from eventabs.measures.bootstrap import Figure, figure_of, share_of

_TYPES: Final = 50  # most frequent


class Repeat(NamedTuple):
    """A user's events in both answers, and of the first one: the user's position in the batch (0: in pieces), and its users.

    `confused` are positions of unstable events that fit a neighbor in the batch better than the user, `by_chance` the same
    with users of another batch in the neighbors' place.
    """

    user_id: str
    first: Sequence[Occurrence]
    second: Sequence[Occurrence]
    position: int
    batch_users: int
    confused: frozenset[int] = frozenset()
    by_chance: frozenset[int] = frozenset()

    def stable(self) -> frozenset[int]:
        """Return the positions of events in the first answer that the second one has too."""
        return frozenset(first for first, _second in stable_events(self.first, self.second))


class StabilityRow(NamedTuple):
    """Some events of the first answers: how many, of how many users, and the shares that the second answers have."""

    name: str
    users: int
    events: int
    stable: Figure
    same_behaviors: Figure


class UserStability(NamedTuple):
    """A user: events of the first answer, positions of those that are not stable, and how many the second has."""

    user_id: str
    events: int
    unstable: tuple[int, ...]
    second_events: int

    @property
    def stable(self) -> float:
        """The share of stable events, 0 where only the second answer has any."""
        return (self.events - len(self.unstable)) / self.events if self.events else 0.0


@dataclass(frozen=True, slots=True)
class Stability:
    """Shares of events. `stable`: the second answer has one of the same type that shares at least half of the behaviors.

    `same_behaviors`: one with the very same ones; `only_second`: of the second answers' events, those that the first ones
    lack. `confused`, `by_chance`: see Repeat; `confusion` is their difference. Positions are thirds of batches of three users
    and more, named 1 to 3, numbers of users in a batch are in bands such as 8-15.
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
    by_type: tuple[StabilityRow, ...]
    by_position: tuple[StabilityRow, ...]
    by_batch_users: tuple[StabilityRow, ...]
    by_user: tuple[UserStability, ...]


class _Judged(NamedTuple):
    """A user's events with what became of each."""

    repeat: Repeat
    stable: frozenset[int]
    same: frozenset[int]


def stability_of(repeats: Iterable[Repeat], *, seed: int = 0) -> Stability:
    """Return how stable the events are; intervals draw users, and `seed` draws them."""
    judged = [
        _Judged(
            each, each.stable(), frozenset(one for one, _other in same_behaviors(each.first, each.second))
        )
        for each in repeats
    ]
    confusions = [
        (len(each.repeat.confused), len(each.repeat.by_chance), len(each.repeat.first)) for each in judged
    ]
    return Stability(
        users=len(judged),
        events=sum(len(each.repeat.first) for each in judged),
        second_events=sum(len(each.repeat.second) for each in judged),
        stable=share_of([(len(each.stable), len(each.repeat.first)) for each in judged], seed),
        same_behaviors=share_of([(len(each.same), len(each.repeat.first)) for each in judged], seed),
        only_second=share_of(
            [(len(each.repeat.second) - len(each.stable), len(each.repeat.second)) for each in judged], seed
        ),
        confused=share_of([(near, events) for near, _chance, events in confusions], seed),
        by_chance=share_of([(chance, events) for _near, chance, events in confusions], seed),
        confusion=figure_of(confusions, _difference, seed),
        by_type=tuple(_most_events(_rows(judged, _type, seed))[:_TYPES]),
        by_position=tuple(sorted(_rows(judged, _third, seed), key=lambda row: row.name)),
        by_batch_users=tuple(
            sorted(_rows(judged, _band, seed), key=lambda row: int(row.name.partition("-")[0]))
        ),
        by_user=tuple(
            UserStability(
                each.repeat.user_id,
                len(each.repeat.first),
                tuple(sorted(set(range(len(each.repeat.first))) - each.stable)),
                len(each.repeat.second),
            )
            for each in judged
        ),
    )


def _difference(sums: Sequence[float]) -> float | None:
    confused, by_chance, events = sums
    return (confused - by_chance) / events if events else None


def _type(judged: _Judged, position: int) -> str:
    return judged.repeat.first[position].type


def _third(judged: _Judged, _position: int) -> str:
    return place_third(judged.repeat.position, judged.repeat.batch_users)


def _band(judged: _Judged, _position: int) -> str:
    return users_band(judged.repeat.batch_users)


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


def _most_events(rows: Iterable[StabilityRow]) -> list[StabilityRow]:
    return sorted(rows, key=lambda row: (-row.events, row.name))
