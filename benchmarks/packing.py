"""How many batches packing makes, beside the lower bound and a program that fills them in order, and in which processor time.

python benchmarks/packing.py --parts 10000 100000
"""

import argparse
import time
from collections.abc import Callable
from operator import add
from random import Random

from eventabs.prompts.packing import BatchLimits, lower_bound, pack
from eventabs.prompts.tokens import TokenCounter
from eventabs.shared_records import PartSize

SEED = 7
OUTPUT = 8_192


def _of_rows(rows: int, rng: Random) -> PartSize:
    return PartSize(
        20 + int(13 * rows * rng.uniform(0.8, 1.2)), 8 + int(4 * rows * rng.uniform(0.8, 1.2)), rows
    )


def _of_output(least: float, most: float, rng: Random) -> PartSize:
    return PartSize(rng.randint(400, 4_000), int(OUTPUT * rng.uniform(least, most)), rng.randint(20, 120))


DISTRIBUTIONS: dict[str, Callable[[Random], PartSize]] = {
    "5 to 60 rows": lambda rng: _of_rows(rng.randint(5, 60), rng),
    "5 to 1,500 rows": lambda rng: _of_rows(rng.randint(5, 1_500), rng),
    "log-normal rows": lambda rng: _of_rows(max(1, min(1_500, int(rng.lognormvariate(3.6, 1.1)))), rng),
    ".19 to .23 of the output": lambda rng: _of_output(0.19, 0.23, rng),
    ".30 to .45 of the output": lambda rng: _of_output(0.30, 0.45, rng),
}


def in_order(sizes: list[PartSize], limits: BatchLimits) -> int:
    """Count batches where parts stay in order and a batch ends before the part that does not fit: the trivial program."""
    batches, load = 1, PartSize(0, 0, 0)
    for size in sizes:
        grown = PartSize(*map(add, load, size))
        fits = limits.hold(grown)
        batches, load = batches + (not fits), grown if fits else size
    return batches


def main() -> None:
    """Pack each distribution."""
    parser = argparse.ArgumentParser(description="Count batches beside the lower bound.")
    parser.add_argument("--parts", type=int, nargs="*", default=[500, 10_000, 100_000])
    limits = BatchLimits(
        max_input_tokens=40_000,
        instructions_tokens=1_400,
        max_output_tokens=OUTPUT,
        max_users=200,
        max_rows=0,
        counter=TokenCounter(),
    )
    print(
        f"{'parts':>8}  {'distribution':26}{'bound':>8}{'batches':>9}{'more':>9}{'in order':>10}{'CPU s':>8}"
    )
    for parts in parser.parse_args().parts:
        for name, make in DISTRIBUTIONS.items():
            rng = Random(SEED)
            sizes = [make(rng) for _ in range(parts)]
            began = time.process_time()
            batches = len(pack(sizes, limits))
            seconds = time.process_time() - began
            bound, _binds = lower_bound(sizes, limits)
            print(
                f"{parts:8,}  {name:26}{bound:8,}{batches:9,}{batches / bound - 1:9.2%}{in_order(sizes, limits) / bound - 1:10.2%}{seconds:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
