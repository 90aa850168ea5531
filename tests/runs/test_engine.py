import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import (
    EndpointError,
    FatalEndpointError,
    LimitReachedError,
    ModeratedError,
    StoppedError,
    StorageError,
    TransientError,
)
from eventabs.providers.retries_and_rate_limits import OnRetry
from eventabs.replies.reader import Reading
from eventabs.runs.observer import BatchDone, Retrying, Stopping
from eventabs.runs.progress_and_stop_conditions import MAX_FAILURES
from eventabs.shared_records import Reply, Request, Usage
from eventabs.stop_request import StopRequested
from eventabs.store.ledger import Ledger
from runs_desk import Desk, at_work
from runs_kit import LIMITS, answer, make_log

BUSY = TransientError("HTTP 503", status=503)
NO_KEY = FatalEndpointError("HTTP 401", status=401)


def users(count: int) -> list[str]:
    return [f"u{n:02}" for n in range(count)]


def working(path: Path, count: int, *, together: int = 1) -> AbstractAsyncContextManager[Desk]:
    return at_work(
        path, [make_log(user_id) for user_id in users(count)], limits=LIMITS._replace(max_users=together)
    )


class Gate:
    """Holds every call until it is opened, or just those of some users."""

    def __init__(self, *held: str) -> None:
        self.opened = asyncio.Event()
        self.held = held
        self.waiting = 0

    async def __call__(self, request: Request, _on_retry: OnRetry) -> Reply:
        if not self.held or {log.user_id for log in request.users.values()} & set(self.held):
            self.waiting += 1
            await self.opened.wait()
        return answer()

    async def full(self, count: int) -> None:
        await until(lambda: self.waiting >= count)


class Failing:
    """Fails for some users, or for the first calls; answers all others."""

    def __init__(self, error: EndpointError, *failing: str, first: int = 0) -> None:
        self.error, self.failing, self.first = error, set(failing), first

    async def __call__(self, request: Request, _on_retry: OnRetry) -> Reply:
        await asyncio.sleep(0)
        if self.first:
            self.first -= 1
            raise self.error
        if {log.user_id for log in request.users.values()} & self.failing:
            raise self.error
        return answer()


async def until(what: Callable[[], bool]) -> None:
    while not what():  # noqa: ASYNC110  what is waited for happens in records that know no events
        await asyncio.sleep(0.001)


async def test_everybody_is_asked_once_and_done(tmp_path: Path) -> None:
    async with working(tmp_path, 12, together=5) as desk:
        await desk.engine(workers=3).run()
        assert sorted(user_id for asked in desk.endpoint.asked for user_id in asked) == users(12)
        assert set(desk.states().values()) == {"done"}
        assert (desk.tracker.counts.calls, desk.tracker.counts.batches_done, desk.tracker.in_flight) == (
            3,
            3,
            0,
        )
        assert (desk.tracker.counts.prompt_tokens, desk.tracker.counts.completion_tokens) == (300, 120)


@pytest.mark.parametrize(("workers", "batches"), [(1, 4), (3, 9), (16, 9)])
async def test_as_many_calls_are_in_flight_as_there_are_workers_and_never_more(
    tmp_path: Path, workers: int, batches: int
) -> None:
    async with working(tmp_path, batches) as desk:
        gate = desk.endpoint.answering = Gate()
        running = asyncio.create_task(desk.engine(workers=workers).run())
        await gate.full(min(workers, batches))
        await asyncio.sleep(0.01)
        assert desk.endpoint.in_flight == desk.tracker.in_flight == min(workers, batches)
        gate.opened.set()
        await running
        assert desk.endpoint.most_in_flight == min(workers, batches)


async def test_a_slow_call_holds_up_nobody(tmp_path: Path) -> None:
    async with working(tmp_path, 10) as desk:
        gate = desk.endpoint.answering = Gate("u00")
        running = asyncio.create_task(desk.engine(workers=2).run())
        await until(lambda: desk.tracker.counts.done == 9)
        assert "u00" not in desk.written_users(), "results are there as they come"
        assert len(desk.written_users()) == 9
        gate.opened.set()
        await running
        assert desk.tracker.counts.done == 10


async def test_a_call_is_in_the_ledger_while_it_is_in_flight(tmp_path: Path) -> None:
    async with working(tmp_path, 1) as desk:
        statuses = []

        async def look(_request: Request, _on_retry: OnRetry) -> Reply:
            statuses.extend(
                await desk.writer.write(lambda ledger: ledger.rows("SELECT status, sent_at FROM calls"))
            )
            return answer()

        desk.endpoint.answering = look
        await desk.engine().run()
        assert statuses == [("sent", 1_000.0)]


