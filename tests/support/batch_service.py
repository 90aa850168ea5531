"""A batch service on loopback, in threads of its own: /files, /batches and /chat/completions, as OpenAI has them.

    with BatchServer() as server:
        server.fates = [Fate("expired", served=2)]
        ... server.base_url, server.jobs, server.answered ...

A job moves on by one state at each look. What becomes of it is its Fate.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from batch_files import Line, error_to, not_reached, reply_to
from openai_server import answer_by_day, read_blocks

PART = re.compile(
    rb'name="(?P<name>[^"]+)"(?:; filename="(?P<file>[^"]*)")?[^\r]*\r\n(?:[^\r]+\r\n)*\r\n', re.DOTALL
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing of processes that were killed in the middle of a request."""


@dataclass(frozen=True)
class Fate:
    """How a job ends.

    `served`: how many of its requests are carried out, None: all. `errors`: which of those are refused, with status and code.
    `lag`: looks at which the ended job names no file yet, negative: never. `drops`: requests in neither file. `failure`: code and
    text of a job that fails as a whole. `stays`: looks at which it is in progress, or for ever.
    """

    end: str = "completed"
    served: int | None = None
    errors: dict[int, tuple[int, str]] = field(default_factory=dict)
    lag: int = 0
    drops: frozenset[int] = frozenset()
    failure: tuple[str, str] = ("", "")
    stays: float = 0
    lies: bool = False  # its request_counts say that all went well


@dataclass
class RemoteJob:
    id: str
    file_id: str
    metadata: dict[str, str] | None
    fate: Fate
    states: Iterator[str]
    status: str = "validating"
    cancelled: bool = False
    files: dict[str, str] = field(default_factory=dict)
    looks_after_end: int = 0


