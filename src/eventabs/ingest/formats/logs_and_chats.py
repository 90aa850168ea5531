"""Text whose lines have a known form: logs of web servers (Apache, nginx, IIS), exported chats."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice, tee
from typing import Final, NamedTuple

from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.column_names import LINE_FORMS
from eventabs.ingest.formats.base import InputFile
from eventabs.ingest.formats.csv import Csv
from eventabs.ingest.normal_form import filled

_CLOCK: Final = (
    r"(?:오[전후] |[上下]午 ?|午[前後])?\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?"
)
_DAY: Final = r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\d{4}[년年] ?\d{1,2}[월月] ?\d{1,2}[일日]|\d{1,2} [A-Z][a-z]{2,8},? \d{4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4}"
_STAMP: Final = rf"((?:{_DAY})(?:,? at |,? ?T?){_CLOCK}(?:Z| ?[+-]\d\d:?\d\d)?|1\d{{9}}(?:\d{{3}}|\.\d+)?)"
# <nick>, nick - or nick: but no level of a log; a name with a comma only behind brackets, since CSV has commas
_NICK: Final = r"<?(?!(?i:debug|info|notice|warn|warning|error|critical|fatal|trace)\b)((?<=<)[^<>]{1,60}(?=>)|\S{1,40}(?= - )|(?:(?<=[\])] )(?:[^:<>]|:(?!\s)){1,60}?|[^:<>,;|\t]{1,40}?)(?= ?:(?:\s|$)))(?:>:?| -| ?:)(?:\s+|$)"


class _Form(NamedTuple):
    """How the rows of a text are written: the pattern of a row's first line, and the columns of its groups.

    `above`: a line, between the one above and the one below it, that gives the first columns of the rows below it; a `day`
    belongs to their times. `is_strict`: a line that names nobody is the program's own, not a message whose name is not understood.
    """

    row: re.Pattern[str]
    columns: tuple[str, ...]
    above: re.Pattern[str] = re.compile("(?!)")
    is_strict: bool = False

    @property
    def is_chat(self) -> bool:
        """Whether lines of another form go on with the message above. In a log they are broken rows, or remarks behind #."""
        return self.columns[-1:] == ("text",)

    def is_named(self, row: re.Match[str]) -> bool:
        """Whether a row says who, itself or by the lines above it."""
        place = self.columns.index("user") + 1 - self.above.groups if "user" in self.columns else 0
        return bool(row[max(0, place)])

    def fields(self, given: list[str], row: re.Match[str]) -> list[str]:
        """Return the fields of a row, `given` those of the lines above it."""
        fields = [*given, *row.groups("")]
        if self.columns[0] == "day":
            day, clock, *rest = fields
            fields = [f"{day} {clock.replace('午前', '上午').replace('午後', '下午')}", *rest]
        return fields if self.is_chat else ["" if field == "-" else field for field in fields]


_PARTS: Final = {"clock": _CLOCK, "day": _DAY, "stamp": _STAMP, "nick": _NICK}
_FORMS: Final = tuple(
    _Form(
        re.compile(filled(each["line"], **_PARTS)),
        tuple(each["columns"].split()),
        re.compile(filled(each.get("above", "(?!)"), **_PARTS)),
        each.get("is_strict", False),
    )
    for each in LINE_FORMS
)
# `User: ann, Action: left`, `user=ann action=left`
_MARKS: Final = ("\u200e", "\u200f")  # begin what the program itself says
_NOTICE: Final = re.compile(
    "end-to-end encrypt|端(?:到|对|對)端|Ende-zu-Ende|bout en bout|extremo a extremo|ponta a ponta|crittografati end-to-end|エンドツーエンド|сквозн"
)
_PART: Final = re.compile(r"(?<=[ \t,;|])([A-Za-z][\w ]{0,20})[:=](?=[ \w\"])")
_FIELDS: Final = "#fields"  # W3C (with a colon) and Zeek: the columns follow
_ZEEK: Final = {"uid": "connection", "id.orig_h": "ip"}  # an id of no user
_SHARE: Final = 0.4  # of the first lines, the others go on; half as many are enough for a strict form
_LEAST: Final = 2  # lines
_HALF: Final = 0.5  # of the rows


