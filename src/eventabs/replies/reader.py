"""Turns a reply into an outcome for every part that was asked about.

The steps, cheapest first; each is taken only if the one before left a part without usable events:

1. text that is exactly an answer is read unchanged;
2. otherwise reasoning is removed (prose, fences and byte order marks are skipped anyway);
3. lines, rows and JSON objects are read one by one, in any form;
4. JSON with other punctuation is rewritten, and broken JSON is repaired piece by piece;
5. reasoning that never ended is read from its end, if it ends with a whole answer.
"""

import re
from bisect import bisect, bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import NamedTuple

from eventabs.records import (
    Behavior,
    Event,
    EventSource,
    EventType,
    FailureReason,
    Outcome,
    Part,
    Reply,
    UserLog,
    Vocabulary,
)
from eventabs.replies.forms import (
    Aliases,
    Block,
    Calendar,
    Claim,
    fold,
    is_json,
    is_strict,
    most_claims,
    read_json,
    read_lines,
    read_rows,
    split_bars,
)

# Which behaviors an event covers. A behavior belongs to at most one event of its user.
#
# An event covers the behaviors whose start minute is in [start, end]; a behavior that starts at the end minute belongs to a
# later event that starts there, if there is one. If several events cover a behavior, the narrowest owns it: a stay of three
# days does not own the walks inside it. Of equally narrow events, the later owns what starts from its start on, and
# events with equal times share in order, each at least one behavior while there are some.


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[datetime, datetime]


class Cover(NamedTuple):
    """The behaviors that an event owns, as positions in the log; ISO times, the event's own if it owns none."""

    behaviors: tuple[int, ...]
    start: str
    end: str


class LogIndex:
    """One user's behaviors by the minute of their local start."""

    def __init__(self, behaviors: Sequence[Behavior]) -> None:
        # Local minutes may differ from the log's order: an hour repeats when summer time ends.
        by_minute = sorted(
            (behavior.start.replace(second=0, microsecond=0, tzinfo=None), position)
            for position, behavior in enumerate(behaviors)
        )
        self._behaviors = behaviors
        self._minutes = [minute for minute, _ in by_minute]
        self._positions = [position for _, position in by_minute]

    def reach(self, spans: Sequence[Span]) -> list[range]:
        """Return the behaviors that start within each span of local minutes, ordered by minute."""
        starts = {start for start, _ in spans}
        return [self._reach(start, end, end in starts) for start, end in spans]

    def ground(self, spans: Sequence[Span], reaches: Sequence[range]) -> list[Cover]:
        """Return the cover of each span, from the behaviors that each reaches."""
        sharing: dict[Span, list[int]] = {}
        for number, span in enumerate(spans):
            sharing.setdefault(span, []).append(number)
        owners: list[Span | None] = [None] * len(self._minutes)
        for span in sorted(sharing, key=lambda each: (each[0] - each[1], each[0])):  # widest first
            reached = reaches[sharing[span][0]]
            owners[reached.start : reached.stop] = [span] * len(reached)
        owned: dict[Span, list[int]] = {}
        for position, owner in zip(self._positions, owners, strict=True):
            if owner is not None:
                owned.setdefault(owner, []).append(position)
        covers: dict[int, Cover] = {}
        for span, numbers in sharing.items():
            shares = _shared(sorted(owned.get(span, ())), len(numbers))
            for number, share in zip(numbers, shares, strict=True):
                covers[number] = self._cover(span, share)
        return [covers[number] for number in range(len(spans))]

    def _reach(self, start: datetime, end: datetime, another_starts_at_end: bool) -> range:
        low = bisect_left(self._minutes, start)
        bisect = bisect_left if another_starts_at_end and start < end else bisect_right
        return range(low, max(low, bisect(self._minutes, end)))

    def _cover(self, span: Span, owned: Sequence[int]) -> Cover:
        if not owned:
            start, end = span
            return Cover((), start.isoformat(timespec="seconds"), end.isoformat(timespec="seconds"))
        return Cover(tuple(owned), *covered_times([self._behaviors[position] for position in owned]))


def covered_times(behaviors: Sequence[Behavior]) -> tuple[str, str]:
    """Return the start of the first and the end of the last behavior (in log order), in ISO 8601."""
    last = _EPOCH + timedelta(seconds=max(map(_end, behaviors)))
    return _local(behaviors[0].start, last)


