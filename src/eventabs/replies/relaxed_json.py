"""JSON as models write it: other quotes, extra commas, full-width signs, Python literals, and broken.

If only the punctuation is wrong, the text is rewritten and parsed strictly, so that a whole answer is known to be
whole. Anything else goes to json-repair, one event at a time: a fault then costs one event, and
json-repair takes quadratic time on some texts.
"""

import json
import re
from collections.abc import Callable

import json_repair
import orjson

from eventabs.replies.claims import fold

_LONGEST = 1_000_000  # characters of a text that is read leniently; far more than a model writes
_LONGEST_PIECE = 2_000  # characters
_ALLOWANCE = 100_000_000  # json-repair's allowance for one reply; at worst about 3 s
_COST_OF_A_PIECE = 5_000  # beside the squared length

_DECODER = json.JSONDecoder(strict=False)  # raw line breaks inside strings are allowed


_OPENS, _CLOSES = r"\[{(,:［｛（，：", r"\]}),:］｝），：；"


def _string(quote: str) -> str:
    """Match a string; a quote inside it neither begins nor ends a value. The end may be missing."""
    begins = rf"(?<![{_OPENS}])(?<![{_OPENS}]\s)"
    ends = rf"\s*+(?:[{_CLOSES}]|$)|\s++{quote}|{quote}(?!\s*+[{_CLOSES}])"
    inside = rf"[^{quote}\\]++|\\.|{begins}{quote}(?!{ends})"
    return rf"(?<!\w){quote}(?:{inside})*+(?:{quote}|$)"


_STRING = f"""{_string('"')}|{_string("'")}"""
_CURLY_STRING = r"[“„][^“”„\n]*+”|‘[^‘’\n]*+’"
_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null", "NaN": "null"}
_TOKEN = re.compile(
    rf"""(?P<string>{_STRING})"""
    r"""|(?P<comma>[,;]\s*+(?=[\]})]))"""
    r"""|(?P<key>[^\W\d]\w{0,40}+)(?=\s*+:)"""
    rf"""|(?P<word>\b(?:{"|".join(_WORDS)})\b)"""
    r"""|(?P<list>[()])""",
    re.DOTALL,
)
_STRING_OR_WIDE = re.compile(
    rf"""(?P<curly>{_CURLY_STRING})|{_STRING}|[：，；｛｝［］【】（）“”‘’]""", re.DOTALL
)
_STRING_OR_BRACKET = re.compile(rf"""{_STRING}|[\[\](){{}}]""", re.DOTALL)
_PAIRS = {"}": "{", "]": "[(", ")": "[("}
_ESCAPED = re.compile(r'\\.|"', re.DOTALL)

_EVENT = re.compile(r"""[\[(]\s*+["']?\d{1,4}[-/.年月:]|\{\s*+["']?\w{1,20}+["']?\s*+:""")


def parse(text: str) -> object:
    """Return the object or array in `text`, parsed strictly or with corrected punctuation; None if it is neither."""
    return parse_strictly(text) or _filled(_decoded(_relaxed(text), _DECODER.decode))


def parse_strictly(text: str) -> object:
    """Return the object or array in `text`, None if it is neither or empty."""
    try:
        return _filled(orjson.loads(text))
    except orjson.JSONDecodeError:
        return None


def parse_prefix(text: str) -> object:
    """Return the object or array at the start of `text`, also an empty one; None if there is none."""
    value = _decoded(text, _first)
    return _decoded(_relaxed(text), _first) if value is None else value


def _relaxed(text: str) -> str:
    """Write quotes, keys, lists, commas and constants as in JSON, where that is certain."""
    return _TOKEN.sub(_as_json, straightened(text)) if len(text) <= _LONGEST else text


def _first(text: str) -> object:
    return _DECODER.raw_decode(text)[0]


def _decoded(text: str, decode: Callable[[str], object]) -> object:
    try:
        value = decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _filled(value: object) -> object:
    return value if isinstance(value, dict | list) and value else None


def straightened(text: str) -> str:
    """Write full-width punctuation outside strings, and curly quotes around them, as ASCII."""
    return text if text.isascii() else _STRING_OR_WIDE.sub(_straight, text)


def is_closed(text: str) -> bool:
    """Whether the first bracket of `text` is closed; a missing bracket inside does not matter."""
    opened: list[str] = []
    for match in _STRING_OR_BRACKET.finditer(text):
        if (sign := match[0]) in _PAIRS:
            while opened and opened.pop() not in _PAIRS[sign]:
                pass
            if not opened:
                return True
        elif sign in "[({":
            opened.append(sign)
    return False


class Mender:
    """Repairs single events with json-repair until the allowance of a reply is used up."""

    def __init__(self) -> None:
        self._left = _ALLOWANCE

    def mend(self, alias: str, chunk: str, inside: int) -> object:
        """Return the value of a user: their events one by one, else the whole chunk."""
        starts = [match.start() for match in _EVENT.finditer(chunk, inside)]
        if not starts:
            return self._repaired(chunk)
        ends = [*starts[1:], len(chunk)]
        cut = (chunk[start:end].rstrip(" \t\r\n,;") for start, end in zip(starts, ends, strict=True))
        return {alias: [parse_prefix(piece) or self._repaired(piece) for piece in map(_listed, cut)]}

    def _repaired(self, piece: str) -> object:
        cost = _COST_OF_A_PIECE + len(piece) ** 2
        if len(piece) > _LONGEST_PIECE or cost > self._left:
            return None
        self._left -= cost
        try:
            return json_repair.loads(piece, skip_json_loads=True)
        except (ValueError, RecursionError):
            return None


def _listed(piece: str) -> str:
    """Write a Python tuple as a list."""
    return f"[{piece[1:].rstrip(')]},; ')}]" if piece.startswith("(") else piece


def _straight(match: re.Match[str]) -> str:
    text = match[0]
    if match["curly"]:
        return f'"{_ESCAPED.sub(_escaped, text[1:-1])}"'
    return text if text[0] in "\"'" else fold(text)


def _as_json(token: re.Match[str]) -> str:
    text = token[0]
    if token["string"]:
        inside = text[1:-1] if len(text) > 1 and text[-1] == text[0] else text[1:]
        end = '"' if len(text) > 1 and text[-1] == text[0] else ""
        return f'"{_ESCAPED.sub(_escaped, inside)}{end}'
    if token["comma"]:
        return ""
    if token["key"]:
        return f'"{text}"'
    return _WORDS.get(text, "[" if text == "(" else "]")


def _escaped(match: re.Match[str]) -> str:
    return {'"': '\\"', "\\'": "'"}.get(match[0], match[0])
