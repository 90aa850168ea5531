"""One run whose calls two machines of a Ray cluster make: one is killed and comes back, the other hangs, the driver is killed and resumed.

    python benchmarks/cluster.py --users 60
    python benchmarks/cluster.py --users 60 --lose memory    # or head, or nothing
    python benchmarks/cluster.py --input behaviors.csv --profiles profiles.csv --times 10 --max-users 15 --rpm 60

Each machine is this one in namespaces of its own (network, /tmp/ray, /dev/shm), with a model server of its own on its loopback, which
`EVENTABS_LLM__BASE_URL` names there; the driver's machine makes no calls. With `--lose memory`, Ray's memory killer ends what makes the calls on the
second machine every 30 s; with `--lose head`, the head is killed, the run ends by itself, and is resumed when there is a cluster again. None of the networks has a way out. Printed as JSON: what became of the users, whether events.jsonl is
that of one process to the byte, what was asked again, how a limit a minute was used, what is left on the machines, and time beside one process.
"""

import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from eventabs.store import Ledger
from reliability_records import Run, read_log, read_run
from workload import generate, profiles, write

HERE: Final = Path(__file__).parent
HEAD: Final = "10.77.0.1"
ADDRESS: Final = f"{HEAD}:6379"
PORT: Final = 8000
_MINUTE: Final = 60.0
_APART: Final = timedelta(minutes=7)  # between two copies of a user's log
_FILES: Final = "/tmp/ray"  # noqa: S108  where Ray has them
_SHARED: Final = "/dev/shm"  # noqa: S108  where it has objects
_OWN_FILES: Final = f"mount -t tmpfs tmpfs {_FILES} && mount -t tmpfs tmpfs {_SHARED}"
_RAY: Final = Path(sys.executable).with_name("ray")
_START_SECONDS: Final = 180.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run inside namespaces, which are made first."""
    options = _options(arguments)
    if not options.inside:
        Path(_FILES).mkdir(exist_ok=True)
        user = [] if os.getuid() == 0 else ["--map-root-user"]
        given = sys.argv[1:] if arguments is None else arguments
        namespaces = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--mount-proc"]
        return subprocess.call([*namespaces, sys.executable, __file__, "--inside", *given])
    _sh(
        f"{_OWN_FILES} && ip link set lo up && ip link add cluster type bridge"
        f" && ip address add {HEAD}/24 dev cluster && ip link set cluster up && ip route add default dev cluster"
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        figures = _figures(options, options.keep or Path(folder), stack)
    print(json.dumps(figures, indent=2))
    return 0 if figures["events_equal_to_one_process"] and not figures["finished_calls_asked_again"] else 1


def _sh(script: str) -> None:
    subprocess.run(["sh", "-c", script], check=True)  # noqa: S607  wherever it is


class Machine:
    """A machine: a process that holds its namespaces, and what runs in them."""

    def __init__(self, number: int, folder: Path, environment: dict[str, str]) -> None:
        self.log = folder / f"served-{number}.jsonl"
        self.log.touch()
        self._address = f"10.77.0.{number + 1}"
        self._environment = environment | {"EVENTABS_LLM__BASE_URL": f"http://127.0.0.1:{PORT}/v1"}
        script = f"{_OWN_FILES} && ip link set lo up && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", script],  # noqa: S607  wherever it is
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        pid = self._holder.pid
        _sh(
            f"ip link add to{number} type veth peer name cluster netns {pid} && ip link set to{number} master cluster up"
            f" && nsenter -t {pid} --net sh -c 'ip address add {self._address}/24 dev cluster && ip link set cluster up && ip route add default dev cluster'"
        )
        self._network = _network_of(pid)
        self._server: subprocess.Popen[bytes] | None = None

    def serve(self, options: argparse.Namespace) -> None:
        """Start the model server."""
        simulator = [sys.executable, str(HERE / "simulator.py"), "--port", str(PORT), "--log", str(self.log)]
        self._server = self._inside([*simulator, "--scale", str(options.scale)])

    def start(self) -> None:
        """Join the cluster."""
        self._inside(
            [*_ray_start("--address", ADDRESS), "--node-ip-address", self._address, "--num-cpus", "2"]
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all that Ray has started."""
        spared = {self._holder.pid, self._server.pid if self._server else 0}
        for pid in _processes(self._network):
            if pid not in spared:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def files_with(self, text: str) -> list[str]:
        """Return the files of Ray that hold a text."""
        found = subprocess.run(
            [  # noqa: S607  wherever it is
                "nsenter",
                "-t",
                str(self._holder.pid),
                "--mount",
                "grep",
                "-rlaF",
                text,
                _FILES,
                _SHARED,
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        return found.stdout.splitlines()

    def end(self) -> None:
        """End all that runs there."""
        for pid in _processes(self._network):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._holder.wait()

    def _inside(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        enter = ["nsenter", "-t", str(self._holder.pid), "--net", "--mount", "--"]
        with self.log.with_suffix(".out").open("ab") as said:
            return subprocess.Popen([*enter, *command], env=self._environment, stdout=said, stderr=said)


def _network_of(process: int | str) -> str:
    return str(Path(f"/proc/{process}/ns/net").readlink())


def _processes(network: str) -> set[int]:
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                if _network_of(folder.name) == network:
                    found.add(int(folder.name))
    return found


def _ray_start(*options: str) -> list[str]:
    return [
        str(_RAY),
        "start",
        *options,
        "--block",
        "--disable-usage-stats",
        "--object-store-memory",
        "100000000",
    ]


def _figures(options: argparse.Namespace, folder: Path, stack: ExitStack) -> dict[str, Any]:
    folder.mkdir(exist_ok=True, parents=True)
    exported, described = _input(options, folder)
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("EVENTABS", "OPENAI", "RAY_"))
    } | {
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "NO_PROXY": "*",
        "LC_ALL": "C.UTF-8",
    }
    command = [
        *(sys.executable, "-m", "eventabs", "run", str(exported), "--profiles", str(described)),
        *(
            "--model",
            "simulated",
            "--max-users",
            str(options.max_users),
            "--concurrency",
            str(options.concurrency),
        ),
        *("--json", "--progress", "plain"),
    ]
    alone = _alone(command, options, folder, environment)
    _start_head(folder, environment)
    stack.callback(_end_all)
    low = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "30000"}
    machines = [Machine(1, folder, environment)]
    machines.append(Machine(2, folder, environment | (low if options.lose == "memory" else {})))
    for machine in machines:
        stack.callback(machine.end)
        machine.serve(options)
        machine.start()
        _until_started(machine.log.with_suffix(".out"))
    driver = _Driver(command, options, folder, environment)
    lose = {"machines": driver.disturbed, "head": driver.beheaded}.get(options.lose)
    told = lose(machines) if lose else driver.ended()
    log = [served for machine in machines for served in read_log(machine.log)]
    log.sort(key=lambda served: served["time"])
    log = [{**served, "number": number} for number, served in enumerate(log, 1)]
    run = read_run(folder / "run.eventabs", log)
    return {
        **told,
        "users": {state: list(run.users.values()).count(state) for state in ("done", "failed", "pending")},
        "events_equal_to_one_process": run.events
        == (folder / "alone.eventabs" / "events.jsonl").read_bytes(),
        "requests_of_each_machine": [len(machine.log.read_bytes().splitlines()) for machine in machines],
        "requests_that_no_ledger_knows": run.unlisted,
        "finished_calls_asked_again": _asked_again(run),
        "machines_lost": _losses((folder / "driver.err").read_text("utf-8")),
        "calls": len(run.calls),
        "calls_lost_with_the_driver": sum(call.status == "lost" for call in run.calls),
        "files_on_machines_with_a_line_of_a_prompt": [
            machine.files_with(_line(exported)) for machine in machines
        ],
        **_pace([served["time"] for served in log], options.rpm),
        "one_process": alone,
    }


