"""The errors that people meet when an endpoint refuses, each with its next step."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal
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
from eventabs.providers.openai.endpoint import one_line
from eventabs.providers.openai.wire import parse_json

Meaning = Literal["key", "quota", "model", "moderated", "too_long", "rate", "again", "rejected"]

_CODES: dict[Meaning, str] = {
    "key": """
        invalid_api_key incorrect_api_key_error invalid_authentication_error authentication_error
        account_deactivated permission_denied_error invalidapikey auth_error
        1110 1111 1112 1121 1220
        authenticationerror accessdenied accessdenied.unpurchased
    """,
    "quota": """
        insufficient_quota billing_hard_limit_reached billing_not_active arrearage
        exceeded_current_quota_error insufficient_balance accountoverdueerror
        1113 1304 1308 1309 1310
    """,
    "model": """
        model_not_found model_not_supported modelnotfound modelnotopen invalidendpointormodel.notfound
        resource_not_found_error model_error 1211 1221 1222
    """,
    "moderated": """
        content_filter content_policy_violation responsibleaipolicyviolation
        datainspectionfailed data_inspection_failed sensitive_check_error invalid_messages
        sensitivecontentdetected inputtextsensitivecontentdetected outputtextsensitivecontentdetected
        inputtextriskdetection outputtextriskdetection 1301
    """,
    "too_long": """
        context_length_exceeded string_above_max_length exceed_context_size_error tokens_too_long 1261
    """,
    "rate": """
        rate_limit_exceeded rate_limit_error rate_limit_reached_error rate_limit
        engine_overloaded_error overloaded_error limit_requests limit_burst_rate
        throttling throttling.ratequota throttling.burstrate throttling.allocationquota
        ratelimitexceeded serveroverloaded
        1302 1303 1305 1312
    """,
    "again": """
        server_error internal_error internal_server_error internalerror internalerror.algo
        model_server_error timeout requesttimeout service_unavailable unavailable_error
        1120 1200 1230 1234
    """,
    "rejected": """
        invalid_request_error invalidparameter invalid_parameter_error unsupported_parameter
        unsupported_value param_error badrequesterror 1210 1212 1213 1214 1215
    """,
}
MEANINGS: dict[str, Meaning] = {code: meaning for meaning, codes in _CODES.items() for code in codes.split()}

# MiniMax says these in base_resp.status_code, mostly inside a 200.
BASE_RESP: dict[int, Meaning] = {
    1000: "again",
    1001: "again",
    1002: "rate",
    1004: "key",
    1008: "quota",
    1024: "again",
    1026: "moderated",
    1027: "moderated",
    1033: "again",
    1039: "rate",
    1041: "rate",
    1042: "rejected",
    2013: "rejected",
    2045: "rate",
    2049: "key",
    2056: "quota",
}

# vLLM names the cause of a request that is too long only as the parameter at fault.
TOO_LONG_PARAMETERS = frozenset({"input_tokens", "input_text"})


_BY_STATUS: dict[int, Meaning] = {
    401: "key",
    402: "quota",
    403: "key",
    404: "model",
    405: "model",
    408: "again",
    409: "again",
    425: "again",
    429: "rate",
}
_FIRST_ERROR = HTTPStatus.BAD_REQUEST
_FIRST_SERVER_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR
_ERROR_STATUSES = range(400, 600)
# Many servers name these only in the message. The words do not decide what the error is, only which
# optional parameter the next request leaves out.
_NAMED_IN_TEXT = ("response_format", "stream_options")


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as a payload describes it; empty where it leaves something out."""

    message: str = ""
    codes: tuple[str, ...] = ()  # in lower case, the most telling first
    parameters: frozenset[str] = frozenset()  # of the request, named as the cause
    status: int | None = None  # an HTTP status given as the code
    meaning: Meaning | None = None  # where the payload has a table of codes of its own

    def means(self, status: int) -> Meaning | None:
        """Return what the fault means in an answer with this status. None: nothing known."""
        known = self.meaning or next((MEANINGS[code] for code in self.codes if code in MEANINGS), None)
        if known in {None, "rejected"}:
            if self.parameters & TOO_LONG_PARAMETERS:
                return "too_long"
            return self._by_status(status) or known
        if known == "rate" and status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "too_long"  # Groq: one request larger than the tokens of a whole minute
        return known

    def _by_status(self, status: int) -> Meaning | None:
        if status < _FIRST_ERROR:
            status = self.status or status
        if status >= _FIRST_SERVER_ERROR:
            return "again"
        return _BY_STATUS.get(status) or ("rejected" if status >= _FIRST_ERROR else None)


