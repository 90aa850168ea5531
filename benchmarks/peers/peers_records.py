"""What the peers are given and what they leave behind."""

import json
import sqlite3  # noqa: TID251 - the ledger as any other program reads it
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eventabs.config import Settings
from eventabs.replies import Reader
from eventabs.shared_records import AskedUser, Part, Reply, UserLog
from eventabs.store import Ledger
from reliability_records import ended

STORED_WITHIN = 0.2  # seconds, in which a client can write an answer down
READER = Reader(
    Settings().vocabulary.in_force("zh"),
    detail="day",
    source="llm",
    summarize=lambda _log: lambda _behaviors: "",
)


class Prompts:
    """The prompts of a run with one user in each, and the logs that they show."""

    def __init__(self, out: Path) -> None:
        database = sqlite3.connect(f"file:{out / 'ledger.sqlite'}?mode=ro", uri=True)
        try:
            rows = database.execute("SELECT messages, users FROM calls WHERE status = 'read'").fetchall()
        finally:
            database.close()
        self._messages: dict[str, list[dict[str, str]]] = {}
        for packed, users in rows:
            ((user, _first, _last),) = json.loads(users).values()
            self._messages[user] = json.loads(zlib.decompress(packed))
        with Ledger.watch(out / "ledger.sqlite") as ledger:
            self.users: dict[str, UserLog] = {user: ledger.log(user) for user in self._messages}

    def write(self, path: Path) -> None:
        """Write a prompt a line: id, system and user message."""
        with path.open("w", encoding="utf-8") as file:
            for user, (system, asked) in self._messages.items():
                prompt = {"id": user, "system": system["content"], "user": asked["content"]}
                file.write(json.dumps(prompt, ensure_ascii=False) + "\n")


class Answers:
    """The answers that a peer kept, by user."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self._texts = {answer["id"]: answer["text"] for answer in map(json.loads, lines)}

    def usable(self, prompts: Prompts) -> int:
        """Count the users whose answer this tool's reader finds usable."""
        return sum(_is_usable(self._texts.get(user, ""), log) for user, log in prompts.users.items())


def _is_usable(text: str, log: UserLog) -> bool:
    part = Part(log.user_id, 0, len(log.behaviors) - 1)
    asked = AskedUser(part, log, range(len(log.behaviors)))
    reading = READER.read(Reply(text, "length"), {"U1": asked})
    return reading.outcomes["U1"].usable


def bought_again(log: Sequence[Mapping[str, Any]], killed_at: float) -> int:
    """Count the users asked about after a kill whose whole good answer had been sent at least STORED_WITHIN before it."""
    good = [
        served
        for served in log
        if served["finished"]
        and served["kind"] == "well"
        and served["finish_reason"] == "stop"
        and ended(served) < killed_at - STORED_WITHIN
    ]
    paid = {block for served in good for block in served["users"].values()}
    asked = {block for served in log if served["time"] > killed_at for block in served["users"].values()}
    return len(paid & asked)
