"""The lines form of an answer: one event a line under headers of user and day. Grammar: docs/formats.md."""

import re
from collections.abc import Iterator
from io import StringIO

from eventabs.events.aliases import NAME, Aliases
from eventabs.events.cells import split_bars, told
from eventabs.events.claims import Block, Claim, Day
from eventabs.events.cleaning import fold
from eventabs.events.times import DATE, SPAN, day_of, span_of

_LONGEST = 2_000  # characters of a line that are looked at; what follows could only be summary

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
_END = re.compile(r"\s*+##\s*+(?:end)?\s*", re.IGNORECASE)
_NOTHING = re.compile(r"[\s*_`:.\])\"',|-]*")
_BEFORE_TYPE = " \t\r\n*_`:.,])\"'-"


def is_strict(text: str) -> bool:
    """Whether `text` is to the letter an answer in the lines form, so that nothing needs to be taken away."""
    return _STRICT.fullmatch(text) is not None


def read_lines(text: str, aliases: Aliases) -> Iterator[Block]:
    """Read the blocks of users in any text; whatever is neither header nor event is passed over.

    A block is closed by the next header of a user of this batch or by the closing `##`. Where the batch
    has one user, events in a text without any header are theirs.
    """
    current = opened = aliases.block(aliases.only or "")
    under_header = False
    day: Day | None = None
    for line in StringIO(text, newline=None):
        folded = fold(line[:_LONGEST])
        if claim := _claim(line, folded, day):
            current.add(claim)
        elif (alias := _header(folded, aliases)) is not None:
            if alias and under_header:
                yield from _ended(opened, closed=True)
            current, day, under_header = aliases.block(alias), None, True
            if alias:
                opened = current
            else:
                yield current
        elif _END.fullmatch(folded):
            yield from _ended(opened, closed=True, empty=under_header)
            current = opened = aliases.block("")
        elif found := _day(folded):
            day = found
    yield from _ended(opened, closed=False, empty=under_header)


def read_line(line: str, day: Day | None) -> Claim | None:
    """Read one line as an event on `day`, None where it is none."""
    return _claim(line, fold(line[:_LONGEST]), day)


def _ended(block: Block, *, closed: bool, empty: bool = True) -> Iterator[Block]:
    if block.alias and (block.claims or empty):
        block.closed = closed
        yield block


def _header(folded: str, aliases: Aliases) -> str | None:
    match = _USER.match(folded)
    if match is None or not (match["hashes"] or _NOTHING.fullmatch(match["rest"])):
        return None
    return aliases.numbered(match["number"])


def _day(folded: str) -> Day | None:
    match = _DAY.match(folded)
    if match is None or not (match["hashes"] or _NOTHING.fullmatch(match["rest"])):
        return None
    return day_of(match)


def _claim(line: str, folded: str, day: Day | None) -> Claim | None:
    match = _EVENT.match(folded)
    span = match and span_of(match, day)
    if match is None or span is None:
        return None
    at = match.start("rest")
    rest, original = folded[at:], line[at:_LONGEST]
    kind = category = summary = ""
    if rest.lstrip(_BEFORE_TYPE).startswith("|"):
        kind, category, summary = told(split_bars(original[rest.index("|") + 1 :]))
    if not kind:
        bar = rest.find("|")
        kind, category, summary = (original, "", "") if bar < 0 else (original[:bar], "", original[bar + 1 :])
    skipped = len(kind) - len(fold(kind).lstrip(_BEFORE_TYPE))
    kind = kind[skipped:].strip() or kind.strip()
    return Claim(span.start, span.end, kind, category, summary.strip()) if kind else None
