"""What an audit has found: the events of a run beside those that the same users got when they were asked again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from eventabs.inspection.run_status import Endpoint, endpoint_of
from eventabs.measures import (
    Claim,
    LogText,
    Repeat,
    Stability,
    fits_better,
    groups_of,
    stability_of,
)
from eventabs.records import Counts, UserLog
from eventabs.store import (
    Ledger,
    RunDirectory,
    count_all,
    events_of,
    states_by_user,
    unpack_parts,
    user_row,
)

LEAST_STABLE: Final = 0.8  # users below it are listed
_KEPT_LOGS: Final = 512
_SAID: Final = 5  # fields of a behavior that say what was done, and for how long

Event = dict[str, Any]


class ConfusedEvent(NamedTuple):
    """An event that is not stable, and fits another user of its batch better than its own."""

    user_id: str
    type: str
    start: str
    summary: str
    fits: str  # the other user


class UnstableUser(NamedTuple):
    """A user with few stable events: their share, how many the run and the audit have, and those that are not stable."""

    user_id: str
    stable: float
    events: int
    second_events: int
    lost: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """An audit as its ledger and the run's have it.

    `users_in_run` are those done there, `compared` those of them that the audit has done too, with the same behaviors; `changed`
    have others now and are left out. `users_a_prompt`: at most; `kept_neighbors`: the share of neighbors in the audit that were
    neighbors in the run too. `counts`, `cost` and `seconds` are of the audit alone. `unstable` users have a share of stable events
    below `least_stable`, the lowest first.
    """

    out: str
    status: str
    seed: int
    endpoint: Endpoint
    users_in_run: int
    users_a_prompt: int
    counts: Counts
    cost: float | None
    seconds: float
    compared: int
    changed: int
    kept_neighbors: float | None
    stability: Stability
    least_stable: float
    unstable: tuple[UnstableUser, ...]
    confused: tuple[ConfusedEvent, ...]
    language: str  # the `lang` setting of the run


def audit_facts(
    named: Path, out: Path | None = None, *, least_stable: float = LEAST_STABLE
) -> AuditFacts | None:
    """Hold an audit of a run against it, also while somebody works on either; None where the run has no audit.

    Events that a rule of [[events.must]] has added are left out: no model said them. Raises RunDirectoryError where there is no run.
    """
    directory = RunDirectory.find(named)
    audited = RunDirectory(out or directory.audit)
    if not audited.ledger.is_file():
        return None
    with Ledger.watch(directory.ledger) as ledger, Ledger.watch(audited.ledger) as again:
        facts = again.meta()
        endpoint, counts = endpoint_of(facts["settings"]["llm"]), count_all(again)
        pairs = _Pairs(ledger, again)
        repeats = list(pairs.repeats())
        stability = stability_of(repeats)
        low = [user for user in repeats if user.stable < least_stable and (user.first or user.second)]
        return AuditFacts(
            out=str(audited.path),
            status="running" if audited.in_use() else facts.get("status", "interrupted"),
            seed=facts["seed"],
            endpoint=endpoint,
            users_in_run=count_all(ledger).done,
            users_a_prompt=facts["settings"]["budget"]["max_users"],
            counts=counts,
            cost=endpoint.price.total(counts) if endpoint.model else None,
            seconds=float(facts.get("progress", {}).get("seconds", 0.0)),
            compared=stability.users,
            changed=pairs.changed,
            kept_neighbors=pairs.kept_neighbors,
            stability=stability,
            least_stable=least_stable,
            unstable=tuple(
                _unstable(ledger, user)
                for user in sorted(low, key=lambda user: (user.stable, -len(user.first), user.user_id))
            ),
            confused=tuple(pairs.confused),
            language=ledger.meta()["settings"]["lang"],
        )


def _unstable(ledger: Ledger, user: Repeat) -> UnstableUser:
    events = _told(events_of(ledger, user.user_id))
    lost = tuple(events[position] for position in user.unstable)
    return UnstableUser(user.user_id, user.stable, len(user.first), len(user.second), lost)


class _Batches:
    """The batches in which the users of a run got the answers that hold."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.users = lru_cache(maxsize=_KEPT_LOGS)(self._users)
        self.text = lru_cache(maxsize=_KEPT_LOGS)(self._text)

    def of(self, user_id: str) -> list[int]:
        """Return the calls whose answers hold for the parts of a user."""
        rows = self._ledger.rows(
            "SELECT call_id FROM parts WHERE user_id = ? AND call_id IS NOT NULL ORDER BY first", user_id
        )
        return [call_id for (call_id,) in rows]

    @cached_property
    def answered(self) -> list[int]:
        """The calls that have been read, in order."""
        return [row[0] for row in self._ledger.rows("SELECT id FROM calls WHERE status = 'read' ORDER BY id")]

    def others(self, call_id: int) -> list[str]:
        """Return as many users of the batch after this one as this one has; fewer where there are not so many."""
        users = self.users(call_id)
        place = self.answered.index(call_id) + 1
        for another in (*self.answered[place:], *self.answered[: place - 1]):
            found = [user for user in self.users(another) if user not in users]
            if len(found) >= len(users) - 1:
                return found[: len(users) - 1]
        return []

    def _users(self, call_id: int) -> tuple[str, ...]:
        ((users,),) = self._ledger.rows("SELECT users FROM calls WHERE id = ?", call_id)
        return tuple(part.user_id for part in unpack_parts(users).values())

    def _text(self, user_id: str) -> LogText:
        return LogText(_lines(self._ledger.log(user_id)))


