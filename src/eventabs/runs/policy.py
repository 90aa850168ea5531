"""What an answer, or the lack of one, does to the parts that were asked about.

An attempt is charged only when a delivered answer was bad for that user. Everything else makes the
next batch smaller until the part stands alone, so every path ends.
"""

from collections.abc import Mapping

from eventabs.errors import ContextTooLongError, EndpointError, ModeratedError, RateLimitedError
from eventabs.records import Batch, FailureReason, FinishReason, Outcome, Part, PlannedPart
from eventabs.store import PartChange

MOST_BROKEN_CALLS = 8  # calls a part may see end without an answer


def after_reply(
    batch: Batch,
    outcomes: Mapping[Part, Outcome],
    finish_reason: FinishReason,
    *,
    attempts: int,
    at_the_cap: bool,
) -> list[PartChange]:
    """Judge each part by its outcome.

    `at_the_cap`: the answer broke off because it was as long as it may be, not by accident. A change
    that is `too_large` must be cut in pieces, or fails where it cannot.
    """
    empty = all(outcomes[planned.part].reason == "empty" for planned in batch.parts)
    changes = []
    for planned in batch.parts:
        outcome = outcomes[planned.part]
        if outcome.reason is None:
            change = PartChange(planned.part, "done", attempts=planned.attempts, events=len(outcome.events))
        elif empty:
            change = _broken(planned, batch, "empty")
        elif outcome.reason == "content_filter":
            change = _smaller(planned, batch, "content_filter")
        elif outcome.reason in ("cut", "missing") and (
            at_the_cap or finish_reason in ("length", "interrupted")
        ):
            change = _cut_short(planned, batch, attempts, at_the_cap=at_the_cap)
        else:
            change = _charged(planned, batch, outcome.reason, attempts)
        changes.append(change)
    return changes


def after_error(batch: Batch, error: EndpointError) -> list[PartChange]:
    """Judge the parts of a call that brought no answer."""
    if isinstance(error, ModeratedError):
        return [_smaller(planned, batch, "content_filter") for planned in batch.parts]
    if isinstance(error, ContextTooLongError):
        return [_shorter(planned, batch, "too_long") for planned in batch.parts]
    return [_unanswered(planned, batch, error) for planned in batch.parts]


def halved(batch: Batch) -> list[PartChange]:
    """Ask again in two halves, without a charge."""
    return [_smaller(planned, batch, "endpoint") for planned in batch.parts]


def _charged(planned: PlannedPart, batch: Batch, reason: FailureReason, limit: int) -> PartChange:
    used = planned.attempts + 1
    if used >= limit:
        return PartChange(planned.part, "failed", used, planned.broken_calls, reason=reason)
    peers = 1 if used == limit - 1 else _half(batch)
    return PartChange(planned.part, "pending", used, planned.broken_calls, peers, reason)


def _broken(planned: PlannedPart, batch: Batch, reason: FailureReason) -> PartChange:
    broken = planned.broken_calls + 1
    if broken >= MOST_BROKEN_CALLS:
        return PartChange(planned.part, "failed", planned.attempts, broken, reason=reason)
    return PartChange(planned.part, "pending", planned.attempts, broken, _half(batch), reason)


def _unanswered(planned: PlannedPart, batch: Batch, error: EndpointError) -> PartChange:
    """Ask again; in a smaller batch only when it may have been the batch's size that broke it twice."""
    change = _broken(planned, batch, "endpoint")
    innocent = isinstance(error, RateLimitedError) or not planned.broken_calls
    return change._replace(max_peers=planned.max_peers) if innocent and change.state == "pending" else change


def _smaller(planned: PlannedPart, batch: Batch, reason: FailureReason) -> PartChange:
    if len(batch.parts) == 1:
        return PartChange(planned.part, "failed", planned.attempts, planned.broken_calls, reason=reason)
    return PartChange(planned.part, "pending", planned.attempts, planned.broken_calls, _half(batch), reason)


def _shorter(planned: PlannedPart, batch: Batch, reason: FailureReason) -> PartChange:
    change = _smaller(planned, batch, reason)
    return change._replace(too_large=True) if change.state == "failed" else change


def _cut_short(planned: PlannedPart, batch: Batch, limit: int, *, at_the_cap: bool) -> PartChange:
    """Ask about fewer users; a user alone again, or in pieces where the answer has no room.

    Pieces are charged for, so that cutting ends.
    """
    if len(batch.parts) > 1:
        return _smaller(planned, batch, "cut")
    if not at_the_cap:
        return _broken(planned, batch, "cut")
    used = planned.attempts + 1
    return PartChange(
        planned.part, "failed", used, planned.broken_calls, reason="cut", too_large=used < limit
    )


def _half(batch: Batch) -> int:
    return (len(batch.parts) + 1) // 2
