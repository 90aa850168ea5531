"""The forms of answers: lines, rows and JSON, as models write them; and the days and times that they mean."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from io import StringIO
from itertools import islice
from typing import NamedTuple

import json_repair
import orjson

_SPARE = 100  # a small user whose visit becomes three events is not asked again

# Each character becomes one, so that positions are the same in both texts.
_FOLDED: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003\u2009\u202f"), " "),
    **dict.fromkeys(map(ord, "–—―−‐‑‒〜～"), "-"),
    **dict.fromkeys(map(ord, "“”„‟"), '"'),
    **dict.fromkeys(map(ord, "‘’"), "'"),
    **str.maketrans("∶、。【】│¦", ":,.[]||"),
}


def fold(text: str) -> str:
    """Write full-width digits, letters and punctuation as ASCII; positions stay the same."""
    return text if text.isascii() else text.translate(_FOLDED)


_BAR = re.compile(r"[|｜│¦]")


def split_bars(text: str) -> list[str]:
    """Split at bars, ASCII or full-width."""
    return [cell.strip() for cell in _BAR.split(text)]


def most_claims(behaviors: int) -> int:
    """Return the most events that an answer may claim for a user. A good answer has fewer events than behaviors."""
    return 2 * behaviors + _SPARE


class NamedDay(NamedTuple):
    """A day as a reply names it: `year` is None if it has only month and day."""

    year: int | None
    month: int
    day: int


class NamedTime(NamedTuple):
    """A minute as a reply names it."""

    day: NamedDay | None  # None: the day in the line above
    minute: int  # of the day; 1440 is midnight at its end
    later: int = 0  # days after the start, if a reply says so in words


class Claim(NamedTuple):
    """One event as in the reply. `end` is None if it has only one time."""

    start: NamedTime
    end: NamedTime | None
    type: str
    category: str = ""
    summary: str = ""


@dataclass(slots=True)
class Block:
    """The events that a reply claims for one user. `alias` is "" if the batch has no such user.

    `at_end`: nothing closes the block, and the reply ends in one of its events. `overfull`: there were more claims than
    `most`; the others are dropped: a hostile reply may have a million.
    """

    alias: str
    closed: bool = False
    claims: list[Claim] = field(default_factory=list)
    most: int = most_claims(0)
    overfull: bool = False
    at_end: bool = False

    def extend(self, claims: Iterable[Claim]) -> None:
        """Keep claims, up to `most`."""
        for claim in claims:
            if len(self.claims) < self.most:
                self.claims.append(claim)
            else:
                self.overfull = True


NAME = r"(?:(?:用户|users?)[\s_:#-]{0,3}+(?:u[\s_-]{0,2}+)?|u[\s_-]{0,2}+)(?P<number>[1-9]\d{0,6})"
_DECORATION = " \t\r\n-•*_`#:<>[]()\"'.,"
_NAME = re.compile(NAME, re.IGNORECASE)
_LONGEST_LABEL = 40


class Aliases:
    """The users of a batch, as a reply may write them; at most `most_claims` of each are kept."""

    def __init__(self, most_claims: Mapping[str, int]) -> None:
        self._most_claims = most_claims
        self._known = {alias.casefold(): alias for alias in most_claims}
        self.only = next(iter(self._known.values())) if len(self._known) == 1 else None

    def find(self, text: object) -> str | None:
        """Return the alias that `text` names, "" if the batch has no such user, None if it names no user."""
        if isinstance(text, int) and not isinstance(text, bool):
            return self._known.get(f"u{text}", "")
        if not isinstance(text, str) or len(text) > _LONGEST_LABEL:
            return None
        name = fold(text).strip(_DECORATION)
        match = _NAME.fullmatch(name)
        return self.numbered(match["number"]) if match else None

    def numbered(self, number: str) -> str:
        """Return the alias with that number, "" if the batch has none."""
        return self._known.get(f"u{number}", "")

    def block(self, alias: str, claims: Iterable[Claim] = (), *, closed: bool = False) -> Block:
        """Return a new block for a user; for "", a user outside the batch, it keeps nothing."""
        block = Block(alias, closed, most=self._most_claims.get(alias, 0))
        block.extend(claims)
        return block


_HALF_A_YEAR = timedelta(days=183)
_MINUTES_A_DAY = 24 * 60
_LONGEST_CELL = 80
_AROUND = " \t\r\n\"'`*#"

_WEEKDAY = (
    r"(?:\s*+[(\[]?(?:(?:周|星期|礼拜)[一二三四五六日天]|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}+)[)\]]?)?+"
)
# "@" is replaced by the prefix of the groups: a range has two stamps.
_WRITTEN_DATE = r"(?:(?P<@year>\d{4})[-/.年])?(?P<@month>\d{1,2})[-/.月](?P<@day>\d{1,2})"
_TIME = r"(?P<@hour>\d{1,2})[:时点](?P<@minute>\d{2})(?!\d)分?(?::\d{2}(?!\d)(?:\.\d{1,9})?)?"
_STAMP = rf"(?:{_WRITTEN_DATE}日?+{_WEEKDAY}(?:(?<=[日)\]])|[T,\s])\s*+)?{_TIME}"
_UNTIL = r"\s*+(?:[-~至到]|to\b)[->]?\s*+(?P<later>次日|翌日|第二天|隔天|next\s?day)?+\s*+"

DATE = _WRITTEN_DATE.replace("@", "") + "日?+" + _WEEKDAY
SPAN = f"{_STAMP.replace('@', '')}(?:{_UNTIL}{_STAMP.replace('@', 'to_')})?"

_DATE_CELL = re.compile(DATE, re.IGNORECASE)
_SPAN_CELL = re.compile(SPAN, re.IGNORECASE)
_OFFSET = re.compile(r"(?<=\d)(?:Z|[+-]\d\d:?\d\d)$")


class Span(NamedTuple):
    """A start and perhaps an end, as in a reply."""

    start: NamedTime
    end: NamedTime | None


def day_of(match: re.Match[str], prefix: str = "") -> NamedDay:
    """Return the day that a match of DATE names."""
    year, month, day = (match[prefix + unit] for unit in ("year", "month", "day"))
    return NamedDay(int(year) if year else None, int(month), int(day))


def span_of(match: re.Match[str], day: NamedDay | None) -> Span | None:
    """Return the span that a match of SPAN names, on `day` if it has no day; None if there is no such time."""
    start = _moment(match, "")
    if start is None:
        return None
    start = start if start.day else start._replace(day=day)
    if match["to_hour"] is None:
        return Span(start, None)
    end = _moment(match, "to_")
    return end and Span(start, end._replace(later=1) if match["later"] else end)


def read_cell(cell: object, day: NamedDay | None) -> NamedDay | Span | None:
    """Read a text that is only a day, a time or a range of times. Offsets are ignored."""
    if not isinstance(cell, str) or len(cell) > _LONGEST_CELL:
        return None
    text = fold(cell).strip(_AROUND)
    if match := _DATE_CELL.fullmatch(text):
        return day_of(match)
    if "T" in text:
        text = _OFFSET.sub("", text)
    if match := _SPAN_CELL.fullmatch(text):
        return span_of(match, day)
    return None


def _moment(match: re.Match[str], prefix: str) -> NamedTime | None:
    minute = int(match[prefix + "hour"]) * 60 + int(match[prefix + "minute"])
    if minute > _MINUTES_A_DAY or int(match[prefix + "minute"]) >= 60:  # noqa: PLR2004  minutes of an hour
        return None
    return NamedTime(day_of(match, prefix) if match[prefix + "month"] else None, minute)


class Calendar:
    """The days of one user's log, which decide the year of a day without one."""

    def __init__(self, starts: Iterable[datetime]) -> None:
        self._days = sorted({start.date() for start in starts})
        self._having = frozenset(self._days)

    def resolve(self, day: NamedDay | None, after: date | None) -> date | None:
        """Return the date of a day: preferably a day of the log, and not before `after`.

        None if there is no such date, or no day is named and the log has several.
        """
        if not self._days:
            return None
        first, last = self._days[0], self._days[-1]
        if day is None:
            return first if first == last else None
        years = range(first.year, last.year + 1) if day.year is None else (day.year,)
        dates = [found for year in years if (found := _date(year, day.month, day.day))]

        def unlikely(found: date) -> tuple[bool, timedelta, bool, date]:
            outside = max(first - found, found - last, timedelta(0))
            return found not in self._having, outside, after is not None and found < after, found

        return min(dates, key=unlikely, default=None)

    def span(self, claim: Claim, after: date | None) -> tuple[datetime, datetime] | None:
        """Return the local minutes of a claim's start and end, None if they are impossible."""
        day = self.resolve(claim.start.day, after)
        if day is None:
            return None
        try:
            start = _at(day, claim.start.minute)
            return _ended(start, day, claim.end) if claim.end else (start, start)
        except OverflowError:
            return None


