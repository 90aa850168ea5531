"""How well two groupings of a user's rows agree: events, journeys, labels and answers are all compared here, with intervals.

A grouping is a list of groups of rows. A row in no group is loose, and alone; one in two groups counts for the smaller. The sums that
figures are made of add up over users, so that a bootstrap draws users. Intervals: a bootstrap, and an exact bound of a share.
"""

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from math import fsum
from operator import attrgetter
from typing import Any, Final, NamedTuple

from eventabs.shared_records import Behavior, UserLog

FEW_CLUSTERS: Final = 10  # below it there are no intervals
_TAIL: Final = 0.025  # on each side: 95 % in between
GROUPS: Final = 500  # of users, that are drawn; of as many users each is one


class Figure(NamedTuple):
    """A figure and the bounds of its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


def resampled(
    clusters: Sequence[Sequence[float]], random_numbers: random.Random, times: int = 1_000
) -> Iterator[list[float]]:
    """Yield sums over as many clusters as there are, drawn with replacement and whole: what belongs together is not torn apart."""
    for _time in range(times):
        yield [sum(column) for column in zip(*random_numbers.choices(clusters, k=len(clusters)), strict=True)]


def interval(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Return the bounds of 95 % of a figure of resampled sums, None where fewer than half have one."""
    figures = sorted(value for value in values if value is not None)
    if 2 * len(figures) < len(values) or not figures:
        return None
    first = int(_TAIL * len(figures))
    return figures[first], figures[-1 - first]


_ONE_TAIL: Final = 0.05  # a one-sided bound of 95 %
_FRACTIONS: Final = (0.99, 0.5, 0.25, 0.125, 0.0625)  # of what can be lost, that are bet


def least_share(right: int, of: int) -> float | None:
    """Return the exact one-sided 95 % lower bound of a share of which a random sample has `right`; None without a sample.

    Clopper and Pearson 1934: the share at which so few wrong ones, or fewer, have a chance of 5 %. A finite population is taken as
    infinite, which makes the bound a little lower than it could be.
    """
    if not of:
        return None
    ways = [math.comb(of, count) for count in range(of - right + 1)]

    def is_too_low(share: float) -> bool:
        chance = fsum(
            math.exp(math.log(way) + count * math.log1p(-share) + (of - count) * math.log(share))
            for count, way in enumerate(ways)
        )
        return chance <= _ONE_TAIL

    return _highest(is_too_low, 0.0, 1.0) if right else 0.0


def mean_of(values: Mapping[float, int], low: float = 0.0) -> Figure:
    """Return the mean of independent values from `low` to 1, given as {value: times}, with its exact one-sided 95 % lower bound.

    Whatever their distribution, with any number of them: were the mean no higher, bets on values above it would give twenty times
    the stake with a chance of at most 5 % (Waudby-Smith and Ramdas 2024, with the stake spread over fixed fractions).
    """
    if not any(values.values()):
        return Figure(None, None, None)

    def is_too_low(mean: float) -> bool:
        gains = (
            fsum(n * math.log1p(fraction * (value - mean) / (mean - low)) for value, n in values.items())
            for fraction in _FRACTIONS
        )
        return fsum(math.exp(min(gain, 500.0)) for gain in gains) >= len(_FRACTIONS) / _ONE_TAIL

    mean = fsum(value * times for value, times in values.items()) / sum(values.values())  # in whatever order
    return Figure(mean, _highest(is_too_low, low, mean), 1.0)


