"""The book of permits: what the shards of a run may spend together, whoever of them or of the bookkeepers dies.

A shard has leave to spend up to an allowance, which it raises by a block at a time. The sum of all allowances is within the limits, so each shard
reserves money for its calls without asking anybody. The book holds nothing that the shards do not know: each reports its account, and a
new book is complete once every account is in it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from eventabs.providers import Admitted

_ROUNDING = 1e-9  # of sums of costs
_STEPS = 16  # of a wish that is too large, what of it is given up at a time


class Amount(NamedTuple):
    """Tokens, and what they cost in the currency of the prices; 0 without prices.

    `queued`: those of prompts that wait at the batch service, which are never spent.
    """

    tokens: int = 0
    cost: float = 0.0
    queued: int = 0

    def plus(self, other: Self, times: int = 1) -> "Amount":
        """Return the sum, of the other so many times."""
        return Amount(
            self.tokens + times * other.tokens,
            self.cost + times * other.cost,
            self.queued + times * other.queued,
        )

    def at_least(self, other: Self) -> "Amount":
        """Return the larger of each."""
        return Amount(
            max(self.tokens, other.tokens), max(self.cost, other.cost), max(self.queued, other.queued)
        )

    def holds(self, other: Self) -> bool:
        """Whether the other is no larger."""
        is_cheap = other.cost <= self.cost + _ROUNDING
        return is_cheap and other.tokens <= self.tokens and other.queued <= self.queued


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """Limits on all shards together. 0: none."""

    rpm: int
    tpm: int
    max_cost: float
    max_total_tokens: int
    max_enqueued_tokens: int = 0

    @property
    def on_spending(self) -> bool:
        """Whether spending is limited."""
        return bool(self.max_cost or self.max_total_tokens)

    def hold(self, amount: Amount) -> bool:
        """Whether so much is within the limits on spending."""
        is_cheap = not self.max_cost or amount.cost <= self.max_cost + _ROUNDING
        has_room = not self.max_enqueued_tokens or amount.queued <= self.max_enqueued_tokens
        return is_cheap and has_room and (not self.max_total_tokens or amount.tokens <= self.max_total_tokens)


@dataclass(frozen=True, slots=True)
class Account:
    """What a shard has spent, what its calls in flight and its jobs may take, and up to where it may spend without asking.

    `generation`: of its claim; `recent`: its requests of the last minute, from the oldest on, where they are asked for.
    """

    generation: int
    spent: Amount
    in_flight: Amount = Amount()
    allowance: Amount = Amount()
    recent: tuple[Admitted, ...] = ()

    @property
    def used(self) -> Amount:
        """What it will have spent at most, without further calls."""
        return self.spent.plus(self.in_flight)


class Lease(NamedTuple):
    """The answer to a wish: a shard's allowance; `refused`: nothing will ever be left for it."""

    allowance: Amount
    refused: bool = False


class SupersededError(Exception):
    """A process reports about a shard that another process works on."""


class PermitBook:
    """The accounts of all `shards`. Nothing is granted before it has them all."""

    def __init__(self, limits: SharedLimits, shards: Collection[str]) -> None:
        self._limits = limits
        self._missing = set(shards)
        self.accounts: dict[str, Account] = {}
        self.lost = Amount()  # paid for by processes that are gone, and in no ledger any more
        self.is_scarce = False  # so that what is not needed is to be given back

    @property
    def is_ready(self) -> bool:
        """Whether every shard has an account."""
        return not self._missing

    def enter(self, shard: str, account: Account) -> None:
        """Take the account of a shard from the process that works on it.

        Where that is another one than before, all that the former had leave for and is in no ledger now counts as lost.
        Raises SupersededError for a former one.
        """
        before = self.accounts.get(shard, account)
        if account.generation < before.generation:
            raise SupersededError(shard)
        if account.generation > before.generation:
            beyond = before.allowance.at_least(account.used).plus(account.used, -1)
            self.lost = self.lost.plus(beyond._replace(queued=0))  # what waits is in the ledger
        self.accounts[shard] = replace(account, allowance=account.allowance.at_least(account.used))
        self._missing.discard(shard)

    def adopt(self, accounts: Mapping[str, Account], lost: Amount) -> None:
        """Take the accounts of shards that nobody works on now, as they were known last."""
        self.lost = self.lost.at_least(lost)
        for shard, account in accounts.items():
            if shard not in self.accounts:
                self.enter(shard, account)

    def queued_elsewhere(self, shard: str) -> bool:
        """Whether prompts of other shards wait at the batch service."""
        return any(other.in_flight.queued for name, other in self.accounts.items() if name != shard)

    def lease(self, shard: str, need: Amount, blocks: int, *, in_bulk: bool = False) -> Lease:
        """Raise the allowance of a shard by up to so many `blocks` of what it needs for one call; see `Lease`.

        `in_bulk`: also where permits are scarce, as a job of one request would help nobody.
        """
        account = self.accounts[shard]
        if not self.is_ready:
            return Lease(account.allowance)
        others = [other for name, other in self.accounts.items() if name != shard]
        held = _total(other.allowance for other in others).plus(self.lost)
        count = 1 if self.is_scarce and not in_bulk else blocks
        while count:
            wanted = account.used.plus(need, count).at_least(account.allowance)
            if self._limits.hold(held.plus(wanted)):
                self.accounts[shard] = replace(account, allowance=wanted)
                return Lease(wanted)
            count = count - max(1, count // _STEPS) if in_bulk else count // 2
        self.is_scarce = True
        spent = _total(other.spent for other in others).plus(self.lost)
        return Lease(account.allowance, refused=not self._limits.hold(spent.plus(account.spent).plus(need)))


def _total(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for amount in amounts:
        total = total.plus(amount)
    return total
