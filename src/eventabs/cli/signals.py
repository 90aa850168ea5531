"""Ctrl-C, SIGTERM and SIGHUP while a process loads, works and ends. Exit code 130, no traceback."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_at_once() -> None:
    """While the tool is loaded: nothing has to be put in order yet, and imports do not bear interruption.

    SIGHUP stays ignored where it was ignored at the start, as nohup wants it.
    """
    _handle(lambda _number, _frame: os._exit(EXIT_CODE))


def interrupt() -> None:
    """While a command works: signals raise KeyboardInterrupt, and what is not committed is undone."""
    _handle(signal.default_int_handler)


def ignore() -> None:
    """Once all is saved: what is left are moments, in which the resume command is printed."""
    _handle(signal.SIG_IGN)


@contextmanager
def requesting(stop: Callable[[], None]) -> Iterator[None]:
    """While a run works: each signal requests a stop, however often one comes."""
    _handle(lambda _number, _frame: stop())
    try:
        yield
    finally:
        ignore()


def _handle(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    for number in _NUMBERS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
