"""What machines share: a folder or a bucket with whole files, and small records that change by compare-and-swap.

A record in a bucket is an object that is written with If-None-Match or If-Match. A record in a folder is a folder of its own: its one
`*.version` file names the file with the content, and to rename that is the swap, since only one process can rename a file away. That
needs no locks, which network folders often lack.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from eventabs.errors import InputError, StorageError
from eventabs.language import gettext as _
from eventabs.objects import Address, is_address, open_store, public_address, store_errors_named
from eventabs.store import open_private, replace_file

_PIECE = 1 << 20  # bytes
_LOOKS = 20  # at a record that others replace at that moment
_VERSION = ".version"


class ConflictError(Exception):
    """Another process has written the record meanwhile."""


class Share(Protocol):
    """A folder or a bucket. `address` names it. Every method raises StorageError where the share refuses."""

    address: str

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return a record's content and version, None where there is no record."""

    def write(self, key: str, content: bytes, *, version: str | None) -> str:
        """Replace a record that still has a version, None: that is not there yet; return the new version.

        No two contents of a record are equal. Raises ConflictError where another process was first.
        """

    def upload(self, source: Path, key: str) -> None:
        """Copy a file into the share, as a whole or not at all."""

    def download(self, key: str, target: Path) -> None:
        """Copy a file out of the share, as a whole or not at all. Raises FileNotFoundError."""

    def remove(self, key: str) -> None:
        """Remove a file, if it is there."""


def open_share(address: str) -> Share:
    """Open a folder, or a bucket by its address (s3, gs, az). Raises StorageError and InputError."""
    return _Bucket(address) if is_address(address) else _Folder(Path(address).absolute())


class _Folder:
    def __init__(self, root: Path) -> None:
        self.address = str(root)
        self._root = root
        with self._refusals():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, key: str) -> tuple[bytes, str] | None:
        folder = self._root / key
        with self._refusals():
            for _look in range(_LOOKS):
                if not folder.exists():
                    return None
                with suppress(StopIteration, FileNotFoundError):  # swapped at this moment
                    version = next(folder.glob(f"*{_VERSION}")).name
                    return _content(folder, version).read_bytes(), version
        raise _refusal(str(folder), "no version")

    def write(self, key: str, content: bytes, *, version: str | None) -> str:
        folder = self._root / key
        number = 0 if version is None else int(version.partition(".")[0])
        fresh = f"{number + 1}.{uuid.uuid4().hex}{_VERSION}"
        with self._refusals():
            if version is None:
                self._create(folder, fresh, content)
            else:
                self._swap(folder, version, fresh, content)
        return fresh

    def _create(self, folder: Path, fresh: str, content: bytes) -> None:
        made = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
        self._make(made)
        try:
            _write(_content(made, fresh), content)
            _write(made / fresh, b"")
            made.rename(folder)
        except OSError as error:
            shutil.rmtree(made, ignore_errors=True)
            if folder.exists():
                raise ConflictError from error
            raise

    def _swap(self, folder: Path, version: str, fresh: str, content: bytes) -> None:
        _write(_content(folder, fresh), content)
        try:
            (folder / version).rename(folder / fresh)
        except FileNotFoundError as error:
            if not (folder / fresh).exists():  # as where a network folder repeats a rename that was done
                _content(folder, fresh).unlink()
                raise ConflictError from error
        _sync(folder)
        _content(folder, version).unlink(missing_ok=True)

    def upload(self, source: Path, key: str) -> None:
        target = self._root / key
        with self._refusals(), source.open("rb") as file:
            self._make(target.parent)
            replace_file(target, iter(partial(file.read, _PIECE), b""))

    def download(self, key: str, target: Path) -> None:
        with (self._root / key).open("rb") as file:
            replace_file(target, iter(partial(file.read, _PIECE), b""))

    def _make(self, folder: Path) -> None:
        """Make a folder for its owner only, and those above it."""
        for part in reversed([folder, *folder.parents]):
            if part.is_relative_to(self._root):
                part.mkdir(mode=0o700, exist_ok=True)

    def remove(self, key: str) -> None:
        with self._refusals():
            (self._root / key).unlink(missing_ok=True)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _refusal(self.address, error.strerror or str(error)) from error


class _Bucket:
    def __init__(self, address: str) -> None:
        self.address = public_address(address)
        bucket = Address.of_bucket(address)
        with store_errors_named(address):
            self._store = open_store(bucket)
        self._prefix = bucket.key.rstrip("/")

    def read(self, key: str) -> tuple[bytes, str] | None:
        with self._refusals():
            try:
                found = self._store.get(self._key(key))
            except FileNotFoundError:
                return None
            return bytes(found.bytes()), str(found.meta["e_tag"])

    def write(self, key: str, content: bytes, *, version: str | None) -> str:
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415  an extra

        with self._refusals():
            try:
                put = self._store.put(
                    self._key(key), content, mode="create" if version is None else {"e_tag": version}
                )
            except (AlreadyExistsError, PreconditionError) as error:
                there = self.read(key)  # a try whose answer was lost is repeated, and refused
                if there is None or there[0] != content:
                    raise ConflictError from error
                return there[1]
            return str(put["e_tag"])

    def upload(self, source: Path, key: str) -> None:
        with self._refusals():
            self._store.put(self._key(key), source)

    def download(self, key: str, target: Path) -> None:
        with self._refusals():
            try:
                found = self._store.get(self._key(key))
            except FileNotFoundError:
                pass
            else:
                replace_file(target, map(bytes, found.stream(_PIECE)))
                return
        raise FileNotFoundError(key)

    def remove(self, key: str) -> None:
        with self._refusals(), suppress(FileNotFoundError):
            self._store.delete(self._key(key))

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            with store_errors_named(self.address):
                yield
        except InputError as error:
            raise StorageError(str(error)) from error


def _content(folder: Path, version: str) -> Path:
    return folder / version.removesuffix(_VERSION)


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb", opener=open_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _refusal(path: str, error: str) -> StorageError:
    message = _("{path} cannot be written ({error}); give every machine the right to write there, and go on")
    return StorageError(message.format(path=path, error=error))
