"""Excel workbooks, written by xlsxwriter a row at a time."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.store.exports.rows import COLUMNS, Row, behaviors_text, times_of

if TYPE_CHECKING:
    import xlsxwriter

# Excel's own limits
_ROWS: Final = 1_048_575  # below the header
_CHARACTERS: Final = 32_767  # of a cell, counted in UTF-16
_FIRST_YEAR: Final = 1900

_WIDTHS: Final = {"user_id": 16, "start": 19, "end": 19, "summary": 48}


def write_workbook(rows: Iterable[Row], target: Path) -> None:
    """Write events as a workbook; times are wall times, a text longer than a cell is cut and ends in `…`.

    Events that a sheet has no room for go to a further one. Raises UsageError where xlsxwriter is missing.
    """
    try:
        import xlsxwriter  # noqa: PLC0415  an extra
        from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415  an extra
    except ImportError:
        message = _("{format} needs a package; install it: pip install 'eventabs[excel]'")
        raise UsageError(message.format(format="xlsx")) from None
    options = {"constant_memory": True, "use_zip64": True, "tmpdir": str(target.parent)}
    try:
        with xlsxwriter.Workbook(str(target), options) as book:
            _write_sheets(book, rows)
    except FileCreateError as error:
        raise error.args[0] from error  # the system's own


def _write_sheets(book: "xlsxwriter.Workbook", rows: Iterable[Row]) -> None:
    time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    bold = book.add_format({"bold": True})
    rest = iter(rows)
    name, number = "events", 1
    while True:
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for column, title in enumerate(COLUMNS):
            sheet.set_column(column, column, _WIDTHS.get(title, 12))
            sheet.write_string(0, column, title, bold)
        written = 0
        for written, row in enumerate(islice(rest, _ROWS), 1):
            _write_row(sheet, written, row, time)
        sheet.autofilter(0, 0, written, len(COLUMNS) - 1)
        if written < _ROWS:
            return
        number += 1
        name = f"events {number}"


def _write_row(sheet: Any, number: int, row: Row, time: Any) -> None:  # noqa: ANN401  xlsxwriter has no types
    start, end = map(_date, times_of(row))
    values = {**row, "start": start, "end": end, "behaviors": behaviors_text(row)}
    for column, name in enumerate(COLUMNS):
        match values[name]:
            case bool(value):
                sheet.write_boolean(number, column, value)
            case datetime() as moment:
                sheet.write_datetime(number, column, moment, time)
            case value:  # never a formula, whatever it begins with
                sheet.write_string(number, column, _cell(str(value)))


def _date(moment: datetime) -> datetime | str:
    wall_time = moment.replace(tzinfo=None)
    return wall_time if wall_time.year >= _FIRST_YEAR else wall_time.isoformat()


def _cell(text: str) -> str:
    if text.startswith("<r>"):
        text = f" {text}"  # xlsxwriter would take it for its own markup
    text = text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")  # which XML cannot hold
    if len(text.encode("utf-16-le")) <= 2 * _CHARACTERS:
        return text
    return text.encode("utf-16-le")[: 2 * _CHARACTERS - 2].decode("utf-16-le", "ignore") + "…"
