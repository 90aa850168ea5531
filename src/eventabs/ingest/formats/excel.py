"""Excel workbooks: one sheet, copied as CSV, one line for each row."""

import csv
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from eventabs.errors import InputError
from eventabs.ingest import files
from eventabs.ingest.files import is_workbook, refuse_bomb
from eventabs.ingest.formats.base import BREAKS, InputFile
from eventabs.ingest.formats.csv import Csv
from eventabs.language import gettext as _

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook


_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # begins .xls files, and .xlsx files with a password
# calamine keeps all cells between the first and the last row and column, about 90 bytes each.
MOST_CELLS: Final = 16_000_000
_ROWS: Final = 1 << 20  # of the largest sheet
_CHUNK: Final = 1 << 20
_LONGEST_REFERENCE: Final = 32  # bytes
_COLUMN: Final = re.compile(rb' r="([A-Z]{1,3})[0-9]')
_ROW: Final = re.compile(rb' r="[A-Z]{0,3}([0-9]+)"')
_SHEET: Final = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_EXACT: Final = 1e15  # smaller numbers are exact as integers

_Cell = float | str | bool | time | date | datetime | timedelta


class Excel(Csv):
    """An Excel workbook. Titles and sums are found as in CSV; rows keep the sheet's numbers."""

    is_text: ClassVar[bool] = False

    def __init__(self, file: InputFile) -> None:
        copy = file.copy_named("sheet")
        with copy.open("w", encoding="utf-8", newline="") as target:
            rows = (list(map(_text, cells)) for cells in file.stop.until(_rows(file)))
            csv.writer(target, lineterminator="\n").writerows(rows)
        content = replace(files.inspect(str(copy)), sha256=file.content.sha256)
        super().__init__(replace(file, text=str(copy), content=content))

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  the content alone decides
        """Whether the file begins like a workbook, old or new."""
        return start.startswith(_OLE) or is_workbook(start)


def _rows(file: InputFile) -> Iterator[list[_Cell]]:
    try:
        import python_calamine  # noqa: PLC0415  an extra
    except ImportError:
        message = _("{path} is an Excel workbook; install what reads it: pip install 'eventabs[excel]'")
        raise InputError(message.format(path=file.path)) from None
    try:
        _refuse_vast(file)
        with python_calamine.load_workbook(file.text) as workbook:
            yield from _sheet(file, workbook).iter_rows()
    except python_calamine.PasswordError:
        message = _("{path} is protected by a password; save it without one")
        raise InputError(message.format(path=file.path)) from None
    except (python_calamine.CalamineError, zipfile.BadZipFile, OSError) as error:
        message = _("{path} is no workbook that can be read ({error}); save it as .xlsx or CSV")
        raise InputError(message.format(path=file.path, error=str(error).partition("\n")[0])) from None


def _sheet(file: InputFile, workbook: "CalamineWorkbook") -> "CalamineSheet":
    """Return the sheet that the user named, or the first one with rows. Raises InputError."""
    names = workbook.sheet_names
    if file.sheet and file.sheet not in names:
        message = _("{path} has no sheet {sheet} ([input] sheet); it has: {names}")
        raise InputError(message.format(path=file.path, sheet=file.sheet, names=", ".join(names)))
    for name in [file.sheet] if file.sheet else names:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.height:
            return sheet
    message = _("{path} has no sheet with rows; name another: [input] sheet")
    raise InputError(message.format(path=file.path))


def _refuse_vast(file: InputFile) -> None:
    """Raise InputError if a sheet has too many cells: one cell far out would take all memory."""
    if not zipfile.is_zipfile(file.text):
        return
    with zipfile.ZipFile(file.text) as parts:
        refuse_bomb(file.path, Path(file.text).stat().st_size, parts.infolist())
        for part in parts.infolist():
            if _SHEET.fullmatch(part.filename):
                with parts.open(part) as sheet:
                    cells = _cells(iter(lambda: sheet.read(_CHUNK), b""))
                if cells > MOST_CELLS:
                    message = _("{path} has a sheet of {cells} million cells; save it as CSV")
                    raise InputError(message.format(path=file.path, cells=cells // 1_000_000))


def _cells(chunks: Iterator[bytes]) -> int:
    """Return the number of cells between the first and the last one in the XML of a sheet."""
    columns = {b"A"}
    last_row = 1
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        columns |= set(_COLUMN.findall(text))
        rest = text[-_LONGEST_REFERENCE:]
        if rows := _ROW.findall(text[text.rfind(b"<row", 0, -_LONGEST_REFERENCE) :]):
            last_row = max(last_row, *map(int, rows))
    widest = max(columns, key=lambda column: (len(column), column))
    width = 0
    for letter in widest:
        width = width * 26 + letter - ord("A") + 1
    return width * min(last_row, _ROWS)


def _text(cell: _Cell) -> str:
    match cell:
        case str():
            return BREAKS.sub(" ", cell)
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
