"""Text, line by line: CSV with any delimiters and quotes, with and without a header; logs of web servers (Apache, nginx, IIS); exported chats.

DuckDB reads a regular CSV directly. A file with blank lines, quoted newlines, broken records or mixed line endings
is copied record by record first, with the line numbers of the original.
"""

import csv
import json
import os
import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, count, dropwhile, islice, pairwise, takewhile, tee
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.column_names import LINE_FORMS, SHAPES, fit
from eventabs.ingest.formats.base import BLANK, Format, InputFile, Insert, Query, Wanted, text_reader
from eventabs.ingest.inner_paths import encoded
from eventabs.ingest.normal_form import WHITE, filled
from eventabs.interface_language import gettext as _

_LOOKED_AT: Final = 120  # lines at the start that may be the header
_FOLLOWING: Final = 20  # rows below a header that decide whether it is one
_SHARE: Final = 0.8
_NAMED: Final = 0.7  # how well a column's name says that it holds times
_DELIMITERS: Final = (",", "\t", ";", "|", "\x01")  # the last one is Hive's
# Regular expressions of blanks as delimiters: wide gaps, blanks but not between date and time, any blank.
_COLUMNS_APART: Final = r"(?: {2,}|\t)[ \t]*"
_STAMP_KEPT: Final = r"(?<!\d{4}-\d\d-\d\d)(?<![ \t])[ \t]+|[ \t]+(?![ \t]*\d\d?:\d\d)"
_BLANKS: Final = (_COLUMNS_APART, _STAMP_KEPT, r"[ \t]+")

_DATE: Final = r"(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|(?:19|20)\d{6})"
_MONTH: Final = (
    r"\d\d?[-/ ][A-Z][A-Za-z]+[-/ ]\d{2,4}|[A-Z][A-Za-z]+ \d\d?,? \d{4}|\d\d?[-/.] ?\d\d?[-/.] ?\d{2,4}"
)
_STAMP: Final = re.compile(
    rf"\s*(?:(?:{_DATE}|(?:[A-Z][a-z]{{2,8}},? )?(?:{_MONTH}))(?:[ T,:]+(?:at |[上下]午 ?)?\d.*)?|(?:19|20)\d{{12}}|1\d{{9}}(?:\.\d+)?|1\d{{12}}(?:\d{{3}}){{0,2}}"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} .*\d{4})\s*"
)
_VALUE: Final = re.compile(rf".*(?:{_DATE}|\d:\d\d).*|[¥$€+-]?\d[\d,]*(?:\.\d+)?%?")  # not a name
_RULE: Final = re.compile("[-=_*#~—]{4,}")
_SUMMARY: Final = re.compile(
    r"\W*(?:(?:grand |sub)?totals?|sum|summary|average|count|generated|exported|end of|\d+ (?:rows|records)|notes?:)\b"
    r"|\W*(?:人民币)?(?:合计|总计|小计|汇总|共\s*\d|导出|已收入|待收入|已支出|待支出|收入[::]|支出[::]|注[::]|说明[::]|备注[::])",
    re.IGNORECASE,
)
# A quoted field, with the blanks that some programs write behind its closing quote.
_QUOTED: Final = re.compile(r'("(?:[^"]|"")*")(?:[ \t]+(?=[,;|\t]|$))?')


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

    def loosely_quoted_fields(self, line: str) -> list[str]:
        """Return the fields of a line with quotes inside that are not doubled, `""Ann" <105>",105`: each ends at a quote before a delimiter."""
        quote, end = re.escape(self.quote), re.escape(self.delimiter)
        field = rf"(?>{quote}(.*?){quote}(?:{end}|$)|([^{quote}{end}][^{end}]*)?(?:{end}|$))"
        if not re.fullmatch(f"(?:{field})++", line):
            return []
        found = [quoted or bare for quoted, bare in re.findall(field, line)]
        return found if line.endswith(self.delimiter) else found[:-1]

    def lenient_fields(self, line: str) -> list[str]:
        """Return the fields of a line, which may be part of a record."""
        if self.is_blank:
            return re.split(self.delimiter, line.strip())
        return next(csv.reader([line], delimiter=self.delimiter, quotechar=self.quote), [])


