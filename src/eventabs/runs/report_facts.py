"""What a report shows, from the ledger alone: the headline, the users and what is said of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventabs.records import Behavior
from eventabs.runs.binding import host_of
from eventabs.runs.damage import blamed
from eventabs.runs.directory import RunDirectory
from eventabs.runs.ledger import Ledger, Retry
from eventabs.runs.ledger_results import Totals, totals
from eventabs.runs.ledger_retries import stored_retries
from eventabs.runs.report_calls import CallFacts, call_facts
from eventabs.runs.report_failures import CallError, FailureFacts, call_errors, failure_facts
from eventabs.runs.stored_logs import unpack_json, unpack_log
from eventabs.runs.tally import Price

_STATES = """
    SELECT CASE WHEN sum(state = 'pending') THEN 'pending' WHEN sum(state = 'failed') THEN 'failed' ELSE 'done' END
        AS state, min(reason) FILTER (WHERE state = 'failed') AS reason
    FROM parts WHERE true
"""
_USER_IDS = f"""
    SELECT user_id FROM ({_STATES.replace("SELECT", "SELECT user_id,", 1)} GROUP BY user_id)
    ORDER BY CASE state WHEN 'failed' THEN 0 WHEN 'pending' THEN 1 ELSE 2 END, user_id
"""


@dataclass(frozen=True, slots=True)
class UserFacts:
    """One user: the state, the log and the events that hold. `reason` is "" unless it failed."""

    user_id: str
    state: str
    reason: str
    profile: tuple[tuple[str, str], ...]
    behaviors: tuple[Behavior, ...]
    events: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A run as its ledger has it. `model` and `host` are "" where no model was called."""

    run_id: str
    status: str
    created_at: str
    inputs: tuple[str, ...]
    provider: str
    model: str
    host: str
    totals: Totals
    cost: float | None
    currency: str
    calls: tuple[CallFacts, ...]
    retries: tuple[Retry, ...]
    failures: tuple[FailureFacts, ...]
    call_errors: tuple[CallError, ...]
    users: Iterator[
        UserFacts
    ]  # failed ones first, then pending, then done, each by id; read once, as it goes
    language: str  # the `lang` setting of the run


@contextmanager
def open_report_facts(named: Path) -> Iterator[ReportFacts]:
    """Read what a report needs of a run directory. Raises RunDirectoryError where there is no run."""
    path = RunDirectory.find(named).ledger
    with blamed(path), Ledger.watch(path) as ledger:
        yield _facts(ledger)


def _facts(ledger: Ledger) -> ReportFacts:
    meta = ledger.meta()
    settings = meta["settings"]
    llm = settings["llm"]
    counted = totals(ledger)
    calls_model = bool(llm["model"]) and llm["provider"] != "rules"
    price = Price(llm["price"]["input"], llm["price"]["output"])
    return ReportFacts(
        run_id=meta["run_id"],
        status=meta.get("status", "running"),
        created_at=meta["created_at"],
        inputs=tuple(Path(path).name for path in meta["paths"]),
        provider="openai" if calls_model else "rules",
        model=llm["model"] if calls_model else "",
        host=host_of(llm["base_url"]) if calls_model else "",
        totals=counted,
        cost=price.cost(counted.prompt_tokens, counted.completion_tokens) if calls_model else None,
        currency=llm["price"]["currency"],
        calls=tuple(call_facts(ledger, settings["prompt"]["tokenizer"])),
        retries=tuple(stored_retries(ledger)),
        failures=tuple(failure_facts(ledger)),
        call_errors=tuple(call_errors(ledger)),
        users=_users(ledger),
        language=settings["lang"],
    )


def _users(ledger: Ledger) -> Iterator[UserFacts]:
    for (user_id,) in ledger.rows(_USER_IDS):
        ((blob,),) = ledger.rows("SELECT log FROM users WHERE user_id = ?", user_id)
        ((state, reason),) = ledger.rows(f"{_STATES} AND user_id = ? GROUP BY user_id", user_id)
        log = unpack_log(user_id, blob)
        yield UserFacts(
            user_id, state, reason or "", log.profile, log.behaviors, tuple(_kept_events(ledger, user_id))
        )


def _kept_events(ledger: Ledger, user_id: str) -> list[dict[str, Any]]:
    """Return the events of all parts that are done: a failed user's good parts count as well."""
    rows = ledger.rows(
        "SELECT outcomes.events FROM parts JOIN outcomes USING (call_id, user_id, first)"
        " WHERE parts.state = 'done' AND user_id = ?",
        user_id,
    )
    events = [event for (blob,) in rows for event in unpack_json(blob)]
    return sorted(events, key=lambda event: (event["start"], event["end"]))
