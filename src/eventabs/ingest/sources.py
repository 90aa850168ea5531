"""One input file: its format and columns, and how DuckDB reads it as rows of text."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from eventabs.errors import InputError
from eventabs.ingest import files
from eventabs.ingest.files import Content
from eventabs.language import gettext as _

# Alibaba's UserBehavior: user, item, category, pv/buy/cart/fav, epoch seconds
_SHAPES: Final[dict[tuple[str, ...], re.Pattern[str]]] = {
    ("user_id", "item_id", "category_id", "behavior_type", "timestamp"): re.compile(
        r"\d+,\d+,\d+,(?:pv|buy|cart|fav),\d{9,10}"
    ),
}
_TRIED: Final = 20  # lines
_SHARE: Final = 0.8


def known_shape(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a well-known export that has no header, () for any other."""
    tried = [line.strip() for line in lines if line.strip()][:_TRIED]
    for columns, shape in _SHAPES.items():
        if tried and shape.fullmatch(tried[0]):
            fitting = sum(bool(shape.fullmatch(line)) for line in tried)
            if fitting >= _SHARE * len(tried):
                return columns
    return ()


def find_dialect(lines: Sequence[str], delimiters: str) -> tuple[str, str]:
    """Return the delimiter and the quote that fit the first lines best."""
    tried = [line.replace("\r", " ").rstrip() for line in lines if line.strip()][:_TRIED]
    first = tried[0] if tried else ""
    best = max(delimiters, key=lambda delimiter: _fit(tried, delimiter))
    fields = first.split(best)
    single = [len(field) > 1 and field[0] == field[-1] == "'" for field in fields]
    return best, "'" if any(single) and '"' not in first else '"'


def _fit(lines: Sequence[str], delimiter: str) -> tuple[int, float, int]:
    """Rank a delimiter: whether it splits the first line, how many lines alike, in how many fields."""
    widths = [len(next(csv.reader([line], delimiter=delimiter), [])) for line in lines]
    width = widths[0] if widths else 0
    return (int(width > 1), widths.count(width) / max(1, len(widths)), width)


Format = Literal["jsonl", "csv", "parquet"]
_JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")
_SAMPLE: Final = 1 << 18  # bytes looked at for the columns of a file's start
_WINDOWS: Final = 16  # places behind the start where JSON keys are looked for as well
_WINDOW: Final = 1 << 16
_USUAL_LINE: Final = 2 << 20  # bytes
BLANK: Final = "blank"  # the problem of a line of white space, which is no row at all
_WHITE: Final = "' \t\r\n\v\f\u00a0\u3000\ufeff'"  # an SQL literal
_WIDE_WHITE: Final = "(160, 12288, 65279)"
_DELIMITERS: Final = ",\t;|"
_NO_DELIMITER: Final = "\x01"  # not allowed in JSON text, so no readable line holds it


@dataclass(frozen=True, slots=True)
class Source:
    """An input file as it was found. `text` is what is read: the file at `path`, or a copy in plain form."""

    path: str
    format: Format
    delimiter: str  # "" for JSON lines and Parquet
    columns: tuple[str, ...]
    content: Content
    text: str
    quote: str = '"'
    header: bool = True


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT, the values bound to it, and the number of the line that its first row stands on.

    Its column `line` is NULL where row and line number go up together.
    """

    sql: str
    values: tuple[object, ...]
    first_line: int = 1


def open_source(path: str, content: Content, *, text: str = "", names: Sequence[str] = ()) -> Source:
    """Find format and columns of the file `path`, read at `text` if that is elsewhere.

    `names` are the columns of a CSV without a header. Raises InputError where format or columns are not found.
    """
    text = text or path
    lines = files.head(text, _SAMPLE)
    first = next((line for line in lines if line.strip()), "")
    if is_json(path, first):
        return Source(path, "jsonl", "", _json_keys(path, text, lines), content, text)
    delimiter, quote = find_dialect(lines, _DELIMITERS)
    fields = _header_fields(path, first, delimiter, quote)
    named = tuple(names) or known_shape(lines)
    if named and len(named) != len(fields):
        message = _("{path} has {found} fields in its first line, but --columns names {named}")
        raise InputError(message.format(path=path, found=len(fields), named=len(named)))
    return Source(path, "csv", delimiter, named or tuple(fields), content, text, quote, header=not named)


def _header_fields(path: str, line: str, delimiter: str, quote: str) -> list[str]:
    try:
        fields = next(csv.reader([line.replace("\r", " ")], delimiter=delimiter, quotechar=quote), [])
    except csv.Error as error:
        message = _(
            "{path}: the first line is no header ({error}); export the behaviors as JSON lines or CSV"
        )
        raise InputError(message.format(path=path, error=error)) from None
    return [name.strip() for name in fields]


def is_json(path: str, first_line: str) -> bool:
    """Whether a file is JSON, by its first line or else its name."""
    name = Path(path).name.lower().removesuffix(".gz").removesuffix(".zst")
    return first_line.lstrip().startswith(("{", "[")) or name.endswith(_JSON_SUFFIXES)


def quoted(text: str) -> str:
    """Return `text` as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def trimmed(text: str) -> str:
    """Return SQL for the SQL expression `text` without white space around it, NULL if nothing is left.

    `trim` with a set of characters is slow, so it is called only where the text's ends ask for it; and so is a
    character's look-up in a list, which this does for every field.
    """
    begins_white = f"{text} < '!' OR ({text} >= '\u00a0' AND unicode({text}) IN {_WIDE_WHITE})"
    ends_white = f"contains({_WHITE}, {text}[-1])"
    return f"CASE WHEN {begins_white} OR {ends_white} THEN nullif(trim({text}, {_WHITE}), '') ELSE {text} END"


