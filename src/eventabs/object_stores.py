"""Objects in S3, Google Cloud Storage, Azure and on the web: addresses, stores, errors, and whole uploads."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from eventabs.errors_and_exit_codes import InputError, UsageError
from eventabs.interface_language import gettext as _

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import BackoffConfig, ClientConfig, ObjectStore, RetryConfig


_WEB: Final = ("https", "http")
_USER: Final = "^([a-zA-Z]+://)[^/?]*@"  # of a web address; a password may have a #
QUERY_CUT: Final = "?..."  # in place of a query, which may hold a signature


class Address(NamedTuple):
    """An address and its parts: `s3://shop/day/1.csv` has the scheme `s3`, the bucket `shop` and the key `day/1.csv`; on the web host and path."""

    text: str
    scheme: str
    bucket: str
    key: str

    @classmethod
    def of(cls, text: str) -> "Address":
        """Take an address apart."""
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower() if separator else ""
        if scheme in _WEB:  # a backslash is a slash there
            rest = re.split("[?#]", rest)[0].replace("\\", "/")
        bucket, _slash, key = rest.partition("/")
        return cls(text, scheme, bucket, key)

    @property
    def is_web(self) -> bool:
        """Whether it names a web server and not a store."""
        return self.scheme in _WEB

    @property
    def is_in_store(self) -> bool:
        """Whether it names a bucket of a known store."""
        return self.scheme in _ENVIRONMENT and bool(self.bucket)

    @property
    def names_object(self) -> bool:
        """Whether it may name an object; else it names a folder."""
        return bool(self.bucket and self.key) and self.key.rpartition("/")[2] not in ("", ".", "..")

    @property
    def has_user(self) -> bool:
        """Whether a web address has a user, and perhaps a password."""
        return self.is_web and bool(re.match(_USER, self.text))

    @property
    def place(self) -> str:
        """The address of the bucket."""
        return f"{self.scheme}://{self.bucket}"


def is_address(path: str) -> bool:
    """Whether a name is an address; else it is a file."""
    return "://" in path


def public_address(path: str) -> str:
    """Return a name as it may be shown and stored: a web address without user and query, which may hold secrets."""
    if not Address.of(path).is_web:
        return path
    bare, query, _rest = re.sub(_USER, r"\1", path).partition("?")
    return f"{bare}{QUERY_CUT if query else ''}"


_ENVIRONMENT: Final = {  # what obstore reads, and how these names begin
    "s3": ("AWS", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL"),
    "gs": ("GOOGLE", "GOOGLE_APPLICATION_CREDENTIALS"),
    "az": ("AZURE", "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY"),
}
# where the cloud's metadata service is, which is tried last
_NO_CREDENTIALS: Final = ("169.254.169.254", "metadata.google", "Account must be specified")
_MISSING: Final = 404
_CHANGED: Final = 412  # or there already, where it is written
_PASSING: Final = (408, 429, *range(500, 600))


def obstore(address: str) -> ModuleType:
    """Return the library. Raises InputError if it is not installed."""
    try:
        import obstore.exceptions  # noqa: PLC0415  an extra that few install
        import obstore.store  # noqa: PLC0415
    except ImportError:
        message = _("{path} is an address; install what opens it: pip install 'eventabs[s3]'")
        raise InputError(message.format(path=public_address(address))) from None
    return obstore


@contextmanager
def store_errors_named(address: str) -> Iterator[None]:
    """Turn obstore's errors, whose text holds queries and answers, into an InputError of one line about the address."""
    base = obstore(address).exceptions.BaseError
    try:
        yield
    except (base, OSError, NotImplementedError, ValueError) as error:
        if getattr(error, "errno", None) is not None:  # of this machine's own files
            raise
        raise _refusal(address, str(error)) from None


def _refusal(address: str, text: str) -> InputError:
    """Return the error for obstore's message: by words or the status in its first line, else by the structure below it."""
    said = text.partition("\n")[0]
    found = re.search(r"status code: (\d{3})", said)
    asked = re.search(r"Error performing ([A-Z]+) (\S+)", said)
    status = int(found[1]) if found else 0
    variable, variables = _ENVIRONMENT.get(Address.of(address).scheme, ("", ""))
    is_written = asked is not None and asked[1] in ("PUT", "POST")
    lacks_bucket = "list request" in said or (is_written and variables)
    step = _("check the address, or use a file on this machine")
    if variables:
        step = _("check {variables}, and the right to list, and to read or write").format(variables=variables)
    meanings: dict[str, object] = {  # the first that holds
        _(
            "{path}: no credentials are set; set {variables}, or {variable}_SKIP_SIGNATURE=true where anyone may read"
        ): any(sign in said for sign in _NO_CREDENTIALS),
        _(
            "{path} does not say how long it is, so that a break would go unnoticed; pipe it:"
            " curl -fL ADDRESS | eventabs run -"
        ): "Content-Length" in said,
        _(
            "{path} leads elsewhere, and not to an end; name the address, region or endpoint that it leads to"
        ): "redirect" in said,
        _(
            "{path}: empty names, . and .. between slashes cannot be used; give the object another name"
        ): "Could not parse path" in said,
        _("{path}: the server answers HTTP {status}; try again later"): status in _PASSING,
        _taken(): status == _CHANGED and is_written,
        _("{path} has changed while it was read; start again once it is complete"): status == _CHANGED,
        _(
            "{path}: there is no such bucket; check its name, and account, region and endpoint in the environment"
        ): status == _MISSING and lacks_bucket,
        _("{path} does not exist (HTTP {status}); check the address"): status == _MISSING,
        _("{path}: access is denied (HTTP {status}); {step}"): status in (401, 403),
        _("{path}: the request is refused (HTTP {status}); {step}"): status,
        _(
            "{path}: the certificate of {host} is not trusted; let SSL_CERT_FILE name your authority's PEM file"
        ): "InvalidCertificate" in text,
        _(
            "{path}: {host} cannot be reached; check the network, a proxy and the endpoint"
        ): "error sending request" in text,
        _(
            "{path}: the transfer breaks off (the network is gone, the object has changed, or the server gives no ETag to go on with); start again, or download it and name the file"
        ): True,
    }
    message = next(message for message, holds in meanings.items() if holds)
    host = urlsplit(asked[2]).netloc if asked else address
    values = {"status": status, "variable": variable, "variables": variables, "host": host, "step": step}
    return InputError(message.format(path=public_address(address), **values))


