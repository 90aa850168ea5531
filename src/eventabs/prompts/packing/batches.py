"""Parts -> batches under three limits: as few batches as possible, evenly filled, longest first."""

from collections.abc import Sequence

from eventabs.prompts.packing.bounds import BatchLimits, count_bound, tight_bound, volume_bound
from eventabs.prompts.packing.search import CLOSE, Packer
from eventabs.records import PartSize

__all__ = ["BatchLimits", "case_batches", "pack"]

MAX_ALIASES = 999  # U1000 would cost a token more than what was measured

_AT_ONCE = 20_000  # parts; more are packed in windows, each a sample of all sizes
_WINDOW = 10_000
_SLACK = 0.01  # of the fullest batches: parts seldom fit together to the last token


def pack(sizes: Sequence[PartSize], limits: BatchLimits, *, least: int = 0) -> list[list[int]]:
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
        batches += [
            sorted(indices[at] for at in batch) for batch in _packed(own, limits, min(share, len(own)))
        ]

    def length(batch: list[int]) -> tuple[int, int, int]:
        tokens_out = sum(sizes[index].output_tokens for index in batch)
        tokens_in = sum(sizes[index].input_tokens for index in batch)
        return -tokens_out, -tokens_in, batch[0]

    return sorted(batches, key=length)


def _packed(sizes: Sequence[PartSize], limits: BatchLimits, least: int) -> list[list[int]]:
    if limits.max_users == 1:
        return [[index] for index in range(len(sizes))]
    by_volume = max(volume_bound(sizes, limits), least)
    by_count = count_bound(sizes, limits)
    if by_count.bound <= by_volume:
        return Packer(sizes, limits, MAX_ALIASES).packed(by_volume)
    # how many parts fit together depends on their sizes: small ones go with small ones
    full = by_count.full - int(by_count.full * _SLACK)
    small = set(by_count.smallest[: full * len(by_count.smallest) // max(1, by_count.full)])
    classes = (
        [index for index in range(len(sizes)) if (index in small) is wanted] for wanted in (True, False)
    )
    apart = [
        [indices[at] for at in batch]
        for indices in classes
        if indices
        for batch in _packed_as_one([sizes[index] for index in indices], limits)
    ]
    if len(apart) <= by_count.bound + by_count.bound // CLOSE:
        return apart
    return min(apart, Packer(sizes, limits, MAX_ALIASES).packed(by_count.bound), key=len)


def _packed_as_one(sizes: Sequence[PartSize], limits: BatchLimits) -> list[list[int]]:
    return Packer(sizes, limits, MAX_ALIASES).packed(tight_bound(sizes, limits))


def _windows(indices: list[int], sizes: Sequence[PartSize], limits: BatchLimits) -> list[list[int]]:
    if len(indices) <= _AT_ONCE:
        return [indices] if indices else []

    room, max_output = limits.room, limits.max_output_tokens

    def fill(index: int) -> float:
        size = sizes[index]
        return max(size.input_tokens / room, size.output_tokens / max_output)

    count = -(-len(indices) // _WINDOW)
    ordered = sorted(indices, key=fill)  # equals stay in order
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
