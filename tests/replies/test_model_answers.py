"""What a large model answered to the prompt of the 24 users of examples/, level `day`: read, tied to rows, and in agreement.

Each answer was given independently to one and the same prompt of that language. docs/prompts.md has the figures.
"""

from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from eventabs.ingest.export import open_export
from eventabs.language import Language
from eventabs.prompts.lines import Compactor, default_vocabulary
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import Event, Part, Reply, UserLog
from eventabs.replies.reader import Labels, read_reply
from paths import ROOT

ANSWERS = sorted((ROOT / "tests" / "data" / "answers").glob("day-*.txt"))
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> dict[str, UserLog]:
    """Return the users of examples/ by alias."""
    with open_export(
        [str(ROOT / "examples" / "behaviors.jsonl")],
        columns={},
        profiles="",
        profile_columns=(),
        timezone="",
        work_dir=tmp_path_factory.mktemp("work"),
    ) as export:
        return {f"U{number}": log for number, log in enumerate(export.user_logs(), 1)}


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def events_of(path: Path, users: dict[str, UserLog]) -> dict[str, tuple[Event, ...]]:
    """Read an answer; every user is done."""
    language: Language = "zh" if "-zh-" in path.name else "en"
    reading = read_reply(
        Reply(text_of(path)),
        users,
        {alias: Part(log.user_id, 0, len(log.behaviors) - 1) for alias, log in users.items()},
        labels=Labels(default_vocabulary(language)),
        min_grounded=0.5,
        source="llm",
        lines=Compactor(language).contents,
    )
    assert reading.copied == 0
    assert {alias: outcome.reason for alias, outcome in reading.outcomes.items() if outcome.reason} == {}
    return {alias: outcome.events for alias, outcome in reading.outcomes.items()}


def starts(events: dict[str, tuple[Event, ...]]) -> Counter[tuple[str, str]]:
    return Counter((alias, event.start[:16]) for alias, each in events.items() for event in each)


def covers(events: dict[str, tuple[Event, ...]]) -> set[tuple[str, tuple[int, ...]]]:
    return {(alias, event.behaviors) for alias, each in events.items() for event in each}


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_every_user_is_done_and_every_event_owns_rows_that_no_other_has(
    path: Path, users: dict[str, UserLog]
) -> None:
    for alias, events in events_of(path, users).items():
        assert all(event.grounded for event in events)
        owned = [position for event in events for position in event.behaviors]
        assert len(owned) == len(set(owned))
        assert len(owned) > len(users[alias].behaviors) / 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_to_one_prompt_agree_in_what_the_events_are(
    language: Language, users: dict[str, UserLog]
) -> None:
    answers = [events_of(path, users) for path in ANSWERS if f"-{language}-" in path.name]
    assert len(answers) >= 2
    for one, other in combinations(answers, 2):
        ours, theirs = starts(one), starts(other)
        assert 2 * (ours & theirs).total() / (ours.total() + theirs.total()) > 0.95
        same = covers(one) & covers(other)
        assert 2 * len(same) / (len(covers(one)) + len(covers(other))) > 0.92


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_an_event_takes_at_most_twenty_tokens_and_ten_without_its_summary(
    path: Path, users: dict[str, UserLog]
) -> None:
    count = TokenCounter().count
    number = sum(map(len, events_of(path, users).values()))
    assert count(text_of(path)) / number < 20
    without = "\n".join(line.partition(" |")[0] for line in text_of(path).splitlines())
    assert count(without) / number < 11
