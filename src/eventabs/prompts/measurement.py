"""What users cost: by sums over stretches of the export, and by their logs where sums do not hold."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from typing import Protocol

from eventabs.prompts.answers import BEHAVIORS_AN_EVENT, MOST_BRIEF, SESSION_GAP, answer_tokens
from eventabs.prompts.builder import PromptBuilder
from eventabs.prompts.compaction import Body, Compactor
from eventabs.prompts.fields import clean, identifies, without_marks
from eventabs.prompts.packing import BatchLimits
from eventabs.records import (
    ActivityName,
    AnswerForm,
    DayKind,
    Detail,
    GroupUser,
    Part,
    PartSize,
    PieceCosts,
    UserLog,
)

_BEFORE = "0"  # like a clock: a visible character before the space of a body, so that counts add up
_DURATION = " 0\n"  # like a duration, before which a body does not end its line

Counts = Callable[[Iterable[str]], list[int]]


class UserGroup(Protocol):
    """Users that follow one another, numbered from 0, with sums over their behaviors (see `ingest.UserGroup`)."""

    names: list[ActivityName]
    durations: list[int]
    days: list[DayKind]

    @property
    def users(self) -> Sequence[GroupUser]:
        """The users, in order."""

    def logs(self, numbers: Collection[int]) -> Iterator[UserLog]:
        """Yield the logs of some users."""

    def costs(self, pieces: PieceCosts) -> list[int]:
        """Add up what each user's days and behaviors cost."""

    def active_days(self) -> list[int]:
        """Count each user's active days."""

    def day_chunks(self, size: int) -> list[int]:
        """Count the chunks of at most `size` behaviors that each user's days make."""

    def sessions(self, gap: int) -> list[int]:
        """Count each user's sessions, parted by `gap` seconds."""

    def users_of(self, names: Collection[int]) -> set[int]:
        """Return the users who have one of `names`."""

    def users_named(self, keys: Sequence[str | None]) -> set[int]:
        """Return the users whose key occurs in a text of theirs."""

    def users_of_several(self, members: Iterable[tuple[int, int, int]]) -> set[int]:
        """Return the users who have several members of a group."""

    def users_back_in_time(self) -> set[int]:
        """Return the users whose wall time falls back to the day before."""


def piece_costs(
    compactor: Compactor,
    counts: Counts,
    names: Sequence[ActivityName],
    durations: Sequence[int],
    days: Sequence[DayKind],
) -> PieceCosts:
    """Count what `Compactor.block` would cut blocks into, but for their headers."""
    bodies = [(0, 0)] * len(names)
    single: dict[int, list[tuple[Body, bool]]] = {}
    repeated: list[tuple[int, Body]] = []
    for position, name in enumerate(names):
        body = compactor.body(name.action, name.item, name.place)
        if name.only_user is None or compactor.lines_are_days or not body[0]:
            repeated.append((position, body))
        else:
            single.setdefault(name.only_user, []).append((body, name.timed))
    within = counts(body for _position, (body, _end) in repeated)
    at_end = counts(end for _position, (_body, end) in repeated)
    for (position, _body), *pair in zip(repeated, within, at_end, strict=True):
        bodies[position] = pair[0], pair[1]
    lasting = [compactor.duration(seconds) for seconds in durations]
    return PieceCosts(
        bodies=bodies,
        single=_single_costs(single, counts),
        durations=list(
            zip(counts(text for text, _end in lasting), counts(end for _text, end in lasting), strict=True)
        ),
        clocks=counts(compactor.clocks),
        days=counts(compactor.day(*day) for day in days),
        lines_are_days=compactor.lines_are_days,
    )


def _single_costs(single: Mapping[int, Sequence[tuple[Body, bool]]], counts: Counts) -> dict[int, int]:
    """Count bodies that occur once, with a duration behind them or not, all of a user's at once.

    A few long texts are counted faster than many short ones.
    """
    before, duration = counts((_BEFORE, _DURATION))
    costs = counts(
        "".join(
            f"{_BEFORE}{body}{_DURATION}" if is_timed else f"{_BEFORE}{end}"
            for (body, end), is_timed in bodies
        )
        for bodies in single.values()
    )
    return {
        user: cost - before * len(bodies) - duration * sum(is_timed for _body, is_timed in bodies)
        for (user, bodies), cost in zip(single.items(), costs, strict=True)
    }


def irregular_names(names: Sequence[ActivityName]) -> list[int]:
    """Return the positions of names that have a text which cleaning changes, or whose case is more than ASCII's."""
    texts = [f"|{name.action}|{name.item}|{name.place}|" for name in names]
    if _is_usual("".join(texts)):  # mostly all are, and that is soon found out
        return []
    return [position for position, text in enumerate(texts) if not _is_usual(text)]


def _is_usual(texts: str) -> bool:
    is_clean = texts.isprintable() and not any(sign in texts for sign in ("  ", "| ", " |"))
    return is_clean and (texts.isascii() or texts.casefold().encode() == texts.encode().lower())


def id_key(user_id: str) -> str | None:
    """Return what a log holds in lower case if the user's id is to be masked in it; None: no id needs that."""
    name = clean(user_id)
    if not identifies(name):
        return None
    return "" if "|" in name else name.casefold()  # every text holds ""


