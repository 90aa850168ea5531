"""Help pages are in one language and whole. What they and usage errors say is in tests/data/pinned."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from eventabs.cli.commands import SET_BY_FLAGS, flag_name
from eventabs.cli.help_and_usage_errors import Command
from house import ran
from paths import ROOT

PINNED = ROOT / "tests" / "data" / "pinned"
ENGLISH = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}|Usage|Error|Invalid|Missing|No such")
CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_help_page_has_no_sentence_in_the_other_language(language: str) -> None:
    other = ENGLISH if language == "zh" else CHINESE
    for page in (PINNED / language / "help").iterdir():
        _command, _, shown = page.read_text("utf-8").partition("\n")
        assert not other.search(shown), page.name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_usage_error_is_one_line_in_the_language_asked_for(language: str) -> None:
    pinned = (PINNED / language / "errors.txt").read_text("utf-8")
    lines = re.findall(r"^(eventabs: .*;.* --help|eventabs: .*；.* --help)$", pinned, re.MULTILINE)
    assert len(lines) >= 8
    told = [line for line in lines if "--lang'" not in line]  # it names a language that there is not
    other = ENGLISH if language == "zh" else CHINESE
    assert [line for line in told if other.search(line)] == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("command", ["run", "calibrate", "review"])
def test_a_narrow_help_page_cuts_nothing_away_and_shows_no_value_for_a_flag(
    tmp_path: Path, language: str, command: str
) -> None:
    done = ran("--lang", language, command, "-h", cwd=tmp_path, EVENTABS_LANG="", COLUMNS="80")
    assert "…" not in done.stdout
    assert "<bool>" not in done.stdout


@pytest.mark.parametrize("command", ["run", "audit", "columns", "check", "resume"])
def test_a_help_page_explains_the_options_of_its_command_and_names_the_others(command: str) -> None:
    page = (PINNED / "en" / "help" / f"{command}.txt").read_text("utf-8")
    explained, _, named = page.partition("Settings of the config file that are options too:")
    assert {*map(flag_name, SET_BY_FLAGS)} <= {*page.split()}
    assert len(re.findall("^│ --", explained, re.MULTILINE)) < 25
    assert "--ray-address" in named


def test_what_stands_in_brackets_stays_in_a_help_text() -> None:
    small = typer.Typer()
    small.command(cls=Command, help="Set [llm] price.")(lambda: None)
    assert "Set [llm] price." in CliRunner().invoke(small, ["--help"]).output


def test_without_arguments_the_help_is_shown(tmp_path: Path) -> None:
    done = ran(cwd=tmp_path)
    assert "estimate" in done.stdout


def test_a_command_line_without_docstrings_shows_no_word_for_them() -> None:
    command = [sys.executable, "-B", "-OO", "-m", "eventabs", "--help"]
    assert "None" not in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_command_line_starts_without_what_only_a_run_needs() -> None:
    loading = "from eventabs.cli.help_and_usage_errors import choose_language; choose_language(); import eventabs.cli.commands, sys; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", loading], check=True, capture_output=True, text=True).stdout
    loaded = set(said.split())
    assert "eventabs.cli.commands" in loaded
    assert not loaded & {"pydantic", "httpx", "aiohttp", "tenacity", "duckdb", "tiktoken", "sqlite3"}
