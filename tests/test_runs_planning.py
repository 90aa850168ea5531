from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from eventabs.prompts.packing import Limits
from eventabs.records import Batch, Part, PartSize, PlannedPart
from eventabs.runs.planning import PROBE_SHARE, plan, shuffled

LIMITS = Limits(max_input_tokens=1_100, instructions_tokens=100, max_output_tokens=500, max_users=5)

parts = st.lists(st.builds(PartSize, st.integers(1, 1_200), st.integers(1, 600)), max_size=30).map(
    lambda sizes: [PlannedPart(Part(f"user {n}", 0, 2), size) for n, size in enumerate(sizes)]
)


def tokens(batch: Batch) -> tuple[int, int]:
    return (
        sum(planned.size.input_tokens for planned in batch.parts),
        sum(planned.size.output_tokens for planned in batch.parts),
    )


@given(parts, st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_part_is_planned_once_within_the_limits(planned: list[PlannedPart], probe: bool) -> None:
    batches = plan(planned, LIMITS, probe=probe)
    assert Counter(p for batch in batches for p in batch.parts) == Counter(planned)
    for batch in batches:
        tokens_in, tokens_out = tokens(batch)
        assert 1 <= len(batch.parts) <= LIMITS.max_users
        assert len(batch.parts) == 1 or (tokens_in <= LIMITS.room and tokens_out <= LIMITS.max_output_tokens)


@given(parts)
@settings(max_examples=100, deadline=None)
def test_a_probe_keeps_the_first_batch_small_and_costs_at_most_a_few_batches(
    planned: list[PlannedPart],
) -> None:
    sure, probing = plan(planned, LIMITS), plan(planned, LIMITS, probe=True)
    assert len(sure) <= len(probing) <= len(sure) + LIMITS.max_users
    if probing and len(probing[0].parts) > 1:
        tokens_in, tokens_out = tokens(probing[0])
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
