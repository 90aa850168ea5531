"""Databases piped in, as the cookbook says, and events put into one, as docs/exports.md says."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from docs_kit import blocks_of, command_lines
from eventabs.shared_records import as_row
from exports_kit import make_event, make_journey
from house import command, environment
from input_files import opened
from postgresql import FOLDERS, postgresql

COOKBOOK = Path("docs/cookbook.md")
EXPORTS = Path("docs/exports.md")
QUOTE = "'"
TEXTS = ("帐篷", 'a "quoted" one', "comma, tab\tand\nnewline", r"back\slash \N", "'single'", "  blanks  ")


def recipe(client: str, page: Path = COOKBOOK) -> str:
    """Return a page's command for a database, as one line."""
    lines = [line for block in blocks_of(page, "sh") for line in command_lines(block.text)]
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


@pytest.mark.slow
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


def event(user: str, text: str, *behaviors: int) -> dict[str, object]:
    """Return an event as events.jsonl has it."""
    made = make_event(user, "2026-01-15T09:00:07", "2026-01-15T10:00:00+08:00", behaviors or (0,), type=text)
    in_journey = f"{user}/j0" if behaviors else None
    return as_row(made) | {"summary": text, "behaviors": behaviors, "journey": in_journey}


def journey(user: str, *events: str) -> dict[str, object]:
    """Return a journey as journeys.jsonl has it."""
    types = ["搜索", 'a "quoted" one']
    made = make_journey(user, [make_event(user, "2026-01-15T09:00:07")], name="'帐篷'")
    return as_row(made) | {"types": types, "events": events, "behaviors": [0, 2]}


@pytest.mark.slow
@pytest.mark.skipif(not FOLDERS, reason="PostgreSQL is not installed")
def test_events_in_postgresql_are_replaced_user_by_user_or_not_at_all(tmp_path: Path) -> None:
    (load,) = blocks_of(EXPORTS, "sample")
    (tmp_path / load.title).write_text(load.text, "utf-8")
    file = tmp_path / "demo" / "events.jsonl"
    file.parent.mkdir()
    query = "SELECT json_agg(events ORDER BY user_id, behaviors) FROM events"
    journeys = "SELECT json_agg(journeys ORDER BY user_id) FROM journeys"
    with postgresql() as psql:
        line = recipe("psql", EXPORTS).replace('psql "$DATABASE_URL"', shlex.join(psql))

        def stored(*events: dict[str, object], tail: str = "") -> tuple[bool, list[dict[str, object]]]:
            lines = (json.dumps(event, ensure_ascii=False) + "\n" for event in events)
            file.write_text("".join(lines) + tail, "utf-8")
            users = dict.fromkeys(str(event["user_id"]) for event in events)
            made = (json.dumps(journey(user, f"{user}/0", f"{user}/2")) + "\n" for user in users)
            file.with_name("journeys.jsonl").write_text("".join(made), "utf-8")
            done = subprocess.run(["bash", "-c", line], cwd=tmp_path, check=False, capture_output=True)
            found = subprocess.run([*psql, "-Atc", query], check=True, capture_output=True).stdout
            return done.returncode == 0, json.loads(found)

        first = [event("anna", text, number) for number, text in enumerate(TEXTS)]
        ok, rows = stored(*first, event("bert", "看车"))
        assert ok
        assert [row["summary"] for row in rows] == [*TEXTS, "看车"]
        assert rows[-1] == event("bert", "看车") | {"end": "2026-01-15T10:00:00", "behaviors": []}
        assert [row["behaviors"] for row in rows[:2]] == [[0], [1]]

        ok, rows = stored(event("anna", "用餐", 1, 2), event("carl", "购买", 0))
        assert ok
        assert [(row["user_id"], row["type"]) for row in rows] == [
            ("anna", "用餐"), ("bert", "看车"), ("carl", "购买")
        ]  # fmt: skip

        found = json.loads(subprocess.run([*psql, "-Atc", journeys], check=True, capture_output=True).stdout)
        assert [row["user_id"] for row in found] == ["anna", "bert", "carl"]
        assert found[0] == journey("anna", "anna/0", "anna/2") | {"events": ["anna/0", "anna/2"]}

        ok, after = stored(event("bert", "社交"), tail='{"user_id": "anna", "sta')
        assert not ok
        assert after == rows


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
