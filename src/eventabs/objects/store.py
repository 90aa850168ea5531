"""The stores that addresses lead to, and the objects in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from eventabs.objects.address import Address, public_address
from eventabs.objects.errors import Purpose, obstore

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_KINDS: Final = {
    "s3": "S3Store",
    "gs": "GCSStore",
    "az": "AzureStore",
    "https": "HTTPStore",
    "http": "HTTPStore",
}
_LISTED: Final = 1000  # objects a request
_CONNECT_SECONDS: Final = "5s"
_SILENT_SECONDS: Final = "30s"
_LONGEST: Final = "7d"  # for a whole transfer; obstore's own limit is 30 seconds
_RETRIES: Final = 2  # for a single request, by obstore


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and how to reach it; size and ETag are known once the store was asked.

    `name` is its full address, which is never shown.
    """

    name: str
    store: "ObjectStore"
    path: str
    size: int = 0
    etag: str = ""

    @property
    def address(self) -> str:
        """The address as it is shown."""
        return public_address(self.name)

    @property
    def is_web(self) -> bool:
        """Whether it has a web address and lies in no store."""
        return Address.of(self.name).is_web

    @property
    def identity(self) -> bytes:
        """Digest of ETag and size; empty for an object outside a store, whose ETag says little."""
        if not self.etag or self.is_web:
            return b""
        return sha256(f"{self.etag} {self.size}".encode()).digest()


def open_store(
    address: Address, purpose: Purpose = "read", headers: Mapping[str, str] | None = None
) -> "ObjectStore":
    """Return the store of a bucket. A web address is a store of one object with an empty path.

    `headers` go with each request. Raises UsageError if obstore is not installed, and obstore's own errors.
    """
    client: ClientConfig = {
        "allow_http": address.scheme != "https",  # in a store, where its endpoint says so
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _SILENT_SECONDS,
        "timeout": _LONGEST,
        "default_headers": dict(headers or {}),
    }
    retries: RetryConfig = {"max_retries": _RETRIES}
    kind = getattr(obstore(address.text, purpose).store, _KINDS[address.scheme])
    store: ObjectStore = kind(
        address.text if address.is_web else address.bucket, client_options=client, retry_config=retries
    )
    return store


def object_at(store: "ObjectStore", address: Address) -> StoredObject | None:
    """Return the object with exactly this key, None if there is none. Raises obstore's errors."""
    try:
        meta = store.head(address.key)
    except FileNotFoundError:
        return None
    return StoredObject(
        f"{address.place}/{address.key}", store, address.key, meta["size"], meta["e_tag"] or ""
    )


def listed(store: "ObjectStore", place: str, folder: str) -> Iterator[StoredObject]:
    """Yield the objects of a folder and its subfolders; `place` is the bucket's address. Raises obstore's errors."""
    for chunk in store.list(folder or None, chunk_size=_LISTED):
        for meta in chunk:
            path = meta["path"]
            yield StoredObject(f"{place}/{path}", store, path, meta["size"], meta["e_tag"] or "")