def _ended(start: datetime, day: date, end: NamedTime) -> tuple[datetime, datetime] | None:
    if end.day is None:
        day_of_end: date | None = day + timedelta(days=end.later)
    elif end.day.year is not None:
        day_of_end = _date(end.day.year, end.day.month, end.day.day)
    else:
        day_of_end = _first_after(day, end.day)
    if day_of_end is None:
        return None
    stop = _at(day_of_end, end.minute)
    if stop < start and day_of_end == day:
        stop += timedelta(days=1)
    return (start, stop) if start <= stop else None


def _first_after(day: date, named: NamedDay) -> date | None:
    same_year, next_year = (_date(year, named.month, named.day) for year in (day.year, day.year + 1))
    if same_year and same_year >= day:
        return same_year
    return next_year if next_year and next_year - day < _HALF_A_YEAR else None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _at(day: date, minute: int) -> datetime:
    return datetime.combine(day, time()) + timedelta(minutes=minute)


_FEWEST_CELLS = 3  # of a row that names its user
_MOST_CELLS = 12
_MOST_BEFORE_TIMES = 2  # cells with words
_LONGEST_LINE = 2_000  # characters of a line that are read; more can only be summary
_CLOCKLIKE = re.compile(r"\d[:：]\d")


def split_labels(cells: Sequence[str]) -> tuple[str, str, str]:
    """Return type, category and summary of the cells behind the times.

    Of two cells the second is the summary, or a category if the vocabulary has it.
    """
    kind, *others = cells or [""]
    if len(others) <= 1:
        return kind, "", "".join(others)
    return kind, others[0], " ".join(other for other in others[1:] if other)


