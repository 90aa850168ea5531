"""checkpoint.json: the small snapshot of a run for people and programs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from eventabs.records import RunStatus
from eventabs.store.directory import RunDirectory, replace_file

if TYPE_CHECKING:
    from eventabs.runs import ProgressTracker

FORMAT = 1
EVERY_BATCHES = 10


def write_checkpoint(
    directory: RunDirectory,
    facts: Mapping[str, Any],
    tally: "ProgressTracker",
    *,
    status: RunStatus,
    batches_waiting: int,
) -> None:
    """Replace checkpoint.json.

    `facts` are what stays the same: run_id, created_at, input, settings, settings_fingerprint.
    """
    document = {
        "format": FORMAT,
        "status": status,
        "run_id": facts["run_id"],
        "created_at": facts["created_at"],
        "updated_at": timestamp(datetime.now(UTC)),
        "input": facts.get("input", {"paths": facts["paths"]}),
        "settings": facts["settings"],
        "settings_fingerprint": facts["settings_fingerprint"],
        "batches": {
            "total": tally.batches_done + tally.under_way + batches_waiting,
            "done": tally.batches_done,
        },
        "total_users": tally.users,
        "processed_users": tally.done + tally.failed,
        "success_count": tally.done,
        "failed_count": tally.failed,
        "usage": {
            "calls": tally.calls,
            "retries": tally.retries,
            "prompt_tokens": tally.prompt_tokens,
            "completion_tokens": tally.completion_tokens,
            "cost": None if tally.cost is None else round(tally.cost, 6),
        },
        "ledger": directory.ledger.name,
    }
    replace_file(
        directory.checkpoint, [orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)]
    )


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC, whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")
