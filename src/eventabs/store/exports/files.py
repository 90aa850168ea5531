"""A file with the events of a run, in a format of choice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.objects import Destination, is_address
from eventabs.store.directory import RunDirectory
from eventabs.store.exports.rows import rows_of
from eventabs.store.exports.tables import write_csv, write_parquet, write_sqlite
from eventabs.store.exports.workbook import write_workbook
from eventabs.store.exports.xes import write_xes
from eventabs.store.extensions import users_with_events
from eventabs.store.ledger import Ledger
from eventabs.store.queries import user_states

_SCRATCH = ".eventabs-export-"

ExportFormat = Literal["csv", "parquet", "sqlite", "xlsx", "xes"]


class Exported(NamedTuple):
    """Where events were written, as it may be shown; of how many users that are done, and how many are not yet."""

    place: str
    done: int
    pending: int


def export_events(
    named: Path,
    form: ExportFormat,
    output: str = "",
    *,
    bom: bool = False,
    timezone: str = "",
    replace: bool = False,
) -> Exported:
    """Write the events of all users that are done, also of a run that goes on.

    `output` is a file or the address of an object; "": beside events.jsonl, where the file is replaced. Either is
    written as a whole or not at all. `bom`: mark CSV as UTF-8; `timezone`: that of times without one in XES, if not the
    run's; `replace`: also where something is. Raises RunDirectoryError where there is no run, and UsageError where
    `output` is there already or cannot be written.
    """
    directory = RunDirectory.find(named)
    target: Destination | _File
    if is_address(output):
        target, local = Destination(output, replace=replace), directory.path / "events"
    else:
        local = Path(output or directory.path / f"events.{form}")
        target = _File(local, form, replace=replace or not output)
    try:
        with _scratch(local.parent) as folder:
            fresh = folder / "events"
            with Ledger.watch(directory.ledger) as ledger:
                _write(ledger, form, fresh, bom=bom, timezone=timezone)
                states = user_states(ledger)
            target.write(fresh)
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=local, error=error.strerror or error)) from error
    return Exported(target.address, states["done"], states["pending"])


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """Make a folder for its owner only, and remove those of exports that were killed: nobody holds their locks any more."""
    for left in parent.glob(f"{_SCRATCH}????????"):
        with suppress(OSError), _locked(left):
            rmtree(left)
    with TemporaryDirectory(prefix=_SCRATCH, dir=parent) as folder, ExitStack() as held:
        with suppress(OSError):  # a file system without locks
            held.enter_context(_locked(Path(folder)))
        yield Path(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. Raises OSError where another process holds it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


class _File:
    """A place for a file of this machine. Raises UsageError where one is that may not be replaced."""

    def __init__(self, path: Path, form: ExportFormat, *, replace: bool) -> None:
        self.address = str(path)
        self._path = path
        if not (path.exists() or path.is_symlink()):
            return
        if not replace:
            message = _("{path} exists; name another with --output, or replace it with --replace")
            raise UsageError(message.format(path=path))
        if RunDirectory(path.parent).holds_run() and path.name != f"events.{form}":
            message = _("{path} may be a file of the run itself; name another with --output")
            raise UsageError(message.format(path=path))

    def write(self, fresh: Path) -> None:
        """Put a file there, in one step."""
        fresh.chmod(0o600)
        fresh.replace(self._path)


def _write(ledger: Ledger, form: ExportFormat, target: Path, *, bom: bool, timezone: str) -> None:
    match form:
        case "csv":
            write_csv(rows_of(ledger), target, bom=bom)
        case "parquet":
            write_parquet(rows_of(ledger), target)
        case "sqlite":
            write_sqlite(rows_of(ledger), target)
        case "xlsx":
            write_workbook(rows_of(ledger), target)
        case "xes":
            write_xes(users_with_events(ledger), target, timezone or _zone_of_run(ledger))


def _zone_of_run(ledger: Ledger) -> str:
    return str(ledger.meta()["settings"]["input"]["timezone"])
