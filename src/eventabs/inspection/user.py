"""One user of a run: behaviors in their compact form, the events that cover them, and the stored calls."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventabs.errors import UsageError
from eventabs.language import Language, gettext as _
from eventabs.prompts import Compactor
from eventabs.records import Message, Part, UserLog
from eventabs.store import (
    Ledger,
    UserRow,
    events_of,
    unpack_messages,
    unpack_parts,
    unpack_text,
    user_row,
)

_CALLS_OF_USER = """
    SELECT id, users, messages, reasoning, reply, status, sent_at, seconds, finish_reason, prompt_tokens,
        completion_tokens, cached_tokens, error
    FROM calls WHERE id IN (SELECT call_id FROM user_calls WHERE user_id = ?) ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A behavior. `events`: positions of those that cover it in the user's events."""

    index: int
    day: str  # ISO 8601
    text: str
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call that a user was part of, as the ledger has it; `asked` names the user's parts by alias."""

    id: int
    asked: dict[str, Part]
    messages: tuple[Message, ...]
    reasoning: str
    reply: str
    status: str
    sent_at: float
    seconds: float | None
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    error: str | None


@dataclass(frozen=True, slots=True)
class UserView:
    """A user with all that is known of it. `events` are those of its parts that are done, in order of time."""

    row: UserRow
    profile: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    events: tuple[dict[str, Any], ...]

    @property
    def uncovered(self) -> list[int]:
        """Indices of behaviors that no event covers."""
        return [line.index for line in self.lines if not line.events]

    @property
    def ungrounded(self) -> list[int]:
        """Positions of events that cover no behavior."""
        return [position for position, event in enumerate(self.events) if not event["behaviors"]]


def view_user(ledger: Ledger, user_id: str, named: Path) -> UserView:
    """Return what is known of a user. Raises UsageError where the run, as it is `named`, has no such user."""
    row = user_row(ledger, user_id)
    if row is None:
        message = _("the run has no user {user}; list its users with: eventabs show {path}")
        raise UsageError(message.format(user=user_id, path=shlex.quote(str(named))))
    log, events = ledger.log(user_id), events_of(ledger, user_id)
    return UserView(row, log.profile, tuple(_lines(log, events, ledger.meta())), tuple(events))


def stored_calls(ledger: Ledger, user_id: str) -> Iterator[StoredCall]:
    """Yield the calls that a user was part of, in order."""
    rows = ledger.rows(_CALLS_OF_USER, user_id)
    for call_id, parts, messages, reasoning, reply, *facts in rows:
        asked = {alias: part for alias, part in unpack_parts(parts).items() if part.user_id == user_id}
        texts = unpack_messages(messages), unpack_text(reasoning), unpack_text(reply)
        yield StoredCall(call_id, asked, *texts, *facts)


def compactor_of(facts: Mapping[str, Any]) -> Compactor:
    """Return what writes the behaviors of a run, from its facts; a line for each, whatever its prompts had."""
    language: Language = "zh" if facts.get("prompt_language") == "zh" else "en"
    return Compactor(language, facts["settings"]["compaction"]["strip"])


def _lines(log: UserLog, events: list[dict[str, Any]], facts: Mapping[str, Any]) -> Iterator[Line]:
    covering: dict[int, list[int]] = {}
    for position, event in enumerate(events):
        for index in event["behaviors"]:
            covering.setdefault(index, []).append(position)
    lines = compactor_of(facts).lines(log)
    for index, (behavior, text) in enumerate(zip(log.behaviors, lines, strict=True)):
        yield Line(index, behavior.start.date().isoformat(), text, tuple(covering.get(index, ())))
