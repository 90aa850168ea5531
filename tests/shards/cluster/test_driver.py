"""A run over shards, driven as on a cluster, with tasks of this process: claimed, copied, merged, gone on with."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_kit import Here, drive, make_job
from eventabs.errors import UsageError
from eventabs.runs import ShardMoved
from eventabs.shards.cluster.limiter import State
from eventabs.shards.cluster.permits import Account, Amount
from eventabs.shards.cluster.share import open_share
from eventabs.stop import Stop
from eventabs.store import RunDirectory


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
