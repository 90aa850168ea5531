"""Whole runs through a batch service on loopback, in this process."""

import asyncio
import math
import shutil
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import eventabs
from batch_files import read_requests, reply_to, write_lines
from batch_service import BatchServer, Fate
from eventabs.errors_and_exit_codes import RunDirectoryError, UsageError
from eventabs.runs.observer import AwaitingEndpoint, JobChanged, RequestsWritten
from eventabs.shared_records import InputWarning
from eventabs.store.counts_users_jobs_extensions import stored_jobs
from eventabs.store.ledger import Ledger
from eventabs.views.words_and_figures import noted
from house import write_users
from openai_server import read_blocks
from runs_kit import Watcher

USERS = 16
CALLS = 8  # two users each
LIVE = 1  # calls before the first job


@dataclass
class Runner:
    """Runs one export through the server, again and again in the same directory."""

    server: BatchServer
    folder: Path

    def __post_init__(self) -> None:
        self.out = self.folder / "out"
        self.watcher = Watcher()
        write_users(self.folder / "input.jsonl", users=USERS, behaviors=4)

    def settings(self, **batch: Any) -> dict[str, Any]:  # noqa: ANN401  values of settings
        price = {"input": 1.0, "output": 4.0, "batch": 0.5}
        llm = {"model": "m", "base_url": self.server.base_url, "longest_wait": 5.0, "price": price}
        run = {"mode": "batch", **batch.pop("run", {})}
        values = {"poll_seconds": 0.01, "live_calls": LIVE, "live_share": 0.0, **batch}
        return {"llm": llm, "budget": {"max_users": 2}, "run": run, "batch": values}

    def begin(self, *, stop: eventabs.Stop | None = None, **batch: Any) -> eventabs.Run:  # noqa: ANN401  as above
        return self.run(self.settings(**batch), stop)

    def run(self, settings: dict[str, Any], stop: eventabs.Stop | None = None) -> eventabs.Run:
        export = str(self.folder / "input.jsonl")
        return eventabs.run(export, settings=settings, out=self.out, observer=self.watcher, stop=stop)

    def resume(self, **arguments: Any) -> eventabs.Run:  # noqa: ANN401  as above
        return eventabs.resume(self.out, observer=self.watcher, trust_endpoint=True, **arguments)

    def created(self) -> int:
        return self.server.asked.count("POST /batches")

    def jobs(self) -> list[tuple[str, str | None]]:
        with Ledger.watch(self.out / "ledger.sqlite") as ledger:
            return [(job.state, job.status) for job in stored_jobs(ledger)]


@pytest.fixture
def runner(own_folder: Path) -> Iterator[Runner]:
    with BatchServer() as server:
        yield Runner(server, own_folder)


def test_a_run_asks_a_few_live_and_the_rest_in_one_job(runner: Runner) -> None:
    run = runner.begin()
    assert (run.status, run.summary.done, run.summary.calls) == ("completed", USERS, CALLS)
    assert (len(runner.server.live), runner.created()) == (LIVE, 1)
    assert len(runner.server.answered) == USERS
    assert set(runner.server.answered.values()) == {1}
    used = runner.server.usage["batch"] + runner.server.usage["live"]
    assert run.summary.prompt_tokens == used["prompt_tokens"]
    assert run.summary.completion_tokens == used["completion_tokens"]
    live, batch = (
        use["prompt_tokens"] + 4 * use["completion_tokens"]
        for use in (runner.server.usage["live"], runner.server.usage["batch"])
    )
    assert run.summary.cost == pytest.approx((live + batch / 2) / 1_000_000)
    assert run.summary.tiers["batch"]["calls"] == CALLS - LIVE
    told = [note.status for note in runner.watcher.of(JobChanged)]
    assert told == ["validating", "in_progress", "finalizing", "completed"]
    assert runner.jobs() == [("closed", "completed")]
    assert runner.server.jobs[0].metadata == {"eventabs_run": run_id(runner), "eventabs_chunk": "1"}
    assert not (runner.out / "requests.jsonl").exists()
    assert not (runner.out / "replies.tmp").exists()


def run_id(runner: Runner) -> str:
    with Ledger.watch(runner.out / "ledger.sqlite") as ledger:
        return str(ledger.meta()["run_id"])


