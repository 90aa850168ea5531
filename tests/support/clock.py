"""A clock that a test sets."""


class Clock:
    """Seconds that only a test moves; without any, time stands."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds
