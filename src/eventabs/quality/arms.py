"""The arms of a calibration: the same users asked under different settings, each in a run directory of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from eventabs.choices import Compaction
from eventabs.measures import (
    Figure,
    Occurrence,
    figure_of,
    lower_bound,
    occurrences,
    same_behaviors,
    stable_events,
)
from eventabs.providers import Price
from eventabs.records import Counts
from eventabs.runs import MAX_FAILURES
from eventabs.store import Ledger, count_all, events_of, states_by_user

CONFIDENCE: Final = 0.95  # that what is recommended lies within the margin
_LEDGER: Final = "ledger.sqlite"
_ANSWERED: Final = (
    "SELECT count(*) FILTER (WHERE status = 'read'), count(*) FILTER (WHERE status = 'failed') FROM calls"
)

Answers = Mapping[str, Sequence[Occurrence]]
Pairs = Callable[[Sequence[Occurrence], Sequence[Occurrence]], Sequence[tuple[int, int]]]
Row = tuple[
    float, ...
]  # pairs with both answers of one user a prompt, events, pairs of these two, their events


class Arm(NamedTuple):
    """A setting to try. `model` is "" for the config's own, else the second one. `again`: the same once more."""

    users: int
    level: Compaction
    summary: str
    model: str = ""
    again: bool = False

    @property
    def name(self) -> str:
        """The name of its run directory."""
        second = "-second" if self.model else ""
        return f"{self.users}-{self.level}-{self.summary}{second}{'-again' if self.again else ''}"

    @property
    def flags(self) -> dict[str, dict[str, Any]]:
        """What it sets, nested as in the TOML; of the model only what the caller knows."""
        return {
            "budget": {"max_users": self.users},
            "compaction": {"level": self.level},
            "prompt": {"summary": self.summary},
        }


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """What an arm has brought. `settled`: it is completed, or the model cannot answer so at all. `counts`, `cost` and `seconds` are of its run; `behaviors` of the users that are done.

    `agreement`: events that are the same (type, half of the behaviors) in it and in one user a prompt, the F1 of one against the
    other, over both answers of one user a prompt; `same_behaviors`: likewise, the very same ones. `shortfall`: how far the agreement lies
    below the model's own at most, by a one-sided bound; None where it has none. `within`: it lies within the margin.
    """

    arm: Arm
    status: str
    settled: bool
    counts: Counts
    cost: float | None
    currency: str
    seconds: float
    coverage: float | None
    agreement: Figure
    same_behaviors: Figure
    shortfall: float | None
    within: bool

    @property
    def tokens(self) -> int:
        """All that were read and written."""
        return self.counts.prompt_tokens + self.counts.completion_tokens


def cheapest(arms: Sequence[ArmFacts]) -> ArmFacts:
    """Return the arm that costs least, by tokens where a cost is not known."""
    known = all(facts.cost is not None for facts in arms)
    return min(arms, key=lambda facts: (facts.cost or 0.0 if known else 0.0, facts.tokens))


class ArmReader:
    """Reads arms under a folder against one user a prompt, asked twice. `tail`: of the bound of each arm."""

    def __init__(self, folder: Path, one: Arm, *, margin: float, tail: float, seed: int) -> None:
        self._folder = folder
        self._references = (one, one._replace(again=True))
        self._margin = margin
        self._tail = tail
        self._seed = seed
        self._settled: dict[Arm, ArmFacts] = {}

    def has(self, arm: Arm) -> bool:
        """Whether an arm has been begun."""
        return (self._folder / arm.name / _LEDGER).is_file()

    def read(self, arm: Arm) -> ArmFacts:
        """Return what an arm has brought by now; what is settled is read once."""
        if arm in self._settled:
            return self._settled[arm]
        found = self._read(arm)
        if found.settled and all(map(self.has, self._references)):
            self._settled[arm] = found
        return found

    def _read(self, arm: Arm) -> ArmFacts:
        with Ledger.watch(self._folder / arm.name / _LEDGER) as ledger:
            facts, counts = ledger.meta(), count_all(ledger)
            answers = _answers(ledger)
            ((read, failed),) = ledger.rows(_ANSWERED)
        status = facts.get("status", "interrupted")
        price = facts["settings"]["llm"]["price"]
        rows, same = self._rows(arm, answers)
        bound = lower_bound(rows, difference, tail=self._tail, seed=self._seed)
        return ArmFacts(
            arm=arm,
            status=status,
            settled=status == "completed"
            or (status == "stopped" and read >= MAX_FAILURES and not failed and not counts.done),
            counts=counts,
            cost=Price.of(price).total(counts),
            currency=price["currency"],
            seconds=float(facts.get("progress", {}).get("seconds", 0.0)),
            coverage=counts.covered / counts.behaviors if counts.behaviors else None,
            agreement=figure_of(rows, _agreement, self._seed),
            same_behaviors=figure_of(same, _agreement, self._seed),
            shortfall=None if bound is None else max(0.0, -bound),
            within=bound is not None and bound >= -self._margin,
        )

    def _rows(self, arm: Arm, answers: Answers) -> tuple[list[Row], list[Row]]:
        """Return by user that both references have done what the agreement is made of; then of the very same behaviors."""
        if not all(map(self.has, self._references)):
            return [], []
        first, second = map(self._answers_of, self._references)
        users = sorted(first.keys() & second.keys())
        if arm in self._references:
            told = [
                (first[user], (second[user], second[user]), (first[user], second[user])) for user in users
            ]
        else:  # a failed user has no events
            told = [
                (answers.get(user, []), (first[user], second[user]), (first[user], second[user]))
                for user in users
            ]
        stable, same = (
            [row_of(pairs, ours, theirs, own) for ours, theirs, own in told]
            for pairs in (stable_events, same_behaviors)
        )
        return stable, same

    def _answers_of(self, arm: Arm) -> Answers:
        with Ledger.watch(self._folder / arm.name / _LEDGER) as ledger:
            return _answers(ledger)


def _answers(ledger: Ledger) -> Answers:
    """Return the events of users that are done, but for those that a rule has added."""
    return {
        user_id: occurrences(event for event in events_of(ledger, user_id) if event["source"] != "must")
        for user_id, state in states_by_user(ledger)
        if state == "done"
    }


def row_of(
    pairs: Pairs,
    ours: Sequence[Occurrence],
    theirs: tuple[Sequence[Occurrence], Sequence[Occurrence]],
    own: tuple[Sequence[Occurrence], Sequence[Occurrence]],
) -> Row:
    """Return what the agreement of a user's events with two answers, and of two answers with each other, is made of."""
    both = sum(len(pairs(ours, each)) for each in theirs)
    return both, sum(len(ours) + len(each) for each in theirs), len(pairs(*own)), sum(map(len, own))


def _agreement(sums: Sequence[float]) -> float | None:
    return 2 * sums[0] / sums[1] if sums[1] else None


def difference(sums: Sequence[float]) -> float | None:
    """Return how far an agreement lies above that of the two answers."""
    return 2 * sums[0] / sums[1] - 2 * sums[2] / sums[3] if sums[1] and sums[3] else None
