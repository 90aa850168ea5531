"""What people's judgments of a sample say: an exact bound of a share, and how far two people agree beyond chance."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Final

_TAIL: Final = 0.05  # a one-sided bound of 95 %
_HALVINGS: Final = 60  # of the interval from 0 to 1: beyond what a float tells apart


def least_share(right: int, of: int) -> float | None:
    """Return the exact one-sided 95 % lower bound of a share of which a random sample has `right`; None without a sample.

    Clopper and Pearson 1934, The use of confidence or fiducial limits illustrated in the case of the binomial: the share
    of wrong ones at which so few of them, or fewer, have a chance of 5 %. A finite population is taken as infinite, which
    makes the bound a little lower than it could be.
    """
    if not of:
        return None
    if not right:
        return 0.0
    wrong = of - right
    ways = [
        math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
        for count in range(wrong + 1)
    ]
    low, high = 0.0, 1.0  # of the share of wrong ones
    for _halving in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(ways, of, middle) > _TAIL:
            low = middle
        else:
            high = middle
    return 1 - high


def _at_most(ways: Sequence[float], of: int, share: float) -> float:
    """Return the chance of at most `len(ways) - 1` wrong ones; `ways`: logarithms of binomial coefficients."""
    if share >= 1.0:
        return 0.0
    wrong, right = math.log(share), math.log1p(-share)
    return math.fsum(math.exp(way + count * wrong + (of - count) * right) for count, way in enumerate(ways))


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
