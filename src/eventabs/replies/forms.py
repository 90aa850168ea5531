"""The text of a reply -> which rows it puts under which type, in which journey, under which user's header.

Lines and JSON are read as models write them. Rows are numbered through all users of the request; `1-3,5` is one group. A text
may be hostile: every step is linear in its length, and what is kept of a user is bounded by the rows that the user has.
"""

import re
from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from typing import NamedTuple

import orjson

from eventabs.records import EventType, Vocabulary

MINOR_WORDS = ("零碎", "minor")
_LONGEST_TYPE = 40
_MOST_WORDS = 6  # of a type that nobody listed; more is prose
_MOST_COLONS = 8  # at which the name of a journey may end
_LONGEST_NAME = 200  # characters of a line before a tag
_SPARE = 100  # rows that a reply may name of a user beyond four times all
_DEEPEST = 12

# Control, line and paragraph separators, bidi and invisible characters, lone surrogates. The joiners that
# emoji and some scripts need (200C, 200D) stay.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)
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


def fold(text: str) -> str:
    """Write full-width digits, letters and punctuation as ASCII; positions stay the same."""
    return text if text.isascii() else text.translate(_FOLDED)


def one_line(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` characters without control and bidi characters."""
    return " ".join(_UNSAFE.sub(" ", text[: 4 * limit]).split())[:limit].rstrip()


class Label(NamedTuple):
    """What stands before groups. `known`: the vocabulary has it."""

    type: str
    category: str
    sure: bool = True
    known: bool = True
    minor: bool = False
    has_category: bool = False  # of its own, which no mark changes


class JourneyName(NamedTuple):
    """The journey that groups are steps of."""

    kind: str
    name: str
    sure: bool = True


class Group(NamedTuple):
    """The rows of one event: first and last of each range, as written, and signs behind them."""

    spans: tuple[tuple[int, int], ...]
    mark: str = ""


class Entry(NamedTuple):
    """Groups under one label."""

    label: Label
    groups: tuple[Group, ...]
    journey: JourneyName | None = None


_DECORATION = " \t*_`\"'<>()[]{}:=.,;|/-"
_BRACKETED = re.compile(r"\s*[\[(](?P<inside>[^\[\]()]{1,40})[\])]$")
_RANGES = r"[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*+"


def _one_of(words: Iterator[str] | set[str]) -> str:
    """Match one of some words, the longest first."""
    parts = (
        [re.escape(part) for part in word.split()]
        for word in sorted(words, key=lambda word: (-len(word), word))
    )
    return "|".join(map(r"\s+".join, parts)) or "(?!)"


def _key(name: str) -> str:
    return " ".join(fold(name).casefold().split())


class Labels:
    """A vocabulary, ready to find its types in an answer and to name events."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._default = vocabulary.default_category
        self._marks = {fold(each.mark): each.name for each in vocabulary.categories if each.mark}
        self._categories = {each.name.casefold(): each.name for each in vocabulary.categories}
        self._types = {_key(kind.name): kind for kind in vocabulary.types}
        for alias, name in vocabulary.aliases:
            self._types.setdefault(_key(alias), self._types.get(_key(name), EventType(name)))
        self._minor = {_key(word) for word in (vocabulary.minor, *MINOR_WORDS) if word} - self._types.keys()
        self._closed = None if vocabulary.open else {kind.name for kind in vocabulary.types}
        self._kinds = {_key(kind.name): kind.name for kind in vocabulary.journeys}
        signs = "".join(map(re.escape, sorted({"?", "!", *self._marks})))
        self.groups = re.compile(rf"(?:{_RANGES}[{signs}]*+(?:\s++|$))++")
        self.type_before_groups = re.compile(
            rf"[\s\[(<{{]*+(?P<label>[{signs}]?\s?(?:{_one_of({*self._types, *self._minor})})(?:\s?[\[(][^\[\]()]{{1,40}}[\])])?)"
            r"[\])>}]*+\s?(?P<behind>[^\w\s()\[\]:=,;|>-]{0,3})[\])>}]*+\s*+[:=>|-]*+\s*+(?=[0-9])",
            re.IGNORECASE,
        )
        self._kind = re.compile(
            rf"[\s\[(<\"']*+(?P<kind>{_one_of(set(self._kinds))})[\])>\"']*+", re.IGNORECASE
        )
        self._around = re.compile(
            rf"(?P<front>[{signs}]*+)\s*+(?P<name>.*?)\s*+(?P<behind>[^\w\s\])]*+)", re.DOTALL
        )

    def is_outside(self, kind: str) -> bool:
        """Whether the vocabulary is closed and lacks a type."""
        return self._closed is not None and kind not in self._closed

    def category(self, signs: str) -> str:
        """Return the category that one of some signs is the mark of; "" for none."""
        return next((self._marks[sign] for sign in signs if sign in self._marks), "")

    def named(self, text: str) -> Label:
        """Return what a text says about the groups behind it."""
        name = one_line(fold(text), 2 * _LONGEST_TYPE).strip()
        signs = category = ""
        if _key(name) not in self._types and (found := self._around.fullmatch(name)):
            signs, name = found["front"] + found["behind"], found["name"]
            if _key(name) not in self._types and (found := _BRACKETED.search(name)):
                inside, outside = found["inside"].strip(), name[: found.start()].strip(_DECORATION)
                category = self._categories.get(inside.casefold()) or self.category(inside)
                is_gloss = not category and _key(outside) not in self._types and self._is_listed(inside)
                name = inside if is_gloss or not outside else outside
            name = name if _key(name) in self._types else name.strip(_DECORATION)
        category = category or self.category(signs)
        if known := self._types.get(_key(name)):
            category = known.category or category or self._default
            return Label(known.name, category, "?" not in signs, has_category=bool(known.category))
        kind = name[:_LONGEST_TYPE].rstrip()
        is_minor = _key(name) in self._minor
        return Label(kind, category or self._default, "?" not in signs, is_minor, is_minor)

    def _is_listed(self, name: str) -> bool:
        return _key(name) in self._types or _key(name) in self._minor

    def journey(self, text: str) -> JourneyName:
        """Return the kind and name that stand before the steps of a journey."""
        folded = fold(text)
        sure = not folded.rstrip(_DECORATION).endswith("?")
        if found := self._kind.match(folded):
            kind, text = self._kinds[_key(found["kind"])], text[found.end() :]
        else:
            kind, _space, rest = text.strip().partition(" ")
            kind, text = (
                (one_line(kind.strip(_DECORATION), _LONGEST_TYPE), rest) if rest.strip() else ("", kind)
            )
        folded = fold(text)
        start = len(folded) - len(folded.lstrip(" \t*_`\"'>:/|-"))
        name = text[start : len(folded.rstrip(" \t*_`\"':?/|-"))]
        if len(name) > 1 and fold(name[0] + name[-1]) in ("()", "[]"):
            name = name[1:-1]
        return JourneyName(kind, name.strip() or kind, sure)

    def groups_of(self, text: str) -> tuple[Group, ...]:
        """Return the groups that a text is, none if it is something else."""
        text = normal(fold(text)).strip()
        return groups_in(text) if self.groups.fullmatch(text) else ()


def groups_in(text: str) -> tuple[Group, ...]:
    """Return the groups of a text that is nothing else."""
    groups = []
    for word in text.split():
        ranges = word.rstrip("".join(set(word) - set("0123456789,-")))
        spans = []
        for each in ranges.split(","):
            first, _hyphen, last = each.partition("-")
            spans.append((_number(first), _number(last or first)))
        groups.append(Group(tuple(spans), word[len(ranges) :]))
    return tuple(groups)


def _number(digits: str) -> int:
    return int(digits[:12])  # longer ones are no rows either way


_NORMAL: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"[\"'|`]+|(?<!\w)_+|_+(?!\w)", " "),
        (r"第(?=\s*\d)", ""),
        (r"(?<=\d)\s*行(?=$|[^\w]|[到至和及])", ""),
        (r"(?<!\w)行号?\s*:?\s*(?=\d)|(?<=\S)\s+(?:rows?|lines?)\s*:?\s*(?=\d)", " "),
        (r"#(?=\d)", ""),
        (r"[\[(]\s*\d+\s*[\])](?=\s*:)", ""),  # how many
        (r"\(\s*\?\s*\)", "?"),
        (r"(?<=\d)\s*(?:-+>?|[~>]|至|到|to\b)\s*(?=\d)", "-"),
        (r"(?<=\d)\s*(?:[,、]+\s*(?:and\b|和|及)?|and\b|[和及&+])\s*(?=\d)", ","),
        (r"[\[({]\s*(?=\d)|(?<=[\d?!])\s*[\])}]+", " "),
        (r"\s[,\[\](){}]+(?=\s|$)|^[\[({]+\s", " "),
        (r"(?<=\d)\s+(?=[?!]+(?:\s|$))", ""),
        (r"(?<=[\d?!])\s*,\s*(?=[^\d\s,])", ";"),
        (r"\s*\([^()]*[^()\W\d_][^()]*\)\s*$|\s+(?:#|//).*$", ""),  # a note at the end
        (r"[\s.,\\]+$", ""),
    )
)


def normal(folded: str) -> str:
    """Write groups as they are asked for: `5 to 8`, `第5-8行`, `[2, 4]`."""
    for pattern, instead in _NORMAL:
        folded = pattern.sub(instead, folded)
    return folded


@dataclass(slots=True)
class Block:
    """What a reply says under one header. `alias`: None without a header, "" if the request has no such user."""

    alias: str | None
    entries: list[Entry] = field(default_factory=list)
    rows_first: list[tuple[str, str]] = field(default_factory=list)  # (groups, label)
    types_first: bool = False


_BULLETS = re.compile(
    r"\s*(?:(?:[-*+•●・･·▪◦‣○■□▶✓✔☑]+|\[[ xX]?\]|[0-9]{1,3}[.)](?![0-9])|\([0-9]{1,3}\)|[0-9]{1,3}、(?!\s*[0-9])|[①-⑳㉑-㉟❶-❿])\s*)*+"
)
_NAME = r"(?:(?:用户|users?)[\s_:#-]{0,3}+(?:u[\s_-]{0,2}+)?|u[\s_-]{0,2}+)0{0,6}+(?P<number>[1-9][0-9]{0,6})(?![0-9a-z])"
_ALIAS = re.compile(_NAME, re.IGNORECASE)
_HEADER = re.compile(
    rf"[\s|]*+(?P<hashes>#{{0,6}}+)[\s*_`\[(<\"'|]*+{_NAME}(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_NUMBER_HEADER = re.compile(r"\s*+#{2,6}+\s*+0{0,6}+(?P<number>[1-9][0-9]{0,6})[\s.:*]*", re.DOTALL)
_DAY = r"(?:[0-9]{4}[-/.年])?[0-9]{1,2}[-/.月][0-9]{1,2}(?![0-9])"
_BARE = re.compile(
    rf"[\s*_`:.\])>\"',|{{\[-]*+(?:\([^()]*\)[\s*_`:]*+|[\s:|,(]*{_DAY}日?[\s(]*(?:周.|星期.|[a-z]{{3,9}})?[\s):*]*|[^\d:|,]{{1,20}}:[\s*]*)?",
    re.DOTALL | re.IGNORECASE,
)
_BEHIND_NAME = re.compile(r"[\s*_`\])>\"']*[:|,\t]+\s*(?P<line>\S.*)", re.DOTALL)
_END = re.compile(r"[\s*_`\\>]*+#{2,3}+\s*+(?:end|结束|完)?[\s*_`.]*", re.IGNORECASE)
_NOTHING = re.compile(r"[\s*_`:.\])}\[({\"',|=-]*|\s*+(?:`{3,}|~{3,}).*", re.DOTALL)
_FIELD = re.compile(r"(?:type|类型|(?P<rows>rows?|行号?))\s*[:=]\s*", re.IGNORECASE)
_PROSE = re.compile(r"[:#]|[.!?] |^\d+(?:\s|$)|\d:\d\d|\d[,-]\d")


@dataclass(slots=True)
class Answer:
    """What a reply says about users, block by block.

    `numbers`: the row numbers of each user, by alias. `ended`: it came to its end, as far as its form shows that.
    """

    labels: Labels
    numbers: Mapping[str, range]
    blocks: list[Block] = field(default_factory=lambda: [Block(None)])
    ended: bool = False
    unknown: int = 0  # blocks of users that the request does not have
    repeated: int = 0  # further blocks of users that had one
    _left: dict[str, int] = field(default_factory=dict)
    _journey: JourneyName | None = None  # whose steps may follow
    _indent: tuple[int, bool] = (0, False)  # of its line, and whether that had a bullet
    _last_row: int = 0
    _label: str = ""  # a type on a line of its own

    @property
    def has_entries(self) -> bool:
        """Whether anything was put anywhere."""
        return any(block.entries for block in self.blocks)

    @property
    def reached(self) -> str | None:
        """The user that the reply was about when it ended; "" or None: nobody that is known."""
        block = self.blocks[-1]
        if not block.entries and any(each.alias == block.alias for each in self.blocks[:-1]):
            return ""  # a header that was cut: U12 to U1
        if block.alias is None and block.entries:
            first, last = block.entries[-1].groups[-1].spans[-1]
            return next(reversed(self.owners(first, last)), "")
        return block.alias

    def owners(self, first: int, last: int) -> list[str]:
        """Return the users that have rows between two."""
        starts = [numbers.start for numbers in self.numbers.values()]
        between = list(self.numbers)[max(bisect(starts, first) - 1, 0) : bisect(starts, last)]
        return [alias for alias in between if first < self.numbers[alias].stop]

    def keep_last_blocks(self) -> None:
        """Keep the last block of each user: earlier ones are drafts."""
        self.blocks = list({block.alias: block for block in self.blocks}.values())

    def read(self, text: str) -> None:
        """Read a reply without its reasoning."""
        if _JSON.search(text):
            self._read_json(text)
            if self.has_entries or len(self.blocks) > 1:
                return
        for line in StringIO(text, newline=None):
            self.line(line)
        self._end_block()

    def header(self, alias: str) -> None:
        """Begin to read about a user."""
        self._journey, self._label, self.ended = None, "", False
        if alias == self.blocks[-1].alias != "":
            return
        self._end_block()
        self.unknown += not alias
        self.repeated += bool(alias) and any(block.alias == alias for block in self.blocks)
        self.blocks.append(Block(alias))

    def put(self, label: Label, groups: tuple[Group, ...], journey: JourneyName | None) -> None:
        """Keep groups, as far as the user has rows."""
        block = self.blocks[-1]
        if self.ended or block.alias == "" or not label.type:
            return
        left = self._left.setdefault(block.alias or "", 4 * len(self._range()) + _SPARE)
        kept = []
        for group in groups:
            left -= sum(max(1, min(last - first + 1, len(self._range()))) for first, last in group.spans)
            if left >= 0:
                kept.append(group)
        self._left[block.alias or ""] = max(left, 0)
        if kept:
            block.entries.append(Entry(label, tuple(kept), None if label.minor else journey))
            self._last_row = kept[-1].spans[-1][1]

    def _range(self) -> range:
        alias = self.blocks[-1].alias
        if alias:
            return self.numbers[alias]
        return range(1, 1 + sum(map(len, self.numbers.values())))

    def _end_block(self) -> None:
        block = self.blocks[-1]
        if block.rows_first and not block.types_first:
            for groups, label in block.rows_first:
                self.put(self.labels.named(label), groups_in(groups), None)
        block.rows_first = []

    def line(self, text: str) -> None:
        """Read one line."""
        folded = fold(text)
        if _END.fullmatch(folded):
            self._end_block()
            self.ended = len(self.blocks) > 1 or self.has_entries
            return
        if _NOTHING.fullmatch(folded):
            return
        at = _BULLETS.match(folded).end()  # type: ignore[union-attr]  # it matches nothing, too
        bulleted = bool(folded[:at].strip())
        indent = len(folded) - len(folded.lstrip())
        folded, text = folded[at:].rstrip(), text[at:]
        if named := self._alias_of(folded):
            self.header(named[0])
            if named[1]:
                self.line(named[1])
            return
        if self.ended:
            return
        ends = folded.endswith("##")
        body = folded.rstrip("#").strip(" \t|*_`") if ends else folded.strip(" \t|*_`")
        start = folded.find(body)
        if body.startswith(">"):
            self._indent = indent, bulleted
            behind = body.lstrip("> ")
            self._read_journey(behind, text[start + len(body) - len(behind) : start + len(body)])
        elif body:
            self._read_types(body, (indent, bulleted))
        if ends:
            self._end_block()
            self.ended = True

    def _alias_of(self, folded: str) -> tuple[str, str] | None:
        """Return the user whom a line is the header of, "" if the request has none such, and what it says about them."""
        if found := _NUMBER_HEADER.fullmatch(folded):
            return self._aliased(found["number"]), ""
        if not (found := _HEADER.match(folded)):
            return None
        alias, rest = self._aliased(found["number"]), found["rest"]
        if found["hashes"] or _BARE.fullmatch(rest):
            return alias, ""
        behind = _BEHIND_NAME.fullmatch(rest)
        return (alias, behind["line"]) if behind else None

    def _aliased(self, number: str) -> str:
        alias = f"U{number}"
        return alias if alias in self.numbers else ""

    def _read_journey(self, folded: str, text: str) -> None:
        """Read `kind name: type groups; type groups`; the name ends at the first colon after which everything parses."""
        self._journey, self._label = None, ""
        if ":" not in folded:
            folded = folded.replace("|", ":", 1)
        colons = [found.start() for found in islice(re.finditer(":", folded), _MOST_COLONS)]
        steps, at = None, -1
        for at in colons:
            steps = self._parts(folded[at + 1 :], is_journey=True)
            if steps or not folded[at + 1 :].strip():
                break
        if not colons:
            steps, at = self._without_colon(folded)
        if not steps and colons and folded[colons[-1] + 1 :].strip():
            at = colons[0]
            steps = self._parts(folded[at + 1 :], is_journey=True, partly=True)
        if at < 0:
            if steps:
                self._put_all(steps, None)
            return
        journey = self.labels.journey(text[:at])
        self._put_all(steps or [], journey)
        if not steps or folded.endswith((";", ",")):
            self._journey = journey
            self._last_row = self._last_row if steps else 0

    def _without_colon(self, folded: str) -> tuple[list[tuple[str, str]] | None, int]:
        """Read `kind name type groups; ...`."""
        steps = self._parts(folded, is_journey=True)
        words = steps[0][0].split() if steps else []
        if not steps or len(words) < 3:  # noqa: PLR2004  kind, name and type
            return steps, -1
        at = folded.partition(";")[0].rfind(words[-1])
        return ([(words[-1], steps[0][1]), *steps[1:]], at) if at > 0 else (steps, -1)

    def _read_types(self, body: str, indent: tuple[int, bool]) -> None:
        if found := _FIELD.match(body):
            body = body[found.end() :]
        parts = self._parts(body)
        if parts is None:
            if label := self._alone(body, is_field=bool(found and not found["rows"])):
                self._label = label
            return
        journey = self._journey
        is_deeper = indent[0] > self._indent[0] or indent[1] > self._indent[1]
        first = groups_in(parts[0][1])[0].spans[0][0]
        if journey and not is_deeper and first < self._last_row:
            journey = None
        self._journey, self._label = journey, parts[-1][0]
        self.blocks[-1].types_first = True
        self._put_all(parts, journey)

    def _alone(self, body: str, *, is_field: bool) -> str:
        """Return the type that a line is, whose groups follow; "" if it is something else."""
        name = body.strip("# ")
        is_label = name.endswith(":") and not re.search(r"[:\d]", name[:-1])
        if is_label or is_field or self.labels.named(name.rstrip(":")).known:
            return name.rstrip(": ")
        found = re.match(r"(?P<groups>[0-9][0-9,\s?!-]*)\s*[:=>|]*\s*(?P<label>[^\W\d].*)", normal(body))
        if found and self.labels.groups.fullmatch(found["groups"]) and not _PROSE.search(found["label"]):
            if len(self.blocks[-1].rows_first) <= 4 * len(self._range()) + _SPARE:
                self.blocks[-1].rows_first.append((found["groups"], found["label"]))
        return ""

    def _put_all(self, parts: list[tuple[str, str]], journey: JourneyName | None) -> None:
        for label, groups in parts:
            self.put(self.labels.named(label), groups_in(groups), journey)

    def _parts(
        self, text: str, *, is_journey: bool = False, partly: bool = False
    ) -> list[tuple[str, str]] | None:
        """Return label and groups of each part; None if one part is something else, unless `partly`."""
        found = self._parsed(text, is_journey=is_journey, partly=False)
        if found is None:
            text = normal(text)
            if is_journey:
                text = re.sub(r"(?<=[\d?!])\s*[>/|-]\s*(?=[^\d\s])", ";", text)
            found = self._parsed(text, is_journey=is_journey, partly=partly)
        return found

    def _parsed(self, text: str, *, is_journey: bool, partly: bool) -> list[tuple[str, str]] | None:
        parts: list[tuple[str, str]] = []
        label = "" if is_journey else self._label
        for part in text.split(";"):
            if not part.strip():
                continue
            if found := self._typed(part, label):
                parts += found
                label = found[-1][0]
            elif not partly:
                return None
        return parts or None

    def _typed(self, part: str, label: str) -> list[tuple[str, str]]:
        """Read `type groups`, several of them if the vocabulary has the types, or groups of the type before."""
        part = part.strip()
        if label and self.labels.groups.fullmatch(part):
            return [(label, part)]
        parts, at = [], 0
        while (found := self.labels.type_before_groups.match(part, at)) and (
            groups := self.labels.groups.match(part, found.end())
        ):
            parts.append((found["label"] + found["behind"], groups[0]))
            at = groups.end()
        return parts if parts and at == len(part) else self._with_own_type(part)

    def _with_own_type(self, part: str) -> list[tuple[str, str]]:
        """Read all words before the last run of groups of the user's range as the type."""
        words = part.split()
        start = len(words)
        while start and self.labels.groups.fullmatch(words[start - 1]):
            start -= 1
        numbers = self._range()
        groups = groups_in(" ".join(words[start:]))
        inside = (
            at
            for at, group in enumerate(groups)
            if any(first < numbers.stop and last >= numbers.start for first, last in group.spans)
        )
        at = start + next(inside, 0)
        label = " ".join(words[:at]).rstrip(" :=>|-")
        if not groups or at > _MOST_WORDS or len(label) > _LONGEST_TYPE or _PROSE.search(label):
            return []
        return [(label, " ".join(words[at:]))] if re.search(r"[^\W\d_]", label) else []

    def _read_json(self, text: str) -> None:
        """Read JSON, whole or broken, anywhere in a text."""
        values, self_closed = parse(text)
        for value in values:
            self._walk(value, "", None)
        self.ended = self_closed and self.has_entries

    def _walk(self, value: object, key: str, journey: JourneyName | None, depth: int = 0) -> None:
        """Read a value under a key: users by name or alias, journeys with steps, types with rows, lines."""
        if depth > _DEEPEST:
            return
        if isinstance(value, Mapping):
            self._walk_object(value, key, journey, depth)
        elif groups := self._rows_in(value):
            if (
                key
                and _fold_key(key) not in _NO_TYPES
                and (not isinstance(value, int) or self.labels.named(key).known)
            ):
                self.put(self.labels.named(key), groups, journey)
        elif isinstance(value, list):
            if len(value) > 1 and isinstance(value[0], str) and not self._rows_in(value[0]):
                groups = tuple(group for each in value[1:] for group in self._rows_in(each))
                if groups and not any(
                    isinstance(each, str) and not self._rows_in(each) for each in value[1:]
                ):
                    self.put(self.labels.named(value[0]), groups, journey)
                    return
            for each in value:
                self._walk(each, key, journey, depth + 1)
        elif isinstance(value, str):
            is_journey = _fold_key(key) in _JOURNEYS and not value.lstrip().startswith(">")
            for line in value.splitlines():
                self.line(f"> {line}" if is_journey else line)

    def _walk_object(
        self, value: Mapping[str, object], key: str, journey: JourneyName | None, depth: int
    ) -> None:
        fields = {_fold_key(name): inner for name, inner in value.items()}
        alias = self._user_in(fields)
        if alias is not None:
            self.header(alias)
        steps = next((name for name in _STEPS if name in fields), "")
        kind = next((fields[name] for name in _KINDS if isinstance(fields.get(name), str)), "")
        named = next((fields[name] for name in _NAMES if isinstance(fields.get(name), str)), "")
        if alias is None and (kind or named) and (steps or _fold_key(key) in _JOURNEYS):
            kind = (
                kind or next((fields[name] for name in _TYPES if isinstance(fields.get(name), str)), "")
                if steps
                else kind
            )
            journey = self.labels.journey(f"{kind} {named}".strip())
            if fields.get("sure") is False:
                journey = journey._replace(sure=False)
            self._journey = None
        kind_of = next((fields[name] for name in _TYPES if isinstance(fields.get(name), str)), "")
        rows = next((fields[name] for name in _ROWS if name in fields), None)
        if not kind_of and self.labels.named(key).known:
            kind_of = key
        if kind_of and rows is not None and (groups := self._rows_in(rows)):
            label = self.labels.named(str(kind_of))
            self.put(label._replace(sure=label.sure and fields.get("sure") is not False), groups, journey)
            return
        for name, inner in value.items():
            if (found := _ALIAS.fullmatch(fold(name).strip(_DECORATION))) is not None:
                self.header(self._aliased(found["number"]))
                self._walk(inner, "", None, depth + 1)
            elif _fold_key(key) in _JOURNEYS and not steps and isinstance(inner, Mapping | list):
                self._walk(inner, name, self.labels.journey(name), depth + 1)
            elif isinstance(inner, Mapping | list) or _fold_key(name) not in (
                *_KINDS,
                *_NAMES,
                *_TYPES,
                *_USERS,
            ):
                self._walk(inner, name, journey, depth + 1)

    def _user_in(self, fields: Mapping[str, object]) -> str | None:
        for name in _USERS:
            value = fields.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return self._aliased(str(value))
            if isinstance(value, str) and (found := _ALIAS.fullmatch(fold(value).strip(_DECORATION))):
                return self._aliased(found["number"])
        return None

    def _rows_in(self, value: object) -> tuple[Group, ...]:
        """Return the groups that a value is: text, a number, numbers of one group, or a list of groups."""
        if isinstance(value, str):
            return self.labels.groups_of(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return (Group(((value, value),)),)
        if not isinstance(value, list) or not value:
            return ()
        if all(isinstance(each, int) and not isinstance(each, bool) for each in value):
            return (Group(tuple((each, each) for each in value)),)
        groups = [
            self._rows_in(each)
            for each in value
            if not isinstance(each, list) or all(isinstance(row, int | str) for row in each)
        ]
        return (
            tuple(group for each in groups for group in each)
            if len(groups) == len(value) and all(groups)
            else ()
        )


_JSON = re.compile(r"\{\s*+[\"'“‘]?\w|\[\s*+[{\[\"'“]|[｛［]")
_USERS = ("user", "u", "userid", "uid", "alias", "id", "用户", "用户id", "用户编号")
_JOURNEYS = ("journeys", "journey", "历程")
_STEPS = ("steps", "events", "步骤", "事件")
_KINDS = ("kind", "category", "类别")
_NAMES = ("name", "title", "journey", "名称", "历程")
_TYPES = ("type", "eventtype", "event", "label", "类型", "事件类型", "事件")
_ROWS = ("rows", "row", "lines", "groups", "numbers", "行", "行号", "组")
_NO_TYPES = (
    *_USERS,
    *_JOURNEYS,
    *_STEPS,
    *_KINDS,
    *_NAMES,
    *_TYPES,
    *_ROWS,
    "users",
    "result",
    "data",
    "count",
    "total",
)


def _fold_key(key: str) -> str:
    return re.sub(r"[\s_-]", "", fold(key).casefold())


_OPENS, _CLOSES = r"\[{(,:［｛（，：", r"\]}),:］｝），：；"


def _string(quote: str) -> str:
    """Match a string; a quote inside it neither begins nor ends a value. The end may be missing."""
    begins = rf"(?<![{_OPENS}])(?<![{_OPENS}]\s)"
    ends = rf"\s*+(?:[{_CLOSES}]|$)|\s++{quote}|{quote}(?!\s*+[{_CLOSES}])"
    inside = rf"[^{quote}\\]++|\\.|{begins}{quote}(?!{ends})"
    return rf"(?<!\w){quote}(?:{inside})*+(?:{quote}|$)"


_TOKEN = re.compile(
    rf"""(?P<string>{_string('"')}|{_string("'")}|[“„][^“”„\n]*+”|‘[^‘’\n]*+’)"""
    r"""|(?P<sign>[\[\]{}(),:;［］｛｝（），：；【】])|(?P<word>[^\s\[\]{}(),:;"'“”‘’［］｛｝（），：；【】]++)""",
    re.DOTALL,
)
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None, "none": None, "undefined": None}
_PAIRS = {"}": "{", "]": "[(", ")": "[("}
_ESCAPES = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<sign>.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def parse(text: str) -> tuple[list[object], bool]:
    """Return the objects and arrays in a text, and whether the last one is closed.

    JSON is read whatever its quotes and commas are like, whatever stands around it and wherever it breaks off; a closing
    bracket closes what was left open inside.
    """
    for candidate in (
        text,
        text[
            min(at for at in (text.find("{"), text.find("["), len(text)) if at >= 0) : 1
            + max(text.rfind("}"), text.rfind("]"))
        ],
    ):
        try:
            return [orjson.loads(candidate)], True
        except orjson.JSONDecodeError:
            continue
    values: list[object] = []
    stack: list[tuple[str, dict[str, object] | list[object]]] = []
    key: str | None = None
    scalar: object = None
    has_scalar = False

    def put(value: object) -> None:
        nonlocal key
        inside = stack[-1][1] if stack else values
        if isinstance(inside, list):
            if stack or isinstance(value, dict | list):
                inside.append(value)
        elif key is None or key in inside:
            inside[f"{key or ''} {len(inside)}"] = value
        else:
            inside[key] = value
        key = None

    for token in _TOKEN.finditer(text):
        sign = fold(token["sign"] or "")
        if not sign:
            if has_scalar:
                put(scalar)
            scalar, has_scalar = _scalar(token), True
        elif sign == ":":
            if has_scalar:
                key, has_scalar = str(scalar), False
        else:
            if has_scalar:
                put(scalar)
                has_scalar = False
            if sign in "[{(":
                opened: dict[str, object] | list[object] = {} if sign == "{" else []
                put(opened)
                stack.append((sign, opened))
            elif sign in _PAIRS and any(each in _PAIRS[sign] for each, _value in stack[-_DEEPEST:]):
                while stack.pop()[0] not in _PAIRS[sign]:
                    pass
                key = None
    if has_scalar and stack:
        put(scalar)
    return values, not stack


def _scalar(token: re.Match[str]) -> object:
    text = token[0]
    if token["string"]:
        inside = text[1:-1] if len(text) > 1 and text[-1] in "\"'”’" else text[1:]
        return _ESCAPES.sub(
            lambda found: (
                chr(int(found["code"], 16)) if found["code"] else _ESCAPED.get(found["sign"], found["sign"])
            ),
            inside,
        )
    if text.isascii() and text.isdigit():
        return _number(text)
    return _WORDS.get(text.casefold(), text)


_TAGS = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = re.compile(rf"^[ \t]*(?:<(?:{_TAGS})>|\[THINK\]|◁think▷)", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_END_OF_STRING = re.compile(r"""[^\n"'“”]{0,200}+["'”]\s*+[,\]})，]""")


class AnswerText(NamedTuple):
    """A reply without its reasoning. `unclosed`: reasoning that never ended, else ""."""

    text: str
    unclosed: str = ""


def without_reasoning(text: str) -> AnswerText:
    """Return the text behind the last closing tag, or before the first opening one if that is empty.

    A tag in the name of a journey closes only open reasoning.
    """
    text = text.lstrip("\ufeff \t\r\n")
    openings = [match.start() for match in _OPENING.finditer(text)]
    end = 0
    for tag in _CLOSING.finditer(text):
        is_open = bisect(openings, end - 1) < bisect(openings, tag.start())
        if is_open or not _is_in_name(text, tag):
            end = tag.end()
    behind = text[end:]
    opening = _OPENING.search(behind)
    answer = behind[: opening.start()] if opening else behind
    unclosed = behind[opening.end() :] if opening else ""
    if end and not answer.strip():
        first = _OPENING.search(text)
        answer = text[: first.start()] if first else ""
    return AnswerText(answer, unclosed)


def _is_in_name(text: str, tag: re.Match[str]) -> bool:
    line = (
        max(text.rfind("\n", tag.start() - _LONGEST_NAME, tag.start()), tag.start() - _LONGEST_NAME, -1) + 1
    )
    return bool(_END_OF_STRING.match(text, tag.end())) or text[line : tag.start()].lstrip().startswith(
        (">", "＞")
    )
