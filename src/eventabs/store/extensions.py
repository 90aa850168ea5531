"""What an extended run keeps of its users, and what extensions have changed in events and journeys.

Until all that is new of a user is answered, the user's earlier events and journeys are the current ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from eventabs.records import Event, Journey, Outcome, Part, PartSize, UserLog
from eventabs.store.ledger import Ledger, PartChange, pack_json, pack_outcome, unpack_json
from eventabs.store.queries import Row, current_of, events_of, journeys_of, rows_of_user

_NOT_DONE = "SELECT DISTINCT user_id FROM parts WHERE state IN ('pending', 'failed')"


def find_user(ledger: Ledger, user_id: str) -> tuple[UserLog, str | None] | None:
    """Return the log of a user with its ordinals as they are stored, None where the ledger has no such user."""
    found = ledger.rows("SELECT ordinals FROM users WHERE user_id = ?", user_id)
    return (ledger.log(user_id), found[0][0]) if found else None


def known_outcome(ledger: Ledger, user_id: str) -> Outcome | None:
    """Return what all parts of a user that is done hold together, None of any other user."""
    found = ledger.rows(
        "SELECT max(state), (SELECT behaviors FROM users WHERE user_id = parts.user_id) FROM parts"
        " WHERE user_id = ? AND first >= 0 GROUP BY user_id",
        user_id,
    )
    if not found or found[0][0] != "done":
        return None
    rest = rows_of_user(ledger, user_id)
    return Outcome(
        Part(user_id, 0, found[0][1] - 1),
        None,
        events=tuple(map(Event.model_validate, events_of(ledger, user_id))),
        journeys=tuple(map(Journey.model_validate, journeys_of(ledger, user_id))),
        minor=tuple(sorted(rest.minor)),
        unplaced=tuple(sorted(rest.unplaced)),
        unasked=tuple(sorted(rest.unasked)),
    )


def users_between(ledger: Ledger, first: int, last: int) -> Iterator[str]:
    """Yield the users whose behaviors may lie between two moments, in order; few are in memory at a time."""
    between = "SELECT user_id FROM users WHERE user_id > ? AND ends >= ? AND begins <= ?"
    return (user_id for (user_id,) in ledger.by_user(between, first, last))


def begin_changes(ledger: Ledger, *, anew: bool) -> None:
    """Begin an extension; `anew`: changes count from the events that are current now."""
    if anew:
        ledger.rows(f"UPDATE extended SET before = NULL WHERE user_id NOT IN ({_NOT_DONE})")
    ledger.rows(
        "INSERT INTO extended (user_id, since, last, before) SELECT user_id, 0, behaviors - 1, ? FROM users"
        f" WHERE user_id IN ({_NOT_DONE}) ON CONFLICT DO UPDATE SET before = coalesce(before, excluded.before)",
        pack_json([[], []]),
    )


def extend_user(
    ledger: Ledger,
    log: UserLog,
    ordinals: str | None,
    since: int,
    *,
    asked: Sequence[tuple[Part, PartSize]],
    rows: str = "",
    kept: Outcome | None = None,
    listed: Sequence[str] = (),
) -> None:
    """Write down what an extension makes of a user: what is asked about, and what was kept of its outcome.

    With `rows`, these of the whole user are asked about, beside the `listed` journeys, and the answer joins what was kept; without,
    what was kept is done.
    """
    user_id, last = log.user_id, len(log.behaviors) - 1
    states = ledger.rows("SELECT state FROM user_states WHERE user_id = ?", user_id)
    before = current_of(ledger, user_id, states[0][0] if states else None)
    waits = kept if rows else None
    ledger.rows(
        "INSERT INTO extended VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET since = excluded.since, last = excluded.last,"
        " kept = excluded.kept, listed = excluded.listed, before = coalesce(before, excluded.before)",
        *(
            user_id,
            since,
            last,
            waits and pack_outcome(waits),
            orjson.dumps(listed).decode(),
            pack_json(before),
        ),
    )
    for table in ("users", "parts"):
        ledger.rows(f"DELETE FROM {table} WHERE user_id = ?", user_id)
    nothing = pack_outcome(
        Outcome(Part(user_id, 0, last), None)
    )  # that the user was in those calls stays known
    ledger.rows("UPDATE outcomes SET result = ? WHERE user_id = ? AND reason IS NULL", nothing, user_id)
    ledger.store_log(log, ordinals)
    ledger.add_parts(asked, rows=rows)
    if kept and not rows:
        ledger.add_parts([(kept.part, PartSize(0, 0, 0))])
        ledger.store_outcomes(since, [kept], [PartChange(kept.part, "done", accepted=kept)])


def count_standing(ledger: Ledger) -> tuple[int, int]:
    """Count the current events and journeys of users who are not done."""
    standing = ledger.rows(f"SELECT user_id FROM extended WHERE user_id IN ({_NOT_DONE})")
    held = [current_of(ledger, user_id, None) for (user_id,) in standing]
    return sum(len(events) for events, _journeys in held), sum(len(journeys) for _events, journeys in held)


def changes_by_user(ledger: Ledger) -> Iterator[tuple[list[Row], list[Row]]]:
    """Yield what the last extension changed, user by user, in events and in journeys: each line with `change`."""
    changed = "SELECT user_id, state, before FROM extended JOIN user_states USING (user_id) WHERE user_id > ? AND before IS NOT NULL"
    for user_id, state, before in ledger.by_user(changed):
        events, journeys = map(_changes, unpack_json(before), current_of(ledger, user_id, state))
        yield events, journeys


def _changes(before: Sequence[Mapping[str, Any]], now: Sequence[Row]) -> list[Row]:
    """Pair what has the same id; equal ones have not changed."""
    left = {each["id"]: each for each in before}
    changed: list[Row] = []
    for each in now:
        known = left.pop(each["id"], None)
        if known is None:
            changed.append({"change": "added", **each})
        elif known != each:
            changed.append({"change": "replaced", **each, "before": known})
    changed += ({"change": "removed", **each} for each in left.values())
    return sorted(changed, key=lambda each: (each["start"][:19], each["end"][:19]))