async def test_the_next_call_is_prepared_while_a_good_answer_is_being_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk = threading.Event()
    settle = Ledger.settle

    def wait(ledger: Ledger, *answered: Any) -> None:  # noqa: ANN401  as it is called
        assert on_disk.wait(10)
        settle(ledger, *answered)

    monkeypatch.setattr(Ledger, "settle", wait)
    async with working(tmp_path, 3) as desk:
        running = asyncio.create_task(desk.engine().run())
        await until(lambda: desk.tracker.under_way == 2)
        assert (desk.tracker.counts.done, desk.watcher.of(BatchDone)) == (0, [])
        assert desk.tracker.progress(waiting=desk.scheduler.batches, workers=1).batches_total == 3
        on_disk.set()
        await running
        assert (desk.tracker.counts.done, desk.tracker.in_flight, desk.tracker.unsettled) == (3, 0, 0)


async def test_what_has_to_be_asked_again_is_asked_by_workers_that_were_idle(tmp_path: Path) -> None:
    async with working(tmp_path, 4, together=4) as desk:
        desk.means = {user_id: ["missing"] for user_id in users(4)}
        await desk.engine(workers=8).run()
        assert set(desk.states().values()) == {"done"}
        assert [len(asked) for asked in desk.endpoint.asked] == [4, 2, 2]


async def test_the_checkpoint_is_saved_after_every_tenth_batch_with_the_true_number_of_batches(
    tmp_path: Path,
) -> None:
    async with working(tmp_path, 25) as desk:
        await desk.engine(workers=3).run()
        assert desk.saves == [10, 20]
        assert desk.totals == [25, 25]


async def test_a_resumed_run_saves_at_every_tenth_batch_of_the_whole(tmp_path: Path) -> None:
    async with working(tmp_path, 9) as desk:
        desk.tracker.add(batches_done=17)
        await desk.engine().run()
        assert desk.saves == [20]


async def test_retries_are_counted_and_told_and_kept_with_the_call(tmp_path: Path) -> None:
    async with working(tmp_path, 1) as desk:

        async def retry(_request: Request, on_retry: OnRetry) -> Reply:
            on_retry(BUSY, 2.0)
            on_retry(TransientError("HTTP 502"), 4.0)
            return answer()

        desk.endpoint.answering = retry
        await desk.engine().run()
        assert desk.watcher.of(Retrying) == [Retrying(1, "HTTP 503", 2.0), Retrying(1, "HTTP 502", 4.0)]
        assert desk.tracker.counts.retries == 2
        assert desk.ledger.rows("SELECT in_flight_limit FROM calls") == [(1,)]
        assert desk.ledger.rows("SELECT * FROM retries") == [
            (1, 1_000.0, "503", "HTTP 503", 2.0),
            (1, 1_000.0, "connection", "HTTP 502", 4.0),
        ]


@pytest.mark.parametrize(("reported", "completion"), [(0, 9), (8, 9), (20, 20)])
async def test_tokens_are_counted_here_where_the_endpoint_reports_none_of_the_prompt(
    tmp_path: Path, reported: int, completion: int
) -> None:
    async with working(tmp_path, 1) as desk:

        async def silent(_request: Request, _on_retry: OnRetry) -> Reply:
            return Reply("four", reasoning="three", usage=Usage(0, reported), usage_reported=False)

        desk.endpoint.answering = silent
        await desk.engine().run()
        assert (desk.tracker.counts.prompt_tokens, desk.tracker.counts.completion_tokens) == (100, completion)
        assert desk.ledger.rows("SELECT prompt_tokens, completion_tokens, usage_reported FROM calls") == [
            (100, completion, 0)
        ]


async def test_a_hostile_reply_is_counted_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventabs.runs.engine.LONG_REPLY", 5)
    async with working(tmp_path, 2) as desk:
        counted_in = []

        def count(text: str) -> int:
            counted_in.append((len(text), threading.current_thread() is threading.main_thread()))
            return len(text)

        async def silent(request: Request, _on_retry: OnRetry) -> Reply:
            return Reply(
                "four" if "u00" in request.messages[1]["content"] else "longer", usage_reported=False
            )

        desk.count, desk.endpoint.answering = count, silent
        await desk.engine().run()
        assert counted_in == [(4, True), (6, False)]


# stopping


