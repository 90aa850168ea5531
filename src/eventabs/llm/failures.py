"""The errors that people meet when an endpoint refuses, each with its next step."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from eventabs.errors import (
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
)
from eventabs.language import gettext as _
from eventabs.llm.codes import Meaning
from eventabs.llm.faults import Fault, find_fault
from eventabs.llm.redaction import one_line
from eventabs.llm.waits import read_reset, read_retry_after
from eventabs.llm.wire import parse_json

_ERRORS: dict[Meaning, type[EndpointError]] = {
    "key": FatalEndpointError,
    "quota": FatalEndpointError,
    "model": FatalEndpointError,
    "moderated": ModeratedError,
    "too_long": ContextTooLongError,
    "rejected": RejectedRequestError,
}
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<?xml")


class UnsupportedParameterError(RejectedRequestError):
    """The endpoint does not take the parameters that it names."""

    def __init__(self, message: str, *, status: int | None, parameters: frozenset[str]) -> None:
        super().__init__(message, status=status)
        self.parameters = parameters


@dataclass(frozen=True, slots=True)
class Origin:
    """The answer that a fault comes from, when it came (Unix time), and from whom.

    `longest_wait`: seconds that a server may ask to wait before that counts as a refusal.
    """

    status: int
    headers: Mapping[str, str]
    now: float
    host: str
    secrets: tuple[str, ...]
    longest_wait: float


def explain(fault: Fault, origin: Origin) -> EndpointError:
    """Make the error of a fault inside an answer."""
    meaning = fault.means(origin.status)
    answer = _("{host} answered with HTTP {status}").format(host=origin.host, status=origin.status)
    message = _word(meaning).format(
        answer=answer,
        said=one_line(fault.message, origin.secrets) or _("no reason given"),
    )
    if meaning == "rejected" and fault.parameters:
        return UnsupportedParameterError(message, status=origin.status, parameters=fault.parameters)
    if meaning in _ERRORS:
        return _ERRORS[meaning](message, status=origin.status)
    wait = read_retry_after(origin.headers, origin.now)
    if wait is None and meaning == "rate":
        wait = read_reset(origin.headers)
    if wait is not None and wait > origin.longest_wait:
        return FatalEndpointError(_too_long_a_wait(answer, origin.now + wait), status=origin.status)
    if meaning == "rate" or wait is not None:
        return RateLimitedError(message, status=origin.status, wait_seconds=wait)
    return TransientError(message, status=origin.status)


def explain_refusal(body: bytes, origin: Origin) -> EndpointError:
    """Make the error of an answer whose status is not 2xx."""
    if origin.status < HTTPStatus.BAD_REQUEST:
        message = _(
            "{host} redirects to {target}, which is not followed; set llm.base_url to the final address"
        )
        target = one_line(_host_of(origin.headers.get("location", "")) or origin.host, origin.secrets)
        return FatalEndpointError(message.format(host=origin.host, target=target), status=origin.status)
    return explain(find_fault(parse_json(body)) or Fault(message=_describe(body)), origin)


def _word(meaning: Meaning | None) -> str:
    words: dict[Meaning, str] = {
        # The answer's own words are left out: servers like to quote the key.
        "key": _(
            "{answer}: the API key is missing, wrong or without the right to this; "
            "check the variable named by llm.api_key_env"
        ),
        "quota": _("{answer}: quota or balance is used up: {said}; top it up, then resume"),
        "model": _("{answer}: no such model or address: {said}; check llm.model and llm.base_url"),
        "moderated": _("{answer}: its moderation refuses the content: {said}; look at failures.jsonl"),
        "too_long": _("{answer}: too long for the model: {said}; lower budget.max_input_tokens"),
        "rejected": _(
            "{answer}: it does not take the request: {said}; check [llm] and [budget] of the config"
        ),
        "rate": _("{answer}: too many requests: {said}; lower run.rpm, run.tpm or run.concurrency"),
        "again": _("{answer}: {said}; it may pass: resume later"),
    }
    return words[meaning or "again"]


def _too_long_a_wait(answer: str, until: float) -> str:
    message = _(
        "{answer}: it takes no requests before {time}; resume then, or let runs wait that long: llm.longest_wait"
    )
    moment = datetime.fromtimestamp(until, tz=UTC).astimezone()
    return message.format(answer=answer, time=f"{moment:%Y-%m-%d %H:%M}")


def _host_of(location: str) -> str | None:
    try:
        return urlsplit(location).hostname
    except ValueError:
        return None


def _describe(body: bytes) -> str:
    if body.lstrip()[:16].lower().startswith(_MARKUP):
        return _("a web page instead of JSON")
    return body.decode("utf-8", "replace")
