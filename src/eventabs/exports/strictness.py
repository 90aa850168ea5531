"""A reading that ends at the first row that cannot be read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from textwrap import shorten
from typing import Final

import duckdb

from eventabs.errors import InputError
from eventabs.exports.row_texts import nth_row, texts_by_line
from eventabs.exports.sources import BLANK, Source
from eventabs.language import gettext as _

_REFUSED: Final = "refused row: "  # how DuckDB is told to stop, and how that is known again
_SHOWN: Final = 200  # characters
_LIMITS: Final = (" LIMIT 10000", " LIMIT 1000000", "")  # DuckDB reads far beyond a row that it looks for
_UNREADABLE: Final = f"reason IS NOT NULL AND reason <> '{BLANK}'"


class UnreadableRowError(Exception):
    """The first row that cannot be read: its number in the file, its line where that is known, and the reason."""

    def __init__(self, number: int, line: int | None, reason: str) -> None:
        super().__init__(number, line, reason)
        self.number = number
        self.line = line
        self.reason = reason


def refusing(select: str) -> str:
    """Return the SELECT of rows in normal form, which DuckDB breaks off soon after a row that cannot be read."""
    return (
        f"SELECT * REPLACE (CASE WHEN {_UNREADABLE} THEN error('{_REFUSED}' || reason) ELSE reason END AS reason)"
        f" FROM ({select})"
    )


@contextmanager
def first_reject_found(
    connection: duckdb.DuckDBPyConnection, select: Callable[[str], str], values: Sequence[object]
) -> Iterator[None]:
    """Raise UnreadableRowError where a refusing SELECT broke off; `select` makes it anew, of rows under a LIMIT.

    Rows are read by several threads, so the one that DuckDB met need not be the first one.
    """
    try:
        yield
    except duckdb.InvalidInputException as error:
        if _REFUSED not in str(error):
            raise
        with closing(connection.cursor()) as cursor:  # the transaction of the other one has failed
            for limit in _LIMITS:
                found = cursor.execute(
                    f"""SELECT number, line, reason
                    FROM (SELECT row_number() OVER () AS number, line, reason FROM ({select(limit)}))
                    WHERE {_UNREADABLE} LIMIT 1""",
                    list(values),
                ).fetchone()
                if found:
                    raise UnreadableRowError(*found) from None
        raise


def refusal(connection: duckdb.DuckDBPyConnection, source: Source, row: UnreadableRowError) -> InputError:
    """Return the error that names the row with its text."""
    if row.line is None:
        line, text = nth_row(connection, source, row.number)
    else:
        line, text = next(
            each for each in texts_by_line(connection, source, tidied=True) if each[0] == row.line
        )
    message = _("{file}, line {line} cannot be read ({reason}): {text}; mend it, or go without --strict")
    return InputError(
        message.format(
            file=source.path, line=line, reason=row.reason, text=shorten(text, _SHOWN, placeholder=" ...")
        )
    )
