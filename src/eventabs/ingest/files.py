"""The files of an export: their names, bytes and lines."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from eventabs.errors import NO_ROOM, DiskFullError, InputError, StorageError
from eventabs.ingest import archives
from eventabs.ingest.foreign_files import refuse_database, refuse_document
from eventabs.language import gettext as _
from eventabs.objects import is_address

_CHUNK: Final = 1 << 20
_HEAD: Final = 1 << 16
_SHOWN: Final = 300  # characters that a file name cannot have
_KINDS: Final = 5  # files named in a message
LONGEST_LINE: Final = 64 << 20  # bytes
_OF_A_RUN: Final = "ledger.sqlite"


class NotUtf8Error(InputError):
    """A file that is not UTF-8."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one pass over a file's bytes finds."""

    sha256: bytes
    lines: int  # a last line without a newline counts
    one_newline: bool  # every line ends in LF, or every line ends in CRLF
    longest: int  # bytes; an upper bound of the longest line, in whole chunks

    def of_user(self, user: str) -> "Content":
        """Return the content as that of `user`; unchanged for ""."""
        return replace(self, sha256=hashlib.sha256(self.sha256 + user.encode()).digest()) if user else self


class FileStamp(NamedTuple):
    """Identity of a file: its sha256, and size and time of change, which cheaply show that it is the same."""

    path: str
    size: int
    modified_ns: int
    sha256: str

    def now(self) -> "FileStamp | None":
        """Return the current stamp, None if the file is gone. Reads the content only if needed."""
        try:
            status = Path(self.path).stat()
            if (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns):
                return self
            return stamp(self.path)
        except OSError:
            return None


def stamp(path: str, sha256: bytes | None = None) -> FileStamp:
    """Return the stamp of a file. Reads the content unless its `sha256` is given. Raises OSError."""
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").digest() if sha256 is None else sha256
    return FileStamp(str(Path(path).absolute()), status.st_size, status.st_mtime_ns, digest.hex())


