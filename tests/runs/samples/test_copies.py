"""A copied run holds the drawn users as their logs are, binds what the first bound, and grows by its own seed alone."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from eventabs.errors_and_exit_codes import RunDirectoryError
from eventabs.runs.intake import drawn
from eventabs.runs.start_resume_reparse import Invocation, copy_users
from eventabs.store import Ledger, RunDirectory
from runs_jobs import RULES, Place, finish


@given(st.sets(st.text(max_size=8), max_size=40), st.integers(0, 45), st.integers(0, 45), st.integers())
def test_a_larger_draw_holds_the_smaller_one_in_whatever_order_the_users_come(
    users: set[str], few: int, many: int, seed: int
) -> None:
    few, many = sorted((few, many))
    assert len(drawn(users, many, seed)) == min(many, len(users))
    assert set(drawn(users, few, seed)) <= set(drawn(sorted(users), many, seed)) <= users


def test_another_seed_draws_others() -> None:
    users = [f"u{number}" for number in range(1_000)]
    assert len(set(drawn(users, 100, 1)) & set(drawn(users, 100, 2))) < 30


@pytest.fixture
def source(tmp_path: Path) -> RunDirectory:
    place = Place(tmp_path, users=12)
    with place.begin() as run:
        finish(run)
    return RunDirectory.find(place.out)


def copied(
    source: RunDirectory, users: list[str], *, size: int = 2, seed: int = 0, **llm: str
) -> tuple[RunDirectory, int, int]:
    """Copy users; return the copy, how many are still to be asked, and in how many calls."""
    copy, left, _first_calls, plan = copy_users(
        source,
        users,
        source.audit,
        Invocation(None, {**RULES, "budget": {"max_users": size}, **({"prompt": llm} if llm else {})}, {}),
        order=f"audit {seed}",
        confirmed=False,
    )
    return copy, left, len(plan.batches)


def test_a_copy_has_the_logs_of_its_users_and_all_is_still_to_do(source: RunDirectory) -> None:
    users = ["user_0001", "user_0004", "user_0007"]
    copy, left, calls = copied(source, users)
    with Ledger.watch(source.ledger) as before, Ledger.watch(copy.ledger) as after:
        assert after.logged_users() == set(users)
        assert [after.log(user) for user in users] == [before.log(user) for user in users]
        facts = after.meta()
        assert facts["binding"]["budget.max_users"] == "2"
        assert facts["input"]["fingerprint"] == before.meta()["input"]["fingerprint"]
        assert len(after.pending_parts()) == 3
    assert (left, calls) == (3, 2)


def test_a_copy_takes_more_users_and_none_twice(source: RunDirectory) -> None:
    copied(source, ["user_0001"])
    copy, *_left = copied(source, ["user_0001", "user_0002"])
    with Ledger.watch(copy.ledger) as ledger:
        assert ledger.logged_users() == {"user_0001", "user_0002"}


def test_another_seed_and_other_settings_are_refused(source: RunDirectory) -> None:
    copied(source, ["user_0001"])
    with pytest.raises(RunDirectoryError, match="another --seed"):
        copied(source, ["user_0001"], seed=1)
    with pytest.raises(RunDirectoryError, match=r"prompt\.detail"):
        copied(source, ["user_0001"], detail="fine")
