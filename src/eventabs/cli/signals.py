"""Ctrl-C and SIGTERM in the three times of a process: loading, working, ending. Exit code 130, no traceback."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130
NUMBERS = (signal.SIGINT, signal.SIGTERM)


def leave_at_once() -> None:
    """While the tool is loaded: nothing has to be put in order yet, and imports do not bear interruption."""
    for number in NUMBERS:
        signal.signal(number, _leave)


def interrupt() -> None:
    """While a command works: both raise KeyboardInterrupt."""
    for number in NUMBERS:
        signal.signal(number, signal.default_int_handler)


def ignore() -> None:
    """Once all is saved: what is left are moments, in which the resume command is printed."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def restored() -> Iterator[None]:
    """Put back at the end what was in force at the beginning."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_CODE)
