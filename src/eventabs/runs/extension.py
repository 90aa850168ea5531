"""A run takes in another export of its users: what is new in it is compared with what is known, planned, and asked about.

The days that new, late, changed or gone rows touch are asked about anew; the rest of a user stays as it was. Beside them a request
shows the last rows of the user's recent journeys, and single rows that may belong to one, for context.

It is taken in by one transaction: after a kill or a stop the run is what it was, and whoever goes on compares anew.
"""

import re
import shlex
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from dataclasses import asdict, field, replace
from heapq import merge, nlargest
from itertools import chain, count, groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from eventabs import store
from eventabs.config import Settings
from eventabs.errors_and_exit_codes import InputError, RunDirectoryError, UsageError
from eventabs.ingest import Export
from eventabs.interface_language import gettext as _, ngettext
from eventabs.prompts import BatchLimits, PromptBuilder, log_of_part, measure_parts
from eventabs.replies import joined
from eventabs.runs import intake
from eventabs.runs.built_from_settings import RunContext
from eventabs.runs.observer import Extended, ExtensionCounts, Note
from eventabs.runs.progress_and_stop_conditions import FAILURES_FACT
from eventabs.shared_records import Behavior, Journey, Outcome, Part, Record, UserLog, row_ranges, rows_in
from eventabs.stop_request import Stop
from eventabs.store import ExtendedUser, Ledger

_SECONDS_A_DAY = 86_400
_INSTANT = attrgetter("instant")
_GONE = -1  # the place of a behavior that is not in the log any more


# What an export and a run do not share.


class Window(NamedTuple):
    """The time that an export is about, in seconds since 1970, both ends included.

    `days`: those (in days since 1970) that it holds as a whole, so that a known behavior that it lacks is gone.
    """

    first: int
    last: int
    days: frozenset[int] = frozenset()


class UserChange(NamedTuple):
    """What an export changes for a user. `known` is None for a new one, `ordinals` those of its behaviors, `seen` what the export has.

    `added` come into the log, among them `late` ones, which lie before its last behavior; `too_late` do not. `removed` are
    log indices; those `replaced` among them have another behavior of the same moment in their place.
    """

    known: UserLog | None
    ordinals: str | None
    seen: UserLog
    added: tuple[Behavior, ...] = ()
    late: int = 0
    too_late: tuple[Behavior, ...] = ()
    removed: tuple[int, ...] = ()
    replaced: AbstractSet[int] = frozenset()


def _epoch_day(behavior: Behavior) -> int:
    return behavior.instant // _SECONDS_A_DAY


def _unshared(
    log: Sequence[Behavior], export: Sequence[Behavior], window: Window
) -> tuple[list[Behavior], list[int], range]:
    """Return the behaviors that a log lacks, the indices of those that an export lacks, and those of all in its time.

    Both are in order of time. Equal behaviors are one as often as both have them; of those that the export has less often, the
    last ones are missing.
    """
    known = range(bisect_left(log, window.first, key=_INSTANT), bisect_right(log, window.last, key=_INSTANT))
    sides = log[known.start : known.stop], export
    # the moment, what, where and how long: not the file, which every export has anew
    here, there = ([(each.start.utcoffset(), *each[:5]) for each in side] for side in sides)
    if here == there:
        return [], [], known
    new = [export[place] for place in _surplus(there, here)]
    return new, [known[place] for place in _surplus(here, there)], known


def _surplus(these: Iterable[Hashable], others: Iterable[Hashable]) -> Iterator[int]:
    """Yield the places of what stands oftener among these than among others: of equal ones the last."""
    left = Counter(others)
    for place, each in enumerate(these):
        left[each] -= 1
        if left[each] < 0:
            yield place


