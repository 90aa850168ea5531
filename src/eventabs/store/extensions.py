"""What an extended run keeps beside its plan: which events an extension has put in question, and which are current meanwhile.

Until all that is new of a user is answered, the user's earlier events are the current ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eventabs.records import Part, PartSize, UserLog
from eventabs.store.ledger import (
    Ledger,
    pack_json,
    pack_log,
    sort_events,
    span_row,
    unpack_events,
    unpack_json,
    unpack_log,
)
from eventabs.store.queries import add_answer_counts, events_of, states_by_user

EventRow = dict[str, Any]
_PARTS = """
    SELECT first, last, state, call_id, input_tokens, output_tokens, attempts, broken_calls, max_peers, reason,
        (SELECT events FROM outcomes WHERE outcomes.call_id = parts.call_id
            AND outcomes.user_id = parts.user_id AND outcomes.first = parts.first),
        (SELECT reason FROM outcomes WHERE outcomes.call_id = parts.call_id
            AND outcomes.user_id = parts.user_id AND outcomes.first = parts.first)
    FROM parts WHERE user_id = ? ORDER BY first
"""


class KnownPart(NamedTuple):
    """A part of a user as the ledger has it; `events` are those of its answer, `rest` what only the ledger needs."""

    first: int
    last: int
    state: str
    call_id: int | None
    events: tuple[EventRow, ...]
    rest: tuple[Any, ...]

    @property
    def is_settled(self) -> bool:
        """Whether the events are current."""
        return self.state == "done"


class MovedPart(NamedTuple):
    """A piece of a part under its new indices, with those of its events that it keeps."""

    known: KnownPart
    first: int
    last: int
    events: tuple[EventRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtendedUser:
    """What an extension makes of a user.

    `gone` are the parts that are not as they were, `moved` what of them is kept, `fresh` what is to be asked about;
    `discarded` are the events that are not kept. Of the events that were current, `before` are the ones that are discarded or have other
    behaviors now, as they were, and `dropped` all that no answer has any more, under their new indices.
    Behaviors from the log index `moved_from` on have a new number.
    """

    log: UserLog
    gone: Sequence[KnownPart] = ()
    moved: Sequence[MovedPart] = ()
    fresh: Sequence[tuple[Part, PartSize]] = ()
    discarded: Sequence[EventRow] = ()
    before: Sequence[EventRow] = ()
    dropped: Sequence[EventRow] = ()
    moved_from: int | None = None


class StandingEvents(NamedTuple):
    """The user's current events when the run was last completed: `dropped` events, and answers up to the call `since`.

    What has become of events with behaviors from the log index `moved_from` on is kept already.
    """

    since: int
    dropped: Sequence[EventRow] = ()
    moved_from: int | None = None


def find_log(ledger: Ledger, user_id: str) -> UserLog | None:
    """Return the log of a user, None where the ledger has no such user."""
    found = ledger.rows("SELECT log FROM users WHERE user_id = ?", user_id)
    return unpack_log(user_id, found[0][0]) if found else None


def known_parts(ledger: Ledger, user_id: str) -> list[KnownPart]:
    """Return the parts of a user in order."""
    parts = []
    for first, last, state, call_id, *rest, events, unusable in ledger.rows(_PARTS, user_id):
        has_answer = events is not None and unusable is None
        rows = unpack_events([events]) if has_answer else []
        parts.append(KnownPart(first, last, state, call_id, tuple(rows), tuple(rest)))
    return parts


def last_call(ledger: Ledger) -> int:
    """Return the number of the last call, 0 where there is none."""
    ((number,),) = ledger.rows("SELECT coalesce(max(id), 0) FROM calls")
    return int(number)


def users_between(ledger: Ledger, first: int, last: int) -> Iterator[str]:
    """Yield the users whose behaviors may lie between two moments, in order; few are in memory at a time."""
    page = (
        "SELECT user_id FROM spans WHERE user_id > ? AND last >= ? AND first <= ? ORDER BY user_id LIMIT 1000"
    )
    after = ""
    while rows := ledger.rows(page, after, first, last):
        yield from (user_id for (user_id,) in rows)
        after = rows[-1][0]


def begin_changes(ledger: Ledger, *, anew: bool) -> None:
    """Begin an extension; `anew`: changes count from the events that are current now."""
    not_done = "SELECT DISTINCT user_id FROM parts WHERE state IN ('pending', 'failed')"
    if anew:
        ledger.rows(f"DELETE FROM extended WHERE user_id NOT IN ({not_done})")
        ledger.rows("UPDATE extended SET before = dropped, moved_from = NULL")
    nothing = pack_json([])
    ledger.rows(
        f"INSERT OR IGNORE INTO extended SELECT user_id, 0, NULL, ?, ? FROM ({not_done})", nothing, nothing
    )


def extend_user(ledger: Ledger, user: ExtendedUser, since: int) -> None:
    """Write down what an extension makes of a user, known or new; `since`: the last call before it."""
    user_id = user.log.user_id
    ledger.rows(
        "INSERT INTO users VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET behaviors = excluded.behaviors, log = excluded.log",
        user_id,
        len(user.log.behaviors),
        pack_log(user.log),
    )
    if user.log.behaviors:
        ledger.rows("INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?)", *span_row(user.log))
    else:
        ledger.rows("DELETE FROM spans WHERE user_id = ?", user_id)
    for part in user.gone:
        ledger.rows("DELETE FROM parts WHERE user_id = ? AND first = ?", user_id, part.first)
        if part.call_id is not None:
            ledger.rows(
                "DELETE FROM outcomes WHERE call_id = ? AND user_id = ? AND first = ? AND reason IS NULL",
                part.call_id,
                user_id,
                part.first,
            )
    for piece in user.moved:
        _add_moved(ledger, user_id, piece)
    if user.gone:
        ledger.rows("INSERT OR REPLACE INTO moved VALUES (?, ?)", user_id, since)
    ledger.add_parts(user.fresh)
    if not user.log.behaviors:
        ledger.fail_unreadable(user_id)
    _question_events(ledger, user, since)


def _add_moved(ledger: Ledger, user_id: str, piece: MovedPart) -> None:
    known = piece.known
    input_tokens, output_tokens, *rest = known.rest
    events = len(piece.events) if known.is_settled else 0
    ledger.rows(
        "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(user_id, piece.first, piece.last, input_tokens, output_tokens, known.state),
        *(*rest, events, known.call_id),
    )
    if known.events or known.is_settled:  # what was no answer for the part needs no outcome
        ledger.rows(
            "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, NULL, ?)",
            *(known.call_id, user_id, piece.first, piece.last, pack_json(piece.events)),
        )


def _question_events(ledger: Ledger, user: ExtendedUser, since: int) -> None:
    """Keep the events that were current, beside those that an unfinished earlier extension has kept."""
    user_id, moved_from = user.log.user_id, user.moved_from
    before = list(user.before)
    for earlier, index, kept in ledger.rows(
        "SELECT since, moved_from, before FROM extended WHERE user_id = ?", user_id
    ):
        since = earlier
        moved_from = min((each for each in (index, moved_from) if each is not None), default=None)
        before += unpack_json(kept)
    ledger.rows(
        "INSERT OR REPLACE INTO extended VALUES (?, ?, ?, ?, ?)",
        *(user_id, since, moved_from, pack_json(before), pack_json(user.dropped)),
    )
    counts = _answer_counts(user.discarded)
    add_answer_counts(ledger, {name: -count for name, count in counts.items()})


def _answer_counts(events: Sequence[EventRow]) -> dict[str, int]:
    """Count what events say, as `answer_counts` does; which ones were repeated is not kept: all stay counted."""
    return {
        "covered": sum(len(event["behaviors"]) for event in events),
        "ungrounded": sum(not event["grounded"] for event in events),
        "outside": sum(event.get("outside", False) for event in events),
        "missed": sum(event["source"] == "must" for event in events),
    }


def moved_users(ledger: Ledger) -> dict[str, int]:
    """Return the users whose parts were cut or renumbered, each with the last call that was about other ones."""
    return dict(ledger.rows("SELECT user_id, call_id FROM moved"))


def is_moved(ledger: Ledger, user_id: str, call_id: int) -> bool:
    """Whether the parts of a user were cut or renumbered after a call."""
    return bool(ledger.rows("SELECT 1 FROM moved WHERE user_id = ? AND call_id >= ?", user_id, call_id))


def moved_answer_counts(ledger: Ledger) -> dict[str, int]:
    """Count what the accepted answers about parts say that were cut or renumbered."""
    rows = ledger.rows(
        "SELECT outcomes.events FROM moved JOIN parts USING (user_id)"
        " JOIN outcomes ON outcomes.user_id = parts.user_id AND outcomes.call_id = parts.call_id"
        " AND outcomes.first = parts.first WHERE state = 'done' AND parts.call_id <= moved.call_id"
    )
    return _answer_counts(unpack_events(blob for (blob,) in rows))


def standing_events(ledger: Ledger, user_id: str) -> StandingEvents | None:
    """Return the events that were current of a user in an extension, None for any other."""
    rows = ledger.rows("SELECT since, dropped, moved_from FROM extended WHERE user_id = ?", user_id)
    for since, dropped, moved_from in rows:
        return StandingEvents(since, unpack_json(dropped), moved_from)
    return None


def users_with_events(ledger: Ledger) -> Iterator[tuple[str, list[EventRow]]]:
    """Yield each user who has current events, with these, in the order of events.jsonl; one user is in memory at a time."""
    for user_id, state in states_by_user(ledger):
        if state == "done":
            yield user_id, events_of(ledger, user_id)
        elif events := _held_before(ledger, user_id):
            yield user_id, events


def count_standing_events(ledger: Ledger) -> int:
    """Count the current events of users who are not done."""
    not_done = ledger.rows(
        "SELECT DISTINCT user_id FROM parts JOIN extended USING (user_id) WHERE state IN ('pending', 'failed')"
    )
    return sum(len(_held_before(ledger, user_id)) for (user_id,) in not_done)


def _held_before(ledger: Ledger, user_id: str) -> list[EventRow]:
    """Return the current events of a user who is not done."""
    standing = standing_events(ledger, user_id)
    if standing is None:
        return []
    return sort_events([*_answered_events(ledger, user_id, "<=", standing.since), *standing.dropped])


def _answered_events(ledger: Ledger, user_id: str, order: str, since: int) -> list[EventRow]:
    """Return the events of a user that answers up to a call have, or those after it."""
    rows = ledger.rows(
        "SELECT outcomes.events FROM parts JOIN outcomes USING (call_id, user_id, first)"
        f" WHERE user_id = ? AND state = 'done' AND call_id {order} ? ORDER BY first",
        user_id,
        since,
    )
    return unpack_events(blob for (blob,) in rows)


def changed_events(ledger: Ledger) -> Iterator[EventRow]:
    """Yield what the last extension changed in the events, in order of user and start: each with `change`.

    What is `replaced` has the start of the event that it replaces, which is in `before`.
    """
    done = "NOT EXISTS (SELECT 1 FROM parts WHERE parts.user_id = extended.user_id AND state <> 'done')"
    page = (
        f"SELECT user_id, since, moved_from, before, dropped, {done} FROM extended WHERE user_id > ?"
        " ORDER BY user_id LIMIT 1000"
    )
    after = ""
    while rows := ledger.rows(page, after):
        for user_id, since, moved_from, before, dropped, is_done in rows:
            now = _answered_events(ledger, user_id, ">", since) if is_done else unpack_events([dropped])
            if moved_from is not None:
                kept = _answered_events(ledger, user_id, "<=", since)
                now += [event for event in kept if max(event["behaviors"], default=-1) >= moved_from]
            yield from _changes(unpack_events([before]), sort_events(now))
        after = rows[-1][0]


def _changes(before: Sequence[EventRow], now: Sequence[EventRow]) -> list[EventRow]:
    """Pair events of one start; what has no partner was added or removed, and equal ones have not changed."""
    left = list(before)
    changes = []
    fresh = []
    for event in now:
        if event in left:
            left.remove(event)
        else:
            fresh.append(event)
    for event in fresh:
        partner = next((each for each in left if each["start"] == event["start"]), None)
        if partner is None:
            changes.append({"change": "added", **event})
        else:
            left.remove(partner)
            changes.append({"change": "replaced", **event, "before": partner})
    changes += [{"change": "removed", **event} for event in left]
    return sort_events(changes)
