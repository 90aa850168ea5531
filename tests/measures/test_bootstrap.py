"""Intervals come from whole clusters drawn again."""

import random

from eventabs.measures import interval, resampled


def test_equal_clusters_leave_no_doubt() -> None:
    sums = list(resampled([(1.0, 2.0)] * 5, random.Random(1)))  # noqa: S311  no secret
    assert interval([one / other for one, other in sums]) == (0.5, 0.5)


def test_an_interval_of_a_share_holds_the_truth_about_as_often_as_it_says() -> None:
    numbers = random.Random(7)  # noqa: S311  no secret
    held = 0
    for _trial in range(200):
        clusters = [(float(numbers.random() < 0.6), 1.0) for _cluster in range(80)]
        drawn = resampled(clusters, numbers, times=200)
        bounds = interval([right / of if of else None for right, of in drawn])
        assert bounds
        held += bounds[0] <= 0.6 <= bounds[1]
    assert 175 <= held <= 199  # 95 % is 190


def test_a_figure_that_is_rarely_defined_has_no_interval() -> None:
    assert interval([None] * 9 + [1.0]) is None
