"""The list of models is read in whatever shape servers give it, and never believed further than that."""

from typing import Any

import pytest

from eventabs.errors import EndpointError, FatalEndpointError, TransientError
from eventabs.providers.openai.endpoint import CallLimits, Endpoint
from eventabs.providers.openai.probe import ListedModel, list_models
from openai_server import Behavior, OpenAIServer, keep_alive, listing, raw, stall, status

SHORT = CallLimits(2.0, 0.5, 0.5, reply_bytes=100_000)


async def _models(server: OpenAIServer, base_url: str = "") -> tuple[ListedModel, ...]:
    return await list_models(Endpoint("m", base_url or server.base_url, "sk-secret-secret"), SHORT)


async def test_names_are_asked_for_beside_the_completions(openai_server: OpenAIServer) -> None:
    openai_server.models = listing("a", "b")
    base_url = openai_server.base_url + "/?api-version=1"
    assert await _models(openai_server, base_url) == (ListedModel("a"), ListedModel("b"))
    (request,) = openai_server.requests
    assert request.path == "/v1/models?api-version=1"
    assert request.headers["authorization"] == "Bearer sk-secret-secret"


@pytest.mark.parametrize(
    "payload",
    [
        {"data": [{"id": "a"}]},
        {"models": [{"name": "a"}]},
        [{"id": "a"}],
        {"data": ["a"]},
        {"data": [{"id": "a"}, 3, {}]},
    ],
)
async def test_every_shape_of_a_list_is_read(openai_server: OpenAIServer, payload: object) -> None:
    openai_server.models = status(200, payload)
    assert await _models(openai_server) == (ListedModel("a"),)


@pytest.mark.parametrize(
    ("fields", "context"),
    [
        ({"max_model_len": 32768}, 32768),
        ({"context_length": 262144}, 262144),
        ({"context_window": 131072}, 131072),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, 4096),
        ({"meta": {"n_ctx_train": 131072}}, None),
        ({"context_length": "many"}, None),
        ({"context_length": -1}, None),
        ({"context_length": True}, None),
        ({}, None),
    ],
)
async def test_the_context_is_that_in_force_or_not_known(
    openai_server: OpenAIServer, fields: dict[str, Any], context: int | None
) -> None:
    openai_server.models = listing({"id": "m"} | fields)
    assert await _models(openai_server) == (ListedModel("m", context),)


@pytest.mark.parametrize(
    ("behavior", "error"),
    [
        (status(404, b"not here"), FatalEndpointError),
        (status(401, {"error": {"message": "sk-secret-secret"}}), FatalEndpointError),
        (status(200, {"error": {"message": "no", "code": 401}}), FatalEndpointError),
        (status(302, b"", {"Location": "https://elsewhere.example/"}), FatalEndpointError),
        (status(200, b"<html>"), TransientError),
        (status(200, {"data": 3}), TransientError),
        (status(200, b"[" * 200_000), TransientError),
        (raw(b"220 smtp\r\n"), TransientError),
        (stall(), TransientError),
        (keep_alive(), TransientError),
    ],
)
async def test_what_is_no_list_is_an_error_of_one_line(
    openai_server: OpenAIServer, behavior: Behavior, error: type[EndpointError]
) -> None:
    openai_server.models = behavior
    with pytest.raises(error) as caught:
        await _models(openai_server)
    assert "\n" not in str(caught.value)
    assert "sk-secret-secret" not in str(caught.value)
