import io
import os
import threading
from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import StorageError
from eventabs.runs.intake import STDIN, copied
from eventabs.stop_request import Stop, StopRequested


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'{"user_id": 1}\n', "stdin.jsonl"),
        (b'\xef\xbb\xbf \n{"user_id": 1}\n', "stdin.jsonl"),
        (b'[{"user_id": 1}]', "stdin.jsonl"),
        (b"user_id,timestamp\n", "stdin.csv"),
        (b'"{user}",timestamp\n', "stdin.csv"),
        (b"", "stdin.csv"),
    ],
)
def test_standard_input_is_named_by_what_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes, name: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(head)))
    path = Path(*copied([STDIN], tmp_path, Stop()))
    assert path == tmp_path / name
    assert path.read_bytes() == head


def test_a_stream_that_sends_nothing_does_not_hold_up_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    stop = Stop()
    threading.Timer(0.05, stop.request).start()
    with os.fdopen(reader) as silent, os.fdopen(writer, "wb"):
        monkeypatch.setattr("sys.stdin", silent)
        with pytest.raises(StopRequested):
            copied([STDIN], tmp_path, stop)


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "eventabs.runs.intake.open_private", lambda _path, _flags: os.open("/dev/full", os.O_WRONLY)
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a" * 100_000)))
    with pytest.raises(StorageError, match="is full"):
        copied([STDIN], tmp_path, Stop())
