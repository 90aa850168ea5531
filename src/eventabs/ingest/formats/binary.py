"""Binary formats: Parquet; workbooks, whose sheets are copied as CSV; SQLite and DuckDB, a table or view of which is copied as CSV and Parquet."""

import re
import sqlite3
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from datetime import date, datetime, time, timedelta
from functools import partial, reduce
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import duckdb

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.column_names import fit, words_of
from eventabs.ingest.files_archives_encodings import BROKEN, refuse_bomb
from eventabs.ingest.formats.base import Format, InputFile, Query, Wanted
from eventabs.ingest.formats.csv_logs_chats import Csv, filled_width, is_summary
from eventabs.ingest.normal_form import ALONE, MONTHS, as_glob, errors_named, fetched, quoted
from eventabs.interface_language import gettext as _

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_BREAKS: Final = re.compile(r"[\r\n\0]+")  # in a cell or field, which becomes part of a line
_AS_TEXT: Final = ("HUGEINT", "UHUGEINT", "BIT", "TIME WITH TIME ZONE")  # Parquet rounds or lacks these
# calamine keeps all cells between the first and the last row and column, about 90 bytes each.
_MOST_CELLS: Final = 16_000_000
_LONGEST_REFERENCE: Final = 32  # bytes
_COLUMN_OF: Final = re.compile(rb' r="([A-Z]{1,3})[0-9]')
_ROW_OF: Final = re.compile(rb' r="[A-Z]{0,3}([0-9]+)"')
_SHEET: Final = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_NAMED: Final = 0.6  # how well a column's name fits a role
_TELLING: Final = ("user", "time", "action", "text", "item", "duration", "end")
_WHO_AND_WHEN: Final = {"user", "time"}
_LOOKED_AT: Final = 200  # rows
_LEAST: Final = 20  # rows, of which a share says something
_WITH_HOUR: Final = re.compile(r"^\d{9,}|[T ](?!00:00(?::00(?:\.0+)?)?$)\d\d?:")
_MOST_OF_A_SUM: Final = 2  # cells of a row of sums between joined sheets
# in the names of sheets that are one table
_COUNTED_UP: Final = rf"(?i)\d+|[一二三四五六七八九十]+(?=[月季周])|(?<![a-z])(?:{MONTHS})(?![a-z])"
_DAYS: Final = range(29_000, 60_000)  # of a workbook: 1979 to 2064
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001  a wall time
_UTF_16: Final = (1200).to_bytes(2, "little")
_EXACT: Final = 1e15  # smaller numbers are exact as integers

_Cell = float | str | bool | time | date | datetime | timedelta


class Parquet(Format):
    """A Parquet file. Row numbers replace line numbers, and JSON replaces text."""

    def find_columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        self._rows = f"read_parquet({quoted(as_glob(self.file.text))})"
        with errors_named(self.file.path):
            described = self.file.connection.execute(f"DESCRIBE SELECT * FROM {self._rows}")
        self._texts: dict[str, str] = {}  # the SQL of each column as text; structs, lists and maps as JSON
        for name, kind, *_rest in described.fetchall():
            is_nested = kind.startswith(("STRUCT", "MAP")) or kind.endswith("]")
            value = f"to_json({_identifier(name)})" if is_nested else _identifier(name)
            self._texts[name] = f"CAST({value} AS VARCHAR)"
        return tuple(self._texts)

    def query(self, wanted: Wanted) -> Query:
        """Return the rows, all values as text."""
        return Query(self.select(self._rows, wanted, self._texts.__getitem__, "NULL::VARCHAR"))

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each row's number and the row as JSON."""
        with closing(self.file.connection.cursor()) as cursor:
            cursor.execute(f"SELECT to_json(r)::VARCHAR FROM {self._rows} AS r")
            for number, (text,) in enumerate(fetched(cursor), start=1):
                yield number, text


class Sqlite(Csv):
    """A table or view of a SQLite file. A row's number is its line in the copy, which has a header."""

    def __init__(self, file: InputFile) -> None:
        address = Path(file.text).absolute().as_uri()
        try:
            with closing(sqlite3.connect(f"{address}?mode=ro", uri=True)) as connection:
                connection.text_factory = lambda raw: _BREAKS.sub(" ", raw.decode(errors="replace"))
                named = """SELECT name FROM sqlite_schema
                    WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"""
                found = connection.execute(named).fetchall()
                query = "SELECT name FROM pragma_table_info(?)"
                tables = {name: [each for (each,) in connection.execute(query, [name])] for (name,) in found}
                sources = {name: _identifier(name) for name in tables}
                table, self.left_tables = chosen_table(file, tables, sources, connection)
                rows = connection.execute(f"SELECT * FROM {sources[table]}")
                names = tuple(name for name, *_rest in rows.description)
                # without pictures, for example
                kept = ([None if isinstance(value, bytes) else value for value in row] for row in rows)
                # its rows say whether it is the same: new ones may lie in a file beside it
                copy = file.as_csv(chain([names], kept), is_same=False)
        except sqlite3.Error as error:
            message = _("{path} cannot be read ({error}); close the program that uses it, or copy the file")
            raise InputError(message.format(path=file.path, error=error)) from None
        super().__init__(copy, names, has_header=True)


