"""What a ledger holds: counts, users and their events, retries. A user's state and events are views, see views.sql."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from eventabs.records import STANDARD_TIER, TIER_COUNTS, Counts, Event
from eventabs.store.answers import stored_answer_counts, stored_answers
from eventabs.store.codec import sort_events, unpack_events
from eventabs.store.ledger import Ledger, Retry

_USERS_A_PAGE = 1_000
REPORT_SECTIONS: Final = (
    "report_sections"  # in meta: tables that the report shows, by the name of their section
)
_COUNTED = (
    "users",
    "behaviors",
    "done",
    "events",
    "calls",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "batches_done",
    "answered",
    "user_days",
)


def count_all(ledger: Ledger) -> Counts:
    """Count everything."""
    causes = dict(ledger.rows("SELECT cause, count(*) FROM retries GROUP BY cause ORDER BY 2 DESC, 1"))
    sums = ledger.rows("SELECT * FROM counted")[0]
    return Counts(
        **dict(zip(_COUNTED, sums, strict=True)),
        failed=sum(failure_reasons(ledger).values()),
        retries=sum(causes.values()),
        retry_causes=causes,
        tiers=_tiers(ledger),
        answers=stored_answers(ledger),
        **stored_answer_counts(ledger),
    )


def _tiers(ledger: Ledger) -> dict[str, dict[str, int]]:
    rows = ledger.rows(f"SELECT tier, {', '.join(TIER_COUNTS)} FROM tier_use")
    return {tier or STANDARD_TIER: dict(zip(TIER_COUNTS, numbers, strict=True)) for tier, *numbers in rows}


class UserRow(NamedTuple):
    """A user as a list shows it; `reason` is None unless a part failed.

    `attempts`: bad answers, `broken_calls`: calls without an answer; of the part that had most.
    """

    user_id: str
    state: str
    behaviors: int
    events: int
    reason: str | None
    attempts: int
    broken_calls: int = 0


def user_rows(ledger: Ledger, state: str | None = None, *, most: int = -1, skip: int = 0) -> list[UserRow]:
    """Return users in order of user id, all or those of a state; `most` of them after `skip`."""
    if state is None:
        return _user_rows(ledger, "FROM user_states ORDER BY user_id LIMIT ? OFFSET ?", most, skip)
    return _user_rows(
        ledger,  # by the index of parts, since users of a state may be few among many
        "FROM parts CROSS JOIN user_states USING (user_id) WHERE parts.state = ? AND user_states.state = ?"
        " GROUP BY parts.user_id ORDER BY parts.user_id LIMIT ? OFFSET ?",
        state,
        state,
        most,
        skip,
    )


def user_row(ledger: Ledger, user_id: str) -> UserRow | None:
    """Return a user, None where the ledger has no such user."""
    return next(iter(_user_rows(ledger, "FROM user_states WHERE user_id = ?", user_id)), None)


def all_user_rows(ledger: Ledger) -> Iterator[UserRow]:
    """Yield every user of the plan as a list shows it, in order of user id; few are in memory at a time."""
    page = "FROM user_states WHERE user_id > ? AND state IS NOT NULL ORDER BY user_id LIMIT ?"
    rows = _user_rows(ledger, page, "", _USERS_A_PAGE)
    while rows:
        yield from rows
        rows = _user_rows(ledger, page, rows[-1].user_id, _USERS_A_PAGE)


def states_by_user(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Yield the id and the state of every user, in order of user id; few are in memory at a time."""
    page = "SELECT user_id, state FROM user_states {after} ORDER BY user_id LIMIT ?"
    rows = ledger.rows(page.format(after=""), _USERS_A_PAGE)
    while rows:
        yield from rows
        rows = ledger.rows(page.format(after="WHERE user_id > ?"), rows[-1][0], _USERS_A_PAGE)


def _user_rows(ledger: Ledger, which: str, *values: object) -> list[UserRow]:
    return [UserRow(*row) for row in ledger.rows(f"SELECT user_states.* {which}", *values)]


def user_states(ledger: Ledger) -> dict[str, int]:
    """Count users by state."""
    ((users, pending),) = ledger.rows(
        "SELECT (SELECT count(*) FROM users), count(DISTINCT user_id) FROM parts WHERE state = 'pending'"
    )
    failed = sum(failure_reasons(ledger).values())
    return {"pending": pending, "done": users - pending - failed, "failed": failed}


