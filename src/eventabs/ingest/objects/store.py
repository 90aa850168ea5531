"""Objects in S3, Google Cloud Storage and Azure, and behind web addresses: what addresses name, and what can go wrong."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import has_magic
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from eventabs.errors import InputError
from eventabs.ingest.files import is_address, is_readable
from eventabs.language import gettext as _

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_STORES: Final = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
_WEB: Final = ("https", "http")
_ENVIRONMENT: Final = {  # what obstore reads, and how these names begin
    "s3": ("AWS", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL"),
    "gs": ("GOOGLE", "GOOGLE_APPLICATION_CREDENTIALS"),
    "az": ("AZURE", "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY"),
}
_QUERY_CUT: Final = "?..."  # stands for a query, which may hold a signature
_LISTED: Final = 1000  # objects a request
_CONNECT_SECONDS: Final = "5s"
_SILENT_SECONDS: Final = "30s"
_LONGEST: Final = "7d"  # of a whole transfer; obstore's own limit is 30 seconds
_RETRIES: Final = 2  # of a single request, by obstore
_STATUS: Final = re.compile(r"status code: (\d{3})")
_ASKED: Final = re.compile(r"Error performing [A-Z]+ (\S+)")
_PASSING: Final = (408, 429, *range(500, 600))


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and how it is reached; size and ETag are known where the store has been asked for them.

    `name` is its whole address, which is never shown.
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
    def scheme(self) -> str:
        """`s3`, `gs`, `az`, `https` or `http`."""
        return self.name.partition("://")[0]

    @property
    def is_web(self) -> bool:
        """Whether it lies in no store, but behind a web address."""
        return self.scheme in _WEB

    @property
    def identity(self) -> bytes:
        """Digest of ETag and size; nothing for an object that is in no store, whose ETag says little."""
        if not self.etag or self.is_web:
            return b""
        return sha256(f"{self.etag} {self.size}".encode()).digest()


def public_address(path: str) -> str:
    """Return a name as it may be shown and stored: a web address without user and query, which may hold secrets."""
    if path.partition("://")[0].lower() not in _WEB:
        return path
    bare, query, _rest = path.partition("?")
    scheme, _separator, rest = bare.partition("://")
    host, slash, tail = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{tail}{_QUERY_CUT if query else ''}"


def find_objects(paths: Sequence[str], excluded: Sequence[str] = ()) -> list[StoredObject]:
    """Return the objects that the addresses among `paths` name: an object, a folder or a glob each.

    `excluded` are addresses that folders and globs do not mean. Raises InputError.
    """
    return [
        each
        for path in paths
        if is_address(path)
        for each in _named(path)
        if each.name == path or each.name not in excluded
    ]


def _named(address: str) -> list[StoredObject]:
    """Return the objects that an address names. Raises InputError where there are none."""
    if address.partition("://")[0].lower() in _WEB:
        return [_web_object(address)]
    scheme, bucket, key = _located(address)
    with store_errors_named(address):
        store = _store(scheme, bucket)
        place = f"{scheme}://{bucket}"
        if has_magic(key):
            return _matching(store, place, key)
        if key and not key.endswith("/") and (found := _single(store, place, key)):
            return [found]
        return _in_folder(store, place, key)


def open_bucket(address: str) -> tuple["ObjectStore", str]:
    """Return the store of the bucket that an address names, and the key behind it. Raises InputError."""
    scheme, bucket, key = _located(address)
    with store_errors_named(address):
        return _store(scheme, bucket), key


def _located(address: str) -> tuple[str, str, str]:
    """Return scheme, bucket and key. Raises InputError for an address that names no bucket."""
    scheme, _separator, rest = address.partition("://")
    scheme = scheme.lower()
    bucket, _slash, key = rest.partition("/")
    if scheme not in _STORES or not bucket:
        message = _(
            "{path} cannot be read; addresses begin with s3://BUCKET/, gs://BUCKET/, az://CONTAINER/, https:// or http://"
        )
        raise InputError(message.format(path=address))
    return scheme, bucket, key


def _web_object(address: str) -> StoredObject:
    public = public_address(address)
    if address.endswith(_QUERY_CUT):
        message = _(
            "{path}: what stood behind the ? may hold a signature and was not kept; name the whole address again,"
            " in [input] paths or profiles, or in EVENTABS_INPUT__PATHS or EVENTABS_INPUT__PROFILES"
        )
        raise InputError(message.format(path=public))
    if "@" in address.partition("://")[2].partition("/")[0].partition("?")[0]:
        message = _(
            "{path}: a password in an address is not used; try: curl -fL -u USER {path} | eventabs run -"
        )
        raise InputError(message.format(path=public))
    with store_errors_named(public):
        return StoredObject(address, _store("https", address), "")


def _store(scheme: str, place: str) -> "ObjectStore":
    """Return the store of a bucket, or of a web address, which is a store of one object with an empty path."""
    client: ClientConfig = {
        "allow_http": scheme in _STORES or place.lower().startswith("http:"),  # where an endpoint says so
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _SILENT_SECONDS,
        "timeout": _LONGEST,
    }
    retries: RetryConfig = {"max_retries": _RETRIES}
    kind = getattr(_obstore(place).store, _STORES.get(scheme, "HTTPStore"))
    store: ObjectStore = kind(place, client_options=client, retry_config=retries)
    return store


def _obstore(address: str) -> ModuleType:
    try:
        import obstore.exceptions  # noqa: PLC0415  an extra that few install
        import obstore.store  # noqa: PLC0415
    except ImportError:
        message = _("{path} is an address; install what reads it: pip install 'eventabs[s3]'")
        raise InputError(message.format(path=public_address(address))) from None
    return obstore


def _single(store: "ObjectStore", place: str, key: str) -> StoredObject | None:
    try:
        meta = store.head(key)
    except FileNotFoundError:
        return None
    return StoredObject(f"{place}/{key}", store, key, meta["size"], meta["e_tag"] or "")


def _listed(store: "ObjectStore", place: str, folder: str) -> Iterator[StoredObject]:
    for chunk in store.list(folder or None, chunk_size=_LISTED):
        for meta in chunk:
            path = meta["path"]
            yield StoredObject(f"{place}/{path}", store, path, meta["size"], meta["e_tag"] or "")


def _in_folder(store: "ObjectStore", place: str, folder: str) -> list[StoredObject]:
    """Return what a folder and its subfolders hold, without hidden objects and those of other kinds."""
    listed = list(_listed(store, place, folder))
    found = [each for each in listed if _is_shown(each.path.removeprefix(folder)) and is_readable(each.path)]
    if found:
        return found
    if listed:
        message = _("{path} holds no export; name a folder with .jsonl, .csv, .tsv, .parquet or .xlsx files")
    else:
        message = _("{path} does not exist; check the name, which is an object, a folder or a glob")
    raise InputError(message.format(path=f"{place}/{folder}"))


def _is_shown(path: str) -> bool:
    return not any(part.startswith((".", "_")) for part in path.split("/"))


def _matching(store: "ObjectStore", place: str, pattern: str) -> list[StoredObject]:
    """Return what a glob matches; an object of the very name is that object."""
    start = pattern[: min(pattern.find(sign) for sign in "*?[" if sign in pattern)]
    listed = list(_listed(store, place, start.rpartition("/")[0]))
    literal = [each for each in listed if each.path == pattern]
    wanted = pattern.split("/")
    found = literal or [each for each in listed if _fits(each.path.split("/"), wanted)]
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


class BrokenError(InputError):
    """A failure that may pass."""


@contextmanager
def store_errors_named(address: str) -> Iterator[None]:
    """Turn obstore's errors into one line about the address. Their text is not shown: it holds queries and answers."""
    base = _obstore(address).exceptions.BaseError
    try:
        yield
    except (base, FileNotFoundError, NotImplementedError, ValueError) as error:
        raise _refusal(address, str(error)) from None


