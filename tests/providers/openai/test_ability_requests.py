"""The list of models in whatever shape, and tiny requests that show what an endpoint supports."""

from typing import Any

import pytest

from check_kit import Model
from endpoints import endpoint_at
from eventabs.errors_and_exit_codes import EndpointError, FatalEndpointError, TransientError
from eventabs.providers.openai.ability_requests import Prober, Support, list_models
from openai_server import Behavior, OpenAIServer, keep_alive, listing, raw, stall, status

# model list


SHORT: dict[str, Any] = {"idle_timeout": 0.5, "call_timeout": 0.5, "reply_characters": 100_000}


async def _models(server: OpenAIServer, base_url: str = "") -> dict[str, int | None]:
    return await list_models(endpoint_at(base_url or server.base_url, "sk-secret-secret", **SHORT))


async def test_names_are_asked_for_beside_the_completions(openai_server: OpenAIServer) -> None:
    openai_server.models = listing("a", "b")
    base_url = openai_server.base_url + "/?api-version=1"
    assert await _models(openai_server, base_url) == {"a": None, "b": None}
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
    assert await _models(openai_server) == {"a": None}


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
    assert await _models(openai_server) == {"m": context}


async def test_a_model_that_is_listed_twice_keeps_its_known_context(openai_server: OpenAIServer) -> None:
    openai_server.models = listing({"id": "m"}, {"id": "m", "max_model_len": 4096}, {"id": "m"})
    assert await _models(openai_server) == {"m": 4096}


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


# probe


def prober(server: OpenAIServer, model: Model) -> Prober:
    server.behavior = model()
    return Prober(endpoint_at(server.base_url, idle_timeout=5.0, call_timeout=5.0, temperature=0.0))


async def test_what_was_refused_is_not_sent_again(openai_server: OpenAIServer) -> None:
    model = Model(refuses=("temperature", "stream_options"))
    asks = prober(openai_server, model)
    await asks.greet()
    assert {"temperature", "stream_options"} <= asks.dropped
    before = len(model.asked)
    await asks.probe_output_limit()
    assert len(model.asked) == before + 1


@pytest.mark.parametrize(
    ("model", "name", "support"),
    [
        (Model(), "max_tokens", "yes"),
        (Model(refuses=("max_tokens",), limit="max_completion_tokens"), "max_completion_tokens", "yes"),
        (Model(limit="max_completion_tokens"), "max_completion_tokens", "yes"),
        (Model(limit=""), "max_tokens", "ignored"),
        (Model(limit="", usage=False), "max_tokens", "ignored"),
    ],
)
async def test_the_parameter_that_limits_answers_is_found(
    openai_server: OpenAIServer, model: Model, name: str, support: str
) -> None:
    assert (await prober(openai_server, model).probe_output_limit())[:2] == (name, support)


async def test_a_model_that_refuses_so_short_an_answer_tells_nothing(openai_server: OpenAIServer) -> None:
    asks = prober(openai_server, Model())
    openai_server.behavior = status(400, {"error": {"message": "could not finish the message"}})
    assert (await asks.probe_output_limit())[1] == "unknown"


@pytest.mark.parametrize(("takes", "support"), [("kept", "yes"), ("ignored", "ignored"), ("refused", "no")])
async def test_a_schema_is_kept_ignored_or_refused(
    openai_server: OpenAIServer, takes: str, support: Support
) -> None:
    asks = prober(openai_server, Model(schema=takes))
    assert await asks.probe() == support


async def test_what_all_of_it_took_is_counted(openai_server: OpenAIServer) -> None:
    asks = prober(openai_server, Model())
    first = (await asks.greet()).usage
    assert asks.spent == first
    await asks.probe()
    assert asks.spent.prompt_tokens > first.prompt_tokens