def _start_head(folder: Path, environment: dict[str, str]) -> None:
    head = ["--head", "--port", ADDRESS.rpartition(":")[2], "--node-ip-address", HEAD, "--num-cpus", "0"]
    with (folder / "head.out").open("wb") as said:
        subprocess.Popen(
            [*_ray_start(*head), "--include-dashboard", "false"], env=environment, stdout=said, stderr=said
        )
    _until_started(folder / "head.out")


def _losses(said: str) -> dict[str, int]:
    """How often machines were lost, by the cause."""
    return dict(Counter(re.findall(r"Machine \S+ is lost \((.*)\);", said)))


def _asked_again(run: Run) -> int:
    """How many users were in a request that came after a usable answer about them had been stored."""
    with Ledger.watch(run.out / "ledger.sqlite") as ledger:
        rows = ledger.rows(
            "SELECT user_id, first, last, min(ended_at) FROM outcomes JOIN calls ON id = call_id WHERE outcomes.reason IS NULL"
            " GROUP BY user_id, first, last"
        )
        stored_at = {tuple(part): at for *part, at in rows}
    asked = {call.message: call.parts.values() for call in run.calls}
    return sum(
        served["time"] > stored_at.get(part, served["time"])
        for served in run.log
        for part in asked.get(served["message"], ())
    )


