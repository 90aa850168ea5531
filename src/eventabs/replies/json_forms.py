"""Answers in JSON, of the form that is asked for or of any other that models find, whole, broken or cut."""

import re
from collections.abc import Mapping
from itertools import chain

import orjson

from eventabs.replies.text_forms import Answer
from eventabs.replies.words_and_row_numbers import Group, JourneyName, fold, groups_in, normal

_DEEPEST = 12
_OPENS, _CLOSES = r"\[{(,:［｛（，：", r"\]}),:］｝），：；"


def _string(quote: str) -> str:
    """Match a string; a quote inside it neither begins nor ends a value. The end may be missing."""
    begins = rf"(?<![{_OPENS}])(?<![{_OPENS}]\s)"
    ends = rf"\s*+(?:[{_CLOSES}]|$)|\s++{quote}|{quote}(?!\s*+[{_CLOSES}])"
    inside = rf"[^{quote}\\]++|\\.|{begins}{quote}(?!{ends})"
    return rf"(?<!\w){quote}(?:{inside})*+(?:{quote}|$)"


_SIGNS = r"\[\]{}(),:;［］｛｝（），：；【】"
_TOKEN = re.compile(
    rf"""(?P<string>{_string('"')}|{_string("'")}|[“„][^“”„\n]*+”|‘[^‘’\n]*+’)"""
    rf"""|(?P<sign>[{_SIGNS}])|(?P<word>[^\s"'“”‘’{_SIGNS}]++)""",
    re.DOTALL,
)
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None, "none": None, "undefined": None}
_PAIRS = {"}": "{", "]": "[(", ")": "[("}
_ESCAPES = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<sign>.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}

LOOKS_LIKE_JSON = re.compile(r"""[{｛]\s*+["'“‘]?\w|[\[［]\s*+["'“‘{｛\[［]""")
_USERS = ("user", "u", "userid", "uid", "alias", "id", "用户", "用户id", "用户编号")
_JOURNEYS = ("journeys", "journey", "历程")
_STEPS = ("steps", "events", "步骤", "事件")
_KINDS = ("kind", "category", "类别")
_NAMES = ("name", "title", "journey", "名称", "历程")
_TYPES = ("type", "eventtype", "event", "label", "类型", "事件类型", "事件")
_ROWS = ("rows", "row", "lines", "groups", "numbers", "行", "行号", "组")
_WORDS_OF_KEYS = frozenset({*_USERS, *_KINDS, *_NAMES, *_TYPES, "sure"})
_NO_TYPES = frozenset(
    {*_WORDS_OF_KEYS, *_JOURNEYS, *_STEPS, *_ROWS, "users", "result", "data", "count", "total"}
)


