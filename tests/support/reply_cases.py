"""A batch of two users, and the same good answer about them in every form."""

import json
from datetime import datetime

from eventabs.prompts import Compactor
from eventabs.records import (
    Behavior,
    Category,
    Event,
    EventType,
    FinishReason,
    Part,
    Reply,
    UserLog,
    Vocabulary,
)
from eventabs.replies.reader import Labels, Reading, read_reply

LINES_OF = Compactor("zh").contents
VOCABULARY = Vocabulary(
    types=(EventType("用餐"), EventType("到店", "conversion")),
    categories=(Category("conversion", "!"), Category("engagement")),
)


def behavior(start: str, duration: int | None = None) -> Behavior:
    return Behavior(datetime.fromisoformat(start), "visit", "somewhere", "", duration)


USERS = {
    "U1": UserLog(
        "first",
        (
            behavior("2026-01-01 10:00:42", 4440),
            behavior("2026-01-01 22:15:00"),
            behavior("2026-01-02 09:30:00", 60),
            behavior("2026-01-02 20:10:00", 3600),
        ),
    ),
    "U2": UserLog("second", (behavior("2026-01-01 08:00:00", 60), behavior("2026-01-01 12:00:00", 600))),
}
PARTS = {"U1": Part("first", 0, 3), "U2": Part("second", 5, 6)}

LINES = """\
## U1
# 2026-01-01
10:00-11:14 用餐 | 西餐厅用餐
22:10-01:30 聚会
# 01-02
09:10-10:40 到店! | 看车
## U2
# 2026-01-01
08:00 起床
##
"""

ROWS = {
    "U1": [
        ["01-01 10:00", "01-01 11:14", "用餐", "engagement", "西餐厅用餐"],
        ["01-01 22:10", "01-02 01:30", "聚会", "engagement", ""],
        ["01-02 09:10", "01-02 10:40", "到店", "conversion", "看车"],
    ],
    "U2": [["01-01 08:00", "01-01 08:00", "起床", "engagement", ""]],
}


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


OBJECTS = [{"u": alias, "events": rows} for alias, rows in ROWS.items()]
JSON_LINES = "\n".join(dumped(user) for user in OBJECTS) + "\n"
SCHEMA = dumped({"users": OBJECTS})
PIPES = "\n".join("|".join([alias, *row]) for alias, rows in ROWS.items() for row in rows) + "\n##\n"
FORMS = {"lines": LINES, "json": JSON_LINES, "schema": SCHEMA, "pipes": PIPES}


def read(text: str, finish_reason: FinishReason = "stop", *, only: str = "", reasoning: str = "") -> Reading:
    """Read a text about both users, or about `only` one of them."""
    users = {alias: log for alias, log in USERS.items() if only in ("", alias)}
    return read_reply(
        Reply(text, finish_reason, reasoning),
        users,
        {alias: PARTS[alias] for alias in users},
        labels=Labels(VOCABULARY),
        min_grounded=0.5,
        source="llm",
        lines=LINES_OF,
    )


def short(event: Event) -> tuple[str, str, str, str, tuple[int, ...]]:
    return event.type, event.category, event.start, event.summary, event.behaviors


GOOD = {
    "U1": [
        ("用餐", "engagement", "2026-01-01T10:00:42", "西餐厅用餐", (0,)),
        ("聚会", "engagement", "2026-01-01T22:15:00", "", (1,)),
        ("到店", "conversion", "2026-01-02T09:30:00", "看车", (2,)),
    ],
    "U2": [("起床", "engagement", "2026-01-01T08:00:00", "", (5,))],
}


def told(reading: Reading) -> dict[str, object]:
    """Return the events of usable users and the reasons of the others."""
    return {
        alias: outcome.reason or [short(event) for event in outcome.events]
        for alias, outcome in reading.outcomes.items()
    }