@dataclass
class BatchServer:
    """`fates`: of the jobs in the order of their creation, then `fate`. `page`: jobs that a listing shows at a time.

    `queue_tokens`: characters / 2 of prompts that may wait, 0: any number; a job beyond it fails, or is refused at once (`refuses`).
    `before`, `after`: called with the number of each request, before anything is done and before it is answered.
    """

    fates: Sequence[Fate] = ()
    fate: Fate = Fate()
    write: Callable[[str], str] = answer_by_day
    page: int = 2
    queue_tokens: int = 0
    refuses: bool = False
    refused: str = ""  # a parameter of live calls
    takes_metadata: bool = True
    before: Callable[[int], None] = lambda _number: None
    after: Callable[[int], None] = lambda _number: None
    broken: Counter[str] = field(default_factory=Counter)  # "POST /batches": so many answers get lost
    instead: Callable[[str], tuple[int, Any] | None] = lambda _asked: (
        None
    )  # status and body, by method and path
    jobs: list[RemoteJob] = field(default_factory=list)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)  # states
    asked: list[str] = field(default_factory=list)  # method and path
    live: list[Line] = field(default_factory=list)  # bodies
    answered: Counter[str] = field(
        default_factory=Counter
    )  # how often a block of a user was answered, by its text
    usage: dict[str, Counter[str]] = field(default_factory=lambda: {"batch": Counter(), "live": Counter()})

    def __enter__(self) -> Self:
        self.lock = threading.RLock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.serve(self)

            def do_POST(self) -> None:
                server.serve(self)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self.http = _Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def serve(self, http: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = http.rfile.read(int(http.headers.get("content-length") or 0)) or self._chunked(http)
        parts = urlsplit(http.path)
        path = parts.path.removeprefix("/v1")
        with self.lock:
            number = len(self.asked)
            self.asked.append(f"{http.command} {path}")
            self.before(number)
            code, answer = self.instead(self.asked[-1]) or self._answer(
                http.command, path, parse_qs(parts.query), body
            )
            self.after(number)
            kind = f"{http.command} /{path.split('/')[1]}"
            lost = self.broken[kind] > 0
            self.broken[kind] -= lost
        if lost:
            http.close_connection = True
            return
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            http.send_response(code)
            http.send_header("Content-Length", str(len(data)))
            http.send_header("Content-Type", "application/json")
            http.end_headers()
            http.wfile.write(data)
        except OSError:  # the process was killed
            http.close_connection = True

    def _chunked(self, http: BaseHTTPRequestHandler) -> bytes:
        if http.headers.get("transfer-encoding") != "chunked":
            return b""
        pieces = []
        while size := int(http.rfile.readline(), 16):
            pieces.append(http.rfile.read(size))
            http.rfile.readline()
        http.rfile.readline()
        return b"".join(pieces)

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:  # noqa: PLR0911  a route each
        match [method, *path.strip("/").split("/")]:
            case ["POST", "chat", "completions"]:
                asked = json.loads(body)
                if self.refused in asked:
                    error = {"code": "unsupported_parameter", "param": self.refused, "message": "no"}
                    return 400, {"error": error}
                return 200, self._completion(asked)
            case ["POST", "files"]:
                return 200, self._upload(body)
            case ["GET", "files"]:
                data = [{"id": key, "filename": name} for key, (name, _c) in reversed(self.files.items())]
                return 200, {"object": "list", "data": data, "has_more": False}
            case ["GET", "files", file_id, "content"]:
                return 200, self.files[file_id][1]
            case ["POST", "batches"]:
                return self._create(json.loads(body))
            case ["GET", "batches"]:
                return 200, self._list(query)
            case ["GET", "batches", job_id]:
                return 200, self._look(self._job(job_id))
            case ["POST", "batches", job_id, "cancel"]:
                return self._cancel(self._job(job_id))
        return 404, {"error": {"message": "no such path"}}

    def _completion(self, body: Line) -> Line:
        self.live.append(body)
        reply: Line = self._reply({"custom_id": "", "body": body}, "live")["response"]["body"]
        return reply

    def _reply(self, request: Line, tier: str) -> Line:
        reply = reply_to(request, self.write)
        for block in read_blocks(request["body"]["messages"][-1]["content"]).values():
            self.answered["\n".join(block)] += 1
        self.usage[tier].update(reply["response"]["body"]["usage"])
        return reply

    def _upload(self, body: bytes) -> Line:
        parts = {match["name"]: match for match in PART.finditer(body)}
        found = parts[b"file"]
        boundary = body[: body.index(b"\r\n")]
        content = body[found.end() : body.index(b"\r\n" + boundary, found.end())]
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = ((found["file"] or b"").decode(), content)
        return {"id": file_id, "object": "file", "filename": self.files[file_id][0]}

    def requests_of(self, job: RemoteJob) -> list[Line]:
        """Return the requests of a job."""
        return [json.loads(line) for line in self.files[job.file_id][1].splitlines()]

    def _create(self, body: Line) -> tuple[int, Line]:
        fate = self.fates[len(self.jobs)] if len(self.jobs) < len(self.fates) else self.fate
        job = RemoteJob(f"batch-{len(self.jobs)}", body["input_file_id"], None, fate, iter(()))
        waiting = [each for each in self.jobs if each.status in {"validating", "in_progress", "finalizing"}]
        tokens = sum(map(self._tokens, [*waiting, job]))
        if self.queue_tokens and tokens > self.queue_tokens:
            code = ("token_limit_exceeded", "Enqueued token limit reached")
            if self.refuses:
                return 429, {"error": {"code": code[0], "message": code[1]}}
            job.fate = Fate("failed", served=0, failure=code)
        if self.takes_metadata:
            job.metadata = body.get("metadata")
        job.states = self._states(job)
        self.jobs.append(job)
        return 200, self._shown(job)

    def _tokens(self, job: RemoteJob) -> int:
        contents = (m["content"] for r in self.requests_of(job) for m in r["body"]["messages"])
        return sum(map(len, contents)) // 2

    def _states(self, job: RemoteJob) -> Iterator[str]:
        yield "validating"
        if job.fate.end == "failed":
            while True:
                yield "failed"
        looks = 0
        while looks <= job.fate.stays and not job.cancelled:
            looks += 1
            yield "in_progress"
        yield "cancelling" if job.cancelled else "finalizing"
        self._carry_out(job)
        while True:
            yield "cancelled" if job.cancelled else job.fate.end

    def _carry_out(self, job: RemoteJob) -> None:
        requests = self.requests_of(job)
        fate, served = job.fate, len(requests) if job.fate.served is None else job.fate.served
        output, errors = list[Line](), list[Line]()
        for number, request in enumerate(requests):
            if number in fate.drops:
                continue
            if number in fate.errors:
                errors.append(error_to(request, *fate.errors[number]))
            elif number < served:
                output.append(self._reply(request, "batch"))
            else:
                errors.append(not_reached(request, "batch_expired"))
        for name, lines in (("output", output), ("error", errors)):
            if lines:
                file_id = f"file-{len(self.files)}"
                content = "".join(json.dumps(line) + "\n" for line in reversed(lines)).encode()
                self.files[file_id] = (f"{job.id}-{name}.jsonl", content)
                job.files[name] = file_id

    def _look(self, job: RemoteJob) -> Line:
        job.status = next(job.states)
        self.seen.add(job.status)
        return self._shown(job)

    def _shown(self, job: RemoteJob) -> Line:
        ended = job.status in {"completed", "expired", "cancelled"}
        job.looks_after_end += ended
        hides = ended and (job.fate.lag < 0 or job.looks_after_end <= job.fate.lag)
        total = len(self.requests_of(job))
        code, text = job.fate.failure
        failed = job.status == "failed" and code
        return {
            "id": job.id,
            "object": "batch",
            "status": job.status,
            "input_file_id": job.file_id,
            "output_file_id": None if hides else job.files.get("output"),
            "error_file_id": job.files.get("error") if ended else None,
            "metadata": job.metadata,
            "errors": {"object": "list", "data": [{"code": code, "message": text}]} if failed else None,
            "request_counts": {
                "total": total,
                "completed": total if job.fate.lies or ended else 0,
                "failed": 0,
            },
        }

    def _list(self, query: dict[str, list[str]]) -> Line:
        shown = list(reversed(self.jobs))
        if "after" in query:
            ids = [job.id for job in shown]
            shown = shown[ids.index(query["after"][0]) + 1 :]
        data = [self._shown(job) for job in shown[: self.page]]
        return {"object": "list", "data": data, "has_more": len(shown) > self.page}

    def _cancel(self, job: RemoteJob) -> tuple[int, Line]:
        if job.status in {"completed", "failed", "expired", "cancelled"}:
            return 400, {"error": {"message": "it has ended", "type": "invalid_request_error"}}
        job.cancelled = True
        return 200, self._shown(job)

    def _job(self, job_id: str) -> RemoteJob:
        return next(job for job in self.jobs if job.id == job_id)