class _Tree:
    """Values in the making: objects and arrays inside one another."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self.open: list[tuple[str, dict[str, object] | list[object]]] = []
        self.key: str | None = None  # of the next value

    def put(self, value: object) -> None:
        """Put a value where the text is. Words outside of all brackets are prose."""
        inside = self.open[-1][1] if self.open else self.values
        if isinstance(inside, dict):
            is_free = self.key is not None and self.key not in inside
            inside[self.key if is_free and self.key is not None else f" {len(inside)}"] = value
        elif self.open or isinstance(value, dict | list):
            inside.append(value)
        self.key = None

    def sign(self, sign: str) -> None:
        """Open or close an object or array; one that is closed closes what was left open inside."""
        if sign in "[{(":
            opened: dict[str, object] | list[object] = {} if sign == "{" else []
            self.put(opened)
            self.open.append((sign, opened))
        elif sign in _PAIRS and any(each in _PAIRS[sign] for each, _value in self.open[-_DEEPEST:]):
            while self.open.pop()[0] not in _PAIRS[sign]:
                pass
            self.key = None


def parse(text: str) -> tuple[list[object], bool]:
    """Return the objects and arrays in a text, and whether the last one is closed.

    They are read whatever their quotes and commas are like, whatever stands around them and wherever they break off.
    """
    opens = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    for whole in (text, text[min(opens, default=0) : 1 + max(text.rfind("}"), text.rfind("]"))]):
        try:
            return [orjson.loads(whole)], True
        except orjson.JSONDecodeError:
            continue
    tree = _Tree()
    scalars: list[object] = []  # one that may yet be a key
    for token in _TOKEN.finditer(text):
        sign = fold(token["sign"] or "")
        if sign == ":" and scalars:
            tree.key = str(scalars.pop())
        elif sign != ":":
            if scalars:
                tree.put(scalars.pop())
            if sign:
                tree.sign(sign)
            else:
                scalars.append(_scalar(token))
    if scalars:
        tree.put(scalars[0])
    return tree.values, not tree.open


def _scalar(token: re.Match[str]) -> object:
    text = token[0]
    if token["word"]:
        return int(text[:12]) if re.fullmatch("[0-9]+", text) else _WORDS.get(text.casefold(), text)
    inside = text[1:-1] if len(text) > 1 and text[-1] in "\"'”’" else text[1:]
    return _ESCAPES.sub(
        lambda found: (
            chr(int(found["code"], 16)) if found["code"] else _ESCAPED.get(found["sign"], found["sign"])
        ),
        inside,
    )


def read_json(text: str, answer: Answer) -> None:
    """Read what a text that may have JSON says about users into an answer; nothing if it is something else."""
    if not LOOKS_LIKE_JSON.search(text):
        return
    values, is_closed = parse(text)
    for value in values:
        _read(value, answer, "", None)
    answer.end_block()
    answer.ended = is_closed and (answer.has_entries or answer.has_headers)


def _read(value: object, answer: Answer, key: str, journey: JourneyName | None, depth: int = 0) -> None:
    """Read a value under a key: users by name or alias, journeys with steps, types with rows, lines."""
    word = _word(key)
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        _read_object(value, answer, key, journey, depth)
    elif groups := _rows_in(value, answer):
        label = answer.labels.named(key)
        if word not in _NO_TYPES and (label.known or not isinstance(value, int)):
            answer.put(label, groups, journey)
    elif isinstance(value, list):
        kind, *others = value or [None]
        of_each = [_rows_in(each, answer) for each in others]
        if isinstance(kind, str) and of_each and all(of_each) and not _rows_in(kind, answer):
            answer.put(answer.labels.named(kind), tuple(chain.from_iterable(of_each)), journey)
        else:
            for each in value:
                _read(each, answer, key, journey, depth + 1)
    elif isinstance(value, str):
        for line in value.splitlines():
            is_journey = word in _JOURNEYS and not fold(line).lstrip().startswith(">")
            answer.line(f"> {line}" if is_journey else line)


def _read_object(
    value: Mapping[str, object], answer: Answer, key: str, journey: JourneyName | None, depth: int
) -> None:
    fields = {_word(name): inner for name, inner in value.items()}
    alias = next((each for name in _USERS if (each := answer.alias(fields.get(name))) is not None), None)
    if alias is not None:
        answer.header(alias)
    kind, name, label = (_text(fields, names) for names in (_KINDS, _NAMES, _TYPES))
    has_steps = any(isinstance(fields.get(word), list | Mapping) for word in _STEPS)
    sure = fields.get("sure") is not False
    rows = next((_rows_in(fields[word], answer) for word in _ROWS if word in fields), ())
    if alias is None and (kind or name) and (has_steps or _word(key) in _JOURNEYS):
        journey = answer.labels.journey(f"{kind or label} {name}".strip())._replace(sure=sure)
    elif rows and (label or answer.labels.named(key).known):
        named = answer.labels.named(label or key)
        answer.put(named._replace(sure=named.sure and sure), rows, journey)
    is_by_name = _word(key) in _JOURNEYS and not has_steps and not kind
    for inner_key, inner in value.items():
        if (alias := answer.alias(inner_key)) is not None:
            answer.header(alias)
            _read(inner, answer, "", None, depth + 1)
        elif isinstance(inner, Mapping | list) and is_by_name:
            _read(inner, answer, inner_key, answer.labels.journey(inner_key), depth + 1)
        elif isinstance(inner, Mapping | list) or _word(inner_key) not in _WORDS_OF_KEYS:
            _read(inner, answer, inner_key, journey, depth + 1)


def _word(key: str) -> str:
    return re.sub(r"[\s_-]", "", fold(key).casefold())


def _text(fields: Mapping[str, object], names: tuple[str, ...]) -> str:
    return next((text for name in names if isinstance(text := fields.get(name), str)), "")


def _rows_in(value: object, answer: Answer) -> tuple[Group, ...]:
    """Return the groups that a value is: text, a number, numbers of one group, or a list of groups."""
    if isinstance(value, str):
        text = normal(fold(value)).strip()
        return groups_in(text) if answer.labels.groups.fullmatch(text) else ()
    if isinstance(value, int) and not isinstance(value, bool):
        return (Group(((value, value),)),)
    if not isinstance(value, list):
        return ()
    if all(isinstance(each, int) for each in value):
        return (Group(tuple((each, each) for each in value)),) if value else ()
    of_each: list[tuple[Group, ...]] = []
    for each in value:
        is_flat = not isinstance(each, list) or all(isinstance(inner, int | str) for inner in each)
        of_each.append(_rows_in(each, answer) if is_flat else ())
    return tuple(chain.from_iterable(of_each)) if all(of_each) else ()
