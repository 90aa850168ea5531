"""What a run leaves behind: the endpoint's log and the ledger, put together."""

import json
import sqlite3  # noqa: TID251 - the ledger as any other program reads it
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from simulator import digest

Part = tuple[str, int, int]  # user, first and last index into the log


class Call(NamedTuple):
    """A call of the ledger; `kept` are the aliases whose answers were usable."""

    id: int
    sent_at: float  # seconds since 1970
    status: str
    message: str  # SHA-256 of the user message
    text: str  # SHA-256 of the reply, of the empty text where there is none
    parts: dict[str, Part]  # by alias
    kept: frozenset[str]

    @property
    def is_stored(self) -> bool:
        """Whether a reply was committed."""
        return self.status in ("answered", "read")


@dataclass(frozen=True)
class Run:
    """A run directory and the log of its endpoint, in order of the requests."""

    out: Path
    log: list[dict[str, Any]]
    calls: list[Call]
    users: dict[str, str]  # id -> done, failed or pending
    failures: dict[str, str] = field(default_factory=dict)  # id -> reason

    @property
    def events(self) -> bytes:
        """The bytes of events.jsonl."""
        path = self.out / "events.jsonl"
        return path.read_bytes() if path.exists() else b""

    @property
    def created_at(self) -> float:
        """When the run directory's first file was made, seconds since 1970."""
        return (self.out / ".gitignore").stat().st_mtime

    @property
    def first_call_seconds(self) -> float:
        """Seconds from the run directory to the first request."""
        return max(0.0, float(self.log[0]["time"]) - self.created_at)

    @property
    def calls_seconds(self) -> float:
        """Seconds from the first request to the last byte of the last answer."""
        return max(ended(served) for served in self.log) - float(self.log[0]["time"])

    @cached_property
    def matched(self) -> dict[int, Call]:
        """The calls whose stored reply is what the endpoint sent, by number of the request.

        A request belongs to the latest call with its message that was opened before it came; after a kill
        that may be another than the one whose equal answer was stored.
        """
        opened: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            opened[call.message].append(call)
        found = {}
        for served in self.log:
            before = [call for call in opened[served["message"]] if call.sent_at <= served["time"]]
            if before and before[-1].is_stored and before[-1].text == served["text"]:
                found[served["number"]] = before[-1]
        return found

    @cached_property
    def bought_again(self) -> int:
        """How often a part was in a request that came after its usable answer had been sent and stored."""
        asked = {call.message: tuple(call.parts.values()) for call in self.calls}
        usable_from: dict[Part, float] = {}
        for served in self.log:
            if (call := self.matched.get(served["number"])) is not None:
                for alias in call.kept:
                    usable_from.setdefault(call.parts[alias], ended(served))
        return sum(
            usable_from.get(part, served["time"]) < served["time"]
            for served in self.log
            for part in asked.get(served["message"], ())
        )

    @cached_property
    def usable_twice(self) -> int:
        """How many parts have more than one usable outcome in the ledger."""
        parts = [call.parts[alias] for call in self.calls for alias in call.kept]
        return len(parts) - len(set(parts))

    @cached_property
    def unlisted(self) -> int:
        """How many requests the ledger does not know."""
        known = {call.message for call in self.calls}
        return sum(served["message"] not in known for served in self.log)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a simulator's log in order of the requests."""
    with path.open(encoding="utf-8") as lines:
        return sorted(map(json.loads, lines), key=lambda served: served["number"])


def ended(served: Mapping[str, Any]) -> float:
    """Return when an exchange ended, seconds since 1970."""
    return float(served["time"] + served["seconds"])


def read_run(out: Path, log: list[dict[str, Any]]) -> Run:
    """Put a run directory and its endpoint's log together."""
    database = sqlite3.connect(f"file:{out / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        usable = defaultdict(set)
        for call_id, *part in database.execute(
            "SELECT call_id, user_id, first, last FROM outcomes WHERE reason IS NULL"
        ):
            usable[call_id].add(tuple(part))
        rows = database.execute("SELECT id, sent_at, status, messages, reply, users FROM calls ORDER BY id")
        calls = [_call(row, usable[row[0]]) for row in rows]
        states = database.execute("SELECT user_id, state, coalesce(reason, '') FROM parts").fetchall()
    finally:
        database.close()
    users: dict[str, str] = {}
    for user, state, _ in states:
        users[user] = _worse(users.get(user, "done"), state)
    return Run(out, log, calls, users, {user: reason for user, state, reason in states if state == "failed"})


def _worse(*states: str) -> str:
    return next(state for state in ("pending", "failed", "done") if state in states)


def _call(row: tuple[Any, ...], usable: Iterable[tuple[Any, ...]]) -> Call:
    call_id, sent_at, status, messages, reply, users = row
    parts = {alias: tuple(asked[:3]) for alias, asked in json.loads(users).items()}
    message = json.loads(zlib.decompress(messages))[-1]["content"]
    text = zlib.decompress(reply).decode() if reply else ""
    kept = frozenset(alias for alias, part in parts.items() if part in usable)
    return Call(call_id, sent_at, status, digest(message), digest(text), parts, kept)
