"""Replies that come in files: each is committed before it is read, and counts once, however often it comes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from eventabs.errors import EndpointError, InputError, RejectedRequestError
from eventabs.language import gettext as _
from eventabs.providers import ReplyLine, ReplyLines
from eventabs.records import Batch, Reply, Usage
from eventabs.runs.batches.requests import call_of
from eventabs.runs.observer import Observer, RepliesRead
from eventabs.runs.settlement import Call, Settlement
from eventabs.store import (
    Ledger,
    LedgerWriter,
    batch_of_call,
    busy_parts,
    call_status,
    is_moved,
    parts_of_call,
)

_LINES_A_COMMIT = 50

# What a line is: `late`: its users have been asked about again meanwhile; `unknown`: it is of another run
Kind = Literal["replies", "errors", "not_reached", "repeated", "late", "unknown", "unreadable"]


@dataclass(eq=False, kw_only=True)
class ReplyReader:
    """Takes lines of output and error files into the ledger, then settles them.

    `count_tokens` serves endpoints that report no usage.
    """

    run_id: str
    writer: LedgerWriter
    settlement: Settlement
    count_tokens: Callable[[str], int]
    observer: Observer

    def __post_init__(self) -> None:
        self._errors: dict[int, EndpointError] = {}
        self._replies = 0

    async def take(self, path: Path, lines: ReplyLines) -> Counter[Kind]:
        """Store what a file holds; return how many lines of each kind it has. Raises InputError where it cannot be read."""
        found = Counter[Kind]()
        try:
            with path.open("rb") as file:
                while chunk := list(islice(file, _LINES_A_COMMIT)):
                    read = [lines.read(line) for line in chunk if not line.isspace()]
                    found["unreadable"] += read.count(None)
                    found += await self._store([line for line in read if line is not None])
        except OSError as error:
            message = _("{path} cannot be read ({error}); name a file of replies")
            raise InputError(message.format(path=path, error=error.strerror or error)) from None
        self._replies += found["replies"]
        self.observer.noted(
            RepliesRead(str(path), {kind: found[kind] for kind in get_args(Kind) if found[kind]})
        )
        return found

    async def _store(self, lines: Sequence[ReplyLine]) -> Counter[Kind]:
        named = [(call_of(line.custom_id, self.run_id), line.result) for line in lines]
        kinds, stored = await self.writer.write(partial(_store, named=named, count_tokens=self.count_tokens))
        for (call_id, result), kind in zip(named, kinds, strict=True):
            if call_id is not None and isinstance(result, EndpointError) and kind == "errors":
                self._errors[call_id] = result
        for reply in stored:
            self.settlement.tracker.count_reply(reply.usage, reply.seconds, len(reply.text), reply.tier)
        return Counter(kinds)

    async def settle(self) -> None:
        """Settle all that was taken: replies first, since an error beside a reply to the same request says nothing.

        Raises the first error that no other request could fare better with, once everything else is settled.
        """
        await self.settlement.settle_unread()
        errors, self._errors = self._errors, {}
        refused = [error for error in errors.values() if isinstance(error, RejectedRequestError)]
        if refused and len(refused) == len(errors) and not self._replies:
            await self.writer.write(partial(_fail_all, errors=errors))
            raise refused[0]  # of all requests alike: smaller ones would be refused too
        fatal: EndpointError | None = None
        for call_id, error in errors.items():
            batch = await self.writer.write(partial(_awaited_batch, call_id=call_id))
            if batch is not None:
                try:
                    await self.settlement.settle_error(Call(call_id, batch, {}), error)
                except EndpointError as raised:
                    fatal = fatal or raised
                self.settlement.tracker.add(batches_done=1)
        if fatal is not None:
            raise fatal


def _store(
    ledger: Ledger,
    named: Sequence[tuple[int | None, Reply | EndpointError | None]],
    count_tokens: Callable[[str], int],
) -> tuple[list[Kind], list[Reply]]:
    """Store the replies among some lines. Return what each line is, and the replies that were stored."""
    kinds, stored = list[Kind](), list[Reply]()
    for call_id, result in named:
        kind = _kind(ledger, call_id, result)
        kinds.append(kind)
        if kind == "replies" and call_id is not None and isinstance(result, Reply):
            reply = _counted(ledger, call_id, result, count_tokens)
            ledger.store_reply(call_id, reply)
            stored.append(reply)
    return kinds, stored


def _kind(ledger: Ledger, call_id: int | None, result: Reply | EndpointError | None) -> Kind:
    status = None if call_id is None else call_status(ledger, call_id)
    if call_id is None or status is None:
        return "unknown"
    if status in {"answered", "read", "failed"}:
        return "repeated"
    if status == "lost":  # given up, and its reply is still good if nobody was asked again
        parts = parts_of_call(ledger, call_id).values()
        # an extension may have given the indices of a part to another one
        moved = any(is_moved(ledger, part.user_id, call_id) for part in parts)
        if moved or len(ledger.planned_parts(parts)) < len(parts) or busy_parts(ledger) & set(parts):
            return "late"
    if isinstance(result, Reply):
        return "replies"
    if result is None or status == "lost":
        return "not_reached"
    return "errors"


def _counted(ledger: Ledger, call_id: int, reply: Reply, count_tokens: Callable[[str], int]) -> Reply:
    if reply.usage_reported:
        return reply
    ((input_tokens,),) = ledger.rows("SELECT input_tokens FROM calls WHERE id = ?", call_id)
    return replace(reply, usage=Usage(input_tokens, count_tokens(reply.text + reply.reasoning)))


def _awaited_batch(ledger: Ledger, call_id: int) -> Batch | None:
    """Return the batch of a call whose answer is still awaited; None where a reply came too."""
    return batch_of_call(ledger, call_id) if call_status(ledger, call_id) == "sent" else None


def _fail_all(ledger: Ledger, errors: dict[int, EndpointError]) -> None:
    for call_id, error in errors.items():
        ledger.fail_call(call_id, str(error), [])
