"""What users cost in prompts, where one too large for a batch is cut, and the long form that compaction is measured against."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, pairwise
from math import ceil
from operator import sub
from typing import Protocol

from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import WORDS, clean, identifies, without_marks
from eventabs.prompts.instructions_and_requests import PromptBuilder
from eventabs.prompts.packing import BatchLimits
from eventabs.shared_records import ActivityName, Behavior, GroupUser, Part, PartSize, UserLog

Parts = list[tuple[Part, PartSize]]
# A user may have a million behaviors, so no check is about many more of them than a part has.
Fits = Callable[[int, int], bool]
_FEW = 256  # behaviors in the first check after a cut


def split(log: UserLog, fits: Fits) -> list[Part]:
    """Cut a log into the fewest consecutive parts that `fits(first, last)` accepts, between days, or at the widest gap of a day too large.

    `fits` accepts every range within one that it accepts. A single behavior that does not fit is a part by itself.
    """
    if not log.behaviors:
        return []
    count = len(log.behaviors)
    known: dict[int, tuple[int, int]] = {}  # by first index: the last known to fit, the next known not to

    def holds(first: int, last: int) -> bool:
        """Say what `fits` does, without checks of more than twice the range that is known to fit."""
        fitting, beyond = known.get(first, (first - 1, count))
        while fitting < last < beyond:
            tried = min(last, first + max(_FEW, 2 * (fitting - first + 1)) - 1)
            if fits(first, tried):
                fitting = tried
            else:
                beyond = tried
        known[first] = fitting, beyond
        return last <= fitting

    if holds(0, count - 1):
        return [Part(log.user_id, 0, count - 1)]
    ends = _allowed_ends(log.behaviors, holds)
    parts = []
    first = at = 0
    while at < len(ends):
        beyond = bisect_left(ends, True, at + 1, key=lambda end, first=first: not holds(first, end))  # type: ignore[misc]
        parts.append(Part(log.user_id, first, ends[beyond - 1]))
        first = ends[beyond - 1] + 1
        at = beyond
    return parts


def _allowed_ends(behaviors: Sequence[Behavior], fits: Fits) -> list[int]:
    """Return the indices behind which a part may end, in order: ends of days, and gaps in days that are too large."""
    days = [behavior.start.toordinal() for behavior in behaviors]
    firsts = [index for index, day in enumerate(days) if index == 0 or day != days[index - 1]]
    begun, ended = (array("q", (each.span[at] for each in behaviors)) for at in (0, 1))
    # a stack instead of recursion: a day may have thousands of behaviors
    spans = [(first, following - 1) for first, following in pairwise([*firsts, len(days)])][::-1]
    ends = []
    while spans:
        first, last = spans.pop()
        if first == last or fits(first, last):
            ends.append(last)
        else:
            # before the longest gap; of equal gaps the most central
            gaps = list(map(sub, begun[first + 1 : last + 1], accumulate(ended[first:last], max)))
            widest, middle = max(gaps), (first + last - 1) / 2
            longest = (at for at, gap in enumerate(gaps, first) if gap == widest)
            cut = min(longest, key=lambda at, middle=middle: abs(at - middle))  # type: ignore[misc]
            spans += ((cut + 1, last), (first, cut))
    return ends


def measure_parts(log: UserLog, builder: PromptBuilder, limits: BatchLimits, *, start: int = 0) -> Parts:
    """Count the tokens of a log; one part unless it is too large for a batch. `start`: the index of its first behavior in the whole log."""
    measured = cache(lambda part: builder.measure(log_of_part(log, part)))
    parts = split(log, lambda first, last: limits.hold(measured(Part(log.user_id, first, last))))
    return [(Part(log.user_id, part.first + start, part.last + start), measured(part)) for part in parts]


_HALF = 0.45  # of the limits: row numbers may cost more in the second half


def overlapping_parts(log: UserLog, builder: PromptBuilder, limits: BatchLimits) -> Parts:
    """Measure a log; where it is too large for a batch, in parts of which each begins with the second half of the one before."""
    parts = [part for part, _size in measure_parts(log, builder, limits)]
    if len(parts) > 1:
        half = limits.within(_HALF)._replace(max_rows=ceil(_HALF * limits.max_rows))
        halves = [part for part, _size in measure_parts(log, builder, half)]
        parts = [first._replace(last=second.last) for first, second in pairwise(halves)]
    return [(part, builder.measure(log_of_part(log, part))) for part in parts]


def log_of_part(log: UserLog, part: Part) -> UserLog:
    """Return the log with the behaviors of a part only, whose indices count from the log's first."""
    return UserLog(log.user_id, log.behaviors[part.first : part.last + 1], log.profile)


class _UserGroup(Protocol):  # what is read of an `ingest.UserGroup`, which says what each returns
    names: list[ActivityName]
    durations: list[int]
    days: list[tuple[int, bool]]

    @property
    def users(self) -> Sequence[GroupUser]: ...
    def logs(self, numbers: Collection[int]) -> Iterator[UserLog]: ...
    def costs(self, **pieces: list[int]) -> list[int]: ...
    def users_of(self, names: Collection[int]) -> set[int]: ...
    def users_named(self, keys: Sequence[str | None]) -> set[int]: ...


def measure_group(
    group: _UserGroup, builder: PromptBuilder, limits: BatchLimits
) -> Iterator[tuple[Part, PartSize]]:
    """Yield the parts of all users."""
    whole = _parts_by_sums(group, builder, limits)
    logs = group.logs([number for number, parts in enumerate(whole) if parts is None])
    counted = (measure_parts(log, builder, limits) for log in logs)
    return chain.from_iterable(next(counted) if parts is None else parts for parts in whole)


