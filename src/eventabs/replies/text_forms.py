"""The text of a reply, without its reasoning -> which rows it puts under which type, in which journey, under which user's header.

Rows are numbered through all users of the request; `1-3,5` is one group. A text may be hostile: every step is linear in
its length, and what is kept of a user is bounded by the rows that the user has.
"""

import re
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from typing import NamedTuple

from eventabs.replies.words_and_row_numbers import (
    AROUND_NAMES,
    LONGEST_TYPE,
    Group,
    JourneyName,
    Label,
    Labels,
    fold,
    groups_in,
    normal,
)

# Reasoning between tags is no part of an answer.

_LONGEST_LINE = 200  # characters of a line before a tag
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
        line = text[max(0, tag.start() - _LONGEST_LINE) : tag.start()].rpartition("\n")[2]
        is_in_name = _END_OF_STRING.match(text, tag.end()) or fold(line).lstrip().startswith(">")
        if is_open or not is_in_name:
            end = tag.end()
    behind = text[end:]
    opening = _OPENING.search(behind)
    answer = behind[: opening.start()] if opening else behind
    unclosed = behind[opening.end() :] if opening else ""
    if end and not answer.strip():
        first = _OPENING.search(text)
        answer = text[: first.start()] if first else ""
    return AnswerText(answer, unclosed)


