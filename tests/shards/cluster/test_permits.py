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


def test_a_job_takes_what_is_left_also_where_permits_are_scarce() -> None:
    book = opened(PermitBook(limits(max_cost=1000.0), SHARDS))
    book.enter("0", Account(1, Amount(), Amount(300, 500.0)))
    book.is_scarce = True
    assert book.lease("1", CALL, 40, in_bulk=True).allowance == Amount(300, 500.0)
    assert not book.lease("2", CALL, 40, in_bulk=True).refused


def test_jobs_of_all_shards_share_the_queue_and_a_lost_machine_takes_no_room_there() -> None:
    request = Amount(30, 50.0, 20)
    book = opened(PermitBook(SharedLimits(0, 0, 0.0, 0, max_enqueued_tokens=100), SHARDS))
    book.enter("0", Account(1, Amount(), book.lease("0", request, 4, in_bulk=True).allowance))
    assert book.queued_elsewhere("1")
    assert not book.queued_elsewhere("0")
    assert book.lease("1", request, 4, in_bulk=True).allowance == request
    book.enter("1", Account(1, Amount()))
    assert not book.lease("1", request._replace(queued=60), 1).refused  # it waits for the others
    book.enter("0", Account(2, Amount(20, 30.0)))  # its jobs were collected, as a copy says
    assert book.lost.queued == 0
    assert book.lease("1", request, 5, in_bulk=True).allowance.queued == 100


def test_jobs_that_the_next_machine_knows_of_are_not_lost() -> None:
    book = opened(PermitBook(limits(max_cost=100.0), SHARDS))
    book.enter("0", Account(1, Amount(), Amount(30, 50.0)))
    book.enter("0", Account(2, Amount(), Amount(30, 50.0)))
    assert book.lost == Amount()


class Machines(RuleBasedStateMachine):
    """Three shards that spend, live and by jobs; machines and the book are lost in between."""

    def __init__(self) -> None:
        super().__init__()
        self.book = opened(PermitBook(limits(max_cost=LIMIT), SHARDS))
        self.accounts = dict.fromkeys(SHARDS, Account(1, Amount()))
        self.live = dict.fromkeys(SHARDS, 0)  # calls in flight
        self.out: dict[str, list[int]] = {
            shard: [] for shard in SHARDS
        }  # requests in jobs, as the ledger has them
        self.copied: dict[str, tuple[Amount, list[int]]] = {shard: (Amount(), []) for shard in SHARDS}
        self.service: list[
            Amount | None
        ] = []  # what each request of a job took, None before it is carried out
        self.really = Amount()  # spent at the endpoint

    shard = st.sampled_from(SHARDS)

    def take(self, shard: str, blocks: int, *, in_bulk: bool) -> int:
        """Ask for leave where it is needed; reserve as many blocks as there is leave for."""
        mine = self.accounts[shard]
        if not mine.allowance.holds(mine.used.plus(CALL)):
            if self.book.is_scarce:
                mine = replace(mine, allowance=mine.used)
            self.book.enter(shard, mine)
            lease = self.book.lease(shard, CALL, blocks, in_bulk=in_bulk)
            mine = replace(mine, allowance=lease.allowance)
        taken = 0
        while taken < (blocks if in_bulk else 1) and mine.allowance.holds(mine.used.plus(CALL)):
            mine = replace(mine, in_flight=mine.in_flight.plus(CALL))
            taken += 1
        self.accounts[shard] = mine
        return taken

    @rule(shard=shard, blocks=st.integers(1, 5))
    def call(self, shard: str, blocks: int) -> None:
        self.live[shard] += self.take(shard, blocks, in_bulk=False)

    @rule(shard=shard, requests=st.integers(1, 9))
    def create_job(self, shard: str, requests: int) -> None:
        """Create a job, which is in a copy before."""
        taken = self.take(shard, requests, in_bulk=True)
        self.out[shard] += range(len(self.service), len(self.service) + taken)
        self.service += [None] * taken
        self.copy(shard)

    @rule(tokens=st.integers(0, 30), cost=st.integers(0, 50))
    def carry_out(self, tokens: int, cost: int) -> None:
        self.service = [Amount(tokens, cost) if each is None else each for each in self.service]

    @rule(shard=shard)
    def collect(self, shard: str) -> None:
        """Read what a job has brought, also once more after a copy."""
        for request in list(self.out[shard]):
            took = self.service[request]
            if took is not None:
                self.out[shard].remove(request)
                self.settle(shard, took)

    @rule(shard=shard, tokens=st.integers(0, 30), cost=st.integers(0, 50))
    def answer(self, shard: str, tokens: int, cost: int) -> None:
        if self.live[shard]:
            self.live[shard] -= 1
            self.really = self.really.plus(Amount(tokens, cost))
            self.settle(shard, Amount(tokens, cost))

    def settle(self, shard: str, took: Amount) -> None:
        mine = self.accounts[shard]
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
        self.copied[shard] = (self.accounts[shard].spent, list(self.out[shard]))

    @rule(shard=shard)
    def lose_machine(self, shard: str) -> None:
        """Lose a process: what was in flight may have been paid for, and nothing is reported any more."""
        self.really = self.really.plus(CALL, self.live[shard])
        self.live[shard] = 0
        spent, out = self.copied[shard]
        self.out[shard] = list(out)
        in_flight = Amount().plus(CALL, len(out))
        generation = self.accounts[shard].generation + 1
        self.accounts[shard] = Account(generation, spent, in_flight, allowance=spent.plus(in_flight))
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
        paid = self.really.plus(CALL, sum(self.live.values()))
        for took in self.service:
            paid = paid.plus(CALL if took is None else took)
        assert paid.cost <= LIMIT


TestMachines = Machines.TestCase
TestMachines.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
