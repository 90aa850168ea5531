"""The pages of the documentation, taken apart: their text, fenced blocks and commands."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from paths import ROOT

PAGES = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))

FENCE = re.compile(
    r"^```(?P<language>[\w{}-]*)(?: (?P<title>[^\n]*))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_ASSIGNED = re.compile(r"[A-Z_]+=")


class Block(NamedTuple):
    """A fenced block. `title`: what stands behind its language, such as a file's name."""

    language: str
    text: str
    title: str


def text_of(page: Path) -> str:
    """Return a page."""
    return (ROOT / page).read_text("utf-8")


def blocks_of(page: Path, *languages: str) -> list[Block]:
    """Return the fenced blocks of a page, all or those in some languages."""
    found = [
        Block(match["language"], match["text"], match["title"] or "")
        for match in FENCE.finditer(text_of(page))
    ]
    return [block for block in found if not languages or block.language in languages]


def block_of(page: Path, language: str) -> str:
    """Return the only block in a language."""
    (block,) = blocks_of(page, language)
    return block.text.rstrip("\n")


def command_lines(text: str) -> list[str]:
    """Return the lines of a shell block without comments; a line that ends in a backslash goes on."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def commands_of(page: Path) -> list[list[str]]:
    """Return the commands of a page's shell blocks as words, also those behind a pipe, without assignments."""
    lines = [line for block in blocks_of(page, "sh") for line in command_lines(block.text)]
    parts = [shlex.split(part, comments=True) for line in lines for part in line.split(" | ")]
    return [without_assignments(words) for words in parts if words]


def without_assignments(words: list[str]) -> list[str]:
    """Return a command without the variables that are set for it alone."""
    first = next((place for place, word in enumerate(words) if not _ASSIGNED.match(word)), len(words))
    return words[first:]