def _shared(positions: Sequence[int], events: int) -> list[Sequence[int]]:
    """Deal positions out in order, at least one to each event while there are some."""
    count = max(len(positions), events)
    edges = [min(len(positions), number * count // events) for number in range(events + 1)]
    return [positions[first:last] for first, last in pairwise(edges)]


def _end(behavior: Behavior) -> float:
    start = behavior.start if behavior.start.tzinfo else behavior.start.replace(tzinfo=UTC)
    return (start - _EPOCH).total_seconds() + (behavior.duration or 0)


def _local(first: datetime, last: datetime) -> tuple[str, str]:
    offset = first.utcoffset()
    if offset is None:
        last = last.replace(tzinfo=None)
    else:  # one offset for both, so that their difference is the elapsed time
        first, last = (moment.astimezone(timezone(offset)) for moment in (first, last))
    return first.isoformat(timespec="seconds"), last.isoformat(timespec="seconds")


# Control, line and paragraph separators, bidi and invisible characters, lone surrogates. The joiners that
# emoji and some scripts need (200C, 200D) stay.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)

MAX_TYPE = 40
MAX_SUMMARY = 200
MAX_NAMES = 3

_DECORATION = ' *_`"“”-:：.,'
_BRACKETED = re.compile(r"\s*[\[(](?P<name>[^\[\]()]{1,40})[\])]$")


def one_line(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` characters without control and bidi characters."""
    return " ".join(_UNSAFE.sub(" ", text[: 4 * limit]).split())[:limit].rstrip()


def names_of(behaviors: Iterable[Behavior]) -> str:
    """Return the first three names of things and places in behaviors, as a summary."""
    names = list(dict.fromkeys(filter(None, (behavior.item or behavior.place for behavior in behaviors))))
    text = one_line(", ".join(names[:MAX_NAMES]), MAX_SUMMARY)
    return f"{text} …" if len(names) > MAX_NAMES else text


def _type_and_more(types: Iterable[str], marks: Iterable[str]) -> re.Pattern[str]:
    """Match, in folded text, a type and what follows its mark, a dash, a colon, a comma or a bracket."""
    kind, mark = (
        "|".join(re.escape(fold(word)) for word in sorted(words, key=len, reverse=True)) or "(?!)"
        for words in (types, marks)
    )
    return re.compile(
        rf"(?P<type>(?:{kind})[*_`]*+(?: ?(?:{mark})(?=[ (:,])|(?= - | ?[:,(])))"
        r" *+(?:\((?P<inside>[^()]+)\)$|[-:,]? *+(?P<more>[^ (].*))",
        re.IGNORECASE | re.DOTALL,
    )


class Labels:
    """A vocabulary, ready to name the events of claims."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._default = vocabulary.default_category
        self._named = {c.name.casefold(): c.name for c in vocabulary.categories}
        self._marked = {fold(c.mark): c.name for c in vocabulary.categories if c.mark}
        self._decoration = "".join(mark for mark in _DECORATION if fold(mark) not in self._marked)
        self._types = {kind.name.casefold(): kind for kind in vocabulary.types}
        for alias, name in vocabulary.aliases:
            self._types.setdefault(alias.casefold(), self._types.get(name.casefold(), EventType(name)))
        self._closed = (
            frozenset()
            if vocabulary.open
            else frozenset(kind.name[:MAX_TYPE].rstrip() for kind in vocabulary.types)
        )
        self._type_and_more = _type_and_more(self._types, self._marked)

    def knows(self, kind: str) -> bool:
        """Whether the vocabulary has a type of that name."""
        return kind.casefold() in self._types

    def describe(self, claim: Claim) -> tuple[str, str, str]:
        """Return type, category and summary, clean. The type is "" where the claim names none."""
        words, summary = self._parted(claim)
        kind, marked = self._split(one_line(words, MAX_TYPE + MAX_TYPE).strip(self._decoration))
        named = self._category(claim.category)
        if not named:
            named, summary = self._named_in(summary, one_line(claim.category, MAX_SUMMARY))
        known = self._types.get(kind.casefold())
        kind, inherited = (known.name, known.category) if known else (kind, "")
        return kind[:MAX_TYPE].rstrip(), marked or named or inherited or self._default, summary

    def _parted(self, claim: Claim) -> tuple[str, str]:
        """Return type and summary, also if another sign than a bar follows a type of the vocabulary."""
        summary = one_line(claim.summary, MAX_SUMMARY)
        if summary or not (match := self._type_and_more.match(fold(claim.type))):
            return claim.type, summary
        start, end = match.span("more" if match["more"] else "inside")
        return claim.type[: match.end("type")], one_line(claim.type[start:end], MAX_SUMMARY)

    def _named_in(self, summary: str, otherwise: str) -> tuple[str, str]:
        """Return the category in place of the summary, or beside it behind a bar, and the summary."""
        if category := self._category(summary):
            return category, otherwise
        cells = split_bars(summary)
        for first, last in ((1, len(cells)), (0, len(cells) - 1)):
            if len(cells) > 1 and (category := self._category(cells[0 if first else -1])):
                return category, " | ".join(cells[first:last])
        return "", summary

    def is_outside(self, kind: str) -> bool:
        """Whether the vocabulary is closed and lacks a type that `describe` returned."""
        return bool(self._closed) and kind not in self._closed

    def _split(self, kind: str) -> tuple[str, str]:
        if kind.casefold() in self._types:
            return kind, ""
        folded = fold(kind)
        if (match := _BRACKETED.search(folded)) and (category := self._category(match["name"])):
            return kind[: match.start()].strip(self._decoration), category
        if category := self._marked.get(folded[-1:], ""):
            return kind[:-1].strip(self._decoration), category
        return kind, ""

    def _category(self, text: str) -> str:
        name = one_line(text, MAX_TYPE).strip(self._decoration)
        return self._named.get(name.casefold()) or self._marked.get(fold(name), "")


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


_TAGS = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = re.compile(rf"^[ \t]*(?:<(?:{_TAGS})>|\[THINK\]|◁think▷)", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_CLOCK = re.compile(r"\d[:：时点]\d\d")
_END_OF_STRING = re.compile(r"""[^\n"'“”]{0,200}+["'”]\s*+[,\]})，]""")
_LONGEST_LINE = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a reply: an outcome for every alias that was asked about, and counts of what was ignored."""

    outcomes: dict[str, Outcome]
    unknown_aliases: int = 0  # blocks of users that are not in the batch
    repeated_users: int = 0  # further blocks of users that had one
    duplicates: int = 0  # events with the type and times of another
    copied: int = 0  # events that repeat a line of the log


class AnswerText(NamedTuple):
    """A reply without its reasoning. `unclosed`: reasoning that never ended, else ""."""

    text: str
    unclosed: str = ""


def read_reply(
    reply: Reply,
    users: Mapping[str, UserLog],
    parts: Mapping[str, Part],
    *,
    labels: Labels,
    min_grounded: float,
    source: EventSource,
    lines: Callable[[UserLog], Sequence[str]],
    named_summaries: bool = False,
) -> Reading:
    """Read a reply in any form. Never raises.

    `users` has for each alias only the behaviors of its part; events point into the whole log. `lines`
    gives the sent text of each behavior of a log, behind its time. `named_summaries`: an
    event without a summary gets the names of its behaviors.
    """
    stopped = reply.finish_reason == "stop"
    outcomes = Outcomes(users, parts, labels, min_grounded, source, lines, named_summaries, stopped)
    as_it_stands = is_strict(reply.text) or is_json(reply.text)
    answer = AnswerText(reply.text) if as_it_stands else without_reasoning(reply.text)
    aliases = Aliases({alias: most_claims(len(log.behaviors)) for alias, log in users.items()})
    outcomes.add(read_lines(answer.text, aliases))
    if not outcomes.complete:
        outcomes.add(read_rows(answer.text, aliases))
    if not outcomes.complete:
        outcomes.add(read_json(answer.text, aliases, stopped=stopped))
    if not outcomes.has_blocks and stopped and answer.unclosed:
        _add_end(outcomes, answer.unclosed, aliases)
    return Reading(
        outcomes.of_all(reply, answer.text),
        outcomes.unknown,
        outcomes.repeated,
        outcomes.duplicates,
        outcomes.copied,
    )


def without_reasoning(text: str) -> AnswerText:
    """Return the text behind the last closing tag, or before the first opening one if that is empty."""
    text = text.lstrip("\ufeff \t\r\n")
    end = _end_of_reasoning(text)
    behind = text[end:]
    opening = _OPENING.search(behind)
    answer = behind[: opening.start()] if opening else behind
    unclosed = behind[opening.end() :] if opening else ""
    if end and not answer.strip():
        first = _OPENING.search(text)
        answer = text[: first.start()] if first else ""
    return AnswerText(answer, unclosed)


def _end_of_reasoning(text: str) -> int:
    """Return the end of the last closing tag, 0 without one. A tag in an event's summary closes only open reasoning."""
    openings = [match.start() for match in _OPENING.finditer(text)]
    end = 0
    for tag in _CLOSING.finditer(text):
        is_open = bisect(openings, end - 1) < bisect(openings, tag.start())
        if is_open or not _is_in_summary(text, tag):
            end = tag.end()
    return end


def _is_in_summary(text: str, tag: re.Match[str]) -> bool:
    line = text[max(0, tag.start() - _LONGEST_LINE) : tag.start()]
    line = line[max(line.rfind("\n"), line.rfind("\r")) + 1 :]
    bar = max(line.rfind("|"), line.rfind("｜"), 0)
    return bool(_END_OF_STRING.match(text, tag.end()) or _CLOCK.search(line, 0, bar))


def _add_end(outcomes: Outcomes, reasoning: str, aliases: Aliases) -> None:
    """Take the last block of each user; earlier ones are drafts."""
    if not reasoning.rstrip("` \r\n").endswith(("##", "}", "]")):
        return
    for blocks in (read_lines(reasoning, aliases), read_json(reasoning, aliases, stopped=True)):
        outcomes.add(reversed([block for block in blocks if block.closed]))
