"""Money over all shards: within the limit whatever dies, and never stuck before it."""

from dataclasses import replace

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eventabs.shards.cluster.permits import Account, Amount, PermitBook, SharedLimits, SupersededError

SHARDS = ("0", "1", "2")
CALL = Amount(30, 50.0)  # what a call may take


def limits(*, max_cost: float = 0.0, max_total_tokens: int = 0) -> SharedLimits:
    return SharedLimits(0, 0, max_cost, max_total_tokens)


def opened(book: PermitBook) -> PermitBook:
    for shard in SHARDS:
        book.enter(shard, Account(1, Amount()))
    return book


def test_nothing_is_granted_before_every_shard_has_reported() -> None:
    book = PermitBook(limits(max_cost=1000.0), SHARDS)
    book.enter("0", Account(1, Amount()))
    assert book.lease("0", CALL, 4).allowance == Amount()
    book.adopt({"1": Account(0, Amount()), "2": Account(0, Amount())}, Amount())
    assert book.lease("0", CALL, 4).allowance == Amount(120, 200.0)


@pytest.mark.parametrize("limit", [limits(max_cost=100.0), limits(max_total_tokens=60)])
def test_what_one_shard_holds_another_does_not_get(limit: SharedLimits) -> None:
    book = opened(PermitBook(limit, SHARDS))
    assert book.lease("0", CALL, 2).allowance == Amount(60, 100.0)
    waits = book.lease("1", CALL, 2)
    assert waits == (Amount(), False)
    book.enter("0", Account(1, Amount(15, 20.0)))  # it gives back what it does not need
    assert book.lease("1", CALL, 2).allowance == CALL


def test_what_can_never_be_paid_for_is_refused() -> None:
    book = opened(PermitBook(limits(max_cost=100.0), SHARDS))
    book.enter("0", Account(1, Amount(40, 60.0)))
    assert book.lease("1", CALL, 2).refused


def test_what_a_lost_machine_may_have_spent_stays_spent() -> None:
    book = opened(PermitBook(limits(max_cost=100.0), SHARDS))
    book.enter("0", Account(1, Amount(30, 40.0)))
    book.lease("0", CALL, 1)  # this call, too
    book.enter("0", Account(2, Amount(10, 15.0)))  # goes on from an old copy
    assert book.lost == Amount(50, 75.0)
    assert book.lease("0", CALL, 1).refused


def test_a_former_owner_is_told() -> None:
    book = opened(PermitBook(limits(), SHARDS))
    book.enter("0", Account(2, Amount()))
    with pytest.raises(SupersededError):
        book.enter("0", Account(1, Amount()))


LIMIT = 700.0


class Machines(RuleBasedStateMachine):
    """Three shards that spend; machines and the book are lost in between."""

    def __init__(self) -> None:
        super().__init__()
        self.book = opened(PermitBook(limits(max_cost=LIMIT), SHARDS))
        self.accounts = dict.fromkeys(SHARDS, Account(1, Amount()))
        self.copied = dict.fromkeys(SHARDS, Amount())
        self.refused: set[str] = set()
        self.really = Amount()  # spent at the endpoint

    shard = st.sampled_from(SHARDS)

    @rule(shard=shard, blocks=st.integers(1, 5))
    def call(self, shard: str, blocks: int) -> None:
        mine = self.accounts[shard]
        if not mine.allowance.holds(mine.used.plus(CALL)):
            if self.book.is_scarce:
                mine = replace(mine, allowance=mine.used)
            self.book.enter(shard, mine)
            lease = self.book.lease(shard, CALL, blocks)
            mine = replace(mine, allowance=lease.allowance)
            if lease.refused:
                self.refused.add(shard)
        if mine.allowance.holds(mine.used.plus(CALL)):
            mine = replace(mine, in_flight=mine.in_flight.plus(CALL))
        self.accounts[shard] = mine

    @rule(shard=shard, tokens=st.integers(0, 30), cost=st.integers(0, 50))
    def answer(self, shard: str, tokens: int, cost: int) -> None:
        mine = self.accounts[shard]
        if mine.in_flight != Amount():
            took = Amount(tokens, cost)
            self.really = self.really.plus(took)
            self.accounts[shard] = replace(
                mine, spent=mine.spent.plus(took), in_flight=mine.in_flight.plus(CALL, -1)
            )

    @rule(shard=shard)
    def report(self, shard: str) -> None:
        if self.book.is_scarce:
            self.accounts[shard] = replace(self.accounts[shard], allowance=self.accounts[shard].used)
        self.book.enter(shard, self.accounts[shard])

    @rule(shard=shard)
    def copy(self, shard: str) -> None:
        self.copied[shard] = self.accounts[shard].spent

    @rule(shard=shard)
    def lose_machine(self, shard: str) -> None:
        """Lose a process: what was in flight may have been paid for, and nothing is reported any more."""
        mine = self.accounts[shard]
        self.really = self.really.plus(mine.in_flight)
        self.accounts[shard] = Account(mine.generation + 1, self.copied[shard], allowance=self.copied[shard])
        self.book.enter(shard, self.accounts[shard])

    @rule(lost=st.sets(shard, max_size=2))
    def lose_book(self, lost: set[str]) -> None:
        """Lose the book, and some machines with it; the driver has its state."""
        before = self.book
        self.book = PermitBook(limits(max_cost=LIMIT), SHARDS)
        for shard in SHARDS:
            if shard not in lost:
                self.book.enter(shard, self.accounts[shard])
        self.book.adopt({shard: before.accounts[shard] for shard in lost}, before.lost)
        for shard in lost:
            self.lose_machine(shard)

    @precondition(lambda self: all(account.in_flight == Amount() for account in self.accounts.values()))
    @rule(shard=shard)
    def nobody_waits_for_ever(self, shard: str) -> None:
        """Where nothing is in flight, a shard that wants to call is either allowed to or refused."""
        for name in SHARDS:
            self.book.is_scarce = True
            self.report(name)
        lease = self.book.lease(shard, CALL, 1)
        mine = self.accounts[shard]
        assert lease.refused or lease.allowance.holds(mine.used.plus(CALL))
        self.book.enter(shard, mine)

    @invariant()
    def within_the_limit(self) -> None:
        in_flight = Amount()
        for account in self.accounts.values():
            in_flight = in_flight.plus(account.in_flight)
        assert self.really.plus(in_flight).cost <= LIMIT


TestMachines = Machines.TestCase
TestMachines.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
