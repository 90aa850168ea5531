"""Where a user who is too large for one batch is cut, and what the parts cost."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import accumulate, pairwise
from math import ceil
from operator import sub

from eventabs.prompts.instructions_and_requests import PromptBuilder
from eventabs.prompts.packing import BatchLimits
from eventabs.shared_records import Behavior, Part, PartSize, UserLog

Parts = list[tuple[Part, PartSize]]
# A user may have a million behaviors, so no check is about many more of them than a part has.
Fits = Callable[[int, int], bool]
_FEW = 256  # behaviors in the first check after a cut
_UNIT = timedelta(microseconds=1)
_SECOND = 1_000_000


def split(log: UserLog, fits: Fits) -> list[Part]:
    """Cut a log into the fewest consecutive parts that `fits(first, last)` accepts.

    Cuts are between days, or at the widest gap of a day that is too large. `fits` takes inclusive indices,
    and accepts every range within one that it accepts. A single behavior that does not fit is a part by
    itself. No behaviors: no parts.
    """
    if not log.behaviors:
        return []
    last_index = len(log.behaviors) - 1
    holds = _in_steps(fits, len(log.behaviors))
    if holds(0, last_index):
        return [Part(log.user_id, 0, last_index)]
    ends = _allowed_ends(log.behaviors, holds)
    parts = []
    first = at = 0
    while at < len(ends):
        beyond = bisect_left(ends, True, at + 1, key=lambda end, first=first: not holds(first, end))  # type: ignore[misc]
        parts.append(Part(log.user_id, first, ends[beyond - 1]))
        first = ends[beyond - 1] + 1
        at = beyond
    return parts


def _in_steps(fits: Fits, count: int) -> Fits:
    """Return `fits` as a function that never checks more than twice the range that is known to fit."""
    known: dict[int, tuple[int, int]] = {}  # by first index: the last known to fit, the next known not to

    def holds(first: int, last: int) -> bool:
        fitting, beyond = known.get(first, (first - 1, count))
        while fitting < last < beyond:
            tried = min(last, first + max(_FEW, 2 * (fitting - first + 1)) - 1)
            if fits(first, tried):
                fitting = tried
            else:
                beyond = tried
        known[first] = fitting, beyond
        return last <= fitting

    return holds


def _allowed_ends(behaviors: Sequence[Behavior], fits: Fits) -> list[int]:
    """Return the indices behind which a part may end, in order: ends of days, and gaps in days that are too large."""
    days = [behavior.start.toordinal() for behavior in behaviors]
    firsts = [index for index, day in enumerate(days) if index == 0 or day != days[index - 1]]
    begun = array("q", ((each.start - behaviors[0].start) // _UNIT for each in behaviors))
    ended = array(
        "q", (start + _SECOND * (each.duration or 0) for start, each in zip(begun, behaviors, strict=True))
    )
    # a stack instead of recursion: a day may have thousands of behaviors
    spans = [(first, following - 1) for first, following in pairwise([*firsts, len(days)])][::-1]
    ends = []
    while spans:
        first, last = spans.pop()
        if first == last or fits(first, last):
            ends.append(last)
        else:
            cut = first + _widest_gap(begun[first : last + 1], ended[first:last])
            spans += ((cut + 1, last), (first, cut))
    return ends


def _widest_gap(begun: Sequence[int], ended: Sequence[int]) -> int:
    """Return the position before the longest gap; of equal gaps the most central.

    `begun` and `ended` are times of behaviors, in any unit; the end of the last behavior does not count.
    """
    gaps = list(map(sub, begun[1:], accumulate(ended, max)))
    widest = max(gaps)
    middle = (len(gaps) - 1) / 2
    return min((at for at, gap in enumerate(gaps) if gap == widest), key=lambda at: abs(at - middle))


def measure_parts(log: UserLog, builder: PromptBuilder, limits: BatchLimits, *, start: int = 0) -> Parts:
    """Count the tokens of a log; one part unless the log is too large for a batch.

    `start` is the index of the log's first behavior in the user's whole log.
    """
    sizes: dict[Part, PartSize] = {}

    def fits(first: int, last: int) -> bool:
        part = Part(log.user_id, first, last)
        sizes[part] = builder.measure(log_of_part(log, part))
        return limits.hold(sizes[part])

    def placed(part: Part) -> tuple[Part, PartSize]:
        size = sizes.get(part) or builder.measure(log_of_part(log, part))
        return part._replace(first=part.first + start, last=part.last + start), size

    return list(map(placed, split(log, fits)))


_HALF = 0.45  # of the limits: row numbers may cost more in the second half


def overlapping_parts(log: UserLog, builder: PromptBuilder, limits: BatchLimits) -> Parts:
    """Measure a log; where it is too large for a batch, in parts of which each begins with the second half of the one before."""
    parts = [part for part, _size in measure_parts(log, builder, limits)]
    if len(parts) > 1:
        half = replace(limits.within(_HALF), max_rows=ceil(_HALF * limits.max_rows))
        halves = [part for part, _size in measure_parts(log, builder, half)]
        parts = [first._replace(last=second.last) for first, second in pairwise(halves)]
    return [measure_part(log, part, builder, 0) for part in parts]


def measure_part(log: UserLog, part: Part, builder: PromptBuilder, start: int) -> tuple[Part, PartSize]:
    """Return a part, numbered in the whole log, and what it costs."""
    return Part(log.user_id, part.first + start, part.last + start), builder.measure(log_of_part(log, part))


def log_of_part(log: UserLog, part: Part) -> UserLog:
    """Return the log with the behaviors of a part only, whose indices count from the log's first."""
    return UserLog(log.user_id, log.behaviors[part.first : part.last + 1], log.profile)
