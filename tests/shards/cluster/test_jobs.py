"""Jobs of a batch service in a run over three shards: submitted and paid once whatever is lost, and within the limits of all."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import eventabs
from batch_service import BatchServer, Fate, RemoteJob
from cluster_kit import Machines, drive, make_job
from eventabs.config import load_settings
from eventabs.inspection import inspect_run
from eventabs.runs import JobTrouble, ShardMoved, StateChanged
from eventabs.shards.cluster.permits import SharedLimits
from eventabs.shards.cluster.worker import Job
from eventabs.stop import Stop
from eventabs.store import RunDirectory, public_settings
from house import write_users

USERS = 24
SHARDS = 3


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BatchServer]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with BatchServer() as running:
        yield running


def flags_of(server: BatchServer, **batch: object) -> dict[str, Any]:
    price = {"input": 1.0, "output": 4.0, "batch": 0.5}
    llm = {"model": "m", "base_url": server.base_url, "price": price, "stream": False}
    asked = {"poll_seconds": 0.1, "live_calls": 0, "live_share": 0.0, **batch}
    return {"llm": llm, "budget": {"max_users": 2}, "run": {"mode": "batch"}, "batch": asked}


def job_of(path: Path, server: BatchServer, limits: SharedLimits, **batch: object) -> Job:
    write_users(path / "input.jsonl", users=USERS, behaviors=4)
    settings = load_settings(None, flags_of(server, **batch), isolated=True)
    return replace(
        make_job(path),
        paths=(str(path / "input.jsonl"),),
        settings=public_settings(settings),
        shards=SHARDS,
        copy_seconds=60.0,
        limits=limits,
    )


NO_LIMITS = SharedLimits(0, 0, 0.0, 0)


def submitted_twice(server: BatchServer) -> int:
    """Count the requests that are in several jobs, by what they are called."""
    names = [request["custom_id"] for job in server.jobs for request in server.requests_of(job)]
    return len(names) - len(set(names))


async def events_of_one_run(path: Path, server: BatchServer) -> bytes:
    await eventabs.arun(str(path / "input.jsonl"), settings=flags_of(server), out=path / "plain")
    return (path / "plain" / "events.jsonl").read_bytes()


def runs_without_a_job(server: BatchServer) -> list[str]:
    """Return the runs whose requests are at the service, and no job is."""
    uploaded = [
        name.split("-")[1] for name, _content in server.files.values() if name.startswith("eventabs-")
    ]
    return [run for run in uploaded if run not in {run_of(job) for job in server.jobs}]


def run_of(job: RemoteJob) -> str:
    assert job.metadata
    return job.metadata["eventabs_run"]


Origin = Callable[[BatchServer], str]
POINTS: dict[str, tuple[str, bool, Origin]] = {
    "with its requests at the service": ("POST /files", True, lambda server: runs_without_a_job(server)[-1]),
    "as it creates its job": ("POST /batches", False, lambda server: runs_without_a_job(server)[0]),
    "with the job created and no answer": ("POST /batches", True, lambda server: run_of(server.jobs[-1])),
    "as it looks at its job": ("GET /batches/batch-0", True, lambda server: run_of(server.jobs[0])),
    "with the replies on their way": ("GET /files/file-", True, lambda server: run_of(ended(server))),
}


def ended(server: BatchServer) -> RemoteJob:
    """Return the job whose file was asked for last."""
    file_id = server.asked[-1].split("/")[2]
    return next(job for job in server.jobs if file_id in job.files.values())


@pytest.mark.parametrize(("asked", "after", "origin"), POINTS.values(), ids=POINTS.keys())
async def test_a_machine_that_is_lost_leaves_its_job_to_the_next_one(
    tmp_path: Path, server: BatchServer, asked: str, origin: Origin, *, after: bool
) -> None:
    job, machines = job_of(tmp_path, server, NO_LIMITS), Machines(tmp_path / "machines")
    lost = list[str]()

    def look(number: int) -> None:
        if not lost and server.asked[number].startswith(asked):
            lost.append(origin(server))
            assert machines.lose_machine_of(lost[0])

    if after:
        server.after = look
    else:
        server.before = look
    driver, watcher = await drive(tmp_path, job, machines)
    assert (driver.status, len(lost), len(watcher.of(ShardMoved))) == ("completed", 1, 1)
    assert submitted_twice(server) == 0
    assert len(server.jobs) >= SHARDS
    assert (len(server.answered), set(server.answered.values())) == (USERS, {1})
    server.after = server.before = lambda _number: None
    assert (tmp_path / "run.eventabs" / "events.jsonl").read_bytes() == await events_of_one_run(
        tmp_path, server
    )


async def test_a_limit_on_tokens_holds_over_the_jobs_of_all_shards(
    tmp_path: Path, server: BatchServer
) -> None:
    limit = 15_000
    job = job_of(tmp_path, server, SharedLimits(0, 0, 0.0, limit), live_calls=1)
    driver, _watcher = await drive(tmp_path, job, Machines(tmp_path / "machines"))
    assert driver.status == "stopped"
    assert "--max-total-tokens" in driver.cause
    used = server.usage["batch"] + server.usage["live"]
    assert server.usage["batch"].total() > 0
    assert used.total() <= limit
    saved = RunDirectory(tmp_path / "run.eventabs").saved()
    assert (
        saved["usage"]["prompt_tokens"] + saved["usage"]["completion_tokens"] == used.total()
    )  # all is collected
    again = replace(job, drive="again", limits=NO_LIMITS)
    driver, _watcher = await drive(tmp_path, again, Machines(tmp_path / "again"))
    assert driver.status == "completed"
    assert (len(server.answered), set(server.answered.values())) == (USERS, {1})


async def test_the_limit_holds_though_a_machine_with_a_job_is_lost(
    tmp_path: Path, server: BatchServer
) -> None:
    most = 0.06 * 2  # of requests at half the price, as long as answers may be
    job, machines = job_of(tmp_path, server, SharedLimits(0, 0, most, 0)), Machines(tmp_path / "machines")
    lost = list[str]()

    def look(number: int) -> None:
        if not lost and server.asked[number] == "POST /batches":
            lost.append(run_of(server.jobs[-1]))
            machines.lose_machine_of(lost[0])

    server.after = look
    driver, _watcher = await drive(tmp_path, job, machines)
    paid = server.usage["batch"]["prompt_tokens"] + 4 * server.usage["batch"]["completion_tokens"]
    assert paid / 2 / 1_000_000 <= most
    assert (driver.status, set(server.answered.values())) == ("completed", {1})
    assert len(server.answered) == USERS


async def test_jobs_of_all_shards_fit_what_may_wait_at_the_service(
    tmp_path: Path, server: BatchServer
) -> None:
    server.queue_tokens = 12_000
    job = job_of(tmp_path, server, SharedLimits(0, 0, 0.0, 0, 6_000), max_enqueued_tokens=6_000)
    driver, watcher = await drive(tmp_path, job, Machines(tmp_path / "machines"))
    assert driver.status == "completed"
    assert watcher.of(JobTrouble) == []
    assert len(server.jobs) > SHARDS


async def test_a_full_queue_is_waited_for_while_jobs_of_other_shards_are_in_it(
    tmp_path: Path, server: BatchServer
) -> None:
    server.queue_tokens, server.refuses, server.fate = 9_000, True, Fate(stays=3)
    job = job_of(tmp_path, server, NO_LIMITS)
    driver, watcher = await drive(tmp_path, job, Machines(tmp_path / "machines"))
    assert (driver.status, set(server.answered.values())) == ("completed", {1})
    assert any("Enqueued token limit" in note.cause for note in watcher.of(JobTrouble))


async def test_a_stop_leaves_all_jobs_and_the_next_driver_takes_them_up_or_cancels_them(
    tmp_path: Path, server: BatchServer
) -> None:
    server.fate = Fate(stays=math.inf, served=2)
    job, stop = job_of(tmp_path, server, NO_LIMITS), Stop(grace_seconds=0.1)
    server.after = lambda _number: (
        stop.request() if len(server.jobs) == SHARDS and not stop.requested else None
    )
    driver, watcher = await drive(tmp_path, job, Machines(tmp_path / "machines"), stop)
    assert driver.status == "interrupted"
    assert "3 jobs go on at the batch service" in watcher.of(StateChanged)[-1].cause
    assert not any(each.cancelled for each in server.jobs)
    state = inspect_run(tmp_path / "run.eventabs", now=time.time)
    assert {each.batch_id for each in state.jobs if each.is_out} == {each.id for each in server.jobs}
    server.after = lambda _number: None
    cancelling = replace(job, drive="cancelling", cancel=True)
    driver, _watcher = await drive(tmp_path, cancelling, Machines(tmp_path / "cancelling"))
    assert (driver.status, all(each.cancelled for each in server.jobs)) == ("stopped", True)
    assert len(server.answered) == 2 * 2 * SHARDS
    server.fate = Fate()
    driver, _watcher = await drive(tmp_path, replace(job, drive="again"), Machines(tmp_path / "again"))
    assert (driver.status, len(server.answered), set(server.answered.values())) == ("completed", USERS, {1})
