"""What is copied to be read as a file: the objects that an address, a folder or a glob of them means, and tables in memory."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import unquote

import duckdb

from eventabs import object_stores as stores
from eventabs.errors_and_exit_codes import EventabsError, InputError
from eventabs.ingest import files_archives_encodings as files
from eventabs.ingest.normal_form import as_glob, errors_named, quoted, scratch_database
from eventabs.interface_language import gettext as _
from eventabs.object_stores import QUERY_CUT, Address, StoredObject
from eventabs.shared_records import Copying
from eventabs.stop_request import Stop

if TYPE_CHECKING:
    from obstore import GetOptions


OnCopy = Callable[[Copying], object]  # hears how far the copies are


def find_objects(paths: Sequence[str], excluded: Sequence[str] = ()) -> list[StoredObject]:
    """Return the objects that addresses in `paths` name, but those `excluded`, which folders and globs leave out. Raises InputError."""
    named = ((path, each) for path in paths if stores.is_address(path) for each in _named(path))
    return [each for path, each in named if each.name == path or each.name not in excluded]


def _named(text: str) -> list[StoredObject]:
    """Return the objects that an address names. Raises InputError if there are none."""
    address, public, message = Address.of(text), stores.public_address(text), ""
    key = address.key
    if not (address.is_web or address.is_in_store):
        message = _(
            "{path} cannot be read; addresses begin with s3://BUCKET/, gs://BUCKET/, az://CONTAINER/, https:// or http://"
        )
    elif address.is_web and text.endswith(QUERY_CUT):
        message = _(
            "{path}: what stood behind the ? may hold a signature and was not kept; name the whole address again,"
            " in [input] paths or profiles, or in EVENTABS_INPUT__PATHS or EVENTABS_INPUT__PROFILES"
        )
    elif address.has_user:
        message = _(
            "{path}: a password in an address is not used; try: curl -fL -u USER {path} | eventabs run -"
        )
    if message:
        raise InputError(message.format(path=public))
    with stores.store_errors_named(public):
        store = stores.open_store(address)
        if address.is_web:
            return [StoredObject(text, store, "")]
        if address.names_object and not has_magic(key) and (one := stores.object_at(store, address)):
            return [one]
        folder = re.split(r"[*?[]", key)[0].rpartition("/")[0] if has_magic(key) else key
        listed = chain.from_iterable(store.list(folder or None, chunk_size=1000))
        inside = [StoredObject.of(address, store, meta) for meta in listed]
    if has_magic(key):  # an object with exactly this name is meant itself
        found = [each for each in inside if each.path == key]
        found = found or [each for each in inside if _fits(each.path.split("/"), key.split("/"))]
        message = _("no object matches {path}; check the pattern and the bucket")
    else:
        found = [each for each in inside if files.is_readable(each.path.removeprefix(key))]
        message = _("{path} does not exist; check the name, which is an object, a folder or a glob")
        if inside:
            message = _(
                "{path} holds no export; name a folder with .jsonl, .csv, .tsv, .parquet or .xlsx files"
            )
    if not found:
        raise InputError(message.format(path=f"{address.place}/{key}"))
    return found


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a glob; `**` matches any folders."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return any(_fits(parts[skipped:], pattern[1:]) for skipped in range(len(parts)))
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


_WORTH_TELLING: Final = 20_000_000  # bytes; as many take a while on most connections


class Copies(NamedTuple):
    """The files of the input and of its profiles, the exports inside for an archive; some are copies of objects."""

    paths: tuple[str, ...]
    profiles: tuple[str, ...]
    objects: Mapping[str, StoredObject]  # by the path of the copy

    def name(self, path: str) -> str:
        """Return the address of a copy, with the member's name for a file inside; for any other file its own name."""
        copy = files.archive_and_member(path)[0] if self.objects else ""
        return self.objects[copy].address + path.removeprefix(copy) if copy in self.objects else path