ALL = range(CALLS)
FATES = {
    "expired in the middle": Fate("expired", served=3),
    "expired before it began": Fate("expired", served=0),
    "completed with errors": Fate(errors={0: (500, "server_error"), 3: (429, "rate_limit_exceeded")}),
    "errors alone": Fate(errors=dict.fromkeys(ALL, (500, "server_error"))),
    "an id that lags": Fate(lag=3),
    "requests in neither file": Fate(drops=frozenset({1, 4})),
    "no file at all": Fate(drops=frozenset(ALL)),
    "counts that lie": Fate(served=2, lies=True, end="expired"),
    "cancelled by somebody": Fate("cancelled", served=4),
    "failed in the middle, with files": Fate("expired", served=2, errors={0: (500, "server_error")}),
    "too long": Fate(errors={2: (400, "context_length_exceeded")}),
}


QUICK = ("expired in the middle", "requests in neither file", "too long")


@pytest.mark.parametrize(
    "fate",
    [
        pytest.param(fate, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, fate in FATES.items()
    ],
)
def test_whatever_becomes_of_a_job_everybody_is_done_and_no_answer_bought_twice(
    runner: Runner, fate: Fate
) -> None:
    runner.server.fates = [fate]
    run = runner.begin()
    assert (run.status, run.summary.done, run.failures) == ("completed", USERS, {})
    assert len(runner.server.answered) == USERS
    assert set(runner.server.answered.values()) == {1}
    assert {state for state, _status in runner.jobs()} == {"closed"}


def test_a_job_that_never_names_its_file_is_taken_for_failed(runner: Runner) -> None:
    runner.server.fates = [Fate(lag=-1)]
    run = runner.begin()
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert runner.created() == 2


def test_what_is_cut_is_asked_again_in_a_second_wave_of_smaller_requests(runner: Runner) -> None:
    good = runner.server.write
    runner.server.write = lambda message: (
        good(message) if len(runner.server.jobs) != 1 else good(message)[:20]
    )
    run = runner.begin(live_calls=0)
    assert (run.status, run.summary.done) == ("completed", USERS)
    first, second = runner.server.jobs[:2]
    assert len(runner.server.requests_of(first)) == CALLS
    assert len(runner.server.requests_of(second)) > 0


def test_below_a_share_the_rest_is_asked_live(runner: Runner) -> None:
    runner.server.fates = [Fate(drops=frozenset({0}))]
    run = runner.begin(live_share=0.2)
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert (runner.created(), len(runner.server.live)) == (1, LIVE + 1)


def test_waves_end_and_then_calls_are_made_live(runner: Runner) -> None:
    runner.server.fate = Fate("expired", served=0)
    run = runner.begin()
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert runner.created() == 3
    assert len(runner.server.live) == CALLS


def test_a_straggler_is_cancelled_what_it_finished_kept_and_the_rest_asked_live(runner: Runner) -> None:
    runner.server.fates = [Fate(served=3, stays=math.inf)]
    run = runner.begin(cancel_after=0.2)
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert runner.jobs() == [("closed", "cancelled")]
    assert set(runner.server.answered.values()) == {1}
    assert len(runner.server.live) == LIVE + (CALLS - LIVE - 3)


def test_files_are_cut_by_requests_and_by_what_may_wait(runner: Runner) -> None:
    assert runner.begin(max_requests=3).summary.done == USERS
    sizes = [len(runner.server.requests_of(job)) for job in runner.server.jobs]
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize(
    "refuses",
    [pytest.param(False, id="fails later", marks=pytest.mark.slow), pytest.param(True, id="at once")],
)
def test_a_full_queue_is_waited_for_with_smaller_jobs(runner: Runner, *, refuses: bool) -> None:
    runner.server.queue_tokens, runner.server.refuses = 3_000, refuses
    run = runner.begin()
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert set(runner.server.answered.values()) == {1}
    assert any("Enqueued token limit" in note.cause for note in runner.watcher.of(AwaitingEndpoint))


def test_what_may_wait_is_kept_where_it_is_known(runner: Runner) -> None:
    runner.server.queue_tokens = 6_000
    run = runner.begin(max_enqueued_tokens=3_000)
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert len(runner.server.jobs) > 1
    assert runner.watcher.of(AwaitingEndpoint) == []


def test_a_job_that_is_refused_as_a_whole_stops_the_run_with_its_reason(runner: Runner) -> None:
    runner.server.fates = [Fate("failed", served=0, failure=("invalid_model", "no batch for this model"))]
    with pytest.raises(eventabs.RunStoppedError, match="no batch for this model"):
        runner.begin()
    run = runner.resume()
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert set(runner.server.answered.values()) == {1}


@pytest.mark.parametrize(
    "lost",
    [
        "POST /batches",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("POST /files", "GET /batches")),
    ],
)
def test_an_answer_that_gets_lost_creates_nothing_twice(runner: Runner, lost: str) -> None:
    runner.server.broken[lost] = 1
    run = runner.begin()
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert runner.created() == 1
    assert set(runner.server.answered.values()) == {1}


