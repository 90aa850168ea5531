"""The same workload through this tool and its peers: calls, tokens, time, users done, and what a kill costs.

    python benchmarks/peers/compare.py                         the generator's workload
    python benchmarks/peers/compare.py --input FILE --only plain,flexllm

Each peer runs in an environment of its own with the versions below, one user a prompt as its users do it, over the
prompts that this tool writes for one user. All ask the same simulated endpoint, clean and with the case's failures. An answer
that a peer keeps is read with this tool's own lenient reader, so that no peer loses a user to a strict parser.
A peer is stopped after fifteen minutes; what it has done by then counts.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers_records import Answers, Prompts, bought_again

import workload
from reliability_bench import Bench
from reliability_records import read_log
from simulated_model import CASE_FAILURES

HERE = Path(__file__).parent
ENCODINGS = HERE.parents[1] / "src" / "eventabs" / "prompts" / "encodings"
MOST_SECONDS = 900.0


class Peer(NamedTuple):
    """A script that asks all prompts, and what it needs beside Python. `calls`: at a time, 0 for as many as asked."""

    script: str
    requirements: tuple[str, ...]
    calls: int = 0


PEERS = {
    "plain, one by one": Peer("plain_script.py", ("httpx==0.28.1",), calls=1),
    "plain, at once": Peer("plain_script.py", ("httpx==0.28.1",)),
    "flexllm": Peer("flexllm_script.py", ("flexllm==0.17.10",)),
    "async-batch-llm": Peer("async_batch_script.py", ("async-batch-llm[openai]==0.28.0",)),
    "curator": Peer("curator_script.py", ("bespokelabs-curator==0.1.31",)),
}
HEADS = ("", "calls", "prompt tokens", "answer tokens", "seconds", "users done", "paid again after a kill")


class Race:
    """A folder with the prompts, the environments, and an endpoint for each run."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._options = options
        self._seconds = max(2.0, 600.0 / options.scale)
        source = options.input.resolve() if options.input else self._generated()
        self._bench = Bench(folder, source, options)

    @cached_property
    def prompts(self) -> Prompts:
        """One user a prompt, as this tool writes them: from a calm run's ledger."""
        self._options.max_users = 1
        with self._bench.endpoint("prompts", scale=1000) as base_url:
            self._bench.live("prompts", base_url)
        self._options.max_users = 0
        prompts = Prompts(self._folder / "prompts")
        prompts.write(self._folder / "prompts.jsonl")
        return prompts

    def tool(self, failures: str) -> list[str]:
        """Run this tool; return its row of the table."""
        name = f"tool-{bool(failures)}"
        with self._endpoint(name, failures) as base_url:
            life = self._bench.live(name, base_url)
        with self._endpoint(f"{name}-killed", failures) as base_url:
            process = self._bench.start(f"{name}-killed", base_url)
            killed_at = self._kill_halfway(process, f"{name}-killed", read_log(self._log(name)))
            self._bench.live(f"{name}-killed", base_url)
        return self._row("eventabs", name, life.seconds, life.said["success_count"], killed_at)

    def peer(self, title: str, failures: str) -> list[str]:
        """Run a peer; return its row of the table."""
        peer, name = PEERS[title], f"{title.replace(' ', '-').replace(',', '')}-{bool(failures)}"
        python = self._environment(peer)
        with self._endpoint(name, failures) as base_url:
            began = time.monotonic()
            self._play(self._start(python, peer, name, base_url))
            seconds = time.monotonic() - began
        well = Answers(self._folder / name / "answers.jsonl").usable(self.prompts)
        with self._endpoint(f"{name}-killed", failures) as base_url:
            process = self._start(python, peer, f"{name}-killed", base_url)
            killed_at = self._kill_halfway(process, f"{name}-killed", read_log(self._log(name)))
            self._play(self._start(python, peer, f"{name}-killed", base_url))
        return self._row(title, name, seconds, well, killed_at)

    def _play(self, process: "subprocess.Popen[Any]") -> None:
        """Wait for a peer's end; stop one that takes too long: what it has done by then counts."""
        try:
            process.wait(MOST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _row(self, title: str, name: str, seconds: float, well: int, killed_at: float) -> list[str]:
        log = read_log(self._log(name))
        again = bought_again(read_log(self._log(f"{name}-killed")), killed_at)
        prompt, answer = (sum(s[key] for s in log) for key in ("prompt_tokens", "completion_tokens"))
        return [
            title,
            f"{len(log):,}",
            f"{prompt:,}",
            f"{answer:,}",
            f"{seconds:.1f}",
            f"{well:,}",
            f"{again:,}",
        ]

    def _kill_halfway(
        self, process: "subprocess.Popen[Any]", name: str, whole: Sequence[Mapping[str, Any]]
    ) -> float:
        """Kill a process when half of the answers of a whole run have been given; return when, 0 if it was over."""
        half = sum(served["finished"] for served in whole) // 2
        log = self._log(name)
        while process.poll() is None:
            if log.exists() and log.read_bytes().count(b'"finished": true') >= half:
                process.kill()
                process.wait()
                return time.time()
            time.sleep(0.02)
        return 0.0

    def _start(self, python: Path, peer: Peer, name: str, base_url: str) -> "subprocess.Popen[Any]":
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        calls = peer.calls or self._options.concurrency
        files = [self._folder / "prompts.jsonl", folder / "answers.jsonl"]
        command = [python, HERE / peer.script, *files, base_url, calls, self._seconds]
        with (folder / "said.txt").open("ab") as said:
            return subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=os.environ | self._variables,
                stdout=said,
                stderr=said,
            )

    @cached_property
    def _variables(self) -> dict[str, str]:
        """What the peers find in the environment: a key, and tiktoken's data, which some fetch when they start."""
        cache = self._folder / "tiktoken"
        cache.mkdir(exist_ok=True)
        for name in ("cl100k_base", "o200k_base"):
            url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
            key = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
            shutil.copyfile(ENCODINGS / f"{name}.tiktoken", cache / key)
        return {
            "OPENAI_API_KEY": "none",
            "CURATOR_DISABLE_RICH_DISPLAY": "1",
            "TELEMETRY_ENABLED": "false",
            "TIKTOKEN_CACHE_DIR": str(cache),
        }

    def _environment(self, peer: Peer) -> Path:
        """Make an environment with what a peer needs; return its Python."""
        folder: Path = self._options.environments or self._folder / "environments"
        python = folder / peer.script.removesuffix(".py") / "bin" / "python"
        ready = python.parents[1] / "ready"
        if not ready.exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run(
                [*uv, "venv", "--quiet", "--python", sys.executable, python.parents[1]], check=True
            )
            subprocess.run(
                [*uv, "pip", "install", "--quiet", "--python", python, *peer.requirements], check=True
            )
            ready.touch()
        return python

    def _endpoint(self, name: str, failures: str) -> AbstractContextManager[str]:
        return self._bench.endpoint(
            name, failures=failures, scale=self._options.scale, seed=7, retry_after=1.0
        )

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl"

    def _generated(self) -> Path:
        source = self._folder / "behaviors.csv"
        workload.main(["--users", str(self._options.users), "--behaviors", "92", "--output", str(source)])
        return source


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all, print a table for each kind of endpoint."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="peers-") as temporary:
        folder = (options.work_dir or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        race = Race(folder, options)
        print(
            f"{time.strftime('%Y-%m-%d')}: "
            + ", ".join(r for peer in PEERS.values() for r in peer.requirements)
        )
        for failures in ("", CASE_FAILURES):
            print(
                f"\n{len(race.prompts.users):,} users, {failures or 'no failures'}\n\n| {' | '.join(HEADS)} |"
            )
            print("|---" + "|---:" * (len(HEADS) - 1) + "|")
            print(f"| {' | '.join(race.tool(failures))} |", flush=True)
            for title in options.only.split(",") if options.only else PEERS:
                print(f"| {' | '.join(race.peer(title, failures))} |", flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The same workload through this tool and its peers.")
    parser.add_argument("--input", type=Path, help="an export; else the generator's workload")
    parser.add_argument("--users", type=int, default=486, help="of the generator's workload")
    parser.add_argument("--scale", type=float, default=50.0, help="how many times faster the model is")
    parser.add_argument("--concurrency", type=int, default=16, help="calls at a time")
    parser.add_argument("--only", default="", help="names of peers, with commas; else all")
    parser.add_argument("--environments", type=Path, help="keep the peers' environments here")
    parser.add_argument("--work-dir", type=Path, help="keep prompts, logs and answers here")
    parser.set_defaults(max_users=0, max_concurrency=0, answer="", idle_timeout=0.0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
