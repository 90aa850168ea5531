"""What the ledger says of calls that were sent again."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from eventabs.records import Counts, Event
from eventabs.store.codec import unpack_json
from eventabs.store.ledger import Ledger, Retry

# a user is done when every part is, and failed when one is and none is pending
_USER_STATES = """
    SELECT user_id, sum(events) AS events,
        CASE WHEN sum(state = 'pending') THEN 'pending' WHEN sum(state = 'failed') THEN 'failed' ELSE 'done' END
        AS state
    FROM parts GROUP BY user_id
"""

_FAILED_PARTS = """
    SELECT user_id, reason FROM parts AS failed WHERE state = 'failed'
    AND NOT EXISTS (SELECT 1 FROM parts WHERE user_id = failed.user_id AND state = 'pending')
"""


class FailedUser(NamedTuple):
    """A user that failed: the reason, delivered bad answers, and the calls that it was part of."""

    user_id: str
    reason: str
    attempts: int
    calls: list[int]


def count_all(ledger: Ledger) -> Counts:
    """Count everything."""
    ((users, behaviors),) = ledger.rows("SELECT count(*), coalesce(sum(behaviors), 0) FROM users")
    ((done, failed, events),) = ledger.rows(
        "SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'failed'),"
        f" coalesce(sum(events) FILTER (WHERE state = 'done'), 0) FROM ({_USER_STATES})"
    )
    ((calls, retries, prompt_tokens, completion_tokens, ended),) = ledger.rows(
        "SELECT count(*), (SELECT count(*) FROM retries), coalesce(sum(prompt_tokens), 0),"
        " coalesce(sum(completion_tokens), 0), count(*) FILTER (WHERE status IN ('read', 'failed')) FROM calls"
    )
    causes = ledger.rows("SELECT cause, count(*) FROM retries GROUP BY cause ORDER BY 2 DESC, 1")
    return Counts(
        users=users,
        behaviors=behaviors,
        done=done,
        failed=failed,
        events=events,
        calls=calls,
        retries=retries,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        batches_done=ended,
        retry_causes=dict(causes),
    )


class UserRow(NamedTuple):
    """A user as a list shows it; `reason` is None unless it failed."""

    user_id: str
    state: str
    behaviors: int
    events: int
    reason: str | None
    attempts: int


# one user at a time, so that a page of them costs no more among a million
_STATE_OF_ROW = """CASE
    WHEN EXISTS (SELECT 1 FROM parts WHERE user_id = users.user_id AND state = 'pending') THEN 'pending'
    WHEN EXISTS (SELECT 1 FROM parts WHERE user_id = users.user_id AND state = 'failed') THEN 'failed'
    ELSE (SELECT state FROM parts WHERE user_id = users.user_id LIMIT 1) END"""
_USER_COLUMNS = f"""
    users.user_id, {_STATE_OF_ROW}, behaviors,
        (SELECT sum(events) FROM parts WHERE user_id = users.user_id),
        (SELECT min(reason) FROM parts WHERE user_id = users.user_id AND state = 'failed'),
        (SELECT max(attempts) FROM parts WHERE user_id = users.user_id)
"""


def user_rows(ledger: Ledger, state: str | None = None, *, most: int = -1, skip: int = 0) -> list[UserRow]:
    """Return users in order of user id, all or those of a state; `most` of them after `skip`."""
    if state is None:
        rows = ledger.rows(f"SELECT {_USER_COLUMNS} FROM users ORDER BY 1 LIMIT ? OFFSET ?", most, skip)
    else:
        rows = ledger.rows(
            f"SELECT {_USER_COLUMNS} FROM parts CROSS JOIN users USING (user_id)"
            f" WHERE parts.state = ? AND {_STATE_OF_ROW} = ? GROUP BY parts.user_id ORDER BY parts.user_id LIMIT ? OFFSET ?",
            state,
            state,
            most,
            skip,
        )
    return list(map(_user_row, rows))


def user_row(ledger: Ledger, user_id: str) -> UserRow:
    """Return a user that the ledger has."""
    (row,) = ledger.rows(f"SELECT {_USER_COLUMNS} FROM users WHERE user_id = ?", user_id)
    return _user_row(row)


def _user_row(row: Sequence[Any]) -> UserRow:
    user = UserRow(*row)
    if user.state is None:
        raise LookupError(user.user_id)  # a user without parts: the ledger is damaged
    return user


def user_states(ledger: Ledger) -> dict[str, int]:
    """Count users by state."""
    (counts,) = ledger.rows(
        "SELECT (SELECT count(*) FROM users),"
        " (SELECT count(DISTINCT user_id) FROM parts WHERE state = 'pending'),"
        f" (SELECT count(DISTINCT user_id) FROM ({_FAILED_PARTS}))"
    )
    users, pending, failed = counts
    return {"pending": pending, "done": users - pending - failed, "failed": failed}


class SettledUser(NamedTuple):
    """What has become of a user: `pending`, `done` or `failed`; events only of one that is done."""

    state: str
    events: list[dict[str, Any]]


def settled_by(state: str, events: Iterable[Event]) -> SettledUser:
    """Return what has become of a user whose only part has this state and these events."""
    return SettledUser(state, _in_order(event.model_dump() for event in events) if state == "done" else [])


def settled_user(ledger: Ledger, user_id: str) -> SettledUser:
    """Return a user's state, and its events in order of start and end."""
    rows = ledger.rows(
        "SELECT state, outcomes.events FROM parts LEFT JOIN outcomes USING (call_id, user_id, first)"
        " WHERE user_id = ?",
        user_id,
    )
    states = {state for state, _events in rows}
    state = next(state for state in ("pending", "failed", "done") if state in states)
    return SettledUser(state, _unpacked(blob for _state, blob in rows if blob) if state == "done" else [])


