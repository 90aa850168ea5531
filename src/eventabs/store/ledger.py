"""The ledger: the one source of truth of a run, an SQLite database with one connection, in one thread."""

import asyncio
import hashlib
import os
import queue
import shlex
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import accumulate, chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Concatenate, Final, Literal, NamedTuple, ParamSpec, Self, TypeVar

import orjson

from eventabs.errors_and_exit_codes import RunDirectoryError
from eventabs.interface_language import gettext as _
from eventabs.replies import joined
from eventabs.shared_records import (
    ROW_COUNTS,
    AskedUser,
    Batch,
    Behavior,
    Event,
    FailureReason,
    Journey,
    KnownJourney,
    Message,
    Outcome,
    Part,
    PartSize,
    PlannedPart,
    Reply,
    Request,
    Usage,
    UserLog,
    of_row,
    row_ranges,
    rows_in,
)
from eventabs.store.run_directory_and_checkpoint import has_room, open_private, read_head, storage_error

FORMAT = 4
FIGURES: Final = ("events", "journeys", *ROW_COUNTS, "unsure", "outside", "missed")  # of an outcome
_NO_SUCH = "no such "  # column, table or function
_SCHEMA, _VIEWS = (Path(__file__).with_name(name).read_text("utf-8") for name in ("schema.sql", "views.sql"))


