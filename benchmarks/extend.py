"""What an extension takes by the size of the run: a new day of rows for one user in a hundred.

    python benchmarks/extend.py --users 10000 100000 1000000

The runs are made up in their ledgers, with the answers of a model that is not called. The built-in rules answer what is new.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import eventabs
from eventabs.shared_records import (
    Batch,
    Behavior,
    Event,
    Outcome,
    Part,
    PartSize,
    PlannedPart,
    Reply,
    Request,
    UserLog,
    lasting_id,
)
from eventabs.store import Ledger, PartChange

FIRST_DAY = datetime(2026, 3, 1, 9)  # noqa: DTZ001  exports hold wall times
DAYS = 10
SHARE = 100  # one user in so many has a new day
A_CALL = 30  # users


def main() -> None:
    """Measure each size twice, with nothing new and with a day for one user in a hundred."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    print(
        "| users | events.jsonl | `resume`: one rewriting of it at the start and the end | nothing new | 1 % with a new day | memory |"
    )
    print("|---|---|---|---|---|---|")
    for users in parser.parse_args().users:
        with tempfile.TemporaryDirectory(prefix="eventabs-extend-") as name:
            os.environ["XDG_STATE_HOME"] = name
            _measure(Path(name), users)


def _measure(folder: Path, users: int) -> None:
    out = _made_up(folder, users)
    written, _memory = _run("resume", out)
    days = {day: _export(folder / f"{day}.jsonl", users, day) for day in (DAYS - 1, DAYS)}
    nothing, _memory = _run("extend", out, days[DAYS - 1])
    news, memory = _run("extend", out, days[DAYS])
    size = (out / "events.jsonl").stat().st_size
    print(
        f"| {users:,} | {size / 1e6:,.0f} MB | {written:.1f} s | {nothing:.1f} s | {news:.1f} s | {memory} MB |",
        flush=True,
    )


def _made_up(folder: Path, users: int) -> Path:
    """Make the run directory of a completed run."""
    out = folder / "out"
    first = folder / "first.jsonl"
    first.write_text(_line("a", FIRST_DAY), "utf-8")
    eventabs.run(first, settings={"llm": {"provider": "rules"}}, out=out)
    ledger = Ledger.open(out / "ledger.sqlite")
    logs = _logs(users)
    while chunk := list(islice(logs, 50 * A_CALL)):
        with ledger.transaction():
            for first_user in range(0, len(chunk), A_CALL):
                _answer(ledger, chunk[first_user : first_user + A_CALL])
    ledger.close()
    return out


def _answer(ledger: Ledger, logs: list[UserLog]) -> None:
    parts = [Part(log.user_id, 0, len(log.behaviors) - 1) for log in logs]
    size = PartSize(400, 200, DAYS)
    ledger.add_users((log, [(part, size)]) for log, part in zip(logs, parts, strict=True))
    request = Request((), {f"U{n}": log for n, log in enumerate(logs, 1)}, 0, 0)
    call = ledger.open_call(
        Batch(tuple(PlannedPart(part, size) for part in parts)), request, settings_fingerprint="", sent_at=0.0
    )
    ledger.store_reply(call, Reply("##"))
    outcomes = [Outcome(part, None, tuple(_events(log))) for log, part in zip(logs, parts, strict=True)]
    changes = [PartChange(each.part, "done", accepted=each) for each in outcomes]
    ledger.settle(call, outcomes, changes)


def _logs(users: int) -> Iterator[UserLog]:
    for user in range(users):
        yield UserLog(f"user_{user:08d}", tuple(_day(user, day) for day in range(DAYS)))


def _day(user: int, day: int) -> Behavior:
    return Behavior(FIRST_DAY + timedelta(days=day, minutes=user % 300), "visit", f"place {user % 50}")


def _events(log: UserLog) -> Iterator[Event]:
    for index, behavior in enumerate(log.behaviors):
        at = behavior.start.isoformat()
        yield Event(
            id=lasting_id(log.user_id, index),
            user_id=log.user_id,
            type="visit",
            category="engagement",
            start=at,
            end=at,
            minutes=0,
            summary="",
            behaviors=(index,),
        )


def _export(path: Path, users: int, day: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for user in range(0, users, SHARE):
            behavior = _day(user, day)
            file.write(_line(f"user_{user:08d}", behavior.start, behavior.item))
    return path


def _line(user_id: str, at: datetime, item: str = "place") -> str:
    row: dict[str, Any] = {
        "user_id": user_id,
        "timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
        "action": "visit",
        "poi": item,
    }
    return json.dumps(row) + "\n"


def _run(*words: object) -> tuple[float, int]:
    """Run a command; return its seconds and the most memory of any so far, in MB."""
    began = time.monotonic()
    command = [sys.executable, "-m", "eventabs", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


if __name__ == "__main__":
    main()
