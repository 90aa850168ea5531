"""Ray below a run: tasks, one a shard, and the limiter as an actor. No other file knows Ray."""

import asyncio
import importlib
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from eventabs.errors import ConfigError
from eventabs.language import gettext as _
from eventabs.shards.cluster.driver import ProcessLostError
from eventabs.shards.cluster.limiter import Admission, Answer, Limiter, Report, State
from eventabs.shards.cluster.permits import SharedLimits
from eventabs.shards.cluster.worker import Ended, Job, forget_input, work_on

if TYPE_CHECKING:
    from ray.actor import ActorHandle

T = TypeVar("T")

_OLDEST: Final = (2, 50)
_NAMESPACE: Final = "eventabs"
_AGAIN_SECONDS: Final = 0.2  # until an actor that is gone is asked again
_CONNECT_SECONDS: Final = 60.0
_LISTENS_SECONDS: Final = 5.0
_FORGET_SECONDS: Final = 10.0
_SHOWN: Final = 200  # characters of an error


class RayCluster:
    """A Ray cluster, as the driver sees it. Open it with `open_cluster`."""

    def __init__(self, ray: ModuleType, *, is_local: bool) -> None:
        self.is_local = is_local
        self._ray = ray
        self._limiter: RayLimiter

    @property
    def machines(self) -> int:
        """How many machines the cluster has now."""
        return sum(node["Alive"] for node in self._ray.nodes())

    def start_limiter(self, name: str, limits: SharedLimits, shards: Sequence[str]) -> None:
        """Start the limiter; where it dies, Ray starts it again, with nothing but these."""
        # beside the driver: then no other machine that is lost holds up all shards
        here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            self._ray.get_runtime_context().get_node_id(), soft=True
        )
        actor = self._ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Limiter)
        self._limiter = RayLimiter(
            actor.options(name=name).remote(limits, list(shards), clock=time.monotonic)
        )

    async def look(self, known: State, stop: int) -> State:
        """See `Limiter`."""
        return await self._limiter.look(known, stop)

    async def forget_input(self, job: Job) -> None:
        """Have all machines remove what they keep of the input; one that does not answer is lost, and not waited for."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        remove = self._ray.remote(num_cpus=0, max_retries=0)(_forget)
        tasks = [
            remove.options(scheduling_strategy=strategy(node["NodeID"], soft=False)).remote(job)
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        with suppress(self._ray.exceptions.RayError):
            await asyncio.to_thread(self._ray.wait, tasks, num_returns=len(tasks), timeout=_FORGET_SECONDS)

    async def work_on(self, job: Job, shard: str) -> Ended:
        """Run the task of a shard to its end. Raises ProcessLostError."""
        task = self._ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")(_work)
        exceptions = self._ray.exceptions
        reference = task.options(name=f"shard {shard}").remote(job, shard, self._limiter.actor)
        try:
            ended: Ended = await reference
        except asyncio.CancelledError:
            self._ray.cancel(reference)
            raise
        except exceptions.TaskCancelledError:
            raise asyncio.CancelledError from None
        except (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
        ) as error:
            raise ProcessLostError(type(error).__name__) from error
        return ended


class RayLimiter:
    """The limiter, reached through Ray. A call that meets none is made again when Ray has started it again."""

    def __init__(self, actor: "ActorHandle[Any]") -> None:
        self.actor = actor

    async def admit(self, shard: str, generation: int, tokens: Sequence[int]) -> Admission:
        """See `Limiter`."""
        return await self._again(lambda: self.actor.admit.remote(shard, generation, list(tokens)))

    async def exchange(self, report: Report) -> Answer:
        """See `Limiter`."""
        return await self._again(lambda: self.actor.exchange.remote(report))

    async def cool_down(self, seconds: float) -> None:
        """See `Limiter`."""
        await self._again(lambda: self.actor.cool_down.remote(seconds))

    async def look(self, known: State, stop: int) -> State:
        """See `Limiter`."""
        return await self._again(lambda: self.actor.look.remote(known, stop))

    async def _again(self, call: Callable[[], Awaitable[T]]) -> T:
        from ray.exceptions import RayActorError  # noqa: PLC0415  an extra that few install

        while True:
            with suppress(RayActorError):
                return await call()
            await asyncio.sleep(_AGAIN_SECONDS)


def _work(job: Job, shard: str, limiter: "ActorHandle[Any]") -> Ended:
    """Work on a shard: what runs on a machine of the cluster."""
    folder = _scratch(job)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    work = work_on(job, shard, RayLimiter(limiter), environment=os.environ, folder=folder)
    return asyncio.run(work)  # a task is a process of its own, as the command line is


def _forget(job: Job) -> None:
    """Remove what a machine keeps of the input: what runs there."""
    forget_input(job, _scratch(job))


def _scratch(job: Job) -> Path:
    """Return the folder of the machine that asks."""
    import ray  # noqa: PLC0415  an extra that few install

    node = ray.get_runtime_context().get_node_id()
    return Path(job.folder or Path(tempfile.gettempdir()) / f"eventabs-{os.getuid()}" / node)


@contextmanager
def open_cluster(address: str, *, workers: int) -> Iterator[RayCluster]:
    """Connect to a cluster; "" starts one of this machine alone, for so many tasks at a time. Raises ConfigError."""
    ray = _ray()
    logging.getLogger("ray").setLevel(logging.ERROR)  # it says that it leaves SIGTERM alone
    if ray.is_initialized():
        message = _("this process is connected to a Ray cluster already; call ray.shutdown() first")
        raise ConfigError(message)
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "error",
        "configure_logging": False,
        "namespace": _NAMESPACE,
    }
    if not address:
        options |= {"address": "local", "num_cpus": workers, "include_dashboard": False}
    else:
        options |= {"address": address}
    # Ray prints what it notices of its machines on standard output, which is for results
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        _connected(ray, address, options),
    ):
        yield RayCluster(ray, is_local=not address)


def _ray() -> ModuleType:
    try:
        ray = importlib.import_module("ray")  # an extra that few install
    except ImportError:
        message = _(
            "--engine ray needs Ray; install it here and on all machines: pip install 'eventabs[ray]'"
        )
        raise ConfigError(message) from None
    found = tuple(int(part) for part in ray.__version__.split(".")[:2])
    if found < _OLDEST:
        message = _("Ray {found} is too old; install {oldest} or later here and on all machines")
        raise ConfigError(message.format(found=ray.__version__, oldest=".".join(map(str, _OLDEST))))
    return ray


@contextmanager
def _connected(ray: ModuleType, address: str, options: dict[str, Any]) -> Iterator[None]:
    """Connect in a thread of its own, which lives as long as the connection.

    Ray takes over SIGTERM in the main thread, waits long for an address that nobody answers at, and what it starts
    on this machine dies with the thread that has started it.
    """
    failed: list[Exception] = []
    tried, ended = threading.Event(), threading.Event()

    def connect() -> None:
        try:
            _require_listener(address)
            ray.init(**options)
        except Exception as error:  # noqa: BLE001  Ray raises its own, and many of Python's
            failed.append(error)
        tried.set()
        ended.wait()
        ray.shutdown()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    try:
        if not tried.wait(_CONNECT_SECONDS):
            failed.append(TimeoutError(f"{_CONNECT_SECONDS:g} s"))
        if failed:
            raise _refusal(address, failed[0]) from None
        yield
    finally:
        ended.set()
        if tried.is_set():
            thread.join()


def _require_listener(address: str) -> None:
    """Raise OSError where nobody listens at host:port: Ray would end this process then."""
    host, _colon, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _LISTENS_SECONDS).close()


def _refusal(address: str, error: Exception) -> ConfigError:
    text = " ".join(str(error).split())
    if "ersion mismatch" in text:
        message = _(
            "the Ray cluster at {address} has another version of Ray or Python ({error}); install the same here and there"
        )
    elif "uthentication" in text or "AUTH" in text:
        message = _(
            "the Ray cluster at {address} wants a token ({error}); set RAY_AUTH_TOKEN, or RAY_AUTH_MODE=disabled where it has none"
        )
    elif not address:
        message = _(
            "no Ray cluster could be started on this machine ({error}); see why with: ray start --head"
        )
    else:
        message = _(
            "no Ray cluster answers at {address} ({error}); start one with: ray start --head, or name another with --ray-address"
        )
    return ConfigError(message.format(address=address, error=text[:_SHOWN] or type(error).__name__))
