"""How far a run is, in the keys that programs ask for."""

from eventabs.runs.observer import Progress


def progress_fields(status: str, progress: Progress, eta_seconds: float | None) -> dict[str, object]:
    """Return the fields of GET /progress; `current_batch` is the number of batches sent so far."""
    processed = progress.done + progress.failed
    return {
        "status": status,
        "total_users": progress.users,
        "processed_users": processed,
        "success_count": progress.done,
        "failed_count": progress.failed,
        "current_batch": progress.batches_done + progress.in_flight,
        "total_batches": progress.batches_total,
        "progress_percent": _percent(processed, progress.users),
        "estimated_remaining_seconds": None if eta_seconds is None else round(max(0.0, eta_seconds), 1),
    }


def _percent(part: int, whole: int) -> float:
    """One decimal, 100 only where nothing is left."""
    if not whole:
        return 0.0
    return 100.0 if part >= whole else min(round(100 * part / whole, 1), 99.9)