class DuckDb(Parquet):
    """A table or view of a DuckDB file."""

    def __init__(self, file: InputFile) -> None:
        copy = file.copy.with_suffix(".table")
        path = str(Path(file.text).absolute())  # DuckDB takes a leading ~ for the home folder
        with errors_named(file.path), duckdb.connect(path, read_only=True, config=ALONE) as connection:
            # a view may read files that the user did not name
            connection.execute("SET allowed_directories = ?", [[str(copy.parent.absolute())]])
            connection.execute("SET enable_external_access = false")
            query = """SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()
                WHERE NOT internal AND database_name = current_database() ORDER BY table_oid, column_index"""
            tables: dict[str, dict[str, str]] = {}
            sources: dict[str, str] = {}
            for schema, table, column, kind in connection.execute(query).fetchall():
                name = table if schema == "main" else f"{schema}.{table}"
                tables.setdefault(name, {})[column] = kind
                sources[name] = f"{_identifier(schema)}.{_identifier(table)}"
            name, self.left_tables = chosen_table(file, tables, sources, connection)
            rounded = [_identifier(column) for column, kind in tables[name].items() if kind in _AS_TEXT]
            texts = ", ".join(f"CAST({each} AS VARCHAR) AS {each}" for each in rounded)
            select = f"SELECT *{f' REPLACE ({texts})' if rounded else ''} FROM {sources[name]}"
            with file.stop.calling(connection.interrupt):
                connection.execute(f"COPY ({select}) TO {quoted(str(copy))} (FORMAT parquet)")
        super().__init__(file.of_copy(copy, is_same=False, binary=True))


def chosen_table(
    file: InputFile,
    tables: Mapping[str, Collection[str]],  # their columns
    sources: Mapping[str, str],  # what a query calls them
    connection: sqlite3.Connection | duckdb.DuckDBPyConnection,
) -> tuple[str, dict[str, Collection[str]]]:
    """Return the table that the user named, or the one with a time whose users come back, and the columns of the others. Raises InputError."""
    listed = shorten(", ".join(tables), 300, placeholder=" ...")
    if table := file.settings.table:
        if table not in tables:
            message = _("{path} has no table {table} ([input] table); it has: {tables}")
            raise InputError(message.format(path=file.path, table=table, tables=listed))
        return table, {}
    told = {name: _roles(file, columns) for name, columns in tables.items()}
    timed = [name for name, roles in told.items() if "time" in roles]
    of_users = [] if file.settings.user else [name for name in timed if "user" in told[name]]
    # the ids of a list of people stand for them in other tables
    ids = {each for name in of_users for each in tables[name] if words_of(each)[1:][-1:] == ("id",)}
    ranks: dict[str, tuple[int, ...]] = {}
    for name in timed:
        best = {role: max(tables[name], key=partial(_fit, file, role)) for role in _WHO_AND_WHEN}
        others = filter(ids.__contains__, [*tables[name]][1:])
        user = best["user"] if name in of_users else next(others, "")
        fields = f"{_identifier(user)}, {_identifier(best['time'])}" if user else "1, 1"
        found: list[tuple[Any, ...]] | None = None
        with suppress(sqlite3.Error, duckdb.Error):  # a broken view
            found = connection.execute(f"SELECT {fields} FROM {sources[name]} LIMIT 10000").fetchall()
        held = [(who, str(when)) for who, when in found or () if who is not None and when is not None]
        rows = len(held) if len(held) >= _LEAST else 0
        comes_back = 1 < len({who for who, _when in held}) <= rows / 2
        has_hours = rows and sum(bool(_WITH_HOUR.search(when)) for _who, when in held) > rows / 2
        if name in of_users or comes_back:
            ranks[name] = (comes_back, name in of_users, has_hours, len(told[name] - {"user"}), rows)
        elif not of_users and found is not None:
            # the file is one person's, and the widest table has the rows that others count
            ranks[name] = (rows > 0, len(told[name]), len(tables[name]))
    first = [name for name, rank in ranks.items() if rank == max(ranks.values())]
    if len(first) == 1:
        return first[0], {name: tables[name] for name in ranks if name != first[0]}
    if len(tables) == 1:
        return next(iter(tables)), {}
    message = _("{path} has no table with a user and a time; name one: [input] table; it has: {tables}")
    if first:
        message = _("{path} has several tables with a time; name one: [input] table; it has: {tables}")
        listed = ", ".join(ranks)
    raise InputError(message.format(path=file.path, tables=listed or _("none")))


