"""Zip files with exports inside: each member is a file with a name such as exports.zip/2026/a.csv."""

import fnmatch
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from eventabs.errors import InputError
from eventabs.language import gettext as _

READABLE: Final = re.compile(
    r"\.(?:(?:jsonl|ndjson|json|csv|tsv|parquet)(?:\.(?:gz|zst))?|xlsx|xlsm|xls|sqlite3?|duckdb)$"
)
_MAGIC: Final = (b"PK\3\4", b"PK\5\6")
_NAME: Final = slice(30, 50)  # offset of the first member's name in a zip file
_OF_A_WORKBOOK: Final = (b"[Content_Types].xml", b"_rels/", b"xl/", b"docProps/", b"mimetype")
_ARCHIVES: Final = (".zip", ".rar", ".7z", ".tar", ".tar.gz", ".tgz")
_HIDDEN: Final = (".", "_", "~$")
# Text seldom shrinks more than 50 times; zip bombs shrink a thousand times and more.
_MOST_TIMES_LARGER: Final = 200
_ALWAYS_ALLOWED: Final = 256 << 20  # bytes
_PROTECTED: Final = 1  # the flag of an encrypted member


def is_zip(start: bytes) -> bool:
    """Whether a file with this beginning is a zip file of any kind."""
    return start.startswith(_MAGIC)


def is_workbook(start: bytes) -> bool:
    """Whether a file with this beginning is a zip file with the parts of an office document."""
    return is_zip(start) and start[_NAME].startswith(tuple(name[:20] for name in _OF_A_WORKBOOK))


def split(path: str) -> tuple[str, str] | None:
    """Return the archive and the member (or pattern of members) that a path names; None if it names none."""
    for slash in re.finditer("/", path):
        archive = path[: slash.start()]
        if archive and Path(archive).is_file():
            return (archive, path[slash.end() :]) if _is_archive(archive) else None
    return None


def file_of(path: str) -> str:
    """Return the file on the disk that a path names or leads into."""
    return (split(path) or (path, ""))[0]


def members(path: str) -> list[str]:
    """Return the exports in an archive, all or those that match the path's pattern; any other file itself.

    Raises InputError for a member that is encrypted, an archive itself, or far too large.
    """
    archive, pattern = split(path) or (path, "*")
    if not _is_archive(archive):
        return [path]
    with _opened(archive) as file:
        infos = [
            info
            for info in file.infolist()
            if not info.is_dir() and fnmatch.fnmatchcase(info.filename, pattern)
        ]
    infos = [info for info in infos if not any(part.startswith(_HIDDEN) for part in info.filename.split("/"))]
    found = [info for info in infos if READABLE.search(info.filename.lower())]
    if within := next((info for info in infos if info.filename.lower().endswith(_ARCHIVES)), None):
        message = _("{path} holds an archive itself ({member}); unpack it")
        raise InputError(message.format(path=archive, member=within.filename))
    if any(info.flag_bits & _PROTECTED for info in infos):
        message = _("{path} is protected by a password; unpack it, and name the files")
        raise InputError(message.format(path=archive))
    if not found:
        message = _("{path} holds no export; it needs .jsonl, .csv, .tsv, .parquet or .xlsx files inside")
        raise InputError(message.format(path=path))
    refuse_bomb(archive, Path(archive).stat().st_size, found)
    return [f"{archive}/{name}" for name in sorted({info.filename for info in found})]


def refuse_bomb(path: str, size: int, infos: list[zipfile.ZipInfo]) -> None:
    """Raise InputError if the members of a zip file of `size` bytes unpack to far more than exports do.

    Readers never read more than the stated size.
    """
    unpacked = sum(info.file_size for info in infos)
    if unpacked > _ALWAYS_ALLOWED + _MOST_TIMES_LARGER * size:
        message = _("{path} would unpack to {size} MB, {times} times its size; unpack it if you trust it")
        raise InputError(message.format(path=path, size=unpacked >> 20, times=unpacked // max(1, size)))


@contextmanager
def open_binary(path: str) -> Iterator[BinaryIO]:
    """Open a file, or a member of an archive, for reading. Raises OSError, and InputError for a broken archive."""
    found = split(path)
    if not found:
        with Path(path).open("rb") as plain:
            yield plain
        return
    archive, member = found
    try:
        with _opened(archive) as file, file.open(member) as inside:
            yield cast("BinaryIO", inside)
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError) as error:
        raise _broken(path, error) from None


def _is_archive(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            start = file.read(_NAME.stop)
    except OSError:  # the next reader says why
        return False
    return is_zip(start) and not is_workbook(start)


@contextmanager
def _opened(archive: str) -> Iterator[zipfile.ZipFile]:
    try:
        try:
            # without the flag of UTF-8, names are in the encoding of the system that packed them
            file = zipfile.ZipFile(archive, metadata_encoding="gb18030")
        except UnicodeDecodeError:
            file = zipfile.ZipFile(archive)
    except zipfile.BadZipFile as error:
        raise _broken(archive, error) from None
    with file:
        yield file


def _broken(path: str, error: Exception) -> InputError:
    message = _("{path} cannot be unpacked ({error}); copy it again, or unpack it yourself")
    return InputError(message.format(path=path, error=error))
