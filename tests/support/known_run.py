"""An export of users whose journeys are known, the model that finds them, and what a report of them has to say."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from house import eventabs
from openai_server import OpenAIServer, answer

# steps of each kind of journey, the share of journeys that have them; the last one converts
KINDS: dict[str, tuple[tuple[str, float], ...]] = {
    "购买": (("搜索", 0.9), ("浏览", 1.0), ("对比", 0.6), ("询价", 0.5), ("购买", 0.35)),
    "旅行": (("攻略", 0.8), ("机票", 0.7), ("住宿", 0.6), ("出游", 0.4)),
    "看病": (("问诊", 1.0), ("挂号", 0.8), ("就诊", 0.6)),
}
LONE = ("用餐", "运动", "听歌", "理财")
CITIES = ("上海", "北京", "成都", "武汉")
FIRST = datetime(2026, 3, 2)  # noqa: DTZ001  exports hold wall times
DAY = 86_400


@dataclass
class Told:
    """An event: its type, whether it converts, and when it begins."""

    type: str
    start: datetime
    converts: bool = False


@dataclass
class Made:
    """A journey: its kind, name and events in order of time."""

    kind: str
    name: str
    events: list[Told]

    @property
    def converted(self) -> bool:
        return any(event.converts for event in self.events)

    @property
    def days(self) -> float:
        """From the first event to the last."""
        return (self.events[-1].start - self.events[0].start).total_seconds() / DAY

    @property
    def firsts(self) -> dict[str, datetime]:
        """When each type begins, in order of time."""
        found: dict[str, datetime] = {}
        for event in self.events:
            found.setdefault(event.type, event.start)
        return found


@dataclass
class Known:
    """A user: the rows of the export, and what they mean."""

    id: str
    profile: dict[str, str]
    fails: bool = False
    rows: list[tuple[datetime, str]] = field(default_factory=list)
    journeys: list[Made] = field(default_factory=list)
    lone: list[Told] = field(default_factory=list)


def known_users(number: int = 400, seed: int = 3) -> list[Known]:
    """Make users up: each has rows, journeys of them, events outside journeys, and rows that are minor or unplaced."""
    rng = Random(seed)  # noqa: S311  made-up users
    return [_user(place, rng) for place in range(number)]


def _user(place: int, rng: Random) -> Known:
    profile = {
        "city": CITIES[place % 4],
        "gender": rng.choice("男女"),
        "age": str(rng.randint(18, 70)),
    }
    user = Known(f"k{place:03}", profile, fails=place % 100 == 99)
    at = FIRST + timedelta(days=rng.randrange(20), hours=9)
    for number in range(rng.choice((0, 1, 1, 2, 3))):
        kind = rng.choice([*KINDS, "购买"])
        made = Made(kind, f"{kind[0]}{place}-{number}", [])
        last = KINDS[kind][-1][0]
        steps = _steps(kind, rng, more=0.2 if place % 4 == 0 else 0.0)
        for step in steps:
            at += timedelta(minutes=rng.choice((40, 90, 200, 1440, 2880)))
            made.events.append(Told(step, at, step == last))
            user.rows.append((at, f"{kind}·{made.name}·{step}{'!' if step == last else ''}"))
            if rng.random() < 0.3:  # an event of two rows
                user.rows.append((at + timedelta(minutes=2), f"+{user.rows[-1][1]}"))
        user.journeys.append(made)
    for number in range(rng.randint(6, 18)):
        start = FIRST + timedelta(days=rng.randrange(28), hours=rng.randint(8, 21), minutes=rng.randrange(60))
        kind = rng.choice(LONE)
        if number % 3 == 0:
            user.rows.append((start, f"零碎·{number}"))
        elif number == 16 and len(user.rows) >= 20:
            user.rows.append((start, "未知·"))
        else:
            user.lone.append(Told(kind, start))
            user.rows.append((start, f"{kind}·{number}{'?' if place % 25 == 7 and number == 1 else ''}"))
    user.rows.sort()
    return user


def _answered(message: str) -> str:
    """Answer by what the rows say of themselves; about rows that say nothing, nothing."""
    told: list[str] = []
    for block in message.split("## ")[1:]:
        alias, *lines = block.splitlines()
        told.append(f"## {alias.split()[0]}")
        groups: dict[str, list[str]] = {}
        journeys: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for line in lines:
            number, _time, what = line.split(" ", 2) if line[:1].isdigit() and "·" in line else ("", "", "")
            what = what.removesuffix(" 1m")
            head, *rest = what.removeprefix("+").split("·")
            if len(rest) == 2:
                steps = journeys.setdefault((head, rest[0]), [])
                if what[0] == "+":
                    steps[-1] = steps[-1][0], f"{steps[-1][1]},{number}"
                else:
                    steps.append((rest[1], number))
            elif head not in ("", "未知"):
                groups.setdefault(head, []).append(number + "?" * what.endswith("?"))
        for (kind, name), steps in journeys.items():
            told.append(f"> {kind} {name}：" + "；".join(f"{step} {rows}" for step, rows in steps))
        told += [f"{kind} {' '.join(rows)}" for kind, rows in groups.items()]
    return "\n".join([*told, "##"])


def _steps(kind: str, rng: Random, *, more: float) -> list[str]:
    """Draw the steps of a journey; `more`: how much oftener it converts, so that segments differ."""
    last = KINDS[kind][-1][0]
    steps = [step for step, share in KINDS[kind] if rng.random() < share + (more if step == last else 0)]
    if len(steps) < 2:
        steps = [KINDS[kind][0][0], KINDS[kind][1][0]]
    if rng.random() < 0.15:
        steps[0], steps[1] = steps[1], steps[0]
    if rng.random() < 0.2:
        steps.insert(1, steps[0])  # a step that is taken twice
    if rng.random() < 0.15 and steps[-1] != last:
        steps.append(steps[0])  # one that a journey comes back to, and ends with
    return steps


def run_known(folder: Path, users: Sequence[Known]) -> Path:
    """Write the export, run the tool with the model that knows, and return the run directory."""
    out = "known.eventabs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "known.jsonl").open("w", encoding="utf-8") as file:
        for user in users:
            for start, what in user.rows:
                shown = "失败" if user.fails else what
                row = {"user_id": user.id, "timestamp": start.isoformat(" "), "action": "visit", "poi": shown}
                file.write(json.dumps({**row, "duration": 60}, ensure_ascii=False) + "\n")
    with (folder / "profiles.csv").open("w", encoding="utf-8") as file:
        file.write("user_id,city,gender,age\n")
        file.writelines(
            f"{user.id},{','.join(user.profile[key] for key in ('city', 'gender', 'age'))}\n"
            for user in users
        )
    with OpenAIServer(answer(_answered)) as server:
        done = eventabs(
            *(
                "run",
                "known.jsonl",
                "--profiles",
                "profiles.csv",
                "--model",
                "m",
                "--base-url",
                server.base_url,
            ),
            *("--out", out, "--json"),
            cwd=folder,
        )
    assert done.returncode in (0, 3), done.stderr
    return folder / out


def truth(users: Sequence[Known], keep: Callable[[Known], bool] = lambda _user: True) -> dict[str, Any]:
    """Return what a report of some users has to say."""
    kept = [user for user in users if keep(user)]
    done = [user for user in kept if not user.fails]
    made = [journey for user in done for journey in user.journeys]
    return {
        "users": len(kept),
        "events": sum(len(user.lone) + sum(len(one.events) for one in user.journeys) for user in done),
        "journeys": len(made),
        "converted": sum(one.converted for one in made),
        "unsure": sum(what.endswith("?") for user in done for _start, what in user.rows),
        "unplaced": sum(what.startswith("未知") for user in done for _start, what in user.rows),
        "failed": len(kept) - len(done),
        "kinds": {
            kind: _kind(
                [one for one in made if one.kind == kind],
                sum(any(one.kind == kind for one in user.journeys) for user in done),
            )
            for kind in KINDS
        },
    }


def _kind(made: Sequence[Made], users: int) -> dict[str, Any]:
    steps: dict[str, dict[str, Any]] = {}
    for kind in {event.type for one in made for event in one.events}:
        having = [one for one in made if kind in one.firsts]
        places = [list(one.firsts).index(kind) for one in having]
        waits = [
            (one.firsts[kind] - list(one.firsts.values())[place - 1]).total_seconds()
            for one, place in zip(having, places, strict=True)
            if place
        ]
        steps[kind] = {
            "place": median(places),
            "journeys": len(having),
            "converted": sum(one.converted for one in having),
            "ends": sum(one.events[-1].type == kind for one in made),
            "wait": median(waits) if waits else None,
        }
    order = sorted(steps, key=lambda kind: (steps[kind]["place"], -steps[kind]["journeys"], kind))
    return {
        "journeys": len(made),
        "users": users,
        "converted": sum(one.converted for one in made),
        "days": median(one.days for one in made) if made else None,
        "steps": {kind: steps[kind] for kind in order},
    }
