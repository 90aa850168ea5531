"""A user too large for one batch is cut into parts: at day boundaries, a day too large at its widest gap."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from eventabs.records import Behavior, Part, UserLog


def split(log: UserLog, fits: Callable[[int, int], bool]) -> tuple[Part, ...]:
    """Cut a log into as few consecutive parts as its allowed cuts let `fits(first, last)` accept.

    `fits` takes both indices as included, and has to accept what lies within something that it accepts.
    A single behavior that does not fit is a part by itself. No behaviors: no parts.
    """
    if not log.behaviors:
        return ()
    last_index = len(log.behaviors) - 1
    if fits(0, last_index):
        return (Part(log.user_id, 0, last_index),)
    ends = _allowed_ends(log.behaviors, fits)
    parts = []
    first = 0
    at = 0
    while at < len(ends):
        beyond = bisect_left(ends, True, at + 1, key=lambda end, first=first: not fits(first, end))  # type: ignore[misc]
        parts.append(Part(log.user_id, first, ends[beyond - 1]))
        first = ends[beyond - 1] + 1
        at = beyond
    return tuple(parts)


def _allowed_ends(behaviors: Sequence[Behavior], fits: Callable[[int, int], bool]) -> list[int]:
    """Return the indices behind which a part may end, in order: of days, and within days too large."""
    ends = []
    first = 0
    for _day, group in groupby(behaviors, key=lambda behavior: behavior.start.toordinal()):
        last = first + sum(1 for _ in group) - 1
        ends += _ends_within(behaviors, first, last, fits)
        first = last + 1
    return ends


def _ends_within(
    behaviors: Sequence[Behavior], first: int, last: int, fits: Callable[[int, int], bool]
) -> list[int]:
    ends = []
    open_spans = [(first, last)]  # a stack, not recursion: a day may have many thousand behaviors
    while open_spans:
        first, last = open_spans.pop()
        if first == last or fits(first, last):
            ends.append(last)
        else:
            cut = _widest_gap(behaviors, first, last)
            open_spans += ((cut + 1, last), (first, cut))
    return ends


def _widest_gap(behaviors: Sequence[Behavior], first: int, last: int) -> int:
    """Return the index before the longest time in which nothing is done; of equals the most central."""
    middle = (first + last - 1) / 2
    free_from = datetime.min  # noqa: DTZ901  replaced before it is compared
    widest, cut = timedelta.min, first
    for index in range(first, last):
        behavior = behaviors[index]
        done = behavior.start + timedelta(seconds=behavior.duration or 0)
        free_from = done if index == first else max(free_from, done)
        gap = behaviors[index + 1].start - free_from
        if gap > widest or (gap == widest and abs(index - middle) < abs(cut - middle)):
            widest, cut = gap, index
    return cut