def find_fault(payload: object) -> Fault | None:
    """Find the error in a payload of whatever status; None if it describes none."""
    if not isinstance(payload, dict):
        return None
    base = payload.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        meaning = BASE_RESP.get(_whole(base["status_code"]), "again")
        return Fault(message=str(base.get("status_msg", "")), meaning=meaning)
    error = payload.get("error")
    if isinstance(error, dict):
        is_empty = not any(error.values())  # as a server may name it in every good answer
        return None if is_empty and payload.get("choices") is not None else _read_error(error)
    if error:
        return _read_error(payload | {"message": error})
    if payload.get("choices") is None and ("message" in payload or "detail" in payload):
        return _read_error(payload)
    return None


def _read_error(error: dict[str, Any]) -> Fault:
    inner = error.get("innererror")
    codes = [error.get("code"), inner.get("code") if isinstance(inner, dict) else None, error.get("type")]
    text = str(error.get("message") or error.get("detail") or "")
    parameters = _read_parameters(error) or [name for name in _NAMED_IN_TEXT if name in text]
    return Fault(
        message=text,
        codes=tuple(str(code).lower() for code in codes if isinstance(code, str | int)),
        parameters=frozenset(parameters),
        status=next((number for code in codes if (number := _whole(code)) in _ERROR_STATUSES), None),
    )


def _read_parameters(error: dict[str, Any]) -> list[str]:
    """Read the parameters at fault: `param` as OpenAI has it, `detail[].loc` as FastAPI has it."""
    names = [error.get("param")]
    detail = error.get("detail")
    for entry in detail if isinstance(detail, list) else ():
        location = entry.get("loc") if isinstance(entry, dict) else None
        names += location[1:2] if isinstance(location, list) else []
    return [name.split(".")[0].split("[")[0] for name in names if isinstance(name, str) and name]


def _whole(value: object) -> int:
    """Return the whole number that a code is, 0 if it is none."""
    try:
        return int(value) if isinstance(value, int | str) else 0
    except ValueError:
        return 0


LONGEST_WAIT = 31_536_000.0  # seconds; a demand beyond a year is taken as a year
_LONGEST_GUESS = 900.0  # seconds; where it is not said which limit is used up, one of hours is hardly it
_RESETS = ("requests", "tokens")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|[dhms])", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read retry-after-ms and Retry-After (seconds or HTTP date, RFC 9110, 10.2.3); None without them.

    `now` is the Unix time that a date is compared with.
    """
    milliseconds = _read_number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST_WAIT)
    value = headers.get("retry-after", "").strip()
    seconds = _read_number(value)
    if seconds is None and value:
        seconds = _seconds_until(value, now)
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def read_reset(headers: Mapping[str, str]) -> float | None:
    """Read x-ratelimit-reset-requests and -tokens (`1s`, `6m0s`, `250ms`) of an answer 429.

    The longest counts of those limits that are used up; where the server does not say which, the longest
    but for those of hours: a day's quota is told of in every answer.
    https://platform.openai.com/docs/guides/rate-limits
    """
    waits = {name: read_duration(headers.get(f"x-ratelimit-reset-{name}", "")) for name in _RESETS}
    used_up = [name for name in _RESETS if headers.get(f"x-ratelimit-remaining-{name}", "").strip() == "0"]
    known = [wait for name in used_up or _RESETS if (wait := waits[name]) is not None]
    if not used_up:
        known = [wait for wait in known if wait <= _LONGEST_GUESS]
    return min(max(known), LONGEST_WAIT) if known else None


def read_duration(text: str) -> float | None:
    """Read `6m0s`, `250ms` or plain seconds; None for anything else."""
    text = text.strip()
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return _read_number(text)


def _read_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _seconds_until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


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
