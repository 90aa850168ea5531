"""Calls that the machines of a Ray cluster make: an actor on each, which only calls the endpoint. No other file knows Ray.

A request travels to an actor, and its reply or error travels back; all else (ledger, plan, limits, retries) stays in the process that
asks. An actor that is lost fails its calls with a transient error, so that they are repeated elsewhere, and is started anew.
"""

import asyncio
import importlib.metadata
import io
import logging
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, redirect_stdout, suppress
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from eventabs.errors_and_exit_codes import (
    ConfigError,
    EndpointError,
    FatalEndpointError,
    MachineLostError,
    RateLimitedError,
    TransientError,
    UnavailableError,
)
from eventabs.interface_language import gettext as _
from eventabs.providers.retries_and_rate_limits import Provider
from eventabs.shared_records import OnContent, Reply, Request

_OLDEST: Final = (2, 50)
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # RFC 9113, 3.4
_SETTINGS: Final = b"\x04"  # the type of the frame that a server begins with
_ANSWER_SECONDS: Final = 3.0  # until whoever listens at the address has shown that it may be Ray
_CONNECT_SECONDS: Final = 120.0  # to start a cluster of this machine alone takes some, where it is busy more
_SILENT_SECONDS: Final = 20.0  # after which an actor is lost that does not say how far answers are
_START_SECONDS: Final = 120.0  # until a new actor has to answer
_SHOWN: Final = 200  # characters of an error


class _Caller:
    """What runs on a machine. Errors of the endpoint are returned: what is raised, Ray would wrap and write to its logs."""

    def __init__(self, make: Callable[[], Provider], version: str) -> None:
        found = importlib.metadata.version("eventabs")
        if version != found:
            message = _(
                "it has eventabs {found}, this process {version}; install the same version on all machines"
            )
            raise ConfigError(message.format(found=found, version=version))
        self._provider = make()
        self._characters: dict[int, int] = {}

    async def complete(self, number: int, request: Request) -> tuple[Reply | EndpointError, frozenset[str]]:
        """Make a call; return also the parameters that the endpoint does not take."""
        answer: Reply | EndpointError
        try:
            answer = await self._provider.complete(request, partial(self._characters.__setitem__, number))
        except EndpointError as error:
            answer = error
        finally:
            self._characters.pop(number, None)
        return answer, getattr(self._provider, "dropped", frozenset())

    async def characters(self) -> dict[int, int]:
        """Return how much has come of the answers under way, by the number of the call."""
        return self._characters


@dataclass(eq=False)
class _Machine:
    """An actor on a machine, from its start to its loss. `lost` gets the cause."""

    node: str
    address: str
    actor: Any
    lost: "asyncio.Future[str]"
    calls: dict[int, OnContent] = field(default_factory=dict)
    is_ready: bool = False
    troubled_until: float = 0.0


