"""The plan: which parts go into which batch. As few batches as possible, evenly filled, longest first. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import heapreplace

from eventabs.prompts.packing.bounds import BatchLimits, count_bound, tight_bound, volume_bound
from eventabs.prompts.packing.search import Batches, Packer
from eventabs.records import Batch, PartSize, PlannedPart

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
        batches = _sooner(batches, pack(sizes, limits, least=whole_rounds), sizes, limits, workers)
    packed = [[parts[index] for index in batch] for batch in batches]
    if probe and packed:
        _make_room_in_first(packed, limits)
    return [Batch(tuple(batch)) for batch in packed]


def _sooner(
    batches: Batches, more: Batches, sizes: Sequence[PartSize], limits: BatchLimits, workers: int
) -> Batches:
    """Return `more` batches if they save a larger share of time than they cost of tokens."""
    before, after = (_rounds_end(packed, sizes, workers) for packed in (batches, more))
    tokens = sum(size.input_tokens + size.output_tokens for size in sizes)
    tokens += limits.instructions_tokens * len(batches)
    added = limits.instructions_tokens * (len(more) - len(batches))
    return more if (before - after) * tokens > added * before else batches


def _rounds_end(batches: Sequence[Sequence[int]], sizes: Sequence[PartSize], workers: int) -> int:
    """Return the output tokens of the busiest worker if the first free worker takes the next batch."""
    free = [0] * workers
    for batch in batches:
        heapreplace(free, free[0] + sum(sizes[index].output_tokens for index in batch))
    return max(free)


def _make_room_in_first(batches: list[list[PlannedPart]], limits: BatchLimits) -> None:
    first, *others = batches
    removed = []
    while len(first) > 1 and not _holds(first, limits, PROBE_SHARE):
        removed.append(first.pop())
    for planned in removed:
        roomy = (batch for batch in reversed(others) if _holds([*batch, planned], limits))
        if (batch := next(roomy, None)) is not None:
            batch.append(planned)
        else:
            others.append([planned])
    batches[1:] = others


def _holds(parts: Sequence[PlannedPart], limits: BatchLimits, share: float = 1) -> bool:
    tokens_in, tokens_out = _tokens(planned.size for planned in parts)
    return (
        tokens_in <= share * limits.room
        and tokens_out <= share * limits.max_output_tokens
        and len(parts) <= limits.max_users
    )


def _tokens(sizes: Iterable[PartSize]) -> tuple[int, int]:
    sizes = list(sizes)
    return sum(size.input_tokens for size in sizes), sum(size.output_tokens for size in sizes)


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
    fitting = [index for index, size in enumerate(sizes) if limits.hold(size)]
    batches = [[index] for index, size in enumerate(sizes) if not limits.hold(size)]
    least -= len(batches)
    for indices in _windows(fitting, sizes, limits):
        own = [sizes[index] for index in indices]
        share = -(-least * len(own) // len(fitting))
        packed = _packed(own, limits, min(share, len(own)))
        batches += [sorted(indices[at] for at in batch) for batch in packed]

    def longest_first(batch: list[int]) -> tuple[int, int, int]:
        tokens_in, tokens_out = _tokens(sizes[index] for index in batch)
        return -tokens_out, -tokens_in, batch[0]

    return sorted(batches, key=longest_first)


def _packed(sizes: Sequence[PartSize], limits: BatchLimits, least: int) -> Batches:
    if limits.max_users == 1:
        return [[index] for index in range(len(sizes))]
    by_volume = max(volume_bound(sizes, limits), least)
    by_count = count_bound(sizes, limits)
    if by_count.bound <= by_volume:
        return Packer(sizes, limits).packed(by_volume)
    # small parts are counted with small parts: their sizes decide how many fit together
    full = by_count.full - int(by_count.full * _SLACK)
    small = set(by_count.smallest[: full * len(by_count.smallest) // max(1, by_count.full)])
    classes = (
        [index for index in range(len(sizes)) if (index in small) is wanted] for wanted in (True, False)
    )
    by_class: Batches = []
    for indices in filter(None, classes):
        own = [sizes[index] for index in indices]
        packed = Packer(own, limits).packed(tight_bound(own, limits))
        by_class += [[indices[at] for at in batch] for batch in packed]
    if len(by_class) <= by_count.bound + by_count.bound // _CLOSE:
        return by_class
    return min(by_class, Packer(sizes, limits).packed(by_count.bound), key=len)


def _windows(indices: list[int], sizes: Sequence[PartSize], limits: BatchLimits) -> list[list[int]]:
    if len(indices) <= _AT_ONCE:
        return [indices] if indices else []
    fills = [max(tokens_in / limits.room, out / limits.max_output_tokens) for tokens_in, out in sizes]
    count = -(-len(indices) // _WINDOW)
    ordered = sorted(indices, key=fills.__getitem__)  # equal parts stay in order
    return [ordered[window::count] for window in range(count)]
