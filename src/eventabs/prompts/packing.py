"""The plan: which parts go into which batch. As few batches as possible, evenly filled, longest first. Pure."""

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heapreplace
from itertools import accumulate, chain
from math import ceil, inf
from operator import sub
from typing import Literal, NamedTuple

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import gettext as _
from eventabs.prompts.tokens import RowNumbers
from eventabs.shared_records import Batch, PartSize, PlannedPart


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of one call: tokens in with the instructions, tokens out, users, rows (0: no limit).

    `numbers` counts what the numbers of the rows cost: a row's place in the call decides that, so no part has them in its size.
    """

    max_input_tokens: int
    instructions_tokens: int
    max_output_tokens: int
    max_users: int
    max_rows: int
    numbers: RowNumbers

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
        return self.instructions_tokens + tokens + self.numbers.totals(rows)[rows]

    def hold(self, size: PartSize) -> bool:
        """Whether a part of this size fits into a batch alone."""
        tokens, out, rows = size
        room = self.room
        return (
            tokens <= room  # first: a huge log is not to count a million numbers
            and out <= self.max_output_tokens
            and (not self.max_rows or rows <= self.max_rows)
            and tokens + self.numbers.totals(rows)[rows] <= room
        )

    def holds(self, sizes: Sequence[PartSize]) -> bool:
        """Whether parts of these sizes fit into a batch together."""
        return len(sizes) <= self.max_users and self.hold(PartSize(*_sums(sizes)))

    def within(self, share: float) -> "BatchLimits":
        """Return limits with a share of the tokens."""
        return replace(
            self,
            max_input_tokens=self.instructions_tokens + int(share * self.room),
            max_output_tokens=int(share * self.max_output_tokens),
        )


def _sums(sizes: Iterable[PartSize]) -> tuple[int, int, int]:
    tokens_in, tokens_out, rows = zip(*sizes, strict=True) if (sizes := list(sizes)) else ((), (), ())
    return sum(tokens_in), sum(tokens_out), sum(rows)


Bound = Literal["input", "output", "users", "rows"]
_SHARES = 12  # beyond, counting gains next to nothing


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
    totals = limits.numbers.totals(_most_rows(sizes, limits))
    costs = sorted(map(sub, totals[1:], totals))
    cheapest: list[int] = [0, *accumulate(costs)]

    def least(batches: int) -> float:
        """Return the least tokens that so many batches have; inf where one had more rows than it can have."""
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


def _most_rows(sizes: Sequence[PartSize], limits: BatchLimits) -> int:
    """Return how many rows a batch has at most: a row's number costs a token or more."""
    thinnest = min([tokens / rows for tokens, _out, rows in sizes if rows], default=0.0)
    rows = sum([size[2] for size in sizes])
    return min(rows, limits.max_rows or rows, int(limits.room / (1 + thinnest)) + 1)


