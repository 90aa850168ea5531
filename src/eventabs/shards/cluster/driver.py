"""The driver of a run on a cluster: starts the tasks, hears how far they are, starts lost ones again, and merges what they leave."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from eventabs.errors import UsageError
from eventabs.records import Counts, RunStatus
from eventabs.runs import Note, Observer, Progress, ShardMoved, StateChanged, Stopping, going_on
from eventabs.shards.cluster.claims import Claim
from eventabs.shards.cluster.copies import restore_run
from eventabs.shards.cluster.limiter import ShardOpened, State
from eventabs.shards.cluster.permits import Account, Amount, SharedLimits
from eventabs.shards.cluster.share import open_share
from eventabs.shards.cluster.worker import Ended, Job
from eventabs.shards.merged_run import merge
from eventabs.stop import Stop
from eventabs.store import (
    Job as JobOfService,
    Ledger,
    RunDirectory,
    added_counts,
    stored_jobs,
    write_checkpoint,
)

_LOOK_SECONDS: Final = 1.0
_SECONDS_A_CHECKPOINT: Final = 10.0
_LOSSES: Final = 5  # of a shard in a row, without a call in between: then it is at fault itself
_GIVE_UP: Final = 3  # requests to stop, after which nobody is waited for


class ProcessLostError(Exception):
    """The process of a task is gone, or its machine."""


class Cluster(Protocol):
    """Where tasks run."""

    def start_limiter(self, name: str, limits: SharedLimits, shards: Sequence[str]) -> None:
        """Start the limiter, which is started again where it dies."""

    async def look(self, known: State, stop: int) -> State:
        """See `Limiter`."""

    async def forget_input(self, job: Job) -> None:
        """Have all machines remove what they keep of the input."""

    async def work_on(self, job: Job, shard: str) -> Ended:
        """Run the task of a shard to its end; cancelled where that has not begun. Raises ProcessLostError."""


@dataclass(eq=False)
class _Shard:
    """What the driver knows of a shard. `is_reporting`: its process reports by itself."""

    name: str
    account: Account
    progress: Progress
    is_done: bool
    task: asyncio.Task[Ended] | None = None
    is_reporting: bool = False
    losses: int = 0  # in a row, without a call in between
    calls_when_lost: int = -1
    lost: str = ""  # why its last process is gone, until another one goes on
    copy: str = ""  # the one that was collected last
    held: ExitStack = field(default_factory=ExitStack)


class Driver:
    """Drives the run of a job in a run directory. `status` and `cause` are how it ended."""

    def __init__(
        self, job: Job, directory: RunDirectory, cluster: Cluster, observer: Observer, stop: Stop
    ) -> None:
        self.status: RunStatus = "completed"
        self.cause = ""
        self._refusal = ""
        self._is_halted = False  # by a shard, for all
        self._jobs: list[JobOfService] = []
        self._job = job
        self._directory = directory
        self._cluster = cluster
        self._observer = observer
        self._stop = stop
        self._claims = job.claims(open_share(job.share))
        self._share = open_share(job.share)
        self._shards = {name: self._known(name) for name in job.names}
        self._lost = Amount()
        self._is_stop_told = False
        self._is_input_kept = True
        self._collector = ThreadPoolExecutor(1)
        self._collecting: asyncio.Future[None] | None = None
        self._began = time.monotonic()
        self._merged_at = self._saved_at = self._began
        self._facts = {
            "run_id": job.run_id,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "paths": list(job.paths),
            "settings": job.settings,
            "settings_fingerprint": "",
        }

    async def run(self) -> None:
        """Work until every shard is done or the run is stopped. Raises UsageError for what every machine refuses."""
        self._save()
        self._cluster.start_limiter(f"limiter-{self._job.run_id}", self._job.limits, self._job.names)
        for shard in self._shards.values():
            if not shard.is_done:
                self._start(shard)
        while tasks := [shard.task for shard in self._shards.values() if shard.task is not None]:
            await asyncio.wait(tasks, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._tell_stop()
            if self._stop.requests >= _GIVE_UP:
                break
            await self._look()
            for shard in self._shards.values():
                if shard.task is not None and shard.task.done():
                    self._end(shard, shard.task)
            self._keep()
        await self._conclude()

    async def _conclude(self) -> None:
        """Merge what all shards have left, and settle how the run ended."""
        if self._collecting is not None:
            await asyncio.wait({self._collecting})
        await self._collected()
        await self._forget_input()
        if self._refusal:
            raise UsageError(self._refusal)
        if self.status == "completed" and not all(shard.is_done for shard in self._shards.values()):
            self.status = "interrupted"
        cause = self.cause
        if self.status != "completed":
            cause = "; ".join(filter(None, (cause, going_on(self._jobs))))
        self._observer.noted(StateChanged(self.status, cause))

    def _tell_stop(self) -> None:
        if self._stop.requests and not self._is_stop_told:
            self._is_stop_told = True
            self._observer.noted(Stopping(self._stop.grace_seconds))

    @property
    def seconds(self) -> float:
        """How long this driver has worked."""
        return time.monotonic() - self._began

    def _known(self, name: str) -> _Shard:
        """Return what the share knows of a shard."""
        claim = self._claims.look(name)
        counts = Counts(**claim.facts.get("counts", {}))
        spent = Amount(counts.prompt_tokens + counts.completion_tokens, claim.facts.get("cost", 0.0))
        out = Amount(*claim.facts.get("out", ()))
        is_done = claim.facts.get("status") == "completed" and not self._job.retry_failed
        progress = Progress(**asdict(counts), batches_total=counts.batches_done, cost=spent.cost)
        return _Shard(
            name, Account(claim.generation, spent, out, allowance=spent.plus(out)), progress, is_done
        )

    def _start(self, shard: _Shard) -> None:
        shard.is_reporting = False
        shard.task = asyncio.create_task(self._cluster.work_on(self._job, shard.name))

    async def _look(self) -> None:
        """Hear from the shards by way of the limiter, and tell it of those that do not report."""
        absent = {shard.name: shard.account for shard in self._shards.values() if not shard.is_reporting}
        stops = self._stop.requests + bool(self._is_halted or self._refusal)
        state = await self._cluster.look(State(absent, self._lost), stops)
        self._lost = state.lost
        for name, note in state.notes:
            self._hear(self._shards[name], note)
        for name, shard in self._shards.items():
            shard.account = state.accounts.get(name, shard.account)
            shard.progress = state.progress.get(name, shard.progress)
            if stops and not shard.is_reporting and shard.task is not None:
                shard.task.cancel()
        self._observer.progressed(self._progress())

    def _hear(self, shard: _Shard, note: Note | ShardOpened) -> None:
        if not isinstance(note, ShardOpened):
            self._observer.noted(note)
            return
        shard.is_reporting = True
        if shard.lost:
            again = max(0, shard.progress.calls - note.calls)
            self._observer.noted(ShardMoved(shard.name, shard.lost, again))
            shard.lost = ""

    def _end(self, shard: _Shard, task: asyncio.Task[Ended]) -> None:
        shard.task, shard.is_reporting = None, False
        try:
            ended = task.result()
        except asyncio.CancelledError:
            ended = Ended("interrupted")
        except ProcessLostError as error:
            self._lose(shard, str(error))
            return
        if ended.is_lost:
            self._lose(shard, "claim")
        elif ended.status == "completed":
            shard.is_done = True
        elif ended.exit_code == UsageError.exit_code:
            self._refusal = self._refusal or ended.error
        elif ended.error:
            self.status, self.cause = "stopped", self.cause or ended.error
            self._is_halted = self._is_halted or not ended.is_alone
        elif self.status == "completed":
            self.status = "interrupted"

    def _lose(self, shard: _Shard, cause: str) -> None:
        shard.losses = shard.losses + 1 if shard.progress.calls == shard.calls_when_lost else 1
        shard.calls_when_lost = shard.progress.calls
        shard.lost = cause
        if shard.losses >= _LOSSES:
            self.status, self.cause, self._is_halted = "stopped", cause, True
        if self._stop.requests or self._is_halted or self._refusal:
            self.status = "stopped" if self.cause else "interrupted"
        else:
            self._start(shard)

    def _progress(self) -> Progress:
        every = [shard.progress for shard in self._shards.values()]
        speeds = [each.tokens_per_second for each in every if each.tokens_per_second is not None]
        etas = [each.eta_seconds for each in every if each.eta_seconds is not None]
        return replace(
            added_counts(every),
            eta_seconds=max(etas, default=None),
            tokens_per_second=sum(speeds) if speeds else None,
            seconds=self.seconds,
        )

    def _keep(self) -> None:
        """Write checkpoint.json every few seconds, and bring the merged view up to date as often as copies are made."""
        now = time.monotonic()
        if self._collecting is not None:
            if not self._collecting.done():
                return
            self._collecting.result()
            self._collecting = None
        if now - self._merged_at >= self._job.copy_seconds:
            self._merged_at = now
            self._collecting = asyncio.ensure_future(self._collected())
        elif now - self._saved_at >= _SECONDS_A_CHECKPOINT:
            self._saved_at = now
            self._save()

    async def _collected(self) -> None:
        """Collect in the one thread that may: locks are given back where they were taken."""
        await asyncio.get_running_loop().run_in_executor(self._collector, self._collect)
        if all(shard.copy or shard.is_done for shard in self._shards.values()):
            await self._forget_input()

    async def _forget_input(self) -> None:
        """Have machines remove the input, which no shard that has a copy reads again."""
        if self._is_input_kept:
            self._is_input_kept = False
            await self._cluster.forget_input(self._job)

    def _save(self) -> None:
        saved = self._directory.saved()
        progress = self._progress()
        write_checkpoint(
            self._directory,
            self._facts | {key: saved[key] for key in (*self._facts, "input") if key in saved},
            progress,
            status="running",
            cost=progress.cost,
            batches_left=progress.batches_total - progress.batches_done,
            shards=saved.get("shards", ()),
        )

    def _collect(self) -> None:
        """Fetch the copies that are new, and merge them all."""
        for shard in self._shards.values():
            claim = self._claims.look(shard.name)
            if claim.copy and claim.copy != shard.copy:
                with suppress(FileNotFoundError):  # a newer one has replaced it
                    self._fetch(shard, claim)
        fetched = [self._path(shard) for shard in self._shards.values() if shard.copy]
        if not any(shard.task for shard in self._shards.values()):
            for shard in self._shards.values():
                shard.held.close()
        if fetched:
            merge(fetched, self._directory.path, accept_changes=True)
        self._jobs = [job for path in fetched for job in _jobs_of(path)]

    def _fetch(self, shard: _Shard, claim: Claim) -> None:
        path = self._path(shard)
        shard.held.close()
        fresh = path.with_name(f"{path.name}.tmp")
        restore_run(self._share, claim.copy, fresh)
        shutil.rmtree(path, ignore_errors=True)
        fresh.rename(path)
        shard.copy = claim.copy
        shard.held.enter_context(RunDirectory(path).locked())  # so that it is seen to be under way

    def _path(self, shard: _Shard) -> Path:
        return self._directory.cluster / self._job.directory_name(shard.name)


def _jobs_of(path: Path) -> list[JobOfService]:
    with Ledger.watch(RunDirectory(path).ledger) as ledger:
        return stored_jobs(ledger)
