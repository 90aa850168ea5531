"""The run directory: its files, who may open it, how files in it are replaced; and checkpoint.json, the small snapshot of a run."""

import fcntl
import os
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from eventabs.errors_and_exit_codes import NO_ROOM, DiskFullError, RunDirectoryError, StorageError
from eventabs.interface_language import gettext as _
from eventabs.providers import Price
from eventabs.shared_records import Counts, RunStatus

_PRIVATE_DIRECTORY: Final = 0o700
_SQLITE_FULL, _SQLITE_IOERR, _PRIMARY_CODE = 13, 10, 0xFF  # as sqlite3.h has them
_LEFTOVERS: Final = {  # of a run that was refused, or killed at birth, before it had a ledger
    *(".gitignore", ".gitignore.tmp", "run.lock", "run.log", "stdin.csv", "stdin.jsonl", "frame.parquet"),
    *("rejects.jsonl", "rejects.jsonl.tmp"),
    *(f"ledger.sqlite.new{suffix}" for suffix in ("", "-journal", "-wal", "-shm")),
}


class RunDirectory:
    """Paths of a run. Every file in it is its owner's alone from the first byte, whatever the umask."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.json"
        self.ledger = path / "ledger.sqlite"
        self.events = path / "events.jsonl"
        self.journeys = path / "journeys.jsonl"
        self.changes = path / "changes.jsonl"
        self.failures = path / "failures.jsonl"
        self.rejects = path / "rejects.jsonl"
        self.log = path / "run.log"
        self.requests = path / "requests.jsonl"
        self.work = path / "tmp"
        self.audit = path / "audit"  # a run directory
        self.reviews = path / "reviews"  # a folder for each, by its id

    @classmethod
    def create(cls, path: Path) -> "RunDirectory":
        """Make a new run directory. Raises RunDirectoryError where `path` holds anything already."""
        try:
            os.fsencode(path.absolute()).decode()  # DuckDB takes no other names
            if path.exists() and not (path.is_dir() and all(map(_is_leftover, path.iterdir()))):
                if not (path / "ledger.sqlite").exists():
                    message = _("{path} exists and is not an empty folder; name another with --out")
                    raise RunDirectoryError(message.format(path=path))
                raise _taken(path, in_use=cls(path).in_use())
            path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            path.chmod(_PRIVATE_DIRECTORY)
        except (OSError, UnicodeDecodeError) as error:
            message = _("{path} cannot be made ({error}); name another folder with --out")
            cause = getattr(error, "strerror", error)
            raise RunDirectoryError(message.format(path=path, error=cause)) from None
        return cls(path)

    @classmethod
    def find(cls, named: Path) -> "RunDirectory":
        """Take the run directory, its checkpoint.json, even if gone, or another file in it. Raises RunDirectoryError."""
        with suppress(OSError):  # a name that the system does not take
            is_checkpoint = named.name == "checkpoint.json"
            if is_checkpoint or named.exists():
                directory = cls(named if named.is_dir() and not is_checkpoint else named.parent)
                if directory.ledger.is_file():
                    return directory
                if named.is_file() and not is_checkpoint:
                    raise _no_run(named)
                message = _("{path} holds no ledger.sqlite; name the run directory or its checkpoint.json")
                raise RunDirectoryError(message.format(path=directory.path))
        message = _("{path} does not exist; name a run directory or its checkpoint.json")
        raise RunDirectoryError(message.format(path=named))

    def discard(self) -> None:
        """Remove the directory of a run that did not begin. Where rows were rejected, they stay to be read."""
        has_rejects = self.rejects.exists() and self.rejects.stat().st_size > 0
        kept = {self.rejects, self.path / ".gitignore"} if has_rejects else set()
        with suppress(OSError):
            for file in list(self.path.iterdir()):
                if file.is_dir():
                    shutil.rmtree(file, ignore_errors=True)
                elif file not in kept:
                    file.unlink()
            self.path.rmdir()  # refused where something is kept

    def in_use(self) -> bool:
        """Whether a process works on the run."""
        try:
            with open(self.path / "run.lock", "rb", opener=open_private) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:  # no lock, or no locks here: no process can hold one
            return isinstance(error, BlockingIOError)
        return False

    @contextmanager
    def locked(self, *, fresh: bool = False) -> Iterator[None]:
        """Hold the directory for this process; `fresh`: to begin a run in it. Raises RunDirectoryError where another did."""
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.path / "run.lock", os.O_RDWR | os.O_CREAT, looks=6))
            except BlockingIOError:
                raise _taken(self.path, in_use=True) from None
            except OSError as error:
                message = _("{path} cannot be locked ({error}); use a writable folder on a local disk")
                raise RunDirectoryError(message.format(path=self.path, error=error)) from None
            if fresh:  # two processes may have found it empty
                if self.ledger.exists():
                    raise _taken(self.path, in_use=False)
                replace_file(self.path / ".gitignore", [b"*\n"])
            yield


@contextmanager
def locked(path: Path, flags: int, *, looks: int = 1) -> Iterator[None]:
    """Hold a file or a folder while this process lives. Raises BlockingIOError where another has it at the last of the `looks`."""
    handle = open_private(path, flags)
    try:
        for look in reversed(range(looks)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not look:
                    raise
                time.sleep(0.05)  # another process that only looks holds it for moments
        yield
    finally:
        os.close(handle)


def replace_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Replace a file as a whole, so that a crash leaves the old or the new one. Raises StorageError."""
    with replaced(path) as file:
        file.writelines(chunks)


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Yield what is to replace a file as `replace_file` does."""
    fresh = path.with_name(path.name + ".tmp")
    try:
        with open(fresh, "wb", opener=open_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:  # whoever makes the chunks may be stopped
        with suppress(OSError):  # what it takes may be just what is missing
            fresh.unlink()
        if isinstance(error, OSError):
            raise storage_error(path, error) from error
        raise


def storage_error(path: Path, error: Exception) -> StorageError:
    """Return the error for a disk that refuses, with the next step: a run that has not begun cannot be resumed."""
    has_begun = (path.parent / "ledger.sqlite").is_file()
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    is_full = code == _SQLITE_FULL or (code == _SQLITE_IOERR and not has_room(path.parent))
    if is_full or (isinstance(error, OSError) and error.errno in NO_ROOM):
        return disk_full(path.parent, resumable=has_begun)
    message = _("{path} cannot be written ({error}); mend it, and start again")
    if has_begun:
        message = _("{path} cannot be written ({error}); mend it, then run: eventabs resume {directory}")
    return StorageError(
        message.format(path=path, error=getattr(error, "strerror", "") or error, directory=path.parent)
    )


def disk_full(folder: Path, *, resumable: bool) -> DiskFullError:
    """Return the error for a folder on a disk without room; `resumable`: it is the directory of a run that has begun."""
    message = _("the disk of {folder} is full; make room there and start again")
    if resumable:
        message = _("the disk of {folder} is full; make room there, then run: eventabs resume {folder}")
    return DiskFullError(message.format(folder=folder))


def has_room(folder: Path) -> bool:
    """Whether the disk of a folder has room for a few more blocks, as far as the system tells."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free >= 64 * 1024  # bytes; SQLite asks for 32 KB at a time
    return True


