"""Answers in JSON: which keys name a user, an event and its summary, and where JSON is in a text.

A text that is not valid JSON as a whole is cut into one piece for each user, and each is read by itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from itertools import islice

from eventabs.replies.claims import Aliases, Block, Claim, NamedDay
from eventabs.replies.lines import read_cells, read_line
from eventabs.replies.relaxed_json import Mender, is_closed, parse, parse_prefix, parse_strictly, straightened
from eventabs.replies.times import Span, read_cell

_DEEPEST = 8
# Keys in lower case, without spaces, underscores and hyphens.
_USER_KEYS = ("u", "user", "userid", "uid", "alias", "用户", "用户id", "用户编号", "用户别名", "别名")
_OWNER_KEYS = (*_USER_KEYS, "id", "name", "姓名", "编号")
_EVENTS = ("events", "event", "e", "eventlist", "items", "timeline", "事件", "事件列表", "行为事件")
_DATE = ("date", "day", "startdate", "eventdate", "日期", "开始日期", "发生日期", "事件日期")
_DATE_OF_END = ("enddate", "结束日期")
_POINTS = (
    "timestamp",
    "ts",
    "datetime",
    "eventtime",
    "when",
    "at",
    "发生时间",
    "事件时间",
    "日期时间",
    "时刻",
    "时间戳",
)
_SPAN = (
    "time",
    "period",
    "range",
    "timerange",
    "timespan",
    *_POINTS,
    "时间",
    "时间段",
    "时段",
    "时间范围",
    "起止时间",
)
_STARTS_IN_CHINESE = ("开始", "开始时间", "开始时刻", "起始", "起始时间")
_START = (
    "start",
    "starttime",
    "startat",
    "startedat",
    "begin",
    "begintime",
    "from",
    "s",
    *_STARTS_IN_CHINESE,
)
_END = (
    "end",
    "endtime",
    "endat",
    "endedat",
    "to",
    "until",
    "finish",
    "结束",
    "结束时间",
    "结束时刻",
    "终止时间",
)
_TYPES_IN_CHINESE = (
    "类型",
    "事件类型",
    "事件",
    "名称",
    "事件名称",
    "活动",
    "活动类型",
    "行为",
    "行为类型",
    "标签",
)
_TYPES = (
    "type",
    "eventtype",
    "event",
    "t",
    "title",
    "label",
    "name",
    "eventname",
    "activity",
    "kind",
    "action",
)
_TYPE = (*_TYPES, *_TYPES_IN_CHINESE)
_CATEGORY = ("category", "eventcategory", "cat", "class", "c", "类别", "分类", "事件类别")
_SUMMARIES = (
    "summary",
    "description",
    "desc",
    "detail",
    "details",
    "note",
    "notes",
    "content",
    "context",
    "text",
)
_MORE_SUMMARIES = ("abstract", "brief", "info", "remark", "remarks", "comment", "explanation", "eventsummary")
_CHINESE_SUMMARIES = (
    "摘要",
    "描述",
    "概述",
    "说明",
    "总结",
    "内容",
    "备注",
    "详情",
    "简介",
    "事件摘要",
    "事件描述",
    "内容摘要",
)
_SUMMARY = (*_SUMMARIES, *_MORE_SUMMARIES, *_CHINESE_SUMMARIES)
_LINKS = re.compile(r"[\s_-]")

Fields = Mapping[str, object]


def blocks_of(
    values: Iterable[object], aliases: Aliases, *, closed: bool, at_end: bool = False
) -> Iterator[Block]:
    """Read users from values: a list, keyed by alias, wrapped, or named in every event.

    Users named in every event end where the values end; `closed`: these are known to be complete;
    `at_end`: the reply ends there. If the batch has one user, events without a user are theirs.
    """
    rows: dict[str, Block] = {}
    seen, last = False, ""
    orphans = aliases.block(aliases.only or "", closed=closed)
    for value in values:
        for block in _users(value, aliases):
            seen = True
            if block.closed:
                yield block
            else:
                last = block.alias
                rows.setdefault(last, aliases.block(last)).extend(block.claims)
        if not seen and orphans.alias:
            orphans.extend(_claims(value))
    for alias, block in rows.items():
        block.closed, block.at_end = closed or alias != last, at_end
        yield block
    if not seen and orphans.claims:
        yield orphans


def _users(value: object, aliases: Aliases, depth: int = 0) -> Iterator[Block]:
    """Yield closed blocks of users, and an open block for each event that names its own user."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        yield from _keyed_users(value, aliases, depth)
    elif isinstance(value, list):
        alias = aliases.find(value[0]) if value and isinstance(value[0], str) else None
        if alias is not None and (claim := read_cells(value[1:], None)):
            yield Block(alias, claims=[claim])
        else:
            for inner in value:
                yield from _users(inner, aliases, depth + 1)


