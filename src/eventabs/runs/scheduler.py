"""Which batch goes next: the plan first, then what has to be asked again, in smaller batches."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from eventabs.prompts import BatchLimits, plan, shuffled
from eventabs.records import Batch, PlannedPart


class Scheduler:
    """A queue of batches. Parts that are put back are packed anew once the plan has been sent.

    They wait so that they can share calls: each call pays for the instructions once more.
    """

    def __init__(
        self, pending: Iterable[PlannedPart], limits: BatchLimits, *, probe: bool = False, workers: int = 1
    ) -> None:
        self._limits = limits
        self._workers = workers
        self._again: dict[int, list[PlannedPart]] = {}  # by the most parts that their batch may have
        fresh = []
        for planned in pending:
            if planned.max_peers:
                self.put_back([planned])
            else:
                fresh.append(planned)
        self._queue = deque(plan(fresh, limits, probe=probe, workers=workers))

    def next(self) -> Batch | None:
        """Take the next batch; None while there is nothing to send."""
        if not self._queue:
            self.plan_again()
        return self._queue.popleft() if self._queue else None

    def put_back(self, parts: Iterable[PlannedPart]) -> None:
        """Take parts that have to be asked again."""
        for planned in parts:
            peers = min(planned.max_peers, self._limits.max_users)
            self._again.setdefault(peers, []).append(planned)

    def replan(self, limits: BatchLimits) -> None:
        """Pack all that has not been sent under other limits."""
        self._limits = limits
        for batch in self._queue:
            self.put_back(batch.parts)
        self._queue.clear()
        self.plan_again()

    @property
    def planned(self) -> int:
        """How many batches wait that are packed."""
        return len(self._queue)

    @property
    def batches(self) -> int:
        """How many batches wait; an estimate where parts still have to be packed."""
        again = (-(-len(parts) // (peers or self._limits.max_users)) for peers, parts in self._again.items())
        return len(self._queue) + sum(again)

    def plan_again(self) -> None:
        """Pack what has to be asked again."""
        for peers in sorted(self._again, key=lambda peers: (peers != 0, -peers)):
            limits = replace(self._limits, max_users=peers) if peers else self._limits
            self._queue += plan(shuffled(self._again[peers]), limits, workers=1 if peers else self._workers)
        self._again.clear()
