"""Where a user who is too large for one batch is cut: between days, or in a day at its widest gap."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import accumulate, pairwise

from eventabs.records import Behavior, Part, UserLog


def split(log: UserLog, fits: Callable[[int, int], bool]) -> list[Part]:
    """Cut a log into as few consecutive parts as let `fits(first, last)` accept each.

    A cut lies between days, or in a day that is too large at its widest gap. `fits` takes both indices as included,
    and has to accept what lies within something that it accepts. A single behavior that does not fit is a part by
    itself. No behaviors: no parts.
    """
    if not log.behaviors:
        return []
    last_index = len(log.behaviors) - 1
    if fits(0, last_index):
        return [Part(log.user_id, 0, last_index)]
    ends = _allowed_ends(log.behaviors, fits)
    parts = []
    first = at = 0
    while at < len(ends):
        beyond = bisect_left(ends, True, at + 1, key=lambda end, first=first: not fits(first, end))  # type: ignore[misc]
        parts.append(Part(log.user_id, first, ends[beyond - 1]))
        first = ends[beyond - 1] + 1
        at = beyond
    return parts


def _allowed_ends(behaviors: Sequence[Behavior], fits: Callable[[int, int], bool]) -> list[int]:
    """Return the indices behind which a part may end, in order: of days, and within days too large."""
    days = [behavior.start.toordinal() for behavior in behaviors]
    firsts = [index for index, day in enumerate(days) if index == 0 or day != days[index - 1]]
    # a stack, not recursion: a day may have many thousand behaviors
    spans = [(first, following - 1) for first, following in pairwise([*firsts, len(days)])][::-1]
    ends = []
    while spans:
        first, last = spans.pop()
        if first == last or fits(first, last):
            ends.append(last)
        else:
            cut = _widest_gap(behaviors, first, last)
            spans += ((cut + 1, last), (first, cut))
    return ends


def _widest_gap(behaviors: Sequence[Behavior], first: int, last: int) -> int:
    """Return the index before the longest time in which nothing is done; of equals the most central."""
    middle = (first + last - 1) / 2
    done = (behavior.start + timedelta(seconds=behavior.duration or 0) for behavior in behaviors[first:last])
    following = behaviors[first + 1 : last + 1]
    gaps = [
        after.start - free_from for free_from, after in zip(accumulate(done, max), following, strict=True)
    ]
    return max(range(first, last), key=lambda index: (gaps[index - first], -abs(index - middle)))
