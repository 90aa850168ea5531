"""The plan: which parts go into which batch. Pure, so that estimate and run agree."""

import hashlib
from collections.abc import Iterable, Sequence

from eventabs.prompts.packing import Limits, pack
from eventabs.records import Batch, PlannedPart

PROBE_SHARE = 0.7  # of the budgets, for the first batch: nothing is known yet of how long answers are


def plan(parts: Sequence[PlannedPart], limits: Limits, *, probe: bool = False) -> list[Batch]:
    """Pack parts into batches, the longest first.

    With `probe` the first batch leaves room for an answer that is longer than expected; what it gives
    up goes into others, or into one more.
    """
    batches = pack([planned.size for planned in parts], limits)
    packed = [[parts[index] for index in batch] for batch in batches]
    if probe and packed:
        _make_room_in_first(packed, limits)
    return [Batch(tuple(batch)) for batch in packed]


def shuffled(parts: Iterable[PlannedPart]) -> list[PlannedPart]:
    """Order parts differently at each attempt, yet the same in every process."""

    def key(planned: PlannedPart) -> bytes:
        return hashlib.sha256(
            repr((planned.attempts, planned.broken_calls, planned.part)).encode("utf-8", "surrogatepass")
        ).digest()

    return sorted(parts, key=key)


def _make_room_in_first(batches: list[list[PlannedPart]], limits: Limits) -> None:
    first, *others = batches
    room = PROBE_SHARE * limits.room
    max_output = PROBE_SHARE * limits.max_output_tokens
    moved = []
    while len(first) > 1 and (_input(first) > room or _output(first) > max_output):
        moved.append(first.pop())
    for planned in moved:
        _move(planned, others, limits)
    batches[1:] = others


def _move(planned: PlannedPart, batches: list[list[PlannedPart]], limits: Limits) -> None:
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