def _line(exported: Path) -> str:
    """Return a text of the export that prompts have."""
    with exported.open(encoding="utf-8", newline="") as file:
        return max((row["item_id"] for row in csv.DictReader(file)), key=len)


def _alone(
    command: Sequence[str], options: argparse.Namespace, folder: Path, environment: dict[str, str]
) -> dict[str, Any]:
    """Run in one process, without a limit a minute."""
    with _simulator(options, environment) as base_url:
        began, before = time.monotonic(), os.times()
        done = subprocess.run(
            [*command, "--base-url", base_url, "--out", str(folder / "alone.eventabs")],
            check=True,
            env=environment,
            capture_output=True,
            text=True,
        )
        after = os.times()
        seconds = time.monotonic() - began
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "calls": json.loads(done.stdout)["calls"],
    }


@contextmanager
def _simulator(options: argparse.Namespace, environment: dict[str, str]) -> Iterator[str]:
    command = [sys.executable, str(HERE / "simulator.py"), "--scale", str(options.scale)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()  # its time is not counted among that of processes that were waited for
        process.stdout.close()


class _Driver:
    """The process of the run, and those that resume it."""

    def __init__(
        self, command: Sequence[str], options: argparse.Namespace, folder: Path, environment: dict[str, str]
    ) -> None:
        self._folder = folder
        self._environment = environment
        rpm = ["--rpm", str(options.rpm)] if options.rpm else []
        nowhere = "http://10.77.0.1:1/v1"  # the driver calls nobody
        cluster = ["--engine", "ray", "--ray-address", ADDRESS, "--base-url", nowhere]
        resume = [sys.executable, "-m", "eventabs", "resume", str(folder / "run.eventabs")]
        self._resume = [*resume, "--yes", "--json", "--progress", "plain"]
        self._began, self._cpu = time.monotonic(), 0.0
        self._process = self._started([*command, *cluster, *rpm, "--out", str(folder / "run.eventabs")])

    def _started(self, command: Sequence[str]) -> "subprocess.Popen[str]":
        with (self._folder / "driver.err").open("a", encoding="utf-8") as errors:
            return subprocess.Popen(
                command, env=self._environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def ended(self) -> dict[str, Any]:
        """Wait for the end; return what was said."""
        output = self._process.stdout.read() if self._process.stdout else ""
        _pid, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._cpu += used.ru_utime + used.ru_stime
        said = json.loads(output) if output.strip() else {}
        return {
            "exit_code": self._process.returncode,
            "seconds": round(time.monotonic() - self._began, 1),
            "cpu_seconds_of_the_driver": round(self._cpu, 1),
            **{key: said.get(key) for key in ("status", "success_count", "events", "retries")},
        }

    def disturbed(self, machines: Sequence[Machine]) -> dict[str, Any]:
        """Lose the first machine, let it come back, have the second one hang, and kill the driver and resume."""
        first, second = machines
        self._wait_for(0.2)
        first.signal(signal.SIGKILL)
        self._wait_for(0.35)
        first.start()
        self._wait_for(0.55)
        second.signal(signal.SIGSTOP)
        self._wait_for(0.75)
        self._process.kill()
        _pid, _status, used = os.wait4(self._process.pid, 0)
        self._cpu += used.ru_utime + used.ru_stime
        done = self._share_done()
        self._process = self._started(self._resume)
        told = self.ended()
        second.signal(signal.SIGCONT)
        return {**told, "done_when_the_driver_was_killed": round(done, 2)}

    def beheaded(self, machines: Sequence[Machine]) -> dict[str, Any]:
        """Kill the head, wait until the run has ended, make the cluster anew, and resume."""
        self._wait_for(0.2)
        killed_at = time.monotonic()
        _end_all(self._process.pid)
        alone = self.ended()
        said = (self._folder / "driver.err").read_text("utf-8").splitlines()
        figures = {
            "seconds_until_the_run_ended_without_a_head": round(time.monotonic() - killed_at),
            "exit_code_without_a_head": alone["exit_code"],
            "said_without_a_head": next((line for line in said if "Stopped" in line), "")[20:],
            "done_without_a_head": round(self._share_done(), 2),
        }
        for machine in machines:  # `ray start` finds a cluster by the processes that belong to one
            machine.signal(signal.SIGKILL)
        _start_head(self._folder, self._environment)
        for machine in machines:
            machine.start()
        self._process = self._started(self._resume)
        return self.ended() | figures

    def _share_done(self) -> float:
        with suppress(OSError, ValueError, ZeroDivisionError):
            known = json.loads((self._folder / "run.eventabs" / "checkpoint.json").read_text("utf-8"))
            return float(known["processed_users"] / known["total_users"])
        return 0.0

    def _wait_for(self, share: float) -> None:
        while self._share_done() < share:
            if self._process.poll() is not None:
                raise SystemExit((self._folder / "driver.err").read_text("utf-8"))
            time.sleep(0.2)


def _until_started(said: Path) -> None:
    """Wait until `ray start` says that it has: one after the other, since a busy machine lets Ray's own time-outs pass."""
    until = time.monotonic() + _START_SECONDS
    while b"Ray runtime started" not in said.read_bytes():
        assert time.monotonic() < until, said.read_text("utf-8")
        time.sleep(0.5)


def _end_all(driver: int = 0) -> None:
    """End what runs in the driver's network beside this process and the driver: the head."""
    for pid in _processes(_network_of("self")) - {os.getpid(), driver}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _input(options: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """Write the export and the profiles, each user as often as is wanted, every copy some minutes later."""
    source, people = options.input, options.profiles
    if source is None:
        source, people = folder / "one.csv", folder / "people.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            write(generate(options.users, options.behaviors, 7), "csv", file)
        with people.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(profiles(options.users, 7))
    exported, described = folder / "behaviors.csv", folder / "profiles.csv"
    _repeat(source, exported, options.times, "timestamp")
    _repeat(people, described, options.times, "")
    return exported, described


def _repeat(source: Path, target: Path, times: int, time_column: str) -> None:
    with (
        source.open(encoding="utf-8-sig", newline="") as read,
        target.open("w", encoding="utf-8", newline="") as written,
    ):
        rows = csv.DictReader(read)
        writer = csv.DictWriter(written, rows.fieldnames or [])
        writer.writeheader()
        for row in rows:
            for number in range(times):
                moved = row | {"user_id": f"{row['user_id']}-{number}"}
                if time_column:
                    at = datetime.fromisoformat(row[time_column]) + number * _APART
                    moved[time_column] = at.isoformat(sep=" ")
                writer.writerow(moved)


def _pace(times: Sequence[float], rpm: int) -> dict[str, Any]:
    most = max((bisect_left(times, at + _MINUTE) - place for place, at in enumerate(times)), default=0)
    span = times[-1] - times[0] if times else 0.0
    used = len(times) / (span / _MINUTE * rpm) if rpm and span else None
    return {
        "requests": len(times),
        "most_in_a_minute": most,
        "rpm": rpm,
        "share_of_rpm_used": used and round(used, 3),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--input", type=Path, help="an export; else one is generated")
    parser.add_argument("--profiles", type=Path)
    parser.add_argument("--times", type=int, default=1, help="how often each user of the export is there")
    parser.add_argument("--users", type=int, default=120)
    parser.add_argument("--behaviors", type=int, default=30)
    parser.add_argument("--max-users", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--rpm", type=int, default=0)
    parser.add_argument("--scale", type=float, default=10.0, help="how many times faster the model is")
    parser.add_argument("--lose", choices=("machines", "memory", "head", "nothing"), default="machines")
    parser.add_argument("--keep", type=Path, help="a folder that stays")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
