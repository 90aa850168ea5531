"""The ledger: the one source of truth of a run, an SQLite database.

One connection, one thread. `transaction` makes what happens inside it durable as a whole.
"""

import os
import shlex
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from eventabs.errors import RunDirectoryError, StorageError
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
from eventabs.store.codec import (
    pack_json,
    pack_log,
    pack_messages,
    pack_text,
    unpack_log,
    unpack_text as _text,
)


def refuse_active(ledger: sqlite3.Connection, path: Path) -> None:
    """Raise RunDirectoryError where the schema has anything but tables and indices that hold rows."""
    found = ledger.execute(
        "SELECT name FROM sqlite_schema WHERE coalesce(rootpage, 0) = 0 LIMIT 1"
    ).fetchone()
    if found:
        message = _(
            "{path} was not written by eventabs alone: it has a view, trigger or virtual table named {name}; do not"
            " use this run directory"
        )
        raise RunDirectoryError(message.format(path=path, name=ascii(found[0])))


FORMAT = 2
_REPLIES = (
    "SELECT id, attempt, users, reply, reasoning, finish_reason, prompt_tokens, completion_tokens,"
    " reasoning_tokens, cached_tokens, usage_reported, seconds FROM calls"
)
_NOW = (
    "(julianday('now') - 2440587.5) * 86400.0"  # seconds since 1970; older SQLite has no unixepoch('subsec')
)
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
    """A reply that was committed, with what it answers."""

    call_id: int
    attempt: int
    users: dict[str, Part]
    reply: Reply


class Retry(NamedTuple):
    """A call that failed in a way that may pass, at `at` (seconds since 1970); it is sent again after the wait.

    `cause`: `rate_limit`, an HTTP status, or `connection`.
    """

    call_id: int
    at: float
    cause: str
    error: str
    wait_seconds: float