def _fit(file: InputFile, role: str, column: str) -> float:
    """How well a column's name fits a role; what ends like `visited_at` is a time."""
    is_at = role == "time" and words_of(column)[1:][-1:] == ("at",)
    is_named = column == getattr(file.settings.columns, role)
    return 2.0 if is_named else max(fit(column, role), 1.1 * _NAMED * is_at)


def _roles(file: InputFile, columns: Collection[str]) -> set[str]:
    return {role for role in _TELLING if any(_fit(file, role, each) > _NAMED for each in columns)}


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Excel(Csv):
    """An Excel workbook. Titles and sums are found as in CSV; rows keep the sheet's numbers, those of further sheets go on."""

    def __init__(self, file: InputFile) -> None:
        super().__init__(file.as_csv(map(_cell_text, cells) for cells in _with_dates(self._rows(file))))

    def _rows(self, file: InputFile) -> Iterator[list[_Cell]]:
        try:
            import python_calamine  # noqa: PLC0415  an extra
        except ImportError:
            message = _("{path} is an Excel workbook; install what reads it: pip install 'eventabs[excel]'")
            raise InputError(message.format(path=file.path)) from None
        try:
            _refuse_vast(file)
            with python_calamine.load_workbook(_in_utf_16(Path(file.text))) as workbook:
                sheet, header = self._sheet(file, workbook)
                if not self.joined_sheets:
                    yield from sheet.iter_rows()
                for name in self.joined_sheets:  # sums would stand between the rows
                    is_above = name != self.joined_sheets[0]
                    for cells in workbook.get_sheet_by_name(name).iter_rows():
                        is_sum = is_summary([str(cell) for cell in cells])
                        if is_above or (is_sum and sum(map(bool, cells)) <= _MOST_OF_A_SUM):
                            is_header = cells[: filled_width(cells)] == header
                            self.skipped_lines += any(cells) and not is_header
                            is_above = is_above and not is_header
                        else:
                            yield cells
        except python_calamine.PasswordError:
            message = _("{path} is protected by a password; save it without one")
            raise InputError(message.format(path=file.path)) from None
        except (python_calamine.CalamineError, *BROKEN, OSError) as error:
            message = _("{path} is no workbook that can be read ({error}); save it as .xlsx or CSV")
            raise InputError(message.format(path=file.path, error=str(error).partition("\n")[0])) from None

    def _sheet(self, file: InputFile, workbook: "CalamineWorkbook") -> tuple["CalamineSheet", list[_Cell]]:
        """Return a sheet and its header, and keep which are one table with it, and which others have a user and a time. Raises InputError.

        It is the one that the user named, or the first one with rows, no hidden one, cover or grid of days if it can. With the same header,
        and names that differ in a number or a month, sheets are one table: 2026-01, 2026-02; Sheet1, Sheet2.
        """
        names, wanted = workbook.sheet_names, file.settings.sheet
        if wanted and wanted not in names:
            message = _("{path} has no sheet {sheet} ([input] sheet); it has: {names}")
            raise InputError(message.format(path=file.path, sheet=wanted, names=", ".join(names)))
        told, unnamed, long = dict[str, set[str]](), "", set[str]()
        kinds: dict[str, tuple[list[_Cell], str]] = {}
        kept: dict[str, CalamineSheet] = {}  # the first one with rows, which is mostly read
        hidden = {each.name for each in workbook.sheets_metadata if "Hidden" in str(each.visible)}
        for name in [wanted] if wanted else sorted(names, key=hidden.__contains__):
            sheet = workbook.get_sheet_by_name(name)
            if rows := list(islice(sheet.iter_rows(), _LOOKED_AT)):
                words = [[cell for cell in cells if cell and isinstance(cell, str)] for cells in rows]
                at = max(range(len(rows)), key=lambda at: len(_roles(file, words[at])))
                told[name] = _roles(file, words[at])
                long |= {name} if len(rows) >= _LEAST else set()
                kinds[name] = (rows[at][: filled_width(rows[at])], re.sub(_COUNTED_UP, "", name))
                times = {
                    each for each in words[at] if max(_fit(file, "time", each), fit(each, "date")) > _NAMED
                }
                columns = zip(*rows[at:], strict=False)
                held = [sum(cell != "" for cell in column) for column in columns if column[0] in times]
                if held and 10 * max(held) < sum(map(any, rows[at:])):
                    told[name] -= {"time"}  # above a grid of days
                if not (kept or told[name] & _WHO_AND_WHEN) and name in long:
                    told[name], unnamed = {*_WHO_AND_WHEN}, name  # no cover: its names say nothing here
                kept = kept or {name: sheet}
        if not told:
            message = _("{path} has no sheet with rows; name another: [input] sheet")
            raise InputError(message.format(path=file.path))
        named = long - {unnamed} if unnamed else set()
        chosen = max(told, key=lambda name: (len(told[name] & _WHO_AND_WHEN), name in named))
        others = sorted(told.keys() - hidden - {chosen}, key=names.index)
        # where the user is known, a sheet may be a person's
        is_known = bool(file.settings.user)
        alike = [chosen, *(name for name in others if kinds[name] == kinds[chosen] and not is_known)]
        needed = {"time"} if is_known else _WHO_AND_WHEN
        self.left_sheets = [name for name in told if told[name] >= needed and name not in alike]
        self.joined_sheets = alike if alike[1:] else []
        return kept.get(chosen) or workbook.get_sheet_by_name(chosen), kinds[chosen][0]


