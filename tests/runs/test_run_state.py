from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import RunDirectoryError
from eventabs.runs.observer import BatchDone, CallFailed, Progress, Retrying
from eventabs.runs.progress_and_stop_conditions import snapshot
from eventabs.runs.run_state import RunState, inspect_run
from eventabs.store.ledger import Ledger, PartChange, Retry
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from runs_kit import answer, bad, make_log, new_ledger, opened, plan, well

USERS = [f"u{n:02d}" for n in range(6)]
SETTINGS: dict[str, Any] = {
    "lang": "auto",
    "llm": {
        "provider": "auto",
        "model": "m",
        "base_url": "https://example.com/v1",
        "price": {"input": 10.0, "output": 100.0, "currency": "CNY"},
    },
    "budget": {"max_users": 4},
    "compaction": {"strip": []},
}
FACTS = {"run_id": "r", "created_at": "2026-01-01T00:00:00+00:00", "settings": SETTINGS, "began_at": 1_000.0}


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run")


@pytest.fixture
def ledger(directory: RunDirectory) -> Ledger:
    return new_ledger(directory.path, map(make_log, USERS), **FACTS)


def look(directory: RunDirectory, now: float = 1_010.0) -> RunState:
    return inspect_run(directory.path, now=lambda: now)


def send(ledger: Ledger, *users: str, at: float = 1_000.0) -> int:
    with ledger.transaction():
        return opened(ledger, *map(make_log, users), at=at)


def retry(ledger: Ledger, call_id: int, at: float, cause: str, wait_seconds: float) -> None:
    with ledger.transaction():
        ledger.note_retry(Retry(call_id, at, cause, f"HTTP {cause}", wait_seconds))


def settle(ledger: Ledger, call_id: int, good: list[str], unusable: list[str]) -> None:
    outcomes = [well(plan(user).part) for user in good] + [bad(plan(user).part, "cut") for user in unusable]
    changes = [PartChange(o.part, "done", accepted=o) for o in outcomes if o.usable]
    changes += [PartChange(plan(user).part, "failed", reason="cut", attempts=3) for user in unusable]
    with ledger.transaction():
        ledger.store_reply(call_id, answer(prompt_tokens=1_000, completion_tokens=100))
        ledger.settle(call_id, outcomes, changes)


def keep(ledger: Ledger, progress: Progress, *, at: float, status: str = "running") -> None:
    with ledger.transaction():
        ledger.set_meta({"status": status, "progress": snapshot(progress, at)})


def test_a_run_that_works_is_seen_as_it_shows_itself(directory: RunDirectory, ledger: Ledger) -> None:
    shown = Progress(users=6, done=1, batches_done=1, batches_total=3, in_flight=1, calls=2, retries=1,
        in_flight_limit=4, retry_causes={"503": 1}, cost=0.02, cost_projected=0.06, eta_seconds=20.0,
        tokens_per_second=10.0, seconds=100.0)  # fmt: skip
    keep(ledger, shown, at=1_004.0)
    with pytest.raises(RunDirectoryError, match="readonly"), Ledger.watch(directory.ledger) as watched:
        watched._db.execute("INSERT INTO meta VALUES ('a', '1')")
    with directory.locked():
        settle(ledger, send(ledger, "u00", "u01"), ["u00"], ["u01"])
        with ledger.transaction():
            standing = look(directory)
            ledger.set_meta({"more": 1})
    assert standing.status == "running"
    counted = {each.name: getattr(standing, each.name) for each in fields(Progress)}
    assert Progress(**counted) == replace(shown, seconds=106.0, eta_seconds=14.0)
    assert standing.endpoint[:3] == ("openai", "m", "example.com")
    assert standing.endpoint.currency == "CNY"
    assert standing.failures == {"cut": 1}
    assert standing.last_failure == BatchDone(1, 2, 1, {"cut": 1}, 2.0)


@pytest.mark.parametrize("at", [1_004.0, 1_011.0])
def test_the_remaining_time_is_never_negative_and_no_clock_that_was_set_back_shortens_the_work(
    directory: RunDirectory, ledger: Ledger, at: float
) -> None:
    keep(ledger, Progress(eta_seconds=1.0, seconds=5.0), at=at)
    with directory.locked():
        progress = look(directory)
    assert progress.eta_seconds == (0.0 if at < 1_010.0 else 1.0)
    assert progress.seconds >= 5.0


