from collections import Counter
from random import Random

from hypothesis import given, settings, strategies as st

from eventabs.prompts.packing import MAX_ALIASES, PROBE_SHARE, BatchLimits, plan, shuffled
from eventabs.prompts.tokens import TokenCounter
from eventabs.shared_records import Batch, Part, PartSize, PlannedPart

LIMITS = BatchLimits(
    max_input_tokens=1_100,
    instructions_tokens=100,
    max_output_tokens=500,
    max_users=5,
    max_rows=150,
    counter=TokenCounter(),
)

parts = st.lists(
    st.builds(PartSize, st.integers(1, 1_200), st.integers(1, 600), st.integers(1, 160)), max_size=30
).map(lambda sizes: [PlannedPart(Part(f"user {n}", 0, 2), size) for n, size in enumerate(sizes)])


def tokens(batch: Batch) -> tuple[int, int, int]:
    rows = sum(planned.size.rows for planned in batch.parts)
    return (
        sum(planned.size.input_tokens for planned in batch.parts)
        + rows,  # numbers up to 999 are one token each
        sum(planned.size.output_tokens for planned in batch.parts),
        rows,
    )


@given(parts, st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_part_is_planned_once_within_the_limits(planned: list[PlannedPart], probe: bool) -> None:
    batches = plan(planned, LIMITS, probe=probe)
    assert Counter(p for batch in batches for p in batch.parts) == Counter(planned)
    for batch in batches:
        tokens_in, tokens_out, rows = tokens(batch)
        assert 1 <= len(batch.parts) <= LIMITS.max_users
        if len(batch.parts) > 1:
            assert tokens_in <= LIMITS.room
            assert tokens_out <= LIMITS.max_output_tokens
            assert rows <= LIMITS.max_rows


@given(parts)
@settings(max_examples=100, deadline=None)
def test_a_probe_keeps_the_first_batch_small_and_costs_at_most_a_few_batches(
    planned: list[PlannedPart],
) -> None:
    sure, probing = plan(planned, LIMITS), plan(planned, LIMITS, probe=True)
    assert len(sure) <= len(probing) <= len(sure) + LIMITS.max_users
    if probing and len(probing[0].parts) > 1:
        tokens_in, tokens_out, _rows = tokens(probing[0])
        assert tokens_in <= PROBE_SHARE * LIMITS.room
        assert tokens_out <= PROBE_SHARE * LIMITS.max_output_tokens


@given(parts, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_asking_again_depends_on_the_parts_alone(
    planned: list[PlannedPart], random: Random
) -> None:
    mixed = list(planned)
    random.shuffle(mixed)
    assert shuffled(mixed) == shuffled(planned)


def equal_parts(count: int, size: PartSize) -> list[PlannedPart]:
    return [PlannedPart(Part(f"u{number:02d}", 0, 2), size) for number in range(count)]


def test_the_last_round_of_the_workers_is_filled_where_that_ends_sooner() -> None:
    planned = equal_parts(20, PartSize(50, 100, 1))
    assert [len(plan(planned, LIMITS, workers=workers)) for workers in (1, 2, 3, 8)] == [4, 4, 6, 4]


def test_no_batches_are_added_that_cost_more_than_they_win() -> None:
    planned = equal_parts(20, PartSize(50, 100, 1))
    costly = LIMITS._replace(max_input_tokens=21_000, instructions_tokens=20_000)
    assert len(plan(planned, costly, workers=3)) == 4
    assert len(plan(equal_parts(4, PartSize(50, 500, 1)), LIMITS, workers=3)) == 4


def test_a_spare_part_of_the_probe_that_fits_in_no_other_batch_has_its_own() -> None:
    planned = equal_parts(2, PartSize(50, 250, 1))
    assert [len(batch.parts) for batch in plan(planned, LIMITS, probe=True)] == [1, 1]


def test_no_batch_has_an_alias_that_costs_more_than_was_measured() -> None:
    planned = equal_parts(2 * MAX_ALIASES, PartSize(1, 6, 1))
    limits = LIMITS._replace(max_input_tokens=100_000, max_output_tokens=8_192, max_users=2_000, max_rows=0)
    assert [len(batch.parts) for batch in plan(planned, limits)] == [MAX_ALIASES, MAX_ALIASES]
    # what the first leaves to the others is counted too
    assert all(len(batch.parts) <= MAX_ALIASES for batch in plan(planned, limits, probe=True))
