"""The files of an export: names, archives, encodings, and what is no export at all."""

import codecs
import fnmatch
import glob
import gzip
import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import zstandard

from eventabs.errors_and_exit_codes import NO_ROOM, ConfigError, DiskFullError, InputError, StorageError
from eventabs.ingest.column_names import DATABASES
from eventabs.interface_language import gettext as _
from eventabs.object_stores import is_address
from eventabs.shared_records import Event, Journey
from eventabs.stop_request import Stop

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it
    LZMAError = zipfile.BadZipFile  # type: ignore[misc, assignment]

_RECIPES: Final = {scheme: recipe for schemes, recipe in DATABASES.items() for scheme in schemes.split()}
_DATABASE: Final = r"(?i)(?:jdbc:)?([a-z][a-z0-9+]*):"

_PICTURES: Final = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_ZIP: Final = (b"PK\3\4", b"PK\5\6")  # the last one of an empty file
_OLE: Final = b"\xd0\xcf\x11\xe0"
_DOCUMENTS: Final = (".doc", ".docx", ".odt", ".rtf", ".pages", ".ppt", ".pptx", ".odp", ".key")
_XML: Final = re.compile(rb"\s*<(?:\?xml|log\b)")
_TAG: Final = re.compile(rb"\s*<[a-zA-Z!?]")
_DUMP: Final = re.compile(rb"^\s*(?:insert into|create table|copy) ", re.IGNORECASE | re.MULTILINE)
_WEB_PAGE: Final = re.compile(rb"\s*(?:<!doctype html|<html)", re.IGNORECASE)
MADE_COLUMNS: Final = {*Event._fields} - {"outside"}, {*Journey._fields}  # by runs and exports, always there


def refuse_document(path: str, start: bytes) -> None:
    """Raise InputError if a file is a PDF, a picture, a web page, XML or a text document, by its first bytes or name."""
    ending = Path(path).suffix.lower()
    if start.startswith(_PICTURES) or (start.startswith(b"RIFF") and start[8:12] == b"WEBP"):
        message = _("{path} is a picture or a PDF; ask its source for the rows as CSV, JSON lines or Parquet")
    elif start.startswith(b"{\\rtf") or (start.startswith((*_ZIP, _OLE)) and ending in _DOCUMENTS):
        message = _("{path} is a text document; copy its table to a spreadsheet and save that as CSV")
    elif _WEB_PAGE.match(start.removeprefix(codecs.BOM_UTF8)):
        message = _(
            "{path} is a web page, perhaps of a login or an error; download the export itself, as CSV or JSON lines"
        )
    elif (_TAG if ending == ".xml" else _XML).match(start.removeprefix(codecs.BOM_UTF8)):
        message = _(
            "{path} is XML, not a table of behaviors; export the rows as CSV, JSON lines or Parquet"
            " (what `eventabs export` wrote are events: the input is what they were made from)"
        )
    elif ending == ".sql" and _DUMP.search(start):
        message = _("{path} is a dump: load it into its database, and let that write the rows: {recipe}")
    elif ending in (".md", ".markdown", ".rst", ".adoc", ".tex"):
        message = _("{path} is a text, not a table of behaviors; name a file with a row for each behavior")
    else:
        return
    recipe = _RECIPES["postgresql" if b"PostgreSQL" in start else "mysql"]
    raise InputError(message.format(path=path, recipe=recipe))


# raised for what cannot be unpacked, a RuntimeError where it has a password; so is an OSError without a number
BROKEN: Final = (zipfile.BadZipFile, RuntimeError, zlib.error, LZMAError, zstandard.ZstdError, EOFError)
_CHUNK: Final = 1 << 18  # bytes; larger ones are decoded more slowly
_HEAD: Final = 1 << 16
_SHOWN: Final = 300  # characters that a file name cannot have
LONGEST_LINE: Final = 64 << 20  # bytes


class Content(NamedTuple):
    """What one pass over a file's bytes finds."""

    sha256: bytes
    lines: int  # a last line without a newline counts
    # every line ends alike: in LF, in CRLF or in CR; else quoted fields may have line breaks
    one_newline: bool
    longest: int  # bytes; an upper bound of the longest line, in whole chunks
    # the first, 0 if there is none; of a copy in UTF-8 the first with a broken character
    line_not_utf8: int = 0
    broken: int = 0  # characters that its encoding does not have, each read as U+FFFD