def open_private(path: Path | str, flags: int) -> int:
    """Open a file of the run directory, for its owner only. A link is not followed, a pipe not waited for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)


def open_to_append(path: Path) -> FileIO:
    """Open a file for its owner only, to append to with one system call a write. Raises StorageError."""
    try:
        # unbuffered: what a full disk refuses must not be tried again, and fail, when the file is closed
        return open(path, "ab", buffering=0, opener=open_private)
    except OSError as error:
        raise storage_error(path, error) from error


def read_head(path: Path, size: int) -> bytes:
    """Read the first bytes of a file of the run directory, of any kind. Raises OSError."""
    with open(path, "rb", buffering=0, opener=open_private) as file:
        return file.read(size)


def _is_leftover(file: Path) -> bool:
    is_plain = file.is_file() or not file.exists()  # another process may just have renamed it
    return file.name in _LEFTOVERS and is_plain and not file.is_symlink()


def input_stem(name: str) -> str:
    """Return how the run directory of an input is called by default, without its ending."""
    return Path(name).name.split(".")[0].strip("*?[]") or "input"


def _no_run(file: Path) -> RunDirectoryError:
    """Return the error for a file in the place of a run: mostly the input of one."""
    run = Path(f"{input_stem(str(file))}.eventabs")
    message = _(
        "{path} is a file, not a run; name the run directory, by default {run} in the folder where the run began"
    )
    if made := [each for each in (run, file.with_name(run.name)) if RunDirectory(each).ledger.exists()]:
        message = _("{path} is a file, not a run; name the run directory that was made from it, {run}")
        run = made[0]
    return RunDirectoryError(message.format(path=file, run=shlex.quote(str(run))))


def _taken(path: Path, *, in_use: bool) -> RunDirectoryError:
    message = _("{path} already holds a run; go on with: eventabs resume {path} (or name another --out)")
    if in_use:
        message = _("{path} is in use by another eventabs; wait for it or stop it first")
    return RunDirectoryError(message.format(path=path))


EVERY_BATCHES = 10  # that are finished there is a new checkpoint
_USAGE: Final = ("calls", "retries", "prompt_tokens", "completion_tokens", "cached_tokens")


def write_checkpoint(
    directory: RunDirectory, facts: Mapping[str, Any], counts: Counts, *, status: RunStatus, batches_left: int
) -> None:
    """Replace checkpoint.json. `facts` are what stays the same."""
    cost = Price(**facts["settings"]["llm"]["price"]).total(counts)
    shards = [
        {"shard": each["shard"], "path": each["out"], "status": each["status"]}
        for each in facts.get("shards", ())
    ]
    document = {
        "format": 1,
        "status": status,
        "run_id": facts["run_id"],
        "created_at": facts["created_at"],
        "updated_at": timestamp(),
        "input": facts.get("input", {"paths": facts["paths"]}),
        "settings": settings_in_force(facts),
        "settings_fingerprint": facts["settings_fingerprint"],
        "batches": {"total": counts.batches_done + batches_left, "done": counts.batches_done},
        "total_users": counts.users,
        "limited": {"users": counts.users, "of": of} if (of := limited_of(facts)) else None,
        "processed_users": counts.done + counts.failed,
        "success_count": counts.done,
        "failed_count": counts.failed,
        "event_counts": counts.event_counts,
        "usage": {name: getattr(counts, name) for name in _USAGE}
        | {"cost": None if cost is None else round(cost, 6)},
        "ledger": directory.ledger.name,
        **({"shards": shards} if shards else {}),
    }
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    replace_file(directory.checkpoint, [orjson.dumps(document, option=option)])


def settings_in_force(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored settings, with those that `reparse` has read the replies under since."""
    return {**facts["settings"], **facts.get("reparsed", {})}


def limited_of(facts: Mapping[str, Any]) -> int:
    """Return the users of the input of whom --limit left some out, 0 where it left out none."""
    return facts["input"]["users"] if facts.get("input_complete") is False else 0


def timestamp() -> str:
    """Return the time now: ISO 8601 in UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
