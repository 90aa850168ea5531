"""A file in every format: where it stands, who may read it, and that a run may go on meanwhile."""

import csv
import json
import os
import stat
from pathlib import Path
from typing import get_args

import pytest

from eventabs.errors_and_exit_codes import UsageError
from eventabs.setting_choices import ExportFormat
from eventabs.shared_records import Part
from eventabs.store import counts_users_jobs_extensions as queries
from eventabs.store.ledger import PartChange
from eventabs.store.result_files import export_events, write_results
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from exports_kit import export_file, export_files, make_event, make_journey, make_run, open_run
from runs_kit import SIZE, bad, make_log, well

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
formats = pytest.mark.parametrize("form", FORMATS)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@formats
def test_the_file_is_its_owner_s_alone_and_nothing_else_is_left(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    written = export_files(run, form)
    assert written == [run / f"{name}.{form}" for name in ("events", "journeys")[: len(written)]]
    assert len(written) == 1 + (form in ("csv", "parquet"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    left = {path.name.partition("-")[0] for path in run.iterdir()}
    assert left == {"ledger.sqlite", *(path.name for path in written)}
    assert export_files(run, form) == written  # its own files are replaced


@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_a_file_that_was_named_and_is_there_stays(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    mine = tmp_path / "mine"
    mine.write_text("kept", "utf-8")
    with pytest.raises(UsageError, match="mine exists"):
        export_file(run, form, mine)
    assert mine.read_text("utf-8") == "kept"


@formats
def test_a_file_that_is_there_is_replaced_on_request_but_none_of_the_run_itself(
    tmp_path: Path, form: ExportFormat
) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    for other in (tmp_path / "sub" / "mine", run / f"events.{form}"):
        other.parent.mkdir(exist_ok=True)
        other.write_text("old", "utf-8")
        assert export_file(run, form, other, replace=True).read_bytes() != b"old"
        assert stat.S_IMODE(other.stat().st_mode) == 0o600
    ledger = (run / "ledger.sqlite").read_bytes()
    with pytest.raises(UsageError, match="a file of the run itself"):
        export_file(run, form, run / "ledger.sqlite", replace=True)
    assert (run / "ledger.sqlite").read_bytes() == ledger


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("output", ["new/", "folder", "pipe", "link.csv", "day.csv"])
def test_what_is_no_regular_file_is_neither_replaced_nor_made_one(
    tmp_path: Path, output: str, *, replace: bool
) -> None:
    run = make_run(tmp_path, [make_event("anna")])
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link.csv", "day.journeys.csv"):
        (tmp_path / name).symlink_to("target.csv")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=" is no regular file; name another with --output"):
        export_events(run, "csv", f"{tmp_path}/{output}", replace=replace)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link.csv").is_symlink()


@pytest.mark.parametrize(
    ("output", "others"),
    [
        ("day.csv", ["day.journeys.csv", "day.rows.csv"]),
        ("2026.03.parquet", ["2026.03.journeys.parquet", "2026.03.rows.parquet"]),
        ("day", ["day.journeys", "day.rows"]),
    ],
)
def test_a_table_of_its_own_stands_in_a_file_beside_named_after_that_of_the_events(
    tmp_path: Path, output: str, others: list[str]
) -> None:
    run = make_run(tmp_path, [make_event("anna")])
    form: ExportFormat = "parquet" if output.endswith("parquet") else "csv"
    (tmp_path / "a.b").mkdir()
    written = export_files(run, form, tmp_path / "a.b" / output, rows=True)
    assert [path.name for path in written] == [output, *others]
    assert set(written) == set((tmp_path / "a.b").iterdir())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_path_that_begins_with_a_tilde_is_no_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: ExportFormat
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("~r")
    run.mkdir()
    make_run(run, [make_event("anna")])
    assert export_files(run, form) == [run / f"events.{form}", run / f"journeys.{form}"]
    assert export_file(run, form, Path("~o")).stat().st_size


def test_where_one_of_two_files_is_there_neither_is_written(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_event("anna")])
    (tmp_path / "day.journeys.csv").write_text("kept", "utf-8")
    with pytest.raises(UsageError, match=r"day\.journeys\.csv exists"):
        export_file(run, "csv", tmp_path / "day.csv")
    assert not (tmp_path / "day.csv").exists()


@pytest.mark.parametrize("behind", ["?signature=x", "#/x.parquet"])
def test_an_address_with_more_than_a_path_takes_one_file_only(tmp_path: Path, behind: str) -> None:
    run = make_run(tmp_path, [make_event("anna")])
    with pytest.raises(UsageError, match="--format sqlite or xlsx"):
        export_events(run, "parquet", f"https://example.com/events.parquet{behind}")


def test_the_journeys_of_an_address_without_a_path_go_to_no_other_host(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_event("anna")])
    with pytest.raises(UsageError, match=r"name an object: .* https://HOST/PATH"):
        export_events(run, "csv", "http://data.example.com", rows=True)


@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    with pytest.raises(UsageError, match="cannot be written"):
        export_file(run, form, tmp_path / "gone" / "file")


@formats
def test_a_run_without_events_gives_a_file(tmp_path: Path, form: ExportFormat) -> None:
    assert export_file(make_run(tmp_path, [], "Asia/Shanghai"), form).stat().st_size


@formats
def test_a_run_that_another_process_writes_to_is_exported_as_far_as_it_is(
    tmp_path: Path, form: ExportFormat
) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    ledger = open_run(run)
    part = Part("bert", 0, 2)
    with ledger.transaction():
        ledger.add_users([(make_log("bert"), [(part, SIZE)])])
        (path, *_others), half = export_events(run, form)
        before = Path(path).read_bytes()
    none = {"failed": 0, "standing": 0, "journeys": 0}
    assert half == {"done": 1, "pending": 0, **none}, "what another process has not committed is not there"
    assert export_events(run, form)[1] == {"done": 1, "pending": 1, **none}
    with ledger.transaction():
        ledger.settle(9, [well(part)], [PartChange(part, "done")])
    assert export_events(run, form)[1] == {"done": 2, "pending": 0, **none}
    assert Path(path).read_bytes() != before
    ledger.close()


def test_users_whose_extension_is_not_answered_are_counted_with_their_earlier_events(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_event("anna"), make_event("bert", behaviors=(0, 1, 2))])
    ledger = open_run(run)
    with ledger.transaction():
        queries.begin_changes(ledger, anew=False)
        asked = [(Part("anna", 0, 3), SIZE)]
        queries.extend_user(ledger, queries.ExtendedUser(make_log("anna", 4), "0-3", asked), since=2)
    write_results(RunDirectory(run), ledger)
    _files, counts = export_events(run, "csv")
    assert (counts["done"], counts["pending"], counts["standing"]) == (1, 1, 1)
    events, _journeys, rows = export_files(run, "csv", rows=True)
    assert {row["user_id"] for row in rows_of(events)} == {"anna", "bert"}
    assert {row["user_id"] for row in rows_of(rows)} == {"bert"}
    ledger.close()


def test_what_is_handed_out_is_what_the_files_of_the_run_hold(tmp_path: Path) -> None:
    events = [
        make_event(user, type=kind, behaviors=(n,))
        for user in ("赵", "anna", "Bert")
        for n, kind in enumerate("ab")
    ]
    run = make_run(tmp_path, events, journeys=[make_journey("anna", events[2:4])])
    ledger = open_run(run)
    failed, waiting = Part("carl", 0, 2), Part("dora", 0, 2)
    with ledger.transaction():
        ledger.add_users([(make_log(part.user_id), [(part, SIZE)]) for part in (failed, waiting)])
        change = PartChange(failed, "failed", attempts=3, reason="refused")
        ledger.settle(9, [bad(failed, "refused")], [change])
    write_results(RunDirectory(run), ledger)
    ledger.close()
    for path in export_files(run, "csv"):
        lines = path.with_suffix(".jsonl").read_text("utf-8").splitlines()
        assert [row["id"] for row in rows_of(path)] == [json.loads(line)["id"] for line in lines]
        assert len(lines) == (6 if path.stem == "events" else 1)