def test_requests_that_are_out_keep_their_settings_and_that_is_said(runner: Runner) -> None:
    runner.run(runner.settings(run={"mode": "files"}))
    runner.resume(settings={"llm": {"model": "z"}}, accept_changes=True)
    (told,) = (note.message for note in runner.watcher.of(InputWarning) if note.code == "requests_out")
    assert told.startswith(f"requests that are out ({CALLS}) keep the earlier settings")
    models = {request["body"]["model"] for request in read_requests(runner.out / "requests.jsonl")}
    assert models == {"m"}, "they may be asked already"
    runner.resume(settings={"run": {"mode": "live"}, "prompt": {"detail": "fine"}}, accept_changes=True)
    assert {call["model"] for call in runner.server.live} == {"z"}
    assert len(codes := [note.code for note in runner.watcher.of(InputWarning)]) == 1, codes


def test_replies_for_a_run_that_waits_for_none_are_refused_and_nobody_is_called(runner: Runner) -> None:
    stop = eventabs.Stop()
    stop.request()
    runner.run(runner.settings(run={"mode": "live"}), stop)
    with pytest.raises(UsageError, match="leave out --replies"):
        runner.resume(replies=[runner.folder / "replies.jsonl"])
    assert not runner.server.live


def test_a_stop_leaves_the_job_and_resume_takes_it_up(runner: Runner) -> None:
    runner.server.fates = [Fate(stays=20)]
    stop = eventabs.Stop(grace_seconds=0.1)
    runner.server.after = lambda _number: stop.request() if runner.server.jobs and not stop.requests else None
    run = runner.begin(stop=stop)
    assert (run.status, runner.server.jobs[0].cancelled) == ("interrupted", False)
    moved = runner.folder / "elsewhere"
    shutil.move(runner.out, moved)  # as to another machine
    runner.out = moved
    run = runner.resume()
    assert (run.status, run.summary.done, runner.created()) == ("completed", USERS, 1)
    assert set(runner.server.answered.values()) == {1}


def test_cancel_keeps_what_was_done_and_the_rest_can_be_asked_live(runner: Runner) -> None:
    runner.server.fates = [Fate(served=3, stays=math.inf)]
    stop = eventabs.Stop(grace_seconds=0.1)
    timer = threading.Timer(0.3, stop.request)
    runner.server.after = lambda _number: (
        None if timer.is_alive() or not runner.server.jobs else timer.start()
    )
    runner.begin(stop=stop)
    runner.server.after = lambda _number: None
    with pytest.raises(RunDirectoryError, match="--cancel"):
        runner.resume(settings={"run": {"mode": "live"}})
    with pytest.raises(eventabs.RunStoppedError, match="what they had done is kept") as stopped:
        runner.resume(cancel=True)
    assert stopped.value.run.summary.done == 2 * (LIVE + 3)
    assert runner.jobs() == [("closed", "cancelled")]
    run = runner.resume(settings={"run": {"mode": "live"}})
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert set(runner.server.answered.values()) == {1}
    assert runner.resume(cancel=True).status == "completed", "nothing is left to ask about"


def test_cancel_finds_a_job_whose_creation_was_left_in_doubt(runner: Runner) -> None:
    runner.server.fates = [Fate(served=3, stays=math.inf)]
    runner.server.broken.update({"POST /batches": 1, "GET /batches": 1_000})
    settings = runner.settings()
    settings["llm"]["longest_wait"] = 0.5
    with pytest.raises(eventabs.RunStoppedError, match="jobs open at the batch service: 1"):
        runner.run(settings)
    assert runner.jobs() == [("uploaded", None)]
    runner.server.broken.clear()
    with pytest.raises(eventabs.RunStoppedError, match="what they had done is kept"):
        runner.resume(cancel=True)
    assert (runner.created(), runner.server.jobs[0].cancelled) == (1, True)
    assert runner.jobs() == [("closed", "cancelled")]


