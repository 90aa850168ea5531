"""Answers by row numbers through a run: what is asked again, what is kept, and that no row is lost or counted twice."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import StoppedError
from eventabs.providers.retries_and_rate_limits import OnRetry
from eventabs.runs.schedule_and_settlement import Session
from eventabs.runs.start_resume_reparse import reparse
from eventabs.shared_records import Counts, FinishReason, Part, Reply, Request, Usage, UserLog
from eventabs.store.counts_users_jobs_extensions import (
    count_all,
    failed_users,
    made_of,
    users_by_reason,
)
from eventabs.store.ledger import Ledger, digest_of, pack_text
from eventabs.store.result_files import write_results
from eventabs.store.run_directory_and_checkpoint import RunDirectory
from runs_desk import Desk, at_work
from runs_kit import answer, make_log, whole

DORA = make_log("dora", 24)  # eight rows a day
READS: dict[str, object] = {
    "vocabulary": {"open": False, "types": [{"name": "用餐"}, {"name": "付款", "category": "conversion"}]},
    "events": {"must": [{"action": "purchase", "added_type": "付款", "category": "conversion"}]},
}


async def say(desk: Desk, settler: Session, text: str) -> str:
    """Have the next batch answered; return which rows it asked about."""
    batch = desk.scheduler.next()
    assert batch is not None
    call, _request = await desk.writer.write(desk.session().open_call, batch)
    await desk.writer.write(lambda ledger: ledger.store_reply(call.id, answer(text)))
    _usable, _reasons, committed = await settler.settle_reply(call, answer(text))
    await committed
    return batch.parts[0].rows


def results(desk: Desk) -> tuple[bytes, bytes]:
    write_results(RunDirectory(desk.path), desk.ledger)
    return (desk.path / "events.jsonl").read_bytes(), (desk.path / "journeys.jsonl").read_bytes()


def accounts(ledger: Ledger, user_id: str) -> list[int]:
    """Return all rows that are in an event or in none, in order."""
    made = made_of(ledger, user_id)
    rows = [row for event in made.events for row in event["behaviors"]]
    return sorted([*rows, *made.minor, *made.unplaced, *made.unasked])


HALF = "## U1\n> 购买 帐篷：浏览 1,9\n用餐 2-8\n零碎 10-12\n##"  # rows 13 to 24 are left out


async def test_days_with_rows_left_out_are_asked_about_again_alone_and_both_answers_are_one(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, [DORA]) as desk:
        desk.reads = READS
        settler = desk.session()
        assert not await say(desk, settler, HALF)
        (planned,) = desk.ledger.pending_parts()
        assert (planned.rows, planned.size.rows, planned.attempts) == ("8-23", 16, 1)
        # of 16 rows now: four that were placed, then those left out
        second = "## U1\n> 购买 帐篷：浏览 1 5\n用餐 2-4 6-8\n用餐 9-16\n##"
        assert await say(desk, settler, second) == "8-23"
        assert desk.states() == {"dora": "done"}
        assert accounts(desk.ledger, "dora") == list(range(24))
        (journey,) = made_of(desk.ledger, "dora").journeys
        assert (journey["name"], journey["behaviors"]) == ("帐篷", [0, 8, 12])
        assert made_of(desk.ledger, "dora").minor == [9, 10, 11], "what was placed stays"
        whole, rest = (desk.ledger.stored_reply(call) for call in (1, 2))
        assert (whole.users["U1"].rows, rest.users["U1"].rows) == (range(24), list(range(8, 24)))
        assert whole.digests == {"U1": digest_of(DORA.behaviors)}
        assert rest.digests == {"U1": digest_of(DORA.behaviors[8:])}


async def test_too_many_minor_rows_are_asked_about_once_more_and_then_taken(tmp_path: Path) -> None:
    async with at_work(tmp_path, [DORA]) as desk:
        desk.reads = READS
        settler = desk.session()
        await say(desk, settler, "## U1\n零碎 1-20\n用餐 21-24\n##")
        assert [(each.rows, each.attempts) for each in desk.ledger.pending_parts()] == [("", 1)]
        await say(desk, settler, "## U1\n零碎 1-23\n用餐 24\n##")
        assert len(made_of(desk.ledger, "dora").minor) == 23, "the second answer counts alone"
        assert accounts(desk.ledger, "dora") == list(range(24))


async def test_rows_placed_before_stay_also_where_the_whole_is_minor_in_the_end(tmp_path: Path) -> None:
    async with at_work(tmp_path, [DORA]) as desk:
        desk.reads = READS
        settler = desk.session()
        await say(desk, settler, "## U1\n零碎 1-16\n##")
        await say(desk, settler, "## U1\n零碎 1-8\n##")
        assert desk.scheduler.next() is None
        assert accounts(desk.ledger, "dora") == list(range(24))


async def test_an_answer_that_was_taken_at_the_last_attempt_is_taken_again_when_replies_are_read_anew(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, [DORA]) as desk:
        desk.reads = READS
        settler = desk.session(attempts=2)
        await say(desk, settler, "## U1\n用餐 1-20\n##")
        await say(desk, settler, "I cannot do that")
        assert (desk.states(), made_of(desk.ledger, "dora").unplaced) == (
            {"dora": "done"},
            [20, 21, 22, 23],
        )
        before = results(desk)
        reparse(desk.run())
        assert (desk.states(), results(desk)) == ({"dora": "done"}, before)


async def test_a_failed_user_that_is_asked_again_is_asked_about_what_it_lacks(tmp_path: Path) -> None:
    async with at_work(tmp_path, [DORA]) as desk:
        desk.reads = READS
        settler = desk.session(attempts=2)
        await say(desk, settler, HALF)
        await say(desk, settler, "I cannot do that")
        assert [user["reason"] for user in failed_users(desk.ledger)] == ["refused"]
        with desk.ledger.transaction():
            desk.ledger.ask_failed_again()
        desk.scheduler.put_back(desk.ledger.pending_parts())
        assert await say(desk, settler, "## U1\n用餐 1-16\n##") == "8-23"
        assert (desk.states(), accounts(desk.ledger, "dora")) == ({"dora": "done"}, list(range(24)))


async def test_an_answer_about_some_rows_is_no_whole_one_where_the_one_before_does_not_hold_any_more(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, [DORA]) as desk:
        desk.reads = READS
        settler = desk.session()
        await say(desk, settler, HALF)
        await say(desk, settler, "## U1\n用餐 1-16\n##")
        desk.ledger.rows("UPDATE calls SET reply = ? WHERE id = 1", pack_text("I cannot do that"))
        assert reparse(desk.run()).failures == {"unplaced": 1}
        with desk.ledger.transaction():
            desk.ledger.ask_failed_again()
        desk.scheduler.put_back(desk.ledger.pending_parts())
        while desk.states() != {"dora": "done"}:
            rows = len(desk.ledger.asked(whole(DORA), desk.ledger.pending_parts()[0].rows, before=0).rows)
            await say(desk, settler, f"## U1\n用餐 1-{rows}\n##")
        assert accounts(desk.ledger, "dora") == list(range(24))


async def test_a_journey_that_lies_in_several_pieces_of_a_user_is_one_and_counted_once(
    tmp_path: Path,
) -> None:
    pieces = [Part("dora", first, first + 7) for first in (0, 8, 16)]
    async with at_work(tmp_path, [DORA], parts={"dora": pieces}) as desk:
        desk.reads = READS
        blocks = [
            f"## U{n}\n> 购买 帐篷：浏览 {8 * n - 7},{8 * n}\n用餐 {8 * n - 6}-{8 * n - 1}" for n in (1, 2, 3)
        ]
        await say(desk, desk.session(), "\n".join([*blocks, "##"]))
        assert desk.tracker.counts.journeys == count_all(desk.ledger).journeys == 1
        (journey,) = made_of(desk.ledger, "dora").journeys
        assert journey["behaviors"] == [0, 7, 8, 15, 16, 23]
        assert len((tmp_path / "journeys.jsonl").read_text("utf-8").splitlines()) == 1


# whole runs of a model that forgets, repeats and mixes up


MOODS: tuple[str, ...] = (
    *("well", "well", "well", "forgets", "forgets", "forgets a few", "minor", "unsure", "outside"),
    *("missing", "repeats", "misfiles", "refuses rows", "counts anew"),
)


def block(mood: str, draw: random.Random, alias: str, numbers: list[int]) -> Iterator[str]:
    """Write a user's block; the mood decides what is wrong with it."""
    lost = {"forgets": 0.5, "forgets a few": 0.15, "refuses rows": 1.0}.get(mood, 0.0)
    kept = [number for number in numbers if draw.random() >= lost]
    if mood == "counts anew":
        kept = [number - numbers[0] + 1 for number in kept]
    if mood == "missing":
        return
    yield f"## {alias}"
    many, few = kept[:2] + kept[-2:], kept[2:-2]
    if len(many) == 4:
        name = draw.choice("甲乙")
        yield f"> 购买 {name}：浏览 {many[0]},{many[1]}；付款! {many[2]},{many[3]}"
    else:
        few = kept
    kind = {"minor": "零碎", "unsure": "用餐?", "outside": "没见过的"}.get(mood, "用餐")
    if few:
        yield f"{kind} {' '.join(map(str, few))}"
    if mood == "repeats":
        yield f"用餐 {','.join(map(str, kept))}"
    if mood == "misfiles":
        yield f"用餐 {max(1, numbers[0] - 1)} {numbers[-1] + 1}"


