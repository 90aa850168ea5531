"""How answers may be written: their words and row numbers, as lines or as JSON, of the form that is asked for or of any other that models find.

Rows are numbered through all users of the request; `1-3,5` is one group. A text may be hostile: every step is linear in
its length, and what is kept of a user is bounded by the rows that the user has.
"""

import re
from bisect import bisect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from io import StringIO
from itertools import chain, islice
from typing import NamedTuple

import orjson

from eventabs.shared_records import EventType, Vocabulary

MINOR_WORDS = ("零碎", "minor")
LONGEST_TYPE = 40
_CACHED = 1_000  # labels
AROUND_NAMES = " \t*_`\"'<>()[]{}:=.,;|/-"

# Control, line and paragraph separators, bidi and invisible characters, lone surrogates. The joiners that
# emoji and some scripts need (200C, 200D) stay.
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
# Each character becomes one, so that positions are the same in both texts. 、 stays: behind a number it is a bullet.
_FOLDED: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "–—―−‐‑‒〜～"), "-"),
    **dict.fromkeys(map(ord, "→⇒➔➜⟶"), ">"),
    **dict.fromkeys(map(ord, "“”„‟"), '"'),
    **dict.fromkeys(map(ord, "‘’"), "'"),
    **str.maketrans("∶。【】〔〕│¦", ":.[][]||"),
}
_UNFOLDED = re.compile(f"[{re.escape(''.join(map(chr, _FOLDED)))}]")
_NORMAL: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r" ?\((?=[^()]{0,100}?[^()\W\d_])[^()]{1,100}\)$| (?:#(?!\d)|//).*$", ""),  # a note at the end
        (r"[\"'|`]++|(?<!\w)_++|(?<!_)_++(?!\w)", " "),
        (r"第(?= ?\d)", ""),
        (r"(?<=\d) ?行(?=$|[^\w]|[到至和及])", ""),
        (r"(?<!\w)行号? ?:? ?(?=\d)|(?<=\S) (?:rows?|lines?) ?:? ?(?=\d)", " "),
        (r"#(?=\d)", ""),
        (r"[\[(] ?\d+ ?[\])](?= ?:)", ""),  # how many follow
        (r"(?<=[^\d\s:=>])[:=>]++(?=\d)", " "),
        (r"\( ?\? ?\)", "?"),
        (r"(?<=\d) ?(?:-++>?|[~>]|至|到|to\b) ?(?=\d)", "-"),
        (r"(?<=\d) ?(?:[,、]++ ?(?:and\b|和|及)?|and\b|[和及&+]) ?(?=\d)", ","),
        (r"[\[({] ?(?=\d)|(?<=[\d?!]) ?[\])}]++", " "),
        (r" [,\[\](){}]++(?= |$)|^[\[({]++ ", " "),
        (r"(?<=\d) +(?=[?!]+(?: |$))", ""),
        (r"(?<=[\d?!]) *, *(?=[^\d\s,])", ";"),
    )
)
_BRACKETED = re.compile(r"\s*[\[(](?P<inside>[^\[\]()]{1,40})[\])]$")
_RANGES = r"[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*+"


def fold(text: str) -> str:
    """Write full-width digits, letters and punctuation as ASCII; positions stay the same."""
    return text.translate(_FOLDED) if _UNFOLDED.search(text) else text


def normal(folded: str) -> str:
    """Write groups as they are asked for: `5 to 8`, `第5-8行`, `[2, 4]`."""
    folded = " ".join(folded.split())
    for pattern, instead in _NORMAL:
        folded = pattern.sub(instead, folded)
    return folded.strip(" .,\\")


