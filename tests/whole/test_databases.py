"""Databases piped in, as the cookbook says."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from docs_kit import blocks_of, command_lines
from house import command, environment
from input_files import opened
from postgresql import FOLDERS, postgresql

COOKBOOK = Path("docs/cookbook.md")
QUOTE = "'"
TEXTS = ("帐篷", 'a "quoted" one', "comma, tab\tand\nnewline", r"back\slash \N", "'single'", "  blanks  ")


def recipe(client: str) -> str:
    """Return the cookbook's command for a database, as one line."""
    lines = [line for block in blocks_of(COOKBOOK, "sh") for line in command_lines(block.text)]
    (line,) = (line for line in lines if line.startswith(f"{client} "))
    return line


def piped(line: str, cwd: Path) -> list[str]:
    """Run a shell line, with our `eventabs`; return what the behaviors that it kept are about, in order of time."""
    shell = line.replace("| eventabs ", f"| {shlex.join(command([]))} ")
    done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], cwd=cwd, env=environment(cwd), check=False)
    assert done.returncode == 0
    (kept,) = (cwd / "stdin.eventabs").glob("stdin.*")
    with opened(cwd, kept) as export:
        return [behavior.item for log in export.user_logs() for behavior in log.behaviors]


@pytest.mark.skipif(not FOLDERS, reason="PostgreSQL is not installed")
def test_rows_piped_out_of_postgresql_arrive_as_they_are(tmp_path: Path) -> None:
    rows = [
        f"('u1', '2026-01-15 09:00:07.{n}', '{text.replace(QUOTE, QUOTE * 2)}')"
        for n, text in enumerate(TEXTS)
    ]
    made = "CREATE TABLE events (user_id text, created_at timestamp, item text)"
    with postgresql() as psql:
        subprocess.run([*psql, "-c", made, "-c", f"INSERT INTO events VALUES {', '.join(rows)}"], check=True)
        found = piped(recipe("psql").replace("psql", shlex.join(psql), 1), tmp_path)
    assert found == [text.strip() for text in TEXTS]


@pytest.mark.parametrize("client", ["clickhouse-client", "mysql"])
def test_rows_as_other_databases_write_them_arrive_as_they_are(tmp_path: Path, client: str) -> None:
    lines = [
        json.dumps(
            {"user_id": "u1", "created_at": f"2026-01-15 09:00:07.{n}00000", "item": text}, ensure_ascii=False
        )
        for n, text in enumerate(TEXTS)
    ]
    (tmp_path / "rows").write_text("\n".join(lines) + "\n", "utf-8")
    _query, bar, rest = recipe(client).partition("| eventabs ")
    assert piped(f"cat rows {bar}{rest}", tmp_path) == [text.strip() for text in TEXTS]
