"""The layers of settings: what is named wins over a preset, a preset over the defaults, and a run keeps its own."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from eventabs.config.settings import overlay, with_preset
from eventabs.errors_and_exit_codes import ConfigError

tables = st.recursive(
    st.integers(0, 9), lambda leaves: st.dictionaries(st.sampled_from("abc"), leaves), max_leaves=12
).filter(lambda value: isinstance(value, dict))


@given(below=tables, above=tables)
def test_what_lies_above_wins_and_what_it_does_not_name_stays(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    merged = overlay(below, above)
    assert merged.keys() == below.keys() | above.keys()
    for key, value in merged.items():
        lower, upper = below.get(key), above.get(key)
        if isinstance(lower, dict) and isinstance(upper, dict):
            assert value == overlay(lower, upper)
        else:
            assert value == (lower if upper is None else upper)


DEEPSEEK = {"preset": "deepseek", "model": "deepseek-flash"}


def _llm(values: dict[str, Any]) -> dict[str, Any]:
    llm: dict[str, Any] = values["llm"]
    return llm


def test_what_is_named_wins_over_the_preset_and_the_rest_of_it_stays() -> None:
    named = {**DEEPSEEK, "base_url": "https://proxy.example/v1", "omit": []}
    llm = _llm(with_preset({"llm": named, "run": {"rpm": 5}}))
    assert llm["base_url"] == "https://proxy.example/v1"
    assert llm["omit"] == []
    assert llm["api_key_env"] == "DEEPSEEK_API_KEY"
    assert llm["extra_body"] == {"thinking": {"type": "disabled"}}


def test_extra_fields_win_name_by_name() -> None:
    own = {"thinking": {"type": "enabled"}, "top_p": 0.9}
    assert _llm(with_preset({"llm": {**DEEPSEEK, "extra_body": own}}))["extra_body"] == own


def test_a_preset_chooses_no_model() -> None:
    assert "model" not in _llm(with_preset({"llm": {"preset": "deepseek"}}))


@pytest.mark.parametrize("llm", [3, {"preset": 3}, {"preset": ""}])
def test_what_is_no_preset_is_left_for_validation_to_tell(llm: object) -> None:
    assert with_preset({"llm": llm}) == {"llm": llm}


def test_an_unknown_preset_is_one_line_that_lists_those_known() -> None:
    with pytest.raises(
        ConfigError, match=r"no preset depseek; .*deepseek, gemini, glm, groq, llamacpp"
    ) as caught:
        with_preset({"llm": {"preset": "depseek"}})
    assert "\n" not in str(caught.value)


def test_a_run_keeps_what_its_preset_was_when_it_began() -> None:
    stored = {"llm": {**DEEPSEEK, "base_url": "https://old.example", "omit": ["seed"]}}
    assert with_preset({"llm": DEEPSEEK}, stored) == stored


def test_another_preset_or_model_takes_away_what_the_one_before_has_set() -> None:
    stored = with_preset({"llm": {**DEEPSEEK, "temperature": 0.5}})
    qwen = _llm(with_preset({"llm": {"preset": "qwen", "model": "qwen-plus"}}, stored))
    assert qwen["extra_body"] == {"enable_thinking": False}
    assert "dashscope" in qwen["base_url"]
    assert qwen["temperature"] == 0.5
    kimi = with_preset({"llm": {"preset": "moonshot", "model": "kimi-k2.6"}})
    assert _llm(with_preset({"llm": {"model": "kimi-k3"}}, kimi))["extra_body"] == {"reasoning_effort": "low"}


def test_without_presets_another_model_changes_nothing_else() -> None:
    stored = {"llm": {"model": "a", "base_url": "https://old.example"}}
    assert _llm(with_preset({"llm": {"model": "b"}}, stored)) == {
        "model": "b",
        "base_url": "https://old.example",
    }


MINI = {"preset": "openai", "model": "gpt-5.4-mini"}


def test_a_price_comes_from_the_preset_with_the_factors_of_its_tiers() -> None:
    price = _llm(with_preset({"llm": MINI}))["price"]
    assert price["input"] > price["cached_input"] > 0
    assert (price["flex"], price["batch"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    "own",
    [
        {"price": {"input": 5.0, "output": 9.0}},
        {"price": {"currency": "CNY"}},
        {"base_url": "https://reseller.example/v1"},
    ],
)
def test_amounts_of_a_preset_stand_beside_no_others_and_hold_at_no_other_address(own: dict[str, Any]) -> None:
    price = _llm(with_preset({"llm": {**MINI, **own}}))["price"]
    assert price == {"flex": 0.5, "batch": 0.5, **own.get("price", {})}


def test_a_tier_raises_the_limits_of_time_that_nobody_has_set() -> None:
    llm = _llm(with_preset({"llm": {**MINI, "tier": "flex", "call_timeout": 5_000.0}}))
    assert (llm["idle_timeout"], llm["call_timeout"]) == (900.0, 5_000.0)
    assert _llm(with_preset({"llm": {"model": "m", "tier": "flex"}}))["idle_timeout"] == 900.0
    batch_chat = _llm(with_preset({"llm": {"preset": "qwen", "model": "qwen-plus", "tier": "flex"}}))
    assert (batch_chat["idle_timeout"], batch_chat["stream"]) == (3_600.0, False)


def test_another_tier_on_resume_changes_limits_of_time_and_nothing_else() -> None:
    stored = with_preset({"llm": {**MINI, "temperature": 0.5, "idle_timeout": 120.0}})
    flex = with_preset({"llm": {"tier": "flex"}}, stored)
    limits = {"tier": "flex", "idle_timeout": 900.0, "call_timeout": 900.0}
    assert _llm(flex) == {**_llm(stored), **limits}
    back = _llm(with_preset({"llm": {"tier": "standard", "idle_timeout": 60.0}}, flex))
    assert back == {**_llm(stored), "tier": "standard", "idle_timeout": 60.0}


def test_a_preset_without_the_tier_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^deepseek has no tier flex .*--tier standard$"):
        with_preset({"llm": {**DEEPSEEK, "tier": "flex"}})
