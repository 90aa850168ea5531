"""A request about two users, one good answer about them in many dresses, and what a reading says in short."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from eventabs.replies.reader import Reader, Reading
from eventabs.shared_records import (
    AskedUser,
    Behavior,
    Category,
    EventType,
    FinishReason,
    JourneyKind,
    Outcome,
    Part,
    Reply,
    UserLog,
    Vocabulary,
)

VOCABULARY = Vocabulary(
    types=(
        *map(EventType, ("工作", "用餐", "搜索", "浏览", "住宿", "旅行", "meal prep", "3D打印")),
        EventType("加购", "conversion"),
    ),
    categories=(Category("conversion", "!"), Category("engagement")),
    aliases=(("work", "工作"),),
    journeys=tuple(map(JourneyKind, ("购买", "旅行", "看病"))),
    minor="零碎",
)


def behaviors(*times: str) -> tuple[Behavior, ...]:
    """Return visits of ten minutes; a time may say otherwise behind a plus sign, in minutes."""
    each = (time.partition("+") for time in times)
    return tuple(
        Behavior(datetime.fromisoformat(start), "visit", f"x{number}", "", int(minutes or 10) * 60)
        for number, (start, _plus, minutes) in enumerate(each)
    )


def asked(*logs: Sequence[Behavior], earlier: Outcome | None = None) -> dict[str, AskedUser]:
    """Return a request about users, each whole, with what an earlier answer made of the first."""
    return {
        f"U{number}": AskedUser(
            Part(f"user{number}", 0, len(log) - 1),
            UserLog(f"user{number}", tuple(log)),
            range(len(log)),
            earlier if number == 1 else None,
        )
        for number, log in enumerate(logs, 1)
    }


FIRST = behaviors(
    *(f"2087-03-03 {time}" for time in ("07:35", "08:05+230", "12:01+30", "12:40+255")),
    *(f"2087-03-03 {time}" for time in ("19:20", "19:24", "20:05", "20:31")),
    "2087-03-05 08:03+240",
    "2087-03-05 12:31",
    "2087-03-08 14:10+2640",
    "2087-03-08 16:30",
)
ASKED = asked(FIRST, behaviors("2087-03-05 18:02+72"))
LONG = asked(behaviors(*(f"2087-03-03 {8 + number // 4:02}:{number % 4 * 15:02}+5" for number in range(40))))
READER = Reader(VOCABULARY, detail="day", source="llm", summarize=lambda _log: lambda _behaviors: "")

GOOD = """\
## U1
> 购买 露营帐篷：搜索 5；浏览 6,8；加购! 10
> 旅行 湖边度假：住宿 11；旅行 12
工作 2,4 9
用餐 3
零碎 1 7
## U2
运动 13
##
"""
SCHEMA = {
    "users": [
        {
            "user": "U1",
            "journeys": [
                {
                    "kind": "购买",
                    "name": "露营帐篷",
                    "steps": [
                        {"type": "搜索", "rows": "5"},
                        {"type": "浏览", "rows": "6,8"},
                        {"type": "加购!", "rows": "10"},
                    ],
                },
                {
                    "kind": "旅行",
                    "name": "湖边度假",
                    "steps": [{"type": "住宿", "rows": "11"}, {"type": "旅行", "rows": "12"}],
                },
            ],
            "events": [{"type": "工作", "rows": "2,4 9"}, {"type": "用餐", "rows": "3"}],
            "minor": "1 7",
        },
        {"user": "U2", "journeys": [], "events": [{"type": "运动", "rows": "13"}], "minor": ""},
    ]
}


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


class Short(NamedTuple):
    """An outcome in short: its events as `type rows`, with the category's mark, `?` and the journey's name."""

    reason: str | None
    events: list[str]
    minor: tuple[int, ...] = ()
    unplaced: tuple[int, ...] = ()
    misfiled: int = 0
    repeated: int = 0


def short(outcome: Outcome) -> Short:
    names = {journey.id: f" <{journey.kind} {journey.name}>" for journey in outcome.journeys}
    events = [
        f"{event.type}{'!' * (event.category == 'conversion')} {','.join(map(str, event.behaviors))}"
        f"{'?' * (not event.sure)}{names.get(event.journey or '', '')}"
        for event in outcome.events
    ]
    return Short(
        outcome.reason,
        events,
        outcome.minor,
        outcome.unplaced or outcome.unasked,
        outcome.misfiled,
        outcome.repeated,
    )


def read(
    text: str,
    finish: FinishReason = "stop",
    *,
    asked: dict[str, AskedUser] = ASKED,
    reader: Reader = READER,
) -> Reading:
    return reader.read(Reply(text, finish), asked)


def told(
    text: str, finish: FinishReason = "stop", *, asked: dict[str, AskedUser] = ASKED, reader: Reader = READER
) -> dict[str, Short]:
    """Read a text and return the outcomes in short."""
    return {
        alias: short(outcome)
        for alias, outcome in read(text, finish, asked=asked, reader=reader).outcomes.items()
    }


def one(line: str, *, log: Sequence[Behavior] = FIRST, reader: Reader = READER) -> Short:
    """Read lines about a user alone."""
    return told(f"## U1\n{line}\n##\n", asked=asked(log), reader=reader)["U1"]


def request_of(prompt: str) -> dict[str, AskedUser]:
    """Return the users of a prompt in lines, as far as the lines tell."""
    logs: dict[str, list[Behavior]] = {}
    alias = year = day = ""
    for line in prompt.partition("[user]\n")[2].splitlines():
        if found := re.match(r"## (U\d+)", line):
            alias = found[1]
        elif found := re.match(r"# (?:(\d{4})-)?(\d\d-\d\d)", line):
            year, day = found[1] or year, found[2]
        elif found := re.fullmatch(r"\d+ (\d\d:\d\d) (.*?)(?: (?:(\d+)h)?(?:(\d+)m)?)?", line):
            start = datetime.fromisoformat(f"{year}-{day} {found[1]}")
            seconds = 3600 * int(found[3] or 0) + 60 * int(found[4] or 0)
            logs.setdefault(alias, []).append(Behavior(start, "", found[2], "", seconds or None))
    return asked(*logs.values())
