"""A cheaper tier in whole runs: what is sent, how a full tier is waited for, and what it costs."""

import json
from pathlib import Path
from typing import Any

from house import checkpoint, eventabs, ran, write_users
from openai_server import (
    Behavior,
    Exchange,
    OpenAIServer,
    answer_by_day,
    completion,
    count_usage,
    script,
    status,
)

FLEX = ("--model", "m", "--tier", "flex", "--max-users", "1", "--concurrency", "1")
PRICES = "[llm.price]\ninput = 2.0\ncached_input = 0.2\noutput = 8.0\nflex = 0.5\n"
FULL = status(498, {"error": {"code": "capacity_exceeded", "message": "no room"}})
ALSO_FULL = status(429, {"error": {"code": "resource_unavailable", "message": "Resource unavailable"}})


def served(tier: str | None, *, cached: int = 0) -> Behavior:
    """Answer well, served in this tier, with so many tokens of the prompt from the cache."""

    async def behave(exchange: Exchange) -> None:
        text = answer_by_day(exchange.received.user_message)
        usage: dict[str, Any] = count_usage(exchange.received, text)
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
        body = json.loads(completion(text, usage=usage)) | ({"service_tier": tier} if tier else {})
        await exchange.respond(200, json.dumps(body).encode())

    return behave


def _begin(folder: Path, server: OpenAIServer, users: int = 2) -> tuple[str, ...]:
    (folder / "eventabs.toml").write_text(PRICES, encoding="utf-8")
    write_users(folder / "input.jsonl", users=users)
    return ("--base-url", server.base_url)


def _cost(use: dict[str, float], factor: float) -> float:
    prompt = (use["prompt_tokens"] - use["cached_tokens"]) * 2.0 + use["cached_tokens"] * 0.2
    return round(factor * (prompt + use["completion_tokens"] * 8.0) / 1_000_000, 6)


def test_calls_cost_what_the_tier_costs_that_served_them_and_cached_tokens_are_told(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    address = _begin(tmp_path, openai_server)
    openai_server.behavior = script(served("flex", cached=100), served("default", cached=50))
    done = ran("run", "input.jsonl", *FLEX, *address, "--json", cwd=tmp_path)
    assert [request.body["service_tier"] for request in openai_server.requests] == ["flex", "flex"]
    summary = json.loads(done.stdout)
    tiers = summary["tiers"]
    assert {tier: use["calls"] for tier, use in tiers.items()} == {"standard": 1, "flex": 1}
    assert tiers["flex"]["cost"] == _cost(tiers["flex"], 0.5)
    assert tiers["standard"]["cost"] == _cost(tiers["standard"], 1.0)
    assert summary["cost"] == round(tiers["flex"]["cost"] + tiers["standard"]["cost"], 6)
    assert summary["cached_tokens"] == 150
    assert checkpoint(tmp_path / "input.eventabs")["usage"]["cached_tokens"] == 150
    looked = json.loads(eventabs("status", "input.eventabs", "--json", cwd=tmp_path).stdout)
    assert (looked["cost"], looked["tiers"], looked["cached_tokens"]) == (summary["cost"], tiers, 150)
    shown = eventabs("status", "input.eventabs", cwd=tmp_path).stdout
    assert "cached 150 in, " in shown
    assert "tier flex: 1 call" in shown


def test_a_full_tier_is_waited_for_and_no_call_is_failed(tmp_path: Path, openai_server: OpenAIServer) -> None:
    address = _begin(tmp_path, openai_server)
    openai_server.behavior = script(FULL, ALSO_FULL, served("flex"))
    done = ran("run", "input.jsonl", *FLEX, *address, "--json", cwd=tmp_path)
    summary = json.loads(done.stdout)
    assert (summary["success_count"], summary["retries"]) == (2, 2)
    looked = json.loads(eventabs("status", "input.eventabs", "--json", cwd=tmp_path).stdout)
    assert looked["retry_causes"] == {"capacity": 2}
    said = (tmp_path / "input.eventabs" / "run.log").read_text("utf-8")
    assert "no capacity now" in said
    assert "asks for fewer requests" not in said


def test_a_model_without_the_tier_is_one_line_with_the_next_step(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    address = _begin(tmp_path, openai_server)
    refusal = {"type": "invalid_request_error", "param": "service_tier", "message": "flex is not available"}
    openai_server.behavior = status(400, {"error": refusal})
    done = eventabs("run", "input.jsonl", *FLEX, *address, "--quiet", cwd=tmp_path)
    assert done.returncode == 1
    assert len(openai_server.requests) == 1
    assert "at tier flex: flex is not available" in done.stderr
    openai_server.behavior = served(None)
    ran("resume", "input.eventabs", "--tier", "standard", cwd=tmp_path)
    assert "service_tier" not in openai_server.requests[-1].body


def test_a_batch_address_is_asked_without_a_stream_and_counts_as_the_tier(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    write_users(tmp_path / "input.jsonl", users=1)
    openai_server.behavior = served(None)
    model = ("--preset", "volcengine", "--model", "ep-bi-1", "--tier", "flex")
    done = ran(
        *("run", "input.jsonl", *model, "--base-url", openai_server.base_url, "--json"),
        cwd=tmp_path,
        ARK_API_KEY="k",
    )
    (request,) = openai_server.requests
    assert request.body["stream"] is False
    assert json.loads(done.stdout)["tiers"]["flex"]["calls"] == 1