def _lines(log: UserLog) -> Iterator[tuple[int, str]]:
    for behavior in log.behaviors:
        minute = _wall_minute(behavior.start.isoformat())
        if minute is not None:
            yield minute, f"{behavior.item}{behavior.place}"


class _Pairs:
    """The users that both ledgers have done, read once."""

    def __init__(self, ledger: Ledger, again: Ledger) -> None:
        self._ledger = ledger
        self._again = again
        self._batches = _Batches(ledger), _Batches(again)
        self.changed = 0
        self.confused: list[ConfusedEvent] = []
        self._neighbors = self._kept = 0

    @property
    def kept_neighbors(self) -> float | None:
        return self._kept / self._neighbors if self._neighbors else None

    def repeats(self) -> Iterator[Repeat]:
        for user_id, state in states_by_user(self._again):
            row = user_row(self._ledger, user_id)
            if not (row and row.state == state == "done" and self._batches[0].of(user_id)):
                continue
            if _said(self._ledger.log(user_id)) != _said(self._again.log(user_id)):
                self.changed += 1
                continue
            yield self._repeat(user_id)

    def _repeat(self, user_id: str) -> Repeat:
        first, second = (_told(events_of(each, user_id)) for each in (self._ledger, self._again))
        (call_id, *more), batches = self._batches[0].of(user_id), self._batches[0]
        users = batches.users(call_id)
        self._count_neighbors(user_id, users)
        found = Repeat(
            user_id,
            groups_of(first),
            groups_of(second),
            len(self._ledger.log(user_id).behaviors),
            0 if more or user_id not in users else users.index(user_id) + 1,
            len(users),
        )
        unstable = found.unstable
        neighbors = [user for user in users if user != user_id]
        near = self._fitting(user_id, first, unstable, neighbors)
        for position, other in near.items():
            event = first[position]
            self.confused.append(
                ConfusedEvent(user_id, event["type"], event["start"], str(event["summary"]), other)
            )
        chance = self._fitting(user_id, first, unstable, batches.others(call_id) if unstable else [])
        return found._replace(confused=frozenset(near), by_chance=frozenset(chance))

    def _count_neighbors(self, user_id: str, users: Sequence[str]) -> None:
        now = {user for call_id in self._batches[1].of(user_id) for user in self._batches[1].users(call_id)}
        self._neighbors += len(now - {user_id})
        self._kept += len((now & set(users)) - {user_id})

    def _fitting(
        self, user_id: str, events: Sequence[Event], positions: Sequence[int], others: Sequence[str]
    ) -> dict[int, str]:
        """Return by position the user whose log an event fits better."""
        found: dict[int, str] = {}
        for position in positions if others else ():
            text = self._batches[0].text
            place = fits_better(_claim(events[position]), text(user_id), map(text, others))
            if place is not None:
                found[position] = others[place]
        return found


def _told(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event["source"] != "must"]


def _said(log: UserLog) -> list[tuple[Any, ...]]:
    return [behavior[:_SAID] for behavior in log.behaviors]


def _wall_minute(text: str) -> int | None:
    """Return the wall minute of a time, counted from 1970; a model's own, ungrounded one may be none."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() // 60)
    except (ValueError, TypeError):
        return None


def _claim(event: Mapping[str, Any]) -> Claim:
    """Return what an event says; one that is grounded ends when its last behavior does, which is no time in a log."""
    start, end = _wall_minute(event["start"]), _wall_minute(event["end"])
    own_words = event.get("summary_source", "answer") == "answer"
    summary = str(event["summary"]) if own_words else ""
    return Claim(start, None if event["grounded"] else end, end, summary)