def one_line(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` characters without control and bidi characters."""
    text = text[: 4 * limit]
    return " ".join((text if text.isprintable() else re.sub(_UNSAFE, " ", text)).split())[:limit].rstrip()


class Label(NamedTuple):
    """What stands before groups. `known`: in the vocabulary; `has_category`: there with one, which no mark changes; `odd`: with a mark that is not there, or missing where all have to be there."""

    type: str
    category: str
    sure: bool = True
    known: bool = False
    minor: bool = False
    has_category: bool = False
    odd: bool = False


class JourneyName(NamedTuple):
    """The journey that groups are steps of."""

    kind: str
    name: str
    sure: bool = True


# The rows of one event: first and last of each range, as written, and signs behind them. A plain tuple: thousands are made.
Group = tuple[tuple[tuple[int, int], ...], str]


def groups_in(text: str) -> tuple[Group, ...]:
    """Return the groups of a text that is nothing else."""
    return tuple([_short_group(word) if len(word) < _SHORT else _group(word) for word in text.split()])


def _group(word: str) -> Group:
    spans = [(int(first), int(last or first)) for first, last in _SPAN.findall(word)]
    return tuple(spans), word.lstrip("0123456789,-")


_SPAN = re.compile(r"([0-9]{1,12})[0-9]*+(?:-([0-9]{1,12})[0-9]*+)?")  # no row has more than a dozen digits
_SHORT = 20  # characters; all requests number their rows from 1, so most groups come again
_short_group = lru_cache(1 << 14)(_group)


def read_as(name: str) -> str:
    """Return what names have in common that an answer cannot tell apart."""
    return " ".join(fold(name).casefold().split())


def _one_of(names: Iterable[str]) -> str:
    """Match one of some names, the longest first."""
    words = sorted(
        {tuple(fold(name).split()) for name in names} - {()}, key=lambda each: (-sum(map(len, each)), each)
    )
    return "|".join(r"\s+".join(map(re.escape, each)) for each in words) or "(?!)"


class Labels:
    """A vocabulary, ready to find its types in an answer and to name events."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._default = vocabulary.default_category
        self._marks = {fold(each.mark): each.name for each in vocabulary.categories if each.mark}
        self._categories = {each.name.casefold(): each.name for each in vocabulary.categories}
        self._types = {read_as(kind.name): kind for kind in vocabulary.types}
        for alias, name in vocabulary.aliases:
            self._types.setdefault(read_as(alias), self._types.get(read_as(name), EventType(name)))
        self._minor = {read_as(word) for word in (vocabulary.minor, *MINOR_WORDS)} - {"", *self._types}
        self._closed = None if vocabulary.open else {kind.name for kind in vocabulary.types}
        self._kinds = {read_as(kind.name): kind.name for kind in vocabulary.journeys}
        self._kinds_hold = not vocabulary.open_journeys
        signs = "".join(map(re.escape, sorted({"?", "!", *self._marks})))
        named = [each.name for each in vocabulary.types]
        bracketed = _one_of(name for name in named if fold(name[0]) in "[(<{")
        names = _one_of(
            (*named, *(alias for alias, _name in vocabulary.aliases), vocabulary.minor, *MINOR_WORDS)
        )
        self.groups = re.compile(rf"(?:{_RANGES}[{signs}]*+(?:\s++|$))++")
        self.known_before_groups = re.compile(
            rf"(?:(?!{bracketed})[\s\[(<{{])*+(?P<label>[{signs}]?\s?(?:{names})(?:\s?[\[(][^\[\]()]{{1,40}}[\])])?)[\])>}}]*+"
            rf"\s?(?P<behind>(?:[{signs}]|[^\w\s()\[\]:=,;|>-]){{0,3}})[\])>}}]*+\s*+[:=>|-]*+\s*+(?=[0-9])",
            re.IGNORECASE,
        )
        kinds = rf"(?:{_one_of(self._kinds.values())})(?!(?<=[a-z])[a-z])"
        self._kind = re.compile(
            rf"(?P<plain>{kinds})|[\s\[(<\"']*+(?P<kind>{kinds})[\])>\"']*+", re.IGNORECASE
        )
        self._signed = re.compile(rf"(?P<front>[{signs}]*+)\s*+(?P<name>.*?)\s*+(?P<behind>[^\w\s\])]*+)")

        self.named = lru_cache(_CACHED)(self._named)  # what a text says about the groups behind it
        self.before_groups = lru_cache(_CACHED)(partial(Answer.before_groups, self))
        listed = {*self._types, *self._minor}
        self.lists = lru_cache(_CACHED)(lambda name: read_as(name) in listed)

    def lacks(self, kind: str) -> bool:
        """Whether the vocabulary is closed and lacks a kind of journeys."""
        return self._kinds_hold and kind not in self._kinds.values()

    def meant(self, signs: str) -> tuple[str, bool]:
        """Return the category that a sign is the mark of, "" for none, and whether one is nobody's mark: models know `!` from everywhere."""
        category = next((self._marks[sign] for sign in signs if sign in self._marks), "")
        return category, "!" in signs and "!" not in self._marks

    def _named(self, text: str) -> Label:
        name = one_line(fold(text), 2 * LONGEST_TYPE).strip()
        signs = category = ""
        end = next((at for at in range(len(name), 0, -1) if self.lists(name[:at])), 0)
        if end and not re.search(r"[\w\s()\[\]]", name[end:]):
            name, signs = name[:end], name[end:]
        elif found := self._signed.fullmatch(name):
            signs, name = found["front"] + found["behind"], found["name"]
            if not self.lists(name) and (found := _BRACKETED.search(name)):
                inside, outside = found["inside"].strip(), name[: found.start()].strip(AROUND_NAMES)
                category = self._categories.get(inside.casefold()) or self.meant(inside)[0]
                is_gloss = not category and self.lists(inside) and not self.lists(outside)
                name = inside if is_gloss or not outside else outside
            name = name if self.lists(name) else name.strip(AROUND_NAMES)
        marked, odd = self.meant(signs)
        sure, category = "?" not in signs, category or marked
        kind = self._types.get(read_as(name), EventType(name[:LONGEST_TYPE].rstrip()))
        minor, has_category = read_as(name) in self._minor, bool(kind.category)
        category = kind.category or category or self._default
        odd = odd or (self._closed is not None and kind.name not in self._closed)
        return Label(kind.name, category, sure, self.lists(name), minor, has_category, odd)

    def journey(self, text: str) -> JourneyName:
        """Return the kind and name that stand before the steps of a journey."""
        whole = fold(text)
        sure = not whole.rstrip(AROUND_NAMES).endswith("?")
        if found := self._kind.match(whole):
            kind, name = self._kinds[read_as(found["plain"] or found["kind"])], text[found.end() :]
        else:  # a single word is both, so that journeys can be counted by their kinds
            kind, _space, name = text.strip().partition(" ")
            kind, name = one_line(kind.strip(AROUND_NAMES), LONGEST_TYPE), name or kind
        folded = fold(name)
        start = len(folded) - len(folded.lstrip(" \t*_`\"'>:/|-"))
        name = name[start : len(folded.rstrip(" \t*_`\"':?/|-"))]
        if len(name) > 1 and fold(name[0] + name[-1]) in ("()", "[]"):
            name = name[1:-1]
        return JourneyName(kind, name.strip() or kind, sure)


