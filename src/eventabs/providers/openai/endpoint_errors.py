"""Errors of an endpoint: the causes of statuses and codes, which are retried, and the message for each."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from eventabs.errors_and_exit_codes import (
    CapacityError,
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
    UnavailableError,
)
from eventabs.interface_language import gettext as _
from eventabs.providers.openai.endpoint_and_wire import Endpoint, parse_json, redacted_line

Cause = Literal[
    "transient", "rate_limit", "capacity", "key", "quota", "model", "moderated", "too_long", "rejected"
]

# Codes in the body of an answer, which count before its HTTP status; statuses as http.404. Every other 4xx is "rejected", every 5xx
# "transient". Only "transient", "rate_limit" and "capacity" are retried. http.498: https://console.groq.com/docs/flex-processing
_CODES: dict[Cause, str] = {  # base_resp: status_code of MiniMax, mostly inside a 200
    "transient": """
        http.408 http.409 http.425
        server_error internal_error internal_server_error internalerror internalerror.algo
        model_server_error timeout requesttimeout service_unavailable unavailable_error
        1120 1200 1230 1234
        base_resp
    """,
    "rate_limit": """
        http.429 rate_limit_exceeded rate_limit_error rate_limit_reached_error rate_limit
        engine_overloaded_error overloaded_error limit_requests limit_burst_rate
        throttling throttling.ratequota throttling.burstrate throttling.allocationquota
        ratelimitexceeded serveroverloaded resource_exhausted
        1302 1303 1305 1312
        base_resp.1002 base_resp.1039 base_resp.1041 base_resp.2045
    """,
    "capacity": """
        http.498 resource_unavailable capacity_exceeded
    """,
    "key": """
        http.401 http.403
        invalid_api_key incorrect_api_key_error invalid_authentication_error authentication_error
        account_deactivated permission_denied_error invalidapikey auth_error
        1110 1111 1112 1121 1220
        authenticationerror accessdenied accessdenied.unpurchased
        base_resp.1004 base_resp.2049
    """,
    "quota": """
        http.402 insufficient_quota billing_hard_limit_reached billing_not_active arrearage
        exceeded_current_quota_error insufficient_balance accountoverdueerror allocationquota.freetieronly
        1113 1304 1308 1309 1310
        base_resp.1008 base_resp.2056
    """,
    "model": """
        model_not_found model_not_supported modelnotfound modelnotopen invalidendpointormodel.notfound
        http.404 http.405 resource_not_found_error model_error 1211 1221 1222
    """,
    "moderated": """
        content_filter content_policy_violation responsibleaipolicyviolation
        datainspectionfailed data_inspection_failed sensitive_check_error invalid_messages
        sensitivecontentdetected inputtextsensitivecontentdetected outputtextsensitivecontentdetected
        inputtextriskdetection outputtextriskdetection 1301
        base_resp.1026 base_resp.1027
    """,
    "too_long": """
        context_length_exceeded string_above_max_length exceed_context_size_error tokens_too_long 1261
    """,
    "rejected": """
        invalid_request_error invalidparameter invalid_parameter_error unsupported_parameter
        unsupported_value param_error badrequesterror 1210 1212 1213 1214 1215
        base_resp.1042 base_resp.2013
    """,
}
ERROR_CODES = {code: cause for cause, codes in _CODES.items() for code in codes.split()}
_TOO_LONG_PARAMETERS = frozenset({"input_tokens", "input_text"})  # vLLM: the only hint at a prompt too long
# Many servers name these only in the message. The text does not decide what the error is, only which
# optional parameter the next request leaves out.
_IN_TEXT = ("response_format", "stream_options", "grammar", "structured_outputs", "ebnf", "service_tier")
_FIELDS = frozenset({"base_resp", "error"})  # that hold an error, also beside an answer
_ERROR_STATUS = re.compile(r"[45]\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class ErrorPayload:
    """An error as a payload describes it; empty where the payload leaves something out."""

    message: str = ""
    codes: tuple[str, ...] = ()  # in lower case, the most specific first
    parameters: frozenset[str] = frozenset()  # of the request, named as the cause

    def cause(self, status: int) -> Cause | None:
        """Return the cause of the error in an answer with this status. None: unknown."""
        known = next((ERROR_CODES[code] for code in self.codes if code in ERROR_CODES), None)
        if known in {None, "rejected"}:
            if self.parameters & _TOO_LONG_PARAMETERS:
                return "too_long"
            if status < HTTPStatus.BAD_REQUEST:  # one may be given as the code
                status = next((int(code) for code in self.codes if _ERROR_STATUS.fullmatch(code)), status)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return "transient"
            of_status = ERROR_CODES.get(f"http.{status}", "rejected")
            return of_status if status >= HTTPStatus.BAD_REQUEST else known
        if known == "rate_limit" and status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return "too_long"  # Groq: one request larger than the tokens of a whole minute
        return known


def find_error(payload: object) -> ErrorPayload | None:
    """Find the error in a payload of any status; None if it describes none."""
    if not isinstance(payload, dict) or (payload.get("choices") and _FIELDS.isdisjoint(payload)):
        return None
    has_choices = payload.get("choices") is not None
    base, error = payload.get("base_resp"), payload.get("error")
    if isinstance(base, dict) and base.get("status_code"):
        of_minimax = f"base_resp.{base['status_code']}", "base_resp"
        return ErrorPayload(str(base.get("status_msg", "")), of_minimax)
    if isinstance(error, dict):
        if has_choices and not any(error.values()):
            return None  # some servers send an empty one with every good answer
    elif error:
        error = payload | {"message": error}
    elif not has_choices and ("message" in payload or "detail" in payload):
        error = payload
    else:
        return None
    inner = error.get("innererror")
    inner_code = inner.get("code") if isinstance(inner, dict) else None
    values = [error.get("code"), inner_code, error.get("type"), error.get("status")]
    codes = tuple(str(value).lower() for value in values if isinstance(value, str | int))
    text = str(error.get("message") or error.get("detail") or "")
    # the refused parameters: `param` as OpenAI has it, `detail[].loc` as FastAPI has it
    names, detail = [error.get("param")], error.get("detail")
    for entry in detail if isinstance(detail, list) else ():
        location = entry.get("loc") if isinstance(entry, dict) else None
        names += location[1:2] if isinstance(location, list) else []
    parameters = [name.split(".")[0].split("[")[0] for name in names if isinstance(name, str) and name]
    in_text = (name for name in _IN_TEXT if name in text)
    return ErrorPayload(text, codes, frozenset(parameters or in_text))


LONGEST_WAIT = 31_536_000.0  # seconds; a demand beyond a year is taken as a year
_LONGEST_GUESS = 900.0  # seconds; where no limit is named as used up, one of hours is hardly the one
_LIMITS = ("requests", "tokens")
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|[dhms])", re.ASCII)
_DURATIONS = re.compile(rf"(?:{_DURATION.pattern})+", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read retry-after-ms and Retry-After (seconds or HTTP date, RFC 9110, 10.2.3) at a Unix time; None without them."""
    milliseconds = _read_number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST_WAIT)
    value = headers.get("retry-after", "")
    if (seconds := _read_number(value)) is None:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        seconds = max(0.0, moment.timestamp() - now)
    return min(seconds, LONGEST_WAIT)


