import pytest

from clock import Clock
from eventabs.errors_and_exit_codes import EndpointError, NoContentError, RateLimitedError, TransientError
from eventabs.providers import Price
from eventabs.runs.progress_and_stop_conditions import ProgressTracker
from eventabs.shared_records import Counts, Usage

COUNTS = Counts(
    users=10,
    behaviors=90,
    done=4,
    failed=1,
    events=33,
    calls=9,
    retries=2,
    prompt_tokens=1_000,
    completion_tokens=400,
    batches_done=7,
    retry_causes={"503": 2},
)


def test_a_resumed_run_counts_on_from_the_ledger() -> None:
    tracker = ProgressTracker(Price(), COUNTS)
    tracker.count_reply(Usage(10, 5), 1.0, 80)
    progress = tracker.progress(waiting=3, workers=2)
    assert (progress.users, progress.done, progress.failed, progress.batches_done) == (10, 4, 1, 7)
    assert (progress.prompt_tokens, progress.completion_tokens) == (1_010, 405)
    assert (progress.calls, progress.retries, progress.retry_causes) == (9, 2, {"503": 2})


def test_the_remaining_time_is_shared_by_the_workers_and_follows_the_latest_calls() -> None:
    tracker = ProgressTracker(Price())
    tracker.in_flight = 1
    tracker.count_reply(Usage(), 1_000.0, 80)
    for _call in range(50):
        tracker.count_reply(Usage(), 4.0, 80)
    assert tracker.progress(waiting=5, workers=2).eta_seconds == pytest.approx(6 * 4.0 / 2)


def _after(
    clock: Clock, *, calls: int, every: float, seconds: float, price: Price | None = None
) -> ProgressTracker:
    """Return a tracker that has seen calls of 1,000 tokens in and 100 out end one after another."""
    tracker = ProgressTracker(price or Price(), clock=clock)
    for _call in range(calls):
        clock.seconds += every
        tracker.count_reply(Usage(1_000, 100), seconds, 80)
        tracker.count_batch()
    return tracker


def test_the_last_batch_takes_a_whole_call_however_many_workers_there_are() -> None:
    tracker = ProgressTracker(Price())
    tracker.count_reply(Usage(), 8.0, 80)
    assert tracker.progress(waiting=1, workers=4).eta_seconds == 8.0


def test_waits_between_calls_count_for_the_remaining_time() -> None:
    tracker = _after(Clock(), calls=10, every=30.0, seconds=5.0)
    assert tracker.progress(waiting=4, workers=3).eta_seconds == pytest.approx(4 * 30.0)


def test_the_first_calls_which_end_together_are_no_pace() -> None:
    clock = Clock()
    tracker = _after(clock, calls=3, every=0.0, seconds=50.0)
    assert tracker.progress(waiting=6, workers=3).eta_seconds == pytest.approx(100.0)


def test_tokens_a_second_are_those_of_all_calls_of_late() -> None:
    clock = Clock()
    tracker = _after(clock, calls=200, every=0.5, seconds=2.0)
    assert tracker.progress(waiting=1, workers=4).tokens_per_second == pytest.approx(200.0)
    clock.seconds += 1_000
    assert tracker.progress(waiting=1, workers=4).tokens_per_second == 0.0


def test_tokens_of_answers_that_are_coming_in_are_estimated_by_the_answers_before_and_never_counted_twice() -> (
    None
):
    tracker = ProgressTracker(Price(input=1.0, output=1.0))
    tracker.receiving = 80
    assert tracker.progress(waiting=0, workers=1).completion_tokens == 40
    tracker.receiving = 0
    tracker.count_reply(Usage(10, 20), 1.0, 80)
    tracker.receiving = 400
    progress = tracker.progress(waiting=0, workers=1)
    assert progress.completion_tokens == 20 + 100
    assert (tracker.counts.completion_tokens, progress.cost) == (20, 30 / 1_000_000)


def test_before_a_reply_there_is_neither_speed_nor_projection() -> None:
    progress = ProgressTracker(Price(input=1.0, output=1.0)).progress(waiting=3, workers=2)
    assert (progress.tokens_per_second, progress.cost_projected) == (None, None)


def test_the_projected_cost_adds_what_the_rest_takes_at_the_price_of_late() -> None:
    tracker = _after(Clock(), calls=4, every=1.0, seconds=1.0, price=Price(input=10.0, output=100.0))
    progress = tracker.progress(waiting=6, workers=1)
    assert progress.cost == pytest.approx(4 * 0.02)
    assert progress.cost_projected == pytest.approx(10 * 0.02)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (RateLimitedError("x", status=429), "rate_limit"),
        (RateLimitedError("x", status=200), "rate_limit"),
        (TransientError("x", status=503), "503"),
        (NoContentError("x"), "timeout"),
        (TransientError("x"), "connection"),
    ],
)
def test_repeated_calls_are_counted_by_cause(error: EndpointError, cause: str) -> None:
    tracker = ProgressTracker(Price())
    tracker.count_retry(error)
    tracker.count_retry(error)
    progress = tracker.progress(waiting=0, workers=1)
    assert (progress.retries, progress.retry_causes) == (2, {cause: 2})


def test_the_cost_and_its_projection_go_by_cached_tokens_and_the_tier_of_each_reply() -> None:
    tracker = ProgressTracker(Price(input=2.0, output=8.0, cached_input=0.2, flex=0.5), Counts(calls=2))
    tracker.count_reply(Usage(1_000_000, 0, 0, 500_000), 1.0, 80, "flex")
    tracker.count_reply(Usage(1_000_000, 100_000), 1.0, 80)
    progress = tracker.progress(waiting=2, workers=2)
    assert progress.cached_tokens == 500_000
    assert progress.tier_costs == pytest.approx({"flex": 0.55, "standard": 2.8})
    assert progress.cost == pytest.approx(3.35)
    assert progress.cost_projected == pytest.approx(3.35 + 2 * 3.35 / 2)
    assert progress.tiers["flex"] == {
        "calls": 1,
        "prompt_tokens": 1_000_000,
        "completion_tokens": 0,
        "cached_tokens": 500_000,
    }
