"""A file with the events of a run, in a format of choice."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.store.codec import decoding
from eventabs.store.directory import RunDirectory
from eventabs.store.exports.rows import rows_of, users_with_events
from eventabs.store.exports.tables import write_csv, write_parquet, write_sqlite
from eventabs.store.exports.workbook import write_workbook
from eventabs.store.exports.xes import write_xes
from eventabs.store.ledger import Ledger

ExportFormat = Literal["csv", "parquet", "sqlite", "xlsx", "xes"]


def export_events(
    named: Path, form: ExportFormat, output: Path | None, *, bom: bool = False, timezone: str = ""
) -> Path:
    """Write the events of all users that are done, also of a run that goes on; return the file.

    Without `output` the file stands beside events.jsonl and is replaced as a whole. `bom`: mark CSV as UTF-8;
    `timezone`: that of times without one in XES, if not the run's. Raises RunDirectoryError where there is no run, and
    UsageError where `output` is there already or cannot be written.
    """
    directory = RunDirectory.find(named)
    if output is not None and (output.exists() or output.is_symlink()):
        message = _("{path} exists; name another file with --output")
        raise UsageError(message.format(path=output))
    target = output or directory.path / f"events.{form}"
    try:
        with (
            Ledger.watch(directory.ledger) as ledger,
            TemporaryDirectory(prefix=".eventabs-", dir=target.parent) as folder,  # for its owner only
        ):
            fresh = Path(folder) / "events"
            _write(ledger, form, fresh, bom=bom, timezone=timezone)
            fresh.chmod(0o600)
            fresh.replace(target)
    except OSError as error:
        message = _("{path} cannot be written ({error}); name another file with --output")
        raise UsageError(message.format(path=target, error=error.strerror or error)) from error
    return target


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


@decoding()
def _zone_of_run(ledger: Ledger) -> str:
    return str(ledger.meta()["settings"]["input"]["timezone"])
