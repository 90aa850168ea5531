"""Bounds are exact, and agreement is beyond chance."""

import math
from collections import Counter
from functools import cache
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from eventabs.measures import cohen_kappa, least_share, mean_of

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BROKEN = 73  # of 1,000: an exact 95 % bound is broken more often with a chance of 0.1 %


@pytest.mark.parametrize(
    ("wrong", "of", "bound"),
    [(3, 200, 0.9617), (0, 59, 0.9505), (0, 299, 0.9900), (1, 2, 0.0253), (5, 5, 0.0)],
)
def test_bounds_are_those_of_tables(wrong: int, of: int, bound: float) -> None:
    assert least_share(of - wrong, of) == pytest.approx(bound, abs=5e-5)


def test_of_nothing_there_is_no_bound() -> None:
    assert least_share(0, 0) is None


@given(st.integers(1, 300).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of))))
def test_at_the_bound_so_many_right_ones_have_a_chance_of_5_percent(sample: tuple[int, int]) -> None:
    right, of = sample
    bound = least_share(right, of)
    assert bound is not None
    assert 0 < bound < right / of
    chance = sum(
        math.comb(of, count) * bound**count * (1 - bound) ** (of - count) for count in range(right, of + 1)
    )
    assert chance == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.985, 0.998])
def test_a_bound_is_broken_as_rarely_as_it_says(share: float) -> None:
    bound = cache(least_share)
    drawn = Random(7)  # noqa: S311  no secret
    broken = 0
    for _review in range(1_000):
        right = sum(drawn.random() < share for _event in range(200))
        least = bound(right, 200)
        broken += least is not None and least > share
    assert broken <= MOST_BROKEN


@pytest.mark.parametrize("share", [0.9, 0.98])
def test_a_review_that_ends_early_or_of_a_finite_run_breaks_it_no_more(share: float) -> None:
    run = [place < share * 1_000 for place in range(1_000)]
    drawn = Random(8)  # noqa: S311  no secret
    broken = 0
    for _review in range(1_000):
        right = sum(drawn.sample(run, 200)[:120])
        least = least_share(right, 120)
        broken += least is not None and least > share
    assert broken <= MOST_BROKEN


def test_kappa_is_that_of_a_worked_example() -> None:
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert cohen_kappa(pairs) == pytest.approx(0.4)


def test_kappa_of_two_who_always_agree_is_1_and_of_chance_0() -> None:
    assert cohen_kappa([("a", "a"), ("b", "b")]) == 1
    assert cohen_kappa([(one, other) for one in "abcd" for other in "abcd"]) == pytest.approx(0)


def test_kappa_is_not_defined_without_pairs_or_differences() -> None:
    assert cohen_kappa([]) is None
    assert cohen_kappa([("right", "right")] * 9) is None


@given(st.lists(st.integers(-10, 10), min_size=1, max_size=60))
def test_the_bound_of_a_mean_lies_below_it_and_more_of_the_same_raise_it(tenths: list[int]) -> None:
    values = Counter(number / 10 for number in tenths)
    few, many = (
        mean_of(values, -1.0),
        mean_of(Counter({value: 9 * times for value, times in values.items()}), -1.0),
    )
    assert few.value == pytest.approx(many.value)
    assert few.value is not None
    assert few.low is not None
    assert many.low is not None
    assert -1.0 <= few.low <= many.low <= few.value + 1e-9


def test_the_bound_of_a_mean_is_seldom_too_high_whatever_the_values_are() -> None:
    """Few lose everything, all lose a little, and halves: 300 draws each."""
    rng = Random(5)  # noqa: S311  no secret
    draws: list[tuple[float, Callable[[], float]]] = [
        (0.95, lambda: float(rng.random() < 0.95)),
        (0.9, lambda: 1 - 0.2 * rng.random()),
        (0.5, lambda: float(rng.random() < 0.5)),
    ]
    for mean, draw in draws:
        bounds = [
            mean_of(Counter(round(draw(), 3) for _user in range(60))).low or 0.0 for _time in range(300)
        ]
        assert sum(bound > mean for bound in bounds) <= 15 + 12, "5 %, and three standard deviations"
        assert max(bounds) > mean - 0.15
