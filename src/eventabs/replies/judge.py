"""What becomes of each part: its first usable block, or the reason why there is none."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Literal

from eventabs.records import Event, FailureReason, Outcome, Part, UserLog
from eventabs.replies.claims import Block, Claim
from eventabs.replies.grounding import LogIndex
from eventabs.replies.labels import Labels
from eventabs.replies.times import Calendar

_Placed = tuple[tuple[datetime, datetime], tuple[str, str, str]]  # span, (type, category, summary)

_MOST_COVERS = 200  # events that a behavior may be part of, on average; dozens in exports by the day
_MOST_TRIES = 3  # blocks of one user that are looked at until one is usable


class Judge:
    """Collects the blocks of one reply and keeps the best outcome of each part."""

    def __init__(
        self,
        users: Mapping[str, UserLog],
        parts: Mapping[str, Part],
        *,
        words: Labels,
        min_grounded: float,
        source: Literal["llm", "rules"],
    ) -> None:
        self._users, self._parts = users, parts
        self._words, self._min_grounded, self._source = words, min_grounded, source
        self._outcomes: dict[str, Outcome] = {}
        self._seen: dict[str, int] = {}
        self._minutes: dict[str, frozenset[datetime]] = {}
        self.unknown = 0
        self.left_open = False

    @property
    def complete(self) -> bool:
        """Whether every part is done."""
        return len(self._outcomes) == len(self._users) and all(o.usable for o in self._outcomes.values())

    @property
    def read_anything(self) -> bool:
        """Whether any block was there to be judged."""
        return bool(self._seen or self.unknown)

    @property
    def repeated(self) -> int:
        """How many blocks stood in the reply beyond the first of their user."""
        return sum(self._seen.values()) - len(self._seen)

    def hear(self, blocks: Iterable[Block]) -> None:
        """Judge blocks in the order of the reply."""
        for block in blocks:
            if not block.alias:
                self.unknown += 1
                continue
            tries = self._seen[block.alias] = self._seen.get(block.alias, 0) + 1
            self.left_open = self.left_open or not block.closed
            known = self._outcomes.get(block.alias)
            if tries > _MOST_TRIES or (known and (known.usable or not block.closed)):
                continue
            outcome = self._judge(block)
            if known is None or outcome.usable or known.reason == "cut":
                self._outcomes[block.alias] = outcome

    def outcomes(self, otherwise: FailureReason) -> dict[str, Outcome]:
        """Return an outcome for every part; `otherwise` is the reason of those that no block named."""
        return {
            alias: self._outcomes.get(alias) or Outcome(self._parts[alias], otherwise)
            for alias in self._users
        }

    def _judge(self, block: Block) -> Outcome:
        part = self._parts[block.alias]
        if not block.closed or block.overfull:
            return Outcome(part, "too_many" if block.closed else "cut")
        placed = self._placed(block)
        if not placed:
            return Outcome(part, "empty")
        if self._is_another_users(block.alias, [start for (start, _end), _described in placed]):
            return Outcome(part, "ungrounded")
        events = self._events(block.alias, placed)
        if events is None:
            return Outcome(part, "too_many")
        if sum(event.grounded for event in events) < self._min_grounded * len(events):
            return Outcome(part, "ungrounded")
        return Outcome(part, None, events)

    def _placed(self, block: Block) -> list[_Placed]:
        behaviors = self._users[block.alias].behaviors
        return _placed(block.claims, Calendar(behavior.start for behavior in behaviors), self._words)

    def _is_another_users(self, alias: str, starts: Sequence[datetime]) -> bool:
        """Whether the times are those of another user of the batch.

        An event of some hours covers something in nearly anybody's log, so that covering alone would not
        show that two users were mixed up. The minutes at which events start do.
        """
        own = self._starts_shared(alias, starts)
        if 2 * own >= len(starts):
            return False
        others = (self._starts_shared(other, starts) for other in self._users if other != alias)
        best = max(others, default=0)
        return 2 * best >= len(starts) and best >= 2 * own

    def _starts_shared(self, alias: str, starts: Sequence[datetime]) -> int:
        """Count the starts that are minutes in which a behavior of the user starts."""
        if alias not in self._minutes:
            self._minutes[alias] = frozenset(
                behavior.start.replace(second=0, microsecond=0, tzinfo=None)
                for behavior in self._users[alias].behaviors
            )
        return sum(start in self._minutes[alias] for start in starts)

    def _events(self, alias: str, placed: Sequence[_Placed]) -> tuple[Event, ...] | None:
        """Return the events in order; None where they cover the same again and again, without end."""
        log, part = self._users[alias], self._parts[alias]
        covers = LogIndex(log.behaviors).ground([span for span, _ in placed])
        events: dict[Event, None] = {}
        left = _MOST_COVERS * len(log.behaviors)
        for (_, (kind, category, summary)), cover in zip(placed, covers, strict=True):
            left -= len(cover.behaviors)
            if left < 0:
                return None
            event = Event(
                user_id=log.user_id,
                type=kind,
                category=category,
                start=cover.start,
                end=cover.end,
                summary=summary,
                behaviors=tuple(part.first + position for position in cover.behaviors),
                grounded=bool(cover.behaviors),
                source=self._source,
            )
            events[event] = None
        return tuple(sorted(events, key=_local_times))


def _placed(claims: Iterable[Claim], calendar: Calendar, words: Labels) -> list[_Placed]:
    """Return the claims that have a type and possible times, with both, in their order."""
    placed = []
    after: date | None = None
    for claim in claims:
        span, described = calendar.span(claim, after), words.describe(claim)
        if span and described[0]:
            after = span[0].date()
            placed.append((span, described))
    return placed


def _local_times(event: Event) -> tuple[str, str]:
    # Both are ISO at the same precision, so that text order is time order; an offset decides nothing.
    return event.start[:19], event.end[:19]
