"""The reference workload in shards, in turn and side by side, merged, beside one run of all users.

    python benchmarks/shards.py                       486 users, 16 shards, and the reading of a million rows
    python benchmarks/shards.py --users 24 --behaviors 12 --shards 4 --read-rows 10000

The model is simulated over HTTP; it answers at once, and by the rows alone, so merged events have to be equal to the byte.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import workload
from eventabs.config.settings import Settings
from eventabs.ingest import open_export
from simulated_model import Options, Speed
from simulator import Simulator

SEED: Final = 7
AT_A_TIME: Final = 4
_AT_ONCE: Final = Speed(first_token=0.0, prefill=0.0, decode=0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure. Returns 1 where merged events are not those of one run to the byte."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-shards-") as name:
        folder = Path(name)
        with Simulator(Options(_AT_ONCE)) as model:
            _write(folder / "export.csv", options.users, options.behaviors)
            equal = _measure_runs(folder, model.base_url, options.shards)
        _write(folder / "large.csv", max(1, options.read_rows // options.behaviors), options.behaviors)
        _measure_reading(folder, ("", f"0/{options.shards}"))
    return 0 if equal else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the reference workload in shards.")
    parser.add_argument("--users", type=int, default=486)
    parser.add_argument("--behaviors", type=int, default=92)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--read-rows", type=int, default=1_000_000)
    return parser.parse_args(arguments)


def _write(path: Path, users: int, behaviors: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        workload.write(workload.generate(users, behaviors, SEED), "csv", out)


def _measure_runs(folder: Path, base_url: str, shards: int) -> bool:
    print(
        f"{'':14}{'seconds':>10}{'users':>8}{'rows kept':>12}{'of others':>12}{'calls':>8}{'tokens in':>12}"
    )
    whole = folder / "whole"
    seconds = _run(folder, base_url, whole)
    _show("one run", seconds, [whole])
    wanted = (whole / "events.jsonl").read_bytes()
    equal = True
    for name, workers in (("in turn", 1), ("side by side", AT_A_TIME)):
        directories = [folder / f"{workers}-{index}" for index in range(shards)]
        begun = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(_run, folder, base_url, directory, f"{index}/{shards}")
                for index, directory in enumerate(directories)
            ]
            each = [job.result() for job in jobs]
        seconds = time.perf_counter() - begun
        if workers == 1:
            for index, directory in enumerate(directories):
                _show(f"  shard {index}", each[index], [directory])
        _show(name, seconds, directories)
        begun = time.perf_counter()
        _eventabs(folder, "merge", *directories, "--out", folder / f"merged-{workers}")
        same = (folder / f"merged-{workers}" / "events.jsonl").read_bytes() == wanted
        said = "equal to the byte" if same else "NOT those of one run"
        print(f"  merged      {time.perf_counter() - begun:>10.1f}  events {said}")
        equal &= same
    return equal


def _run(folder: Path, base_url: str, out: Path, shard: str = "") -> float:
    """Run a process to its end; return its seconds."""
    begun = time.perf_counter()
    named = ["--shard", shard] if shard else []
    _eventabs(folder, "run", "export.csv", "--model", "m", "--base-url", base_url, "--out", out, *named)
    return time.perf_counter() - begun


def _eventabs(folder: Path, *arguments: object) -> None:
    subprocess.run(
        [sys.executable, "-m", "eventabs", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "EVENTABS_LANG": "en", "XDG_STATE_HOME": str(folder)},
        check=True,
        capture_output=True,
    )


def _show(name: str, seconds: float, directories: Sequence[Path]) -> None:
    documents: list[dict[str, Any]] = [
        json.loads((directory / "checkpoint.json").read_text("utf-8")) for directory in directories
    ]
    kept = sum(each["input"]["rows"] for each in documents)
    others = sum(each["input"]["other_rows"] for each in documents)
    users = sum(each["total_users"] for each in documents)
    calls, tokens = (sum(each["usage"][key] for each in documents) for key in ("calls", "prompt_tokens"))
    print(f"{name:14}{seconds:>10.1f}{users:>8,}{kept:>12,}{others:>12,}{calls:>8,}{tokens:>12,}")


def _measure_reading(folder: Path, shards: Sequence[str]) -> None:
    """Read the large export to the last log, as a whole and one shard of it."""
    for shard in shards:
        settings = Settings.model_validate({"input": {"shard": shard}})
        begun = time.perf_counter()
        with open_export([str(folder / "large.csv")], settings.input, work_dir=folder) as export:
            behaviors = sum(len(log.behaviors) for log in export.user_logs())
            rows = export.rows + export.other_rows
        seconds = time.perf_counter() - begun
        print(f"read {shard or 'all':9}{seconds:>10.1f}  {behaviors:,} behaviors of {rows:,} rows")


if __name__ == "__main__":
    sys.exit(main())
