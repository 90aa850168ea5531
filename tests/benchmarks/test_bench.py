"""What `make bench` makes of figures."""

import json

import pytest

import bench
from bench import Figure

BEFORE = {"calls": Figure(1.0, 2.0, 0.02), "reading": Figure(3.0, 2.0, 0.02)}


@pytest.mark.parametrize(
    ("ratio", "worse"), [(1.5, []), (2.0, []), (2.19, []), (2.21, ["calls"]), (4.0, ["calls"])]
)
def test_a_figure_is_worse_above_a_tenth_more_whatever_its_seconds(ratio: float, worse: list[str]) -> None:
    now = {
        "calls": Figure(0.1, ratio, 0.02),
        "reading": Figure(30.0, 2.0, 0.02),
        "new": Figure(1.0, 9.0, 0.0),
    }
    assert bench.worse(now, BEFORE) == worse
    assert ("worse than abc" in bench.table(now, "abc", BEFORE)) == bool(worse)


def test_no_figure_that_was_kept_of_an_earlier_commit_is_left_out() -> None:
    kept = json.loads(bench.KEPT.read_text())
    named = [[(what, set(figure)) for what, figure in each["figures"].items()] for each in kept.values()]
    assert len(kept) >= 3
    assert all(set(map(str, each)) <= set(map(str, named[-1])) for each in named)
    assert named[0]
