"""How many calls may be in flight: one more after a good round, half after trouble."""

from collections.abc import Callable

_ROUNDS_TO_HOLD = 8  # after a step that did not help
_LEAST_GAIN = 0.25  # of what one more call would bring at the same speed


class Width:
    """Additive increase, multiplicative decrease, between two limits.

    A round is as many answers as calls may be in flight. `clock` counts seconds, from anywhere. A step
    up is taken back when the round after it brings hardly more answers a second: then the endpoint, not
    this number, is what limits.
    """

    def __init__(self, low: int, high: int, clock: Callable[[], float]) -> None:
        self._low = low
        self._high = max(low, high)
        self._clock = clock
        self._answers = 0
        self._began = clock()
        self._rate_before: float | None = None
        self._hold = 0
        self.now = low

    def answered(self) -> None:
        """Count a good answer."""
        self._answers += 1
        if self._answers >= self.now:
            self._end_round()

    def trouble(self) -> None:
        """Halve: the endpoint asked for less or did not answer."""
        self.now = max(self._low, self.now // 2)
        self._rate_before = None
        self._begin_round()

    def _end_round(self) -> None:
        rate = self._answers / max(self._clock() - self._began, 1e-9)
        before, self._rate_before = self._rate_before, None
        if self._hold:
            self._hold -= 1
        elif before is not None and rate < before * (1 + _LEAST_GAIN / (self.now - 1)):
            self.now = max(self._low, self.now - 1)
            self._hold = _ROUNDS_TO_HOLD
        elif self.now < self._high:
            self.now += 1
            self._rate_before = rate
        self._begin_round()

    def _begin_round(self) -> None:
        self._answers = 0
        self._began = self._clock()
