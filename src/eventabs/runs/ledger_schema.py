"""What a ledger of unknown origin may not hold: views, triggers and virtual tables run as soon as it is read."""

import sqlite3
from pathlib import Path

from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _


def refuse_active(ledger: sqlite3.Connection, path: Path) -> None:
    """Raise RunDirectoryError where the schema has anything but tables and indices that hold rows."""
    found = ledger.execute(
        "SELECT name FROM sqlite_schema WHERE coalesce(rootpage, 0) = 0 LIMIT 1"
    ).fetchone()
    if found:
        message = _(
            "{path} was not written by eventabs alone: it has a view, trigger or virtual table named {name}; do not"
            " use this run directory"
        )
        raise RunDirectoryError(message.format(path=path, name=ascii(found[0])))
