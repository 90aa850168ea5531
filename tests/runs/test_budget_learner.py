"""What replies teach about tokens."""

from hypothesis import given, settings, strategies as st

from eventabs.prompts.packing import BatchLimits
from eventabs.runs.schedule_and_settlement import BudgetLearner
from eventabs.shared_records import PartSize, Usage
from runs_kit import LIMITS as BATCH

LIMITS = BATCH._replace(max_input_tokens=10_000, instructions_tokens=1_000, max_output_tokens=4_000)
SENT = [PartSize(500, 100, 0), PartSize(500, 100, 0)]  # with the instructions 2,000 tokens in, 200 out


def taught(learner: BudgetLearner, *usages: Usage) -> BatchLimits | None:
    before = learner.limits
    for usage in usages:
        learner.learn(SENT, usage, whole=True)
    return None if learner.limits == before else learner.limits


def test_answers_twice_as_long_as_expected_halve_what_is_planned_into_a_batch() -> None:
    limits = taught(BudgetLearner(LIMITS), *[Usage(2_000, 400)] * 3)
    assert limits is not None
    assert limits.max_output_tokens == 2_000
    assert limits.max_input_tokens == LIMITS.max_input_tokens


def test_of_few_answers_the_longest_one_does_not_decide() -> None:
    usages = [Usage(2_000, 600), *[Usage(2_000, 200)] * 5]
    assert taught(BudgetLearner(LIMITS), *usages) is None


def test_of_many_answers_the_long_ones_count_not_the_average_one() -> None:
    usages = [Usage(2_000, 200 if n % 10 else 600) for n in range(48)]
    limits = taught(BudgetLearner(LIMITS), *usages)
    assert limits is not None
    assert limits.max_output_tokens == 4_000 // 3


def test_of_many_answers_a_single_one_that_is_far_longer_decides_nothing() -> None:
    assert taught(BudgetLearner(LIMITS), *[Usage(2_000, 600 if n == 20 else 200) for n in range(48)]) is None


def test_an_answer_at_the_cap_teaches_at_once() -> None:
    learner = BudgetLearner(LIMITS)
    learner.learn(SENT, Usage(2_000, 400), whole=False, capped=True)
    assert learner.limits.max_output_tokens == int(4_000 / 2.5)


def test_answers_that_some_user_is_not_well_with_teach_nothing() -> None:
    learner = BudgetLearner(LIMITS)
    for _reply in range(30):
        learner.learn(SENT, Usage(2_000, 20), whole=False)
    assert learner.limits == LIMITS


def test_an_answer_far_shorter_than_others_broke_off_by_accident_one_as_long_at_the_cap() -> None:
    learner = BudgetLearner(LIMITS)
    assert learner.at_the_cap(Usage(2_000, 10)), "nothing is known yet"
    taught(learner, Usage(2_000, 1_000))
    assert learner.at_the_cap(Usage(2_000, 950))
    assert not learner.at_the_cap(Usage(2_000, 500))


def test_a_server_that_counts_more_tokens_lowers_the_input_and_one_that_counts_less_does_not_raise_it() -> (
    None
):
    more = taught(BudgetLearner(LIMITS), *[Usage(2_500, 200)] * 3)
    assert more is not None
    assert more.max_input_tokens == 8_000
    assert taught(BudgetLearner(LIMITS), *[Usage(1_000, 200)] * 10) is None


def lost(learner: BudgetLearner, *answers: tuple[int, int]) -> list[int]:
    """Tell of answers about so many rows that lost so many; return the limits of rows after each, 0: as before."""
    told = []
    for rows, missing in answers:
        before = learner.limits
        learner.lose([PartSize(500, 100, rows)], missing)
        told.append(0 if learner.limits == before else learner.limits.max_rows)
    return told


def test_calls_get_half_the_rows_where_two_answers_lose_more_than_a_twentieth_not_for_one() -> None:
    learner = BudgetLearner(LIMITS)
    assert lost(learner, (400, 40), *[(400, 20)] * 9) == [0] * 10
    assert lost(learner, *[(400, 40)] * 5) == [0, 0, 0, 0, 200], "most of the last ones"
    assert lost(learner, (400, 40), (90, 90), (200, 11), (200, 11)) == [0, 0, 0, 100], (
        "on its way, and a small rest"
    )
    assert lost(learner, *[(100, 7)] * 2) == [0, 200], "as bad as twice the rows"
    assert lost(learner, *[(200, 14)] * 9) == [0] * 9
    assert learner.limits.max_output_tokens == LIMITS.max_output_tokens
    assert lost(BudgetLearner(LIMITS._replace(max_rows=80)), *[(80, 80)] * 4) == [0, 50, 0, 0], (
        "never below fifty"
    )


def test_calls_get_more_rows_again_after_good_answers_and_later_each_time_that_these_were_too_many() -> None:
    learner = BudgetLearner(LIMITS)
    assert lost(learner, *[(400, 40)] * 2)[-1] == 200
    assert lost(learner, *[(200, 6)] * 30) == [0] * 30, "twice the rows would lose too many"
    for needed in (8, 16, 32):
        learner = learner if needed > 8 else BudgetLearner(LIMITS)
        assert lost(learner, *[(400, 40)] * 2)[-1] == 200
        assert lost(learner, *[(200, 2)] * needed) == [0] * (needed - 1) + [400]
    assert lost(learner, *[(400, 4)] * 80) == [0] * 80, "never more than there were at first"


def test_a_model_that_numbers_anew_for_each_user_is_asked_about_one_at_a_time() -> None:
    learner = BudgetLearner(LIMITS)
    learner.number_anew(did=True)
    assert learner.limits.max_users == 1, "nothing good has come yet"
    learner = BudgetLearner(LIMITS)
    taught(learner, Usage(2_000, 200))
    for did in (True, False, True):
        learner.number_anew(did=did)
    assert learner.limits == LIMITS
    learner.number_anew(did=True)
    assert learner.limits == LIMITS._replace(max_users=1)


def test_replies_as_expected_change_no_plan() -> None:
    assert taught(BudgetLearner(LIMITS), *[Usage(2_000, 201)] * 20) is None


def test_a_reply_without_tokens_teaches_nothing() -> None:
    assert taught(BudgetLearner(LIMITS), *[Usage()] * 20) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans(), st.booleans()), max_size=60
    )
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_heard_the_limits_stay_usable(heard: list[tuple[int, int, bool, bool]]) -> None:
    learner = BudgetLearner(LIMITS)
    for prompt, completion, whole, capped in heard:
        learner.learn(SENT, Usage(prompt, completion), whole=whole, capped=capped)
        limits = learner.limits
        assert limits.room >= 1
        assert LIMITS.max_output_tokens / 8 <= limits.max_output_tokens <= 2 * LIMITS.max_output_tokens
        assert limits.max_input_tokens <= LIMITS.max_input_tokens
