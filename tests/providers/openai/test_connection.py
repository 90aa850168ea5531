"""Connections are tried before anything is asked, and each way to fail has a name."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventabs.providers.openai.endpoint import Endpoint, parse_address
from eventabs.providers.openai.transport import Route, UnreachableError, find_route

# self-signed for localhost and 127.0.0.1, until 2120; it opens nothing
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgW3ML7gj5TtlcSLkL
UXfTAzsPzbfcOCNHWTUpfeCT1xShRANCAAQEsfSoy+VIyDgoxJyiYYMsoKTjxb8s
trJdT3t8icnU0Eb/yXMEs7fZiW6m8wTUkiW95R2AjiPTUKK31eWAfVJJ
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBZjCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABASx9KjL5UjIOCjE
nKJhgyygpOPFvyy2sl1Pe3yJydTQRv/JcwSzt9mJbqbzBNSSJb3lHYCOI9NQorfV
5YB9UkmjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBSNWSk7COKCM9/pLHc82LR67nuCTTAKBggqhkjOPQQD
AgNHADBEAiBdBLpXt3B3ukCOfAImsFp0yAMx8fr5+SwBfcsSLBHUAgIgZRMqWFZj
rMz5Spusx2GhHraNLM8PYhOu7HDHfNDbF/I=
-----END CERTIFICATE-----
"""


@pytest.fixture(autouse=True)
def _no_proxies_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "loopback.pem"
    path.write_text(CERTIFICATE)
    return path


@contextmanager
def listening(*, says: bytes = b"", context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listen on a port of loopback, take one connection, say something and close it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _address = server.accept()
                with connection:
                    if context:
                        context.wrap_socket(connection, server_side=True).close()
                    elif says:
                        connection.recv(65536)
                        connection.sendall(says)
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
    thread.join(timeout=5)


async def way(base_url: str, *, ca_file: str = "", proxy: str = "") -> Route:
    endpoint = Endpoint("m", base_url, ca_file=ca_file, proxy=proxy)
    return await find_route(endpoint, parse_address(endpoint), seconds=5.0)


async def obstacle(base_url: str, *, proxy: str = "") -> tuple[str, bool]:
    with pytest.raises(UnreachableError) as caught:
        await way(base_url, proxy=proxy)
    assert "\n" not in str(caught.value)
    return caught.value.obstacle, caught.value.through_proxy


def _tls(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_a_server_that_listens_is_reached() -> None:
    with listening() as port:
        assert await way(f"http://localhost:{port}/v1") == Route("127.0.0.1")


async def test_a_certificate_of_an_authority_of_ones_own_is_trusted_when_it_is_named(pem: Path) -> None:
    with listening(context=_tls(pem)) as port:
        found = await way(f"https://localhost:{port}/v1", ca_file=str(pem))
    assert found.tls.startswith("TLSv1")


async def test_an_unknown_certificate_is_not_trusted(pem: Path) -> None:
    with listening(context=_tls(pem)) as port:
        assert await obstacle(f"https://localhost:{port}/v1") == ("untrusted", False)


async def test_a_server_that_speaks_plain_http_has_no_tls() -> None:
    with listening(says=b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert await obstacle(f"https://127.0.0.1:{port}/v1") == ("no_tls", False)


async def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert await obstacle(f"http://127.0.0.1:{bound.getsockname()[1]}/v1") == ("refused", False)


async def test_a_name_that_cannot_be_looked_up_is_told() -> None:
    assert await obstacle("http://nowhere.invalid/v1") == ("name", False)


async def test_the_proxy_is_what_is_connected_to() -> None:
    with listening() as port:
        found = await way("https://api.example.com/v1", proxy=f"http://127.0.0.1:{port}")
    assert found == Route("127.0.0.1", proxy=f"127.0.0.1:{port}")
    assert (await obstacle("https://api.example.com/v1", proxy="http://127.0.0.1:9"))[1]


async def test_the_environment_s_proxy_counts_but_not_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as port:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{port}")
        monkeypatch.setenv("http_proxy", "127.0.0.1:9")
        assert (await way("https://api.example.com/v1")).proxy == f"127.0.0.1:{port}"
    with listening() as port:
        assert (await way(f"http://127.0.0.1:{port}/v1")).proxy == ""
    monkeypatch.setenv("no_proxy", "*.invalid,nowhere.invalid")
    assert await obstacle("https://nowhere.invalid/v1") == ("name", False)