def _highest(is_too_low: Callable[[float], bool], low: float, high: float) -> float:
    for _halving in range(60):  # beyond what a float tells apart
        middle = (low + high) / 2
        low, high = (middle, high) if low < middle and is_too_low(middle) else (low, middle)
    return low


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Return how far two people agree beyond chance (Cohen 1960): 1 always, 0 as by chance, None where all is said to be one thing."""
    if len({each for pair in pairs for each in pair}) <= 1:
        return None
    first, second = (Counter(side) for side in zip(*pairs, strict=True))
    by_chance = sum(count * second[name] for name, count in first.items()) / len(pairs) ** 2
    return (sum(one == other for one, other in pairs) / len(pairs) - by_chance) / (1 - by_chance)


WHOLE: Final = 0.8  # the least Dice coefficient of a group that is found
_TRIVIAL: Final = 0.97  # a baseline above it leaves no room for skill
PAUSES: Final = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 720)  # minutes
_MINUTE: Final = 60
_LOOSE: Final = -1
_STEPS: Final = 1_000  # of a share, rounded down

Sums = Mapping[str, float]  # of a user
Figured = Callable[[Sums], float | None]
Figures = Mapping[str, Figured]


class Group(NamedTuple):
    """Rows of one user that belong together, by their positions in the log."""

    rows: frozenset[int]
    type: str
    category: str = ""
    parent: str = ""  # the journey that it is a part of
    kind: str = ""  # that journey's, where it is known
    sure: bool = True  # nobody doubts it


Groups = list[Group]


def rows_of(log: UserLog) -> list[Behavior]:
    """Return the behaviors of a log in wall time, whatever their offsets from UTC."""
    return [behavior._replace(start=behavior.start.replace(tzinfo=None)) for behavior in log.behaviors]


def groups_of(events: Iterable[Mapping[str, Any]], journeys: Iterable[Mapping[str, Any]] = ()) -> list[Group]:
    """Take a user's events as a ledger and events.jsonl have them; its journeys say of which kind each is."""
    kinds = {each["id"]: each["kind"] for each in journeys}
    groups = list[Group]()
    for each in events:
        rows, journey = frozenset[int](each["behaviors"]), each["journey"] or ""
        kind = kinds.get(journey, "")
        groups.append(Group(rows, each["type"], each["category"], journey, kind, each["sure"]))
    return groups


def wholes_of(groups: Iterable[Group]) -> list[Group]:
    """Return the groups of each journey as one group, whose type is its kind, and those of no journey as they are."""
    wholes: dict[str | int, Group] = {}
    for position, group in enumerate(groups):
        key = group.parent or position
        before = wholes.get(key, group._replace(type=group.kind) if group.parent else group)
        wholes[key] = before._replace(rows=before.rows | group.rows, sure=before.sure and group.sure)
    return list(wholes.values())


