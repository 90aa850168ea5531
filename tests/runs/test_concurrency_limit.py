"""How many calls may be in flight."""

from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import CapacityError, NoContentError, TransientError
from eventabs.runs.progress_and_stop_conditions import ConcurrencyLimit

BROKEN = TransientError("HTTP 500", status=500)
SILENT = NoContentError("no content")


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
    width.trouble(BROKEN)
    assert width.now == 8
    width.trouble(BROKEN)
    width.trouble(BROKEN)
    assert width.now == 3


def test_each_call_that_waited_in_vain_takes_one_until_one_is_left_and_trouble_never_brings_it_back() -> None:
    width = ConcurrencyLimit(4, 0, Endpoint(room=1))
    seen = []
    for error in [SILENT, BROKEN, SILENT, SILENT, SILENT, BROKEN]:
        width.trouble(error)
        seen.append(width.now)
    assert seen == [3, 3, 2, 1, 1, 1]


def test_after_a_queue_it_grows_again_as_far_as_that_helps() -> None:
    for room in (1, 100):
        endpoint = Endpoint(room=room)
        width = ConcurrencyLimit(4, 0, endpoint)
        for _call in range(4):
            width.trouble(SILENT)
        for _round in range(60):
            endpoint.serve_a_round(width)
        assert width.now in ({1, 2} if room == 1 else {4})


@given(
    st.integers(1, 20), st.integers(0, 40), st.lists(st.sampled_from([None, BROKEN, SILENT]), max_size=300)
)
@settings(max_examples=50, deadline=None)
def test_it_never_leaves_its_limits_but_for_a_queue(
    low: int, high: int, ends: list[TransientError | None]
) -> None:
    ticks = iter(range(10_000))
    width = ConcurrencyLimit(low, high, lambda: float(next(ticks)))
    for error in ends:
        width.answered() if error is None else width.trouble(error)
        assert (1 if SILENT in ends else low) <= width.now <= max(low, high)


def test_a_tier_without_capacity_takes_no_calls_away() -> None:
    width = ConcurrencyLimit(3, 16, Endpoint(room=100))
    for _answer in range(3):
        width.answered()
    before = width.now
    width.trouble(CapacityError("full", status=498))
    assert width.now == before == 4