def events_of(ledger: Ledger, user_id: str) -> list[dict[str, Any]]:
    """Return the events of a user that is done, in order of start and end."""
    rows = ledger.rows(
        "SELECT outcomes.events FROM parts JOIN outcomes USING (call_id, user_id, first) WHERE user_id = ?",
        user_id,
    )
    return _unpacked(blob for (blob,) in rows)


def _unpacked(blobs: Iterable[bytes]) -> list[dict[str, Any]]:
    return _in_order(event for blob in blobs for event in unpack_json(blob))


def _in_order(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda event: (event["start"], event["end"]))


def done_users(ledger: Ledger) -> list[str]:
    """Return the ids of all users that are done, in order."""
    rows = ledger.rows(f"SELECT user_id FROM ({_USER_STATES}) WHERE state = 'done' ORDER BY user_id")
    return [user_id for (user_id,) in rows]


def failed_users(ledger: Ledger) -> Iterator[FailedUser]:
    """Yield all users that failed, in order of user id."""
    rows = ledger.rows(
        "SELECT user_id, min(reason), max(attempts) FROM parts WHERE state = 'failed' AND user_id IN"
        f" (SELECT user_id FROM ({_USER_STATES}) WHERE state = 'failed') GROUP BY user_id ORDER BY user_id"
    )
    calls: dict[str, list[int]] = {user_id: [] for user_id, _reason, _attempts in rows}
    if calls:
        for call_id, user_id in ledger.rows(
            "SELECT DISTINCT calls.id, json_extract(asked.value, '$[0]') FROM calls, json_each(calls.users) AS asked"
            " ORDER BY 1"
        ):
            if user_id in calls:
                calls[user_id].append(call_id)
    for user_id, reason, attempts in rows:
        yield FailedUser(user_id, reason, attempts, calls[user_id])


def failure_reasons(ledger: Ledger) -> dict[str, int]:
    """Count failed users by reason, the most frequent first."""
    return dict(
        ledger.rows(
            f"SELECT reason, count(*) FROM (SELECT min(reason) AS reason FROM ({_FAILED_PARTS}) GROUP BY user_id)"
            " GROUP BY reason ORDER BY count(*) DESC, reason"
        )
    )


_COLUMNS = "retries.call_id, retries.at, retries.cause, retries.error, retries.wait_seconds"


def stored_retries(ledger: Ledger) -> list[Retry]:
    """Return all retries in order of time."""
    return [Retry(*row) for row in ledger.rows(f"SELECT {_COLUMNS} FROM retries ORDER BY at, call_id")]


def retry_under_way(ledger: Ledger, since: float) -> Retry | None:
    """Return the latest retry of a call in flight that was sent since then, None where there is none."""
    rows = ledger.rows(
        f"SELECT {_COLUMNS} FROM calls JOIN retries ON retries.call_id = calls.id"
        " WHERE calls.status = 'sent' AND calls.sent_at >= ? ORDER BY retries.at DESC LIMIT 1",
        since,
    )
    return Retry(*rows[0]) if rows else None


def cooling_until(ledger: Ledger, since: float) -> float:
    """Return when the last cooldown since then ends or ended, in seconds since 1970; 0 where there was none."""
    ((until,),) = ledger.rows(
        "SELECT max(at + wait_seconds) FROM retries WHERE cause = 'rate_limit' AND at >= ?", since
    )
    return until or 0.0
