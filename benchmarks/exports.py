"""From files to packed batches: rows a second and memory, beside DuckDB alone on the same file.

    python benchmarks/exports.py                      0.46 and 4.6 million rows, repeated names and unique texts
    python benchmarks/exports.py --all                46 million rows as well
    python benchmarks/exports.py --input export.csv

Each step runs in a process of its own, so that its memory is its own.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

import workload
from eventabs.config.settings import Settings
from eventabs.ingest import InputSettings, open_export
from eventabs.ingest.columns_by_their_values import profiles
from eventabs.ingest.formats import open_file
from eventabs.ingest.formats.base import Query
from eventabs.ingest.normal_form import as_glob, quoted, scratch_database
from eventabs.ingest.roles_of_columns import choose
from eventabs.prompts import measure_group, plan, sampled
from eventabs.runs.built_from_settings import builder_and_limits, prompt_language_of
from eventabs.shared_records import PlannedPart

BEHAVIORS_A_USER: Final = 92
SIZES: Final = (460_000, 4_600_000)
LARGE: Final = 46_000_000
UNIQUE_TEXT: Final = (0.0, 0.3)  # shares of the rows
SEED: Final = 7
_GENERATORS: Final = 2  # processes
_FETCHED: Final = 10_000
_MB: Final = 1e6
_MOST_MEMORY: Final = 1000  # MB
_WANTED: Final = 500_000  # rows a second


class Measured(NamedTuple):
    """What a step did; `busy`: seconds on all cores together; `memory` is the most that its process held, in MB."""

    rows: int
    seconds: float
    busy: float
    memory: float
    result: str


def sort_with_duckdb(path: str, folder: Path) -> tuple[int, str]:
    """Let DuckDB write the file's columns, ordered by user and time, into a table on disk."""
    with _raw(path, folder) as (connection, query):
        connection.execute(f"ATTACH {quoted(str(folder / 'duckdb' / 'disk'))} AS disk")
        connection.execute(f"CREATE TABLE disk.sorted AS {query.sql}")
        counted = connection.execute("SELECT count(*) FROM disk.sorted").fetchone()
    return (counted[0] if counted else 0), "sorted on disk"


def fetch_from_duckdb(path: str, folder: Path) -> tuple[int, str]:
    """Let DuckDB order the file by user and time, and take the rows into Python, some thousand at a time."""
    with _raw(path, folder) as (connection, query):
        cursor = connection.execute(query.sql)
        count = sum(map(len, iter(lambda: cursor.fetchmany(_FETCHED), [])))
    return count, "sorted and fetched"


def read_logs(path: str, folder: Path) -> tuple[int, str]:
    """Read to the logs of all users."""
    with open_export([path], InputSettings(), work_dir=folder) as export:
        count = sum(len(log.behaviors) for log in export.user_logs())
    return count, f"{export.users:,} logs"


def pack_batches(path: str, folder: Path) -> tuple[int, str]:
    """Read, measure all users as a run does, and plan the batches."""
    settings = Settings()
    with open_export([path], settings.input, work_dir=folder) as export:
        language = prompt_language_of(settings, sampled(export.user_logs()))
        builder, limits = builder_and_limits(settings, {"prompt_language": language, "template": None})
        parts: list[PlannedPart] = []
        for group in export.groups():
            parts += (PlannedPart(*each) for each in measure_group(group, builder, limits))
    began = time.perf_counter()
    batches = plan(parts, limits, probe=True, workers=settings.run.concurrency)
    seconds = time.perf_counter() - began
    return export.behaviors, f"{len(batches):,} batches, packed in {seconds:.1f} s"