def count_bound(sizes: Sequence[PartSize], limits: BatchLimits) -> tuple[int, int, list[int]]:
    """Bound by how many parts fit together: return the bound, how many batches are full, and the parts in these (indices).

    At most k + 1 parts larger than a (k + 2)th of a budget share a batch. As many batches as the smallest of these parts
    fill have k + 1 of them, all others at most k.
    """
    _batches, _share, slope, room = _input_bound(sizes, limits)
    dimensions = [
        ([size.input_tokens + slope * size.rows for size in sizes], room),
        ([size.output_tokens for size in sizes], limits.max_output_tokens),
    ]
    if limits.max_rows:
        dimensions.append(([size.rows for size in sizes], limits.max_rows))
    best: tuple[int, int, list[int]] = 0, 0, []
    for tokens, budget in dimensions:
        order = sorted(range(len(tokens)), key=tokens.__getitem__)
        ordered = [tokens[index] for index in order]
        for k in range(1, _SHARES):
            first = bisect_right(ordered, budget // (k + 2))
            total = [0, *accumulate(ordered[first:])]
            most = len(ordered) - first

            def excess(batch: int, k: int = k, budget: int = budget, total: list[int] = total) -> int:
                return total[(k + 1) * (batch + 1)] - (batch + 1) * budget

            full = bisect_right(range(most // (k + 1)), 0, key=excess)
            bound = -(-(most - full) // k)
            if bound > best[0]:
                best = bound, full, order[first : first + (k + 1) * full]
    return best


_PARTNERS = 300_000  # partners of batches that are too full; divided among the parts
_FEWEST_PARTNERS = 10
_MOST_PARTNERS = 60
_CLOSE_ENOUGH = 500  # a search among many batches ends within one in N
_HOPELESS = 8  # batches that stay too full before a number of batches is given up; and one in twenty
_LOOKS = 50_000  # batches that parts look at for a place; divided among the parts
_FEWEST_LOOKS = 4
_ROUNDS = 6  # over all that are too full
_BEST_FIT_STEPS = 1_000_000  # parts times batches, about a second


class _Load(NamedTuple):
    tokens_in: int  # without the row numbers
    tokens_out: int
    users: int
    rows: int

    def plus(self, size: PartSize, sign: int = 1) -> "_Load":
        tokens_in, tokens_out, rows = size
        return _Load(
            self.tokens_in + sign * tokens_in,
            self.tokens_out + sign * tokens_out,
            self.users + sign,
            self.rows + sign * rows,
        )


Batches = list[list[int]]


class Packer:
    """Packs parts, each of which fits into a batch alone."""

    def __init__(self, sizes: Sequence[PartSize], limits: BatchLimits) -> None:
        self._sizes = sizes
        self._room = limits.room
        self._max_output = limits.max_output_tokens
        self._max_users = limits.max_users
        self._most_rows = most = _most_rows(sizes, limits)
        # by rows, what their numbers cost: above the room where a batch cannot have so many, growing for a while, so that exchanges lead back
        room, steps = self._room, limits.max_rows or self._room
        beyond = [room + 1 + room * over // steps for over in range(3 * most + 3)]
        beyond += beyond[-1:] * (sum(size.rows for size in sizes) - 4 * most)
        self._numbers = limits.numbers.totals(most)[: most + 1] + beyond
        fills = [
            max((tokens + self._numbers[rows]) / self._room, out / self._max_output)
            for tokens, out, rows in sizes
        ]
        self._largest_first = sorted(range(len(sizes)), key=lambda index: -fills[index])
        self._rank = {index: rank for rank, index in enumerate(self._largest_first)}

    def packed(self, least: int) -> Batches:
        """Search upwards from `least` for the fewest batches that take all parts, evenly filled if possible.

        Among many batches the search ends at the first number that saves no batch.
        """
        close = least // _CLOSE_ENOUGH
        best = even = self._filled(least)
        too_few = least if len(best) > least else least - 1
        if len(best) > least and len(self._sizes) * least <= _BEST_FIT_STEPS:
            best = min(best, self._best_fit(self._largest_first), key=len)
        while len(best) > too_few + 1 + close:
            count = (too_few + len(best)) // 2
            even = self._filled(count)
            if len(even) > count:
                too_few = count
            if close and len(even) >= len(best):
                return best
            best = min(even, best, key=len)
        if len(even) != len(best):
            even = self._filled(len(best))
        return even if len(even) == len(best) else best

    def _filled(self, count: int) -> Batches:
        """Return N batches, evenly filled, and more for parts that found no room."""
        batches, loads = self._spread(count)
        self._repair(batches, loads)
        left = chain.from_iterable(map(self._taken_out, batches, loads))
        further = self._best_fit(sorted(left, key=self._rank.__getitem__))
        return [batch for batch in batches if batch] + further

    def _taken_out(self, batch: list[int], load: _Load) -> list[int]:
        """Take parts out of a batch until it fits: the smallest that is enough, or the largest."""
        taken = []
        while self._excess(load):
            batch.sort(key=self._rank.__getitem__)
            enough = (i for i in reversed(batch) if not self._excess(load.plus(self._sizes[i], -1)))
            out = next(enough, batch[0])
            batch.remove(out)
            load = load.plus(self._sizes[out], -1)
            taken.append(out)
        return taken

    def _spread(self, count: int) -> tuple[Batches, list[_Load]]:
        """Put each part, largest first, into the batch that stays emptiest (LPT), with room or without."""
        room, max_output, max_users, sizes = self._room, self._max_output, self._max_users, self._sizes
        batches: Batches = [[] for _ in range(count)]
        # near enough: what a number costs at the end of a usual batch
        usual = max(0, min(sum([size[2] for size in sizes]) // count, self._most_rows - 1))
        a_row = self._numbers[usual + 1] - self._numbers[usual] if self._most_rows else 0
        tokens_in, tokens_out = [self._numbers[usual] - a_row * usual] * count, [0] * count
        emptiest_first = [(0.0, batch) for batch in range(count)]  # sorted: few move, so this beats a heap
        looks = min(count, max(_FEWEST_LOOKS, _LOOKS // len(sizes)))
        for index in self._largest_first:
            size_in, size_out, rows = sizes[index]
            size_in += a_row * rows
            emptiest = inf, count
            for at, (_fill, batch) in enumerate(emptiest_first[:looks]):
                fill_in = (tokens_in[batch] + size_in) / room
                fill_out = (tokens_out[batch] + size_out) / max_output
                fill = fill_in if fill_in > fill_out else fill_out  # noqa: FURB136  twice as fast in the innermost loop
                fill_users = (len(batches[batch]) + 1) / max_users
                fill = fill if fill > fill_users else fill_users  # noqa: FURB136
                if (fill, batch) < emptiest:
                    emptiest, chosen_at = (fill, batch), at
            chosen = emptiest[1]
            batches[chosen].append(index)
            tokens_in[chosen] += size_in
            tokens_out[chosen] += size_out
            del emptiest_first[chosen_at]
            insort(emptiest_first, emptiest)
        return batches, [
            _Load(*loaded[:2], len(batch), loaded[2])
            for batch in batches
            for loaded in [_sums(map(sizes.__getitem__, batch))]
        ]

    def _repair(self, batches: Batches, loads: list[_Load]) -> None:
        """Exchange parts until no batch is too full, or no exchange helps."""
        hopeless = _HOPELESS + len(batches) // 20
        for _round in range(_ROUNDS):
            too_full = [batch for batch, load in enumerate(loads) if self._excess(load)]
            too_full.sort(key=lambda batch: (-self._excess(loads[batch]), batch))
            others = [batch for batch, load in enumerate(loads) if not self._excess(load)]
            emptiest = [sorted(others, key=lambda batch: (loads[batch][at], batch)) for at in range(3)]
            failures = 0
            for batch in too_full:
                shares = self._shares(loads[batch])
                partners = emptiest[shares.index(max(shares))]
                failures += not self._relieved(batch, batches, loads, partners)
                if failures > hopeless:
                    return
            if failures == len(too_full):
                return

    def _relieved(self, batch: int, batches: Batches, loads: list[_Load], partners: list[int]) -> bool:
        """Exchange parts of a batch that is too full with `partners`. Return whether that was enough."""
        most = min(_MOST_PARTNERS, max(_FEWEST_PARTNERS, _PARTNERS // len(self._sizes)), len(partners))
        at = 0
        for _look in range(most):
            partner = partners[at]
            best = self._best_exchange(batch, partner, batches, loads)
            if best is None:
                at += 1
                continue
            out, back, loads[batch], loads[partner] = best
            batches[batch].remove(out)
            batches[partner].append(out)
            if back is not None:
                batches[partner].remove(back)
                batches[batch].append(back)
            partners.append(partners.pop(at))  # batches with room stay in front, for the next batch too
            if not self._excess(loads[batch]):
                return True
        return False

    def _best_exchange(
        self, batch: int, partner: int, batches: Batches, loads: list[_Load]
    ) -> tuple[int, int | None, _Load, _Load] | None:
        """Find the exchange of at most one part each that leaves the least excess; return the loads after it.

        The partner never becomes too full.
        """
        room, max_output, max_users, sizes = self._room, self._max_output, self._max_users, self._sizes
        numbers = self._numbers
        ours_in, ours_out, ours, our_rows = loads[batch]
        theirs_in, theirs_out, theirs, their_rows = loads[partner]
        best_excess, best_fill = self._excess(loads[batch]), 2.0
        best = None
        given_back: list[tuple[int | None, int, int, int, int]] = [(None, 0, 0, 0, 0)] * (theirs < max_users)
        given_back += [(back, *sizes[back], 1) for back in batches[partner]]
        most_rows = max([sizes[back].rows for back in batches[partner]], default=0)
        for out in batches[batch]:
            out_in, out_out, out_rows = sizes[out]
            left_in, left_out = ours_in - out_in, ours_out - out_out
            left, left_rows = ours - 1, our_rows - out_rows
            least_back = theirs_out + out_out - max_output
            most_back = max_output * (1 + best_excess) - left_out
            # most parts are too small for the partner's input, or too large for ours
            least_in = theirs_in + out_in + numbers[max(0, their_rows + out_rows - most_rows)] - room
            most_in = room * (1 + best_excess) + 1 - left_in - numbers[left_rows]
            for back, back_in, back_out, back_rows, back_user in given_back:
                if not (least_in <= back_in <= most_in and least_back <= back_out <= most_back):
                    continue
                # `_excess` inlined: this is the innermost loop
                excess = 0.0
                if (filled := left_in + back_in + numbers[left_rows + back_rows]) > room:
                    excess += filled / room - 1
                if (load_out := left_out + back_out) > max_output:
                    excess += load_out / max_output - 1
                if (load_users := left + back_user) > max_users:
                    excess += load_users / max_users - 1
                if excess > best_excess or (best is None and excess == best_excess):
                    continue
                their_filled = theirs_in + out_in - back_in + numbers[their_rows + out_rows - back_rows]
                if their_filled > room:
                    continue
                load = _Load(left_in + back_in, load_out, load_users, left_rows + back_rows)
                other = _Load(
                    theirs_in + out_in - back_in,
                    theirs_out + out_out - back_out,
                    theirs + 1 - back_user,
                    their_rows + out_rows - back_rows,
                )
                fill = max(self._fill(load), self._fill(other))
                if excess < best_excess or fill < best_fill:
                    best_excess, best_fill = excess, fill
                    best = out, back, load, other
                    most_back = max_output * (1 + best_excess) - left_out
        return best

    def _best_fit(self, indices: Sequence[int]) -> Batches:
        """Put each part, in the given order (largest first), into the fullest batch with room; best for large parts."""
        numbers = self._numbers
        batches: Batches = []
        loads: list[_Load] = []
        for index in indices:
            size_in, size_out, size_rows = self._sizes[index]
            most_in, most_out = self._room - size_in, self._max_output - size_out
            chosen, fullest = None, -1.0
            for batch, (tokens_in, tokens_out, users, rows) in enumerate(loads):
                if (
                    users < self._max_users
                    and tokens_out <= most_out
                    and tokens_in + numbers[rows + size_rows] <= most_in
                ):
                    fill = self._fill(
                        (tokens_in + size_in, tokens_out + size_out, users + 1, rows + size_rows)
                    )
                    if fill > fullest:
                        chosen, fullest = batch, fill
            if chosen is None:
                batches.append([index])
                loads.append(_Load(size_in, size_out, 1, size_rows))
            else:
                batches[chosen].append(index)
                loads[chosen] = loads[chosen].plus(self._sizes[index])
        return batches

    def _fill(self, load: tuple[int, int, int, int]) -> float:
        """Return the share of the fullest limit."""
        return max(self._shares(load))

    def _shares(self, load: tuple[int, int, int, int]) -> tuple[float, float, float]:
        tokens_in, tokens_out, users, rows = load
        return (
            (tokens_in + self._numbers[rows]) / self._room,
            tokens_out / self._max_output,
            users / self._max_users,
        )

    def _excess(self, load: _Load) -> float:
        """Return the share by which the load exceeds limits, 0 if it exceeds none."""
        return sum(share - 1 for share in self._shares(load) if share > 1)


MAX_ALIASES = 999  # U1000 costs a token more than was measured
PROBE_SHARE = 0.7  # of the budgets, for the first batch: the length of answers is not known yet

_MOST_ROUNDS = 100  # with more, a full last round saves less than 1 % of the time
_AT_ONCE = 20_000  # parts; more are packed in windows, each with parts of all sizes
_WINDOW = 10_000
_CLOSE = 200  # packing by class is good enough within one batch in N of the bound
_SLACK = 0.01  # of the fullest batches: parts seldom fill a batch to the last token


def plan(
    parts: Sequence[PlannedPart], limits: BatchLimits, *, probe: bool = False, workers: int = 1
) -> list[Batch]:
    """Pack parts into batches, the longest first.

    If there are several rounds of `workers`, not hundreds, and more batches that fill the last round end the run
    sooner, they are added, unless the repeated instructions cost a larger share of tokens than they save of time.

    With `probe` the first batch leaves room for an answer that is longer than expected; its spare parts
    go into other batches, or into one more.
    """
    sizes = [planned.size for planned in parts]
    batches = pack(sizes, limits)
    whole_rounds = -(-len(batches) // workers) * workers
    if workers < len(batches) < whole_rounds <= min(len(parts), _MOST_ROUNDS * workers):
        more = pack(sizes, limits, least=whole_rounds)
        before, after = (_rounds_end(packed, sizes, workers) for packed in (batches, more))
        tokens = sum(size.input_tokens + size.output_tokens for size in sizes)
        tokens += limits.instructions_tokens * len(batches)
        added = limits.instructions_tokens * (len(more) - len(batches))
        if (before - after) * tokens > added * before:
            batches = more
    packed = [[parts[index] for index in batch] for batch in batches]
    if probe and packed:
        _make_room_in_first(packed, limits)
    return [Batch(tuple(batch)) for batch in packed]


def _rounds_end(batches: Sequence[Sequence[int]], sizes: Sequence[PartSize], workers: int) -> int:
    """Return the output tokens of the busiest worker if the first free worker takes the next batch."""
    free = [0] * workers
    for batch in batches:
        heapreplace(free, free[0] + sum(sizes[index].output_tokens for index in batch))
    return max(free)


def _make_room_in_first(batches: list[list[PlannedPart]], limits: BatchLimits) -> None:
    first, *others = batches
    removed, within = [], limits.within(PROBE_SHARE)
    while len(first) > 1 and not within.holds([planned.size for planned in first]):
        removed.append(first.pop())
    for planned in removed:
        roomy = (
            batch for batch in reversed(others) if limits.holds([each.size for each in [*batch, planned]])
        )
        if (batch := next(roomy, None)) is not None:
            batch.append(planned)
        else:
            others.append([planned])
    batches[1:] = others


def shuffled(parts: Iterable[PlannedPart], order: str = "") -> list[PlannedPart]:
    """Shuffle parts, differently for each attempt and `order`, but equally in every process."""

    def key(planned: PlannedPart) -> bytes:
        facts = repr((planned.attempts, planned.broken_calls, planned.part)) + order
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).digest()

    return sorted(parts, key=key)


def pack(sizes: Sequence[PartSize], limits: BatchLimits, *, least: int = 0) -> Batches:
    """Return batches as indices into `sizes`, the longest expected answer first.

    The fewest that can be found, evenly filled, but at least `least` if there are enough parts. No batch breaks a limit;
    a part that alone exceeds one gets its own batch. More than 20,000 parts are packed in windows
    of 10,000.
    """
    limits = replace(limits, max_users=min(limits.max_users, MAX_ALIASES))
    holds = [limits.max_users > 1 and limits.hold(size) for size in sizes]
    fitting = [index for index, held in enumerate(holds) if held]
    batches = [[index] for index, held in enumerate(holds) if not held]
    least -= len(batches)
    windows = 1 if len(fitting) <= _AT_ONCE else -(-len(fitting) // _WINDOW)
    if windows > 1:  # equal parts stay in order
        room = limits.room
        fitting.sort(key=lambda at: max(sizes[at][0] / room, sizes[at][1] / limits.max_output_tokens))
    for indices in filter(None, (fitting[window::windows] for window in range(windows))):
        own = [sizes[index] for index in indices]
        share = -(-least * len(own) // len(fitting))
        packed = _packed(own, limits, min(share, len(own)))
        batches += [sorted(indices[at] for at in batch) for batch in packed]

    def longest_first(batch: list[int]) -> tuple[int, int, int]:
        own = [sizes[index] for index in batch]
        return -sum(size.output_tokens for size in own), -sum(size.input_tokens for size in own), batch[0]

    return sorted(batches, key=longest_first)


def _packed(sizes: Sequence[PartSize], limits: BatchLimits, least: int) -> Batches:
    if limits.max_users == 1:
        return [[index] for index in range(len(sizes))]
    by_volume = max(lower_bound(sizes, limits)[0], least)
    by_count, full, smallest = count_bound(sizes, limits)
    if by_count <= by_volume:
        return Packer(sizes, limits).packed(by_volume)
    # small parts are counted with small parts: their sizes decide how many fit together
    kept = full - int(full * _SLACK)
    small = set(smallest[: kept * len(smallest) // max(1, full)])
    classes = (
        [index for index in range(len(sizes)) if (index in small) is wanted] for wanted in (True, False)
    )
    by_class: Batches = []
    for indices in filter(None, classes):
        own = [sizes[index] for index in indices]
        packed = Packer(own, limits).packed(max(lower_bound(own, limits)[0], count_bound(own, limits)[0]))
        by_class += [[indices[at] for at in batch] for batch in packed]
    if len(by_class) <= by_count + by_count // _CLOSE:
        return by_class
    return min(by_class, Packer(sizes, limits).packed(by_count), key=len)
