"""What answers held: summed up for those that hold, and one by one as they were read, by their place in the batch.

What falls with the size of a batch, or towards its end, speaks for smaller ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from eventabs.measures import place_third, users_band
from eventabs.records import AnswerCells, Outcome, UserLog
from eventabs.store.codec import load_json
from eventabs.store.ledger import Ledger

_OF_ANSWERS: Final = "answer_counts"  # in meta
_ANSWER_COUNTS: Final = ("covered", "ungrounded", "repeated", "outside", "missed")


def summed(values: Sequence[Any]) -> Any:  # noqa: ANN401  a number, or numbers by name at any depth
    """Add up numbers, or numbers by name at any depth, each by itself."""
    if values and not isinstance(values[0], Mapping):
        return sum(values)
    names = dict.fromkeys(name for value in values for name in value)
    return {name: summed([value[name] for value in values if name in value]) for name in names}


def answer_counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count what outcomes that hold say about events and behaviors, by the names in `Counts`."""
    events = [event for outcome in outcomes for event in outcome.events]
    return {
        "covered": sum(len(event.behaviors) for event in events),
        "ungrounded": sum(not event.grounded for event in events),
        "repeated": sum(outcome.duplicates for outcome in outcomes),
        "outside": sum(event.outside for event in events),
        "missed": sum(event.source == "must" for event in events),
    }


def add_answer_counts(ledger: Ledger, counts: Mapping[str, int]) -> None:
    """Add to the stored counts."""
    before = stored_answer_counts(ledger)
    store_answer_counts(ledger, summed([before, counts]))


def store_answer_counts(ledger: Ledger, counts: Mapping[str, int]) -> None:
    """Replace the stored counts."""
    ledger.set_meta({_OF_ANSWERS: counts})


def stored_answer_counts(ledger: Ledger) -> dict[str, int]:
    """Return the stored counts, by the names in `Counts`."""
    rows = ledger.rows("SELECT value FROM meta WHERE key = ?", _OF_ANSWERS)
    return {
        name: int(count)
        for (text,) in rows
        for name, count in load_json(text).items()
        if name in _ANSWER_COUNTS
    }


class PlacedAnswer(NamedTuple):
    """What an answer about a user held as it was read; all numbers but the first are 0 where it was not usable.

    `place`: of the user among the `users` of the batch, from 1. `missed`: events that the rules of [[events.must]] found lacking.
    """

    place: int
    users: int
    reason: str | None
    behaviors: int = 0
    user_days: int = 0
    events: int = 0
    covered: int = 0
    ungrounded: int = 0
    repeated: int = 0
    outside: int = 0
    missed: int = 0

    @property
    def third(self) -> str:
        """The third of the batch in which the user stands."""
        return place_third(self.place, self.users)

    @property
    def figures(self) -> tuple[int, ...]:
        """What the answer adds to its cell, in the order of the names there."""
        _place, _users, reason, *numbers = self
        return 1, int(reason is None), int(reason == "ungrounded"), *numbers

    @classmethod
    def of(cls, place: int, users: int, log: UserLog, read: Outcome, ruled: Outcome) -> Self:
        """Count an answer about the behaviors of `log`. `ruled`: the outcome with what the rules add."""
        if not read.usable:
            return cls(place, users, read.reason)
        counts = answer_counts([read]) | {"missed": answer_counts([ruled])["missed"]}
        return cls(place, users, None, len(log.behaviors), log.days, len(read.events), **counts)


# of a cell, as the view has them; `strayed` answers were not usable since too few of their events match the user's behaviors
ANSWER_FIGURES: Final = ("asked", "usable", "strayed", *PlacedAnswer._fields[3:])


def store_answers(ledger: Ledger, call_id: int, answers: Iterable[PlacedAnswer]) -> None:
    """Write down what the answers of a call held, in the place of what is known of them."""
    slots = ", ".join("?" * (2 + len(PlacedAnswer._fields)))
    for answer in answers:
        ledger.rows(f"INSERT OR REPLACE INTO answers VALUES ({slots})", call_id, answer.third, *answer)


def repeated_in(ledger: Ledger, call_id: int, places: Iterable[int]) -> int:
    """Count the events that were dropped as duplicates from the answers at some places of a batch."""
    found = dict(ledger.rows("SELECT place, repeated FROM answers WHERE call_id = ?", call_id))
    return sum(found.get(place, 0) for place in places)


def cells_of(answers: Iterable[PlacedAnswer]) -> AnswerCells:
    """Sum up answers by the class of their batch and by their place in it."""
    return _summed_up((each.users, each.third, *each.figures) for each in answers)


def stored_answers(ledger: Ledger) -> AnswerCells:
    """Sum up all answers."""
    return _summed_up(ledger.rows("SELECT * FROM answers_by_place"))


def _summed_up(rows: Iterable[Sequence[Any]]) -> AnswerCells:
    cells: AnswerCells = summed(
        [
            {users_band(users): {third: dict(zip(ANSWER_FIGURES, figures, strict=True))}}
            for users, third, *figures in rows
        ]
    )
    return cells
