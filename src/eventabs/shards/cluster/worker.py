"""What a machine does with a shard: claim it, go on from where it was left, work, and give it up."""

import asyncio
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eventabs import __version__
from eventabs.config import Settings
from eventabs.errors import EventabsError
from eventabs.language import Language, activate, gettext as _
from eventabs.providers import Price
from eventabs.records import Counts, RunStatus
from eventabs.runs import (
    AwaitingEndpoint,
    CallFailed,
    CoolingDown,
    CopyFailed,
    Invocation,
    JobChanged,
    JobTrouble,
    LogFile,
    Note,
    Observer,
    Progress,
    RunContext,
    Started,
    begin_run,
    execute,
    reopen_run,
)
from eventabs.shards.cluster.claims import ClaimLostError, Claims, Holding
from eventabs.shards.cluster.copies import restore_run
from eventabs.shards.cluster.leases import SharedPermits, out_amount
from eventabs.shards.cluster.limiter import LimiterClient, ShardOpened
from eventabs.shards.cluster.permits import Amount, SharedLimits, SupersededError
from eventabs.shards.cluster.share import Share, open_share
from eventabs.shards.cluster.upkeep import Upkeep
from eventabs.stop import Stop, StopRequested
from eventabs.store import Ledger, RunDirectory, awaited_tokens, count_all, stored_jobs

_LOOKS_A_LEASE = 10
_INPUT = "input-"  # begins the folders of what is read once on a machine
_TOLD = (
    AwaitingEndpoint,
    CallFailed,
    CoolingDown,
    JobChanged,
    JobTrouble,
)  # notes that say something of the whole run


