"""Upload of a local file to a store or a web address, whole or not at all."""

from pathlib import Path
from typing import Final

from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.objects.address import Address, public_address
from eventabs.objects.errors import obstore, store_errors_named, taken
from eventabs.objects.store import object_at, open_store

_PIECE: Final = 10_000_000  # bytes; S3 takes 10,000 pieces of an object
_AT_ONCE: Final = 4  # pieces in memory


class Destination:
    """Where to write an object; `replace`: also over an existing one.

    Raises UsageError, before it writes anything, if that is impossible.
    """

    def __init__(self, address: str, *, replace: bool = False) -> None:
        self._address = Address.of(address)
        _refuse_unwritable(self._address)
        # no question to a web server: a signature allows writing only
        headers = {"If-None-Match": "*"} if self._address.is_web and not replace else {}
        with store_errors_named(address, "write"):
            self._store = open_store(self._address, "write", headers)
            if self._address.is_in_store and not replace and object_at(self._store, self._address):
                raise UsageError(taken().format(path=self.address))

    @property
    def address(self) -> str:
        """The address as it may be shown."""
        return public_address(self._address.text)

    def write(self, file: Path) -> None:
        """Write the object; nobody sees it before it is whole. Raises UsageError, and OSError if `file` cannot be read.

        A store gets it in parts, a few in memory at a time; a web server gets it in one piece.
        """
        library = obstore(self._address.text, "write")
        with file.open("rb") as source, store_errors_named(self._address.text, "write"):
            if self._address.is_web:
                library.put(self._store, "", source, use_multipart=False)
                return
            # what ends it early, Ctrl-C too, aborts the upload
            with library.open_writer(
                self._store, self._address.key, buffer_size=_PIECE, max_concurrency=_AT_ONCE
            ) as target:
                while data := source.read(_PIECE):
                    target.write(data)


def _refuse_unwritable(address: Address) -> None:
    path = public_address(address.text)
    if address.has_user:
        message = _(
            "{path}: a password in an address is not used; write a file and try: curl -T FILE -u USER {path}"
        )
        raise UsageError(message.format(path=path))
    if not (address.is_web or (address.is_in_store and address.names_object)):
        message = _(
            "{path} cannot be written; name an object: s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY, or https://"
        )
        raise UsageError(message.format(path=path))
