"""Nobody is lost or doubled, no budget broken, and batches are as few as they can be."""

import random
from math import ceil

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.prompts.packing import BatchLimits, lower_bound, pack
from eventabs.prompts.tokens import TokenCounter
from eventabs.shared_records import PartSize

COUNTER = TokenCounter()
LIMITS = BatchLimits(
    max_input_tokens=40_000,
    instructions_tokens=700,
    max_output_tokens=8_192,
    max_users=30,
    max_rows=0,
    counter=COUNTER,
)


def sizes_up_to(share: float, least: int = 1) -> st.SearchStrategy[list[PartSize]]:
    most_in, most_out = int((LIMITS.room - 300) * share), int(LIMITS.max_output_tokens * share)
    return st.lists(
        st.builds(PartSize, st.integers(least, most_in), st.integers(least, most_out), st.integers(0, 300)),
        max_size=120,
    )


def plain_bound(sizes: list[PartSize], limits: BatchLimits) -> int:
    """Return the bound but for what row numbers cost."""
    room = limits.max_input_tokens - limits.instructions_tokens
    return max(
        ceil(sum(size.input_tokens for size in sizes) / room),
        ceil(sum(size.output_tokens for size in sizes) / limits.max_output_tokens),
        ceil(len(sizes) / limits.max_users),
        ceil(sum(size.rows for size in sizes) / limits.max_rows) if limits.max_rows else 0,
    )


def assert_sound(batches: list[list[int]], sizes: list[PartSize], limits: BatchLimits) -> None:
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        rows = sum(sizes[index].rows for index in batch)
        numbers = sum(1 if number < 1_000 else 2 for number in range(1, rows + 1))  # tokens of cl100k_base
        tokens_in = sum(sizes[index].input_tokens for index in batch) + numbers
        tokens_out = sum(sizes[index].output_tokens for index in batch)
        assert len(batch) == 1 or tokens_in + limits.instructions_tokens <= limits.max_input_tokens
        assert len(batch) == 1 or tokens_out <= limits.max_output_tokens
        assert len(batch) == 1 or not limits.max_rows or rows <= limits.max_rows
        assert 1 <= len(batch) <= limits.max_users


@settings(max_examples=150, deadline=None)
@given(sizes_up_to(1.3), st.integers(1, 30), st.sampled_from([0, 0, 100, 700, 5_000]))
def test_nobody_is_lost_or_doubled_and_no_budget_is_broken(
    sizes: list[PartSize], max_users: int, max_rows: int
) -> None:
    limits = LIMITS._replace(max_users=max_users, max_rows=max_rows)
    batches = pack(sizes, limits)
    assert_sound(batches, sizes, limits)
    assert lower_bound(sizes, limits)[0] >= plain_bound(sizes, limits)
    if all(map(limits.hold, sizes)):
        assert len(batches) >= lower_bound(sizes, limits)[0]


def test_the_bound_and_the_packing_count_what_row_numbers_cost() -> None:
    """A row of a token and its number: of 39,300 tokens 13,433 rows take one, since numbers from 1,000 on cost two."""
    rows = 13_433
    assert rows + COUNTER.numbers(rows)[rows] == 39_300
    sizes = [PartSize(1, 1, 1)] * rows
    limits = LIMITS._replace(max_output_tokens=10**6, max_users=10**6)
    assert lower_bound(sizes, limits) == (1, "input")
    assert lower_bound([*sizes, PartSize(1, 1, 1)], limits) == (2, "input")
    whole = PartSize(rows, 1, rows)
    assert limits.hold(whole)
    assert not limits.hold(whole._replace(rows=rows + 1))
    assert limits.input_tokens([whole]) == limits.max_input_tokens


