import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from eventabs.errors_and_exit_codes import UsageError
from eventabs.views.output_streams import (
    OutputGoneError,
    print_bytes,
    print_line,
    replace_streams,
    stderr_console,
    stdout_console,
)


@contextmanager
def streams(monkeypatch: pytest.MonkeyPatch, descriptor: int, encoding: str = "utf-8") -> Iterator[None]:
    """Lead standard output and standard error to a descriptor, through our streams."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, os.fdopen(os.dup(descriptor), "w", encoding=encoding))
    os.close(descriptor)
    before = sys.stdout, sys.stderr
    replace_streams()
    yield
    for stream in (sys.stdout, sys.stderr, *before):
        stream.close()


def nobody_reads() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk() -> int:
    try:
        return os.open("/dev/full", os.O_WRONLY)
    except OSError:
        pytest.skip("no disk that is always full")


def full_pipe() -> int:
    _reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.write(writer, bytes(1 << 20))
    return writer


@pytest.mark.parametrize("broken", [nobody_reads, full_disk, full_pipe])
def test_messages_that_nobody_takes_are_dropped(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[], int]
) -> None:
    with streams(monkeypatch, broken()):
        print_line(stderr_console(), "first")
        print_line(stderr_console(), "second")


def test_results_that_nobody_reads_end_the_command_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with streams(monkeypatch, nobody_reads()):
        with pytest.raises(OutputGoneError):
            print_line(stdout_console(), "first")
        print_bytes(b"second")


@pytest.mark.parametrize("broken", [full_disk, full_pipe])
def test_results_that_cannot_be_written_are_one_error(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[], int]
) -> None:
    with streams(monkeypatch, broken()):
        with pytest.raises(UsageError, match="standard output cannot be written"):
            print_bytes(b"first")
        print_line(stdout_console(), "second")


def test_a_character_that_the_locale_lacks_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with streams(monkeypatch, writer, "ascii"):
        print_line(stdout_console(), "看车 a")
    assert os.read(reader, 100) == b"?? a\n"
    os.close(reader)


def test_streams_that_are_closed_from_the_start_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    replace_streams()
    print_line(stderr_console(), "nowhere")
    print_bytes(b"nowhere")