def expand(paths: Sequence[str], excluded: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the files that `paths` (files and globs) name, sorted, each once; for an archive the exports inside.

    A name that exists is literal, whatever its characters. `excluded`: files that folders and globs leave
    out. Addresses of objects are skipped. Raises InputError, also for the address of a database.
    """
    for path in paths:
        refuse_database(path)
    others = {Path(path).resolve() for path in excluded}
    found = {
        each
        for path in paths
        if not is_address(path)
        for each in _matches(path)
        if each == path or Path(each).resolve() not in others
    }
    by_identity: dict[tuple[int, int, str], str] = {}
    for path in sorted(found):
        file, member = archives.split(path) or (path, "")
        status = Path(file).stat()
        by_identity.setdefault((status.st_dev, status.st_ino, member), path)
    for path in by_identity.values():
        if Path(path).is_file():
            refuse_document(path, first_bytes(path))
    return tuple(dict.fromkeys(each for path in by_identity.values() for each in archives.members(path)))


def inspect(path: str, *, binary: bool = False) -> Content:
    """Read the file once. Raises InputError if it cannot be read, is empty or, unless `binary`, is not text."""
    digest = hashlib.sha256()
    lines = returns = pairs = newline_free = longest = 0
    last = b""
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK):
                if not last and not binary:
                    refuse_binary(path, chunk[:_HEAD])
                digest.update(chunk)
                newlines = chunk.count(b"\n")
                lines += newlines
                if b"\r" in chunk or last == b"\r":
                    returns += chunk.count(b"\r")
                    pairs += chunk.count(b"\r\n") + (last == b"\r" and chunk.startswith(b"\n"))
                newline_free = 0 if newlines else newline_free + 1
                longest = max(longest, (newline_free + 2) * _CHUNK)
                last = chunk[-1:]
    except OSError as error:
        raise unreadable(path, error) from None
    if not last:
        message = _("{path} is empty; name a file with a row for each behavior")
        raise InputError(message.format(path=path))
    all_lf, all_crlf = returns == 0, returns == pairs == lines
    return Content(digest.digest(), lines + (last != b"\n"), all_lf or all_crlf, longest)


def refuse_endless_lines(path: str, content: Content) -> None:
    """Raise InputError if a line is too long to read."""
    if content.longest > LONGEST_LINE:
        message = _("{path} has a line longer than {limit} MB; export one row a line")
        raise InputError(message.format(path=path, limit=LONGEST_LINE >> 20))


def fingerprint(digests: Iterable[bytes]) -> str:
    """Return the sha256 of the files' identities, regardless of names and order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def first_bytes(path: str) -> bytes:
    """Return the first bytes of a file. Raises InputError if it cannot be read."""
    try:
        with archives.open_binary(path) as file:
            return file.read(_HEAD)
    except OSError as error:
        raise unreadable(path, error) from None


def head(path: str, size: int) -> list[str]:
    """Return the first lines of a file that fit into `size` bytes; the first line is whole.

    Raises InputError if they are not UTF-8.
    """
    with Path(path).open("rb") as file:
        first = file.readline(LONGEST_LINE)
        rest = file.read(max(0, size - len(first)))
        whole = not file.read(1)
    if not whole:
        rest = rest[: rest.rfind(b"\n") + 1]
    start = first + rest
    try:
        return start.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise not_utf8(path, start.count(b"\n", 0, error.start) + 1) from None


def lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.decode("utf-8-sig", errors="replace").rstrip("\r\n")


def windows(path: str, count: int, size: int) -> Iterable[str]:
    """Yield whole lines from `count` places spread evenly over a file, `size` bytes at each."""
    end = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        for number in range(1, count + 1):
            file.seek(end * number // (count + 1))
            yield from file.read(size).decode("utf-8", errors="replace").split("\n")[1:-1]


@contextmanager
def copies_written(folder: Path) -> Iterator[None]:
    """Turn OSErrors into a StorageError about the folder of the copies."""
    try:
        yield
    except OSError as error:
        message = _("{folder} cannot be written: {cause}; make room and start again")
        kind = DiskFullError if error.errno in NO_ROOM else StorageError
        raise kind(message.format(folder=folder, cause=error.strerror)) from None


def not_utf8(path: str, line: int) -> NotUtf8Error:
    """Return the error for a file of uncertain encoding."""
    message = _(
        "{path} is not UTF-8 (line {line}), and what it is, is not certain; name it: [input] encoding"
    )
    return NotUtf8Error(message.format(path=path, line=line))


def no_room(what: str) -> DiskFullError:
    """Return the error for a disk without room for the scratch files."""
    message = _("there is no room left for reading {what}; make room and start again")
    return DiskFullError(message.format(what=what))


def unreadable(path: str, error: OSError) -> InputError | StorageError:
    """Return the error for a file that the system cannot read, or has no room to unpack."""
    if error.errno in NO_ROOM:
        return no_room(path)
    message = _("{path} cannot be read: {cause}; check its permissions")
    return InputError(message.format(path=path, cause=error.strerror))


def _matches(path: str) -> list[str]:
    with suppress(OSError, ValueError):  # a name that is too long or has a NUL
        if Path(path).is_dir():
            return _in_folder(path)
        if Path(path).exists() or archives.split(path):
            return [path]
        matched = glob.glob(path, recursive=True)  # noqa: PTH207 - a Path cannot glob an absolute pattern
        if matches := [match for match in matched if Path(match).is_file()]:
            return matches
    if glob.has_magic(path):
        message = _("no file matches {path}; check the pattern and the current folder")
    else:
        message = _("{path} does not exist; check the name and the current folder")
    raise InputError(message.format(path=path[:_SHOWN]))


def _in_folder(path: str) -> list[str]:
    """Return the files of a folder and its subfolders, without hidden files and those of runs."""
    found: list[str] = []
    for folder, folders, names in os.walk(path):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not (Path(folder) / name / _OF_A_RUN).exists()
        ]
        found += [str(Path(folder) / name) for name in names if is_readable(name)]
    if not found:
        raise InputError(_no_export(path))
    return found


def is_readable(name: str) -> bool:
    """Whether a file with this name is read as part of a folder."""
    is_export = archives.READABLE.search(name.lower()) or name.lower().endswith(".zip")
    return not name.startswith((".", "_", "~$")) and bool(is_export)


def _no_export(folder: str) -> str:
    kinds = Counter(each.suffix.lower() for each in Path(folder).iterdir() if each.is_file() and each.suffix)
    if not kinds:
        message = _("{path} holds no export; name a folder with .jsonl, .csv, .tsv, .parquet or .xlsx files")
        return message.format(path=folder)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_KINDS))
    message = _(
        "{path} holds no export, but {found}; name a folder with .jsonl, .csv, .tsv, .parquet or .xlsx files,"
        " or a file in it to hear how to read it"
    )
    return message.format(path=folder, found=found)


def refuse_binary(path: str, start: bytes) -> None:
    """Raise InputError if a file's first bytes are not UTF-8 text."""
    if b"\0" not in start:
        return
    text = start.decode(errors="replace").rstrip("\ufffd")  # the last character may be cut
    if start.count(b"\0") * 100 > len(start) or "\ufffd" in text:
        message = _("{path} is a binary file; export the behaviors as JSON lines, CSV or Parquet")
        raise InputError(message.format(path=path))
