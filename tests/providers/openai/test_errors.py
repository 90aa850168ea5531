import json
from datetime import UTC, datetime

import pytest

from eventabs.errors import (
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
)
from eventabs.providers.openai.errors import Origin, UnsupportedParameterError, explain_refusal

KEY = "sk-0123456789abcdef"


def refuse(status: int, body: object = b"", headers: dict[str, str] | None = None) -> EndpointError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return explain_refusal(
        data,
        Origin(
            status=status,
            headers=headers or {},
            now=0.0,
            host="x.example",
            secrets=(KEY,),
            longest_wait=900.0,
        ),
    )


@pytest.mark.parametrize(
    ("status", "body", "kind", "next_step"),
    [
        (401, {"error": {"message": f"bad key {KEY}"}}, FatalEndpointError, "api_key_env"),
        (403, {}, FatalEndpointError, "api_key_env"),
        (402, {}, FatalEndpointError, "top it up"),
        (404, {}, FatalEndpointError, "llm.model"),
        (400, {"error": {"code": "content_filter"}}, ModeratedError, "failures.jsonl"),
        (400, {"error": {"code": "context_length_exceeded"}}, ContextTooLongError, "max_input_tokens"),
        (400, {"error": {"message": "?"}}, RejectedRequestError, "config"),
        (422, {"detail": [{"loc": ["body", "seed"]}]}, UnsupportedParameterError, "config"),
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
    assert next_step in str(error)
    assert "x.example" in str(error)
    assert KEY not in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {}, None),
        (429, {"retry-after": "3"}, 3.0),
        (429, {"retry-after-ms": "1500"}, 1.5),
        (429, {"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        (429, {"x-ratelimit-reset-requests": "6m0s", "retry-after": "2"}, 2.0),
        (503, {"retry-after": "9"}, 9.0),
    ],
)
def test_the_servers_wait_comes_with_the_error(
    status: int, headers: dict[str, str], wait: float | None
) -> None:
    error = refuse(status, {}, headers)
    assert isinstance(error, RateLimitedError)
    assert error.wait_seconds == wait


def test_a_reset_on_a_server_error_is_no_demand_to_wait() -> None:
    assert type(refuse(500, {}, {"x-ratelimit-reset-requests": "6m0s"})) is TransientError


def test_what_the_server_says_is_shown_short_and_redacted() -> None:
    message = str(refuse(500, {"error": {"message": f"line\nbreak {KEY} " + "x" * 1000}}))
    assert "line break [redacted] xxx" in message
    assert len(message) < 400


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><p>502</p>", b"\n <html>", b"<?xml version='1.0'?>"])
def test_a_web_page_is_named_not_quoted(body: bytes) -> None:
    assert "a web page instead of JSON" in str(refuse(502, body))


@pytest.mark.parametrize(("body", "said"), [(b"Slow down", "Slow down"), (b"", "no reason given")])
def test_plain_text_is_quoted_and_silence_is_said(body: bytes, said: str) -> None:
    assert said in str(refuse(429, body))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://other.example/v1?token=1", "to other.example,"),
        ("/v2", "to x.example,"),
        ("http://[", "to x.example,"),
        ("", "to x.example,"),
    ],
)
def test_a_redirect_names_its_target_host(location: str, target: str) -> None:
    message = str(refuse(307, b"", {"location": location}))
    assert target in message
    assert "token" not in message


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_beyond_the_bound_ends_the_run_and_the_error_says_when_to_resume(status: int) -> None:
    assert isinstance(refuse(status, {}, {"retry-after": "900"}), RateLimitedError)
    error = refuse(status, {}, {"retry-after": "901"})
    assert type(error) is FatalEndpointError
    moment = datetime.fromtimestamp(901, tz=UTC).astimezone()
    assert f"{moment:%Y-%m-%d %H:%M}" in str(error)
    assert "llm.longest_wait" in str(error)
