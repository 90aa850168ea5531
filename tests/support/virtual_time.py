"""An event loop in which waiting takes no time: when all wait, its clock jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    jumped = 0.0

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401  as the base has it
        if timeout:
            self.jumped += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time` is the clock to pass to what waits in it."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the seconds that have gone by."""
        return self._virtual.jumped


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def now() -> float:
    """Return the virtual time of the running loop."""
    return asyncio.get_running_loop().time()