class Ledger:
    """Open with `create` or `open`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, object]) -> Self:
        """Make a new ledger that remembers the facts of its run. It is there as a whole or not at all."""
        tables = resources.files("eventabs.store").joinpath("schema.sql").read_text("utf-8")
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        with _translated(path):
            ledger = cls(sqlite3.connect(fresh, isolation_level=None))
            ledger._db.executescript(f"BEGIN; {tables}; PRAGMA user_version = {FORMAT};")
            ledger.set_meta(facts)
            ledger._db.execute("COMMIT")
            ledger.close()
            fresh.replace(path)
            return cls(_connect(path))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger. Raises RunDirectoryError where it does not hold together."""
        with _translated(path):
            ledger = cls(_connect(path))
            refuse_active(ledger._db, path)
            (sound,) = ledger._db.execute("PRAGMA quick_check(1)").fetchone()
            if sound != "ok":
                raise damaged(path)
            ledger._refuse_other_formats(path)
        return ledger

    @classmethod
    @contextmanager
    def watch(cls, path: Path) -> Iterator[Self]:
        """Read a ledger, as it is at this moment, beside the process that works on it.

        Raises RunDirectoryError where it cannot be read.
        """
        try:
            # deferred: the first read takes a snapshot, and nobody who writes waits for it
            connection = connect_to_read(path)
            try:
                connection.execute("BEGIN")
                ledger = cls(connection)
                refuse_active(connection, path)
                ledger._refuse_other_formats(path)
                yield ledger
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            if _is_about_content(error):
                raise
            message = _(
                "{path} cannot be read ({error}); it needs a folder that you may write to, and room there"
            )
            raise RunDirectoryError(message.format(path=path, error=error)) from error
        except sqlite3.DatabaseError as error:
            raise damaged(path) from error

    def _refuse_other_formats(self, path: Path) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if not found:  # a new ledger is there as a whole or not at all
            raise damaged(path)
        if found != FORMAT:
            message = _(
                "{path} was written by another version of eventabs (format {found}, this one reads {known})"
            )
            raise RunDirectoryError(message.format(path=path, found=found, known=FORMAT))

    def close(self) -> None:
        """Close the connection; the write-ahead log is folded in."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all that happens inside, or nothing of it."""
        with _translated(None):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # meta

    def set_meta(self, values: Mapping[str, object]) -> None:
        """Remember values (JSON) by key."""
        self._db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(key, orjson.dumps(value).decode()) for key, value in values.items()],
        )

    def meta(self) -> dict[str, Any]:
        """Return all remembered values."""
        return {key: orjson.loads(value) for key, value in self._db.execute("SELECT key, value FROM meta")}

    # users and parts

    def add_users(self, logged: Iterable[tuple[UserLog, Sequence[tuple[Part, PartSize]]]]) -> None:
        """Log users with their parts. A user without behaviors is failed at once: nothing can be asked."""
        for log, parts in logged:
            self._db.execute(
                "INSERT INTO users VALUES (?, ?, ?)", (log.user_id, len(log.behaviors), pack_log(log))
            )
            if not log.behaviors:
                self._db.execute(
                    "INSERT INTO parts (user_id, first, last, input_tokens, output_tokens, state, reason)"
                    " VALUES (?, 0, -1, 0, 0, 'failed', 'no_readable_rows')",
                    (log.user_id,),
                )
            self._add_parts(parts)

    def logged_users(self) -> set[str]:
        """Return the ids of all users that have been logged."""
        return {user_id for (user_id,) in self._db.execute("SELECT user_id FROM users")}

    def pending_parts(self) -> list[PlannedPart]:
        """Return what is still to be asked, in order of user and index."""
        rows = self._db.execute(
            "SELECT user_id, first, last, input_tokens, output_tokens, attempts, broken_calls, max_peers,"
            " last - first + 1 = behaviors"
            " FROM parts JOIN users USING (user_id) WHERE state = 'pending' ORDER BY user_id, first"
        )
        return [
            PlannedPart(Part(user_id, first, last), PartSize(*size), attempts, broken, peers, bool(is_whole))
            for user_id, first, last, *size, attempts, broken, peers, is_whole in rows
        ]

    def replace_part(
        self, part: Part, pieces: Iterable[tuple[Part, PartSize]], *, attempts: int = 0, max_peers: int = 0
    ) -> None:
        """Put pieces in the place of a pending part; `attempts` are held against each."""
        self._db.execute("DELETE FROM parts WHERE user_id = ? AND first = ? AND last = ?", part)
        self._add_parts(pieces, attempts, max_peers)

    def logs(self, parts: Iterable[Part]) -> list[UserLog]:
        """Return the logs of parts, each with its part's behaviors only."""
        found = []
        for part in parts:
            (blob,) = self._db.execute("SELECT log FROM users WHERE user_id = ?", (part.user_id,)).fetchone()
            found.append(unpack_log(part.user_id, blob, part.first, part.last))
        return found

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
        """Write down a call before it is sent; return its number. `in_flight_limit` 0: not known."""
        users = dict(zip(request.users, [list(planned.part) for planned in batch.parts], strict=True))
        cursor = self._db.execute(
            "INSERT INTO calls (attempt, users, messages, settings_fingerprint, input_tokens, sent_at,"
            " in_flight_limit) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                batch.attempt,
                orjson.dumps(users).decode(),
                pack_messages(request.messages),
                settings_fingerprint,
                request.input_tokens,
                sent_at,
                in_flight_limit,
            ),
        )
        return int(cursor.lastrowid or 0)

    def note_retry(self, retry: Retry) -> None:
        """Write down that a call is sent again."""
        self._db.execute("INSERT INTO retries VALUES (?, ?, ?, ?, ?)", retry)

    def store_reply(self, call_id: int, reply: Reply) -> None:
        """Keep what was paid for, before anybody reads it."""
        self._db.execute(
            f"UPDATE calls SET status = 'answered', ended_at = {_NOW}, reply = ?, reasoning = ?, finish_reason = ?,"
            " prompt_tokens = ?, completion_tokens = ?, reasoning_tokens = ?, cached_tokens = ?,"
            " usage_reported = ?, seconds = ? WHERE id = ?",
            (
                pack_text(reply.text),
                pack_text(reply.reasoning),
                reply.finish_reason,
                *reply.usage,
                reply.usage_reported,
                reply.seconds,
                call_id,
            ),
        )

    def fail_call(self, call_id: int, error: str, changes: Iterable[PartChange]) -> None:
        """Close a call that brought no answer."""
        self._db.execute(
            f"UPDATE calls SET status = 'failed', ended_at = {_NOW}, error = ? WHERE id = ?",
            (error, call_id),
        )
        self._apply(call_id, changes)

    def settle(self, call_id: int, outcomes: Iterable[Outcome], changes: Iterable[PartChange]) -> None:
        """Keep what a stored reply meant for each of its parts."""
        self._db.executemany(
            "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)",
            [
                (call_id, *outcome.part, outcome.reason, pack_json([e.model_dump() for e in outcome.events]))
                for outcome in outcomes
            ],
        )
        self._db.execute("UPDATE calls SET status = 'read' WHERE id = ?", (call_id,))
        self._apply(call_id, changes)

    def unread_calls(self) -> list[int]:
        """Return calls whose replies were committed but not settled: the process died in between."""
        return [
            call_id for (call_id,) in self.rows("SELECT id FROM calls WHERE status = 'answered' ORDER BY id")
        ]

    def stored_reply(self, call_id: int) -> StoredReply:
        """Return the reply of a call that has one."""
        (row,) = self.rows(f"{_REPLIES} WHERE id = ?", call_id)
        return _stored_reply(row)

    def stored_replies(self) -> Iterator[StoredReply]:
        """Yield all replies in the order of their calls, one at a time: they may be large."""
        ids = self.rows("SELECT id FROM calls WHERE status IN ('answered', 'read') ORDER BY id")
        yield from (self.stored_reply(call_id) for (call_id,) in ids)

    def fail_parts(self, reasons: Mapping[Part, FailureReason]) -> None:
        """Fail parts that were done, because no stored reply is usable for them any more."""
        self._db.executemany(
            "UPDATE parts SET state = 'failed', reason = ?, events = 0"
            " WHERE user_id = ? AND first = ? AND last = ? AND state = 'done'",
            [(reason, *part) for part, reason in reasons.items()],
        )

    def ask_failed_again(self) -> int:
        """Make failed parts pending, with nothing held against them; return how many.

        Where the endpoint was at fault they go as the plan has it, otherwise each alone.
        """
        return self._db.execute(
            "UPDATE parts SET state = 'pending', attempts = 0, broken_calls = 0,"
            " max_peers = CASE WHEN reason = 'endpoint' THEN 0 ELSE 1 END"
            " WHERE state = 'failed' AND reason <> 'no_readable_rows'"
        ).rowcount

    def lose_open_calls(self) -> int:
        """Mark calls that were in flight when the process died; return how many."""
        return self._db.execute("UPDATE calls SET status = 'lost' WHERE status = 'sent'").rowcount

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the ledger; see ledger.sql for its tables."""
        return self._db.execute(sql, values).fetchall()

    def _add_parts(
        self, parts: Iterable[tuple[Part, PartSize]], attempts: int = 0, max_peers: int = 0
    ) -> None:
        self._db.executemany(
            "INSERT INTO parts (user_id, first, last, input_tokens, output_tokens, attempts, max_peers)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*part, *size, attempts, max_peers) for part, size in parts],
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
                " events = ?, call_id = ?"
                " WHERE user_id = ? AND first = ? AND last = ?",
                (
                    change.state,
                    change.attempts,
                    change.broken_calls,
                    change.max_peers,
                    change.reason,
                    change.events,
                    call_id,
                    *change.part,
                ),
            )


def _connect(path: Path) -> sqlite3.Connection:
    # the connection is handed to the one thread that writes; it is never used by two at a time
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Connect without a right to write.

    On a read-only medium, where SQLite cannot make its files beside a ledger, one that was closed in order is
    read without them. Who looked at it before left an empty write-ahead log.
    """
    mode = "mode=ro"
    if not os.access(path.parent, os.W_OK):
        log = path.with_name(path.name + "-wal")
        if not log.exists() or not log.stat().st_size:
            mode += "&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


