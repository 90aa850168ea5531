"""How many calls may be in flight."""

from hypothesis import given, settings, strategies as st

from eventabs.runs.limits import ConcurrencyLimit


class Endpoint:
    """Answers in `latency` seconds, or slower when more than `room` calls are in flight."""

    def __init__(self, *, room: int, latency: float = 1.0) -> None:
        self.room, self.latency = room, latency
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def serve_a_round(self, width: ConcurrencyLimit) -> None:
        calls = width.now
        self.time += self.latency * max(1.0, calls / self.room)
        for _answer in range(calls):
            width.answered()


def test_it_starts_low_and_grows_by_one_a_round_while_more_calls_bring_more_answers() -> None:
    endpoint = Endpoint(room=100)
    width = ConcurrencyLimit(3, 16, endpoint)
    seen = []
    for _round in range(20):
        seen.append(width.now)
        endpoint.serve_a_round(width)
    assert seen == [*range(3, 16), *[16] * 7]


def test_it_settles_where_more_calls_only_wait_longer() -> None:
    endpoint = Endpoint(room=6)
    width = ConcurrencyLimit(3, 64, endpoint)
    seen = []
    for _round in range(60):
        endpoint.serve_a_round(width)
        seen.append(width.now)
    assert set(seen[10:]) <= {6, 7}
    assert seen.count(6) > seen.count(7)


def test_trouble_halves_it_but_never_below_the_low_limit() -> None:
    endpoint = Endpoint(room=100)
    width = ConcurrencyLimit(3, 16, endpoint)
    for _round in range(20):
        endpoint.serve_a_round(width)
    width.trouble()
    assert width.now == 8
    width.trouble()
    width.trouble()
    assert width.now == 3


def test_without_a_higher_limit_it_stays_as_it_is() -> None:
    endpoint = Endpoint(room=100)
    width = ConcurrencyLimit(5, 0, endpoint)
    for _round in range(5):
        endpoint.serve_a_round(width)
    assert width.now == 5


@given(st.integers(1, 20), st.integers(0, 40), st.lists(st.booleans(), max_size=300))
@settings(max_examples=50, deadline=None)
def test_it_never_leaves_its_limits(low: int, high: int, answers: list[bool]) -> None:
    ticks = iter(range(10_000))
    width = ConcurrencyLimit(low, high, lambda: float(next(ticks)))
    for good in answers:
        width.answered() if good else width.trouble()
        assert low <= width.now <= max(low, high)
