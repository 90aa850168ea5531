from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.records import Behavior
from eventabs.replies.reader import Cover, LogIndex
from reply_cases import behavior

LOG = (
    behavior("2026-01-01 10:00:42", 4440),
    behavior("2026-01-01 11:14:10"),
    behavior("2026-01-01 11:30:00", 60),
)


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-01 {clock}")


def grounded(log: Sequence[Behavior], spans: Sequence[tuple[datetime, datetime]]) -> list[Cover]:
    """Return the cover of each span."""
    index = LogIndex(log)
    return index.ground(spans, index.reach(spans))


@pytest.mark.parametrize(
    ("spans", "covered"),
    [
        ([("10:00", "10:00")], [(0,)]),
        ([("10:01", "11:13")], [()]),
        ([("10:00", "11:14")], [(0, 1)]),
        ([("10:00", "11:14"), ("11:14", "12:00")], [(0,), (1, 2)]),
        ([("11:14", "12:00"), ("10:00", "11:14")], [(1, 2), (0,)]),
        ([("11:14", "11:14"), ("10:00", "11:14")], [(1,), (0,)]),
        ([("11:14", "11:14"), ("11:14", "11:14")], [(1,), ()]),
        ([("10:00", "12:00"), ("11:00", "11:30")], [(0,), (1, 2)]),
        ([("10:00", "12:00"), ("11:14", "11:14")], [(0, 2), (1,)]),
        ([("11:01", "11:14"), ("11:14", "11:20")], [(), (1,)]),
        ([("10:00", "11:30"), ("10:00", "11:30")], [(0,), (1, 2)]),
        ([("10:00", "11:14"), ("10:30", "11:44")], [(0,), (1, 2)]),
    ],
)
def test_a_behavior_belongs_to_the_narrowest_event_around_it(
    spans: list[tuple[str, str]], covered: list[tuple[int, ...]]
) -> None:
    covers = grounded(LOG, [(at(start), at(end)) for start, end in spans])
    assert [cover.behaviors for cover in covers] == covered


SHOP = tuple(
    behavior("2026-01-01 10:00:42") for _row in range(5)
)  # half of a shop's rows share user and minute


def test_events_of_one_minute_share_its_behaviors_in_order_and_none_goes_empty_while_they_last() -> None:
    minute = (at("10:00"), at("10:00"))
    assert [cover.behaviors for cover in grounded(SHOP, [minute] * 2)] == [(0, 1), (2, 3, 4)]
    assert [cover.behaviors for cover in grounded(SHOP, [minute] * 5)] == [(0,), (1,), (2,), (3,), (4,)]
    assert [cover.behaviors for cover in grounded(SHOP[:2], [minute] * 3)] == [(0,), (1,), ()]


def test_times_are_those_of_the_covered_behaviors() -> None:
    (cover,) = grounded(LOG, [(at("09:00"), at("11:14"))])
    assert cover[:3] == ((0, 1), "2026-01-01T10:00:42", "2026-01-01T11:14:42")


def test_an_event_that_covers_nothing_keeps_its_own_times() -> None:
    (cover,) = grounded(LOG, [(at("05:00"), at("06:00"))])
    assert cover[:3] == ((), "2026-01-01T05:00:00", "2026-01-01T06:00:00")


BERLIN = ZoneInfo("Europe/Berlin")


def test_an_hour_that_comes_twice_is_covered_with_both_of_its_minutes() -> None:
    first = datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN)
    log = (
        Behavior(first, "visit", "a", "", 60),
        Behavior(first.replace(minute=50), "visit", "b", "", 0),
        Behavior(first.replace(fold=1), "visit", "c", "", 600),
    )
    minute = datetime(2025, 10, 26, 2, 30)  # noqa: DTZ001 - local
    (cover,) = grounded(log, [(minute, minute)])
    # 02:40 in winter time is 03:40 by the offset of the first behavior.
    assert cover[:3] == ((0, 2), "2025-10-26T02:30:00+02:00", "2025-10-26T03:40:00+02:00")


def test_a_duration_across_the_change_of_clocks_is_real_time() -> None:
    log = (Behavior(datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN), "visit", "a", "", 7200),)
    minute = datetime(2026, 3, 29, 1, 30)  # noqa: DTZ001 - local
    (cover,) = grounded(log, [(minute, minute)])
    assert cover.end == "2026-03-29T03:30:00+01:00"


def test_fixed_offsets_are_kept() -> None:
    log = (Behavior(datetime(2026, 1, 1, 10, tzinfo=timezone(timedelta(hours=8))), "visit", "a", "", 60),)
    (cover,) = grounded(log, [(at("10:00"), at("10:00"))])
    assert cover[:3] == ((0,), "2026-01-01T10:00:00+08:00", "2026-01-01T10:01:00+08:00")


MINUTES = st.integers(0, 60)


@settings(deadline=None)
@given(
    st.lists(st.tuples(MINUTES, st.integers(0, 59), MINUTES), max_size=12),
    st.lists(st.tuples(MINUTES, MINUTES), max_size=6),
)
def test_the_rule_holds_as_it_is_worded(
    rows: list[tuple[int, int, int]], pairs: list[tuple[int, int]]
) -> None:
    zero = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    log = [
        Behavior(zero + timedelta(minutes=minute, seconds=second), "visit", "a", "", duration)
        for minute, second, duration in sorted(rows)
    ]
    spans = [(zero + timedelta(minutes=min(pair)), zero + timedelta(minutes=max(pair))) for pair in pairs]
    covers = grounded(log, spans)
    owners: dict[int, list[int]] = {}
    for number, cover in enumerate(covers):
        for position in cover.behaviors:
            owners.setdefault(position, []).append(number)
    for position, row in enumerate(log):
        minute = row.start.replace(second=0)
        around = [
            (end - start, -start.timestamp())
            for start, end in spans
            if start <= minute <= end
            and not (minute == end and any(start < other == end for other, _ in spans))
        ]
        owning = owners.get(position, [])
        assert len(owning) == bool(around), "one owner, where there is any"
        for number in owning:
            start, end = spans[number]
            assert (end - start, -start.timestamp()) == min(around)
    for (start, end), cover in zip(spans, covers, strict=True):
        expected = cover.behaviors
        if expected:
            ends = [
                log[position].start + timedelta(seconds=log[position].duration or 0) for position in expected
            ]
            assert (cover.start, cover.end) == (log[expected[0]].start.isoformat(), max(ends).isoformat())
        else:
            assert (cover.start, cover.end) == (start.isoformat(), end.isoformat())
