import pytest
from hypothesis import given, settings, strategies as st

from eventabs.config import Settings
from eventabs.errors_and_exit_codes import LimitReachedError
from eventabs.providers import Price
from eventabs.runs.progress_and_stop_conditions import ProgressTracker, SpendingLimit
from eventabs.shared_records import Batch, Counts, Usage
from runs_kit import LIMITS, SIZE, batch_of

ONE = batch_of("anna")
MOST = 40  # tokens of an answer
BATCH = LIMITS._replace(instructions_tokens=60, max_output_tokens=MOST)
TAKEN = BATCH.input_tokens([SIZE])  # by the prompt of one user: instructions, block and row numbers
TWO_CALLS = 2 * (TAKEN + MOST)
PRICE = Price(input=1_000.0, output=1_000.0)  # so a token costs 0.001


def limit(*, max_cost: float = 0.0, max_total_tokens: int = 0) -> SpendingLimit:
    limits = {"max_cost": max_cost, "max_total_tokens": max_total_tokens}
    return SpendingLimit({}, Settings.model_validate({"run": limits}), BATCH)


@pytest.mark.parametrize(
    ("spending", "flag"),
    [
        (limit(max_cost=TWO_CALLS / 1_000), f"--max-cost {TWO_CALLS / 1_000}"),
        (limit(max_total_tokens=TWO_CALLS), f"--max-total-tokens {TWO_CALLS}"),
    ],
)
def test_a_call_that_could_pass_a_limit_waits_for_those_in_flight_and_is_refused_when_none_is(
    spending: SpendingLimit, flag: str
) -> None:
    tracker = ProgressTracker(PRICE)
    assert spending.reserve(ONE, tracker)
    assert spending.reserve(ONE, tracker)  # exactly at the limit
    assert not spending.reserve(ONE, tracker)
    spending.release(ONE)
    assert spending.reserve(ONE, tracker)  # that call took nothing, so there is room
    for _call in range(2):
        spending.release(ONE)
        tracker.count_reply(Usage(TAKEN, MOST), 1.0, 80)
    with pytest.raises(LimitReachedError, match=flag):
        spending.reserve(ONE, tracker)


def test_what_was_spent_counts_also_by_an_earlier_process() -> None:
    tracker = ProgressTracker(PRICE, Counts(prompt_tokens=TAKEN + MOST + 1))
    with pytest.raises(LimitReachedError):
        limit(max_total_tokens=TWO_CALLS).reserve(ONE, tracker)


def test_a_call_that_has_to_wait_reserves_nothing() -> None:
    spending = limit(max_total_tokens=TWO_CALLS - 1)
    tracker = ProgressTracker(PRICE)
    assert spending.reserve(ONE, tracker)
    assert not any(spending.reserve(ONE, tracker) for _try in range(3))
    spending.release(ONE)
    assert spending.reserve(ONE, tracker)


def test_without_limits_calls_reserve_nothing_and_give_nothing_back() -> None:
    spending = limit()
    assert all(spending.reserve(ONE, ProgressTracker(PRICE)) for _call in range(2))
    spending.release(ONE)
    assert (spending.in_flight, spending.reserved_input) == (0, 0)


@given(
    st.integers(1, 2_000),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 99), st.integers(0, 300)), max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_the_limit_is_never_passed(most: int, calls: list[tuple[int, int, int]]) -> None:
    """Calls of some users each, ended in any order, with answers of any allowed length."""
    spending, tracker = limit(max_total_tokens=most), ProgressTracker(PRICE)
    in_flight: list[Batch] = []
    for users, which, completion in calls:
        batch = batch_of(*(f"u{n}" for n in range(users)))
        try:
            admitted = spending.reserve(batch, tracker)
        except LimitReachedError:
            assert not in_flight
            admitted = False
        if admitted:
            in_flight.append(batch)
        elif in_flight:
            ended = in_flight.pop(which % len(in_flight))
            tracker.count_reply(Usage(spending.input_tokens(ended), min(completion, MOST)), 1.0, 80)
            spending.release(ended)
        assert tracker.counts.prompt_tokens + tracker.counts.completion_tokens <= most
