"""Connections to a ledger's file, and what is said where it cannot be used."""

import os
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

FORMAT = 3
_PRIMARY_CODE = 0xFF
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA, _VIEWS = (
    resources.files("eventabs.store").joinpath(name).read_text("utf-8")
    for name in ("schema.sql", "views.sql")
)


@contextmanager
def making(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a ledger: what is written inside is there as a whole or not at all. One that is there is replaced.

    Raises StorageError.
    """
    fresh = path.with_name(path.name + ".new")
    with translated(path):
        for leftover in path.parent.glob(f"{fresh.name}*"):  # of a process killed here, its journal too
            leftover.unlink()
        file = open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with closing(
                sqlite3.connect(fresh.absolute().as_uri(), uri=True, isolation_level=None)
            ) as ledger:
                ledger.execute("PRAGMA journal_mode = OFF")
                ledger.execute("PRAGMA synchronous = OFF")
                ledger.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
                yield ledger
            os.fsync(file)
        except BaseException:
            fresh.unlink()
            raise
        finally:
            os.close(file)
        for suffix in ("-wal", "-shm"):  # SQLite would take them for the new file's
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.replace(path)


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


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA cell_size_check = ON")  # torn pages are an error, not a shorter result
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.executescript(_VIEWS)


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
            "{path} was written by another version of eventabs (format {found}, this one reads {known}); begin anew"
            " with: eventabs run INPUT --out DIR"
        )
        raise RunDirectoryError(message.format(path=path, found=found, known=FORMAT))


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Raise RunDirectoryError where the ledger, or a value in it, cannot be read; other faults stay what they are."""
    try:
        yield
    except (codec.StoredValueError, sqlite3.DatabaseError) as error:
        if str(error).startswith("no such "):  # column, table or function; SQLite has no code for it
            message = _(
                "{path} does not fit this version of eventabs ({error}); go on with the version that wrote it, or begin a new run"
            )
            raise RunDirectoryError(message.format(path=path, error=error)) from error
        if not is_damage(error):
            raise
        raise damaged(path) from error


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StorageError where the disk refuses, RunDirectoryError where the ledger is damaged."""
    with damage_reported(path):
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            if is_damage(error) or str(error).startswith("no such "):
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
    """Whether the content is at fault: what SQLite calls corrupt or no database, a text that is none, or a value."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    is_no_text = "Could not decode to UTF-8" in str(error)  # has no code
    return isinstance(error, codec.StoredValueError) or code in _DAMAGED or is_no_text