def as_glob(path: str) -> str:
    """Return the glob that matches this very path."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def rows(source: Source, wanted: Sequence[tuple[str, str]]) -> Query:
    """Return the rows of a file, in its order: line, problem (NULL for good rows) and `wanted`.

    `wanted` pairs a result's name with the column that it comes from, "" for none. A CSV file must have one
    record a line; DuckDB raises an error where a record has too few or too many fields.
    """
    match source.format:
        case "jsonl":
            return _json_rows(source, wanted)
        case "csv":
            return _csv_rows(source, wanted)
        case "parquet":
            return _parquet_rows(source, wanted)


def tidied_rows(source: Source, copy: Path, longest: int, wanted: Sequence[tuple[str, str]]) -> Query:
    """Return the rows of a copy that `tidy.tidy_csv` made, as `rows` would; `longest` bounds its rows' bytes."""
    names = ["line", "problem", *(f"c{position}" for position in range(len(source.columns)))]
    reader = _csv_reader(names, ",", longest)
    fields = _csv_fields(source, wanted)
    return Query(
        f"SELECT CAST(line AS BIGINT) AS line, problem, {fields} FROM {reader}",
        (as_glob(str(copy)),),
    )


def _json_rows(source: Source, wanted: Sequence[tuple[str, str]]) -> Query:
    """Read lines as such, and mark the blank and broken ones, so that all keep their numbers.

    Rows are not numbered here: DuckDB does that on a single thread.
    """
    keys = list(dict.fromkeys(key for _name, key in wanted if key))
    pointers = ", ".join(quoted(_pointer(key)) for key in keys)
    fields = ", ".join(
        f'fields[{keys.index(key) + 1}] AS "{name}"' if key else f'NULL::VARCHAR AS "{name}"'
        for name, key in wanted
    )
    return Query(
        f"""SELECT NULL::BIGINT AS line, {fields},
            CASE WHEN text IS NULL THEN '{BLANK}'
                WHEN fields IS NULL THEN CASE WHEN {trimmed("text")} IS NULL THEN '{BLANK}' ELSE 'bad_json' END
                WHEN fields[1] IS NULL AND json_type(text) <> 'OBJECT' THEN 'not_an_object' END AS problem
        FROM (
            SELECT text, try(json_extract_string(text, [{pointers}])) AS fields
            FROM read_csv(?, auto_detect = false, header = false, delim = '{_NO_DELIMITER}', quote = '',
                escape = '', columns = {{'text': 'VARCHAR'}}, strict_mode = false,
                compression = 'none'{_buffers(source.content.longest)})
        )""",
        (as_glob(source.text),),
    )


def _parquet_rows(source: Source, wanted: Sequence[tuple[str, str]]) -> Query:
    fields = ", ".join(
        f'CAST({_identifier(column)} AS VARCHAR) AS "{name}"' if column else f'NULL::VARCHAR AS "{name}"'
        for name, column in wanted
    )
    return Query(
        f"SELECT NULL::BIGINT AS line, NULL::VARCHAR AS problem, {fields} FROM read_parquet(?)",
        (as_glob(source.text),),
    )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _csv_rows(source: Source, wanted: Sequence[tuple[str, str]]) -> Query:
    names = [f"c{position}" for position in range(len(source.columns))]
    reader = _csv_reader(
        names, source.delimiter, source.content.longest, quote=source.quote, header=source.header
    )
    return Query(
        f"SELECT NULL::BIGINT AS line, NULL::VARCHAR AS problem, {_csv_fields(source, wanted)} FROM {reader}",
        (as_glob(source.text),),
        first_line=2 if source.header else 1,
    )


def _csv_reader(
    names: Sequence[str], delimiter: str, longest: int, *, quote: str = '"', header: bool = False
) -> str:
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    return (
        f"read_csv(?, auto_detect = false, header = {header}, delim = {quoted(delimiter)},"
        f" quote = {quoted(quote)}, escape = {quoted(quote)}, columns = {{{columns}}}, compression = 'none'{_buffers(longest)})"
    )


def _csv_fields(source: Source, wanted: Sequence[tuple[str, str]]) -> str:
    return ", ".join(
        f'c{source.columns.index(column)} AS "{name}"' if column else f'NULL::VARCHAR AS "{name}"'
        for name, column in wanted
    )


def _buffers(longest: int) -> str:
    """Make room for the longest line. Beyond the usual that costs so much memory that one thread reads.

    Of DuckDB's own, eight times larger buffers a file of 30 MB is one, which a single thread reads.
    """
    line = max(longest, _USUAL_LINE)
    room = f", max_line_size = {line}, buffer_size = {2 * line}"
    return room if longest <= _USUAL_LINE else f"{room}, parallel = false"


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _json_keys(path: str, text: str, lines: Sequence[str]) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for line in (*lines, *files.windows(text, _WINDOWS, _WINDOW)):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            keys.update(dict.fromkeys(record))
    if not keys:
        message = _(
            "{path} has no line that is a JSON object; write one object a line, or a CSV with a header"
        )
        raise InputError(message.format(path=path))
    return tuple(keys)