class Layout(NamedTuple):
    """Where the table is."""

    dialect: Dialect
    columns: tuple[str, ...]
    needed: int  # fields of a row, at least
    has_header: bool = True
    above: int = 0  # lines before its header, or before its first row if it has none
    below: int = 0  # lines behind its last row


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
    alike = (width * widths.count(width) for widths in split for width in set(widths) if width > 1)
    return max(alike, default=0)


def _known_layout(lines: Sequence[str], headers: Mapping[tuple[str, ...], re.Pattern[str]]) -> Layout | None:
    """Return the layout of a well-known export without a header; what has a schema is named by that."""
    tried = [line.strip("\r\n ") for line in lines[:_FOLLOWING]]
    shapes = [(each["line"], each["columns"].split(), each["needed"], each["delimiter"]) for each in SHAPES]
    named = [(line, each, len(each), "") for each, line in headers.items()]
    for pattern, columns, needed, delimiter in (*shapes, *named) if tried else ():
        fitting = [bool(re.fullmatch(pattern, line)) for line in tried]
        if fitting[0] and sum(fitting) >= _SHARE * len(tried):
            dialect = Dialect(delimiter) if delimiter else _dialect(tried)
            return Layout(dialect, tuple(columns), needed, has_header=False)
    return None


def _named_layout(lines: Sequence[str], named: Sequence[str]) -> Layout:
    """Return the layout of rows that have as many fields as there are named columns, else with those of the first line as `needed`."""
    width = len(named)
    for dialect in (*_dialects(lines), *map(Dialect, _BLANKS)) if width > 1 else ():
        split = [dialect.lenient_fields(line) for line in lines]
        fitting = [number for number, fields in enumerate(split) if _fits(fields, width, width)]
        if fitting and len(fitting) >= _SHARE * (len(split) - fitting[0]):
            return Layout(dialect, tuple(named), width, has_header=False, above=fitting[0])
    dialect = _dialect(lines)
    return Layout(dialect, tuple(named), len(dialect.lenient_fields("".join(lines[:1]))), has_header=False)


def _headed_layout(lines: Sequence[str], time_column: str) -> Layout:
    """Return the layout by the best header; by the first line unless the text looks like rows without a header."""
    best: dict[bool, tuple[tuple[float, ...], Layout]] = {}  # without and with blanks as delimiters
    for tried in (*_dialects(lines), *map(Dialect, _BLANKS)):
        split = [[field.strip() for field in tried.lenient_fields(line)] for line in lines]
        for number, names in enumerate(split):
            width = filled_width(names)
            # `Start time  End time` cut at every blank; a title in the place of each name
            repeated = len(set(names)) < (width if tried.is_blank else min(width, 2))
            if width < 2 or repeated or any(map(_VALUE.fullmatch, names)):  # noqa: PLR2004  one field is no table
                continue
            names[0] = names[0].lstrip("# ")
            # the lines below that are rows, without a rule and what follows the rows
            following = islice(dropwhile(_is_rule, split[number + 1 :]), _FOLLOWING)
            rows = list(takewhile(lambda row: not (_is_rule(row) or is_summary(row)), following))
            fitting = sum(_fits(row, width, width) for row in rows)
            share = fitting / len(rows) if rows else float(number + 1 == len(split))
            timed = any(fit(name, "time") > _NAMED or name == time_column != "" for name in names)
            rank = (timed, share >= _SHARE, -number, share, width)
            may_be = share >= _SHARE or not (number or tried.is_blank)
            if may_be and rank > best.get(tried.is_blank, ((), None))[0]:
                best[tried.is_blank] = rank, Layout(tried, tuple(names), width, above=number)
    dialect = _dialect(lines)
    for (is_timed, *_rest), layout in sorted(best.values(), key=lambda one: one[0][:2], reverse=True):
        cut = re.search(r'["{}=]', "".join(layout.columns))  # inside quotes
        if is_timed or (layout.dialect.is_blank == dialect.is_blank and not cut):
            return layout
    first, alike = _rows_alike(lines, dialect)
    row = alike[0] if alike else ()
    if len(row) > 1 and (any(map(_STAMP.fullmatch, row)) or all(map(_VALUE.fullmatch, row))):
        unnamed = tuple(f"c{number}" for number in range(1, len(row) + 1))
        return Layout(dialect, unnamed, len(unnamed), has_header=False, above=first)
    columns = tuple(name.strip() for name in dialect.lenient_fields(lines[0])) if lines else ()
    return Layout(dialect, columns, len(columns))


