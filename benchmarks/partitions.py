"""The reading of an export by the shards of one machine: each reads it all, or it is read once and divided.

    python benchmarks/partitions.py                   a million rows, 8 shards
    python benchmarks/partitions.py --rows 2000 --shards 2

The shards are processes that begin together, as tasks of a cluster do; each goes on to its last log. What is printed, as JSON: CPU seconds and bytes read of all
together, by themselves and as a ratio, until the rows of the shard are sorted, and whether all logs are the same.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import workload
from eventabs.config.settings import Settings
from eventabs.runs.components import open_input

SEED: Final = 7
_BEHAVIORS: Final = 92  # of a user


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure. Returns 1 where the logs are not the same."""
    options = _options(arguments)
    if options.shard:
        print(json.dumps(_read(options)))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-partitions-") as name:
        folder = Path(name)
        path = folder / "export.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            users = max(1, options.rows // _BEHAVIORS)
            workload.write(workload.generate(users, _BEHAVIORS, SEED), "csv", out)
        each = _all(options, path, "")
        once = _all(options, path, str(folder / "partitions"))
        figures = {
            "bytes_of_the_export": path.stat().st_size,
            "each_reads_all": each["figures"],
            "read_once": once["figures"],
            "ratio": {key: round(once["figures"][key] / each["figures"][key], 3) for key in each["figures"]},
            "same_logs": each["logs"] == once["logs"],
        }
    print(json.dumps(figures, indent=2))
    return 0 if figures["same_logs"] else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Read an export in shards of one machine.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--shard", default="", help=argparse.SUPPRESS)
    parser.add_argument("--path", default="", help=argparse.SUPPRESS)
    parser.add_argument("--partitions", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _all(options: argparse.Namespace, path: Path, partitions: str) -> dict[str, Any]:
    """Start a process for each shard; return their figures together, and what their logs are."""
    named = ["--path", str(path), "--partitions", partitions]
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--shard", f"{index}/{options.shards}", *named],
            stdout=subprocess.PIPE,
        )
        for index in range(options.shards)
    ]
    told = [json.loads(process.communicate()[0]) for process in processes]
    seconds = time.perf_counter() - began
    sums = {key: round(sum(each[key] for each in told), 1) for key in ("cpu_seconds", "bytes_read")}
    return {"figures": {**sums, "seconds": round(seconds, 1)}, "logs": [each["logs"] for each in told]}


def _read(options: argparse.Namespace) -> dict[str, Any]:
    settings = Settings.model_validate({"input": {"shard": options.shard}})
    partitions = Path(options.partitions) if options.partitions else None
    cpu, read = _used()
    with (
        tempfile.TemporaryDirectory(dir=Path(options.path).parent) as work,
        open_input(settings, [options.path], Path(work), partitions=partitions) as export,
    ):
        cpu_then, read_then = _used()
        digest = hashlib.sha256()
        for log in export.user_logs():
            digest.update(repr(log).encode())
    return {"cpu_seconds": cpu_then - cpu, "bytes_read": read_then - read, "logs": digest.hexdigest()}


def _used() -> tuple[float, int]:
    """Return the CPU seconds of this process, and how many bytes it has asked files for."""
    used = os.times()
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text("ascii").splitlines())
    return used.user + used.system, int(counted["rchar"])


if __name__ == "__main__":
    sys.exit(main())
