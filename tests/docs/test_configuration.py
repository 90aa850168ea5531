"""docs/configuration.md is made from the settings; nothing is missing in it and nothing stale."""

from collections.abc import Iterator
from typing import Any

import pytest

from configuration_page import CHINESE, ENGLISH, Page, Setting, content, meanings, settings
from eventabs.cli.commands import SET_BY_FLAGS
from eventabs.config import explained_settings
from eventabs.config.settings import Settings, load_settings

VALUES = {"string": "deepseek", "boolean": "true", "integer": "2", "number": "0.25"}
OF_ONE_FORM = {"input.shard": "3/16", "extend.lateness": "3 weeks"}

pages = pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["en", "zh"])


def kind_of(setting: Setting) -> dict[str, Any]:
    """Return the type that a setting has where it has a value."""
    (kind,) = [kind for kind in setting.schema.get("anyOf", [setting.schema]) if kind["type"] != "null"]
    return dict(kind)


def plain_settings() -> Iterator[Setting]:
    """Yield settings that take any text, number or truth."""
    for setting in settings():
        kind = kind_of(setting)
        if kind["type"] in VALUES and "enum" not in kind:
            yield setting


@pages
def test_the_page_is_what_the_settings_say(page: Page) -> None:
    assert content(page) == page.path.read_text("utf-8"), "run: make docs"
    example = page.example.read_text("utf-8")
    assert explained_settings(page.language, all_of_them=False) == example, "run: make docs"


@pages
def test_the_example_has_the_settings_that_most_people_change(page: Page) -> None:
    named = meanings(page.example.read_text("utf-8"))
    assert 30 < sum(setting.name in named for setting in settings(page)) < 40


@pages
def test_every_setting_says_what_it_is_for(page: Page) -> None:
    assert [setting.name for setting in settings(page) if not setting.meaning] == []


def test_every_flag_that_sets_something_stands_with_its_setting() -> None:
    names = {setting.name for setting in settings()}
    assert [flag for flag, where in SET_BY_FLAGS.items() if ".".join(where) not in names] == []
    page = content(ENGLISH)
    for flag in SET_BY_FLAGS:
        assert f"<br>`--{flag.replace('_', '-')}` |" in page, flag


@pytest.mark.parametrize("setting", list(plain_settings()), ids=lambda setting: setting.name)
def test_the_variable_of_a_setting_sets_it(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    text = OF_ONE_FORM.get(setting.name, VALUES[kind_of(setting)["type"]])
    monkeypatch.setenv(setting.variable, text)
    value: object = load_settings(None, {})
    for step in setting.name.split("."):
        value = getattr(value, step)
    assert str(value).lower() == text


def test_a_comment_goes_on_below_its_setting_or_stands_above_it() -> None:
    assert meanings(
        "# A file.\n\n# What to read.\n[input]\na = 1   # first\n        # and more\n#b = 2 # second\n\n# above\nc = [\n]\n"
    ) == {"input": "What to read.", "input.a": "first and more", "input.b": "second", "input.c": "above"}


def test_the_defaults_are_those_in_force() -> None:
    (concurrency,) = [setting for setting in settings() if setting.name == "run.concurrency"]
    assert concurrency.schema["default"] == Settings().run.concurrency
