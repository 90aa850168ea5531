"""Where the table is in a text: titles above, its header, how a line is split, summaries below."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import dropwhile, islice, takewhile
from typing import Final, NamedTuple

from eventabs.ingest.column_names import CANONICAL, MARKERS, USUAL_NAMES, plain

_LOOKED_AT: Final = 120  # lines at the start that may be the header
_FOLLOWING: Final = 20  # rows below a header that decide whether it is one
_SHARE: Final = 0.8
_LONGEST_FOOTER: Final = 50  # lines
_DELIMITERS: Final = (",", "\t", ";", "|")
# Regular expressions of blanks as delimiters: wide gaps, blanks but not between date and time, any blank.
_COLUMNS_APART: Final = r"(?: {2,}|\t)[ \t]*"
_STAMP_KEPT: Final = r"(?<!\d{4}-\d\d-\d\d)[ \t]+|[ \t]+(?!\d\d?:\d\d)"
_BLANKS: Final = (_COLUMNS_APART, _STAMP_KEPT, r"[ \t]+")

_DATE: Final = re.compile(
    r"(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|(?:19|20)\d{6})"
)
_CLOCK: Final = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?")
_STAMP: Final = re.compile(
    rf"{_DATE.pattern}[ T]+{_CLOCK.pattern}.*|1\d{{9}}(?:\.\d+)?|1\d{{12}}|[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} \d\d .*\d{{4}}"
)
_NUMBER: Final = re.compile(r"[¥$€+-]?\d[\d,]*(?:\.\d+)?%?")
_LASTING: Final = re.compile(r"(?:\d+(?:\.\d+)? ?(?:小时|分钟?|秒|hours?|h|min|m|sec|s) ?)+|\d+:\d\d:\d\d")
_RULE: Final = re.compile(r"[-=_*#~—]{4,}.*")
_SUMMARY: Final = re.compile(
    r"\W*(?:(?:grand |sub)?totals?|sum|summary|average|count|generated|exported|end of|\d+ (?:rows|records)|notes?:)\b"
    r"|\W*(?:人民币)?(?:合计|总计|小计|汇总|共\s*\d|导出|已收入|待收入|已支出|待支出|收入[::]|支出[::]|注[::]|说明[::]|备注[::])",
    re.IGNORECASE,
)
# A quoted field, with the blanks that some programs write behind its closing quote.
_QUOTED: Final = re.compile(r'("(?:[^"]|"")*")(?:[ \t]+(?=[,;|\t]|$))?')
_MARKERS: Final = {word for family in MARKERS for words in family for word in words}


class Dialect(NamedTuple):
    """How a line is split. `delimiter`: one character, or a regular expression of blanks."""

    delimiter: str = ","
    quote: str = '"'

    @property
    def is_blank(self) -> bool:
        """Whether blanks separate the fields."""
        return len(self.delimiter) > 1

    def fields(self, text: str) -> list[str] | None:
        """Return the fields of a record, None if a quote is not closed."""
        if self.is_blank:
            return re.split(self.delimiter, text.strip())
        if self.quote not in text:
            return text.split(self.delimiter)
        if self.delimiter == "\t":
            # most programs that write tabs do not quote
            return self._strict_fields(text) or text.split(self.delimiter)
        return self._strict_fields(text) or self._strict_fields(_QUOTED.sub(r"\1", text))

    def _strict_fields(self, text: str) -> list[str] | None:
        try:
            return next(csv.reader([text], delimiter=self.delimiter, quotechar=self.quote, strict=True))
        except csv.Error:
            return None

    def lenient_fields(self, line: str) -> list[str]:
        """Return the fields of a line, which may be part of a record."""
        if self.is_blank:
            return re.split(self.delimiter, line.strip())
        return next(csv.reader([line], delimiter=self.delimiter, quotechar=self.quote), [])


class Layout(NamedTuple):
    """Where the table is: `above` counts the lines before its header, or before its first row if it has none.

    `below` counts those behind its last row. `needed`: the least number of fields of a row.
    """

    dialect: Dialect
    columns: tuple[str, ...]
    needed: int
    has_header: bool = True
    above: int = 0
    below: int = 0


class _Shape(NamedTuple):
    """A well-known export without a header: a pattern of its lines, and its columns."""

    line: re.Pattern[str]
    dialect: Dialect
    columns: tuple[str, ...]
    needed: int


# Other exports without a header have schemas, which name their columns.
_HEADERLESS: Final = (
    # CASAS smart homes: date, time, sensor, state; some lines with the label of an activity, which begins or ends
    _Shape(
        re.compile(
            r"\d{4}-\d\d-\d\d[ \t]\d\d:\d\d:\d\d(?:\.\d+)?[ \t]+[A-Z]+\d+[ \t]+"
            r"(?:ON|OFF|OPEN|CLOSED?|PRESENT|ABSENT|-?\d+(?:\.\d+)?)(?:[ \t]+[\w-]+)*[ \t]*"
        ),
        Dialect(_STAMP_KEPT),
        ("timestamp", "item", "state", "label", "label_state"),
        3,
    ),
    # Foursquare check-ins of New York and Tokyo (Yang et al.)
    _Shape(
        re.compile(
            r"\d+\t[0-9a-f]{24}\t[0-9a-f]{24}\t[^\t]*\t-?\d+\.\d+\t-?\d+\.\d+\t-?\d+\t[A-Z][a-z]{2} .*\d{4}"
        ),
        Dialect("\t"),
        (
            "user_id",
            "venue_id",
            "venue_category_id",
            "venue_category",
            "latitude",
            "longitude",
            "timezone_offset",
            "utc_timestamp",
        ),
        8,
    ),
    # ratings of MovieLens: u.data of 100K
    _Shape(
        re.compile(r"\d+\t\d+\t[1-5]\t\d{9,10}"),
        Dialect("\t"),
        ("user_id", "movie_id", "rating", "timestamp"),
        4,
    ),
    # check-ins of Gowalla and Brightkite, as SNAP has them
    _Shape(
        re.compile(r"\d+\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t-?[\d.]+\t-?[\d.]+\t[0-9a-f]+"),
        Dialect("\t"),
        ("user_id", "timestamp", "latitude", "longitude", "location"),
        5,
    ),
)


def find_layout(
    lines: Sequence[str],
    named: Sequence[str],
    time_column: str,
    headers: Mapping[tuple[str, ...], re.Pattern[str]],
) -> Layout | None:
    """Return the layout of a text that begins with `lines`, None if its rows have no header.

    `named`: the columns of a text without a header, as the user named them; `headers`: those of known texts, each with
    a pattern of its lines. Raises csv.Error for a line that cannot be split.
    """
    tried = [
        (number, line.replace("\r", " ").rstrip(" ")) for number, line in enumerate(lines) if line.strip()
    ]
    tried = max(tried[:_LOOKED_AT], _records(tried[:_LOOKED_AT]), key=_alike)
    texts = [line for _number, line in tried]
    found = (
        _named_layout(texts, named)
        if named
        else _known_layout(texts, headers) or _headed_layout(texts, time_column)
    )
    return found._replace(above=tried[found.above][0]) if found and tried else found


def proposal(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Propose names for the columns of rows without a header by their values; also return the first row.

    Names such as c3 have no role. No column is called user_id unless one has users.
    """
    texts = [line.replace("\r", " ") for line in lines if line.strip()][:_LOOKED_AT]
    first, rows = _rows_alike(texts, _dialect(texts))
    columns = [[row[position].strip() for row in rows] for position in range(len(rows[0]))]
    return _names_by_values(columns), texts[first : first + 1]


