"""How many events, and output tokens, a part's answer is expected to have. Pure, from the log alone."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from eventabs.records import AnswerForm, Behavior, Detail

MOST_BRIEF = 12  # events a user
BEHAVIORS_AN_EVENT = 5  # detail `day`: one event for every five behaviors begun on a day
SESSION_GAP = timedelta(minutes=30)  # from the end of what was done to the next start
TOKENS_A_USER = 8
TOKENS_AN_EVENT: dict[AnswerForm, int] = {"lines": 32, "json": 40, "schema": 40}


def expected_events(behaviors: Sequence[Behavior], detail: Detail) -> int:
    """Return the number of events to expect of behaviors in time order.

    brief: one for every active day, at most 12. day: on every active day one for every five behaviors
    begun. fine: one for every session; a session ends where nothing is done for more than 30 minutes.
    Behaviors added at the end never lower it.
    """
    if detail == "fine":
        return _sessions(behaviors)
    days = Counter(behavior.start.toordinal() for behavior in behaviors)
    if detail == "brief":
        return min(MOST_BRIEF, len(days))
    return sum(-(-count // BEHAVIORS_AN_EVENT) for count in days.values())


def expected_output_tokens(behaviors: Sequence[Behavior], detail: Detail, answer: AnswerForm) -> int:
    """Return what the answer about behaviors in time order is expected to have."""
    return answer_tokens(expected_events(behaviors, detail), answer)


def answer_tokens(events: int, answer: AnswerForm) -> int:
    """Return 8 + 32 tokens an event (40 as JSON)."""
    return TOKENS_A_USER + TOKENS_AN_EVENT[answer] * events


def _sessions(behaviors: Sequence[Behavior]) -> int:
    sessions = 0
    end = None
    for behavior in behaviors:
        if end is None or behavior.start - end > SESSION_GAP:
            sessions += 1
        done = behavior.start + timedelta(seconds=behavior.duration or 0)
        end = done if end is None else max(end, done)
    return sessions
