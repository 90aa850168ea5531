"""The files that every peer's script reads and writes, and its command line; the standard library is enough."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Task(NamedTuple):
    """What a script is told: `python SCRIPT PROMPTS ANSWERS BASE_URL CALLS SECONDS`.

    `calls`: at a time; `seconds`: that a call may take. A prompt has `id`, `system` and `user`.
    """

    prompts: list[dict[str, str]]
    answers: Path
    base_url: str
    calls: int
    seconds: float

    def write(self, texts: Iterable[tuple[str, str | None]]) -> None:
        """Write the answers: pairs of a prompt's id and a text, None where there is none."""
        lines = (json.dumps({"id": prompt, "text": text or ""}) + "\n" for prompt, text in texts)
        self.answers.write_text("".join(lines), "utf-8")


def read_task() -> Task:
    """Read the command line and the file of prompts."""
    prompts, answers, base_url, calls, seconds = sys.argv[1:]
    asked = [json.loads(line) for line in Path(prompts).read_text("utf-8").splitlines()]
    return Task(asked, Path(answers), base_url, int(calls), float(seconds))