def test_where_rows_bind_batches_are_as_few_as_they_can_be_or_one_more() -> None:
    rng = random.Random(1)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(15 * rows, 8 + 4 * rows, rows) for rows in (rng.randint(20, 120) for _ in range(400))]
    limits = LIMITS._replace(max_rows=500)
    bound, binds = lower_bound(sizes, limits)
    batches = pack(sizes, limits)
    assert_sound(batches, sizes, limits)
    assert binds == "rows"
    assert len(batches) <= bound + 1


@settings(max_examples=100, deadline=None)
@given(sizes_up_to(0.1))
def test_small_users_take_the_lower_bound_or_one_batch_more(sizes: list[PartSize]) -> None:
    batches = pack(sizes, LIMITS)
    assert_sound(batches, sizes, LIMITS)
    assert len(batches) <= plain_bound(sizes, LIMITS) + 1


LARGE = [PartSize(1, tokens, 0) for tokens in (4_096, 4_096, 2_785, 2_703, 2_703)]  # 2 x 1/2, 3 x 1/3


def test_large_parts_are_packed_like_first_fit_where_that_is_better() -> None:
    assert pack(LARGE, LIMITS) == [[0, 1], [2, 3, 4]]


def test_the_fullest_dimension_of_batches_is_filled_evenly() -> None:
    rng = random.Random(5)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(rng.randint(1_000, 3_000), rng.randint(200, 600), 0) for _ in range(380)]
    fills = [
        max(
            sum(sizes[index].input_tokens for index in batch) / LIMITS.room,
            sum(sizes[index].output_tokens for index in batch) / LIMITS.max_output_tokens,
        )
        for batch in pack(sizes, LIMITS)
    ]
    assert min(fills) > 0.95 * max(fills)


def test_batches_come_longest_answer_first_and_always_the_same() -> None:
    rng = random.Random(6)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(rng.randint(1, 9_000), rng.randint(1, 2_000), 0) for _ in range(200)]
    batches = pack(sizes, LIMITS)
    loads = [sum(sizes[index].output_tokens for index in batch) for batch in batches]
    assert loads == sorted(loads, reverse=True)
    assert pack(sizes, LIMITS) == batches
    assert all(batch == sorted(batch) for batch in batches)


def test_users_who_answer_much_go_together_with_users_who_say_much() -> None:
    sizes = [PartSize(30_000, 1_000, 0)] * 5 + [PartSize(5_000, 7_000, 0)] * 5
    assert len(pack(sizes, LIMITS)) == 5


@pytest.mark.parametrize(
    ("size", "count", "bound"),
    [
        (PartSize(39_300, 1, 0), 4, (4, "input")),
        (PartSize(1, 8_192, 0), 4, (4, "output")),
        (PartSize(1, 1, 0), 31, (2, "users")),
        (PartSize(1, 1, 0), 0, (0, "input")),
        (PartSize(20_000, 5_000, 0), 3, (2, "output")),
        (PartSize(27_000, 5_000, 0), 3, (3, "input")),
    ],
)
def test_the_bound_names_the_limit_that_binds(size: PartSize, count: int, bound: tuple[int, str]) -> None:
    assert lower_bound([size] * count, LIMITS) == bound
    assert len(pack([size] * count, LIMITS)) >= bound[0]


def test_a_part_too_large_for_any_batch_stands_alone() -> None:
    sizes = [PartSize(50_000, 10, 0), PartSize(10, 10, 0), PartSize(10, 9_000, 0), PartSize(10, 10, 0)]
    assert pack(sizes, LIMITS) == [[2], [1, 3], [0]] or pack(sizes, LIMITS) == [[2], [0], [1, 3]]


def test_instructions_that_fill_the_budget_are_refused_with_the_next_step() -> None:
    with pytest.raises(ConfigError, match="--max-input-tokens"):
        pack([PartSize(1, 1, 0)], LIMITS._replace(max_input_tokens=700))


