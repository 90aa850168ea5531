"""Help pages and usage errors are in one language."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from house import eventabs

COMMANDS = (
    (),
    ("run",),
    ("resume",),
    ("reparse",),
    ("estimate",),
    ("status",),
    ("show",),
    ("export",),
    ("report",),
    ("init",),
    ("check",),
    ("evaluate",),
    ("diff",),
    ("review",),
)
ENGLISH = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}|Usage|Error|Invalid|Missing|No such")
CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
ERRORS = {
    ("frobnicate",): ("frobnicate", "frobnicate"),
    ("run", "--detail", "huge"): ("it takes <brief|day|fine>", "应为 <brief|day|fine>"),
    ("run", "--rpm", "x"): ("--rpm", "--rpm"),
    ("run", "--no-such-flag"): ("no such option: --no-such-flag", "没有这个选项：--no-such-flag"),
    ("run", "--confg", "x"): ("perhaps", "--config"),
    ("run", "--config"): ("--config needs a value", "--config 需要一个值"),
    ("run", "--quiet=3"): ("--quiet takes no value", "--quiet 不带值"),
    ("run", "a", "--quiet", "true"): ("--quiet takes no value", "--quiet 不带值"),
    ("run", "a", "--concurrency", "0"): ("--concurrency: it must be", "--concurrency：必须大于 0"),
    ("resume",): ("'CHECKPOINT' is missing", "缺少 'CHECKPOINT'"),
    ("reparse", "a", "b"): ("too many arguments: b", "参数太多：b"),
    ("show", "a", "--limit", "0"): ("--limit", "--limit"),
    ("run", "a", "--limit", "0"): ("a number of at least 1", "不小于 1 的数"),
    ("--lang",): ("--lang needs a value", "--lang 需要一个值"),
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_help_page_has_no_sentence_in_the_other_language(tmp_path: Path, language: str) -> None:
    other = ENGLISH if language == "zh" else CHINESE
    for command in COMMANDS:
        done = eventabs("--lang", language, *command, "--help", cwd=tmp_path, EVENTABS_LANG="", COLUMNS="200")
        assert done.returncode == 0
        assert len(done.stdout) > 200
        assert not other.search(done.stdout), (command, other.search(done.stdout))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_help_page_cuts_nothing_away_and_shows_no_value_for_a_flag(
    tmp_path: Path, language: str, columns: str
) -> None:
    for command in COMMANDS:
        done = eventabs("--lang", language, *command, "-h", cwd=tmp_path, EVENTABS_LANG="", COLUMNS=columns)
        assert done.returncode == 0
        assert "…" not in done.stdout
        assert "<bool>" not in done.stdout


@pytest.mark.parametrize("arguments", ERRORS)
def test_a_usage_error_is_one_line_in_the_language_asked_for(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for language, said in zip(("en", "zh"), ERRORS[arguments], strict=True):
        done = eventabs(*arguments, cwd=tmp_path, EVENTABS_LANG=language)
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("eventabs: ")
        assert said in line
        assert not (ENGLISH if language == "zh" else CHINESE).search(line.replace("python -m eventabs", ""))


def test_without_arguments_the_help_is_shown(tmp_path: Path) -> None:
    done = eventabs(cwd=tmp_path)
    assert done.returncode == 0
    assert "estimate" in done.stdout


def test_the_command_line_starts_without_what_only_a_run_needs() -> None:
    loading = "from eventabs.cli.help import choose_language; choose_language(); import eventabs.cli.main, sys; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", loading], check=True, capture_output=True, text=True).stdout
    loaded = set(said.split())
    assert "eventabs.cli.commands" in loaded
    assert not loaded & {"pydantic", "httpx", "aiohttp", "tenacity", "duckdb", "tiktoken", "sqlite3"}
