from pathlib import Path

import pytest

from eventabs.errors_and_exit_codes import (
    ContextTooLongError,
    EndpointError,
    FatalEndpointError,
    ModeratedError,
    RejectedRequestError,
    StorageError,
    TransientError,
)
from eventabs.runs.observer import BatchDone, CallFailed
from eventabs.runs.schedule_and_settlement import Call, Session
from eventabs.shared_records import Batch, Part, Reply
from eventabs.store.counts_users_jobs_extensions import count_all, failed_users, made_of
from eventabs.store.ledger import PartChange
from runs_desk import Desk, at_work
from runs_kit import LIMITS, answer, make_log

ANNA, BERT = make_log("anna"), make_log("bert")
CLEO = make_log("cleo", 8)
CLEO_IN_PARTS = {"cleo": [Part("cleo", 0, 3), Part("cleo", 4, 7)]}


async def sent(desk: Desk, reply: Reply | None = None, *, batch: Batch | None = None) -> Call:
    """Send a batch, the next one, as the engine does, up to the commit of its reply."""
    batch = batch or desk.scheduler.next()
    assert batch is not None
    call, _request = await desk.writer.write(desk.session().open_call, batch)
    if reply is not None:
        await desk.writer.write(lambda ledger: ledger.store_reply(call.id, reply))
    return call


async def replied(
    desk: Desk, settler: Session, reply: Reply | None = None, *, batch: Batch | None = None
) -> int:
    reply = reply or answer()
    usable, _reasons, committed = await settler.settle_reply(await sent(desk, reply, batch=batch), reply)
    await committed
    return usable > 0


async def refused(desk: Desk, settler: Session, error: EndpointError, *, batch: Batch | None = None) -> None:
    await settler.settle_error(await sent(desk, batch=batch), error)


async def test_users_that_came_well_are_done_and_their_events_written(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA, BERT]) as desk:
        assert await replied(desk, desk.session())
        assert desk.states() == {"anna": "done", "bert": "done"}
        assert desk.written_users() == ["anna", "bert"]
        assert (desk.tracker.counts.done, desk.tracker.counts.events, desk.tracker.counts.failed) == (2, 2, 0)
        assert desk.scheduler.next() is None
        assert desk.watcher.of(BatchDone) == [BatchDone(1, 2, 2, {}, 2.0)]
        assert desk.ledger.unread_calls() == []


async def test_answers_are_counted_by_the_users_in_the_batch_and_by_place(tmp_path: Path) -> None:
    logs = [ANNA, BERT, make_log("carl", 9), make_log("dora"), CLEO]
    async with at_work(tmp_path, logs, parts=CLEO_IN_PARTS) as desk:
        desk.means = {"carl": ["unparsable"], "dora": ["missing", "cut"]}
        settler = desk.session()
        while batch := desk.scheduler.next():
            await replied(desk, settler, batch=batch)
        counted = count_all(desk.ledger)
        found = [(row["name"], row["asked"], row["usable"]) for row in counted.answers["by_batch_users"]]
        assert found == [("1", 1, 1), ("2-3", 2, 1), ("4-7", 6, 4)]
        assert sum(row["asked"] for row in counted.answers["by_position"]) == 6, (
            "a place among two says nothing"
        )


@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 2), (3, 7), (12, 40)])
async def test_halves_cover_a_part_that_is_too_large_and_none_is_longer_than_half(
    first: int, count: int, tmp_path: Path
) -> None:
    part = Part("whale", first, first + count - 1)
    async with at_work(tmp_path, [make_log("whale", first + count)], parts={"whale": [part]}) as desk:
        change = await desk.session()._cut(PartChange(part, "failed", too_large=True))
        parts = [piece for piece, _size in change.replaced_by]
    if count == 1:
        assert (parts, change.state) == ([], "failed")
        return
    assert change.state == "pending"
    assert [n for piece in parts for n in range(piece.first, piece.last + 1)] == [
        *range(first, first + count)
    ]
    assert max(piece.last - piece.first + 1 for piece in parts) <= (count + 1) // 2


