"""Calls that leave as lines of a file: opened in the ledger first, then written down."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from eventabs.providers import BatchProfile, Sampling, request_fields, request_line
from eventabs.records import Batch, Request, UserLog
from eventabs.runs.engine import open_call
from eventabs.runs.limits import SpendingLimit
from eventabs.runs.progress import ProgressTracker
from eventabs.runs.scheduler import Scheduler
from eventabs.runs.settlement import Settlement
from eventabs.stop import Stop
from eventabs.store import (
    JobState,
    Ledger,
    LedgerWriter,
    RunDirectory,
    add_to_job,
    job_requests,
    open_job,
    replace_file,
)

_CALLS_A_COMMIT = 20
_SPREAD = 2  # a line is seldom so many times as long as the longest before it


class JobRoom(NamedTuple):
    """What one file may hold: requests, bytes, and tokens of prompts. 0: no limit.

    `has_to_fit`: the first prompt too; else a file holds one at least.
    """

    requests: int = 0
    bytes: int = 0
    tokens: int = 0
    has_to_fit: bool = False


@dataclass(eq=False, kw_only=True)
class RequestWriter:
    """Opens calls for what the scheduler has, as requests of a job, and writes requests as lines.

    `compose` makes the request about some logs, `wall_clock` gives seconds since 1970. A batch that did not fit waits in `held`.
    """

    run_id: str
    directory: RunDirectory
    profile: BatchProfile
    model: str
    sampling: Sampling
    compose: Callable[[Sequence[UserLog]], Request]
    instructions_tokens: int
    settings_fingerprint: str
    wall_clock: Callable[[], float]
    writer: LedgerWriter
    scheduler: Scheduler
    settlement: Settlement
    tracker: ProgressTracker
    stop: Stop

    def __post_init__(self) -> None:
        self._held: Batch | None = None

    @property
    def batches_planned(self) -> int:
        """How many batches are packed and not part of a job yet."""
        return self.scheduler.planned + (self._held is not None)

    @property
    def batches_left(self) -> int:
        """How many batches are not part of a job yet."""
        return self.scheduler.batches + (self._held is not None)

    async def open_job(
        self, state: JobState, spending: SpendingLimit, room: JobRoom = JobRoom()
    ) -> int | None:
        """Open calls as one job until it is full; return its number, None where nothing is left or `spending` holds it back.

        Raises LimitReachedError where not even one more call keeps the limits and none is out, and StopRequested.
        """
        filling = _Filling(room)
        job_id: int | None = None
        while group := self._take(filling, spending):
            self.stop.check()
            job_id, opened = await self.writer.write(
                partial(self._open, state=state, job_id=job_id, group=group)
            )
            for line in opened:
                filling.bytes += line
                filling.longest = max(filling.longest, line)
                self.tracker.add(calls=1)
        return job_id

    def _take(self, filling: "_Filling", spending: SpendingLimit) -> list[Batch]:
        """Take the next batches that still fit."""
        group = list[Batch]()
        while len(group) < min(_CALLS_A_COMMIT, filling.lines_that_fit()):
            batch = self._held or self.scheduler.next()
            self._held = batch
            if batch is None:
                break
            tokens = self.instructions_tokens + sum(planned.size.input_tokens for planned in batch.parts)
            if not filling.takes(tokens) or not spending.reserve(batch, self.tracker):
                break
            filling.requests, filling.tokens = filling.requests + 1, filling.tokens + tokens
            group.append(batch)
            self._held = None
        return group

    def _open(
        self, ledger: Ledger, state: JobState, job_id: int | None, group: Sequence[Batch]
    ) -> tuple[int, list[int]]:
        """Write calls down as part of a job, which begins with its first one: none is ever empty.

        Return the job, and the bytes of each call's line.
        """
        job_id = job_id or open_job(ledger, state)
        lines = []
        for batch in group:
            call, request = open_call(
                ledger,
                batch,
                compose=self.compose,
                settings_fingerprint=self.settings_fingerprint,
                sent_at=self.wall_clock(),
            )
            fields = request_fields(request, self.model, self.sampling)
            add_to_job(ledger, job_id, call.id, fields)
            lines.append(
                len(request_line(self._custom_id(call.id), self.profile.url, fields, request.messages))
            )
        return job_id, lines

    def write_lines(self, ledger: Ledger, job_id: int | None = None) -> int:
        """Write requests.jsonl: the requests of a job, or of all, that have no answer; return how many.

        The file is a copy of what the ledger holds, so a lost one is made again.
        """
        written = 0

        def lines() -> Iterator[bytes]:
            nonlocal written
            for call_id, fields, messages in job_requests(ledger, job_id):
                written += 1
                yield request_line(self._custom_id(call_id), self.profile.url, fields, messages)

        replace_file(self.directory.requests, lines())
        return written

    def _custom_id(self, call_id: int) -> str:
        return custom_id(self.run_id, call_id)


@dataclass(slots=True)
class _Filling:
    """How far a job is filled."""

    room: JobRoom
    requests: int = 0
    bytes: int = 0
    tokens: int = 0
    longest: int = 0  # bytes of a line

    def lines_that_fit(self) -> int:
        """Return how many more lines fit for certain, going by the longest so far."""
        by_count = self.room.requests - self.requests if self.room.requests else _CALLS_A_COMMIT
        if not self.room.bytes:
            return by_count
        if not self.longest:
            return min(by_count, 1)
        return min(by_count, (self.room.bytes - self.bytes) // (_SPREAD * self.longest))

    def takes(self, tokens: int) -> bool:
        """Whether a prompt of so many tokens fits."""
        is_free = not self.requests and not self.room.has_to_fit
        return not self.room.tokens or is_free or self.tokens + tokens <= self.room.tokens


def custom_id(run_id: str, call_id: int) -> str:
    """Return what a call is named by in files: unique among all runs, at most 64 characters."""
    return f"{run_id}-{call_id}"


def call_of(name: str, run_id: str) -> int | None:
    """Return the call that a name stands for, None where it is none of this run."""
    run, _hyphen, number = name.rpartition("-")
    is_ours = run == run_id and number.isascii() and number.isdigit() and len(number) < len(run_id)
    return int(number) if is_ours else None
