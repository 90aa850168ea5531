import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson

from eventabs.records import Counts
from eventabs.store.checkpoint import timestamp, write_checkpoint
from eventabs.store.directory import RunDirectory

FACTS: dict[str, Any] = {
    "run_id": "r",
    "created_at": "2026-01-01T00:00:00+00:00",
    "paths": ["/data/a.csv"],
    "settings": {"llm": {"model": "m"}},
    "settings_fingerprint": "f",
    "flags": {"not": "shown"},
}
READ = {
    "paths": ["/data/a.csv"],
    "fingerprint": "c",
    "users": 9,
    "behaviors": 90,
    "rejected_rows": 1,
    "duplicates": 2,
}
COUNTS = Counts(
    users=9,
    done=5,
    failed=2,
    events=150,
    calls=8,
    retries=3,
    prompt_tokens=10**6,
    completion_tokens=10**6,
    cached_tokens=10**5,
    batches_done=7,
    answered=120,
    placed=90,
    minor=20,
    unplaced=6,
    unasked=4,
    misfiled=5,
    repeated=3,
    unsure=7,
    outside=2,
    missed=1,
    unlinked=2,
    user_days=60,
)


def written(tmp_path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    directory = RunDirectory(tmp_path)
    write_checkpoint(directory, facts, COUNTS, status="running", cost=3.0, batches_left=5)
    document: dict[str, Any] = orjson.loads(directory.checkpoint.read_bytes())
    return document


def test_the_checkpoint_has_its_fixed_keys(tmp_path: Path) -> None:
    document = written(tmp_path, FACTS | {"input": READ})
    updated = datetime.fromisoformat(document.pop("updated_at"))
    assert abs(updated - datetime.now(UTC)) < timedelta(minutes=1)
    assert document == {
        "format": 1,
        "status": "running",
        "run_id": "r",
        "created_at": "2026-01-01T00:00:00+00:00",
        "input": READ,
        "settings": {"llm": {"model": "m"}},
        "settings_fingerprint": "f",
        "batches": {"total": 12, "done": 7},
        "total_users": 9,
        "limited": None,
        "processed_users": 7,
        "success_count": 5,
        "failed_count": 2,
        "event_counts": {
            "behaviors_answered": 120,
            "behaviors_placed": 90,
            "behaviors_minor": 20,
            "behaviors_unplaced": 6,
            "behaviors_unasked": 4,
            "behaviors_misfiled": 5,
            "behaviors_repeated": 3,
            "user_days": 60,
            "events_per_user_day": 2.5,
            "unsure_events": 7,
            "outside_labels": 2,
            "must_misses": 1,
            "unlinked": 2,
        },
        "usage": {
            "calls": 8,
            "retries": 3,
            "prompt_tokens": 10**6,
            "completion_tokens": 10**6,
            "cached_tokens": 10**5,
            "cost": 3.0,
        },
        "ledger": "ledger.sqlite",
    }


def test_a_cost_is_written_to_the_millionth(tmp_path: Path) -> None:
    write_checkpoint(RunDirectory(tmp_path), FACTS, COUNTS, status="running", cost=0.0000034, batches_left=0)
    assert orjson.loads((tmp_path / "checkpoint.json").read_bytes())["usage"]["cost"] == 0.000003


def test_before_the_input_is_read_the_checkpoint_names_its_paths(tmp_path: Path) -> None:
    assert written(tmp_path, FACTS)["input"] == {"paths": ["/data/a.csv"]}


def test_the_checkpoint_is_private_and_ends_with_a_newline(tmp_path: Path) -> None:
    written(tmp_path, FACTS)
    path = tmp_path / "checkpoint.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().endswith(b"}\n")


def test_times_are_told_in_utc_to_the_second() -> None:
    moment = datetime(2026, 1, 1, 8, 0, 0, 999, tzinfo=timezone(timedelta(hours=8)))
    assert timestamp(moment) == "2026-01-01T00:00:00+00:00"