def _taken() -> str:
    return _("{path} exists; name another with --output, or replace it with --replace")


_LONGEST: Final = timedelta(days=7)  # for a whole transfer; obstore's own limit is 30 seconds
_WAITS: Final["BackoffConfig"] = {
    "init_backoff": timedelta(seconds=1),
    "max_backoff": timedelta(seconds=8),
    "base": 2,
}


class StoredObject(NamedTuple):
    """An object and how to reach it."""

    name: str  # its full address, which is never shown
    store: "ObjectStore"
    path: str  # its key in a store, "" on the web
    size: int = 0  # this and the ETag are known once the store was asked
    etag: str = ""

    @classmethod
    def of(cls, address: Address, store: "ObjectStore", meta: "ObjectMeta") -> "StoredObject":
        """Take what a store says of an object in the bucket of an address."""
        return cls(f"{address.place}/{meta['path']}", store, meta["path"], meta["size"], meta["e_tag"] or "")

    @property
    def address(self) -> str:
        """The address as it is shown."""
        return public_address(self.name)


def open_store(address: Address, headers: Mapping[str, str] | None = None) -> "ObjectStore":
    """Return the store of a bucket; a web address is one of one object with an empty path. `headers` go with each request. Raises obstore's errors."""
    client: ClientConfig = {
        "allow_http": address.scheme != "https",  # in a store, where its endpoint says so
        "connect_timeout": "5s",
        "read_timeout": "30s",  # of silence
        "timeout": _LONGEST,
        "default_headers": dict(headers or {}),
    }
    # also of a transfer that breaks off
    retries: RetryConfig = {"max_retries": 5, "retry_timeout": _LONGEST, "backoff": _WAITS}
    stores = obstore(address.text).store
    # `from_url` would take the web address of a bucket for the bucket, without a signature
    opened, place = (stores.HTTPStore, address.text) if address.is_web else (stores.from_url, address.place)
    store: ObjectStore = opened(place, client_options=client, retry_config=retries)
    return store


def object_at(store: "ObjectStore", address: Address) -> StoredObject | None:
    """Return the object with exactly this key, None if there is none. Raises obstore's errors."""
    with suppress(FileNotFoundError):
        return StoredObject.of(address, store, store.head(address.key))
    return None


_PIECE: Final = 10_000_000  # bytes; S3 takes 10,000 pieces of an object


class Destination:
    """Where to write an object, with `replace` also over an existing one. Raises UsageError, before it writes anything, if that is impossible."""

    def __init__(self, address: str, *, replace: bool = False) -> None:
        self._address = Address.of(address)
        if self._address.has_user:
            message = _(
                "{path}: a password in an address is not used; write a file and try: curl -T FILE -u USER {path}"
            )
            raise UsageError(message.format(path=self))
        if not ((self._address.is_web or self._address.is_in_store) and self._address.names_object):
            message = _(
                "{path} cannot be written; name an object: s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY, or https://HOST/PATH"
            )
            raise UsageError(message.format(path=self))
        # no question to a web server: a signature allows writing only
        headers = {"If-None-Match": "*"} if self._address.is_web and not replace else {}
        with store_errors_named(address):
            self._store = open_store(self._address, headers)
            if self._address.is_in_store and not replace and object_at(self._store, self._address):
                raise UsageError(_taken().format(path=self))

    def __str__(self) -> str:
        return public_address(self._address.text)

    def write(self, file: Path) -> None:
        """Write the object; nobody sees it before it is whole. Raises UsageError, and OSError if `file` cannot be read."""
        library = obstore(self._address.text)
        with file.open("rb") as source, store_errors_named(self._address.text):
            if self._address.is_web:
                library.put(self._store, "", source, use_multipart=False)
                return
            # in parts, a few in memory at a time; what ends it early, Ctrl-C too, aborts the upload
            room = {"buffer_size": _PIECE, "max_concurrency": 4}
            with library.open_writer(self._store, self._address.key, **room) as target:
                shutil.copyfileobj(source, target, _PIECE)