def mark_variants(names: Sequence[ActivityName], marks: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Group the texts that would become one without their marks: (position in `names`, group, member)."""
    if not marks:
        return
    members: dict[str, list[tuple[int, int]]] = {}
    for group, texts in enumerate(_becoming_one({text for name in names for text in name[1:3]}, marks)):
        for member, text in enumerate(texts):
            members.setdefault(text, []).append((group, member))
    if not members:
        return
    for position, name in enumerate(names):
        for text in name[1:3]:
            for group, member in members.get(text, ()):
                yield position, group, member


def _becoming_one(texts: AbstractSet[str], marks: Sequence[str]) -> Iterator[list[str]]:
    groups: dict[str, list[str]] = {}
    for text in texts:
        if any(mark in text for mark in marks):
            groups.setdefault(without_marks(clean(text), marks), []).append(text)
    for bare, those in groups.items():
        if bare in texts and bare not in those:
            those.append(bare)
        if len(those) > 1:
            yield those


Parts = list[tuple[Part, PartSize]]


def measure_parts(log: UserLog, builder: PromptBuilder, limits: BatchLimits, *, start: int = 0) -> Parts:
    """Return the parts of a log and what each costs; one part unless the log is too large for a batch.

    `start` is the index of the log's first behavior in the user's whole log.
    """
    return [measure_part(log, part, builder, start) for part in builder.split(log, limits)]


def measure_part(log: UserLog, part: Part, builder: PromptBuilder, start: int) -> tuple[Part, PartSize]:
    """Return a part, numbered in the whole log, and what it costs."""
    return Part(log.user_id, part.first + start, part.last + start), builder.measure(log_of_part(log, part))


def log_of_part(log: UserLog, part: Part) -> UserLog:
    """Return the log with the behaviors of a part only, whose indices count from the log's first."""
    return UserLog(log.user_id, log.behaviors[part.first : part.last + 1], log.profile)


def measure_logs(
    groups: Iterable[UserGroup], builder: PromptBuilder, limits: BatchLimits
) -> Iterator[tuple[UserLog, Parts]]:
    """Yield every user's log and parts."""
    for stretch in groups:
        apart = users_counted_by_log(stretch, builder.strip)
        expected = output_tokens(stretch, builder.detail, builder.answer)
        parts = parts_by_user(stretch, builder, limits, apart, expected)
        logs = stretch.logs(range(len(stretch.users)))
        for log, (parts_of_log, _log) in zip(logs, parts, strict=True):
            yield log, parts_of_log


def users_counted_by_log(stretch: UserGroup, marks: Sequence[str]) -> set[int]:
    """Return the users whose tokens are not the sum of what recurs, and maybe some more, by number."""
    return (
        stretch.users_of(irregular_names(stretch.names))
        | stretch.users_named([id_key(user.user_id) for user in stretch.users])
        | stretch.users_of_several(mark_variants(stretch.names, marks))
        | stretch.users_back_in_time()
    )


def parts_by_user(
    stretch: UserGroup, builder: PromptBuilder, limits: BatchLimits, apart: set[int], expected: Sequence[int]
) -> Iterator[tuple[Parts, UserLog | None]]:
    """Yield the parts of each user as `measured_parts` would, and the log where it had to be made for that.

    `apart` are the users whose tokens are no sums, `expected` the output tokens by user.
    """
    tokens = _input_tokens(stretch, builder)
    whole: list[Parts | None] = [None] * len(stretch.users)
    for number, user in enumerate(stretch.users):
        if not user.behaviors:
            whole[number] = []
        elif tokens is not None and number not in apart:
            size = PartSize(tokens[number], expected[number])
            if limits.hold(size):
                whole[number] = [(Part(user.user_id, 0, user.behaviors - 1), size)]
    logs = stretch.logs([number for number, parts in enumerate(whole) if parts is None])
    for parts in whole:
        if parts is not None:
            yield parts, None
        else:
            log = next(logs)
            yield measure_parts(log, builder, limits), log


def _input_tokens(stretch: UserGroup, builder: PromptBuilder) -> list[int] | None:
    """Return each user's input tokens, right for all but `users_apart`; None: the tokenizer's counts do not add up."""
    if not builder.counter.adds_up:
        return None
    pieces = piece_costs(
        builder.compactor, builder.counter.counts, stretch.names, stretch.durations, stretch.days
    )
    blocks = stretch.costs(pieces)
    headers = (builder.header_tokens(UserLog(user.user_id, (), user.profile)) for user in stretch.users)
    return [header + block for header, block in zip(headers, blocks, strict=True)]


def output_tokens(stretch: UserGroup, detail: Detail, answer: AnswerForm) -> list[int]:
    """Return each user's expected output tokens."""
    return [answer_tokens(events, answer) for events in _expected_events(stretch, detail)]


def _expected_events(stretch: UserGroup, detail: Detail) -> list[int]:
    """Do for all users what `prompts.detail.expected_events` does for one."""
    if detail == "fine":
        return stretch.sessions(round(SESSION_GAP.total_seconds()))
    if detail == "brief":
        return [min(MOST_BRIEF, days) for days in stretch.active_days()]
    return stretch.day_chunks(BEHAVIORS_AN_EVENT)