_MOST_WORDS = 6  # of a type that nobody listed; more is prose
_MOST_COLONS = 8  # at which the name of a journey may end
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
_BARE = re.compile(  # what may stand behind a name that is a header without #
    rf"[\s*_`:.\])>\"',|{{\[-]*+(?:\([^()]*\)[\s*_`:]*+|[\s:|,(]*+{_DAY}|[^\d:|,]{{1,20}}:[\s*]*+)?",
    re.IGNORECASE,
)
_BEHIND_NAME = re.compile(r"[\s*_`\])>\"']*+[:|,\t]++\s*+(?P<line>\S.*)", re.DOTALL)
_END = re.compile(r"[\s*_`\\>]*+#{2,3}+\s*+(?:end|结束|完)?[\s*_`.]*+", re.IGNORECASE)
_NOTHING = re.compile(r"[\s*_`:.\])}\[({\"',|=-]*+|\s*+(?:`{3,}|~{3,}).*", re.DOTALL)
_FIELD = re.compile(r"(?:type|类型|(?P<rows>rows?|行号?))\s*+[:=]\s*+", re.IGNORECASE)
_ROWS_FIRST = re.compile(r"(?P<groups>[0-9][0-9,\s?!-]*)[:=>|]*+\s*+(?P<label>[^\W\d].*)")
_STEP = re.compile(r"(?<=[\d?!])\s*+[>/|-]\s*+(?=[^\d\s])")  # between two steps
_PROSE = re.compile(r":|[.!?] |^\d+(?:\s|$)|\d[,-]\d|,.* | .*,|^(?:rows?|lines?|行号?)$", re.IGNORECASE)

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
    """What a reply says about users, block by block.

    `numbers`: the row numbers of each user, by alias. `default`: what groups without a type are. `ended`: it came to its end, as far as its form shows that.
    """

    labels: Labels
    numbers: Mapping[str, range]
    default: str = ""
    blocks: list[Block] = field(default_factory=lambda: [Block(None)])
    ended: bool = False
    unknown: int = 0  # blocks of users that the request does not have
    repeated: int = 0  # further blocks of users that had one
    _left: dict[str | None, int] = field(default_factory=dict)
    _journey: JourneyName | None = None  # whose steps may follow
    _indent: tuple[int, bool] = (0, False)  # of its line, and whether that has a bullet
    _is_deeper: bool = False  # whether a step stood deeper than that line
    _last_row: int = 0
    _label: str = ""  # a type whose groups may follow

    @property
    def has_entries(self) -> bool:
        """Whether anything was put anywhere."""
        return any(block.entries for block in self.blocks)

    @property
    def has_headers(self) -> bool:
        """Whether there is a header, be it of a user that the request does not have."""
        return len(self.blocks) > 1

    @property
    def reached(self) -> str | None:
        """The user that the reply was about when it ended; "" or None: nobody that is known."""
        block = self.blocks[-1]
        if not block.entries and any(each.alias == block.alias for each in self.blocks[:-1]):
            return ""  # a header that was cut: U12 to U1
        if block.alias is None and block.entries:
            return next(reversed(self.owners(*block.entries[-1].groups[-1].spans[-1])), "")
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

    def keep_last_blocks(self) -> None:
        """Keep the last block of each user: earlier ones are drafts."""
        self.blocks = list({block.alias: block for block in self.blocks}.values())
        self.repeated = 0

    def header(self, alias: str) -> None:
        """Begin to read about a user."""
        self._journey, self._label, self.ended = None, self.default, False
        if not alias or alias != self.blocks[-1].alias:
            self.end_block()
            self.unknown += not alias
            self.repeated += bool(alias) and any(block.alias == alias for block in self.blocks)
            self.blocks.append(Block(alias))

    def end_block(self) -> None:
        """Take lines with the rows first, unless another line begins with a type."""
        block = self.blocks[-1]
        if not block.types_first:
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
            for first, last in group.spans:
                left -= max(1, min(last - first + 1, len(numbers)))
            if left >= 0 and (block.alias or any(first < numbers.stop for first, _last in group.spans)):
                kept.append(group)
        self._left[block.alias] = left
        if kept:
            block.entries.append(Entry(label, tuple(kept), None if label.minor else journey))
            self._last_row = kept[-1].spans[-1][1]

    def _put_all(self, parts: Parts, journey: JourneyName | None) -> None:
        for label, groups in parts:
            self.put(self.labels.named(label), groups, journey)

    def _range(self) -> range:
        return self.numbers.get(self.blocks[-1].alias or "") or range(
            1, 1 + sum(map(len, self.numbers.values()))
        )

    def read_lines(self, text: str) -> None:
        """Read an answer in lines."""
        for line in StringIO(text, newline=None):
            self.line(line)
        self.end_block()

    def line(self, text: str) -> None:
        """Read one line."""
        folded = fold(text)
        if _END.fullmatch(folded):
            self.end_block()
            self.ended = self.has_headers or self.has_entries
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
        elif named := self._named_in(folded):
            self.header(named[0])
            if named[1]:
                self.line(named[1])
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
        if found["hashes"] or _BARE.fullmatch(rest):
            return alias, ""
        behind = _BEHIND_NAME.fullmatch(rest)
        return (alias, behind["line"]) if behind else None

    def _read_journey(self, folded: str, text: str) -> None:
        """Read `kind name: type groups; type groups`. The name ends at the first colon after which everything parses."""
        self._journey, self._label, self._is_deeper = None, "", False
        if ":" not in folded:
            folded = folded.replace("|", ":", 1)
        colons = [found.start() for found in islice(re.finditer(":", folded), _MOST_COLONS)]
        behind = [(at, folded[at + 1 :]) for at in colons]
        tried = ((at, read(rest), rest) for read in (self._parts, self._steps) for at, rest in behind)
        if found := next(((at, steps) for at, steps, rest in tried if steps or not rest.strip()), None):
            at, steps = found
        elif behind:
            at, steps = behind[0][0], self._steps(behind[0][1], partly=True)
        else:
            steps, at = self._without_colon(folded)
        journey = self.labels.journey(text[:at]) if at >= 0 else None
        self._put_all(steps, journey)
        if not steps or folded.endswith((";", ",")):
            self._journey = journey
            self._last_row = self._last_row if steps else 0

    def _without_colon(self, folded: str) -> tuple[Parts, int]:
        """Read `kind name type groups; ...`, and return where the name ends; -1: it has none."""
        steps = self._steps(folded)
        words = steps[0][0].split() if steps else []
        at = folded.partition(";")[0].rfind(words[-1]) if len(words) > 2 else -1  # noqa: PLR2004  kind, name, type
        return ([(words[-1], steps[0][1]), *steps[1:]], at) if at > 0 else (steps, -1)

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
            is_deeper = indent[0] > self._indent[0] or indent[1] > self._indent[1]
            has_fallen = parts[0][1][0].spans[0][0] < self._last_row
            if not is_deeper and (has_fallen or self._is_deeper):
                self._journey = None
            self._is_deeper = is_deeper
            self._label = parts[-1][0]
            self.blocks[-1].types_first = True
            self._put_all(parts, self._journey)
            return
        is_alone = (is_heading or body.endswith(":")) and not re.search(r"[:\d]", body[:-1])
        if is_alone or (found and not found["rows"]) or self.labels.named(body.rstrip(":")).known:
            self._label = body.rstrip(": ")
        elif (found := _ROWS_FIRST.fullmatch(clean)) and self.labels.groups.fullmatch(found["groups"]):
            first, numbers, groups = self.blocks[-1].rows_first, self._range(), groups_in(found["groups"])
            in_range = all(_touches(group, numbers) for group in groups)
            if in_range and not _PROSE.search(found["label"]) and len(first) < len(numbers) + _SPARE:
                first.append((found["label"], groups))

    def _parts(
        self, text: str, label: str = "", *, in_own_words: bool = False, partly: bool = False
    ) -> Parts:
        """Return label and groups of each part of a line; none if one part is something else, unless `partly`.

        Groups alone continue those of `label`.
        """
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
        """Read types of the vocabulary, each with groups."""
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
    return any(first < numbers.stop and last >= numbers.start for first, last in group.spans)
