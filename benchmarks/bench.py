"""Processor time of the tool beside yardsticks that are measured in the same minute, compared with the figures kept in bench.json.

    python benchmarks/bench.py                      two minutes; the exit code is 1 where a figure is 10 % worse than the last kept one
    python benchmarks/bench.py --keep NAME          keep what was measured, as the figures of a commit
    python benchmarks/bench.py --rounds 1           in a third of the time
    python benchmarks/bench.py --checkout FOLDER    measure another commit; what it needs beyond this environment is found on PYTHONPATH

Seconds differ between machines and ratios hardly do, so only ratios are compared: each is the median of three rounds, and in every round the
tool and its yardstick take turns. Other work on the machine moves seconds of the processor by some percent, too: where the rounds
differ by more than 10 %, the table says so, and a quiet machine should measure again. One round (`--rounds 1`) shows only what is far off.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import exports
import throughput
import workload

HERE: Final = Path(__file__).parent
KEPT: Final = HERE / "bench.json"
MOST_GROWTH: Final = 0.10  # of a ratio above the kept one
_ROWS: Final = 1_000_000
_CALLS: Final = 2_000
_BEFORE: Final = 200  # calls of a run that is taken away from the other one: start, reading and end
_PACKED: Final = (
    24,
    624,
)  # users of 92 behaviors in runs of packed calls; the first is taken away from the second
_IN_FLIGHT: Final = 64
_STARTS: Final = 5  # of short processes: one by itself is too short to be measured well

# The yardstick of short processes: the help page of a Typer program that does nothing.
_TYPER: Final = "import typer; app = typer.Typer(); app.command()(lambda: None); app(['--help'])"
# A step of exports.py without the start of its process; `exports` is that of the checkout that is measured.
_STEP: Final = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
import exports
began = time.process_time()
exports.STEPS[sys.argv[2]](sys.argv[3], pathlib.Path(sys.argv[4]))
print(time.process_time() - began)
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the tool: seconds of the processor, times those of its yardstick; `noise`: how far the rounds lie apart, as a share."""

    seconds: float
    ratio: float
    noise: float

    @classmethod
    def of(cls, rounds: Sequence[tuple[float, float]]) -> "Figure":
        """Sum up rounds of (seconds of the tool, seconds of the yardstick)."""
        ratios = [tool / yardstick for tool, yardstick in rounds]
        middle = median(ratios)
        return cls(
            round(median(tool for tool, _ in rounds), 3),
            round(middle, 3),
            round((max(ratios) - min(ratios)) / middle, 3),
        )


def growth(now: Figure, before: Figure) -> float:
    """Return by which share a figure has become worse; below 0: better."""
    return now.ratio / before.ratio - 1


