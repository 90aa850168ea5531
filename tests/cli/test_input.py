"""What the command line does about rows that cannot be read, and how events are handed out."""

import csv
import json
import sqlite3  # noqa: TID251  as any other program reads it
from pathlib import Path

import duckdb
import pytest
from python_calamine import load_workbook

from eventabs.records import Part
from exports_kit import make_event, make_run, open_run
from house import eventabs, ran, write_users
from runs_kit import SIZE, make_log


@pytest.fixture
def with_a_bad_row(tmp_path: Path) -> Path:
    path = write_users(tmp_path / "input.jsonl", users=2)
    with path.open("a", encoding="utf-8") as file:
        file.write("not [bold]json\n")
    return path


def test_strict_names_the_first_row_that_cannot_be_read_and_leaves_nothing(with_a_bad_row: Path) -> None:
    folder = with_a_bad_row.parent
    for command in ("run", "estimate"):
        done = eventabs(command, "input.jsonl", "--strict", "--provider", "rules", cwd=folder)
        assert done.returncode == 2
        assert "line 25" in done.stderr
        assert "not [bold]json" in done.stderr
        assert "without --strict" in done.stderr
    assert not (folder / "input.eventabs").exists()


@pytest.mark.parametrize(("share", "code"), [("0.03", 2), ("0.04", 0)])
def test_max_rejects_is_the_share_of_rows_that_may_be_unreadable(
    with_a_bad_row: Path, share: str, code: int
) -> None:
    done = eventabs("estimate", "input.jsonl", "--max-rejects", share, "--json", cwd=with_a_bad_row.parent)
    assert done.returncode == code, done.stderr
    if code:
        assert "1 of 25 rows" in done.stderr
        assert "--max-rejects" in done.stderr
    else:
        assert json.loads(done.stdout)["rejected_rows"] == 1


def test_events_are_handed_out_in_every_format_as_they_are(tmp_path: Path) -> None:
    write_users(tmp_path / "input.jsonl", users=3)
    assert eventabs("run", "input.jsonl", "--provider", "rules", cwd=tmp_path).returncode == 0
    lines = (tmp_path / "input.eventabs" / "events.jsonl").read_text("utf-8").splitlines()
    expected = [(event["user_id"], event["start"], event["type"]) for event in map(json.loads, lines)]
    for form in ("csv", "parquet", "sqlite", "xlsx"):
        done = ran("export", "input.eventabs", "--output", f"out.{form}", cwd=tmp_path)
        assert done.stdout.splitlines() == [
            f"out.{form}", *([f"out.journeys.{form}"] if form in ("csv", "parquet") else [])
        ]  # fmt: skip
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["user_id"], row["start"], row["type"]) for row in csv.DictReader(file)]
    assert rows == expected
    query = 'SELECT user_id, "start", type FROM {} ORDER BY 1, 2, 3'
    with duckdb.connect() as connection:
        typed = connection.execute(query.format(f"'{tmp_path / 'out.parquet'}'")).fetchall()
    parquet = [(user, start.isoformat(), kind) for user, start, kind in typed]
    with sqlite3.connect(tmp_path / "out.sqlite") as database:
        stored = database.execute(query.format("events")).fetchall()
    assert parquet == stored == sorted(expected)
    sheet = load_workbook(tmp_path / "out.xlsx").get_sheet_by_name("events").to_python()
    cells = [(user, str(at).replace(" ", "T"), kind) for _id, user, kind, _category, at, *_rest in sheet[1:]]
    assert cells == expected


def test_an_export_of_a_run_that_is_not_complete_says_so(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run = make_run(tmp_path / "out", [make_event("anna")])
    assert eventabs("export", "out", cwd=tmp_path).stderr == ""
    ledger = open_run(run)
    with ledger.transaction():
        ledger.add_users([(make_log(user), [(Part(user, 0, 2), SIZE)]) for user in ("bert", "carl")])
    ledger.close()
    done = eventabs("export", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "out/events.csv\nout/journeys.csv\n")
    assert done.stderr == "The run is not complete; users in the file: 1, still pending: 2\n"


def test_rows_are_written_on_request_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make_run(tmp_path / "out", [make_event("anna")])
    done = eventabs("export", "out", "--rows", "--output", "day.parquet", cwd=tmp_path)
    assert done.stdout == "day.parquet\nday.journeys.parquet\nday.rows.parquet\n"
    assert eventabs("export", "out", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "out" / "rows.csv").exists()
    refused = eventabs("export", "out", "--rows", "--format", "xes", cwd=tmp_path)
    assert "another --format" in refused.stderr
