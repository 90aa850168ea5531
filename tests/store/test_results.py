import resource
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import orjson
import pytest

from eventabs.errors_and_exit_codes import StorageError
from eventabs.shared_records import Event, Outcome, Part, RejectedRow
from eventabs.store.counts_users_jobs_extensions import SettledUser
from eventabs.store.ledger import Ledger, PartChange
from eventabs.store.result_files import append_results, write_rejects, write_results
from eventabs.store.run_directory_and_checkpoint import RunDirectory, open_to_append
from exports_kit import make_event, make_journey
from runs_kit import bad, make_log, new_ledger


def settle(ledger: Ledger, user_id: str, *events: Event) -> None:
    """Settle a user who is done, all events in a journey."""
    part, journey = Part(user_id, 0, 2), make_journey(user_id, events)
    with ledger.transaction():
        ledger.settle(7, [Outcome(part, None, events, (journey,))], [PartChange(part, "done")])


def finished(tmp_path: Path) -> tuple[RunDirectory, Ledger]:
    directory = RunDirectory(tmp_path)
    ledger = new_ledger(tmp_path, [make_log(name) for name in ("bert", "Anna", "anna", "赵", "failed")])
    settle(ledger, "bert", make_event("bert"), make_event("bert", "2026-01-02T10:00:00", behaviors=(1, 2)))
    settle(ledger, "赵", make_event("赵"))
    settle(ledger, "anna", make_event("anna", journey="anna/j0"))
    failed = Part("failed", 0, 2)
    with ledger.transaction():
        ledger.settle(
            8, [bad(failed, "refused")], [PartChange(failed, "failed", attempts=3, reason="refused")]
        )
    return directory, ledger


def test_events_and_journeys_stand_in_order_of_user(tmp_path: Path) -> None:
    directory, ledger = finished(tmp_path)
    write_results(directory, ledger)
    events = [orjson.loads(line) for line in directory.events.read_bytes().splitlines()]
    assert [(e["user_id"], e["start"][:10]) for e in events] == [
        ("anna", "2026-01-01"),
        ("bert", "2026-01-01"),
        ("bert", "2026-01-02"),
        ("赵", "2026-01-01"),
    ]
    assert (events[0]["id"], events[0]["journey"]) == ("anna/0", "anna/j0")
    journeys = [orjson.loads(line) for line in directory.journeys.read_bytes().splitlines()]
    assert [journey["id"] for journey in journeys] == ["anna/j0", "bert/j0", "赵/j0"]
    assert (journeys[1]["events"], journeys[1]["behaviors"]) == (["bert/0", "bert/1"], [0, 1, 2])
    ledger.close()


def test_a_torn_last_line_is_mended_and_the_file_is_equal_to_one_never_torn(tmp_path: Path) -> None:
    directory, ledger = finished(tmp_path)
    write_results(directory, ledger)
    for path in (directory.events, directory.journeys):
        whole_file = path.read_bytes()
        path.write_bytes(whole_file[:-20])
        write_results(directory, ledger)
        assert path.read_bytes() == whole_file
    ledger.close()


def test_rejected_rows_keep_their_text_on_one_line(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    row = RejectedRow("a.csv", 12, "bad_time", 'x,"多行\n文本"\u2028,\x00', "anna")
    write_rejects(directory, [row])
    (line,) = directory.rejects.read_bytes().splitlines()
    assert orjson.loads(line) == {"file": "a.csv", "line": 12, "reason": "bad_time", "text": row.text}


@contextmanager
def opened(directory: RunDirectory) -> Iterator[list[FileIO]]:
    with open_to_append(directory.events) as events, open_to_append(directory.journeys) as journeys:
        yield [events, journeys]


def test_events_and_journeys_are_appended_in_whole_lines_as_users_are_done(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.events.write_bytes(b'{"old": 1}\n')
    second = SettledUser("done", [{"user_id": "b"}, {"user_id": "b", "summary": "a\nb"}], [{"name": "c\nd"}])
    with opened(directory) as files:
        append_results(files, [second, SettledUser("pending")])
        assert directory.events.read_bytes().endswith(b'"a\\nb"}\n')
        assert directory.journeys.read_bytes() == b'{"name":"c\\nd"}\n'
        append_results(files, [])
        append_results(files, [SettledUser("done", [{"user_id": "a"}])])
    append_results((), [second])
    users = [orjson.loads(line)["user_id"] for line in directory.events.read_bytes().splitlines()[1:]]
    assert users == ["b", "b", "a"]


def test_half_a_line_that_a_full_disk_took_is_taken_back(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(directory) as files:
        append_results(files, [SettledUser("done", [{"user_id": "a"}])])
        before = directory.events.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
        try:
            with pytest.raises(StorageError, match="is full"):
                append_results(files, [SettledUser("done", [{"user_id": "b"}])])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert directory.events.read_bytes() == before
        append_results(files, [SettledUser("done", [{"user_id": "c"}])])
    assert directory.events.read_bytes() == before + b'{"user_id":"c"}\n'


@pytest.mark.parametrize("name", ["events.jsonl", "journeys.jsonl"])
def test_a_file_of_results_that_cannot_be_opened_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(StorageError, match=rf"{name} cannot be written"):
        open_to_append(tmp_path / name)