def _is_rule(fields: Sequence[str]) -> bool:
    return bool(_RULE.match(next(filter(None, fields), "")))


def is_summary(fields: Sequence[str]) -> bool:
    """Whether a line is a sum or a remark below rows. A rule is none: `****1234` may be a user."""
    return bool(_SUMMARY.match(next(filter(None, fields), "")))


def _dialects(lines: Sequence[str]) -> Iterator[Dialect]:
    """Yield what may delimit the fields, with the quote of the first line that it splits."""
    for delimiter in _DELIMITERS:
        first = next((line for line in lines if delimiter in line), "")
        single = (len(field) > 1 and field[0] == field[-1] == "'" for field in first.split(delimiter))
        yield Dialect(delimiter, "'" if '"' not in first and any(single) else '"')


def _dialect(lines: Sequence[str]) -> Dialect:
    """Return the dialect that splits most lines alike; blanks only if nothing else splits them."""

    def rank(dialect: Dialect) -> tuple[float, ...]:
        first, rows = _rows_alike(lines, dialect)
        width = len(rows[0]) if rows else 0
        share = len(rows) / max(1, len(lines) - first)
        return (width > 1 and share >= _SHARE, not dialect.is_blank, width > 1, share, width)

    return max((*_dialects(lines), *map(Dialect, _BLANKS)), key=rank)


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns, each once: one that comes again has a number behind it, or is named by its place if it is blank."""
    told: list[str] = []
    for place, name in enumerate(names, 1):
        again = name or f"column_{place}"
        others = chain((again,), (f"{again}_{number}" for number in count(2)))
        told.append(next(other for other in others if other not in told))
    return tuple(told)


def _rows_alike(lines: Sequence[str], dialect: Dialect) -> tuple[int, list[list[str]]]:
    """Return the first line of the most common width, and the fields of all lines of that width."""
    split = [dialect.lenient_fields(line) for line in lines]
    widths = [len(fields) for fields in split]
    usual = max(widths, key=lambda width: (widths.count(width), width), default=0)
    rows = [fields for fields in split if len(fields) == usual]
    return (widths.index(usual) if rows else 0), rows


def filled_width(fields: Sequence[object]) -> int:
    """Return the number of fields up to the last one that is not empty."""
    return max((number for number, field in enumerate(fields, start=1) if field), default=0)


def _fits(fields: Sequence[str], needed: int, width: int) -> bool:
    return len(fields) >= needed and filled_width(fields) <= width


class Csv(Format):
    """A CSV file; `columns` are those of a copy of another file, whose first line is its header where `has_header`."""

    def __init__(self, file: InputFile, columns: tuple[str, ...] = (), *, has_header: bool = False) -> None:
        self.layout = Layout(Dialect(), columns, len(columns), has_header)
        self.is_regular = False  # whether each line is known to be one good record
        super().__init__(file)
        self._field_names = [f"c{position}" for position in range(len(self.columns))]

    def find_columns(self) -> tuple[str, ...]:
        """Return the names in the header, or the names for a file without one."""
        if self.layout.columns:
            return self.layout.columns
        file, path, header = self.file, self.file.path, self.file.settings.header
        start = enumerate(files.spread_lines(file.text, 1 << 18))
        filled = [(number, line.rstrip("\r ")) for number, line in start if line.strip()][:_LOOKED_AT]
        try:
            tried = max([filled] if (joined := _records(filled)) == filled else [filled, joined], key=_alike)
            texts = [line for _number, line in tried]
            layout = _named_layout(texts, header) if header else _known_layout(texts, file.headers)
            layout = layout or _headed_layout(texts, file.named["time"])
        except csv.Error as error:
            message = _(
                "{path}: the first line is no header ({error}); export the behaviors as JSON lines or CSV"
            )
            raise InputError(message.format(path=path, error=error)) from None
        if header and len(header) != layout.needed:
            message = _("{path} has {found} fields in its first line, but --columns names {named}")
            raise InputError(message.format(path=path, found=layout.needed, named=len(header)))
        self.is_unnamed = not (header or layout.has_header) and layout.columns[:1] == ("c1",)
        # where a tenth of the rows have up to three fields behind the named ones, these are not broken
        rows = [layout.dialect.lenient_fields(line) for line in texts[layout.above + 1 :]]
        wide = Counter(map(filled_width, rows))
        most, width = max(wide, default=0), len(layout.columns)
        is_wide = wide.total() >= _FOLLOWING and wide[most] > wide.total() * 0.1
        if layout.has_header and is_wide and width < most <= width + 3:
            layout = layout._replace(columns=layout.columns + ("",) * (most - width))
        names = _told_apart(layout.columns)
        # the index that pandas and R write first, without a name: growing numbers, which tell equal rows apart
        firsts = [row[0] for row in rows] if layout.columns[:1] == ("",) else [""]
        if all(map(str.isdecimal, firsts)) and all(int(one) < int(more) for one, more in pairwise(firsts)):
            names = ("", *names[1:])  # it is not compared
        layout = layout._replace(columns=names, above=tried[layout.above][0] if tried else 0)
        footer = self._footer(layout)
        self.layout = layout._replace(below=len(footer))
        outside = (*(line for number, line in filled if number < layout.above), *footer)
        self.skipped_lines += sum(bool(line.strip(' \t\r"' + layout.dialect.delimiter)) for line in outside)
        return names

    def query(self, wanted: Wanted) -> Query:
        """Return the rows. DuckDB raises an error for a record with too few or too many fields."""
        longest, dialect, has_header = self.file.content.longest, self.layout.dialect, self.layout.has_header
        reader = text_reader(self.file.text, self._field_names, longest, *dialect, header=has_header)
        # it is slow to join a row's cells: only for rows that may be empty
        all_blank = f"trim(concat({', '.join(self._field_names)}), {WHITE}) = ''"
        problem = f"CASE WHEN coalesce(c0, '') < '!' THEN CASE WHEN {all_blank} THEN '{BLANK}' END END"
        return Query(self.select(reader, wanted, self._field, problem), first_line=1 + has_header)

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each record's first line and its text; blank lines are none."""
        lines = files.lines(self.file.text) if self.is_regular else (each[:2] for each in self.records())
        return islice(lines, int(self.layout.has_header), None)

    def fields(self, text: str) -> Mapping[str, str]:
        """Return the fields of a record by column."""
        return dict(zip(self.columns, self._split(text) or (), strict=False))

    def load(self, wanted: Wanted, insert: Insert) -> None:
        """Read a file directly if each line but its header turns out to be one good record, any other from a copy."""
        connection, layout = self.file.connection, self.layout
        if self.file.content.one_newline and not (layout.above or layout.below or layout.dialect.is_blank):
            connection.begin()
            with suppress(duckdb.InvalidInputException):
                self.is_regular = insert(self.query(wanted)) == self.file.content.lines - layout.has_header
            if self.is_regular:
                connection.commit()
                return
            connection.rollback()
        copy = self.file.copy.with_suffix(".tidy")
        try:
            longest = self.tidy(copy, dict(wanted)["user"])
            reader = text_reader(str(copy), ["line", "problem", *self._field_names], longest, *Dialect())
            insert(Query(self.select(reader, wanted, self._field, "problem", "CAST(line AS BIGINT)")))
        finally:
            copy.unlink(missing_ok=True)

    def tidy(self, target: Path, user_column: str) -> int:
        """Copy the file without its header, each row behind its line number and problem. Return an upper bound of the longest row in bytes."""
        user = self.columns.index(user_column) if user_column in self.columns else len(self.columns)
        dialect, longest = self.layout.dialect, 0
        with target.open("w", encoding="utf-8", newline="") as copy:
            writer = csv.writer(copy, lineterminator="\n")
            records = islice(self.records(), int(self.layout.has_header), None)
            for line, text, fields in self.file.stop.until(records):
                row = fields or [""] * len(self.columns)
                if fields is None:  # of another number of fields: only its user is kept, if that is readable
                    parts = text.split() if dialect.is_blank else text.split(dialect.delimiter)
                    before = "".join(parts[: user + 1])
                    # the last field may be cut off, and behind a quote none is certain
                    if user + 1 < min(len(parts), len(row) + 1) and dialect.quote not in before:
                        row[user] = parts[user]
                longest = max(longest, writer.writerow((line, "bad_csv" if fields is None else "", *row)))
        return longest * 4  # a character takes at most four bytes

    def records(self) -> Iterator[tuple[int, str, list[str] | None]]:
        """Yield the first line (1-based), text, and fields or None where it is broken, of each record, the header first; none is blank."""
        end = self.file.content.lines - self.layout.below if self.layout.below else None
        lines = islice(files.lines(self.file.text), self.layout.above, end)
        width, (delimiter, quote) = len(self.columns), self.layout.dialect
        ahead = deque[tuple[int, str]]()  # lines that were read to find a closing quote, not yet used
        while following := ahead.popleft() if ahead else next(lines, None):
            line, text = following
            fields = self._split(text)
            if fields is None and text.count(quote) % 2:
                # a quote that is never closed must not swallow the file
                ahead.extend(islice(lines, 1000 - len(ahead)))
                odd = (at for at, (_line, part) in enumerate(ahead, start=1) if part.count(quote) % 2)
                joined = [text, *(part for _line, part in islice(ahead, next(odd, None)))]
                # lines that each are a row when quotes count as plain characters; two fields are a text's
                are_rows = width > 2 and all(line.count(delimiter) == width - 1 for line in joined)  # noqa: PLR2004
                if (found := self._split("\n".join(joined))) and not are_rows:
                    text, fields = "\n".join(joined), found
                    for _part in joined[1:]:
                        ahead.popleft()
            if "".join(fields or text).strip():
                yield line, text, fields

    def _split(self, text: str) -> list[str] | None:
        dialect, width = self.layout.dialect, len(self.columns)
        fields = dialect.fields(text)
        if fields is None and "\n" not in text and text.count(dialect.quote) % 2 == 0:
            found = dialect.loosely_quoted_fields(text)
            fields = found if len(found) == width else None
        if fields is None or len(fields) < self.layout.needed or any(fields[width:]):
            return None
        return [*fields, *[""] * (width - len(fields))][:width]

    def _footer(self, layout: Layout) -> list[str]:
        """Return the last lines that are sums and remarks, not rows: what follows a rule or a word for a sum."""
        with Path(self.file.text).open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - (1 << 16))
            file.seek(start)
            lines = file.read().decode("utf-8-sig", errors="replace").removesuffix("\n").split("\n")
        below = lines[1:] if start else lines[layout.above + 1 :]
        length = 0
        for number, line in enumerate(reversed(below[-50:]), start=1):  # no footer is longer
            fields = [field.strip() for field in layout.dialect.lenient_fields(line)]
            width = len(layout.columns)
            is_full = sum(map(bool, fields)) >= min(3, width)  # who, when and what: a sum may have a date
            if is_full and _fits(fields, layout.needed, width) and any(map(_STAMP.fullmatch, fields)):
                break
            if _is_rule(fields) or is_summary(fields):
                length = number
        return below[len(below) - length :]

    def _field(self, column: str) -> str:
        return f"c{self.columns.index(column)}"


