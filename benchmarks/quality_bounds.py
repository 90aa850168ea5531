"""Whether the bounds of reviews, audits and calibrations hold, and whether kills change what audits and calibrations end with.

    python benchmarks/quality_bounds.py reviews        # 1,000 reviews of a run whose wrong events are known
    python benchmarks/quality_bounds.py calibrations   # 1,000 calibrations whose loss by size is known
    python benchmarks/quality_bounds.py audit          # 100 SIGKILLs in audits, over HTTP
    python benchmarks/quality_bounds.py calibrate      # the same in calibrations

Reviews and calibrations are drawn by known rates and judged by the product's own bounds. Where a bound holds at its level, at most 5 in 100 are wrong.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from eventabs.measures import least_share, mean_of
from house import environment, eventabs, write_users
from openai_server import OpenAIServer, answer, answer_by_day, slowly

TRIALS = 1_000
KILLS = 100
MARGIN = 0.05


def reviews() -> dict[str, Any]:
    """Draw samples of events of which a share is right; count bounds above the truth."""
    found = {}
    for right in (0.5, 0.9, 0.97):
        for sample in (60, 200):
            rng = Random(f"{right}:{sample}")
            said = [sum(rng.random() < right for _event in range(sample)) for _trial in range(TRIALS)]
            bounds = [least_share(each, sample) or 0.0 for each in said]
            found[f"{right} right, {sample} judged"] = {
                "too high": sum(bound > right for bound in bounds) / TRIALS,
                "mean bound": round(sum(bounds) / TRIALS, 4),
            }
    return found


def calibrations() -> dict[str, Any]:
    """Draw rows that stay by user and size; count recommended sizes that lie beyond the margin, and bounds that are too low."""
    found = {}
    for name, losses in {
        "no loss": (0.0, 0.0, 0.0),
        "the last just beyond": (0.0, 0.02, MARGIN + 0.001),
        "all just beyond": (MARGIN + 0.001,) * 3,
        "rare and whole": (0.0, MARGIN + 0.001, MARGIN + 0.001),
    }.items():
        rng = Random(name)
        best, wrong = Counter[int](), 0
        for _trial in range(TRIALS):
            size = 0
            for number, loss in enumerate(losses, start=1):
                bound = mean_of(
                    Counter(_difference(loss, rng, whole=name.startswith("rare")) for _user in range(200)),
                    -1.0,
                )
                assert bound.low is not None
                wrong += bound.low > -loss
                if -bound.low > MARGIN:
                    break
                size = number
            best[size] += 1
        beyond = sum(times for size, times in best.items() if size and losses[size - 1] > MARGIN)
        found[name] = {
            "recommended": dict(sorted(best.items())),
            "beyond the margin": beyond / TRIALS,
            "bounds too high": wrong,
        }
    return found


def _difference(loss: float, rng: Random, *, whole: bool) -> float:
    """Return a user's share of rows that stay at a size, less that of one user a prompt; `loss` is the mean of it."""
    if whole:  # few users lose everything
        return -1.0 if rng.random() < loss else 0.0
    rows = 10
    own = sum(rng.random() < 0.9 for _row in range(rows))
    stay = sum(rng.random() < 0.9 - loss for _row in range(rows))
    return (stay - own) / rows


def written(message: str) -> str:
    """Answer by day; what is said of a user hangs on its rows alone, and one in three has other events."""
    lines = answer_by_day(message).splitlines()
    for place, line in enumerate(lines):
        if line.startswith("浏览 ") and int(hashlib.sha256(str(len(line)).encode()).hexdigest(), 16) % 3 == 0:
            lines[place] = line.replace("浏览", "工作")
    return "\n".join(lines)


def kills(command: Sequence[object]) -> dict[str, int]:
    """Kill a command at random, and compare what it ends with to what an undisturbed one does."""
    rng = random.Random(7)
    with (
        tempfile.TemporaryDirectory(prefix="quality-kills-") as name,
        OpenAIServer(slowly(0.05, answer(written))) as server,
    ):
        folder = Path(name)
        write_users(folder / "input.jsonl", users=80, behaviors=9)
        (folder / "eventabs.toml").write_text(
            f'[llm]\nmodel = "m"\nbase_url = "{server.base_url}"\n[run]\nconcurrency = 2\n', "utf-8"
        )
        done = eventabs("run", "input.jsonl", "--out", "out", cwd=folder)
        assert done.returncode == 0, done.stderr
        return _killed(folder, command, server, rng)


def _killed(folder: Path, command: Sequence[object], server: OpenAIServer, rng: Random) -> dict[str, int]:
    flags = ("--yes", "--json", "--quiet")
    wanted = _end(folder, [*command, *flags, "--out", "calm"])
    killed = rounds = equal = asked = 0
    while killed < KILLS:
        shutil.rmtree(folder / "wild", ignore_errors=True)
        server.requests.clear()
        rounds += 1
        while True:
            process = subprocess.Popen(
                [sys.executable, "-m", "eventabs", *map(str, (*command, *flags, "--out", "wild"))],
                cwd=folder,
                env=environment(folder),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            asked_before, more = len(server.requests), rng.randrange(12)
            while process.poll() is None and len(server.requests) < asked_before + more:
                time.sleep(0.005)
            time.sleep(rng.uniform(0.0, 0.3) if more else rng.uniform(0.0, 3.0))
            if process.poll() is not None:
                break
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        asked += len(server.requests)
        equal += _end(folder, [*command, *flags, "--out", "wild"]) == wanted
        print(json.dumps({"killed": killed, "rounds": rounds, "equal": equal}), file=sys.stderr, flush=True)
    return {"kills": killed, "rounds": rounds, "equal": equal, "requests": asked}


def _end(folder: Path, command: Sequence[object]) -> tuple[object, ...]:
    """Run a command to its end; return its events and figures, without what a kill may cost: calls and tokens."""
    done = eventabs(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    out = folder / str(command[-1])
    shown = json.loads(done.stdout)
    figures = {
        name: shown.get(name)
        for name in ("figures", "kept", "wholes", "types", "recommended", "changes", "most_different")
    }
    events = {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*.jsonl")
        if path.name != "rejects.jsonl"
    }
    return figures, [(arm["kept"], arm["lacks"]) for arm in shown.get("arms", ())], events


if __name__ == "__main__":
    works: dict[str, Callable[[], Any]] = {
        "reviews": reviews,
        "calibrations": calibrations,
        "audit": partial(kills, ("audit", "out", "--share", "100%", "--max-users", 2)),
        "calibrate": partial(kills, ("calibrate", "out", "--users", 80, "--margin", 0.1, "--sizes", 4)),
    }
    for name in sys.argv[1:] or ("reviews", "calibrations"):
        print(json.dumps({name: works[name]()}))
