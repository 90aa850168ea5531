"""One run on a Ray cluster of two machines, of which one is lost in the middle, and the limiter too.

    python benchmarks/cluster.py --users 120 --shards 4 --rpm 300
    python benchmarks/cluster.py --input behaviors.csv --profiles profiles.csv --shards 8

Both machines are this one, in a network namespace of their own (`unshare --net`), which has no way out. The second machine
is killed once `--lose-at` of the users are done in the copies of their shards, the limiter once half of the others are. What is printed, as JSON: users well
and failed, calls, what the endpoint was asked again that had been copied before (nothing, if the promise holds), and the most requests
in any minute beside how many could have been made.
"""

import argparse
import csv
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from eventabs.shards.cluster.claims import Claim
from eventabs.shards.cluster.share import open_share
from eventabs.store import Ledger, unpack_messages, unpack_parts
from simulated_model import Options, Speed
from simulated_replies import read_blocks
from simulator import Simulator
from workload import generate, profiles, write

_LOOK_SECONDS = 0.2
_MINUTE = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run inside a network namespace, which is made first."""
    options = _options(arguments)
    if not options.inside:
        return subprocess.call([*_own_network(), sys.executable, __file__, "--inside", *sys.argv[1:]])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607  wherever it is
    os.environ["RAY_AUTH_MODE"] = "disabled"
    os.environ["NO_PROXY"] = "127.0.0.1"
    with _folder(options.keep) as folder:
        print(json.dumps(_figures(options, folder), indent=2))
    return 0


def _own_network() -> list[str]:
    user = [] if os.getuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--net"]


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _figures(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    exported, described = _input(options, folder)
    log = folder / "served.jsonl"
    speed = Speed(scale=options.scale)
    with Simulator(Options(speed=speed), log=log) as simulator, _cluster(options.shards) as cluster:
        command = [
            *(sys.executable, "-m", "eventabs", "run", str(exported), "--out", str(folder / "run.eventabs")),
            *(("--profiles", str(described)) if described else ()),
            *("--engine", "ray", "--ray-address", cluster.address, "--shards", str(options.shards)),
            *("--share", str(folder / "share"), "--model", "simulated", "--base-url", simulator.base_url),
            *("--concurrency", str(options.concurrency), "--rpm", str(options.rpm), "--json"),
            *("--max-users", str(options.max_users), "--progress", "plain"),
        ]
        environment = os.environ | {
            "EVENTABS_CLUSTER__COPY_SECONDS": str(options.copy_seconds),
            "EVENTABS_CLUSTER__LEASE_SECONDS": str(options.lease_seconds),
        }
        began = time.time()
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as driver:
            events = _disturb(options, folder / "share", cluster, driver)
            output, _errors = driver.communicate()
        ended = time.time()
    served = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    return {
        "exit_code": driver.returncode,
        "summary": json.loads(output) if output.strip() else None,
        "seconds": round(ended - began, 1),
        **events["told"],
        "asked_again_that_had_been_copied": _asked_again(served, events),
        "asked_more_than_once": _repeated(served),
        **_pace([each["time"] for each in served], options.rpm),
    }


def _input(options: argparse.Namespace, folder: Path) -> tuple[Path, Path | None]:
    if options.input is not None:
        return options.input.absolute(), options.profiles and options.profiles.absolute()
    exported, described = folder / "behaviors.csv", folder / "profiles.csv"
    with exported.open("w", encoding="utf-8", newline="") as file:
        write(generate(options.users, options.behaviors, 7), "csv", file)
    with described.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(profiles(options.users, 7))
    return exported, described


class _Machines(NamedTuple):
    address: str
    lose_second: Callable[[], object]


@contextmanager
def _cluster(shards: int) -> Iterator["_Machines"]:
    """Start two machines, each with room for all shards."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415  an extra

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": shards, "include_dashboard": False})
    second = cluster.add_node(num_cpus=shards)
    try:
        yield _Machines(cluster.address, lambda: cluster.remove_node(second, allow_graceful=False))
    finally:
        with suppress(Exception):
            cluster.shutdown()


