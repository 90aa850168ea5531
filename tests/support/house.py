"""Running the tool as people do: in a process of its own, in a folder of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from preloaded import run_preloaded

_AT_START = ("PYTHON", "LC_", "LANG", "TZ")  # variables that a process reads as it starts
PLACES = ("西餐厅", "健身房", "公司", "家", "宝马4S店", "超市")


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Return an environment without keys, settings and remembered runs of whoever runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EVENTABS", "OPENAI", "LC_", "LANG"))}
    return (
        kept
        | {"LC_ALL": "C.UTF-8", "COLUMNS": "100", "NO_COLOR": "1", "XDG_STATE_HOME": str(home / ".state")}
        | extra
    )


def eventabs(
    *arguments: object, cwd: Path, stdin: bytes | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run the tool to its end."""
    if stdin is None and not any(name.startswith(_AT_START) for name in extra):
        asked = [str(argument) for argument in arguments]
        code, out, err = run_preloaded(asked, cwd, environment(cwd, **extra), 120)
        return subprocess.CompletedProcess(command(arguments), code, out.decode(), err.decode())
    done = subprocess.run(
        command(arguments),
        cwd=cwd,
        env=environment(cwd, **extra),
        input=stdin,
        check=False,
        capture_output=True,
        timeout=120,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def ran(
    *arguments: object, cwd: Path, stdin: bytes | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run the tool to a good end."""
    done = eventabs(*arguments, cwd=cwd, stdin=stdin, **extra)
    assert done.returncode == 0, done.stderr
    return done


def start(*arguments: object, cwd: Path, **extra: str) -> subprocess.Popen[bytes]:
    """Start the tool and leave it running."""
    return subprocess.Popen(
        command(arguments),
        cwd=cwd,
        env=environment(cwd, **extra),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def command(arguments: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "eventabs", *map(str, arguments)]


def write_users(path: Path, *, users: int, behaviors: int = 12) -> Path:
    """Write a sentence export: every user visits places, three a day."""
    first = datetime(2026, 1, 1, 9, 15)  # noqa: DTZ001  exports hold wall times
    with path.open("w", encoding="utf-8") as file:
        for step in range(behaviors):
            for user in range(users):
                moment = first + timedelta(days=step // 3, hours=3 * (step % 3), minutes=user % 50)
                row = {
                    "user_id": f"user_{user:04d}",
                    "timestamp": f"{moment:%Y-%m-%d %H:%M:%S}",
                    "behavior_text": f"在{PLACES[(user + step) % len(PLACES)]}停留 {20 + step}分钟",
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSON lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def checkpoint(out: Path) -> dict[str, Any]:
    """Read a run's checkpoint."""
    document: dict[str, Any] = json.loads((out / "checkpoint.json").read_text("utf-8"))
    return document


def wait_until(what: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def asked_users(requests: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return every user block that was asked about, in order, from a server's log."""
    return [tuple(block) for request in requests for block in request["users"]]
