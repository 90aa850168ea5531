from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from eventabs.config.settings import Settings
from eventabs.store.settings_fingerprint import (
    binding_facts,
    changes,
    facts_fingerprint,
    flattened,
    host_of,
    public_flags,
    public_settings,
    public_url,
)

ENDPOINT = "https://user:hunter2@api.example.com:8443/v1?key=hunter3#hunter4"
SECRETS = ("hunter2", "hunter3", "hunter4", "hunter5")


def with_settings(values: dict[str, Any]) -> Settings:
    return Settings.model_validate(values)


def bound(
    template: str | None = None, rules: str | None = None, **sections: dict[str, Any]
) -> dict[str, str]:
    return binding_facts(with_settings(sections), template=template, rules=rules, instructions="2")


@pytest.mark.parametrize(
    ("url", "public", "host"),
    [
        (ENDPOINT, "https://api.example.com:8443/v1", "api.example.com:8443"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1", "localhost:8000"),
        ("http://a@b@[::1]:8000/v1", "http://[::1]:8000/v1", "[::1]:8000"),
        ("", "", ""),
        ("http://[", "", ""),
        ("user:hunter2@proxy.example.com:8080", "", ""),
    ],
)
def test_a_url_is_told_without_its_secrets(url: str, public: str, host: str) -> None:
    assert (public_url(url), host_of(url)) == (public, host)


@given(st.text(max_size=40))
def test_no_text_for_a_url_breaks_a_run(url: str) -> None:
    assert "@" not in host_of("http://" + url)
    assert isinstance(public_url(url), str)


def test_stored_settings_hold_no_secret_and_can_be_loaded_again() -> None:
    settings = with_settings(
        {
            "llm": {
                "base_url": ENDPOINT,
                "proxy": ENDPOINT,
                "extra_headers": {"Authorization": "hunter5"},
                "model": "m",
            }
        }
    )
    stored = orjson.dumps(public_settings(settings)).decode()
    assert not [secret for secret in SECRETS if secret in stored]
    again = with_settings(orjson.loads(stored))
    assert again.llm.base_url == "https://api.example.com:8443/v1"
    assert again.llm.model == "m"


def test_stored_flags_hold_no_secret_and_keep_the_rest() -> None:
    flags = {"lang": "zh", "llm": {"base_url": ENDPOINT, "proxy": ENDPOINT, "model": "m"}, "run": {"rpm": 5}}
    public = public_flags(flags)
    stored = orjson.dumps(public).decode()
    assert not [secret for secret in SECRETS if secret in stored]
    assert public["llm"]["model"] == "m"
    assert public["run"] == {"rpm": 5}
    assert flags["llm"]["base_url"] == ENDPOINT, "the flags themselves stay as they are"  # type: ignore[index]


OPENAI = {"model": "m"}

CHANGED: list[tuple[dict[str, Any], str]] = [
    ({"llm": {"model": "other"}}, "llm.model"),
    ({"llm": OPENAI | {"base_url": "https://elsewhere.example/v1"}}, "llm.base_url"),
    ({"llm": OPENAI | {"extra_body": {"top_p": 0.5}}}, "llm.extra_body"),
    ({"llm": OPENAI, "prompt": {"detail": "fine"}}, "prompt.detail"),
    ({"llm": OPENAI, "compaction": {"strip": []}}, "compaction.strip"),
    ({"llm": OPENAI, "budget": {"max_input_tokens": 8_000}}, "budget.max_input_tokens"),
    ({"llm": OPENAI, "vocabulary": {"open": False}}, "vocabulary.open"),
    ({"llm": OPENAI, "input": {"columns": {"user": "uid"}}}, "input.columns.user"),
]


@pytest.mark.parametrize(("values", "key"), CHANGED)
def test_a_setting_that_answers_depend_on_binds(values: dict[str, Any], key: str) -> None:
    before = bound(llm=OPENAI)
    assert key in [changed for changed, _before, _now in changes(before, bound(**values))]
    assert facts_fingerprint(before) != facts_fingerprint(bound(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"run": {"concurrency": 16, "rpm": 60, "tpm": 10_000, "max_cost": 1.0, "limit": 5, "attempts": 2}},
        {
            "llm": OPENAI
            | {"call_timeout": 5.0, "stream": False, "api_key_env": "OTHER", "proxy": "http://p:1"}
        },
        {"llm": OPENAI | {"base_url": "https://user:key@api.openai.com/v1?key=1"}},
        {"lang": "zh"},
    ],
)
def test_how_a_run_is_driven_does_not_bind(values: dict[str, Any]) -> None:
    assert changes(bound(llm=OPENAI), bound(**{"llm": OPENAI} | values)) == []


def test_the_endpoint_does_not_bind_a_run_that_calls_nobody() -> None:
    assert bound(rules="r") == bound(rules="r", llm={"base_url": "https://elsewhere.example/v1"})


def test_files_bind_by_their_content() -> None:
    assert changes(bound(template="a"), bound(template="a")) == []
    assert [key for key, *_ in changes(bound(template="a"), bound(template="b"))] == ["prompt.template"]
    assert [key for key, *_ in changes(bound(template=None), bound(template=""))] == ["prompt.template"]
    assert [key for key, *_ in changes(bound(rules="a"), bound(rules="b"))] == ["rules.file"]
    assert "rules.file" not in bound(llm=OPENAI, rules="a")


def test_changes_come_by_key_with_both_values() -> None:
    assert changes({"b": "1", "a": "1", "same": "x"}, {"b": "2", "c": "3", "same": "x"}) == [
        ("a", "1", ""),
        ("b", "1", "2"),
        ("c", "", "3"),
    ]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_a_fingerprint_does_not_depend_on_the_order_of_facts(facts: dict[str, str]) -> None:
    assert facts_fingerprint(facts) == facts_fingerprint(dict(reversed(facts.items())))


def test_tables_are_flattened_but_for_the_users_own() -> None:
    assert flattened({"a": {"b": {"c": 1}}, "llm": {"extra_body": {"x": 1}}}) == {
        "a.b.c": 1,
        "llm.extra_body": {"x": 1},
    }


def test_the_queries_of_addresses_are_not_stored() -> None:
    whole = {"paths": ["https://example.org/a.csv?sig=s1gned", "b.csv"], "profiles": "s3://shop/u?.csv"}
    settings = Settings.model_validate({"input": whole})
    stored = public_settings(settings)["input"]
    assert stored["paths"] == ["https://example.org/a.csv?...", "b.csv"]
    assert stored["profiles"] == "s3://shop/u?.csv"
    assert public_flags({"input": whole})["input"] == {"profiles": "s3://shop/u?.csv"}
    assert public_flags({"input": {"paths": ["b.csv"]}})["input"] == {"paths": ["b.csv"]}
