"""Which batch goes next: the plan first, then what has to be asked again, in smaller batches."""

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from eventabs.prompts.packing import Limits, pack
from eventabs.records import Batch, PlannedPart

PROBE_SHARE = 0.7  # of the budgets, for the first batch: nothing is known yet of how long answers are


class Scheduler:
    """A queue of batches. Parts that are put back are packed anew once the plan has been sent.

    They wait so that they can share calls: each call pays for the instructions once more. With `probe`
    the first batch leaves room for an answer that is longer than expected.
    """

    def __init__(self, pending: Iterable[PlannedPart], limits: Limits, *, probe: bool = False) -> None:
        self._limits = limits
        self._again: dict[int, list[PlannedPart]] = {}  # by the most parts that their batch may have
        fresh = []
        for planned in pending:
            if planned.max_peers:
                self.put_back([planned])
            else:
                fresh.append(planned)
        self._queue = deque(_packed(fresh, limits))
        if probe and self._queue:
            self._make_room_in_first()

    def next(self) -> Batch | None:
        """Take the next batch; None while there is nothing to send."""
        if not self._queue:
            self._plan_again()
        return self._queue.popleft() if self._queue else None

    def put_back(self, parts: Iterable[PlannedPart]) -> None:
        """Take parts that have to be asked again."""
        for planned in parts:
            peers = min(planned.max_peers, self._limits.max_users)
            self._again.setdefault(peers, []).append(planned)

    def replan(self, limits: Limits) -> None:
        """Pack all that has not been sent under other limits."""
        self._limits = limits
        for batch in self._queue:
            self.put_back(batch.parts)
        self._queue.clear()
        self._plan_again()

    @property
    def batches(self) -> int:
        """How many batches wait; an estimate where parts still have to be packed."""
        again = (-(-len(parts) // (peers or self._limits.max_users)) for peers, parts in self._again.items())
        return len(self._queue) + sum(again)

    def _plan_again(self) -> None:
        for peers in sorted(self._again, key=lambda peers: (peers != 0, -peers)):
            limits = replace(self._limits, max_users=peers) if peers else self._limits
            self._queue += _packed(sorted(self._again[peers], key=_shuffled), limits)
        self._again.clear()

    def _make_room_in_first(self) -> None:
        """Move parts from the first batch into others that have room, or into one more."""
        room = PROBE_SHARE * self._limits.room
        max_output = PROBE_SHARE * self._limits.max_output_tokens
        kept = list(self._queue.popleft().parts)
        moved = []
        while len(kept) > 1 and (_input(kept) > room or _output(kept) > max_output):
            moved.append(kept.pop())
        others = [list(batch.parts) for batch in self._queue]
        for planned in moved:
            self._move(planned, others)
        self._queue = deque(Batch(tuple(parts)) for parts in [kept, *others])

    def _move(self, planned: PlannedPart, others: list[list[PlannedPart]]) -> None:
        limits = self._limits
        for parts in reversed(others):
            fits = (
                len(parts) < limits.max_users
                and _input(parts) + planned.size.input_tokens <= limits.room
                and _output(parts) + planned.size.output_tokens <= limits.max_output_tokens
            )
            if fits:
                parts.append(planned)
                return
        others.append([planned])


def _input(parts: Sequence[PlannedPart]) -> int:
    return sum(planned.size.input_tokens for planned in parts)


def _output(parts: Sequence[PlannedPart]) -> int:
    return sum(planned.size.output_tokens for planned in parts)


def _packed(parts: Sequence[PlannedPart], limits: Limits) -> list[Batch]:
    batches = pack([planned.size for planned in parts], limits)
    return [Batch(tuple(parts[index] for index in batch)) for batch in batches]


def _shuffled(planned: PlannedPart) -> bytes:
    """Order parts differently at each attempt, yet the same in every process."""
    return hashlib.sha256(repr((planned.attempts, planned.broken_calls, planned.part)).encode()).digest()
