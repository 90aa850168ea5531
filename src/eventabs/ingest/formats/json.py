"""JSON files: flat objects, one a line, which DuckDB reads; and arrays, consecutive objects and users with lists of behaviors, copied so."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.column_names import fit
from eventabs.ingest.formats.base import BLANK, Format, InputFile, Query, Wanted, json_object, text_reader
from eventabs.ingest.inner_paths import OBJECT, Inventory, decoded, parse_path, value_at
from eventabs.ingest.normal_form import WHITE
from eventabs.interface_language import gettext as _
from eventabs.stop_request import Stop

_HEAD: Final = 1 << 16  # bytes that are read for the shape, and for keys at further places too
_NO_DELIMITER: Final = "\x01"  # not allowed in JSON text, so no readable line has it
_REMARKS: Final = ("/*", "//")  # above the records, as phpMyAdmin writes them
_NEWLINES: Final = re.compile(r"[\r\n]+")
_NAMED: Final = 0.7  # how well a key says that its value is a time
_MAY_BE: Final = 0.6
_DEEPEST: Final = 4  # lists within lists that are followed
_LIST: Final = "list"  # the column of its name, where records come from several
_KEY: Final = "key"  # the column of what a record stands under
_KEYED: Final = 3  # records under ids of their own, at least
_CHUNK: Final = 1 << 20
# nothing is tried twice: for that, a string of 60 MB would take 7 GB
_TOKEN: Final = re.compile(r'"(?:[^"\\\n]++|\\.)*+"|[\[\]{},]|"')
_MARK: Final = re.compile(r"\S")


class NotOneObjectError(Exception):
    """The text is not one object, or something follows it."""


class Json(Format):
    """A JSON file. Blank and broken lines are rows with a problem, so that line numbers stay right."""

    def __init__(self, file: InputFile) -> None:
        super().__init__(_one_object_a_line(file))
        text = Path(file.text)
        start = text.read_text("utf-8-sig", errors="replace") if text.stat().st_size <= _CHUNK else ""
        whole = json_object(start) or {}
        lists = [key for key, value in whole.items() if isinstance(value, list) and key not in self.columns]
        self.unwrapped = lists[0] if len(lists) == 1 else ""

    def find_columns(self) -> tuple[str, ...]:
        """Return the keys of objects at places all over the file, and take stock of the paths inside them."""
        rows = [*map(self.fields, files.spread_lines(self.file.text, _HEAD, 19))]
        if not (keys := tuple(dict.fromkeys(key for row in rows for key in row))):
            message = _(
                "{path} has no line that is a JSON object; write one object a line, or a CSV with a header (a log or a chat needs the day in each line)"
            )
            raise InputError(message.format(path=self.file.path))
        self.inventory = Inventory(keys, rows)
        return keys

    def query(self, wanted: Wanted) -> Query:
        """Return one row for each line. Rows get no numbers here: DuckDB numbers them on a single thread only."""
        reader = text_reader(self.file.text, ["text"], self.file.content.longest, _NO_DELIMITER, quote="")
        problem = f"""CASE WHEN text IS NULL THEN '{BLANK}'
            WHEN {OBJECT} IS NULL THEN CASE WHEN trim(text, {WHITE}) = '' THEN '{BLANK}' ELSE 'bad_json' END
            WHEN {OBJECT}[1] IS NULL AND json_type(text) <> 'OBJECT' THEN 'not_an_object' END"""
        return Query(self.select(reader, wanted, "text", problem))


def _one_object_a_line(file: InputFile) -> InputFile:
    """Return the file with a flat object on each line: itself, or a copy."""
    text = file.text
    around: dict[str, Any] = {}
    first, second = [*(line.strip() for line in files.spread_lines(text, _HEAD) if line.strip()), "", ""][:2]
    opens_more = first.startswith("{") and first.endswith(("[", "{", ","))
    is_spread = opens_more and json_object(first) is None and json_object(second) is None
    is_vast = file.content.longest > files.LONGEST_LINE and file.content.lines == 1
    if first.startswith(("[", *_REMARKS)) or is_spread or is_vast:
        array = file.copy.with_suffix(".array")
        around, text = split_array(text, array, file.stop), str(array)
    # the first readable record has its times only inside a list
    record = next(filter(None, map(json_object, files.spread_lines(text, _HEAD))), {})
    inner = list(_flat(record, {}, file.times, 0))
    # answers of an interface: pages of records that have their times in objects
    are_pages = not _has_time_inside(record) and any(map(_has_time_inside, inner))
    if around or (inner != [record] and (are_pages or any(_has_time(each, file.times) for each in inner))):
        # each behavior inside a record gets its own line, with its user's fields and the fields around all
        spelled: dict[str, str] = {}  # `Date` in one list and `date` in another are one column
        flat = file.copy.with_suffix(".flat")
        with _opened(text) as source, flat.open("w", encoding="utf-8", newline="") as target:
            for line in file.stop.until(source):
                if (whole := json_object(line)) is not None:
                    for fields in _flat(whole, around, file.times, 0):
                        names = {key: spelled.setdefault(key.lower(), key) for key in fields}
                        one = {key if names[key] in fields else names[key]: fields[key] for key in fields}
                        target.write(json.dumps(one, ensure_ascii=False) + "\n")
                elif line.strip():
                    target.write(line.strip("\r\n").replace("\r", " ") + "\n")
        text = str(flat)
    return file if text == file.text else file.of_copy(Path(text))


def split_array(path: str, copy: Path, stop: Stop) -> dict[str, Any]:
    """Copy the elements of an array or consecutive values, or the records in an object too large for memory, one a line. Return the fields around these."""
    around: dict[str, Any] = {}
    is_vast = Path(path).stat().st_size > files.LONGEST_LINE
    for split in (partial(records_inside, around), elements) if is_vast else (elements,):
        try:
            with _opened(path) as file, copy.open("w", encoding="utf-8", newline="") as target:
                for text in stop.until(split(file, files.LONGEST_LINE)):
                    target.write(" ".join(map(str.strip, _NEWLINES.split(text.strip()))) + "\n")
            break
        except NotOneObjectError:
            around.clear()
        except OverflowError:
            message = _(
                "{path} has a JSON value longer than {limit} MB that is no list of records; write one record a line"
            )
            raise InputError(message.format(path=path, limit=files.LONGEST_LINE >> 20)) from None
    return around


def _flat(
    record: Mapping[str, Any], outer: Mapping[str, Any], times: Collection[str], depth: int
) -> Iterator[dict[str, Any]]:
    """Yield the records with a time inside `record`, each with the fields around it; without any, the records of its lists."""
    inner: dict[str, Any] = {}
    firsts = [value[0] for value in record.values() if isinstance(value, list) and value]
    chats = any(isinstance(each, dict) and _has_time(each, times) and _has_user(each) for each in firsts)
    # a row has a time, and says who, or holds no list whose records say who and when
    is_row = _has_time(record, times) and (_has_user(record) or not chats)
    if depth < _DEEPEST and not is_row:
        timed = {key: value for key, value in record.items() if _holds_times(value, times, depth)}
        lists = ((key, value) for key, value in record.items() if isinstance(value, list))
        inner = timed or {key: value for key, value in lists if any(isinstance(each, dict) for each in value)}
    merged = {**outer, **{key: value for key, value in record.items() if key not in inner}}
    if not inner:
        yield merged
    for key, records in inner.items():
        is_one = len(inner) == 1 or _LIST in record
        said, listed = merged if is_one else {**merged, _LIST: key}, _records(records)
        for each in listed if isinstance(listed, list) else [listed]:
            yield from _flat(each, said, times, depth + 1) if isinstance(each, dict) else [said]


def _holds_times(value: object, times: Collection[str], depth: int) -> bool:
    """Whether the value is a list of records with a time, or has one in objects inside it."""
    value = _records(value)
    if isinstance(value, dict) and depth < _DEEPEST:
        return any(_holds_times(each, times, depth + 1) for each in value.values())
    return isinstance(value, list) and any(
        _has_time(each, times) or _holds_times(each, times, depth) for each in value if isinstance(each, dict)
    )


def _records(value: object) -> object:
    """Return a list for an object whose values are records alike, each under an id of its own, which becomes its `key`; for a connection of GraphQL its nodes."""
    edges = value.get("edges") if isinstance(value, dict) else None
    if edges and isinstance(edges, list) and all(isinstance(each, dict) and "node" in each for each in edges):
        nodes = ((each, each["node"]) for each in edges if isinstance(each["node"], dict))
        return [{key: edge[key] for key in edge if key != "node"} | node for edge, node in nodes]  # starredAt
    items = value.items() if isinstance(value, dict) and len(value) >= _KEYED else ()
    fields = [set(each) for _key, each in items if isinstance(each, dict)]
    are_alike = all(len(fields[0] & each) > len(fields[0] ^ each) for each in fields)
    if 0 < len(fields) == len(items) and are_alike:
        return [{_KEY: key, **each} for key, each in items]
    return value


def _has_user(record: Mapping[str, Any]) -> bool:
    return any(fit(key, "user") > _NAMED and not isinstance(value, list) for key, value in record.items())


def _has_time(record: Mapping[str, Any], times: Collection[str]) -> bool:
    if any(key in times or fit(key, "time") > _NAMED for key in record):
        return True
    paths = (parse_path(path, record) for path in times if "." in path)
    return any(path and value_at(record, path) is not None for path in paths)


def _has_time_inside(record: Mapping[str, Any]) -> bool:
    """Whether an object, or one inside it, has what may be a time."""
    return any(
        _has_time_inside(value) if isinstance(value, dict) else fit(key, "time") > _MAY_BE
        for key, value in record.items()
    )


def _opened(path: str) -> TextIO:
    """Open a text at its first record, behind remarks."""
    file = Path(path).open(encoding="utf-8-sig", newline="")  # noqa: SIM115  the caller closes it
    start = file.tell()
    if file.read(2) in _REMARKS:
        while (line := file.readline()) and not line.startswith(("[", "{")):
            start = file.tell()
    file.seek(start)
    return file


class _Text:
    """The text of a file from a place on; at most `longest` characters of one value are held."""

    def __init__(self, file: TextIO, longest: int) -> None:
        self._file, self._longest = file, longest
        self._text, self._at = "", 0

    def mark(self, behind: int = 0) -> str:
        """Go to the next character that is not white space and return it, "" at the end; `behind` looks further on, without a move."""
        while not (found := _MARK.search(self._text, self._at + behind)):
            self._at = self._at if behind else len(self._text)
            if not self._read_on():
                return ""
        self._at = self._at if behind else found.start()
        return found[0]

    def take(self, ends: str = "") -> str:
        """Return the value here and go on behind it; a broken one goes on to the next of `ends` outside its brackets."""
        while (end := self._end(ends)) is None and self._read_on():
            pass
        text = self._text[self._at : end]
        self._at += len(text)
        return text

    def elements(self) -> Iterator[str]:
        """Yield the texts of a list's elements, and go on behind it; the text continues behind its bracket."""
        while (mark := self.mark()) not in ("", "]"):
            if mark == ",":
                self._at += 1
            else:
                yield self.take(",]")
        self._at += 1

    def passes(self, marks: str) -> bool:
        """Go on behind the next character and return True if it is one of `marks`."""
        is_one = self.mark() in tuple(marks)
        self._at += is_one
        return is_one

    def _end(self, ends: str) -> int | None:
        """Return the end of the value, None if what follows decides it; one that is no JSON ends where brackets outside strings say so."""
        with suppress(ValueError, RecursionError):
            end = decoded(self._text, self._at)[1]
            if (following := _MARK.search(self._text, end)) and (not ends or following[0] in ends):
                return end
        depth = 0
        for token in _TOKEN.finditer(self._text, self._at):
            mark = token[0]
            if mark == '"' and self._text.find("\n", token.end()) < 0:
                return None  # a string that is not closed yet; it never ends on another line
            if depth <= 0 and mark in ends:
                return token.start()
            depth += (mark in "[{") - (mark in "]}")
            if depth <= 0 and not ends and mark in "]}":
                return token.end()
        return None

    def _read_on(self) -> bool:
        rest = self._text[self._at :]
        if len(rest) > self._longest:
            raise OverflowError
        # as much again: a long value is searched a few times, not once a chunk
        chunk = self._file.read(max(_CHUNK, min(len(rest), self._longest - len(rest))))
        self._text, self._at = rest + chunk, 0
        return bool(chunk)


def elements(file: TextIO, longest: int) -> Iterator[str]:
    """Yield the texts of an array's elements, or of consecutive values, of at most `longest` characters. Raises OverflowError."""
    text = _Text(file, longest)
    while text.mark():
        if text.passes("["):
            yield from text.elements()
        else:
            yield text.take()


def records_inside(around: dict[str, Any], file: TextIO, longest: int) -> Iterator[str]:
    """Yield the texts of the records in one object's lists; its other fields go to `around`. Raises NotOneObjectError, and OverflowError."""
    text = _Text(file, longest)
    if not text.passes("{"):
        raise NotOneObjectError
    while not text.passes("}") and text.mark():
        if text.passes(",:"):
            continue
        key = text.take(":,}").strip()
        text.passes(":")
        if text.mark() == "[" and text.mark(behind=1) == "{":
            text.passes("[")
            yield from text.elements()
        elif (field := json_object(f"{{{key}:{text.take(',}')}}}")) is not None:
            around |= field
    if text.mark():
        raise NotOneObjectError