def _disturb(
    options: argparse.Namespace, share: Path, cluster: "_Machines", driver: "subprocess.Popen[str]"
) -> dict[str, Any]:
    """Lose the second machine, and then the limiter; return when, and what had been copied by then."""
    events: dict[str, Any] = {"told": {}}
    users = options.total or options.users
    machine_at, limiter_at = options.lose_at * users, (options.lose_at + 1) / 2 * users
    while driver.poll() is None:
        time.sleep(_LOOK_SECONDS)
        if "machine" not in events:
            copied = _copied(share)
            if options.lose_at and copied["users"] >= machine_at:
                cluster.lose_second()
                events |= {"machine": time.time(), "copied": copied["blocks"]}
                events["told"]["copied_users_when_the_machine_was_lost"] = copied["users"]
        elif "limiter" not in events and _copied(share)["users"] >= limiter_at:
            _lose_limiter(cluster.address)
            events["limiter"] = time.time()
            events["told"]["limiter_lost"] = True
    return events


def _copied(share: Path) -> dict[str, Any]:
    """Return how many users are done in the copies that count, and the blocks that their calls were about."""
    users, blocks = 0, set[str]()
    with suppress(OSError, StopIteration):
        run = next(share.iterdir())
        for claim in sorted((run / "claims").iterdir()):
            with suppress(Exception):  # replaced at this moment
                found = open_share(str(share)).read(f"{run.name}/claims/{claim.name}")
                copy = Claim.parsed(found[0]).copy if found else ""
                if copy:
                    done, asked = _of_copy(share / copy / "ledger.sqlite")
                    users += done
                    blocks |= asked
    return {"users": users, "blocks": blocks}


def _of_copy(path: Path) -> tuple[int, set[str]]:
    """Return how many users of a copy are done, and the blocks that their answers are about."""
    with Ledger.watch(path) as ledger:
        ((done,),) = ledger.rows("SELECT count(*) FROM user_states WHERE state = 'done'")
        parts = {
            tuple(row)
            for row in ledger.rows("SELECT user_id, first, last, call_id FROM parts WHERE state = 'done'")
        }
        calls = ledger.rows("SELECT id, users, messages FROM calls WHERE status = 'read'")
    return done, {
        blocks[alias]
        for call_id, users, packed in calls
        for blocks in [read_blocks(unpack_messages(packed)[-1]["content"])]
        for alias, part in unpack_parts(users).items()
        if (*part, call_id) in parts
    }


def _lose_limiter(address: str) -> None:
    import ray  # noqa: PLC0415  an extra

    ray.init(address=address, namespace="eventabs", log_to_driver=False, logging_level=logging.ERROR)
    (name,) = ray.util.list_named_actors()
    ray.kill(ray.get_actor(name), no_restart=False)
    ray.shutdown()


def _asked_again(served: Sequence[dict[str, Any]], events: dict[str, Any]) -> int:
    copied, lost_at = events.get("copied", set()), events.get("machine", 0.0)
    return sum(
        block in copied for each in served if each["time"] > lost_at for block in each["users"].values()
    )


def _repeated(served: Sequence[dict[str, Any]]) -> int:
    blocks = [block for each in served for block in each["users"].values()]
    return len(blocks) - len(set(blocks))


def _pace(times: Sequence[float], rpm: int) -> dict[str, Any]:
    times = sorted(times)
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
    parser.add_argument("--total", type=int, default=0, help="users of --input")
    parser.add_argument("--users", type=int, default=120)
    parser.add_argument("--behaviors", type=int, default=30)
    parser.add_argument("--max-users", type=int, default=6)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--rpm", type=int, default=0)
    parser.add_argument("--scale", type=float, default=20.0, help="how many times faster the model is")
    parser.add_argument("--lose-at", type=float, default=0.3, help="share of users; 0: nothing is lost")
    parser.add_argument("--copy-seconds", type=float, default=2.0)
    parser.add_argument("--lease-seconds", type=float, default=3.0)
    parser.add_argument("--keep", type=Path, help="a new folder that stays")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
