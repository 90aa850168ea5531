import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventabs.errors import StorageError
from eventabs.runs.observer import BatchDone, CallFailed, Progress, Retrying, Started, StateChanged
from eventabs.views.observers import LogObserver, open_log

NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


def test_everything_that_happens_is_appended_as_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    for _process in range(2):
        with open_log(path) as file:
            log = LogObserver(file, now=lambda: NOON)
            log.started(Started("", "rules", "", "", "x", resumed=False))
            log.noted(Retrying(1, "HTTP 429\r\n\x1b[2J", 3.0))
            for done in range(11):
                log.progressed(Progress(users=9, batches_total=11, batches_done=done))
            log.noted(StateChanged("completed"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10
    assert lines[:5] == lines[5:]
    assert all(datetime.fromisoformat(line.split(" ")[0]) == NOON for line in lines)
    assert [line.split(" ", 1)[1].split(";")[0] for line in lines[1:5]] == [
        "Call 1: HTTP 429\\r\\n\\x1b[2J",
        "batches 10 of 11",
        "Completed",
        "batches 10 of 11",
    ]


def test_replies_are_logged_with_the_counts_or_the_note_that_follows_them(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with open_log(path) as file:
        log = LogObserver(file, now=lambda: NOON)
        for call in (1, 2):
            log.noted(BatchDone(call, 3, 3, {}, 1.0))
        assert path.read_text(encoding="utf-8") == ""
        log.progressed(Progress(users=9, batches_total=3, batches_done=2))
        assert path.read_text(encoding="utf-8").count("\n") == 2
        log.noted(BatchDone(3, 3, 3, {}, 1.0))
        log.line("the end")
    said = [line.split(" ", 1)[1] for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line[:6] for line in said] == ["Call 1", "Call 2", "Call 3", "the en"]


def test_a_state_without_counts_is_logged_alone(tmp_path: Path) -> None:
    with open_log(tmp_path / "run.log") as file:
        LogObserver(file).noted(StateChanged("stopped", "HTTP 401"))
    assert (tmp_path / "run.log").read_text(encoding="utf-8").count("\n") == 1


def test_secrets_are_taken_out(tmp_path: Path) -> None:
    with open_log(tmp_path / "run.log") as file:
        LogObserver(file, redact=lambda text: text.replace("sk-123", "***")).noted(
            CallFailed(1, 2, "bad key sk-123")
        )
    assert "bad key ***" in (tmp_path / "run.log").read_text(encoding="utf-8")


def test_only_the_owner_may_read_the_log(tmp_path: Path) -> None:
    open_log(tmp_path / "run.log").close()
    assert stat.S_IMODE((tmp_path / "run.log").stat().st_mode) == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_ends_neither_the_run_nor_the_closing_of_the_log() -> None:
    with open_log(Path("/dev/full")) as file:
        LogObserver(file).line("lost")


def test_a_log_that_cannot_be_opened_is_one_error_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run.log").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        open_log(tmp_path / "run.log")
    (tmp_path / "link").symlink_to(tmp_path / "profile")
    with pytest.raises(StorageError, match="cannot be written"):
        open_log(tmp_path / "link")
    assert not (tmp_path / "profile").exists()
