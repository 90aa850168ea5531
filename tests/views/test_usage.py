"""What a run has used, in words and as JSON."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from eventabs.providers import Price
from eventabs.runs.run_state import Endpoint, RunState
from eventabs.shared_records import Counts
from eventabs.views import words_and_figures as messages
from eventabs.views.panel_status_show import summary_json

FLEX = {"calls": 20, "prompt_tokens": 600_000, "completion_tokens": 80_000, "cached_tokens": 500_000}
ORDINARY = {"calls": 2, "prompt_tokens": 42_120, "completion_tokens": 1_024, "cached_tokens": 12_000}
COUNTS = Counts(
    calls=25,  # three are under way
    prompt_tokens=642_120,
    completion_tokens=81_024,
    cached_tokens=512_000,
    tiers={"standard": ORDINARY, "flex": FLEX},
)
COSTS = {"standard": 0.1, "flex": 0.4000004}


def _tiers_as_json(counts: Counts, costs: Mapping[str, float | None]) -> Any:  # noqa: ANN401  JSON
    summary = RunState(
        status="completed",
        run_id="r",
        created_at="2026-01-01T00:00:00+00:00",
        endpoint=Endpoint("openai", "m", "h", Price(), "USD"),
        failures={},
        last_failure=None,
        out="x",
        seconds=1.0,
        tiers=counts.tiers,
        tier_costs=dict(costs),
    )
    return json.loads(summary_json(summary))["tiers"]


def test_tokens_from_the_cache_are_told_where_there_are_any() -> None:
    assert messages.tokens(642_120, 81_024) == "tokens 642,120 in, 81,024 out"
    assert messages.tokens(642_120, 81_024, 512_000) == "tokens 642,120 in (512,000 cached), 81,024 out"


def test_each_tier_has_its_calls_and_its_cost_where_prices_are_known() -> None:
    assert list(messages.tiers(COUNTS, COSTS, "USD")) == [
        "tier standard: 2 calls, 0.1000 USD",
        "tier flex: 20 calls, 0.4000 USD",
    ]
    assert list(messages.tiers(COUNTS, {}, "USD")) == ["tier standard: 2 calls", "tier flex: 20 calls"]
    (line,) = messages.tiers(Counts(calls=20, tiers={"priority": FLEX}), {"priority": 0.8}, "USD")
    assert line == ("tier priority: 20 calls, 0.8000 USD at the ordinary price, since its own is not known")


def test_the_ordinary_tier_alone_is_not_told() -> None:
    for counts in (Counts(calls=3), Counts(calls=3, tiers={"standard": ORDINARY})):
        assert list(messages.tiers(counts, {"standard": 1.0}, "USD")) == []
        assert _tiers_as_json(counts, {"standard": 1.0}) == {}


def test_json_has_the_tokens_and_the_cost_of_each_tier() -> None:
    fields = _tiers_as_json(COUNTS, COSTS)
    assert fields["flex"] == {**FLEX, "cost": 0.4}
    assert fields["standard"] == {**ORDINARY, "cost": 0.1}


@pytest.mark.parametrize("name", ["<b>\x1b[31m", "flex\nflex"])
def test_a_tier_is_one_clean_line_whatever_the_ledger_calls_it(name: str) -> None:
    (line,) = messages.tiers(Counts(calls=20, tiers={name: FLEX}), {}, "USD")
    assert "\n" not in line
    assert "\x1b" not in line
