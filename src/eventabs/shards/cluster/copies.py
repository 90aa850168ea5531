"""Copies of run directories in the share: what another machine goes on from where one is lost."""

import shutil
from contextlib import suppress
from pathlib import Path

from eventabs.shards.cluster.share import Share
from eventabs.store import RunDirectory, back_up

_BACKUP = "ledger.copy"


def copy_run(directory: RunDirectory, share: Share, name: str) -> None:
    """Copy a run directory into the folder `name` of the share, also while a process works on it.

    The ledger, which alone is needed to go on, is copied as of one moment. Raises StorageError.
    """
    backup = directory.path / _BACKUP
    try:
        back_up(directory.ledger, backup)
        share.upload(backup, f"{name}/{directory.ledger.name}")
    finally:
        backup.unlink(missing_ok=True)
    for file in _results(directory):
        if file.exists():
            share.upload(file, f"{name}/{file.name}")


def restore_run(share: Share, name: str, path: Path) -> RunDirectory:
    """Make the run directory `path` from the copy `name`, in the place of what is there. Raises StorageError.

    Raises FileNotFoundError where there is no such copy.
    """
    shutil.rmtree(path, ignore_errors=True)
    directory = RunDirectory.create(path)
    for file in _results(directory):
        with suppress(FileNotFoundError):
            share.download(f"{name}/{file.name}", file)
    share.download(
        f"{name}/{directory.ledger.name}", directory.ledger
    )  # last: a run is there once it has a ledger
    return directory


def remove_copy(share: Share, name: str) -> None:
    """Remove a copy that another one has replaced. Raises StorageError."""
    directory = RunDirectory(Path(name))
    for file in (directory.ledger, *_results(directory)):
        share.remove(f"{name}/{file.name}")


def _results(directory: RunDirectory) -> tuple[Path, ...]:
    return (
        directory.checkpoint,
        directory.events,
        directory.failures,
        directory.rejects,
        directory.log,
    )
