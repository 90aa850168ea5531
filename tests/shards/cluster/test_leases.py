"""Shards that share permits: limits hold over all of them, are used, and outlive the limiter."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence

import pytest

from eventabs.errors import LimitReachedError
from eventabs.providers import Price
from eventabs.records import Batch, Counts, Usage
from eventabs.runs import Progress, ProgressTracker
from eventabs.shards.cluster.leases import SharedPermits
from eventabs.shards.cluster.limiter import Admission, Answer, Limiter, Report, State
from eventabs.shards.cluster.permits import Account, Amount, SharedLimits, SupersededError
from runs_kit import batch_of
from virtual_time import now, run_virtually

SHARDS = ("0", "1", "2", "3")
PRICE = Price(1_000_000.0, 1_000_000.0)  # a token costs 1
ONE = batch_of("anna")


class Cluster:
    """A limiter that can be lost, reached as a cluster reaches it: a call that meets none waits for the next one."""

    def __init__(self, limits: SharedLimits) -> None:
        self.limits = limits
        self.limiter = Limiter(limits, SHARDS, clock=now)
        self.state = State()
        self.lost = asyncio.Event()
        self.stopped = 0

    async def admit(self, shard: str, generation: int, tokens: Sequence[int]) -> Admission:
        while True:
            work = asyncio.ensure_future(self.limiter.admit(shard, generation, tokens))
            lost = asyncio.ensure_future(self.lost.wait())
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            lost.cancel()
            if work.done():
                return work.result()
            work.cancel()
            await asyncio.sleep(0.5)

    async def exchange(self, report: Report) -> Answer:
        return await self.limiter.exchange(report)

    async def cool_down(self, seconds: float) -> None:
        await self.limiter.cool_down(seconds)

    async def drive(self) -> None:
        """Look every second, as the driver does."""
        known = State({shard: Account(0, Amount()) for shard in SHARDS})
        while True:
            self.state = await self.limiter.look(known, self.stopped)
            await asyncio.sleep(1.0)
            known = State()

    def lose_limiter(self) -> None:
        self.limiter = Limiter(self.limits, SHARDS, clock=now)
        self.lost.set()
        self.lost = asyncio.Event()


def limits(rpm: int = 0, tpm: int = 0, max_cost: float = 0.0, max_total_tokens: int = 0) -> SharedLimits:
    return SharedLimits(rpm, tpm, max_cost, max_total_tokens)


def permits(cluster: Cluster, shard: str, *, generation: int = 1, spent: Amount = Amount()) -> SharedPermits:
    return SharedPermits(
        cluster,
        cluster.limits,
        shard=shard,
        generation=generation,
        spent=spent,
        on_stop=lambda _times: None,
        secure=lambda: True,
        clock=now,
    )


async def send(cluster: Cluster, seconds: float, *, tokens: int, losses: Sequence[float] = ()) -> list[float]:
    """Let each shard send as much as it may, eight requests at a time; return when requests left."""
    sent = list[float]()

    async def requests(pace: object) -> None:
        while True:
            await pace.admit(tokens)  # type: ignore[attr-defined]
            sent.append(now())
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(cluster.drive())]
    for shard in SHARDS:
        shared = permits(cluster, shard)
        pace = shared.make_pace(asyncio.sleep, lambda _seconds: None)
        tasks += [
            asyncio.create_task(shared.talk()),
            *(asyncio.create_task(requests(pace)) for _n in range(8)),
        ]
    for loss in losses:
        await asyncio.sleep(loss - now())
        cluster.lose_limiter()
    await asyncio.sleep(seconds - now())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return sent


def most_in_a_minute(sent: Sequence[float]) -> int:
    return max(bisect_left(sent, at + 60.0) - index for index, at in enumerate(sent))


@pytest.mark.parametrize(
    ("limit", "tokens"), [(limits(rpm=60), 1), (limits(tpm=6_000), 100), (limits(rpm=1200), 1)]
)
def test_a_limit_a_minute_holds_over_all_shards_and_is_used(limit: SharedLimits, tokens: int) -> None:
    async def run() -> list[float]:
        return await send(Cluster(limit), 300.0, tokens=tokens)

    sent = run_virtually(run())
    allowed = limit.rpm or limit.tpm // tokens
    assert most_in_a_minute(sent) <= allowed
    assert len(sent) >= 0.95 * 5 * allowed


def test_a_limit_a_minute_outlives_the_limiter() -> None:
    async def run() -> list[float]:
        return await send(Cluster(limits(rpm=60)), 600.0, tokens=1, losses=(100.0, 101.5, 300.0, 450.0))

    sent = run_virtually(run())
    assert most_in_a_minute(sent) <= 60
    assert len(sent) >= 0.9 * 600


def test_a_cooldown_of_one_shard_holds_them_all() -> None:
    async def run() -> list[float]:
        cluster = Cluster(limits())
        shared = permits(cluster, "0")
        pace = shared.make_pace(asyncio.sleep, lambda _seconds: None)
        asyncio.get_running_loop().call_later(10.0, pace.cool_down, 30.0)
        return await send(cluster, 60.0, tokens=1)

    sent = run_virtually(run())
    assert any(at < 10.0 for at in sent)
    assert [at for at in sent if 12.0 < at < 39.9] == []
    assert any(at > 39.9 for at in sent)


async def spend(cluster: Cluster, *, losses: Sequence[float] = ()) -> tuple[int, list[str]]:
    """Let each shard make calls of 10 tokens until it is refused; return what all spent, and who was refused."""
    total, refused = 0, list[str]()

    async def call(spending: object, tracker: ProgressTracker, batch: Batch, shard: str) -> None:
        nonlocal total
        while True:
            later = asyncio.Event()
            try:
                allowed = spending.reserve(batch, tracker, later.set)  # type: ignore[attr-defined]
            except LimitReachedError:
                refused.append(shard)
                return
            if not allowed:
                await later.wait()
                continue
            await asyncio.sleep(0.3)
            total += 10
            tracker.count_reply(Usage(10, 0), 1.0, 1)
            spending.release(batch)  # type: ignore[attr-defined]

    driver = asyncio.create_task(cluster.drive())
    talks, calls = [], []
    for shard in SHARDS:
        shared = permits(cluster, shard)
        spending = shared.make_spending(lambda _batch: Usage(30, 20))
        talks.append(asyncio.create_task(shared.talk()))
        calls.append(asyncio.create_task(call(spending, ProgressTracker(PRICE), ONE, shard)))
    for loss in losses:
        await asyncio.sleep(loss - now())
        cluster.lose_limiter()
    await asyncio.gather(*calls)
    for task in (driver, *talks):
        task.cancel()
    return total, sorted(refused)


@pytest.mark.parametrize("losses", [(), (1.2, 2.5, 3.1)])
@pytest.mark.parametrize("limit", [limits(max_cost=700.0), limits(max_total_tokens=700)])
def test_money_is_spent_up_to_the_limit_and_not_beyond(limit: SharedLimits, losses: Sequence[float]) -> None:
    """To the last call: what is left over is less than one may take."""

    async def run() -> tuple[int, list[str]]:
        return await spend(Cluster(limit), losses=losses)

    total, refused = run_virtually(run())
    assert 700 - 50 < total <= 700
    assert refused == list(SHARDS)


def test_a_process_whose_shard_another_has_is_told() -> None:
    async def run() -> None:
        cluster = Cluster(limits())
        driver = asyncio.create_task(cluster.drive())
        await permits(cluster, "0", generation=2).report()
        with pytest.raises(SupersededError):
            await permits(cluster, "0", generation=1).report()
        driver.cancel()

    run_virtually(run())


def test_a_shard_that_has_ended_holds_nothing_back_from_the_others() -> None:
    async def run() -> bool:
        cluster = Cluster(limits(max_total_tokens=900))
        driver = asyncio.create_task(cluster.drive())
        await asyncio.sleep(0.1)
        first, last = permits(cluster, "0"), permits(cluster, "1")
        batch, tracker = Batch(()), ProgressTracker(Price(None, None), Counts())
        held = [each.make_spending(lambda _batch: Usage(100, 100)) for each in (first, last)]
        assert not held[0].reserve(batch, tracker, lambda: None)
        await first.report()  # it has leave for four calls now, and makes one
        assert held[0].reserve(batch, tracker, lambda: None)
        held[0].release(batch)
        assert not held[1].reserve(batch, tracker, lambda: None)
        await last.report()
        assert not held[1].reserve(batch, tracker, lambda: None)
        await first.report_end()
        await last.report()
        driver.cancel()
        return held[1].reserve(batch, tracker, lambda: None)

    assert run_virtually(run())


def test_the_driver_hears_of_progress_and_shards_of_its_stop() -> None:
    stops = list[int]()

    async def run() -> State:
        cluster = Cluster(limits())
        cluster.stopped = 1
        driver = asyncio.create_task(cluster.drive())
        await asyncio.sleep(0.1)
        shared = SharedPermits(
            cluster,
            limits(),
            shard="0",
            generation=1,
            spent=Amount(5, 5.0),
            on_stop=stops.append,
            secure=lambda: True,
            clock=now,
        )
        shared.tell(Progress(users=7))
        await shared.report()
        await asyncio.sleep(1.5)
        driver.cancel()
        return cluster.state

    state = run_virtually(run())
    assert state.progress["0"].users == 7
    assert state.accounts["0"].spent == Amount(5, 5.0)
    assert stops == [1]
