"""The ledger: the one source of truth of a run, an SQLite database.

One connection, one thread. `transaction` makes what happens inside it durable as a whole.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.records import (
    Batch,
    FailureReason,
    Outcome,
    Part,
    PartSize,
    PlannedPart,
    Reply,
    Request,
    Usage,
    UserLog,
)
from eventabs.store import codec
from eventabs.store.connection import (
    closed_on_failure,
    connect,
    connect_to_read,
    damage_reported,
    damaged,
    is_damage,
    making,
    refuse_foreign,
    translated,
)

# seconds since 1970; older SQLite has no unixepoch('subsec')
_NOW = "(julianday('now') - 2440587.5) * 86400.0"
# what a call asks about that is answered elsewhere
_AWAITED = """
    SELECT json_extract(asked.value, '$[0]'), json_extract(asked.value, '$[1]'), json_extract(asked.value, '$[2]')
    FROM job_calls JOIN calls ON calls.id = call_id, json_each(calls.users) AS asked WHERE status = 'sent'
"""
PEERS_OF_PIECES = 1  # a part cut because its answer was too long stands alone


class PartChange(NamedTuple):
    """What a call did to a part.

    `too_large`: failed because it was asked about whole; `replaced_by`: the pieces it was cut into.
    """

    part: Part
    state: str
    attempts: int = 0
    broken_calls: int = 0
    max_peers: int = 0
    reason: FailureReason | None = None
    events: int = 0
    too_large: bool = False
    replaced_by: tuple[tuple[Part, PartSize], ...] = ()


class StoredReply(NamedTuple):
    """A reply that was committed, with the parts that it answers by alias."""

    call_id: int
    attempt: int
    users: dict[str, Part]
    reply: Reply


class Retry(NamedTuple):
    """A call that is sent again after a wait: it failed at `at`, seconds since 1970.

    `cause`: `rate_limit`, an HTTP status, or `connection`.
    """

    call_id: int
    at: float
    cause: str
    error: str
    wait_seconds: float


class Ledger:
    """Open with `create`, `open` or `watch`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, object]) -> Self:
        """Make a new ledger that remembers the facts of its run. It is there as a whole or not at all."""
        with making(path) as connection:
            cls(connection, path).set_meta(facts)
        with translated(path):
            return cls(connect(path), path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger. Raises RunDirectoryError where it does not hold together."""
        with translated(path):
            connection = connect(path)
            with closed_on_failure(connection):
                refuse_foreign(connection, path)
                (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if sound != "ok":
                    raise damaged(path)
        return cls(connection, path)

    @classmethod
    @contextmanager
    def watch(cls, path: Path) -> Iterator[Self]:
        """Read a ledger as it is at this moment, also while another process writes to it.

        Raises RunDirectoryError where it, or a value in it, cannot be read.
        """
        with damage_reported(path):
            try:
                with closing(connect_to_read(path)) as connection:
                    # deferred: the first read takes a snapshot, and no writer waits for it
                    connection.execute("BEGIN")
                    refuse_foreign(connection, path)
                    yield cls(connection, path)
            except sqlite3.OperationalError as error:
                if is_damage(error):
                    raise
                message = _(
                    "{path} cannot be read ({error}); it needs a folder that you may write to, and room there"
                )
                raise RunDirectoryError(message.format(path=path, error=error)) from error

    def close(self) -> None:
        """Close the connection; the write-ahead log is folded in."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all that happens inside, or nothing of it."""
        with translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Query the ledger; see schema.sql for its tables and views.sql for what they mean."""
        with translated(self._path):
            return self._db.execute(sql, values).fetchall()

    def set_meta(self, values: Mapping[str, object]) -> None:
        """Store values (JSON) by key."""
        self._db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(key, orjson.dumps(value).decode()) for key, value in values.items()],
        )

    def meta(self) -> dict[str, Any]:
        """Return all stored values."""
        return {key: codec.load_json(value) for key, value in self.rows("SELECT key, value FROM meta")}

    # users and parts

    def add_users(self, logged: Iterable[tuple[UserLog, Sequence[tuple[Part, PartSize]]]]) -> None:
        """Store users with their parts. A user without behaviors fails at once: there is nothing to send."""
        for log, parts in logged:
            self._db.execute(
                "INSERT INTO users VALUES (?, ?, ?)", (log.user_id, len(log.behaviors), codec.pack_log(log))
            )
            if log.behaviors:
                self._db.execute("INSERT INTO spans VALUES (?, ?, ?, ?)", codec.span_row(log))
            else:
                self.fail_unreadable(log.user_id)
            self.add_parts(parts)

    def fail_unreadable(self, user_id: str) -> None:
        """Fail a user without behaviors, if that has not been done."""
        self._db.execute(
            "INSERT OR IGNORE INTO parts (user_id, first, last, input_tokens, output_tokens, state, reason)"
            " VALUES (?, 0, -1, 0, 0, 'failed', 'no_readable_rows')",
            (user_id,),
        )

    def logged_users(self) -> set[str]:
        """Return the ids of all users."""
        return {user_id for (user_id,) in self._db.execute("SELECT user_id FROM users")}

    def pending_parts(self) -> list[PlannedPart]:
        """Return pending parts in order of user and index, but for those whose answer is awaited from elsewhere."""
        return self._planned(f"(user_id, first, last) NOT IN ({_AWAITED})")

    def planned_parts(self, parts: Iterable[Part]) -> dict[Part, PlannedPart]:
        """Return those of some parts that are pending, whether awaited or not."""
        which = "parts.user_id = ? AND first = ? AND last = ?"
        found = (planned for part in parts for planned in self._planned(which, *part))
        return {planned.part: planned for planned in found}

    def _planned(self, which: str, *values: object) -> list[PlannedPart]:
        rows = self._db.execute(
            "SELECT user_id, first, last, input_tokens, output_tokens, attempts, broken_calls, max_peers,"
            " last - first + 1 = behaviors"
            f" FROM parts JOIN users USING (user_id) WHERE state = 'pending' AND {which} ORDER BY user_id, first",
            values,
        )
        return [
            PlannedPart(Part(user_id, first, last), PartSize(*size), attempts, broken, peers, bool(is_whole))
            for user_id, first, last, *size, attempts, broken, peers, is_whole in rows
        ]

    def replace_part(
        self, part: Part, pieces: Iterable[tuple[Part, PartSize]], *, attempts: int = 0, max_peers: int = 0
    ) -> None:
        """Put pieces in the place of a pending part; each starts with `attempts`."""
        self._db.execute("DELETE FROM parts WHERE user_id = ? AND first = ? AND last = ?", part)
        self.add_parts(pieces, attempts, max_peers)

    def logs(self, parts: Iterable[Part]) -> list[UserLog]:
        """Return the logs of parts, each with its part's behaviors only."""
        return [self.log(*part) for part in parts]

    def log(self, user_id: str, first: int = 0, last: int | None = None) -> UserLog:
        """Return the log of a user, or its behaviors `first`..`last`, both included."""
        ((log,),) = self.rows("SELECT log FROM users WHERE user_id = ?", user_id)
        return codec.unpack_log(user_id, log, first, last)

    # calls

    def open_call(
        self,
        batch: Batch,
        request: Request,
        *,
        settings_fingerprint: str,
        sent_at: float,
        in_flight_limit: int = 0,
    ) -> int:
        """Store a call before it is sent; return its number. `in_flight_limit` 0: not known."""
        parts = dict(zip(request.users, [planned.part for planned in batch.parts], strict=True))
        cursor = self._db.execute(
            "INSERT INTO calls (attempt, users, messages, settings_fingerprint, input_tokens, sent_at,"
            " in_flight_limit) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                batch.attempt,
                codec.pack_parts(parts),
                codec.pack_json(request.messages),
                settings_fingerprint,
                request.input_tokens,
                sent_at,
                in_flight_limit,
            ),
        )
        return int(cursor.lastrowid or 0)

    def note_retry(self, retry: Retry) -> None:
        """Store that a call is sent again."""
        self._db.execute("INSERT INTO retries VALUES (?, ?, ?, ?, ?)", retry)

    def store_reply(self, call_id: int, reply: Reply) -> None:
        """Store a reply before it is read: it is paid for."""
        self._end_call(
            call_id,
            "answered",
            reply=codec.pack_text(reply.text),
            reasoning=codec.pack_text(reply.reasoning),
            finish_reason=reply.finish_reason,
            usage_reported=reply.usage_reported,
            seconds=reply.seconds,
            tier=reply.tier or None,
            **reply.usage._asdict(),
        )

    def fail_call(self, call_id: int, error: str, changes: Iterable[PartChange]) -> None:
        """Close a call that ended without a reply."""
        self._end_call(call_id, "failed", error=error)
        self._apply(call_id, changes)

    def settle(self, call_id: int, outcomes: Iterable[Outcome], changes: Iterable[PartChange]) -> None:
        """Store what a stored reply means for each of its parts."""
        rows = [
            (
                call_id,
                *outcome.part,
                outcome.reason,
                codec.pack_json([e.model_dump() for e in outcome.events]),
            )
            for outcome in outcomes
        ]
        self._db.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._db.execute("UPDATE calls SET status = 'read' WHERE id = ?", (call_id,))
        self._apply(call_id, changes)

    def unread_calls(self) -> list[int]:
        """Return calls whose replies were committed but not settled: the process died in between."""
        return [call for (call,) in self.rows("SELECT id FROM calls WHERE status = 'answered' ORDER BY id")]

    def stored_reply(self, call_id: int) -> StoredReply:
        """Return the reply of a call that has one."""
        (row,) = self.rows(
            "SELECT attempt, users, reply, reasoning, finish_reason, prompt_tokens, completion_tokens,"
            " reasoning_tokens, cached_tokens, usage_reported, seconds FROM calls WHERE id = ?",
            call_id,
        )
        attempt, users, text, reasoning, finish_reason, *usage, reported, seconds = row
        text, reasoning = codec.unpack_text(text), codec.unpack_text(reasoning)
        reply = Reply(text, finish_reason, reasoning, Usage(*usage), bool(reported), seconds)
        return StoredReply(call_id, attempt, codec.unpack_parts(users), reply)

    def stored_replies(self) -> Iterator[StoredReply]:
        """Yield all replies in the order of their calls, one at a time: they may be large."""
        ids = self.rows("SELECT id FROM calls WHERE status IN ('answered', 'read') ORDER BY id")
        yield from (self.stored_reply(call_id) for (call_id,) in ids)

    def fail_parts(self, reasons: Mapping[Part, FailureReason]) -> None:
        """Fail parts that were done."""
        self._db.executemany(
            "UPDATE parts SET state = 'failed', reason = ?, events = 0"
            " WHERE user_id = ? AND first = ? AND last = ? AND state = 'done'",
            [(reason, *part) for part, reason in reasons.items()],
        )

    def ask_failed_again(self) -> int:
        """Make failed parts pending, with no attempts counted; return how many.

        Each is sent alone next time, unless the endpoint was at fault.
        """
        return self._db.execute(
            "UPDATE parts SET state = 'pending', attempts = 0, broken_calls = 0,"
            " max_peers = CASE WHEN reason = 'endpoint' THEN 0 ELSE 1 END"
            " WHERE state = 'failed' AND reason <> 'no_readable_rows'"
        ).rowcount

    def lose_open_calls(self) -> int:
        """Mark calls that were in flight when the process died; return how many. Those in a job are not lost."""
        return self._db.execute(
            "UPDATE calls SET status = 'lost'"
            " WHERE status = 'sent' AND id NOT IN (SELECT call_id FROM job_calls)"
        ).rowcount

    def add_parts(
        self, parts: Iterable[tuple[Part, PartSize]], attempts: int = 0, max_peers: int = 0
    ) -> None:
        """Store parts that are to be asked about."""
        self._db.executemany(
            "INSERT INTO parts (user_id, first, last, input_tokens, output_tokens, attempts, max_peers)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*part, *size, attempts, max_peers) for part, size in parts],
        )

    def _end_call(self, call_id: int, status: str, **values: object) -> None:
        columns = "".join(f", {name} = ?" for name in values)
        self._db.execute(
            f"UPDATE calls SET status = ?, ended_at = {_NOW}{columns} WHERE id = ?",
            (status, *values.values(), call_id),
        )

    def _apply(self, call_id: int, changes: Iterable[PartChange]) -> None:
        for change in changes:
            if change.replaced_by:
                self.replace_part(
                    change.part, change.replaced_by, attempts=change.attempts, max_peers=PEERS_OF_PIECES
                )
                continue
            self._db.execute(
                "UPDATE parts SET state = ?, attempts = ?, broken_calls = ?, max_peers = ?, reason = ?,"
                " events = ?, call_id = ? WHERE user_id = ? AND first = ? AND last = ?",
                (*change[1:7], call_id, *change.part),
            )