def footer_length(lines: Sequence[str], layout: Layout) -> int:
    """Return the number of last lines that are sums and remarks, not rows: what follows a rule or a word for a sum."""
    length = 0
    for count, line in enumerate(reversed(lines[-_LONGEST_FOOTER:]), start=1):
        fields = [field.strip() for field in layout.dialect.lenient_fields(line)]
        if _fits(fields, layout.needed, len(layout.columns)) and any(map(_is_time, fields)):
            break
        if _is_rule(fields) or _is_summary(fields):
            length = count
    return length


def _records(lines: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Join lines that are inside one quote."""
    records: list[tuple[int, str]] = []
    is_open = False
    for number, line in lines:
        if is_open:
            records[-1] = (records[-1][0], f"{records[-1][1]} {line}")
        else:
            records.append((number, line))
        is_open ^= line.count('"') % 2 == 1
    return records


def _alike(lines: Sequence[tuple[int, str]]) -> int:
    """Return the number of fields in all lines of one width, by the best delimiter and width; lines of one field do not count."""
    texts = [line for _number, line in lines]
    split = ([len(dialect.lenient_fields(text)) for text in texts] for dialect in _dialects(texts))
    return max(
        (width * widths.count(width) for widths in split for width in set(widths) if width > 1), default=0
    )


def _known_layout(lines: Sequence[str], headers: Mapping[tuple[str, ...], re.Pattern[str]]) -> Layout | None:
    tried = [line.strip("\r\n ") for line in lines[:_FOLLOWING]]
    shapes = (_Shape(line, _dialect(tried), columns, len(columns)) for columns, line in headers.items())
    for shape in (*_HEADERLESS, *shapes):
        if tried and shape.line.fullmatch(tried[0]):
            fitting = sum(bool(shape.line.fullmatch(line)) for line in tried)
            if fitting >= _SHARE * len(tried):
                return Layout(shape.dialect, shape.columns, shape.needed, has_header=False)
    return None


def _named_layout(lines: Sequence[str], named: Sequence[str]) -> Layout:
    """Return the layout of rows that have as many fields as there are named columns, else as the first line."""
    width = len(named)
    for dialect in (*_dialects(lines), *map(Dialect, _BLANKS)) if width > 1 else ():
        split = [dialect.lenient_fields(line) for line in lines]
        fitting = [number for number, fields in enumerate(split) if _fits(fields, width, width)]
        if fitting and len(fitting) >= _SHARE * (len(split) - fitting[0]):
            return Layout(dialect, tuple(named), width, has_header=False, above=fitting[0])
    dialect = _dialect(lines)
    columns = tuple(dialect.lenient_fields(lines[0])) if lines else ()
    return Layout(dialect, columns, len(columns), has_header=False)


def _headed_layout(lines: Sequence[str], time_column: str) -> Layout | None:
    """Return the layout by the best header; by the first line unless the text looks like rows without a header."""
    dialect = _dialect(lines)
    by_kind = (
        _headers(lines, dialects, time_column) for dialects in (_dialects(lines), map(Dialect, _BLANKS))
    )
    found = [
        best for headers in by_kind if (best := max(headers, key=lambda ranked: ranked[0], default=None))
    ]
    for rank, layout in found:
        if rank[0] or layout.dialect.is_blank == dialect.is_blank:
            return layout
    _first, rows = _rows_alike(lines, dialect)
    if rows and len(rows[0]) > 1 and (any(map(_is_time, rows[0])) or all(map(_is_value, rows[0]))):
        return None
    columns = tuple(name.strip() for name in dialect.lenient_fields(lines[0])) if lines else ()
    return Layout(dialect, columns, len(columns))


def _headers(
    lines: Sequence[str], dialects: Iterable[Dialect], time_column: str
) -> Iterator[tuple[tuple[float, ...], Layout]]:
    """Yield the lines that may be a header, with their rank: a name for a time, matching rows, position, width."""
    for dialect in dialects:
        split = [[field.strip() for field in dialect.lenient_fields(line)] for line in lines]
        for number, names in enumerate(split):
            width = _width(names)
            if width < 2 or any(map(_is_value, names)):  # noqa: PLR2004  one field is no table
                continue
            names[0] = names[0].lstrip("# ")
            share = _share_of_rows(split[number + 1 :], width)
            if share < _SHARE and (number or dialect.is_blank):
                continue
            timed = any(plain(name) in USUAL_NAMES["time"] or name == time_column != "" for name in names)
            rank = (timed, share >= _SHARE, -number, share, width)
            yield rank, Layout(dialect, tuple(names), width, above=number)


def _share_of_rows(below: Sequence[Sequence[str]], width: int) -> float:
    """Return the share of the lines below a header that are rows, without a rule and what follows the rows."""
    following = islice(dropwhile(_is_rule, below), _FOLLOWING)
    rows = list(takewhile(lambda row: not (_is_rule(row) or _is_summary(row)), following))
    if not rows:
        return float(not below)
    return sum(_fits(row, width, width) for row in rows) / len(rows)


def _is_rule(fields: Sequence[str]) -> bool:
    return bool(_RULE.fullmatch(_opening(fields)))


def _is_summary(fields: Sequence[str]) -> bool:
    return bool(_SUMMARY.match(_opening(fields)))


def _opening(fields: Sequence[str]) -> str:
    return next((field for field in fields if field), "")


def _dialects(lines: Sequence[str]) -> list[Dialect]:
    return [Dialect(delimiter, _quote(lines, delimiter)) for delimiter in _DELIMITERS]


def _quote(lines: Sequence[str], delimiter: str) -> str:
    """Return the quote of the first line that is split."""
    first = next((line for line in lines if delimiter in line), "")
    single = (len(field) > 1 and field[0] == field[-1] == "'" for field in first.split(delimiter))
    return "'" if '"' not in first and any(single) else '"'


def _dialect(lines: Sequence[str]) -> Dialect:
    """Return the dialect that splits most lines alike; blanks only if nothing else splits them."""

    def rank(dialect: Dialect) -> tuple[float, ...]:
        first, rows = _rows_alike(lines, dialect)
        width = len(rows[0]) if rows else 0
        share = len(rows) / max(1, len(lines) - first)
        return (width > 1 and share >= _SHARE, not dialect.is_blank, width > 1, share, width)

    return max((*_dialects(lines), *map(Dialect, _BLANKS)), key=rank)


def _rows_alike(lines: Sequence[str], dialect: Dialect) -> tuple[int, list[list[str]]]:
    """Return the first line of the most common width, and the fields of all lines of that width."""
    split = [dialect.lenient_fields(line) for line in lines]
    widths = [len(fields) for fields in split]
    usual = max(widths, key=lambda width: (widths.count(width), width), default=0)
    rows = [fields for fields in split if len(fields) == usual]
    return (widths.index(usual) if rows else 0), rows


def _width(fields: Sequence[str]) -> int:
    """Return the number of fields up to the last one that is not empty."""
    return next((number for number in range(len(fields), 0, -1) if fields[number - 1]), 0)


def _fits(fields: Sequence[str], needed: int, width: int) -> bool:
    return len(fields) >= needed and _width(fields) <= width


def _is_time(field: str) -> bool:
    return bool(_STAMP.fullmatch(field.strip()) or _DATE.fullmatch(field.strip()))


def _is_value(field: str) -> bool:
    return bool(_DATE.search(field) or _CLOCK.search(field) or _NUMBER.fullmatch(field))


def _names_by_values(columns: Sequence[Sequence[str]]) -> list[str]:
    kinds: dict[str, Callable[[str], object]] = {
        "timestamp": _STAMP.fullmatch,
        "date": _DATE.fullmatch,
        "time": _CLOCK.fullmatch,
        "action": lambda value: plain(value) in CANONICAL,
        "state": lambda value: plain(value) in _MARKERS,
        "duration": _LASTING.fullmatch,
    }
    names = [f"c{position}" for position in range(1, len(columns) + 1)]
    free = [position for position, values in enumerate(columns) if any(values)]
    for name, is_one in kinds.items():
        if name in ("date", "time") and "timestamp" in names:
            continue
        for position in free:
            values = [value for value in columns[position] if value]
            if sum(map(bool, map(is_one, values))) >= _SHARE * len(values):
                names[position] = name
                free.remove(position)
                break
    free = [position for position in free if not all(map(_is_decimal, columns[position]))]
    if len(free) > 1:
        names[free.pop(0)] = "user_id"
    if free:
        texts = (position for position in free if not all(map(_NUMBER.fullmatch, columns[position])))
        names[next(texts, free[0])] = "item"
    return names


def _is_decimal(value: str) -> bool:
    return not value or ("." in value and bool(_NUMBER.fullmatch(value)))