# Reasoning between tags is no part of an answer.

_LONGEST_LINE = 200  # characters of a line before a tag
_TAGS = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = rf"(?im)^[ \t]*(?:<(?:{_TAGS})>|\[THINK\]|◁think▷)"
_CLOSING = rf"(?i)</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>"
_END_OF_STRING = r"""[^\n"'“”]{0,200}+["'”]\s*+[,\]})，]"""


def without_reasoning(text: str) -> tuple[str, str]:
    """Return the text behind the last closing tag, if empty that before the first opening one, and reasoning that never ended."""
    text = text.lstrip("\ufeff \t\r\n")
    if not ("<" in text or "[" in text or "◁" in text):  # most
        return text, ""
    openings = [match.start() for match in re.finditer(_OPENING, text)]
    end = 0
    for tag in re.finditer(_CLOSING, text):
        is_open = bisect(openings, end - 1) < bisect(openings, tag.start())
        line = text[max(0, tag.start() - _LONGEST_LINE) : tag.start()].rpartition("\n")[2]
        # one in the name of a journey closes only open reasoning
        is_in_name = re.compile(_END_OF_STRING).match(text, tag.end()) or fold(line).lstrip().startswith(">")
        if is_open or not is_in_name:
            end = tag.end()
    answer, *unclosed = re.split(_OPENING, text[end:], maxsplit=1)
    if end and not answer.strip():
        answer = text[: openings[0]] if openings else ""
    return answer, "".join(unclosed)


_MOST_WORDS = 6  # of a type that nobody listed; more is prose
_SPARE = 100  # rows that a reply may name of a user beyond four times all

