"""Two runs of the same export: where their events agree, and what each cost."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from eventabs import measures, store
from eventabs.errors_and_exit_codes import UsageError
from eventabs.inspection import RunState, compactor_of, state_of
from eventabs.interface_language import gettext as _
from eventabs.measures import Compared, Figure, Group, Score, Sums, Tally
from eventabs.shared_records import UserLog
from eventabs.store import Ledger, RunDirectory

_SETTINGS: Final = "SELECT count(DISTINCT settings_fingerprint) FROM calls"
_FIGURES: Final = {
    "groups": measures.FIGURES,
    "wholes": measures.FIGURES,
    "journeys": measures.JOURNEY_FIGURES,
}
_TYPES: Final = 50  # most frequent pairs of types
_SAID: Final = 4  # fields of a behavior: when it was, what, where

Event = dict[str, Any]


class ComparedRun(NamedTuple):
    """A run as a whole, under how many different settings its calls were made, and the shape of the events of the users compared."""

    run: RunState
    settings: int
    shape: Sums


class Side(NamedTuple):
    """The events and journeys of a user in one run, and the positions of events that have no equal in the other run, in order."""

    events: tuple[Event, ...]
    journeys: tuple[Event, ...]
    unequal: tuple[int, ...]


class UserPair(NamedTuple):
    """A user in both runs. `days` and `behaviors` have an item for each behavior; the indices of both sides point there."""

    user_id: str
    figures: dict[str, float | None]
    days: tuple[str, ...]
    behaviors: tuple[str, ...]
    a: Side
    b: Side


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of the same export. `users` are those that both have done; those that only one has done are left out.

    `shared_users` are in both, whatever has become of them, `other_rows` counts those compared whose behaviors are
    not the same in both. `settings`: what differs (key, a, b). `scores` judge the second run by the first, by kind: `groups`, and
    where there are journeys `wholes` (each journey as one group) and `journeys`. `kept`: the share of a user's rows, and of its journeys,
    that the second run has too, mean of users, with an exact one-sided bound. `types`: how many behaviors of one type in the first run
    have another one in the second (a, b, behaviors). `most_different` is in order.
    """

    a: ComparedRun
    b: ComparedRun
    same_input: bool
    users: int
    shared_users: int
    other_rows: int
    settings: list[dict[str, str]]
    scores: dict[str, dict[str, Score]]
    kept: dict[str, Figure]
    types: list[dict[str, str | int]]
    most_different: tuple[UserPair, ...]


def compare(first: Path, second: Path, *, most: int = 20) -> Comparison:
    """Compare two runs, also while somebody works on them. `most`: users side by side.

    One user at a time is in memory. Raises UsageError where no user is done in both, RunDirectoryError where there is no run.
    """
    directories = RunDirectory.find(first), RunDirectory.find(second)
    with Ledger.watch(directories[0].ledger) as ours, Ledger.watch(directories[1].ledger) as theirs:
        facts = ours.meta(), theirs.meta()
        sums = _Sums(most)
        for user_id, state in store.states_by_user(ours):
            row = store.user_row(theirs, user_id)
            sums.shared += row is not None
            if row and state == row.state == "done":
                sums.add(Pair.of(ours, theirs, user_id))
        if not sums.tally.users:
            message = _("no user of {first} is in {second}; name two runs of the same export")
            if sums.shared:
                message = _(
                    "no user is done in both runs yet; {shared} are in both: go on with eventabs resume"
                )
            raise UsageError(message.format(first=first, second=second, shared=sums.shared))
        read = [each.get("input", {}).get("fingerprint") for each in facts]
        most_first = sorted(sums.types.items(), key=lambda pair: (-pair[1], pair[0]))
        return Comparison(
            **{
                name: ComparedRun(state_of(directory, ledger), ledger.rows(_SETTINGS)[0][0], shape)
                for name, directory, ledger, shape in zip(
                    ("a", "b"), directories, (ours, theirs), sums.shapes, strict=True
                )
            },
            same_input=read[0] == read[1],
            users=sums.tally.users,
            shared_users=sums.shared,
            other_rows=sums.other_rows,
            settings=[
                dict(zip(("key", "a", "b"), each, strict=True))
                for each in store.changes(*(each.get("binding", {}) for each in facts))
            ],
            scores=sums.tally.scores(_FIGURES),
            kept={name: measures.mean_of(shares) for name, shares in sums.tally.kept.items() if shares},
            types=[{"a": a, "b": b, "behaviors": count} for (a, b), count in most_first[:_TYPES]],
            most_different=tuple(
                _side_by_side(Pair.of(ours, theirs, user_id), facts[0])
                for _difference, user_id in sorted(sums.different, reverse=True)
            ),
        )