@dataclass(eq=False)
class RayProvider:
    """Completes requests through the actors of all machines, those of machines that come later too; make it in an event loop.

    `make` makes on each machine what calls are made with. `connections`: calls at a time of a machine. `call_seconds`: after
    which a call ends by itself. `on_refused` hears which parameters the endpoint does not take, `on_machines` how many machines make
    calls, which one is lost, "" for none, and why.
    """

    ray: ModuleType
    make: Callable[[], Provider]
    _: KW_ONLY
    connections: int
    call_seconds: float
    on_refused: Callable[[frozenset[str]], object]
    on_machines: Callable[[int, str, str], object]

    def __post_init__(self) -> None:
        self._machines: dict[str, _Machine] = {}  # by node
        self._rests: dict[str, tuple[float, float]] = {}  # seconds of the last one, and when it ends
        self._causes: dict[str, str] = {}  # why machines cannot make calls that never could
        self._has_worked = False
        self._numbers = count(1)
        self._refused = frozenset[str]()
        self._none_since: float | None = None
        self._head_seen_at = time.monotonic()
        # wanted until the run ends: it lets Ray's autoscaler add a machine where there is none, and keep it
        self._wanted = self.ray.util.placement_group([{"CPU": 1}])
        self._tasks = {asyncio.create_task(self._look_for_machines())}

    async def complete(self, request: Request, on_content: OnContent | None = None, /) -> Reply:
        """Complete a request on the machine with the fewest calls in flight. Raises the subclasses of EndpointError."""
        if not (ready := self._ready()):
            raise UnavailableError(_("no machine of the Ray cluster can make calls now"))
        now = time.monotonic()
        machine = min(ready, key=lambda each: (each.troubled_until > now, len(each.calls)))
        number = next(self._numbers)
        machine.calls[number] = on_content or (lambda _characters: None)
        reference = machine.actor.complete.remote(number, request)
        asked = asyncio.wrap_future(reference.future())
        try:
            await asyncio.wait(
                {asked, machine.lost},
                timeout=self.call_seconds + 15.0,  # after its own time-out, until a call is given up
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not asked.done():
                raise self._lost(machine, _("it does not answer"))
            answer, refused = asked.result()
        except self.ray.exceptions.RayError as error:
            raise self._lost(machine, self._said(error)) from None
        except asyncio.CancelledError:
            self.ray.cancel(reference)
            raise
        finally:
            asked.cancel()
            del machine.calls[number]
        if refused - self._refused:
            self._refused |= refused
            self.on_refused(self._refused)
        if isinstance(answer, Reply):
            self._rests.pop(machine.node, None)
            return answer
        if isinstance(answer, TransientError) and not isinstance(answer, RateLimitedError):
            machine.troubled_until = time.monotonic() + 10.0  # calls rather go to other machines
        if isinstance(answer, FatalEndpointError):
            answer.args = (_("machine {address}: {said}").format(address=machine.address, said=answer),)
        raise answer

    async def aclose(self) -> None:
        """End the actors."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for machine in self._machines.values():
            self.ray.kill(machine.actor)

    def is_ready(self) -> bool:
        """Whether a machine can make a call now. Raises FatalEndpointError where none can, UnavailableError where none has come for long."""
        if self._ready():
            self._none_since = None
            return True
        if self._causes and not self._machines and not self._has_worked:
            message = _("no machine of the Ray cluster can make calls ({causes})")
            causes = "; ".join(f"{address}: {cause}" for address, cause in self._causes.items())
            raise FatalEndpointError(message.format(causes=causes))
        if time.monotonic() - self._head_seen_at > _SILENT_SECONDS:
            raise FatalEndpointError(
                _("the head of the Ray cluster does not answer; start the cluster, then resume")
            )
        self._none_since = self._none_since or time.monotonic()
        if time.monotonic() - self._none_since > _START_SECONDS:
            raise UnavailableError(_("no machine of the Ray cluster can make calls now"))
        return False

    def _ready(self) -> list[_Machine]:
        return [each for each in self._machines.values() if each.is_ready]

    async def _look_for_machines(self) -> None:
        """Start an actor on each machine that has none, now and later."""
        loop, found = asyncio.get_running_loop(), asyncio.Queue[list[dict[str, Any]]]()

        def look() -> None:
            nodes = []
            with suppress(Exception):  # the head does not answer, or the run has ended
                nodes = self.ray.nodes()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(found.put_nowait, nodes)

        while True:
            # a thread that the end does not wait for: where the head is lost, Ray asks it on and on
            threading.Thread(target=look, daemon=True).start()
            nodes = await found.get()
            self._head_seen_at = time.monotonic() if nodes else self._head_seen_at
            for node in nodes:
                # a head that shall make no calls has no CPUs
                may_call = node["Alive"] and node["Resources"].get("CPU")
                _seconds, rests_until = self._rests.get(node["NodeID"], (0.0, 0.0))
                if may_call and node["NodeID"] not in self._machines and rests_until <= time.monotonic():
                    self._start(node["NodeID"], node["NodeManagerAddress"])
            await asyncio.sleep(1.0)

    def _start(self, node: str, address: str) -> None:
        # a hard affinity: Ray has been seen not to keep a soft one for an actor without CPUs
        strategy = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        options = {"num_cpus": 0, "max_concurrency": self.connections + 1, "scheduling_strategy": strategy}
        actor = self.ray.remote(**options)(_Caller).remote(self.make, importlib.metadata.version("eventabs"))
        machine = _Machine(node, address, actor, asyncio.get_running_loop().create_future())
        self._machines[node] = machine
        task = asyncio.create_task(self._listen(machine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, machine: _Machine) -> None:
        """Hear from an actor how far its answers are; one that is silent for long is lost."""
        while not machine.lost.done():
            silent = _SILENT_SECONDS if machine.is_ready else _START_SECONDS
            try:
                async with asyncio.timeout(silent):
                    characters = await machine.actor.characters.remote()
            except TimeoutError:
                self._lost(machine, _("it does not answer"))
            except self.ray.exceptions.RayError as error:
                self._lost(machine, self._said(error))
                if "creation task" not in str(error):  # the machine has ended, or Ray has ended the actor
                    self._causes.pop(machine.address, None)
            else:
                if not machine.is_ready:
                    machine.is_ready = self._has_worked = True
                    self.on_machines(len(self._ready()), "", "")
                for number in characters.keys() & machine.calls.keys():
                    machine.calls[number](characters[number])
                await asyncio.sleep(0.5)

    def _lost(self, machine: _Machine, cause: str) -> MachineLostError:
        """Fail the calls of an actor, and start another one after some seconds; return the error of a call."""
        if not machine.lost.done():
            machine.lost.set_result(cause)
            del self._machines[machine.node]
            # five seconds, and twice as long each time
            seconds, _until = self._rests.get(machine.node, (2.5, 0.0))
            seconds = min(2 * seconds, 60.0)
            self._rests[machine.node] = seconds, time.monotonic() + seconds
            self.ray.kill(machine.actor)
            if machine.is_ready:
                self.on_machines(len(self._ready()), machine.address, cause)
            else:
                self._causes[machine.address] = cause
        message = _("machine {address} is lost: {cause}; the call is repeated elsewhere")
        return MachineLostError(message.format(address=machine.address, cause=machine.lost.result()))

    def _said(self, error: Exception) -> str:
        """Return why an actor is lost; where its start failed, the last line has the cause."""
        if isinstance(error, self.ray.exceptions.ActorUnavailableError):
            return _("it cannot be reached")
        if "running low on memory" in str(error):
            return _("its memory ran out, and Ray ended what makes the calls")
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[-1][:_SHOWN] if lines else type(error).__name__


Cluster = Callable[..., RayProvider]  # makes the provider whose calls the machines make


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Cluster]:
    """Connect to a cluster, "" one of this machine alone, and yield `RayProvider` but for its `ray`; what Ray prints is not shown. Raises ConfigError."""
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        message = _(
            "--engine ray needs Ray; install it here and on all machines: pip install 'eventabs[ray]'"
        )
        raise ConfigError(message) from None
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        message = _("Ray {found} is too old; install {oldest} or later here and on all machines")
        raise ConfigError(message.format(found=version, oldest=".".join(map(str, _OLDEST))))
    if address:
        address = _found() if address == "auto" else address
        await asyncio.to_thread(_require_listener, address)
    tried, ended = Future[None](), threading.Event()
    # In the main thread Ray takes over SIGTERM, and what it starts on this machine dies with the thread that has started it.
    thread = threading.Thread(target=_stay_connected, args=(address, tried, ended), daemon=True)
    with redirect_stdout(io.StringIO()):
        thread.start()
        try:
            try:
                await asyncio.to_thread(tried.result, _CONNECT_SECONDS)
            except TimeoutError:
                raise _no_cluster(address, f"{_CONNECT_SECONDS:g} s") from None
            import ray  # noqa: PLC0415  as below

            yield partial(RayProvider, ray)
        finally:
            ended.set()
            if tried.done():
                await asyncio.to_thread(thread.join)


def _found() -> str:
    """Return the address of the cluster that this machine is in. Raises ConfigError where it is in none."""
    named = os.environ.get("RAY_ADDRESS", "")
    if named not in {"", "auto"}:
        return named
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:  # where `ray start` has written it
        return (folder / "ray" / "ray_current_cluster").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        message = _(
            "this machine is in no Ray cluster; begin one with: ray start --head, or name host:port with --ray-address"
        )
        raise ConfigError(message) from None


def _require_listener(address: str) -> None:
    """Raise ConfigError unless a server of gRPC listens at host:port: Ray would wait for minutes, and then end this process."""
    host, _colon, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        message = _("--ray-address {address}: write auto, or host:port as ray start --head shows it")
        raise ConfigError(message.format(address=address))
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS) as connection:
            connection.sendall(_PREFACE)
            answer = connection.recv(9)
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from None
    if answer[3:4] != _SETTINGS:
        raise _no_cluster(address, _("what listens there is not Ray"))


def _stay_connected(address: str, tried: Future[None], ended: threading.Event) -> None:
    """Connect, and stay connected until the end is asked for."""
    try:
        with _environment(address), _standard_error_kept() as noise:
            import ray  # noqa: PLC0415  an extra that few install; it reads the environment

            logging.getLogger("ray").setLevel(logging.CRITICAL)
            if ray.is_initialized():
                message = _("this process is connected to a Ray cluster already; call ray.shutdown() first")
                raise ConfigError(message)  # noqa: TRY301  one place for all that fails
            try:
                ray.init(
                    address=address or "local",
                    log_to_driver=False,
                    configure_logging=False,
                    logging_level=logging.CRITICAL,
                    namespace="eventabs",
                    **({} if address else {"include_dashboard": False}),
                )
            except (Exception, SystemExit) as error:  # noqa: BLE001  Ray raises its own, and many of Python's
                raise _no_cluster(address, str(error), noise()) from None
    except ConfigError as error:
        tried.set_exception(error)
        return
    tried.set_result(None)
    ended.wait()
    asked = threading.Thread(target=ray.nodes, daemon=True)
    asked.start()
    asked.join(_ANSWER_SECONDS)
    if not asked.is_alive():  # without a head Ray would end this process instead of its connection
        ray.shutdown()


@contextmanager
def _environment(address: str) -> Iterator[None]:
    """Set what Ray reads when it is imported and when it connects, where the user has not."""
    token = Path.home() / ".ray" / "auth_token"
    has_token = bool({"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()) or token.is_file()
    values = {"RAY_USAGE_STATS_ENABLED": "0"}
    if address:
        values["RAY_NUM_REDIS_GET_RETRIES"] = "2"  # a second apart
        values["RAY_gcs_rpc_server_reconnect_timeout_s"] = "86400"  # then Ray ends this process its own way
    if has_token or not address:
        values["RAY_AUTH_MODE"] = "token"  # as `ray start` has it; by itself Ray does not, for an address
    if not (has_token or address):  # else Ray writes one to a file, which `ray start` wants from then on
        values["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    before = dict(os.environ)
    # RAY_ADDRESS wins over what Ray is called with
    os.environ.update({**values, **before, "RAY_ADDRESS": address})
    try:
        yield
    finally:
        for name in {*values, "RAY_ADDRESS"} - before.keys():
            del os.environ[name]
        os.environ.update({name: before[name] for name in {"RAY_ADDRESS"} & before.keys()})


@contextmanager
def _standard_error_kept() -> Iterator[Callable[[], str]]:
    """Keep what is written to file 2, by code that is not Python too; yield what tells it."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield lambda: os.pread(noise.fileno(), 1 << 20, 0).decode("utf-8", "replace")
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _no_cluster(address: str, said: str, noise: str = "") -> ConfigError:
    """Return the error for a cluster that was not joined; `noise`: what was written to standard error meanwhile."""
    said = " ".join(said.split())[:_SHOWN]
    message = _(
        "no Ray cluster answers at {address} ({error}); start one with: ray start --head, or name another with --ray-address"
    )
    if "ersion mismatch" in said:
        message = _(
            "the Ray cluster at {address} has another version of Ray or Python ({error}); install the same here and there"
        )
    elif "uthentication" in said or "Unauthenticated" in noise:
        message = _(
            "the Ray cluster at {address} wants a token, which is not here or another one; copy ~/.ray/auth_token from its head, or set RAY_AUTH_TOKEN"
        )
    elif not address:
        message = _(
            "no Ray cluster could be started on this machine ({error}); see why with: ray start --head"
        )
    return ConfigError(message.format(address=address, error=said))
