"""A file in every format: where it stands, who may read it, and that a run may go on meanwhile."""

import csv
import json
import stat
from pathlib import Path
from typing import get_args

import pytest

from eventabs.errors import UsageError
from eventabs.records import Part
from eventabs.store.directory import RunDirectory
from eventabs.store.exports import ExportFormat, export_events, write_results
from eventabs.store.ledger import PartChange
from exports_kit import export_file, make_event, make_run, open_run
from runs_kit import SIZE, bad, make_log, well

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
formats = pytest.mark.parametrize("form", FORMATS)


@formats
def test_the_file_is_its_owner_s_alone_and_nothing_else_is_left(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    written = export_file(run, form)
    assert written == run / f"events.{form}"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert {path.name.partition("-")[0] for path in run.iterdir()} == {"ledger.sqlite", written.name}
    assert export_file(run, form) == written  # its own file is replaced


@formats
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


@formats
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
        half = export_events(run, form)
        before = Path(half.place).read_bytes()
    assert half[1:] == (1, 0), "what another process has not committed is not there"
    assert export_events(run, form)[1:] == (1, 1)
    with ledger.transaction():
        ledger.settle(9, [well(part)], [PartChange(part, "done", events=1)])
    whole = export_events(run, form)
    assert whole[1:] == (2, 0)
    assert Path(whole.place).read_bytes() != before
    ledger.close()


def test_what_is_handed_out_is_what_events_jsonl_holds(tmp_path: Path) -> None:
    run = make_run(
        tmp_path, [make_event(user, type=kind) for user in ("赵", "anna", "Bert") for kind in "ab"]
    )
    ledger = open_run(run)
    failed, waiting = Part("carl", 0, 2), Part("dora", 0, 2)
    with ledger.transaction():
        ledger.add_users([(make_log(part.user_id), [(part, SIZE)]) for part in (failed, waiting)])
        change = PartChange(failed, "failed", attempts=3, reason="refused")
        ledger.settle(9, [bad(failed, "refused")], [change])
    write_results(RunDirectory(run), ledger)
    ledger.close()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text("utf-8").splitlines()]
    with export_file(run, "csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["user_id"], row["type"]) for row in csv.DictReader(file)]
    assert rows == [(event["user_id"], event["type"]) for event in events]
    assert len(rows) == 6