_LOG_CLOCK: Final = (
    r"(?:오[전후] |[上下]午 ?|午[前後])?\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?"
)
_DAY: Final = r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\d{4}[년年] ?\d{1,2}[월月] ?\d{1,2}[일日]|\d{1,2} [A-Z][a-z]{2,8},? \d{4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4}"
_LOG_STAMP: Final = (
    rf"((?:{_DAY})(?:,? at |_|,? ?T?){_LOG_CLOCK}(?:Z| ?[+-]\d\d:?\d\d)?|1\d{{9}}(?:\d{{3}}|\.\d+)?)"
)
# <nick>, nick - or nick: but no `* nick waves`, no level of a log; a name with a comma only behind brackets, since CSV has commas
_NICK: Final = r"<?(?!\* |(?:\S+ )?\S+\[\d+\]:)(?!\W*(?i:debug|info|notice|warn|warning|error|critical|fatal|trace)\b)((?<=<)[^<>]{1,60}(?=>)|\S{1,40}(?= - )|(?:(?<=[\])] )(?:[^:<>]|:(?!\s)){1,60}?|[^:<>,;|\t]{1,40}?)(?= ?:(?:\s|$)))(?:>:?| -| ?:)(?:\s+|$)"


class _Form(NamedTuple):
    """How the rows of a text are written."""

    row: re.Pattern[str]  # its first line
    columns: tuple[str, ...]  # of its groups
    # a line, between the one above and the one below it, that gives the first columns of the rows below it; a `day` belongs to their times
    above: re.Pattern[str] = re.compile("(?!)")
    # a line that names nobody is the program's own, not a message whose name is not understood
    is_strict: bool = False
    pair: re.Pattern[str] | None = None  # a field, where a row says the names of its fields itself

    @property
    def is_chat(self) -> bool:
        """Whether lines of another form go on with the message above. In a log they are no rows, where all others begin with a time, else broken, or remarks behind #."""
        return self.columns[-1:] == ("text",) and not self.pair

    def is_named(self, row: re.Match[str]) -> bool:
        """Whether a row says who, itself or by the lines above it."""
        place = self.columns.index("user") + 1 - self.above.groups if "user" in self.columns else 0
        return bool(row[max(0, place)])

    def fields(self, given: list[str], row: re.Match[str]) -> list[str]:
        """Return the fields of a row, `given` those of the lines above it."""
        if self.pair:
            pairs = _pairs(row[0], self.pair, self.columns)
            return [pairs.get(name, "") for name in self.columns]
        fields = [*given, *row.groups("")]
        if self.columns[0] == "day":
            day, clock = fields.pop(0), self.columns.index("time") - 1
            fields[clock] = f"{day} {fields[clock].replace('午前', '上午').replace('午後', '下午')}"
        return fields if self.is_chat else ["" if field == "-" else field for field in fields]


