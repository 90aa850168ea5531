"""What the command line does about rows that cannot be read, and how events are handed out."""

import json
from pathlib import Path

import pytest

from eventabs.cli.commands import _format_of
from eventabs.errors_and_exit_codes import UsageError
from eventabs.shared_records import Part
from exports_kit import make_event, make_journey, make_run, open_run
from house import eventabs, ran, write_users
from runs_kit import SIZE, make_log


@pytest.fixture
def with_a_bad_row(tmp_path: Path) -> Path:
    path = write_users(tmp_path / "input.jsonl", users=2)
    with path.open("a", encoding="utf-8") as file:
        file.write("not [bold]json\n")
    return path


@pytest.mark.parametrize(("share", "code"), [("0.03", 2), ("0.04", 0)])
def test_max_rejects_is_the_share_of_rows_that_may_be_unreadable(
    with_a_bad_row: Path, share: str, code: int
) -> None:
    done = eventabs("estimate", "input.jsonl", "--max-rejects", share, "--json", cwd=with_a_bad_row.parent)
    assert done.returncode == code, done.stderr
    if code:
        assert "1 of 25 rows" in done.stderr
        assert "allow it with --max-rejects 0.04" in done.stderr
        (folder := with_a_bad_row.parent).joinpath("eventabs.toml").write_text(
            done.stderr.partition("--ask\n")[2], "utf-8"
        )
        assert json.loads(ran("estimate", "input.jsonl", "--json", cwd=folder).stdout)["rejected_rows"] == 1
    else:
        assert json.loads(done.stdout)["rejected_rows"] == 1


def test_strict_allows_no_row_that_cannot_be_read_and_names_the_first(with_a_bad_row: Path) -> None:
    folder = with_a_bad_row.parent
    done = eventabs("estimate", "input.jsonl", "--strict", "--max-rejects", "1", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "1 of 25 rows cannot be read (bad_json 1, first in input.jsonl line 25)" in done.stderr
    assert done.stderr.endswith("name others in [input.columns], or go without --strict\n")
    for command in ("columns", "run"):
        done = eventabs(command, "input.jsonl", "--strict", cwd=folder)
        assert (done.returncode, "line 25)" in done.stderr) == (2, True)
    write_users(folder / "good.jsonl", users=2)
    assert eventabs("estimate", "good.jsonl", "--strict", cwd=folder).returncode == 0


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


def test_a_log_of_journeys_says_that_there_are_none(tmp_path: Path) -> None:
    for name, journeys in (("none", 0), ("some", 1)):
        (tmp_path / name).mkdir()
        event = make_event("anna")
        make_run(
            tmp_path / name, [event], "Asia/Shanghai", journeys=[make_journey("anna", [event])] * journeys
        )
    line = "The run has no journeys, so the log is empty; try --cases users\n"
    log = ("--format", "xes", "--cases", "journeys")
    assert ran("export", "none", *log, cwd=tmp_path).stderr == line
    assert ran("export", "some", *log, cwd=tmp_path).stderr == ""


@pytest.mark.parametrize(
    "ending",
    ["xlsm", "XLSB", "tab", "xml", "html", "sql", "duckdb", "feather", "arrow", "avro", "orc", "jsonl"],
)
def test_a_name_that_promises_another_format_is_refused(ending: str) -> None:
    with pytest.raises(UsageError, match=r"is not written; name a file that ends in one of \.csv"):
        _format_of(f"day.{ending}", None)


def test_rows_are_written_on_request_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make_run(tmp_path / "out", [make_event("anna")])
    done = eventabs("export", "out", "--rows", "--output", "day.parquet", cwd=tmp_path)
    assert done.stdout == "day.parquet\nday.journeys.parquet\nday.rows.parquet\n"
    assert eventabs("export", "out", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "out" / "rows.csv").exists()
    refused = eventabs("export", "out", "--rows", "--format", "xes", cwd=tmp_path)
    assert "another --format" in refused.stderr
