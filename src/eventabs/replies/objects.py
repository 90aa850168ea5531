"""The JSON forms of an answer, as values: which user is meant, and which events are claimed."""

from collections.abc import Iterable, Iterator, Mapping

from eventabs.replies.claims import Aliases, Block, Claim, NamedDay
from eventabs.replies.lines import read_cells, read_line
from eventabs.replies.times import Span, read_cell

_DEEPEST = 8

USER_KEYS = ("u", "user", "userid", "uid", "alias", "用户", "用户id", "用户编号")
_OWNER_KEYS = (*USER_KEYS, "id", "name", "姓名", "编号")
_EVENTS = ("events", "event", "e", "eventlist", "items", "timeline", "事件", "事件列表", "行为事件")
_DATE = ("date", "day", "日期")
_SPAN = ("time", "period", "range", "timerange", "时间", "时间段")
_START = ("start", "starttime", "begin", "from", "s", "开始", "开始时间", "起始", "起始时间")
_END = ("end", "endtime", "to", "until", "finish", "结束", "结束时间", "终止时间")
_TYPE = ("type", "eventtype", "event", "t", "title", "label", "name", "类型", "事件类型", "事件", "名称")
_CATEGORY = ("category", "cat", "class", "c", "类别", "分类", "事件类别")
_SUMMARY = (
    "summary",
    "description",
    "desc",
    "detail",
    "details",
    "note",
    "摘要",
    "描述",
    "概述",
    "说明",
    "总结",
)

Fields = Mapping[str, object]


def blocks_of(values: Iterable[object], aliases: Aliases, *, closed: bool) -> Iterator[Block]:
    """Read users out of values: as a list, keyed by alias, wrapped, or named in every event.

    Users named in every event end where the values end; `closed` says whether that is known to be whole.
    Where the batch has one user, events without an owner are theirs.
    """
    rows: dict[str, Block] = {}
    seen = False
    orphans = aliases.block(aliases.only or "", closed=closed)
    last = ""
    for value in values:
        for block in _users(value, aliases, 0):
            seen = True
            if block.closed:
                yield block
            else:
                last = block.alias
                if last not in rows:
                    rows[last] = aliases.block(last)
                for claim in block.claims:
                    rows[last].add(claim)
        if not seen and orphans.alias:
            for claim in _claims(value, None, 0):
                orphans.add(claim)
    for alias, block in rows.items():
        block.closed = closed or alias != last
        yield block
    if not seen and orphans.claims:
        yield orphans


def _user_block(aliases: Aliases, alias: str, value: object) -> Block:
    """Return the block of one user from their part of the answer."""
    block = aliases.block(alias, closed=True)
    for claim in _claims(value, None, 0):
        block.add(claim)
    return block


def _users(value: object, aliases: Aliases, depth: int) -> Iterator[Block]:
    """Yield closed blocks of users, and an open block for each event that names its own user."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        fields = _fields(value)
        owner = aliases.find(_first(fields, _OWNER_KEYS))
        if owner is not None and (has := _first(fields, _EVENTS)) is not None and not isinstance(has, str):
            yield _user_block(aliases, owner, has)
        elif (alias := aliases.find(_first(fields, USER_KEYS))) is not None:
            claim = _object(fields, None)
            yield Block(alias, claims=[claim]) if claim else _user_block(aliases, alias, value)
        else:
            for key, inner in value.items():
                alias = aliases.find(key)
                if alias is None:
                    yield from _users(inner, aliases, depth + 1)
                else:
                    yield _user_block(aliases, alias, inner)
    elif isinstance(value, list):
        alias = aliases.find(value[0]) if value and isinstance(value[0], str) else None
        claim = None if alias is None else read_cells(value[1:], None)
        if alias is not None and claim:
            yield Block(alias, claims=[claim])
        else:
            for inner in value:
                yield from _users(inner, aliases, depth + 1)


def _claims(value: object, day: NamedDay | None, depth: int) -> Iterator[Claim]:
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
    """Read one event, or events under their day, or under any other name."""
    fields = _fields(value)
    if claim := _object(fields, day):
        yield claim
        return
    named = read_cell(_first(fields, _DATE), None)
    day = named if isinstance(named, NamedDay) else day
    for key, inner in value.items():
        if isinstance(inner, list | Mapping):
            found = read_cell(key, None)
            yield from _claims(inner, found if isinstance(found, NamedDay) else day, depth + 1)


def _object(fields: Fields, day: NamedDay | None) -> Claim | None:
    kind = _text(fields, _TYPE)
    named = read_cell(_first(fields, _DATE), None)
    day = named if isinstance(named, NamedDay) else day
    span = read_cell(_first(fields, _START), day) or read_cell(_first(fields, _SPAN), day)
    if not kind or not isinstance(span, Span):
        return None
    end = read_cell(_first(fields, _END), span.start.day)
    stop = end.start if isinstance(end, Span) else span.end
    return Claim(span.start, stop, kind, _text(fields, _CATEGORY), _text(fields, _SUMMARY))


def _fields(value: Mapping[str, object]) -> Fields:
    return {key.strip().casefold().replace("_", "").replace(" ", ""): inner for key, inner in value.items()}


def _first(fields: Fields, names: Iterable[str]) -> object:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _text(fields: Fields, names: Iterable[str]) -> str:
    return next((text for name in names if isinstance(text := fields.get(name), str)), "")


def names_user(value: object, aliases: Aliases) -> bool:
    """Whether a value says anywhere whose events it holds."""
    return next(_users(value, aliases, 0), None) is not None
