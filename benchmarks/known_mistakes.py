"""A simulated model's mistakes at known rates, more frequent the more users share a prompt; and exports that show each one.

Every user of these exports does three things a day, at minutes of the user's own, so that an event is a day, and a mistake
is seen for what it is: swapped (a neighbor's event stands in its place), shifted (it starts with the last
behavior), merged with the next day's, or invented (at a minute in which nothing was done).
"""

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from eventabs.measures import Group, Repeat, Stability, same_events, stability_of
from eventabs.prompts.lines import AnsweredEvent

FIRST_DAY = datetime(2026, 3, 2)  # noqa: DTZ001  exports hold wall times
PLACES = (("宝马4S店", "到店"), ("西餐厅", "用餐"), ("健身房", "运动"), ("酒店", "出行"))
MERGED = "综合"
_A_DAY = 3  # behaviors
_OPENS, _MINUTES = 8 * 60, 600  # when the first of a day may be
_APART = 20  # minutes between the behaviors of a day
_NIGHT = 3  # the hour of what is invented

Events = Mapping[str, Sequence[AnsweredEvent]]


class Mistakes(NamedTuple):
    """The chance of each mistake for an event, of `merged` for a pair of days.

    It is so among as many users as the model `bears`; each further user in the prompt adds `growth` of it.
    """

    swapped: float = 0.0
    shifted: float = 0.0
    merged: float = 0.0
    invented: float = 0.0
    bears: int = 1
    growth: float = 0.0

    def made(self, events: Events, rng: Random) -> dict[str, list[AnsweredEvent]]:
        """Return the events of a prompt's users with the mistakes in them."""
        told = {}
        for alias, own in events.items():
            others = [each for other, theirs in events.items() if other != alias for each in theirs]
            told[alias] = self.made_of(own, others, len(events), rng)
        return told

    def made_of(
        self, own: Sequence[AnsweredEvent], others: Sequence[AnsweredEvent], users: int, rng: Random
    ) -> list[AnsweredEvent]:
        """Return a user's events with the mistakes in them; `others` are events of some of the users in the prompt."""
        more = 1 + self.growth * max(0, users - self.bears)
        told = list[AnsweredEvent]()
        for event in self._joined(own, more, rng):
            share = rng.random() / more
            if share < self.swapped and others:
                told.append(rng.choice(others))
            elif self.swapped <= share < self.swapped + self.shifted:
                told.append(event._replace(start=event.end))
            else:
                told.append(event)
            if rng.random() < self.invented * more:
                at = event.start.replace(hour=_NIGHT, minute=rng.randrange(60))
                told.append(event._replace(start=at, end=at))
        return sorted(told)

    def _joined(self, own: Sequence[AnsweredEvent], more: float, rng: Random) -> list[AnsweredEvent]:
        told = list[AnsweredEvent]()
        for first in range(0, len(own), 2):
            pair = own[first : first + 2]
            if len(pair) == 2 and rng.random() < self.merged * more:
                told.append(pair[0]._replace(end=pair[1].end, type=MERGED))
            else:
                told += pair
        return told


def write_export(path: Path, *, users: int, days: int, seed: int) -> Path:
    """Write an export; the same options always give the same bytes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "timestamp", "action", "poi", "duration"])
        for user in range(users):
            for day, (minute, place) in enumerate(_days(Random(f"{seed}:{user}"), days)):
                for step in range(_A_DAY):
                    at = FIRST_DAY + timedelta(days=day, minutes=minute + step * _APART)
                    rows.writerow([f"u{user:05d}", f"{at:%Y-%m-%d %H:%M:%S}", "visit", PLACES[place][0], 600])
    return path


def _days(rng: Random, days: int) -> list[tuple[int, int]]:
    return [(_OPENS + rng.randrange(_MINUTES), rng.randrange(len(PLACES))) for _day in range(days)]


def expected(
    mistakes: Mistakes, sizes: Sequence[tuple[int, int]], *, days: int, seed: int = 0, rounds: int = 1
) -> Stability:
    """Return what two answers have in common by the known rates alone, without prompt, endpoint or ledger.

    `sizes`: for each user asked twice, how many users both prompts held.
    """
    rng = Random(f"expected:{seed}")
    return stability_of(
        [_asked_twice(mistakes, pair, days, rng) for pair in sizes for _round in range(rounds)]
    )


def _asked_twice(mistakes: Mistakes, sizes: tuple[int, int], days: int, rng: Random) -> Repeat:
    own = story(days, rng)
    told = [answer(mistakes, own, users, rng) for users in sizes]
    first, second = (groups_told(events, own) for events in told)
    theirs = frozenset(
        position
        for position, event in enumerate(first)
        if not event.rows and told[0][position].start.hour != _NIGHT
    )
    return Repeat("", first, second, days * _A_DAY, 1, sizes[0], confused=theirs)


def agreement(
    mistakes: Mistakes, sizes: Sequence[tuple[int, int]], *, days: int, seed: int = 0, rounds: int = 1
) -> float:
    """Return the agreement of two answers by the known rates alone: the F1 of the stable events of one against the other."""
    rng = Random(f"agreement:{seed}")
    pairs = events = 0
    for sizes_asked in sizes:
        for _round in range(rounds):
            repeat = _asked_twice(mistakes, sizes_asked, days, rng)
            pairs += len(same_events(repeat.first, repeat.second))
            events += len(repeat.first) + len(repeat.second)
    return 2 * pairs / events


def story(days: int, rng: Random) -> list[AnsweredEvent]:
    """Return what a user did, an event a day."""
    return _events(_days(rng, days))


def answer(mistakes: Mistakes, own: Sequence[AnsweredEvent], users: int, rng: Random) -> list[AnsweredEvent]:
    """Return what the model says of a user in a prompt with so many."""
    others = story(len(own), rng) if users > 1 else []
    return mistakes.made_of(own, others, users, rng)


def groups_told(events: Sequence[AnsweredEvent], own: Sequence[AnsweredEvent]) -> list[Group]:
    """Return events with the behaviors of their user that start within their times."""
    return [_grounded(event, own) for event in events]


def _events(days: Sequence[tuple[int, int]]) -> list[AnsweredEvent]:
    starts = [FIRST_DAY + timedelta(days=day, minutes=minute) for day, (minute, _place) in enumerate(days)]
    last = timedelta(minutes=(_A_DAY - 1) * _APART)
    return [
        AnsweredEvent(start, start + last, PLACES[place][1], "engagement", "", "")
        for start, (_minute, place) in zip(starts, days, strict=True)
    ]


def _grounded(event: AnsweredEvent, own: Sequence[AnsweredEvent]) -> Group:
    """Return an event with the behaviors that start within its times."""
    minutes = [day.start + timedelta(minutes=step * _APART) for day in own for step in range(_A_DAY)]
    covered = frozenset(place for place, at in enumerate(minutes) if event.start <= at <= event.end)
    starts_there = event.start in minutes or event.end in minutes
    return Group(covered if starts_there else frozenset(), event.type, event.category)
