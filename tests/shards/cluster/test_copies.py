"""Copies of run directories: whole, of one moment, and enough to go on from."""

import threading
from pathlib import Path

import pytest

from eventabs.shards.cluster.copies import copy_run, remove_copy, restore_run
from eventabs.shards.cluster.share import Share
from eventabs.store import Ledger, RunDirectory
from runs_kit import make_log, new_ledger


def make_run(path: Path) -> RunDirectory:
    directory = RunDirectory.create(path / "run.eventabs")
    new_ledger(directory.path, [make_log("u1"), make_log("u2")]).close()
    directory.events.write_bytes(b'{"user_id":"u1"}\n')
    return directory


def test_a_copy_holds_what_was_committed_and_is_not_in_a_main_file_yet(share: Share, tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    ledger = Ledger.open(directory.ledger)  # as long as it is open, writes stand in its write-ahead log
    with ledger.transaction():
        ledger.set_meta({"said": "last"})
    copy_run(directory, share, "copies/0/1")
    ledger.close()
    again = restore_run(share, "copies/0/1", tmp_path / "elsewhere.eventabs")
    with Ledger.watch(again.ledger) as copied:
        assert copied.meta()["said"] == "last"
        assert copied.logged_users() == {"u1", "u2"}
    assert again.events.read_bytes() == directory.events.read_bytes()
    assert sorted(file.name for file in directory.path.iterdir()) == ["events.jsonl", "ledger.sqlite"]


def test_a_ledger_is_copied_whole_while_it_is_written_to(share: Share, tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    halt = threading.Event()
    written = [0]

    def write() -> None:
        ledger = Ledger.open(directory.ledger)
        while not halt.is_set():
            with ledger.transaction():
                ledger.set_meta({"one": written[0] + 1})
                ledger.set_meta({"two": written[0] + 1, "filler": "x" * 20_000})
            written[0] += 1
        ledger.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(10):
            before = written[0]
            copy_run(directory, share, f"copies/0/{number}")
            again = restore_run(share, f"copies/0/{number}", tmp_path / "elsewhere.eventabs")
            ledger = Ledger.open(again.ledger)  # checks it
            meta = ledger.meta()
            ledger.close()
            assert meta.get("one", 0) == meta.get("two", 0) >= before
    finally:
        halt.set()
        thread.join()


def test_a_copy_replaces_what_lies_where_it_is_restored(share: Share, tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    copy_run(directory, share, "copies/0/1")
    (directory.path / "stale").write_bytes(b"")
    restore_run(share, "copies/0/1", directory.path)
    assert not (directory.path / "stale").exists()


def test_a_removed_copy_is_gone(share: Share, tmp_path: Path) -> None:
    copy_run(make_run(tmp_path), share, "copies/0/1")
    remove_copy(share, "copies/0/1")
    with pytest.raises(FileNotFoundError):
        restore_run(share, "copies/0/1", tmp_path / "elsewhere.eventabs")
