"""Intervals: a bootstrap over users, an exact bound of a share, agreement of two people beyond chance; and classes of batches."""

import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

RESAMPLES: Final = 1_000
FEW_CLUSTERS: Final = 10  # below it there are no intervals
_TAIL: Final = 0.025  # on each side: 95 % in between
GROUPS: Final = 500  # of clusters; of as many clusters each is one

Sums = TypeVar("Sums")


class Figure(NamedTuple):
    """A figure and the bounds of its 95 % interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


def resampled(
    clusters: Sequence[Sequence[float]], random_numbers: random.Random, times: int = RESAMPLES
) -> Iterator[list[float]]:
    """Yield sums over as many clusters as there are, drawn with replacement; each is a row of equal length.

    Whole clusters (users, days) are drawn: what belongs together must not be torn apart.
    """
    for _time in range(times):
        yield [sum(column) for column in zip(*random_numbers.choices(clusters, k=len(clusters)), strict=True)]


def interval(sums: Sequence[Sums], figure: Callable[[Sums], float | None]) -> tuple[float, float] | None:
    """Return the bounds of 95 % of the figures of the resampled sums, None where fewer than half have one."""
    figures = sorted(value for each in sums if (value := figure(each)) is not None)
    if 2 * len(figures) < len(sums) or not figures:
        return None
    first = int(_TAIL * len(figures))
    return figures[first], figures[-1 - first]


def grouped(clusters: Sequence[Sequence[float]], most: int = GROUPS) -> list[list[float]]:
    """Return the sums of at most N groups (`most`) of clusters, dealt out in turn: drawing them costs no more for a million."""
    return [
        [sum(column) for column in zip(*clusters[group::most], strict=True)]
        for group in range(min(most, len(clusters)))
    ]


_ONE_TAIL: Final = 0.05  # a one-sided bound of 95 %
_HALVINGS: Final = 60  # of an interval: beyond what a float tells apart
_FRACTIONS: Final = (0.99, 0.5, 0.25, 0.125, 0.0625)  # of what can be lost, that are bet


def least_share(right: int, of: int) -> float | None:
    """Return the exact one-sided 95 % lower bound of a share of which a random sample has `right`; None without a sample.

    Clopper and Pearson 1934, The use of confidence or fiducial limits illustrated in the case of the binomial: the share
    of wrong ones at which so few of them, or fewer, have a chance of 5 %. A finite population is taken as infinite, which
    makes the bound a little lower than it could be.
    """
    if not of:
        return None
    wrong = of - right
    ways = [math.comb(of, count) for count in range(wrong + 1)]

    def is_too_low(share: float) -> bool:
        chance = math.fsum(
            math.exp(math.log(way) + count * math.log1p(-share) + (of - count) * math.log(share))
            for count, way in enumerate(ways)
        )
        return chance <= _ONE_TAIL

    return _highest(is_too_low, 0.0, 1.0) if right else 0.0


def mean_of(values: Mapping[float, int], low: float = 0.0) -> Figure:
    """Return the mean of independent values from `low` to 1, given as {value: times}, with its exact one-sided 95 % lower bound.

    Whatever their distribution, with any number of them: were the mean no higher, bets on values above it would give twenty times
    the stake with a chance of at most 5 % (Markov; Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables
    by betting, with the stake spread over fixed fractions).
    """
    if not values:
        return Figure(None, None, None)

    def is_too_low(mean: float) -> bool:
        gains = (
            math.fsum(
                times * math.log1p(fraction * (value - mean) / (mean - low))
                for value, times in values.items()
            )
            for fraction in _FRACTIONS
        )
        return math.fsum(math.exp(min(gain, 500.0)) for gain in gains) >= len(_FRACTIONS) / _ONE_TAIL

    mean = sum(value * times for value, times in values.items()) / sum(values.values())
    return Figure(mean, _highest(is_too_low, low, mean), 1.0)


def _highest(is_too_low: Callable[[float], bool], low: float, high: float) -> float:
    for _halving in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if low < middle and is_too_low(middle) else (low, middle)
    return low


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Return how far two people agree beyond chance: 1 always, 0 as by chance.

    Cohen 1960, A coefficient of agreement for nominal scales, without weights. None where it is not defined: nothing
    was judged by both, or both said the same one thing of everything.
    """
    if not pairs:
        return None
    total = len(pairs)
    first, second = (Counter(side) for side in zip(*pairs, strict=True))
    by_chance = sum(count * second[name] for name, count in first.items()) / total**2
    if by_chance == 1:
        return None
    return (sum(one == other for one, other in pairs) / total - by_chance) / (1 - by_chance)


def users_band(users: int) -> str:
    """Name a number of users in a batch by powers of two: `1`, `2-3`, `4-7`, `8-15`; "" for none."""
    least = 1 << (users.bit_length() - 1) if users > 0 else 0
    return f"{least}-{2 * least - 1}" if least > 1 else str(least or "")


def place_third(place: int, users: int) -> str:
    """Name the third of a batch in which a place from 1 on lies, `1` to `3`; "" where that says nothing."""
    return str(1 + (place - 1) * 3 // users) if place and users >= 3 else ""  # noqa: PLR2004
