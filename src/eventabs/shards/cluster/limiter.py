"""The limiter: one for all shards of a run, which lets requests pass, keeps the book of permits, and hears how far each shard is.

It is one actor on the cluster, and knows nothing of Ray. All that it holds comes back from the shards and the driver where it dies.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from eventabs.providers import WINDOW, Admitted, Pacer, Sleep
from eventabs.runs import Note, Progress
from eventabs.shards.cluster.permits import Account, Amount, Lease, PermitBook, SharedLimits, SupersededError

FREE_SECONDS = (
    1.0  # in which a shard need not ask where nothing limits requests; a cooldown holds that much later
)


class Admission(NamedTuple):
    """How many of the requests asked about may be sent now, and for how many seconds any may."""

    requests: int
    free_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardOpened:
    """A process goes on with a shard, whose ledger has so many calls."""

    calls: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a shard says of itself every second. `need`: what a call that waits may take, in so many `blocks`; `in_bulk`: for a job."""

    shard: str
    account: Account
    need: Amount | None = None
    blocks: int = 1
    in_bulk: bool = False
    progress: Progress | None = None
    notes: tuple[Note | ShardOpened, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a shard hears. `cooling_seconds`: how long no request may be sent; `stop`: how often a stop was requested.

    `queued_elsewhere`: prompts of other shards wait at the batch service.
    """

    allowance: Amount
    refused: bool = False
    is_scarce: bool = False
    cooling_seconds: float = 0.0
    stop: int = 0
    queued_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What the driver looks at each second, and gives a new limiter back."""

    accounts: dict[str, Account] = field(default_factory=dict)
    lost: Amount = Amount()
    progress: dict[str, Progress] = field(default_factory=dict)
    notes: tuple[tuple[str, Note | ShardOpened], ...] = ()  # since the last look, with their shards


class LimiterClient(Protocol):
    """A limiter that a shard talks to. A call that meets a limiter that is gone is made again when there is one.

    Raises SupersededError where another process works on the shard.
    """

    async def admit(self, shard: str, generation: int, tokens: Sequence[int]) -> Admission:
        """See `Limiter`."""

    async def exchange(self, report: Report) -> Answer:
        """See `Limiter`."""

    async def cool_down(self, seconds: float) -> None:
        """See `Limiter`."""


class Recent:
    """The requests of the last minute, second by second. `clock` counts seconds, from anywhere."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: deque[Admitted] = deque()  # with the end of the second in the place of an age

    def add(self, requests: int, tokens: int) -> None:
        """Count requests that were admitted just now."""
        now = self._clock()
        end = math.floor(now) + 1.0  # later than they were, so that they are not forgotten too early
        if self._seconds and self._seconds[-1].age == end:
            last = self._seconds.pop()
            requests, tokens = requests + last.requests, tokens + last.tokens
        self._seconds.append(Admitted(end, requests, tokens))
        while self._seconds[0].age + WINDOW < now:
            self._seconds.popleft()

    def ages(self) -> tuple[Admitted, ...]:
        """Return them with their ages, from the oldest on."""
        now = self._clock()
        return tuple(each._replace(age=max(0.0, now - each.age)) for each in self._seconds)


class Limiter:
    """Serves all `shards`, once each has an account. `clock` counts seconds, from anywhere."""

    def __init__(
        self,
        limits: SharedLimits,
        shards: Sequence[str],
        *,
        clock: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._book = PermitBook(limits, shards)
        self._pacer = Pacer(limits.rpm, limits.tpm, clock=clock, sleep=sleep)
        self._clock = clock
        self._cool_until = float("-inf")
        self._recent = {shard: Recent(clock) for shard in shards}
        self._recalled: list[Admitted] = []
        self._ready = asyncio.Event()
        self._progress: dict[str, Progress] = {}
        self._notes: list[tuple[str, Note | ShardOpened]] = []
        self._stop = 0

    async def admit(self, shard: str, generation: int, tokens: Sequence[int]) -> Admission:
        """Wait until the first of some requests may be sent; return how many may. Raises SupersededError."""
        await self._ready.wait()
        if generation < self._book.accounts[shard].generation:
            raise SupersededError(shard)
        if self._pacer.is_open:
            return Admission(len(tokens), FREE_SECONDS)
        count = await self._pacer.admit_some(tokens)
        self._recent[shard].add(count, sum(tokens[:count]))
        return Admission(count)

    async def cool_down(self, seconds: float) -> None:
        """Hold all requests of all shards for so many seconds from now, then let them pass one by one."""
        self._pacer.cool_down(seconds)
        self._cool_until = max(self._cool_until, self._clock() + seconds)

    async def exchange(self, report: Report) -> Answer:
        """Take a shard's report, and answer its wish. Raises SupersededError."""
        self._enter(report.shard, report.account)
        if report.progress is not None:
            self._progress[report.shard] = report.progress
        self._notes += [(report.shard, note) for note in report.notes]
        lease = Lease(report.account.allowance)
        if report.need is not None:
            lease = self._book.lease(report.shard, report.need, report.blocks, in_bulk=report.in_bulk)
        return Answer(
            *lease,
            is_scarce=self._book.is_scarce,
            cooling_seconds=max(0.0, self._cool_until - self._clock()),
            stop=self._stop,
            queued_elsewhere=self._book.queued_elsewhere(report.shard),
        )

    async def look(self, known: State, stop: int) -> State:
        """Tell the driver how things stand; take the accounts that it knows of shards that nobody works on now.

        `stop`: how often a stop was requested.
        """
        self._stop = max(self._stop, stop)
        for shard, account in known.accounts.items():
            if shard not in self._book.accounts:
                self._recalled += account.recent
        self._book.adopt(known.accounts, known.lost)
        self._open()
        notes, self._notes = tuple(self._notes), []
        accounts = {
            shard: replace(account, recent=self._recent[shard].ages())
            for shard, account in self._book.accounts.items()
        }
        return State(accounts, self._book.lost, dict(self._progress), notes)

    def _enter(self, shard: str, account: Account) -> None:
        is_new = shard not in self._book.accounts
        self._book.enter(shard, replace(account, recent=()))
        if is_new:
            self._recalled += account.recent
        self._open()

    def _open(self) -> None:
        """Begin to serve once all accounts are there, and count what was admitted before this limiter came."""
        if self._book.is_ready and not self._ready.is_set():
            self._pacer.recall(sorted(self._recalled, reverse=True))
            self._ready.set()