class Bench:
    """A folder with the inputs, in which the tool of `checkout` is measured."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self._folder = folder
        self._checkout = checkout
        self._export = folder / "export.csv"
        self._outs = 0
        exports.generate(_ROWS, 0.0, self._export, folder)
        with self._export.open("rb") as file:
            self._millions = (sum(1 for _ in file) - 1) / 1e6
        for users in (_BEFORE, _CALLS + _BEFORE):
            workload.main(["--users", str(users), "--behaviors", "2", "--output", str(self._users(users))])
        for users in _PACKED:
            workload.main(["--users", str(users), "--output", str(self._users(users))])

    def measure(self) -> dict[str, tuple[float, float]]:
        """Measure each figure once: seconds of the tool and of its yardstick."""
        typer = self._seconds("-c", _TYPER, times=_STARTS)
        sorting = self._step(HERE.parent, "DuckDB, to a table")
        reading = self._step(self._checkout, "packed batches")
        estimate = self._tool("estimate", self._export, "--json") / self._millions
        tool, bare = self._calls((_BEFORE, _CALLS + _BEFORE), "--max-users", 1)
        packed_tool, packed_bare = self._calls(_PACKED)
        return {
            "1,000 calls, beside a bare httpx loop": (1000 * tool, 1000 * bare),
            "10 packed calls, beside the same": (10 * packed_tool, 10 * packed_bare),
            "a million rows to packed batches, beside DuckDB's sort": (reading, sorting),
            "estimate of a million rows, beside reading them": (estimate, reading),
            "--help, beside that of an empty Typer program": (self._tool("--help", times=_STARTS), typer),
            "the demo, beside the same": (self._demo(), typer),
        }

    def _calls(self, numbers: tuple[int, int], *options: object) -> tuple[float, float]:
        """Return the seconds for a call of the tool, and of the loop over the same bodies; of runs with so many users."""
        with _endpoint() as base_url:
            seconds, calls = [], []
            for users in numbers:
                seconds.append(self._run(users, base_url, *options))
                last = self._folder / f"out-{self._outs}"
                calls.append(len(throughput.bodies(last)))
            bare = float(_said(HERE.parent, HERE / "bench.py", "--bare", last, base_url))
        return (seconds[1] - seconds[0]) / (calls[1] - calls[0]), bare / calls[1]

    def _run(self, users: int, base_url: str, *options: object) -> float:
        model = [
            "--model",
            "simulated",
            "--base-url",
            base_url,
            "--concurrency",
            _IN_FLIGHT,
            *options,
        ]
        return self._tool("run", self._users(users), "--out", self._out(), *model, "--json", "--quiet")

    def _demo(self) -> float:
        examples = HERE.parent / "examples"
        source = [examples / "behaviors.jsonl", "--profiles", examples / "profiles.csv"]
        return self._tool("run", *source, "--provider", "rules", "--out", self._out(), "--quiet")

    def _step(self, checkout: Path, name: str) -> float:
        said = _said(
            checkout, "-c", _STEP, checkout / "benchmarks", name, self._export, self._folder / "step"
        )
        return float(said) / self._millions

    def _tool(self, *arguments: object, times: int = 1) -> float:
        return self._seconds("-m", "eventabs", *map(str, arguments), times=times)

    def _users(self, users: int) -> Path:
        return self._folder / f"users-{users}.csv"

    def _out(self) -> Path:
        self._outs += 1
        return self._folder / f"out-{self._outs}"

    def _seconds(self, *arguments: str, times: int = 1) -> float:
        """Return the seconds of the processor, user and system, that a process takes."""
        total = 0.0
        for _ in range(times):
            with (self._folder / "said").open("wb") as said:
                process = subprocess.Popen(
                    [sys.executable, *arguments],
                    cwd=self._folder,
                    env=_environment(self._checkout),
                    stdout=said,
                    stderr=said,
                )
                _pid, process.returncode, used = os.wait4(process.pid, 0)
            assert process.returncode == 0, (self._folder / "said").read_text()
            total += used.ru_utime + used.ru_stime
        return total / times


def _environment(checkout: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EVENTABS", "OPENAI", "LANG"))}
    found = [str(checkout / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"LC_ALL": "C.UTF-8", "PYTHONPATH": os.pathsep.join(found)}


def _said(checkout: Path, *arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, check=True, env=_environment(checkout), stdout=subprocess.PIPE, text=True
    ).stdout


@contextmanager
def _endpoint() -> Iterator[str]:
    """Serve a model that answers after 50 ms, in a process whose time is not counted; yield its base URL."""
    command = [HERE / "simulator.py", "--first-token", 0.05, "--prefill", 0, "--decode", 0]
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=_environment(HERE.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def table(now: Mapping[str, Figure], name: str, before: Mapping[str, Figure]) -> str:
    """Return a line for each figure, beside those kept under `name`."""
    lines = [f"{'processor time':56}{'seconds':>8}{'times':>8}{'noise':>7}{name:>10}{'worse':>8}"]
    for what, figure in now.items():
        line = f"{what:56}{figure.seconds:8.2f}{figure.ratio:8.2f}{figure.noise:7.0%}"
        if what in before:
            line += f"{before[what].ratio:10.2f}{growth(figure, before[what]):+8.0%}"
        lines.append(line)
    if noisy := [what for what, figure in now.items() if figure.noise > MOST_GROWTH]:
        lines.append(
            f"rounds differ by more than {MOST_GROWTH:.0%}, so measure again on a quiet machine: {'; '.join(noisy)}"
        )
    lines += [f"worse than {name}: {what}" for what in worse(now, before)]
    return "\n".join(lines)


def worse(now: Mapping[str, Figure], before: Mapping[str, Figure]) -> list[str]:
    """Return the figures that have become worse by more than a tenth."""
    return [what for what in now if what in before and growth(now[what], before[what]) > MOST_GROWTH]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, compare, and keep the figures if asked to; return the exit code."""
    options = _options(arguments)
    if options.bare:
        ledger, base_url = options.bare
        bodies = throughput.bodies(Path(ledger))
        began = time.process_time()
        asyncio.run(throughput.ask_all(base_url, bodies, _IN_FLIGHT))
        print(time.process_time() - began)
        return 0
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder), options.checkout.resolve())
        rounds = [bench.measure() for _ in range(options.rounds)]
    now = {what: Figure.of([each[what] for each in rounds]) for what in rounds[0]}
    name = next(reversed(kept), "")
    before = {what: Figure(**figure) for what, figure in kept[name]["figures"].items()} if name else {}
    print(table(now, name, before))
    if options.keep:
        machine = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, Python {platform.python_version()}"
        kept[options.keep] = {
            "machine": machine,
            "figures": {what: asdict(figure) for what, figure in now.items()},
        }
        KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return 1 if worse(now, before) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the processor time of the tool beside yardsticks.")
    parser.add_argument("--keep", default="", help="keep the figures in bench.json, under this name")
    parser.add_argument("--checkout", type=Path, default=HERE.parent, help="folder with another commit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", nargs=2, help=argparse.SUPPRESS)  # run directory, base URL
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