class Compared:
    """Two groupings of the same rows. `rows`: those judged, in order of time."""

    def __init__(self, found: Sequence[Group], wanted: Sequence[Group], rows: Sequence[int]) -> None:
        self.found, self.wanted = found, wanted
        self._owners, self._judged, judged = list[list[int]](), list[set[int]](), set(rows)
        for side in (found, wanted):
            largest_first = sorted(range(len(side)), key=lambda place: (-len(side[place].rows), -place))
            owner = {row: place for place in largest_first for row in side[place].rows}
            self._owners.append([owner.get(row, _LOOSE) for row in rows])
            self._judged.append({place for place, group in enumerate(side) if group.rows & judged})
        self._cells = Counter(zip(*self._owners, strict=True))
        ours, theirs = self._sizes = list(map(Counter, self._owners))
        self._dice = {
            cell: 2 * rows / (ours[cell[0]] + theirs[cell[1]])
            for cell, rows in self._cells.items()
            if _LOOSE not in cell
        }

    def pairs(self, least: float = WHOLE) -> list[tuple[int, int]]:
        """Return the positions of groups that are the same by at least this Dice coefficient (1945), from above 2/3 to 1."""
        # above 2/3 the rows of both are more than half of either: no group has two partners, and no other matching has more
        return [pair for pair, dice in self._dice.items() if dice >= least]

    def types(self) -> Counter[tuple[str, str]]:
        """Count rows by the types of their groups, wanted and found; "" where they are loose."""
        found, wanted = ([*(group.type for group in side), ""] for side in (self.found, self.wanted))
        counts = Counter[tuple[str, str]]()
        for (ours, theirs), rows in self._cells.items():
            counts[wanted[theirs], found[ours]] += rows  # _LOOSE is the last
        return counts

    def agreement(self) -> Sums:
        """Return what the figures are made of: how many groups, rows, pairs of rows and boundaries are found, wanted and both."""
        shared = {pair: self._cells[pair] for pair in self._dice}
        alike = {(o, t) for o, t in shared if self.found[o].type == self.wanted[t].type}
        best: defaultdict[int, float] = defaultdict(float)
        for (_ours, theirs), dice in self._dice.items():
            best[theirs] = max(best[theirs], dice)
        whole, exact = self.pairs(), self.pairs(1.0)
        found, wanted = (
            {place for place in places if side[place].parent}
            for side, places in zip((self.found, self.wanted), self._judged, strict=True)
        )
        journeys = [(o, t) for o, t in whole if o in found and t in wanted]
        of_kinds = [(o, t) for o, t in journeys if self.found[o].type and self.wanted[t].type]
        loose, in_neither = [side[_LOOSE] for side in self._sizes], self._cells[_LOOSE, _LOOSE]
        # places between neighboring rows that are not in one group (as in Fournier 2013)
        ends, ends_wanted = (
            [before != after or before == _LOOSE for before, after in pairwise(side)] for side in self._owners
        )
        rows = len(self._owners[0])
        return {
            "rows": rows,
            "found": len(self._judged[0]),
            "wanted": len(self._judged[1]),
            "exact": len(exact),
            "whole": len(whole),
            "best_dice": fsum(best.values()),
            "pairs": sum(math.comb(each, 2) for each in shared.values()),
            **self._held_together(0, "found"),
            **self._held_together(1, "wanted"),
            "grouped_found": rows - loose[0],
            "grouped_wanted": rows - loose[1],
            "grouped": sum(shared.values()),
            "loose_found": loose[0],
            "loose_wanted": loose[1],
            "loose": in_neither,
            "placed": in_neither + sum(shared[pair] for pair in whole),
            "stays": in_neither + sum(shared[pair] for pair in whole if pair in alike),
            "same_type": sum(shared[pair] for pair in alike),
            "boundaries_found": sum(ends),
            "boundaries_wanted": sum(ends_wanted),
            "boundaries": sum(map(int.__and__, ends, ends_wanted)),
            "journeys_found": len(found),
            "journeys_wanted": len(wanted),
            "journeys_exact": sum(theirs in wanted for _ours, theirs in exact),
            "journeys_whole": sum(theirs in wanted for _ours, theirs in whole),
            "journeys_dice": fsum(best[place] for place in wanted),
            "journeys_false": len(found) - len(journeys),
            "journeys_kinds": len(of_kinds),
            "journeys_kind": len(alike.intersection(of_kinds)),
        }

    def _held_together(self, side: int, name: str) -> Sums:
        """Return how far the groups of one side are held together by those of the other: over rows, groups, and pairs.

        B-cubed (Bagga and Baldwin 1998): of each row's group, the share that is with the row on the other side too; summed over
        rows, and as the mean of each group. Pairs likewise, in groups of at least two rows.
        """
        alike, pairs = Counter[int](), Counter[int]()
        for cell, rows in self._cells.items():
            is_loose = cell[1 - side] == _LOOSE
            alike[cell[side]] += rows if is_loose else rows**2
            pairs[cell[side]] += 0 if is_loose else math.comb(rows, 2)
        held = {place: rows for place, rows in self._sizes[side].items() if place != _LOOSE}
        many = [place for place, rows in held.items() if rows > 1]
        loose = self._sizes[side][_LOOSE]
        return {
            f"rows_{name}": loose + fsum(alike[place] / rows for place, rows in held.items()),
            f"held_{name}": len(held),
            f"groups_{name}": fsum(alike[place] / rows**2 for place, rows in held.items()),
            f"pairs_{name}": sum(math.comb(each, 2) for each in held.values()),
            f"many_{name}": len(many),
            f"many_pairs_{name}": fsum(pairs[place] / math.comb(held[place], 2) for place in many),
        }


