import errno
import io
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import RunDirectoryError, StorageError
from eventabs.runs.observer import Fact, StateChanged
from eventabs.store.ledger import Ledger
from eventabs.store.result_files import export_events
from eventabs.store.run_directory_and_checkpoint import (
    RunDirectory,
    open_private,
    open_to_append,
    read_head,
    replace_file,
)
from runs_jobs import Place, finish
from runs_kit import Watcher

HOLD = """
import sys, time
from pathlib import Path
from eventabs.store.run_directory_and_checkpoint import RunDirectory
with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""
REPLACE_FOR_EVER = """
import sys
from pathlib import Path
from eventabs.store.run_directory_and_checkpoint import replace_file
for n in range(10**9):
    replace_file(Path(sys.argv[1]), (str(n % 10).encode() * 100 for _ in range(1000)))
    print(n, flush=True)
"""


def full(*_anything: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_run_directory_is_its_owners_alone_and_ignored_by_git(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "deep" / "out")
    assert mode(directory.path) == 0o700
    with directory.locked(fresh=True):
        pass
    assert (directory.path / ".gitignore").read_text() == "*\n"
    assert mode(directory.path / ".gitignore") == 0o600


def test_an_empty_folder_is_taken_and_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o755)
    assert mode(RunDirectory.create(tmp_path / "out").path) == 0o700


def test_what_a_run_left_that_was_killed_at_its_birth_is_no_hindrance(tmp_path: Path) -> None:
    for name in (".gitignore", "run.lock", "run.log", "stdin.csv"):
        (tmp_path / name).touch()
    for suffix in ("", "-journal", "-wal", "-shm"):  # SQLite leaves these beside a database under way
        (tmp_path / f"ledger.sqlite.new{suffix}").write_bytes(b"half")
    RunDirectory.create(tmp_path)
    Ledger.create(tmp_path / "ledger.sqlite", {}).close()
    assert list(tmp_path.glob("ledger.sqlite.new*")) == []
    (tmp_path / "ledger.sqlite.new-journal").write_bytes(b"half")
    Ledger.open(tmp_path / "ledger.sqlite").close()


@pytest.mark.parametrize("kind", ["folder", "file", "dangling", "below a file", "long", "no text"])
def test_what_cannot_become_a_run_directory_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    if kind == "folder":
        path.mkdir()
        (path / "thesis.tex").touch()
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nowhere" / "else")
    elif kind == "long":
        path = tmp_path / ("x" * 300)
    elif kind == "no text":
        path = tmp_path / "\udcff"
    else:
        path.touch()
        path = path / "below" if kind == "below a file" else path
    with pytest.raises(RunDirectoryError, match="--out") as caught:
        RunDirectory.create(path)
    assert "\n" not in str(caught.value)


def test_a_run_is_found_by_its_directory_its_checkpoint_or_any_file_in_it(tmp_path: Path) -> None:
    for name in ("ledger.sqlite", "checkpoint.json", "events.jsonl"):
        (tmp_path / name).touch()
        assert RunDirectory.find(tmp_path / name).path == tmp_path
    assert RunDirectory.find(tmp_path).checkpoint == tmp_path / "checkpoint.json"


@pytest.mark.parametrize("named", ["gone", "x" * 300])
def test_a_run_that_is_not_there_is_told(tmp_path: Path, named: str) -> None:
    with pytest.raises(RunDirectoryError, match="does not exist"):
        RunDirectory.find(tmp_path / named)


def test_an_input_in_the_place_of_its_run_is_told_with_the_run_beside_it(tmp_path: Path) -> None:
    export = tmp_path / "导出 10.月.csv"
    export.touch()
    with pytest.raises(RunDirectoryError, match=r"is a file, not a run; .*by default '导出 10.eventabs'"):
        RunDirectory.find(export)
    run = tmp_path / "导出 10.eventabs"
    run.mkdir()
    (run / "ledger.sqlite").touch()
    with pytest.raises(RunDirectoryError, match=f"made from it, '{run}'"):
        RunDirectory.find(export)


# the lock


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give another process the directory."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_directory_that_another_process_has_is_refused_until_that_is_dead(
    tmp_path: Path, held: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(RunDirectoryError, match="in use"), RunDirectory(tmp_path).locked():
        pass
    (tmp_path / "ledger.sqlite").touch()
    with pytest.raises(RunDirectoryError, match="in use"):
        RunDirectory.create(tmp_path)
    held.send_signal(signal.SIGKILL)
    held.wait()
    with RunDirectory(tmp_path).locked():
        pass


@pytest.mark.parametrize(("process_umask", "stream"), [(0o000, True), (0o077, False)])
def test_every_file_of_a_run_is_its_owners_alone_at_any_time_and_the_umask_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process_umask: int, *, stream: bool
) -> None:
    seen: dict[str, set[int]] = {}

    class Looking(Watcher):
        def noted(self, fact: Fact) -> None:
            for file in [place.out, *place.out.rglob("*")]:
                seen.setdefault(str(file.relative_to(place.folder)), set()).add(mode(file))

    place = Place(tmp_path, watcher=Looking())
    rows = io.TextIOWrapper(io.BytesIO(place.export.read_bytes()))
    monkeypatch.setattr("sys.stdin", rows)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    umask = os.umask(process_umask)
    try:
        with place.begin(paths=["-"] if stream else None) as job, open_to_append(job.directory.log):
            finish(job)
        export_events(place.out, "sqlite")
        place.watcher.noted(StateChanged("completed"))
    finally:
        assert os.umask(umask) == process_umask
    assert {"out", "out/ledger.sqlite", "out/ledger.sqlite-wal", "out/run.log", "out/events.sqlite"} <= {
        *seen
    }
    assert ("out/stdin.jsonl" in seen) == stream
    assert {name: modes for name, modes in seen.items() if modes != {0o600} and name != "out"} == {}
    assert seen["out"] == {0o700}
    assert mode(tmp_path / "state" / "eventabs" / "runs") == 0o600


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.lock").mkdir()
    with pytest.raises(RunDirectoryError, match="cannot be locked"), RunDirectory(tmp_path).locked():
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_place_without_locks_is_told_and_nobody_is_at_work_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_file: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(RunDirectoryError, match="cannot be locked"), RunDirectory(tmp_path).locked():
        pass
    (tmp_path / "run.lock").touch()
    assert not RunDirectory(tmp_path).in_use()


def test_nobody_waits_for_a_pipe_in_the_place_of_a_file(tmp_path: Path) -> None:
    for name in ("run.lock", "events.jsonl", "checkpoint.json"):
        os.mkfifo(tmp_path / name)
    assert not RunDirectory(tmp_path).in_use()
    assert read_head(tmp_path / "checkpoint.json", 100) == b""
    with pytest.raises(OSError, match="events"):
        open_private(tmp_path / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def test_no_more_of_a_file_is_read_than_it_may_hold_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 1000)
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert read_head(tmp_path / "long", 100) == b"x" * 100
    with pytest.raises(OSError, match="endless"):
        read_head(tmp_path / "endless", 100)


# replacing files


def test_a_file_is_replaced_as_a_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old, and longer than the new one")
    replace_file(path, [b"n", b"ew"])
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("begun", "next_step"), [(True, "eventabs resume {path}"), (False, "start again")])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, next_step: str, *, begun: bool
) -> None:
    path = tmp_path / ("ledger.sqlite" if begun else "file")
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=next_step.format(path=tmp_path)):
        replace_file(path, [b"new"])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    process = subprocess.Popen(
        [sys.executable, "-c", REPLACE_FOR_EVER, str(path)], stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout is not None
    process.stdout.readline()
    for _look in range(200):  # readers see one or the other, never half of it
        content = path.read_bytes()
        assert len(content) == 100_000
        assert len(set(content)) == 1
        time.sleep(0.0005)
    process.kill()
    process.wait()
    process.stdout.close()
    content = path.read_bytes()
    assert len(content) == 100_000
    assert len(set(content)) == 1


def test_a_run_is_found_by_a_checkpoint_that_is_gone_as_long_as_its_ledger_is_there(tmp_path: Path) -> None:
    named = tmp_path / "checkpoint.json"
    with pytest.raises(RunDirectoryError, match="holds no ledger"):
        RunDirectory.find(named)
    (tmp_path / "ledger.sqlite").touch()
    assert RunDirectory.find(named).path == tmp_path
    with pytest.raises(RunDirectoryError, match="does not exist"):
        RunDirectory.find(tmp_path / "chekpoint.json")


def test_of_two_processes_that_found_a_folder_empty_one_begins_a_run_and_one_is_told(tmp_path: Path) -> None:
    first, second = RunDirectory.create(tmp_path), RunDirectory.create(tmp_path)
    with first.locked(fresh=True):
        with pytest.raises(RunDirectoryError, match="in use"), second.locked(fresh=True):
            raise AssertionError
        first.ledger.touch()
    with pytest.raises(RunDirectoryError, match="already holds a run"), second.locked(fresh=True):
        raise AssertionError


@pytest.mark.parametrize("name", ["run.log", "stdin.csv", ".gitignore.tmp"])
def test_a_folder_or_a_link_is_no_leftover_of_a_run_whatever_its_name(tmp_path: Path, name: str) -> None:
    for at, make in (("a", Path.mkdir), ("b", lambda path: path.symlink_to(tmp_path / "target"))):
        folder = tmp_path / at
        folder.mkdir()
        make(folder / name)
        with pytest.raises(RunDirectoryError, match="--out"):
            RunDirectory.create(folder)


def test_a_link_in_the_place_of_a_file_to_be_made_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text("precious")
    (tmp_path / "checkpoint.json.tmp").symlink_to(tmp_path / "profile")
    with pytest.raises(StorageError):
        replace_file(tmp_path / "checkpoint.json", [b"{}"])
    assert (tmp_path / "profile").read_text() == "precious"
    replace_file(tmp_path / "checkpoint.json", [b"{}"])
    assert (tmp_path / "checkpoint.json").read_bytes() == b"{}", "the link is out of the way"