GONE = (404, {"error": {"message": "No such File object"}})


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        pytest.param({"GET /batches/batch-0", "POST /batches/batch-0/cancel"}, 1, id="the job"),
        pytest.param({"GET /files/file-1/content"}, 2, id="the replies"),
        pytest.param({"GET /files/file-2/content"}, 1, id="the errors"),
    ],
)
def test_what_is_gone_at_the_service_keeps_the_job_open_until_it_is_cancelled(
    runner: Runner, asked: set[str], most: int
) -> None:
    runner.server.fates = [Fate(errors={1: (500, "server_error")})]
    runner.server.instead = lambda each: GONE if each in asked else None
    for again in (partial(runner.begin, live_calls=0), runner.resume):
        with pytest.raises(
            eventabs.RunStoppedError,
            match=r"No such File object.*or it is gone: .* --mode live; .*service: 1;",
        ):
            again()
    assert (runner.created(), runner.jobs()[0][0]) == (1, "submitted"), "it may be another key's"
    assert not (runner.out / "replies.tmp").exists()
    with pytest.raises(eventabs.RunStoppedError, match="what they had done is kept"):
        runner.resume(cancel=True)
    assert [state for state, _status in runner.jobs()] == ["closed"]
    run = runner.resume(settings={"run": {"mode": "live"}})
    assert (run.status, run.summary.done) == ("completed", USERS)
    assert max(runner.server.answered.values()) == most


def test_a_slow_job_that_cannot_be_cancelled_stays_open_and_nobody_is_asked_twice(runner: Runner) -> None:
    runner.server.fates = [Fate(served=3, stays=math.inf)]
    runner.server.instead = lambda asked: GONE if asked.endswith("/cancel") else None
    with pytest.raises(eventabs.RunStoppedError, match="or it is gone"):
        runner.begin(cancel_after=0.05)
    ((state, status),) = runner.jobs()
    assert (state, status in ("validating", "in_progress"), len(runner.server.live)) == (
        "submitted",
        True,
        LIVE,
    )
    with pytest.raises(eventabs.RunStoppedError, match="what they had done is kept"):
        runner.resume(cancel=True)
    assert runner.jobs()[0][0] == "closed"


@pytest.mark.parametrize("content", [b"", b"<html>login</html>"])
def test_files_without_a_reply_to_what_was_carried_out_are_read_again_and_then_stop_the_run(
    runner: Runner, content: bytes
) -> None:
    empty = iter([(200, content)] * 3)
    runner.server.instead = lambda asked: next(empty, None) if asked.endswith("/content") else None
    assert runner.begin().status == "completed"
    assert (runner.created(), set(runner.server.answered.values())) == (1, {1})


def test_a_job_whose_files_stay_without_a_reply_is_not_paid_for_again_before_it_is_given_up(
    runner: Runner,
) -> None:
    runner.server.instead = lambda asked: (200, b"") if asked.endswith("/content") else None
    for again in (runner.begin, runner.resume):
        with pytest.raises(eventabs.RunStoppedError, match="no reply in the files of job batch-0"):
            again()
    assert (runner.created(), set(runner.server.answered.values())) == (1, {1})
    with pytest.raises(eventabs.RunStoppedError, match="what they had done is kept"):
        runner.resume(cancel=True)
    runner.server.instead = lambda _asked: None
    assert runner.resume().summary.done == USERS


@pytest.mark.parametrize("mode", ["live", "files"])
def test_where_there_is_no_batch_service_another_mode_goes_on(runner: Runner, mode: str) -> None:
    runner.server.instead = lambda asked: GONE if asked == "POST /files" else None
    with pytest.raises(eventabs.RunStoppedError, match=r"or it is gone: .*--mode live") as stopped:
        runner.begin()
    assert "jobs open" not in str(stopped.value)
    run = runner.resume(settings={"run": {"mode": mode}})
    if mode == "files":
        assert len(read_requests(runner.out / "requests.jsonl")) == CALLS - LIVE
    else:
        assert (run.status, run.summary.done) == ("completed", USERS)
    assert {state for state, _status in runner.jobs()} == (
        {"closed"} if mode == "live" else {"closed", "written"}
    )


def test_a_service_that_takes_files_and_no_jobs_is_left_with_cancel(runner: Runner) -> None:
    runner.server.instead = lambda asked: GONE if asked.endswith(" /batches") else None
    with pytest.raises(eventabs.RunStoppedError, match="HTTP 404"):
        runner.begin()
    with pytest.raises(eventabs.RunStoppedError, match="no job of the batch service is left"):
        runner.resume(cancel=True)
    assert runner.resume(settings={"run": {"mode": "live"}}).summary.done == USERS


def test_requests_that_a_limit_held_back_are_said(runner: Runner) -> None:
    settings = runner.settings(run={"mode": "files", "max_total_tokens": 30_000})
    assert runner.run(settings).status == "waiting"
    (note,) = runner.watcher.of(RequestsWritten)
    assert 0 < note.requests < CALLS
    assert noted(note).endswith("; more could pass --max-cost or --max-total-tokens")


