"""Good answers by rows about made-up users, and the ways in which models write them otherwise, or damage comes to them.

Each kind takes an answer and a random source and returns the text as it might have come.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from eventabs.shared_records import (
    AskedUser,
    Behavior,
    Category,
    EventType,
    FinishReason,
    JourneyKind,
    Part,
    UserLog,
    Vocabulary,
    row_ranges,
)

VOCABULARY = Vocabulary(
    types=(*map(EventType, ("用餐", "工作", "搜索", "浏览", "dining out")), EventType("到店", "conversion")),
    categories=(Category("conversion", "!"), Category("engagement")),
    journeys=tuple(map(JourneyKind, ("购买", "旅行"))),
    minor="零碎",
)
_TYPES = ("用餐", "工作", "搜索", "浏览", "dining out", "到店!", "夜跑", "3D打印", "family time", "签约!")
_NAMES = ("露营帐篷", "家用SUV", "iPhone 15", "3:1 比分球衣", "a new tent", "父亲手术")


class Step(NamedTuple):
    """An event as it is to be read: `journey` is its kind and name."""

    rows: tuple[int, ...]
    type: str
    sure: bool
    journey: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A request, a good answer to it, and by alias the events and the minor rows (as log indices) in it."""

    asked: dict[str, AskedUser]
    steps: dict[str, list[Step]]
    minor: dict[str, tuple[int, ...]]
    text: str
    schema: dict[str, object]


class Kind(NamedTuple):
    """A way in which an answer is changed. `least`: the share of users that are to be read exactly."""

    name: str
    mutate: Callable[[Sample, Random], str]
    least: float = 1.0
    finish_reason: FinishReason = "stop"


def samples(count: int, seed: int) -> Iterator[Sample]:
    """Yield good answers about one to six users of one to forty rows."""
    random = Random(seed)
    for _ in range(count):
        first, blocks, users = 1, [], []
        asked, steps, minor = {}, {}, {}
        for number in range(1, random.randint(1, 6) + 1):
            alias, size = f"U{number}", random.randint(1, 40)
            asked[alias] = _user(f"user{number}", size, random)
            steps[alias], minor[alias] = _truth(asked[alias].log, random)
            block, user = _written(alias, steps[alias], minor[alias], first)
            blocks.append(block)
            users.append(user)
            first += size
        yield Sample(asked, steps, minor, "".join(blocks) + "##\n", {"users": users})


def _user(user_id: str, size: int, random: Random) -> AskedUser:
    start = datetime(2026, 3, 2, 8, 0) + timedelta(minutes=random.randrange(600))  # noqa: DTZ001  a wall time
    rows = []
    for number in range(size):
        rows.append(Behavior(start, "visit", f"x{number}", "", random.choice((None, 60, 600))))
        start += timedelta(minutes=random.choice((5, 30, 30, 120, 900)))
    return AskedUser(Part(user_id, 0, size - 1), UserLog(user_id, tuple(rows)), range(size))


