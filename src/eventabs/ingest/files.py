"""The files of an export: their names, their bytes and lines, and their text as plain UTF-8."""

import codecs
import errno
import glob
import gzip
import hashlib
import io
import os
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import zstandard

from eventabs.errors import ConfigError, InputError, StorageError
from eventabs.language import gettext as _

_CHUNK: Final = 1 << 20
_HEAD: Final = 1 << 16
_SHOWN: Final = 300  # characters of a name that cannot be one
LONGEST_LINE: Final = 64 << 20  # bytes
_READABLE: Final = re.compile(r"\.(?:jsonl|ndjson|json|csv|tsv|parquet)(?:\.(?:gz|zst))?$")
_OF_A_RUN: Final = "ledger.sqlite"
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
# What shows that bytes are GB18030 and not another encoding read wrongly: see `_looks_chinese`.
_ENOUGH: Final = 4  # characters beyond ASCII
_COMMON: Final = 0.8  # share of them in everyday use
_COMMON_ROWS: Final = range(0xB0, 0xD8)  # the 3,755 everyday characters of GB 2312, in order of their sound
_PUNCTUATION_ROWS: Final = (0xA1, 0xA3)
_LAST_KOREAN_ROW: Final = 0xC8  # Korean syllables fill the rows up to here, Chinese words all of them
_BEYOND_KOREAN: Final = 0.1


class NotUtf8Error(InputError):
    """A file that turns out not to be UTF-8."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one pass over a file's bytes shows."""

    sha256: bytes
    lines: int  # a last line without a newline counts
    one_newline: bool  # every line ends in LF, or every line ends in CRLF
    longest: int  # bytes; an upper bound of the longest line, in whole chunks


