from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import (
    ContextTooLongError,
    EndpointError,
    ModeratedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
)
from eventabs.runs.schedule_and_settlement import MOST_BROKEN_CALLS, Call, Scheduler, after_error, after_reply
from eventabs.shared_records import (
    AskedUser,
    Batch,
    FailureReason,
    FinishReason,
    Outcome,
    Part,
    PlannedPart,
    Reply,
    UserLog,
)
from eventabs.store.ledger import PartChange
from runs_kit import LIMITS, SIZE, bad, batch_of, event_of, plan, well

ATTEMPTS = 3
TOGETHER = batch_of("anna", "bert", "cleo", "dora", "emil")
ALONE = batch_of("anna")

# reason, finish_reason, what becomes of the user in a batch of five, and alone:
# charged: an attempt is used up, half as many peers; smaller: half as many peers, no attempt;
# broken: a call without an answer, half as many peers; unanswered: the same, as many peers; failed: at once;
# pieces: cut; cut: the same, and charged for; where the answer did not end at its cap: broken.
TABLE: list[tuple[FailureReason, FinishReason, str, str]] = [
    ("unparsable", "stop", "charged", "charged"),
    ("unparsable", "length", "charged", "charged"),
    ("unparsable", "interrupted", "charged", "charged"),
    ("missing", "stop", "charged", "charged"),
    ("missing", "length", "smaller", "cut"),
    ("missing", "interrupted", "smaller", "broken"),
    ("cut", "stop", "charged", "charged"),
    ("cut", "length", "smaller", "cut"),
    ("cut", "interrupted", "smaller", "broken"),
    ("renumbered", "stop", "charged", "charged"),
    ("unplaced", "stop", "charged", "charged"),
    ("unplaced", "length", "charged", "charged"),
    ("minor", "stop", "charged", "charged"),
    ("refused", "stop", "charged", "charged"),
    ("empty", "stop", "charged", "broken"),
    ("content_filter", "content_filter", "smaller", "failed"),
    ("content_filter", "stop", "smaller", "failed"),
]


def judged(
    batch: Batch,
    outcomes: Mapping[Part, Outcome],
    finish: FinishReason = "stop",
    *,
    at_the_cap: bool = False,
    earlier: Outcome | None = None,
    attempts: int = ATTEMPTS,
) -> list[PartChange]:
    users = {str(part): AskedUser(part, UserLog(part.user_id, ()), (), earlier) for part in outcomes}
    call, reply = Call(1, batch, users), Reply("", finish)
    return after_reply(call, reply, outcomes, attempts=attempts, at_the_cap=at_the_cap)


def kind_of(change: PartChange, peers: int) -> str:
    kinds = {
        ("failed", 1, 0, 0, True): "cut",
        ("failed", 0, 0, 0, True): "pieces",
        ("failed", 0, 0, 0, False): "failed",
        ("pending", 1, 0, peers, False): "charged",
        ("pending", 0, 0, peers, False): "smaller",
        ("pending", 0, 1, peers, False): "broken",
        ("pending", 0, 1, 0, False): "unanswered",
    }
    seen = (change.state, change.attempts, change.broken_calls, change.max_peers, change.too_large)
    return kinds.get(seen, repr(change))


@pytest.mark.parametrize(("reason", "finish", "together", "alone"), TABLE)
def test_what_becomes_of_a_user_that_did_not_come_well(
    reason: FailureReason, finish: FinishReason, together: str, alone: str
) -> None:
    outcomes = {planned.part: well(planned.part) for planned in TOGETHER.parts}
    outcomes[TOGETHER.parts[0].part] = bad(TOGETHER.parts[0].part, reason)
    first, *others = judged(TOGETHER, outcomes, finish, at_the_cap=finish == "length")
    assert kind_of(first, peers=3) == together
    assert first.reason == ("cut" if together == "smaller" and reason == "missing" else reason)
    assert {change.state for change in others} == {"done"}
    alone_it_is = {ALONE.parts[0].part: bad(ALONE.parts[0].part, reason)}
    (change,) = judged(ALONE, alone_it_is, finish, at_the_cap=finish == "length")
    assert kind_of(change, peers=1) == alone