STEPS: Final[dict[str, Callable[[str, Path], tuple[int, str]]]] = {
    "DuckDB, to a table": sort_with_duckdb,
    "DuckDB, to Python": fetch_from_duckdb,
    "user logs": read_logs,
    "packed batches": pack_batches,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for. Returns 1 where a target is missed."""
    options = _options(arguments)
    if options.step:
        _report(options.step, options.input, Path(options.work_dir))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-exports-", dir=options.work_dir or None) as name:
        folder = Path(name)
        if options.input:
            met = _measure(Path(options.input), folder)
        else:
            sizes = [*(options.rows or SIZES), *([LARGE] if options.all else [])]
            met = True
            for size, share in product(sizes, options.unique_text):
                met &= _generated(size, share, folder)
    return 0 if met else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the way from files to packed batches.")
    parser.add_argument("--input", default="", help="your own export, instead of the generator's")
    parser.add_argument("--rows", type=int, nargs="*", help="sizes to generate")
    parser.add_argument(
        "--all", action="store_true", help="46 million rows as well: half an hour, and 15 GB of disk"
    )
    parser.add_argument(
        "--unique-text", type=float, nargs="*", default=UNIQUE_TEXT, help="shares of the rows"
    )
    parser.add_argument("--work-dir", default="", help="folder for files that are deleted afterwards")
    parser.add_argument("--step", choices=tuple(STEPS), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _generated(size: int, unique_text: float, folder: Path) -> bool:
    path = folder / "behaviors.csv"
    began = time.perf_counter()
    generate(size, unique_text, path, folder)
    seconds = time.perf_counter() - began
    print(f"\n{size:,} rows, {unique_text:.0%} unique texts (generated in {seconds:.0f} s)")
    try:
        return _measure(path, folder)
    finally:
        path.unlink()


def generate(size: int, unique_text: float, path: Path, folder: Path) -> None:
    """Write about `size` rows of the workload in order of time, as logs are: every user's lie all over the file."""
    users = max(_GENERATORS, size // BEHAVIORS_A_USER)
    bounds = [users * part // _GENERATORS for part in range(_GENERATORS + 1)]
    pieces = [folder / f"piece-{part}.csv" for part in range(_GENERATORS)]
    with ProcessPoolExecutor(_GENERATORS) as pool:
        list(pool.map(_write_users, bounds, bounds[1:], [unique_text] * _GENERATORS, pieces))
    with scratch_database(folder / "generating", [str(path), *map(str, pieces)]) as connection:
        named = ", ".join(quoted(as_glob(str(piece))) for piece in pieces)
        connection.execute(
            f"COPY (SELECT * FROM read_csv([{named}], header = true, all_varchar = true)"
            f" ORDER BY timestamp, hash(user_id)) TO {quoted(str(path))} (HEADER)"
        )
    for piece in pieces:
        piece.unlink()


def _write_users(first: int, last: int, unique_text: float, path: Path) -> None:
    lives = workload.generate(last, BEHAVIORS_A_USER, SEED, unique_text=unique_text, first=first + 1)
    with path.open("w", encoding="utf-8", newline="") as out:
        workload.write(lives, "csv", out)


def _measure(path: Path, folder: Path) -> bool:
    print(f"{path.name}: {path.stat().st_size / _MB:,.0f} MB")
    print(f"{'':22}{'rows/s':>12}{'seconds':>10}{'CPU s':>8}{'memory MB':>11}{'x DuckDB':>10}  result")
    yardstick = 0.0
    met = True
    for step in STEPS:
        measured = _in_own_process(step, path, folder)
        yardstick = yardstick or measured.seconds
        speed = measured.rows / measured.seconds
        print(
            f"{step:22}{speed:12,.0f}{measured.seconds:10.1f}{measured.busy:8.1f}{measured.memory:11,.0f}"
            f"{measured.seconds / yardstick:10.2f}  {measured.result}",
            flush=True,
        )
        met &= measured.memory < _MOST_MEMORY and (step != "packed batches" or speed >= _WANTED)
    return met


def _in_own_process(step: str, path: Path, folder: Path) -> Measured:
    command = [sys.executable, __file__, "--step", step, "--input", str(path), "--work-dir", str(folder)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Measured(*json.loads(said))


def _report(step: str, path: str, folder: Path) -> None:
    began = time.perf_counter()
    count, result = STEPS[step](path, folder / "step")
    seconds = time.perf_counter() - began
    shutil.rmtree(folder / "step", ignore_errors=True)
    print(json.dumps(Measured(count, seconds, time.process_time(), peak_memory(), result)))


def peak_memory() -> float:
    """Return the most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says here includes the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / _MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB


@contextmanager
def _raw(path: str, folder: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Query]]:
    """Yield a database set up as the tool's, and the file's rows as text but for a time, ordered by user and time."""
    with scratch_database(folder / "duckdb", [path]) as connection:
        source = open_file(connection, path, folder)
        query = source.query(list(choose(profiles(source.inventory, (), None), {}).roles.items()))
        in_order = f'SELECT * REPLACE (try_cast("time" AS TIMESTAMP) AS "time") FROM ({query.sql}) ORDER BY "user", "time"'
        yield connection, Query(in_order)


if __name__ == "__main__":
    sys.exit(main())
