"""Answers of a large model to linking calls about the judged set, read as a run reads them."""

import json
import re
from itertools import combinations

import pytest

from eventabs.shared_records import AskedUser, Journey, Outcome, Part, Reply, UserLog
from paths import ROOT
from reply_cases import FIRST, READER

LINKS = ROOT / "benchmarks" / "judged" / "links"


def asked_in(prompt: str) -> dict[str, AskedUser]:
    """Return the users of a prompt with their journeys, whose ids are the numbers in the prompt."""
    users = {}
    for block in re.split(r"(?m)^## ", prompt.partition("[user]")[2])[1:]:
        alias, *rows = block.split("\n")
        journeys = tuple(
            Journey(found[1], alias, "", "", "", "", 0, 0, False, (), (), ())
            for row in rows
            if (found := re.match(r"(\d+) ", row))
        )
        part = Part.link(alias)
        users[alias] = AskedUser(
            part,
            UserLog(alias, FIRST[:1] * len(journeys)),
            range(len(journeys)),
            Outcome(part, None, journeys=journeys),
        )
    return users


@pytest.mark.parametrize(("name", "found"), [("zh-1", 16), ("zh-2", 20), ("en-1", 24)])
def test_journeys_that_a_large_model_calls_one_are_those_that_readers_call_one(name: str, found: int) -> None:
    asked = asked_in((LINKS / f"{name}.prompt.txt").read_text("utf-8"))
    truth = json.loads((LINKS / f"{name}.truth.json").read_text("utf-8"))
    reading = READER.read(Reply((LINKS / f"{name}.txt").read_text("utf-8")), asked)
    exact, wrong = 0, 0
    for alias, user in truth.items():
        outcome = reading.outcomes[alias]
        assert outcome.reason is None
        groups = [{int(one) for one in same} - set(user["unknown"]) for same in outcome.same]
        exact += sum(set(same) in groups for same in user["same"])
        pairs = {pair for same in user["same"] for pair in combinations(sorted(same), 2)}
        wrong += len({pair for group in groups for pair in combinations(sorted(group), 2)} - pairs)
    assert (exact, wrong) == (found, 0)
