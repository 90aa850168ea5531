"""Which batch goes next: the plan first, then what has to be asked again, in smaller batches."""

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from eventabs.prompts.packing import Limits, pack
from eventabs.records import Batch, PlannedPart


class Scheduler:
    """A queue of batches. Parts that are put back are packed anew once the plan has been sent.

    They wait so that they can share calls: each call pays for the instructions once more.
    """

    def __init__(self, pending: Iterable[PlannedPart], limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Batch] = deque()
        self._again: list[PlannedPart] = []
        parts = list(pending)
        fresh = [planned for planned in parts if not planned.max_peers]
        self._again += [planned for planned in parts if planned.max_peers]
        self._queue += _packed(fresh, limits)

    def next(self) -> Batch | None:
        """Take the next batch; None while there is nothing to send."""
        if not self._queue:
            self._plan_again()
        return self._queue.popleft() if self._queue else None

    def put_back(self, parts: Iterable[PlannedPart]) -> None:
        """Take parts that have to be asked again."""
        self._again += parts

    @property
    def batches(self) -> int:
        """How many batches wait; an estimate where parts still have to be packed."""
        return len(self._queue) + sum(
            -(-len(group) // (peers or self._limits.max_users)) for peers, group in self._groups()
        )

    def _plan_again(self) -> None:
        for peers, group in self._groups():
            limits = replace(self._limits, max_users=peers) if peers else self._limits
            self._queue += _packed(sorted(group, key=_shuffled), limits)
        self._again.clear()

    def _groups(self) -> list[tuple[int, list[PlannedPart]]]:
        groups: dict[int, list[PlannedPart]] = {}
        for planned in self._again:
            groups.setdefault(planned.max_peers, []).append(planned)
        return sorted(groups.items(), reverse=True)


def _packed(parts: Sequence[PlannedPart], limits: Limits) -> list[Batch]:
    batches = pack([planned.size for planned in parts], limits)
    return [Batch(tuple(parts[index] for index in batch)) for batch in batches]


def _shuffled(planned: PlannedPart) -> bytes:
    """Order parts differently at each attempt, yet the same in every process."""
    return hashlib.sha256(repr((planned.attempts, planned.broken_calls, planned.part)).encode()).digest()