_PARTS: Final = {"clock": _LOG_CLOCK, "day": _DAY, "stamp": _LOG_STAMP, "nick": _NICK}
# in IRC
_PROGRAM: Final = r"(?:\*\*\*|-!-|-->|<--) (?:\S+ (?:[(<\[]\S+ )?(?:has (?:joined|left|quit|parted)|is now known as|sets? mode|joined #)|(?:Joins|Parts|Quits):).*"
_NOTICE: Final = "end-to-end encrypt|端(?:到|对|對)端|Ende-zu-Ende|bout en bout|extremo a extremo|ponta a ponta|crittografati end-to-end|エンドツーエンド|сквозн"
# `level=info user=ann msg="logged in"`, `{"user": "ann", "cart": 3}`, `User: ann - Client IP: 10.0.0.1`
_PAIR: Final = (
    r"""(?:^|(?<=[\s,;|({\[，；]))(?:(?<=[;|])([^\W\d][\w.-]*)=([^=;|"]*)(?=[;|]|$)|(?:"([\w.-]+)": ?|([^\W\d][\w.-]*)=)(?:"((?:[^"\\]|\\.)*)"|(\d{1,4}[-/.年]\d\d?[-/.月]\d{1,4}日? {clock}|[^\s"{\[,;|)}\]]*))"""
    r"""|({key})[:：] ?(?! )((?:{day}) {clock}|.*?)(?=\s*(?:[,;|，；]|\s-\s|\s[\w-]+[:=]\s?\S|$)))"""
)
_KEY: Final = r"[A-Z][\w-]{0,20}(?: [A-Z][\w-]{0,20}){0,2}|[a-z][\w-]{0,20}|[\u4e00-\u9fff]{1,10}"
_LEVEL: Final = re.compile(
    r"\W*(DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE)\b(?![=:])", re.IGNORECASE
)
_REST: Final = "message"  # the column of what no name stands before
_AROUND: Final = " \t-–|,;:[](){}"
_MARKUP: Final = re.compile(r"[\s,\[]*[{<]|\"[^\"]*\"[,;\t]")  # or cells of a table
_STAMPED: Final = re.compile(rf"\[?{_LOG_STAMP}")
_STAMPED_LINE: Final = re.compile(rf"{_STAMPED.pattern}.*")
_FIELDS: Final = "#fields"  # W3C (with a colon) and Zeek: the columns follow
_ZEEK: Final = {"uid": "connection", "id.orig_h": "ip"}  # an id of no user
_LEAST: Final = 2  # lines