def compared(
    known: UserLog | None, ordinals: str | None, seen: UserLog, window: Window, lateness: int
) -> UserChange:
    """Sort out what an export and a log do not share.

    A new behavior is too late if it lies more than `lateness` seconds before the log's last one and replaces no other.
    """
    if known is None:
        return UserChange(None, None, seen, seen.behaviors)
    log = known.behaviors
    new, missing, _known = _unshared(log, seen.behaviors, window)
    removed = tuple(index for index in missing if _epoch_day(log[index]) in window.days)
    gone = {at: list(indices) for at, indices in groupby(removed, lambda index: log[index].instant)}
    latest = log[-1].instant if log else None
    added, too_late, replaced, late = [], [], set(), 0
    for behavior in new:
        at = behavior.instant
        if gone.get(at):
            replaced.add(gone[at].pop(0))
        elif latest is not None and at < latest:
            if latest - at > lateness:
                too_late.append(behavior)
                continue
            late += 1
        added.append(behavior)
    return UserChange(known, ordinals, seen, tuple(added), late, tuple(too_late), removed, replaced)


class Survey:
    """What a new export is beside a run: first in short, then change by change.

    `touched`: the users that it says something new about. `missing`: known behaviors that are gone or have changed.
    `window`: its time, with the days that it holds as a whole.
    """

    def __init__(self, export: Export, ledger: Ledger, lateness: int, stop: Stop) -> None:
        """Compare an export with a run. Raises InputError where their times cannot be compared."""
        self.touched = set[str]()
        self.missing = 0
        self.window = Window(*(export.span() or (0, -1)))
        self._export, self._ledger, self._lateness, self._stop = export, ledger, lateness, stop
        self._known, self._missing = Counter[int](), Counter[int]()  # behaviors by day
        for log in stop.until(export.user_logs()):
            known = store.find_user(ledger, log.user_id)
            if known is not None and known[0].behaviors and log.behaviors:
                before, now = (each.behaviors[0].start.tzinfo is not None for each in (known[0], log))
                if before != now:
                    message = _(
                        "times with an offset cannot be held against times without one: the run has {before}, this export {now};"
                        " export as you did before, or begin a new run"
                    )
                    kinds = {True: _("times with an offset"), False: _("times without one")}
                    raise InputError(message.format(before=kinds[before], now=kinds[now]))
            if known is None or self._differs(known[0], log):
                self.touched.add(log.user_id)
        candidates = self._whole_days()
        for user_id in self._absent(candidates):  # what they did counts too, as long as a day may be whole
            self._differs(ledger.log(user_id), UserLog(user_id, ()))
            if candidates.isdisjoint(self._whole_days()):
                break
        self.window = self.window._replace(days=self._whole_days())
        self.missing = sum(number for day, number in self._missing.items() if day in self.window.days)

    def changes(self) -> Iterator[UserChange]:
        """Yield what changes, user by user: in order those in the export, then those whom it lacks."""
        touched = (log for log in self._stop.until(self._export.user_logs()) if log.user_id in self.touched)
        absent = (UserLog(user_id, ()) for user_id in self._absent(self.window.days))
        for seen in self._stop.until(chain(touched, absent)):
            known, ordinals = store.find_user(self._ledger, seen.user_id) or (None, None)
            yield compared(known, ordinals, seen, self.window, self._lateness)

    def _differs(self, log: UserLog, seen: UserLog) -> bool:
        """Count what a log and the export do not share."""
        new, missing, known = _unshared(log.behaviors, seen.behaviors, self.window)
        self._known.update(_epoch_day(log.behaviors[index]) for index in known)
        self._missing.update(_epoch_day(log.behaviors[index]) for index in missing)
        return bool(new or missing)

    def _whole_days(self) -> frozenset[int]:
        """Return the days of which the export holds at least half of what is known: it is no mere addition to them."""
        return frozenset(day for day, known in self._known.items() if 2 * self._missing[day] <= known)

    def _absent(self, days: frozenset[int]) -> Iterator[str]:
        """Yield the users who may have done something on some days and are not in the export."""
        if not days:
            return
        first = max(self.window.first, min(days) * _SECONDS_A_DAY)
        last = min(self.window.last, (max(days) + 1) * _SECONDS_A_DAY - 1)
        # whose behaviors may lie between two moments
        between = "SELECT user_id FROM users WHERE user_id > ? AND ends >= ? AND begins <= ?"
        known = ((user_id, True) for (user_id,) in self._ledger.by_user(between, first, last))
        seen = ((user_id, False) for user_id in self._export.user_ids())
        by_user = groupby(merge(known, seen, key=lambda pair: pair[0].encode()), key=itemgetter(0))
        yield from (user_id for user_id, pairs in by_user if all(is_known for _id, is_known in pairs))


