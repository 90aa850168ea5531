"""The objects of an input: those of an address, a folder or a glob."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from typing import TYPE_CHECKING

from eventabs.errors import InputError
from eventabs.ingest.files import is_readable
from eventabs.language import gettext as _
from eventabs.objects import (
    QUERY_CUT,
    Address,
    StoredObject,
    is_address,
    listed,
    object_at,
    open_store,
    public_address,
    store_errors_named,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore


def find_objects(paths: Sequence[str], excluded: Sequence[str] = ()) -> list[StoredObject]:
    """Return the objects that the addresses in `paths` name: each an object, a folder or a glob.

    `excluded`: addresses that folders and globs leave out. Raises InputError.
    """
    return [
        each
        for path in paths
        if is_address(path)
        for each in _named(path)
        if each.name == path or each.name not in excluded
    ]


def _named(text: str) -> list[StoredObject]:
    """Return the objects that an address names. Raises InputError if there are none."""
    if (address := Address.of(text)).is_web:
        return [_web_object(address)]
    address = Address.of_bucket(text)
    with store_errors_named(text):
        store = open_store(address)
        if has_magic(address.key):
            return _matching(store, address.place, address.key)
        if address.names_object and (found := object_at(store, address)):
            return [found]
        return _in_folder(store, address.place, address.key)


def _web_object(address: Address) -> StoredObject:
    public = public_address(address.text)
    if address.text.endswith(QUERY_CUT):
        message = _(
            "{path}: what stood behind the ? may hold a signature and was not kept; name the whole address again,"
            " in [input] paths or profiles, or in EVENTABS_INPUT__PATHS or EVENTABS_INPUT__PROFILES"
        )
        raise InputError(message.format(path=public))
    if address.has_user:
        message = _(
            "{path}: a password in an address is not used; try: curl -fL -u USER {path} | eventabs run -"
        )
        raise InputError(message.format(path=public))
    with store_errors_named(public):
        return StoredObject(address.text, open_store(address), "")


def _in_folder(store: "ObjectStore", place: str, folder: str) -> list[StoredObject]:
    """Return the readable objects of a folder and its subfolders, without hidden ones."""
    inside = list(listed(store, place, folder))
    found = [each for each in inside if _is_shown(each.path.removeprefix(folder)) and is_readable(each.path)]
    if found:
        return found
    if inside:
        message = _("{path} holds no export; name a folder with .jsonl, .csv, .tsv, .parquet or .xlsx files")
    else:
        message = _("{path} does not exist; check the name, which is an object, a folder or a glob")
    raise InputError(message.format(path=f"{place}/{folder}"))


def _is_shown(path: str) -> bool:
    return not any(part.startswith((".", "_")) for part in path.split("/"))


def _matching(store: "ObjectStore", place: str, pattern: str) -> list[StoredObject]:
    """Return the objects that match a glob; an object with exactly this name is meant itself."""
    start = pattern[: min(pattern.find(sign) for sign in "*?[" if sign in pattern)]
    inside = list(listed(store, place, start.rpartition("/")[0]))
    literal = [each for each in inside if each.path == pattern]
    wanted = pattern.split("/")
    found = literal or [each for each in inside if _fits(each.path.split("/"), wanted)]
    if not found:
        message = _("no object matches {path}; check the pattern and the bucket")
        raise InputError(message.format(path=f"{place}/{pattern}"))
    return found


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a glob; `**` stands for any folders."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return any(_fits(parts[skipped:], pattern[1:]) for skipped in range(len(parts)))
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