async def test_a_stop_sends_no_more_calls_and_waits_for_those_in_flight(tmp_path: Path) -> None:
    async with working(tmp_path, 9) as desk:
        gate = desk.endpoint.answering = Gate()
        engine = desk.engine(workers=3)
        running = asyncio.create_task(engine.run())
        await gate.full(3)
        engine.stop()
        await asyncio.sleep(0.01)
        gate.opened.set()
        await running
        assert engine.stopped
        assert (desk.tracker.counts.done, len(desk.endpoint.asked)) == (3, 3)
        assert len(desk.ledger.pending_parts()) == 6


async def test_a_second_stop_waits_for_nobody(tmp_path: Path) -> None:
    async with working(tmp_path, 9) as desk:
        gate = desk.endpoint.answering = Gate()
        engine = desk.engine(workers=3)
        running = asyncio.create_task(engine.run())
        await gate.full(3)
        engine.stop()
        engine.stop()
        await asyncio.wait_for(running, 1.0)
        assert (desk.endpoint.in_flight, desk.tracker.in_flight, desk.tracker.counts.done) == (0, 0, 0)
        assert len(desk.ledger.pending_parts()) == 9
        assert desk.ledger.rows("SELECT DISTINCT status FROM calls") == [("sent",)]


async def test_patience_with_calls_in_flight_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with working(tmp_path, 3) as desk:
        desk.grace_seconds = 0.05
        gate = desk.endpoint.answering = Gate("u00")
        engine = desk.engine(workers=3)
        running = asyncio.create_task(engine.run())
        await until(lambda: desk.tracker.counts.done == 2)
        assert gate.waiting == 1
        engine.stop()
        await asyncio.wait_for(running, 2.0)
        assert desk.states() == {"u00": "pending", "u01": "done", "u02": "done"}


async def test_calls_that_only_wait_are_called_off_at_a_stop_and_held_against_nobody(tmp_path: Path) -> None:
    async with working(tmp_path, 3) as desk:
        gate = Gate("u00")

        async def wait_or_answer(request: Request, on_retry: OnRetry) -> Reply:
            if "u00" in request.messages[1]["content"]:
                return await gate(request, on_retry)
            await desk.closing.wait()
            raise StopRequested

        desk.endpoint.answering = wait_or_answer
        engine = desk.engine(workers=3)
        running = asyncio.create_task(engine.run())
        await until(lambda: desk.endpoint.in_flight == 3)
        engine.stop()
        await until(lambda: desk.tracker.in_flight == 1)
        assert desk.watcher.of(Stopping) == [Stopping(desk.grace_seconds)]
        gate.opened.set()
        await asyncio.wait_for(running, 2.0)
        assert desk.states() == {"u00": "done", "u01": "pending", "u02": "pending"}
        charged = desk.ledger.rows(
            "SELECT sum(attempts), sum(broken_calls) FROM parts WHERE state = 'pending'"
        )
        assert charged == [(0, 0)]


async def test_a_reply_is_kept_whatever_happens_between_the_wire_and_its_reading(tmp_path: Path) -> None:
    def give_up_what_comes_of_it() -> None:
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), "__name__", "") == "_work":
                task.cancel()

    async with working(tmp_path, 1) as desk:

        async def answer_at_a_bad_moment(_request: Request, _on_retry: OnRetry) -> Reply:
            asyncio.get_running_loop().call_soon(give_up_what_comes_of_it)
            return answer("## U1")

        desk.endpoint.answering = answer_at_a_bad_moment
        engine = desk.engine()
        running = asyncio.create_task(engine.run())
        await until(lambda: desk.tracker.counts.calls == 1 and not desk.tracker.in_flight)
        engine.stop()
        engine.stop()
        await asyncio.wait_for(running, 1.0)
        await desk.writer.write(lambda _ledger: None)
        assert desk.ledger.rows("SELECT status FROM calls") == [("answered",)]


async def test_a_second_stop_does_not_wait_for_a_hostile_reply_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventabs.runs.schedule_and_settlement.LONG_REPLY", 0)
    reading, go_on = threading.Event(), threading.Event()

    def read_for_ever(*_reply: object) -> Reading:
        reading.set()
        assert go_on.wait(10)
        return Reading({})

    monkeypatch.setattr("runs_desk._Meaning.read", read_for_ever)
    async with working(tmp_path, 1) as desk:
        engine = desk.engine()
        running = asyncio.create_task(engine.run())
        await until(reading.is_set)
        engine.stop()
        engine.stop()
        await asyncio.wait_for(running, 1.0)
        assert desk.ledger.rows("SELECT status FROM calls") == [("answered",)]
        go_on.set()


# errors


