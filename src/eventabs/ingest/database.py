"""DuckDB on disk, small in memory, without access to the network and other files; and the SQL that all share."""

import errno
import glob
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any, Final

import duckdb

from eventabs.errors import InputError, out_of_memory
from eventabs.ingest.files import copies_written, no_room
from eventabs.language import gettext as _
from eventabs.stop import Stop

_DISK_IS_FULL: Final = ("No space left", "Could not write", "failed to offload")
MEMORY_LIMIT: Final = "600MB"  # with 500 MB, 46 million rows cannot be sorted any more
_LESS_MEMORY: Final = "250MB"  # once rows are sorted, DuckDB fills what it may with pages that are read once
_MOST_THREADS: Final = 4  # each thread takes its share of the memory limit
_FETCHED: Final = 10_000  # rows in Python at a time
WHITE: Final = "' \t\r\n\v\f\u00a0\u3000\ufeff'"  # an SQL literal
as_glob: Final = glob.escape  # the glob that matches exactly this path


@contextmanager
def scratch_database(
    folder: Path, readable: Sequence[str], stop: Stop = Stop()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database in `folder`. It may read the files `readable` and nothing else.

    The folder is created, and removed afterwards. At a requested `stop`, statements raise StopRequested.
    """
    folder = folder.absolute()  # DuckDB takes a leading ~ for the home folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": MEMORY_LIMIT,
        "threads": min(os.cpu_count() or 1, _MOST_THREADS),
        "temp_directory": str(folder / "spill"),
        # line numbers and the final scan rely on rows staying in order
        "preserve_insertion_order": True,
    }
    try:
        with duckdb.connect(folder / "behaviors.duckdb", config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # in notebooks without ipywidgets there is none to switch off
            with suppress(duckdb.InvalidInputException):
                connection.execute("SET enable_progress_bar = false")
            connection.execute("SET allowed_paths = ?", [list(readable)])
            connection.execute("SET allowed_directories = ?", [[str(folder)]])
            connection.execute("SET enable_external_access = false")
            with stop.calling(connection.interrupt):
                yield connection
    except (RuntimeError, duckdb.InterruptException) as error:
        if "interrupted" not in str(error).lower():
            raise
        stop.check()
        raise KeyboardInterrupt from None  # how DuckDB passes Ctrl-C on
    except duckdb.Error as error:
        if not _is_full(error):
            raise
        with copies_written(folder.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_full(error: duckdb.Error) -> bool:
    return any(sign in str(error) for sign in _DISK_IS_FULL)


def give_back_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Release memory once rows are sorted. Settings cannot be changed afterwards."""
    connection.execute(f"SET memory_limit = '{_LESS_MEMORY}'")
    connection.execute("SET lock_configuration = true")


@contextmanager
def errors_named(what: str) -> Iterator[None]:
    """Turn DuckDB's errors into an InputError of one line about `what`."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        if _is_full(error):
            raise no_room(what) from None
        if "Out of Memory Error" in str(error):  # also as the cause of another one
            raise out_of_memory(error) from None
        first_line = str(error).partition("\n")[0]
        message = _(
            "{what} cannot be read: {error}; check the file, and the space left for the run directory"
        )
        raise InputError(message.format(what=what, error=first_line)) from None


def fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a result, a few thousand in memory at a time."""
    return chain.from_iterable(iter(lambda: cursor.fetchmany(_FETCHED), []))


def number(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()) -> int:
    """Return the single number of a query, or the number of rows that a statement changes."""
    ((found,),) = connection.execute(sql, list(values)).fetchall()
    return int(found)


def sql(name: str, **values: object) -> str:
    """Return the text of an SQL file of this folder, with `values` for its {placeholders}."""
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return re.sub(r"\{([a-z_]+)\}", lambda placeholder: str(values[placeholder[1]]), text)


def quoted(text: str) -> str:
    """Return `text` as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