_BULLETS = re.compile(
    r"\s*+(?:(?:[-*+•●・･·▪◦‣○■□▶✓✔☑]++|\[[ xX]?\]|[0-9]{1,3}[.)](?![0-9])|\([0-9]{1,3}\)"
    r"|[0-9]{1,3}、(?!\s*+[0-9]++(?:[\s,、-]|$))|[①-⑳㉑-㉟❶-❿])\s*+)*+"
)
_NAME = r"(?:(?:用户|users?)[\s_:#-]{0,3}+(?:u[\s_-]{0,2}+)?|u[\s_-]{0,2}+)0{0,6}+(?P<number>[1-9][0-9]{0,6})(?![0-9a-z])"
_ALIAS = re.compile(_NAME, re.IGNORECASE)
_HEADER = re.compile(
    rf"[\s|]*+(?P<hashes>#{{0,6}}+)[\s*_`\[(<\"'|]*+{_NAME}(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_NUMBER_HEADER = re.compile(r"\s*+#{2,6}+\s*+0{0,6}+(?P<number>[1-9][0-9]{0,6})[\s.:*]*+")
_DAY = r"(?:[0-9]{4}[-/.年])?[0-9]{1,2}[-/.月][0-9]{1,2}(?![0-9])日?[\s(]*+(?:周.|星期.|[a-z]{3,9})?[\s):*]*+"
# what may stand behind a name that is a header without #
_BARE = rf"(?i)[\s*_`:.\])>\"',|{{\[-]*+(?:\([^()]*\)[\s*_`:]*+|[\s:|,(]*+{_DAY}|[^\d:|,]{{1,20}}:[\s*]*+)?"
_BEHIND_NAME = re.compile(r"[\s*_`\])>\"']*+[:|,\t]++\s*+(?P<line>\S.*)", re.DOTALL)
_END = re.compile(r"[\s*_`\\>]*+#{2,3}+\s*+(?:end|结束|完)?[\s*_`.]*+", re.IGNORECASE)
_NOTHING = re.compile(r"[\s*_`:.\])}\[({\"',|=-]*+|\s*+(?:`{3,}|~{3,}).*", re.DOTALL)
_FIELD = re.compile(r"(?:type|类型|(?P<rows>rows?|行号?))\s*+[:=]\s*+", re.IGNORECASE)
_ROWS_FIRST = re.compile(r"(?P<groups>[0-9][0-9,\s?!-]*)[:=>|]*+\s*+(?P<label>[^\W\d].*)")
_STEP = re.compile(r"(?<=[\d?!])\s*+[>/|-]\s*+(?=[^\d\s])")  # between two steps
_PROSE = re.compile(r":|[.!?] |^\d+(?:\s|$)|\d[,-]\d|,.* | .*,|^(?:rows?|lines?|行号?)$", re.IGNORECASE)

# a line as it is asked for: `## U1`, `type 1-3,5 9?`, and `> kind name: type 2; type 4`
_PLAIN_HEADER = re.compile(r"## U([1-9][0-9]{0,6})\n?")
_PLAIN_JOURNEY = re.compile(r"> ([^>\s:：∶][^:：∶]*+)[:：]\s*+")
_PLAIN_STEP = re.compile(rf"\s*+([^\s\d#/:：][^\d:：]{{0,60}}?) ({_RANGES}\??(?: {_RANGES}\??)*+)\s*+")

Parts = list[tuple[str, tuple[Group, ...]]]  # each with its label


class Entry(NamedTuple):
    """Groups under one label."""

    label: Label
    groups: tuple[Group, ...]
    journey: JourneyName | None = None


@dataclass(slots=True)
class Block:
    """What a reply says under one header. `alias`: None without a header, "" if the request has no such user."""

    alias: str | None
    entries: list[Entry] = field(default_factory=list)
    rows_first: Parts = field(default_factory=list)  # of lines such as `12 work`
    types_first: bool = False


@dataclass(slots=True)
class Answer:
    """What a reply says about users. `numbers`: their rows by alias; `default`: what groups without a type are; `ended`: its end was seen."""

    labels: Labels
    numbers: Mapping[str, range]
    default: str = ""
    blocks: list[Block] = field(default_factory=lambda: [Block(None)])
    ended: bool = False
    _left: dict[str | None, int] = field(default_factory=dict)
    _journey: JourneyName | None = None  # whose steps may follow
    _indent: tuple[int, bool] = (0, False)  # of its line, and whether that has a bullet
    _is_deeper: bool = False  # whether a step stood deeper than that line
    _last_row: int = 0
    _label: str = ""  # a type whose groups may follow

    @property
    def is_empty(self) -> bool:
        """Whether it has neither an entry nor a header, be it of a user that the request does not have."""
        return len(self.blocks) == 1 and not self.blocks[0].entries

    @property
    def reached(self) -> str | None:
        """The user that the reply was about when it ended; "" or None: nobody that is known."""
        block = self.blocks[-1]
        if not block.entries and any(each.alias == block.alias for each in self.blocks[:-1]):
            return ""  # a header that was cut: U12 to U1
        if block.alias is None and block.entries:
            return next(reversed(self.owners(*block.entries[-1].groups[-1][0][-1])), "")
        return block.alias

    def owners(self, first: int, last: int) -> list[str]:
        """Return the users that have rows between two."""
        starts = [numbers.start for numbers in self.numbers.values()]
        between = list(self.numbers)[max(bisect(starts, first) - 1, 0) : bisect(starts, last)]
        return [alias for alias in between if first < self.numbers[alias].stop]

    def alias(self, name: object) -> str | None:
        """Return the user that a name is, "" if the request has none such, None if it is something else."""
        if isinstance(name, str):
            found = _ALIAS.fullmatch(fold(name[:LONGEST_TYPE]).strip(AROUND_NAMES + "#"))
            return self._numbered(found["number"]) if found else None
        return self._numbered(str(name)) if isinstance(name, int) and name < 10**7 else None

    def _numbered(self, number: str) -> str:
        return f"U{number}" if f"U{number}" in self.numbers else ""

    def header(self, alias: str) -> None:
        """Begin to read about a user."""
        self._journey, self._label, self.ended = None, self.default, False
        if not alias or alias != self.blocks[-1].alias:
            self.end_block()
            self.blocks.append(Block(alias))

    def end_block(self) -> None:
        """Take lines with the rows first, unless another line begins with a type."""
        block = self.blocks[-1]
        if block.rows_first and not block.types_first:
            self._put_all(block.rows_first, None)
        block.rows_first = []

    def put(self, label: Label, groups: tuple[Group, ...], journey: JourneyName | None) -> None:
        """Keep groups, as far as the user has rows."""
        block, numbers = self.blocks[-1], self._range()
        if self.ended or block.alias == "" or not label.type:
            return
        left = self._left.get(block.alias, 4 * len(numbers) + _SPARE)
        kept = []
        for group in groups:
            for first, last in group[0]:
                left -= 1 if first == last else max(1, min(last - first + 1, len(numbers)))
            if left >= 0 and (block.alias or any(first < numbers.stop for first, _last in group[0])):
                kept.append(group)
        self._left[block.alias] = left
        if kept:
            block.entries.append(Entry(label, tuple(kept), None if label.minor else journey))
            self._last_row = kept[-1][0][-1][1]

    def _put_all(self, parts: Parts, journey: JourneyName | None) -> None:
        for label, groups in parts:
            self.put(self.labels.named(label), groups, journey)

    def _range(self) -> range:
        own = self.numbers.get(self.blocks[-1].alias or "")
        return own or range(1, 1 + sum(map(len, self.numbers.values())))

    def read(self, text: str) -> "Answer":
        """Read an answer, as JSON if that says something, else in lines."""
        if ("{" in text or "[" in text or "｛" in text or "［" in text) and re.search(LOOKS_LIKE_JSON, text):
            values, is_closed = parse(text)
            for value in values:
                _read(value, self, "", None)
            self.end_block()
            self.ended = is_closed and not self.is_empty
        for line in StringIO(text, newline=None) if self.is_empty else ():
            if not self._read_plain(line):
                self.line(line)
        self.end_block()
        return self

    def _read_plain(self, text: str) -> bool:
        """Read a line in the very form that is asked for, as most are: what `line` would make of it, sooner."""
        begin = text[0]
        if begin == "#" and (found := _PLAIN_HEADER.fullmatch(text)):
            self.header(self._numbered(found[1]))
            return True
        if self.ended or begin == "#" or begin.isspace():
            return False
        found = _PLAIN_JOURNEY.match(text) if begin == ">" else None
        parts: Parts = []
        for part in text[found.end() if found else 0 :].replace("；", ";").split(";"):
            step = _PLAIN_STEP.fullmatch(part)
            if not step or not (label := self.labels.before_groups(step[1])):
                return False
            groups = groups_in(step[2])
            if not _touches(groups[0], self._range()):
                return False
            parts.append((label, groups))
        if found:
            self._indent, self._journey, self._label, self._is_deeper = (0, False), None, "", False
            self._put_all(parts, self.labels.journey(found[1]))
        else:
            self._take(parts, (0, False))
        return True

    @classmethod
    def before_groups(cls, labels: Labels, words: str) -> str:
        """Return the type, with its mark, that words before groups are wherever they stand; "" if they may be something else."""
        tried = cls(labels, {"U1": range(1, 2)})
        tried.line(f"{words} 1")
        wanted = [Block(None, [Entry(labels.named(tried._label), groups_in("1"))], types_first=True)]
        return tried._label if tried.blocks == wanted and not tried._is_deeper else ""

    def line(self, text: str, *, is_behind_name: bool = False) -> None:
        """Read one line, or what stands behind a user's name in it."""
        folded = fold(text)
        if _END.fullmatch(folded):
            self.end_block()
            self.ended = not self.is_empty
            return
        if _NOTHING.fullmatch(folded):
            return
        bullets = _BULLETS.match(folded)
        listed = self.labels.known_before_groups.match(folded)
        is_listed = listed and self.labels.lists(listed["label"])  # also one that begins as a bullet does
        at = bullets.end() if bullets and not is_listed else 0
        indent = len(folded) - len(folded.lstrip()), bool(folded[:at].strip())
        folded, text = folded[at:].rstrip(), text[at:]
        if is_listed and not self.ended:
            self._read_types(folded, indent, is_heading=False)
        elif named := None if is_behind_name else self._named_in(folded):
            self.header(named[0])
            if named[1]:
                self.line(named[1], is_behind_name=True)
        elif not self.ended:
            body = folded.rstrip("#").strip(" \t|*_`").lstrip("# ")
            text = text[folded.find(body) :][: len(body)]
            if body.startswith(">"):
                self._indent = indent
                self._read_journey(body.lstrip("> "), text[len(body) - len(body.lstrip("> ")) :])
            elif body:
                self._read_types(body, indent, is_heading=folded.startswith("#"))
            if folded.endswith("##"):
                self.end_block()
                self.ended = True

    def _named_in(self, folded: str) -> tuple[str, str] | None:
        """Return the user whom a line is the header of, and what it says about them beside."""
        if found := _NUMBER_HEADER.fullmatch(folded):
            return self._numbered(found["number"]), ""
        if not (found := _HEADER.match(folded)):
            return None
        alias, rest = self._numbered(found["number"]), found["rest"]
        if found["hashes"] or re.fullmatch(_BARE, rest):
            return alias, ""
        behind = _BEHIND_NAME.fullmatch(rest)
        return (alias, behind["line"]) if behind else None

    def _read_journey(self, folded: str, text: str) -> None:
        """Read `kind name: type groups; type groups`. The name ends at the first colon after which everything parses."""
        self._journey, self._label, self._is_deeper = None, "", False
        if ":" not in folded:
            folded = folded.replace("|", ":", 1)
        colons = [found.start() for found in islice(re.finditer(":", folded), 8)]
        behind = [(at, folded[at + 1 :]) for at in colons]
        tried = ((at, read(rest), rest) for read in (self._parts, self._steps) for at, rest in behind)
        if found := next(((at, steps) for at, steps, rest in tried if steps or not rest.strip()), None):
            at, steps = found
        elif behind:
            at, steps = behind[0][0], self._steps(behind[0][1], partly=True)
        else:  # `kind name type groups; ...`
            steps = self._steps(folded)
            words = steps[0][0].split() if steps else []
            at = folded.partition(";")[0].rfind(words[-1], 1) if len(words) > 2 else -1  # noqa: PLR2004  kind, name, type
            if at > 0:
                steps = [(words[-1], steps[0][1]), *steps[1:]]
        journey = self.labels.journey(text[:at]) if at >= 0 else None
        self._put_all(steps, journey)
        if not steps or folded.endswith((";", ",")):
            self._journey = journey
            self._last_row = self._last_row if steps else 0

    def _steps(self, text: str, *, partly: bool = False) -> Parts:
        return self._parts(text) or self._parts(
            normal(_STEP.sub(";", text)), in_own_words=True, partly=partly
        )

    def _read_types(self, body: str, indent: tuple[int, bool], *, is_heading: bool) -> None:
        parts = self._parts(body, self._label)
        found = None if parts else _FIELD.match(body)
        body = body[found.end() :] if found else body
        parts = parts or self._parts(body, self._label)
        clean = body if parts else normal(body)
        parts = parts or self._parts(clean, self._label, in_own_words=True)
        if not parts and "|" in body:  # a further column
            parts = self._parts(normal(body.rpartition("|")[0]), self._label, in_own_words=True)
        if parts:
            self._take(parts, indent)
            return
        is_alone = (is_heading or body.endswith(":")) and not re.search(r"[:\d]", body[:-1])
        if is_alone or (found and not found["rows"]) or self.labels.named(body.rstrip(":")).known:
            self._label = body.rstrip(": ")
        elif (found := _ROWS_FIRST.fullmatch(clean)) and self.labels.groups.fullmatch(found["groups"]):
            first, numbers, groups = self.blocks[-1].rows_first, self._range(), groups_in(found["groups"])
            in_range = all(_touches(group, numbers) for group in groups)
            if in_range and not _PROSE.search(found["label"]) and len(first) < len(numbers) + _SPARE:
                first.append((found["label"], groups))

    def _take(self, parts: Parts, indent: tuple[int, bool]) -> None:
        """Take the types of a line, which may be steps of the journey above."""
        is_deeper = indent[0] > self._indent[0] or indent[1] > self._indent[1]
        if self._journey and not is_deeper and (self._is_deeper or parts[0][1][0][0][0][0] < self._last_row):
            self._journey = None
        self._is_deeper = is_deeper
        self._label = parts[-1][0]
        self.blocks[-1].types_first = True
        self._put_all(parts, self._journey)

    def _parts(
        self, text: str, label: str = "", *, in_own_words: bool = False, partly: bool = False
    ) -> Parts:
        """Return label and groups of each part, groups alone under `label`; none if one part is something else, unless `partly`."""
        parts: Parts = []
        for part in filter(None, map(str.strip, text.split(";"))):
            if label and self.labels.groups.fullmatch(part):
                found = [(label, groups_in(part))]
            else:
                found = self._known(part) or (self._in_own_words(part) if in_own_words else [])
            if not found and not partly:
                return []
            parts += found
            label = parts[-1][0] if parts else label
        return parts

    def _known(self, part: str) -> Parts:
        parts, at = [], 0
        while (found := self.labels.known_before_groups.match(part, at)) and (
            groups := self.labels.groups.match(part, found.end())
        ):
            parts.append((found["label"] + found["behind"], groups_in(groups[0])))
            at = groups.end()
        return parts if at == len(part) else []

    def _in_own_words(self, part: str) -> Parts:
        """Read all words before the last run of groups of the user's range as the type."""
        words = part.split()
        start = len(words)
        while start and self.labels.groups.fullmatch(words[start - 1]):
            start -= 1
        groups = groups_in(" ".join(words[start:]))
        at = next((at for at, group in enumerate(groups, start) if _touches(group, self._range())), start)
        label = " ".join(words[:at]).rstrip(" :=>|-")
        is_short = at <= _MOST_WORDS and at < len(words) and len(label) <= LONGEST_TYPE
        is_type = is_short and re.search(r"[^\W\d_]", label) and not _PROSE.search(label)
        return [(label, groups[at - start :])] if is_type else []


def _touches(group: Group, numbers: range) -> bool:
    return any(first < numbers.stop and last >= numbers.start for first, last in group[0])


_DEEPEST = 12
_OPENS, _CLOSES = r"\[{(,:［｛（，：", r"\]}),:］｝），：；"


def _string(quote: str) -> str:
    """Match a string; a quote inside it neither begins nor ends a value. The end may be missing."""
    begins = rf"(?<![{_OPENS}])(?<![{_OPENS}]\s)"
    ends = rf"\s*+(?:[{_CLOSES}]|$)|\s++{quote}|{quote}(?!\s*+[{_CLOSES}])"
    inside = rf"[^{quote}\\]++|\\.?+|{begins}{quote}(?!{ends})"
    return rf"(?<!\w){quote}(?:{inside})*+(?:{quote}|$)"


_SIGNS = r"\[\]{}(),:;［］｛｝（），：；【】"
_CURLY = r"[“„][^“”„\n]*+”|‘[^‘’\n]*+’"
# between a key and its colon: also quotes that no string begins with; those of strings would be tried from each one before
_BEFORE_COLON = rf"""(?:[\s”’]|(?!{_CURLY})[“‘]|(?<=\w)["'])*+"""
_TOKEN = (
    rf"""(?s)(?:(?P<string>{_string('"')}|{_string("'")}|{_CURLY})|(?P<word>[^\s"'“”‘’{_SIGNS}]++))"""
    rf"(?P<key>{_BEFORE_COLON}[:：])?|(?P<sign>[{_SIGNS}])"
)
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None, "none": None, "undefined": None}
_PAIRS = {"}": "{", "]": "[(", ")": "[("}
_ESCAPES = r"(?s)\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<sign>.))"
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}

