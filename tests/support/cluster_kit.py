"""Clusters of this process and of processes of this machine, and the job and driver of a run on them."""

import asyncio
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess  # noqa: TC003  as its neighbors
from pathlib import Path
from threading import Lock, Thread
from typing import Any, cast

from eventabs import __version__
from eventabs.config import load_settings
from eventabs.shards.cluster.driver import Driver, ProcessLostError
from eventabs.shards.cluster.limiter import Limiter, LimiterClient, State
from eventabs.shards.cluster.permits import SharedLimits
from eventabs.shards.cluster.worker import Ended, Job, forget_input, work_on
from eventabs.stop import Stop
from eventabs.store import Ledger, RunDirectory, public_settings
from paths import ROOT
from runs_kit import Watcher

LOST = "lost"
EXAMPLE = ROOT / "examples" / "behaviors.jsonl"
_FORKS = multiprocessing.get_context("forkserver")  # the tool is loaded once, not for each process
_FORKS.set_forkserver_preload(["eventabs.shards.cluster.worker", "eventabs.runs.execution", "duckdb"])


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


class Machines(Here):
    """A cluster whose tasks are processes, each with a disk of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._running: dict[str, tuple[ForkServerProcess, Path]] = {}

    async def work_on(self, job: Job, shard: str) -> Ended:
        self.begun.append(shard)
        disk = self.folder / f"disk-{len(self.begun)}"
        disk.mkdir(parents=True)
        ours, theirs = _FORKS.Pipe()
        process = _FORKS.Process(target=_work, args=(job, shard, theirs, disk, dict(os.environ)), daemon=True)
        process.start()
        theirs.close()
        self._running[shard] = (process, disk)
        return await asyncio.to_thread(self._serve, ours, asyncio.get_running_loop())

    async def forget_input(self, job: Job) -> None:
        for _process, disk in self._running.values():
            forget_input(job, disk)

    def lose_machine_of(self, run_id: str) -> bool:
        """Kill the process that works on a shard's run, and take its disk; False: there is none."""
        for process, disk in self._running.values():
            for path in disk.glob("*/*.eventabs/ledger.sqlite"):
                with Ledger.watch(path) as ledger:
                    found = ledger.meta()["run_id"]
                if found == run_id and process.is_alive():
                    process.kill()
                    process.join()
                    shutil.rmtree(disk)
                    return True
        return False

    def _serve(self, pipe: Connection, loop: asyncio.AbstractEventLoop) -> Ended:
        turn = Lock()

        async def answer(number: int, name: str, arguments: tuple[Any, ...]) -> None:
            try:
                result, error = await getattr(self.limiter, name)(*arguments), None
            except Exception as raised:  # noqa: BLE001  it is raised at the other end
                result, error = None, raised
            with turn:
                pipe.send((number, result, error))

        while True:
            try:
                number, name, arguments = pipe.recv()
            except (EOFError, ConnectionError):
                raise ProcessLostError(LOST) from None
            if name == "ended":
                return cast("Ended", arguments[0])
            asyncio.run_coroutine_threadsafe(answer(number, name, arguments), loop)


class _RemoteLimiter:
    """A limiter at the other end of a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._loop = asyncio.get_running_loop()
        Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        while True:
            try:
                number, result, error = self._pipe.recv()
            except (EOFError, OSError):
                return
            self._loop.call_soon_threadsafe(self._settle, number, result, error)

    def _settle(self, number: int, result: object, error: Exception | None) -> None:
        waiting = self._waiting.pop(number)
        if not waiting.done():
            waiting.set_exception(error) if error else waiting.set_result(result)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  a method of the limiter
        async def ask(*arguments: object) -> object:
            number = next(self._numbers)
            self._waiting[number] = self._loop.create_future()
            self._pipe.send((number, name, arguments))
            return await self._waiting[number]

        return ask


def _work(job: Job, shard: str, pipe: Connection, disk: Path, variables: dict[str, str]) -> None:
    os.environ.update(variables)

    async def work() -> Ended:
        limiter = cast("LimiterClient", _RemoteLimiter(pipe))
        return await work_on(job, shard, limiter, environment=os.environ, folder=disk)

    pipe.send((0, "ended", (asyncio.run(work()),)))


def make_job(path: Path, *, version: str = __version__) -> Job:
    """Return the job of a run of the example in two shards."""
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
    """Drive a job to its end."""
    directory = RunDirectory(path / "run.eventabs")
    directory.cluster.mkdir(parents=True, exist_ok=True)
    watcher = Watcher()
    driver = Driver(job, directory, cluster, watcher, stop or Stop())
    await driver.run()
    return driver, watcher
