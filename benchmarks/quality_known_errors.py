"""Whether audit and calibrate find mistakes that are known: a simulated model makes them over HTTP, more of them in larger prompts.

    python benchmarks/quality_known_errors.py            # ten exports over HTTP, then a thousand calibrations without
    python benchmarks/quality_known_errors.py --seeds 0  # only the thousand

Over HTTP, each export is run, audited and calibrated by the command line. What its figures should be follows from the
rates and from how many users each prompt held. Without HTTP, the same judgment is made of answers that are drawn by the rates; there
the largest prompts miss the margin by a hair, so that a judge who errs is seen most easily.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from eventabs.measures import lower_bound, same_events
from eventabs.quality.calibration import CONFIDENCE, difference, row_of
from eventabs.store import Ledger, unpack_parts
from known_mistakes import Mistakes, agreement, answer, expected, groups_told, story, write_export
from simulated_model import Options, Speed
from simulator import Simulator

SIZES = (1, 4, 8, 16)
OWN = 24
USERS, DAYS = 200, 8
MARGIN = 0.05
MISTAKES = Mistakes(swapped=0.008, shifted=0.012, merged=0.012, invented=0.008, bears=8, growth=0.6)
RIGHT = 8
FIGURES = ("stable", "same_behaviors", "only_second", "confusion")
_ROUNDS = 10  # draws of each user for what is expected
_AT_ONCE = Speed(first_token=0.0, prefill=0.0, decode=0.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was found, as JSON lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=1_000)
    given = parser.parse_args(arguments)
    held: Counter[str] = Counter()
    for seed in range(1, given.seeds + 1):
        found = over_http(seed)
        held.update(name for name, is_held in found["held"].items() if is_held)
        held["recommended"] += found["recommended"] == RIGHT
        print(json.dumps(found), flush=True)
    if given.seeds:
        print(json.dumps({"seeds": given.seeds, "held": held}))
    if given.trials:
        print(json.dumps(without_http(given.trials)))


def over_http(seed: int) -> dict[str, Any]:
    """Run, audit and calibrate one export; return what was found beside what is true."""
    with (
        tempfile.TemporaryDirectory(prefix="known-errors-") as name,
        Simulator(Options(_AT_ONCE, mistakes=MISTAKES, seed=seed)) as simulator,
    ):
        folder = Path(name)
        write_export(folder / "input.csv", users=USERS, days=DAYS, seed=seed)
        endpoint = ("--model", "simulated", "--base-url", simulator.base_url, "--max-users", OWN)
        _eventabs(folder, "run", "input.csv", *endpoint, "--out", "out")
        audit = _eventabs(folder, "audit", "out", "--share", "60%", "--seed", seed, "--yes")
        calibration = _eventabs(
            folder,
            *(
                "calibrate",
                "input.csv",
                *endpoint,
                "--users",
                USERS,
                "--seed",
                seed,
                "--margin",
                MARGIN,
                "--yes",
            ),
            *("--sizes", ",".join(map(str, SIZES)), "--levels", "line", "--summaries", "short"),
        )
        truth = expected(MISTAKES, _sizes_asked(folder / "out"), days=DAYS, seed=seed, rounds=_ROUNDS)
        values = {figure: getattr(truth, figure).value for figure in FIGURES}
        arms = list(_arms(folder / "input.calibration", calibration["arms"], seed))
    held = {
        name: audit["figures"][name]["low"] <= value <= audit["figures"][name]["high"]
        for name, value in values.items()
    }
    held |= {f"agreement at {arm['users']}": arm["low"] <= arm["true"] <= arm["high"] for arm in arms}
    return {
        "seed": seed,
        "audit": {name: [value, *audit["figures"][name].values()] for name, value in values.items()},
        "arms": arms,
        "recommended": int(calibration["recommended"].partition("-")[0]),
        "held": held,
    }


def _arms(folder: Path, arms: Sequence[dict[str, Any]], seed: int) -> Iterator[dict[str, Any]]:
    for arm in arms:
        if arm["again"]:
            continue
        sizes = [(users, 1) for users in _prompts(folder / arm["name"]).values()]
        true = agreement(MISTAKES, sizes, days=DAYS, seed=seed, rounds=_ROUNDS)
        yield {"users": arm["users_a_prompt"], "true": true, **_bounds(arm), "shortfall": arm["shortfall"]}


def _bounds(arm: dict[str, Any]) -> dict[str, float]:
    return {name: arm["agreement"][name] for name in ("value", "low", "high")}


def _sizes_asked(out: Path) -> list[tuple[int, int]]:
    first, second = _prompts(out), _prompts(out / "audit")
    return [(first[user], users) for user, users in second.items()]


def _prompts(run: Path) -> dict[str, int]:
    """Return by user how many users the prompt held whose answer holds."""
    with Ledger.watch(run / "ledger.sqlite") as ledger:
        calls = {call: len(unpack_parts(users)) for call, users in ledger.rows("SELECT id, users FROM calls")}
        parts = ledger.rows("SELECT user_id, call_id FROM parts WHERE state = 'done'")
        return {user: calls[call] for user, call in parts}


def _eventabs(folder: Path, *arguments: object) -> dict[str, Any]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EVENTABS")}
    done = subprocess.run(
        [sys.executable, "-m", "eventabs", *map(str, arguments), "--json", "--quiet"],
        cwd=folder,
        env={**kept, "XDG_STATE_HOME": str(folder / ".state")},
        check=True,
        stdout=subprocess.PIPE,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# without HTTP

_TRIAL_USERS = 100
_DRAWS = 40_000
_CHAIN = (4, 8, 16)
# rates at which 16 users a prompt miss a margin of 0.05 by about 0.001; see `_deficit`
_EDGE = Mistakes(swapped=0.008, shifted=0.012, merged=0.012, invented=0.008, bears=8, growth=0.175)


def without_http(trials: int) -> dict[str, Any]:
    """Draw answers and judge them as a calibration does; count how often what it recommends lies within the margin."""
    deficits = {size: _deficit(size) for size in _CHAIN}
    recommended = Counter(_recommended(seed) for seed in range(trials))
    within = sum(count for size, count in recommended.items() if deficits.get(size, 0.0) <= MARGIN)
    return {
        "trials": trials,
        "true deficits": {size: round(deficit, 4) for size, deficit in deficits.items()},
        "recommended": dict(sorted(recommended.items())),
        "within the margin": within / trials,
    }


def _recommended(seed: int) -> int:
    rng = Random(f"trial:{seed}")
    own = [story(DAYS, rng) for _user in range(_TRIAL_USERS)]
    told = {
        arm: [groups_told(answer(_EDGE, each, size, rng), each) for each in own]
        for arm, size in ((0, 1), (1, 1), *((size, size) for size in _CHAIN))
    }
    best = 1
    for size in _CHAIN:
        references = list(zip(told[0], told[1], strict=True))
        rows = [
            row_of(same_events, ours, theirs, theirs)
            for ours, theirs in zip(told[size], references, strict=True)
        ]
        bound = lower_bound(rows, difference, tail=1 - CONFIDENCE, seed=seed)
        if bound is None or bound < -MARGIN:
            break
        best = size
    return best


def _deficit(size: int) -> float:
    """Return how far the agreement with one user a prompt lies below that of one user a prompt with itself."""
    alone, among = (
        agreement(_EDGE, [(users, 1)], days=DAYS, seed=users, rounds=_DRAWS) for users in (1, size)
    )
    return alone - among


if __name__ == "__main__":
    main()
