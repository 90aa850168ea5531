"""Runs the tool through failures, kills and limits against the simulated endpoint, and says what it made of them.

    python benchmarks/reliability.py                          the generator's workload, the case's failure mix
    python benchmarks/reliability.py --input FILE --kills 50  killed 50 times, compared with a calm run
    python benchmarks/reliability.py --failures "" --concurrency 16 --max-users 3 --scale 8
    python benchmarks/reliability.py --failures "" --max-users 2 --limit 60 --rpm 60 --scale 100
    python benchmarks/reliability.py --calls 10000 --concurrency 64

What each figure means stands in docs/benchmarks.md. The exit code is 1 where a target is missed.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import reliability_figures as figures
import workload
from reliability_bench import Bench, Life
from reliability_figures import Figure
from reliability_records import Run, read_log
from simulated_model import CASE_FAILURES, parse_failures
from throughput import measure_throughput

LEAST_BATCHES = 160  # for the target of the schedule
_FIRST_LIFE = 0.15  # seconds: no process is killed before it could have begun


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks; return the exit code."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="reliability-") as temporary:
        folder = options.work_dir or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.calls:
            source = _generated(folder, users=options.calls, behaviors=2)
            options.max_users = 1
            bench = Bench(folder, source, options)
            found = measure_throughput(bench, options.concurrency, options.answer_seconds)
        else:
            source = options.input.resolve() if options.input else _generated(folder, options.users, 92)
            found = _reliability(Bench(folder, source, options), options)
    print(figures.table(found))
    return 0 if all(figure.is_met is not False for figure in found) else 1


def _reliability(bench: Bench, options: argparse.Namespace) -> list[Figure]:
    mixed = {
        "failures": options.failures,
        "scale": options.scale,
        "seed": options.seed,
        "rpm": options.limit,
        "retry_after": options.retry_after,
    }
    with bench.endpoint("calm", scale=1000) as base_url:
        calm = bench.live("calm", base_url)
    with bench.endpoint("undisturbed", **mixed) as base_url:
        life = bench.live("undisturbed", base_url, rpm=options.rpm)
    run = bench.run("undisturbed")
    found = [
        *figures.endings(run, life.code, life.errors),
        *figures.calls(run),
        *figures.tokens(run),
        *figures.purity(run, bench.run("calm")),
        *figures.walls(run, options.concurrency, life.seconds, is_target=_is_clean(options, run)),
        *figures.limits(run, options.limit),
    ]
    assert calm.code == 0, calm.errors
    if options.kills:
        with bench.endpoint("killed", **mixed) as base_url:
            kills, last = _kill(bench, base_url, run, options)
        killed = bench.run("killed")
        found += figures.kills(
            killed, run, kills=kills, asked=options.kills, code=last.code, errors=last.errors
        )
    return found


def _is_clean(options: argparse.Namespace, run: Run) -> bool:
    return not parse_failures(options.failures) and not options.limit and len(run.log) >= LEAST_BATCHES


def _kill(bench: Bench, base_url: str, calm: Run, options: argparse.Namespace) -> tuple[int, Life]:
    """Kill the tool at random moments until it has died often enough, then let it end.

    Lives are as long on average as the way to the first call and an even share of the calls, at first;
    shorter where the run is ahead of the kills, longer where it is behind.
    """
    moments = Random(options.seed)
    mean = calm.first_call_seconds + calm.calls_seconds / (options.kills + 1)
    kills = 0
    while kills < options.kills:
        process = bench.start("killed", base_url, rpm=options.rpm)
        try:
            process.communicate(timeout=_FIRST_LIFE + moments.random() * 2 * mean)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
        ahead = len(read_log(bench.folder / "killed.jsonl")) / len(calm.log) > kills / options.kills
        mean *= 0.8 if ahead else 1.1
    return kills, bench.live("killed", base_url, rpm=options.rpm)


def _generated(folder: Path, users: int, behaviors: int) -> Path:
    source = folder / "behaviors.csv"
    workload.main(["--users", str(users), "--behaviors", str(behaviors), "--output", str(source)])
    return source


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what failures, kills and limits do to a run.")
    parser.add_argument("--input", type=Path, help="an export; else the generator's workload")
    parser.add_argument("--users", type=int, default=486, help="of the generator's workload")
    parser.add_argument("--failures", default=CASE_FAILURES, help="shares by kind, '' for none")
    parser.add_argument("--seed", type=int, default=7, help="of the failures and of the kills")
    parser.add_argument("--scale", type=float, default=100.0, help="how many times faster the model is")
    parser.add_argument("--retry-after", type=float, default=1.0, help="real seconds, of drawn 429s")
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs, each followed by resume")
    parser.add_argument("--limit", type=int, default=0, help="requests a minute that the endpoint takes")
    parser.add_argument("--rpm", type=int, default=0, help="requests a minute that the tool is told")
    parser.add_argument("--concurrency", type=int, default=3)
    parser.add_argument("--max-concurrency", type=int, default=0)
    parser.add_argument("--max-users", type=int, default=0, help="users a batch, 0: the tool's own")
    parser.add_argument("--answer", choices=("lines", "schema"), default="")
    parser.add_argument("--idle-timeout", type=float, default=0.0, help="seconds; else 120 / scale, from 2")
    parser.add_argument("--calls", type=int, default=0, help="measure throughput with so many short calls")
    parser.add_argument(
        "--answer-seconds", type=float, default=0.05, help="until one of these has its answer"
    )
    parser.add_argument("--work-dir", type=Path, help="keep inputs, logs and run directories here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