def _keyed_users(value: Mapping[str, object], aliases: Aliases, depth: int) -> Iterator[Block]:
    fields = _fields(value)
    owner = aliases.find(_first(fields, _OWNER_KEYS))
    events = _first(fields, _EVENTS)
    if owner is not None and events is not None and not isinstance(events, str):
        day = _day(_first(fields, _DATE), None)  # the user may come again with another event
        yield aliases.block(owner, _claims(events, day), closed=day is None)
    elif (alias := aliases.find(_first(fields, _USER_KEYS) or _text(fields, ("id",)))) is not None:
        claim = _event(fields, None)
        yield Block(alias, claims=[claim]) if claim else aliases.block(alias, _claims(value), closed=True)
    else:
        for key, inner in value.items():
            if (alias := aliases.find(key)) is None:
                yield from _users(inner, aliases, depth + 1)
            else:
                yield aliases.block(alias, _claims(inner), closed=True)


def _claims(value: object, day: NamedDay | None = None, depth: int = 0) -> Iterator[Claim]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        if claim := read_line(value, day):
            yield claim
    elif isinstance(value, list):
        if claim := read_cells(value, day):
            yield claim
        else:
            for inner in value:
                yield from _claims(inner, day, depth + 1)
    elif isinstance(value, Mapping):
        yield from _keyed_claims(value, day, depth)


def _keyed_claims(value: Mapping[str, object], day: NamedDay | None, depth: int) -> Iterator[Claim]:
    """Read one event, or events under a day or any other key."""
    fields = _fields(value)
    if claim := _event(fields, day):
        yield claim
        return
    day = _day(_first(fields, _DATE), day)
    for key, inner in value.items():
        if isinstance(inner, list | Mapping):
            yield from _claims(inner, _day(key, day), depth + 1)


def _event(fields: Fields, day: NamedDay | None) -> Claim | None:
    kind = _text(fields, _TYPE)
    day = _day(_first(fields, _DATE), day)
    span = read_cell(_first(fields, _START), day) or read_cell(_first(fields, _SPAN), day)
    if not kind or not isinstance(span, Span):
        return None
    end = read_cell(_first(fields, _END), _day(_first(fields, _DATE_OF_END), span.start.day))
    stop = end.start if isinstance(end, Span) else span.end
    return Claim(span.start, stop, kind, _text(fields, _CATEGORY), _text(fields, _SUMMARY))


def _day(cell: object, otherwise: NamedDay | None) -> NamedDay | None:
    named = read_cell(cell, None)
    return named if isinstance(named, NamedDay) else otherwise


def _fields(value: Mapping[str, object]) -> Fields:
    return {_LINKS.sub("", key.casefold()): inner for key, inner in value.items()}


def _first(fields: Fields, names: Iterable[str]) -> object:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _text(fields: Fields, names: Iterable[str]) -> str:
    return next((text for name in names if isinstance(text := fields.get(name), str)), "")


def names_user(value: object, aliases: Aliases) -> bool:
    """Whether a value names a user anywhere."""
    return next(_users(value, aliases), None) is not None


