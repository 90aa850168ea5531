"""Leases: whatever processes do, and however their clocks and steps fall, a shard has one owner at a time."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eventabs.shards.cluster.claims import ClaimLostError, Claims, Holding
from eventabs.shards.cluster.share import Share, open_share

LEASE = 30.0


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def claims(share: Share, clock: Clock) -> Claims:
    return Claims(share, "claims", lease_seconds=LEASE, clock=clock)


def test_a_free_shard_is_taken_once(share: Share) -> None:
    clock = Clock()
    one, two = claims(share, clock), claims(share, clock)
    assert one.take("0") is not None
    assert two.take("0") is None


def test_a_shard_that_was_given_up_is_taken_at_once(share: Share) -> None:
    clock = Clock()
    held = claims(share, clock).take("0")
    assert held is not None
    held.release(copy="copies/0/7", facts={"status": "interrupted"})
    again = claims(share, clock).take("0")
    assert again is not None
    assert (again.before.copy, again.before.facts) == ("copies/0/7", {"status": "interrupted"})
    assert again.claim.copy == "copies/0/7"


def test_a_silent_owner_loses_its_shard(share: Share) -> None:
    clock = Clock()
    held = claims(share, clock).take("0")
    other = claims(share, clock)
    assert held is not None
    assert other.take("0") is None
    clock.now += LEASE
    taken = other.take("0")
    assert taken is not None
    assert taken.claim.generation == held.claim.generation + 1
    with pytest.raises(ClaimLostError):
        held.renew()


def test_an_owner_that_comes_too_late_does_not_write(share: Share) -> None:
    clock = Clock()
    held = claims(share, clock).take("0")
    assert held is not None
    clock.now += LEASE
    with pytest.raises(ClaimLostError):
        held.renew(copy="copies/0/late")
    assert claims(share, clock).look("0").copy == ""


class Processes(RuleBasedStateMachine):
    """Three processes whose clocks differ and run at the same pace."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        shared = open_share(str(Path(self.folder.name)))
        self.clocks = [Clock(0.0), Clock(1000.0), Clock(-50.0)]
        self.claims = [claims(shared, clock) for clock in self.clocks]
        self.held: list[Holding | None] = [None, None, None]
        self.generations: list[int] = []
        self.copies: list[str] = []

    who = st.integers(0, 2)

    @rule(who=who)
    def take(self, who: int) -> None:
        if (taken := self.claims[who].take("0")) is not None:
            self.held[who] = taken
            self.generations.append(taken.claim.generation)
            assert taken.claim.copy == (self.copies[-1] if self.copies else "")

    @rule(who=who, copy=st.booleans())
    def renew(self, who: int, copy: bool) -> None:
        held = self.held[who]
        if held is None:
            return
        name = f"copies/{len(self.copies)}" if copy else None
        owned = held.seconds_left > 0
        try:
            held.renew(copy=name)
        except ClaimLostError:
            self.held[who] = None
            assert not owned
        else:
            assert owned
            self.copies += [name] if name else []

    @rule(who=who)
    def release(self, who: int) -> None:
        if (held := self.held[who]) is not None and held.seconds_left > 0:
            held.release()
            self.held[who] = None

    @rule(who=who)
    def crash(self, who: int) -> None:
        self.held[who] = None

    @rule(seconds=st.floats(0.1, 2 * LEASE))
    def wait(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.now += seconds

    @invariant()
    def one_owner(self) -> None:
        assert sum(held is not None and held.seconds_left > 0 for held in self.held) <= 1
        assert self.generations == list(range(1, len(self.generations) + 1))

    def teardown(self) -> None:
        self.folder.cleanup()


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
