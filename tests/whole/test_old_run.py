"""A run directory that an earlier version left is taken up as one of today's."""

import json
import shutil
import sqlite3  # noqa: TID251  the paths that it recorded are moved to where the copy lies
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from house import eventabs, lines
from report_kit import packed_data

BEFORE = Path(__file__).parents[1] / "data" / "run-0.1.0"
USERS = ["u004", "u005", "u008", "u010", "u017"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the folder in which the run was begun."""
    folder = tmp_path / "copy"
    shutil.copytree(BEFORE, folder)
    with closing(sqlite3.connect(folder / "out" / "ledger.sqlite")) as ledger:
        ledger.execute("UPDATE meta SET value = replace(value, '/run-0.1.0', ?)", (str(folder),))
        ledger.commit()
    return folder


def quality(output: str) -> tuple[Any, Any, Any]:
    """Return coverage, events a user-day and what answers held, as JSON has them."""
    shown = json.loads(output)
    counts = shown["event_counts"]
    return counts["coverage"], counts["events_per_user_day"], shown["answers"]["by_batch_users"]


def test_a_run_directory_of_0_1_0_is_looked_at(folder: Path) -> None:
    status = eventabs("status", "out", "--json", cwd=folder)
    assert (status.returncode, json.loads(status.stdout)["success_count"]) == (0, 3), status.stderr
    assert quality(status.stdout) == (None, None, None), "it did not count them"
    listed = eventabs("show", "out", "--json", cwd=folder)
    users = [user["user_id"] for user in json.loads(listed.stdout)["users"]]
    assert len(users) == 3
    one = eventabs("show", "out", users[0], "--raw", cwd=folder)
    assert one.returncode == 0, one.stderr
    assert "## U1" in one.stdout
    report = eventabs("report", "out", cwd=folder)
    assert report.returncode == 0, report.stderr
    page = packed_data((folder / "out" / "report.html").read_text("utf-8"))
    assert page["index"]["users"]["id"] == users
    assert eventabs("export", "out", "--format", "csv", cwd=folder).returncode == 0


def test_a_run_directory_of_0_1_0_is_resumed_with_the_users_that_were_left_out_and_reparsed(
    folder: Path,
) -> None:
    events = folder / "out" / "events.jsonl"
    before = set(events.read_bytes().splitlines())
    resumed = eventabs("resume", "out", "--json", cwd=folder)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["success_count"] == 5
    assert quality(resumed.stdout) == (None, None, None), "of the first users it is not known"
    after = events.read_bytes()
    assert before < set(after.splitlines()), "what was done stands as it was"
    assert sorted({event["user_id"] for event in lines(events)}) == USERS
    with closing(sqlite3.connect(folder / "out" / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT count(*) FROM calls").fetchone() == (2,), "nothing is asked twice"
    reparsed = eventabs("reparse", "out", "--json", cwd=folder)
    assert reparsed.returncode == 0, reparsed.stderr
    coverage, _a_day, answers = quality(reparsed.stdout)
    assert (coverage, sum(row["asked"] for row in answers)) == (1.0, 5)
    assert events.read_bytes() == after


def test_a_change_of_settings_is_seen_in_a_run_directory_of_0_1_0(folder: Path) -> None:
    refused = eventabs("resume", "out", "--max-users", "7", cwd=folder)
    assert refused.returncode == 2
    assert "budget.max_users 30 -> 7" in refused.stderr


def test_a_run_directory_of_0_1_0_is_extended(folder: Path) -> None:
    assert eventabs("resume", "out", cwd=folder).returncode == 0
    before = lines(folder / "out" / "events.jsonl")
    user = before[0]["user_id"]
    row = {
        "user_id": user,
        "timestamp": "2027-01-02 10:00:00",
        "action": "visit",
        "poi": "星巴克",
        "duration": 600,
    }
    (folder / "more.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    done = eventabs("extend", "out", "more.jsonl", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["extension"]["new_behaviors"] == 1
    assert json.loads(done.stdout)["event_counts"]["events_per_user_day"] > 1, (
        "an extension reads all logs of before"
    )
    (change,) = lines(folder / "out" / "events.new.jsonl")
    assert (change["change"], change["user_id"], change["start"]) == ("added", user, "2027-01-02T10:00:00")
    assert len(lines(folder / "out" / "events.jsonl")) == len(before) + 1
