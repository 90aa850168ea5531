"""The same rows as a file, in an S3 server, and piped out of PostgreSQL: rows a second to user logs, and memory.

    python benchmarks/sources.py                      a million rows, three rounds
    python benchmarks/sources.py --rows 100000 --rounds 1

Needs the dev extra (moto serves S3) and PostgreSQL, without which its line is left out. In each round every source is read once, in
a process of its own, from the start of the process to the last log.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from eventabs.ingest import InputSettings, open_export
from eventabs.runs.intake import copied
from eventabs.stop_request import Stop
from exports import SEED, generate, peak_memory

ROWS: Final = 1_000_000
ROUNDS: Final = 3
_SLOWEST: Final = 2.0  # times the seconds of the file
_MOST_MEMORY: Final = 1.1  # times that of the file
_MB: Final = 1e6
BASH: Final = shutil.which("bash") or "bash"
_SUPPORT: Final = Path(__file__).parents[1] / "tests" / "support"  # holds the servers


class Source(NamedTuple):
    """A shell command that reads the rows, and the variables that it needs."""

    command: str
    variables: Mapping[str, str]


class Measured(NamedTuple):
    """Rows, seconds from the start of the command to its end, and the most memory that the reader held, in MB."""

    rows: int
    seconds: float
    memory: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the sources. Returns 1 where one takes more than twice the time of the file, or more memory."""
    options = _options(arguments)
    if options.step:
        print(json.dumps(read_logs(options.step)))
        return 0
    sys.path.insert(0, str(_SUPPORT))
    with tempfile.TemporaryDirectory(prefix="bench-sources-", dir=options.work_dir or None) as name:
        path = Path(name) / "behaviors.csv"
        generate(options.rows, 0.0, path, path.parent)
        with _sources(path) as sources:
            found: dict[str, list[Measured]] = {each: [] for each in sources}
            for _round in range(options.rounds):
                for each, source in sources.items():
                    found[each].append(_measured(source))
        print(f"{path.stat().st_size / _MB:,.0f} MB of CSV, {options.rounds} rounds, seed {SEED}")
    return _show(found)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure reading from where data live.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--work-dir", default="", help="folder for files that are deleted afterwards")
    parser.add_argument("--step", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def read_logs(path: str) -> tuple[int, float]:
    """Read to the logs of all users. Returns the number of rows, and the most memory that was held, in MB."""
    with tempfile.TemporaryDirectory(prefix="bench-sources-") as name:
        folder = Path(name)
        with open_export(copied([path], folder, Stop()), InputSettings(), work_dir=folder) as export:
            return sum(len(log.behaviors) for log in export.user_logs()), peak_memory()


@contextmanager
def _sources(path: Path) -> Iterator[dict[str, Source]]:
    from object_server import object_server  # noqa: PLC0415  of the dev extra
    from postgresql import FOLDERS, postgresql  # noqa: PLC0415

    reader = shlex.join([sys.executable, __file__, "--step"])
    with object_server() as server:
        address = server.put("s3://bench/behaviors.csv", path.read_bytes())
        sources = {
            "file": Source(f"{reader} {shlex.quote(str(path))}", {}),
            "S3": Source(f"{reader} {address}", server.variables),
        }
        if not FOLDERS:
            print("PostgreSQL is not installed: left out")
            yield sources
            return
        with postgresql() as psql:
            client = shlex.join(psql)
            with path.open("rb") as file, path.open(encoding="utf-8") as lines:
                header = next(lines).strip().split(",")
                columns = ", ".join(
                    f"{name} {'timestamp' if name == 'timestamp' else 'text'}" for name in header
                )
                script = (
                    f"{client} -c 'CREATE TABLE events ({columns})' -c '\\copy events FROM STDIN CSV HEADER'"
                )
                subprocess.run([BASH, "-c", script], stdin=file, check=True)
            pipe = f"{client} -c '\\copy (SELECT * FROM events) TO STDOUT CSV HEADER' | {reader} -"
            yield sources | {"PostgreSQL": Source(pipe, {})}


def _measured(source: Source) -> Measured:
    began = time.perf_counter()
    said = subprocess.run(
        [BASH, "-o", "pipefail", "-c", source.command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **source.variables},
    ).stdout
    rows, memory = json.loads(said)
    return Measured(rows, time.perf_counter() - began, memory)


def _show(found: Mapping[str, Sequence[Measured]]) -> int:
    """Print the medians, each beside that of the file; return 1 where a target is missed."""
    print(f"{'':12}{'rows':>11}{'seconds':>9}{'rows/s':>10}{'x file':>8}{'memory MB':>11}{'x file':>8}")
    medians = {
        name: Measured(rounds[0].rows, *(statistics.median(each[n] for each in rounds) for n in (1, 2)))
        for name, rounds in found.items()
    }
    file = medians["file"]
    met = True
    for name, (rows, seconds, memory) in medians.items():
        slower, more = seconds / file.seconds, memory / file.memory
        print(
            f"{name:12}{rows:11,}{seconds:9.1f}{rows / seconds:10,.0f}{slower:8.2f}{memory:11,.0f}{more:8.2f}"
        )
        met &= rows == file.rows and slower <= _SLOWEST and more <= _MOST_MEMORY
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