def _refusal(address: str, text: str) -> InputError:
    """Return the error for what obstore says, in a first line and in the structure that follows it."""
    said = text.partition("\n")[0]
    found, asked = _STATUS.search(said), _ASKED.search(said)
    status = int(found[1]) if found else 0
    variable, variables = _ENVIRONMENT.get(address.partition("://")[0].lower(), ("", ""))
    if variables:
        step = _("check {variables}, and the right to read and list").format(variables=variables)
    else:
        step = _("check the address, or download it and name the file")
    message = _by_words(said) or _by_status(status, said)
    kind: type[InputError] = InputError
    if not message:
        kind, message = BrokenError, _passing(status, text)
    host = urlsplit(asked[1]).netloc if asked else address
    return kind(
        message.format(
            path=public_address(address),
            status=status,
            variable=variable,
            variables=variables,
            step=step,
            host=host,
        )
    )


def _by_words(said: str) -> str:
    no_credentials = _(
        "{path}: no credentials are set; set {variables}, or {variable}_SKIP_SIGNATURE=true where anyone may read"
    )
    messages = {
        "169.254.169.254": no_credentials,  # the service of a cloud's own machines, which is asked at last
        "metadata.google": no_credentials,
        "Account must be specified": no_credentials,
        "Content-Length": _(
            "{path} does not say how long it is, so that a break would go unnoticed; pipe it:"
            " curl -fL ADDRESS | eventabs run -"
        ),
        "redirect": _(
            "{path} leads elsewhere, and not to an end; name the address, region or endpoint that it leads to"
        ),
        "Could not parse path": _(
            "{path}: empty names, . and .. between slashes cannot be read; copy the object and name the file"
        ),
    }
    return next((message for sign, message in messages.items() if sign in said), "")


def _by_status(status: int, said: str) -> str:
    """Return what a status means that no repetition changes, "" for any other."""
    if not status or status in _PASSING:
        return ""
    denied = _("{path}: access is denied (HTTP {status}); {step}")
    missing = _("{path} does not exist (HTTP {status}); check the address")
    if "list request" in said:
        missing = _(
            "{path}: there is no such bucket; check its name, and account, region and endpoint in the environment"
        )
    changed = _("{path} has changed while it was read; start again once it is complete")
    refused = _("{path}: the request is refused (HTTP {status}); {step}")
    return {401: denied, 403: denied, 404: missing, 412: changed}.get(status, refused)


def _passing(status: int, text: str) -> str:
    if status:
        return _("{path}: the server answers HTTP {status}; try again later")
    if "InvalidCertificate" in text:
        return _(
            "{path}: the certificate of {host} is not trusted; let SSL_CERT_FILE name your authority's PEM file"
        )
    if "error sending request" in text:
        return _("{path}: {host} cannot be reached; check the network, a proxy and the endpoint")
    return _("{path}: the transfer breaks off; check the network, and start again")