@dataclass(frozen=True, slots=True)
class Job:
    """What all machines are told of a run. It holds no secret: keys come from the environment of each machine.

    `settings` are public ones, as a ledger keeps them; `paths` are absolute or addresses; `claims` and `copies` are folders in the share.
    `drive` names the input that machines have read since the driver began: what an earlier one had read may have changed.
    """

    version: str
    language: Language
    paths: tuple[str, ...]
    settings: Mapping[str, Any]
    config_file: str
    share: str
    run_id: str
    shards: int
    copy_seconds: float
    lease_seconds: float
    limits: SharedLimits
    folder: str = (
        ""  # of the run directories while they are worked on; "": one in each machine's own scratch space
    )
    accept_changes: bool = False
    retry_failed: bool = False
    cancel: bool = False  # the jobs of the batch service
    drive: str = field(default_factory=lambda: uuid.uuid4().hex)  # changes with each driver

    @property
    def names(self) -> list[str]:
        """The names of the shards."""
        return [str(index) for index in range(self.shards)]

    def directory_name(self, shard: str) -> str:
        """Return the name of a shard's run directory."""
        return f"{shard}-of-{self.shards}.eventabs"

    def scratch(self, folder: Path) -> Path:
        """Return what lies in `folder`, the machine's own, of this run."""
        return folder / self.run_id

    def claims(self, share: Share) -> Claims:
        """Return the claims of this process on the shards."""
        return Claims(share, f"{self.run_id}/claims", lease_seconds=self.lease_seconds, clock=time.monotonic)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work on a shard ended. `error`: why it was stopped, in one line; `is_lost`: another process has it now.

    `is_alone`: what stopped it stops no other shard, whose jobs may bring what is paid for.
    """

    status: RunStatus
    error: str = ""
    exit_code: int = 0
    is_lost: bool = False
    is_alone: bool = False


async def work_on(
    job: Job, shard: str, limiter: LimiterClient, *, environment: Mapping[str, str], folder: Path
) -> Ended:
    """Work on a shard until it is done or stopped; raise nothing that a user can cause.

    `folder` is on a local disk, and the machine's own.
    """
    activate(job.language)
    if job.version != __version__:
        message = _(
            "a machine has eventabs {found}, the driver {version}; install the same version on all machines"
        )
        return Ended("stopped", message.format(found=__version__, version=job.version), exit_code=2)
    try:
        return await _Work(job, shard, limiter, environment, folder).run()
    except (StopRequested, asyncio.CancelledError):
        return Ended("interrupted")
    except (ClaimLostError, SupersededError):
        return Ended("stopped", is_lost=True)
    except EventabsError as error:
        return Ended("stopped", str(error), error.exit_code)


def forget_input(job: Job, folder: Path) -> None:
    """Remove what a machine keeps of the input for shards that have not read it; `folder` is its own."""
    for kept in job.scratch(folder).glob(f"{_INPUT}*"):
        shutil.rmtree(kept, ignore_errors=True)
    with suppress(OSError):  # shards are here
        job.scratch(folder).rmdir()


class _Work:
    def __init__(
        self, job: Job, shard: str, limiter: LimiterClient, environment: Mapping[str, str], folder: Path
    ) -> None:
        self._job = job
        self._shard = shard
        self._limiter = limiter
        self._environment = environment
        self._path = job.scratch(folder) / job.directory_name(shard)
        self._partitions = job.scratch(folder) / f"{_INPUT}{job.drive}"
        self._mark = self._path.with_suffix(".generation")
        self._share = open_share(job.share)
        self._stop = Stop()
        self._permits: SharedPermits | None = None
        self._is_superseded = False

    async def run(self) -> Ended:
        """Claim, open, work, copy, release."""
        holding = await self._claimed()
        upkeep = Upkeep(
            self._share,
            holding,
            folder=f"{self._job.run_id}/copies/{self._shard}",
            copy_seconds=self._job.copy_seconds,
            facts=self._facts,
            on_lost=self._abandon,
            on_failure=lambda error: self._tell(CopyFailed(str(error))),
        )
        with upkeep:
            directory = await asyncio.to_thread(self._restored, holding)
            permits = self._permits = await self._introduced(directory, holding, upkeep)
            talking = asyncio.create_task(permits.talk())
            talking.add_done_callback(self._heed_end_of_talk)
            try:
                ended = await self._work(directory, upkeep, permits)
            finally:
                talking.cancel()
                if not upkeep.is_lost and not self._is_superseded:
                    await asyncio.to_thread(upkeep.release)
                    self._clear()
        if upkeep.is_lost or self._is_superseded:
            return Ended("stopped", is_lost=True)
        await permits.report_end()
        return ended

    async def _introduced(
        self, directory: RunDirectory | None, holding: Holding, upkeep: Upkeep
    ) -> SharedPermits:
        """Tell the limiter what the ledger has spent, so that a stop is heard of from now on."""
        counts, cost, out = Counts(), 0.0, Amount()
        if directory is not None:
            with Ledger.watch(directory.ledger) as ledger:
                counts, out = count_all(ledger), self._out(ledger)
                cost = self._price().total(counts) or 0.0
        permits = SharedPermits(
            self._limiter,
            self._job.limits,
            shard=self._shard,
            generation=holding.claim.generation,
            spent=Amount(counts.prompt_tokens + counts.completion_tokens, cost),
            out=out,
            on_stop=self._heed,
            secure=upkeep.secure,
            clock=time.monotonic,
        )
        permits.tell(ShardOpened(counts.calls))
        permits.tell(Progress(**asdict(counts)))
        return permits

    def _clear(self) -> None:
        """Leave nothing on this disk of what has been copied."""
        shutil.rmtree(self._path, ignore_errors=True)
        self._mark.unlink(missing_ok=True)
        with suppress(OSError):  # other shards are here
            for folder in self._path.parents[:2]:
                folder.rmdir()

    def _facts(self, ledger: Ledger) -> dict[str, Any]:
        """Return what the claim tells the driver of today, and the next one."""
        counts, status = count_all(ledger), ledger.meta().get("status", "running")
        cost = self._price().total(counts) or 0.0
        return {"status": status, "counts": asdict(counts), "cost": cost, "out": list(self._out(ledger))}

    def _out(self, ledger: Ledger) -> Amount:
        """Return what the jobs of the ledger may take that are out."""
        if not any(job.is_out for job in stored_jobs(ledger)):
            return Amount()
        calls, tokens = awaited_tokens(ledger)
        most = calls * self._job.settings["budget"]["max_output_tokens"]
        return out_amount(self._price(), tokens, most)

    def _price(self) -> Price:
        return Price.of(self._job.settings["llm"]["price"])

    async def _claimed(self) -> Holding:
        claims = self._job.claims(self._share)
        while (holding := await asyncio.to_thread(claims.take, self._shard)) is None:  # noqa: ASYNC110  a share tells nothing by itself
            await asyncio.sleep(self._job.lease_seconds / _LOOKS_A_LEASE)
        return holding

    def _restored(self, holding: Holding) -> RunDirectory | None:
        """Return the run directory to go on with: the one that the last owner left here, or its copy; None: there is none."""
        before = holding.before
        is_newest = self._mark.is_file() and self._mark.read_text("ascii") == str(before.generation)
        if is_newest and (self._path / "ledger.sqlite").is_file():
            directory = RunDirectory(self._path)
        elif before.copy:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory = restore_run(self._share, before.copy, self._path)
        else:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory = None
        self._mark.write_text(str(holding.claim.generation), "ascii")
        return directory

    async def _work(self, directory: RunDirectory | None, upkeep: Upkeep, permits: SharedPermits) -> Ended:
        with self._opened(directory) as run:
            upkeep.directory = run.directory
            if directory is not None and self._job.retry_failed:
                run.ask_failed_again()
            summary = await execute(
                run,
                self._stop,
                resumed=directory is not None,
                cancel=self._job.cancel,
                permits=permits,
                partitions=self._partitions,
            )
        if summary.status != "stopped":  # one that was interrupted says that jobs go on, as the driver will
            return Ended(summary.status)
        is_alone = permits.is_refused or self._job.cancel
        return Ended(summary.status, summary.cause, exit_code=1, is_alone=is_alone)

    def _opened(self, directory: RunDirectory | None) -> AbstractContextManager[RunContext]:
        config = Path(self._job.config_file) if self._job.config_file else None
        invocation = Invocation(
            config if config and config.is_file() else None, self._settings(), self._environment
        )
        if directory is None:
            return begin_run(
                invocation, paths=self._job.paths, out=self._path, watch=self._watch, stop=self._stop
            )
        return reopen_run(
            invocation,
            named=directory.path,
            changed="accept" if self._job.accept_changes else "refuse",
            confirmed=True,  # the driver, which somebody has started, names the endpoint
            watch=self._watch,
        )

    def _settings(self) -> dict[str, Any]:
        values = dict(self._job.settings)
        shard = f"{self._shard}/{self._job.shards}"
        return {**values, "input": {**values["input"], "shard": shard}}

    @contextmanager
    def _watch(self, directory: RunDirectory, _settings: Settings) -> Iterator[Observer]:
        with LogFile(directory.log, _Told(self._tell)) as log:
            yield log

    def _tell(self, fact: Progress | Note | ShardOpened) -> None:
        if self._permits is not None:
            self._permits.tell(fact)

    def _heed(self, stops: int) -> None:
        while self._stop.requests < stops:
            self._stop.request()

    def _heed_end_of_talk(self, talking: asyncio.Task[None]) -> None:
        if not talking.cancelled():
            self._is_superseded = isinstance(talking.exception(), SupersededError)
            self._abandon()

    def _abandon(self) -> None:
        """Stop at once: what this process knows of the shard counts no more."""
        self._heed(2)


class _Told:
    """Passes on what the driver is to hear."""

    def __init__(self, tell: Callable[[Progress | Note], None]) -> None:
        self._tell = tell

    def started(self, facts: Started) -> None:
        """Tell nothing: the driver has said it."""

    def noted(self, note: Note) -> None:
        """Tell notes about more than this shard."""
        if isinstance(note, _TOLD):
            self._tell(note)

    def progressed(self, progress: Progress) -> None:
        """Tell the counts."""
        self._tell(progress)
