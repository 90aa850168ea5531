"""Addresses, proxies, headers, connections: what is wrong has a name, and no secret is shown."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from endpoints import endpoint_at
from eventabs.errors_and_exit_codes import ConfigError, EndpointError, FatalEndpointError, TransientError
from eventabs.providers.openai.ability_requests import list_models
from eventabs.providers.openai.client import (
    Channel,
    UnreachableError,
    find_route,
    parse_address,
    proxy_of,
    translate_error,
)
from eventabs.providers.openai.endpoint_and_wire import UnreadableBodyError
from openai_server import OpenAIServer, status

# addresses


KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("base_url", "url", "host"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions", "api.example.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/chat/completions", "127.0.0.1:8000"),
        (
            "https://me:pw@api.example.com/v1?api-version=7#x",
            "https://api.example.com/v1/chat/completions?api-version=7",
            "api.example.com",
        ),
        ("http://my_box:65535/v1", "http://my_box:65535/v1/chat/completions", "my_box:65535"),
        ("https://例子.com", "https://xn--fsqu00a.com/chat/completions", "xn--fsqu00a.com"),
        (" http://[::1]:8000/v1 ", "http://[::1]:8000/v1/chat/completions", "[::1]:8000"),
    ],
)
def test_the_address_is_the_base_and_the_path_of_chat_completions(base_url: str, url: str, host: str) -> None:
    address = parse_address(endpoint_at(base_url))
    assert (str(address.url), address.host) == (url, host)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example.com/v1",
        "ftp://x/v1",
        "http://",
        "https://api.example.com:99999/v1",
        "https://api..example.com/v1",
        "https://api example.com/v1",
        f"https://{'a' * 64}.com/v1",
        f"https://{'a.' * 130}com/v1",
    ],
)
def test_what_is_no_address_is_refused_with_the_name_of_the_setting(base_url: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.base_url"):
        parse_address(endpoint_at(base_url))


HTTP, HTTPS, PROXIED = "http://api.example.com/v1", "https://api.example.com/v1", "http://proxy.example.com"


@pytest.mark.parametrize(
    ("base_url", "fields", "is_safe"),
    [
        (HTTP, {"api_key": KEY}, False),
        (f"http://me:{KEY}@api.example.com/v1", {}, False),
        (HTTP, {"extra_headers": {"Api-Key": KEY}}, False),
        ("http://localhost/v1", {"api_key": KEY, "proxy": PROXIED}, False),
        ("http://localhost.example.com/v1", {"api_key": KEY}, False),
        (HTTP, {}, True),
        (HTTP, {"extra_headers": {"X-Title": "t"}}, True),
        ("http://127.1.2.3:8000/v1", {"api_key": KEY}, True),
        ("http://localhost/v1", {"api_key": KEY, "proxy": "http://127.0.0.1:3128"}, True),
        (HTTPS, {"api_key": KEY, "proxy": PROXIED}, True),
    ],
)
def test_a_key_never_travels_unencrypted_to_another_machine(
    base_url: str, fields: dict[str, Any], is_safe: bool
) -> None:
    endpoint = endpoint_at(base_url, **fields)
    if is_safe:
        assert parse_address(endpoint).url.host
        return
    with pytest.raises(ConfigError, match="unencrypted") as caught:
        parse_address(endpoint)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["你的key", "sk-123456789\n", "sk-\x00123456789"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="the value of OPENAI_API_KEY") as caught:
        parse_address(endpoint_at("https://x.example/v1", api_key=key))
    assert key not in str(caught.value)


def test_everything_secret_is_known_as_such_and_in_no_repr() -> None:
    endpoint = endpoint_at(
        "https://user:passw0rd@x.example/v1?token=t0ken-value",
        api_key=KEY,
        extra_headers={"X-Auth": "Bearer b3arer-value"},
        proxy="https://pu:pr0xy-pw@proxy.example",
    )
    address = parse_address(endpoint)
    for secret in (KEY, "user", "passw0rd", "t0ken-value", "b3arer-value", "pr0xy-pw"):
        assert secret in address.secrets
        assert secret not in repr(endpoint)
    assert address.login == ("user", "passw0rd")
    assert not {"", ":"} & set(address.secrets)


@pytest.mark.parametrize(
    "name", ["", "看", "X Y", "X\r\nEvil", f"Bearer {KEY}:", "Content-Length", "transfer-encoding"]
)
def test_a_header_that_would_break_the_request_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.extra_headers") as caught:
        parse_address(endpoint_at("http://localhost/v1", extra_headers={name: "1"}))
    assert KEY not in str(caught.value)


# proxies


FAR = "https://x.example/v1"
PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_proxies_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def found(base_url: str = FAR, proxy: str = "") -> str | None:
    taken = proxy_of(endpoint_at(base_url, proxy=proxy))
    return str(taken.url) if taken else None


@pytest.mark.parametrize(
    ("variables", "base_url", "taken"),
    [
        ({}, FAR, None),
        ({"HTTPS_PROXY": PROXY}, FAR, PROXY),
        ({"https_proxy": "proxy.example:3128"}, FAR, PROXY),
        ({"HTTP_PROXY": PROXY}, FAR, None),
        ({"HTTP_PROXY": PROXY}, "http://x.example/v1", PROXY),
        ({"ALL_PROXY": PROXY}, FAR, PROXY),
        ({"ALL_PROXY": "socks5://127.0.0.1:1080", "HTTPS_PROXY": PROXY}, FAR, PROXY),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "x.example"}, FAR, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, FAR, None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "other.example"}, FAR, PROXY),
        ({"ALL_PROXY": PROXY}, "http://127.0.0.1:8000/v1", None),
    ],
)
def test_the_environment_s_proxy_holds_where_the_usual_variables_say_so(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], base_url: str, taken: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert found(base_url) == taken


def test_the_proxy_of_the_settings_comes_first_and_holds_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example")
    assert found(proxy=PROXY) == found("http://127.0.0.1:8000/v1", proxy=PROXY) == PROXY


@pytest.mark.parametrize(
    "value", ["http://[::1", "ftp://proxy.example", "socks5://127.0.0.1:1080", "http://"]
)
def test_a_proxy_that_cannot_be_used_is_one_error_with_one_that_can(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    with pytest.raises(ConfigError, match=r"llm.proxy .*like http://127.0.0.1:3128, or unset it"):
        found(proxy=value)
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigError, match=r"HTTPS_PROXY .*like http://127.0.0.1:3128, or unset it"):
        found()


# transport


ADDRESS = parse_address(endpoint_at("https://x.example/v1", api_key=KEY))


def caused_by(cause: Exception) -> Exception:
    error = httpx.ConnectError(f"cannot connect with {KEY}")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (httpx.ReadError("gone"), TransientError, "ReadError gone"),
        (OSError("no route"), TransientError, "OSError no route"),
        (caused_by(OSError("no route")), TransientError, r"OSError cannot connect with \[redacted\]"),
        (caused_by(ssl.SSLCertVerificationError("self-signed")), FatalEndpointError, "llm.ca_file"),
        (UnreadableBodyError(), TransientError, "too large"),
    ],
)
def test_what_breaks_on_the_wire_becomes_an_error_with_its_next_step(
    error: Exception, kind: type[EndpointError], said: str
) -> None:
    translated = translate_error(error, ADDRESS)
    assert type(translated) is kind
    with pytest.raises(kind, match=said):
        raise translated
    assert "x.example" in str(translated)
    assert KEY not in str(translated)


def test_the_login_of_a_proxy_that_the_environment_names_is_not_shown() -> None:
    said = str(translate_error(ValueError("http://me:pa@ss@proxy.example:99999"), ADDRESS))
    assert "http://proxy.example:99999" in said
    assert "pa@ss" not in said


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        ({"api_key": KEY}, f"Bearer {KEY}"),
        ({"base_url": "https://me:pa%40ss@x.example/v1"}, "Basic bWU6cGFAc3M="),
        ({"base_url": "https://me:pass@x.example/v1", "api_key": KEY}, f"Bearer {KEY}"),
        ({"extra_headers": {"authorization": "Token t"}, "api_key": KEY}, "Token t"),
        ({}, None),
    ],
)
async def test_one_credential_is_sent_and_the_headers_of_the_settings_stand(
    openai_server: OpenAIServer, endpoint: dict[str, Any], sent: str | None
) -> None:
    made = endpoint_at(**({"model": "m", "base_url": "https://x.example/v1"} | endpoint))
    openai_server.behavior = status(200)
    channel = Channel(made)
    async with aclosing(channel):
        response = await channel.send("POST", httpx.URL(openai_server.base_url + "/chat/completions"), b"{}")
        await response.aclose()
    headers = {name.lower(): value for name, value in openai_server.requests[0].headers.items()}
    assert headers.get("authorization") == sent
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("eventabs/")


# connection


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


async def route(base_url: str, *, ca_file: str = "", proxy: str = "") -> tuple[str, str, str]:
    return await find_route(endpoint_at(base_url, ca_file=ca_file, proxy=proxy, connect_timeout=5.0))


async def reason(base_url: str, *, proxy: str = "") -> tuple[str, bool]:
    with pytest.raises(UnreachableError) as caught:
        await route(base_url, proxy=proxy)
    assert "\n" not in str(caught.value)
    return caught.value.reason, caught.value.through_proxy


def _tls(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_a_server_that_listens_is_reached() -> None:
    with listening() as port:
        assert await route(f"http://localhost:{port}/v1") == ("127.0.0.1", "", "")


async def test_a_certificate_of_an_authority_of_ones_own_is_trusted_when_it_is_named(pem: Path) -> None:
    with listening(context=_tls(pem)) as port:
        found = await route(f"https://localhost:{port}/v1", ca_file=str(pem))
    assert found[2].startswith("TLSv1")


async def test_an_unknown_certificate_is_not_trusted(pem: Path) -> None:
    with listening(context=_tls(pem)) as port:
        assert await reason(f"https://localhost:{port}/v1") == ("untrusted", False)


async def test_an_unknown_certificate_ends_a_call_with_its_next_step(pem: Path) -> None:
    with listening(context=_tls(pem)) as port:
        endpoint = endpoint_at(f"https://localhost:{port}/v1")
        with pytest.raises(FatalEndpointError, match=r"llm\.ca_file"):
            await list_models(endpoint)


async def test_a_server_that_speaks_plain_http_has_no_tls() -> None:
    with listening(says=b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert await reason(f"https://127.0.0.1:{port}/v1") == ("no_tls", False)


async def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert await reason(f"http://127.0.0.1:{bound.getsockname()[1]}/v1") == ("refused", False)


async def test_a_name_that_cannot_be_looked_up_is_told() -> None:
    assert await reason("http://nowhere.invalid/v1") == ("dns", False)


async def test_the_proxy_is_what_is_connected_to() -> None:
    with listening() as port:
        found = await route("https://api.example.com/v1", proxy=f"http://127.0.0.1:{port}")
    assert found == ("127.0.0.1", f"127.0.0.1:{port}", "")
    assert (await reason("https://api.example.com/v1", proxy="http://127.0.0.1:9"))[1]
