"""The arithmetic of the report's charts."""

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.inspection.run_status import CallFacts, TokenUse
from eventabs.store.ledger import Retry
from eventabs.views.report.charts import TIME_BINS, histogram, timeline


def _call(sent_at: float, ended_at: float | None, seconds: float | None, *, usable: int = 1) -> CallFacts:
    return CallFacts(1, usable, sent_at, ended_at, seconds, 10, 10, TokenUse())


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=60))
@settings(max_examples=80, deadline=None)
def test_every_value_stands_in_one_of_a_few_equal_bins(values: list[float]) -> None:
    drawn = histogram(values)
    assert drawn is not None
    assert sum(drawn.numbers) == len(values)
    assert len(drawn.numbers) <= 25
    assert drawn.median <= drawn.p90 <= drawn.largest == max(values)


def test_whole_numbers_have_a_bin_each() -> None:
    drawn = histogram([1.0, 2.0, 2.0, 12.0])
    assert drawn is not None
    assert drawn.numbers == (1, 2, *[0] * 9, 1)
    assert histogram([]) is None
    assert timeline([], []) is None


def test_a_call_waits_before_its_last_try_and_works_in_it() -> None:
    line = timeline([_call(100.0, 220.0, 30.0)], [])
    assert line is not None
    assert line.seconds == 120
    assert [bin_.waiting for bin_ in line.bins] == pytest.approx([1.0] * 90 + [0.0] * 30)
    assert [bin_.working for bin_ in line.bins] == pytest.approx([0.0] * 90 + [1.0] * 30)


def test_calls_at_a_time_add_up_and_bad_ones_are_counted_where_they_end() -> None:
    line = timeline([_call(0.0, 60.0, 60.0), _call(0.0, 120.0, 120.0, usable=0)], [])
    assert line is not None
    assert line.bins[0].working == pytest.approx(2.0)
    assert line.bins[-1].working == pytest.approx(1.0)
    assert [bin_.bad for bin_ in line.bins] == [0] * (TIME_BINS - 1) + [1]


def test_a_night_between_two_processes_is_cut_out() -> None:
    line = timeline([_call(0.0, 60.0, 60.0), _call(40_000.0, 40_060.0, 60.0)], [])
    assert line is not None
    assert line.seconds == 120
    assert line.pauses == (60.0,)
    assert all(bin_.working == pytest.approx(1.0) for bin_ in line.bins)


def test_calls_that_were_sent_again_are_counted_and_waits_for_everybody_joined() -> None:
    retries = [
        Retry(1, 110.0, "rate_limit", "", 20.0),
        Retry(2, 120.0, "rate_limit", "", 30.0),
        Retry(1, 119.5, "503", "", 60.0),
        Retry(2, 200.0, "rate_limit", "", 60.0),
    ]
    line = timeline([_call(100.0, 220.0, 30.0)], retries)
    assert line is not None
    assert {place: bin_.retries for place, bin_ in enumerate(line.bins) if bin_.retries} == {
        10: 1,
        19: 1,
        20: 1,
        100: 1,
    }
    assert line.cooldowns == ((10.0, 50.0), (100.0, 120.0))


def test_a_call_lost_in_flight_takes_no_time() -> None:
    line = timeline([_call(5.0, None, None, usable=0)], [])
    assert line is not None
    assert line.seconds == 0
    assert sum(bin_.bad for bin_ in line.bins) == 1
