"""A run takes in another export: what it asks for is kept in the ledger first, so that a killed process is gone on from.

The plan of some hundred users is one transaction. Whoever goes on compares anew, and finds nothing to do for them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

import orjson

from eventabs.config import Settings
from eventabs.errors import ConfigError, RunDirectoryError, UsageError
from eventabs.ingest import Export
from eventabs.language import gettext as _, ngettext
from eventabs.runs.changes import (
    COMPARING,
    NOTHING_NEW,
    TAKEN,
    TAKING,
    Planner,
    Survey,
    UserChange,
    listed_changes,
    survey,
    tokens_so_far,
    user_changes,
)
from eventabs.runs.components import RunContext, batch_limits
from eventabs.runs.intake import (
    STDIN,
    USERS_A_COMMIT,
    copy_stdin,
    describe_export,
    facts_of,
    input_paths,
    opened_input,
    refuse_unreadable_input,
    require_input,
    stamps_of,
    stored_paths,
)
from eventabs.runs.limits import FAILURES_FACT
from eventabs.runs.observer import Extended, ExtensionCounts, Note
from eventabs.stop import Stop
from eventabs.store import (
    Ledger,
    begin_changes,
    count_all,
    extend_user,
    last_call,
    replace_file,
    unanswered,
    write_rejects,
    write_results,
)


def refuse_unextendable(settings: Settings, facts: dict[str, Any], ledger: Ledger) -> None:
    """Raise UsageError for a run that cannot be extended."""
    if settings.prompt.detail == "brief":
        message = _(
            'a run with detail "brief" cannot be extended: its events are about all that a user did; begin a new run,'
            ' or one with detail "day" instead'
        )
        raise ConfigError(message)
    if not facts.get("input_complete"):
        message = _("this run has not read its own input to the end yet; first: eventabs resume")
        raise RunDirectoryError(message)
    if unanswered(ledger):
        message = _(
            "this run waits for replies to requests.jsonl; first: eventabs resume, with --replies or without to ask now"
        )
        raise RunDirectoryError(message)


def begin_extension(run: RunContext, paths: Sequence[str], *, accepted: bool, stop: Stop) -> None:
    """Remember what is to be taken in.

    Raises UsageError where the run cannot be extended, or another export is half taken in, and StopRequested where a stop
    is requested while standard input is copied.
    """
    refuse_unextendable(run.settings, run.facts, run.ledger)
    if run.most_users:
        message = _("an extension takes all users of an export; leave out --limit")
        raise UsageError(message)
    named = input_paths(paths, run.settings)
    require_input(named)
    stored = stored_paths(named)
    under_way = run.facts.get("extension", {})
    if under_way.get("state") == TAKING:
        if under_way["paths"] != stored:
            message = _("{paths} is not wholly taken in yet; first: eventabs resume {out}")
            raise RunDirectoryError(
                message.format(paths=", ".join(under_way["paths"]), out=run.directory.path)
            )
        run.remember(extension=under_way | {"accepted": accepted or under_way["accepted"]})
        return
    if STDIN in named:
        copy_stdin(run.directory.path, stop)
    known = {key: under_way.get(key) for key in ("before", "status")}
    if under_way.get("state") != COMPARING:  # one that was killed while it compared has changed nothing
        known = {"before": under_way, "status": run.facts.get("status", "stopped")}
    run.remember(extension={"paths": stored, "state": COMPARING, "accepted": accepted, **known})


def take_in_export(run: RunContext, stop: Stop) -> list[Note]:
    """Take in the export that the run is to be extended by, and return what was found.

    Raises UsageError, before anything has changed, and StopRequested where a stop is requested meanwhile.
    """
    try:
        with opened_input(run, run.facts["extension"]["paths"], stop) as export:
            notes = _Intake(run, export, stop).take_in()
    except UsageError:
        extension = run.facts["extension"]
        if extension["state"] == COMPARING:
            run.remember(extension=extension["before"], status=extension["status"])
        raise
    with suppress(OSError):
        run.directory.work.rmdir()
    return notes


class _Intake:
    def __init__(self, run: RunContext, export: Export, stop: Stop) -> None:
        self._run = run
        self._export = export
        self._stop = stop
        self._lateness = run.settings.extend.lateness_seconds

    def take_in(self) -> list[Note]:
        run, export = self._run, self._export
        extension = run.facts["extension"]
        if extension.get("fingerprint", export.fingerprint) != export.fingerprint:
            message = _(
                "{paths} is not what this extension began with; restore it, and then: eventabs resume {out}"
            )
            raise RunDirectoryError(
                message.format(paths=", ".join(extension["paths"]), out=run.directory.path)
            )
        refuse_unreadable_input(run, export)
        found = survey(
            export, run.ledger, lateness=self._lateness, stop=self._stop, days=extension.get("days")
        )
        listed = self._list(found)
        if (listed.changed_behaviors or listed.gone_behaviors) and not extension["accepted"]:
            raise RunDirectoryError(self._refusal(listed))
        described = describe_export(export, run.settings, run.prompt_language)
        if extension["state"] == COMPARING and found.finds_nothing:
            counts = ExtensionCounts()
            run.remember(extension=extension["before"])
            run.facts[NOTHING_NEW] = True
        else:
            if extension["state"] == COMPARING:
                self._begin(found)
            counts = self._take(found, listed.too_late_behaviors)
            self._end(described.facts())
        lateness, listed_in = run.settings.extend.lateness, str(run.directory.changes)
        told = Extended(**asdict(counts), lateness=lateness, listed=listed_in)
        return [described.read, *described.notes(), told]

    def _changes(self, found: Survey) -> Iterator[UserChange]:
        return user_changes(self._export, self._run.ledger, found, lateness=self._lateness, stop=self._stop)

    def _list(self, found: Survey) -> ExtensionCounts:
        """Write changes.jsonl: the behaviors that have changed, are gone or come too late."""
        run, counts = self._run, Counter[str]()
        if not found.missing and not found.too_late:
            run.directory.changes.unlink(missing_ok=True)
            return ExtensionCounts()

        def lines() -> Iterator[bytes]:
            for row in listed_changes(self._changes(found)):
                counts[f"{row['change']}_behaviors"] += 1
                yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)

        replace_file(run.directory.changes, lines())
        return ExtensionCounts(**counts)

    def _refusal(self, listed: ExtensionCounts) -> str:
        changed = ngettext(
            "{count} behavior has changed", "{count} behaviors have changed", listed.changed_behaviors
        ).format(count=listed.changed_behaviors)
        gone = ngettext("{count} is gone", "{count} are gone", listed.gone_behaviors).format(
            count=listed.gone_behaviors
        )
        message = _(
            "{changed} and {gone} since this run read them (listed in {path}); check the export, or let it hold with"
            " --accept-changes"
        )
        return message.format(changed=changed, gone=gone, path=self._run.directory.changes)

    def _begin(self, found: Survey) -> None:
        """Write down that the export is taken in from now on, and what the events are until then."""
        run = self._run
        asked = run.facts["extension"]
        was_completed = asked["status"] == "completed"
        if not was_completed and not asked["before"]:  # a killed process may have left lines without order
            write_results(run.directory, run.ledger)
        extension = {key: value for key, value in asked.items() if key not in {"before", "status"}} | {
            "state": TAKING,
            "fingerprint": self._export.fingerprint,
            "days": sorted(found.window.days or ()),
            "since": last_call(run.ledger),
            "counts": asdict(ExtensionCounts()),
            "spent_before": {
                "tokens_before": sum(tokens_so_far(run.ledger)),
                "cost_before": run.tracker().cost or 0.0,
            },
        }
        # an endpoint that answered last month may be gone today
        values: dict[str, Any] = {"extension": extension, "input_stamps": [], FAILURES_FACT: None}
        with run.ledger.transaction():
            begin_changes(run.ledger, anew=was_completed)
            run.ledger.set_meta(values)
        run.facts.update(values)
        write_rejects(run.directory, self._export.rejects())

    def _take(self, found: Survey, too_late: int) -> ExtensionCounts:
        run = self._run
        builder = run.builder()
        extension = run.facts["extension"]
        limits = batch_limits(run.settings, builder)
        planner = Planner(run.ledger, run.settings, builder, limits, extension["since"])
        counts = ExtensionCounts(**extension["counts"])
        changes = (change for change in self._changes(found))
        while chunk := list(islice(changes, USERS_A_COMMIT)):
            self._stop.check()
            with run.ledger.transaction():
                for change in chunk:
                    planned = planner.plan(change)
                    if planned.user is not None:
                        extend_user(run.ledger, planned.user, planner.since)
                    counts += planned.counts
                counts = replace(counts, too_late_behaviors=too_late)
                extension = extension | {"counts": asdict(counts)}
                run.ledger.set_meta({"extension": extension})
            run.facts["extension"] = extension
        return counts

    def _end(self, described: dict[str, Any]) -> None:
        run, export = self._run, self._export
        counts = count_all(run.ledger)
        before = run.facts["input"]
        paths = list(dict.fromkeys([*before["paths"], *run.facts["extension"]["paths"]]))
        run.remember(
            extension=run.facts["extension"] | {"state": TAKEN},
            input={
                "paths": paths,
                "users": counts.users,
                "behaviors": counts.behaviors,
                **facts_of(export),
                **described,
            },
            input_stamps=stamps_of(run.facts["extension"]["paths"], export),
        )
