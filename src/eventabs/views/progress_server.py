"""The progress of a run over HTTP, for this machine only."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from eventabs.errors import UsageError
from eventabs.language import gettext as _
from eventabs.runs import Note, Progress, Started, StateChanged
from eventabs.views.console import encode
from eventabs.views.status import progress_fields

LOOPBACK = "127.0.0.1"
PATHS = ("/progress", "/api/v1/events/extract/progress")
_PATIENCE = 5.0  # seconds for a client to send its request


class ProgressServer:
    """An observer that answers GET on `PATHS` with JSON. A context manager: it answers inside it.

    `port` 0: any that is free. A page in a browser must not read it by a name that leads here (DNS
    rebinding), so other Hosts are refused. Raises UsageError where the port is taken.
    """

    def __init__(self, port: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._status = "running"
        self._counts = (Progress(), clock())
        handler = type("Handler", (_Handler,), {"answer": staticmethod(self.answer)})
        try:
            self._server = _Server((LOOPBACK, port), handler)
        except (OSError, OverflowError) as error:
            message = _(
                "--progress-port: port {port} cannot be used ({error}); name another, or 0 for any that is free"
            )
            raise UsageError(message.format(port=port, error=getattr(error, "strerror", error))) from None
        self.address = f"http://{LOOPBACK}:{self._server.server_port}{PATHS[0]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def started(self, facts: Started) -> None:
        """Do nothing: none of this is part of the answer."""

    def noted(self, note: Note) -> None:
        """Keep the run's state."""
        if isinstance(note, StateChanged):
            self._status = note.status

    def progressed(self, progress: Progress) -> None:
        """Keep the counts."""
        self._counts = (progress, self._clock())

    def answer(self) -> bytes:
        """Return the counts as JSON; the remaining time has run down since they came."""
        progress, counted_at = self._counts
        eta = progress.eta_seconds
        if eta:
            left = eta - (self._clock() - counted_at)
            eta = left if left >= 0 else None  # the estimate has run out
        return encode(progress_fields(self._status, progress, eta)).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: the run's terminal has nothing to do with a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    server_version = "eventabs"
    sys_version = ""
    timeout = _PATIENCE
    answer: Callable[[], bytes]

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if refusal := self._refusal():
            self.send_error(*refusal)
        return refusal is None

    def _refusal(self) -> tuple[int, str] | None:
        before, colon, after = self.headers.get("Host", "").rpartition(":")
        if (before if colon else after).lower() not in {LOOPBACK, "localhost"}:
            return HTTPStatus.FORBIDDEN, "only for this machine"
        if self.command != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, "only GET"
        if self.path.partition("?")[0] not in PATHS:
            return HTTPStatus.NOT_FOUND, f"ask for {PATHS[0]}"
        return None

    def do_GET(self) -> None:
        self._respond(HTTPStatus.OK, type(self).answer())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._respond(code, encode({"error": message or explain or HTTPStatus(code).phrase}).encode())

    def _respond(self, code: int, body: bytes) -> None:
        self.close_connection = True
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""
