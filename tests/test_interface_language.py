import gettext as standard
import os
import subprocess
import sys

import pytest

from eventabs.interface_language import activate, active, gettext, ngettext, requested


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "en"),
        (["run", "--lang", "zh"], {}, "zh"),
        (["--lang", "zh", "run"], {}, "zh"),
        (["run", "--lang", "en"], {"EVENTABS_LANG": "zh"}, "en"),
        (["run", "--lang=zh"], {"LANG": "en_US.UTF-8"}, "zh"),
        ([], {"EVENTABS_LANG": "zh", "LANG": "en_US.UTF-8"}, "zh"),
        ([], {"EVENTABS_LANG": "auto", "LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "de_DE.UTF-8"}, "en"),
        ([], {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ([], {"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
    ],
)
def test_the_flag_comes_first_then_the_variable_then_the_locale(
    arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    assert requested(arguments, environment) == expected


@pytest.mark.parametrize(
    ("arguments", "environment", "configured", "expected"),
    [
        ([], {}, "zh", "zh"),
        ([], {"LANG": "zh_CN.UTF-8"}, "auto", "zh"),
        ([], {}, "fr", "en"),
        ([], {"EVENTABS_LANG": "en"}, "zh", "en"),
        ([], {"EVENTABS_LANG": "auto"}, "zh", "en"),
        (["--lang", "fr"], {}, "zh", "zh"),
        (["--lang", "auto"], {"EVENTABS_LANG": "zh"}, "zh", "en"),
        (["--lang", "auto"], {"LANG": "zh_CN.UTF-8"}, "en", "zh"),
    ],
)
def test_a_config_comes_after_those_and_before_the_locale(
    arguments: list[str], environment: dict[str, str], configured: str, expected: str
) -> None:
    assert requested(arguments, environment, configured=configured) == expected


@pytest.mark.parametrize("arguments", [["--lang"], ["--lang", "fr"]])
def test_what_names_no_language_is_left_to_the_command_line_to_refuse(arguments: list[str]) -> None:
    assert requested(arguments, {"LANG": "zh_CN.UTF-8"}) == "zh"
    assert requested(arguments, {}) == "en"


def test_messages_follow_the_language_in_force() -> None:
    activate("zh")
    assert (active(), gettext("Options")) == ("zh", "选项")
    activate("en")
    assert (active(), gettext("Options")) == ("en", "Options")


def test_english_tells_one_from_many() -> None:
    activate("en")
    assert ngettext("{count} user", "{count} users", 1) == "1 user"
    assert ngettext("{count} user", "{count} users", 0) == "0 users"


def test_before_anything_is_chosen_messages_are_english() -> None:
    code = "from eventabs.interface_language import LANGUAGES, active; print(active(), sorted(LANGUAGES))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "en ['en', 'zh']\n"


def test_the_process_keeps_its_environment_and_its_own_gettext_domain() -> None:
    before, domain = dict(os.environ), standard.textdomain()
    activate("zh")
    assert (dict(os.environ), standard.textdomain()) == (before, domain)
