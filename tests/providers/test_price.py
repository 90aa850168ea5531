"""What tokens cost: by kind, and by the tier that served them."""

import pytest
from hypothesis import given, strategies as st

from eventabs.providers.openai.endpoint_and_wire import Price
from eventabs.shared_records import Counts

PRICE = Price(input=2.0, output=8.0, cached_input=0.2, flex=0.5)
TOKENS = st.integers(min_value=0, max_value=10**9)


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        (Price(input=2.0, output=8.0), 0.0052),
        (Price(input=0.0, output=0.0), 0.0),
        (Price(output=8.0), None),
        (Price(input=2.0), None),
    ],
)
def test_a_price_is_for_a_million_tokens_and_cost_is_unknown_without_both(
    price: Price, cost: float | None
) -> None:
    assert price.cost(1_000, 400) == cost


def test_cached_tokens_have_a_price_of_their_own_where_one_is_set() -> None:
    assert PRICE.cost(1_000_000, 0, 400_000) == pytest.approx(0.6 * 2.0 + 0.4 * 0.2)
    assert Price(input=2.0, output=8.0).cost(1_000_000, 0, 400_000) == 2.0


@given(TOKENS, TOKENS, TOKENS)
def test_a_factor_holds_for_all_kinds_of_tokens_and_none_means_the_ordinary_price(
    prompt: int, completion: int, cached: int
) -> None:
    usage = prompt, completion, min(prompt, cached)
    ordinary = PRICE.cost(*usage)
    assert ordinary is not None
    assert PRICE.cost(*usage, "flex") == pytest.approx(ordinary / 2)
    assert PRICE.cost(*usage, "priority") == ordinary


def test_the_calls_of_a_run_cost_what_each_tier_costs() -> None:
    rest = {"calls": 1, "prompt_tokens": 400_000, "completion_tokens": 100_000, "cached_tokens": 400_000}
    flex = {"calls": 2, "prompt_tokens": 600_000, "completion_tokens": 100_000, "cached_tokens": 0}
    counts = Counts(
        calls=3,
        prompt_tokens=1_000_000,
        completion_tokens=200_000,
        cached_tokens=400_000,
        tiers={"standard": rest, "flex": flex},
    )
    costs = PRICE.by_tier(counts)
    assert costs == pytest.approx({"standard": 0.08 + 0.8, "flex": (1.2 + 0.8) / 2})
    assert PRICE.total(counts) == pytest.approx(1.88)
    assert Price().total(counts) is None
