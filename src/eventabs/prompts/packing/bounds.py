"""Lower bounds of the number of batches."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import neg
from typing import Literal, NamedTuple

from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.records import PartSize


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of one call: tokens in with the instructions, tokens out, users."""

    max_input_tokens: int
    instructions_tokens: int
    max_output_tokens: int
    max_users: int

    @property
    def room(self) -> int:
        """Input tokens left for blocks. Raises ConfigError if none are left."""
        if self.instructions_tokens >= self.max_input_tokens:
            message = _(
                "the instructions alone take {tokens} of {limit} input tokens; raise --max-input-tokens"
            )
            raise ConfigError(message.format(tokens=self.instructions_tokens, limit=self.max_input_tokens))
        return self.max_input_tokens - self.instructions_tokens

    def hold(self, size: PartSize) -> bool:
        """Whether a part of this size fits into a batch alone."""
        return size.input_tokens <= self.room and size.output_tokens <= self.max_output_tokens


Bound = Literal["input", "output", "users"]
_SHARES = 12  # beyond, rounding gains next to nothing


class CountBound(NamedTuple):
    """A bound from how many parts fit together: `full` batches of the `smallest` parts (indices), others with fewer."""

    bound: int
    full: int
    smallest: list[int]


def lower_bound(sizes: Sequence[PartSize], limits: BatchLimits) -> tuple[int, Bound]:
    """Return a lower bound of the number of batches, and the limit that gives it."""
    bounds: dict[Bound, int] = {
        "input": -(-sum(size.input_tokens for size in sizes) // limits.room),
        "output": -(-sum(size.output_tokens for size in sizes) // limits.max_output_tokens),
        "users": -(-len(sizes) // limits.max_users),
    }
    binding = max(bounds, key=bounds.__getitem__)
    return bounds[binding], binding


def tight_bound(sizes: Sequence[PartSize], limits: BatchLimits) -> int:
    """Return the best bound known: `lower_bound`, or for tokens in or out L2, or one by rounding or counting parts."""
    return max(volume_bound(sizes, limits), count_bound(sizes, limits).bound)


def volume_bound(sizes: Sequence[PartSize], limits: BatchLimits) -> int:
    """Return the best bound but for that by counting."""
    by_dimension = (max(_l2(*tokens), _rounded(*tokens)) for tokens in _dimensions(sizes, limits))
    return max(lower_bound(sizes, limits)[0], *by_dimension)


def count_bound(sizes: Sequence[PartSize], limits: BatchLimits) -> CountBound:
    """Bound by how many parts fit together.

    At most k + 1 parts larger than a (k + 2)th of a budget share a batch. As many batches as the smallest of these parts
    fill have k + 1 of them, all others at most k.
    """
    best = CountBound(0, 0, [])
    for tokens, budget in _dimensions(sizes, limits):
        order = sorted(range(len(sizes)), key=tokens.__getitem__)
        ordered = [tokens[index] for index in order]
        for k in range(1, _SHARES):
            first = bisect_right(ordered, budget // (k + 2))
            total = [0, *accumulate(ordered[first:])]
            most = len(ordered) - first

            def excess(batch: int, k: int = k, budget: int = budget, total: list[int] = total) -> int:
                return total[(k + 1) * (batch + 1)] - (batch + 1) * budget

            full = bisect_right(range(most // (k + 1)), 0, key=excess)
            bound = -(-(most - full) // k)
            if bound > best.bound:
                best = CountBound(bound, full, order[first : first + (k + 1) * full])
    return best


def _dimensions(sizes: Sequence[PartSize], limits: BatchLimits) -> Iterator[tuple[list[int], int]]:
    yield [size.input_tokens for size in sizes], limits.room
    yield [size.output_tokens for size in sizes], limits.max_output_tokens


def _rounded(tokens: Iterable[int], budget: int) -> int:
    """Bound one dimension by shares rounded so that no batch holds more than one in all.

    The dual feasible functions u(k) of Fekete and Schepers (2001): 0.21 of a budget counts as a quarter,
    since there is no room for a fifth such part.
    """
    ordered = sorted(tokens)
    best = 0
    for k in range(2, _SHARES):
        total = 0  # in units of 1 / (budget * k)
        for share in range(1, k + 2):  # in units of a (k + 1)th
            least, over = divmod(share * budget, k + 1)
            from_here = bisect_left(ordered, least + (over > 0))
            total += (len(ordered) - from_here) * budget
            if not over:  # a share that needs no rounding
                total -= (bisect_right(ordered, least) - from_here) * (share * budget - least * k)
        best = max(best, -(-total // (budget * k)))
    return best


def _l2(tokens: Iterable[int], budget: int) -> int:
    """Bound one dimension (Martello and Toth 1990): parts larger than half a budget need batches of their own.

    For every k: parts above budget - k share a batch with none from k on; those from k to half a budget fill what the
    parts between leave free, and batches of their own.
    """
    ordered = sorted(tokens, reverse=True)
    total = [0, *accumulate(ordered)]
    halves = bisect_left(ordered, -(budget / 2), key=neg)  # parts above half a budget
    best = halves
    for k in {ordered[index] for index in range(halves, len(ordered))}:
        alone = bisect_left(ordered, k - budget, key=neg)  # above budget - k
        small_end = bisect_right(ordered, -k, key=neg)  # down to k itself
        free = (halves - alone) * budget - (total[halves] - total[alone])
        small = total[small_end] - total[halves]
        best = max(best, halves + max(0, -(-(small - free) // budget)))
    return best
