"""The plan: which parts go into which batch. Pure, so that estimate and run agree."""

import hashlib
from collections.abc import Iterable, Sequence
from heapq import heapreplace

from eventabs.prompts.packing.batches import pack
from eventabs.prompts.packing.bounds import BatchLimits
from eventabs.records import Batch, PartSize, PlannedPart

PROBE_SHARE = 0.7  # of the budgets, for the first batch: nothing is known yet of how long answers are

_MOST_ROUNDS = 100  # with more, a full last round ends a run by less than 1 % sooner


def plan(
    parts: Sequence[PlannedPart], limits: BatchLimits, *, probe: bool = False, workers: int = 1
) -> list[Batch]:
    """Pack parts into batches, the longest first.

    Where more than one round of `workers`, and not hundreds, would end sooner with as many batches more as fill the
    last round, they get these, unless the instructions that are sent once more cost a larger share than is won.

    With `probe` the first batch leaves room for an answer that is longer than expected; what it gives
    up goes into others, or into one more.
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
    batches: list[list[int]],
    more: list[list[int]],
    sizes: Sequence[PartSize],
    limits: BatchLimits,
    workers: int,
) -> list[list[int]]:
    """Return `more` batches where the share of time won exceeds the share of tokens that they cost."""
    before, after = (_rounds_end(packed, sizes, workers) for packed in (batches, more))
    tokens = sum(size.input_tokens + size.output_tokens for size in sizes)
    tokens += limits.instructions_tokens * len(batches)
    added = limits.instructions_tokens * (len(more) - len(batches))
    return more if (before - after) * tokens > added * before else batches


def _rounds_end(batches: Sequence[Sequence[int]], sizes: Sequence[PartSize], workers: int) -> int:
    """Return how many output tokens the busiest worker writes when the first free one takes the next batch."""
    free = [0] * workers
    for batch in batches:
        heapreplace(free, free[0] + sum(sizes[index].output_tokens for index in batch))
    return max(free)


def shuffled(parts: Iterable[PlannedPart]) -> list[PlannedPart]:
    """Order parts differently at each attempt, yet the same in every process."""

    def key(planned: PlannedPart) -> bytes:
        return hashlib.sha256(
            repr((planned.attempts, planned.broken_calls, planned.part)).encode("utf-8", "surrogatepass")
        ).digest()

    return sorted(parts, key=key)


def _make_room_in_first(batches: list[list[PlannedPart]], limits: BatchLimits) -> None:
    first, *others = batches
    room = PROBE_SHARE * limits.room
    max_output = PROBE_SHARE * limits.max_output_tokens
    moved = []
    while len(first) > 1 and (_input(first) > room or _output(first) > max_output):
        moved.append(first.pop())
    for planned in moved:
        _move(planned, others, limits)
    batches[1:] = others


def _move(planned: PlannedPart, batches: list[list[PlannedPart]], limits: BatchLimits) -> None:
    for batch in reversed(batches):
        fits = (
            len(batch) < limits.max_users
            and _input(batch) + planned.size.input_tokens <= limits.room
            and _output(batch) + planned.size.output_tokens <= limits.max_output_tokens
        )
        if fits:
            batch.append(planned)
            return
    batches.append([planned])


def _input(parts: Sequence[PlannedPart]) -> int:
    return sum(planned.size.input_tokens for planned in parts)


def _output(parts: Sequence[PlannedPart]) -> int:
    return sum(planned.size.output_tokens for planned in parts)
