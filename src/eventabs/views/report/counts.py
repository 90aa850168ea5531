"""What the report counts over all users: types, places, days, what follows what, and the steps to a goal."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any, Final

from eventabs.inspection import UserFacts
from eventabs.records import Behavior

STEPS: Final = 3  # of a path before its goal
_MOST_KEPT: Final = 200_000  # different things counted at a time; an open vocabulary has no end

Step = tuple[str, ...]  # types that follow each other directly


class Tally(Counter[Any]):
    """Counts of many different things: beyond a bound the rare ones are forgotten, never the frequent ones."""

    def note(self, things: Iterable[Hashable]) -> None:
        """Count each once."""
        self.update(things)
        if len(self) > _MOST_KEPT:
            kept = self.most_common(_MOST_KEPT // 2)
            self.clear()
            self.update(dict(kept))


@dataclass(slots=True)
class EventCounts:
    """Counts over all users. Those by user count a user once for each thing."""

    goal: str
    types: Tally = field(default_factory=Tally)
    type_users: Tally = field(default_factory=Tally)
    categories: Tally = field(default_factory=Tally)
    category_users: Tally = field(default_factory=Tally)
    places: Tally = field(default_factory=Tally)  # users by place
    hours: Counter[tuple[int, int]] = field(default_factory=Counter)  # (weekday from Monday, hour)
    days: Tally = field(default_factory=Tally)  # (ordinal of the day, type)
    transitions: Tally = field(default_factory=Tally)  # (type, next type)
    paths: Tally = field(
        default_factory=Tally
    )  # users by their last steps before the first goal, and its type
    steps: Tally = field(
        default_factory=Tally
    )  # users by each run of up to STEPS steps before a goal, or without one
    offsets: set[str] = field(default_factory=set)  # from UTC, as the logs have them
    covered: int = 0
    behaviors: int = 0

    def add(self, user: UserFacts) -> None:
        """Count a user."""
        events = user.events
        types, categories = [event["type"] for event in events], [event["category"] for event in events]
        starts = [wall_time(event["start"]) for event in events]
        self.behaviors += len(user.log.behaviors)
        self.covered += len({index for event in events for index in event["behaviors"]})
        self.offsets |= user.log.offsets
        self.places.note(places_of(user.log.behaviors))
        self.types.note(types)
        self.type_users.note(set(types))
        self.categories.note(categories)
        self.category_users.note(set(categories))
        self.hours.update((start.weekday(), start.hour) for start in starts if start)
        self.days.note((start.toordinal(), kind) for start, kind in zip(starts, types, strict=True) if start)
        self.transitions.note(pairwise(types))
        self._add_path(events)

    def _add_path(self, events: Sequence[dict[str, Any]]) -> None:
        before, goal = steps_before(events, self.goal)
        self.steps.note(set(_runs(before)))
        self.paths.note(paths_to(before, goal))


def steps_before(events: Sequence[dict[str, Any]], goal: str) -> tuple[Step, str]:
    """Return the types before the first event of the category `goal`, equal neighbors once, and that event's type.

    Without such an event: all types, and "".
    """
    end = next((place for place, event in enumerate(events) if event["category"] == goal), len(events))
    steps = tuple(kind for kind, _same in groupby(event["type"] for event in events[:end]))
    return steps, events[end]["type"] if end < len(events) else ""


def paths_to(before: Step, goal: str) -> list[Step]:
    """Return the last step, the last two and so on up to STEPS, each with the type of the goal behind it."""
    lengths = range(1, min(STEPS, len(before)) + 1)
    return [(*before[-length:], goal) for length in lengths] if goal else []


def _runs(steps: Step) -> Iterator[Step]:
    for length in range(1, STEPS + 1):
        for first in range(len(steps) - length + 1):
            yield steps[first : first + length]


def places_of(behaviors: Iterable[Behavior]) -> set[str]:
    """Return where a user was: places visited, and the sites, apps and shops of other behaviors."""
    return {b.item if b.action == "visit" else b.place for b in behaviors} - {""}


def wall_time(text: str) -> datetime | None:
    """Read a time of an event; a model's own, ungrounded one may be none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None
