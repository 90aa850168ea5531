"""What a large model answered to one prompt about 24 users: every row is placed once, and two answers agree."""

from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from eventabs.shared_records import Outcome, Reply
from paths import ROOT
from reply_cases import READER, request_of

FOLDER = ROOT / "tests" / "data" / "answers"
ANSWERS = sorted(FOLDER.glob("rows-*.txt"))
REQUEST = request_of((FOLDER / "prompt-zh.txt").read_text("utf-8"))


@cache
def outcomes_of(path: Path) -> dict[str, Outcome]:
    reading = READER.read(Reply(path.read_text("utf-8")), REQUEST)
    assert (reading.unknown_aliases, reading.repeated_users) == (0, 0)
    return reading.outcomes


def test_the_prompt_has_1058_rows_of_24_users() -> None:
    assert (len(REQUEST), sum(len(user.rows) for user in REQUEST.values())) == (24, 1058)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_every_user_is_done_and_every_row_is_placed_once(path: Path) -> None:
    placed = 0
    for alias, outcome in outcomes_of(path).items():
        assert (outcome.reason, outcome.unplaced, outcome.misfiled, outcome.repeated) == (None, (), 0, 0)
        rows = [*outcome.minor, *(row for event in outcome.events for row in event.behaviors)]
        assert sorted(rows) == [*REQUEST[alias].rows]
        placed += len(rows)
    assert placed == 1058


def test_two_answers_agree_in_events_and_journeys() -> None:
    assert len(ANSWERS) == 2
    for one, other in combinations(map(outcomes_of, ANSWERS), 2):
        ours, theirs = (
            {(alias, event.behaviors) for alias, outcome in each.items() for event in outcome.events}
            for each in (one, other)
        )
        assert 2 * len(ours & theirs) / (len(ours) + len(theirs)) > 0.9
        assert [sum(len(outcome.journeys) for outcome in each.values()) for each in (one, other)] == [19, 20]
