import pytest

from eventabs.records import Usage
from eventabs.runs.ledger_results import Totals
from eventabs.runs.tally import Price, Tally

TOTALS = Totals(
    users=10,
    behaviors=90,
    done=4,
    failed=1,
    events=33,
    calls=9,
    retries=2,
    prompt_tokens=1_000,
    completion_tokens=400,
    calls_ended=7,
)


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        (Price(2.0, 8.0), 0.0052),
        (Price(0.0, 0.0), 0.0),
        (Price(None, 8.0), None),
        (Price(2.0, None), None),
    ],
)
def test_cost_is_by_the_million_tokens_and_unknown_without_both_prices(
    price: Price, cost: float | None
) -> None:
    assert Tally.of(TOTALS, price).cost == cost


def test_a_resumed_run_counts_on_from_the_ledger() -> None:
    tally = Tally.of(TOTALS, Price(None, None))
    tally.bought(Usage(10, 5), 1.0)
    progress = tally.progress(waiting=3, workers=2)
    assert (progress.users, progress.done, progress.failed, progress.batches_done) == (10, 4, 1, 7)
    assert (progress.prompt_tokens, progress.completion_tokens) == (1_010, 405)
    assert (progress.calls, progress.retries) == (9, 2)


def test_batches_are_those_done_in_flight_and_waiting() -> None:
    tally = Tally(Price(None, None), batches_done=7, in_flight=2)
    assert tally.progress(waiting=3, workers=2).batches_total == 12


def test_the_remaining_time_is_unknown_before_the_first_answer() -> None:
    assert Tally(Price(None, None)).progress(waiting=3, workers=2).eta_seconds is None


def test_the_remaining_time_is_shared_by_the_workers_and_follows_the_latest_calls() -> None:
    tally = Tally(Price(None, None), in_flight=1)
    tally.bought(Usage(), 1_000.0)
    for _call in range(50):
        tally.bought(Usage(), 4.0)
    assert tally.progress(waiting=5, workers=2).eta_seconds == pytest.approx(6 * 4.0 / 2)


def test_no_time_remains_when_nothing_does() -> None:
    tally = Tally(Price(None, None))
    tally.bought(Usage(), 4.0)
    assert tally.progress(waiting=0, workers=3).eta_seconds == 0.0