def f1_of(hits: float, found: float, wanted: float) -> float | None:
    """Return 2 hits / (found + wanted), None without either."""
    return 2 * hits / (found + wanted) if found + wanted else None


def share(part: float, whole: float) -> float | None:
    """Return a share, None of nothing."""
    return part / whole if whole else None


def _f1(hits: str, found: str = "", wanted: str = "") -> Figured:
    found, wanted = found or f"{hits}_found", wanted or f"{hits}_wanted"
    return lambda sums: f1_of(sums[hits], sums[found], sums[wanted])


def _share(part: str, whole: str) -> Figured:
    return lambda sums: share(sums[part], sums[whole])


def _mean_f1(part: str, found: str, wanted: str) -> Figured:
    """Return the harmonic mean of precision and recall, each a mean."""

    def figure(sums: Sums) -> float | None:
        each = share(sums[f"{part}_found"], sums[found]), share(sums[f"{part}_wanted"], sums[wanted])
        if each == (None, None):
            return None
        precision, recall = (value or 0.0 for value in each)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    return figure


# precision: of what is found, the share that is wanted; recall the other way round; `macro`: the mean of groups
FIGURES: Final[Figures] = {
    "pair_f1": _f1("pairs"),
    "pair_precision": _share("pairs", "pairs_found"),
    "pair_recall": _share("pairs", "pairs_wanted"),
    "pair_macro_f1": _mean_f1("many_pairs", "many_found", "many_wanted"),
    "bcubed_f1": _mean_f1("rows", "rows", "rows"),
    "bcubed_precision": _share("rows_found", "rows"),
    "bcubed_recall": _share("rows_wanted", "rows"),
    "bcubed_macro_f1": _mean_f1("groups", "held_found", "held_wanted"),
    "whole_f1": _f1("whole", "found", "wanted"),
    "whole_precision": _share("whole", "found"),
    "whole_recall": _share("whole", "wanted"),
    "exact_f1": _f1("exact", "found", "wanted"),
    "best_dice": _share("best_dice", "wanted"),
    "boundary_f1": _f1("boundaries"),
    "same_place": _share("placed", "rows"),
    "same_type": _share("same_type", "grouped"),
    "grouped_precision": _share("grouped", "grouped_found"),
    "grouped_recall": _share("grouped", "grouped_wanted"),
    "loose_f1": _f1("loose"),
}
# of wanted journeys, those found as one group, in a journey or an event; of journeys found, those that are none; of those that are
# journeys on both sides, the same kind
JOURNEY_FIGURES: Final[Figures] = {
    "whole": _share("journeys_whole", "journeys_wanted"),
    "exact": _share("journeys_exact", "journeys_wanted"),
    "best_dice": _share("journeys_dice", "journeys_wanted"),
    "false": _share("journeys_false", "journeys_found"),
    "same_kind": _share("journeys_kind", "journeys_kinds"),
}


def added(users: Sequence[Sums]) -> Sums:
    """Add up the sums of users."""
    return {name: fsum(sums[name] for sums in users) for name in users[0]} if users else {}


# What a program that knows nothing scores.


