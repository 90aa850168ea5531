"""How far two lists of events about the same behaviors agree: as counts that add up over users, and event by event."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from eventabs.measures.intervals import Figure, figure_of, share_of


class Segment(NamedTuple):
    """A labelled stretch of time, in seconds."""

    start: float
    end: float
    label: str


def overlaps(found: Sequence[Segment], wanted: Sequence[Segment]) -> list[dict[int | None, float]]:
    """Return for each wanted segment the seconds that each found one owns of it, by position; None: no segment.

    Where segments of one kind lie over each other, the narrowest owns the time. From this follow coverage (the largest part
    of each wanted segment), purity (the same, from the found one; both: pyannote.metrics, Bredin 2017) and the
    confusion of labels. Time outside of all wanted segments is left out: what was found there is not known to be wrong.
    """
    parts: list[defaultdict[int | None, float]] = [defaultdict(float) for _segment in wanted]
    for seconds, ours, theirs in _stretches(found, wanted):
        if theirs is not None:
            parts[theirs][ours] += seconds
    return [dict(each) for each in parts]


def _stretches(
    found: Sequence[Segment], wanted: Sequence[Segment]
) -> list[tuple[float, int | None, int | None]]:
    """Return stretches between neighboring edges: seconds, and the segment of either kind that owns it, or None."""
    edges = sorted({edge for segment in (*found, *wanted) for edge in segment[:2]})
    ours, theirs = _owners(found, edges), _owners(wanted, edges)
    return [
        (after - before, one, other)
        for (before, after), one, other in zip(pairwise(edges), ours, theirs, strict=True)
        if not (one is None and other is None)
    ]


def _owners(segments: Sequence[Segment], edges: Sequence[float]) -> list[int | None]:
    """Return for each stretch between edges the segment that owns it: the narrowest of those that cover it."""
    place = {edge: position for position, edge in enumerate(edges)}
    owners: list[int | None] = [None] * max(0, len(edges) - 1)
    widest_first = sorted(
        range(len(segments)), key=lambda position: segments[position].start - segments[position].end
    )
    for position in widest_first:
        segment = segments[position]
        first, last = place[segment.start], place[segment.end]
        owners[first:last] = [position] * (last - first)
    return owners


class Hits(NamedTuple):
    """How many of `found` items, or seconds, match one of `wanted`, each at most one."""

    hits: float
    found: float
    wanted: float

    @property
    def precision(self) -> float | None:
        """Hits / found; None without any found."""
        return self.hits / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Hits / wanted; None without any wanted."""
        return self.hits / self.wanted if self.wanted else None

    @property
    def f1(self) -> float | None:
        """2 hits / (found + wanted), the harmonic mean of both; None without either."""
        both = self.found + self.wanted
        return 2 * self.hits / both if both else None


def matched_times(found: Sequence[float], wanted: Sequence[float], within: float) -> list[tuple[int, int]]:
    """Match times that lie at most `within` apart, as many as possible; return positions in both.

    All windows are equally wide, so taking the earliest that fits is a maximum matching. The hit rate of boundaries
    in mir_eval.segment.detection (Raffel et al. 2014) is the same.
    """
    ours = sorted(range(len(found)), key=found.__getitem__)
    theirs = sorted(range(len(wanted)), key=wanted.__getitem__)
    pairs, i, j = [], 0, 0
    while i < len(ours) and j < len(theirs):
        apart = found[ours[i]] - wanted[theirs[j]]
        if abs(apart) <= within:
            pairs.append((ours[i], theirs[j]))
        i += apart <= within
        j += apart >= -within
    return pairs


def matched_segments(
    found: Sequence[Segment], wanted: Sequence[Segment], overlap: float = 0.5
) -> list[tuple[int, int]]:
    """Match segments of equal label that share at least `overlap` of their union (IoU); return positions in both.

    The segmental F1@k of Lea et al. 2017 (Temporal Convolutional Networks for Action Segmentation and Detection).
    With an overlap above one half no segment has two partners; at one half the best one is taken first.
    """
    by_label: dict[str, list[int]] = {}
    for position, segment in enumerate(wanted):
        by_label.setdefault(segment.label, []).append(position)
    pairs = [
        (-_union_share(segment, wanted[position]), ours, position)
        for ours, segment in enumerate(found)
        for position in by_label.get(segment.label, ())
        if segment.start <= wanted[position].end and wanted[position].start <= segment.end
    ]
    return best_first(pair for pair in pairs if -pair[0] >= overlap)


def best_first(ranked: Iterable[tuple[Any, int, int]]) -> list[tuple[int, int]]:
    """Match one to one, in order of rank; each is (rank, position, position)."""
    partner_of: dict[int, int] = {}
    taken: set[int] = set()
    for _rank, ours, theirs in sorted(ranked):
        if ours not in partner_of and theirs not in taken:
            partner_of[ours] = theirs
            taken.add(theirs)
    return list(partner_of.items())


def _union_share(one: Segment, other: Segment) -> float:
    shared = min(one.end, other.end) - max(one.start, other.start)
    union = max(one.end, other.end) - min(one.start, other.start)
    return shared / union if union else 1.0  # both are the same moment


# How far two event lists about the same behaviors agree, as counts that add up over users.
#
# Every count is the same whichever list comes first. A share of it is the F1 of one list against the other:
# 2 pairs / (events of both), Dice's coefficient.


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


# The classes by which answers are compared: how many users were in the batch, and where in it the user stood.
#
# The audit compares by them how stable events are, every run what the answers held.


THIRDS: Final = 3


def users_band(users: int) -> str:
    """Name a number of users in a batch by powers of two: `1`, `2-3`, `4-7`, `8-15`; "" for none."""
    least = 1 << (users.bit_length() - 1) if users > 0 else 0
    return f"{least}-{2 * least - 1}" if least > 1 else str(least or "")


def place_third(place: int, users: int) -> str:
    """Name the third of a batch in which a place from 1 on lies, `1` to `3`; "" where that says nothing."""
    return str(1 + (place - 1) * THIRDS // users) if place and users >= THIRDS else ""


# How stable events are: those of a first answer held against a second one about the same users.
#
# Where there are no labels, what a model says of a user in one company and not in another is not known to be so.


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
