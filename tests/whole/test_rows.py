"""Every row of a user that is done is accounted for once, whatever the model answered, and all that shows events agrees."""

import csv
import json
import sqlite3  # noqa: TID251  spoils what only store writes
from collections import defaultdict
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from house import eventabs, lines, ran, write_users
from paths import ROOT
from simulated_model import Options, Speed, parse_failures
from simulator import Simulator

FAILURES = "empty=0.05,malformed=0.5,cut=0.1,think=0.5,lost=0.1"
SETTINGS: dict[str, dict[str, str]] = {
    "lines": {},
    "dense": {"EVENTABS_COMPACTION__LEVEL": "dense"},
    "schema": {"EVENTABS_PROMPT__ANSWER": "schema"},
    "fine": {"EVENTABS_PROMPT__DETAIL": "fine"},
    "journeys": {"EVENTABS_PROMPT__DETAIL": "journeys"},
}


def by_user(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group rows by user; each user's stand together."""
    return {user_id: list(theirs) for user_id, theirs in groupby(rows, lambda row: row["user_id"])}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(each, id=name, marks=[] if name in ("lines", "journeys") else pytest.mark.slow)
        for name, each in SETTINGS.items()
    ],
)
def test_every_row_is_in_an_event_minor_unplaced_or_unasked_and_all_views_agree(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    with Simulator(Options(Speed(0.0, 0.0, 0.0), parse_failures(FAILURES))) as model:
        flags = ("--model", "m", "--base-url", model.base_url, "--max-users", 4, "--out", "out", "--json")
        done = eventabs(
            "run", ROOT / "examples" / "behaviors.jsonl", *flags, cwd=tmp_path, stdin=None, **settings
        )
        assert sum(model.counts.values()) > model.counts["well"] > 0, "some answers are bad"
    summary = json.loads(done.stdout)
    failed = {row["user_id"] for row in lines(tmp_path / "out" / "failures.jsonl")}
    assert (summary["status"], summary["pending"], summary["failed_count"]) == ("completed", 0, len(failed))
    assert done.returncode == (3 if failed else 0), done.stderr
    events = by_user(lines(tmp_path / "out" / "events.jsonl"))
    journeys = by_user(lines(tmp_path / "out" / "journeys.jsonl"))
    assert not failed & {*events, *journeys}
    assert eventabs("export", "out", "--rows", cwd=tmp_path).returncode == 0
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8", newline="") as file:
        exported = by_user(list(csv.DictReader(file)))
    users = {
        user["user_id"]
        for user in json.loads(eventabs("show", "out", "--json", cwd=tmp_path).stdout)["users"]
    }
    assert (len(users), users - failed) == (24, set(exported))
    became = defaultdict[str, int](int)
    for user_id, rows in exported.items():
        shown = json.loads(eventabs("show", "out", user_id, "--json", cwd=tmp_path).stdout)
        theirs = events.get(user_id, [])
        assert (shown["events"], shown["journeys"]) == (theirs, journeys.get(user_id, []))
        found = [
            (row, "placed", event["id"], event["journey"] or "")
            for event in theirs
            for row in event["behaviors"]
        ]
        found += [(row, name, "", "") for name in ("minor", "unplaced", "unasked") for row in shown[name]]
        assert sorted(found) == [
            (row, exported_row["became"], exported_row["event"], exported_row["journey"])
            for row, exported_row in enumerate(rows)
        ]
        assert [int(row["behavior"]) for row in rows] == list(range(shown["behaviors"]))
        for journey in shown["journeys"]:
            own = [event for event in theirs if event["journey"] == journey["id"]]
            assert journey["events"] == [event["id"] for event in own]
            assert journey["behaviors"] == sorted(row for event in own for row in event["behaviors"])
        for _row, name, *_ids in found:
            became[name] += 1
    counts = summary["event_counts"]
    names = ("placed", "minor", "unplaced", "unasked")
    assert [counts[f"behaviors_{name}"] for name in names] == [became[name] for name in names]
    assert (summary["events"], summary["journeys"]) == (
        sum(map(len, events.values())),
        sum(map(len, journeys.values())),
    )
    assert summary["journeys"] > 0


def test_a_ledger_of_an_earlier_format_is_refused_in_one_line_and_stays_as_it_is(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=2)
    (tmp_path / "labels.csv").write_text(
        "user,start,end,label\nuser_0000,2026-01-01 09:15,2026-01-01 09:35,x\n"
    )
    ran("run", "input.jsonl", "--provider", "rules", "--out", "old", cwd=tmp_path)
    with closing(sqlite3.connect(tmp_path / "old" / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.execute("PRAGMA user_version = 3")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    commands = (
        *("resume old", "status old", "show old", "show old user_0000", "report old", "reparse old"),
        *("export old", "evaluate old --gold labels.csv", "audit old", "review old", "diff old old"),
        *("merge old --out merged", "run input.jsonl --provider rules --out old"),
    )
    for line in commands:
        refused = eventabs(*line.split(), cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (2, ""), line
        (said,) = refused.stderr.splitlines()
        assert "another version of eventabs (format 3, this one reads 4); begin anew " in said, line
        assert {name: (tmp_path / "old" / name).read_bytes() for name in before} == before, line