def baselines(rows: Sequence[Behavior], judged: Sequence[int]) -> dict[str | int, list[Group]]:
    """Return groupings: `rows`, each alone; `action` and `object`, alike on one day; by minutes, parted by longer pauses."""

    def by(key: Callable[[int], object]) -> list[Group]:
        together: defaultdict[object, list[int]] = defaultdict(list)
        for place in judged:
            together[key(place)].append(place)
        return [Group(frozenset(places), "") for places in together.values()]

    ends = [*accumulate((rows[place].span[1] for place in judged), max)]
    gaps = {place: rows[place].instant - end for place, end in zip(judged[1:], ends, strict=False)}
    found: dict[str | int, list[Group]] = {
        "rows": by(lambda place: place),
        "action": by(lambda place: (rows[place].day, rows[place].action)),
        "object": by(lambda place: (rows[place].day, rows[place].item)),
    }
    for minutes in PAUSES:
        numbers = accumulate(gaps.get(place, 0) > minutes * _MINUTE for place in judged)
        found[minutes] = by(dict(zip(judged, numbers, strict=True)).__getitem__)
    return found


class Score(NamedTuple):
    """A figure with its interval, as Figure has it, beside what baselines reach, by name."""

    value: float | None
    low: float | None
    high: float | None
    baselines: dict[str, float | None]
    pause_minutes: int | None  # of the pause that reaches most, fitted on the labels
    skill: float | None  # (value - best baseline) / (1 - best baseline); None where the best is above 0.97


def scores_of(users: Sequence[Sums], figures: Figures, reached: Mapping[str | int, Sums]) -> dict[str, Score]:
    """Return figures with intervals, from ten users on, beside what is `reached`: sums by a baseline's name or a pause's minutes."""
    scores = {}
    total, drawn = added(users), list[Sums]()
    if len(users) >= FEW_CLUSTERS:
        rows = [list(sums.values()) for sums in users]
        drawn = [dict(zip(total, each, strict=True)) for each in resampled(rows, random.Random(0))]  # noqa: S311  no secret
    for name, figure in figures.items():
        found, (low, high) = figure(total), interval([*map(figure, drawn)]) or (None, None)
        named = {kind: figure(sums) for kind, sums in reached.items() if isinstance(kind, str)}
        pauses = {kind: figure(sums) for kind, sums in reached.items() if isinstance(kind, int)}
        defined = {minutes: value for minutes, value in pauses.items() if value is not None}
        pause = max(defined, key=defined.__getitem__, default=None)
        if pauses:
            named["pause"] = None if pause is None else pauses[pause]
        best = max((value for value in named.values() if value is not None), default=1.0)
        skill = None if found is None or best > _TRIVIAL else (found - best) / (1 - best)
        scores[name] = Score(found, low, high, named, pause, skill)
    return scores


class Tally:
    """Two groupings of many users added up, and what trivial programs reach; as large for a million users as for a thousand."""

    def __init__(self) -> None:
        self.users = 0
        self.has_journeys = False
        # users by the share of their rows, and of their wanted journeys, that the other grouping has too
        self.kept = {"rows": Counter[float](), "journeys": Counter[float]()}
        self.types = Counter[tuple[str, str]]()  # rows by the types of their groups, wanted and found
        # by kind: `groups`, `wholes` (each journey as one group), and what else is counted; baselines are of the first users
        self.found = defaultdict[str, list[Counter[str]]](list)
        self._baselines = defaultdict[str, defaultdict[str | int, Counter[str]]](lambda: defaultdict(Counter))

    def add(
        self, found: Groups, wanted: Groups, rows: Sequence[Behavior], judged: Sequence[int], **others: Groups
    ) -> Sums:
        """Count a user, and return the sums of its groups; `others` are further baselines by name."""
        self.has_journeys |= any(group.parent for group in wanted)
        compared, wholes = Compared(found, wanted, judged), wholes_of(wanted)
        mine, whole = compared.agreement(), Compared(wholes_of(found), wholes, judged).agreement()
        self.types.update(compared.types())
        self.count("groups", mine)
        self.count("wholes", whole)
        alike: dict[object, tuple[Sums, Sums]] = {}  # most pauses part the rows of a user alike
        for name, groups in (baselines(rows, judged) | others).items() if self.users < GROUPS else ():
            key = len(groups) if isinstance(name, int) else name
            if key not in alike:
                by_groups, by_wholes = (Compared(groups, side, judged) for side in (wanted, wholes))
                alike[key] = by_groups.agreement(), by_wholes.agreement()
            self.count("groups", alike[key][0], name)
            self.count("wholes", alike[key][1], name)
        for name, part, of in (("rows", "stays", "rows"), ("journeys", "journeys_whole", "journeys_wanted")):
            if whole[of]:
                self.kept[name][int(_STEPS * whole[part] / whole[of]) / _STEPS] += 1
        self.users += 1
        return mine

    def count(self, kind: str, sums: Sums, baseline: str | int = "") -> None:
        """Count the sums of a user, or of a baseline: its name, or the minutes of a pause."""
        if baseline:
            self._baselines[kind][baseline].update(sums)
        else:
            users = self.found[kind]
            users.append(users.pop(0) if len(users) == GROUPS else Counter())
            users[-1].update(sums)

    def scores(self, **figures: Figures) -> dict[str, dict[str, Score]]:
        """Return figures by kind, and those of journeys, which are of the wholes; both are left out where there are no journeys."""
        scores = {}
        for kind, wanted in {**figures, "journeys": JOURNEY_FIGURES}.items():
            counted = "wholes" if kind == "journeys" else kind
            if self.found[counted] and (counted != "wholes" or self.has_journeys):
                scores[kind] = scores_of(self.found[counted], wanted, self._baselines[counted])
        return scores


