import time
from collections.abc import Callable
from typing import Any

import pytest

from clock import Clock
from eventabs.config import Settings
from eventabs.errors_and_exit_codes import (
    CapacityError,
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    NoContentError,
    RateLimitedError,
    StoppedError,
    TransientError,
    UnavailableError,
)
from eventabs.runs.progress_and_stop_conditions import MAX_FAILURES, FailureLimit

REFUSALS = [ModeratedError("no"), ContextTooLongError("too long")]


class Memory(dict[str, Any]):
    """What a run knows, and with it what its next process will."""

    def process(
        self,
        *,
        well: int = 0,
        wait: bool = False,
        longest_wait: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> FailureLimit:
        limits = {"run": {"attempts": 5, "wait": wait}, "llm": {"longest_wait": longest_wait}}
        return FailureLimit(dict(self), Settings.model_validate(limits), self.update, well, clock)


def fails(limit: FailureLimit, error: EndpointError, calls: int = MAX_FAILURES - 1) -> None:
    for _call in range(calls):
        limit.count_no_answer(error)


def test_too_many_calls_without_an_answer_stop_the_run_and_the_last_cause_is_told() -> None:
    limit = Memory().process()
    fails(limit, TransientError("HTTP 502"))
    with pytest.raises(StoppedError, match=r"10 tries without a usable answer \(HTTP 503\)"):
        limit.count_no_answer(TransientError("HTTP 503"))


def test_a_success_starts_the_count_anew() -> None:
    limit = Memory().process()
    for _round in range(5):
        fails(limit, TransientError("HTTP 503"))
        limit.count_answer(usable=2)


def test_first_answers_that_nobody_is_well_with_stop_the_run() -> None:
    limit = Memory().process()
    for _call in range(MAX_FAILURES - 1):
        limit.count_answer(usable=0)
    with pytest.raises(StoppedError, match="no answer could be used"):
        limit.count_answer(usable=0)


def test_bad_answers_are_the_tail_of_every_run_once_one_was_good() -> None:
    limit = Memory().process()
    limit.count_answer(usable=6)
    for _call in range(3 * MAX_FAILURES):
        limit.count_answer(usable=0)


def test_a_process_makes_ten_calls_in_vain_and_as_many_as_attempts_for_each_user_who_is_well() -> None:
    limit = Memory().process(well=3)
    for _user in range(4):
        limit.count_answer(usable=1)
        fails(limit, TransientError("HTTP 502"), calls=4)
    for _call in range(MAX_FAILURES + 5 * 7 - 4 * 4 - 1):
        limit.count_answer(usable=0, reasons={"empty", "cut"})
    with pytest.raises(
        StoppedError,
        match=r"45 calls without a usable answer, while 7 users have one; most often: .*: cut, empty",
    ):
        limit.count_answer(usable=0, reasons={"missing"})


def test_each_try_of_a_call_counts_until_an_answer_was_usable() -> None:
    limit = Memory().process()
    for _try in range(MAX_FAILURES - 1):
        limit.count_retry(TransientError("no connection"))
    with pytest.raises(FatalEndpointError, match="10 tries"):
        limit.count_retry(TransientError("no connection"))
    works = Memory().process()
    works.count_answer(usable=1)
    for _try in range(3 * MAX_FAILURES):
        works.count_retry(TransientError("no connection"))


def test_a_wait_that_the_endpoint_asks_for_is_no_failure() -> None:
    limit = Memory().process()
    for _try in range(3 * MAX_FAILURES):
        limit.count_retry(RateLimitedError("HTTP 429", status=429))
        limit.count_no_answer(RateLimitedError("HTTP 503", status=503, wait_seconds=1.0))


AWAY = UnavailableError("HTTP 503", status=503)


def test_an_endpoint_that_was_there_is_waited_for_as_long_as_one_may_ask_to_wait() -> None:
    clock = Clock()
    limit = Memory().process(longest_wait=900.0, clock=clock)
    assert not limit.awaits(AWAY)
    limit.count_answer(usable=1)
    assert not limit.awaits(TransientError("HTTP 500", status=500))
    for clock.seconds, waits in ((1_000.0, True), (1_899.0, True), (1_901.0, False)):
        assert limit.awaits(AWAY) == waits
    limit.count_answer(usable=1)
    assert limit.awaits(AWAY)


def test_one_that_is_to_be_waited_for_never_uses_up_the_tries() -> None:
    clock = Clock()
    limit = Memory().process(wait=True, clock=clock)
    for clock.seconds in range(0, 100_000, 1_000):
        limit.count_retry(AWAY)
        assert limit.awaits(AWAY)


def test_a_call_that_waited_while_another_was_answered_is_no_failure() -> None:
    limit = Memory().process()
    for _call in range(3 * MAX_FAILURES):
        limit.count_retry(NoContentError("no content"), queued=True)
        limit.count_no_answer(NoContentError("no content"), queued=True)
    with pytest.raises(StoppedError):
        fails(limit, NoContentError("no content"), calls=MAX_FAILURES)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_content_counts_only_as_long_as_nothing_shows_that_the_endpoint_works(
    refusal: EndpointError,
) -> None:
    limit = Memory().process()
    fails(limit, refusal)
    with pytest.raises(StoppedError):
        limit.count_no_answer(refusal)
    works = Memory().process()
    works.count_answer(usable=1)
    fails(works, refusal, calls=3 * MAX_FAILURES)


def test_the_count_goes_on_in_the_next_process_which_may_make_one_call() -> None:
    run = Memory()
    with pytest.raises(StoppedError):
        fails(run.process(), TransientError("HTTP 503"), calls=MAX_FAILURES)
    with pytest.raises(StoppedError, match="11 tries"):
        run.process().count_no_answer(TransientError("HTTP 503"))
    works = run.process()
    works.count_answer(usable=1)
    fails(works, TransientError("HTTP 503"))


def test_each_call_counts_at_once_so_that_a_kill_forgets_none() -> None:
    run = Memory()
    for _killed in range(MAX_FAILURES - 1):
        run.process().count_no_answer(TransientError("HTTP 503"))
    with pytest.raises(StoppedError):
        run.process().count_no_answer(TransientError("HTTP 503"))


def test_what_the_next_process_knows_of_successes_goes_on_too() -> None:
    run = Memory()
    run.process().count_answer(usable=6)
    again = run.process(well=6)
    for _call in range(3 * MAX_FAILURES):
        again.count_answer(usable=0)


def test_a_tier_without_capacity_is_waited_for_from_the_start_as_long_as_the_longest_wait() -> None:
    clock = Clock()
    limit = Memory().process(longest_wait=900.0, clock=clock)
    full = CapacityError("full", status=498)
    for _try in range(3 * MAX_FAILURES):
        limit.count_retry(full)
        assert limit.awaits(full)
    clock.seconds = 900.0
    assert not limit.awaits(full)
