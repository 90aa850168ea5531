import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventabs.errors import LimitReachedError
from eventabs.records import Batch, Usage
from eventabs.runs.limits import SpendingLimit
from eventabs.runs.tally import Price, Tally
from runs_kit import batch_of

ONE = batch_of("anna")  # 100 tokens in, 40 out, and 60 of instructions
PRICE = Price(1_000.0, 10_000.0)  # so a call costs 0.16 + 0.40


def limit(*, max_cost: float = 0.0, max_total_tokens: int = 0) -> SpendingLimit:
    return SpendingLimit(max_cost=max_cost, max_total_tokens=max_total_tokens, instructions_tokens=60)


@pytest.mark.parametrize(
    ("spending", "flag"),
    [
        (limit(max_cost=1.12), "--max-cost 1.12"),
        (limit(max_total_tokens=400), "--max-total-tokens 400"),
    ],
)
def test_the_call_that_would_pass_a_limit_is_not_made_and_calls_in_flight_count(
    spending: SpendingLimit, flag: str
) -> None:
    tally = Tally(PRICE)
    spending.reserve(ONE, tally)
    spending.reserve(ONE, tally)  # exactly at the limit
    with pytest.raises(LimitReachedError, match=flag):
        spending.reserve(ONE, tally)
    spending.release(ONE)
    spending.reserve(ONE, tally)  # that call took nothing, so there is room


def test_what_was_spent_counts_also_by_an_earlier_process() -> None:
    tally = Tally(PRICE, prompt_tokens=201, completion_tokens=0)
    with pytest.raises(LimitReachedError):
        limit(max_total_tokens=400).reserve(ONE, tally)


def test_a_refused_call_reserves_nothing() -> None:
    spending = limit(max_total_tokens=399)
    tally = Tally(PRICE)
    spending.reserve(ONE, tally)
    for _try in range(3):
        with pytest.raises(LimitReachedError):
            spending.reserve(ONE, tally)
    spending.release(ONE)
    spending.reserve(ONE, tally)


def test_without_limits_anything_may_be_spent() -> None:
    tally = Tally(PRICE, prompt_tokens=10**12, completion_tokens=10**12)
    limit().reserve(ONE, tally)


@given(
    st.integers(1, 2_000),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 99), st.integers(0, 300)), max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_calls_that_take_no_more_than_expected_never_pass_the_limit(
    most: int, calls: list[tuple[int, int, int]]
) -> None:
    """Calls of some users each, ended in any order, with what each really took."""
    spending, tally = limit(max_total_tokens=most), Tally(PRICE)
    in_flight: list[Batch] = []
    for users, which, completion in calls:
        batch = batch_of(*(f"u{n}" for n in range(users)))
        try:
            spending.reserve(batch, tally)
        except LimitReachedError:
            if in_flight:
                ended = in_flight.pop(which % len(in_flight))
                count = len(ended.parts)
                tally.bought(Usage(60 + 100 * count, min(completion, 40 * count)), 1.0)
                spending.release(ended)
        else:
            in_flight.append(batch)
        assert tally.prompt_tokens + tally.completion_tokens <= most