def shape_of(groups: Sequence[Group], rows: Sequence[Behavior], judged: Sequence[int]) -> Sums:
    """Return how coarse a user's grouping of the rows is that are judged: counts of groups, rows and days, and seconds of rows."""
    places = frozenset(judged)
    groups = [group for group in groups if group.rows & places]
    held = {row for group in groups for row in group.rows & places}
    days = {rows[place].day for place in judged}
    return {
        "rows": len(judged),
        "grouped": len(held),
        "groups": len(groups),
        "single": sum(len(group.rows & places) == 1 for group in groups),
        "unsure": sum(not group.sure for group in groups),
        "journeys": len({group.parent for group in groups} - {""}),
        "days": len(days),
        "empty_days": len(days - {rows[place].day for place in held}),
        "seconds": fsum(rows[place].duration or 0 for place in judged),
        "grouped_seconds": fsum(rows[place].duration or 0 for place in held),
    }


SHAPE_FIGURES: Final[Figures] = {
    "rows_placed": _share("grouped", "rows"),
    "rows_per_event": _share("grouped", "groups"),
    "one_row_events": _share("single", "groups"),
    "doubtful": _share("unsure", "groups"),
    "events_per_user_day": _share("groups", "days"),
    "days_without_event": _share("empty_days", "days"),
    "minutes_covered": _share("grouped_seconds", "seconds"),
}


class Segment(NamedTuple):
    """A labelled stretch of time, in seconds."""

    start: float
    end: float
    label: str


# starts at most 0, 1 and 5 minutes apart; 1 minute, with the same label; half of what either covers is shared
SPAN_FIGURES: Final[Figures] = {
    "start_f1_0": _f1("starts_0", "found", "wanted"),
    "start_f1_1": _f1("starts_1", "found", "wanted"),
    "start_f1_5": _f1("starts_5", "found", "wanted"),
    "labelled_start_f1": _f1("labelled", "found", "wanted"),
    "overlap_f1": _f1("overlapping", "found", "wanted"),
    "minutes_f1": _f1("seconds"),
    "minutes_right": _share("right", "seconds_wanted"),
}


