"""While a machine works on a shard: its claim is renewed, and its run directory is copied every few minutes."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from eventabs.errors import StorageError
from eventabs.shards.cluster.claims import ClaimLostError, Holding
from eventabs.shards.cluster.copies import copy_run, remove_copy
from eventabs.shards.cluster.share import Share
from eventabs.store import Ledger, RunDirectory

_RENEWALS_A_LEASE = 3
_LOOK_SECONDS = 0.2


class Upkeep:
    """Renews and copies in threads of its own, which no long step of the run holds up. A context manager.

    `folder` is where the copies of the shard go in the share; `facts` says what its claim tells of its ledger; `on_lost` is called when the claim is lost, `on_failure` gets
    what keeps a copy from being made. The first copy is made once the run in `directory` has read its input.
    """

    def __init__(
        self,
        share: Share,
        holding: Holding,
        *,
        folder: str,
        copy_seconds: float,
        facts: Callable[[Ledger], dict[str, Any]],
        on_lost: Callable[[], None],
        on_failure: Callable[[StorageError], None],
    ) -> None:
        self.directory: RunDirectory | None = None
        self.is_lost = False
        self._share = share
        self._holding = holding
        self._folder = folder
        self._copy_seconds = copy_seconds
        self._facts = facts
        self._on_lost = on_lost
        self._on_failure = on_failure
        self._copies = 0
        self._claim = threading.Lock()
        self._turn = threading.Lock()  # to copy
        self._ended = threading.Event()
        self._copied = threading.Event()  # for the last time
        self._copying = threading.Thread(target=self._keep_copying, daemon=True)
        # a renewal may hang for longer than the lease: another thread watches the time
        self._claiming = [threading.Thread(target=each, daemon=True) for each in (self._renew, self._watch)]

    def __enter__(self) -> Self:
        for thread in (self._copying, *self._claiming):
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._copied.set()
        self._ended.set()

    def release(self) -> None:
        """Copy the run directory for the last time, and give the shard up. Raises StorageError and ClaimLostError."""
        self._copied.set()
        self._copying.join()
        before, directory = self._holding.claim.copy, self.directory
        name, facts = self._copy(directory) if directory else (before, self._holding.claim.facts)
        self._ended.set()
        self._claiming[0].join()
        self._holding.release(copy=name, facts=facts)
        self._forget(before, name)

    def secure(self) -> bool:
        """Copy the run directory now; False where the share refuses. Raises ClaimLostError."""
        if self.directory is None:
            return False
        try:
            self._copy_and_renew(self.directory)
        except StorageError as error:
            self._on_failure(error)
            return False
        return True

    def _renew(self) -> None:
        while not self._ended.wait(self._holding.claim.lease_seconds / _RENEWALS_A_LEASE):
            # where the share refuses it is tried again, while the lease lasts
            with suppress(StorageError, ClaimLostError), self._claim:
                self._holding.renew()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if self._holding.seconds_left <= 0:
                self.is_lost = True
                self._on_lost()
                return

    def _keep_copying(self) -> None:
        first = True
        while not self._copied.wait(_LOOK_SECONDS if first else self._copy_seconds):
            if self.directory is None or not _has_read(self.directory):
                continue
            first = False
            try:
                self._copy_and_renew(self.directory)
            except ClaimLostError:
                return
            except StorageError as error:
                self._on_failure(error)

    def _copy_and_renew(self, directory: RunDirectory) -> None:
        with self._turn:
            before = self._holding.claim.copy
            name, facts = self._copy(directory)
            with self._claim:
                self._holding.renew(copy=name, facts=facts)
            self._forget(before, name)

    def _copy(self, directory: RunDirectory) -> tuple[str, dict[str, Any]]:
        """Copy the run directory; return the copy's name and what the claim is to say with it."""
        self._copies += 1
        name = f"{self._folder}/{self._holding.claim.generation}-{self._copies}"
        with Ledger.watch(directory.ledger) as ledger:
            facts = self._facts(ledger)
        copy_run(directory, self._share, name)
        return name, facts

    def _forget(self, before: str, name: str) -> None:
        if before and before != name:
            with suppress(StorageError):  # it takes room, and nobody reads it
                remove_copy(self._share, before)


def _has_read(directory: RunDirectory) -> bool:
    """Whether the input has been read, which no other machine then has to read for this shard."""
    with Ledger.watch(directory.ledger) as ledger:
        return bool(ledger.meta().get("input_complete"))