def test_many_users_are_packed_close_to_the_bound() -> None:
    rng = random.Random(7)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(rng.randint(300, 3_500), rng.randint(300, 1_400), 0) for _ in range(20_000)]
    batches = pack(sizes, LIMITS)
    assert_sound(batches, sizes, LIMITS)
    assert len(batches) <= 1.008 * plain_bound(sizes, LIMITS)


@pytest.mark.parametrize(
    ("share", "count", "bound"),
    [(0.51, 10, 10), (0.34, 90, 45), (0.21, 100, 25), (0.2, 100, 20), (0.26, 90, 30)],
)
def test_as_many_large_parts_as_can_go_together(share: float, count: int, bound: int) -> None:
    sizes = [PartSize(1, int(8_192 * share), 0)] * count
    assert len(pack(sizes, LIMITS)) == bound


def counted_bound(shares: list[float], most: int) -> float:
    """Return the bound from how many large parts share a batch: at most so many, and so many only where the smallest do."""
    shares = sorted(shares)
    full = next(n for n in range(len(shares)) if sum(shares[: most * (n + 1)]) > n + 1)
    return full + (len(shares) - most * full) / (most - 1)


def test_parts_of_many_rows_are_counted_with_what_their_numbers_cost() -> None:
    limits = LIMITS._replace(max_input_tokens=32_000, max_output_tokens=10**6)
    rng = random.Random(9)  # noqa: S311  sizes, not secrets
    sizes = []
    for tokens in (rng.randint(int(0.19 * 32_000), int(0.23 * 32_000)) for _ in range(600)):
        rows = int(tokens / 13.5)
        sizes.append(PartSize(int(tokens - 1.5 * rows), 10, rows))
    batches = pack(sizes, limits)
    assert_sound(batches, sizes, limits)
    shares = [(size.input_tokens + 1.5 * size.rows) / limits.room for size in sizes]
    assert len(batches) <= 1.02 * counted_bound(shares, 5)


def test_more_batches_than_needed_are_filled_as_evenly() -> None:
    rng = random.Random(8)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(rng.randint(1_000, 3_000), rng.randint(200, 600), 0) for _ in range(380)]
    least = len(pack(sizes, LIMITS)) + 3
    batches = pack(sizes, LIMITS, least=least)
    assert_sound(batches, sizes, LIMITS)
    assert len(batches) == least
    assert len(pack(sizes[:5], LIMITS, least=50)) == 5


def test_small_users_of_about_a_fifth_go_together_so_that_five_fit() -> None:
    rng = random.Random(1)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(rng.randint(400, 4_000), rng.randint(1_557, 1_884), 0) for _ in range(2_000)]
    batches = pack(sizes, LIMITS)
    assert_sound(batches, sizes, LIMITS)
    bound = counted_bound([size.output_tokens / LIMITS.max_output_tokens for size in sizes], 5)
    assert len(batches) <= 1.005 * bound
    assert bound > 1.06 * plain_bound(sizes, LIMITS)


@pytest.mark.parametrize(
    ("least", "most", "share"), [(0.3, 0.45, 1.18), (0.01, 1.0, 1.02), (0.02, 0.2, 1.01)]
)
def test_large_runs_are_packed_close_to_the_bound(least: float, most: float, share: float) -> None:
    rng = random.Random(2)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(10, int(rng.uniform(least, most) * 8_192), 0) for _ in range(5_000)]
    batches = pack(sizes, LIMITS)
    assert_sound(batches, sizes, LIMITS)
    assert len(batches) <= share * plain_bound(sizes, LIMITS)


def test_small_users_who_answer_much_or_say_much_are_packed_close_to_the_bound() -> None:
    rng = random.Random(3)  # noqa: S311  sizes, not secrets
    sizes = [PartSize(rng.randint(400, 7_000), rng.randint(100, 1_600), 0) for _ in range(500)]
    batches = pack(sizes, LIMITS)
    assert_sound(batches, sizes, LIMITS)
    assert len(batches) <= 1.03 * plain_bound(sizes, LIMITS)
