"""A run over shards, driven as on a cluster, with tasks of this process: claimed, copied, merged, gone on with."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from eventabs import __version__
from eventabs.config import load_settings
from eventabs.errors import UsageError
from eventabs.runs import ShardMoved
from eventabs.shards.cluster.driver import Driver, ProcessLostError
from eventabs.shards.cluster.limiter import Limiter, State
from eventabs.shards.cluster.permits import Account, Amount, SharedLimits
from eventabs.shards.cluster.share import open_share
from eventabs.shards.cluster.worker import Ended, Job, forget_input, work_on
from eventabs.stop import Stop
from eventabs.store import RunDirectory, public_settings
from paths import ROOT
from runs_kit import Watcher

LOST = "lost"
EXAMPLE = ROOT / "examples" / "behaviors.jsonl"


class Here:
    """A cluster of this process. `lose`: how often the task of a shard is lost before it begins."""

    def __init__(self, folder: Path, lose: dict[str, int] | None = None) -> None:
        self.folder = folder
        self.lose = lose or {}
        self.begun = list[str]()

    def start_limiter(self, _name: str, limits: SharedLimits, shards: Sequence[str]) -> None:
        self.limiter = Limiter(limits, shards, clock=time.monotonic)

    async def look(self, known: State, stop: int) -> State:
        return await self.limiter.look(known, stop)

    async def forget_input(self, job: Job) -> None:
        forget_input(job, self.folder)

    async def work_on(self, job: Job, shard: str) -> Ended:
        self.begun.append(shard)
        if self.lose.get(shard):
            self.lose[shard] -= 1
            raise ProcessLostError(LOST)
        return await work_on(job, shard, self.limiter, environment=os.environ, folder=self.folder)


def make_job(path: Path, *, version: str = __version__) -> Job:
    flags = {"llm": {"provider": "rules"}, "budget": {"max_users": 4}}
    settings = load_settings(None, flags, isolated=True)
    return Job(
        version=version,
        language="en",
        paths=(str(EXAMPLE),),
        settings=public_settings(settings),
        config_file="",
        share=str(path / "share"),
        run_id="run",
        shards=2,
        copy_seconds=0.5,
        lease_seconds=2.0,
        limits=SharedLimits(0, 0, 0.0, 0),
    )


async def drive(path: Path, job: Job, cluster: Here, stop: Stop | None = None) -> tuple[Driver, Watcher]:
    directory = RunDirectory(path / "run.eventabs")
    directory.cluster.mkdir(parents=True, exist_ok=True)
    watcher = Watcher()
    driver = Driver(job, directory, cluster, watcher, stop or Stop())
    await driver.run()
    return driver, watcher


async def test_all_shards_are_worked_on_and_merged(tmp_path: Path) -> None:
    cluster = Here(tmp_path / "disk")
    driver, watcher = await drive(tmp_path, make_job(tmp_path), cluster)
    saved = RunDirectory(tmp_path / "run.eventabs").saved()
    assert (driver.status, saved["status"], saved["success_count"]) == ("completed", "completed", 24)
    assert {shard["status"] for shard in saved["shards"]} == {"completed"}
    assert watcher.progress[-1].done == 24
    assert not (tmp_path / "disk" / "run").exists()  # what is copied, and the input, take no room here


async def test_a_lost_shard_is_begun_again_and_told(tmp_path: Path) -> None:
    cluster = Here(tmp_path / "disk", lose={"1": 2})
    driver, watcher = await drive(tmp_path, make_job(tmp_path), cluster)
    assert driver.status == "completed"
    assert cluster.begun == ["0", "1", "1", "1"]
    assert watcher.of(ShardMoved) == [ShardMoved("1", "lost", 0)]


async def test_a_shard_that_is_always_lost_stops_the_run(tmp_path: Path) -> None:
    driver, _watcher = await drive(tmp_path, make_job(tmp_path), Here(tmp_path / "disk", lose={"1": 99}))
    assert (driver.status, driver.cause) == ("stopped", "lost")


async def test_a_later_driver_begins_nothing_that_is_done(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    await drive(tmp_path, job, Here(tmp_path / "disk"))
    later = Here(tmp_path / "disk")
    driver, _watcher = await drive(tmp_path, job, later)
    assert (driver.status, later.begun) == ("completed", [])
    assert RunDirectory(tmp_path / "run.eventabs").saved()["success_count"] == 24


async def test_machines_with_another_version_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="install the same version on all machines"):
        await drive(tmp_path, make_job(tmp_path, version="0.0.9"), Here(tmp_path / "disk"))


async def test_after_a_stop_the_next_driver_goes_on_though_claims_were_left_behind(tmp_path: Path) -> None:
    job, stop = make_job(tmp_path), Stop(grace_seconds=0.1)
    assert job.claims(open_share(job.share)).take("1")  # of a process that is gone
    stop.request()
    driver, _watcher = await drive(tmp_path, job, Here(tmp_path / "disk"), stop)
    assert driver.status == "interrupted"
    again, _watcher = await drive(tmp_path, replace(job, drive="again"), Here(tmp_path / "disk"))
    assert again.status == "completed"
    assert RunDirectory(tmp_path / "run.eventabs").saved()["success_count"] == 24
    claims = job.claims(open_share(job.share))
    assert {claims.look(shard).state for shard in job.names} == {"free"}


async def test_a_shard_that_two_processes_are_given_is_worked_on_by_one_after_the_other(
    tmp_path: Path,
) -> None:
    job, cluster = make_job(tmp_path), Here(tmp_path / "disk")
    cluster.start_limiter("limiter", job.limits, job.names)
    nothing = {name: Account(0, Amount()) for name in job.names}
    await cluster.look(State(nothing), 0)
    both = [cluster.work_on(job, "0") for _process in range(2)]
    ended = await asyncio.gather(*both)
    assert [each.status for each in ended] == ["completed", "completed"]
    claim = job.claims(open_share(job.share)).look("0")
    assert claim.generation == 2
    counts = claim.facts["counts"]
    assert counts["calls"] < 2 * -(-counts["done"] // 4)  # nobody was asked about twice