def read_cells(cells: Sequence[object], day: NamedDay | None) -> Claim | None:
    """Read a row such as [start, end, type, category, summary] or [type, time, summary]; None if it is not an event."""
    moments: list[NamedTime] = []
    words: list[str] = []
    rest: Sequence[object] = ()
    for position, cell in enumerate(cells[:_MOST_CELLS]):
        found = None if len(moments) > 1 else read_cell(cell, day)
        if isinstance(found, NamedDay):
            day = found
        elif isinstance(found, Span):
            moments += [found.start, found.end] if found.end else [found.start]
            day = found.start.day
        elif moments and cell is not None:
            rest = cells[position:_MOST_CELLS]
            break
        elif not moments:
            if not isinstance(cell, str) or len(words) >= _MOST_BEFORE_TIMES or _CLOCKLIKE.search(cell):
                return None
            words += [] if cell.isdecimal() else [cell]  # the number of the row
    words += [cell or "" for cell in rest if cell is None or isinstance(cell, str)]
    kind, category, summary = split_labels(words)
    if not moments or not kind:
        return None
    return Claim(moments[0], moments[1] if len(moments) > 1 else None, kind, category, summary)


_MONTH_DAY = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_WORDS = r"[^\s|｜│¦]++(?: [^\s|｜│¦]++)*+"
_STRICT_EVENT = rf"{_CLOCK}(?:-(?:{_MONTH_DAY} )?{_CLOCK})? {_WORDS}(?: \| \S++(?: \S++)*+)?\n"
_STRICT_DAY = rf"# (?:[0-9]{{4}}-)?{_MONTH_DAY}\n(?:{_STRICT_EVENT})++"
_STRICT = re.compile(rf"(?:## U[1-9][0-9]*\n(?:{_STRICT_DAY})++)++##\n?")

