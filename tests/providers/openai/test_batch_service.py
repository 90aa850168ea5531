"""The client of a batch service, over real HTTP: what services answer, in their own forms."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from endpoints import endpoint_at
from eventabs.errors_and_exit_codes import (
    EndpointError,
    FatalEndpointError,
    NoContentError,
    RateLimitedError,
    TransientError,
)
from eventabs.providers.openai.batch_service import FINAL, BatchService, QueueFullError
from eventabs.providers.openai.endpoint_and_wire import BatchProfile, load_preset

KEY = "sk-a-long-secret-key"


@dataclass
class Scripted:
    """Answers each path as told, and keeps what was asked."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    base_url: str = ""


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("transfer-encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            asked = f"{self.command} {self.path.removeprefix('/v1')}"
            script.asked.append((asked, body, {k.lower(): v for k, v in self.headers.items()}))
            code, said = script.answers.get(asked) or script.answers[asked.split("?", maxsplit=1)[0]]
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815  as http.server has them

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    script.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@asynccontextmanager
async def opened(
    scripted: Scripted, profile: BatchProfile = BatchProfile(), seconds: float = 5.0
) -> AsyncIterator[BatchService]:
    service = BatchService(endpoint_at(scripted.base_url, KEY, call_timeout=seconds), profile)
    try:
        yield service
    finally:
        await service.aclose()


def profile_of(preset: str) -> BatchProfile:
    profile = load_preset(preset).batch
    assert profile is not None
    return profile


JOB = {"id": "b1", "status": "validating", "input_file_id": "f1"}


async def test_a_file_is_uploaded_as_a_form_with_its_purpose(scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"custom_id": "a"}\n' * 10_000)
    scripted.answers["POST /files"] = 200, {"id": "f1", "object": "file"}
    async with opened(scripted) as service:
        assert await service.upload(path, "name.jsonl") == "f1"
    ((_asked, body, headers),) = scripted.asked
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="purpose"\r\n\r\nbatch\r\n' in body
    assert b'name="file"; filename="name.jsonl"' in body
    assert path.read_bytes() in body


async def test_a_vendor_of_another_way_gets_path_purpose_and_name_as_its_preset_says(
    scripted: Scripted, tmp_path: Path
) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b"{}\n")
    scripted.answers["POST /files/upload"] = 200, {"id": "f1"}
    scripted.answers["POST /batches"] = 200, {"job": JOB | {"status": "IN_PROGRESS"}, "warning": ""}
    scripted.answers["GET /batches"] = 200, [JOB | {"status": "CANCELLED"}]
    async with opened(scripted, profile_of("together")) as service:
        await service.upload(path, "name.jsonl")
        job = await service.create_job("f1", {"eventabs_run": "r"})
        assert (job.id, job.status) == ("b1", "in_progress")
        found = await service.find_job("f1", {"eventabs_run": "r"})
        assert found is not None
        assert found.status in FINAL
    (_upload, form, _headers), (_create, body, _h), *_listing = scripted.asked
    assert b'name="purpose"\r\n\r\nbatch-api\r\n' in form
    assert b'name="file_name"\r\n\r\nname.jsonl\r\n' in form
    assert "metadata" not in json.loads(body)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("openai", {"endpoint": "/v1/chat/completions", "completion_window": "24h"}),
        ("glm", {"endpoint": "/v4/chat/completions"}),
        ("siliconflow", {"endpoint": "/v1/chat/completions", "completion_window": "24h"}),
    ],
)
async def test_a_job_is_created_as_the_vendor_wants_it(
    scripted: Scripted, preset: str, expected: dict[str, str]
) -> None:
    scripted.answers["POST /batches"] = 200, {"code": 20000, "data": JOB | {"status": "in_queue"}}
    async with opened(scripted, profile_of(preset)) as service:
        job = await service.create_job("f1", {"eventabs_run": "r"})
    assert json.loads(scripted.asked[0][1]) == {
        "input_file_id": "f1",
        **expected,
        "metadata": {"eventabs_run": "r"},
    }
    assert job.status == ("validating" if preset == "siliconflow" else "in_queue")


