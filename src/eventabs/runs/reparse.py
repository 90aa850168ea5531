"""Events again from the stored replies, with no call: after the reading or the vocabulary has changed."""

import time

from eventabs.records import FailureReason, Outcome, Part
from eventabs.runs.conduct import leave, summarize
from eventabs.runs.job import Job
from eventabs.runs.ledger import PartChange
from eventabs.runs.observer import StateChanged, Summary
from eventabs.runs.wiring import make_reader


def reparse(job: Job) -> Summary:
    """Read every stored reply anew. A part takes the events of the first reply that is usable for it.

    A part that no reply is usable for any more is failed, so that it can be asked about again.
    """
    began = time.monotonic()
    status = job.facts.get("status", "stopped")
    if "prompt_language" in job.facts:
        with job.ledger.transaction():
            _read_again(job)
    leave(job, status)
    job.observer.noted(StateChanged(status))
    return summarize(job, status, time.monotonic() - began)


def _read_again(job: Job) -> None:
    read = make_reader(job.settings, job.prompt_language)
    usable: set[Part] = set()
    reasons: dict[Part, FailureReason] = {}
    for stored in job.ledger.stored_replies():
        logs = job.ledger.logs(stored.users.values())
        reading = read(stored.reply, dict(zip(stored.users, logs, strict=True)), stored.users)
        outcomes = list(reading.outcomes.values())
        job.ledger.settle(
            stored.call_id, outcomes, [_done(outcome) for outcome in outcomes if _wins(outcome, usable)]
        )
        for outcome in outcomes:
            if outcome.reason is None:
                usable.add(outcome.part)
            else:
                reasons[outcome.part] = outcome.reason
    job.ledger.fail_parts({part: reason for part, reason in reasons.items() if part not in usable})


def _wins(outcome: Outcome, usable: set[Part]) -> bool:
    return outcome.usable and outcome.part not in usable


def _done(outcome: Outcome) -> PartChange:
    return PartChange(outcome.part, "done", events=len(outcome.events))