async def test_an_error_in_the_middle_is_raised_once_calls_in_flight_have_ended(tmp_path: Path) -> None:
    async with working(tmp_path, 9) as desk:
        gate = Gate("u00", "u01")

        async def fail_one(request: Request, on_retry: OnRetry) -> Reply:
            if "u02" in request.messages[1]["content"]:
                await gate.full(2)
                asyncio.get_running_loop().call_later(0.02, gate.opened.set)
                raise NO_KEY
            return await gate(request, on_retry)

        desk.endpoint.answering = fail_one
        with pytest.raises(FatalEndpointError, match="401"):
            await desk.engine(workers=3).run()
        states = desk.states()
        assert {states.pop("u00"), states.pop("u01")} == {"done"}
        assert set(states.values()) == {"pending"}
        assert len(desk.endpoint.asked) == 3


async def test_a_limit_lets_calls_in_flight_finish_however_long_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(tmp_path, 9) as desk:
        desk.grace_seconds = 0.0
        gate = desk.endpoint.answering = Gate()
        running = asyncio.create_task(desk.engine(workers=3, max_total_tokens=2 * 150).run())
        await gate.full(2)
        await asyncio.sleep(0.05)
        gate.opened.set()
        with pytest.raises(LimitReachedError):
            await running
        assert desk.tracker.counts.done == 2
        assert desk.tracker.counts.prompt_tokens + desk.tracker.counts.completion_tokens <= 300


async def test_a_stop_while_a_limit_holds_calls_back_is_heard(tmp_path: Path) -> None:
    async with working(tmp_path, 9) as desk:
        gate = desk.endpoint.answering = Gate()
        engine = desk.engine(workers=3, max_total_tokens=2 * 150)
        running = asyncio.create_task(engine.run())
        await gate.full(2)
        await asyncio.sleep(0.01)
        engine.stop()
        engine.stop()
        await asyncio.wait_for(running, 1.0)
        assert desk.tracker.counts.done == 0


async def test_an_error_of_our_own_ends_the_run_and_is_not_hidden(tmp_path: Path) -> None:
    async with working(tmp_path, 3) as desk:

        async def broken(_request: Request, _on_retry: OnRetry) -> Reply:
            raise ZeroDivisionError

        desk.endpoint.answering = broken
        with pytest.raises(ZeroDivisionError):
            await desk.engine(workers=2).run()
        assert desk.tracker.in_flight == 0


async def test_a_full_disk_stops_the_run_and_what_was_kept_stays(tmp_path: Path) -> None:
    async with working(tmp_path, 20) as desk:

        async def fill(request: Request, _on_retry: OnRetry) -> Reply:
            if desk.tracker.counts.done >= 5:
                await desk.writer.write(lambda ledger: ledger.rows("PRAGMA query_only = ON"))
            return answer()

        desk.endpoint.answering = fill
        with pytest.raises(StorageError, match="resume"):
            await desk.engine().run()
        desk.ledger.rows("PRAGMA query_only = OFF")
        done = [user_id for user_id, state in desk.states().items() if state == "done"]
        assert 5 <= len(done) < 20, "some may have been on their way to the disk"
        assert sorted(desk.written_users()) == done


# fruitless calls


async def test_a_run_without_one_success_is_stopped(tmp_path: Path) -> None:
    async with working(tmp_path, 40) as desk:
        desk.endpoint.answering = Failing(BUSY, first=1_000)
        with pytest.raises(StoppedError, match=r"10 tries without a usable answer.*HTTP 503"):
            await desk.engine().run()
        assert len(desk.endpoint.asked) == MAX_FAILURES


async def test_a_run_without_one_reply_ends_with_the_cause(tmp_path: Path) -> None:
    async with working(tmp_path, 1) as desk:
        desk.endpoint.answering = Failing(BUSY, first=1_000)
        with pytest.raises(StoppedError, match=f"^{BUSY}$"):
            await desk.engine().run()
        assert desk.states() == {"u00": "failed"}


async def test_calls_that_fail_for_most_users_stop_the_run_with_what_was_wrong_most_often(
    tmp_path: Path,
) -> None:
    async with working(tmp_path, 20) as desk:
        desk.means = {user_id: ["empty"] * 9 for user_id in users(20)[2:]}
        with pytest.raises(
            StoppedError, match=r"16 calls without .* 2 users have one; most often: .*: empty"
        ):
            await desk.engine().run()
        assert len(desk.endpoint.asked) == 18
        assert desk.tracker.counts.failed == 0


async def test_users_whose_content_is_refused_do_not_stop_a_run_that_has_had_good_answers(
    tmp_path: Path,
) -> None:
    async with working(tmp_path, 20) as desk:
        desk.endpoint.answering = Failing(ModeratedError("no"), *users(20)[1:])
        await desk.engine().run()
        assert (desk.tracker.counts.done, desk.tracker.counts.failed) == (1, 19)
