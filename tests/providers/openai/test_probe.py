"""Tiny requests tell what an endpoint takes, and do not ask again with what it refused."""

import pytest

from check_kit import Model
from eventabs.errors import FatalEndpointError
from eventabs.providers.openai.endpoint import CallLimits, Endpoint, Sampling
from eventabs.providers.openai.probe import Prober, Support
from openai_server import OpenAIServer, status

LIMITS = CallLimits(2.0, 5.0, 5.0)


def prober(server: OpenAIServer, model: Model, sampling: Sampling = Sampling(temperature=0.0)) -> Prober:
    server.behavior = model()
    return Prober(Endpoint("m", server.base_url), sampling, LIMITS)


async def test_what_was_refused_is_not_sent_again(openai_server: OpenAIServer) -> None:
    model = Model(refuses=("temperature", "stream_options"))
    asks = prober(openai_server, model)
    assert {"temperature", "stream_options"} <= (await asks.say_hello()).left_out
    before = len(model.asked)
    await asks.find_output_limit()
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
    limit = await prober(openai_server, model).find_output_limit()
    assert (limit.name, limit.support) == (name, support)


async def test_a_model_that_refuses_so_short_an_answer_tells_nothing(openai_server: OpenAIServer) -> None:
    asks = prober(openai_server, Model())
    openai_server.behavior = status(400, {"error": {"message": "could not finish the message"}})
    assert (await asks.find_output_limit()).support == "unknown"


@pytest.mark.parametrize(("takes", "support"), [("kept", "yes"), ("ignored", "ignored"), ("refused", "no")])
async def test_both_kinds_of_json_are_kept_ignored_or_refused(
    openai_server: OpenAIServer, takes: str, support: Support
) -> None:
    asks = prober(openai_server, Model(schema=takes, json=takes))
    assert await asks.keeps_schema() == support
    assert await asks.keeps_json() == support


async def test_the_schema_is_tried_also_where_runs_leave_it_out(openai_server: OpenAIServer) -> None:
    sampling = Sampling(omit=frozenset({"response_format"}))
    assert await prober(openai_server, Model(), sampling).keeps_schema() == "yes"


async def test_what_all_of_it_took_is_counted(openai_server: OpenAIServer) -> None:
    asks = prober(openai_server, Model())
    first = (await asks.say_hello()).reply.usage
    assert asks.spent == first
    await asks.keeps_json()
    assert asks.spent.prompt_tokens > first.prompt_tokens


async def test_a_refused_key_is_an_error(openai_server: OpenAIServer) -> None:
    asks = prober(openai_server, Model())
    openai_server.behavior = status(401, b"")
    with pytest.raises(FatalEndpointError):
        await asks.say_hello()
