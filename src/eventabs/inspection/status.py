"""How a run stands, read without the lock from the ledger and the checkpoint, also while a process works on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from eventabs.providers import Price, kind_of
from eventabs.records import Counts, Shard
from eventabs.runs import BatchDone, CallFailed, Progress, Retrying
from eventabs.store import (
    Job,
    Ledger,
    RunDirectory,
    ShardState,
    Status,
    asked_again,
    cooling_until,
    count_all,
    failure_reasons,
    host_of,
    retry_under_way,
    shard_states,
    stored_jobs,
    unpack_parts,
)

_RECENT_CALLS = 50  # the last failure is among them


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

    `last_failure`: of the latest calls, None for a run that is completed. `language`: the `lang` setting.
    `cooling_seconds`: how long no call is sent, because the endpoint asked for fewer requests.
    """

    status: Status
    run_id: str
    out: str
    created_at: str
    endpoint: Endpoint
    progress: Progress
    failures: dict[str, int]
    last_failure: CallFailed | BatchDone | Retrying | None
    language: str
    cooling_seconds: float = 0.0
    asked_again: Mapping[str, int] = field(default_factory=dict)  # users after a bad answer, by its reason
    jobs: tuple[Job, ...] = ()  # of a batch service, and files of requests
    shards: tuple[ShardState, ...] = ()  # as they were when they were merged
    missing_shards: int = 0  # that were not merged
    merged_at: str = ""


def endpoint_of(llm: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint that the stored `llm` settings name."""
    kind = kind_of(llm["provider"], model=llm["model"])
    model, host = (llm["model"], host_of(llm["base_url"])) if kind.is_remote else ("", "")
    return Endpoint(kind.name, model, host, Price.of(llm["price"]), llm["price"]["currency"])


def inspect_run(named: Path, *, now: Callable[[], float]) -> RunState:
    """Look at a run; `now` gives seconds since 1970. Raises RunDirectoryError where there is none."""
    directory = RunDirectory.find(named)
    in_use = directory.in_use()  # before the ledger: a run that ends in between does not look killed
    with Ledger.watch(directory.ledger) as ledger:
        facts = ledger.meta()
        status = _status(facts, in_use=in_use and "shards" not in facts)
        return _run_state(directory, ledger, facts, status, now())


def _run_state(
    directory: RunDirectory, ledger: Ledger, facts: Mapping[str, Any], status: Status, now: float
) -> RunState:
    endpoint = endpoint_of(facts["settings"]["llm"])
    began_at = facts.get("began_at", 0.0)
    running = status == "running"
    if shards := shard_states(directory, facts):
        endpoint = endpoint._replace(host=", ".join(dict.fromkeys(each.host for each in shards)))
    return RunState(
        status=status,
        run_id=facts["run_id"],
        out=str(directory.path),
        created_at=facts["created_at"],
        endpoint=endpoint,
        progress=_running(facts, now) if running else _at_rest(facts, count_all(ledger), endpoint.price),
        failures=failure_reasons(ledger),
        asked_again=asked_again(ledger),
        last_failure=None if status == "completed" else _last_failure(ledger, began_at, running=running),
        language=facts["settings"]["lang"],
        cooling_seconds=max(0.0, cooling_until(ledger, began_at) - now) if running else 0.0,
        jobs=tuple(stored_jobs(ledger)),
        shards=shards,
        missing_shards=Shard.parse(shards[0].shard).count - len(shards) if shards else 0,
        merged_at=facts.get("merged_at", ""),
    )


def _kept(facts: Mapping[str, Any]) -> Progress:
    """Return the counts that the run kept last; one that was killed at once kept none."""
    kept = facts.get("progress", {})
    return Progress(**{field.name: kept[field.name] for field in fields(Progress) if field.name in kept})


def seconds_worked(facts: Mapping[str, Any]) -> float:
    """Return how long a run has been worked on, as it kept it last; pauses do not count, of shards the longest holds."""
    return _kept(facts).seconds


def _running(facts: Mapping[str, Any], now: float) -> Progress:
    """Return what the run itself shows, so that no two screens contradict each other."""
    progress = _kept(facts)
    kept_at = facts["progress"]["at"] if facts.get("status") == "running" else now
    since = max(0.0, now - kept_at)
    eta = progress.eta_seconds
    return replace(
        progress, seconds=progress.seconds + since, eta_seconds=None if eta is None else max(0.0, eta - since)
    )


def _at_rest(facts: Mapping[str, Any], counts: Counts, price: Price) -> Progress:
    """Return what the ledger counts: a killed process may have kept less."""
    kept = _kept(facts)
    return Progress(
        **{field.name: getattr(counts, field.name) for field in fields(Counts)},
        batches_total=max(kept.batches_total, counts.batches_done),
        cost=price.total(counts),
        tier_costs=price.by_tier(counts) if counts.has_other_tiers else {},
        seconds=kept.seconds,
    )


def _status(facts: Mapping[str, Any], *, in_use: bool) -> Status:
    if in_use:
        return "running"
    saved = facts.get("status")
    return saved if saved in ("interrupted", "stopped", "waiting", "completed") else "killed"


def _last_failure(
    ledger: Ledger, began_at: float, *, running: bool
) -> CallFailed | BatchDone | Retrying | None:
    if running and (retry := retry_under_way(ledger, began_at)):
        return Retrying(retry.call_id, retry.error, retry.wait_seconds)
    latest = ledger.rows(
        "SELECT id, users, status, seconds, error FROM calls ORDER BY id DESC LIMIT ?", _RECENT_CALLS
    )
    for call_id, users, status, seconds, error in latest:
        parts = len(unpack_parts(users))
        if status == "failed":
            return CallFailed(call_id, parts, error or "")
        reasons = (
            "SELECT reason, count(*) FROM outcomes WHERE call_id = ? AND reason IS NOT NULL GROUP BY reason"
        )
        if unusable := dict(ledger.rows(reasons, call_id)):
            return BatchDone(call_id, parts, parts - sum(unusable.values()), unusable, seconds or 0.0)
    return None
