from typing import Any

import pytest

from eventabs.errors import (
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    StoppedError,
    TransientError,
)
from eventabs.runs.limits import MAX_FAILURES, FailureLimit

REFUSALS = [ModeratedError("no"), ContextTooLongError("too long")]


class Memory(dict[str, Any]):
    """What a run knows, and with it what its next process will."""

    def process(self, fingerprint: str = "f") -> FailureLimit:
        return FailureLimit(self | {"settings_fingerprint": fingerprint}, remember=self.update)


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
        limit.count_answer(usable=True)


def test_first_answers_that_nobody_is_well_with_stop_the_run() -> None:
    limit = Memory().process()
    for _call in range(MAX_FAILURES - 1):
        limit.count_answer(usable=False)
    with pytest.raises(StoppedError, match="no answer could be used"):
        limit.count_answer(usable=False)


def test_bad_answers_are_the_tail_of_every_run_once_one_was_good() -> None:
    limit = Memory().process()
    limit.count_answer(usable=True)
    for _call in range(3 * MAX_FAILURES):
        limit.count_answer(usable=False)


def test_each_try_of_a_call_counts_until_an_answer_was_usable() -> None:
    limit = Memory().process()
    for _try in range(MAX_FAILURES - 1):
        limit.count_retry(TransientError("no connection"))
    with pytest.raises(FatalEndpointError, match="10 tries"):
        limit.count_retry(TransientError("no connection"))
    works = Memory().process()
    works.count_answer(usable=True)
    for _try in range(3 * MAX_FAILURES):
        works.count_retry(TransientError("no connection"))


def test_a_wait_that_the_endpoint_asks_for_is_no_failure() -> None:
    limit = Memory().process()
    for _try in range(3 * MAX_FAILURES):
        limit.count_retry(RateLimitedError("HTTP 429", status=429))
        limit.count_no_answer(RateLimitedError("HTTP 503", status=503, wait_seconds=1.0))


def test_a_run_without_one_reply_ends_with_the_cause() -> None:
    limit = Memory().process()
    limit.require_answer(0)
    limit.count_no_answer(TransientError("HTTP 502"))
    limit.require_answer(1)
    with pytest.raises(StoppedError, match="HTTP 502"):
        limit.require_answer(0)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_content_counts_only_as_long_as_nothing_shows_that_the_endpoint_works(
    refusal: EndpointError,
) -> None:
    limit = Memory().process()
    fails(limit, refusal)
    with pytest.raises(StoppedError):
        limit.count_no_answer(refusal)
    works = Memory().process()
    works.count_answer(usable=True)
    fails(works, refusal, calls=3 * MAX_FAILURES)


def test_the_count_goes_on_in_the_next_process_which_may_make_one_call() -> None:
    run = Memory()
    with pytest.raises(StoppedError):
        fails(run.process(), TransientError("HTTP 503"), calls=MAX_FAILURES)
    with pytest.raises(StoppedError, match="11 tries"):
        run.process().count_no_answer(TransientError("HTTP 503"))
    works = run.process()
    works.count_answer(usable=True)
    fails(works, TransientError("HTTP 503"))


def test_each_call_counts_at_once_so_that_a_kill_forgets_none() -> None:
    run = Memory()
    for _killed in range(MAX_FAILURES - 1):
        run.process().count_no_answer(TransientError("HTTP 503"))
    with pytest.raises(StoppedError):
        run.process().count_no_answer(TransientError("HTTP 503"))


def test_a_success_is_told_only_where_it_changes_anything() -> None:
    told: list[dict[str, Any]] = []
    limit = FailureLimit({"settings_fingerprint": "f"}, remember=told.append)
    for _call in range(3):
        limit.count_answer(usable=True)
    assert len(told) == 1


def test_what_the_next_process_knows_of_successes_goes_on_too() -> None:
    run = Memory()
    run.process().count_answer(usable=True)
    again = run.process()
    for _call in range(3 * MAX_FAILURES):
        again.count_answer(usable=False)


def test_under_other_settings_the_count_begins_anew() -> None:
    run = Memory()
    fails(run.process(), TransientError("HTTP 503"))
    fails(run.process("other"), TransientError("HTTP 503"))
