"""What a report shows, from the ledger alone: the run, its calls, its failures, its users and its quality."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from eventabs import store
from eventabs.inspection.run_status import RunState, StoredCall, compactor_of, state_of, stored_calls
from eventabs.interface_language import gettext as _
from eventabs.prompts import Compactor
from eventabs.shared_records import Counts, UserLog, ratio
from eventabs.store import Ledger, Retry, RowsOfUser, RunDirectory, UserRow

_LARGEST: Final = 16_000_000  # bytes of a stored result
_MOST_TYPES: Final = 12


class Share(float):
    """A share from 0 to 1, to be shown in percent."""

    __slots__ = ()


class Table(NamedTuple):
    """A table as it is shown in the terminal and on pages; its first column names the rows. `words`: columns that hold no figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    words: Sequence[str] = ()


def quality_tables(directory: RunDirectory, counts: Counts) -> Iterator[Table]:
    """Yield what reviews have found, the latest first, and what answers held by size of the batch and by place in it."""
    results = directory.reviews.glob("*/result.json")
    for path in sorted(results, key=lambda path: path.lstat().st_mtime, reverse=True):
        # one that cannot be read, or is of another version, is left out
        with suppress(OSError, ValueError, LookupError, TypeError):
            yield from list(_review_tables(orjson.loads(store.read_head(path, _LARGEST))))
    yield from batch_tables({"": counts})


def _review_tables(result: Mapping[str, Any]) -> Iterator[Table]:
    reviewers, agreement = result["reviewers"], result.get("agreement") or {}
    rows = tuple(
        (
            Path(each["file"]).name,
            each["judged"],
            _share(each["precision"]),
            _share(each["at_least"]),
            each["reviewed_days"]["days"],
            _share(each["reviewed_days"]["recall"]["value"]),
            agreement.get("kappa"),
        )
        for each in reviewers
    )
    columns = _("review"), _("events"), _("right"), _("at least"), _("days"), _("recall"), _("Cohen's kappa")
    note = _("At least: exact one-sided 95 % bound of the share of all events, Clopper and Pearson")
    yield Table(_("Judged by people"), columns, rows, note)
    types = tuple(
        (row["type"], row["judged"], _share(row["precision"]), _share(row["at_least"]))
        for row in reviewers[0]["by_type"][:_MOST_TYPES]
    )
    yield Table(_("Judged by people, by type"), (_("Type"), *columns[1:4]), types)


def _share(value: float | None) -> Share | None:
    return None if value is None else Share(value)


# what answers held, as they were read: a name, and the counts by the names of ANSWER_FIGURES
BatchRow = dict[str, Any]


def by_batch_users(counts: Counts) -> list[BatchRow]:
    """Sum up answers by the users in their batch, few first."""
    cells = counts.answers
    return [{"name": band, **store.summed(list(cells[band].values()))} for band in sorted(cells, key=_least)]


def by_position(counts: Counts) -> list[BatchRow]:
    """Sum up answers by the third of the batch, `1` to `3`, in which the user stood."""
    thirds: dict[str, dict[str, int]] = store.summed(list(counts.answers.values()))
    return [{"name": name, **thirds[name]} for name in sorted(thirds) if name]


def answer_fields(counts: Counts) -> dict[str, list[BatchRow]]:
    """Return what answers held as JSON has it."""
    return {"by_batch_users": by_batch_users(counts), "by_position": by_position(counts)}


def _least(band: str) -> int:
    return int(band.partition("-")[0])


def batch_tables(runs: Mapping[str, Counts]) -> list[Table]:
    """Return tables where there is something to compare: batches of several sizes, or with a place in them.

    `runs`: the counts of each by the name that its rows have; of a single one they have none. The last table explains the
    columns of both.
    """
    sizes = [(run, row) for run, counts in runs.items() for row in by_batch_users(counts)]
    places = [(run, row) for run, counts in runs.items() for row in by_position(counts)]
    bands = {band: band for band in sorted({row["name"] for _run, row in sizes}, key=_least)}
    thirds = {"1": _("first third"), "2": _("middle third"), "3": _("last third")}
    tables = []
    if len(bands) > 1:
        tables.append(_batch_table(_("Users in the batch"), bands, sizes, runs))
    if places:
        tables.append(_batch_table(_("Place in the batch"), thirds, places, runs))
    note = _(
        "Usable is a share of the answers. Shares of the behaviors: minor (no event is made of them), unplaced (left out by"
        " the answer), misfiled (given to another user), repeated (given twice). Shares of the events: not sure, outside the"
        " vocabulary, missed (your rules had to add them). Columns that are 0 everywhere are left out."
    )
    return [*tables[:-1], *(table._replace(note=note) for table in tables[-1:])]


def _batch_table(
    title: str, classes: Mapping[str, str], found: Sequence[tuple[str, BatchRow]], runs: Collection[str]
) -> Table:
    columns = {
        _("usable"): ("usable", "asked"),
        _("rows an event"): ("placed", "events"),
        _("minor"): ("minor", "behaviors"),
        _("unplaced"): ("unplaced", "behaviors"),
        _("misfiled"): ("misfiled", "behaviors"),
        _("repeated"): ("repeated", "behaviors"),
        _("not sure"): ("unsure", "events"),
        _("outside the vocabulary"): ("outside", "events"),
        _("missed"): ("missed", "events"),
    }
    always = list(columns)[:4]
    shown = {
        name: of for name, of in columns.items() if name in always or any(row[of[0]] for _run, row in found)
    }
    rows = [
        (
            classes[row["name"]],
            *([run] if len(runs) > 1 else []),
            row["asked"],
            *(
                ratio(row[part], row[whole]) if part == "placed" else _share(ratio(row[part], row[whole]))
                for part, whole in shown.values()
            ),
        )
        for name in classes
        for run, row in found
        if row["name"] == name
    ]
    return Table(title, ("", *([_("run")] if len(runs) > 1 else []), _("users asked"), *shown), rows)


