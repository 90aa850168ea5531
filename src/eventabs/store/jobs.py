"""Jobs in a ledger: requests that went out in one file, and whose answers come back in files.

A job is `written` (requests.jsonl, for whoever takes it), or one of a batch service: `planned` before anything is sent, then
`uploaded` (it has a file_id), then `submitted` (it has a batch_id). A job that nothing is awaited from any more is `closed`.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from eventabs.records import Batch, Message, Part
from eventabs.store.codec import (
    pack_json,
    unpack_json,
    unpack_messages,
    unpack_parts,
)
from eventabs.store.ledger import Ledger

JobState = Literal["written", "planned", "uploaded", "submitted", "closed"]


class Job(NamedTuple):
    """A job. Times are seconds since 1970; `input_tokens` are those of its prompts, as counted here."""

    id: int
    state: JobState
    requests: int
    input_tokens: int
    file_id: str | None = None
    batch_id: str | None = None
    status: str | None = None  # as the service said last
    submitted_at: float | None = None
    ended_at: float | None = None
    error: str | None = None

    @property
    def is_out(self) -> bool:
        """Whether it is one of a batch service, and not closed."""
        return self.state in {"planned", "uploaded", "submitted"}


class JobRequest(NamedTuple):
    """A request of a job that has no answer yet; `body` is without its messages."""

    call_id: int
    body: dict[str, Any]
    messages: tuple[Message, ...]


def open_job(ledger: Ledger, state: JobState) -> int:
    """Begin a job; return its number."""
    ((job_id,),) = ledger.rows("INSERT INTO jobs (state) VALUES (?) RETURNING id", state)
    return int(job_id)


def add_to_job(ledger: Ledger, job_id: int, call_id: int, body: dict[str, Any]) -> None:
    """Make a call that was just opened part of a job."""
    ledger.rows("INSERT INTO job_calls VALUES (?, ?, ?)", call_id, job_id, pack_json(body))
    ledger.rows(
        "UPDATE jobs SET requests = requests + 1, input_tokens = input_tokens"
        " + (SELECT input_tokens FROM calls WHERE calls.id = ?) WHERE id = ?",
        call_id,
        job_id,
    )


def change_job(ledger: Ledger, job_id: int, **values: object) -> None:
    """Write down what has become of a job."""
    columns = ", ".join(f"{name} = ?" for name in values)
    ledger.rows(f"UPDATE jobs SET {columns} WHERE id = ?", *values.values(), job_id)


def stored_jobs(ledger: Ledger) -> list[Job]:
    """Return all jobs in order."""
    return [Job(*row) for row in ledger.rows("SELECT * FROM jobs ORDER BY id")]


def unanswered(ledger: Ledger, job_id: int | None = None) -> list[int]:
    """Return the calls whose answers are awaited, in order: those of a job, or of all."""
    rows = ledger.rows(
        "SELECT call_id FROM job_calls JOIN calls ON calls.id = call_id"
        " WHERE status = 'sent' AND (? IS NULL OR job_id = ?) ORDER BY call_id",
        job_id,
        job_id,
    )
    return [call_id for (call_id,) in rows]


def awaited_tokens(ledger: Ledger) -> tuple[int, int]:
    """Return how many calls' answers are awaited, and the tokens of all their prompts."""
    ((calls, tokens),) = ledger.rows(
        "SELECT count(*), coalesce(sum(input_tokens), 0) FROM job_calls JOIN calls ON calls.id = call_id"
        " WHERE status = 'sent'"
    )
    return calls, tokens


def job_requests(ledger: Ledger, job_id: int | None = None) -> Iterator[JobRequest]:
    """Yield the requests whose answers are awaited, in order of their calls, one at a time."""
    for call_id in unanswered(ledger, job_id):
        ((body, messages),) = ledger.rows(
            "SELECT body, messages FROM job_calls JOIN calls ON calls.id = call_id WHERE call_id = ?", call_id
        )
        yield JobRequest(call_id, unpack_json(body), unpack_messages(messages))


def call_status(ledger: Ledger, call_id: int) -> str | None:
    """Return the status of a call that is part of a job, None where there is none."""
    rows = ledger.rows(
        "SELECT status FROM calls JOIN job_calls ON call_id = calls.id WHERE calls.id = ?", call_id
    )
    return rows[0][0] if rows else None


def parts_of_call(ledger: Ledger, call_id: int) -> dict[str, Part]:
    """Return the parts that a call asks about, by alias."""
    ((users,),) = ledger.rows("SELECT users FROM calls WHERE id = ?", call_id)
    return unpack_parts(users)


def batch_of_call(ledger: Ledger, call_id: int) -> Batch:
    """Return what a call asks about, as it is planned now: all its parts are pending."""
    ((users,),) = ledger.rows("SELECT users FROM calls WHERE id = ?", call_id)
    parts = list(unpack_parts(users).values())
    planned = ledger.planned_parts(parts)
    return Batch(tuple(planned[part] for part in parts))


def busy_parts(ledger: Ledger) -> set[Part]:
    """Return the parts of all calls whose answers are awaited, or are there and not read yet."""
    rows = ledger.rows(
        "SELECT users FROM calls LEFT JOIN job_calls ON call_id = calls.id"
        " WHERE status = 'answered' OR (status = 'sent' AND job_id IS NOT NULL)"
    )
    return {part for (users,) in rows for part in unpack_parts(users).values()}


def give_up_written(ledger: Ledger) -> None:
    """Await no answers any more to requests that were only written."""
    for job in stored_jobs(ledger):
        if job.state == "written":
            give_up(ledger, job.id)
            change_job(ledger, job.id, state="closed")


def give_up(ledger: Ledger, job_id: int | None = None) -> int:
    """Await no answers any more, of a job or of all; return of how many calls. Their parts are to be asked about again."""
    calls = unanswered(ledger, job_id)
    for call_id in calls:
        ledger.rows("UPDATE calls SET status = 'lost' WHERE id = ?", call_id)
    return len(calls)
