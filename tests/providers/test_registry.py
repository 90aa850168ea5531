"""Kinds of provider: known by name in one place, and opened from plain arguments."""

import asyncio
import subprocess
import sys
from datetime import datetime
from typing import get_args

import pytest

from eventabs.choices import ProviderChoice
from eventabs.providers.openai.endpoint import CallLimits, Endpoint, Sampling
from eventabs.providers.registry import KINDS, ProviderConfig, ProviderName, kind_of, open_provider
from eventabs.providers.rules import shipped_rules
from eventabs.records import Behavior, Category, EventSource, Request, UserLog, Vocabulary

VOCABULARY = Vocabulary((), (Category("conversion", "!"), Category("engagement")))


def config(base_url: str = "https://x.invalid/v1", rules: str = "") -> ProviderConfig:
    return ProviderConfig(
        Endpoint("m", base_url), Sampling(), CallLimits(), rules or shipped_rules(), "en", VOCABULARY, "day"
    )


def request(**users: UserLog) -> Request:
    return Request(({"role": "user", "content": "?"},), users, 10, 10)


def test_the_names_that_settings_may_have_are_those_of_the_kinds() -> None:
    assert set(get_args(ProviderName)) == set(KINDS)
    assert set(get_args(ProviderChoice)) == {"auto", *KINDS}
    assert {kind.event_source for kind in KINDS.values()} == set(get_args(EventSource)) - {
        "must"
    }  # a rule, no provider


@pytest.mark.parametrize(
    ("choice", "model", "preset", "name"),
    [
        ("auto", "", "", "rules"),
        ("auto", "m", "", "openai"),
        ("auto", "", "qwen", "openai"),
        ("rules", "m", "qwen", "rules"),
        ("openai", "", "", "openai"),
    ],
)
def test_a_model_or_a_preset_decides_where_no_kind_is_named(
    choice: str, model: str, preset: str, name: str
) -> None:
    assert kind_of(choice, model=model, preset=preset).name == name


async def test_the_rules_are_opened_without_an_endpoint() -> None:
    log = UserLog(
        "a", (Behavior(start=datetime.fromisoformat("2026-01-01T09:00"), action="visit", item="Cafe"),)
    )
    async with open_provider(
        "rules", config(), closing=asyncio.Event(), on_cooldown=lambda _seconds: None
    ) as complete:
        reply = await complete(request(U1=log), lambda _cause, _wait: None, lambda _characters: None)
    assert reply.text == "## U1\ndining 1\n##"


def test_the_http_stack_is_loaded_only_when_an_endpoint_is_opened() -> None:
    code = (
        "import sys; from eventabs.providers import CallLimits, Endpoint, ProviderConfig, kind_of, open_provider;"
        "kind_of('openai'); print({'httpx', 'aiohttp', 'tenacity'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
