"""What becomes of a user whom an export says more about: the new log, what is kept of the answers, what is asked about."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from eventabs.config import Settings
from eventabs.prompts import BatchLimits, PromptBuilder, log_of_part, measure_parts
from eventabs.records import Part, PartSize, UserLog
from eventabs.runs.extension.comparison import GONE, merged
from eventabs.runs.extension.regions import EventRow, plan_regions
from eventabs.runs.extension.survey import UserChange
from eventabs.runs.observer import ExtensionCounts
from eventabs.store import ExtendedUser, KnownPart, Ledger, StandingEvents, known_parts, standing_events

_IDLE_SECONDS = 7_200  # after which level `day` asks for another event


class PlannedUser(NamedTuple):
    """A user as an extension leaves it, and what that counts for."""

    user: ExtendedUser | None  # None: nothing about it changes
    counts: ExtensionCounts


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans users one by one. `since` is the last call before the extension. `whole_days`: see `plan_regions`."""

    ledger: Ledger
    builder: PromptBuilder
    limits: BatchLimits
    pause: int  # seconds
    whole_days: bool
    since: int

    def plan(self, change: UserChange) -> PlannedUser:
        """Plan what an export changes for a user."""
        known, seen, found = change
        counts = ExtensionCounts(
            new_users=known is None,
            extended_users=known is not None and found.changes_log,
            new_behaviors=len(found.added),
            late_behaviors=found.late,
            changed_behaviors=found.replaced,
            gone_behaviors=len(found.removed) - found.replaced,
            too_late_behaviors=len(found.too_late),
        )
        if known is None:
            return PlannedUser(ExtendedUser(log=seen, fresh=self._parts(seen, _whole(seen))), counts)
        if not found.changes_log:
            return PlannedUser(None, counts)
        return self._extended(known, change, counts)

    def _extended(self, known: UserLog, change: UserChange, counts: ExtensionCounts) -> PlannedUser:
        user_id = known.user_id
        log = merged(known.behaviors, change.found, change.seen.behaviors)
        grown = UserLog(user_id, log.behaviors, change.seen.profile or known.profile)
        plan = plan_regions(log, known_parts(self.ledger, user_id), self.pause, whole_days=self.whole_days)
        standing = standing_events(self.ledger, user_id) or StandingEvents(self.since)
        reopened_days = {log.behaviors[place].start.date() for place in plan.reopened}
        user = ExtendedUser(
            log=grown,
            gone=plan.gone,
            moved=plan.moved,
            fresh=self._parts(grown, plan.regions),
            discarded=[row for _part, row in plan.discarded],
            before=list(_untold(_held([*plan.discarded, *plan.renumbered], standing), standing)),
            dropped=[*_renumbered(standing.dropped, log.places), *_held(plan.dropped, standing)],
            moved_from=plan.moved_from,
        )
        reopened = {"reopened_behaviors": len(plan.reopened), "reopened_days": len(reopened_days)}
        return PlannedUser(user, replace(counts, **reopened))

    def _parts(self, log: UserLog, regions: Iterable[tuple[int, int]]) -> list[tuple[Part, PartSize]]:
        return [
            part
            for first, last in regions
            for part in measure_parts(
                log_of_part(log, Part(log.user_id, first, last)), self.builder, self.limits, start=first
            )
        ]


def _whole(log: UserLog) -> list[tuple[int, int]]:
    return [(0, len(log.behaviors) - 1)] if log.behaviors else []


def pause_seconds(settings: Settings) -> int:
    """Return how long nothing may be done within an event, as the instructions ask for it."""
    prompt = settings.prompt
    return prompt.pause * 60 if prompt.detail == "fine" and prompt.pause else _IDLE_SECONDS


def _held(events: Iterable[tuple[KnownPart, EventRow]], standing: StandingEvents) -> Iterator[EventRow]:
    """Yield those events that held: not answers that came since."""
    return (row for part, row in events if (part.call_id or 0) <= standing.since)


def _untold(events: Iterable[EventRow], standing: StandingEvents) -> Iterator[EventRow]:
    """Yield those events of which the run does not know yet what they were."""
    moved_from = standing.moved_from
    return (row for row in events if moved_from is None or max(row["behaviors"], default=GONE) < moved_from)


def _renumbered(events: Iterable[EventRow], places: Sequence[int]) -> Iterator[EventRow]:
    """Yield events under new indices, but for those of which no behavior is left."""
    for event in events:
        kept = [places[index] for index in event["behaviors"] if places[index] != GONE]
        if kept or not event["behaviors"]:
            yield {**event, "behaviors": kept}