def expand(paths: Sequence[str], excluded: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the files that `paths` (files and globs) name, sorted, none twice.

    A name that exists is taken literally, whatever characters it holds. `excluded` names files that a folder or
    glob does not mean. Raises InputError.
    """
    others = {Path(path).resolve() for path in excluded}
    found = {
        each
        for path in paths
        for each in _matches(path)
        if each == path or Path(each).resolve() not in others
    }
    by_identity: dict[tuple[int, int], str] = {}
    for path in sorted(found):
        status = Path(path).stat()
        by_identity.setdefault((status.st_dev, status.st_ino), path)
    return tuple(by_identity.values())


def inspect(path: str, *, binary: bool = False) -> Content:
    """Read the file once. Raises InputError where it cannot be read, is empty or, unless `binary`, is not text."""
    digest = hashlib.sha256()
    lines = returns = pairs = newline_free = longest = 0
    last = b""
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK):
                if not last and not binary:
                    _refuse_binary(path, chunk[:_HEAD])
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
    """Raise InputError where a line is longer than can be read."""
    if content.longest > LONGEST_LINE:
        message = _("{path} has a line longer than {limit} MB; export one row a line")
        raise InputError(message.format(path=path, limit=LONGEST_LINE >> 20))


def fingerprint(contents: Iterable[Content]) -> str:
    """Return the sha256 of the files' contents, whatever their names and order."""
    return hashlib.sha256(b"".join(sorted(content.sha256 for content in contents))).hexdigest()


def head(path: str, size: int) -> list[str]:
    """Return the first lines of a file, as many as fit `size` bytes, but the first one whole.

    Raises InputError where they are not UTF-8.
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
    """Yield whole lines out of `count` places spread evenly over a file, `size` bytes at each."""
    end = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        for number in range(1, count + 1):
            file.seek(end * number // (count + 1))
            yield from file.read(size).decode("utf-8", errors="replace").split("\n")[1:-1]


class Plain(NamedTuple):
    """Where a file's text is read: the file itself or a copy; and the encoding of the file."""

    path: str
    encoding: str


def first_bytes(path: str) -> bytes:
    """Return the start of a file. Raises InputError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise unreadable(path, error) from None


def plain_file(path: str, copy: Path, encoding: str) -> Plain:
    """Return the file itself, or `copy` made as UTF-8 without compression.

    `encoding` is a codec of Python's, or "" to find it. Raises InputError where it is not certain.
    """
    try:
        with _decompressed(path) as file:
            head = file.read(_HEAD)
        packed = first_bytes(path).startswith((_GZIP, _ZSTD))
        found = encoding or _marked_encoding(head)
        if not found and _is_utf8_so_far(head):
            if not packed:
                return Plain(path, "utf-8")
            with _decompressed(path) as file, copy.open("wb") as target:
                shutil.copyfileobj(file, target, _CHUNK)
            return Plain(str(copy), "utf-8")
        if not packed and codecs.lookup(found or "gb18030").name in ("utf-8", "utf-8-sig"):
            return Plain(path, "utf-8")
        if not found:
            _refuse_binary(path, head)
        return transcode(path, copy, found)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        message = _("{path} cannot be decompressed ({error}); copy it again")
        raise InputError(message.format(path=path, error=error)) from None
    except OSError as error:
        raise unreadable(path, error) from None


def transcode(path: str, copy: Path, encoding: str = "") -> Plain:
    """Copy a file as UTF-8. `encoding` "": it is GB18030, or InputError says that this is not certain."""
    codec = encoding or "gb18030"
    decoder = codecs.getincrementaldecoder(codec)()
    seen: Counter[str] = Counter()
    with _decompressed(path) as file, copy.open("w", encoding="utf-8", newline="") as target:
        try:
            while chunk := file.read(_CHUNK):
                text = decoder.decode(chunk)
                if not encoding and not text.isascii():
                    seen.update(text)
                target.write(text)
            target.write(decoder.decode(b"", final=True))
        except (UnicodeError, ValueError) as error:
            if not encoding:
                raise not_utf8(path, _line_not_utf8(path)) from None
            message = _("{path} is not {encoding} ({error}); name another: [input] encoding")
            raise InputError(message.format(path=path, encoding=encoding, error=error)) from None
    if not encoding and not _looks_chinese(seen):
        raise not_utf8(path, _line_not_utf8(path))
    return Plain(str(copy), codec)


def check_codec(encoding: str) -> None:
    """Raise ConfigError unless `encoding` is a codec of text or ""."""
    try:
        "".encode(encoding or "utf-8")  # also refuses codecs that are none of text, such as base64
    except LookupError:
        message = _("[input] encoding: there is no encoding {encoding}; take one such as gb18030 or utf-16")
        raise ConfigError(message.format(encoding=encoding)) from None


def check_utf8(path: str, text: str) -> None:
    """Raise NotUtf8Error about `path`, naming the line, unless the file `text` is UTF-8 throughout."""
    if line := _line_not_utf8(text):
        raise not_utf8(path, line)


@contextmanager
def copies_written(folder: Path) -> Iterator[None]:
    """Turn the system's errors into a StorageError about the folder to which copies are written."""
    try:
        yield
    except OSError as error:
        message = _("{folder} cannot be written: {cause}; make room and start again")
        raise StorageError(message.format(folder=folder, cause=error.strerror)) from None


def not_utf8(path: str, line: int) -> NotUtf8Error:
    """Return the error for a file whose encoding is not certain."""
    message = _(
        "{path} is not UTF-8 (line {line}), and what it is, is not certain; name it: [input] encoding"
    )
    return NotUtf8Error(message.format(path=path, line=line))


def no_room(what: str) -> StorageError:
    """Return the error for a disk on which there is no room for the scratch files of reading."""
    message = _("there is no room left for reading {what}; make room and start again")
    return StorageError(message.format(what=what))


def unreadable(path: str, error: OSError) -> InputError | StorageError:
    """Return the error for a file that the system does not let us read, or has no room to unpack."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return no_room(path)
    message = _("{path} cannot be read: {cause}; check its permissions")
    return InputError(message.format(path=path, cause=error.strerror))


def _matches(path: str) -> list[str]:
    if "://" in path:
        message = _("{path} is an address; download it and name the file")
        raise InputError(message.format(path=path))
    try:
        if Path(path).is_dir():
            return _in_folder(path)
        if Path(path).exists():
            return [path]
    except (OSError, ValueError):  # a name too long or with a NUL exists nowhere
        return _no_such_file(path)
    matched = glob.glob(path, recursive=True)  # noqa: PTH207 - a Path cannot glob an absolute pattern
    matches = [match for match in matched if Path(match).is_file()]
    return matches or _no_such_file(path)


def _in_folder(path: str) -> list[str]:
    """Return the files of a folder and its subfolders, without hidden ones and what runs have left."""
    found: list[str] = []
    for folder, folders, names in os.walk(path):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not (Path(folder) / name / _OF_A_RUN).exists()
        ]
        found += [
            str(Path(folder) / name)
            for name in names
            if not name.startswith((".", "_")) and _READABLE.search(name.lower())
        ]
    if not found:
        message = _("{path} holds no export; name a folder with .jsonl, .csv, .tsv or .parquet files")
        raise InputError(message.format(path=path))
    return found


def _no_such_file(path: str) -> list[str]:
    if glob.has_magic(path):
        message = _("no file matches {path}; check the pattern and the current folder")
    else:
        message = _("{path} does not exist; check the name and the current folder")
    raise InputError(message.format(path=path[:_SHOWN]))


def _refuse_binary(path: str, start: bytes) -> None:
    """Raise InputError where a file's first bytes are those of no text in UTF-8."""
    if b"\0" not in start:
        return
    text = start.decode(errors="replace").rstrip("\ufffd")  # a character may be cut at the end
    if start.count(b"\0") * 100 > len(start) or "\ufffd" in text:
        message = _("{path} is a binary file; export the behaviors as JSON lines, CSV or Parquet")
        raise InputError(message.format(path=path))


def _line_not_utf8(path: str) -> int:
    """Return the number of the first line that is not UTF-8, 0 if there is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with _decompressed(path) as file:
        while True:
            chunk = file.read(_CHUNK)
            try:
                line += decoder.decode(chunk, final=not chunk).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n")
            if not chunk:
                return 0


@contextmanager
def _decompressed(path: str) -> Iterator[BinaryIO]:
    with Path(path).open("rb") as file:
        magic = file.peek(4)
        if magic.startswith(_GZIP):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield io.BufferedReader(unpacked, _CHUNK)
        elif magic.startswith(_ZSTD):
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked:
                yield unpacked
        else:
            yield file


def _marked_encoding(head: bytes) -> str:
    """Return the encoding that a byte order mark or the zero bytes of UTF-16 show, "" for none."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # delimiters, digits and line ends are ASCII: every second byte of their UTF-16 is zero
    for codec, newline, zeros in (("utf-16-le", b"\n\0", head[1::2]), ("utf-16-be", b"\0\n", head[::2])):
        if newline in head and zeros.count(0) * 4 > len(zeros) and b"\0\0" not in head.replace(newline, b""):
            return codec
    return ""


def _is_utf8_so_far(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _looks_chinese(seen: Counter[str]) -> bool:
    """Whether the characters of a text read as GB18030 are those of Chinese.

    Other encodings decode as well, but to rare characters; Korean ones to the first half of the common ones.
    """
    common = late = total = 0
    for char, count in seen.items():
        if char.isascii():
            continue
        total += count
        try:
            row = char.encode("gb2312")[0]
        except UnicodeEncodeError:
            continue
        if row in _COMMON_ROWS or row in _PUNCTUATION_ROWS:
            common += count
            late += count if row > _LAST_KOREAN_ROW else 0
    return total >= _ENOUGH and common >= _COMMON * total and late >= _BEYOND_KOREAN * total
