"""What a report shows, from the ledger alone: the run, its calls, its failures and its users."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from eventabs.inspection.audit import AuditFacts, audit_facts
from eventabs.inspection.calls import (
    AskedPart,
    CallFacts,
    CallText,
    Cost,
    asked_parts,
    call_facts,
    call_text,
)
from eventabs.inspection.quality import Table, quality_tables
from eventabs.inspection.status import Endpoint, endpoint_of, seconds_worked
from eventabs.inspection.user import compactor_of
from eventabs.prompts import Compactor, default_vocabulary
from eventabs.records import Counts, UserLog
from eventabs.store import (
    REPORT_SECTIONS,
    Ledger,
    Retry,
    RunDirectory,
    UserRow,
    all_user_rows,
    count_all,
    events_of,
    stored_retries,
    unpack_text,
)

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
        text = unpack_text(blob)
        left_out = max(0, len(text) - _HEAD - _TAIL)
        shown = f"{text[:_HEAD]}\n […]\n{text[-_TAIL:]}" if left_out else text
        yield Example._make([*facts, shown, left_out])


class UserFacts(NamedTuple):
    """One user: the state, the log, its behaviors in their compact form without times, and the events that hold."""

    row: UserRow
    log: UserLog
    phrases: Sequence[str]
    events: list[dict[str, Any]]


Sections = Mapping[str, tuple[Table, ...]]  # by name, such as "quality"


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A run as its ledger has it."""

    run_id: str
    status: str
    created_at: str
    inputs: tuple[str, ...]
    endpoint: Endpoint
    counts: Counts
    cost: float | None
    seconds: float  # that the run has been worked on, without pauses
    timezone: str  # of the settings, "" for the times of the export
    calls: tuple[CallFacts, ...]
    retries: tuple[Retry, ...]
    failures: tuple[FailureFacts, ...]  # those that made users fail first
    call_errors: tuple[tuple[str, int], ...]  # what ended calls without an answer, the most frequent first
    users: Iterator[UserFacts]  # in order of user id; can be read once
    logged_bytes: int  # of all logs as they are stored
    asked: Callable[[int], tuple[AskedPart, ...]]  # the users of a call, by its id
    text: Callable[[int], CallText]  # of a call, by its id
    goal: str  # the category that paths lead to
    sections: Sections  # what other rooms have stored for the report
    language: str  # the `lang` setting of the run
    audit: AuditFacts | None


@contextmanager
def open_report_facts(named: Path) -> Iterator[ReportFacts]:
    """Read what a report needs of a run directory. Raises RunDirectoryError where there is no run."""
    directory = RunDirectory.find(named)
    with Ledger.watch(directory.ledger) as ledger:
        meta = ledger.meta()
        settings = meta["settings"]
        endpoint = endpoint_of(settings["llm"])
        counted = count_all(ledger)
        ((logged_bytes,),) = ledger.rows(_LOGGED)
        yield ReportFacts(
            run_id=meta["run_id"],
            status=meta.get("status", "running"),
            created_at=meta["created_at"],
            inputs=tuple(Path(path).name for path in meta["paths"]),
            endpoint=endpoint,
            counts=counted,
            cost=endpoint.price.total(counted) if endpoint.model else None,
            seconds=seconds_worked(meta),
            timezone=settings.get("input", {}).get("timezone", ""),
            calls=tuple(call_facts(ledger, settings["prompt"]["tokenizer"], _cost_of(endpoint))),
            retries=tuple(stored_retries(ledger)),
            failures=tuple(
                FailureFacts._make([*row, tuple(_examples(ledger, row[0]))]) for row in ledger.rows(_CAUSES)
            ),
            call_errors=tuple(ledger.rows(_ERRORS)),
            users=_users(ledger, compactor_of(meta)),
            logged_bytes=logged_bytes,
            asked=partial(asked_parts, ledger),
            text=partial(call_text, ledger),
            goal=_goal(settings),
            sections=_sections(meta, tuple(quality_tables(directory, counted))),
            language=settings["lang"],
            audit=audit_facts(named),
        )


def _cost_of(endpoint: Endpoint) -> Cost:
    """Return how a call's cost is told: where no model was called there is none."""
    return endpoint.price.cost if endpoint.model else lambda *_tokens: None


def _users(ledger: Ledger, compactor: Compactor) -> Iterator[UserFacts]:
    for row in all_user_rows(ledger):
        log = ledger.log(row.user_id)
        yield UserFacts(row, log, compactor.phrases(log), events_of(ledger, row.user_id))


def _goal(settings: Mapping[str, Any]) -> str:
    """Return the first category with a mark: what people mark is what they are after."""
    stored = settings.get("vocabulary", {}).get("categories")
    categories = stored or [category._asdict() for category in default_vocabulary("en").categories]
    return next((each["name"] for each in categories if each.get("mark")), "")


def _sections(meta: Mapping[str, Any], quality: tuple[Table, ...]) -> dict[str, tuple[Table, ...]]:
    """Read the tables that other rooms stored: {section: [{"title", "columns", "rows", "note"}, ...]}; those of quality follow."""
    stored = {
        name: tuple(
            Table(
                each["title"],
                tuple(each["columns"]),
                tuple(tuple(row) for row in each["rows"]),
                each.get("note", ""),
            )
            for each in tables
        )
        for name, tables in meta.get(REPORT_SECTIONS, {}).items()
    }
    return stored | {"quality": stored.get("quality", ()) + quality} if quality else stored
