"""The files of presets: whole, with their sources, and fit to be settings."""

from datetime import date
from typing import get_args

import pytest

from endpoints import endpoint_at
from eventabs.errors_and_exit_codes import ConfigError
from eventabs.providers.openai.client import parse_address
from eventabs.providers.openai.endpoint_and_wire import (
    DROPPABLE,
    Endpoint,
    KnownModel,
    LlmSettings,
    Omittable,
    Preset,
    Tier,
    endpoint_of,
    is_loopback,
    load_preset,
    preset_names,
)

KNOWN = (
    *("deepseek", "gemini", "glm", "groq", "llamacpp", "minimax", "moonshot", "ollama", "openai", "qwen"),
    *("siliconflow", "together", "vllm", "volcengine"),
)
LOCAL = {"llamacpp", "ollama", "vllm"}
NAMED_BY_USERS = LOCAL | {"volcengine"}  # whose models have names that no file knows

every_preset = pytest.mark.parametrize("name", KNOWN)


def _models(preset: Preset) -> list[str]:
    return ["unheard-of", *(name for known in preset.models for name in known.names)]


def test_these_are_the_presets() -> None:
    assert preset_names() == KNOWN


@every_preset
def test_each_file_says_where_and_when_its_facts_were_found(name: str) -> None:
    preset = load_preset(name)
    assert preset.source
    assert all(address.startswith("https://") for address in preset.source)
    assert date(2026, 11, 1) <= preset.read
    for price in filter(None, (known.price for known in preset.models)):
        assert price.source.startswith("https://")
        assert date(2026, 1, 1) <= price.read


@every_preset
def test_each_preset_is_an_address_that_a_key_may_be_sent_to(name: str) -> None:
    preset = load_preset(name)
    for base_url in (preset.base_url, *preset.other_base_urls):
        address = parse_address(endpoint_at(base_url, "secret-key"))
        assert address.url.path.endswith("/chat/completions")
        assert is_loopback(address.url.host) == (name in LOCAL)


@every_preset
def test_what_a_preset_sets_are_settings(name: str) -> None:
    preset = load_preset(name)
    for model in _models(preset):
        LlmSettings(model=model, **preset.settings(model))


@every_preset
def test_servers_of_ones_own_say_how_they_are_started_and_need_no_key(name: str) -> None:
    preset = load_preset(name)
    assert ("{tokens}" in preset.start_command) == (name in LOCAL) == (not preset.needs_key)
    assert bool(preset.start_command) == (name in LOCAL)
    assert bool(preset.suggested_model) == (name not in NAMED_BY_USERS)


def test_parameters_can_be_omitted_that_requests_can_do_without() -> None:
    assert set(get_args(Omittable)) == DROPPABLE


def test_the_first_pattern_that_fits_counts_and_case_does_not_matter() -> None:
    openai = load_preset("openai")
    assert openai.settings("gpt-5.4-pro")["extra_body"] == {}
    assert openai.settings("GPT-5.4")["extra_body"] == {"reasoning_effort": "none"}
    assert openai.settings("gpt-5-mini")["extra_body"] == {"reasoning_effort": "minimal"}
    assert openai.known_model("gpt-5.4-mini").max_output_tokens == 128_000
    assert openai.settings("gpt-4.1") == openai.settings("unheard-of")


@pytest.mark.parametrize("name", ["DeepSeek", "../rules", "deepseek.toml"])
def test_another_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=", ".join(KNOWN)):
        load_preset(name)


def test_without_a_preset_no_facts_are_known() -> None:
    assert load_preset("").known_model("gpt-4.1") == KnownModel()
    assert load_preset("").start_command == ""


def flex(preset: str, base_url: str) -> Endpoint:
    return endpoint_of(LlmSettings(preset=preset, tier="flex", base_url=base_url), {})


def test_the_usual_tier_is_a_field_of_the_request() -> None:
    assert load_preset("openai").find_tier("standard") == load_preset("").find_tier("standard") == Tier()
    for preset in ("", "openai", "gemini", "groq"):
        asked = flex(preset, "https://a.example/v1")
        assert (asked.tier.name, asked.tier.body) == ("flex", {"service_tier": "flex"})
        assert asked.llm.base_url == "https://a.example/v1"


def test_batch_addresses_take_the_place_of_the_ordinary_ones() -> None:
    qwen = flex("qwen", load_preset("qwen").base_url)
    assert qwen.llm.base_url == "https://batch.dashscope.aliyuncs.com/compatible-mode/v1"
    for base_url in (load_preset("volcengine").base_url, *load_preset("volcengine").other_base_urls):
        assert flex("volcengine", base_url).llm.base_url == f"{base_url}/batch"


def test_an_address_without_the_tier_is_told_and_one_of_ones_own_is_taken_as_it_is() -> None:
    with pytest.raises(ConfigError, match=r"dashscope-us\S+ has no tier flex"):
        flex("qwen", load_preset("qwen").other_base_urls[1])
    assert flex("qwen", "http://127.0.0.1:9/v1").llm.base_url == "http://127.0.0.1:9/v1"
