"""Answers in lines: an event under its user and day, or a row `U1|2026-01-01 10:00|2026-01-01 11:14|用餐|...`."""

import csv
import re
from collections.abc import Iterator, Sequence
from io import StringIO

from eventabs.replies.claims import NAME, Aliases, Block, Claim, NamedDay, NamedTime, fold, split_bars
from eventabs.replies.times import DATE, SPAN, Span, day_of, read_cell, span_of

_FEWEST_CELLS = 3  # of a row that names its user
_MOST_CELLS = 12
_MOST_BEFORE_TIMES = 2  # cells with words
_LONGEST = 2_000  # characters of a line that are read; more can only be summary
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
        folded = fold(line[:_LONGEST])
        if _NOTHING.fullmatch(folded):
            continue
        claim = _claim(line, folded, day) or _row(line, folded, day, aliases)
        ends_in_event = claim is not None and current is opened
        if claim:
            current.extend([claim])
        elif user := _header(_USER, folded):
            alias = aliases.numbered(user["number"])
            if alias and under_header:
                yield from _ended(opened, closed=True)
            date = _DAY_BEHIND_NAME.match(user["rest"])
            current, day, under_header = aliases.block(alias), date and day_of(date), True
            if alias:
                opened = current
            else:
                yield current
        elif _END.fullmatch(folded):
            yield from _ended(opened, closed=True, empty=under_header)
            current = opened = aliases.block("")
        elif date := _header(_DAY, folded):
            day = day_of(date)
    opened.at_end = ends_in_event
    yield from _ended(opened, closed=False, empty=under_header)


def read_line(line: str, day: NamedDay | None) -> Claim | None:
    """Read one line as an event on `day`, None if it is not an event."""
    return _claim(line, fold(line[:_LONGEST]), day)


def _ended(block: Block, *, closed: bool, empty: bool = True) -> Iterator[Block]:
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
    rest, original = folded[at:], line[at:_LONGEST]
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
    cells = split_bars(line[:_LONGEST].strip().strip("|｜│¦"))
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
        if _NOTHING.fullmatch(line[:_LONGEST]):
            continue
        cells = _cells(line)
        alias = aliases.find(cells[0]) if len(cells) >= _FEWEST_CELLS else None
        claim = read_cells(cells[1:], None) if alias is not None else None
        ends_in_event = claim is not None
        if alias is None:
            ended = ended or _END.fullmatch(line[:_LONGEST]) is not None
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