def _in_utf_16(path: Path) -> Path | BytesIO:
    """Return a workbook; one of Excel 97 with UTF-16 as its code page: time clocks write another, which calamine believes.

    [MS-XLS] 2.4.52 allows no other; calamine's issue 229.
    """
    with path.open("rb") as file:
        head = file.read(1 << 16)
        begin = head.find(b"\x09\x08\x10\0\0\x06\x05\0")  # BOF of the workbook
        at = head.find(b"\x42\0\x02\0", begin, begin + 4096) + 4  # CodePage
        if begin < 0 or at < begin or head[at : at + 2] == _UTF_16:
            return path
        return BytesIO(head[:at] + _UTF_16 + head[at + 2 :] + file.read())


def _with_dates(rows: Iterator[list[_Cell]]) -> Iterator[list[_Cell]]:
    """Yield the rows with dates for the numbers of days in a column of times, where the first rows have no other numbers there."""
    first = list(islice(rows, _LOOKED_AT))
    named = ([number for number, cell in enumerate(cells) if _names_time(cell)] for cells in first)
    times = [
        number
        for number in next(filter(None, named), [])
        # milliseconds of `response time` go beyond
        if all(_is_day(each) for cells in first for each in cells[number:][:1] if isinstance(each, float))
    ]
    for cells in chain(first, rows):
        for number in times:
            if number < len(cells) and _is_day(cell := cells[number]):
                cells[number] = _EPOCH + timedelta(seconds=round(cell * 86400))
        yield cells


def _names_time(cell: _Cell) -> bool:
    return isinstance(cell, str) and max(fit(cell, role) for role in ("time", "date", "end")) > _NAMED


def _is_day(cell: _Cell) -> TypeGuard[float]:
    return isinstance(cell, float) and _DAYS.start <= cell < _DAYS.stop


def _refuse_vast(file: InputFile) -> None:
    """Raise InputError if a sheet has too many cells: one cell far out would take all memory."""
    if not zipfile.is_zipfile(file.text):
        return
    with zipfile.ZipFile(file.text) as parts:
        refuse_bomb(file.path, Path(file.text).stat().st_size, parts.infolist())
        for part in parts.infolist():
            if _SHEET.fullmatch(part.filename):
                columns, last_row, rest = {b"A"}, 1, b""
                with parts.open(part) as sheet:
                    while chunk := sheet.read(1 << 20):
                        text = rest + chunk
                        columns.update(_COLUMN_OF.findall(text))
                        rest = text[-_LONGEST_REFERENCE:]
                        if rows := _ROW_OF.findall(text[text.rfind(b"<row", 0, -_LONGEST_REFERENCE) :]):
                            last_row = max(last_row, *map(int, rows))
                letters = max(columns, key=lambda column: (len(column), column))
                width = reduce(lambda number, letter: number * 26 + letter - ord("A") + 1, letters, 0)
                cells = width * min(last_row, 1 << 20)  # of the largest sheet
                if cells > _MOST_CELLS:
                    message = _("{path} has a sheet of {cells} million cells; save it as CSV")
                    raise InputError(message.format(path=file.path, cells=cells // 1_000_000))


def _cell_text(cell: _Cell) -> str:
    match cell:
        case str():
            return _BREAKS.sub(" ", cell)
        case bool():
            return str(cell).lower()
        case float() | int():
            return str(int(cell)) if abs(cell) < _EXACT and cell == int(cell) else str(cell)
        case datetime():
            return cell.isoformat(" ")
        case timedelta():
            seconds = round(cell.total_seconds())
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        case _:
            return cell.isoformat()
