"""An S3 server, and a web server with the habits of the web: both on loopback, in this process."""

import http.client
import logging
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from obstore.store import S3Store

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class ObjectServer:
    """An S3 server. `variables` are what obstore reads; `buckets` are made when an object is put."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line a request
        from moto.server import ThreadedMotoServer  # noqa: PLC0415  loading takes a while

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        _host, port = self._server.get_host_and_port()
        self.variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }
        self._buckets = dict[str, S3Store]()

    def put(self, address: str, data: bytes) -> str:
        """Store an object; return its address."""
        bucket, _slash, key = address.removeprefix("s3://").partition("/")
        if bucket not in self._buckets:
            self._buckets[bucket] = self._made(bucket)
        self._buckets[bucket].put(key, data)
        return address

    def get(self, address: str) -> bytes:
        """Return an object. Raises FileNotFoundError."""
        bucket, _slash, key = address.removeprefix("s3://").partition("/")
        return bytes(self._buckets[bucket].get(key).bytes())

    def unfinished(self, bucket: str) -> int:
        """Return how many uploads in pieces were begun, and neither completed nor aborted."""
        return self._ask("GET", f"{bucket}?uploads").count(b"<UploadId>")

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()

    def _ask(self, method: str, path: str) -> bytes:
        endpoint = self.variables["AWS_ENDPOINT_URL"]
        signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request"}
        request = urllib.request.Request(f"{endpoint}/{path}", method=method, headers=signed)  # noqa: S310  loopback
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            read: bytes = answer.read()
            return read

    def _made(self, bucket: str) -> S3Store:
        endpoint = self.variables["AWS_ENDPOINT_URL"]
        self._ask("PUT", bucket)
        return S3Store(
            bucket,
            endpoint=endpoint,
            region="us-east-1",
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )


@contextmanager
def in_front_of(server: ObjectServer, status: Callable[[str, str], int]) -> Iterator[str]:
    """Pass requests on to a server, but those for whose method and path `status` is not 0; yield the address."""
    host = server.variables["AWS_ENDPOINT_URL"].removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: Any) -> None:  # noqa: ANN401  as the base has it
            pass

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, headers, data = status(self.command, self.path), dict[str, str](), b""
            if not code:
                connection = http.client.HTTPConnection(host)
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                code, headers, data = answer.status, dict(answer.getheaders()), answer.read()
            self.send_response(code)
            for name in ("ETag", "Last-Modified", "Content-Type"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815  as the base has them

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_request: Any) -> None:  # noqa: ANN401  as the base has it
            """Say nothing: a client that breaks off is what is tested."""

    running = Server(("127.0.0.1", 0), Handler)
    Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        running.server_close()


class WebServer:
    """Serves `data` under any path; what stands in the path says how.

    `break`: every answer ends after `piece` bytes; `change`: the data are others from the second request on;
    `etag`: the data have one, and ranges are served; `chunked`, `gzip`, `redirect`, `loop`,
    `denied`, `missing`, `failing`; `huge`: they are said to be 10^18 bytes. What is put to a path is in `written`;
    a path that has something is not overwritten where that is not wanted.
    """

    def __init__(self, data: bytes, *, piece: int = 200_000) -> None:
        self.data, self.piece = data, piece
        self.requests = list[tuple[str, dict[str, str]]]()
        self.written = dict[str, bytes]()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:  # noqa: ANN401  as the base has it
                pass

            def do_GET(self) -> None:
                web.requests.append(
                    (self.path, {name.lower(): value for name, value in self.headers.items()})
                )
                web.answer(self)

            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                is_taken = self.path in web.written and self.headers.get("If-None-Match") == "*"
                code = 403 if "denied" in self.path else 412 if is_taken else 201
                if code == HTTPStatus.CREATED:
                    web.written[self.path] = data
                web._send(self, code, b"", {})

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request as its path says."""
        path = request.path
        statuses = {"redirect": 302, "loop": 302, "denied": 403, "failing": 500, "missing": 404}
        status = next((code for word, code in statuses.items() if word in path), 0)
        if status:
            self._send(request, status, b"", {"Location": "/loop" if "loop" in path else "/here.csv"})
        elif "chunked" in path:
            request.send_response(200)
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            request.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.data), self.data))
        else:
            self._send_data(request)

    def _send_data(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        version = min(len(self.requests), 2) if "change" in path else 1
        data = self.data if version == 1 else self.data.swapcase()
        headers = {"ETag": f'"{version}"'} if "etag" in path else {}
        if headers and request.headers.get("If-Match", f'"{version}"') != f'"{version}"':
            self._send(request, 412, b"", {})
            return
        asked = request.headers.get("Range", "") if headers else ""
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if "gzip" in path:
            headers["Content-Encoding"] = "gzip"
        is_cut = "break" in path
        self._send(request, 206 if asked else 200, data[start:], headers, most=self.piece if is_cut else None)

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        most: int | None = None,
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(10**18 if "huge" in request.path else len(body)))
        request.end_headers()
        request.wfile.write(body[:most])
        request.close_connection = most is not None


@contextmanager
def web_server(data: bytes, *, piece: int = 200_000) -> Iterator[WebServer]:
    """Serve `data` over HTTP."""
    server = WebServer(data, piece=piece)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """Serve S3."""
    server = ObjectServer()
    try:
        yield server
    finally:
        server.close()
