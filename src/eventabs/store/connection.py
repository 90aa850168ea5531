"""Connections to a ledger's file, and what is said where it cannot be used."""

import os
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from eventabs.errors import RunDirectoryError
from eventabs.language import gettext as _
from eventabs.store import codec
from eventabs.store.directory import has_room, open_private, storage_error

FORMAT = 2
_VIEWS = resources.files("eventabs.store").joinpath("views.sql").read_text("utf-8")
LATER_TABLES = "".join(
    resources.files("eventabs.store").joinpath(name).read_text("utf-8")
    for name in ("additions.sql", "extensions.sql")
)
_LATER_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) (\(.*?\n\)[^;\n]*);", re.DOTALL)


def connect(path: Path) -> sqlite3.Connection:
    """Connect to read and write; what is committed is on the disk."""
    # the connection is handed to the one thread that writes; it is never used by two at a time
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closed_on_failure(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _prepare(connection)
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Connect without a right to write."""
    connection = sqlite3.connect(uri_to_read(path), uri=True, isolation_level=None)
    with closed_on_failure(connection):
        _prepare(connection)
    return connection


@contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection whose preparation fails: nobody else can."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def uri_to_read(path: Path) -> str:
    """Return the address of a ledger that is only read.

    On a read-only medium or a full disk, where SQLite cannot make its files beside a ledger, one that was closed in
    order is read without them. A reader may have left an empty write-ahead log.
    """
    mode, log = "mode=ro", path.with_name(path.name + "-wal")
    takes_files = os.access(path.parent, os.W_OK) and (
        has_room(path.parent) or path.with_name(path.name + "-shm").exists()
    )
    if not takes_files and not (log.exists() and log.stat().st_size):
        mode += "&immutable=1"
    return f"{path.absolute().as_uri()}?{mode}"


def imitate_later_tables(connection: sqlite3.Connection) -> None:
    """Give a ledger that is only read, and that an earlier version wrote, empty tables beside it that it lacks."""
    known = {name for (name,) in connection.execute("SELECT name FROM main.sqlite_schema")}
    for name, columns in _LATER_TABLE.findall(LATER_TABLES):
        if name not in known:
            connection.execute(f"CREATE TEMP TABLE {name} {columns}")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA cell_size_check = ON")  # torn pages are an error, not a shorter result
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.executescript(_VIEWS)


def add_later_columns(ledger: sqlite3.Connection) -> None:
    """Add the columns that came after the version which made the ledger."""
    for table, column, kind in (("calls", "tier", "TEXT"), ("spans", "days", "INTEGER")):
        names = {name for _number, name, *_facts in ledger.execute(f"PRAGMA main.table_info({table})")}
        if column not in names:
            ledger.execute(f"ALTER TABLE main.{table} ADD COLUMN {column} {kind}")


def refuse_foreign(ledger: sqlite3.Connection, path: Path) -> None:
    """Raise RunDirectoryError for another format, and for anything but tables and indices: it could run statements."""
    active = ledger.execute(
        "SELECT name FROM main.sqlite_schema WHERE coalesce(rootpage, 0) = 0 LIMIT 1"
    ).fetchone()
    if active:
        message = _(
            "{path} was not written by eventabs alone: it has a view, trigger or virtual table named {name}; do not"
            " use this run directory"
        )
        raise RunDirectoryError(message.format(path=path, name=ascii(active[0])))
    (found,) = ledger.execute("PRAGMA main.user_version").fetchone()
    if not found:  # a new ledger is there as a whole or not at all
        raise damaged(path)
    if found != FORMAT:
        message = _(
            "{path} was written by another version of eventabs (format {found}, this one reads {known})"
        )
        raise RunDirectoryError(message.format(path=path, found=found, known=FORMAT))


def back_up(path: Path, target: Path) -> None:
    """Copy a ledger as it is at this moment into a new file, also while it is written to.

    To copy the file would tear it: what was committed last stands in its write-ahead log. Raises StorageError, and
    RunDirectoryError where the ledger is damaged.
    """
    with translated(path), closing(connect_to_read(path)) as ledger:
        target.unlink(missing_ok=True)
        os.close(open_private(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            ledger.backup(copy)  # in one step: in several it begins anew whenever something is written


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Raise RunDirectoryError where the ledger, or a value in it, cannot be read; other faults stay what they are."""
    try:
        yield
    except (codec.StoredValueError, sqlite3.DatabaseError) as error:
        if not is_damage(error):
            raise
        if str(error).startswith("no such "):  # column, table or function; SQLite has no code for it
            message = _(
                "{path} does not fit this version of eventabs ({error}); go on with the version that wrote it, or begin a new run"
            )
            raise RunDirectoryError(message.format(path=path, error=error)) from error
        raise damaged(path) from error


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StorageError where the disk refuses, RunDirectoryError where the ledger is damaged."""
    with damage_reported(path):
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            if is_damage(error):
                raise
            raise storage_error(path, error) from error


def damaged(path: Path) -> RunDirectoryError:
    """Return the error for a ledger that does not hold together."""
    message = _(
        "{path} is damaged; events.jsonl beside it has what was done. Keep a copy, and save what else is left"
        " with: sqlite3 {quoted} .recover | sqlite3 saved.sqlite"
    )
    return RunDirectoryError(message.format(path=path, quoted=shlex.quote(str(path))))


def is_damage(error: Exception) -> bool:
    """Whether what the ledger holds is at fault: a value, a page, or a table or column that is not as it was made."""
    if isinstance(error, sqlite3.OperationalError):  # of the disk, unless the code is the general one
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR
    # the other subclasses of DatabaseError mean wrong statements
    return type(error) in (codec.StoredValueError, sqlite3.DatabaseError)
