import pytest

from eventabs.errors import ContextTooLongError, EndpointError, ModeratedError, StoppedError, TransientError
from eventabs.records import Batch
from eventabs.runs.fruitless import MOST_FRUITLESS_CALLS, Fruitless
from runs_kit import batch_of, plan

FACTS = {"settings_fingerprint": "f"}
FIRST, AGAIN = batch_of("anna"), Batch((plan("anna", attempts=1),))
REFUSALS = [ModeratedError("no"), ContextTooLongError("too long")]


def fails(fruitless: Fruitless, error: EndpointError, calls: int = MOST_FRUITLESS_CALLS - 1) -> None:
    for _call in range(calls):
        fruitless.no_answer(error)


def test_too_many_calls_without_an_answer_stop_the_run_and_the_last_cause_is_told() -> None:
    fruitless = Fruitless(FACTS)
    fails(fruitless, TransientError("HTTP 502"))
    with pytest.raises(StoppedError, match=r"10 calls without one success \(HTTP 503\)"):
        fruitless.no_answer(TransientError("HTTP 503"))


def test_a_success_starts_the_count_anew() -> None:
    fruitless = Fruitless(FACTS)
    for _round in range(5):
        fails(fruitless, TransientError("HTTP 503"))
        fruitless.succeeded()


def test_first_answers_that_nobody_is_well_with_stop_the_run() -> None:
    fruitless = Fruitless(FACTS)
    for _call in range(MOST_FRUITLESS_CALLS - 1):
        fruitless.bad_answer(FIRST)
    with pytest.raises(StoppedError, match="could be read"):
        fruitless.bad_answer(FIRST)


def test_bad_answers_are_the_tail_of_every_run_once_one_was_good_or_when_asked_again() -> None:
    fruitless = Fruitless(FACTS)
    for _call in range(3 * MOST_FRUITLESS_CALLS):
        fruitless.bad_answer(AGAIN)
    fruitless.succeeded()
    for _call in range(3 * MOST_FRUITLESS_CALLS):
        fruitless.bad_answer(FIRST)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_content_counts_only_as_long_as_nothing_shows_that_the_endpoint_works(
    refusal: EndpointError,
) -> None:
    fruitless = Fruitless(FACTS)
    fails(fruitless, refusal)
    with pytest.raises(StoppedError):
        fruitless.no_answer(refusal)
    works = Fruitless(FACTS)
    works.succeeded()
    fails(works, refusal, calls=3 * MOST_FRUITLESS_CALLS)


def test_the_count_goes_on_in_the_next_process_which_may_make_one_call() -> None:
    first = Fruitless(FACTS)
    with pytest.raises(StoppedError):
        fails(first, TransientError("HTTP 503"), calls=MOST_FRUITLESS_CALLS)
    again = Fruitless(FACTS | first.facts())
    with pytest.raises(StoppedError, match="11 calls without one success"):
        again.no_answer(TransientError("HTTP 503"))
    works = Fruitless(FACTS | again.facts())
    works.succeeded()
    fails(works, TransientError("HTTP 503"))


def test_what_the_next_process_knows_of_successes_goes_on_too() -> None:
    first = Fruitless(FACTS)
    first.succeeded()
    again = Fruitless(FACTS | first.facts())
    for _call in range(3 * MOST_FRUITLESS_CALLS):
        again.bad_answer(FIRST)


def test_under_other_settings_the_count_begins_anew() -> None:
    first = Fruitless(FACTS)
    fails(first, TransientError("HTTP 503"))
    changed = Fruitless(first.facts() | {"settings_fingerprint": "other"})
    fails(changed, TransientError("HTTP 503"))
