"""Claims: leases on shards, so that no two processes work on one at a time.

A claim is a record in the share. It holds while its owner renews it; whoever has seen it unchanged for as long as its lease lasts may take
it over by compare-and-swap. Its owner has then stopped: it reckons the lease from before its last renewal was written. No two clocks are
compared, so none has to be right. (Gray and Cheriton, Leases, SOSP 1989; Kubernetes elects leaders this way.)
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import orjson

from eventabs.errors import StoppedError
from eventabs.language import gettext as _
from eventabs.shards.cluster.share import ConflictError, Share

_HELD, _FREE = "held", "free"

Clock = Callable[[], float]


class ClaimLostError(StoppedError):
    """The shard belongs to another process now, or may at any moment."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the record of a shard says. `generation` counts its owners, `write` the writings, so that no two are equal.

    `copy` names the last copy of its run directory, "" where there is none; `facts` is what its owner reports of the run.
    """

    generation: int = 0
    owner: str = ""
    state: str = _FREE
    lease_seconds: float = 0.0
    write: int = 0
    copy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parsed(cls, content: bytes) -> Self:
        """Read a record."""
        return cls(**orjson.loads(content))

    def content(self) -> bytes:
        """Return the record."""
        return orjson.dumps(asdict(self))


class Claims:
    """The claims of one process. `clock` counts seconds, from anywhere; `key` is the folder of the records in the share."""

    def __init__(self, share: Share, key: str, *, lease_seconds: float, clock: Clock) -> None:
        self._share = share
        self._key = key
        self._lease = lease_seconds
        self._clock = clock
        self._owner = uuid.uuid4().hex
        self._seen: dict[str, tuple[str, float]] = {}  # version of the claim of another, and since when

    def look(self, shard: str) -> Claim:
        """Return what is known of a shard, without a claim on it."""
        found = self._share.read(self._record(shard))
        return Claim.parsed(found[0]) if found else Claim()

    def take(self, shard: str) -> "Holding | None":
        """Claim a shard; None while another process may hold it: try again in a part of the lease."""
        began = self._clock()
        found = self._share.read(self._record(shard))
        before = Claim.parsed(found[0]) if found else Claim()
        version = found[1] if found else None
        if before.state == _HELD and not self._has_expired(shard, before, str(version)):
            return None
        claim = replace(
            before,
            generation=before.generation + 1,
            owner=self._owner,
            state=_HELD,
            lease_seconds=self._lease,
            write=before.write + 1,
        )
        try:
            version = self._share.write(self._record(shard), claim.content(), version=version)
        except ConflictError:
            return None
        self._seen.pop(shard, None)
        return Holding(self._share, self._record(shard), claim, before, version, began, self._clock)

    def _has_expired(self, shard: str, claim: Claim, version: str) -> bool:
        seen, since = self._seen.get(shard, ("", 0.0))
        if seen != version:
            self._seen[shard] = (version, self._clock())
            return False
        return self._clock() - since >= claim.lease_seconds

    def _record(self, shard: str) -> str:
        return f"{self._key}/{shard}"


class Holding:
    """A shard that this process holds. `before`: what its record said when it was taken."""

    def __init__(  # noqa: PLR0917  made in one place
        self, share: Share, record: str, claim: Claim, before: Claim, version: str, began: float, clock: Clock
    ) -> None:
        self.claim = claim
        self.before = before
        self._share = share
        self._record = record
        self._version = version
        self._clock = clock
        self._until = began + claim.lease_seconds

    @property
    def seconds_left(self) -> float:
        """How long nobody else can have the shard; not positive: another may have it."""
        return self._until - self._clock()

    def renew(self, *, copy: str | None = None, facts: Mapping[str, Any] | None = None) -> None:
        """Hold the shard for another lease; `copy` and `facts` replace what the record says.

        Raises ClaimLostError where that is too late, and StorageError where the share refuses.
        """
        self._write(_HELD, copy, facts)

    def release(self, *, copy: str | None = None, facts: Mapping[str, Any] | None = None) -> None:
        """Give the shard up. Raises as `renew`."""
        self._write(_FREE, copy, facts)
        self._until = float("-inf")

    def _write(self, state: str, copy: str | None, facts: Mapping[str, Any] | None) -> None:
        began = self._clock()
        if began >= self._until:
            raise self._lost()
        claim = replace(
            self.claim,
            state=state,
            write=self.claim.write + 1,
            copy=self.claim.copy if copy is None else copy,
            facts=self.claim.facts if facts is None else dict(facts),
        )
        try:
            self._version = self._share.write(self._record, claim.content(), version=self._version)
        except ConflictError:
            self._until = float("-inf")
            raise self._lost() from None
        self.claim, self._until = claim, began + claim.lease_seconds

    def _lost(self) -> ClaimLostError:
        message = _(
            "{record} in {share} was not renewed in time, so another process may go on with this shard;"
            " see why the share was out of reach"
        )
        return ClaimLostError(message.format(record=self._record, share=self._share.address))