def compare_spans(found: Sequence[Segment], wanted: Sequence[Segment]) -> Sums:
    """Return what the figures of one user are made of: spans found and wanted, those matched one to one, and seconds."""
    starts = [segment.start for segment in found]
    labelled = defaultdict[str, tuple[list[float], list[float]]](lambda: ([], []))
    for number, side in enumerate((found, wanted)):
        for segment in side:
            labelled[segment.label][number].append(segment.start)
    begin = [segment.start for segment in wanted]
    seconds = label_seconds(found, wanted)
    return {
        "found": len(found),
        "wanted": len(wanted),
        **{f"starts_{most}": matched_times(starts, begin, most * _MINUTE) for most in (0, 1, 5)},
        "labelled": sum(matched_times(ours, theirs, _MINUTE) for ours, theirs in labelled.values()),
        "overlapping": matched_spans(found, wanted),
        "seconds_found": fsum(each for (_theirs, ours), each in seconds.items() if ours is not None),
        "seconds_wanted": fsum(each for (theirs, _ours), each in seconds.items() if theirs is not None),
        "seconds": fsum(each for pair, each in seconds.items() if None not in pair),
        "right": fsum(each for (theirs, ours), each in seconds.items() if theirs == ours),
    }


def matched_times(found: Sequence[float], wanted: Sequence[float], within: float) -> int:
    """Match times that lie at most `within` apart, one to one and as many as possible; return how many.

    As in mir_eval.segment.detection (Raffel et al. 2014).
    """
    ours, theirs = sorted(found), sorted(wanted)
    hits = i = j = 0  # all windows are equally wide, so taking the earliest that fits is a maximum matching
    while i < len(ours) and j < len(theirs):
        apart = ours[i] - theirs[j]
        hits += abs(apart) <= within
        i += apart <= within
        j += apart >= -within
    return hits


def matched_spans(found: Sequence[Segment], wanted: Sequence[Segment]) -> int:
    """Match spans that share at least half of what either covers (IoU), one to one, the earliest first; return how many.

    The segmental F1@50 of Lea et al. 2017, without the label. Where the spans of one side do not overlap, no other matching has more.
    """
    end, hits = attrgetter("end"), 0
    waiting = sorted(wanted, key=end)
    for span in sorted(found, key=end):
        first = bisect_left(waiting, span.start, key=end)
        last = bisect_right(waiting, 2 * span.end - span.start, key=end)
        for place in range(first, last):
            other = waiting[place]
            shared = min(span.end, other.end) - max(span.start, other.start)
            if 2 * shared >= max(span.end, other.end) - min(span.start, other.start):
                del waiting[place]
                hits += 1
                break
    return hits


_LabelPair = tuple[str | None, str | None]  # None: no span


def label_seconds(found: Sequence[Segment], wanted: Sequence[Segment]) -> dict[_LabelPair, float]:
    """Return seconds, from the first wanted span to the last, by the labels (wanted, found) of the spans that own them."""
    first, last = min(each.start for each in wanted), max(each.end for each in wanted)
    edges = sorted({edge for span in (*found, *wanted) for edge in span[:2] if first <= edge <= last})
    stretches = list(pairwise(edges))
    middles = [(before + after) / 2 for before, after in stretches]
    labels = (
        [None if owner is None else spans[owner].label for owner in owners_of(spans, middles)]
        for spans in (wanted, found)
    )
    seconds = defaultdict[_LabelPair, float](float)
    for (before, after), theirs, ours in zip(stretches, *labels, strict=True):
        seconds[theirs, ours] += after - before
    seconds.pop((None, None), None)
    return dict(seconds)


def owners_of(spans: Sequence[Segment], times: Sequence[float]) -> list[int | None]:
    """Return for each of the sorted times the position of the span that owns it: the narrowest does, and of two in turn the one that begins."""
    owners: list[int | None] = [None] * len(times)
    widest_first = sorted(range(len(spans)), key=lambda place: spans[place].start - spans[place].end)
    for find_end in (bisect_right, bisect_left):  # a row at the end is its, unless another has it
        for place in widest_first:
            first, last = bisect_left(times, spans[place].start), find_end(times, spans[place].end)
            last = max(last, bisect_right(times, spans[place].start))
            owners[first:last] = [place] * (last - first)
    return owners
