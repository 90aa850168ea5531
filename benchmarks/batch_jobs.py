"""Jobs of a batch service under what goes wrong with them, against a simulated service (tests/support/batch_service.py).

    python benchmarks/batch_jobs.py [--users 486] [--points 40]

First a workload of that size through jobs that expire, fail for a full queue, name their files late, drop requests, refuse some, and hang until they are
cancelled: who is done, and whether the cost is the sum of the usage at the price of each tier. Then small runs, each killed with SIGKILL at a point and resumed until it ends: at a request
to the service, in turn before it does anything with one and after it has done it and before it answers, or at a state of the ledger. Nothing may be submitted twice, and no answer paid for twice.
"""

import argparse
import json
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "support"))

import workload  # noqa: E402  beside this
from batch_service import BatchServer, Fate  # noqa: E402  from tests/support
from eventabs.errors_and_exit_codes import RunDirectoryError  # noqa: E402  as above
from eventabs.store import Ledger  # noqa: E402  as above
from house import environment, write_users  # noqa: E402  as above

USERS = 12  # of a run that is killed
TOKENS_A_REQUEST = 25_000  # as the service counts, about
_FATES = (
    Fate("expired", served=2),
    Fate(errors={1: (500, "server_error")}, drops=frozenset({0})),
    Fate(lag=2),
)
_FORKS = multiprocessing.get_context("forkserver")  # the tool is loaded once, not for each of its processes
_LOADED = [
    *(
        "eventabs.cli.commands",
        "eventabs.api",
        "eventabs.runs.start_resume_reparse",
        "eventabs.runs.start_resume_reparse",
    ),
    *(
        "eventabs.ingest.opened_export",
        "eventabs.prompts.instructions_and_requests",
        "eventabs.providers.openai.batch_service",
    ),
    *("eventabs.views.panel_status_show", "duckdb", "tiktoken"),
]


class Point(NamedTuple):
    """Where a run is killed: at a request (its number), before or after the service has done it, or at a state of the ledger.

    A state is reached when `ledger` gives at least `least`.
    """

    request: int = -1
    after: bool = False
    ledger: str = ""
    least: int = 0


class Killed(NamedTuple):
    """What became of a run that was killed: jobs made twice, blocks of users answered more than once, users done."""

    point: Point
    was_killed: bool
    twice_submitted: int
    twice_answered: int
    done: int
    events: bytes


_CALLS = "SELECT count(*) FROM calls WHERE status IN {}"
_JOBS = "SELECT count(*) FROM jobs WHERE state = '{}'"
_STATES = (
    *(Point(ledger=_JOBS.format(state), least=1) for state in ("planned", "uploaded", "submitted", "closed")),
    *(Point(ledger=_CALLS.format("('answered', 'read')"), least=least) for least in (1, 2, 3, 5)),
    *(Point(ledger=_CALLS.format("('read', 'failed')"), least=least) for least in (1, 4)),
)


