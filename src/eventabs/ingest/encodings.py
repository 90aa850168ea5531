"""Files as plain UTF-8 text: compressed files and other encodings are copied as UTF-8."""

import codecs
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

from eventabs.errors import ConfigError, InputError
from eventabs.ingest import archives
from eventabs.ingest.files import first_bytes, not_utf8, refuse_binary, unreadable
from eventabs.language import gettext as _
from eventabs.stop import Stop

_CHUNK: Final = 1 << 20
_HEAD: Final = 1 << 16
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
# What tells GB18030 from another encoding that was misread: see `_looks_chinese`.
_ENOUGH: Final = 4  # characters beyond ASCII
_COMMON: Final = 0.8  # share of them that are everyday characters
_COMMON_ROWS: Final = range(0xB0, 0xD8)  # the 3,755 everyday characters of GB 2312, in order of their sound
_PUNCTUATION_ROWS: Final = (0xA1, 0xA3)
_LAST_KOREAN_ROW: Final = 0xC8  # Korean syllables use the rows up to here, Chinese words all of them
_BEYOND_KOREAN: Final = 0.1


def plain_file(path: str, copy: Path, encoding: str, stop: Stop) -> tuple[str, str]:
    """Return the path to read, the file itself or a `copy` in plain UTF-8, and the file's encoding.

    `encoding` is a Python codec, or "" to find it. Raises InputError if it is not certain.
    """
    try:
        with _decompressed(path) as file:
            head = file.read(_HEAD)
        packed = bool(archives.split(path)) or first_bytes(path).startswith((_GZIP, _ZSTD))
        found = encoding or _marked_encoding(head)
        if not found and _is_utf8_so_far(head):
            if not packed:
                return path, "utf-8"
            with _decompressed(path) as file, copy.open("wb") as target:
                target.writelines(stop.until(iter(lambda: file.read(_CHUNK), b"")))
            return str(copy), "utf-8"
        if not packed and codecs.lookup(found or "gb18030").name in ("utf-8", "utf-8-sig"):
            return path, "utf-8"
        if not found:
            refuse_binary(path, head)
        return transcode(path, copy, stop, found)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        message = _("{path} cannot be decompressed ({error}); copy it again")
        raise InputError(message.format(path=path, error=error)) from None
    except OSError as error:
        raise unreadable(path, error) from None


def stored_file(path: str, copy: Path, stop: Stop) -> str:
    """Return the path to read a binary file from: itself, or a `copy` of an archive's member."""
    if not archives.split(path):
        return path
    with archives.open_binary(path) as file, copy.open("wb") as target:
        target.writelines(stop.until(iter(lambda: file.read(_CHUNK), b"")))
    return str(copy)


def transcode(path: str, copy: Path, stop: Stop, encoding: str = "") -> tuple[str, str]:
    """Copy a file as UTF-8. `encoding` "": GB18030. Raises InputError if that is not certain."""
    codec = encoding or "gb18030"
    decoder = codecs.getincrementaldecoder(codec)()
    seen: Counter[str] = Counter()
    with _decompressed(path) as file, copy.open("w", encoding="utf-8", newline="") as target:
        try:
            for chunk in stop.until(iter(lambda: file.read(_CHUNK), b"")):
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
    return str(copy), codec


def check_codec(encoding: str) -> None:
    """Raise ConfigError unless `encoding` is a text codec or ""."""
    try:
        "".encode(encoding or "utf-8")  # also refuses codecs that are not for text, such as base64
    except LookupError:
        message = _("[input] encoding: there is no encoding {encoding}; take one such as gb18030 or utf-16")
        raise ConfigError(message.format(encoding=encoding)) from None


def check_utf8(path: str, text: str) -> None:
    """Raise NotUtf8Error with `path` and the line, unless the file `text` is UTF-8 throughout."""
    if line := _line_not_utf8(text):
        raise not_utf8(path, line)


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
    with archives.open_binary(path) as file:
        magic = file.peek(4)  # type: ignore[attr-defined]  # of files and members alike, not of all streams
        if magic.startswith(_GZIP):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield io.BufferedReader(unpacked, _CHUNK)
        elif magic.startswith(_ZSTD):
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked:
                yield unpacked
        else:
            yield file


def _marked_encoding(head: bytes) -> str:
    """Return the encoding by its byte order mark or the zero bytes of UTF-16, "" if there is neither."""
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

    Other encodings also decode, but to rare characters; Korean ones to the first half of the common ones.
    """
    rows: Counter[int] = Counter()  # of GB 2312; 0 for what it lacks
    for char, count in seen.items():
        if not char.isascii():
            rows[(char.encode("gb2312", errors="ignore") or b"\0")[0]] += count
    common = sum(rows[row] for row in (*_COMMON_ROWS, *_PUNCTUATION_ROWS))
    late = sum(rows[row] for row in _COMMON_ROWS if row > _LAST_KOREAN_ROW)
    total = rows.total()
    return total >= _ENOUGH and common >= _COMMON * total and late >= _BEYOND_KOREAN * total
