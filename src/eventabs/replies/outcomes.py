"""The outcome of each part: the events of its first usable block, or the reason why there are none."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import NamedTuple

from eventabs.records import Behavior, Event, EventSource, FailureReason, Outcome, Part, Reply, UserLog
from eventabs.replies.claims import Block, Claim
from eventabs.replies.coverage import Cover, LogIndex, Span
from eventabs.replies.labels import Labels, names_of
from eventabs.replies.times import Calendar


class _Placed(NamedTuple):
    """A claim that has a type and possible times."""

    span: Span
    described: tuple[str, str, str]  # type, category, summary
    claim: Claim


_MOST_COVERS = 200  # events a behavior may be part of, in the mean; dozens in exports by the day
_FEWEST_COPIES = 5  # events of a user that are no answer if all repeat their line
_MOST_TRIES = 3  # blocks of one user that are tried until one is usable
_REFUSAL = re.compile(
    r"\W*(?:(?:我)?(?:很|非常|十分)?(?:抱歉|对不起|遗憾)|我?(?:无法|不能|没有办法|拒绝)"
    r"|作为(?:一[个名])?(?:AI|人工智能|语言模型)"
    r"|(?:i[’']?m|i am)(?: (?:very|so|really))? sorry|sorry\b|i apologi[sz]e|unfortunately,? i"
    r"|i (?:cannot|can[’']?t|can not|won[’']?t|will not|must decline)|(?:i[’']?m|i am) (?:unable|not able)"
    r"|as an? (?:ai|artificial|language)|i refuse)",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether `text` begins like a refusal, in Chinese or English."""
    return _REFUSAL.match(text[:200]) is not None


