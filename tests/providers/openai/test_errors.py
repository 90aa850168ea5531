"""Errors of an endpoint: their causes, the waits that they ask for, and their messages."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import get_args

import pytest
from hypothesis import given, settings, strategies as st

from endpoints import endpoint_at
from eventabs.errors_and_exit_codes import (
    CapacityError,
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
)
from eventabs.providers.openai.endpoint_and_wire import Tier
from eventabs.providers.openai.endpoint_errors import (
    ERROR_CODES,
    LONGEST_WAIT,
    Cause,
    ErrorContext,
    ErrorPayload,
    find_error,
    make_status_error,
    read_duration,
    read_reset,
    read_retry_after,
)

# error codes


def cause(status: int, payload: object) -> str | None:
    error = find_error(payload)
    assert error is not None
    return error.cause(status)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "rejected"),
        (401, "key"),
        (403, "key"),
        (404, "model"),
        (408, "transient"),
        (409, "transient"),
        (413, "rejected"),
        (429, "rate_limit"),
        (500, "transient"),
        (503, "transient"),
        (529, "transient"),
    ],
)
def test_a_status_decides_where_no_code_is_known(status: int, expected: str) -> None:
    assert ErrorPayload().cause(status) == expected
    assert cause(status, {"error": {"message": "rate limit", "type": "invalid_request_error"}}) == expected


@pytest.mark.parametrize(
    ("status", "payload", "expected"),
    [
        (429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, "quota"),
        (429, {"error": {"code": "1113", "message": "in arrears"}}, "quota"),
        (400, {"error": {"code": "data_inspection_failed", "type": "data_inspection_failed"}}, "moderated"),
        (400, {"error": {"type": "content_filter"}}, "moderated"),
        (
            400,
            {"error": {"code": None, "type": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            "moderated",
        ),
        (400, {"error": {"code": "context_length_exceeded", "type": "invalid_request_error"}}, "too_long"),
        (500, {"error": {"code": 500, "type": "exceed_context_size_error"}}, "too_long"),
        (400, {"error": {"code": 400, "type": "BadRequestError", "param": "input_tokens"}}, "too_long"),
        (413, {"error": {"code": "rate_limit_exceeded", "type": "tokens"}}, "too_long"),
        (200, {"error": {"code": 502, "message": "upstream"}}, "transient"),
        (200, {"error": {"code": 429}}, "rate_limit"),
        (200, {"error": {"code": 400, "type": "BadRequestError"}}, "rejected"),
        (200, {"error": {"type": "invalid_request_error"}}, "rejected"),
        (200, {"error": {"message": "?"}}, None),
        (200, {"error": "out of order"}, None),
        (200, {"object": "error", "message": "no", "code": 40303}, None),
        (200, {"code": "Throttling.RateQuota", "message": "slow down"}, "rate_limit"),
        (
            200,
            {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None},
            "rate_limit",
        ),
        (200, {"base_resp": {"status_code": "1039"}}, "rate_limit"),
        (200, {"base_resp": {"status_code": 1026}}, "moderated"),
        (200, {"base_resp": {"status_code": 4711}}, "transient"),
        (200, {"base_resp": {"status_code": "?"}}, "transient"),
    ],
)
def test_a_known_code_decides_before_the_status(status: int, payload: object, expected: str | None) -> None:
    assert cause(status, payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"choices": [], "message": "hello"},
        {"choices": [], "base_resp": {"status_code": 0, "status_msg": ""}},
        {"choices": [], "error": None},
        {"choices": [], "error": {}},
        {"choices": [], "error": {"code": None, "message": ""}},
        {"usage": {}},
    ],
)
def test_a_payload_without_an_error_has_no_fault(payload: object) -> None:
    assert find_error(payload) is None


@pytest.mark.parametrize(
    ("payload", "parameters"),
    [
        ({"error": {"param": "temperature", "message": "no"}}, {"temperature"}),
        ({"error": {"param": "response_format.json_schema"}}, {"response_format"}),
        ({"error": {"param": "messages[1].content"}}, {"messages"}),
        (
            {"detail": [{"loc": ["body", "stream_options", "include_usage"], "msg": "extra"}]},
            {"stream_options"},
        ),
        ({"detail": [{"loc": ["body", "seed"]}, {"loc": ["body", "top_p"]}]}, {"seed", "top_p"}),
        ({"error": {"message": "Unrecognized argument: stream_options"}}, {"stream_options"}),
        ({"error": {"message": "temperature is wrong", "param": None}}, set()),
        ({"detail": "Not Found"}, set()),
        ({"detail": [{"loc": []}, {"loc": 7}, "x"]}, set()),
        ({"error": {"param": ""}}, set()),
    ],
)
def test_the_parameters_at_fault_are_found(payload: object, parameters: set[str]) -> None:
    error = find_error(payload)
    assert error is not None
    assert error.parameters == parameters


def test_every_code_stands_in_the_table_once_and_in_lower_case() -> None:
    assert all(code == code.lower() for code in ERROR_CODES)
    assert set(ERROR_CODES.values()) == set(get_args(Cause))


VALUES = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=2), max_size=2)
ERRORS = st.dictionaries(
    st.sampled_from(["code", "type", "message", "detail", "param", "innererror", "status_code"]),
    VALUES | st.dictionaries(st.just("code"), VALUES, max_size=1),
    max_size=4,
)


@given(
    st.dictionaries(st.sampled_from(["error", "base_resp", "detail", "message", "choices"]), ERRORS | VALUES)
)
@settings(max_examples=200, deadline=None)
def test_no_payload_makes_the_search_fail(payload: object) -> None:
    error = find_error(payload)
    assert error is None or error.cause(200) in {None, *ERROR_CODES.values()}


# retry after


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SOON = format_datetime(datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC), usegmt=True)
EARLIER = format_datetime(datetime(2026, 1, 1, 11, 0, tzinfo=UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": SOON}, 30.0),
        ({"retry-after": EARLIER}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30"}, 30.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250ms", "retry-after": "7"}, 7.0),  # with a unit it may be no milliseconds
        ({"retry-after": "5m"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "１"}, None),
        ({"retry-after": "99999999999"}, LONGEST_WAIT),
        ({"retry-after-ms": "99999999999"}, LONGEST_WAIT),
        ({"retry-after": "Fri, 01 Jan 9999 00:00:00 GMT"}, LONGEST_WAIT),
    ],
)
def test_retry_after_is_read_as_seconds_date_or_milliseconds(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert read_retry_after(headers, NOW.timestamp()) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("250ms", 0.25),
        ("1h2m3.5s", 3723.5),
        (" 12.5 ", 12.5),
        ("", None),
        ("1x", None),
        ("1m30", None),
        ("2026-01-01T00:00:00Z", None),
    ],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "100",
            },
            1.0,
        ),
        ({"x-ratelimit-reset-tokens": "250ms", "x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-reset-requests": "9d", "x-ratelimit-remaining-requests": "0"}, 777_600.0),
        ({"x-ratelimit-reset-requests": "999d", "x-ratelimit-remaining-requests": "0"}, LONGEST_WAIT),
        ({"x-ratelimit-reset-requests": "23h59m", "x-ratelimit-reset-tokens": "40s"}, 40.0),
        ({"x-ratelimit-reset-requests": "23h59m"}, None),
    ],
)
def test_the_limit_that_is_used_up_decides_the_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert read_reset(headers) == seconds


# errors


KEY = "sk-0123456789abcdef"


def refuse(
    status: int, body: object = b"", headers: dict[str, str] | None = None, tier: str = ""
) -> EndpointError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    endpoint = endpoint_at(tier=Tier(name=tier))
    return make_status_error(data, ErrorContext(status, headers or {}, 0.0, "x.example", (KEY,), endpoint))


@pytest.mark.parametrize(
    ("status", "body", "kind", "next_step"),
    [
        (
            401,
            {"error": {"message": f"bad key {KEY}"}},
            FatalEndpointError,
            "check the variable OPENAI_API_KEY",
        ),
        (403, {}, FatalEndpointError, "check the variable OPENAI_API_KEY"),
        (402, {}, FatalEndpointError, "top it up"),
        (404, {}, FatalEndpointError, "llm.model"),
        (400, {"error": {"code": "content_filter"}}, ModeratedError, "failures.jsonl"),
        (400, {"error": {"code": "context_length_exceeded"}}, ContextTooLongError, "max_input_tokens"),
        (400, {"error": {"message": "?"}}, RejectedRequestError, "config"),
        (422, {"detail": [{"loc": ["body", "seed"]}]}, RejectedRequestError, "config"),
        (429, {}, RateLimitedError, "run.rpm"),
        (500, {}, TransientError, "resume"),
        (302, b"", FatalEndpointError, "llm.base_url"),
    ],
)
def test_every_refusal_has_its_error_with_its_next_step(
    status: int, body: object, kind: type[EndpointError], next_step: str
) -> None:
    error = refuse(status, body)
    assert type(error) is kind
    assert error.status == status
    assert error.parameters == ({"seed"} if status == 422 else frozenset())
    assert next_step in str(error)
    assert "x.example" in str(error)
    assert KEY not in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_beyond_the_bound_ends_the_run_and_the_error_says_when_to_resume(status: int) -> None:
    assert isinstance(refuse(status, {}, {"retry-after": "900"}), RateLimitedError)
    error = refuse(status, {}, {"retry-after": "901"})
    assert type(error) is FatalEndpointError
    moment = datetime.fromtimestamp(901, tz=UTC).astimezone()
    assert f"{moment:%Y-%m-%d %H:%M}" in str(error)
    assert "llm.longest_wait" in str(error)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {}, None),
        (429, {"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        (429, {"x-ratelimit-reset-requests": "6m0s", "retry-after": "2"}, 2.0),
        (503, {"retry-after": "9"}, 9.0),
        (500, {"x-ratelimit-reset-requests": "6m0s"}, None),
    ],
)
def test_the_servers_wait_comes_with_the_error(
    status: int, headers: dict[str, str], wait: float | None
) -> None:
    error = refuse(status, {}, headers)
    assert type(error) is (TransientError if status == 500 else RateLimitedError)
    assert error.wait_seconds == wait


@pytest.mark.parametrize(
    ("status", "body", "location", "said"),
    [
        (500, {"error": {"message": f"line\nbreak {KEY} {'x' * 1000}"}}, "", "line break [redacted] xxx"),
        (502, b"<!DOCTYPE html><p>502</p>", "", "a web page instead of JSON"),
        (502, b"\n <html>", "", "a web page instead of JSON"),
        (502, b"<?xml version='1.0'?>", "", "a web page instead of JSON"),
        (429, b"Slow down", "", "Slow down"),
        (429, b"", "", "no reason given"),
        (307, b"", "https://other.example/v1?token=1", "to other.example,"),
        (307, b"", "/v2", "to x.example,"),
        (307, b"", "http://[", "to x.example,"),
        (307, b"", "", "to x.example,"),
    ],
)
def test_what_the_server_says_is_shown_short_and_without_secrets_and_web_pages(
    status: int, body: object, location: str, said: str
) -> None:
    message = str(refuse(status, body, {"location": location}))
    assert said in message
    assert len(message) < 400
    assert "token" not in message


ROOM = {"code": "resource_unavailable", "message": "Resource unavailable"}
REFUSED = {"type": "invalid_request_error", "param": "service_tier"}
NOT_FOR = {"type": "invalid_request_error", "message": "Flex is not for gpt-9"}
USED_UP = {"x-ratelimit-remaining-tokens": "0"}


@pytest.mark.parametrize(
    ("status", "error", "headers", "kind"),
    [
        # a tier without room is no limit of the account
        (429, ROOM, {}, CapacityError),
        (429, {"message": "Resource Unavailable"}, {}, CapacityError),
        (498, {"code": "capacity_exceeded", "message": "full"}, {}, CapacityError),
        (503, {"status": "UNAVAILABLE", "message": "high demand"}, {}, CapacityError),
        # limits of the account and faults are those of the ordinary tier
        (429, {"code": "rate_limit_exceeded"}, {}, RateLimitedError),
        (429, {"code": 429, "status": "RESOURCE_EXHAUSTED"}, {}, RateLimitedError),
        (429, {"message": "slow down"}, {"retry-after": "7"}, RateLimitedError),
        (429, {"message": "slow down"}, USED_UP, RateLimitedError),
        (429, {"code": "insufficient_quota"}, {}, FatalEndpointError),
        (500, {"message": "oops"}, {}, TransientError),
        # refusals name the tier
        (400, REFUSED, {}, FatalEndpointError),
        (400, NOT_FOR, {}, RejectedRequestError),
        (400, {"param": "temperature"}, {}, RejectedRequestError),
    ],
)
def test_under_a_tier_errors_of_the_tier_say_what_to_do_and_the_others_are_as_ever(
    status: int, error: dict[str, object], headers: dict[str, str], kind: type[EndpointError]
) -> None:
    raised = refuse(status, {"error": error}, headers, "flex")
    assert type(raised) is kind
    assert ("at tier flex" in str(raised)) >= (status == 400)
    assert ("--tier standard" in str(raised)) >= (status == 400 or kind is CapacityError)
    assert "\n" not in str(raised)


def test_capacity_that_was_not_asked_for_cheaply_is_a_rate_limit_where_no_code_says_more() -> None:
    assert type(refuse(429, {"error": {"message": "Resource Unavailable"}})) is RateLimitedError