class Lines(Csv):
    """A log or a chat, copied as CSV. A row keeps the number of its first line."""

    def __init__(self, file: InputFile) -> None:
        self._form = line_form(files.first_bytes(file.text))
        columns = tuple(column for column in self._form.columns if column != "day")
        super().__init__(file.as_csv(self._rows(file)), columns)

    def _rows(self, file: InputFile) -> Iterator[list[str]]:
        """Yield the fields of each row, of a broken one the line itself, and nothing for each other line."""
        form, is_chat = self._form, self._form.is_chat
        rows: list[list[str]] = []  # the last one, and the lines behind it
        given = [""] * form.above.groups
        texts = chain([""], (line for _number, line in files.lines(file.text)), [""])
        before, lines, behind = (islice(each, start, None) for start, each in enumerate(tee(texts, 3)))
        for above, line, below in zip(before, lines, behind, strict=False):
            if given and (told := form.above.fullmatch(f"{above}\n{line}\n{below}")):
                given = [new or old for new, old in zip(told.groups(), given, strict=True)]
                rows.append([])
            elif (found := form.row.fullmatch(line)) and is_chat and self._is_notice(found, first=not rows):
                self.skipped_lines += 1
                yield from rows
                rows = [[]]
            elif found or not (is_chat or form.pair or line.startswith("#") or not line.strip()):
                yield from rows
                rows = [form.fields(given, found) if found else [line]]
            elif is_chat and rows and rows[0]:
                rows[0][-1] = f"{rows[0][-1]} {line}".strip()
                rows.append([])
            else:
                self.skipped_lines += bool(line.strip())
                rows.append([])
        yield from rows

    def _is_notice(self, row: re.Match[str], *, first: bool) -> bool:
        """Whether the program itself says it: under nobody's name, or at the begin or a mark under that of the chat."""
        text = row[row.re.groups]
        if not self._form.is_named(row) and (self._form.is_strict or re.match(_PROGRAM, text)):
            return True
        return (first or text.startswith(("\u200e", "\u200f"))) and bool(re.search(_NOTICE, text))


