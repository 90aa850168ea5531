"""A folder in which the real command line tool runs against a simulated endpoint."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from reliability_records import Run, read_log, read_run

HERE = Path(__file__).parent
MOST_SECONDS = 3600.0  # of one process of the tool


class Life(NamedTuple):
    """One process of the tool: how it ended, what it said, and how long it took."""

    code: int
    said: dict[str, Any]
    errors: str
    seconds: float


class Bench:
    """A folder with an input, and the ways to run the tool there."""

    def __init__(self, folder: Path, source: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self._source = source
        self._options = options

    @contextmanager
    def endpoint(self, name: str, **flags: object) -> Iterator[str]:
        """Run a simulator that logs to `<name>.jsonl`; yield its base URL."""
        command = [sys.executable, HERE / "simulator.py", "--log", self.folder / f"{name}.jsonl"]
        for flag, value in flags.items():
            command += [f"--{flag.replace('_', '-')}", value]
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait()

    def _flags(self, base_url: str, rpm: int) -> list[str]:
        given = self._options
        flags = ["--model", "simulated", "--base-url", base_url, "--concurrency", str(given.concurrency)]
        named = {
            "--max-users": given.max_users,
            "--rpm": rpm,
            "--max-concurrency": given.max_concurrency,
            "--answer": given.answer,
        }
        return flags + [part for flag, value in named.items() if value for part in (flag, str(value))]

    def start(self, out: str, base_url: str, *, rpm: int = 0) -> "subprocess.Popen[str]":
        """Start a run, or resume it if there is one."""
        known = (self.folder / out / "ledger.sqlite").exists()
        what = (
            ["resume", out]
            if known
            else ["run", str(self._source), "--out", out, *self._flags(base_url, rpm)]
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("EVENTABS", "OPENAI", "LANG"))}
        idle = self._options.idle_timeout or max(2.0, 120.0 / self._options.scale)
        return subprocess.Popen(
            [sys.executable, "-m", "eventabs", *what, "--json", "--progress", "plain", "--quiet"],
            cwd=self.folder,
            env=kept
            | {
                "LC_ALL": "C.UTF-8",
                "XDG_STATE_HOME": str(self.folder / "state"),
                "EVENTABS_LLM__IDLE_TIMEOUT": str(idle),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def live(self, out: str, base_url: str, *, rpm: int = 0) -> Life:
        """Run the tool to its end."""
        began = time.monotonic()
        process = self.start(out, base_url, rpm=rpm)
        said, errors = process.communicate(timeout=MOST_SECONDS)
        return Life(
            process.returncode, json.loads(said) if said else {}, errors.strip(), time.monotonic() - began
        )

    def run(self, name: str) -> Run:
        """Read what a run and its endpoint left behind."""
        return read_run(self.folder / name, read_log(self.folder / f"{name}.jsonl"))
