"""Percentile intervals by the bootstrap (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13)."""

import random
from collections.abc import Callable, Iterator, Sequence

RESAMPLES = 1_000
_TAIL = 0.025  # on each side: 95 % in between


def resampled(
    clusters: Sequence[Sequence[float]], random_numbers: random.Random, times: int = RESAMPLES
) -> Iterator[list[float]]:
    """Yield sums over as many clusters as there are, drawn with replacement; each is a row of equal length.

    Whole clusters (users, days) are drawn: what belongs together must not be torn apart.
    """
    for _time in range(times):
        yield [sum(column) for column in zip(*random_numbers.choices(clusters, k=len(clusters)), strict=True)]


def interval(
    sums: Sequence[Sequence[float]], figure: Callable[[Sequence[float]], float | None]
) -> tuple[float, float] | None:
    """Return the bounds of 95 % of the figures of the resampled sums, None where fewer than half have one."""
    figures = sorted(value for each in sums if (value := figure(each)) is not None)
    if 2 * len(figures) < len(sums) or not figures:
        return None
    first = int(_TAIL * len(figures))
    return figures[first], figures[-1 - first]