LOOKS_LIKE_JSON = r"""[{｛]\s*+["'“‘]?\w|[\[［]\s*+["'“‘{｛\[［]"""
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


def parse(text: str) -> tuple[list[object], bool]:
    """Return the objects and arrays in a text, with any quotes and commas and whatever is around them, and whether the last one is closed."""
    opens = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    with suppress(orjson.JSONDecodeError):
        return [orjson.loads(text[min(opens, default=0) : 1 + max(text.rfind("}"), text.rfind("]"))])], True
    values: list[object] = []
    inside: list[tuple[str, dict[str, object] | list[object]]] = []  # what is open, with its sign
    key: str | None = None  # of the next value

    def put(value: object) -> None:
        """Put a value where the text is. Words outside of all brackets are prose."""
        nonlocal key
        holder = inside[-1][1] if inside else values
        if isinstance(holder, dict):
            holder[f" {len(holder)}" if key is None or key in holder else key] = value
        elif inside or isinstance(value, dict | list):
            holder.append(value)
        key = None

    for token in re.finditer(_TOKEN, text):
        sign = fold(token["sign"] or "")
        if token["key"]:
            key = str(_scalar(token))
        elif not sign:
            put(_scalar(token))
        elif sign in "[{(":
            opened: dict[str, object] | list[object] = {} if sign == "{" else []
            put(opened)
            inside.append((sign, opened))
        elif sign in _PAIRS and any(each in _PAIRS[sign] for each, _value in inside[-_DEEPEST:]):
            key = None
            while inside.pop()[0] not in _PAIRS[sign]:
                pass  # one that is closed closes what was left open inside
    return values, not inside


def _scalar(token: re.Match[str]) -> object:
    if text := token["word"]:
        return int(text[:12]) if re.fullmatch("[0-9]+", text) else _WORDS.get(text.casefold(), text)
    text = token["string"]
    inside = text[1:-1] if len(text) > 1 and text[-1] in "\"'”’" else text[1:]
    return re.sub(_ESCAPES, _unescaped, inside)


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found["code"], 16)) if found["code"] else _ESCAPED.get(found["sign"], found["sign"])


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
        return ((((value, value),), ""),)
    if not isinstance(value, list):
        return ()
    if all(isinstance(each, int) for each in value):
        return ((tuple((each, each) for each in value), ""),) if value else ()
    of_each: list[tuple[Group, ...]] = []
    for each in value:
        is_flat = not isinstance(each, list) or all(isinstance(inner, int | str) for inner in each)
        of_each.append(_rows_in(each, answer) if is_flat else ())
    return tuple(chain.from_iterable(of_each)) if all(of_each) else ()