async def test_only_users_that_did_not_come_well_are_asked_again(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA, BERT, make_log("carl")]) as desk:
        desk.means = {"anna": ["missing"], "carl": ["unparsable"]}
        settler = desk.session()
        assert await replied(desk, settler)
        assert desk.written_users() == ["bert"]
        assert desk.watcher.of(BatchDone)[0].unusable == {"missing": 1, "unparsable": 1}
        _call, again, _users = await sent(desk)
        assert {p.part.user_id: (p.attempts, p.max_peers) for p in again.parts} == {
            "anna": (1, 2),
            "carl": (1, 2),
        }
        assert sorted(again.parts) == desk.ledger.pending_parts(), "a new process would ask the same"


async def test_a_user_fails_with_its_reason_after_its_last_attempt(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA]) as desk:
        desk.means = {"anna": ["missing", "refused"]}
        settler = desk.session(attempts=2)
        assert not await replied(desk, settler)
        assert not await replied(desk, settler)
        assert desk.states() == {"anna": "failed"}
        assert (desk.tracker.counts.done, desk.tracker.counts.failed) == (0, 1)
        (failed,) = failed_users(desk.ledger)
        assert list(failed.values()) == ["anna", "refused", 2, 0, [1, 2]]
        assert desk.scheduler.next() is None


async def test_a_user_in_two_parts_is_done_once_both_are(tmp_path: Path) -> None:
    async with at_work(tmp_path, [CLEO], parts=CLEO_IN_PARTS, limits=LIMITS._replace(max_users=1)) as desk:
        settler = desk.session()
        await replied(desk, settler)
        assert (desk.tracker.counts.done, desk.written_users()) == (0, [])
        await replied(desk, settler)
        assert (desk.tracker.counts.done, desk.written_users()) == (1, ["cleo", "cleo"])
        covered = [n for event in made_of(desk.ledger, "cleo").events for n in event["behaviors"]]
        assert covered == list(range(8))


async def test_two_parts_of_a_user_in_one_reply_count_as_one_user(tmp_path: Path) -> None:
    async with at_work(tmp_path, [CLEO], parts=CLEO_IN_PARTS) as desk:
        await replied(desk, desk.session())
        assert (desk.tracker.counts.done, desk.written_users()) == (1, ["cleo", "cleo"])


async def test_a_user_with_one_failed_part_fails_once_and_keeps_its_good_part(tmp_path: Path) -> None:
    async with at_work(tmp_path, [CLEO], parts=CLEO_IN_PARTS, limits=LIMITS._replace(max_users=1)) as desk:
        settler = desk.session(attempts=1)
        desk.means = {"cleo": ["refused"]}
        await replied(desk, settler)
        assert desk.tracker.counts.failed == 0, "its other part is not answered yet"
        await replied(desk, settler)
        assert (desk.tracker.counts.done, desk.tracker.counts.failed, desk.written_users()) == (0, 1, [])
        assert sorted(desk.states()["cleo"].split()) == ["done", "failed"]
        assert desk.ledger.rows("SELECT count(*) FROM outcomes WHERE reason IS NULL") == [(1,)]


@pytest.mark.parametrize(
    "reply", [Reply("## U1", "length"), answer(completion_tokens=LIMITS.max_output_tokens)]
)
async def test_a_user_whose_answer_is_too_long_is_cut_and_its_pieces_are_joined_again(
    tmp_path: Path, reply: Reply
) -> None:
    async with at_work(tmp_path, [CLEO]) as desk:
        desk.means = {"cleo": ["cut"]}
        settler = desk.session()
        await replied(desk, settler, reply)
        assert desk.states() == {"cleo": "pending pending"}
        first, second = desk.ledger.pending_parts()
        assert (first.part, second.part) == (Part("cleo", 0, 3), Part("cleo", 4, 7))
        assert (first.attempts, second.attempts) == (1, 1), "cutting must end"
        for _piece in range(2):
            assert await replied(desk, settler)
        assert desk.scheduler.next() is None
        assert desk.states() == {"cleo": "done done"}
        assert desk.tracker.counts.done == 1
        assert [event["behaviors"] for event in made_of(desk.ledger, "cleo").events] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
        ]


async def test_users_that_a_cut_answer_did_not_reach_are_asked_again_in_smaller_company(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, [make_log(f"u{n}") for n in range(8)]) as desk:
        desk.means = {f"u{n}": ["cut"] for n in range(3, 8)}
        await replied(desk, desk.session(), Reply("## U1", "length"))
        sizes = []
        while (batch := desk.scheduler.next()) is not None:
            sizes.append(len(batch.parts))
            assert all(planned.attempts == 0 for planned in batch.parts)
        assert sum(sizes) == 5
        assert max(sizes) <= 4