def points(number: int, requests: int) -> Iterator[Point]:
    """Yield so many points: a fourth are states of the ledger, the others spread over the requests of an undisturbed run."""
    by_state = _STATES[: number // 4]
    yield from by_state
    rest = number - len(by_state)
    for index in range(rest):
        yield Point(index * requests // rest, after=index % 2 == 1)


def run_to_its_end(folder: Path, point: Point | None) -> Killed:
    """Run, kill at the point, and resume until the run has ended."""
    folder.mkdir(parents=True)
    shutil.copy(folder.parent / "input.jsonl", folder)
    process: list[ForkServerProcess] = []
    killed = False

    def kill_now() -> None:
        nonlocal killed
        killed = True
        process[-1].kill()
        process[-1].join()

    def kill(at: Point) -> Callable[[int], None]:
        def look(number: int) -> None:
            if point == at._replace(request=number) and not killed:
                kill_now()

        return look

    with BatchServer(_FATES, before=kill(Point(0, after=False)), after=kill(Point(0, after=True))) as server:
        config = folder / "eventabs.toml"
        config.write_text(
            f'[llm]\nmodel = "m"\nbase_url = "{server.base_url}"\nstream = false\n[budget]\nmax_users = 2\n'
            '[run]\nmode = "batch"\n[batch]\npoll_seconds = 0.01\nlive_calls = 0\nlive_share = 0.0\n'
        )
        command = ["run", "input.jsonl", "--out", "out", "-q"]
        for _try in range(4):
            process.append(_start(command, folder))
            while point and point.ledger and not killed and process[-1].is_alive():
                if _is_reached(point, folder / "out" / "ledger.sqlite"):
                    kill_now()
            process[-1].join()
            if process[-1].exitcode == 0:
                break
            has_begun = (folder / "out" / "ledger.sqlite").exists()
            command = ["resume", "out", "-q"] if has_begun else command
        checkpoint = json.loads((folder / "out" / "checkpoint.json").read_text())
        files = [job.file_id for job in server.jobs]
        contents = [server.files[file_id][1] for file_id in files]
        return Killed(
            point or Point(len(server.asked), after=False),
            killed,
            len(contents) - len(set(contents)),
            sum(times > 1 for times in server.answered.values()),
            checkpoint["success_count"],
            (folder / "out" / "events.jsonl").read_bytes(),
        )


def _is_reached(point: Point, path: Path) -> bool:
    """Whether a ledger is in the state of a point; looked at some hundred times a second."""
    time.sleep(0.002)
    try:
        with Ledger.watch(path) as ledger:
            return bool(ledger.rows(point.ledger)[0][0] >= point.least)
    except RunDirectoryError:  # it is not there yet
        return False


def _start(arguments: list[str], folder: Path) -> ForkServerProcess:
    """Start the tool in a process of its own, forked from one that has loaded it."""
    process = _FORKS.Process(target=_run, args=(arguments, str(folder), environment(folder)))
    process.start()
    return process


def _run(arguments: list[str], folder: str, variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    os.close(2)
    os.open(os.devnull, os.O_WRONLY)  # the lowest free number: standard error
    sys.argv = ["eventabs", *arguments]
    command_line = import_module("eventabs.cli.commands")
    command_line.main()


def through_trouble(folder: Path, users: int) -> bool:
    """Run a workload through jobs that end in every way; return whether all is as it has to be."""
    folder.mkdir()
    workload.main(["--users", str(users), "--output", str(folder / "input.csv")])
    fates = (
        Fate("expired", served=4),
        Fate(errors={0: (500, "server_error"), 1: (400, "context_length_exceeded")}, lag=3, lies=True),
        Fate(drops=frozenset({1, 2})),
        Fate(errors=dict.fromkeys(range(100), (429, "rate_limit_exceeded"))),
        Fate(served=3, stays=math.inf),
    )
    with BatchServer(fates, queue_tokens=15 * TOKENS_A_REQUEST) as server:
        (folder / "eventabs.toml").write_text(
            f'[llm]\nmodel = "m"\nbase_url = "{server.base_url}"\nstream = false\n'
            "[llm.price]\ninput = 1.0\noutput = 4.0\nbatch = 0.5\n"
            '[run]\nmode = "batch"\n[batch]\npoll_seconds = 0.05\nmax_requests = 10\ncancel_after = 5\n'
        )
        process = _start(["run", "input.csv", "--out", "out", "-q"], folder)
        process.join()
        used = {
            tier: use["prompt_tokens"] + 4 * use["completion_tokens"] for tier, use in server.usage.items()
        }
        due = (used["live"] + used["batch"] / 2) / 1_000_000
        checkpoint = json.loads((folder / "out" / "checkpoint.json").read_text())
        twice = sum(times > 1 for times in server.answered.values())
        print(f"users done: {checkpoint['success_count']} of {users}, exit code {process.exitcode}")
        print(f"jobs: {len(server.jobs)}, states seen: {', '.join(sorted(server.seen))}")
        print(f"calls made live: {len(server.live)}, users answered twice: {twice}")
        print(f"cost: {checkpoint['usage']['cost']:.6f}, usage at the price of each tier: {due:.6f}")
        is_paid = abs(checkpoint["usage"]["cost"] - due) < 1e-6
        return is_paid and checkpoint["success_count"] == users and not twice


def main() -> None:
    """Kill, resume, count."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--users", type=int, default=486)
    parser.add_argument("--points", type=int, default=40)
    options = parser.parse_args()
    number = options.points
    began = time.monotonic()
    _FORKS.set_forkserver_preload(_LOADED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        is_whole = through_trouble(folder / "trouble", options.users)
        print(f"seconds: {time.monotonic() - began:.0f}")
        write_users(folder / "input.jsonl", users=USERS, behaviors=4)
        calm = run_to_its_end(folder / "calm", None)
        found = [
            run_to_its_end(folder / f"kill-{index}", point)
            for index, point in enumerate(points(number, calm.point.request))
        ]
    print(f"requests of an undisturbed run: {calm.point.request}")
    print(f"killed: {sum(each.was_killed for each in found)} of {number}")
    print(f"submitted twice: {sum(each.twice_submitted for each in found)}")
    print(f"answered twice: {sum(each.twice_answered for each in found)}")
    print(f"users done: {min(each.done for each in found)} to {max(each.done for each in found)} of {USERS}")
    print(
        f"events byte-equal to the undisturbed run's: {sum(each.events == calm.events for each in found)} of {number}"
    )
    print(f"seconds: {time.monotonic() - began:.0f}")
    sound = all(not each.twice_submitted and not each.twice_answered and each.done == USERS for each in found)
    sys.exit(0 if sound and is_whole else 1)


if __name__ == "__main__":
    main()
