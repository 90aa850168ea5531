"""How a run stands, as its ledger has it: also how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from eventabs import store
from eventabs.providers import Price
from eventabs.runs.observer import BatchDone, CallFailed, Progress, Retrying
from eventabs.runs.progress_and_stop_conditions import ProgressTracker
from eventabs.shared_records import Shard, ratio
from eventabs.store import Job, Ledger, RunDirectory, ShardState, Status

# the last cooldown since then; the latest retry of a call in flight that was sent since then
_COOLING_UNTIL = "SELECT max(at + wait_seconds) FROM retries WHERE cause = 'rate_limit' AND at >= ?"
_UNDER_WAY = """SELECT call_id, error, wait_seconds FROM retries
    WHERE call_id IN (SELECT id FROM calls WHERE status = 'sent' AND sent_at >= ?) ORDER BY at DESC LIMIT 1"""
_NOT_READ: Final[dict[str, Any]] = {
    **dict.fromkeys(
        ("behaviors", "rejected_rows", "duplicates", "paired_ends", "unpaired", "non_behaviors"), 0
    ),
    **{name: {} for name in ("rejects", "columns", "unknown_actions", "conversion_actions")},
    **{name: [] for name in ("schemas", "warnings")},
}


class Endpoint(NamedTuple):
    """What a run's settings say about its provider; `model` and `host` are "" where no model is called."""

    provider: str
    model: str
    host: str
    price: Price
    currency: str

    @classmethod
    def stored(cls, llm: Mapping[str, Any]) -> Self:
        """Return the endpoint that the stored `llm` settings name."""
        model = llm["model"] if llm["provider"] != "rules" else ""
        provider, host = ("openai", store.host_of(llm["base_url"])) if model else ("rules", "")
        return cls(provider, model, host, Price(**llm["price"]), llm["price"]["currency"])

    @property
    def title(self) -> str:
        """The model and where it is, or the provider where no model is called."""
        return f"{self.model} @ {self.host}" if self.model else self.provider


class RunState(Progress, kw_only=True):
    """How a run stands, or has ended. `killed`: its process is gone without having saved an end.

    `last_failure`: of the latest calls, None for a run that is completed.
    `cooling_seconds`: how long no call is sent, because the endpoint asked for fewer requests. `input`: what was read, as
    --json names it. Of a run that has just ended, `events` and `journeys` have those too of users who are not done, since an
    extension has more to ask about them; `standing_events` are these.
    """

    status: Status
    run_id: str
    out: str
    created_at: str
    endpoint: Endpoint
    failures: dict[str, int]  # users by reason
    last_failure: CallFailed | BatchDone | Retrying | None
    input: Mapping[str, Any] = field(default_factory=_NOT_READ.copy)
    cause: str = ""  # why a run that has just ended was stopped
    # how the latest answer begins, where the run was stopped and nothing of it could be used
    bad_answer: str = ""
    cooling_seconds: float = 0.0
    asked_again: Mapping[str, int] = field(default_factory=dict)  # users after a bad answer, by its reason
    jobs: tuple[Job, ...] = ()  # of a batch service, and files of requests
    shards: tuple[ShardState, ...] = ()  # as they were when they were merged
    missing_shards: int = 0  # that were not merged
    limited_of: int = 0  # users of the input, of whom --limit left some out
    merged_at: str = ""
    standing_events: int = 0
    extension: dict[str, int] | None = None  # what the last extension took in, took and changed

    @property
    def paid(self) -> float | None:
        """What its calls cost; None where no model is called or a price is missing."""
        return self.cost if self.endpoint.model else None

    @property
    def events_per_user_day(self) -> float | None:
        """As in `Counts`, of users that are done."""
        return ratio(self.events - self.standing_events, self.user_days)


def inspect_run(named: Path, *, now: Callable[[], float]) -> RunState:
    """Look at a run; `now` gives seconds since 1970. Raises RunDirectoryError where there is none."""
    directory = RunDirectory.find(named)
    in_use = directory.in_use()  # before the ledger: a run that ends in between does not look killed
    with Ledger.watch(directory.ledger) as ledger:
        return state_of(directory, ledger, in_use=in_use, at=now())


