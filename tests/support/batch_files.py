"""Whoever answers requests.jsonl: lines of requests in, lines of replies out, as `vllm run-batch` and OpenAI write them."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from openai_server import answer_by_day

Line = dict[str, Any]


def read_requests(path: Path) -> list[Line]:
    """Read a file of requests."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write_lines(path: Path, lines: Iterable[Line]) -> Path:
    """Write a file of replies."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def reply_to(
    request: Line, write: Callable[[str], str] = answer_by_day, *, finish_reason: str = "stop"
) -> Line:
    """Answer a request as a service does."""
    message = str(request["body"]["messages"][-1]["content"])
    text = write(message)
    prompt = sum(len(str(each["content"])) for each in request["body"]["messages"]) // 2
    usage = {"prompt_tokens": prompt, "completion_tokens": len(text) // 2}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish_reason,
    }
    body = {"object": "chat.completion", "choices": [choice], "usage": usage}
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": request["custom_id"], "response": response, "error": None}


def error_to(request: Line, status: int, code: str, message: str = "no") -> Line:
    """Refuse a request as OpenAI's error file does."""
    body = {"error": {"message": message, "code": code, "type": "invalid_request_error"}}
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": request["custom_id"], "response": response, "error": None}


def not_reached(request: Line, code: str = "batch_expired") -> Line:
    """Say that the job ended before the request's turn."""
    error = {
        "code": code,
        "message": "This request could not be executed before the completion window expired.",
    }
    return {"id": "b", "custom_id": request["custom_id"], "response": None, "error": error}
