"""Addresses of objects: their parts, and which of them may be shown."""

from typing import Final, NamedTuple

from eventabs.errors import InputError
from eventabs.language import gettext as _

_STORES: Final = ("s3", "gs", "az")
_WEB: Final = ("https", "http")
QUERY_CUT: Final = "?..."  # in place of a query, which may hold a signature


class Address(NamedTuple):
    """An address and its parts: `s3://shop/day/1.csv` has the scheme `s3`, the bucket `shop` and the key `day/1.csv`."""

    text: str
    scheme: str
    bucket: str
    key: str

    @classmethod
    def of(cls, text: str) -> "Address":
        """Take an address apart."""
        scheme, separator, rest = text.partition("://")
        bucket, _slash, key = rest.partition("/")
        return cls(text, scheme.lower() if separator else "", bucket, key)

    @classmethod
    def of_bucket(cls, text: str) -> "Address":
        """Take apart an address in a store. Raises InputError for any other."""
        address = cls.of(text)
        if address.is_in_store:
            return address
        message = _(
            "{path} cannot be read; addresses begin with s3://BUCKET/, gs://BUCKET/, az://CONTAINER/, https:// or http://"
        )
        raise InputError(message.format(path=text))

    @property
    def is_web(self) -> bool:
        """Whether it names a web server and not a store."""
        return self.scheme in _WEB

    @property
    def is_in_store(self) -> bool:
        """Whether it names a bucket of a known store."""
        return self.scheme in _STORES and bool(self.bucket)

    @property
    def names_object(self) -> bool:
        """Whether it may name an object; else it names a folder."""
        return bool(self.key) and not self.key.endswith("/")

    @property
    def has_user(self) -> bool:
        """Whether a web address has a user, and perhaps a password."""
        return self.is_web and "@" in self.bucket.partition("?")[0]

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
    bare, query, _rest = path.partition("?")
    scheme, _separator, rest = bare.partition("://")
    host, slash, tail = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{tail}{QUERY_CUT if query else ''}"
