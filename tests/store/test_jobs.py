from pathlib import Path

import pytest

from eventabs.shared_records import Part
from eventabs.store.counts_users_jobs_extensions import (
    Job,
    JobState,
    add_to_job,
    batch_of_call,
    call_of_job,
    close_job,
    job_request,
    stored_jobs,
    unanswered,
)
from eventabs.store.ledger import Ledger, PartChange
from runs_kit import answer, make_log, new_ledger, opened, plan, request_for, well

ANNA, BERT = make_log("anna"), make_log("bert")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return new_ledger(tmp_path, [ANNA, BERT])


def sent(ledger: Ledger, user_id: str, job_id: int | None = None, state: JobState = "written") -> int:
    """Open a call about a user, as part of a job, 0: of a new one, or as one that is on the wire."""
    log = {"anna": ANNA, "bert": BERT}[user_id]
    with ledger.transaction():
        call_id = opened(ledger, log)
        if job_id is not None:
            add_to_job(ledger, job_id, call_id, {"model": "m"}, state)
    return call_id


def pending(ledger: Ledger) -> list[str]:
    return [planned.part.user_id for planned in ledger.pending_parts()]


def test_who_is_part_of_a_job_is_asked_about_nowhere_else_and_not_lost_with_the_process(
    ledger: Ledger,
) -> None:
    call_id, job_id = sent(ledger, "anna", 0), 1
    on_the_wire = sent(ledger, "bert")
    assert pending(ledger) == ["bert"]
    assert ledger.lose_open_calls() == 1
    assert call_of_job(ledger, call_id) == ("sent", 100)
    assert call_of_job(ledger, on_the_wire) == ("unknown", 0), "nor is its reply a line of a file"
    assert unanswered(ledger) == unanswered(ledger, job_id) == [call_id]
    assert ledger.rows("SELECT call_id, input_tokens FROM awaited_calls") == [(call_id, 100)]
    assert stored_jobs(ledger) == [Job(job_id, "written", 1, 100)]


def test_a_request_is_kept_as_it_was_made_until_it_has_an_answer(ledger: Ledger) -> None:
    call_id, job_id = sent(ledger, "anna", 0, "planned"), 1
    assert unanswered(ledger, job_id) == [call_id]
    assert job_request(ledger, call_id) == ({"model": "m"}, request_for([ANNA]).messages)
    assert unanswered(ledger, job_id + 1) == []
    with ledger.transaction():
        ledger.store_reply(call_id, answer())
    assert unanswered(ledger) == []
    assert call_of_job(ledger, call_id) == ("repeated", 100)
    assert batch_of_call(ledger, call_id).parts == (plan("anna")._replace(is_whole=True),)
    with ledger.transaction():
        ledger.settle(call_id, [well(Part("anna", 0, 2))], [PartChange(Part("anna", 0, 2), "done")])
    assert call_of_job(ledger, call_id) == ("repeated", 100)


def test_a_call_that_was_given_up_is_late_once_its_users_are_asked_again(ledger: Ledger) -> None:
    given_up, other = sent(ledger, "anna", 0), sent(ledger, "bert", 0)
    first, second = (job.id for job in stored_jobs(ledger))
    close_job(ledger, first)
    assert call_of_job(ledger, given_up) == ("lost", 100), "its reply would still do"
    again = sent(ledger, "anna", second)
    assert call_of_job(ledger, given_up) == ("late", 100), "an answer is awaited"
    with ledger.transaction():
        ledger.store_reply(again, answer())
    assert call_of_job(ledger, given_up) == ("late", 100), "it is not read yet"
    with ledger.transaction():
        ledger.settle(again, [well(Part("anna", 0, 2))], [PartChange(Part("anna", 0, 2), "done")])
    assert call_of_job(ledger, given_up) == ("late", 100)
    assert call_of_job(ledger, other) == ("sent", 100)


def test_who_is_awaited_no_more_is_asked_about_again(ledger: Ledger) -> None:
    for user_id in ("anna", "bert"):
        sent(ledger, user_id, 0, "planned")
    first, _second = (job.id for job in stored_jobs(ledger))
    (given_up,) = close_job(ledger, first, error="expired")
    assert [planned.part.user_id for planned in given_up.parts] == ["anna"]
    assert close_job(ledger, first) == []
    assert pending(ledger) == ["anna"]
    assert [(job.state, job.error) for job in stored_jobs(ledger)] == [
        ("closed", "expired"),
        ("planned", None),
    ]