async def test_a_listing_is_read_page_by_page_until_the_job_is_found(scripted: Scripted) -> None:
    others = [JOB | {"id": f"other-{n}", "input_file_id": f"g{n}"} for n in range(4)]
    ours = JOB | {
        "id": "ours",
        "input_file_id": "",
        "metadata": {"eventabs_run": "r", "eventabs_chunk": "2", "x": "y"},
    }
    scripted.answers |= {
        "GET /batches?limit=100": (200, {"data": others[:2], "has_more": True}),
        "GET /batches?limit=100&after=other-1": (200, {"data": others[2:], "has_more": True, "last_id": "z"}),
        "GET /batches?limit=100&after=z": (200, {"data": [ours], "has_more": True}),
    }
    async with opened(scripted) as service:
        found = await service.find_job("f1", {"eventabs_run": "r", "eventabs_chunk": "2"})
        assert found is not None
        assert found.id == "ours"
        by_file = await service.find_job("g3", {"eventabs_run": "r", "eventabs_chunk": "9"})
        assert by_file is not None
        assert by_file.id == "other-3"


async def test_why_a_job_failed_is_told_in_each_form(scripted: Scripted) -> None:
    forms: list[Any] = [
        {"object": "list", "data": [{"code": "Token_Limit_Exceeded", "message": "too much"}]},
        [{"code": "token_limit_exceeded", "message": "too much"}],
        {"code": "token_limit_exceeded", "message": "too much"},
    ]
    odd: list[tuple[object, str]] = [
        (5, "5"),
        ("no", "no"),
        ({}, ""),
        ([{"code": "a", "message": "one"}, {"code": "two"}], "one; two"),
    ]
    async with opened(scripted) as service:
        for errors in forms:
            scripted.answers["GET /batches/b1"] = 200, JOB | {"status": "failed", "errors": errors}
            job = await service.retrieve("b1")
            assert (job.error, job.queue_was_full) == ("too much", True)
        for errors, expected in odd:
            scripted.answers["GET /batches/b1"] = 200, JOB | {"status": "failed", "errors": errors}
            assert (await service.retrieve("b1")).error == expected
        scripted.answers["GET /batches/b1"] = 200, JOB | {"status": "failed", "error": f"bad {KEY}"}
        job = await service.retrieve("b1")
        assert job.error.startswith("bad ")
        assert KEY not in job.error
        assert not job.queue_was_full


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (429, {"error": {"code": "token_limit_exceeded", "message": "x"}}, QueueFullError),
        (400, {"error": {"code": "TokenLimitExceeded", "message": "x"}}, QueueFullError),
        (429, {"error": {"message": "slow down"}}, RateLimitedError),
        (401, {"error": {"message": KEY}}, FatalEndpointError),
        (404, {"error": {"message": "x"}}, EndpointError),
        (503, b"<html>", TransientError),
        (200, b"<html>", TransientError),
        (200, {"error": {"message": "no"}}, TransientError),
    ],
)
async def test_an_error_is_told_by_status_and_code(
    scripted: Scripted, code: int, body: object, kind: type[Exception]
) -> None:
    scripted.answers["POST /batches"] = code, body
    async with opened(scripted) as service:
        with pytest.raises(kind) as raised:
            await service.create_job("f1", {})
    assert KEY not in str(raised.value)


async def test_the_content_of_a_file_comes_as_it_is(scripted: Scripted, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5_000
    scripted.answers["GET /files/f1/content"] = 200, content
    path = tmp_path / "file"
    path.write_bytes(b"of the try before")
    async with opened(scripted) as service:
        with path.open("ab", buffering=0) as file:
            await service.download("f1", file)
            assert path.read_bytes() == content
            scripted.answers["GET /files/f1/content"] = 500, {"error": {"message": "x"}}
            with pytest.raises(TransientError):
                await service.download("f1", file)


async def test_a_service_that_says_nothing_is_given_up(scripted: Scripted) -> None:
    held = threading.Event()

    class Slow(dict[str, Any]):
        def get(self, *_key: object) -> None:
            held.wait(5)

        def __getitem__(self, _key: str) -> tuple[int, Any]:
            return 200, JOB

    scripted.answers = Slow()
    async with opened(scripted, seconds=0.1) as service:
        # a file may have been under way all the time, and fewer calls would not make it faster
        with pytest.raises(NoContentError, match=r"gave no answer within 0\.1 s; raise llm\.call_timeout"):
            await service.retrieve("b1")
    held.set()