_EXAMPLES = 3  # of each cause
_HEAD, _TAIL = 3_000, 600  # characters of a long reply that are shown; its end shows how it broke off

_CAUSES = "SELECT reason, bad, users, failed FROM failure_causes ORDER BY failed DESC, bad DESC, reason"
_ERRORS = (
    "SELECT coalesce(error, ''), count(*) FROM calls WHERE status = 'failed'"
    " GROUP BY error ORDER BY 2 DESC, 1 LIMIT 10"
)
_LOGGED = "SELECT coalesce(sum(length(log)), 0) FROM users"


class Example(NamedTuple):
    """A user that got nothing usable from a call. `left_out` counts the characters cut from the middle of the reply."""

    user_id: str
    call_id: int
    finish_reason: str
    reply: str
    left_out: int


class FailureFacts(NamedTuple):
    """A cause: how many bad answers it made, for how many users, and how many failed by it in the end."""

    reason: str
    bad_answers: int
    users: int
    failed: int
    examples: tuple[Example, ...]


def _examples(ledger: Ledger, reason: str) -> Iterator[Example]:
    """Yield replies of different calls, first those after which the user failed."""
    rows = ledger.rows(
        "SELECT user_id, call_id, finish_reason, reply FROM bad_replies WHERE reason = ?"
        " GROUP BY call_id ORDER BY max(failed) DESC, call_id LIMIT ?",
        reason,
        _EXAMPLES,
    )
    for *facts, blob in rows:
        text = store.unpack_text(blob)
        left_out = max(0, len(text) - _HEAD - _TAIL)
        shown = f"{text[:_HEAD]}\n […]\n{text[-_TAIL:]}" if left_out else text
        yield Example._make([*facts, shown, left_out])


class UserFacts(NamedTuple):
    """One user: the state, and what was made of the log."""

    row: UserRow
    events: list[dict[str, Any]]
    journeys: list[dict[str, Any]]


class LogFacts(NamedTuple):
    """A user's log, its behaviors in their compact form without times, and those that no event is made of."""

    log: UserLog
    phrases: Sequence[str]
    rows: RowsOfUser


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A run as its ledger has it. Users and calls are in order of their ids, and can be read once."""

    run: RunState
    inputs: tuple[str, ...]
    timezone: str  # of the settings, "" for the times of the export
    tokenizer: str
    calls: Iterator[StoredCall]
    retries: tuple[Retry, ...]
    failures: tuple[FailureFacts, ...]  # those that made users fail first
    call_errors: tuple[tuple[str, int], ...]  # what ended calls without an answer, the most frequent first
    users: Iterator[UserFacts]
    log: Callable[[str], LogFacts]  # of a user, by its id
    files: tuple[str, ...]  # names of the input's files, by the number that behaviors have
    logged_bytes: int  # of all logs as they are stored
    ledger: Ledger
    goal: str  # the category that paths lead to
    # those of the settings, and those of the file that were not taken
    profile_columns: tuple[list[str], list[str]]
    quality: Callable[[], tuple[Table, ...]]  # in the language of the moment


@contextmanager
def open_report_facts(named: Path) -> Iterator[ReportFacts]:
    """Read what a report needs of a run directory. Raises RunDirectoryError where there is no run."""
    directory = RunDirectory.find(named)
    in_use = directory.in_use()
    with Ledger.watch(directory.ledger) as ledger:
        meta, run = ledger.meta(), state_of(directory, ledger, in_use=in_use)
        settings = store.settings_in_force(meta)
        ((logged_bytes,),) = ledger.rows(_LOGGED)
        yield ReportFacts(
            run=run,
            inputs=tuple(Path(path).name for path in meta["paths"]),
            timezone=settings.get("input", {}).get("timezone", ""),
            tokenizer=settings["prompt"]["tokenizer"],
            calls=stored_calls(ledger),
            retries=tuple(store.stored_retries(ledger)),
            failures=tuple(
                FailureFacts._make([*row, tuple(_examples(ledger, row[0]))]) for row in ledger.rows(_CAUSES)
            ),
            call_errors=tuple(ledger.rows(_ERRORS)),
            users=(
                UserFacts(row, *store.made_of(ledger, row.user_id)) for row in store.all_user_rows(ledger)
            ),
            log=partial(_log, ledger, compactor_of(meta)),
            files=tuple(Path(name).name for name in meta["files"]),
            logged_bytes=logged_bytes,
            ledger=ledger,
            goal=store.goal_of(settings),
            profile_columns=(
                list(settings.get("profiles", {}).get("columns", ())),
                meta.get("input", {}).get("profile_left", []),
            ),
            quality=lambda: tuple(quality_tables(directory, run.progress)),
        )


def _log(ledger: Ledger, compactor: Compactor, user_id: str) -> LogFacts:
    log = ledger.log(user_id)
    return LogFacts(log, compactor.phrases(log), store.rows_of_user(ledger, user_id))
