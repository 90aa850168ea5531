"""A run room at work on a real ledger: only the endpoint is made up, and what its replies mean unless they are read."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from eventabs.config import Settings
from eventabs.prompts.packing import BatchLimits
from eventabs.providers import Price, shipped_rules
from eventabs.providers.retries_and_rate_limits import OnRetry
from eventabs.replies import Reader, Reading
from eventabs.runs.built_from_settings import RunContext, builder_and_limits
from eventabs.runs.engine import Engine
from eventabs.runs.progress_and_stop_conditions import ConcurrencyLimit, ProgressTracker, SpendingLimit
from eventabs.runs.schedule_and_settlement import Scheduler, Session
from eventabs.shared_records import (
    AskedUser,
    FailureReason,
    OnContent,
    Outcome,
    Part,
    Reply,
    Request,
    UserLog,
)
from eventabs.stop_request import Stop
from eventabs.store.counts_users_jobs_extensions import count_all
from eventabs.store.ledger import Ledger, LedgerWriter
from eventabs.store.result_files import write_results
from eventabs.store.run_directory_and_checkpoint import RunDirectory, open_to_append
from runs_kit import LIMITS, SETTINGS, SIZE, Watcher, answer, bad, request_for, well, whole

FACTS: dict[str, object] = {
    "run_id": "r",
    "created_at": "2026-01-01T00:00:00+00:00",
    "paths": [],
    "settings": Settings().model_dump(mode="json") | SETTINGS,
    "settings_fingerprint": "f",
    "prompt_language": "zh",
    "template": None,
    "rules": shipped_rules(),
}
Answering = Callable[[Request, OnRetry], Awaitable[Reply]]


@dataclass
class Endpoint:
    """Answers every request, unless told otherwise; keeps who was asked about."""

    answering: Answering | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def ask(self, request: Request, on_retry: OnRetry, _on_content: OnContent) -> Reply:
        self.asked.append(tuple(log.user_id for log in request.users.values()))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return answer() if self.answering is None else await self.answering(request, on_retry)
        finally:
            self.in_flight -= 1


@dataclass
class Desk:
    """What a run works with. `means` tells what each user's next replies are worth, or mean; then all are well."""

    ledger: Ledger
    writer: LedgerWriter
    scheduler: Scheduler
    tracker: ProgressTracker
    results: list[FileIO]
    path: Path
    means: dict[str, list[FailureReason | Outcome]] = field(default_factory=dict)
    reads: Mapping[str, object] | None = (
        None  # settings under which replies are read; None: they mean what `means` says
    )
    endpoint: Endpoint = field(default_factory=Endpoint)
    watcher: Watcher = field(default_factory=Watcher)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    count: Callable[[str], int] = len
    grace_seconds: float = 10.0
    saves: list[int] = field(default_factory=list)  # batches done at each checkpoint
    totals: list[int] = field(default_factory=list)  # batches in all at each checkpoint

    def run(self, *, attempts: int = 3) -> RunContext:
        settings = Settings.model_validate({**(self.reads or {}), "run": {"attempts": attempts}})
        return RunContext(RunDirectory(self.path), self.ledger, settings, {}, self.watcher, dict(FACTS), 0)

    def session(self, *, attempts: int = 3) -> Session:
        run = self.run(attempts=attempts)
        builder, _limits = builder_and_limits(run.settings, FACTS)
        stop, results, clock = Stop(self.grace_seconds), self.results, lambda: 1_000.0
        return _Session(run, stop, builder, LIMITS, self.writer, results, self.tracker, clock, desk=self)

    def engine(self, *, workers: int = 1, max_total_tokens: int = 0, attempts: int = 3) -> Engine:
        engine = Engine(self.session(attempts=attempts), self.endpoint.ask)
        limited = Settings.model_validate({"run": {"max_total_tokens": max_total_tokens}})
        limits = LIMITS._replace(instructions_tokens=0, max_output_tokens=40)
        engine.spending = SpendingLimit({}, limited, limits)
        engine.concurrency = ConcurrencyLimit(workers, workers, lambda: 0.0)
        return engine

    def states(self) -> dict[str, str]:
        """Return the states of each user's parts, in order."""
        states: dict[str, str] = {}
        for user_id, state in self.ledger.rows("SELECT user_id, state FROM parts ORDER BY user_id, first"):
            states[user_id] = f"{states[user_id]} {state}" if user_id in states else state
        return states

    def written_users(self) -> list[str]:
        """Return whose events stand in events.jsonl, a name for each event."""
        lines = (self.path / "events.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line)["user_id"] for line in lines]


class _Meaning(Reader):
    """Reads replies as the desk says that they are meant."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def read(self, _reply: Reply, asked: Mapping[str, AskedUser]) -> Reading:
        outcomes = {}
        for alias, user in asked.items():
            meant = self._desk.means.get(user.part.user_id) or [well(user.part)]
            outcome = meant.pop(0)
            outcomes[alias] = outcome if isinstance(outcome, Outcome) else bad(user.part, outcome)
        return Reading(outcomes, unknown_aliases=0, repeated_users=0)


@dataclass(eq=False, kw_only=True)
class _Session(Session):
    """The session of a desk: what a request holds, and what its replies mean, is made up."""

    desk: Desk

    def __post_init__(self) -> None:
        super().__post_init__()
        self.scheduler, self.closing = self.desk.scheduler, self.desk.closing
        self.count_tokens = self.desk.count
        vars(self.builder)["request"] = lambda logs, **_limit: request_for(logs)
        if self.desk.reads is None:
            self._reader = _Meaning(self.desk)

    async def save(self) -> None:
        self.desk.saves.append(self.tracker.counts.batches_done)
        progress = self.tracker.progress(waiting=self.scheduler.batches, workers=1)
        self.desk.totals.append(progress.batches_total)


@asynccontextmanager
async def at_work(
    path: Path,
    logs: Sequence[UserLog],
    *,
    parts: Mapping[str, Sequence[Part]] | None = None,
    limits: BatchLimits = LIMITS,
) -> AsyncIterator[Desk]:
    """Log users, each in one part unless `parts` says otherwise, and open everything; without users, go on where a run was left."""
    ledger = (
        Ledger.create(
            path / "ledger.sqlite", {key: FACTS[key] for key in ("run_id", "created_at", "settings")}
        )
        if logs
        else Ledger.open(path / "ledger.sqlite")
    )
    named = parts or {}
    with ledger.transaction():
        ledger.add_users(
            (log, [(part, SIZE) for part in named.get(log.user_id, [whole(log)])]) for log in logs
        )
    tracker = ProgressTracker(Price(), count_all(ledger))
    scheduler = Scheduler(ledger.pending_parts(), limits)
    directory = RunDirectory(path)
    write_results(directory, ledger)
    try:
        with (
            LedgerWriter(ledger) as writer,
            open_to_append(directory.events) as events,
            open_to_append(directory.journeys) as journeys,
        ):
            yield Desk(ledger, writer, scheduler, tracker, [events, journeys], path)
    finally:
        ledger.close()
