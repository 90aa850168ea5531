"""Answers written otherwise than asked: nobody loses a row to a habit, and damage breaks no promise."""

import pytest

from mutation_kinds import KINDS, Kind
from mutations import Tally, main, measure, table

pytestmark = pytest.mark.slow

COUNT = 20 * len(KINDS)


@pytest.fixture(scope="module")
def tallies() -> dict[Kind, Tally]:
    return measure(COUNT, seed=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_row_is_in_two_events_under_another_header_or_lost_uncounted(
    tallies: dict[Kind, Tally], kind: Kind
) -> None:
    assert tallies[kind].answers == COUNT // len(KINDS)
    assert tallies[kind].broken == []
    assert tallies[kind].share >= kind.least


def test_what_a_cut_answer_gives_are_whole_users(tallies: dict[Kind, Tally]) -> None:
    tally = next(tally for kind, tally in tallies.items() if kind.finish_reason == "length")
    assert tally.other == 0
    assert set(tally.reasons) <= {"cut", "missing", "unparsable"}


def test_an_answer_that_counts_anew_gives_nobody_another_event(tallies: dict[Kind, Tally]) -> None:
    tally = next(tally for kind, tally in tallies.items() if kind.name.startswith("counted anew"))
    assert tally.other == 0
    assert tally.reasons["renumbered"] > 0


def test_the_table_has_a_row_for_each_kind_and_a_seed_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    count = 2 * len(KINDS)
    assert main(["--count", str(count), "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n| ") == len(KINDS)
    assert "\n".join(table(measure(count, seed=3))) in shown
