"""A provider is opened from plain arguments; calls to an endpoint are paced and tried again."""

import asyncio
import subprocess
import sys

import pytest

from endpoints import endpoint_at
from eventabs.providers import Pacer, open_provider
from eventabs.providers.openai.client import OpenAIProvider
from eventabs.shared_records import Request, UserLog
from eventabs.stop_request import StopRequested
from openai_server import OpenAIServer, completion, script, status


def endpoint(base_url: str) -> OpenAIProvider:
    return OpenAIProvider(endpoint_at(base_url))


def request(**users: UserLog) -> Request:
    return Request(({"role": "user", "content": "?"},), users, 10, 10)


async def test_a_call_to_an_endpoint_is_tried_again_and_cooldowns_are_reported(
    openai_server: OpenAIServer,
) -> None:
    busy = status(429, b"", {"Retry-After": "0.01"})
    openai_server.behavior = script(busy, status(200, completion("done", "stop")))
    retries: list[int | None] = []
    cooldowns: list[float] = []
    pace = Pacer(on_cooldown=cooldowns.append)
    async with open_provider(endpoint(openai_server.base_url), pace) as complete:
        reply = await complete(
            request(), lambda cause, _wait: retries.append(cause.status), lambda _characters: None
        )
    assert reply.text == "done"
    assert retries == [429]
    assert cooldowns


async def test_no_request_is_sent_once_the_run_is_closing(openai_server: OpenAIServer) -> None:
    closing = asyncio.Event()
    async with open_provider(endpoint(openai_server.base_url), Pacer(closing=closing)) as complete:
        closing.set()
        with pytest.raises(StopRequested):
            await complete(request(), lambda _cause, _wait: None, lambda _characters: None)
    assert openai_server.requests == []


def test_the_http_stack_is_loaded_only_when_an_endpoint_is_opened() -> None:
    code = (
        "import sys; from eventabs.providers import Endpoint, open_provider;"
        "print({'httpx', 'aiohttp', 'tenacity'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