def test_a_retry_is_the_last_failure_while_its_call_is_in_flight(
    directory: RunDirectory, ledger: Ledger
) -> None:
    settle(ledger, send(ledger, "u00", "u01"), ["u00"], ["u01"])
    waiting = send(ledger, "u02")
    retry(ledger, waiting, 1_006.0, "rate_limit", 30.0)
    retry(ledger, waiting - 1, 1_008.0, "503", 60.0)
    with directory.locked():
        standing = look(directory)
        assert (standing.last_failure, standing.cooling_seconds) == (Retrying(2, "HTTP rate_limit", 30.0), 26)
        settle(ledger, waiting, ["u02"], [])
        assert look(directory).last_failure == BatchDone(1, 2, 1, {"cut": 1}, 2.0)
        assert look(directory, now=1_040.0).cooling_seconds == 0.0


def test_cooldowns_of_a_process_that_is_gone_hold_no_more(directory: RunDirectory, ledger: Ledger) -> None:
    retry(ledger, send(ledger, "u00", at=990.0), 995.0, "rate_limit", 60.0)
    with directory.locked():
        standing = look(directory)
    assert (standing.cooling_seconds, standing.last_failure) == (0, None)
    assert look(directory).retry_causes == {"rate_limit": 1}


@pytest.mark.parametrize("status", ["interrupted", "stopped", "completed"])
def test_a_run_that_ended_says_how(directory: RunDirectory, ledger: Ledger, status: str) -> None:
    keep(ledger, Progress(seconds=60.0, batches_total=3), at=1_060.0, status=status)
    ledger.close()
    standing = look(directory, now=9_999.0)
    assert (standing.status, standing.seconds, standing.eta_seconds) == (status, 60.0, None)
    assert standing.batches_total == 3


def test_a_completed_run_shows_no_failure_of_a_call(directory: RunDirectory, ledger: Ledger) -> None:
    settle(ledger, send(ledger, "u00", "u01"), ["u00"], ["u01"])
    keep(ledger, Progress(), at=1_060.0, status="completed")
    assert look(directory).last_failure is None
    keep(ledger, Progress(), at=1_060.0, status="stopped")
    assert look(directory).last_failure == BatchDone(1, 2, 1, {"cut": 1}, 2.0)


def test_a_killed_run_counts_what_its_ledger_holds(directory: RunDirectory, ledger: Ledger) -> None:
    keep(ledger, Progress(users=6, batches_total=6, in_flight=2, eta_seconds=9.0, seconds=21.0), at=1_021.0)
    settle(ledger, send(ledger, "u00", at=1_020.0), ["u00"], [])
    send(ledger, "u01", at=1_021.0)
    progress = look(directory, now=9_999.0)
    assert (progress.status, progress.in_flight, progress.eta_seconds) == ("killed", 0, None)
    assert (progress.done, progress.pending, progress.calls, progress.events) == (1, 5, 2, 1)
    assert (progress.batches_done, progress.batches_total, progress.seconds) == (1, 6, 21.0)
    assert progress.cost == pytest.approx(0.02)


def test_a_run_that_stopped_shows_how_its_last_answer_began_where_nothing_of_it_could_be_used(
    directory: RunDirectory, ledger: Ledger
) -> None:
    settle(ledger, send(ledger, "u00", "u01"), ["u00"], ["u01"])
    keep(ledger, Progress(), at=1_060.0, status="stopped")
    assert look(directory).bad_answer == "", "somebody was answered"
    call_id = send(ledger, "u02")
    with ledger.transaction():
        ledger.store_reply(call_id, answer("\n Sure!\n" + "x" * 500))
        ledger.settle(call_id, [bad(plan("u02").part)], [])
    assert look(directory).bad_answer == "Sure!\n" + "x" * 194
    keep(ledger, Progress(), at=1_060.0, status="interrupted")
    assert look(directory).bad_answer == ""


def test_a_failed_call_is_the_last_failure(directory: RunDirectory, ledger: Ledger) -> None:
    settle(ledger, send(ledger, "u00", "u01"), ["u00"], ["u01"])
    call_id = send(ledger, "u02")
    with ledger.transaction():
        ledger.fail_call(call_id, "HTTP 500", [])
    assert look(directory).last_failure == CallFailed(2, 1, "HTTP 500")


def test_a_run_that_has_read_nobody_yet_is_seen(directory: RunDirectory) -> None:
    Ledger.create(directory.ledger, FACTS).close()
    standing = look(directory)
    assert (standing.users, standing.batches_total) == (0, 0)
    assert standing.last_failure is None


def test_the_rules_have_neither_model_nor_host(directory: RunDirectory, ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.set_meta({"settings": SETTINGS | {"llm": SETTINGS["llm"] | {"provider": "rules"}}})
    standing = look(directory)
    assert standing.endpoint[:3] == ("rules", "", "")