@contextmanager
def making(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a ledger, or replace one: what is written inside is there as a whole or not at all. Raises StorageError."""
    fresh = path.with_name(path.name + ".new")
    with translated(path):
        for leftover in path.parent.glob(f"{fresh.name}*"):  # of a process killed here, its journal too
            leftover.unlink()
        try:
            with open(fresh, "xb", opener=open_private) as file:
                connection = sqlite3.connect(fresh.absolute().as_uri(), uri=True, isolation_level=None)
                with closing(connection) as ledger:
                    for pragma in ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF"):
                        ledger.execute(f"PRAGMA {pragma}")  # of 4 KB most calls would need a page each
                    ledger.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
                    yield ledger
                os.fsync(file.fileno())
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        for suffix in ("-wal", "-shm"):  # SQLite would take them for the new file's
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.replace(path)


def connect(path: Path, *, to_read: bool = False) -> sqlite3.Connection:
    """Connect to a ledger. Raises RunDirectoryError for another format or origin, StoredValueError for a damaged one."""
    # the connection is handed to the one thread that writes; it is never used by two at a time
    connection = sqlite3.connect(
        uri_to_read(path) if to_read else path, uri=to_read, isolation_level=None, check_same_thread=to_read
    )
    with ExitStack() as refused:
        refused.callback(connection.close)
        if not to_read:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # what is committed is on the disk
        connection.execute("PRAGMA cell_size_check = ON")  # torn pages are an error, not a shorter result
        connection.execute("PRAGMA temp_store = MEMORY")
        others = "SELECT name FROM main.sqlite_schema WHERE coalesce(rootpage, 0) = 0 LIMIT 1"
        active = connection.execute(others).fetchone()
        if active:  # neither table nor index: it could run statements
            message = _(
                "{path} was not written by eventabs alone: it has a view, trigger or virtual table named {name}; do not"
                " use this run directory"
            )
            raise RunDirectoryError(message.format(path=path, name=ascii(active[0])))
        (found,) = connection.execute("PRAGMA main.user_version").fetchone()
        if found:
            refuse_other_format(path, found)
        is_whole = to_read or connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        if not found or not is_whole:  # a new ledger is there as a whole, with its format, or not at all
            raise StoredValueError
        connection.executescript(_VIEWS)
        refused.pop_all()
    return connection


def uri_to_read(path: Path) -> str:
    """Return the address of a ledger that is only read."""
    mode, log = "mode=ro", path.with_name(path.name + "-wal")
    takes_files = os.access(path.parent, os.W_OK) and (
        has_room(path.parent) or path.with_name(path.name + "-shm").exists()
    )
    # on a read-only medium or a full disk, where SQLite cannot make its files beside a ledger, one that was closed in order is
    # read without them; a reader may have left an empty write-ahead log
    if not takes_files and not (log.exists() and log.stat().st_size):
        mode += "&immutable=1"
    return f"{path.absolute().as_uri()}?{mode}"


def refuse_other_format(path: Path, found: int = 0) -> None:
    """Raise RunDirectoryError for a ledger of another version; `found`: its format, 0: as the head of the file says."""
    found = found or int.from_bytes(read_head(path, 64)[60:])
    if found not in (0, FORMAT):
        message = _(
            "{path} was written by another version of eventabs (format {found}, this one reads {known}); begin anew"
            " in another directory: eventabs run INPUT --out DIR"
        )
        raise RunDirectoryError(message.format(path=path, found=found, known=FORMAT))


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Raise RunDirectoryError where the ledger, or a value in it, cannot be read; other faults stay what they are."""
    try:
        yield
    except (StoredValueError, sqlite3.DatabaseError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary one
        is_damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        has_no_code = str(error).startswith((_NO_SUCH, "Could not decode to UTF-8"))
        if not (isinstance(error, StoredValueError) or is_damaged or has_no_code):
            raise
        message = _(
            "{path} is damaged; events.jsonl beside it has what was done. Keep a copy, and save what else is left"
            " with: sqlite3 {quoted} .recover | sqlite3 saved.sqlite"
        )
        if str(error).startswith(_NO_SUCH):
            message = _(
                "{path} does not fit this version of eventabs ({error}); go on with the version that wrote it, or begin a new run"
            )
        quoted = shlex.quote(str(path))
        raise RunDirectoryError(message.format(path=path, error=error, quoted=quoted)) from error


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StorageError where the disk refuses, RunDirectoryError where the ledger is damaged."""
    try:
        with damage_reported(path):
            yield
    except (OSError, sqlite3.OperationalError) as error:  # no damage: that has another class by now
        raise storage_error(path, error) from error


Piece = tuple[Part, PartSize]  # a part with what it costs


class PartChange(NamedTuple):
    """What a call did to a part."""

    part: Part
    state: str
    attempts: int = 0
    broken_calls: int = 0
    max_peers: int = 0
    reason: FailureReason | None = None
    asked: tuple[str, PartSize] | None = None  # the rows to ask about next, and their cost; None: the same
    accepted: Outcome | None = None  # that it is done with
    too_large: bool = False  # failed because it was asked about whole
    replaced_by: tuple[Piece, ...] = ()  # the pieces it was cut into


# what of a part a change sets: always, where other rows are asked about next, and where it is done with an outcome
_CHANGED = "state = ?, attempts = ?, broken_calls = ?, max_peers = ?, reason = ?, call_id = ?"
_ASKED = ", rows = ?, input_tokens = ?, output_tokens = ?"
_ACCEPTED = "".join(f", {name} = ?" for name in FIGURES)


class StoredReply(NamedTuple):
    """A reply that was committed, with what it answers by alias."""

    call_id: int
    users: dict[str, AskedUser]
    digests: dict[str, str]  # of the behaviors that were shown
    reply: Reply


class Retry(NamedTuple):
    """A call that is sent again after a wait."""

    call_id: int
    at: float  # when it failed, seconds since 1970
    cause: str  # `rate_limit`, an HTTP status, or `connection`
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
            # now, since a process that is killed while it changes this leaves what only a writer may undo
            connection.execute("PRAGMA journal_mode = WAL")
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a ledger. Raises StorageError, and RunDirectoryError as `connect` and for damage."""
        with translated(path):
            return cls(connect(path), path)

    @classmethod
    @contextmanager
    def watch(cls, path: Path) -> Iterator[Self]:
        """Read a ledger as it is at this moment, also while another process writes to it. Raises RunDirectoryError."""
        try:
            with damage_reported(path), closing(connect(path, to_read=True)) as connection:
                # deferred: the first read takes a snapshot, and no writer waits for it
                connection.execute("BEGIN")
                yield cls(connection, path)
        except sqlite3.OperationalError as error:
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
        with translated(self._path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            # not left to the connection, which says nothing where SQLite has rolled back meanwhile
            self._db.execute("COMMIT")

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Query the ledger; see schema.sql for its tables and views.sql for what they mean."""
        try:
            return self._db.execute(sql, values).fetchall()
        except Exception:
            with translated(self._path):  # to enter it takes longer than a small query
                raise

    def by_user(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Query rows that begin with a user, in order of users; few are in memory at a time. The first `?` is the user before."""
        rows = self.rows(page := f"{sql} ORDER BY user_id LIMIT 1000", "", *values)
        while rows:
            yield from rows
            rows = self.rows(page, rows[-1][0], *values)

    def set_meta(self, values: Mapping[str, object]) -> None:
        """Store values (JSON) by key."""
        rows = [(key, orjson.dumps(value).decode()) for key, value in values.items()]
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def meta(self) -> dict[str, Any]:
        """Return all stored values."""
        values = {key: load_json(value) for key, value in self.rows("SELECT key, value FROM meta")}
        # ledgers of before have these: the shard, and an export that is compared or half taken in
        values.get("binding", {}).pop("input.shard", None)
        if (before := values.get("extension") or {}).get("state") in ("comparing", "taking"):
            status = before.get("status", "stopped")
            values["extending"] = {key: before[key] for key in ("paths", "accepted")} | {"status": status}
            values["extension"] = before["before"] if before["state"] == "comparing" else before
        return values

    # users and parts

    def add_users(
        self, logged: Iterable[tuple[UserLog, Sequence[Piece]]], ordinals: str | None = None, rows: str = ""
    ) -> None:
        """Store users with their parts; `ordinals`, `rows`: of a single one, see schema.sql."""
        for log, parts in logged:
            ends = [each.instant for each in (*log.behaviors[:1], *log.behaviors[-1:])] or (None, None)
            days = len({each.start.toordinal() for each in log.behaviors})  # by the wall clock
            user = log.user_id, len(log.behaviors), days, *ends, ordinals, pack_log(log)
            self._db.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", user)
            if not log.behaviors:  # there is nothing to send: the user fails at once
                self.rows(
                    "INSERT OR IGNORE INTO parts (user_id, first, last, input_tokens, output_tokens, state, reason)"
                    " VALUES (?, 0, -1, 0, 0, 'failed', 'no_readable_rows')",
                    log.user_id,
                )
            self.add_parts(parts, rows=rows)

    def add_parts(self, parts: Iterable[Piece], *, instead_of: Part | None = None, rows: str = "") -> None:
        """Store parts that are to be asked about, maybe in the place of a pending one; `rows`: of one part, see `PlannedPart`."""
        if instead_of:
            self._db.execute("DELETE FROM parts WHERE user_id = ? AND first = ? AND last = ?", instead_of)
        new = "INSERT INTO parts (user_id, first, last, input_tokens, output_tokens, rows) VALUES (?, ?, ?, ?, ?, ?)"
        self._db.executemany(new, [(*part, *size[:2], rows) for part, size in parts])

    def logged_users(self) -> set[str]:
        """Return the ids of all users."""
        return {user_id for (user_id,) in self._db.execute("SELECT user_id FROM users")}

    def planned_parts(self, parts: Iterable[Part]) -> dict[Part, PlannedPart]:
        """Return those of some parts that are pending, whether awaited or not."""
        which = "user_id = ? AND first = ? AND last = ?"
        return {part: planned for part in parts for planned in self.pending_parts(which, *part)}

    def pending_parts(
        self, which: str = "(user_id, first, last) NOT IN awaited_parts", *values: object
    ) -> list[PlannedPart]:
        """Return pending parts in order of user and index; without a condition those whose answer is awaited nowhere else."""
        planned = f"SELECT * FROM planned_parts WHERE {which} ORDER BY user_id, first"
        found = self._db.execute(planned, values)
        return [
            PlannedPart(
                Part(user_id, first, last),
                PartSize(tokens, out, len(rows_in(rows)) if rows else last - first + 1),
                *(attempts, broken, peers, bool(is_whole), rows),
            )
            for user_id, first, last, tokens, out, attempts, broken, peers, is_whole, rows in found
        ]

    def asked(self, part: Part, rows: str, *, attempt: int = 0, before: int = sys.maxsize) -> AskedUser:
        """Return what is asked about a part: its behaviors, or those of some rows, and what answers before a call made of it."""
        if part.is_link:
            return self._asked_link(part, rows)
        ((packed, ordinals),) = self.rows("SELECT log, ordinals FROM users WHERE user_id = ?", part.user_id)
        log = unpack_log(part.user_id, packed, part.first, part.last)
        history = log.behaviors
        indices: Sequence[int] = range(part.first, part.last + 1)
        if rows:
            # of an extended user, of whom they were asked before, maybe not there any more
            indices = rows_in(rows)
            places = (index - part.first for index in indices)
            log = log._replace(behaviors=tuple(history[place] for place in places if place < len(history)))
        numbers = rows_in(ordinals) if ordinals else ()
        lasting = [numbers[index] for index in indices if index < len(numbers)] if numbers else ()
        user = AskedUser(part, log, indices, ordinals=lasting, history=history)
        if attempt == 1 and not rows:  # a first attempt at all of it: there is nothing before
            return user
        extended = "SELECT since, last, kept, listed FROM extended WHERE user_id = ?"
        ((since, last, packed, listed),) = self.rows(extended, part.user_id) or [(0, 0, None, "")]
        is_whole = (part.first, part.last) == (0, last)
        kept = unpack_outcome(part, None, packed) if rows and packed is not None and is_whole else None
        found = self._db.execute(
            "SELECT reason, result FROM outcomes WHERE user_id = ? AND first = ? AND last = ? AND call_id < ? AND call_id > ?"
            " AND reason IN ('unplaced', 'minor') ORDER BY call_id",
            (*part, before, since),
        )
        # the last one by its reason
        refused = {reason: unpack_outcome(part, reason, result) for reason, result in found}
        stays = refused.get("unplaced") or kept
        return user._replace(
            log=shown(log, indices, kept, load_json(listed)) if kept else log,
            earlier=refused.get("minor") or stays,
            stays=stays if "minor" in refused else None,
            past=kept.rows if kept else frozenset(),
        )

    def _asked_link(self, part: Part, rows: str) -> AskedUser:
        """Return the journeys of a user's other parts, all or some in order of time, in place of behaviors."""
        of_parts = "SELECT result FROM user_results WHERE user_id = ? AND first >= 0 ORDER BY first"
        results = self.rows(of_parts, part.user_id)
        _events, found = joined((unpack_outcome(part, None, result) for (result,) in results), goal="")
        journeys = sorted(found, key=lambda each: (each.start[:19], each.end[:19], each.id))  # by wall time
        numbers = rows_in(rows) or range(len(journeys))
        chosen = [journeys[number] for number in numbers if number < len(journeys)]
        behaviors = list[Behavior]()
        for journey in chosen:
            start, end = map(datetime.fromisoformat, (journey.start, journey.end))
            types, seconds = "/".join(dict.fromkeys(journey.types)), int((end - start).total_seconds())
            behaviors.append(Behavior(start, journey.kind, journey.name, types, seconds))
        log = UserLog(part.user_id, tuple(behaviors))
        return AskedUser(part, log, numbers, earlier=Outcome(part, None, journeys=tuple(chosen)))

    def log(self, user_id: str, first: int = 0, last: int | None = None) -> UserLog:
        """Return the log of a user, or its behaviors `first`..`last`, both included."""
        ((log,),) = self.rows("SELECT log FROM users WHERE user_id = ?", user_id)
        return unpack_log(user_id, log, first, last)

    # calls

    def open_call(
        self, batch: Batch, request: Request, *, settings_fingerprint: str, sent_at: float, in_flight: int = 0
    ) -> int:
        """Store a call before it is sent; return its number. `in_flight`: the limit of calls then, 0: not known."""
        asked = {
            alias: [*planned.part, planned.rows, digest_of(log.behaviors)]
            for (alias, log), planned in zip(request.users.items(), batch.parts, strict=True)
        }
        users, messages = orjson.dumps(asked).decode(), pack_messages(request.messages)
        cursor = self._db.execute(
            "INSERT INTO calls (attempt, users, messages, settings_fingerprint, input_tokens, sent_at,"
            " in_flight_limit) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (batch.attempt, users, messages, settings_fingerprint, request.input_tokens, sent_at, in_flight),
        )
        return int(cursor.lastrowid or 0)

    def note_retry(self, retry: Retry) -> None:
        """Store that a call is sent again."""
        self._db.execute("INSERT INTO retries VALUES (?, ?, ?, ?, ?)", retry)

    def store_reply(self, call_id: int, reply: Reply) -> None:
        """Store a reply before it is read: it is paid for."""
        texts = pack_text(reply.text), pack_text(reply.reasoning) if reply.reasoning else None
        told = reply.finish_reason, reply.usage_reported, reply.seconds, reply.tier or None
        self.rows(
            "UPDATE calls SET status = 'answered', ended_at = ?, reply = ?, reasoning = ?, finish_reason = ?, usage_reported = ?,"
            " seconds = ?, tier = ?, prompt_tokens = ?, completion_tokens = ?, reasoning_tokens = ?, cached_tokens = ? WHERE id = ?",
            *(time.time(), *texts, *told, *reply.usage, call_id),
        )

    def fail_call(self, call_id: int, error: str, changes: Iterable[PartChange]) -> None:
        """Close a call that ended without a reply."""
        self.change("calls", call_id, status="failed", ended_at=time.time(), error=error)
        self._apply(call_id, changes)

    def settle(self, call_id: int, outcomes: Iterable[Outcome], changes: Iterable[PartChange]) -> None:
        """Store what a stored reply means for each of its parts."""
        self.rows("UPDATE calls SET status = 'read' WHERE id = ?", call_id)
        self.add_outcomes(call_id, outcomes, changes)

    def add_outcomes(self, call_id: int, outcomes: Iterable[Outcome], changes: Iterable[PartChange]) -> None:
        """Store outcomes under a call, and what they mean for their parts."""
        rows = [(call_id, *outcome.part, outcome.reason, pack_outcome(outcome)) for outcome in outcomes]
        self._db.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", rows)
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
        text, reasoning = unpack_text(text), unpack_text(reasoning)
        reply = Reply(text, finish_reason, reasoning, Usage(*usage), bool(reported), seconds)
        stored = StoredReply(call_id, {}, {}, reply)
        for alias, (*part, asked, digest) in load_json(users).items():
            stored.users[alias] = self.asked(Part(*part), asked, attempt=attempt, before=call_id)
            stored.digests[alias] = digest
        return stored

    def ask_failed_again(self) -> int:
        """Make failed parts pending, sent alone next time unless the endpoint was at fault; return how many."""
        return self._db.execute(
            "UPDATE parts SET state = 'pending', attempts = 0, broken_calls = 0,"
            " max_peers = CASE WHEN reason = 'endpoint' THEN 0 ELSE 1 END"
            " WHERE state = 'failed' AND reason <> 'no_readable_rows'"
        ).rowcount

    def lose_open_calls(self) -> int:
        """Mark calls that were in flight when the process died; return how many. Those in a job are not lost."""
        lost = "UPDATE calls SET status = 'lost' WHERE status = 'sent' AND id NOT IN (SELECT call_id FROM job_calls)"
        return self._db.execute(lost).rowcount

    def change(self, table: Literal["calls", "jobs"], row_id: int, /, **values: object) -> None:
        """Write down what has become of a call or a job."""
        columns = ", ".join(f"{name} = ?" for name in values)
        self.rows(f"UPDATE {table} SET {columns} WHERE id = ?", *values.values(), row_id)

    def _apply(self, call_id: int, changes: Iterable[PartChange]) -> None:
        for change in changes:
            if change.replaced_by:  # cut because its answer was too long: each piece is alone in its batch
                self.add_parts(change.replaced_by, instead_of=change.part)
                alone = PartChange(change.part, "pending", change.attempts, max_peers=1)
                self._apply(call_id, [alone._replace(part=part) for part, _size in change.replaced_by])
                continue
            columns, values = _CHANGED, [*change[1:6], call_id]  # from `state` to `reason`
            if change.asked:
                rows, size = change.asked
                columns, values = columns + _ASKED, [*values, rows, *size[:2]]
            if change.accepted:
                columns, values = columns + _ACCEPTED, [*values, *change.accepted.figures.values()]
            update = f"UPDATE parts SET {columns} WHERE user_id = ? AND first = ? AND last = ?"
            self._db.execute(update, (*values, *change.part))


# How values are stored in the ledger: JSON, deflated where it is long.
#
# What is damaged raises StoredValueError, and inflation is bounded: a ledger may be made to fill the memory.


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall times are counted from a naive epoch
_CHUNK = 2048  # behaviors
_CHUNKED = b"E"  # no deflated value begins so
_INDEX_LENGTH = 4  # bytes that hold the length of the index
_SHOWN = itemgetter(slice(5))  # of a behavior, in a prompt
_FAST = 1  # deflate level: logs shrink by nine tenths already here
_TINY, _SMALL = 1024, 8192  # bytes: only copied; deflated in the smallest window that costs nothing

MOST_TIMES = 32  # that a value may be as large as what is stored of it
_ALWAYS_ALLOWED = 1024 * 1024  # bytes; so far it may shrink as it likes


class StoredValueError(Exception):
    """A stored value cannot be read: it is damaged, or would inflate beyond what any value of a run does."""


def load_json(text: str | bytes) -> Any:  # noqa: ANN401  JSON
    """Return what JSON says."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StoredValueError(str(error)) from error


def pack_json(value: object) -> bytes:
    """Deflate `value` as JSON."""
    return _deflate(orjson.dumps(value))


def unpack_json(blob: bytes | memoryview) -> Any:  # noqa: ANN401  JSON
    """Return what `pack_json` was given."""
    return load_json(_inflate(blob))


def pack_log(log: UserLog) -> bytes:
    """Pack a log: profile and, per behavior, wall seconds, zone offset in seconds and the fields.

    The export's own sentence is left out but where it is the item, which is noted behind them. A long log is packed in chunks
    behind an index, so that a part of it is read without the rest.
    """
    if len(log.behaviors) <= _CHUNK:
        return pack_json([log.profile, list(map(_row, log.behaviors))])
    behaviors = iter(log.behaviors)
    chunks = [pack_json(rows) for rows in iter(lambda: list(map(_row, islice(behaviors, _CHUNK))), [])]
    index = pack_json([log.profile, list(map(len, chunks))])
    return b"".join((_CHUNKED, len(index).to_bytes(_INDEX_LENGTH), index, *chunks))


def unpack_log(user_id: str, blob: bytes, first: int = 0, last: int | None = None) -> UserLog:
    """Return the log, or its behaviors `first`..`last`, both included."""
    skipped = first
    if blob.startswith(_CHUNKED):  # of which only the chunks are read that hold some of these
        packed = memoryview(blob)[len(_CHUNKED) :]
        start = _INDEX_LENGTH + int.from_bytes(packed[:_INDEX_LENGTH])
        profile, lengths = unpack_json(packed[_INDEX_LENGTH:start])
        wanted = range(first // _CHUNK, len(lengths) if last is None else last // _CHUNK + 1)
        begins = list(accumulate(lengths, initial=start))
        rows = chain.from_iterable(unpack_json(packed[begins[at] : begins[at + 1]]) for at in wanted)
        skipped %= _CHUNK
    else:
        profile, rows = unpack_json(blob)
    behaviors: list[Behavior] = []
    one = dict[str, str]().setdefault  # texts recur, and are looked up many times
    end = None if last is None else skipped + last - first + 1
    for seconds, offset, action, item, place, duration, file, line, *is_own in islice(rows, skipped, end):
        moment = _EPOCH + timedelta(0, seconds)
        if offset is not None:
            moment = moment.replace(tzinfo=timezone(timedelta(seconds=offset)) if offset else UTC)
        what, where = one(item, item), one(place, place)
        text = what if is_own else ""
        behaviors.append(Behavior(moment, one(action, action), what, where, duration, file, line, text))
    return UserLog(user_id, tuple(behaviors), tuple(map(tuple, profile)))


def pack_outcome(outcome: Outcome) -> bytes:
    """Pack what an outcome holds, but for part and reason."""
    events, journeys = outcome.as_rows
    minor, unplaced, unasked = map(row_ranges, (outcome.minor, outcome.unplaced, outcome.unasked))
    rows = {"minor": minor, "unplaced": unplaced, "unasked": unasked}
    counts = {"misfiled": outcome.misfiled, "repeated": outcome.repeated}
    return pack_json({"events": events, "journeys": journeys, **rows, **counts, "same": outcome.same})


def unpack_outcome(part: Part, reason: FailureReason | None, blob: bytes) -> Outcome:
    """Return what `pack_outcome` was given."""
    found = unpack_json(blob)
    events = tuple(of_row(Event, each) for each in found["events"])
    journeys = tuple(of_row(Journey, each) for each in found["journeys"])
    minor, unplaced, unasked = (tuple(rows_in(found[name])) for name in ("minor", "unplaced", "unasked"))
    counts, same = (found["misfiled"], found["repeated"]), tuple(map(tuple, found.get("same", ())))
    return Outcome(part, reason, events, journeys, minor, unplaced, unasked, *counts, same)


def shown(log: UserLog, rows: Sequence[int], kept: Outcome, listed: Iterable[str]) -> UserLog:
    """Return a log of some rows with what is known: the listed journeys, and which rows were kept and are only shown."""
    places = {row: place for place, row in enumerate(rows)}
    journeys = {journey.id: journey for journey in kept.journeys}
    known = []
    for journey in map(journeys.__getitem__, listed):
        own = tuple(places[row] for row in journey.behaviors if row in places)
        known.append(KnownJourney(journey.kind, journey.name, own))
    in_events = {row for event in kept.events for row in event.behaviors if not event.journey}
    if alone := {*in_events, *kept.minor, *kept.unplaced, *kept.unasked} & places.keys():
        known.append(KnownJourney("", "", tuple(places[row] for row in sorted(alone))))
    return log._replace(known=tuple(known))


def unpack_parts(text: str) -> dict[str, Part]:
    """Return the parts that a call asked about, by alias."""
    return {alias: Part(*part) for alias, (*part, _rows, _digest) in load_json(text).items()}


def digest_of(behaviors: Iterable[Behavior]) -> str:
    """Return a digest of what was shown: the same rows, read again, have the same."""
    return hashlib.blake2b(orjson.dumps(list(map(_SHOWN, behaviors))), digest_size=8).hexdigest()


def pack_messages(messages: Sequence[Message]) -> bytes:
    """Deflate the messages of a call as JSON. All calls of a run begin alike, and what they begin with is deflated once."""
    return _deflate(orjson.dumps(messages), len(orjson.dumps(messages[:1])) - 1)


def unpack_messages(blob: bytes) -> tuple[Message, ...]:
    """Return the messages of a call as they were sent."""
    return tuple({"role": message["role"], "content": message["content"]} for message in unpack_json(blob))


def pack_text(text: str) -> bytes:
    """Deflate a text; lone surrogates, which a broken reply may hold, survive."""
    return _deflate(text.encode("utf-8", "surrogatepass"))


def unpack_text(blob: bytes | None) -> str:
    """Return what `pack_text` was given, "" for None."""
    return "" if blob is None else _inflate(blob).decode("utf-8", "surrogatepass")


def _deflate(data: bytes, first: int = 0) -> bytes:  # `first`: bytes in front that many values have
    if len(data) <= _TINY:
        return zlib.compress(data, 0, 9)
    if len(data) <= _SMALL:
        begun, deflater = _begun(data[:first])
        deflater = deflater.copy()
        return begun + deflater.compress(data[first:]) + deflater.flush()
    packed = zlib.compress(data, _FAST)
    return packed if len(data) <= _most_of(packed) else zlib.compress(data, zlib.Z_NO_COMPRESSION)


@lru_cache(maxsize=3)
def _begun(first: bytes) -> tuple[bytes, "zlib._Compress"]:
    # zlib's usual tables take 256 KB; to get them from the system can take longer than to deflate what is small
    deflater = zlib.compressobj(_FAST, wbits=13, memLevel=5)
    return deflater.compress(first) + (deflater.flush(zlib.Z_SYNC_FLUSH) if first else b""), deflater


def _inflate(blob: bytes | memoryview) -> bytes:
    most = _most_of(blob)
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(blob, most + 1)
    except (zlib.error, TypeError) as error:
        raise StoredValueError(str(error)) from error
    if len(data) > most or not inflater.eof:
        message = "incomplete, or inflates too far"
        raise StoredValueError(message)
    return data


def _most_of(packed: bytes | memoryview) -> int:
    return max(_ALWAYS_ALLOWED, MOST_TIMES * len(packed))


def _row(behavior: Behavior) -> tuple[Any, ...]:
    start, *fields, text = behavior
    since = (start.replace(tzinfo=None) if start.tzinfo else start) - _EPOCH
    row = (since.days * 86_400 + since.seconds, offset_seconds(start), *fields)
    return (*row, True) if text and behavior.action and behavior.in_own_words else row


def offset_seconds(moment: datetime) -> int | None:
    """Return the offset of a time from UTC, None where it has none."""
    offset = moment.utcoffset() if moment.tzinfo else None
    return None if offset is None else int(offset.total_seconds())


T = TypeVar("T")
P = ParamSpec("P")
_Write = tuple[Callable[[Ledger], Any], asyncio.Future[Any]]
_FEW = 4  # tasks of a commit
_GATHERING = 0.008  # seconds


class LedgerWriter:
    """Owns the ledger while it is open; use as a context manager inside a running event loop.

    Sixty-four calls in flight must not wait for the disk sixty-four times, so the thread commits together all tasks submitted
    during the last commit; where these were many, those of some milliseconds more. Calls that go on together take a fifth less time.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: queue.SimpleQueue[list[_Write] | None] = queue.SimpleQueue()
        self._submitted: list[_Write] = []  # in this turn of the loop
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="ledger")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._flush()
        self._queue.put(None)
        self._thread.join()

    async def write(self, task: Callable[Concatenate[Ledger, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `task` in a transaction; return its result once that is on disk. It is not undone when the caller is cancelled."""
        return await self.submit(lambda ledger: task(ledger, *args, **kwargs))

    def submit(self, task: Callable[[Ledger], T]) -> asyncio.Future[T]:
        """Run `task` in a transaction, after all tasks submitted before; return the future of its result."""
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._submitted:  # to wake the thread costs both threads time: once a turn
            self._loop.call_soon(self._flush)
        self._submitted.append((task, future))
        return future

    def post(self, task: Callable[[Ledger], None]) -> None:
        """Run `task` in a transaction soon. Its error is dropped: a disk that refuses fails the next `write` too."""
        # asyncio warns of exceptions that are never retrieved
        self.submit(task).add_done_callback(lambda future: future.cancelled() or future.exception())

    def _flush(self) -> None:
        submitted, self._submitted = self._submitted, []
        if submitted:
            self._queue.put(submitted)

    def _serve(self) -> None:
        committed = 0
        while (writes := self._queue.get()) is not None:
            if committed > _FEW:
                time.sleep(_GATHERING)
            with suppress(queue.Empty):  # everything that was submitted meanwhile
                while (more := self._queue.get_nowait()) is not None:
                    writes += more
                self._queue.put(None)
            committed = len(writes)
            self._commit(writes)

    def _commit(self, gathered: list[_Write]) -> None:
        try:
            with self._ledger.transaction():
                done: list[Any] = [(future.set_result, task(self._ledger)) for task, future in gathered]
        except Exception as error:  # noqa: BLE001  every error belongs to the caller that waits
            if len(gathered) > 1:  # a paid reply must not be lost through the fault of another task
                for write in gathered:
                    self._commit([write])
                return
            done = [(gathered[0][1].set_exception, error)]

        def tell() -> None:
            for (_task, future), (set_it, value) in zip(gathered, done, strict=True):
                if not future.done():  # its caller was not cancelled
                    set_it(value)

        self._loop.call_soon_threadsafe(tell)  # waking the loop costs a system call: one for all
