"""What the ledger says of calls that were sent again."""

from eventabs.runs.ledger import Ledger, Retry

_COLUMNS = "retries.call_id, retries.at, retries.cause, retries.error, retries.wait_seconds"


def stored_retries(ledger: Ledger) -> list[Retry]:
    """Return all retries in order of time."""
    return [Retry(*row) for row in ledger.rows(f"SELECT {_COLUMNS} FROM retries ORDER BY at, call_id")]


def retry_under_way(ledger: Ledger, since: float) -> Retry | None:
    """Return the latest retry of a call in flight that was sent since then, None where there is none."""
    rows = ledger.rows(
        f"SELECT {_COLUMNS} FROM calls JOIN retries ON retries.call_id = calls.id"
        " WHERE calls.status = 'sent' AND calls.sent_at >= ? ORDER BY retries.at DESC LIMIT 1",
        since,
    )
    return Retry(*rows[0]) if rows else None


def cooling_until(ledger: Ledger, since: float) -> float:
    """Return when the last cooldown since then ends or ended, in seconds since 1970; 0 where there was none."""
    ((until,),) = ledger.rows(
        "SELECT max(at + wait_seconds) FROM retries WHERE cause = 'rate_limit' AND at >= ?", since
    )
    return until or 0.0
