"""JSON as models write it in the place of the JSON that was asked for."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from answer_samples import Sample

Mutate = Callable[[Sample, Random], str]


@dataclass(frozen=True, slots=True)
class _Style:
    """How JSON is written; the shares are of the places where it could be so."""

    open_quote: str = '"'
    close_quote: str = '"'
    colon: str = ":"
    comma: str = ","
    trailing: float = 0.0
    bare_keys: bool = False
    tuples: bool = False
    none: bool = False  # None in the place of empty texts
    breaks: bool = False
    raw: bool = False  # quotes and line breaks in strings are not escaped


def _dumped(value: object, style: _Style, random: Random) -> str:
    end = style.comma if style.trailing > random.random() else ""
    gap = "\n  " if style.breaks else ""
    if isinstance(value, dict):
        fields = [
            (key if style.bare_keys and key.isidentifier() else _quoted(key, style))
            + style.colon
            + _dumped(inner, style, random)
            for key, inner in value.items()
        ]
        return "{" + gap + (style.comma + gap).join(fields) + end + gap + "}"
    if isinstance(value, list):
        left, right = "()" if style.tuples and value and not isinstance(value[0], list | dict) else "[]"
        cells = [_dumped(inner, style, random) for inner in value]
        return left + gap + (style.comma + gap).join(cells) + end + gap + right
    if style.none and value == "":
        return "None"
    return _quoted(value, style) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str, style: _Style) -> str:
    if style.raw:
        return f"{style.open_quote}{text}{style.close_quote}"
    escaped = text.replace("\\", "\\\\").replace(style.close_quote, f"\\{style.close_quote}")
    return f"{style.open_quote}{escaped}{style.close_quote}"


Users = list[dict[str, Any]]


def _users(sample: Sample) -> Users:
    return [{"u": alias, "events": rows} for alias, rows in sample.rows.items()]


def _whole(users: Users, sample: Sample, style: _Style, random: Random) -> str:
    if sample.form == "schema":
        return _dumped({"users": users}, style, random) + "\n"
    return "".join(_dumped(user, style, random) + "\n" for user in users)


def styled(**changes: Any) -> Mutate:  # noqa: ANN401  fields of _Style
    """Return what writes JSON in a style."""

    def mutate(sample: Sample, random: Random) -> str:
        return _whole(_users(sample), sample, replace(_Style(), **changes), random)

    return mutate


def mixed_quotes(sample: Sample, random: Random) -> str:
    """Write single or curly single quotes, with trailing commas and bare keys now and then."""
    quotes = random.choice(["'", "’"]) if random.random() < 0.5 else "'"
    style = _Style(
        "‘" if quotes == "’" else "'", quotes, trailing=random.random(), bare_keys=random.random() < 0.3
    )
    return _whole(_users(sample), sample, style, random)


def _random_style(random: Random) -> _Style:
    left, right = random.choice(('""', "''", "“”", "‘’"))
    wide = random.random() < 0.2
    return _Style(
        left,
        right,
        colon="：" if wide else random.choice((":", ": ")),
        comma="，" if wide else random.choice((",", ", ", ",\n")),
        trailing=random.choice((0, 0, 0.3)),
        bare_keys=random.random() < 0.2,
        tuples=random.random() < 0.2,
        none=random.random() < 0.2,
        breaks=random.random() < 0.2,
    )


def further_fields(sample: Sample, random: Random) -> str:
    """Put fields before and behind the events, in quotes of either kind, with trailing commas now and then."""
    quote = random.choice("\"'")
    style = _Style(quote, quote, trailing=random.choice((0, 0.5)))
    return _whole(_with_fields(_users(sample), random), sample, style, random)


def _with_fields(users: Users, random: Random) -> Users:
    fields: list[tuple[str, object]] = [
        ("count", 3),
        ("note", "ok"),
        ("confidence", 0.9),
        ("说明", "完成"),
        ("tags", ["a", "b"]),
        ("meta", {"a": 1}),
    ]
    widened = []
    for user in users:
        (alias, events) = user.items()
        before, behind = (random.sample(fields, random.randint(0, 2)) for _ in range(2))
        widened.append(dict([alias, *before, events, *behind]))
    return widened


def forgotten_comma(sample: Sample, random: Random) -> str:
    """Leave one comma out."""
    text = _whole(_users(sample), sample, _Style(), random)
    places = [match.start() for match in re.finditer(r"\],\[|\"events\"|\",\"", text)]
    at = text.index(",", random.choice(places) - 1)
    return text[:at] + " " + text[at + 1 :]


def cells_in_other_order(sample: Sample, random: Random) -> str:
    """Put the type first, or the category last."""
    orders = (
        "type start end summary category",
        "type category start end summary",
        "start end type summary category",
    )
    order = random.choice(orders).split()
    places = {"start": 0, "end": 1, "type": 2, "category": 3, "summary": 4}
    rows = {a: [[row[places[name]] for name in order] for row in rows] for a, rows in sample.rows.items()}
    if sample.form == "pipes":
        return "\n".join("|".join([a, *row]) for a, rows in rows.items() for row in rows) + "\n##\n"
    return _whole([{"u": a, "events": theirs} for a, theirs in rows.items()], sample, _Style(), random)


_SYNONYMS = {
    "start": ("start", "start_time", "startTime", "from", "begin", "开始时间", "起始时间"),
    "end": ("end", "end_time", "EndTime", "to", "until", "结束时间"),
    "time": ("time", "timestamp", "datetime", "event_time", "period", "时间", "发生时间", "时间段"),
    "type": (
        "type",
        "event_type",
        "eventType",
        "event",
        "label",
        "activity",
        "name",
        "类型",
        "事件名称",
        "活动",
    ),
    "category": ("category", "Category", "class", "类别", "分类"),
    "summary": (
        "summary",
        "description",
        "content",
        "context",
        "detail",
        "text",
        "note",
        "摘要",
        "内容",
        "描述",
    ),
    "events": ("events", "Events", "event_list", "items", "timeline", "事件列表", "事件"),
    "u": ("u", "user", "user_id", "userId", "alias", "用户", "id"),
}


def spelled_stamps(sample: Sample, random: Random) -> str:
    """Write times as ISO 8601, with slashes, or in Chinese."""
    style = random.choice(
        (
            "%Y-%m-%dT%H:%M:%S",
            "%Y/%m/%d %H:%M",
            "%Y年%m月%d日 %H:%M",
            "%Y-%m-%d %H:%M:%S.000",
            "%m月%d日 %H时%M分",
        )
    )
    rows = {
        alias: [[f"{e.start:{style}}", f"{e.end:{style}}", e.type, e.category, e.summary] for e in events]
        for alias, events in sample.events.items()
    }
    if sample.form == "pipes":
        return "\n".join("|".join([a, *row]) for a, theirs in rows.items() for row in theirs) + "\n##\n"
    return _whole([{"u": a, "events": theirs} for a, theirs in rows.items()], sample, _Style(), random)


def _named_events(sample: Sample, random: Random) -> dict[str, list[dict[str, str]]]:
    """Return the events as objects under keys drawn for the whole answer, their fields in any order."""
    key = {name: random.choice(synonyms) for name, synonyms in _SYNONYMS.items()}
    one_time, order = random.random() < 0.4, random.random()
    named: dict[str, list[dict[str, str]]] = {}
    for alias, rows in sample.rows.items():
        named[alias] = []
        for start, end, kind, category, summary in rows:
            times = {key["time"]: start if start == end else f"{start}-{end}"}
            times = times if one_time else {key["start"]: start, key["end"]: end}
            words = {key["type"]: kind, key["category"]: category, key["summary"]: summary}
            fields = list((times | words).items())
            Random(order).shuffle(fields)
            named[alias].append(dict(fields))
    return named


def other_keys(sample: Sample, random: Random) -> str:
    """Write events as objects under other keys."""
    user, events = random.choice(_SYNONYMS["u"]), random.choice(_SYNONYMS["events"])
    users = [{user: alias, events: theirs} for alias, theirs in _named_events(sample, random).items()]
    quote = random.choice('""\'')
    return _whole(users, sample, _Style(quote, quote, trailing=random.choice((0, 0.3))), random)


def many_habits(sample: Sample, random: Random) -> str:
    """Write other keys, further fields and any style, all at once."""
    named = _named_events(sample, random) if random.random() < 0.5 else sample.rows
    user, events = random.choice(_SYNONYMS["u"]), random.choice(_SYNONYMS["events"])
    users: Users = [{user: alias, events: theirs} for alias, theirs in named.items()]
    return _whole(_with_fields(users, random), sample, _random_style(random), random)


def wrapped(sample: Sample, random: Random) -> str:
    """Put the users into another shape."""
    users = _users(sample)
    by_alias = {random.choice(("", "用户")) + alias: rows for alias, rows in sample.rows.items()}
    shapes: list[object] = [
        users,
        by_alias,
        {"status": "ok", "result": {"data": users}},
        {"output": {"users": by_alias}},
        [[alias, *row] for alias, rows in sample.rows.items() for row in rows],
        [{"user": a} | event for a, events in _named_events(sample, random).items() for event in events],
        {a: [f"{row[0]}-{row[1]} {row[2]} | {row[4]}" for row in rows] for a, rows in sample.rows.items()},
        [{"u": alias, "events": _by_day(rows)} for alias, rows in sample.rows.items()],
        [
            {"user": alias, "date": day, "events": events}
            for alias, rows in sample.rows.items()
            for day, events in _by_day(rows).items()
        ],
    ]
    return _dumped(random.choice(shapes), _random_style(random), random)


def _by_day(rows: Sequence[Sequence[str]]) -> dict[str, list[list[str]]]:
    days: dict[str, list[list[str]]] = {}
    for start, *others in rows:
        days.setdefault(start[:5], []).append([start[6:], *others])
    return days


def event_a_line(sample: Sample, random: Random) -> str:
    """Write an object a line for each event, with its user."""
    named = _named_events(sample, random)
    user = random.choice(_SYNONYMS["u"])
    return "".join(
        json.dumps({user: a} | event, ensure_ascii=False) + "\n"
        for a, theirs in named.items()
        for event in theirs
    )
