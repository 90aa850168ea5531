"""Parts -> batches under three limits: as few batches as possible, evenly filled, longest first."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import neg
from typing import Literal

from eventabs.prompts.filling import Packer
from eventabs.prompts.limits import Limits
from eventabs.records import PartSize

__all__ = ["Limits", "case_batches", "lower_bound", "pack", "tight_bound"]

Bound = Literal["input", "output", "users"]

MAX_ALIASES = 999  # U1000 would cost a token more than what was measured

_AT_ONCE = 20_000  # parts; more are packed in windows, each a sample of all sizes
_WINDOW = 10_000
_SHARES = 12  # beyond, rounding gains next to nothing


def lower_bound(sizes: Sequence[PartSize], limits: Limits) -> tuple[int, Bound]:
    """Return the number of batches that no packing can undercut, and the limit that it comes from.

    max(ceil(input / (budget - instructions)), ceil(output / budget), ceil(users / max_users)).
    """
    bounds: dict[Bound, int] = {
        "input": -(-sum(size.input_tokens for size in sizes) // limits.room),
        "output": -(-sum(size.output_tokens for size in sizes) // limits.max_output_tokens),
        "users": -(-len(sizes) // limits.max_users),
    }
    binding = max(bounds, key=bounds.__getitem__)
    return bounds[binding], binding


def tight_bound(sizes: Sequence[PartSize], limits: Limits) -> int:
    """Return the best bound known: `lower_bound`, or for tokens in or out L2 or one by rounding shares."""
    dimensions = (
        ([size.input_tokens for size in sizes], limits.room),
        ([size.output_tokens for size in sizes], limits.max_output_tokens),
    )
    others = [bound(tokens, budget) for tokens, budget in dimensions for bound in (_l2, _rounded)]
    return max(lower_bound(sizes, limits)[0], *others)


def _rounded(tokens: Sequence[int], budget: int) -> int:
    """Bound one dimension by shares rounded so that no batch holds more than one in all.

    The dual feasible functions u(k) of Fekete and Schepers (2001): 0.21 of a budget counts as a quarter,
    since there is no room for a fifth such part.
    """
    best = 0
    for k in range(2, _SHARES):
        # in units of 1 / (budget * k)
        total = sum(
            tokens_ * k if tokens_ * (k + 1) % budget == 0 else (tokens_ * (k + 1) // budget) * budget
            for tokens_ in tokens
        )
        best = max(best, -(-total // (budget * k)))
    return best


def _l2(tokens: Iterable[int], budget: int) -> int:
    """Bound one dimension (Martello and Toth 1990): what is larger than half a budget stands in batches of its own.

    For every k: parts above budget - k share with nobody from k on; those from k to half a budget fill what the
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


def pack(sizes: Sequence[PartSize], limits: Limits, *, least: int = 0) -> list[list[int]]:
    """Return batches as indices into `sizes`, the longest expected answer first.

    As few as can be found, evenly filled, but `least` where there are parts enough. No batch breaks a limit, but
    for parts that exceed one by themselves: these stand alone. More than 20,000 parts are packed in windows
    of 10,000.
    """
    fitting = [index for index, size in enumerate(sizes) if limits.hold(size)]
    batches = [[index] for index, size in enumerate(sizes) if not limits.hold(size)]
    least -= len(batches)
    for indices in _windows(fitting, sizes, limits):
        own = [sizes[index] for index in indices]
        share = -(-least * len(own) // len(fitting))
        bound = max(tight_bound(own, limits), min(share, len(own)))
        packed = Packer(own, limits, MAX_ALIASES).packed(bound)
        batches += [sorted(indices[at] for at in batch) for batch in packed]

    def length(batch: list[int]) -> tuple[int, int, int]:
        tokens_out = sum(sizes[index].output_tokens for index in batch)
        tokens_in = sum(sizes[index].input_tokens for index in batch)
        return -tokens_out, -tokens_in, batch[0]

    return sorted(batches, key=length)


def _windows(indices: list[int], sizes: Sequence[PartSize], limits: Limits) -> list[list[int]]:
    if len(indices) <= _AT_ONCE:
        return [indices] if indices else []

    def fill(index: int) -> tuple[float, int]:
        size = sizes[index]
        return max(size.input_tokens / limits.room, size.output_tokens / limits.max_output_tokens), index

    count = -(-len(indices) // _WINDOW)
    ordered = sorted(indices, key=fill)
    return [ordered[window::count] for window in range(count)]


def case_batches(counts: Sequence[int], budget: int) -> int:
    """Return how many batches the practice makes that this tool replaces, from behaviors by user.

    Users in order (of user_id, say), 50 tokens a behavior and 100 a user guessed; a batch is closed when
    the next user would pass the budget.
    """
    batches = load = 0
    for count in counts:
        tokens = 50 * count + 100
        if not batches or load + tokens > budget:
            batches += 1
            load = 0
        load += tokens
    return batches