def test_a_limit_on_tokens_holds_before_a_job_is_submitted(runner: Runner) -> None:
    with pytest.raises(eventabs.RunStoppedError, match="--max-total-tokens"):
        runner.begin(run={"max_total_tokens": 12_000})
    used = runner.server.usage["batch"] + runner.server.usage["live"]
    assert 0 < used.total() <= 12_000
    assert runner.server.usage["batch"].total() > 0
    assert runner.resume(settings={"run": {"max_total_tokens": 0}}).summary.done == USERS


def test_a_limit_on_cost_counts_a_job_at_the_price_of_batches(runner: Runner) -> None:
    most = 0.06  # of seven requests about 0.03 at half the price, as long as answers may be
    run = runner.begin(live_calls=0, run={"max_cost": most * 3})
    assert (run.summary.done, runner.created()) == (USERS, 1)


def test_a_service_that_is_away_too_long_stops_the_run_which_says_that_the_job_goes_on(
    runner: Runner,
) -> None:
    runner.server.fates = [Fate(stays=3)]
    runner.server.after = lambda _number: runner.server.broken.update(
        {"GET /batches": len(runner.server.jobs)}
    )
    settings = runner.settings()
    settings["llm"]["longest_wait"] = 0.5
    with pytest.raises(eventabs.RunStoppedError, match="jobs open at the batch service: 1"):
        runner.run(settings)
    runner.server.after = lambda _number: None
    runner.server.broken.clear()
    run = runner.resume()
    assert (run.summary.done, runner.created()) == (USERS, 1)


def test_what_the_endpoint_refuses_of_a_live_call_is_left_out_of_jobs(runner: Runner) -> None:
    runner.server.refused = "seed"
    settings = runner.settings()
    settings["llm"]["seed"] = 7
    run = runner.run(settings)
    assert run.summary.done == USERS
    assert all("seed" not in request["body"] for request in runner.server.requests_of(runner.server.jobs[0]))


def test_a_service_without_metadata_is_spoken_to_as_well(runner: Runner) -> None:
    runner.server.takes_metadata = False
    runner.server.broken["POST /batches"] = 1
    assert runner.begin().summary.done == USERS
    assert runner.created() == 1


def without_last_days(message: str) -> str:
    """Answer about all days of each user but the last of several."""
    rows, told = 0, list[str]()
    for alias, block in read_blocks(message).items():
        days = [index for index, line in enumerate(block) if line.startswith("# ")]
        asked = len(block) - len(days)
        kept = days[-1] - len(days) + 1 if len(days) > 1 else asked
        told += [f"## {alias}", f"浏览 {' '.join(str(rows + row) for row in range(1, kept + 1))}"]
        rows += asked
    return "\n".join([*told, "##"])


@pytest.mark.parametrize("mode", ["batch", "files"])
def test_days_with_rows_left_out_are_asked_again_in_a_wave_with_several_users_a_request(
    runner: Runner, mode: str
) -> None:
    write_users(runner.folder / "input.jsonl", users=8, behaviors=12)
    runner.server.write = without_last_days
    settings = {**runner.settings(live_calls=0, run={"mode": mode}), "budget": {"max_users": 8}}
    run = runner.run(settings)
    waves = []
    while run.status == "waiting":
        requests = read_requests(runner.out / "requests.jsonl")
        waves.append(requests)
        replies = write_lines(runner.folder / "r.jsonl", [reply_to(r, without_last_days) for r in requests])
        run = eventabs.resume(runner.out, replies=[replies], trust_endpoint=True)
    waves = waves or [runner.server.requests_of(job) for job in runner.server.jobs]
    assert (run.status, run.summary.done, run.summary.unplaced, len(runner.server.live)) == (
        "completed",
        8,
        0,
        0,
    )
    blocks = [[read_blocks(r["body"]["messages"][-1]["content"]) for r in wave] for wave in waves]
    assert [[len(request) for request in wave] for wave in blocks] == [[8], [4, 4]]
    assert {len(block) for request in blocks[1] for block in request.values()} == {4}, "a day and its rows"


def test_a_stop_in_the_moment_in_which_a_wait_ends_asks_the_service_nothing_more(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = eventabs.Stop()

    async def over(waiting: Coroutine[None, None, None], _seconds: float) -> None:
        waiting.close()
        stop.request()
        await asyncio.sleep(0)
        raise TimeoutError

    monkeypatch.setattr(asyncio, "wait_for", over)
    runner.server.fate = Fate(stays=math.inf)
    assert runner.begin(stop=stop, live_calls=0).status == "interrupted"
    assert runner.server.asked.count("GET /batches/batch-0") == 1
