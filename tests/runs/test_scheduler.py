from collections import Counter

from hypothesis import given, settings, strategies as st

from eventabs.prompts.packing import PROBE_SHARE, BatchLimits
from eventabs.runs.schedule_and_settlement import Scheduler
from eventabs.shared_records import Batch, Part, PartSize, PlannedPart
from runs_kit import LIMITS, plan

SMALL = LIMITS._replace(
    max_input_tokens=1_100, instructions_tokens=100, max_output_tokens=500, max_users=5, max_rows=20
)

sizes = st.builds(
    PartSize, st.integers(1, 1_200), st.integers(1, 600), st.integers(1, 25)
)  # some exceed the limits alone


@st.composite
def pending(draw: st.DrawFn) -> list[PlannedPart]:
    drawn = draw(st.lists(st.tuples(sizes, st.sampled_from([0, 0, 0, 1, 2, 4])), max_size=30))
    return [
        PlannedPart(Part(f"user {n}", 0, 2), size, max_peers=peers) for n, (size, peers) in enumerate(drawn)
    ]


def drain(scheduler: Scheduler) -> list[Batch]:
    batches = []
    while (batch := scheduler.next()) is not None:
        batches.append(batch)
    return batches


def parts_in(batches: list[Batch]) -> Counter[Part]:
    return Counter(planned.part for batch in batches for planned in batch.parts)


def assert_holds(batch: Batch, limits: BatchLimits) -> None:
    if len(batch.parts) > 1:
        assert limits.holds([planned.size for planned in batch.parts])
    peers = min([p.max_peers for p in batch.parts if p.max_peers], default=limits.max_users)
    assert len(batch.parts) <= min(peers, limits.max_users)


@given(pending(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_part_goes_once_in_a_batch_that_no_limit_forbids(parts: list[PlannedPart], probe: bool) -> None:
    batches = drain(Scheduler(parts, SMALL, probe=probe))
    assert parts_in(batches) == Counter(planned.part for planned in parts)
    for batch in batches:
        assert batch.parts
        assert_holds(batch, SMALL)


@given(pending(), st.data())
@settings(max_examples=60, deadline=None)
def test_nobody_is_lost_or_asked_twice_at_a_time_whatever_comes_back(
    parts: list[PlannedPart], data: st.DataObject
) -> None:
    """Any number of workers, any answers, any new plan in between."""
    scheduler = Scheduler(parts, SMALL, probe=data.draw(st.booleans()))
    unfinished = {planned.part for planned in parts}
    in_flight: list[Batch] = []
    for _step in range(60):
        match data.draw(st.sampled_from(["send", "send", "end", "end", "replan"])):
            case "send":
                batch = scheduler.next()
                if batch is None:
                    continue
                in_flight.append(batch)
                assert_holds(batch, SMALL)
                assert max(parts_in(in_flight).values()) == 1
            case "end" if in_flight:
                batch = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
                peers = (len(batch.parts) + 1) // 2
                for planned in batch.parts:
                    if data.draw(st.booleans()):
                        unfinished.remove(planned.part)
                    else:
                        scheduler.put_back([planned._replace(max_peers=peers)])
            case "replan":
                scheduler.replan(
                    SMALL._replace(
                        max_output_tokens=data.draw(st.integers(1, 500)),
                        max_rows=data.draw(st.integers(5, 20)),
                    )
                )
    waiting = drain(scheduler)
    assert parts_in(in_flight + waiting) == Counter(unfinished)


@given(pending())
@settings(max_examples=60, deadline=None)
def test_a_fresh_plan_counts_its_batches_exactly(parts: list[PlannedPart]) -> None:
    fresh = [planned._replace(max_peers=0) for planned in parts]
    scheduler = Scheduler(fresh, SMALL)
    announced = scheduler.batches
    assert announced == len(drain(scheduler))
    assert scheduler.batches == 0


def test_what_is_put_back_is_counted_by_its_peers_until_it_is_packed() -> None:
    scheduler = Scheduler([], LIMITS)
    scheduler.put_back(plan(f"a{n}", peers=4) for n in range(9))
    scheduler.put_back(plan(f"b{n}", peers=1) for n in range(2))
    assert scheduler.batches == 3 + 2 == len(drain(scheduler))


def test_what_is_put_back_waits_until_the_plan_has_been_sent() -> None:
    scheduler = Scheduler([plan(f"u{n}") for n in range(60)], LIMITS)
    first = scheduler.next()
    assert first is not None
    scheduler.put_back([first.parts[0]._replace(attempts=1, max_peers=15)])
    second, third = scheduler.next(), scheduler.next()
    assert second is not None
    assert third is not None
    assert second.attempt == 1
    assert third.parts == (first.parts[0]._replace(attempts=1, max_peers=15),)


def test_parts_that_were_asked_together_are_asked_again_in_another_order_the_same_in_every_process() -> None:
    parts = [plan(f"u{n}", peers=12, attempts=1) for n in range(12)]
    (first,) = drain(Scheduler(parts, LIMITS))
    (again,) = drain(Scheduler(parts[::-1], LIMITS))
    (later,) = drain(Scheduler([planned._replace(attempts=2) for planned in parts], LIMITS))
    assert first == again
    assert first.parts != tuple(parts)
    assert [planned.part for planned in first.parts] != [planned.part for planned in later.parts]


def test_a_probe_leaves_room_for_an_answer_longer_than_expected() -> None:
    parts = [PlannedPart(Part(f"u{n}", 0, 2), PartSize(100, 1_000, 3)) for n in range(40)]
    first, *others = drain(Scheduler(parts, LIMITS, probe=True))
    assert sum(planned.size.output_tokens for planned in first.parts) <= PROBE_SHARE * 8_192
    assert max(len(batch.parts) for batch in others) == 8


def test_a_probe_of_one_large_part_is_sent_as_it_is() -> None:
    part = PlannedPart(Part("whale", 0, 2), PartSize(50_000, 1_000, 3))
    assert drain(Scheduler([part], LIMITS, probe=True)) == [Batch((part,))]