def forgetful(seed: int, *, breaks: bool) -> Callable[[Request, OnRetry], Any]:
    """Return a model that says of the same rows of a user always the same.

    `breaks`: some replies are bad for all users, or number a user's rows anew, which only the first user of a call may do.
    """
    moods = MOODS if breaks else MOODS[: MOODS.index("counts anew")]

    async def reply(request: Request, _on_retry: OnRetry) -> Reply:
        lines, numbers = list[str](), count(1)
        for alias, log in request.users.items():
            draw = random.Random(f"{seed} {log.user_id} {digest_of(log.behaviors)}")  # noqa: S311  no secret
            lines += block(draw.choice(moods), draw, alias, list(islice(numbers, len(log.behaviors))))
        draw = random.Random(f"{seed} {lines}")  # noqa: S311
        whole_text = "\n".join([*lines, "##"])
        ends: list[tuple[str, FinishReason]] = [
            (whole_text, "stop"),
            ("", "stop"),
            ("抱歉，我不能", "stop"),
            (whole_text[: len(whole_text) // 2], "length"),
        ]
        text, finish = ends[draw.choice((0, 0, 0, 0, 1, 2, 3)) if breaks else 0]
        return Reply(text, finish, usage=Usage(100, 40), seconds=1.0)

    return reply


def of_users(counts: Sequence[int]) -> list[UserLog]:
    """Return users with some behaviors each, every fifth of them a purchase."""
    logs = [make_log(f"u{at:02}", count) for at, count in enumerate(counts)]
    return [
        UserLog(
            log.user_id,
            tuple(
                behavior._replace(action="purchase") if at % 5 == 4 else behavior
                for at, behavior in enumerate(log.behaviors)
            ),
        )
        for log in logs
    ]


SOME_USERS = st.lists(st.sampled_from([1, 3, 8, 19, 20, 24, 40]), min_size=1, max_size=7)


@given(SOME_USERS, st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_whatever_a_model_says_no_row_is_lost_and_live_ledger_and_reparse_count_alike(
    counts: list[int], seed: int, attempts: int
) -> None:
    logs = of_users(counts)
    halves = {
        log.user_id: [Part(log.user_id, 0, 7), Part(log.user_id, 8, len(log.behaviors) - 1)]
        for log in logs[::3]
        if len(log.behaviors) > 8
    }

    async def run(path: Path) -> None:
        async with at_work(path, logs, parts=halves) as desk:
            desk.reads = READS
            desk.endpoint.answering = forgetful(seed, breaks=True)
            stopped = False
            try:
                await desk.engine(workers=2, attempts=attempts).run()
            except StoppedError:  # after ten bad replies in a row
                stopped = True
            await desk.writer.write(lambda _ledger: None)  # what was posted uses the same connection
            counted = count_all(desk.ledger)
            assert desk.tracker.counts == replace(counted, answers=Counts().answers), (
                "which the ledger alone counts"
            )
            assert not counted.pending or stopped
            for log in logs:
                if desk.states()[log.user_id].split() in (["done"], ["done", "done"]):
                    assert accounts(desk.ledger, log.user_id) == list(range(len(log.behaviors)))
                    unplaced = made_of(desk.ledger, log.user_id).unplaced
                    assert 5 * len(unplaced) <= len(log.behaviors)
                    steps = [
                        step for each in made_of(desk.ledger, log.user_id).journeys for step in each["events"]
                    ]
                    events = made_of(desk.ledger, log.user_id).events
                    assert sorted(steps) == sorted(each["id"] for each in events if each["journey"])
            before, failed = results(desk), users_by_reason(desk.ledger, "failed_users")
            again = reparse(desk.run(attempts=attempts))
            assert (results(desk), users_by_reason(desk.ledger, "failed_users")) == (before, failed)
            assert count_all(desk.ledger) == counted
            assert (again.done, again.journeys) == (counted.done, counted.journeys)

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


@given(SOME_USERS, st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_a_run_that_is_stopped_between_two_asks_about_a_user_ends_with_the_same_bytes(
    counts: list[int], seed: int, calls: int
) -> None:
    logs = of_users(counts)

    async def run(path: Path, *, stop_after: int) -> tuple[bytes, bytes]:
        model = forgetful(seed, breaks=False)
        async with at_work(path, logs) as desk:
            desk.reads = READS
            engine = desk.engine()

            async def reply(request: Request, on_retry: OnRetry) -> Reply:
                if len(desk.endpoint.asked) == stop_after:
                    asyncio.get_running_loop().call_soon(engine.stop)
                return await model(request, on_retry)  # type: ignore[no-any-return]

            desk.endpoint.answering = reply
            await engine.run()
        async with at_work(path, []) as desk:
            desk.reads, desk.endpoint.answering = READS, model
            await desk.engine().run()
            assert count_all(desk.ledger).pending == 0
            return results(desk)

    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        assert asyncio.run(run(Path(one), stop_after=calls)) == asyncio.run(run(Path(two), stop_after=0))