# What is asked about: whole days, and beside them what gives them their context.


_JOURNEYS: Final = 20  # of a user, that are listed
_SHARE: Final = 8  # rows that are asked about, for each row of a journey and each single one that are shown
_FEWEST_LONE: Final = 2
# A row that stands alone is shown where its words are rare in the mean: 1 where they are nowhere else.
_NOVEL: Final = 0.5
_WORD: Final = re.compile(r"\w+")


def grown(change: UserChange) -> tuple[ExtendedUser, Sequence[int]]:
    """Put behaviors into a log and take others out; of one moment, known ones come first.

    Return the user, with nothing to ask yet, and the index that each behavior of the old log has now, or _GONE.
    """
    old = change.known.behaviors if change.known else ()
    numbers = rows_in(change.ordinals) if change.ordinals else list(range(len(old) + 1))
    removed = set(change.removed)
    kept = ((behavior, index) for index, behavior in enumerate(old) if index not in removed)
    added = ((behavior, _GONE) for behavior in change.added)
    places, ordinals, behaviors = [_GONE] * len(old), list[int](), list[Behavior]()
    fresh = count(numbers[-1])
    for behavior, index in merge(kept, added, key=lambda pair: pair[0].instant):
        if index != _GONE:
            places[index] = len(behaviors)
        ordinals.append(next(fresh) if index == _GONE else numbers[index])
        behaviors.append(behavior)
    profile = change.seen.profile or (change.known.profile if change.known else ())
    log = UserLog(change.seen.user_id, tuple(behaviors), profile)
    ordinals.append(next(fresh))  # that of the next new one
    is_usual = ordinals == list(range(len(ordinals)))
    return ExtendedUser(log, None if is_usual else row_ranges(ordinals), ()), places


