"""Small records for the tests of the runs room, and somebody who watches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.runs.observer import BatchDone, Fact, Note, Progress, Started
from eventabs.shared_records import (
    Batch,
    Behavior,
    Event,
    FailureReason,
    Journey,
    Message,
    Outcome,
    Part,
    PartSize,
    PlannedPart,
    Reply,
    Request,
    Usage,
    UserLog,
    lasting_id,
)
from eventabs.store.ledger import Ledger

T = TypeVar("T")

SETTINGS = {"vocabulary": {"categories": [{"name": "conversion", "mark": "!"}]}}
SIZE = PartSize(100, 40, 3)
LIMITS = BatchLimits(
    max_input_tokens=40_000,
    instructions_tokens=500,
    max_output_tokens=8_192,
    max_users=30,
    max_rows=0,
    counter=TokenCounter(),
)


def make_log(user_id: str, behaviors: int = 3) -> UserLog:
    """Return a log with a visit an hour, eight a day."""
    first = datetime(2026, 1, 1, 9, 15)  # noqa: DTZ001  exports hold wall times
    return UserLog(
        user_id,
        tuple(
            Behavior(first + timedelta(days=n // 8, hours=n % 8), "visit", f"餐厅{n}", "", 1800, 0, n + 1)
            for n in range(behaviors)
        ),
        (("city", "上海"),),
    )


def whole(log: UserLog) -> Part:
    """Return the part that is all of a log."""
    return Part(log.user_id, 0, len(log.behaviors) - 1)


def plan(user_id: str, first: int = 0, last: int = 2, *, peers: int = 0, attempts: int = 0) -> PlannedPart:
    """Return a part to be asked about."""
    return PlannedPart(Part(user_id, first, last), SIZE, attempts, 0, peers)


def batch_of(*user_ids: str) -> Batch:
    """Return a batch of whole, fresh users."""
    return Batch(tuple(plan(user_id) for user_id in user_ids))


def request_for(logs: Sequence[UserLog]) -> Request:
    """Return a request about some logs."""
    messages: tuple[Message, ...] = (
        {"role": "system", "content": "extract"},
        {"role": "user", "content": "\n".join(log.user_id for log in logs)},
    )
    return Request(messages, {f"U{n}": log for n, log in enumerate(logs, 1)}, 100, 8_192)


def event_of(part: Part, kind: str = "用餐", start: str = "2026-01-01T09:15:00") -> Event:
    """Return an event that has all of a part."""
    return Event(
        id=lasting_id(part.user_id, part.first),
        user_id=part.user_id,
        type=kind,
        category="engagement",
        start=start,
        end=start,
        minutes=0,
        summary="",
        behaviors=tuple(range(part.first, part.last + 1)),
    )


def journey_of(part: Part, name: str = "帐篷") -> Journey:
    """Return a journey that has all of a part, in one event."""
    event = event_of(part)
    return Journey(
        id=lasting_id(part.user_id, part.first, "j"),
        user_id=part.user_id,
        kind="购买",
        name=name,
        start=event.start,
        end=event.end,
        days=1,
        minutes=0,
        converted=False,
        types=(event.type,),
        events=(event.id,),
        behaviors=event.behaviors,
    )


def well(part: Part, *events: Event) -> Outcome:
    """Return a usable outcome."""
    return Outcome(part, None, events or (event_of(part),))


def bad(part: Part, reason: FailureReason = "unparsable") -> Outcome:
    """Return an outcome that is not usable."""
    return Outcome(part, reason)


def answer(text: str = "##", *, prompt_tokens: int = 100, completion_tokens: int = 40) -> Reply:
    """Return a whole reply."""
    return Reply(text, usage=Usage(prompt_tokens, completion_tokens), seconds=2.0)


def new_ledger(path: Path, logs: Iterable[UserLog] = (), **facts: object) -> Ledger:
    """Make a ledger that has logged some users, each as one part."""
    ledger = Ledger.create(path / "ledger.sqlite", facts)
    with ledger.transaction():
        ledger.add_users((log, [(whole(log), SIZE)] if log.behaviors else []) for log in logs)
    return ledger


def opened(ledger: Ledger, *logs: UserLog, at: float = 0.0) -> int:
    """Write down a call about some users; return its number."""
    users = batch_of(*(log.user_id for log in logs))
    return ledger.open_call(users, request_for(logs), settings_fingerprint="f", sent_at=at)


@dataclass
class Watcher:
    """An observer that remembers, and calls back at each finished batch."""

    at_batch: Callable[[], object] = lambda: None
    starts: list[Started] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def noted(self, fact: Fact) -> None:
        if isinstance(fact, Started):
            self.starts.append(fact)
        elif isinstance(fact, Progress):
            self.progress.append(fact)
        else:
            self.notes.append(fact)
        if isinstance(fact, BatchDone):
            self.at_batch()

    def of(self, kind: type[T]) -> list[T]:
        """Return the notes of one kind."""
        return [note for note in self.notes if isinstance(note, kind)]