class Lines(Csv):
    """A log or a chat, copied as CSV. A row keeps the number of its first line."""

    def __init__(self, file: InputFile) -> None:
        self._form = _form(files.first_bytes(file.text))
        self._left_out = 0
        columns = tuple(column for column in self._form.columns if column != "day")
        super().__init__(file.as_csv(self._rows(file)), columns)
        self.skipped_lines = self._left_out

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  the content alone decides
        """Whether many of the first lines have one of the forms."""
        return bool(_form(start).columns)

    def _rows(self, file: InputFile) -> Iterator[list[str]]:
        """Yield the fields of each row, of a broken one the line itself, and nothing for each other line.

        Raises InputError if it is not UTF-8.
        """
        form, is_chat = self._form, self._form.is_chat
        rows: list[list[str]] = []  # the last one, and the lines behind it
        given = [""] * form.above.groups
        texts = chain([""], (line for _number, line in files.lines(file.text, file.path)), [""])
        before, lines, behind = (islice(each, start, None) for start, each in enumerate(tee(texts, 3)))
        for above, line, below in zip(before, lines, behind, strict=False):
            if given and (told := form.above.fullmatch(f"{above}\n{line}\n{below}")):
                given = [new or old for new, old in zip(told.groups(), given, strict=True)]
                rows.append([])
            elif (found := form.row.fullmatch(line)) and is_chat and self._is_notice(found, first=not rows):
                self._left_out += 1
                yield from rows
                rows = [[]]
            elif found or not (is_chat or line.startswith("#") or not line.strip()):
                yield from rows
                rows = [form.fields(given, found) if found else [line]]
            elif is_chat and rows and rows[0]:
                rows[0][-1] = f"{rows[0][-1]} {line}".strip()
                rows.append([])
            else:
                self._left_out += bool(line.strip())
                rows.append([])
        yield from rows

    def _is_notice(self, row: re.Match[str], *, first: bool) -> bool:
        """Whether the program itself says it: under nobody's name, or at the begin or a mark under that of the chat."""
        if self._form.is_strict and not self._form.is_named(row):
            return True
        text = row[row.re.groups]
        return bool(_NOTICE.search(text)) and (first or text[:1] in _MARKS)


def _form(start: bytes) -> _Form:
    """Return the form of a text by its first bytes; without columns if it has none."""
    lines = start.decode("utf-8-sig", errors="replace").split("\n")
    shown = [line.strip("\r") for line in (lines[:-1] or lines) if line.strip()]
    if fields := next((line for line in shown if line.lower().startswith(_FIELDS)), ""):
        named = fields[len(_FIELDS) :].lstrip(":").strip()
        field, mark = (r"([^\t]*)", r"\t") if "\t" in named else (r"(\S+)", r"[ \t]")
        names = tuple(_ZEEK.get(each, each) for each in named.split())
        return _Form(re.compile("(?!#)" + mark.join([field] * len(names))), names)
    parts = [tuple(_PART.findall(line)) for line in shown if re.match(_STAMP, line)]
    keys, count = Counter(parts).most_common(1)[0] if parts else ((), 0)
    if len(keys) >= _LEAST <= count and count >= _HALF * len(shown):
        fields = r"\W+".join(rf"{re.escape(key)}[:=] ?(.*?)" for key in keys)
        return _Form(re.compile(rf"\[?{_STAMP}\]?\W+(?:[A-Z]+\W+)?{fields}"), ("time", *keys))
    for form in _FORMS:
        found = [row for line in shown if (row := form.row.fullmatch(line))]
        least = max(_LEAST, _SHARE * len(shown) * (_HALF if form.is_strict else 1))
        if len(found) >= least and sum(map(form.is_named, found)) >= _HALF * len(found):
            return form
    return _Form(re.compile(""), ())
