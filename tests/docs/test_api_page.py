"""docs/api.md, executed: its blocks run in order in one folder, and print what the page shows."""

import ast
import asyncio
import contextlib
import inspect
import io
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import eventabs
from docs_kit import Block, blocks_of, text_of
from paths import ROOT

PAGE = Path("docs/api.md")
END = Block("", "", "")


def execute(text: str, names: dict[str, Any]) -> str:
    """Run a block as a notebook does, in which `await` may stand at the top; return what it prints."""
    code = compile(text, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = eval(code, names)  # noqa: S307  the page's own code
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return printed.getvalue()


def test_the_blocks_print_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    names: dict[str, Any] = {}
    for block, following in pairwise([*blocks_of(PAGE), END]):
        if block.language == "python":
            shown = following.text if following.language == "text" else ""
            assert execute(block.text, names) == shown, block.text
    assert names["notebook"].status == names["run"].status == "completed"


def test_every_public_name_is_on_the_page() -> None:
    named = set(re.findall(r"\w+", text_of(PAGE)))
    assert [name for name in dir(eventabs) if not name.startswith("_") and name not in named] == []


def test_the_parameters_on_the_page_are_those_of_the_functions() -> None:
    for name, listed in re.findall(r"^\| `(\w+)\((.*?)\)`", text_of(PAGE), re.MULTILINE):
        parameters = inspect.signature(getattr(eventabs, name)).parameters
        assert {part.strip(" =.") for part in listed.split(",")} - {""} <= set(parameters), name
