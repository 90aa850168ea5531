import resource
import stat
from pathlib import Path

import orjson
import pytest

from eventabs.errors import StorageError
from eventabs.records import Event, Part, RejectedRow
from eventabs.store.directory import RunDirectory
from eventabs.store.exports import EventsFile, write_rejects, write_results
from eventabs.store.ledger import Ledger, PartChange
from runs_kit import SIZE, bad, event_of, make_log, new_ledger, well


def settle(ledger: Ledger, user_id: str, *events: Event) -> None:
    part = Part(user_id, 0, 2)
    with ledger.transaction():
        ledger.settle(7, [well(part, *events)], [PartChange(part, "done", events=len(events))])


def finished(tmp_path: Path) -> tuple[RunDirectory, Ledger]:
    directory = RunDirectory(tmp_path)
    ledger = new_ledger(tmp_path, [make_log(name) for name in ("bert", "Anna", "anna", "赵", "failed")])
    late, early = event_of(Part("bert", 0, 2), start="2026-01-02T10:00:00"), event_of(Part("bert", 0, 2))
    settle(ledger, "bert", late, early)
    settle(ledger, "赵", event_of(Part("赵", 0, 2)))
    settle(ledger, "anna", event_of(Part("anna", 0, 2)))
    failed = Part("failed", 0, 2)
    with ledger.transaction():
        ledger.settle(
            8, [bad(failed, "refused")], [PartChange(failed, "failed", attempts=3, reason="refused")]
        )
    return directory, ledger


def test_events_stand_in_order_of_user_and_start_with_their_fixed_keys(tmp_path: Path) -> None:
    directory, ledger = finished(tmp_path)
    write_results(directory, ledger)
    events = [orjson.loads(line) for line in directory.events.read_bytes().splitlines()]
    assert [(e["user_id"], e["start"][:10]) for e in events] == [
        ("anna", "2026-01-01"),
        ("bert", "2026-01-01"),
        ("bert", "2026-01-02"),
        ("赵", "2026-01-01"),
    ]
    assert events[0] == {
        "user_id": "anna",
        "type": "用餐",
        "category": "engagement",
        "start": "2026-01-01T09:15:00",
        "end": "2026-01-01T09:15:00",
        "summary": "",
        "behaviors": [0, 1, 2],
        "grounded": True,
        "source": "llm",
    }
    ledger.close()


def test_failed_users_stand_with_reason_attempts_and_calls(tmp_path: Path) -> None:
    directory, ledger = finished(tmp_path)
    write_results(directory, ledger)
    assert [orjson.loads(line) for line in directory.failures.read_bytes().splitlines()] == [
        {"user_id": "failed", "reason": "refused", "attempts": 3, "broken_calls": 0, "calls": []}
    ]
    ledger.close()


def test_a_torn_last_line_is_mended_and_the_file_is_equal_to_one_never_torn(tmp_path: Path) -> None:
    directory, ledger = finished(tmp_path)
    write_results(directory, ledger)
    whole_file = directory.events.read_bytes()
    directory.events.write_bytes(whole_file[:-20])
    write_results(directory, ledger)
    assert directory.events.read_bytes() == whole_file
    ledger.close()


def test_without_results_the_files_are_there_and_empty(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    ledger = new_ledger(tmp_path, [make_log("anna")])
    write_results(directory, ledger)
    write_rejects(directory, [])
    for path in (directory.events, directory.failures, directory.rejects):
        assert path.read_bytes() == b""
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ledger.close()


def test_rejected_rows_keep_their_text_on_one_line(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    row = RejectedRow("a.csv", 12, "bad_time", 'x,"多行\n文本"\u2028,\x00', "anna")
    write_rejects(directory, [row])
    (line,) = directory.rejects.read_bytes().splitlines()
    assert orjson.loads(line) == {"file": "a.csv", "line": 12, "reason": "bad_time", "text": row.text}


def test_events_are_appended_in_whole_lines_as_users_are_done(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"old": 1}\n')
    with EventsFile(path) as events:
        events.append([{"user_id": "b"}, {"user_id": "b", "summary": "a\nb"}])
        assert path.read_bytes().endswith(b'"a\\nb"}\n')
        events.append([])
        events.append([{"user_id": "a"}])
    assert [line["user_id"] for line in map(orjson.loads, path.read_bytes().splitlines()[1:])] == [
        "b",
        "b",
        "a",
    ]


def test_a_full_disk_is_told_when_events_are_appended() -> None:
    with EventsFile(Path("/dev/full")) as events, pytest.raises(StorageError, match="is full"):
        events.append([{"user_id": "a"}])


def test_half_a_line_that_a_full_disk_took_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with EventsFile(path) as events:
        events.append([{"user_id": "a"}])
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
        try:
            with pytest.raises(StorageError, match="is full"):
                events.append([{"user_id": "b"}])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before
        events.append([{"user_id": "c"}])
    assert path.read_bytes() == before + b'{"user_id":"c"}\n'


def test_an_events_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        EventsFile(tmp_path / "events.jsonl")


def test_a_user_is_written_only_once_all_its_parts_are_done(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    ledger = new_ledger(tmp_path)
    parts = [Part("anna", 0, 1), Part("anna", 2, 3)]
    with ledger.transaction():
        ledger.add_users([(make_log("anna", 4), [(part, SIZE) for part in parts])])
        ledger.settle(1, [well(parts[0])], [PartChange(parts[0], "done", events=1)])
    write_results(directory, ledger)
    assert directory.events.read_bytes() == b""
    ledger.close()
