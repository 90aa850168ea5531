"""How far a run is, over HTTP: `--progress-port`."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from eventabs import runs
from eventabs.errors_and_exit_codes import UsageError
from eventabs.interface_language import gettext as _
from eventabs.runs import Progress
from eventabs.views.output_streams import encode
from eventabs.views.panel_status_show import progress_fields

LOOPBACK = "127.0.0.1"
PATHS = ("/progress", "/api/v1/events/extract/progress")


class ProgressServer(ThreadingHTTPServer):
    """An observer that answers GET on `PATHS` with JSON, inside `with`. `port` 0: any that is free. Raises UsageError for one that is taken."""

    def __init__(self, port: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._status = "running"
        self._counts = (Progress(), clock())
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            message = _(
                "--progress-port: port {port} cannot be used ({error}); name another, or 0 for any that is free"
            )
            raise UsageError(message.format(port=port, error=getattr(error, "strerror", error))) from None
        self.address = f"http://{LOOPBACK}:{self.server_port}{PATHS[0]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: the run's terminal has nothing to do with a client that went away."""

    def noted(self, fact: runs.Fact) -> None:
        """Keep the run's state and its counts."""
        if isinstance(fact, Progress):
            self._counts = (fact, self._clock())
        elif isinstance(fact, runs.StateChanged):
            self._status = fact.status

    def answer(self) -> bytes:
        """Return the counts as JSON; the remaining time has run down since they came."""
        progress, counted_at = self._counts
        left = progress.eta_seconds and progress.eta_seconds - (self._clock() - counted_at)
        return encode(progress_fields(self._status, progress, left)).encode()


class _Handler(BaseHTTPRequestHandler):
    server: ProgressServer
    server_version = "eventabs"
    sys_version = ""
    timeout = 5.0  # seconds for a client to send its request

    def parse_request(self) -> bool:
        """Answer or refuse a request that can be read; nothing is left to do then."""
        if not super().parse_request():
            return False
        # a page in a browser must not read it by a name that leads here (DNS rebinding)
        before, colon, after = self.headers.get("Host", "").rpartition(":")
        if (before if colon else after).lower() not in {LOOPBACK, "localhost"}:
            self.send_error(HTTPStatus.FORBIDDEN, "only for this machine")
        elif self.command != "GET":
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "only GET")
        elif self.path.partition("?")[0] not in PATHS:
            self.send_error(HTTPStatus.NOT_FOUND, f"ask for {PATHS[0]}")
        else:
            self._respond(HTTPStatus.OK, self.server.answer())
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._respond(code, encode({"error": message or explain or HTTPStatus(code).phrase}).encode())

    def _respond(self, code: int, body: bytes) -> None:
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