def _truth(log: UserLog, random: Random) -> tuple[list[Step], tuple[int, ...]]:
    """Deal the rows of a user out to events of one day each, in journeys or not, and to the minor ones."""
    days: dict[object, list[int]] = {}
    for row, behavior in enumerate(log.behaviors):
        days.setdefault((behavior.start - timedelta(hours=5)).date(), []).append(row)
    groups = []
    for rows in days.values():
        random.shuffle(rows)
        while rows:
            size = random.choice((1, 1, 1, 2, 3, 8))
            groups.append(tuple(sorted(rows[:size])))
            del rows[:size]
    random.shuffle(groups)
    minor = [groups.pop() for _ in range(min(len(groups) // 4, random.randint(0, 4)))]
    steps = []
    for name in random.sample(_NAMES, random.randint(0, 2)):
        own = [groups.pop() for _ in range(min(len(groups), random.randint(2, 5)))]
        journey = (random.choice(("购买", "旅行", "健身")), name) if sum(map(len, own)) > 1 else None
        steps += [Step(rows, random.choice(_TYPES), random.random() < 0.9, journey) for rows in sorted(own)]
    steps += [Step(rows, random.choice(_TYPES), random.random() < 0.9, None) for rows in groups]
    return steps, tuple(sorted(row for rows in minor for row in rows))


def _group(step: Step, first: int) -> str:
    return row_ranges(first + row for row in step.rows).replace(" ", ",") + "?" * (not step.sure)


def _written(
    alias: str, steps: list[Step], minor: tuple[int, ...], first: int
) -> tuple[str, dict[str, object]]:
    lines, journeys = [f"## {alias}"], []
    by_journey: dict[tuple[str, str], list[Step]] = {}
    by_type: dict[str, list[str]] = {}
    for step in steps:
        if step.journey:
            by_journey.setdefault(step.journey, []).append(step)
        else:
            by_type.setdefault(step.type, []).append(_group(step, first))
    for (kind, name), own in by_journey.items():
        written = [(step.type, _group(step, first)) for step in own]
        lines.append(f"> {kind} {name}：{'；'.join(map(' '.join, written))}")
        each = [{"type": label, "rows": rows} for label, rows in written]
        journeys.append({"kind": kind, "name": name, "steps": each})
    lines += [f"{label} {' '.join(groups)}" for label, groups in by_type.items()]
    of_minor = row_ranges(first + row for row in minor)
    lines += [f"零碎 {of_minor}"] if minor else []
    events = [{"type": label, "rows": " ".join(groups)} for label, groups in by_type.items()]
    user: dict[str, object] = {"user": alias, "journeys": journeys, "events": events, "minor": of_minor}
    return "\n".join(lines) + "\n", user


# habits: nothing may be lost

_Change = Callable[[str, Random], str]


def _text(change: _Change) -> Callable[[Sample, Random], str]:
    return lambda sample, random: change(sample.text, random)


def _lines(text: str, change: Callable[[str], str], *, journeys: bool = False) -> str:
    """Change the lines of events; `journeys`: those of journeys instead."""
    return re.sub(
        r"^>.*$" if journeys else r"^(?![#>]).+$", lambda found: change(found[0]), text, flags=re.MULTILINE
    )


def _bullets(text: str, random: Random) -> str:
    bullet = random.choice(("- ", "* ", "● ", "・", "• ", "① ", "1、", "1. ", "- [ ] ", "  - "))
    return _lines(_lines(text, lambda line: bullet + line), lambda line: bullet + line, journeys=True)


def _wrapped(text: str, random: Random) -> str:
    return random.choice(
        (
            f"```\n{text}```",
            f"好的，共 3 位用户：\n\n{text}",
            f"{text}\n希望对您有帮助，共 12 行。",
            f"<think>\n## U1\n工作 1-3\n</think>\n\n{text}",
            f"Let me see.\n</think>\n{text}",
            "\ufeff" + text.replace("\n", "\r\n"),
            text.replace("\n", "\n\n"),
        )
    )


def _full_width(text: str, random: Random) -> str:
    digits = {ord(str(digit)): 0xFF10 + digit for digit in range(10)}
    signs = random.choice(({}, digits, {ord(","): "，"}, {ord(","): "、"}, {ord("!"): "！", ord("?"): "？"}))

    def change(line: str) -> str:
        label, space, groups = re.fullmatch(r"(.*?)( )([\d,?\- ]+)", line).groups()  # type: ignore[union-attr]
        return label.translate({ord("!"): "！"}) + space + groups.translate(signs)

    return _lines(text, change)


def _headers(text: str, random: Random) -> str:
    style = random.choice(
        (
            "## {}",
            "**U{}**",
            "用户{}：",
            "U{}",
            "### User {}",
            "## U0{}",
            "u{}:",
            "## U{} 34岁 女",
            "## U{} 2026-03-02",
        )
    )
    return re.sub(r"^## U(\d+)$", lambda found: style.format(found[1]), text, flags=re.MULTILINE)


def _types(text: str, random: Random) -> str:
    style = random.choice(
        ("{}：{}", "【{}】 {}", "[{}] {}", "**{}** {}", "`{}` {}", "{} → {}", "{} = {}", "| {} | {} |")
    )

    def change(line: str) -> str:
        label, groups = re.fullmatch(r"(.*?) ([\d,?\- ]+)", line).groups()  # type: ignore[union-attr]
        return style.format(label, groups)

    return _lines(text, change)


def _groups(text: str, random: Random) -> str:
    style = random.choice(("to", "至", "–", "~", "one", "第", "list", "spaces"))

    def change(line: str) -> str:
        label, groups = re.fullmatch(r"(.*?) ([\d,?\- ]+)", line).groups()  # type: ignore[union-attr]
        if style == "one":
            return "\n".join(f"{label} {group}" for group in groups.split())
        if style == "list":
            groups = " ".join(f"[{group.rstrip('?')}]{'?' * group.count('?')}" for group in groups.split())
        elif style == "第":
            groups = re.sub(r"\d+(-\d+)?", r"第\g<0>行", groups)
        elif style == "spaces":
            groups = groups.replace(",", ", ")
        else:
            groups = groups.replace("-", f" {style} ")
        return f"{label} {groups}"

    return _lines(text, change)


def _journeys(text: str, random: Random) -> str:
    style = random.choice(("：\n  {}", ": {}", "：\n- {}"))
    between = {"：\n  {}": "\n  ", ": {}": "; ", "：\n- {}": "\n- "}[style]

    def change(line: str) -> str:
        head, _colon, steps = line.rpartition("：")
        return head + style.format(between.join(steps.split("；")))

    return _lines(text, change, journeys=True)


def _ends(text: str, random: Random) -> str:
    body = text.removesuffix("##\n")
    return body + random.choice(("", "```\n", "**##**", "### 结束", "## end\n以上。"))


def _json(sample: Sample, random: Random) -> str:
    compact = random.random() < 0.5
    text = json.dumps(
        sample.schema,
        ensure_ascii=False,
        indent=None if compact else 1,
        separators=(",", ":") if compact else None,
    )
    return random.choice(
        (
            text,
            f"```json\n{text}\n```",
            f"结果如下：\n{text}\n以上。",
            str(sample.schema),
            re.sub(r'"([^"]*)"', r"“\1”", text),
            re.sub(r"([\]}])(?=\s*[\]}])", r"\1,", text),
            re.sub(r'"(\w+)":', r"\1:", text),
            text.replace('":', '"：').replace('",', '"，'),
            "\n".join(json.dumps(user, ensure_ascii=False) for user in sample.schema["users"]),  # type: ignore[attr-defined]
            re.sub(r"([}\]]),(\s*[{\[])", r"\1\2", text),
        )
    )


# damage: rows may be lost, and then are counted


def _numbers(
    change: Callable[[str, Random, int], str], share: float = 0.1
) -> Callable[[Sample, Random], str]:
    """Change a share of the row numbers."""

    def mutate(sample: Sample, random: Random) -> str:
        rows = sum(len(user.rows) for user in sample.asked.values())

        def one(found: re.Match[str]) -> str:
            return change(found[0], random, rows) if random.random() < share else found[0]

        return _lines(sample.text, lambda line: re.sub(r"(?<=[ ,-])\d+", one, line))

    return mutate


def _reversed_ranges(text: str, random: Random) -> str:
    return re.sub(
        r"(\d+)-(\d+)", lambda found: f"{found[2]}-{found[1]}" if random.random() < 0.5 else found[0], text
    )


def _out_of_order(text: str, random: Random) -> str:
    def shuffled(found: re.Match[str]) -> str:
        rows = found[0].split(",")
        random.shuffle(rows)
        return ",".join(rows)

    return re.sub(r"[\d-]+(?:,[\d-]+)+", shuffled, text)


def _swapped(text: str, random: Random) -> str:
    users = re.findall(r"^## U\d+$", text, flags=re.MULTILINE)
    others = random.sample(users, len(users))
    return re.sub(r"^## U\d+$", lambda _found: others.pop(), text, flags=re.MULTILINE)


def _without_headers(text: str, random: Random) -> str:
    return re.sub(
        r"^## U\d+\n", lambda found: "" if random.random() < 0.4 else found[0], text, flags=re.MULTILINE
    )


def _anew(sample: Sample, _random: Random) -> str:
    blocks = [_written(alias, sample.steps[alias], sample.minor[alias], 1)[0] for alias in sample.asked]
    return "".join(blocks) + "##\n"


def _cut(sample: Sample, random: Random) -> str:
    text = sample.text if random.random() < 0.8 else json.dumps(sample.schema, ensure_ascii=False)
    return text[: random.randrange(len(text))]


def _damaged(signs: str) -> Callable[[Sample, Random], str]:
    """Delete, double or exchange one to four of some signs."""

    def mutate(sample: Sample, random: Random) -> str:
        text = sample.text if random.random() < 0.7 else json.dumps(sample.schema, ensure_ascii=False)
        for _ in range(random.randint(1, 4)):
            places = [found.start() for found in re.finditer(f"[{re.escape(signs)}]", text)]
            if places:
                at = random.choice(places)
                text = text[:at] + random.choice(("", text[at] * 2, random.choice(signs))) + text[at + 1 :]
        return text

    return mutate


def _kinds() -> Iterator[Kind]:
    yield Kind("as asked", lambda sample, _random: sample.text)
    yield Kind("fences, prose, thoughts, line ends", _text(_wrapped))
    yield Kind("bullets", _text(_bullets))
    yield Kind("full-width signs", _text(_full_width))
    yield Kind("headers of other kinds", _text(_headers))
    yield Kind("types with colons, brackets, arrows, bars", _text(_types))
    yield Kind("groups spelled otherwise, one event a line", _text(_groups))
    yield Kind("steps of journeys on their own lines", _text(_journeys))
    yield Kind("another end or none", _text(_ends))
    yield Kind("JSON", _json)
    yield Kind("rows of a group out of order", _text(_out_of_order))
    yield Kind("no header at all", _text(lambda text, _random: re.sub(r"(?m)^## U\d+\n", "", text)))
    yield Kind("rows doubled", _numbers(lambda row, _random, _rows: f"{row},{row}"))
    yield Kind("rows lost", _numbers(lambda _row, random, rows: str(rows + random.randint(1, 9))), 0.0)
    yield Kind("rows of anybody", _numbers(lambda _row, random, rows: str(random.randint(1, rows))), 0.0)
    yield Kind("rows next to others", _numbers(lambda row, _random, _rows: f"{row},{int(row) + 1}"), 0.0)
    yield Kind("digits lost", _numbers(lambda row, _random, _rows: row[:-1] or "0"), 0.0)
    yield Kind("ranges reversed", _text(_reversed_ranges), 0.0)
    yield Kind("headers swapped", _text(_swapped), 0.0)
    yield Kind("headers lost", _text(_without_headers), 0.0)
    yield Kind("counted anew for each user", _anew, 0.0)
    yield Kind("cut, and said so", _cut, 0.0, "length")
    yield Kind("cut, and not said", _cut, 0.0)
    yield Kind("signs lost, doubled or exchanged", _damaged("#>：；:;,-?! \n[]{}\"'"), 0.0)
    yield Kind("digits lost, doubled or exchanged", _damaged("0123456789"), 0.0)


KINDS = tuple(_kinds())
