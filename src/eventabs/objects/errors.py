"""What can go wrong with objects, in one line with the next step."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final, Literal
from urllib.parse import urlsplit

from eventabs.errors import InputError, UsageError
from eventabs.language import gettext as _
from eventabs.objects.address import Address, public_address

Purpose = Literal["read", "write"]

_KINDS: Final[dict[Purpose, type[UsageError]]] = {"read": InputError, "write": UsageError}

_ENVIRONMENT: Final = {  # what obstore reads, and how these names begin
    "s3": ("AWS", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL"),
    "gs": ("GOOGLE", "GOOGLE_APPLICATION_CREDENTIALS"),
    "az": ("AZURE", "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY"),
}
_STATUS: Final = re.compile(r"status code: (\d{3})")
_ASKED: Final = re.compile(r"Error performing [A-Z]+ (\S+)")
_DENIED: Final = (401, 403)
_MISSING: Final = 404
_PASSING: Final = (408, 429, *range(500, 600))


class BrokenError(InputError):
    """A failed read that may succeed later."""


def obstore(address: str, purpose: Purpose = "read") -> ModuleType:
    """Return the library. Raises UsageError if it is not installed: an InputError when reading."""
    try:
        import obstore.exceptions  # noqa: PLC0415  an extra that few install
        import obstore.store  # noqa: PLC0415
    except ImportError:
        message = _("{path} is an address; install what writes to it: pip install 'eventabs[s3]'")
        if purpose == "read":
            message = _("{path} is an address; install what reads it: pip install 'eventabs[s3]'")
        raise _KINDS[purpose](message.format(path=public_address(address))) from None
    return obstore


@contextmanager
def store_errors_named(address: str, purpose: Purpose = "read") -> Iterator[None]:
    """Turn obstore's errors into one line about the address: an InputError, or a UsageError where it is written to.

    Their text is not shown: it holds queries and answers.
    """
    base = obstore(address, purpose).exceptions.BaseError
    try:
        yield
    except (base, OSError, NotImplementedError, ValueError) as error:
        if getattr(error, "errno", None) is not None:  # of this machine's own files
            raise
        raise _refusal(address, str(error), purpose) from None


def _refusal(address: str, text: str, purpose: Purpose) -> UsageError:
    """Return the error for obstore's message: its first line and the structure below it."""
    said = text.partition("\n")[0]
    found, asked = _STATUS.search(said), _ASKED.search(said)
    status = int(found[1]) if found else 0
    variable, variables = _ENVIRONMENT.get(Address.of(address).scheme, ("", ""))
    by_status = _of_reading if purpose == "read" else _of_writing
    message = _by_words(said, purpose) or by_status(status, said, in_store=bool(variables))
    kind = _KINDS[purpose]
    if not message:
        kind, message = BrokenError if purpose == "read" else kind, _passing(status, text)
    host = urlsplit(asked[1]).netloc if asked else address
    return kind(
        message.format(
            path=public_address(address), status=status, variable=variable, variables=variables, host=host
        )
    )


def _by_words(said: str, purpose: Purpose) -> str:
    no_credentials = _("{path}: no credentials are set; set {variables}")
    no_path = _("{path}: empty names, . and .. between slashes cannot be written; name another object")
    if purpose == "read":
        no_credentials = _(
            "{path}: no credentials are set; set {variables}, or {variable}_SKIP_SIGNATURE=true where anyone may read"
        )
        no_path = _(
            "{path}: empty names, . and .. between slashes cannot be read; copy the object and name the file"
        )
    messages = {
        "169.254.169.254": no_credentials,  # the cloud's metadata service, which is tried last
        "metadata.google": no_credentials,
        "Account must be specified": no_credentials,
        "Content-Length": _(
            "{path} does not say how long it is, so that a break would go unnoticed; pipe it:"
            " curl -fL ADDRESS | eventabs run -"
        ),
        "redirect": _(
            "{path} leads elsewhere, and not to an end; name the address, region or endpoint that it leads to"
        ),
        "Could not parse path": no_path,
    }
    return next((message for sign, message in messages.items() if sign in said), "")


def _of_reading(status: int, said: str, *, in_store: bool) -> str:
    """Return what a status means that no retry changes, "" for any other."""
    if not status or status in _PASSING:
        return ""
    step = _("check the address, or download it and name the file")
    if in_store:
        step = _("check {variables}, and the right to read and list")
    if status == _MISSING and "list request" in said:
        return _no_bucket()
    changed = _("{path} has changed while it was read; start again once it is complete")
    known = {_MISSING: _missing(), 412: changed}
    return known.get(status) or _refused(status, step)


def _of_writing(status: int, _said: str, *, in_store: bool) -> str:
    """Return what a status means that no retry changes, "" for any other."""
    if not status or status in _PASSING:
        return ""
    step = _("check the address, or write a file and upload that")
    if in_store:
        step = _("check {variables}, and the right to read and write")
    known = {_MISSING: _no_bucket() if in_store else _missing(), 412: taken()}
    return known.get(status) or _refused(status, step)


def taken() -> str:
    """Return the message that something exists already, with a placeholder `path`."""
    return _("{path} exists; name another with --output, or replace it with --replace")


def _no_bucket() -> str:
    return _(
        "{path}: there is no such bucket; check its name, and account, region and endpoint in the environment"
    )


def _missing() -> str:
    return _("{path} does not exist (HTTP {status}); check the address")


def _refused(status: int, step: str) -> str:
    if status in _DENIED:
        message = _("{path}: access is denied (HTTP {status}); {step}")
    else:
        message = _("{path}: the request is refused (HTTP {status}); {step}")
    return message.replace("{step}", step)


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
