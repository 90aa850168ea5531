"""What a new export holds that a run does not know, and what it lacks: first summed up, then user by user."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from eventabs.errors import InputError
from eventabs.ingest import Export
from eventabs.language import gettext as _
from eventabs.records import Behavior, UserLog
from eventabs.runs.extension.comparison import (
    SECONDS_A_DAY,
    Comparison,
    Difference,
    Window,
    compare,
    day_of,
    difference,
)
from eventabs.stop import Stop
from eventabs.store import Ledger, find_log, instant, users_between

_USERS_A_LOOK: Final = 500  # between looks at a requested stop
_NOTHING: Final = Window(0, -1, frozenset())


@dataclass(frozen=True, slots=True)
class Survey:
    """What a new export is beside a run, in short.

    `touched`: the users that it says something new about. `missing`: known behaviors that are gone or have changed,
    `too_late`: new ones that may lie too far back. The days of the `window` are those that the export holds as a whole.
    """

    window: Window
    touched: frozenset[str] = frozenset()
    missing: int = 0
    too_late: int = 0

    @property
    def finds_nothing(self) -> bool:
        """Whether the run knows all of the export."""
        return not self.touched and not self.missing


@dataclass(slots=True)
class _Tally:
    known: Counter[int] = field(default_factory=Counter)  # by day
    missing: Counter[int] = field(default_factory=Counter)
    too_late: int = 0

    def add(self, log: UserLog, compared: Comparison, lateness: int) -> None:
        if compared.known:
            self.known.update(day_of(log.behaviors[index]) for index in compared.known)
            self.missing.update(day_of(log.behaviors[index]) for index in compared.missing)
        if compared.new and log.behaviors:
            latest = instant(log.behaviors[-1])
            self.too_late += sum(latest - instant(behavior) > lateness for behavior in compared.new)

    def whole_days(self) -> frozenset[int]:
        """Return the days of which the export holds at least half of what is known: it is no mere addition to them."""
        return frozenset(day for day, known in self.known.items() if 2 * self.missing[day] <= known)


def survey(
    export: Export, ledger: Ledger, *, lateness: int, stop: Stop, days: Collection[int] | None = None
) -> Survey:
    """Hold an export against a run. Raises InputError where their times cannot be compared.

    `days`: those that the export holds as a whole, where an earlier survey, before some of it was taken in, has found them.
    """
    span = export.span()
    if span is None:
        return Survey(_NOTHING)
    window, tally, touched = Window(*span), _Tally(), set[str]()
    for log in _looking(export.user_logs(), stop):
        known = find_log(ledger, log.user_id)
        if known is None:
            touched.add(log.user_id)
            continue
        _refuse_other_clock(known, log)
        compared = compare(known.behaviors, log.behaviors, window)
        tally.add(known, compared, lateness)
        if compared.new or compared.missing:
            touched.add(log.user_id)
    if days is None:
        _count_absent(export, ledger, window, tally)
        days = tally.whole_days()
    window = replace(window, days=frozenset(days))
    missing = sum(number for day, number in tally.missing.items() if day in days)
    return Survey(window, frozenset(touched), missing, tally.too_late)


def _count_absent(export: Export, ledger: Ledger, window: Window, tally: _Tally) -> None:
    """Count what users did whom the export lacks, until no day is left that the export may hold as a whole."""
    candidates = tally.whole_days()
    for known in _absent(export, ledger, replace(window, days=candidates)):
        tally.add(known, compare(known.behaviors, (), window), 0)
        if candidates.isdisjoint(tally.whole_days()):
            return


class UserChange(NamedTuple):
    """What an export changes for a user. `known` is None for a new one, `seen` what the export has."""

    known: UserLog | None
    seen: UserLog
    found: Difference


def user_changes(
    export: Export, ledger: Ledger, surveyed: Survey, *, lateness: int, stop: Stop
) -> Iterator[UserChange]:
    """Yield what changes, user by user: in order those in the export, then those whom it lacks."""
    for log in _looking(export.user_logs(), stop):
        if log.user_id in surveyed.touched:
            known = find_log(ledger, log.user_id)
            yield UserChange(known, log, _found(known, log, surveyed.window, lateness))
    for known in _absent(export, ledger, surveyed.window):
        seen = UserLog(known.user_id, ())
        yield UserChange(known, seen, _found(known, seen, surveyed.window, lateness))


def _found(known: UserLog | None, seen: UserLog, window: Window, lateness: int) -> Difference:
    if known is None:
        return Difference(seen.behaviors)
    compared = compare(known.behaviors, seen.behaviors, window)
    return difference(known.behaviors, compared, lateness)


def _absent(export: Export, ledger: Ledger, window: Window) -> Iterator[UserLog]:
    """Yield the logs of users who may have done something on the whole days of an export and are not in it."""
    if not window.days:
        return
    first = max(window.first, min(window.days) * SECONDS_A_DAY)
    last = min(window.last, (max(window.days) + 1) * SECONDS_A_DAY - 1)
    present = export.user_ids()
    at = next(present, None)
    for user_id in users_between(ledger, first, last):
        while at is not None and at.encode() < user_id.encode():
            at = next(present, None)
        if at != user_id:
            yield ledger.log(user_id)


def _looking(logs: Iterable[UserLog], stop: Stop) -> Iterator[UserLog]:
    for number, log in enumerate(logs):
        if number % _USERS_A_LOOK == 0:
            stop.check()
        yield log


def _refuse_other_clock(known: UserLog, log: UserLog) -> None:
    if not known.behaviors or not log.behaviors:
        return
    before, now = (each.behaviors[0].start.tzinfo is not None for each in (known, log))
    if before != now:
        message = _(
            "times with an offset cannot be held against times without one: the run has {before}, this export {now};"
            " export as you did before, or begin a new run"
        )
        kinds = {True: _("times with an offset"), False: _("times without one")}
        raise InputError(message.format(before=kinds[before], now=kinds[now]))


def listed_changes(changes: Iterable[UserChange]) -> Iterator[dict[str, Any]]:
    """Yield the behaviors that have changed, are gone or come too late, each as a row with `change`."""
    for known, seen, found in changes:
        for behavior in found.too_late:
            yield _row("too_late", seen.user_id, behavior)
        if known is None or not found.removed:
            continue
        added = Counter(map(instant, found.added))
        for index in found.removed:
            behavior = known.behaviors[index]
            is_replaced = added[instant(behavior)] > 0
            added[instant(behavior)] -= is_replaced
            yield _row("changed" if is_replaced else "gone", known.user_id, behavior)


def _row(change: str, user_id: str, behavior: Behavior) -> dict[str, Any]:
    return {
        "change": change,
        "user_id": user_id,
        "start": behavior.start.isoformat(),
        "action": behavior.action,
        "item": behavior.item,
        "place": behavior.place,
        "duration": behavior.duration,
        "line": behavior.line,
    }