def failure_reasons(ledger: Ledger) -> dict[str, int]:
    """Count failed users by reason, the most frequent first."""
    return dict(ledger.rows("SELECT reason, count(*) FROM failed_users GROUP BY reason ORDER BY 2 DESC, 1"))


def has_answers(ledger: Ledger) -> bool:
    """Whether somebody has an answer, waits for one from elsewhere, or has failed for want of one."""
    settled = (
        "SELECT 1 FROM parts WHERE state = 'done' OR (state = 'failed' AND reason <> 'no_readable_rows')"
        " UNION ALL SELECT 1 FROM calls WHERE status IN ('answered', 'read')"
        " UNION ALL SELECT 1 FROM calls JOIN job_calls ON call_id = calls.id WHERE status = 'sent' LIMIT 1"
    )
    return bool(ledger.rows(settled))


def asked_again(ledger: Ledger) -> dict[str, int]:
    """Count users whose answer was bad and who are asked again, by the first reason, the most frequent first."""
    return dict(ledger.rows("SELECT reason, users FROM asked_again ORDER BY users DESC, reason"))


def failed_users(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Yield all users that failed, in order of user id: the reason, what was tried, and all calls."""
    if not (failed := user_rows(ledger, "failed")):
        return
    calls: dict[str, list[int]] = {user.user_id: [] for user in failed}
    for call_id, user_id in ledger.rows("SELECT DISTINCT call_id, user_id FROM user_calls ORDER BY call_id"):
        if user_id in calls:
            calls[user_id].append(call_id)
    for user in failed:
        tried = {"attempts": user.attempts, "broken_calls": user.broken_calls}
        yield {"user_id": user.user_id, "reason": user.reason, **tried, "calls": calls[user.user_id]}


def events_of(ledger: Ledger, user_id: str) -> list[dict[str, Any]]:
    """Return the events of all parts of a user that are done, in order of start and end."""
    rows = ledger.rows("SELECT events FROM user_events WHERE user_id = ? ORDER BY first", user_id)
    return unpack_events(blob for (blob,) in rows)


def settings_used(ledger: Ledger) -> set[str]:
    """Return the fingerprints of the settings that calls were made under."""
    return {name for (name,) in ledger.rows("SELECT DISTINCT settings_fingerprint FROM calls")}


class SettledUser(NamedTuple):
    """What has become of a user: `pending`, `done` or `failed`; events only of one that is done.

    `days`: on which it did something, 0 of one that is not done.
    """

    state: str
    events: list[dict[str, Any]]
    days: int = 0


def settled_by(ledger: Ledger, user_id: str, state: str, events: Iterable[Event]) -> SettledUser:
    """Return what an outcome has made of a user that has no other part, without looking for one."""
    if state != "done":
        return SettledUser(state, [])
    return SettledUser(state, sort_events(event.model_dump() for event in events), _days(ledger, user_id))


def settled_user(ledger: Ledger, user_id: str) -> SettledUser:
    """Return the state of a user, and its events once it is done."""
    ((state,),) = ledger.rows("SELECT state FROM user_states WHERE user_id = ?", user_id)
    if state != "done":
        return SettledUser(state, [])
    return SettledUser(state, events_of(ledger, user_id), _days(ledger, user_id))


def _days(ledger: Ledger, user_id: str) -> int:
    ((days,),) = ledger.rows("SELECT coalesce(sum(days), 0) FROM spans WHERE user_id = ?", user_id)
    return int(days)


_RETRIES = "SELECT call_id, at, cause, error, wait_seconds FROM retries"


def stored_retries(ledger: Ledger) -> list[Retry]:
    """Return all retries in order of time."""
    return [Retry(*row) for row in ledger.rows(f"{_RETRIES} ORDER BY at, call_id")]


def retry_under_way(ledger: Ledger, since: float) -> Retry | None:
    """Return the latest retry of a call in flight that was sent since then, None where there is none."""
    rows = ledger.rows(
        f"{_RETRIES} WHERE call_id IN (SELECT id FROM calls WHERE status = 'sent' AND sent_at >= ?)"
        " ORDER BY at DESC LIMIT 1",
        since,
    )
    return Retry(*rows[0]) if rows else None


def cooling_until(ledger: Ledger, since: float) -> float:
    """Return when the last cooldown since then ends or ended, in seconds since 1970; 0 where there was none."""
    ((until,),) = ledger.rows(
        "SELECT max(at + wait_seconds) FROM retries WHERE cause = 'rate_limit' AND at >= ?", since
    )
    return until or 0.0
