import asyncio
import ssl
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from eventabs.errors import EndpointError, FatalEndpointError, TransientError
from eventabs.providers.openai.endpoint import CallLimits, Endpoint, parse_address
from eventabs.providers.openai.transport import Channel, Deadline, translate
from eventabs.providers.openai.wire import UnreadableBodyError
from openai_server import OpenAIServer, status

KEY = "sk-secret-0123456789abcdef"
ADDRESS = parse_address(Endpoint(model="m", base_url="https://x.example/v1", api_key=KEY))


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
    translated = translate(error, ADDRESS)
    assert type(translated) is kind
    with pytest.raises(kind, match=said):
        raise translated
    assert "x.example" in str(translated)
    assert KEY not in str(translated)


def test_the_login_of_a_proxy_that_the_environment_names_is_not_shown() -> None:
    said = str(translate(ValueError("http://me:pa@ss@proxy.example:99999"), ADDRESS))
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
    made = Endpoint(**({"model": "m", "base_url": "https://x.example/v1"} | endpoint))
    openai_server.behavior = status(200)
    channel = Channel(made, parse_address(made), CallLimits())
    async with aclosing(channel):
        response = await channel.send("POST", httpx.URL(openai_server.base_url + "/chat/completions"), b"{}")
        await response.aclose()
    headers = {name.lower(): value for name, value in openai_server.requests[0].headers.items()}
    assert headers.get("authorization") == sent
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("eventabs/")


async def test_patience_ends_with_the_idle_limit_or_the_call_whichever_is_first() -> None:
    now = asyncio.get_running_loop().time
    deadline = asyncio.timeout(None)
    async with deadline:
        patience = Deadline(deadline, idle_timeout=50.0, call_timeout=80.0)
        await asyncio.sleep(0)
        assert deadline.when() == pytest.approx(now() + 50.0, abs=0.5)
        patience.hurry()
        assert deadline.when() == pytest.approx(now() + 1.0, abs=0.5)
        patience.renew()
        assert deadline.when() == pytest.approx(now() + 50.0, abs=0.5)
        Deadline(deadline, idle_timeout=50.0, call_timeout=20.0)
        assert deadline.when() == pytest.approx(now() + 20.0, abs=0.5)
