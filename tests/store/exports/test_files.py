"""A file in every format: where it stands, who may read it, and that a run may go on meanwhile."""

import stat
from pathlib import Path
from typing import get_args

import pytest

from eventabs.errors import RunDirectoryError, UsageError
from eventabs.records import Part
from eventabs.store.exports import ExportFormat, export_events
from eventabs.store.ledger import PartChange
from exports_kit import make_event, make_run, open_run
from runs_kit import SIZE, make_log, well

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
formats = pytest.mark.parametrize("form", FORMATS)


@formats
def test_the_file_is_its_owner_s_alone_and_nothing_else_is_left(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    written = export_events(run, form, None)
    assert written == run / f"events.{form}"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert {path.name.partition("-")[0] for path in run.iterdir()} == {"ledger.sqlite", written.name}
    assert export_events(run, form, None) == written  # its own file is replaced


@formats
def test_a_file_that_was_named_and_is_there_stays(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    mine = tmp_path / "mine"
    mine.write_text("kept", "utf-8")
    with pytest.raises(UsageError, match="mine exists"):
        export_events(run, form, mine)
    assert mine.read_text("utf-8") == "kept"


@formats
def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    with pytest.raises(UsageError, match="cannot be written"):
        export_events(run, form, tmp_path / "gone" / "file")


@formats
def test_a_run_without_events_gives_a_file(tmp_path: Path, form: ExportFormat) -> None:
    assert export_events(make_run(tmp_path, [], "Asia/Shanghai"), form, None).stat().st_size


@formats
def test_a_time_that_is_none_means_a_damaged_ledger(tmp_path: Path, form: ExportFormat) -> None:
    run = make_run(tmp_path, [make_event("anna", "soon")], "Asia/Shanghai")
    if form in {"csv", "sqlite"}:  # texts, as they are
        export_events(run, form, None)
    else:
        with pytest.raises(RunDirectoryError, match="is damaged"):
            export_events(run, form, None)


@formats
def test_a_run_that_another_process_writes_to_is_exported_as_far_as_it_is(
    tmp_path: Path, form: ExportFormat
) -> None:
    run = make_run(tmp_path, [make_event("anna")], "Asia/Shanghai")
    ledger = open_run(run)
    part = Part("bert", 0, 2)
    with ledger.transaction():
        ledger.add_users([(make_log("bert"), [(part, SIZE)])])
        half = export_events(run, form, None).read_bytes()
        ledger.settle(9, [well(part)], [PartChange(part, "done", events=1)])
    assert export_events(run, form, None).read_bytes() != half
    ledger.close()
