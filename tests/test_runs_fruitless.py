import pytest

from eventabs.errors import ContextTooLongError, EndpointError, ModeratedError, StoppedError, TransientError
from eventabs.records import Batch
from eventabs.runs.fruitless import MOST_FRUITLESS_CALLS, Fruitless
from runs_kit import batch_of, plan

FIRST, AGAIN = batch_of("anna"), Batch((plan("anna", attempts=1),))
REFUSALS = [ModeratedError("no"), ContextTooLongError("too long")]


def fails(fruitless: Fruitless, error: EndpointError, calls: int = MOST_FRUITLESS_CALLS - 1) -> None:
    for _call in range(calls):
        fruitless.no_answer(error)


def test_too_many_calls_without_an_answer_stop_the_run_and_the_last_cause_is_told() -> None:
    fruitless = Fruitless()
    fails(fruitless, TransientError("HTTP 502"))
    with pytest.raises(StoppedError, match=r"10 calls without one success \(HTTP 503\)"):
        fruitless.no_answer(TransientError("HTTP 503"))


def test_a_success_starts_the_count_anew() -> None:
    fruitless = Fruitless()
    for _round in range(5):
        fails(fruitless, TransientError("HTTP 503"))
        fruitless.succeeded()


def test_first_answers_that_nobody_is_well_with_stop_the_run() -> None:
    fruitless = Fruitless()
    for _call in range(MOST_FRUITLESS_CALLS - 1):
        fruitless.bad_answer(FIRST)
    with pytest.raises(StoppedError, match="could be read"):
        fruitless.bad_answer(FIRST)


def test_bad_answers_are_the_tail_of_every_run_once_one_was_good_or_when_asked_again() -> None:
    fruitless = Fruitless()
    for _call in range(3 * MOST_FRUITLESS_CALLS):
        fruitless.bad_answer(AGAIN)
    fruitless.succeeded()
    for _call in range(3 * MOST_FRUITLESS_CALLS):
        fruitless.bad_answer(FIRST)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_content_counts_only_as_long_as_nothing_shows_that_the_endpoint_works(
    refusal: EndpointError,
) -> None:
    fruitless = Fruitless()
    fails(fruitless, refusal)
    with pytest.raises(StoppedError):
        fruitless.no_answer(refusal)
    works = Fruitless()
    works.succeeded()
    fails(works, refusal, calls=3 * MOST_FRUITLESS_CALLS)
