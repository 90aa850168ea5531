"""Intervals come from whole clusters drawn again."""

import random

from eventabs.measures import interval, lower_bound, resampled, share_of


def test_equal_clusters_leave_no_doubt() -> None:
    sums = list(resampled([(1.0, 2.0)] * 5, random.Random(1)))  # noqa: S311  no secret
    assert interval(sums, lambda each: each[0] / each[1]) == (0.5, 0.5)


def test_an_interval_of_a_share_holds_the_truth_about_as_often_as_it_says() -> None:
    numbers = random.Random(7)  # noqa: S311  no secret
    held = 0
    for _trial in range(200):
        clusters = [(float(numbers.random() < 0.6), 1.0) for _cluster in range(80)]
        bounds = interval(
            list(resampled(clusters, numbers, times=200)), lambda each: each[0] / each[1] if each[1] else None
        )
        assert bounds
        held += bounds[0] <= 0.6 <= bounds[1]
    assert 175 <= held <= 199  # 95 % is 190


def test_a_figure_that_is_rarely_defined_has_no_interval() -> None:
    sums = [[0.0]] * 9 + [[1.0]]
    assert interval(sums, lambda each: each[0] or None) is None


def test_a_one_sided_bound_is_broken_about_as_often_as_it_says() -> None:
    numbers = random.Random(11)  # noqa: S311  no secret
    broken = 0
    for _trial in range(100):
        clusters = [
            (float(sum(numbers.random() < 0.7 for _event in range(6))), 6.0) for _cluster in range(60)
        ]
        bound = lower_bound(clusters, lambda sums: sums[0] / sums[1], tail=0.1)
        assert bound is not None
        broken += bound > 0.7
    assert 2 <= broken <= 20  # 10 % is 10


def test_few_clusters_have_no_bound() -> None:
    assert lower_bound([(1.0, 1.0)] * 9, lambda sums: sums[0] / sums[1], tail=0.05) is None
    assert lower_bound([(1.0, 1.0)] * 10, lambda sums: sums[0] / sums[1], tail=0.05) == 1.0


def test_many_clusters_are_drawn_in_groups_and_none_is_lost() -> None:
    clusters = [(float(number % 2), 1.0) for number in range(2_001)]
    found = share_of(clusters)
    assert found.value == 1_000 / 2_001
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
