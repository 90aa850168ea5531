import json
from typing import Any

import pytest

from endpoints import endpoint_at
from eventabs.errors_and_exit_codes import (
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
)
from eventabs.providers.openai.batch_service import ReplyLines, request_fields, request_line
from eventabs.shared_records import Reply, Request, Usage

KEY = "sk-a-long-secret-key"
ENDPOINT = endpoint_at("https://api.example.com/v1", KEY)
REQUEST = Request(({"role": "user", "content": "## U1"},), {}, 10, 512)
BODY = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "## U1"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
}


def read(line: dict[str, Any] | bytes) -> tuple[str, Reply | EndpointError | None] | None:
    data = line if isinstance(line, bytes) else json.dumps(line).encode()
    return ReplyLines(ENDPOINT, "out.jsonl").read(data)


def result(**line: object) -> Reply | EndpointError | None:
    found = read({"custom_id": "a-1", **line})
    assert found is not None
    assert found[0] == "a-1"
    return found[1]


def test_a_request_is_a_line_as_the_batch_api_has_it_and_never_streamed() -> None:
    fields = request_fields(REQUEST, ENDPOINT.changed(temperature=0.0, extra_body={"thinking": 0}))
    line = request_line("a-1", "/v1/chat/completions", fields, REQUEST.messages)
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "custom_id": "a-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "m",
            "messages": [{"role": "user", "content": "## U1"}],
            "max_tokens": 512,
            "temperature": 0.0,
            "thinking": 0,
        },
    }


@pytest.mark.parametrize(
    "response",
    [
        {"status_code": 200, "request_id": "r", "body": BODY},
        {"status_code": 200, "body": json.dumps(BODY)},
        {"body": BODY},
        BODY,  # without a body of its own
    ],
    ids=["openai", "text", "no status", "bare"],
)
def test_a_reply_is_read_in_each_form_that_services_write(response: dict[str, Any]) -> None:
    reply = result(response=response, error=None)
    assert reply == Reply("## U1", usage=Usage(7, 3, 0, 5))


def test_a_key_in_a_reply_is_masked() -> None:
    message = {"role": "assistant", "content": f"## U1 {KEY}"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    reply = result(response={"status_code": 200, "body": body})
    assert isinstance(reply, Reply)
    assert KEY not in reply.text
    error = result(response=None, error={"code": "x", "message": f"no such key {KEY}"})
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"response": {"status_code": 500, "body": {"error": {"message": "x"}}}}, TransientError),
        ({"response": {"status_code": 429, "body": {"error": {"message": "x"}}}}, RateLimitedError),
        (
            {"response": {"status_code": 400, "body": {"error": {"code": "context_length_exceeded"}}}},
            ContextTooLongError,
        ),
        ({"response": {"status_code": 400, "body": {"error": {"message": "x"}}}}, RejectedRequestError),
        ({"response": None, "error": {"code": "insufficient_quota", "message": "x"}}, FatalEndpointError),
        ({"response": None, "error": {"code": "DataInspectionFailed", "message": "x"}}, ModeratedError),
        # vLLM: the error stands beside a status, as a body of its own or as a text
        (
            {
                "response": {"status_code": 400, "body": None},
                "error": {"error": {"message": "x", "code": 400}},
            },
            RejectedRequestError,
        ),
        ({"response": {"status_code": 400, "body": None}, "error": "no such url"}, RejectedRequestError),
        # counted as completed by some: a status of 0, or nothing at all
        ({"response": {"status_code": 0, "body": None}, "error": None}, TransientError),
        ({"response": None, "error": None}, TransientError),
        ({"response": {"status_code": float("inf"), "body": {}}}, TransientError),
        ({"response": {"status_code": 200, "body": {"choices": []}}, "error": None}, TransientError),
        # a status without an error proves nothing, and must not end a run
        ({"response": {"status_code": 403, "body": ""}, "error": None}, TransientError),
        ({"response": {"status_code": 400, "body": None}, "error": ""}, TransientError),
        ({"response": {"status_code": 429, "body": {}}}, TransientError),
    ],
)
def test_an_error_is_told_by_status_and_code(line: dict[str, Any], kind: type[EndpointError]) -> None:
    assert type(result(**line)) is kind


def test_a_line_that_tells_no_status_is_not_told_as_an_answer_with_one() -> None:
    assert str(result(response=None, error=None)) == "out.jsonl has no answer to a request: no reason given"
    error = result(response=None, error={"code": "x", "message": "no room"})
    assert str(error) == "out.jsonl has no answer to a request: no room"


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled"])
def test_a_request_that_was_never_carried_out_has_no_result(code: str) -> None:
    assert result(response=None, error={"code": code, "message": "not in time"}) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"custom_id": "a-1", "respo',
        b"[1]",
        b'{"id": "x"}',
        b'{"custom_id": "a-1", "method": "POST", "url": "/v1/chat/completions", "body": {}}',
    ],
    ids=["empty", "torn", "list", "no id", "a request"],
)
def test_what_is_no_reply_line_is_none(line: bytes) -> None:
    assert read(line) is None