def read_reset(headers: Mapping[str, str]) -> float | None:
    """Read x-ratelimit-reset-requests and -tokens (`1s`, `6m0s`, `250ms`) of an answer 429.

    The longest of the limits that are used up counts; where the server does not name them, the longest
    except those of hours, because every answer has the reset of a day's quota.
    https://platform.openai.com/docs/guides/rate-limits
    """
    used_up = _used_up(headers)
    waits = [read_duration(headers.get(f"x-ratelimit-reset-{name}", "")) for name in used_up or _LIMITS]
    known = [wait for wait in waits if wait is not None and (used_up or wait <= _LONGEST_GUESS)]
    return min(max(known), LONGEST_WAIT) if known else None


def _used_up(headers: Mapping[str, str]) -> list[str]:
    return [name for name in _LIMITS if headers.get(f"x-ratelimit-remaining-{name}", "").strip() == "0"]


def read_duration(text: str) -> float | None:
    """Read `6m0s`, `250ms` or plain seconds; None for anything else."""
    if _DURATIONS.fullmatch(text.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    return _read_number(text)


def _read_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


class ErrorContext(NamedTuple):
    """The answer that an error is in, the time of its arrival (Unix time), its sender, and the endpoint as it was asked."""

    status: int
    headers: Mapping[str, str]
    now: float
    host: str
    secrets: tuple[str, ...]
    endpoint: Endpoint


def make_error(error: ErrorPayload, context: ErrorContext) -> EndpointError:
    """Turn an error inside an answer into the exception to raise."""
    status, tier = context.status, context.endpoint.tier.name
    cause = error.cause(status) or "transient"
    wait = read_retry_after(context.headers, context.now)
    # a cheaper tier says no without naming a limit of the account: OpenAI with 429, Gemini with 503
    unnamed = not _used_up(context.headers) and not any(code in ERROR_CODES for code in error.codes)
    is_full = status == HTTPStatus.SERVICE_UNAVAILABLE or (status == HTTPStatus.TOO_MANY_REQUESTS and unnamed)
    if tier and wait is None and is_full:
        cause = "capacity"
    kind, message = _KINDS.get(cause, FatalEndpointError), _message(cause)
    if cause == "rejected" and tier:
        message = _(
            "{answer} at tier {tier}: {said}; if the model lacks that tier, take another model, or --tier standard"
        )
        kind = FatalEndpointError if "service_tier" in error.parameters else kind
    answer = _("{host} answered with HTTP {status}").format(host=context.host, status=status)
    said = redacted_line(error.message, context.secrets) or _("no reason given")
    message = message.format(answer=answer, said=said, variable=context.endpoint.llm.api_key_env, tier=tier)
    if issubclass(kind, TransientError):
        if wait is None and cause == "rate_limit":
            wait = read_reset(context.headers)
        if wait is not None and wait > context.endpoint.llm.longest_wait:
            message = _(
                "{answer}: it takes no requests before {time}; resume then, or let runs wait that long: llm.longest_wait"
            )
            moment = datetime.fromtimestamp(context.now + wait, tz=UTC).astimezone()
            message, kind = message.format(answer=answer, time=f"{moment:%Y-%m-%d %H:%M}"), FatalEndpointError
        elif kind is TransientError and wait is not None:
            kind = RateLimitedError
        elif kind is TransientError and status == HTTPStatus.SERVICE_UNAVAILABLE:
            kind = UnavailableError
    return kind(message, status=status, wait_seconds=wait, parameters=error.parameters)


def make_status_error(body: bytes, context: ErrorContext) -> EndpointError:
    """Turn an answer whose status is not 2xx into the exception to raise."""
    if context.status < HTTPStatus.BAD_REQUEST:
        host = None
        message = _(
            "{host} redirects to {target}, which is not followed; set llm.base_url to the final address"
        )
        with suppress(ValueError):
            host = urlsplit(context.headers.get("location", "")).hostname
        target = redacted_line(host or context.host, context.secrets)
        return FatalEndpointError(message.format(host=context.host, target=target), status=context.status)
    text = body.decode("utf-8", "replace")
    if body.lstrip()[:16].lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        text = _("a web page instead of JSON")
    return make_error(find_error(parse_json(body)) or ErrorPayload(message=text), context)


_KINDS: dict[Cause, type[EndpointError]] = {  # of all others: FatalEndpointError
    "moderated": ModeratedError,
    "too_long": ContextTooLongError,
    "rejected": RejectedRequestError,
    "rate_limit": RateLimitedError,
    "capacity": CapacityError,
    "transient": TransientError,
}


def _message(cause: Cause) -> str:
    """Return what is said of a cause. The endpoint's own text is left out of `key`: servers like to quote the key."""
    messages: dict[Cause, str] = {
        "key": _(
            "{answer}: the API key is missing, wrong or without the right to this; check the variable {variable}"
        ),
        "quota": _("{answer}: quota or balance is used up: {said}; top it up, then resume"),
        "model": _("{answer}: no such model or address: {said}; check llm.model and llm.base_url"),
        "moderated": _("{answer}: its moderation refuses the content: {said}; look at failures.jsonl"),
        "too_long": _("{answer}: too long for the model: {said}; lower budget.max_input_tokens"),
        "rejected": _(
            "{answer}: it does not take the request: {said}; check [llm] and [budget] of the config"
        ),
        "rate_limit": _("{answer}: too many requests: {said}; lower run.rpm, run.tpm or run.concurrency"),
        "capacity": _(
            "{answer}: the tier has no capacity now: {said}; resume later, or with: --tier standard"
        ),
        "transient": _("{answer}: {said}; it may pass: resume later"),
    }
    return messages[cause]
