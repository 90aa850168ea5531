"""How a run stands, read without the lock from the ledger and the checkpoint, also while a process works on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from eventabs.providers import kind_of
from eventabs.records import Usage
from eventabs.runs import BatchDone, CallFailed, Price, Progress, ProgressTracker, Retrying
from eventabs.store import (
    Ledger,
    RunDirectory,
    cooling_until,
    count_all,
    failure_reasons,
    host_of,
    read_head,
    retry_under_way,
    unpack_parts,
)

_RECENT_CALLS = 50
_LARGEST_CHECKPOINT = 1_000_000  # bytes; one with many input files has some thousands

Status = Literal["running", "interrupted", "stopped", "completed", "killed"]


class Endpoint(NamedTuple):
    """What a run's settings say about its provider; `model` and `host` are "" where no model is called."""

    provider: str
    model: str
    host: str
    price: Price
    currency: str


@dataclass(frozen=True, slots=True)
class RunState:
    """How a run stands. `killed`: its process is gone without having saved an end.

    `seconds`: how long the last process worked on it. `last_failure`: of the latest calls. `language`: the
    `lang` setting. `cooling_seconds`: how long no call is sent, because the endpoint asked for fewer requests.
    """

    status: Status
    run_id: str
    out: str
    created_at: str
    endpoint: Endpoint
    progress: Progress
    seconds: float
    failures: dict[str, int]
    last_failure: CallFailed | BatchDone | Retrying | None
    language: str
    cooling_seconds: float = 0.0


class _Call(NamedTuple):
    id: int
    parts: int
    status: str
    sent_at: float
    in_flight_limit: int
    seconds: float | None
    usage: Usage
    error: str | None

    @property
    def ended_at(self) -> float:
        return self.sent_at + (self.seconds or 0.0)


def endpoint_of(llm: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint that the stored `llm` settings name."""
    kind = kind_of(llm["provider"], model=llm["model"])
    model, host = (llm["model"], host_of(llm["base_url"])) if kind.is_remote else ("", "")
    price = Price(llm["price"]["input"], llm["price"]["output"])
    return Endpoint(kind.name, model, host, price, llm["price"]["currency"])


def inspect_run(named: Path, *, now: Callable[[], float]) -> RunState:
    """Look at a run; `now` gives seconds since 1970. Raises RunDirectoryError where there is none."""
    directory = RunDirectory.find(named)
    in_use = directory.in_use()  # before the ledger: a run that ends in between does not look killed
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        saved = facts.get("status")
        ended: Status = saved if saved in ("interrupted", "stopped", "completed") else "killed"
        return _run_state(directory, ledger, facts, "running" if in_use else ended, now())


def _run_state(
    directory: RunDirectory, ledger: Ledger, facts: Mapping[str, Any], status: Status, now: float
) -> RunState:
    endpoint = endpoint_of(facts["settings"]["llm"])
    calls = _calls(ledger, "ORDER BY id DESC LIMIT ?", _RECENT_CALLS)  # the latest first
    counted = count_all(ledger)
    began_at = facts.get("began_at", 0.0)
    running = status == "running"
    last = now if running else _last_sign(facts, calls)
    tracker = ProgressTracker(endpoint.price, counted, lambda: last)
    # those of an earlier process stay `sent` in the ledger until the present one stops
    open_calls = _calls(ledger, "WHERE status = 'sent' AND sent_at >= ?", began_at) if running else []
    tracker.in_flight = len(open_calls)
    for call in sorted(calls, key=lambda call: call.ended_at):
        if call.sent_at >= began_at and call.status in {"answered", "read"}:
            tracker.measure_reply(call.usage, call.seconds or 0.0, call.ended_at)
            tracker.measure_end(call.ended_at)
    ((pending,),) = ledger.rows("SELECT count(*) FROM parts WHERE state = 'pending'")
    waiting = _batches(max(0, pending - sum(call.parts for call in open_calls)), directory, facts, calls)
    # as it was when the latest call was sent
    limit = calls[0].in_flight_limit if running and calls and calls[0].sent_at >= began_at else 0
    retry = retry_under_way(ledger, began_at) if running else None
    failure = (
        Retrying(retry.call_id, retry.error, retry.wait_seconds) if retry else _last_failure(ledger, calls)
    )
    progress = tracker.progress(waiting=waiting, workers=limit or max(1, tracker.in_flight))
    return RunState(
        status=status,
        run_id=facts["run_id"],
        out=str(directory.path),
        created_at=facts["created_at"],
        endpoint=endpoint,
        progress=replace(
            progress, in_flight_limit=limit, eta_seconds=progress.eta_seconds if running else None
        ),
        seconds=max(0.0, last - began_at) if began_at else 0.0,
        failures=failure_reasons(ledger),
        last_failure=failure,
        language=facts["settings"]["lang"],
        cooling_seconds=max(0.0, cooling_until(ledger, began_at) - now) if running else 0.0,
    )


def _calls(ledger: Ledger, which: str, value: float) -> list[_Call]:
    rows = ledger.rows(
        "SELECT id, users, status, sent_at, in_flight_limit, seconds, error, prompt_tokens, completion_tokens"
        f" FROM calls {which}",
        value,
    )
    return [
        _Call(call_id, len(unpack_parts(users)), status, sent_at, limit, seconds, Usage(*tokens), error)
        for call_id, users, status, sent_at, limit, seconds, error, *tokens in rows
    ]


def _last_sign(facts: Mapping[str, Any], calls: list[_Call]) -> float:
    """Return the last time that a run which no process works on left a trace."""
    began_at, ended_at = facts.get("began_at", 0.0), facts.get("ended_at", 0.0)
    if ended_at >= began_at:
        return float(ended_at)
    return max([float(began_at), *(call.ended_at for call in calls)])


def _batches(pending: int, directory: RunDirectory, facts: Mapping[str, Any], calls: list[_Call]) -> int:
    """Estimate how many batches pending parts make: as large as the latest, or as the checkpoint has it."""
    if calls:
        return -(-pending * len(calls) // max(1, sum(call.parts for call in calls)))
    if not pending:
        return 0
    try:
        planned = orjson.loads(read_head(directory.checkpoint, _LARGEST_CHECKPOINT))["batches"]["total"]
    except (OSError, ValueError, KeyError, TypeError):
        planned = 0
    return int(planned) or -(-pending // int(facts["settings"]["budget"]["max_users"]))


def _last_failure(ledger: Ledger, calls: list[_Call]) -> CallFailed | BatchDone | None:
    for call in calls:  # the latest first
        if call.status == "failed":
            return CallFailed(call.id, call.parts, call.error or "")
        reasons = (
            "SELECT reason, count(*) FROM outcomes WHERE call_id = ? AND reason IS NOT NULL GROUP BY reason"
        )
        if unusable := dict(ledger.rows(reasons, call.id)):
            usable = call.parts - sum(unusable.values())
            return BatchDone(call.id, call.parts, usable, unusable, call.seconds or 0.0)
    return None