_LEAD = r"[\s>*+•·_`\[(-]*+"
_EVENT = re.compile(rf"{_LEAD}(?:\d{{1,4}}[.),]\s++)?+{_LEAD}{SPAN}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_DAY = re.compile(rf"{_LEAD}(?P<hashes>#{{0,6}}+)\s*+{DATE}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_USER = re.compile(
    rf"{_LEAD}(?P<hashes>#{{0,6}}+){_LEAD}{NAME}(?![0-9a-z])(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_DAY_BEHIND_NAME = re.compile(rf"[\s:|,(-]*+{DATE}(?!\d)", re.IGNORECASE)
_CELL_OF_USER = re.compile(rf"[ \"'`]*+{NAME}[ \"'`]*+[,\t]", re.IGNORECASE)
_END = re.compile(r"[\s*_`\\]*+#{2,3}+\s*+(?:end|结束|完)?[\s*_`.]*", re.IGNORECASE)
_NOTHING = re.compile(r"[\s*_`:.\])\"',|-]*")
_BEFORE_TYPE = " \t\r\n*_`:.,])\"'-"


def is_strict(text: str) -> bool:
    """Whether `text` is exactly an answer in the lines form, with nothing to remove."""
    return _STRICT.fullmatch(text) is not None


def read_lines(text: str, aliases: Aliases) -> Iterator[Block]:
    """Read the blocks of users in any text; what is neither header nor event is skipped.

    The next header of a user of this batch or the final `##` closes a block. If the batch
    has one user, events in a text without headers are theirs.
    """
    current = opened = aliases.block(aliases.only or "")
    under_header = ends_in_event = False
    day: NamedDay | None = None
    for line in StringIO(text, newline=None):
        folded = fold(line[:_LONGEST_LINE])
        if _NOTHING.fullmatch(folded):
            continue
        claim = _claim(line, folded, day) or _row(line, folded, day, aliases)
        ends_in_event = claim is not None and current is opened
        if claim:
            current.extend([claim])
        elif user := _header(_USER, folded):
            alias = aliases.numbered(user["number"])
            if alias and under_header:
                yield from _ended_block(opened, closed=True)
            date = _DAY_BEHIND_NAME.match(user["rest"])
            current, day, under_header = aliases.block(alias), date and day_of(date), True
            if alias:
                opened = current
            else:
                yield current
        elif _END.fullmatch(folded):
            yield from _ended_block(opened, closed=True, empty=under_header)
            current = opened = aliases.block("")
        elif date := _header(_DAY, folded):
            day = day_of(date)
    opened.at_end = ends_in_event
    yield from _ended_block(opened, closed=False, empty=under_header)


def read_line(line: str, day: NamedDay | None) -> Claim | None:
    """Read one line as an event on `day`, None if it is not an event."""
    return _claim(line, fold(line[:_LONGEST_LINE]), day)


def _ended_block(block: Block, *, closed: bool, empty: bool = True) -> Iterator[Block]:
    if block.alias and (block.claims or empty):
        block.closed = closed
        yield block


def _header(pattern: re.Pattern[str], folded: str) -> re.Match[str] | None:
    match = pattern.match(folded)
    return match if match and (match["hashes"] or _NOTHING.fullmatch(match["rest"])) else None


def _claim(line: str, folded: str, day: NamedDay | None) -> Claim | None:
    match = _EVENT.match(folded)
    span = match and span_of(match, day)
    if match is None or span is None:
        return None
    at = match.start("rest")
    rest, original = folded[at:], line[at:_LONGEST_LINE]
    kind = category = summary = ""
    if rest.lstrip(_BEFORE_TYPE).startswith("|"):
        kind, category, summary = split_labels(split_bars(original[rest.index("|") + 1 :]))
    if not kind:
        bar = rest.find("|")
        kind, category, summary = (original, "", "") if bar < 0 else (original[:bar], "", original[bar + 1 :])
    skipped = len(kind) - len(fold(kind).lstrip(_BEFORE_TYPE))
    kind = kind[skipped:].strip() or kind.strip()
    return Claim(span.start, span.end, kind, category, summary.strip()) if kind else None


def _row(line: str, folded: str, day: NamedDay | None, aliases: Aliases) -> Claim | None:
    """Read a row of a table under its user's header."""
    if "|" not in folded:
        return None
    cells = _cells(line)
    return read_cells(cells, day) if aliases.find(cells[0]) is None else None


def _cells(line: str) -> list[str]:
    """Cut a row at its bars, else at tabs or commas as in CSV."""
    cells = split_bars(line[:_LONGEST_LINE].strip().strip("|｜│¦"))
    if len(cells) > 1 or not _CELL_OF_USER.match(line):
        return cells
    row = next(csv.reader([cells[0]], delimiter="\t" if "\t" in line else ",", skipinitialspace=True), [])
    return [cell.strip() for cell in row]


def read_rows(text: str, aliases: Aliases) -> Iterator[Block]:
    """Read the rows of each user, anywhere in the text.

    A user is complete when rows of another follow and theirs do not come back; `##` completes the last user.
    """
    blocks: dict[str, Block] = {}
    last, back, ended, ends_in_event = None, False, False, False
    for line in StringIO(text, newline=None):
        if _NOTHING.fullmatch(line[:_LONGEST_LINE]):
            continue
        cells = _cells(line)
        alias = aliases.find(cells[0]) if len(cells) >= _FEWEST_CELLS else None
        claim = read_cells(cells[1:], None) if alias is not None else None
        ends_in_event = claim is not None
        if alias is None:
            ended = ended or _END.fullmatch(line[:_LONGEST_LINE]) is not None
            continue
        back = back or (alias != last and alias in blocks)
        last, ended = alias, False
        block = blocks.setdefault(alias, aliases.block(alias))
        if claim:
            block.extend([claim])
    for alias, block in blocks.items():
        block.closed = ended or not (back or alias == last)
        block.at_end = ends_in_event
        yield block


# JSON as models write it: other quotes, extra commas, full-width signs, Python literals, and broken.
#
# If only the punctuation is wrong, the text is rewritten and parsed strictly, so that a whole answer is known to be
# whole. Anything else goes to json-repair, one event at a time: a fault then costs one event, and
# json-repair takes quadratic time on some texts.


_LONGEST_TEXT = 1_000_000  # characters of a text that is read leniently; far more than a model writes
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
_JSON_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null", "NaN": "null"}
_TOKEN = re.compile(
    rf"""(?P<string>{_STRING})"""
    r"""|(?P<comma>[,;]\s*+(?=[\]})]))"""
    r"""|(?P<key>[^\W\d]\w{0,40}+)(?=\s*+:)"""
    rf"""|(?P<word>\b(?:{"|".join(_JSON_WORDS)})\b)"""
    r"""|(?P<list>[()])""",
    re.DOTALL,
)
_STRING_OR_WIDE = re.compile(
    rf"""(?P<curly>{_CURLY_STRING})|{_STRING}|[：，；｛｝［］【】（）“”‘’]""", re.DOTALL
)
_STRING_OR_BRACKET = re.compile(rf"""{_STRING}|[\[\](){{}}]""", re.DOTALL)
_PAIRS = {"}": "{", "]": "[(", ")": "[("}
_ESCAPED = re.compile(r'\\.|"', re.DOTALL)

_JSON_EVENT = re.compile(r"""[\[(]\s*+["']?\d{1,4}[-/.年月:]|\{\s*+["']?\w{1,20}+["']?\s*+:""")


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
    value = _decoded(text, _first_json)
    return _decoded(_relaxed(text), _first_json) if value is None else value


def _relaxed(text: str) -> str:
    """Write quotes, keys, lists, commas and constants as in JSON, where that is certain."""
    return _TOKEN.sub(_as_json, straightened(text)) if len(text) <= _LONGEST_TEXT else text


def _first_json(text: str) -> object:
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
        starts = [match.start() for match in _JSON_EVENT.finditer(chunk, inside)]
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
    return _JSON_WORDS.get(text, "[" if text == "(" else "]")


def _escaped(match: re.Match[str]) -> str:
    return {'"': '\\"', "\\'": "'"}.get(match[0], match[0])


# Answers in JSON: which keys name a user, an event and its summary, and where JSON is in a text.
#
# A text that is not valid JSON as a whole is cut into one piece for each user, and each is read by itself.


_DEEPEST = 8
# Keys in lower case, without spaces, underscores and hyphens.
_USER_KEYS = ("u", "user", "userid", "uid", "alias", "用户", "用户id", "用户编号", "用户别名", "别名")
_OWNER_KEYS = (*_USER_KEYS, "id", "name", "姓名", "编号")
_EVENTS = ("events", "event", "e", "eventlist", "items", "timeline", "事件", "事件列表", "行为事件")
_DATE_KEYS = ("date", "day", "startdate", "eventdate", "日期", "开始日期", "发生日期", "事件日期")
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
_END_KEYS = (
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
        day = _day(_first(fields, _DATE_KEYS), None)  # the user may come again with another event
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
    day = _day(_first(fields, _DATE_KEYS), day)
    for key, inner in value.items():
        if isinstance(inner, list | Mapping):
            yield from _claims(inner, _day(key, day), depth + 1)


def _event(fields: Fields, day: NamedDay | None) -> Claim | None:
    kind = _text(fields, _TYPE)
    day = _day(_first(fields, _DATE_KEYS), day)
    span = read_cell(_first(fields, _START), day) or read_cell(_first(fields, _SPAN), day)
    if not kind or not isinstance(span, Span):
        return None
    end = read_cell(_first(fields, _END_KEYS), _day(_first(fields, _DATE_OF_END), span.start.day))
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
_JSON_USER = re.compile(
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
    found = ((aliases.find(match["value"] or match["key"]), match) for match in _JSON_USER.finditer(text))
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
