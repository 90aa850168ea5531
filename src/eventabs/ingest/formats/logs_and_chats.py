"""Text whose lines have a known form: logs of web servers (Apache, nginx, IIS), exported chats."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.formats.base import InputFile
from eventabs.ingest.formats.csv import Csv

_CLOCK: Final = r"(?:오[전후] |[上下]午 ?)?\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?"
_DAY: Final = r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\d{4}[년年] ?\d{1,2}[월月] ?\d{1,2}[일日]|\d{1,2} [A-Z][a-z]{2,8},? \d{4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4}"
_STAMP: Final = rf"((?:{_DAY})(?:,? at |,? ?T?){_CLOCK}(?:Z| ?[+-]\d\d:?\d\d)?|1\d{{9}}(?:\d{{3}}|\.\d+)?)"
# <nick>, nick - or nick: but no level of a log; a name with a comma only behind brackets, since CSV has commas
_NICK: Final = r"<?(?!(?i:debug|info|notice|warn|warning|error|critical|fatal|trace)\b)((?<=<)[^<>]{1,60}(?=>)|\S{1,40}(?= - )|(?:(?<=[\])] )(?:[^:<>]|:(?!\s)){1,60}?|[^:<>,;|\t]{1,40}?)(?= ?:(?:\s|$)))(?:>:?| -| ?:)(?:\s+|$)"
_CHAT: Final = ("time", "user", "text")
# The pattern of a row's first line, and the columns of its groups: of WhatsApp, then of other chats, KakaoTalk too. In a chat,
# other lines go on with the message above; in a log they are broken rows, or remarks behind #.
_FORMS: Final = (
    (
        re.compile(
            r'(\S+) \S+ (\S+) \[([^\]]+)\] "([A-Z]+) (\S+)[^"]*" (\d{3}) (\S+)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?.*'
        ),
        ("ip", "remote_user", "time", "method", "path", "status", "bytes", "referrer", "user_agent"),
    ),
    (re.compile(rf"[\u200e\u202a]?{_STAMP} - (?:([^:]+): )?(.*)"), _CHAT),
    (re.compile(rf"[\u200e\u202a]?[\[(]?{_STAMP}[\])]?(?:,| -)?\s+(?:{_NICK})?(.*)"), _CHAT),
)
# `User: ann, Action: left`, `user=ann action=left`
_MARKS: Final = ("\u200e", "\u200f")  # begin what the program itself says
_NOTICE: Final = re.compile(
    "end-to-end encrypt|端(?:到|对|對)端|Ende-zu-Ende|bout en bout|extremo a extremo|ponta a ponta|crittografati end-to-end|エンドツーエンド|сквозн"
)
_PART: Final = re.compile(r"(?<=[ \t,;|])([A-Za-z][\w ]{0,20})[:=](?=[ \w\"])")
_FIELDS: Final = "#Fields:"  # W3C: the columns follow
_SHARE: Final = 0.4  # of the first lines, the others go on
_LEAST: Final = 2  # lines
_HALF: Final = 0.5  # of the rows


class Lines(Csv):
    """A log or a chat, copied as CSV. A row keeps the number of its first line."""

    def __init__(self, file: InputFile) -> None:
        pattern, self._names = _form(files.first_bytes(file.text))
        self._left_out = 0
        super().__init__(file.as_csv(self._rows(file, pattern)), self._names)
        self.skipped_lines = self._left_out

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  the content alone decides
        """Whether many of the first lines have one of the forms."""
        return bool(_form(start)[1])

    def _rows(self, file: InputFile, pattern: re.Pattern[str]) -> Iterator[list[str]]:
        """Yield the fields of each row, of a broken one the line itself, and nothing for each other line.

        Raises InputError if it is not UTF-8.
        """
        rows: list[list[str]] = []  # the last one, and the lines behind it
        is_chat = self._names == _CHAT
        for _number, line in files.lines(file.text, file.path):
            found = pattern.fullmatch(line)
            if is_chat and found and _NOTICE.search(found[3]) and (not rows or found[3][:1] in _MARKS):
                self._left_out += 1  # of the program itself, under the name of the chat
                rows.append([])
                continue
            if found or not (is_chat or line.startswith("#") or not line.strip()):
                yield from rows
                fields = found.groups("") if found else (line,)
                rows = [["" if field == "-" and not is_chat else field for field in fields]]
                continue
            if is_chat and rows and rows[0]:
                rows[0][-1] = f"{rows[0][-1]} {line}".strip()
            else:
                self._left_out += bool(line.strip())
            rows.append([])
        yield from rows


def _form(start: bytes) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Return the form of a text by its first bytes; without columns if it has none."""
    lines = start.decode("utf-8-sig", errors="replace").split("\n")
    filled = [line.strip("\r") for line in (lines[:-1] or lines) if line.strip()]
    if fields := next((line for line in filled if line.startswith(_FIELDS)), ""):
        names = tuple(fields.removeprefix(_FIELDS).split())
        return re.compile(r"[ \t]".join([r"([^#\s]\S*)", *[r"(\S+)"] * (len(names) - 1)])), names
    parts = [tuple(_PART.findall(line)) for line in filled if re.match(_STAMP, line)]
    keys, count = Counter(parts).most_common(1)[0] if parts else ((), 0)
    if len(keys) >= _LEAST <= count and count >= _HALF * len(filled):
        fields = r"\W+".join(rf"{re.escape(key)}[:=] ?(.*?)" for key in keys)
        return re.compile(rf"\[?{_STAMP}\]?\W+(?:[A-Z]+\W+)?{fields}"), ("time", *keys)
    for pattern, names in _FORMS:
        found = [row for line in filled if (row := pattern.fullmatch(line))]
        told = sum(bool(row[2]) for row in found)  # somebody is named
        if len(found) >= max(_LEAST, _SHARE * len(filled)) and told >= _HALF * len(found):
            return pattern, names
    return re.compile(""), ()