def _pairs(line: str, pair: re.Pattern[str], known: Collection[str] = ()) -> dict[str, str]:
    """Return the fields that a line names (of `known` columns, if any are), time and level at its begin, and the rest, in which others stay."""
    found, rest = dict[str, str](), line
    for name, form in (("time", _STAMPED), ("level", _LEVEL)):
        if begin := form.match(rest):
            found[name], rest = begin[1], rest[begin.end() :]
    if rest.endswith("}"):
        with suppress(ValueError, RecursionError):
            said = json.loads(rest[rest.index("{") :])
            rest = rest[: rest.index("{")].rstrip(_AROUND)
            found |= {key: it if isinstance(it, str) else encoded(it) for key, it in said.items()}

    def taken(match: re.Match[str]) -> str:
        key = match[1] or match[3] or match[4] or match[7]
        if known and key not in known:
            return match[0]
        found[key] = match[match.lastindex or 0].strip()
        return " "

    rest = pair.sub(taken, rest).strip(_AROUND)
    return {**found, _REST: f"{found.get(_REST, '')} {rest}".strip()}


def line_form(start: bytes) -> _Form:
    """Return the form of a text by its first bytes; without columns if it has none."""
    text = start.decode("utf-8-sig", errors="replace").replace("\r", "")
    lines = text.split("\n")
    shown = [line for line in (lines[:-1] or lines) if line.strip()]
    if fields := next((line for line in shown if line.lower().startswith(_FIELDS)), ""):
        named = fields[len(_FIELDS) :].lstrip(":").strip()
        field, mark = (r"([^\t]*)", r"\t") if "\t" in named else (r"(\S+)", r"[ \t]")
        names = tuple(_ZEEK.get(each, each) for each in named.split())
        return _Form(re.compile("(?!#)" + mark.join([field] * len(names))), names)
    tried = shown[:_FOLLOWING]
    lines = [line[:1000] for line in tried if not _MARKUP.match(line)]
    # to make and try all forms takes longer than to read a small file: not for JSON, say, or what names no field
    if any(re.search(r'=|["A-Za-z\u4e00-\u9fff][\w-]{0,20}\s*[:：]', line) for line in lines):
        any_pair = re.compile(filled(_PAIR, **_PARTS, key=_KEY))
        keys = Counter(key for line in lines for key in _pairs(line, any_pair))
        often = {key for key, count in keys.items() if count >= _SHARE * len(tried)} - {_REST}
        # before a colon in few lines are words of a sentence
        if len(often - {"time"}) >= _LEAST <= len(tried):
            parts = "|".join(map(re.escape, sorted(often, key=len, reverse=True)))
            pair = re.compile(filled(_PAIR, **_PARTS, key=parts))
            columns = dict.fromkeys(key for line in shown for key in _pairs(line, pair))
            # then others are parts of a message, or say where in a program it was: left out, and counted
            are_stamped = sum(map(bool, map(_STAMPED.match, tried))) >= _SHARE * len(tried)
            return _Form(_STAMPED_LINE if are_stamped else re.compile(".*"), tuple(columns), pair=pair)
    has_stamps = any(_STAMPED.match(line.lstrip("\u200e\u202a[(")) for line in shown)
    forms = [each for each in LINE_FORMS if lines and (has_stamps or "{stamp}" not in each["line"])]
    for each in forms:
        row = re.compile(filled(each["line"], **_PARTS))
        if len(found := list(filter(None, map(row.fullmatch, shown)))) >= _LEAST:
            above = re.compile(filled(each.get("above", "(?!)"), **_PARTS))
            form = _Form(row, tuple(each["columns"].split()), above, each.get("is_strict", False))
            # of the first lines; the others go on, also for long between the lines that say the day
            is_usual = len(found) >= (0.2 if form.is_strict else 0.4) * len(shown)
            if sum(map(form.is_named, found)) * 2 >= len(found) and (is_usual or above.search(f"\n{text}")):
                return form
    return _Form(re.compile(""), ())