def test_a_user_that_came_well_is_done_with_its_events_whatever_ended_the_reply() -> None:
    part = ALONE.parts[0].part
    outcome = well(part, event_of(part), event_of(part, "聚会"))
    for finish in get_args(FinishReason):
        (change,) = judged(ALONE, {part: outcome}, finish, at_the_cap=True)
        assert change == PartChange(part, "done", accepted=outcome)


def test_a_user_alone_whose_answer_broke_off_by_accident_is_asked_again_as_a_whole() -> None:
    part = ALONE.parts[0].part
    (change,) = judged(ALONE, {part: bad(part, "cut")}, "length")
    assert kind_of(change, peers=1) == "broken"


def test_an_answer_that_is_empty_for_everybody_is_held_against_nobody() -> None:
    outcomes = {planned.part: bad(planned.part, "empty") for planned in TOGETHER.parts}
    assert [kind_of(change, peers=3) for change in judged(TOGETHER, outcomes)] == ["broken"] * 5


def test_the_last_attempt_is_made_alone_and_then_the_user_fails_with_the_last_reason() -> None:
    planned = plan("anna")
    tries = []
    while True:
        batch = Batch((planned, *TOGETHER.parts[1:]))
        outcomes = {p.part: well(p.part) for p in batch.parts} | {
            planned.part: bad(planned.part, "unparsable")
        }
        change = judged(batch, outcomes)[0]
        if change.state == "failed":
            break
        tries.append(change.max_peers)
        planned = planned._replace(attempts=change.attempts)
    assert tries == [3, 1]
    assert (change.attempts, change.reason) == (ATTEMPTS, "unparsable")


TWENTY = Part("anna", 0, 19)


@pytest.mark.parametrize(
    ("reason", "unplaced", "earlier", "rows_left"),
    [
        ("unplaced", 4, None, 4),
        ("unplaced", 5, None, None),
        ("unplaced", 20, None, None),
        ("minor", 0, None, 0),
        ("minor", 1, None, 1),
        ("refused", 0, None, None),
        ("refused", 0, 3, 3),
        ("missing", 0, 6, None),
        ("unplaced", 6, 2, 2),
        ("unplaced", 2, 4, 2),
    ],
)
def test_after_the_last_attempt_a_user_is_done_with_a_fifth_of_its_rows_unplaced_the_last_answer_first(
    reason: FailureReason, unplaced: int, earlier: int | None, rows_left: int | None
) -> None:
    last = Batch((PlannedPart(TWENTY, SIZE, attempts=ATTEMPTS - 1),))
    outcome = replace(bad(TWENTY, reason), unplaced=tuple(range(unplaced)))
    before = None if earlier is None else replace(bad(TWENTY, "unplaced"), unplaced=tuple(range(earlier)))
    (change,) = judged(last, {TWENTY: outcome}, earlier=before)
    if rows_left is None:
        assert (change.state, change.reason, change.accepted) == ("failed", reason, None)
    else:
        assert (change.state, change.reason, change.attempts) == ("done", None, ATTEMPTS)
        assert change.accepted
        assert (change.accepted.reason, len(change.accepted.unplaced)) == (None, rows_left)
    (first,) = judged(Batch((PlannedPart(TWENTY, SIZE),)), {TWENTY: outcome}, earlier=before)
    assert first.state == "pending", "as long as there are attempts it is asked about again"


ERRORS: list[tuple[EndpointError, str, str, FailureReason]] = [
    (TransientError("503"), "unanswered", "unanswered", "endpoint"),
    (RateLimitedError("429"), "unanswered", "unanswered", "endpoint"),
    (ModeratedError("no"), "smaller", "failed", "content_filter"),
    (ContextTooLongError("long"), "smaller", "pieces", "too_long"),
]


