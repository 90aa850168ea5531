"""An export that grows night after night, taken into one run, which is killed at a random moment every night.

    python benchmarks/extension_nights.py --users 120 --nights 31 --shape window

After each night events.jsonl is compared with that of one run over all that is known by then, and the input tokens of the
night with those of a run over its new rows alone. The model is simulated, over HTTP, and answers by the rows (see nights.py).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import eventabs
import nights


def main() -> None:
    """Play the nights and print a line for each; end with an error where events differ."""
    options = _options()
    moments = random.Random(options.seed)
    rows = nights.record(options.users, options.nights, seed=options.seed, changes=options.shape != "day")
    with tempfile.TemporaryDirectory(prefix="eventabs-nights-") as name, nights.served() as endpoint:
        os.environ["XDG_STATE_HOME"] = name
        folder, settings = Path(name), _settings(endpoint)
        taken = alone = 0
        exports: list[Path] = []
        for night in range(options.nights):
            export = nights.write(folder / f"{night}.jsonl", nights.export(rows, night, options.shape))
            exports = [*exports, export] if options.shape == "day" else [export]
            if not night:
                eventabs.run(export, settings=settings, out=folder / "out")
                continue
            kills = _extend_with_kills(folder, export, endpoint, moments, options.kills)
            facts = _facts(folder / "out")
            whole = eventabs.run(
                _known(folder, rows, night, exports, options.shape),
                settings=settings,
                out=folder / f"all-{night}",
            )
            if _events(folder / "out") != _events(whole.path):
                sys.exit(f"night {night}: the events are not those of one run; see {folder}")
            fresh = nights.write(folder / f"new-{night}.jsonl", _new(rows, night, options.shape))
            tokens = eventabs.run(fresh, settings=settings, out=folder / f"new-{night}").summary.prompt_tokens
            taken, alone = taken + facts["prompt_tokens"], alone + tokens
            print(
                f"night {night:2}: {facts['new_behaviors']:5} new, {facts['late_behaviors']:3} late,"
                f" {facts['changed_behaviors']:3} changed, {facts['reopened_behaviors']:4} asked again,"
                f" {kills} kills, equal; input tokens {facts['prompt_tokens']:7,} against {tokens:7,}:"
                f" {facts['prompt_tokens'] / tokens:.3f}",
                flush=True,
            )
        once = whole.summary.prompt_tokens
        print(f"all nights: {taken:,} input tokens, {taken / alone:.3f} of the new rows sent alone")
        print(f"one run over all days: {once:,}; the nights are {taken / once:.2f} of it")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=120)
    parser.add_argument("--nights", type=int, default=31)
    parser.add_argument("--shape", choices=("window", "appended", "day"), default="window")
    parser.add_argument("--kills", type=int, default=1, help="SIGKILLs a night")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def _settings(endpoint: nights.Endpoint) -> dict[str, Any]:
    llm = {"model": "m", "base_url": endpoint.base_url, "stream": False}
    return {"llm": llm, "prompt": {"language": "en"}}


def _extend_with_kills(
    folder: Path, export: Path, endpoint: nights.Endpoint, moments: random.Random, kills: int
) -> int:
    """Extend the run, killed so many times; the last time it may work to its end. Return how many kills struck it at work."""
    command = [sys.executable, "-m", "eventabs", "extend", str(folder / "out"), str(export), "-q"]
    command += ["--model", "m", "--base-url", endpoint.base_url, "--accept-changes"]
    variables = {**os.environ, "EVENTABS_LLM__STREAM": "false", "EVENTABS_PROMPT__LANGUAGE": "en"}
    struck = 0
    for _kill in range(kills):
        process = subprocess.Popen(
            command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        answered = endpoint.requests + moments.randint(1, 3)
        until = time.monotonic() + moments.uniform(0.2, 5.0)
        while process.poll() is None and time.monotonic() < until and endpoint.requests < answered:
            time.sleep(0.01)
        struck += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return struck


def _facts(out: Path) -> dict[str, Any]:
    """Return what the last extension that brought something took in and took, as `resume` of a completed run tells it."""
    told = eventabs.resume(out).summary.extension
    assert told is not None
    return told


def _known(
    folder: Path, rows: list[nights.Recorded], night: int, exports: list[Path], shape: str
) -> list[Path]:
    """Return files with all that is known by a night: the days' own, else one in the order of the app."""
    if shape == "day":
        return exports
    known = [each.at(night) for each in rows if each.known <= night]
    return [nights.write(folder / f"known-{night}.jsonl", known)]


def _new(rows: list[nights.Recorded], night: int, shape: str) -> list[nights.Row]:
    """Return the rows that a night has brought: new ones, and in their new form those that have changed."""
    changed = [each.changed_row for each in rows if each.changed == night and shape != "day"]
    return [*(each.row for each in rows if each.known == night), *changed]


def _events(out: Path) -> list[Any]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text("utf-8").splitlines()]


if __name__ == "__main__":
    main()