async def test_a_single_behavior_whose_answer_is_cut_fails(tmp_path: Path) -> None:
    async with at_work(tmp_path, [make_log("anna", 1)]) as desk:
        desk.means = {"anna": ["cut"]}
        await replied(desk, desk.session(), Reply("## U1", "length"))
        assert [user["reason"] for user in failed_users(desk.ledger)] == ["cut"]


async def test_long_answers_make_the_batches_that_wait_smaller(tmp_path: Path) -> None:
    async with at_work(tmp_path, [make_log(f"u{n:03}") for n in range(120)]) as desk:
        settler = desk.session()
        before = desk.scheduler.batches
        for _reply in range(3):
            await replied(desk, settler, answer(completion_tokens=30 * 40 * 8))
        assert desk.scheduler.batches > before - 3
        left = set()
        while (batch := desk.scheduler.next()) is not None:
            assert len(batch.parts) < 30
            left |= {planned.part for planned in batch.parts}
        assert left == {planned.part for planned in desk.ledger.pending_parts()}


async def test_a_very_long_reply_is_read_like_any_other(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA]) as desk:
        assert await replied(desk, desk.session(), answer("x" * 2_000_000))
        assert desk.states() == {"anna": "done"}


# errors


async def test_a_call_without_an_answer_is_closed_with_its_error_and_told(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA, BERT]) as desk:
        await refused(desk, desk.session(), TransientError("HTTP 503"))
        assert desk.ledger.rows("SELECT status, error FROM calls") == [("failed", "HTTP 503")]
        assert desk.watcher.of(CallFailed) == [CallFailed(1, 2, "HTTP 503")]
        assert [(p.attempts, p.broken_calls) for p in desk.ledger.pending_parts()] == [(0, 1)] * 2


async def test_an_error_that_no_other_call_could_escape_is_raised_and_costs_nobody(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA]) as desk:
        with pytest.raises(FatalEndpointError):
            await refused(desk, desk.session(), FatalEndpointError("HTTP 401", status=401))
        assert desk.ledger.rows("SELECT status, error FROM calls") == [("failed", "HTTP 401")]
        (planned,) = desk.ledger.pending_parts()
        assert (planned.attempts, planned.broken_calls) == (0, 0)


async def test_a_moderated_user_is_found_by_halving_and_fails_alone(tmp_path: Path) -> None:
    async with at_work(tmp_path, [make_log(f"u{n:02}") for n in range(20)]) as desk:
        settler, calls = desk.session(), 0
        while (batch := desk.scheduler.next()) is not None:
            calls += 1
            if any(planned.part.user_id == "u07" for planned in batch.parts):
                await refused(desk, settler, ModeratedError("no"), batch=batch)
            else:
                await replied(desk, settler, batch=batch)
        assert (desk.tracker.counts.done, desk.tracker.counts.failed) == (19, 1)
        assert [tuple(user.values())[:3] for user in failed_users(desk.ledger)] == [
            ("u07", "content_filter", 0)
        ]
        assert calls <= 12


async def test_a_user_too_long_for_the_model_is_cut(tmp_path: Path) -> None:
    async with at_work(tmp_path, [CLEO]) as desk:
        await refused(desk, desk.session(), ContextTooLongError("too long"))
        assert desk.states() == {"cleo": "pending pending"}


async def test_a_refused_request_is_split_once_and_then_stops_the_run(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA, BERT]) as desk:
        settler = desk.session()
        await refused(desk, settler, RejectedRequestError("HTTP 422"))
        assert [p.max_peers for p in desk.ledger.pending_parts()] == [1, 1]
        with pytest.raises(RejectedRequestError):
            await refused(desk, settler, RejectedRequestError("HTTP 422"))
        assert len(desk.ledger.pending_parts()) == 2


async def test_where_the_ledger_cannot_be_written_nothing_is_told_or_asked_again(tmp_path: Path) -> None:
    async with at_work(tmp_path, [ANNA]) as desk:
        reply = answer()
        call = await sent(desk, reply)
        desk.ledger.rows("PRAGMA query_only = ON")
        _usable, _reasons, committed = await desk.session().settle_reply(call, reply)
        with pytest.raises(StorageError):
            await committed
        assert (desk.tracker.counts.done, desk.written_users(), desk.watcher.notes) == (0, [], [])
        assert desk.scheduler.next() is None
        assert desk.ledger.unread_calls() == [call.id]