@contextmanager
def copied(
    paths: Sequence[str], profiles: str, folder: Path, stop: Stop, on_copy: OnCopy
) -> Iterator[Copies]:
    """Find what names mean. Objects are copied into `folder`, compressed as they are, and the copies removed afterwards. Errors raised meanwhile name addresses."""
    here_about_users = files.expand([profiles] if profiles else [])
    here = files.expand(paths, here_about_users)
    found, about_users = find_objects(paths, [profiles]), find_objects([profiles])
    by_name = {each.name: each for each in (*found, *about_users)}
    objects: dict[str, StoredObject] = {}
    for number, (_name, each) in enumerate(sorted(by_name.items())):
        # a folder for each copy, so that it keeps the end of the address, which may show its format and user
        last = (each.path or each.address.partition("?")[0]).rstrip("/").rpartition("/")[2]
        last = (last if each.path else unquote(last)).replace("/", "_").lstrip(".")[-60:]
        objects[str(folder / f"{number:06}" / (last or "object"))] = each
    targets = {each.name: target for target, each in objects.items()}
    shutil.rmtree(folder, ignore_errors=True)  # of a killed run
    try:
        with files.copies_written(folder.parent):
            for target in objects:
                Path(target).parent.mkdir(mode=0o700, parents=True)
        if objects:
            _transfer(objects, stop, on_copy)
        named, others = (
            tuple(dict.fromkeys(each for one in of for each in files.members(targets[one.name])))
            for of in (found, about_users)
        )
        yield Copies((*here, *named), (*here_about_users, *others), objects)
    except EventabsError as error:
        lines = [str(line) for line in error.args]
        for copy, each in objects.items():
            for form in (as_glob(copy), copy):
                lines = [line.replace(form, each.address) for line in lines]
        error.args = tuple(lines)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _transfer(objects: Mapping[str, StoredObject], stop: Stop, on_copy: OnCopy) -> None:
    """Copy objects into files, a few in parallel. Raises InputError, StorageError and StopRequested."""
    from multiprocessing.pool import ThreadPool  # noqa: PLC0415  it takes a while, and most exports are files here

    halted, done = Event(), dict.fromkeys(objects, 0)
    sizes = {target: each.size for target, each in objects.items()}

    def progress() -> Copying:
        return Copying(len(sizes), sum(sizes.values()), sum(done.values()))

    def copy(target: str) -> None:
        item, path = objects[target], Path(target)
        if halted.is_set():
            return
        # obstore continues what breaks off, where an ETag shows that the object is the same
        options: GetOptions = {"if_match": item.etag} if item.etag and not item.etag.startswith("W/") else {}
        named = stores.store_errors_named(item.address)
        try:
            with files.copies_written(path.parent), path.open("wb") as file, named:
                answer = item.store.get(item.path, options=options)
                sizes[target] = answer.meta["size"]
                _require_room(target, sizes[target], item.address)
                for chunk in answer.stream(1 << 16):
                    done[target] += file.write(chunk)
                    if halted.is_set():
                        return
            files.refuse_document(target, files.first_bytes(target))
        except Exception:
            halted.set()
            raise

    told = progress()
    target, item = next(iter(objects.items()))
    _require_room(target, told.size, item.address)
    on_copy(told)
    try:
        # small objects mostly wait; a stop does not wait for a silent server: the threads of a pool are daemons
        threads = ThreadPool(min(8, told.objects))
    except AttributeError as error:
        # where the system has no more threads, the pool tries to end those that it has as if they were processes
        raise error.__context__ or error from None
    with threads as pool:
        copies = pool.map_async(copy, objects, chunksize=1)
        try:
            stop.check()  # also where all are done already
            while not copies.ready():
                copies.wait(0.1)
                stop.check()
                now = progress()
                if now.size >= _WORTH_TELLING and now.done - told.done >= now.size / 10:
                    on_copy(told := now)
        finally:
            halted.set()
    copies.get()  # raises what ended a copy


def _require_room(target: str, size: int, address: str) -> None:
    if size > shutil.disk_usage(Path(target).parent).free:
        raise files.no_room(address)


class Frame(str):
    """A table in the place of a path, named "-": a run keeps a copy of it as it does of standard input."""

    __slots__ = ("table",)
    table: Any

    def __new__(cls, table: object) -> Self:
        """Take the table. Raises InputError where DuckDB could not read it."""
        if not hasattr(table, "__arrow_c_stream__"):
            message = _(
                "{type} is neither paths nor a table; give a path, a list of paths, or a pandas, polars, Arrow or DuckDB table"
            )
            raise InputError(message.format(type=type(table).__name__))
        frame = super().__new__(cls, "-")
        frame.table = table
        return frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the rows, in the one way in which DuckDB reads them without pyarrow."""
        return self.table.__arrow_c_stream__(requested_schema)

    def copy_to(self, path: Path, stop: Stop) -> None:
        """Write the rows into a file that is there, as Parquet. Raises InputError, OSError and StopRequested."""
        with (
            errors_named(type(self.table).__name__),
            TemporaryDirectory(prefix="eventabs-") as scratch,
            scratch_database(Path(scratch) / "frame", [str(path)], stop) as connection,
        ):
            # a column's type is that of all its values
            connection.execute(f"SET pandas_analyze_sample = {2**62}")
            try:
                connection.register("frame", self.table)
            except duckdb.Error:  # a relation; without pyarrow, all but pandas
                connection.register("frame", self)
            target = quoted(str(path))
            connection.execute(f"COPY (FROM frame) TO {target} (FORMAT parquet, USE_TMP_FILE false)")
