"""How far two event lists about the same behaviors agree, as counts that add up over users.

Every count is the same whichever list comes first. A share of it is the F1 of one list against the other:
2 pairs / (events of both), Dice's coefficient.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from eventabs.measures.matching import best_first, matched_times

_HALF: Final = 0.5
_MINUTE: Final = 60


class Occurrence(NamedTuple):
    """An event: the minute in which it starts (None: its time is none), its labels, and the behaviors that it covers."""

    minute: int | None
    type: str
    category: str
    behaviors: frozenset[int] = frozenset()


def occurrences(events: Iterable[Mapping[str, Any]]) -> list[Occurrence]:
    """Take events as a ledger and events.jsonl have them; times are wall times."""
    return [
        Occurrence(
            wall_minute(event["start"]), event["type"], event["category"], frozenset(event["behaviors"])
        )
        for event in events
    ]


def wall_minute(text: str) -> int | None:
    """Return the wall minute of a time, counted from 1970; a model's own, ungrounded one may be none."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() // _MINUTE)
    except (ValueError, TypeError):
        return None


class Agreement(NamedTuple):
    """How many events each list has, how many behaviors it covers, and how many pairs agree, each event in one at most.

    `starts`: in the same minute; of these `types` and `categories` are equal. `near`: starts at most some minutes apart.
    `behaviors`: the very same ones; `halves`: at least half of those that either covers; `equal`: `behaviors` and labels.
    """

    first: int
    second: int
    first_covered: int
    second_covered: int
    starts: int
    near: int
    types: int
    categories: int
    behaviors: int
    halves: int
    equal: int


def agreement_of(first: Sequence[Occurrence], second: Sequence[Occurrence], within: float) -> Agreement:
    """Compare the events of one user. `within`: minutes that near starts may lie apart."""
    starts = same_starts(first, second)
    ours, theirs = (
        [event.minute for event in events if event.minute is not None] for events in (first, second)
    )
    return Agreement(
        first=len(first),
        second=len(second),
        first_covered=len(_covered(first)),
        second_covered=len(_covered(second)),
        starts=len(starts),
        near=len(matched_times(ours, theirs, within)),
        types=sum(first[one].type == second[other].type for one, other in starts),
        categories=sum(first[one].category == second[other].category for one, other in starts),
        behaviors=len(_pairs(first, second, lambda event: event.behaviors or None)),
        halves=_half_alike(first, second),
        equal=len(equal_events(first, second)),
    )


def same_starts(first: Sequence[Occurrence], second: Sequence[Occurrence]) -> list[tuple[int, int]]:
    """Pair events that start in the same minute, those with equal labels first; return positions in both."""
    return _pairs(
        first,
        second,
        lambda event: None if event.minute is None else event[:3],
        lambda event: None if event.minute is None else event[:2],
        lambda event: None if event.minute is None else (event.minute, event.category),
        lambda event: event.minute,
    )


def equal_events(first: Sequence[Occurrence], second: Sequence[Occurrence]) -> list[tuple[int, int]]:
    """Pair events with equal labels and the very same behaviors; where there are none, with equal starts."""
    return _pairs(
        first,
        second,
        lambda event: (event.type, event.category, event.behaviors or event.minute),
    )


def same_behaviors(first: Sequence[Occurrence], second: Sequence[Occurrence]) -> list[tuple[int, int]]:
    """Pair events with the very same behaviors, those with equal types first; an event that covers none has no pair."""
    return _pairs(
        first,
        second,
        lambda event: (event.type, event.behaviors) if event.behaviors else None,
        lambda event: event.behaviors or None,
    )


def stable_events(first: Sequence[Occurrence], second: Sequence[Occurrence]) -> list[tuple[int, int]]:
    """Pair events of one type that share at least half of the behaviors that either covers, the most alike first."""
    ranked = _ranked(first, second)
    return best_first(each for each in ranked if first[each[1]].type == second[each[2]].type)


def _pairs(
    first: Sequence[Occurrence],
    second: Sequence[Occurrence],
    *keys: Callable[[Occurrence], Hashable],
) -> list[tuple[int, int]]:
    """Pair events with an equal key, in order; those left over by the next key. An event whose key is None has no pair."""
    ours: Sequence[int] = range(len(first))
    theirs: Sequence[int] = range(len(second))
    pairs: list[tuple[int, int]] = []
    for key in keys:
        waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
        for position in reversed(theirs):
            waiting[key(second[position])].append(position)
        waiting.pop(None, None)
        found = {one: places.pop() for one in ours if (places := waiting.get(key(first[one])))}
        pairs += found.items()
        taken = set(found.values())
        ours = [one for one in ours if one not in found]
        theirs = [other for other in theirs if other not in taken]
    return pairs


def _half_alike(first: Sequence[Occurrence], second: Sequence[Occurrence]) -> int:
    """Count pairs that share at least half of the behaviors that either covers (Jaccard index), the most alike first."""
    return len(best_first(_ranked(first, second)))


def _ranked(
    first: Sequence[Occurrence], second: Sequence[Occurrence]
) -> Iterator[tuple[tuple[float, list[list[int]]], int, int]]:
    holders: defaultdict[int, list[int]] = defaultdict(list)
    for position, event in enumerate(second):
        for index in event.behaviors:
            holders[index].append(position)
    shared = Counter(
        (one, other)
        for one, event in enumerate(first)
        for index in event.behaviors
        for other in holders.get(index, ())
    )
    for (one, other), count in shared.items():
        sets = first[one].behaviors, second[other].behaviors
        alike = count / len(sets[0] | sets[1])
        if alike >= _HALF:  # ties in an order that does not depend on which list is first
            yield (-alike, sorted(map(sorted, sets))), one, other


def _covered(events: Sequence[Occurrence]) -> set[int]:
    return {index for event in events for index in event.behaviors}