class FileStamp(NamedTuple):
    """Identity of a file: its sha256, and size and time of change, which cheaply show that it is the same."""

    path: str
    size: int
    modified_ns: int
    sha256: str

    def now(self) -> "FileStamp | None":
        """Return the current stamp, None if the file is gone. Reads the content only if needed."""
        with suppress(OSError):
            status = Path(self.path).stat()
            is_untouched = (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns)
            return self if is_untouched else stamp(self.path)
        return None


def stamp(path: str, sha256: bytes | None = None) -> FileStamp:
    """Return the stamp of a file. Reads the content unless its `sha256` is given. Raises OSError."""
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").digest() if sha256 is None else sha256
    return FileStamp(str(Path(path).absolute()), status.st_size, status.st_mtime_ns, digest.hex())


def expand(paths: Sequence[str], excluded: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the files that `paths` name, but those `excluded`, which folders and globs leave out; sorted, each once; for an archive the exports inside. Raises InputError."""
    for path in paths:
        address = re.match(_DATABASE, path) if ":" in path else None
        scheme = address[1].lower() if address else ""
        if recipe := _RECIPES.get(scheme) or _RECIPES.get(scheme.partition("+")[0]):
            # without the address, which may have a password
            message = _("{scheme}:// names a database; let its own client write the rows: {recipe}")
            raise InputError(message.format(scheme=scheme, recipe=recipe))
    others = {Path(path).resolve() for path in excluded}
    named = ((path, each) for path in paths if not is_address(path) for each in _matches(path))
    found = {each for path, each in named if each == path or Path(each).resolve() not in others}
    by_identity: dict[tuple[int, int, str], str] = {}
    for path in sorted(found):
        if path.encode(errors="replace").decode() != path:  # bytes that are no UTF-8
            message = _("the file name {path} is not valid text; rename the file")
            raise InputError(message.format(path=ascii(path)))
        try:
            file, member = archive_and_member(path)
            status = Path(file).stat()
        except (OSError, ValueError):  # also a link in a folder, a name that is too long or has a NUL
            message = _("{path} does not exist; check the name and the current folder")
            raise InputError(message.format(path=path[:_SHOWN])) from None
        if stat.S_ISFIFO(status.st_mode):
            message = _(
                "{path} is a pipe, which can be read only once; give its rows as standard input: cat ... | eventabs run -"
            )
            raise InputError(message.format(path=path))
        if not member:
            refuse_document(path, first_bytes(path))
        by_identity.setdefault((status.st_dev, status.st_ino, member), path)
    return tuple(dict.fromkeys(each for path in by_identity.values() for each in members(path)))


def inspect(text: str, path: str, *, binary: bool = False) -> Content:
    """Read the file `text` once, `path` itself or a copy of it. Raises InputError if it cannot be read, is empty or, unless `binary`, is not text."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = returns = pairs = newline_free = longest = line_not_utf8 = 0
    last, is_blank = b"", True
    with reading(path), Path(text).open("rb") as file:
        while chunk := file.read(_CHUNK):
            start = b"" if last or binary else chunk[:_HEAD]
            decoded = start.decode(errors="replace").rstrip("\ufffd")  # the last character may be cut
            if b"\0" in start and (start.count(b"\0") * 100 > len(start) or "\ufffd" in decoded):
                message = _("{path} is a binary file; export the behaviors as JSON lines, CSV or Parquet")
                raise InputError(message.format(path=path))
            is_blank = is_blank and not chunk.removeprefix(codecs.BOM_UTF8).strip()
            digest.update(chunk)
            if not binary and not line_not_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    line_not_utf8 = lines + 1 + error.object.count(b"\n", 0, error.start)
            newlines = chunk.count(b"\n")
            lines += newlines
            if b"\r" in chunk or last == b"\r":
                returns += chunk.count(b"\r")
                pairs += chunk.count(b"\r\n") + (last == b"\r" and chunk.startswith(b"\n"))
            newline_free = 0 if newlines else newline_free + 1
            longest = max(longest, (newline_free + 2) * _CHUNK)
            last = chunk[-1:]
    if is_blank:
        raise InputError(_("{path} is empty; name a file with a row for each behavior").format(path=path))
    if decoder.getstate()[0]:  # the last character is cut
        line_not_utf8 = line_not_utf8 or lines + 1
    one_newline = not returns or returns == pairs == lines or not lines  # LF, CRLF or CR
    return Content(digest.digest(), lines + (last != b"\n"), one_newline, longest, line_not_utf8)


def fingerprint(files: Iterable[tuple[bytes, str]]) -> str:
    """Return the sha256 of files, each by its own and the user that its name gives ("" for none), regardless of names and order."""
    digests = (hashlib.sha256(own + user.encode()).digest() if user else own for own, user in files)
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def first_bytes(path: str) -> bytes:
    """Return the first bytes of a file. Raises InputError if it cannot be read."""
    with reading(path), open_binary(path) as file:
        return file.read(_HEAD)


def lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line."""
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.rstrip("\r\n")


def spread_lines(path: str, size: int, count: int = 0) -> Iterator[str]:
    """Yield the lines that fit into `size` bytes, at least one, at a text's start and at `count` further places, spread evenly; none twice."""
    end = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        for place in range(count + 1):
            if (at := end * place // (count + 1)) > file.tell():
                file.seek(at)
                file.readline()
            block = file.readline(LONGEST_LINE)
            block += file.read(max(0, size - len(block)))
            if file.tell() < end and b"\n" in block:
                block, _newline, cut = block.rpartition(b"\n")
                file.seek(-len(cut), os.SEEK_CUR)
            for line in block.splitlines():
                yield line.removeprefix(codecs.BOM_UTF8).decode(errors="replace")


@contextmanager
def copies_written(folder: Path) -> Iterator[None]:
    """Turn OSErrors into a StorageError about the folder of the copies."""
    try:
        yield
    except OSError as error:
        message = _("{folder} cannot be written: {cause}; make room and start again")
        kind = DiskFullError if error.errno in NO_ROOM else StorageError
        raise kind(message.format(folder=folder, cause=error.strerror)) from None


def no_room(what: str) -> DiskFullError:
    """Return the error for a disk without room for the scratch files."""
    message = _("there is no room left for reading {what}; make room and start again")
    return DiskFullError(message.format(what=what))


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what goes wrong into the error for a file that cannot be unpacked, that the system cannot read, or has no room to unpack."""
    try:
        yield
    except (*BROKEN, OSError) as error:
        # those of gzip and bz2 have no number
        number, cause = (error.errno, error.strerror) if isinstance(error, OSError) else (None, "")
        if number in NO_ROOM:
            raise no_room(path) from None
        message = _("{path} cannot be unpacked ({error}); copy it again, or unpack it yourself")
        if number is not None:
            message = _("{path} cannot be read: {cause}; check its permissions")
        raise InputError(message.format(path=path, error=error, cause=cause)) from None


def _matches(path: str) -> list[str]:
    with suppress(OSError, ValueError):  # a name that is too long or has a NUL
        if Path(path).is_dir():
            return _in_folder(path)
        if Path(path).exists() or archive_and_member(path)[1]:  # literal, whatever its characters
            return [path]
        matched = glob.glob(path, recursive=True)  # noqa: PTH207 - a Path cannot glob an absolute pattern
        if matches := [match for match in matched if Path(match).is_file()]:
            return matches
    if glob.has_magic(path):
        message = _("no file matches {path}; check the pattern and the current folder")
        raise InputError(message.format(path=path[:_SHOWN]))
    return [path]


def _in_folder(path: str) -> list[str]:
    """Return the files of a folder and its subfolders, without hidden files and those of runs."""
    found: list[str] = []
    for folder, folders, names in os.walk(path):
        shown = (name for name in folders if not name.startswith("."))
        folders[:] = [name for name in shown if not (Path(folder) / name / "ledger.sqlite").exists()]
        found += [str(Path(folder) / name) for name in names if is_readable(name)]
    if found:
        return found
    kinds = Counter(each.suffix.lower() for each in Path(path).iterdir() if each.is_file() and each.suffix)
    message = _("{path} holds no export; name a folder with .jsonl, .csv, .tsv, .parquet or .xlsx files")
    if kinds:
        message = _(
            "{path} holds no export, but {found}; name a folder with .jsonl, .csv, .tsv, .parquet or .xlsx files,"
            " or a file in it to hear how to read it"
        )
    others = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
    raise InputError(message.format(path=path, found=others))


def is_readable(path: str) -> bool:
    """Whether a file is read as part of a folder, by its path in it."""
    is_hidden = any(part.startswith(_HIDDEN) for part in path.split("/"))
    return not is_hidden and bool(re.search(READABLE, path.lower()))


READABLE: Final = (
    r"\.(?:(?:jsonl|ndjson|json|csv|tsv|parquet)(?:\.(?:gz|zst))?|xlsx|xlsm|xls|sqlite3?|duckdb|zip)$"
)
_ARCHIVES: Final = (".zip", ".rar", ".7z", ".tar", ".tar.gz", ".tgz")
_HIDDEN: Final = (".", "_", "~$")


def is_workbook(start: bytes) -> bool:
    """Whether a file with this beginning is a zip file with the parts of an office document."""
    parts = (b"[Content_Types].xml", b"_rels/", b"xl/", b"docProps/", b"mimetype")
    return start.startswith(_ZIP) and start[30:].startswith(parts)  # the name of the first one


def archive_and_member(path: str) -> tuple[str, str]:
    """Return the file on the disk that a path names or leads into, and for an archive the member (or pattern of members), else ""."""
    for slash in re.finditer("/", path):
        archive = path[: slash.start()]
        if archive and Path(archive).is_file():
            return (archive, path[slash.end() :]) if _is_archive(archive) else (path, "")
    return path, ""


def members(path: str) -> list[str]:
    """Return the exports in an archive, all or those that match the path's pattern; any other file itself. Raises InputError."""
    archive, pattern = archive_and_member(path)
    if not _is_archive(archive):
        return [path]
    with reading(archive), _opened(archive) as file:
        inside = [info for info in file.infolist() if not info.is_dir()]
    named = [info for info in inside if fnmatch.fnmatchcase(info.filename, pattern or "*")]
    infos = [info for info in named if not any(part.startswith(_HIDDEN) for part in info.filename.split("/"))]
    found = [info for info in infos if re.search(READABLE, info.filename.lower())]
    if within := next((info for info in infos if info.filename.lower().endswith(_ARCHIVES)), None):
        message = _("{path} holds an archive itself ({member}); unpack it")
        raise InputError(message.format(path=archive, member=within.filename))
    if any(info.flag_bits & 1 for info in infos):  # encrypted
        message = _("{path} is protected by a password; unpack it, and name the files")
        raise InputError(message.format(path=archive))
    if not found:
        message = _("{path} holds no export; it needs .jsonl, .csv, .tsv, .parquet or .xlsx files inside")
        raise InputError(message.format(path=path))
    refuse_bomb(archive, Path(archive).stat().st_size, found)
    return [f"{archive}/{name}" for name in sorted({info.filename for info in found})]


def refuse_bomb(path: str, size: int, infos: list[zipfile.ZipInfo]) -> None:
    """Raise InputError if the members of a zip file of `size` bytes unpack to far more than exports do."""
    unpacked = sum(info.file_size for info in infos)  # readers never read more than it states
    # text seldom shrinks more than 50 times; zip bombs shrink a thousand times and more
    if unpacked > (256 << 20) + 200 * size:
        message = _("{path} would unpack to {size} MB, {times} times its size; unpack it if you trust it")
        raise InputError(message.format(path=path, size=unpacked >> 20, times=unpacked // max(1, size)))


def open_binary(path: str) -> BinaryIO:
    """Open a file, or a member of an archive, for what is `reading` it."""
    archive, member = archive_and_member(path)
    return cast("BinaryIO", _opened(archive).open(member)) if member else Path(path).open("rb")


def _is_archive(path: str) -> bool:
    with suppress(OSError), Path(path).open("rb") as file:  # the next reader says why
        start = file.read(50)
        return start.startswith(_ZIP) and not is_workbook(start)
    return False


def _opened(archive: str) -> zipfile.ZipFile:
    try:
        # without the flag of UTF-8, names are in the encoding of the system that packed them
        return zipfile.ZipFile(archive, metadata_encoding="gb18030")
    except UnicodeDecodeError:
        return zipfile.ZipFile(archive)


_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PACKED: Final = 1 << 12  # bytes of zstd that are unpacked at once, to no more than 128 MB
_ENOUGH: Final = 4  # characters beyond ASCII


def unpacked(path: str, copy: Path, stop: Stop) -> str:
    """Return the path to read a file from: itself, or a `copy` of what is compressed or in an archive. Raises InputError."""
    if not archive_and_member(path)[1] and not first_bytes(path).startswith((_GZIP, _ZSTD)):
        return path
    with reading(path), copy.open("wb") as target, open_binary(path) as file:
        magic = file.peek(4)  # type: ignore[attr-defined]  # of files and members alike, not of all streams
        plain = gzip.GzipFile(fileobj=file) if magic.startswith(_GZIP) else file
        chunks = _frames(file) if magic.startswith(_ZSTD) else iter(lambda: plain.read(_CHUNK), b"")
        target.writelines(stop.until(chunks))
    return str(copy)


def readable_text(
    path: str, unpacked: str, copy: Path, encoding: str, stop: Stop
) -> tuple[str, str, Content]:
    """Return the path to read a text from, its encoding ("": to be found), and its content: `unpacked` itself, or a `copy` in UTF-8 whose lines all end in LF."""
    start = first_bytes(unpacked)
    codec = encoding or _marked_encoding(start)
    lone_return = "\n" if b"\r" in start and b"\n" not in start else " "  # Excel on a Mac ends lines so
    line_not_utf8, one_newline = 0, True
    if codecs.lookup(codec or "utf-8").name in ("utf-8", "utf-8-sig"):
        content = inspect(unpacked, path)
        line_not_utf8, one_newline = content.line_not_utf8, content.one_newline
        if not line_not_utf8 and one_newline and lone_return == " ":
            return unpacked, "utf-8", content
        codec = codec if line_not_utf8 else "utf-8"
    is_utf8 = not codec and _is_mostly_utf8(unpacked)
    tried = [(each, "strict") for each in ([codec] if codec else ["gb18030"] if is_utf8 else _LANGUAGES)]
    # some characters may have been cut
    tried.append((codec or ("utf-8" if is_utf8 else "gb18030"), "surrogateescape"))
    fault: Exception | None = None
    for each, errors in tried:
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(each)(errors), translate=False)
        seen: Counter[str] = Counter()
        lines = broken = first = 0
        with Path(unpacked).open("rb") as file, copy.open("w", encoding="utf-8", newline="") as target:
            try:
                for chunk in stop.until(chain(iter(lambda: file.read(_CHUNK), b""), [b""])):
                    text = decoder.decode(chunk, final=not chunk)
                    seen.update(() if codec else _BEYOND_ASCII.findall(text))
                    if cut := _CUT.search(text):
                        first = first or lines + 1 + text.count("\n", 0, cut.start())
                        text, found = _CUT.subn("\ufffd", text)
                        broken += found
                    lines += text.count("\n")
                    target.write(text.replace("\r\n", "\n").replace("\r", lone_return))
            except (UnicodeError, ValueError) as error:
                fault = fault or error
                continue
        content = inspect(str(copy), path)
        content = content._replace(one_newline=one_newline, line_not_utf8=first, broken=broken)
        # more broken characters than one in a hundred lines speak of another encoding
        if broken * 100 <= content.lines and (codec or each == "utf-8" or _LANGUAGES[each](seen)):
            return str(copy), each, content
    message = _(
        "{path} is not UTF-8 (line {line}), and what it is, is not certain; name it: [input] encoding"
    )
    if codec and not line_not_utf8:
        message = _("{path} is not {encoding} ({error}); name another: [input] encoding")
    raise InputError(message.format(path=path, line=line_not_utf8, encoding=codec, error=fault))


def _is_mostly_utf8(path: str) -> bool:
    """Whether more of the characters beyond ASCII are UTF-8 than not: the rest is broken, not of another encoding."""
    seen: Counter[bool] = Counter()
    with Path(path).open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            seen.update(each == "\ufffd" for each in chunk.decode(errors="replace") if not each.isascii())
    return seen[False] > seen[True]


def check_codec(encoding: str) -> None:
    """Raise ConfigError unless `encoding` is a text codec or ""."""
    try:
        "".encode(encoding or "utf-8")  # also refuses codecs that are not for text, such as base64
    except LookupError:
        message = _("[input] encoding: there is no encoding {encoding}; take one such as gb18030 or utf-16")
        raise ConfigError(message.format(encoding=encoding)) from None


def _frames(file: BinaryIO) -> Iterator[bytes]:
    """Yield what the frames of zstd hold. Raises EOFError for one that is cut off: the reader of zstandard takes that for its end."""
    packed = file.read(_PACKED)
    while packed:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while not frame.eof:
            if not packed:
                raise EOFError(_("its end is missing"))
            yield frame.decompress(packed)
            packed = frame.unused_data or file.read(_PACKED)


def _marked_encoding(head: bytes) -> str:
    """Return the encoding by its byte order mark or the zero bytes of UTF-16, "" if there is neither."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # the first begins as that of UTF-16
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # delimiters, digits and line ends are ASCII: every second byte of their UTF-16 is zero
    for codec, newline, zeros in (("utf-16-le", b"\n\0", head[1::2]), ("utf-16-be", b"\0\n", head[::2])):
        if newline in head and zeros.count(0) * 4 > len(zeros) and b"\0\0" not in head.replace(newline, b""):
            return codec
    return ""


def _looks_chinese(seen: Counter[str]) -> bool:
    """Whether a text read as GB18030 is Chinese: others decode to rare characters, Korean to the first half of the common ones."""
    rows: Counter[int] = Counter()  # of GB 2312; 0 for what it lacks
    for char, count in ((char, count) for word, count in seen.items() for char in word):
        if not char.isascii():
            rows[(char.encode("gb2312", errors="ignore") or b"\0")[0]] += count
    # the 3,755 everyday characters in order of their sound, and punctuation
    common = sum(rows[row] for row in (*range(0xB0, 0xD8), 0xA1, 0xA3))
    late = sum(rows[row] for row in range(0xC9, 0xD8))  # Korean syllables use those before, Chinese words all
    return rows.total() >= _ENOUGH and common >= 0.8 * rows.total() and late >= 0.1 * rows.total()


def _looks(form: str, share: float, vowels: str = "") -> Callable[[Counter[str]], bool]:
    """Return whether a `share` of the words with letters beyond ASCII have a form, and 27 % of their letters are `vowels`."""

    def test(seen: Counter[str]) -> bool:
        text = "".join(seen.elements() if vowels else ())
        has_vowels = sum(map(text.lower().count, vowels)) >= 0.27 * len(text)
        if not has_vowels or 2 * sum(map(str.isupper, text)) > len(text):  # KOI8-R turns case around
            return False
        fitting = sum(seen[word] for word in seen if re.fullmatch(form, word))
        return fitting >= share * seen.total() and sum(map(len, seen)) >= _ENOUGH

    return test


_CUT: Final = re.compile("[\udc80-\udcff]+")  # bytes of no whole character, as they are escaped (PEP 383)
# The encodings that are tried, and whether the words of a text that was read by one look like its language.
_BEYOND_ASCII: Final = re.compile(r"[^\s,;|\"']*[^\x00-\x7f][^\s,;|\"']*")
_LANGUAGES: Final[dict[str, Callable[[Counter[str]], bool]]] = {
    "gb18030": _looks_chinese,
    "cp932": _looks(".*[ぁ-ヿ].*", 0.3),
    "cp949": _looks("[ -~가-힣]+", 0.9),
    # Greek, Hebrew, Arabic and KOI8-R also decode, to words of consonants
    "cp1251": _looks("[^A-Za-z\x80-\u03ff\u0500-\uffff]+", 0.9, "аеиоуыэюяёіїєў"),
    # in words of Western languages ASCII letters stand beside others
    "cp1252": _looks("(?=.*[A-Za-z]|.$)[ -~À-ÏÑ-ÖØ-Üß-ïñ-öø-ü‘’“”–—…€ºª°«»¿¡]+", 0.95),
    # Polish, Czech and Hungarian; a capital behind a small letter is a Mac's é
    "cp1250": _looks(
        "(?=.*[A-Za-z])(?!.*[a-z][ÁÉÍÓÖÚÜÝĄĆČĎĘĚŁŃŇŐŘŚŠŤŮŰŹŻŽ])[ -~„”–…ÁÉÍÓÖÚÜÝáéíóöúüýĄąĆćČčĎďĘęĚěŁłŃńŇňŐőŘřŚśŠšŤťŮůŰűŹźŻżŽž]+",
        0.95,
    ),
    "cp1254": _looks("(?=.*[A-Za-z])[ -~“”–…ÂÇÎÖÛÜâçîöûüĞğİıŞş]+", 0.95),  # Turkish
}