@dataclass(slots=True)
class Outcomes:
    """The best outcome of each part, from the blocks of one reply."""

    users: Mapping[str, UserLog]
    parts: Mapping[str, Part]
    labels: Labels
    min_grounded: float
    source: EventSource
    lines: Callable[[UserLog], Sequence[str]]  # the sent text of each behavior, behind its time
    named_summaries: bool = False
    stopped: bool = False  # whether the model ended the reply by itself
    unknown: int = 0  # blocks of users that are not in the batch
    duplicates: int = 0  # events with the type and times of another
    copied: int = 0  # events that repeat a line of the log
    _left_open: bool = False
    _outcomes: dict[str, Outcome] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)  # blocks by user
    _minutes: dict[str, frozenset[datetime]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every part is done."""
        return len(self._outcomes) == len(self.users) and all(o.usable for o in self._outcomes.values())

    @property
    def has_blocks(self) -> bool:
        """Whether the reply has any block."""
        return bool(self._seen or self.unknown)

    @property
    def repeated(self) -> int:
        """Number of further blocks of users that already had one."""
        return sum(self._seen.values()) - len(self._seen)

    def add(self, blocks: Iterable[Block]) -> None:
        """Take blocks in the order of the reply.

        An open block counts as closed if the model stopped behind one of its events and reached every user.
        """
        at_end = []
        for block in blocks:
            if block.at_end and not block.closed:
                at_end.append(block)
            else:
                self._take(block)
        reached = {*self._seen, *(block.alias for block in at_end if block.alias)}
        for block in at_end:
            block.closed = self.stopped and len(reached) == len(self.users)
            self._take(block)

    def _take(self, block: Block) -> None:
        if not block.alias:
            self.unknown += 1
            return
        tries = self._seen[block.alias] = self._seen.get(block.alias, 0) + 1
        self._left_open = self._left_open or not block.closed
        known = self._outcomes.get(block.alias)
        if tries > _MOST_TRIES or (known and (known.usable or not block.closed)):
            return
        outcome = self._outcome(block)
        if known is None or outcome.usable or known.reason == "cut":
            self._outcomes[block.alias] = outcome

    def of_all(self, reply: Reply, answer: str) -> dict[str, Outcome]:
        """Return an outcome for every part; `answer` is the text of the reply without its reasoning."""
        without_block = self._reason_without_block(reply, answer)
        outcomes = {}
        for alias in self.users:
            outcome = self._outcomes.get(alias) or Outcome(self.parts[alias], without_block)
            moderated = reply.finish_reason == "content_filter" and not outcome.usable
            outcomes[alias] = replace(outcome, reason="content_filter") if moderated else outcome
        return outcomes

    def _reason_without_block(self, reply: Reply, answer: str) -> FailureReason:
        if reply.finish_reason in ("length", "interrupted") or self._left_open:
            return "cut"
        if self.has_blocks:
            return "missing"
        if not answer.strip():
            return "empty"
        return "refused" if is_refusal(answer) else "unparsable"

    def _outcome(self, block: Block) -> Outcome:
        part = self.parts[block.alias]
        if not block.closed or block.overfull:
            return Outcome(part, "too_many" if block.closed else "cut")
        starts = (behavior.start for behavior in self.users[block.alias].behaviors)
        placed = _placed(block.claims, Calendar(starts), self.labels)
        index = LogIndex(self.users[block.alias].behaviors)
        reaches = index.reach([each.span for each in placed])
        if reason := self._fault(block.alias, placed, reaches):
            return Outcome(part, reason)
        kept = list(_distinct(placed, reaches))
        self.duplicates += len(placed) - len(kept)
        claimed = placed
        placed, reaches = [placed[number] for number in kept], [reaches[number] for number in kept]
        covers = index.ground([each.span for each in placed], reaches)
        events = in_time_order(self._events(block.alias, placed, covers))
        return Outcome(part, None, events, duplicates=len(claimed) - len(placed))

    def _fault(self, alias: str, placed: Sequence[_Placed], reaches: Sequence[range]) -> FailureReason | None:
        """Return why the claims about a user are unusable, from the behaviors that each reaches; None if they are usable."""
        if not placed:
            return "empty"
        if self._is_another_users(alias, [each.span[0] for each in placed]):
            return "ungrounded"
        if sum(map(len, reaches)) > _MOST_COVERS * len(self.users[alias].behaviors):
            return "too_many"
        if sum(map(bool, reaches)) < self.min_grounded * len(placed):
            return "ungrounded"
        copied = self._copies(alias, placed)
        self.copied += copied
        return "copied" if copied == len(placed) >= _FEWEST_COPIES else None

    def _names(self, alias: str, cover: Cover) -> str:
        return names_of(self.users[alias].behaviors[position] for position in cover.behaviors)

    def _is_another_users(self, alias: str, starts: Sequence[datetime]) -> bool:
        """Whether the times are those of another user of the batch.

        An event of several hours covers behaviors in nearly any log, so coverage does not
        show that two users were swapped. The minutes at which events start do.
        """
        if len(self.users) == 1:
            return False
        own = self._starts_shared(alias, starts)
        if 2 * own >= len(starts):
            return False
        others = (self._starts_shared(other, starts) for other in self.users if other != alias)
        best = max(others, default=0)
        return 2 * best >= len(starts) and best >= 2 * own

    def _starts_shared(self, alias: str, starts: Sequence[datetime]) -> int:
        """Count the starts at whose minute a behavior of the user starts."""
        if alias not in self._minutes:
            self._minutes[alias] = frozenset(map(_minute, self.users[alias].behaviors))
        return sum(start in self._minutes[alias] for start in starts)

    def _copies(self, alias: str, placed: Sequence[_Placed]) -> int:
        """Count the events that repeat a line of the log word for word, if the line is more than a name.

        A type of the vocabulary is a choice, even if the line has it. Type and summary together repeat only a line with
        a duration: `加购 | 帐篷 淘宝` is all that there is to say.
        """
        unknown = [each for each in placed if not self.labels.knows(each.described[0])]
        if not unknown:
            return 0
        log = self.users[alias]
        sent: dict[datetime, dict[str, bool]] = {}  # by minute; whether the line has a duration
        for behavior, line in zip(log.behaviors, self.lines(log), strict=True):
            if " " in line:
                sent.setdefault(_minute(behavior), {})[line] = behavior.duration is not None
        return sum(_repeats(each.claim, sent.get(each.span[0], {})) for each in unknown)

    def _events(self, alias: str, placed: Sequence[_Placed], covers: Sequence[Cover]) -> Iterator[Event]:
        log, part = self.users[alias], self.parts[alias]
        for (_span, (kind, category, summary), _claim), cover in zip(placed, covers, strict=True):
            yield Event(
                user_id=log.user_id,
                type=kind,
                category=category,
                start=cover.start,
                end=cover.end,
                summary=summary or (self._names(alias, cover) if self.named_summaries else ""),
                summary_source="behaviors" if self.named_summaries and not summary else "answer",
                behaviors=tuple(part.first + position for position in cover.behaviors),
                grounded=bool(cover.behaviors),
                source=self.source,
                outside=self.labels.is_outside(kind),
            )


def in_time_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return events in order of start and end."""
    # Both are ISO times of equal precision, so text order is time order; offsets do not matter.
    return tuple(sorted(events, key=lambda event: (event.start[:19], event.end[:19])))


def _minute(behavior: Behavior) -> datetime:
    return behavior.start.replace(second=0, microsecond=0, tzinfo=None)


def _repeats(claim: Claim, lines: Mapping[str, bool]) -> bool:
    kind, summary = " ".join(claim.type.split()), " ".join(claim.summary.split())
    together = f"{kind} {summary}" if kind not in summary else summary
    return kind in lines or lines.get(together, False)


def _distinct(placed: Sequence[_Placed], reaches: Sequence[range]) -> Iterator[int]:
    """Yield the numbers of the claims without duplicates, which have the type and times of another.

    Two purchases in one minute may be two events if there is a behavior for each.
    """
    sharing = Counter(each.span for each in placed)
    seen: set[tuple[Span, str]] = set()
    for number, (each, reached) in enumerate(zip(placed, reaches, strict=True)):
        span, kind = each.span, each.described[0]
        start, end = span
        if (span, kind) in seen and (start < end or sharing[span] > len(reached)):
            sharing[span] -= 1
        else:
            seen.add((span, kind))
            yield number


def _placed(claims: Iterable[Claim], calendar: Calendar, labels: Labels) -> list[_Placed]:
    """Return the claims that have a type and possible times, with both, in their order."""
    placed = []
    after: date | None = None
    for claim in claims:
        span, described = calendar.span(claim, after), labels.describe(claim)
        if span and described[0]:
            after = span[0].date()
            placed.append(_Placed(span, described, claim))
    return placed
