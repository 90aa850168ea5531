"""Ten thousand answers written otherwise than asked: nobody loses an event to a habit, and none is invented."""

import pytest

from mutation_kinds import KINDS, Kind
from mutations import Tally, main, measure, table

pytestmark = pytest.mark.slow
COUNT = 10_000


@pytest.fixture(scope="module")
def tallies() -> dict[Kind, Tally]:
    return measure(COUNT, seed=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_users_keep_exactly_their_events_whatever_a_model_makes_of_the_form(
    tallies: dict[Kind, Tally], kind: Kind
) -> None:
    assert tallies[kind].answers >= COUNT // len(KINDS)
    assert tallies[kind].invented == []
    assert tallies[kind].share >= kind.least


def test_what_a_cut_answer_gives_are_whole_users(tallies: dict[Kind, Tally]) -> None:
    tally = next(tally for kind, tally in tallies.items() if kind.finish_reason == "length")
    assert tally.partly == 0
    assert set(tally.reasons) <= {"cut", "missing", "unparsable"}


def test_some_lost_signs_cost_few_users(tallies: dict[Kind, Tally]) -> None:
    tally = next(tally for kind, tally in tallies.items() if kind.name.startswith("one to three signs"))
    assert tally.whole + tally.partly >= 0.9 * tally.users


def test_the_table_has_a_row_for_each_kind_and_a_seed_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "60", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n| ") == len(KINDS)
    assert "\n".join(table(measure(60, seed=3))) in shown