def state_of(
    directory: RunDirectory, ledger: Ledger, *, in_use: bool = False, at: float | None = None
) -> RunState:
    """Return the state of a run `at` a moment, in seconds since 1970, as it shows itself then; without, as its ledger counts it."""
    facts = ledger.meta()
    saved = facts.get("status")
    status: Status = saved if saved in ("interrupted", "stopped", "waiting", "completed") else "killed"
    if in_use and "shards" not in facts:
        status = "running"
    endpoint = Endpoint.stored(facts["settings"]["llm"])
    began_at, seen_at = facts.get("began_at", 0.0), at if status == "running" else None
    ((cooling_until,),) = ledger.rows(_COOLING_UNTIL, began_at)
    if shards := store.shard_states(directory, facts):
        endpoint = endpoint._replace(host=", ".join(dict.fromkeys(each.host for each in shards)))
    progress = _progress(ledger, facts, endpoint.price, seen_at)
    return RunState(
        **{each.name: getattr(progress, each.name) for each in fields(Progress)},
        status=status,
        run_id=facts["run_id"],
        out=str(directory.path),
        created_at=facts["created_at"],
        endpoint=endpoint,
        failures=store.users_by_reason(ledger, "failed_users"),
        asked_again=store.users_by_reason(ledger, "asked_again"),
        last_failure=_last_failure(ledger, status, began_at),
        input=_NOT_READ | facts.get("input", {}),
        bad_answer=store.bad_answer(ledger) if status == "stopped" else "",
        cooling_seconds=0.0 if seen_at is None else max(0.0, (cooling_until or 0.0) - seen_at),
        jobs=tuple(store.stored_jobs(ledger)),
        shards=shards,
        missing_shards=Shard.parse(shards[0].shard).count - len(shards) if shards else 0,
        merged_at=facts.get("merged_at", ""),
        limited_of=store.limited_of(facts),
    )


def _progress(ledger: Ledger, facts: Mapping[str, Any], price: Price, now: float | None) -> Progress:
    """Return what the run itself shows `now`, so that no two screens contradict each other; at rest what the ledger counts."""
    stored = facts.get("progress", {})  # a run that was killed at once kept none
    kept = Progress(**{each.name: stored[each.name] for each in fields(Progress) if each.name in stored})
    if now is not None:
        since = max(0.0, now - stored["at"]) if facts.get("status") == "running" else 0.0
        eta = None if kept.eta_seconds is None else max(0.0, kept.eta_seconds - since)
        answers = store.stored_answers(ledger)  # which the run itself does not count
        return replace(kept, answers=answers, seconds=kept.seconds + since, eta_seconds=eta)
    counts = store.count_all(ledger)  # a killed process may have kept less
    waiting = max(0, kept.batches_total - counts.batches_done)
    counted = ProgressTracker(price, counts).progress(waiting=waiting, workers=0)
    return replace(counted, answers=counts.answers, seconds=kept.seconds)


def _last_failure(ledger: Ledger, status: Status, began: float) -> CallFailed | BatchDone | Retrying | None:
    if status == "completed":
        return None
    for retry in ledger.rows(_UNDER_WAY, began) if status == "running" else ():
        return Retrying(*retry)
    # the last failure is among these
    latest = ledger.rows("SELECT id, users, status, seconds, error FROM calls ORDER BY id DESC LIMIT 50")
    for call_id, users, ended, seconds, error in latest:
        parts = len(store.unpack_parts(users))
        if ended == "failed":
            return CallFailed(call_id, parts, error or "")
        reasons = "SELECT reason, count(*) FROM outcomes WHERE call_id = ? AND reason IS NOT NULL GROUP BY 1"
        if unusable := dict(ledger.rows(reasons, call_id)):
            return BatchDone(call_id, parts, parts - sum(unusable.values()), unusable, seconds or 0.0)
    return None