def measure_logs(
    groups: Iterable[_UserGroup], builder: PromptBuilder, limits: BatchLimits
) -> Iterator[tuple[UserLog, Parts]]:
    """Yield every user's log and parts."""
    for group in groups:
        whole = _parts_by_sums(group, builder, limits)
        for log, parts in zip(group.logs(range(len(whole))), whole, strict=True):
            yield log, measure_parts(log, builder, limits) if parts is None else parts


def _parts_by_sums(group: _UserGroup, builder: PromptBuilder, limits: BatchLimits) -> list[Parts | None]:
    """Return the parts of each user; None where the log has to be counted: it is too large for a batch, or sums of counts are wrong for it."""
    compactor, counter, counts = builder.compactor, builder.counter, builder.counter.counts
    blocks, by_log = list[int](), set(range(len(group.users)))
    if counter.adds_up:
        by_log = users_counted_by_log(group, builder.strip)
        blocks = group.costs(  # what `Compactor.block` cuts blocks into, but for their headers
            bodies=counts(compactor.body(*name[:3])[0 if name.timed else 1] for name in group.names),
            lasting=counts(map(compactor.duration, group.durations)),
            clocks=counts(compactor.clocks),
            days=counts(compactor.day(*day) for day in group.days),
        )
    whole: list[Parts | None] = [None] * len(group.users)
    for number, user in enumerate(group.users):
        if not user.behaviors:
            whole[number] = []
        elif number not in by_log:
            header = compactor.header(builder.alias, user)
            tokens = blocks[number] + counter.total(header)
            size = PartSize(tokens, builder.expected_tokens(user.behaviors), user.behaviors)
            if limits.hold(size):
                whole[number] = [(Part(user.user_id, 0, user.behaviors - 1), size)]
    return whole


def users_counted_by_log(group: _UserGroup, marks: Sequence[str]) -> set[int]:
    """Return the users whose tokens may be no sum, by number: a text is cleaned, has more than ASCII's case, is another without marks, or holds their id."""
    named = set[int]()
    rows = [f"|{name.action}|{name.item}|{name.place}|" for name in group.names]
    if not _is_regular("".join(rows)):  # mostly all are, and that is soon found out
        named = {position for position, row in enumerate(rows) if not _is_regular(row)}
    texts = {text for name in group.names for text in name[1:3]}
    bare = {text: without_marks(clean(text), marks) for text in texts if any(mark in text for mark in marks)}
    if bare:  # seldom
        uses = Counter([*bare.values(), *texts.difference(bare)])
        doubtful = {text for text in texts if uses[bare.get(text, text)] > 1}
        named |= {at for at, name in enumerate(group.names) if not doubtful.isdisjoint(name[1:3])}
    ids = [clean(user.user_id) for user in group.users]
    # what a log with an id holds in lower case; of an id with | every text may; None: it need not be masked
    keys = [("" if "|" in each else each.casefold()) if identifies(each) else None for each in ids]
    return group.users_of(named) | group.users_named(keys)


def _is_regular(texts: str) -> bool:
    is_clean = texts.isprintable() and not any(sign in texts for sign in ("  ", "| ", " |"))
    return is_clean and (texts.isascii() or texts.casefold().encode() == texts.encode().lower())


_MINUTE = 60
_IN_SECONDS = "browse"
_WITHOUT_DURATION = frozenset(WORDS["en"]["verbs"]) - {"use", "browse"}


def sentence(behavior: Behavior, language: Language = "zh") -> str:
    """Return the export's own sentence, or for a structured row an equivalent one, such as 浏览A 在B上 292秒."""
    if behavior.text:
        return behavior.text
    action, seconds, lasting = behavior.action, behavior.duration, ""
    what = WORDS[language]["sentences"].get(action, action + " {}").replace("{}", behavior.item, 1)
    front, behind = ("on ", "") if language == "en" else ("在", "上" if action == _IN_SECONDS else "")
    where = behavior.place and front + behavior.place + behind
    if seconds is not None and action not in _WITHOUT_DURATION:
        hours, minutes = divmod(seconds // _MINUTE, 60)
        if language == "en":
            amounts = [f"{hours} hours"] * (hours > 0) + [f"{minutes} minutes"] * (minutes > 0)
            lasting = " ".join(["for", *(amounts or [f"{seconds} seconds"])])
        elif action == _IN_SECONDS or seconds < _MINUTE:
            lasting = f"{seconds}秒"
        else:
            lasting = (f"{hours}小时" if hours else "") + (f"{minutes}分钟" if minutes else "")
    return " ".join(filter(None, (what, where, lasting)))


def long_pieces(log: UserLog, language: Language = "zh") -> Sequence[str]:
    """Return a user's lines `YYYY-MM-DD HH:MM:SS sentence` in pieces for TokenCounter.total."""
    pieces: list[str] = []
    for behavior in log.behaviors:
        stamp = behavior.start.isoformat(" ")
        text = sentence(behavior, language)
        # the last word is mostly a duration, and the text before it recurs
        words, _, last = text.rpartition(" ")
        behind = (f" {words}", f" {last}\n") if words[-1:].strip() else (f" {text}\n",)
        pieces += (stamp[:10], stamp[10:16], stamp[16:19], *behind)
    if pieces:
        pieces[-1] = pieces[-1].removesuffix("\n")
    return pieces