class Planner(Record):
    """Plans what an extension of a run asks about, user by user. `counts`: what it has planned, by the names of `ExtensionCounts`."""

    ledger: Ledger
    settings: Settings
    builder: PromptBuilder
    limits: BatchLimits
    counts: Counter[str] = field(default_factory=lambda: Counter(asdict(ExtensionCounts())))

    def plan(self, change: UserChange) -> ExtendedUser | None:
        """Plan what an export changes for a user, None where nothing does, and count it."""
        known, changes_log = change.known, bool(change.added or change.removed)
        self.counts.update(
            new_users=int(known is None),
            extended_users=int(known is not None and changes_log),
            new_behaviors=len(change.added),
            late_behaviors=change.late,
            changed_behaviors=len(change.replaced),
            gone_behaviors=len(change.removed) - len(change.replaced),
            too_late_behaviors=len(change.too_late),
        )
        if known is not None and not changes_log:
            return None
        user, places = grown(change)
        behaviors = user.log.behaviors
        outcome = store.known_outcome(self.ledger, user.log.user_id) if known else None
        if outcome is None or not behaviors:  # a user without an answer is asked about whole
            return user._replace(asked=measure_parts(user.log, self.builder, self.limits))
        old = known.behaviors if known else ()
        days = {behavior.day for behavior in change.added} | {old[index].day for index in change.removed}
        # and those on which an event lies that has rows on these
        of_events = [{old[index].day for index in event.behaviors} for event in outcome.events]
        while further := set[int]().union(*(own for own in of_events if not own.isdisjoint(days))) - days:
            days |= further
        asked = {row for row, behavior in enumerate(behaviors) if behavior.day in days}
        again = [row for row in places if row in asked]
        days_again = {behaviors[row].day for row in again}
        self.counts.update(reopened_behaviors=len(again), reopened_days=len(days_again))
        kept = _kept(outcome, places, asked, len(behaviors) - 1)
        if not asked:  # all rows of the days that were touched are gone
            return user._replace(kept=self._settled(kept))
        listed, context = self._context(outcome, kept, user.log, places, asked)
        for rows, journeys in ((sorted(asked | context), listed), (sorted(asked), ())):
            log = user.log._replace(behaviors=tuple(behaviors[row] for row in rows))
            output = self.builder.expected_tokens(len(asked))
            size = self.builder.measure(store.shown(log, rows, kept, journeys))._replace(output_tokens=output)
            if self.limits.hold(size):
                asked_about, shown = [(kept.part, size)], row_ranges(rows)
                return user._replace(asked=asked_about, rows=shown, kept=kept, listed=journeys)
        return self._with_tail(user, kept, min(asked))

    def _context(
        self, before: Outcome, kept: Outcome, log: UserLog, places: Sequence[int], asked: set[int]
    ) -> tuple[list[str], set[int]]:
        """Return the recent journeys, and the rows that are shown beside those that are asked about.

        These are the last ones of the newest journeys and the single ones of the same days whose words are the rarest there: what
        is done every day seldom begins anything, a first hint has words of its own. They are a few, since a night brings a few.
        """
        behaviors = log.behaviors
        since = behaviors[min(asked)].day - self.settings.extend.journey_days
        newest = {  # also of rows that are asked about anew
            journey.id: max((row for at in journey.behaviors if (row := places[at]) != _GONE), default=0)
            for journey in before.journeys
        }
        current = (each for each in kept.journeys if behaviors[newest[each.id]].day >= since)
        recent = sorted(current, key=lambda journey: newest[journey.id], reverse=True)[:_JOURNEYS]
        share = len(asked) // _SHARE
        rows = {journey.behaviors[-1] for journey in recent[: share // 2]}
        alone = {each.behaviors[0] for each in kept.events if not each.journey and len(each.behaviors) == 1}
        alone |= {*kept.minor, *kept.unplaced, *kept.unasked}
        words = {
            row: set(_WORD.findall(" ".join(behavior[1:4]).lower()))
            for row, behavior in enumerate(behaviors)
            if row not in asked and behavior.day >= since
        }
        known = Counter(word for each in words.values() for word in each)
        novelty = {
            row: sum(1 / known[word] for word in words[row]) / max(1, len(words[row]))
            for row in alone & words.keys()
        }
        rare = (row for row in novelty if novelty[row] > _NOVEL)
        lone = nlargest(max(_FEWEST_LONE, share), rare, key=lambda row: (novelty[row], row))
        return [journey.id for journey in recent], rows.union(lone)

    def _with_tail(self, user: ExtendedUser, kept: Outcome, first: int) -> ExtendedUser:
        """Ask about all from the first row on, in pieces, where the rows of one user are too many for a call."""
        for event in sorted(kept.events, key=lambda event: event.behaviors[-1], reverse=True):
            if event.behaviors[0] < first <= event.behaviors[-1]:
                first = event.behaviors[0]
        user_id, last = user.log.user_id, len(user.log.behaviors) - 1
        tail = log_of_part(user.log, Part(user_id, first, last))
        parts = measure_parts(tail, self.builder, self.limits, start=first)
        if not first:
            return user._replace(asked=parts)
        stays = _kept(kept, range(last + 1), set(range(first, last + 1)), first - 1)
        return user._replace(asked=parts, kept=self._settled(stays))

    def _settled(self, outcome: Outcome) -> Outcome:
        """Return an outcome whose journeys are what their events make of them."""
        events, journeys = joined([outcome], self.builder.vocabulary.goal)
        return replace(outcome, events=events, journeys=journeys)


def _kept(outcome: Outcome, places: Sequence[int], asked: set[int], last: int) -> Outcome:
    """Return what stays of an outcome without the events that have one of the rows `asked`; journeys keep their others.

    `places`: where each row lies now, or _GONE; `last`: the last row that the outcome is about then.
    """

    def others(rows: Iterable[int]) -> tuple[int, ...]:
        return tuple(places[row] for row in rows if places[row] != _GONE and places[row] not in asked)

    moved = [
        (event, tuple(places[row] for row in event.behaviors if places[row] != _GONE))
        for event in outcome.events
    ]
    events = [event._replace(behaviors=rows) for event, rows in moved if rows and asked.isdisjoint(rows)]
    journey_of, journeys = {event.id: event.journey for event in events}, list[Journey]()
    for journey in outcome.journeys:
        if own := tuple(each for each in journey.events if journey_of.get(each) == journey.id):
            journeys.append(journey._replace(behaviors=others(journey.behaviors), events=own))
    part = Part(outcome.part.user_id, 0, last)
    rows: Any = {name: others(getattr(outcome, name)) for name in ("minor", "unplaced", "unasked")}
    return replace(outcome, part=part, events=tuple(events), journeys=tuple(journeys), **rows)


# How an export is taken in.

NOTHING_NEW: Final = "nothing_new"  # of this process alone: the run knew all of the export
_USED = "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM calls WHERE id > ?"


def extension_facts(run: RunContext) -> dict[str, int] | None:
    """Return what the last extension took in, what its calls took, and what it changed in the results; None: there is none."""
    if not (extension := run.facts.get("extension")):
        return None
    (used,) = run.ledger.rows(_USED, extension["since"])
    changes = run.facts.get("changed", {})
    names = (f"{of}_{change}" for of in ("events", "journeys") for change in ("added", "replaced", "removed"))
    facts = {
        **extension["counts"],
        **dict(zip(("calls", "prompt_tokens", "completion_tokens"), used, strict=True)),
        **{name: changes.get(name, 0) for name in names},
    }
    return dict.fromkeys(facts, 0) if run.facts.get(NOTHING_NEW) or run.facts.get("extending") else facts


def refuse_unextendable(facts: Mapping[str, Any], ledger: Ledger, out: Path) -> None:
    """Raise RunDirectoryError for a run that cannot be extended."""
    if not facts.get("input_complete"):
        message = _("this run has not read its own input to the end yet; first: eventabs resume {out}")
        raise RunDirectoryError(message.format(out=out))
    if store.unanswered(ledger):
        message = _(
            "this run waits for replies; first: eventabs resume {out} (those to requests.jsonl: with --replies FILE, or with"
            " --mode live to ask now)"
        )
        raise RunDirectoryError(message.format(out=out))


def begin_extension(run: RunContext, paths: Sequence[str], *, accepted: bool, stop: Stop) -> None:
    """Remember what is to be taken in.

    Raises UsageError where the run cannot be extended, or another export is to be taken in, and StopRequested where a stop
    is requested while standard input is copied.
    """
    refuse_unextendable(run.facts, run.ledger, run.directory.path)
    if run.most_users:
        raise UsageError(_("an extension takes all users of an export; leave out --limit"))
    named = intake.input_paths(paths, run.settings)
    pending, stored = run.facts.get("extending"), intake.stored_paths(named)
    if pending and pending["paths"] != stored:
        message = _("{paths} is not taken in yet; first: eventabs resume {out}")
        raise RunDirectoryError(message.format(paths=", ".join(pending["paths"]), out=run.directory.path))
    intake.copied(named, run.directory.path, stop)
    status = (pending or run.facts).get("status", "stopped")
    run.remember(extending={"paths": stored, "accepted": accepted, "status": status})


def take_in_export(run: RunContext, stop: Stop) -> list[Note]:
    """Take in the export that the run is to be extended by, and return what was found.

    Raises UsageError, and StopRequested where a stop is requested meanwhile; nothing has changed then but for rejects.jsonl
    and changes.jsonl, which may say why.
    """
    asked = run.facts["extending"]
    try:
        with intake.opened_input(run, asked["paths"], stop) as export:
            return _taken_in(run, export, stop)
    except UsageError as error:
        run.remember(extending=None, status=asked["status"])
        if isinstance(error, InputError):  # a folder that is not there for a moment, too
            message = _("it is not taken in; once it can be read: eventabs extend {out} {paths}")
            paths = " ".join(map(shlex.quote, asked["paths"]))
            error.args = (*error.args, message.format(out=run.directory.path, paths=paths))
        raise


def _taken_in(run: RunContext, export: Export, stop: Stop) -> list[Note]:
    asked, section = run.facts["extending"], run.settings.extend
    intake.refuse_unreadable(export, run.settings.input, run.directory)
    found = Survey(export, run.ledger, section.lateness_seconds, stop)
    described = intake.describe_export(export, run.settings, run.facts["prompt_language"])
    planner = Planner(run.ledger, run.settings, *run.builder_and_limits(extension=True))
    was_completed = asked["status"] == "completed"
    is_retry = was_completed and bool(run.ledger.rows("SELECT 1 FROM parts WHERE state = 'pending' LIMIT 1"))
    if found.touched or found.missing or is_retry:
        if not was_completed and not run.facts.get("extension"):
            # a killed process may have left lines without order
            store.write_results(run.directory, run.ledger)
        ((_calls, *tokens),) = run.ledger.rows(_USED, 0)
        ((last_call,),) = run.ledger.rows("SELECT coalesce(max(id), 0) FROM calls")
        cost = run.settings.llm.price.total(store.count_all(run.ledger)) or 0.0
        spent = {"tokens_before": sum(tokens), "cost_before": cost}
        files = list(dict.fromkeys([*run.facts["files"], *export.files]))
        numbers = [files.index(file) for file in export.files]
        with run.ledger.transaction():
            store.begin_changes(run.ledger, anew=was_completed)
            store.replace_file(run.directory.changes, _planned(planner, found, numbers, last_call))
            _refuse_unaccepted(run, planner.counts)
            counted, before = store.count_all(run.ledger), run.facts["input"]
            paths = list(dict.fromkeys([*before["paths"], *asked["paths"]]))
            values: dict[str, Any] = {
                "extending": None,
                "extension": {"since": last_call, "counts": planner.counts, "spent_before": spent},
                "files": files,
                "input": intake.input_facts(export, described, paths, counted.users, counted.behaviors),
                "input_stamps": [] if intake.STDIN in asked["paths"] else list(map(list, export.stamps)),
                FAILURES_FACT: None,  # an endpoint that answered last month may be gone today
            }
            run.ledger.set_meta(values)
        run.facts.update(values)
        store.write_rejects(run.directory, export.rejects())
    else:
        run.remember(extending=None)
        run.facts[NOTHING_NEW] = was_completed  # else the same extension goes on
    if not any(planner.counts[f"{listed}_behaviors"] for listed in ("changed", "gone", "too_late")):
        run.directory.changes.unlink(missing_ok=True)
    told = Extended(**planner.counts, lateness=section.lateness, listed=str(run.directory.changes))
    return [described.read, *described.notes(), told]


def _planned(planner: Planner, found: Survey, files: Sequence[int], since: int) -> Iterator[bytes]:
    """Plan all that an export changes, and write it down; yield a line of changes.jsonl for what has changed, is gone or too late.

    `files`: the numbers of the export's files in the run; `since`: the last call before.
    """
    for change in found.changes():
        log = change.known.behaviors if change.known else ()
        listed = [("too_late", behavior) for behavior in change.too_late]
        listed += [("changed" if row in change.replaced else "gone", log[row]) for row in change.removed]
        for name, behavior in listed:
            told = {"change": name, "user_id": change.seen.user_id, "start": behavior.start.isoformat()}
            told |= {key: getattr(behavior, key) for key in ("action", "item", "place", "duration", "line")}
            yield orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
        added = tuple(each._replace(file=files[each.file]) for each in change.added)
        if user := planner.plan(change._replace(added=added)):
            store.extend_user(planner.ledger, user, since)


def _refuse_unaccepted(run: RunContext, counts: Mapping[str, int]) -> None:
    """Raise RunDirectoryError where behaviors have changed or are gone, unless that was accepted."""
    changed, gone = counts["changed_behaviors"], counts["gone_behaviors"]
    if run.facts["extending"]["accepted"] or not (changed or gone):
        return
    message = _(
        "{changed} and {gone} since this run read them (listed in {path}); check the export, or let it hold with"
        " --accept-changes"
    )
    of_changed = ngettext("{count} behavior has changed", "{count} behaviors have changed", changed)
    of_gone = ngettext("{count} is gone", "{count} are gone", gone)
    raise RunDirectoryError(message.format(changed=of_changed, gone=of_gone, path=run.directory.changes))