class Pair(NamedTuple):
    """A user's events and journeys in both runs. They point into `log`, which has the behaviors of either run, and each run `own` ones."""

    log: UserLog
    own: tuple[Sequence[int], Sequence[int]]
    events: tuple[list[Event], list[Event]]
    journeys: tuple[list[Event], list[Event]]

    @classmethod
    def of(cls, first: Ledger, second: Ledger, user_id: str) -> Self:
        """Read a user. Where the behaviors are not the same in both, `log` has all of them in order of time."""
        logs = first.log(user_id), second.log(user_id)
        made = store.made_of(first, user_id), store.made_of(second, user_id)
        events, journeys = (made[0].events, made[1].events), (made[0].journeys, made[1].journeys)
        said = ([behavior[:_SAID] for behavior in log.behaviors] for log in logs)
        if next(said) == next(said):
            places = range(len(logs[0].behaviors))
            return cls(logs[0], (places, places), events, journeys)
        rows = [list(_rows(log)) for log in logs]
        behaviors = dict(zip(rows[0] + rows[1], logs[0].behaviors + logs[1].behaviors, strict=True))
        in_order = sorted(behaviors, key=lambda row: row[0][0])
        place_of = {row: place for place, row in enumerate(in_order)}
        merged = UserLog(user_id, tuple(behaviors[row] for row in in_order), logs[0].profile)
        ours, theirs = ([place_of[row] for row in side] for side in rows)
        moved = (
            [event | {"behaviors": [own[index] for index in event["behaviors"]]} for event in found]
            for own, found in zip((ours, theirs), events, strict=True)
        )
        return cls(merged, (ours, theirs), (next(moved), next(moved)), journeys)

    def groups(self) -> tuple[list[Group], list[Group]]:
        """Return the events of both runs as groups of the behaviors in common."""
        before, after = map(measures.groups_of, self.events, self.journeys)
        return before, after

    def unequal(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return the positions of events without an equal one: the same labels, behaviors, and kind of journey, if in one."""
        first, second = self.groups()
        waiting: defaultdict[Group, list[int]] = defaultdict(list)
        for place, group in reversed(list(enumerate(second))):
            waiting[_compared(group)].append(place)
        alone = set[int]()
        for place, group in enumerate(first):
            if places := waiting[_compared(group)]:
                places.pop()
            else:
                alone.add(place)
        return frozenset(alone), frozenset(place for places in waiting.values() for place in places)


def _compared(group: Group) -> Group:
    """Return a group without what may differ between equal ones: the id of a journey, and doubt."""
    return group._replace(parent="" if not group.parent else "in one", sure=True)


_Row = tuple[tuple[Any, ...], int]


def _rows(log: UserLog) -> Iterator[_Row]:
    """Name each behavior by its wall time and what was done, and by its number among equal ones."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for behavior in log.behaviors:
        row = (behavior.start.replace(tzinfo=None), *behavior[1:_SAID])
        seen[row] += 1
        yield row, seen[row]


@dataclass(slots=True)
class _Sums:
    """What is kept of all users; as large for a million of them as for a thousand."""

    most: int
    tally: Tally = field(default_factory=Tally)
    shared: int = 0
    other_rows: int = 0
    shapes: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    types: Counter[tuple[str, str]] = field(default_factory=Counter)
    different: list[tuple[float, str]] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        """Count a user."""
        before, after = pair.groups()
        rows = measures.rows_of(pair.log)
        compared = self.tally.add(after, before, rows, range(len(rows)))
        self.other_rows += pair.own[0] != pair.own[1]
        self.types.update(
            {types: count for types, count in compared.types().items() if types[0] != types[1] and all(types)}
        )
        for shape, groups, own in zip(self.shapes, (before, after), pair.own, strict=True):
            shape.update(measures.shape_of(groups, rows, own))
        # users are ranked by the share of their events that differ, times how many these are
        if self.most and (unequal := sum(map(len, pair.unequal()))):
            keep = heapq.heappush if len(self.different) < self.most else heapq.heappushpop
            keep(self.different, (unequal**2 / sum(map(len, pair.events)), pair.log.user_id))


def _side_by_side(pair: Pair, facts: Mapping[str, Any]) -> UserPair:
    sides = map(
        Side, map(tuple, pair.events), map(tuple, pair.journeys), map(tuple, map(sorted, pair.unequal()))
    )
    days, lines = zip(*lines_of(pair.log, facts), strict=True)
    before, after = pair.groups()
    sums = Compared(after, before, range(len(lines))).agreement()
    figures = {name: figure(sums) for name, figure in measures.FIGURES.items()}
    return UserPair(pair.log.user_id, figures, days, lines, *sides)


def lines_of(log: UserLog, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the day and the text of each behavior, in the language of a run's prompts."""
    for behavior, text in zip(log.behaviors, compactor_of(facts).lines(log), strict=True):
        yield behavior.start.date().isoformat(), text
