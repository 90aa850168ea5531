"""checkpoint.json, the small snapshot of a run for people and programs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from eventabs.shared_records import Counts, RunStatus
from eventabs.store.run_directory import RunDirectory, replace_file

FORMAT = 1
EVERY_BATCHES = 10
_USAGE: Final = ("calls", "retries", "prompt_tokens", "completion_tokens", "cached_tokens")


def write_checkpoint(
    directory: RunDirectory,
    facts: Mapping[str, Any],
    counts: Counts,
    *,
    status: RunStatus,
    cost: float | None,
    batches_left: int,
    shards: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Replace checkpoint.json.

    `facts` are what stays the same: run_id, created_at, input, settings, settings_fingerprint. `shards`: those that were
    merged, and where they are.
    """
    document = {
        "format": FORMAT,
        "status": status,
        "run_id": facts["run_id"],
        "created_at": facts["created_at"],
        "updated_at": timestamp(),
        "input": facts.get("input", {"paths": facts["paths"]}),
        "settings": settings_in_force(facts),
        "settings_fingerprint": facts["settings_fingerprint"],
        "batches": {"total": counts.batches_done + batches_left, "done": counts.batches_done},
        "total_users": counts.users,
        "limited": {"users": counts.users, "of": of} if (of := limited_of(facts)) else None,
        "processed_users": counts.done + counts.failed,
        "success_count": counts.done,
        "failed_count": counts.failed,
        "event_counts": counts.event_counts,
        "usage": {
            **{name: getattr(counts, name) for name in _USAGE},
            "cost": None if cost is None else round(cost, 6),
        },
        "ledger": directory.ledger.name,
        **({"shards": shards} if shards else {}),
    }
    replace_file(
        directory.checkpoint, [orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)]
    )


def settings_in_force(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored settings, with those that `reparse` has read the replies under since."""
    return {**facts["settings"], **facts.get("reparsed", {})}


def limited_of(facts: Mapping[str, Any]) -> int:
    """Return the users of the input of whom --limit left some out, 0 where it left out none."""
    return facts["input"]["users"] if facts.get("input_complete") is False else 0


def timestamp() -> str:
    """Return the time now: ISO 8601 in UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
