"""Help pages and usage errors are in one language."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from house import environment, eventabs

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
WIDTHS = (80, 120, 200)
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

# the language is settled when the command line is loaded, so each has a process, which shows all pages in turn
SHOW_PAGES = """
import os, sys
from eventabs.cli.help import choose_language
choose_language()
from eventabs.cli.main import app
for columns in sys.argv[1].split():
    os.environ["COLUMNS"] = columns
    for command in sys.argv[2].split(","):
        app([*command.split(), "-h"], standalone_mode=False)
        print("\\f")
"""


@cache
def all_help_pages(language: str) -> list[str]:
    commands = ",".join(" ".join(command) for command in COMMANDS)
    done = subprocess.run(
        [sys.executable, "-c", SHOW_PAGES, " ".join(map(str, WIDTHS)), commands],
        env=environment(Path(), EVENTABS_LANG=language),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split("\f\n")[:-1]


def help_pages(language: str, columns: int) -> list[str]:
    """Return the help page of each command at a width."""
    at = WIDTHS.index(columns) * len(COMMANDS)
    return all_help_pages(language)[at : at + len(COMMANDS)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_help_page_has_no_sentence_in_the_other_language(language: str) -> None:
    other = ENGLISH if language == "zh" else CHINESE
    for command, page in zip(COMMANDS, help_pages(language, 200), strict=True):
        assert len(page) > 200
        assert not other.search(page), (command, other.search(page))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("columns", [80, 120])
def test_a_help_page_cuts_nothing_away_and_shows_no_value_for_a_flag(language: str, columns: int) -> None:
    for page in help_pages(language, columns):
        assert "…" not in page
        assert "<bool>" not in page


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
