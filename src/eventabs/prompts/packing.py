"""The plan: which parts go into which batch. As few batches as possible, evenly filled, longest first. Pure."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heappop, heappush, heapreplace
from itertools import accumulate
from math import ceil, inf
from operator import add, neg, sub
from typing import Literal, NamedTuple, TypeVar

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import gettext as _
from eventabs.prompts.tokens import TokenCounter
from eventabs.shared_records import Batch, PartSize, PlannedPart


class BatchLimits(NamedTuple):
    """Limits of one call: tokens in with the instructions, tokens out, users, rows (0: no limit)."""

    max_input_tokens: int
    instructions_tokens: int
    max_output_tokens: int
    max_users: int
    max_rows: int
    counter: TokenCounter  # of row numbers: a row's place in the call decides what it costs, so no part has them in its size

    @property
    def room(self) -> int:
        """Input tokens left for blocks. Raises ConfigError if none are left."""
        if self.instructions_tokens >= self.max_input_tokens:
            message = _(
                "the instructions alone take {tokens} of {limit} input tokens; raise --max-input-tokens"
            )
            raise ConfigError(message.format(tokens=self.instructions_tokens, limit=self.max_input_tokens))
        return self.max_input_tokens - self.instructions_tokens

    def input_tokens(self, sizes: Iterable[PartSize]) -> int:
        """Return the input tokens of a call about such parts: the instructions, their blocks and the row numbers."""
        tokens, _out, rows = _sums(sizes)
        return self.instructions_tokens + tokens + self.counter.numbers(rows)[rows]

    def hold(self, size: PartSize) -> bool:
        """Whether a part of this size fits into a batch alone."""
        tokens, out, rows = size
        room = self.room
        return (
            tokens <= room  # first: a huge log is not to count a million numbers
            and out <= self.max_output_tokens
            and (not self.max_rows or rows <= self.max_rows)
            and tokens + self.counter.numbers(rows)[rows] <= room
        )

    def holds(self, sizes: Sequence[PartSize]) -> bool:
        """Whether parts of these sizes fit into a batch together."""
        return len(sizes) <= self.max_users and self.hold(_sums(sizes))

    def within(self, share: float) -> "BatchLimits":
        """Return limits with a share of the tokens."""
        tokens, out = self.instructions_tokens + int(share * self.room), int(share * self.max_output_tokens)
        return self._replace(max_input_tokens=tokens, max_output_tokens=out)


def _sums(sizes: Iterable[PartSize]) -> PartSize:
    return PartSize(*map(sum, zip(*sizes, (0, 0, 0), strict=True)))


Bound = Literal["input", "output", "users", "rows"]
_T = TypeVar("_T")


def lower_bound(sizes: Sequence[PartSize], limits: BatchLimits) -> tuple[int, Bound]:
    """Return a lower bound of the number of batches, and the limit that gives it, of several the one that is fullest."""
    _tokens, out, rows = _sums(sizes)
    shares: dict[Bound, tuple[int, float]] = {"input": _input_bound(sizes, limits)[:2]}
    others: dict[Bound, float] = {
        "output": out / limits.max_output_tokens,
        "users": len(sizes) / limits.max_users,
        "rows": rows / limits.max_rows if limits.max_rows else 0.0,
    }
    shares |= {name: (ceil(share), share) for name, share in others.items()}
    binding = max(shares, key=shares.__getitem__)
    return shares[binding][0], binding


def _input_bound(sizes: Sequence[PartSize], limits: BatchLimits) -> tuple[int, float, int, int]:
    """Bound the batches by their tokens in: one with N rows has at least the N cheapest numbers.

    What these cost is convex in N, so all batches together have the fewest tokens where all have as many rows. Return also the
    share of the batches that is filled, and what a row's number counts, whatever its place, where no batch has more than a
    room: so sizes are linear.
    """
    tokens, _out, rows = _sums(sizes)
    room = limits.room
    # a batch has at most N rows: the number of each costs a token or more
    thinnest = min([size[0] / size[2] for size in sizes if size[2]], default=0.0)
    totals = limits.counter.numbers(min(rows, limits.max_rows or rows, int(room / (1 + thinnest)) + 1))
    costs = sorted(map(sub, totals[1:], totals))
    cheapest: list[int] = [0, *accumulate(costs)]

    def least(batches: int) -> float:
        """Return the least tokens that N batches have; inf where one had more rows than it can have."""
        each, over = divmod(rows, batches)
        more = each + (over > 0)
        if more >= len(cheapest):
            return inf
        return tokens + (batches - over) * cheapest[each] + over * cheapest[more]

    fewest = max(1, -(-tokens // room))
    most = -(-(tokens + rows * (costs[-1] if costs else 0)) // room) + 1
    batches = fewest + bisect_left(range(fewest, most), True, key=lambda n: least(n) <= n * room)
    each = min(rows // batches, len(costs) - 1)
    slope = costs[each] if costs else 0
    return batches if tokens else 0, least(batches) / room, slope, room + slope * each - cheapest[each]


class _Part(NamedTuple):
    at: int
    size: PartSize
    shares: tuple[float, ...]  # of the limits of tokens in, tokens out, rows and users


_Packed = list[list[_Part]]
_NOTHING = (0.0,) * 4
_FULL = 1 + 1e-9  # sums of shares are not exact


def _filled(parts: Sequence[_Part], limits: BatchLimits, full: float = _FULL) -> _Packed:
    """Fill one batch after the other: with the largest part, then with the largest that fit, first of those that need what is left most."""
    left: dict[int, list[_Part]] = {}  # by the limit of which they take most, the largest last
    for part in reversed(parts):
        left.setdefault(part.shares.index(max(part.shares)), []).append(part)

    def fitting(taken: Sequence[float], load: PartSize) -> _Part | None:
        for limit in sorted(filter(left.get, left), key=lambda at: taken[at] - left[at][-1].shares[at]):
            own = left[limit]
            end = bisect_right(own, full - taken[limit], key=lambda part: part.shares[limit])
            for place in reversed(range(max(0, end - 20), end)):  # the 20 largest that may fit
                _at, size, shares = own[place]
                if max(map(add, taken, shares)) <= full and limits.hold(PartSize(*map(add, load, size))):
                    return own.pop(place)
        return None

    batches: _Packed = []
    while some := [own for own in left.values() if own]:
        added: _Part | None = max(some, key=lambda own: max(own[-1].shares)).pop()
        batches.append([])
        taken: tuple[float, ...] = _NOTHING
        load = PartSize(0, 0, 0)
        while added:
            batches[-1].append(added)
            taken, load = tuple(map(add, taken, added.shares)), PartSize(*map(add, load, added.size))
            added = fitting(taken, load)
    return batches


def _spread(parts: Sequence[_Part], limits: BatchLimits, count: int) -> _Packed:
    """Put each part into one of the four emptiest of N batches, which stays emptiest; no batches where one is too full then."""
    batches: _Packed = [[] for _ in range(count)]
    taken: list[tuple[float, ...]] = [_NOTHING] * count
    emptiest = [(0.0, batch) for batch in range(count)]
    for part in parts:
        tried = [heappop(emptiest)[1] for _ in range(min(4, count))]
        fill, chosen = min((max(map(add, taken[batch], part.shares)), batch) for batch in tried)
        if fill > _FULL:
            return []
        batches[chosen].append(part)
        taken[chosen] = tuple(map(add, taken[chosen], part.shares))
        for batch in tried:
            heappush(emptiest, (max(taken[batch]), batch))
    return batches if all(limits.holds([part.size for part in batch]) for batch in batches) else []


def _first(tried: Sequence[_T], does: Callable[[_T], object]) -> _T:
    """Find by bisection the first that does, the last where none does."""
    return tried[bisect_left(tried, True, hi=len(tried) - 1, key=lambda each: bool(does(each)))]


def _fewest(parts: Sequence[_Part], limits: BatchLimits, least: int) -> _Packed:
    """Return the fewest batches that can be found, but at least N, evenly filled if possible."""
    spread = partial(_spread, parts, limits)
    packed = _filled(parts, limits)
    least = max(least, lower_bound([part.size for part in parts], limits)[0])
    most = max(least, len(packed))
    if spread(most):
        return spread(_first([*range(least, most, 1 + (most - least) // 16), most], spread))
    if len(packed) < least:
        shares = [*(percent / 100 for percent in range(100)), _FULL]
        return _filled(parts, limits, _first(shares, lambda full: len(_filled(parts, limits, full)) <= least))
    return packed


def _by_class(parts: Sequence[_Part], limits: BatchLimits, least: int) -> _Packed:
    """Pack the smallest of large parts by themselves, as many a batch as can share one; no batches where that does not help.

    Among larger ones each of them would take a place, and leave too little for one more.
    """
    shares = [max(part.shares) for part in parts]
    bound: float = max(map(sum, zip(*(part.shares for part in parts), strict=True)))
    small = 0, 0, 0
    for most in range(2, 12):  # of more parts a batch it hardly matters which they are
        end = bisect_left(shares, -1 / (most + 1), key=neg)  # of these, at most N share a batch
        sums = [0.0, *accumulate(reversed(shares[:end]))]
        full = bisect_right(range(end // most), 0.0, key=lambda at: sums[most * (at + 1)] - at - 1)
        bound, small = max((bound, small), ((end - full) / (most - 1), (end, most, full)))
    end, most, full = small

    def spread(count: int) -> _Packed:
        return _spread(parts[end - most * count : end], limits, count)

    count = _first([*range(full, full * 3 // 4, -1 - full // 128), 0], spread)
    others = [*parts[: end - most * count], *parts[end:]]
    if not count:
        return []
    return spread(count) + _fewest(others, limits, min(least - count, len(others)))


MAX_ALIASES = 999  # U1000 costs a token more than was measured
PROBE_SHARE = 0.7  # of the budgets, for the first batch: the length of answers is not known yet


def plan(
    parts: Sequence[PlannedPart], limits: BatchLimits, *, probe: bool = False, workers: int = 1
) -> list[Batch]:
    """Pack parts into batches, the longest first; with `probe` the first leaves room for an answer that is longer than expected.

    If there are several rounds of `workers`, not hundreds, batches that fill the last one and end the run sooner are added, unless the repeated
    instructions cost a larger share of tokens than they save of time.
    """
    limits = limits._replace(max_users=min(limits.max_users, MAX_ALIASES))
    sizes = [planned.size for planned in parts]
    batches = pack(sizes, limits)
    whole_rounds = -(-len(batches) // workers) * workers
    # in more than a hundred rounds a full last one saves less than 1 % of the time
    if workers < len(batches) < whole_rounds <= min(len(parts), 100 * workers):
        more = pack(sizes, limits, least=whole_rounds)
        before, after = (_rounds_end(packed, sizes, workers) for packed in (batches, more))
        tokens = sum(size.input_tokens + size.output_tokens for size in sizes)
        tokens += limits.instructions_tokens * len(batches)
        added = limits.instructions_tokens * (len(more) - len(batches))
        if (before - after) * tokens > added * before:
            batches = more
    packed = [[parts[index] for index in batch] for batch in batches]
    first, within = packed[0] if probe and packed else [], limits.within(PROBE_SHARE)
    while len(first) > 1 and not within.holds([each.size for each in first]):
        one = first.pop()
        roomy = (batch for batch in packed[:0:-1] if limits.holds([each.size for each in (*batch, one)]))
        if batch := next(roomy, []):
            batch.append(one)
        else:
            packed.append([one])
    return [Batch(tuple(batch)) for batch in packed]


def _rounds_end(batches: Sequence[Sequence[int]], sizes: Sequence[PartSize], workers: int) -> int:
    """Return the output tokens of the busiest worker if the first free worker takes the next batch."""
    free = [0] * workers
    for batch in batches:
        heapreplace(free, free[0] + sum(sizes[index].output_tokens for index in batch))
    return max(free)


def shuffled(parts: Iterable[PlannedPart], order: str = "") -> list[PlannedPart]:
    """Shuffle parts, differently for each attempt and `order`, but equally in every process."""

    def key(planned: PlannedPart) -> bytes:
        facts = repr((planned.attempts, planned.broken_calls, planned.part)) + order
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).digest()

    return sorted(parts, key=key)


def pack(sizes: Sequence[PartSize], limits: BatchLimits, *, least: int = 0) -> list[list[int]]:
    """Return batches as indices into `sizes`, the longest expected answer first; a part that alone exceeds a limit gets its own.

    The fewest that can be found, evenly filled, but at least `least` if there are enough parts.
    """
    holds = [limits.max_users > 1 and limits.hold(size) for size in sizes]
    batches = [[index] for index, is_held in enumerate(holds) if not is_held]
    held = [(at, size) for at, size in enumerate(sizes) if holds[at]]
    _batches, _share, a_row, room = _input_bound([size for _at, size in held], limits)
    most_out, most_rows, user = limits.max_output_tokens, limits.max_rows or inf, 1 / limits.max_users
    # shares of parts that fit together are at most 1 in sum
    parts = []
    for at, size in held:
        tokens, out, rows = size
        shares = ((tokens + a_row * rows) / room, out / most_out, rows / most_rows, user)
        parts.append(_Part(at, size, shares))
    parts.sort(key=lambda part: (-max(part.shares), -sum(part.shares)))
    least = min(least - len(batches), len(parts))
    packed = _fewest(parts, limits, least)
    if len(packed) > max(least, lower_bound([part.size for part in parts], limits)[0]):
        packed = min(packed, _by_class(parts, limits, least) or packed, key=len)
    batches += [sorted(part.at for part in batch) for batch in packed]

    def longest_first(batch: list[int]) -> tuple[int, int, int]:
        tokens, out, _rows = map(sum, zip(*map(sizes.__getitem__, batch), strict=True))
        return -out, -tokens, batch[0]

    return sorted(batches, key=longest_first)