def _stored_reply(row: Sequence[Any]) -> StoredReply:
    call_id, attempt, users, reply, reasoning, finish_reason, *usage, reported, seconds = row
    return StoredReply(
        call_id,
        attempt,
        {alias: Part(*part) for alias, part in orjson.loads(users).items()},
        Reply(_text(reply), finish_reason, _text(reasoning), Usage(*usage), bool(reported), seconds),
    )


@contextmanager
def _translated(path: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if _is_about_content(error):
            raise
        message = _(
            "the run directory cannot be written ({error}); make room or mend it, then run: eventabs resume"
        )
        if path is not None:  # nothing is under way
            message = _("{path} cannot be written ({error}); make room or mend it, and start again")
        raise StorageError(message.format(path=path, error=error)) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # its subclasses speak of wrong statements
            raise
        raise damaged(path or Path("ledger.sqlite")) from error


def damaged(path: Path) -> RunDirectoryError:
    """Say that the database itself is damaged, and what to do."""
    message = _(
        "{path} is damaged; events.jsonl beside it has what was done. Keep a copy, and save what else is left"
        " with: sqlite3 {quoted} .recover | sqlite3 saved.sqlite"
    )
    return RunDirectoryError(message.format(path=path, quoted=shlex.quote(str(path))))


def _is_about_content(error: sqlite3.OperationalError) -> bool:
    """Whether a table, a column or a text is at fault, not the disk: `blamed` looks into that."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR
