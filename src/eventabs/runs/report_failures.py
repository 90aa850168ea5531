"""What went wrong in a run, by cause, with examples and the raw replies."""

from collections.abc import Iterator
from typing import NamedTuple

from eventabs.runs.ledger import Ledger
from eventabs.runs.stored_logs import unpack_text

_EXAMPLES = 3  # of each cause
_HEAD, _TAIL = 3_000, 600  # characters of a long reply that are shown; its end tells how it broke off

_REASONS = """
    SELECT reason, sum(bad), sum(failed), sum(users) FROM (
        SELECT reason, count(*) AS bad, 0 AS failed, count(DISTINCT user_id) AS users
        FROM outcomes WHERE reason IS NOT NULL GROUP BY reason
        UNION ALL
        SELECT reason, 0, count(DISTINCT user_id), 0 FROM parts WHERE state = 'failed' GROUP BY reason
    ) GROUP BY reason ORDER BY 3 DESC, 2 DESC, reason
"""


class Example(NamedTuple):
    """A user whom a call did not serve. `left_out` counts the characters cut from the middle of the reply."""

    user_id: str
    call_id: int
    attempt: int
    finish_reason: str
    reply: str
    left_out: int


class FailureFacts(NamedTuple):
    """A cause: how often a reply was bad for a user by it, for how many, and who failed by it in the end."""

    reason: str
    bad_answers: int
    users: int
    failed: int
    examples: tuple[Example, ...]


class CallError(NamedTuple):
    """An error that ended calls without an answer, and how many."""

    error: str
    calls: int


def failure_facts(ledger: Ledger) -> Iterator[FailureFacts]:
    """Yield all causes: those that users failed by in the end first."""
    for reason, bad, failed, users in ledger.rows(_REASONS):
        yield FailureFacts(reason, bad, users, failed, tuple(_examples(ledger, reason)))


def call_errors(ledger: Ledger) -> Iterator[CallError]:
    """Yield what ended calls without an answer, the most frequent first."""
    for error, calls in ledger.rows(
        "SELECT error, count(*) FROM calls WHERE status = 'failed' GROUP BY error ORDER BY 2 DESC, 1 LIMIT 10"
    ):
        yield CallError(error or "", calls)


def _examples(ledger: Ledger, reason: str) -> Iterator[Example]:
    """Yield replies of different calls, those first that decided the matter."""
    rows = ledger.rows(
        "SELECT outcomes.user_id, calls.id, calls.attempt, calls.finish_reason, calls.reply"
        " FROM outcomes JOIN calls ON calls.id = outcomes.call_id"
        " LEFT JOIN parts ON parts.call_id = calls.id AND parts.user_id = outcomes.user_id"
        " AND parts.first = outcomes.first AND parts.state = 'failed'"
        " WHERE outcomes.reason = ? GROUP BY calls.id ORDER BY max(parts.state IS NOT NULL) DESC, calls.id LIMIT ?",
        reason,
        _EXAMPLES,
    )
    for user_id, call_id, attempt, finish_reason, blob in rows:
        text = "" if blob is None else unpack_text(blob)
        left_out = max(0, len(text) - _HEAD - _TAIL)
        shown = f"{text[:_HEAD]}\n […]\n{text[-_TAIL:]}" if left_out else text
        yield Example(user_id, call_id, attempt, finish_reason or "", shown, left_out)