@pytest.mark.parametrize(("error", "together", "alone", "reason"), ERRORS)
def test_what_becomes_of_users_whose_call_brought_no_answer(
    error: EndpointError, together: str, alone: str, reason: FailureReason
) -> None:
    changes = after_error(TOGETHER, error)
    assert [kind_of(change, peers=3) for change in changes] == [together] * 5
    assert {change.reason for change in changes} == {reason}
    assert [kind_of(change, peers=1) for change in after_error(ALONE, error)] == [alone]


@pytest.mark.parametrize(("error", "peers"), [(TransientError("503"), 3), (RateLimitedError("429"), 0)])
def test_a_batch_that_breaks_twice_is_made_smaller_unless_only_its_moment_was_wrong(
    error: EndpointError, peers: int
) -> None:
    again = Batch(tuple(planned._replace(broken_calls=1) for planned in TOGETHER.parts))
    assert {change.max_peers for change in after_error(again, error)} == {peers}


def test_a_user_fails_after_too_many_calls_without_an_answer() -> None:
    planned = plan("anna")
    calls = 0
    change = PartChange(planned.part, "pending")
    while change.state == "pending":
        calls += 1
        (change,) = after_error(
            Batch((planned._replace(broken_calls=change.broken_calls),)), TransientError("503")
        )
    assert (calls, change.reason, change.attempts) == (MOST_BROKEN_CALLS, "endpoint", 0)


def test_a_refused_request_is_halved_and_charged_to_nobody() -> None:
    assert [kind_of(change, peers=3) for change in after_error(TOGETHER, RejectedRequestError("no"))] == [
        "smaller"
    ] * 5


READ_REASONS: list[FailureReason] = sorted({reason for reason, *_ in TABLE})


def pieces_of(part: Part) -> list[Part]:
    """Cut a part as the engine does: in two, and not at all if it is one behavior."""
    middle = (part.first + part.last) // 2
    if part.first == part.last:
        return []
    return [Part(part.user_id, part.first, middle), Part(part.user_id, middle + 1, part.last)]


@st.composite
def verdicts(draw: st.DrawFn, batch: Batch) -> list[PartChange]:
    error = draw(st.none() | st.sampled_from([error for error, *_ in ERRORS]))
    if error is not None:
        return after_error(batch, error)
    reasons = st.none() | st.sampled_from(READ_REASONS)
    outcomes = {planned.part: Outcome(planned.part, draw(reasons)) for planned in batch.parts}
    finish = draw(st.sampled_from(get_args(FinishReason)))
    return judged(
        batch, outcomes, finish, at_the_cap=draw(st.booleans()), attempts=draw(st.integers(1, ATTEMPTS))
    )


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.data())
@settings(max_examples=80, deadline=None)
def test_every_path_ends_with_every_behavior_done_or_failed_once(
    last: list[int], data: st.DataObject
) -> None:
    whole = [plan(f"user {n}", 0, index) for n, index in enumerate(last)]
    scheduler = Scheduler(whole, LIMITS._replace(max_users=6))
    ended: Counter[tuple[str, int]] = Counter()
    calls = 0
    while (batch := scheduler.next()) is not None:
        calls += 1
        assert calls < 2_000, "it never ends"
        for change, planned in zip(data.draw(verdicts(batch)), batch.parts, strict=True):
            assert change.part == planned.part
            assert change.state == "done" or change.reason
            pieces = pieces_of(change.part) if change.too_large else []
            if pieces:
                scheduler.put_back(PlannedPart(piece, planned.size, max_peers=1) for piece in pieces)
            elif change.state == "pending":
                assert change.max_peers <= max(planned.max_peers, len(batch.parts))
                scheduler.put_back(
                    [
                        planned._replace(
                            attempts=change.attempts,
                            broken_calls=change.broken_calls,
                            max_peers=change.max_peers,
                        )
                    ]
                )
            else:
                ended.update((change.part.user_id, n) for n in range(change.part.first, change.part.last + 1))
    assert ended == Counter((p.part.user_id, n) for p in whole for n in range(p.part.last + 1))