_MOST_CHUNKS = 10_000
_USER = re.compile(
    r"""\{\s*+["']?(?:user_?id|user|uid|u|alias|id|name|用户)["']?\s*+:\s*+["']?(?P<value>[^"',:\[\]{}\n]{1,20}+)["']?\s*+,?"""
    r"""|["'](?P<key>[^"'\n]{1,20}+)["']\s*+:\s*+(?=[\[{])""",
    re.IGNORECASE,
)


def read_chunks(text: str, aliases: Aliases, *, stopped: bool) -> Iterator[Block]:
    """Read users from text with JSON objects, valid or not.

    A user's part is trusted if it is valid, if the next user of the batch follows, or if its brackets
    are closed at the end of a reply that `stopped` by itself.
    """
    open_blocks: list[Block] = []
    yield from blocks_of(_values(straightened(text), aliases, open_blocks, stopped), aliases, closed=False)
    yield from open_blocks


def _values(text: str, aliases: Aliases, open_blocks: list[Block], stopped: bool) -> Iterator[object]:
    chunks = list(_chunks(text, aliases))
    last_known = max((at for at, (alias, *_) in enumerate(chunks) if alias), default=-1)
    mender = Mender()
    for at, (alias, start, inside, end) in enumerate(chunks):
        valid = parse_prefix(text[start:end])
        if valid is not None:
            yield {alias or "U0": valid} if inside == start else valid
        elif not alias:
            continue
        elif at < last_known or (stopped and is_closed(text[start:end])):
            yield mender.mend(alias, text[start:end], inside - start)
        else:
            open_blocks.append(aliases.block(alias))


def _chunks(text: str, aliases: Aliases) -> Iterator[tuple[str, int, int, int]]:
    """Yield alias ("" if unknown), start of the value, start of the user's content, end."""
    found = ((aliases.find(match["value"] or match["key"]), match) for match in _USER.finditer(text))
    marks = list(islice(((alias, match) for alias, match in found if alias is not None), _MOST_CHUNKS))
    ends = [*(match.start() for _alias, match in marks[1:]), len(text)]
    for (alias, match), end in zip(marks, ends, strict=False):
        yield alias, match.end() if match["key"] else match.start(), match.end(), end


def is_json(text: str) -> bool:
    """Whether `text` is one JSON object or array and nothing else."""
    return parse_strictly(text) is not None


def read_json(text: str, aliases: Aliases, *, stopped: bool) -> Iterator[Block]:
    """Read users out of JSON, from the strictest way to the most lenient.

    `stopped`: the model ended by itself, so a repaired end may be complete.
    """
    if "{" not in text and "[" not in text:
        return
    whole = parse_strictly(text) or parse(_between_brackets(text))
    if whole is not None:
        yield from blocks_of([whole], aliases, closed=True)
        return
    left: list[str] = []
    at_end = parse(_last_line(text)) is not None
    yield from blocks_of(_objects_by_line(text, aliases, left), aliases, closed=False, at_end=at_end)
    yield from read_chunks("".join(left), aliases, stopped=stopped)


def _objects_by_line(text: str, aliases: Aliases, left: list[str]) -> Iterator[object]:
    """Yield the objects that fill a line and name a user; put other lines into `left`."""
    for line in StringIO(text, newline=None):
        candidate = line.strip().rstrip(",")
        value = parse(candidate) if candidate.startswith("{") else None
        if value is not None and names_user(value, aliases):
            yield value
        else:
            left.append(line)


def _last_line(text: str) -> str:
    return text.rstrip("` \t\r\n,").rpartition("\n")[2]


def _between_brackets(text: str) -> str:
    """Remove prose before and behind the JSON; "" if the last bracket is never closed."""
    starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    end = max(text.rfind("}"), text.rfind("]"))
    if not starts or end < max(text.rfind("{"), text.rfind("[")):
        return ""
    return text[min(starts) : end + 1]
